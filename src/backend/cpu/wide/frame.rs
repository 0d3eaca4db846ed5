//! The stack frame of a function, and which general register holds what.
//!
//! The frame starts with some words (strides, positions, what is left of a row); behind them is what is held
//! or spilled, then the buffers of a tile. Invariant: between prologue and epilogue the stack pointer stands still, at a
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

/// Bytes of a vector times the number of the step within a tile.
pub(super) const TILE: General = R11;

/// Registers for the bases of the first operands; kernels do not keep them.
const BASE_REGISTERS: [General; 5] = [RSI, RDI, R8, R9, R10];

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
/// The first element of a tile.
pub(super) const START: i32 = 32;
/// The element behind its last.
pub(super) const STOP: i32 = 40;
/// Its elements.
pub(super) const COUNT: i32 = 48;
/// Where in it the next element that is reduced lies, as `TILE`.
pub(super) const REACHED: i32 = 56;
/// The element behind the last one that is reduced before the block or the tile ends.
pub(super) const PAUSE: i32 = 64;
/// What else is kept.
const REST: i32 = 96;

/// The largest frame without tiles: within it the page below the stack's end is never skipped.
const LARGEST: i32 = 3584;

/// Bytes of all buffers of a tile: half of the L1 caches that are in use.
pub(super) const TILES: i32 = 16384;

/// Bytes of a page of the stack.
const PAGE: i32 = 4096;

/// The frame of a function.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// How many operands the function has.
    ports: usize,
    used: i32,
    free: Vec<i32>,
}

impl Frame {
    /// A frame that holds nothing but its words.
    pub fn new(ports: usize) -> Frame {
        Frame { ports, used: REST, free: Vec::new() }
    }

    /// How many operands the function has.
    pub fn ports(&self) -> usize {
        self.ports
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
    pub fn enter(asm: &mut Assembler, tiles: bool) {
        asm.push(RBP);
        asm.copy(RBP, RSP);
        KEPT.into_iter().for_each(|register| asm.push(register));
        let size = LARGEST + if tiles { TILES } else { 0 };
        // Every page is touched, so that the guard below the stack is not passed over.
        for page in 1..=size / PAGE {
            asm.load(RAX, Memory::base(RSP, -page * PAGE));
        }
        asm.arithmetic_value(Arithmetic::Sub, RSP, size + 64);
        asm.arithmetic_value(Arithmetic::And, RSP, -64);
    }

    /// Some bytes behind the start of the tile's buffers.
    pub fn buffer(offset: i32) -> Memory {
        Memory::base(RSP, LARGEST + offset)
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
    pub fn load_bases(&self, asm: &mut Assembler) {
        for (port, register) in BASE_REGISTERS.into_iter().enumerate().take(self.ports) {
            asm.load(register, Memory::base(BASES, port as i32 * 8));
        }
    }

    /// The register of an operand's base, if it has one.
    pub fn base_register(port: usize) -> Option<General> {
        BASE_REGISTERS.get(port).copied()
    }

    /// An entry of the table of bases.
    pub fn table(port: usize) -> Memory {
        Memory::base(BASES, port as i32 * 8)
    }

    /// Lets the table of bases be a copy of its own, which may change.
    pub fn own_table(&mut self, asm: &mut Assembler) {
        let own = self.allocate(self.ports * 8);
        for port in 0..self.ports {
            asm.load(RAX, Frame::table(port));
            asm.store(Memory::base(RSP, own + port as i32 * 8), RAX);
        }
        asm.address(BASES, Memory::base(RSP, own));
    }

    /// The base of an operand; loaded into a scratch register if it has none of its own.
    pub fn base(&self, asm: &mut Assembler, port: usize) -> General {
        BASE_REGISTERS.get(port).copied().unwrap_or_else(|| {
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
            Place::Shared(port) => Memory::base(self.base(asm, port), 0),
            Place::Position(port) => Frame::table(port),
            Place::Frame(offset) => Memory::base(RSP, offset),
            Place::Tile { scale, offset } => Memory::At { base: RSP, index: TILE, scale, offset: LARGEST + offset },
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
        asm.load_byte(RAX, from, false);
        asm.store_byte(to, RAX);
        asm.arithmetic_value(Arithmetic::Sub, RCX, 1);
        asm.jump_if(Condition::NotEqual, again);
    }
}
