//! Square roots of f32 by multiplications, beside those that keep the divider busy: of four vectors one, so that both work.
//!
//! The significand `m` of `x` is in `[1/2, 2)`, with an even exponent taken out; the root is that of `m`, scaled by half
//! the exponent, which is exact, as no root is subnormal. With `y` near `1/√m`, as `vrsqrt14ps` gives it: `g = RN(m·y)`, `h = y/2`,
//! `e = RN(1/2 − g·h)`, `g' = RN(g + g·e)`, `h' = RN(h + h·e)`, `r = RN(m − g'²)`, `RN(g' + r·h')` (Markstein 1990).
//! That this is `RN(√m)`, bit for bit, for every `m` and every `y` within one part in 2¹⁴ of `1/√m`, which is what the
//! architecture promises, has been tried for all 2.4 · 10¹⁰ pairs (`tests/roots.rs`).
//!
//! Infinity has the significand 1 and an exponent that overflows. 0 has 1 and −∞, which scales to 0; −0 has NaN for a root, which
//! −∞ scales to 0 as well, and then the sign of `x`. Other negative numbers and NaN have NaN, which a finite exponent leaves:
//! ∞ would make ∞ of it, hence the limit. Nothing depends on a test. Must not know: registers.

use super::fused::Fused;
use super::instruction::*;
use super::order::{SQRTPS_CYCLES, can_relieve_divider};
use super::step::{Home, Step, Value};
use super::trace::Tracer;

/// Bytes of a lane.
const SINGLE: usize = 4;

/// Roots among which one is multiplied for.
const SHARE: usize = 4;

/// How many steps one takes.
const STEPS: usize = 15;

const HALF: u64 = 0.5f32.to_bits() as u64;

/// An exponent above all, as a number; its bits are above those of the others, but for negative ones, which are negative.
const OVERFLOW: u64 = 128f32.to_bits() as u64;

const SIGN: u64 = 1 << 31;

/// For `vgetmantps`: from 1/2 to 2, NaN of negative numbers.
const SIGNIFICAND: u8 = 0b1001;

/// The result and the operand of a root of f32.
fn root(step: &Step) -> Option<(Value, Value)> {
    match step {
        Step::Compute { opcode, result, last, .. } if **opcode == SQRTPS => Some((*result, *last)),
        _ => None,
    }
}

impl Tracer<'_> {
    /// Lets one of four roots between one call and the next be multiplied for, where the divider takes the time.
    pub(super) fn multiply_for_roots(&mut self) {
        if !self.level.has_avx512() {
            return;
        }
        let steps = std::mem::take(&mut self.steps.steps);
        for run in steps.split_inclusive(|step| matches!(step, Step::Call { .. })) {
            let count = run.iter().filter_map(root).count() / SHARE;
            if can_relieve_divider(run, count * SQRTPS_CYCLES, count * (STEPS - 1)) {
                self.replace_roots(run, count);
            } else {
                self.steps.steps.extend_from_slice(run);
            }
        }
    }

    /// Replaces the first of each four: its chain is the longest.
    fn replace_roots(&mut self, run: &[Step], count: usize) {
        let mut number: usize = 0;
        for step in run {
            match root(step) {
                Some((result, x)) if number.is_multiple_of(SHARE) && number < count * SHARE => self.root(result, x),
                Some(_) | None => self.steps.steps.push(step.clone()),
            }
            number += usize::from(root(step).is_some());
        }
    }

    fn root(&mut self, result: Value, x: Value) {
        let [half, overflow, sign] = [HALF, OVERFLOW, SIGN].map(|bits| self.splat(SINGLE, bits));
        let significand = self.compute_with(&GETMANTPS, None, x, None, Some(SIGNIFICAND));
        let reciprocal = self.compute(&RSQRT14PS, None, significand);
        let root = self.compute(&MULPS, Some(significand), reciprocal);
        let slope = self.compute(&MULPS, Some(reciprocal), half);
        let error = self.fused_singles(Fused::Remainder, [root, slope, half]);
        let root = self.fused_singles(Fused::Sum, [root, error, root]);
        let slope = self.fused_singles(Fused::Sum, [slope, error, slope]);
        let remainder = self.fused_singles(Fused::Remainder, [root, root, significand]);
        let root = self.fused_singles(Fused::Sum, [remainder, slope, root]);
        // Rounded down when it scales: (exponent + 1) / 2 of odd ones.
        let exponent = self.compute(&GETEXPPS, None, x);
        let exponent = self.fused_singles(Fused::Sum, [exponent, half, half]);
        let exponent = self.compute(&PMINSD, Some(exponent), overflow);
        let scaled = self.compute(&SCALEFPS, Some(root), exponent);
        let sign = self.compute(&AND, Some(x), sign);
        let (first, third, immediate) = (Some(scaled), None, None);
        self.steps.steps.push(Step::Compute { opcode: &OR, result, first, last: sign, third, immediate });
    }

    fn fused_singles(&mut self, form: Fused, operands: [Value; 3]) -> Value {
        let result = self.steps.value(Home::None);
        self.steps.steps.push(Step::MulAdd { form, double: false, result, operands });
        result
    }
}
