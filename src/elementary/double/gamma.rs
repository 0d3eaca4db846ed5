//! The gamma function of `f64` and the logarithm of its size.
//!
//! Γ(x) = e^((x − ½) ln x − x)·S(x) with a polynomial S in 1/(x + ½) for x ≥ 1, the exponent being a pair of numbers;
//! ln Γ(x) from 4 on likewise (Stirling; DLMF 5.11.1, 5.11.3), below by a ratio of polynomials times its zeros'
//! (x − 1)(x − 2). The recurrence leads x < 1 to 1 + x, reflection x < 0 to −x (DLMF 5.5.1, 5.5.3). The coefficients are
//! minimax (own, by Remez's algorithm).

use super::angle::{PI_LOW, reduce_half_turns};
use super::exponential::Reduced;
use super::logarithm::accurate_ln;
use super::pair::{ordered_sum, product, product_sum, quotient, sum};
use super::trigonometric::sine_pair;
use super::{TINY, polynomial};
use crate::elementary::functions::{Gamma, Lgamma, Ln};
use crate::elementary::{Arithmetic, Unary};

/// (S(x) − C)·(x + ½) in 1/(x + ½), for 1 ≤ x ≤ 172; S is off by 0.4 · 2⁻⁵³ of itself at most.
const C: f64 = 2.5066282746310007;
const S: [f64; 17] = [
    0.2088856895525665,
    0.11314641517534492,
    0.054203902300891914,
    0.02198155101304721,
    0.008140446369871093,
    0.004495124937624668,
    0.00358125508648097,
    0.0009682135670776979,
    -0.0006421862676593943,
    -0.0044988906051805656,
    0.02133465083928021,
    -0.04155726750915251,
    0.05162120448668257,
    -0.04324513603153144,
    0.024079119608181203,
    -0.008098350825262108,
    0.0012584617355212483,
];

/// ln Γ(x)/((x − 1)(x − 2)) for ½ ≤ x ≤ 4, less a number in the midst of its values, which takes most of the rounding of
/// the ratio away; off by 0.5 · 2⁻⁵³ of itself at most.
const OFFSET: f64 = 0.4375;
const NUMERATOR: [f64; 10] = [
    5.785322332803866,
    227.93888018215506,
    1871.120964540632,
    4796.708228349692,
    3755.5988599286397,
    -321.6693451421003,
    -1151.750551743011,
    -314.54121893883155,
    -24.5347784291067,
    -0.43147886859798074,
];
const DENOMINATOR: [f64; 10] = [
    2.471515194280582,
    179.06152692255512,
    2509.958828303932,
    11728.00760181598,
    22239.114403271946,
    18550.186731277703,
    6921.789262657363,
    1104.401994512098,
    65.60633868950575,
    1.0,
];

/// (ln Γ(x) − (x − ½)(ln x − 1) − (ln 2π − 1)/2)·x in 1/x², for x ≥ 4; off by 0.02 · 2⁻⁵³ of x at most.
const TAIL: [f64; 9] = [
    0.08333333333333316,
    -0.002777777777604278,
    0.0007936507426179781,
    -0.0005952312231228062,
    0.000841242889074784,
    -0.0018949408472121213,
    0.005775449716313616,
    -0.01791753800297657,
    0.03457446241784644,
];

/// (ln 2π − 1)/2.
const TAIL_CONSTANT: f64 = 0.4189385332046727;

/// Γ is infinite from here on, in `f64`, and ±0 below the negative of the second.
const INFINITE_FROM: f64 = 172.0;
const ZERO_FROM: f64 = 186.0;

/// The largest argument for which Γ is a factorial that is a number of `f64`.
const LAST_FACTORIAL: f64 = 23.0;

/// 2⁵²: numbers from there on are integers.
const INTEGERS: f64 = 4_503_599_627_370_496.0;

#[inline(always)]
fn is_integer(x: f64) -> bool {
    let size = x.abs();
    (size >= INTEGERS) | ((size + INTEGERS) - INTEGERS == size)
}

/// (x − ½) ln x − x, with `low` added to x, and S(x), each as a pair, for 1 ≤ x ≤ 186.
#[inline(always)]
fn stirling<A: Arithmetic>(x: f64, low: f64) -> [(f64, f64); 2] {
    let inverse = 1.0 / (x + 0.5);
    let (ln, ln_low) = accurate_ln::<A>(x);
    let (power, power_low) = product::<A>(x - 0.5, ln);
    let (exponent, rest) = sum(power, -x);
    let rest = rest + A::mul_add(x - 0.5, ln_low, power_low);
    // The derivative of ln Γ is nearly ln x − 1/(x + ½).
    let rest = A::mul_add(low, ln - inverse, rest);
    [(exponent, rest), product_sum::<A>(inverse, polynomial::<A, 17>(inverse, &S), C)]
}

impl Unary<f64> for Gamma {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let is_small = x < 1.0;
        let start = if x > INFINITE_FROM { INFINITE_FROM } else { x };
        let shifted = if is_small { start + 1.0 } else { start };
        let low = if is_small { start - (shifted - 1.0) } else { 0.0 };
        let [(exponent, rest), (s, s_low)] = stirling::<A>(shifted, low);
        let value = Reduced::new::<A>(exponent).plus(rest).times_exp::<A>(s, s_low);
        let value = value / if is_small { x } else { 1.0 };
        if x == 1.0 { 1.0 } else { value }
    }

    #[inline(always)]
    fn is_rare(x: f64) -> bool {
        (x < 0.0) | ((2.0..=LAST_FACTORIAL).contains(&x) & is_integer(x))
    }

    #[inline(always)]
    fn slow<A: Arithmetic>(x: f64) -> f64 {
        if x > 0.0 {
            (2..x as u32).map(f64::from).product()
        } else if is_integer(x) {
            f64::NAN
        } else {
            negative_gamma::<A>(x)
        }
    }
}

/// Γ(x) = −π/(x sin(πx) Γ(−x)) = −π·e^(−E)/(sin(πx)·S(1 − x)) with E for 1 − x.
#[inline(always)]
fn negative_gamma<A: Arithmetic>(x: f64) -> f64 {
    let (sine, sine_low) = sine_pair::<A>(reduce_half_turns::<A>(x));
    if x < -ZERO_FROM {
        return 0.0f64.copysign(sine);
    }
    let shifted = 1.0 - x;
    let low = (1.0 - shifted) - x;
    let [(exponent, rest), (s, s_low)] = stirling::<A>(shifted, low);
    let (divisor, lost) = product::<A>(sine, s);
    let divisor_low = A::mul_add(sine, s_low, A::mul_add(sine_low, s, lost));
    let (factor, factor_low) = quotient::<A>(core::f64::consts::PI, PI_LOW, divisor, divisor_low);
    let factor_low = if factor.abs() <= f64::MAX { factor_low } else { 0.0 };
    Reduced::new::<A>(-exponent).plus(-rest).times_exp::<A>(factor, factor_low)
}

/// ln Γ(x) for x > 0.
#[inline(always)]
fn positive_lgamma<A: Arithmetic>(x: f64) -> f64 {
    let ln = Ln::fast::<A>(x);
    let is_small = x < 0.5;
    let is_large = x >= 4.0;
    let shifted = if is_small { x + 1.0 } else { x };
    // (shifted − 1)(shifted − 2) as a pair, as it is the factor of all.
    let first = if is_small { x } else { x - 1.0 };
    let (second, second_low) = ordered_sum(-1.0, first);
    let (zeros, lost) = product::<A>(first, second);
    let zeros_low = A::mul_add(first, second_low, lost);
    let over = polynomial::<A, 10>(shifted, &NUMERATOR);
    let ratio = over / polynomial::<A, 10>(shifted, &DENOMINATOR);
    let rest = A::mul_add(zeros, ratio, zeros_low * (ratio + OFFSET));
    let near = A::mul_add(zeros, OFFSET, rest) - if is_small { ln } else { 0.0 };
    let inverse = 1.0 / x;
    let tail = A::mul_add(polynomial::<A, 9>(inverse * inverse, &TAIL), inverse, TAIL_CONSTANT);
    let far = A::mul_add(x - 0.5, ln - 1.0, tail);
    if is_large { far } else { near }
}

impl Unary<f64> for Lgamma {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        positive_lgamma::<A>(x)
    }

    #[inline(always)]
    fn is_rare(x: f64) -> bool {
        x < 0.0
    }

    #[inline(always)]
    fn slow<A: Arithmetic>(x: f64) -> f64 {
        if is_integer(x) {
            f64::INFINITY
        } else if x > -TINY {
            -Ln::fast::<A>(-x)
        } else if x > -150.0 {
            // Near a zero the error is that of Γ relative to 1, which reflection of the logarithm would not reach.
            Ln::fast::<A>(negative_gamma::<A>(x).abs())
        } else {
            let (sine, _) = sine_pair::<A>(reduce_half_turns::<A>(x));
            -Ln::fast::<A>((x * sine).abs() / core::f64::consts::PI) - positive_lgamma::<A>(-x)
        }
    }
}
