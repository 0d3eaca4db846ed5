//! The code of a traced program with loops over steps: for each group of elements, piece after piece.
//!
//! Innermost loops keep what they carry, and constants, in registers; their steps are counted in one too. Invariant: at
//! the end of a loop all operands are where they were at its start. Must not know: what is computed.

use super::allocate::{Carried, load_carried};
use super::body::{pressure, residents, straight};
use super::encode::{Arithmetic, Assembler, Condition, Memory, Operand, R15, RAX, RCX, RSP, Vector};
use super::frame::{Frame, STRIDES};
use super::instruction::{Immediate, LOAD, PTEST, STORE};
use super::rounds::{End, Loop, Piece, Round};
use super::step::{Home, Place, Step, Steps, Value};
use crate::backend::cpu::form::Port;
use crate::error::{Error, Result};

/// A register that nothing is in between pieces.
const SCRATCH: Vector = Vector(15);

/// What makes the code of pieces.
pub(super) struct Nested<'a> {
    pub ports: &'a [Port],
    /// Where each value can be found.
    pub homes: Vec<Home>,
    pub frame: Frame,
    /// Whether quotients share reciprocals.
    pub shares: bool,
}

impl Nested<'_> {
    /// The code of some pieces.
    pub fn pieces(&self, asm: &mut Assembler, pieces: &[Piece]) -> Result<()> {
        for piece in pieces {
            match piece {
                Piece::Straight(steps) => {
                    straight(asm, &self.frame, &self.steps(steps), &[])?;
                }
                Piece::Loop(inner) => self.steps_of(asm, inner)?,
            }
        }
        Ok(())
    }

    fn steps(&self, steps: &[Step]) -> Steps {
        Steps { steps: steps.to_vec(), homes: self.homes.clone() }
    }

    /// Whether all that loops carry stays in registers without spilling anything.
    pub fn is_easy(&self, asm: &Assembler, pieces: &[Piece]) -> Result<bool> {
        for piece in pieces {
            let Piece::Loop(inner) = piece else { continue };
            let easy = match (inner.in_registers(), inner.innermost()) {
                (Some(steps), _) => {
                    pressure(asm, &self.frame, &self.steps(steps), &carried(&inner.rounds))?.spills == 0
                }
                (None, Some(_)) => false,
                (None, None) => self.is_easy(asm, &inner.body)?,
            };
            if !easy {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn steps_of(&self, asm: &mut Assembler, inner: &Loop) -> Result<()> {
        match inner.in_registers() {
            Some(steps) => self.in_registers(asm, inner, &self.steps(steps)),
            None => self.in_frame(asm, inner),
        }
    }

    fn in_registers(&self, asm: &mut Assembler, inner: &Loop, steps: &Steps) -> Result<()> {
        let mut carried = carried(&inner.rounds);
        for (round, carried) in inner.rounds.iter().zip(&carried) {
            self.fetch(asm, round.initial, Vector(carried.register))?;
        }
        let constants = residents(asm, &self.frame, steps, &carried, &[])?;
        load_carried(asm, &self.frame, steps, &constants)?;
        carried.extend(constants);
        let register = |round: usize| Ok(Vector(carried[round].register));
        self.around(
            asm,
            inner,
            |_, _, round| register(round),
            |asm| straight(asm, &self.frame, steps, &carried).map(|_| ()),
        )?;
        for (round, carried) in inner.rounds.iter().zip(&carried) {
            self.keep(asm, round.result, Vector(carried.register))?;
        }
        Ok(())
    }

    /// A loop that has others in it, or carries too much: all that it carries is in the frame at the start of a step.
    fn in_frame(&self, asm: &mut Assembler, inner: &Loop) -> Result<()> {
        for round in &inner.rounds {
            self.copy(asm, round.initial, round.current)?;
        }
        let steps = inner.innermost().map(|steps| self.steps(steps));
        let constants = steps.as_ref().map_or(Ok(Vec::new()), |steps| self.constants(asm, inner, steps))?;
        if let Some(steps) = &steps {
            load_carried(asm, &self.frame, steps, &constants)?;
        }
        let scratch = |this: &Self, asm: &mut Assembler, round: usize| {
            this.fetch(asm, inner.rounds[round].current, SCRATCH)?;
            Ok(SCRATCH)
        };
        self.around(asm, inner, scratch, |asm| {
            match &steps {
                Some(steps) => straight(asm, &self.frame, steps, &constants).map(|_| ())?,
                None => self.pieces(asm, &inner.body)?,
            }
            self.advance_rounds(asm, &inner.rounds)
        })
    }

    /// What stays in registers all along a loop whose rounds do not.
    fn constants(&self, asm: &Assembler, inner: &Loop, steps: &Steps) -> Result<Vec<Carried>> {
        let changing: Vec<Value> = inner.rounds.iter().flat_map(|round| [round.current, round.next]).collect();
        residents(asm, &self.frame, steps, &[], &changing)
    }

    /// All rounds at once: what takes the place of another's value waits until that is read.
    fn advance_rounds(&self, asm: &mut Assembler, rounds: &[Round]) -> Result<()> {
        let mut frame = self.frame.clone();
        let moves =
            |round: &Round| rounds.iter().any(|other| other.current == round.next && other.current != round.current);
        let mut waiting = Vec::new();
        for round in rounds.iter().filter(|round| moves(round)) {
            let slot = Memory::base(RSP, frame.allocate(32));
            self.fetch(asm, round.next, SCRATCH)?;
            asm.vector(&STORE, SCRATCH, None, Operand::Memory(slot), Immediate::None);
            waiting.push((round, slot));
        }
        for round in rounds.iter().filter(|round| !moves(round)) {
            self.copy(asm, round.next, round.current)?;
        }
        for (round, slot) in waiting {
            asm.vector(&LOAD, SCRATCH, None, Operand::Memory(slot), Immediate::None);
            self.keep(asm, round.current, SCRATCH)?;
        }
        if frame.is_too_large() { Err(super::trace::no_wide_form("so large a state")) } else { Ok(()) }
    }

    /// The loop around a step.
    fn around(
        &self,
        asm: &mut Assembler,
        inner: &Loop,
        vector: impl Fn(&Self, &mut Assembler, usize) -> Result<Vector>,
        step: impl FnOnce(&mut Assembler) -> Result<()>,
    ) -> Result<()> {
        let (again, done) = (asm.label(), asm.label());
        match &inner.end {
            End::Extent(axis, stepping) => {
                let entry = self.ports.len() + axis * (self.ports.len() + 1);
                self.start(asm, inner, entry, stepping);
                asm.jump_if(Condition::NotGreater, done);
                asm.bind(again);
                step(asm)?;
                self.advance(asm, entry + 1, stepping);
                self.count(asm, inner, stepping.len());
                asm.jump_if(Condition::NotEqual, again);
                self.restore(asm, inner, stepping);
            }
            End::NoLane(mask) => {
                let test = |asm: &mut Assembler| -> Result<()> {
                    for &round in mask {
                        let vector = vector(self, asm, round)?;
                        asm.vector(&PTEST, vector, None, Operand::Register(vector), Immediate::None);
                        asm.jump_if(Condition::NotEqual, again);
                    }
                    Ok(())
                };
                test(asm)?;
                asm.jump(done);
                asm.bind(again);
                step(asm)?;
                test(asm)?;
            }
        }
        asm.bind(done);
        Ok(())
    }

    /// Notes where the operands are and how many steps there are, and compares these with none.
    fn start(&self, asm: &mut Assembler, inner: &Loop, entry: usize, stepping: &[usize]) {
        for (number, &port) in stepping.iter().enumerate() {
            let base = self.base(asm, port);
            asm.store(Memory::base(RSP, inner.words + number as i32 * 8), base);
        }
        asm.load(RCX, Memory::base(RSP, STRIDES));
        asm.load(RAX, Memory::base(RCX, entry as i32 * 8));
        if inner.innermost().is_some() {
            asm.copy(R15, RAX);
        } else {
            asm.store(Memory::base(RSP, inner.words + stepping.len() as i32 * 8), RAX);
        }
        asm.arithmetic_value(Arithmetic::Compare, RAX, 0);
    }

    /// One step less; compared with none.
    fn count(&self, asm: &mut Assembler, inner: &Loop, words: usize) {
        if inner.innermost().is_some() {
            asm.arithmetic_value(Arithmetic::Sub, R15, 1);
            return;
        }
        let left = Memory::base(RSP, inner.words + words as i32 * 8);
        asm.load(RAX, left);
        asm.arithmetic_value(Arithmetic::Sub, RAX, 1);
        asm.store(left, RAX);
    }

    /// Moves the operands on by a step.
    fn advance(&self, asm: &mut Assembler, entry: usize, stepping: &[usize]) {
        if !stepping.is_empty() {
            asm.load(RCX, Memory::base(RSP, STRIDES));
        }
        for &port in stepping {
            let stride = Memory::base(RCX, (entry + port) as i32 * 8);
            let base = self.base(asm, port);
            asm.add(base, stride);
            self.set_base(asm, port, base);
        }
    }

    fn restore(&self, asm: &mut Assembler, inner: &Loop, stepping: &[usize]) {
        for (number, &port) in stepping.iter().enumerate() {
            let base = self.register(port).unwrap_or(RAX);
            asm.load(base, Memory::base(RSP, inner.words + number as i32 * 8));
            self.set_base(asm, port, base);
        }
    }

    /// The register of an operand's base; positions have none, since they are read from the table.
    fn register(&self, port: usize) -> Option<super::encode::General> {
        Frame::base_register(port).filter(|_| self.ports[port].is_memory())
    }

    fn base(&self, asm: &mut Assembler, port: usize) -> super::encode::General {
        self.register(port).unwrap_or_else(|| {
            asm.load(RAX, Frame::table(port));
            RAX
        })
    }

    fn set_base(&self, asm: &mut Assembler, port: usize, base: super::encode::General) {
        if self.register(port).is_none() {
            asm.store(Frame::table(port), base);
        }
    }

    fn fetch(&self, asm: &mut Assembler, value: Value, to: Vector) -> Result<()> {
        let from = match self.homes[value.0 as usize] {
            Home::Constant(memory) => memory,
            Home::Place(Place::Frame(slot)) => Memory::base(RSP, slot),
            Home::None | Home::Place(_) => return Err(Error::Internal("a carried value without a place".into())),
        };
        asm.vector(&LOAD, to, None, Operand::Memory(from), Immediate::None);
        Ok(())
    }

    fn keep(&self, asm: &mut Assembler, value: Value, from: Vector) -> Result<()> {
        let Home::Place(Place::Frame(slot)) = self.homes[value.0 as usize] else {
            return Err(Error::Internal("a carried value without a place".into()));
        };
        asm.vector(&STORE, from, None, Operand::Memory(Memory::base(RSP, slot)), Immediate::None);
        Ok(())
    }

    fn copy(&self, asm: &mut Assembler, from: Value, to: Value) -> Result<()> {
        if self.homes[from.0 as usize] == self.homes[to.0 as usize] {
            return Ok(());
        }
        self.fetch(asm, from, SCRATCH)?;
        self.keep(asm, to, SCRATCH)
    }
}

/// Rounds in registers, one after the other.
fn carried(rounds: &[Round]) -> Vec<Carried> {
    let register = |(index, round): (usize, &Round)| Carried {
        before: round.current,
        after: Some(round.next),
        register: index as u8,
    };
    rounds.iter().enumerate().map(register).collect()
}
