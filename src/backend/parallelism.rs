//! Who runs a launch.
//!
//! A caller that is a thread of a rayon pool shares its tasks with that pool, or with the function's own. Any other caller
//! does tasks itself and offers them to a crew, which the function's pool has and rayon's global one: one thread less than
//! the pool. A pool's own threads would look for other work now and then, all of them where one is woken, and so more
//! threads would run than there are cores. Must not know: what the tasks do, or when a launch is split.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rayon::prelude::*;

use super::cores::Cores;
use super::crew::Crew;
pub use super::offer::Call;

/// Who runs a launch, and from what size on in parallel.
#[derive(Debug, Clone, Default)]
pub struct Parallelism {
    /// The pool; none means the caller's, or rayon's global one.
    pub pool: Option<Arc<Pool>>,
    /// The number of elements from which a launch is split; none means an estimate of its cost.
    pub threshold: Option<usize>,
}

/// A pool of threads, and those who help callers outside of it.
pub struct Pool {
    threads: rayon::ThreadPool,
    crew: Crew,
}

/// Those who help where rayon's global pool counts.
static GLOBAL: LazyLock<Crew> = LazyLock::new(|| Crew::new(Cores::of_the_process()));

impl From<rayon::ThreadPool> for Pool {
    fn from(threads: rayon::ThreadPool) -> Pool {
        Pool { threads, crew: Crew::new(Cores::of_this_thread()) }
    }
}

impl Deref for Pool {
    type Target = rayon::ThreadPool;

    fn deref(&self) -> &rayon::ThreadPool {
        &self.threads
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} threads", self.threads.current_num_threads())
    }
}

impl Parallelism {
    /// All launches run on the caller's thread.
    pub fn none() -> Parallelism {
        Parallelism { pool: None, threshold: Some(usize::MAX) }
    }

    /// How many threads there are to run on.
    pub fn threads(&self) -> usize {
        self.pool.as_ref().map_or_else(rayon::current_num_threads, |pool| pool.current_num_threads())
    }

    /// Whether there is more than one thread, as far as that is known without a look at rayon.
    pub fn may_share(&self) -> bool {
        self.threshold != Some(usize::MAX) && self.pool.as_ref().is_none_or(|pool| pool.current_num_threads() > 1)
    }

    /// Whether tasks are offered; within a pool they are handed to threads that might have to be woken.
    fn offers() -> bool {
        rayon::current_thread_index().is_none()
    }

    /// Whom work is for that gains so little from another thread that it may not be worth to wake one; none if it is
    /// best done alone.
    pub fn whom(&self, gain: Duration) -> Option<Call> {
        if Parallelism::offers() { self.crew().whom(gain) } else { None }
    }

    /// Runs the tasks 0, 1, …, which are worth the waking of threads; a single one touches nothing of rayon.
    pub fn run(&self, tasks: usize, task: impl Fn(usize) + Send + Sync) {
        self.run_for(Call::Wake, tasks, task);
    }

    /// Runs the tasks 0, 1, …, with those for whom they are.
    pub fn run_for(&self, call: Call, tasks: usize, task: impl Fn(usize) + Send + Sync) {
        if tasks <= 1 {
            return (0..tasks).for_each(task);
        }
        let shared = || (0..tasks).into_par_iter().with_max_len(1).for_each(&task);
        match (&self.pool, Parallelism::offers()) {
            (Some(pool), false) => pool.install(shared),
            (None, false) => shared(),
            (_, true) => {
                let (crew, others) = (self.crew(), self.threads() - 1);
                crew.run(tasks, others, call, &task, || crew.ask(others));
            }
        }
    }

    /// Those who help callers outside of any pool.
    fn crew(&self) -> &Crew {
        self.pool.as_ref().map_or(&GLOBAL, |pool| &pool.crew)
    }
}
