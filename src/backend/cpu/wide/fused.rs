//! Products and sums that are rounded once: their instructions, each of which overwrites an operand.
//!
//! Must not know: what the code computes.

use super::allocate::Allocator;
use super::encode::{Operand, Vector};
use super::instruction::*;
use super::step::Value;
use crate::error::Result;

/// The signs of a product and what is added to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fused {
    /// `a · b + c`.
    Sum,
    /// `a · b − c`.
    Difference,
    /// `c − a · b`.
    Remainder,
}

impl Fused {
    /// The instruction that overwrites a factor.
    fn over_factor(self, double: bool) -> &'static Opcode {
        match (self, double) {
            (Fused::Sum, false) => &FMADD213PS,
            (Fused::Sum, true) => &FMADD213PD,
            (Fused::Difference, false) => &FMSUB213PS,
            (Fused::Difference, true) => &FMSUB213PD,
            (Fused::Remainder, false) => &FNMADD213PS,
            (Fused::Remainder, true) => &FNMADD213PD,
        }
    }

    /// The instruction that overwrites what is added.
    fn over_addend(self, double: bool) -> &'static Opcode {
        match (self, double) {
            (Fused::Sum, false) => &FMADD231PS,
            (Fused::Sum, true) => &FMADD231PD,
            (Fused::Difference, false) => &FMSUB231PS,
            (Fused::Difference, true) => &FMSUB231PD,
            (Fused::Remainder, false) => &FNMADD231PS,
            (Fused::Remainder, true) => &FNMADD231PD,
        }
    }
}

impl Allocator<'_> {
    /// The form of the instruction that overwrites an operand which is not needed any more.
    pub fn fused(&mut self, form: Fused, double: bool, result: Value, [mut a, mut b, c]: [Value; 3]) -> Result<()> {
        if self.register(a).is_none() && self.register(b).is_some() {
            (a, b) = (b, a);
        }
        self.ensure(a)?;
        let last_use = |own: &Self, value: Value| {
            let later = own.uses[value.0 as usize].iter().any(|&position| position > own.position);
            !later && own.register(value).is_some()
        };
        let addend_dies = last_use(self, c) && c != a && c != b;
        if !addend_dies {
            self.ensure(b)?;
            for (over, other) in [(a, b), (b, a)] {
                if last_use(self, over) && over != other {
                    return self.overwrite(form.over_factor(double), result, over, other, c);
                }
            }
        }
        let opcode = form.over_addend(double);
        if addend_dies {
            self.ensure(c)?;
            return self.overwrite(opcode, result, c, a, b);
        }
        let [first, second] = [self.ensure(a)?, self.ensure(b)?];
        let addend = self.operand(c)?;
        let register = self.take(self.wanted[result.0 as usize])?;
        let load = if matches!(addend, Operand::Memory(_)) { &LOAD } else { &COPY };
        self.asm.vector(load, Vector(register), None, addend, Immediate::None);
        let second = Operand::Register(Vector(second));
        self.asm.vector(opcode, Vector(register), Some(Vector(first)), second, Immediate::None);
        [a, b, c].into_iter().for_each(|value| self.consume(value));
        self.redefine(result, register);
        Ok(())
    }

    /// `over = opcode(over, middle, last)`, where `over` dies.
    fn overwrite(
        &mut self,
        opcode: &'static Opcode,
        result: Value,
        over: Value,
        middle: Value,
        last: Value,
    ) -> Result<()> {
        let (register, middle_register) = (self.ensure(over)?, self.ensure(middle)?);
        let operand = self.operand(last)?;
        [over, middle, last].into_iter().for_each(|value| self.consume(value));
        self.asm.vector(opcode, Vector(register), Some(Vector(middle_register)), operand, Immediate::None);
        self.redefine(result, register);
        Ok(())
    }
}
