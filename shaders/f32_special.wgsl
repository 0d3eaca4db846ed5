// The error functions and the gamma family on f32. Minimax polynomials (Remez, relative error unless said otherwise)
// with the arguments, and what would magnify a rounding, kept as pairs.

// (erf(x) - x) / x for z = x^2, |x| <= 0.92.
fn erf_tail_f32(z: f32) -> f32 {
    let upper = -0.0268562604 + z * (0.00519520184 + z * (-0.000809616758 + z * 8.24219096e-05));
    return 0.128379166 + z * (-0.376126289 + z * (0.112836257 + z * upper));
}

// max 1.4 ULP (every 61st f32)
fn erf_f32(x: f32) -> f32 {
    if is_nan_f32(x) {
        return x;
    }
    if abs(x) < 1e-18 {
        // The terms below could be flushed to 0 each.
        return x * 1.12837917;
    }
    if abs(x) < 0.92 {
        return x + x * erf_tail_f32(x * x);
    }
    // -ln erfc(x); from 4 on the result is 1.
    let t = min(abs(x), 4.0) - 1.0;
    let upper = 0.0415788777 + t * (-0.00993590336 + t * (0.00169629662 + t * (-1.55138605e-05 + t * -5.4134518e-05)));
    let exponent = 1.84960556 + t * (2.63896775 + t * (0.843096852 + t * upper));
    return copysign_f32(1.0 - exp_of_sum_f32(-exponent, 0.0, 0), x);
}

// (x + 2) e^(x^2) erfc(x) for x >= 1/2 up to 10.06, where t = 1 / (x + 2) - 0.241002411.
fn scaled_erfc_f32(t: f32) -> vec2<f32> {
    let upper = -7.29590464 + t * (11.5380545 + t * (17.0353394 + t * (-33.6998138 + t * -30.2051144)));
    let tail = t * (2.66875863 + t * (4.40597057 + t * (2.52494836 + t * (-5.1920929 + t * upper))));
    return ordered_sum_f32(0.997211814, tail);
}

// max 2.7 ULP (every 61st f32)
fn erfc_f32(x: f32) -> f32 {
    if is_nan_f32(x) {
        return x;
    }
    if x < 0.5 {
        return 1.0 - erf_f32(x);
    }
    // Beyond 10.06 the result is 0.
    let size = min(x, 10.2);
    let inverse = pair_quotient_f32(vec2<f32>(1.0, 0.0), exact_sum_f32(size, 2.0));
    let factor = scaled_erfc_f32(keep_f32(inverse.x - 0.241002411) + inverse.y);
    let square = exact_product_f32(size, size);
    let power = exp_of_sum_f32(-square.x, -square.y, 0);
    let product = pair_product_f32(factor, inverse);
    return power * product.x + power * product.y;
}

// erfinv(x) / x for w = -ln(1 - x^2) < 5.
fn erfinv_central_f32(w: f32) -> vec2<f32> {
    let difference = exact_sum_f32(w, -2.50042558);
    let t = difference.x;
    let top = 4.66724146e-07 + t * (2.29153141e-08 + t * -8.83082585e-09);
    let upper = -0.00125237019 + t * (0.00021831716 + t * (-4.97370092e-06 + t * (-3.45749186e-06 + t * top)));
    let sum = ordered_sum_f32(1.50151432, t * (0.246636733 + t * (-0.00417896081 + t * upper)));
    return vec2<f32>(sum.x, sum.y + difference.y * 0.25);
}

// erfinv(x) / x, where t = sqrt(w) - 3.00072098 and 5 <= w < 16.7.
fn erfinv_outer_f32(t: f32) -> vec2<f32> {
    let top = -6.05397872e-05 + t * (-0.000309755123 + t * 0.000116890376);
    let upper = -0.0076212124 + t * (0.00567346206 + t * (-0.00358977425 + t * (0.00148606917 + t * top)));
    return ordered_sum_f32(2.83369899, t * (1.0016886 + t * (0.00942887086 + t * upper)));
}

// max 2.1 ULP (every 61st f32)
fn erfinv_f32(x: f32) -> f32 {
    if magnitude_f32(x) >= 0x3f800000u {
        return select(nan_f32(), copysign_f32(inf_f32(), x), magnitude_f32(x) == 0x3f800000u);
    }
    let size = abs(x);
    let square = exact_product_f32(size, size);
    let rest = ordered_sum_f32(1.0, -square.x);
    let w = -ln_of_sum_f32(rest.x, rest.y - square.y, 0);
    var factor = vec2<f32>(0.0, 0.0);
    if w < 5.0 {
        factor = erfinv_central_f32(w);
    } else {
        let root = pair_sqrt_f32(vec2<f32>(w, 0.0));
        factor = erfinv_outer_f32(keep_f32(root.x - 3.00072098) + root.y);
    }
    return copysign_f32(size * factor.x + size * factor.y, x);
}

// (1/Gamma(1 + t) - 1) / t for |t| <= 1/2 (absolute error of the product with t).
fn gamma_tail_f32(t: f32) -> f32 {
    let upper = -0.00963242725 + t * (0.00721016759 + t * (-0.00109924097 + t * -0.000210528102));
    return 0.577215672 + t * (-0.655878067 + t * (-0.0420028716 + t * (0.166539073 + t * (-0.0421953052 + t * upper))));
}

// A non-zero number as (high + low) * 2^shift.
struct Scaled_f32 {
    high: f32,
    low: f32,
    shift: i32,
}

// Gamma(x) for 1e-8 < |x| < 50 off the poles: Gamma(1 + t) with |t| <= 1/2 times or divided by the factors that lie
// between, which are exact. Where the result is below the range, high is 0 or NaN.
fn gamma_scaled_f32(x: f32) -> Scaled_f32 {
    let nearest = round(x);
    let t = x - nearest;
    let inverse = ordered_sum_f32(1.0, t * gamma_tail_f32(t));
    let count = i32(nearest);
    // From the smallest factor on, so that nothing overflows before the product does.
    let below = count < 1;
    var product = vec2<f32>(select(0.25, t, below), 0.0);
    let step = select(-1, 1, below);
    for (var i = 1; i <= select(count - 1, -count, below); i++) {
        let factor = x - f32(count + step * i);
        let high = exact_product_f32(product.x, factor);
        product = vec2<f32>(high.x, high.y + product.y * factor);
    }
    if !below {
        let result = pair_quotient_f32(product, inverse);
        return Scaled_f32(result.x, result.y, 2);
    }
    // 2^64 keeps the quotient away from the subnormal numbers.
    let result = pair_quotient_f32(vec2<f32>(1.8446744e19, 0.0), pair_product_f32(product, inverse));
    return Scaled_f32(result.x, result.y, -64);
}

// Whether x is 0 or a negative integer.
fn is_pole_f32(x: f32) -> bool {
    return magnitude_f32(x) == 0u || (x < 0.0 && floor(x) == x);
}

// max 1.7 ULP for x > 0, also at the roots; below, 1.7 ULP of max(|result|, 1) (every 61st f32)
fn gamma_f32(x: f32) -> f32 {
    if magnitude_f32(x) <= 0x200000u {
        // 0, and what overflows.
        return copysign_f32(inf_f32(), x);
    }
    if magnitude_f32(x) >= 0x7f800000u || is_pole_f32(x) {
        return select(nan_f32(), x, x > 0.0);
    }
    if abs(x) < 1e-8 {
        return 1.0 / x;
    }
    if x > 35.1 {
        return inf_f32();
    }
    let odd = x < 0.0 && floor(0.5 * floor(x)) != 0.5 * floor(x);
    let sign = select(0u, 0x80000000u, odd);
    var size = 0.0;
    if x > -43.0 {
        let result = gamma_scaled_f32(x);
        size = abs(result.high + result.low) * power_of_two_f32(result.shift);
    }
    return bitcast<f32>(select(bitcast<u32>(size), 0u, is_nan_f32(size)) | sign);
}

// ln Gamma(x) for x >= 10, by Stirling's series (DLMF 5.11.1).
fn stirling_f32(x: f32) -> vec2<f32> {
    let inverse = 1.0 / x;
    let z = inverse * inverse;
    let series = inverse * (0.0833333358 + z * (-0.00277777785 + z * 0.000793650805));
    let reduced = reduce_logarithm_f32(x);
    let parts = ln_reduced_f32(reduced.k, reduced.f, 0.0);
    let logarithm = exact_sum_f32(parts.x, -1.0);
    let less = ordered_sum_f32(logarithm.x, parts.y);
    let product = pair_product_f32(exact_sum_f32(x, -0.5), vec2<f32>(less.x, less.y + logarithm.y));
    // ln(2 pi) / 2 - 1/2.
    let sum = ordered_sum_f32(product.x, 0.418938518 + series);
    return vec2<f32>(sum.x, sum.y + (product.y + 1.563417662e-08));
}

// ln |Gamma(x)| for x between 1/2 and 5/2, with its zeros at 1 and 2; from 3/2 on a polynomial about the second one.
fn lgamma_near_zeros_f32(x: f32) -> f32 {
    if x < 1.5 {
        let t = x - 1.0;
        return -log1p_of_sum_f32(t * gamma_tail_f32(t), 0.0);
    }
    let t = x - 2.0;
    let upper = 0.00288048713 + t * (-0.00108844915 + t * (0.000567983894 + t * -0.000443196885));
    let middle = -0.0673514754 + t * (0.0205813441 + t * (-0.00740183564 + t * upper));
    return t * (0.422784328 + t * (0.322467029 + t * middle));
}

// ln |Gamma(x)| for x < -30 off the poles, by reflection (DLMF 5.5.3).
fn lgamma_reflected_f32(x: f32) -> f32 {
    let distance = abs(x - round(x));
    let near = distance <= 0.25;
    let angle = 3.14159265 * select(0.5 - distance, distance, near);
    var sine = 0.0;
    if near {
        sine = sin_reduced_f32(angle, 0.0);
    } else {
        sine = cos_reduced_f32(angle, 0.0);
    }
    let other = stirling_f32(-x);
    // ln pi = 1.14472989.
    let rest = 1.14472989 - ln_of_sum_f32(sine, 0.0, 0) - ln_of_sum_f32(-x, 0.0, 0);
    let sum = exact_sum_f32(-other.x, rest);
    return sum.x + (sum.y - other.y);
}

// max 3.1 ULP for x > 0, also at the roots; below, 2.5 ULP of max(|result|, 1) (every 61st f32)
fn lgamma_f32(x: f32) -> f32 {
    if is_nan_f32(x) {
        return x;
    }
    if is_inf_f32(x) || is_pole_f32(x) {
        return inf_f32();
    }
    if abs(x) < 1e-8 {
        return -ln_f32(abs(x));
    }
    if x > 1.0e10 {
        // The other terms of Stirling's series are below half an ULP.
        return x * (ln_f32(x) - 1.0);
    }
    if x >= 10.0 {
        let result = stirling_f32(x);
        return result.x + result.y;
    }
    if x == 1.0 {
        return 0.0;
    }
    if x >= 0.5 && x <= 2.5 {
        return lgamma_near_zeros_f32(x);
    }
    if x < -30.0 {
        return lgamma_reflected_f32(x);
    }
    let result = gamma_scaled_f32(x);
    return ln_of_sum_f32(abs(result.high), select(result.low, -result.low, result.high < 0.0), result.shift);
}

// ln x + half_inverse - 1/(12 x^2) + ... for x >= 4, where half_inverse is +-1/(2x) (DLMF 5.11.2).
fn digamma_series_f32(x: f32, half_inverse: f32) -> vec2<f32> {
    let z = 4.0 * half_inverse * half_inverse;
    let upper = -0.00416666688 + z * 0.00757575780;
    let series = z * (0.0833333358 + z * (-0.00833333377 + z * (0.0039682542 + z * upper)));
    let reduced = reduce_logarithm_f32(x);
    let logarithm = ln_reduced_f32(reduced.k, reduced.f, 0.0);
    return vec2<f32>(logarithm.x, logarithm.y + (half_inverse - series));
}

// psi(1 + y) for 0 <= y < 1: the polynomial about its root times the distance from the root.
fn digamma_about_root_f32(y: f32) -> f32 {
    let t = keep_f32(y - 0.461632133) - 1.243815007e-08;
    let top = 0.0491425283 + t * (-0.0325764567 + t * (0.0216748472 + t * (-0.0192784835 + t * 0.0125328107)));
    let upper = 0.258502036 + t * (-0.163943201 + t * (0.107775435 + t * (-0.0722239166 + t * top)));
    return t * (0.967672229 + t * (-0.44276315 + t * upper));
}

// psi(1 + y) for y >= 0.
fn digamma_above_one_f32(y: f32) -> vec2<f32> {
    if y >= 4.0 {
        return digamma_series_f32(y, 0.5 / y);
    }
    let whole = floor(y);
    var result = vec2<f32>(digamma_about_root_f32(y - whole), 0.0);
    for (var i = 0.0; i < whole; i += 1.0) {
        let inverse = pair_quotient_f32(vec2<f32>(1.0, 0.0), vec2<f32>(y - i, 0.0));
        let sum = exact_sum_f32(result.x, inverse.x);
        result = vec2<f32>(sum.x, result.y + (sum.y + inverse.y));
    }
    return result;
}

// pi cot(pi x), for an x > 1e-8 that is no integer.
fn cotangent_pi_f32(x: f32) -> vec2<f32> {
    let distance = x - round(x);
    let inverse = pair_quotient_f32(vec2<f32>(1.0, 0.0), vec2<f32>(distance, 0.0));
    let z = distance * distance;
    let upper = 1.96266234 + z * (2.40582848 + z * (0.149621964 + z * 5.92248821));
    return vec2<f32>(inverse.x, inverse.y - distance * (3.28986859 + z * (2.16458225 + z * (2.0372715 + z * upper))));
}

// max 3.3 ULP for x > 0, also at the roots; below, 3.0 ULP of max(|result|, 1) (every 61st f32)
fn digamma_f32(x: f32) -> f32 {
    if magnitude_f32(x) <= 0x200000u {
        // 0, and what overflows.
        return copysign_f32(inf_f32(), -x);
    }
    if magnitude_f32(x) >= 0x7f800000u || is_pole_f32(x) {
        return select(nan_f32(), x, x > 0.0);
    }
    if abs(x) < 1e-8 {
        return -1.0 / x;
    }
    if x >= 4.0 {
        let result = digamma_series_f32(x, -0.5 / x);
        return result.x + result.y;
    }
    if x >= 1.0 {
        let result = digamma_above_one_f32(x - 1.0);
        return result.x + result.y;
    }
    var other = vec2<f32>(0.0, 0.0);
    if x > 0.0 {
        other = pair_quotient_f32(vec2<f32>(-1.0, 0.0), vec2<f32>(x, 0.0));
    } else {
        other = cotangent_pi_f32(-x);
    }
    let result = digamma_above_one_f32(abs(x));
    let sum = exact_sum_f32(other.x, result.x);
    return sum.x + (sum.y + (other.y + result.y));
}
