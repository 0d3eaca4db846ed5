// f64: signs, extremes, comparison, remainder.

// exact
fn sign_f64(x: f64) -> f64 {
    if x > 0.0lf {
        return 1.0lf;
    }
    return select(x, -1.0lf, x < 0.0lf);
}

// exact; abs instead of a mask, because lavapipe with LLVM 15 miscompiles the bitwise choice under nested branches
fn copysign_f64(x: f64, y: f64) -> f64 {
    return bitcast<f64>(bitcast<u64>(abs(x)) | (bitcast<u64>(y) & 0x8000000000000000lu));
}

// exact
fn maximum_f64(x: f64, y: f64) -> f64 {
    return select(y, x, is_nan_f64(x) || x > y || (x == y && is_negative_f64(y)));
}

// exact
fn minimum_f64(x: f64, y: f64) -> f64 {
    return select(y, x, is_nan_f64(x) || x < y || (x == y && !is_negative_f64(y)));
}

// exact
fn fmax_f64(x: f64, y: f64) -> f64 {
    if is_nan_f64(y) {
        return x;
    }
    return select(maximum_f64(x, y), y, is_nan_f64(x));
}

// exact
fn fmin_f64(x: f64, y: f64) -> f64 {
    if is_nan_f64(y) {
        return x;
    }
    return select(minimum_f64(x, y), y, is_nan_f64(x));
}

// exact
fn ne_f64(x: f64, y: f64) -> bool {
    return !(x == y);
}

// C's fmod of the sizes, |x| mod |y|, for finite x and y ≠ 0: long division of the mantissas, 30 bits at a time.
fn fmod_size_f64(x: f64, y: f64) -> f64 {
    if size_bits_f64(x) < size_bits_f64(y) {
        return abs(x);
    }
    let dividend = decompose_f64(x);
    let divisor = decompose_f64(y);
    let by = divisor.mantissa;
    let by_number = whole_f64(by);
    var rest = dividend.mantissa;
    if rest >= by {
        rest -= by;
    }
    var left = dividend.exponent - divisor.exponent;
    while left > 0 && rest != 0lu {
        let count = min(left, 30);
        left -= count;
        // The estimate is off by 1 at most; the true rest fits, whatever overflows on the way.
        let digit = u64(u32(i32(whole_f64(rest) * pow2_f64(count) / by_number)));
        let difference = bitcast<i64>((rest << u32(count)) - digit * by);
        rest = bitcast<u64>(select(difference, difference + bitcast<i64>(by), difference < 0li));
        rest = select(rest, rest - by, rest >= by);
    }
    if rest == 0lu {
        return 0.0lf;
    }
    let shift = leading_zeros_f64(rest) - 11u;
    let exponent = divisor.exponent - i32(shift);
    if exponent < -1022 {
        return bitcast<f64>((rest << shift) >> u32(-1022 - exponent));
    }
    return compose_f64(rest << shift, exponent);
}

// C's fmod: exact, with the sign of x; NaN for infinite x or y = 0.
fn fmod_f64(x: f64, y: f64) -> f64 {
    if is_nan_f64(x) || is_nan_f64(y) || is_inf_f64(x) || size_bits_f64(y) == 0lu {
        return nan_f64();
    }
    if is_inf_f64(y) {
        return x;
    }
    return with_sign_f64(fmod_size_f64(x, y), x);
}

// exact but for one rounding
fn rem_f64(x: f64, y: f64) -> f64 {
    let r = fmod_f64(x, y);
    if size_bits_f64(r) == 0lu {
        return with_sign_f64(0.0lf, y);
    }
    return select(r, r + y, is_negative_f64(r) != is_negative_f64(y));
}

// the definition's roundings
fn floor_div_f64(x: f64, y: f64) -> f64 {
    if size_bits_f64(y) == 0lu {
        return x / y;
    }
    let r = fmod_f64(x, y);
    var quotient = keep_f64(keep_f64(x - r) / y);
    if size_bits_f64(r) != 0lu && is_negative_f64(r) != is_negative_f64(y) {
        quotient = keep_f64(quotient - 1.0lf);
    }
    if quotient == 0.0lf {
        return bitcast<f64>((bitcast<u64>(x) ^ bitcast<u64>(y)) & 0x8000000000000000lu);
    }
    // The quotient is an integer but for its own rounding.
    let below = floor(quotient);
    return select(below, below + 1.0lf, quotient - below > 0.5lf);
}
