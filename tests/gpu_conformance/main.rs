//! Conformance of the GPU engine: every op × dtype, casts, reductions, views, products, on the device as it is and on
//! lesser ones made of it.
//!
//! Integers, bools, casts and comparisons are held bit for bit; floats within what the GPU promises (docs/gpu.md).
//! Compiling a shader is what costs, so many ops share a function with many outputs. Every call must have reached the
//! device. Without an adapter each test prints that it is skipped, unless `KROTON_TEST_GPU=required`.

#![cfg(feature = "gpu")]

#[path = "../common/mod.rs"]
mod common;
mod elementwise;
mod expected;
mod limits;
mod operation;
mod products;
mod reductions;
mod views;

use common::gpu::{Engine, MASKS, SMALL};

/// One test for each lesser device.
macro_rules! on_every_device {
    ($($module:ident $index:literal;)*) => { $(
        mod $module {
            use super::*;

            fn engine() -> Option<Engine> {
                let (name, mask) = MASKS[$index];
                Engine::new(name, mask)
            }

            #[test]
            fn elementwise_ops_are_their_rows() {
                let Some(engine) = engine() else { return };
                elementwise::ops_are_their_rows(&engine);
            }

            #[test]
            fn conversions_feed_ops() {
                let Some(engine) = engine().filter(|engine| engine.mask != SMALL) else { return };
                elementwise::conversions_feed_ops(&engine);
            }

            #[test]
            fn functions_meet_their_published_bounds() {
                let Some(engine) = engine() else { return };
                elementwise::functions_meet_their_bounds(&engine);
            }

            #[test]
            fn reductions_are_in_the_defined_order() {
                let Some(engine) = engine() else { return };
                reductions::are_in_the_defined_order(&engine);
            }

            #[test]
            fn named_reductions_have_their_values() {
                let Some(engine) = engine() else { return };
                reductions::named_ones_have_their_values(&engine);
            }

            #[test]
            fn views_are_what_they_show() {
                let Some(engine) = engine() else { return };
                views::show_what_they_should(&engine);
            }

            #[test]
            fn bytes_are_packed() {
                let Some(engine) = engine() else { return };
                views::bytes_are_packed(&engine);
            }

            #[test]
            fn products_are_sums_of_products() {
                let Some(engine) = engine() else { return };
                products::are_sums_of_products(&engine);
            }
        }
    )* };
}
on_every_device! {
    whole 0;
    without_i64 1;
    without_f64 2;
    small 3;
}
