//! The few numbers that code computes in general registers on their way to vectors.
//!
//! Must not know: values, allocation.

use super::encode::{Arithmetic, Assembler, Condition, General, Memory, Operand, RAX, RCX, RSP, Vector};
use super::frame::{BASES, FIRST, INDEX, LEFT, OTHER, STRIDES, WORD};
use super::instruction::{BROADCASTSD, Immediate, LOAD};
use super::step::Count;

/// All lanes the number of the current element.
pub(super) fn broadcast(asm: &mut Assembler, result: Vector, count: Count) {
    number(asm, count);
    asm.store(Memory::base(RSP, WORD), RAX);
    let word = Operand::Memory(Memory::base(RSP, WORD));
    asm.vector(&BROADCASTSD, result, None, word, Immediate::None);
}

/// The number of the current element, in `RAX`.
fn number(asm: &mut Assembler, count: Count) {
    match count {
        Count::Port(port) => {
            asm.load(RCX, Memory::base(RSP, STRIDES));
            asm.copy(RAX, INDEX);
            asm.multiply(RAX, Memory::base(RCX, port as i32 * 8));
            asm.load(RCX, Memory::base(BASES, port as i32 * 8));
        }
        Count::Position | Count::Row => {
            asm.copy(RAX, if count == Count::Row { OTHER } else { INDEX });
            asm.load(RCX, Memory::base(RSP, FIRST));
        }
    }
    asm.arithmetic(Arithmetic::Add, RAX, RCX);
}

/// The number of the current element and the distance from each to the next; both registers are neither `RAX` nor `RCX`.
pub(super) fn progression(asm: &mut Assembler, count: Count, [first, distance]: [General; 2]) {
    number(asm, count);
    asm.copy(first, RAX);
    match count {
        Count::Port(port) => {
            asm.load(RCX, Memory::base(RSP, STRIDES));
            asm.load(distance, Memory::base(RCX, port as i32 * 8));
        }
        Count::Position => asm.set(distance, 1),
        Count::Row => asm.set(distance, 0),
    }
}

/// All ones in the lanes of a vector whose elements, counted from `first`, are left.
pub(super) fn tail_mask(asm: &mut Assembler, result: Vector, width: u8, first: usize) {
    let lanes = 32 / i32::from(width);
    let mut table = [0; 64];
    table[..32].fill(0xff);
    let table = asm.constant(&table);
    asm.load(RAX, Memory::base(RSP, LEFT));
    asm.arithmetic_value(Arithmetic::Sub, RAX, first as i32);
    asm.set(RCX, 0);
    asm.arithmetic_value(Arithmetic::Compare, RAX, 0);
    asm.copy_if(Condition::Less, RAX, RCX);
    asm.set(RCX, lanes);
    asm.arithmetic_value(Arithmetic::Compare, RAX, lanes);
    asm.copy_if(Condition::Greater, RAX, RCX);
    asm.negate(RAX);
    asm.address(RCX, table);
    let window = Memory::At { base: RCX, index: RAX, scale: width, offset: 32 };
    asm.vector(&LOAD, result, None, Operand::Memory(window), Immediate::None);
}
