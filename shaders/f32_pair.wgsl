// Numbers kept as an unevaluated sum of two f32, as vec2(high, low). The error-free transformations (Dekker 1971;
// Knuth, The Art of Computer Programming, vol. 2, 4.2.2) hold their roundings apart with keep_f32; factors are split by
// bits, so that every partial product is exact and nothing depends on whether a driver fuses multiplication and
// addition. Operands are so far from overflow and underflow that the low parts of their products are normal numbers.

// a + b exactly, for |a| >= |b|.
fn ordered_sum_f32(a: f32, b: f32) -> vec2<f32> {
    let sum = keep_f32(a + b);
    return vec2<f32>(sum, keep_f32(b - keep_f32(sum - a)));
}

// a + b exactly.
fn exact_sum_f32(a: f32, b: f32) -> vec2<f32> {
    let sum = keep_f32(a + b);
    let rest = keep_f32(sum - a);
    return vec2<f32>(sum, keep_f32(keep_f32(a - keep_f32(sum - rest)) + keep_f32(b - rest)));
}

// The upper half of the significand of x: 12 bits.
fn upper_half_f32(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
}

// a * b - product without rounding before the last bits, for a product that is a * b rounded.
fn product_error_f32(a: f32, b: f32, product: f32) -> f32 {
    let high_a = upper_half_f32(a);
    let high_b = upper_half_f32(b);
    let low_a = a - high_a;
    let low_b = b - high_b;
    let upper = keep_f32(high_a * high_b - product);
    return keep_f32(keep_f32(keep_f32(upper + high_a * low_b) + low_a * high_b) + low_a * low_b);
}

// a * b exactly.
fn exact_product_f32(a: f32, b: f32) -> vec2<f32> {
    let product = keep_f32(a * b);
    return vec2<f32>(product, product_error_f32(a, b, product));
}

// a * b of pairs.
fn pair_product_f32(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    let high = exact_product_f32(a.x, b.x);
    return ordered_sum_f32(high.x, high.y + (a.x * b.y + a.y * b.x));
}

// a / b of pairs; the division itself may be a few ULP off.
fn pair_quotient_f32(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    let quotient = keep_f32(a.x / b.x);
    let product = exact_product_f32(quotient, b.x);
    let rest = keep_f32(a.x - product.x) - product.y + (a.y - quotient * b.y);
    return ordered_sum_f32(quotient, rest / b.x);
}

// The square root of a positive pair; the square root itself may be a few ULP off.
fn pair_sqrt_f32(a: vec2<f32>) -> vec2<f32> {
    let root = keep_f32(sqrt(a.x));
    let square = exact_product_f32(root, root);
    let rest = keep_f32(a.x - square.x) - square.y + a.y;
    return ordered_sum_f32(root, rest / (2.0 * root));
}
