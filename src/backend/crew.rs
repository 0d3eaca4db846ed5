//! Threads that help with work on a board, and sleep while there is none.
//!
//! They are started when they are first asked for, and end with the crew.
//!
//! Invariants: there are never more threads than were to be there at once, and no two have one number; a system that refuses
//! to start one is not asked again for a second, and no call fails for it. Must not know: what the work is.

use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

use super::cores::{Cores, Elsewhere};
use super::fork;
use super::offer::{Board, Call};
use super::place::DoTasks;
use super::refusal::{self, Refusal};

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
    start: Start,
}

/// Starts a thread.
type Start = fn(thread::Builder, Box<dyn FnOnce() + Send>) -> io::Result<()>;

#[derive(Debug, Default)]
struct Rota {
    /// All that were started.
    threads: usize,
    /// The number of the next one; that of one which could not be started is not given again, as others may have started
    /// meanwhile.
    number: usize,
    /// Those of them who sleep; who has slept least is woken first, as it has most in its caches.
    resting: Vec<(usize, Thread)>,
    /// How many of those who are about to rest are to go back.
    called_back: usize,
    refusal: Refusal,
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
        if fork::is_child() {
            return;
        }
        let mut rota = self.0.rota();
        rota.is_over = true;
        rota.resting.drain(..).for_each(|(_, thread)| thread.unpark());
    }
}

impl Crew {
    /// One without any thread yet, for threads that may run there.
    pub fn new(cores: Cores) -> Crew {
        Crew::with(cores, |builder, serve| builder.spawn(serve).map(drop))
    }

    fn with(cores: Cores, start: Start) -> Crew {
        Crew(Arc::new(Quarters { cores, board: Board::default(), rota: Mutex::default(), start }))
    }

    /// Runs the tasks 0, 1, …, some at a time, on this thread and on up to so many others of the crew.
    pub fn share(&self, tasks: usize, others: usize, call: Call, task: DoTasks<'_>) {
        self.0.board.run(tasks, others, call, task, || self.0.send(others));
    }
}

impl Quarters {
    fn rota(&self) -> MutexGuard<'_, Rota> {
        // Nothing panics under this lock.
        self.rota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one more thread to the board, where at most so many are; says whether there is one.
    fn send(self: &Arc<Quarters>, most: usize) -> bool {
        let mut rota = self.rota();
        if let Some((_, thread)) = rota.resting.pop() {
            drop(rota);
            thread.unpark();
            return true;
        }
        if rota.threads >= most {
            // Those who are neither resting nor at the board are about to rest.
            rota.called_back += 1;
            return true;
        }
        if rota.refusal.holds() {
            return false;
        }
        let number = rota.number;
        rota.number += 1;
        rota.threads += 1;
        // Others may ask while this one starts.
        drop(rota);
        self.start(number)
    }

    fn start(self: &Arc<Quarters>, number: usize) -> bool {
        let (quarters, builder) = (Arc::clone(self), thread::Builder::new().name(format!("kroton-help-{number}")));
        let Err(error) = (self.start)(builder, Box::new(move || quarters.serve(number))) else { return true };
        let mut rota = self.rota();
        rota.threads -= 1;
        let is_news = rota.refusal.note();
        drop(rota);
        if is_news {
            refusal::warn(&error);
        }
        false
    }

    /// What the thread of this number does.
    fn serve(self: &Arc<Quarters>, number: usize) {
        let mut place = Elsewhere::within(self.cores);
        while {
            self.board.help(number, &mut place, |most| self.send(most));
            self.rest(number)
        } {}
    }

    /// Sleeps until this thread is sent; says whether it is, and not over.
    fn rest(&self, number: usize) -> bool {
        let mut rota = self.rota();
        if rota.called_back > 0 {
            rota.called_back -= 1;
            return !rota.is_over;
        }
        rota.resting.push((number, thread::current()));
        while !rota.is_over && rota.resting.iter().any(|&(resting, _)| resting == number) {
            drop(rota);
            thread::park();
            rota = self.rota();
        }
        !rota.is_over
    }
}

#[cfg(test)]
mod tests;
