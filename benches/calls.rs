//! What a call costs beside the work: nanoseconds of calls on three elements.
//!
//! `cargo bench --bench calls`. Each row is the shortest of many short runs, since whatever else the machine does only
//! makes runs longer; the last column is the ratio to the same loop behind a pointer that the compiler cannot see
//! through, timed in turn. A name after `--` picks the rows that contain it.

mod by_hand;

use std::hint::black_box;
use std::time::Instant;

use kroton::{Array, Compiler, Function, Result, scalar, vector};
use ndarray::{Array1, Array2, s};

/// Runs of each row, and calls in a run.
const RUNS: usize = 400;
const CALLS: usize = 2_000;

fn main() -> Result<()> {
    println!("{:<52}{:>10}{:>10}", "three elements, f64", "ns", "by hand");
    into_memory()?;
    fresh()?;
    views()?;
    Ok(())
}

fn squares() -> Result<Function> {
    let (a, b) = (vector::<f64>("a"), vector::<f64>("b"));
    Compiler::new().compile([&a, &b], &a * &a + &b * &b)
}

/// Results in the caller's memory.
fn into_memory() -> Result<()> {
    let f = squares()?;
    let (a, b, mut out) = (vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0], vec![0.0; 3]);
    row("a² + b² through &Vec, call_into", || f.call_into((black_box(&a), black_box(&b)), (&mut out,)))?;
    let (wide, other) = (Array1::from_vec(by_hand::random(6, 1)), Array1::from_vec(by_hand::random(9, 2)));
    let mut gaps = Array1::<f64>::zeros(6);
    let (x, y) = (wide.slice(s![..;2]), other.slice(s![..;-3]));
    row("a² + b² through strided views, call_into", || {
        f.call_into((black_box(x), black_box(y)), (gaps.slice_mut(s![..;2]),))
    })?;
    row("a² + b² through references to views, call_into", || {
        f.call_into((black_box(&x), black_box(&y)), (gaps.slice_mut(s![..;2]),))
    })?;
    let mut number = 0.0;
    let (p, q) = (scalar::<f64>("p"), scalar::<f64>("q"));
    let f = Compiler::new().compile([&p, &q], &p * &p + &q * &q)?;
    row("p² + q² of two numbers, call_into", || f.call_into((black_box(3.0), black_box(4.0)), (&mut number,)))?;
    row("p² + q² of two numbers, call::<f64>", || f.call::<f64>((black_box(3.0), black_box(4.0))))
}

/// Results in memory of the call.
fn fresh() -> Result<()> {
    let (a, b) = (vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0]);
    let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
    let sum = Compiler::new().compile([&x, &y], (&x * &y).sum(..))?;
    row("sum(a · b), call::<f64>", || sum.call::<f64>((black_box(&a), black_box(&b))))?;
    let hits = (&x * &x + &y * &y).lt(1.0).sum(..);
    let pi = Compiler::new().compile([&x, &y], 4.0 * hits / x.len())?;
    row("π hit test, call::<f64>", || pi.call::<f64>((black_box(&a), black_box(&b))))?;
    let f = squares()?;
    row("a² + b², call::<Array>", || f.call::<Array>((black_box(&a), black_box(&b))))?;
    row("a² + b², call::<Vec<f64>>", || f.call::<Vec<f64>>((black_box(&a), black_box(&b))))?;
    row("a² + b², call::<Array1<f64>>", || f.call::<Array1<f64>>((black_box(&a), black_box(&b))))
}

/// Matrices, whose layouts have more to them.
fn views() -> Result<()> {
    let (a, b) = (kroton::matrix::<f64>("a"), vector::<f64>("b"));
    let f = Compiler::new().compile([&a, &b], &a * 2.0 + &b)?;
    let (x, y, mut out) = (Array2::<f64>::ones((3, 3)), vec![1.0, 2.0, 3.0], Array2::<f64>::zeros((3, 3)));
    row("2 A + b of 3 × 3, call_into", || f.call_into((black_box(&x), black_box(&y)), (&mut out,)))?;
    let t = x.t();
    row("2 Aᵀ + b of 3 × 3, call_into", || f.call_into((black_box(t), black_box(&y)), (&mut out,)))?;
    let shifted = vector::<f64>("s");
    let f = Compiler::new().compile([&shifted], shifted.slice(s![1..]) - shifted.slice(s![..-1]))?;
    let (z, mut difference) = (vec![1.0, 2.0, 4.0, 8.0], vec![0.0; 3]);
    row("differences of four, call_into", || f.call_into((black_box(&z),), (&mut difference,)))
}

/// Prints the shortest time of a call, unless its name is not asked for.
fn row<T>(name: &str, mut call: impl FnMut() -> Result<T>) -> Result<()> {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if !asked.is_empty() && !asked.iter().any(|part| name.contains(part)) {
        return Ok(());
    }
    call()?;
    let pointer: fn(&[f64], &[f64], &mut [f64]) = black_box(by_hand::squares);
    let (x, y, mut out) = ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [0.0; 3]);
    let (mut ours, mut theirs) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..RUNS {
        ours = ours.min(time(|| call().is_ok()));
        theirs = theirs.min(time(|| pointer(black_box(&x), black_box(&y), black_box(&mut out))));
    }
    println!("{name:<52}{:>10.1}{:>10.1}", ours * 1e9, theirs * 1e9);
    Ok(())
}

/// Seconds of one call in a run.
fn time<T>(mut run: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        black_box(run());
    }
    start.elapsed().as_secs_f64() / CALLS as f64
}
