//! Ops of one operand. One row each; see `row.rs` for the columns.

use crate::dtype::Scalar;
use crate::ops::row::op_enum;
use crate::ops::scalar::{Float, Integer};

/// Hands the rows to a macro: `unary_table!(callback)`.
macro_rules! unary_table {
    ($callback:ident) => {
        $callback! {
            Neg neg Number -> Same, Cheap, All, ulp(0.0, 0.0), INVOLUTION, wgsl("-{0}", 0.0, 0.0),
                float(Float::neg), int(Integer::neg), bool(), "Negation; integers wrap.";
            Abs abs Number -> Same, Cheap, All, ulp(0.0, 0.0), EVEN, wgsl("abs({0})", 0.0, 0.0),
                float(Float::abs), int(Integer::abs), bool(), "Absolute value; the lowest integer wraps to itself.";
            Sign sign Number -> Same, Cheap, All, ulp(0.0, 0.0), ODD, wgsl("sign", 0.0, 0.0),
                float(Float::sign), int(Integer::sign), bool(), "−1, 0 or 1; zeros keep their sign, NaN stays NaN.";
            Not not Logical -> Same, Cheap, All, ulp(0.0, 0.0), INVOLUTION, wgsl("~{0}", 0.0, 0.0),
                float(), int(Integer::not), bool(|x: bool| !x), "Logical not of bools, bitwise complement of integers.";
            Sqrt sqrt Float -> Same, Moderate, Positive, ulp(0.0, 0.0), NONE, wgsl("sqrt({0})", 4.5, 4.5),
                float(Float::sqrt), int(), bool(), "Square root, correctly rounded; NaN below zero.";
            Cbrt cbrt Float -> Same, Function, All, ulp(1.0, 1.0, 2.0, 1.0), ODD, wgsl("cbrt", 4.0, 4.0),
                float(Float::cbrt), int(), bool(), "Cube root.";
            Exp exp Float -> Same, Function, Exponent, ulp(1.0, 1.0, 2.0, 1.0), NONE, wgsl("exp", 4.0, 4.0),
                float(Float::exp), int(), bool(), "e to the power x.";
            Exp2 exp2 Float -> Same, Function, Exponent, ulp(1.0, 1.0, 2.0, 1.5), NONE, wgsl("exp2", 4.0, 4.0),
                float(Float::exp2), int(), bool(), "2 to the power x.";
            Expm1 expm1 Float -> Same, Function, Exponent, ulp(1.0, 1.0, 2.0, 1.0), NONE, wgsl("expm1", 4.0, 4.0),
                float(Float::expm1), int(), bool(), "e to the power x, minus 1, accurate near zero.";
            Ln ln Float -> Same, Function, Positive, ulp(1.0, 1.0, 2.0, 1.0), NONE, wgsl("ln", 4.0, 4.0),
                float(Float::ln), int(), bool(), "Natural logarithm; −inf at zero, NaN below.";
            Log2 log2 Float -> Same, Function, Positive, ulp(1.0, 1.0, 2.0, 1.0), NONE, wgsl("log2", 4.0, 4.0),
                float(Float::log2), int(), bool(), "Logarithm to base 2.";
            Log10 log10 Float -> Same, Function, Positive, ulp(1.0, 1.0, 2.0, 1.0), NONE, wgsl("log10", 4.0, 4.0),
                float(Float::log10), int(), bool(), "Logarithm to base 10.";
            Log1p log1p Float -> Same, Function, Positive, ulp(1.0, 1.0, 2.0, 1.0), NONE, wgsl("log1p", 4.0, 4.0),
                float(Float::log1p), int(), bool(), "Natural logarithm of 1 + x, accurate near zero.";
            Sin sin Float -> Same, Function, All, ulp(1.0, 1.0, 2.0, 2.0), ODD, wgsl("sin", 4.0, 4.0),
                float(Float::sin), int(), bool(), "Sine of x in radians.";
            Cos cos Float -> Same, Function, All, ulp(1.0, 1.0, 2.0, 2.0), EVEN, wgsl("cos", 4.0, 4.0),
                float(Float::cos), int(), bool(), "Cosine of x in radians.";
            Tan tan Float -> Same, Function, All, ulp(1.0, 1.0, 2.0, 2.0), ODD, wgsl("tan", 4.0, 4.0),
                float(Float::tan), int(), bool(), "Tangent of x in radians.";
            Asin asin Float -> Same, Function, Unit, ulp(1.0, 1.0, 2.0, 2.0), ODD, wgsl("asin", 4.0, 4.0),
                float(Float::asin), int(), bool(), "Inverse sine, in radians.";
            Acos acos Float -> Same, Function, Unit, ulp(1.0, 1.0, 2.0, 2.0), NONE, wgsl("acos", 4.0, 4.0),
                float(Float::acos), int(), bool(), "Inverse cosine, in radians.";
            Atan atan Float -> Same, Function, All, ulp(1.0, 1.0, 2.0, 2.0), ODD, wgsl("atan", 4.0, 4.0),
                float(Float::atan), int(), bool(), "Inverse tangent, in radians.";
            Sinh sinh Float -> Same, Function, Exponent, ulp(2.0, 1.5, 3.0, 1.5), ODD, wgsl("sinh", 4.0, 4.0),
                float(Float::sinh), int(), bool(), "Hyperbolic sine.";
            Cosh cosh Float -> Same, Function, Exponent, ulp(2.0, 1.5, 3.0, 1.5), EVEN, wgsl("cosh", 4.0, 4.0),
                float(Float::cosh), int(), bool(), "Hyperbolic cosine.";
            Tanh tanh Float -> Same, Function, Exponent, ulp(1.0, 1.0, 2.0, 1.0), ODD, wgsl("tanh", 4.0, 4.0),
                float(Float::tanh), int(), bool(), "Hyperbolic tangent.";
            Asinh asinh Float -> Same, Function, All, ulp(2.0, 1.0, 3.0, 1.0), ODD, wgsl("asinh", 4.0, 4.0),
                float(Float::asinh), int(), bool(), "Inverse hyperbolic sine.";
            Acosh acosh Float -> Same, Function, AboveOne, ulp(2.0, 1.0, 3.0, 1.0), NONE, wgsl("acosh", 4.0, 4.0),
                float(Float::acosh), int(), bool(), "Inverse hyperbolic cosine; NaN below 1.";
            Atanh atanh Float -> Same, Function, Unit, ulp(2.0, 1.0, 3.0, 1.0), ODD, wgsl("atanh", 4.0, 4.0),
                float(Float::atanh), int(), bool(), "Inverse hyperbolic tangent; ±inf at ±1.";
            Erf erf Float -> Same, Function, All, ulp(2.0, 2.0, 3.0, 4.0), ODD, wgsl("erf", 4.0, 4.0),
                float(Float::erf), int(), bool(), "Error function, 2/√π ∫₀ˣ exp(−t²) dt (DLMF 7.2.1).";
            Erfc erfc Float -> Same, Function, All, ulp(2.0, 2.0, 3.0, 4.0), NONE, wgsl("erfc", 4.0, 4.0),
                float(Float::erfc), int(), bool(), "Complementary error function, 1 − erf(x), accurate in the tail (DLMF 7.2.2).";
            Erfinv erfinv Float -> Same, Function, Unit, ulp(2.0, 2.0, 3.0, 4.0), ODD, wgsl("erfinv", 4.0, 4.0),
                float(Float::erfinv), int(), bool(), "Inverse error function (DLMF 7.17); ±inf at ±1.";
            Gamma gamma Float -> Same, Function, Positive, ulp(1.0, 4.0, 1.0, 5.0), NONE, wgsl("gamma", 10.0, 10.0),
                float(Float::gamma), int(), bool(), "Gamma function (DLMF 5.2.1); NaN at negative integers.";
            Lgamma lgamma Float -> Same, Function, Positive, ulp(1.0, 4.0, 1.0, 5.0), NONE, wgsl("lgamma", 10.0, 10.0),
                float(Float::lgamma), int(), bool(), "Logarithm of the magnitude of the gamma function.";
            Digamma digamma Float -> Same, Function, Positive, ulp(1.0, 4.0, 1.0, 5.0), NONE, wgsl("digamma", 10.0, 10.0),
                float(Float::digamma), int(), bool(), "Derivative of ln Γ (DLMF 5.2.2); NaN at negative integers.";
            Floor floor Float -> Same, Cheap, All, ulp(0.0, 0.0), PROJECTION, wgsl("floor({0})", 0.0, 0.0),
                float(Float::floor), int(), bool(), "The largest integer not above x.";
            Ceil ceil Float -> Same, Cheap, All, ulp(0.0, 0.0), PROJECTION, wgsl("ceil({0})", 0.0, 0.0),
                float(Float::ceil), int(), bool(), "The smallest integer not below x.";
            Trunc trunc Float -> Same, Cheap, All, ulp(0.0, 0.0), PROJECTION, wgsl("trunc({0})", 0.0, 0.0),
                float(Float::trunc), int(), bool(), "The integer part.";
            Round round Float -> Same, Cheap, All, ulp(0.0, 0.0), PROJECTION, wgsl("round({0})", 0.0, 0.0),
                float(Float::round), int(), bool(), "The nearest integer, halves to even.";
            IsNan is_nan Float -> Truth, Cheap, All, ulp(0.0, 0.0), NONE, wgsl("is_nan", 0.0, 0.0),
                float(Float::is_nan), int(), bool(), "Whether x is NaN.";
            IsInf is_inf Float -> Truth, Cheap, All, ulp(0.0, 0.0), NONE, wgsl("is_inf", 0.0, 0.0),
                float(Float::is_inf), int(), bool(), "Whether x is an infinity.";
            IsFinite is_finite Float -> Truth, Cheap, All, ulp(0.0, 0.0), NONE, wgsl("is_finite", 0.0, 0.0),
                float(Float::is_finite), int(), bool(), "Whether x is neither infinite nor NaN.";
            StopGradient stop_gradient Float -> Same, Cheap, All, ulp(0.0, 0.0), PROJECTION, wgsl("{0}", 0.0, 0.0),
                float(std::convert::identity), int(), bool(), "x itself, taken for a constant by derivatives.";
        }
    };
}
pub(crate) use unary_table;

macro_rules! declare {
    ($($rows:tt)*) => {
        op_enum! {
            /// An op of one operand.
            UnaryOp { $($rows)* }
        }
        definitions! { $($rows)* }
    };
}

macro_rules! definitions {
    ($($variant:ident $text:ident $class:ident -> $outcome:ident, $cost:ident, $domain:ident, ulp($($ulp:literal),*),
       $facts:ident, wgsl($wgsl:literal, $gpu32:literal, $gpu64:literal), float($($float:expr)?), int($($int:expr)?), bool($($bool:expr)?), $doc:literal;)*) => {
        impl UnaryOp {
            /// The defining function on one value; `None` for a dtype that the op does not take.
            pub fn apply(self, x: Scalar) -> Option<Scalar> {
                match x {
                    Scalar::Bool(x) => self.apply_bool(x),
                    Scalar::I8(x) => self.apply_integer(x),
                    Scalar::U8(x) => self.apply_integer(x),
                    Scalar::I32(x) => self.apply_integer(x),
                    Scalar::U32(x) => self.apply_integer(x),
                    Scalar::I64(x) => self.apply_integer(x),
                    Scalar::U64(x) => self.apply_integer(x),
                    Scalar::F32(x) => self.apply_float(x),
                    Scalar::F64(x) => self.apply_float(x),
                }
            }

            fn apply_float<T: Float + Into<Scalar>>(self, x: T) -> Option<Scalar> {
                match self { $(UnaryOp::$variant => defined!($(($float)(x).into())?)),* }
            }

            fn apply_integer<T: Integer + Into<Scalar>>(self, x: T) -> Option<Scalar> {
                match self { $(UnaryOp::$variant => defined!($(($int)(x).into())?)),* }
            }

            fn apply_bool(self, x: bool) -> Option<Scalar> {
                match self { $(UnaryOp::$variant => defined!($(($bool)(x).into())?)),* }
            }
        }
    };
}

/// `Some(value)` where the row has a definition, else `None`.
macro_rules! defined {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}
pub(crate) use defined;

unary_table!(declare);
