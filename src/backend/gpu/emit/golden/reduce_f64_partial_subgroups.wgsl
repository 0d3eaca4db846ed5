// row_sums, Partial: reductions of blocks of elements to states in scratch memory.

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
@group(0) @binding(1) var<storage, read> buffer0: array<vec2<u32>>; // o0: f64
@group(0) @binding(2) var<storage, read_write> buffer1: array<u32>; // states of reductions

fn hidden_zero() -> u32 {
    return params.zero;
}

struct State {
    s0: f64,
}

fn initial_state() -> State {
    return State(0lf);
}

fn merged(left: State, right: State) -> State {
    let v2 = left.s0;
    let v3 = right.s0;
    let v4 = v2 + v3;
    return State(v4);
}

var<workgroup> states: array<State, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(subgroup_id) subgroup: u32, @builtin(subgroup_size) subgroup_size: u32, @builtin(subgroup_invocation_id) own: u32) {
    let workgroup = group.y * groups.x + group.x;
    let thread = subgroup * subgroup_size + own;
    let lane = thread % 16u;
    let number = workgroup * 16u + thread / 16u;
    let is_active = number < params.count;
    let result = number / params.blocks;
    let block = number % params.blocks + params.first_block;
    let point = result + params.first_point;
    var state = initial_state();
    if (is_active) {
        let end = min((block + 1u) * 1024u, params.elements);
        for (var element = block * 1024u + lane; element < end; element += 16u) {
            let at1 = params.o0_offset + point * params.o0_stride0 + element * params.o0_stride1;
            let v0 = f64_from_pair(buffer0[at1]);
            let v1 = v0 * v0;
            state = merged(state, State(v1));
        }
    }
    state = merged(state, State(f64_from_pair(shuffle_down_words(pair_from_f64(state.s0), 8u))));
    state = merged(state, State(f64_from_pair(shuffle_down_words(pair_from_f64(state.s0), 4u))));
    state = merged(state, State(f64_from_pair(shuffle_down_words(pair_from_f64(state.s0), 2u))));
    state = merged(state, State(f64_from_pair(shuffle_down_words(pair_from_f64(state.s0), 1u))));
    if (is_active && lane == 0u) {
        let at2 = (result * params.states + block) * 2u + 0u;
        buffer1[at2] = (pair_from_f64(state.s0)).x;
        buffer1[at2 + 1u] = (pair_from_f64(state.s0)).y;
    }
}

fn shuffle_down_words(x: vec2<u32>, distance: u32) -> vec2<u32> {
    return vec2<u32>(subgroupShuffleDown(x.x, distance), subgroupShuffleDown(x.y, distance));
}

fn u64_from_pair(words: vec2<u32>) -> u64 {
    return u64(words.x) | (u64(words.y) << 32u);
}

fn pair_from_u64(value: u64) -> vec2<u32> {
    return vec2<u32>(u32(value & 0xfffffffflu), u32(value >> 32u));
}

fn f64_from_pair(words: vec2<u32>) -> f64 {
    return bitcast<f64>(u64_from_pair(words));
}

fn pair_from_f64(value: f64) -> vec2<u32> {
    return pair_from_u64(bitcast<u64>(value));
}
