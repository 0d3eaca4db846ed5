//! The order of straight-line code that waits for the divider.
//!
//! Vectors that go side by side through a loop come as one instruction for each, then the next. Where divisions and roots take
//! the time, each vector's instructions stand together instead: while one vector is divided, the processor
//! has other vectors' whole chains before it, and fewer registers are in use. Must not know: what is computed.

use rustc_hash::FxHashMap;

use super::instruction::{DIVPD, DIVPS, SQRTPD, SQRTPS};
use super::step::{Step, Value};

/// Orders steps between which nothing is loaded, stored or called, if it is the divider that takes their time.
pub(super) fn for_divider(steps: &mut [Step]) {
    if is_bound_by_divider(steps) {
        steps.chunk_by_mut(|a, b| is_pure(a) && is_pure(b)).for_each(one_by_one);
    }
}

/// By the cycles that the divider takes for a vector (of Zen 4, where they are few), and half a cycle for each other step.
fn is_bound_by_divider(steps: &[Step]) -> bool {
    let times = [(&DIVPS, 3), (&DIVPD, 5), (&SQRTPS, 5), (&SQRTPD, 9)];
    let cycles = |step: &Step| match step {
        Step::Compute { opcode, .. } => times.iter().find(|(slow, _)| **slow == **opcode).map_or(0, |(_, time)| *time),
        Step::MulAdd { .. } | Step::Load { .. } | Step::Store { .. } | Step::Call { .. } => 0,
        Step::Broadcast { .. } | Step::TailMask { .. } | Step::CopyIn { .. } | Step::CopyOut { .. } => 0,
    };
    steps.len() < 2 * steps.iter().map(cycles).sum::<usize>()
}

/// Whether a step only computes a vector from others.
fn is_pure(step: &Step) -> bool {
    match step {
        Step::Compute { .. } | Step::MulAdd { .. } => true,
        Step::Load { .. } | Step::Store { .. } | Step::Call { .. } | Step::Broadcast { .. } => false,
        Step::TailMask { .. } | Step::CopyIn { .. } | Step::CopyOut { .. } => false,
    }
}

/// What has nothing to do with each other, one after the other.
fn one_by_one(steps: &mut [Step]) {
    let mut defined: FxHashMap<Value, usize> = FxHashMap::default();
    // The first step of all that each has to do with.
    let mut parts: Vec<usize> = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        let mut joined = Vec::new();
        step.reads(|value| joined.extend(defined.get(&value).map(|&definition| parts[definition])));
        let part = joined.iter().copied().fold(index, usize::min);
        joined.retain(|&other| other != part);
        if !joined.is_empty() {
            parts.iter_mut().filter(|other| joined.contains(other)).for_each(|other| *other = part);
        }
        parts.push(part);
        defined.extend(step.result().map(|value| (value, index)));
    }
    let mut ordered: Vec<(usize, Step)> = parts.into_iter().zip(steps.iter().cloned()).collect();
    ordered.sort_by_key(|(part, _)| *part);
    steps.iter_mut().zip(ordered).for_each(|(step, (_, ordered))| *step = ordered);
}
