//! Products of a matrix and a vector, about as fast as the matrix can be read.
//!
//! The matrix is cut into tiles of rows and blocks of columns. Products of a block are summed by `rows.rs` where rows are
//! dense, by `columns.rs` where columns are; rows that are not dense are copied. Each element of the result adds up its
//! blocks in order. So an element depends on its row, the vector and the length of blocks alone, not on tiles or threads.
//! Must not know: which of the two operands of a product is the vector.

use std::sync::{Mutex, PoisonError};

use super::columns::sum_columns;
use super::number::{Lines, Number, Sum};
use super::rows::sum_rows;
use super::{Line, WithVector};
use crate::backend::Parallelism;

/// Rows of a tile.
const TILE: usize = 512;

/// Tasks per thread, so that uneven ones even out.
const PER_THREAD: usize = 4;

/// How a matrix lies in memory, with the step from one row, or one column, to the next.
#[derive(Clone, Copy)]
enum Layout<T> {
    DenseRows(isize, Sum<T>),
    DenseColumns(isize, Sum<T>),
    /// Neither: the steps along both, and the code for rows that were copied.
    Sparse([isize; 2], Sum<T>),
}

/// `result = matrix · vector`.
#[derive(Clone, Copy)]
pub(super) struct Product<T> {
    rows: usize,
    columns: usize,
    matrix: *const T,
    layout: Layout<T>,
    vector: *const T,
    result: Line,
    ahead: Option<isize>,
    /// Columns of a block.
    block: usize,
}

// SAFETY: the caller of `run` waits for all tasks; they read the operands, and write different elements.
unsafe impl<T> Send for Product<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Product<T> {}

impl<T: Number> Product<T> {
    /// Makes the product with blocks of so many columns, for as long as `with` runs.
    ///
    /// # Safety
    /// All three are valid for the sizes, and the result overlaps neither operand.
    pub unsafe fn with<R>(operands: WithVector, block: usize, with: impl FnOnce(Product<T>) -> R) -> R {
        let WithVector { rows, inner: columns, matrix, vector, result, ahead } = operands;
        let gathered: Vec<T>;
        let mut start = vector.pointer.cast_const().cast::<T>();
        if vector.stride != 1 {
            // SAFETY: the vector has so many elements.
            gathered = (0..columns).map(|k| unsafe { *start.wrapping_offset(k as isize * vector.stride) }).collect();
            start = gathered.as_ptr();
        }
        let layout = match [matrix.row_stride, matrix.column_stride] {
            [step, 1] => Layout::DenseRows(step, sum_rows()),
            [1, step] => Layout::DenseColumns(step, sum_columns()),
            steps => Layout::Sparse(steps, sum_rows()),
        };
        let matrix = matrix.pointer.cast_const().cast::<T>();
        with(Product { rows, columns, matrix, layout, vector: start, result, ahead, block })
    }

    /// Computes it, by several threads if there is a pool for it.
    pub fn run(self, parallelism: Option<&Parallelism>) {
        let Some(parallelism) = parallelism else { return (0..self.tiles()).for_each(|tile| self.tile(tile)) };
        self.in_parallel(parallelism);
    }

    /// Tiles are the tasks; if there are not enough, blocks are, each with a result of its own.
    fn in_parallel(&self, parallelism: &Parallelism) {
        let wanted = parallelism.threads() * PER_THREAD;
        if self.tiles() >= wanted || self.blocks() <= self.tiles() {
            return parallelism.run(self.tiles(), |tile| self.tile(tile));
        }
        let mut sums = vec![T::ZERO; self.rows * self.blocks()];
        let few = self.blocks().div_ceil(wanted);
        let parts: Vec<Mutex<&mut [T]>> = sums.chunks_mut(self.rows * few).map(Mutex::new).collect();
        parallelism.run(parts.len(), |part| {
            // Each task has a part of its own.
            let mut sums = parts[part].lock().unwrap_or_else(PoisonError::into_inner);
            for (block, sums) in sums.chunks_mut(self.rows).enumerate() {
                self.whole_block(sums, part * few + block);
            }
        });
        drop(parts);
        self.add_blocks(&mut sums);
    }

    /// Sets the sums of each block of the columns, one after the other.
    pub fn block_sums(&self, sums: &mut [T]) {
        for (block, sums) in sums.chunks_mut(self.rows.max(1)).enumerate() {
            self.whole_block(sums, block);
        }
    }

    /// The result from the sums of all blocks, which are used up.
    pub fn add_blocks(&self, sums: &mut [T]) {
        let (first, others) = sums.split_at_mut(self.rows.min(sums.len()));
        others.chunks(self.rows.max(1)).for_each(|block| add(first, block));
        self.store(0, first);
    }

    fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE)
    }

    /// At least one, if only of nothing.
    fn blocks(&self) -> usize {
        self.columns.div_ceil(self.block).max(1)
    }

    fn whole_block(&self, sums: &mut [T], block: usize) {
        for (tile, sums) in sums.chunks_mut(TILE).enumerate() {
            self.block(tile * TILE, sums, block);
        }
    }

    /// All blocks of a tile, one after the other.
    fn tile(&self, tile: usize) {
        let first = tile * TILE;
        let mut sums = [T::ZERO; TILE];
        let sums = &mut sums[..TILE.min(self.rows - first)];
        self.block(first, sums, 0);
        if self.blocks() > 1 {
            self.other_blocks(first, sums);
        }
        self.store(first, sums);
    }

    fn other_blocks(&self, first: usize, sums: &mut [T]) {
        let mut others = [T::ZERO; TILE];
        let others = &mut others[..sums.len()];
        for block in 1..self.blocks() {
            self.block(first, others, block);
            add(sums, others);
        }
    }

    /// Sets sums to those of a block, for the rows from `first` on.
    fn block(&self, first: usize, sums: &mut [T], block: usize) {
        let columns = block * self.block..self.columns.min((block + 1) * self.block);
        let (row, column, count) = (first as isize, columns.start as isize, columns.len());
        let vector = self.vector.wrapping_add(columns.start);
        match self.layout {
            Layout::DenseRows(step, sum) => {
                let lines = self.lines(row * step + column, step);
                // SAFETY: rows and columns are those of the operands, by the word of who made this; the code is for
                // this processor.
                unsafe { sum(sums, lines, vector, count) }
            }
            Layout::DenseColumns(step, sum) => {
                let lines = self.lines(row + column * step, step);
                // SAFETY: as above.
                unsafe { sum(sums, lines, vector, count) }
            }
            Layout::Sparse([down, along], sum) => {
                let mut copy = vec![T::ZERO; count];
                for (row, total) in (row..).zip(sums) {
                    let start = self.matrix.wrapping_offset(row * down + column * along);
                    for (k, element) in (0..).zip(&mut copy) {
                        // SAFETY: as above.
                        *element = unsafe { *start.wrapping_offset(k * along) };
                    }
                    let lines = Lines { first: copy.as_ptr(), step: 0, ahead: None };
                    // SAFETY: the copy has so many elements; the rest as above.
                    unsafe { sum(std::slice::from_mut(total), lines, vector, count) }
                }
            }
        }
    }

    /// Lines of the matrix.
    fn lines(&self, offset: isize, step: isize) -> Lines<T> {
        Lines { first: self.matrix.wrapping_offset(offset), step, ahead: self.ahead }
    }

    /// Writes elements of the result, which no other task writes.
    fn store(&self, first: usize, values: &[T]) {
        let pointer = self.result.pointer.cast::<T>().wrapping_offset(first as isize * self.result.stride);
        if self.result.stride == 1 {
            // SAFETY: the rows are of the result, by the word of who made this.
            return unsafe { pointer.copy_from_nonoverlapping(values.as_ptr(), values.len()) };
        }
        for (row, &value) in (0..).zip(values) {
            // SAFETY: as above.
            unsafe { *pointer.wrapping_offset(row * self.result.stride) = value };
        }
    }
}

fn add<T: Number>(sums: &mut [T], others: &[T]) {
    for (sum, &other) in sums.iter_mut().zip(others) {
        *sum = sum.plus(other);
    }
}
