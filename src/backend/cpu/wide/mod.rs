//! A wider emitter for x86-64 with AVX2 and FMA: straight-line programs as loops over 256-bit vectors, without Cranelift.
//!
//! `trace` walks a program and writes down `step`s on vectors (`ops` and `convert` say which), `allocate` gives them
//! registers, `encode` makes bytes of `instruction`s. `map` (with `rounds` and `loops`,
//! for loops over steps) and `reduce` (with `screen` and `tree`) are the functions built around them, with the
//! same parameters and results, bit for bit, as those of `emit`. Elementary functions and quotients rounded down are called
//! as kernels, several vectors at a time, but for integers by a constant (`division`). What has no wide form (strided memory,
//! bytes alone, some conversions) is left to `emit`.
//! Must not know: addresses, sizes, threads.

mod ahead;
mod allocate;
mod body;
mod bytes;
mod call;
mod columns;
mod convert;
mod division;
mod encode;
mod extremum;
mod finish;
mod frame;
mod fused;
mod in_place;
mod instruction;
mod loops;
mod loose;
mod map;
mod memory;
mod merge;
mod narrow;
mod ops;
mod order;
mod quotients;
mod reduce;
mod roots;
mod rounds;
mod rows_ahead;
mod scalar;
mod screen;
mod segments;
mod shared;
mod sink;
mod states;
mod step;
mod take;
#[cfg(test)]
mod tests;
mod text;
mod tiles;
mod trace;
mod tree;
mod truncate;

use crate::elementary::kernel::Level;

pub(super) use columns::columns_function;
pub(super) use finish::Assembled;
pub(super) use map::map_function;
pub(super) use merge::merge_function;
pub(super) use reduce::blocks_function;

/// What does not depend on a program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    /// The level of the kernels that are called.
    pub level: Level,
    /// Whether a listing is wanted.
    pub text: bool,
}
