//! What a program comes to once the layouts of a call are known: launches that lack nothing but addresses.
//!
//! Must not know: how a replay runs.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Frame, Made, Program};
use crate::backend::{Executable, Parallelism};
use crate::error::{Error, Result};
use crate::loops::{Base, Launch};
use crate::lower::plan::{KernelStep, Source, Step};
use crate::runtime::OutPlace;
use crate::runtime::memory::Operand;
use crate::runtime::replay::{Origin, Relaunch, Replay, ReplayOperand, ReplayStep};
use crate::shape::Symbols;

impl Program {
    /// All that layouts decide of a call; none for a program with steps or copies that a replay has no room for.
    ///
    /// # Errors
    /// As `run`.
    pub fn settle(
        &self,
        inputs: &[Operand<'_>],
        outputs: &[OutPlace<'_>],
        symbols: &Symbols,
        parallelism: &Parallelism,
    ) -> Result<Option<Replay>> {
        // Known before memory is had for what this is not for.
        if !self.plan.steps.iter().all(|step| matches!(step, Step::Kernel(_))) {
            return Ok(None);
        }
        let cuts = self.cuts(symbols, parallelism)?;
        if cuts.iter().any(Option::is_some) {
            return Ok(None);
        }
        let mut frame = self.frame(inputs, outputs, symbols, &cuts)?;
        let beside = |made: &Made<'_>| made.pointer != made.place.pointer;
        if !frame.packed.is_empty() || frame.outputs.iter().any(beside) {
            return Ok(None);
        }
        let mut replay = Replay::default();
        let starts: Vec<usize> = frame.slots.iter().map(|slot| replay.reserve(slot.byte_len())).collect();
        for step in &self.plan.steps {
            let Step::Kernel(step) = step else { return Ok(None) };
            replay.push(frame.settled(step, &starts, parallelism)?);
        }
        Ok(Some(replay))
    }
}

impl Frame<'_> {
    /// A launch with places instead of addresses; slots start at these offsets of the scratch memory.
    fn settled(
        &mut self,
        step: &KernelStep<Arc<dyn Executable>>,
        starts: &[usize],
        parallelism: &Parallelism,
    ) -> Result<ReplayStep> {
        let (extents, bindings) = self.bindings(step)?;
        let mut operands = SmallVec::new();
        for (window, binding) in step.windows.iter().zip(&bindings) {
            operands.push(self.replayed(&window.source, binding.base, starts)?);
        }
        let launch = Launch::new(&extents, &bindings);
        let settled = match Arc::clone(&step.kernel).settle(&launch, parallelism)? {
            Some(settled) => settled,
            None => Box::new(Relaunch::new(Arc::clone(&step.kernel), &launch, parallelism)),
        };
        Ok(ReplayStep { settled, operands })
    }

    /// Where an operand begins, relative to its source.
    fn replayed(&mut self, source: &Source, base: Base, starts: &[usize]) -> Result<ReplayOperand> {
        let pointer = match base {
            Base::Position(position) => return Ok(ReplayOperand { origin: Origin::Fixed, offset: position }),
            Base::Host(pointer) => pointer,
        };
        let from = |start: *mut u8| (pointer.addr() as i64).wrapping_sub(start.addr() as i64);
        let (origin, offset) = match source {
            Source::Input(argument) | Source::PackedInput(argument) => {
                (Origin::Input(*argument), from(self.inputs[*argument].host()?.pointer))
            }
            Source::Output(output) => (Origin::Output(*output), from(self.outputs[*output].pointer)),
            Source::Slot(slot) => {
                (Origin::Scratch, from(self.slots[*slot].bytes_mut().as_mut_ptr()) + starts[*slot] as i64)
            }
            Source::Constant(_) => (Origin::Fixed, pointer.expose_provenance() as i64),
            Source::Positions | Source::Size(_) | Source::Product => {
                return Err(Error::Internal(format!("{source:?} has no address")));
            }
        };
        Ok(ReplayOperand { origin, offset })
    }
}
