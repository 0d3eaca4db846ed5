//! How much memory a gradient takes at most while it runs, with checkpoints and without. A process of its own with one test,
//! since the most that a process ever had is what the system tells.

#![cfg(target_os = "linux")]

use kroton::{Expr, checkpoint, compile, grad, matrix};
use ndarray::Array2;

/// The most memory that this process has had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<usize>().unwrap() << 10
}

const ROWS: usize = 1 << 14;
const COLUMNS: usize = 32;
const LAYERS: usize = 24;

/// The peak of a call of the gradient of a network, beyond what the process had before.
fn peak_of_a_call(in_checkpoints: bool) -> usize {
    let (x, w) = (matrix::<f64>("x"), matrix::<f64>("w"));
    let layers = |y: Expr| (0..LAYERS / 4).fold(y, |y, _| y.matmul(&w).tanh());
    let loss = (0..4).fold(x.clone(), |y, _| match in_checkpoints {
        true => checkpoint([&y], |[y]| [layers(y)]).unwrap().into_iter().next().unwrap(),
        false => layers(y),
    });
    let f = compile([&x, &w], grad(&loss.square().sum(..), [&w]).unwrap().remove(0)).unwrap();
    let at = Array2::from_shape_fn((ROWS, COLUMNS), |(i, j)| ((i * 7 + j * 3) % 11) as f64 * 0.1 - 0.5);
    let by = Array2::from_shape_fn((COLUMNS, COLUMNS), |(i, j)| ((i * 5 + j) % 7) as f64 * 0.05 - 0.15);
    let before = peak();
    let slope: Array2<f64> = f.call((&at, &by)).unwrap();
    assert!(slope.iter().all(|x| x.is_finite()));
    peak() - before
}

#[test]
fn a_call_with_checkpoints_has_less_memory_at_once() {
    let layer = ROWS * COLUMNS * size_of::<f64>();
    // The smaller one first: the most that a process has had never falls.
    let with = peak_of_a_call(true);
    let without = with + peak_of_a_call(false);
    println!("{} layers with checkpoints, {} without", with / layer, without / layer);
    assert!(without > LAYERS * layer, "{without} bytes hold no {LAYERS} layers");
    assert!(with < without * 2 / 3, "{with} bytes with checkpoints, {without} without");
}
