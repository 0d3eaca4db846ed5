//! Hyperbolic functions and their inverses on `f64`, within 1 ULP (2 where an inverse grows like a logarithm).
//!
//! Each is its textbook formula in terms of eˣ − 1 or ln(1 + x), evaluated with pairs of numbers and rounded once.
//!
//! Must not know: how the pairs compute exponentials and logarithms.

use super::double::{self, Double};

/// Below this size x³/6 and the like are less than half an ULP of x.
const TINY: f64 = 1e-9;

/// Above this size e⁻²ˣ is less than half an ULP of 1.
const SATURATED: f64 = 22.0;

/// Above this size 1/x² is less than half an ULP of 1.
const LARGE: f64 = 268_435_456.0;

/// (e^|x|)/2 for |x| > 22, up to overflow.
fn half_exp(x: f64) -> f64 {
    let (m, exponent) = double::exp_scaled(Double::from(x.abs().min(1000.0)));
    libm::ldexp(m.value(), exponent - 1)
}

/// Hyperbolic sine: (m + m/(m + 1))/2 with m = eˣ − 1.
pub(super) fn sinh(x: f64) -> f64 {
    let size = x.abs();
    if size < TINY || x.is_nan() {
        return x;
    }
    if size > SATURATED {
        return half_exp(x).copysign(x);
    }
    let m = double::exp_m1(Double::from(size));
    (m + m / (m + 1.0)).scale(0.5).value().copysign(x)
}

/// Hyperbolic cosine: (e + 1/e)/2 with e = eˣ.
pub(super) fn cosh(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.abs() > SATURATED {
        return half_exp(x);
    }
    let power = double::exp(Double::from(x.abs()));
    (power + Double::from(1.0) / power).scale(0.5).value()
}

/// Hyperbolic tangent: m/(m + 2) with m = e²ˣ − 1.
pub(super) fn tanh(x: f64) -> f64 {
    let size = x.abs();
    if size < TINY || x.is_nan() {
        return x;
    }
    if size > SATURATED {
        return 1f64.copysign(x);
    }
    let m = double::exp_m1(Double::from(2.0 * size));
    (m / (m + 2.0)).value().copysign(x)
}

/// Inverse hyperbolic sine: ln(1 + x + x²/(1 + √(1 + x²))).
pub(super) fn asinh(x: f64) -> f64 {
    let size = x.abs();
    if size < TINY || x.is_nan() {
        return x;
    }
    if size > LARGE {
        return (libm::log(size) + core::f64::consts::LN_2).copysign(x);
    }
    let square = Double::product(size, size);
    let argument = square / ((square + 1.0).sqrt() + 1.0) + size;
    double::ln_1p(argument).value().copysign(x)
}

/// Inverse hyperbolic cosine: ln(1 + t + √(t(t + 2))) with t = x − 1.
pub(super) fn acosh(x: f64) -> f64 {
    if x < 1.0 {
        return f64::NAN;
    }
    if x > LARGE || x.is_nan() {
        return libm::log(x) + core::f64::consts::LN_2;
    }
    let t = Double::sum(x, -1.0);
    double::ln_1p(t + (t * (t + 2.0)).sqrt()).value()
}

/// Inverse hyperbolic tangent: ln(1 + 2x/(1 − x))/2.
pub(super) fn atanh(x: f64) -> f64 {
    let size = x.abs();
    if size < TINY || x.is_nan() {
        return x;
    }
    if size >= 1.0 {
        return if size == 1.0 { f64::INFINITY.copysign(x) } else { f64::NAN };
    }
    let argument = Double::from(2.0 * size) / Double::sum(1.0, -size);
    double::ln_1p(argument).scale(0.5).value().copysign(x)
}
