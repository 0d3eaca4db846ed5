//! Vectors of words for the generator, for each level of the instruction set.
//!
//! A vector has 64-bit lanes, one for each of some consecutive blocks. A word is in the lower half of a lane; the upper half
//! may hold anything, since that is how products of words come out. The lanes of even numbers hold the first half of the
//! blocks, those of odd numbers the second, so that two vectors are put in the order of memory by one instruction each.
//! Invariant: every machine gives the same bits. Must not know: what words are used for, memory but that written to.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "x86_64")]
use super::philox_avx512;
use super::philox_rounds::Stream;

/// The lower half of a lane.
pub(super) const WORD: u64 = 0xffff_ffff;
/// 2²⁰ and 2⁻¹² as bits of f64: a unit in the last place is 2⁻³² and 2⁻⁶⁴.
const TWO_20: u64 = 0x4130_0000_0000_0000;
const TWO_MINUS_12: u64 = 0x3f30_0000_0000_0000;
/// Their sum.
const BOTH: f64 = f64::from_bits(TWO_20) + f64::from_bits(TWO_MINUS_12);
/// What of the lower word of a pair is among its upper 53 bits.
const UPPER: u64 = 0xffff_f800;
/// 2⁻²⁴ and 2⁻⁵³.
const TWO_MINUS_24: f32 = f32::EPSILON / 2.0;
#[cfg(target_arch = "x86_64")]
const TWO_MINUS_53: f64 = f64::EPSILON / 2.0;

/// The instructions of a level. That there is a value means that the processor has it.
pub(crate) trait Machine: Copy {
    /// A vector.
    type Vector: Copy;
    /// Its lanes.
    const LANES: usize;
    /// All lanes the same.
    fn splat(self, value: u64) -> Self::Vector;
    /// The numbers of blocks from this one on: in the order of vectors to be woven, or in that of memory.
    fn numbers(self, first: u64, woven: bool) -> Self::Vector;
    /// `a + b`.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The products of words.
    fn product(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The upper halves as words.
    fn high(self, a: Self::Vector) -> Self::Vector;
    /// `a ^ b ^ c`.
    fn xor(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Pairs of words as lanes.
    fn pair(self, pair: Pair<Self>) -> Self::Vector;
    /// The lanes of two vectors in turn, in the order of blocks.
    fn weave(self, a: Self::Vector, b: Self::Vector) -> [Self::Vector; 2];
    /// The upper 24 bits of each half of each lane as f32 fractions of 1.
    fn fractions32(self, words: Self::Vector) -> Self::Vector;
    /// The upper 53 bits of pairs of words as f64 fractions of 1.
    fn fractions64(self, pair: Pair<Self>) -> Self::Vector;
    /// Writes what is made of the words of blocks from a number on, as far as a kernel by hand does; so many bytes. All
    /// numbers are of the stream.
    #[inline(always)]
    fn by_hand(self, _stream: Stream, _of: Words, _out: &mut [u8], _first: u64) -> usize {
        0
    }
    /// Writes the lanes.
    ///
    /// # Safety
    /// So many bytes may be written.
    unsafe fn store(self, to: *mut u8, vector: Self::Vector);
}

/// What a kernel by hand makes of words.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Words {
    /// Nothing.
    Bits,
    /// The upper 24 bits of each, as fractions of 1.
    Fractions32,
    /// The upper 53 bits of pairs, as fractions of 1.
    Fractions64,
}

/// Two words of a block as the last round leaves them: the upper is the lower half of `product`, the lower is the upper half
/// of `product`, combined with `word` and `key`.
#[derive(Clone, Copy)]
pub(crate) struct Pair<M: Machine> {
    pub product: M::Vector,
    pub word: M::Vector,
    pub key: M::Vector,
}

impl<M: Machine> Pair<M> {
    /// The lower word.
    #[inline(always)]
    fn low(self, machine: M) -> M::Vector {
        machine.xor(machine.high(self.product), self.word, self.key)
    }
}

/// What every processor has: one lane.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

/// The upper 53 bits of a pair of words times 2⁻⁵³. All that follows the choice of bits is exact.
#[inline(always)]
pub(super) fn fraction64(high: u64, low: u64) -> f64 {
    let high = f64::from_bits(high & WORD | TWO_20);
    let low = f64::from_bits(low & UPPER | TWO_MINUS_12);
    (high - BOTH) + low
}

/// The upper 24 bits of a word times 2⁻²⁴.
#[inline(always)]
pub(super) fn fraction32(word: u32) -> f32 {
    (word >> 8) as i32 as f32 * TWO_MINUS_24
}

#[cfg(any(test, not(target_arch = "x86_64")))]
impl Machine for Portable {
    type Vector = u64;
    const LANES: usize = 1;

    #[inline(always)]
    fn splat(self, value: u64) -> u64 {
        value
    }

    #[inline(always)]
    fn numbers(self, first: u64, _woven: bool) -> u64 {
        first
    }

    #[inline(always)]
    fn add(self, a: u64, b: u64) -> u64 {
        a.wrapping_add(b)
    }

    #[inline(always)]
    fn product(self, a: u64, b: u64) -> u64 {
        (a & WORD) * (b & WORD)
    }

    #[inline(always)]
    fn high(self, a: u64) -> u64 {
        a >> 32
    }

    #[inline(always)]
    fn xor(self, a: u64, b: u64, c: u64) -> u64 {
        a ^ b ^ c
    }

    #[inline(always)]
    fn pair(self, pair: Pair<Portable>) -> u64 {
        pair.product << 32 | pair.low(self) & WORD
    }

    #[inline(always)]
    fn weave(self, a: u64, b: u64) -> [u64; 2] {
        [a, b]
    }

    #[inline(always)]
    fn fractions32(self, words: u64) -> u64 {
        let of = |word: u64| u64::from(fraction32(word as u32).to_bits());
        of(words >> 32) << 32 | of(words)
    }

    #[inline(always)]
    fn fractions64(self, pair: Pair<Portable>) -> u64 {
        fraction64(pair.product, pair.low(self)).to_bits()
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8, vector: u64) {
        // SAFETY: by the caller's word.
        unsafe { to.cast::<u64>().write_unaligned(vector) }
    }
}

macro_rules! machine {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $of:ty = $value:expr),* } $vector:ident, $lanes:literal;
     $($method:ident($this:ident $(, $argument:ident: $type:ty)*) -> $result:ty { $body:expr })*) => {
        $(#[$doc])*
        #[cfg(target_arch = "x86_64")]
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $name { $($field: $of),* }

        #[cfg(target_arch = "x86_64")]
        impl $name {
            /// # Safety
            /// The processor has the level.
            #[inline(always)]
            pub(super) unsafe fn new() -> $name {
                $name { $($field: $value),* }
            }
        }

        #[cfg(target_arch = "x86_64")]
        impl Machine for $name {
            type Vector = $vector;
            const LANES: usize = $lanes;

            $(#[inline(always)]
            fn $method($this $(, $argument: $type)*) -> $result {
                // SAFETY: there is a value only where the processor has the level.
                unsafe { $body }
            })*

            #[inline(always)]
            unsafe fn store(self, to: *mut u8, vector: $vector) {
                // SAFETY: by the caller's word.
                unsafe { to.cast::<$vector>().write_unaligned(vector) }
            }
        }
    };
}

machine! {
    /// SSE2, which every processor of the architecture has.
    Sse2 {} __m128i, 2;
    splat(self, value: u64) -> __m128i { _mm_set1_epi64x(value as i64) }
    // Two lanes are woven as they are.
    numbers(self, first: u64, _woven: bool) -> __m128i {
        _mm_add_epi64(_mm_set1_epi64x(first as i64), _mm_set_epi64x(1, 0))
    }
    add(self, a: __m128i, b: __m128i) -> __m128i { _mm_add_epi64(a, b) }
    product(self, a: __m128i, b: __m128i) -> __m128i { _mm_mul_epu32(a, b) }
    high(self, a: __m128i) -> __m128i { _mm_srli_epi64::<32>(a) }
    xor(self, a: __m128i, b: __m128i, c: __m128i) -> __m128i { _mm_xor_si128(a, _mm_xor_si128(b, c)) }
    pair(self, pair: Pair<Sse2>) -> __m128i {
        _mm_or_si128(_mm_slli_epi64::<32>(pair.product), _mm_and_si128(pair.low(self), _mm_set1_epi64x(WORD as i64)))
    }
    weave(self, a: __m128i, b: __m128i) -> [__m128i; 2] { [_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b)] }
    fractions32(self, words: __m128i) -> __m128i {{
        let numbers = _mm_cvtepi32_ps(_mm_srli_epi32::<8>(words));
        _mm_castps_si128(_mm_mul_ps(numbers, _mm_set1_ps(TWO_MINUS_24)))
    }}
    fractions64(self, pair: Pair<Sse2>) -> __m128i {{
        // `a | b & c`.
        let choose = |a, b, c| _mm_or_si128(_mm_set1_epi64x(a), _mm_and_si128(b, _mm_set1_epi64x(c)));
        let high = choose(TWO_20 as i64, pair.product, WORD as i64);
        let low = choose(TWO_MINUS_12 as i64, pair.low(self), UPPER as i64);
        let high = _mm_sub_pd(_mm_castsi128_pd(high), _mm_set1_pd(BOTH));
        _mm_castpd_si128(_mm_add_pd(high, _mm_castsi128_pd(low)))
    }}
}

machine! {
    /// AVX2.
    Avx2 {} __m256i, 4;
    splat(self, value: u64) -> __m256i { _mm256_set1_epi64x(value as i64) }
    numbers(self, first: u64, woven: bool) -> __m256i {{
        let order = if woven { _mm256_setr_epi64x(0, 2, 1, 3) } else { _mm256_setr_epi64x(0, 1, 2, 3) };
        _mm256_add_epi64(_mm256_set1_epi64x(first as i64), order)
    }}
    add(self, a: __m256i, b: __m256i) -> __m256i { _mm256_add_epi64(a, b) }
    product(self, a: __m256i, b: __m256i) -> __m256i { _mm256_mul_epu32(a, b) }
    high(self, a: __m256i) -> __m256i { _mm256_srli_epi64::<32>(a) }
    xor(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i { _mm256_xor_si256(a, _mm256_xor_si256(b, c)) }
    pair(self, pair: Pair<Avx2>) -> __m256i {
        _mm256_blend_epi32::<0xaa>(pair.low(self), _mm256_slli_epi64::<32>(pair.product))
    }
    weave(self, a: __m256i, b: __m256i) -> [__m256i; 2] { [_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b)] }
    fractions32(self, words: __m256i) -> __m256i {{
        let numbers = _mm256_cvtepi32_ps(_mm256_srli_epi32::<8>(words));
        _mm256_castps_si256(_mm256_mul_ps(numbers, _mm256_set1_ps(TWO_MINUS_24)))
    }}
    fractions64(self, pair: Pair<Avx2>) -> __m256i {{
        let upper = _mm256_and_si256(pair.low(self), _mm256_set1_epi64x(UPPER as i64));
        let high = _mm256_blend_epi32::<0xaa>(pair.product, _mm256_set1_epi64x(TWO_20 as i64));
        let low = _mm256_blend_epi32::<0xaa>(upper, _mm256_set1_epi64x(TWO_MINUS_12 as i64));
        let high = _mm256_sub_pd(_mm256_castsi256_pd(high), _mm256_set1_pd(BOTH));
        _mm256_castpd_si256(_mm256_add_pd(high, _mm256_castsi256_pd(low)))
    }}
}

machine! {
    /// AVX-512 with its F, DQ, BW and VL parts, and BMI2.
    // Were the mask of the lower halves known, the compiler would make a permutation of two vectors of it.
    Avx512 { lower: __mmask16 = std::hint::black_box(0x5555) } __m512i, 8;
    splat(self, value: u64) -> __m512i { _mm512_set1_epi64(value as i64) }
    numbers(self, first: u64, woven: bool) -> __m512i {{
        let woven_order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
        let order = if woven { woven_order } else { _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7) };
        _mm512_add_epi64(_mm512_set1_epi64(first as i64), order)
    }}
    add(self, a: __m512i, b: __m512i) -> __m512i { _mm512_add_epi64(a, b) }
    product(self, a: __m512i, b: __m512i) -> __m512i { _mm512_mul_epu32(a, b) }
    high(self, a: __m512i) -> __m512i { _mm512_srli_epi64::<32>(a) }
    xor(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i { _mm512_ternarylogic_epi64::<0x96>(a, b, c) }
    pair(self, pair: Pair<Avx512>) -> __m512i {{
        let swapped = _mm512_shuffle_epi32::<0xb1>(pair.product);
        _mm512_mask_ternarylogic_epi32::<0x96>(swapped, self.lower, pair.word, pair.key)
    }}
    weave(self, a: __m512i, b: __m512i) -> [__m512i; 2] { [_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b)] }
    fractions32(self, words: __m512i) -> __m512i {{
        let numbers = _mm512_cvtepi32_ps(_mm512_srli_epi32::<8>(words));
        _mm512_castps_si512(_mm512_mul_ps(numbers, _mm512_set1_ps(TWO_MINUS_24)))
    }}
    fractions64(self, pair: Pair<Avx512>) -> __m512i {{
        let numbers = _mm512_cvtepi64_pd(_mm512_srli_epi64::<11>(self.pair(pair)));
        _mm512_castpd_si512(_mm512_mul_pd(numbers, _mm512_set1_pd(TWO_MINUS_53)))
    }}
    by_hand(self, stream: Stream, of: Words, out: &mut [u8], first: u64) -> usize {
        if out.len() < philox_avx512::STEP { 0 } else { philox_avx512::steps(stream, of, out, first) }
    }
}
