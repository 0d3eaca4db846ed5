//! Motion of views and of reductions: views go toward the leaves, where they cost nothing and meet others;
//! broadcasts go toward the root, so that fewer elements are computed.
//!
//! Elementwise ops commute with maps of indices, so every rule is exact. A view moves past a node only if it is
//! that node's only user, so that nothing is computed twice. The order of a reduction's elements is part of its
//! definition: rules that change it are for reductions that cannot tell.

use smallvec::SmallVec;

use crate::dtype::{DType, Scalar};
use crate::graph::{Node, NodeId, SliceRange};
use crate::ops::{BinaryOp, ReduceOp};
use crate::optimize::merge::whole_axis;
use crate::optimize::rewrite::Rewriter;
use crate::optimize::rule::{Rule, When};
use crate::shape::{Dim, Shape};

const POINTWISE: &str = "an elementwise op computes each element from those at its index";

/// The rules, in the order in which they are tried.
pub(super) static RULES: &[Rule] = &[
    Rule::exact("broadcast_last", When::Any, ["(f (broadcast ?x) …)", "(broadcast (f ?x …))"], POINTWISE).by(
        "f elementwise or a cast; the outer broadcast is left out where f broadcasts by itself",
        &["unary", "binary", "ternary", "cast"],
        broadcast_last,
    ),
    Rule::exact(
        "slice_of_permute",
        When::Any,
        ["(slice (permute ?x))", "(permute (slice ?x))"],
        "both map axes one by one",
    )
    .by("", &["slice"], slice_of_permute),
    Rule::exact(
        "slice_of_broadcast",
        When::Any,
        ["(slice (broadcast ?x))", "(broadcast (slice ?x))"],
        "an axis that repeats one element does so in every part",
    )
    .by("", &["slice"], slice_of_broadcast),
    Rule::exact(
        "permute_of_broadcast",
        When::Any,
        ["(permute (broadcast ?x))", "(broadcast (permute ?x))"],
        "both map axes one by one",
    )
    .by("", &["permute"], permute_of_broadcast),
    Rule::exact("permute_first", When::Any, ["(permute (f ?x …))", "(f (permute ?x) …)"], POINTWISE).by(
        "f elementwise or a cast, used only here",
        &["permute"],
        permute_first,
    ),
    Rule::exact("slice_first", When::Any, ["(slice (f ?x …))", "(f (slice ?x) …)"], POINTWISE).by(
        "f elementwise or a cast, used only here; axes of size 1 that broadcast stay",
        &["slice"],
        slice_first,
    ),
    Rule::exact(
        "reduce_of_permute",
        When::Any,
        ["(f (permute ?x))", "(permute (f ?x))"],
        "the elements of each reduction come in the same order, or the order does not matter",
    )
    .by(
        "the reduced axes keep their order, or f is min, max, all, any, or sum or prod of integers",
        &["reduce"],
        reduce_of_permute,
    ),
    Rule::exact(
        "reduce_reduce",
        When::Any,
        ["(f (f ?x))", "(f ?x)"],
        "a lattice operation or a wrapping sum does not depend on grouping",
    )
    .by(
        "f among min, max, all, any, or sum or prod of integers; the inner one used only here",
        &["reduce"],
        reduce_reduce,
    ),
    Rule::exact(
        "reduce_nothing",
        When::Any,
        ["(f ?x)", "?x"],
        "one element is its own reduction; a float sum starts at +0, which takes −0 to +0",
    )
    .by(
        "every reduced axis is statically 1, or there is none; not squared_deviations",
        &["reduce"],
        reduce_nothing,
    ),
];

/// Whether a node is elementwise.
fn is_elementwise(node: &Node<NodeId>) -> bool {
    matches!(node, Node::Unary(..) | Node::Binary(..) | Node::Ternary(..) | Node::Cast(..))
}

/// Rebuilds a node with each operand replaced; `None` if a replacement is.
fn over(
    rewriter: &mut Rewriter,
    id: NodeId,
    replace: impl Fn(&mut Rewriter, NodeId) -> Option<NodeId>,
) -> Option<NodeId> {
    let node = rewriter.node(id).clone();
    let mut complete = true;
    let node = node.map(|&operand| {
        replace(rewriter, operand).unwrap_or_else(|| {
            complete = false;
            operand
        })
    });
    if complete { rewriter.add(node) } else { None }
}

fn broadcast_last(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let mut any = false;
    rewriter.node(id).for_each_operand(|&operand| any |= matches!(rewriter.node(operand), Node::Broadcast(..)));
    if !any {
        return None;
    }
    over(rewriter, id, |rewriter, operand| {
        Some(if let Node::Broadcast(_, x) = rewriter.node(operand) { *x } else { operand })
    })
}

/// The operand with leading axes of size 1 up to this rank.
fn with_rank(rewriter: &mut Rewriter, x: NodeId, rank: usize) -> Option<NodeId> {
    let shape = &rewriter.ty(x).shape;
    let missing = rank.checked_sub(shape.len())?;
    if missing == 0 {
        return Some(x);
    }
    let shape: Shape = std::iter::repeat_n(Dim::ONE, missing).chain(shape.iter().cloned()).collect();
    rewriter.add(Node::Reshape(shape, x))
}

/// An operand of a node of rank `order.len()`, permuted as the node is.
fn permute_operand(rewriter: &mut Rewriter, x: NodeId, order: &SmallVec<[u32; 3]>) -> Option<NodeId> {
    if rewriter.ty(x).rank() == 0 {
        return Some(x);
    }
    let full = with_rank(rewriter, x, order.len())?;
    rewriter.add(Node::Permute(order.clone(), full))
}

/// An operand of a node of this shape, sliced as the node is; an axis that broadcasts stays.
fn slice_operand(rewriter: &mut Rewriter, x: NodeId, ranges: &[SliceRange], shape: &[Dim]) -> Option<NodeId> {
    let own = &rewriter.ty(x).shape;
    let offset = shape.len().checked_sub(own.len())?;
    if own.is_empty() {
        return Some(x);
    }
    let axes = own.iter().zip(&ranges[offset..]).zip(&shape[offset..]);
    let ranges = axes
        .map(|((own, range), size)| if own.is_one() && !size.is_one() { whole_axis(own) } else { range.clone() })
        .collect();
    rewriter.add(Node::Slice(ranges, x))
}

fn slice_of_permute(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Slice(ranges, x) = rewriter.node(id) else { return None };
    let Node::Permute(order, x) = rewriter.node(*x) else { return None };
    let (order, x, mut inner) = (order.clone(), *x, ranges.clone());
    for (axis, range) in order.iter().zip(ranges) {
        inner[*axis as usize] = range.clone();
    }
    let sliced = rewriter.add(Node::Slice(inner, x))?;
    rewriter.add(Node::Permute(order, sliced))
}

fn slice_of_broadcast(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Slice(ranges, x) = rewriter.node(id) else { return None };
    let Node::Broadcast(shape, x) = rewriter.node(*x) else { return None };
    let (ranges, shape, x) = (ranges.clone(), shape.clone(), *x);
    slice_operand(rewriter, x, &ranges, &shape)
}

fn permute_of_broadcast(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Permute(order, x) = rewriter.node(id) else { return None };
    let Node::Broadcast(_, x) = rewriter.node(*x) else { return None };
    let (order, x) = (order.clone(), *x);
    permute_operand(rewriter, x, &order)
}

fn permute_first(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Permute(order, x) = rewriter.node(id) else { return None };
    let (order, x) = (order.clone(), *x);
    if !is_elementwise(rewriter.node(x)) || rewriter.uses(x) > 1 {
        return None;
    }
    over(rewriter, x, |rewriter, operand| permute_operand(rewriter, operand, &order))
}

fn slice_first(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Slice(ranges, x) = rewriter.node(id) else { return None };
    let (ranges, x) = (ranges.clone(), *x);
    if !is_elementwise(rewriter.node(x)) || rewriter.uses(x) > 1 {
        return None;
    }
    let shape = rewriter.ty(x).shape.clone();
    over(rewriter, x, |rewriter, operand| slice_operand(rewriter, operand, &ranges, &shape))
}

/// Whether the order and the grouping of the elements make no difference.
fn is_order_free(op: ReduceOp, element: DType) -> bool {
    match op {
        ReduceOp::Min | ReduceOp::Max | ReduceOp::All | ReduceOp::Any => true,
        ReduceOp::Sum | ReduceOp::Prod => !element.is_float(),
        ReduceOp::ArgMin | ReduceOp::ArgMax | ReduceOp::SquaredDeviations => false,
    }
}

fn reduce_of_permute(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Reduce(op, axes, x) = rewriter.node(id) else { return None };
    let Node::Permute(order, x) = rewriter.node(*x) else { return None };
    let (op, x) = (*op, *x);
    let mut reduced: SmallVec<[u32; 3]> = axes.iter().map(|&axis| order[axis as usize]).collect();
    if !reduced.is_sorted() && !is_order_free(op, rewriter.ty(x).dtype) {
        return None;
    }
    let kept: SmallVec<[u32; 3]> = order.iter().copied().filter(|axis| !reduced.contains(axis)).collect();
    let place = |axis: &u32| kept.iter().filter(|&other| other < axis).count() as u32;
    let order = kept.iter().map(place).collect();
    reduced.sort_unstable();
    let result = rewriter.add(Node::Reduce(op, reduced, x))?;
    rewriter.add(Node::Permute(order, result))
}

fn reduce_reduce(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Reduce(op, outer, inner) = rewriter.node(id) else { return None };
    let Node::Reduce(inner_op, axes, x) = rewriter.node(*inner) else { return None };
    let (ty, op, x) = (rewriter.ty(*x), *op, *x);
    if op != *inner_op || !is_order_free(op, ty.dtype) || rewriter.uses(*inner) > 1 {
        return None;
    }
    let kept: SmallVec<[u32; 3]> = (0..ty.rank() as u32).filter(|axis| !axes.contains(axis)).collect();
    let mut all: SmallVec<[u32; 3]> =
        axes.iter().copied().chain(outer.iter().map(|&axis| kept[axis as usize])).collect();
    all.sort_unstable();
    rewriter.add(Node::Reduce(op, all, x))
}

fn reduce_nothing(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Reduce(op, axes, x) = rewriter.node(id) else { return None };
    let (op, x, element) = (*op, *x, rewriter.ty(*x).dtype);
    let shape = &rewriter.ty(x).shape;
    if !axes.iter().all(|&axis| shape[axis as usize].is_one()) {
        return None;
    }
    let node = Node::Reshape(rewriter.ty(id).shape.clone(), x);
    let x = rewriter.add(node)?;
    match op {
        ReduceOp::Sum if element.is_float() => {
            let zero = rewriter.scalar(Scalar::F64(0.0).cast(element))?;
            rewriter.binary(BinaryOp::Add, x, zero)
        }
        ReduceOp::Sum | ReduceOp::Prod => rewriter.add(Node::Cast(op.result(element), x)),
        ReduceOp::Min | ReduceOp::Max | ReduceOp::All | ReduceOp::Any => Some(x),
        ReduceOp::ArgMin | ReduceOp::ArgMax => rewriter.scalar(Scalar::I64(0)),
        ReduceOp::SquaredDeviations => None,
    }
}
