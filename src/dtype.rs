//! Element types, single values, and the rules by which types meet.
//!
//! `DType` is the closed list of element types; `Scalar` a value of any of them; `Element` the Rust types
//! behind them. Promotion follows NumPy 2 (NEP 50): arrays promote by a lattice, scalars of operators are
//! weak. Casts are defined here, once: float to integer saturates and takes NaN to 0, integers wrap,
//! anything to bool is `x != 0`.

use std::fmt;

/// The type of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DType {
    /// Truth value, stored as one byte 0 or 1.
    Bool,
    /// 8-bit signed integer.
    I8,
    /// 8-bit unsigned integer.
    U8,
    /// 32-bit signed integer.
    I32,
    /// 32-bit unsigned integer.
    U32,
    /// 64-bit signed integer.
    I64,
    /// 64-bit unsigned integer.
    U64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

/// What sort of number a dtype holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Truth values.
    Bool,
    /// Unsigned integers.
    Unsigned,
    /// Signed integers.
    Signed,
    /// Floating-point numbers.
    Float,
}

impl DType {
    /// Every dtype, lowest first.
    pub const ALL: [DType; 9] =
        [DType::Bool, DType::I8, DType::U8, DType::I32, DType::U32, DType::I64, DType::U64, DType::F32, DType::F64];

    /// The size of one element in bytes.
    pub const fn size(self) -> usize {
        match self {
            DType::Bool | DType::I8 | DType::U8 => 1,
            DType::I32 | DType::U32 | DType::F32 => 4,
            DType::I64 | DType::U64 | DType::F64 => 8,
        }
    }

    /// The sort of number.
    pub const fn kind(self) -> Kind {
        match self {
            DType::Bool => Kind::Bool,
            DType::U8 | DType::U32 | DType::U64 => Kind::Unsigned,
            DType::I8 | DType::I32 | DType::I64 => Kind::Signed,
            DType::F32 | DType::F64 => Kind::Float,
        }
    }

    /// Whether this is `F32` or `F64`.
    pub const fn is_float(self) -> bool {
        matches!(self.kind(), Kind::Float)
    }

    /// Whether this is a signed or unsigned integer (bool is not).
    pub const fn is_integer(self) -> bool {
        matches!(self.kind(), Kind::Signed | Kind::Unsigned)
    }

    /// The name used in texts: `f64`, `bool`, …
    pub const fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::I8 => "i8",
            DType::U8 => "u8",
            DType::I32 => "i32",
            DType::U32 => "u32",
            DType::I64 => "i64",
            DType::U64 => "u64",
            DType::F32 => "f32",
            DType::F64 => "f64",
        }
    }

    /// The dtype with this name.
    pub fn from_name(name: &str) -> Option<DType> {
        DType::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// The dtype that two arrays promote to, as NumPy 2 has it.
    ///
    /// ```
    /// use kroton::DType::*;
    /// assert_eq!(I64.promote(F32), F64);
    /// assert_eq!(I64.promote(U64), F64);
    /// assert_eq!(U8.promote(F32), F32);
    /// ```
    pub fn promote(self, other: DType) -> DType {
        let (low, high) = if self.kind() <= other.kind() { (self, other) } else { (other, self) };
        match (low.kind(), high.kind()) {
            (Kind::Bool, _) => high,
            (Kind::Unsigned, Kind::Signed) => promote_mixed_sign(low, high),
            (Kind::Unsigned | Kind::Signed, Kind::Float) if low.size() > 2 => DType::F64,
            (Kind::Unsigned | Kind::Signed, Kind::Float) => high,
            (_, _) if low.size() >= high.size() => low,
            (_, _) => high,
        }
    }

    /// The dtype that an array promotes to when it meets a weak scalar of the given kind.
    pub fn promote_weak(self, weak: Kind) -> DType {
        match (self.kind(), weak) {
            (Kind::Float, _) => self,
            (_, Kind::Float) => DType::F64,
            (Kind::Bool, Kind::Signed | Kind::Unsigned) => DType::I64,
            (_, _) => self,
        }
    }

    /// The dtype in which `sum` and `prod` of this dtype accumulate.
    pub const fn accumulator(self) -> DType {
        match self.kind() {
            Kind::Bool | Kind::Signed => DType::I64,
            Kind::Unsigned => DType::U64,
            Kind::Float => self,
        }
    }
}

/// The smallest signed type that holds both, else f64.
fn promote_mixed_sign(unsigned: DType, signed: DType) -> DType {
    match (unsigned.size(), signed.size()) {
        (1, 1) => DType::I32,
        (1, _) => signed,
        (4, _) => DType::I64,
        (_, _) => DType::F64,
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that is the element of an array.
///
/// Sealed: the list of dtypes is closed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an element type of Kroton",
    note = "element types are bool, i8, u8, i32, u32, i64, u64, f32 and f64"
)]
pub trait Element: sealed::Sealed + Copy + PartialEq + fmt::Debug + Send + Sync + Default + 'static {
    /// The dtype of this type.
    const DTYPE: DType;
    /// This value as a [`Scalar`].
    fn to_scalar(self) -> Scalar;
    /// The value of a scalar of exactly this dtype.
    fn from_scalar(scalar: Scalar) -> Option<Self>;
}

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

macro_rules! elements {
    ($($variant:ident $type:ty),*) => {
        $(
            impl sealed::Sealed for $type {}
            impl Element for $type {
                const DTYPE: DType = DType::$variant;
                fn to_scalar(self) -> Scalar { Scalar::$variant(self) }
                fn from_scalar(scalar: Scalar) -> Option<Self> {
                    if let Scalar::$variant(value) = scalar { Some(value) } else { None }
                }
            }
            impl From<$type> for Scalar {
                fn from(value: $type) -> Scalar { Scalar::$variant(value) }
            }
        )*
        impl Scalar {
            /// The dtype of the value.
            pub const fn dtype(self) -> DType {
                match self { $(Scalar::$variant(_) => DType::$variant),* }
            }
        }
    };
}
elements!(Bool bool, I8 i8, U8 u8, I32 i32, U32 u32, I64 i64, U64 u64, F32 f32, F64 f64);

/// Runs an expression with a type alias bound to the Rust type of a dtype.
macro_rules! with_element {
    ($dtype:expr, $type:ident => $body:expr) => {
        match $dtype {
            $crate::dtype::DType::Bool => {
                type $type = bool;
                $body
            }
            $crate::dtype::DType::I8 => {
                type $type = i8;
                $body
            }
            $crate::dtype::DType::U8 => {
                type $type = u8;
                $body
            }
            $crate::dtype::DType::I32 => {
                type $type = i32;
                $body
            }
            $crate::dtype::DType::U32 => {
                type $type = u32;
                $body
            }
            $crate::dtype::DType::I64 => {
                type $type = i64;
                $body
            }
            $crate::dtype::DType::U64 => {
                type $type = u64;
                $body
            }
            $crate::dtype::DType::F32 => {
                type $type = f32;
                $body
            }
            $crate::dtype::DType::F64 => {
                type $type = f64;
                $body
            }
        }
    };
}
pub(crate) use with_element;

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
    fn promotion_is_commutative_and_idempotent() {
        for a in DType::ALL {
            assert_eq!(a.promote(a), a);
            for b in DType::ALL {
                assert_eq!(a.promote(b), b.promote(a), "{a} {b}");
            }
        }
    }

    #[test]
    fn promotion_follows_numpy() {
        use DType::*;
        let table = [
            (Bool, U8, U8),
            (I8, U8, I32),
            (I8, U32, I64),
            (I32, U64, F64),
            (I64, U64, F64),
            (I32, F32, F64),
            (I8, F32, F32),
            (U8, F32, F32),
            (U64, F32, F64),
            (F32, F64, F64),
            (U8, U32, U32),
            (I32, I64, I64),
            (I32, U8, I32),
            (I32, U32, I64),
        ];
        for (a, b, expected) in table {
            assert_eq!(a.promote(b), expected, "{a} {b}");
        }
    }

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
