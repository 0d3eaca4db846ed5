//! Merging of views: chains of permutes, reshapes, broadcasts and slices become one, or none.
//!
//! Views move elements and compute nothing, so every rule is exact. Sizes are compared as forms: two sizes
//! that are merely equal at call time are left alone.

use crate::graph::{Node, NodeId, SliceRange};
use crate::optimize::rewrite::Rewriter;
use crate::optimize::rule::{Rule, When};
use crate::shape::Dim;

const COMPOSED: &str = "views are maps of indices, and maps compose";

/// The rules, in the order in which they are tried.
pub(super) static RULES: &[Rule] = &[
    Rule::exact("identity_view", When::Any, ["(view ?x)", "?x"], "the view maps every index to itself").by(
        "view among permute, reshape, broadcast and slice, and the identity on the shape of ?x",
        &["permute", "reshape", "broadcast", "slice"],
        identity_view,
    ),
    Rule::exact(
        "view_of_fill",
        When::Any,
        ["(view (broadcast ?x))", "(broadcast ?x)"],
        "all elements are equal wherever they go",
    )
    .by("?x of rank 0; view among permute, reshape and slice", &["permute", "reshape", "slice"], view_of_fill),
    Rule::exact("permute_permute", When::Any, ["(permute (permute ?x))", "(permute ?x)"], COMPOSED).by(
        "",
        &["permute"],
        permute_permute,
    ),
    Rule::exact(
        "permute_of_ones",
        When::Any,
        ["(permute ?x)", "(reshape ?x)"],
        "axes of size 1 have no part in row-major order",
    )
    .by("the axes that are not statically 1 keep their order", &["permute"], permute_of_ones),
    Rule::exact("reshape_reshape", When::Any, ["(reshape (reshape ?x))", "(reshape ?x)"], "both keep row-major order")
        .by("", &["reshape"], reshape_reshape),
    Rule::exact("broadcast_broadcast", When::Any, ["(broadcast (broadcast ?x))", "(broadcast ?x)"], COMPOSED).by(
        "",
        &["broadcast"],
        broadcast_broadcast,
    ),
    Rule::exact("slice_slice", When::Any, ["(slice (slice ?x))", "(slice ?x)"], COMPOSED).by(
        "the bounds of the result follow from those of the two slices, also when there are no elements",
        &["slice"],
        slice_slice,
    ),
    Rule::exact(
        "slice_of_concat",
        When::Any,
        ["(slice (concat … ?x …))", "(slice ?x)"],
        "the elements taken are those of one part",
    )
    .by("the range and the parts up to ?x are known, and the range lies within ?x", &["slice"], slice_of_concat),
    Rule::exact("concat_of_one", When::Any, ["(concat ?x)", "?x"], "one part is the whole").by(
        "",
        &["concat"],
        concat_of_one,
    ),
];

fn identity_view(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    match rewriter.node(id) {
        Node::Permute(order, x) => order.iter().copied().eq(0..order.len() as u32).then_some(*x),
        Node::Reshape(shape, x) | Node::Broadcast(shape, x) => (rewriter.ty(*x).shape == *shape).then_some(*x),
        Node::Slice(ranges, x) => {
            let whole = |(range, size): (&SliceRange, &Dim)| *range == whole_axis(size);
            ranges.iter().zip(&rewriter.ty(*x).shape).all(whole).then_some(*x)
        }
        Node::Input(_)
        | Node::Parameter(..)
        | Node::Scalar(_)
        | Node::Dense(_)
        | Node::Iota(_)
        | Node::Size(_)
        | Node::Unary(..)
        | Node::Binary(..)
        | Node::Ternary(..)
        | Node::Cast(..)
        | Node::Reduce(..)
        | Node::Concat(..)
        | Node::MatMul(_)
        | Node::Loop(_)
        | Node::Project(..)
        | Node::Custom(..)
        | Node::Barrier(_) => None,
    }
}

/// The range that takes all of an axis.
pub(super) fn whole_axis(size: &Dim) -> SliceRange {
    SliceRange { start: Dim::ZERO, step: 1, length: size.clone() }
}

/// The operand of a view that repeats a single element.
fn view_of_fill(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let (Node::Permute(_, x) | Node::Reshape(_, x) | Node::Slice(_, x)) = rewriter.node(id) else { return None };
    let &Node::Broadcast(_, fill) = rewriter.node(*x) else { return None };
    (rewriter.ty(fill).rank() == 0).then_some(fill)
}

fn permute_permute(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Permute(outer, x) = rewriter.node(id) else { return None };
    let Node::Permute(inner, x) = rewriter.node(*x) else { return None };
    let order = outer.iter().map(|&axis| inner[axis as usize]).collect();
    let x = *x;
    rewriter.add(Node::Permute(order, x))
}

fn permute_of_ones(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Permute(order, x) = rewriter.node(id) else { return None };
    let (ty, x) = (rewriter.ty(*x), *x);
    if !order.iter().filter(|&&axis| !ty.shape[axis as usize].is_one()).is_sorted() {
        return None;
    }
    let shape = rewriter.ty(id).shape.clone();
    rewriter.add(Node::Reshape(shape, x))
}

fn reshape_reshape(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Reshape(shape, x) = rewriter.node(id) else { return None };
    let Node::Reshape(_, x) = rewriter.node(*x) else { return None };
    let node = Node::Reshape(shape.clone(), *x);
    rewriter.add(node)
}

fn broadcast_broadcast(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Broadcast(shape, x) = rewriter.node(id) else { return None };
    let Node::Broadcast(_, x) = rewriter.node(*x) else { return None };
    let node = Node::Broadcast(shape.clone(), *x);
    rewriter.add(node)
}

fn slice_slice(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Slice(outer, x) = rewriter.node(id) else { return None };
    let Node::Slice(inner, x) = rewriter.node(*x) else { return None };
    let ranges = outer.iter().zip(inner).map(|(outer, inner)| compose(outer, inner)).collect::<Option<_>>()?;
    let x = *x;
    rewriter.add(Node::Slice(ranges, x))
}

/// A range of a range.
fn compose(outer: &SliceRange, inner: &SliceRange) -> Option<SliceRange> {
    // A slice of no elements may start at the very end, which a step other than 1 takes beyond the axis.
    let some = outer.length.constant().is_some_and(|length| length > 0);
    let flip = outer.start == inner.length.sub(&Dim::ONE);
    if !(some || inner.step == 1 || (inner.step == -1 && (outer.step > 0 || flip))) {
        return None;
    }
    let start = inner.start.add(&outer.start.scale(inner.step));
    Some(SliceRange { start, step: inner.step.checked_mul(outer.step)?, length: outer.length.clone() })
}

fn slice_of_concat(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Slice(ranges, x) = rewriter.node(id) else { return None };
    let Node::Concat(axis, parts) = rewriter.node(*x) else { return None };
    let axis = *axis as usize;
    let range = &ranges[axis];
    let (start, length) = (range.start.constant()?, range.length.constant().filter(|&length| length > 0)?);
    let last = range.step.checked_mul(length - 1)?.checked_add(start)?;
    let (part, offset) = part_with(rewriter, parts, axis, start.min(last), start.max(last))?;
    let mut ranges = ranges.clone();
    ranges[axis].start = Dim::from(start - offset);
    rewriter.add(Node::Slice(ranges, part))
}

/// The part of a concatenation that has these positions, and where it begins.
fn part_with(rewriter: &Rewriter, parts: &[NodeId], axis: usize, low: i64, high: i64) -> Option<(NodeId, i64)> {
    let mut begin = 0_i64;
    for &part in parts {
        let end = begin.checked_add(rewriter.ty(part).shape[axis].constant()?)?;
        if low < end {
            return (low >= begin && high < end).then_some((part, begin));
        }
        begin = end;
    }
    None
}

fn concat_of_one(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Concat(_, parts) = rewriter.node(id) else { return None };
    if let [x] = parts.as_slice() { Some(*x) } else { None }
}
