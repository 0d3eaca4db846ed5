//! What an engine may do at each operation: how exact its results are, and what it does with subnormal numbers.
//!
//! The computation that bounds are about is the program as written, by the definitions of the table; the other one is
//! what an engine makes of it. A GPU has bounds of its own, may take subnormal numbers for zeros, and may fuse a product
//! into a sum or not, whatever was asked for; products that are not representable are bounded anyway.

use kroton::DType;
use kroton::ops::Row;

use crate::bounded::Bounded;

/// An engine's arithmetic.
#[derive(Debug, Clone, Copy)]
pub struct Rounding {
    /// The bound of a row.
    bound: fn(&Row, DType) -> f32,
    /// Whether `mul_add` rounds once.
    pub fuses: bool,
    /// Whether subnormal numbers stay what they are.
    keeps_subnormals: bool,
}

/// The arithmetic of the host.
pub const HOST: Rounding = Rounding { bound: Row::ulp_bound, fuses: true, keeps_subnormals: true };

/// The arithmetic that is promised of GPUs.
pub const GPU: Rounding = Rounding { bound: Row::gpu_bound, fuses: false, keeps_subnormals: false };

/// How many ULP from the exact result each of two computations may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// By definition.
    pub own: f64,
    /// On the engine.
    pub other: f64,
}

impl Bounds {
    /// Both are correctly rounded.
    pub const ROUNDING: Bounds = Bounds { own: 0.5, other: 0.5 };

    /// Whether both are correctly rounded.
    pub fn is_rounding(self) -> bool {
        self.own <= 0.5 && self.other <= 0.5
    }
}

fn smallest_normal(dtype: DType) -> f64 {
    if dtype == DType::F32 { f64::from(f32::MIN_POSITIVE) } else { f64::MIN_POSITIVE }
}

impl Rounding {
    /// The bounds of a row, which are at least those of correct rounding.
    pub fn bounds(&self, row: &Row, dtype: DType) -> Bounds {
        let at_least = |bound: f32| f64::from(bound).max(0.5);
        Bounds { own: at_least(row.ulp_bound(dtype)), other: at_least((self.bound)(row, dtype)) }
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
