//! Vectors of `f64`.

use std::arch::x86_64::*;

use super::vector::{Vector, usual_vectors, vector, vectors};
use super::{Lanes, On, Piecewise, ROOM, SIXTEENTHS, SPLIT, Split, Table, Wide};
use crate::elementary::kernel::{Level, UnaryKernel};

/// The kernel of a function for a level, which the processor that runs it must have.
pub(in crate::elementary) fn kernel<F: Piecewise>(level: Level) -> UnaryKernel<f64> {
    match level {
        Level::Baseline => baseline::<F>,
        Level::Avx2 => avx2::<F>,
        Level::Avx512 => avx512::<F>,
    }
}

/// What vectors of `f64` have besides.
macro_rules! wide {
    ($name:ident $splat:ident $min:ident $max:ident $and:ident $or:ident,
     $bits:ident $float:ident $whole:ident $plus:ident $minus:ident $shift:ident,
     |$self:ident, $bound:ident, $then:ident, $otherwise:ident| $if_less:expr,
     |$among:ident, $low:ident, $high:ident| $all_within:expr,
     |$factor:ident, $sixteenths:ident| $times_power:expr) => {
        // SAFETY, of all that follow: there is a vector, so the processor has its instructions.
        impl Wide for $name {
            #[inline(always)]
            fn if_less($self, $bound: f64, $then: Self, $otherwise: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $if_less })
            }

            #[inline(always)]
            fn all_within(self, $low: f64, $high: f64) -> bool {
                let $among = self.0;
                // SAFETY: as above.
                unsafe { $all_within }
            }

            #[inline(always)]
            fn split(self, start: f64) -> Split<Self> {
                let (one, first) = (1f64.to_bits() as i64, start.to_bits() as i64);
                let base = SPLIT.to_bits() as i64 & -1 << 52;
                // SAFETY: as above.
                unsafe {
                    let shifted = $plus($bits(self.0), $whole(one - first));
                    let exponent = $bits($and($float(shifted), $float($whole(-1 << 52))));
                    Split {
                        sixteenths: Self($or($float($shift::<48>(shifted)), $float($whole(base)))),
                        m: Self($float($plus($minus(shifted, exponent), $whole(first)))),
                        inverse: Self($float($minus($whole(one.wrapping_mul(2)), exponent))),
                    }
                }
            }

            #[inline(always)]
            fn clamp(self, low: f64, high: f64) -> Self {
                // The second operand stands where there is a NaN.
                // SAFETY: as above.
                Self(unsafe { $min($splat(high), $max($splat(low), self.0)) })
            }

            #[inline(always)]
            fn times_power($factor, $sixteenths: Self) -> Self {
                $times_power
            }
        }
    };
}

vector! {
    /// Eight numbers.
    Eight __m512d f64 8 true, "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma" avx512 usual_avx512 Piecewise,
    _mm512_loadu_pd _mm512_storeu_pd _mm512_set1_pd _mm512_add_pd _mm512_sub_pd _mm512_mul_pd _mm512_fmadd_pd _mm512_min_pd
    _mm512_or_pd _mm512_and_pd _mm512_andnot_pd,
    _mm512_castsi512_pd _mm512_set1_epi64, 27,
    |piece, table, pair| [Self(piece).of(table, 2 * pair), Self(piece).of(table, 2 * pair + 1)]
}

impl Eight {
    /// A coefficient of the pieces whose numbers are in the low four bits.
    #[inline(always)]
    fn of(self, table: &'static Table<f64>, power: usize) -> Self {
        let row = table.by_power[power].as_ptr();
        // SAFETY: a row is two vectors; there is a vector, so the processor has its instructions.
        Self(unsafe {
            _mm512_permutex2var_pd(_mm512_loadu_pd(row), _mm512_castpd_si512(self.0), _mm512_loadu_pd(row.add(8)))
        })
    }
}

wide! {
    Eight _mm512_set1_pd _mm512_min_pd _mm512_max_pd _mm512_and_pd _mm512_or_pd,
    _mm512_castpd_si512 _mm512_castsi512_pd _mm512_set1_epi64 _mm512_add_epi64 _mm512_sub_epi64 _mm512_srli_epi64,
    |self, bound, then, otherwise| {
        _mm512_mask_blend_pd(_mm512_cmp_pd_mask::<_CMP_LT_OQ>(self.0, _mm512_set1_pd(bound)), otherwise.0, then.0)
    },
    |x, low, high| {
        let above = _mm512_cmp_pd_mask::<_CMP_GE_OQ>(x, _mm512_set1_pd(low));
        _mm512_mask_cmp_pd_mask::<_CMP_LT_OQ>(above, x, _mm512_set1_pd(high)) == 0xff
    },
    |self, sixteenths| {
        let power = sixteenths.minus(self.splat(SIXTEENTHS));
        // SAFETY: there is a vector, so the processor has its instructions.
        Self(unsafe { _mm512_scalef_pd(self.0, power.0) })
    }
}

vector! {
    /// Four numbers.
    Four __m256d f64 4 true, "avx2,fma" avx2 usual_avx2 Piecewise,
    _mm256_loadu_pd _mm256_storeu_pd _mm256_set1_pd _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_fmadd_pd _mm256_min_pd
    _mm256_or_pd _mm256_and_pd _mm256_andnot_pd,
    _mm256_castsi256_pd _mm256_set1_epi64x, 27,
    |piece, table, pair| {
        // SAFETY: both are four numbers.
        let [a, b, c, d]: [u64; 4] = unsafe { std::mem::transmute(piece) };
        let rows = [table.row(a), table.row(b), table.row(c), table.row(d)];
        // SAFETY: there is a vector, so the processor has its instructions.
        unsafe { transposed(rows, pair) }
    }
}

/// Two coefficients of each of four pieces, the same of all together.
///
/// # Safety
/// The processor must have AVX2.
#[inline(always)]
unsafe fn transposed(rows: [&[f64; ROOM]; 4], pair: usize) -> [Four; 2] {
    let [a, b, c, d] = rows.map(|row| row[2 * pair..][..2].as_ptr());
    // SAFETY: there are two numbers at each; the rest by the caller's word.
    unsafe {
        let (ac, bd) = (_mm256_loadu2_m128d(c, a), _mm256_loadu2_m128d(d, b));
        [Four(_mm256_unpacklo_pd(ac, bd)), Four(_mm256_unpackhi_pd(ac, bd))]
    }
}

wide! {
    Four _mm256_set1_pd _mm256_min_pd _mm256_max_pd _mm256_and_pd _mm256_or_pd,
    _mm256_castpd_si256 _mm256_castsi256_pd _mm256_set1_epi64x _mm256_add_epi64 _mm256_sub_epi64 _mm256_srli_epi64,
    |self, bound, then, otherwise| {
        _mm256_blendv_pd(otherwise.0, then.0, _mm256_cmp_pd::<_CMP_LT_OQ>(self.0, _mm256_set1_pd(bound)))
    },
    |x, low, high| {
        let above = _mm256_cmp_pd::<_CMP_GE_OQ>(x, _mm256_set1_pd(low));
        _mm256_movemask_pd(_mm256_and_pd(above, _mm256_cmp_pd::<_CMP_LT_OQ>(x, _mm256_set1_pd(high)))) == 0xf
    },
    |self, sixteenths| {
        // As `scale`.
        // SAFETY: there is a vector, so the processor has its instructions.
        let [first, second] = unsafe {
            let power = _mm256_srli_epi64(_mm256_castpd_si256(sixteenths.0), 4);
            let biased = _mm256_add_epi64(power, _mm256_set1_epi64x(2046));
            let half = _mm256_srli_epi64(biased, 1);
            [half, _mm256_sub_epi64(biased, half)].map(|exponent| _mm256_castsi256_pd(_mm256_slli_epi64(exponent, 52)))
        };
        self.times(Self(first)).times(Self(second))
    }
}

vector! {
    /// Two numbers, without fused multiply-add.
    Two __m128d f64 2 false, "sse2" baseline usual_baseline Piecewise,
    _mm_loadu_pd _mm_storeu_pd _mm_set1_pd _mm_add_pd _mm_sub_pd _mm_mul_pd mul_add_two _mm_min_pd
    _mm_or_pd _mm_and_pd _mm_andnot_pd,
    _mm_castsi128_pd _mm_set1_epi64x, 27,
    |piece, table, pair| {
        // SAFETY: both are two numbers.
        let [a, b]: [u64; 2] = unsafe { std::mem::transmute(piece) };
        let [a, b] = [a, b].map(|piece| table.row(piece)[2 * pair..][..2].as_ptr());
        // SAFETY: there are two numbers at each; every processor has SSE2.
        unsafe {
            let (a, b) = (_mm_loadu_pd(a), _mm_loadu_pd(b));
            [Self(_mm_unpacklo_pd(a, b)), Self(_mm_unpackhi_pd(a, b))]
        }
    }
}

wide! {
    Two _mm_set1_pd _mm_min_pd _mm_max_pd _mm_and_pd _mm_or_pd,
    _mm_castpd_si128 _mm_castsi128_pd _mm_set1_epi64x _mm_add_epi64 _mm_sub_epi64 _mm_srli_epi64,
    |self, bound, then, otherwise| {
        let less = _mm_cmplt_pd(self.0, _mm_set1_pd(bound));
        _mm_or_pd(_mm_and_pd(less, then.0), _mm_andnot_pd(less, otherwise.0))
    },
    |x, low, high| {
        let above = _mm_cmpge_pd(x, _mm_set1_pd(low));
        _mm_movemask_pd(_mm_and_pd(above, _mm_cmplt_pd(x, _mm_set1_pd(high)))) == 3
    },
    |self, sixteenths| {
        // As `scale`.
        // SAFETY: every processor has SSE2.
        let [first, second] = unsafe {
            let power = _mm_srli_epi64(_mm_castpd_si128(sixteenths.0), 4);
            let biased = _mm_add_epi64(power, _mm_set1_epi64x(2046));
            let half = _mm_srli_epi64(biased, 1);
            [half, _mm_sub_epi64(biased, half)].map(|exponent| _mm_castsi128_pd(_mm_slli_epi64(exponent, 52)))
        };
        self.times(Self(first)).times(Self(second))
    }
}

/// a · b + c, rounded twice.
#[inline]
#[target_feature(enable = "sse2")]
fn mul_add_two(a: __m128d, b: __m128d, c: __m128d) -> __m128d {
    _mm_add_pd(_mm_mul_pd(a, b), c)
}
