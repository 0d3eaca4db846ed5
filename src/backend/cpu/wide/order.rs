//! The order of straight-line code that waits for the divider.
//!
//! Vectors that go side by side through a loop come as one instruction for each, then the next. Where divisions and roots take
//! the time, each vector's instructions stand together instead: while one vector is divided, the processor
//! has other vectors' whole chains before it, and fewer registers are in use. Must not know: what is computed.

use rustc_hash::{FxHashMap, FxHashSet};

use super::instruction::{DIVPD, DIVPS, SQRTPD, SQRTPS};
use super::step::{Step, Value};

/// What the divider takes for a vector of square roots of f32.
pub(super) const SQRTPS_CYCLES: usize = 5;

/// Orders steps between which nothing is loaded, stored or called, if it is the divider that takes their time.
pub(super) fn for_divider(steps: &mut [Step]) {
    if is_bound_by_divider(steps, 0) {
        steps.chunk_by_mut(|a, b| is_pure(a) && is_pure(b)).for_each(one_by_one);
    }
}

/// Orders steps that share reciprocals, between which nothing is loaded, stored or called: what waits for a vector's divisions
/// comes when the next vector has begun, so that it does not fill the processor's queues before it is ready.
pub(super) fn staggered(steps: &mut [Step]) {
    steps.chunk_by_mut(|a, b| is_pure(a) && is_pure(b)).for_each(|steps| {
        let (parts, waits) = (parts(steps), waiting(steps));
        let mut numbers: Vec<usize> = parts.clone();
        numbers.sort_unstable();
        numbers.dedup();
        let number = |part: usize| numbers.partition_point(|&other| other < part);
        sort_by(steps, |index| (number(parts[index]) + usize::from(waits[index]), waits[index]));
    });
}

/// Whether each step is a division or depends on one.
fn waiting(steps: &[Step]) -> Vec<bool> {
    let mut late: FxHashSet<Value> = FxHashSet::default();
    let is_late = |step: &Step| {
        let mut waits = matches!(step, Step::Compute { opcode, .. } if [&DIVPS, &DIVPD].contains(opcode));
        step.reads(|value| waits |= late.contains(&value));
        late.extend(step.result().filter(|_| waits));
        waits
    };
    steps.iter().map(is_late).collect()
}

fn sort_by<K: Ord>(steps: &mut [Step], key: impl Fn(usize) -> K) {
    let mut ordered: Vec<(K, Step)> =
        steps.iter().enumerate().map(|(index, step)| (key(index), step.clone())).collect();
    ordered.sort_by(|(a, _), (b, _)| a.cmp(b));
    steps.iter_mut().zip(ordered).for_each(|(step, (_, ordered))| *step = ordered);
}

/// Whether the divider takes longer than the steps do, by half a cycle for each, and for so many more.
pub(super) fn is_bound_by_divider(steps: &[Step], more: usize) -> bool {
    steps.len() + more < 2 * divider_cycles(steps)
}

/// Whether the divider would still take the time if it had so many cycles less to work, for so many more steps: by three eighths
/// of a cycle for each that computes.
pub(super) fn can_relieve_divider(steps: &[Step], less: usize, more: usize) -> bool {
    let computing = steps.iter().filter(|step| is_pure(step)).count();
    3 * (computing + more) < 8 * divider_cycles(steps).saturating_sub(less)
}

/// The cycles that the divider takes (of Zen 4, where they are few).
fn divider_cycles(steps: &[Step]) -> usize {
    let times = [(&DIVPS, 3), (&DIVPD, 5), (&SQRTPS, SQRTPS_CYCLES), (&SQRTPD, 9)];
    let cycles = |step: &Step| match step {
        Step::Compute { opcode, .. } => times.iter().find(|(slow, _)| **slow == **opcode).map_or(0, |(_, time)| *time),
        Step::MulAdd { .. } | Step::Checked { .. } => 0,
        Step::Load { .. } | Step::Store { .. } | Step::Ask { .. } | Step::Call { .. } => 0,
        Step::Broadcast { .. } | Step::TailMask { .. } | Step::CopyIn { .. } | Step::CopyOut { .. } => 0,
    };
    steps.iter().map(cycles).sum()
}

/// Whether a step only computes a vector from others.
fn is_pure(step: &Step) -> bool {
    match step {
        Step::Compute { .. } | Step::MulAdd { .. } | Step::Checked { .. } => true,
        Step::Load { .. } | Step::Store { .. } | Step::Call { .. } | Step::Broadcast { .. } => false,
        Step::Ask { .. } | Step::TailMask { .. } | Step::CopyIn { .. } | Step::CopyOut { .. } => false,
    }
}

/// What has nothing to do with each other, one after the other.
fn one_by_one(steps: &mut [Step]) {
    let parts = parts(steps);
    sort_by(steps, |index| parts[index]);
}

/// For each step the first of those that it has to do with.
fn parts(steps: &[Step]) -> Vec<usize> {
    let mut defined: FxHashMap<Value, usize> = FxHashMap::default();
    // An earlier step that each has to do with; itself if it is the first of its part.
    let mut earlier: Vec<usize> = (0..steps.len()).collect();
    for (index, step) in steps.iter().enumerate() {
        step.reads(|value| {
            if let Some(&definition) = defined.get(&value) {
                let [a, b] = [definition, index].map(|step| first_of_part(&mut earlier, step));
                earlier[a.max(b)] = a.min(b);
            }
        });
        defined.extend(step.result().map(|value| (value, index)));
    }
    (0..steps.len()).map(|step| first_of_part(&mut earlier, step)).collect()
}

/// The first step of the part that a step is in; halves the way there.
fn first_of_part(earlier: &mut [usize], mut step: usize) -> usize {
    while earlier[step] != step {
        earlier[step] = earlier[earlier[step]];
        step = earlier[step];
    }
    step
}

#[cfg(test)]
mod tests {
    use super::super::instruction::{ADDPD, Opcode};
    use super::*;

    fn compute(opcode: &'static Opcode, result: u32, last: u32) -> Step {
        Step::Compute { opcode, result: Value(result), first: None, last: Value(last), third: None, immediate: None }
    }

    fn results(steps: &[Step]) -> Vec<u32> {
        steps.iter().filter_map(|step| step.result().map(|value| value.0)).collect()
    }

    /// Three steps of two vectors, side by side; what they start with was known before.
    fn side_by_side(slow: &'static Opcode) -> Vec<Step> {
        let rows = [[0, 1], [10, 11], [20, 21]].windows(2);
        let rows = rows.flat_map(|rows| [0, 1].map(|lane| compute(slow, rows[1][lane], rows[0][lane])));
        rows.chain([30, 31].map(|result| compute(&ADDPD, result, result - 10))).collect()
    }

    #[test]
    fn vectors_follow_each_other_where_the_divider_takes_the_time() {
        let mut steps = side_by_side(&DIVPD);
        for_divider(&mut steps);
        assert_eq!(results(&steps), [10, 20, 30, 11, 21, 31]);
    }

    #[test]
    fn vectors_stay_side_by_side_elsewhere() {
        let mut steps = side_by_side(&ADDPD);
        for_divider(&mut steps);
        assert_eq!(results(&steps), [10, 11, 20, 21, 30, 31]);
    }

    /// A vector's root comes before what waits for the division of the one before.
    #[test]
    fn divisions_come_after_the_next_vector_has_begun() {
        let mut steps = side_by_side(&SQRTPD);
        steps.extend([40, 41].map(|result| compute(&DIVPD, result, result - 10)));
        steps.extend([50, 51].map(|result| compute(&ADDPD, result, result - 10)));
        staggered(&mut steps);
        assert_eq!(results(&steps), [10, 20, 30, 11, 21, 31, 40, 50, 41, 51]);
    }

    /// Two vectors that meet are one part, which keeps its order.
    #[test]
    fn what_meets_keeps_its_order() {
        let mut steps = side_by_side(&DIVPD);
        let [a, b] = [Value(30), Value(31)];
        steps.push(Step::Compute {
            opcode: &DIVPD,
            result: Value(40),
            first: Some(a),
            last: b,
            third: None,
            immediate: None,
        });
        for_divider(&mut steps);
        assert_eq!(results(&steps), [10, 11, 20, 21, 30, 31, 40]);
    }
}
