//! The user's handle on an expression.
//!
//! An [`Expr`] is a shared, immutable node with its dtype, shape and source line. Building never fails: an
//! ill-typed expression carries the first error, has the type of its first operand, and poisons what is built on
//! it; `compile` returns that error. Weakly typed scalars (Rust literals, `len()`) take the dtype of what they
//! meet. This module knows graphs (to intern into one), ops, dtypes and shapes; nothing of optimisation or engines.
//!
//! Invariants: an expression without an error has the type that `graph::infer` says; a weak one has rank 0;
//! nothing recurses over the depth of an expression, dropping included.

pub mod axes;
mod checked;
pub mod checkpoint;
pub mod compile;
pub mod compiler;
pub mod compose;
pub mod conditional;
pub mod constant;
pub mod constructors;
pub mod convert;
pub mod custom_gradient;
pub(crate) mod derivation;
mod dims;
pub mod elementwise;
mod engine;
mod flags;
mod format;
pub mod functions;
pub mod generic;
#[cfg(feature = "gpu")]
mod gpu;
mod implement;
pub(crate) mod intern;
pub mod iterate;
pub mod join;
pub mod linear;
mod loop_node;
mod names;
mod operators;
mod promote;
pub mod random;
pub mod reductions;
pub(crate) mod region;
pub mod results;
#[cfg(feature = "files")]
pub mod saved;
pub mod scan;
pub mod settings;
pub mod shape_ops;
pub mod shared;
mod sizes;
pub mod slicing;
pub(crate) mod substitute;
pub mod text_form;
mod threads;
mod unify;

pub use generic::{apply_binary, apply_reduce, apply_ternary, apply_unary};

#[cfg(test)]
mod tests;

use std::panic::Location;
use std::sync::Arc;

use crate::dtype::{DType, Scalar};
use crate::error::Error;
use crate::expr::axes::IntoAxis;
use crate::expr::derivation::Derived;
use crate::graph::{Constraint, Context, Node, Type, describe, infer};
use crate::shape::{Dim, Shape, element_count};

/// An expression: what a compiled function computes. Cheap to clone.
///
/// ```
/// let x = kroton::vector::<f64>("x");
/// let y = 2.0 * &x + 1;
/// assert_eq!(y.to_string(), "2.0 * x + 1.0");
/// assert_eq!((y.dtype(), y.rank()), (kroton::DType::F64, 1));
/// ```
#[derive(Clone)]
pub struct Expr(Arc<ExprNode>);

/// What an [`Expr`] shares.
struct ExprNode {
    node: Node<Expr>,
    ty: Type,
    weak: bool,
    origin: &'static Location<'static>,
    error: Option<Arc<Error>>,
    /// How derivatives are had, where that is not what the node says; no stage behind expressions knows of it.
    derived: Option<Derived>,
    free: region::Free,
}

/// What a node becomes while its operands are taken apart.
const TAKEN: Node<Expr> = Node::Scalar(Scalar::Bool(false));

/// Takes the operands apart one by one, since chains are long and the stack is not.
impl Drop for ExprNode {
    fn drop(&mut self) {
        let mut pending = Vec::new();
        self.take_apart(&mut pending);
        while let Some(expr) = pending.pop() {
            if let Some(mut last) = Arc::into_inner(expr.0) {
                last.take_apart(&mut pending);
            }
        }
    }
}

impl ExprNode {
    fn take_apart(&mut self, pending: &mut Vec<Expr>) {
        std::mem::replace(&mut self.node, TAKEN).for_each_operand(|operand| pending.push(operand.clone()));
        if let Some(derivation) = self.derived.take().and_then(|derived| Arc::into_inner(derived.of)) {
            derivation.for_each_part(|part| pending.push(part.clone()));
        }
    }
}

/// How inference looks at the operands of an expression.
struct Operands;

impl Context<Expr> for Operands {
    fn ty<'a>(&'a self, expr: &'a Expr) -> &'a Type {
        &expr.0.ty
    }
    fn node<'a>(&'a self, expr: &'a Expr) -> &'a Node<Expr> {
        &expr.0.node
    }
}

impl AsRef<Expr> for Expr {
    fn as_ref(&self) -> &Expr {
        self
    }
}

impl Expr {
    /// The dtype of the elements; of an ill-typed expression, that of its first operand.
    pub fn dtype(&self) -> DType {
        self.0.ty.dtype
    }

    /// The number of axes; of an ill-typed expression, that of its first operand.
    pub fn rank(&self) -> usize {
        self.0.ty.rank()
    }

    /// The size of an axis, as a weakly typed integer; negative axes count from the last.
    ///
    /// ```
    /// let x = kroton::matrix::<f32>("x");
    /// let scaled = &x / x.shape(-1);
    /// assert_eq!(scaled.dtype(), kroton::DType::F32);
    /// assert!(x.shape(2).error().is_some());
    /// ```
    #[track_caller]
    pub fn shape(&self, axis: impl IntoAxis) -> Expr {
        match self.axis(axis) {
            Ok(axis) => self.size(self.0.ty.shape[axis].clone()),
            Err(message) => self.invalid(message),
        }
    }

    /// The number of elements, as a weakly typed integer.
    ///
    /// ```
    /// let x = kroton::vector::<f32>("x");
    /// assert_eq!((x.sum(..) / x.len()).dtype(), kroton::DType::F32);
    /// ```
    #[allow(clippy::len_without_is_empty)] // whether there are elements is known at call time only
    #[track_caller]
    pub fn len(&self) -> Expr {
        self.size(element_count(&self.0.ty.shape))
    }

    /// What is wrong with this expression, if it is ill-typed. `compile` returns the same error.
    pub fn error(&self) -> Option<&Error> {
        self.0.error.as_deref()
    }

    /// The dtype and shape.
    pub(crate) fn ty(&self) -> &Type {
        &self.0.ty
    }

    /// The node.
    pub(crate) fn node(&self) -> &Node<Expr> {
        &self.0.node
    }

    /// The user's source line.
    pub(crate) fn origin(&self) -> &'static Location<'static> {
        self.0.origin
    }

    /// What a call must keep for this node to be well-typed.
    pub(crate) fn constraints(&self) -> Vec<Constraint> {
        let mut constraints = Vec::new();
        // What is wrong with an ill-typed one it says itself.
        let _ = infer(&self.0.node, &Operands, &mut constraints);
        constraints
    }

    /// Whether this is a scalar that takes the dtype of what it meets.
    pub(crate) fn is_weak(&self) -> bool {
        self.0.weak
    }

    /// What tells this expression from all others that are alive.
    pub(crate) fn key(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// The sizes, outermost first.
    pub(crate) fn dims(&self) -> &Shape {
        &self.0.ty.shape
    }

    /// The expression of a node, at the caller's source line.
    #[track_caller]
    pub(crate) fn build(node: Node<Expr>) -> Expr {
        Expr::build_at(node, false, Location::caller())
    }

    /// The expression of a node, weakly typed or not.
    pub(crate) fn build_at(node: Node<Expr>, weak: bool, origin: &'static Location<'static>) -> Expr {
        if let Some(error) = carried_error(&node) {
            return Expr::with_error(node, error, origin);
        }
        match infer(&node, &Operands, &mut Vec::new()) {
            Ok(ty) => {
                let free = region::free(&node);
                Expr(Arc::new(ExprNode { node, ty, weak, origin, error: None, derived: None, free }))
            }
            Err(message) => Expr::failed(node, message, origin),
        }
    }

    /// An ill-typed expression; an error that an operand carries comes first.
    pub(crate) fn failed(node: Node<Expr>, message: String, origin: &'static Location<'static>) -> Expr {
        let error = carried_error(&node).unwrap_or_else(|| Arc::new(Error::Build { message, location: origin }));
        Expr::with_error(node, error, origin)
    }

    fn with_error(node: Node<Expr>, error: Arc<Error>, origin: &'static Location<'static>) -> Expr {
        let ty = node.operands().first().map(|first| first.0.ty.clone());
        let ty = ty.unwrap_or_else(|| Type::scalar(DType::F64));
        Expr(Arc::new(ExprNode { node, ty, weak: false, origin, error: Some(error), derived: None, free: None }))
    }

    /// The same value, of which derivatives are had in another way.
    pub(crate) fn with_derivation(&self, derived: Derived) -> Expr {
        let ExprNode { node, ty, weak, origin, error, .. } = &*self.0;
        let free = region::union(derived.of.references());
        let (node, ty, error, derived) = (node.clone(), ty.clone(), error.clone(), Some(derived));
        Expr(Arc::new(ExprNode { node, ty, weak: *weak, origin, error, derived, free }))
    }

    /// How derivatives are had, where that is not what the node says.
    pub(crate) fn derived(&self) -> Option<&Derived> {
        self.0.derived.as_ref()
    }

    /// This expression made ill-typed.
    #[track_caller]
    pub(crate) fn invalid(&self, message: String) -> Expr {
        Expr::failed(Node::Cast(self.dtype(), self.clone()), message, Location::caller())
    }

    /// A size as a weakly typed integer; it keeps the error of this expression.
    #[track_caller]
    fn size(&self, size: Dim) -> Expr {
        match &self.0.error {
            Some(error) => Expr::with_error(Node::Cast(DType::I64, self.clone()), error.clone(), Location::caller()),
            None => Expr::build_at(Node::Size(size), true, Location::caller()),
        }
    }

    /// An axis, counted from the first.
    pub(crate) fn axis(&self, axis: impl IntoAxis) -> Result<usize, String> {
        let axis = axis.into_axis();
        axes::from_first(axis, self.rank()).ok_or_else(|| {
            format!("axis {axis} does not exist in {}, which has rank {}", describe(self.ty()), self.rank())
        })
    }
}

fn carried_error(node: &Node<Expr>) -> Option<Arc<Error>> {
    let mut first = None;
    node.for_each_operand(|operand| {
        if first.is_none() {
            first.clone_from(&operand.0.error);
        }
    });
    first
}
