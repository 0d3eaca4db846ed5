//! Ops named by a value instead of a method: for programs that draw from the op table.

use crate::expr::axes::IntoAxes;
use crate::expr::convert::IntoExpr;
use crate::expr::{Expr, elementwise};
use crate::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};

/// The op of one operand, as its method does it.
#[track_caller]
pub fn apply_unary(op: UnaryOp, x: impl IntoExpr) -> Expr {
    elementwise::unary(op, &x.into_expr())
}

/// The op of two operands, as its method does it.
#[track_caller]
pub fn apply_binary(op: BinaryOp, a: impl IntoExpr, b: impl IntoExpr) -> Expr {
    elementwise::binary(op, &a.into_expr(), &b.into_expr())
}

/// The op of three operands, as its method does it.
#[track_caller]
pub fn apply_ternary(op: TernaryOp, a: impl IntoExpr, b: impl IntoExpr, c: impl IntoExpr) -> Expr {
    match op {
        TernaryOp::Select => a.into_expr().select(b, c),
        TernaryOp::MulAdd => a.into_expr().mul_add(b, c),
    }
}

/// The row of a reduction, without the conversions that its method makes.
#[track_caller]
pub fn apply_reduce(op: ReduceOp, x: impl IntoExpr, axes: impl IntoAxes) -> Expr {
    let x = x.into_expr();
    match axes.into_axes().resolve(x.rank()) {
        Ok(axes) => x.reduce(op, axes),
        Err(message) => x.invalid(message),
    }
}
