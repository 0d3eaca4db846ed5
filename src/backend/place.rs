//! Where one caller after the other puts up a job, and others take part in it.
//!
//! Each thread begins with a range of the tasks of its own and then takes from the ends of the others', some neighbors at a
//! time, so that jobs of one kind, one after the other, find what they work on in the caches of the same cores.
//!
//! A place stays where it is when a job is over: what two threads both write they pass to and fro between their caches, at
//! some 0.2 µs each time, and nothing else of a small job takes as long.
//!
//! Why each order between threads is enough:
//! - *What a task reads and writes.* The caller stores a job's `state` with release when the rest of it is written, and who
//!   enters changes `state` with acquire: it sees the job, and all that the caller did before. Who leaves changes `state`
//!   with release, the caller sees nobody inside with acquire: it sees all that helpers did. Each change in between is
//!   atomic, so the chain of releases is not broken.
//! - *The job itself.* It is written while `state` is closed and nobody is inside, by the one who has the place: `is_taken`
//!   is given back with release and taken with acquire, so callers write one after the other.
//! - *Tasks that are taken.* A range is one atomic word, so each number is taken once in any order; what a number means was
//!   written before `state`. A range that is cleared after a panic may be seen late, which runs a task more.
//! - *The sleeping caller.* It writes its handle, under the lock, before it sets `SLEEPS`; the last to leave sees the bit and
//!   takes the lock. The bit and the count are one word, so whoever is second of the two sees the first.
//!
//! Invariants: a caller waits for those only who have entered; no more are inside than may be. Must not know: where helpers
//! come from, what the tasks do.

use std::any::Any;
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::ops;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::ranges::Range;

/// How long a caller looks out for the end of others' tasks before it sleeps.
const PATIENCE: Duration = Duration::from_micros(20);

/// Looks between two looks at the clock.
pub(super) const LOOKS: usize = 64;

/// Apart from its neighbors, which other threads change.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Apart<T>(pub T);

/// A place that a caller has; given back when nobody is at its job.
#[derive(Debug)]
pub(super) struct Taken<'a>(&'a Place);

impl Taken<'_> {
    /// Ends a job, and panics with what a task of it did.
    pub fn finish(self) {
        self.0.close();
        let panic = lock(&self.0.panic).take();
        drop(self);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.close();
        self.0.is_taken.0.store(false, Ordering::Release);
    }
}

/// The bit of a place's state that says that nobody may enter anymore.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// The bit that says that the caller sleeps.
const SLEEPS: usize = CLOSED >> 1;

/// How many others are inside, in the state; how many may be is above that.
const INSIDE: usize = (1 << MOST) - 1;

/// The first bit of how many others may be inside.
const MOST: u32 = (usize::BITS - 2) / 2;

/// Room for a job: tasks that are taken one by one.
#[derive(Debug)]
pub(super) struct Place {
    /// Whether a caller has it.
    is_taken: Apart<AtomicBool>,
    job: Apart<Job>,
    /// The caller, when it sleeps.
    caller: Mutex<Option<Thread>>,
    /// What a task panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// What those who enter need.
#[derive(Debug)]
struct Job {
    /// How many others are inside, how many may be, and the bits.
    state: AtomicUsize,
    /// Written by the caller while the job is closed and nobody is inside, read by those inside.
    tasks: UnsafeCell<Tasks>,
}

/// The tasks of a job.
#[derive(Debug)]
struct Tasks {
    /// How many jobs there have been in this place.
    job: usize,
    /// Valid until the job is closed and everybody has left.
    task: Option<Borrowed>,
    /// Up to how many others are asked for; 0 for a job of those who are there.
    asks_up_to: usize,
    /// Whether each thread has one at most: who is done with one leaves the others to those who were asked for before.
    one_each: bool,
    /// The tasks that nobody has taken, a range for each thread.
    ranges: Vec<Range>,
}

impl Tasks {
    /// Whether nobody has taken two tasks or more; who has this range looks there first.
    fn are_several(&self, own: usize) -> bool {
        let mut left = 0;
        self.ranges[own..].iter().chain(&self.ranges[..own]).any(|range| {
            left += range.len();
            left > 1
        })
    }
}

// SAFETY: `tasks` is written by the one caller that has taken the place, while nobody is inside, and read by that caller and
// those inside.
unsafe impl Sync for Job {}

/// What does some tasks that are neighbors.
pub(super) type DoTasks<'a> = &'a (dyn Fn(ops::Range<usize>) + Sync);

/// A function that its owner waits for.
#[derive(Clone, Copy)]
struct Borrowed(*const (dyn Fn(ops::Range<usize>) + Sync));

// SAFETY: what it points to may be called from any thread.
unsafe impl Send for Borrowed {}

impl std::fmt::Debug for Borrowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("task")
    }
}

impl Default for Place {
    fn default() -> Place {
        let tasks = Tasks { job: 0, task: None, asks_up_to: 0, one_each: false, ranges: Vec::new() };
        Place {
            is_taken: Apart::default(),
            job: Apart(Job { state: AtomicUsize::new(CLOSED), tasks: UnsafeCell::new(tasks) }),
            caller: Mutex::default(),
            panic: Mutex::default(),
        }
    }
}

impl Place {
    /// The place for a job of this thread, if nobody has it.
    pub fn take(&self) -> Option<Taken<'_>> {
        let is_free = !self.is_taken.0.load(Ordering::Relaxed) && !self.is_taken.0.swap(true, Ordering::Acquire);
        is_free.then(|| Taken(self))
    }

    /// Lets up to so many others in, who ask for more up to so many, once each if there is no more than one task for each
    /// thread; gives the number of the job.
    ///
    /// # Safety
    /// The place was taken by this thread, and `task` lives until the job was closed and everybody has left.
    pub unsafe fn open(&self, [tasks, most, asks_up_to]: [usize; 3], one_each: bool, task: DoTasks<'_>) -> usize {
        // SAFETY: only the lifetime changes; the caller vouches for it.
        let task = unsafe { std::mem::transmute::<DoTasks<'_>, DoTasks<'static>>(task) };
        // SAFETY: nobody is inside, and other callers find the place taken.
        let own = unsafe { &mut *self.job.0.tasks.get() };
        own.job = own.job.wrapping_add(1);
        own.task = Some(Borrowed(task));
        own.asks_up_to = asks_up_to;
        own.one_each = one_each;
        own.ranges.resize_with(most + 1, Range::default);
        Range::share(&own.ranges, tasks);
        self.job.0.state.store(most << MOST, Ordering::Release);
        own.job
    }

    /// Lets this thread in, which then has to leave, if it may; says how many others may be inside.
    pub fn enter(&self) -> Option<usize> {
        let may = |state: usize| state & CLOSED == 0 && state & INSIDE < state >> MOST;
        let entered = |state: usize| may(state).then_some(state + 1);
        let before = self.job.0.state.fetch_update(Ordering::Acquire, Ordering::Relaxed, entered);
        before.ok().map(|state| state >> MOST)
    }

    /// Whether nobody may enter anymore.
    #[cfg(test)]
    pub fn is_closed(&self) -> bool {
        self.job.0.state.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// Asks the cache for what is written to enter.
    pub fn prefetch(&self) {
        prefetch_for_writing(&self.job);
    }

    /// Whether others are inside.
    pub fn has_others(&self) -> bool {
        self.job.0.state.load(Ordering::Relaxed) & INSIDE != 0
    }

    /// Does tasks until none is left, those of this range first. After a panic none is. Before it takes some, if there are more,
    /// it asks for others, of whom there may be so many, until that is refused; once only where each thread has one task.
    /// Says whether there was a task.
    ///
    /// # Safety
    /// The job was entered and not left, or this is the caller and has not ended it.
    pub unsafe fn work(&self, own: usize, ask: impl Fn(usize) -> bool) -> bool {
        // SAFETY: it is not written before everybody has left and the job is closed.
        let tasks = unsafe { &*self.job.0.tasks.get() };
        let Some(Borrowed(task)) = tasks.task else { return false };
        // SAFETY: the caller of `Board::run` keeps it until the job is closed and everybody has left.
        let task = unsafe { &*task };
        let (mut has_worked, mut asks) = (false, tasks.asks_up_to > 0);
        let work = || {
            let mut run = |take: &dyn Fn() -> Option<ops::Range<usize>>| {
                // While others can still take what this thread would.
                if asks && tasks.are_several(own) {
                    asks = ask(tasks.asks_up_to) && !tasks.one_each;
                }
                let Some(numbers) = take() else { return false };
                has_worked = true;
                task(numbers);
                true
            };
            while tasks.ranges[own].len() > 0 && run(&|| tasks.ranges[own].first()) {}
            // While it is seen that others have none either.
            prefetch_for_writing(&self.job.0.state);
            while run(&|| Range::take(&tasks.ranges, own)) {}
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            tasks.ranges.iter().for_each(Range::clear);
            self.keep(panic);
        }
        has_worked
    }

    /// Keeps the first panic. Others are dropped nowhere: who panics there too would not leave.
    fn keep(&self, panic: Box<dyn Any + Send>) {
        match &mut *lock(&self.panic) {
            Some(_) => std::mem::forget(panic),
            first => *first = Some(panic),
        }
    }

    /// The last look at the job by a thread that has entered: all it did happened before the caller goes on. Nobody
    /// enters anymore, as there is no task left.
    pub fn leave(&self) {
        let left = |state: usize| Some((state - 1) | CLOSED);
        let before = self.job.0.state.fetch_update(Ordering::Release, Ordering::Relaxed, left);
        if before.is_ok_and(|state| state & SLEEPS != 0 && state & INSIDE == 1)
            && let Some(caller) = &*lock(&self.caller)
        {
            caller.unpark();
        }
    }

    /// Lets nobody enter anymore and waits until everybody has left.
    pub fn close(&self) {
        let state = &self.job.0.state;
        if state.fetch_or(CLOSED, Ordering::Acquire) & INSIDE == 0 {
            return;
        }
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            for _ in 0..LOOKS {
                if state.load(Ordering::Acquire) & INSIDE == 0 {
                    return;
                }
                spin_loop();
            }
        }
        *lock(&self.caller) = Some(thread::current());
        let mut inside = state.fetch_or(SLEEPS, Ordering::Acquire) & INSIDE;
        while inside != 0 {
            thread::park();
            inside = state.load(Ordering::Acquire) & INSIDE;
        }
    }
}

/// Asks for the line that something lies in, to be written.
fn prefetch_for_writing<T>(place: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: nothing but the cache changes.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) place, options(nostack, preserves_flags));
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = place;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
