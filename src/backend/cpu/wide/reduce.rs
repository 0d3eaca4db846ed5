//! The functions of a reduction, as the other emitter makes them: `blocks(bases, strides, count, first, states)` and
//! `merge(states, pairs, distance)`.
//!
//! The virtual lanes of `ops::reduction` are carried in registers from step to step, and merged as a halving tree
//! at the end of a block. Where fewer elements than lanes are left, the merged lanes are blended with the old ones, so
//! that a lane without an element keeps its state. Must not know: how many blocks there are, threads.

use super::Options;
use super::allocate::{Carried, REGISTERS};
use super::body::{count_left, hold, kernel_lanes, refuse_bytes, refuse_merges, straight, whole_steps};
use super::encode::{Arithmetic, Assembled, Assembler, Condition, Memory, R8, RCX, RDI, RDX, RSI, RSP};
use super::frame::{BASES, END, FIRST, Frame, INDEX, OTHER, STATE, STRIDES};
use super::instruction::{PERMILPD, PERMILPS};
use super::step::{Home, Place, Steps, Value};
use super::tiles::{Kept, cut, load_kept, store_kept};
use super::trace::{Lanes, Parts, Reach, Subject, Tracer, VECTOR, no_wide_form};
use crate::backend::cpu::emit::Class;
use crate::backend::cpu::form::{Fold, Program};
use crate::backend::cpu::lanes::{Code, Values, walk};
use crate::dtype::{DType, Scalar};
use crate::elementary::kernel::Level;
use crate::error::Result;
use crate::loops::Merge;
use crate::ops::reduction::{BLOCK, LANES};

/// The function that reduces elements to the states of their blocks.
///
/// # Errors
/// `Unsupported` for a reduction that has no wide form.
pub(in crate::backend::cpu) fn blocks_function(
    body: &Program,
    folds: &[Fold],
    classes: &[Class],
    options: Options,
) -> Result<Assembled> {
    let (mut asm, calls) = (Assembler::new(options.text), body.calls_functions());
    refuse_bytes(body)?;
    refuse_merges(body, folds)?;
    let mut frame = Frame::new(body.ports.len());
    Frame::enter(&mut asm, calls);
    asm.copy(BASES, RDI);
    asm.store(Memory::base(RSP, STRIDES), RSI);
    asm.store(Memory::base(RSP, FIRST), RCX);
    asm.copy(OTHER, RDX);
    asm.copy(STATE, R8);
    let lanes = if calls { kernel_lanes(body).max(LANES) } else { LANES };
    let held = hold(&mut asm, &mut frame, &body.ports, classes, &[], lanes)?;
    frame.load_bases(&mut asm);
    asm.set(INDEX, 0);
    let subject = Subject { ports: &body.ports, classes, held: &held };
    let block = Blocks { body, folds, subject, level: options.level, lanes };
    let again = asm.label();
    asm.bind(again);
    asm.address(END, Memory::base(INDEX, BLOCK as i32));
    asm.arithmetic(Arithmetic::Compare, END, OTHER);
    asm.copy_if(Condition::Greater, END, OTHER);
    block.one(&mut asm, &mut frame)?;
    let size: usize = folds.iter().map(|fold| fold.init.len() * 8).sum();
    asm.arithmetic_value(Arithmetic::Add, STATE, size as i32);
    asm.copy(INDEX, END);
    asm.arithmetic(Arithmetic::Compare, INDEX, OTHER);
    asm.jump_if(Condition::Less, again);
    Frame::leave(&mut asm);
    asm.finish()
}

/// The function that merges so many states with those at a distance, each pair two distances behind the last.
///
/// # Errors
/// `Unsupported` for a merge that has no wide form.
pub(in crate::backend::cpu) fn merge_function(body: &Program, folds: &[Fold], options: Options) -> Result<Assembled> {
    let mut asm = Assembler::new(options.text);
    refuse_bytes(body)?;
    refuse_merges(body, folds)?;
    let mut frame = Frame::new(0);
    Frame::enter(&mut asm, false);
    asm.copy(STATE, RDI);
    asm.copy(END, RSI);
    asm.copy(INDEX, RDX);
    let (again, done) = (asm.label(), asm.label());
    asm.bind(again);
    asm.arithmetic_value(Arithmetic::Compare, END, 0);
    asm.jump_if(Condition::Equal, done);
    asm.copy(OTHER, STATE);
    asm.arithmetic(Arithmetic::Add, OTHER, INDEX);
    let subject = Subject { ports: &[], classes: &[], held: &[] };
    let steps = {
        let mut t = Tracer::new(&mut asm, &mut frame, &subject, options.level, 1, Reach::Whole);
        for fold in folds {
            let states = [Place::State as fn(i32) -> Place, Place::Other].map(|place| {
                let components = fold.init.iter().enumerate();
                let load = |(component, init): (usize, &Scalar)| {
                    t.load_state(init.dtype(), place((fold.slot + component) as i32 * 8))
                };
                components.map(load).collect::<Result<Vec<Lanes>>>()
            });
            let [left, right] = states;
            let merged = merge(&mut t, body, &fold.merge, &left?, &right?)?;
            for (component, value) in merged.iter().enumerate() {
                t.store_state(value, Place::State((fold.slot + component) as i32 * 8));
            }
        }
        t.steps
    };
    straight(&mut asm, &frame, &steps, &[])?;
    asm.arithmetic(Arithmetic::Add, OTHER, INDEX);
    asm.copy(STATE, OTHER);
    asm.arithmetic_value(Arithmetic::Sub, END, 1);
    asm.jump(again);
    asm.bind(done);
    Frame::leave(&mut asm);
    asm.finish()
}

/// Merges two states.
pub(super) fn merge(
    t: &mut Tracer<'_>,
    body: &Program,
    merge: &Merge,
    left: &[Lanes],
    right: &[Lanes],
) -> Result<Vec<Lanes>> {
    let mut values = Values::new(body.types.len());
    let ids = merge.left.iter().zip(left).chain(merge.right.iter().zip(right));
    ids.for_each(|(&id, value)| values.set(id, value.clone()));
    walk(&merge.block.statements, &mut values, t)?;
    merge.results.iter().map(|&id| values.get(id).cloned()).collect()
}

/// What reduces one block.
struct Blocks<'a> {
    body: &'a Program,
    folds: &'a [Fold],
    subject: Subject<'a>,
    level: Level,
    /// Elements of a step.
    lanes: usize,
}

/// The states of the virtual lanes, by fold and component, as values that straight-line code starts with.
type States = Vec<Vec<Lanes>>;

impl Blocks<'_> {
    fn one(&self, asm: &mut Assembler, frame: &mut Frame) -> Result<()> {
        self.initial(asm, frame)?;
        if self.body.calls_functions() {
            self.tiles(asm, frame)?;
        } else {
            let (steps, carried) = self.step(asm, frame, Reach::Whole)?;
            whole_steps(asm, frame, &steps, &carried, self.lanes)?;
            self.rest(asm, frame)?;
        }
        let (steps, carried) = self.tree(asm, frame)?;
        straight(asm, frame, &steps, &carried)?;
        Ok(())
    }

    /// As the loop and `rest`, with the states in the frame while kernels run.
    fn tiles(&self, asm: &mut Assembler, frame: &mut Frame) -> Result<()> {
        let (steps, carried) = self.step(asm, frame, Reach::Whole)?;
        let slots: Vec<i32> = carried.iter().map(|_| frame.allocate(VECTOR)).collect();
        let keep = |carried: &[Carried]| -> Vec<Kept> {
            carried.iter().zip(&slots).map(|(&carried, &slot)| Kept { carried, slot }).collect()
        };
        let kept = keep(&carried);
        store_kept(asm, &kept);
        cut(steps, self.lanes, &carried)?.whole(asm, frame, &kept)?;
        let done = asm.label();
        count_left(asm, done);
        let (steps, carried) = self.step(asm, frame, Reach::Tail)?;
        cut(steps, self.lanes, &carried)?.once(asm, frame, &keep(&carried))?;
        asm.bind(done);
        load_kept(asm, &kept);
        Ok(())
    }

    /// Puts the states of no elements into their registers.
    fn initial(&self, asm: &mut Assembler, frame: &mut Frame) -> Result<()> {
        let (steps, carried) = {
            let mut t = Tracer::new(asm, frame, &self.subject, self.level, LANES, Reach::Whole);
            let mut values = Parts::new();
            for (fold, part) in self.folds.iter().flat_map(|fold| (0..fold.init.len()).map(move |part| (fold, part))) {
                let init = fold.init[part];
                let state = if fold.starts_with_position(part) { t.position()? } else { t.constant(init)? };
                let vectors = t.vectors(t.width(init.dtype())?);
                values.extend(state.parts.into_iter().take(vectors));
            }
            fits_registers(values.len())?;
            let registers = values.into_iter().zip(0..);
            let carried = registers.map(|(value, register)| Carried {
                before: t.steps.value(Home::None),
                after: Some(value),
                register,
            });
            let carried: Vec<Carried> = carried.collect();
            (t.steps, carried)
        };
        straight(asm, frame, &steps, &carried)?;
        Ok(())
    }

    /// The states at the start of straight-line code.
    fn states(&self, t: &mut Tracer<'_>) -> Result<(States, Vec<Value>)> {
        let (mut states, mut values) = (States::new(), Vec::new());
        let lanes = std::mem::replace(&mut t.lanes, LANES);
        for fold in self.folds {
            let mut components = Vec::new();
            for init in &fold.init {
                let width = t.width(init.dtype())?;
                let parts: Parts = (0..t.vectors(width)).map(|_| t.steps.value(Home::None)).collect();
                values.extend_from_slice(&parts);
                components.push(Lanes { dtype: init.dtype(), width, parts });
            }
            states.push(components);
        }
        t.lanes = lanes;
        fits_registers(values.len())?;
        Ok((states, values))
    }

    /// One step: the body on all its elements, merged with the virtual lanes.
    fn step(&self, asm: &mut Assembler, frame: &mut Frame, reach: Reach) -> Result<(Steps, Vec<Carried>)> {
        let mut t = Tracer::new(asm, frame, &self.subject, self.level, self.lanes, reach);
        let (mut states, before) = self.states(&mut t)?;
        let mut values = Values::new(self.body.types.len());
        walk(&self.body.statements, &mut values, &mut t)?;
        for (fold, states) in self.folds.iter().zip(&mut states) {
            let lifted: Vec<Lanes> = fold.lifted.iter().map(|&id| values.get(id).cloned()).collect::<Result<_>>()?;
            for group in 0..self.lanes / LANES {
                t.lanes = self.lanes;
                let right: Vec<Lanes> =
                    states.iter().zip(&lifted).map(|(state, lifted)| group_of(&mut t, state, lifted, group)).collect();
                t.lanes = LANES;
                let mut merged = merge(&mut t, self.body, fold.next(), states, &right)?;
                for (merged, old) in merged.iter_mut().zip(states.iter()) {
                    if merged.dtype == DType::Bool {
                        *merged = t.mask_to(merged, old.width);
                    }
                    if reach == Reach::Tail {
                        *merged = blend_left(&mut t, merged, old, group * LANES);
                    }
                }
                *states = merged;
            }
        }
        let after = states.iter().flatten().flat_map(|component| component.parts.iter().copied());
        let carried = before.into_iter().zip(after).zip(0..);
        let carried =
            carried.map(|((before, after), register)| Carried { before, after: Some(after), register }).collect();
        Ok((t.steps, carried))
    }

    /// The elements that fill no step.
    fn rest(&self, asm: &mut Assembler, frame: &mut Frame) -> Result<()> {
        let done = asm.label();
        count_left(asm, done);
        let (steps, carried) = self.step(asm, frame, Reach::Tail)?;
        straight(asm, frame, &steps, &carried)?;
        asm.bind(done);
        Ok(())
    }

    /// Merges the virtual lanes and writes the total.
    fn tree(&self, asm: &mut Assembler, frame: &mut Frame) -> Result<(Steps, Vec<Carried>)> {
        let mut t = Tracer::new(asm, frame, &self.subject, self.level, LANES, Reach::Whole);
        let (mut states, before) = self.states(&mut t)?;
        for (fold, states) in self.folds.iter().zip(&mut states) {
            let mut lanes = LANES / 2;
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
            for (component, value) in states.iter().enumerate() {
                t.store_state(value, Place::State((fold.slot + component) as i32 * 8));
            }
        }
        let carried = before.into_iter().zip(0..);
        let carried = carried.map(|(before, register)| Carried { before, after: None, register }).collect();
        Ok((t.steps, carried))
    }
}

/// Whether so many vectors can go round a loop and leave registers for what is done with them.
fn fits_registers(vectors: usize) -> Result<()> {
    if vectors > REGISTERS - 2 { Err(no_wide_form("so large a state")) } else { Ok(()) }
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
