//! π from drawn points as a programmer would write it by hand: Philox4x32-10 with AVX2, all in registers.
//!
//! Both loops draw the points that Kroton draws: `x` is number `i` of one key, `y` of another. Words are kept in 64-bit lanes,
//! two vectors of four blocks take turns, and the half of the first two rounds that all blocks share is done once. The same
//! in plain Rust is compiled for AVX-512. Nothing here uses Kroton. Samples are a multiple of 64, fewer than 2³².

use std::arch::x86_64::*;

const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Vectors that go side by side; more do not fit the registers.
const VECTORS: usize = 2;

/// The hits among `n` samples of f64.
pub fn hits64(keys: [u64; 2], n: usize) -> u64 {
    assert!(std::arch::is_x86_feature_detected!("avx2") && n.is_multiple_of(64));
    // SAFETY: the feature was just detected.
    unsafe { hits64_avx2(keys.map(Rounds::new), n) }
}

/// The hits among `n` samples of f32.
pub fn hits32(keys: [u64; 2], n: usize) -> u64 {
    assert!(std::arch::is_x86_feature_detected!("avx2") && n.is_multiple_of(64));
    // SAFETY: the feature was just detected.
    unsafe { hits32_avx2(keys.map(Rounds::new), n) }
}

/// What all blocks of a key share.
struct Rounds {
    /// What round 0 combines with word 2, and round 1 with words 0 and 2, and its word 3.
    start: [u64; 4],
    keys: [[u64; 2]; 8],
}

impl Rounds {
    fn new(key: u64) -> Rounds {
        let word = |half: u64, step: u32, round: u32| u64::from((half as u32).wrapping_add(step.wrapping_mul(round)));
        let of = |round| [word(key, WEYL[0], round), word(key >> 32, WEYL[1], round)];
        let ([key0, key1], [next0, next1]) = (of(0), of(1));
        let product = key0 * MULTIPLIERS[0];
        Rounds { start: [key1, next0, product >> 32 ^ next1, product], keys: std::array::from_fn(|i| of(i as u32 + 2)) }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn all(word: u64) -> __m256i {
    _mm256_set1_epi64x(word as i64)
}

/// The words of some vectors of blocks.
#[inline]
#[target_feature(enable = "avx2")]
fn words(rounds: &Rounds, numbers: [__m256i; VECTORS]) -> [[__m256i; 4]; VECTORS] {
    let [times0, times1] = [all(MULTIPLIERS[0]), all(MULTIPLIERS[1])];
    let mut words = [[_mm256_setzero_si256(); 4]; VECTORS];
    for (words, number) in words.iter_mut().zip(numbers) {
        let first = _mm256_mul_epu32(number, times0);
        let second = _mm256_mul_epu32(_mm256_xor_si256(_mm256_srli_epi64::<32>(first), all(rounds.start[0])), times1);
        let a = _mm256_xor_si256(_mm256_srli_epi64::<32>(second), all(rounds.start[1]));
        *words = [a, second, _mm256_xor_si256(first, all(rounds.start[2])), all(rounds.start[3])];
    }
    for [key0, key1] in rounds.keys {
        for words in &mut words {
            let [a, b, c, d] = *words;
            let (first, second) = (_mm256_mul_epu32(a, times0), _mm256_mul_epu32(c, times1));
            let (b, d) = (_mm256_xor_si256(b, all(key0)), _mm256_xor_si256(d, all(key1)));
            let a = _mm256_xor_si256(_mm256_srli_epi64::<32>(second), b);
            *words = [a, second, _mm256_xor_si256(_mm256_srli_epi64::<32>(first), d), first];
        }
    }
    words
}

/// The numbers of the blocks of some vectors.
#[inline]
#[target_feature(enable = "avx2")]
fn numbers(first: __m256i) -> [__m256i; VECTORS] {
    let mut numbers = [first; VECTORS];
    for (index, number) in numbers.iter_mut().enumerate() {
        *number = _mm256_add_epi64(first, all(4 * index as u64));
    }
    numbers
}

#[target_feature(enable = "avx2")]
fn hits64_avx2([x, y]: [Rounds; 2], n: usize) -> u64 {
    let (mut hits, one) = (_mm256_setzero_si256(), _mm256_set1_pd(1.0));
    let mut first = _mm256_setr_epi64x(0, 1, 2, 3);
    for _ in 0..n / (8 * VECTORS) {
        let numbers = numbers(first);
        for (x, y) in words(&x, numbers).into_iter().zip(words(&y, numbers)) {
            for half in [0, 2] {
                let (x, y) = (fractions64(x[half + 1], x[half]), fractions64(y[half + 1], y[half]));
                let square = _mm256_add_pd(_mm256_mul_pd(x, x), _mm256_mul_pd(y, y));
                hits = _mm256_sub_epi64(hits, _mm256_castpd_si256(_mm256_cmp_pd::<_CMP_LT_OQ>(square, one)));
            }
        }
        first = _mm256_add_epi64(first, all(4 * VECTORS as u64));
    }
    lanes(hits).iter().sum()
}

/// The upper 53 bits of pairs of words, in the fractions of 2²⁰ and 2⁻¹².
#[inline]
#[target_feature(enable = "avx2")]
fn fractions64(high: __m256i, low: __m256i) -> __m256d {
    const TWO_20: u64 = 0x4130_0000_0000_0000;
    const TWO_MINUS_12: u64 = 0x3f30_0000_0000_0000;
    let both = _mm256_set1_pd(f64::from_bits(TWO_20) + f64::from_bits(TWO_MINUS_12));
    let high = _mm256_blend_epi32::<0xaa>(high, all(TWO_20));
    let low = _mm256_blend_epi32::<0xaa>(_mm256_and_si256(low, all(0xffff_f800)), all(TWO_MINUS_12));
    _mm256_add_pd(_mm256_sub_pd(_mm256_castsi256_pd(high), both), _mm256_castsi256_pd(low))
}

#[target_feature(enable = "avx2")]
fn hits32_avx2([x, y]: [Rounds; 2], n: usize) -> u64 {
    let (mut hits, one) = (_mm256_setzero_si256(), _mm256_set1_ps(1.0));
    let mut first = _mm256_setr_epi64x(0, 1, 2, 3);
    for _ in 0..n / (16 * VECTORS) {
        let numbers = numbers(first);
        for (x, y) in words(&x, numbers).into_iter().zip(words(&y, numbers)) {
            for half in [0, 2] {
                let (x, y) = (fractions32(x[half + 1], x[half]), fractions32(y[half + 1], y[half]));
                let square = _mm256_add_ps(_mm256_mul_ps(x, x), _mm256_mul_ps(y, y));
                hits = _mm256_sub_epi32(hits, _mm256_castps_si256(_mm256_cmp_ps::<_CMP_LT_OQ>(square, one)));
            }
        }
        first = _mm256_add_epi64(first, all(4 * VECTORS as u64));
    }
    lanes(hits).iter().map(|pair| (pair & 0xffff_ffff) + (pair >> 32)).sum()
}

/// The upper 24 bits of words.
#[inline]
#[target_feature(enable = "avx2")]
fn fractions32(high: __m256i, low: __m256i) -> __m256 {
    let words = _mm256_blend_epi32::<0xaa>(low, _mm256_slli_epi64::<32>(high));
    _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32::<8>(words)), _mm256_set1_ps(1.0 / 16_777_216.0))
}

#[inline]
#[target_feature(enable = "avx2")]
fn lanes(vector: __m256i) -> [u64; 4] {
    [
        _mm256_extract_epi64::<0>(vector) as u64,
        _mm256_extract_epi64::<1>(vector) as u64,
        _mm256_extract_epi64::<2>(vector) as u64,
        _mm256_extract_epi64::<3>(vector) as u64,
    ]
}

/// As `hits64` and `hits32`, in plain Rust that the compiler turns into vectors of AVX-512, if the processor has it.
pub fn plain(keys: [u64; 2], n: usize, double: bool) -> Option<u64> {
    let keys = keys.map(Rounds::new);
    if !(std::arch::is_x86_feature_detected!("avx512dq") && std::arch::is_x86_feature_detected!("avx512vl")) {
        return None;
    }
    // SAFETY: the features were just detected; they imply the first.
    Some(unsafe { if double { plain64(keys, n) } else { plain32(keys, n) } })
}

#[inline(always)]
fn block(rounds: &Rounds, number: u64) -> [u32; 4] {
    let product = |word: u64, index: usize| (word & 0xffff_ffff) * MULTIPLIERS[index];
    let first = product(number, 0);
    let second = product(first >> 32 ^ rounds.start[0], 1);
    let start = [second >> 32 ^ rounds.start[1], second, first ^ rounds.start[2], rounds.start[3]];
    let words = rounds.keys.iter().fold(start, |[a, b, c, d], [key0, key1]| {
        let (first, second) = (product(a, 0), product(c, 1));
        [second >> 32 ^ b ^ key0, second, first >> 32 ^ d ^ key1, first]
    });
    words.map(|word| word as u32)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn plain64([x, y]: [Rounds; 2], n: usize) -> u64 {
    let fraction = |low: u32, high: u32| ((u64::from(high) << 32 | u64::from(low)) >> 11) as f64 * (-53_f64).exp2();
    let mut hits = 0;
    for number in 0..n as u64 / 2 {
        let (x, y) = (block(&x, number), block(&y, number));
        for half in [0, 2] {
            let (x, y) = (fraction(x[half], x[half + 1]), fraction(y[half], y[half + 1]));
            hits += u64::from(x * x + y * y < 1.0);
        }
    }
    hits
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn plain32([x, y]: [Rounds; 2], n: usize) -> u64 {
    let fraction = |word: u32| (word >> 8) as i32 as f32 * (1.0 / 16_777_216.0);
    let mut hits = 0;
    for number in 0..n as u64 / 4 {
        let (x, y) = (block(&x, number), block(&y, number));
        for part in 0..4 {
            let (x, y) = (fraction(x[part]), fraction(y[part]));
            hits += u64::from(x * x + y * y < 1.0);
        }
    }
    hits
}
