//! The product of a vector with a matrix whose rows are dense: the sum of each row's products.
//!
//! The products of a row go to lanes in turn, as many as are 64 bytes; the last ones, if they fill no round, to the last
//! lanes. The lanes are added as a halving tree. So a sum depends on its row alone, and the width of the processor's
//! vectors changes no bit. Must not know: what the sums are part of.

use super::number::{Lines, Number, Sum, add_product, for_processor};

/// Rows that are summed at once, so that additions do not wait for each other.
const AT_ONCE: usize = 4;

/// Trees over vectors of 512 bits cost more than these gain.
const WIDEST: bool = false;

for_processor!(sum_rows, sum_all, "The code for dense rows.");

/// # Safety
/// As `Sum` says.
#[inline(always)]
unsafe fn sum_all<T: Number, const FUSED: bool>(sums: &mut [T], rows: Lines<T>, factors: *const T, count: usize) {
    // SAFETY: passed on.
    unsafe {
        match size_of::<T>() {
            8 => in_lanes::<T, 8, FUSED>(sums, rows, factors, count),
            _ => in_lanes::<T, 16, FUSED>(sums, rows, factors, count),
        }
    }
}

/// # Safety
/// As `Sum` says.
#[inline(always)]
unsafe fn in_lanes<T: Number, const LANES: usize, const FUSED: bool>(
    sums: &mut [T],
    rows: Lines<T>,
    factors: *const T,
    count: usize,
) {
    if count < LANES {
        for (row, sum) in sums.iter_mut().enumerate() {
            let row = rows.line(row);
            // SAFETY: by the caller's word.
            let add = |sum: T, k: usize| unsafe { add_product::<T, FUSED>(*row.add(k), *factors.add(k), sum) };
            *sum = (0..count).fold(T::ZERO, add);
        }
        return;
    }
    let (groups, rest) = sums.as_chunks_mut::<AT_ONCE>();
    let grouped = groups.len() * AT_ONCE;
    for (group, sums) in groups.iter_mut().enumerate() {
        let group = std::array::from_fn(|row| rows.line(group * AT_ONCE + row));
        // SAFETY: by the caller's word.
        *sums = unsafe { together::<T, LANES, AT_ONCE, FUSED>(group, factors, count) };
    }
    for (row, sum) in rest.iter_mut().enumerate() {
        // SAFETY: by the caller's word.
        [*sum] = unsafe { together::<T, LANES, 1, FUSED>([rows.line(grouped + row)], factors, count) };
    }
}

/// The sums of some rows.
///
/// # Safety
/// Each row and the factors have so many elements, at least a round of them.
#[inline(always)]
unsafe fn together<T: Number, const LANES: usize, const ROWS: usize, const FUSED: bool>(
    rows: [*const T; ROWS],
    factors: *const T,
    count: usize,
) -> [T; ROWS] {
    let mut lanes = [[T::ZERO; LANES]; ROWS];
    let whole = count / LANES * LANES;
    // SAFETY: by the caller's word.
    let round = |line: *const T, first: usize| unsafe { line.add(first).cast::<[T; LANES]>().read_unaligned() };
    for first in (0..whole).step_by(LANES) {
        let factors = round(factors, first);
        for (row, sums) in rows.iter().zip(&mut lanes) {
            let elements = round(*row, first);
            for lane in 0..LANES {
                sums[lane] = add_product::<T, FUSED>(elements[lane], factors[lane], sums[lane]);
            }
        }
    }
    if whole < count {
        // The round that ends with the row; what the one before had is left out.
        let first = count - LANES;
        let (factors, old) = (round(factors, first), whole - first);
        for (row, sums) in rows.iter().zip(&mut lanes) {
            let elements = round(*row, first);
            for lane in 0..LANES {
                let next = add_product::<T, FUSED>(elements[lane], factors[lane], sums[lane]);
                sums[lane] = if lane >= old { next } else { sums[lane] };
            }
        }
    }
    lanes.map(total)
}

/// The sum of all lanes, as a halving tree.
#[inline(always)]
fn total<T: Number, const LANES: usize>(mut lanes: [T; LANES]) -> T {
    let mut left = LANES / 2;
    while left > 0 {
        for lane in 0..left {
            lanes[lane] = lanes[lane].plus(lanes[lane + left]);
        }
        left /= 2;
    }
    lanes[0]
}
