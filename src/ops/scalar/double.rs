//! Numbers kept as an unevaluated sum of two `f64`, and the exponential, logarithm and circular functions of them.
//!
//! The functions here carry a few bits more than `f64` (relative errors near 2⁻⁵⁸, arithmetic near 2⁻¹⁰⁰): enough that
//! a result put together from several of them and rounded once stays within 1 ULP. Error-free transformations after
//! Dekker (1971) and Knuth (The Art of Computer Programming, vol. 2, 4.2.2).
//!
//! Invariant: |lo| ≤ ulp(hi)/2. Operands are finite, and far enough from overflow and underflow that products of the
//! low parts are representable; callers take care of the rest.

use core::ops::{Add, Div, Mul, Neg, Sub};

/// The unevaluated sum `hi + lo`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Double {
    pub hi: f64,
    pub lo: f64,
}

/// π.
pub(super) const PI: Double = Double { hi: core::f64::consts::PI, lo: 1.2246467991473532e-16 };

/// ln 2, its high part short enough that products with exponents are exact (fdlibm).
const LN2_HI: f64 = 6.931_471_803_691_238e-1;
const LN2_LO: f64 = 1.908_214_929_270_587_7e-10;

impl Double {
    /// The exact sum of two numbers.
    pub fn sum(a: f64, b: f64) -> Self {
        let hi = a + b;
        let rest = hi - a;
        Double { hi, lo: (a - (hi - rest)) + (b - rest) }
    }

    /// The exact product of two numbers.
    pub fn product(a: f64, b: f64) -> Self {
        let hi = a * b;
        Double { hi, lo: libm::fma(a, b, -hi) }
    }

    /// The exact sum of two numbers where |a| ≥ |b|.
    fn ordered_sum(a: f64, b: f64) -> Self {
        let hi = a + b;
        Double { hi, lo: b - (hi - a) }
    }

    /// Both parts times a power of two.
    pub fn scale(self, factor: f64) -> Self {
        Double { hi: self.hi * factor, lo: self.lo * factor }
    }

    /// The square root of a non-negative number.
    pub fn sqrt(self) -> Self {
        let root = self.hi.sqrt();
        if root == 0.0 {
            return Double::from(root);
        }
        let residual = self - Double::product(root, root);
        Double::ordered_sum(root, residual.hi / (2.0 * root))
    }

    /// Rounded to one number.
    pub fn value(self) -> f64 {
        self.hi + self.lo
    }
}

impl From<f64> for Double {
    fn from(hi: f64) -> Self {
        Double { hi, lo: 0.0 }
    }
}

impl Neg for Double {
    type Output = Self;

    fn neg(self) -> Self {
        Double { hi: -self.hi, lo: -self.lo }
    }
}

impl<T: Into<Double>> Add<T> for Double {
    type Output = Self;

    fn add(self, other: T) -> Self {
        let other = other.into();
        let high = Double::sum(self.hi, other.hi);
        Double::ordered_sum(high.hi, high.lo + (self.lo + other.lo))
    }
}

impl<T: Into<Double>> Sub<T> for Double {
    type Output = Self;

    fn sub(self, other: T) -> Self {
        self + -other.into()
    }
}

impl<T: Into<Double>> Mul<T> for Double {
    type Output = Self;

    fn mul(self, other: T) -> Self {
        let other = other.into();
        let high = Double::product(self.hi, other.hi);
        Double::ordered_sum(high.hi, high.lo + (self.hi * other.lo + self.lo * other.hi))
    }
}

impl<T: Into<Double>> Div<T> for Double {
    type Output = Self;

    fn div(self, other: T) -> Self {
        let other = other.into();
        let quotient = self.hi / other.hi;
        let residual = self - other * quotient;
        Double::ordered_sum(quotient, residual.hi / other.hi)
    }
}

/// eˣ − 1 for |x| ≤ 0.35: the first two terms of the series as pairs, the others (at most 2 % of the result) plainly.
fn exp_m1_reduced(x: Double) -> Double {
    let r = x.hi;
    let series = (4..=15).rev().fold(1.0, |tail, n| 1.0 + tail * r / f64::from(n));
    let square = (x * x).scale(0.5);
    x + (square + r * r * r / 6.0 * series)
}

/// (k, m) with eˣ = 2ᵏ(1 + m) and |m| < 0.42, for |x| < 1100.
fn exp_parts(x: Double) -> (i32, Double) {
    let k = (x.hi * core::f64::consts::LOG2_E).round_ties_even();
    // The first product is exact, and so is the difference.
    let reduced = Double::sum(x.hi - k * LN2_HI, x.lo - k * LN2_LO);
    (k as i32, exp_m1_reduced(reduced))
}

/// eˣ for |x| < 1100, as (m, k) with the value m·2ᵏ, which may lie beyond the range of `f64`.
pub(super) fn exp_scaled(x: Double) -> (Double, i32) {
    let (k, m) = exp_parts(x);
    (Double::from(1.0) + m, k)
}

/// eˣ for |x| < 708.
pub(super) fn exp(x: Double) -> Double {
    let (m, k) = exp_scaled(x);
    m.scale(libm::ldexp(1.0, k))
}

/// eˣ − 1 for |x| < 708.
pub(super) fn exp_m1(x: Double) -> Double {
    let (k, m) = exp_parts(x);
    let power = libm::ldexp(1.0, k);
    Double::sum(power, -1.0) + m.scale(power)
}

/// ln(1 + x) for −1 < x < 10³⁰⁰: one step of Newton's method from the rounded logarithm.
pub(super) fn ln_1p(x: Double) -> Double {
    let start = libm::log1p(x.hi);
    let m = exp_m1(Double::from(start));
    Double::from(start) + (x - m) / (m + 1.0)
}

/// ln x for 10⁻³⁰⁰ < x < 10³⁰⁰.
pub(super) fn ln(x: f64) -> Double {
    if (0.5..=2.0).contains(&x) {
        return ln_1p(Double::from(x - 1.0));
    }
    let start = libm::log(x);
    let power = exp(Double::from(start));
    Double::from(start) + (-power + x) / power
}

/// sin x for |x| ≤ π/4, the first two terms of the series as pairs.
fn sin_reduced(x: Double) -> Double {
    let square = x * x;
    let s = square.hi;
    let series = (2..=9).rev().fold(1.0, |tail, n| 1.0 - tail * s / f64::from((2 * n + 2) * (2 * n + 3)));
    x - (x * square) / 6.0 + x.hi * s * s / 120.0 * series
}

/// cos x for |x| ≤ π/4, the first two terms of the series as pairs.
fn cos_reduced(x: Double) -> Double {
    let square = x * x;
    let s = square.hi;
    let series = (2..=9).rev().fold(1.0, |tail, n| 1.0 - tail * s / f64::from((2 * n + 1) * (2 * n + 2)));
    Double::from(1.0) - square.scale(0.5) + s * s / 24.0 * series
}

/// (sin πx, cos πx), both without their sign, for any finite x.
pub(super) fn sin_cos_pi(x: f64) -> (Double, Double) {
    // Exact: x lies within 1/2 of an integer.
    let distance = (x - x.round_ties_even()).abs();
    if distance <= 0.25 {
        let angle = PI * distance;
        (sin_reduced(angle), cos_reduced(angle))
    } else {
        let angle = PI * (0.5 - distance);
        (cos_reduced(angle), sin_reduced(angle))
    }
}
