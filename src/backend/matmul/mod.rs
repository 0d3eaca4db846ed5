//! Matrix products on the host: the `gemm` crate for floats, `vector.rs` where one operand is a vector, plain loops for
//! integers and bools.
//!
//! Any strides, sizes and threads; integers wrap, bools are or-of-ands.

mod columns;
mod vector;

use gemm::Parallelism as GemmParallelism;

use self::columns::Float;
use self::vector::{Product, Strided};
use crate::backend::Parallelism;
use crate::dtype::DType;

/// A matrix in memory: the address of its first element, and the steps in elements along rows and columns.
#[derive(Debug, Clone, Copy)]
pub struct Matrix {
    /// The address of element (0, 0).
    pub pointer: *mut u8,
    /// From one row to the next.
    pub row_stride: isize,
    /// From one column to the next.
    pub column_stride: isize,
}

/// From this many multiplications on a product is split over threads.
const PARALLEL_PRODUCTS: usize = 1 << 18;

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
    // SAFETY: passed on as promised by the caller.
    unsafe {
        match dtype {
            DType::F32 => float::<f32>(sizes, left, right, result, parallelism),
            DType::F64 => float::<f64>(sizes, left, right, result, parallelism),
            DType::Bool => plain::<bool>(sizes, left, right, result, false, |sum, a, b| sum | (a & b)),
            DType::I8 => plain::<i8>(sizes, left, right, result, 0, |sum, a, b| sum.wrapping_add(a.wrapping_mul(b))),
            DType::U8 => plain::<u8>(sizes, left, right, result, 0, |sum, a, b| sum.wrapping_add(a.wrapping_mul(b))),
            DType::I32 => plain::<i32>(sizes, left, right, result, 0, |sum, a, b| sum.wrapping_add(a.wrapping_mul(b))),
            DType::U32 => plain::<u32>(sizes, left, right, result, 0, |sum, a, b| sum.wrapping_add(a.wrapping_mul(b))),
            DType::I64 => plain::<i64>(sizes, left, right, result, 0, |sum, a, b| sum.wrapping_add(a.wrapping_mul(b))),
            DType::U64 => plain::<u64>(sizes, left, right, result, 0, |sum, a, b| sum.wrapping_add(a.wrapping_mul(b))),
        }
    }
}

/// # Safety
/// As `matmul`, for elements of type `T`.
unsafe fn float<T: Float>(sizes: [usize; 3], left: Matrix, right: Matrix, result: Matrix, parallelism: &Parallelism) {
    let [rows, inner, columns] = sizes;
    if rows == 0 || columns == 0 {
        return;
    }
    if inner == 0 {
        // SAFETY: the loops stay within the result's sizes.
        return unsafe { plain::<T>(sizes, left, right, result, T::ZERO, |sum, _, _| sum) };
    }
    let products = rows.saturating_mul(inner).saturating_mul(columns);
    let is_split = products >= parallelism.threshold.unwrap_or(PARALLEL_PRODUCTS) && threads(parallelism) > 1;
    if let Some(product) = with_vector::<T>(sizes, left, right, result) {
        // SAFETY: as promised by the caller.
        return unsafe { product.run(is_split.then_some(parallelism)) };
    }
    let threads = if is_split { GemmParallelism::Rayon(0) } else { GemmParallelism::None };
    let operands = SendMatrices([left, right, result]);
    let run = move || {
        let SendMatrices([left, right, result]) = operands.take();
        // SAFETY: as promised by the caller.
        unsafe {
            gemm::gemm(
                rows,
                columns,
                inner,
                result.pointer.cast::<T>(),
                result.column_stride,
                result.row_stride,
                false,
                left.pointer.cast::<T>(),
                left.column_stride,
                left.row_stride,
                right.pointer.cast::<T>(),
                right.column_stride,
                right.row_stride,
                T::ZERO,
                T::ONE,
                false,
                false,
                false,
                threads,
            );
        }
    };
    match (&parallelism.pool, threads) {
        (Some(pool), GemmParallelism::Rayon(_)) => pool.install(run),
        (_, _) => run(),
    }
}

/// The product if one operand is a vector, and the other one has dense rows or columns.
fn with_vector<T: Float>(
    [rows, inner, columns]: [usize; 3],
    left: Matrix,
    right: Matrix,
    result: Matrix,
) -> Option<Product<T>> {
    let along = |matrix: Matrix, stride: isize| Strided { pointer: matrix.pointer.cast::<T>(), stride };
    if columns == 1 {
        return Product::new([rows, inner], left, along(right, right.row_stride), along(result, result.row_stride));
    }
    if rows == 1 {
        let transposed = Matrix { row_stride: right.column_stride, column_stride: right.row_stride, ..right };
        let (vector, result) = (along(left, left.column_stride), along(result, result.column_stride));
        return Product::new([columns, inner], transposed, vector, result);
    }
    None
}

fn threads(parallelism: &Parallelism) -> usize {
    parallelism.pool.as_ref().map_or_else(rayon::current_num_threads, |pool| pool.current_num_threads())
}

/// Matrices on their way into a pool that the caller waits for.
struct SendMatrices([Matrix; 3]);

// SAFETY: the caller of `matmul` blocks until the pool is done, so the memory outlives its use there.
unsafe impl Send for SendMatrices {}

impl SendMatrices {
    /// The whole, so that a closure captures it and not its raw pointers.
    fn take(self) -> SendMatrices {
        self
    }
}

/// # Safety
/// As `matmul`, for elements of type `T`.
unsafe fn plain<T: Copy>(
    sizes: [usize; 3],
    left: Matrix,
    right: Matrix,
    result: Matrix,
    zero: T,
    accumulate: impl Fn(T, T, T) -> T,
) {
    let [rows, inner, columns] = sizes;
    let at = |matrix: Matrix, row: usize, column: usize| {
        let offset = row as isize * matrix.row_stride + column as isize * matrix.column_stride;
        matrix.pointer.cast::<T>().wrapping_offset(offset)
    };
    for row in 0..rows {
        for column in 0..columns {
            // SAFETY: the indices are below the sizes that the caller vouches for.
            let sum =
                (0..inner).fold(zero, |sum, k| unsafe { accumulate(sum, *at(left, row, k), *at(right, k, column)) });
            // SAFETY: as above.
            unsafe { *at(result, row, column) = sum };
        }
    }
}

#[cfg(test)]
mod tests;
