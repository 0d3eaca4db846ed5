//! The elementary functions on `f32`, in arithmetic of `f32` wherever that reaches their bounds.
//!
//! Methods are named where they are used; the coefficients are minimax polynomials over the ranges stated, computed
//! with Sollya's `fpminimax`, which accounts for their rounding.
//! Must not know: ops, kernels.

mod error_function;
mod exponential;
mod gamma;
mod hyperbolic;
mod inverse_trigonometric;
mod logarithm;
mod parts;
mod power;
mod trigonometric;
mod wide;
