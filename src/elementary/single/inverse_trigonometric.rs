//! Inverse sine, cosine and tangent, and the angle of a point.
//!
//! Arguments that are large, or near ±1, are reflected: atan x = π/2 − atan(1/x), asin x = π/2 − 2·asin √((1 − x)/2)
//! (Muller, Elementary Functions, 3rd edition, section 10). What remains is w + w·z·P(z) with z = w², added to a
//! multiple of π/2 exactly up to one rounding.

use super::parts::{bits, flip_sign, ordered_sum, polynomial, residual};
use crate::elementary::functions::{Acos, Asin, Atan, Atan2};
use crate::elementary::{Arithmetic, Binary, Unary};
use std::f32::consts::{FRAC_PI_2, PI};

/// π/2 less its rounding.
const HALF_PI_LOW: f32 = -4.371_139e-8;

/// (atan w − w)/w³ for |w| ≤ 1, relative error of atan w 2⁻²⁸·⁵.
const ATAN: [f32; 9] =
    [-0.333333, 0.19998534, -0.142641, 0.10951472, -0.08401426, 0.057923626, -0.031144435, 0.0108968, -0.0017896532];

/// (asin w − w)/w³ for |w| ≤ 1/2, relative error of asin w 2⁻²⁷·⁶.
const ASIN: [f32; 5] = [0.16666752, 0.074953094, 0.04546916, 0.02418466, 0.042158615];

/// (a + `a_low`) + (w + `w_low`) + w·z·series, where a = 0 or |a| ≥ |w|.
#[inline(always)]
fn assemble<A: Arithmetic, const N: usize>(a: [f32; 2], w: [f32; 2], z: f32, series: [f32; N]) -> f32 {
    let (high, rest) = ordered_sum(a[0], w[0]);
    high + A::mul_add_single(w[0] * z, polynomial::<A, N>(z, series), rest + (a[1] + w[1]))
}

impl Unary<f32> for Atan {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let size = x.abs();
        // Beyond, the result is π/2.
        let size = if size > 1e10 { 1e10 } else { size };
        let quotient = -1.0 / size;
        let rest = quotient * residual::<A>(quotient, size, -1.0);
        // The derivative of atan w is about 1 − w²/2.
        let rest = A::mul_add_single(-0.5 * quotient * quotient, rest, rest);
        let (a, w) = if size > 1.0 { ([FRAC_PI_2, HALF_PI_LOW], [quotient, rest]) } else { ([0.0, 0.0], [size, 0.0]) };
        let z = w[0] * w[0];
        // What the cube lacks counts where w is near ±1, and there about a fifth.
        let lost = residual::<A>(w[0], z, w[0] * z);
        assemble::<A, 9>(a, [w[0], A::mul_add_single(-0.2, lost, w[1])], z, ATAN).copysign(x)
    }
}

/// (√z, what it lacks) with z = (1 − size)/2.
#[inline(always)]
fn half_angle<A: Arithmetic>(size: f32) -> (f32, f32, f32) {
    let z = 0.5 - 0.5 * size;
    let root = z.sqrt();
    // The summand avoids 0/0 and changes no other root.
    (z, root, -residual::<A>(root, root, z) / (root + root + 1e-20))
}

impl Unary<f32> for Asin {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let size = x.abs();
        let (z, root, rest) = half_angle::<A>(size);
        let (a, w, z) = if size > 0.5 {
            ([FRAC_PI_2, HALF_PI_LOW], [-2.0 * root, -2.0 * rest], z)
        } else {
            ([0.0, 0.0], [size, 0.0], size * size)
        };
        assemble::<A, 5>(a, w, z, ASIN).copysign(x)
    }
}

impl Unary<f32> for Acos {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let size = x.abs();
        let (z, root, rest) = half_angle::<A>(size);
        let (near_one, near_minus_one) = (x > 0.5, x < -0.5);
        let a = if near_minus_one { [PI, 2.0 * HALF_PI_LOW] } else { [FRAC_PI_2, HALF_PI_LOW] };
        let a = if near_one { [0.0, 0.0] } else { a };
        let w = if near_one { [2.0 * root, 2.0 * rest] } else { [-2.0 * root, -2.0 * rest] };
        let (w, z) = if near_one || near_minus_one { (w, z) } else { ([-x, 0.0], x * x) };
        // NaN beyond ±1, as the root.
        assemble::<A, 5>(a, w, z, ASIN)
    }
}

impl Binary<f32> for Atan2 {
    #[inline(always)]
    fn fast<A: Arithmetic>(y: f32, x: f32) -> f32 {
        let (height, width) = (y.abs(), x.abs());
        let steep = height > width;
        let (small, large) = if steep { (width, height) } else { (height, width) };
        let quotient = small / large;
        let equal = if large == 0.0 { 0.0 } else { 1.0 };
        let quotient = if small == large { equal } else { quotient };
        let backward = bits(x) < 0;
        let w = if steep != backward { -quotient } else { quotient };
        let level = if backward { [PI, 2.0 * HALF_PI_LOW] } else { [0.0, 0.0] };
        let a = if steep { [FRAC_PI_2, HALF_PI_LOW] } else { level };
        flip_sign(assemble::<A, 9>(a, [w, 0.0], w * w, ATAN), bits(y))
    }
}
