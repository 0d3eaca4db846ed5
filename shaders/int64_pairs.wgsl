// Elementwise operations on i64 and u64 as pairs of words, x the low and y the high one, for adapters without 64-bit
// integers; int64_native.wgsl has the same functions over i64 and u64.
//
// What does not fit wraps modulo 2^64; a division by zero gives 0; quotients round down and the remainder has the sign
// of the divisor. Divisors and shift amounts are always in range, so nothing here is undefined on any driver.

// Words, the low one first: the layout in memory.

fn u64_from_words(low: u32, high: u32) -> vec2<u32> {
    return vec2<u32>(low, high);
}

fn i64_from_words(low: u32, high: u32) -> vec2<u32> {
    return vec2<u32>(low, high);
}

fn u64_from_u32(x: u32) -> vec2<u32> {
    return vec2<u32>(x, 0u);
}

fn i64_from_u32(x: u32) -> vec2<u32> {
    return vec2<u32>(x, 0u);
}

fn i64_from_i32(x: i32) -> vec2<u32> {
    return vec2<u32>(bitcast<u32>(x), bitcast<u32>(x >> 31u));
}

fn u64_low(x: vec2<u32>) -> u32 {
    return x.x;
}

fn u64_high(x: vec2<u32>) -> u32 {
    return x.y;
}

fn i64_low(x: vec2<u32>) -> u32 {
    return x.x;
}

fn i64_high(x: vec2<u32>) -> u32 {
    return x.y;
}

// The number of zero bits above the highest one; 64 for 0.
fn leading_zeros_u64(x: vec2<u32>) -> u32 {
    return select(countLeadingZeros(x.y), 32u + countLeadingZeros(x.x), x.y == 0u);
}

// For an amount below 64. The carried bits take two shifts, since one of 32 is none.
fn shift_left_pair(x: vec2<u32>, amount: u32) -> vec2<u32> {
    let bits = amount & 31u;
    let carried = (x.x >> 1u) >> (31u - bits);
    let high = (x.y << bits) | carried;
    return select(vec2<u32>(x.x << bits, high), vec2<u32>(0u, x.x << bits), amount > 31u);
}

// For an amount below 64, filling with zeros.
fn shift_right_pair(x: vec2<u32>, amount: u32) -> vec2<u32> {
    let bits = amount & 31u;
    let carried = (x.y << 1u) << (31u - bits);
    let low = (x.x >> bits) | carried;
    return select(vec2<u32>(low, x.y >> bits), vec2<u32>(x.y >> bits, 0u), amount > 31u);
}

// i64: in two's complement, so that sums, products and bits are those of u64.

fn neg_i64(x: vec2<u32>) -> vec2<u32> {
    return neg_u64(x);
}

fn is_negative_i64(x: vec2<u32>) -> bool {
    return x.y > 0x7fffffffu;
}

// |x| as an unsigned number, exact for the least one too.
fn magnitude_i64(x: vec2<u32>) -> vec2<u32> {
    return select(x, neg_u64(x), is_negative_i64(x));
}

fn abs_i64(x: vec2<u32>) -> vec2<u32> {
    return magnitude_i64(x);
}

fn sign_i64(x: vec2<u32>) -> vec2<u32> {
    return select(sign_u64(x), vec2<u32>(0xffffffffu), is_negative_i64(x));
}

fn not_i64(x: vec2<u32>) -> vec2<u32> {
    return ~x;
}

fn add_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return add_u64(x, y);
}

fn sub_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return sub_u64(x, y);
}

fn mul_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return mul_u64(x, y);
}

// The quotient of the magnitudes rounds towards zero; where the signs differ and something remains, -q - 1 = ~q is the
// floor. The least number over -1 wraps to itself.
fn floor_div_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    let division = divide_u64(magnitude_i64(x), magnitude_i64(y));
    let quotient = division.quotient;
    let below = select(neg_u64(quotient), ~quotient, ne_u64(division.remainder, vec2<u32>(0u)));
    return select(quotient, below, is_negative_i64(x) != is_negative_i64(y));
}

fn rem_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    let remainder = rem_u64(magnitude_i64(x), magnitude_i64(y));
    let crosses = ne_u64(remainder, vec2<u32>(0u)) & (is_negative_i64(x) != is_negative_i64(y));
    let distance = select(remainder, sub_u64(magnitude_i64(y), remainder), crosses);
    return select(distance, neg_u64(distance), is_negative_i64(y));
}

// A negative power is the exact one truncated: 1 or x for x = 1 and x = -1, else 0.
fn pow_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    if (!is_negative_i64(y)) {
        return pow_u64(x, y);
    }
    let unit = eq_u64(magnitude_i64(x), vec2<u32>(1u, 0u));
    return select(vec2<u32>(0u), select(vec2<u32>(1u, 0u), x, (y.x & 1u) == 1u), unit);
}

fn maximum_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return select(x, y, lt_i64(x, y));
}

fn minimum_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return select(y, x, lt_i64(x, y));
}

fn fmax_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return select(x, y, lt_i64(x, y));
}

fn fmin_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return select(y, x, lt_i64(x, y));
}

// Takes the order of i64 to that of u64.
fn flip_sign_i64(x: vec2<u32>) -> vec2<u32> {
    return x ^ vec2<u32>(0u, 0x80000000u);
}

fn lt_i64(x: vec2<u32>, y: vec2<u32>) -> bool {
    return lt_u64(flip_sign_i64(x), flip_sign_i64(y));
}

fn le_i64(x: vec2<u32>, y: vec2<u32>) -> bool {
    return le_u64(flip_sign_i64(x), flip_sign_i64(y));
}

fn gt_i64(x: vec2<u32>, y: vec2<u32>) -> bool {
    return gt_u64(flip_sign_i64(x), flip_sign_i64(y));
}

fn ge_i64(x: vec2<u32>, y: vec2<u32>) -> bool {
    return ge_u64(flip_sign_i64(x), flip_sign_i64(y));
}

fn eq_i64(x: vec2<u32>, y: vec2<u32>) -> bool {
    return eq_u64(x, y);
}

fn ne_i64(x: vec2<u32>, y: vec2<u32>) -> bool {
    return ne_u64(x, y);
}

fn and_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return x & y;
}

fn or_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return x | y;
}

fn xor_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return x ^ y;
}

// 0 for an amount below 0 or above 63; a negative amount is a large unsigned one.
fn shl_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return shl_u64(x, y);
}

// Zeros shifted into the complement of a negative number are its sign. An amount below 0 or above 63 leaves the sign.
fn shr_i64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    let flipped = select(x, ~x, is_negative_i64(x));
    let shifted = shr_u64(flipped, y);
    return select(shifted, ~shifted, is_negative_i64(x));
}

// u64

fn neg_u64(x: vec2<u32>) -> vec2<u32> {
    return add_u64(~x, vec2<u32>(1u, 0u));
}

fn abs_u64(x: vec2<u32>) -> vec2<u32> {
    return x;
}

fn sign_u64(x: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(select(0u, 1u, any(x != vec2<u32>(0u))), 0u);
}

fn not_u64(x: vec2<u32>) -> vec2<u32> {
    return ~x;
}

fn add_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    let low = x.x + y.x;
    let carry = select(0u, 1u, low < x.x);
    return vec2<u32>(low, x.y + y.y + carry);
}

fn sub_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    let borrow = select(0u, 1u, x.x < y.x);
    return vec2<u32>(x.x - y.x, x.y - y.y - borrow);
}

// The full product of two words: Warren, Hacker's Delight, 2nd edition, 8-2. No sum of halves overflows, since
// (2^16 - 1)^2 + 2^16 - 1 < 2^32.
fn multiply_words(x: u32, y: u32) -> vec2<u32> {
    let x_low = x & 0xffffu;
    let x_high = x >> 16u;
    let y_low = y & 0xffffu;
    let y_high = y >> 16u;
    let first = x_high * y_low + ((x_low * y_low) >> 16u);
    let second = x_low * y_high + (first & 0xffffu);
    return vec2<u32>(x * y, x_high * y_high + (first >> 16u) + (second >> 16u));
}

fn mul_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    let low = multiply_words(x.x, y.x);
    return vec2<u32>(low.x, low.y + x.x * y.y + x.y * y.x);
}

struct DivisionU64 {
    quotient: vec2<u32>,
    remainder: vec2<u32>,
}

// Restoring division, from the highest bit of the quotient down: long division (Knuth, The Art of Computer Programming,
// volume 2, 4.3.1) with binary digits. By zero both results are 0.
fn divide_u64(x: vec2<u32>, y: vec2<u32>) -> DivisionU64 {
    if ((x.y | y.y) == 0u) {
        return DivisionU64(vec2<u32>(floor_div_u32(x.x, y.x), 0u), vec2<u32>(rem_u32(x.x, y.x), 0u));
    }
    if (eq_u64(y, vec2<u32>(0u))) {
        return DivisionU64(vec2<u32>(0u), vec2<u32>(0u));
    }
    if (lt_u64(x, y)) {
        return DivisionU64(vec2<u32>(0u), x);
    }
    let steps = leading_zeros_u64(y) - leading_zeros_u64(x);
    var divisor = shift_left_pair(y, steps);
    var remainder = x;
    var quotient = vec2<u32>(0u);
    for (var step = 0u; step <= steps; step++) {
        let fits = ge_u64(remainder, divisor);
        remainder = select(remainder, sub_u64(remainder, divisor), fits);
        quotient = shift_left_pair(quotient, 1u) | vec2<u32>(select(0u, 1u, fits), 0u);
        divisor = shift_right_pair(divisor, 1u);
    }
    return DivisionU64(quotient, remainder);
}

fn floor_div_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return divide_u64(x, y).quotient;
}

fn rem_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return divide_u64(x, y).remainder;
}

// By squaring. Products wrap alike for both signs, so the signed power uses it too.
fn pow_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    var base = x;
    var exponent = y;
    var result = vec2<u32>(1u, 0u);
    while (any(exponent != vec2<u32>(0u))) {
        result = select(result, mul_u64(result, base), (exponent.x & 1u) == 1u);
        base = mul_u64(base, base);
        exponent = shift_right_pair(exponent, 1u);
    }
    return result;
}

fn maximum_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return select(x, y, lt_u64(x, y));
}

fn minimum_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return select(y, x, lt_u64(x, y));
}

fn fmax_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return select(x, y, lt_u64(x, y));
}

fn fmin_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return select(y, x, lt_u64(x, y));
}

fn lt_u64(x: vec2<u32>, y: vec2<u32>) -> bool {
    return (x.y < y.y) | ((x.y == y.y) & (x.x < y.x));
}

fn le_u64(x: vec2<u32>, y: vec2<u32>) -> bool {
    return !lt_u64(y, x);
}

fn gt_u64(x: vec2<u32>, y: vec2<u32>) -> bool {
    return lt_u64(y, x);
}

fn ge_u64(x: vec2<u32>, y: vec2<u32>) -> bool {
    return !lt_u64(x, y);
}

fn eq_u64(x: vec2<u32>, y: vec2<u32>) -> bool {
    return all(x == y);
}

fn ne_u64(x: vec2<u32>, y: vec2<u32>) -> bool {
    return any(x != y);
}

fn and_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return x & y;
}

fn or_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return x | y;
}

fn xor_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return x ^ y;
}

// Whether y is an amount to shift 64 bits by.
fn is_shift_u64(y: vec2<u32>) -> bool {
    return (y.y == 0u) & (y.x < 64u);
}

fn shl_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return select(vec2<u32>(0u), shift_left_pair(x, y.x), is_shift_u64(y));
}

fn shr_u64(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return select(vec2<u32>(0u), shift_right_pair(x, y.x), is_shift_u64(y));
}
