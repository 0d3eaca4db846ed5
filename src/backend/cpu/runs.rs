//! The blocks of a result in aligned runs, each a task of its own.
//!
//! Invariant: a run is a subtree of the order of merges of `ops::reduction`, so that the result is the same however many
//! there are. Must not know: results, the epilogue.

use super::blocks::{Blocks, Work};
use super::parallel::{Split, run};
use super::space::Bases;
use super::states::{Counter, Merger};
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
        let mut states = vec![0u64; results * count * slots];
        let places = Places { address: states.as_mut_ptr().expose_provenance(), slots };
        run(parallelism, split, results * count, |task| {
            let start = task % count * self.length;
            let run = start..(start + self.length).min(self.blocks);
            // SAFETY: each task has its own place in `states`, which outlives the tasks.
            let state = unsafe { places.get(task) };
            // SAFETY: by the caller's word.
            unsafe { blocks.reduce(&bases(task / count), run, &mut Work::default(), state) };
        });
        states
    }

    /// Merges the states of a result's runs as the counter of its blocks would.
    pub fn merge(&self, states: &[u64], total: &mut [u64], merger: Merger<'_>) {
        let mut counter = Counter::default();
        for (index, state) in states.chunks_exact(merger.slots).enumerate() {
            let whole = (index + 1) * self.length <= self.blocks;
            if whole { counter.push(state, merger) } else { counter.push_last(state) }
        }
        counter.finish(total, merger);
    }
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
