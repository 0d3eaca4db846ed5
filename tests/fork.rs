//! What functions do in a process that was forked from one which had used them.
//!
//! Whether threads were started is known for a process once and for all, so each case is a process of its own: this test
//! binary again, which runs nothing but one of the functions below.
#![cfg(target_os = "linux")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::{Duration, Instant};

use kroton::{Array, Compiler, Function, matrix, vector};
use ndarray::Array2;

/// Is set where one of these functions has a process of its own.
const OWN_PROCESS: &str = "KROTON_TEST_HAS_A_PROCESS";

/// Whether this process is for one case alone, which it then has two minutes for.
fn is_own_process() -> bool {
    let is_own = std::env::var_os(OWN_PROCESS).is_some();
    if is_own {
        // SAFETY: who hangs is ended.
        unsafe { libc::alarm(120) };
    }
    is_own
}

/// Runs a function of this file in a process of its own.
#[track_caller]
fn passes(name: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture"]).env(OWN_PROCESS, "1");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{name}: {text}");
}

#[test]
fn a_fork_does_all_work_itself_after_calls() {
    passes("after_calls");
}

/// Without a number of threads rayon's global pool does tasks and products.
#[test]
fn a_fork_does_all_work_itself_after_tasks_and_products() {
    passes("after_map");
    passes("after_submit");
    passes("after_product");
}

#[test]
fn a_fork_has_threads_where_nothing_was_called() {
    passes("after_compile");
}

/// Whether this holds in a fork that has a minute for it.
fn holds_in_a_fork(works: impl FnOnce() -> bool) {
    // SAFETY: the child is left below, without a destructor of another thread's.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    if child == 0 {
        // SAFETY: who hangs is ended.
        unsafe { libc::alarm(60) };
        let is_right = catch_unwind(AssertUnwindSafe(works)).unwrap_or(false);
        // SAFETY: nothing of the parent's is to be cleaned up.
        unsafe { libc::_exit(i32::from(!is_right)) };
    }
    let mut status = 0;
    // SAFETY: it is a child of this process, which ends.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0, "the status of the child");
}

/// Functions that are worth all threads, and what they give.
struct Functions {
    sum: Function,
    product: Function,
    x: Array,
    ones: Array2<f64>,
    expected: f64,
}

impl Functions {
    fn new(compiler: &Compiler) -> Functions {
        let x = vector::<f64>("x");
        let [a, b] = ["a", "b"].map(matrix::<f64>);
        let sum = compiler.clone().compile([&x], (2.0 * &x).sum(..)).unwrap();
        let product = compiler.clone().compile([&a, &b], a.matmul(&b)).unwrap();
        let x = Array::from_slice(&(0..20_000).map(f64::from).collect::<Vec<_>>());
        Functions { sum, product, x, ones: Array2::ones((64, 64)), expected: 20_000.0 * 19_999.0 }
    }

    fn call(&self) -> bool {
        self.sum.call::<f64>((&self.x,)).unwrap() == self.expected
    }

    fn submit(&self) -> bool {
        self.sum.submit::<f64>((self.x.to_owned(),)).wait().unwrap() == self.expected
    }

    fn map(&self) -> bool {
        self.sum.map::<f64, _>([(&self.x,), (&self.x,)]).unwrap() == [self.expected; 2]
    }

    fn multiply(&self) -> bool {
        let result: Array2<f64> = self.product.call((&self.ones, &self.ones)).unwrap();
        result.iter().all(|&element| element == 64.0)
    }

    fn all(&self) -> bool {
        self.call() && self.submit() && self.map() && self.multiply()
    }
}

/// Forks again and again right after this was done.
fn forks_after(compiler: &Compiler, works: impl Fn(&Functions) -> bool) {
    if !is_own_process() {
        return;
    }
    let functions = Functions::new(compiler);
    for _ in 0..20 {
        assert!(works(&functions));
        holds_in_a_fork(|| functions.all());
    }
    holds_in_a_fork(move || {
        drop(functions);
        true
    });
}

fn shared() -> Compiler {
    Compiler::new().parallel_threshold(1)
}

#[test]
#[ignore = "another test runs it in a process of its own"]
fn after_calls() {
    // Helpers look out, or are about to sleep, and there is a pool too.
    forks_after(&shared().threads(3), |functions| functions.map() && functions.call());
    // The process that forked still gets threads.
    if is_own_process() {
        let before = helpers();
        let functions = Functions::new(&shared().threads(4));
        wait_for_helpers(before + 1, || assert!(functions.all()));
    }
}

#[test]
#[ignore = "another test runs it in a process of its own"]
fn after_map() {
    forks_after(&shared(), Functions::map);
}

#[test]
#[ignore = "another test runs it in a process of its own"]
fn after_submit() {
    // What the task dropped went back to where memory is kept.
    forks_after(&shared(), Functions::submit);
}

#[test]
#[ignore = "another test runs it in a process of its own"]
fn after_product() {
    forks_after(&shared(), Functions::multiply);
}

#[test]
#[ignore = "another test runs it in a process of its own"]
fn after_compile() {
    if !is_own_process() {
        return;
    }
    let functions = Functions::new(&shared().threads(3));
    let plain = Functions::new(&shared());
    holds_in_a_fork(|| {
        wait_for_helpers(1, || assert!(functions.all() && plain.all()));
        true
    });
    // The process that forked has threads too.
    wait_for_helpers(1, || assert!(functions.all() && plain.all()));
}

/// How many threads there are that help callers.
fn helpers() -> usize {
    let name =
        |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(entry.ok()?.path().join("comm")).ok();
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    threads.filter_map(name).filter(|name| name.starts_with("kroton-help-")).count()
}

/// Calls until so many are there: it takes a moment until they are named.
fn wait_for_helpers(count: usize, call: impl Fn()) {
    let start = Instant::now();
    while helpers() < count {
        assert!(start.elapsed() < Duration::from_secs(50), "nobody came");
        call();
    }
}
