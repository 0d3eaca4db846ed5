//! What was found out of a function.

use crate::number::Number;

/// So many differences are told, at most.
const TOLD: usize = 5;

/// The greatest error and where it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Worst {
    pub error: f64,
    pub arguments: (f64, f64),
}

impl Worst {
    pub fn include(&mut self, error: f64, arguments: (f64, f64)) {
        if error > self.error {
            *self = Self { error, arguments };
        }
    }
}

/// What was found out of a function.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Without fused multiply-add, and with it.
    pub worst: [Worst; 2],
    pub count: u64,
    /// Places where two values differ that must not.
    pub differences: Vec<String>,
}

impl Findings {
    pub fn merge(&mut self, other: Self) {
        for (worst, other) in self.worst.iter_mut().zip(other.worst) {
            worst.include(other.error, other.arguments);
        }
        self.count += other.count;
        self.differences.extend(other.differences);
    }

    /// Notes where values are not those expected; `arguments` are the function's.
    pub fn compare<T: Number>(&mut self, name: &str, arguments: [&[T]; 2], expected: &[T], values: &[T]) {
        let [a, b] = arguments;
        for (i, (expected, value)) in expected.iter().zip(values).enumerate() {
            if !expected.same(*value) && self.differences.len() < TOLD {
                self.differences.push(format!("{name} of ({:?}, {:?}): {value:?}, not {expected:?}", a[i], b[i]));
            }
        }
    }
}
