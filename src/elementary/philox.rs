//! Philox4x32-10, the counter-based generator, and the numbers made of its words: what the op table defines them as.
//!
//! Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11. A key and a block
//! number give four words. The block number is words 0 and 1 of the counter, word 2 tells numbers from derived keys,
//! word 3 is 0. Number `n` of a stream is the next part of its blocks: word `n % 4` of block `n / 4`, or the pair of words
//! `n % 2` of block `n / 2`, the low one first. These streams are part of the interface: they never change.
//! Must not know: ops, instruction sets.

/// The multipliers of words 0 and 2.
pub(super) const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// What is added to the words of the key in each round: the golden ratio and √3 − 1, as fractions of 2³².
pub(super) const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
/// Rounds.
pub(super) const ROUNDS: u32 = 10;
/// Word 2 of the counter where numbers are drawn.
pub(super) const NUMBERS: u32 = 0;
/// Word 2 of the counter where keys are derived.
pub(super) const KEYS: u32 = 1;

/// The four words of a counter and a key.
pub(crate) fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let product = |word: u32, multiplier: u32| {
        let product = u64::from(word) * u64::from(multiplier);
        ((product >> 32) as u32, product as u32)
    };
    (0..ROUNDS).fold(counter, |[a, b, c, d], round| {
        let [key0, key1] = [0, 1].map(|word| key[word].wrapping_add(WEYL[word].wrapping_mul(round)));
        let ((high0, low0), (high1, low1)) = (product(a, MULTIPLIERS[0]), product(c, MULTIPLIERS[1]));
        [high1 ^ b ^ key0, low1, high0 ^ d ^ key1, low0]
    })
}

fn block(number: u64, tag: u32, key: u64) -> [u32; 4] {
    philox([number as u32, (number >> 32) as u32, tag, 0], [key as u32, (key >> 32) as u32])
}

fn pair(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// 32 bits of number `counter` of the stream of a key.
pub(crate) fn bits32(counter: u64, key: u64) -> u32 {
    block(counter / 4, NUMBERS, key)[(counter % 4) as usize]
}

/// 64 bits of number `counter` of the stream of a key.
pub(crate) fn bits64(counter: u64, key: u64) -> u64 {
    let words = block(counter / 2, NUMBERS, key);
    let first = 2 * (counter % 2) as usize;
    pair(words[first], words[first + 1])
}

/// The upper 24 bits of `bits32`, as a fraction of 1.
pub(crate) fn uniform32(counter: u64, key: u64) -> f32 {
    (bits32(counter, key) >> 8) as f32 * (f32::EPSILON / 2.0)
}

/// The upper 53 bits of `bits64`, as a fraction of 1.
pub(crate) fn uniform64(counter: u64, key: u64) -> f64 {
    (bits64(counter, key) >> 11) as f64 * (f64::EPSILON / 2.0)
}

/// Key number `counter` of those that are derived from a key.
pub(crate) fn derived_key(counter: u64, key: u64) -> u64 {
    let words = block(counter, KEYS, key);
    pair(words[0], words[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of Random123, `philox4x32` with 10 rounds.
    #[test]
    fn known_answers() {
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        let cases = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (pi, [0xa409_3822, 0x299f_31d0], [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]),
        ];
        for (counter, key, answer) in cases {
            assert_eq!(philox(counter, key), answer);
        }
    }

    #[test]
    fn numbers_are_the_words_in_their_order() {
        assert_eq!([0, 1, 2, 3].map(|n| bits32(n, 0)), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!([0, 1].map(|n| bits64(n, 0)), [0xe169_c58d_6627_e8d5, 0x9b00_dbd8_bc57_ac4c]);
        assert_eq!(uniform32(1, 0), (0xe1_69c5 as f32) / 16_777_216.0);
        assert_ne!(derived_key(0, 0), bits64(0, 0));
    }
}
