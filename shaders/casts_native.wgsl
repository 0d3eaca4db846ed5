// Conversions between i64 or u64 and the types of at most 32 bits, with 64-bit integers; casts_pairs.wgsl has the same
// functions over pairs of words.
//
// The rules are those of casts.wgsl.

// From bool.

fn cast_bool_i64(x: bool) -> i64 {
    return i64_from_u32(select(0u, 1u, x));
}

fn cast_bool_u64(x: bool) -> u64 {
    return u64_from_u32(select(0u, 1u, x));
}

// From the integers of at most 32 bits.

fn cast_i8_i64(x: i32) -> i64 {
    return i64_from_i32(x);
}

fn cast_i8_u64(x: i32) -> u64 {
    return u64(i64_from_i32(x));
}

fn cast_u8_i64(x: u32) -> i64 {
    return i64_from_u32(x);
}

fn cast_u8_u64(x: u32) -> u64 {
    return u64_from_u32(x);
}

fn cast_i32_i64(x: i32) -> i64 {
    return i64_from_i32(x);
}

fn cast_i32_u64(x: i32) -> u64 {
    return u64(i64_from_i32(x));
}

fn cast_u32_i64(x: u32) -> i64 {
    return i64_from_u32(x);
}

fn cast_u32_u64(x: u32) -> u64 {
    return u64_from_u32(x);
}

// From i64 and u64 to integers and bool: the low word, or whether any bit is set.

fn cast_i64_bool(x: i64) -> bool {
    return x != 0li;
}

fn cast_i64_i8(x: i64) -> i32 {
    return wrap_i8(bitcast<i32>(i64_low(x)));
}

fn cast_i64_u8(x: i64) -> u32 {
    return i64_low(x) & 0xffu;
}

fn cast_i64_i32(x: i64) -> i32 {
    return bitcast<i32>(i64_low(x));
}

fn cast_i64_u32(x: i64) -> u32 {
    return i64_low(x);
}

fn cast_u64_bool(x: u64) -> bool {
    return x != 0lu;
}

fn cast_u64_i8(x: u64) -> i32 {
    return wrap_i8(bitcast<i32>(u64_low(x)));
}

fn cast_u64_u8(x: u64) -> u32 {
    return u64_low(x) & 0xffu;
}

fn cast_u64_i32(x: u64) -> i32 {
    return bitcast<i32>(u64_low(x));
}

fn cast_u64_u32(x: u64) -> u32 {
    return u64_low(x);
}

fn cast_i64_u64(x: i64) -> u64 {
    return u64(x);
}

fn cast_u64_i64(x: u64) -> i64 {
    return i64(x);
}

// From i64 and u64 to f32.

fn cast_i64_f32(x: i64) -> f32 {
    return round_u64_f32(magnitude_i64(x), i64_high(x) & 0x80000000u);
}

fn cast_u64_f32(x: u64) -> f32 {
    return round_u64_f32(x, 0u);
}

// The number x with a sign bit. All bits below the high word of the significand count only as a sticky one.
fn round_u64_f32(x: u64, sign: u32) -> f32 {
    let zeros = leading_zeros_u64(x);
    if (zeros == 64u) {
        return 0.0f;
    }
    let significand = x << (zeros & 63u);
    let sticky = select(0u, 1u, u64_low(significand) != 0u);
    return compose_f32(sign, 190u - zeros, u64_high(significand) | sticky);
}

// From f32.

// Saturates from 2^63 = 0x5f000000 on.
fn cast_f32_i64(x: f32) -> i64 {
    let bits = bitcast<u32>(x);
    if (is_nan_bits_f32(bits)) {
        return 0li;
    }
    let negative = bits > 0x7fffffffu;
    if ((bits & 0x7fffffffu) >= 0x5f000000u) {
        return select(0x7fffffffffffffffli, -0x7fffffffffffffffli - 1li, negative);
    }
    let magnitude = i64(truncate_f32_u64(bits));
    return select(magnitude, -magnitude, negative);
}

// Saturates from 2^64 = 0x5f800000 on; negative numbers give 0.
fn cast_f32_u64(x: f32) -> u64 {
    let bits = bitcast<u32>(x);
    if (is_nan_bits_f32(bits) | (bits > 0x7fffffffu)) {
        return 0lu;
    }
    if (bits >= 0x5f800000u) {
        return 0xfffffffffffffffflu;
    }
    return truncate_f32_u64(bits);
}

// The integer part of the magnitude, below 2^64, of a finite f32 given by its bits.
fn truncate_f32_u64(bits: u32) -> u64 {
    let exponent = (bits >> 23u) & 0xffu;
    let significand = (bits & 0x7fffffu) | 0x800000u;
    if (exponent < 150u) {
        return u64_from_u32(significand >> min(150u - exponent, 31u));
    }
    return u64(significand) << (exponent - 150u);
}
