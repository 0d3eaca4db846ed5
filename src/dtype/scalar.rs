//! A value of any dtype, and the definition of casts.
//!
//! Casts are defined here, once: float to integer saturates and takes NaN to 0, integers wrap, anything to bool is
//! `x != 0`.

use std::fmt;

use super::{DType, Element};

/// One value of any dtype. Equality and hash are by dtype and bits, so `-0.0 != 0.0` and a NaN equals itself.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Scalar {
    /// A truth value.
    Bool(bool),
    /// An 8-bit signed integer.
    I8(i8),
    /// An 8-bit unsigned integer.
    U8(u8),
    /// A 32-bit signed integer.
    I32(i32),
    /// A 32-bit unsigned integer.
    U32(u32),
    /// A 64-bit signed integer.
    I64(i64),
    /// A 64-bit unsigned integer.
    U64(u64),
    /// A binary32 number.
    F32(f32),
    /// A binary64 number.
    F64(f64),
}

macro_rules! cast_number {
    ($value:expr, $dtype:expr) => {{
        // In one array, so that the zero has the type of the value.
        let [value, zero] = [$value, 0 as _];
        match $dtype {
            DType::Bool => Scalar::Bool(value != zero),
            DType::I8 => Scalar::I8(value as i8),
            DType::U8 => Scalar::U8(value as u8),
            DType::I32 => Scalar::I32(value as i32),
            DType::U32 => Scalar::U32(value as u32),
            DType::I64 => Scalar::I64(value as i64),
            DType::U64 => Scalar::U64(value as u64),
            DType::F32 => Scalar::F32(value as f32),
            DType::F64 => Scalar::F64(value as f64),
        }
    }};
}

impl Scalar {
    /// The value in another dtype. This is the definition of `cast`: float to integer saturates and takes NaN
    /// to 0, integers wrap, to bool is `x != 0` (so NaN is true), bool gives 0 or 1.
    pub fn cast(self, dtype: DType) -> Scalar {
        match self {
            Scalar::Bool(value) => cast_number!(value as u8, dtype),
            Scalar::I8(value) => cast_number!(value, dtype),
            Scalar::U8(value) => cast_number!(value, dtype),
            Scalar::I32(value) => cast_number!(value, dtype),
            Scalar::U32(value) => cast_number!(value, dtype),
            Scalar::I64(value) => cast_number!(value, dtype),
            Scalar::U64(value) => cast_number!(value, dtype),
            Scalar::F32(value) => cast_number!(value, dtype),
            Scalar::F64(value) => cast_number!(value, dtype),
        }
    }

    /// The bit pattern, zero-extended to 64 bits.
    pub const fn bits(self) -> u64 {
        match self {
            Scalar::Bool(value) => value as u64,
            Scalar::I8(value) => value as u8 as u64,
            Scalar::U8(value) => value as u64,
            Scalar::I32(value) => value as u32 as u64,
            Scalar::U32(value) => value as u64,
            Scalar::I64(value) => value as u64,
            Scalar::U64(value) => value,
            Scalar::F32(value) => value.to_bits() as u64,
            Scalar::F64(value) => value.to_bits(),
        }
    }

    /// The value of a dtype with this bit pattern (upper bits are dropped; a bool is its lowest bit).
    pub const fn from_bits(dtype: DType, bits: u64) -> Scalar {
        match dtype {
            DType::Bool => Scalar::Bool(bits & 1 == 1),
            DType::I8 => Scalar::I8(bits as i8),
            DType::U8 => Scalar::U8(bits as u8),
            DType::I32 => Scalar::I32(bits as i32),
            DType::U32 => Scalar::U32(bits as u32),
            DType::I64 => Scalar::I64(bits as i64),
            DType::U64 => Scalar::U64(bits),
            DType::F32 => Scalar::F32(f32::from_bits(bits as u32)),
            DType::F64 => Scalar::F64(f64::from_bits(bits)),
        }
    }

    /// The value as `f64` (64-bit integers may round).
    pub fn to_f64(self) -> f64 {
        if let Scalar::F64(value) = self.cast(DType::F64) { value } else { f64::NAN }
    }

    /// The value as `i64`, if it is an integer or bool that fits.
    pub fn to_i64(self) -> Option<i64> {
        match self {
            Scalar::U64(value) => i64::try_from(value).ok(),
            Scalar::F32(_) | Scalar::F64(_) => None,
            Scalar::Bool(_) | Scalar::I8(_) | Scalar::U8(_) | Scalar::I32(_) | Scalar::U32(_) | Scalar::I64(_) => {
                i64::from_scalar(self.cast(DType::I64))
            }
        }
    }

    /// Whether the value is a NaN.
    pub fn is_nan(self) -> bool {
        match self {
            Scalar::F32(value) => value.is_nan(),
            Scalar::F64(value) => value.is_nan(),
            _ => false,
        }
    }

    /// The value in another dtype if nothing is lost by it.
    pub fn cast_exact(self, dtype: DType) -> Option<Scalar> {
        let cast = self.cast(dtype);
        let same = match (self.exact_integer(), cast.exact_integer()) {
            (Some(before), Some(after)) => before == after,
            (None, None) => (self.is_nan() && cast.is_nan()) || self.to_f64() == cast.to_f64(),
            (_, _) => false,
        };
        same.then_some(cast)
    }

    /// The mathematical value, if it is an integer below 2^127 in magnitude.
    fn exact_integer(self) -> Option<i128> {
        match self {
            Scalar::Bool(value) => Some(i128::from(value)),
            Scalar::I8(value) => Some(i128::from(value)),
            Scalar::U8(value) => Some(i128::from(value)),
            Scalar::I32(value) => Some(i128::from(value)),
            Scalar::U32(value) => Some(i128::from(value)),
            Scalar::I64(value) => Some(i128::from(value)),
            Scalar::U64(value) => Some(i128::from(value)),
            Scalar::F32(value) => Scalar::F64(f64::from(value)).exact_integer(),
            Scalar::F64(value) => (value.trunc() == value && value.abs() < 1e38).then_some(value as i128),
        }
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Scalar) -> bool {
        self.dtype() == other.dtype() && self.bits() == other.bits()
    }
}

impl Eq for Scalar {}

impl std::hash::Hash for Scalar {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.dtype(), self.bits()).hash(state);
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}:{}", self.dtype())
    }
}

/// The shortest text that reads back to the same value.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Bool(value) => write!(f, "{value}"),
            Scalar::I8(value) => write!(f, "{value}"),
            Scalar::U8(value) => write!(f, "{value}"),
            Scalar::I32(value) => write!(f, "{value}"),
            Scalar::U32(value) => write!(f, "{value}"),
            Scalar::I64(value) => write!(f, "{value}"),
            Scalar::U64(value) => write!(f, "{value}"),
            Scalar::F32(value) => write!(f, "{value:?}"),
            Scalar::F64(value) => write!(f, "{value:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_casts_lose_nothing() {
        assert_eq!(Scalar::I64(5).cast_exact(DType::F64), Some(Scalar::F64(5.0)));
        assert_eq!(Scalar::F64(0.5).cast_exact(DType::I64), None);
        assert_eq!(Scalar::F64(9223372036854775808.0).cast_exact(DType::I64), None);
        assert_eq!(Scalar::I64(-1).cast_exact(DType::U64), None);
        assert_eq!(Scalar::I64(i64::MAX).cast_exact(DType::F64), None);
        assert_eq!(Scalar::I64(300).cast_exact(DType::U8), None);
        assert_eq!(Scalar::F64(0.1).cast_exact(DType::F32), None);
        assert!(Scalar::F64(f64::NAN).cast_exact(DType::F32).is_some());
        assert!(Scalar::F64(f64::NAN).cast_exact(DType::I32).is_none());
    }
}
