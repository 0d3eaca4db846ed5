// collatz, Map: an invocation for each point.

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

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> buffer0: array<vec2<u32>>; // o0: i64
@group(0) @binding(2) var<storage, read_write> buffer1: array<vec2<u32>>; // o1: i64

fn hidden_zero() -> u32 {
    return params.zero;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let number = (group.y * groups.x + group.x) * 256u + thread;
    if (number < params.count) {
        let point = number + params.first_point;
        let at1 = params.o0_offset + point * params.o0_stride0;
        let v0 = i64_from_pair(buffer0[at1]);
        let v1 = bitcast<i64>(0x0lu);
        let v2 = bitcast<i64>(0x1lu);
        var v3: i64 = v0;
        var v4: i64 = v1;
        loop {
            let v6 = gt_i64(v3, v2);
            if (!v6) {
                break;
            }
            let v8 = and_i64(v3, v2);
            let v9 = shr_i64(v3, v2);
            let v10 = eq_i64(v8, v2);
            let v14 = bitcast<i64>(0x3lu);
            let v11 = mul_i64(v3, v14);
            let v15 = add_i64(v11, v2);
            let v12 = select(v9, v15, v10);
            let v13 = add_i64(v4, v2);
            let next2 = v12;
            let next3 = v13;
            v3 = next2;
            v4 = next3;
        }
        let v5 = v3;
        let v7 = v4;
        let at4 = params.o1_offset + point * params.o1_stride0;
        buffer1[at4] = pair_from_i64(v7);
    }
}

fn add_i64(x: i64, y: i64) -> i64 {
    return i64(u64(x) + u64(y));
}

fn mul_i64(x: i64, y: i64) -> i64 {
    return i64(u64(x) * u64(y));
}

fn gt_i64(x: i64, y: i64) -> bool {
    return x > y;
}

fn eq_i64(x: i64, y: i64) -> bool {
    return x == y;
}

fn and_i64(x: i64, y: i64) -> i64 {
    return x & y;
}

// An amount below 0 or above 63 leaves the sign, as one of 63 does.
fn shr_i64(x: i64, y: i64) -> i64 {
    let amount = u64(y);
    return x >> select(u32(amount & 63lu), 63u, amount > 63lu);
}

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
