//! Element types, single values, and the rules by which types meet.
//!
//! `DType` is the closed list of element types; [`Scalar`] a value of any of them; `Element` the Rust types
//! behind them. Promotion follows NumPy 2 (NEP 50): arrays promote by a lattice, scalars of operators are
//! weak.

mod scalar;

use std::fmt;

pub use scalar::Scalar;

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
}
