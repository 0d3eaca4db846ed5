// f64: the digamma function. The asymptotic series with the recurrence below 10, the reflection formula below 0, and
// the Taylor series about the positive root (Abramowitz and Stegun 6.3.18, 6.3.5, 6.3.7; DLMF 5.11.2, 5.5.2, 5.5.4).
// Sums are kept as pairs of numbers, because near the roots large terms cancel.

// sin(x) for |x| ≤ π/4, the first two terms of the series as pairs
fn pair_sin_f64(x: PairF64) -> PairF64 {
    let square = pair_mul_f64(x, x);
    let s = square.hi;
    let series = x.hi * s * s * (8.3333333333333333e-03lf + s * (-1.9841269841269841e-04lf
        + s * (2.7557319223985891e-06lf + s * (-2.5052108385441719e-08lf + s * (1.6059043836821615e-10lf
        + s * (-7.6471637318198165e-13lf + s * 2.8114572543455208e-15lf))))));
    let cube = pair_mul_f64(pair_mul_f64(x, square), PairF64(-0.16666666666666666lf, -9.2518585385429707e-18lf));
    let head = pair_ordered_f64(x.hi, cube.hi);
    return pair_ordered_f64(head.hi, head.lo + (x.lo + cube.lo + series));
}

// cos(x) likewise
fn pair_cos_f64(x: PairF64) -> PairF64 {
    let square = pair_mul_f64(x, x);
    let s = square.hi;
    let series = s * s * (4.1666666666666667e-02lf + s * (-1.3888888888888889e-03lf + s * (2.4801587301587302e-05lf
        + s * (-2.7557319223985891e-07lf + s * (2.0876756987868099e-09lf + s * (-1.1470745597729725e-11lf
        + s * (4.7794773323873853e-14lf + s * -1.5619206968586226e-16lf)))))));
    let head = pair_ordered_f64(1.0lf, -0.5lf * s);
    return pair_ordered_f64(head.hi, head.lo + (series - 0.5lf * square.lo));
}

// π·|cot πx| for any finite x that is no integer
fn pair_cot_pi_f64(x: f64) -> PairF64 {
    // Exact: x lies within ½ of an integer.
    let distance = abs(x - round(x));
    let centered = distance <= 0.25lf;
    let pi = PairF64(3.1415926535897931lf, 1.2246467991473532e-16lf);
    let angle = pair_scale_f64(pi, select(0.5lf - distance, distance, centered));
    let sine = pair_sin_f64(angle);
    let cosine = pair_cos_f64(angle);
    if centered {
        return pair_div_f64(pair_mul_f64(pi, cosine), sine);
    }
    return pair_div_f64(pair_mul_f64(pi, sine), cosine);
}

// ψ(x) for finite x > 0
fn pair_digamma_f64(x: f64) -> PairF64 {
    var sum = PairF64(0.0lf, 0.0lf);
    var shifted = PairF64(x, 0.0lf);
    while shifted.hi < 10.0lf {
        sum = pair_add_f64(sum, pair_div_f64(PairF64(-1.0lf, 0.0lf), shifted));
        shifted = pair_add_f64(shifted, PairF64(1.0lf, 0.0lf));
    }
    let w = shifted.hi;
    let inverse = 1.0lf / w;
    let z = inverse * inverse;
    let series = z * (-8.3333333333333333e-02lf + z * (8.3333333333333333e-03lf + z * (-3.9682539682539683e-03lf
        + z * (4.1666666666666667e-03lf + z * (-7.5757575757575758e-03lf + z * (2.1092796092796093e-02lf
        + z * (-8.3333333333333333e-02lf + z * 4.4325980392156863e-01lf)))))));
    let half = pair_div_f64(PairF64(-0.5lf, 0.0lf), shifted);
    let value = pair_add_f64(pair_add_f64(pair_ln_f64(w), half), sum);
    return pair_add_f64(value, PairF64(series + shifted.lo * inverse, 0.0lf));
}

// ψ(x) where |x − root| < 0.2, root the positive one: coefficients (−1)^(k+1)·ζ(k + 1, root) by mpmath
fn digamma_about_root_f64(x: f64) -> f64 {
    let d = keep_f64(x - 1.4616321449683622lf) - 9.549995429965697e-17lf;
    return d * (0.9676722454476212lf + d * (-0.4427631689835921lf + d * (0.258499760955651lf
        + d * (-0.16394270544240652lf + d * (0.10782405069126237lf + d * (-0.07219956125645471lf
        + d * (0.04880428816414311lf + d * (-0.03316112647484736lf + d * (0.022597648232218104lf
        + d * (-0.01542476590494896lf + d * (0.010538791616612175lf + d * (-0.007204534386356869lf
        + d * (0.004926781395729853lf + d * (-0.003369801655439328lf + d * (0.002305126326734928lf
        + d * (-0.0015769367714301972lf + d * (0.0010788252019162967lf + d * (-0.0007380709389960052lf
        + d * (0.000504953265834602lf + d * (-0.0003454680251063077lf
        + d * 0.00023635601564027053lf))))))))))))))))))));
}

fn digamma_f64(x: f64) -> f64 {
    if is_nan_f64(x) || (is_inf_f64(x) && x > 0.0lf) {
        return x;
    }
    if abs(x) < 1e-17lf {
        // The next term, Euler's constant, is below half an ULP.
        return -1.0lf / x;
    }
    if x < 0.0lf && is_integer_f64(x) {
        return nan_f64();
    }
    if abs(x - 1.4616321449683622lf) < 0.2lf {
        return digamma_about_root_f64(x);
    }
    let value = pair_digamma_f64(abs(x));
    if x > 0.0lf {
        return value.hi + value.lo;
    }
    // ψ(x) = ψ(−x) − 1/x − π·cot πx; the cotangent has the sign of the distance from the nearest integer.
    let cotangent = pair_cot_pi_f64(x);
    let sign = select(1.0lf, -1.0lf, x > round(x));
    let shifted = pair_add_f64(value, pair_div_f64(PairF64(-1.0lf, 0.0lf), PairF64(x, 0.0lf)));
    let total = pair_add_f64(shifted, PairF64(sign * cotangent.hi, sign * cotangent.lo));
    return total.hi + total.lo;
}
