//! Ops of three operands. One row each; see `row.rs` for the columns.

use crate::dtype::Scalar;
use crate::ops::row::op_enum;
use crate::ops::scalar::Float;

op_enum! {
    /// An op of three operands.
    TernaryOp {
        Select select Any -> Same, Cheap, All, ulp(0.0, 0.0), NONE, wgsl("select({2}, {1}, {0})", 0.0, 0.0),
            float(), int(), bool(), "The second where the first (a bool) is true, else the third; a NaN in the one not taken does not matter.";
        MulAdd mul_add Float -> Same, Moderate, All, ulp(0.0, 0.0), NONE, wgsl("fma({0}, {1}, {2})", 0.0, 0.0),
            float(Float::mul_add), int(), bool(), "a·b + c, rounded once.";
    }
}

impl TernaryOp {
    /// The defining function on three values; `None` for dtypes that the op does not take.
    pub fn apply(self, a: Scalar, b: Scalar, c: Scalar) -> Option<Scalar> {
        match (self, a, b, c) {
            (TernaryOp::Select, Scalar::Bool(condition), b, c) if b.dtype() == c.dtype() => {
                Some(if condition { b } else { c })
            }
            (TernaryOp::MulAdd, Scalar::F32(a), Scalar::F32(b), Scalar::F32(c)) => {
                Some(Scalar::F32(Float::mul_add(a, b, c)))
            }
            (TernaryOp::MulAdd, Scalar::F64(a), Scalar::F64(b), Scalar::F64(c)) => {
                Some(Scalar::F64(Float::mul_add(a, b, c)))
            }
            (TernaryOp::Select | TernaryOp::MulAdd, _, _, _) => None,
        }
    }
}
