//! Threads that help with work on a board, and sleep while there is none.
//!
//! They are started when they are first asked for, and end with the crew.
//!
//! Invariant: there are never more threads than were to be there at once. Must not know: what the work is.

use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::cores::{Cores, Elsewhere};
use super::offer::Board;

/// A board and those who help there; the threads end when this is dropped and they have nothing to do.
#[derive(Debug)]
pub(super) struct Crew(Arc<Quarters>);

/// Where the threads are while nobody asks for them.
#[derive(Debug)]
struct Quarters {
    /// Where they may run, whoever asks for them first.
    cores: Cores,
    board: Board,
    rota: Mutex<Rota>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Rota {
    /// All that were started.
    threads: usize,
    /// Those of them who sleep.
    resting: usize,
    /// How many are to get up.
    asked: usize,
    is_over: bool,
}

impl Deref for Crew {
    type Target = Board;

    fn deref(&self) -> &Board {
        &self.0.board
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.0.rota().is_over = true;
        self.0.bell.notify_all();
    }
}

impl Crew {
    /// One without any thread yet, for threads that may run there.
    pub fn new(cores: Cores) -> Crew {
        Crew(Arc::new(Quarters { cores, board: Board::default(), rota: Mutex::default(), bell: Condvar::new() }))
    }

    /// Sends one more thread to the board, where at most so many are; says whether there is one.
    pub fn ask(&self, most: usize) -> bool {
        let mut rota = self.0.rota();
        // Those who are neither resting nor at the board are about to rest.
        if rota.asked < rota.resting || rota.threads >= most {
            rota.asked += 1;
            drop(rota);
            self.0.bell.notify_one();
            return true;
        }
        let (quarters, number) = (Arc::clone(&self.0), rota.threads);
        let thread = thread::Builder::new().name(format!("kroton-help-{number}"));
        let is_started = thread.spawn(move || quarters.serve(number)).is_ok();
        rota.threads += usize::from(is_started);
        is_started
    }
}

impl Quarters {
    fn rota(&self) -> MutexGuard<'_, Rota> {
        // Nothing panics under this lock.
        self.rota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the thread of this number does.
    fn serve(&self, number: usize) {
        let mut place = Elsewhere::within(self.cores);
        loop {
            self.board.help(number, &mut place);
            let mut rota = self.rota();
            rota.resting += 1;
            let idle = |rota: &mut Rota| rota.asked == 0 && !rota.is_over;
            rota = self.bell.wait_while(rota, idle).unwrap_or_else(PoisonError::into_inner);
            if rota.is_over {
                return;
            }
            rota.resting -= 1;
            rota.asked -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::super::offer::Call;
    use super::*;

    fn wait_until(condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() && start.elapsed() < Duration::from_secs(60) {
            thread::yield_now();
        }
        assert!(condition(), "it took a minute");
    }

    #[test]
    fn threads_are_started_once_and_end_with_the_crew() {
        let crew = Crew::new(Cores::of_this_thread());
        for round in 0..20 {
            let begun = AtomicUsize::new(0);
            let together = |_: usize| {
                begun.fetch_add(1, Ordering::Relaxed);
                wait_until(|| begun.load(Ordering::Relaxed) == 3);
            };
            crew.run(3, 2, Call::Wake, &together, || crew.ask(2));
            assert_eq!(crew.0.rota().threads, 2, "{round}");
            if round % 2 == 0 {
                wait_until(|| crew.0.rota().resting == 2);
            }
        }
        let quarters: Weak<Quarters> = Arc::downgrade(&crew.0);
        drop(crew);
        wait_until(|| quarters.strong_count() == 0);
    }
}
