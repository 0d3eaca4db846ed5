//! Whether an expression is linear in parameters, by the form of what it is made of.
//!
//! It holds what is certainly linear, and refuses the rest: a sum with a constant, a sign, a clamped value. Loops and
//! values with derivatives of their own are taken at their word.

use rustc_hash::FxHashSet;

use crate::autodiff::tape::{Role, Tape};
use crate::expr::Expr;
use crate::graph::Node;
use crate::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};
use crate::shape::InputId;

/// A part of an expression that is not linear in the parameters on which it depends.
pub(super) fn breach(root: &Expr, parameters: &FxHashSet<InputId>) -> Option<Expr> {
    let mut tape = Tape::default();
    tape.add(root);
    let own = tape.entries.into_iter().filter(|entry| matches!(entry.role, Role::Node));
    own.map(|entry| entry.expr).find(|expr| expr.depends_on(parameters) && !keeps(expr, parameters))
}

/// Whether a node is linear in those of its operands that depend on the parameters.
fn keeps(expr: &Expr, parameters: &FxHashSet<InputId>) -> bool {
    let moves = |x: &Expr| x.depends_on(parameters);
    let adds = |x: &Expr| moves(x) || is_zero(x);
    match expr.node() {
        Node::Unary(op, _) => *op == UnaryOp::Neg,
        Node::Binary(op, [a, b]) => {
            let is_sum = matches!(op, BinaryOp::Add | BinaryOp::Sub) && adds(a) && adds(b);
            let is_product = *op == BinaryOp::Mul && !(moves(a) && moves(b));
            is_sum || is_product || (*op == BinaryOp::Div && !moves(b))
        }
        Node::Ternary(TernaryOp::Select, [condition, a, b]) => !moves(condition) && adds(a) && adds(b),
        Node::Ternary(op, [a, b, c]) => *op == TernaryOp::MulAdd && moves(a) != moves(b) && adds(c),
        Node::Cast(dtype, _) => dtype.is_float(),
        Node::Reduce(op, _, _) => *op == ReduceOp::Sum,
        Node::Concat(_, parts) => parts.iter().all(adds),
        Node::MatMul([a, b]) => !(moves(a) && moves(b)),
        Node::Custom(..) => false,
        Node::Permute(..)
        | Node::Reshape(..)
        | Node::Broadcast(..)
        | Node::Slice(..)
        | Node::Barrier(_)
        | Node::Loop(_)
        | Node::Project(..)
        | Node::Parameter(..)
        | Node::Input(_)
        | Node::Scalar(_)
        | Node::Dense(_)
        | Node::Iota(_)
        | Node::Size(_) => true,
    }
}

/// Whether an expression is a zero, or many.
fn is_zero(expr: &Expr) -> bool {
    let mut expr = expr;
    while let Node::Broadcast(_, x) | Node::Reshape(_, x) | Node::Cast(_, x) = expr.node() {
        expr = x;
    }
    matches!(expr.node(), Node::Scalar(value) if value.to_f64() == 0.0)
}
