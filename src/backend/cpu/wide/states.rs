//! The states of the virtual lanes in registers: which vectors they are, and how they start.
//!
//! A component that comes from constants alone, like the number of elements, is one vector while whole steps are made: all
//! lanes agree. Where a tail is to come, and at the end of a block, it is as many as the lanes fill; the others stand
//! behind all else. Must not know: what lanes take.

use super::allocate::{Carried, REGISTERS};
use super::body::straight;
use super::division::calls_kernels;
use super::encode::Assembler;
use super::frame::Frame;
use super::narrow::Form;
use super::reduce::{Blocks, Run};
use super::step::{Home, Value};
use super::trace::{Lanes, Parts, Reach, Tracer, VECTOR, no_wide_form};
use crate::backend::cpu::lanes::Code;
use crate::dtype::{DType, Scalar};
use crate::error::Result;
use crate::ops::reduction::LANES;

/// The states of the virtual lanes, by run and component, as values that straight-line code starts with.
pub(super) type States = Vec<Vec<Lanes>>;

/// What stays in registers from one step to the next.
pub(super) struct LaneStates {
    /// The states.
    pub states: States,
    /// What counts steps, by the bytes of a lane.
    pub counters: Vec<(usize, Value)>,
}

impl Blocks<'_> {
    /// The widths of the lanes that count steps.
    fn counters(&self) -> Vec<usize> {
        let counts = self.runs.iter().flat_map(|run| &run.forms).filter_map(|form| match form {
            Form::Step { width } => Some(*width),
            Form::Own | Form::Shared | Form::Count { .. } | Form::Loose { .. } => None,
        });
        let mut widths: Vec<usize> = counts.collect();
        widths.sort_unstable();
        widths.dedup();
        widths
    }

    /// Whether what all lanes share is as many vectors as they fill; while kernels run, states are in memory anyway.
    pub(super) fn spreads(&self, reach: Reach) -> bool {
        reach == Reach::Tail || calls_kernels(self.body)
    }

    /// The vectors in the order of their registers.
    pub(super) fn in_registers(&self, lanes: &LaneStates, spread: bool) -> Vec<Value> {
        let (mut vectors, mut others) = (Vec::new(), Vec::new());
        for (run, states) in self.runs.iter().zip(&lanes.states) {
            for (form, state) in run.forms.iter().zip(states) {
                let own = if *form == Form::Shared { 1 } else { state.parts.len() };
                vectors.extend_from_slice(&state.parts[..own]);
                others.extend_from_slice(&state.parts[own..]);
            }
        }
        vectors.extend(lanes.counters.iter().map(|(_, counter)| *counter));
        vectors.extend(others.into_iter().filter(|_| spread));
        vectors
    }

    /// The states at the start of straight-line code.
    pub(super) fn states(&self, t: &mut Tracer<'_>, spread: bool) -> Result<LaneStates> {
        let mut states = States::new();
        let lanes = std::mem::replace(&mut t.lanes, LANES);
        for Run { fold, forms, .. } in &self.runs {
            let mut components = Vec::new();
            for (init, form) in fold.init.iter().zip(forms) {
                let width = form.width().map_or_else(|| t.width(init.dtype()), Ok)?;
                let vectors = t.vectors(width);
                let own = if *form == Form::Shared && !spread { 1 } else { vectors + form.beside() };
                let mut parts: Parts = (0..own).map(|_| t.steps.value(Home::None)).collect();
                let first = parts[0];
                parts.resize(vectors + form.beside(), first);
                components.push(Lanes { dtype: init.dtype(), width, parts });
            }
            states.push(components);
        }
        t.lanes = lanes;
        let counters = self.counters().into_iter().map(|width| (width, t.steps.value(Home::None))).collect();
        let lanes = LaneStates { states, counters };
        fits_registers(self.in_registers(&lanes, spread).len())?;
        Ok(lanes)
    }

    /// Puts the states of no elements into their registers.
    pub(super) fn initial(&self, asm: &mut Assembler, frame: &mut Frame) -> Result<()> {
        let mut t = Tracer::new(asm, frame, &self.subject, self.level, LANES, Reach::Whole);
        let mut states = States::new();
        for Run { fold, forms, .. } in &self.runs {
            let part = |(part, (&init, &form)): (usize, (&Scalar, &Form))| match form {
                Form::Count { width, .. } | Form::Step { width } => {
                    let zero = t.splat(width, 0);
                    Ok(t.uniform(init.dtype(), width, zero))
                }
                Form::Loose { largest } => {
                    let lanes = t.constant(init)?;
                    Ok(t.loose_start(largest, &lanes))
                }
                Form::Own | Form::Shared if fold.starts_with_position(part) => t.position(),
                Form::Own | Form::Shared => t.constant(init),
            };
            states.push(fold.init.iter().zip(forms).enumerate().map(part).collect::<Result<_>>()?);
        }
        let counters: Vec<(usize, Value)> =
            self.counters().into_iter().map(|width| (width, t.splat(width, 0))).collect();
        if !counters.is_empty() {
            t.keep_block_start(self.start);
        }
        let after = self.in_registers(&LaneStates { states, counters }, self.spreads(Reach::Whole));
        fits_registers(after.len())?;
        let carried = carried(&mut t, &[], after);
        let steps = t.steps;
        straight(asm, frame, &steps, &carried)?;
        Ok(())
    }

    /// Gives all lanes vectors of their own of what they shared.
    pub(super) fn spread_out(&self, asm: &mut Assembler, frame: &mut Frame) -> Result<()> {
        let mut t = Tracer::new(asm, frame, &self.subject, self.level, LANES, Reach::Whole);
        let lanes = self.states(&mut t, self.spreads(Reach::Whole))?;
        let before = self.in_registers(&lanes, self.spreads(Reach::Whole));
        let after = self.in_registers(&lanes, true);
        fits_registers(after.len())?;
        let carried = carried(&mut t, &before, after);
        let steps = t.steps;
        straight(asm, frame, &steps, &carried)?;
        Ok(())
    }

    /// The first lane of each vector that is carried; what counts steps comes last.
    pub(super) fn first_lanes(&self, most: usize) -> Vec<usize> {
        let mut lanes = Vec::new();
        for run in &self.runs {
            for (init, form) in run.fold.init.iter().zip(&run.forms) {
                // A mask of so many lanes is four bytes wide.
                let own = if init.dtype() == DType::Bool { 4 } else { init.dtype().size() };
                let own = if *form == Form::Shared { LANES } else { VECTOR / form.width().unwrap_or(own) };
                let vectors = (0..LANES).step_by(own);
                lanes.extend(vectors.map(|lane| run.turn * LANES + lane));
                lanes.extend((0..form.beside()).map(|_| most));
            }
        }
        lanes.extend(self.counters().iter().map(|_| most));
        lanes
    }
}

/// Whether so many vectors can go round a loop and leave registers for what is done with them.
fn fits_registers(vectors: usize) -> Result<()> {
    if vectors > REGISTERS - 2 { Err(no_wide_form("so large a state")) } else { Ok(()) }
}

/// Vectors that are carried in registers, the first ones from some that are there at the start.
pub(super) fn carried(t: &mut Tracer<'_>, before: &[Value], after: Vec<Value>) -> Vec<Carried> {
    let mut before = before.iter().copied();
    let carried = after.into_iter().zip(0..).map(|(after, register)| Carried {
        before: before.next().unwrap_or_else(|| t.steps.value(Home::None)),
        after: Some(after),
        register,
    });
    carried.collect()
}
