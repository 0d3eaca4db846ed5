//! The rounds of the generator: on one block in scalars, and on many blocks in vectors.
//!
//! What all blocks share of the first two rounds is done once for all. Invariant: only the lower halves of 64-bit words
//! count. Must not know: what is made of words, instructions.

use super::philox::{MULTIPLIERS, ROUNDS, WEYL};
use super::philox_vector::{Machine, Pair, WORD};

/// The words that a round takes of a key.
#[inline(always)]
fn round_key(key: u64, round: u32) -> [u64; 2] {
    let word = |half: u64, step: u32| u64::from((half as u32).wrapping_add(step.wrapping_mul(round)));
    [word(key, WEYL[0]), word(key >> 32, WEYL[1])]
}

/// The words of a block; only the lower halves count.
#[inline(always)]
pub(super) fn words(block: u64, tag: u32, key: u64) -> [u64; 4] {
    let [mut a, mut b, mut c, mut d] = [block, block >> 32, u64::from(tag), 0];
    for round in 0..ROUNDS {
        let [key0, key1] = round_key(key, round);
        let first = (a & WORD) * u64::from(MULTIPLIERS[0]);
        let second = (c & WORD) * u64::from(MULTIPLIERS[1]);
        [a, b, c, d] = [(second >> 32) ^ b ^ key0, second, (first >> 32) ^ d ^ key1, first];
    }
    [a, b, c, d]
}

/// Blocks whose numbers have the same upper half, under one key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    /// The upper half.
    pub upper: u64,
    /// Word 2 of the counter.
    pub tag: u32,
    /// The key.
    pub key: u64,
}

/// What the blocks of a stream share.
///
/// Only word 0 differs. Round 0 makes words 2 and 3 of it, round 1 words 0, 1 and 2: half of each is done
/// here.
// A kernel by hand knows the order of the fields.
#[repr(C)]
pub(crate) struct Shared {
    multipliers: [u64; 2],
    /// What round 0 combines with the product's upper half.
    round0: u64,
    /// What round 1 combines for words 0 and 2, and its word 3.
    round1: [u64; 3],
    /// The key of round 2, from which those of the others follow.
    round2: [u64; 2],
}

impl Shared {
    #[inline(always)]
    pub fn new(Stream { upper, tag, key }: Stream) -> Shared {
        let [key0, key1] = round_key(key, 0);
        let second = u64::from(tag) * u64::from(MULTIPLIERS[1]);
        let first = (((second >> 32) ^ upper ^ key0) & WORD) * u64::from(MULTIPLIERS[0]);
        let [next0, next1] = round_key(key, 1);
        Shared {
            multipliers: MULTIPLIERS.map(u64::from),
            round0: key1,
            round1: [(second ^ next0) & WORD, (first >> 32) ^ next1, first],
            round2: round_key(key, 2),
        }
    }
}

/// The rounds of blocks in vectors: each word of `Shared` in all lanes.
pub(super) struct Rounds<M: Machine> {
    /// The instructions.
    pub machine: M,
    multipliers: [M::Vector; 2],
    zero: M::Vector,
    round0: M::Vector,
    round1: [M::Vector; 3],
    keys: [[M::Vector; 2]; ROUNDS as usize - 2],
}

/// What the first round multiplies of the blocks from a number on.
#[inline(always)]
pub(super) fn first_products<M: Machine>(machine: M, number: u64, woven: bool) -> M::Vector {
    machine.product(machine.numbers(number, woven), machine.splat(u64::from(MULTIPLIERS[0])))
}

/// What is added to first products for so many blocks.
#[inline(always)]
pub(super) fn distance<M: Machine>(machine: M, blocks: usize) -> M::Vector {
    machine.splat(blocks as u64 * u64::from(MULTIPLIERS[0]))
}

impl<M: Machine> Rounds<M> {
    #[inline(always)]
    pub fn new(machine: M, stream: Stream) -> Rounds<M> {
        let shared = Shared::new(stream);
        let splat = |word| machine.splat(word);
        // One addition a round; what it carries into the upper halves does not count.
        let [mut word0, mut word1] = shared.round2.map(splat);
        let [step0, step1] = WEYL.map(|step| splat(u64::from(step)));
        let mut keys = [[word0, word1]; ROUNDS as usize - 2];
        for keys in &mut keys {
            *keys = [word0, word1];
            (word0, word1) = (machine.add(word0, step0), machine.add(word1, step1));
        }
        Rounds {
            machine,
            multipliers: shared.multipliers.map(splat),
            zero: splat(0),
            round0: splat(shared.round0),
            round1: shared.round1.map(splat),
            keys,
        }
    }

    /// First products so many vectors later.
    #[inline(always)]
    pub fn later(&self, products: M::Vector, vectors: usize) -> M::Vector {
        self.machine.add(products, distance(self.machine, vectors * M::LANES))
    }

    /// The words of some vectors of blocks, whose rounds take turns, from their first products.
    #[inline(always)]
    pub fn words<const VECTORS: usize>(&self, products: [M::Vector; VECTORS]) -> [[Pair<M>; 2]; VECTORS] {
        let (m, [times0, times1]) = (self.machine, self.multipliers);
        let [word0, word2, word3] = self.round1;
        let mut words = [[self.zero; 4]; VECTORS];
        for (words, first) in words.iter_mut().zip(products) {
            let second = m.product(m.xor(m.high(first), self.round0, self.zero), times1);
            *words = [m.xor(m.high(second), word0, self.zero), second, m.xor(first, word2, self.zero), word3];
        }
        let [keys @ .., [last0, last1]] = self.keys;
        for [key0, key1] in keys {
            for words in &mut words {
                let [a, b, c, d] = *words;
                let (first, second) = (m.product(a, times0), m.product(c, times1));
                *words = [m.xor(m.high(second), b, key0), second, m.xor(m.high(first), d, key1), first];
            }
        }
        let mut pairs = [[Pair { product: self.zero, word: self.zero, key: self.zero }; 2]; VECTORS];
        for (pairs, [a, b, c, d]) in pairs.iter_mut().zip(words) {
            let (first, second) = (m.product(a, times0), m.product(c, times1));
            *pairs = [Pair { product: second, word: b, key: last0 }, Pair { product: first, word: d, key: last1 }];
        }
        pairs
    }
}
