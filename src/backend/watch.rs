//! How long a thread that helps looks out for the next job.
//!
//! For some times what it takes to wake it, but no longer than its work has earned: looking out takes a whole core, and who
//! works an eighth of its time or less is better asleep, as nobody would be woken for so little. Must not know: threads, jobs.

use std::time::{Duration, Instant};

use super::missed::WORTH;

/// The longest that a thread looks out.
const LONGEST: Duration = Duration::from_micros(50);

/// A thread's time at the board.
#[derive(Debug)]
pub(super) struct Watch {
    /// When it had worked last, or came.
    since: Instant,
    /// When it looked at the clock last.
    seen: Instant,
    /// How long it may look out since then.
    left: Duration,
}

impl Watch {
    /// That of a thread which comes.
    pub fn new() -> Watch {
        Watch::from(Instant::now())
    }

    fn from(now: Instant) -> Watch {
        Watch { since: now, seen: now, left: LONGEST }
    }

    /// Whether it looks out on.
    pub fn goes_on(&mut self, now: Instant) -> bool {
        self.looks_up(now);
        self.looked_out() < self.left
    }

    /// Notes that it has looked out until now.
    pub fn looks_up(&mut self, now: Instant) {
        self.seen = now;
    }

    /// Notes that it has worked since the last look at the clock.
    pub fn has_worked(&mut self) {
        self.has_worked_until(Instant::now());
    }

    fn has_worked_until(&mut self, now: Instant) {
        let earned = WORTH * now.saturating_duration_since(self.seen);
        let left = self.left.saturating_sub(self.looked_out()) + earned;
        *self = Watch { left: left.min(LONGEST), ..Watch::from(now) };
    }

    fn looked_out(&self) -> Duration {
        self.seen.saturating_duration_since(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROSECOND: Duration = Duration::from_micros(1);

    /// How many jobs a thread does of those that come at this distance and give it so much to do.
    fn jobs(distance: u32, work: u32) -> usize {
        let start = Instant::now();
        let (mut watch, mut now) = (Watch::from(start), start);
        (0..10_000)
            .take_while(|_| {
                let looks = (0..=distance - work).all(|microsecond| watch.goes_on(now + microsecond * MICROSECOND));
                now += distance * MICROSECOND;
                watch.has_worked_until(now);
                looks
            })
            .count()
    }

    #[test]
    fn who_works_enough_stays() {
        assert_eq!(jobs(5, 2), 10_000);
        assert_eq!(jobs(49, 6), 10_000);
        assert_eq!(jobs(200, 151), 10_000);
    }

    #[test]
    fn who_mostly_waits_leaves_though_jobs_never_cease() {
        assert_eq!(jobs(49, 2), 1);
        assert_eq!(jobs(20, 1), 3);
        assert_eq!(jobs(10, 0), 4);
        assert_eq!(jobs(60, 5), 0);
    }
}
