//! The partial derivatives of reductions: how much each element moves the result.
//!
//! A weight has the shape of the operand, or broadcasts to it with a 1 in the place of each reduced axis.

use smallvec::SmallVec;

use crate::autodiff::partial::Partial;
use crate::autodiff::views::{keep_axes, permute_back, permute_behind};
use crate::expr::Expr;
use crate::graph::Node;
use crate::ops::ReduceOp;
use crate::shape::{Dim, Shape, element_count};

/// The derivative of `y = op(x)` over some axes with respect to each element.
#[track_caller]
pub(super) fn reduction(op: ReduceOp, axes: &[u32], x: &Expr, y: &Expr) -> Partial {
    match op {
        ReduceOp::Sum => Partial::One,
        ReduceOp::Prod => Partial::Factor(products_of_others(x, axes)),
        // Equals share; nothing is equal to NaN, so where there is one nothing moves the result.
        ReduceOp::Min | ReduceOp::Max => {
            let mask = x.eq(keep_axes(y, axes, 0));
            let count = sum_over(&mask.cast_to(x.dtype()), axes);
            Partial::Pick { count: keep_axes(&count, axes, 0), mask }
        }
        // Σ 2 (x − mean) ∂mean is zero.
        ReduceOp::SquaredDeviations => {
            let reduced: Shape = axes.iter().map(|&axis| x.dims()[axis as usize].clone()).collect();
            let count = Expr::build(Node::Size(element_count(&reduced))).cast_to(x.dtype());
            let mean = sum_over(x, axes) / count;
            Partial::Factor((x - keep_axes(&mean, axes, 0)) * 2.0)
        }
        ReduceOp::ArgMin | ReduceOp::ArgMax | ReduceOp::All | ReduceOp::Any => Partial::Zero,
    }
}

/// The sum over some axes.
#[track_caller]
pub(super) fn sum_over(x: &Expr, axes: &[u32]) -> Expr {
    if axes.is_empty() { x.clone() } else { x.reduce(ReduceOp::Sum, SmallVec::from_slice(axes)) }
}

/// For each element the product of all others that are reduced with it.
///
/// There is no division, so zeros are no exception, at no order. Of n elements it takes n² multiplications but no
/// memory for them: a product over an array that is `x` repeated n times with ones on the diagonal.
#[track_caller]
fn products_of_others(x: &Expr, axes: &[u32]) -> Expr {
    let kept: SmallVec<[u32; 3]> = (0..x.rank() as u32).filter(|axis| !axes.contains(axis)).collect();
    let order: SmallVec<[u32; 3]> = kept.iter().chain(axes).copied().collect();
    let moved = permute_behind(x, &order, 0);
    let count = element_count(&moved.dims()[kept.len()..]);
    let mut rows: Shape = moved.dims()[..kept.len()].iter().cloned().collect();
    rows.extend([Dim::ONE, count.clone()]);
    let rows = Expr::build(Node::Reshape(rows, moved.clone()));
    let position = Expr::build(Node::Iota(count));
    let own = position.expand_dims(1).eq(&position);
    let products = own.select(1.0, rows).reduce(ReduceOp::Prod, SmallVec::from_slice(&[kept.len() as u32 + 1]));
    let products = Expr::build(Node::Reshape(moved.dims().clone(), products));
    permute_back(&products, &order)
}
