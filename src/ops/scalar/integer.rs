//! Elementwise operations on integers.
//!
//! Invariants: no function panics, whatever the operands. What does not fit wraps modulo 2ⁿ; a division by zero gives
//! 0; the remainder has the sign of the divisor, as in Python.
//!
//! Must not know: which engine asks.

use crate::elementary::Divide;

mod sealed {
    pub trait Sealed {}
}

/// An integer type with the definition of every elementwise operation on it.
///
/// Sealed: `i8`, `u8`, `i32`, `u32`, `i64`, `u64`. On a concrete type call `Integer::abs(x)`, because `x.abs()` would
/// pick the standard library's method.
pub trait Integer: Copy + Ord + sealed::Sealed + 'static {
    /// The number modulo 2⁶⁴.
    fn word(self) -> u64;
    /// −x, wrapping.
    fn neg(self) -> Self;
    /// |x|, wrapping: the least number stays itself.
    fn abs(self) -> Self;
    /// −1, 0 or 1.
    fn sign(self) -> Self;
    /// All bits flipped.
    fn not(self) -> Self;
    /// x + y, wrapping.
    fn add(self, y: Self) -> Self;
    /// x − y, wrapping.
    fn sub(self, y: Self) -> Self;
    /// x · y, wrapping.
    fn mul(self, y: Self) -> Self;
    /// ⌊x / y⌋; 0 if y = 0, and the least number over −1 is itself.
    fn floor_div(self, y: Self) -> Self;
    /// x − y·⌊x / y⌋, with the sign of y; 0 if y = 0.
    fn rem(self, y: Self) -> Self;
    /// x to the power y, wrapping. A negative power is the exact one truncated: ±1 for x = ±1, else 0.
    fn pow(self, y: Self) -> Self;
    /// The larger one.
    fn maximum(self, y: Self) -> Self;
    /// The smaller one.
    fn minimum(self, y: Self) -> Self;
    /// Bitwise and.
    fn and(self, y: Self) -> Self;
    /// Bitwise or.
    fn or(self, y: Self) -> Self;
    /// Bitwise exclusive or.
    fn xor(self, y: Self) -> Self;
    /// x shifted left by y bits, as NumPy: 0 if y is negative or not less than the width.
    fn shl(self, y: Self) -> Self;
    /// x shifted right by y bits, filling with the sign, as NumPy: 0 (−1 if x < 0) if y is negative or not less than
    /// the width.
    fn shr(self, y: Self) -> Self;
}

/// The methods that are written alike for signed and unsigned types.
macro_rules! shared {
    ($t:ty) => {
        #[inline]
        fn word(self) -> u64 {
            self as u64
        }

        #[inline]
        fn neg(self) -> Self {
            self.wrapping_neg()
        }

        #[inline]
        fn not(self) -> Self {
            !self
        }

        #[inline]
        fn add(self, y: Self) -> Self {
            self.wrapping_add(y)
        }

        #[inline]
        fn sub(self, y: Self) -> Self {
            self.wrapping_sub(y)
        }

        #[inline]
        fn mul(self, y: Self) -> Self {
            self.wrapping_mul(y)
        }

        #[inline]
        fn floor_div(self, y: Self) -> Self {
            Divide::floor_div(self, y)
        }

        #[inline]
        fn rem(self, y: Self) -> Self {
            Divide::rem(self, y)
        }

        #[inline]
        fn maximum(self, y: Self) -> Self {
            Ord::max(self, y)
        }

        #[inline]
        fn minimum(self, y: Self) -> Self {
            Ord::min(self, y)
        }

        #[inline]
        fn and(self, y: Self) -> Self {
            self & y
        }

        #[inline]
        fn or(self, y: Self) -> Self {
            self | y
        }

        #[inline]
        fn xor(self, y: Self) -> Self {
            self ^ y
        }

        #[inline]
        fn shl(self, y: Self) -> Self {
            u32::try_from(y).ok().and_then(|bits| self.checked_shl(bits)).unwrap_or(0)
        }
    };
}

/// x to a non-negative power by squaring, for an exponent wider than the standard method takes.
macro_rules! power_by_squaring {
    ($x:expr, $y:expr) => {{
        let (mut base, mut exponent, mut result) = ($x, $y, 1);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = base.wrapping_mul(result);
            }
            base = base.wrapping_mul(base);
            exponent >>= 1;
        }
        result
    }};
}

macro_rules! signed {
    ($($t:ty),*) => { $(
        impl sealed::Sealed for $t {}

        impl Integer for $t {
            shared!($t);

            #[inline]
            fn abs(self) -> Self {
                self.wrapping_abs()
            }

            #[inline]
            fn sign(self) -> Self {
                self.signum()
            }

            #[inline]
            fn pow(self, y: Self) -> Self {
                if y >= 0 {
                    return power_by_squaring!(self, y);
                }
                match self {
                    1 => 1,
                    -1 => if y & 1 == 0 { 1 } else { -1 },
                    _ => 0,
                }
            }

            #[inline]
            fn shr(self, y: Self) -> Self {
                let fill = if self < 0 { -1 } else { 0 };
                u32::try_from(y).ok().and_then(|bits| self.checked_shr(bits)).unwrap_or(fill)
            }
        }
    )* };
}

macro_rules! unsigned {
    ($($t:ty),*) => { $(
        impl sealed::Sealed for $t {}

        impl Integer for $t {
            shared!($t);

            #[inline]
            fn abs(self) -> Self {
                self
            }

            #[inline]
            fn sign(self) -> Self {
                Ord::min(self, 1)
            }

            #[inline]
            fn pow(self, y: Self) -> Self {
                power_by_squaring!(self, y)
            }

            #[inline]
            fn shr(self, y: Self) -> Self {
                u32::try_from(y).ok().and_then(|bits| self.checked_shr(bits)).unwrap_or(0)
            }
        }
    )* };
}

signed!(i8, i32, i64);
unsigned!(u8, u32, u64);

#[cfg(test)]
mod tests {
    use super::Integer;

    /// Every pair of 8-bit operands against wider arithmetic.
    #[test]
    fn bytes_agree_with_wide_arithmetic() {
        for x in i8::MIN..=i8::MAX {
            for y in i8::MIN..=i8::MAX {
                let (a, b) = (i32::from(x), i32::from(y));
                assert_eq!(x.mul(y), (a * b) as i8);
                if y != 0 {
                    let floor = (f64::from(a) / f64::from(b)).floor() as i32;
                    assert_eq!(x.floor_div(y), floor as i8, "{x} floor_div {y}");
                    assert_eq!(Integer::rem(x, y), (a - b * floor) as i8, "{x} rem {y}");
                }
                if (0..8).contains(&y) {
                    assert_eq!(Integer::shl(x, y), (a << b) as i8);
                    assert_eq!(Integer::shr(x, y), (a >> b) as i8);
                }
                if y >= 0 {
                    let power = (0..y).fold(1i8, |product, _| product.wrapping_mul(x));
                    assert_eq!(Integer::pow(x, y), power, "{x} pow {y}");
                }
            }
        }
    }

    #[test]
    fn edges_neither_panic_nor_surprise() {
        assert_eq!((5.floor_div(0), Integer::rem(5, 0), 5u8.floor_div(0), Integer::rem(5u64, 0)), (0, 0, 0, 0));
        assert_eq!((i64::MIN.floor_div(-1), Integer::rem(i64::MIN, -1)), (i64::MIN, 0));
        assert_eq!((Integer::abs(i32::MIN), Integer::neg(1u8), Integer::sign(7u32)), (i32::MIN, 255, 1));
        assert_eq!(
            (Integer::shl(1, 32), Integer::shl(1, -1), Integer::shr(-8, 99), Integer::shr(8, -1)),
            (0, 0, -1, 0)
        );
        assert_eq!((Integer::shl(1u64, u64::MAX), Integer::shr(9u8, 8)), (0, 0));
        assert_eq!(
            (Integer::pow(-1, -3), Integer::pow(-1, -2), Integer::pow(1, -9), Integer::pow(2, -1)),
            (-1, 1, 1, 0)
        );
        assert_eq!(
            (Integer::pow(0, -1), Integer::pow(0, 0), Integer::pow(3u64, u64::MAX)),
            (0, 1, {
                // 3 has odd order dividing 2⁶², so 3^(2⁶⁴−1) is its inverse.
                0xaaaa_aaaa_aaaa_aaab
            })
        );
    }
}
