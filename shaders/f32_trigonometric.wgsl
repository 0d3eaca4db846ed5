// Circular functions on f32. Arguments are reduced in integers with 224 bits of 2/pi (Payne and Hanek 1983), so that
// every f32 is right; the inverse functions are odd minimax polynomials (Remez, relative error) of a pair.

const HALF_PI_F32: f32 = 1.570796371;
const HALF_PI_LOW_F32: f32 = -4.371138829e-08;

// The word of 2/pi that starts at bit 32 (i - 1) behind the point; the first one is empty.
fn two_over_pi_f32(i: u32) -> u32 {
    switch i {
        case 1u: { return 0xa2f9836eu; }
        case 2u: { return 0x4e441529u; }
        case 3u: { return 0xfc2757d1u; }
        case 4u: { return 0xf534ddc0u; }
        case 5u: { return 0xdb629599u; }
        case 6u: { return 0x3c439041u; }
        case 7u: { return 0xfe5163abu; }
        default: { return 0u; }
    }
}

// The 64 bits of a * b as (high, low).
fn wide_product_f32(a: u32, b: u32) -> vec2<u32> {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let cross = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
    return vec2<u32>((a >> 16u) * (b >> 16u) + (middle >> 16u) + (cross >> 16u), (cross << 16u) | (low & 0xffffu));
}

// An angle as quarter * pi/2 + high + low with |high| <= pi/4.
struct Angle_f32 {
    quarter: u32,
    high: f32,
    low: f32,
}

// The 64 bits of |x| 2/pi (mod 4) of which two stand before the point, for |x| >= 1/2.
fn quarters_f32(x: f32) -> vec2<u32> {
    let parts = parts_f32(x);
    // Bits of 2/pi that make multiples of 4 are left out; 96 bits count.
    let offset = u32(parts.exponent + 30);
    let word = offset >> 5u;
    let shift = offset & 31u;
    // In two steps, because a shift by 32 is none.
    let back = 31u - shift;
    let first = two_over_pi_f32(word);
    let second = two_over_pi_f32(word + 1u);
    let third = two_over_pi_f32(word + 2u);
    let fourth = two_over_pi_f32(word + 3u);
    let high = wide_product_f32(parts.mantissa, (second << shift) | ((third >> 1u) >> back));
    let low = wide_product_f32(parts.mantissa, (third << shift) | ((fourth >> 1u) >> back));
    let upper = parts.mantissa * ((first << shift) | ((second >> 1u) >> back)) + high.x;
    let lower = high.y + low.x;
    return vec2<u32>(upper + select(0u, 1u, lower < high.y), lower);
}

// A finite x reduced to |high| <= pi/4.
fn reduce_angle_f32(x: f32) -> Angle_f32 {
    if abs(x) < 0.78539819 {
        return Angle_f32(0u, x, 0.0);
    }
    let quarters = quarters_f32(x);
    let quarter = (quarters.x + 0x20000000u) >> 30u;
    // The distance from the nearest quarter in units of 2^-64, as a size and a sign.
    var upper = (quarters.x << 2u) | (quarters.y >> 30u);
    var lower = quarters.y << 2u;
    let negative = upper >= 0x80000000u;
    if negative {
        upper = ~upper + select(0u, 1u, lower == 0u);
        lower = ~lower + 1u;
    }
    // At most 30: the f32 that comes nearest to a multiple of pi/2, 16367173 * 2^72, leaves 2^-29.
    let zeros = countLeadingZeros(upper);
    let bits = (upper << zeros) | ((lower >> 1u) >> (31u - zeros));
    // Times pi/2, 2^31 in these units.
    let angle = wide_product_f32(bits, 0xc90fdaa2u).x;
    let unit = power_of_two_f32(-31 - i32(zeros));
    let sign = select(unit, -unit, negative != (sign_bit_f32(x) != 0u));
    let signed_quarter = select(quarter, 0u - quarter, sign_bit_f32(x) != 0u);
    return Angle_f32(signed_quarter & 3u, f32(angle & 0xffffff00u) * sign, f32(angle & 0xffu) * sign);
}

// sin(high + low) for |high| <= pi/4.
fn sin_reduced_f32(high: f32, low: f32) -> f32 {
    let z = high * high;
    return high + (high * z * (-0.166666552 + z * (0.00833219197 + z * -0.00019518788)) + low);
}

// cos(high + low) for |high| <= pi/4.
fn cos_reduced_f32(high: f32, low: f32) -> f32 {
    let z = high * high;
    let rest = z * z * (0.0416666456 + z * (-0.00138873095 + z * 2.44323692e-05)) - high * low;
    let start = ordered_sum_f32(1.0, -0.5 * z);
    return start.x + (start.y + rest);
}

// The sine of an angle that is finite and not tiny.
fn sin_of_quarter_f32(angle: Angle_f32, quarter: u32) -> f32 {
    var result = 0.0;
    if (quarter & 1u) == 0u {
        result = sin_reduced_f32(angle.high, angle.low);
    } else {
        result = cos_reduced_f32(angle.high, angle.low);
    }
    return select(result, -result, (quarter & 2u) != 0u);
}

// max 1.1 ULP (every 61st f32)
fn sin_f32(x: f32) -> f32 {
    if !is_finite_f32(x) {
        return nan_f32();
    }
    if abs(x) < 2.4e-4 {
        return x;
    }
    let angle = reduce_angle_f32(x);
    return sin_of_quarter_f32(angle, angle.quarter);
}

// max 1.1 ULP (every 61st f32)
fn cos_f32(x: f32) -> f32 {
    if !is_finite_f32(x) {
        return nan_f32();
    }
    let angle = reduce_angle_f32(x);
    return sin_of_quarter_f32(angle, angle.quarter + 1u);
}

// max 1.6 ULP (every 61st f32)
fn tan_f32(x: f32) -> f32 {
    if !is_finite_f32(x) {
        return nan_f32();
    }
    if abs(x) < 2.4e-4 {
        return x;
    }
    let angle = reduce_angle_f32(x);
    let h = angle.high;
    let z = h * h;
    let upper = 0.0212803073 + z * (0.010835655 + z * (0.000115582872 + z * 0.00434404798));
    let tail = h * z * (0.333333492 + z * (0.133326754 + z * (0.0540594719 + z * upper)));
    let tangent = ordered_sum_f32(h, tail + angle.low * (1.0 + z));
    if (angle.quarter & 1u) == 0u {
        return tangent.x + tangent.y;
    }
    let cotangent = pair_quotient_f32(vec2<f32>(-1.0, 0.0), tangent);
    return cotangent.x + cotangent.y;
}

// (arcsin(x) - x) / x^3 for z = x^2 <= 1/4.
fn asin_tail_f32(z: f32) -> f32 {
    let upper = 0.0318388231 + z * (0.0143172666 + z * 0.0376904719);
    return 0.166666597 + z * (0.0750052184 + z * (0.044513382 + z * upper));
}

// 2 arcsin(sqrt((1 - size) / 2)), the arccosine of a size between 1/2 and 1.
fn acos_upper_f32(size: f32) -> vec2<f32> {
    // Exact.
    let z = 0.5 * (1.0 - size);
    if z == 0.0 {
        return vec2<f32>(0.0, 0.0);
    }
    let root = pair_sqrt_f32(vec2<f32>(z, 0.0));
    return 2.0 * ordered_sum_f32(root.x, root.y + root.x * z * asin_tail_f32(z));
}

// max 0.6 ULP (every 61st f32)
fn asin_f32(x: f32) -> f32 {
    let size = abs(x);
    if is_nan_f32(x) || size < 2.4e-4 {
        return x;
    }
    if size > 1.0 {
        return nan_f32();
    }
    if size <= 0.5 {
        let z = x * x;
        return x + x * z * asin_tail_f32(z);
    }
    let rest = acos_upper_f32(size);
    let sum = ordered_sum_f32(HALF_PI_F32, -rest.x);
    return copysign_f32(sum.x + (sum.y + (HALF_PI_LOW_F32 - rest.y)), x);
}

// max 0.7 ULP (every 61st f32)
fn acos_f32(x: f32) -> f32 {
    let size = abs(x);
    if is_nan_f32(x) || size > 1.0 {
        return nan_f32();
    }
    if size <= 0.5 {
        let z = x * x;
        let sum = ordered_sum_f32(HALF_PI_F32, -x);
        return sum.x + (sum.y + (HALF_PI_LOW_F32 - x * z * asin_tail_f32(z)));
    }
    let result = acos_upper_f32(size);
    if x > 0.0 {
        return result.x + result.y;
    }
    let sum = ordered_sum_f32(2.0 * HALF_PI_F32, -result.x);
    return sum.x + (sum.y + (2.0 * HALF_PI_LOW_F32 - result.y));
}

// arctan(high + low) - high for 0 <= high <= 1.
fn atan_rest_f32(high: f32, low: f32) -> f32 {
    let z = high * high;
    let upper = 0.0676594377 + z * (-0.0450302251 + z * (0.0228296015 + z * (-0.00745510077 + z * 0.0011414293)));
    let middle = -0.142803431 + z * (0.110612877 + z * (-0.0882202983 + z * upper));
    return high * z * (-0.333333284 + z * (0.199997157 + z * middle)) + low / (1.0 + z);
}

// max 1.2 ULP (every 61st f32)
fn atan_f32(x: f32) -> f32 {
    let size = abs(x);
    if is_nan_f32(x) || size < 2.4e-4 {
        return x;
    }
    if size <= 1.0 {
        return copysign_f32(size + atan_rest_f32(size, 0.0), x);
    }
    if size > 1.0e9 {
        return copysign_f32(HALF_PI_F32, x);
    }
    let inverse = pair_quotient_f32(vec2<f32>(1.0, 0.0), vec2<f32>(size, 0.0));
    let sum = ordered_sum_f32(HALF_PI_F32, -inverse.x);
    return copysign_f32(sum.x + (sum.y + (HALF_PI_LOW_F32 - atan_rest_f32(inverse.x, inverse.y))), x);
}

// The quotient of two magnitudes small <= large, both finite and not both 0, as a pair unless it is tiny.
fn slope_f32(small: f32, large: f32) -> vec2<f32> {
    if magnitude_f32(large) < 0x800000u {
        // Subnormal numbers are as their bits.
        return pair_quotient_f32(vec2<f32>(f32(magnitude_f32(small)), 0.0), vec2<f32>(f32(magnitude_f32(large)), 0.0));
    }
    // Divisors beyond 2^126 are divided by with less precision.
    let shift = select(select(0, 64, large < 8.6736174e-19), -64, large > 1.8446744e19);
    let divisor = large * power_of_two_f32(shift);
    let dividend = small * power_of_two_f32(shift);
    if dividend < divisor * 9.313226e-10 {
        return vec2<f32>(dividend / divisor, 0.0);
    }
    return pair_quotient_f32(vec2<f32>(dividend, 0.0), vec2<f32>(divisor, 0.0));
}

// max 1.2 ULP (71 million pairs)
fn atan2_f32(y: f32, x: f32) -> f32 {
    if is_nan_f32(x) || is_nan_f32(y) {
        return nan_f32();
    }
    let steep = magnitude_f32(y) > magnitude_f32(x);
    let left = sign_bit_f32(x) != 0u;
    // The angle is base +- arctan(slope).
    let quarters = select(select(0.0, 2.0, left), 1.0, steep);
    var slope = vec2<f32>(0.0, 0.0);
    if is_inf_f32(x) && is_inf_f32(y) {
        slope.x = 1.0;
    } else if magnitude_f32(x) != 0u || magnitude_f32(y) != 0u {
        if !is_inf_f32(x) && !is_inf_f32(y) {
            slope = slope_f32(select(abs(y), abs(x), steep), select(abs(x), abs(y), steep));
        }
    }
    let sign = select(1.0, -1.0, steep != left);
    let rest = atan_rest_f32(slope.x, slope.y);
    let sum = ordered_sum_f32(quarters * HALF_PI_F32, sign * slope.x);
    return copysign_f32(sum.x + (sum.y + (quarters * HALF_PI_LOW_F32 + sign * rest)), y);
}
