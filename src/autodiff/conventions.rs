//! What the derivative of an op is where it has none, in words and in examples: one arm per op, no wildcard, so that a new
//! op does not compile without one.
//!
//! For readers (docs/ops.md) and tests: the rules themselves are in `rules.rs` and `reductions.rs`. An op without words has
//! finite derivatives wherever its value is finite.

use crate::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};

/// A convention.
#[derive(Debug, Clone, Copy)]
pub struct Convention {
    /// In words; empty where there is nothing to say.
    pub words: &'static str,
    /// Operands (elements, for a reduction), and the derivatives by each of them.
    pub examples: &'static [Example],
}

/// Operands, and the derivatives by each of them.
pub type Example = (&'static [f64], &'static [f64]);

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

const fn says(words: &'static str, examples: &'static [Example]) -> Convention {
    Convention { words, examples }
}

/// Finite derivatives wherever the value is finite.
const NOTHING: Convention = says("", &[]);

/// Results, or operands, that are no floats.
const NO_FLOATS: Convention = says("none: no floats", &[]);

/// The convention of an op of one operand.
pub const fn unary(op: UnaryOp) -> Convention {
    match op {
        UnaryOp::Neg
        | UnaryOp::Exp
        | UnaryOp::Exp2
        | UnaryOp::Expm1
        | UnaryOp::Sin
        | UnaryOp::Cos
        | UnaryOp::Tan
        | UnaryOp::Atan
        | UnaryOp::Sinh
        | UnaryOp::Cosh
        | UnaryOp::Tanh
        | UnaryOp::Asinh
        | UnaryOp::Erf
        | UnaryOp::Erfc => NOTHING,
        UnaryOp::Abs => says("0 at 0", &[(&[0.0], &[0.0]), (&[-0.0], &[0.0]), (&[-2.0], &[-1.0])]),
        UnaryOp::Sqrt => says("inf at 0, NaN below", &[(&[0.0], &[INF]), (&[-1.0], &[NAN])]),
        UnaryOp::Cbrt => says("inf at 0", &[(&[0.0], &[INF])]),
        UnaryOp::Ln => says("1/x everywhere: inf at 0, finite below", &[(&[0.0], &[INF]), (&[-2.0], &[-0.5])]),
        UnaryOp::Log2 | UnaryOp::Log10 => says("as ln: inf at 0, finite below", &[(&[0.0], &[INF])]),
        UnaryOp::Log1p => {
            says("1/(1 + x) everywhere: inf at −1, finite below", &[(&[-1.0], &[INF]), (&[-3.0], &[-0.5])])
        }
        UnaryOp::Asin => says("inf at ±1, NaN beyond", &[(&[1.0], &[INF]), (&[-1.0], &[INF]), (&[2.0], &[NAN])]),
        UnaryOp::Acos => says("−inf at ±1, NaN beyond", &[(&[1.0], &[-INF]), (&[-1.0], &[-INF]), (&[2.0], &[NAN])]),
        UnaryOp::Acosh => says("inf at 1, NaN below", &[(&[1.0], &[INF]), (&[0.5], &[NAN]), (&[-3.0], &[NAN])]),
        UnaryOp::Atanh => says(
            "1/(1 − x²) everywhere: inf at ±1, finite beyond",
            &[(&[1.0], &[INF]), (&[-1.0], &[INF]), (&[3.0], &[-0.125])],
        ),
        UnaryOp::Erfinv => says("inf at ±1, NaN beyond", &[(&[1.0], &[INF]), (&[-1.0], &[INF]), (&[2.0], &[NAN])]),
        UnaryOp::Gamma | UnaryOp::Lgamma => says("NaN at negative integers", &[(&[-1.0], &[NAN]), (&[-2.0], &[NAN])]),
        UnaryOp::Digamma => says("inf at 0 and at negative integers", &[(&[0.0], &[INF]), (&[-1.0], &[INF])]),
        UnaryOp::Sign | UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Trunc | UnaryOp::Round => {
            says("0 everywhere, at the steps too", &[(&[0.0], &[0.0]), (&[0.5], &[0.0]), (&[-1.0], &[0.0])])
        }
        UnaryOp::StopGradient => says("0 everywhere: that is what it is for", &[(&[0.0], &[0.0]), (&[3.0], &[0.0])]),
        UnaryOp::Not | UnaryOp::IsNan | UnaryOp::IsInf | UnaryOp::IsFinite => NO_FLOATS,
    }
}

/// The convention of an op of two operands.
pub const fn binary(op: BinaryOp) -> Convention {
    match op {
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul => NOTHING,
        BinaryOp::Div => says(
            "1/b and −(a/b)/b everywhere: infinite or NaN at b = 0",
            &[(&[1.0, 0.0], &[INF, -INF]), (&[0.0, 0.0], &[INF, NAN])],
        ),
        BinaryOp::FloorDiv => {
            says("0 everywhere, at the steps too", &[(&[4.0, 2.0], &[0.0, 0.0]), (&[3.0, 0.0], &[0.0, 0.0])])
        }
        BinaryOp::Rem => {
            says("1 and −⌊a/b⌋, at the steps too", &[(&[4.0, 2.0], &[1.0, -2.0]), (&[-1.0, 2.0], &[1.0, 1.0])])
        }
        BinaryOp::Pow => says(
            "by the base 0 at 0⁰, and the limit at 0 else; by the exponent 0 at base 0 if the exponent is 0 or more, NaN for a \
             base below 0",
            &[
                (&[0.0, 0.0], &[0.0, 0.0]),
                (&[0.0, 1.0], &[1.0, 0.0]),
                (&[0.0, 2.0], &[0.0, 0.0]),
                (&[0.0, 0.5], &[INF, 0.0]),
                (&[0.0, -1.0], &[-INF, -INF]),
                (&[-2.0, 3.0], &[12.0, NAN]),
            ],
        ),
        BinaryOp::Atan2 => says("NaN at the origin", &[(&[0.0, 0.0], &[NAN, NAN])]),
        BinaryOp::Hypot => says("0 at the origin", &[(&[0.0, 0.0], &[0.0, 0.0]), (&[0.0, -2.0], &[0.0, -1.0])]),
        BinaryOp::Copysign => {
            says("by the first 0 at 0, by the second 0", &[(&[0.0, 1.0], &[0.0, 0.0]), (&[2.0, -1.0], &[-1.0, 0.0])])
        }
        BinaryOp::Maximum => says(
            "equals share; a literal keeps what is its own; 0 where one is NaN",
            &[(&[1.0, 1.0], &[0.5, 0.5]), (&[2.0, 1.0], &[1.0, 0.0]), (&[NAN, 1.0], &[0.0, 0.0])],
        ),
        BinaryOp::Minimum => says(
            "equals share; a literal keeps what is its own; 0 where one is NaN",
            &[(&[1.0, 1.0], &[0.5, 0.5]), (&[2.0, 1.0], &[0.0, 1.0]), (&[NAN, 1.0], &[0.0, 0.0])],
        ),
        BinaryOp::Fmax => says(
            "equals share; a literal keeps what is its own; that of the other where one is NaN",
            &[(&[1.0, 1.0], &[0.5, 0.5]), (&[NAN, 1.0], &[0.0, 1.0]), (&[2.0, NAN], &[1.0, 0.0])],
        ),
        BinaryOp::Fmin => says(
            "equals share; a literal keeps what is its own; that of the other where one is NaN",
            &[(&[0.0, -0.0], &[0.5, 0.5]), (&[NAN, 1.0], &[0.0, 1.0]), (&[2.0, NAN], &[1.0, 0.0])],
        ),
        BinaryOp::Lt
        | BinaryOp::Le
        | BinaryOp::Gt
        | BinaryOp::Ge
        | BinaryOp::Eq
        | BinaryOp::Ne
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor
        | BinaryOp::Shl
        | BinaryOp::Shr
        | BinaryOp::RandomBits32
        | BinaryOp::RandomBits64
        | BinaryOp::RandomUniform32
        | BinaryOp::RandomUniform64
        | BinaryOp::RandomKey => NO_FLOATS,
    }
}

/// The convention of an op of three operands; the condition of `select` is whether the first number of an example is above
/// zero.
pub const fn ternary(op: TernaryOp) -> Convention {
    match op {
        TernaryOp::Select => says(
            "1 for the value that is taken, 0 for the other, also where its own derivative is infinite or NaN",
            &[(&[1.0, 2.0, 3.0], &[0.0, 1.0, 0.0]), (&[0.0, 2.0, 3.0], &[0.0, 0.0, 1.0])],
        ),
        TernaryOp::MulAdd => NOTHING,
    }
}

/// The convention of a reduction.
pub const fn reduction(op: ReduceOp) -> Convention {
    match op {
        ReduceOp::Sum | ReduceOp::SquaredDeviations => NOTHING,
        ReduceOp::Prod => says(
            "the product of the others, at zeros too",
            &[(&[0.0, 2.0, 3.0], &[6.0, 0.0, 0.0]), (&[0.0, 0.0, 3.0], &[0.0, 0.0, 0.0])],
        ),
        ReduceOp::Min => says(
            "equals share; 0 where there is a NaN",
            &[(&[3.0, 1.0, 1.0], &[0.0, 0.5, 0.5]), (&[1.0, NAN, 2.0], &[0.0, 0.0, 0.0])],
        ),
        ReduceOp::Max => says(
            "equals share; 0 where there is a NaN",
            &[(&[3.0, 1.0, 3.0], &[0.5, 0.0, 0.5]), (&[1.0, NAN, 2.0], &[0.0, 0.0, 0.0])],
        ),
        ReduceOp::ArgMin | ReduceOp::ArgMax | ReduceOp::All | ReduceOp::Any => NO_FLOATS,
    }
}
