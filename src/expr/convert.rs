//! What may stand for an expression, a shape, inputs and outputs.
//!
//! Conversions only; no typing rules. Scalars become weakly typed literals, so that a Rust number takes the dtype
//! of the array it meets. Nothing here inspects the graph.

use crate::dtype::{DType, Element, Kind, Scalar};
use crate::expr::Expr;
use crate::graph::Node;

/// A value usable as an operand: an expression or a Rust scalar, by value or by reference.
///
/// Scalars are weakly typed: `x + 1` has the dtype of `x`. For arrays use [`constant`](crate::constant).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither an expression nor a scalar",
    label = "expected an Expr, &Expr, or a Rust number or bool",
    note = "wrap an array or a slice in `kroton::constant(…)`"
)]
pub trait IntoExpr: Sized {
    /// The expression; a scalar becomes a weakly typed literal.
    #[track_caller]
    fn into_expr(self) -> Expr;

    /// The expression; a scalar becomes a constant of its own dtype.
    #[doc(hidden)]
    #[track_caller]
    fn into_strong(self) -> Expr {
        self.into_expr()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Element> IntoExpr for T {
    #[track_caller]
    fn into_expr(self) -> Expr {
        let value = self.to_scalar();
        let dtype = match value.dtype().kind() {
            Kind::Bool => DType::Bool,
            Kind::Float => DType::F64,
            Kind::Signed => DType::I64,
            Kind::Unsigned if value.to_i64().is_none() => DType::U64,
            Kind::Unsigned => DType::I64,
        };
        Expr::build_at(Node::Scalar(value.cast(dtype)), true, std::panic::Location::caller())
    }

    #[track_caller]
    fn into_strong(self) -> Expr {
        Expr::build(Node::Scalar(self.to_scalar()))
    }
}

macro_rules! scalar_references {
    ($($type:ty)*) => { $(
        impl IntoExpr for &$type {
            #[track_caller]
            fn into_expr(self) -> Expr {
                (*self).into_expr()
            }

            #[track_caller]
            fn into_strong(self) -> Expr {
                (*self).into_strong()
            }
        }
    )* };
}
scalar_references!(bool i8 u8 i32 u32 i64 u64 f32 f64 usize isize);

impl IntoExpr for usize {
    #[track_caller]
    fn into_expr(self) -> Expr {
        (self as u64).into_expr()
    }

    #[track_caller]
    fn into_strong(self) -> Expr {
        Expr::build(Node::Scalar(i64::try_from(self).map_or(Scalar::U64(self as u64), Scalar::I64)))
    }
}

impl IntoExpr for isize {
    #[track_caller]
    fn into_expr(self) -> Expr {
        (self as i64).into_expr()
    }

    #[track_caller]
    fn into_strong(self) -> Expr {
        (self as i64).into_strong()
    }
}

impl IntoExpr for Expr {
    fn into_expr(self) -> Expr {
        self
    }
}

impl IntoExpr for &Expr {
    fn into_expr(self) -> Expr {
        self.clone()
    }
}

/// The sizes of an array: an array, `Vec`, slice or tuple of integers and integer expressions; one size alone; `()`.
///
/// ```
/// let x = kroton::matrix::<f64>("x");
/// assert_eq!(x.reshape((x.len(), 1)).rank(), 2);
/// assert_eq!(x.reshape([-1]).rank(), 1);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a shape",
    label = "expected sizes: an array, Vec, slice or tuple of integers and integer expressions",
    note = "mixed sizes go into a tuple, as in `(x.len(), 1)`"
)]
pub trait IntoShape {
    /// The sizes, outermost first.
    #[track_caller]
    fn into_shape(self) -> Vec<Expr>;
}

/// The inputs of a function: an array, slice or `Vec` of expressions made by `input` and its like; `()` for none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not list inputs",
    label = "expected references to input expressions, as in `[&x, &y]`, or `[]`"
)]
pub trait IntoInputs {
    /// The inputs in the order of the call's arguments.
    fn into_inputs(self) -> Vec<Expr>;
}

/// Several expressions: an array, slice or `Vec` of expressions or of references to them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not list expressions",
    label = "expected expressions, as in `[&x, &y]`"
)]
pub trait IntoExprs {
    /// The expressions in order.
    fn into_exprs(self) -> Vec<Expr>;
}

/// The outputs of a function: one expression; an array, slice, `Vec` or tuple of them; `()` for none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not list outputs",
    label = "expected an expression, or an array, Vec or tuple of expressions",
    note = "wrap an array of numbers in `kroton::constant(…)`"
)]
pub trait IntoOutputs {
    /// The outputs in the order of the call's results.
    #[track_caller]
    fn into_outputs(self) -> Vec<Expr>;
}

/// Implements a list trait for arrays, vectors and slices of operands; loops, since closures lose source lines.
macro_rules! lists_of_operands {
    ($trait:ident, $method:ident) => {
        impl<E: IntoExpr, const N: usize> $trait for [E; N] {
            #[track_caller]
            fn $method(self) -> Vec<Expr> {
                collect(self)
            }
        }

        impl<E: IntoExpr> $trait for Vec<E> {
            #[track_caller]
            fn $method(self) -> Vec<Expr> {
                collect(self)
            }
        }

        impl<E: IntoExpr + Clone> $trait for &[E] {
            #[track_caller]
            fn $method(self) -> Vec<Expr> {
                collect(self.iter().cloned())
            }
        }

        impl<E: IntoExpr + Clone, const N: usize> $trait for &[E; N] {
            #[track_caller]
            fn $method(self) -> Vec<Expr> {
                collect(self.iter().cloned())
            }
        }

        impl<E: IntoExpr + Clone> $trait for &Vec<E> {
            #[track_caller]
            fn $method(self) -> Vec<Expr> {
                collect(self.iter().cloned())
            }
        }

        impl $trait for () {
            fn $method(self) -> Vec<Expr> {
                Vec::new()
            }
        }
    };
}
lists_of_operands!(IntoShape, into_shape);
lists_of_operands!(IntoOutputs, into_outputs);

#[track_caller]
fn collect<E: IntoExpr>(operands: impl IntoIterator<Item = E>) -> Vec<Expr> {
    let mut exprs = Vec::new();
    for operand in operands {
        exprs.push(operand.into_expr());
    }
    exprs
}

macro_rules! tuples {
    ($($($type:ident)+;)*) => { $(
        impl<$($type: IntoExpr),+> IntoShape for ($($type,)+) {
            #[track_caller]
            fn into_shape(self) -> Vec<Expr> {
                #[allow(non_snake_case)] // one macro variable names both the type and its value
                let ($($type,)+) = self;
                vec![$($type.into_expr()),+]
            }
        }

        impl<$($type: IntoExpr),+> IntoOutputs for ($($type,)+) {
            #[track_caller]
            fn into_outputs(self) -> Vec<Expr> {
                #[allow(non_snake_case)] // as above
                let ($($type,)+) = self;
                vec![$($type.into_expr()),+]
            }
        }
    )* };
}
tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
    A B C D E F G H I;
    A B C D E F G H I J;
    A B C D E F G H I J K;
    A B C D E F G H I J K L;
}

#[diagnostic::do_not_recommend]
impl<E: IntoExpr> IntoOutputs for E {
    #[track_caller]
    fn into_outputs(self) -> Vec<Expr> {
        vec![self.into_expr()]
    }
}

macro_rules! single_sizes {
    ($($type:ty)*) => { $(
        impl IntoShape for $type {
            #[track_caller]
            fn into_shape(self) -> Vec<Expr> {
                vec![self.into_expr()]
            }
        }
    )* };
}
single_sizes!(i32 i64 isize usize Expr &Expr);

impl<const N: usize> IntoInputs for [&Expr; N] {
    fn into_inputs(self) -> Vec<Expr> {
        self.into_iter().cloned().collect()
    }
}

impl<const N: usize> IntoInputs for &[Expr; N] {
    fn into_inputs(self) -> Vec<Expr> {
        self.to_vec()
    }
}

impl<E: AsRef<Expr>> IntoInputs for &[E] {
    fn into_inputs(self) -> Vec<Expr> {
        self.iter().map(|input| input.as_ref().clone()).collect()
    }
}

impl<E: AsRef<Expr>> IntoInputs for Vec<E> {
    fn into_inputs(self) -> Vec<Expr> {
        self.as_slice().into_inputs()
    }
}

impl<E: AsRef<Expr>> IntoInputs for &Vec<E> {
    fn into_inputs(self) -> Vec<Expr> {
        self.as_slice().into_inputs()
    }
}

impl IntoInputs for () {
    fn into_inputs(self) -> Vec<Expr> {
        Vec::new()
    }
}

impl<E: AsRef<Expr>, const N: usize> IntoExprs for [E; N] {
    fn into_exprs(self) -> Vec<Expr> {
        self.as_slice().into_exprs()
    }
}

impl<E: AsRef<Expr>, const N: usize> IntoExprs for &[E; N] {
    fn into_exprs(self) -> Vec<Expr> {
        self.as_slice().into_exprs()
    }
}

impl<E: AsRef<Expr>> IntoExprs for &[E] {
    fn into_exprs(self) -> Vec<Expr> {
        self.iter().map(|expr| expr.as_ref().clone()).collect()
    }
}

impl<E: AsRef<Expr>> IntoExprs for Vec<E> {
    fn into_exprs(self) -> Vec<Expr> {
        self.as_slice().into_exprs()
    }
}

impl<E: AsRef<Expr>> IntoExprs for &Vec<E> {
    fn into_exprs(self) -> Vec<Expr> {
        self.as_slice().into_exprs()
    }
}

impl IntoExprs for () {
    fn into_exprs(self) -> Vec<Expr> {
        Vec::new()
    }
}
