//! The blocks of a result in aligned runs, some of which are a task.
//!
//! Invariant: a run is a subtree of the order of merges of `ops::reduction`, so that the result is the same however many
//! there are; where merges have no order, neighboring runs of one thread are one. Must not know: results, the epilogue.

use super::blocks::{Blocks, Work};
use super::parallel::{Split, run};
use super::space::Bases;
use super::states::Merger;
use crate::backend::Parallelism;

/// How blocks are cut into runs.
#[derive(Clone, Copy)]
pub(super) struct Runs {
    blocks: usize,
    /// Blocks of a run, a power of two; the last one may have fewer.
    length: usize,
}

impl Runs {
    /// So many runs or somewhat more.
    pub fn new(blocks: usize, wanted: usize) -> Runs {
        Runs { blocks, length: 1 << (blocks / wanted).max(1).ilog2() }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.blocks.div_ceil(self.length)
    }

    /// The states of the runs of so many results with these bases.
    ///
    /// # Safety
    /// As for `Blocks::reduce`, of the blocks of all these results.
    pub unsafe fn states(
        &self,
        blocks: &Blocks<'_>,
        results: usize,
        split: Split,
        parallelism: &Parallelism,
        bases: impl Fn(usize) -> Bases + Sync,
    ) -> Vec<u64> {
        let (count, slots) = (self.count(), blocks.merger.slots);
        // Where neighbors leave one state it is in the place of the first, and merging the others changes nothing.
        let mut states = blocks.initial.repeat(results * count);
        let places = Places { address: states.as_mut_ptr().expose_provenance(), slots };
        run(parallelism, split, results * count, |tasks| {
            let mut work = Work::default();
            for result in tasks.start / count..tasks.end.div_ceil(count) {
                let (first, bases) = (result * count, bases(result));
                let runs = tasks.start.max(first) - first..tasks.end.min(first + count) - first;
                let at_once = if blocks.leaves_one_state() { runs.len() } else { 1 };
                for run in runs.step_by(at_once) {
                    let own = run * self.length..((run + at_once) * self.length).min(self.blocks);
                    // SAFETY: each task has its own place in `states`, which outlives the tasks.
                    let state = unsafe { places.get(first + run) };
                    // SAFETY: by the caller's word.
                    unsafe { blocks.reduce(&bases, own, &mut work, state) };
                }
            }
        });
        states
    }
}

/// Merges the states of a result's runs as those of its blocks are, into the first of them.
pub(super) fn merge<'a>(states: &'a mut [u64], merger: Merger<'_>) -> &'a [u64] {
    merger.merge(states);
    &states[..merger.slots]
}

/// Disjoint states in one allocation, for tasks that each write one.
#[derive(Clone, Copy)]
struct Places {
    address: usize,
    slots: usize,
}

impl Places {
    /// # Safety
    /// The allocation lives, holds the state, and nobody else refers to it.
    unsafe fn get<'a>(self, index: usize) -> &'a mut [u64] {
        let start = std::ptr::with_exposed_provenance_mut::<u64>(self.address);
        // SAFETY: by the caller's word.
        unsafe { std::slice::from_raw_parts_mut(start.add(index * self.slots), self.slots) }
    }
}
