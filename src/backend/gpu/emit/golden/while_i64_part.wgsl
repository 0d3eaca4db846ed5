// collatz, MapPart: an invocation for each point, some rounds of its loops from where it paused.

// What comes with a launch.
struct Params {
    zero: u32, // a zero that compilers do not know
    count: u32, // how many points, blocks or groups of states the dispatch has
    first_point: u32, // the number of the first point, or row of a product
    elements: u32, // the number of elements of a reduction
    first_block: u32, // the number of the first block of elements, or of the first product
    blocks: u32, // how many blocks of each reduction the dispatch has
    states: u32, // how many states each reduction has in scratch memory
    results: u32, // how many reductions, or rows of a product, the dispatch has
    group_bits: u32, // log2 of the number of invocations that merge the states of one group
    inner_start: u32, // where the inner axis of a matrix product begins
    inner_end: u32, // where it ends
    part: u32, // the number of the dispatch, from 1 on, of those that walk the loops of the same points
    rounds: u32, // how many rounds of loops each point makes in the dispatch
    // The sizes of the loops: 1 over results, then 1 reduced.
    extent0: u32, extent1: u32,
    // o0: the number of its first element, and its step along each loop.
    o0_offset: u32, o0_stride0: u32, o0_stride1: u32,
    // o1: the number of its first element, and its step along each loop.
    o1_offset: u32, o1_stride0: u32, o1_stride1: u32,
}

struct States {
    paused: atomic<u32>,
    words: array<u32>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> buffer0: array<vec2<u32>>; // o0: i64
@group(0) @binding(2) var<storage, read_write> buffer1: array<vec2<u32>>; // o1: i64
@group(0) @binding(3) var<storage, read_write> buffer2: States; // how far each point is

fn hidden_zero() -> u32 {
    return params.zero;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let number = (group.y * groups.x + group.x) * 256u + thread;
    if (number < params.count) {
        let point = number + params.first_point;
        let record = number * 6u;
        var left = params.rounds;
        var round0: u32;
        var v3: vec2<u32>;
        var v4: vec2<u32>;
        if (params.part > 1u) {
            if (buffer2.words[record] != 0u) {
                return;
            }
            round0 = buffer2.words[record + 1u];
            let at1 = record + 2u;
            v3 = vec2<u32>(buffer2.words[at1], buffer2.words[at1 + 1u]);
            let at2 = record + 4u;
            v4 = vec2<u32>(buffer2.words[at2], buffer2.words[at2 + 1u]);
        }
        let at3 = params.o0_offset + point * params.o0_stride0;
        let v0 = buffer0[at3];
        let v1 = vec2<u32>(0x0u, 0x0u);
        let v2 = vec2<u32>(0x1u, 0x0u);
        if (round0 == 0u) {
            v3 = v0;
            v4 = v1;
            round0 = 1u;
        }
        loop {
            let v6 = gt_i64(v3, v2);
            if (!v6) {
                break;
            }
            if (left == 0u) {
                buffer2.words[record] = 0u;
                buffer2.words[record + 1u] = round0;
                let at4 = record + 2u;
                buffer2.words[at4] = (v3).x;
                buffer2.words[at4 + 1u] = (v3).y;
                let at5 = record + 4u;
                buffer2.words[at5] = (v4).x;
                buffer2.words[at5 + 1u] = (v4).y;
                atomicStore(&buffer2.paused, params.part);
                return;
            }
            left -= 1u;
            let v8 = and_i64(v3, v2);
            let v9 = shr_i64(v3, v2);
            let v10 = eq_i64(v8, v2);
            let v14 = vec2<u32>(0x3u, 0x0u);
            let v11 = mul_i64(v3, v14);
            let v15 = add_i64(v11, v2);
            let v12 = select(v9, v15, v10);
            let v13 = add_i64(v4, v2);
            let next6 = v12;
            let next7 = v13;
            v3 = next6;
            v4 = next7;
        }
        let v5 = v3;
        let v7 = v4;
        let at8 = params.o1_offset + point * params.o1_stride0;
        buffer1[at8] = v7;
        buffer2.words[record] = 1u;
    }
}

// For an amount below 64, filling with zeros.
fn shift_right_pair(x: vec2<u32>, amount: u32) -> vec2<u32> {
    let bits = amount & 31u;
    let carried = (x.y << 1u) << (31u - bits);
    let low = (x.x >> bits) | carried;
    return select(vec2<u32>(low, x.y >> bits), vec2<u32>(x.y >> bits, 0u), amount > 31u);
}

fn is_negative_i64(x: vec2<u32>) -> bool {
    return x.y > 0x7fffffffu;
}

fn add_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return add_u64(x, y);
}

fn mul_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return mul_u64(x, y);
}

// Takes the order of i64 to that of u64.
fn flip_sign_i64(x: vec2<u32>) -> vec2<u32> {
    return x ^ vec2<u32>(0u, 0x80000000u);
}

fn gt_i64(x: vec2<u32>, y: vec2<u32>) -> bool {
    return gt_u64(flip_sign_i64(x), flip_sign_i64(y));
}

fn eq_i64(x: vec2<u32>, y: vec2<u32>) -> bool {
    return eq_u64(x, y);
}

fn and_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return x & y;
}

// Zeros shifted into the complement of a negative number are its sign. An amount below 0 or above 63 leaves the sign.
fn shr_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    let flipped = select(x, ~x, is_negative_i64(x));
    let shifted = shr_u64(flipped, y);
    return select(shifted, ~shifted, is_negative_i64(x));
}

fn add_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    let low = x.x + y.x;
    let carry = select(0u, 1u, low < x.x);
    return vec2<u32>(low, x.y + y.y + carry);
}

// The full product of two words: Warren, Hacker's Delight, 2nd edition, 8-2. No sum of halves overflows, since
// (2^16 - 1)^2 + 2^16 - 1 < 2^32.
fn multiply_words(x: u32, y: u32) -> vec2<u32> {
    let x_low = x & 0xffffu;
    let x_high = x >> 16u;
    let y_low = y & 0xffffu;
    let y_high = y >> 16u;
    let first = x_high * y_low + ((x_low * y_low) >> 16u);
    let second = x_low * y_high + (first & 0xffffu);
    return vec2<u32>(x * y, x_high * y_high + (first >> 16u) + (second >> 16u));
}

fn mul_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    let low = multiply_words(x.x, y.x);
    return vec2<u32>(low.x, low.y + x.x * y.y + x.y * y.x);
}

fn lt_u64(x: vec2<u32>, y: vec2<u32>) -> bool {
    return (x.y < y.y) | ((x.y == y.y) & (x.x < y.x));
}

fn gt_u64(x: vec2<u32>, y: vec2<u32>) -> bool {
    return lt_u64(y, x);
}

fn eq_u64(x: vec2<u32>, y: vec2<u32>) -> bool {
    return all(x == y);
}

// Whether y is an amount to shift 64 bits by.
fn is_shift_u64(y: vec2<u32>) -> bool {
    return (y.y == 0u) & (y.x < 64u);
}

fn shr_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return select(vec2<u32>(0u), shift_right_pair(x, y.x), is_shift_u64(y));
}
