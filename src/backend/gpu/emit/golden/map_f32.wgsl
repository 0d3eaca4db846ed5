// sum_of_products_f32: Map
struct Params {
    words: array<vec4<u32>, 8>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> buffer0: array<u32>;
@group(0) @binding(2) var<storage, read> buffer1: array<u32>;
@group(0) @binding(3) var<storage, read> buffer2: array<u32>;
@group(0) @binding(4) var<storage, read_write> buffer3: array<u32>;

fn hidden_zero() -> u32 {
    return params.words[0].x;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let number = (group.y * groups.x + group.x) * 256u + thread;
    if (number < params.words[0].y) {
        let point = number + params.words[0].z;
        let rest2 = point / params.words[3].y;
        let i1 = point - rest2 * params.words[3].y;
        let at3 = params.words[3].w + rest2 * params.words[4].x + i1 * params.words[4].y;
        let at4 = params.words[4].w + rest2 * params.words[5].x + i1 * params.words[5].y;
        let at5 = params.words[5].w + rest2 * params.words[6].x + i1 * params.words[6].y;
        let at6 = params.words[6].w + rest2 * params.words[7].x + i1 * params.words[7].y;
        let v0 = bitcast<f32>(buffer0[at3]);
        let v1 = bitcast<f32>(buffer1[at4]);
        let v2 = bitcast<f32>(buffer2[at5]);
        let v3 = v1 * v2;
        let v4 = v0 + v3;
        buffer3[at6] = bitcast<u32>(v4);
    }
}
