//! Logistic regression by gradient descent: whether a penguin is male, from four measurements.
//!
//! ```text
//! cargo run --release --example logistic_regression [-- --steps 2000 --picture loss.svg]
//! ```
//!
//! The loss is written as in a textbook, −mean(y ln σ + (1 − y) ln(1 − σ)): value and gradient are compiled in stable
//! forms, so that no logarithm of zero occurs however far the weights run. The weights live in the function: one call is one
//! step of descent.

mod presentation;

use kroton::{Compiler, Stage, compile, grad, matrix, shared, vector};
use ndarray::{Array1, Array2, Axis};
use plotters::prelude::*;
use presentation::{Options, Outcome, Size, progress, row, table};

const DATA: &str = include_str!("data/penguins.csv");
const RATE: f64 = 0.5;

/// The measurements, each with mean 0 and deviation 1, and whether the penguin is male.
fn penguins() -> Outcome<(Array2<f64>, Array1<f64>)> {
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

fn main() -> Outcome {
    let sizes = [Size { name: "steps", usual: 2_000, short: 20, counts: "steps of descent" }];
    let options = Options::read("logistic_regression", &sizes)?;
    let steps = options.size("steps").max(1);
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

    let bar = progress(steps, "descent");
    let mut losses = Vec::with_capacity(steps);
    for _ in 0..steps {
        losses.push(step.call::<f64>((&features, &male))?);
        bar.inc(1);
    }
    bar.finish_and_clear();

    let accuracy: f64 = right.call((&features, &male))?;
    let weights: Vec<f64> = w.get()?;
    println!("{} penguins, {steps} steps", features.nrows());
    let mut weights_table = table(["measurement", "weight"]);
    for (name, weight) in ["bill length", "bill depth", "flipper length", "body mass"].iter().zip(&weights) {
        row(&mut weights_table, [name, &format!("{weight:+.3}")]);
    }
    println!("{weights_table}");
    println!("loss {:.4} → {:.4}, accuracy {:.1} %", losses[0], losses[losses.len() - 1], accuracy * 100.0);
    let report = step.dump(Stage::Optimized)?;
    report.lines().filter(|line| line.contains("log_") || line.starts_with("//")).for_each(|line| println!("{line}"));
    let path = options.picture("logistic_regression.svg");
    draw(&path, &losses)?;
    println!("the loss curve: {}", path.display());
    Ok(())
}

/// The loss before each step.
fn draw(path: &std::path::Path, losses: &[f64]) -> Outcome {
    let largest = losses.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let root = SVGBackend::new(path, (800, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0..losses.len(), 0.0..largest * 1.05)?;
    chart.configure_mesh().x_desc("step").y_desc("loss").draw()?;
    chart.draw_series(LineSeries::new(losses.iter().copied().enumerate(), &BLUE))?;
    root.present()?;
    Ok(())
}
