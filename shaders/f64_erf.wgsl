// f64: the error function, its complement and its inverse. The rational functions are those of fdlibm (s_erf.c;
// Sun Microsystems, 1993); the inverse starts from Giles, "Approximating the erfinv function" (GPU Computing Gems, Jade
// Edition, 2011), in single precision, and is refined by Halley's method.

// (erf(x) − x)/x for |x| < 0.84375, in z = x²
fn erf_ratio_f64(z: f64) -> f64 {
    let p = 1.28379167095512559e-01lf + z * (-3.25042107247001499e-01lf + z * (-2.84817495755985105e-02lf
        + z * (-5.77027029648944159e-03lf + z * -2.37630166566501626e-05lf)));
    let q = 1.0lf + z * (3.97917223959155353e-01lf + z * (6.50222499887672944e-02lf + z * (5.08130628187576563e-03lf
        + z * (1.32494738004321645e-04lf + z * -3.96022827877536812e-06lf))));
    return p / q;
}

// erf(x) − 0.845… for 0.84375 ≤ x < 1.25, in s = x − 1
fn erf_middle_f64(s: f64) -> f64 {
    let p = -2.36211856075265944e-03lf + s * (4.14856118683748332e-01lf + s * (-3.72207876035701324e-01lf
        + s * (3.18346619901161754e-01lf + s * (-1.10894694282396677e-01lf + s * (3.54783043256182359e-02lf
        + s * -2.16637559486879084e-03lf)))));
    let q = 1.0lf + s * (1.06420880400844228e-01lf + s * (5.40397917702171049e-01lf + s * (7.18286544141962663e-02lf
        + s * (1.26171219808761642e-01lf + s * (1.36370839120290507e-02lf + s * 1.19844998467991074e-02lf)))));
    return p / q;
}

// ln(x·erfc(x)) + x² + 0.5625 for 1.25 ≤ x < 1/0.35, in s = 1/x²
fn erfc_near_f64(s: f64) -> f64 {
    let p = -9.86494403484714823e-03lf + s * (-6.93858572707181764e-01lf + s * (-1.05586262253232910e+01lf
        + s * (-6.23753324503260060e+01lf + s * (-1.62396669462573470e+02lf + s * (-1.84605092906711036e+02lf
        + s * (-8.12874355063065934e+01lf + s * -9.81432934416914549e+00lf))))));
    let q = 1.0lf + s * (1.96512716674392571e+01lf + s * (1.37657754143519043e+02lf + s * (4.34565877475229229e+02lf
        + s * (6.45387271733267880e+02lf + s * (4.29008140027567833e+02lf + s * (1.08635005541779435e+02lf
        + s * (6.57024977031928170e+00lf + s * -6.04244152148580987e-02lf)))))));
    return p / q;
}

// The same for 1/0.35 ≤ x < 28.
fn erfc_far_f64(s: f64) -> f64 {
    let p = -9.86494292470009929e-03lf + s * (-7.99283237680523007e-01lf + s * (-1.77579549177547520e+01lf
        + s * (-1.60636384855821916e+02lf + s * (-6.37566443368389628e+02lf + s * (-1.02509513161107725e+03lf
        + s * -4.83519191608651397e+02lf)))));
    let q = 1.0lf + s * (3.03380607434824583e+01lf + s * (3.25792512996573919e+02lf + s * (1.53672958608443696e+03lf
        + s * (3.19985821950859554e+03lf + s * (2.55305040643316443e+03lf + s * (4.74528541206955367e+02lf
        + s * -2.24409524465858183e+01lf))))));
    return p / q;
}

// erfc(x) for 1.25 ≤ x < 28: the exponential is taken of −x² − 0.5625 and what its rounding lost.
fn erfc_tail_f64(x: f64) -> f64 {
    let s = 1.0lf / (x * x);
    var correction: f64;
    if x < 2.857142857142857lf {
        correction = erfc_near_f64(s);
    } else {
        correction = erfc_far_f64(s);
    }
    let square = pair_product_f64(x, x);
    let exponent = pair_sum_f64(-0.5625lf, -square.hi);
    let power = exp_scaled_f64(exponent.hi, exponent.lo + (correction - square.lo));
    return ldexp_f64(power.value / x, power.exponent);
}

fn erf_f64(x: f64) -> f64 {
    if is_nan_f64(x) {
        return x;
    }
    let size = abs(x);
    if size < 0.84375lf {
        return with_sign_f64(size + size * erf_ratio_f64(size * size), x);
    }
    if size < 1.25lf {
        return with_sign_f64(8.45062911510467529e-01lf + erf_middle_f64(size - 1.0lf), x);
    }
    if size < 6.0lf {
        return with_sign_f64(1.0lf - erfc_tail_f64(size), x);
    }
    return with_sign_f64(1.0lf, x);
}

fn erfc_f64(x: f64) -> f64 {
    if is_nan_f64(x) {
        return x;
    }
    let size = abs(x);
    if size < 0.84375lf {
        let y = erf_ratio_f64(x * x);
        if x < 0.25lf {
            return 1.0lf - (x + x * y);
        }
        return 0.5lf - keep_f64(keep_f64(x - 0.5lf) + x * y);
    }
    var tail = 0.0lf;
    if size < 1.25lf {
        tail = 1.54937088489532471e-01lf - erf_middle_f64(size - 1.0lf);
    } else if size < 28.0lf {
        tail = erfc_tail_f64(size);
    }
    return select(tail, 2.0lf - tail, x < 0.0lf);
}

// erfinv(x) within about 10⁻⁶ of itself where w = −ln(1 − x²) < 16, within 0.2 % beyond (erfc(y) ≈ exp(−y²)/(y√π))
fn erfinv_start_f64(x: f64, w: f64) -> f64 {
    if w < 5.0lf {
        let t = w - 2.5lf;
        return x * (1.50140941lf + t * (0.246640727lf + t * (-0.00417768164lf + t * (-0.00125372503lf
            + t * (0.00021858087lf + t * (-4.39150654e-06lf + t * (-3.5233877e-06lf + t * (3.43273939e-07lf
            + t * 2.81022636e-08lf))))))));
    }
    if w < 16.0lf {
        let t = sqrt(w) - 3.0lf;
        return x * (2.83297682lf + t * (1.00167406lf + t * (0.00943887047lf + t * (-0.0076224613lf
            + t * (0.00573950773lf + t * (-0.00367342844lf + t * (0.00134934322lf + t * (0.000100950558lf
            + t * -0.000200214257lf))))))));
    }
    // −ln(1 − x), without the factor 1 + x
    let log_tail = w + 0.69314718055994531lf;
    return sqrt(log_tail - 0.5lf * ln_f64(3.1415926535897931lf * log_tail));
}

fn erfinv_f64(x: f64) -> f64 {
    let size = abs(x);
    if is_nan_f64(x) || size > 1.0lf {
        return nan_f64();
    }
    if size == 1.0lf {
        return with_sign_f64(inf_f64(), x);
    }
    if size < 1e-9lf {
        return x * 0.886226925452758lf;
    }
    let w = -ln_f64((1.0lf - size) * (1.0lf + size));
    var y = erfinv_start_f64(size, w);
    var steps = select(1, 2, w >= 16.0lf);
    while steps > 0 {
        // erf(y) − x without rounding either term to an ULP of x: in the tail both complements are small.
        var residual: f64;
        if size < 0.75lf {
            residual = (y - size) + y * erf_ratio_f64(y * y);
        } else {
            residual = (1.0lf - size) - erfc_f64(y);
        }
        let step = residual * 0.886226925452758lf * exp_f64(y * y);
        y = y - step / (1.0lf + y * step);
        steps -= 1;
    }
    return with_sign_f64(y, x);
}
