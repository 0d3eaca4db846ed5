//! A round: some neighbors of a line that are multiplied and summed at once, each in a lane of its own.
//!
//! Invariant: lane by lane, and in the order in which lanes are added, all implementations that round alike do the same.
//! Must not know: where the elements are, and what becomes of the sums.

use super::number::Number;

/// Rows whose lanes are added at once.
pub(super) const ROWS: usize = 4;

/// Numbers in lanes.
///
/// The processor has what the implementation is compiled for: who names one has seen to that.
pub(super) trait Round<T>: Copy {
    /// A round of one number, for lines that would leave most lanes empty.
    type Single: Round<T>;

    /// How many numbers these are.
    const LANES: usize;

    /// How many of these the registers hold beside a factor and what is read; none if that is the compiler's affair.
    const IN_REGISTERS: usize;

    /// The same number in all lanes.
    fn splat(value: T) -> Self;

    /// # Safety
    /// There are so many numbers.
    unsafe fn load(from: *const T) -> Self;

    /// The first so many lanes, fewer than there are; the others are zero, and not read.
    ///
    /// # Safety
    /// There are so many numbers.
    unsafe fn load_first(from: *const T, count: usize) -> Self;

    /// The last so many lanes, from the numbers before an end; the others are zero.
    ///
    /// # Safety
    /// As many numbers as there are lanes come before the end.
    unsafe fn load_last(end: *const T, count: usize) -> Self;

    /// # Safety
    /// There is room for so many numbers.
    unsafe fn store(self, to: *mut T);

    /// Writes the first so many lanes, fewer than there are.
    ///
    /// # Safety
    /// There is room for so many numbers.
    unsafe fn store_first(self, to: *mut T, count: usize);

    /// `a · b + self`.
    fn add_product(self, a: Self, b: Self) -> Self;

    /// The sum of all lanes, as a halving tree.
    fn total(self) -> T;

    /// The sums of the lanes of each.
    fn totals(rows: [Self; ROWS]) -> [T; ROWS];
}

/// Lanes as the compiler makes them.
#[derive(Clone, Copy)]
pub(super) struct Lanes<T, const LANES: usize, const FUSED: bool>([T; LANES]);

impl<T: Number, const LANES: usize, const FUSED: bool> Round<T> for Lanes<T, LANES, FUSED> {
    type Single = Lanes<T, 1, FUSED>;
    const LANES: usize = LANES;
    const IN_REGISTERS: usize = 0;

    #[inline(always)]
    fn splat(value: T) -> Self {
        Lanes([value; LANES])
    }

    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: by the caller's word.
        Lanes(unsafe { from.cast::<[T; LANES]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const T, count: usize) -> Self {
        let mut lanes = [T::ZERO; LANES];
        // SAFETY: by the caller's word.
        lanes[..count].copy_from_slice(unsafe { std::slice::from_raw_parts(from, count) });
        Lanes(lanes)
    }

    #[inline(always)]
    unsafe fn load_last(end: *const T, count: usize) -> Self {
        // SAFETY: by the caller's word.
        let Lanes(lanes) = unsafe { Self::load(end.sub(LANES)) };
        Lanes(std::array::from_fn(|lane| if lane >= LANES - count { lanes[lane] } else { T::ZERO }))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: by the caller's word.
        unsafe { to.cast::<[T; LANES]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut T, count: usize) {
        // SAFETY: by the caller's word.
        unsafe { std::slice::from_raw_parts_mut(to, count) }.copy_from_slice(&self.0[..count]);
    }

    #[inline(always)]
    fn add_product(mut self, a: Self, b: Self) -> Self {
        for (sum, (&a, &b)) in self.0.iter_mut().zip(a.0.iter().zip(&b.0)) {
            *sum = if FUSED { a.fused(b, *sum) } else { a.separate(b, *sum) };
        }
        self
    }

    #[inline(always)]
    fn total(self) -> T {
        let Lanes(mut lanes) = self;
        let mut left = LANES / 2;
        while left > 0 {
            for lane in 0..left {
                lanes[lane] = lanes[lane].plus(lanes[lane + left]);
            }
            left /= 2;
        }
        lanes[0]
    }

    #[inline(always)]
    fn totals(rows: [Self; ROWS]) -> [T; ROWS] {
        rows.map(Self::total)
    }
}

/// Asks for the line of the cache at an address, which need not be one of memory, to come close.
#[inline(always)]
pub(super) fn prefetch<T, R: Round<T>>(at: *const T) {
    // Not for each number of a line. Closer than to the L2 cache gained nothing.
    #[cfg(target_arch = "x86_64")]
    if R::LANES > 1 {
        // SAFETY: every processor has this instruction, and any address may be named.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(at.cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
