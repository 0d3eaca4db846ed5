// Conversions among the types of at most 32 bits, as cast_{from}_{to}.
//
// Integers wrap, floats saturate and NaN goes to 0; to bool is x != 0, so NaN is true and so is a subnormal number. An
// integer that a float cannot hold is rounded half to even by its bits, since drivers may round as they like. No number
// out of range reaches a conversion of the hardware.

// From bool.

fn cast_bool_i8(x: bool) -> i32 {
    return select(0i, 1i, x);
}

fn cast_bool_u8(x: bool) -> u32 {
    return select(0u, 1u, x);
}

fn cast_bool_i32(x: bool) -> i32 {
    return select(0i, 1i, x);
}

fn cast_bool_u32(x: bool) -> u32 {
    return select(0u, 1u, x);
}

fn cast_bool_f32(x: bool) -> f32 {
    return select(0.0f, 1.0f, x);
}

// From i8 and u8.

fn cast_i8_bool(x: i32) -> bool {
    return x != 0i;
}

fn cast_i8_u8(x: i32) -> u32 {
    return bitcast<u32>(x) & 0xffu;
}

fn cast_i8_i32(x: i32) -> i32 {
    return x;
}

fn cast_i8_u32(x: i32) -> u32 {
    return bitcast<u32>(x);
}

fn cast_i8_f32(x: i32) -> f32 {
    return f32(x);
}

fn cast_u8_bool(x: u32) -> bool {
    return x != 0u;
}

fn cast_u8_i8(x: u32) -> i32 {
    return wrap_i8(bitcast<i32>(x));
}

fn cast_u8_i32(x: u32) -> i32 {
    return bitcast<i32>(x);
}

fn cast_u8_u32(x: u32) -> u32 {
    return x;
}

fn cast_u8_f32(x: u32) -> f32 {
    return f32(x);
}

// From i32 and u32.

fn cast_i32_bool(x: i32) -> bool {
    return x != 0i;
}

fn cast_i32_i8(x: i32) -> i32 {
    return wrap_i8(x);
}

fn cast_i32_u8(x: i32) -> u32 {
    return bitcast<u32>(x) & 0xffu;
}

fn cast_i32_u32(x: i32) -> u32 {
    return bitcast<u32>(x);
}

fn cast_i32_f32(x: i32) -> f32 {
    let magnitude = magnitude_i32(x);
    if (magnitude <= 0x1000000u) {
        return f32(x);
    }
    return round_u32_f32(magnitude, bitcast<u32>(x) & 0x80000000u);
}

fn cast_u32_bool(x: u32) -> bool {
    return x != 0u;
}

fn cast_u32_i8(x: u32) -> i32 {
    return wrap_i8(bitcast<i32>(x));
}

fn cast_u32_u8(x: u32) -> u32 {
    return x & 0xffu;
}

fn cast_u32_i32(x: u32) -> i32 {
    return bitcast<i32>(x);
}

fn cast_u32_f32(x: u32) -> f32 {
    if (x <= 0x1000000u) {
        return f32(x);
    }
    return round_u32_f32(x, 0u);
}

// The number x > 0 with a sign bit.
fn round_u32_f32(x: u32, sign: u32) -> f32 {
    let zeros = countLeadingZeros(x);
    return compose_f32(sign, 158u - zeros, x << (zeros & 31u));
}

// Sign, biased exponent (1 to 254) and a significand of 32 bits, the highest set, rounded half to even to 24 bits. A
// carry out of the significand raises the exponent, at the top to infinity.
fn compose_f32(sign: u32, exponent: u32, significand: u32) -> f32 {
    let kept = significand >> 8u;
    let rest = significand & 0xffu;
    let up = select(0u, 1u, rest + (kept & 1u) > 128u);
    return bitcast<f32>(sign | (((exponent - 1u) << 23u) + kept + up));
}

// From f32.

fn cast_f32_bool(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) != 0u;
}

fn cast_f32_i8(x: f32) -> i32 {
    return clamp(cast_f32_i32(x), -128i, 127i);
}

fn cast_f32_u8(x: f32) -> u32 {
    return min(cast_f32_u32(x), 255u);
}

fn is_nan_bits_f32(bits: u32) -> bool {
    return (bits & 0x7fffffffu) > 0x7f800000u;
}

fn cast_f32_i32(x: f32) -> i32 {
    if (is_nan_bits_f32(bitcast<u32>(x))) {
        return 0i;
    }
    if (x >= 2147483648.0f) {
        return 0x7fffffffi;
    }
    if (x <= -2147483648.0f) {
        return -0x7fffffffi - 1i;
    }
    return i32(x);
}

fn cast_f32_u32(x: f32) -> u32 {
    if (is_nan_bits_f32(bitcast<u32>(x)) | (x <= 0.0f)) {
        return 0u;
    }
    if (x >= 4294967296.0f) {
        return 0xffffffffu;
    }
    return u32(x);
}
