//! What is known of each function before it is measured: reference, interesting arguments, scale of errors.

use crate::number::Scale;
use crate::reference;
use crate::samples::{Domain, Random};
use rug::Float;

pub struct Function {
    pub name: &'static str,
    pub exact: fn(&Float, &Float) -> Float,
    /// The function in plain `f64`, from a source other than the measured one.
    pub plain: Option<fn(f64) -> f64>,
    pub domain: Domain,
    pub scale: Scale,
}

const fn unary(
    name: &'static str,
    exact: fn(&Float, &Float) -> Float,
    plain: Option<fn(f64) -> f64>,
    intervals: &'static [(f64, f64)],
) -> Function {
    Function { name, exact, plain, domain: Domain::Intervals(intervals), scale: Scale::Result }
}

const fn gamma(
    name: &'static str,
    exact: fn(&Float, &Float) -> Float,
    plain: Option<fn(f64) -> f64>,
    intervals: &'static [(f64, f64)],
) -> Function {
    Function { name, exact, plain, domain: Domain::Intervals(intervals), scale: Scale::AtLeastOne }
}

const fn binary(
    name: &'static str,
    exact: fn(&Float, &Float) -> Float,
    pairs: fn(&mut Random) -> (f64, f64),
) -> Function {
    Function { name, exact, plain: None, domain: Domain::Pairs(pairs), scale: Scale::Result }
}

/// Ranges of results in both types, and arguments up to where a power of e leaves them.
const EXPONENTS: &[(f64, f64)] =
    &[(-1.0, 1.0), (-20.0, 20.0), (-745.2, 709.8), (-708.4, -708.0), (-746.0, -708.0), (-104.0, 88.8), (-0.35, 0.35)];
const POSITIVE: &[(f64, f64)] = &[(0.0, 10.0), (0.5, 2.0), (0.98, 1.02), (1e-3, 1e3), (0.0, 2.3e-308), (0.7, 1.5)];
const ANGLES: &[(f64, f64)] = &[(-0.8, 0.8), (-7.0, 7.0), (-200.0, 200.0), (-1e6, 1e6), (-1e9, 1e9), (-1e15, 1e15)];
const COSINES: &[(f64, f64)] = &[(-1.0, 1.0), (-0.6, 0.6), (0.9, 1.0), (-1.0, -0.9), (-1e-3, 1e-3), (-1.01, 1.01)];
const GAMMA: &[(f64, f64)] = &[
    (0.0, 3.0),
    (0.9, 1.1),
    (1.3, 1.6),
    (1.9, 2.1),
    (2.0, 40.0),
    (0.0, 172.0),
    (-5.0, 0.0),
    (-180.0, 0.0),
    (1e2, 1e6),
];

static FUNCTIONS: [Function; 29] = [
    unary("exp", reference::exp, Some(libm::exp), EXPONENTS),
    unary(
        "exp2",
        reference::exp2,
        Some(libm::exp2),
        &[(-1.0, 1.0), (-20.0, 20.0), (-1075.0, 1024.0), (-1080.0, -1020.0), (-150.5, 128.0), (-0.5, 0.5)],
    ),
    unary(
        "expm1",
        reference::expm1,
        Some(libm::expm1),
        &[(-1.0, 1.0), (-0.4, 0.4), (-40.0, 40.0), (-38.0, 709.8), (-1e-5, 1e-5)],
    ),
    unary("ln", reference::ln, Some(libm::log), POSITIVE),
    unary("log2", reference::log2, Some(libm::log2), POSITIVE),
    unary("log10", reference::log10, Some(libm::log10), POSITIVE),
    unary(
        "log1p",
        reference::log1p,
        Some(libm::log1p),
        &[(-1.0, 1.0), (-0.5, 0.5), (-0.02, 0.02), (0.0, 100.0), (0.3, 0.5), (-1e-6, 1e-6)],
    ),
    unary("sin", reference::sin, Some(libm::sin), ANGLES),
    unary("cos", reference::cos, Some(libm::cos), ANGLES),
    unary("tan", reference::tan, Some(libm::tan), ANGLES),
    unary("asin", reference::asin, Some(libm::asin), COSINES),
    unary("acos", reference::acos, Some(libm::acos), COSINES),
    unary(
        "atan",
        reference::atan,
        Some(libm::atan),
        &[(-1.0, 1.0), (-10.0, 10.0), (0.9, 1.1), (-0.5, 0.5), (-1e3, 1e3)],
    ),
    unary(
        "sinh",
        reference::sinh,
        Some(libm::sinh),
        &[(-1.0, 1.0), (-0.4, 0.4), (-20.0, 20.0), (-710.5, 710.5), (709.7, 710.5), (88.7, 89.5)],
    ),
    unary(
        "cosh",
        reference::cosh,
        Some(libm::cosh),
        &[(-1.0, 1.0), (-0.4, 0.4), (-20.0, 20.0), (-710.5, 710.5), (709.7, 710.5), (88.7, 89.5)],
    ),
    unary(
        "tanh",
        reference::tanh,
        Some(libm::tanh),
        &[(-1.0, 1.0), (-0.3, 0.3), (-20.0, 20.0), (-0.7, 0.7), (-4.0, 4.0)],
    ),
    unary(
        "asinh",
        reference::asinh,
        Some(libm::asinh),
        &[(-1.0, 1.0), (-0.3, 0.3), (-20.0, 20.0), (-1e3, 1e3), (-1e9, 1e9)],
    ),
    unary(
        "acosh",
        reference::acosh,
        Some(libm::acosh),
        &[(1.0, 2.0), (1.0, 1.01), (1.0, 20.0), (1.0, 1e3), (1.0, 1e9)],
    ),
    unary(
        "atanh",
        reference::atanh,
        Some(libm::atanh),
        &[(-1.0, 1.0), (-0.3, 0.3), (0.98, 1.0), (-0.6, 0.6), (-1e-3, 1e-3)],
    ),
    unary("cbrt", reference::cbrt, Some(libm::cbrt), &[(-1.0, 1.0), (1.0, 8.0), (-1e3, 1e3), (0.0, 2.3e-308)]),
    unary("erf", reference::erf, Some(libm::erf), &[(-1.0, 1.0), (-6.0, 6.0), (-0.3, 0.3), (0.8, 3.0), (-1e-5, 1e-5)]),
    unary(
        "erfc",
        reference::erfc,
        Some(libm::erfc),
        &[(-1.0, 1.0), (-6.0, 6.0), (0.0, 10.0), (5.0, 27.5), (26.0, 27.5)],
    ),
    unary("erfinv", reference::erfinv, None, &[(-1.0, 1.0), (-0.5, 0.5), (0.9, 1.0), (0.999, 1.0), (-1e-3, 1e-3)]),
    gamma("gamma", reference::gamma, Some(libm::tgamma), GAMMA),
    gamma("lgamma", reference::lgamma, Some(libm::lgamma), GAMMA),
    gamma("digamma", reference::digamma, None, GAMMA),
    binary("pow", reference::pow, powers),
    binary("atan2", reference::atan2, points),
    binary("hypot", reference::hypot, points),
];

/// The entry of a function.
pub fn function(name: &str) -> &'static Function {
    FUNCTIONS.iter().find(|function| function.name == name).expect("a name of the table")
}

/// Bases and exponents whose power is in range: small ones, any, and bases near 1 or −1.
fn powers(random: &mut Random) -> (f64, f64) {
    let logarithm = random.uniform(-1080.0, 1030.0);
    match random.bits() % 6 {
        0 => (random.uniform(0.0, 10.0), random.uniform(-10.0, 10.0)),
        1 => (random.uniform(-100.0, 100.0), random.uniform(-30.0, 30.0).trunc()),
        2 => {
            let base = 2f64.powf(random.uniform(-1000.0, 1000.0));
            (base, logarithm / base.log2())
        }
        3 => {
            let base = 1.0 + 2f64.powf(random.uniform(-52.0, -1.0)) * random.uniform(-1.0, 1.0);
            (base, logarithm / base.log2())
        }
        4 => {
            let base = 2f64.powf(random.uniform(-126.0, 126.0));
            (base, random.uniform(-150.0, 128.0) / base.log2())
        }
        _ => (random.uniform(0.7, 1.5), random.uniform(-2000.0, 2000.0)),
    }
}

/// Points of the plane whose coordinates are of like or of very different size.
fn points(random: &mut Random) -> (f64, f64) {
    let size = match random.bits() % 5 {
        0 | 1 => 0.0,
        2 => random.uniform(-35.0, 35.0),
        3 => random.uniform(-1030.0, 1020.0),
        _ => random.uniform(-149.0, 127.0),
    };
    let ratio = if random.bits().is_multiple_of(2) { 0.0 } else { random.uniform(-60.0, 60.0) };
    let power = |exponent: f64| 2f64.powf((exponent / 2.0).floor()) * 2f64.powf(exponent - (exponent / 2.0).floor());
    (power(size) * random.uniform(-1.0, 1.0), power((size + ratio).min(1023.0)) * random.uniform(-1.0, 1.0))
}
