//! Views, joins and matrix products are linear: what they do to a tangent, and their transposes, which take the
//! adjoint of a result to that of an operand.
//!
//! Tangents may have `lead` more axes in front, one run of the operand's axes for each direction.

use smallvec::SmallVec;

use crate::autodiff::{number, zeros};
use crate::expr::Expr;
use crate::graph::{Node, SliceRange};
use crate::ops::ReduceOp;
use crate::shape::{Dim, Shape, element_count};

/// The axes in another order; the same expression if they stay.
#[track_caller]
pub(super) fn permute(x: &Expr, order: impl Iterator<Item = usize>) -> Expr {
    let order: SmallVec<[u32; 3]> = order.map(|axis| axis as u32).collect();
    if order.is_sorted() { x.clone() } else { Expr::build(Node::Permute(order, x.clone())) }
}

/// The same elements in another shape; the same expression if it is the shape already.
#[track_caller]
pub(super) fn reshape(x: &Expr, shape: Shape) -> Expr {
    if *x.dims() == shape { x.clone() } else { Expr::build(Node::Reshape(shape, x.clone())) }
}

/// A result of a reduction with a 1 in the place of each reduced axis, behind `lead` axes that stay.
#[track_caller]
pub(super) fn keep_axes(x: &Expr, axes: &[u32], lead: usize) -> Expr {
    let mut shape = x.dims().clone();
    for &axis in axes {
        shape.insert(lead + axis as usize, Dim::ONE);
    }
    reshape(x, shape)
}

/// Whether a size repeats along a size of the result.
fn repeats(from: &Dim, to: &Dim) -> bool {
    from.is_one() && !to.is_one()
}

/// An array repeated to a shape, if it does not fill it already.
#[track_caller]
pub(super) fn fill(x: &Expr, shape: &Shape) -> Expr {
    let fills = x.rank() == shape.len() && !x.dims().iter().zip(shape).any(|(from, to)| repeats(from, to));
    if fills { x.clone() } else { Expr::build(Node::Broadcast(shape.clone(), x.clone())) }
}

/// Whether an array repeats an operand of this shape.
pub(super) fn is_larger(x: &Expr, shape: &Shape) -> bool {
    x.rank() > shape.len() || shape.iter().rev().zip(x.dims().iter().rev()).any(|(from, to)| repeats(from, to))
}

/// The transpose of repeating an operand of this shape: sums over what was repeated; of bools, whether any is true.
#[track_caller]
pub(super) fn sum_to(adjoint: &Expr, shape: &Shape) -> Expr {
    let missing = adjoint.rank() - shape.len();
    let mut sizes: Shape = adjoint.dims()[missing..].iter().cloned().collect();
    let mut axes: SmallVec<[u32; 3]> = (0..missing as u32).collect();
    for (axis, size) in shape.iter().enumerate() {
        if repeats(size, &sizes[axis]) {
            axes.push((missing + axis) as u32);
            sizes[axis] = Dim::ONE;
        }
    }
    if axes.is_empty() {
        return adjoint.clone();
    }
    let op = if adjoint.dtype().is_float() { ReduceOp::Sum } else { ReduceOp::Any };
    reshape(&adjoint.reduce(op, axes), sizes)
}

/// An array with its axes behind `lead` ones aligned at the last axis of a rank.
#[track_caller]
pub(super) fn align(x: &Expr, lead: usize, rank: usize) -> Expr {
    let missing = rank + lead - x.rank();
    if lead == 0 || missing == 0 {
        return x.clone();
    }
    let mut shape = x.dims().clone();
    shape.insert_many(lead, std::iter::repeat_n(Dim::ONE, missing));
    reshape(x, shape)
}

/// The transpose of a node that moves elements, with respect to one operand; `start` is where that begins in a
/// concatenation. Of bools: the elements of the operand from which any true one comes. `None` for other nodes.
#[track_caller]
pub(super) fn transpose(
    result: &Expr,
    operands: &[Expr],
    position: usize,
    start: &Dim,
    adjoint: &Expr,
) -> Option<Expr> {
    let x = &operands[position];
    match result.node() {
        Node::Reduce(_, axes, _) => Some(keep_axes(adjoint, axes, 0)),
        Node::Permute(order, _) => Some(permute_back(adjoint, order)),
        Node::Reshape(..) => Some(reshape(adjoint, x.dims().clone())),
        Node::Broadcast(..) => Some(sum_to(adjoint, x.dims())),
        Node::Slice(ranges, _) => Some(slice_back(adjoint, ranges, x.dims())),
        Node::Concat(axis, _) => Some(part_of(adjoint, *axis as usize, start, x)),
        Node::MatMul(_) => Some(matmul_back(adjoint, position == 0, [&operands[0], &operands[1]])),
        Node::Unary(..)
        | Node::Binary(..)
        | Node::Ternary(..)
        | Node::Cast(..)
        | Node::Loop(_)
        | Node::Project(..)
        | Node::Custom(..)
        | Node::Barrier(_)
        | Node::Input(_)
        | Node::Parameter(..)
        | Node::Scalar(_)
        | Node::Dense(_)
        | Node::Iota(_)
        | Node::Size(_) => None,
    }
}

/// The transpose of a permutation.
#[track_caller]
pub(super) fn permute_back(adjoint: &Expr, order: &[u32]) -> Expr {
    let mut back = vec![0; order.len()];
    for (place, &axis) in order.iter().enumerate() {
        back[axis as usize] = place;
    }
    permute(adjoint, back.into_iter())
}

/// A permutation behind leading axes.
#[track_caller]
pub(super) fn permute_behind(tangent: &Expr, order: &[u32], lead: usize) -> Expr {
    permute(tangent, (0..lead).chain(order.iter().map(|&axis| lead + axis as usize)))
}

/// A slice behind leading axes.
#[track_caller]
pub(super) fn slice_behind(tangent: &Expr, ranges: &[SliceRange], lead: usize) -> Expr {
    let mut all = tangent.whole_ranges();
    all.truncate(lead);
    all.extend(ranges.iter().cloned());
    tangent.take_ranges(all)
}

/// The transpose of a slice: the elements in their places, and zeros elsewhere.
#[track_caller]
fn slice_back(adjoint: &Expr, ranges: &[SliceRange], shape: &Shape) -> Expr {
    let mut result = adjoint.clone();
    for (axis, (range, size)) in ranges.iter().zip(shape).enumerate() {
        result = scatter_axis(&result, axis, range, size);
    }
    result
}

/// One axis of the transpose of a slice.
#[track_caller]
fn scatter_axis(adjoint: &Expr, axis: usize, range: &SliceRange, size: &Dim) -> Expr {
    let (length, step) = (&range.length, range.step.unsigned_abs().min(i64::MAX as u64) as i64);
    let (ascending, start) = match range.step > 0 {
        true => (adjoint.clone(), range.start.clone()),
        false => (adjoint.flip(axis), lowest(range, size)),
    };
    if start == Dim::ZERO && step == 1 && length == size {
        return ascending;
    }
    // Each element is followed by step − 1 zeros, the last one too: these may reach beyond the end.
    let spread = spread_axis(&ascending, axis, step);
    let beyond = step - 1;
    let after = size.sub(&start).sub(&length.scale(step)).add(&Dim::from(beyond));
    let mut parts = Vec::new();
    for (place, count) in [start, after].into_iter().enumerate() {
        if place == 1 {
            parts.push(spread.clone());
        }
        if count != Dim::ZERO {
            let mut shape = spread.dims().clone();
            shape[axis] = count;
            parts.push(zeros(adjoint.dtype(), shape));
        }
    }
    let joined = if parts.len() == 1 { spread } else { Expr::build(Node::Concat(axis as u32, parts)) };
    if beyond == 0 {
        return joined;
    }
    let mut ranges = joined.whole_ranges();
    ranges[axis].length = size.clone();
    joined.take_ranges(ranges)
}

/// The first element, from below, of a range that walks down. An empty one may start anywhere, so it is moved into
/// the axis.
fn lowest(range: &SliceRange, size: &Dim) -> Dim {
    let lowest = range.start.add(&range.length.sub(&Dim::ONE).scale(range.step));
    if lowest.constant().is_some() { lowest } else { lowest.larger(&Dim::ZERO).smaller(size) }
}

/// Each element followed by `step − 1` zeros along an axis.
#[track_caller]
fn spread_axis(x: &Expr, axis: usize, step: i64) -> Expr {
    if step == 1 {
        return x.clone();
    }
    let column = x.expand_dims(axis + 1);
    let mut shape = column.dims().clone();
    shape[axis + 1] = Dim::from(step - 1);
    let pairs = Expr::build(Node::Concat(axis as u32 + 1, vec![column, zeros(x.dtype(), shape)]));
    let mut shape = x.dims().clone();
    shape[axis] = shape[axis].scale(step);
    reshape(&pairs, shape)
}

/// The transpose of a concatenation: the part from `start` on.
#[track_caller]
fn part_of(adjoint: &Expr, axis: usize, start: &Dim, part: &Expr) -> Expr {
    let mut ranges = adjoint.whole_ranges();
    ranges[axis] = SliceRange { start: start.clone(), step: 1, length: part.dims()[axis].clone() };
    adjoint.take_ranges(ranges)
}

/// The transpose of a matrix product with respect to one factor; of bools, whether any element of the row or the
/// column is true.
#[track_caller]
fn matmul_back(adjoint: &Expr, is_left: bool, [a, b]: [&Expr; 2]) -> Expr {
    if !adjoint.dtype().is_float() {
        return adjoint.any_keepdims(usize::from(is_left));
    }
    let factors = match is_left {
        true => [adjoint.clone(), b.transpose()],
        false => [a.transpose(), adjoint.clone()],
    };
    Expr::build(Node::MatMul(factors))
}

/// The tangent of a matrix product from that of one factor, behind leading axes: one product of two matrices, in
/// which the directions are more rows of the left or more columns of the right factor.
#[track_caller]
pub(super) fn matmul_behind(tangent: &Expr, is_left: bool, [a, b]: [&Expr; 2], lead: usize) -> Expr {
    let directions: Shape = tangent.dims()[..lead].iter().cloned().collect();
    if is_left {
        let rows = element_count(&tangent.dims()[..=lead]);
        let tall = reshape(tangent, Shape::from_iter([rows, tangent.dims()[lead + 1].clone()]));
        let product = Expr::build(Node::MatMul([tall, b.clone()]));
        let sizes = directions.into_iter().chain([tangent.dims()[lead].clone(), b.dims()[1].clone()]);
        return reshape(&product, sizes.collect());
    }
    let moved = permute(tangent, std::iter::once(lead).chain(0..lead).chain([lead + 1]));
    let columns = element_count(&moved.dims()[1..]);
    let wide = reshape(&moved, Shape::from_iter([moved.dims()[0].clone(), columns]));
    let product = Expr::build(Node::MatMul([a.clone(), wide]));
    let sizes = std::iter::once(a.dims()[0].clone()).chain(moved.dims()[1..].iter().cloned());
    let product = reshape(&product, sizes.collect());
    permute(&product, (1..=lead).chain([0, lead + 1]))
}

/// One direction for each element: an array of the shape of `x` twice over that is 1 where both places are equal.
#[track_caller]
pub(super) fn unit_directions(x: &Expr) -> Expr {
    let rank = x.rank();
    let mut equal: Option<Expr> = None;
    for (axis, size) in x.dims().iter().enumerate() {
        let position = Expr::build(Node::Iota(size.clone()));
        let same = along(&position, axis, 2 * rank).eq(along(&position, rank + axis, 2 * rank));
        equal = Some(match equal {
            Some(equal) => equal & same,
            None => same,
        });
    }
    match equal {
        Some(equal) => equal.cast_to(x.dtype()),
        None => number(x.dtype(), 1.0),
    }
}

/// A vector as the one axis that is not 1.
#[track_caller]
fn along(vector: &Expr, axis: usize, rank: usize) -> Expr {
    let mut shape = Shape::from_elem(Dim::ONE, rank);
    shape[axis] = vector.dims()[0].clone();
    reshape(vector, shape)
}
