//! The error function of `f64` and its complement.
//!
//! erf x = 1 − e^(−q) with q = −ln erfc x = 2x/√π + x²·g(x): one polynomial for all x, since an error of q counts the less
//! the larger q is. Its coefficients are minimax with that weight (own, by Remez's algorithm).

use super::exponential::{exp_m1_short, power, reduce_short};
use super::short_polynomial;
use crate::elementary::functions::Erf;
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

impl Unary<f64> for Erf {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let x_abs = if x.abs() > ONE_FROM { ONE_FROM } else { x.abs() };
        let g = short_polynomial::<A, 24>(x_abs, &G);
        let q = A::mul_add(x_abs, SLOPE, x_abs * A::mul_add(x_abs, g, SLOPE_LOW));
        let (rounded, r) = reduce_short::<A>(-q);
        let power = power(rounded);
        A::mul_add(-power, exp_m1_short::<A>(r), 1.0 - power).copysign(x)
    }
}
