//! Reducing the elements of one result: states of its blocks, merged as a binary counter.
//!
//! Invariant: the order of merges is that of `ops::reduction`, whatever runs of blocks this is called for, or means nothing
//! (`any_order.rs`): then a run has one state. Must not know: results, the epilogue, threads.

use std::ops::Range;

use smallvec::SmallVec;

use super::gather::Gather;
use super::jit::Code;
use super::space::{Bases, advance};
use super::states::{Counter, Merger};
use crate::ops::reduction::{BLOCK, LANES};

/// Blocks that are reduced in one call, and whose states are merged in one; a power of two.
const RUN: usize = 64;

/// The same where a call leaves one state: what chooses an element begins anew with each call, and takes longest at the
/// beginning. Few enough to count the elements of a lane in 32 bits with a sign.
const LONG_RUN: usize = 1 << 12;
const _: () = assert!(LONG_RUN * BLOCK / LANES < i32::MAX as usize);

/// What a task needs for one result after the other.
#[derive(Default)]
pub(super) struct Work {
    /// The states of the blocks of a run.
    states: SmallVec<[u64; RUN]>,
    /// Those of the runs.
    counter: Counter,
    /// Elements that were gathered.
    scratch: Vec<u64>,
}

/// How the blocks of each result of a launch are reduced.
pub(super) struct Blocks<'a> {
    /// The blocks function; none if it is not needed.
    pub code: Option<&'a Code>,
    /// What merges their states.
    pub merger: Merger<'a>,
    /// The state of no elements.
    pub initial: &'a [u64],
    /// Elements of a result.
    pub count: usize,
    /// The operands of the body.
    pub ports: usize,
    /// Their strides along the elements, or along copies of these; and how far ahead of them to ask for memory.
    pub strides: &'a [i64],
    /// What copies the elements, if no strides lead through them.
    pub gather: Option<Gather<'a>>,
    /// Whether elements are merged in any order: a call leaves one state of all its blocks.
    pub any_order: bool,
}

impl Blocks<'_> {
    /// The number of blocks of a result.
    pub fn len(&self) -> usize {
        self.count.div_ceil(BLOCK)
    }

    /// The state of some blocks of the result with these bases.
    ///
    /// # Safety
    /// The elements may be read; the code is a blocks function for the classes of the strides, or there are no
    /// elements.
    pub unsafe fn reduce(&self, bases: &[i64], blocks: Range<usize>, work: &mut Work, state: &mut [u64]) {
        let Some(code) = self.code else { return state.copy_from_slice(self.initial) };
        let elements = blocks.start * BLOCK..self.count.min(blocks.end * BLOCK);
        let run = if self.leaves_one_state() { LONG_RUN } else { RUN };
        if blocks.len() <= self.at_once() {
            // SAFETY: by the caller's word.
            return unsafe { self.states(code, bases, elements, &mut work.scratch, state) };
        }
        let (run, slots) = (run * BLOCK, self.merger.slots);
        // Only ever grows, so that results that follow each other do not clear it again.
        work.states.resize(work.states.len().max(RUN.min(blocks.len()) * slots), 0);
        work.counter.clear();
        for start in elements.clone().step_by(run) {
            let elements = start..elements.end.min(start + run);
            let states = &mut work.states[..self.states_of(elements.len()) * slots];
            // SAFETY: by the caller's word.
            unsafe { self.states(code, bases, elements.clone(), &mut work.scratch, states) };
            self.merger.merge(states);
            let total = &states[..slots];
            if elements.len() == run { work.counter.push(total, self.merger) } else { work.counter.push_last(total) }
        }
        work.counter.finish(state, self.merger);
    }

    /// The states of results with these bases and so far apart.
    ///
    /// # Safety
    /// As for `reduce`, of all these results.
    pub unsafe fn reduce_each(&self, bases: &[i64], apart: &[i64], work: &mut Work, states: &mut [u64]) {
        let mut bases = Bases::from_slice(&bases[..self.ports]);
        let direct = self.code.filter(|_| self.gather.is_none() && self.len() <= self.at_once());
        for state in states.chunks_exact_mut(self.merger.slots.max(1)) {
            match direct {
                // SAFETY: by the caller's word; a call leaves one state.
                Some(code) => unsafe { code.call_blocks(&bases, self.strides, 0..self.count, state) },
                // SAFETY: by the caller's word.
                None => unsafe { self.reduce(&bases, 0..self.len(), work, state) },
            }
            advance(&mut bases, apart, 1);
        }
    }

    /// The most blocks of which a call leaves one state.
    fn at_once(&self) -> usize {
        if self.leaves_one_state() { LONG_RUN } else { 1 }
    }

    /// Whether a call leaves one state of all its blocks.
    pub fn leaves_one_state(&self) -> bool {
        self.any_order && self.gather.is_none()
    }

    /// How many states so many elements leave.
    fn states_of(&self, elements: usize) -> usize {
        if self.leaves_one_state() { 1 } else { elements.div_ceil(BLOCK) }
    }

    /// The states of the blocks of some elements.
    ///
    /// # Safety
    /// As for `reduce`.
    unsafe fn states(
        &self,
        code: &Code,
        bases: &[i64],
        elements: Range<usize>,
        scratch: &mut Vec<u64>,
        states: &mut [u64],
    ) {
        let Some(gather) = &self.gather else {
            if elements.start == 0 {
                // SAFETY: as below.
                return unsafe { code.call_blocks(bases, self.strides, elements, states) };
            }
            let mut bases = Bases::from_slice(&bases[..self.ports]);
            advance(&mut bases, self.strides, elements.start as i64);
            // SAFETY: by the caller's word; there is a state for each block.
            return unsafe { code.call_blocks(&bases, self.strides, elements, states) };
        };
        for (start, state) in elements.clone().step_by(BLOCK).zip(states.chunks_exact_mut(self.merger.slots.max(1))) {
            let elements = start..elements.end.min(start + BLOCK);
            // SAFETY: by the caller's word.
            let copies = unsafe { gather.block(bases, elements.clone(), scratch) };
            // SAFETY: the elements were gathered; the rest as above.
            unsafe { code.call_blocks(&copies, self.strides, elements, state) };
        }
    }
}
