//! Polynomials and powers of two in `f64`, for the functions that `f32` cannot carry.
//!
//! Their coefficients have the precision of a result in `f32`, which makes them cheaper than the functions on `f64`.
//! Must not know: any function.

use crate::elementary::Arithmetic;

/// 1.5·2⁵², which rounds to integers as `parts::ROUND` does.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// 2ʳ for |r| ≤ 1/2, relative error 2⁻²⁹.
const EXP2: [f64; 7] = [
    1.0,
    0.6931472028832081,
    0.24022647911094705,
    0.05550332404888909,
    0.009618437464474393,
    0.0013398902080753296,
    0.0001535339239647498,
];

/// log₂(1 + f)/f for √½ ≤ 1 + f ≤ √2, relative error 2⁻³⁵·⁸.
const LOG2: [f64; 13] = [
    1.4426950408686816,
    -0.7213475208690038,
    0.480898361409847,
    -0.3606736747967737,
    0.28853729208394496,
    -0.24045316567588362,
    0.2061754059709641,
    -0.18030065285120112,
    0.15876918311414545,
    -0.14315523704580405,
    0.14475091665573747,
    -0.14284709325555336,
    0.07737500114822193,
];

/// The bits of √½.
const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;

/// The polynomial of the coefficients, the constant one first.
#[inline(always)]
pub(super) fn polynomial<A: Arithmetic, const N: usize>(x: f64, coefficients: [f64; N]) -> f64 {
    let mut sum = coefficients[N - 1];
    for i in (0..N - 1).rev() {
        sum = A::mul_add(sum, x, coefficients[i]);
    }
    sum
}

/// 2ˣ for |x| ≤ 1000.
#[inline(always)]
pub(super) fn exp2<A: Arithmetic>(x: f64) -> f64 {
    let sum = x + ROUND;
    let power = f64::from_bits((sum.to_bits() << 52).wrapping_add(1f64.to_bits()));
    polynomial::<A, 7>(x - (sum - ROUND), EXP2) * power
}

/// k + log₂(1 + f) for √½ ≤ 1 + f ≤ √2.
#[inline(always)]
pub(super) fn log2_parts<A: Arithmetic>(k: f64, f: f64) -> f64 {
    A::mul_add(polynomial::<A, 13>(f, LOG2), f, k)
}

/// log₂ x for normal x > 0.
#[inline(always)]
pub(super) fn log2<A: Arithmetic>(x: f64) -> f64 {
    // k + 1023 for x = 2ᵏ(1 + f), as the last bits of 2⁵² + k + 1023.
    let biased = x.to_bits().wrapping_sub(ROOT_HALF).wrapping_add(1f64.to_bits()) >> 52;
    let k = f64::from_bits(biased | 0x4330 << 48) - (4_503_599_627_370_496.0 + 1023.0);
    let m = f64::from_bits(x.to_bits().wrapping_sub(biased << 52).wrapping_add(1f64.to_bits()));
    log2_parts::<A>(k, m - 1.0)
}

/// ln x for normal x > 0.
#[inline(always)]
pub(super) fn ln<A: Arithmetic>(x: f64) -> f64 {
    log2::<A>(x) * std::f64::consts::LN_2
}

/// The integer nearest to a number below 2⁵¹, and whether it is odd.
#[inline(always)]
pub(super) fn nearest(x: f64) -> (f64, bool) {
    let sum = x + ROUND;
    (sum - ROUND, sum.to_bits() & 1 != 0)
}
