// sum_of_products_f32, Map: an invocation for each point.

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
    // The sizes of the loops: 2 over results, then 1 reduced.
    extent0: u32, extent1: u32, extent2: u32,
    // o0: the number of its first element, and its step along each loop.
    o0_offset: u32, o0_stride0: u32, o0_stride1: u32, o0_stride2: u32,
    // o1: the number of its first element, and its step along each loop.
    o1_offset: u32, o1_stride0: u32, o1_stride1: u32, o1_stride2: u32,
    // o2: the number of its first element, and its step along each loop.
    o2_offset: u32, o2_stride0: u32, o2_stride1: u32, o2_stride2: u32,
    // o3: the number of its first element, and its step along each loop.
    o3_offset: u32, o3_stride0: u32, o3_stride1: u32, o3_stride2: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> buffer0: array<u32>; // o0: f32
@group(0) @binding(2) var<storage, read> buffer1: array<u32>; // o1: f32
@group(0) @binding(3) var<storage, read> buffer2: array<u32>; // o2: f32
@group(0) @binding(4) var<storage, read_write> buffer3: array<u32>; // o3: f32

fn hidden_zero() -> u32 {
    return params.zero;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let number = (group.y * groups.x + group.x) * 256u + thread;
    if (number < params.count) {
        let point = number + params.first_point;
        let rest2 = point / params.extent1;
        let i1 = point - rest2 * params.extent1;
        let at3 = params.o0_offset + rest2 * params.o0_stride0 + i1 * params.o0_stride1;
        let at4 = params.o1_offset + rest2 * params.o1_stride0 + i1 * params.o1_stride1;
        let at5 = params.o2_offset + rest2 * params.o2_stride0 + i1 * params.o2_stride1;
        let at6 = params.o3_offset + rest2 * params.o3_stride0 + i1 * params.o3_stride1;
        let v0 = bitcast<f32>(buffer0[at3]);
        let v1 = bitcast<f32>(buffer1[at4]);
        let v2 = bitcast<f32>(buffer2[at5]);
        let v3 = v1 * v2;
        let v4 = v0 + v3;
        buffer3[at6] = bitcast<u32>(v4);
    }
}
