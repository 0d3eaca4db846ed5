//! Rounds of floats as two vectors of 256 bits.
//!
//! Rows are added by exchanging lanes between them, so that no instruction adds the lanes of one row alone. Must not know:
//! anything but lanes.

use std::arch::x86_64::*;

use super::round::{Lanes, ROWS, Round};

/// Eight numbers.
#[derive(Clone, Copy)]
pub(super) struct Doubles([__m256d; 2]);

/// Sixteen numbers.
#[derive(Clone, Copy)]
pub(super) struct Singles([__m256; 2]);

/// Lanes that are not set, lanes that are, and more that are not: any number of first or of last lanes is set somewhere.
static MASKS_64: [[i64; 8]; 3] = [[0; 8], [-1; 8], [0; 8]];
static MASKS_32: [[i32; 16]; 3] = [[0; 16], [-1; 16], [0; 16]];

/// What both have alike.
macro_rules! common {
    ($type:ty, $lanes:literal, $splat:ident $load:ident $store:ident $masked_load:ident
     $masked_store:ident $and:ident $cast:ident $fused:ident) => {
        type Single = Lanes<$type, 1, true>;
        const LANES: usize = $lanes;
        // Twice as many vectors, one for the factor, one for what is read.
        const IN_REGISTERS: usize = 7;

        #[inline(always)]
        fn splat(value: $type) -> Self {
            // SAFETY: by the word of who names this type; the same below.
            Self([unsafe { $splat(value) }; 2])
        }

        #[inline(always)]
        unsafe fn load(from: *const $type) -> Self {
            // SAFETY: by the caller's word.
            unsafe { Self([$load(from), $load(from.add($lanes / 2))]) }
        }

        #[inline(always)]
        unsafe fn load_first(from: *const $type, count: usize) -> Self {
            let [low, high] = Self::masks(2 * $lanes - count);
            // SAFETY: by the caller's word; no other lane is read.
            unsafe { Self([$masked_load(from, low), $masked_load(from.wrapping_add($lanes / 2), high)]) }
        }

        #[inline(always)]
        unsafe fn load_last(end: *const $type, count: usize) -> Self {
            let [low, high] = Self::masks(count);
            // SAFETY: by the caller's word.
            unsafe {
                let Self(all) = Self::load(end.sub($lanes));
                Self([$and(all[0], $cast(low)), $and(all[1], $cast(high))])
            }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut $type) {
            // SAFETY: by the caller's word.
            unsafe {
                $store(to, self.0[0]);
                $store(to.add($lanes / 2), self.0[1]);
            }
        }

        #[inline(always)]
        unsafe fn store_first(self, to: *mut $type, count: usize) {
            let [low, high] = Self::masks(2 * $lanes - count);
            // SAFETY: by the caller's word; no other lane is written.
            unsafe {
                $masked_store(to, low, self.0[0]);
                $masked_store(to.wrapping_add($lanes / 2), high, self.0[1]);
            }
        }

        #[inline(always)]
        fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: as above.
            unsafe { Self([$fused(a.0[0], b.0[0], self.0[0]), $fused(a.0[1], b.0[1], self.0[1])]) }
        }
    };
}

macro_rules! masks {
    ($name:ident, $lanes:literal, $masks:ident) => {
        impl $name {
            /// The masks of both vectors, from such a lane of the table on.
            #[inline(always)]
            fn masks(start: usize) -> [__m256i; 2] {
                assert!(start <= 2 * $lanes);
                let start = $masks.as_flattened().as_ptr().wrapping_add(start);
                // SAFETY: so many lanes from there on are in the table.
                unsafe { [_mm256_loadu_si256(start.cast()), _mm256_loadu_si256(start.wrapping_add($lanes / 2).cast())] }
            }
        }
    };
}
masks!(Doubles, 8, MASKS_64);
masks!(Singles, 16, MASKS_32);

impl Round<f64> for Doubles {
    common!(f64, 8, _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_maskload_pd
        _mm256_maskstore_pd _mm256_and_pd _mm256_castsi256_pd _mm256_fmadd_pd);

    #[inline(always)]
    fn total(self) -> f64 {
        // SAFETY: as above.
        unsafe {
            let four = _mm256_add_pd(self.0[0], self.0[1]);
            let two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd::<1>(four));
            _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
        }
    }

    #[inline(always)]
    fn totals(rows: [Self; ROWS]) -> [f64; ROWS] {
        // SAFETY: as above; the array has room for a vector.
        unsafe {
            let [a, b, c, d] = rows.map(|Doubles([low, high])| _mm256_add_pd(low, high));
            let (ac, bd) = (halves_64(a, c), halves_64(b, d));
            let mut sums = [0.0; ROWS];
            _mm256_storeu_pd(sums.as_mut_ptr(), _mm256_add_pd(_mm256_unpacklo_pd(ac, bd), _mm256_unpackhi_pd(ac, bd)));
            sums
        }
    }
}

impl Round<f32> for Singles {
    common!(f32, 16, _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_maskload_ps
        _mm256_maskstore_ps _mm256_and_ps _mm256_castsi256_ps _mm256_fmadd_ps);

    #[inline(always)]
    fn total(self) -> f32 {
        // SAFETY: as above.
        unsafe {
            let eight = _mm256_add_ps(self.0[0], self.0[1]);
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    fn totals(rows: [Self; ROWS]) -> [f32; ROWS] {
        // SAFETY: as above; the array has room for a vector.
        unsafe {
            let [a, b, c, d] = rows.map(|Singles([low, high])| _mm256_add_ps(low, high));
            // Lanes 0 to 3 of a and of b, those of c and of d; then of each row two, and one.
            let (ab, cd) = (halves_32(a, b), halves_32(c, d));
            let two = _mm256_add_ps(_mm256_shuffle_ps::<0x44>(ab, cd), _mm256_shuffle_ps::<0xee>(ab, cd));
            let one = _mm256_add_ps(two, _mm256_movehdup_ps(two));
            let (ac, bd) = (_mm256_castps256_ps128(one), _mm256_extractf128_ps::<1>(one));
            let mut sums = [0.0; ROWS];
            let (first, second) = (_mm_unpacklo_ps(ac, bd), _mm_unpackhi_ps(ac, bd));
            _mm_storeu_ps(sums.as_mut_ptr(), _mm_movelh_ps(first, second));
            sums
        }
    }
}

/// The lower half of each plus its upper half, one behind the other.
///
/// # Safety
/// The processor has AVX2; the same below.
#[inline(always)]
unsafe fn halves_64(a: __m256d, b: __m256d) -> __m256d {
    // SAFETY: by the caller's word.
    unsafe { _mm256_add_pd(_mm256_permute2f128_pd::<0x20>(a, b), _mm256_permute2f128_pd::<0x31>(a, b)) }
}

/// The same.
#[inline(always)]
unsafe fn halves_32(a: __m256, b: __m256) -> __m256 {
    // SAFETY: by the caller's word.
    unsafe { _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(a, b), _mm256_permute2f128_ps::<0x31>(a, b)) }
}
