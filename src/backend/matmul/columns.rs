//! The product of a vector with a matrix whose columns are dense: the sum of the columns, each times a factor.
//!
//! Each element of the result adds up its products in order, in fused multiply-adds where the processor has them; the
//! width of its vectors changes no bit. Must not know: what the sums are part of.

use super::number::{Lines, Number, Sum, add_product, for_processor};

/// Columns that are added at once, so that sums are seldom loaded and stored.
const AT_ONCE: usize = 8;

/// Vectors of 512 bits gain here.
const WIDEST: bool = true;

for_processor!(sum_columns, sum_all, "The code for dense columns.");

/// # Safety
/// As `Sum` says.
#[inline(always)]
unsafe fn sum_all<T: Number, const FUSED: bool>(sums: &mut [T], columns: Lines<T>, factors: *const T, count: usize) {
    let whole = count / AT_ONCE * AT_ONCE;
    sums.fill(T::ZERO);
    for first in (0..whole).step_by(AT_ONCE) {
        // SAFETY: so many columns and factors are left.
        unsafe {
            add::<T, AT_ONCE, FUSED>(sums, std::array::from_fn(|index| columns.line(first + index)), factors.add(first))
        };
    }
    for last in whole..count {
        // SAFETY: as above.
        unsafe { add::<T, 1, FUSED>(sums, [columns.line(last)], factors.add(last)) };
    }
}

/// Adds to each sum the products of its row, column by column.
///
/// # Safety
/// The columns have as many elements as there are sums; there is a factor for each.
#[inline(always)]
unsafe fn add<T: Number, const COUNT: usize, const FUSED: bool>(
    sums: &mut [T],
    columns: [*const T; COUNT],
    factors: *const T,
) {
    // SAFETY: by the caller's word.
    let factors = unsafe { factors.cast::<[T; COUNT]>().read_unaligned() };
    for (row, sum) in sums.iter_mut().enumerate() {
        for (column, &factor) in columns.iter().zip(&factors) {
            // SAFETY: by the caller's word.
            *sum = add_product::<T, FUSED>(unsafe { *column.add(row) }, factor, *sum);
        }
    }
}
