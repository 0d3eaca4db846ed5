// sum_of_products_u8, MapBytes: an invocation for four points in a row, whose bytes it writes as words.

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
@group(0) @binding(1) var<storage, read> buffer0: array<u32>; // o0: u8
@group(0) @binding(2) var<storage, read> buffer1: array<u32>; // o1: u8
@group(0) @binding(3) var<storage, read> buffer2: array<u32>; // o2: u8
@group(0) @binding(4) var<storage, read_write> buffer3: array<atomic<u32>>; // o3: u8

fn hidden_zero() -> u32 {
    return params.zero;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let number = (group.y * groups.x + group.x) * 256u + thread;
    var byte_3 = 0u;
    let left = select(0u, min(4u, params.count - number * 4u), number * 4u < params.count);
    for (var quarter = 0u; quarter < left; quarter++) {
        let point = number * 4u + quarter + params.first_point;
        let at1 = params.o0_offset + point * params.o0_stride0;
        let at2 = params.o1_offset + point * params.o1_stride0;
        let at3 = params.o2_offset + point * params.o2_stride0;
        let at4 = params.o3_offset + point * params.o3_stride0;
        let v0 = (buffer0[at1 >> 2u] >> ((at1 & 3u) * 8u)) & 0xffu;
        let v1 = (buffer1[at2 >> 2u] >> ((at2 & 3u) * 8u)) & 0xffu;
        let v2 = (buffer2[at3 >> 2u] >> ((at3 & 3u) * 8u)) & 0xffu;
        let v3 = mul_u8(v1, v2);
        let v4 = add_u8(v0, v3);
        byte_3 |= (v4) << (quarter * 8u);
    }
    if (left == 4u) {
        atomicStore(&buffer3[(params.o3_offset + params.first_point) / 4u + number], byte_3);
    }
    if (left > 0u && left < 4u) {
        atomicAnd(&buffer3[(params.o3_offset + params.first_point) / 4u + number], 0xffffffffu << (left * 8u));
        atomicOr(&buffer3[(params.o3_offset + params.first_point) / 4u + number], byte_3);
    }
}

fn add_u8(x: u32, y: u32) -> u32 {
    return (x + y) & 0xffu;
}

fn mul_u8(x: u32, y: u32) -> u32 {
    return (x * y) & 0xffu;
}
