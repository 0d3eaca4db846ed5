//! What stands behind the code: instructions out of line, constants, the table of functions; and the distances to them.
//!
//! Must not know: values, allocation.

use super::encode::{ALIGNMENT, Assembler, Condition, Operand, Target, Vector};
use super::instruction::{Immediate, LOAD, Opcode};
use crate::error::{Error, Result};

/// Finished code: bytes to be placed at any address that is a multiple of 64.
#[derive(Debug, Clone)]
pub(in crate::backend::cpu) struct Assembled {
    /// Instructions, constants and the table of functions.
    pub bytes: Vec<u8>,
    /// The instructions as text, if wanted.
    pub text: Option<String>,
}

/// A vector instruction out of line: what would seldom be executed does not stand in the way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Detour {
    pub opcode: &'static Opcode,
    pub register: Vector,
    /// Moved to the result's register first if it is in memory.
    pub middle: Operand,
    pub operand: Operand,
}

impl Assembler {
    /// Executes an instruction on a condition.
    pub fn detour(&mut self, condition: Condition, detour: Detour) {
        let (there, back) = (self.label(), self.label());
        self.jump_if(condition, there);
        self.bind(back);
        self.detours.push((there, detour, back));
    }

    fn make_detours(&mut self) {
        for (there, Detour { opcode, register, middle, operand }, back) in std::mem::take(&mut self.detours) {
            self.bind(there);
            let middle = match middle {
                Operand::Register(middle) => middle,
                Operand::Memory(_) => {
                    self.vector(&LOAD, register, None, middle, Immediate::None);
                    register
                }
            };
            self.vector(opcode, register, Some(middle), operand, Immediate::None);
            self.jump(back);
        }
    }

    /// The finished code.
    ///
    /// # Errors
    /// `Internal` if a jump leads to a label that was never bound.
    pub fn finish(mut self) -> Result<Assembled> {
        self.make_detours();
        let constants = self.code.len().next_multiple_of(ALIGNMENT);
        let functions = (constants + self.constants.len()).next_multiple_of(8);
        for fix in &self.fixes {
            let target = match fix.target {
                Target::Label(label) => {
                    self.labels[label.0].ok_or_else(|| Error::Internal("a jump to nowhere".into()))?
                }
                Target::Constant(place) => constants + place,
                Target::Function(function) => functions + function * 8,
            };
            let distance = target as i64 - fix.from as i64;
            self.code[fix.at..fix.at + 4].copy_from_slice(&(distance as i32).to_le_bytes());
        }
        self.code.resize(constants, 0xcc);
        self.code.append(&mut self.constants);
        self.code.resize(functions, 0);
        self.code.extend(self.functions.iter().flat_map(|address| (*address as u64).to_le_bytes()));
        Ok(Assembled { bytes: self.code, text: self.text })
    }
}
