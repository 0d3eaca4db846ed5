//! Powers and roots on `f64`.

use super::clamp;
use super::exponential::Reduced;
use super::logarithm::accurate_ln;
use super::pair::{product, residual};
use crate::elementary::functions::{Cbrt, Hypot, Pow};
use crate::elementary::{Arithmetic, Binary, Unary};

/// 2⁵² and 2⁵³: from the first on all numbers are integers, from the second on even ones.
const INTEGERS: f64 = 4_503_599_627_370_496.0;
const EVEN: f64 = 9_007_199_254_740_992.0;

/// 2⁶⁰⁰ and its inverse.
const GROW: f64 = 4.149_515_568_880_993e180;
const SHRINK: f64 = 2.409_919_865_102_884e-181;

/// The upper half of the bits of a guess at 1/∛1 that serves best for all of [1, 8) (Moroz and others, "Fast calculation of
/// cube root and inverse cube root using a magic constant and its implementation on microcontrollers", 2021).
const GUESS: u64 = 0x553e_f0ff;

/// (whether y is an integer, the sign bit if it is odd).
#[inline(always)]
fn parity(y: f64) -> (bool, u64) {
    let size = y.abs();
    let shifted = size + INTEGERS;
    // The lowest bit is that of the units.
    let units = if size < INTEGERS { shifted } else { size };
    let is_integer = (shifted - INTEGERS == size) | (size >= INTEGERS);
    let odd = units.to_bits() << 63;
    let odd = if is_integer { odd } else { 0 };
    (is_integer, if size < EVEN { odd } else { 0 })
}

impl Binary<f64> for Pow {
    /// e to the power y·ln|x|, the product in two parts; the special cases are those of C99.
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64, y: f64) -> f64 {
        let size = x.abs();
        let (high, low) = accurate_ln::<A>(size);
        let (exponent, rest) = product::<A>(y, high);
        let rest = A::mul_add(y, low, rest);
        // Beyond, the result is zero or infinite; the rest may be anything there.
        let rest = if exponent.abs() < 1000.0 { rest } else { 0.0 };
        let power = Reduced::new::<A>(clamp(exponent, -746.0, 710.0)).plus(rest).exp::<A>();
        let one = if y.abs() <= f64::INFINITY { 1.0 } else { y };
        let power = if size == 1.0 { one } else { power };
        let (is_integer, odd) = parity(y);
        let power = f64::from_bits(power.to_bits() | (x.to_bits() & odd));
        let is_real = is_integer | (x >= 0.0) | (x == f64::NEG_INFINITY);
        let power = if is_real { power } else { f64::NAN };
        if (x == 1.0) | (y == 0.0) { 1.0 } else { power }
    }
}

impl Binary<f64> for Hypot {
    #[inline(always)]
    fn fast<A: Arithmetic>(a: f64, b: f64) -> f64 {
        let (a, b) = (a.abs(), b.abs());
        let large = if a < b { b } else { a };
        let small = if a < b { a } else { b };
        // Powers of two that keep the squares in range.
        let scale = if large > 1e150 { SHRINK } else { 1.0 };
        let inverse = if large > 1e150 { GROW } else { 1.0 };
        let (scale, inverse) =
            (if large < 1e-130 { GROW } else { scale }, if large < 1e-130 { SHRINK } else { inverse });
        let (large, small) = (large * scale, small * scale);
        let result = A::mul_add(large, large, small * small).sqrt() * inverse;
        if (a == f64::INFINITY) | (b == f64::INFINITY) { f64::INFINITY } else { result }
    }
}

impl Unary<f64> for Cbrt {
    /// x·r², r being 1/∛x from a guess by the bits (Kahan) and two steps of Householder's method of the third order,
    /// with a last correction by the exact residual.
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let size = x.abs();
        // Cubes of powers of two that keep clear of both ends of the range.
        let is_small = size < 1e-290;
        let scaled = size * if is_small { 18_014_398_509_481_984.0 } else { 0.125 };
        // A third of the upper half of the bits.
        let third = ((scaled.to_bits() >> 32) * 0x5555_5556) >> 32;
        let guess = f64::from_bits(GUESS.wrapping_sub(third) << 32);
        let r = improved::<A>(scaled, improved::<A>(scaled, guess));
        let square = r * r;
        let y = scaled * square;
        let (yy, rest) = product::<A>(y, y);
        let missing = residual::<A>(scaled, yy, y) - rest * y;
        let y = A::mul_add(missing, square * (1.0 / 3.0), y);
        let y = (y * if is_small { 1.0 / 262_144.0 } else { 2.0 }).copysign(x);
        if size <= f64::MAX { y } else { x }
    }
}

/// A guess r at 1/∛x with an error e in 1 − x·r³, improved to 35/243·e⁴.
#[inline(always)]
fn improved<A: Arithmetic>(x: f64, r: f64) -> f64 {
    let e = A::mul_add(-(x * r), r * r, 1.0);
    let series = A::mul_add(A::mul_add(e, 14.0 / 81.0, 2.0 / 9.0), e, 1.0 / 3.0);
    A::mul_add(r * e, series, r)
}
