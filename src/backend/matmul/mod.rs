//! Matrix products on the host: `vector.rs` where one operand is a vector, else `float.rs` for floats and plain loops for
//! integers and bools.
//!
//! Any strides, sizes and threads; integers wrap, bools are or-of-ands.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod columns;
mod float;
mod number;
mod round;
mod rows;
mod vector;

use self::float::WithMatrix;
use self::number::Number;
use self::vector::Product;
use crate::backend::Parallelism;
use crate::dtype::DType;

/// A matrix in memory: the address of its first element, and the steps in elements along rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matrix {
    /// The address of element (0, 0).
    pub pointer: *mut u8,
    /// From one row to the next.
    pub row_stride: isize,
    /// From one column to the next.
    pub column_stride: isize,
}

/// A vector in memory: the address of its first element, and the step in elements to the next.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// The address of element 0.
    pub pointer: *mut u8,
    /// From one element to the next.
    pub stride: isize,
}

/// `result = matrix · vector`, of `rows × inner`.
#[derive(Debug, Clone, Copy)]
pub struct WithVector {
    /// Rows of the matrix.
    pub rows: usize,
    /// Columns of the matrix.
    pub inner: usize,
    /// The matrix.
    pub matrix: Matrix,
    /// The vector.
    pub vector: Line,
    /// The result.
    pub result: Line,
    /// How many elements further on than each element of the matrix is one that will be read next, if that is known.
    pub ahead: Option<isize>,
}

/// From this many multiplications on a product is split over threads.
const PARALLEL_PRODUCTS: usize = 1 << 18;

/// Columns of a block of a product with a vector.
const BLOCK: usize = 2048;

/// The bytes of a matrix that a block of few rows has at most, so that it stays in the cache from one use to the next.
const BLOCK_BYTES: usize = 128 << 10;

/// The fewest columns of such a block.
const FEWEST: usize = 16;

/// Evaluates an expression for the type of a dtype.
macro_rules! for_dtype {
    ($dtype:expr, $type:ident => $value:expr) => {
        for_dtype!(@ $dtype, $type => $value, F32 f32 F64 f64 Bool bool I8 i8 U8 u8 I32 i32 U32 u32 I64 i64 U64 u64)
    };
    (@ $dtype:expr, $type:ident => $value:expr, $($name:ident $own:ident)*) => {
        match $dtype {
            $(DType::$name => {
                type $type = $own;
                $value
            })*
        }
    };
}

/// `result = left · right`, of `rows × inner` and `inner × columns`.
///
/// # Safety
/// All three matrices are valid for the sizes and the dtype, and `result` overlaps neither operand.
pub unsafe fn matmul(
    dtype: DType,
    sizes: [usize; 3],
    left: Matrix,
    right: Matrix,
    result: Matrix,
    parallelism: &Parallelism,
) {
    if sizes[0] == 0 || sizes[2] == 0 {
        return;
    }
    if let Some(product) = WithVector::new(sizes, left, right, result) {
        // SAFETY: passed on.
        return unsafe { product.run(dtype, BLOCK, parallelism) };
    }
    let product = WithMatrix { sizes, left, right, result };
    // SAFETY: passed on as promised by the caller.
    unsafe {
        match dtype {
            // There is nothing to add up.
            DType::F32 | DType::F64 if sizes[1] == 0 => {
                for_dtype!(dtype, T => plain::<T>(sizes, left, right, result))
            }
            DType::F32 => product.run::<f32>(parallelism),
            DType::F64 => product.run::<f64>(parallelism),
            DType::Bool | DType::I8 | DType::U8 | DType::I32 | DType::U32 | DType::I64 | DType::U64 => {
                for_dtype!(dtype, T => plain::<T>(sizes, left, right, result))
            }
        }
    }
}

/// Columns of the blocks in which a product is summed whose blocks are computed apart: they depend on its sizes alone.
pub fn block_columns(dtype: DType, rows: usize) -> usize {
    let most = BLOCK_BYTES / rows.saturating_mul(dtype.size()).max(1);
    most.checked_ilog2().map_or(0, |log| 1 << log).clamp(FEWEST, BLOCK)
}

impl WithVector {
    /// The product of two matrices if one of them is a vector.
    pub fn new([rows, inner, columns]: [usize; 3], left: Matrix, right: Matrix, result: Matrix) -> Option<WithVector> {
        let line = |matrix: Matrix, stride: isize| Line { pointer: matrix.pointer, stride };
        if columns == 1 {
            let (vector, result) = (line(right, right.row_stride), line(result, result.row_stride));
            return Some(WithVector { rows, inner, matrix: left, vector, result, ahead: None });
        }
        let matrix = Matrix { row_stride: right.column_stride, column_stride: right.row_stride, ..right };
        let (vector, result) = (line(left, left.column_stride), line(result, result.column_stride));
        (rows == 1).then_some(WithVector { rows: columns, inner, matrix, vector, result, ahead: None })
    }

    /// Computes it in blocks of so many columns.
    ///
    /// # Safety
    /// All three are valid for the sizes and the dtype, and the result overlaps neither operand.
    unsafe fn run(self, dtype: DType, block: usize, parallelism: &Parallelism) {
        if self.rows == 0 {
            return;
        }
        let is_split = is_split([self.rows, self.inner, 1], parallelism);
        let parallelism = is_split.then_some(parallelism);
        // SAFETY: passed on.
        unsafe { for_dtype!(dtype, T => Product::<T>::with(self, block, |product| product.run(parallelism))) }
    }

    /// Computes it in the blocks of `block_columns`: the same bits as computing these apart.
    ///
    /// # Safety
    /// All three are valid for the sizes and the dtype, and the result overlaps neither operand.
    pub unsafe fn run_in_blocks(self, dtype: DType, parallelism: &Parallelism) {
        // SAFETY: passed on.
        unsafe { self.run(dtype, block_columns(dtype, self.rows), parallelism) }
    }

    /// Computes a part of a product whose blocks are computed apart, and leaves the sums of the blocks, one after the
    /// other; the result is not touched.
    ///
    /// # Safety
    /// The matrix, the vector and the sums are valid for the sizes and the dtype, and the sums overlap neither operand.
    pub unsafe fn block_sums(self, dtype: DType, sums: *mut u8) {
        let block = block_columns(dtype, self.rows);
        let count = self.inner.div_ceil(block) * self.rows;
        // SAFETY: passed on.
        unsafe {
            for_dtype!(dtype, T => Product::<T>::with(self, block, |product| {
                product.block_sums(std::slice::from_raw_parts_mut(sums.cast::<T>(), count));
            }))
        }
    }

    /// The result from the sums of so many blocks, at least one, which are used up; the operands are not touched.
    ///
    /// # Safety
    /// The sums and the result are valid for the sizes and the dtype, and do not overlap.
    pub unsafe fn add_blocks(self, dtype: DType, blocks: usize, sums: *mut u8) {
        let whole = WithVector { inner: 0, vector: Line { stride: 1, ..self.vector }, ..self };
        // SAFETY: passed on.
        unsafe {
            for_dtype!(dtype, T => Product::<T>::with(whole, 1, |product| {
                product.add_blocks(std::slice::from_raw_parts_mut(sums.cast::<T>(), blocks * self.rows));
            }))
        }
    }
}

fn is_split([rows, inner, columns]: [usize; 3], parallelism: &Parallelism) -> bool {
    let products = rows.saturating_mul(inner).saturating_mul(columns);
    products >= parallelism.threshold.unwrap_or(PARALLEL_PRODUCTS) && parallelism.threads() > 1
}

/// # Safety
/// As `matmul`, for elements of type `T`.
unsafe fn plain<T: Number>([rows, inner, columns]: [usize; 3], left: Matrix, right: Matrix, result: Matrix) {
    let at = |matrix: Matrix, row: usize, column: usize| {
        let offset = row as isize * matrix.row_stride + column as isize * matrix.column_stride;
        matrix.pointer.cast::<T>().wrapping_offset(offset)
    };
    for row in 0..rows {
        for column in 0..columns {
            // SAFETY: the indices are below the sizes that the caller vouches for.
            let product = |sum: T, k: usize| unsafe { (*at(left, row, k)).separate(*at(right, k, column), sum) };
            let sum = (0..inner).fold(T::ZERO, product);
            // SAFETY: as above.
            unsafe { *at(result, row, column) = sum };
        }
    }
}

#[cfg(test)]
mod tests;
