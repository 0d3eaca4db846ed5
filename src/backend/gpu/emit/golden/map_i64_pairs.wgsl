// sum_of_products_i64, Map: an invocation for each point.

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
    // o2: the number of its first element, and its step along each loop.
    o2_offset: u32, o2_stride0: u32, o2_stride1: u32,
    // o3: the number of its first element, and its step along each loop.
    o3_offset: u32, o3_stride0: u32, o3_stride1: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> buffer0: array<vec2<u32>>; // o0: i64
@group(0) @binding(2) var<storage, read> buffer1: array<vec2<u32>>; // o1: i64
@group(0) @binding(3) var<storage, read> buffer2: array<vec2<u32>>; // o2: i64
@group(0) @binding(4) var<storage, read_write> buffer3: array<vec2<u32>>; // o3: i64

fn hidden_zero() -> u32 {
    return params.zero;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let number = (group.y * groups.x + group.x) * 256u + thread;
    if (number < params.count) {
        let point = number + params.first_point;
        let at1 = params.o0_offset + point * params.o0_stride0;
        let at2 = params.o1_offset + point * params.o1_stride0;
        let at3 = params.o2_offset + point * params.o2_stride0;
        let at4 = params.o3_offset + point * params.o3_stride0;
        let v0 = buffer0[at1];
        let v1 = buffer1[at2];
        let v2 = buffer2[at3];
        let v3 = mul_i64(v1, v2);
        let v4 = add_i64(v0, v3);
        buffer3[at4] = v4;
    }
}

fn add_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return add_u64(x, y);
}

fn mul_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return mul_u64(x, y);
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
