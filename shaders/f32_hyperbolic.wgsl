// Hyperbolic functions and their inverses on f32: odd minimax polynomials (Remez, relative error) near 0, elsewhere the
// formulas with exponentials and logarithms.

// max 1.6 ULP (every 61st f32)
fn sinh_f32(x: f32) -> f32 {
    let size = abs(x);
    if is_nan_f32(x) || size < 2.4e-4 {
        return x;
    }
    if size < 1.0 {
        let z = x * x;
        return x + x * z * (0.166666672 + z * (0.00833331048 + z * (0.000198428956 + z * 2.78221319e-06)));
    }
    let half = exp_of_sum_f32(min(size, 150.0), 0.0, -1);
    // A division by infinity may be NaN.
    return copysign_f32(select(half, half - 0.25 / half, size < 16.0), x);
}

// max 1.2 ULP (every 61st f32)
fn cosh_f32(x: f32) -> f32 {
    if is_nan_f32(x) {
        return x;
    }
    let size = abs(x);
    let half = exp_of_sum_f32(min(size, 150.0), 0.0, -1);
    // A division by infinity may be NaN.
    return select(half, half + 0.25 / half, size < 16.0);
}

// max 1.4 ULP (every 61st f32)
fn tanh_f32(x: f32) -> f32 {
    let size = abs(x);
    if is_nan_f32(x) || size < 2.4e-4 {
        return x;
    }
    if size < 0.625 {
        let z = x * x;
        let upper = 0.0216973312 + z * (-0.00815619249 + z * 0.0021141388);
        return x + x * z * (-0.333333313 + z * (0.133332208 + z * (-0.0539473146 + z * upper)));
    }
    let power = exp_of_sum_f32(2.0 * min(size, 10.0), 0.0, 0);
    return copysign_f32(1.0 - 2.0 / (power + 1.0), x);
}

// max 0.8 ULP (every 61st f32)
fn asinh_f32(x: f32) -> f32 {
    let size = abs(x);
    if magnitude_f32(x) >= 0x7f800000u || size < 2.4e-4 {
        return x;
    }
    if size < 0.5 {
        let z = x * x;
        let upper = 0.0300336815 + z * (-0.0200501345 + z * 0.00925751776);
        return x + x * z * (-0.166666657 + z * (0.0749990717 + z * (-0.0446161032 + z * upper)));
    }
    if size > 16777216.0 {
        return copysign_f32(ln_of_sum_f32(size, 0.0, 1), x);
    }
    let square = exact_product_f32(size, size);
    let sum = exact_sum_f32(square.x, 1.0);
    let root = pair_sqrt_f32(vec2<f32>(sum.x, sum.y + square.y));
    let argument = ordered_sum_f32(root.x, size);
    return copysign_f32(ln_of_sum_f32(argument.x, argument.y + root.y, 0), x);
}

// max 0.8 ULP (every 61st f32)
fn acosh_f32(x: f32) -> f32 {
    if is_nan_f32(x) || bitcast<i32>(x) < 0x3f800000 {
        return nan_f32();
    }
    if is_inf_f32(x) || x == 1.0 {
        return select(0.0, x, is_inf_f32(x));
    }
    if x > 16777216.0 {
        return ln_of_sum_f32(x, 0.0, 1);
    }
    if x < 2.0 {
        // x - 1 is exact.
        let t = x - 1.0;
        let square = exact_product_f32(t, t);
        let sum = ordered_sum_f32(2.0 * t, square.x);
        let root = pair_sqrt_f32(vec2<f32>(sum.x, sum.y + square.y));
        let argument = ordered_sum_f32(root.x, t);
        return log1p_of_sum_f32(argument.x, argument.y + root.y);
    }
    let square = exact_product_f32(x, x);
    let sum = ordered_sum_f32(square.x, -1.0);
    let root = pair_sqrt_f32(vec2<f32>(sum.x, sum.y + square.y));
    let argument = ordered_sum_f32(x, root.x);
    return ln_of_sum_f32(argument.x, argument.y + root.y, 0);
}

// max 0.8 ULP (every 61st f32)
fn atanh_f32(x: f32) -> f32 {
    let size = abs(x);
    if is_nan_f32(x) || size < 2.4e-4 {
        return x;
    }
    if size >= 1.0 {
        return select(nan_f32(), copysign_f32(inf_f32(), x), magnitude_f32(x) == 0x3f800000u);
    }
    if size < 0.5 {
        let z = x * x;
        let upper = 0.1181641 + z * (0.0516031161 + z * 0.176380619);
        return x + x * z * (0.333333015 + z * (0.20002453 + z * (0.142237842 + z * upper)));
    }
    let ratio = pair_quotient_f32(vec2<f32>(2.0 * size, 0.0), vec2<f32>(1.0 - size, 0.0));
    return copysign_f32(0.5 * log1p_of_sum_f32(ratio.x, ratio.y), x);
}
