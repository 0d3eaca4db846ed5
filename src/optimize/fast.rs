//! Rules that relax rounding, for those who ask for them.
//!
//! They reassociate, use reciprocals, and trade some ULP for stability: the relative error may grow by more than
//! one ULP, and what is finite may overflow.
//! NaN and infinities are still not assumed away: x·0, x − x and x / x stay.

use crate::dtype::Scalar;
use crate::graph::{Node, NodeId};
use crate::ops::BinaryOp;
use crate::optimize::rewrite::Rewriter;
use crate::optimize::rule::{Class, Rule, When};

/// The rules, in the order in which they are tried.
pub(super) static RULES: &[Rule] = &[
    Rule {
        class: Class::Fast,
        ..Rule::exact(
            "reassociate",
            When::Float,
            ["(f (f ?x c) d)", "(f ?x (f c d))"],
            "equal but for rounding and overflow",
        )
        .by("c and d constants; f among add and mul", &["add", "mul"], reassociate)
    },
    Rule::fast("reciprocal", ["(div ?x c)", "(mul ?x 1/c)"], "two roundings instead of one").by(
        "c constant, 1/c a normal number",
        &["div"],
        reciprocal,
    ),
    Rule::fast(
        "div_div",
        ["(div (div ?x ?y) ?z)", "(div ?x (mul ?y ?z))"],
        "a product is cheaper than a quotient; it may overflow",
    ),
    Rule::fast(
        "div_by_div",
        ["(div ?x (div ?y ?z))", "(div (mul ?x ?z) ?y)"],
        "a product is cheaper than a quotient; it may overflow",
    ),
    Rule::fast("exp_sum", ["(mul (exp ?x) (exp ?y))", "(exp (add ?x ?y))"], "one exponential instead of two"),
    Rule::fast(
        "one_minus_sigmoid",
        ["(sub 1 (div 1 (add (exp ?x) 1)))", "(div (exp (minimum ?x 0)) (add (exp (neg (abs ?x))) 1))"],
        "1 − 1/(1 + eˣ) = eˣ/(1 + eˣ), which does not cancel, at up to 1.7 ULP more where it would not; divided by e^max(x, 0) it does not overflow",
    ),
    Rule::fast(
        "one_minus_logistic",
        [
            "(sub 1 (div (select (ge ?x 0) 1 (exp (select (ge ?x 0) (neg ?x) ?x))) (add (exp (select (ge ?x 0) (neg ?x) ?x)) 1)))",
            "(div (select (ge ?x 0) (exp (neg (abs ?x))) 1) (add (exp (neg (abs ?x))) 1))",
        ],
        "1 − σ(x) = σ(−x), which does not cancel, at up to 1.7 ULP more where it would not",
    ),
    Rule::fast(
        "pow_minus_two",
        ["(pow ?x -2)", "(mul (div 1 ?x) (div 1 ?x))"],
        "up to 1.5 ULP; the reciprocal first, whose square vanishes only where the power does",
    ),
];

fn reassociate(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let &Node::Binary(op, [inner, d]) = rewriter.node(id) else { return None };
    let &Node::Binary(inner_op, [x, c]) = rewriter.node(inner) else { return None };
    let merged = op.apply(rewriter.constant(c)?, rewriter.constant(d)?)?;
    if op != inner_op || !merged.dtype().is_float() || !merged.to_f64().is_normal() {
        return None;
    }
    let merged = rewriter.scalar(merged)?;
    rewriter.binary(op, x, merged)
}

fn reciprocal(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let &Node::Binary(BinaryOp::Div, [x, c]) = rewriter.node(id) else { return None };
    let divisor = rewriter.constant(c)?;
    let value = BinaryOp::Div.apply(Scalar::I64(1).cast(divisor.dtype()), divisor)?;
    let normal = match value {
        Scalar::F32(value) => value.is_normal(),
        Scalar::F64(value) => value.is_normal(),
        Scalar::Bool(_)
        | Scalar::I8(_)
        | Scalar::U8(_)
        | Scalar::I32(_)
        | Scalar::U32(_)
        | Scalar::I64(_)
        | Scalar::U64(_) => false,
    };
    let value = if normal { rewriter.scalar(value)? } else { return None };
    rewriter.binary(BinaryOp::Mul, x, value)
}
