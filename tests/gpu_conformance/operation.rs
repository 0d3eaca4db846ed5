//! The ops of the table and the conversions, as one list with one way to build and to define them.

use std::fmt;

use kroton::expr::{apply_binary, apply_ternary, apply_unary};
use kroton::ops::{BinaryOp, Row, TernaryOp, UnaryOp};
use kroton::{DType, Expr, Scalar};

/// What computes one value of a few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Unary(UnaryOp),
    Binary(BinaryOp),
    Ternary(TernaryOp),
    Cast(DType),
}

/// The operands that an operation chooses from: a condition, and three of one dtype.
pub type Tuple = [Scalar; 4];

impl Operation {
    /// All that take this dtype.
    pub fn of(dtype: DType) -> Vec<Operation> {
        let takes = |row: &Row| row.class.contains(dtype);
        let unary = UnaryOp::ALL.iter().filter(|op| takes(op.row())).map(|&op| Operation::Unary(op));
        let binary = BinaryOp::ALL.iter().filter(|op| takes(op.row())).map(|&op| Operation::Binary(op));
        let ternary = TernaryOp::ALL.iter().filter(|op| takes(op.row())).map(|&op| Operation::Ternary(op));
        let casts = DType::ALL.into_iter().filter(|&to| to != dtype).map(Operation::Cast);
        unary.chain(binary).chain(ternary).chain(casts).collect()
    }

    /// The row of the table; a conversion has none.
    pub fn row(self) -> Option<&'static Row> {
        match self {
            Operation::Unary(op) => Some(op.row()),
            Operation::Binary(op) => Some(op.row()),
            Operation::Ternary(op) => Some(op.row()),
            Operation::Cast(_) => None,
        }
    }

    /// The dtype of the result for operands of this dtype.
    pub fn result(self, dtype: DType) -> DType {
        match self {
            Operation::Cast(to) => to,
            Operation::Unary(_) | Operation::Binary(_) | Operation::Ternary(_) => {
                self.row().map_or(dtype, |row| row.result(dtype))
            }
        }
    }

    /// The expression.
    pub fn build(self, [condition, a, b, c]: &[Expr; 4]) -> Expr {
        match self {
            Operation::Unary(op) => apply_unary(op, a),
            Operation::Binary(op) => apply_binary(op, a, b),
            Operation::Ternary(op @ TernaryOp::Select) => apply_ternary(op, condition, a, b),
            Operation::Ternary(op @ TernaryOp::MulAdd) => apply_ternary(op, a, b, c),
            Operation::Cast(to) => a.cast_to(to),
        }
    }

    /// The operands that it takes of a tuple.
    pub fn operands(self, [condition, a, b, c]: &Tuple) -> Vec<Scalar> {
        match self {
            Operation::Unary(_) | Operation::Cast(_) => vec![*a],
            Operation::Binary(_) => vec![*a, *b],
            Operation::Ternary(TernaryOp::Select) => vec![*condition, *a, *b],
            Operation::Ternary(TernaryOp::MulAdd) => vec![*a, *b, *c],
        }
    }

    /// The definition, in the dtype of the operands.
    pub fn apply(self, operands: &[Scalar]) -> Scalar {
        match self {
            Operation::Unary(op) => op.apply(operands[0]).unwrap(),
            Operation::Binary(op) => op.apply(operands[0], operands[1]).unwrap(),
            Operation::Ternary(op) => op.apply(operands[0], operands[1], operands[2]).unwrap(),
            Operation::Cast(to) => operands[0].cast(to),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operation::Unary(op) => op.fmt(f),
            Operation::Binary(op) => op.fmt(f),
            Operation::Ternary(op) => op.fmt(f),
            Operation::Cast(to) => write!(f, "cast to {to}"),
        }
    }
}
