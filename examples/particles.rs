//! Particles that turn about the origin, each with its own angular speed: a loop over time for 10,000 particles.
//!
//! norm = √(x² + y²), v = (−y, x) / norm, x += dt·ω·v. The plain loop, the same with the particles shared out among threads,
//! and `iterate`: the compiler turns the loops inside out, so that a chunk of particles takes all its steps in registers.
//! Writes a picture of the particles before and after.
//! `cargo run --release --example particles`; `-- --help` lists the sizes.

mod presentation;

use kroton::{Function, compile, iterate, scalar, vector};
use plotters::prelude::*;
use presentation::{Options, Outcome, Size, median, row, share_of_time, speedup, table, time};
use rayon::prelude::*;

/// The time of one step.
const DT: f64 = 1e-3;

/// Particles of one task of the thread pool.
const CHUNK: usize = 256;

fn main() -> Outcome {
    let options = Options::read(
        "particles",
        &[
            Size { name: "particles", usual: 10_000, short: 100, counts: "particles" },
            Size { name: "steps", usual: 1_000, short: 10, counts: "steps in time" },
        ],
    )?;
    let (n, steps) = (options.size("particles"), options.size("steps"));
    let start = Particles::new(n);

    let in_time = compile_steps()?;
    let kroton = || Ok(in_time.call::<(Vec<f64>, Vec<f64>)>((steps as i64, &start.x, &start.y, &start.speed))?);
    let ((x, y), compiled) = median(5, kroton)?;
    let (plain, serial) = median(3, || Ok(start.clone().run(steps)))?;
    let (_, parallel) = median(3, || Ok(start.clone().run_parallel(steps)))?;
    let end = Particles { x, y, speed: start.speed.clone() };
    assert!(end.distance(&plain) < 1e-9, "the results differ by {}", end.distance(&plain));

    println!("{n} particles, {steps} steps, {} threads", rayon::current_num_threads());
    let mut table = table(["", "time", "per particle and step", "speed"]);
    for (name, duration) in [("plain loop", serial), ("rayon over particles", parallel), ("kroton", compiled)] {
        row(&mut table, [&name, &time(duration), &share_of_time(duration, n * steps), &speedup(serial, duration)]);
    }
    println!("{table}");
    let path = options.picture("particles.svg");
    draw(&path, &start, &end)?;
    println!("before and after: {}", path.display());
    Ok(())
}

/// (steps, x, y, ω) → (x, y) after these steps.
fn compile_steps() -> kroton::Result<Function> {
    let steps = scalar::<i64>("steps");
    let [x, y, speed] = ["x", "y", "speed"].map(vector::<f64>);
    let end = iterate(&steps, [&x, &y], |[x, y]| {
        let norm = (&x * &x + &y * &y).sqrt();
        let (vx, vy) = (-&y / &norm, &x / &norm);
        [&x + DT * &speed * vx, &y + DT * &speed * vy]
    })?;
    compile([&steps, &x, &y, &speed], end)
}

/// Where particles are, and how fast each turns.
#[derive(Clone)]
struct Particles {
    x: Vec<f64>,
    y: Vec<f64>,
    speed: Vec<f64>,
}

impl Particles {
    /// A spiral of sunflower seeds; the outer ones turn faster.
    fn new(n: usize) -> Particles {
        let radius = |i: usize| ((i as f64 + 0.5) / n as f64).sqrt();
        let angle = |i: usize| i as f64 * 2.399_963_229_728_653;
        Particles {
            x: (0..n).map(|i| radius(i) * angle(i).cos()).collect(),
            y: (0..n).map(|i| radius(i) * angle(i).sin()).collect(),
            speed: (0..n).map(radius).collect(),
        }
    }

    fn run(mut self, steps: usize) -> Particles {
        for ((x, y), speed) in self.x.iter_mut().zip(&mut self.y).zip(&self.speed) {
            (*x, *y) = turned(*x, *y, *speed, steps);
        }
        self
    }

    fn run_parallel(mut self, steps: usize) -> Particles {
        let chunks = (self.x.par_chunks_mut(CHUNK), self.y.par_chunks_mut(CHUNK), self.speed.par_chunks(CHUNK));
        chunks.into_par_iter().for_each(|(x, y, speed)| {
            for ((x, y), speed) in x.iter_mut().zip(y).zip(speed) {
                (*x, *y) = turned(*x, *y, *speed, steps);
            }
        });
        self
    }

    /// The largest difference of a coordinate.
    fn distance(&self, other: &Particles) -> f64 {
        let pairs = self.x.iter().zip(&other.x).chain(self.y.iter().zip(&other.y));
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }
}

/// One particle after all its steps.
fn turned(mut x: f64, mut y: f64, speed: f64, steps: usize) -> (f64, f64) {
    for _ in 0..steps {
        let norm = (x * x + y * y).sqrt();
        let (vx, vy) = (-y / norm, x / norm);
        x += DT * speed * vx;
        y += DT * speed * vy;
    }
    (x, y)
}

/// Two pictures side by side; a particle keeps its color.
fn draw(path: &std::path::Path, start: &Particles, end: &Particles) -> Outcome {
    let root = SVGBackend::new(path, (1000, 520)).into_drawing_area();
    root.fill(&WHITE)?;
    let panels = root.split_evenly((1, 2));
    for (panel, particles, title) in [(&panels[0], start, "before"), (&panels[1], end, "after")] {
        let mut chart = ChartBuilder::on(panel)
            .caption(title, ("sans-serif", 20))
            .margin(12)
            .build_cartesian_2d(-1.6..1.6, -1.6..1.6)?;
        // The color is the quarter in which a particle began.
        let points = (0..start.x.len()).map(|i| {
            let hue = start.y[i].atan2(start.x[i]) / std::f64::consts::TAU + 0.5;
            Circle::new((particles.x[i], particles.y[i]), 1, HSLColor((hue * 4.0).floor() / 4.0, 0.8, 0.45).filled())
        });
        chart.draw_series(points)?;
    }
    root.present()?;
    Ok(())
}
