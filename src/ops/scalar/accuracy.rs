//! The elementary and special functions against reference values, in ULPs.
//!
//! The values come from mpmath (`tests/data/functions.py` writes them), rounded once to `f64`; an error of n ULP means
//! that n steps of the type lie between a result and the reference. A second source, `statrs`, guards against a mistake
//! in the script itself.

use super::Float;

const REFERENCE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/functions.csv"));

enum Function {
    Unary(fn(f64) -> f64, fn(f32) -> f32),
    Binary(fn(f64, f64) -> f64, fn(f32, f32) -> f32),
}

/// Where a bound counts ULPs of the result, and where ULPs of max(|result|, 1).
#[derive(Clone, Copy, PartialEq)]
enum Scale {
    Relative,
    /// Relative for x > 0, roots included; against max(|result|, 1) below, where the roots crowd.
    Gamma,
}

struct Row {
    name: &'static str,
    function: Function,
    scale: Scale,
    wide: u64,
    narrow: u64,
}

macro_rules! rows {
    ($($kind:ident $scale:ident $name:ident $wide:literal $narrow:literal;)*) => {
        [$(Row {
            name: stringify!($name),
            function: Function::$kind(Float::$name, Float::$name),
            scale: Scale::$scale,
            wide: $wide,
            narrow: $narrow,
        }),*]
    };
}

/// Name, bound for `f64`, bound for `f32`.
fn table() -> [Row; 29] {
    rows! {
        Unary Relative cbrt 1 1;
        Unary Relative exp 1 1;
        Unary Relative exp2 1 1;
        Unary Relative expm1 1 1;
        Unary Relative ln 1 1;
        Unary Relative log2 1 1;
        Unary Relative log10 1 1;
        Unary Relative log1p 1 1;
        Unary Relative sin 1 1;
        Unary Relative cos 1 1;
        Unary Relative tan 1 1;
        Unary Relative asin 1 1;
        Unary Relative acos 1 1;
        Unary Relative atan 1 1;
        Unary Relative sinh 1 1;
        Unary Relative cosh 1 1;
        Unary Relative tanh 1 1;
        Unary Relative asinh 1 1;
        Unary Relative acosh 1 1;
        Unary Relative atanh 1 1;
        Unary Relative erf 1 1;
        Unary Relative erfc 2 1;
        Unary Relative erfinv 1 1;
        Unary Gamma gamma 4 1;
        Unary Gamma lgamma 4 1;
        Unary Gamma digamma 4 1;
        Binary Relative pow 1 1;
        Binary Relative atan2 1 1;
        Binary Relative hypot 1 1;
    }
}

/// The position of a number among all numbers of its type, so that neighbours differ by 1 (and ±0 coincide).
fn position(bits: u64, sign: u64) -> i64 {
    let size = (bits & (sign - 1)) as i64;
    if bits & sign == 0 { size } else { -size }
}

fn steps(a: f64, b: f64) -> u64 {
    if a.is_nan() || b.is_nan() {
        return if a.is_nan() && b.is_nan() { 0 } else { u64::MAX };
    }
    position(a.to_bits(), 1 << 63).abs_diff(position(b.to_bits(), 1 << 63))
}

fn steps_f32(a: f32, b: f32) -> u64 {
    if a.is_nan() || b.is_nan() {
        return if a.is_nan() && b.is_nan() { 0 } else { u64::MAX };
    }
    position(a.to_bits().into(), 1 << 31).abs_diff(position(b.to_bits().into(), 1 << 31))
}

/// The error in ULPs; where a result below 1 is measured against 1, that many fit into the difference.
fn error(scale: Scale, x: f64, result: f64, expected: f64, epsilon: f64, steps: u64) -> u64 {
    if scale == Scale::Relative || x > 0.0 || steps <= 1 || expected.abs() >= 1.0 {
        steps
    } else {
        ((result - expected).abs() / epsilon).ceil() as u64
    }
}

/// The reference values of one function: (x, y or 0, result).
fn reference(name: &str) -> Vec<(f64, f64, f64)> {
    let number = |text: &str| f64::from_bits(u64::from_str_radix(text, 16).unwrap());
    let rows = REFERENCE.lines().map(|line| line.split(',').collect::<Vec<_>>()).filter(|row| row[0] == name);
    rows.map(|row| match row[1..] {
        [x, result] => (number(x), 0.0, number(result)),
        [x, y, result] => (number(x), number(y), number(result)),
        _ => panic!("a row of {} columns", row.len()),
    })
    .collect()
}

#[test]
fn functions_meet_their_bounds() {
    let mut failures = String::new();
    for row in table() {
        let (mut worst, mut worst_f32) = ((0, 0.0, 0.0), (0, 0.0, 0.0));
        let (mut count, mut count_f32) = (0, 0);
        for (x, y, expected) in reference(row.name) {
            let result = match row.function {
                Function::Unary(wide, _) => wide(x),
                Function::Binary(wide, _) => wide(x, y),
            };
            count += 1;
            worst = max(worst, (error(row.scale, x, result, expected, f64::EPSILON, steps(result, expected)), x, y));
            if f64::from(x as f32) != x || f64::from(y as f32) != y {
                continue;
            }
            let result = match row.function {
                Function::Unary(_, narrow) => narrow(x as f32),
                Function::Binary(_, narrow) => narrow(x as f32, y as f32),
            };
            let steps = steps_f32(result, expected as f32);
            count_f32 += 1;
            let error = error(row.scale, x, result.into(), expected, f32::EPSILON.into(), steps);
            worst_f32 = max(worst_f32, (error, x, y));
        }
        println!("{:8} f64 {worst:?} of {count}, f32 {worst_f32:?} of {count_f32}", row.name);
        assert!(count >= 150 && count_f32 >= 40, "{}: only {count} and {count_f32} values", row.name);
        if worst.0 > row.wide || worst_f32.0 > row.narrow {
            failures += &format!("{}: f64 {worst:?}, f32 {worst_f32:?}\n", row.name);
        }
    }
    assert!(failures.is_empty(), "beyond the bound (ULP, x, y):\n{failures}");
}

fn max(a: (u64, f64, f64), b: (u64, f64, f64)) -> (u64, f64, f64) {
    if b.0 > a.0 { b } else { a }
}

#[test]
fn special_functions_agree_with_statrs() {
    use statrs::function::{erf, gamma};
    type Pair = (&'static str, fn(f64) -> f64, fn(f64) -> f64, f64, f64);
    let pairs: [Pair; 6] = [
        ("erf", Float::erf, erf::erf, -4.0, 4.0),
        ("erfc", Float::erfc, erf::erfc, -4.0, 20.0),
        ("erfinv", Float::erfinv, erf::erf_inv, -0.999, 0.999),
        ("gamma", Float::gamma, gamma::gamma, 0.05, 60.0),
        ("lgamma", Float::lgamma, gamma::ln_gamma, 2.5, 1000.0),
        ("digamma", Float::digamma, gamma::digamma, 2.0, 1000.0),
    ];
    for (name, ours, theirs, low, high) in pairs {
        for i in 0..=500 {
            let x = low + (high - low) * f64::from(i) / 500.0;
            let (a, b) = (ours(x), theirs(x));
            assert!((a - b).abs() <= 1e-9 * b.abs().max(1e-300), "{name}({x}): {a}, statrs {b}");
        }
    }
}

#[test]
fn special_cases_are_scipys() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    type Case = (fn(f64) -> f64, f64, f64);
    let cases: [Case; 44] = [
        (Float::erfinv, 1.0, inf),
        (Float::erfinv, -1.0, -inf),
        (Float::erfinv, 1.5, nan),
        (Float::erfinv, nan, nan),
        (Float::erfinv, -0.0, -0.0),
        (Float::erf, inf, 1.0),
        (Float::erfc, inf, 0.0),
        (Float::erfc, -inf, 2.0),
        (Float::erfc, 28.0, 0.0),
        (Float::gamma, 0.0, inf),
        (Float::gamma, -0.0, -inf),
        (Float::gamma, -3.0, nan),
        (Float::gamma, inf, inf),
        (Float::gamma, -inf, nan),
        (Float::gamma, 5.0, 24.0),
        (Float::gamma, 23.0, 1_124_000_727_777_607_680_000.0),
        (Float::gamma, 171.7, inf),
        (Float::gamma, 1e-310, inf),
        (Float::lgamma, 0.0, inf),
        (Float::lgamma, -0.0, inf),
        (Float::lgamma, -2.0, inf),
        (Float::lgamma, -inf, inf),
        (Float::lgamma, inf, inf),
        (Float::lgamma, 1.0, 0.0),
        (Float::lgamma, 2.0, 0.0),
        (Float::lgamma, -1e17, inf),
        (Float::digamma, 0.0, -inf),
        (Float::digamma, -0.0, inf),
        (Float::digamma, -4.0, nan),
        (Float::digamma, -inf, nan),
        (Float::digamma, inf, inf),
        (Float::digamma, f64::MAX, 709.782712893384),
        (Float::sinh, 800.0, inf),
        (Float::sinh, -inf, -inf),
        (Float::sinh, -0.0, -0.0),
        (Float::cosh, -inf, inf),
        (Float::cosh, 0.0, 1.0),
        (Float::tanh, -inf, -1.0),
        (Float::asinh, -inf, -inf),
        (Float::acosh, 1.0, 0.0),
        (Float::acosh, 0.5, nan),
        (Float::acosh, inf, inf),
        (Float::atanh, -1.0, -inf),
        (Float::atanh, 1.5, nan),
    ];
    for (i, (function, x, expected)) in cases.into_iter().enumerate() {
        let result = function(x);
        let same = result.to_bits() == expected.to_bits() || (result.is_nan() && expected.is_nan());
        assert!(same, "case {i}: f({x}) = {result}, not {expected}");
    }
    for function in [Float::sinh, Float::cosh, Float::tanh, Float::asinh, Float::acosh, Float::atanh] {
        assert!(f64::is_nan(function(nan)));
    }
    for function in [Float::erf, Float::erfc, Float::gamma, Float::lgamma, Float::digamma] {
        assert!(function(nan).is_nan());
    }
}
