//! When a launch is split, into how many tasks, and who runs them.
//!
//! The cost model: an element costs what its ops take or what its bytes take, whichever is more, in picoseconds. A launch
//! costs that times its elements. From [`SMALL`] on it is shared with threads that are awake, and wakes one when that would
//! have paid for some launches before; from [`LARGE`] on it wakes them at once. Weights need to be right to a factor of two or
//! so: at the threshold a launch gains little from a second thread and loses little. Those of cheap ops and of bytes were
//! measured on a core of 2 × 256 bits at 3.7 GHz, those of divisions and functions are estimates; `cargo bench --bench calls
//! -- element` prints them all, `-- n =` what launches around the thresholds gain.
//!
//! Invariant: below the threshold nothing of rayon is touched. Must not know: what the tasks do.

use std::ops::Range;
use std::time::Duration;

use crate::backend::{Call, Parallelism};
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

/// The cost from which another thread pays that is awake: 4 µs, of which a second one saves one.
const SMALL: usize = 4_000_000;

/// The cost for which it pays to wake one at once, and for each further one: 25 µs, some times what it takes.
const LARGE: usize = 25_000_000;

/// What it costs to share a launch with a thread that is awake: 1 µs.
const SHARING: usize = 1_000_000;

/// What the caller does of a small launch until others begin: 0.4 µs.
const LEAD: usize = 400_000;

/// The least cost of a task: 2 µs.
const TASK: usize = 2_000_000;

/// Tasks per thread of a large launch. Threads take many at a time at first, and wait for the last one of another's.
const PER_THREAD: usize = 64;

/// Larger tasks per thread, so that uneven ones even out, where small ones cost more.
const FEW: usize = 8;

/// How a launch is split.
#[derive(Debug, Clone, Copy)]
pub(super) struct Split {
    /// How many tasks it has; 1 means no split.
    pub tasks: usize,
    /// How many it has where small ones cost more.
    pub few: usize,
    /// Whom they are for.
    pub call: Call,
    /// Elements that the caller has done when others begin.
    pub lead: usize,
}

/// Whether launches of so many elements of such weight may be split.
pub(super) fn may_split(parallelism: &Parallelism, elements: usize, weight: usize) -> bool {
    let least = parallelism.threshold.unwrap_or(SMALL.div_ceil(weight.max(1)));
    elements >= least.max(2) && parallelism.may_share()
}

/// How a launch of so many elements of such weight is split now.
pub(super) fn split(parallelism: &Parallelism, elements: usize, weight: usize) -> Split {
    let alone = Split { tasks: 1, few: 1, call: Call::Awake(0), lead: 0 };
    if !may_split(parallelism, elements, weight) {
        return alone;
    }
    let cost = elements.saturating_mul(weight);
    let is_small = parallelism.threshold.is_none() && cost < LARGE;
    let wake = Call::Wake(if parallelism.threshold.is_some() { usize::MAX } else { cost / LARGE });
    let whom = if is_small { parallelism.whom(|helpers| gain(cost, helpers)) } else { Some(wake) };
    let Some(call) = whom else { return alone };
    let threads = parallelism.threads();
    if threads == 1 {
        return alone;
    }
    let most = if parallelism.threshold.is_some() { elements } else { (cost / TASK).max(2) };
    if is_small {
        // The threads begin almost at once, and more tasks cost more than they even out.
        let tasks = (1 + call.helpers()).min(threads).min(most);
        return Split { tasks, few: tasks, call, lead: LEAD / weight.max(1) };
    }
    let up_to = |per_thread: usize| (threads * per_thread).min(most);
    Split { tasks: up_to(PER_THREAD), few: up_to(FEW), call, lead: 0 }
}

/// What a launch of such cost gains from one more helper than so many.
fn gain(cost: usize, helpers: usize) -> Duration {
    let threads = helpers + 1;
    Duration::from_nanos(((cost / (threads * (threads + 1))).saturating_sub(SHARING) / 1000) as u64)
}

/// Runs the tasks 0, 1, … of a launch that is split so, which may have become more or fewer; some neighbors at a time.
pub(super) fn run(parallelism: &Parallelism, split: Split, tasks: usize, task: impl Fn(Range<usize>) + Send + Sync) {
    parallelism.run_for(split.call, tasks, task);
}

/// The part of a range of so many iterations that some of so many tasks do.
pub(super) fn share(count: usize, tasks: usize, some: Range<usize>) -> Range<usize> {
    let bound = |task: usize| (count as u128 * task as u128 / tasks as u128) as usize;
    bound(some.start)..bound(some.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Pool;

    use std::collections::BTreeSet;
    use std::sync::{Condvar, Mutex};

    /// How long a test waits for threads before it fails.
    const LIMIT: Duration = Duration::from_secs(60);

    #[test]
    fn shares_cover_everything_once() {
        for (count, tasks) in [(0, 1), (7, 3), (8, 8), (1000, 7), (3, 5)] {
            let all: Vec<usize> = (0..tasks).flat_map(|task| share(count, tasks, task..task + 1)).collect();
            assert!(all.into_iter().eq(0..count), "{count} {tasks}");
        }
    }

    /// The threads that run some tasks, by name; no task ends before the given threads have begun one each.
    fn names(
        parallelism: &Parallelism,
        count: usize,
        awaited: impl Fn(&BTreeSet<String>) -> bool + Sync,
    ) -> BTreeSet<String> {
        let (seen, news) = (Mutex::new(BTreeSet::new()), Condvar::new());
        parallelism.run(count, |_| {
            let mut seen = seen.lock().unwrap();
            seen.insert(std::thread::current().name().unwrap_or("unnamed").to_string());
            news.notify_all();
            let (_seen, waited) = news.wait_timeout_while(seen, LIMIT, |seen| !awaited(seen)).unwrap();
            assert!(!waited.timed_out(), "not all came");
        });
        seen.into_inner().unwrap()
    }

    fn own(threads: usize, threshold: Option<usize>) -> Parallelism {
        Parallelism { pool: Some(std::sync::Arc::new(Pool::new(threads))), threshold }
    }

    fn callers(threads: usize) -> rayon::ThreadPool {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
        builder.thread_name(|index| format!("callers-{index}")).build().unwrap()
    }

    #[test]
    fn the_callers_pool_runs_the_tasks_unless_the_function_has_its_own() {
        let callers = callers(2);
        let two = |seen: &BTreeSet<String>| seen.len() == 2;
        let inside = callers.install(|| {
            (split(&Parallelism::default(), 10_000_000, 100).tasks, names(&Parallelism::default(), 8, two))
        });
        assert_eq!(inside.0, 2 * PER_THREAD);
        assert_eq!(inside.1.into_iter().collect::<Vec<_>>(), ["callers-0", "callers-1"]);
        let inside = callers.install(|| names(&own(2, None), 8, two));
        assert_eq!(inside.into_iter().collect::<Vec<_>>(), ["kroton-0", "kroton-1"]);
        let alone = self::callers(1).install(|| split(&Parallelism::default(), 10_000_000, 100).tasks);
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
        let mut parallelism = own(3, None);
        let tasks = |parallelism: &Parallelism, elements| split(parallelism, elements, 100).tasks;
        assert_eq!(tasks(&parallelism, 1000), 1);
        assert!(!may_split(&parallelism, 39_999, 100) && may_split(&parallelism, 40_000, 100));
        // Nobody is there, and one that is small is not worth the waking.
        assert_eq!([tasks(&parallelism, 200_000), tasks(&parallelism, 250_000)], [1, 12]);
        assert_eq!([tasks(&parallelism, 1_000_000), tasks(&parallelism, 10_000_000)], [50, 192]);
        let large = split(&parallelism, 10_000_000, 100);
        assert_eq!(large.few, 24);
        // The threads of a pool are not offered work, so somebody would have to be woken.
        let inside = |elements| callers(3).install(|| tasks(&parallelism, elements));
        assert_eq!([inside(240_000), inside(250_000)], [1, 12]);
        parallelism.threshold = Some(1);
        assert_eq!([tasks(&parallelism, 1000), tasks(&parallelism, 5)], [192, 5]);
        parallelism.threshold = Some(1_000_000);
        assert_eq!(tasks(&parallelism, 100_000), 1);
        assert!(!may_split(&own(1, None), usize::MAX, 100));
    }

    /// Small launches that follow each other closely wake a thread, and then are shared with it.
    #[test]
    fn small_launches_in_a_row_are_split() {
        let parallelism = own(3, None);
        let start = std::time::Instant::now();
        let shared = (0..).take_while(|_| start.elapsed() < 5 * LIMIT).any(|_| {
            let split = split(&parallelism, 80_000, 100);
            run(&parallelism, split, split.tasks, |_| ());
            split.tasks == 2 && split.call == Call::Awake(1)
        });
        assert!(shared, "nobody came");
    }

    /// The caller is one of the threads.
    #[test]
    fn a_plain_caller_works_too() {
        for threads in [2, 3] {
            let parallelism = own(threads, None);
            let caller = std::thread::Builder::new().name("caller".to_string());
            let both = |seen: &BTreeSet<String>| seen.contains("caller") && seen.len() >= 2;
            let names = caller.spawn(move || names(&parallelism, 40, both)).unwrap().join().unwrap();
            assert!(names.len() <= threads, "{names:?}");
        }
    }
}
