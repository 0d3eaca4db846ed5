//! Several quotients by one square root, from one reciprocal: divisions keep the divider busy for long, multiplications do
//! not.
//!
//! With `y = RN(1/b)`: `q₀ = RN(a·y)`, `r = RN(a − b·q₀)`, `q = RN(q₀ + r·y)`. This `q` is `RN(a/b)`, bit for bit, if
//! nothing overflows or underflows on the way. Why, with `p` bits, `u = 2⁻ᵖ`, and `a`, `b` in `[1, 2)`, multiples of `2u`
//! (signs and powers of two change nothing; for `b = 1` all is exact, so `b ≤ 2 − 2u` and `|y − 1/b| ≤ u/2`):
//! let `E = a/b − q₀` and `η = b·y − 1`, `|η| ≤ bu/2`. If `r` is exact, `q₀ + r·y = a/b + E·η`; so `q` is wrong only if a
//! midpoint `m` of two neighbors lies between `a/b` (which is none itself: `a` would have more than `p` bits) and that.
//! - `a ≥ b`: neighbors are `2u` apart. `|E| ≤ u + au/2 < 2u`, thus `r`, a multiple of `4u²`, is exact. `a − b·m` is
//!   a multiple of `2u²` and not 0, thus `|a/b − m| ≥ 2u²/b`. From `q₀` midpoints are odd multiples of `u` away, so with `m`
//!   so near `|E| ≤ u + |Eη|`. Then `2u²/b ≤ |Eη| ≤ (u + bu²)·bu/2`, or `4 ≤ b²(1 + bu) < (2 − 2u)²(1 + 2u) < 4`: never.
//! - `a < b`: neighbors are `u` apart. `|E| ≤ u/2 + au/2 < 3u/2`. Where `|E| ≤ u`, `r` is exact and the same argument
//!   holds with half the distances. Else `r` may be off by one part in `2ᵖ`, and `m` is within `3.1u²` of `a/b`, thus `|E|`
//!   within as much of `3u/2`, thus `a ≥ 2 − 6.2u`: there are three such pairs, and their `a/b` is within `5u²` of a
//!   multiple of `u`, which no midpoint is.
//!
//! (Markstein's theorem asks for a `q₀` within one unit in the last place, which needs a second correction.) `r` is computed
//! as `b·q₀ − a`, which is +0 for zeros, and subtracted: so the quotients of zeros keep their sign.
//!
//! A square root is not negative, and so far from the largest number that `y`, `r` and `q` have all their bits if `|a|` is
//! 0 or above a limit. Infinities, NaN, roots that are 0 and overflow make an infinite `q₀` or `y`, and then NaN of `q`. So
//! a vector with a numerator below the limit or a NaN among its quotients is divided after all, out of line. Must not
//! know: registers.

use rustc_hash::{FxHashMap, FxHashSet};

use super::fused::Fused;
use super::instruction::*;
use super::step::{Home, Step, Value};
use super::trace::Tracer;

/// Predicate of `vcmppd`.
const UNORDERED: u8 = 3;

/// What there is for lanes of 8 bytes.
const DOUBLE: usize = 8;

const ONE: u64 = 1f64.to_bits();

/// The bits of 2⁻⁵⁰⁰: no quotient of a larger number by a square root, which is below 2⁵¹², is subnormal, nor is its
/// remainder.
const LIMIT: u64 = (1023 - 500) << 52;

const SIGN: u64 = 1 << 63;

/// Divisions by one divisor.
struct Group {
    divisor: Value,
    /// The position of the first, where all numerators are known.
    first: usize,
    /// Results and numerators.
    quotients: Vec<(Value, Value)>,
}

/// Result, numerator and divisor of a division of f64.
fn division(step: &Step) -> Option<(Value, Value, Value)> {
    match step {
        Step::Compute { opcode, result, first: Some(first), last, .. } if **opcode == DIVPD => {
            Some((*result, *first, *last))
        }
        _ => None,
    }
}

/// The divisions by square roots that can be made at once.
fn groups(steps: &[Step]) -> Vec<Group> {
    let mut defined: FxHashMap<Value, usize> = FxHashMap::default();
    let mut roots: FxHashSet<Value> = FxHashSet::default();
    let mut groups: Vec<Group> = Vec::new();
    let mut known: FxHashMap<Value, usize> = FxHashMap::default();
    for (index, step) in steps.iter().enumerate() {
        defined.extend(step.result().map(|value| (value, index)));
        if let Step::Compute { opcode, result, .. } = step
            && **opcode == SQRTPD
        {
            roots.insert(*result);
        }
        let Some((result, numerator, divisor)) = division(step).filter(|(.., divisor)| roots.contains(divisor)) else {
            continue;
        };
        let number = *known.entry(divisor).or_insert_with(|| {
            groups.push(Group { divisor, first: index, quotients: Vec::new() });
            groups.len() - 1
        });
        if defined.get(&numerator).is_none_or(|&definition| definition < groups[number].first) {
            groups[number].quotients.push((result, numerator));
        }
    }
    groups.retain(|group| group.quotients.len() > 1);
    groups
}

/// Whether the divider would still take most of the time, so that other steps are free.
fn pays(steps: &[Step], groups: &[Group]) -> bool {
    let quotients: usize = groups.iter().map(|group| group.quotients.len()).sum();
    // Six steps for a quotient, six for what they share.
    super::order::is_bound_by_divider(steps, 6 * quotients + 6 * groups.len())
}

impl Tracer<'_> {
    /// Lets the quotients by one square root share its reciprocal between one call and the next, where that is faster; says
    /// whether it is anywhere.
    pub(super) fn share_reciprocals(&mut self) -> bool {
        let steps = std::mem::take(&mut self.steps.steps);
        let mut shared = false;
        for run in steps.split_inclusive(|step| matches!(step, Step::Call { .. })) {
            let groups = groups(run);
            if groups.is_empty() || !pays(run, &groups) {
                self.steps.steps.extend_from_slice(run);
            } else {
                self.replace(run, &groups);
                shared = true;
            }
        }
        shared
    }

    fn replace(&mut self, run: &[Step], groups: &[Group]) {
        let start = self.steps.steps.len();
        let quotients = groups.iter().flat_map(|group| &group.quotients);
        let made: FxHashSet<Value> = quotients.map(|(result, _)| *result).collect();
        let mut groups = groups.iter().peekable();
        for (index, step) in run.iter().enumerate() {
            if let Some(group) = groups.next_if(|group| group.first == index) {
                self.quotients(group);
            } else if step.result().is_none_or(|result| !made.contains(&result)) {
                self.steps.steps.push(step.clone());
            }
        }
        super::order::staggered(&mut self.steps.steps[start..]);
    }

    fn quotients(&mut self, group: &Group) {
        let one = self.splat(DOUBLE, ONE);
        let reciprocal = self.compute(&DIVPD, Some(one), group.divisor);
        let mut tried = Vec::new();
        for &(_, numerator) in &group.quotients {
            let first = self.compute(&MULPD, Some(numerator), reciprocal);
            let excess = self.fused(Fused::Difference, [group.divisor, first, numerator]);
            tried.push(self.fused(Fused::Remainder, [excess, reciprocal, first]));
        }
        let pairs: Vec<[Value; 2]> = tried.chunks(2).map(|pair| [pair[0], pair[pair.len() - 1]]).collect();
        let unordered = pairs.iter().map(|&[a, b]| self.compute_with(&CMPPD, Some(a), b, None, Some(UNORDERED)));
        let unordered: Vec<Value> = unordered.collect();
        // Last, when the registers of the above are free again.
        let too_small = self.too_small(group);
        let failed = unordered.into_iter().fold(too_small, |failed, mask| self.compute(&OR, Some(mask), failed));
        for (&(result, numerator), tried) in group.quotients.iter().zip(tried) {
            let operands = [numerator, group.divisor];
            self.steps.steps.push(Step::Checked { opcode: &DIVPD, result, tried, failed, operands });
        }
    }

    fn fused(&mut self, form: Fused, operands: [Value; 3]) -> Value {
        let result = self.steps.value(Home::None);
        self.steps.steps.push(Step::MulAdd { form, double: true, result, operands });
        result
    }

    /// Negative where a numerator is no larger than the limit, but not 0. Twice its bits are without the sign, one less makes the largest
    /// number of 0, and as much again that of signed order. Smallest of all is what is smallest in the upper half:
    /// the limit is 0 in the lower.
    fn too_small(&mut self, group: &Group) -> Value {
        let [less, limit] = [SIGN - 1, (2 * LIMIT) ^ SIGN].map(|bits| self.splat(DOUBLE, bits));
        let mut smallest = None;
        for &(_, numerator) in &group.quotients {
            let twice = self.compute(&PADDQ, Some(numerator), numerator);
            let order = self.compute(&PADDQ, Some(twice), less);
            smallest = Some(smallest.map_or(order, |smallest| self.compute(&PMINSD, Some(smallest), order)));
        }
        self.compute(&PCMPGTQ, Some(limit), smallest.unwrap_or(limit))
    }
}
