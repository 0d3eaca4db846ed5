// f64: numbers kept as an unevaluated sum of two, about 100 bits. Error-free transformations after Dekker (1971) and
// Knuth (The Art of Computer Programming, vol. 2, 4.2.2); every part whose rounding matters passes the barrier.

// hi + lo with |lo| ≤ ulp(hi)/2
struct PairF64 {
    hi: f64,
    lo: f64,
}

// a + b where |a| ≥ |b|, exactly
fn pair_ordered_f64(a: f64, b: f64) -> PairF64 {
    let hi = keep_f64(a + b);
    return PairF64(hi, keep_f64(b - keep_f64(hi - a)));
}

// a + b, exactly
fn pair_sum_f64(a: f64, b: f64) -> PairF64 {
    let swapped = abs(a) < abs(b);
    return pair_ordered_f64(select(a, b, swapped), select(b, a, swapped));
}

// a·b, exactly but for the last bit of lo
fn pair_product_f64(a: f64, b: f64) -> PairF64 {
    let hi = keep_f64(a * b);
    let a_high = high_part_f64(a);
    let b_high = high_part_f64(b);
    let a_low = keep_f64(a - a_high);
    let b_low = keep_f64(b - b_high);
    let rest = keep_f64(a_high * b_high - hi);
    return PairF64(hi, keep_f64(((rest + a_high * b_low) + a_low * b_high) + a_low * b_low));
}

fn pair_add_f64(a: PairF64, b: PairF64) -> PairF64 {
    let high = pair_sum_f64(a.hi, b.hi);
    return pair_ordered_f64(high.hi, high.lo + (a.lo + b.lo));
}

fn pair_scale_f64(a: PairF64, factor: f64) -> PairF64 {
    let high = pair_product_f64(a.hi, factor);
    return pair_ordered_f64(high.hi, high.lo + a.lo * factor);
}

fn pair_mul_f64(a: PairF64, b: PairF64) -> PairF64 {
    let high = pair_product_f64(a.hi, b.hi);
    return pair_ordered_f64(high.hi, high.lo + (a.hi * b.lo + a.lo * b.hi));
}

fn pair_div_f64(a: PairF64, b: PairF64) -> PairF64 {
    let quotient = keep_f64(a.hi / b.hi);
    let product = pair_product_f64(quotient, b.hi);
    let rest = keep_f64(keep_f64(a.hi - product.hi) - product.lo) + (a.lo - quotient * b.lo);
    return pair_ordered_f64(quotient, rest / b.hi);
}
