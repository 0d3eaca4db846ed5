//! Who is asked for, and when.

use super::*;

/// As much is asked for as all jobs at once are worth, whatever there may be.
#[test]
fn no_more_are_asked_for_than_jobs_are_worth() {
    let (board, asked) = (Board::default(), AtomicUsize::new(0));
    let ask = || asked.fetch_add(1, Ordering::Relaxed) < 99;
    for (tasks, worth, most) in [(160, 1, 1), (160, 3, 3), (3, usize::MAX, 3)] {
        board.run(tasks, 15, Call::Wake(worth), &each(|_| ()), ask);
        assert_eq!(asked.load(Ordering::Relaxed), most, "{tasks}");
    }
    // Three are on their way, which is what this one is worth and another at the same time.
    let inner = |calls: usize| (0..calls).for_each(|_| board.run(64, 15, Call::Wake(2), &each(|_| ()), ask));
    board.run(2, 15, Call::Wake(1), &each(inner), ask);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    board.run(3, 15, Call::Wake(2), &each(inner), ask);
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

/// The caller asks for one thread; who comes asks for two more before each task, while jobs are worth it.
#[test]
fn who_comes_asks_for_two_more() {
    let board: Arc<Board> = Arc::default();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let note = |who: &'static str| {
        let asked = Arc::clone(&asked);
        move || {
            lock(&asked).push(who);
            true
        }
    };
    let (caller, begun) = (thread::current().id(), Signal::default());
    let seen = Mutex::new(None);
    let task = |_: usize| {
        if thread::current().id() == caller {
            return begun.wait();
        }
        lock(&seen).get_or_insert_with(|| lock(&asked).clone());
        begun.give();
    };
    let ask = || {
        let (helper, by_helper) = (Arc::clone(&board), note("helper"));
        note("caller")();
        thread::spawn(move || helper.help(0, &mut Elsewhere::within(Cores::of_this_thread()), |_| by_helper()));
        true
    };
    board.run(32, 15, Call::Wake(4), &each(&task), ask);
    assert_eq!(lock(&seen).as_deref(), Some(&["caller", "helper", "helper"][..]));
}

/// Who is there is not asked for, unless it does not come.
#[test]
fn who_is_there_comes_by_itself() {
    let (board, asked) = (Board::default(), AtomicUsize::new(0));
    // One that is busy elsewhere.
    board.staff.0.come_back();
    let seen = Mutex::new(Vec::new());
    let task = |_: usize| lock(&seen).push(asked.load(Ordering::Relaxed));
    board.run(32, 15, Call::Wake(8), &each(&task), || asked.fetch_add(1, Ordering::Relaxed) < 99);
    assert_eq!(lock(&seen)[..3], [0, 1, 2]);
}

/// Who is at another job that is worth waking threads is not counted on, least of all where a thread asks but once.
#[test]
fn who_is_at_another_job_does_not_come() {
    let (board, asked) = (Board::default(), AtomicUsize::new(0));
    board.staff.0.come_back();
    board.staff.0.wanted.fetch_add(1, Ordering::Relaxed);
    let seen = Mutex::new(Vec::new());
    let task = |_: usize| lock(&seen).push(asked.load(Ordering::Relaxed));
    let ask = || asked.fetch_add(1, Ordering::Relaxed) < 99;
    board.run(2, 15, Call::Wake(1), &each(&task), ask);
    assert_eq!(*lock(&seen), [1, 1]);
    // Nobody of them has come: of sixteen threads two are asked for at once, and nobody later, when all may have been done.
    board.staff.0.asked.store(0, Ordering::Relaxed);
    lock(&seen).clear();
    board.run(16, 15, ALL, &each(&task), ask);
    assert_eq!(*lock(&seen), [3; 16]);
    // Neither are there more if another caller has the first place.
    let _first = board.places[0].take().unwrap();
    board.staff.0.asked.store(0, Ordering::Relaxed);
    lock(&seen).clear();
    board.run(16, 15, ALL, &each(&task), ask);
    assert_eq!(*lock(&seen), [5; 16]);
}

/// Nobody is asked for who would find no task.
#[test]
fn nobody_is_asked_for_at_the_last_task() {
    let (board, asked, seen) = (Board::default(), AtomicUsize::new(0), Mutex::new(Vec::new()));
    // Other jobs are worth more than are there.
    board.staff.0.wanted.fetch_add(10, Ordering::Relaxed);
    let task = |_: usize| lock(&seen).push(asked.load(Ordering::Relaxed));
    board.run(3, 15, Call::Wake(1), &each(&task), || asked.fetch_add(1, Ordering::Relaxed) < 99);
    assert_eq!(*lock(&seen), [1, 2, 2]);
}

/// Who asks for a thread has taken no task that others could do meanwhile.
#[test]
fn tasks_can_be_taken_while_somebody_is_asked_for() {
    let (board, done) = (Arc::new(Board::default()), AtomicUsize::new(0));
    let task = |_: usize| _ = done.fetch_add(1, Ordering::Relaxed);
    let ask = || {
        thread::scope(|scope| {
            scope.spawn(|| board.help(0, &mut Elsewhere::within(Cores::of_this_thread()), |_| false)).join()
        })
        .unwrap();
        assert_eq!(done.load(Ordering::Relaxed), 8);
        true
    };
    board.run(8, 1, ALL, &each(&task), ask);
    assert_eq!((done.load(Ordering::Relaxed), staff(&board)), (8, 0));
}
