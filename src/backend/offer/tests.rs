//! Offered work: who runs it, how often, and what panics do.

use std::collections::HashSet;
use std::sync::mpsc;

use super::*;

/// A board whose helpers are new threads.
fn run_on(board: &Arc<Board>, tasks: usize, others: usize, task: &(dyn Fn(usize) + Sync)) {
    let ask = || {
        drop(thread::spawn({
            let board = Arc::clone(board);
            move || board.help(0)
        }))
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
        });
        assert_eq!(done.load(Ordering::Relaxed), 8 * round);
        assert_eq!(asked.load(Ordering::Relaxed), 3, "those who were asked once are still on their way");
    }
    assert!(lock(&board.open).jobs.is_empty());
}

#[test]
fn one_who_comes_too_late_finds_nothing() {
    let (board, done) = (Arc::new(Board::default()), AtomicUsize::new(0));
    board.run(8, 1, Call::Wake, &|_| _ = done.fetch_add(1, Ordering::Relaxed), || ());
    board.help(0);
    assert_eq!((done.load(Ordering::Relaxed), lock(&board.open).coming), (8, 0));
    let late = Job::new(2, 1, &|_| ());
    late.close();
    assert!(!late.enter());
}

#[test]
fn small_jobs_ask_for_nobody_unless_others_were_just_there() {
    let (board, asked) = (Board::default(), AtomicUsize::new(0));
    let small = || board.run(2, 1, Call::WakeIfBusy, &|_| (), || _ = asked.fetch_add(1, Ordering::Relaxed));
    small();
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    thread::sleep(2 * LOOKOUT);
    small();
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    wait_until(|| {
        (0..2).for_each(|_| small());
        asked.load(Ordering::Relaxed) == 1
    });
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
            lock(&board.open).coming += 1;
            let board = Arc::clone(&board);
            thread::spawn(move || board.help(0));
        }
        for _ in 0..20 {
            run_on(&board, 40, 2, &task);
        }
        assert!(lock(&seen).len() >= 2, "somebody joined");
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
            let (inside, joined) = (AtomicUsize::new(0), AtomicBool::new(false));
            let task = |_: usize| {
                inside.fetch_add(1, Ordering::Relaxed);
                let is_caller = thread::current().id() == caller;
                joined.fetch_or(!is_caller, Ordering::Relaxed);
                wait_until(|| joined.load(Ordering::Relaxed));
                thread::sleep(Duration::from_millis(5));
                inside.fetch_sub(1, Ordering::Relaxed);
                assert!(is_caller != on_caller, "task failed");
            };
            let caught = catch_unwind(AssertUnwindSafe(|| run_on(&board, 20, 1, &task))).unwrap_err();
            assert_eq!(caught.downcast_ref::<&str>(), Some(&"task failed"));
            assert_eq!(inside.load(Ordering::Relaxed), 0);
            assert!(lock(&board.open).jobs.is_empty());
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
                    run_on(&board, 2, 1, &task);
                    assert_eq!(results, [caller + round, caller + round + 1]);
                }
            })
        });
        callers.collect::<Vec<_>>().into_iter().for_each(|caller| caller.join().unwrap());
        wait_until(|| lock(&board.open).coming == 0);
        assert!(lock(&board.open).jobs.is_empty());
    });
}

/// Threads of a pool have other work to do, however busy a caller is.
#[test]
fn helpers_leave_though_jobs_never_cease() {
    within_minutes(|| {
        let board: Arc<Board> = Arc::default();
        let left = Arc::new(AtomicUsize::new(0));
        let ask = || {
            let (board, left) = (Arc::clone(&board), Arc::clone(&left));
            drop(thread::spawn(move || {
                board.help(0);
                left.fetch_add(1, Ordering::Relaxed);
            }));
        };
        while left.load(Ordering::Relaxed) < 3 {
            board.run(2, 1, Call::Wake, &|_| (), ask);
        }
        wait_until(|| lock(&board.open).coming == 0);
    });
}
