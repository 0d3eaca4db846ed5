//! The error function, its complement and its inverse.
//!
//! The rational approximations are those of fdlibm's `s_erf.c` (Copyright (C) 1993 by Sun Microsystems, Inc., developed
//! at SunPro; "permission to use, copy, modify, and distribute this software is freely granted, provided that this
//! notice is preserved"). What differs is the exponential: taken of a pair of numbers, it does not magnify the rounding
//! of x². The inverse starts from Giles, "Approximating the erfinv function" (GPU Computing Gems, Jade Edition, 2011),
//! in single precision, and is refined by Halley's method.
//!
//! Must not know: other special functions.

use super::super::double::{self, Double};

/// (erf(x) − x)/x for |x| < 0.84375, as a ratio of polynomials in x².
const SMALL_P: [f64; 5] =
    [0.12837916709551256, -0.3250421072470015, -0.02848174957559851, -0.005770270296489442, -2.3763016656650163e-05];
const SMALL_Q: [f64; 6] = [
    1.0,
    0.39791722395915535,
    0.0650222499887673,
    0.005081306281875766,
    0.00013249473800432164,
    -3.960228278775368e-06,
];

/// ln(x·erfc(x)) + x² + 0.5625 for 1.25 ≤ x < 1/0.35, as a ratio of polynomials in 1/x².
const MIDDLE_P: [f64; 8] = [
    -0.009864944034847148,
    -0.6938585727071818,
    -10.558626225323291,
    -62.375332450326006,
    -162.39666946257347,
    -184.60509290671104,
    -81.2874355063066,
    -9.814329344169145,
];
const MIDDLE_Q: [f64; 9] = [
    1.0,
    19.651271667439257,
    137.65775414351904,
    434.56587747522923,
    645.3872717332679,
    429.00814002756783,
    108.63500554177944,
    6.570249770319282,
    -0.0604244152148581,
];

/// The same for 1/0.35 ≤ x < 28.
const FAR_P: [f64; 7] = [
    -0.0098649429247001,
    -0.799283237680523,
    -17.757954917754752,
    -160.63638485582192,
    -637.5664433683896,
    -1025.0951316110772,
    -483.5191916086514,
];
const FAR_Q: [f64; 8] = [
    1.0,
    30.33806074348246,
    325.7925129965739,
    1536.729586084437,
    3199.8582195085955,
    2553.0504064331644,
    474.52854120695537,
    -22.44095244658582,
];

/// Giles's central polynomial, in w − 2.5 with w = −ln(1 − x²) < 5; the highest power first.
const CENTRAL: [f64; 9] = [
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
];

/// Giles's tail polynomial, in √w − 3 with 5 ≤ w < 16.
const TAIL: [f64; 9] = [
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
];

/// √π/2.
const HALF_SQRT_PI: Double = Double { hi: 0.886226925452758, lo: -3.8332932499128993e-17 };

fn ratio(numerator: &[f64], denominator: &[f64], x: f64) -> f64 {
    let horner = |coefficients: &[f64]| coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c);
    horner(numerator) / horner(denominator)
}

/// The error function 2/√π ∫₀ˣ e^(−t²) dt, within 1 ULP.
pub fn erf(x: f64) -> f64 {
    libm::erf(x)
}

/// The complementary error function 1 − erf(x), within 2 ULP; 0 above 27.3.
pub fn erfc(x: f64) -> f64 {
    if !(1.25..28.0).contains(&x) {
        return libm::erfc(x);
    }
    let inverse_square = 1.0 / (x * x);
    let correction = if x < 1.0 / 0.35 {
        ratio(&MIDDLE_P, &MIDDLE_Q, inverse_square)
    } else {
        ratio(&FAR_P, &FAR_Q, inverse_square)
    };
    let exponent = Double::from(-0.5625) - Double::product(x, x) + correction;
    let (m, k) = double::exp_scaled(exponent);
    libm::ldexp((m / x).value(), k)
}

/// The inverse of the error function, within 2 ULP; ±inf at ±1, NaN beyond.
pub fn erfinv(x: f64) -> f64 {
    let size = x.abs();
    if size < 1e-9 {
        // The next term, πx²/12, is below half an ULP.
        return libm::fma(size, HALF_SQRT_PI.hi, size * HALF_SQRT_PI.lo).copysign(x);
    }
    if size == 1.0 {
        return f64::INFINITY.copysign(x);
    }
    if size.is_nan() || size > 1.0 {
        return f64::NAN;
    }
    let w = -libm::log1p(-size) - libm::log1p(size);
    let y = if w < 16.0 {
        halley(erfinv_start(size, w), size)
    } else {
        // erfc(y) ≈ exp(−y²)/(y√π), within 0.2 % of the root: one step more.
        let log_tail = -libm::log1p(-size);
        let start = (log_tail - 0.5 * libm::log(core::f64::consts::PI * log_tail)).sqrt();
        halley(halley(start, size), size)
    };
    y.copysign(x)
}

/// The root within about 10⁻⁶ of itself.
fn erfinv_start(x: f64, w: f64) -> f64 {
    let (coefficients, t) = if w < 5.0 { (&CENTRAL, w - 2.5) } else { (&TAIL, w.sqrt() - 3.0) };
    x * coefficients.iter().fold(0.0, |sum, c| sum * t + c)
}

/// One step of Halley's method from y towards erfinv(x), where 0 < x < 1; its error is about the cube of y's.
fn halley(y: f64, x: f64) -> f64 {
    // The difference erf(y) − x without rounding either term to an ULP of x: erf(y) = y + y·r near 0, and in the tail
    // both complements are small (1 − x is exact).
    let residual = if x < 0.75 {
        let square = y * y;
        (y - x) + y * ratio(&SMALL_P, &SMALL_Q, square)
    } else {
        (1.0 - x) - erfc(y)
    };
    let step = residual * HALF_SQRT_PI.hi * libm::exp(y * y);
    y - step / (1.0 + y * step)
}
