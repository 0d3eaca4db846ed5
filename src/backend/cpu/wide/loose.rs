//! The largest or the smallest of floats within a block: one instruction for each vector, and what that gets wrong beside it.
//!
//! The instruction forgets NaN and takes the sign of a zero from either side. So the state of a fold has two more vectors: the
//! signs of all elements, and whether two of them cannot be compared. At the end a lane's extremum gets its sign back where it
//! is a zero, and becomes NaN where there was one. Invariant: these are the bits of `extremum`, but for a NaN's. Must not
//! know: registers, loops.

use super::ops::{ADD, BITWISE_AND, BITWISE_OR, MAX, MIN, Pair, UNORDERED};
use super::trace::{Lanes, Parts, Tracer};
use crate::backend::cpu::form::Fold;
use crate::dtype::Scalar;
use crate::loops::{Operation, Statement};
use crate::ops::BinaryOp;

/// Vectors of a state that are no lanes: signs, and what cannot be compared.
pub(super) const BESIDE: usize = 2;

/// Whether a fold takes the largest of floats, or the smallest, and nothing else.
pub(super) fn largest_of(fold: &Fold) -> Option<bool> {
    let ([init], merge) = (&fold.init[..], fold.next()) else { return None };
    let [Statement::Let(result, Operation::Binary(op, operands))] = merge.block.statements[..] else { return None };
    let largest = match op {
        BinaryOp::Maximum => true,
        BinaryOp::Minimum => false,
        _ => return None,
    };
    let worst = Scalar::F64(if largest { f64::NEG_INFINITY } else { f64::INFINITY }).cast(init.dtype());
    let plain = merge.results[..] == [result] && operands == [merge.left[0], merge.right[0]];
    (plain && init.dtype().is_float() && *init == worst).then_some(largest)
}

/// What makes the signs of several elements one.
fn sign_of_all(largest: bool) -> Pair {
    if largest { BITWISE_AND } else { BITWISE_OR }
}

impl Tracer<'_> {
    /// The state of no elements, of which these are the lanes.
    pub fn loose_start(&mut self, largest: bool, lanes: &Lanes) -> Lanes {
        let signs = self.splat(8, if largest { u64::MAX } else { 0 });
        let nan = self.splat(8, 0);
        lanes.with(lanes.parts.iter().copied().chain([signs, nan]))
    }

    /// A state with one more element for each lane.
    pub fn take_loosely(&mut self, largest: bool, state: &Lanes, elements: &Lanes) -> Lanes {
        let (lanes, beside) = parted(state);
        let lanes = self.each(if largest { MAX } else { MIN }, &lanes, elements);
        let signs = self.all_in_one(sign_of_all(largest), elements);
        let signs = self.each(sign_of_all(largest), &beside.with([beside.parts[0]]), &signs);
        let half = elements.parts.len() / 2;
        let [one, other] =
            [&elements.parts[..half], &elements.parts[half..]].map(|parts| elements.with(parts.to_vec()));
        let nan = self.compare(UNORDERED, &one, &other);
        let nan = self.all_in_one(BITWISE_OR, &nan);
        let nan = self.each(BITWISE_OR, &beside.with([beside.parts[1]]), &nan);
        lanes.with(lanes.parts.iter().chain(&signs.parts).chain(&nan.parts).copied())
    }

    /// One vector of what the lanes of a state hold, exactly.
    pub fn exact_extremum(&mut self, largest: bool, state: &Lanes) -> Lanes {
        let (lanes, beside) = parted(state);
        let mut lanes = self.all_in_one(if largest { MAX } else { MIN }, &lanes);
        if largest {
            // A zero is +0 until all signs say −0; the smallest is −0 only where there is one.
            let zero = self.like(&lanes, 0);
            lanes = self.each(ADD, &lanes, &zero);
        }
        let negative = self.like(&lanes, 1 << (lanes.width * 8 - 1));
        let signs = self.each(BITWISE_AND, &beside.with([beside.parts[0]]), &negative);
        let signed = self.each(BITWISE_OR, &lanes, &signs);
        self.each(BITWISE_OR, &signed, &beside.with([beside.parts[1]]))
    }

    /// All vectors as one, by halves.
    fn all_in_one(&mut self, pair: Pair, lanes: &Lanes) -> Lanes {
        let mut parts: Parts = lanes.parts.clone();
        while parts.len() > 1 {
            let next = parts.chunks(2).map(|two| match two {
                [a, b] => self.each(pair, &lanes.with([*a]), &lanes.with([*b])).parts[0],
                rest => rest[0],
            });
            parts = next.collect();
        }
        lanes.with(parts)
    }
}

/// The lanes of a state and what stands beside them.
fn parted(state: &Lanes) -> (Lanes, Lanes) {
    let (lanes, beside) = state.parts.split_at(state.parts.len() - BESIDE);
    (state.with(lanes.iter().copied()), state.with(beside.iter().copied()))
}
