//! Values with error bounds, and how elementwise ops carry them.
//!
//! A [`Bounded`] is the value of the program as written and a bound on how far a faithful rewriting of it may lie
//! away. An error of zero means the same bits; an infinite one that anything may come. The bound of an operation is
//! the spread of its exact function over the operands' intervals, plus what rounding adds to it: a computation and
//! its rewriting each lie within the row's bound of the exact result, and an accuracy rule may cost one ULP more.
//! Results that jump (comparisons, floor, overflow, poles) are anything where an interval straddles the jump.

use crate::check::rounding::{Bounds, Rounding};
use crate::dtype::{DType, Scalar};
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};

/// A value, and how far another way to compute it may lie away.
#[derive(Debug, Clone, Copy)]
pub struct Bounded {
    /// The value.
    pub value: Scalar,
    /// The largest distance of another way's result.
    pub error: f64,
}

/// The bounds are computed in f64 themselves; this covers their own rounding.
const MARGIN: f64 = 1.0 + 1.0 / (1_u64 << 40) as f64;

impl Bounded {
    /// A value that no rewriting may change.
    pub fn exact(value: Scalar) -> Bounded {
        Bounded { value, error: 0.0 }
    }

    /// A value of which nothing can be said.
    pub fn unknown(value: Scalar) -> Bounded {
        Bounded { value, error: f64::INFINITY }
    }

    /// Whether no rewriting may change it.
    pub fn is_exact(self) -> bool {
        self.error == 0.0
    }

    /// Whether nothing can be said of it.
    pub fn is_unknown(self) -> bool {
        self.error == f64::INFINITY
    }

    /// The value as f64.
    pub fn float(self) -> f64 {
        self.value.to_f64()
    }

    /// The interval does not touch zero.
    fn keeps_sign(self) -> bool {
        self.is_exact() || self.float().abs() > self.error
    }
}

fn largest(dtype: DType) -> f64 {
    if dtype == DType::F32 { f64::from(f32::MAX) } else { f64::MAX }
}

/// The distance to the next number of the type.
pub fn ulp(dtype: DType, x: f64) -> f64 {
    if dtype == DType::F32 {
        let x = x.abs() as f32;
        f64::from(x.next_up()) - f64::from(x)
    } else {
        x.abs().next_up() - x.abs()
    }
}

/// A rounded result: the spread of the exact function, and the rounding of both computations at this magnitude.
pub fn rounded(value: Scalar, spread: f64, bounds: Bounds, magnitude: f64) -> Bounded {
    let dtype = value.dtype();
    let size = magnitude.max(value.to_f64().abs() + spread);
    if !value.to_f64().is_finite() || size.is_nan() || size >= largest(dtype) {
        return Bounded::unknown(value);
    }
    // With an interval, its ends were computed with the row's error as well.
    let roundings = bounds.own + bounds.other + bounds.rules + if spread > 0.0 { 2.0 * bounds.own } else { 0.0 };
    let error = (spread + roundings * ulp(dtype, size)) * MARGIN;
    if size + error >= largest(dtype) { Bounded::unknown(value) } else { Bounded { value, error } }
}

/// Exact where all operands are, else anything: for results that are not numbers or that jump.
fn all_or_nothing(value: Scalar, operands: &[Bounded]) -> Bounded {
    if operands.iter().all(|x| x.is_exact()) { Bounded::exact(value) } else { Bounded::unknown(value) }
}

/// An op of one operand.
pub fn unary(rounding: &Rounding, op: UnaryOp, x: Bounded) -> Bounded {
    rounding.result(unary_of_seen(rounding, op, rounding.operand(x)))
}

fn unary_of_seen(rounding: &Rounding, op: UnaryOp, x: Bounded) -> Bounded {
    let Some(value) = op.apply(x.value) else { return Bounded::unknown(x.value) };
    if x.is_exact() && rounding.repeats(op.row(), x.value.dtype()) {
        return Bounded::exact(value);
    }
    if !x.value.dtype().is_float() || x.is_unknown() {
        return all_or_nothing(value, &[x]);
    }
    match op {
        UnaryOp::Neg | UnaryOp::Abs | UnaryOp::StopGradient => Bounded { value, error: x.error },
        // An interval holds finite numbers only.
        UnaryOp::IsNan | UnaryOp::IsInf | UnaryOp::IsFinite => Bounded::exact(value),
        UnaryOp::Sign | UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Trunc | UnaryOp::Round => {
            let ends = [x.float() - x.error, x.float() + x.error].map(|end| at(op, end).to_bits());
            if x.is_exact() || ends[0] == ends[1] { Bounded::exact(value) } else { Bounded::unknown(value) }
        }
        UnaryOp::Not => all_or_nothing(value, &[x]),
        UnaryOp::Sqrt
        | UnaryOp::Cbrt
        | UnaryOp::Exp
        | UnaryOp::Exp2
        | UnaryOp::Expm1
        | UnaryOp::Ln
        | UnaryOp::Log2
        | UnaryOp::Log10
        | UnaryOp::Log1p
        | UnaryOp::Sin
        | UnaryOp::Cos
        | UnaryOp::Tan
        | UnaryOp::Asin
        | UnaryOp::Acos
        | UnaryOp::Atan
        | UnaryOp::Sinh
        | UnaryOp::Cosh
        | UnaryOp::Tanh
        | UnaryOp::Asinh
        | UnaryOp::Acosh
        | UnaryOp::Atanh
        | UnaryOp::Erf
        | UnaryOp::Erfc
        | UnaryOp::Erfinv
        | UnaryOp::Gamma
        | UnaryOp::Lgamma
        | UnaryOp::Digamma => function(rounding, op, x, value),
    }
}

/// The op at a point of f64.
fn at(op: UnaryOp, x: f64) -> f64 {
    op.apply(Scalar::F64(x)).map_or(f64::NAN, Scalar::to_f64)
}

fn function(rounding: &Rounding, op: UnaryOp, x: Bounded, value: Scalar) -> Bounded {
    let bound = rounding.bounds(op.row(), value.dtype());
    let (point, result) = (x.float(), value.to_f64());
    // The gamma family is bounded by ULP of max(|result|, 1).
    let floor = if matches!(op, UnaryOp::Gamma | UnaryOp::Lgamma | UnaryOp::Digamma) { 1.0 } else { 0.0 };
    if x.is_exact() {
        let pole = result.is_infinite() && point.is_finite() && point.abs() <= 2.0;
        return match () {
            () if result.is_nan() || point.is_infinite() || pole => Bounded::exact(value),
            () if op == UnaryOp::Sqrt && point == 0.0 => Bounded::exact(value),
            () if op == UnaryOp::Sqrt && bound.is_rounding() && is_square(point, result, value.dtype()) => {
                Bounded::exact(value)
            }
            () => rounded(value, 0.0, bound, floor),
        };
    }
    let (low, high) = (point - x.error, point + x.error);
    let ends = [at(op, low), at(op, high)];
    if result.is_nan() && ends.iter().all(|end| end.is_nan()) && has_convex_domain(op) {
        return Bounded::exact(value);
    }
    if !ends.iter().all(|end| end.is_finite()) || !result.is_finite() {
        return Bounded::unknown(value);
    }
    let straddles = low <= 0.0 && high >= 0.0;
    let between: f64 = match op {
        UnaryOp::Cosh if straddles => 1.0,
        UnaryOp::Sin | UnaryOp::Cos => return rounded(value, x.error.min(2.0), bound, 0.0),
        UnaryOp::Tan if point.abs() > 1e6 => return Bounded::unknown(value),
        UnaryOp::Tan if branch(low) != branch(high) => return Bounded::unknown(value),
        UnaryOp::Gamma | UnaryOp::Lgamma | UnaryOp::Digamma if low <= 0.0 => return Bounded::unknown(value),
        // The minimum of Γ on x > 0 lies at 1.4616…
        UnaryOp::Gamma if low < 1.47 && high > 1.45 => 0.8856,
        UnaryOp::Lgamma if low < 1.47 && high > 1.45 => -0.1215,
        _ => result,
    };
    let spread = ends.into_iter().chain([between]).map(|end| (end - result).abs()).fold(0.0, f64::max);
    rounded(value, spread, bound, floor)
}

/// Whether the root was not rounded.
fn is_square(point: f64, root: f64, dtype: DType) -> bool {
    if dtype == DType::F32 { root * root == point } else { root.mul_add(root, -point) == 0.0 && point > 1e-290 }
}

fn has_convex_domain(op: UnaryOp) -> bool {
    !matches!(op, UnaryOp::Asin | UnaryOp::Acos | UnaryOp::Atanh | UnaryOp::Erfinv | UnaryOp::Gamma | UnaryOp::Digamma)
}

/// Which branch of the tangent a point lies on.
fn branch(x: f64) -> f64 {
    (x / std::f64::consts::PI + 0.5).floor()
}

/// An op of two operands.
pub fn binary(rounding: &Rounding, op: BinaryOp, a: Bounded, b: Bounded) -> Bounded {
    rounding.result(binary_of_seen(rounding, op, rounding.operand(a), rounding.operand(b)))
}

fn binary_of_seen(rounding: &Rounding, op: BinaryOp, a: Bounded, b: Bounded) -> Bounded {
    let Some(value) = op.apply(a.value, b.value) else { return Bounded::unknown(a.value) };
    if a.is_exact() && b.is_exact() && rounding.repeats(op.row(), a.value.dtype()) {
        return Bounded::exact(value);
    }
    if !a.value.dtype().is_float() {
        return all_or_nothing(value, &[a, b]);
    }
    let (x, y) = (a.float(), b.float());
    match op {
        BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge | BinaryOp::Eq | BinaryOp::Ne => {
            let apart = (x - y).abs() > (a.error + b.error) * MARGIN;
            let decided = !a.is_unknown() && !b.is_unknown() && (x.is_nan() || y.is_nan() || apart);
            if decided { Bounded::exact(value) } else { all_or_nothing(value, &[a, b]) }
        }
        BinaryOp::Maximum | BinaryOp::Minimum | BinaryOp::Fmax | BinaryOp::Fmin => extreme(op, a, b, value),
        BinaryOp::Copysign if b.keeps_sign() && !a.is_unknown() => Bounded { value, error: a.error },
        BinaryOp::Copysign | BinaryOp::Rem | BinaryOp::FloorDiv => all_or_nothing(value, &[a, b]),
        _ if a.is_unknown() || b.is_unknown() => Bounded::unknown(value),
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div => arithmetic(rounding, op, a, b, value),
        BinaryOp::Pow | BinaryOp::Atan2 | BinaryOp::Hypot => plane_function(rounding, op, a, b, value),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor | BinaryOp::Shl | BinaryOp::Shr => all_or_nothing(value, &[a, b]),
        BinaryOp::RandomBits32
        | BinaryOp::RandomBits64
        | BinaryOp::RandomUniform32
        | BinaryOp::RandomUniform64
        | BinaryOp::RandomKey => all_or_nothing(value, &[a, b]),
    }
}

fn extreme(op: BinaryOp, a: Bounded, b: Bounded, value: Scalar) -> Bounded {
    let propagates = matches!(op, BinaryOp::Maximum | BinaryOp::Minimum);
    let nan = [a, b].iter().any(|x| x.is_exact() && x.value.is_nan());
    match nan {
        true if propagates => Bounded::exact(value),
        // The NaN yields, and the other one is the result.
        true => Bounded { value, error: a.error.max(b.error) },
        false if value.to_f64().is_infinite() && !a.is_unknown() && !b.is_unknown() => Bounded::exact(value),
        false => Bounded { value, error: a.error.max(b.error) },
    }
}

/// Whether the result of an arithmetic op on exact operands was not rounded.
fn is_representable(op: BinaryOp, x: f64, y: f64, value: Scalar) -> bool {
    let result = value.to_f64();
    let normal = result.abs() > 1e-290 || result == 0.0;
    match (op, value.dtype()) {
        (BinaryOp::Add, DType::F32) => x + y == result && two_sum_error(x, y) == 0.0,
        (BinaryOp::Sub, DType::F32) => x - y == result && two_sum_error(x, -y) == 0.0,
        (BinaryOp::Mul, DType::F32) => x * y == result,
        (BinaryOp::Div, DType::F32) => y * result == x,
        (BinaryOp::Add, _) => two_sum_error(x, y) == 0.0,
        (BinaryOp::Sub, _) => two_sum_error(x, -y) == 0.0,
        (BinaryOp::Mul, _) if result == 0.0 => x == 0.0 || y == 0.0,
        (BinaryOp::Mul, _) => normal && x.mul_add(y, -result) == 0.0,
        (BinaryOp::Div, _) if result == 0.0 => x == 0.0,
        (_, _) => normal && x.abs() > 1e-290 && result.mul_add(y, -x) == 0.0,
    }
}

fn two_sum_error(x: f64, y: f64) -> f64 {
    let sum = x + y;
    let rest = sum - x;
    (x - (sum - rest)) + (y - rest)
}

fn arithmetic(rounding: &Rounding, op: BinaryOp, a: Bounded, b: Bounded, value: Scalar) -> Bounded {
    let bounds = rounding.bounds(op.row(), value.dtype());
    let (x, y) = (a.float(), b.float());
    if x.is_nan() || y.is_nan() {
        return Bounded::exact(value);
    }
    // A NaN made of infinities: a rewriting may give the limit, as the logistic function of inf written without a quotient.
    if value.is_nan() {
        return Bounded::unknown(value);
    }
    if x.is_infinite() || y.is_infinite() {
        let decided = match op {
            BinaryOp::Add | BinaryOp::Sub => true,
            _ => a.keeps_sign() && b.keeps_sign(),
        };
        return if decided { Bounded::exact(value) } else { Bounded::unknown(value) };
    }
    if a.is_exact() && b.is_exact() {
        return match () {
            () if op == BinaryOp::Div && y == 0.0 => Bounded::exact(value),
            () if value.to_f64().is_finite() && bounds.is_rounding() && is_representable(op, x, y, value) => {
                Bounded::exact(value)
            }
            () => rounded(value, 0.0, bounds, 0.0),
        };
    }
    let spread = match op {
        BinaryOp::Mul => x.abs() * b.error + y.abs() * a.error + a.error * b.error,
        BinaryOp::Div if !b.keeps_sign() => return Bounded::unknown(value),
        BinaryOp::Div => ((x / y).abs() * b.error + a.error) / (y.abs() - b.error),
        _ => a.error + b.error,
    };
    rounded(value, spread * MARGIN, bounds, 0.0)
}

fn plane_function(rounding: &Rounding, op: BinaryOp, a: Bounded, b: Bounded, value: Scalar) -> Bounded {
    let bound = rounding.bounds(op.row(), value.dtype());
    let (x, y, result) = (a.float(), b.float(), value.to_f64());
    if a.is_exact() && b.is_exact() {
        let special = !x.is_finite() || !y.is_finite() || (op == BinaryOp::Pow && x == 0.0);
        return if result.is_nan() || special { Bounded::exact(value) } else { rounded(value, 0.0, bound, 0.0) };
    }
    if !x.is_finite() || !y.is_finite() || !result.is_finite() {
        return Bounded::unknown(value);
    }
    let spread = match op {
        BinaryOp::Hypot => a.error + b.error,
        BinaryOp::Atan2 => {
            let (distance, error) = (x.hypot(y), a.error + b.error);
            let cut = y - b.error <= 0.0 && !a.keeps_sign();
            if cut || x == 0.0 || distance <= 2.0 * error {
                return Bounded::unknown(value);
            }
            error / (distance - error)
        }
        _ => {
            // Monotone in each operand where the base keeps its sign, or for a fixed integer power above zero.
            let integer = b.is_exact() && y == y.trunc();
            if !(x > a.error || (integer && (a.keeps_sign() || y > 0.0))) {
                return Bounded::unknown(value);
            }
            let power = |x: f64, y: f64| op.apply(Scalar::F64(x), Scalar::F64(y)).map_or(f64::NAN, Scalar::to_f64);
            let corners = [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)];
            let ends = corners.map(|(i, j)| (power(x + i * a.error, y + j * b.error) - result).abs());
            let zero = if a.keeps_sign() { 0.0 } else { result.abs() };
            ends.into_iter().fold(zero, |spread, end| if end.is_nan() { end } else { spread.max(end) })
        }
    };
    rounded(value, spread * MARGIN, bound, 0.0)
}

/// An op of three operands.
pub fn ternary(rounding: &Rounding, op: TernaryOp, a: Bounded, b: Bounded, c: Bounded) -> Bounded {
    let Some(value) = op.apply(a.value, b.value, c.value) else { return Bounded::unknown(b.value) };
    match op {
        TernaryOp::Select if a.is_unknown() => Bounded::unknown(value),
        TernaryOp::Select if a.value == Scalar::Bool(true) => b,
        TernaryOp::Select => c,
        TernaryOp::MulAdd => {
            rounding.result(mul_add(rounding, [a, b, c].map(|operand| rounding.operand(operand)), value))
        }
    }
}

fn mul_add(rounding: &Rounding, operands: [Bounded; 3], value: Scalar) -> Bounded {
    let (bounds, dtype) = (rounding.bounds(TernaryOp::MulAdd.row(), value.dtype()), value.dtype());
    if rounding.fuses && operands.iter().all(|x| x.is_exact()) && rounding.repeats(TernaryOp::MulAdd.row(), dtype) {
        return Bounded::exact(value);
    }
    let [x, y, z] = operands.map(Bounded::float);
    let finite = [x, y, z].iter().all(|x| x.is_finite());
    // The product, rounded on its own, is off by half an ULP, and may overflow.
    let unfused = if rounding.fuses { 0.0 } else { 0.5 * ulp(dtype, x * y) };
    if !rounding.fuses && x.is_finite() && y.is_finite() && (x * y).abs() >= largest(dtype) {
        return Bounded::unknown(value);
    }
    if operands.iter().all(|x| x.is_exact()) {
        return if finite { rounded(value, unfused, bounds, 0.0) } else { Bounded::exact(value) };
    }
    if operands.iter().any(|x| x.is_unknown()) || !finite {
        return Bounded::unknown(value);
    }
    let [a, b, c] = operands.map(|operand| operand.error);
    let spread = x.abs() * b + y.abs() * a + a * b + c + unfused + rounding.flushed(dtype);
    // The parts of the sum may be larger than it.
    rounded(value, spread * MARGIN, bounds, 0.0)
}

/// A conversion.
pub fn cast(rounding: &Rounding, x: Bounded, dtype: DType) -> Bounded {
    let seen = rounding.operand(x);
    // A conversion is correctly rounded everywhere.
    let repeated = !rounding.rewrites && seen.is_exact();
    rounding.result(if repeated { Bounded::exact(seen.value.cast(dtype)) } else { cast_of_seen(seen, dtype) })
}

fn cast_of_seen(x: Bounded, dtype: DType) -> Bounded {
    let value = x.value.cast(dtype);
    if x.is_exact() || x.is_unknown() || !x.value.dtype().is_float() {
        let exact = x.is_exact();
        let inexact = dtype.is_float() && exact && value.cast(x.value.dtype()) != x.value && value.to_f64().is_finite();
        return match () {
            () if inexact && x.value.dtype().is_float() && !x.value.is_nan() => {
                rounded(value, 0.0, Bounds::ROUNDING, 0.0)
            }
            () => all_or_nothing(value, &[x]),
        };
    }
    if dtype.is_float() {
        return if dtype == x.value.dtype() || dtype == DType::F64 {
            Bounded { value, error: x.error }
        } else {
            rounded(value, x.error, Bounds::ROUNDING, 0.0)
        };
    }
    let ends = [x.float() - x.error, x.float() + x.error].map(|end| Scalar::F64(end).cast(dtype));
    let around_zero = dtype == DType::Bool && !x.keeps_sign();
    if ends[0] == ends[1] && !around_zero { Bounded::exact(value) } else { Bounded::unknown(value) }
}
