// Values of the invocation `distance` further on in the subgroup. What comes from beyond its end is unspecified.

fn shuffle_down_u32(x: u32, distance: u32) -> u32 {
    return subgroupShuffleDown(x, distance);
}

fn shuffle_down_i32(x: i32, distance: u32) -> i32 {
    return subgroupShuffleDown(x, distance);
}

fn shuffle_down_f32(x: f32, distance: u32) -> f32 {
    return bitcast<f32>(subgroupShuffleDown(bitcast<u32>(x), distance));
}

fn shuffle_down_bool(x: bool, distance: u32) -> bool {
    return subgroupShuffleDown(select(0u, 1u, x), distance) != 0u;
}

fn shuffle_down_words(x: vec2<u32>, distance: u32) -> vec2<u32> {
    return vec2<u32>(subgroupShuffleDown(x.x, distance), subgroupShuffleDown(x.y, distance));
}
