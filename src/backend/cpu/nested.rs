//! Loops over steps within a program: what they are made of, and what they cost.
//!
//! Invariant: nests here are blocks, `Sequential` and `While` only. Must not know: how code is made or run.

use smallvec::SmallVec;

use super::form::{Program, weight};
use super::parallel::moved_weight;
use crate::error::{Error, Result};
use crate::loops::{Axis, Block, Kernel, Nest, OperandId, Operation, Statement};

/// Steps that a `While` is taken to make, since nobody knows.
const GUESSED_STEPS: usize = 64;

/// Operands that are loaded or stored at each step.
pub(super) type Stepping = SmallVec<[usize; 8]>;

/// The first nest that is none of a program's.
pub(super) fn other(nests: &[Nest]) -> Option<&Nest> {
    nests.iter().find_map(|nest| match nest {
        Nest::Block(_) => None,
        Nest::Sequential { body, .. } | Nest::While { body, .. } => other(body),
        Nest::Map { .. } | Nest::Reduce { .. } => Some(nest),
    })
}

/// Calls a function with all blocks, in order.
fn blocks<'a>(nests: &'a [Nest], each: &mut impl FnMut(&'a Block)) {
    for nest in nests {
        match nest {
            Nest::Block(block) => each(block),
            Nest::Sequential { body, .. } | Nest::Map { body, .. } => blocks(body, each),
            Nest::While { condition, body, .. } => {
                each(condition);
                blocks(body, each);
            }
            Nest::Reduce { body, .. } => each(body),
        }
    }
}

/// The program's operands that some nests load or store.
pub(super) fn accessed(nests: &[Nest]) -> Stepping {
    let mut ports = Stepping::new();
    blocks(nests, &mut |block| {
        for statement in &block.statements {
            if let Statement::Let(_, Operation::Load(OperandId(port))) | Statement::Store(OperandId(port), _) =
                statement
            {
                ports.push(*port as usize);
            }
        }
    });
    ports.sort_unstable();
    ports.dedup();
    ports
}

impl Program {
    /// A nest of a kernel with the program's numbers of operands and axes.
    ///
    /// # Errors
    /// `Internal` for a nest that is none of a program's.
    pub fn nest(&mut self, kernel: &Kernel, nest: &Nest) -> Result<Nest> {
        let nests = |own: &mut Program, body: &[Nest]| {
            body.iter().map(|nest| own.nest(kernel, nest)).collect::<Result<Vec<Nest>>>()
        };
        Ok(match nest {
            Nest::Block(block) => Nest::Block(self.own_block(kernel, block)),
            Nest::Sequential { axis, carried, body } => {
                self.steps.push(*axis);
                let axis = Axis(self.steps.len() as u32 - 1);
                Nest::Sequential { axis, carried: carried.clone(), body: nests(self, body)? }
            }
            Nest::While { carried, condition, holds, body } => Nest::While {
                carried: carried.clone(),
                condition: self.own_block(kernel, condition),
                holds: *holds,
                body: nests(self, body)?,
            },
            Nest::Map { .. } | Nest::Reduce { .. } => {
                return Err(Error::Internal(format!("kernel {}: a nest that is no loop over steps", kernel.name)));
            }
        })
    }

    fn own_block(&mut self, kernel: &Kernel, block: &Block) -> Block {
        Block { statements: self.own(kernel, &block.statements) }
    }

    /// Its statements, wherever they stand.
    pub fn all_statements(&self) -> Vec<&Statement> {
        let mut statements: Vec<&Statement> = self.statements.iter().collect();
        blocks(&self.loops, &mut |block| statements.extend(&block.statements));
        statements
    }

    /// Rough cost of its loops for one element, where the loops' axes have such extents.
    pub fn loops_weight(&self, extents: &[usize], has_fma: bool) -> usize {
        self.nests_weight(&self.loops, extents, has_fma)
    }

    fn nests_weight(&self, nests: &[Nest], extents: &[usize], has_fma: bool) -> usize {
        let weights = nests.iter().map(|nest| match nest {
            Nest::Block(block) => self.block_weight(block, has_fma),
            Nest::Sequential { axis, body, .. } => {
                let step = self.nests_weight(body, extents, has_fma).saturating_add(1);
                extents.get(axis.0 as usize).map_or(step, |&steps| step.saturating_mul(steps))
            }
            Nest::While { condition, body, .. } => {
                let step =
                    self.nests_weight(body, extents, has_fma).saturating_add(self.block_weight(condition, has_fma));
                step.saturating_mul(GUESSED_STEPS)
            }
            Nest::Map { .. } | Nest::Reduce { .. } => 0,
        });
        weights.fold(0, usize::saturating_add)
    }

    fn block_weight(&self, block: &Block, has_fma: bool) -> usize {
        let moved = |port: &OperandId| moved_weight(self.ports[port.0 as usize].operand.dtype.size());
        let cost = |statement: &Statement| match statement {
            Statement::Let(_, Operation::Load(port)) | Statement::Store(port, _) => moved(port),
            statement => weight(statement, &self.types, has_fma),
        };
        block.statements.iter().map(cost).sum()
    }
}
