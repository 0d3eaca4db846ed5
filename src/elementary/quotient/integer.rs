//! Quotients and remainders of integers.
//!
//! Kernels divide them as floats of p bits. Where a has less, ⌊a / b⌋ is that of the rounded quotient: a quotient that is no
//! integer is at least |1 / b| from the next, a part |1 / a| > 2⁻ᵖ of itself, so it is not rounded as far as there. The quotient
//! times b is between a − b and a, hence exact, and so is the remainder. Rare are 64-bit numbers of size 2⁵⁰ and more.

use super::Divide;
use crate::elementary::functions::{FloorDiv, Rem};
use crate::elementary::{Arithmetic, Binary};

/// 3·2^(p−2): a sum with it is rounded to an integer, and its last bits are those of that.
const INTEGERS_SINGLE: f32 = 12_582_912.0;
const INTEGERS_DOUBLE: f64 = 6_755_399_441_055_744.0;

/// Below this size 64-bit numbers are not rare.
const LIMIT: u64 = 1 << 50;

macro_rules! signed_definition {
    ($($t:ident)*) => { $(
        impl Divide for $t {
            #[inline]
            fn floor_div(self, y: Self) -> Self {
                if y == 0 {
                    return 0;
                }
                let quotient = self.wrapping_div(y);
                let remainder = self.wrapping_rem(y);
                if remainder != 0 && (remainder < 0) != (y < 0) { quotient - 1 } else { quotient }
            }

            #[inline]
            fn rem(self, y: Self) -> Self {
                if y == 0 {
                    return 0;
                }
                let remainder = self.wrapping_rem(y);
                if remainder != 0 && (remainder < 0) != (y < 0) { remainder + y } else { remainder }
            }
        }
    )* };
}

macro_rules! unsigned_definition {
    ($($t:ident)*) => { $(
        impl Divide for $t {
            #[inline]
            fn floor_div(self, y: Self) -> Self {
                self.checked_div(y).unwrap_or(0)
            }

            #[inline]
            fn rem(self, y: Self) -> Self {
                self.checked_rem(y).unwrap_or(0)
            }
        }
    )* };
}

signed_definition!(i8 i32 i64);
unsigned_definition!(u8 u32 u64);

/// The float of an integer of less bits than one has, which without AVX-512 not all are converted to; of 64-bit numbers only
/// those that are not rare. One way for all: where there is an instruction, the compiler was seen to make scalar code of it.
#[inline(always)]
fn double(x: u64) -> f64 {
    f64::from_bits(INTEGERS_DOUBLE.to_bits().wrapping_add(x)) - INTEGERS_DOUBLE
}

/// As `double`.
#[inline(always)]
fn single(x: u64) -> f32 {
    f32::from_bits(INTEGERS_SINGLE.to_bits().wrapping_add(x as u32)) - INTEGERS_SINGLE
}

#[inline(always)]
fn never<T>(_: T, _: T) -> bool {
    false
}

#[inline(always)]
fn is_rare_signed(a: i64, b: i64) -> bool {
    let above = |x: i64| (x as u64).wrapping_add(LIMIT);
    (above(a) | above(b)) >= 2 * LIMIT
}

#[inline(always)]
fn is_rare_unsigned(a: u64, b: u64) -> bool {
    (a | b) >= LIMIT
}

macro_rules! kernels {
    ($t:ident, $float:ident, $of:ident, $integers:ident, $is_rare:ident) => {
        const _: () = {
            #[inline(always)]
            fn float(x: $t) -> $float {
                $of(x as u64)
            }

            /// The way back.
            #[inline(always)]
            fn integer(x: $float) -> $t {
                (x + $integers).to_bits().wrapping_sub($integers.to_bits()) as $t
            }

            /// ⌊a / b⌋, which is nothing where b is 0.
            #[inline(always)]
            fn floor(a: $float, b: $float) -> $float {
                let quotient = a / b;
                let nearest = (quotient + $integers) - $integers;
                if nearest > quotient { nearest - 1.0 } else { nearest }
            }

            impl Binary<$t> for FloorDiv {
                #[inline(always)]
                fn fast<A: Arithmetic>(a: $t, b: $t) -> $t {
                    let quotient = floor(float(a), float(b));
                    integer(if b == 0 { 0.0 } else { quotient })
                }
                #[inline(always)]
                fn is_rare(a: $t, b: $t) -> bool {
                    $is_rare(a, b)
                }
                fn slow<A: Arithmetic>(a: $t, b: $t) -> $t {
                    a.floor_div(b)
                }
            }

            impl Binary<$t> for Rem {
                #[inline(always)]
                fn fast<A: Arithmetic>(a: $t, b: $t) -> $t {
                    let (x, y) = (float(a), float(b));
                    let remainder = x - floor(x, y) * y;
                    integer(if b == 0 { 0.0 } else { remainder })
                }
                #[inline(always)]
                fn is_rare(a: $t, b: $t) -> bool {
                    $is_rare(a, b)
                }
                fn slow<A: Arithmetic>(a: $t, b: $t) -> $t {
                    Divide::rem(a, b)
                }
            }
        };
    };
}

kernels!(i8, f32, single, INTEGERS_SINGLE, never);
kernels!(u8, f32, single, INTEGERS_SINGLE, never);
kernels!(i32, f64, double, INTEGERS_DOUBLE, never);
kernels!(u32, f64, double, INTEGERS_DOUBLE, never);
kernels!(i64, f64, double, INTEGERS_DOUBLE, is_rare_signed);
kernels!(u64, f64, double, INTEGERS_DOUBLE, is_rare_unsigned);
