//! Products of vectors and matrices.
//!
//! Both names do the same for rank 1 and 2, which is all they take. A vector counts as a row on the left and as a
//! column on the right, and the axis that this adds vanishes again.

use std::panic::Location;

use crate::dtype::DType;
use crate::expr::Expr;
use crate::expr::convert::IntoExpr;
use crate::expr::promote::{common_dtype, convert_all};
use crate::graph::{Node, describe};

impl Expr {
    /// The matrix product of operands of rank 1 or 2; of two vectors, the scalar product. Dtypes promote; bool
    /// counts as i64.
    ///
    /// ```
    /// let (a, x) = (kroton::matrix::<f32>("a"), kroton::vector::<f32>("x"));
    /// assert_eq!((a.matmul(&x).rank(), x.matmul(&x).rank(), a.matmul(&a).rank()), (1, 0, 2));
    /// ```
    #[track_caller]
    pub fn matmul(&self, other: impl IntoExpr) -> Expr {
        product("matmul", self, &other.into_expr())
    }

    /// The dot product: that of two vectors, else the matrix product, as [`matmul`](Expr::matmul).
    ///
    /// ```
    /// let x = kroton::vector::<f32>("x");
    /// assert_eq!(x.dot(&x).rank(), 0);
    /// ```
    #[track_caller]
    pub fn dot(&self, other: impl IntoExpr) -> Expr {
        product("dot", self, &other.into_expr())
    }
}

/// The matrix product of operands of rank 1 or 2; see [`Expr::matmul`].
#[track_caller]
pub fn matmul(a: impl IntoExpr, b: impl IntoExpr) -> Expr {
    a.into_expr().matmul(b)
}

/// The dot product; see [`Expr::dot`].
#[track_caller]
pub fn dot(a: impl IntoExpr, b: impl IntoExpr) -> Expr {
    a.into_expr().dot(b)
}

#[track_caller]
fn product(name: &str, a: &Expr, b: &Expr) -> Expr {
    let origin = Location::caller();
    let node = || Node::MatMul([a.clone(), b.clone()]);
    if ![a, b].iter().all(|x| matches!(x.rank(), 1 | 2)) {
        let (a, b) = (describe(a.ty()), describe(b.ty()));
        return Expr::failed(node(), format!("`{name}` takes arrays of rank 1 or 2, not {a} and {b}"), origin);
    }
    let dtype = match common_dtype(&[a, b]) {
        DType::Bool => DType::I64,
        dtype => dtype,
    };
    let [left, right] = match convert_all([a, b], dtype, origin) {
        Ok(converted) => converted,
        Err(message) => return Expr::failed(node(), message, origin),
    };
    match (a.rank(), b.rank()) {
        (1, 1) => (left * right).sum(..).cast_to(dtype),
        (1, _) => Expr::build(Node::MatMul([left.expand_dims(0), right])).drop_axis(0),
        (_, 1) => Expr::build(Node::MatMul([left, right.expand_dims(-1)])).drop_axis(1),
        (_, _) => Expr::build(Node::MatMul([left, right])),
    }
}

impl Expr {
    /// Without an axis of size 1 that this module added; an ill-typed product stays as it is.
    #[track_caller]
    fn drop_axis(&self, axis: usize) -> Expr {
        if self.error().is_some() { self.clone() } else { self.squeeze(axis) }
    }
}
