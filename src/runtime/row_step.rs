//! What the steps of a row block are when they run for a range of rows: launches with bases that are moved to the rows, and
//! products of a part of the matrix.
//!
//! Must not know: how ranges are chosen, and who runs them.

use std::time::Instant;

use smallvec::SmallVec;

use crate::backend::matmul::{Line, Matrix, WithVector, block_columns, matmul};
use crate::backend::{Executable, Parallelism};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::loops::{Base, Binding, Launch};
use crate::runtime::profile::{Counter, traffic};

/// The worker itself.
const ALONE: Parallelism = Parallelism { pool: None, threshold: Some(usize::MAX) };

/// A step of a block as all ranges run it.
pub(super) enum RowStep<'a> {
    Kernel(RowLaunch<'a>),
    Product(RowProduct<'a>),
}

/// A kernel of a block as all ranges launch it.
pub(super) struct RowLaunch<'a> {
    pub kernel: &'a dyn Executable,
    pub extents: SmallVec<[usize; 4]>,
    pub operands: SmallVec<[RowOperand; 4]>,
    /// How many iterations all ranges have, if no step of the block reads its results, else 0.
    pub part_of: usize,
}

/// A product of a matrix and a vector, over the rows of the block and the other axis of the matrix.
pub(super) struct RowProduct<'a> {
    pub dtype: DType,
    pub extents: [usize; 2],
    pub matrix: RowOperand,
    pub vector: RowOperand,
    pub result: RowOperand,
    /// Which of the block's sums it leaves, if it sums over the rows.
    pub sums: Option<usize>,
    pub counter: Option<&'a Counter>,
}

/// An operand of all rows.
pub(super) struct RowOperand {
    pub base: RowBase,
    /// In bytes, or in positions.
    pub strides: SmallVec<[isize; 4]>,
}

/// Where an operand begins.
#[derive(Clone, Copy)]
pub(super) enum RowBase {
    /// At this address, for the first row of all.
    Address(usize),
    /// At this position, for the first row of all.
    Position(i64),
    /// In a slot of the block, so far from the first row at hand.
    Slot(usize, isize),
}

/// Some rows, and the memory that a worker has for what it hands on there.
pub(super) struct At<'a> {
    /// The first index of the axes that are cut.
    pub first: &'a [usize],
    /// How many there are of the last one.
    pub length: usize,
    /// The first index of these axes in the worker's next range, if there is one.
    pub next: Option<&'a [usize]>,
    /// The worker's memory.
    pub scratch: usize,
    /// Where each slot of the block lies in it.
    pub places: &'a [usize],
    /// Where the sums of all blocks of rows go, of each product that sums over the rows.
    pub sums: &'a [usize],
}

impl RowLaunch<'_> {
    /// Runs the kernel for some rows; the bindings are those of another range.
    ///
    /// # Safety
    /// The launch may run for these rows.
    pub unsafe fn run(&self, at: &At<'_>, extents: &mut [usize], bindings: &mut [Binding]) -> Result<()> {
        let ahead = self.operands.iter().map(|operand| operand.distance_to_next(at));
        let ahead: SmallVec<[isize; 4]> = if self.kernel.asks_ahead() { ahead.collect() } else { SmallVec::new() };
        extents[..at.first.len()].fill(1);
        extents[at.first.len() - 1] = at.length;
        for (binding, operand) in bindings.iter_mut().zip(&self.operands) {
            binding.base = operand.base_at(at);
        }
        // SAFETY: by the caller's word.
        unsafe { self.kernel.launch(&Launch { extents, bindings, part_of: self.part_of, ahead: &ahead }, &ALONE) }
    }
}

impl RowProduct<'_> {
    /// Computes the product for some rows; if it sums over them, the sums of their blocks. It is then about to let go of
    /// these rows, and has time to ask for the next ones.
    ///
    /// # Safety
    /// The product may run for these rows, which are whole blocks or the last ones.
    pub unsafe fn run(&self, at: &At<'_>) -> Result<()> {
        let start = self.counter.map(|_| Instant::now());
        let (dtype, other) = (self.dtype, self.extents[1]);
        let (matrix, vector) = (self.matrix.pointer_at(at)?, self.vector.pointer_at(at)?);
        let [by_row, along] = self.strides(&self.matrix);
        let column = |pointer: *mut u8, row_stride: isize| Matrix { pointer, row_stride, column_stride: 1 };
        // SAFETY: by the caller's word.
        unsafe {
            if let Some(sums) = self.sums {
                let matrix = Matrix { pointer: matrix, row_stride: along, column_stride: by_row };
                let vector = Line { pointer: vector, stride: self.strides(&self.vector)[0] };
                let result = Line { pointer: std::ptr::null_mut(), stride: 1 };
                let blocks = at.first[0] / block_columns(dtype, other);
                let sums = std::ptr::with_exposed_provenance_mut(at.sums[sums] + blocks * other * dtype.size());
                let ahead = at.next.map(|next| (next[0] as isize - at.first[0] as isize).wrapping_mul(by_row));
                WithVector { rows: other, inner: at.length, matrix, vector, result, ahead }.block_sums(dtype, sums);
            } else {
                let left = Matrix { pointer: matrix, row_stride: by_row, column_stride: along };
                let right = column(vector, self.strides(&self.vector)[1]);
                let result = column(self.result.pointer_at(at)?, self.strides(&self.result)[0]);
                matmul(dtype, [at.length, other, 1], left, right, result, &ALONE);
            }
        }
        if let (Some(counter), Some(start)) = (self.counter, start) {
            counter.add(start.elapsed(), traffic::of_product([at.length, other, 1], dtype, self.sums.is_none()));
        }
        Ok(())
    }

    /// How many bytes the sums of all blocks are; nothing for a product that has its results at once.
    pub fn sum_bytes(dtype: DType, [rows, other]: [usize; 2]) -> Option<usize> {
        rows.div_ceil(block_columns(dtype, other)).checked_mul(other)?.checked_mul(dtype.size())
    }

    /// Writes the result from the sums of all blocks, if it sums over the rows.
    ///
    /// # Safety
    /// All rows have left their sums.
    pub unsafe fn close(&self, sums: &[usize]) -> Result<()> {
        let Some(sums) = self.sums.map(|number| sums[number]) else { return Ok(()) };
        let ([rows, other], none) = (self.extents, std::ptr::null_mut());
        let whole = At { first: &[0], length: rows, next: None, scratch: 0, places: &[], sums: &[] };
        let product = WithVector {
            rows: other,
            inner: 0,
            matrix: Matrix { pointer: none, row_stride: 1, column_stride: 1 },
            vector: Line { pointer: none, stride: 1 },
            result: Line { pointer: self.result.pointer_at(&whole)?, stride: self.strides(&self.result)[1] },
            ahead: None,
        };
        let blocks = rows.div_ceil(block_columns(self.dtype, other));
        // SAFETY: by the caller's word.
        unsafe { product.add_blocks(self.dtype, blocks, std::ptr::with_exposed_provenance_mut(sums)) };
        Ok(())
    }

    /// The strides of an operand in elements.
    fn strides(&self, operand: &RowOperand) -> [isize; 2] {
        [0, 1].map(|axis| operand.strides[axis] / self.dtype.size() as isize)
    }
}

impl RowOperand {
    /// Where it begins for some rows.
    pub fn base_at(&self, at: &At<'_>) -> Base {
        let steps = at.first.iter().zip(&self.strides).map(|(&index, &stride)| (index as isize).wrapping_mul(stride));
        let offset = steps.fold(0_isize, isize::wrapping_add);
        let host = |address: usize| Base::Host(std::ptr::with_exposed_provenance_mut(address));
        match self.base {
            RowBase::Address(address) => host(address.wrapping_add_signed(offset)),
            RowBase::Position(position) => Base::Position(position.wrapping_add(offset as i64)),
            RowBase::Slot(slot, start) => host((at.scratch + at.places[slot]).wrapping_add_signed(start)),
        }
    }

    /// How far from these rows those of the next range lie, in bytes; 0 where there are none, or in the same memory.
    fn distance_to_next(&self, at: &At<'_>) -> isize {
        let RowBase::Address(_) = self.base else { return 0 };
        let Some(next) = at.next else { return 0 };
        let steps = next.iter().zip(at.first).zip(&self.strides);
        let steps = steps.map(|((&next, &first), &stride)| (next as isize - first as isize).wrapping_mul(stride));
        steps.fold(0, isize::wrapping_add)
    }

    fn pointer_at(&self, at: &At<'_>) -> Result<*mut u8> {
        match self.base_at(at) {
            Base::Host(pointer) => Ok(pointer),
            Base::Position(_) => Err(Error::Internal("a product of a sequence that is not in memory".to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_move_with_their_range_and_slots_stay() {
        let at = |base: RowBase| {
            let at = At { first: &[2, 3], length: 1, next: None, scratch: 5000, places: &[0, 64], sums: &[] };
            RowOperand { base, strides: SmallVec::from_slice(&[-100, 8]) }.base_at(&at)
        };
        assert!(matches!(at(RowBase::Address(1000)), Base::Host(pointer) if pointer.addr() == 824));
        assert!(matches!(at(RowBase::Position(7)), Base::Position(-169)));
        assert!(matches!(at(RowBase::Slot(1, 16)), Base::Host(pointer) if pointer.addr() == 5080));
    }

    #[test]
    fn the_next_range_is_so_far_ahead() {
        let distance = |base: RowBase, next: Option<&[usize]>| {
            let at = At { first: &[2, 3], length: 1, next, scratch: 0, places: &[0], sums: &[] };
            RowOperand { base, strides: SmallVec::from_slice(&[-100, 8]) }.distance_to_next(&at)
        };
        assert_eq!(distance(RowBase::Address(1000), Some(&[3, 1])), -116);
        assert_eq!(distance(RowBase::Address(1000), None), 0);
        assert_eq!(distance(RowBase::Slot(0, 0), Some(&[3, 1])), 0);
    }
}
