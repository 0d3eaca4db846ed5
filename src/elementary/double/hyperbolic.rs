//! Hyperbolic functions and their inverses on `f64`.
//!
//! sinh x and cosh x are sums of 2ⁿ/2 ± 2⁻ⁿ/2 times sinh r and cosh r, x = n·ln 2 + r, whose polynomials come from
//! Sollya's fpminimax (relative errors 8e-19 and 1.2e-20).
//! tanh x is made of tanh(n·ln 2 / 2) and tanh h, x = n·ln 2 / 2 + h, by the formula of the sum, whose quotient is corrected
//! for all that its parts have lost. The inverses are logarithms of sums in two parts.

use super::exponential::Reduced;
use super::logarithm::ln_sum;
use super::pair::{ordered_sum, product, product_sum, quotient, residual, root, sum};
use super::{ROUNDER, clamp, polynomial};
use crate::elementary::functions::{Acosh, Asinh, Atanh, Cosh, Sinh, Tanh};
use crate::elementary::{Arithmetic, Unary};
use core::f64::consts::LOG2_E;

/// (sinh r/r − 1)/r² in r².
const SINH: [f64; 5] = [
    0.166_666_666_666_666_69,
    0.008_333_333_333_328_882,
    0.000_198_412_698_665_861_5,
    2.755_726_454_214_447_7e-06,
    2.510_183_411_790_280_6e-08,
];

/// (cosh r − 1 − r²/2)/r⁴ in r².
const COSH: [f64; 5] = [
    0.041_666_666_666_666_664,
    0.001_388_888_888_888_974_6,
    2.480_158_730_756_823_2e-05,
    2.755_729_360_327_434e-07,
    2.090_730_115_290_62e-09,
];

/// Below this size x³/3 is beyond the bits of x: 2⁻²⁷.
const SMALL: f64 = 7.450_580_596_923_828e-9;

/// Above this size 1/x² is beyond the bits of 1.
const LARGE: f64 = 1_073_741_824.0;

/// ln 2 / 2 in two parts, of which the first has 32 bits: its product with n is exact.
const HALF_LN2_HIGH: f64 = 3.465_735_901_845_619e-1;
const HALF_LN2_LOW: f64 = 9.541_074_646_352_938e-11;

/// (tanh h/h − 1)/h² in h², for |h| ≤ ln 2 / 4; tanh h is off by 4.1e-18 of itself at most.
const TANH: [f64; 6] = [
    -0.3333333333333249,
    0.133333333327852,
    -0.05396825278444669,
    0.021869370888794013,
    -0.008857314360554723,
    0.003444904091022398,
];

/// tanh h = t + rest and 2⁻ⁿ with x = n·ln 2 / 2 + h, for 0 ≤ x < 1000.
#[inline(always)]
fn tanh_parts<A: Arithmetic>(x: f64) -> (f64, f64, f64) {
    let rounded = A::mul_add(x, 2.0 * LOG2_E, ROUNDER);
    let n = rounded - ROUNDER;
    let start = A::mul_add(n, -HALF_LN2_HIGH, x);
    let shift = n * HALF_LN2_LOW;
    let h = start - shift;
    let square = h * h;
    let low = A::mul_add(h * square, polynomial::<A, 6>(square, &TANH), -shift);
    let (t, rest) = ordered_sum(start, low);
    (t, rest, f64::from_bits(1023u64.wrapping_sub(rounded.to_bits()) << 52))
}

impl Unary<f64> for Tanh {
    /// (a + b·t)/(b + a·t) with a = 1 − 2⁻ⁿ and b = 1 + 2⁻ⁿ: a/b is tanh(n·ln 2 / 2).
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let size = x.abs();
        // Beyond, the result is 1.
        let (t, rest, power) = tanh_parts::<A>(if size > 22.0 { 22.0 } else { size });
        let (a, b) = (1.0 - power, 1.0 + power);
        // What a lacks less what b lacks; from 2⁻⁵³ on it counts, and both sums are 1.
        let lost = ((b - a) - power) - power;
        let (product, product_rest) = product::<A>(b, t);
        let (above, above_rest) = ordered_sum(a, product);
        let (below, below_rest) = product_sum::<A>(a, t, b);
        let inverse = 1.0 / below;
        let quotient = above * inverse;
        let rest = A::mul_add(b, rest, (above_rest + product_rest) + lost);
        let rest = residual::<A>(above, quotient, below) + rest;
        A::mul_add(A::mul_add(-quotient, below_rest, rest), inverse, quotient).copysign(x)
    }
}

/// (a·cosh r + b·sinh r, where a + b and a − b are powers of two) of |x|: cosh x with a sum of powers as a, sinh x with
/// their difference.
#[inline(always)]
fn combination<A: Arithmetic>(r: Reduced, a: f64, b: f64) -> f64 {
    let (r, lost) = r.remainder();
    let square = r * r;
    let sinh = A::mul_add(square * r, polynomial::<A, 5>(square, &SINH), lost);
    let cosh = square * A::mul_add(polynomial::<A, 5>(square, &COSH), square, 0.5);
    let (linear, linear_rest) = product::<A>(b, r);
    let (sum, rest) = ordered_sum(a, linear);
    2.0 * (sum + (rest + (linear_rest + A::mul_add(a, cosh, b * sinh))))
}

/// The reduction of |x| with a quarter of 2ⁿ and of 2⁻ⁿ: half of the larger one may be infinite already.
#[inline(always)]
fn quarters<A: Arithmetic>(x: f64) -> (Reduced, f64, f64) {
    // Infinity lies beyond.
    let r = Reduced::new::<A>(clamp(x.abs(), 0.0, 710.6));
    (r, r.power(-2), 0.0625 * r.inverse_power(2))
}

impl Unary<f64> for Sinh {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let (r, growing, vanishing) = quarters::<A>(x);
        let result = combination::<A>(r, growing - vanishing, growing + vanishing);
        if x.abs() < SMALL { x } else { result.copysign(x) }
    }
}

impl Unary<f64> for Cosh {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let (r, growing, vanishing) = quarters::<A>(x);
        combination::<A>(r, growing + vanishing, growing - vanishing)
    }
}

impl Unary<f64> for Asinh {
    /// ln(x + √(x² + 1)), or ln 2x.
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let size = x.abs();
        let (square, square_rest) = product::<A>(size, size);
        let (radicand, rest) = sum(square, 1.0);
        let (root, root_rest) = root::<A>(radicand, rest + square_rest);
        let (high, low) = sum(size, root);
        let is_large = size > LARGE;
        let high = if is_large { size } else { high };
        let low = if is_large { 0.0 } else { low + root_rest };
        let result = ln_sum::<A>(high, low, if is_large { 1.0 } else { 0.0 });
        let result = if size <= f64::MAX { result } else { size };
        if size < SMALL { x } else { result.copysign(x) }
    }
}

impl Unary<f64> for Acosh {
    /// ln(x + √(x² − 1)), or ln 2x.
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let (square, square_rest) = product::<A>(x, x);
        let (radicand, rest) = ordered_sum(square, -1.0);
        let (root, root_rest) = root::<A>(radicand, rest + square_rest);
        let (high, low) = ordered_sum(x, root);
        let is_large = x > LARGE;
        let high = if is_large { x } else { high };
        let low = if is_large { 0.0 } else { low + root_rest };
        let result = ln_sum::<A>(high, low, if is_large { 1.0 } else { 0.0 });
        let result = if x <= f64::MAX { result } else { x };
        if x < 1.0 { f64::NAN } else { result }
    }
}

impl Unary<f64> for Atanh {
    /// ln((1 + x)/(1 − x))/2.
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let size = x.abs();
        let (above, above_rest) = ordered_sum(1.0, size);
        let (below, below_rest) = ordered_sum(1.0, -size);
        let (high, low) = quotient::<A>(above, above_rest, below, below_rest);
        let (high, low) = ordered_sum(high, low);
        let result = 0.5 * ln_sum::<A>(high, low, 0.0);
        let edge = if size == 1.0 { f64::INFINITY } else { f64::NAN };
        let result = if size < 1.0 { result } else { edge };
        if size < SMALL { x } else { result.copysign(x) }
    }
}
