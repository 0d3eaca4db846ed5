//! The digamma function.
//!
//! The asymptotic series with the recurrence below 10, the reflection formula far below 0, and the Taylor series about
//! the positive root (Abramowitz and Stegun 6.3.18, 6.3.5, 6.3.7; DLMF 5.11.2, 5.5.2, 5.5.4). Sums are kept as pairs of
//! numbers, because near the roots large terms cancel.
//!
//! Must not know: the gamma function.

use super::super::double::{self, Double, PI};

/// The positive root, and the coefficients (−1)ᵏ⁺¹ζ(k + 1, root) of the k-th power about it (mpmath, 60 digits).
const ROOT: Double = Double { hi: 1.4616321449683622, lo: 9.549995429965697e-17 };
const ABOUT_ROOT: [f64; 21] = [
    0.9676722454476212,
    -0.4427631689835921,
    0.258499760955651,
    -0.16394270544240652,
    0.10782405069126237,
    -0.07219956125645471,
    0.04880428816414311,
    -0.03316112647484736,
    0.022597648232218104,
    -0.01542476590494896,
    0.010538791616612175,
    -0.007204534386356869,
    0.004926781395729853,
    -0.003369801655439328,
    0.002305126326734928,
    -0.0015769367714301972,
    0.0010788252019162967,
    -0.0007380709389960052,
    0.000504953265834602,
    -0.0003454680251063077,
    0.00023635601564027053,
];

/// From here on the asymptotic series reaches full precision.
const ASYMPTOTIC: f64 = 10.0;

/// Coefficients −B₂ₖ/(2k) of x^(−2k) in the asymptotic series.
const SERIES: [f64; 8] =
    [-1.0 / 12.0, 1.0 / 120.0, -1.0 / 252.0, 1.0 / 240.0, -1.0 / 132.0, 691.0 / 32_760.0, -1.0 / 12.0, 3617.0 / 8160.0];

/// The digamma function Γ′/Γ, within 4 ULP for x > 0 (its root included) and of max(|result|, 1) below; −inf at +0, +inf
/// at −0, NaN at the negative integers and at −inf.
pub fn digamma(x: f64) -> f64 {
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    if x.abs() < 1e-17 {
        // The next term, Euler's constant, is below half an ULP.
        return -1.0 / x;
    }
    if x < 0.0 && x == x.floor() {
        return f64::NAN;
    }
    if (x - ROOT.hi).abs() < 0.2 {
        let distance = (x - ROOT.hi) - ROOT.lo;
        return distance * ABOUT_ROOT.iter().rev().fold(0.0, |sum, c| sum * distance + c);
    }
    if x > 1e20 {
        return libm::log(x);
    }
    if x > -ASYMPTOTIC {
        return recurrence(x).value();
    }
    reflection(x).value()
}

/// ψ(x) for −10 < x < 10²⁰, off the poles.
fn recurrence(x: f64) -> Double {
    let mut sum = Double::from(0.0);
    let mut shifted = Double::from(x);
    while shifted.hi < ASYMPTOTIC {
        sum = sum + Double::from(1.0) / shifted;
        shifted = shifted + 1.0;
    }
    let Double { hi: w, lo } = shifted;
    let inverse_square = 1.0 / (w * w);
    let series = SERIES.iter().rev().fold(0.0, |sum, c| sum * inverse_square + c) * inverse_square;
    double::ln(w) - Double::from(0.5) / shifted + (series + lo / w) - sum
}

/// ψ(x) for x ≤ −10 that is no integer: ψ(−x) − 1/x − π cot πx.
fn reflection(x: f64) -> Double {
    let (sine, cosine) = double::sin_cos_pi(x);
    let cotangent = PI * cosine / sine;
    // The cotangent has the sign of the distance from the nearest integer.
    let above = x > x.round_ties_even();
    recurrence(-x) + Double::from(-1.0) / x + if above { -cotangent } else { cotangent }
}
