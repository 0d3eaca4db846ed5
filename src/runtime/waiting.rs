//! Waiting for what another thread does.
//!
//! A plain thread sleeps. A thread of a rayon pool runs other tasks of its pool meanwhile, among them perhaps the one that
//! it waits for, so that a pool of one thread does not wait for itself. What it runs sits on its stack: a task must not
//! wait for one that is beneath it, which no task of a function does.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rayon::Yield;

/// How long a thread of a pool sleeps when its pool has no task, before it looks for one again.
const IDLE: Duration = Duration::from_micros(50);

/// State that threads wait for.
#[derive(Debug, Default)]
pub(super) struct Awaited<S> {
    state: Mutex<S>,
    changed: Condvar,
}

impl<S> Awaited<S> {
    pub fn new(state: S) -> Awaited<S> {
        Awaited { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Looks at the state, or changes it without news for those who wait.
    pub fn look<R>(&self, look: impl FnOnce(&mut S) -> R) -> R {
        look(&mut self.lock())
    }

    /// Changes the state and wakes those who wait.
    pub fn change<R>(&self, change: impl FnOnce(&mut S) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until the state gives something.
    pub fn wait<R>(&self, mut take: impl FnMut(&mut S) -> Option<R>) -> R {
        let mut state = self.lock();
        loop {
            if let Some(result) = take(&mut state) {
                return result;
            }
            if rayon::current_thread_index().is_none() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            drop(state);
            let found = rayon::yield_now() == Some(Yield::Executed);
            state = self.lock();
            if !found {
                if let Some(result) = take(&mut state) {
                    return result;
                }
                state = self.changed.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, S> {
        // Nothing that runs under the lock panics halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
