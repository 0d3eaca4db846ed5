//! Vectors of `f32`.

use std::arch::x86_64::*;

use super::vector::{Vector, usual_vectors, vector, vectors};
use super::{Lanes, On, PiecewiseSingle, Table};
use crate::elementary::kernel::{Level, UnaryKernel};

/// The kernel of a function for a level, which the processor that runs it must have.
pub(in crate::elementary) fn kernel<F: PiecewiseSingle>(level: Level) -> UnaryKernel<f32> {
    match level {
        Level::Baseline => baseline::<F>,
        Level::Avx2 => avx2::<F>,
        Level::Avx512 => avx512::<F>,
    }
}

vector! {
    /// Sixteen numbers.
    Sixteen __m512 f32 16 true, "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma" avx512 usual_avx512 PiecewiseSingle,
    _mm512_loadu_ps _mm512_storeu_ps _mm512_set1_ps _mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_fmadd_ps _mm512_min_ps
    _mm512_or_ps _mm512_and_ps _mm512_andnot_ps,
    _mm512_castsi512_ps _mm512_set1_epi32, 12,
    |piece, table, pair| [Self(piece).of(table, 2 * pair), Self(piece).of(table, 2 * pair + 1)]
}

impl Sixteen {
    /// A coefficient of the pieces whose numbers are in the low four bits.
    #[inline(always)]
    fn of(self, table: &'static Table<f32>, power: usize) -> Self {
        let row = table.by_power[power].as_ptr();
        // SAFETY: a row is a vector; there is one, so the processor has its instructions.
        Self(unsafe { _mm512_permutexvar_ps(_mm512_castps_si512(self.0), _mm512_loadu_ps(row)) })
    }
}

vector! {
    /// Eight numbers.
    Eight __m256 f32 8 true, "avx2,fma" avx2 usual_avx2 PiecewiseSingle,
    _mm256_loadu_ps _mm256_storeu_ps _mm256_set1_ps _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_fmadd_ps _mm256_min_ps
    _mm256_or_ps _mm256_and_ps _mm256_andnot_ps,
    _mm256_castsi256_ps _mm256_set1_epi32, 12,
    |piece, table, pair| [Self(piece).of(table, 2 * pair), Self(piece).of(table, 2 * pair + 1)]
}

impl Eight {
    /// A coefficient of the pieces whose numbers are in the low four bits.
    #[inline(always)]
    fn of(self, table: &'static Table<f32>, power: usize) -> Self {
        let row = table.by_power[power].as_ptr();
        // The fourth bit of a number chooses between the halves of a row, as the sign of a float.
        // SAFETY: a row is two vectors; there is a vector, so the processor has its instructions.
        Self(unsafe {
            let piece = _mm256_castps_si256(self.0);
            let first = _mm256_permutevar8x32_ps(_mm256_loadu_ps(row), piece);
            let second = _mm256_permutevar8x32_ps(_mm256_loadu_ps(row.add(8)), piece);
            _mm256_blendv_ps(first, second, _mm256_castsi256_ps(_mm256_slli_epi32::<28>(piece)))
        })
    }
}

vector! {
    /// Four numbers, without fused multiply-add.
    Four __m128 f32 4 false, "sse2" baseline usual_baseline PiecewiseSingle,
    _mm_loadu_ps _mm_storeu_ps _mm_set1_ps _mm_add_ps _mm_sub_ps _mm_mul_ps mul_add_four _mm_min_ps
    _mm_or_ps _mm_and_ps _mm_andnot_ps,
    _mm_castsi128_ps _mm_set1_epi32, 12,
    |piece, table, pair| {
        // SAFETY: both are four numbers.
        let pieces: [u32; 4] = unsafe { std::mem::transmute(piece) };
        let [a, b, c, d] = pieces.map(|piece| table.row(piece.into())[2 * pair..][..2].as_ptr().cast());
        // SAFETY: there are two numbers at each; every processor has SSE2.
        unsafe {
            let [ab, cd] = [[a, b], [c, d]].map(|[first, second]| {
                _mm_castpd_ps(_mm_loadh_pd(_mm_load_sd(first), second))
            });
            [Self(_mm_shuffle_ps::<0x88>(ab, cd)), Self(_mm_shuffle_ps::<0xdd>(ab, cd))]
        }
    }
}

/// a · b + c, rounded twice.
#[inline]
#[target_feature(enable = "sse2")]
fn mul_add_four(a: __m128, b: __m128, c: __m128) -> __m128 {
    _mm_add_ps(_mm_mul_ps(a, b), c)
}
