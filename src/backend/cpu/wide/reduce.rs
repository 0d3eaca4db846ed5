//! The function that reduces blocks, as the other emitter makes it: `blocks(bases, strides, count, first, states)`.
//!
//! The virtual lanes of `ops::reduction` are carried in registers from step to step, in the forms of `narrow`, and
//! merged as a halving tree at the end of a block. Where fewer elements than lanes are left, the merged lanes are
//! blended with the old ones, so that a lane without an element keeps its state. Elements that may be merged in any order
//! are one block, however many they are. Must not know: how many blocks there are, threads.

use super::Options;
use super::allocate::{Carried, REGISTERS};
use super::body::{count_left, hold, kernel_lanes, pressure, refuse_bytes, refuse_merges, straight, whole_steps};
use super::encode::{Arithmetic, Assembler, Condition, Memory, R8, RCX, RDI, RDX, RSI, RSP};
use super::finish::Assembled;
use super::frame::{BASES, END, FIRST, Frame, INDEX, OTHER, STATE, STRIDES};
use super::loose::largest_of;
use super::merge::merge;
use super::narrow::{Form, Forms, forms};
use super::screen::Screen;
use super::segments::{Kept, Tiled, load_kept, store_kept};
use super::step::{Home, Steps, Value};
use super::tiles::cut;
use super::trace::{Lanes, Parts, Reach, Subject, Tracer, VECTOR, no_wide_form};
use crate::backend::cpu::any_order::{in_any_order, keeps_positions};
use crate::backend::cpu::emit::Class;
use crate::backend::cpu::form::{Fold, Program};
use crate::backend::cpu::lanes::{Code, Values, walk};
use crate::dtype::DType;
use crate::elementary::kernel::Level;
use crate::error::{Error, Result};
use crate::loops::Access;
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
    let (mut asm, calls) = (Assembler::new(options.text), body.calls_kernels());
    refuse_bytes(body)?;
    refuse_merges(body, folds)?;
    let mut frame = Frame::new(body.ports.len());
    Frame::enter(&mut asm, calls);
    asm.copy(BASES, RDI);
    asm.store(Memory::base(RSP, STRIDES), RSI);
    asm.store(Memory::base(RSP, FIRST), RCX);
    asm.copy(OTHER, RDX);
    asm.copy(STATE, R8);
    let runs = runs(body, folds, calls);
    let turns = runs.iter().map(|run| run.turns).max().unwrap_or(1);
    let lanes = if calls { kernel_lanes(body).max(LANES) } else { LANES * turns };
    let held = hold(&mut asm, &mut frame, &body.ports, classes, &[], lanes)?;
    frame.load_bases(&mut asm);
    asm.set(INDEX, 0);
    if calls {
        Tiled::none_left(&mut asm);
    }
    let subject = Subject { ports: &body.ports, classes, held: &held, held_lanes: lanes };
    let (start, level) = (frame.allocate(VECTOR), options.level);
    let mut block = Blocks { body, runs, start, subject, level, lanes, screen: None };
    block.choose_forms(&asm, &frame)?;
    if let Some(screen) = Screen::of(body, folds) {
        block.at_most_one_or_screened(&mut asm, &mut frame, screen)?;
    } else if in_any_order(body, folds) {
        asm.copy(END, OTHER);
        block.one(&mut asm, &mut frame)?;
    } else {
        block.each(&mut asm, &mut frame, folds)?;
    }
    Frame::leave(&mut asm);
    asm.finish()
}

/// Steps of code in a loop: more gain nothing.
const LONG: usize = 64;

/// What reduces one block.
pub(super) struct Blocks<'a> {
    pub(super) body: &'a Program,
    pub(super) runs: Vec<Run<'a>>,
    /// Where the frame holds the position of the block's first element.
    pub(super) start: i32,
    pub(super) subject: Subject<'a>,
    pub(super) level: Level,
    /// Elements of a step.
    lanes: usize,
    /// How most elements are passed over; states are then merged with what was found before.
    pub(super) screen: Option<Screen<'a>>,
}

/// A fold over every group of elements, or over every second one.
pub(super) struct Run<'a> {
    pub(super) fold: &'a Fold,
    /// How its states are kept.
    pub(super) forms: Forms,
    /// Which groups it takes of so many that follow each other.
    pub(super) turn: usize,
    turns: usize,
}

/// The runs of some folds. Where an element waits long for the one before, as with positions, and the order of elements
/// means nothing, two runs of a fold take turns; the states of such a fold are few.
fn runs<'a>(body: &Program, folds: &'a [Fold], calls: bool) -> Vec<Run<'a>> {
    let small = |fold: &Fold| fold.init.iter().map(|part| part.dtype().size()).min() == Some(4);
    let turns = match folds {
        [fold] if !calls && small(fold) && keeps_positions(body, fold) => 2,
        _ => 1,
    };
    let of = |fold| (0..turns).map(move |turn| Run { fold, forms: Forms::new(), turn, turns });
    folds.iter().flat_map(of).collect()
}

/// The states of the virtual lanes, by run and component, as values that straight-line code starts with.
pub(super) type States = Vec<Vec<Lanes>>;

impl<'a> Blocks<'a> {
    /// The forms that suit what the body computes.
    fn choose_forms(&mut self, asm: &Assembler, frame: &Frame) -> Result<()> {
        let (mut asm, mut frame) = (asm.clone(), frame.clone());
        let mut t = Tracer::new(&mut asm, &mut frame, &self.subject, self.level, self.lanes, Reach::Whole);
        let mut values = Values::new(self.body.types.len());
        walk(&self.body.statements, &mut values, &mut t)?;
        let width = |value| values.get(value).map_or(8, |lanes: &Lanes| lanes.width);
        self.runs.iter_mut().for_each(|run| run.forms = forms(self.body, run.fold, width));
        let exact: Vec<Forms> = self.runs.iter().map(|run| run.forms.clone()).collect();
        for run in &mut self.runs {
            if let ([Form::Own], Some(largest)) = (&run.forms[..], largest_of(run.fold)) {
                run.forms = Forms::from_slice(&[Form::Loose { largest }]);
            }
        }
        if !self.stays_in_registers(&mut asm, &mut frame)? {
            self.runs.iter_mut().zip(exact).for_each(|(run, forms)| run.forms = forms);
        }
        Ok(())
    }

    /// Whether a step needs no more registers than there are; while kernels run, states are in memory anyway.
    fn stays_in_registers(&self, asm: &mut Assembler, frame: &mut Frame) -> Result<bool> {
        let mut fits = || match self.body.calls_kernels() {
            true => self.step(asm, frame, self.lanes, Reach::Whole).map(|_| true),
            false => {
                let (steps, carried) = self.lean_step(asm, frame, self.lanes)?;
                Ok(pressure(asm, frame, &steps, &carried)?.spills == 0)
            }
        };
        match fits() {
            Err(Error::Unsupported(_)) => Ok(false),
            fits => fits,
        }
    }

    /// The widths of the lanes that count steps.
    fn counters(&self) -> Vec<usize> {
        let counts = self.runs.iter().flat_map(|run| &run.forms).filter_map(|form| match form {
            Form::Step { width } => Some(*width),
            Form::Own | Form::Count { .. } | Form::Loose { .. } => None,
        });
        let mut widths: Vec<usize> = counts.collect();
        widths.sort_unstable();
        widths.dedup();
        widths
    }

    /// What chooses an element, to one state. The screen is not worth its beginning where there is but one block.
    fn at_most_one_or_screened(&mut self, asm: &mut Assembler, frame: &mut Frame, screen: Screen<'a>) -> Result<()> {
        let (several, done) = (asm.label(), asm.label());
        asm.arithmetic_value(Arithmetic::Compare, OTHER, BLOCK as i32);
        asm.jump_if(Condition::Greater, several);
        asm.copy(END, OTHER);
        self.one(asm, frame)?;
        asm.jump(done);
        asm.bind(several);
        let screen = self.screen.insert(screen).clone();
        self.screened(asm, frame, &screen)?;
        asm.bind(done);
        Ok(())
    }

    /// Block after block, each to a state of its own.
    fn each(&self, asm: &mut Assembler, frame: &mut Frame, folds: &[Fold]) -> Result<()> {
        let again = asm.label();
        asm.bind(again);
        asm.address(END, Memory::base(INDEX, BLOCK as i32));
        asm.arithmetic(Arithmetic::Compare, END, OTHER);
        asm.copy_if(Condition::Greater, END, OTHER);
        self.one(asm, frame)?;
        let size: usize = folds.iter().map(|fold| fold.init.len() * 8).sum();
        asm.arithmetic_value(Arithmetic::Add, STATE, size as i32);
        asm.copy(INDEX, END);
        asm.arithmetic(Arithmetic::Compare, INDEX, OTHER);
        asm.jump_if(Condition::Less, again);
        Ok(())
    }

    /// The elements up to the end, to one state.
    pub(super) fn one(&self, asm: &mut Assembler, frame: &mut Frame) -> Result<()> {
        self.initial(asm, frame)?;
        if self.body.calls_kernels() {
            self.tiles(asm, frame)?;
        } else {
            let most = self.most_lanes(asm, frame)?;
            if most > self.lanes {
                self.whole(asm, frame, most)?;
            }
            self.whole(asm, frame, self.lanes)?;
            self.rest(asm, frame)?;
        }
        let (steps, carried) = self.tree(asm, frame)?;
        straight(asm, frame, &steps, &carried)?;
        Ok(())
    }

    /// The steps that so many elements fill.
    fn whole(&self, asm: &mut Assembler, frame: &mut Frame, lanes: usize) -> Result<()> {
        let (steps, carried) = self.lean_step(asm, frame, lanes)?;
        whole_steps(asm, frame, &steps, &carried, lanes)?;
        Ok(())
    }

    /// As `whole` and `rest`, with the states in the frame while kernels run.
    fn tiles(&self, asm: &mut Assembler, frame: &mut Frame) -> Result<()> {
        let (steps, carried) = self.step(asm, frame, self.lanes, Reach::Whole)?;
        let slots: Vec<i32> = carried.iter().map(|_| frame.allocate(VECTOR)).collect();
        let keep = |carried: &[Carried]| -> Vec<Kept> {
            carried.iter().zip(&slots).map(|(&carried, &slot)| Kept { carried, slot }).collect()
        };
        let kept = keep(&carried);
        store_kept(asm, &kept);
        cut(steps, self.lanes, &carried)?.block(asm, frame, &kept)?;
        let done = asm.label();
        count_left(asm, done);
        let (steps, carried) = self.step(asm, frame, self.lanes, Reach::Tail)?;
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
            for Run { fold, forms, .. } in &self.runs {
                for (part, (&init, form)) in fold.init.iter().zip(forms).enumerate() {
                    let state = match form.width() {
                        Some(width) => {
                            let zero = t.splat(width, 0);
                            t.uniform(init.dtype(), width, zero)
                        }
                        None if fold.starts_with_position(part) => t.position()?,
                        None => t.constant(init)?,
                    };
                    let state = match *form {
                        Form::Loose { largest } => t.loose_start(largest, &state),
                        Form::Own | Form::Count { .. } | Form::Step { .. } => state,
                    };
                    values.extend(state.parts);
                }
            }
            let counters = self.counters();
            if !counters.is_empty() {
                t.keep_block_start(self.start);
            }
            values.extend(counters.into_iter().map(|width| t.splat(width, 0)));
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
    pub(super) fn states(&self, t: &mut Tracer<'_>) -> Result<(States, Vec<Value>)> {
        let (mut states, mut values) = (States::new(), Vec::new());
        let lanes = std::mem::replace(&mut t.lanes, LANES);
        for Run { fold, forms, .. } in &self.runs {
            let mut components = Vec::new();
            for (init, form) in fold.init.iter().zip(forms) {
                let width = form.width().map_or_else(|| t.width(init.dtype()), Ok)?;
                let parts: Parts = (0..t.vectors(width) + form.beside()).map(|_| t.steps.value(Home::None)).collect();
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
    fn step(
        &self,
        asm: &mut Assembler,
        frame: &mut Frame,
        lanes: usize,
        reach: Reach,
    ) -> Result<(Steps, Vec<Carried>)> {
        let mut t = Tracer::new(asm, frame, &self.subject, self.level, lanes, reach);
        let (mut states, mut before) = self.states(&mut t)?;
        let mut values = Values::new(self.body.types.len());
        walk(&self.body.statements, &mut values, &mut t)?;
        let mut counters: Vec<(usize, Value)> = Vec::new();
        for width in self.counters() {
            let counter = t.steps.value(Home::None);
            before.push(counter);
            counters.push((width, counter));
        }
        fits_registers(before.len())?;
        for group in 0..lanes / LANES {
            for (run, states) in self.runs.iter().zip(&mut states) {
                if group % run.turns == run.turn {
                    self.take(&mut t, run, states, &values, (group, &counters))?;
                }
            }
            counters.iter_mut().for_each(|(width, counter)| *counter = t.next_step(*width, *counter));
        }
        let after = states.iter().flatten().flat_map(|component| component.parts.iter().copied());
        let after = after.chain(counters.into_iter().map(|(_, counter)| counter));
        let carried = before.into_iter().zip(after).zip(0..);
        let carried: Vec<Carried> =
            carried.map(|((before, after), register)| Carried { before, after: Some(after), register }).collect();
        t.steps.drop_unused(carried.iter().filter_map(|carried| carried.after));
        Ok((t.steps, carried))
    }

    /// One step with as few vectors alive at once as need be: those of the same lanes one after the other.
    fn lean_step(&self, asm: &mut Assembler, frame: &mut Frame, lanes: usize) -> Result<(Steps, Vec<Carried>)> {
        let (mut steps, carried) = self.step(asm, frame, lanes, Reach::Whole)?;
        let after = carried.iter().filter_map(|carried| carried.after);
        if self.waits_for_lanes() {
            steps.read_in_place(after.clone());
        }
        if pressure(asm, frame, &steps, &carried)?.spills > 0 {
            let mut wanted: Vec<(usize, Value)> = self.first_lanes(lanes).into_iter().zip(after).collect();
            wanted.sort_by_key(|(lane, _)| *lane);
            steps.depth_first(wanted.into_iter().map(|(_, value)| value));
        }
        Ok((steps, carried))
    }

    /// Whether the lanes fill so few vectors that blocks should begin before the one before is done. Those of eight bytes keep
    /// up with the caches, and sums from memory took 1.15 times as long with fewer instructions.
    fn waits_for_lanes(&self) -> bool {
        self.body.smallest().is_some_and(|size| size < 8)
    }

    /// The lanes of a long step: as many times those of one as `LONG` steps of code without spills serve.
    fn most_lanes(&self, asm: &mut Assembler, frame: &mut Frame) -> Result<usize> {
        // The distances of positions are held for no more.
        let positions = self.subject.ports.iter().any(|port| port.operand.access == Access::Index);
        if positions || !self.waits_for_lanes() {
            return Ok(self.lanes);
        }
        for lanes in [4, 2].map(|times| self.lanes * times) {
            match self.is_short(asm, &mut frame.clone(), lanes) {
                Ok(true) => return Ok(lanes),
                // Fewer lanes may fit the frame where these do not.
                Ok(false) | Err(Error::Unsupported(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.lanes)
    }

    /// Whether a step of so many lanes is short, and nothing of it is spilled.
    fn is_short(&self, asm: &mut Assembler, frame: &mut Frame, lanes: usize) -> Result<bool> {
        if self.step(asm, frame, lanes, Reach::Whole)?.0.steps.len() > LONG {
            return Ok(false);
        }
        let (steps, carried) = self.lean_step(asm, frame, lanes)?;
        Ok(pressure(asm, frame, &steps, &carried)?.spills == 0)
    }

    /// The first lane of each vector that is carried; what counts steps comes last.
    fn first_lanes(&self, most: usize) -> Vec<usize> {
        let mut lanes = Vec::new();
        for run in &self.runs {
            for (init, form) in run.fold.init.iter().zip(&run.forms) {
                // A mask of so many lanes is four bytes wide.
                let own = if init.dtype() == DType::Bool { 4 } else { init.dtype().size() };
                let vectors = (0..LANES).step_by(VECTOR / form.width().unwrap_or(own));
                lanes.extend(vectors.map(|lane| run.turn * LANES + lane));
                lanes.extend((0..form.beside()).map(|_| most));
            }
        }
        lanes.extend(self.counters().iter().map(|_| most));
        lanes
    }

    /// Lets the virtual lanes of a fold take a group of elements.
    fn take(
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
                Form::Own => group_of(t, state, values.get(lifted)?, group),
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

    /// The elements that fill no step.
    fn rest(&self, asm: &mut Assembler, frame: &mut Frame) -> Result<()> {
        let done = asm.label();
        count_left(asm, done);
        let (steps, carried) = self.step(asm, frame, self.lanes, Reach::Tail)?;
        straight(asm, frame, &steps, &carried)?;
        asm.bind(done);
        Ok(())
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
