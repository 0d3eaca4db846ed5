// Random numbers of counters and keys that are 64-bit integers.

fn random_bits32_u64(counter: u64, key: u64) -> u32 {
    return random_word(pair_from_u64(counter), pair_from_u64(key));
}

fn random_uniform32_u64(counter: u64, key: u64) -> f32 {
    return fraction_f32(random_word(pair_from_u64(counter), pair_from_u64(key)));
}

fn random_bits64_u64(counter: u64, key: u64) -> u64 {
    return u64_from_pair(random_pair(pair_from_u64(counter), pair_from_u64(key)));
}

fn random_key_u64(counter: u64, key: u64) -> u64 {
    return u64_from_pair(derived_key(pair_from_u64(counter), pair_from_u64(key)));
}
