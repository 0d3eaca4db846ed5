//! The product of a vector with a matrix whose rows are dense: the sum of each row's products.
//!
//! The products of a row go to the lanes of a round in turn, the last ones, if they fill no round, to the last lanes; the
//! lanes are added as a halving tree. Those of a short row are added one after the other. So a sum depends on its row alone, and the width of the processor's vectors changes no
//! bit. Must not know: what the sums are part of.

use super::number::{Lines, Number, Sum, for_processor};
use super::round::{ROWS, Round, prefetch};

/// How far ahead of what is read the cache is told what comes next, in bytes. Short rows are read in an order that
/// processors foresee too late.
const AHEAD: usize = 48 << 10;

/// The same for long rows, along each.
const AHEAD_ALONG: usize = 12 << 10;

for_processor!(sum_rows, sum_all, "The code for dense rows.");

/// # Safety
/// As `Sum` says.
#[inline(always)]
pub(super) unsafe fn sum_all<T: Number, R: Round<T>>(sums: &mut [T], rows: Lines<T>, factors: *const T, count: usize) {
    // SAFETY: passed on.
    unsafe {
        // Half a round is worth one; where the order changes no bit, plain code for less than a whole one is faster.
        let fewest = if T::IN_ANY_ORDER { R::LANES } else { R::LANES / 2 };
        if count < fewest {
            in_groups::<T, R::Single>(sums, rows, factors, count);
        } else {
            in_groups::<T, R>(sums, rows, factors, count);
        }
    }
}

/// # Safety
/// As `Sum` says.
#[inline(always)]
unsafe fn in_groups<T: Number, R: Round<T>>(sums: &mut [T], rows: Lines<T>, factors: *const T, count: usize) {
    let ahead = rows.ahead.unwrap_or_else(|| ahead::<T>(rows.step, count));
    let (groups, rest) = sums.as_chunks_mut::<ROWS>();
    let grouped = groups.len() * ROWS;
    for (group, sums) in groups.iter_mut().enumerate() {
        let group = std::array::from_fn(|row| rows.line(group * ROWS + row));
        // SAFETY: by the caller's word.
        *sums = R::totals(unsafe { together::<T, R, ROWS>(group, factors, count, ahead) });
    }
    for (row, sum) in rest.iter_mut().enumerate() {
        // SAFETY: by the caller's word.
        let [lanes] = unsafe { together::<T, R, 1>([rows.line(grouped + row)], factors, count, ahead) };
        *sum = lanes.total();
    }
}

/// How many elements ahead that is: some groups of short rows, or further along long ones.
#[inline(always)]
fn ahead<T>(step: isize, count: usize) -> isize {
    let group_bytes = (ROWS * count * size_of::<T>()).max(1);
    if group_bytes > 4 * AHEAD_ALONG {
        return (AHEAD_ALONG / size_of::<T>()) as isize;
    }
    step.wrapping_mul((AHEAD.div_ceil(group_bytes) * ROWS) as isize)
}

/// The products of some rows in lanes; what comes `ahead` of each element is fetched.
///
/// # Safety
/// Each row and the factors have so many elements.
#[inline(always)]
unsafe fn together<T: Number, R: Round<T>, const COUNT: usize>(
    rows: [*const T; COUNT],
    factors: *const T,
    count: usize,
    ahead: isize,
) -> [R; COUNT] {
    let mut sums = [R::splat(T::ZERO); COUNT];
    let whole = count / R::LANES * R::LANES;
    for first in (0..whole).step_by(R::LANES) {
        // SAFETY: by the caller's word.
        let factors = unsafe { R::load(factors.add(first)) };
        for (row, sum) in rows.iter().zip(&mut sums) {
            prefetch::<T, R>(row.wrapping_add(first).wrapping_offset(ahead));
            // SAFETY: by the caller's word.
            *sum = sum.add_product(unsafe { R::load(row.add(first)) }, factors);
        }
    }
    let rest = count - whole;
    if rest == 0 {
        return sums;
    }
    // SAFETY: by the caller's word; the same below.
    let factors = unsafe { end::<T, R>(factors, count) };
    for (row, sum) in rows.iter().zip(&mut sums) {
        prefetch::<T, R>(row.wrapping_add(whole).wrapping_offset(ahead));
        // SAFETY: as above.
        *sum = sum.add_product(unsafe { end::<T, R>(*row, count) }, factors);
    }
    sums
}

/// The numbers of a line that fill no round.
///
/// # Safety
/// The line has so many elements.
#[inline(always)]
unsafe fn end<T: Number, R: Round<T>>(line: *const T, count: usize) -> R {
    // SAFETY: by the caller's word; behind a round there are enough elements before the end.
    unsafe {
        if count < R::LANES { R::load_first(line, count) } else { R::load_last(line.add(count), count % R::LANES) }
    }
}
