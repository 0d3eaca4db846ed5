//! The steps of a row block, for any rows.
//!
//! Must not know: how the block is cut.

use smallvec::SmallVec;

use super::{Frame, Program};
use crate::error::{Error, Result};
use crate::loops::{Base, Binding};
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
                Step::Kernel(KernelStep { kernel, extents, windows, .. }) => {
                    let extents = sizes(extents, self.symbols)?;
                    let operands = windows.iter().map(|window| self.row_operand(window, extents.len(), block));
                    let operands = operands.collect::<Result<_>>()?;
                    RowStep::Kernel(RowLaunch { kernel: kernel.as_ref(), operands, extents })
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

fn no_part() -> Error {
    Error::Internal("a row block with a step that runs whole".to_string())
}
