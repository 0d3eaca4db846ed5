//! The walk over a program's statements, and the small trait through which it makes code.
//!
//! Each emitter implements [`Code`]. Must not know: instruction sets, registers, loops.

use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::loops::{OperandId, Operation, Statement, ValueId};
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};

/// What makes code for the steps of a program; a value stands for some consecutive elements.
pub(super) trait Code {
    /// The elements of one value of the program.
    type Value: Clone;
    /// The dtype of a value.
    fn dtype(&self, value: &Self::Value) -> DType;
    /// A constant.
    fn constant(&mut self, value: Scalar) -> Result<Self::Value>;
    /// The elements of an operand.
    fn load(&mut self, operand: OperandId) -> Result<Self::Value>;
    /// Writes the elements of an operand.
    fn store(&mut self, operand: OperandId, value: &Self::Value) -> Result<()>;
    /// The positions of the elements within the reduction.
    fn position(&mut self) -> Result<Self::Value>;
    /// An op of one operand, which is of a dtype that the op takes.
    fn unary(&mut self, op: UnaryOp, x: &Self::Value) -> Result<Self::Value>;
    /// An op of two operands of one dtype that the op takes.
    fn binary(&mut self, op: BinaryOp, a: &Self::Value, b: &Self::Value) -> Result<Self::Value>;
    /// An op of three operands of dtypes that the op takes.
    fn ternary(&mut self, op: TernaryOp, a: &Self::Value, b: &Self::Value, c: &Self::Value) -> Result<Self::Value>;
    /// A conversion.
    fn cast(&mut self, dtype: DType, x: &Self::Value) -> Result<Self::Value>;
}

/// The values defined so far, by number.
#[derive(Debug)]
pub(super) struct Values<V>(Vec<Option<V>>);

impl<V: Clone> Values<V> {
    /// None yet, of so many.
    pub fn new(count: usize) -> Values<V> {
        Values(vec![None; count])
    }

    /// Defines a value.
    pub fn set(&mut self, id: ValueId, value: V) {
        self.0[id.0 as usize] = Some(value);
    }

    /// A value defined before.
    pub fn get(&self, id: ValueId) -> Result<&V> {
        self.0[id.0 as usize].as_ref().ok_or_else(|| Error::Internal(format!("value {} is used undefined", id.0)))
    }
}

/// Makes the code of some statements.
pub(super) fn walk<C: Code>(statements: &[Statement], values: &mut Values<C::Value>, code: &mut C) -> Result<()> {
    for statement in statements {
        match *statement {
            Statement::Let(id, operation) => {
                let value = define(operation, values, code)?;
                values.set(id, value);
            }
            Statement::Store(operand, id) => code.store(operand, values.get(id)?)?,
        }
    }
    Ok(())
}

fn define<C: Code>(operation: Operation, values: &Values<C::Value>, code: &mut C) -> Result<C::Value> {
    match operation {
        Operation::Constant(value) => code.constant(value),
        Operation::Load(operand) => code.load(operand),
        Operation::Position => code.position(),
        Operation::Unary(op, x) => {
            let x = values.get(x)?;
            takes(op.row().class.contains(code.dtype(x)), op)?;
            code.unary(op, x)
        }
        Operation::Binary(op, [a, b]) => {
            let (a, b) = (values.get(a)?, values.get(b)?);
            takes(code.dtype(a) == code.dtype(b) && op.row().class.contains(code.dtype(a)), op)?;
            code.binary(op, a, b)
        }
        Operation::Ternary(op, [a, b, c]) => {
            let (a, b, c) = (values.get(a)?, values.get(b)?, values.get(c)?);
            let first = match op {
                TernaryOp::Select => code.dtype(a) == DType::Bool,
                TernaryOp::MulAdd => code.dtype(a) == code.dtype(b),
            };
            takes(first && code.dtype(b) == code.dtype(c) && op.row().class.contains(code.dtype(b)), op)?;
            code.ternary(op, a, b, c)
        }
        Operation::Cast(dtype, x) => code.cast(dtype, values.get(x)?),
    }
}

fn takes(fits: bool, op: impl std::fmt::Display) -> Result<()> {
    if fits { Ok(()) } else { Err(Error::Internal(format!("op {op} with operands of dtypes that it does not take"))) }
}
