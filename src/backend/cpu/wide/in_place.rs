//! Vectors of operands that an instruction reads where they are, without a load before it.
//!
//! So loops have fewer instructions, and the processor sees further ahead: the lanes of a block then begin while those of the
//! block before still wait for each other. Must not know: loops, what is computed.

use super::allocate::{commutes, mirrored};
use super::frame::Frame;
use super::instruction::LOAD;
use super::step::{Home, Place, Step, Steps, Value};

impl Steps {
    /// Lets an instruction that alone reads a vector of an operand read it from memory, unless something is stored
    /// before; `wanted` are needed at the end.
    pub fn read_in_place(&mut self, wanted: impl IntoIterator<Item = Value>) {
        let mut uses = vec![0_usize; self.homes.len()];
        wanted.into_iter().for_each(|value| uses[value.0 as usize] += 2);
        self.steps.iter().for_each(|step| step.reads(|value| uses[value.0 as usize] += 1));
        let mut may = vec![false; self.homes.len()];
        let stores = |step: &&Step| matches!(step, Step::Store { .. } | Step::CopyOut { .. });
        let before = self.steps.iter().take_while(|step| !stores(step));
        before.flat_map(from_memory).for_each(|value| may[value.0 as usize] = true);
        let homes = &mut self.homes;
        self.steps.retain(|step| {
            let Some((value, place)) = plain_load(step) else { return true };
            let index = value.0 as usize;
            let in_place = uses[index] == 1 && may[index];
            if in_place {
                homes[index] = Home::Place(place);
            }
            !in_place
        });
    }
}

/// What a step may read from memory, one of these.
fn from_memory(step: &Step) -> impl Iterator<Item = Value> {
    let mut values = [None; 2];
    if let Step::Compute { opcode, first, last, third: None, immediate, .. } = step {
        let first = first.filter(|_| commutes(opcode) || mirrored(opcode, *immediate).is_some());
        values = [first, Some(*last)];
    }
    values.into_iter().flatten()
}

/// The vector that a step loads whole from an operand whose base has a register, and from where.
fn plain_load(step: &Step) -> Option<(Value, Place)> {
    let Step::Load { opcode, result, mask: None, from: from @ Place::Port { port, .. } } = step else { return None };
    (**opcode == LOAD && Frame::base_register(*port).is_some()).then_some((*result, *from))
}
