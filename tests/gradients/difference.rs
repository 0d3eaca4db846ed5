//! Derivatives from values: central differences, extrapolated (Richardson), with a bound on their error.
//!
//! The bound is the change by the last step of the extrapolation, which is more than what is left of the truncation
//! where steps are small beside the distance to a singularity, and the rounding of the values divided by the
//! smallest step.

use kroton::{Arg, Compiler, Expr, Function, OnUnused};
use ndarray::ArrayD;

/// Step sizes are 2^-FIRST down to 2^-(FIRST + LEVELS - 1).
const FIRST: i32 = 6;
const LEVELS: usize = 4;

/// A derivative and a bound on its error.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    pub value: f64,
    pub error: f64,
}

impl Difference {
    /// Whether a derivative computed otherwise, with at most this relative error, is the same.
    pub fn agrees(&self, derivative: f64, relative: f64) -> bool {
        (derivative - self.value).abs() <= self.error + relative * self.value.abs()
    }
}

/// The derivative at 0 of a function of the step; `noise` bounds the relative error of its values.
pub fn differentiate(f: impl Fn(f64) -> f64, noise: f64) -> Difference {
    let mut row: Vec<f64> = Vec::new();
    let (mut size, mut change, mut step) = (0.0_f64, f64::INFINITY, 0.0);
    for level in 0..LEVELS {
        step = f64::powi(2.0, -FIRST - level as i32);
        let (up, down) = (f(step), f(-step));
        size = size.max(up.abs()).max(down.abs());
        let mut next = vec![(up - down) / (2.0 * step)];
        for (order, previous) in row.iter().enumerate() {
            let factor = f64::powi(4.0, order as i32 + 1);
            next.push((factor * next[order] - previous) / (factor - 1.0));
        }
        if let Some(previous) = row.last() {
            change = (next[level] - previous).abs();
        }
        row = next;
    }
    // The weights of the extrapolation add up to less than 2.
    Difference { value: row[LEVELS - 1], error: change + 2.0 * noise * size / step }
}

/// Several outputs of some inputs, compiled.
pub fn compile(inputs: &[Expr], outputs: &[Expr]) -> Function {
    Compiler::new().on_unused_input(OnUnused::Ignore).compile(inputs, outputs).unwrap()
}

/// The results of a call, each in row-major order.
pub fn call(f: &Function, arguments: &[ArrayD<f64>]) -> Vec<Vec<f64>> {
    let args: Vec<Arg<'_>> = arguments.iter().map(Arg::from).collect();
    let results: Vec<kroton::Array> = f.call(args.as_slice()).unwrap();
    results.iter().map(|result| result.as_slice::<f64>().unwrap().to_vec()).collect()
}
