//! Sine, cosine and tangent of `f64`.
//!
//! The angle less a multiple of π/2 is a pair of numbers; on it stand polynomials in its square, minimax for |r| ≤ π/4
//! (own, by Sollya's `fpminimax`), and the terms before them are exact. The tangent is the quotient of the two with its
//! remainder. The sine needs one polynomial of the angle less a multiple of π: sin r = r(1 − d + d·R(d)), d = r²/8, an
//! eighth because then 1 − d is known with its rounding for two operations, and the rest is below 0.06.

use super::angle::{HUGE, Reduced, reduce, reduce_huge, reduce_to_half_turn};
use super::pair::{ordered_sum, product, product_sum};
use super::polynomial;
use crate::elementary::functions::{Cos, Sin, Tan};
use crate::elementary::{Arithmetic, Unary};

/// (sin r − r)/r³ in r²; off by 0.14 · 2⁻⁵³ of the sine at most.
const SINE: [f64; 6] = [
    -0.16666666666666666,
    8.333333333331262e-3,
    -1.984126983700274e-4,
    2.755731617904949e-6,
    -2.505114209223182e-8,
    1.5918611161792085e-10,
];

/// (cos r − 1 + r²/2)/r⁴ in r²; off by 0.01 · 2⁻⁵³ at most.
const COSINE: [f64; 6] = [
    4.1666666666666664e-2,
    -1.3888888888887044e-3,
    2.4801587298428797e-5,
    -2.755731714080529e-7,
    2.087612405360154e-9,
    -1.1381267924462442e-11,
];

/// (sin r/r − 1 + d)/d in d = r²/8, for |r| ≤ π/2; sin r is off by 3.5e-19 of itself at most.
const HALF_TURN_SINE: [f64; 8] = [
    -0.33333333333333326,
    0.5333333333333256,
    -0.10158730158702212,
    0.01128747794928787,
    -0.0008209074408653066,
    4.209755796709617e-5,
    -1.6028737156988468e-6,
    4.567183891551553e-8,
];

const SIGN: u64 = 1 << 63;

/// sin r and cos r, each as a number and a small rest.
#[derive(Clone, Copy)]
struct Pair {
    sine: (f64, f64),
    cosine: (f64, f64),
}

#[inline(always)]
fn sine_and_cosine<A: Arithmetic>(r: Reduced) -> Pair {
    let square = r.hi * r.hi;
    // Without fused multiply-add a quarter ULP is not worth its price.
    let square_rest = if A::FUSED { A::mul_add(r.hi, r.hi, -square) } else { 0.0 };
    let leading = A::mul_add(-0.5, square, 1.0);
    let rounding = (1.0 - leading) - 0.5 * square;
    let beyond = A::mul_add(r.hi, r.lo, 0.5 * square_rest);
    let cosine = A::mul_add(square * square, polynomial::<A, 6>(square, &COSINE), rounding - beyond);
    let sine = A::mul_add(square * r.hi, polynomial::<A, 6>(square, &SINE), r.lo * leading);
    Pair { sine: (r.hi, sine), cosine: (leading, cosine) }
}

/// The sine of an angle as a number and a small rest.
#[inline(always)]
pub(super) fn sine_pair<A: Arithmetic>(r: Reduced) -> (f64, f64) {
    let Pair { sine, cosine } = sine_and_cosine::<A>(r);
    let (high, low) = if r.quadrant & 1 == 0 { sine } else { cosine };
    let (high, low) = ordered_sum(high, low);
    if r.quadrant & 2 == 0 { (high, low) } else { (-high, -low) }
}

/// As `sine_pair`, of the cosine.
#[inline(always)]
pub(super) fn cosine_pair<A: Arithmetic>(r: Reduced) -> (f64, f64) {
    sine_pair::<A>(Reduced { quadrant: r.quadrant.wrapping_add(1), ..r })
}

/// The sine of an angle that is so many quadrants before the reduced one; `sign` is turned with it.
#[inline(always)]
fn sine<A: Arithmetic>(r: Reduced, quadrants: u64, sign: u64) -> f64 {
    let pair = sine_and_cosine::<A>(r);
    let quadrant = r.quadrant.wrapping_add(quadrants);
    let value = if quadrant & 1 == 0 { pair.sine.0 + pair.sine.1 } else { pair.cosine.0 + pair.cosine.1 };
    f64::from_bits(value.to_bits() ^ (quadrant << 62 & SIGN) ^ sign)
}

/// The sine of an angle less a multiple of π.
#[inline(always)]
fn half_turn_sine<A: Arithmetic>(r: Reduced, sign: u64) -> f64 {
    let eighth = -0.125 * r.hi;
    // 1 − d, to whose product with r nothing near the size of the result is added.
    let (leading, rounding) = product_sum::<A>(eighth, r.hi, 1.0);
    let d = 1.0 - leading;
    let rest = A::mul_add(d, polynomial::<A, 8>(d, &HALF_TURN_SINE), rounding);
    // The cosine at r is about 1 − 3r²/8.
    let low = A::mul_add(eighth, (r.lo + r.lo) + r.lo, rest);
    let value = A::mul_add(r.hi, leading, A::mul_add(r.hi, low, r.lo));
    f64::from_bits(value.to_bits() ^ (r.quadrant << 62 & SIGN) ^ sign)
}

#[inline(always)]
fn tangent<A: Arithmetic>(r: Reduced, sign: u64) -> f64 {
    let Pair { sine, cosine } = sine_and_cosine::<A>(r);
    let odd = r.quadrant & 1 == 1;
    let (over, under) = if odd { (cosine, sine) } else { (sine, cosine) };
    let (over, over_rest) = ordered_sum(over.0, over.1);
    let (under, under_rest) = ordered_sum(under.0, under.1);
    let inverse = 1.0 / under;
    let quotient = over * inverse;
    let (back, back_rest) = product::<A>(quotient, under);
    let remainder = (over - back) - back_rest;
    let value = quotient + (remainder + (over_rest - quotient * under_rest)) * inverse;
    f64::from_bits(value.to_bits() ^ (r.quadrant << 63) ^ sign)
}

/// Whether an angle is too large for the fast reduction.
#[inline(always)]
fn is_huge(x: f64) -> bool {
    x.abs() > HUGE
}

impl Unary<f64> for Sin {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        half_turn_sine::<A>(reduce_to_half_turn::<A>(x.abs()), x.to_bits() & SIGN)
    }

    #[inline(always)]
    fn is_rare(x: f64) -> bool {
        is_huge(x)
    }

    #[inline(always)]
    fn slow<A: Arithmetic>(x: f64) -> f64 {
        if x.is_infinite() {
            return f64::NAN;
        }
        sine::<A>(reduce_huge::<A>(x.abs()), 0, x.to_bits() & SIGN)
    }
}

impl Unary<f64> for Cos {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        sine::<A>(reduce::<A>(x.abs()), 1, 0)
    }

    #[inline(always)]
    fn is_rare(x: f64) -> bool {
        is_huge(x)
    }

    #[inline(always)]
    fn slow<A: Arithmetic>(x: f64) -> f64 {
        if x.is_infinite() {
            return f64::NAN;
        }
        sine::<A>(reduce_huge::<A>(x.abs()), 1, 0)
    }
}

impl Unary<f64> for Tan {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        tangent::<A>(reduce::<A>(x.abs()), x.to_bits() & SIGN)
    }

    #[inline(always)]
    fn is_rare(x: f64) -> bool {
        is_huge(x)
    }

    #[inline(always)]
    fn slow<A: Arithmetic>(x: f64) -> f64 {
        if x.is_infinite() {
            return f64::NAN;
        }
        tangent::<A>(reduce_huge::<A>(x.abs()), x.to_bits() & SIGN)
    }
}
