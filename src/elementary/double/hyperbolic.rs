//! Hyperbolic functions and their inverses on `f64`.
//!
//! sinh x and cosh x are sums of 2ⁿ/2 ± 2⁻ⁿ/2 times sinh r and cosh r, x = n·ln 2 + r, whose polynomials come from
//! Sollya's fpminimax (relative errors 8e-19 and 1.2e-20).
//! tanh x = −m/(m + 2) with m = e⁻²ˣ − 1 in two parts. The inverses are logarithms of sums in two parts.

use super::exponential::Reduced;
use super::logarithm::ln_sum;
use super::pair::{ordered_sum, product, quotient, root, sum};
use super::{clamp, polynomial};
use crate::elementary::functions::{Acosh, Asinh, Atanh, Cosh, Sinh, Tanh};
use crate::elementary::{Arithmetic, Unary};

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

/// eˣ − 1 in two parts for a reduced −50 < x ≤ 0.
#[inline(always)]
fn expm1<A: Arithmetic>(r: Reduced) -> (f64, f64) {
    let (a, b) = r.accurate_exp_m1::<A>();
    let (high, low) = ordered_sum(a, b);
    let power = r.power(0);
    let (start, missing) = ordered_sum(-1.0, power);
    let (sum, rest) = ordered_sum(start, power * high);
    (sum, A::mul_add(power, low, rest + missing))
}

impl Unary<f64> for Tanh {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        // Beyond, the result is 1.
        let r = Reduced::new::<A>(clamp(-2.0 * x.abs(), -44.0, 0.0));
        let (high, low) = expm1::<A>(r);
        let (below, rest) = ordered_sum(2.0, high);
        let (result, rest) = quotient::<A>(high, low, below, rest + low);
        let result = result + rest;
        if x.abs() < SMALL { x } else { result.copysign(x) }
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
