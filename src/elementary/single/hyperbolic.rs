//! Hyperbolic functions and their inverses.

use super::exponential::{clamp, reduce};
use super::logarithm::{log1p, log1p_doubled};
use super::parts::{from_bits, ordered_sum, polynomial, power_of_two, residual};
use crate::elementary::functions::{Acosh, Asinh, Atanh, Cosh, Sinh};
use crate::elementary::{Arithmetic, Unary};

/// (sinh r − r)/r³ for |r| ≤ 0.3475, relative error of sinh r 2⁻³⁴.
const SINH: [f32; 3] = [0.16666667, 0.008333192, 0.00019958409];

/// (cosh r − 1)/r² for |r| ≤ 0.3475, error of cosh r 2⁻³³.
const COSH: [f32; 3] = [0.5, 0.04166645, 0.0013936142];

/// From here on asinh and acosh are ln 2x, and the squares below do not overflow.
const LARGE: f32 = 1e9;

/// sinh and cosh of n·ln 2 and r, where n·ln 2 + r is the size of an argument.
#[derive(Clone, Copy)]
struct Parts {
    /// sinh r and cosh r − 1.
    sinh: f32,
    cosh_less_one: f32,
    /// Those of n·ln 2, halved so that they overflow no earlier than a result, as exact sums of two.
    difference: (f32, f32),
    sum: (f32, f32),
}

#[inline(always)]
fn parts<A: Arithmetic>(x: f32) -> Parts {
    let (n, r) = reduce::<A>(clamp(x.abs(), 0.0, 89.6));
    let square = r * r;
    let up = power_of_two(n - 2);
    // 2⁻ⁿ no longer counts where it would not be a number of this form.
    let down = if n > 60 { 0.0 } else { from_bits((125 - n) << 23) };
    Parts {
        sinh: A::mul_add_single(square * r, polynomial::<A, 3>(square, SINH), r),
        cosh_less_one: square * polynomial::<A, 3>(square, COSH),
        difference: ordered_sum(up, -down),
        sum: ordered_sum(up, down),
    }
}

impl Unary<f32> for Sinh {
    /// sinh n·ln 2 cosh r + cosh n·ln 2 sinh r.
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let Parts { sinh, cosh_less_one, difference, sum } = parts::<A>(x);
        let rest = A::mul_add_single(difference.0, cosh_less_one, difference.1);
        let value = 2.0 * (difference.0 + A::mul_add_single(sum.0, sinh, rest));
        // The half of a subnormal number may not be one.
        let value = if x.abs() < 1e-20 { x } else { value };
        value.copysign(x)
    }
}

impl Unary<f32> for Cosh {
    /// cosh n·ln 2 cosh r + sinh n·ln 2 sinh r.
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let Parts { sinh, cosh_less_one, difference, sum } = parts::<A>(x);
        let rest = A::mul_add_single(sum.0, cosh_less_one, sum.1);
        2.0 * (sum.0 + A::mul_add_single(difference.0, sinh, rest))
    }
}

impl Unary<f32> for Asinh {
    /// ln(1 + x + x²/(1 + s)) with s = √(1 + x²); 1/(x + s) is s − x.
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let size = x.abs();
        let bounded = if size > LARGE { LARGE } else { size };
        let square = bounded * bounded;
        let root = (1.0 + square).sqrt();
        let (sum, rest) = ordered_sum(bounded, square / (1.0 + root));
        let argument = if size > LARGE { size } else { sum };
        let value = log1p_doubled::<A>(argument, rest * (root - bounded), size > LARGE);
        // Infinity and NaN stay.
        (if size < f32::INFINITY { value } else { size }).copysign(x)
    }
}

impl Unary<f32> for Acosh {
    /// ln(1 + t + s) with t = x − 1 and s = √(t(t + 2)); 1/(x + s) is x − s.
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let bounded = if x > LARGE { LARGE } else { x };
        let t = bounded - 1.0;
        let (factor, factor_rest) = ordered_sum(2.0, t);
        let square = t * factor;
        let root = square.sqrt();
        let square_rest = A::mul_add_single(t, factor_rest, residual::<A>(t, factor, square));
        // The summand avoids 0/0 and changes no other root.
        let root_rest = (square_rest - residual::<A>(root, root, square)) / (root + root + 1e-20);
        let (sum, rest) = ordered_sum(root, t);
        let argument = if x > LARGE { x } else { sum };
        // Beside a large argument the rest does not count, and the inverse would be noise.
        let inverse = if x < 4096.0 { x - root } else { 0.0 };
        let value = log1p_doubled::<A>(argument, (rest + root_rest) * inverse, x > LARGE);
        let value = if x >= 1.0 { value } else { f32::NAN };
        if x == f32::INFINITY { x } else { value }
    }
}

impl Unary<f32> for Atanh {
    /// ln(1 + q)/2 with q = 2x/(1 − x).
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let size = x.abs();
        let divisor = 1.0 - size;
        let divisor_rest = (1.0 - divisor) - size;
        let quotient = 2.0 * size / divisor;
        // What the quotient lacks, times the divisor; its share in the result is that over 1 + x, taken roughly.
        let rest = A::mul_add_single(-quotient, divisor_rest, -residual::<A>(quotient, divisor, 2.0 * size));
        let value = 0.5 * log1p::<A>(quotient, rest * A::mul_add_single(size, -0.5, 0.957));
        let limit = if size == 1.0 { f32::INFINITY } else { f32::NAN };
        (if size < 1.0 { value } else { limit }).copysign(x)
    }
}
