//! π by Monte Carlo: the share of points in the square [−1, 1]² that fall into the unit circle, times 4.
//!
//! The same hit test as a compiled expression, as plain Rust loops, and as tasks of a thread pool, for many small
//! calls and one large one. It shows what a call costs, and why work is cut into chunks before it is shared out.
//! The points are made once, so that times are those of the hit test alone.
//! `cargo run --release --example pi`, with `-- --short` for sizes that suit a build without optimizations;
//! `KROTON_FLAGS=device=gpu` in the environment runs the expression on a GPU, with the points uploaded for each call and
//! with points that stay there. Points are f32, so that every GPU can; the quotient of 64-bit numbers is the host's.

mod presentation;

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kroton::{Compiler, Function, Stage, compile, vector};
use presentation::{SplitMix, progress};
use rayon::prelude::*;

/// Points of one task, where tasks are chunked.
const CHUNK: usize = 4096;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let short = std::env::args().any(|argument| argument == "--short");
    let (calls, large) = if short { (1_000, 100_000) } else { (100_000, 10_000_000) };
    let many = compile_pi()?;
    let single = compile_pi_for_one_thread()?;
    println!("4 · sum(x² + y² < 1) / n, on {} threads\n", rayon::current_num_threads());
    for (calls, n) in [(calls, if short { 3_000 } else { 30_000 }), (1, large)] {
        let points = Points::random(n, 42);
        compare(calls, &points, &many, &single)?;
    }
    explain(runs_on_gpu(&many));
    println!("Rows with ≈ were run less often, and their time is scaled to the same number of calls.");
    Ok(())
}

fn runs_on_gpu(f: &Function) -> bool {
    f.dump(Stage::Wgsl).is_ok()
}

fn explain(on_gpu: bool) {
    println!(
        "{}",
        if on_gpu {
            "A call on a GPU waits for the driver, and copies points unless they are there: it pays for many points."
        } else {
            "A compiled call runs the hit test in machine code, in chunks, on several threads where an estimate of the\n\
             work says that it pays."
        }
    );
    println!("A task costs some hundred nanoseconds, a point less than one: one task per point is nearly all tasks,");
    println!("one for {CHUNK} points is mostly points. Waking another thread costs microseconds too.");
}

fn compile_pi() -> kroton::Result<Function> {
    let (x, y) = (vector::<f32>("x"), vector::<f32>("y"));
    let hits = (&x * &x + &y * &y).lt(1.0).sum(..);
    compile([&x, &y], 4.0 * hits / x.len())
}

fn compile_pi_for_one_thread() -> kroton::Result<Function> {
    let (x, y) = (vector::<f32>("x"), vector::<f32>("y"));
    let hits = (&x * &x + &y * &y).lt(1.0).sum(..);
    Compiler::new().threads(1).compile([&x, &y], 4.0 * hits / x.len())
}

/// Points of the square.
struct Points {
    x: Vec<f32>,
    y: Vec<f32>,
}

impl Points {
    fn random(n: usize, seed: u64) -> Points {
        let mut random = SplitMix(seed);
        let mut coordinates = || (0..n).map(|_| 2.0 * random.next() - 1.0).collect();
        Points { x: coordinates(), y: coordinates() }
    }

    fn len(&self) -> usize {
        self.x.len()
    }
}

fn compare(calls: u64, points: &Points, many: &Function, single: &Function) -> kroton::Result<()> {
    let n = points.len();
    println!("{calls} × n = {n}");
    println!("  {:<38}{:>12}{:>16}{:>10}{:>10}", "", "time", "samples/s", "ratio", "π");
    // So many points at most for one task per point, which is some hundred times slower.
    let few = (10_000_000 / n as u64).clamp(1, calls);
    let plain = measure(calls, calls, || {
        // Opaque to the compiler, lest a loop whose inputs never change be run once.
        let points = black_box(points);
        Ok(estimate(hits(&points.x, &points.y), n))
    })?;
    let row = |name: &str, result: Measured| result.print(name, calls * n as u64, &plain);
    row("plain loop, one thread", plain);
    if runs_on_gpu(many) {
        row("kroton on the GPU, with uploads", measure(calls, few, || many.call((&points.x, &points.y)))?);
        row("kroton on the GPU", on_device(calls, few, points, many)?);
    } else {
        row("kroton, one thread", measure(calls, calls, || single.call((&points.x, &points.y)))?);
        row("kroton", measure(calls, calls, || many.call((&points.x, &points.y)))?);
    }
    row("rayon loop over chunks", measure(calls, calls, || Ok(estimate(hits_rayon(points), n)))?);
    row("one task per chunk", measure(calls, calls, || Ok(estimate(hits_in_tasks(points, CHUNK), n)))?);
    row("one task per sample", measure(calls, few, || Ok(estimate(hits_in_tasks(points, 1), n)))?);
    println!();
    Ok(())
}

/// Calls with points that stay on the device.
#[cfg(feature = "gpu")]
fn on_device(calls: u64, runs: u64, points: &Points, f: &Function) -> kroton::Result<Measured> {
    let [x, y] = [&points.x, &points.y].map(kroton::DeviceArray::upload);
    let (x, y) = (x?, y?);
    measure(calls, runs, || f.call((&x, &y)))
}

/// There are no shaders in a build without the feature.
#[cfg(not(feature = "gpu"))]
fn on_device(calls: u64, runs: u64, points: &Points, f: &Function) -> kroton::Result<Measured> {
    measure(calls, runs, || f.call((&points.x, &points.y)))
}

fn estimate(hits: u64, n: usize) -> f64 {
    4.0 * hits as f64 / n as f64
}

fn hits(x: &[f32], y: &[f32]) -> u64 {
    x.iter().zip(y).map(|(x, y)| u64::from(x * x + y * y < 1.0)).sum()
}

fn hits_rayon(points: &Points) -> u64 {
    points.x.par_chunks(CHUNK).zip(points.y.par_chunks(CHUNK)).map(|(x, y)| hits(x, y)).sum()
}

/// One spawned task for each so many points.
fn hits_in_tasks(points: &Points, chunk: usize) -> u64 {
    let total = AtomicU64::new(0);
    rayon::scope(|scope| {
        for (x, y) in points.x.chunks(chunk).zip(points.y.chunks(chunk)) {
            let total = &total;
            scope.spawn(move |_| {
                total.fetch_add(hits(x, y), Ordering::Relaxed);
            });
        }
    });
    total.into_inner()
}

/// A time for all calls, and the last estimate.
#[derive(Clone, Copy)]
struct Measured {
    time: Duration,
    scaled: bool,
    pi: f64,
}

impl Measured {
    fn print(self, name: &str, samples: u64, plain: &Measured) {
        let seconds = self.time.as_secs_f64();
        let time = format!("{}{seconds:.4} s", if self.scaled { "≈ " } else { "" });
        let rate = format!("{:.2}·10⁶", samples as f64 / seconds / 1e6);
        let ratio = format!("{:.2}×", seconds / plain.time.as_secs_f64());
        println!("  {name:<38}{time:>12}{rate:>16}{ratio:>10}{:>10.5}", self.pi);
    }
}

/// Runs `run` so often after one warm-up and scales the time to `calls`; a progress line shows on a terminal.
fn measure(calls: u64, runs: u64, mut run: impl FnMut() -> kroton::Result<f64>) -> kroton::Result<Measured> {
    let progress = progress(runs as usize, "calls");
    let mut pi = run()?;
    let mut time = Duration::ZERO;
    let mut left = runs;
    while left > 0 {
        let batch = left.min((runs / 100).max(1));
        let start = Instant::now();
        for _ in 0..batch {
            pi = black_box(run()?);
        }
        time += start.elapsed();
        left -= batch;
        progress.inc(batch);
    }
    progress.finish_and_clear();
    Ok(Measured { time: time.mul_f64(calls as f64 / runs as f64), scaled: runs < calls, pi })
}
