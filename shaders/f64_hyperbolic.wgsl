// f64: hyperbolic functions after fdlibm and musl (s_tanh.c, e_sinh.c, e_cosh.c), their inverses by log1p.

// e^x/2 for x > 22, up to overflow
fn half_exp_f64(x: f64) -> f64 {
    let power = exp_scaled_f64(min(x, 1000.0lf), 0.0lf);
    return ldexp_f64(power.value, power.exponent - 1);
}

fn sinh_f64(x: f64) -> f64 {
    let size = abs(x);
    if is_nan_f64(x) || size < 3.7e-9lf {
        return x;
    }
    if size > 22.0lf {
        return with_sign_f64(half_exp_f64(size), x);
    }
    let t = expm1_f64(size);
    if size < 1.0lf {
        return with_sign_f64(0.5lf * (2.0lf * t - t * t / (t + 1.0lf)), x);
    }
    return with_sign_f64(0.5lf * (t + t / (t + 1.0lf)), x);
}

fn cosh_f64(x: f64) -> f64 {
    if is_nan_f64(x) {
        return x;
    }
    let size = abs(x);
    if size > 22.0lf {
        return half_exp_f64(size);
    }
    let t = expm1_f64(size);
    return 1.0lf + t * t / (2.0lf * (1.0lf + t));
}

fn tanh_f64(x: f64) -> f64 {
    let size = abs(x);
    if is_nan_f64(x) || size < 3.7e-9lf {
        return x;
    }
    if size > 22.0lf {
        return with_sign_f64(1.0lf, x);
    }
    let t = expm1_f64(2.0lf * size);
    let sum = keep_f64(t + 2.0lf);
    if size > 1.0lf {
        return with_sign_f64(1.0lf - 2.0lf / sum, x);
    }
    // t/(t + 2), with what the sum lost; 1/(t + 2) is (1 − quotient)/2.
    let lost = t - keep_f64(sum - 2.0lf);
    let quotient = keep_f64(t / sum);
    return with_sign_f64(quotient - quotient * lost * (0.5lf - 0.5lf * quotient), x);
}

fn asinh_f64(x: f64) -> f64 {
    let size = abs(x);
    if !is_finite_f64(x) || size < 3.7e-9lf {
        return x;
    }
    if size > 1e18lf {
        return with_sign_f64(ln_f64(size) + 0.69314718055994531lf, x);
    }
    return with_sign_f64(log1p_f64(size + size * size / (1.0lf + sqrt(size * size + 1.0lf))), x);
}

fn acosh_f64(x: f64) -> f64 {
    if is_nan_f64(x) || x < 1.0lf {
        return nan_f64();
    }
    if x == 1.0lf {
        return 0.0lf;
    }
    if x > 1e18lf {
        return ln_f64(x) + 0.69314718055994531lf;
    }
    // ln(1 + t + √(t² + 2t)), with what the root and the sum lost
    let t = x - 1.0lf;
    let square = pair_product_f64(t, t);
    let radicand = pair_sum_f64(square.hi, 2.0lf * t);
    let root = keep_f64(sqrt(radicand.hi));
    let check = pair_product_f64(root, root);
    let lost = (keep_f64(radicand.hi - check.hi) - check.lo) + (radicand.lo + square.lo);
    let argument = pair_sum_f64(root, t);
    return log1p_f64(argument.hi) + (argument.lo + 0.5lf * lost / root) / (1.0lf + argument.hi);
}

fn atanh_f64(x: f64) -> f64 {
    let size = abs(x);
    if is_nan_f64(x) || size < 3.7e-9lf {
        return x;
    }
    if size >= 1.0lf {
        return select(nan_f64(), with_sign_f64(inf_f64(), x), size == 1.0lf);
    }
    let twice = 2.0lf * size;
    let argument = select(twice / (1.0lf - size), twice + twice * size / (1.0lf - size), size < 0.5lf);
    return with_sign_f64(0.5lf * log1p_f64(argument), x);
}
