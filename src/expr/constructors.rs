//! Where expressions begin: inputs, counters and filled arrays.
//!
//! An open dimension of an input is a symbol of that input; each input has its own identity, so two inputs of
//! one name differ.

use std::sync::Arc;

use crate::dtype::{DType, Element};
use crate::expr::convert::{IntoExpr, IntoShape};
use crate::expr::{Expr, names};
use crate::graph::{Input, Node, Type};
use crate::shape::{Dim, InputId, Measure, Shape, Symbol};

/// An input of any dtype and rank; `None` is a size that may differ from call to call, `Some(n)` is fixed.
///
/// A dimension of `Some(1)` broadcasts.
///
/// ```
/// let image = kroton::input("image", kroton::DType::F32, [None, Some(3)]);
/// assert_eq!(image.rank(), 2);
/// ```
#[track_caller]
pub fn input(name: &str, dtype: DType, dims: impl AsRef<[Option<usize>]>) -> Expr {
    let id = InputId::new();
    names::remember(id, name);
    let ty = Type { dtype, shape: shape_of_input(id, dims.as_ref()) };
    Expr::build(Node::Input(Arc::new(Input { id, name: name.to_string(), ty, kept: None })))
}

/// The sizes of an input, of which the open ones are symbols of it.
pub(crate) fn shape_of_input(id: InputId, dims: &[Option<usize>]) -> Shape {
    let dim = |(axis, size): (usize, &Option<usize>)| match size {
        Some(size) => Dim::of_size(*size),
        None => Dim::from(Symbol { input: id, measure: Measure::Extent(axis as u32) }),
    };
    dims.iter().enumerate().map(dim).collect()
}

/// An input of rank 0.
///
/// ```
/// let rate = kroton::scalar::<f64>("rate");
/// assert_eq!((rate.rank(), rate.to_string().as_str()), (0, "rate"));
/// ```
#[track_caller]
pub fn scalar<T: Element>(name: &str) -> Expr {
    input(name, T::DTYPE, [])
}

/// An input of rank 1, of any length.
///
/// ```
/// assert_eq!(kroton::vector::<f32>("x").rank(), 1);
/// ```
#[track_caller]
pub fn vector<T: Element>(name: &str) -> Expr {
    input(name, T::DTYPE, [None])
}

/// An input of rank 2, of any sizes.
///
/// ```
/// assert_eq!(kroton::matrix::<f32>("x").rank(), 2);
/// ```
#[track_caller]
pub fn matrix<T: Element>(name: &str) -> Expr {
    input(name, T::DTYPE, [None, None])
}

/// An input of the given rank, of any sizes.
///
/// ```
/// assert_eq!(kroton::tensor::<f32>("x", 4).rank(), 4);
/// ```
#[track_caller]
pub fn tensor<T: Element>(name: &str, rank: usize) -> Expr {
    input(name, T::DTYPE, vec![None; rank])
}

/// The i64 numbers 0, 1, …, n − 1; `n` is an integer or an integer expression of rank 0.
///
/// ```
/// let x = kroton::matrix::<f64>("x");
/// let rows = kroton::arange(x.shape(0));
/// assert_eq!((rows.dtype(), rows.rank()), (kroton::DType::I64, 1));
/// ```
#[track_caller]
pub fn arange(n: impl IntoExpr) -> Expr {
    let n = n.into_expr();
    match n.to_dim() {
        Ok(length) => Expr::build(Node::Iota(length)),
        Err(message) => n.invalid(message),
    }
}

/// Zeros (false for bool) of a shape.
///
/// ```
/// let x = kroton::vector::<f64>("x");
/// assert_eq!(kroton::zeros::<f32>((x.len(), 3)).rank(), 2);
/// ```
#[track_caller]
pub fn zeros<T: Element>(shape: impl IntoShape) -> Expr {
    full(shape, T::default())
}

/// Ones (true for bool) of a shape.
///
/// ```
/// assert_eq!(kroton::ones::<i32>([2, 3]).dtype(), kroton::DType::I32);
/// ```
#[track_caller]
pub fn ones<T: Element>(shape: impl IntoShape) -> Expr {
    let one = Expr::build(Node::Scalar(crate::dtype::Scalar::I64(1).cast(T::DTYPE)));
    full(shape, one)
}

/// One value repeated to a shape, in the dtype of the value.
///
/// ```
/// assert_eq!(kroton::full([2, 3], 0.5_f32).dtype(), kroton::DType::F32);
/// ```
#[track_caller]
pub fn full(shape: impl IntoShape, value: impl IntoExpr) -> Expr {
    let value = value.into_strong();
    if value.rank() != 0 {
        return value.invalid(format!("`full` repeats a value of rank 0, not of rank {}", value.rank()));
    }
    let sizes = shape.into_shape();
    if sizes.is_empty() {
        return value.cast_to(value.dtype());
    }
    value.broadcast_to(sizes)
}
