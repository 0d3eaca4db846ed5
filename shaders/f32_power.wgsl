// Powers and roots on f32: pow with the special cases of C99, cbrt, hypot.

// log2 |x| as a pair with a relative error near 2^-36, for a number that is neither 0 nor infinite: the series of
// 2 artanh(s) / ln 2 with s = f / (2 + f), its first two terms as pairs, the rest as a minimax polynomial.
fn log2_pair_f32(x: f32) -> vec2<f32> {
    let reduced = reduce_logarithm_f32(x);
    let s = pair_quotient_f32(vec2<f32>(reduced.f, 0.0), ordered_sum_f32(2.0, reduced.f));
    let square = pair_product_f32(s, s);
    let z = square.x;
    let tail = z * z * (0.57708019 + z * (0.411849856 + z * 0.337823212));
    // 2 / ln 2 and 2 / (3 ln 2).
    let second = pair_product_f32(square, vec2<f32>(0.961796701, -7.028461813e-09));
    let factor = ordered_sum_f32(2.885390043, second.x);
    let series = ordered_sum_f32(factor.x, factor.y + (second.y + tail + 3.851926067e-08));
    let fraction = pair_product_f32(s, series);
    let sum = exact_sum_f32(f32(reduced.k), fraction.x);
    return ordered_sum_f32(sum.x, sum.y + fraction.y);
}

// |x|^y for an x that is neither 0 nor infinite.
fn pow_of_number_f32(x: f32, y: f32) -> f32 {
    let logarithm = log2_pair_f32(x);
    // Beyond 2^40 only 1 has a power that is neither 0 nor infinite.
    let exponent = clamp(y, -1.0995116e12, 1.0995116e12);
    let product = exact_product_f32(exponent, logarithm.x);
    let low = product.y + exponent * logarithm.y;
    return exp2_of_sum_f32(clamp(product.x, -250.0, 250.0), select(0.0, low, abs(product.x) < 250.0));
}

// |x|^y where y is not 0.
fn pow_of_magnitude_f32(x: f32, y: f32) -> f32 {
    let size = magnitude_f32(x);
    if size == 0x3f800000u {
        return 1.0;
    }
    if size == 0u || size == 0x7f800000u || is_inf_f32(y) {
        return select(0.0, inf_f32(), (size > 0x3f800000u) == (sign_bit_f32(y) == 0u));
    }
    return pow_of_number_f32(x, y);
}

// max 1.0 ULP (71 million pairs)
fn pow_f32(x: f32, y: f32) -> f32 {
    if bitcast<u32>(x) == 0x3f800000u || magnitude_f32(y) == 0u {
        return 1.0;
    }
    if is_nan_f32(x) || is_nan_f32(y) {
        return nan_f32();
    }
    let result = pow_of_magnitude_f32(x, y);
    if sign_bit_f32(x) == 0u {
        return result;
    }
    // From 2^24 on every number is even.
    let whole = abs(y) >= 16777216.0 || trunc(y) == y;
    let odd = whole && abs(y) < 16777216.0 && (u32(min(abs(y), 16777216.0)) & 1u) == 1u;
    let number = magnitude_f32(x) != 0u && magnitude_f32(x) != 0x7f800000u;
    if number && !whole {
        return nan_f32();
    }
    return select(result, -result, odd);
}

// Two steps of Halley's method, which triples the right bits: from 5 to 14, and on with an exact residual.
// max 0.6 ULP (every 61st f32)
fn cbrt_f32(x: f32) -> f32 {
    if magnitude_f32(x) >= 0x7f800000u || magnitude_f32(x) == 0u {
        return x;
    }
    let parts = parts_f32(x);
    // |x| = significand * 8^third with a significand from 1 up to 8.
    let exponent = parts.exponent + 23 + 150;
    let third = exponent / 3;
    let significand = bitcast<f32>((u32(exponent - 3 * third + 127) << 23u) | (parts.mantissa & 0x7fffffu));
    // The bits of a number are nearly its logarithm.
    var root = bitcast<f32>(bitcast<u32>(significand) / 3u + 0x2a50c28fu);
    let cube = root * root * root;
    root *= (cube + 2.0 * significand) / (2.0 * cube + significand);
    // With 12 bits the square is exact, and so are the parts of the cube.
    root = bitcast<f32>((bitcast<u32>(root) + 0x800u) & 0xfffff000u);
    let square = root * root;
    let upper = upper_half_f32(square) * root;
    let lower = (square - upper_half_f32(square)) * root;
    let rest = keep_f32(significand - upper) - lower;
    root += root * rest / (2.0 * (upper + lower) + significand);
    return copysign_f32(root * power_of_two_f32(third - 50), x);
}

// max 0.6 ULP (71 million pairs)
fn hypot_f32(x: f32, y: f32) -> f32 {
    if is_inf_f32(x) || is_inf_f32(y) {
        return inf_f32();
    }
    if is_nan_f32(x) || is_nan_f32(y) {
        return nan_f32();
    }
    let large = max(abs(x), abs(y));
    let small = min(abs(x), abs(y));
    if small <= large * 5.9604645e-08 {
        return large;
    }
    // Both within the range where squares keep their low parts.
    let shift = select(select(0, 80, large < 1.0e-12), -80, large > 1.0e18);
    let a = large * power_of_two_f32(shift);
    let b = small * power_of_two_f32(shift);
    let square_a = exact_product_f32(a, a);
    let square_b = exact_product_f32(b, b);
    let sum = ordered_sum_f32(square_a.x, square_b.x);
    let root = pair_sqrt_f32(vec2<f32>(sum.x, sum.y + (square_a.y + square_b.y)));
    return (root.x + root.y) * power_of_two_f32(-shift);
}
