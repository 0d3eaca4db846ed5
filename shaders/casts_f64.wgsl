// Conversions from and to f64, for adapters with f64 and 64-bit integers. The rules are those of casts.wgsl.
//
// Rounding and widening work on the bits, since drivers may round as they like and drop subnormal numbers.

// To f64: exact, but for i64 and u64.

fn cast_bool_f64(x: bool) -> f64 {
    return select(0.0lf, 1.0lf, x);
}

fn cast_i8_f64(x: i32) -> f64 {
    return f64(x);
}

fn cast_u8_f64(x: u32) -> f64 {
    return f64(x);
}

fn cast_i32_f64(x: i32) -> f64 {
    return f64(x);
}

fn cast_u32_f64(x: u32) -> f64 {
    return f64(x);
}

fn cast_i64_f64(x: i64) -> f64 {
    return round_u64_f64(magnitude_i64(x), i64_high(x) & 0x80000000u);
}

fn cast_u64_f64(x: u64) -> f64 {
    return round_u64_f64(x, 0u);
}

// The number x with a sign bit, rounded half to even. A carry out of the significand raises the exponent.
fn round_u64_f64(x: u64, sign: u32) -> f64 {
    let zeros = leading_zeros_u64(x);
    if (zeros == 64u) {
        return 0.0lf;
    }
    let significand = x << (zeros & 63u);
    let kept = significand >> 11u;
    let rest = u32(significand & 0x7fflu);
    let up = u64(select(0u, 1u, rest + u32(kept & 1lu) > 1024u));
    let magnitude = (u64(1085u - zeros) << 52u) + kept + up;
    return bitcast<f64>((u64(sign) << 32u) | magnitude);
}

// A subnormal number is shifted until its highest digit is the implicit one; NaN becomes quiet and keeps its payload.
fn cast_f32_f64(x: f32) -> f64 {
    let bits = bitcast<u32>(x);
    let fraction = bits & 0x7fffffu;
    let exponent = (bits >> 23u) & 0xffu;
    let sign = bits & 0x80000000u;
    if (exponent == 0xffu) {
        let quiet = select(0u, 0x80000u, fraction != 0u);
        return bitcast<f64>(u64_from_words(fraction << 29u, sign | 0x7ff00000u | quiet | (fraction >> 3u)));
    }
    if ((bits & 0x7fffffffu) == 0u) {
        return bitcast<f64>(u64_from_words(0u, sign));
    }
    let shift = select(0u, countLeadingZeros(fraction) - 8u, exponent == 0u);
    let digits = (fraction << (shift & 31u)) & 0x7fffffu;
    let biased = select(exponent + 896u, 897u - shift, exponent == 0u);
    return bitcast<f64>(u64_from_words(digits << 29u, sign | (biased << 20u) | (digits >> 3u)));
}

// From f64.

fn cast_f64_bool(x: f64) -> bool {
    return (bitcast<u64>(x) & 0x7ffffffffffffffflu) != 0lu;
}

fn cast_f64_i8(x: f64) -> i32 {
    return clamp(cast_f64_i32(x), -128i, 127i);
}

fn cast_f64_u8(x: f64) -> u32 {
    return min(cast_f64_u32(x), 255u);
}

fn is_nan_bits_f64(bits: u64) -> bool {
    return (bits & 0x7ffffffffffffffflu) > 0x7ff0000000000000lu;
}

fn cast_f64_i32(x: f64) -> i32 {
    if (is_nan_bits_f64(bitcast<u64>(x))) {
        return 0i;
    }
    if (x >= 2147483648.0lf) {
        return 0x7fffffffi;
    }
    if (x <= -2147483648.0lf) {
        return -0x7fffffffi - 1i;
    }
    return i32(x);
}

fn cast_f64_u32(x: f64) -> u32 {
    if (is_nan_bits_f64(bitcast<u64>(x)) | (x <= 0.0lf)) {
        return 0u;
    }
    if (x >= 4294967296.0lf) {
        return 0xffffffffu;
    }
    return u32(x);
}

// Saturates from 2^63 = 0x43e0000000000000 on.
fn cast_f64_i64(x: f64) -> i64 {
    let bits = bitcast<u64>(x);
    if (is_nan_bits_f64(bits)) {
        return 0li;
    }
    let negative = bits > 0x7ffffffffffffffflu;
    if ((bits & 0x7ffffffffffffffflu) >= 0x43e0000000000000lu) {
        return select(0x7fffffffffffffffli, -0x7fffffffffffffffli - 1li, negative);
    }
    let magnitude = i64(truncate_f64_u64(bits));
    return select(magnitude, -magnitude, negative);
}

// Saturates from 2^64 = 0x43f0000000000000 on; negative numbers give 0.
fn cast_f64_u64(x: f64) -> u64 {
    let bits = bitcast<u64>(x);
    if (is_nan_bits_f64(bits) | (bits > 0x7ffffffffffffffflu)) {
        return 0lu;
    }
    if (bits >= 0x43f0000000000000lu) {
        return 0xfffffffffffffffflu;
    }
    return truncate_f64_u64(bits);
}

// The integer part of the magnitude, below 2^64, of a finite f64 given by its bits.
fn truncate_f64_u64(bits: u64) -> u64 {
    let exponent = u32(bits >> 52u) & 0x7ffu;
    let significand = (bits & 0xffffffffffffflu) | 0x10000000000000lu;
    if (exponent < 1075u) {
        return significand >> min(1075u - exponent, 63u);
    }
    return significand << (exponent - 1075u);
}

// From 2^128, exponent 1151, on the result is infinite; below 2^-126, exponent 897, it is subnormal.
fn cast_f64_f32(x: f64) -> f32 {
    let bits = bitcast<u64>(x);
    let sign = u32(bits >> 32u) & 0x80000000u;
    let exponent = u32(bits >> 52u) & 0x7ffu;
    let fraction = bits & 0xffffffffffffflu;
    if (exponent >= 1151u) {
        let quiet = select(0u, 0x400000u | u32(fraction >> 29u), is_nan_bits_f64(bits));
        return bitcast<f32>(sign | 0x7f800000u | quiet);
    }
    let sticky = select(0u, 1u, (fraction & 0x1ffffflu) != 0lu);
    let significand = 0x80000000u | u32(fraction >> 21u) | sticky;
    if (exponent >= 897u) {
        return compose_f32(sign, exponent - 896u, significand);
    }
    return compose_subnormal_f32(sign, min(897u - exponent, 31u), significand);
}

// As compose_f32 with exponent 1, of the significand shifted right. With its highest bit zero the exponent is 0.
fn compose_subnormal_f32(sign: u32, shift: u32, significand: u32) -> f32 {
    let kept = significand >> shift;
    let sticky = select(0u, 1u, (kept << shift) != significand);
    return compose_f32(sign, 1u, kept | sticky);
}
