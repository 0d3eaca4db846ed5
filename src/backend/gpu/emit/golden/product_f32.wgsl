// sum_of_products_f32: Product
struct Params {
    words: array<vec4<u32>, 11>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> buffer0: array<u32>;
@group(0) @binding(2) var<storage, read> buffer1: array<u32>;
@group(0) @binding(3) var<storage, read> buffer2: array<u32>;
@group(0) @binding(4) var<storage, read> buffer3: array<u32>;
@group(0) @binding(5) var<storage, read_write> buffer4: array<u32>;

fn hidden_zero() -> u32 {
    return params.words[0].x;
}

var<workgroup> left_tile: array<f32, 1024>;
var<workgroup> right_tile: array<f32, 1024>;

fn finish(batch: u32, row: u32, column: u32, v11: f32) {
    let at1 = params.words[6].z + batch * params.words[6].w + row * params.words[7].x + column * params.words[7].y;
    let at2 = params.words[7].w + batch * params.words[8].x + row * params.words[8].y + column * params.words[8].z;
    let at3 = params.words[9].x + batch * params.words[9].y + row * params.words[9].z + column * params.words[9].w;
    let v0 = bitcast<f32>(buffer2[at1]);
    let v1 = v11;
    let v2 = bitcast<f32>(buffer3[at2]);
    let v3 = v1 * v2;
    let v4 = v0 + v3;
    buffer4[at3] = bitcast<u32>(v4);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let batch = group.z + params.words[1].x;
    let first_row = group.y * 64u + params.words[0].z;
    let first_column = group.x * 64u;
    let end_row = params.words[0].z + params.words[1].w;
    let columns = params.words[3].z;
    let first_inner = params.words[2].y;
    let end_inner = params.words[2].z;
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
            let along_inner = params.words[5].x == 1u;
            let k = select(item / 64u, item % 16u, along_inner);
            let line = select(item % 64u, item / 16u, along_inner);
            let place = k * 64u + line;
            left_tile[place] = 0f;
            if (first_row + line < end_row && first + k < end_inner) {
                let at = params.words[4].x + batch * params.words[4].y + (first_row + line) * params.words[4].z + (first + k) * params.words[5].x;
                left_tile[place] = bitcast<f32>(buffer0[at]);
            }
        }
        for (var item = thread; item < 1024u; item += 256u) {
            let along_inner = params.words[6].y == 1u;
            let k = select(item / 64u, item % 16u, along_inner);
            let line = select(item % 64u, item / 16u, along_inner);
            let place = k * 64u + line;
            right_tile[place] = 0f;
            if (first_column + line < columns && first + k < end_inner) {
                let at = params.words[5].y + batch * params.words[5].z + (first_column + line) * params.words[6].x + (first + k) * params.words[6].y;
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
