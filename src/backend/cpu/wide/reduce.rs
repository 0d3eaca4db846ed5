//! The function that reduces blocks, as the other emitter makes it: `blocks(bases, strides, count, first, states)`.
//!
//! The virtual lanes of `ops::reduction` are carried in registers from step to step, in the forms of `narrow`, and
//! merged as a halving tree at the end of a block. Where fewer elements than lanes are left, the merged lanes are
//! blended with the old ones, so that a lane without an element keeps its state. Elements that may be merged in any order
//! are one block, however many they are. Must not know: how many blocks there are, threads.

use super::Options;
use super::allocate::Carried;
use super::body::{count_left, hold, kernel_lanes, pressure, refuse_merges, straight, whole_steps};
use super::bytes::refuse_bytes;
use super::division::calls_kernels;
use super::encode::{Arithmetic, Assembler, Condition, Memory, R8, RCX, RDI, RDX, RSI, RSP};
use super::finish::Assembled;
use super::frame::{BASES, END, FIRST, Frame, INDEX, OTHER, STATE, STRIDES};
use super::loose::largest_of;
use super::narrow::{Form, Forms, forms};
use super::screen::Screen;
use super::segments::{Kept, Tiled, load_kept, store_kept};
use super::states::{LaneStates, carried};
use super::step::{Steps, Value};
use super::tiles::cut;
use super::trace::{Lanes, Reach, Subject, Tracer, VECTOR};
use crate::backend::cpu::any_order::{in_any_order, keeps_positions};
use crate::backend::cpu::emit::Class;
use crate::backend::cpu::form::{Fold, Port, Program};
use crate::backend::cpu::lanes::{Values, walk};
use crate::elementary::kernel::Level;
use crate::error::{Error, Result};
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
    let (mut asm, calls) = (Assembler::new(options.text), calls_kernels(body));
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
        let mut fits = || match calls_kernels(self.body) {
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
        if calls_kernels(self.body) {
            self.tiles(asm, frame)?;
        } else {
            let most = self.most_lanes(asm, frame)?;
            if most > self.lanes {
                self.whole(asm, frame, most)?;
            }
            self.whole(asm, frame, self.lanes)?;
            self.spread_out(asm, frame)?;
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

    /// One step: the body on all its elements, merged with the virtual lanes.
    fn step(
        &self,
        asm: &mut Assembler,
        frame: &mut Frame,
        lanes: usize,
        reach: Reach,
    ) -> Result<(Steps, Vec<Carried>)> {
        let mut t = Tracer::new(asm, frame, &self.subject, self.level, lanes, reach);
        let spread = self.spreads(reach);
        let mut virtual_lanes = self.states(&mut t, spread)?;
        let before = self.in_registers(&virtual_lanes, spread);
        let mut values = Values::new(self.body.types.len());
        walk(&self.body.statements, &mut values, &mut t)?;
        let LaneStates { states, counters } = &mut virtual_lanes;
        for group in 0..lanes / LANES {
            for (run, states) in self.runs.iter().zip(states.iter_mut()) {
                if group % run.turns == run.turn {
                    self.take(&mut t, run, states, &values, (group, counters))?;
                }
            }
            counters.iter_mut().for_each(|(width, counter)| *counter = t.next_step(*width, *counter));
        }
        let carried = carried(&mut t, &before, self.in_registers(&virtual_lanes, spread));
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
        let positions = !self.subject.ports.iter().all(Port::is_memory);
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
