//! What the functions on `f32` are made of: polynomials, exact sums and products, powers of two.
//!
//! Must not know: any function.

use crate::elementary::Arithmetic;

/// Adding it rounds a number below 2²² to an integer, which then stands in the low bits of the sum.
pub(super) const ROUND: f32 = 12_582_912.0;

/// The bits of 1.
const ONE: i32 = 0x3f80_0000;

/// The polynomial of the coefficients, the constant one first.
#[inline(always)]
pub(super) fn polynomial<A: Arithmetic, const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[N - 1];
    for i in (0..N - 1).rev() {
        sum = A::mul_add_single(sum, x, coefficients[i]);
    }
    sum
}

/// The integer that a sum with [`ROUND`] holds.
#[inline(always)]
pub(super) fn integer(sum: f32) -> i32 {
    bits(sum) - ROUND.to_bits() as i32
}

#[inline(always)]
pub(super) fn bits(x: f32) -> i32 {
    x.to_bits() as i32
}

#[inline(always)]
pub(super) fn from_bits(bits: i32) -> f32 {
    f32::from_bits(bits as u32)
}

/// 2ⁿ for −127 < n < 128; 0 for n = −127.
#[inline(always)]
pub(super) fn power_of_two(n: i32) -> f32 {
    from_bits((n << 23).wrapping_add(ONE))
}

/// x·2ⁿ for |n| ≤ 252, rounded once where it is subnormal.
#[inline(always)]
pub(super) fn scale(x: f32, n: i32) -> f32 {
    let half = n >> 1;
    x * power_of_two(half) * power_of_two(n - half)
}

/// x·2ⁿ for normal x, where the product is normal.
#[inline(always)]
pub(super) fn scale_normal(x: f32, n: i32) -> f32 {
    from_bits(bits(x).wrapping_add(n << 23))
}

/// (n, m) with a positive normal number = m·2ⁿ, m from the number of the bits `low` to its double; some numbers for others.
#[inline(always)]
pub(super) fn split(x: f32, low: i32) -> (i32, f32) {
    let n = bits(x).wrapping_sub(low) >> 23;
    (n, unscale(x, n))
}

/// x·2⁻ⁿ where both are normal, or n = 0.
#[inline(always)]
pub(super) fn unscale(x: f32, n: i32) -> f32 {
    from_bits(bits(x).wrapping_sub(n << 23))
}

/// (s, e) with s + e = a + b exactly, where |a| ≥ |b| or a = 0 (Dekker, 1971).
#[inline(always)]
pub(super) fn ordered_sum(a: f32, b: f32) -> (f32, f32) {
    let sum = a + b;
    (sum, (a - sum) + b)
}

/// a·b − p + c, where p is about a·b and the difference is exact but for its own rounding (Dekker, 1971, where there
/// is no fused multiply-add).
#[inline(always)]
pub(super) fn residual<A: Arithmetic>(a: f32, b: f32, p: f32) -> f32 {
    if A::FUSED {
        return A::mul_add_single(a, b, -p);
    }
    let (a_high, b_high) = (upper_half(a), upper_half(b));
    let (a_low, b_low) = (a - a_high, b - b_high);
    ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low
}

/// a·b + c as (rounded, rest), where |a·b| ≤ |c|/2.
#[inline(always)]
pub(super) fn product_sum<A: Arithmetic>(a: f32, b: f32, c: f32) -> (f32, f32) {
    if A::FUSED {
        let high = A::mul_add_single(a, b, c);
        return (high, A::mul_add_single(a, b, c - high));
    }
    let product = a * b;
    let (high, low) = ordered_sum(c, product);
    (high, low + residual::<A>(a, b, product))
}

/// The first twelve bits of a number.
#[inline(always)]
fn upper_half(x: f32) -> f32 {
    from_bits(bits(x) & !0xfff)
}

/// x with the sign bit of another number flipped in.
#[inline(always)]
pub(super) fn flip_sign(x: f32, sign: i32) -> f32 {
    from_bits(bits(x) ^ (sign & i32::MIN))
}
