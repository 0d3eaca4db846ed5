// Elementwise operations on bool, i8, u8, i32 and u32 that are no operator or built-in of WGSL.
//
// An i8 is kept sign-extended in an i32, a u8 in a u32 below 256; every function returns its result so. What does not
// fit wraps modulo 2^n; a division by zero gives 0; quotients round down and the remainder has the sign of the divisor.
// Divisors and shift amounts are always in range, so nothing here is undefined on any driver.

// bool: false is below true.

fn not_bool(x: bool) -> bool {
    return !x;
}

fn and_bool(x: bool, y: bool) -> bool {
    return x & y;
}

fn or_bool(x: bool, y: bool) -> bool {
    return x | y;
}

fn xor_bool(x: bool, y: bool) -> bool {
    return x != y;
}

fn lt_bool(x: bool, y: bool) -> bool {
    return !x & y;
}

fn le_bool(x: bool, y: bool) -> bool {
    return !x | y;
}

fn gt_bool(x: bool, y: bool) -> bool {
    return x & !y;
}

fn ge_bool(x: bool, y: bool) -> bool {
    return x | !y;
}

fn eq_bool(x: bool, y: bool) -> bool {
    return x == y;
}

fn ne_bool(x: bool, y: bool) -> bool {
    return x != y;
}

// i8: computed in 32 bits, then wrapped where the result may leave the range.

// The low byte, sign-extended.
fn wrap_i8(x: i32) -> i32 {
    return bitcast<i32>(bitcast<u32>(x) << 24u) >> 24u;
}

fn neg_i8(x: i32) -> i32 {
    return wrap_i8(-x);
}

fn abs_i8(x: i32) -> i32 {
    return wrap_i8(max(x, -x));
}

fn sign_i8(x: i32) -> i32 {
    return sign_i32(x);
}

fn not_i8(x: i32) -> i32 {
    return ~x;
}

fn add_i8(x: i32, y: i32) -> i32 {
    return wrap_i8(x + y);
}

fn sub_i8(x: i32, y: i32) -> i32 {
    return wrap_i8(x - y);
}

fn mul_i8(x: i32, y: i32) -> i32 {
    return wrap_i8(x * y);
}

fn floor_div_i8(x: i32, y: i32) -> i32 {
    return wrap_i8(floor_div_i32(x, y));
}

fn rem_i8(x: i32, y: i32) -> i32 {
    return rem_i32(x, y);
}

fn pow_i8(x: i32, y: i32) -> i32 {
    return wrap_i8(pow_i32(x, y));
}

fn maximum_i8(x: i32, y: i32) -> i32 {
    return max(x, y);
}

fn minimum_i8(x: i32, y: i32) -> i32 {
    return min(x, y);
}

fn fmax_i8(x: i32, y: i32) -> i32 {
    return max(x, y);
}

fn fmin_i8(x: i32, y: i32) -> i32 {
    return min(x, y);
}

fn and_i8(x: i32, y: i32) -> i32 {
    return x & y;
}

fn or_i8(x: i32, y: i32) -> i32 {
    return x | y;
}

fn xor_i8(x: i32, y: i32) -> i32 {
    return x ^ y;
}

fn shl_i8(x: i32, y: i32) -> i32 {
    return wrap_i8(shl_i32(x, y));
}

fn shr_i8(x: i32, y: i32) -> i32 {
    return shr_i32(x, y);
}

fn lt_i8(x: i32, y: i32) -> bool {
    return x < y;
}

fn le_i8(x: i32, y: i32) -> bool {
    return x <= y;
}

fn gt_i8(x: i32, y: i32) -> bool {
    return x > y;
}

fn ge_i8(x: i32, y: i32) -> bool {
    return x >= y;
}

fn eq_i8(x: i32, y: i32) -> bool {
    return x == y;
}

fn ne_i8(x: i32, y: i32) -> bool {
    return x != y;
}

// u8: computed in 32 bits, then cut to the low byte where the result may leave the range.

fn neg_u8(x: u32) -> u32 {
    return (0u - x) & 0xffu;
}

fn abs_u8(x: u32) -> u32 {
    return x;
}

fn sign_u8(x: u32) -> u32 {
    return min(x, 1u);
}

fn not_u8(x: u32) -> u32 {
    return x ^ 0xffu;
}

fn add_u8(x: u32, y: u32) -> u32 {
    return (x + y) & 0xffu;
}

fn sub_u8(x: u32, y: u32) -> u32 {
    return (x - y) & 0xffu;
}

fn mul_u8(x: u32, y: u32) -> u32 {
    return (x * y) & 0xffu;
}

fn floor_div_u8(x: u32, y: u32) -> u32 {
    return floor_div_u32(x, y);
}

fn rem_u8(x: u32, y: u32) -> u32 {
    return rem_u32(x, y);
}

fn pow_u8(x: u32, y: u32) -> u32 {
    return pow_u32(x, y) & 0xffu;
}

fn maximum_u8(x: u32, y: u32) -> u32 {
    return max(x, y);
}

fn minimum_u8(x: u32, y: u32) -> u32 {
    return min(x, y);
}

fn fmax_u8(x: u32, y: u32) -> u32 {
    return max(x, y);
}

fn fmin_u8(x: u32, y: u32) -> u32 {
    return min(x, y);
}

fn and_u8(x: u32, y: u32) -> u32 {
    return x & y;
}

fn or_u8(x: u32, y: u32) -> u32 {
    return x | y;
}

fn xor_u8(x: u32, y: u32) -> u32 {
    return x ^ y;
}

fn shl_u8(x: u32, y: u32) -> u32 {
    return shl_u32(x, y) & 0xffu;
}

fn shr_u8(x: u32, y: u32) -> u32 {
    return shr_u32(x, y);
}

fn lt_u8(x: u32, y: u32) -> bool {
    return x < y;
}

fn le_u8(x: u32, y: u32) -> bool {
    return x <= y;
}

fn gt_u8(x: u32, y: u32) -> bool {
    return x > y;
}

fn ge_u8(x: u32, y: u32) -> bool {
    return x >= y;
}

fn eq_u8(x: u32, y: u32) -> bool {
    return x == y;
}

fn ne_u8(x: u32, y: u32) -> bool {
    return x != y;
}

// i32

// |x| as an unsigned number, exact for the least one too.
fn magnitude_i32(x: i32) -> u32 {
    let bits = bitcast<u32>(x);
    return select(bits, 0u - bits, x < 0i);
}

fn sign_i32(x: i32) -> i32 {
    return select(min(x, 1i), -1i, x < 0i);
}

// The quotient of the magnitudes rounds towards zero; where the signs differ and something remains, -q - 1 = ~q is the
// floor. The least number over -1 wraps to itself.
fn floor_div_i32(x: i32, y: i32) -> i32 {
    let quotient = floor_div_u32(magnitude_i32(x), magnitude_i32(y));
    let remainder = rem_u32(magnitude_i32(x), magnitude_i32(y));
    let below = select(0u - quotient, ~quotient, remainder != 0u);
    return bitcast<i32>(select(quotient, below, (x < 0i) != (y < 0i)));
}

fn rem_i32(x: i32, y: i32) -> i32 {
    let remainder = rem_u32(magnitude_i32(x), magnitude_i32(y));
    let crosses = (remainder != 0u) & ((x < 0i) != (y < 0i));
    let distance = select(remainder, magnitude_i32(y) - remainder, crosses);
    return bitcast<i32>(select(distance, 0u - distance, y < 0i));
}

// A negative power is the exact one truncated: 1 or x for x = 1 and x = -1, else 0.
fn pow_i32(x: i32, y: i32) -> i32 {
    if (y >= 0i) {
        return bitcast<i32>(pow_u32(bitcast<u32>(x), bitcast<u32>(y)));
    }
    let unit = (x == 1i) | (x == -1i);
    return select(0i, select(1i, x, (y & 1i) == 1i), unit);
}

fn maximum_i32(x: i32, y: i32) -> i32 {
    return max(x, y);
}

fn minimum_i32(x: i32, y: i32) -> i32 {
    return min(x, y);
}

fn fmax_i32(x: i32, y: i32) -> i32 {
    return max(x, y);
}

fn fmin_i32(x: i32, y: i32) -> i32 {
    return min(x, y);
}

fn ne_i32(x: i32, y: i32) -> bool {
    return x != y;
}

// 0 for an amount below 0 or above 31; a negative amount is a large unsigned one.
fn shl_i32(x: i32, y: i32) -> i32 {
    let amount = bitcast<u32>(y);
    return select(x << (amount & 31u), 0i, amount > 31u);
}

// An amount below 0 or above 31 leaves the sign, as one of 31 does.
fn shr_i32(x: i32, y: i32) -> i32 {
    return x >> min(bitcast<u32>(y), 31u);
}

// u32

fn neg_u32(x: u32) -> u32 {
    return 0u - x;
}

fn sign_u32(x: u32) -> u32 {
    return min(x, 1u);
}

fn floor_div_u32(x: u32, y: u32) -> u32 {
    return select(x / max(y, 1u), 0u, y == 0u);
}

fn rem_u32(x: u32, y: u32) -> u32 {
    return select(x % max(y, 1u), 0u, y == 0u);
}

// By squaring. Products wrap alike for both signs, so the signed powers use it too.
fn pow_u32(x: u32, y: u32) -> u32 {
    var base = x;
    var exponent = y;
    var result = 1u;
    while (exponent != 0u) {
        result *= select(1u, base, (exponent & 1u) == 1u);
        base *= base;
        exponent >>= 1u;
    }
    return result;
}

fn maximum_u32(x: u32, y: u32) -> u32 {
    return max(x, y);
}

fn minimum_u32(x: u32, y: u32) -> u32 {
    return min(x, y);
}

fn fmax_u32(x: u32, y: u32) -> u32 {
    return max(x, y);
}

fn fmin_u32(x: u32, y: u32) -> u32 {
    return min(x, y);
}

fn ne_u32(x: u32, y: u32) -> bool {
    return x != y;
}

fn shl_u32(x: u32, y: u32) -> u32 {
    return select(x << (y & 31u), 0u, y > 31u);
}

fn shr_u32(x: u32, y: u32) -> u32 {
    return select(x >> (y & 31u), 0u, y > 31u);
}
