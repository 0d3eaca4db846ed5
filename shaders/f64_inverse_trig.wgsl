// f64: inverse circular functions. Algorithms and coefficients are those of fdlibm (e_asin.c, e_acos.c, s_atan.c,
// e_atan2.c; Sun Microsystems, 1993).

// (asin(√z) − √z)/√z for 0 ≤ z ≤ ¼
fn asin_ratio_f64(z: f64) -> f64 {
    let p = z * (1.66666666666666657e-01lf + z * (-3.25565818622400915e-01lf + z * (2.01212532134862926e-01lf
        + z * (-4.00555345006794114e-02lf + z * (7.91534994289814532e-04lf + z * 3.47933107596021168e-05lf)))));
    let q = 1.0lf + z * (-2.40339491173441422e+00lf + z * (2.02094576023350569e+00lf
        + z * (-6.88283971605453293e-01lf + z * 7.70381505559019353e-02lf)));
    return p / q;
}

// √z as the sum of a number with 26 bits and a rest.
fn split_sqrt_f64(z: f64) -> PairF64 {
    let root = keep_f64(sqrt(z));
    if root == 0.0lf {
        return PairF64(0.0lf, 0.0lf);
    }
    let high = high_part_f64(root);
    return PairF64(high, keep_f64(z - high * high) / (root + high));
}

fn asin_f64(x: f64) -> f64 {
    let size = abs(x);
    if is_nan_f64(x) || size > 1.0lf {
        return nan_f64();
    }
    if size < 0.5lf {
        return x + x * asin_ratio_f64(x * x);
    }
    // π/2 − 2 asin √((1 − x)/2)
    let z = (1.0lf - size) * 0.5lf;
    let root = split_sqrt_f64(z);
    let r = asin_ratio_f64(z);
    let rest = 2.0lf * ((root.hi + root.lo) * r + root.lo) - 6.1232339957367660e-17lf;
    let value = keep_f64(1.5707963267948966lf - 2.0lf * root.hi) - rest;
    return with_sign_f64(value, x);
}

fn acos_f64(x: f64) -> f64 {
    let size = abs(x);
    if is_nan_f64(x) || size > 1.0lf {
        return nan_f64();
    }
    if size < 0.5lf {
        return 1.5707963267948966lf - keep_f64(x - (6.1232339957367660e-17lf - x * asin_ratio_f64(x * x)));
    }
    let z = (1.0lf - size) * 0.5lf;
    let root = split_sqrt_f64(z);
    let rest = (root.hi + root.lo) * asin_ratio_f64(z) + root.lo;
    if x < 0.0lf {
        return 2.0lf * (1.5707963267948966lf - keep_f64(root.hi + (rest - 6.1232339957367660e-17lf)));
    }
    return 2.0lf * (root.hi + rest);
}

// (atan(x) − x)/−x for |x| ≤ 7/16
fn atan_ratio_f64(x: f64) -> f64 {
    let z = x * x;
    let w = z * z;
    let even = z * (3.33333333333329318e-01lf + w * (1.42857142725034664e-01lf + w * (9.09088713343650656e-02lf
        + w * (6.66107313738753121e-02lf + w * (4.97687799461593236e-02lf + w * 1.62858201153657824e-02lf)))));
    let odd = w * (-1.99999999998764832e-01lf + w * (-1.11111104054623558e-01lf + w * (-7.69187620504482999e-02lf
        + w * (-5.83357013379057349e-02lf + w * -3.65315727442169155e-02lf))));
    return even + odd;
}

fn atan_f64(x: f64) -> f64 {
    if is_nan_f64(x) {
        return x;
    }
    let size = abs(x);
    if size < 0.4375lf {
        return with_sign_f64(size - size * atan_ratio_f64(size), x);
    }
    // atan x = atan c + atan((x − c)/(1 + cx)) with c = ½, 1, 1½ or ∞, and atan c in two parts.
    var hi = 1.5707963267948966lf;
    var lo = 6.1232339957367660e-17lf;
    var numerator = -1.0lf;
    var denominator = size;
    if size < 0.6875lf {
        hi = 4.63647609000806094e-01lf;
        lo = 2.26987774529616871e-17lf;
        numerator = 2.0lf * size - 1.0lf;
        denominator = 2.0lf + size;
    } else if size < 1.1875lf {
        hi = 7.85398163397448279e-01lf;
        lo = 3.06161699786838302e-17lf;
        numerator = size - 1.0lf;
        denominator = size + 1.0lf;
    } else if size < 2.4375lf {
        hi = 9.82793723247329054e-01lf;
        lo = 1.39033110312309985e-17lf;
        numerator = size - 1.5lf;
        denominator = 1.0lf + 1.5lf * size;
    }
    let t = keep_f64(numerator / denominator);
    return with_sign_f64(hi - keep_f64((t * atan_ratio_f64(t) - lo) - t), x);
}

fn atan2_f64(y: f64, x: f64) -> f64 {
    if is_nan_f64(x) || is_nan_f64(y) {
        return nan_f64();
    }
    let left = is_negative_f64(x);
    if size_bits_f64(y) == 0lu || (is_inf_f64(x) && !is_inf_f64(y)) {
        return with_sign_f64(select(0.0lf, 3.1415926535897931lf, left), y);
    }
    if is_inf_f64(x) {
        return with_sign_f64(select(0.78539816339744831lf, 2.3561944901923449lf, left), y);
    }
    if size_bits_f64(x) == 0lu || is_inf_f64(y) {
        return with_sign_f64(1.5707963267948966lf, y);
    }
    return with_sign_f64(angle_f64(y, x, left), y);
}

// |atan2(y, x)| for finite numbers that are not 0
fn angle_f64(y: f64, x: f64, left: bool) -> f64 {
    let y_parts = decompose_f64(y);
    let x_parts = decompose_f64(x);
    let distance = y_parts.exponent - x_parts.exponent;
    if distance > 64 {
        return 1.5707963267948966lf;
    }
    if distance < -64 {
        return select(abs(y / x), 3.1415926535897931lf, left);
    }
    // The quotient, whatever the device does with subnormal operands.
    let angle = atan_f64(compose_f64(y_parts.mantissa, distance) / compose_f64(x_parts.mantissa, 0));
    return select(angle, 3.1415926535897931lf - (angle - 1.2246467991473532e-16lf), left);
}
