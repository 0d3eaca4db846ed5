//! Numbers of tasks that several threads take, each from a range of its own first.
//!
//! A thread takes a part of what is left of a range, many at first and one at a time in the end: few parts, and none that
//! others wait for long. Invariant: each number is taken once. Must not know: what the tasks are, or when they are over.

use std::ops;
use std::sync::atomic::{AtomicU64, Ordering};

/// A thread takes one of so many parts of what is left: the largest ones end long before the last.
const PARTS: u32 = 4;

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

    /// How many of the numbers from one to another a thread takes at once, at least one.
    fn part(start: u32, end: u32) -> u32 {
        (end - start).div_ceil(PARTS)
    }

    /// Numbers that nobody has taken, from this range as long as it has any.
    pub fn take(ranges: &[Range], own: usize) -> Option<ops::Range<usize>> {
        let others = ranges[own + 1..].iter().chain(&ranges[..own]);
        ranges[own].first().or_else(|| others.into_iter().find_map(Range::last))
    }

    pub fn first(&self) -> Option<ops::Range<usize>> {
        let (start, end) = self.change(|start, end| Range::word(start + Range::part(start, end), end))?;
        Some(start as usize..(start + Range::part(start, end)) as usize)
    }

    fn last(&self) -> Option<ops::Range<usize>> {
        let (start, end) = self.change(|start, end| Range::word(start, end - Range::part(start, end)))?;
        Some((end - Range::part(start, end)) as usize..end as usize)
    }

    /// How many of its numbers nobody has taken.
    pub fn len(&self) -> usize {
        let (start, end) = Range::ends(self.0.load(Ordering::Relaxed));
        end.saturating_sub(start) as usize
    }

    fn ends(word: u64) -> (u32, u32) {
        ((word >> 32) as u32, word as u32)
    }

    /// Changes it unless it is empty; gives what it was.
    fn change(&self, change: impl Fn(u32, u32) -> u64) -> Option<(u32, u32)> {
        let changed = |word: u64| {
            let (start, end) = Range::ends(word);
            (start < end).then(|| change(start, end))
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed).ok().map(Range::ends)
    }

    /// Takes all numbers that are left.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_become_smaller_and_hold_each_number_once() {
        let ranges = [Range::default(), Range::default()];
        Range::share(&ranges, 80);
        let mut taken: Vec<_> = (0..3).map(|_| Range::take(&ranges, 0).unwrap()).collect();
        taken.extend(std::iter::from_fn(|| Range::take(&ranges, 1)));
        let firsts: Vec<_> = taken.iter().map(|part| (part.start, part.len())).collect();
        // Its own from the front, and what the other one left from the back.
        assert_eq!(firsts[..5], [(0, 10), (10, 8), (18, 6), (40, 10), (50, 8)]);
        assert_eq!((firsts[firsts.len() - 1], Range::take(&ranges, 0)), ((24, 1), None));
        let mut all: Vec<usize> = taken.into_iter().flatten().collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..80));
    }

    #[test]
    fn few_are_taken_one_by_one() {
        let ranges = [Range::default(), Range::default()];
        Range::share(&ranges, 8);
        let parts: Vec<_> = std::iter::from_fn(|| Range::take(&ranges, 0)).collect();
        assert_eq!(parts, [0..1, 1..2, 2..3, 3..4, 7..8, 6..7, 5..6, 4..5]);
    }
}
