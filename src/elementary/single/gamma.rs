//! The gamma function, its logarithm and its logarithmic derivative, in `f64` arithmetic: their reductions lose more
//! bits than `f32` has to spare.
//!
//! Below 1/2 the argument is reflected (DLMF 5.5.3, 5.5.4), above it is raised by 3, from where on the corrections of
//! Stirling's formula (DLMF 5.11) are short polynomials, fitted here by weighted least squares at Chebyshev's nodes.

use super::wide::{self, polynomial};
use crate::elementary::functions::{Digamma, Gamma, Lgamma};
use crate::elementary::{Arithmetic, Unary};
use std::f64::consts::PI;

/// Γ(w)·eʷ·w^(1/2 − w) in 1/w for 3.5 ≤ w ≤ 64, relative error 2⁻³³·⁷.
const STIRLING: [f64; 6] = [
    2.5066282760820755,
    0.2088855618945081,
    0.00870708785303894,
    -0.006762460101728003,
    -0.00035159091429159386,
    0.0014950960884806486,
];

/// ln Γ(y)/((y − 1)(y − 2)) in y − 3/2 for 1/2 ≤ y ≤ 5/2 as a quotient, relative error 2⁻³⁴·⁷.
const MIDDLE: [f64; 6] = [
    0.4831289505508062,
    0.7839627445472889,
    0.4439692047628441,
    0.10153909724239862,
    0.007750495061166859,
    5.3741930238136696e-05,
];
const MIDDLE_DIVISOR: [f64; 6] =
    [1.0, 1.9247917958740457, 1.37023503452792, 0.43830037707018804, 0.059997617064001876, 0.00254917121428024];

/// y(ln Γ(y) − (y − 1/2)ln y + y − ln √2π) in 1/y² for y ≥ 5/2, error 2⁻³²·⁸.
const LN_STIRLING: [f64; 5] = [
    0.08333333318955845,
    -0.0027777320437640442,
    0.0007912318805712124,
    -0.0005482774303445956,
    0.00042429295704865625,
];
const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_8;

/// w²(ln w − ψ(w) − 1/(2w)) in 1/w² for w ≥ 3.5, error 2⁻³³·⁷.
const DIGAMMA: [f64; 5] =
    [0.08333333325507863, -0.008333286038221005, 0.00396346280446744, -0.00399082468125078, 0.0047315335660158];

/// The positive root of ψ, and ψ(y)/(y − root) in y − 3/2 for 1 ≤ y ≤ 2 as a quotient, relative error 2⁻³¹.
const ROOT: f64 = 1.4616321449683622;
const ROOT_LOW: f64 = 9.549995429965697e-17;
const NEAR_ROOT: [f64; 4] = [0.9510558757533386, 0.6836776006938478, 0.10909987959972647, 0.0012752666883513364];
const NEAR_ROOT_DIVISOR: [f64; 4] = [1.0, 1.1642901878884744, 0.38040101449899827, 0.032350519582043255];

/// sin πr/r and cos πr in r² for |r| ≤ 1/2, errors 2⁻³⁵ and 2⁻³².
const SIN_PI: [f64; 6] = [
    3.141592653522986,
    -5.16771276206723,
    2.5501632389525932,
    -0.5992513158935556,
    0.08204641694557621,
    -0.007022067957777845,
];
const COS_PI: [f64; 6] = [
    0.9999999997793225,
    -4.9348021370323085,
    4.05870915851442,
    -1.3352119935249087,
    0.23493727571490375,
    -0.024396268930989926,
];

/// Beyond this size a number of `f32` is an integer.
const INTEGERS: f32 = 8_388_608.0;

/// An argument, reflected to the right.
#[derive(Clone, Copy)]
struct Reflected {
    /// Whether it lies below 1/2.
    left: bool,
    /// It, or 1 less it.
    y: f64,
    /// What it is above the nearest integer, with the sign of an exact 0, and whether that is odd.
    r: f64,
    odd: bool,
}

#[inline(always)]
fn reflect(x: f32) -> Reflected {
    let left = x < 0.5;
    let wide = f64::from(x);
    let (nearest, odd) = wide::nearest(wide);
    let r = if x.abs() < INTEGERS { wide - nearest } else { 0.0 };
    Reflected { left, y: if left { 1.0 - wide } else { wide }, r, odd }
}

/// sin πr for |r| ≤ 1/2.
#[inline(always)]
fn sin_pi<A: Arithmetic>(r: f64) -> f64 {
    r * polynomial::<A, 6>(r * r, SIN_PI)
}

impl Unary<f32> for Gamma {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let Reflected { left, y, r, odd } = reflect(x);
        // Beyond, the result is infinite, or 0 on the left.
        let y = if y > 60.0 { 60.0 } else { y };
        let w = y + 3.0;
        let logarithm = wide::log2::<A>(w);
        let power = wide::exp2::<A>(A::mul_add(w - 0.5, logarithm, -std::f64::consts::LOG2_E * w));
        let size = power * polynomial::<A, 6>(1.0 / w, STIRLING);
        let product = y * (y + 1.0) * (y + 2.0);
        let sine = sin_pi::<A>(if odd { -r } else { r });
        let (numerator, denominator) = if left { (PI * product, sine * size) } else { (size, product) };
        let pole = x <= -1.0 && r == 0.0;
        if pole { f32::NAN } else { (numerator / denominator) as f32 }
    }
}

impl Unary<f32> for Lgamma {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let Reflected { left, y, r, .. } = reflect(x);
        // Infinity as a number beyond the range of `f32`.
        let y = if y > 1e39 { 1e39 } else { y };
        let quotient = polynomial::<A, 6>(y - 1.5, MIDDLE) / polynomial::<A, 6>(y - 1.5, MIDDLE_DIVISOR);
        let middle = (y - 1.0) * (y - 2.0) * quotient;
        let inverse = 1.0 / y;
        let correction = inverse * polynomial::<A, 5>(inverse * inverse, LN_STIRLING);
        let far = A::mul_add(y - 0.5, wide::ln::<A>(y), (LN_SQRT_TAU - y) + correction);
        let value = if y < 2.5 { middle } else { far };
        let reflected = -wide::ln::<A>(sin_pi::<A>(r.abs()) * (1.0 / PI)) - value;
        let pole = x <= 0.0 && r == 0.0;
        let value = if left { reflected } else { value };
        if pole { f32::INFINITY } else { value as f32 }
    }
}

impl Unary<f32> for Digamma {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let Reflected { left, y, r, .. } = reflect(x);
        let bounded = if y > 1e39 { 1e39 } else { y };
        let w = bounded + 3.0;
        let inverse = 1.0 / w;
        let square = inverse * inverse;
        let far = wide::ln::<A>(w) - A::mul_add(square, polynomial::<A, 5>(square, DIGAMMA), 0.5 * inverse);
        // ψ(y) = ln w − … less 1/y + 1/(y + 1) + 1/(y + 2), which beyond 10⁹ does not count; near its root it is 0 less
        // a quotient of its own.
        let z = if y > 1e9 { 1e9 } else { y };
        let sum = A::mul_add(A::mul_add(3.0, z, 6.0), z, 2.0);
        let product = z * (z + 1.0) * (z + 2.0);
        let t = y - 1.5;
        let near = ((y - ROOT) - ROOT_LOW) * polynomial::<A, 4>(t, NEAR_ROOT);
        let near_divisor = polynomial::<A, 4>(t, NEAR_ROOT_DIVISOR);
        let is_near = t.abs() <= 0.5;
        let (numerator, denominator) = if is_near { (-near, near_divisor) } else { (sum, product) };
        let value = (if is_near { 0.0 } else { far }) - numerator / denominator;
        let cotangent = polynomial::<A, 6>(r * r, COS_PI) / sin_pi::<A>(r);
        let pole = x <= -1.0 && r == 0.0;
        let value = if left { A::mul_add(-PI, cotangent, value) } else { value };
        let value = if pole { f32::NAN } else { value as f32 };
        if x == f32::INFINITY { x } else { value }
    }
}
