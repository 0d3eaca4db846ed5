//! Times of compiled functions.

use crate::measure::Subject;
use crate::number::Number;
use crate::samples;
use std::time::Instant;

/// Elements that stay in the first-level cache; a call itself takes less than a twentieth of a nanosecond of each.
const COUNT: usize = 2048;
const RUNS: usize = 2000;

/// Nanoseconds per element at each level: the least of many runs over the first interval of the function.
pub fn times<T: Number>(subject: &Subject<'_>) -> String {
    // The first batch that is drawn from the interesting arguments.
    let batch = 1;
    let arguments = samples::random::<T>(subject.function.domain, batch, COUNT);
    let mut out = arguments.a.clone();
    let mut text = String::new();
    for level in &subject.levels {
        let mut best = f64::INFINITY;
        for _ in 0..RUNS {
            let start = Instant::now();
            level.run(&mut out, &arguments.a, &arguments.b);
            best = best.min(start.elapsed().as_secs_f64());
        }
        text += &format!("{:?} {:.2} ns  ", level.set, best / COUNT as f64 * 1e9);
    }
    text
}
