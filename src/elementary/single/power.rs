//! Powers, cube roots and the length of a vector.

use super::logarithm::reduce;
use super::parts::{bits, flip_sign, residual};
use super::wide;
use crate::elementary::functions::{Cbrt, Hypot, Pow};
use crate::elementary::{Arithmetic, Binary, Unary};

/// 2⁸⁰ and its inverse.
const UP: f32 = 1.208_925_8e24;
const DOWN: f32 = 1.0 / UP;

/// What is added to a third of the bits of a number for those of about its cube root's inverse.
const CUBE_ROOT: u32 = 0x54a2_1d2a;

/// size^y for size > 0, in `f64`: the product with the exponent magnifies an error of the logarithm up to 150 times.
#[inline(always)]
fn power_of_size<A: Arithmetic>(size: f32, y: f32) -> f32 {
    let (k, f) = reduce(size);
    let exponent = f64::from(y) * wide::log2_parts::<A>(f64::from(k), f64::from(f));
    // Beyond, the result is 0 or infinite in `f32`.
    let exponent = if exponent > 200.0 { 200.0 } else { exponent };
    let exponent = if exponent < -200.0 { -200.0 } else { exponent };
    wide::exp2::<A>(exponent) as f32
}

/// (whether y is an integer, whether it is an odd one).
#[inline(always)]
fn parity(y: f32) -> (bool, bool) {
    const FINE: f32 = 8_388_608.0;
    let size = y.abs();
    // A number from 2²³ on has its units in the last bit of all.
    let sum = if size < FINE { size + FINE } else { size };
    let integer = size >= FINE || sum - FINE == size;
    (integer, integer && size < 2.0 * FINE && bits(sum) & 1 != 0)
}

impl Binary<f32> for Pow {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32, y: f32) -> f32 {
        let size = x.abs();
        let power = power_of_size::<A>(size, y);
        let (integer, odd) = parity(y);
        // Of 0 and infinity: 0 and infinity, or the other way round.
        let limit = if (size == 0.0) == (y < 0.0) { f32::INFINITY } else { 0.0 };
        let power = if size == 0.0 || size == f32::INFINITY { limit } else { power };
        let power = if size == 1.0 { 1.0 } else { power };
        let power = if x < 0.0 && size < f32::INFINITY && !integer { f32::NAN } else { power };
        let power = if odd { flip_sign(power, bits(x)) } else { power };
        let power = if x.is_nan() || y.is_nan() { f32::NAN } else { power };
        if x == 1.0 || y == 0.0 { 1.0 } else { power }
    }
}

impl Unary<f32> for Cbrt {
    /// x·r² with r = x^(−1/3) by a step of fourth order from a linear guess in the bits, then one of Newton's method
    /// with the cube exact (Kahan, Computing a Real Cube Root, 1991, for the guess).
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let size = x.abs();
        let subnormal = size < f32::MIN_POSITIVE;
        let (size, factor) = if subnormal { (size * 16_777_216.0, 1.0 / 256.0) } else { (size, 1.0) };
        let guess = f32::from_bits(CUBE_ROOT.wrapping_sub(size.to_bits() / 3));
        // r(1 − e)^(−1/3), where e = 1 − size·r³.
        let e = A::mul_add_single(-(size * guess) * guess, guess, 1.0);
        let series = A::mul_add_single(e, 14.0 / 81.0, 2.0 / 9.0);
        let series = A::mul_add_single(series, e, 1.0 / 3.0);
        let inverse = A::mul_add_single(guess * e, series, guess);
        let square = inverse * inverse;
        let root = size * square;
        let root_square = root * root;
        let lost = root * residual::<A>(root, root, root_square);
        let error = residual::<A>(root_square, root, size) + lost;
        let root = A::mul_add_single(error * square, -1.0 / 3.0, root) * factor;
        // Zero, infinity and NaN stay.
        let finite = size > 0.0 && size < f32::INFINITY;
        if finite { root.copysign(x) } else { x }
    }
}

impl Binary<f32> for Hypot {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32, y: f32) -> f32 {
        let (a, b) = (x.abs(), y.abs());
        let (small, large) = if a < b { (a, b) } else { (b, a) };
        // Powers of two that keep the squares within range.
        let (factor, inverse) = if large > 1e18 { (DOWN, UP) } else { (1.0, 1.0) };
        let (factor, inverse) = if large < 1e-15 { (UP, DOWN) } else { (factor, inverse) };
        let (small, large) = (small * factor, large * factor);
        let length = A::mul_add_single(small, small, large * large).sqrt() * inverse;
        if a == f32::INFINITY || b == f32::INFINITY { f32::INFINITY } else { length }
    }
}
