//! Unevaluated sums of two numbers: exact sums and products.

use crate::elementary::Arithmetic;

/// a + b exactly, as (rounded sum, error), where |a| ≥ |b| or a = 0 (Dekker 1971).
#[inline(always)]
pub(super) fn ordered_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    (sum, (a - sum) + b)
}

/// a + b exactly (Knuth, TAOCP 2, 4.2.2).
#[inline(always)]
pub(super) fn sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// a·b exactly, as (rounded product, error), unless it over- or underflows.
#[inline(always)]
pub(super) fn product<A: Arithmetic>(a: f64, b: f64) -> (f64, f64) {
    let high = a * b;
    if A::FUSED {
        return (high, A::mul_add(a, b, -high));
    }
    let ((ah, al), (bh, bl)) = (halves(a), halves(b));
    (high, ((ah * bh - high) + ah * bl + al * bh) + al * bl)
}

/// c − a·b, rounded once but for the last bits, where a·b is close to c.
#[inline(always)]
pub(super) fn residual<A: Arithmetic>(c: f64, a: f64, b: f64) -> f64 {
    if A::FUSED {
        return A::mul_add(-a, b, c);
    }
    let (high, low) = product::<A>(a, b);
    (c - high) - low
}

/// a·b + c as (rounded, rest), where |a·b| ≤ |c|/2.
#[inline(always)]
pub(super) fn product_sum<A: Arithmetic>(a: f64, b: f64, c: f64) -> (f64, f64) {
    if A::FUSED {
        let high = A::mul_add(a, b, c);
        return (high, A::mul_add(a, b, c - high));
    }
    let (product, rest) = product::<A>(a, b);
    let (high, low) = ordered_sum(c, product);
    (high, low + rest)
}

/// √(a + b), b being small, as (rounded, rest).
#[inline(always)]
pub(super) fn root<A: Arithmetic>(a: f64, b: f64) -> (f64, f64) {
    let (a, b) = ordered_sum(a, b);
    let root = a.sqrt();
    let rest = (residual::<A>(a, root, root) + b) * (0.5 / root);
    (root, if root == 0.0 { 0.0 } else { rest })
}

/// (a + b)/(c + d), b and d being small, as (rounded, rest).
#[inline(always)]
pub(super) fn quotient<A: Arithmetic>(a: f64, b: f64, c: f64, d: f64) -> (f64, f64) {
    let inverse = 1.0 / c;
    let start = a * inverse;
    (start, A::mul_add(-start, d, residual::<A>(a, start, c) + b) * inverse)
}

/// Two numbers of at most 27 bits whose sum is a: products of such parts are exact.
#[inline(always)]
fn halves(a: f64) -> (f64, f64) {
    let high = f64::from_bits(a.to_bits() & 0xffff_ffff_f800_0000);
    (high, a - high)
}
