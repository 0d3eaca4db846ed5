//! Threads of a process that calls functions: how many there are, and where they may run.
//!
//! The tests take turns, as each looks at all threads of the process.
#![cfg(target_os = "linux")]

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kroton::{Array, Compiler, Function, matrix, vector};

static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    wait_for_none();
    turn
}

/// What is worth all threads, whatever it costs.
fn function(threads: usize) -> Function {
    let x = vector::<f64>("x");
    Compiler::new().threads(threads).parallel_threshold(1).compile([&x], (&x * 2.0).sin().sum(..)).unwrap()
}

fn elements() -> Array {
    Array::from_slice(&(0..20_000).map(f64::from).collect::<Vec<_>>())
}

/// The threads of Kroton's in this process, and the cores that each may run on.
fn threads() -> Vec<(String, String)> {
    let of = |folder: std::path::PathBuf| {
        let name = std::fs::read_to_string(folder.join("comm")).ok()?;
        let status = std::fs::read_to_string(folder.join("status")).ok()?;
        let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        Some((name.trim().to_string(), cores.trim().to_string()))
    };
    let all = std::fs::read_dir("/proc/self/task").unwrap().filter_map(|entry| of(entry.ok()?.path()));
    all.filter(|(name, _)| name.starts_with("kroton-")).collect()
}

/// Waits until the threads are as they should be: it takes a moment until they are named, and until they end.
fn wait_until(holds: impl Fn(&[(String, String)]) -> bool) {
    let start = Instant::now();
    while !holds(&threads()) {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", threads());
        std::thread::yield_now();
    }
}

/// Waits for the threads of functions that are no more.
fn wait_for_none() {
    wait_until(<[_]>::is_empty);
}

/// How many there are of pools, and how many that help callers.
fn counts(threads: &[(String, String)]) -> [usize; 2] {
    let helpers = threads.iter().filter(|(name, _)| name.starts_with("kroton-help-")).count();
    [threads.len() - helpers, helpers]
}

/// Nothing is started before it is needed: a plain caller is one of the threads itself, and a pool is for tasks, products of
/// matrices and callers from other pools.
#[test]
fn no_more_threads_than_are_needed() {
    let _turn = turn();
    let (f, x) = (function(4), elements());
    assert_eq!(counts(&threads()), [0, 0]);
    let expected: f64 = f.call((&x,)).unwrap();
    // Many callers that come, call and end.
    let (here, all) = (Mutex::new(0), Condvar::new());
    let begin = || {
        let mut count = here.lock().unwrap();
        *count += 1;
        all.notify_all();
        // Not for ever, as the system may refuse some.
        let _ = all.wait_timeout_while(count, Duration::from_secs(10), |count| *count < 64).unwrap();
    };
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                begin();
                assert_eq!(f.call::<f64>((&x,)).unwrap(), expected);
            });
        }
    });
    let [of_pools, helpers] = counts(&threads());
    assert!(of_pools == 0 && helpers <= 3, "{:?}", threads());
    assert_eq!(f.submit::<f64>((&x,)).wait().unwrap(), expected);
    assert_eq!(f.map::<f64, _>([(&x,), (&x,)]).unwrap(), [expected; 2]);
    wait_until(|threads| counts(threads)[0] == 4);
    assert!(counts(&threads())[1] <= 3, "{:?}", threads());
}

/// Products and callers within a pool too use as many threads as they may.
#[test]
fn pools_are_for_products_and_callers_from_other_pools() {
    let _turn = turn();
    let [a, b] = ["a", "b"].map(matrix::<f64>);
    let product = Compiler::new().threads(3).parallel_threshold(1).compile([&a, &b], a.matmul(&b)).unwrap();
    let ones = ndarray::Array2::<f64>::ones((64, 64));
    let result: ndarray::Array2<f64> = product.call((&ones, &ones)).unwrap();
    assert!(result.iter().all(|&element| element == 64.0));
    wait_until(|threads| counts(threads) == [3, 0]);
    drop(product);
    wait_for_none();
    let (f, x) = (function(2), elements());
    let callers = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let inside: f64 = callers.install(|| f.call((&x,)).unwrap());
    wait_until(|threads| counts(threads) == [2, 0]);
    assert_eq!(f.call::<f64>((&x,)).unwrap(), inside);
}

/// Lets this thread run on these cores.
fn allow(cores: &libc::cpu_set_t) {
    // SAFETY: the set is of this size; 0 is this thread.
    assert_eq!(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), cores) }, 0);
}

fn allowed() -> libc::cpu_set_t {
    // SAFETY: a set is plain bits.
    let mut cores: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is of this size; 0 is this thread.
    assert_eq!(unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut cores) }, 0);
    cores
}

/// The first core of some.
fn first(cores: &libc::cpu_set_t) -> libc::cpu_set_t {
    // SAFETY: a set is plain bits, and has room for the core.
    unsafe {
        let mut one: libc::cpu_set_t = std::mem::zeroed();
        let core = (0..8 * size_of::<libc::cpu_set_t>()).find(|&core| libc::CPU_ISSET(core, cores)).unwrap();
        libc::CPU_SET(core, &mut one);
        one
    }
}

/// Threads run where the thread may that compiled, whoever needs them first: on one core of several, all is done as well.
#[test]
fn threads_run_where_the_function_was_compiled() {
    let _turn = turn();
    std::thread::spawn(|| {
        let (all, x) = (allowed(), elements());
        let expected: f64 = function(1).call((&x,)).unwrap();
        let wide = function(3);
        allow(&first(&all));
        let narrow = function(2);
        let list = || {
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim().to_string()
        };
        let one = list();
        for _ in 0..2000 {
            assert_eq!(narrow.call::<f64>((&x,)).unwrap(), expected);
        }
        assert_eq!(narrow.submit::<f64>((&x,)).wait().unwrap(), expected);
        wait_until(|threads| counts(threads)[0] == 2 && threads.iter().all(|(_, cores)| *cores == one));
        drop(narrow);
        wait_for_none();
        assert_eq!(wide.submit::<f64>((&x,)).wait().unwrap(), expected);
        allow(&all);
        let whole = list();
        let is_wide = |(name, cores): &(String, String)| name.starts_with("kroton-help-") || *cores == whole;
        wait_until(|threads| counts(threads)[0] == 3 && threads.iter().all(is_wide));
    })
    .join()
    .unwrap();
}
