//! Stabilization of logarithms of sums of exponentials: the largest exponent is taken out first.
//!
//! ln Σ exp(x) = m + ln Σ exp(x − m) for any m; with m the largest x no exponential overflows and not all of
//! them vanish. An infinite or NaN m is replaced by 0, since inf − inf is NaN. The maximum of no elements is −∞ by its
//! row, whose logarithm of the sum is −∞ too. Quotients are shifted only where the exponentials might overflow or
//! vanish: the difference rounds, which a tiny exponential shows.
//! Invariant: what is visibly shifted already is left alone, the results of these rules among it.

use smallvec::SmallVec;

use crate::dtype::Scalar;
use crate::graph::{Node, NodeId};
use crate::ops::stable::safe_exponent;
use crate::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};
use crate::optimize::rewrite::Rewriter;
use crate::optimize::rule::Rule;
use crate::shape::{Dim, Shape};

/// Axes of a reduction.
type Axes = SmallVec<[u32; 3]>;

/// The rules, in the order in which they are tried.
pub(super) static RULES: &[Rule] = &[
    Rule::accuracy(
        "logsumexp",
        ["(ln (sum (exp ?x)))", "m + (ln (sum (exp (sub ?x m)))), m = max ?x if finite, else 0"],
        "ln Σ eˣ = m + ln Σ eˣ⁻ᵐ; the absolute error stays within one ULP of max(|result|, 1)",
    )
    .by("?x is not shifted by a maximum already; also under a reshape of the sum", &["ln"], logsumexp),
    Rule::accuracy(
        "logaddexp",
        [
            "(ln (add (exp ?x) (exp ?y)))",
            "m + (ln (add (exp (sub ?x m)) (exp (sub ?y m)))), m = (maximum ?x ?y) if finite, else 0",
        ],
        "as logsumexp, for two terms",
    )
    .by("neither is shifted by a maximum already", &["ln"], logaddexp),
    Rule::accuracy(
        "log_softmax",
        [
            "(ln (div (exp ?x) (sum (exp ?x))))",
            "(sub d (ln (sum (exp d)))), d = (sub ?x m), m = max ?x if finite, else 0",
        ],
        "ln(eˣ / Σ eˣ) = d − ln Σ eᵈ, where d ≤ 0 and the logarithm is ≥ 0, so nothing cancels",
    )
    .by(
        "both are exponentials of the same ?x; d = ?x if that is shifted by a maximum already",
        &["ln"],
        log_softmax,
    ),
    Rule::accuracy(
        "softmax",
        [
            "(div (exp ?x) (sum (exp ?x)))",
            "(div (exp (sub ?x m)) (sum (exp (sub ?x m)))), m = max ?x if that is finite and beyond ±64 (f32) or ±512 (f64), else 0",
        ],
        "eˣ / Σ eˣ = eˣ⁻ᵐ / Σ eˣ⁻ᵐ; the same bits where m is 0, and else the error is within one ULP of 1",
    )
    .by("?x is not shifted by a maximum already", &["div"], softmax),
];

fn operand_of(rewriter: &Rewriter, id: NodeId, op: UnaryOp) -> Option<NodeId> {
    if let &Node::Unary(found, x) = rewriter.node(id) { (found == op).then_some(x) } else { None }
}

/// What is under views of a node.
fn under_views(rewriter: &Rewriter, mut id: NodeId) -> NodeId {
    while let Node::Reshape(_, x) | Node::Broadcast(_, x) | Node::Permute(_, x) | Node::Slice(_, x) = rewriter.node(id)
    {
        id = *x;
    }
    id
}

/// Whether an exponent is a difference from a maximum.
fn is_shifted(rewriter: &Rewriter, exponent: NodeId) -> bool {
    let &Node::Binary(BinaryOp::Sub, [_, shift]) = rewriter.node(under_views(rewriter, exponent)) else { return false };
    let mut shift = under_views(rewriter, shift);
    if let &Node::Ternary(TernaryOp::Select, [_, finite, _]) = rewriter.node(shift) {
        shift = under_views(rewriter, finite);
    }
    matches!(rewriter.node(shift), Node::Reduce(ReduceOp::Max, ..) | Node::Binary(BinaryOp::Maximum, _))
}

/// The exponent from which `softmax` has taken the maximum where it had to: a logarithm is to be taken of it everywhere.
fn as_written(rewriter: &Rewriter, exponent: NodeId) -> NodeId {
    let &Node::Binary(BinaryOp::Sub, [x, shift]) = rewriter.node(exponent) else { return exponent };
    let &Node::Ternary(TernaryOp::Select, [needed, ..]) = rewriter.node(under_views(rewriter, shift)) else {
        return exponent;
    };
    let sometimes = matches!(rewriter.node(needed), Node::Binary(BinaryOp::And, _));
    if sometimes && is_shifted(rewriter, exponent) { x } else { exponent }
}

fn logsumexp(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let logarithm_of = operand_of(rewriter, id, UnaryOp::Ln)?;
    let inner = if let Node::Reshape(_, x) = rewriter.node(logarithm_of) { *x } else { logarithm_of };
    let Node::Reduce(ReduceOp::Sum, axes, exponential) = rewriter.node(inner) else { return None };
    let axes = axes.clone();
    let x = operand_of(rewriter, *exponential, UnaryOp::Exp).filter(|&x| !is_shifted(rewriter, x))?;
    if axes.is_empty() {
        return None;
    }
    let (shift, difference) = shifted_by_maximum(rewriter, x, &axes)?;
    let exponential = rewriter.unary(UnaryOp::Exp, difference)?;
    let sum = rewriter.add(Node::Reduce(ReduceOp::Sum, axes, exponential))?;
    let logarithm = rewriter.unary(UnaryOp::Ln, sum)?;
    let result = rewriter.binary(BinaryOp::Add, logarithm, shift)?;
    let shape = rewriter.ty(id).shape.clone();
    if inner == logarithm_of { Some(result) } else { rewriter.add(Node::Reshape(shape, result)) }
}

/// The maximum over some axes, or 0 where that is not finite, and the differences from it.
fn shifted_by_maximum(rewriter: &mut Rewriter, x: NodeId, axes: &Axes) -> Option<(NodeId, NodeId)> {
    // Of nothing it is −∞, and so is the logarithm of the empty sum.
    let largest = rewriter.add(Node::Reduce(ReduceOp::Max, axes.clone(), x))?;
    let shift = finite_or_zero(rewriter, largest)?;
    let aligned = rewriter.add(Node::Reshape(kept_shape(rewriter, x, axes), shift))?;
    let difference = rewriter.binary(BinaryOp::Sub, x, aligned)?;
    Some((shift, difference))
}

/// The shape of an operand with a 1 in the place of each of these axes.
fn kept_shape(rewriter: &Rewriter, x: NodeId, axes: &Axes) -> Shape {
    let sizes = (0..).zip(&rewriter.ty(x).shape);
    sizes.map(|(axis, dim)| if axes.contains(&axis) { Dim::ONE } else { dim.clone() }).collect()
}

fn finite_or_zero(rewriter: &mut Rewriter, x: NodeId) -> Option<NodeId> {
    let dtype = rewriter.ty(x).dtype;
    let finite = rewriter.unary(UnaryOp::IsFinite, x)?;
    let zero = rewriter.scalar(Scalar::F64(0.0).cast(dtype))?;
    rewriter.ternary(TernaryOp::Select, [finite, x, zero])
}

fn logaddexp(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let sum = operand_of(rewriter, id, UnaryOp::Ln)?;
    let &Node::Binary(BinaryOp::Add, [a, b]) = rewriter.node(sum) else { return None };
    let (a, b) = (operand_of(rewriter, a, UnaryOp::Exp)?, operand_of(rewriter, b, UnaryOp::Exp)?);
    if is_shifted(rewriter, a) || is_shifted(rewriter, b) {
        return None;
    }
    let largest = rewriter.binary(BinaryOp::Maximum, a, b)?;
    let shift = finite_or_zero(rewriter, largest)?;
    let mut exponential = |exponent| {
        let difference = rewriter.binary(BinaryOp::Sub, exponent, shift)?;
        rewriter.unary(UnaryOp::Exp, difference)
    };
    let (a, b) = (exponential(a)?, exponential(b)?);
    let sum = rewriter.binary(BinaryOp::Add, a, b)?;
    let logarithm = rewriter.unary(UnaryOp::Ln, sum)?;
    rewriter.binary(BinaryOp::Add, logarithm, shift)
}

/// An exponential divided by the sum of all such.
struct Quotient {
    exponent: NodeId,
    axes: Axes,
    /// The shape of the operand with a 1 for each axis.
    kept: Shape,
}

fn quotient_of(rewriter: &Rewriter, id: NodeId) -> Option<Quotient> {
    let &Node::Binary(BinaryOp::Div, [exponential, divisor]) = rewriter.node(id) else { return None };
    let exponent = operand_of(rewriter, exponential, UnaryOp::Exp)?;
    let sum = if let Node::Reshape(_, sum) = rewriter.node(divisor) { *sum } else { divisor };
    let Node::Reduce(ReduceOp::Sum, axes, terms) = rewriter.node(sum) else { return None };
    if *terms != exponential || axes.is_empty() {
        return None;
    }
    let kept = kept_shape(rewriter, exponent, axes);
    // Without a reshape the sum meets the right axes only if the first ones were reduced.
    let leading = axes.iter().copied().eq(0..axes.len() as u32);
    let aligned = if sum == divisor { leading } else { rewriter.ty(divisor).shape == kept };
    aligned.then(|| Quotient { exponent, axes: axes.clone(), kept })
}

/// The sum of an array over the axes of a quotient, which are kept.
fn aligned_sum(rewriter: &mut Rewriter, quotient: Quotient, terms: NodeId) -> Option<NodeId> {
    let sum = rewriter.add(Node::Reduce(ReduceOp::Sum, quotient.axes, terms))?;
    rewriter.add(Node::Reshape(quotient.kept, sum))
}

fn log_softmax(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let quotient = operand_of(rewriter, id, UnaryOp::Ln)?;
    let quotient = quotient_of(rewriter, quotient)?;
    let x = as_written(rewriter, quotient.exponent);
    let difference = if is_shifted(rewriter, x) { x } else { shifted_by_maximum(rewriter, x, &quotient.axes)?.1 };
    let exponential = rewriter.unary(UnaryOp::Exp, difference)?;
    let sum = aligned_sum(rewriter, quotient, exponential)?;
    let logarithm = rewriter.unary(UnaryOp::Ln, sum)?;
    rewriter.binary(BinaryOp::Sub, difference, logarithm)
}

fn softmax(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let quotient = quotient_of(rewriter, id).filter(|quotient| !is_shifted(rewriter, quotient.exponent))?;
    let x = quotient.exponent;
    let largest = rewriter.add(Node::Reduce(ReduceOp::Max, quotient.axes.clone(), x))?;
    let dtype = rewriter.ty(x).dtype;
    let bound = rewriter.scalar(Scalar::F64(safe_exponent(dtype)).cast(dtype))?;
    let magnitude = rewriter.unary(UnaryOp::Abs, largest)?;
    let far = rewriter.binary(BinaryOp::Gt, magnitude, bound)?;
    let finite = rewriter.unary(UnaryOp::IsFinite, largest)?;
    let needed = rewriter.binary(BinaryOp::And, far, finite)?;
    let zero = rewriter.scalar(Scalar::F64(0.0).cast(dtype))?;
    let shift = rewriter.ternary(TernaryOp::Select, [needed, largest, zero])?;
    let aligned = rewriter.add(Node::Reshape(quotient.kept.clone(), shift))?;
    let difference = rewriter.binary(BinaryOp::Sub, x, aligned)?;
    let exponential = rewriter.unary(UnaryOp::Exp, difference)?;
    let sum = aligned_sum(rewriter, quotient, exponential)?;
    rewriter.binary(BinaryOp::Div, exponential, sum)
}
