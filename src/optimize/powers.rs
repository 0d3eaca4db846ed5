//! Powers with a constant whole exponent, as products.
//!
//! Products of integers are exact. Those of floats lose half an ULP each: who relaxes rounding gets them plain, everyone else
//! with what each product loses carried along, where a fused multiply-add tells it. What a product next to the least normal
//! number loses has no place there, and costs up to an ULP.

use crate::graph::{Node, NodeId};
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};
use crate::optimize::rewrite::Rewriter;
use crate::optimize::rule::{Rule, When};

/// The highest power that is computed by multiplications.
const HIGHEST: i64 = 32;

/// The rule for integers.
pub(super) static EXACT: &[Rule] = &[Rule::exact(
    "integer_power",
    When::Integer,
    ["(pow ?x n)", "?x · ?x · …"],
    "repeated squaring; products wrap in the ring of integers modulo 2^width",
)
.by("2 ≤ n ≤ 32", &["pow"], integer_power)];

/// The rule for floats that keeps accuracy.
pub(super) static ACCURATE: &[Rule] = &[Rule::accuracy(
    "compensated_power",
    ["(pow ?x n)", "?x · ?x · … with the errors of the products"],
    "repeated squaring of pairs of numbers, whose rest is the error of the products, by fused multiply-adds: off by hardly more than the last rounding, and by 1.5 ULP next to the least normal number",
)
.by("n an integer, 4 ≤ n ≤ 32", &["pow"], compensated_power)
.with_fma()];

/// The rule for those who relax rounding.
pub(super) static FAST: &[Rule] = &[Rule::fast(
    "pow_integer",
    ["(pow ?x n)", "?x · ?x · …"],
    "repeated squaring, half an ULP for each product",
)
.by("n an integer, 4 ≤ n ≤ 32", &["pow"], pow_integer)];

/// The base and the exponent of a power with a whole one, of floats or of integers.
fn power(rewriter: &Rewriter, id: NodeId, of_floats: bool) -> Option<(NodeId, u32)> {
    let &Node::Binary(BinaryOp::Pow, [x, exponent]) = rewriter.node(id) else { return None };
    let value = rewriter.constant(exponent)?;
    if value.dtype().is_float() != of_floats {
        return None;
    }
    let whole =
        if of_floats { Some(value.to_f64()).filter(|n| n.fract() == 0.0).map(|n| n as i64) } else { value.to_i64() };
    let lowest = if of_floats { 4 } else { 2 };
    whole.filter(|n| (lowest..=HIGHEST).contains(n)).map(|n| (x, n as u32))
}

fn integer_power(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let (x, n) = power(rewriter, id, false)?;
    products(rewriter, x, n)
}

fn pow_integer(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let (x, n) = power(rewriter, id, true)?;
    products(rewriter, x, n)
}

/// xⁿ by repeated squaring, n ≥ 1.
fn products(rewriter: &mut Rewriter, x: NodeId, n: u32) -> Option<NodeId> {
    let (mut square, mut product) = (x, None);
    for bit in 0..=n.ilog2() {
        if bit > 0 {
            square = rewriter.binary(BinaryOp::Mul, square, square)?;
        }
        if n >> bit & 1 == 1 {
            product = Some(match product {
                Some(so_far) => rewriter.binary(BinaryOp::Mul, so_far, square)?,
                None => square,
            });
        }
    }
    product
}

/// A number as the sum of two; the second, much smaller one is none where the first is exact.
#[derive(Clone, Copy, PartialEq)]
struct Pair {
    high: NodeId,
    low: Option<NodeId>,
}

fn compensated_power(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let (x, n) = power(rewriter, id, true)?;
    let (mut square, mut product) = (Pair { high: x, low: None }, None);
    for bit in 0..n.ilog2() {
        if n >> bit & 1 == 1 {
            product = Some(match product {
                Some(so_far) => multiply(rewriter, square, so_far)?,
                None => square,
            });
        }
        // The last product is rounded, whatever its factors are.
        if bit + 1 < n.ilog2() || product.is_some() {
            square = multiply(rewriter, square, square)?;
        }
    }
    rounded_product(rewriter, square, product.unwrap_or(square), n)
}

/// The product as a pair, without that of the lower parts.
fn multiply(rewriter: &mut Rewriter, a: Pair, b: Pair) -> Option<Pair> {
    let high = rewriter.binary(BinaryOp::Mul, a.high, b.high)?;
    let negative = rewriter.unary(UnaryOp::Neg, high)?;
    let error = rewriter.ternary(TernaryOp::MulAdd, [a.high, b.high, negative])?;
    Some(Pair { high, low: Some(add_lower_parts(rewriter, a, b, Some(error))?) })
}

/// The product, an n-th power, rounded once but for an error of a higher order.
fn rounded_product(rewriter: &mut Rewriter, a: Pair, b: Pair, n: u32) -> Option<NodeId> {
    let plain = rewriter.binary(BinaryOp::Mul, a.high, b.high)?;
    let rest = add_lower_parts(rewriter, a, b, None)?;
    let mut value = rewriter.ternary(TernaryOp::MulAdd, [a.high, b.high, rest])?;
    if n % 2 == 1 {
        // The lower parts of −0 are +0, and so would be the sum.
        value = rewriter.binary(BinaryOp::Copysign, value, plain)?;
    }
    // Beyond the largest number the lower parts are infinite too, of any sign. The plain product may be so a little earlier.
    let is_finite = rewriter.unary(UnaryOp::IsFinite, rest)?;
    rewriter.ternary(TernaryOp::Select, [is_finite, value, plain])
}

/// What the lower parts contribute to a product, added to a sum; nothing where there is neither.
fn add_lower_parts(rewriter: &mut Rewriter, a: Pair, b: Pair, sum: Option<NodeId>) -> Option<NodeId> {
    let mut terms = [(a.high, b.low), (b.high, a.low)];
    if let (true, Some(low)) = (a == b, a.low) {
        terms = [(a.high, Some(rewriter.binary(BinaryOp::Add, low, low)?)), (b.high, None)];
    }
    let mut sum = sum;
    for (high, low) in terms {
        sum = match (low, sum) {
            (None, sum) => sum,
            (Some(low), None) => rewriter.binary(BinaryOp::Mul, high, low),
            (Some(low), Some(sum)) => rewriter.ternary(TernaryOp::MulAdd, [high, low, sum]),
        };
    }
    sum
}
