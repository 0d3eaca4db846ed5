//! Work that a thread does itself and that others may join.
//!
//! A thread that sleeps takes some 10 µs to wake, half of which the one that wakes it pays for. So work is offered, not
//! handed over: the caller takes one task after the other, helpers that come in time do the same, and when no task is left
//! the caller waits for those only that are still at one. A helper that comes too late finds the job closed. One that is
//! done looks out for the next job for a while before it sleeps.
//!
//! A system may wake a thread on the core of the one that wakes it and leave it there, where it waits for its turn though
//! other cores are idle: two that take turns look as if one core were enough. So each helper runs anywhere but where the
//! newest job's caller was when the helper last went to sleep, or met it on one core.
//!
//! Each thread begins with a range of the tasks of its own and then takes from the ends of the others', so that jobs of one
//! kind, one after the other, find what they work on in the caches of the same cores.
//!
//! A job is in a place of the board, which stays where it is when the job is over: what two threads both write they pass
//! to and fro between their caches, at some 0.2 µs each time, and nothing else of a small job takes as long. Of several
//! callers at once each counts as one of the threads: who has the place of number n can have n helpers fewer.
//!
//! Invariants: a caller never waits for a thread that has not begun; at most the given number of threads is in a job at a
//! time; no more threads are asked for while as many are on their way as a job may have. Must not know: what the tasks do,
//! or where helpers are while they sleep.

use std::any::Any;
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::cores::{self, Elsewhere};
use super::missed::Missed;
use super::ranges::Range;

/// How long a thread that is done looks out for the next job: some times what it takes to wake it.
const LOOKOUT: Duration = Duration::from_micros(50);

/// How long a caller looks out for the end of others' tasks before it sleeps.
const PATIENCE: Duration = Duration::from_micros(20);

/// Looks between two looks at the clock.
const LOOKS: usize = 64;

/// Callers that can have help at a time.
const PLACES: usize = 16;

/// Whom a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// As many threads as it may have; those who are missing are asked for.
    Wake,
    /// Those who are there.
    Awake,
}

/// Where callers put up their jobs, and helpers look for them.
#[derive(Debug, Default)]
pub struct Board {
    news: Apart<News>,
    staff: Apart<Staff>,
    missed: Apart<Missed>,
    places: [Place; PLACES],
}

/// What those who look out watch.
#[derive(Debug, Default)]
struct News {
    /// Another one with each job.
    version: AtomicUsize,
    /// Where the caller of that job was when it put it up.
    core: AtomicUsize,
}

/// Apart from its neighbors, which other threads change.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// Who is there.
#[derive(Debug, Default)]
struct Staff {
    /// Threads that were asked for and have not left.
    asked: AtomicUsize,
    /// Those of them who have come.
    awake: AtomicUsize,
}

impl Staff {
    fn leave(&self) {
        self.awake.fetch_sub(1, Ordering::Relaxed);
        self.asked.fetch_sub(1, Ordering::Relaxed);
    }

    /// Nobody comes who was asked for.
    fn stay_away(&self) {
        self.asked.fetch_sub(1, Ordering::Relaxed);
    }

    fn come_back(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.awake.fetch_add(1, Ordering::Relaxed);
    }
}

impl Board {
    /// Whom work is for that a thread would do in so much less time with the help of another; none if it is best done
    /// alone.
    pub fn whom(&self, gain: Duration) -> Option<Call> {
        if self.staff.0.awake.load(Ordering::Relaxed) > 0 {
            return Some(Call::Awake);
        }
        self.missed.0.note(gain).then_some(Call::Wake)
    }

    /// Runs the tasks 0, 1, … on this thread and on up to so many others, each of which `ask` makes call `help`, if it can.
    ///
    /// # Panics
    /// If a task does, with what the first of them panics with, when no task runs anymore.
    pub fn run(&self, tasks: usize, others: usize, call: Call, task: &(dyn Fn(usize) + Sync), ask: impl Fn() -> bool) {
        let taken = self.places.iter().enumerate().take(others).find(|(_, place)| place.take());
        let Some((number, place)) = taken else { return (0..tasks).for_each(task) };
        let taken = Taken(place);
        let most = (others - number).min(tasks.saturating_sub(1));
        // SAFETY: the place was taken by this thread; `taken` closes the job before `task` ends.
        let job = unsafe { place.open(tasks, most, task) };
        self.news.0.core.store(cores::current(), Ordering::Relaxed);
        self.news.0.version.store(job.wrapping_mul(PLACES).wrapping_add(number), Ordering::Release);
        if call == Call::Wake {
            // Who leaves because nothing came sees this job, or is seen to have left.
            fence(Ordering::SeqCst);
            (0..self.missing(most)).filter(|_| !ask()).for_each(|_| self.staff.0.stay_away());
        }
        // SAFETY: this is the caller.
        unsafe { place.work(0) };
        place.close();
        let panic = lock(&place.panic).take();
        drop(taken);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// How many threads are to be asked for, so that there are so many.
    fn missing(&self, wanted: usize) -> usize {
        let missing = |asked: usize| (asked < wanted).then_some(wanted);
        let before = self.staff.0.asked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, missing);
        before.map_or(0, |before| wanted - before)
    }

    /// Takes part in jobs until there has been none for a while, as the helper of this number.
    pub fn help(&self, number: usize, place: &mut Elsewhere) {
        let staff = &self.staff.0;
        staff.awake.fetch_add(1, Ordering::Relaxed);
        let mut since = Instant::now();
        loop {
            let version = self.news.0.version.load(Ordering::Acquire);
            let caller = self.news.0.core.load(Ordering::Relaxed);
            if caller == cores::current() {
                place.than(caller);
            }
            if let Some((job, most)) = self.enter(version) {
                // SAFETY: the job was entered.
                unsafe { job.work(1 + number % most) };
                since = Instant::now();
                job.leave();
            } else if !self.look_out(version, since) {
                // So that it wakes elsewhere next time.
                place.than(caller);
                staff.leave();
                fence(Ordering::SeqCst);
                if self.news.0.version.load(Ordering::Acquire) == version {
                    return;
                }
                // Somebody may have counted on this thread.
                staff.come_back();
            }
        }
    }

    /// A job that was entered, and how many others it may have; the one that is put up last comes first.
    fn enter(&self, version: usize) -> Option<(&Place, usize)> {
        let newest = version % PLACES;
        let places = self.places[newest..].iter().chain(&self.places[..newest]);
        places.into_iter().find_map(|place| Some((place, place.enter()?)))
    }

    /// Returns when there is a new job, or it is time to leave, as there has been none since then; says whether there is one.
    fn look_out(&self, version: usize, since: Instant) -> bool {
        while since.elapsed() < LOOKOUT {
            for _ in 0..LOOKS {
                let newer = self.news.0.version.load(Ordering::Acquire);
                if newer != version {
                    prefetch_for_writing(&self.places[newer % PLACES].job);
                    return true;
                }
                spin_loop();
            }
        }
        false
    }
}

/// A place that a caller has; given back when nobody is at its job.
struct Taken<'a>(&'a Place);

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
struct Place {
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
    /// The tasks that nobody has taken, a range for each thread.
    ranges: Vec<Range>,
}

// SAFETY: `tasks` is written by the one caller that has taken the place, while nobody is inside.
unsafe impl Sync for Job {}

/// A function that its owner waits for.
#[derive(Clone, Copy)]
struct Borrowed(*const (dyn Fn(usize) + Sync));

// SAFETY: what it points to may be called from any thread.
unsafe impl Send for Borrowed {}

impl std::fmt::Debug for Borrowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("task")
    }
}

impl Default for Place {
    fn default() -> Place {
        let tasks = Tasks { job: 0, task: None, ranges: Vec::new() };
        Place {
            is_taken: Apart::default(),
            job: Apart(Job { state: AtomicUsize::new(CLOSED), tasks: UnsafeCell::new(tasks) }),
            caller: Mutex::default(),
            panic: Mutex::default(),
        }
    }
}

impl Place {
    /// Whether this thread may put up a job here.
    fn take(&self) -> bool {
        !self.is_taken.0.load(Ordering::Relaxed) && !self.is_taken.0.swap(true, Ordering::Acquire)
    }

    /// Lets up to so many others in; gives the number of the job.
    ///
    /// # Safety
    /// The place was taken by this thread, and `task` lives until the job was closed.
    unsafe fn open(&self, tasks: usize, most: usize, task: &(dyn Fn(usize) + Sync)) -> usize {
        // SAFETY: only the lifetime changes; the caller vouches for it.
        let task = unsafe {
            std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync + 'static)>(task)
        };
        // SAFETY: nobody is inside, and other callers find the place taken.
        let own = unsafe { &mut *self.job.0.tasks.get() };
        own.job = own.job.wrapping_add(1);
        own.task = Some(Borrowed(task));
        own.ranges.resize_with(most + 1, Range::default);
        Range::share(&own.ranges, tasks);
        self.job.0.state.store(most << MOST, Ordering::Release);
        own.job
    }

    /// Lets this thread in, which then has to leave, if it may; says how many others may be inside.
    fn enter(&self) -> Option<usize> {
        let may = |state: usize| state & CLOSED == 0 && state & INSIDE < state >> MOST;
        let entered = |state: usize| may(state).then_some(state + 1);
        let before = self.job.0.state.fetch_update(Ordering::Acquire, Ordering::Relaxed, entered);
        before.ok().map(|state| state >> MOST)
    }

    /// Does tasks until none is left, those of this range first. After a panic none is.
    ///
    /// # Safety
    /// The job was entered and not left, or this is the caller and the job is not closed.
    unsafe fn work(&self, own: usize) {
        // SAFETY: it is not written before everybody has left and the job is closed.
        let tasks = unsafe { &*self.job.0.tasks.get() };
        let Some(Borrowed(task)) = tasks.task else { return };
        // SAFETY: the caller of `Board::run` keeps it until the job is closed and everybody has left.
        let task = unsafe { &*task };
        let work = || {
            while let Some(number) = tasks.ranges[own].first() {
                task(number);
            }
            // While it is seen that others have none either.
            prefetch_for_writing(&self.job.0.state);
            while let Some(number) = Range::take(&tasks.ranges, own) {
                task(number);
            }
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            tasks.ranges.iter().for_each(Range::clear);
            lock(&self.panic).get_or_insert(panic);
        }
    }

    /// The last look at the job by a thread that has entered: all it did happened before the caller goes on. Nobody
    /// enters anymore, as there is no task left.
    fn leave(&self) {
        let left = |state: usize| Some((state - 1) | CLOSED);
        let before = self.job.0.state.fetch_update(Ordering::Release, Ordering::Relaxed, left);
        if before.is_ok_and(|state| state & SLEEPS != 0 && state & INSIDE == 1)
            && let Some(caller) = &*lock(&self.caller)
        {
            caller.unpark();
        }
    }

    /// Lets nobody enter anymore and waits until everybody has left.
    fn close(&self) {
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

#[cfg(test)]
mod tests;
