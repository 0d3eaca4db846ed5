//! The natural logarithm on `f64`, for functions that are made of it too.
//!
//! x = 2ᵏ(1 + f) with √½ ≤ 1 + f < √2 and ln(1 + f) = 2 artanh(s), s = f/(2 + f), as fdlibm has it:
//! f − (f²/2 − s(f²/2 + R(s²))). R comes from Sollya's fpminimax (relative error 4.5e-18).

use super::pair::{ordered_sum, product, quotient};
use super::polynomial;
use crate::elementary::functions::Ln;
use crate::elementary::{Arithmetic, Unary};

/// ln 2 in two parts, of which the first has 42 bits: its product with an exponent is exact.
const LN2_HIGH: f64 = 0.693_147_180_559_890_3;
const LN2_LOW: f64 = 5.497_923_018_708_371e-14;

/// (ln((1 + s)/(1 − s)) − 2s)/s³ in s².
const R: [f64; 7] = [
    0.666_666_666_666_667,
    0.399_999_999_998_997_8,
    0.285_714_286_259_632_63,
    0.222_222_111_298_942_45,
    0.181_828_897_190_747_6,
    0.153_316_976_933_989_52,
    0.146_167_742_778_741_12,
];

/// The same less 2/3, in s².
const Q: [f64; 8] = [
    0.4,
    0.285_714_285_714_263_16,
    0.222_222_222_227_758_11,
    0.181_818_181_541_096_47,
    0.153_846_100_238_748_8,
    0.133_341_346_430_079_58,
    0.117_214_154_711_976_8,
    0.115_856_444_881_537_21,
];
const TWO_THIRDS: f64 = 2.0 / 3.0;
const TWO_THIRDS_LOW: f64 = 3.700_743_415_417_188e-17;

const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
const ONE: u64 = 0x3ff0_0000_0000_0000;
const SIGNIFICAND: u64 = 0x000f_ffff_ffff_ffff;

/// 2⁵², whose low bits take an integer.
const INTEGER: f64 = 4_503_599_627_370_496.0;

/// The least positive number.
const LEAST: f64 = 5e-324;

/// A positive number as 2ᵏ·m.
#[derive(Clone, Copy)]
struct Parts {
    k: f64,
    m: f64,
    /// 2¹⁻ᵏ, or 0 where that is no normal number.
    inverse: f64,
}

/// The parts of a normal number, with √½ ≤ m < √2.
#[inline(always)]
fn parts(x: f64, bias: f64) -> Parts {
    let shifted = x.to_bits().wrapping_add(ONE - SQRT_HALF);
    let exponent = shifted >> 52;
    Parts {
        k: f64::from_bits(exponent | INTEGER.to_bits()) - bias,
        m: f64::from_bits((shifted & SIGNIFICAND).wrapping_add(SQRT_HALF)),
        inverse: f64::from_bits(2047u64.wrapping_sub(exponent) << 52),
    }
}

/// The parts of any positive number.
#[inline(always)]
fn any_parts(x: f64) -> Parts {
    let is_subnormal = x < f64::MIN_POSITIVE;
    let scaled = x * 18_014_398_509_481_984.0;
    parts(if is_subnormal { scaled } else { x }, if is_subnormal { INTEGER + 1077.0 } else { INTEGER + 1023.0 })
}

/// Whether x is positive, finite and normal.
#[inline(always)]
fn is_positive_normal(x: f64) -> bool {
    let least = f64::MIN_POSITIVE.to_bits();
    x.to_bits().wrapping_sub(least) < f64::INFINITY.to_bits() - least
}

/// (f²/2, s(f²/2 + R(s²))) of which ln(1 + f) is made.
#[inline(always)]
fn terms<A: Arithmetic>(f: f64) -> (f64, f64) {
    let s = f / (2.0 + f);
    let square = s * s;
    let half = 0.5 * f * f;
    (half, s * A::mul_add(polynomial::<A, 7>(square, &R), square, half))
}

/// ln x where it is not of the usual kind, else `result`. In this form the comparisons stay comparisons: told in terms
/// of infinity and zero, LLVM tests the classes of numbers by integers, at twice the price.
#[inline(always)]
fn special(x: f64, result: f64) -> f64 {
    let below = if x == 0.0 { f64::NEG_INFINITY } else { f64::NAN };
    let result = if x <= f64::MAX { result } else { x };
    if x >= LEAST { result } else { below }
}

/// ln(2ⁿ(high + low)), low being small beside a normal high, which is positive.
#[inline(always)]
pub(super) fn ln_sum<A: Arithmetic>(high: f64, low: f64, n: f64) -> f64 {
    let Parts { k, m, inverse } = parts(high, INTEGER + 1023.0);
    let (f, rest) = ordered_sum(m - 1.0, low * (0.5 * inverse));
    let (half, tail) = terms::<A>(f);
    // The derivative at f takes the rest along.
    let tail = tail + A::mul_add(-rest, f, rest);
    let k = k + n;
    A::mul_add(k, LN2_HIGH, f - (half - A::mul_add(k, LN2_LOW, tail)))
}

/// ln x = high + low with a relative error of about 2⁻⁶⁴, for x ≥ 0: the series of 2 artanh(s) with two terms in pairs.
#[inline(always)]
pub(super) fn accurate_ln<A: Arithmetic>(x: f64) -> (f64, f64) {
    let Parts { k, m, .. } = any_parts(x);
    let f = m - 1.0;
    let (below, below_rest) = ordered_sum(2.0, f);
    let (s, s_rest) = quotient::<A>(f, 0.0, below, below_rest);
    let (square, rest) = product::<A>(s, s);
    let square_rest = A::mul_add(2.0 * s, s_rest, rest);
    let (c, rest) = ordered_sum(TWO_THIRDS, square * polynomial::<A, 8>(square, &Q));
    let c_rest = rest + TWO_THIRDS_LOW;
    let (cubic, rest) = product::<A>(square, c);
    let cubic_rest = A::mul_add(square, c_rest, A::mul_add(square_rest, c, rest));
    let (factor, rest) = ordered_sum(2.0, cubic);
    let factor_rest = rest + cubic_rest;
    let (high, rest) = product::<A>(s, factor);
    let low = A::mul_add(s, factor_rest, A::mul_add(s_rest, factor, rest));
    let (sum, rest) = ordered_sum(k * LN2_HIGH, high);
    (special(x, sum), rest + A::mul_add(k, LN2_LOW, low))
}

/// ln x from the parts of a positive number.
#[inline(always)]
fn ln_parts<A: Arithmetic>(parts: Parts) -> f64 {
    let Parts { k, m, .. } = parts;
    let f = m - 1.0;
    let (half, tail) = terms::<A>(f);
    let reduced = f - (half - A::mul_add(k, LN2_LOW, tail));
    A::mul_add(k, LN2_HIGH, reduced)
}

impl Unary<f64> for Ln {
    const HAS_USUAL: bool = true;

    #[inline(always)]
    fn is_usual(x: f64) -> bool {
        is_positive_normal(x)
    }

    #[inline(always)]
    fn usual<A: Arithmetic>(x: f64) -> f64 {
        ln_parts::<A>(parts(x, INTEGER + 1023.0))
    }

    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        special(x, ln_parts::<A>(any_parts(x)))
    }
}
