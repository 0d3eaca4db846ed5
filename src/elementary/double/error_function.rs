//! The error function of `f64` and its complement.
//!
//! erf x = 1 − e^(−q) with q = −ln erfc x = 2x/√π + x²·g(x): one polynomial for all x, since an error of q counts the less
//! the larger q is. Its coefficients are minimax with that weight (own, by Remez's algorithm).
//!
//! erfc x = e^(−x²)·f/(1 + 2x) for x ≥ 0, where f is a polynomial in (x − 3.5)/(x + 3.5) (after Shepherd and Laframboise,
//! Math. Comp. 36, 1981), and 2 − erfc(−x) below; x² is a pair of numbers, lest its rounding be magnified.

use super::exponential::Reduced;
use super::pair::{ordered_sum, product};
use super::polynomial;
use crate::elementary::functions::{Erf, Erfc};
use crate::elementary::{Arithmetic, Unary};

/// 2/√π and what it lacks.
const SLOPE: f64 = core::f64::consts::FRAC_2_SQRT_PI;
const SLOPE_LOW: f64 = 1.533545961316588e-17;

/// From here on erf is 1.
const ONE_FROM: f64 = 5.95;

/// g(x) up to `ONE_FROM`; off by 0.07 · 2⁻⁵³ of erf x at most.
const G: [f64; 24] = [
    0.6366197723675828,
    0.10277260330182049,
    -0.019128447005656385,
    -0.0002091946886920689,
    0.0016962063446128027,
    -0.0005901253644809043,
    2.5877983449431896e-05,
    6.449338462490524e-05,
    -2.972690408933584e-05,
    3.4114399013815916e-06,
    2.8303248986885642e-06,
    -1.737116299535287e-06,
    3.3308957163036764e-07,
    1.391337833592618e-07,
    -1.4270063697139915e-07,
    6.609717521470655e-08,
    -2.107556016798981e-08,
    5.02552745233606e-09,
    -9.135836921387169e-10,
    1.2563016000407298e-10,
    -1.2696586811934376e-11,
    8.909944613701215e-13,
    -3.8804786432564367e-14,
    7.899072559926606e-16,
];

/// Where erfc is 0, and more.
const ZERO_FROM: f64 = 27.5;

/// The x at which the variable of `F` is 0.
const MIDDLE: f64 = 3.5;

/// (1 + 2x)·erfc(x)·e^(x²) in (x − 3.5)/(x + 3.5), for x up to 27.3; off by 0.2 · 2⁻⁵³ of itself at most. The constant
/// term, and the others.
const F_MIDDLE: f64 = 1.2423492448711544;
const F: [f64; 23] = [
    -0.1400091801376194,
    -0.01055559633221681,
    0.09751909515325552,
    -0.11508959816028558,
    0.08798315382499668,
    -0.048823325825573236,
    0.01909933093997828,
    -0.0042150199377723905,
    -0.0003022678534785199,
    0.0005643846450312957,
    -0.00012151256224233801,
    -4.2783313824427816e-05,
    2.4261462220353213e-05,
    2.3316349780920707e-06,
    -3.815707399005285e-06,
    -5.081559452588914e-08,
    6.023597295662931e-07,
    1.5843500293025928e-10,
    -9.538790884815765e-08,
    -5.055453607617646e-09,
    1.1894049572798875e-08,
    1.6941383422500658e-09,
    -4.2256532303628344e-10,
];

/// (erf(x)/x − 2/√π)/x² in x² for |x| < 0.54 (by Sollya's `fpminimax`); off by 0.01 · 2⁻⁵³ of the complement at most.
const CENTRAL: [f64; 9] = [
    -0.3761263890318344,
    0.112837916709361,
    -0.02686617063987875,
    0.005223977546169748,
    -0.0008548319893951923,
    0.00012054936227084298,
    -1.4911963563602797e-05,
    1.6180035365687345e-06,
    -1.322058202516465e-07,
];

impl Unary<f64> for Erf {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let x_abs = if x.abs() > ONE_FROM { ONE_FROM } else { x.abs() };
        let g = polynomial::<A, 24>(x_abs, &G);
        let q = A::mul_add(x_abs, SLOPE, x_abs * A::mul_add(x_abs, g, SLOPE_LOW));
        let r = Reduced::new::<A>(-q);
        let (a, b) = r.exp_m1::<A>();
        let power = r.power(0);
        A::mul_add(-power, a + b, 1.0 - power).copysign(x)
    }
}

/// f/(1 + 2x) for 0.47 ≤ x ≤ 27.5, as a number and a small rest.
#[inline(always)]
fn scaled_complement<A: Arithmetic>(x: f64) -> (f64, f64) {
    let u = (x - MIDDLE) / (x + MIDDLE);
    let (f, f_rest) = ordered_sum(F_MIDDLE, u * polynomial::<A, 23>(u, &F));
    let (divisor, divisor_rest) = ordered_sum(2.0 * x, 1.0);
    let inverse = 1.0 / divisor;
    let quotient = f * inverse;
    let (back, back_rest) = product::<A>(quotient, divisor);
    let remainder = (f - back) - back_rest + (f_rest - quotient * divisor_rest);
    (quotient, remainder * inverse)
}

/// 1 − erf x for |x| < 0.54.
#[inline(always)]
fn central_complement<A: Arithmetic>(x: f64) -> f64 {
    let square = x * x;
    let slope = A::mul_add(polynomial::<A, 9>(square, &CENTRAL), square, SLOPE);
    A::mul_add(-x, slope, 1.0)
}

impl Unary<f64> for Erfc {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let size = if x.abs() > ZERO_FROM { ZERO_FROM } else { x.abs() };
        let (quotient, quotient_rest) = scaled_complement::<A>(size);
        let (square, rest) = product::<A>(size, size);
        let tail = Reduced::new::<A>(-square).plus(-rest).times_exp::<A>(quotient, quotient_rest);
        let tail = if x < 0.0 { 2.0 - tail } else { tail };
        if size < 0.47 { central_complement::<A>(x) } else { tail }
    }
}
