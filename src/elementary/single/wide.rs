//! Polynomials and powers of two in `f64`, for the functions that `f32` cannot carry.
//!
//! Their coefficients have the precision of a result in `f32`, which makes them cheaper than the functions on `f64`.
//! Must not know: any function.

use crate::elementary::Arithmetic;

/// 1.5·2⁵², which rounds to integers as `parts::ROUND` does.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// 2ʳ for |r| ≤ 1/2, relative error 2⁻³⁴.
const EXP2: [f64; 8] = [
    1.0,
    0.693147180704738,
    0.2402265106703123,
    0.055504103655422715,
    0.0096180380549785,
    0.0013333935183098109,
    0.00015466783146097588,
    1.5196185546411883e-05,
];

/// log₂(1 + f)/f for √½ ≤ 1 + f ≤ √2, relative error 2⁻³⁸.
const LOG2: [f64; 14] = [
    1.4426950408865722,
    -0.7213475203274011,
    0.48089834880421684,
    -0.3606737931728262,
    0.28853879561954326,
    -0.24044643119620798,
    0.20610712470132242,
    -0.18043681573421244,
    0.1602167116823745,
    -0.14249787785569942,
    0.13027435734837445,
    -0.13463210915737306,
    0.13251985716227066,
    -0.06974354282510373,
];

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
    polynomial::<A, 8>(x - (sum - ROUND), EXP2) * power
}

/// log₂(2ᵏ(1 + f)) for √½ ≤ 1 + f ≤ √2.
#[inline(always)]
pub(super) fn log2<A: Arithmetic>(k: f64, f: f64) -> f64 {
    A::mul_add(polynomial::<A, 14>(f, LOG2), f, k)
}
