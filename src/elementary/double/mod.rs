//! Elementary functions on `f64`, a file for each family.

mod angle;
mod error_function;
mod exponential;
mod hyperbolic;
mod logarithm;
mod pair;
mod power;
mod trigonometric;

use super::Arithmetic;

/// Added to a number below 2⁵¹ it leaves the nearest integer in the low bits of the sum.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// Below this size x is the function where that begins with x: 2⁻⁵⁴.
const TINY: f64 = f64::EPSILON / 4.0;

/// The polynomial with these coefficients, the constant one first: even and odd powers apart, which halves the chain
/// of operations that wait for each other.
#[inline(always)]
fn polynomial<A: Arithmetic, const N: usize>(x: f64, coefficients: &[f64; N]) -> f64 {
    let square = x * x;
    let (mut sum, mut other) = (coefficients[N - 1], coefficients[N - 2]);
    let mut i = N - 2;
    while i > 0 {
        i -= 1;
        (sum, other) = (other, A::mul_add(sum, square, coefficients[i]));
    }
    A::mul_add(sum, x, other)
}

/// As `polynomial`, by half as long a chain: the sum of two polynomials in x² (Horner's rule of second order).
#[inline(always)]
fn short_polynomial<A: Arithmetic, const N: usize>(x: f64, coefficients: &[f64; N]) -> f64 {
    let square = x * x;
    let (mut last, mut other) = (coefficients[N - 1], coefficients[N - 2]);
    let mut i = N - 2;
    while i >= 2 {
        i -= 2;
        last = A::mul_add(last, square, coefficients[i + 1]);
        other = A::mul_add(other, square, coefficients[i]);
    }
    if i == 1 { A::mul_add(other, x, A::mul_add(last, square, coefficients[0])) } else { A::mul_add(last, x, other) }
}

/// x kept between bounds; NaN stays.
#[inline(always)]
fn clamp(x: f64, low: f64, high: f64) -> f64 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}
