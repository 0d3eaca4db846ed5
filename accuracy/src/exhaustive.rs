//! All 2³² arguments of a function on `f32`.
//!
//! MPFR would take hours for each function, so the function's own kernel on `f64` goes in front of it. That kernel is
//! within a few ULPs of `f64` (which is measured apart, and here again on one argument of each batch, in all binades),
//! 2²⁹ of which are one ULP of `f32`. So its value tells the error of the value on `f32` to less than [`SLACK`], and only
//! where this error may be greater than the greatest that is known, or where the two results are of different kinds,
//! MPFR decides. The greatest error is therefore MPFR's, and no argument has a greater one.

use crate::compiled::Level;
use crate::findings::Findings;
use crate::measure::{Subject, on_all_threads};
use crate::number::{self, Scale};
use crate::samples::Random;
use kroton::DType;
use rug::Float;
use std::sync::atomic::{AtomicU64, Ordering};

/// Arguments of a batch.
const BATCH: u64 = 1 << 14;

/// How many batches apart those are whose bits are compared with the definition, one element at a time.
const DEFINED: u64 = 256;

/// More than the error of the value on `f64`, in ULPs of `f32`: at most 5 · 2⁻²⁹, and of the estimate itself.
const SLACK: f64 = 1.0 / (1 << 20) as f64;

/// The greatest errors that any thread knows, as bits, which order numbers above zero as their values.
struct Known([AtomicU64; 2]);

impl Known {
    fn include(&self, findings: &Findings) -> [f64; 2] {
        let greatest = |i: usize| {
            let bits = findings.worst[i].error.to_bits();
            f64::from_bits(self.0[i].fetch_max(bits, Ordering::Relaxed).max(bits))
        };
        [greatest(0), greatest(1)]
    }
}

impl Subject<'_> {
    /// The errors on all numbers of `f32`, of a function of one argument.
    ///
    /// # Errors
    /// As `measure`, and what compiling on `f64` gives.
    pub fn exhaust(&self, count: u64) -> Result<Findings, String> {
        let levels = Level::all(self.function.op, DType::F64).map_err(|error| error.to_string())?;
        let wide = levels.last().ok_or("no level on f64")?;
        // Starts with an error that most others are below.
        let mut findings = self.measure::<f32>(count)?;
        let known = Known(findings.worst.map(|worst| AtomicU64::new(worst.error.to_bits())));
        findings.count = 0;
        findings.merge(on_all_threads(0..(1 << 32) / BATCH, |batch, findings| {
            self.part(batch, wide, &known, findings);
        }));
        Ok(findings)
    }

    fn part(&self, batch: u64, wide: &Level, known: &Known, findings: &mut Findings) {
        let a: Vec<f32> = (batch * BATCH..(batch + 1) * BATCH).map(|bits| f32::from_bits(bits as u32)).collect();
        let forms = self.run([&a, &a], findings);
        if batch.is_multiple_of(DEFINED) {
            self.check_bits([&a, &a], &forms, findings);
        } else if let (Some(level), Some(expected)) = (self.levels.last(), &forms[1]) {
            self.check_beside_nan(level, [&a, &a], expected, findings);
        }
        let doubles: Vec<f64> = a.iter().map(|&x| x.into()).collect();
        let reference = wide.values(&doubles, &doubles);
        let value = |i: usize| forms.each_ref().map(|values| values.as_ref().map(|values| values[i]));
        let mut greatest = known.include(findings);
        for (i, &a) in a.iter().enumerate() {
            let scale = self.function.scale;
            let is_known = |(value, greatest): (Option<f32>, f64)| {
                value.is_none_or(|value| is_less(a, value, reference[i], scale, greatest))
            };
            if !value(i).into_iter().zip(greatest).all(is_known) {
                self.errors([a, a], value(i), findings);
                greatest = known.include(findings);
            }
        }
        let sample = (Random(batch).bits() % BATCH) as usize;
        let exact = self.errors([a[sample], a[sample]], value(sample), findings);
        self.check_reference(doubles[sample], reference[sample], &exact, wide, findings);
        findings.count += BATCH;
    }

    /// What the method rests on: the value on `f64` is within the bound of the table.
    fn check_reference(&self, argument: f64, value: f64, exact: &Float, wide: &Level, findings: &mut Findings) {
        let row = self.function.op.row();
        let bound = if wide.is_fused { row.ulp_bound(DType::F64) } else { row.baseline_bound(DType::F64) };
        let error = number::ulps(argument, value, exact, self.function.scale);
        if error > f64::from(bound) {
            findings.differences.push(format!("on f64 the error at {argument:?} is {error}"));
        }
    }
}

/// Whether the error of a value on `f32` is surely not greater than the greatest known one; `reference` is the value on
/// `f64`.
#[inline(always)]
fn is_less(argument: f32, value: f32, reference: f64, scale: Scale, greatest: f64) -> bool {
    // Both signs of zero count, and a comparison with NaN is false.
    let same_sign = value.is_sign_negative() == reference.is_sign_negative();
    let error = (f64::from(value) - reference).abs() * per_ulp(argument, reference.abs(), scale);
    (same_sign && error + SLACK <= greatest) || is_same_special(value, reference, same_sign)
}

/// One over an ULP of `f32` of a result of this size, or of the ULP below where two are possible.
#[inline(always)]
fn per_ulp(argument: f32, size: f64, scale: Scale) -> f64 {
    const BIAS: i64 = 1023;
    // The exact result may lie on the other side of a power of two.
    let below = (size * (1.0 - f64::EPSILON * 16.0)).to_bits() as i64 >> 52;
    let from_one = scale == Scale::AtLeastOne && (argument <= 0.0 || size * (1.0 + f64::EPSILON * 16.0) < 0.25);
    let exponent = if from_one { below.max(BIAS) } else { below };
    let ulp = (exponent - 23).max(BIAS - 149);
    f64::from_bits(((2 * BIAS - ulp) as u64) << 52)
}

/// Whether both are NaN, or both beyond the range of `f32` on one side.
fn is_same_special(value: f32, reference: f64, same_sign: bool) -> bool {
    let both_nan = value.is_nan() && reference.is_nan();
    both_nan || (value.is_infinite() && reference.abs() >= 2f64.powi(128) && same_sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the error of a value is taken to be below a number of ULPs.
    fn below(value: f32, reference: f64, ulps: f64) -> bool {
        is_less(1.0, value, reference, Scale::Result, ulps)
    }

    #[test]
    fn errors_are_told_from_the_value_on_f64() {
        let ulp = f64::from(f32::EPSILON);
        assert!(below(1.0, 1.0 + 0.7 * ulp, 0.71) && !below(1.0, 1.0 + 0.7 * ulp, 0.69));
        // Where the ULP changes the smaller one counts, unless the exact result is surely above.
        assert!(!below(1.0, 1.0 - 0.4 * ulp, 0.71) && below(1.0, 1.0 - 0.4 * ulp, 0.81));
        assert!(!below(1.0 + f32::EPSILON, 1.0, 1.01) && below(1.0 + f32::EPSILON, 1.0 + 0.2 * ulp, 0.81));
        // Below the normal numbers an ULP is the least number.
        let least = 2f64.powi(-149);
        assert!(below(0.0, 0.4 * least, 0.41) && !below(0.0, 0.4 * least, 0.39) && !below(0.0, -0.4 * least, 0.9));
        assert!(below(0.0, 0.0, 0.01) && !below(-0.0, 0.0, 0.9) && below(0.0, 1e-320, 0.01));
    }

    #[test]
    fn results_of_another_kind_are_left_to_the_reference() {
        let large = 2f64.powi(128);
        assert!(below(f32::INFINITY, large, 0.5) && below(f32::INFINITY, f64::INFINITY, 0.5));
        assert!(!below(f32::INFINITY, large * (1.0 - 1e-9), 0.9) && !below(f32::INFINITY, -large, 0.9));
        assert!(!below(f32::MAX, large * 2.0, 0.9) && !below(f32::NAN, 1.0, 0.9) && !below(1.0, f64::NAN, 0.9));
        assert!(below(f32::NAN, -f64::NAN, 0.5));
    }

    #[test]
    fn results_near_roots_are_counted_from_one() {
        let ulp = f64::from(f32::EPSILON);
        let gamma =
            |argument, value: f32, reference, ulps| is_less(argument, value, reference, Scale::AtLeastOne, ulps);
        assert!(gamma(2.0, 0.125, 0.125 + 0.4 * ulp, 0.41) && !gamma(2.0, 0.125, 0.125 + 0.4 * ulp, 0.39));
        assert!(gamma(-2.5, 0.5, 0.5 + 0.4 * ulp, 0.41) && !gamma(2.0, 0.5, 0.5 + 0.4 * ulp, 0.79));
    }
}
