//! The same elements in other shapes and orders.
//!
//! Sizes are `Dim`s, computed here from what the user gives; nothing is clamped: what cannot be is an error, while
//! building if it is known then, else before a call runs.

use smallvec::SmallVec;

use crate::expr::Expr;
use crate::expr::axes::{IntoAxes, IntoAxis};
use crate::expr::convert::IntoShape;
use crate::expr::dims::to_shape;
use crate::graph::{Node, SliceRange, describe};
use crate::shape::{Dim, Shape, element_count};

impl Expr {
    /// The same elements, in row-major order, in another shape of as many elements. One size may be -1: it is
    /// what the others leave.
    ///
    /// ```
    /// let x = kroton::matrix::<f64>("x");
    /// assert_eq!(x.reshape((x.len(), 1)).rank(), 2);
    /// assert_eq!(x.reshape(-1).rank(), 1);
    /// ```
    #[track_caller]
    pub fn reshape(&self, shape: impl IntoShape) -> Expr {
        let sizes = shape.into_shape();
        let shape = match to_shape(&sizes).and_then(|shape| self.fill_open_size(shape)) {
            Ok(shape) => shape,
            Err(message) => return self.invalid_sizes(&sizes, message),
        };
        if shape == *self.dims() {
            return self.clone();
        }
        Expr::build(Node::Reshape(shape, self.clone()))
    }

    /// The axes in reverse order.
    ///
    /// ```
    /// assert_eq!(kroton::matrix::<f64>("x").transpose().rank(), 2);
    /// ```
    #[track_caller]
    pub fn transpose(&self) -> Expr {
        if self.rank() < 2 {
            return self.clone();
        }
        Expr::build(Node::Permute((0..self.rank() as u32).rev().collect(), self.clone()))
    }

    /// The axes in another order: axis `i` of the result is axis `order[i]` of this.
    ///
    /// ```
    /// let image = kroton::input("image", kroton::DType::F32, [None, None, Some(3)]);
    /// assert_eq!(image.permute([2, 0, 1]).shape(0).to_string(), "3");
    /// ```
    #[track_caller]
    pub fn permute(&self, order: impl IntoAxes) -> Expr {
        match order.into_axes().resolve(self.rank()) {
            Ok(order) => Expr::build(Node::Permute(order, self.clone())),
            Err(message) => self.invalid(format!("`permute` of {}: {message}", describe(self.ty()))),
        }
    }

    /// Repeated along missing leading axes and axes of static size 1 to this shape.
    ///
    /// ```
    /// let x = kroton::vector::<f64>("x");
    /// assert_eq!(x.broadcast_to((3, x.len())).rank(), 2);
    /// ```
    #[track_caller]
    pub fn broadcast_to(&self, shape: impl IntoShape) -> Expr {
        let sizes = shape.into_shape();
        match to_shape(&sizes) {
            Ok(shape) if shape == *self.dims() => self.clone(),
            Ok(shape) => Expr::build(Node::Broadcast(shape, self.clone())),
            Err(message) => self.invalid_sizes(&sizes, message),
        }
    }

    /// A new axis of size 1 in front of this axis; -1 puts it last. It broadcasts.
    ///
    /// ```
    /// let x = kroton::vector::<f64>("x");
    /// assert_eq!((&x - x.expand_dims(-1)).rank(), 2);
    /// ```
    #[track_caller]
    pub fn expand_dims(&self, axis: impl IntoAxis) -> Expr {
        let axis = axis.into_axis();
        let Some(place) = crate::expr::axes::from_first(axis, self.rank() + 1) else {
            let (ty, count) = (describe(self.ty()), self.rank() + 1);
            return self.invalid(format!(
                "`expand_dims` of {ty} at axis {axis}: the result has axes -{count} to {}",
                count - 1
            ));
        };
        let mut shape = self.dims().clone();
        shape.insert(place, Dim::ONE);
        Expr::build(Node::Reshape(shape, self.clone()))
    }

    /// Without this axis, whose size must be 1 when the expression is built.
    ///
    /// ```
    /// let column = kroton::input("column", kroton::DType::F64, [None, Some(1)]);
    /// assert_eq!(column.squeeze(1).rank(), 1);
    /// ```
    #[track_caller]
    pub fn squeeze(&self, axis: impl IntoAxis) -> Expr {
        let axis = match self.axis(axis) {
            Ok(axis) => axis,
            Err(message) => return self.invalid(message),
        };
        if !self.dims()[axis].is_one() {
            return self.invalid(format!(
                "`squeeze` of {}: axis {axis} is not 1 when the expression is built; take an element with slice(s![…])",
                describe(self.ty())
            ));
        }
        let mut shape = self.dims().clone();
        shape.remove(axis);
        Expr::build(Node::Reshape(shape, self.clone()))
    }

    /// The elements in reverse order along these axes.
    ///
    /// ```
    /// assert_eq!(kroton::matrix::<f64>("x").flip(0).rank(), 2);
    /// ```
    #[track_caller]
    pub fn flip(&self, axes: impl IntoAxes) -> Expr {
        let axes = match axes.into_axes().resolve(self.rank()) {
            Ok(axes) => axes,
            Err(message) => return self.invalid(format!("`flip` of {}: {message}", describe(self.ty()))),
        };
        let mut ranges = self.whole_ranges();
        for axis in axes {
            let size = self.dims()[axis as usize].clone();
            ranges[axis as usize] = SliceRange { start: size.sub(&Dim::ONE), step: -1, length: size };
        }
        self.take_ranges(ranges)
    }

    /// The range of each axis that takes it all.
    pub(crate) fn whole_ranges(&self) -> SmallVec<[SliceRange; 2]> {
        let whole = |size: &Dim| SliceRange { start: Dim::ZERO, step: 1, length: size.clone() };
        self.dims().iter().map(whole).collect()
    }

    /// A slice, or this where the ranges take it all.
    #[track_caller]
    pub(crate) fn take_ranges(&self, ranges: SmallVec<[SliceRange; 2]>) -> Expr {
        if ranges == self.whole_ranges() {
            return self.clone();
        }
        Expr::build(Node::Slice(ranges, self.clone()))
    }

    /// This made ill-typed by sizes; an error that a size carries comes first.
    #[track_caller]
    pub(crate) fn invalid_sizes(&self, sizes: &[Expr], message: String) -> Expr {
        let operands = std::iter::once(self).chain(sizes).cloned().collect();
        Expr::failed(Node::Concat(0, operands), message, std::panic::Location::caller())
    }

    /// A shape with its -1 replaced. Sizes that this has too are cancelled first, so that the size of an empty
    /// axis may be left open.
    fn fill_open_size(&self, mut shape: Shape) -> Result<Shape, String> {
        let mut open = (0..shape.len()).filter(|&axis| shape[axis].constant() == Some(-1));
        let Some(axis) = open.next() else {
            return Ok(shape);
        };
        if open.next().is_some() {
            return Err(format!("`reshape` of {}: only one size may be -1", describe(self.ty())));
        }
        let mut rest: Vec<Dim> = self.dims().to_vec();
        let mut given = Dim::ONE;
        for size in shape.iter().enumerate().filter(|&(other, _)| other != axis).map(|(_, size)| size) {
            match rest.iter().position(|dim| dim == size) {
                Some(equal) => drop(rest.remove(equal)),
                None => given = given.mul(size),
            }
        }
        shape[axis] = element_count(&rest).floor_div(&given);
        Ok(shape)
    }
}
