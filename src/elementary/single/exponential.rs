//! eˣ, 2ˣ and eˣ − 1.
//!
//! The argument is n·ln 2 + r with |r| ≤ ln 2 / 2 after Cody and Waite (Software Manual for the Elementary Functions,
//! 1980), the function of r a polynomial.

use super::parts::{ROUND, integer, ordered_sum, polynomial, power_of_two, scale, scale_normal};
use crate::elementary::functions::{Exp, Exp2, Expm1};
use crate::elementary::{Arithmetic, Unary};

/// ln 2 in 16 bits, so that products with exponents are exact, and the rest.
pub(super) const LN2_HIGH: f32 = 0.693_145_75;
pub(super) const LN2_LOW: f32 = 1.428_606_8e-6;

/// eʳ for |r| ≤ 0.3475, relative error 2⁻²⁸·¹.
const EXP: [f32; 7] = [1.0, 1.0, 0.4999999, 0.1666652, 0.041668955, 0.008368853, 0.0013783597];

/// (eʳ − 1 − r)/r² for |r| ≤ 0.3475, relative error of eʳ − 1 2⁻³¹.
const EXPM1: [f32; 6] = [0.5, 0.16666666, 0.041666478, 0.008333567, 0.0013933743, 0.00019743662];

/// 2ʳ for |r| ≤ 0.501, relative error 2⁻³².
const EXP2: [f32; 8] = [
    1.0,
    std::f32::consts::LN_2,
    0.240_226_5,
    0.055_504_05,
    0.009_618_082,
    0.001_333_811_1,
    0.000_154_543_32,
    0.000_014_257_582,
];

/// (n, r) with x = n·ln 2 + r, for |x| < 200.
#[inline(always)]
pub(super) fn reduce<A: Arithmetic>(x: f32) -> (i32, f32) {
    let sum = A::mul_add_single(x, std::f32::consts::LOG2_E, ROUND);
    let n = sum - ROUND;
    let r = A::mul_add_single(n, -LN2_HIGH, x);
    (integer(sum), A::mul_add_single(n, -LN2_LOW, r))
}

/// eʳ for |r| ≤ 0.3475.
#[inline(always)]
pub(super) fn exp_reduced<A: Arithmetic>(r: f32) -> f32 {
    polynomial::<A, 7>(r, EXP)
}

/// x, or the nearer bound where it lies outside; NaN stays.
#[inline(always)]
pub(super) fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x > high { high } else { x };
    if x < low { low } else { x }
}

impl Unary<f32> for Exp {
    const HAS_USUAL: bool = true;

    /// Where the result is a normal number.
    #[inline(always)]
    fn is_usual(x: f32) -> bool {
        x.abs().to_bits() < 87f32.to_bits()
    }

    #[inline(always)]
    fn usual<A: Arithmetic>(x: f32) -> f32 {
        let (n, r) = reduce::<A>(x);
        scale_normal(exp_reduced::<A>(r), n)
    }

    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let (n, r) = reduce::<A>(clamp(x, -105.0, 90.0));
        scale(exp_reduced::<A>(r), n)
    }
}

impl Unary<f32> for Exp2 {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let x = clamp(x, -152.0, 130.0);
        let sum = x + ROUND;
        let r = x - (sum - ROUND);
        scale(polynomial::<A, 8>(r, EXP2), integer(sum))
    }
}

impl Unary<f32> for Expm1 {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let x_clamped = clamp(x, -18.0, 88.8);
        let sum = A::mul_add_single(x_clamped, std::f32::consts::LOG2_E, ROUND);
        let n = sum - ROUND;
        let start = A::mul_add_single(n, -LN2_HIGH, x_clamped);
        let r = A::mul_add_single(n, -LN2_LOW, start);
        let r_low = A::mul_add_single(n, -LN2_LOW, start - r);
        // 2ⁿeʳ − 1 by halves, which overflow no earlier than the result: h − 1/2 + h·r + h(eʳ − 1 − r).
        let half = power_of_two(integer(sum) - 1);
        let difference = half - 0.5;
        let lost = (half - difference) - 0.5;
        let (high, rest) = ordered_sum(difference, half * r);
        let tail = A::mul_add_single(r * r, polynomial::<A, 6>(r, EXPM1), r_low);
        let value = 2.0 * (high + A::mul_add_single(half, tail, rest + lost));
        // The half of a subnormal number may not be one.
        if x.abs() < 1e-20 { x } else { value }
    }
}
