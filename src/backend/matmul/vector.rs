//! Products of a matrix and a vector, about as fast as the matrix can be read.
//!
//! The matrix is cut into tiles of rows and blocks of columns, whose products are made by library code where rows are
//! dense and by `columns.rs` where columns are. Each element of the result adds up its blocks in order. Tiles and blocks
//! depend on sizes alone, so the bits do not depend on threads. Must not know: which of the two operands of a product
//! is the vector.

use gemm::Parallelism as GemmParallelism;
use rayon::prelude::*;

use super::columns::{Columns, Float, SumColumns, sum_columns};
use super::{Matrix, threads};
use crate::backend::Parallelism;

/// Columns of a block.
const BLOCK: usize = 2048;

/// Rows of a tile.
const TILE: usize = 512;

/// Tasks per thread, so that uneven ones even out.
const PER_THREAD: usize = 4;

/// A vector in memory: the address of its first element, and the step in elements to the next.
#[derive(Clone, Copy)]
pub(super) struct Strided<T> {
    pub pointer: *mut T,
    pub stride: isize,
}

/// How a matrix lies in memory, with the step from one row, or one column, to the next.
#[derive(Clone, Copy)]
enum Layout<T> {
    DenseRows(isize),
    DenseColumns(isize, SumColumns<T>),
}

/// `result = matrix · vector`.
#[derive(Clone, Copy)]
pub(super) struct Product<T> {
    rows: usize,
    columns: usize,
    matrix: *const T,
    layout: Layout<T>,
    vector: Strided<T>,
    result: Strided<T>,
}

// SAFETY: the caller of `run` waits for all tasks; they read the operands, and write different elements.
unsafe impl<T> Send for Product<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Product<T> {}

impl<T: Float> Product<T> {
    /// The product with a matrix of so many rows and columns; none if neither are dense.
    pub fn new(
        [rows, columns]: [usize; 2],
        matrix: Matrix,
        vector: Strided<T>,
        result: Strided<T>,
    ) -> Option<Product<T>> {
        let layout = match matrix {
            Matrix { column_stride: 1, row_stride, .. } => Layout::DenseRows(row_stride),
            Matrix { row_stride: 1, column_stride, .. } => Layout::DenseColumns(column_stride, sum_columns()),
            Matrix { .. } => return None,
        };
        Some(Product { rows, columns, matrix: matrix.pointer.cast_const().cast::<T>(), layout, vector, result })
    }

    /// Computes it, by several threads if there is a pool for it.
    ///
    /// # Safety
    /// All three are valid for the sizes, and the result overlaps neither operand.
    pub unsafe fn run(mut self, parallelism: Option<&Parallelism>) {
        let gathered: Vec<T>;
        if self.vector.stride != 1 {
            let element = |k: usize| self.vector.pointer.wrapping_offset(k as isize * self.vector.stride);
            // SAFETY: the vector has so many elements.
            gathered = (0..self.columns).map(|k| unsafe { *element(k) }).collect();
            self.vector = Strided { pointer: gathered.as_ptr().cast_mut(), stride: 1 };
        }
        let Some(parallelism) = parallelism else { return (0..self.tiles()).for_each(|tile| self.tile(tile)) };
        let tasks = threads(parallelism) * PER_THREAD;
        match &parallelism.pool {
            Some(pool) => pool.install(|| self.in_parallel(tasks)),
            None => self.in_parallel(tasks),
        }
    }

    /// Tiles are the tasks; if there are not enough, blocks are, each with a result of its own.
    fn in_parallel(&self, wanted: usize) {
        if self.tiles() >= wanted || self.blocks() <= self.tiles() {
            return (0..self.tiles()).into_par_iter().for_each(|tile| self.tile(tile));
        }
        let mut results = vec![T::ZERO; self.rows * self.blocks()];
        results.par_chunks_mut(self.rows).enumerate().for_each(|(block, sums)| {
            for (tile, sums) in sums.chunks_mut(TILE).enumerate() {
                self.block(tile * TILE, sums, block);
            }
        });
        let (sums, others) = results.split_at_mut(self.rows);
        others.chunks(self.rows).for_each(|block| add(sums, block));
        self.store(0, sums);
    }

    fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE)
    }

    fn blocks(&self) -> usize {
        self.columns.div_ceil(BLOCK)
    }

    /// All blocks of a tile, one after the other.
    fn tile(&self, tile: usize) {
        let first = tile * TILE;
        let rows = TILE.min(self.rows - first);
        let (mut sums, mut block_sums) = ([T::ZERO; TILE], [T::ZERO; TILE]);
        let (sums, block_sums) = (&mut sums[..rows], &mut block_sums[..rows]);
        self.block(first, sums, 0);
        for block in 1..self.blocks() {
            self.block(first, block_sums, block);
            add(sums, block_sums);
        }
        self.store(first, sums);
    }

    /// Sets sums to those of a block, for the rows from `first` on.
    fn block(&self, first: usize, sums: &mut [T], block: usize) {
        let columns = block * BLOCK..self.columns.min((block + 1) * BLOCK);
        let (row, column, count) = (first as isize, columns.start as isize, columns.len());
        let vector = self.vector.pointer.wrapping_add(columns.start).cast_const();
        match self.layout {
            Layout::DenseRows(step) => {
                let corner = self.matrix.wrapping_offset(row * step + column);
                // SAFETY: rows and columns are those of the operands, by the word of who called `run`.
                unsafe { sum_rows(sums, corner, step, vector, count) }
            }
            Layout::DenseColumns(step, sum_columns) => {
                let corner = self.matrix.wrapping_offset(row + column * step);
                // SAFETY: as above; the code is for this processor.
                unsafe { sum_columns(sums, Columns { first: corner, step }, vector, count) }
            }
        }
    }

    /// Writes elements of the result, which no other task writes.
    fn store(&self, first: usize, values: &[T]) {
        let Strided { pointer, stride } = self.result;
        for (row, &value) in (first..).zip(values) {
            // SAFETY: the row is one of the result, by the word of who called `run`.
            unsafe { *pointer.offset(row as isize * stride) = value };
        }
    }
}

fn add<T: Float>(sums: &mut [T], others: &[T]) {
    for (sum, &other) in sums.iter_mut().zip(others) {
        *sum = *sum + other;
    }
}

/// Sets sums to the products of a vector with rows that are so far apart.
///
/// # Safety
/// There is a row for each sum, and as many elements as are counted in each and in the vector.
unsafe fn sum_rows<T: Float>(sums: &mut [T], first: *const T, step: isize, vector: *const T, count: usize) {
    let (rows, apart) = (sums.len(), sums.len() as isize);
    // SAFETY: by the caller's word.
    unsafe {
        gemm::gemm(
            rows,
            1,
            count,
            sums.as_mut_ptr(),
            apart,
            1,
            false,
            first,
            1,
            step,
            vector,
            apart.max(count as isize),
            1,
            T::ZERO,
            T::ONE,
            false,
            false,
            false,
            GemmParallelism::None,
        );
    }
}
