//! Values known while building, as expressions of their own dtype.
//!
//! Copies the elements into an [`Array`]; knows host arrays and nothing of typing rules.

use ndarray::{ArrayBase, Data, Dimension};

use crate::array::Array;
use crate::dtype::Element;
use crate::expr::Expr;
use crate::graph::{Dense, Node};

/// What [`constant`] takes: a scalar, a slice, an array, a `Vec`, an ndarray or a [`kroton::Array`](Array).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot become a constant",
    label = "expected a scalar, slice, array, Vec, ndarray or kroton::Array of an element type"
)]
pub trait IntoConstant {
    /// The constant.
    #[track_caller]
    fn into_constant(self) -> Expr;
}

/// A constant of the dtype of its elements. Unlike a bare Rust number it keeps that dtype in promotions.
///
/// ```
/// use kroton::{DType, constant, vector};
/// let x = vector::<f32>("x");
/// assert_eq!((&x * 2.5_f64).dtype(), DType::F32);
/// assert_eq!((&x * constant(2.5_f64)).dtype(), DType::F64);
/// assert_eq!(constant(vec![1_i32, 2, 3]).rank(), 1);
/// ```
#[track_caller]
pub fn constant(value: impl IntoConstant) -> Expr {
    value.into_constant()
}

#[track_caller]
fn dense(array: Array) -> Expr {
    if array.rank() == 0 {
        return Expr::build(Node::Scalar(array.get(0)));
    }
    Expr::build(Node::Dense(Dense(array)))
}

impl<T: Element> IntoConstant for T {
    #[track_caller]
    fn into_constant(self) -> Expr {
        Expr::build(Node::Scalar(self.to_scalar()))
    }
}

impl<T: Element> IntoConstant for &[T] {
    #[track_caller]
    fn into_constant(self) -> Expr {
        dense(Array::from_slice(self))
    }
}

impl<T: Element, const N: usize> IntoConstant for &[T; N] {
    #[track_caller]
    fn into_constant(self) -> Expr {
        dense(Array::from_slice(self))
    }
}

impl<T: Element, const N: usize> IntoConstant for [T; N] {
    #[track_caller]
    fn into_constant(self) -> Expr {
        dense(Array::from_slice(&self))
    }
}

impl<T: Element> IntoConstant for Vec<T> {
    #[track_caller]
    fn into_constant(self) -> Expr {
        dense(Array::from_slice(&self))
    }
}

impl<T: Element> IntoConstant for &Vec<T> {
    #[track_caller]
    fn into_constant(self) -> Expr {
        dense(Array::from_slice(self))
    }
}

impl<T: Element, S: Data<Elem = T>, D: Dimension> IntoConstant for &ArrayBase<S, D> {
    #[track_caller]
    fn into_constant(self) -> Expr {
        // A view that repeats elements may be larger than any memory.
        let array = Array::zeros(T::DTYPE, self.shape()).and_then(|mut array| {
            array.as_mut_slice::<T>()?.iter_mut().zip(self.iter()).for_each(|(place, value)| *place = *value);
            Ok(array)
        });
        match array {
            Ok(array) => dense(array),
            Err(error) => T::default().into_constant().invalid(error.to_string()),
        }
    }
}

impl<T: Element, S: Data<Elem = T>, D: Dimension> IntoConstant for ArrayBase<S, D> {
    #[track_caller]
    fn into_constant(self) -> Expr {
        (&self).into_constant()
    }
}

impl IntoConstant for Array {
    #[track_caller]
    fn into_constant(self) -> Expr {
        dense(self)
    }
}

impl IntoConstant for &Array {
    #[track_caller]
    fn into_constant(self) -> Expr {
        dense(self.clone())
    }
}
