//! Numbers of tasks that several threads take, each from a range of its own first.
//!
//! Invariant: each number is taken once. Must not know: what the tasks are, or when they are over.

use std::sync::atomic::{AtomicU64, Ordering};

/// Some numbers that are taken from both ends; apart from its neighbors, which other threads change.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Range(AtomicU64);

impl Range {
    fn word(start: u32, end: u32) -> u64 {
        (u64::from(start) << 32) | u64::from(end)
    }

    /// Shares the numbers below this one out.
    pub fn share(ranges: &[Range], count: usize) {
        // Who cuts work into tasks makes some for each thread.
        assert!(u32::try_from(count).is_ok(), "{count} tasks");
        let bound = |thread: usize| (count as u128 * thread as u128 / ranges.len() as u128) as u32;
        for (thread, range) in ranges.iter().enumerate() {
            range.0.store(Range::word(bound(thread), bound(thread + 1)), Ordering::Relaxed);
        }
    }

    /// A number that nobody has taken, from this range as long as it has any.
    pub fn take(ranges: &[Range], own: usize) -> Option<usize> {
        let others = ranges[own + 1..].iter().chain(&ranges[..own]);
        ranges[own].first().or_else(|| others.into_iter().find_map(Range::last))
    }

    pub fn first(&self) -> Option<usize> {
        let (start, _) = self.change(|start, end| Range::word(start + 1, end))?;
        Some(start as usize)
    }

    fn last(&self) -> Option<usize> {
        let (_, end) = self.change(|start, end| Range::word(start, end - 1))?;
        Some(end as usize - 1)
    }

    /// Whether all of its numbers are taken.
    pub fn is_empty(&self) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        word >> 32 >= word & u64::from(u32::MAX)
    }

    /// Changes it unless it is empty; gives what it was.
    fn change(&self, change: impl Fn(u32, u32) -> u64) -> Option<(u32, u32)> {
        let ends = |word: u64| ((word >> 32) as u32, word as u32);
        let changed = |word: u64| {
            let (start, end) = ends(word);
            (start < end).then(|| change(start, end))
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed).ok().map(ends)
    }

    /// Takes all numbers that are left.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}
