// 64-bit integers to and from the two words that they are in memory, low word first.

fn i64_from_pair(words: vec2<u32>) -> i64 {
    return bitcast<i64>(u64_from_pair(words));
}

fn u64_from_pair(words: vec2<u32>) -> u64 {
    return u64(words.x) | (u64(words.y) << 32u);
}

fn pair_from_i64(value: i64) -> vec2<u32> {
    return pair_from_u64(bitcast<u64>(value));
}

fn pair_from_u64(value: u64) -> vec2<u32> {
    return vec2<u32>(u32(value & 0xfffffffflu), u32(value >> 32u));
}
