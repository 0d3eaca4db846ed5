//! The steps of a row block, for any rows.
//!
//! Must not know: how the block is cut.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Frame, Program, windows};
use crate::backend::Executable;
use crate::error::{Error, Result};
use crate::loops::{Access, Base, Binding};
use crate::lower::plan::Source;
use crate::lower::plan::{KernelStep, ProductOverRows, RowBlock, Step, Window};
use crate::runtime::row_step::{RowBase, RowLaunch, RowOperand, RowProduct, RowStep};
use crate::runtime::windows::{size, sizes};

impl Frame<'_> {
    /// The steps of a row block.
    pub(super) fn row_steps<'p>(&mut self, program: &'p Program, block: &RowBlock) -> Result<Vec<RowStep<'p>>> {
        let mut steps = Vec::with_capacity(block.steps.len());
        let mut sums = 0..;
        for index in block.steps.clone() {
            let counter = program.counters.get(index).and_then(Option::as_deref);
            steps.push(match &program.plan.steps[index] {
                Step::Kernel(step) => {
                    let KernelStep { kernel, extents, windows, .. } = step;
                    let extents = sizes(extents, self.symbols)?;
                    let later = &program.plan.steps[index + 1..block.steps.end];
                    let part_of = if are_read(step, later) {
                        0
                    } else {
                        extents.iter().fold(1, |all: usize, &extent| all.saturating_mul(extent))
                    };
                    let operands = windows.iter().map(|window| self.row_operand(window, extents.len(), block));
                    let operands = operands.collect::<Result<_>>()?;
                    RowStep::Kernel(RowLaunch { kernel: kernel.as_ref(), operands, extents, part_of })
                }
                Step::MatMul(step) => {
                    let product = self.row_product(step.over_rows().ok_or_else(no_part)?, block)?;
                    let sums = if step.closes { sums.next() } else { None };
                    RowStep::Product(RowProduct { sums, counter, ..product })
                }
                Step::Custom(_) | Step::Loop(_) => return Err(no_part()),
            });
        }
        Ok(steps)
    }

    fn row_product<'p>(&mut self, product: ProductOverRows, block: &RowBlock) -> Result<RowProduct<'p>> {
        let ProductOverRows { extents: [rows, other], matrix, vector, result } = product;
        let mut operand = |window: &Window| self.row_operand(window, 2, block);
        let (dtype, matrix, vector, result) = (result.dtype, operand(&matrix)?, operand(&vector)?, operand(&result)?);
        let extents = [size(&rows, self.symbols)?, size(&other, self.symbols)?];
        Ok(RowProduct { dtype, extents, matrix, vector, result, sums: None, counter: None })
    }

    fn row_operand(&mut self, window: &Window, axes: usize, block: &RowBlock) -> Result<RowOperand> {
        let Binding { base, strides } = self.bind(window, axes)?;
        let base = match (base, &window.source) {
            (Base::Position(position), _) => RowBase::Position(position),
            (Base::Host(pointer), Source::Slot(slot)) if block.slots.contains(slot) => {
                let start = self.slots[*slot].bytes().as_ptr();
                let place = block.slots.iter().take_while(|other| *other != slot).count();
                RowBase::Slot(place, pointer.addr().wrapping_sub(start.addr()) as isize)
            }
            (Base::Host(pointer), _) => RowBase::Address(pointer.expose_provenance()),
        };
        let strides = SmallVec::from_slice(&strides);
        Ok(RowOperand { base, strides })
    }
}

/// Whether one of the steps after it reads what a kernel writes.
fn are_read(step: &KernelStep<Arc<dyn Executable>>, later: &[Step<Arc<dyn Executable>>]) -> bool {
    let operands = step.windows.iter().zip(&step.kernel.kernel().operands);
    let written: SmallVec<[&Source; 2]> =
        operands.filter(|(_, operand)| operand.access == Access::Write).map(|(window, _)| &window.source).collect();
    later.iter().any(|step| windows(step).iter().any(|window| written.contains(&&window.source)))
}

fn no_part() -> Error {
    Error::Internal("a row block with a step that runs whole".to_string())
}
