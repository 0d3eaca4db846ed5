//! Kernels of random numbers: the definitions of `philox` on many counters at once, for each level of the instruction set.
//!
//! Words are kept in 64-bit lanes, whose upper halves are never looked at, since that is how products of words come out.
//! Where counters follow each other under one key, as in every draw of an array, each block is computed once. Invariant:
//! the bits are those of the definition, whatever the path. Must not know: ops.

use super::kernel::Level;
use super::philox::{KEYS, MULTIPLIERS, NUMBERS, ROUNDS, WEYL};

/// The kernel `(out, counters, keys, count)` of a draw.
pub(crate) type RandomKernel<T> = unsafe extern "C" fn(*mut T, *const u64, *const u64, usize);

/// What is made of the words of a block.
pub(crate) trait Draw {
    /// What is drawn.
    type Element: Copy + Default;
    /// The logarithm of how many a block has.
    const SHIFT: u32;
    /// Word 2 of the counter.
    const TAG: u32 = NUMBERS;
    /// Which part of a block, from words whose upper halves are anything.
    fn element(words: [u64; 4], part: usize) -> Self::Element;
}

macro_rules! draws {
    ($($(#[$doc:meta])* $name:ident $type:ty, $shift:literal, $tag:ident, |$words:ident, $part:ident| $element:expr;)*) => {
        $($(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name;

        impl Draw for $name {
            type Element = $type;
            const SHIFT: u32 = $shift;
            const TAG: u32 = $tag;

            #[inline(always)]
            fn element($words: [u64; 4], $part: usize) -> $type {
                $element
            }
        })*
    };
}
draws! {
    /// 32 bits.
    Bits32 u32, 2, NUMBERS, |words, part| words[part] as u32;
    /// 64 bits.
    Bits64 u64, 1, NUMBERS, |words, part| pair(words, part);
    /// 24 bits as a fraction of 1.
    Uniform32 f32, 2, NUMBERS, |words, part| ((words[part] as u32) >> 8) as i32 as f32 * (1.0 / 16_777_216.0);
    /// 53 bits as a fraction of 1.
    Uniform64 f64, 1, NUMBERS, |words, part| fraction(words, part);
    /// A key.
    Key u64, 0, KEYS, |words, part| pair(words, part);
}

const WORD: u64 = 0xffff_ffff;

#[inline(always)]
fn pair(words: [u64; 4], part: usize) -> u64 {
    words[2 * part + 1] << 32 | words[2 * part] & WORD
}

/// The upper 53 bits of a pair of words times 2⁻⁵³. The words are put into the fractions of 2²⁰ and of 2⁻¹², where a unit
/// in the last place is 2⁻³² and 2⁻⁶⁴; all that follows is exact.
#[inline(always)]
fn fraction(words: [u64; 4], part: usize) -> f64 {
    const TWO_20: u64 = 0x4130_0000_0000_0000;
    const TWO_MINUS_12: u64 = 0x3f30_0000_0000_0000;
    let high = f64::from_bits(words[2 * part + 1] & WORD | TWO_20);
    let low = f64::from_bits(words[2 * part] & 0xffff_f800 | TWO_MINUS_12);
    (high - (f64::from_bits(TWO_20) + f64::from_bits(TWO_MINUS_12))) + low
}

/// The words of a block; only the lower halves count.
#[inline(always)]
fn words(block: u64, tag: u32, key: u64) -> [u64; 4] {
    let [mut a, mut b, mut c, mut d] = [block, block >> 32, u64::from(tag), 0];
    for round in 0..ROUNDS {
        let key0 = (key as u32).wrapping_add(WEYL[0].wrapping_mul(round));
        let key1 = ((key >> 32) as u32).wrapping_add(WEYL[1].wrapping_mul(round));
        let first = (a & WORD) * u64::from(MULTIPLIERS[0]);
        let second = (c & WORD) * u64::from(MULTIPLIERS[1]);
        [a, b, c, d] = [(second >> 32) ^ b ^ u64::from(key0), second, (first >> 32) ^ d ^ u64::from(key1), first];
    }
    [a, b, c, d]
}

/// Blocks, or elements, that are computed at once.
const CHUNK: usize = 16;

/// The kernel of a draw for a level, which the processor that runs it must have.
pub(crate) fn random_kernel<D: Draw>(level: Level) -> RandomKernel<D::Element> {
    match level {
        Level::Baseline => baseline::<D>,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => avx2::<D>,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => avx512::<D>,
    }
}

macro_rules! level {
    ($name:ident $(#[$attribute:meta])?) => {
        $(#[$attribute])?
        unsafe extern "C" fn $name<D: Draw>(out: *mut D::Element, counters: *const u64, keys: *const u64, count: usize) {
            // SAFETY: by the caller's word, these are readable and writable for `count` elements.
            let (counters, keys, out) = unsafe {
                (
                    std::slice::from_raw_parts(counters, count),
                    std::slice::from_raw_parts(keys, count),
                    std::slice::from_raw_parts_mut(out, count),
                )
            };
            draw::<D>(out, counters, keys);
        }
    };
}

level!(baseline);
#[cfg(target_arch = "x86_64")]
level!(avx2 #[target_feature(enable = "avx2,fma")]);
#[cfg(target_arch = "x86_64")]
level!(avx512 #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]);

#[inline(always)]
fn draw<D: Draw>(out: &mut [D::Element], counters: &[u64], keys: &[u64]) {
    let (Some(&first), Some(&key)) = (counters.first(), keys.first()) else { return };
    let mut differ = 0;
    for (index, (&counter, &other)) in counters.iter().zip(keys).enumerate() {
        differ |= (counter ^ first.wrapping_add(index as u64)) | (other ^ key);
    }
    if differ == 0 { consecutive::<D>(out, first, key) } else { scattered::<D>(out, counters, keys) }
}

/// Elements whose counters follow each other, under one key.
#[inline(always)]
fn consecutive<D: Draw>(out: &mut [D::Element], first: u64, key: u64) {
    let parts = 1_usize << D::SHIFT;
    let head = (first.wrapping_neg() as usize % parts).min(out.len());
    let (head, body) = out.split_at_mut(head);
    let mut block = first >> D::SHIFT;
    if !head.is_empty() {
        let words = words(block, D::TAG, key);
        let skipped = first as usize % parts;
        head.iter_mut().enumerate().for_each(|(index, out)| *out = one::<D>(words, skipped + index));
        // Counters wrap, block numbers at their own largest.
        block = (block + 1) & (u64::MAX >> D::SHIFT);
    }
    let mut chunks = body.chunks_exact_mut(CHUNK * parts);
    for chunk in &mut chunks {
        blocks::<D>(chunk, block, key);
        block = block.wrapping_add(CHUNK as u64);
    }
    let rest = chunks.into_remainder();
    if !rest.is_empty() {
        let mut chunk = [D::Element::default(); 4 * CHUNK];
        blocks::<D>(&mut chunk[..CHUNK * parts], block, key);
        rest.copy_from_slice(&chunk[..rest.len()]);
    }
}

/// A chunk of whole blocks.
#[inline(always)]
fn blocks<D: Draw>(out: &mut [D::Element], first: u64, key: u64) {
    let parts = 1_usize << D::SHIFT;
    for (index, out) in out.chunks_exact_mut(parts).enumerate() {
        let block = first.wrapping_add(index as u64) & (u64::MAX >> D::SHIFT);
        let words = words(block, D::TAG, key);
        out.iter_mut().enumerate().for_each(|(part, out)| *out = D::element(words, part));
    }
}

/// Elements of any counters and keys.
#[inline(always)]
fn scattered<D: Draw>(out: &mut [D::Element], counters: &[u64], keys: &[u64]) {
    for (out, (&counter, &key)) in out.iter_mut().zip(counters.iter().zip(keys)) {
        let words = words(counter >> D::SHIFT, D::TAG, key);
        *out = one::<D>(words, counter as usize % (1 << D::SHIFT));
    }
}

/// A part that is known only now, without a branch.
#[inline(always)]
fn one<D: Draw>(words: [u64; 4], part: usize) -> D::Element {
    let mut element = D::element(words, 0);
    for other in 1..1 << D::SHIFT {
        element = if part == other { D::element(words, other) } else { element };
    }
    element
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elementary::philox;

    fn levels() -> Vec<Level> {
        #[cfg(target_arch = "x86_64")]
        {
            let all = [Level::Baseline, Level::Avx2, Level::Avx512];
            all.into_iter().filter(|level| *level <= Level::native()).collect()
        }
        #[cfg(not(target_arch = "x86_64"))]
        vec![Level::Baseline]
    }

    fn check<D: Draw>(define: fn(u64, u64) -> D::Element)
    where
        D::Element: PartialEq + std::fmt::Debug,
    {
        const LENGTHS: [usize; 9] = [0, 1, 3, 15, 16, 31, 64, 65, 150];
        const STARTS: [u64; 7] = [0, 1, 2, 3, 0xffff_ffff * 4 - 30, u64::MAX - 40, 1 << 40];
        const KEY: u64 = 0x299f_31d0_a409_3822;
        for level in levels() {
            for (length, start) in LENGTHS.iter().flat_map(|&length| STARTS.map(move |start| (length, start))) {
                let following: Vec<u64> = (0..length as u64).map(|i| start.wrapping_add(i)).collect();
                let scattered: Vec<u64> = following.iter().map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
                let keys: Vec<u64> = (0..length as u64).map(|i| KEY.wrapping_mul(i + 1)).collect();
                let one_key = vec![KEY; length];
                for (counters, keys) in
                    [(&following, &one_key), (&following, &keys), (&scattered, &one_key), (&scattered, &keys)]
                {
                    let mut out = vec![D::Element::default(); length];
                    // SAFETY: all have `length` elements, and the processor has the level.
                    unsafe {
                        random_kernel::<D>(level)(out.as_mut_ptr(), counters.as_ptr(), keys.as_ptr(), length);
                    }
                    let expected: Vec<D::Element> = counters.iter().zip(keys).map(|(&c, &k)| define(c, k)).collect();
                    assert_eq!(out, expected, "{level:?} from {start}");
                }
            }
        }
    }

    #[test]
    fn kernels_are_the_definitions_at_every_level() {
        check::<Bits32>(philox::bits32);
        check::<Bits64>(philox::bits64);
        check::<Uniform32>(philox::uniform32);
        check::<Uniform64>(philox::uniform64);
        check::<Key>(philox::derived_key);
    }

    /// The first of the known answers of Random123.
    #[test]
    fn kernels_give_the_known_answer() {
        for level in levels() {
            let mut out = [0_u32; 4];
            // SAFETY: all have four elements, and the processor has the level.
            unsafe { random_kernel::<Bits32>(level)(out.as_mut_ptr(), [0, 1, 2, 3].as_ptr(), [0; 4].as_ptr(), 4) };
            assert_eq!(out, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        }
    }
}
