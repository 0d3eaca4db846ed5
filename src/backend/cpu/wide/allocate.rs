//! Registers for straight-line vector code, assigned in one walk that makes the code.
//!
//! When no register is free, the value whose next use is farthest away leaves its own (Belady 1966): it is spilled to the
//! frame unless it can be loaded again from elsewhere. Constants and spilled values serve as memory operands where an
//! instruction takes one. What goes round a loop has its register at the start and gets it back at the end.
//! Must not know: what the code computes.

use super::encode::{Ask, Assembler, Condition, Memory, Operand, RCX, RSP, Vector};
use super::finish::Detour;
use super::frame::Frame;
use super::instruction::{ADDPD, ADDPS, AND, MULPD, MULPS, OR, PADDD, PADDQ, PCMPEQD, PCMPEQQ, PMULLD, PMULUDQ, XOR};
use super::instruction::{CMPPD, CMPPS, COPY, Immediate, LOAD, Opcode, STORE};
use super::ops::{GREATER, GREATER_OR_EQUAL, LESS, LESS_OR_EQUAL};
use super::step::{Home, Place, Step, Steps, Value};
use crate::error::{Error, Result};

/// Vector registers.
pub(super) const REGISTERS: usize = 16;

/// Steps within which a constant must be used again to be worth a register.
const NEAR: u32 = 12;

/// A value in a register at the start of straight-line code and another in the same one at its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carried {
    /// At the start.
    pub before: Value,
    /// At the end, if anything.
    pub after: Option<Value>,
    /// Where.
    pub register: u8,
}

/// What an allocation came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pressure {
    /// Vectors that were spilled.
    pub spills: usize,
    /// Registers that were in use at once by what has no home in the constants.
    pub registers: usize,
}

/// Makes the code of some steps.
pub(super) fn allocate(asm: &mut Assembler, frame: &mut Frame, steps: &Steps, carried: &[Carried]) -> Result<Pressure> {
    let mut allocator = Allocator::new(asm, frame, steps, carried);
    for (position, step) in steps.steps.iter().enumerate() {
        allocator.position = position as u32;
        allocator.step(step)?;
    }
    allocator.finish(carried)?;
    Ok(allocator.pressure)
}

/// Loads what is carried into its registers, from its home.
pub(super) fn load_carried(asm: &mut Assembler, frame: &Frame, steps: &Steps, carried: &[Carried]) -> Result<()> {
    for carried in carried {
        let from = home(asm, frame, steps.homes[carried.before.0 as usize]).ok_or_else(lost)?;
        asm.vector(&LOAD, Vector(carried.register), None, Operand::Memory(from), Immediate::None);
    }
    Ok(())
}

/// What is wanted in which register at the end.
fn returned(carried: &[Carried]) -> impl Iterator<Item = (Value, u8)> {
    carried.iter().filter_map(|carried| Some((carried.after?, carried.register)))
}

/// Where a value can be loaded from; `None` if nowhere.
fn home(asm: &mut Assembler, frame: &Frame, home: Home) -> Option<Memory> {
    match home {
        Home::None => None,
        Home::Constant(memory) => Some(memory),
        Home::Place(place) => Some(frame.memory(asm, place)),
    }
}

fn lost() -> Error {
    Error::Internal("the wide emitter lost a value".into())
}

pub(super) struct Allocator<'a> {
    pub(super) asm: &'a mut Assembler,
    frame: &'a mut Frame,
    homes: Vec<Home>,
    /// The positions at which each value is read, last first.
    pub(super) uses: Vec<Vec<u32>>,
    register_of: Vec<Option<u8>>,
    content: [Option<Value>; REGISTERS],
    /// The registers that some values are wanted in at the end.
    pub(super) wanted: Vec<Option<u8>>,
    /// Spill slots to be given back when their values are dead.
    slots: Vec<Option<i32>>,
    /// Slots whose values died in the present step, which may read them still.
    released: Vec<i32>,
    /// Registers that the present step reads.
    locked: u16,
    pub(super) position: u32,
    pressure: Pressure,
    /// What the flags are of.
    tested: Option<Value>,
}

impl<'a> Allocator<'a> {
    fn new(asm: &'a mut Assembler, frame: &'a mut Frame, steps: &Steps, carried: &[Carried]) -> Allocator<'a> {
        let values = steps.homes.len();
        let mut uses: Vec<Vec<u32>> = vec![Vec::new(); values];
        let mut wanted = vec![None; values];
        for (after, register) in returned(carried) {
            uses[after.0 as usize].push(u32::MAX);
            wanted[after.0 as usize] = Some(register);
        }
        for (position, step) in steps.steps.iter().enumerate().rev() {
            step.reads(|value| {
                let uses = &mut uses[value.0 as usize];
                if uses.last() != Some(&(position as u32)) {
                    uses.push(position as u32);
                }
            });
        }
        let (register_of, content) = (vec![None; values], [None; REGISTERS]);
        let mut allocator = Allocator {
            asm,
            frame,
            homes: steps.homes.clone(),
            uses,
            register_of,
            content,
            wanted,
            slots: vec![None; values],
            released: Vec::new(),
            locked: 0,
            position: 0,
            pressure: Pressure::default(),
            tested: None,
        };
        for carried in carried {
            if !allocator.uses[carried.before.0 as usize].is_empty() {
                allocator.put(carried.before, carried.register);
            }
        }
        allocator
    }

    fn put(&mut self, value: Value, register: u8) {
        self.register_of[value.0 as usize] = Some(register);
        self.content[usize::from(register)] = Some(value);
    }

    fn next_use(&self, value: Value) -> Option<u32> {
        self.uses[value.0 as usize].last().copied()
    }

    pub(super) fn register(&self, value: Value) -> Option<u8> {
        self.register_of[value.0 as usize]
    }

    fn home(&mut self, value: Value) -> Option<Memory> {
        home(self.asm, self.frame, self.homes[value.0 as usize])
    }

    /// A value in a register, which stays there for this step.
    pub(super) fn ensure(&mut self, value: Value) -> Result<u8> {
        let register = match self.register(value) {
            Some(register) => register,
            None => {
                let register = self.take(None)?;
                let from = self.home(value).ok_or_else(lost)?;
                self.asm.vector(&LOAD, Vector(register), None, Operand::Memory(from), Immediate::None);
                self.put(value, register);
                register
            }
        };
        self.locked |= 1 << register;
        Ok(register)
    }

    /// A value as an operand that may be in memory.
    pub(super) fn operand(&mut self, value: Value) -> Result<Operand> {
        if self.register(value).is_none() && !self.is_worth_a_register(value) {
            return Ok(Operand::Memory(self.home(value).ok_or_else(lost)?));
        }
        Ok(Operand::Register(Vector(self.ensure(value)?)))
    }

    /// Whether a value in memory is read again so soon, and there is a free register.
    fn is_worth_a_register(&self, value: Value) -> bool {
        let uses = &self.uses[value.0 as usize];
        let again = uses.iter().rev().find(|&&position| position > self.position);
        again.is_some_and(|&again| again != u32::MAX && again - self.position <= NEAR) && self.content.contains(&None)
    }

    /// A register that holds nothing, emptied if need be; the wanted one if it is free.
    pub(super) fn take(&mut self, wanted: Option<u8>) -> Result<u8> {
        let is_free = |register: usize| self.content[register].is_none() && self.locked & 1 << register == 0;
        if let Some(register) = wanted.filter(|&register| is_free(usize::from(register))) {
            return Ok(register);
        }
        // From above, since what is carried is wanted in the low registers.
        if let Some(register) = (0..REGISTERS).rev().find(|&register| is_free(register)) {
            return Ok(register as u8);
        }
        let candidates = (0..REGISTERS).filter(|register| self.locked & 1 << register == 0);
        let farthest = candidates
            .filter_map(|register| Some((self.next_use(self.content[register]?).unwrap_or(u32::MAX), register)))
            .max()
            .ok_or_else(lost)?;
        self.evict(farthest.1 as u8)?;
        Ok(farthest.1 as u8)
    }

    /// Empties a register; what it holds can be loaded again.
    fn evict(&mut self, register: u8) -> Result<()> {
        let Some(value) = self.content[usize::from(register)].take() else { return Ok(()) };
        self.register_of[value.0 as usize] = None;
        if self.homes[value.0 as usize] == Home::None && self.next_use(value).is_some() {
            let slot = self.frame.allocate(32);
            self.slots[value.0 as usize] = Some(slot);
            self.homes[value.0 as usize] = Home::Place(Place::Frame(slot));
            self.pressure.spills += 1;
            let to = Operand::Memory(Memory::base(RSP, slot));
            self.asm.vector(&STORE, Vector(register), None, to, Immediate::None);
        }
        Ok(())
    }

    /// Notes that this step has read a value; frees its register after the last use.
    pub(super) fn consume(&mut self, value: Value) {
        let uses = &mut self.uses[value.0 as usize];
        while uses.last().is_some_and(|&position| position <= self.position) {
            uses.pop();
        }
        if uses.is_empty() {
            if let Some(register) = self.register_of[value.0 as usize].take() {
                self.content[usize::from(register)] = None;
            }
            self.released.extend(self.slots[value.0 as usize].take());
        }
    }

    /// A register for a result, once the operands are read.
    fn define(&mut self, value: Value) -> Result<Vector> {
        self.locked = 0;
        let register = self.take(self.wanted[value.0 as usize])?;
        if self.next_use(value).is_some() {
            self.put(value, register);
        }
        let held = |value: &&Value| !matches!(self.homes[value.0 as usize], Home::Constant(_));
        self.pressure.registers = self.pressure.registers.max(self.content.iter().flatten().filter(held).count());
        Ok(Vector(register))
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        self.locked = 0;
        self.released.drain(..).for_each(|slot| self.frame.release(slot));
        if step.changes_flags() {
            self.tested = None;
        }
        match step {
            Step::Compute { opcode, result, first, last, third, immediate } => {
                self.compute(opcode, *result, [*first, Some(*last), *third], *immediate)?;
            }
            Step::MulAdd { form, double, result, operands } => self.fused(*form, *double, *result, *operands)?,
            Step::Checked { opcode, result, tried, failed, operands } => {
                self.checked(opcode, *result, [*tried, *failed], *operands)?;
            }
            Step::Load { opcode, result, mask, from } => {
                let mask = self.mask(*mask)?;
                let from = self.frame.memory(self.asm, *from);
                step.reads(|value| self.consume(value));
                let result = self.define(*result)?;
                self.asm.vector(opcode, result, mask, Operand::Memory(from), Immediate::None);
            }
            Step::Store { opcode, value, mask, to } => {
                let mask = self.mask(*mask)?;
                let register = self.ensure(*value)?;
                let to = self.frame.memory(self.asm, *to);
                self.asm.vector(opcode, Vector(register), mask, Operand::Memory(to), Immediate::None);
                step.reads(|value| self.consume(value));
            }
            Step::Ask { to } => {
                let to = self.frame.memory(self.asm, *to);
                self.asm.prefetch(to, Ask::Write);
            }
            Step::Call { name, .. } => return Err(Error::Internal(format!("a call of {name} within a segment"))),
            Step::Broadcast { result, count } => {
                let result = self.define(*result)?;
                super::scalar::broadcast(self.asm, result, *count);
            }
            Step::TailMask { result, width, first } => {
                let result = self.define(*result)?;
                super::scalar::tail_mask(self.asm, result, *width, *first);
            }
            Step::CopyIn { port, to } => self.frame.copy_bytes(self.asm, *port, *to, true),
            Step::CopyOut { from, port } => self.frame.copy_bytes(self.asm, *port, *from, false),
        }
        Ok(())
    }

    fn mask(&mut self, mask: Option<Value>) -> Result<Option<Vector>> {
        mask.map(|mask| Ok(Vector(self.ensure(mask)?))).transpose()
    }

    fn compute(
        &mut self,
        opcode: &'static Opcode,
        result: Value,
        [first, last, third]: [Option<Value>; 3],
        immediate: Option<u8>,
    ) -> Result<()> {
        let (mut first, mut last, mut immediate) = (first, last.ok_or_else(lost)?, immediate);
        if let Some(other) = first
            && self.register(other).is_none()
            && self.register(last).is_some()
        {
            let mirrored = mirrored(opcode, immediate);
            if commutes(opcode) || mirrored.is_some() {
                (first, last, immediate) = (Some(last), other, mirrored.or(immediate));
            }
        }
        let third_register = self.mask(third)?;
        let middle = self.mask(first)?;
        let operand = self.operand(last)?;
        first.iter().chain([&last]).chain(&third).for_each(|&value| self.consume(value));
        let result = self.define(result)?;
        let immediate = match (third_register, immediate) {
            (Some(Vector(register)), _) => Immediate::Register(register),
            (None, Some(byte)) => Immediate::Byte(byte),
            (None, None) => Immediate::None,
        };
        self.asm.vector(opcode, result, middle, operand, immediate);
        Ok(())
    }

    /// What was tried keeps its register, which the instruction out of line overwrites.
    fn checked(
        &mut self,
        opcode: &'static Opcode,
        result: Value,
        [tried, failed]: [Value; 2],
        [first, last]: [Value; 2],
    ) -> Result<()> {
        let [register, test] = [tried, failed].map(|value| self.ensure(value).map(Vector));
        let (register, test, operand) = (register?, test?, self.operand(last)?);
        let middle = self.operand(first)?;
        [tried, failed, first, last].into_iter().for_each(|value| self.consume(value));
        if self.tested.replace(failed) != Some(failed) {
            self.asm.test_signs(test, RCX);
        }
        self.asm.detour(Condition::NotEqual, Detour { opcode, register, middle, operand });
        self.redefine(result, register.0);
        Ok(())
    }

    pub(super) fn redefine(&mut self, result: Value, register: u8) {
        self.locked = 0;
        if self.next_use(result).is_some() {
            self.put(result, register);
        }
    }

    /// Moves what is carried to where it is wanted.
    fn finish(&mut self, carried: &[Carried]) -> Result<()> {
        // A value that stands in another's register makes room first.
        for (after, register) in returned(carried) {
            let occupant = self.content[usize::from(register)];
            if occupant.is_some_and(|occupant| occupant != after) {
                self.make_room(register)?;
            }
        }
        for (after, target) in returned(carried) {
            let to = Vector(target);
            match self.register(after) {
                Some(register) if register == target => {}
                Some(register) => {
                    let from = Operand::Register(Vector(register));
                    self.asm.vector(&COPY, to, None, from, Immediate::None);
                }
                None => {
                    let from = Operand::Memory(self.home(after).ok_or_else(lost)?);
                    self.asm.vector(&LOAD, to, None, from, Immediate::None);
                }
            }
        }
        Ok(())
    }

    /// Moves a carried value out of a register that another is carried in.
    fn make_room(&mut self, register: u8) -> Result<()> {
        let Some(value) = self.content[usize::from(register)] else { return Ok(()) };
        let target = self.wanted[value.0 as usize];
        let free = |own: &Self, register: u8| own.content[usize::from(register)].is_none();
        match target.filter(|&target| free(self, target)) {
            Some(target) => {
                let from = Operand::Register(Vector(register));
                self.asm.vector(&COPY, Vector(target), None, from, Immediate::None);
                self.content[usize::from(register)] = None;
                self.put(value, target);
                Ok(())
            }
            None => self.evict(register),
        }
    }
}

/// The predicate of a comparison whose operands change places.
pub(super) fn mirrored(opcode: &'static Opcode, predicate: Option<u8>) -> Option<u8> {
    predicate.filter(|_| [&CMPPS, &CMPPD].contains(&opcode)).map(|predicate| match predicate {
        LESS => GREATER,
        GREATER => LESS,
        LESS_OR_EQUAL => GREATER_OR_EQUAL,
        GREATER_OR_EQUAL => LESS_OR_EQUAL,
        symmetric => symmetric,
    })
}

/// Whether the first two operands may change places.
pub(super) fn commutes(opcode: &'static Opcode) -> bool {
    let those =
        [&ADDPS, &ADDPD, &MULPS, &MULPD, &AND, &OR, &XOR, &PADDD, &PADDQ, &PMULLD, &PMULUDQ, &PCMPEQD, &PCMPEQQ];
    those.into_iter().any(|other| *other == *opcode)
}
