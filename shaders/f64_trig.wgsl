// f64: sine, cosine, tangent. The polynomials are those of fdlibm (k_sin.c, k_cos.c, k_tan.c; Sun Microsystems, 1993);
// arguments are reduced after Cody and Waite up to 2^20 and after Payne and Hanek (1983), in integers, beyond.

// x = quadrant·π/2 + hi + lo with |hi| ≤ π/4, the quadrant modulo 4
struct AngleF64 {
    quadrant: u32,
    hi: f64,
    lo: f64,
}

// 64 zero bits, then the first 1216 bits of 2/π behind the point
const TWO_OVER_PI_BITS_F64: array<u64, 20> = array<u64, 20>(
    0x0000000000000000lu, 0xa2f9836e4e441529lu, 0xfc2757d1f534ddc0lu, 0xdb6295993c439041lu, 0xfe5163abdebbc561lu,
    0xb7246e3a424dd2e0lu, 0x06492eea09d1921clu, 0xfe1deb1cb129a73elu, 0xe88235f52ebb4484lu, 0xe99c7026b45f7e41lu,
    0x3991d639835339f4lu, 0x9c845f8bbdf9283blu, 0x1ff897ffde05980flu, 0xef2f118b5a0a6d1flu, 0x6d367ecf27cb09b7lu,
    0x4f463f669e5fea2dlu, 0x7527bac7ebe5f17blu, 0x3d0739f78a5292ealu, 0x6bfb5fb11f8d5d08lu, 0x56033046fc7b6bablu,
);

// The upper half of a·b.
fn multiply_high_f64(a: u64, b: u64) -> u64 {
    let a_high = a >> 32u;
    let a_low = a & 0xfffffffflu;
    let b_high = b >> 32u;
    let b_low = b & 0xfffffffflu;
    let middle = a_high * b_low + ((a_low * b_low) >> 32u);
    let carry = a_low * b_high + (middle & 0xfffffffflu);
    return a_high * b_high + (middle >> 32u) + (carry >> 32u);
}

// The 64 bits of two words from the given bit on.
fn shifted_bits_f64(first: u64, second: u64, shift: u32) -> u64 {
    return (first << shift) | ((second >> 1u) >> (63u - shift));
}

// For finite |x| ≥ 2^20: the mantissa times those bits of 2/π that reach neither multiples of 4 nor far below the
// smallest fraction that a number of f64 leaves (about 2^−61).
fn reduce_large_f64(x: f64) -> AngleF64 {
    let parts = decompose_f64(x);
    let bit = u32(parts.exponent + 10);
    let word = bit / 64u;
    let shift = bit & 63u;
    var table = TWO_OVER_PI_BITS_F64;
    let second_word = table[word + 1u];
    let third_word = table[word + 2u];
    let top = shifted_bits_f64(table[word], second_word, shift);
    let second = shifted_bits_f64(second_word, third_word, shift);
    let third = shifted_bits_f64(third_word, table[word + 3u], shift);
    let low = parts.mantissa * second + multiply_high_f64(parts.mantissa, third);
    let carry = select(0lu, 1lu, low < parts.mantissa * second);
    let high = parts.mantissa * top + multiply_high_f64(parts.mantissa, second) + carry;
    // Two bits of the quadrant, then the fraction, taken to [−½, ½).
    var first = (high << 2u) | (low >> 62u);
    var rest = low << 2u;
    let negative = (first >> 63u) != 0lu;
    let quadrant = u32(high >> 62u) + select(0u, 1u, negative);
    if negative {
        rest = ~rest + 1lu;
        first = ~first + select(0lu, 1lu, rest == 0lu);
    }
    var scale = -53;
    if first == 0lu {
        first = rest;
        rest = 0lu;
        scale = -117;
    }
    let zeros = leading_zeros_f64(first);
    first = shifted_bits_f64(first, rest, zeros);
    rest = rest << zeros;
    let unit = pow2_f64(scale - i32(zeros));
    let hi = whole_f64(first >> 11u) * unit;
    let lo = whole_f64(((first & 0x7fflu) << 42u) | (rest >> 22u)) * (unit * 1.1102230246251565e-16lf);
    let angle = pair_mul_f64(PairF64(hi, lo), PairF64(1.5707963267948966lf, 6.1232339957367660e-17lf));
    if is_negative_f64(x) != negative {
        return AngleF64(select(quadrant, 0u - quadrant, is_negative_f64(x)) & 3u, -angle.hi, -angle.lo);
    }
    return AngleF64(select(quadrant, 0u - quadrant, is_negative_f64(x)) & 3u, angle.hi, angle.lo);
}

// For finite x; π/2 in four parts, the products with the first three of them exact (fdlibm, e_rem_pio2.c).
fn reduce_angle_f64(x: f64) -> AngleF64 {
    if abs(x) >= 1048576.0lf {
        return reduce_large_f64(x);
    }
    let count = round(x * 6.36619772367581343e-01lf);
    let first = keep_f64(x - count * 1.57079632673412561e+00lf);
    let second = pair_sum_f64(first, -(count * 6.07710050630396598e-11lf));
    let third = pair_sum_f64(second.hi, -(count * 2.02226624871116646e-21lf));
    let angle = pair_ordered_f64(third.hi, (second.lo + third.lo) - count * 8.47842766036889957e-32lf);
    return AngleF64(bitcast<u32>(i32(count)) & 3u, angle.hi, angle.lo);
}

// sin(x + y) for |x| ≤ π/4 and y the rest of x
fn sin_reduced_f64(x: f64, y: f64) -> f64 {
    let z = x * x;
    let r = 8.33333333332248946e-03lf + z * (-1.98412698298579493e-04lf + z * (2.75573137070700677e-06lf
        + z * (-2.50507602534068634e-08lf + z * 1.58969099521155010e-10lf)));
    let v = z * x;
    return x - keep_f64((z * (0.5lf * y - v * r) - y) + v * 1.66666666666666324e-01lf);
}

// cos(x + y) likewise
fn cos_reduced_f64(x: f64, y: f64) -> f64 {
    let z = x * x;
    let r = z * (4.16666666666666019e-02lf + z * (-1.38888888888741096e-03lf + z * (2.48015872894767294e-05lf
        + z * (-2.75573143513906633e-07lf + z * (2.08757232129817483e-09lf + z * -1.13596475577881948e-11lf)))));
    let half = keep_f64(0.5lf * z);
    let w = keep_f64(1.0lf - half);
    return w + keep_f64((keep_f64(1.0lf - w) - half) + (z * r - x * y));
}

// tan(x + y) likewise, or −1/tan(x + y)
fn tan_reduced_f64(x: f64, y: f64, inverse: bool) -> f64 {
    let large = abs(x) >= 0.6744lf;
    var head = x;
    var tail = y;
    if large {
        // tan(π/4 − t) = (1 − tan t)/(1 + tan t)
        let flip = select(1.0lf, -1.0lf, x < 0.0lf);
        head = keep_f64(0.78539816339744831lf - flip * x) + (3.06161699786838302e-17lf - flip * y);
        tail = 0.0lf;
    }
    let z = head * head;
    let w = z * z;
    let even = 1.33333333333201243e-01lf + w * (2.18694882948595425e-02lf + w * (3.59207910759131235e-03lf
        + w * (5.88041240820264097e-04lf + w * (7.81794442939557092e-05lf + w * -1.85586374855275457e-05lf))));
    let odd = z * (5.39682539762260521e-02lf + w * (8.86323982359930006e-03lf + w * (1.45620945432529026e-03lf
        + w * (2.46463134818469907e-04lf + w * (7.14072491382608190e-05lf + w * 2.59073051863633713e-05lf)))));
    let s = z * head;
    let r = tail + z * (s * (even + odd) + tail) + s * 3.33333333333334092e-01lf;
    let sum = keep_f64(head + r);
    if large {
        let one = select(1.0lf, -1.0lf, inverse);
        let value = one - 2.0lf * (head + (r - sum * sum / (sum + one)));
        return select(value, -value, x < 0.0lf);
    }
    if !inverse {
        return sum;
    }
    // −1/(head + r), the quotient corrected by the residual of its high part.
    let sum_high = high_part_f64(sum);
    let rest = r - keep_f64(sum_high - head);
    let quotient = keep_f64(-1.0lf / sum);
    let quotient_high = high_part_f64(quotient);
    return quotient_high + quotient * (keep_f64(1.0lf + quotient_high * sum_high) + quotient_high * rest);
}

fn sin_f64(x: f64) -> f64 {
    if abs(x) < 7.4e-9lf {
        return x;
    }
    if !is_finite_f64(x) {
        return nan_f64();
    }
    let angle = reduce_angle_f64(x);
    var value: f64;
    if (angle.quadrant & 1u) != 0u {
        value = cos_reduced_f64(angle.hi, angle.lo);
    } else {
        value = sin_reduced_f64(angle.hi, angle.lo);
    }
    return select(value, -value, angle.quadrant >= 2u);
}

fn cos_f64(x: f64) -> f64 {
    if !is_finite_f64(x) {
        return nan_f64();
    }
    let angle = reduce_angle_f64(x);
    var value: f64;
    if (angle.quadrant & 1u) != 0u {
        value = sin_reduced_f64(angle.hi, angle.lo);
    } else {
        value = cos_reduced_f64(angle.hi, angle.lo);
    }
    return select(value, -value, angle.quadrant == 1u || angle.quadrant == 2u);
}

fn tan_f64(x: f64) -> f64 {
    if abs(x) < 7.4e-9lf {
        return x;
    }
    if !is_finite_f64(x) {
        return nan_f64();
    }
    let angle = reduce_angle_f64(x);
    return tan_reduced_f64(angle.hi, angle.lo, (angle.quadrant & 1u) != 0u);
}
