//! Elementary functions on `f64`, a file for each family.

mod angle;
mod digamma;
mod error_function;
mod exponential;
mod gamma;
mod hyperbolic;
mod inverse_error_function;
mod inverse_trigonometric;
mod logarithm;
mod pair;
mod power;
mod table_logarithm;
mod trigonometric;

use super::Arithmetic;

/// Added to a number below 2⁵¹ it leaves the nearest integer in the low bits of the sum.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// Below this size x is the function where that begins with x: 2⁻⁵⁴.
const TINY: f64 = f64::EPSILON / 4.0;

/// The polynomial with these coefficients, the constant one first: pairs of terms, added by Horner's rule in x², which
/// halves the chain of operations that wait for each other.
#[inline(always)]
fn polynomial<A: Arithmetic, const N: usize>(x: f64, coefficients: &[f64; N]) -> f64 {
    let square = x * x;
    let mut i = N - N % 2;
    let mut sum = coefficients[N - 1];
    if i == N {
        i -= 2;
        sum = A::mul_add(sum, x, coefficients[i]);
    }
    while i > 0 {
        i -= 2;
        sum = A::mul_add(sum, square, A::mul_add(coefficients[i + 1], x, coefficients[i]));
    }
    sum
}

/// x kept between bounds; NaN stays.
#[inline(always)]
pub(super) fn clamp(x: f64, low: f64, high: f64) -> f64 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// m·2ⁿ for −1100 < n < 1100, where n is in the low bits of `power`; rounded once where m·2^(n/2) is a normal number.
#[inline(always)]
pub(super) fn scale(m: f64, power: u64) -> f64 {
    // Biased twice: half of it is the biased exponent of one factor, the rest that of the other.
    let biased = power.wrapping_add(2046);
    let half = biased >> 1;
    m * f64::from_bits(half << 52) * f64::from_bits(biased.wrapping_sub(half) << 52)
}
