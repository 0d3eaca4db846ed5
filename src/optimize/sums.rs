//! Reductions of what repeats or scales: sums of broadcasts, of multiples, of reversed signs, and slices of results.
//!
//! Integer sums are in a ring, so all of it is exact for them where the sum has the dtype of its elements. A sum of n
//! equal floats is their product with n, which rounds once. A factor taken out of a sum of floats may overflow or
//! vanish elsewhere, so that is for those who relax rounding.

use smallvec::SmallVec;

use crate::dtype::{DType, Scalar};
use crate::graph::{Node, NodeId};
use crate::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};
use crate::optimize::merge::whole_axis;
use crate::optimize::rewrite::Rewriter;
use crate::optimize::rule::{Class, Rule, When};
use crate::shape::{Dim, Shape, element_count};

type Axes = SmallVec<[u32; 3]>;

const RING: &str = "the distributive law of the ring of integers modulo 2^width";

/// The rules, in the order in which they are tried.
pub(super) static RULES: &[Rule] = &[
    Rule::exact(
        "extremum_of_broadcast",
        When::Any,
        ["(f (broadcast ?x))", "(f ?x)"],
        "equal elements are their own extremum",
    )
    .by(
        "f min or max; the repeated axes that are reduced have constant sizes above 0",
        &["min", "max"],
        extremum_of_broadcast,
    ),
    Rule::exact(
        "any_of_broadcast",
        When::Bool,
        ["(any (broadcast ?x))", "(and (any ?x) (gt n 0))"],
        "equal elements are true together; there is none where a size is 0",
    )
    .by("n the size of each repeated axis that is reduced", &["any"], quantifier_of_broadcast),
    Rule::exact(
        "all_of_broadcast",
        When::Bool,
        ["(all (broadcast ?x))", "(or (all ?x) (le n 0))"],
        "equal elements are true together; all of none are",
    )
    .by("n the size of each repeated axis that is reduced", &["all"], quantifier_of_broadcast),
    Rule::exact(
        "integer_sum_of_broadcast",
        When::Logical,
        ["(sum (broadcast ?x))", "(mul (sum ?x) n)"],
        "n equal terms; the sum wraps as the product does",
    )
    .by("n the number of times that ?x is repeated along reduced axes; not of floats", &["sum"], |rewriter, id| {
        sum_of_broadcast(rewriter, id, false)
    }),
    Rule {
        class: Class::Accuracy,
        ..Rule::exact(
            "sum_of_broadcast",
            When::Float,
            ["(sum (broadcast ?x))", "(select (gt n 0) (add (mul ?x n) 0) 0)"],
            "the product rounds once where the sum rounds at every merge; 0 for no terms, and a sum is never −0",
        )
        .by(
            "every reduced axis is a repeated one, and n the product of their sizes",
            &["sum"],
            |rewriter, id| sum_of_broadcast(rewriter, id, true),
        )
    },
    Rule::exact("integer_sum_of_multiples", When::Integer, ["(sum (mul ?x c))", "(mul (sum ?x) c)"], RING).by(
        "c of rank 0; elements of 64 bits, which the sum does not widen",
        &["sum"],
        |rewriter, id| sum_of_multiples(rewriter, id, false),
    ),
    Rule::exact("integer_sum_of_negatives", When::Integer, ["(sum (neg ?x))", "(neg (sum ?x))"], RING).by(
        "elements of 64 bits, which the sum does not widen",
        &["sum"],
        integer_sum_of_negatives,
    ),
    Rule::exact(
        "slice_of_reduce",
        When::Any,
        ["(slice (f ?x))", "(f (slice ?x))"],
        "each result is reduced from the same elements in the same order",
    )
    .by("f used only here", &["slice"], slice_of_reduce),
    Rule::exact(
        "slice_of_reshape",
        When::Any,
        ["(slice (reshape ?x))", "(reshape (slice ?x))"],
        "axes of size 1 come and go without moving an element",
    )
    .by(
        "both shapes are equal but for axes of size 1, which are taken whole; the reshape used only here",
        &["slice"],
        slice_of_reshape,
    ),
    Rule::exact("slice_of_iota", When::Any, ["(slice (iota n))", "(iota m)"], "the first m of the numbers 0, 1, 2, …")
        .by("the slice starts at 0 in steps of 1", &["slice"], slice_of_iota),
];

/// The rules that relax rounding.
pub(super) static FAST: &[Rule] = &[
    Rule::fast(
        "sum_of_multiples",
        ["(sum (mul ?x c))", "(mul (sum ?x) c)"],
        "one product instead of many; the sum may overflow where the terms did not",
    )
    .by("c a constant of rank 0", &["sum"], |rewriter, id| sum_of_multiples(rewriter, id, true)),
    Rule::fast("sum_of_sums", ["(sum (sum ?x))", "(sum ?x)"], "one reduction instead of two, in another order").by(
        "the inner sum used only here",
        &["sum"],
        sum_of_sums,
    ),
];

/// The operand of a broadcast under a reduction, with the axes of the result that repeat it.
struct Repeated {
    x: NodeId,
    axes: Axes,
    /// Of the reduced axes, those that repeat.
    repeating: Axes,
    shape: Shape,
}

fn repeated(rewriter: &Rewriter, id: NodeId) -> Option<Repeated> {
    let Node::Reduce(_, axes, operand) = rewriter.node(id) else { return None };
    let Node::Broadcast(shape, x) = rewriter.node(*operand) else { return None };
    let own = &rewriter.ty(*x).shape;
    let offset = shape.len() - own.len();
    let repeats = |&axis: &u32| {
        let axis = axis as usize;
        axis < offset || (own[axis - offset].is_one() && !shape[axis].is_one())
    };
    let repeating: Axes = axes.iter().copied().filter(repeats).collect();
    (!repeating.is_empty()).then(|| Repeated { x: *x, axes: axes.clone(), repeating, shape: shape.clone() })
}

impl Repeated {
    fn count(&self) -> Dim {
        let sizes: SmallVec<[Dim; 3]> = self.repeating.iter().map(|&axis| self.shape[axis as usize].clone()).collect();
        element_count(&sizes)
    }

    /// The operand broadcast along all axes but the repeating ones, which are taken out, and the axes left to reduce.
    fn rest(&self, rewriter: &mut Rewriter) -> Option<(NodeId, Axes)> {
        let own = rewriter.ty(self.x).shape.clone();
        let offset = self.shape.len() - own.len();
        let stays = |axis: &usize| !self.repeating.contains(&(*axis as u32));
        let squeezed: Shape = (offset..self.shape.len()).filter(stays).map(|axis| own[axis - offset].clone()).collect();
        let target: Shape = (0..self.shape.len()).filter(stays).map(|axis| self.shape[axis].clone()).collect();
        let below = |axis: u32| self.repeating.iter().filter(|&&other| other < axis).count() as u32;
        let axes =
            self.axes.iter().filter(|axis| !self.repeating.contains(axis)).map(|&axis| axis - below(axis)).collect();
        let x = if squeezed == own { self.x } else { rewriter.add(Node::Reshape(squeezed.clone(), self.x))? };
        let x = if squeezed == target { x } else { rewriter.add(Node::Broadcast(target, x))? };
        Some((x, axes))
    }
}

fn extremum_of_broadcast(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let &Node::Reduce(op, ..) = rewriter.node(id) else { return None };
    let repeated = repeated(rewriter, id)?;
    if repeated.count().constant().is_none_or(|count| count <= 0) {
        return None;
    }
    let (x, axes) = repeated.rest(rewriter)?;
    if axes.is_empty() { Some(x) } else { rewriter.add(Node::Reduce(op, axes, x)) }
}

fn quantifier_of_broadcast(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let &Node::Reduce(op, ..) = rewriter.node(id) else { return None };
    let repeated = repeated(rewriter, id)?;
    let (test, join) = if op == ReduceOp::Any { (BinaryOp::Gt, BinaryOp::And) } else { (BinaryOp::Le, BinaryOp::Or) };
    let sizes: SmallVec<[Dim; 3]> =
        repeated.repeating.iter().map(|&axis| repeated.shape[axis as usize].clone()).collect();
    let (x, axes) = repeated.rest(rewriter)?;
    let mut result = if axes.is_empty() { x } else { rewriter.add(Node::Reduce(op, axes, x))? };
    for size in sizes {
        let size = number(rewriter, size, DType::I64)?;
        let zero = rewriter.scalar(Scalar::I64(0))?;
        let test = rewriter.binary(test, size, zero)?;
        result = rewriter.binary(join, result, test)?;
    }
    Some(result)
}

/// A number of elements in the dtype of a sum.
fn number(rewriter: &mut Rewriter, count: Dim, dtype: DType) -> Option<NodeId> {
    match count.constant() {
        Some(count) => rewriter.scalar(Scalar::I64(count).cast(dtype)),
        None => {
            let count = rewriter.add(Node::Size(count))?;
            rewriter.add(Node::Cast(dtype, count))
        }
    }
}

/// Sums of floats only where all that is reduced repeats: else the order in which elements are merged would change.
fn sum_of_broadcast(rewriter: &mut Rewriter, id: NodeId, floats: bool) -> Option<NodeId> {
    let dtype = rewriter.ty(id).dtype;
    let repeated = repeated(rewriter, id).filter(|_| dtype.is_float() == floats)?;
    // A product of sizes may be beyond what can be counted where another size is 0.
    let count = repeated.count();
    if repeated.repeating.len() > 1 && count.constant().is_none() {
        return None;
    }
    let (x, axes) = repeated.rest(rewriter)?;
    if !floats {
        let sum = if axes.is_empty() {
            rewriter.add(Node::Cast(dtype, x))?
        } else {
            rewriter.add(Node::Reduce(ReduceOp::Sum, axes, x))?
        };
        let count = number(rewriter, count, dtype)?;
        return rewriter.binary(BinaryOp::Mul, sum, count);
    }
    let known = count.constant();
    if !axes.is_empty() {
        return None;
    }
    let zero = rewriter.scalar(Scalar::F64(0.0).cast(dtype))?;
    let terms = number(rewriter, count.clone(), dtype)?;
    let product = rewriter.binary(BinaryOp::Mul, x, terms)?;
    let sum = rewriter.binary(BinaryOp::Add, product, zero)?;
    match known {
        Some(0) => Some(zero),
        Some(_) => Some(sum),
        None => {
            let any = rewriter.binary(BinaryOp::Gt, terms, zero)?;
            rewriter.ternary(TernaryOp::Select, [any, sum, zero])
        }
    }
}

/// Whether a sum has the dtype of its elements, and that is a float or not.
fn sums_alike(rewriter: &Rewriter, id: NodeId, x: NodeId, floats: bool) -> bool {
    let dtype = rewriter.ty(id).dtype;
    dtype == rewriter.ty(x).dtype && dtype.is_float() == floats
}

fn sum_of_multiples(rewriter: &mut Rewriter, id: NodeId, floats: bool) -> Option<NodeId> {
    let Node::Reduce(ReduceOp::Sum, axes, product) = rewriter.node(id) else { return None };
    let &Node::Binary(BinaryOp::Mul, [a, b]) = rewriter.node(*product) else { return None };
    let (axes, product) = (axes.clone(), *product);
    let is_factor = |id: NodeId| rewriter.ty(id).rank() == 0 && (!floats || rewriter.constant(id).is_some());
    let (x, factor) = if is_factor(b) { (a, b) } else { (b, a) };
    let whole = rewriter.ty(x).shape == rewriter.ty(product).shape;
    if !is_factor(factor) || !whole || !sums_alike(rewriter, id, x, floats) || rewriter.uses(product) > 1 {
        return None;
    }
    let sum = rewriter.add(Node::Reduce(ReduceOp::Sum, axes, x))?;
    rewriter.binary(BinaryOp::Mul, sum, factor)
}

fn integer_sum_of_negatives(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Reduce(ReduceOp::Sum, axes, negative) = rewriter.node(id) else { return None };
    let &Node::Unary(UnaryOp::Neg, x) = rewriter.node(*negative) else { return None };
    let axes = axes.clone();
    if !sums_alike(rewriter, id, x, false) {
        return None;
    }
    let sum = rewriter.add(Node::Reduce(ReduceOp::Sum, axes, x))?;
    rewriter.unary(UnaryOp::Neg, sum)
}

fn sum_of_sums(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Reduce(ReduceOp::Sum, outer, inner) = rewriter.node(id) else { return None };
    let Node::Reduce(ReduceOp::Sum, axes, x) = rewriter.node(*inner) else { return None };
    if !rewriter.ty(*x).dtype.is_float() || rewriter.uses(*inner) > 1 {
        return None;
    }
    let kept: Axes = (0..rewriter.ty(*x).rank() as u32).filter(|axis| !axes.contains(axis)).collect();
    let mut all: Axes = axes.iter().copied().chain(outer.iter().map(|&axis| kept[axis as usize])).collect();
    all.sort_unstable();
    let x = *x;
    rewriter.add(Node::Reduce(ReduceOp::Sum, all, x))
}

fn slice_of_reduce(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Slice(ranges, reduction) = rewriter.node(id) else { return None };
    let Node::Reduce(op, axes, x) = rewriter.node(*reduction) else { return None };
    if rewriter.uses(*reduction) > 1 {
        return None;
    }
    let (op, axes, x, mut ranges) = (*op, axes.clone(), *x, ranges.iter().cloned());
    let shape = &rewriter.ty(x).shape;
    let all =
        (0..).zip(shape).map(|(axis, size)| if axes.contains(&axis) { Some(whole_axis(size)) } else { ranges.next() });
    let all = all.collect::<Option<_>>()?;
    let sliced = rewriter.add(Node::Slice(all, x))?;
    rewriter.add(Node::Reduce(op, axes, sliced))
}

fn slice_of_reshape(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Slice(ranges, reshaped) = rewriter.node(id) else { return None };
    let Node::Reshape(shape, x) = rewriter.node(*reshaped) else { return None };
    let own = &rewriter.ty(*x).shape;
    let long = |dims: &[Dim]| dims.iter().filter(|dim| !dim.is_one()).cloned().collect::<Vec<_>>();
    if rewriter.uses(*reshaped) > 1 || long(own) != long(shape) {
        return None;
    }
    let (mut taken, one) = (Vec::new(), whole_axis(&Dim::ONE));
    for (range, size) in ranges.iter().zip(shape) {
        match size.is_one() {
            true if *range != one => return None,
            true => {}
            false => taken.push(range.clone()),
        }
    }
    let mut taken = taken.into_iter();
    let all =
        own.iter().map(|size| if size.is_one() { Some(one.clone()) } else { taken.next() }).collect::<Option<_>>()?;
    let (x, result) = (*x, rewriter.ty(id).shape.clone());
    let sliced = rewriter.add(Node::Slice(all, x))?;
    rewriter.add(Node::Reshape(result, sliced))
}

fn slice_of_iota(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Slice(ranges, x) = rewriter.node(id) else { return None };
    let (Node::Iota(_), [range]) = (rewriter.node(*x), ranges.as_slice()) else { return None };
    if range.start != Dim::ZERO || range.step != 1 {
        return None;
    }
    let node = Node::Iota(range.length.clone());
    rewriter.add(node)
}
