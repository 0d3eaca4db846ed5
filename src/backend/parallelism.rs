//! Who runs a launch.
//!
//! A caller that is a thread of a rayon pool shares its tasks with that pool, or with the function's own. Any other caller
//! does tasks itself and offers them to a crew, which the function's pool has and rayon's global one: one thread less than
//! the pool. A pool's own threads would look for other work now and then, all of them where one is woken, and so more
//! threads would run than there are cores. A function's own pool of rayon's is made when it is first needed: by a caller within
//! rayon, for tasks in the background, or for products of matrices. Its global one is made when its size is first asked for,
//! which nobody else knows: by the first launch that is worth sharing and has no pool of its own. Must not know: what the
//! tasks do, or when a launch is split.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rayon::prelude::*;

use super::cores::{Cores, Elsewhere};
use super::crew::Crew;
pub use super::fork::{is_child, watch_forks};
pub use super::offer::Call;
use super::refusal::{self, Refusal};

/// Who runs a launch, and from what size on in parallel.
#[derive(Debug, Clone, Default)]
pub struct Parallelism {
    /// The pool; none means the caller's, or rayon's global one.
    pub pool: Option<Arc<Pool>>,
    /// The number of elements from which a launch is split; none means an estimate of its cost.
    pub threshold: Option<usize>,
}

/// So many threads: of rayon's for who is in a pool or needs one, or the caller itself and those who help it. Neither are
/// started before they are needed.
pub struct Pool {
    threads: usize,
    /// Where they may run.
    cores: Cores,
    crew: Crew,
    rayon: OnceLock<rayon::ThreadPool>,
    /// Held while the pool is made.
    refusal: Mutex<Refusal>,
}

/// How many parts of a launch rayon has for each thread.
const PARTS: usize = 8;

/// Those who help where rayon's global pool counts.
static GLOBAL: LazyLock<Crew> = LazyLock::new(|| Crew::new(Cores::of_the_process()));

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} threads", self.threads)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if is_child() {
            // Its threads are not there.
            std::mem::forget(self.rayon.take());
        }
    }
}

impl Pool {
    /// One for this many threads, which may run where this one may.
    pub fn new(threads: usize) -> Pool {
        let cores = Cores::of_this_thread();
        Pool { threads, cores, crew: Crew::new(cores), rayon: OnceLock::new(), refusal: Mutex::default() }
    }

    /// The threads as a pool of rayon's; none if the system refuses to start them.
    pub fn rayon(&self) -> Option<&rayon::ThreadPool> {
        if is_child() {
            return None;
        }
        if let Some(pool) = self.rayon.get() {
            return Some(pool);
        }
        watch_forks();
        // Nothing panics under this lock.
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        if self.rayon.get().is_none() && !refusal.holds() {
            match self.build() {
                Ok(pool) => drop(self.rayon.set(pool)),
                Err(error) => {
                    let is_news = refusal.note();
                    drop(refusal);
                    if is_news {
                        refusal::warn(&error);
                    }
                }
            }
        }
        self.rayon.get()
    }

    fn build(&self) -> Result<rayon::ThreadPool, rayon::ThreadPoolBuildError> {
        let cores = self.cores;
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .thread_name(|index| format!("kroton-{index}"))
            // Whoever needs them first does not say where they run.
            .start_handler(move |_| _ = Elsewhere::within(cores))
            .build()
    }
}

impl Parallelism {
    /// All launches run on the caller's thread.
    pub fn none() -> Parallelism {
        Parallelism { pool: None, threshold: Some(usize::MAX) }
    }

    /// How many threads there are to run on.
    pub fn threads(&self) -> usize {
        match &self.pool {
            _ if is_child() => 1,
            Some(pool) => pool.threads,
            None => {
                // This may make rayon's global pool.
                watch_forks();
                rayon::current_num_threads()
            }
        }
    }

    /// Whether there is more than one thread, as far as that is known without a look at rayon.
    pub fn may_share(&self) -> bool {
        self.threshold != Some(usize::MAX) && !is_child() && self.pool.as_ref().is_none_or(|pool| pool.threads > 1)
    }

    /// Whether tasks are offered; within a pool they are handed to threads that might have to be woken.
    fn offers() -> bool {
        rayon::current_thread_index().is_none()
    }

    /// Whom work is for that gains so little from one more helper than so many that it may not be worth to wake one; none if
    /// it is best done alone.
    pub fn whom(&self, gain: impl Fn(usize) -> Duration) -> Option<Call> {
        if Parallelism::offers() { self.crew().whom(|| self.threads() - 1, gain) } else { None }
    }

    /// Runs the tasks 0, 1, …, which are worth the waking of threads; a single one touches nothing of rayon.
    pub fn run(&self, tasks: usize, task: impl Fn(usize) + Send + Sync) {
        self.run_for(Call::Wake(usize::MAX), tasks, |tasks| tasks.for_each(&task));
    }

    /// Runs the tasks 0, 1, …, some neighbors at a time, with those for whom they are.
    pub fn run_for(&self, call: Call, tasks: usize, task: impl Fn(Range<usize>) + Send + Sync) {
        if tasks <= 1 || is_child() {
            return task(0..tasks);
        }
        if Parallelism::offers() {
            return self.crew().share(tasks, self.threads() - 1, call, &task);
        }
        let parts = tasks.min(self.threads() * PARTS);
        let bound = |part: usize| (tasks as u128 * part as u128 / parts as u128) as usize;
        let run = |part: usize| task(bound(part)..bound(part + 1));
        let shared = || (0..parts).into_par_iter().with_max_len(1).for_each(run);
        match self.pool.as_deref().map(Pool::rayon) {
            None => shared(),
            Some(Some(pool)) => pool.install(shared),
            Some(None) => task(0..tasks),
        }
    }

    /// Those who help callers outside of any pool.
    fn crew(&self) -> &Crew {
        // From here on something counts on threads.
        watch_forks();
        match &self.pool {
            Some(pool) => &pool.crew,
            None => &GLOBAL,
        }
    }
}
