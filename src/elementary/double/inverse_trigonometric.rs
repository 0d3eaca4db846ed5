//! Inverse sine, cosine and tangent of `f64`, and the angle of a point.
//!
//! atan(a/b) for a ≤ b and asin s for s ≤ ½ come from polynomials in the square (minimax, own, by Sollya's `fpminimax`);
//! the rest is led to these by atan(b/a) = π/2 − atan(a/b) and asin x = π/2 − 2 asin √((1 − x)/2) (DLMF 4.24(iii);
//! fdlibm). What a quotient or a root lacks is carried along.

use super::pair::{ordered_sum, product};
use super::polynomial;
use crate::elementary::functions::{Acos, Asin, Atan, Atan2};
use crate::elementary::{Arithmetic, Binary, Unary};
use core::f64::consts::{FRAC_PI_2, PI};

/// What π/2 lacks, and π.
const FRAC_PI_2_LOW: f64 = 6.123233995736766e-17;
const PI_LOW: f64 = 1.2246467991473532e-16;

/// (atan t − t + t³/3)/t⁵ in t² for t ≤ 1; off by 0.03 · 2⁻⁵³ of the arctangent at most.
const ATAN: [f64; 20] = [
    0.1999999999999921,
    -0.14285714285622128,
    0.11111111106282061,
    -0.09090908949631733,
    0.07692305086491986,
    -0.06666633947995139,
    0.0588205830473924,
    -0.05261182717086113,
    0.04751771547504653,
    -0.04307194121207499,
    0.03870518747556869,
    -0.03371199386329738,
    0.027514178878217575,
    -0.020179594258686023,
    0.012706072489773379,
    -0.006543615769685298,
    0.002607997162939836,
    -0.0007470303604472804,
    0.00013591996486261848,
    -1.174522320987378e-05,
];

/// (asin s − s)/s³ in s² for s ≤ ½; off by 0.03 · 2⁻⁵³ of the arcsine at most.
const ASIN: [f64; 13] = [
    0.16666666666666669,
    0.07499999999998082,
    0.04464285714685709,
    0.030381944106381384,
    0.022372174069959706,
    0.017352368660149088,
    0.013971544247760714,
    0.011476140458760838,
    0.010341531198838644,
    0.005380898147125161,
    0.017600526878628953,
    -0.015151681784257727,
    0.02895526599298677,
];

const SIGN: u64 = 1 << 63;

/// From here on the arctangent is π/2.
const STEEP: f64 = 18_014_398_509_481_984.0;

/// 2⁵⁰⁰ and its inverse.
const LARGE: f64 = f64::from_bits((1023 + 500) << 52);
const SMALL: f64 = f64::from_bits((1023 - 500) << 52);

/// The angle leading·(1 + series) + lacking.
#[derive(Clone, Copy)]
struct Angle {
    leading: f64,
    series: f64,
    lacking: f64,
}

impl Angle {
    /// base + angle or base − angle, where base = 0 or base ≥ π/2.
    #[inline(always)]
    fn turned<A: Arithmetic>(self, base: f64, base_low: f64, is_less: bool) -> f64 {
        let sign = if is_less { SIGN } else { 0 };
        let signed = |x: f64| f64::from_bits(x.to_bits() ^ sign);
        let leading = signed(self.leading);
        let (sum, rest) = ordered_sum(base, leading);
        sum + A::mul_add(leading, self.series, rest + (base_low + signed(self.lacking)))
    }
}

/// atan(a/b) for 0 ≤ a ≤ b.
#[inline(always)]
fn quotient_angle<A: Arithmetic>(a: f64, b: f64) -> Angle {
    let inverse = 1.0 / b;
    let quotient = a * inverse;
    let (back, back_rest) = product::<A>(quotient, b);
    let lacking = ((a - back) - back_rest) * inverse;
    let square = quotient * quotient;
    // The derivative 1/(1 + t²), nearly enough.
    let lacking = A::mul_add(-0.5 * square, lacking, lacking);
    let rest = polynomial::<A, 20>(square, &ATAN);
    let bracket = A::mul_add(rest, square, -1.0 / 3.0);
    let series = square * bracket;
    // What the last two lack.
    let series_low = square * A::mul_add(rest, square, -1.0 / 3.0 - bracket) + A::mul_add(square, bracket, -series);
    Angle { leading: quotient, series, lacking: A::mul_add(quotient, series_low, lacking) }
}

impl Unary<f64> for Atan {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let size = if x.abs() > STEEP { STEEP } else { x.abs() };
        let is_steep = size > 1.0;
        let angle = quotient_angle::<A>(if is_steep { 1.0 } else { size }, if is_steep { size } else { 1.0 });
        let base = if is_steep { FRAC_PI_2 } else { 0.0 };
        let base_low = if is_steep { FRAC_PI_2_LOW } else { 0.0 };
        angle.turned::<A>(base, base_low, is_steep).copysign(x)
    }
}

/// Two sizes a ≤ b with the same quotient, such that none of its intermediate results leaves the range: 0/0 is 0, and
/// ∞/∞ is 1.
#[inline(always)]
fn tamed(a: f64, b: f64) -> (f64, f64) {
    let is_endless = b == f64::INFINITY;
    let least = if a == f64::INFINITY { 1.0 } else { 0.0 * a };
    let (a, b) = (if is_endless { least } else { a }, if is_endless | (b == 0.0) { 1.0 } else { b });
    let scale = if b > LARGE { SMALL } else { 1.0 };
    let scale = if b < 1.0 { LARGE } else { scale };
    (a * scale, b * scale)
}

impl Binary<f64> for Atan2 {
    #[inline(always)]
    fn fast<A: Arithmetic>(y: f64, x: f64) -> f64 {
        let is_steep = y.abs() > x.abs();
        let is_left = x.to_bits() & SIGN != 0;
        let small = if is_steep { x.abs() } else { y.abs() };
        let large = if is_steep { y.abs() } else { x.abs() };
        let (small, large) = tamed(small, large);
        let flat_base = if is_left { PI } else { 0.0 };
        let flat_base_low = if is_left { PI_LOW } else { 0.0 };
        let base = if is_steep { FRAC_PI_2 } else { flat_base };
        let base_low = if is_steep { FRAC_PI_2_LOW } else { flat_base_low };
        quotient_angle::<A>(small, large).turned::<A>(base, base_low, is_steep != is_left).copysign(y)
    }
}

/// asin |x|, or, where |x| is beyond ½, the double of asin √((1 − |x|)/2).
#[inline(always)]
fn arcsine<A: Arithmetic>(x: f64, is_beyond: bool) -> Angle {
    let size = x.abs();
    let half = A::mul_add(-0.5, size, 0.5);
    let square = if is_beyond { half } else { size * size };
    let root = half.sqrt();
    let leading = if is_beyond { 2.0 * root } else { size };
    let (back, back_rest) = product::<A>(root, root);
    // Nothing is added to the root unless it is 0.
    let lacking = ((half - back) - back_rest) / (root + f64::MIN_POSITIVE);
    Angle {
        leading,
        series: square * polynomial::<A, 13>(square, &ASIN),
        lacking: if is_beyond { lacking } else { 0.0 },
    }
}

impl Unary<f64> for Asin {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let is_beyond = x.abs() > 0.5;
        let base = if is_beyond { FRAC_PI_2 } else { 0.0 };
        let base_low = if is_beyond { FRAC_PI_2_LOW } else { 0.0 };
        arcsine::<A>(x, is_beyond).turned::<A>(base, base_low, is_beyond).copysign(x)
    }
}

impl Unary<f64> for Acos {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let is_beyond = x.abs() > 0.5;
        let is_left = x < 0.0;
        let far_base = if is_left { PI } else { 0.0 };
        let far_base_low = if is_left { PI_LOW } else { 0.0 };
        let base = if is_beyond { far_base } else { FRAC_PI_2 };
        let base_low = if is_beyond { far_base_low } else { FRAC_PI_2_LOW };
        arcsine::<A>(x, is_beyond).turned::<A>(base, base_low, is_beyond == is_left)
    }
}
