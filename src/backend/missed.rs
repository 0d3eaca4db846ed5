//! Whether threads that sleep are worth waking: what was lost because nobody helped.
//!
//! Waking one costs as much as it gains with some small jobs, and then it looks out for more. So what a helper would have
//! gained is added up, as long as jobs follow each other closely, and a helper is asked for when that is what waking costs:
//! at most twice as much is lost as by anyone who knew what comes. Time between jobs counts against it, so that nobody is
//! woken for a caller who is mostly busy with something else. Must not know: threads, jobs.

use std::sync::{Mutex, TryLockError};
use std::time::{Duration, Instant};

/// What a helper has to gain: what it costs to wake one, at both ends.
const WAKING: Duration = Duration::from_nanos(11_500);

/// The part of the time that helpers have to gain to be worth their spinning: an eighth.
pub(super) const WORTH: u32 = 8;

/// What was lost lately.
#[derive(Debug, Default)]
pub(super) struct Missed(Mutex<Lost>);

#[derive(Debug, Default)]
struct Lost {
    sum: Duration,
    since: Option<Instant>,
}

impl Missed {
    /// Notes a job that would have been shorter by this; says whether somebody is to be asked for.
    pub fn note(&self, gain: Duration) -> bool {
        self.note_at(gain, Instant::now())
    }

    fn note_at(&self, gain: Duration, now: Instant) -> bool {
        let mut lost = match self.0.try_lock() {
            Ok(lost) => lost,
            Err(TryLockError::Poisoned(lost)) => lost.into_inner(),
            // Another caller is at it.
            Err(TryLockError::WouldBlock) => return false,
        };
        let idle = lost.since.replace(now).map_or(Duration::ZERO, |since| now.saturating_duration_since(since) / WORTH);
        lost.sum = lost.sum.saturating_sub(idle) + gain;
        let asks = lost.sum >= WAKING;
        if asks {
            lost.sum = Duration::ZERO;
        }
        asks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROSECOND: Duration = Duration::from_micros(1);

    /// How many jobs it takes until somebody is asked for, that come at this distance and would gain so much.
    fn jobs(distance: u32, gain: Duration) -> Option<usize> {
        let (missed, start) = (Missed::default(), Instant::now());
        (0..10_000).position(|job| missed.note_at(gain, start + job * distance * MICROSECOND))
    }

    #[test]
    fn somebody_is_asked_for_when_as_much_was_lost_as_waking_costs() {
        assert_eq!(jobs(25, 12 * MICROSECOND), Some(0));
        assert_eq!(jobs(16, 7 * MICROSECOND), Some(1));
        assert_eq!(jobs(8, 3 * MICROSECOND), Some(5));
        assert_eq!(jobs(4, MICROSECOND), Some(21));
    }

    #[test]
    fn nobody_is_asked_for_who_would_mostly_wait() {
        assert_eq!(jobs(60, 7 * MICROSECOND), None);
        assert_eq!(jobs(1000, 11 * MICROSECOND), None);
        assert_eq!(jobs(1000, 12 * MICROSECOND), Some(0));
    }
}
