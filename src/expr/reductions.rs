//! Reductions over axes, and what is made of them.
//!
//! A reduction is a row of `ReduceOp` or a formula over rows. Axes are resolved here, once; `_keepdims` puts a 1
//! in the place of each reduced axis, so that the result broadcasts against the operand.

use smallvec::SmallVec;

use crate::dtype::DType;
use crate::expr::Expr;
use crate::expr::axes::IntoAxes;
use crate::graph::{Node, describe};
use crate::ops::ReduceOp;
use crate::shape::{Dim, Shape, element_count};

/// Declares a reduction and its `_keepdims` over a private method that takes resolved axes.
macro_rules! reductions {
    ($($name:ident $keepdims:ident $inner:ident $example:literal $doc:literal;)*) => {
        impl Expr { $(
            #[doc = $doc]
            #[doc = ""]
            #[doc = "`axes` is `..` for all, an integer, or a list; negative ones count from the last."]
            #[doc = ""]
            #[doc = concat!("```\nlet x = kroton::matrix::<f32>(\"x\");\nassert_eq!(x.", stringify!($name),
                "(-1).dtype(), kroton::DType::", $example, ");\n```")]
            #[track_caller]
            pub fn $name(&self, axes: impl IntoAxes) -> Expr {
                match axes.into_axes().resolve(self.rank()) {
                    Ok(axes) => self.$inner(axes),
                    Err(message) => self.invalid_axes(stringify!($name), message),
                }
            }

            #[doc = concat!("As [`", stringify!($name), "`](Expr::", stringify!($name),
                "), with a 1 in the place of each reduced axis.")]
            #[doc = ""]
            #[doc = concat!("```\nlet x = kroton::matrix::<f32>(\"x\");\nassert_eq!(x.", stringify!($keepdims),
                "(0).rank(), 2);\n```")]
            #[track_caller]
            pub fn $keepdims(&self, axes: impl IntoAxes) -> Expr {
                match axes.into_axes().resolve(self.rank()) {
                    Ok(axes) => self.$inner(axes.clone()).restore_axes(self, &axes),
                    Err(message) => self.invalid_axes(stringify!($keepdims), message),
                }
            }
        )* }
    };
}

reductions! {
    sum sum_keepdims sum_over "F32"
        "The sum; 0 when empty. bool and signed integers accumulate in i64, unsigned ones in u64.";
    prod prod_keepdims prod_over "F32"
        "The product; 1 when empty. bool and signed integers accumulate in i64, unsigned ones in u64.";
    mean mean_keepdims mean_over "F32"
        "The arithmetic mean; NaN when empty. Integers and bool give f64.";
    var var_keepdims variance_over "F32"
        "The mean squared deviation from the mean, in one pass; NaN when empty. Integers and bool give f64.";
    std std_keepdims deviation_over "F32"
        "The square root of the variance; NaN when empty. Integers and bool give f64.";
    min min_keepdims min_over "F32"
        "The smallest element; NaN if there is one; an error at call time when empty.";
    max max_keepdims max_over "F32"
        "The largest element; NaN if there is one; an error at call time when empty.";
    argmin argmin_keepdims argmin_over "I64"
        "The position (i64) of the first smallest element, or of the first NaN, along one axis or, with `..`, in row-major order; an error at call time when empty.";
    argmax argmax_keepdims argmax_over "I64"
        "The position (i64) of the first largest element, or of the first NaN, along one axis or, with `..`, in row-major order; an error at call time when empty.";
    all all_keepdims all_over "Bool"
        "Whether all elements are true, or not zero; true when empty.";
    any any_keepdims any_over "Bool"
        "Whether any element is true, or not zero; false when empty.";
    norm norm_keepdims norm_over "F32"
        "The Euclidean norm, √Σx²; 0 when empty. Integers and bool give f64.";
    logsumexp logsumexp_keepdims logsumexp_over "F32"
        "ln Σ exp(x) without overflow; −∞ when empty. Integers and bool give f64.";
}

impl Expr {
    /// The variance with `ddof` taken off the number of elements: 0 for the population, 1 for a sample. Fewer
    /// elements than that give NaN or infinity. Integers and bool give f64.
    ///
    /// ```
    /// let x = kroton::matrix::<f32>("x");
    /// assert_eq!(x.var_ddof(0, 1).dtype(), kroton::DType::F32);
    /// ```
    #[track_caller]
    pub fn var_ddof(&self, axes: impl IntoAxes, ddof: usize) -> Expr {
        match axes.into_axes().resolve(self.rank()) {
            Ok(axes) => self.variance(axes, ddof),
            Err(message) => self.invalid_axes("var_ddof", message),
        }
    }

    /// The square root of [`var_ddof`](Expr::var_ddof).
    ///
    /// ```
    /// let x = kroton::matrix::<f32>("x");
    /// assert_eq!(x.std_ddof(.., 1).rank(), 0);
    /// ```
    #[track_caller]
    pub fn std_ddof(&self, axes: impl IntoAxes, ddof: usize) -> Expr {
        self.var_ddof(axes, ddof).sqrt()
    }

    /// exp(x) divided by its sum over the axes, without overflow; the shape stays. Integers and bool give f64.
    ///
    /// ```
    /// let x = kroton::matrix::<f32>("x");
    /// assert_eq!(x.softmax(-1).rank(), 2);
    /// ```
    #[track_caller]
    pub fn softmax(&self, axes: impl IntoAxes) -> Expr {
        let (axes, x) = (axes.into_axes(), self.to_float());
        let exp = (&x - x.at_least_nothing().max_keepdims(axes.clone()).stop_gradient()).exp();
        &exp / exp.sum_keepdims(axes)
    }

    /// The logarithm of [`softmax`](Expr::softmax), without cancellation; the shape stays.
    ///
    /// ```
    /// let x = kroton::matrix::<f32>("x");
    /// assert_eq!(x.log_softmax(-1).rank(), 2);
    /// ```
    #[track_caller]
    pub fn log_softmax(&self, axes: impl IntoAxes) -> Expr {
        let (axes, x) = (axes.into_axes(), self.to_float());
        let shifted = &x - x.at_least_nothing().max_keepdims(axes.clone()).stop_gradient();
        &shifted - shifted.exp().sum_keepdims(axes).ln()
    }

    #[track_caller]
    fn invalid_axes(&self, name: &str, message: String) -> Expr {
        self.invalid(format!("`{name}` of {}: {message}", describe(self.ty())))
    }

    /// A row of the table over these axes; over no axes each element is its own reduction.
    #[track_caller]
    pub(crate) fn reduce(&self, op: ReduceOp, mut axes: SmallVec<[u32; 3]>) -> Expr {
        axes.sort_unstable();
        if !axes.is_empty() || !op.accepts(self.dtype()) {
            return Expr::build(Node::Reduce(op, axes, self.clone()));
        }
        match op {
            ReduceOp::Sum | ReduceOp::Prod => self.cast_to(self.dtype().accumulator()),
            ReduceOp::Min | ReduceOp::Max | ReduceOp::All | ReduceOp::Any => self.clone(),
            // Nothing is less than itself: the position 0.
            ReduceOp::ArgMin | ReduceOp::ArgMax => self.lt(self).cast::<i64>(),
            ReduceOp::SquaredDeviations => self.sub(self),
        }
    }

    /// The result of a reduction of `operand` with a 1 in the place of each reduced axis.
    #[track_caller]
    fn restore_axes(&self, operand: &Expr, axes: &[u32]) -> Expr {
        if self.error().is_some() || axes.is_empty() {
            return self.clone();
        }
        let size = |(axis, size): (usize, &Dim)| if axes.contains(&(axis as u32)) { Dim::ONE } else { size.clone() };
        let shape: Shape = operand.dims().iter().enumerate().map(size).collect();
        Expr::build(Node::Reshape(shape, self.clone()))
    }

    /// How many elements each reduction takes, less `ddof` but not below zero; weakly typed.
    #[track_caller]
    fn reduced_count(&self, axes: &[u32], ddof: usize) -> Expr {
        let reduced: Shape = axes.iter().map(|&axis| self.dims()[axis as usize].clone()).collect();
        let count = element_count(&reduced);
        let count = if ddof == 0 { count } else { count.sub(&Dim::of_size(ddof)).larger(&Dim::ZERO) };
        Expr::build_at(Node::Size(count), true, std::panic::Location::caller())
    }

    #[track_caller]
    fn sum_over(&self, axes: SmallVec<[u32; 3]>) -> Expr {
        self.reduce(ReduceOp::Sum, axes)
    }

    #[track_caller]
    fn prod_over(&self, axes: SmallVec<[u32; 3]>) -> Expr {
        self.reduce(ReduceOp::Prod, axes)
    }

    #[track_caller]
    fn min_over(&self, axes: SmallVec<[u32; 3]>) -> Expr {
        self.reduce(ReduceOp::Min, axes)
    }

    #[track_caller]
    fn max_over(&self, axes: SmallVec<[u32; 3]>) -> Expr {
        self.reduce(ReduceOp::Max, axes)
    }

    #[track_caller]
    fn argmin_over(&self, axes: SmallVec<[u32; 3]>) -> Expr {
        self.position(ReduceOp::ArgMin, axes)
    }

    #[track_caller]
    fn argmax_over(&self, axes: SmallVec<[u32; 3]>) -> Expr {
        self.position(ReduceOp::ArgMax, axes)
    }

    /// A position means something along one axis, or in the whole array.
    #[track_caller]
    fn position(&self, op: ReduceOp, axes: SmallVec<[u32; 3]>) -> Expr {
        if axes.len() != 1 && axes.len() != self.rank() {
            return self.invalid_axes(op.name(), format!("takes one axis or `..`, not {:?}", axes.as_slice()));
        }
        self.reduce(op, axes)
    }

    #[track_caller]
    fn all_over(&self, axes: SmallVec<[u32; 3]>) -> Expr {
        self.truth().reduce(ReduceOp::All, axes)
    }

    #[track_caller]
    fn any_over(&self, axes: SmallVec<[u32; 3]>) -> Expr {
        self.truth().reduce(ReduceOp::Any, axes)
    }

    #[track_caller]
    fn truth(&self) -> Expr {
        if self.dtype() == DType::Bool { self.clone() } else { self.ne(0) }
    }

    #[track_caller]
    fn mean_over(&self, axes: SmallVec<[u32; 3]>) -> Expr {
        // What is true is counted, which is exact and needs no f64 for each element.
        let x = if self.dtype() == DType::Bool { self.clone() } else { self.to_float() };
        x.reduce(ReduceOp::Sum, axes.clone()).to_float() / self.reduced_count(&axes, 0)
    }

    #[track_caller]
    fn variance_over(&self, axes: SmallVec<[u32; 3]>) -> Expr {
        self.variance(axes, 0)
    }

    #[track_caller]
    fn variance(&self, axes: SmallVec<[u32; 3]>, ddof: usize) -> Expr {
        let x = self.to_float();
        x.reduce(ReduceOp::SquaredDeviations, axes.clone()) / self.reduced_count(&axes, ddof)
    }

    #[track_caller]
    fn deviation_over(&self, axes: SmallVec<[u32; 3]>) -> Expr {
        self.variance(axes, 0).sqrt()
    }

    #[track_caller]
    fn norm_over(&self, axes: SmallVec<[u32; 3]>) -> Expr {
        self.to_float().square().reduce(ReduceOp::Sum, axes).sqrt()
    }

    /// The same floats, of which the largest is −∞ where there are none.
    #[track_caller]
    pub(crate) fn at_least_nothing(&self) -> Expr {
        self.maximum(f64::NEG_INFINITY)
    }

    /// The shift by the largest element is left out where that is infinite, since inf − inf is NaN. The result does
    /// not depend on the shift, so derivatives take it for a constant.
    #[track_caller]
    fn logsumexp_over(&self, axes: SmallVec<[u32; 3]>) -> Expr {
        let x = self.to_float();
        let largest = x.at_least_nothing().reduce(ReduceOp::Max, axes.clone());
        let shift = largest.is_finite().select(&largest, 0.0).stop_gradient();
        let shifted = &x - shift.restore_axes(&x, &axes);
        shifted.exp().reduce(ReduceOp::Sum, axes).ln() + shift
    }
}
