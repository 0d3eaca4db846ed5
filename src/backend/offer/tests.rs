//! Offered work: who runs it, how often, and what panics do.

use std::collections::HashSet;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::thread;

use super::*;
use crate::backend::cores::Cores;

mod asking;

/// All that there may be.
const ALL: Call = Call::Wake(usize::MAX);

/// Takes part as some thread, which may run where it might.
fn help(board: &Arc<Board>) {
    board.help(0, &mut Elsewhere::within(Cores::of_this_thread()), |_| send(board));
}

/// Sends a new thread.
fn send(board: &Arc<Board>) -> bool {
    let board = Arc::clone(board);
    thread::Builder::new().spawn(move || help(&board)).is_ok()
}

/// A board whose helpers are new threads.
fn run_on(board: &Arc<Board>, tasks: usize, others: usize, task: impl Fn(usize) + Sync) {
    board.run(tasks, others, ALL, &each(task), || send(board));
}

/// Each of some tasks.
fn each(task: impl Fn(usize) + Sync) -> impl Fn(Range<usize>) + Sync {
    move |tasks| tasks.for_each(&task)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// A word that threads wait for.
#[derive(Default)]
struct Signal(Mutex<bool>, Condvar);

impl Signal {
    fn give(&self) {
        *lock(&self.0) = true;
        self.1.notify_all();
    }

    fn wait(&self) {
        let limit = Duration::from_secs(60);
        let (_given, waited) = self.1.wait_timeout_while(lock(&self.0), limit, |given| !*given).unwrap();
        assert!(!waited.timed_out(), "it took a minute");
    }
}

/// Fails instead of hanging.
fn within_minutes(run: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        run();
        sender.send(())
    });
    receiver.recv_timeout(Duration::from_secs(180)).expect("a deadlock or a panic");
}

fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() && start.elapsed() < Duration::from_secs(60) {
        thread::yield_now();
    }
    assert!(condition(), "it took a minute");
}

/// Whether no caller has a job on the board.
fn is_empty(board: &Board) -> bool {
    board.places.iter().all(|place| place.take().is_some())
}

/// How many threads are on their way to the board, or there.
fn staff(board: &Board) -> usize {
    board.staff.0.asked.load(Ordering::Relaxed)
}

#[test]
fn each_task_runs_once_whoever_comes() {
    within_minutes(|| {
        let board: Arc<Board> = Arc::default();
        for count in [1, 2, 3, 7, 100, 1000] {
            let done: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            run_on(&board, count, 3, |task| _ = done[task].fetch_add(1, Ordering::Relaxed));
            assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == 1), "{count}");
        }
    });
}

/// Nobody comes: the caller does everything and waits for nothing. It asks for one thread before each task.
#[test]
fn a_caller_alone_does_all_tasks() {
    let (board, asked, done) = (Board::default(), AtomicUsize::new(0), AtomicUsize::new(0));
    // Those who were asked once are still on their way.
    for (round, asks) in [[1, 2, 3, 3], [3; 4], [3; 4]].into_iter().enumerate() {
        let mut seen = Vec::new();
        let seen_by_tasks = Mutex::new(&mut seen);
        let task = |_: usize| {
            lock(&seen_by_tasks).push(asked.load(Ordering::Relaxed));
            done.fetch_add(1, Ordering::Relaxed);
        };
        board.run(8, 3, ALL, &each(&task), || asked.fetch_add(1, Ordering::Relaxed) < 9);
        assert_eq!((&seen[..4], done.load(Ordering::Relaxed)), (&asks[..], 8 * (round + 1)));
    }
    assert!(is_empty(&board));
}

/// What a job is worth counts as long as somebody is at it, and no longer, whatever becomes of it.
#[test]
fn a_job_is_worth_helpers_until_all_have_left() {
    let board: Arc<Board> = Arc::default();
    let (caller, begun) = (thread::current().id(), Signal::default());
    let seen = AtomicUsize::new(0);
    let task = |_: usize| {
        if thread::current().id() == caller {
            return begun.wait();
        }
        begun.give();
        // The caller has nothing left to do, and waits for this.
        wait_until(|| board.places[0].is_closed());
        seen.store(board.staff.0.wanted.load(Ordering::Relaxed), Ordering::Relaxed);
    };
    run_on(&board, 2, 1, task);
    assert_eq!(seen.into_inner(), 1);
    assert_eq!(board.staff.0.wanted.load(Ordering::Relaxed), 0);
    let too_many = || run_on(&board, u32::MAX as usize + 1, 1, |_| ());
    assert!(catch_unwind(AssertUnwindSafe(too_many)).is_err());
    assert_eq!(board.staff.0.wanted.load(Ordering::Relaxed), 0);
    assert!(is_empty(&board));
}

#[test]
fn one_who_comes_too_late_finds_nothing() {
    let (board, done) = (Arc::new(Board::default()), AtomicUsize::new(0));
    board.run(8, 1, ALL, &each(|_| _ = done.fetch_add(1, Ordering::Relaxed)), || true);
    // On a thread whose cores nobody else cares about.
    thread::scope(|scope| scope.spawn(|| help(&board)).join().unwrap());
    assert_eq!((done.load(Ordering::Relaxed), staff(&board)), (8, 0));
    let place = Place::default();
    let taken = place.take().unwrap();
    assert!(place.take().is_none());
    assert_eq!(place.enter(), None);
    // SAFETY: the place was taken, and the job is closed below.
    unsafe { place.open([2, 1, 0], false, &|_| ()) };
    assert_eq!((place.enter(), place.enter()), (Some(1), None));
    place.leave();
    taken.finish();
    assert_eq!(place.enter(), None);
}

/// Small jobs are for those who are there; if nobody is, somebody is asked for when that would have paid.
#[test]
fn small_jobs_are_for_those_who_are_there() {
    let (board, asked) = (Arc::new(Board::default()), AtomicUsize::new(0));
    board.run(2, 1, Call::Awake(1), &each(|_| ()), || asked.fetch_add(1, Ordering::Relaxed) < 1);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    let whom = |gain: u64| board.whom(|| 1, |_| Duration::from_micros(gain));
    assert_eq!(whom(1), None);
    // One right after the other, as time between them counts.
    assert_eq!((0..100_000_000).find_map(|_| whom(3)), Some(Call::Wake(1)));
    let (caller, joined) = (thread::current().id(), AtomicBool::new(false));
    wait_until(|| {
        // One that is slow to start may have found nothing for too long and left.
        if staff(&board) == 0 {
            board.staff.0.asked.fetch_add(1, Ordering::Relaxed);
            let board = Arc::clone(&board);
            thread::spawn(move || help(&board));
        }
        // The caller's task lasts until somebody has come, or left.
        let task = |_: usize| {
            joined.fetch_or(thread::current().id() != caller, Ordering::Relaxed);
            wait_until(|| joined.load(Ordering::Relaxed) || staff(&board) == 0);
        };
        board.run(2, 1, Call::Awake(1), &each(&task), || panic!("asked for somebody"));
        joined.load(Ordering::Relaxed)
    });
}

/// One more than are there is asked for when it would have paid, as far as there may be more.
#[test]
fn small_jobs_get_more_helpers_that_pay() {
    let board = Board::default();
    board.staff.0.come_back();
    let whom = |others: usize| board.whom(|| others, |helpers| Duration::from_micros(6 / helpers as u64));
    assert!((0..1000).all(|_| whom(1) == Some(Call::Awake(1))));
    assert!((0..100_000_000).any(|_| whom(2) == Some(Call::Wake(2))));
    // How many there may be is not looked up for nothing.
    assert_eq!(board.whom(|| panic!("looked up"), |_| Duration::ZERO), Some(Call::Awake(1)));
}

/// Each caller counts as a thread that works: one more than there are threads is not helped.
#[test]
fn callers_at_once_have_fewer_helpers() {
    let (board, asked) = (Board::default(), AtomicUsize::new(0));
    let ask = || asked.fetch_add(1, Ordering::Relaxed) < 9;
    let (alone, inner) = (AtomicUsize::new(0), AtomicBool::new(false));
    board.run(
        2,
        1,
        ALL,
        &each(|_| {
            // As another caller would, while the first is at its job.
            if !inner.swap(true, Ordering::Relaxed) {
                board.run(2, 1, ALL, &each(|_| _ = alone.fetch_add(1, Ordering::Relaxed)), ask);
                board.run(3, 2, ALL, &each(|_| _ = alone.fetch_add(1, Ordering::Relaxed)), ask);
            }
        }),
        ask,
    );
    // The third has a place, and is worth a helper of its own.
    assert_eq!((alone.load(Ordering::Relaxed), asked.load(Ordering::Relaxed)), (5, 2));
    assert!(is_empty(&board));
}

#[test]
fn no_more_threads_than_agreed_are_inside_at_a_time() {
    within_minutes(|| {
        let board: Arc<Board> = Arc::default();
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let seen = Mutex::new(HashSet::new());
        let task = |_: usize| {
            lock(&seen).insert(thread::current().id());
            most.fetch_max(inside.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(1));
            inside.fetch_sub(1, Ordering::Relaxed);
        };
        // Uninvited ones come too.
        for _ in 0..4 {
            board.staff.0.asked.fetch_add(1, Ordering::Relaxed);
            let board = Arc::clone(&board);
            thread::spawn(move || help(&board));
        }
        // At least until somebody joined.
        for _ in (0..).take_while(|round| *round < 20 || lock(&seen).len() < 2) {
            run_on(&board, 40, 2, task);
        }
        assert!(most.load(Ordering::Relaxed) <= 3, "{most:?}");
    });
}

/// Whichever thread meets it, the caller panics with it when nobody is inside anymore.
#[test]
fn a_panic_reaches_the_caller_when_all_have_left() {
    within_minutes(|| {
        let board: Arc<Board> = Arc::default();
        for on_caller in [false, true] {
            let caller = thread::current().id();
            let (inside, begun) = (AtomicUsize::new(0), [AtomicBool::new(false), AtomicBool::new(false)]);
            let task = |_: usize| {
                inside.fetch_add(1, Ordering::Relaxed);
                let is_caller = thread::current().id() == caller;
                begun[usize::from(is_caller)].store(true, Ordering::Relaxed);
                wait_until(|| begun.iter().all(|begun| begun.load(Ordering::Relaxed)));
                thread::sleep(Duration::from_millis(5));
                inside.fetch_sub(1, Ordering::Relaxed);
                assert!(is_caller != on_caller, "task failed");
            };
            let caught = catch_unwind(AssertUnwindSafe(|| run_on(&board, 20, 1, task))).unwrap_err();
            assert_eq!(caught.downcast_ref::<&str>(), Some(&"task failed"));
            assert_eq!(inside.load(Ordering::Relaxed), 0);
            assert!(is_empty(&board));
        }
        // The board is as good as new.
        let done = AtomicUsize::new(0);
        run_on(&board, 9, 2, |_| _ = done.fetch_add(1, Ordering::Relaxed));
        assert_eq!(done.load(Ordering::Relaxed), 9);
    });
}

/// What a task wrote is seen by the caller, for very many short jobs of many callers that share helpers.
#[test]
fn many_short_jobs_of_many_callers() {
    within_minutes(|| {
        let board: Arc<Board> = Arc::default();
        let callers = (0..4).map(|caller| {
            let board = Arc::clone(&board);
            thread::spawn(move || {
                for round in 0..25_000 {
                    let mut results = [0; 2];
                    let places = results.as_mut_ptr().expose_provenance();
                    let task = |task: usize| {
                        let place = std::ptr::with_exposed_provenance_mut::<usize>(places);
                        // SAFETY: each task has its own place, in an array that outlives the tasks.
                        unsafe { *place.add(task) = caller + round + task };
                    };
                    run_on(&board, 2, 1 + caller, task);
                    assert_eq!(results, [caller + round, caller + round + 1]);
                }
            })
        });
        callers.collect::<Vec<_>>().into_iter().for_each(|caller| caller.join().unwrap());
        wait_until(|| staff(&board) == 0);
        assert!(is_empty(&board));
    });
}

/// Who was asked for and cannot come is not waited for, nor counted on later.
#[test]
fn those_who_cannot_come_are_asked_for_again() {
    let (board, asked, done) = (Board::default(), AtomicUsize::new(0), AtomicUsize::new(0));
    for round in 1..=3 {
        board.run(8, 2, ALL, &each(|_| _ = done.fetch_add(1, Ordering::Relaxed)), || {
            asked.fetch_add(1, Ordering::Relaxed);
            false
        });
        // Once for each job, though it has several tasks.
        assert_eq!((done.load(Ordering::Relaxed), asked.load(Ordering::Relaxed)), (8 * round, round));
    }
}

/// What `ask` does is anybody's code in the end: if it panics nobody is counted on.
#[test]
fn one_who_cannot_be_asked_for_is_not_counted_on() {
    let board = Board::default();
    let run = || board.run(8, 2, ALL, &each(|_| ()), || panic!("asked"));
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    assert_eq!(staff(&board), 0);
    assert!(is_empty(&board));
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

/// The caller gets one panic; another one does not keep the helper that met it.
#[test]
fn a_panic_that_nobody_gets_harms_nobody() {
    within_minutes(|| {
        let board: Arc<Board> = Arc::default();
        let begun = AtomicUsize::new(0);
        let task = |_: usize| {
            begun.fetch_add(1, Ordering::Relaxed);
            wait_until(|| begun.load(Ordering::Relaxed) == 2);
            std::panic::panic_any(Bomb);
        };
        let caught = catch_unwind(AssertUnwindSafe(|| run_on(&board, 2, 1, task))).unwrap_err();
        std::mem::forget(caught);
        assert!(is_empty(&board));
    });
}

/// A helper that finds itself on its caller's core goes to another one, and sleeps as one that wakes elsewhere.
#[test]
fn helpers_run_on_other_cores_than_callers() {
    let are_some = thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    let is_known = cfg!(all(target_os = "linux", not(miri))) && are_some;
    let helps = move || {
        let (board, mut place, seen) =
            (Board::default(), Elsewhere::within(Cores::of_this_thread()), AtomicUsize::new(0));
        let task = |_: Range<usize>| seen.store(cores::current(), Ordering::Relaxed);
        for _ in 0..3 {
            let caller = cores::current();
            let taken = board.places[0].take().unwrap();
            // SAFETY: the place was taken, and the job is closed below.
            unsafe { board.places[0].open([2, 1, 0], false, &task) };
            board.news.0.core.store(caller, Ordering::Relaxed);
            board.staff.0.asked.fetch_add(1, Ordering::Relaxed);
            board.help(0, &mut place, |_| false);
            drop(taken);
            assert!(!is_known || seen.load(Ordering::Relaxed) != caller);
        }
    };
    thread::spawn(helps).join().unwrap();
    let sleeps = move || {
        let (board, mut place) = (Board::default(), Elsewhere::within(Cores::of_this_thread()));
        let other = usize::from(cores::current() == 0);
        board.news.0.core.store(other, Ordering::Relaxed);
        board.staff.0.asked.fetch_add(1, Ordering::Relaxed);
        board.help(0, &mut place, |_| false);
        assert!(!is_known || !place.may_be_on(other), "{place:?}");
    };
    thread::spawn(sleeps).join().unwrap();
}
