//! When a launch is split, into how many tasks, and who runs them.
//!
//! The cost model: an element costs the weights of its ops and of the bytes it moves, in fortieths of a nanosecond; a cheap
//! op takes about two of these on one lane of a vector. A launch costs that times its elements. From [`WORTHWHILE`] on it is
//! split, into tasks of at least [`TASK`]. Weights are guesses that need to be right to a factor of two or so: at the
//! threshold a launch gains little from a second thread and loses little. `cargo bench --bench calls` prints what launches
//! around the threshold gain.
//!
//! Invariant: below the threshold nothing of rayon is touched. Must not know: what the tasks do.

use std::ops::Range;

use crate::backend::Parallelism;
use crate::ops::Cost;

/// What an op costs for one element.
pub(super) const fn op_weight(cost: Cost) -> usize {
    match cost {
        Cost::Cheap => 2,
        Cost::Moderate => 40,
        // Kernels take one to five nanoseconds.
        Cost::Function => 60,
    }
}

/// What `mul_add` costs where it is one instruction.
pub(super) const MUL_ADD_WEIGHT: usize = 2 * op_weight(Cost::Cheap);

/// What it costs to move so many bytes for an element, with the loop around it.
pub(super) const fn moved_weight(bytes: usize) -> usize {
    bytes / 8 + 1
}

/// The cost from which splitting pays: about 20 µs, some times what it takes to wake a thread.
const WORTHWHILE: usize = 800_000;

/// The least cost of a task.
const TASK: usize = 100_000;

/// Tasks per thread, so that uneven ones even out.
const PER_THREAD: usize = 4;

/// Whether a launch of so many elements of such weight is split if there are several threads.
pub(super) fn is_split(parallelism: &Parallelism, elements: usize, weight: usize) -> bool {
    let worthwhile = || elements.saturating_mul(weight) >= WORTHWHILE;
    elements >= 2 && parallelism.threshold.map_or_else(worthwhile, |threshold| elements >= threshold)
}

/// How many tasks a launch of so many elements of such weight is split into; 1 means no split.
pub(super) fn tasks(parallelism: &Parallelism, elements: usize, weight: usize) -> usize {
    if !is_split(parallelism, elements, weight) {
        return 1;
    }
    let cost = elements.saturating_mul(weight);
    let threads = parallelism.threads();
    if threads == 1 {
        return 1;
    }
    let most = if parallelism.threshold.is_some() { elements } else { (cost / TASK).max(2) };
    (threads * PER_THREAD).min(most)
}

/// Runs the tasks 0, 1, … on the pool.
pub(super) fn run(parallelism: &Parallelism, tasks: usize, task: impl Fn(usize) + Send + Sync) {
    parallelism.run(tasks, task);
}

/// The part of a range of so many iterations that a task does.
pub(super) fn share(count: usize, tasks: usize, task: usize) -> Range<usize> {
    let bound = |task: usize| (count as u128 * task as u128 / tasks as u128) as usize;
    bound(task)..bound(task + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_everything_once() {
        for (count, tasks) in [(0, 1), (7, 3), (8, 8), (1000, 7), (3, 5)] {
            let all: Vec<usize> = (0..tasks).flat_map(|task| share(count, tasks, task)).collect();
            assert!(all.into_iter().eq(0..count), "{count} {tasks}");
        }
    }

    /// The threads that run some tasks, by name.
    fn names(parallelism: &Parallelism, count: usize) -> std::collections::BTreeSet<String> {
        let seen = std::sync::Mutex::new(std::collections::BTreeSet::new());
        let started = std::sync::atomic::AtomicUsize::new(0);
        run(parallelism, count, |_| {
            let name = std::thread::current().name().unwrap_or("unnamed").to_string();
            seen.lock().unwrap().insert(name);
            // Waits for another task, so that one thread does not run them all.
            started.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let start = std::time::Instant::now();
            while started.load(std::sync::atomic::Ordering::Relaxed) < 2 && start.elapsed().as_secs() < 60 {
                std::thread::yield_now();
            }
        });
        seen.into_inner().unwrap()
    }

    fn pool(threads: usize, name: &'static str) -> std::sync::Arc<rayon::ThreadPool> {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
        std::sync::Arc::new(builder.thread_name(move |index| format!("{name}-{index}")).build().unwrap())
    }

    #[test]
    fn the_callers_pool_runs_the_tasks_unless_the_function_has_its_own() {
        let (callers, own) = (pool(2, "callers"), pool(2, "own"));
        let inside =
            callers.install(|| (tasks(&Parallelism::default(), 10_000_000, 4), names(&Parallelism::default(), 8)));
        assert_eq!(inside.0, 2 * PER_THREAD);
        assert_eq!(inside.1.into_iter().collect::<Vec<_>>(), ["callers-0", "callers-1"]);
        let parallelism = Parallelism { pool: Some(own), threshold: None };
        let inside = callers.install(|| names(&parallelism, 8));
        assert_eq!(inside.into_iter().collect::<Vec<_>>(), ["own-0", "own-1"]);
        let alone = pool(1, "alone").install(|| tasks(&Parallelism::default(), 10_000_000, 4));
        assert_eq!(alone, 1, "one thread needs no tasks");
    }

    #[test]
    fn small_launches_stay_on_the_callers_thread() {
        let caller = std::thread::current().id();
        let parallelism = Parallelism::default();
        let count = tasks(&parallelism, 1000, 4);
        run(&parallelism, count, |_| assert_eq!(std::thread::current().id(), caller));
    }

    #[test]
    fn small_launches_are_not_split() {
        let pool = std::sync::Arc::new(rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap());
        let mut parallelism = Parallelism { pool: Some(pool), threshold: None };
        assert_eq!(tasks(&parallelism, 1000, 4), 1);
        assert_eq!(tasks(&parallelism, 1_000_000, 4), 12);
        parallelism.threshold = Some(1);
        assert_eq!(tasks(&parallelism, 1000, 4), 12);
        assert_eq!(tasks(&parallelism, 5, 4), 5);
        parallelism.threshold = Some(1_000_000);
        assert_eq!(tasks(&parallelism, 100_000, 4), 1);
    }
}
