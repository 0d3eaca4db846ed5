//! Build once, then feed by name, fetch what is wanted, and choose the device: as a session over a graph does it.
//!
//! A line is fitted to points by gradient descent. One graph holds the prediction, the loss and the step; a call names
//! what it feeds, and takes what it asks for.
//! `cargo run --release --example session`; `-- --help` lists the sizes.

mod presentation;

use kroton::{Arg, Compiler, Device, Error, Expr, Function, Shared, grad, scalar, shared, vector};
use presentation::{Options, Outcome, Size, median, progress, row, table, time};

fn main() -> Outcome {
    let options = Options::read(
        "session",
        &[
            Size { name: "points", usual: 10_000, short: 100, counts: "points to fit" },
            Size { name: "steps", usual: 500, short: 20, counts: "steps of gradient descent" },
        ],
    )?;
    let (n, steps) = (options.size("points"), options.size("steps"));
    let (xs, ys) = points(n);

    let mut table = table(["device", "slope", "intercept", "loss", "per step"]);
    for device in [Device::Cpu, Device::Gpu] {
        let line = Line::new()?;
        let step = match line.step(device) {
            Ok(step) => step,
            // Where there is no GPU, its row is left out.
            Err(Error::Device(reason)) => {
                println!("({device:?}: {reason})");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let feed = || [("rate", Arg::from(&0.5_f32)), ("x", Arg::from(&xs)), ("y", Arg::from(&ys))];
        let progress = progress(steps, "fitting");
        let mut loss = f32::INFINITY;
        for _ in 0..steps {
            loss = step.call_named(feed())?;
            progress.inc(1);
        }
        progress.finish_and_clear();
        let (_, duration) = median(20, || Ok(step.call_named::<f32>(feed())?))?;
        let [slope, intercept] = [&line.slope, &line.intercept].map(Shared::get::<f32>);
        let (slope, intercept) = (slope?, intercept?);
        row(
            &mut table,
            [
                &format!("{device:?}"),
                &format!("{slope:.4}"),
                &format!("{intercept:.4}"),
                &format!("{loss:.2e}"),
                &time(duration),
            ],
        );
        assert!(steps < 500 || (slope - 2.0).abs() < 0.05, "the slope is {slope}");
    }
    println!("{table}");
    fetch_parts()
}

/// y = slope · x + intercept, and how far it is from given points.
struct Line {
    x: Expr,
    y: Expr,
    slope: Shared,
    intercept: Shared,
    prediction: Expr,
    loss: Expr,
}

impl Line {
    fn new() -> kroton::Result<Line> {
        let (x, y) = (vector::<f32>("x"), vector::<f32>("y"));
        let (slope, intercept) = (shared("slope", 0.0_f32), shared("intercept", 0.0_f32));
        let prediction = &slope * &x + &intercept;
        let loss = (&prediction - &y).square().mean(..);
        Ok(Line { x, y, slope, intercept, prediction, loss })
    }

    /// One step of gradient descent; the result is the loss before it.
    fn step(&self, device: Device) -> kroton::Result<Function> {
        let rate = scalar::<f32>("rate");
        let slopes = grad(&self.loss, [&*self.slope, &*self.intercept])?;
        let update = |variable: &Shared, slope: &Expr| variable - &rate * slope;
        Compiler::new()
            .device(device)
            .updates([
                (&self.slope, update(&self.slope, &slopes[0])),
                (&self.intercept, update(&self.intercept, &slopes[1])),
            ])
            .compile([&self.x, &self.y, &rate], &self.loss)
    }
}

/// A function with several named outputs: a call may ask for some, gives what these need, and nothing else is computed.
fn fetch_parts() -> Outcome {
    let line = Line::new()?;
    line.slope.set(2.0_f32)?;
    let all = Compiler::new()
        .output_names(["prediction", "loss"])
        .compile([&line.x, &line.y], (&line.prediction, &line.loss))?;
    let (x, y) = ([0.0_f32, 1.0, 2.0], [1.0_f32, 3.0, 5.0]);
    let loss: f32 = all.fetch(["loss"])?.call_named([("x", Arg::from(&x)), ("y", Arg::from(&y))])?;
    let prediction: Vec<f32> = all.fetch(["prediction"])?.call_named([("x", Arg::from(&x))])?;
    println!("{}", all.signature());
    println!("loss alone, fed x and y: {loss}; prediction alone, fed x: {prediction:?}");
    Ok(())
}

/// Points near y = 2x + 1 for x in [0, 1).
fn points(n: usize) -> (Vec<f32>, Vec<f32>) {
    let x: Vec<f32> = (0..n).map(|i| i as f32 / n as f32).collect();
    let y = x.iter().enumerate().map(|(i, x)| 2.0 * x + 1.0 + 0.01 * ((i % 5) as f32 - 2.0)).collect();
    (x, y)
}
