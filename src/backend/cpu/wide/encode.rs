//! Bytes of x86-64 instructions: those that the wide emitter uses, with labels, constants and imported functions.
//!
//! Encodings follow Intel's Software Developer's Manual, volume 2. Vector instructions are VEX-encoded, those of AVX-512
//! EVEX-encoded. What code needs of absolute addresses (the functions that it calls) stands in a table behind it. Must not know: values, allocation.

use super::finish::Detour;
use super::instruction::{Immediate, Opcode};

/// A general register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct General(pub u8);

pub(super) const RAX: General = General(0);
pub(super) const RCX: General = General(1);
pub(super) const RDX: General = General(2);
pub(super) const RBX: General = General(3);
pub(super) const RSP: General = General(4);
pub(super) const RBP: General = General(5);
pub(super) const RSI: General = General(6);
pub(super) const RDI: General = General(7);
pub(super) const R8: General = General(8);
pub(super) const R9: General = General(9);
pub(super) const R10: General = General(10);
pub(super) const R11: General = General(11);
pub(super) const R12: General = General(12);
pub(super) const R13: General = General(13);
pub(super) const R14: General = General(14);
pub(super) const R15: General = General(15);

/// A vector register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vector(pub u8);

/// A place in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// `base + index * scale + offset`; a scale of 0 means no index.
    At {
        /// The base register.
        base: General,
        /// The index register.
        index: General,
        /// 0, 1, 2, 4 or 8.
        scale: u8,
        /// Bytes.
        offset: i32,
    },
    /// Bytes of the constants behind the code.
    Constant(usize),
}

impl Memory {
    /// `base + offset`.
    pub fn base(base: General, offset: i32) -> Memory {
        Memory::At { base, index: base, scale: 0, offset }
    }
}

/// The last operand of a vector instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operand {
    /// In a register.
    Register(Vector),
    /// In memory.
    Memory(Memory),
}

/// A place in the code that jumps lead to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label(pub usize);

/// When a jump is taken, by the flags of a comparison of signed numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// Equal, or zero.
    Equal = 4,
    /// Not equal, or not zero.
    NotEqual = 5,
    /// Less.
    Less = 12,
    /// Less or equal.
    NotGreater = 14,
    /// Greater.
    Greater = 15,
}

/// An arithmetic instruction on general registers, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    /// Addition.
    Add = 0,
    /// Bitwise and.
    And = 4,
    /// Subtraction.
    Sub = 5,
    /// Comparison.
    Compare = 7,
}

/// What a line of memory is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// To be read soon: into the L1 cache, which waits for few lines at once.
    Soon,
    /// To be read later: into the L2 cache, which waits for more of them.
    Later,
    /// To be written.
    Write,
}

/// Bytes that vectors of constants are aligned to.
pub(super) const ALIGNMENT: usize = 32;

/// Code under construction.
#[derive(Debug, Clone, Default)]
pub(super) struct Assembler {
    pub(super) code: Vec<u8>,
    pub(super) constants: Vec<u8>,
    pub(super) functions: Vec<usize>,
    pub(super) labels: Vec<Option<usize>>,
    pub(super) fixes: Vec<Fix>,
    pub(super) detours: Vec<(Label, Detour, Label)>,
    /// One line for each instruction, if wanted.
    pub(super) text: Option<String>,
}

/// A 32-bit distance to be filled in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fix {
    /// Where it stands.
    pub at: usize,
    /// Where it is counted from: the end of the instruction.
    pub from: usize,
    pub target: Target,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Label(Label),
    Constant(usize),
    Function(usize),
}

impl Assembler {
    /// Nothing yet; `text` if a listing is wanted.
    pub fn new(text: bool) -> Assembler {
        Assembler { text: text.then(String::new), ..Assembler::default() }
    }

    /// The number of bytes so far.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.code.len()
    }

    /// A label to be bound later.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Binds a label to the present place.
    pub fn bind(&mut self, label: Label) {
        self.labels[label.0] = Some(self.code.len());
        self.line(|| format!("{}:", label.0));
    }

    fn line(&mut self, line: impl FnOnce() -> String) {
        if let Some(text) = &mut self.text {
            text.push_str(&line());
            text.push('\n');
        }
    }

    /// A place among the constants with these bytes, which all who want the same bytes share.
    pub fn constant(&mut self, bytes: &[u8]) -> Memory {
        let step = ALIGNMENT.min(bytes.len());
        let known = (0..(self.constants.len() + 1).saturating_sub(bytes.len())).step_by(step);
        let known = known.into_iter().find(|&start| &self.constants[start..start + bytes.len()] == bytes);
        let start = known.unwrap_or_else(|| {
            self.constants.resize(self.constants.len().next_multiple_of(step), 0);
            self.constants.extend_from_slice(bytes);
            self.constants.len() - bytes.len()
        });
        Memory::Constant(start)
    }

    fn function(&mut self, address: usize) -> usize {
        self.functions.iter().position(|known| *known == address).unwrap_or_else(|| {
            self.functions.push(address);
            self.functions.len() - 1
        })
    }

    /// The bytes of an operand, with so many behind them. Where offsets of one byte count vectors, none are `short`.
    fn memory(&mut self, register: u8, memory: Memory, short: bool, trailing: usize) {
        let register = (register & 7) << 3;
        match memory {
            Memory::Constant(place) => {
                self.code.push(register | 5);
                self.distance(Target::Constant(place), trailing);
            }
            Memory::At { base, index, scale, offset } => {
                let (mode, short) = match offset {
                    0 if base.0 & 7 != 5 => (0, None),
                    -128..=127 if short => (0x40, Some(offset as i8)),
                    _ => (0x80, None),
                };
                if scale > 0 {
                    self.code.push(mode | register | 4);
                    self.code.push((scale.trailing_zeros() as u8) << 6 | (index.0 & 7) << 3 | base.0 & 7);
                } else {
                    self.code.push(mode | register | base.0 & 7);
                    if base.0 & 7 == 4 {
                        self.code.push(0x24);
                    }
                }
                match (mode, short) {
                    (_, Some(short)) => self.code.push(short as u8),
                    (0, None) => {}
                    (_, None) => self.code.extend_from_slice(&offset.to_le_bytes()),
                }
            }
        }
    }

    fn distance(&mut self, target: Target, trailing: usize) {
        let at = self.code.len();
        self.fixes.push(Fix { at, from: at + 4 + trailing, target });
        self.code.extend_from_slice(&[0; 4]);
    }

    /// Whether base and index are of the upper eight registers.
    fn extensions(memory: Memory) -> (u8, u8) {
        match memory {
            Memory::Constant(_) => (0, 0),
            Memory::At { base, index, scale, .. } => (base.0 >> 3, if scale > 0 { index.0 >> 3 } else { 0 }),
        }
    }

    /// A vector instruction: the register in ModRM.reg, the one in VEX.vvvv, the last operand, and what follows.
    pub fn vector(
        &mut self,
        opcode: &Opcode,
        Vector(register): Vector,
        middle: Option<Vector>,
        last: Operand,
        immediate: Immediate,
    ) {
        let (b, x) = match last {
            Operand::Register(Vector(register)) => (register >> 3, 0),
            Operand::Memory(memory) => Self::extensions(memory),
        };
        let r = register >> 3;
        let vvvv = middle.map_or(0, |Vector(middle)| middle);
        let tail = (!vvvv & 15) << 3 | opcode.prefix;
        let first = (r ^ 1) << 7 | (x ^ 1) << 6 | (b ^ 1) << 5 | opcode.map;
        if opcode.evex {
            self.code.extend_from_slice(&[0x62, first | 0x10, opcode.wide << 7 | tail | 4, opcode.long << 5 | 8]);
        } else if b | x == 0 && opcode.map == 1 && opcode.wide == 0 {
            self.code.extend_from_slice(&[0xc5, (r ^ 1) << 7 | opcode.long << 2 | tail]);
        } else {
            self.code.extend_from_slice(&[0xc4, first, opcode.wide << 7 | opcode.long << 2 | tail]);
        }
        self.code.push(opcode.code);
        let follows = immediate.byte();
        match last {
            Operand::Register(Vector(last)) => self.code.push(0xc0 | (register & 7) << 3 | last & 7),
            Operand::Memory(memory) => self.memory(register, memory, !opcode.evex, usize::from(follows.is_some())),
        }
        self.code.extend(follows);
        self.line(|| super::text::vector(opcode, Vector(register), middle, last, immediate));
    }

    /// A 64-bit instruction `code` on a register and another or memory.
    fn general(&mut self, code: &[u8], register: u8, last: Result<General, Memory>) {
        let (b, x) = last.map_or_else(Self::extensions, |General(last)| (last >> 3, 0));
        self.code.push(0x48 | (register >> 3) << 2 | x << 1 | b);
        self.code.extend_from_slice(code);
        match last {
            Ok(General(last)) => self.code.push(0xc0 | (register & 7) << 3 | last & 7),
            Err(memory) => self.memory(register, memory, true, 0),
        }
    }

    /// `to = from`.
    pub fn copy(&mut self, to: General, from: General) {
        self.general(&[0x8b], to.0, Ok(from));
        self.line(|| format!("    mov {to}, {from}"));
    }

    /// `to = memory`.
    pub fn load(&mut self, to: General, from: Memory) {
        self.general(&[0x8b], to.0, Err(from));
        self.line(|| format!("    mov {to}, {from}"));
    }

    /// `memory = from`.
    pub fn store(&mut self, to: Memory, from: General) {
        self.general(&[0x89], from.0, Err(to));
        self.line(|| format!("    mov {to}, {from}"));
    }

    /// `to = byte of memory`, a signed number or an unsigned one.
    pub fn load_byte(&mut self, to: General, from: Memory, signed: bool) {
        self.general(&[0x0f, if signed { 0xbe } else { 0xb6 }], to.0, Err(from));
        self.line(|| format!("    mov{}x {to}, byte {from}", if signed { 's' } else { 'z' }));
    }

    /// `byte of memory = from`.
    pub fn store_byte(&mut self, to: Memory, from: General) {
        self.general(&[0x88], from.0, Err(to));
        self.line(|| format!("    mov byte {to}, {from}"));
    }

    /// `to = address`.
    pub fn address(&mut self, to: General, of: Memory) {
        self.general(&[0x8d], to.0, Err(of));
        self.line(|| format!("    lea {to}, {of}"));
    }

    /// Asks for a line of memory, which may be none.
    pub fn prefetch(&mut self, from: Memory, ask: Ask) {
        let (opcode, hint, name) = match ask {
            Ask::Soon => (0x18, 1, "prefetcht0"),
            Ask::Later => (0x18, 2, "prefetcht1"),
            Ask::Write => (0x0d, 1, "prefetchw"),
        };
        self.general(&[0x0f, opcode], hint, Err(from));
        self.line(|| format!("    {name} {from}"));
    }

    /// `to = value`.
    pub fn set(&mut self, to: General, value: i32) {
        self.general(&[0xc7], 0, Ok(to));
        self.code.extend_from_slice(&value.to_le_bytes());
        self.line(|| format!("    mov {to}, {value}"));
    }

    /// `to = to + memory`.
    pub fn add(&mut self, to: General, from: Memory) {
        self.general(&[0x03], to.0, Err(from));
        self.line(|| format!("    add {to}, {from}"));
    }

    /// `to = to · memory`.
    pub fn multiply(&mut self, to: General, by: Memory) {
        self.general(&[0x0f, 0xaf], to.0, Err(by));
        self.line(|| format!("    imul {to}, {by}"));
    }

    /// `to = to op from`, or the flags of a comparison.
    pub fn arithmetic(&mut self, op: Arithmetic, to: General, from: General) {
        self.general(&[(op as u8) << 3 | 3], to.0, Ok(from));
        self.line(|| format!("    {op} {to}, {from}"));
    }

    /// `to = to op value`, or the flags of a comparison.
    pub fn arithmetic_value(&mut self, op: Arithmetic, to: General, value: i32) {
        self.general(&[0x81], op as u8, Ok(to));
        self.code.extend_from_slice(&value.to_le_bytes());
        self.line(|| format!("    {op} {to}, {value}"));
    }

    /// `to = -to`.
    pub fn negate(&mut self, to: General) {
        self.general(&[0xf7], 3, Ok(to));
        self.line(|| format!("    neg {to}"));
    }

    /// `to = from` on a condition.
    pub fn copy_if(&mut self, condition: Condition, to: General, from: General) {
        self.general(&[0x0f, 0x40 | condition as u8], to.0, Ok(from));
        self.line(|| format!("    cmov{condition} {to}, {from}"));
    }

    /// Jumps.
    pub fn jump(&mut self, to: Label) {
        self.code.push(0xe9);
        self.distance(Target::Label(to), 0);
        self.line(|| format!("    jmp {}", to.0));
    }

    /// Jumps on a condition.
    pub fn jump_if(&mut self, condition: Condition, to: Label) {
        self.code.extend_from_slice(&[0x0f, 0x80 | condition as u8]);
        self.distance(Target::Label(to), 0);
        self.line(|| format!("    j{condition} {}", to.0));
    }

    /// Pushes a register.
    pub fn push(&mut self, register: General) {
        if register.0 >= 8 {
            self.code.push(0x41);
        }
        self.code.push(0x50 | register.0 & 7);
        self.line(|| format!("    push {register}"));
    }

    /// Pops a register.
    pub fn pop(&mut self, register: General) {
        if register.0 >= 8 {
            self.code.push(0x41);
        }
        self.code.push(0x58 | register.0 & 7);
        self.line(|| format!("    pop {register}"));
    }

    /// Calls a function by its address, which is kept behind the code.
    pub fn call(&mut self, address: usize, name: &str) {
        let function = self.function(address);
        self.code.extend_from_slice(&[0xff, 0x15]);
        self.distance(Target::Function(function), 0);
        self.line(|| format!("    call {name}"));
    }

    /// Returns.
    pub fn ret(&mut self) {
        self.code.push(0xc3);
        self.line(|| "    ret".into());
    }

    /// Whether any 64-bit lane has its sign set: `Condition::NotEqual` if so. Overwrites a register.
    pub fn test_signs(&mut self, Vector(of): Vector, scratch: General) {
        self.code.extend_from_slice(&[0xc4, 0xe1 ^ (of >> 3) << 5, 0x7d, 0x50, 0xc0 | scratch.0 << 3 | of & 7]);
        self.line(|| format!("    vmovmskpd {scratch}, {}", Vector(of)));
        self.general(&[0x85], scratch.0, Ok(scratch));
        self.line(|| format!("    test {scratch}, {scratch}"));
    }

    /// Clears the upper halves of the vector registers, as others expect them.
    pub fn zero_upper(&mut self) {
        self.code.extend_from_slice(&[0xc5, 0xf8, 0x77]);
        self.line(|| "    vzeroupper".into());
    }
}
