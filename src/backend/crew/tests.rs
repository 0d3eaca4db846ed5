//! Threads of crews: how many there are, when they are started, woken and ended, and what becomes of those that fail.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Weak};
use std::time::{Duration, Instant};

use super::*;

/// How long a test waits for threads before it fails.
const LIMIT: Duration = Duration::from_secs(60);

/// All that there may be.
const ALL: Call = Call::Wake(usize::MAX);

fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() && start.elapsed() < LIMIT {
        thread::yield_now();
    }
    assert!(condition(), "it took a minute");
}

/// Tasks that wait for each other, so that each has a thread of its own.
#[derive(Default)]
struct Together(Mutex<usize>, Condvar);

impl Together {
    fn wait_for(&self, count: usize) {
        let mut here = self.0.lock().unwrap();
        *here += 1;
        self.1.notify_all();
        let (_here, waited) = self.1.wait_timeout_while(here, LIMIT, |here| *here < count).unwrap();
        assert!(!waited.timed_out(), "not all came");
    }
}

/// Each of some tasks.
fn each(task: impl Fn(usize) + Sync) -> impl Fn(Range<usize>) + Sync {
    move |tasks| tasks.for_each(&task)
}

fn crew() -> Crew {
    Crew::new(Cores::of_this_thread())
}

/// Runs as many tasks as threads, which all take part.
fn run_together(crew: &Crew, threads: usize) {
    let together = Together::default();
    crew.share(threads, threads - 1, ALL, &each(|_| together.wait_for(threads)));
}

#[test]
fn threads_are_started_once_and_end_with_the_crew() {
    let crew = crew();
    for round in 0..20 {
        run_together(&crew, 3);
        assert_eq!(crew.0.rota().threads, 2, "{round}");
        if round % 2 == 0 {
            wait_until(|| crew.0.rota().resting.len() == 2);
        }
    }
    let quarters: Weak<Quarters> = Arc::downgrade(&crew.0);
    drop(crew);
    wait_until(|| quarters.strong_count() == 0);
}

/// The caller starts or wakes one thread; those who come start or wake the others.
#[test]
fn a_caller_asks_for_one_of_many() {
    let crew = crew();
    for is_rested in [false, true] {
        let (together, asked) = (Together::default(), AtomicUsize::new(0));
        let ask = || {
            asked.fetch_add(1, Ordering::Relaxed);
            crew.0.send(15)
        };
        let seen = Mutex::new(None);
        let task = |_: usize| {
            together.wait_for(16);
            // Before the caller might ask again, when others have left.
            seen.lock().unwrap().get_or_insert_with(|| (asked.load(Ordering::Relaxed), crew.0.rota().threads));
        };
        crew.run(160, 15, ALL, &each(task), ask);
        assert_eq!(seen.into_inner().unwrap(), Some((1, 15)), "{is_rested}");
        wait_until(|| crew.0.rota().resting.len() == 15);
    }
}

/// A job that is worth one helper has one of those who sleep, and none is started for it when there is one.
#[test]
fn a_small_job_wakes_one_of_many() {
    let crew = crew();
    let both = |call: Call| {
        let together = Together::default();
        crew.share(2, 15, call, &each(|_| together.wait_for(2)));
    };
    for _ in 0..3 {
        both(Call::Wake(1));
        wait_until(|| crew.0.rota().resting.len() == 1);
    }
    run_together(&crew, 16);
    wait_until(|| crew.0.rota().resting.len() == 15);
    let last = crew.0.rota().resting.last().unwrap().0;
    // Who slept least.
    let seen = Mutex::new(Vec::new());
    let together = Together::default();
    let task = |task: usize| {
        seen.lock().unwrap().push(thread::current().name().map(str::to_string));
        if task == 0 || task == 20 {
            together.wait_for(2);
        }
    };
    crew.share(40, 15, Call::Wake(1), &each(task));
    let name = format!("kroton-help-{last}");
    let mut helpers = seen.into_inner().unwrap();
    helpers.retain(|who| who.as_deref().is_some_and(|who| who.starts_with("kroton")));
    assert!(!helpers.is_empty() && helpers.iter().all(|who| who.as_ref() == Some(&name)), "{helpers:?}");
}

/// A system that refuses threads is asked again only after a while; calls do without.
#[test]
fn a_refused_thread_is_not_asked_for_at_each_job() {
    static TRIED: AtomicUsize = AtomicUsize::new(0);
    static REFUSES: AtomicBool = AtomicBool::new(true);
    let crew = Crew::with(Cores::of_this_thread(), |builder, serve| {
        TRIED.fetch_add(1, Ordering::Relaxed);
        let is_refused = REFUSES.load(Ordering::Relaxed);
        if is_refused { Err(io::ErrorKind::WouldBlock.into()) } else { builder.spawn(serve).map(drop) }
    });
    let (start, done) = (Instant::now(), AtomicUsize::new(0));
    for _ in 0..100 {
        crew.share(16, 7, ALL, &each(|_| _ = done.fetch_add(1, Ordering::Relaxed)));
    }
    // One, if this takes no second.
    let tried = TRIED.load(Ordering::Relaxed);
    assert!((1..=1 + start.elapsed().as_secs() as usize).contains(&tried), "{tried}");
    assert_eq!((done.into_inner(), crew.0.rota().threads), (1600, 0));
    // As if that were long ago.
    REFUSES.store(false, Ordering::Relaxed);
    crew.0.rota().refusal = Refusal::default();
    run_together(&crew, 3);
    assert_eq!(crew.0.rota().threads, 2);
}

/// Whom a subscriber of events calls may ask for threads.
#[test]
fn users_are_told_of_a_refusal_under_no_lock() {
    let crew = Crew::with(Cores::of_this_thread(), |_, _| Err(io::ErrorKind::WouldBlock.into()));
    let told = Told(Arc::clone(&crew.0), Arc::default());
    let free = Arc::clone(&told.1);
    tracing::subscriber::with_default(told, || crew.share(4, 3, ALL, &each(|_| ())));
    assert_eq!(*free.lock().unwrap(), [true]);
}

/// Looks, when something is told, whether the crew's lock is free.
struct Told(Arc<Quarters>, Arc<Mutex<Vec<bool>>>);

impl tracing::Subscriber for Told {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("kroton")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.1.lock().unwrap().push(self.0.rota.try_lock().is_ok());
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// One that is refused while another one starts: no two threads have one number, and both can be woken.
#[test]
fn threads_that_start_at_once_have_numbers_of_their_own() {
    static TRIED: AtomicUsize = AtomicUsize::new(0);
    static REFUSES: AtomicBool = AtomicBool::new(false);
    let crew = Crew::with(Cores::of_this_thread(), |builder, serve| {
        if TRIED.fetch_add(1, Ordering::Relaxed) > 0 {
            return builder.spawn(serve).map(drop);
        }
        wait_until(|| REFUSES.load(Ordering::Relaxed));
        Err(io::ErrorKind::WouldBlock.into())
    });
    thread::scope(|scope| {
        let refused = scope.spawn(|| crew.share(2, 2, Call::Wake(1), &each(|_| ())));
        wait_until(|| TRIED.load(Ordering::Relaxed) == 1);
        let together = Together::default();
        crew.share(2, 3, Call::Wake(1), &each(|_| together.wait_for(2)));
        REFUSES.store(true, Ordering::Relaxed);
        refused.join().unwrap();
    });
    crew.0.rota().refusal = Refusal::default();
    for _ in 0..10 {
        run_together(&crew, 3);
        wait_until(|| crew.0.rota().resting.len() == 2);
        let rota = crew.0.rota();
        assert_ne!(rota.resting[0].0, rota.resting[1].0);
    }
}

/// Threads in which a task panicked are as good as before.
#[test]
fn a_panic_ends_no_thread() {
    let crew = crew();
    for _ in 0..10 {
        let together = Together::default();
        let fails = |_: usize| {
            together.wait_for(3);
            panic!("task failed");
        };
        let caught = catch_unwind(AssertUnwindSafe(|| crew.share(3, 2, ALL, &each(fails)))).unwrap_err();
        assert_eq!(caught.downcast_ref::<&str>(), Some(&"task failed"));
    }
    run_together(&crew, 3);
    assert_eq!(crew.0.rota().threads, 2);
}

/// More callers than a board has places for, who come and end: all is done, by no more threads than there may be.
#[test]
fn dozens_of_callers_at_once() {
    let (crew, together, done) = (crew(), Together::default(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                together.wait_for(64);
                for call in [ALL, Call::Awake(1), Call::Wake(2)] {
                    crew.share(8, 5, call, &each(|_| _ = done.fetch_add(1, Ordering::Relaxed)));
                }
            });
        }
    });
    assert_eq!(done.into_inner(), 64 * 3 * 8);
    assert!(crew.0.rota().threads <= 5);
    run_together(&crew, 6);
}
