// f64: the gamma function and the logarithm of its size. Stirling's series with the recurrence below 10, the reflection
// formula below 0 (Abramowitz and Stegun 6.1.40, 6.1.16, 6.1.17; DLMF 5.11.1, 5.5.1, 5.5.3), and fdlibm's e_lgamma_r.c
// (Sun Microsystems, 1993).

// |sin πx| for any finite x
fn sin_pi_size_f64(x: f64) -> f64 {
    // Exact: x lies within ½ of an integer.
    let distance = abs(x - round(x));
    let centered = distance <= 0.25lf;
    let angle = pair_scale_f64(PairF64(3.1415926535897931lf, 1.2246467991473532e-16lf),
        select(0.5lf - distance, distance, centered));
    if centered {
        return sin_reduced_f64(angle.hi, angle.lo);
    }
    return cos_reduced_f64(angle.hi, angle.lo);
}

// Γ(x) = √(2π)·value·2^exponent/product
struct StirlingF64 {
    value: f64,
    exponent: i32,
    product: PairF64,
}

// for 0 < x < 186
fn stirling_f64(x: f64) -> StirlingF64 {
    var product = PairF64(1.0lf, 0.0lf);
    var shifted = PairF64(x, 0.0lf);
    while shifted.hi < 10.0lf {
        product = pair_mul_f64(product, shifted);
        shifted = pair_add_f64(shifted, PairF64(1.0lf, 0.0lf));
    }
    let w = shifted.hi;
    let inverse = 1.0lf / w;
    let z = inverse * inverse;
    let series = inverse * (8.3333333333333333e-02lf + z * (-2.7777777777777778e-03lf + z * (7.9365079365079365e-04lf
        + z * (-5.9523809523809524e-04lf + z * (8.4175084175084175e-04lf + z * (-1.9175269175269175e-03lf
        + z * (6.4102564102564103e-03lf + z * -2.9550653594771242e-02lf)))))));
    // Γ(w + lo) ≈ Γ(w)·exp(lo·ψ(w)).
    let logarithm = pair_ln_f64(w);
    let correction = shifted.lo * (logarithm.hi - 0.5lf * inverse);
    let power = pair_scale_f64(logarithm, w - 0.5lf);
    let exponent = pair_add_f64(power, PairF64(-w, 0.0lf));
    let scaled = exp_scaled_f64(exponent.hi, exponent.lo + (series + correction));
    return StirlingF64(scaled.value, scaled.exponent, product);
}

// (n − 1)! for an integer 0 < n ≤ 23, a number of f64
fn factorial_f64(n: f64) -> f64 {
    var product = 1.0lf;
    for (var i = 2.0lf; i < n; i += 1.0lf) {
        product *= i;
    }
    return product;
}

fn gamma_f64(x: f64) -> f64 {
    if is_nan_f64(x) {
        return x;
    }
    if abs(x) < 1e-17lf {
        // The next term, Euler's constant, is below half an ULP.
        return 1.0lf / x;
    }
    let whole = is_integer_f64(x);
    if x < 0.0lf && whole {
        return nan_f64();
    }
    if x > 172.0lf {
        return inf_f64();
    }
    let negative = x < 0.0lf && is_odd_f64(floor(x));
    if x < -185.0lf {
        return bitcast<f64>(select(0lu, 0x8000000000000000lu, negative));
    }
    if whole && x <= 23.0lf {
        return factorial_f64(x);
    }
    let parts = stirling_f64(abs(x));
    if x > 0.0lf {
        let root = PairF64(2.5066282746310007lf, -1.8328579980459167e-16lf);
        let size = pair_div_f64(pair_scale_f64(root, parts.value), parts.product);
        return ldexp_f64(size.hi, parts.exponent);
    }
    // π/(−x·sin πx·Γ(−x)), where π/√(2π) is √(π/2).
    let sine = pair_product_f64(sin_pi_size_f64(x), -x);
    let numerator = pair_mul_f64(PairF64(1.2533141373155003lf, -9.1642899902295834e-17lf), parts.product);
    let size = pair_div_f64(numerator, pair_scale_f64(sine, parts.value)).hi;
    return ldexp_f64(select(size, -size, negative), -parts.exponent);
}

// ln Γ(2 − y) for 0 ≤ y ≤ 0.27
fn lgamma_below_two_f64(y: f64) -> f64 {
    let z = y * y;
    let even = 7.72156649015328655e-02lf + z * (6.73523010531292681e-02lf + z * (7.38555086081402884e-03lf
        + z * (1.19270763183362068e-03lf + z * (2.20862790713908386e-04lf + z * 2.52144565451257327e-05lf))));
    let odd = z * (3.22467033424113592e-01lf + z * (2.05808084325167333e-02lf + z * (2.89051383673415629e-03lf
        + z * (5.10069792153511337e-04lf + z * (1.08011567247583940e-04lf + z * 4.48640949618915160e-05lf)))));
    return (y * even + odd) - 0.5lf * y;
}

// ln Γ(1.4616… + y) for −0.24 ≤ y ≤ 0.27, about the minimum
fn lgamma_about_minimum_f64(y: f64) -> f64 {
    let z = y * y;
    let w = z * y;
    let p1 = 4.83836122723810047e-01lf + w * (-3.27885410759859650e-02lf + w * (6.10053870246291333e-03lf
        + w * (-1.40346469989232844e-03lf + w * 3.15632070903625950e-04lf)));
    let p2 = -1.47587722994593912e-01lf + w * (1.79706750811820387e-02lf + w * (-3.68452016781138257e-03lf
        + w * (8.81081882437654011e-04lf + w * -3.12754168375120861e-04lf)));
    let p3 = 6.46249402391333855e-02lf + w * (-1.03142241298341437e-02lf + w * (2.25964780900612472e-03lf
        + w * (-5.38595305356740547e-04lf + w * 3.35529192635519073e-04lf)));
    return keep_f64(z * p1 + (3.63867699703950537e-18lf + w * (p2 + y * p3))) - 1.21486290535849611e-01lf;
}

// ln Γ(1 + y) for −0.2 ≤ y ≤ 0.24
fn lgamma_about_one_f64(y: f64) -> f64 {
    let p = y * (-7.72156649015328655e-02lf + y * (6.32827064025093367e-01lf + y * (1.45492250137234769e+00lf
        + y * (9.77717527963372746e-01lf + y * (2.28963728064692451e-01lf + y * 1.33810918536787660e-02lf)))));
    let q = 1.0lf + y * (2.45597793713041134e+00lf + y * (2.12848976379893395e+00lf + y * (7.69285150456672784e-01lf
        + y * (1.04222645593369134e-01lf + y * 3.21709242282423912e-03lf))));
    return p / q - 0.5lf * y;
}

// ln Γ(x) for 0 < x < 2
fn lgamma_small_f64(x: f64) -> f64 {
    // Below 0.9: ln Γ(x) = ln Γ(x + 1) − ln x.
    let raised = x <= 0.9lf;
    let above = select(x, x + 1.0lf, raised);
    var value: f64;
    if above >= 1.7316lf {
        value = lgamma_below_two_f64(select(2.0lf - x, 1.0lf - x, raised));
    } else if above >= 1.2316lf {
        value = lgamma_about_minimum_f64(x - select(1.46163214496836225lf, 0.46163214496836225lf, raised));
    } else {
        value = lgamma_about_one_f64(select(x - 1.0lf, x, raised));
    }
    if raised {
        value -= ln_f64(x);
    }
    return value;
}

// ln Γ(x) for 2 ≤ x < 8: ln Γ(2 + y) and the logarithm of the factors between
fn lgamma_medium_f64(x: f64) -> f64 {
    let y = x - floor(x);
    let p = y * (-7.72156649015328655e-02lf + y * (2.14982415960608853e-01lf + y * (3.25778796408930982e-01lf
        + y * (1.46350472652464453e-01lf + y * (2.66422703033638610e-02lf + y * (1.84028451407337716e-03lf
        + y * 3.19475326584100868e-05lf))))));
    let q = 1.0lf + y * (1.39200533467621046e+00lf + y * (7.21935547567138070e-01lf + y * (1.71933865632803079e-01lf
        + y * (1.86459191715652901e-02lf + y * (7.77942496381893596e-04lf + y * 7.32668430744625636e-06lf)))));
    var product = 1.0lf;
    for (var factor = x - 1.0lf; factor >= 2.0lf; factor -= 1.0lf) {
        product *= factor;
    }
    return 0.5lf * y + p / q + ln_f64(product);
}

// ln Γ(x) for finite x ≥ 8
fn lgamma_large_f64(x: f64) -> f64 {
    let z = 1.0lf / x;
    let y = z * z;
    let series = 4.18938533204672725e-01lf + z * (8.33333333333329679e-02lf + y * (-2.77777777728775536e-03lf
        + y * (7.93650558643019559e-04lf + y * (-5.95187557450339963e-04lf + y * (8.36339918996282139e-04lf
        + y * -1.63092934096575274e-03lf)))));
    return (x - 0.5lf) * (ln_f64(x) - 1.0lf) + series;
}

fn lgamma_positive_f64(x: f64) -> f64 {
    if x == 1.0lf {
        return 0.0lf;
    }
    if x < 2.0lf {
        return lgamma_small_f64(x);
    }
    if x < 8.0lf {
        return lgamma_medium_f64(x);
    }
    return lgamma_large_f64(x);
}

fn lgamma_f64(x: f64) -> f64 {
    if is_nan_f64(x) {
        return x;
    }
    if is_inf_f64(x) || (x <= 0.0lf && is_integer_f64(x)) {
        return inf_f64();
    }
    if abs(x) < 1e-17lf {
        return -ln_f64(abs(x));
    }
    if x > 0.0lf {
        return lgamma_positive_f64(x);
    }
    if x > -170.0lf {
        // Near its zeros the error is that of Γ relative to 1, which the reflection of the logarithm would not reach.
        return ln_f64(abs(gamma_f64(x)));
    }
    return -ln_f64(-x * sin_pi_size_f64(x) / 3.1415926535897931lf) - lgamma_positive_f64(-x);
}
