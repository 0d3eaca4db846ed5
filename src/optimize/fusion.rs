//! Contraction of a·b + c to one rounding, for targets with a fused multiply-add.
//!
//! By default only in polynomial chains (Horner's scheme), where each step of the bound gets smaller, and in small whole powers
//! (`powers.rs`); any other contraction is for those who relax rounding. Engines never contract by themselves.

use crate::dtype::Scalar;
use crate::graph::{Node, NodeId};
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};
use crate::optimize::rewrite::Rewriter;
use crate::optimize::rule::Rule;

/// The rules, in the order in which they are tried.
pub(super) static RULES: &[Rule] = &[
    Rule::accuracy(
        "contract_polynomials",
        ["(add (mul (add (mul ?p ?x) c) ?x) d)", "(mul_add (mul_add ?p ?x c) ?x d)"],
        "a step of Horner's scheme with one rounding instead of two",
    )
    .by(
        "c and d constants of rank 0; also with sub for add; the inner sum is not used elsewhere",
        &["add", "sub"],
        contract,
    )
    .with_fma(),
    Rule::fast("fuse_mul_add", ["(add (mul ?x ?y) ?z)", "(mul_add ?x ?y ?z)"], "one rounding instead of two")
        .with_fma(),
    Rule::fast("fuse_mul_sub", ["(sub (mul ?x ?y) ?z)", "(mul_add ?x ?y (neg ?z))"], "one rounding instead of two")
        .with_fma(),
    Rule::fast("fuse_sub_mul", ["(sub ?z (mul ?x ?y))", "(mul_add (neg ?x) ?y ?z)"], "one rounding instead of two")
        .with_fma(),
];

/// A product plus a constant.
struct Step {
    factors: [NodeId; 2],
    constant: Scalar,
}

fn contract(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Step { factors: [a, b], constant } = step_of(rewriter, id)?;
    let (inner, x) = match (contracted(rewriter, a, b), contracted(rewriter, b, a)) {
        (Some(inner), _) => (inner, b),
        (None, Some(inner)) => (inner, a),
        (None, None) => return None,
    };
    let constant = rewriter.scalar(constant)?;
    rewriter.ternary(TernaryOp::MulAdd, [inner, x, constant])
}

/// The step that a node is: a sum or difference of a product and a constant, of floats.
fn step_of(rewriter: &Rewriter, id: NodeId) -> Option<Step> {
    let &Node::Binary(op, [a, b]) = rewriter.node(id) else { return None };
    if !rewriter.ty(id).dtype.is_float() {
        return None;
    }
    let (product, constant) = if op == BinaryOp::Sub {
        (a, UnaryOp::Neg.apply(rewriter.scalar_value(b)?)?)
    } else if op != BinaryOp::Add {
        return None;
    } else if let Some(value) = rewriter.scalar_value(b) {
        (a, value)
    } else {
        (b, rewriter.scalar_value(a)?)
    };
    let &Node::Binary(BinaryOp::Mul, factors) = rewriter.node(product) else { return None };
    Some(Step { factors, constant })
}

/// The inner polynomial in `x` with one rounding a step, if that is what `inner` is.
fn contracted(rewriter: &mut Rewriter, inner: NodeId, x: NodeId) -> Option<NodeId> {
    if let &Node::Ternary(TernaryOp::MulAdd, [a, b, c]) = rewriter.node(inner) {
        return ((a == x || b == x) && rewriter.scalar_value(c).is_some()).then_some(inner);
    }
    let Step { factors: [a, b], constant } = step_of(rewriter, inner)?;
    if (a != x && b != x) || rewriter.uses(inner) > 1 {
        return None;
    }
    let coefficient = if b == x { a } else { b };
    let constant = rewriter.scalar(constant)?;
    rewriter.ternary(TernaryOp::MulAdd, [coefficient, x, constant])
}
