//! The elementary functions on `f32`, in arithmetic of `f32` wherever that reaches their bounds.
//!
//! Powers, the complementary error function and the gamma family magnify the roundings of their steps and use `f64`
//! (`wide`), as does the reduction of angles where there is no fused multiply-add; the others reach their bounds by
//! carrying what a decisive rounding loses.
//!
//! Methods are named where they are used; the coefficients are minimax polynomials over the ranges stated, computed
//! with Sollya's `fpminimax`, which accounts for their rounding.
//! Must not know: ops, kernels.

mod error_function;
mod exponential;
mod gamma;
mod hyperbolic;
mod hyperbolic_tangent;
mod inverse_trigonometric;
mod logarithm;
mod parts;
mod power;
mod trigonometric;
mod wide;
