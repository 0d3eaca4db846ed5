//! The function that reduces up to a block of several neighboring results at once, as the other emitter makes it:
//! `(bases, strides, count, first, columns, states)`.
//!
//! Lanes of a vector are results here; the virtual lanes of `ops::reduction` are sixteen states in the tile, merged in the
//! same order. Must not know: how many blocks there are, threads.

use super::Options;
use super::body::{count_left, least_lanes, refuse_merges, straight};
use super::bytes::refuse_bytes;
use super::division::calls_kernels;
use super::encode::{Arithmetic, Assembler, Condition, Label, Memory, R8, R9, RAX, RCX, RDI, RDX, RSI, RSP};
use super::finish::Assembled;
use super::frame::{BASES, END, FIRST, Frame, INDEX, LEFT, OTHER, PAUSE, STATE, STOP, STRIDES, TILE, TILES, WORD};
use super::instruction::STORE;
use super::merge::merge;
use super::rows_ahead::RowsAhead;
use super::shared::{Positions, shared};
use super::step::{Home, Place, Step, Steps};
use super::trace::{Lanes, Parts, Reach, Subject, Tracer, VECTOR, no_wide_form};
use crate::backend::cpu::emit::Class;
use crate::backend::cpu::form::{Fold, Program};
use crate::backend::cpu::lanes::{Code, Values, walk};
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::reduction::LANES;

/// Vectors of the narrowest values that a group of results fills, the most first. Memory gives whole lines of a row, and is
/// slow to give few of each.
const VECTORS: [usize; 3] = [8, 4, 1];

/// Operands beyond these would have no registers.
const MOST_PORTS: usize = 5;

/// The function for operands of such classes along the results.
///
/// # Errors
/// `Unsupported` for a reduction that has no wide form.
pub(in crate::backend::cpu) fn columns_function(
    body: &Program,
    folds: &[Fold],
    classes: &[Class],
    options: Options,
) -> Result<Assembled> {
    refuse_bytes(body)?;
    refuse_merges(body, folds)?;
    let states = || folds.iter().flat_map(|fold| &fold.init);
    let plain =
        classes.iter().all(|class| *class == Class::Contiguous) && states().all(|init| init.dtype() != DType::Bool);
    if !plain || calls_kernels(body) || classes.len() > MOST_PORTS {
        return Err(no_wide_form("a reduction of such columns"));
    }
    let mut asm = Assembler::new(options.text);
    let frame = Frame::new(body.ports.len());
    Frame::enter(&mut asm, true);
    asm.copy(BASES, RDI);
    asm.store(Memory::base(RSP, STRIDES), RSI);
    asm.store(Memory::base(RSP, STOP), RDX);
    asm.store(Memory::base(RSP, FIRST), RCX);
    asm.copy(END, R8);
    asm.copy(STATE, R9);
    asm.set(INDEX, 0);
    let held = vec![None; classes.len()];
    let components: Vec<Vec<Component>> = folds.iter().map(|fold| components(body, fold)).collect();
    let least = least_lanes(body.types_used().chain(states().map(|init| init.dtype())));
    let subject = &Subject { ports: &body.ports, classes, held: &held, held_lanes: 0 };
    let components = &components;
    let columns = |vectors, reach| Columns { body, folds, components, subject, options, lanes: least * vectors, reach };
    // Fewer vectors may fit the tile where more do not.
    let groups = VECTORS.map(|vectors| columns(vectors, Reach::Whole)).into_iter();
    let mut groups = groups.filter(|columns| columns.lanes == least || columns.fits()).peekable();
    while let Some(columns) = groups.next() {
        columns.groups(&mut asm, &frame, groups.peek().map_or(0, |narrower| narrower.lanes))?;
    }
    columns(1, Reach::Tail).rest(&mut asm, &frame)?;
    Frame::leave(&mut asm);
    asm.finish()
}

/// A component of a state.
#[derive(Debug, Clone, Copy)]
struct Component {
    dtype: DType,
    /// Whether it is the same for all results, like the number of elements: it has one vector, not one for each group of
    /// lanes.
    shared: bool,
}

/// What reduces groups of so many results.
struct Columns<'a> {
    body: &'a Program,
    folds: &'a [Fold],
    components: &'a [Vec<Component>],
    subject: &'a Subject<'a>,
    options: Options,
    lanes: usize,
    reach: Reach,
}

/// The states of one virtual lane, by fold and component.
type States = Vec<Vec<Lanes>>;

impl Columns<'_> {
    /// Reduces whole groups, as long as more results are left than these.
    fn groups(&self, asm: &mut Assembler, frame: &Frame, narrower: usize) -> Result<()> {
        let (again, done) = (asm.label(), asm.label());
        asm.bind(again);
        self.start_group(asm, narrower, done);
        self.group(asm, frame)?;
        asm.arithmetic_value(Arithmetic::Add, INDEX, self.lanes as i32);
        asm.jump(again);
        asm.bind(done);
        Ok(())
    }

    /// Jumps if no more are left than these, or if there never were as many as a group has. Where fewer are left, the group begins
    /// with results that are known already: that is less work than several narrow groups.
    fn start_group(&self, asm: &mut Assembler, narrower: usize, done: Label) {
        let whole = asm.label();
        asm.copy(RCX, END);
        asm.arithmetic(Arithmetic::Sub, RCX, INDEX);
        asm.arithmetic_value(Arithmetic::Compare, RCX, narrower as i32);
        asm.jump_if(Condition::NotGreater, done);
        asm.arithmetic_value(Arithmetic::Sub, RCX, self.lanes as i32);
        asm.arithmetic_value(Arithmetic::Compare, RCX, -1);
        asm.jump_if(Condition::Greater, whole);
        asm.arithmetic_value(Arithmetic::Compare, END, self.lanes as i32);
        asm.jump_if(Condition::Less, done);
        asm.arithmetic(Arithmetic::Add, INDEX, RCX);
        asm.store(Memory::base(RSP, WORD), RCX);
        asm.set(RAX, self.slots() as i32 * 8);
        asm.multiply(RAX, Memory::base(RSP, WORD));
        asm.arithmetic(Arithmetic::Add, STATE, RAX);
        asm.bind(whole);
    }

    /// Reduces the results that are fewer than any group has.
    fn rest(&self, asm: &mut Assembler, frame: &Frame) -> Result<()> {
        let done = asm.label();
        count_left(asm, done);
        self.group(asm, frame)?;
        asm.bind(done);
        Ok(())
    }

    fn group(&self, asm: &mut Assembler, frame: &Frame) -> Result<()> {
        self.fill(asm, frame)?;
        self.rows(asm, frame)?;
        self.halve(asm, frame)?;
        self.write(asm)
    }

    /// The slots of the state of a result.
    fn slots(&self) -> usize {
        self.folds.iter().map(|fold| fold.init.len()).sum()
    }

    fn tracer<'t>(&'t self, asm: &'t mut Assembler, frame: &'t mut Frame) -> Tracer<'t> {
        let mut t = Tracer::new(asm, frame, self.subject, self.options.level, self.lanes, self.reach);
        t.rows = true;
        t
    }

    /// Vectors of a component.
    fn vectors(&self, component: Component) -> usize {
        if component.shared { 1 } else { (self.lanes * component.dtype.size()).div_ceil(VECTOR) }
    }

    /// Bytes of the states of one virtual lane.
    fn bytes(&self) -> usize {
        self.components.iter().flatten().map(|&component| self.vectors(component) * VECTOR).sum()
    }

    /// Whether all states have room.
    fn fits(&self) -> bool {
        self.bytes() * LANES <= TILES as usize
    }

    fn size(&self) -> Result<i32> {
        if self.fits() { Ok(self.bytes() as i32) } else { Err(no_wide_form("so large a state")) }
    }

    /// The states so many bytes behind the present virtual lane's.
    fn states(&self, t: &mut Tracer<'_>, distance: i32) -> Result<States> {
        let mut offset = distance;
        let mut state = |t: &mut Tracer<'_>, component: Component| {
            let width = t.width(component.dtype)?;
            let mut parts = Parts::new();
            for _ in 0..self.vectors(component) {
                parts.push(t.steps.value(Home::Place(Place::Tile { scale: 1, offset })));
                offset += VECTOR as i32;
            }
            let shared = parts[0];
            parts.resize(t.vectors(width), shared);
            Ok(Lanes { dtype: component.dtype, width, parts })
        };
        let folds = self.components.iter();
        folds.map(|fold| fold.iter().map(|&component| state(t, component)).collect()).collect()
    }

    /// Stores the states, and lets those of the same results be computed together.
    fn store(&self, t: &mut Tracer<'_>, states: &[Vec<Lanes>]) {
        let components = self.components.iter().flatten().zip(states.iter().flatten());
        let values =
            components.flat_map(|(&component, lanes)| lanes.parts.iter().take(self.vectors(component)).enumerate());
        let mut stores: Vec<(usize, Step)> = values
            .zip(0..)
            .map(|((part, &value), vector)| {
                let to = Place::Tile { scale: 1, offset: vector * VECTOR as i32 };
                (part, Step::Store { opcode: &STORE, value, mask: None, to })
            })
            .collect();
        stores.sort_by_key(|(part, _)| *part);
        t.steps.steps.extend(stores.into_iter().map(|(_, store)| store));
        t.steps.depth_first([]);
    }

    /// A loop over virtual lanes, with the number of each as that of a row.
    fn lanewise(&self, asm: &mut Assembler, frame: &Frame, lanes: usize, steps: &Steps) -> Result<()> {
        let size = self.size()?;
        let again = asm.label();
        asm.set(TILE, 0);
        asm.set(OTHER, 0);
        asm.bind(again);
        straight(asm, frame, steps, &[])?;
        asm.arithmetic_value(Arithmetic::Add, OTHER, 1);
        asm.arithmetic_value(Arithmetic::Add, TILE, size);
        asm.arithmetic_value(Arithmetic::Compare, TILE, size * lanes as i32);
        asm.jump_if(Condition::Less, again);
        Ok(())
    }

    /// Sets all virtual lanes to the state of no elements.
    fn fill(&self, asm: &mut Assembler, frame: &Frame) -> Result<()> {
        let mut own = frame.clone();
        let steps = {
            let mut t = self.tracer(asm, &mut own);
            let mut states = States::new();
            for fold in self.folds {
                let part = |(part, &init)| match fold.starts_with_position(part) {
                    true => t.position(),
                    false => t.constant(init),
                };
                states.push(fold.init.iter().enumerate().map(part).collect::<Result<_>>()?);
            }
            self.store(&mut t, &states);
            t.steps
        };
        self.lanewise(asm, frame, LANES, &steps)
    }

    /// Merges the elements of all rows into the virtual lanes.
    fn rows(&self, asm: &mut Assembler, frame: &Frame) -> Result<()> {
        let mut own = frame.clone();
        let steps = {
            let mut t = self.tracer(asm, &mut own);
            let states = self.states(&mut t, 0)?;
            let mut values = Values::new(self.body.types.len());
            walk(&self.body.statements, &mut values, &mut t)?;
            let mut merged = States::new();
            for (fold, left) in self.folds.iter().zip(&states) {
                let lifted: Vec<Lanes> =
                    fold.lifted.iter().map(|&id| values.get(id).cloned()).collect::<Result<_>>()?;
                merged.push(merge(&mut t, self.body, fold.next(), left, &lifted)?);
            }
            self.store(&mut t, &merged);
            t.steps
        };
        let size = self.size()?;
        let ahead = RowsAhead::new(asm, &mut own, &self.body.ports, self.lanes);
        let (turn, again) = (asm.label(), asm.label());
        asm.set(OTHER, 0);
        frame.load_bases(asm);
        asm.bind(turn);
        self.start_turn(asm);
        ahead.choose(asm);
        asm.bind(again);
        // What is copied in has its place in this frame, beside what is spilled.
        straight(asm, &own, &steps, &[])?;
        ahead.step(asm, &own);
        asm.arithmetic_value(Arithmetic::Add, TILE, size);
        asm.arithmetic_value(Arithmetic::Add, OTHER, 1);
        asm.load(RAX, Memory::base(RSP, PAUSE));
        asm.arithmetic(Arithmetic::Compare, OTHER, RAX);
        asm.jump_if(Condition::Less, again);
        asm.load(RAX, Memory::base(RSP, STOP));
        asm.arithmetic(Arithmetic::Compare, OTHER, RAX);
        asm.jump_if(Condition::Less, turn);
        Ok(())
    }

    /// Begins rows for all virtual lanes, or for as many as there are rows.
    fn start_turn(&self, asm: &mut Assembler) {
        asm.set(TILE, 0);
        asm.load(RAX, Memory::base(RSP, STOP));
        asm.address(RCX, Memory::base(OTHER, LANES as i32));
        asm.arithmetic(Arithmetic::Compare, RCX, RAX);
        asm.copy_if(Condition::Greater, RCX, RAX);
        asm.store(Memory::base(RSP, PAUSE), RCX);
    }

    /// Merges the virtual lanes as a halving tree; the total is in the first.
    fn halve(&self, asm: &mut Assembler, frame: &Frame) -> Result<()> {
        let mut half = LANES / 2;
        while half > 0 {
            let mut own = frame.clone();
            let steps = {
                let mut t = self.tracer(asm, &mut own);
                let (left, right) = (self.states(&mut t, 0)?, self.states(&mut t, self.size()? * half as i32)?);
                let mut merged = States::new();
                for ((fold, left), right) in self.folds.iter().zip(&left).zip(&right) {
                    merged.push(merge(&mut t, self.body, &fold.merge, left, right)?);
                }
                self.store(&mut t, &merged);
                t.steps
            };
            self.lanewise(asm, frame, half, &steps)?;
            half /= 2;
        }
        Ok(())
    }

    /// Writes the totals to the states of the results, which follow each other in memory.
    fn write(&self, asm: &mut Assembler) -> Result<()> {
        let (slots, done) = (self.slots(), asm.label());
        for lane in 0..self.lanes {
            if self.reach == Reach::Tail {
                asm.load(RAX, Memory::base(RSP, LEFT));
                asm.arithmetic_value(Arithmetic::Compare, RAX, lane as i32);
                asm.jump_if(Condition::NotGreater, done);
            }
            let mut start = 0;
            for (fold, components) in self.folds.iter().zip(self.components) {
                for (slot, &component) in components.iter().enumerate() {
                    let lane = if component.shared { 0 } else { lane };
                    // Of four bytes twice as many are moved; nobody reads the rest of the slot.
                    asm.load(RAX, Frame::buffer((start + lane * component.dtype.size()) as i32));
                    asm.store(Memory::base(STATE, (fold.slot + slot) as i32 * 8), RAX);
                    start += self.vectors(component) * VECTOR;
                }
            }
            asm.arithmetic_value(Arithmetic::Add, STATE, slots as i32 * 8);
        }
        asm.bind(done);
        Ok(())
    }
}

/// The components of a fold's state.
fn components(body: &Program, fold: &Fold) -> Vec<Component> {
    let shared = shared(body, fold, Positions::OfRows);
    fold.init.iter().zip(shared).map(|(init, shared)| Component { dtype: init.dtype(), shared }).collect()
}
