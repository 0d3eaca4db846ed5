//! Instructions as text, for dumps.

use std::fmt;

use super::encode::{Arithmetic, Condition, General, Memory, Operand, Vector};
use super::instruction::{Immediate, Opcode};

impl fmt::Display for General {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 8] = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"];
        match NAMES.get(usize::from(self.0)) {
            Some(name) => f.write_str(name),
            None => write!(f, "r{}", self.0),
        }
    }
}

impl fmt::Display for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ymm{}", self.0)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Memory::Constant(place) => write!(f, "[constants + {place}]"),
            Memory::At { base, scale: 0, offset, .. } => write!(f, "[{base} + {offset}]"),
            Memory::At { base, index, scale, offset } => write!(f, "[{base} + {index}*{scale} + {offset}]"),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Register(register) => register.fmt(f),
            Operand::Memory(memory) => memory.fmt(f),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Condition::Equal => "e",
            Condition::NotEqual => "ne",
            Condition::Less => "l",
            Condition::NotGreater => "le",
            Condition::Greater => "g",
        })
    }
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Arithmetic::Add => "add",
            Arithmetic::And => "and",
            Arithmetic::Sub => "sub",
            Arithmetic::Compare => "cmp",
        })
    }
}

/// A vector instruction.
pub(super) fn vector(
    opcode: &Opcode,
    register: Vector,
    middle: Option<Vector>,
    last: Operand,
    immediate: Immediate,
) -> String {
    let middle = middle.map_or_else(String::new, |middle| format!("{middle}, "));
    let operands = format!("    {} {register}, {middle}{last}", opcode.name);
    match immediate {
        Immediate::None => operands,
        Immediate::Byte(byte) => format!("{operands}, {byte}"),
        Immediate::Register(register) => format!("{operands}, {}", Vector(register)),
    }
}
