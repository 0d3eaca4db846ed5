//! Which ranges of a row block each worker runs.
//!
//! A worker has a share of neighboring ranges, since memory is read faster where threads read it far from each other; when it
//! is done with that it takes from the others' shares. Must not know: what a range is.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The ranges of each worker: the next one, and where they end.
pub(super) struct Shares(Vec<(AtomicUsize, usize)>);

impl Shares {
    /// So many ranges for so many workers.
    pub fn new(ranges: usize, workers: usize) -> Shares {
        let start = |worker: usize| ranges / workers * worker + worker.min(ranges % workers);
        Shares((0..workers).map(|worker| (AtomicUsize::new(start(worker)), start(worker + 1))).collect())
    }

    /// Takes the next range for a worker; none if no one has any left.
    pub fn take(&self, worker: usize) -> Option<usize> {
        let (before, from) = self.0.split_at(worker);
        from.iter().chain(before).find_map(|(next, end)| {
            let range = next.fetch_add(1, Ordering::Relaxed);
            (range < *end).then_some(range)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_range_is_taken_once_and_ones_own_first() {
        for (ranges, workers) in [(10, 3), (2, 3), (7, 1), (8, 2)] {
            let shares = Shares::new(ranges, workers);
            let first = shares.take(workers - 1);
            let mut taken: Vec<usize> = first.into_iter().collect();
            taken.extend(std::iter::from_fn(|| shares.take(0)));
            if ranges >= workers {
                assert_eq!((first, taken.get(1)), (Some(ranges - ranges / workers), Some(&usize::from(workers == 1))));
            }
            taken.sort_unstable();
            assert_eq!(taken, (0..ranges).collect::<Vec<_>>(), "{ranges} {workers}");
            assert!((0..workers).all(|worker| shares.take(worker).is_none()));
        }
    }
}
