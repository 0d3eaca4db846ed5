//! What the measurements need to know of `f32` and `f64`.

use kroton::Element;
use rug::Float;

/// Bits of the reference values: two words, many more than the errors of any function need.
pub const PRECISION: u32 = 128;

/// A type of float.
pub trait Number: Element {
    /// Bits of the significand.
    const DIGITS: i32;
    /// The least positive number is two to this power.
    const LEAST: i32;
    /// Numbers are less than two to this power.
    const LIMIT: i32;
    /// Bits of the type.
    const WIDTH: u32;

    fn from_bits64(bits: u64) -> Self;
    fn bits64(self) -> u64;
    fn wide(self) -> f64;
    fn from_wide(x: f64) -> Self;

    /// Whether two results are the same; NaN is one result.
    fn same(self, other: Self) -> bool {
        self.bits64() == other.bits64() || (self.wide().is_nan() && other.wide().is_nan())
    }

    fn exact(self) -> Float {
        Float::with_val(PRECISION, self.wide())
    }
}

impl Number for f64 {
    const DIGITS: i32 = 53;
    const LEAST: i32 = -1074;
    const LIMIT: i32 = 1024;
    const WIDTH: u32 = 64;

    fn from_bits64(bits: u64) -> Self {
        Self::from_bits(bits)
    }
    fn bits64(self) -> u64 {
        self.to_bits()
    }
    fn wide(self) -> f64 {
        self
    }
    fn from_wide(x: f64) -> Self {
        x
    }
}

impl Number for f32 {
    const DIGITS: i32 = 24;
    const LEAST: i32 = -149;
    const LIMIT: i32 = 128;
    const WIDTH: u32 = 32;

    fn from_bits64(bits: u64) -> Self {
        Self::from_bits(bits as u32)
    }
    fn bits64(self) -> u64 {
        self.to_bits().into()
    }
    fn wide(self) -> f64 {
        self.into()
    }
    fn from_wide(x: f64) -> Self {
        x as f32
    }
}

/// What an error is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// ULPs of the exact result.
    Result,
    /// ULPs of max(|result|, 1) for arguments below zero and near the roots, where the result is below 1/4.
    AtLeastOne,
}

/// The exponent of an ULP of a result; the least number's below the normal ones.
fn ulp_exponent<T: Number>(argument: f64, exact: &Float, scale: Scale) -> i32 {
    let mut exponent = exact.get_exp().unwrap_or(i32::MIN / 2);
    if scale == Scale::AtLeastOne && (argument <= 0.0 || exponent < -1) {
        exponent = exponent.max(1);
    }
    (exponent - T::DIGITS).max(T::LEAST)
}

/// The error of a result in ULPs; infinite where it is not even of the right kind.
pub fn ulps<T: Number>(argument: f64, computed: T, exact: &Float, scale: Scale) -> f64 {
    let value = computed.wide();
    if exact.is_nan() || value.is_nan() {
        return if exact.is_nan() && value.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if exact.is_infinite() {
        return if value == exact.to_f64() { 0.0 } else { f64::INFINITY };
    }
    // A zero must have the right sign; a root may be missed where errors are absolute.
    let exact_zero = exact.is_zero() && scale == Scale::Result;
    if exact_zero || value == 0.0 && scale == Scale::Result {
        let same = value.is_sign_negative() == exact.is_sign_negative();
        if !same || exact_zero {
            return if same && value == 0.0 { 0.0 } else { f64::INFINITY };
        }
    }
    let power = |exponent: i32| Float::with_val(PRECISION, 1) << exponent;
    let mut nearest = Float::with_val(PRECISION, value);
    if value.is_infinite() {
        let largest = power(T::LIMIT) - power(T::LIMIT - T::DIGITS - 1);
        if *exact.as_abs() >= largest && value.is_sign_negative() == exact.is_sign_negative() {
            return 0.0;
        }
        nearest = power(T::LIMIT).copysign(&nearest);
    }
    let error: Float = (nearest - exact).abs() >> ulp_exponent::<T>(argument, exact, scale);
    error.to_f64()
}
