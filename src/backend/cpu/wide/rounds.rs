//! A program with loops over steps, traced: straight-line pieces, and loops whose bodies are pieces again.
//!
//! What one piece defines and another reads has a place in the frame; what an innermost loop carries stays in registers
//! if it fits. In a loop on a condition the mask of the lanes that go on is carried too. Invariant: a value is stored to
//! its place by the step that follows its definition. Must not know: registers, bytes.

use smallvec::SmallVec;

use super::frame::Frame;
use super::instruction::{AND, STORE};
use super::step::{Home, Place, Step, Steps, Value};
use super::trace::{Lanes, Reach, Tracer, VECTOR, no_wide_form};
use crate::backend::cpu::lanes::{Values, walk};
use crate::backend::cpu::nested::{Stepping, accessed};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::loops::{Axis, Block, Carried, Nest, ValueId};

/// The most vectors that go round a loop in registers: some are left to compute in.
const CARRIED: usize = 12;

/// A vector that is carried from step to step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    /// Before the first step.
    pub initial: Value,
    /// At the start of a step.
    pub current: Value,
    /// At its end.
    pub next: Value,
    /// After the last.
    pub result: Value,
}

/// What ends a loop.
#[derive(Debug)]
pub(super) enum End {
    /// The extent of an axis; with the operands that move along it.
    Extent(usize, Stepping),
    /// No lane goes on: the vectors of the mask, as numbers of rounds.
    NoLane(Vec<usize>),
}

/// Where loops keep what goes round them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// In registers, where there are enough.
    Registers,
    /// In the frame, so that more vectors go side by side than there are registers for.
    Frame,
}

/// A loop over steps.
#[derive(Debug)]
pub(super) struct Loop {
    pub end: End,
    pub rounds: Vec<Round>,
    pub body: Vec<Piece>,
    /// Where the frame keeps the bases of its operands, and behind them how many steps are left.
    pub words: i32,
    pub keep: Keep,
}

/// A part of a traced program.
#[derive(Debug)]
pub(super) enum Piece {
    /// Straight-line code.
    Straight(Vec<Step>),
    /// A loop.
    Loop(Loop),
}

impl Loop {
    /// The body of a loop whose rounds stay in registers.
    pub fn in_registers(&self) -> Option<&[Step]> {
        match self.innermost() {
            Some(steps) if self.keep == Keep::Registers && self.rounds.len() <= CARRIED => Some(steps),
            Some(_) | None => None,
        }
    }

    /// The body of a loop that has no other in it.
    pub fn innermost(&self) -> Option<&[Step]> {
        match self.body.as_slice() {
            [] => Some(&[]),
            [Piece::Straight(steps)] => Some(steps),
            [_, ..] => None,
        }
    }
}

/// Traces the nests of a program.
pub(super) struct Rounds<'t, 'a> {
    pub tracer: &'t mut Tracer<'a>,
    /// Bytes of a lane of a mask that goes round.
    pub mask_width: usize,
    /// The lanes that matter, where not all do.
    active: Option<Lanes>,
    keep: Keep,
    /// Whether quotients share reciprocals.
    pub shares: bool,
}

impl<'t, 'a> Rounds<'t, 'a> {
    /// Begins with all lanes that there are.
    pub fn new(tracer: &'t mut Tracer<'a>, mask_width: usize, reach: Reach, keep: Keep) -> Rounds<'t, 'a> {
        let active = (reach == Reach::Tail).then(|| {
            let first = |part: usize| part * VECTOR / mask_width;
            let parts = (0..tracer.vectors(mask_width)).map(|part| tracer.tail_mask(mask_width, first(part))).collect();
            Lanes { dtype: DType::Bool, width: mask_width, parts }
        });
        Rounds { tracer, mask_width, active, keep, shares: false }
    }

    /// Traces some nests.
    pub fn nests(&mut self, nests: &[Nest], values: &mut Values<Lanes>, pieces: &mut Vec<Piece>) -> Result<()> {
        for nest in nests {
            match nest {
                Nest::Block(block) => walk(&block.statements, values, self.tracer)?,
                Nest::Sequential { axis: Axis(axis), carried, body } => {
                    let initial = self.all(carried, |item| item.initial, values)?;
                    self.cut(pieces);
                    let (current, mut inside) = (self.fresh(&initial), Vec::new());
                    let masks = self.tracer.masks.len();
                    set_all(values, carried, |item| item.current, &current);
                    self.nests(body, values, &mut inside)?;
                    let next = self.all(carried, |item| item.next, values)?;
                    self.tracer.masks.truncate(masks);
                    let end = End::Extent(*axis as usize, accessed(body));
                    let result = self.close(end, [&initial, &current, &next], inside, pieces);
                    set_all(values, carried, |item| item.result, &result);
                }
                Nest::While { carried, condition, holds, body } => {
                    self.repeat(carried, (condition, *holds), body, values, pieces)?;
                }
                Nest::Map { .. } | Nest::Reduce { .. } => {
                    return Err(Error::Internal("a nest that is no loop over steps".into()));
                }
            }
        }
        Ok(())
    }

    fn repeat(
        &mut self,
        carried: &[Carried],
        condition: (&Block, ValueId),
        body: &[Nest],
        values: &mut Values<Lanes>,
        pieces: &mut Vec<Piece>,
    ) -> Result<()> {
        let mut initial = self.all(carried, |item| item.initial, values)?;
        set_all(values, carried, |item| item.current, &initial);
        let holds = self.holds(condition, values)?;
        initial.push(holds);
        self.cut(pieces);
        let (current, mut inside) = (self.fresh(&initial), Vec::new());
        let (masks, outside) = (self.tracer.masks.len(), self.active.clone());
        let going = current[carried.len()].clone();
        self.active = Some(going.clone());
        set_all(values, carried, |item| item.current, &current);
        self.nests(body, values, &mut inside)?;
        let stepped = self.all(carried, |item| item.next, values)?;
        let mut next = Vec::new();
        for (stepped, current) in stepped.iter().zip(&current) {
            let chosen = self.tracer.select(&going, stepped, current);
            next.push(self.settle(&chosen));
        }
        set_all(values, carried, |item| item.current, &next);
        let holds = self.holds(condition, values)?;
        next.push(holds);
        self.tracer.masks.truncate(masks);
        self.active = outside;
        let first = current.iter().take(carried.len()).map(|value| value.parts.len()).sum::<usize>();
        let end = End::NoLane((first..first + going.parts.len()).collect());
        let result = self.close(end, [&initial, &current, &next], inside, pieces);
        set_all(values, carried, |item| item.result, &result);
        Ok(())
    }

    /// Where a condition holds, of the lanes that matter.
    fn holds(&mut self, (condition, holds): (&Block, ValueId), values: &mut Values<Lanes>) -> Result<Lanes> {
        walk(&condition.statements, values, self.tracer)?;
        let holds = self.settle(values.get(holds)?);
        let Some(active) = self.active.clone() else { return Ok(holds) };
        let pairs = holds.parts.iter().zip(&active.parts);
        Ok(holds.with(pairs.map(|(&holds, &active)| self.tracer.compute(&AND, Some(active), holds))))
    }

    fn all(
        &mut self,
        carried: &[Carried],
        which: impl Fn(&Carried) -> ValueId,
        values: &Values<Lanes>,
    ) -> Result<Vec<Lanes>> {
        carried.iter().map(|item| Ok(self.settle(values.get(which(item))?))).collect()
    }

    /// The form in which a value goes round a loop: masks have one width there.
    fn settle(&mut self, value: &Lanes) -> Lanes {
        if value.dtype == DType::Bool { self.tracer.mask_to(value, self.mask_width) } else { value.clone() }
    }

    /// New vectors in the shape of others.
    fn fresh(&mut self, like: &[Lanes]) -> Vec<Lanes> {
        let steps = &mut self.tracer.steps;
        like.iter().map(|like| like.with(like.parts.iter().map(|_| steps.value(Home::None)))).collect()
    }

    /// Ends a straight-line piece.
    pub fn cut(&mut self, pieces: &mut Vec<Piece>) {
        let shares = self.tracer.share_reciprocals();
        let mut steps = std::mem::take(&mut self.tracer.steps.steps);
        if !shares {
            super::order::for_divider(&mut steps);
        }
        self.shares |= shares;
        if !steps.is_empty() {
            pieces.push(Piece::Straight(steps));
        }
    }

    /// Ends a loop; gives what it results in.
    fn close(
        &mut self,
        end: End,
        [initial, current, next]: [&[Lanes]; 3],
        mut body: Vec<Piece>,
        pieces: &mut Vec<Piece>,
    ) -> Vec<Lanes> {
        self.cut(&mut body);
        let results = self.fresh(initial);
        let flat = |values: &[Lanes]| -> Vec<Value> { values.iter().flat_map(|value| value.parts.clone()).collect() };
        let [initial, current, next, result] = [initial, current, next, &results].map(flat);
        let rounds = (0..initial.len())
            .map(|i| Round { initial: initial[i], current: current[i], next: next[i], result: result[i] })
            .collect();
        pieces.push(Piece::Loop(Loop { end, rounds, body, words: 0, keep: self.keep }));
        results
    }
}

fn set_all(values: &mut Values<Lanes>, carried: &[Carried], which: impl Fn(&Carried) -> ValueId, lanes: &[Lanes]) {
    carried.iter().zip(lanes).for_each(|(item, value)| values.set(which(item), value.clone()));
}

/// Whether what comes next can be stored over what it takes the place of, which no later step reads, as soon as it is known.
fn replaces(inner: &Loop, round: &Round) -> bool {
    let steps = inner.innermost().unwrap_or(&[]);
    let Some(defined) = steps.iter().position(|step| step.result() == Some(round.next)) else { return false };
    let mut is_read = false;
    steps[defined + 1..].iter().for_each(|step| step.reads(|value| is_read |= value == round.current));
    let same = |other: &&Round| other.next == round.next || other.next == round.current;
    !is_read && inner.rounds.iter().filter(same).count() == 1
}

/// Gives places to what goes from one piece to another, and stores it there; gives where each value can be found.
///
/// # Errors
/// `Unsupported` if it does not fit the frame.
pub(super) fn place(steps: Steps, pieces: &mut [Piece], frame: &mut Frame) -> Result<Vec<Home>> {
    let values = steps.homes.len();
    let mut places = Places { homes: steps.homes, defined: vec![0; values], count: 0, frame };
    places.define(pieces);
    places.count = 0;
    places.need(pieces);
    places.store(pieces);
    if places.frame.is_too_large() { Err(no_wide_form("so many values between loops")) } else { Ok(places.homes) }
}

struct Places<'a> {
    homes: Vec<Home>,
    /// The number of the piece that defines each value; 0 for none.
    defined: Vec<usize>,
    /// Pieces so far.
    count: usize,
    frame: &'a mut Frame,
}

impl Places<'_> {
    fn define(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            match piece {
                Piece::Straight(steps) => {
                    self.count += 1;
                    steps.iter().filter_map(Step::result).for_each(|value| self.defined[value.0 as usize] = self.count);
                }
                Piece::Loop(inner) => {
                    if inner.in_registers().is_some() {
                        // The body is the next piece.
                        let body = self.count + 1;
                        inner.rounds.iter().for_each(|round| self.defined[round.current.0 as usize] = body);
                    }
                    self.define(&inner.body);
                }
            }
        }
    }

    fn need(&mut self, pieces: &mut [Piece]) {
        for piece in pieces {
            match piece {
                Piece::Straight(steps) => {
                    self.count += 1;
                    steps.iter().for_each(|step| step.reads(|value| self.read(value, self.count)));
                }
                Piece::Loop(inner) => self.need_loop(inner),
            }
        }
    }

    fn need_loop(&mut self, inner: &mut Loop) {
        let ports = if let End::Extent(_, ports) = &inner.end { ports.len() } else { 0 };
        inner.words = self.frame.allocate((ports + 1) * 8);
        let body = if inner.in_registers().is_some() { self.count + 1 } else { usize::MAX };
        for round in &inner.rounds {
            self.read(round.initial, usize::MAX);
            if body == usize::MAX {
                self.read(round.current, body);
                self.homes[round.result.0 as usize] = self.homes[round.current.0 as usize];
            } else {
                self.read(round.result, usize::MAX);
            }
            if body == usize::MAX && replaces(inner, round) {
                self.homes[round.next.0 as usize] = self.homes[round.current.0 as usize];
            }
            self.read(round.next, body);
        }
        self.need(&mut inner.body);
    }

    /// Sees to it that a piece can read a value.
    fn read(&mut self, value: Value, piece: usize) {
        let index = value.0 as usize;
        if self.homes[index] == Home::None && self.defined[index] != piece {
            self.homes[index] = Home::Place(Place::Frame(self.frame.allocate(VECTOR)));
        }
    }

    fn store(&mut self, pieces: &mut [Piece]) {
        for piece in pieces {
            match piece {
                Piece::Straight(steps) => {
                    let with_store = |step: Step| -> SmallVec<[Step; 2]> {
                        let home = step.result().map(|value| (value, self.homes[value.0 as usize]));
                        let mut all = SmallVec::from_iter([step]);
                        if let Some((value, Home::Place(to))) = home {
                            all.push(Step::Store { opcode: &STORE, value, mask: None, to });
                        }
                        all
                    };
                    *steps = std::mem::take(steps).into_iter().flat_map(with_store).collect();
                }
                Piece::Loop(inner) => self.store(&mut inner.body),
            }
        }
    }
}
