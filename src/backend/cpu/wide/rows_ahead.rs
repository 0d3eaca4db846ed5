//! Rows that are asked for before they are read, where the elements of neighboring results lie side by side.
//!
//! Rows may lie so far apart that the processor does not foresee them. Their lines are asked for into the L2 cache, which waits for
//! more of them at once than the L1 cache, or, where the caller knows them to be near, into the L1 cache. Must not know: states,
//! folds.

use super::encode::{Arithmetic, Ask, Assembler, Condition, Memory, RAX, RCX, RDX, RSP};
use super::frame::{END, Frame, INDEX, OTHER, STOP, STRIDES, WORD};
use crate::backend::cpu::form::Port;

/// Bytes of a line of the cache.
const LINE: usize = 64;

/// The operands of a group of so many results, row by row; `OTHER` is the number of the row.
pub(super) struct RowsAhead<'a> {
    ports: &'a [Port],
    lanes: usize,
    /// Where the frame has two words for each operand.
    words: i32,
}

impl<'a> RowsAhead<'a> {
    /// Makes room for distances, and puts those of neighboring rows there.
    pub fn new(asm: &mut Assembler, frame: &mut Frame, ports: &'a [Port], lanes: usize) -> RowsAhead<'a> {
        let rows = RowsAhead { ports, lanes, words: frame.allocate(ports.len() * 16) };
        asm.load(RCX, Memory::base(RSP, STRIDES));
        for port in 0..ports.len() {
            asm.load(RAX, Memory::base(RCX, (ports.len() + port) as i32 * 8));
            asm.store(rows.to_next(port), RAX);
        }
        rows
    }

    /// The distance of two rows of an operand.
    fn to_next(&self, port: usize) -> Memory {
        Memory::base(RSP, self.words + port as i32 * 16)
    }

    /// The distance from a row to what is asked for along with it.
    fn to_asked(&self, port: usize) -> Memory {
        Memory::base(RSP, self.words + port as i32 * 16 + 8)
    }

    /// Chooses what is asked for from this row on: rows further on; behind the last one the first of the next group, or of the first
    /// group of the next block, as far as this function knows.
    pub fn choose(&self, asm: &mut Assembler) {
        let (another, chosen) = (asm.label(), asm.label());
        asm.load(RDX, Memory::base(RSP, STOP));
        asm.load(RCX, Memory::base(RSP, STRIDES));
        asm.load(RCX, Memory::base(RCX, self.ports.len() as i32 * 16));
        asm.arithmetic(Arithmetic::Compare, RCX, RDX);
        asm.copy_if(Condition::Greater, RCX, RDX);
        asm.address(RAX, Memory::At { base: OTHER, index: RCX, scale: 1, offset: 0 });
        asm.arithmetic(Arithmetic::Compare, RAX, RDX);
        asm.set(RAX, 0);
        asm.jump_if(Condition::Less, chosen);
        asm.address(RAX, Memory::base(INDEX, self.lanes as i32));
        asm.arithmetic(Arithmetic::Compare, RAX, END);
        asm.jump_if(Condition::Less, another);
        asm.copy(RAX, INDEX);
        asm.negate(RAX);
        asm.jump(chosen);
        asm.bind(another);
        asm.set(RAX, self.lanes as i32);
        asm.arithmetic(Arithmetic::Sub, RCX, RDX);
        asm.bind(chosen);
        asm.store(Memory::base(RSP, WORD), RCX);
        for (number, port) in self.ports.iter().enumerate().filter(|(_, port)| port.is_memory()) {
            asm.load(RDX, self.to_next(number));
            asm.multiply(RDX, Memory::base(RSP, WORD));
            let scale = port.operand.dtype.size() as u8;
            asm.address(RDX, Memory::At { base: RDX, index: RAX, scale, offset: 0 });
            asm.store(self.to_asked(number), RDX);
        }
    }

    /// Goes on to the next row, and asks for elements that are to come. Where rows do not begin with a line, a group ends in one more.
    pub fn step(&self, asm: &mut Assembler, frame: &Frame) {
        for (number, port) in self.ports.iter().enumerate() {
            let base = frame.base(asm, number);
            asm.add(base, self.to_next(number));
            if !port.is_memory() {
                continue;
            }
            let (nothing, near) = (asm.label(), asm.label());
            asm.load(RAX, self.to_asked(number));
            asm.arithmetic_value(Arithmetic::Compare, RAX, 0);
            asm.jump_if(Condition::Equal, nothing);
            asm.arithmetic(Arithmetic::Add, RAX, base);
            asm.load(RCX, Memory::base(RSP, STRIDES));
            asm.load(RCX, Memory::base(RCX, self.ports.len() as i32 * 16 + 8));
            asm.arithmetic_value(Arithmetic::Compare, RCX, 0);
            asm.jump_if(Condition::NotEqual, near);
            self.ask(asm, port, Ask::Later);
            asm.jump(nothing);
            asm.bind(near);
            self.ask(asm, port, Ask::Soon);
            asm.bind(nothing);
        }
    }

    /// Asks for the elements of a group from the address in `RAX` on.
    fn ask(&self, asm: &mut Assembler, port: &Port, ask: Ask) {
        let size = port.operand.dtype.size();
        let bytes = self.lanes * size;
        for offset in (0..bytes).step_by(LINE).chain([bytes - 1]) {
            let line = Memory::At { base: RAX, index: INDEX, scale: size as u8, offset: offset as i32 };
            asm.prefetch(line, ask);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::form::Source;
    use crate::backend::cpu::generate::Made;
    use crate::backend::cpu::isa::{InstructionSet, hosted};
    use crate::backend::cpu::jit::Code;
    use crate::backend::cpu::wide::encode::{R8, R9, RDI, RSI};
    use crate::backend::cpu::wide::frame::{BASES, STATE};
    use crate::dtype::DType;
    use crate::loops::{Access, Operand, OperandId};

    /// A function that gives what groups of 32 results ask for: `(row and column, strides, rows, _, columns, asked)`.
    fn chooser() -> Option<Code> {
        let isa = hosted(InstructionSet::Native).unwrap();
        let operand = Operand { dtype: DType::F64, access: Access::Read };
        let (mut asm, mut frame) = (Assembler::new(false), Frame::new(1));
        Frame::enter(&mut asm, true);
        asm.store(Memory::base(RSP, STRIDES), RSI);
        asm.store(Memory::base(RSP, STOP), RDX);
        asm.copy(END, R8);
        asm.copy(STATE, R9);
        asm.copy(BASES, RDI);
        asm.load(OTHER, Memory::base(BASES, 0));
        asm.load(INDEX, Memory::base(BASES, 8));
        let ports = [Port { operand, source: Source::Kernel(OperandId(0)) }];
        let ahead = RowsAhead::new(&mut asm, &mut frame, &ports, 32);
        ahead.choose(&mut asm);
        asm.load(RAX, ahead.to_asked(0));
        asm.store(Memory::base(STATE, 0), RAX);
        Frame::leave(&mut asm);
        let made = Made::Wide(asm.finish().unwrap());
        isa.features.wide.then(|| Code::new(isa, made).unwrap())
    }

    /// Rows are 1,000 bytes apart, elements 8.
    #[test]
    fn the_last_rows_ask_for_what_is_read_next() {
        let Some(code) = chooser() else { return };
        let cases = [
            // Row, column, rows, columns, rows ahead: rows and columns from here to there.
            ([0, 0, 1024, 256, 32], (32, 0)),
            ([976, 64, 1024, 256, 32], (32, 0)),
            ([1008, 64, 1024, 256, 32], (32 - 1024, 32)),
            ([1008, 224, 1024, 256, 32], (32, -224)),
            ([1008, 0, 1024, 32, 32], (32, 0)),
            ([0, 0, 20, 256, 32], (0, 32)),
            ([1008, 64, 1024, 256, 0], (0, 0)),
        ];
        for ([row, column, rows, columns, ahead], (down, along)) in cases {
            let mut asked = [1];
            // SAFETY: the function reads two words, three strides and no memory of operands, and writes one word.
            unsafe {
                let (at, strides) = ([row, column], [8, 1000, ahead]);
                code.call_columns(&at, &strides, [0, rows as usize], columns as usize, &mut asked);
            }
            assert_eq!(asked[0] as i64, down * 1000 + along * 8, "{row} {column} {rows} {columns} {ahead}");
        }
    }
}
