//! A single number as lanes.

use std::marker::PhantomData;

use super::{Lanes, On, Piecewise, PiecewiseSingle, SPLIT, Split, Table, Wide};
use crate::elementary::Arithmetic;
use crate::elementary::double::{clamp, scale};

/// A type of floats.
pub(in crate::elementary) trait Number: Copy + 'static {
    const ZERO: Self;
    const ONE: Self;
}

/// A number.
pub(super) struct Single<T, A>(T, PhantomData<A>);

impl<T: Copy, A> Clone for Single<T, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Copy, A> Copy for Single<T, A> {}

/// The value of a function at a number.
#[inline(always)]
#[allow(private_bounds)]
pub(in crate::elementary) fn single<F: On<Single<T, A>>, T, A>(x: T) -> T {
    F::values(Single(x, PhantomData)).0
}

macro_rules! number {
    ($number:ident $bits:ident $piecewise:ident $mul_add:ident, $half:literal) => {
        impl Number for $number {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
        }

        impl<A: Arithmetic> Lanes<$number> for Single<$number, A> {
            const FUSED: bool = A::FUSED;

            #[inline(always)]
            fn splat(self, value: $number) -> Self {
                Self(value, PhantomData)
            }

            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.splat(self.0 + other.0)
            }

            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self.splat(self.0 - other.0)
            }

            #[inline(always)]
            fn times(self, other: Self) -> Self {
                self.splat(self.0 * other.0)
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                self.splat(A::$mul_add(self.0, factor.0, addend.0))
            }

            #[inline(always)]
            fn magnitude(self, bound: $number) -> Self {
                self.splat(if self.0.abs() > bound { bound } else { self.0.abs() })
            }

            #[inline(always)]
            fn copysign(self, other: Self) -> Self {
                self.splat(self.0.copysign(other.0))
            }

            #[inline(always)]
            fn upper(self) -> Self {
                self.splat(<$number>::from_bits(self.0.to_bits() & ($bits::MAX << $half)))
            }

            #[inline(always)]
            fn coefficients(self, table: &'static Table<$number>, pair: usize) -> [Self; 2] {
                let row = table.row(u64::from(self.0.to_bits()));
                [self.splat(row[2 * pair]), self.splat(row[2 * pair + 1])]
            }
        }

        impl<F: $piecewise, A: Arithmetic> On<Single<$number, A>> for F {
            #[inline(always)]
            fn values(x: Single<$number, A>) -> Single<$number, A> {
                F::on(x)
            }

            #[inline(always)]
            fn are_usual(x: Single<$number, A>) -> bool {
                <F as $piecewise>::are_usual(x)
            }

            #[inline(always)]
            fn usual_values(x: Single<$number, A>) -> Single<$number, A> {
                F::on_usual(x)
            }
        }
    };
}

number!(f64 u64 Piecewise mul_add, 27);
number!(f32 u32 PiecewiseSingle mul_add_single, 12);

impl<A: Arithmetic> Wide for Single<f64, A> {
    #[inline(always)]
    fn if_less(self, bound: f64, then: Self, otherwise: Self) -> Self {
        if self.0 < bound { then } else { otherwise }
    }

    #[inline(always)]
    fn all_within(self, low: f64, high: f64) -> bool {
        (low <= self.0) & (self.0 < high)
    }

    #[inline(always)]
    fn split(self, start: f64) -> Split<Self> {
        const ONE: u64 = 1f64.to_bits();
        let shifted = self.0.to_bits().wrapping_add(ONE - start.to_bits());
        let significand = shifted & ((1 << 52) - 1);
        let number = |bits| self.splat(f64::from_bits(bits));
        Split {
            sixteenths: number(shifted >> 48 | SPLIT.to_bits() & u64::MAX << 52),
            m: number(significand.wrapping_add(start.to_bits())),
            inverse: number((2 * ONE).wrapping_sub(shifted - significand)),
        }
    }

    #[inline(always)]
    fn clamp(self, low: f64, high: f64) -> Self {
        self.splat(clamp(self.0, low, high))
    }

    #[inline(always)]
    fn times_power(self, sixteenths: Self) -> Self {
        self.splat(scale(self.0, sixteenths.0.to_bits() >> 4))
    }
}
