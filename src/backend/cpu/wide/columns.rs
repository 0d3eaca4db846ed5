//! The function that reduces up to a block of several neighboring results at once, as the other emitter makes it:
//! `(bases, strides, count, first, columns, states)`.
//!
//! Lanes of a vector are results here; the virtual lanes of `ops::reduction` are sixteen states in the tile, merged in the
//! same order. Must not know: how many blocks there are, threads.

use super::Options;
use super::body::{count_left, jump_if_fewer, least_lanes, refuse_bytes, refuse_merges, straight};
use super::encode::{Arithmetic, Assembled, Assembler, Condition, Memory, R8, R9, RAX, RCX, RDI, RDX, RSI, RSP};
use super::frame::{BASES, END, FIRST, Frame, INDEX, LEFT, OTHER, STATE, STOP, STRIDES, TILE, TILES};
use super::instruction::STORE;
use super::reduce::merge;
use super::step::{Home, Place, Step, Steps};
use super::trace::{Lanes, Parts, Reach, Subject, Tracer, VECTOR, no_wide_form};
use crate::backend::cpu::emit::Class;
use crate::backend::cpu::form::{Fold, Program};
use crate::backend::cpu::lanes::{Code, Values, walk};
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::reduction::LANES;

/// Vectors of the narrowest values that a group of results fills, the most first.
const VECTORS: [usize; 2] = [4, 1];

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
    if !plain || body.calls_functions() || classes.len() > MOST_PORTS {
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
    let least = least_lanes(body.types_used().chain(states().map(|init| init.dtype())));
    for (vectors, reach) in VECTORS.map(|vectors| (vectors, Reach::Whole)).into_iter().chain([(1, Reach::Tail)]) {
        let subject = Subject { ports: &body.ports, classes, held: &held };
        Columns { body, folds, subject, options, lanes: least * vectors, reach }.groups(&mut asm, &frame)?;
    }
    Frame::leave(&mut asm);
    asm.finish()
}

/// What reduces groups of so many results.
struct Columns<'a> {
    body: &'a Program,
    folds: &'a [Fold],
    subject: Subject<'a>,
    options: Options,
    lanes: usize,
    reach: Reach,
}

/// The states of one virtual lane, by fold and component.
type States = Vec<Vec<Lanes>>;

impl Columns<'_> {
    /// Reduces groups as long as there are whole ones, or what is left.
    fn groups(&self, asm: &mut Assembler, frame: &Frame) -> Result<()> {
        let (again, done) = (asm.label(), asm.label());
        match self.reach {
            Reach::Whole => jump_if_fewer(asm, self.lanes, done),
            Reach::Tail => count_left(asm, done),
        }
        asm.bind(again);
        self.fill(asm, frame)?;
        self.rows(asm, frame)?;
        self.halve(asm, frame)?;
        self.write(asm)?;
        asm.arithmetic_value(Arithmetic::Add, INDEX, self.lanes as i32);
        if self.reach == Reach::Whole {
            asm.address(RAX, Memory::base(INDEX, self.lanes as i32));
            asm.arithmetic(Arithmetic::Compare, RAX, END);
            asm.jump_if(Condition::NotGreater, again);
        }
        asm.bind(done);
        Ok(())
    }

    fn tracer<'t>(&'t self, asm: &'t mut Assembler, frame: &'t mut Frame) -> Tracer<'t> {
        let mut t = Tracer::new(asm, frame, &self.subject, self.options.level, self.lanes, self.reach);
        t.rows = true;
        t
    }

    /// Bytes of the states of one virtual lane.
    fn size(&self) -> Result<i32> {
        let dtypes = self.folds.iter().flat_map(|fold| fold.init.iter().map(|init| init.dtype().size()));
        let size = dtypes.map(|width| (self.lanes * width).next_multiple_of(VECTOR)).sum::<usize>();
        if size * LANES > TILES as usize { Err(no_wide_form("so large a state")) } else { Ok(size as i32) }
    }

    /// The places of all vectors of the states so many bytes behind the present virtual lane's.
    fn places(&self, distance: i32) -> Vec<Place> {
        let widths = self.folds.iter().flat_map(|fold| fold.init.iter().map(|init| init.dtype().size()));
        let vectors: usize = widths.map(|width| (self.lanes * width).div_ceil(VECTOR)).sum();
        (0..vectors as i32).map(|vector| Place::Tile { scale: 1, offset: distance + vector * VECTOR as i32 }).collect()
    }

    /// The states so many bytes behind the present virtual lane's.
    fn states(&self, t: &mut Tracer<'_>, distance: i32) -> Result<States> {
        let mut places = self.places(distance).into_iter();
        let mut states = States::new();
        for fold in self.folds {
            let mut components = Vec::new();
            for init in &fold.init {
                let width = t.width(init.dtype())?;
                let parts: Parts =
                    places.by_ref().take(t.vectors(width)).map(|place| t.steps.value(Home::Place(place))).collect();
                components.push(Lanes { dtype: init.dtype(), width, parts });
            }
            states.push(components);
        }
        Ok(states)
    }

    fn store(&self, t: &mut Tracer<'_>, states: &[Vec<Lanes>]) {
        let values = states.iter().flatten().flat_map(|component| component.parts.iter().copied());
        let places = self.places(0);
        t.steps.steps.extend(values.zip(places).map(|(value, to)| Step::Store {
            opcode: &STORE,
            value,
            mask: None,
            to,
        }));
    }

    /// A loop over virtual lanes.
    fn lanewise(&self, asm: &mut Assembler, frame: &Frame, lanes: usize, steps: &Steps) -> Result<()> {
        let size = self.size()?;
        let again = asm.label();
        asm.set(TILE, 0);
        asm.bind(again);
        straight(asm, frame, steps, &[])?;
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
                states.push(fold.init.iter().map(|&init| t.constant(init)).collect::<Result<_>>()?);
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
                merged.push(merge(&mut t, self.body, fold, left, &lifted)?);
            }
            self.store(&mut t, &merged);
            t.steps
        };
        let (size, ports) = (self.size()?, self.body.ports.len());
        let (again, wrapped) = (asm.label(), asm.label());
        asm.set(OTHER, 0);
        asm.set(TILE, 0);
        frame.load_bases(asm);
        asm.bind(again);
        // What is copied in has its place in this frame, beside what is spilled.
        straight(asm, &own, &steps, &[])?;
        asm.load(RCX, Memory::base(RSP, STRIDES));
        for port in 0..ports {
            asm.load(RAX, Memory::base(RCX, (ports + port) as i32 * 8));
            let base = frame.base(asm, port);
            asm.arithmetic(Arithmetic::Add, base, RAX);
        }
        asm.arithmetic_value(Arithmetic::Add, TILE, size);
        asm.arithmetic_value(Arithmetic::Compare, TILE, size * LANES as i32);
        asm.jump_if(Condition::Less, wrapped);
        asm.set(TILE, 0);
        asm.bind(wrapped);
        asm.arithmetic_value(Arithmetic::Add, OTHER, 1);
        asm.load(RAX, Memory::base(RSP, STOP));
        asm.arithmetic(Arithmetic::Compare, OTHER, RAX);
        asm.jump_if(Condition::Less, again);
        Ok(())
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
                    merged.push(merge(&mut t, self.body, fold, left, right)?);
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
        let slots: usize = self.folds.iter().map(|fold| fold.init.len()).sum();
        let done = asm.label();
        for lane in 0..self.lanes {
            if self.reach == Reach::Tail {
                asm.load(RAX, Memory::base(RSP, LEFT));
                asm.arithmetic_value(Arithmetic::Compare, RAX, lane as i32);
                asm.jump_if(Condition::NotGreater, done);
            }
            let mut start = 0;
            for fold in self.folds {
                for (component, init) in fold.init.iter().enumerate() {
                    let width = init.dtype().size();
                    // Of four bytes twice as many are moved; nobody reads the rest of the slot.
                    asm.load(RAX, Frame::buffer((start + lane * width) as i32));
                    asm.store(Memory::base(STATE, (fold.slot + component) as i32 * 8), RAX);
                    start += (self.lanes * width).next_multiple_of(VECTOR);
                }
            }
            asm.arithmetic_value(Arithmetic::Add, STATE, slots as i32 * 8);
        }
        asm.bind(done);
        Ok(())
    }
}
