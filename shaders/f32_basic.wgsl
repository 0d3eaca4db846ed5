// Exact operations on f32: signs, classes, extremes, remainders. They look at the bits, so that neither a NaN, a result
// zero nor a subnormal number is lost to a driver that assumes there are none.

// x, where no compiler can see that it is: nothing is contracted, reassociated or folded across it.
fn keep_f32(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) ^ hidden_zero());
}

fn inf_f32() -> f32 {
    return bitcast<f32>(0x7f800000u ^ hidden_zero());
}

fn nan_f32() -> f32 {
    return bitcast<f32>(0x7fc00000u ^ hidden_zero());
}

// The bits of |x|; they order as the magnitudes do, infinity above all numbers and NaN above infinity.
fn magnitude_f32(x: f32) -> u32 {
    return bitcast<u32>(x) & 0x7fffffffu;
}

fn sign_bit_f32(x: f32) -> u32 {
    return bitcast<u32>(x) & 0x80000000u;
}

// exact
fn is_nan_f32(x: f32) -> bool {
    return magnitude_f32(x) > 0x7f800000u;
}

// exact
fn is_inf_f32(x: f32) -> bool {
    return magnitude_f32(x) == 0x7f800000u;
}

// exact
fn is_finite_f32(x: f32) -> bool {
    return magnitude_f32(x) < 0x7f800000u;
}

// exact
fn ne_f32(x: f32, y: f32) -> bool {
    return !(x == y);
}

// exact
fn copysign_f32(x: f32, y: f32) -> f32 {
    return bitcast<f32>(magnitude_f32(x) | sign_bit_f32(y));
}

// exact
fn sign_f32(x: f32) -> f32 {
    let size = magnitude_f32(x);
    return select(x, copysign_f32(1.0, x), size != 0u && size <= 0x7f800000u);
}

// An integer that orders as the numbers do, with -0 below +0.
fn order_f32(x: f32) -> i32 {
    let bits = bitcast<i32>(x);
    return select(bits, bits ^ 0x7fffffff, bits < 0);
}

// exact
fn maximum_f32(x: f32, y: f32) -> f32 {
    return select(y, x, is_nan_f32(x) || (order_f32(x) >= order_f32(y) && !is_nan_f32(y)));
}

// exact
fn minimum_f32(x: f32, y: f32) -> f32 {
    return select(y, x, is_nan_f32(x) || (order_f32(x) <= order_f32(y) && !is_nan_f32(y)));
}

// exact
fn fmax_f32(x: f32, y: f32) -> f32 {
    return select(y, x, is_nan_f32(y) || (order_f32(x) >= order_f32(y) && !is_nan_f32(x)));
}

// exact
fn fmin_f32(x: f32, y: f32) -> f32 {
    return select(y, x, is_nan_f32(y) || (order_f32(x) <= order_f32(y) && !is_nan_f32(x)));
}

// A positive number as mantissa * 2^exponent with a mantissa of 24 bits.
struct Parts_f32 {
    mantissa: u32,
    exponent: i32,
}

// The parts of |x|, which is neither 0 nor infinite; subnormal numbers too.
fn parts_f32(x: f32) -> Parts_f32 {
    let size = magnitude_f32(x);
    if size >= 0x800000u {
        return Parts_f32((size & 0x7fffffu) | 0x800000u, i32(size >> 23u) - 150);
    }
    let shift = countLeadingZeros(size) - 8u;
    return Parts_f32(size << shift, -149 - i32(shift));
}

// mantissa * 2^exponent for a mantissa below 2^24; infinite beyond the range, and cut off below the subnormal numbers.
fn from_parts_f32(mantissa: u32, exponent: i32) -> f32 {
    if mantissa == 0u {
        return 0.0;
    }
    let shift = countLeadingZeros(mantissa) - 8u;
    let normal = mantissa << shift;
    let biased = exponent - i32(shift) + 150;
    if biased > 254 {
        return inf_f32();
    }
    if biased > 0 {
        return bitcast<f32>((u32(biased) << 23u) | (normal & 0x7fffffu));
    }
    return bitcast<f32>(normal >> min(u32(1 - biased), 31u));
}

// The remainder of x by y for x >= y, as a multiple of 2^(exponent of y): eight bits of the quotient a turn.
fn remainder_mantissa_f32(x: Parts_f32, y: Parts_f32) -> u32 {
    var rest = x.mantissa % y.mantissa;
    var bits = x.exponent - y.exponent;
    while bits > 0 && rest != 0u {
        let step = min(bits, 8);
        rest = (rest << u32(step)) % y.mantissa;
        bits -= step;
    }
    return rest;
}

// y - x rounded, for 0 < x < y; small numbers are subtracted as larger ones, which no driver flushes to 0.
fn complement_f32(x: f32, y: f32) -> f32 {
    if magnitude_f32(y) > 0x20000000u {
        return y - x;
    }
    let small = parts_f32(x);
    let large = parts_f32(y);
    let minuend = from_parts_f32(large.mantissa, large.exponent + 64);
    let result = parts_f32(minuend - from_parts_f32(small.mantissa, small.exponent + 64));
    return from_parts_f32(result.mantissa, result.exponent - 64);
}

// exact
fn rem_f32(x: f32, y: f32) -> f32 {
    let size_y = magnitude_f32(y);
    if magnitude_f32(x) >= 0x7f800000u || size_y > 0x7f800000u || size_y == 0u {
        return nan_f32();
    }
    var rest = magnitude_f32(x);
    if rest >= size_y {
        let divisor = parts_f32(y);
        rest = bitcast<u32>(from_parts_f32(remainder_mantissa_f32(parts_f32(x), divisor), divisor.exponent));
    }
    if rest == 0u {
        return bitcast<f32>(sign_bit_f32(y));
    }
    if sign_bit_f32(x) == sign_bit_f32(y) {
        return bitcast<f32>(rest | sign_bit_f32(y));
    }
    return copysign_f32(complement_f32(bitcast<f32>(rest), abs(y)), y);
}

// x / y rounded to nearest, for normal numbers whose quotient is at least 1/2; drivers may round a division elsewhere.
fn divide_rounded_f32(x: f32, y: f32) -> f32 {
    let divisor = parts_f32(y);
    var rest = parts_f32(x).mantissa;
    var exponent = parts_f32(x).exponent - divisor.exponent - 23;
    if rest < divisor.mantissa {
        rest <<= 1u;
        exponent -= 1;
    }
    // One bit before the point, which is set, and 24 behind it.
    var quotient = 1u;
    rest -= divisor.mantissa;
    for (var i = 0; i < 3; i++) {
        rest <<= 8u;
        quotient = (quotient << 8u) | (rest / divisor.mantissa);
        rest %= divisor.mantissa;
    }
    let up = (quotient & 1u) == 1u && (rest != 0u || (quotient & 2u) == 2u);
    quotient = (quotient >> 1u) + select(0u, 1u, up);
    if quotient == 0x1000000u {
        quotient = 0x800000u;
        exponent += 1;
    }
    return bitcast<f32>(bitcast<u32>(from_parts_f32(quotient, exponent)) | (sign_bit_f32(x) ^ sign_bit_f32(y)));
}

// exact
fn floor_div_f32(x: f32, y: f32) -> f32 {
    let size_x = magnitude_f32(x);
    let size_y = magnitude_f32(y);
    let sign = sign_bit_f32(x) ^ sign_bit_f32(y);
    if size_x >= 0x7f800000u || size_y > 0x7f800000u {
        // An infinity over zero is infinite, as every number but zero is.
        return select(nan_f32(), bitcast<f32>(0x7f800000u | sign), size_x == 0x7f800000u && size_y == 0u);
    }
    if size_y == 0u {
        return select(bitcast<f32>(0x7f800000u | sign), nan_f32(), size_x == 0u);
    }
    if size_x < size_y {
        return select(bitcast<f32>(sign), -1.0, sign != 0u && size_x != 0u);
    }
    return floor_quotient_f32(x, y);
}

// The rounded quotient down to an integer, for |x| >= |y| > 0.
fn floor_quotient_f32(x: f32, y: f32) -> f32 {
    var dividend = parts_f32(x);
    var divisor = parts_f32(y);
    if dividend.exponent < -83 {
        // Both away from the subnormal numbers.
        dividend.exponent += 64;
        divisor.exponent += 64;
    }
    let size = from_parts_f32(dividend.mantissa, dividend.exponent);
    let rest = from_parts_f32(remainder_mantissa_f32(dividend, divisor), divisor.exponent);
    let divisor_size = from_parts_f32(divisor.mantissa, divisor.exponent);
    var quotient = divide_rounded_f32(keep_f32(size - rest), divisor_size);
    let negative = sign_bit_f32(x) != sign_bit_f32(y);
    if negative {
        quotient = -quotient - select(0.0, 1.0, magnitude_f32(rest) != 0u);
    }
    let below = floor(quotient);
    return select(below, below + 1.0, keep_f32(quotient - below) > 0.5);
}
