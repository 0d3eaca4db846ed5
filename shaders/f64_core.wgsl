// f64: the barrier, special values, bits, and scaling by powers of two.
//
// WGSL has no elementary functions of f64, and drivers may contract, reassociate and fold its arithmetic. Where a
// formula depends on the rounding of an intermediate result, that result passes through keep_f64.

// x, in a way that no compiler sees through.
fn keep_f64(x: f64) -> f64 {
    return bitcast<f64>(bitcast<u64>(x) ^ u64(hidden_zero()));
}

fn inf_f64() -> f64 {
    return bitcast<f64>(0x7ff0000000000000lu ^ u64(hidden_zero()));
}

fn nan_f64() -> f64 {
    return bitcast<f64>(0x7ff8000000000000lu ^ u64(hidden_zero()));
}

// The bits of |x|.
fn size_bits_f64(x: f64) -> u64 {
    return bitcast<u64>(x) & 0x7ffffffffffffffflu;
}

fn is_negative_f64(x: f64) -> bool {
    return (bitcast<u64>(x) >> 63u) != 0lu;
}

fn is_nan_f64(x: f64) -> bool {
    return size_bits_f64(x) > 0x7ff0000000000000lu;
}

fn is_inf_f64(x: f64) -> bool {
    return size_bits_f64(x) == 0x7ff0000000000000lu;
}

fn is_finite_f64(x: f64) -> bool {
    return size_bits_f64(x) < 0x7ff0000000000000lu;
}

// size with the sign of x; no copysign, size must not be negative
fn with_sign_f64(size: f64, x: f64) -> f64 {
    return bitcast<f64>(bitcast<u64>(size) ^ (bitcast<u64>(x) & 0x8000000000000000lu));
}

// x without its last 27 bits: the product of two such numbers is exact.
fn high_part_f64(x: f64) -> f64 {
    return bitcast<f64>(bitcast<u64>(x) & 0xfffffffff8000000lu);
}

// |x| = mantissa·2^(exponent − 52) with 2^52 ≤ mantissa < 2^53, for finite x ≠ 0; subnormal numbers too, whatever the
// device's arithmetic does with them.
struct BinaryF64 {
    mantissa: u64,
    exponent: i32,
}

fn decompose_f64(x: f64) -> BinaryF64 {
    let bits = size_bits_f64(x);
    let biased = i32(u32(bits >> 52u));
    if biased != 0 {
        return BinaryF64((bits & 0x000ffffffffffffflu) | 0x0010000000000000lu, biased - 1023);
    }
    let shift = leading_zeros_f64(bits) - 11u;
    return BinaryF64(bits << shift, -1022 - i32(shift));
}

// The number of leading zero bits of a word that is not 0.
fn leading_zeros_f64(bits: u64) -> u32 {
    let high = u32(bits >> 32u);
    return select(32u + countLeadingZeros(u32(bits & 0xfffffffflu)), countLeadingZeros(high), high != 0u);
}

// mantissa·2^(exponent − 52) for 2^52 ≤ mantissa < 2^53 and an exponent of normal numbers.
fn compose_f64(mantissa: u64, exponent: i32) -> f64 {
    return bitcast<f64>((mantissa & 0x000ffffffffffffflu) | (u64(u32(exponent + 1023)) << 52u));
}

// n as a number, exactly, for n < 2^53.
fn whole_f64(n: u64) -> f64 {
    return f64(u32(n >> 32u)) * 4294967296.0lf + f64(u32(n & 0xfffffffflu));
}

// 2^k for −1022 ≤ k ≤ 1023.
fn pow2_f64(k: i32) -> f64 {
    return bitcast<f64>(u64(u32(k + 1023)) << 52u);
}

// x·2^k for |k| ≤ 2000, rounded once where |x| is about 1.
fn ldexp_f64(x: f64, k: i32) -> f64 {
    let half = k / 2;
    return keep_f64(x * pow2_f64(half)) * pow2_f64(k - half);
}
