//! Times of compiled functions over times of loops written by hand, from interleaved runs.
//!
//! `cargo bench --bench ratios`. Each case alternates between the two, so that whatever else the machine does meets
//! both; the ratio is the median of those of neighboring runs. `-- --pairs 51` takes more of them.

mod by_hand;
mod expressions;

use std::hint::black_box;
use std::time::Instant;

use kroton::{Array, Compiler, Function, Result, vector};

/// The sizes: the cost of a call, the cache, the memory.
const SIZES: [usize; 3] = [3, 30_000, 10_000_000];

/// The shortest run that is timed, in seconds.
const SHORTEST: f64 = 2e-3;

fn main() -> Result<()> {
    let pairs = pairs_asked_for().unwrap_or(21);
    println!("median of {pairs} interleaved pairs of runs; times per call\n");
    println!("{:<34}{:>10}{:>8}{:>12}{:>12}{:>8}", "", "n", "threads", "kroton", "by hand", "ratio");
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| kroton::Error::Device(error.to_string()))?;
        for n in SIZES {
            // Inside the pool, so that the loops and the compiled functions use the same threads.
            pool.install(|| cases(n, threads, pairs))?;
        }
    }
    println!("\n{:<34}{:>12}", "compile times (median)", "");
    for (name, time) in compile_times()? {
        println!("{name:<50}{:>14}", format_seconds(time));
    }
    Ok(())
}

/// The number after `--pairs`.
fn pairs_asked_for() -> Option<usize> {
    std::env::args().skip_while(|argument| argument != "--pairs").nth(1)?.parse().ok()
}

fn cases(n: usize, threads: usize, pairs: usize) -> Result<()> {
    let arrays = (by_hand::random(n, 1), by_hand::random(n, 2));
    // Opaque to the compiler, lest a loop whose inputs never change be run once.
    let arguments = || (black_box(&arrays.0), black_box(&arrays.1));
    let (a, b) = (&arrays.0, &arrays.1);
    let (mut ours, mut theirs) = (vec![0.0; n], vec![0.0; n]);
    let (squares, pi) = (squares()?, pi()?);
    let row = |name: &str, pair: Pair| pair.print(name, n, threads);
    let into = || {
        let (a, b) = arguments();
        if threads == 1 { by_hand::squares(a, b, &mut theirs) } else { by_hand::squares_rayon(a, b, &mut theirs) }
    };
    row("a² + b² into a given output", interleave(pairs, || squares.call_into((a, b), (&mut ours,)), into)?);
    assert_eq!(ours, theirs);
    let fresh = || {
        let (a, b) = arguments();
        if threads == 1 { by_hand::squares_fresh(a, b) } else { by_hand::squares_rayon_fresh(a, b) }
    };
    row("a² + b² as a fresh Array", interleave(pairs, || squares.call::<Array>((a, b)), fresh)?);
    row("a² + b² as a fresh Vec", interleave(pairs, || squares.call::<Vec<f64>>((a, b)), fresh)?);
    let hits = || {
        let (x, y) = arguments();
        by_hand::pi(if threads == 1 { by_hand::hits(x, y) } else { by_hand::hits_rayon(x, y) }, n)
    };
    row("π hit test", interleave(pairs, || pi.call::<f64>((a, b)), hits)?);
    assert_eq!(pi.call::<f64>((a, b))?, hits());
    Ok(())
}

fn squares() -> Result<Function> {
    let (a, b) = (vector::<f64>("a"), vector::<f64>("b"));
    Compiler::new().compile([&a, &b], &a * &a + &b * &b)
}

fn pi() -> Result<Function> {
    let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
    let hits = (&x * &x + &y * &y).lt(1.0).sum(..);
    Compiler::new().compile([&x, &y], 4.0 * hits / x.len())
}

/// Median seconds per call, and the median ratio of neighbors.
struct Pair {
    kroton: f64,
    by_hand: f64,
    ratio: f64,
}

impl Pair {
    fn print(&self, name: &str, n: usize, threads: usize) {
        let (kroton, by_hand) = (format_seconds(self.kroton), format_seconds(self.by_hand));
        println!("{name:<34}{n:>10}{threads:>8}{kroton:>12}{by_hand:>12}{:>8.2}", self.ratio);
    }
}

/// Runs the two in turn; each run repeats until it is long enough to be timed.
fn interleave<A, B>(
    pairs: usize,
    mut kroton: impl FnMut() -> Result<A>,
    mut by_hand: impl FnMut() -> B,
) -> Result<Pair> {
    kroton()?;
    let mut repeats = 1_usize;
    while time(repeats, &mut by_hand) * (repeats as f64) < SHORTEST {
        repeats *= 2;
    }
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..pairs {
        ours.push(time(repeats, &mut kroton));
        theirs.push(time(repeats, &mut by_hand));
        ratios.push(ours[ours.len() - 1] / theirs[theirs.len() - 1]);
    }
    Ok(Pair { kroton: median(ours), by_hand: median(theirs), ratio: median(ratios) })
}

/// Seconds of one of so many repeats.
fn time<T>(repeats: usize, mut run: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    for _ in 0..repeats {
        black_box(run());
    }
    start.elapsed().as_secs_f64() / repeats as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn format_seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1e-6 => format!("{:.0} ns", s * 1e9),
        s if s < 1e-3 => format!("{:.1} µs", s * 1e6),
        s => format!("{:.2} ms", s * 1e3),
    }
}

/// Median times of compiling, with constants that are new each time.
fn compile_times() -> Result<[(&'static str, f64); 4]> {
    expressions::squares_with_first_call()?;
    let timed = |mut run: Box<dyn FnMut() -> Result<f64>>| -> Result<f64> {
        let mut times = Vec::new();
        for _ in 0..31 {
            let start = Instant::now();
            black_box(run()?);
            times.push(start.elapsed().as_secs_f64());
        }
        Ok(median(times))
    };
    Ok([
        ("a² + b²: build and compile", timed(Box::new(|| expressions::squares().map(|_| 0.0)))?),
        ("a² + b²: build, compile, first call", timed(Box::new(expressions::squares_with_first_call))?),
        ("1,000 ops in a chain: build and compile", timed(Box::new(|| expressions::chain(1_000).map(|_| 0.0)))?),
        (
            "1,000 ops in a chain: build, compile, first call",
            timed(Box::new(|| expressions::chain_with_first_call(1_000)))?,
        ),
    ])
}
