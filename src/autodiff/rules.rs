//! The partial derivatives of the elementwise ops: one arm per op, no wildcard, so that a new op does not compile
//! without one.
//!
//! A formula uses the result where that saves work or keeps accuracy, and divides where a reciprocal would round
//! twice. All of them are expressions that can be differentiated in turn, so the values at special points hold at any
//! order only if the formula is right in a neighborhood: `select` is used where a limit must be named, never to skip
//! work. Formulas are those of DLMF 4.20, 4.38, 5.2, 7.2 and 7.17 unless said otherwise.

use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, LN_10, PI};

use crate::autodiff::partial::Partial;
use crate::autodiff::special::trigamma;
use crate::expr::Expr;
use crate::expr::convert::IntoExpr;
use crate::graph::Node;
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};

/// The derivative of `y = op(x)`.
#[track_caller]
pub(super) fn unary(op: UnaryOp, x: &Expr, y: &Expr) -> Partial {
    match op {
        UnaryOp::Neg => Partial::Minus,
        // 0 at 0, since the sign is.
        UnaryOp::Abs => Partial::Factor(x.sign()),
        UnaryOp::Sqrt => Partial::Over(y * 2.0),
        UnaryOp::Cbrt => Partial::Over(y * y * 3.0),
        UnaryOp::Exp => Partial::Factor(y.clone()),
        UnaryOp::Exp2 => Partial::Factor(y * LN_2),
        // y + 1 would cancel where y is near −1.
        UnaryOp::Expm1 => Partial::Factor(x.exp()),
        UnaryOp::Ln => Partial::Over(x.clone()),
        UnaryOp::Log2 => Partial::Over(x * LN_2),
        UnaryOp::Log10 => Partial::Over(x * LN_10),
        UnaryOp::Log1p => Partial::Over(x + 1.0),
        UnaryOp::Sin => Partial::Factor(x.cos()),
        UnaryOp::Cos => Partial::Factor(-x.sin()),
        UnaryOp::Tan => Partial::Factor(y * y + 1.0),
        UnaryOp::Asin => Partial::Over(one_minus_square(x).sqrt()),
        UnaryOp::Acos => Partial::Over(-one_minus_square(x).sqrt()),
        UnaryOp::Atan => Partial::Over(x * x + 1.0),
        UnaryOp::Sinh => Partial::Factor(x.cosh()),
        UnaryOp::Cosh => Partial::Factor(x.sinh()),
        UnaryOp::Tanh => Partial::Factor(one_minus_square(y)),
        // √(x² + 1), which x² must not overflow.
        UnaryOp::Asinh => Partial::Over(x.hypot(1.0)),
        UnaryOp::Acosh => Partial::Over((x - 1.0).sqrt() * (x + 1.0).sqrt()),
        UnaryOp::Atanh => Partial::Over(one_minus_square(x)),
        UnaryOp::Erf => Partial::Factor((-(x * x)).exp() * FRAC_2_SQRT_PI),
        UnaryOp::Erfc => Partial::Factor((-(x * x)).exp() * -FRAC_2_SQRT_PI),
        UnaryOp::Erfinv => Partial::Factor((y * y).exp() * (PI.sqrt() / 2.0)),
        UnaryOp::Gamma => Partial::Factor(y * x.digamma()),
        UnaryOp::Lgamma => Partial::Factor(x.digamma()),
        UnaryOp::Digamma => Partial::Factor(trigamma(x)),
        // Steps, and what is no float.
        UnaryOp::Sign
        | UnaryOp::Floor
        | UnaryOp::Ceil
        | UnaryOp::Trunc
        | UnaryOp::Round
        | UnaryOp::Not
        | UnaryOp::IsNan
        | UnaryOp::IsInf
        | UnaryOp::IsFinite => Partial::Zero,
        // What the op is for.
        UnaryOp::StopGradient => Partial::Zero,
    }
}

/// The derivative of `y = op(a, b)` with respect to its first or its second operand.
#[track_caller]
pub(super) fn binary(op: BinaryOp, first: bool, [a, b]: [&Expr; 2], y: &Expr) -> Partial {
    let (own, other) = if first { (a, b) } else { (b, a) };
    match op {
        BinaryOp::Add => Partial::One,
        BinaryOp::Sub if first => Partial::One,
        BinaryOp::Sub => Partial::Minus,
        BinaryOp::Mul => Partial::Factor(other.clone()),
        BinaryOp::Div if first => Partial::Over(b.clone()),
        BinaryOp::Div => Partial::Factor(-(y / b)),
        // a − b·⌊a/b⌋.
        BinaryOp::Rem if first => Partial::One,
        BinaryOp::Rem => Partial::Factor(-a.floor_div(b)),
        BinaryOp::Pow if first => power_of_base(a, b),
        // 0 at a = 0 where the power is finite, since aᵇ ln a goes to 0 there for b > 0.
        BinaryOp::Pow => Partial::Factor((a.eq(0.0) & b.ge(0.0)).select(0.0, y * a.ln())),
        // a/(a² + b²), without overflow; NaN at the origin, around which the angle turns.
        BinaryOp::Atan2 => {
            let radius = a.hypot(b);
            let share = other / &radius / radius;
            Partial::Factor(if first { share } else { -share })
        }
        BinaryOp::Hypot => Partial::Factor(y.eq(0.0).select(0.0, own / y)),
        BinaryOp::Copysign if first => Partial::Factor(a.sign() * 1.0.into_expr().copysign(b)),
        BinaryOp::Maximum => winner(own.gt(other), own, other),
        BinaryOp::Minimum => winner(own.lt(other), own, other),
        BinaryOp::Fmax => winner(own.gt(other) | other.is_nan(), own, other),
        BinaryOp::Fmin => winner(own.lt(other) | other.is_nan(), own, other),
        // Steps, and what is no float.
        BinaryOp::FloorDiv
        | BinaryOp::Copysign
        | BinaryOp::Lt
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
        | BinaryOp::RandomKey => Partial::Zero,
    }
}

/// The derivative of an op of three operands with respect to one of them.
#[track_caller]
pub(super) fn ternary(op: TernaryOp, position: usize, [a, b, _]: [&Expr; 3]) -> Partial {
    match (op, position) {
        (TernaryOp::Select, 0) => Partial::Zero,
        (TernaryOp::Select, _) => Partial::Where { condition: a.clone(), is: position == 1 },
        (TernaryOp::MulAdd, 0) => Partial::Factor(b.clone()),
        (TernaryOp::MulAdd, 1) => Partial::Factor(a.clone()),
        (TernaryOp::MulAdd, _) => Partial::One,
    }
}

/// 1 − x², accurate near ±1.
#[track_caller]
fn one_minus_square(x: &Expr) -> Expr {
    (1.0 - x) * (x + 1.0)
}

/// b · a^(b−1), where 0 · 0^(−1) is 0.
#[track_caller]
fn power_of_base(a: &Expr, b: &Expr) -> Partial {
    let Node::Scalar(exponent) = b.node() else {
        return Partial::Factor((a.eq(0.0) & b.eq(0.0)).select(0.0, b * a.pow(b - 1.0)));
    };
    match exponent.to_f64() {
        0.0 => Partial::Zero,
        1.0 => Partial::One,
        2.0 => Partial::Factor(a * 2.0),
        exponent => Partial::Factor(a.pow(exponent - 1.0) * exponent),
    }
}

/// An op that takes one of its operands: equals share, but a literal keeps what is its own.
#[track_caller]
fn winner(wins: Expr, own: &Expr, other: &Expr) -> Partial {
    match other.node() {
        Node::Scalar(_) => Partial::Where { condition: wins, is: true },
        _ => Partial::Share { wins, ties: own.eq(other) },
    }
}
