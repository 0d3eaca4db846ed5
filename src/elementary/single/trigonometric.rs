//! Sine, cosine and tangent.
//!
//! The argument is n·π/2 + r with |r| ≤ π/4 as a sum of two numbers: after Cody and Waite below [`LIMIT`], after Payne
//! and Hanek (Radian Reduction for Trigonometric Functions, 1983) beyond. The sine takes n·π and |r| ≤ π/2 instead, for one
//! polynomial.

use super::parts::{ROUND, bits, flip_sign, integer, ordered_sum, polynomial, product_sum, residual};
use crate::elementary::functions::{Cos, Sin, Tan};
use crate::elementary::{Arithmetic, Unary};

/// Up to this size r is found by multiples of the parts of π/2.
const LIMIT: f32 = 131_072.0;

/// π/2 in three parts of 24 bits.
const HALF_PI: [f32; 3] = [std::f32::consts::FRAC_PI_2, -4.371_139e-8, -1.715_124_5e-15];

/// π/2 in parts of 30 and 53 bits.
const HALF_PI_30: f64 = 1.570_796_327_665_448_2;
const HALF_PI_REST: f64 = -8.705_515_695_504_166e-10;

/// 2/π after eight zero bits.
const TWO_OVER_PI: [u64; 4] =
    [0x00a2_f983_6e4e_4415, 0x29fc_2757_d1f5_34dd, 0xc0db_6295_993c_4390, 0x41fe_5163_abde_bbc5];

/// (sin r − r)/r³ for |r| ≤ π/4, relative error of sin r 2⁻²⁷·⁹.
const SIN: [f32; 3] = [-0.16666655, 0.00833219, -0.00019518455];

/// (cos r − 1 + r²/2)/r⁴ for |r| ≤ π/4, error of cos r 2⁻³³.
const COS: [f32; 3] = [0.041666646, -0.0013887314, 2.443_317_3e-5];

/// (sin r/r − 1 + d)/d in d = r²/8 for |r| ≤ π/2, relative error of sin r 2⁻²⁷.
const HALF_TURN_SIN: [f32; 4] = [-0.33333284, 0.5333176, -0.10143278, 0.010685967];

/// (tan r − r)/r³ for |r| ≤ π/4, relative error of tan r 2⁻²⁹·⁵.
const TAN: [f32; 7] = [0.3333335, 0.13332677, 0.05405867, 0.021287657, 0.010823379, 0.00010365578, 0.004369938];

/// x less a multiple of π/2.
#[derive(Clone, Copy)]
struct Reduced {
    /// The multiple, modulo 4.
    quadrant: i32,
    /// The difference, and what it lacks.
    high: f32,
    low: f32,
}

/// For 0 ≤ x ≤ [`LIMIT`].
#[inline(always)]
fn reduce<A: Arithmetic>(x: f32) -> Reduced {
    let sum = A::mul_add_single(x, std::f32::consts::FRAC_2_PI, ROUND);
    let (high, low) = less_multiple::<A>(x, sum - ROUND, 1.0);
    Reduced { quadrant: integer(sum), high, low }
}

/// The same with the nearest multiple of π, which is that of two quadrants.
#[inline(always)]
fn reduce_to_half_turn<A: Arithmetic>(x: f32) -> Reduced {
    let sum = A::mul_add_single(x, std::f32::consts::FRAC_1_PI, ROUND);
    let (high, low) = less_multiple::<A>(x, sum - ROUND, 2.0);
    Reduced { quadrant: integer(sum) << 1, high, low }
}

/// x − n·period·π/2 and what it lacks, for the nearest n and a period of 1 or 2.
#[inline(always)]
fn less_multiple<A: Arithmetic>(x: f32, n: f32, period: f32) -> (f32, f32) {
    if !A::FUSED {
        let n = f64::from(period) * f64::from(n);
        let r = (f64::from(x) - n * HALF_PI_30) - n * HALF_PI_REST;
        return (r as f32, (r - f64::from(r as f32)) as f32);
    }
    let parts = HALF_PI.map(|part| period * part);
    let r = A::mul_add_single(n, -parts[0], x);
    // r is exact, and so is its sum with the product, being a multiple of the last place of that.
    let product = n * -parts[1];
    let (high, rest) = ordered_sum(r, product);
    let low = A::mul_add_single(n, -parts[2], residual::<A>(n, -parts[1], product));
    (high, rest + low)
}

/// For finite x > [`LIMIT`].
#[inline(always)]
fn reduce_large(x: f32) -> Reduced {
    let mantissa = x.to_bits() & 0x7f_ffff | 0x80_0000;
    // From the bit of 2/π that contributes 2 on: those before give multiples of 4.
    let start = (x.to_bits() >> 23) as usize - 144;
    let window = |i: usize| {
        let (word, shift) = (start / 64 + i, start % 64);
        let rest = if shift == 0 { 0 } else { TWO_OVER_PI.get(word + 1).map_or(0, |next| next >> (64 - shift)) };
        u128::from(TWO_OVER_PI[word] << shift | rest)
    };
    // x·2/π modulo 4, in units of 2⁻¹²⁶.
    let turns = u128::from(mantissa).wrapping_mul(window(0) << 64 | window(1));
    let quadrant = turns.wrapping_add(1 << 125) >> 126;
    let r = turns.wrapping_sub(quadrant << 126) as i128 as f64 * (std::f64::consts::FRAC_PI_2 / (1_u128 << 126) as f64);
    Reduced { quadrant: quadrant as i32, high: r as f32, low: (r - f64::from(r as f32)) as f32 }
}

#[inline(always)]
fn sin_reduced<A: Arithmetic>(r: Reduced) -> f32 {
    let square = r.high * r.high;
    r.high + A::mul_add_single(square * r.high, polynomial::<A, 3>(square, SIN), r.low)
}

#[inline(always)]
fn cos_reduced<A: Arithmetic>(r: Reduced) -> f32 {
    let square = r.high * r.high;
    let half = 0.5 * square;
    let start = 1.0 - half;
    // What the square, its half's difference from 1 and r itself lack.
    let lost = A::mul_add_single(r.high, r.low, 0.5 * residual::<A>(r.high, r.high, square));
    let rest = ((1.0 - start) - half) - lost;
    start + A::mul_add_single(square * square, polynomial::<A, 3>(square, COS), rest)
}

/// The sine of a number with that many quarter turns more.
#[inline(always)]
fn sin_of<A: Arithmetic>(r: Reduced, turns: i32) -> f32 {
    let quadrant = r.quadrant + turns;
    let value = if quadrant & 1 == 0 { sin_reduced::<A>(r) } else { cos_reduced::<A>(r) };
    flip_sign(value, quadrant << 30)
}

/// The sine of a number less a multiple of π: r(1 − d + d·R(d)) with d = r²/8. The product with 1 − d, which is known
/// with its rounding, is the last, and the rest below 0.06.
#[inline(always)]
fn half_turn_sin<A: Arithmetic>(r: Reduced) -> f32 {
    let eighth = -0.125 * r.high;
    let (leading, rounding) = product_sum::<A>(eighth, r.high, 1.0);
    let d = 1.0 - leading;
    let rest = A::mul_add_single(d, polynomial::<A, 4>(d, HALF_TURN_SIN), rounding);
    // The cosine at r is about 1 − 3r²/8.
    let rest = A::mul_add_single(eighth, (r.low + r.low) + r.low, rest);
    if !A::FUSED {
        // The product with all of the factor would be rounded at twice the size of the result.
        return r.high + (r.high * (rest - d) + r.low);
    }
    A::mul_add_single(r.high, leading, A::mul_add_single(r.high, rest, r.low))
}

#[inline(always)]
fn tan_of<A: Arithmetic>(r: Reduced) -> f32 {
    let square = r.high * r.high;
    let cube = square * r.high;
    // What the powers lack counts about half where it counts, near π/4.
    let cube_rest =
        A::mul_add_single(r.high, residual::<A>(r.high, r.high, square), residual::<A>(square, r.high, cube));
    // The derivative at r is about 1 + r².
    let low = A::mul_add_single(0.5, cube_rest, A::mul_add_single(r.low, square, r.low));
    let tail = A::mul_add_single(cube, polynomial::<A, 7>(square, TAN), low);
    let tangent = r.high + tail;
    let rest = (r.high - tangent) + tail;
    // −1/(tangent + rest), one step of Newton's method from the rounded quotient.
    let inverse = -1.0 / tangent;
    let error = A::mul_add_single(inverse, rest, residual::<A>(inverse, tangent, -1.0));
    let cotangent = A::mul_add_single(inverse, error, inverse);
    if r.quadrant & 1 == 0 { tangent } else { cotangent }
}

macro_rules! circular {
    ($name:ident, |$x:ident| $fast:expr, |$reduced:ident| $slow:expr) => {
        impl Unary<f32> for $name {
            #[inline(always)]
            fn fast<A: Arithmetic>($x: f32) -> f32 {
                $fast
            }

            #[inline(always)]
            fn is_rare(x: f32) -> bool {
                // Infinities and NaN too, by their bits.
                bits(x.abs()) > bits(LIMIT)
            }

            #[inline(always)]
            fn slow<A: Arithmetic>($x: f32) -> f32 {
                if !$x.is_finite() {
                    return f32::NAN;
                }
                let $reduced = reduce_large($x.abs());
                $slow
            }
        }
    };
}

circular!(
    Sin,
    |x| {
        let r = reduce_to_half_turn::<A>(x.abs());
        flip_sign(half_turn_sin::<A>(r), r.quadrant << 30 ^ bits(x))
    },
    |r| flip_sign(sin_of::<A>(r, 0), bits(x))
);
circular!(Cos, |x| sin_of::<A>(reduce::<A>(x.abs()), 1), |r| sin_of::<A>(r, 1));
circular!(Tan, |x| flip_sign(tan_of::<A>(reduce::<A>(x.abs())), bits(x)), |r| flip_sign(tan_of::<A>(r), bits(x)));
