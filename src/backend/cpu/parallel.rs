//! When a launch is split, into how many tasks, and who runs them.
//!
//! The cost model: an element costs what its ops take or what its bytes take, whichever is more, in picoseconds. A launch
//! costs that times its elements. From [`SMALL`] on it is offered to threads that are awake, from [`LARGE`] on to sleeping
//! ones too, in tasks of at least [`TASK`]. Weights need to be right to a factor of two or so: at the threshold a launch
//! gains little from a second thread and loses little. Those of cheap ops and of bytes were measured on a core of 2 × 256
//! bits at 3.7 GHz, those of divisions and functions are estimates; `cargo bench --bench calls -- element` prints them all,
//! `-- n =` what launches around the thresholds gain.
//!
//! Invariant: below the threshold nothing of rayon is touched. Must not know: what the tasks do.

use std::ops::Range;

use crate::backend::Parallelism;
use crate::ops::Cost;

/// What an op costs for one element of so many bytes.
pub(super) const fn op_weight(cost: Cost, size: usize) -> usize {
    // Bools and bytes are taken for four bytes, as what is compared or converted is mostly as wide.
    let size = if size < 4 { 4 } else { size };
    match cost {
        Cost::Cheap => 3 * size,
        Cost::Moderate => 40 * size,
        Cost::Function => 160 * size,
    }
}

/// What it costs to move so many bytes for an element to and from the second level of the cache, with the loop around it.
pub(super) const fn moved_weight(bytes: usize) -> usize {
    10 * bytes + 20
}

/// The cost from which another thread pays that is awake: 10 µs. At 4 µs one gains nothing yet.
const SMALL: usize = 10_000_000;

/// The cost from which it pays to wake one: 25 µs, some times what it takes.
const LARGE: usize = 25_000_000;

/// The least cost of a task: 2 µs.
const TASK: usize = 2_000_000;

/// Tasks per thread, so that uneven ones even out.
const PER_THREAD: usize = 8;

/// How a launch is split.
#[derive(Debug, Clone, Copy)]
pub(super) struct Split {
    /// How many tasks it has; 1 means no split.
    pub tasks: usize,
    /// Whether it is too small to wake threads.
    pub is_small: bool,
}

/// Whether a launch of so many elements of such weight is split if there are several threads.
pub(super) fn is_split(parallelism: &Parallelism, elements: usize, weight: usize) -> bool {
    let worthwhile = || elements.saturating_mul(weight) >= SMALL;
    elements >= 2 && parallelism.threshold.map_or_else(worthwhile, |threshold| elements >= threshold)
}

/// How a launch of so many elements of such weight is split.
pub(super) fn split(parallelism: &Parallelism, elements: usize, weight: usize) -> Split {
    let cost = elements.saturating_mul(weight);
    let is_small = parallelism.threshold.is_none() && cost < LARGE;
    let alone = Split { tasks: 1, is_small };
    if !is_split(parallelism, elements, weight) || (is_small && !parallelism.offers()) {
        return alone;
    }
    let threads = parallelism.threads();
    if threads == 1 {
        return alone;
    }
    let most = if parallelism.threshold.is_some() { elements } else { (cost / TASK).max(2) };
    Split { tasks: (threads * PER_THREAD).min(most), is_small }
}

/// Runs the tasks 0, 1, … of a launch that is split so, which may have become more or fewer.
pub(super) fn run(parallelism: &Parallelism, split: Split, tasks: usize, task: impl Fn(usize) + Send + Sync) {
    if split.is_small { parallelism.run_small(tasks, task) } else { parallelism.run(tasks, task) }
}

/// The part of a range of so many iterations that a task does.
pub(super) fn share(count: usize, tasks: usize, task: usize) -> Range<usize> {
    let bound = |task: usize| (count as u128 * task as u128 / tasks as u128) as usize;
    bound(task)..bound(task + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Pool;

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
        parallelism.run(count, |_| {
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

    fn pool(threads: usize, name: &'static str) -> std::sync::Arc<Pool> {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
        std::sync::Arc::new(builder.thread_name(move |index| format!("{name}-{index}")).build().unwrap().into())
    }

    #[test]
    fn the_callers_pool_runs_the_tasks_unless_the_function_has_its_own() {
        let (callers, own) = (pool(2, "callers"), pool(2, "own"));
        let inside = callers
            .install(|| (split(&Parallelism::default(), 10_000_000, 100).tasks, names(&Parallelism::default(), 8)));
        assert_eq!(inside.0, 2 * PER_THREAD);
        assert_eq!(inside.1.into_iter().collect::<Vec<_>>(), ["callers-0", "callers-1"]);
        let parallelism = Parallelism { pool: Some(own), threshold: None };
        let inside = callers.install(|| names(&parallelism, 8));
        assert_eq!(inside.into_iter().collect::<Vec<_>>(), ["own-0", "own-1"]);
        let alone = pool(1, "alone").install(|| split(&Parallelism::default(), 10_000_000, 100).tasks);
        assert_eq!(alone, 1, "one thread needs no tasks");
    }

    #[test]
    fn small_launches_stay_on_the_callers_thread() {
        let caller = std::thread::current().id();
        let parallelism = Parallelism::default();
        let split = split(&parallelism, 1000, 100);
        run(&parallelism, split, split.tasks, |_| assert_eq!(std::thread::current().id(), caller));
    }

    #[test]
    fn small_launches_are_not_split() {
        let mut parallelism = Parallelism { pool: Some(pool(3, "three")), threshold: None };
        let tasks = |parallelism: &Parallelism, elements| split(parallelism, elements, 100).tasks;
        assert_eq!(tasks(&parallelism, 1000), 1);
        assert_eq!([tasks(&parallelism, 99_999), tasks(&parallelism, 100_000)], [1, 5]);
        assert_eq!(tasks(&parallelism, 1_000_000), 24);
        // The threads of a pool are not offered work, so somebody would have to be woken.
        let inside = |elements| pool(3, "callers").install(|| tasks(&parallelism, elements));
        assert_eq!([inside(240_000), inside(250_000)], [1, 12]);
        parallelism.threshold = Some(1);
        assert_eq!(tasks(&parallelism, 1000), 24);
        assert_eq!(tasks(&parallelism, 5), 5);
        parallelism.threshold = Some(1_000_000);
        assert_eq!(tasks(&parallelism, 100_000), 1);
    }

    /// The caller is one of the threads.
    #[test]
    fn a_plain_caller_works_too() {
        for threads in [2, 3] {
            let parallelism = Parallelism { pool: Some(pool(threads, "own")), threshold: None };
            let caller = std::thread::Builder::new().name("caller".to_string());
            let names = caller.spawn(move || names(&parallelism, 40)).unwrap().join().unwrap();
            assert!(names.contains("caller") && names.len() >= 2, "{names:?}");
        }
    }
}
