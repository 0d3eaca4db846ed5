//! The product of a vector with a matrix whose columns are dense: the sum of the columns, each times a factor.
//!
//! Each element of the result adds up its products in order, in fused multiply-adds where the processor has them; the
//! width of its vectors changes no bit. Must not know: what the sums are part of.

use std::ops::{Add, Mul};

/// A floating-point type.
pub(super) trait Float: Copy + Send + Sync + Add<Output = Self> + Mul<Output = Self> + 'static {
    const ZERO: Self;
    const ONE: Self;

    /// `self · b + c`, rounded once.
    fn fused(self, b: Self, c: Self) -> Self;
}

macro_rules! floats {
    ($($type:ty)*) => { $(
        impl Float for $type {
            const ZERO: $type = 0.0;
            const ONE: $type = 1.0;

            #[inline(always)]
            fn fused(self, b: $type, c: $type) -> $type {
                self.mul_add(b, c)
            }
        }
    )* };
}
floats!(f32 f64);

/// Columns that are added at once, so that sums are seldom loaded and stored.
const AT_ONCE: usize = 8;

/// Columns from this one on, so many elements apart.
#[derive(Clone, Copy)]
pub(super) struct Columns<T> {
    pub first: *const T,
    pub step: isize,
}

/// Code that sets each of the given sums to that of its row's products with the factors, from the first on, so many.
///
/// The columns have as many elements as there are sums; there are so many columns and factors. The processor has what the
/// code was compiled for.
pub(super) type SumColumns<T> = unsafe fn(&mut [T], Columns<T>, *const T, usize);

/// The code for this processor.
pub(super) fn sum_columns<T: Float>() -> SumColumns<T> {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("fma") {
            return avx512::<T>;
        }
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            return avx2::<T>;
        }
    }
    baseline::<T>
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn avx512<T: Float>(sums: &mut [T], columns: Columns<T>, factors: *const T, count: usize) {
    // SAFETY: by the caller's word.
    unsafe { sum_all::<T, true>(sums, columns, factors, count) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<T: Float>(sums: &mut [T], columns: Columns<T>, factors: *const T, count: usize) {
    // SAFETY: by the caller's word.
    unsafe { sum_all::<T, true>(sums, columns, factors, count) }
}

unsafe fn baseline<T: Float>(sums: &mut [T], columns: Columns<T>, factors: *const T, count: usize) {
    // AArch64 always has fused multiply-adds.
    // SAFETY: by the caller's word.
    unsafe { sum_all::<T, { cfg!(target_arch = "aarch64") }>(sums, columns, factors, count) }
}

/// # Safety
/// As `SumColumns` says.
#[inline(always)]
unsafe fn sum_all<T: Float, const FUSED: bool>(sums: &mut [T], columns: Columns<T>, factors: *const T, count: usize) {
    let column = |index: usize| columns.first.wrapping_offset(index as isize * columns.step);
    let whole = count / AT_ONCE * AT_ONCE;
    sums.fill(T::ZERO);
    for first in (0..whole).step_by(AT_ONCE) {
        // SAFETY: so many columns and factors are left.
        unsafe {
            add::<T, AT_ONCE, FUSED>(sums, std::array::from_fn(|index| column(first + index)), factors.add(first))
        };
    }
    for last in whole..count {
        // SAFETY: as above.
        unsafe { add::<T, 1, FUSED>(sums, [column(last)], factors.add(last)) };
    }
}

/// Adds to each sum the products of its row, column by column.
///
/// # Safety
/// The columns have as many elements as there are sums; there is a factor for each.
#[inline(always)]
unsafe fn add<T: Float, const COUNT: usize, const FUSED: bool>(
    sums: &mut [T],
    columns: [*const T; COUNT],
    factors: *const T,
) {
    // SAFETY: by the caller's word.
    let factors = unsafe { factors.cast::<[T; COUNT]>().read_unaligned() };
    for (row, sum) in sums.iter_mut().enumerate() {
        for (column, &factor) in columns.iter().zip(&factors) {
            // SAFETY: by the caller's word.
            let element = unsafe { *column.add(row) };
            *sum = if FUSED { element.fused(factor, *sum) } else { element * factor + *sum };
        }
    }
}
