//! Work that a thread does itself and that others may join.
//!
//! A thread that sleeps takes some 10 µs to wake, half of which the one that wakes it pays for. So work is offered, not
//! handed over: the caller takes one task after the other, threads of a pool that come in time do the same, and when no
//! task is left the caller waits for those only that are still at one. A thread that comes too late finds the job closed.
//! One that is done looks out for the next job for a while before it goes back to its pool.
//!
//! Each thread begins with a range of the tasks of its own and then takes from the ends of the others', so that jobs of one
//! kind, one after the other, find what they work on in the caches of the same cores.
//!
//! Invariants: a caller never waits for a thread that has not begun; at most the given number of threads is in a job at a
//! time; no more threads are asked for while as many are on their way as a job may have. Must not know: what the tasks do,
//! or which pool the threads are from.

use std::any::Any;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

/// How long a thread that is done looks out for the next job: some times what it takes to wake it.
const LOOKOUT: Duration = Duration::from_micros(50);

/// How long a thread takes part in jobs, at most but for the last of them, before it goes back to its pool.
const STAY: Duration = Duration::from_millis(1);

/// How long a caller looks out for the end of others' tasks before it sleeps.
const PATIENCE: Duration = Duration::from_micros(20);

/// Looks between two looks at the clock.
const LOOKS: usize = 64;

/// Whether a job is worth the waking of threads that sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// It is.
    Wake,
    /// Only if jobs come so close one after the other that a thread, once awake, finds the next one too.
    WakeIfBusy,
}

/// Where callers put up their jobs, and threads of a pool look for them.
#[derive(Debug, Default)]
pub struct Board {
    open: Mutex<Open>,
    /// Goes up with each job; those who look out watch it.
    version: AtomicUsize,
}

#[derive(Debug, Default)]
struct Open {
    jobs: Vec<Arc<Job>>,
    /// Threads that will look at the jobs again before they leave: asked for and not there yet, or on the lookout.
    coming: usize,
    /// When the last job was over.
    last: Option<Instant>,
}

impl Board {
    /// Runs the tasks 0, 1, … on this thread and on up to so many others, which `ask` makes call `help`.
    ///
    /// # Panics
    /// If a task does, with what the first of them panics with, when no task runs anymore.
    pub fn run(&self, tasks: usize, others: usize, call: Call, task: &(dyn Fn(usize) + Sync), ask: impl Fn()) {
        let job = Arc::new(Job::new(tasks, others, task));
        let shown = Shown { board: self, job: &job };
        (0..self.put_up(&job, call)).for_each(|_| ask());
        // SAFETY: `task` lives until this function is left, before which nobody else uses it anymore.
        unsafe { job.work(0) };
        drop(shown);
        if let Some(panic) = lock(&job.panic).take() {
            resume_unwind(panic);
        }
    }

    /// Takes part in jobs until there has been none for a while, as the thread of this number in its pool.
    pub fn help(&self, number: usize) {
        let start = Instant::now();
        while let Some(job) = self.next() {
            // SAFETY: the job was entered.
            unsafe { job.work(1 + number % job.most) };
            // The pool has other work to do, which must not wait for callers without end.
            let stays = start.elapsed() < STAY;
            if stays {
                // First, so that the caller counts on this thread for its next job.
                lock(&self.open).coming += 1;
            }
            job.leave();
            if !stays {
                return;
            }
        }
    }

    /// Shows a job; says how many threads are to be asked for.
    fn put_up(&self, job: &Arc<Job>, call: Call) -> usize {
        let asked = {
            let mut open = lock(&self.open);
            let missing = job.most.saturating_sub(open.coming);
            let asks = match call {
                Call::Wake => true,
                Call::WakeIfBusy => missing > 0 && open.last.is_some_and(|last| last.elapsed() < LOOKOUT),
            };
            let asked = if asks { missing } else { 0 };
            open.coming += asked;
            open.jobs.push(Arc::clone(job));
            asked
        };
        self.version.fetch_add(1, Ordering::Release);
        asked
    }

    fn take_down(&self, job: &Arc<Job>) {
        let now = Instant::now();
        let mut open = lock(&self.open);
        open.jobs.retain(|other| !Arc::ptr_eq(other, job));
        open.last = Some(now);
    }

    /// A job that was entered; none if there has been none for a while, and then nobody counts on this thread.
    fn next(&self) -> Option<Arc<Job>> {
        let start = Instant::now();
        loop {
            let version = self.version.load(Ordering::Acquire);
            let mut open = lock(&self.open);
            let job = open.jobs.iter().find(|job| job.enter()).cloned();
            let is_over = job.is_none() && start.elapsed() >= LOOKOUT;
            if job.is_some() || is_over {
                open.coming -= 1;
                return job;
            }
            drop(open);
            self.look_out(version, start);
        }
    }

    /// Returns when there is a new job, or it is time to leave.
    fn look_out(&self, version: usize, start: Instant) {
        while start.elapsed() < LOOKOUT {
            for _ in 0..LOOKS {
                if self.version.load(Ordering::Acquire) != version {
                    return;
                }
                spin_loop();
            }
        }
    }
}

/// A job that is on the board, or is about to be.
struct Shown<'a> {
    board: &'a Board,
    job: &'a Arc<Job>,
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.job.close();
        self.board.take_down(self.job);
    }
}

/// The bit of a job's state that says that nobody may enter anymore.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// The bit that says that the caller sleeps.
const SLEEPS: usize = CLOSED >> 1;

/// Tasks that are taken one by one.
#[derive(Debug)]
struct Job {
    /// Valid until the job is closed and everybody has left.
    task: Borrowed,
    /// The tasks that nobody has taken, a range for each thread.
    ranges: SmallVec<[Range; 4]>,
    /// Whether somebody found none.
    is_over: AtomicBool,
    /// How many others may be inside at a time.
    most: usize,
    /// How many others are inside, and the bits.
    state: AtomicUsize,
    caller: Thread,
    /// What a task panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// Some numbers that are taken from both ends; apart from its neighbors, which other threads change.
#[derive(Debug)]
#[repr(align(64))]
struct Range(AtomicU64);

impl Range {
    fn new(start: u32, end: u32) -> Range {
        Range(AtomicU64::new(Range::word(start, end)))
    }

    fn word(start: u32, end: u32) -> u64 {
        (u64::from(start) << 32) | u64::from(end)
    }

    fn first(&self) -> Option<usize> {
        let (start, _) = self.change(|start, end| Range::word(start + 1, end))?;
        Some(start as usize)
    }

    fn last(&self) -> Option<usize> {
        let (_, end) = self.change(|start, end| Range::word(start, end - 1))?;
        Some(end as usize - 1)
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

    fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// A function that its owner waits for.
struct Borrowed(*const (dyn Fn(usize) + Sync));

// SAFETY: what it points to may be called from any thread.
unsafe impl Send for Borrowed {}
// SAFETY: as above.
unsafe impl Sync for Borrowed {}

impl std::fmt::Debug for Borrowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("task")
    }
}

impl Job {
    fn new(tasks: usize, most: usize, task: &(dyn Fn(usize) + Sync)) -> Job {
        // SAFETY: only the lifetime changes; `work` vouches for it.
        let task = unsafe {
            std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync + 'static)>(task)
        };
        // Who cuts work into tasks makes some for each thread.
        assert!(u32::try_from(tasks).is_ok(), "{tasks} tasks");
        let bound = |thread: usize| (tasks as u128 * thread as u128 / (most as u128 + 1)) as u32;
        let range = |thread: usize| Range::new(bound(thread), bound(thread + 1));
        Job {
            task: Borrowed(task),
            ranges: (0..=most).map(range).collect(),
            is_over: AtomicBool::new(false),
            most,
            state: AtomicUsize::new(0),
            caller: thread::current(),
            panic: Mutex::new(None),
        }
    }

    /// Whether this thread may work on it; it then has to leave.
    fn enter(&self) -> bool {
        let is_open = |state: usize| state < self.most && !self.is_over.load(Ordering::Relaxed);
        let entered = |state: usize| is_open(state).then_some(state + 1);
        self.state.fetch_update(Ordering::Acquire, Ordering::Relaxed, entered).is_ok()
    }

    /// Does tasks until none is left, those of this range first. After a panic none is.
    ///
    /// # Safety
    /// The job was entered and not left, or this is the caller and the job is not over.
    unsafe fn work(&self, own: usize) {
        // SAFETY: the caller of `Board::run` keeps it until the job is closed and everybody has left.
        let task = unsafe { &*self.task.0 };
        let work = || {
            while let Some(number) = self.take(own) {
                task(number);
            }
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            self.ranges.iter().for_each(Range::clear);
            lock(&self.panic).get_or_insert(panic);
        }
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn take(&self, own: usize) -> Option<usize> {
        let others = self.ranges[own + 1..].iter().chain(&self.ranges[..own]);
        self.ranges[own].first().or_else(|| others.into_iter().find_map(Range::last))
    }

    /// The last look at the job's task by a thread that has entered: all it did happened before the caller goes on.
    fn leave(&self) {
        if self.state.fetch_sub(1, Ordering::Release) == CLOSED + SLEEPS + 1 {
            self.caller.unpark();
        }
    }

    /// Lets nobody enter anymore and waits until everybody has left.
    fn close(&self) {
        if self.state.fetch_or(CLOSED, Ordering::Acquire) == 0 {
            return;
        }
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            for _ in 0..LOOKS {
                if self.state.load(Ordering::Acquire) == CLOSED {
                    return;
                }
                spin_loop();
            }
        }
        let mut state = self.state.fetch_or(SLEEPS, Ordering::Acquire);
        while state & !(CLOSED | SLEEPS) != 0 {
            thread::park();
            state = self.state.load(Ordering::Acquire);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
