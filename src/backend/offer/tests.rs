//! Offered work: who runs it, how often, and what panics do.

use std::collections::HashSet;
use std::sync::{Arc, mpsc};

use super::*;
use crate::backend::cores::Cores;

/// Takes part as some thread, which may run where it might.
fn help(board: &Board) {
    board.help(0, &mut Elsewhere::within(Cores::of_this_thread()));
}

/// A board whose helpers are new threads.
fn run_on(board: &Arc<Board>, tasks: usize, others: usize, task: &(dyn Fn(usize) + Sync)) {
    let ask = || {
        let board = Arc::clone(board);
        thread::Builder::new().spawn(move || help(&board)).is_ok()
    };
    board.run(tasks, others, Call::Wake, task, ask);
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
    board.places.iter().all(|place| !place.is_taken.0.load(Ordering::Relaxed))
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
            run_on(&board, count, 3, &|task| _ = done[task].fetch_add(1, Ordering::Relaxed));
            assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == 1), "{count}");
        }
    });
}

/// Nobody comes: the caller does everything and waits for nothing.
#[test]
fn a_caller_alone_does_all_tasks() {
    let (board, asked, done) = (Board::default(), AtomicUsize::new(0), AtomicUsize::new(0));
    for round in 1..=5 {
        board.run(8, 3, Call::Wake, &|_| _ = done.fetch_add(1, Ordering::Relaxed), || {
            asked.fetch_add(1, Ordering::Relaxed);
            true
        });
        assert_eq!(done.load(Ordering::Relaxed), 8 * round);
        assert_eq!(asked.load(Ordering::Relaxed), 3, "those who were asked once are still on their way");
    }
    assert!(is_empty(&board));
}

#[test]
fn one_who_comes_too_late_finds_nothing() {
    let (board, done) = (Arc::new(Board::default()), AtomicUsize::new(0));
    board.run(8, 1, Call::Wake, &|_| _ = done.fetch_add(1, Ordering::Relaxed), || true);
    // On a thread whose cores nobody else cares about.
    thread::scope(|scope| scope.spawn(|| help(&board)).join().unwrap());
    assert_eq!((done.load(Ordering::Relaxed), staff(&board)), (8, 0));
    let place = Place::default();
    assert!(place.take() && !place.take());
    assert_eq!(place.enter(), None);
    // SAFETY: the place was taken, and the job is closed below.
    unsafe { place.open(2, 1, &|_| ()) };
    assert_eq!((place.enter(), place.enter()), (Some(1), None));
    place.leave();
    place.close();
    assert_eq!(place.enter(), None);
}

/// Small jobs are for those who are there; if nobody is, somebody is asked for when that would have paid.
#[test]
fn small_jobs_are_for_those_who_are_there() {
    let (board, asked) = (Arc::new(Board::default()), AtomicUsize::new(0));
    board.run(2, 1, Call::Awake, &|_| (), || asked.fetch_add(1, Ordering::Relaxed) < 1);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert_eq!(board.whom(Duration::from_micros(1)), None);
    // One right after the other, as time between them counts.
    assert_eq!((0..100_000_000).find_map(|_| board.whom(Duration::from_micros(3))), Some(Call::Wake));
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
        board.run(2, 1, Call::Awake, &task, || panic!("asked for somebody"));
        joined.load(Ordering::Relaxed)
    });
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
        Call::Wake,
        &|_| {
            // As another caller would, while the first is at its job.
            if !inner.swap(true, Ordering::Relaxed) {
                board.run(2, 1, Call::Wake, &|_| _ = alone.fetch_add(1, Ordering::Relaxed), ask);
                board.run(3, 2, Call::Wake, &|_| _ = alone.fetch_add(1, Ordering::Relaxed), ask);
            }
        },
        ask,
    );
    assert_eq!((alone.load(Ordering::Relaxed), asked.load(Ordering::Relaxed)), (5, 1));
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
            run_on(&board, 40, 2, &task);
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
            let caught = catch_unwind(AssertUnwindSafe(|| run_on(&board, 20, 1, &task))).unwrap_err();
            assert_eq!(caught.downcast_ref::<&str>(), Some(&"task failed"));
            assert_eq!(inside.load(Ordering::Relaxed), 0);
            assert!(is_empty(&board));
        }
        // The board is as good as new.
        let done = AtomicUsize::new(0);
        run_on(&board, 9, 2, &|_| _ = done.fetch_add(1, Ordering::Relaxed));
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
                    run_on(&board, 2, 1 + caller, &task);
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
        board.run(8, 2, Call::Wake, &|_| _ = done.fetch_add(1, Ordering::Relaxed), || {
            asked.fetch_add(1, Ordering::Relaxed);
            false
        });
        assert_eq!((done.load(Ordering::Relaxed), asked.load(Ordering::Relaxed)), (8 * round, 2 * round));
    }
}

/// A helper that finds itself on its caller's core goes to another one, and sleeps as one that wakes elsewhere.
#[test]
fn helpers_run_on_other_cores_than_callers() {
    let are_some = thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    let is_known = cfg!(all(target_os = "linux", not(miri))) && are_some;
    let helps = move || {
        let (board, mut place, seen) =
            (Board::default(), Elsewhere::within(Cores::of_this_thread()), AtomicUsize::new(0));
        let task = |_: usize| seen.store(cores::current(), Ordering::Relaxed);
        for _ in 0..3 {
            let caller = cores::current();
            assert!(board.places[0].take());
            let taken = Taken(&board.places[0]);
            // SAFETY: the place was taken, and the job is closed below.
            unsafe { taken.0.open(2, 1, &task) };
            board.news.0.core.store(caller, Ordering::Relaxed);
            board.staff.0.asked.fetch_add(1, Ordering::Relaxed);
            board.help(0, &mut place);
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
        board.help(0, &mut place);
        assert!(!is_known || !place.may_be_on(other), "{place:?}");
    };
    thread::spawn(sleeps).join().unwrap();
}
