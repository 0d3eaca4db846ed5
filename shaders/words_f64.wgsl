// f64 to and from the two words that it is in memory, low word first.

fn f64_from_pair(words: vec2<u32>) -> f64 {
    return bitcast<f64>(u64_from_pair(words));
}

fn pair_from_f64(value: f64) -> vec2<u32> {
    return pair_from_u64(bitcast<u64>(value));
}
