//! Piecewise polynomials: functions whose coefficients depend on where the argument lies.
//!
//! A loop over scalar code would fetch every coefficient of every number by itself. So the source of such a function is
//! generic over [`Lanes`]: a single number, or a vector, of which all lanes find their coefficients by a permutation of
//! registers (AVX-512) or by transposing the rows of their pieces (AVX2). Invariants: every element has the same bits wherever it
//! stands and, with fused multiply-add, at every level. Must not know: which functions there are.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::marker::PhantomData;

use super::kernel::{Level, UnaryKernel, chunk_kernel};
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
    /// This with the sign of the other.
    fn copysign(self, other: Self) -> Self;
    /// Coefficients 4 · `group` and the three after it, of the pieces whose numbers are in the low four bits.
    fn coefficients(self, table: &'static Table, group: usize) -> [Self; 4];
}

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
        Level::Baseline => chunk_kernel::<F, f64>(level),
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
    fn copysign(self, other: Self) -> Self {
        self.splat(self.0.copysign(other.0))
    }

    #[inline(always)]
    fn coefficients(self, table: &'static Table, group: usize) -> [Self; 4] {
        let [a, b, c, d] = four(table.row(self.0.to_bits()), group);
        [self.splat(a), self.splat(b), self.splat(c), self.splat(d)]
    }
}

/// Numbers 4 · `group` and the three after it.
#[inline(always)]
fn four(row: &[f64; ROOM], group: usize) -> [f64; 4] {
    [row[4 * group], row[4 * group + 1], row[4 * group + 2], row[4 * group + 3]]
}

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
unsafe fn vectors<F: Piecewise, V: Vector>(out: *mut f64, x: *const f64, count: usize) {
    let whole = count - count % V::COUNT;
    for start in (0..whole).step_by(V::COUNT) {
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
     $load:ident $store:ident $splat:ident $add:ident $sub:ident $mul:ident $mul_add:ident $min:ident $or:ident $and:ident $and_not:ident,
     |$piece:ident, $table:ident, $group:ident| $coefficients:expr) => {
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
            fn copysign(self, other: Self) -> Self {
                // SAFETY: as above.
                unsafe {
                    let sign = $splat(-0.0);
                    Self($or($and_not(sign, self.0), $and(sign, other.0)))
                }
            }

            #[inline(always)]
            fn coefficients(self, $table: &'static Table, $group: usize) -> [Self; 4] {
                let $piece = self.0;
                $coefficients
            }
        }

        #[target_feature(enable = $features)]
        unsafe extern "C" fn $kernel<F: Piecewise>(out: *mut f64, x: *const f64, count: usize) {
            // SAFETY: by the caller's word.
            unsafe { vectors::<F, $name>(out, x, count) }
        }
    };
}

#[cfg(target_arch = "x86_64")]
vector! {
    /// Eight numbers.
    Eight __m512d 8, "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma" avx512,
    _mm512_loadu_pd _mm512_storeu_pd _mm512_set1_pd _mm512_add_pd _mm512_sub_pd _mm512_mul_pd _mm512_fmadd_pd _mm512_min_pd
    _mm512_or_pd _mm512_and_pd _mm512_andnot_pd,
    |piece, table, group| {
        let (from, piece) = (4 * group, Self(piece));
        [piece.of(table, from), piece.of(table, from + 1), piece.of(table, from + 2), piece.of(table, from + 3)]
    }
}

#[cfg(target_arch = "x86_64")]
vector! {
    /// Four numbers.
    Four __m256d 4, "avx2,fma" avx2,
    _mm256_loadu_pd _mm256_storeu_pd _mm256_set1_pd _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_fmadd_pd _mm256_min_pd
    _mm256_or_pd _mm256_and_pd _mm256_andnot_pd,
    |piece, table, group| {
        // SAFETY: both are four numbers.
        let [a, b, c, d]: [u64; 4] = unsafe { std::mem::transmute(piece) };
        let rows = [table.row(a), table.row(b), table.row(c), table.row(d)];
        // SAFETY: as above.
        unsafe { transposed(rows, group) }
    }
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

/// Four coefficients of each of four pieces, the same of all together.
///
/// # Safety
/// The processor must have AVX2.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transposed([a, b, c, d]: [&[f64; ROOM]; 4], group: usize) -> [Four; 4] {
    let from = 4 * group;
    let (low, high) = (from..from + 2, from + 2..from + 4);
    // SAFETY: there are two numbers at each; the rest by the caller's word.
    unsafe {
        let (ac, bd) = (
            _mm256_loadu2_m128d(c[low.clone()].as_ptr(), a[low.clone()].as_ptr()),
            _mm256_loadu2_m128d(d[low.clone()].as_ptr(), b[low].as_ptr()),
        );
        let (ac_next, bd_next) = (
            _mm256_loadu2_m128d(c[high.clone()].as_ptr(), a[high.clone()].as_ptr()),
            _mm256_loadu2_m128d(d[high.clone()].as_ptr(), b[high].as_ptr()),
        );
        [
            Four(_mm256_unpacklo_pd(ac, bd)),
            Four(_mm256_unpackhi_pd(ac, bd)),
            Four(_mm256_unpacklo_pd(ac_next, bd_next)),
            Four(_mm256_unpackhi_pd(ac_next, bd_next)),
        ]
    }
}
