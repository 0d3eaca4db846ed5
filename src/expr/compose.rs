//! Functions made of others. They are no ops: the optimiser keeps them stable, the engines never see them.
//!
//! Each formula is written so that it is accurate in both tails and lets NaN through. Where it has branches, each of
//! them is smooth where the function is: `-x.abs()` would have the slope 0 at 0, and its derivatives would be wrong.

use std::f64::consts::PI;

use crate::dtype::DType;
use crate::expr::Expr;
use crate::expr::convert::IntoExpr;

impl Expr {
    /// `x · x`, in the dtype of `x`.
    ///
    /// ```
    /// assert_eq!(kroton::vector::<f64>("x").square().to_string(), "x * x");
    /// ```
    #[track_caller]
    pub fn square(&self) -> Expr {
        self * self
    }

    /// `1 / x`. Takes floats, and everything else as f64.
    ///
    /// ```
    /// assert_eq!(kroton::vector::<f64>("x").recip().to_string(), "1.0 / x");
    /// ```
    #[track_caller]
    pub fn recip(&self) -> Expr {
        1.0 / self
    }

    /// The logistic function, 1 / (1 + exp(−x)), accurate in both tails. Takes floats, and everything else as f64.
    ///
    /// ```
    /// assert_eq!(kroton::vector::<f32>("x").sigmoid().dtype(), kroton::DType::F32);
    /// ```
    #[track_caller]
    pub fn sigmoid(&self) -> Expr {
        let x = self.to_float();
        let positive = x.ge(0.0);
        let small = positive.select(-&x, &x).exp();
        positive.select(1.0, &small) / (1.0 + &small)
    }

    /// ln(1 + exp(x)) without overflow. Takes floats, and everything else as f64.
    ///
    /// ```
    /// assert_eq!(kroton::vector::<f32>("x").softplus().dtype(), kroton::DType::F32);
    /// ```
    #[track_caller]
    pub fn softplus(&self) -> Expr {
        let x = self.to_float();
        let positive = x.ge(0.0);
        positive.select(&x, 0.0) + positive.select(-&x, &x).exp().log1p()
    }

    /// The larger one of `x` and 0, in the dtype of `x`; NaN stays NaN.
    ///
    /// ```
    /// assert_eq!(kroton::vector::<f64>("x").relu().to_string(), "maximum(x, 0.0)");
    /// ```
    #[track_caller]
    pub fn relu(&self) -> Expr {
        self.maximum(0)
    }

    /// `x` to an integer power. Integers stay integers, and wrap, unless `n` is negative: then they become f64.
    ///
    /// ```
    /// let i = kroton::vector::<i32>("i");
    /// assert_eq!((i.powi(3).dtype(), i.powi(-1).dtype()), (kroton::DType::I32, kroton::DType::F64));
    /// ```
    #[track_caller]
    pub fn powi(&self, n: i32) -> Expr {
        if n < 0 { self.to_float().pow(n) } else { self.pow(n) }
    }

    /// ln(exp(a) + exp(b)) without overflow; equal infinities give themselves. Operands promote and broadcast.
    ///
    /// ```
    /// let (a, b) = (kroton::vector::<f32>("a"), kroton::vector::<f32>("b"));
    /// assert_eq!(a.logaddexp(&b).dtype(), kroton::DType::F32);
    /// ```
    #[track_caller]
    pub fn logaddexp(&self, other: impl IntoExpr) -> Expr {
        let (a, b) = (self.to_float(), other.into_expr().to_float());
        let first = a.ge(&b);
        let sum = first.select(&a, &b) + first.select(&b - &a, &a - &b).exp().log1p();
        // The difference of equal infinities is NaN.
        (a.eq(&b) & a.is_inf()).select((&a + &b) * 0.5, sum)
    }

    /// `x` between bounds: `maximum(lo)`, then `minimum(hi)`; NaN stays NaN. Operands promote and broadcast.
    ///
    /// ```
    /// assert_eq!(kroton::vector::<f64>("x").clamp(0, 1).to_string(), "minimum(maximum(x, 0.0), 1.0)");
    /// ```
    #[track_caller]
    pub fn clamp(&self, lo: impl IntoExpr, hi: impl IntoExpr) -> Expr {
        self.maximum(lo).minimum(hi)
    }

    /// 0 for NaN, the largest and lowest finite numbers for the infinities; other dtypes than floats stay.
    ///
    /// ```
    /// assert_eq!(kroton::vector::<f32>("x").nan_to_num().dtype(), kroton::DType::F32);
    /// ```
    #[track_caller]
    pub fn nan_to_num(&self) -> Expr {
        if !self.dtype().is_float() {
            return self.clone();
        }
        let largest = if self.dtype() == DType::F32 { f64::from(f32::MAX) } else { f64::MAX };
        self.is_nan().select(0.0, self.clamp(-largest, largest))
    }

    /// Degrees in radians. Takes floats, and everything else as f64.
    ///
    /// ```
    /// assert_eq!(kroton::vector::<i32>("x").deg2rad().dtype(), kroton::DType::F64);
    /// ```
    #[track_caller]
    pub fn deg2rad(&self) -> Expr {
        self.to_float() * (PI / 180.0)
    }

    /// Radians in degrees. Takes floats, and everything else as f64.
    ///
    /// ```
    /// assert_eq!(kroton::vector::<i32>("x").rad2deg().dtype(), kroton::DType::F64);
    /// ```
    #[track_caller]
    pub fn rad2deg(&self) -> Expr {
        self.to_float() * (180.0 / PI)
    }
}
