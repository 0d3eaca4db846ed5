//! Distributions that are drawn by rejection: gamma and Poisson. Each element makes attempts until one is accepted.
//!
//! Streams do not overlap: attempt `t` of element `e` takes number `e + t·2⁴⁸` of each of the draw's keys, and the keys are
//! derived from the user's, one for each purpose. So two attempts share a number only in arrays of more than 2⁴⁸ elements, or
//! after 2¹⁶ attempts of one element, of which the likeliest case has a probability below 10⁻⁹⁹⁹⁹. An element is a function
//! of its number, the key and its parameters alone, whatever the length of the draw and whatever other elements do.
//!
//! Loops end for every parameter: elements without a distribution make no attempt. Where f32 counts, acceptance is computed
//! from differences that do not cancel, so that large parameters are drawn as exactly as the type can hold them.
//! Must not know: how loops run.

use std::f64::consts::TAU;
use std::panic::Location;
use std::sync::Arc;

use crate::dtype::{DType, Scalar};
use crate::error::Result;
use crate::expr::Expr;
use crate::expr::convert::{IntoExpr, IntoShape};
use crate::expr::loop_node::{Body, LoopBuilder, exactly, parameter};
use crate::expr::random::{Elements, Float, fold_in, split};
use crate::graph::Node;

/// The distance of the numbers of two attempts, as a power of 2.
const ATTEMPT: u64 = 48;

/// Below this, a relative difference is put into a series.
const NEAR: f64 = 1.0 / 32.0;

/// From here on Poisson numbers are no product of uniform numbers.
const LARGE_RATE: f64 = 10.0;

/// Gamma with a shape parameter and scale 1: mean and variance are the shape. The shape parameter, a number or an
/// expression that broadcasts to the shape of the draw, is converted to `T`.
///
/// The method of Marsaglia and Tsang (ACM Trans. Math. Softw. 26, 2000), as a loop in which each element makes attempts until
/// one is accepted. Below 1 it draws for the shape plus one and multiplies by a power of a uniform number, in logarithms, so
/// that a result is zero only where it is below the smallest number of the type. A shape parameter that is 0, negative or
/// NaN gives NaN, an infinite one infinity. With the same elementary functions the bits are the same, for any number of
/// threads; on a GPU, whose functions are less exact, a close acceptance may go the other way and the element differs.
///
/// A draw is a constant to [`grad`](crate::grad()): derivatives by the shape parameter are zero. Scale by multiplying.
///
/// ```
/// use kroton::random;
/// let g = random::gamma::<f64>(&random::key(42), 2.5, [100_000]);
/// let moments = kroton::compile([], (g.mean(..), g.var(..)))?;
/// let (mean, var): (f64, f64) = moments.call(())?;
/// assert!((mean - 2.5).abs() < 0.03 && (var - 2.5).abs() < 0.1);
/// // Beta numbers, for shapes that come with the call.
/// let (a, b) = (kroton::scalar::<f64>("a"), kroton::scalar::<f64>("b"));
/// let (ka, kb) = random::split(&random::key(1));
/// let (x, y) = (random::gamma::<f64>(&ka, &a, [100_000]), random::gamma::<f64>(&kb, &b, [100_000]));
/// let mean = kroton::compile([&a, &b], (&x / (&x + y)).mean(..))?;
/// assert!((mean.call::<f64>((0.5, 1.5))? - 0.25).abs() < 0.01);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn gamma<T: Float>(key: &Expr, shape_parameter: impl IntoExpr, shape: impl IntoShape) -> Expr {
    let elements = match Elements::new(shape) {
        Ok(elements) => elements,
        Err(message) => return key.invalid(message),
    };
    let alpha = shape_parameter.into_expr().cast_to(T::DTYPE).broadcast_to(elements.sizes.clone()).stop_gradient();
    let (whole, fraction) = split(key);
    let is_small = alpha.lt(1.0);
    let drawn = marsaglia_tsang::<T>(&elements, &whole, &is_small.select(&alpha + 1.0, &alpha), &alpha);
    let boosted = (drawn.ln() + elements.above_zero::<T>(&fraction).ln() / &alpha).exp();
    (alpha.gt(0.0) & is_small).select(boosted, drawn).stop_gradient()
}

/// Gamma for shapes of 1 and more; the `asked` ones say where there is anything to draw.
#[track_caller]
fn marsaglia_tsang<T: Float>(elements: &Elements, key: &Expr, alpha: &Expr, asked: &Expr) -> Expr {
    let (normals, uniforms) = (split(&fold_in(key, 0)), fold_in(key, 1));
    let open = asked.gt(0.0) & asked.lt(f64::INFINITY);
    let d = open.select(alpha - 1.0 / 3.0, 1.0);
    let c = 1.0 / (3.0 * d.sqrt());
    let unopened = asked.gt(0.0).select(asked, f64::NAN);
    let attempts = attempt_while("random::gamma", elements, &open, &unopened, |elements, _| {
        let x = elements.normal::<T>(&normals);
        let y = &x * &c;
        let is_inside = y.gt(-1.0);
        let y = is_inside.select(y, 0.0);
        let v = &y + 1.0;
        let accepted = elements.above_zero::<T>(&uniforms).ln().lt(log_ratio(&x, &y, &d));
        (d * (&v * &v * v), !(is_inside & accepted))
    });
    attempts.map_or_else(|failed| failed, |[_, drawn]| drawn)
}

/// x²/2 + d − dv + d ln v with v = (1 + y)³ and y = x/√(9d). Powers of y up to the third cancel, and what is left of them is
/// a series in y, as d y² = x²/9.
fn log_ratio(x: &Expr, y: &Expr, d: &Expr) -> Expr {
    let square = x * x;
    let series = -(&square * y * y) * (1.0 / 12.0 - y * (1.0 / 15.0 - y / 18.0));
    let direct = square / 2.0 + d * (3.0 * y.log1p() - y * (3.0 + y * (3.0 + y)));
    y.abs().lt(NEAR).select(series, direct)
}

/// Poisson with a rate, as i64. The rate is a number or an expression that broadcasts to the shape of the draw; what is not
/// f32 is computed in f64.
///
/// Below a rate of 10 by counting uniform numbers until their product is below e^−rate (D. Knuth, TAOCP 2, 3.4.1), from there on
/// by transformed rejection (W. Hörmann, "The transformed rejection method for generating Poisson random variables",
/// Insurance: Mathematics and Economics 12, 1993, PTRS), both as loops in which each element makes attempts of its own. A rate of 0
/// gives 0, and a rate that is negative or NaN gives −1. Counts are numbers of the rate's dtype before they become i64: above
/// 2⁵³ (f32: 2²⁴) they are multiples of its spacing, and from 2⁶³ on they are the largest i64. Bits are the same as [`gamma`]'s
/// are, for any number of threads; on a GPU a close acceptance may go the other way.
///
/// A count has no derivative: it is an integer.
///
/// ```
/// use kroton::random;
/// let counts = random::poisson(&random::key(42), 3.5, [100_000]);
/// let (mean, none): (f64, f64) = kroton::compile([], (counts.mean(..), counts.eq(0).mean(..)))?.call(())?;
/// assert!((mean - 3.5).abs() < 0.05 && (none - (-3.5_f64).exp()).abs() < 0.005);
/// // A rate for each element.
/// let rates = kroton::vector::<f64>("rates");
/// let f = kroton::compile([&rates], random::poisson(&random::key(1), &rates, [rates.len()]))?;
/// let counts: Vec<i64> = f.call((&[0.0, -1.0, f64::NAN, 1e6],))?;
/// assert_eq!(counts[..3], [0, -1, -1]);
/// assert!((counts[3] - 1_000_000).abs() < 6_000);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn poisson(key: &Expr, rate: impl IntoExpr, shape: impl IntoShape) -> Expr {
    let elements = match Elements::new(shape) {
        Ok(elements) => elements,
        Err(message) => return key.invalid(message),
    };
    let rate = rate.into_expr().to_float().broadcast_to(elements.sizes.clone()).stop_gradient();
    let (few, many) = split(key);
    let (few, many) = match rate.dtype() {
        DType::F32 => (products::<f32>(&elements, &few, &rate), transformed::<f32>(&elements, &many, &rate)),
        DType::F64 | DType::Bool | DType::I8 | DType::U8 | DType::I32 | DType::U32 | DType::I64 | DType::U64 => {
            (products::<f64>(&elements, &few, &rate), transformed::<f64>(&elements, &many, &rate))
        }
    };
    let none = rate.eq(0.0).select(integer(0), integer(-1));
    rate.ge(LARGE_RATE).select(many.cast::<i64>(), rate.gt(0.0).select(few, none))
}

/// How many uniform numbers can be multiplied before the product is below e^−rate, for small rates.
#[track_caller]
fn products<T: Float>(elements: &Elements, key: &Expr, rate: &Expr) -> Expr {
    let open = rate.gt(0.0) & rate.lt(LARGE_RATE);
    let limit = (-open.select(rate, 1.0)).exp();
    let one = constant::<T>(1.0).broadcast_to(elements.sizes.clone());
    let attempts = attempt_while("random::poisson", elements, &open, &one, |elements, product| {
        let product = product * elements.above_zero::<T>(key);
        (product.clone(), product.gt(limit))
    });
    // The last factor was one too many.
    let count = |[last, _]: [Expr; 2]| ((last - &elements.counters) >> word(ATTEMPT)).cast::<i64>() - integer(1);
    attempts.map_or_else(|failed| failed, count)
}

/// Counts as floats for large rates, by PTRS. The transformation, its dominating constants and the names are Hörmann's.
#[track_caller]
fn transformed<T: Float>(elements: &Elements, key: &Expr, rate: &Expr) -> Expr {
    let (transformed, compared) = split(key);
    let open = rate.ge(LARGE_RATE) & rate.lt((1_u64 << 63) as f64);
    let mu = open.select(rate, LARGE_RATE);
    let root = mu.sqrt();
    let b = 0.931 + 2.53 * &root;
    let a = 0.02483 * &b - 0.059;
    let scale = (1.1239 + 1.1328 / (&b - 3.4)) * TAU.sqrt() * root;
    let attempts = attempt_while("random::poisson", elements, &open, rate, |elements, _| {
        let u = elements.draw(T::UNIFORM, &transformed) - 0.5;
        // At the very end of the interval counts are never accepted; there is no quotient by zero either.
        let us = (0.5 - u.abs()).maximum(1.0 / f64::from(1 << 25));
        let k = ((2.0 * &a / &us + &b) * u + &mu + 0.43).floor();
        let v = elements.above_zero::<T>(&compared) * &scale / (&a / (&us * &us) + &b);
        let accepted = k.ge(0.0) & v.ln().le(log_probability(&k.maximum(0.0), &mu));
        (k, !accepted)
    });
    attempts.map_or_else(|failed| failed, |[_, drawn]| drawn)
}

/// ln(p(k) √(2πμ)), where p(k) is the probability of a count: with n = k + 1 and r = (n − μ)/μ it is
/// ½ ln(1 + r) − μ((1 + r) ln(1 + r) − r) − s(n), where s is the rest of Stirling's series for Γ(n). For a count of 0 it is off by
/// 3·10⁻⁴, where a rate of 10 gives that count a probability of 5·10⁻⁵; from 1 on by less than 10⁻⁵.
fn log_probability(k: &Expr, mu: &Expr) -> Expr {
    let n = k + 1.0;
    let r = (&n - mu) / mu;
    // Closer to −1 nothing is accepted.
    let log = r.maximum(1.0 / f64::from(1 << 20) - 1.0).log1p();
    let series = mu * &r * &r * (1.0 / 2.0 - &r * (1.0 / 6.0 - &r * (1.0 / 12.0 - &r * (1.0 / 20.0 - &r / 30.0))));
    let direct = &n * &log - (&n - mu);
    let m = 1.0 / &n;
    let square = &m * &m;
    let stirling = m * (1.0 / 12.0 - &square * (1.0 / 360.0 - &square / 1260.0));
    log / 2.0 - r.abs().lt(NEAR).select(series, direct) - stirling
}

/// The numbers that each element's next attempt would have taken, and what its last one made: attempts, of the elements that
/// are open at first, as long as the step says so. Elements that are never open keep their first value.
#[track_caller]
fn attempt_while(
    function: &'static str,
    elements: &Elements,
    open: &Expr,
    first: &Expr,
    step: impl FnOnce(&Elements, &Expr) -> (Expr, Expr),
) -> Result<[Expr; 2], Expr> {
    let origin = Location::caller();
    let failed = |error| Expr::with_error(first.node().clone(), Arc::new(error), origin);
    let attempts = || -> Result<[Expr; 2]> {
        let builder = LoopBuilder::new(function, &[&elements.counters, first], origin)?;
        let [counters, value] = [builder.states[0].clone(), builder.states[1].clone()];
        let attempt = Elements { sizes: elements.sizes.clone(), counters: counters.clone() };
        let (value, goes_on) = step(&attempt, &value);
        let next = builder.next([counters + word(1 << ATTEMPT), value])?;
        let guard = Some([open.clone(), parameter(open.ty().clone(), false, origin), goes_on]);
        let last = builder.finish(Body { guard, next: next.into(), ..Body::default() })?.last;
        exactly(last)
    };
    attempts().map_err(failed)
}

fn constant<T: Float>(value: f64) -> Expr {
    Expr::build(Node::Scalar(Scalar::F64(value).cast(T::DTYPE)))
}

fn word(value: u64) -> Expr {
    Expr::build(Node::Scalar(Scalar::U64(value)))
}

fn integer(value: i64) -> Expr {
    Expr::build(Node::Scalar(Scalar::I64(value)))
}
