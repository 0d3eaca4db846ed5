//! Logarithms.
//!
//! The argument is 2ᵏ(1 + f) with |f| < 1/2, and ln(1 + f) is f plus a polynomial; the exact sum of f and k·ln 2
//! leaves one rounding that counts.

use super::exponential::{LN2_HIGH, LN2_LOW};
use super::parts::{ordered_sum, polynomial, power_of_two, residual, split, unscale};
use crate::elementary::functions::{Ln, Log1p, Log2, Log10};
use crate::elementary::{Arithmetic, Unary};

/// (ln(1 + f) − f)/f² for √½ ≤ 1 + f ≤ √2, relative error of ln(1 + f) 2⁻²⁷·⁸.
const LN: [f32; 9] =
    [-0.49999988, 0.33333325, -0.250016, 0.20002003, -0.16608763, 0.14181127, -0.132446, 0.12909204, -0.07624017];

/// The same for −1/4 ≤ f ≤ 1/2, relative error of ln(1 + f) 2⁻²⁷·⁶.
const LN_1P: [f32; 9] =
    [-0.5, 0.3333345, -0.25000095, 0.19990776, -0.16647242, 0.1447969, -0.13163285, 0.104589865, -0.044999763];

/// (log₂(1 + f) − f·log₂ e)/f² for √½ ≤ 1 + f ≤ √2, relative error of log₂(1 + f) 2⁻²⁷·⁷.
const LOG2: [f32; 9] =
    [-0.72134733, 0.4808982, -0.36069787, 0.28857023, -0.23959634, 0.20454115, -0.19115297, 0.18655182, -0.11020587];

/// The same to base 10.
const LOG10: [f32; 9] = [
    -0.21714719,
    0.1447648,
    -0.108580746,
    0.08686755,
    -0.072127596,
    0.061586708,
    -0.05754284,
    0.056079075,
    -0.033081062,
];

/// The bits of √½ and of 3/4, where the intervals of 1 + f begin.
const ROOT_HALF: i32 = 0x3f35_04f3;
const THREE_QUARTERS: i32 = 0x3f40_0000;

/// log₁₀ 2 in 16 bits, and the rest.
const LOG10_2_HIGH: f32 = 0.301_033_02;
const LOG10_2_LOW: f32 = -3.024_355_5e-6;

/// log₁₀ e and log₂ e less their roundings.
const LOG10_E_LOW: f32 = -1.010_305e-8;
const LOG2_E_LOW: f32 = 1.925_963e-8;

/// (k, f) with x = 2ᵏ(1 + f), for finite x > 0.
#[inline(always)]
pub(super) fn reduce(x: f32) -> (f32, f32) {
    let (normal, shift) = if x < f32::MIN_POSITIVE { (x * 8_388_608.0, 23.0) } else { (x, 0.0) };
    let (k, m) = split(normal, ROOT_HALF);
    (k as f32 - shift, m - 1.0)
}

/// k·ln 2 + ln(1 + f) + `low`, as a sum of two.
#[inline(always)]
fn logarithm<A: Arithmetic>(k: f32, f: f32, low: f32, series: [f32; 9]) -> (f32, f32) {
    let (high, rest) = ordered_sum(k * LN2_HIGH, f);
    let low = A::mul_add_single(k, LN2_LOW, rest + low);
    (high, A::mul_add_single(f * f, polynomial::<A, 9>(f, series), low))
}

/// The result for finite x > 0, and what IEEE 754 says for others.
#[inline(always)]
fn with_limits(x: f32, result: f32) -> f32 {
    let limit = if x == 0.0 { f32::NEG_INFINITY } else { f32::NAN };
    let result = if x > 0.0 { result } else { limit };
    if x == f32::INFINITY { x } else { result }
}

/// The logarithm to another base: k·`two` + f·`base` + f²·series, high parts of the constants before low ones.
#[inline(always)]
fn other_base<A: Arithmetic>(x: f32, two: [f32; 2], base: [f32; 2], series: [f32; 9]) -> f32 {
    let (k, f) = reduce(x);
    let product = f * base[0];
    let low = A::mul_add_single(f, base[1], residual::<A>(f, base[0], product));
    let (high, rest) = ordered_sum(k * two[0], product);
    let low = A::mul_add_single(k, two[1], rest) + low;
    with_limits(x, high + A::mul_add_single(f * f, polynomial::<A, 9>(f, series), low))
}

/// ln x for finite x > 0.
#[inline(always)]
pub(super) fn ln_positive<A: Arithmetic>(x: f32) -> f32 {
    let (k, f) = reduce(x);
    let (high, low) = logarithm::<A>(k, f, 0.0, LN);
    high + low
}

impl Unary<f32> for Ln {
    const HAS_USUAL: bool = true;

    /// Positive, finite and normal.
    #[inline(always)]
    fn is_usual(x: f32) -> bool {
        let least = f32::MIN_POSITIVE.to_bits();
        x.to_bits().wrapping_sub(least) < f32::INFINITY.to_bits() - least
    }

    #[inline(always)]
    fn usual<A: Arithmetic>(x: f32) -> f32 {
        let (k, m) = split(x, ROOT_HALF);
        let (high, low) = logarithm::<A>(k as f32, m - 1.0, 0.0, LN);
        high + low
    }

    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        with_limits(x, ln_positive::<A>(x))
    }
}

impl Unary<f32> for Log2 {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        other_base::<A>(x, [1.0, 0.0], [std::f32::consts::LOG2_E, LOG2_E_LOW], LOG2)
    }
}

impl Unary<f32> for Log10 {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        other_base::<A>(x, [LOG10_2_HIGH, LOG10_2_LOW], [std::f32::consts::LOG10_E, LOG10_E_LOW], LOG10)
    }
}

/// Beyond, 2⁻ᵏ is lost beside x·2⁻ᵏ.
const LARGE_1P: f32 = 1e9;

/// (k, f) with 1 + x = 2ᵏ(1 + f), f exact, for −1 < x ≤ [`LARGE_1P`].
#[inline(always)]
fn usual_reduce_1p(x: f32) -> (f32, f32) {
    let (k, _) = split(1.0 + x, THREE_QUARTERS);
    (k as f32, unscale(x, k) + (power_of_two(-k) - 1.0))
}

/// The same for finite x > −1.
#[inline(always)]
fn reduce_1p(x: f32) -> (f32, f32) {
    let (k, _) = split(1.0 + x, THREE_QUARTERS);
    let rest = if x > LARGE_1P { -1.0 } else { power_of_two(-k) - 1.0 };
    (k as f32, unscale(x, k) + rest)
}

/// ln(1 + x + e) for finite x > −1, where e is below the last place of x and `low` its share e/(1 + x) in the result.
#[inline(always)]
pub(super) fn log1p<A: Arithmetic>(x: f32, low: f32) -> f32 {
    let (k, f) = reduce_1p(x);
    let (high, low) = logarithm::<A>(k, f, low, LN_1P);
    high + low
}

/// ln(2 + 2x + 2e) if `double`, else ln(1 + x + e), as [`log1p`].
#[inline(always)]
pub(super) fn log1p_doubled<A: Arithmetic>(x: f32, low: f32, double: bool) -> f32 {
    let (k, f) = reduce_1p(x);
    let (high, low) = logarithm::<A>(if double { k + 1.0 } else { k }, f, low, LN_1P);
    high + low
}

impl Unary<f32> for Log1p {
    const HAS_USUAL: bool = true;

    #[inline(always)]
    fn is_usual(x: f32) -> bool {
        (x > -1.0) & (x <= LARGE_1P)
    }

    #[inline(always)]
    fn usual<A: Arithmetic>(x: f32) -> f32 {
        let (k, f) = usual_reduce_1p(x);
        let (high, low) = logarithm::<A>(k, f, 0.0, LN_1P);
        (high + low).copysign(x)
    }

    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let limit = if x == -1.0 { f32::NEG_INFINITY } else { f32::NAN };
        let result = if x > -1.0 { log1p::<A>(x, 0.0) } else { limit };
        if x == f32::INFINITY { x } else { result.copysign(x) }
    }
}
