//! What is done when the system refuses to start threads: without them, for a while.
//!
//! Must not know: what the threads are for.

use std::error::Error;
use std::time::{Duration, Instant};

/// How long after a refusal none is started: long beside an attempt, short beside the life of a program.
const RESPITE: Duration = Duration::from_secs(1);

/// When the system refused last.
#[derive(Debug, Default)]
pub(super) struct Refusal(Option<Instant>);

impl Refusal {
    /// Whether it is too early to try again.
    pub fn holds(&self) -> bool {
        self.holds_at(Instant::now())
    }

    fn holds_at(&self, now: Instant) -> bool {
        self.0.is_some_and(|since| now.saturating_duration_since(since) < RESPITE)
    }

    /// Notes another one; says whether it is the first, of which users are to be told.
    #[must_use]
    pub fn note(&mut self) -> bool {
        self.0.replace(Instant::now()).is_none()
    }
}

/// Tells users of a refusal. Under no lock, as a subscriber is anybody's code and may call functions.
pub(super) fn warn(error: &dyn Error) {
    tracing::warn!(%error, "cannot start as many threads as functions may use; calls do with fewer");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_holds_for_a_while() {
        let (mut refusal, start) = (Refusal::default(), Instant::now());
        assert!(!refusal.holds_at(start));
        assert!(refusal.note());
        let noted = refusal.0.unwrap();
        assert!(refusal.holds_at(noted) && refusal.holds_at(noted + RESPITE / 2));
        assert!(!refusal.holds_at(noted + RESPITE));
        assert!(!refusal.note(), "users are told once");
    }
}
