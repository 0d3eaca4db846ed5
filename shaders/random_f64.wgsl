// Random numbers of 53 bits.

// The upper 53 bits of a pair of words, as a fraction of 1: both parts and their sum are exact.
fn random_uniform64_u64(counter: u64, key: u64) -> f64 {
    let words = random_pair(pair_from_u64(counter), pair_from_u64(key));
    return f64(words.y) * 2.3283064365386963e-10lf + f64(words.x >> 11u) * 1.1102230246251565e-16lf;
}
