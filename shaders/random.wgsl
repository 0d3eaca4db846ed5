// Philox4x32-10 on words, as src/elementary/philox.rs defines it (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as
// easy as 1, 2, 3", SC11); random_native.wgsl and random_pairs.wgsl make numbers of it.

// The upper word of a product, from products of half words.
fn product_high_u32(x: u32, y: u32) -> u32 {
    let x_low = x & 0xffffu;
    let x_high = x >> 16u;
    let y_low = y & 0xffffu;
    let y_high = y >> 16u;
    let middle = x_high * y_low + ((x_low * y_low) >> 16u);
    let other = x_low * y_high + (middle & 0xffffu);
    return x_high * y_high + (middle >> 16u) + (other >> 16u);
}

fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var words = counter;
    var round_key = key;
    for (var round = 0u; round < 10u; round++) {
        let high0 = product_high_u32(words.x, 0xd2511f53u);
        let high1 = product_high_u32(words.z, 0xcd9e8d57u);
        words = vec4<u32>(
            high1 ^ words.y ^ round_key.x,
            words.z * 0xcd9e8d57u,
            high0 ^ words.w ^ round_key.y,
            words.x * 0xd2511f53u,
        );
        round_key += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return words;
}

// Number `counter` of those that are words.
fn random_word(counter: vec2<u32>, key: vec2<u32>) -> u32 {
    let block = vec2<u32>((counter.x >> 2u) | (counter.y << 30u), counter.y >> 2u);
    let words = philox(vec4<u32>(block, 0u, 0u), key);
    let part = counter.x & 3u;
    let first = select(words.x, words.y, part == 1u);
    let second = select(words.z, words.w, part == 3u);
    return select(first, second, part > 1u);
}

// Number `counter` of those that are pairs of words.
fn random_pair(counter: vec2<u32>, key: vec2<u32>) -> vec2<u32> {
    let block = vec2<u32>((counter.x >> 1u) | (counter.y << 31u), counter.y >> 1u);
    let words = philox(vec4<u32>(block, 0u, 0u), key);
    return select(words.xy, words.zw, (counter.x & 1u) == 1u);
}

fn derived_key(counter: vec2<u32>, key: vec2<u32>) -> vec2<u32> {
    return philox(vec4<u32>(counter, 1u, 0u), key).xy;
}

// The upper 24 bits of a word, as a fraction of 1.
fn fraction_f32(word: u32) -> f32 {
    return f32(word >> 8u) * 5.9604644775390625e-8f;
}
