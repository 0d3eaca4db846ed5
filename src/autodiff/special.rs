//! Functions that derivatives need and that are no ops, composed of ops.

use std::f64::consts::PI;

use crate::expr::Expr;

/// How far the argument is moved up before the asymptotic series is used.
const STEPS: usize = 10;

/// Coefficients of z^−1, z^−3, … beside 1/(2z²): the Bernoulli numbers B₂ₖ (DLMF 5.15.8). The first one left out,
/// 43867/798 z^−19, is below 6e−18 from z = 10.5 on.
const SERIES: [f64; 9] =
    [1.0, 1.0 / 6.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 5.0 / 66.0, -691.0 / 2730.0, 7.0 / 6.0, -3617.0 / 510.0];

/// The derivative of digamma, ψ′ (DLMF 5.15.1): the series at x + 10, the recurrence ψ′(x) = ψ′(x + 1) + 1/x² (5.15.5)
/// down from there, and ψ′(x) = π²/sin²(πx) − ψ′(1 − x) (5.15.6) below ½. The sine is taken of the distance to the
/// nearest integer, which is exact.
#[track_caller]
pub(super) fn trigamma(x: &Expr) -> Expr {
    let reflect = x.lt(0.5);
    let start = reflect.select(1.0 - x, x);
    let mut moved = 1.0 / (&start * &start);
    for step in 1..STEPS {
        let term = &start + step as f64;
        moved += 1.0 / (&term * &term);
    }
    let z = start + STEPS as f64;
    let square = 1.0 / (&z * &z);
    let mut series = &square * SERIES[SERIES.len() - 1];
    for &coefficient in SERIES[1..SERIES.len() - 1].iter().rev() {
        series = (series + coefficient) * &square;
    }
    let above = moved + (series + 1.0) / &z + square * 0.5;
    let sine = ((x - x.round()) * PI).sin();
    reflect.select(PI * PI / (&sine * &sine) - &above, above)
}
