//! What a row of the op table says, as data.

use crate::dtype::{DType, Kind};

/// Which dtypes an op takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// f32, f64.
    Float,
    /// All integers and floats.
    Number,
    /// All integers.
    Integer,
    /// bool and all integers.
    Logical,
    /// u64.
    Word,
    /// Every dtype.
    Any,
}

impl Class {
    /// Whether the op takes this dtype.
    pub const fn contains(self, dtype: DType) -> bool {
        match (self, dtype.kind()) {
            (Class::Any, _) => true,
            (Class::Float, Kind::Float) => true,
            (Class::Number, Kind::Float | Kind::Signed | Kind::Unsigned) => true,
            (Class::Integer, Kind::Signed | Kind::Unsigned) => true,
            (Class::Logical, Kind::Bool | Kind::Signed | Kind::Unsigned) => true,
            (Class::Word, Kind::Unsigned) => matches!(dtype, DType::U64),
            (Class::Float | Class::Number | Class::Integer | Class::Logical | Class::Word, _) => false,
        }
    }

    /// The words in error texts and tables.
    pub const fn describe(self) -> &'static str {
        match self {
            Class::Float => "floats",
            Class::Number => "integers and floats",
            Class::Integer => "integers",
            Class::Logical => "bool and integers",
            Class::Word => "u64",
            Class::Any => "every dtype",
        }
    }
}

/// The dtype of an op's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// That of the operands.
    Same,
    /// bool.
    Truth,
    /// u32.
    Bits,
    /// f32.
    Single,
    /// f64.
    Double,
}

/// How dear one element is: what fusion weighs, and engines when they split work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// About one machine instruction.
    Cheap,
    /// Some instructions or a division.
    Moderate,
    /// An elementary function, or a random number.
    Function,
}

impl Cost {
    /// The cost of one element in cheap ops, for fusion; an engine that splits work has a measure of its own.
    pub const fn weight(self) -> u32 {
        match self {
            Cost::Cheap => 1,
            Cost::Moderate => 4,
            Cost::Function => 16,
        }
    }
}

/// The arguments that tests draw from, besides the nasty ones that every op meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// All numbers.
    All,
    /// Greater than zero.
    Positive,
    /// Between −1 and 1.
    Unit,
    /// At least 1.
    AboveOne,
    /// Magnitudes that keep `exp` finite.
    Exponent,
}

/// The largest error of a function against the correctly rounded result, in units in the last place. Zero means exact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UlpBound {
    /// For f32.
    pub f32: f32,
    /// For f64.
    pub f64: f32,
}

impl UlpBound {
    const fn of(self, dtype: DType) -> f32 {
        match dtype {
            DType::F32 => self.f32,
            DType::F64 => self.f64,
            DType::Bool | DType::I8 | DType::U8 | DType::I32 | DType::U32 | DType::I64 | DType::U64 => 0.0,
        }
    }
}

/// Algebraic facts that hold bit for bit, NaN-ness included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// `f(a, b) = f(b, a)`.
    pub commutative: bool,
    /// `f(f(a, b), c) = f(a, f(b, c))` for every dtype of the class (floating-point `add` and `mul` are not).
    pub associative: bool,
    /// `f(a, a) = a`.
    pub idempotent: bool,
    /// `f(f(x)) = x`.
    pub involution: bool,
    /// `f(−x) = f(x)`.
    pub even: bool,
    /// `f(−x) = −f(x)`.
    pub odd: bool,
}

impl Facts {
    /// No facts.
    pub const NONE: Facts =
        Facts { commutative: false, associative: false, idempotent: false, involution: false, even: false, odd: false };
    /// Commutative only.
    pub const COMMUTATIVE: Facts = Facts { commutative: true, ..Facts::NONE };
    /// Commutative, associative and idempotent.
    pub const LATTICE: Facts = Facts { commutative: true, associative: true, idempotent: true, ..Facts::NONE };
    /// Commutative and associative.
    pub const COMMUTATIVE_GROUP: Facts = Facts { commutative: true, associative: true, ..Facts::NONE };
    /// `f(f(x)) = x`.
    pub const INVOLUTION: Facts = Facts { involution: true, ..Facts::NONE };
    /// `f(−x) = f(x)`.
    pub const EVEN: Facts = Facts { even: true, ..Facts::NONE };
    /// `f(−x) = −f(x)`.
    pub const ODD: Facts = Facts { odd: true, ..Facts::NONE };
    /// `f(f(x)) = f(x)`.
    pub const PROJECTION: Facts = Facts { idempotent: true, ..Facts::NONE };
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The name of the method, of the text form, and in every dump.
    pub name: &'static str,
    /// The operands' dtypes.
    pub class: Class,
    /// The result's dtype.
    pub outcome: Outcome,
    /// How dear it is.
    pub cost: Cost,
    /// Where tests draw arguments from.
    pub domain: Domain,
    /// The error bound on the CPU.
    pub ulp: UlpBound,
    /// Algebraic facts.
    pub facts: Facts,
    /// The spelling in WGSL, with operands as `{0}`, `{1}`, `{2}`; a name alone is a family of functions of the shader
    /// library, one for each dtype, as `exp_f32`.
    pub wgsl: &'static str,
    /// The error bound on GPUs.
    pub gpu: UlpBound,
    /// One sentence.
    pub doc: &'static str,
}

impl Row {
    /// The dtype of the result for operands of this dtype.
    pub const fn result(&self, operand: DType) -> DType {
        match self.outcome {
            Outcome::Same => operand,
            Outcome::Truth => DType::Bool,
            Outcome::Bits => DType::U32,
            Outcome::Single => DType::F32,
            Outcome::Double => DType::F64,
        }
    }

    /// The bound on the CPU for a dtype; integers and bools are exact.
    pub const fn ulp_bound(&self, dtype: DType) -> f32 {
        self.ulp.of(dtype)
    }

    /// The bound on GPUs for a dtype; integers and bools are exact.
    pub const fn gpu_bound(&self, dtype: DType) -> f32 {
        self.gpu.of(dtype)
    }

    /// Whether every engine must give the same bits.
    pub const fn is_exact(&self) -> bool {
        self.ulp.f32 == 0.0 && self.ulp.f64 == 0.0
    }
}

/// Builds the enum of one arity from its rows: variants, `ALL`, `row()`, `from_name` and `Display`.
macro_rules! op_enum {
    ($(#[$meta:meta])* $name:ident {
        $($variant:ident $text:ident $class:ident -> $outcome:ident, $cost:ident, $domain:ident, ulp($f32:literal, $f64:literal),
          $facts:ident, wgsl($wgsl:literal, $gpu32:literal, $gpu64:literal), float($($float:expr)?), int($($int:expr)?), bool($($bool:expr)?), $doc:literal;)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $(#[doc = $doc] $variant),*
        }

        impl $name {
            /// Every op of this arity, in table order.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The row of the table.
            pub const fn row(self) -> &'static $crate::ops::Row {
                match self {
                    $($name::$variant => &$crate::ops::Row {
                        name: stringify!($text),
                        class: $crate::ops::Class::$class,
                        outcome: $crate::ops::Outcome::$outcome,
                        cost: $crate::ops::Cost::$cost,
                        domain: $crate::ops::Domain::$domain,
                        ulp: $crate::ops::UlpBound { f32: $f32, f64: $f64 },
                        facts: $crate::ops::Facts::$facts,
                        wgsl: $wgsl,
                        gpu: $crate::ops::UlpBound { f32: $gpu32, f64: $gpu64 },
                        doc: $doc,
                    }),*
                }
            }

            /// The op with this name.
            pub fn from_name(name: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|op| op.row().name == name)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.row().name)
            }
        }
    };
}
pub(crate) use op_enum;
