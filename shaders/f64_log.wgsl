// f64: logarithms. Algorithms and coefficients are those of fdlibm and FreeBSD's msun (e_log.c, e_log2.c, e_log10.c,
// s_log1p.c; Sun Microsystems, 1993).

// x = (1 + fraction)·2^exponent with √½ ≤ 1 + fraction < √2
struct LogPartsF64 {
    fraction: f64,
    exponent: f64,
}

// for finite x > 0
fn log_parts_f64(x: f64) -> LogPartsF64 {
    let parts = decompose_f64(x);
    // The bits of √2.
    let above = parts.mantissa >= 0x0016a09e667f3bcdlu;
    let m = compose_f64(parts.mantissa, select(0, -1, above));
    return LogPartsF64(m - 1.0lf, f64(parts.exponent + select(0, 1, above)));
}

// Whether x is not a finite number > 0, and what its logarithm is then.
fn log_is_special_f64(x: f64) -> bool {
    return bitcast<u64>(x) - 1lu >= 0x7feffffffffffffflu;
}

fn log_special_f64(x: f64) -> f64 {
    if is_nan_f64(x) {
        return x;
    }
    if size_bits_f64(x) == 0lu {
        return -inf_f64();
    }
    return select(inf_f64(), nan_f64(), is_negative_f64(x));
}

// ln(1 + f) − f + f²/2 for √½ − 1 ≤ f < √2 − 1
fn log_tail_f64(f: f64) -> f64 {
    let s = f / (2.0lf + f);
    let z = s * s;
    let w = z * z;
    let even = w * (3.99999999994094191e-01lf + w * (2.22221984321497840e-01lf + w * 1.53138376992093733e-01lf));
    let odd = z * (6.66666666666673513e-01lf + w * (2.85714287436623915e-01lf + w * (1.81835721616180501e-01lf
        + w * 1.47981986051165859e-01lf)));
    return s * (0.5lf * f * f + (even + odd));
}

fn ln_f64(x: f64) -> f64 {
    if log_is_special_f64(x) {
        return log_special_f64(x);
    }
    let parts = log_parts_f64(x);
    let f = parts.fraction;
    let tail = log_tail_f64(f) + parts.exponent * 1.90821492927058770e-10lf;
    return keep_f64((tail - 0.5lf * f * f) + f) + parts.exponent * 6.93147180369123816e-01lf;
}

// ln(1 + f) as the sum of a number with 21 bits and a rest
struct LogSumF64 {
    high: f64,
    low: f64,
}

fn log_sum_f64(f: f64) -> LogSumF64 {
    let half_square = 0.5lf * f * f;
    let high = bitcast<f64>(bitcast<u64>(f - half_square) & 0xffffffff00000000lu);
    return LogSumF64(high, (keep_f64(f - high) - half_square) + log_tail_f64(f));
}

fn log2_f64(x: f64) -> f64 {
    if log_is_special_f64(x) {
        return log_special_f64(x);
    }
    let parts = log_parts_f64(x);
    let sum = log_sum_f64(parts.fraction);
    // 1/ln 2 in two parts: the first product is exact.
    let high = keep_f64(sum.high * 1.44269504072144627571lf);
    let low = (sum.low + sum.high) * 1.67517131648865118e-10lf + sum.low * 1.44269504072144627571lf;
    let total = keep_f64(parts.exponent + high);
    return keep_f64(low + (keep_f64(parts.exponent - total) + high)) + total;
}

fn log10_f64(x: f64) -> f64 {
    if log_is_special_f64(x) {
        return log_special_f64(x);
    }
    let parts = log_parts_f64(x);
    let sum = log_sum_f64(parts.fraction);
    // 1/ln 10 and log10 2 in two parts: the products with the high ones are exact.
    let high = keep_f64(sum.high * 4.34294481878168880939e-01lf);
    let low = parts.exponent * 3.69423907715893079e-13lf + (sum.low + sum.high) * 2.50829467116452753e-11lf
        + sum.low * 4.34294481878168880939e-01lf;
    let exponent = keep_f64(parts.exponent * 3.01029995663611771e-01lf);
    let total = keep_f64(exponent + high);
    return keep_f64(low + (keep_f64(exponent - total) + high)) + total;
}

fn log1p_f64(x: f64) -> f64 {
    if is_nan_f64(x) || x <= -1.0lf || is_inf_f64(x) {
        return log_special_f64(1.0lf + x);
    }
    if abs(x) < 1.1e-16lf {
        return x;
    }
    var f = x;
    var exponent = 0.0lf;
    // ln(1 + x) less the logarithm of its rounded argument.
    var correction = 0.0lf;
    if x < -0.29lf || x > 0.41lf {
        let argument = keep_f64(1.0lf + x);
        let parts = log_parts_f64(argument);
        f = parts.fraction;
        exponent = parts.exponent;
        let lost = select(x - keep_f64(argument - 1.0lf), 1.0lf - keep_f64(argument - x), x > 1.0lf);
        correction = lost / argument;
    }
    let tail = log_tail_f64(f) + (exponent * 1.90821492927058770e-10lf + correction);
    return keep_f64((tail - 0.5lf * f * f) + f) + exponent * 6.93147180369123816e-01lf;
}
