//! What an engine may do at each operation: how exact its results are, and what it does with subnormal numbers.
//!
//! The computation that bounds are about is the program as written, by the definitions of the table; the other one is
//! what an engine makes of it. A GPU has bounds of its own, may take subnormal numbers for zeros, and may fuse a product
//! into a sum or not, whatever was asked for; products that are not representable are bounded anyway.

use crate::check::bounded::Bounded;
use crate::dtype::DType;
use crate::ops::Row;

/// An engine's arithmetic.
#[derive(Debug, Clone, Copy)]
pub struct Rounding {
    /// The bound of a row.
    bound: fn(&Row, DType) -> f32,
    /// Whether `mul_add` rounds once.
    pub fuses: bool,
    /// Whether subnormal numbers stay what they are.
    keeps_subnormals: bool,
    /// Whether rules of the optimizer lie between the two computations.
    pub rewrites: bool,
}

/// The arithmetic of the host, and rules of the optimizer.
pub const HOST: Rounding = Rounding { bound: Row::ulp_bound, fuses: true, keeps_subnormals: true, rewrites: true };

/// The arithmetic of a host without fused multiply-add, whose functions have bounds of their own, and rules of the optimizer.
pub const BASELINE: Rounding = Rounding { bound: Row::baseline_bound, ..HOST };

/// The arithmetic that is promised of GPUs, and rules of the optimizer.
pub const GPU: Rounding = Rounding { bound: Row::gpu_bound, fuses: false, keeps_subnormals: false, rewrites: true };

/// How many ULP from the exact result each of two computations may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// By definition.
    pub own: f64,
    /// On the engine.
    pub other: f64,
    /// What accuracy rules may cost.
    pub rules: f64,
}

impl Bounds {
    /// Both are correctly rounded.
    pub const ROUNDING: Bounds = Bounds { own: 0.5, other: 0.5, rules: 1.0 };

    /// Whether both are correctly rounded.
    pub fn is_rounding(self) -> bool {
        self.own <= 0.5 && self.other <= 0.5
    }
}

/// The smallest number that is not subnormal.
fn smallest_normal(dtype: DType) -> f64 {
    if dtype == DType::F32 { f64::from(f32::MIN_POSITIVE) } else { f64::MIN_POSITIVE }
}

impl Rounding {
    /// The bounds of a row, which are at least those of correct rounding.
    pub fn bounds(&self, row: &Row, dtype: DType) -> Bounds {
        let at_least = |bound: f32| f64::from(bound).max(0.5);
        let rules = if self.rewrites { 1.0 } else { 0.0 };
        Bounds { own: at_least(row.ulp_bound(dtype)), other: at_least((self.bound)(row, dtype)), rules }
    }

    /// Whether the same operands give the same bits: nothing is rewritten, and the row is exact on both sides.
    pub fn repeats(&self, row: &Row, dtype: DType) -> bool {
        !self.rewrites && row.ulp_bound(dtype) == 0.0 && (self.bound)(row, dtype) == 0.0
    }

    /// The same engine, of which nothing but what it promises is allowed for.
    pub const fn as_written(self) -> Rounding {
        Rounding { rewrites: false, ..self }
    }

    /// The most that a number changes when it becomes zero.
    pub fn flushed(&self, dtype: DType) -> f64 {
        if self.keeps_subnormals { 0.0 } else { smallest_normal(dtype) }
    }

    /// An operand as an operation may see it.
    pub fn operand(&self, x: Bounded) -> Bounded {
        let size = x.value.to_f64().abs();
        let vanishes = x.value.dtype().is_float() && size != 0.0 && size < self.flushed(x.value.dtype());
        if vanishes { Bounded { error: x.error.max(size), ..x } } else { x }
    }

    /// A result as an operation may leave it.
    pub fn result(&self, x: Bounded) -> Bounded {
        let (size, dtype) = (x.value.to_f64().abs(), x.value.dtype());
        let is_zero = size == 0.0 && x.is_exact();
        if !dtype.is_float() || is_zero || x.value.is_nan() || size - x.error >= self.flushed(dtype) {
            return x;
        }
        Bounded { error: x.error + self.flushed(dtype), ..x }
    }
}
