//! Times of the kernels.

use crate::measure::Subject;
use crate::number::Number;
use crate::samples;
use std::time::Instant;

/// Elements that stay in the first-level cache.
const COUNT: usize = 1024;
const RUNS: usize = 2000;

/// Nanoseconds per element at each level: the least of many runs over the first interval of the function.
pub fn times<T: Number>(subject: &Subject<T>) -> String {
    // The first batch that is drawn from the interesting arguments.
    let batch = 1;
    let arguments = samples::random::<T>(subject.domain, batch, COUNT);
    let mut out = arguments.a.clone();
    let mut text = String::new();
    for (level, kernel) in &subject.kernels {
        let mut best = f64::INFINITY;
        for _ in 0..RUNS {
            let start = Instant::now();
            kernel(&mut out, &arguments.a, &arguments.b);
            best = best.min(start.elapsed().as_secs_f64());
        }
        text += &format!("{level:?} {:.2} ns  ", best / COUNT as f64 * 1e9);
    }
    text
}
