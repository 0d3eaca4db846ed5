//! Copies of a block's elements, one after the other, where no stride leads through them.
//!
//! Must not know: what is done with them.

use std::ops::Range;

use super::form::Program;
use super::space::{Bases, Space};
use crate::loops::Access;
use crate::ops::reduction::BLOCK;

/// How the elements of a reduction over several axes are found.
#[derive(Debug)]
pub(super) struct Gather<'a> {
    program: &'a Program,
    inner: &'a Space,
}

impl<'a> Gather<'a> {
    /// For a program's operands over these axes.
    pub fn new(program: &'a Program, inner: &'a Space) -> Gather<'a> {
        Gather { program, inner }
    }

    /// Copies some elements, at most a block, of every operand into the scratch; gives where they are.
    ///
    /// # Safety
    /// The elements may be read.
    pub unsafe fn block(&self, bases: &[i64], elements: Range<usize>, scratch: &mut Vec<u64>) -> Bases {
        let ports = &self.program.ports;
        scratch.resize(ports.len() * BLOCK, 0);
        let start = scratch.as_mut_ptr();
        let mut index = 0;
        let own = &bases[..ports.len()];
        self.inner.visit(own, elements, |bases| {
            for (number, (port, &base)) in ports.iter().zip(bases).enumerate() {
                // SAFETY: every operand has room for a block of 8-byte elements.
                let place = unsafe { start.add(number * BLOCK) };
                match port.operand.access {
                    // SAFETY: `index` is less than a block.
                    Access::Index => unsafe { place.add(index).write(base as u64) },
                    // SAFETY: as above; the element may be read, by the caller's word.
                    Access::Read | Access::Write => unsafe {
                        copy(base, place.cast(), index, port.operand.dtype.size());
                    },
                }
            }
            index += 1;
        });
        let place = |number: usize| scratch[number * BLOCK..].as_ptr().expose_provenance() as i64;
        (0..ports.len()).map(place).collect()
    }
}

/// Copies one element to its number in a row of its kind.
///
/// # Safety
/// The address may be read and the row written, for so many bytes.
unsafe fn copy(address: i64, row: *mut u8, index: usize, size: usize) {
    let from = std::ptr::with_exposed_provenance::<u8>(address as usize);
    // SAFETY: by the caller's word; bytes have no alignment.
    unsafe {
        let to = row.add(index * size);
        match size {
            1 => to.write(from.read()),
            4 => to.cast::<u32>().write_unaligned(from.cast::<u32>().read_unaligned()),
            _ => to.cast::<u64>().write_unaligned(from.cast::<u64>().read_unaligned()),
        }
    }
}
