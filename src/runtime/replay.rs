//! A program whose layouts are settled: all that is left of a call is to fill in addresses and to launch.
//!
//! Must not know: symbols, windows, what made the layouts fit. Invariant: addresses are relative to the memory of a call
//! or to constants of the program, which outlive the replay.

use std::mem::MaybeUninit;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::array::Block;
use crate::backend::{Executable, Parallelism, Settled};
use crate::error::Result;
use crate::loops::{Access, Base, Binding, Launch};

/// Intermediate results of so many bytes are kept on the stack.
const INLINE_SCRATCH: usize = 2048;

/// The alignment of intermediate results.
const ALIGNMENT: usize = 64;

/// The launches of a call, in order.
#[derive(Debug, Default)]
pub struct Replay {
    steps: Vec<ReplayStep>,
    /// Bytes of all intermediate results.
    scratch: usize,
}

/// A launch and what it runs on.
#[derive(Debug)]
pub(super) struct ReplayStep {
    pub settled: Box<dyn Settled>,
    pub operands: SmallVec<[ReplayOperand; 4]>,
}

/// Where an operand begins: so many bytes from its origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplayOperand {
    pub origin: Origin,
    pub offset: i64,
}

/// What an operand's address is relative to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    /// An argument.
    Input(usize),
    /// A place of a result.
    Output(usize),
    /// The intermediate results.
    Scratch,
    /// Nothing: the address of a constant, or a position.
    Fixed,
}

/// Memory on the stack for small intermediate results.
#[repr(align(64))]
struct Inline(MaybeUninit<[u8; INLINE_SCRATCH]>);

impl Replay {
    /// Room for an intermediate result; gives its offset.
    pub(super) fn reserve(&mut self, bytes: usize) -> usize {
        let start = self.scratch;
        self.scratch += bytes.next_multiple_of(ALIGNMENT);
        start
    }

    pub(super) fn push(&mut self, step: ReplayStep) {
        self.steps.push(step);
    }

    /// Whether all launches run on the caller's thread.
    pub(super) fn runs_alone(&self) -> bool {
        self.steps.iter().all(|step| step.settled.runs_alone())
    }

    /// Whether only the last launch writes an output.
    pub(super) fn is_written_last(&self, output: usize) -> bool {
        let writes = |operand: &ReplayOperand| matches!(operand.origin, Origin::Output(other) if other == output);
        let is_written = |step: &ReplayStep| step.operands.iter().any(writes);
        self.steps.split_last().is_some_and(|(_, earlier)| !earlier.iter().any(is_written))
    }

    /// Runs the launches on the memory of a call.
    ///
    /// # Safety
    /// Arguments and places have the layouts that were settled, and are valid for reads and writes as such.
    ///
    /// # Errors
    /// `Memory` before anything is written.
    pub(super) unsafe fn run(&self, inputs: &[*const u8], outputs: &[*mut u8]) -> Result<()> {
        if self.scratch <= INLINE_SCRATCH {
            let mut scratch = Inline(MaybeUninit::uninit());
            // SAFETY: by the caller's word; the scratch memory has the room that was reserved.
            return unsafe { self.launch(inputs, outputs, scratch.0.as_mut_ptr().cast()) };
        }
        let mut scratch = Block::new(self.scratch)?;
        // SAFETY: as above.
        unsafe { self.launch(inputs, outputs, scratch.bytes_mut().as_mut_ptr()) }
    }

    /// # Safety
    /// As `run`; `scratch` has room for the intermediate results.
    #[inline]
    unsafe fn launch(&self, inputs: &[*const u8], outputs: &[*mut u8], scratch: *mut u8) -> Result<()> {
        let mut bases: SmallVec<[i64; 16]> = SmallVec::new();
        for step in &self.steps {
            bases.clear();
            bases.extend(step.operands.iter().map(|operand| {
                let start = match operand.origin {
                    Origin::Input(argument) => inputs[argument].expose_provenance(),
                    Origin::Output(output) => outputs[output].expose_provenance(),
                    Origin::Scratch => scratch.expose_provenance(),
                    Origin::Fixed => 0,
                };
                (start as i64).wrapping_add(operand.offset)
            }));
            // SAFETY: with these addresses it is the launch that was settled.
            unsafe { step.settled.run(&bases)? };
        }
        Ok(())
    }
}

/// A launch that the engine decides about anew each time, as one that runs in parallel.
#[derive(Debug)]
pub(super) struct Relaunch {
    kernel: Arc<dyn Executable>,
    extents: Vec<usize>,
    bindings: Vec<Binding>,
    parallelism: Parallelism,
}

// SAFETY: the addresses in the bindings are replaced before they are used; the rest is data.
unsafe impl Send for Relaunch {}
// SAFETY: as above.
unsafe impl Sync for Relaunch {}

impl Relaunch {
    pub fn new(kernel: Arc<dyn Executable>, launch: &Launch<'_>, parallelism: &Parallelism) -> Relaunch {
        let (extents, bindings) = (launch.extents.to_vec(), launch.bindings.to_vec());
        Relaunch { kernel, extents, bindings, parallelism: parallelism.clone() }
    }
}

impl Settled for Relaunch {
    unsafe fn run(&self, bases: &[i64]) -> Result<()> {
        let mut bindings: SmallVec<[Binding; 4]> = SmallVec::new();
        let operands = self.kernel.kernel().operands.iter();
        for ((binding, operand), &base) in self.bindings.iter().zip(operands).zip(bases) {
            let base = match operand.access {
                Access::Read | Access::Write => Base::Host(std::ptr::with_exposed_provenance_mut(base as usize)),
                Access::Index => Base::Position(base),
            };
            bindings.push(Binding { base, strides: binding.strides.clone() });
        }
        // SAFETY: by the caller's word.
        unsafe { self.kernel.launch(&Launch::new(&self.extents, &bindings), &self.parallelism) }
    }

    fn runs_alone(&self) -> bool {
        false
    }
}
