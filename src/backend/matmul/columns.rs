//! The product of a vector with a matrix whose columns are dense: the sum of the columns, each times a factor.
//!
//! Each element of the result adds up its products in order. Where a column is short all sums stay in registers; else some
//! columns are added at a time to sums in memory. The two, and any width of the processor's vectors, give the same bits.
//! Must not know: what the sums are part of.

use super::number::{Lines, Number, Sum, for_processor};
use super::round::{Round, prefetch};

/// Columns that are added at once, so that sums are seldom loaded and stored.
const AT_ONCE: usize = 8;

for_processor!(sum_columns, sum_all, "The code for dense columns.");

/// # Safety
/// As `Sum` says.
#[inline(always)]
pub(super) unsafe fn sum_all<T: Number, R: Round<T>>(
    sums: &mut [T],
    columns: Lines<T>,
    factors: *const T,
    count: usize,
) {
    // SAFETY: passed on.
    unsafe {
        if R::IN_REGISTERS < 7 || 2 * sums.len() < R::LANES {
            return in_memory::<T, R::Single>(sums, columns, factors, count);
        }
        match sums.len().div_ceil(R::LANES) {
            1 => in_registers::<T, R, 1>(sums, columns, factors, count),
            2 => in_registers::<T, R, 2>(sums, columns, factors, count),
            3 => in_registers::<T, R, 3>(sums, columns, factors, count),
            4 => in_registers::<T, R, 4>(sums, columns, factors, count),
            5 => in_registers::<T, R, 5>(sums, columns, factors, count),
            6 => in_registers::<T, R, 6>(sums, columns, factors, count),
            7 => in_registers::<T, R, 7>(sums, columns, factors, count),
            _ => in_memory::<T, R>(sums, columns, factors, count),
        }
    }
}

/// The sums of columns of so many rounds, the last of which may lack elements.
///
/// # Safety
/// As `Sum` says.
#[inline(always)]
unsafe fn in_registers<T: Number, R: Round<T>, const ROUNDS: usize>(
    sums: &mut [T],
    columns: Lines<T>,
    factors: *const T,
    count: usize,
) {
    let mut rounds = [R::splat(T::ZERO); ROUNDS];
    let whole = sums.len() / R::LANES;
    let rest = sums.len() % R::LANES;
    for column in 0..count {
        let line = columns.line(column);
        // SAFETY: by the caller's word.
        let factor = R::splat(unsafe { *factors.add(column) });
        for (index, round) in rounds.iter_mut().enumerate() {
            let from = line.wrapping_add(index * R::LANES);
            if let Some(ahead) = columns.ahead {
                prefetch::<T, R>(from.wrapping_offset(ahead));
            }
            let is_whole = index + 1 < ROUNDS || rest == 0;
            // SAFETY: by the caller's word.
            let elements = unsafe { if is_whole { R::load(from) } else { R::load_first(from, rest) } };
            *round = round.add_product(elements, factor);
        }
    }
    for (index, round) in rounds.into_iter().enumerate() {
        let to = sums.as_mut_ptr().wrapping_add(index * R::LANES);
        // SAFETY: there are so many sums.
        unsafe { if index < whole { round.store(to) } else { round.store_first(to, rest) } };
    }
}

/// # Safety
/// As `Sum` says.
#[inline(always)]
unsafe fn in_memory<T: Number, R: Round<T>>(sums: &mut [T], columns: Lines<T>, factors: *const T, count: usize) {
    let whole = count / AT_ONCE * AT_ONCE;
    sums.fill(T::ZERO);
    for first in (0..whole).step_by(AT_ONCE) {
        let some = std::array::from_fn(|index| columns.line(first + index));
        // SAFETY: so many columns and factors are left.
        unsafe { add::<T, R, AT_ONCE>(sums, some, factors.add(first), columns.ahead) };
    }
    for last in whole..count {
        // SAFETY: as above.
        unsafe { add::<T, R, 1>(sums, [columns.line(last)], factors.add(last), columns.ahead) };
    }
}

/// Adds to each sum the products of its row, column by column.
///
/// # Safety
/// The columns have as many elements as there are sums; there is a factor for each.
#[inline(always)]
unsafe fn add<T: Number, R: Round<T>, const COUNT: usize>(
    sums: &mut [T],
    columns: [*const T; COUNT],
    factors: *const T,
    ahead: Option<isize>,
) {
    // SAFETY: by the caller's word; the same below.
    let factors: [R; COUNT] = std::array::from_fn(|index| R::splat(unsafe { *factors.add(index) }));
    let (whole, rest) = (sums.len() / R::LANES * R::LANES, sums.len() % R::LANES);
    let sums = sums.as_mut_ptr();
    for row in (0..whole).step_by(R::LANES) {
        if let Some(ahead) = ahead {
            columns.iter().for_each(|column| prefetch::<T, R>(column.wrapping_add(row).wrapping_offset(ahead)));
        }
        // SAFETY: as above.
        unsafe {
            let mut sum = R::load(sums.add(row));
            for (column, &factor) in columns.iter().zip(&factors) {
                sum = sum.add_product(R::load(column.add(row)), factor);
            }
            sum.store(sums.add(row));
        }
    }
    if rest > 0 {
        // SAFETY: as above.
        unsafe {
            let mut sum = R::load_first(sums.add(whole), rest);
            for (column, &factor) in columns.iter().zip(&factors) {
                sum = sum.add_product(R::load_first(column.add(whole), rest), factor);
            }
            sum.store_first(sums.add(whole), rest);
        }
    }
}
