// row_sums: Finish
struct Params {
    words: array<vec4<u32>, 5>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> buffer0: array<u32>;
@group(0) @binding(2) var<storage, read> buffer1: array<u32>;

fn hidden_zero() -> u32 {
    return params.words[0].x;
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
    let index = thread & ((1u << params.words[2].x) - 1u);
    let number = workgroup * (256u >> params.words[2].x) + (thread >> params.words[2].x);
    let each = (params.words[1].z + (1u << params.words[2].x) - 1u) >> params.words[2].x;
    let result = number / each;
    let first = (number % each) << params.words[2].x;
    let is_active = number < params.words[0].y;
    let here = min(params.words[1].z - min(first, params.words[1].z), (1u << params.words[2].x));
    var state = initial_state();
    if (is_active && index < here) {
        let at1 = (result * params.words[1].z + first + index) * 1u + 0u;
        state.s0 = bitcast<f32>(buffer1[at1]);
    }
    for (var width = 1u; width < (1u << params.words[2].x); width = width << 1u) {
        states[thread] = state;
        workgroupBarrier();
        if ((index & (2u * width - 1u)) == 0u && index + width < here) {
            state = merged(state, states[thread + width]);
        }
        workgroupBarrier();
    }
    if (is_active && index == 0u) {
        let point = result + params.words[0].z;
        let v5 = state.s0;
        let at2 = params.words[4].y + point * params.words[4].z;
        buffer0[at2] = bitcast<u32>(v5);
    }
}
