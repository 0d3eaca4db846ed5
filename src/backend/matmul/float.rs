//! Products of two matrices of floats, by the kernels of the `gemm` crates.
//!
//! These are named one by one: the crate that chooses among them would build those for complex numbers too. What it does
//! before it calls one is done here: the kernels are fast where the result's columns are denser than its rows, and where
//! lines are walked upwards. Must not know: vectors, other dtypes.

use gemm_common::Parallelism as Threads;

use super::number::Number;
use super::{Matrix, is_split};
use crate::backend::{Parallelism, Pool};

/// A kernel for this processor. Of the result, and then of each operand, it takes the steps along columns and rows; what was
/// in the result is read if the flag is set, and comes times the one number, the product times the other; nothing is
/// conjugated.
type Kernel<T> = unsafe fn(
    usize,
    usize,
    usize,
    *mut T,
    isize,
    isize,
    bool,
    *const T,
    isize,
    isize,
    *const T,
    isize,
    isize,
    T,
    T,
    bool,
    bool,
    bool,
    Threads,
);

/// A number type with kernels.
pub(super) trait Float: Number {
    const ONE: Self;

    fn kernel() -> Kernel<Self>;
}

impl Float for f32 {
    const ONE: f32 = 1.0;

    fn kernel() -> Kernel<f32> {
        gemm_f32::gemm::f32::get_gemm_fn()
    }
}

impl Float for f64 {
    const ONE: f64 = 1.0;

    fn kernel() -> Kernel<f64> {
        gemm_f64::gemm::f64::get_gemm_fn()
    }
}

/// `result = left · right`, of `rows × inner` and `inner × columns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WithMatrix {
    pub sizes: [usize; 3],
    pub left: Matrix,
    pub right: Matrix,
    pub result: Matrix,
}

// SAFETY: who runs one waits for all threads; they read the operands, and write different elements.
unsafe impl Send for WithMatrix {}

impl WithMatrix {
    /// Computes it; none of the sizes is zero.
    ///
    /// # Safety
    /// All three are valid for the sizes and for elements of type `T`, and the result overlaps neither operand.
    pub unsafe fn run<T: Float>(self, parallelism: &Parallelism) {
        let is_split = is_split(self.sizes, parallelism);
        let product = self.turned().upwards::<T>();
        // SAFETY: passed on: these are the same products of the same elements.
        let run = move |threads: Threads| unsafe { product.call::<T>(threads) };
        if !is_split {
            return run(Threads::None);
        }
        match parallelism.pool.as_deref().map(Pool::rayon) {
            None => run(Threads::Rayon(0)),
            Some(Some(pool)) => pool.install(move || run(Threads::Rayon(0))),
            Some(None) => run(Threads::None),
        }
    }

    /// The same of the transposed matrices where rows of the result are denser than its columns.
    fn turned(self) -> WithMatrix {
        let WithMatrix { sizes: [rows, inner, columns], left, right, result } = self;
        if result.column_stride.abs() >= result.row_stride.abs() {
            return self;
        }
        let [left, right, result] = [right, left, result].map(|matrix| Matrix {
            row_stride: matrix.column_stride,
            column_stride: matrix.row_stride,
            ..matrix
        });
        WithMatrix { sizes: [columns, inner, rows], left, right, result }
    }

    /// The same with axes walked from their other ends where the result, or else the left matrix, has them downwards.
    fn upwards<T>(mut self) -> WithMatrix {
        let WithMatrix { sizes: [rows, inner, columns], left, right, result } = &mut self;
        if result.row_stride < 0 {
            turn::<T>(&mut result.pointer, &mut result.row_stride, *rows);
            turn::<T>(&mut left.pointer, &mut left.row_stride, *rows);
        }
        if result.column_stride < 0 {
            turn::<T>(&mut result.pointer, &mut result.column_stride, *columns);
            turn::<T>(&mut right.pointer, &mut right.column_stride, *columns);
        }
        if left.column_stride < 0 {
            turn::<T>(&mut left.pointer, &mut left.column_stride, *inner);
            turn::<T>(&mut right.pointer, &mut right.row_stride, *inner);
        }
        self
    }

    /// # Safety
    /// As `run`.
    unsafe fn call<T: Float>(self, threads: Threads) {
        let WithMatrix { sizes: [rows, inner, columns], left, right, result } = self;
        // SAFETY: by the caller's word; the kernel is for this processor.
        unsafe {
            T::kernel()(
                rows,
                columns,
                inner,
                result.pointer.cast::<T>(),
                result.column_stride,
                result.row_stride,
                false,
                left.pointer.cast_const().cast::<T>(),
                left.column_stride,
                left.row_stride,
                right.pointer.cast_const().cast::<T>(),
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
    }
}

/// An axis of at least one element from its other end.
fn turn<T>(pointer: &mut *mut u8, stride: &mut isize, count: usize) {
    let last = (count as isize - 1).wrapping_mul(*stride);
    *pointer = pointer.cast::<T>().wrapping_offset(last).cast();
    *stride = -*stride;
}
