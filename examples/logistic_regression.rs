//! Logistic regression by gradient descent: whether a penguin is male, from four measurements.
//!
//! ```text
//! cargo run --release --example logistic_regression [-- --steps 2000 --picture loss.svg]
//! ```
//!
//! The loss is written as in a textbook, −mean(y ln σ + (1 − y) ln(1 − σ)): value and gradient are compiled in stable
//! forms, so that no logarithm of zero occurs however far the weights run. The weights live in the function: one call is one
//! step of descent.

use std::error::Error;
use std::fmt::Write;

use indicatif::{ProgressBar, ProgressStyle};
use kroton::{Compiler, Stage, compile, grad, matrix, shared, vector};
use ndarray::{Array1, Array2, Axis};

const DATA: &str = include_str!("data/penguins.csv");
const RATE: f64 = 0.5;

struct Options {
    steps: usize,
    picture: Option<String>,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options { steps: 2000, picture: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--steps" => options.steps = value.parse()?,
            "--picture" => options.picture = Some(value),
            _ => return Err(format!("unknown option {word}; there are --steps NUMBER and --picture FILE.svg").into()),
        }
    }
    Ok(options)
}

/// The measurements, each with mean 0 and deviation 1, and whether the penguin is male.
fn penguins() -> Result<(Array2<f64>, Array1<f64>), Box<dyn Error>> {
    let rows: Vec<Vec<&str>> = DATA.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let mut features = Array2::zeros((rows.len(), 4));
    for (row, mut out) in rows.iter().zip(features.rows_mut()) {
        for (word, place) in row[1..5].iter().zip(&mut out) {
            *place = word.parse()?;
        }
    }
    let mean = features.mean_axis(Axis(0)).ok_or("no rows")?;
    let deviation = features.std_axis(Axis(0), 0.0);
    let male = rows.iter().map(|row| f64::from(row[5] == "male")).collect();
    Ok(((features - mean) / deviation, male))
}

/// A curve of some losses as a picture.
fn picture(losses: &[f64]) -> String {
    let (width, height) = (640.0, 320.0);
    let largest = losses.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let mut points = String::new();
    for (step, loss) in losses.iter().enumerate() {
        let across = step as f64 / losses.len().max(2) as f64 * width;
        let _ = write!(points, "{across:.1},{:.1} ", height - loss / largest * height);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-50 -20 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect x=\"0\" y=\"0\" width=\"{width}\" height=\"{height}\" fill=\"none\" stroke=\"gray\"/>\n\
         <polyline points=\"{points}\" fill=\"none\" stroke=\"steelblue\" stroke-width=\"2\"/>\n\
         <text x=\"-45\" y=\"10\">{largest:.3}</text><text x=\"-45\" y=\"{height}\">0</text>\n\
         <text x=\"{}\" y=\"{}\">loss over {} steps</text>\n</svg>\n",
        width + 70.0,
        height + 50.0,
        width / 2.0 - 60.0,
        height + 18.0,
        losses.len(),
    )
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { steps, picture: path } = options()?;
    let (features, male) = penguins()?;

    let (x, y) = (matrix::<f64>("x"), vector::<f64>("y"));
    let (w, b) = (shared("w", Array1::<f64>::zeros(4)), shared("b", 0.0_f64));
    let p = (x.dot(&w) + &b).sigmoid();
    let loss = -(&y * p.ln() + (1.0 - &y) * (1.0 - &p).ln()).mean(..);
    let slope = grad(&loss, [&*w, &*b])?;
    let step = Compiler::new()
        .name("step")
        .updates([(&w, &*w - RATE * &slope[0]), (&b, &*b - RATE * &slope[1])])
        .compile([&x, &y], &loss)?;
    let right = compile([&x, &y], p.ge(0.5).eq(y.ge(0.5)).cast::<f64>().mean(..))?;

    let bar = ProgressBar::new(steps as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len}  loss {msg}")?);
    let mut losses = Vec::with_capacity(steps);
    for _ in 0..steps {
        let loss: f64 = step.call((&features, &male))?;
        losses.push(loss);
        bar.set_message(format!("{loss:.4}"));
        bar.inc(1);
    }
    bar.finish();

    let accuracy: f64 = right.call((&features, &male))?;
    let weights: Vec<f64> = w.get()?;
    println!("{} penguins, {steps} steps", features.nrows());
    for (name, weight) in ["bill length", "bill depth", "flipper length", "body mass"].iter().zip(&weights) {
        println!("  weight of {name:<15} {weight:+.3}");
    }
    println!("loss {:.4} → {:.4}, accuracy {:.1} %", losses[0], losses[losses.len() - 1], accuracy * 100.0);
    let report = step.dump(Stage::Optimized)?;
    report.lines().filter(|line| line.contains("log_") || line.starts_with("//")).for_each(|line| println!("{line}"));
    if let Some(path) = path {
        std::fs::write(&path, picture(&losses))?;
        println!("the loss curve is in {path}");
    }
    Ok(())
}
