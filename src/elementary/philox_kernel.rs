//! Kernels of random numbers: the definitions of `philox` on many counters at once, for each level of the instruction set.
//!
//! Where counters follow each other under one key, as in every draw of an array, each block is computed once, several
//! vectors of blocks at a time. Invariant: the bits are those of the definition, whatever the path. Must not know: ops,
//! instructions.

use super::kernel::Level;
use super::philox::{KEYS, NUMBERS};
use super::philox_rounds::{Rounds, Stream, first_products, words};
#[cfg(any(test, not(target_arch = "x86_64")))]
use super::philox_vector::Portable;
#[cfg(target_arch = "x86_64")]
use super::philox_vector::{Avx2, Avx512, Sse2};
use super::philox_vector::{Machine, Pair, WORD, Words, fraction32, fraction64};

/// The kernel `(out, counters, keys, count)` of a draw.
pub(crate) type RandomKernel<T> = unsafe extern "C" fn(*mut T, *const u64, *const u64, usize);

/// The kernel `(out, first, distance, key, count)` of a draw whose counters are an arithmetic progression under one key.
pub(crate) type ProgressionKernel<T> = unsafe extern "C" fn(*mut T, u64, u64, u64, usize);

/// What is made of the words of a block.
pub(crate) trait Draw {
    /// What is drawn.
    type Element: Copy + Default;
    /// The logarithm of how many a block has.
    const SHIFT: u32;
    /// Word 2 of the counter.
    const TAG: u32 = NUMBERS;
    /// What a kernel by hand makes of words, if it does.
    const BY_HAND: Option<Words>;
    /// Which part of a block, from words whose upper halves are anything.
    fn element(words: [u64; 4], part: usize) -> Self::Element;
    /// All parts, in the order of memory; of keys, the first vector only.
    fn vectors<M: Machine>(machine: M, pairs: [Pair<M>; 2]) -> [M::Vector; 2];
}

macro_rules! draws {
    ($($(#[$doc:meta])* $name:ident $type:ty, $shift:literal, $tag:ident, $by_hand:expr, |$words:ident, $part:ident| $element:expr,
       |$machine:ident, $pairs:ident| $vectors:expr;)*) => {
        $($(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name;

        impl Draw for $name {
            type Element = $type;
            const SHIFT: u32 = $shift;
            const TAG: u32 = $tag;
            const BY_HAND: Option<Words> = $by_hand;

            #[inline(always)]
            fn element($words: [u64; 4], $part: usize) -> $type {
                $element
            }

            #[inline(always)]
            fn vectors<M: Machine>($machine: M, $pairs: [Pair<M>; 2]) -> [M::Vector; 2] {
                $vectors
            }
        })*
    };
}
draws! {
    /// 32 bits.
    Bits32 u32, 2, NUMBERS, Some(Words::Bits), |words, part| words[part] as u32,
        |machine, pairs| in_order(machine, pairs);
    /// 64 bits.
    Bits64 u64, 1, NUMBERS, Some(Words::Bits), |words, part| pair(words, part),
        |machine, pairs| in_order(machine, pairs);
    /// 24 bits as a fraction of 1.
    Uniform32 f32, 2, NUMBERS, Some(Words::Fractions32), |words, part| fraction32(words[part] as u32), |machine, pairs| {
        let [first, second] = in_order(machine, pairs);
        [machine.fractions32(first), machine.fractions32(second)]
    };
    /// 53 bits as a fraction of 1.
    Uniform64 f64, 1, NUMBERS, Some(Words::Fractions64), |words, part| fraction64(words[2 * part + 1], words[2 * part]),
    |machine, pairs| {
        let [first, second] = pairs;
        machine.weave(machine.fractions64(first), machine.fractions64(second))
    };
    /// A key.
    Key u64, 0, KEYS, None, |words, part| pair(words, part), |machine, pairs| [machine.pair(pairs[0]); 2];
}

#[inline(always)]
fn pair(words: [u64; 4], part: usize) -> u64 {
    words[2 * part + 1] << 32 | words[2 * part] & WORD
}

/// The words of blocks one after the other.
#[inline(always)]
fn in_order<M: Machine>(machine: M, [first, second]: [Pair<M>; 2]) -> [M::Vector; 2] {
    machine.weave(machine.pair(first), machine.pair(second))
}

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

/// As `random_kernel`, for counters in progression.
pub(crate) fn progression_kernel<D: Draw>(level: Level) -> ProgressionKernel<D::Element> {
    match level {
        Level::Baseline => baseline_progression::<D>,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => avx2_progression::<D>,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => avx512_progression::<D>,
    }
}

macro_rules! level {
    ($name:ident $progression:ident $machine:expr, $vectors:literal $(, #[$attribute:meta])?) => {
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
            match progression(counters, keys) {
                Some((first, key)) => consecutive::<D, _, $vectors>($machine, out, first, key),
                None => scattered::<D>(out, |index| (counters[index], keys[index])),
            }
        }

        $(#[$attribute])?
        unsafe extern "C" fn $progression<D: Draw>(
            out: *mut D::Element,
            first: u64,
            distance: u64,
            key: u64,
            count: usize,
        ) {
            // SAFETY: by the caller's word, this is writable for `count` elements.
            let out = unsafe { std::slice::from_raw_parts_mut(out, count) };
            if distance == 1 {
                return consecutive::<D, _, $vectors>($machine, out, first, key);
            }
            scattered::<D>(out, |index| (first.wrapping_add(distance.wrapping_mul(index as u64)), key));
        }
    };
}

// As many vectors at once as registers hold.
#[cfg(not(target_arch = "x86_64"))]
level!(baseline baseline_progression Portable, 2);
#[cfg(target_arch = "x86_64")]
level!(
    baseline baseline_progression
    // SAFETY: every processor of the architecture has it.
    unsafe { Sse2::new() }, 2
);
#[cfg(target_arch = "x86_64")]
level!(
    avx2 avx2_progression
    // SAFETY: by the caller's word.
    unsafe { Avx2::new() }, 2,
    #[target_feature(enable = "avx2,fma")]
);
#[cfg(target_arch = "x86_64")]
level!(
    avx512 avx512_progression
    // SAFETY: by the caller's word.
    unsafe { Avx512::new() }, 4,
    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
);

/// The first counter and the key, if counters follow each other under one key.
#[inline(always)]
fn progression(counters: &[u64], keys: &[u64]) -> Option<(u64, u64)> {
    let (first, key) = (*counters.first()?, *keys.first()?);
    let mut differ = 0;
    for (index, (&counter, &other)) in counters.iter().zip(keys).enumerate() {
        differ |= (counter ^ first.wrapping_add(index as u64)) | (other ^ key);
    }
    (differ == 0).then_some((first, key))
}

/// Elements whose counters follow each other, under one key.
#[inline(always)]
fn consecutive<D: Draw, M: Machine, const VECTORS: usize>(machine: M, out: &mut [D::Element], first: u64, key: u64) {
    let written = by_hand::<D, M>(machine, out, first, key);
    let (out, first) = (&mut out[written..], first.wrapping_add(written as u64));
    let parts = 1_usize << D::SHIFT;
    let head = (first.wrapping_neg() as usize % parts).min(out.len());
    let (head, mut body) = out.split_at_mut(head);
    let mut block = first >> D::SHIFT;
    if !head.is_empty() {
        let words = words(block, D::TAG, key);
        let skipped = first as usize % parts;
        head.iter_mut().enumerate().for_each(|(index, out)| *out = one::<D>(words, skipped + index));
        block += 1;
    }
    while !body.is_empty() {
        // Counters wrap, block numbers at their own largest.
        block &= u64::MAX >> D::SHIFT;
        let rounds = Rounds::new(machine, Stream { upper: block >> 32, tag: D::TAG, key });
        let same_upper = (1 << 32) - (block & WORD);
        let length = usize::try_from(same_upper << D::SHIFT).map_or(body.len(), |length| length.min(body.len()));
        let (now, later) = body.split_at_mut(length);
        blocks::<D, M, VECTORS>(&rounds, now, block & WORD);
        block = block.wrapping_add(same_upper);
        body = later;
    }
}

/// Whole blocks, but for the last, from this word 0 on.
#[inline(always)]
fn blocks<D: Draw, M: Machine, const VECTORS: usize>(rounds: &Rounds<M>, out: &mut [D::Element], first: u64) {
    let parts = 1_usize << D::SHIFT;
    let mut products = [first_products(rounds.machine, first, D::SHIFT > 0); VECTORS];
    for (index, products) in products.iter_mut().enumerate() {
        *products = rounds.later(*products, index);
    }
    let mut chunks = out.chunks_exact_mut(VECTORS * M::LANES * parts);
    for chunk in &mut chunks {
        step::<D, M, VECTORS>(rounds, products, chunk);
        for products in &mut products {
            *products = rounds.later(*products, VECTORS);
        }
    }
    let mut products = products[0];
    let mut chunks = chunks.into_remainder().chunks_exact_mut(M::LANES * parts);
    for chunk in &mut chunks {
        step::<D, M, 1>(rounds, [products], chunk);
        products = rounds.later(products, 1);
    }
    let rest = chunks.into_remainder();
    if !rest.is_empty() {
        let mut chunk = [D::Element::default(); 32];
        step::<D, M, 1>(rounds, [products], &mut chunk[..M::LANES * parts]);
        rest.copy_from_slice(&chunk[..rest.len()]);
    }
}

/// What a kernel by hand writes, if the first element starts a block and as long as the upper half stays; how many elements.
#[inline(always)]
fn by_hand<D: Draw, M: Machine>(machine: M, out: &mut [D::Element], first: u64, key: u64) -> usize {
    let block = first >> D::SHIFT;
    let Some(words) = D::BY_HAND.filter(|_| block << D::SHIFT == first) else { return 0 };
    let same_upper = ((1 << 32) - (block & WORD)) << D::SHIFT;
    let length = usize::try_from(same_upper).map_or(out.len(), |length| length.min(out.len()));
    // SAFETY: these are the bytes of numbers, which may be anything.
    let bytes =
        unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr().cast::<u8>(), length * size_of::<D::Element>()) };
    let stream = Stream { upper: block >> 32, tag: D::TAG, key };
    machine.by_hand(stream, words, bytes, block & WORD) / size_of::<D::Element>()
}

/// Some vectors of blocks.
#[inline(always)]
fn step<D: Draw, M: Machine, const VECTORS: usize>(
    rounds: &Rounds<M>,
    products: [M::Vector; VECTORS],
    out: &mut [D::Element],
) {
    let machine = rounds.machine;
    let size = size_of::<M::Vector>();
    let used = (M::LANES << D::SHIFT) * size_of::<D::Element>() / size;
    assert_eq!(size_of_val(out), VECTORS * used * size);
    let to = out.as_mut_ptr().cast::<u8>();
    for (index, pairs) in rounds.words(products).into_iter().enumerate() {
        let vectors = D::vectors(machine, pairs);
        for (part, vector) in vectors.into_iter().enumerate().take(used) {
            // SAFETY: the bytes of `out` are those of so many vectors.
            unsafe { machine.store(to.add((index * used + part) * size), vector) };
        }
    }
}

/// Elements of any counters and keys.
#[inline(always)]
fn scattered<D: Draw>(out: &mut [D::Element], argument: impl Fn(usize) -> (u64, u64)) {
    for (index, out) in out.iter_mut().enumerate() {
        let (counter, key) = argument(index);
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
        // A step by hand is 54 blocks: 216 words of 32 bits, 108 of 64.
        const LENGTHS: [usize; 13] = [0, 1, 3, 15, 16, 31, 65, 107, 108, 216, 217, 333, 700];
        const STARTS: [u64; 15] = [
            0,
            1,
            2,
            3,
            u32::MAX as u64 - 30,
            (1 << 33) - 30,
            (1 << 34) - 61,
            (1 << 34) - 650,
            (1 << 34) - 652,
            (1 << 34) - 216,
            (1 << 33) - 216,
            (1 << 33) - 110,
            u64::MAX - 40,
            1 << 40,
            u64::MAX << 34,
        ];
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

    fn check_progression<D: Draw>(define: fn(u64, u64) -> D::Element)
    where
        D::Element: PartialEq + std::fmt::Debug,
    {
        let key = 0x299f_31d0_a409_3822;
        let starts = [0, 3, (1 << 34) - 61, u64::MAX - 40];
        let mut portable = [D::Element::default(); 240];
        consecutive::<D, _, 2>(Portable, &mut portable, 3, key);
        assert_eq!(portable, std::array::from_fn(|index| define(3 + index as u64, key)));
        for (level, distance, first) in levels()
            .into_iter()
            .flat_map(|level| [0, 1, 2, u64::MAX].map(|distance| (level, distance)))
            .flat_map(|(level, distance)| starts.map(|first| (level, distance, first)))
        {
            let mut out = [D::Element::default(); 240];
            // SAFETY: there are so many elements, and the processor has the level.
            unsafe { progression_kernel::<D>(level)(out.as_mut_ptr(), first, distance, key, out.len()) };
            for (index, value) in (0..).zip(out) {
                let counter = first.wrapping_add(distance.wrapping_mul(index));
                assert_eq!(value, define(counter, key), "{level:?}: number {counter}");
            }
        }
    }

    #[test]
    fn progressions_are_the_definitions_at_every_level() {
        check_progression::<Bits32>(philox::bits32);
        check_progression::<Bits64>(philox::bits64);
        check_progression::<Uniform32>(philox::uniform32);
        check_progression::<Uniform64>(philox::uniform64);
        check_progression::<Key>(philox::derived_key);
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
