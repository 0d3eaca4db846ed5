//! The end of a block: its virtual lanes, merged as a halving tree, and the state that is written.
//!
//! Must not know: how the lanes came about, loops.

use super::allocate::Carried;
use super::encode::Assembler;
use super::frame::Frame;
use super::instruction::{PERMILPD, PERMILPS};
use super::merge::merge;
use super::narrow::Form;
use super::reduce::{Blocks, Run};
use super::step::{Place, Steps};
use super::trace::{Lanes, Reach, Tracer, VECTOR};
use crate::backend::cpu::form::Fold;
use crate::error::Result;
use crate::ops::reduction::LANES;

impl Blocks<'_> {
    /// Merges the virtual lanes and writes the total.
    pub(super) fn tree(&self, asm: &mut Assembler, frame: &mut Frame) -> Result<(Steps, Vec<Carried>)> {
        let mut t = Tracer::new(asm, frame, &self.subject, self.level, LANES, Reach::Whole);
        let lanes = self.states(&mut t, true)?;
        let before = self.in_registers(&lanes, true);
        let mut totals: Vec<(&Fold, Vec<Lanes>)> = Vec::new();
        for (Run { fold, forms, turn, .. }, states) in self.runs.iter().zip(lanes.states) {
            let own = |(state, &form): (&Lanes, &Form)| t.in_own_form(form, state, self.start);
            let own: Vec<Lanes> = states.iter().zip(forms).map(own).collect();
            match totals.last_mut() {
                Some((_, total)) if *turn > 0 => *total = merge(&mut t, self.body, &fold.merge, total, &own)?,
                _ => totals.push((fold, own)),
            }
        }
        for (fold, states) in &mut totals {
            let Some(first) = states.first() else { continue };
            let mut lanes = first.parts.len() * VECTOR / first.width / 2;
            while lanes > 0 {
                t.lanes = lanes;
                let (mut left, mut right) = (Vec::new(), Vec::new());
                for state in states.iter() {
                    let (low, high) = halves(&mut t, state);
                    left.push(low);
                    right.push(high);
                }
                let merged = merge(&mut t, self.body, &fold.merge, &left, &right)?;
                *states = merged;
                lanes /= 2;
            }
            if self.screen.is_some() {
                *states = self.with_earlier(&mut t, fold, states)?;
            }
            t.lanes = LANES;
            for (component, value) in states.iter().enumerate() {
                t.store_state(value, Place::State((fold.slot + component) as i32 * 8));
            }
        }
        let carried = before.into_iter().zip(0..);
        let carried = carried.map(|(before, register)| Carried { before, after: None, register }).collect();
        Ok((t.steps, carried))
    }

    /// A state merged with the one in memory.
    fn with_earlier(&self, t: &mut Tracer<'_>, fold: &Fold, states: &[Lanes]) -> Result<Vec<Lanes>> {
        t.lanes = 1;
        let parts = fold.init.iter().enumerate();
        let earlier = parts.map(|(part, init)| t.load_state(init.dtype(), Place::State((fold.slot + part) as i32 * 8)));
        let earlier = earlier.collect::<Result<Vec<Lanes>>>()?;
        merge(t, self.body, &fold.merge, &earlier, states)
    }
}

/// The lower and the upper half of the lanes; the tracer's lanes are those of a half.
fn halves(t: &mut Tracer<'_>, state: &Lanes) -> (Lanes, Lanes) {
    let vectors = t.vectors(state.width);
    if vectors < state.parts.len() {
        return (state.with(state.parts[..vectors].to_vec()), state.with(state.parts[vectors..].to_vec()));
    }
    let value = state.parts[0];
    let high = match t.lanes * state.width {
        16 => t.high_half(value),
        8 => t.compute_with(&PERMILPD, None, value, None, Some(1)),
        _ => t.compute_with(&PERMILPS, None, value, None, Some(1)),
    };
    (state.clone(), state.with([high]))
}
