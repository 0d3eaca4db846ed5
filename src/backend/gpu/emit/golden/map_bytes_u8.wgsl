// sum_of_products_u8: MapBytes
struct Params {
    words: array<vec4<u32>, 7>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> buffer0: array<u32>;
@group(0) @binding(2) var<storage, read> buffer1: array<u32>;
@group(0) @binding(3) var<storage, read> buffer2: array<u32>;
@group(0) @binding(4) var<storage, read_write> buffer3: array<atomic<u32>>;

fn hidden_zero() -> u32 {
    return params.words[0].x;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let number = (group.y * groups.x + group.x) * 256u + thread;
    var byte_3 = 0u;
    let left = select(0u, min(4u, params.words[0].y - number * 4u), number * 4u < params.words[0].y);
    for (var quarter = 0u; quarter < left; quarter++) {
        let point = number * 4u + quarter + params.words[0].z;
        let at1 = params.words[3].z + point * params.words[3].w;
        let at2 = params.words[4].y + point * params.words[4].z;
        let at3 = params.words[5].x + point * params.words[5].y;
        let at4 = params.words[5].w + point * params.words[6].x;
        let v0 = (buffer0[at1 >> 2u] >> ((at1 & 3u) * 8u)) & 0xffu;
        let v1 = (buffer1[at2 >> 2u] >> ((at2 & 3u) * 8u)) & 0xffu;
        let v2 = (buffer2[at3 >> 2u] >> ((at3 & 3u) * 8u)) & 0xffu;
        let v3 = mul_u8(v1, v2);
        let v4 = add_u8(v0, v3);
        byte_3 |= (v4) << (quarter * 8u);
    }
    if (left == 4u) {
        atomicStore(&buffer3[(params.words[5].w + params.words[0].z) / 4u + number], byte_3);
    }
    if (left > 0u && left < 4u) {
        atomicAnd(&buffer3[(params.words[5].w + params.words[0].z) / 4u + number], 0xffffffffu << (left * 8u));
        atomicOr(&buffer3[(params.words[5].w + params.words[0].z) / 4u + number], byte_3);
    }
}

fn add_u8(x: u32, y: u32) -> u32 {
    return (x + y) & 0xffu;
}

fn mul_u8(x: u32, y: u32) -> u32 {
    return (x * y) & 0xffu;
}
