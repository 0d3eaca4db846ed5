//! The gamma function and the logarithm of its size.
//!
//! Stirling's series with the recurrence below 10 and the reflection formula below 0 (Abramowitz and Stegun 6.1.40,
//! 6.1.16, 6.1.17; DLMF 5.11.1, 5.5.1, 5.5.3). Everything that would magnify a rounding is kept as a pair of numbers,
//! and the power as two equal factors, which do not overflow before the result does.
//!
//! Must not know: the digamma function.

use super::super::double::{self, Double, PI};

/// √(2π).
const SQRT_TAU: Double = Double { hi: 2.5066282746310007, lo: -1.8328579980459167e-16 };

/// From here on Stirling's series reaches full precision.
const STIRLING: f64 = 10.0;

/// Coefficients B₂ₖ/(2k(2k − 1)) of x^(1−2k) in Stirling's series.
const SERIES: [f64; 8] = [
    1.0 / 12.0,
    -1.0 / 360.0,
    1.0 / 1260.0,
    -1.0 / 1680.0,
    1.0 / 1188.0,
    -691.0 / 360_360.0,
    1.0 / 156.0,
    -3617.0 / 122_400.0,
];

/// The gamma function, within 4 ULP; ±inf at ±0, NaN at the negative integers and at −inf.
pub fn gamma(x: f64) -> f64 {
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    if x.abs() < 1e-17 {
        // The next term, Euler's constant, is below half an ULP.
        return 1.0 / x;
    }
    if x <= 0.0 && x == x.floor() {
        return f64::NAN;
    }
    if x > 172.0 {
        return f64::INFINITY;
    }
    if x < -185.0 {
        let odd = x.floor() % 2.0 != 0.0;
        return if odd { -0.0 } else { 0.0 };
    }
    if x > 0.0 {
        if x <= 23.0 && x == x.floor() {
            return factorial(x as u32 - 1);
        }
        let (m, power) = stirling(x);
        return m.value() * power * power;
    }
    let (sine, _) = double::sin_cos_pi(x);
    let (m, power) = stirling(-x);
    let size = (PI / (sine * -x) / m).value() / power / power;
    if x.floor() % 2.0 == 0.0 { size } else { -size }
}

/// n! for n ≤ 22, where it is a number of `f64`.
fn factorial(n: u32) -> f64 {
    (2..=n).map(f64::from).product()
}

/// (m, p) with Γ(x) = m·p·p, for 0 < x < 186.
fn stirling(x: f64) -> (Double, f64) {
    let mut product = Double::from(1.0);
    let mut shifted = Double::from(x);
    while shifted.hi < STIRLING {
        product = product * shifted;
        shifted = shifted + 1.0;
    }
    let Double { hi: w, lo } = shifted;
    let inverse_square = 1.0 / (w * w);
    let series = SERIES.iter().rev().fold(0.0, |sum, c| sum * inverse_square + c) / w;
    // Γ(w + lo) ≈ Γ(w)·exp(lo·ψ(w)).
    let correction = lo * (libm::log(w) - 0.5 / w);
    let exponent = Double::sum(-w, series + correction);
    // w/2 − 1/4 is exact.
    let power = libm::pow(w, 0.5 * w - 0.25);
    (SQRT_TAU * double::exp(exponent) / product, power)
}

/// ln|Γ(x)|, within 4 ULP for x > 0 and of max(|result|, 1) below; +inf at the non-positive integers and at ±inf.
pub fn lgamma(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.is_infinite() || (x <= 0.0 && x == x.floor()) {
        return f64::INFINITY;
    }
    if x.abs() < 1e-17 {
        return -libm::log(x.abs());
    }
    if x > 0.0 {
        return libm::lgamma(x);
    }
    if x > -170.0 {
        // Near its zeros the error is that of Γ relative to 1, which the reflection of the logarithm would not reach.
        return libm::log(gamma(x).abs());
    }
    let (sine, _) = double::sin_cos_pi(x);
    -libm::log(-x * sine.value() / core::f64::consts::PI) - libm::lgamma(-x)
}
