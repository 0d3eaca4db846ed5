// sum_of_products_f32, Product: a matrix product in tiles, and what follows it.

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
    // The sizes of the loops: 3 over results, then 1 of steps.
    extent0: u32, extent1: u32, extent2: u32, extent3: u32,
    // o0: the number of its first element, and its step along each loop.
    o0_offset: u32, o0_stride0: u32, o0_stride1: u32, o0_stride2: u32, o0_stride3: u32,
    // o1: the number of its first element, and its step along each loop.
    o1_offset: u32, o1_stride0: u32, o1_stride1: u32, o1_stride2: u32, o1_stride3: u32,
    // o2: the number of its first element, and its step along each loop.
    o2_offset: u32, o2_stride0: u32, o2_stride1: u32, o2_stride2: u32, o2_stride3: u32,
    // o3: the number of its first element, and its step along each loop.
    o3_offset: u32, o3_stride0: u32, o3_stride1: u32, o3_stride2: u32, o3_stride3: u32,
    // o4: the number of its first element, and its step along each loop.
    o4_offset: u32, o4_stride0: u32, o4_stride1: u32, o4_stride2: u32, o4_stride3: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> buffer0: array<u32>; // o0: f32
@group(0) @binding(2) var<storage, read> buffer1: array<u32>; // o1: f32
@group(0) @binding(3) var<storage, read> buffer2: array<u32>; // o2: f32
@group(0) @binding(4) var<storage, read> buffer3: array<u32>; // o3: f32
@group(0) @binding(5) var<storage, read_write> buffer4: array<u32>; // o4: f32

fn hidden_zero() -> u32 {
    return params.zero;
}

var<workgroup> left_tile: array<f32, 1024>;
var<workgroup> right_tile: array<f32, 1024>;

fn finish(batch: u32, row: u32, column: u32, v11: f32) {
    let at1 = params.o2_offset + batch * params.o2_stride0 + row * params.o2_stride1 + column * params.o2_stride2;
    let at2 = params.o3_offset + batch * params.o3_stride0 + row * params.o3_stride1 + column * params.o3_stride2;
    let at3 = params.o4_offset + batch * params.o4_stride0 + row * params.o4_stride1 + column * params.o4_stride2;
    let v0 = bitcast<f32>(buffer2[at1]);
    let v1 = v11;
    let v2 = bitcast<f32>(buffer3[at2]);
    let v3 = v1 * v2;
    let v4 = v0 + v3;
    buffer4[at3] = bitcast<u32>(v4);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let batch = group.z + params.first_block;
    let first_row = group.y * 64u + params.first_point;
    let first_column = group.x * 64u;
    let end_row = params.first_point + params.results;
    let columns = params.extent2;
    let first_inner = params.inner_start;
    let end_inner = params.inner_end;
    let own_row = thread / 16u;
    let own_column = thread % 16u;
    var sum_0_0 = 0f;
    var sum_0_1 = 0f;
    var sum_0_2 = 0f;
    var sum_0_3 = 0f;
    var sum_1_0 = 0f;
    var sum_1_1 = 0f;
    var sum_1_2 = 0f;
    var sum_1_3 = 0f;
    var sum_2_0 = 0f;
    var sum_2_1 = 0f;
    var sum_2_2 = 0f;
    var sum_2_3 = 0f;
    var sum_3_0 = 0f;
    var sum_3_1 = 0f;
    var sum_3_2 = 0f;
    var sum_3_3 = 0f;
    for (var first = first_inner; first < end_inner; first += 16u) {
        for (var item = thread; item < 1024u; item += 256u) {
            let along_inner = params.o0_stride3 == 1u;
            let k = select(item / 64u, item % 16u, along_inner);
            let line = select(item % 64u, item / 16u, along_inner);
            let place = k * 64u + line;
            left_tile[place] = 0f;
            if (first_row + line < end_row && first + k < end_inner) {
                let at = params.o0_offset + batch * params.o0_stride0 + (first_row + line) * params.o0_stride1 + (first + k) * params.o0_stride3;
                left_tile[place] = bitcast<f32>(buffer0[at]);
            }
        }
        for (var item = thread; item < 1024u; item += 256u) {
            let along_inner = params.o1_stride3 == 1u;
            let k = select(item / 64u, item % 16u, along_inner);
            let line = select(item % 64u, item / 16u, along_inner);
            let place = k * 64u + line;
            right_tile[place] = 0f;
            if (first_column + line < columns && first + k < end_inner) {
                let at = params.o1_offset + batch * params.o1_stride0 + (first_column + line) * params.o1_stride2 + (first + k) * params.o1_stride3;
                right_tile[place] = bitcast<f32>(buffer1[at]);
            }
        }
        workgroupBarrier();
        for (var k = 0u; k < 16u; k++) {
            let left_0 = left_tile[k * 64u + own_row + 0u];
            let right_0 = right_tile[k * 64u + own_column + 0u];
            let left_1 = left_tile[k * 64u + own_row + 16u];
            let right_1 = right_tile[k * 64u + own_column + 16u];
            let left_2 = left_tile[k * 64u + own_row + 32u];
            let right_2 = right_tile[k * 64u + own_column + 32u];
            let left_3 = left_tile[k * 64u + own_row + 48u];
            let right_3 = right_tile[k * 64u + own_column + 48u];
            sum_0_0 = sum_0_0 + (left_0 * right_0);
            sum_0_1 = sum_0_1 + (left_0 * right_1);
            sum_0_2 = sum_0_2 + (left_0 * right_2);
            sum_0_3 = sum_0_3 + (left_0 * right_3);
            sum_1_0 = sum_1_0 + (left_1 * right_0);
            sum_1_1 = sum_1_1 + (left_1 * right_1);
            sum_1_2 = sum_1_2 + (left_1 * right_2);
            sum_1_3 = sum_1_3 + (left_1 * right_3);
            sum_2_0 = sum_2_0 + (left_2 * right_0);
            sum_2_1 = sum_2_1 + (left_2 * right_1);
            sum_2_2 = sum_2_2 + (left_2 * right_2);
            sum_2_3 = sum_2_3 + (left_2 * right_3);
            sum_3_0 = sum_3_0 + (left_3 * right_0);
            sum_3_1 = sum_3_1 + (left_3 * right_1);
            sum_3_2 = sum_3_2 + (left_3 * right_2);
            sum_3_3 = sum_3_3 + (left_3 * right_3);
        }
        workgroupBarrier();
    }
    if (first_row + own_row + 0u < end_row && first_column + own_column + 0u < columns) {
        let row = first_row + own_row + 0u;
        let column = first_column + own_column + 0u;
        finish(batch, row, column, sum_0_0);
    }
    if (first_row + own_row + 0u < end_row && first_column + own_column + 16u < columns) {
        let row = first_row + own_row + 0u;
        let column = first_column + own_column + 16u;
        finish(batch, row, column, sum_0_1);
    }
    if (first_row + own_row + 0u < end_row && first_column + own_column + 32u < columns) {
        let row = first_row + own_row + 0u;
        let column = first_column + own_column + 32u;
        finish(batch, row, column, sum_0_2);
    }
    if (first_row + own_row + 0u < end_row && first_column + own_column + 48u < columns) {
        let row = first_row + own_row + 0u;
        let column = first_column + own_column + 48u;
        finish(batch, row, column, sum_0_3);
    }
    if (first_row + own_row + 16u < end_row && first_column + own_column + 0u < columns) {
        let row = first_row + own_row + 16u;
        let column = first_column + own_column + 0u;
        finish(batch, row, column, sum_1_0);
    }
    if (first_row + own_row + 16u < end_row && first_column + own_column + 16u < columns) {
        let row = first_row + own_row + 16u;
        let column = first_column + own_column + 16u;
        finish(batch, row, column, sum_1_1);
    }
    if (first_row + own_row + 16u < end_row && first_column + own_column + 32u < columns) {
        let row = first_row + own_row + 16u;
        let column = first_column + own_column + 32u;
        finish(batch, row, column, sum_1_2);
    }
    if (first_row + own_row + 16u < end_row && first_column + own_column + 48u < columns) {
        let row = first_row + own_row + 16u;
        let column = first_column + own_column + 48u;
        finish(batch, row, column, sum_1_3);
    }
    if (first_row + own_row + 32u < end_row && first_column + own_column + 0u < columns) {
        let row = first_row + own_row + 32u;
        let column = first_column + own_column + 0u;
        finish(batch, row, column, sum_2_0);
    }
    if (first_row + own_row + 32u < end_row && first_column + own_column + 16u < columns) {
        let row = first_row + own_row + 32u;
        let column = first_column + own_column + 16u;
        finish(batch, row, column, sum_2_1);
    }
    if (first_row + own_row + 32u < end_row && first_column + own_column + 32u < columns) {
        let row = first_row + own_row + 32u;
        let column = first_column + own_column + 32u;
        finish(batch, row, column, sum_2_2);
    }
    if (first_row + own_row + 32u < end_row && first_column + own_column + 48u < columns) {
        let row = first_row + own_row + 32u;
        let column = first_column + own_column + 48u;
        finish(batch, row, column, sum_2_3);
    }
    if (first_row + own_row + 48u < end_row && first_column + own_column + 0u < columns) {
        let row = first_row + own_row + 48u;
        let column = first_column + own_column + 0u;
        finish(batch, row, column, sum_3_0);
    }
    if (first_row + own_row + 48u < end_row && first_column + own_column + 16u < columns) {
        let row = first_row + own_row + 48u;
        let column = first_column + own_column + 16u;
        finish(batch, row, column, sum_3_1);
    }
    if (first_row + own_row + 48u < end_row && first_column + own_column + 32u < columns) {
        let row = first_row + own_row + 48u;
        let column = first_column + own_column + 32u;
        finish(batch, row, column, sum_3_2);
    }
    if (first_row + own_row + 48u < end_row && first_column + own_column + 48u < columns) {
        let row = first_row + own_row + 48u;
        let column = first_column + own_column + 48u;
        finish(batch, row, column, sum_3_3);
    }
}
