//! eˣ, 2ˣ and eˣ − 1 on `f64`.
//!
//! x = n·ln 2 + r with |r| ≤ ln 2 / 2 and the polynomials of eʳ and 2ʳ, whose coefficients come from Sollya's
//! fpminimax (relative errors 3.7e-19 and 9e-18); see Muller, "Elementary Functions", 3rd edition, ch. 11. eˣ itself takes
//! n in sixteenths (after Tang, ACM TOMS 15, 1989): the roots of two are looked up, and half as long a polynomial is left.

use super::pair::ordered_sum;
use super::{ROUNDER, TINY, clamp, polynomial, scale};
use crate::elementary::functions::{Exp, Exp2, Expm1};
use crate::elementary::kernel::{Level, UnaryKernel};
use crate::elementary::piecewise::{self, Piecewise, SIXTEENTHS, Table, Wide};
use crate::elementary::{Arithmetic, Unary};
use core::f64::consts::{LN_2, LOG2_E, SQRT_2};

/// ln 2 in two parts, of which the first has 32 bits: its product with an exponent is exact.
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// (eʳ − 1 − r − r²/2)/r³.
const EXP: [f64; 10] = [
    0.166_666_666_666_666_69,
    0.041_666_666_666_666_66,
    0.008_333_333_333_328_884,
    0.001_388_888_888_889_661,
    0.000_198_412_698_665_784_02,
    2.480_158_728_807_755e-05,
    2.755_726_455_247_128_7e-06,
    2.755_731_457_289_077_4e-07,
    2.510_182_986_053_942_7e-08,
    2.089_969_919_942_507e-09,
];

/// (2ʳ − 1 − r·ln 2)/r² (the logarithm rounded).
const EXP2: [f64; 10] = [
    0.240_226_506_959_100_97,
    0.055_504_108_664_823_22,
    0.009_618_129_107_607_334,
    0.001_333_355_814_608_941,
    0.000_154_035_304_411_722_9,
    1.525_273_410_399_567_8e-05,
    1.321_544_286_354_445e-06,
    1.017_796_066_793_480_7e-07,
    7.072_540_073_845_678e-09,
    4.468_845_487_309_24e-10,
];

/// x = n·ln 2 + start − shift, the last two being r.
#[derive(Clone, Copy)]
pub(super) struct Reduced {
    /// n in the low bits, as [`ROUNDER`] leaves it.
    rounded: f64,
    start: f64,
    shift: f64,
}

impl Reduced {
    /// For |x| < 1500.
    #[inline(always)]
    pub(super) fn new<A: Arithmetic>(x: f64) -> Self {
        let rounded = A::mul_add(x, LOG2_E, ROUNDER);
        let n = rounded - ROUNDER;
        // The first product is exact, and so is the sum.
        Self { rounded, start: A::mul_add(n, -LN2_HIGH, x), shift: n * LN2_LOW }
    }

    /// With a small part added to x.
    #[inline(always)]
    pub(super) fn plus(self, low: f64) -> Self {
        Self { shift: self.shift - low, ..self }
    }

    /// (r rounded, what it has lost).
    #[inline(always)]
    pub(super) fn remainder(self) -> (f64, f64) {
        let r = self.start - self.shift;
        (r, (self.start - r) - self.shift)
    }

    /// 2 to the power offset − n, which must be the exponent of a normal number.
    #[inline(always)]
    pub(super) fn inverse_power(self, offset: i64) -> f64 {
        f64::from_bits(0u64.wrapping_sub(self.rounded.to_bits()).wrapping_add_signed(offset + 1023) << 52)
    }

    /// m·2ⁿ for |x| < 750, rounded once.
    #[inline(always)]
    pub(super) fn scale(self, m: f64) -> f64 {
        scale(m, self.rounded.to_bits())
    }

    /// (m + low)·eˣ, rounded nearly once; low is small.
    #[inline(always)]
    pub(super) fn times_exp<A: Arithmetic>(self, m: f64, low: f64) -> f64 {
        let (a, b) = self.accurate_exp_m1::<A>();
        scale(m + A::mul_add(m, a, A::mul_add(m, b, low)), self.rounded.to_bits())
    }

    /// 2 to the power n + offset, which must be the exponent of a normal number.
    #[inline(always)]
    pub(super) fn power(self, offset: i64) -> f64 {
        f64::from_bits(self.rounded.to_bits().wrapping_add_signed(offset + 1023) << 52)
    }

    /// (a, b) with eʳ = 1 + a + b: the second small and with all the error, about 2⁻⁵⁷.
    #[inline(always)]
    pub(super) fn exp_m1<A: Arithmetic>(self) -> (f64, f64) {
        self.exp_m1_with::<A>(-self.shift)
    }

    /// The same with an error of about 2⁻⁵⁸.
    #[inline(always)]
    pub(super) fn accurate_exp_m1<A: Arithmetic>(self) -> (f64, f64) {
        let (r, lost) = self.remainder();
        // Its share by the derivative of the terms beyond the linear one.
        self.exp_m1_with::<A>(A::mul_add(lost, r, -self.shift))
    }

    /// eˣ, rounded nearly once.
    #[inline(always)]
    pub(super) fn exp<A: Arithmetic>(self) -> f64 {
        let (a, b) = self.exp_m1::<A>();
        let (sum, rest) = ordered_sum(1.0, a);
        self.scale(sum + (rest + b))
    }

    #[inline(always)]
    fn exp_m1_with<A: Arithmetic>(self, correction: f64) -> (f64, f64) {
        let r = self.start - self.shift;
        let square = r * r;
        let cubic = square * r * polynomial::<A, 10>(r, &EXP);
        (self.start, A::mul_add(square, 0.5, cubic + correction))
    }
}

/// As `scale`, where m and the product are normal.
#[inline(always)]
fn scale_normal(m: f64, rounded: f64) -> f64 {
    f64::from_bits(m.to_bits().wrapping_add(rounded.to_bits() << 52))
}

/// (2ʳ, n in the low bits) with x = n + r, for |x| < 1500.
#[inline(always)]
fn exp2_parts<A: Arithmetic>(x: f64) -> (f64, f64) {
    let rounded = x + ROUNDER;
    let r = x - (rounded - ROUNDER);
    let slope = A::mul_add(polynomial::<A, 10>(r, &EXP2), r, LN_2);
    (A::mul_add(slope, r, 1.0), rounded)
}

/// 2^(i/16), and what its rounding has lost.
static ROOTS: Table<f64> = Table::new(&[
    [1.0, 0.0],
    [1.0442737824274138, 8.551889705537965e-17],
    [1.0905077326652577, -3.046782079812471e-17],
    [1.1387886347566916, 8.912812676025408e-17],
    [1.189207115002721, 3.982015231465646e-17],
    [1.241857812073484, 4.658027591836937e-17],
    [1.2968395546510096, 2.5382502794888315e-17],
    [1.3542555469368927, 7.70094837980299e-17],
    [SQRT_2, -9.667293313452913e-17],
    [1.4768261459394993, -3.483994556892796e-17],
    [1.5422108254079407, 7.949834809697621e-17],
    [1.6104903319492543, 2.4707192569797888e-17],
    [1.681792830507429, 8.199010020581497e-17],
    [1.7562521603732995, 2.960140695448873e-17],
    [1.8340080864093424, 3.283107224245627e-17],
    [1.9152065613971474, -1.0619946056195963e-16],
]);

/// (eʳ − 1 − r)/r² for |r| ≤ ln 2 / 32, coefficients rounded one after the other; eʳ is off by 0.053 · 2⁻⁵² at most.
const SHORT: [f64; 5] = [
    0.500_000_000_000_000_6,
    0.166_666_666_644_168_76,
    0.041_666_666_659_770_965,
    0.008_333_471_953_740_706,
    0.001_388_912_660_891_284_1,
];

/// x = k·ln 2 + r with a multiple k of 1/16: eˣ is 2^⌊k⌋ times a root of two times eʳ.
impl Piecewise for Exp {
    #[inline(always)]
    fn on<L: Wide>(x: L) -> L {
        // Zero and infinity lie beyond.
        let x = x.clamp(-746.0, 710.0);
        let rounded = x.mul_add(x.splat(LOG2_E), x.splat(SIXTEENTHS));
        let k = rounded.minus(x.splat(SIXTEENTHS));
        // The first product is exact, and so is the sum.
        let r = k.mul_add(x.splat(-LN2_LOW), k.mul_add(x.splat(-LN2_HIGH), x));
        let square = r.times(r);
        let [c2, c3, c4, c5, c6] = SHORT.map(|coefficient| x.splat(coefficient));
        let sum = c6.mul_add(square, c5.mul_add(r, c4)).mul_add(square, c3.mul_add(r, c2));
        let exp_m1 = sum.mul_add(square, r);
        let [root, lost] = rounded.coefficients(&ROOTS, 0);
        root.plus(exp_m1.mul_add(root, lost)).times_power(rounded)
    }
}

impl Unary<f64> for Exp {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        piecewise::single::<Self, f64, A>(x)
    }

    fn kernel(level: Level) -> UnaryKernel<f64> {
        piecewise::double_kernel::<Self>(level)
    }
}

impl Unary<f64> for Exp2 {
    const HAS_USUAL: bool = true;

    /// Where the result is a normal number.
    #[inline(always)]
    fn is_usual(x: f64) -> bool {
        x.abs().to_bits() < 1021f64.to_bits()
    }

    #[inline(always)]
    fn usual<A: Arithmetic>(x: f64) -> f64 {
        let (power, rounded) = exp2_parts::<A>(x);
        scale_normal(power, rounded)
    }

    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let (power, rounded) = exp2_parts::<A>(clamp(x, -1080.0, 1025.0));
        scale(power, rounded.to_bits())
    }
}

impl Unary<f64> for Expm1 {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let r = Reduced::new::<A>(clamp(x, -40.0, 710.0));
        let (a, b) = r.accurate_exp_m1::<A>();
        let (high, low) = ordered_sum(a, b);
        // Half of everything, because 2¹⁰²⁴ is none.
        let power = r.power(-1);
        let (start, missing) = ordered_sum(power, -0.5);
        let (sum, rest) = ordered_sum(start, power * high);
        let result = 2.0 * (sum + A::mul_add(power, low, rest + missing));
        if x.abs() < TINY { x } else { result }
    }
}
