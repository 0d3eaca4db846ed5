//! The power function on `f64`.
//!
//! `libm` is within 1 ULP but for exponents beyond 2³¹ of a base near 1, where its logarithm is short of bits and it is
//! hundreds of ULPs off; that case is done here.
//!
//! Must not know: how the pairs of numbers compute exponentials.

use super::double::{self, Double};

/// Exponents up to this size are left to `libm`.
const HUGE: f64 = 2_147_483_648.0;

/// Bases further from ±1 than this overflow or vanish under a huge exponent.
const NEAR_ONE: f64 = 1.0 / 1_048_576.0;

/// x to the power y, with the special cases of C99.
pub(super) fn pow(x: f64, y: f64) -> f64 {
    let result = libm::pow(x, y);
    // Exact: the size lies within a factor of 2 of 1 where it matters.
    let t = x.abs() - 1.0;
    if y.abs() < HUGE || y.is_infinite() || t == 0.0 || t.abs() > NEAR_ONE || result.is_nan() {
        return result;
    }
    let logarithm = Double::product(t, t).scale(-0.5) + t + t * t * t * (1.0 / 3.0 - t * (0.25 - t * 0.2));
    let exponent = logarithm * y;
    // Beyond ±1000 the result is 0 or infinite.
    let exponent = if exponent.hi.abs() > 1000.0 { Double::from(1000f64.copysign(exponent.hi)) } else { exponent };
    let (m, k) = double::exp_scaled(exponent);
    // The sign, that of an odd power of a negative base, is right already.
    libm::ldexp(m.value(), k).copysign(result)
}
