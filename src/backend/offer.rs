//! Work that a thread does itself and that others may join.
//!
//! A thread that sleeps takes some 10 µs to wake, half of which the one that wakes it pays for. So work is offered, not
//! handed over: the caller takes some tasks after the others, helpers that come in time do the same, and when no task is left
//! the caller waits for those only that are still at one. A helper that comes too late finds the job closed. One that is
//! done looks out for the next job for a while before it sleeps.
//!
//! Who wakes a thread pays for it, so nobody wakes all. The caller asks for one thread if nobody is there, and again before it
//! takes more tasks if still nobody has come; who comes asks for two more each time, until as many are there or on their way
//! as all jobs together are worth. Where each thread has one task at most everybody asks for two, once: later there may be
//! nothing left to do but empty tasks. So a small job wakes few threads, and of many the caller wakes one or two.
//!
//! A system may wake a thread on the core of the one that wakes it and leave it there, where it waits for its turn though
//! other cores are idle: two that take turns look as if one core were enough. So each helper runs anywhere but where the
//! newest job's caller was when the helper last went to sleep, or met it on one core.
//!
//! A job is in a place of the board. Of several callers at once who has the place of number n can have n helpers fewer in its job.
//!
//! Invariants: a caller never waits for a thread that has not begun; at most the given number of threads is in a job at a
//! time; no more threads are asked for while as many are there or on their way as jobs are worth, or as there may be. Must
//! not know: what the tasks do, or where helpers are while they sleep.
//!
//! Why each order between threads is enough, but for what `place.rs` says of jobs:
//! - *Who sleeps and who calls.* A caller writes `version`, a helper that leaves writes `staff`, each then has a fence of the
//!   one total order and reads what the other wrote: at least one of them sees the other. Only this takes such a fence.
//!   Where another caller's job hides this version at once, the language does not promise that helpers see this job too;
//!   processors do, and if not, its caller does the work alone. A swap would promise it, but waits for the line (0.1 µs).
//! - *Counts of staff, and cores* are advice: a stale one costs a wake too many or too few.

use std::cell::Cell;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::time::{Duration, Instant};

use super::cores::{self, Elsewhere};
use super::missed::Missed;
use super::place::{Apart, DoTasks, LOOKS, Place};
use super::watch::Watch;

/// Callers that can have help at a time.
const PLACES: usize = 16;

/// Whom a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Those who are there; while they are fewer than so many, others are asked for.
    Wake(usize),
    /// Those who are there: so many when this was seen.
    Awake(usize),
}

impl Call {
    /// How many helpers are expected.
    pub fn helpers(self) -> usize {
        match self {
            Call::Wake(helpers) | Call::Awake(helpers) => helpers,
        }
    }

    /// How many helpers it is worth to wake.
    fn wanted(self) -> usize {
        match self {
            Call::Wake(helpers) => helpers,
            Call::Awake(_) => 0,
        }
    }
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

/// Who is there.
#[derive(Debug, Default)]
struct Staff {
    /// Threads that were asked for and have not left.
    asked: AtomicUsize,
    /// Those of them who have come.
    awake: AtomicUsize,
    /// How many all jobs that are worth waking threads are worth together.
    wanted: AtomicUsize,
}

impl Staff {
    fn leave(&self) {
        self.awake.fetch_sub(1, Ordering::Relaxed);
        self.asked.fetch_sub(1, Ordering::Relaxed);
    }

    fn come_back(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.awake.fetch_add(1, Ordering::Relaxed);
    }
}

/// One who was asked for and does not come, be it that asking panicked.
struct Refused<'a>(&'a Staff);

impl Drop for Refused<'_> {
    fn drop(&mut self) {
        self.0.asked.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Board {
    /// Whom work is for, if one more helper than so many would save so much; none if it is best done alone. There may be
    /// so many others.
    pub fn whom(&self, others: impl Fn() -> usize, gain: impl Fn(usize) -> Duration) -> Option<Call> {
        let awake = self.staff.0.awake.load(Ordering::Relaxed);
        let gain = gain(awake);
        let may_grow = !gain.is_zero() && (awake == 0 || awake < others());
        if may_grow && self.missed.0.note(gain) {
            return Some(Call::Wake(awake + 1));
        }
        (awake > 0).then_some(Call::Awake(awake))
    }

    /// Runs the tasks 0, 1, …, some neighbors at a time, on this thread and on up to so many others, each of which `ask` makes
    /// call `help`, if it can.
    ///
    /// # Panics
    /// If a task does, or what is told that a thread was refused, with what the first of them panics with, when no task runs
    /// anymore.
    pub fn run(&self, tasks: usize, others: usize, call: Call, task: DoTasks<'_>, ask: impl Fn() -> bool) {
        let taken = self
            .places
            .iter()
            .enumerate()
            .take(others)
            .find_map(|(number, place)| Some((number, place, place.take()?)));
        let Some((number, place, taken)) = taken else { return task(0..tasks) };
        let staff = &self.staff.0;
        let expected = call.helpers().max(staff.asked.load(Ordering::Relaxed));
        let most = expected.min(others - number).min(tasks.saturating_sub(1));
        let wanted = call.wanted().min(most);
        let asks_up_to = if wanted > 0 { others } else { 0 };
        // Tasks may be one for each thread though earlier callers left this one fewer.
        let one_each = tasks <= most + 1 + number;
        // SAFETY: the place was taken by this thread; `taken` closes the job before `task` ends.
        let job = unsafe { place.open([tasks, most, asks_up_to], one_each, task) };
        let others_want = if wanted > 0 { staff.wanted.fetch_add(wanted, Ordering::Relaxed) } else { 0 };
        self.news.0.core.store(cores::current(), Ordering::Relaxed);
        self.news.0.version.store(job.wrapping_mul(PLACES).wrapping_add(number), Ordering::Release);
        if wanted > 0 {
            // Who leaves because nothing came sees this job, or is seen to have left.
            fence(Ordering::SeqCst);
        }
        // Who is there comes by itself, unless it is at another such job.
        let comes = Cell::new(others_want == 0 && staff.awake.load(Ordering::Relaxed) > 0);
        let ask_one = || comes.replace(false) || place.has_others() || self.ask_for_one(others, &ask);
        // Before its only task a thread asks once.
        let asks = if one_each { 2 } else { 1 };
        // SAFETY: this is the caller.
        unsafe { place.work(0, |_| (0..asks).all(|_| ask_one())) };
        if wanted > 0 {
            // Whoever is still at a task is not there for another job.
            place.close();
            staff.wanted.fetch_sub(wanted, Ordering::Relaxed);
        }
        taken.finish();
    }

    /// Asks for one more thread, if so many others may be there and jobs are worth it; says whether nobody was refused.
    fn ask_for_one(&self, others: usize, ask: impl Fn() -> bool) -> bool {
        let staff = &self.staff.0;
        let most = staff.wanted.load(Ordering::Relaxed).min(others);
        let one_more = |asked: usize| (asked < most).then_some(asked + 1);
        if staff.asked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            return true;
        }
        let refused = Refused(staff);
        let comes = ask();
        if comes {
            std::mem::forget(refused);
        }
        comes
    }

    /// Takes part in jobs until there has been none for a while, as the helper of this number; `ask` makes another call
    /// this, if it can, where there may be so many.
    pub fn help(&self, number: usize, place: &mut Elsewhere, ask: impl Fn(usize) -> bool) {
        let staff = &self.staff.0;
        staff.awake.fetch_add(1, Ordering::Relaxed);
        let mut watch = Watch::new();
        loop {
            let version = self.news.0.version.load(Ordering::Acquire);
            let caller = self.news.0.core.load(Ordering::Relaxed);
            if caller == cores::current() {
                place.than(caller);
            }
            if let Some((job, most)) = self.enter(version) {
                let ask_two = |others: usize| (0..2).all(|_| self.ask_for_one(others, || ask(others)));
                // SAFETY: the job was entered.
                let has_worked = unsafe { job.work(1 + number % most, ask_two) };
                job.leave();
                if has_worked {
                    watch.has_worked();
                }
            } else if !self.look_out(version, &mut watch) {
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

    /// Returns when there is a new job, or it is time to leave; says whether there is one.
    fn look_out(&self, version: usize, watch: &mut Watch) -> bool {
        while watch.goes_on(Instant::now()) {
            for _ in 0..LOOKS {
                let newer = self.news.0.version.load(Ordering::Acquire);
                if newer != version {
                    self.places[newer % PLACES].prefetch();
                    // While that is on its way.
                    watch.looks_up(Instant::now());
                    return true;
                }
                spin_loop();
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
