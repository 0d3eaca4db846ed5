// f64: exponentials. Algorithms and coefficients are those of fdlibm (e_exp.c, s_expm1.c; Sun Microsystems, 1993).

// e^x = (1 + fraction)·2^exponent and the like: a number beyond the range of f64.
struct ScaledF64 {
    value: f64,
    exponent: i32,
}

// e^(hi − lo) for |hi − lo| < 0.36, where hi is exact and lo small or rounded.
fn exp_reduced_f64(hi: f64, lo: f64) -> f64 {
    let x = keep_f64(hi - lo);
    let z = x * x;
    let p = 1.66666666666666019e-01lf + z * (-2.77777777770155934e-03lf + z * (6.61375632143793436e-05lf
        + z * (-1.65339022054652515e-06lf + z * 4.13813679705723846e-08lf)));
    let c = x - z * p;
    return 1.0lf + keep_f64(keep_f64(x * c / (2.0lf - c) - lo) + hi);
}

// e^(hi + lo) for |hi| < 1400, where lo is small, as value·2^exponent with a value near 1.
fn exp_scaled_f64(hi: f64, lo: f64) -> ScaledF64 {
    let k = round((hi + lo) * 1.44269504088896339lf);
    // The product is exact, and so is the difference: the high part of ln 2 is short.
    let high = keep_f64(hi - k * 6.93147180369123816e-01lf);
    let low = k * 1.90821492927058770e-10lf - lo;
    return ScaledF64(exp_reduced_f64(high, low), i32(k));
}

// e^(hi + lo) where lo is small
fn exp_sum_f64(hi: f64, lo: f64) -> f64 {
    if is_nan_f64(hi) {
        return hi;
    }
    if hi > 710.0lf {
        return inf_f64();
    }
    if hi < -746.0lf {
        return 0.0lf;
    }
    let power = exp_scaled_f64(hi, lo);
    return ldexp_f64(power.value, power.exponent);
}

fn exp_f64(x: f64) -> f64 {
    return exp_sum_f64(x, 0.0lf);
}

fn exp2_f64(x: f64) -> f64 {
    if is_nan_f64(x) {
        return x;
    }
    if x >= 1024.0lf {
        return inf_f64();
    }
    if x < -1076.0lf {
        return 0.0lf;
    }
    let k = round(x);
    return ldexp_f64(exp_reduced_f64((x - k) * 6.93147180559945309e-01lf, 0.0lf), i32(k));
}

fn expm1_f64(x: f64) -> f64 {
    if is_nan_f64(x) || abs(x) < 5.5e-17lf {
        return x;
    }
    if x > 709.8lf {
        return inf_f64();
    }
    if x < -40.0lf {
        return -1.0lf;
    }
    let k = select(0.0lf, round(x * 1.44269504088896339lf), abs(x) > 0.34657359027997264lf);
    let hi = keep_f64(x - k * 6.93147180369123816e-01lf);
    let lo = k * 1.90821492927058770e-10lf;
    let r = keep_f64(hi - lo);
    // What the rounding of r lost.
    let c = keep_f64(hi - r) - lo;
    let half = 0.5lf * r;
    let square = r * half;
    let q = 1.0lf + square * (-3.33333333333331316e-02lf + square * (1.58730158725481460e-03lf
        + square * (-7.93650757867487942e-05lf + square * (4.00821782732936240e-06lf
        + square * -2.01099218183624371e-07lf))));
    let t = 3.0lf - q * half;
    let e = square * ((q - t) / (6.0lf - r * t));
    if k == 0.0lf {
        return r - (r * e - square);
    }
    let tail = keep_f64(r - ((r * (e - c) - c) - square));
    let exponent = i32(k);
    return ldexp_f64((1.0lf - pow2_f64(-min(exponent, 1000))) + tail, exponent);
}
