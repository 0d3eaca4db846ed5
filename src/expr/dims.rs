//! Sizes from expressions.
//!
//! A size may be computed from shapes, integer constants and integer scalar inputs; the result is a `Dim`, which
//! the host evaluates before a call runs anything. The walk is iterative, each shared part is visited once.

use rustc_hash::FxHashMap;

use crate::dtype::DType;
use crate::expr::Expr;
use crate::graph::{Node, describe};
use crate::ops::{BinaryOp, UnaryOp};
use crate::shape::{Dim, Measure, Shape, Symbol};

impl Expr {
    /// The size that this expression computes.
    ///
    /// # Errors
    /// A sentence that says what a size may be made of.
    pub(crate) fn to_dim(&self) -> Result<Dim, String> {
        let mut known: FxHashMap<usize, Dim> = FxHashMap::default();
        let mut pending = vec![self];
        while let Some(&expr) = pending.last() {
            let before = pending.len();
            if !known.contains_key(&expr.key()) {
                check(expr)?;
                expr.node().for_each_operand(|operand| {
                    if !known.contains_key(&operand.key()) {
                        pending.push(operand);
                    }
                });
            }
            if pending.len() == before {
                let dim = size_of_node(expr, &|operand| known.get(&operand.key()).cloned().unwrap_or(Dim::ZERO));
                let dim = dim.ok_or_else(|| not_a_size(expr))?;
                if !dim.is_tractable() {
                    return Err(too_many_operations());
                }
                known.insert(expr.key(), dim);
                pending.pop();
            }
        }
        known.remove(&self.key()).ok_or_else(|| not_a_size(self))
    }
}

/// Sizes from expressions, outermost first.
///
/// # Errors
/// As `Expr::to_dim`.
pub(crate) fn to_shape(sizes: &[Expr]) -> Result<Shape, String> {
    sizes.iter().map(Expr::to_dim).collect()
}

fn check(expr: &Expr) -> Result<(), String> {
    if let Some(error) = expr.error() {
        return Err(error.to_string());
    }
    if expr.rank() == 0 && expr.dtype().is_integer() { Ok(()) } else { Err(not_a_size(expr)) }
}

fn too_many_operations() -> String {
    let (nested, all) = (Dim::DEEPEST, Dim::MOST_OPERATIONS);
    format!("a size is computed by too many operations (at most {nested} nested, {all} in all); pass it as an input")
}

fn not_a_size(expr: &Expr) -> String {
    format!(
        "`{expr}` ({}) is not a size: a size must be computed from shapes, integer constants and integer scalar \
         inputs by + - * floor_div % minimum maximum (note that `/` gives a float)",
        describe(expr.ty())
    )
}

/// The size of one node from those of its operands; `None` where a size has no such operation.
fn size_of_node(expr: &Expr, operand: &dyn Fn(&Expr) -> Dim) -> Option<Dim> {
    match expr.node() {
        Node::Scalar(value) => value.to_i64().map(Dim::from),
        Node::Size(size) => Some(size.clone()),
        Node::Input(input) => Some(Dim::from(Symbol { input: input.id, measure: Measure::Value })),
        // A cast that could wrap would change the number; one of a weak size only follows its neighbor.
        Node::Cast(dtype, x) if x.is_weak() || keeps_integers(x.dtype(), *dtype) => Some(operand(x)),
        Node::Cast(..) => None,
        Node::Unary(op, x) => size_of_unary(*op, operand(x)),
        Node::Binary(op, [a, b]) => size_of_binary(*op, &operand(a), &operand(b)),
        Node::Parameter(..)
        | Node::Dense(_)
        | Node::Iota(_)
        | Node::Ternary(..)
        | Node::Reduce(..)
        | Node::Permute(..)
        | Node::Reshape(..)
        | Node::Broadcast(..)
        | Node::Slice(..)
        | Node::Concat(..)
        | Node::MatMul(_)
        | Node::Loop(_)
        | Node::Project(..)
        | Node::Custom(..)
        | Node::Barrier(_) => None,
    }
}

/// Whether every integer of one dtype is one of the other, as far as it can be a size.
fn keeps_integers(from: DType, to: DType) -> bool {
    from.is_integer() && to.is_integer() && (from.promote(to) == to || matches!((from, to), (DType::U64, DType::I64)))
}

fn size_of_unary(op: UnaryOp, x: Dim) -> Option<Dim> {
    match op {
        UnaryOp::Neg => Some(x.scale(-1)),
        UnaryOp::Abs => Some(x.larger(&x.scale(-1))),
        UnaryOp::Sign
        | UnaryOp::Not
        | UnaryOp::Sqrt
        | UnaryOp::Cbrt
        | UnaryOp::Exp
        | UnaryOp::Exp2
        | UnaryOp::Expm1
        | UnaryOp::Ln
        | UnaryOp::Log2
        | UnaryOp::Log10
        | UnaryOp::Log1p
        | UnaryOp::Sin
        | UnaryOp::Cos
        | UnaryOp::Tan
        | UnaryOp::Asin
        | UnaryOp::Acos
        | UnaryOp::Atan
        | UnaryOp::Sinh
        | UnaryOp::Cosh
        | UnaryOp::Tanh
        | UnaryOp::Asinh
        | UnaryOp::Acosh
        | UnaryOp::Atanh
        | UnaryOp::Erf
        | UnaryOp::Erfc
        | UnaryOp::Erfinv
        | UnaryOp::Gamma
        | UnaryOp::Lgamma
        | UnaryOp::Digamma
        | UnaryOp::Floor
        | UnaryOp::Ceil
        | UnaryOp::Trunc
        | UnaryOp::Round
        | UnaryOp::IsNan
        | UnaryOp::IsInf
        | UnaryOp::IsFinite
        | UnaryOp::StopGradient => None,
    }
}

fn size_of_binary(op: BinaryOp, a: &Dim, b: &Dim) -> Option<Dim> {
    match op {
        BinaryOp::Add => Some(a.add(b)),
        BinaryOp::Sub => Some(a.sub(b)),
        BinaryOp::Mul => Some(a.mul(b)),
        BinaryOp::FloorDiv => Some(a.floor_div(b)),
        BinaryOp::Rem => Some(a.rem(b)),
        BinaryOp::Minimum | BinaryOp::Fmin => Some(a.smaller(b)),
        BinaryOp::Maximum | BinaryOp::Fmax => Some(a.larger(b)),
        BinaryOp::Div
        | BinaryOp::Pow
        | BinaryOp::Atan2
        | BinaryOp::Hypot
        | BinaryOp::Copysign
        | BinaryOp::Lt
        | BinaryOp::Le
        | BinaryOp::Gt
        | BinaryOp::Ge
        | BinaryOp::Eq
        | BinaryOp::Ne
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor
        | BinaryOp::Shl
        | BinaryOp::Shr
        | BinaryOp::RandomBits32
        | BinaryOp::RandomBits64
        | BinaryOp::RandomUniform32
        | BinaryOp::RandomUniform64
        | BinaryOp::RandomKey => None,
    }
}
