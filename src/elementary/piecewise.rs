//! Piecewise polynomials: functions whose coefficients depend on where the argument lies.
//!
//! A loop over scalar code would fetch every coefficient of every number by itself. So the source of such a function is
//! generic over [`Lanes`]: a single number, or a vector, of which all lanes find their coefficients by a permutation of
//! registers (AVX-512) or by transposing the rows of their pieces (AVX2, SSE2). Invariants: every element has the same bits wherever it
//! stands and, with fused multiply-add, at every level. Must not know: which functions there are.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::marker::PhantomData;

use super::double::{clamp, scale};
#[cfg(target_arch = "x86_64")]
use super::kernel::ask;
#[cfg(not(target_arch = "x86_64"))]
use super::kernel::chunk_kernel;
use super::kernel::{Level, UnaryKernel};
use super::{Arithmetic, Unary};

/// How many pieces and coefficients a table has room for.
const ROOM: usize = 16;

/// The coefficients of polynomials on up to 16 pieces.
pub(super) struct Table {
    /// Each piece's, the constant one first.
    by_piece: [[f64; ROOM]; ROOM],
    /// Each power's, in all pieces.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    by_power: [[f64; ROOM]; ROOM],
}

impl Table {
    /// The polynomials of pieces, the constant coefficient first.
    pub(super) const fn new<const POWERS: usize, const PIECES: usize>(pieces: &[[f64; POWERS]; PIECES]) -> Self {
        let (mut by_piece, mut by_power) = ([[0.0; ROOM]; ROOM], [[0.0; ROOM]; ROOM]);
        let mut piece = 0;
        while piece < PIECES {
            let mut power = 0;
            while power < POWERS {
                by_piece[piece][power] = pieces[piece][power];
                by_power[power][piece] = pieces[piece][power];
                power += 1;
            }
            piece += 1;
        }
        Self { by_piece, by_power }
    }

    /// The coefficients of the piece whose number is in the low four bits.
    #[inline(always)]
    fn row(&self, bits: u64) -> &[f64; ROOM] {
        &self.by_piece[bits as usize % ROOM]
    }
}

/// One number or several, on which all operations work alike.
pub(super) trait Lanes: Copy {
    /// The value in all lanes.
    fn splat(self, value: f64) -> Self;
    /// `self + other`.
    fn plus(self, other: Self) -> Self;
    /// `self − other`.
    fn minus(self, other: Self) -> Self;
    /// `self · other`.
    fn times(self, other: Self) -> Self;
    /// `self · factor + addend`.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// |self|, or the bound where it is larger; NaN stays.
    fn magnitude(self, bound: f64) -> Self;
    /// This kept between bounds; NaN stays.
    fn clamp(self, low: f64, high: f64) -> Self;
    /// This with the sign of the other.
    fn copysign(self, other: Self) -> Self;
    /// Coefficients 2 · `pair` and the one after it, of the pieces whose numbers are in the low four bits.
    fn coefficients(self, table: &'static Table, pair: usize) -> [Self; 2];
    /// `self`·2^⌊k⌋, rounded once, for 1/2 < `self` < 2 and |k| < 1100, where `sixteenths` is [`SIXTEENTHS`] + k.
    fn times_power(self, sixteenths: Self) -> Self;
}

/// Added to a number below 2⁴⁶ it leaves the nearest multiple of 1/16 in the low bits of the sum.
pub(super) const SIXTEENTHS: f64 = 422_212_465_065_984.0;

/// A function on lanes, which is its `Unary::fast` on one.
pub(super) trait Piecewise: Unary<f64> {
    /// Its values.
    fn on<L: Lanes>(x: L) -> L;
}

/// Its value at a number.
#[inline(always)]
pub(super) fn single<F: Piecewise, A: Arithmetic>(x: f64) -> f64 {
    F::on(Single::<A>(x, PhantomData)).0
}

/// Its kernel for a level, which the processor that runs it must have.
pub(super) fn kernel<F: Piecewise>(level: Level) -> UnaryKernel<f64> {
    match level {
        #[cfg(not(target_arch = "x86_64"))]
        Level::Baseline => chunk_kernel::<F, f64>(level),
        #[cfg(target_arch = "x86_64")]
        Level::Baseline => baseline::<F>,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => avx2::<F>,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => avx512::<F>,
    }
}

/// A number.
struct Single<A>(f64, PhantomData<A>);

impl<A> Clone for Single<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Single<A> {}

impl<A: Arithmetic> Lanes for Single<A> {
    #[inline(always)]
    fn splat(self, value: f64) -> Self {
        Self(value, PhantomData)
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.splat(self.0 + other.0)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.splat(self.0 - other.0)
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.splat(self.0 * other.0)
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        self.splat(A::mul_add(self.0, factor.0, addend.0))
    }

    #[inline(always)]
    fn magnitude(self, bound: f64) -> Self {
        self.splat(if self.0.abs() > bound { bound } else { self.0.abs() })
    }

    #[inline(always)]
    fn clamp(self, low: f64, high: f64) -> Self {
        self.splat(clamp(self.0, low, high))
    }

    #[inline(always)]
    fn copysign(self, other: Self) -> Self {
        self.splat(self.0.copysign(other.0))
    }

    #[inline(always)]
    fn coefficients(self, table: &'static Table, pair: usize) -> [Self; 2] {
        let row = table.row(self.0.to_bits());
        [self.splat(row[2 * pair]), self.splat(row[2 * pair + 1])]
    }

    #[inline(always)]
    fn times_power(self, sixteenths: Self) -> Self {
        self.splat(scale(self.0, sixteenths.0.to_bits() >> 4))
    }
}

/// Numbers for which memory ahead is asked for at once.
#[cfg(target_arch = "x86_64")]
const CHUNK: usize = 16;

/// A vector in memory.
#[cfg(target_arch = "x86_64")]
trait Vector: Lanes {
    /// Its lanes.
    const COUNT: usize;

    /// # Safety
    /// The processor must have such vectors, and so many numbers may be read.
    unsafe fn load(from: *const f64) -> Self;

    /// # Safety
    /// So many numbers may be written.
    unsafe fn store(self, to: *mut f64);
}

/// The values of consecutive numbers; a rest is padded to a vector.
///
/// # Safety
/// The processor must have such vectors; `x` may be read and `out` written for `count` elements.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn vectors<F: Piecewise, V: Vector>(out: *mut f64, x: *const f64, count: usize, ahead: *const f64) {
    let whole = count - count % V::COUNT;
    for start in (0..whole).step_by(V::COUNT) {
        if start % CHUNK == 0 {
            ask(ahead.wrapping_add(start));
        }
        // SAFETY: a whole vector is left, by the caller's word.
        unsafe { F::on(V::load(x.add(start))).store(out.add(start)) };
    }
    if whole < count {
        let mut padded = [0.0; ROOM];
        // SAFETY: fewer elements are left than a vector has, which has no more than the array.
        unsafe {
            std::ptr::copy_nonoverlapping(x.add(whole), padded.as_mut_ptr(), count - whole);
            F::on(V::load(padded.as_ptr())).store(padded.as_mut_ptr());
            std::ptr::copy_nonoverlapping(padded.as_ptr(), out.add(whole), count - whole);
        }
    }
}

/// What vectors have but for the way in which they look up coefficients.
#[cfg(target_arch = "x86_64")]
macro_rules! vector {
    ($(#[$doc:meta])* $name:ident $type:ident $count:literal, $features:literal $kernel:ident,
     $load:ident $store:ident $splat:ident $add:ident $sub:ident $mul:ident $mul_add:ident $min:ident $max:ident $or:ident $and:ident $and_not:ident,
     |$piece:ident, $table:ident, $pair:ident| $coefficients:expr,
     |$self:ident, $sixteenths:ident| $times_power:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        struct $name($type);

        impl Vector for $name {
            const COUNT: usize = $count;

            #[inline(always)]
            unsafe fn load(from: *const f64) -> Self {
                // SAFETY: by the caller's word.
                Self(unsafe { $load(from) })
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut f64) {
                // SAFETY: by the caller's word.
                unsafe { $store(to, self.0) }
            }
        }

        // SAFETY, of all that follow: there is a vector, so the processor has its instructions.
        impl Lanes for $name {
            #[inline(always)]
            fn splat(self, value: f64) -> Self {
                // SAFETY: as above.
                Self(unsafe { $splat(value) })
            }

            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $add(self.0, other.0) })
            }

            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $sub(self.0, other.0) })
            }

            #[inline(always)]
            fn times(self, other: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $mul(self.0, other.0) })
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $mul_add(self.0, factor.0, addend.0) })
            }

            #[inline(always)]
            fn magnitude(self, bound: f64) -> Self {
                // The second operand stands where there is a NaN.
                // SAFETY: as above.
                Self(unsafe { $min($splat(bound), $and_not($splat(-0.0), self.0)) })
            }

            #[inline(always)]
            fn clamp(self, low: f64, high: f64) -> Self {
                // As above.
                // SAFETY: as above.
                Self(unsafe { $min($splat(high), $max($splat(low), self.0)) })
            }

            #[inline(always)]
            fn copysign(self, other: Self) -> Self {
                // SAFETY: as above.
                unsafe {
                    let sign = $splat(-0.0);
                    Self($or($and_not(sign, self.0), $and(sign, other.0)))
                }
            }

            #[inline(always)]
            fn coefficients(self, $table: &'static Table, $pair: usize) -> [Self; 2] {
                let $piece = self.0;
                $coefficients
            }

            #[inline(always)]
            fn times_power($self, $sixteenths: Self) -> Self {
                $times_power
            }
        }

        #[target_feature(enable = $features)]
        unsafe extern "C" fn $kernel<F: Piecewise>(out: *mut f64, x: *const f64, count: usize, ahead: *const f64) {
            // SAFETY: by the caller's word.
            unsafe { vectors::<F, $name>(out, x, count, ahead) }
        }
    };
}

#[cfg(target_arch = "x86_64")]
vector! {
    /// Eight numbers.
    Eight __m512d 8, "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma" avx512,
    _mm512_loadu_pd _mm512_storeu_pd _mm512_set1_pd _mm512_add_pd _mm512_sub_pd _mm512_mul_pd _mm512_fmadd_pd _mm512_min_pd
    _mm512_max_pd _mm512_or_pd _mm512_and_pd _mm512_andnot_pd,
    |piece, table, pair| [Self(piece).of(table, 2 * pair), Self(piece).of(table, 2 * pair + 1)],
    |self, sixteenths| {
        let power = sixteenths.minus(self.splat(SIXTEENTHS));
        // SAFETY: there is a vector, so the processor has its instructions.
        Self(unsafe { _mm512_scalef_pd(self.0, power.0) })
    }
}

#[cfg(target_arch = "x86_64")]
vector! {
    /// Four numbers.
    Four __m256d 4, "avx2,fma" avx2,
    _mm256_loadu_pd _mm256_storeu_pd _mm256_set1_pd _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_fmadd_pd _mm256_min_pd
    _mm256_max_pd _mm256_or_pd _mm256_and_pd _mm256_andnot_pd,
    |piece, table, pair| {
        // SAFETY: both are four numbers.
        let [a, b, c, d]: [u64; 4] = unsafe { std::mem::transmute(piece) };
        let rows = [table.row(a), table.row(b), table.row(c), table.row(d)];
        // SAFETY: there is a vector, so the processor has its instructions.
        unsafe { transposed(rows, pair) }
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

#[cfg(target_arch = "x86_64")]
vector! {
    /// Two numbers, without fused multiply-add.
    Two __m128d 2, "sse2" baseline,
    _mm_loadu_pd _mm_storeu_pd _mm_set1_pd _mm_add_pd _mm_sub_pd _mm_mul_pd mul_add_two _mm_min_pd
    _mm_max_pd _mm_or_pd _mm_and_pd _mm_andnot_pd,
    |piece, table, pair| {
        // SAFETY: both are two numbers.
        let [a, b]: [u64; 2] = unsafe { std::mem::transmute(piece) };
        let [a, b] = [a, b].map(|piece| table.row(piece)[2 * pair..][..2].as_ptr());
        // SAFETY: there are two numbers at each; every processor has SSE2.
        unsafe {
            let (a, b) = (_mm_loadu_pd(a), _mm_loadu_pd(b));
            [Self(_mm_unpacklo_pd(a, b)), Self(_mm_unpackhi_pd(a, b))]
        }
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
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn mul_add_two(a: __m128d, b: __m128d, c: __m128d) -> __m128d {
    _mm_add_pd(_mm_mul_pd(a, b), c)
}

#[cfg(target_arch = "x86_64")]
impl Eight {
    /// A coefficient of the pieces whose numbers are in the low four bits.
    #[inline(always)]
    fn of(self, table: &'static Table, power: usize) -> Self {
        let row = table.by_power[power].as_ptr();
        // SAFETY: a row is two vectors; there is a vector, so the processor has its instructions.
        Self(unsafe {
            _mm512_permutex2var_pd(_mm512_loadu_pd(row), _mm512_castpd_si512(self.0), _mm512_loadu_pd(row.add(8)))
        })
    }
}

/// Two coefficients of each of four pieces, the same of all together.
///
/// # Safety
/// The processor must have AVX2.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transposed(rows: [&[f64; ROOM]; 4], pair: usize) -> [Four; 2] {
    let [a, b, c, d] = rows.map(|row| row[2 * pair..][..2].as_ptr());
    // SAFETY: there are two numbers at each; the rest by the caller's word.
    unsafe {
        let (ac, bd) = (_mm256_loadu2_m128d(c, a), _mm256_loadu2_m128d(d, b));
        [Four(_mm256_unpacklo_pd(ac, bd)), Four(_mm256_unpackhi_pd(ac, bd))]
    }
}
