//! The smallest program: a² + b² over two vectors.
//!
//! First on three elements, then on 10⁷, into memory of the caller, with the time and the memory traffic.
//! `cargo run --release --example a2_b2`, with `-- --short` for 10⁵ elements; `KROTON_FLAGS=device=gpu` in the environment
//! runs it on a GPU. In f32, so that every GPU can.

mod presentation;

use std::time::{Duration, Instant};

use kroton::{compile, vector};
use ndarray::Array1;
use presentation::progress;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let short = std::env::args().any(|argument| argument == "--short");
    let (a, b) = (vector::<f32>("a"), vector::<f32>("b"));
    let start = Instant::now();
    let f = compile([&a, &b], &a * &a + &b * &b)?;
    let compiling = start.elapsed();
    let y: Array1<f32> = f.call((&[0.0_f32, 1.0, 2.0], &[3.0_f32, 4.0, 5.0]))?;
    println!("a² + b² for a = [0, 1, 2], b = [3, 4, 5]:");
    println!("{y}");
    println!();

    let n = if short { 100_000 } else { 10_000_000 };
    let (a, b) = (ramp(n, 1e-4), ramp(n, -2e-4));
    let mut out = vec![0.0; n];
    let times = timed_runs(if short { 5 } else { 50 }, || f.call_into((&a, &b), (&mut out,)))?;
    // A GPU may round a² + b² once or twice.
    let is_near = |out: f32, expected: f32| (out - expected).abs() <= expected * f32::EPSILON;
    assert!(out.iter().zip(a.iter().zip(&b)).all(|(out, (a, b))| is_near(*out, a * a + b * b)));
    report(n, compiling, &times);
    Ok(())
}

/// 0, step, 2 · step, …
fn ramp(n: usize, step: f32) -> Vec<f32> {
    (0..n).map(|i| i as f32 * step).collect()
}

/// Runs so often and gives the sorted times; a progress line shows on a terminal.
fn timed_runs(runs: usize, mut run: impl FnMut() -> kroton::Result<()>) -> kroton::Result<Vec<Duration>> {
    let progress = progress(runs, "a² + b²");
    let mut times = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed());
        progress.inc(1);
    }
    progress.finish_and_clear();
    times.sort();
    Ok(times)
}

fn report(n: usize, compiling: Duration, times: &[Duration]) {
    let median = times[times.len() / 2];
    let gigabytes = (3 * n * size_of::<f32>()) as f64 / 1e9;
    println!("The same function on {n} elements, into memory of the caller ({} runs):", times.len());
    println!("  best {:?}, median {median:?}, {:.1} GB/s", times[0], gigabytes / median.as_secs_f64());
    println!("  (two arrays read, one written; `compile` took {compiling:?}, the first in this process)");
    println!("The function was compiled once; sizes are values of the call, so nothing was compiled for this size.");
}
