//! How ops are spelled in WGSL: operators where the language means the same, functions of the library elsewhere.

use crate::backend::gpu::emit::types::Types;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::loops::{Kernel, Operation, ValueId};
use crate::ops::{Row, TernaryOp, UnaryOp};

/// The expression of an operation that is neither a load nor a position, over values named `v0`, `v1` ….
///
/// # Errors
/// `Internal` for a load or a position.
pub fn expression(kernel: &Kernel, types: Types, operation: &Operation) -> Result<String> {
    let dtype = |value: ValueId| kernel.ty(value);
    Ok(match operation {
        Operation::Constant(value) => types.constant(*value),
        // An operator in WGSL for i32, not for u32.
        Operation::Unary(UnaryOp::Neg, x) if dtype(*x) == DType::U32 => format!("neg_u32({})", name(*x)),
        Operation::Unary(op, x) => spell(op.row(), dtype(*x), &[*x]),
        Operation::Binary(op, operands) => spell(op.row(), dtype(operands[0]), operands),
        // Both are built in for every type that they take.
        Operation::Ternary(op @ (TernaryOp::Select | TernaryOp::MulAdd), operands) => {
            fill(op.row().wgsl, &operands.map(name))
        }
        Operation::Cast(to, x) if *to == dtype(*x) => name(*x),
        Operation::Cast(to, x) => format!("cast_{}_{}({})", dtype(*x), to, name(*x)),
        Operation::Load(_) | Operation::Position => {
            return Err(Error::Internal(format!(
                "an operation of `{}` that depends on the place: {operation:?}",
                kernel.name
            )));
        }
    })
}

/// A value's name.
pub fn name(value: ValueId) -> String {
    format!("v{}", value.0)
}

fn spell(row: &Row, dtype: DType, operands: &[ValueId]) -> String {
    let operands: Vec<String> = operands.iter().map(|&operand| name(operand)).collect();
    spelled(row, dtype, &operands)
}

/// An op of a dtype over operands that are identifiers.
pub fn spelled(row: &Row, dtype: DType, operands: &[String]) -> String {
    if row.wgsl.contains('{') && has_operators(dtype) {
        return fill(row.wgsl, operands);
    }
    format!("{}_{dtype}({})", row.name, operands.join(", "))
}

/// Whether WGSL's operators on the type of such values are the ops of the table.
fn has_operators(dtype: DType) -> bool {
    match dtype {
        DType::I32 | DType::U32 | DType::F32 | DType::F64 => true,
        DType::Bool | DType::I8 | DType::U8 | DType::I64 | DType::U64 => false,
    }
}

fn fill(template: &str, operands: &[String]) -> String {
    let filled = operands.iter().enumerate();
    filled.fold(template.to_string(), |text, (i, operand)| text.replace(&format!("{{{i}}}"), operand))
}
