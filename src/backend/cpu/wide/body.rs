//! Loops around straight-line code, and what stands before them.
//!
//! Must not know: what the code computes.

use super::allocate::{Carried, Pressure, REGISTERS, allocate, load_carried};
use super::bytes::is_byte;
use super::division::calls_kernels;
use super::encode::{Arithmetic, Assembler, Condition, Label, Memory, Operand, RAX, RCX, RSP, Vector};
use super::frame::{BASES, END, Frame, INDEX, LEFT, STRIDES, WORD};
use super::instruction::{Immediate, STORE};
use super::memory::broadcast_opcode;
use super::step::{Home, Place, Steps, Value};
use super::trace::{VECTOR, no_wide_form};
use crate::backend::cpu::emit::Class;
use crate::backend::cpu::form::{Fold, Port, Program};
use crate::dtype::DType;
use crate::error::Result;
use crate::loops::Access;

/// A register that nothing is carried in while the prologue runs.
const SCRATCH: Vector = Vector(15);

/// The lanes of the narrowest vectors of a program, so that a value of any dtype fills whole ones.
pub(super) fn least_lanes(types: impl Iterator<Item = DType>) -> usize {
    let numbers = types.filter(|dtype| *dtype != DType::Bool);
    VECTOR / numbers.map(|dtype| dtype.size().max(4)).min().unwrap_or(4)
}

/// A merge has to be more than a choice of what it is given, without calls and bytes: its results are new vectors, which
/// can be stored in any order.
pub(super) fn refuse_merges(body: &Program, folds: &[Fold]) -> Result<()> {
    for merge in folds.iter().flat_map(|fold| [&fold.merge, fold.next()]) {
        let statements = merge.block.statements.clone();
        let program = Program::straight(body.types.clone(), statements);
        let given = |value| merge.left.contains(value) || merge.right.contains(value);
        let bytes = program.types_used().any(is_byte);
        if bytes || calls_kernels(&program) || merge.results.iter().any(given) {
            return Err(no_wide_form("such a merge"));
        }
    }
    Ok(())
}

/// Lanes at which kernels are called: as many as they compute at once.
pub(super) fn kernel_lanes(program: &Program) -> usize {
    if program.types_used().any(|dtype| dtype == DType::F32) { 32 } else { 16 }
}

/// Puts what does not change along a row into the frame: elements that all lanes share, distances of positions. Elements
/// that loops over steps read may change there.
pub(super) fn hold(
    asm: &mut Assembler,
    frame: &mut Frame,
    ports: &[Port],
    classes: &[Class],
    stepping: &[usize],
    lanes: usize,
) -> Result<Vec<Option<i32>>> {
    let mut held = Vec::new();
    for (index, (port, class)) in ports.iter().zip(classes).enumerate() {
        let table = Memory::base(BASES, index as i32 * 8);
        held.push(match (port.operand.access, class) {
            (Access::Read | Access::Index, Class::Broadcast) if stepping.contains(&index) => None,
            (Access::Read | Access::Index, Class::Broadcast) => {
                let slot = frame.allocate(VECTOR);
                asm.load(RAX, table);
                let from = shared_element(asm, port)?;
                let number = port.operand.dtype != DType::Bool && port.is_memory();
                let opcode = broadcast_opcode(if number { port.operand.dtype.size().max(4) } else { 8 });
                asm.vector(opcode, SCRATCH, None, Operand::Memory(from), Immediate::None);
                let to = Operand::Memory(Memory::base(RSP, slot));
                asm.vector(&STORE, SCRATCH, None, to, Immediate::None);
                Some(slot)
            }
            (Access::Index, Class::Strided) => Some(distances(asm, frame, index, lanes)),
            (Access::Read | Access::Write, Class::Broadcast | Class::Strided) => {
                return Err(no_wide_form("a strided operand"));
            }
            (Access::Read | Access::Write | Access::Index, Class::Contiguous) => None,
        });
    }
    Ok(held)
}

/// Where the element of an operand is whose base is in `RAX`; a bool becomes a mask on the way.
fn shared_element(asm: &mut Assembler, port: &Port) -> Result<Memory> {
    let word = Memory::base(RSP, WORD);
    match (port.operand.access, port.operand.dtype) {
        (Access::Index, _) => {
            asm.store(word, RAX);
            Ok(word)
        }
        (_, DType::Bool) => {
            let set = asm.label();
            asm.load_byte(RCX, Memory::base(RAX, 0), false);
            asm.set(RAX, 0);
            asm.arithmetic_value(Arithmetic::Compare, RCX, 0);
            asm.jump_if(Condition::Equal, set);
            asm.set(RAX, -1);
            asm.bind(set);
            asm.store(word, RAX);
            Ok(word)
        }
        (_, DType::I8 | DType::U8) => {
            asm.load_byte(RCX, Memory::base(RAX, 0), port.operand.dtype == DType::I8);
            asm.store(word, RCX);
            Ok(word)
        }
        (_, DType::I32 | DType::U32 | DType::I64 | DType::U64 | DType::F32 | DType::F64) => Ok(Memory::base(RAX, 0)),
    }
}

/// The distances of so many lanes from the first, at an operand's stride.
fn distances(asm: &mut Assembler, frame: &mut Frame, port: usize, lanes: usize) -> i32 {
    let slot = frame.allocate(lanes * 8);
    asm.load(RCX, Memory::base(RSP, STRIDES));
    asm.load(RCX, Memory::base(RCX, port as i32 * 8));
    asm.set(RAX, 0);
    for lane in 0..lanes as i32 {
        asm.store(Memory::base(RSP, slot + lane * 8), RAX);
        asm.arithmetic(Arithmetic::Add, RAX, RCX);
    }
    slot
}

/// Jumps if fewer elements than these are left before the end.
pub(super) fn jump_if_fewer(asm: &mut Assembler, lanes: usize, to: Label) {
    asm.address(RAX, Memory::base(INDEX, lanes as i32));
    asm.arithmetic(Arithmetic::Compare, RAX, END);
    asm.jump_if(Condition::Greater, to);
}

/// Notes how many elements are left; jumps if none are.
pub(super) fn count_left(asm: &mut Assembler, none: Label) {
    asm.copy(RCX, END);
    asm.arithmetic(Arithmetic::Sub, RCX, INDEX);
    asm.jump_if(Condition::Equal, none);
    asm.store(Memory::base(RSP, LEFT), RCX);
}

/// A loop over whole steps of so many lanes: straight-line code as long as enough elements are left.
pub(super) fn whole_steps(
    asm: &mut Assembler,
    frame: &Frame,
    steps: &Steps,
    carried: &[Carried],
    lanes: usize,
) -> Result<Pressure> {
    let constants = residents(asm, frame, steps, carried, &[])?;
    let all: Vec<Carried> = carried.iter().chain(&constants).copied().collect();
    let (again, done) = (asm.label(), asm.label());
    jump_if_fewer(asm, lanes, done);
    load_carried(asm, frame, steps, &constants)?;
    asm.bind(again);
    let pressure = straight(asm, frame, steps, &all)?;
    step_and_jump_if_more(asm, lanes, again);
    asm.bind(done);
    Ok(pressure)
}

/// Goes on by a step, and jumps if another whole one is left.
pub(super) fn step_and_jump_if_more(asm: &mut Assembler, lanes: usize, to: Label) {
    asm.arithmetic_value(Arithmetic::Add, INDEX, lanes as i32);
    asm.address(RAX, Memory::base(INDEX, lanes as i32));
    asm.arithmetic(Arithmetic::Compare, RAX, END);
    asm.jump_if(Condition::NotGreater, to);
}

/// Straight-line code, once.
pub(super) fn straight(asm: &mut Assembler, frame: &Frame, steps: &Steps, carried: &[Carried]) -> Result<Pressure> {
    let mut frame = frame.clone();
    let pressure = allocate(asm, &mut frame, steps, carried)?;
    if frame.is_too_large() { Err(no_wide_form("so large a body")) } else { Ok(pressure) }
}

/// What a body would cost.
pub(super) fn pressure(asm: &Assembler, frame: &Frame, steps: &Steps, carried: &[Carried]) -> Result<Pressure> {
    straight(&mut asm.clone(), frame, steps, carried)
}

/// The constants that stay in registers all along a loop: those used most, in registers that nothing else needs. None of
/// them are places of what changes.
pub(super) fn residents(
    asm: &Assembler,
    frame: &Frame,
    steps: &Steps,
    carried: &[Carried],
    changing: &[Value],
) -> Result<Vec<Carried>> {
    let pressure = pressure(asm, frame, steps, carried)?;
    if pressure.spills > 0 {
        return Ok(Vec::new());
    }
    let mut uses = vec![0usize; steps.homes.len()];
    steps.steps.iter().for_each(|step| step.reads(|value| uses[value.0 as usize] += 1));
    changing.iter().for_each(|value| uses[value.0 as usize] = 0);
    let stays = |home: Home| matches!(home, Home::Constant(_) | Home::Place(Place::Frame(_)));
    let mut known: Vec<usize> = (0..uses.len()).filter(|&value| uses[value] > 0 && stays(steps.homes[value])).collect();
    known.sort_by_key(|&value| std::cmp::Reverse(uses[value]));
    let free = REGISTERS.saturating_sub(pressure.registers.max(carried.len()) + 2);
    let values = known.into_iter().take(free).map(|value| Value(value as u32));
    let registers = carried.len() as u8..;
    Ok(values.zip(registers).map(|(value, register)| Carried { before: value, after: Some(value), register }).collect())
}
