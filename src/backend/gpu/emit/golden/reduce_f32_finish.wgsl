// row_sums, Finish: the last states of a reduction to one, and what follows it.

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
@group(0) @binding(1) var<storage, read_write> buffer0: array<u32>; // o1: f32
@group(0) @binding(2) var<storage, read> buffer1: array<u32>; // states of reductions

fn hidden_zero() -> u32 {
    return params.zero;
}

struct State {
    s0: f32,
}

fn initial_state() -> State {
    return State(0f);
}

fn merged(left: State, right: State) -> State {
    let v2 = left.s0;
    let v3 = right.s0;
    let v4 = v2 + v3;
    return State(v4);
}

var<workgroup> states: array<State, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let workgroup = group.y * groups.x + group.x;
    let index = thread & ((1u << params.group_bits) - 1u);
    let number = workgroup * (256u >> params.group_bits) + (thread >> params.group_bits);
    let each = (params.states + (1u << params.group_bits) - 1u) >> params.group_bits;
    let result = number / each;
    let first = (number % each) << params.group_bits;
    let is_active = number < params.count;
    let here = min(params.states - min(first, params.states), (1u << params.group_bits));
    var state = initial_state();
    if (is_active && index < here) {
        let at1 = result * params.states + first + index;
        state.s0 = bitcast<f32>(buffer1[at1]);
    }
    for (var width = 1u; width < (1u << params.group_bits); width = width << 1u) {
        states[thread] = state;
        workgroupBarrier();
        if ((index & (2u * width - 1u)) == 0u && index + width < here) {
            state = merged(state, states[thread + width]);
        }
        workgroupBarrier();
    }
    if (is_active && index == 0u) {
        let point = result + params.first_point;
        let v5 = state.s0;
        let at2 = params.o1_offset + point * params.o1_stride0;
        buffer0[at2] = bitcast<u32>(v5);
    }
}
