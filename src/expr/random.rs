//! Random numbers in the graph: streams that are functions of a key.
//!
//! A *key* is a u64. The same key gives the same numbers, on every engine and for any number of threads, so a key is
//! used for one draw and new ones are made by [`split`] and [`fold_in`]. Numbers come from Philox4x32-10 (J. Salmon,
//! M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11), which is counter-based: element `e`
//! of a draw, counted in row-major order, is made of number `e` of the key's stream alone. So nothing is stored between
//! elements, a draw fuses into what uses it, and a stream has 2⁶⁴ numbers before it repeats.
//!
//! The streams are part of the interface: the bits that a key gives in `bits`, `uniform`, `randint`, `bernoulli`, `split`
//! and `fold_in` do not change between versions. `normal`, `exponential`, `gamma` and `poisson` apply elementary functions to
//! such bits, with the bounds of those; they have the same bits wherever the functions have.
//!
//! Shapes are as everywhere: `[n]`, `(x.len(), 3)`, `()` for one number; sizes may be expressions. A key of rank above 0
//! broadcasts to the shape, so that each element has a stream of its own. Must not know: how numbers are computed.

mod rejection;

use std::panic::Location;

use crate::dtype::{DType, Element, Kind, Scalar};
use crate::expr::Expr;
use crate::expr::constructors::arange;
use crate::expr::convert::{IntoExpr, IntoShape};
use crate::expr::dims::to_shape;
use crate::graph::{Node, describe};
use crate::ops::BinaryOp;
use crate::shape::{Shape, element_count};

pub use rejection::{gamma, poisson};

mod sealed {
    pub trait Sealed {}
}

/// A float type that can be drawn: f32, f64.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no float type: only f32 and f64 have these distributions",
    note = "for integers there are `random::bits` and `random::randint`"
)]
pub trait Float: Element + sealed::Sealed {
    /// The op of uniform numbers.
    #[doc(hidden)]
    const UNIFORM: BinaryOp;
}

/// A type of random bits: u32, u64.
#[diagnostic::on_unimplemented(message = "random bits are u32 or u64, not `{Self}`")]
pub trait Bits: Element + sealed::Sealed {
    /// The op of random bits.
    #[doc(hidden)]
    const BITS: BinaryOp;
}

/// An integer type that can be drawn: i8, u8, i32, u32, i64, u64.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no integer type",
    note = "for floats there is `random::uniform`, for bools `random::bernoulli`"
)]
pub trait Integer: Element + sealed::Sealed {}

impl sealed::Sealed for f32 {}
impl sealed::Sealed for f64 {}
impl Float for f32 {
    const UNIFORM: BinaryOp = BinaryOp::RandomUniform32;
}
impl Float for f64 {
    const UNIFORM: BinaryOp = BinaryOp::RandomUniform64;
}

macro_rules! integers {
    ($($type:ty)*) => { $(
        impl sealed::Sealed for $type {}
        impl Integer for $type {}
    )* };
}
integers!(i8 u8 i32 u32 i64 u64);
impl Bits for u32 {
    const BITS: BinaryOp = BinaryOp::RandomBits32;
}
impl Bits for u64 {
    const BITS: BinaryOp = BinaryOp::RandomBits64;
}

/// The key of a seed: an integer, or an integer expression, modulo 2⁶⁴.
///
/// ```
/// use kroton::random;
/// let f = kroton::compile([], random::uniform::<f64>(&random::key(42), [3]))?;
/// let (first, again): (Vec<f64>, Vec<f64>) = (f.call(())?, f.call(())?);
/// assert_eq!(first, again);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn key(seed: impl IntoExpr) -> Expr {
    word(&seed.into_strong(), "a seed")
}

/// Two independent keys, in place of the one given.
///
/// ```
/// use kroton::random;
/// let (k1, k2) = random::split(&random::key(42));
/// let (x, y) = (random::uniform::<f64>(&k1, [100_000]), random::uniform::<f64>(&k2, [100_000]));
/// let hits = (&x * &x + &y * &y).lt(1.0).sum(..);
/// let pi: f64 = kroton::compile([], 4.0 * hits / 100_000)?.call(())?;
/// assert!((pi - 3.1416).abs() < 0.02);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn split(key: &Expr) -> (Expr, Expr) {
    let family = fold_in(key, SPLIT);
    (fold_in(&family, 0), fold_in(&family, 1))
}

/// As [`split`], into so many keys: an array of rank 1, in which the two keys of `split` come first.
///
/// ```
/// let keys = kroton::random::split_into(&kroton::random::key(42), 8);
/// assert_eq!((keys.dtype(), keys.rank()), (kroton::DType::U64, 1));
/// ```
#[track_caller]
pub fn split_into(key: &Expr, count: impl IntoExpr) -> Expr {
    fold_in(&fold_in(key, SPLIT), arange(count))
}

/// What tells the keys of `split` from those that users fold in.
const SPLIT: u64 = u64::from_be_bytes(*b"split\0\0\0");

/// The key of a key and an integer, such as the number of a step; an array of integers gives as many keys.
///
/// ```
/// use kroton::random;
/// let step = kroton::scalar::<i64>("step");
/// let noise = random::normal::<f64>(&random::fold_in(&random::key(42), &step), [10]);
/// let f = kroton::compile([&step], noise)?;
/// let (first, second): (Vec<f64>, Vec<f64>) = (f.call((1_i64,))?, f.call((2_i64,))?);
/// assert_ne!(first, second);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn fold_in(key: &Expr, data: impl IntoExpr) -> Expr {
    let data = word(&data.into_strong(), "what is folded into a key");
    combine(BinaryOp::RandomKey, &data, &checked(key))
}

/// Random bits: u32 or u64.
///
/// ```
/// use kroton::random;
/// let f = kroton::compile([], random::bits::<u32>(&random::key(0), [4]))?;
/// // The first known answer of Random123.
/// assert_eq!(f.call::<Vec<u32>>(())?, [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn bits<T: Bits>(key: &Expr, shape: impl IntoShape) -> Expr {
    draw(T::BITS, key, &shape.into_shape())
}

/// Uniform in [0, 1): all multiples of 2⁻⁵³ (f32: 2⁻²⁴) are equally likely.
///
/// ```
/// use kroton::random;
/// let n = kroton::scalar::<i64>("n");
/// let mean = kroton::compile([&n], random::uniform::<f64>(&random::key(42), [&n]).mean(..))?;
/// assert!((mean.call::<f64>((1_000_000_i64,))? - 0.5).abs() < 2e-3);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn uniform<T: Float>(key: &Expr, shape: impl IntoShape) -> Expr {
    draw(T::UNIFORM, key, &shape.into_shape())
}

/// Normal with mean 0 and variance 1.
///
/// By the formula of Box and Muller (Ann. Math. Statist. 29, 1958): the cosine of a uniform angle times √(−2 ln u), with
/// 64 bits for u (f32: 31 bits). The tails reach 9.4 (f32: 6.7) standard deviations.
///
/// ```
/// use kroton::random;
/// let z = random::normal::<f64>(&random::key(42), [100_000]);
/// let moments = kroton::compile([], (z.mean(..), z.var(..)))?;
/// let (mean, var): (f64, f64) = moments.call(())?;
/// assert!(mean.abs() < 0.02 && (var - 1.0).abs() < 0.02);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn normal<T: Float>(key: &Expr, shape: impl IntoShape) -> Expr {
    match Elements::new(shape) {
        Ok(elements) => elements.normal::<T>(&split(key)),
        Err(message) => key.invalid(message),
    }
}

/// Exponential with mean 1: −ln u, with 64 bits for u (f32: 31 bits).
///
/// ```
/// use kroton::random;
/// let mean = kroton::compile([], random::exponential::<f64>(&random::key(42), [100_000]).mean(..))?;
/// assert!((mean.call::<f64>(())? - 1.0).abs() < 0.02);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn exponential<T: Float>(key: &Expr, shape: impl IntoShape) -> Expr {
    match Elements::new(shape) {
        Ok(elements) => -elements.above_zero::<T>(key).ln(),
        Err(message) => key.invalid(message),
    }
}

/// True with probability `p`, a number or an expression that broadcasts to the shape: where a uniform number of `p`'s
/// dtype is less. Below 0 and for NaN that is never, from 1 on always.
///
/// ```
/// use kroton::random;
/// let heads = random::bernoulli(&random::key(42), 0.25, [100_000]);
/// let share: f64 = kroton::compile([], heads.mean(..))?.call(())?;
/// assert!((share - 0.25).abs() < 0.01);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn bernoulli(key: &Expr, p: impl IntoExpr, shape: impl IntoShape) -> Expr {
    let (p, sizes) = (p.into_expr().to_float(), shape.into_shape());
    let op = if p.dtype() == DType::F32 { BinaryOp::RandomUniform32 } else { BinaryOp::RandomUniform64 };
    draw(op, key, &sizes).lt(p.broadcast_to(sizes))
}

/// Integers from `low` up to, not including, `high`, which are integers or expressions that broadcast to the shape.
///
/// The product of the range and 64 random bits (128 for 64-bit types), of which the upper part is taken: no number's
/// probability is off by more than 2⁻³² (2⁻⁶⁴) of itself. Where `high` is not above `low`, the result is `low`. Bounds and
/// results wrap as casts to `T` do.
///
/// ```
/// use kroton::random;
/// let dice = kroton::compile([], random::randint::<u8>(&random::key(42), 1, 7, [1000]))?;
/// let dice: Vec<u8> = dice.call(())?;
/// assert!(dice.iter().all(|eyes| (1..7).contains(eyes)));
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn randint<T: Integer>(key: &Expr, low: impl IntoExpr, high: impl IntoExpr, shape: impl IntoShape) -> Expr {
    let (low, high, sizes) = (low.into_strong(), high.into_strong(), shape.into_shape());
    if let Some(message) = range_error(&low, &high, T::DTYPE) {
        return low.invalid(message);
    }
    // The bounds of a u8 or an i32 are i64 here, so that 256 is a bound.
    let wide = if T::DTYPE == DType::U64 { DType::U64 } else { DType::I64 };
    let (low, high) = (low.cast_to(wide), high.cast_to(wide));
    let span = high.gt(&low).select(high.cast::<u64>() - low.cast::<u64>(), zero());
    let span = span.broadcast_to(sizes.clone());
    let offset = if T::DTYPE.size() == 8 {
        let (upper, lower) = split(key);
        let upper = draw(BinaryOp::RandomBits64, &upper, &sizes);
        let lower = product_high(&draw(BinaryOp::RandomBits64, &lower, &sizes), &span);
        let carried = (&upper * &span + &lower).lt(lower);
        product_high(&upper, &span) + carried.cast::<u64>()
    } else {
        product_high(&draw(BinaryOp::RandomBits64, key, &sizes), &span)
    };
    (offset + low.cast::<u64>().broadcast_to(sizes)).cast::<T>()
}

/// What is wrong with the bounds of `randint`, as far as it is known.
fn range_error(low: &Expr, high: &Expr, dtype: DType) -> Option<String> {
    for bound in [low, high] {
        if bound.error().is_none() && !bound.dtype().is_integer() {
            return Some(format!("`randint` takes integers as bounds, not {}", describe(bound.ty())));
        }
    }
    let (Node::Scalar(low), Node::Scalar(high)) = (low.node(), high.node()) else { return None };
    let number = |value: &Scalar| match value {
        Scalar::U64(value) => Some(i128::from(*value)),
        other => other.to_i64().map(i128::from),
    };
    let (low, high) = (number(low)?, number(high)?);
    if low >= high {
        return Some(format!("`randint` from {low} up to {high}: the range is empty; the upper bound is not included"));
    }
    let bits = dtype.size() as u32 * 8;
    let (least, most) = match dtype.kind() {
        Kind::Signed => (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
        Kind::Unsigned | Kind::Bool | Kind::Float => (0, (1_i128 << bits) - 1),
    };
    (low < least || high - 1 > most)
        .then(|| format!("`randint` from {low} up to {high}: {dtype} holds {least} to {most} only"))
}

/// The upper 64 bits of a product of u64, by products of words (D. Knuth, TAOCP 2, 4.3.1).
fn product_high(a: &Expr, b: &Expr) -> Expr {
    let mask = Expr::build(Node::Scalar(Scalar::U64(0xffff_ffff)));
    let half = Expr::build(Node::Scalar(Scalar::U64(32)));
    let parts = |x: &Expr| (x & &mask, x >> &half);
    let ((a_low, a_high), (b_low, b_high)) = (parts(a), parts(b));
    let middle = &a_high * &b_low + ((&a_low * &b_low) >> &half);
    let other = &a_low * &b_high + (&middle & &mask);
    a_high * b_high + (middle >> &half) + (other >> &half)
}

fn zero() -> Expr {
    Expr::build(Node::Scalar(Scalar::U64(0)))
}

/// An integer modulo 2⁶⁴.
#[track_caller]
fn word(x: &Expr, what: &str) -> Expr {
    if x.error().is_none() && !x.dtype().is_integer() {
        return x.invalid(format!("{what} is an integer, not {}; convert it with `cast`", describe(x.ty())));
    }
    x.cast_to(DType::U64)
}

/// A key, if it is one.
#[track_caller]
fn checked(key: &Expr) -> Expr {
    if key.error().is_some() || key.dtype() == DType::U64 {
        return key.clone();
    }
    key.invalid(format!(
        "a key is u64, not {}; make it with `random::key`, `random::split` or `random::fold_in`",
        describe(key.ty())
    ))
}

/// The numbers of an array, element by element.
#[track_caller]
fn draw(op: BinaryOp, key: &Expr, sizes: &[Expr]) -> Expr {
    match Elements::new(sizes.to_vec()) {
        Ok(elements) => elements.draw(op, key),
        Err(message) => checked(key).invalid(message),
    }
}

/// The elements of an array, by the numbers of a stream that they are made of.
struct Elements {
    sizes: Vec<Expr>,
    /// For each element the number, a u64.
    counters: Expr,
}

impl Elements {
    /// Elements in row-major order, from number 0 on.
    #[track_caller]
    fn new(shape: impl IntoShape) -> Result<Elements, String> {
        let sizes = shape.into_shape();
        let shape = to_shape(&sizes).and_then(nonnegative)?;
        if shape.is_empty() {
            return Ok(Elements { sizes, counters: zero() });
        }
        let counters = Expr::build(Node::Iota(element_count(&shape)));
        let counters = if shape.len() == 1 { counters } else { Expr::build(Node::Reshape(shape, counters)) };
        Ok(Elements { sizes, counters: counters.cast_to(DType::U64) })
    }

    /// The numbers of a key, one for each element.
    #[track_caller]
    fn draw(&self, op: BinaryOp, key: &Expr) -> Expr {
        let key = checked(key);
        let key = if key.rank() == 0 { key } else { key.broadcast_to(self.sizes.clone()) };
        combine(op, &self.counters, &key)
    }

    /// Uniform in (0, 1], with 64 bits (f32: 31 bits), so that logarithms of it are finite.
    #[track_caller]
    fn above_zero<T: Float>(&self, key: &Expr) -> Expr {
        if T::DTYPE == DType::F64 {
            return (self.draw(BinaryOp::RandomBits64, key).cast::<f64>() + 0.5) * (1.0 / 2_u128.pow(64) as f64);
        }
        // What fits an i32 is converted by one instruction.
        let one = Expr::build(Node::Scalar(Scalar::U32(1)));
        let bits = self.draw(BinaryOp::RandomBits32, key) >> one;
        (bits.cast::<i32>().cast::<f32>() + 0.5) * (1.0 / f64::from(1_u32 << 31))
    }

    /// Normal, of the numbers of two keys.
    #[track_caller]
    fn normal<T: Float>(&self, (radius, angle): &(Expr, Expr)) -> Expr {
        let radius = (self.above_zero::<T>(radius).ln() * -2.0).sqrt();
        radius * (self.draw(T::UNIFORM, angle) * std::f64::consts::TAU).cos()
    }
}

#[track_caller]
fn combine(op: BinaryOp, counters: &Expr, key: &Expr) -> Expr {
    Expr::build_at(Node::Binary(op, [counters.clone(), key.clone()]), false, Location::caller())
}

fn nonnegative(shape: Shape) -> Result<Shape, String> {
    match shape.iter().position(|size| size.constant().is_some_and(|size| size < 0)) {
        Some(axis) => Err(format!("random numbers of a negative size, {:?} along axis {axis}", shape[axis].constant())),
        None => Ok(shape),
    }
}
