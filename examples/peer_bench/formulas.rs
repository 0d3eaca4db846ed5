//! The formulas of the workloads, as a user would write them.

use kroton::{Expr, erf, exp, ln, minimum, sqrt};

/// Coefficients of the polynomial W4, the constant one first.
const COEFFICIENTS: [f64; 16] =
    [0.7, -0.31, 0.52, 0.11, -0.93, 0.25, -0.41, 0.66, 0.19, -0.77, 0.36, 0.58, -0.22, 0.47, -0.15, 0.83];

/// The interest rate of W6.
pub const RATE: f64 = 0.03;

/// a² + b².
pub fn squares(a: &Expr, b: &Expr) -> Expr {
    a.square() + b.square()
}

/// 4 times the share of points in the unit circle.
pub fn pi(x: &Expr, y: &Expr) -> Expr {
    4.0 * (x * x + y * y).lt(1.0).sum(..) / x.len()
}

/// A polynomial of degree 15 by Horner's rule.
pub fn horner(x: &Expr) -> Expr {
    let [lower @ .., leading] = COEFFICIENTS;
    lower.iter().rev().enumerate().fold(Expr::clone(x), |sum, (step, coefficient)| {
        if step == 0 { leading * sum + *coefficient } else { sum * x + *coefficient }
    })
}

/// exp(−x²/2) · sin(3x) + ln(1 + |x|) + tanh(x).
pub fn transcendental(x: &Expr) -> Expr {
    exp(-x * x / 2.0) * (3.0 * x).sin() + x.abs().log1p() + x.tanh()
}

/// The price of a European call by Black and Scholes, at a volatility of 0.25.
pub fn black_scholes(spot: &Expr, strike: &Expr, years: &Expr, rate: f64) -> Expr {
    let volatility = 0.25;
    let deviation = volatility * sqrt(years);
    let d1 = (ln(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / &deviation;
    let d2 = &d1 - deviation;
    let normal = |x: Expr| 0.5 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2));
    spot * normal(d1) - strike * exp(-rate * years) * normal(d2)
}

/// Rows less their mean, over their standard deviation, scaled and shifted.
pub fn layer_norm(x: &Expr, scale: &Expr, shift: &Expr) -> Expr {
    let centered = x - x.mean_keepdims(1);
    &centered / sqrt((&centered * &centered).mean_keepdims(1) + 1e-5) * scale + shift
}

/// The distance of each point (xi, yi) from each (xj, yj), columns against rows.
pub fn distances(xi: &Expr, yi: &Expr, xj: &Expr, yj: &Expr) -> Expr {
    sqrt((xi - xj).square() + (yi - yj).square())
}

/// One step of particles that turn about the origin, W10.
pub fn turned(x: &Expr, y: &Expr, speed: &Expr) -> [Expr; 2] {
    let time = 1e-5;
    let norm = sqrt(x * x + y * y);
    let (vx, vy) = (-y / &norm, x / &norm);
    [x + time * speed * vx, y + time * speed * vy]
}

/// The mean loss of a logistic regression; classes are −1 and 1.
pub fn logistic_loss(samples: &Expr, classes: &Expr, weights: &Expr) -> Expr {
    (-classes * samples.dot(weights)).softplus().mean(..)
}

/// 1,000 operations: 250 times min(|y · m + a|, c). The counter makes programs differ.
pub fn chain(x: &Expr, counter: usize) -> Expr {
    (0..250).fold(x.clone(), |y, i| {
        let factor = 0.999 + 1e-6 * i as f64 + 1e-9 * counter as f64;
        let offset = 0.001 * (i % 7) as f64 - 0.002;
        minimum((y * factor + offset).abs(), 10.0 + 0.01 * i as f64)
    })
}
