//! Logarithms from a table of reciprocals (Tang, "Table-driven implementation of the logarithm function in IEEE
//! floating-point arithmetic", ACM TOMS 16, 1990).
//!
//! x = 2ᵏ·m and ln x = k·ln 2 − ln c + ln(1 + r), r = m·c − 1, where c is near 1/m and depends on the sixteenth of its
//! binade in which m lies. About 1 it is 1 itself, and k = 0: what is left is ln(1 + r) with all its bits. The others are chosen (after
//! Gal and Bachelis, ACM TOMS 17, 1991) such that −ln c is a number of few bits, but for less than an error of the result: its sum
//! with the multiple of ln 2 is exact. Must not know: vectors.

use super::piecewise::{SPLIT, Split, Table, Wide};

/// A logarithm to a base.
pub(super) struct TableLogarithm<const N: usize> {
    /// Where the binade of m begins.
    pub(super) start: f64,
    /// The logarithm of 2 in two parts, of which the first has so few bits that its product with k in sixteenths is exact.
    pub(super) of_two: [f64; 2],
    /// c, and −log c less the multiple of log 2 by the sixteenths from 1 on.
    pub(super) table: &'static Table<f64>,
    /// The logarithm of e in two parts, if it is not 1.
    pub(super) slope: Option<[f64; 2]>,
    /// (log(1 + r) − r·slope)/r².
    pub(super) series: [f64; N],
}

/// Beside it 1 is lost, and its inverse is normal.
const LARGE: f64 = f64::from_bits(2023 << 52);

/// Beyond half the bits of 1.
const SMALL: f64 = f64::from_bits(1003 << 52);

/// A power of two that makes subnormal numbers normal, and its exponent.
const FACTOR: f64 = (1u64 << 54) as f64;
const LIFT: f64 = 54.0;

/// The least positive number.
const LEAST: f64 = f64::from_bits(1);

impl<const N: usize> TableLogarithm<N> {
    /// Whether `usual` serves all.
    #[inline(always)]
    pub(super) fn are_usual<L: Wide>(&self, x: L) -> bool {
        x.all_within(f64::MIN_POSITIVE, f64::INFINITY)
    }

    /// The logarithm of positive, finite, normal numbers.
    #[inline(always)]
    pub(super) fn usual<L: Wide>(&self, x: L) -> L {
        let Split { sixteenths, m, .. } = x.split(self.start);
        let [c, offset] = sixteenths.coefficients(self.table, 0);
        let k = sixteenths.minus(x.splat(SPLIT));
        self.sum(k, offset, m.product_plus(c, x.splat(-1.0)))
    }

    /// The logarithm of any numbers.
    #[inline(always)]
    pub(super) fn any<L: Wide>(&self, x: L) -> L {
        let normal = x.if_less(f64::MIN_POSITIVE, x.times(x.splat(FACTOR)), x);
        let lift = x.if_less(f64::MIN_POSITIVE, x.splat(LIFT), x.splat(0.0));
        let Split { sixteenths, m, .. } = normal.split(self.start);
        let [c, offset] = sixteenths.coefficients(self.table, 0);
        let k = sixteenths.minus(x.splat(SPLIT)).minus(lift);
        special(x, self.sum(k, offset, m.product_plus(c, x.splat(-1.0))))
    }

    /// Whether `usual_of_one_plus` serves all.
    #[inline(always)]
    pub(super) fn are_usual_with_one<L: Wide>(&self, x: L) -> bool {
        x.splat(1.0).plus(x).all_within(SMALL, LARGE)
    }

    /// The logarithm of 1 + x where that is positive, not small and not large.
    #[inline(always)]
    pub(super) fn usual_of_one_plus<L: Wide>(&self, x: L) -> L {
        let Split { sixteenths, inverse, .. } = x.splat(1.0).plus(x).split(self.start);
        let [c, offset] = sixteenths.coefficients(self.table, 0);
        let k = sixteenths.minus(x.splat(SPLIT));
        // Of zeros the sign counts.
        self.sum(k, offset, remainder(x, inverse, c)).copysign(x)
    }

    /// The logarithm of 1 + x.
    #[inline(always)]
    pub(super) fn any_of_one_plus<L: Wide>(&self, x: L) -> L {
        let sum = x.splat(1.0).plus(x);
        let Split { sixteenths, m, inverse } = sum.split(self.start);
        let [c, offset] = sixteenths.coefficients(self.table, 0);
        let k = sixteenths.minus(x.splat(SPLIT));
        // Beyond both bounds the sum has no rounding that counts.
        let whole = m.product_plus(c, x.splat(-1.0));
        let r = sum.if_less(SMALL, whole, sum.if_less(LARGE, remainder(x, inverse, c), whole));
        special(sum, self.sum(k, offset, r)).copysign(x)
    }

    /// The sum of all parts.
    #[inline(always)]
    fn sum<L: Wide>(&self, k: L, offset: L, r: L) -> L {
        let [two, two_low] = self.of_two.map(|part| r.splat(part));
        // Exact.
        let start = k.mul_add(two, offset);
        let (linear, low) = match self.slope {
            None => (r, k.times(two_low)),
            Some(slope) => {
                let [slope, slope_low] = slope.map(|part| r.splat(part));
                let product = r.times(slope);
                let rest = r.product_plus(slope, product.times(r.splat(-1.0)));
                (product, k.mul_add(two_low, r.mul_add(slope_low, rest)))
            }
        };
        let square = r.times(r);
        let low = square.mul_add(self.curve(r, square), low);
        let sum = start.plus(linear);
        sum.plus(start.minus(sum).plus(linear).plus(low))
    }

    /// The series at r, by Horner's rule in pairs of terms.
    #[inline(always)]
    fn curve<L: Wide>(&self, r: L, square: L) -> L {
        let coefficient = |i: usize| r.splat(self.series[i]);
        let pair = |i: usize| coefficient(i + 1).mul_add(r, coefficient(i));
        let mut i = N - 2 + N % 2;
        let mut sum = if N % 2 == 1 { coefficient(N - 1) } else { pair(i) };
        while i > 0 {
            i -= 2;
            sum = sum.mul_add(square, pair(i));
        }
        sum
    }
}

/// (1 + x)·2⁻ᵏ·c − 1 with one rounding that counts: c has so few bits that only small 2⁻ᵏ·c − 1 are rounded.
#[inline(always)]
fn remainder<L: Wide>(x: L, inverse: L, c: L) -> L {
    x.times(inverse).product_plus(c, inverse.mul_add(c, x.splat(-1.0)))
}

/// The logarithm of x where that is not positive and finite, else `result`.
#[inline(always)]
fn special<L: Wide>(x: L, result: L) -> L {
    let result = x.if_less(f64::INFINITY, result, x);
    let below = x.if_less(0.0, x.splat(f64::NAN), x.splat(0.0).minus(x.splat(f64::INFINITY)));
    x.if_less(LEAST, below, result)
}

#[cfg(test)]
mod tests {
    use crate::elementary::functions::{Log1p, Log2, Log10};
    use crate::elementary::{Separate, define_unary, unary};

    #[test]
    fn logarithms_of_powers_of_two_are_exact() {
        for k in -1074..1024 {
            // Subnormal ones by halves.
            let power = 2f64.powi(k / 2) * 2f64.powi(k - k / 2);
            assert_eq!(define_unary::<Log2, f64>(power), f64::from(k));
        }
    }

    #[test]
    fn logarithms_at_the_ends_are_those_of_ieee_754() {
        for log in [define_unary::<Log2, f64>, define_unary::<Log10, f64>, |x| define_unary::<Log1p, f64>(x - 1.0)] {
            assert_eq!([1.0, 0.0, -0.0, f64::INFINITY].map(log), [0.0, -f64::INFINITY, -f64::INFINITY, f64::INFINITY]);
            assert!(
                [-1e-300, -3.0, -f64::INFINITY, f64::NAN].map(|x| log(x - f64::EPSILON)).iter().all(|y| y.is_nan())
            );
        }
    }

    #[test]
    fn of_one_plus_little_that_is_left() {
        for x in [0.0, 5e-324, 1e-310, 1e-200, 1e-17] {
            for x in [x, -x] {
                assert_eq!(define_unary::<Log1p, f64>(x).to_bits(), x.to_bits());
            }
        }
        for x in [f64::MAX, -1.0 + f64::EPSILON / 2.0, -1.0 + 3.0 * f64::EPSILON, -1.0 + 2f64.powi(-20)] {
            let ([result, separate], expected) = (log1p(x), (1.0 + x).ln());
            assert!((result - expected).abs() <= expected.abs() * f64::EPSILON);
            assert!((separate - expected).abs() <= expected.abs() * f64::EPSILON);
        }
    }

    /// With fused multiply-add and without.
    fn log1p(x: f64) -> [f64; 2] {
        [define_unary::<Log1p, f64>(x), unary::<Log1p, f64, Separate>(x)]
    }
}
