//! Quotients and remainders of floats, of p bits.
//!
//! With n the integer nearest to the rounded quotient, |n| < 2^(p−3), one fused multiply-add gives r = a − n·b exactly. It is
//! a multiple of the last place of b, and of b's size at most, as n is off by little more than a half; or, where |a| < |b|, a
//! multiple of the last place of a and no larger than a: n is 0, or ±1 and b at most twice a. If r has not the other sign than
//! b, n is the quotient rounded down and r the remainder; else these are n − 1 and r + b, rounded once, as in the definition.
//! That rounds its quotient two or three times, by an eighth at most each, which cannot take it to another integer. Rare are
//! larger quotients, and what is infinite or nearly so; NaN goes through.

use super::Divide;
use crate::elementary::functions::{FloorDiv, Rem};
use crate::elementary::{Arithmetic, Binary};

/// a − n·b, which is a float.
#[inline(always)]
fn rest_single<A: Arithmetic>(a: f32, n: f32, b: f32) -> f32 {
    if A::FUSED {
        return A::mul_add_single(-n, b, a);
    }
    (f64::from(a) - f64::from(n) * f64::from(b)) as f32
}

/// a − n·b, which is a float.
#[inline(always)]
fn rest_double<A: Arithmetic>(a: f64, n: f64, b: f64) -> f64 {
    if A::FUSED {
        return A::mul_add(-n, b, a);
    }
    // The product in two parts, from factors in two parts of at most 27 bits (Dekker, 1971). It is at least half of a and at
    // most twice it, or zero, so that the difference is exact.
    let upper = |x: f64| f64::from_bits(x.to_bits() & !0x7ff_ffff);
    let (n_high, b_high) = (upper(n), upper(b));
    let (n_low, b_low) = (n - n_high, b - b_high);
    let product = n * b;
    let error = (((n_high * b_high - product) + n_high * b_low) + n_low * b_high) + n_low * b_low;
    (a - product) - error
}

macro_rules! float {
    ($t:ident, $bits:ident, $rest:ident) => {
        impl Divide for $t {
            #[inline]
            fn rem(self, y: Self) -> Self {
                // `%` is C's fmod: exact, with the sign of the dividend.
                let r = self % y;
                if r == 0.0 {
                    (0.0 as $t).copysign(y)
                } else if (r < 0.0) != (y < 0.0) {
                    r + y
                } else {
                    r
                }
            }

            #[inline]
            fn floor_div(self, y: Self) -> Self {
                if y == 0.0 {
                    return self / y;
                }
                let r = self % y;
                let mut quotient = (self - r) / y;
                if r != 0.0 && (r < 0.0) != (y < 0.0) {
                    quotient -= 1.0;
                }
                if quotient == 0.0 {
                    return (0.0 as $t).copysign(self / y);
                }
                // The quotient is an integer but for its own rounding.
                let floor = quotient.floor();
                if quotient - floor > 0.5 { floor + 1.0 } else { floor }
            }
        }

        const _: () = {
            /// 2^(p−3).
            const LIMIT: $t = (1u64 << ($t::MANTISSA_DIGITS - 3)) as $t;

            /// A quarter of the largest number: beyond, a product might overflow.
            const LARGE: $t = $t::MAX / 4.0;

            /// 3·2^(p−2): a sum with it is rounded to an integer.
            const INTEGERS: $t = 6.0 * LIMIT;

            const SIGN: $bits = 1 << ($bits::BITS - 1);

            #[inline(always)]
            fn is_rare(a: $t, b: $t) -> bool {
                ((a / b).abs() >= LIMIT) | (a.abs() + b.abs() >= LARGE)
            }

            /// The rounded quotient, the integer nearest to it, and what is left then, with the sign bit of b flipped.
            #[inline(always)]
            fn divide<A: Arithmetic>(a: $t, b: $t) -> ($t, $t, $t) {
                let quotient = a / b;
                let nearest = (quotient + INTEGERS) - INTEGERS;
                (quotient, nearest, signed_by($rest::<A>(a, nearest, b), b))
            }

            /// x, with its sign bit flipped if b's is set.
            #[inline(always)]
            fn signed_by(x: $t, b: $t) -> $t {
                $t::from_bits(x.to_bits() ^ (b.to_bits() & SIGN))
            }

            impl Binary<$t> for FloorDiv {
                #[inline(always)]
                fn fast<A: Arithmetic>(a: $t, b: $t) -> $t {
                    let (quotient, nearest, rest) = divide::<A>(a, b);
                    (nearest - if rest < 0.0 { 1.0 } else { 0.0 }).copysign(quotient)
                }
                #[inline(always)]
                fn is_rare(a: $t, b: $t) -> bool {
                    is_rare(a, b)
                }
                fn slow<A: Arithmetic>(a: $t, b: $t) -> $t {
                    a.floor_div(b)
                }
            }

            impl Binary<$t> for Rem {
                /// Zero is added to what is not corrected, which makes −0 of it 0: the result has the sign of b.
                #[inline(always)]
                fn fast<A: Arithmetic>(a: $t, b: $t) -> $t {
                    let (_, _, rest) = divide::<A>(a, b);
                    signed_by(rest + if rest < 0.0 { b.abs() } else { 0.0 }, b)
                }
                #[inline(always)]
                fn is_rare(a: $t, b: $t) -> bool {
                    is_rare(a, b)
                }
                fn slow<A: Arithmetic>(a: $t, b: $t) -> $t {
                    Divide::rem(a, b)
                }
            }
        };
    };
}

float!(f32, u32, rest_single);
float!(f64, u64, rest_double);
