//! The stack frame of a function, and which general register holds what.
//!
//! The frame starts with some words (strides, positions, what is left of a row); behind them are the bytes for call
//! arguments, then what is spilled. Invariant: between prologue and epilogue the stack pointer stands still, at a
//! multiple of 64. Must not know: steps, vector registers.

use super::encode::{Arithmetic, Assembler, Condition, General, Memory, R8, R9, R10, R11, R12, R13, R14, R15};
use super::encode::{RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP};
use super::step::Place;

/// The table of bases.
pub(super) const BASES: General = RBX;
/// The end of the row, or of the block.
pub(super) const END: General = R12;
/// The current element.
pub(super) const INDEX: General = R13;
/// The state that is written.
pub(super) const STATE: General = R14;
/// The end of the row where `END` is that of a block; the other state in a merge.
pub(super) const OTHER: General = R15;

/// Registers for the bases of the first operands where no function is called.
const BASE_REGISTERS: [General; 6] = [RSI, RDI, R8, R9, R10, R11];

/// Registers that the caller wants back.
const KEPT: [General; 5] = [RBX, R12, R13, R14, R15];

/// The address of the table of strides.
pub(super) const STRIDES: i32 = 0;
/// The position of index 0 within the reduction.
pub(super) const FIRST: i32 = 8;
/// Elements left at the end of a row.
pub(super) const LEFT: i32 = 16;
/// A word on its way to a vector register.
pub(super) const WORD: i32 = 24;
/// Arguments of calls: two of 128 bytes.
pub(super) const ARGUMENTS: i32 = 64;
/// What else is kept.
const REST: i32 = ARGUMENTS + 256;

/// The largest frame: within it the page below the stack's end is never skipped.
const LARGEST: i32 = 3584;

/// The frame of a function.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Whether functions are called, which keep few registers.
    calls: bool,
    used: i32,
    free: Vec<i32>,
}

impl Frame {
    /// A frame that holds nothing but its words.
    pub fn new(calls: bool) -> Frame {
        Frame { calls, used: REST, free: Vec::new() }
    }

    /// Whether functions are called.
    pub fn calls(&self) -> bool {
        self.calls
    }

    /// Whether it has grown too large.
    pub fn is_too_large(&self) -> bool {
        self.used > LARGEST
    }

    /// So many bytes, at a multiple of 32.
    pub fn allocate(&mut self, bytes: usize) -> i32 {
        if bytes == 32
            && let Some(slot) = self.free.pop()
        {
            return slot;
        }
        self.used += bytes.next_multiple_of(32) as i32;
        self.used - bytes.next_multiple_of(32) as i32
    }

    /// Gives back the place of one vector.
    pub fn release(&mut self, slot: i32) {
        self.free.push(slot);
    }

    /// Saves the caller's registers and makes room for a frame of the largest size.
    pub fn enter(asm: &mut Assembler) {
        asm.push(RBP);
        asm.copy(RBP, RSP);
        KEPT.into_iter().for_each(|register| asm.push(register));
        asm.arithmetic_value(Arithmetic::Sub, RSP, LARGEST + 64);
        asm.arithmetic_value(Arithmetic::And, RSP, -64);
    }

    /// Restores everything and returns.
    pub fn leave(asm: &mut Assembler) {
        asm.zero_upper();
        asm.address(RSP, Memory::base(RBP, -8 * KEPT.len() as i32));
        KEPT.into_iter().rev().for_each(|register| asm.pop(register));
        asm.pop(RBP);
        asm.ret();
    }

    /// Loads the bases of operands that have registers.
    pub fn load_bases(&self, asm: &mut Assembler, ports: usize) {
        for port in 0..ports {
            if let Some(register) = self.base_register(port) {
                asm.load(register, Memory::base(BASES, port as i32 * 8));
            }
        }
    }

    fn base_register(&self, port: usize) -> Option<General> {
        if self.calls { None } else { BASE_REGISTERS.get(port).copied() }
    }

    /// The base of an operand; loaded into a scratch register if it has none of its own.
    pub fn base(&self, asm: &mut Assembler, port: usize) -> General {
        self.base_register(port).unwrap_or_else(|| {
            asm.load(RAX, Memory::base(BASES, port as i32 * 8));
            RAX
        })
    }

    /// Where a place is.
    pub fn memory(&self, asm: &mut Assembler, place: Place) -> Memory {
        match place {
            Place::Port { port, size, offset } => {
                Memory::At { base: self.base(asm, port), index: INDEX, scale: size, offset }
            }
            Place::Frame(offset) => Memory::base(RSP, offset),
            Place::State(offset) => Memory::base(STATE, offset),
            Place::Other(offset) => Memory::base(OTHER, offset),
        }
    }

    /// Copies the bytes of the elements that are left between an operand and the frame.
    pub fn copy_bytes(&self, asm: &mut Assembler, port: usize, slot: i32, into_frame: bool) {
        let base = self.base(asm, port);
        asm.copy(RDX, base);
        asm.arithmetic(Arithmetic::Add, RDX, INDEX);
        asm.load(RCX, Memory::base(RSP, LEFT));
        let again = asm.label();
        asm.bind(again);
        let outside = Memory::At { base: RDX, index: RCX, scale: 1, offset: -1 };
        let inside = Memory::At { base: RSP, index: RCX, scale: 1, offset: slot - 1 };
        let (to, from) = if into_frame { (inside, outside) } else { (outside, inside) };
        asm.load_byte(RAX, from);
        asm.store_byte(to, RAX);
        asm.arithmetic_value(Arithmetic::Sub, RCX, 1);
        asm.jump_if(Condition::NotEqual, again);
    }
}
