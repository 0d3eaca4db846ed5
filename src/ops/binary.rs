//! Ops of two operands of one dtype. One row each; see `row.rs` for the columns.

use crate::dtype::Scalar;
use crate::ops::row::op_enum;
use crate::ops::scalar::{Float, Integer, random};
use crate::ops::unary::defined;

/// Hands the rows to a macro: `binary_table!(callback)`.
macro_rules! binary_table {
    ($callback:ident) => {
        $callback! {
            Add add Number -> Same, Cheap, All, ulp(0.0, 0.0), COMMUTATIVE, wgsl("{0} + {1}", 0.0, 0.0),
                float(Float::add), int(Integer::add), bool(), "Sum; integers wrap.";
            Sub sub Number -> Same, Cheap, All, ulp(0.0, 0.0), NONE, wgsl("{0} - {1}", 0.0, 0.0),
                float(Float::sub), int(Integer::sub), bool(), "Difference; integers wrap.";
            Mul mul Number -> Same, Cheap, All, ulp(0.0, 0.0), COMMUTATIVE, wgsl("{0} * {1}", 0.0, 0.0),
                float(Float::mul), int(Integer::mul), bool(), "Product; integers wrap.";
            Div div Float -> Same, Moderate, All, ulp(0.0, 0.0), NONE, wgsl("{0} / {1}", 2.5, 2.5),
                float(Float::div), int(), bool(), "Quotient; integers are taken to f64 first.";
            FloorDiv floor_div Number -> Same, Moderate, All, ulp(0.0, 0.0), NONE, wgsl("floor_div", 0.0, 0.0),
                float(Float::floor_div), int(Integer::floor_div), bool(),
                "Quotient rounded down, as Python's `//`; an integer divided by zero is 0.";
            Rem rem Number -> Same, Moderate, All, ulp(0.0, 0.0), NONE, wgsl("rem", 0.0, 0.0),
                float(Float::rem), int(Integer::rem), bool(),
                "Remainder with the sign of the divisor, as Python's `%`; by integer zero it is 0.";
            Pow pow Number -> Same, Function, Positive, ulp(2.0, 1.5), NONE, wgsl("pow", 4.0, 4.0),
                float(Float::pow), int(Integer::pow), bool(), "The first to the power of the second, as C's `pow`; integers wrap.";
            Atan2 atan2 Float -> Same, Function, All, ulp(2.0, 2.0, 2.0, 4.0), NONE, wgsl("atan2", 4.0, 4.0),
                float(Float::atan2), int(), bool(), "The angle of the point (second, first), in radians.";
            Hypot hypot Float -> Same, Function, All, ulp(2.0, 1.5), COMMUTATIVE, wgsl("hypot", 4.0, 4.0),
                float(Float::hypot), int(), bool(), "√(a² + b²) without undue overflow.";
            Copysign copysign Float -> Same, Cheap, All, ulp(0.0, 0.0), NONE, wgsl("copysign", 0.0, 0.0),
                float(Float::copysign), int(), bool(), "The magnitude of the first with the sign of the second.";
            Maximum maximum Number -> Same, Cheap, All, ulp(0.0, 0.0), LATTICE, wgsl("maximum", 0.0, 0.0),
                float(Float::maximum), int(Integer::maximum), bool(), "The larger one; NaN if either is NaN; −0 is below +0.";
            Minimum minimum Number -> Same, Cheap, All, ulp(0.0, 0.0), LATTICE, wgsl("minimum", 0.0, 0.0),
                float(Float::minimum), int(Integer::minimum), bool(), "The smaller one; NaN if either is NaN; −0 is below +0.";
            Fmax fmax Number -> Same, Cheap, All, ulp(0.0, 0.0), LATTICE, wgsl("fmax", 0.0, 0.0),
                float(Float::fmax), int(Integer::maximum), bool(), "The larger one; a NaN yields to a number.";
            Fmin fmin Number -> Same, Cheap, All, ulp(0.0, 0.0), LATTICE, wgsl("fmin", 0.0, 0.0),
                float(Float::fmin), int(Integer::minimum), bool(), "The smaller one; a NaN yields to a number.";
            Lt lt Any -> Truth, Cheap, All, ulp(0.0, 0.0), NONE, wgsl("{0} < {1}", 0.0, 0.0),
                float(|a, b| a < b), int(|a, b| a < b), bool(|a: bool, b: bool| !a & b), "Whether the first is less; false with NaN.";
            Le le Any -> Truth, Cheap, All, ulp(0.0, 0.0), NONE, wgsl("{0} <= {1}", 0.0, 0.0),
                float(|a, b| a <= b), int(|a, b| a <= b), bool(|a: bool, b: bool| a <= b), "Whether the first is less or equal; false with NaN.";
            Gt gt Any -> Truth, Cheap, All, ulp(0.0, 0.0), NONE, wgsl("{0} > {1}", 0.0, 0.0),
                float(|a, b| a > b), int(|a, b| a > b), bool(|a: bool, b: bool| a & !b), "Whether the first is greater; false with NaN.";
            Ge ge Any -> Truth, Cheap, All, ulp(0.0, 0.0), NONE, wgsl("{0} >= {1}", 0.0, 0.0),
                float(|a, b| a >= b), int(|a, b| a >= b), bool(|a: bool, b: bool| a >= b), "Whether the first is greater or equal; false with NaN.";
            Eq eq Any -> Truth, Cheap, All, ulp(0.0, 0.0), COMMUTATIVE, wgsl("{0} == {1}", 0.0, 0.0),
                float(|a, b| a == b), int(|a, b| a == b), bool(|a: bool, b: bool| a == b), "Whether both are equal; false with NaN, true for −0 and +0.";
            Ne ne Any -> Truth, Cheap, All, ulp(0.0, 0.0), COMMUTATIVE, wgsl("ne", 0.0, 0.0),
                float(|a, b| a != b), int(|a, b| a != b), bool(|a: bool, b: bool| a != b), "Whether they differ; true with NaN.";
            And and Logical -> Same, Cheap, All, ulp(0.0, 0.0), LATTICE, wgsl("{0} & {1}", 0.0, 0.0),
                float(), int(Integer::and), bool(|a: bool, b: bool| a & b), "Logical and of bools, bitwise and of integers.";
            Or or Logical -> Same, Cheap, All, ulp(0.0, 0.0), LATTICE, wgsl("{0} | {1}", 0.0, 0.0),
                float(), int(Integer::or), bool(|a: bool, b: bool| a | b), "Logical or of bools, bitwise or of integers.";
            Xor xor Logical -> Same, Cheap, All, ulp(0.0, 0.0), COMMUTATIVE_GROUP, wgsl("{0} ^ {1}", 0.0, 0.0),
                float(), int(Integer::xor), bool(|a: bool, b: bool| a ^ b), "Exclusive or of bools, bitwise of integers.";
            Shl shl Integer -> Same, Cheap, All, ulp(0.0, 0.0), NONE, wgsl("shl", 0.0, 0.0),
                float(), int(Integer::shl), bool(), "Shift left; 0 for an amount below zero or beyond the width.";
            Shr shr Integer -> Same, Cheap, All, ulp(0.0, 0.0), NONE, wgsl("shr", 0.0, 0.0),
                float(), int(Integer::shr), bool(), "Shift right, with the sign for signed integers; an amount below zero or beyond the width leaves only the sign.";
            RandomBits32 random_bits32 Word -> Bits, Function, All, ulp(0.0, 0.0), NONE, wgsl("random_bits32", 0.0, 0.0),
                float(), int(random::bits32), bool(), "32 random bits: number `first` of the stream of the key `second`.";
            RandomBits64 random_bits64 Word -> Same, Function, All, ulp(0.0, 0.0), NONE, wgsl("random_bits64", 0.0, 0.0),
                float(), int(random::bits64), bool(), "64 random bits: number `first` of the stream of the key `second`.";
            RandomUniform32 random_uniform32 Word -> Single, Function, All, ulp(0.0, 0.0), NONE, wgsl("random_uniform32", 0.0, 0.0),
                float(), int(random::uniform32), bool(), "The upper 24 bits of `random_bits32` times 2⁻²⁴: from [0, 1).";
            RandomUniform64 random_uniform64 Word -> Double, Function, All, ulp(0.0, 0.0), NONE, wgsl("random_uniform64", 0.0, 0.0),
                float(), int(random::uniform64), bool(), "The upper 53 bits of `random_bits64` times 2⁻⁵³: from [0, 1).";
            RandomKey random_key Word -> Same, Function, All, ulp(0.0, 0.0), NONE, wgsl("random_key", 0.0, 0.0),
                float(), int(random::derived_key), bool(), "Key number `first` of those derived from the key `second`.";
        }
    };
}
pub(crate) use binary_table;

macro_rules! declare {
    ($($rows:tt)*) => {
        op_enum! {
            /// An op of two operands of one dtype.
            BinaryOp { $($rows)* }
        }
        definitions! { $($rows)* }
    };
}

macro_rules! definitions {
    ($($variant:ident $text:ident $class:ident -> $outcome:ident, $cost:ident, $domain:ident, ulp($($ulp:literal),*),
       $facts:ident, wgsl($wgsl:literal, $gpu32:literal, $gpu64:literal), float($($float:expr)?), int($($int:expr)?), bool($($bool:expr)?), $doc:literal;)*) => {
        impl BinaryOp {
            /// The defining function on two values of one dtype; `None` for dtypes that the op does not take.
            pub fn apply(self, a: Scalar, b: Scalar) -> Option<Scalar> {
                if !self.row().class.contains(a.dtype()) {
                    return None;
                }
                match (a, b) {
                    (Scalar::Bool(a), Scalar::Bool(b)) => self.apply_bool(a, b),
                    (Scalar::I8(a), Scalar::I8(b)) => self.apply_integer(a, b),
                    (Scalar::U8(a), Scalar::U8(b)) => self.apply_integer(a, b),
                    (Scalar::I32(a), Scalar::I32(b)) => self.apply_integer(a, b),
                    (Scalar::U32(a), Scalar::U32(b)) => self.apply_integer(a, b),
                    (Scalar::I64(a), Scalar::I64(b)) => self.apply_integer(a, b),
                    (Scalar::U64(a), Scalar::U64(b)) => self.apply_integer(a, b),
                    (Scalar::F32(a), Scalar::F32(b)) => self.apply_float(a, b),
                    (Scalar::F64(a), Scalar::F64(b)) => self.apply_float(a, b),
                    (_, _) => None,
                }
            }

            fn apply_float<T: Float + Into<Scalar>>(self, a: T, b: T) -> Option<Scalar> {
                match self { $(BinaryOp::$variant => defined!($(call($float, a, b).into())?)),* }
            }

            fn apply_integer<T: Integer + Into<Scalar>>(self, a: T, b: T) -> Option<Scalar> {
                match self { $(BinaryOp::$variant => defined!($(call($int, a, b).into())?)),* }
            }

            fn apply_bool(self, a: bool, b: bool) -> Option<Scalar> {
                match self { $(BinaryOp::$variant => defined!($(call($bool, a, b).into())?)),* }
            }
        }
    };
}

/// Applies a row's function; gives closures in the table their argument types.
fn call<T, R>(function: impl Fn(T, T) -> R, a: T, b: T) -> R {
    function(a, b)
}

binary_table!(declare);
