// Elementwise operations on i64 and u64 with the integers of an adapter that has 64-bit ones; int64_pairs.wgsl has
// the same functions over pairs of words.
//
// What does not fit wraps modulo 2^64; a division by zero gives 0; quotients round down and the remainder has the sign
// of the divisor. Divisors and shift amounts are always in range, so nothing here is undefined on any driver.

// Words, the low one first: the layout in memory.

fn u64_from_words(low: u32, high: u32) -> u64 {
    return (u64(high) << 32u) | u64(low);
}

fn i64_from_words(low: u32, high: u32) -> i64 {
    return i64(u64_from_words(low, high));
}

fn u64_from_u32(x: u32) -> u64 {
    return u64(x);
}

fn i64_from_u32(x: u32) -> i64 {
    return i64(u64(x));
}

// Made of words: a driver (Mesa 22.3) gets comparisons of i64(x) with constants wrong.
fn i64_from_i32(x: i32) -> i64 {
    return i64_from_words(bitcast<u32>(x), bitcast<u32>(x >> 31u));
}

fn u64_low(x: u64) -> u32 {
    return u32(x & 0xfffffffflu);
}

fn u64_high(x: u64) -> u32 {
    return u32(x >> 32u);
}

fn i64_low(x: i64) -> u32 {
    return u64_low(u64(x));
}

fn i64_high(x: i64) -> u32 {
    return u64_high(u64(x));
}

// The number of zero bits above the highest one; 64 for 0.
fn leading_zeros_u64(x: u64) -> u32 {
    let high = u64_high(x);
    return select(countLeadingZeros(high), 32u + countLeadingZeros(u64_low(x)), high == 0u);
}

// i64

fn neg_i64(x: i64) -> i64 {
    return i64(0lu - u64(x));
}

// |x| as an unsigned number, exact for the least one too.
fn magnitude_i64(x: i64) -> u64 {
    return select(u64(x), 0lu - u64(x), x < 0li);
}

fn abs_i64(x: i64) -> i64 {
    return i64(magnitude_i64(x));
}

fn sign_i64(x: i64) -> i64 {
    return select(select(0li, 1li, x > 0li), -1li, x < 0li);
}

fn not_i64(x: i64) -> i64 {
    return ~x;
}

fn add_i64(x: i64, y: i64) -> i64 {
    return i64(u64(x) + u64(y));
}

fn sub_i64(x: i64, y: i64) -> i64 {
    return i64(u64(x) - u64(y));
}

fn mul_i64(x: i64, y: i64) -> i64 {
    return i64(u64(x) * u64(y));
}

// The quotient of the magnitudes rounds towards zero; where the signs differ and something remains, -q - 1 = ~q is the
// floor. The least number over -1 wraps to itself.
fn floor_div_i64(x: i64, y: i64) -> i64 {
    let quotient = floor_div_u64(magnitude_i64(x), magnitude_i64(y));
    let remainder = rem_u64(magnitude_i64(x), magnitude_i64(y));
    let below = select(0lu - quotient, ~quotient, remainder != 0lu);
    return i64(select(quotient, below, (x < 0li) != (y < 0li)));
}

fn rem_i64(x: i64, y: i64) -> i64 {
    let remainder = rem_u64(magnitude_i64(x), magnitude_i64(y));
    let crosses = (remainder != 0lu) & ((x < 0li) != (y < 0li));
    let distance = select(remainder, magnitude_i64(y) - remainder, crosses);
    return i64(select(distance, 0lu - distance, y < 0li));
}

// A negative power is the exact one truncated: 1 or x for x = 1 and x = -1, else 0.
fn pow_i64(x: i64, y: i64) -> i64 {
    if (y >= 0li) {
        return i64(pow_u64(u64(x), u64(y)));
    }
    let unit = (x == 1li) | (x == -1li);
    return select(0li, select(1li, x, (y & 1li) == 1li), unit);
}

fn maximum_i64(x: i64, y: i64) -> i64 {
    return select(x, y, x < y);
}

fn minimum_i64(x: i64, y: i64) -> i64 {
    return select(y, x, x < y);
}

fn fmax_i64(x: i64, y: i64) -> i64 {
    return select(x, y, x < y);
}

fn fmin_i64(x: i64, y: i64) -> i64 {
    return select(y, x, x < y);
}

fn lt_i64(x: i64, y: i64) -> bool {
    return x < y;
}

fn le_i64(x: i64, y: i64) -> bool {
    return x <= y;
}

fn gt_i64(x: i64, y: i64) -> bool {
    return x > y;
}

fn ge_i64(x: i64, y: i64) -> bool {
    return x >= y;
}

fn eq_i64(x: i64, y: i64) -> bool {
    return x == y;
}

fn ne_i64(x: i64, y: i64) -> bool {
    return x != y;
}

fn and_i64(x: i64, y: i64) -> i64 {
    return x & y;
}

fn or_i64(x: i64, y: i64) -> i64 {
    return x | y;
}

fn xor_i64(x: i64, y: i64) -> i64 {
    return x ^ y;
}

// 0 for an amount below 0 or above 63; a negative amount is a large unsigned one.
fn shl_i64(x: i64, y: i64) -> i64 {
    return i64(shl_u64(u64(x), u64(y)));
}

// An amount below 0 or above 63 leaves the sign, as one of 63 does.
fn shr_i64(x: i64, y: i64) -> i64 {
    let amount = u64(y);
    return x >> select(u32(amount & 63lu), 63u, amount > 63lu);
}

// u64

fn neg_u64(x: u64) -> u64 {
    return 0lu - x;
}

fn abs_u64(x: u64) -> u64 {
    return x;
}

fn sign_u64(x: u64) -> u64 {
    return select(0lu, 1lu, x != 0lu);
}

fn not_u64(x: u64) -> u64 {
    return ~x;
}

fn add_u64(x: u64, y: u64) -> u64 {
    return x + y;
}

fn sub_u64(x: u64, y: u64) -> u64 {
    return x - y;
}

fn mul_u64(x: u64, y: u64) -> u64 {
    return x * y;
}

fn floor_div_u64(x: u64, y: u64) -> u64 {
    return select(x / select(y, 1lu, y == 0lu), 0lu, y == 0lu);
}

fn rem_u64(x: u64, y: u64) -> u64 {
    return select(x % select(y, 1lu, y == 0lu), 0lu, y == 0lu);
}

// By squaring. Products wrap alike for both signs, so the signed power uses it too.
fn pow_u64(x: u64, y: u64) -> u64 {
    var base = x;
    var exponent = y;
    var result = 1lu;
    while (exponent != 0lu) {
        result *= select(1lu, base, (exponent & 1lu) == 1lu);
        base *= base;
        exponent >>= 1u;
    }
    return result;
}

fn maximum_u64(x: u64, y: u64) -> u64 {
    return select(x, y, x < y);
}

fn minimum_u64(x: u64, y: u64) -> u64 {
    return select(y, x, x < y);
}

fn fmax_u64(x: u64, y: u64) -> u64 {
    return select(x, y, x < y);
}

fn fmin_u64(x: u64, y: u64) -> u64 {
    return select(y, x, x < y);
}

fn lt_u64(x: u64, y: u64) -> bool {
    return x < y;
}

fn le_u64(x: u64, y: u64) -> bool {
    return x <= y;
}

fn gt_u64(x: u64, y: u64) -> bool {
    return x > y;
}

fn ge_u64(x: u64, y: u64) -> bool {
    return x >= y;
}

fn eq_u64(x: u64, y: u64) -> bool {
    return x == y;
}

fn ne_u64(x: u64, y: u64) -> bool {
    return x != y;
}

fn and_u64(x: u64, y: u64) -> u64 {
    return x & y;
}

fn or_u64(x: u64, y: u64) -> u64 {
    return x | y;
}

fn xor_u64(x: u64, y: u64) -> u64 {
    return x ^ y;
}

fn shl_u64(x: u64, y: u64) -> u64 {
    return select(x << u32(y & 63lu), 0lu, y > 63lu);
}

fn shr_u64(x: u64, y: u64) -> u64 {
    return select(x >> u32(y & 63lu), 0lu, y > 63lu);
}
