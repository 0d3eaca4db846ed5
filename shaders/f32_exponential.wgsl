// Exponential functions on f32. The argument is reduced by multiples of ln 2 in two parts (Cody and Waite 1980), the
// rest goes into a minimax polynomial (Remez, relative error), the power of two is applied in two steps.

// ln 2, the high part of 15 bits, so that its products with exponents are exact.
const LN2_HIGH_F32: f32 = 0.693145752;
const LN2_LOW_F32: f32 = 1.428606765e-06;
const LOG2_E_F32: f32 = 1.44269504;

// 2^k for -126 <= k <= 127.
fn power_of_two_f32(k: i32) -> f32 {
    return bitcast<f32>(u32(k + 127) << 23u);
}

// x * 2^k for |k| <= 252 with at most one rounding, that of the result.
fn scale_f32(x: f32, k: i32) -> f32 {
    let half = k >> 1u;
    return keep_f32(x * power_of_two_f32(half)) * power_of_two_f32(k - half);
}

// (e^r - 1 - r) / r^2 for |r| <= ln(2)/2.
fn exp_tail_f32(r: f32) -> f32 {
    return 0.49999997 + r * (0.166665465 + r * (0.0416674279 + r * (0.00836628396 + r * 0.00138722954)));
}

// e^(high + low) * 2^shift for |high| <= 160, where low is small beside high.
fn exp_of_sum_f32(high: f32, low: f32, shift: i32) -> f32 {
    let k = round(high * LOG2_E_F32);
    // Exact, and so is its sum with 1.
    let high_rest = keep_f32(high - k * LN2_HIGH_F32);
    let low_rest = low - k * LN2_LOW_F32;
    let r = high_rest + low_rest;
    let sum = ordered_sum_f32(1.0, high_rest);
    return scale_f32(sum.x + (sum.y + (low_rest + r * r * exp_tail_f32(r))), i32(k) + shift);
}

// max 0.8 ULP (every 61st f32)
fn exp_f32(x: f32) -> f32 {
    if is_nan_f32(x) {
        return x;
    }
    return exp_of_sum_f32(clamp(x, -150.0, 130.0), 0.0, 0);
}

// 2^(high + low) for |high| <= 250, where low is small beside high.
fn exp2_of_sum_f32(high: f32, low: f32) -> f32 {
    let k = round(high);
    let r = keep_f32(high - k) + low;
    let tail = 0.240226477 + r * (0.0555035993 + r * (0.00961850584 + r * (0.00133908063 + r * 0.000153264686)));
    let sum = ordered_sum_f32(1.0, r * 0.693147182);
    return scale_f32(sum.x + (sum.y + r * r * tail), i32(k));
}

// max 0.9 ULP (every 61st f32)
fn exp2_f32(x: f32) -> f32 {
    if is_nan_f32(x) {
        return x;
    }
    return exp2_of_sum_f32(clamp(x, -200.0, 200.0), 0.0);
}

// max 1.4 ULP (every 61st f32)
fn expm1_f32(x: f32) -> f32 {
    if is_nan_f32(x) || magnitude_f32(x) < 0x33000000u {
        return x;
    }
    let size = clamp(x, -40.0, 100.0);
    let k = round(size * LOG2_E_F32);
    let high = keep_f32(size - k * LN2_HIGH_F32);
    let r = keep_f32(high - k * LN2_LOW_F32);
    let tail = r * r * exp_tail_f32(r);
    if k == 0.0 {
        return r + tail;
    }
    // 2^k (1 - 2^-k + r + tail), with what r was rounded by.
    let exponent = i32(k);
    let offset = 1.0 - power_of_two_f32(clamp(-exponent, -126, 127));
    let low = keep_f32(high - r) - k * LN2_LOW_F32;
    let sum = ordered_sum_f32(offset, r);
    return scale_f32(select(sum.x + (sum.y + (tail + low)), 1.0 + (r + tail), exponent > 30), exponent);
}
