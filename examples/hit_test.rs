//! π by given points: how many lie within a radius that is a shared variable, and when to share the work among threads.
//!
//! The radius is a parameter of the function without being an argument of each call. `parallel_threshold` says from how many
//! elements on a call uses several threads; left open, an estimate of the work decides.
//! `cargo run --release --example hit_test`; `-- --help` lists the sizes.

mod presentation;

use kroton::{Compiler, Function, Shared, random, shared, vector};
use presentation::{Options, Outcome, Size, median, row, speedup, table, time};

fn main() -> Outcome {
    let options = Options::read(
        "hit_test",
        &[Size { name: "samples", usual: 4_000_000, short: 10_000, counts: "points of the largest call" }],
    )?;
    let most = options.size("samples");
    let (x, y) = points(most)?;
    let radius = shared("radius", 1.0);
    let ways = [
        ("one thread", compile_pi(&radius, Some(usize::MAX))?),
        ("always shared", compile_pi(&radius, Some(1))?),
        ("by estimate", compile_pi(&radius, None)?),
    ];

    println!("4 · sum(x² + y² < r²) / (r² n), {} threads", rayon::current_num_threads());
    let mut table = table(["n", "parallel_threshold", "time", "speed", "π̂"]);
    for n in sizes(most) {
        let mut reference = None;
        for (name, pi) in &ways {
            let runs = (10_000_000 / n).clamp(5, 1_000);
            let (estimate, duration) = median(runs, || Ok(pi.call::<f64>((&x[..n], &y[..n]))?))?;
            let reference = *reference.get_or_insert(duration);
            let speed = speedup(reference, duration);
            row(&mut table, [&n, name, &time(duration), &speed, &format!("{estimate:.5}")]);
        }
    }
    println!("{table}");

    // Every function that uses the variable sees the new value; nothing is compiled again.
    radius.set(0.5)?;
    println!("with radius {}: {:.5}", radius.get::<f64>()?, ways[2].1.call::<f64>((&x, &y))?);
    Ok(())
}

fn compile_pi(radius: &Shared, threshold: Option<usize>) -> kroton::Result<Function> {
    let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
    let area = radius * radius;
    let hits = (&x * &x + &y * &y).lt(&area).sum(..);
    let compiler = match threshold {
        Some(elements) => Compiler::new().parallel_threshold(elements),
        None => Compiler::new(),
    };
    compiler.compile([&x, &y], 4.0 * hits / (area * x.len()))
}

/// Points of [0, 1)².
fn points(n: usize) -> kroton::Result<(Vec<f64>, Vec<f64>)> {
    let (for_x, for_y) = random::split(&random::key(7));
    let n = n as i64;
    let coordinates = [for_x, for_y].map(|key| random::uniform::<f64>(&key, [n]));
    kroton::compile([], coordinates)?.call(())
}

/// 1,000, 4,000, … and the largest.
fn sizes(most: usize) -> Vec<usize> {
    let mut sizes: Vec<usize> = (0..).map(|i| 1_000 << (3 * i)).take_while(|&n| n < most).collect();
    sizes.push(most);
    sizes
}
