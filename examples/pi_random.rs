//! π from random points that the graph draws itself: nothing is stored, however many there are.
//!
//! Plain Rust, one task for each sample, tasks of many samples, and one call of a compiled function on each engine. Writes a
//! picture of the error |π̂ − π| against the number of samples, beside 1/√n.
//! `cargo run --release --example pi_random`; `-- --help` lists the sizes.

mod presentation;

use std::f64::consts::PI;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kroton::{Compiler, Device, Function, random, scalar};
use plotters::prelude::*;
use presentation::{Options, Outcome, Size, SplitMix, median, progress, row, table, time};

fn main() -> Outcome {
    let options = Options::read(
        "pi_random",
        &[
            Size { name: "samples", usual: 100_000_000, short: 20_000, counts: "samples of one estimate" },
            Size { name: "keys", usual: 16, short: 2, counts: "streams of which the error is the mean" },
        ],
    )?;
    let n = options.size("samples");
    compare(n)?;
    let path = options.picture("pi_random.svg");
    let errors = convergence(n, options.size("keys"))?;
    draw(&path, &errors)?;
    println!("the error against the number of samples: {}", path.display());
    Ok(())
}

/// (seed, n) → the estimate. The square is [0, 1)², of which a quarter circle covers π/4.
fn compile_pi(compiler: &Compiler) -> kroton::Result<Function> {
    let (seed, n) = (scalar::<u64>("seed"), scalar::<i64>("n"));
    let (for_x, for_y) = random::split(&random::key(&seed));
    let x = random::uniform::<f32>(&for_x, [&n]);
    let y = random::uniform::<f32>(&for_y, [&n]);
    let hits = (&x * &x + &y * &y).lt(1.0).sum(..);
    compiler.compile([&seed, &n], 4.0 * hits / &n)
}

/// The same work in several ways.
fn compare(n: usize) -> Outcome {
    println!("4 · hits / n of n = {n} samples, {} threads", rayon::current_num_threads());
    let mut table = table(["", "time", "samples/s", "π̂"]);
    let mut report = |name: &str, samples: usize, pi: f64, duration: Duration| {
        let rate = format!("{:.1}·10⁶", samples as f64 / duration.as_secs_f64() / 1e6);
        let scaled = duration.mul_f64(n as f64 / samples as f64);
        let time = format!("{}{}", if samples < n { "≈ " } else { "" }, time(scaled));
        row(&mut table, [&name, &time, &rate, &format!("{pi:.6}")]);
    };
    let estimate = |hits: u64, samples: usize| 4.0 * hits as f64 / samples as f64;

    let (hits, duration) = median(1, || Ok(hits(0, n)))?;
    report("plain loop", n, estimate(hits, n), duration);
    // One task for each sample is so slow that fewer samples must do.
    let few = n.min(1_000_000);
    let (hits, duration) = median(1, || Ok(hits_in_tasks(few, 1)))?;
    report("one task for each sample", few, estimate(hits, few), duration);
    let (hits, duration) = median(3, || Ok(hits_in_tasks(n, CHUNK)))?;
    report("tasks of 65,536 samples", n, estimate(hits, n), duration);
    let engines = [
        ("kroton, one thread", Compiler::new().device(Device::Cpu).threads(1)),
        ("kroton", Compiler::new().device(Device::Cpu)),
        ("kroton on the GPU", Compiler::new().device(Device::Gpu)),
    ];
    for (name, compiler) in engines {
        // Where there is no GPU, its row is left out.
        let pi = match compile_pi(&compiler) {
            Ok(pi) => pi,
            Err(kroton::Error::Device(reason)) => {
                println!("({name}: {reason})");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let (estimate, duration) = median(3, || Ok(pi.call::<f64>((42_u64, n as i64))?))?;
        report(name, n, estimate, duration);
    }
    println!("{table}");
    println!("Rows with ≈ drew fewer samples, and their time is scaled. Every Kroton row drew the same points.");
    Ok(())
}

/// Samples of one task.
const CHUNK: usize = 1 << 16;

/// The hits among `count` samples of a stream.
fn hits(stream: u64, count: usize) -> u64 {
    let mut random = SplitMix(stream.wrapping_mul(0xd134_2543_de82_ef95));
    (0..count).map(|_| (random.next(), random.next())).map(|(x, y)| u64::from(x * x + y * y < 1.0)).sum()
}

/// One spawned task for each so many samples; each has a stream of its own.
fn hits_in_tasks(n: usize, chunk: usize) -> u64 {
    let total = AtomicU64::new(0);
    rayon::scope(|scope| {
        for start in (0..n).step_by(chunk) {
            let total = &total;
            scope.spawn(move |_| {
                total.fetch_add(hits(start as u64, chunk.min(n - start)), Ordering::Relaxed);
            });
        }
    });
    total.into_inner()
}

/// The mean error over some streams, for numbers of samples up to `most`.
fn convergence(most: usize, keys: usize) -> Outcome<Vec<(f64, f64)>> {
    let pi = compile_pi(&Compiler::new())?;
    let sizes: Vec<usize> = (0..).map(|i| 100 << (2 * i)).take_while(|&n| n <= most).collect();
    let progress = progress(sizes.len() * keys, "convergence");
    let mut errors = Vec::new();
    for n in sizes {
        let mut sum = 0.0;
        for key in 0..keys {
            sum += (pi.call::<f64>((key as u64, n as i64))? - PI).abs();
            progress.inc(1);
        }
        errors.push((n as f64, sum / keys.max(1) as f64));
    }
    progress.finish_and_clear();
    Ok(errors)
}

/// The errors and the line 1/√n, both axes logarithmic.
fn draw(path: &std::path::Path, errors: &[(f64, f64)]) -> Outcome {
    let last = errors.last().map_or(100.0, |(n, _)| *n);
    let root = SVGBackend::new(path, (800, 520)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption("|π̂ − π| against the number of samples", ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d((80.0..last * 2.0).log_scale(), (1e-6..1.0).log_scale())?;
    chart.configure_mesh().x_desc("n").y_desc("error").y_label_formatter(&|y| format!("{y:.0e}")).draw()?;
    let line = errors.iter().map(|&(n, _)| (n, 1.0 / n.sqrt()));
    chart.draw_series(LineSeries::new(line, &BLACK))?.label("1/√n");
    chart.draw_series(LineSeries::new(errors.iter().copied(), &BLUE).point_size(4))?.label("mean error");
    chart.configure_series_labels().border_style(BLACK).draw()?;
    root.present()?;
    Ok(())
}
