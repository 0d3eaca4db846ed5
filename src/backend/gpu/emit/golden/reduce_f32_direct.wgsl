// row_sums: Direct
struct Params {
    words: array<vec4<u32>, 5>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> buffer0: array<u32>;
@group(0) @binding(2) var<storage, read_write> buffer1: array<u32>;

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
    let lane = thread / 16u;
    let number = workgroup * 16u + thread % 16u;
    let is_active = number < params.words[0].y;
    let result = number % params.words[1].w;
    let block = number / params.words[1].w + params.words[1].x;
    let point = result + params.words[0].z;
    var state = initial_state();
    if (is_active) {
        let end = min((block + 1u) * 1024u, params.words[0].w);
        for (var element = block * 1024u + lane; element < end; element += 16u) {
            let at1 = params.words[3].z + point * params.words[3].w + element * params.words[4].x;
            let v0 = bitcast<f32>(buffer0[at1]);
            let v1 = v0 * v0;
            state = merged(state, State(v1));
        }
    }
    states[thread] = state;
    workgroupBarrier();
    if (lane < 8u) {
        state = merged(state, states[thread + 128u]);
    }
    workgroupBarrier();
    states[thread] = state;
    workgroupBarrier();
    if (lane < 4u) {
        state = merged(state, states[thread + 64u]);
    }
    workgroupBarrier();
    states[thread] = state;
    workgroupBarrier();
    if (lane < 2u) {
        state = merged(state, states[thread + 32u]);
    }
    workgroupBarrier();
    states[thread] = state;
    workgroupBarrier();
    if (lane < 1u) {
        state = merged(state, states[thread + 16u]);
    }
    workgroupBarrier();
    if (is_active && lane == 0u) {
        let v5 = state.s0;
        let at2 = params.words[4].y + point * params.words[4].z;
        buffer1[at2] = bitcast<u32>(v5);
    }
}
