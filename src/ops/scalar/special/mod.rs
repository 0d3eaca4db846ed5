//! The error functions and the gamma family on `f64`.
//!
//! Invariants: special cases are those of `scipy.special` (poles, ±inf, NaN); every constant names its source.
//!
//! Must not know: the `Float` trait, `f32`.

mod digamma;
mod erf;
mod gamma;

pub use digamma::digamma;
pub use erf::{erf, erfc, erfinv};
pub use gamma::{gamma, lgamma};
