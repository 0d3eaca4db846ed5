//! The digamma function of `f64`, the derivative of ln Γ.
//!
//! From 8 on by its asymptotic series (DLMF 5.11.2), below by a ratio of polynomials times x − x₀, x₀ being the zero; the
//! recurrence leads x < ½ to 1 + x, reflection x < 0 to −x (DLMF 5.5.2, 5.5.4). The coefficients are minimax (own, by
//! Remez's algorithm).
//!
//! Must not know: the gamma function.

use super::angle::reduce_half_turns;
use super::logarithm::accurate_ln;
use super::pair::{product, quotient, sum};
use super::trigonometric::{cosine_pair, sine_pair};
use super::{TINY, polynomial};
use crate::elementary::functions::{Digamma, Ln};
use crate::elementary::{Arithmetic, Unary};

/// The positive zero and what it lacks.
const ROOT: f64 = 1.4616321449683622;
const ROOT_LOW: f64 = 9.549995429965697e-17;

/// ψ(x)/(x − x₀) for ½ ≤ x ≤ 8, less a number among its values, which takes a part of the rounding of the ratio away; off
/// by 0.4 · 2⁻⁵³ of itself at most.
const OFFSET: f64 = 0.4375;
const NUMERATOR: [f64; 10] = [
    107637.79181023098,
    306192.5408214393,
    254603.55987594512,
    73018.88471131033,
    201.92320014714866,
    -3171.4646181984444,
    -485.4527608810309,
    -25.088146146036664,
    -0.41624440445095895,
    -0.0013190302294614521,
];
const DENOMINATOR: [f64; 10] = [
    4.560522363900835e-06,
    157326.85645457657,
    349696.41375800973,
    277674.05216204707,
    102527.49039915386,
    18855.041805791498,
    1699.4342001482694,
    68.5327482074257,
    1.0,
    0.0030149262387690334,
];

/// (ln x − 1/(2x) − ψ(x))·x² in 1/x², for x ≥ 8.
const TAIL: [f64; 8] = [
    0.08333333333333333,
    -0.008333333333331357,
    0.003968253965813851,
    -0.004166665450921876,
    0.007575452748161162,
    -0.021050510545231202,
    0.08000168363941433,
    -0.29908102005037196,
];

/// 2⁵²: numbers from there on are integers.
const INTEGERS: f64 = 4_503_599_627_370_496.0;

/// ψ(x) − ln x for x ≥ 8.
#[inline(always)]
fn tail<A: Arithmetic>(x: f64) -> f64 {
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    A::mul_add(-square, polynomial::<A, 8>(square, &TAIL), -0.5 * inverse)
}

/// ψ(x) for ½ ≤ x ≤ 8.
#[inline(always)]
fn near<A: Arithmetic>(x: f64, low: f64) -> f64 {
    let over = polynomial::<A, 10>(x, &NUMERATOR);
    let ratio = over / polynomial::<A, 10>(x, &DENOMINATOR);
    ((x - ROOT) - (ROOT_LOW - low)) * (ratio + OFFSET)
}

impl Unary<f64> for Digamma {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let is_small = x < 0.5;
        let shifted = if is_small { x + 1.0 } else { x };
        let low = if is_small { x - (shifted - 1.0) } else { 0.0 };
        let inverse = 1.0 / x;
        let near = near::<A>(shifted, low) - if is_small { inverse } else { 0.0 };
        let far = Ln::fast::<A>(x) + tail::<A>(x);
        if x < 8.0 { near } else { far }
    }

    #[inline(always)]
    fn is_rare(x: f64) -> bool {
        x < 0.0
    }

    #[inline(always)]
    fn slow<A: Arithmetic>(x: f64) -> f64 {
        if x <= -INTEGERS {
            f64::NAN
        } else if x > -TINY {
            -1.0 / x
        } else {
            reflection::<A>(x)
        }
    }
}

/// ψ(x) = ψ(−x) − 1/x − π cot πx for x < 0, in pairs, because large terms cancel near the zeros.
#[inline(always)]
fn reflection<A: Arithmetic>(x: f64) -> f64 {
    let angle = reduce_half_turns::<A>(x);
    let (sine, sine_low) = sine_pair::<A>(angle);
    if sine == 0.0 {
        return f64::NAN;
    }
    let (cosine, cosine_low) = cosine_pair::<A>(angle);
    let (cotangent, cotangent_low) = quotient::<A>(cosine, cosine_low, sine, sine_low);
    let (term, term_low) = product::<A>(core::f64::consts::PI, cotangent);
    let term_low = term_low + core::f64::consts::PI * cotangent_low + super::angle::PI_LOW * cotangent;
    let size = -x;
    let (start, start_low) = if size < 8.0 {
        (if size < 0.5 { Digamma::fast::<A>(size) } else { near::<A>(size, 0.0) }, 0.0)
    } else {
        let (ln, ln_low) = accurate_ln::<A>(size);
        (ln, ln_low + tail::<A>(size))
    };
    let (inverse, inverse_low) = quotient::<A>(1.0, 0.0, size, 0.0);
    let (first, first_low) = sum(inverse, -term);
    let (second, second_low) = sum(first, start);
    second + (second_low + (first_low + (start_low + (inverse_low - term_low))))
}
