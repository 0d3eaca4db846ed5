// powers, MapPart: an invocation for each point, some rounds of its loops from where it paused.

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
    // The sizes of the loops: 1 over results, then 1 reduced, then 1 of steps.
    extent0: u32, extent1: u32, extent2: u32,
    // o0: the number of its first element, and its step along each loop.
    o0_offset: u32, o0_stride0: u32, o0_stride1: u32, o0_stride2: u32,
    // o1: the number of its first element, and its step along each loop.
    o1_offset: u32, o1_stride0: u32, o1_stride1: u32, o1_stride2: u32,
    // o2: the number of its first element, and its step along each loop.
    o2_offset: u32, o2_stride0: u32, o2_stride1: u32, o2_stride2: u32,
}

struct States {
    paused: atomic<u32>,
    words: array<u32>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> buffer0: array<vec2<u32>>; // o0: i64
@group(0) @binding(2) var<storage, read_write> buffer1: array<vec2<u32>>; // o1: i64
@group(0) @binding(3) var<storage, read_write> buffer2: array<vec2<u32>>; // o2: i64
@group(0) @binding(4) var<storage, read_write> buffer3: States; // how far each point is

fn hidden_zero() -> u32 {
    return params.zero;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let number = (group.y * groups.x + group.x) * 256u + thread;
    if (number < params.count) {
        let point = number + params.first_point;
        let record = number * 4u;
        var left = params.rounds;
        var round0: u32;
        var v1: i64;
        if (params.part > 1u) {
            if (buffer3.words[record] != 0u) {
                return;
            }
            round0 = buffer3.words[record + 1u];
            let at1 = record + 2u;
            v1 = i64_from_pair(vec2<u32>(buffer3.words[at1], buffer3.words[at1 + 1u]));
        }
        let at2 = params.o0_offset + point * params.o0_stride0;
        let v0 = i64_from_pair(buffer0[at2]);
        if (round0 == 0u) {
            v1 = v0;
            round0 = 1u;
        }
        loop {
            let step3 = round0 - 1u;
            if (step3 >= params.extent2) {
                break;
            }
            if (left == 0u) {
                buffer3.words[record] = 0u;
                buffer3.words[record + 1u] = round0;
                let at4 = record + 2u;
                buffer3.words[at4] = (pair_from_i64(v1)).x;
                buffer3.words[at4 + 1u] = (pair_from_i64(v1)).y;
                atomicStore(&buffer3.paused, params.part);
                return;
            }
            left -= 1u;
            let at5 = params.o2_offset + point * params.o2_stride0 + step3 * params.o2_stride2;
            let v2 = add_i64(v1, v1);
            buffer2[at5] = pair_from_i64(v2);
            let next6 = v2;
            v1 = next6;
            round0 += 1u;
        }
        let v3 = v1;
        let at7 = params.o1_offset + point * params.o1_stride0;
        buffer1[at7] = pair_from_i64(v3);
        buffer3.words[record] = 1u;
    }
}

fn add_i64(x: i64, y: i64) -> i64 {
    return i64(u64(x) + u64(y));
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
