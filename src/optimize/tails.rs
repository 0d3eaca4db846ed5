//! Logarithms of what vanishes: the complementary error function far to the right.
//!
//! erfc(x) is 0 in floating point from about 10 (f32) or 27 (f64) on; its logarithm is about −x². The asymptotic series
//! (DLMF 7.12.1) takes over well before, where its terms vanish within the precision.

use crate::dtype::{DType, Scalar};
use crate::graph::{Node, NodeId};
use crate::ops::stable::{ERFC_SERIES, LN_ROOT_PI, erfc_switch};
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};
use crate::optimize::rewrite::Rewriter;
use crate::optimize::rule::Rule;

/// The rules, in the order in which they are tried.
pub(super) static RULES: &[Rule] = &[Rule::accuracy(
    "ln_erfc",
    [
        "(ln (erfc ?x))",
        "(select (gt ?x t) ((ln(1 − 1/2x² + 3/4x⁴ − …) − ln √π) − ln x) − x² (ln (erfc (minimum ?x t)))), t = 8 (f32) or 25 (f64)",
    ],
    "erfc(x) = e^−x² / (x √π) · (1 − 1/2x² + 3/4x⁴ − …), DLMF 7.12.1; six terms leave less than 2⁻²⁴ (2⁻⁵³) of −x² at t",
)
.by("?x is not bounded already", &["ln"], ln_erfc)];

/// Builds arithmetic with constants of one dtype.
struct Formula<'a, 'b> {
    rewriter: &'a mut Rewriter<'b>,
    dtype: DType,
}

impl Formula<'_, '_> {
    fn number(&mut self, value: f64) -> Option<NodeId> {
        self.rewriter.scalar(Scalar::F64(value).cast(self.dtype))
    }

    fn with(&mut self, op: BinaryOp, a: NodeId, value: f64) -> Option<NodeId> {
        let value = self.number(value)?;
        self.rewriter.binary(op, a, value)
    }

    /// ln(1 − 1/2x² + …) − ln √π − ln x − x².
    fn tail(&mut self, x: NodeId) -> Option<NodeId> {
        let square = self.rewriter.binary(BinaryOp::Mul, x, x)?;
        let half = self.number(0.5)?;
        let z = self.rewriter.binary(BinaryOp::Div, half, square)?;
        let mut series = self.with(BinaryOp::Mul, z, ERFC_SERIES[0])?;
        for &coefficient in &ERFC_SERIES[1..] {
            let sum = self.with(BinaryOp::Add, series, coefficient)?;
            series = self.rewriter.binary(BinaryOp::Mul, sum, z)?;
        }
        let correction = self.rewriter.unary(UnaryOp::Log1p, series)?;
        let constant = self.with(BinaryOp::Sub, correction, LN_ROOT_PI)?;
        let logarithm = self.rewriter.unary(UnaryOp::Ln, x)?;
        let small = self.rewriter.binary(BinaryOp::Sub, constant, logarithm)?;
        self.rewriter.binary(BinaryOp::Sub, small, square)
    }
}

fn ln_erfc(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let &Node::Unary(UnaryOp::Ln, inner) = rewriter.node(id) else { return None };
    let &Node::Unary(UnaryOp::Erfc, x) = rewriter.node(inner) else { return None };
    if let &Node::Binary(BinaryOp::Minimum, [_, bound]) = rewriter.node(x)
        && rewriter.constant(bound).is_some()
    {
        return None;
    }
    let dtype = rewriter.ty(x).dtype;
    let mut formula = Formula { rewriter, dtype };
    let tail = formula.tail(x)?;
    let far = formula.with(BinaryOp::Gt, x, erfc_switch(dtype))?;
    let near = formula.with(BinaryOp::Minimum, x, erfc_switch(dtype))?;
    let near = rewriter.unary(UnaryOp::Erfc, near)?;
    let near = rewriter.unary(UnaryOp::Ln, near)?;
    rewriter.ternary(TernaryOp::Select, [far, tail, near])
}
