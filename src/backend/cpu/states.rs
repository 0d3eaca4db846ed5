//! States of blocks, merged pairwise as a binary counter does.
//!
//! Invariant: the order of merges of `ops::reduction`. Must not know: what a state is made of.

use smallvec::SmallVec;

use super::jit::Code;

/// What merges two states.
#[derive(Debug, Clone, Copy)]
pub(super) struct Merger<'a> {
    /// The code; none where there is nothing to merge.
    pub code: Option<&'a Code>,
    /// The slots of a state.
    pub slots: usize,
}

impl Merger<'_> {
    /// Merges consecutive states, those of neighbors first, into the first of them.
    pub fn merge(&self, states: &mut [u64]) {
        let (Some(code), count) = (self.code, states.len() / self.slots.max(1)) else { return };
        let mut step = 1;
        // Level by level, neighbors first; what has no neighbor on the right waits. That is the order of the binary
        // counter of `ops::reduction`, with its last merges from the newest state to the oldest.
        while step < count {
            let pairs = (count - step).div_ceil(2 * step);
            // SAFETY: the code merges states of so many slots, and each left one has a right one.
            unsafe { code.call_merge(states, pairs, step * self.slots) };
            step *= 2;
        }
    }
}

/// The states that wait for their partners, the newest last.
#[derive(Debug, Default)]
pub(super) struct Counter {
    waiting: SmallVec<[u64; 32]>,
    pushed: usize,
}

impl Counter {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.pushed = 0;
    }

    /// Adds the state of the next block, or of the next whole run of blocks.
    pub fn push(&mut self, state: &[u64], merger: Merger<'_>) {
        self.waiting.extend_from_slice(state);
        for _ in 0..self.pushed.trailing_ones() {
            self.merge_newest(merger);
        }
        self.pushed += 1;
    }

    /// Adds the state of a last run that is not whole: its blocks would be waiting still.
    pub fn push_last(&mut self, state: &[u64]) {
        self.waiting.extend_from_slice(state);
    }

    /// Merges what waits, from the newest to the oldest.
    pub fn finish(&mut self, total: &mut [u64], merger: Merger<'_>) {
        while self.waiting.len() > merger.slots {
            self.merge_newest(merger);
        }
        total.copy_from_slice(&self.waiting);
    }

    fn merge_newest(&mut self, merger: Merger<'_>) {
        let start = self.waiting.len() - 2 * merger.slots;
        merger.merge(&mut self.waiting[start..]);
        self.waiting.truncate(start + merger.slots);
    }
}
