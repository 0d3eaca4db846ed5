// sum_of_products_i64: Map
struct Params {
    words: array<vec4<u32>, 7>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> buffer0: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> buffer1: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read> buffer2: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read_write> buffer3: array<vec2<u32>>;

fn hidden_zero() -> u32 {
    return params.words[0].x;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let number = (group.y * groups.x + group.x) * 256u + thread;
    if (number < params.words[0].y) {
        let point = number + params.words[0].z;
        let at1 = params.words[3].z + point * params.words[3].w;
        let at2 = params.words[4].y + point * params.words[4].z;
        let at3 = params.words[5].x + point * params.words[5].y;
        let at4 = params.words[5].w + point * params.words[6].x;
        let v0 = buffer0[at1];
        let v1 = buffer1[at2];
        let v2 = buffer2[at3];
        let v3 = mul_i64(v1, v2);
        let v4 = add_i64(v0, v3);
        buffer3[at4] = v4;
    }
}

fn add_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return add_u64(x, y);
}

fn mul_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return mul_u64(x, y);
}

fn add_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    let low = x.x + y.x;
    let carry = select(0u, 1u, low < x.x);
    return vec2<u32>(low, x.y + y.y + carry);
}

fn multiply_words(x: u32, y: u32) -> vec2<u32> {
    let x_low = x & 0xffffu;
    let x_high = x >> 16u;
    let y_low = y & 0xffffu;
    let y_high = y >> 16u;
    let first = x_high * y_low + ((x_low * y_low) >> 16u);
    let second = x_low * y_high + (first & 0xffffu);
    return vec2<u32>(x * y, x_high * y_high + (first >> 16u) + (second >> 16u));
}

fn mul_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    let low = multiply_words(x.x, y.x);
    return vec2<u32>(low.x, low.y + x.x * y.y + x.y * y.x);
}
