//! Whether a kernel is valid, as the head of `loops/mod.rs` says.
//!
//! Engines and lowering rely on every rule here, so that neither checks anything again: an error is a bug of
//! whoever made the kernel, and its text shows the offending statement. Besides scopes and single definitions: the
//! dtypes of every statement follow the op rows; `position` stands only in the body of a reduction; a merge sees
//! only its own two states and touches no memory; only blocks of maps and sequential steps store; every `write`
//! operand is stored to exactly once. A use of the loop IR and the op table alone.

use std::fmt::Display;

use rustc_hash::FxHashSet;

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::loops::{
    Access, Axis, Block, Carried, Kernel, Merge, Nest, Operand, OperandId, Operation, Reduction, Statement, ValueId,
    print,
};
use crate::ops::{Row, TernaryOp};

/// Checks every rule of a valid kernel.
///
/// # Errors
/// `Internal`, naming the first rule that is broken and the statement that breaks it.
pub fn verify(kernel: &Kernel) -> Result<()> {
    let mut verifier = Verifier {
        kernel,
        defined: FxHashSet::default(),
        visible: FxHashSet::default(),
        trail: Vec::new(),
        bound: Vec::new(),
        stored: FxHashSet::default(),
    };
    verifier.operands()?;
    verifier.nests(&kernel.body, Memory::ReadWrite)?;
    let unwritten = (0_u32..)
        .zip(&kernel.operands)
        .find(|(number, operand)| operand.access == Access::Write && !verifier.stored.contains(&OperandId(*number)));
    match unwritten {
        Some((number, _)) => Err(verifier.fault("no statement writes the operand", OperandId(number))),
        None => Ok(()),
    }
}

/// What the statements of a block may do besides computing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Memory {
    /// Load and store.
    ReadWrite,
    /// Load.
    Read,
    /// Load, and ask for the position within a reduction.
    ReadInReduction,
    /// Nothing.
    Nothing,
}

struct Verifier<'a> {
    kernel: &'a Kernel,
    /// Every value defined so far, in scope or not.
    defined: FxHashSet<ValueId>,
    /// The values in scope.
    visible: FxHashSet<ValueId>,
    /// The same, innermost last.
    trail: Vec<ValueId>,
    /// The axes bound on the way to here.
    bound: Vec<Axis>,
    stored: FxHashSet<OperandId>,
}

impl Verifier<'_> {
    fn fault(&self, rule: &str, at: impl Display) -> Error {
        Error::Internal(format!("invalid kernel `{}`: {rule}: `{at}`", self.kernel.name))
    }

    fn require(&self, holds: bool, rule: &str, at: impl Display) -> Result<()> {
        if holds { Ok(()) } else { Err(self.fault(rule, at)) }
    }

    fn operands(&self) -> Result<()> {
        (0_u32..).zip(&self.kernel.operands).try_for_each(|(number, operand)| {
            let fits = operand.access != Access::Index || operand.dtype == DType::I64;
            self.require(fits, "an index operand is i64", OperandId(number))
        })
    }

    fn nests(&mut self, body: &[Nest], memory: Memory) -> Result<()> {
        body.iter().try_for_each(|nest| self.nest(nest, memory))
    }

    fn nest(&mut self, nest: &Nest, memory: Memory) -> Result<()> {
        match nest {
            Nest::Map { axes, body } => self.within(axes, nest, |this| this.nests(body, memory)),
            Nest::Reduce { axes, body, reductions } => {
                self.within(axes, nest, |this| {
                    this.block(body, Memory::ReadInReduction)?;
                    reductions.iter().try_for_each(|reduction| this.lifted(reduction))
                })?;
                reductions.iter().try_for_each(|reduction| {
                    self.merges(reduction)?;
                    self.define_all(&reduction.results, print::reduction(self.kernel, reduction))
                })
            }
            Nest::Sequential { axis, carried, body } => self.carried(carried, nest, |this| {
                this.within(&[*axis], nest, |this| {
                    this.nests(body, memory)?;
                    this.next(carried, nest)
                })
            }),
            Nest::While { carried, condition, holds, body } => self.carried(carried, nest, |this| {
                this.scope(|this| {
                    this.block(condition, Memory::Read)?;
                    this.sees(*holds, print::heading(nest))?;
                    this.require(this.kernel.ty(*holds) == DType::Bool, "a condition is bool", print::heading(nest))
                })?;
                // A step may run any number of times, so a store in it would write an element twice.
                this.nests(body, Memory::Read)?;
                this.next(carried, nest)
            }),
            Nest::Block(block) => self.block(block, memory),
        }
    }

    /// Runs `inside` with the axes bound and in a scope of its own.
    fn within(&mut self, axes: &[Axis], nest: &Nest, inside: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let outer = self.bound.len();
        for axis in axes {
            self.require(axis.0 < self.kernel.axes, "the kernel has no such axis", print::heading(nest))?;
            self.require(!self.bound.contains(axis), "an axis is bound twice", print::heading(nest))?;
            self.bound.push(*axis);
        }
        self.scope(inside)?;
        self.bound.truncate(outer);
        Ok(())
    }

    fn scope(&mut self, inside: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let outer = self.trail.len();
        inside(self)?;
        for value in self.trail.drain(outer..) {
            self.visible.remove(&value);
        }
        Ok(())
    }

    fn carried(
        &mut self,
        carried: &[Carried],
        nest: &Nest,
        inside: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        carried.iter().try_for_each(|item| self.sees(item.initial, print::heading(nest)))?;
        self.scope(|this| {
            carried.iter().try_for_each(|item| this.define(item.current, print::heading(nest)))?;
            inside(this)
        })?;
        carried.iter().try_for_each(|item| {
            self.define(item.result, print::heading(nest))?;
            let types = [item.initial, item.current, item.next, item.result].map(|value| self.kernel.ty(value));
            let same = types.iter().all(|&dtype| dtype == types[0]);
            self.require(same, "a carried value keeps its dtype", print::heading(nest))
        })
    }

    fn next(&self, carried: &[Carried], nest: &Nest) -> Result<()> {
        carried.iter().try_for_each(|item| self.sees(item.next, print::heading(nest)))
    }

    fn lifted(&self, reduction: &Reduction) -> Result<()> {
        let at = print::reduction(self.kernel, reduction);
        reduction.lifted.iter().try_for_each(|&value| self.sees(value, &at))
    }

    /// How states are merged, and how elements are appended.
    fn merges(&mut self, reduction: &Reduction) -> Result<()> {
        self.merge(reduction, &reduction.merge)?;
        let Some(append) = &reduction.append else { return Ok(()) };
        let position = reduction.init.get(append.position).map(|part| part.dtype());
        self.require(position == Some(DType::I64), "a position is i64", print::reduction(self.kernel, reduction))?;
        self.merge(reduction, &append.merge)
    }

    /// A merge, which sees nothing of what is around it, and the dtypes of all states.
    fn merge(&mut self, reduction: &Reduction, merge: &Merge) -> Result<()> {
        let kernel = self.kernel;
        let at = print::reduction(kernel, reduction);
        let outside = std::mem::take(&mut self.visible);
        self.scope(|this| {
            this.define_all(&merge.left, &at)?;
            this.define_all(&merge.right, &at)?;
            this.block(&merge.block, Memory::Nothing)?;
            merge.results.iter().try_for_each(|&value| this.sees(value, &at))
        })?;
        self.visible = outside;
        for state in [&reduction.lifted, &merge.left, &merge.right, &merge.results, &reduction.results] {
            let known = state.iter().all(|value| (value.0 as usize) < kernel.types.len());
            let same =
                known && state.iter().map(|&value| kernel.ty(value)).eq(reduction.init.iter().map(|s| s.dtype()));
            self.require(same, "all states of a reduction have the dtypes of its init", &at)?;
        }
        Ok(())
    }

    fn block(&mut self, block: &Block, memory: Memory) -> Result<()> {
        block.statements.iter().try_for_each(|statement| {
            let at = print::statement(self.kernel, statement);
            match *statement {
                Statement::Let(value, operation) => {
                    operation.uses().iter().try_for_each(|&used| self.sees(used, &at))?;
                    self.define(value, &at)?;
                    self.operation(&operation, self.kernel.ty(value), memory, at)
                }
                Statement::Store(operand, value) => self.store(operand, value, memory, at),
            }
        })
    }

    fn store(&mut self, id: OperandId, value: ValueId, memory: Memory, at: impl Display) -> Result<()> {
        self.sees(value, &at)?;
        let operand = self.operand(id, &at)?;
        self.require(memory == Memory::ReadWrite, "no store is allowed here", &at)?;
        self.require(operand.access == Access::Write, "a store goes to a write operand", &at)?;
        self.require(operand.dtype == self.kernel.ty(value), "a store keeps the dtype of its operand", &at)?;
        let first = self.stored.insert(id);
        self.require(first, "two stores go to one operand", &at)
    }

    fn operation(&self, operation: &Operation, result: DType, memory: Memory, at: impl Display) -> Result<()> {
        let ty = |value: &ValueId| self.kernel.ty(*value);
        let expected = match operation {
            Operation::Constant(value) => value.dtype(),
            Operation::Load(id) => {
                let operand = self.operand(*id, &at)?;
                self.require(memory != Memory::Nothing, "a merge loads nothing", &at)?;
                self.require(operand.access != Access::Write, "a write operand is not loaded", &at)?;
                operand.dtype
            }
            Operation::Position => {
                self.require(memory == Memory::ReadInReduction, "only a reduction's body has a position", &at)?;
                DType::I64
            }
            Operation::Unary(op, x) => self.row(op.row(), &[ty(x)], &at)?,
            Operation::Binary(op, operands) => self.row(op.row(), &operands.map(|x| ty(&x)), &at)?,
            Operation::Ternary(op @ TernaryOp::Select, [condition, a, b]) => {
                self.require(ty(condition) == DType::Bool, "a condition is bool", &at)?;
                self.row(op.row(), &[ty(a), ty(b)], &at)?
            }
            Operation::Ternary(op @ TernaryOp::MulAdd, operands) => {
                self.row(op.row(), &operands.map(|x| ty(&x)), &at)?
            }
            Operation::Cast(dtype, _) => *dtype,
        };
        self.require(result == expected, "the value's dtype is not that of the operation", &at)
    }

    /// The dtype of the result of an op on operands of these dtypes.
    fn row(&self, row: &Row, operands: &[DType], at: impl Display) -> Result<DType> {
        let same = operands.iter().all(|&dtype| dtype == operands[0]);
        self.require(same, "operands of different dtypes", &at)?;
        self.require(row.class.contains(operands[0]), "the op does not take this dtype", &at)?;
        Ok(row.result(operands[0]))
    }

    fn operand(&self, id: OperandId, at: impl Display) -> Result<Operand> {
        let operand = self.kernel.operands.get(id.0 as usize).copied();
        operand.ok_or_else(|| self.fault("the kernel has no such operand", at))
    }

    fn sees(&self, value: ValueId, at: impl Display) -> Result<()> {
        self.require(self.visible.contains(&value), "a value is used where it is not defined", at)
    }

    fn define_all(&mut self, values: &[ValueId], at: impl Display) -> Result<()> {
        values.iter().try_for_each(|&value| self.define(value, &at))
    }

    fn define(&mut self, value: ValueId, at: impl Display) -> Result<()> {
        self.require((value.0 as usize) < self.kernel.types.len(), "a value has no dtype", &at)?;
        let first = self.defined.insert(value);
        self.require(first, "a value is defined twice", &at)?;
        self.visible.insert(value);
        self.trail.push(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
