//! What is known of each function before it is measured: reference, interesting arguments, scale of errors.

use crate::compiled::Op;
use crate::number::Scale;
use crate::reference;
use crate::samples::{Domain, Random};
use kroton::ops::{BinaryOp, UnaryOp};
use rug::Float;

/// The exact function of two arguments, the second of which may be unused.
pub type Exact = fn(&Float, &Float) -> Float;

/// A function and what it is measured by.
pub struct Function {
    pub op: Op,
    pub exact: Exact,
    pub domain: Domain,
    pub scale: Scale,
    /// The file of arguments that are hard for it, where there is one.
    pub worst: &'static str,
}

/// The file of hard arguments with this name.
macro_rules! worst {
    ($name:literal) => {
        include_str!(concat!("../worst/", $name, ".txt"))
    };
}

/// All functions of the op table, in its order.
pub fn functions() -> Vec<Function> {
    let unary = UnaryOp::ALL.iter().filter_map(|&op| of_unary(op));
    unary.chain(BinaryOp::ALL.iter().filter_map(|&op| of_binary(op))).collect()
}

/// Ranges of results in both types, and arguments up to where a power of e leaves them.
const EXPONENTS: &[(f64, f64)] =
    &[(-1.0, 1.0), (-20.0, 20.0), (-745.2, 709.8), (-708.4, -708.0), (-746.0, -708.0), (-104.0, 88.8), (-0.35, 0.35)];
const POSITIVE: &[(f64, f64)] = &[(0.0, 10.0), (0.5, 2.0), (0.98, 1.02), (1e-3, 1e3), (0.0, 2.3e-308), (0.7, 1.5)];
const ANGLES: &[(f64, f64)] = &[(-0.8, 0.8), (-7.0, 7.0), (-200.0, 200.0), (-1e6, 1e6), (-1e9, 1e9), (-1e15, 1e15)];
const COSINES: &[(f64, f64)] = &[(-1.0, 1.0), (-0.6, 0.6), (0.9, 1.0), (-1.0, -0.9), (-1e-3, 1e-3), (-1.01, 1.01)];
const POWERS_OF_TWO: &[(f64, f64)] =
    &[(-1.0, 1.0), (-20.0, 20.0), (-1075.0, 1024.0), (-1080.0, -1020.0), (-150.5, 128.0), (-0.5, 0.5)];
const EXPM1_RANGES: &[(f64, f64)] = &[(-1.0, 1.0), (-0.4, 0.4), (-40.0, 40.0), (-38.0, 709.8), (-1e-5, 1e-5)];
const LOG1P_RANGES: &[(f64, f64)] = &[(-1.0, 1.0), (-0.5, 0.5), (-0.02, 0.02), (0.0, 100.0), (0.3, 0.5), (-1e-6, 1e-6)];
const ATAN_RANGES: &[(f64, f64)] = &[(-1.0, 1.0), (-10.0, 10.0), (0.9, 1.1), (-0.5, 0.5), (-1e3, 1e3)];
const SINH_RANGES: &[(f64, f64)] =
    &[(-1.0, 1.0), (-0.4, 0.4), (-20.0, 20.0), (-710.5, 710.5), (709.7, 710.5), (88.7, 89.5)];
const TANH_RANGES: &[(f64, f64)] = &[(-1.0, 1.0), (-0.3, 0.3), (-20.0, 20.0), (-0.7, 0.7), (-4.0, 4.0)];
const ASINH_RANGES: &[(f64, f64)] = &[(-1.0, 1.0), (-0.3, 0.3), (-20.0, 20.0), (-1e3, 1e3), (-1e9, 1e9)];
const ACOSH_RANGES: &[(f64, f64)] = &[(1.0, 2.0), (1.0, 1.01), (1.0, 20.0), (1.0, 1e3), (1.0, 1e9)];
const ATANH_RANGES: &[(f64, f64)] = &[(-1.0, 1.0), (-0.3, 0.3), (0.98, 1.0), (-0.6, 0.6), (-1e-3, 1e-3)];
const CBRT_RANGES: &[(f64, f64)] = &[(-1.0, 1.0), (1.0, 8.0), (-1e3, 1e3), (0.0, 2.3e-308)];
const ERF_RANGES: &[(f64, f64)] = &[(-1.0, 1.0), (-6.0, 6.0), (-0.3, 0.3), (0.8, 3.0), (-1e-5, 1e-5)];
const ERFC_RANGES: &[(f64, f64)] = &[(-1.0, 1.0), (-6.0, 6.0), (0.0, 10.0), (5.0, 27.5), (26.0, 27.5)];
const ERFINV_RANGES: &[(f64, f64)] = &[(-1.0, 1.0), (-0.5, 0.5), (0.9, 1.0), (0.999, 1.0), (-1e-3, 1e-3)];
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

fn of_unary(op: UnaryOp) -> Option<Function> {
    let function = |exact, intervals, worst| {
        let domain = Domain::Intervals(intervals);
        Some(Function { op: Op::Unary(op), exact, domain, scale: Scale::Result, worst })
    };
    let gamma = |exact| Some(Function { scale: Scale::AtLeastOne, ..function(exact, GAMMA, "")? });
    match op {
        UnaryOp::Exp => function(reference::exp, EXPONENTS, worst!("exp")),
        UnaryOp::Exp2 => function(reference::exp2, POWERS_OF_TWO, worst!("exp2")),
        UnaryOp::Expm1 => function(reference::expm1, EXPM1_RANGES, worst!("expm1")),
        UnaryOp::Ln => function(reference::ln, POSITIVE, worst!("ln")),
        UnaryOp::Log2 => function(reference::log2, POSITIVE, worst!("log2")),
        UnaryOp::Log10 => function(reference::log10, POSITIVE, worst!("log10")),
        UnaryOp::Log1p => function(reference::log1p, LOG1P_RANGES, worst!("log1p")),
        UnaryOp::Sin => function(reference::sin, ANGLES, worst!("sin")),
        UnaryOp::Cos => function(reference::cos, ANGLES, worst!("cos")),
        UnaryOp::Tan => function(reference::tan, ANGLES, worst!("tan")),
        UnaryOp::Asin => function(reference::asin, COSINES, worst!("asin")),
        UnaryOp::Acos => function(reference::acos, COSINES, worst!("acos")),
        UnaryOp::Atan => function(reference::atan, ATAN_RANGES, worst!("atan")),
        UnaryOp::Sinh => function(reference::sinh, SINH_RANGES, worst!("sinh")),
        UnaryOp::Cosh => function(reference::cosh, SINH_RANGES, worst!("cosh")),
        UnaryOp::Tanh => function(reference::tanh, TANH_RANGES, worst!("tanh")),
        UnaryOp::Asinh => function(reference::asinh, ASINH_RANGES, worst!("asinh")),
        UnaryOp::Acosh => function(reference::acosh, ACOSH_RANGES, worst!("acosh")),
        UnaryOp::Atanh => function(reference::atanh, ATANH_RANGES, worst!("atanh")),
        UnaryOp::Cbrt => function(reference::cbrt, CBRT_RANGES, worst!("cbrt")),
        UnaryOp::Erf => function(reference::erf, ERF_RANGES, worst!("erf")),
        UnaryOp::Erfc => function(reference::erfc, ERFC_RANGES, worst!("erfc")),
        UnaryOp::Erfinv => function(reference::erfinv, ERFINV_RANGES, ""),
        UnaryOp::Gamma => gamma(reference::gamma),
        UnaryOp::Lgamma => gamma(reference::lgamma),
        UnaryOp::Digamma => gamma(reference::digamma),
        UnaryOp::Neg
        | UnaryOp::Abs
        | UnaryOp::Sign
        | UnaryOp::Not
        | UnaryOp::Sqrt
        | UnaryOp::Floor
        | UnaryOp::Ceil
        | UnaryOp::Trunc
        | UnaryOp::Round
        | UnaryOp::IsNan
        | UnaryOp::IsInf
        | UnaryOp::IsFinite
        | UnaryOp::StopGradient => None,
    }
}

fn of_binary(op: BinaryOp) -> Option<Function> {
    let function = |exact, pairs, worst| {
        let domain = Domain::Pairs(pairs);
        Some(Function { op: Op::Binary(op), exact, domain, scale: Scale::Result, worst })
    };
    match op {
        BinaryOp::Pow => function(reference::pow, powers, worst!("pow")),
        BinaryOp::Atan2 => function(reference::atan2, points, worst!("atan2")),
        BinaryOp::Hypot => function(reference::hypot, points, worst!("hypot")),
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::FloorDiv
        | BinaryOp::Rem
        | BinaryOp::Copysign
        | BinaryOp::Maximum
        | BinaryOp::Minimum
        | BinaryOp::Fmax
        | BinaryOp::Fmin
        | BinaryOp::Lt
        | BinaryOp::Le
        | BinaryOp::Gt
        | BinaryOp::Ge
        | BinaryOp::Eq
        | BinaryOp::Ne
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor
        | BinaryOp::Shl
        | BinaryOp::Shr
        | BinaryOp::RandomBits32
        | BinaryOp::RandomBits64
        | BinaryOp::RandomUniform32
        | BinaryOp::RandomUniform64
        | BinaryOp::RandomKey => None,
    }
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
