// Random numbers of counters and keys that are pairs of words.

fn random_bits32_u64(counter: vec2<u32>, key: vec2<u32>) -> u32 {
    return random_word(counter, key);
}

fn random_uniform32_u64(counter: vec2<u32>, key: vec2<u32>) -> f32 {
    return fraction_f32(random_word(counter, key));
}

fn random_bits64_u64(counter: vec2<u32>, key: vec2<u32>) -> vec2<u32> {
    return random_pair(counter, key);
}

fn random_key_u64(counter: vec2<u32>, key: vec2<u32>) -> vec2<u32> {
    return derived_key(counter, key);
}
