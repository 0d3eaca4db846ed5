//! Branches: loops that make one step or none, and need no buffers.
//!
//! The step reads the first states where they are and writes the results where they go; without a step they are copied.

use smallvec::SmallVec;

use super::looping::Placed;
use super::{Frame, Program};
use crate::array::Block;
use crate::backend::Parallelism;
use crate::error::{Error, Result};
use crate::lower::plan::LoopHead;
use crate::runtime::OutPlace;
use crate::runtime::memory::{Memory, Operand};
use crate::shape::{byte_size, row_major_strides};

impl Frame<'_> {
    /// # Safety
    /// As `Program::run`.
    pub(super) unsafe fn run_branch(
        &mut self,
        head: &LoopHead,
        body: &Program,
        parallelism: &Parallelism,
    ) -> Result<()> {
        let states = head.initial.iter().map(|(window, shape)| self.placed(window, shape));
        let states: Vec<Placed> = states.collect::<Result<_>>()?;
        let guard = states.first().ok_or_else(|| Error::Internal("a branch without a guard".to_string()))?;
        // SAFETY: the guard is one bool.
        if unsafe { guard.pointer.read() } == 0 {
            for ((state, (_, shape)), window) in states.iter().zip(&head.initial).zip(&head.results) {
                let Some(window) = window else { continue };
                let result = self.placed(window, shape)?;
                // SAFETY: both have the shape of the state; a result is memory that nobody else uses in this step.
                unsafe { result.memory(0).copy_from(&state.memory(0)) };
            }
            return Ok(());
        }
        let captured = head.captured.iter().map(|(window, shape)| self.placed(window, shape));
        let captured: Vec<Placed> = captured.collect::<Result<_>>()?;
        let mut unneeded = Vec::new();
        let mut results = Vec::with_capacity(states.len());
        for (state, ((_, shape), window)) in states.iter().zip(head.initial.iter().zip(&head.results)) {
            results.push(match window {
                Some(window) => self.placed(window, shape)?,
                None => somewhere(state, &mut unneeded)?,
            });
        }
        let inputs = captured.iter().chain(&states).map(|placed| Operand::Host(placed.memory(0)));
        let inputs: SmallVec<[Operand<'_>; 8]> = inputs.collect();
        let mut outputs: SmallVec<[OutPlace<'_>; 4]> = SmallVec::new();
        for result in &results {
            let Memory { pointer, dtype, shape, strides } = result.memory(0);
            outputs.push(OutPlace::of_dtype(dtype, pointer, shape, strides));
        }
        // SAFETY: results are apart from everything that the step reads; the caller vouches for the rest.
        unsafe { body.run(&inputs, &outputs, self.symbols, parallelism) }
    }
}

/// Room for a result that nobody needs.
fn somewhere(like: &Placed, blocks: &mut Vec<Block>) -> Result<Placed> {
    let mut block = Block::new(byte_size(&like.shape, like.dtype.size())?)?;
    let strides = row_major_strides(&like.shape).into_iter().collect();
    let placed =
        Placed { pointer: block.bytes_mut().as_mut_ptr(), dtype: like.dtype, shape: like.shape.clone(), strides };
    blocks.push(block);
    Ok(placed)
}
