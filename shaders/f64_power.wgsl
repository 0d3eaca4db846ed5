// f64: powers and roots.

// ln x for finite x > 0, with a relative error near 2^−65: 2·atanh(s) with s = (m − 1)/(m + 1) and x = m·2^k. The
// polynomial is (atanh(s)/s − 1 − s²/3)/s⁴ in s² (Chebyshev fit by mpmath).
fn pair_ln_f64(x: f64) -> PairF64 {
    let parts = log_parts_f64(x);
    let f = parts.fraction;
    let s = pair_div_f64(PairF64(f, 0.0lf), pair_ordered_f64(2.0lf, f));
    let square = pair_mul_f64(s, s);
    let u = square.hi;
    let tail = 2.0000000000000000e-01lf + u * (0.14285714285714687lf + u * (0.11111111110824641lf
        + u * (0.09090909168444268lf + u * (0.07692297401428141lf + u * (0.06667406684555924lf
        + u * (0.05853002125150056lf + u * 0.058628016300963384lf))))));
    let third = pair_mul_f64(square, PairF64(0.33333333333333331lf, 1.8503717077085942e-17lf));
    let series = pair_ordered_f64(1.0lf, third.hi);
    let factor = pair_ordered_f64(series.hi, series.lo + (third.lo + u * u * tail));
    let m = pair_mul_f64(s, factor);
    // The first product is exact.
    let exponent = pair_sum_f64(parts.exponent * 6.93147180369123816e-01lf, 2.0lf * m.hi);
    return pair_ordered_f64(exponent.hi, exponent.lo + (2.0lf * m.lo + parts.exponent * 1.90821492927058770e-10lf));
}

fn is_integer_f64(x: f64) -> bool {
    return floor(x) == x;
}

// for an integer
fn is_odd_f64(x: f64) -> bool {
    return abs(x) < 9007199254740992.0lf && !is_integer_f64(0.5lf * x);
}

// |x|^y where one of them is 0 or infinite
fn pow_limit_f64(x: f64, y: f64) -> f64 {
    let size = abs(x);
    if size == 1.0lf {
        return 1.0lf;
    }
    return select(0.0lf, inf_f64(), (size > 1.0lf) != is_negative_f64(y));
}

// |x|^y for finite numbers, x ≠ 0
fn pow_size_f64(x: f64, y: f64) -> f64 {
    let logarithm = pair_ln_f64(x);
    let estimate = logarithm.hi * y;
    if abs(estimate) > 800.0lf {
        return select(inf_f64(), 0.0lf, estimate < 0.0lf);
    }
    let exponent = pair_scale_f64(logarithm, y);
    return exp_sum_f64(exponent.hi, exponent.lo);
}

fn pow_f64(x: f64, y: f64) -> f64 {
    if size_bits_f64(y) == 0lu || x == 1.0lf {
        return 1.0lf;
    }
    if is_nan_f64(x) || is_nan_f64(y) {
        return nan_f64();
    }
    var size: f64;
    if size_bits_f64(x) == 0lu || is_inf_f64(x) || is_inf_f64(y) {
        size = pow_limit_f64(x, y);
    } else if x < 0.0lf && !is_integer_f64(y) {
        return nan_f64();
    } else {
        size = pow_size_f64(x, y);
    }
    let negative = is_negative_f64(x) && is_integer_f64(y) && is_odd_f64(y);
    return select(size, -size, negative);
}

// FreeBSD's msun, s_cbrt.c: a third of the exponent, a polynomial, one step of Newton's method from 23 bits.
fn cbrt_f64(x: f64) -> f64 {
    if !is_finite_f64(x) || size_bits_f64(x) == 0lu {
        return x;
    }
    let parts = decompose_f64(x);
    let third = u32(parts.exponent + 3072) / 3u;
    let z = compose_f64(parts.mantissa, parts.exponent + 3072 - i32(3u * third));
    var t = bitcast<f64>(u64(u32(bitcast<u64>(z) >> 32u) / 3u + 715094163u) << 32u);
    let r = (t * t) * (t / z);
    t = t * ((1.87595182427177010lf + r * (-1.88497979543377170lf + r * 1.62142972010535447lf))
        + r * r * r * (-0.75839793477876605lf + r * 0.14599619288661245lf));
    // 23 bits: t·t is exact.
    t = bitcast<f64>((bitcast<u64>(t) + 0x80000000lu) & 0xffffffffc0000000lu);
    let quotient = keep_f64(z / (t * t));
    let root = t + t * ((quotient - t) / (t + t + quotient));
    return with_sign_f64(root * pow2_f64(i32(third) - 1024), x);
}

fn hypot_f64(x: f64, y: f64) -> f64 {
    if is_inf_f64(x) || is_inf_f64(y) {
        return inf_f64();
    }
    if is_nan_f64(x) || is_nan_f64(y) {
        return nan_f64();
    }
    let swapped = size_bits_f64(x) < size_bits_f64(y);
    let large = select(x, y, swapped);
    let small = select(y, x, swapped);
    if size_bits_f64(small) == 0lu {
        return abs(large);
    }
    let large_parts = decompose_f64(large);
    let small_parts = decompose_f64(small);
    // The larger one is taken to [1, 2).
    let a = compose_f64(large_parts.mantissa, 0);
    let b = compose_f64(small_parts.mantissa, max(small_parts.exponent - large_parts.exponent, -100));
    return ldexp_f64(sqrt(a * a + b * b), large_parts.exponent);
}
