// Logarithms on f32. The argument is split into 2^k (1 + f) with 1 + f between sqrt(1/2) and sqrt(2), ln(1 + f) is a
// minimax polynomial (Remez, relative error), and the parts are added from the small to the large.

// A positive number as 2^k (1 + f) with f exact.
struct Reduced_f32 {
    k: i32,
    f: f32,
}

// For numbers that are neither 0 nor infinite; subnormal ones too.
fn reduce_logarithm_f32(x: f32) -> Reduced_f32 {
    let parts = parts_f32(x);
    // Significands from sqrt(2) on count as half of themselves, with the next exponent.
    let above = parts.mantissa >= 0xb504f3u;
    let biased = select(127u, 126u, above);
    let significand = bitcast<f32>((biased << 23u) | (parts.mantissa & 0x7fffffu));
    return Reduced_f32(parts.exponent + 23 + select(0, 1, above), significand - 1.0);
}

// (ln(1 + f) - f + f^2/2) / f^3.
fn ln_tail_f32(f: f32) -> f32 {
    let upper = -0.124062337 + f * (0.118834801 + f * (-0.116697192 + f * 0.0674880818));
    return 0.333333135 + f * (-0.250000089 + f * (0.200020716 + f * (-0.166679889 + f * (0.142203584 + f * upper))));
}

// ln(2^k (1 + f + low)) as a pair whose high part is a multiple of ln 2 or 0, for a low below an ULP of 1 + f.
fn ln_reduced_f32(k: i32, f: f32, low: f32) -> vec2<f32> {
    let exponent = f32(k);
    let square = f * f;
    let correction = exponent * LN2_LOW_F32 + low / (1.0 + f);
    let rest = f - (0.5 * square - (square * f * ln_tail_f32(f) + correction));
    return vec2<f32>(exponent * LN2_HIGH_F32, rest);
}

// ln((high + low) * 2^shift) for a positive normal pair.
fn ln_of_sum_f32(high: f32, low: f32, shift: i32) -> f32 {
    let reduced = reduce_logarithm_f32(high);
    let small = low * power_of_two_f32(clamp(-reduced.k, -126, 127));
    let result = ln_reduced_f32(reduced.k + shift, reduced.f, small);
    return result.x + result.y;
}

// Whether a logarithm of x is a special case: of a number that is not positive, of infinity or NaN.
fn is_outside_logarithm_f32(x: f32) -> bool {
    return bitcast<u32>(x) - 1u >= 0x7f7fffffu;
}

// The logarithm of such an x.
fn special_logarithm_f32(x: f32) -> f32 {
    if magnitude_f32(x) == 0u {
        return -inf_f32();
    }
    return select(x, nan_f32(), sign_bit_f32(x) != 0u);
}

// max 0.8 ULP (every 61st f32)
fn ln_f32(x: f32) -> f32 {
    if is_outside_logarithm_f32(x) {
        return special_logarithm_f32(x);
    }
    let reduced = reduce_logarithm_f32(x);
    let result = ln_reduced_f32(reduced.k, reduced.f, 0.0);
    return result.x + result.y;
}

// ln(1 + f) as a pair whose high part has 12 bits, so that its products with constants as short are exact.
fn split_logarithm_f32(f: f32) -> vec2<f32> {
    let half_square = 0.5 * f * f;
    let high = upper_half_f32(f - half_square);
    return vec2<f32>(high, keep_f32(f - high) - half_square + f * f * f * ln_tail_f32(f));
}

// max 0.8 ULP (every 61st f32)
fn log2_f32(x: f32) -> f32 {
    if is_outside_logarithm_f32(x) {
        return special_logarithm_f32(x);
    }
    let reduced = reduce_logarithm_f32(x);
    let part = split_logarithm_f32(reduced.f);
    // log2(e) = 1.442871094 - 0.0001760528539.
    let low = (part.x + part.y) * -0.0001760528539 + part.y * 1.442871094;
    let sum = exact_sum_f32(f32(reduced.k), part.x * 1.442871094);
    return sum.x + (sum.y + low);
}

// max 0.8 ULP (every 61st f32)
fn log10_f32(x: f32) -> f32 {
    if is_outside_logarithm_f32(x) {
        return special_logarithm_f32(x);
    }
    let reduced = reduce_logarithm_f32(x);
    let exponent = f32(reduced.k);
    let part = split_logarithm_f32(reduced.f);
    // log10(e) = 0.4343261719 - 3.168997137e-05 and log10(2) = 0.30103302 - 3.024355465e-06.
    let low = (part.x + part.y) * -3.168997137e-05 + part.y * 0.4343261719 + exponent * -3.024355465e-06;
    let sum = exact_sum_f32(exponent * 0.30103302, part.x * 0.4343261719);
    return sum.x + (sum.y + low);
}

// ln(1 + high + low) for high > -1 and a low that is small beside high.
fn log1p_of_sum_f32(high: f32, low: f32) -> f32 {
    if high > -0.29 && high < 0.41 {
        return ln_reduced_f32(0, high, low).y;
    }
    let sum = exact_sum_f32(1.0, high);
    return ln_of_sum_f32(sum.x, sum.y + low, 0);
}

// max 0.9 ULP (every 61st f32)
fn log1p_f32(x: f32) -> f32 {
    if magnitude_f32(x) < 0x33000000u || is_nan_f32(x) {
        return x;
    }
    if x <= -1.0 || is_inf_f32(x) {
        return special_logarithm_f32(select(x + 1.0, x, is_inf_f32(x)));
    }
    return log1p_of_sum_f32(x, 0.0);
}
