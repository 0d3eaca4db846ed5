//! States of virtual lanes in fewer bytes than their dtypes have, while a block is reduced.
//!
//! A lane takes few elements of a block, or of the blocks of a call that have one state. So true elements are counted in
//! lanes as narrow as their masks, and the position of an element is the number of the step that took it; at the end both
//! become what the reduction says. Invariant: these are the same numbers. Must not know: registers, loops.

use smallvec::SmallVec;

use super::instruction::{PADDD, PADDQ, PMOVSXDQ, PSLLVQ, PSUBD, PSUBQ};
use super::loose::BESIDE;
use super::shared::{Positions, shared};
use super::step::{Home, Place, Step, Value};
use super::trace::{Lanes, Tracer, VECTOR};
use crate::backend::cpu::any_order::{definition, keeps_positions};
use crate::backend::cpu::form::{Fold, Program};
use crate::dtype::{DType, Kind, Scalar};
use crate::loops::{Operation, Statement, ValueId};
use crate::ops::BinaryOp;
use crate::ops::reduction::LANES;

/// How a component of a state is kept within a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Own,
    /// As it is, in one vector that all lanes share (`states.rs`).
    Shared,
    /// A sum of bools, as how many were true, in lanes of so many bytes.
    Count {
        /// The bools.
        mask: ValueId,
        /// Bytes.
        width: usize,
    },
    /// The position of an element, as the number of its step, in lanes of so many bytes.
    Step {
        /// Bytes.
        width: usize,
    },
    /// An extremum of floats, with more vectors beside it (`loose.rs`).
    Loose {
        /// Whether it is the largest.
        largest: bool,
    },
}

/// The forms of a state's components.
pub(super) type Forms = SmallVec<[Form; 3]>;

impl Form {
    /// The bytes of its lanes, if they are not those of its dtype.
    pub fn width(self) -> Option<usize> {
        match self {
            Form::Own | Form::Shared | Form::Loose { .. } => None,
            Form::Count { width, .. } | Form::Step { width } => Some(width),
        }
    }

    /// Vectors beside its lanes.
    pub fn beside(self) -> usize {
        match self {
            Form::Loose { .. } => BESIDE,
            Form::Own | Form::Shared | Form::Count { .. } | Form::Step { .. } => 0,
        }
    }
}

/// The forms of a fold's state; `width_of` says how wide a value's lanes are.
pub(super) fn forms(body: &Program, fold: &Fold, width_of: impl Fn(ValueId) -> usize) -> Forms {
    if let Some(mask) = counted(body, fold) {
        return Forms::from_slice(&[Form::Count { mask, width: width_of(mask) }]);
    }
    let number = |init: &Scalar| init.dtype() != DType::Bool;
    let shared = shared(body, fold, Positions::OfLanes).into_iter().zip(&fold.init);
    let form = |(shared, init)| if shared && number(init) { Form::Shared } else { Form::Own };
    let mut forms: Forms = shared.map(form).collect();
    if let Some(append) = fold.append.as_ref().filter(|_| keeps_positions(body, fold)) {
        let others = (0..forms.len()).filter(|&part| part != append.position);
        let width = others.map(|part| width_of(fold.lifted[part])).min().unwrap_or(8);
        forms[append.position] = Form::Step { width };
    }
    forms
}

/// The bools that a fold counts in 64 bits, if it does.
fn counted(body: &Program, fold: &Fold) -> Option<ValueId> {
    let ([init], [lifted]) = (&fold.init[..], &fold.lifted[..]) else { return None };
    let merge = fold.next();
    let adds = match merge.block.statements[..] {
        [Statement::Let(sum, Operation::Binary(BinaryOp::Add, [a, b]))] => {
            merge.results[..] == [sum] && [merge.left[0], merge.right[0]] == [a, b]
        }
        _ => false,
    };
    let long = matches!(init.dtype(), DType::I64 | DType::U64) && *init == Scalar::I64(0).cast(init.dtype());
    match definition(&body.statements, *lifted)? {
        Operation::Cast(_, bools) if adds && long && body.ty(bools).kind() == Kind::Bool => Some(bools),
        _ => None,
    }
}

impl Tracer<'_> {
    /// A state of one of these forms with one more element, a mask.
    pub fn count(&mut self, state: &Lanes, mask: &Lanes) -> Lanes {
        // A true lane is −1.
        self.each([&PSUBD, &PSUBQ], state, mask)
    }

    /// The number of the next step.
    pub fn next_step(&mut self, width: usize, step: Value) -> Value {
        let one = self.splat(width, 1);
        self.compute(if width == 4 { &PADDD } else { &PADDQ }, Some(step), one)
    }

    /// Notes where a block starts, in a place in the frame.
    pub fn keep_block_start(&mut self, slot: i32) {
        let value = self.steps.value(Home::None);
        self.steps.steps.push(Step::Broadcast { result: value, count: super::step::Count::Position });
        let to = Place::Frame(slot);
        self.steps.steps.push(Step::Store { opcode: &super::instruction::STORE, value, mask: None, to });
    }

    /// A component in the form that its dtype has; `start` is where the block's start was noted.
    pub fn in_own_form(&mut self, form: Form, state: &Lanes, start: i32) -> Lanes {
        let wide = match form {
            Form::Own | Form::Shared => return state.clone(),
            Form::Loose { largest } => return self.exact_extremum(largest, state),
            Form::Count { width: 4, .. } | Form::Step { width: 4 } => self.widen(&PMOVSXDQ, &state.parts),
            Form::Count { .. } | Form::Step { .. } => state.parts.clone(),
        };
        let wide = Lanes { dtype: state.dtype, width: 8, parts: wide };
        match form {
            Form::Own | Form::Shared | Form::Count { .. } | Form::Loose { .. } => wide,
            Form::Step { .. } => self.positions(&wide, start),
        }
    }

    /// The positions of the elements that lanes took in these steps.
    fn positions(&mut self, steps: &Lanes, start: i32) -> Lanes {
        let shift = self.splat(8, LANES.ilog2().into());
        let start = self.steps.value(Home::Place(Place::Frame(start)));
        let parts = steps.parts.iter().enumerate().map(|(part, &step)| {
            let first = self.compute(&PSLLVQ, Some(step), shift);
            let lanes = self.numbers(part * VECTOR / 8);
            let within = self.compute(&PADDQ, Some(first), lanes);
            self.compute(&PADDQ, Some(within), start)
        });
        let parts = parts.collect::<Vec<_>>();
        steps.with(parts)
    }

    /// So many and the three numbers that follow.
    pub fn numbers(&mut self, first: usize) -> Value {
        let mut bytes = [0; VECTOR];
        for (lane, bytes) in bytes.chunks_exact_mut(8).enumerate() {
            bytes.copy_from_slice(&((first + lane) as u64).to_le_bytes());
        }
        self.constant_bytes(bytes)
    }
}
