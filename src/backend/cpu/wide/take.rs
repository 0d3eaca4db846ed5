//! How virtual lanes take a group of elements: in the form in which each is kept.
//!
//! Must not know: registers, loops.

use super::merge::merge;
use super::narrow::Form;
use super::reduce::{Blocks, Run};
use super::step::Value;
use super::trace::{Lanes, Reach, Tracer, VECTOR};
use crate::backend::cpu::lanes::{Code, Values};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::ops::reduction::LANES;

impl Blocks<'_> {
    /// Lets the virtual lanes of a fold take a group of elements.
    pub(super) fn take(
        &self,
        t: &mut Tracer<'_>,
        Run { fold, forms, .. }: &Run<'_>,
        states: &mut Vec<Lanes>,
        values: &Values<Lanes>,
        (group, counters): (usize, &[(usize, Value)]),
    ) -> Result<()> {
        let mut right = Vec::new();
        for ((state, &lifted), &form) in states.iter().zip(&fold.lifted).zip(forms) {
            right.push(match form {
                Form::Own | Form::Shared => group_of(t, state, values.get(lifted)?, group),
                Form::Count { mask, .. } => group_of(t, state, values.get(mask)?, group),
                Form::Step { width } => {
                    let counter = counters.iter().find(|(known, _)| *known == width);
                    let (_, counter) = counter.ok_or_else(|| Error::Internal("steps that nobody counts".into()))?;
                    state.with(state.parts.iter().map(|_| *counter))
                }
                Form::Loose { .. } => {
                    let lanes = state.parts.len() - form.beside();
                    group_of(t, &state.with(state.parts[..lanes].to_vec()), values.get(lifted)?, group)
                }
            });
        }
        let lanes = std::mem::replace(&mut t.lanes, LANES);
        if let [Form::Loose { largest }] = forms[..] {
            if t.reach() == Reach::Tail {
                let none = t.constant(fold.init[0])?;
                right[0] = blend_left(t, &right[0], &none, group * LANES);
            }
            states[0] = t.take_loosely(largest, &states[0], &right[0]);
            t.lanes = lanes;
            return Ok(());
        }
        let mut merged = match forms[..] {
            [Form::Count { .. }] => vec![t.count(&states[0], &right[0])],
            _ => merge(t, self.body, fold.next(), states, &right)?,
        };
        for (merged, old) in merged.iter_mut().zip(states.iter()) {
            if merged.dtype == DType::Bool {
                *merged = t.mask_to(merged, old.width);
            }
            if t.reach() == Reach::Tail {
                *merged = blend_left(t, merged, old, group * LANES);
            }
        }
        *states = merged;
        t.lanes = lanes;
        Ok(())
    }
}

/// A group of so many elements as there are virtual lanes, in the width of the state.
fn group_of(t: &mut Tracer<'_>, state: &Lanes, lifted: &Lanes, group: usize) -> Lanes {
    let lifted = if lifted.dtype == DType::Bool { t.mask_to(lifted, state.width) } else { lifted.clone() };
    let vectors = state.parts.len();
    lifted.with(lifted.parts[group * vectors..(group + 1) * vectors].iter().copied())
}

/// The merged lanes that had an element, from this one on, and the old ones.
fn blend_left(t: &mut Tracer<'_>, merged: &Lanes, old: &Lanes, first: usize) -> Lanes {
    let per_vector = VECTOR / old.width;
    let masks = (0..old.parts.len()).map(|part| t.tail_mask(old.width, first + part * per_vector));
    let mask = Lanes { dtype: DType::Bool, width: old.width, parts: masks.collect() };
    let (merged_bits, old_bits) = (merged.clone(), old.clone());
    t.select(&mask, &merged_bits, &old_bits)
}
