//! Logarithms from a table of reciprocals (Tang, "Table-driven implementation of the logarithm function in IEEE
//! floating-point arithmetic", ACM TOMS 16, 1990).
//!
//! x = 2ᵏ·m and ln x = k·ln 2 − ln c + ln(1 + r), r = m·c − 1, where c is near 1/m and depends on the sixteenth of its
//! binade in which m lies. About 1 it is 1 itself, and k = 0: what is left is ln(1 + r) with all its bits. The others are chosen (after
//! Gal and Bachelis, ACM TOMS 17, 1991) such that −ln c is a number of few bits, but for less than an error of the result: its sum
//! with the multiple of ln 2 is exact. Must not know: the type of numbers.

use super::piecewise::{Lanes, Number, Split, Table};

/// A logarithm to a base.
pub(super) struct TableLogarithm<T: 'static, const N: usize> {
    /// Where the binade of m begins.
    pub(super) start: T,
    /// The logarithm of 2 in two parts, of which the first has so few bits that its product with k in sixteenths is exact.
    pub(super) of_two: [T; 2],
    /// c, and −log c less the multiple of log 2 by the sixteenths from 1 on.
    pub(super) table: &'static Table<T>,
    /// The logarithm of e in two parts, if it is not 1.
    pub(super) slope: Option<[T; 2]>,
    /// (log(1 + r) − r·slope)/r².
    pub(super) series: [T; N],
}

impl<T: Number, const N: usize> TableLogarithm<T, N> {
    /// Whether `usual` serves all.
    #[inline(always)]
    pub(super) fn are_usual<L: Lanes<T>>(&self, x: L) -> bool {
        x.all_within(T::MIN_POSITIVE, T::INFINITY)
    }

    /// The logarithm of positive, finite, normal numbers.
    #[inline(always)]
    pub(super) fn usual<L: Lanes<T>>(&self, x: L) -> L {
        let Split { sixteenths, m, .. } = x.split(self.start);
        let [c, offset] = sixteenths.coefficients(self.table, 0);
        let k = sixteenths.minus(x.splat(T::SPLIT));
        self.sum(k, offset, m.product_plus(c, x.splat(T::MINUS_ONE)))
    }

    /// The logarithm of any numbers.
    #[inline(always)]
    pub(super) fn any<L: Lanes<T>>(&self, x: L) -> L {
        let (factor, exponent) = T::LIFT;
        let normal = x.if_less(T::MIN_POSITIVE, x.times(x.splat(factor)), x);
        let lift = x.if_less(T::MIN_POSITIVE, x.splat(exponent), x.splat(T::ZERO));
        let Split { sixteenths, m, .. } = normal.split(self.start);
        let [c, offset] = sixteenths.coefficients(self.table, 0);
        let k = sixteenths.minus(x.splat(T::SPLIT)).minus(lift);
        special(x, self.sum(k, offset, m.product_plus(c, x.splat(T::MINUS_ONE))))
    }

    /// Whether `usual_of_one_plus` serves all.
    #[inline(always)]
    pub(super) fn are_usual_with_one<L: Lanes<T>>(&self, x: L) -> bool {
        x.splat(T::ONE).plus(x).all_within(T::SMALL, T::LARGE)
    }

    /// The logarithm of 1 + x where that is positive, not small and not large.
    #[inline(always)]
    pub(super) fn usual_of_one_plus<L: Lanes<T>>(&self, x: L) -> L {
        let Split { sixteenths, inverse, .. } = x.splat(T::ONE).plus(x).split(self.start);
        let [c, offset] = sixteenths.coefficients(self.table, 0);
        let k = sixteenths.minus(x.splat(T::SPLIT));
        // Of zeros the sign counts.
        self.sum(k, offset, remainder(x, inverse, c)).copysign(x)
    }

    /// The logarithm of 1 + x.
    #[inline(always)]
    pub(super) fn any_of_one_plus<L: Lanes<T>>(&self, x: L) -> L {
        let sum = x.splat(T::ONE).plus(x);
        let Split { sixteenths, m, inverse } = sum.split(self.start);
        let [c, offset] = sixteenths.coefficients(self.table, 0);
        let k = sixteenths.minus(x.splat(T::SPLIT));
        // Beyond both bounds the sum has no rounding that counts.
        let whole = m.product_plus(c, x.splat(T::MINUS_ONE));
        let r = sum.if_less(T::SMALL, whole, sum.if_less(T::LARGE, remainder(x, inverse, c), whole));
        special(sum, self.sum(k, offset, r)).copysign(x)
    }

    /// The sum of all parts.
    #[inline(always)]
    fn sum<L: Lanes<T>>(&self, k: L, offset: L, r: L) -> L {
        let [two, two_low] = self.of_two.map(|part| r.splat(part));
        // Exact.
        let start = k.mul_add(two, offset);
        let (linear, low) = match self.slope {
            None => (r, k.times(two_low)),
            Some(slope) => {
                let [slope, slope_low] = slope.map(|part| r.splat(part));
                let product = r.times(slope);
                let rest = r.product_plus(slope, product.times(r.splat(T::MINUS_ONE)));
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
    fn curve<L: Lanes<T>>(&self, r: L, square: L) -> L {
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
fn remainder<T: Number, L: Lanes<T>>(x: L, inverse: L, c: L) -> L {
    x.times(inverse).product_plus(c, inverse.mul_add(c, x.splat(T::MINUS_ONE)))
}

/// The logarithm of x where that is not positive and finite, else `result`.
#[inline(always)]
fn special<T: Number, L: Lanes<T>>(x: L, result: L) -> L {
    let result = x.if_less(T::INFINITY, result, x);
    let below = x.if_less(T::ZERO, x.splat(T::NAN), x.splat(T::ZERO).minus(x.splat(T::INFINITY)));
    x.if_less(T::LEAST, below, result)
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
