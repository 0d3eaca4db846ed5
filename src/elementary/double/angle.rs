//! Angles less the nearest multiple of π/2, or of π.
//!
//! Up to 2²² the multiple is subtracted in parts, each product exact (Cody and Waite 1980); beyond, the product of the
//! angle's 53 bits with those bits of 2/π that matter is formed in integers (Payne and Hanek 1983; Muller et al.,
//! Handbook of Floating-Point Arithmetic, 11.4). What cancels in either is exact, so the rest is good to 2⁻⁷⁰ of itself.
//!
//! Must not know: the functions of the rest.

use super::ROUNDER;
use super::pair::{ordered_sum, product};
use crate::elementary::Arithmetic;
use core::f64::consts::{FRAC_1_PI, FRAC_2_PI, FRAC_PI_2, PI};

/// A multiple of π/2, of which the lowest two bits matter, and the rest hi + lo, within π/4 (where the multiple is even by
/// choice, π/2) and an ULP of hi.
#[derive(Clone, Copy)]
pub(super) struct Reduced {
    pub quadrant: u64,
    pub hi: f64,
    pub lo: f64,
}

/// Larger angles are `reduce_huge`'s.
pub(super) const HUGE: f64 = 4_194_304.0;

/// π/2 in a part of 53 bits, one of 30 and one of 53.
const FUSED_PARTS: [f64; 3] = [FRAC_PI_2, 6.12323399409214e-17, 1.6446256936324258e-26];

/// π/2 in three parts of 30 bits and one of 53.
const PARTS: [f64; 4] = [1.570796325802803, 9.920935791635221e-10, 5.17018297889025e-19, 2.9038559739793605e-28];

/// 0 ≤ x ≤ `HUGE` less the nearest multiple of π/2.
#[inline(always)]
pub(super) fn reduce<A: Arithmetic>(x: f64) -> Reduced {
    let shifted = A::mul_add(x, FRAC_2_PI, ROUNDER);
    let (hi, lo) = less_multiple::<A>(x, shifted - ROUNDER, 1.0);
    Reduced { quadrant: shifted.to_bits(), hi, lo }
}

/// 0 ≤ x ≤ `HUGE` less the nearest multiple of π, which is `quadrant`: that of two quadrants.
#[inline(always)]
pub(super) fn reduce_to_half_turn<A: Arithmetic>(x: f64) -> Reduced {
    let shifted = A::mul_add(x, FRAC_1_PI, ROUNDER);
    let (hi, lo) = less_multiple::<A>(x, shifted - ROUNDER, 2.0);
    Reduced { quadrant: shifted.to_bits() << 1, hi, lo }
}

/// x − n·period·π/2 as a number and a small rest, for the nearest n and a period of 1 or 2.
#[inline(always)]
fn less_multiple<A: Arithmetic>(x: f64, n: f64, period: f64) -> (f64, f64) {
    if A::FUSED {
        // The first difference is exact, being a multiple of period · 2⁻⁵³ below period; so is the second product. Where
        // that is the larger, the sum is exact, both being short multiples of one unit.
        let parts = FUSED_PARTS.map(|part| period * part);
        let first = A::mul_add(-n, parts[0], x);
        let (hi, rest) = ordered_sum(first, -n * parts[1]);
        return (hi, A::mul_add(-n, parts[2], rest));
    }
    let parts = PARTS.map(|part| period * part);
    let first = x - n * parts[0];
    let (second, rest) = ordered_sum(first, -n * parts[1]);
    let (hi, last) = ordered_sum(second, -n * parts[2]);
    (hi, (rest + last) - n * parts[3])
}

/// What π lacks.
pub(super) const PI_LOW: f64 = 1.2246467991473532e-16;

/// The angle πx less the nearest multiple of π/2, for |x| < 2⁵².
#[inline(always)]
pub(super) fn reduce_half_turns<A: Arithmetic>(x: f64) -> Reduced {
    let whole_turns = (0.5 * x + ROUNDER) - ROUNDER;
    let x = x - 2.0 * whole_turns;
    let shifted = 2.0 * x + ROUNDER;
    let rest = x - 0.5 * (shifted - ROUNDER);
    let (hi, lo) = product::<A>(rest, PI);
    Reduced { quadrant: shifted.to_bits(), hi, lo: A::mul_add(rest, PI_LOW, lo) }
}

/// The bits of 2/π after 64 zeros.
const TWO_OVER_PI: [u64; 21] = [
    0x0000000000000000,
    0xa2f9836e4e441529,
    0xfc2757d1f534ddc0,
    0xdb6295993c439041,
    0xfe5163abdebbc561,
    0xb7246e3a424dd2e0,
    0x06492eea09d1921c,
    0xfe1deb1cb129a73e,
    0xe88235f52ebb4484,
    0xe99c7026b45f7e41,
    0x3991d639835339f4,
    0x9c845f8bbdf9283b,
    0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f,
    0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea,
    0x6bfb5fb11f8d5d08,
    0x56033046fc7b6bab,
    0xf0cfbc209af4361d,
];

/// 2⁻¹⁹⁰ and the low part of π/2.
const UNIT: f64 = f64::from_bits((1023 - 190) << 52);
const HALF_PI_LO: f64 = 6.123233995736766e-17;

/// A finite x ≥ 1 less the nearest multiple of π/2.
#[inline(always)]
pub(super) fn reduce_huge<A: Arithmetic>(x: f64) -> Reduced {
    let exponent = (x.to_bits() >> 52) as usize;
    let mantissa = x.to_bits() & ((1 << 52) - 1) | 1 << 52;
    // Bits of 2/π above this one only make multiples of 4; one word is zeros.
    let bits = times(mantissa, window(exponent + 64 - 1023 - 52 - 2));
    let whole = bits[0] >> 62;
    let above_half = bits[0] >> 61 & 1;
    let fraction = [bits[0] << 2 >> 2, bits[1], bits[2]];
    let (magnitude, sign) = if above_half == 1 { (complement(fraction), -1.0) } else { (fraction, 1.0) };
    let (hi, lo) = parts(magnitude);
    let (size, rest) = product::<A>(hi, FRAC_PI_2);
    let rest = rest + (hi * HALF_PI_LO + lo * FRAC_PI_2);
    Reduced { quadrant: whole + above_half, hi: sign * size, lo: sign * rest }
}

/// 192 bits of 2/π, from a bit of the table on.
fn window(start: usize) -> [u64; 3] {
    let (word, shift) = (start / 64, start % 64);
    std::array::from_fn(|k| {
        let pair = u128::from(TWO_OVER_PI[word + k]) << 64 | u128::from(TWO_OVER_PI[word + k + 1]);
        (pair << shift >> 64) as u64
    })
}

/// A product modulo 2¹⁹², the highest word first.
fn times(a: u64, b: [u64; 3]) -> [u64; 3] {
    let low = u128::from(a) * u128::from(b[2]);
    let middle = u128::from(a) * u128::from(b[1]) + (low >> 64);
    let high = u128::from(a) * u128::from(b[0]) + (middle >> 64);
    [high as u64, middle as u64, low as u64]
}

/// 2¹⁹⁰ less a number of 190 bits.
fn complement(a: [u64; 3]) -> [u64; 3] {
    let low = u128::from(a[1]) << 64 | u128::from(a[2]);
    let (low, borrow) = 0u128.overflowing_sub(low);
    [(1u64 << 62) - a[0] - u64::from(borrow), (low >> 64) as u64, low as u64]
}

/// The leading 106 bits of a number in units of 2⁻¹⁹⁰, as a sum of two numbers.
#[inline(always)]
fn parts(a: [u64; 3]) -> (f64, f64) {
    let words = if a[0] == 0 { [a[1], a[2], 0] } else { a };
    let zeros = words[0].leading_zeros();
    let pair = u128::from(words[0]) << 64 | u128::from(words[1]);
    let leading = if zeros == 0 { pair } else { pair << zeros | u128::from(words[2] >> (64 - zeros)) };
    let skipped = zeros + if a[0] == 0 { 64 } else { 0 };
    let scale = UNIT * f64::from_bits(u64::from(1023 + 64 - skipped) << 52);
    let (hi, lo) = (leading >> 75, leading << 53 >> 75);
    (hi as f64 * scale * f64::from_bits((1023 + 75) << 52), lo as f64 * scale * f64::from_bits((1023 + 22) << 52))
}
