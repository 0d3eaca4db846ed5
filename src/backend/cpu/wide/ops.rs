//! The wide code of each op: a sequence that gives exactly what its row's scalar function gives, or a call of its kernel.
//!
//! Exhaustive over the ops: a new row does not compile without a decision here. Must not know: memory, loops.

use super::bytes::lane_bits;
use super::division::by_constant;
use super::extremum::{extreme_integer, extreme_number, extremum};
use super::fused::Fused;
use super::instruction::*;
use super::step::{Step, Value};
use super::trace::{Lanes, Parts, Tracer, no_wide_form};
use crate::backend::cpu::math::Function;
use crate::dtype::{DType, Kind, Scalar};
use crate::error::Result;
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};

/// An instruction for lanes of four bytes and one for lanes of eight.
pub(super) type Pair = [&'static Opcode; 2];

pub(super) const ADD: Pair = [&ADDPS, &ADDPD];
const SUB: Pair = [&SUBPS, &SUBPD];
const MUL: Pair = [&MULPS, &MULPD];
const DIV: Pair = [&DIVPS, &DIVPD];
pub(super) const MIN: Pair = [&MINPS, &MINPD];
pub(super) const MAX: Pair = [&MAXPS, &MAXPD];
const SQRT: Pair = [&SQRTPS, &SQRTPD];
const ROUND: Pair = [&ROUNDPS, &ROUNDPD];
const COMPARE: Pair = [&CMPPS, &CMPPD];
const BLEND: Pair = [&BLENDVPS, &BLENDVPD];
const ADD_INTEGERS: Pair = [&PADDD, &PADDQ];
const SUB_INTEGERS: Pair = [&PSUBD, &PSUBQ];
const EQUAL_INTEGERS: Pair = [&PCMPEQD, &PCMPEQQ];
const GREATER_INTEGERS: Pair = [&PCMPGTD, &PCMPGTQ];
const SHIFT_LEFT: Pair = [&PSLLVD, &PSLLVQ];
const SHIFT_RIGHT: Pair = [&PSRLVD, &PSRLVQ];
pub(super) const BITWISE_AND: Pair = [&AND, &AND];
pub(super) const BITWISE_OR: Pair = [&OR, &OR];
pub(super) const BITWISE_XOR: Pair = [&XOR, &XOR];
const BITWISE_AND_NOT: Pair = [&ANDN, &ANDN];

/// Predicates of `vcmpps`: ordered and quiet, but for those that hold for NaN.
const EQUAL: u8 = 0;
pub(super) const UNORDERED: u8 = 3;
const NOT_EQUAL: u8 = 4;
pub(super) const ORDERED: u8 = 7;
pub(super) const LESS: u8 = 17;
pub(super) const LESS_OR_EQUAL: u8 = 18;
pub(super) const GREATER_OR_EQUAL: u8 = 29;
pub(super) const GREATER: u8 = 30;

/// Modes of `vroundps`, without the inexact exception.
const NEAREST: u8 = 8;
const FLOOR: u8 = 9;
const CEIL: u8 = 10;
const TRUNC: u8 = 11;

fn of(pair: Pair, width: usize) -> &'static Opcode {
    if width == 4 { pair[0] } else { pair[1] }
}

impl Tracer<'_> {
    /// The vectors of a result, computed once where neighbors have the same operands.
    fn parts<const N: usize>(
        &mut self,
        operands: [&Lanes; N],
        mut compute: impl FnMut(&mut Self, [Value; N]) -> Value,
    ) -> Parts {
        let mut known: Option<([Value; N], Value)> = None;
        let part = |part: usize| {
            let values = operands.map(|lanes| lanes.parts[part]);
            let result = match known {
                Some((same, result)) if same == values => result,
                _ => compute(self, values),
            };
            known = Some((values, result));
            result
        };
        (0..operands[0].parts.len()).map(part).collect()
    }

    fn each_unary(&mut self, pair: Pair, x: &Lanes, immediate: Option<u8>) -> Lanes {
        let opcode = of(pair, x.width);
        x.with(self.parts([x], |t, [x]| t.compute_with(opcode, None, x, None, immediate)))
    }

    /// One instruction for each pair of vectors.
    pub(super) fn each(&mut self, pair: Pair, a: &Lanes, b: &Lanes) -> Lanes {
        let opcode = of(pair, a.width);
        a.with(self.parts([a, b], |t, [a, b]| t.compute(opcode, Some(a), b)))
    }

    /// All lanes these bits, as elements like those.
    pub(super) fn like(&mut self, like: &Lanes, bits: u64) -> Lanes {
        let value = self.splat(like.width, bits);
        like.with(like.parts.iter().map(|_| value))
    }

    pub(super) fn compare(&mut self, predicate: u8, a: &Lanes, b: &Lanes) -> Lanes {
        let opcode = of(COMPARE, a.width);
        let parts = self.parts([a, b], |t, [a, b]| t.compute_with(opcode, Some(a), b, None, Some(predicate)));
        Lanes { dtype: DType::Bool, width: a.width, parts }
    }

    /// `mask ? yes : no` on lanes of one width.
    pub(super) fn blend(&mut self, mask: &Lanes, yes: &Lanes, no: &Lanes) -> Lanes {
        let opcode = of(BLEND, yes.width);
        yes.with(
            self.parts([mask, yes, no], |t, [mask, yes, no]| t.compute_with(opcode, Some(no), yes, Some(mask), None)),
        )
    }

    /// `mask ? yes : no`, whatever the widths of masks.
    pub(super) fn select(&mut self, mask: &Lanes, yes: &Lanes, no: &Lanes) -> Lanes {
        let width = if yes.dtype == DType::Bool { self.common_width(&[mask, yes, no]) } else { yes.width };
        let mask = self.mask_to(mask, width);
        if yes.dtype != DType::Bool {
            return self.blend(&mask, yes, no);
        }
        let (yes, no) = (self.mask_to(yes, width), self.mask_to(no, width));
        self.blend(&mask, &yes, &no)
    }

    /// Masks in one width.
    fn aligned(&mut self, a: &Lanes, b: &Lanes) -> (Lanes, Lanes) {
        if a.dtype != DType::Bool {
            return (a.clone(), b.clone());
        }
        let width = self.common_width(&[a, b]);
        (self.mask_to(a, width), self.mask_to(b, width))
    }

    /// The narrowest width of masks; constants have any.
    fn common_width(&self, masks: &[&Lanes]) -> usize {
        let computed = masks.iter().filter(|mask| self.constant_of(mask.parts[0]).is_none());
        computed.map(|mask| mask.width).min().unwrap_or(masks[0].width)
    }

    fn sign_bits(&mut self, like: &Lanes) -> Lanes {
        self.like(like, 1 << (like.width * 8 - 1))
    }

    pub(super) fn not(&mut self, x: &Lanes) -> Lanes {
        let ones = self.like(x, u64::MAX);
        self.each(BITWISE_XOR, x, &ones)
    }

    fn abs(&mut self, x: &Lanes) -> Lanes {
        let magnitude = self.like(x, (1 << (x.width * 8 - 1)) - 1);
        self.each(BITWISE_AND, x, &magnitude)
    }

    fn infinity(&mut self, like: &Lanes) -> Lanes {
        self.like(like, if like.width == 4 { u64::from(f32::INFINITY.to_bits()) } else { f64::INFINITY.to_bits() })
    }

    /// An element's number in the dtype of others, as bits.
    fn number(&mut self, like: &Lanes, value: i64) -> Lanes {
        self.like(like, lane_bits(Scalar::I64(value).cast(like.dtype)))
    }
}

/// An op of one operand.
pub(super) fn unary(t: &mut Tracer<'_>, op: UnaryOp, x: &Lanes) -> Result<Lanes> {
    let float = x.dtype.is_float();
    Ok(match op {
        UnaryOp::Neg if float => {
            let sign = t.sign_bits(x);
            t.each(BITWISE_XOR, x, &sign)
        }
        UnaryOp::Neg => {
            let negative = negate(t, x);
            t.wrapped(negative)
        }
        UnaryOp::Abs => match x.dtype.kind() {
            Kind::Float => t.abs(x),
            Kind::Signed => {
                let size = absolute(t, x);
                t.wrapped(size)
            }
            Kind::Unsigned | Kind::Bool => x.clone(),
        },
        UnaryOp::Sign => sign(t, x),
        UnaryOp::Not => {
            let flipped = t.not(x);
            t.wrapped(flipped)
        }
        UnaryOp::Sqrt => t.each_unary(SQRT, x, None),
        UnaryOp::Floor => t.each_unary(ROUND, x, Some(FLOOR)),
        UnaryOp::Ceil => t.each_unary(ROUND, x, Some(CEIL)),
        UnaryOp::Trunc => t.each_unary(ROUND, x, Some(TRUNC)),
        UnaryOp::Round => t.each_unary(ROUND, x, Some(NEAREST)),
        UnaryOp::IsNan => t.compare(UNORDERED, x, x),
        UnaryOp::IsInf => {
            let (size, infinity) = (t.abs(x), t.infinity(x));
            t.compare(EQUAL, &size, &infinity)
        }
        UnaryOp::IsFinite => {
            let (size, infinity) = (t.abs(x), t.infinity(x));
            t.compare(LESS, &size, &infinity)
        }
        UnaryOp::StopGradient => x.clone(),
        UnaryOp::Cbrt
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
        | UnaryOp::Digamma => return t.call(Function::Unary(op), &[x]),
    })
}

/// An op of two operands.
pub(super) fn binary(t: &mut Tracer<'_>, op: BinaryOp, a: &Lanes, b: &Lanes) -> Result<Lanes> {
    let kind = a.dtype.kind();
    let float = kind == Kind::Float;
    Ok(match op {
        BinaryOp::Add if float => t.each(ADD, a, b),
        BinaryOp::Add => {
            let sum = add_integers(t, a, b);
            t.wrapped(sum)
        }
        BinaryOp::Sub => {
            let difference = t.each(if float { SUB } else { SUB_INTEGERS }, a, b);
            t.wrapped(difference)
        }
        BinaryOp::Mul if float => t.each(MUL, a, b),
        BinaryOp::Mul => {
            let product = multiply(t, a, b);
            t.wrapped(product)
        }
        BinaryOp::Div => t.each(DIV, a, b),
        BinaryOp::FloorDiv | BinaryOp::Rem => match by_constant(t, op, a, b)? {
            Some(result) => result,
            None => return t.call(Function::Binary(op), &[a, b]),
        },
        BinaryOp::Pow | BinaryOp::Atan2 | BinaryOp::Hypot if float => return t.call(Function::Binary(op), &[a, b]),
        BinaryOp::Pow | BinaryOp::Atan2 | BinaryOp::Hypot => return Err(no_wide_form(op)),
        BinaryOp::Copysign => {
            let sign = t.sign_bits(a);
            let (size, sign) = (t.each(BITWISE_AND_NOT, &sign, a), t.each(BITWISE_AND, b, &sign));
            t.each(BITWISE_OR, &size, &sign)
        }
        BinaryOp::Maximum | BinaryOp::Minimum if float => extremum(t, op == BinaryOp::Maximum, a, b),
        BinaryOp::Fmax | BinaryOp::Fmin if float => extreme_number(t, op == BinaryOp::Fmax, a, b),
        BinaryOp::Maximum | BinaryOp::Fmax => extreme_integer(t, true, a, b),
        BinaryOp::Minimum | BinaryOp::Fmin => extreme_integer(t, false, a, b),
        BinaryOp::Lt if float => t.compare(LESS, a, b),
        BinaryOp::Le if float => t.compare(LESS_OR_EQUAL, a, b),
        BinaryOp::Gt if float => t.compare(GREATER, a, b),
        BinaryOp::Ge if float => t.compare(GREATER_OR_EQUAL, a, b),
        BinaryOp::Eq if float => t.compare(EQUAL, a, b),
        BinaryOp::Ne if float => t.compare(NOT_EQUAL, a, b),
        BinaryOp::Lt => greater(t, b, a),
        BinaryOp::Gt => greater(t, a, b),
        BinaryOp::Le => {
            let greater = greater(t, a, b);
            t.not(&greater)
        }
        BinaryOp::Ge => {
            let less = greater(t, b, a);
            t.not(&less)
        }
        BinaryOp::Eq => equal(t, a, b),
        BinaryOp::Ne => {
            let equal = equal(t, a, b);
            t.not(&equal)
        }
        BinaryOp::And => bitwise(t, BITWISE_AND, a, b),
        BinaryOp::Or => bitwise(t, BITWISE_OR, a, b),
        BinaryOp::Xor => bitwise(t, BITWISE_XOR, a, b),
        BinaryOp::Shl => {
            let shifted = t.each(SHIFT_LEFT, a, b);
            t.wrapped(shifted)
        }
        BinaryOp::Shr => shift_right(t, a, b)?,
        BinaryOp::RandomBits32
        | BinaryOp::RandomBits64
        | BinaryOp::RandomUniform32
        | BinaryOp::RandomUniform64
        | BinaryOp::RandomKey => return t.call(Function::Binary(op), &[a, b]),
    })
}

/// An op on the bits of integers or masks.
pub(super) fn bitwise(t: &mut Tracer<'_>, pair: Pair, a: &Lanes, b: &Lanes) -> Lanes {
    let (a, b) = t.aligned(a, b);
    t.each(pair, &a, &b)
}

/// An op of three operands.
pub(super) fn ternary(t: &mut Tracer<'_>, op: TernaryOp, a: &Lanes, b: &Lanes, c: &Lanes) -> Result<Lanes> {
    match op {
        TernaryOp::Select => Ok(t.select(a, b, c)),
        TernaryOp::MulAdd => Ok(mul_add(t, a, b, c)),
    }
}

fn mul_add(t: &mut Tracer<'_>, a: &Lanes, b: &Lanes, c: &Lanes) -> Lanes {
    let double = a.width == 8;
    a.with(t.parts([a, b, c], |t, operands| {
        let result = t.steps.value(super::step::Home::None);
        t.steps.steps.push(Step::MulAdd { form: Fused::Sum, double, result, operands });
        result
    }))
}

/// 0 − x, for integers.
pub(super) fn negate(t: &mut Tracer<'_>, x: &Lanes) -> Lanes {
    let zero = t.like(x, 0);
    let result = t.each(SUB_INTEGERS, &zero, x);
    t.negated.extend(result.parts.iter().map(|&part| (part, x.width)).zip(x.parts.iter().copied()));
    result
}

/// a + b, as a subtraction where an operand is a negation, as the numbers are that truths become.
fn add_integers(t: &mut Tracer<'_>, a: &Lanes, b: &Lanes) -> Lanes {
    let opposite = |x: &Lanes| -> Option<Lanes> {
        let parts: Option<Parts> = x.parts.iter().map(|&part| t.negated.get(&(part, x.width)).copied()).collect();
        Some(x.with(parts?))
    };
    match (opposite(b), opposite(a)) {
        (Some(b), _) => t.each(SUB_INTEGERS, a, &b),
        (None, Some(a)) => t.each(SUB_INTEGERS, b, &a),
        (None, None) => t.each(ADD_INTEGERS, a, b),
    }
}

/// The lowest integer stays itself.
fn absolute(t: &mut Tracer<'_>, x: &Lanes) -> Lanes {
    if x.width == 4 {
        return t.each_unary([&PABSD, &PABSD], x, None);
    }
    let zero = t.like(x, 0);
    let negative = t.each(GREATER_INTEGERS, &zero, x);
    let flipped = t.each(BITWISE_XOR, x, &negative);
    t.each(SUB_INTEGERS, &flipped, &negative)
}

fn sign(t: &mut Tracer<'_>, x: &Lanes) -> Lanes {
    let (zero, one) = (t.number(x, 0), t.number(x, 1));
    let nonnegative = match x.dtype.kind() {
        Kind::Float => {
            let (minus, negative) = (t.number(x, -1), t.compare(LESS, x, &zero));
            t.blend(&negative, &minus, x)
        }
        Kind::Signed => {
            let (minus, negative) = (t.number(x, -1), greater(t, &zero, x));
            t.blend(&negative, &minus, x)
        }
        Kind::Unsigned | Kind::Bool => x.clone(),
    };
    let positive = if x.dtype.is_float() { t.compare(GREATER, x, &zero) } else { greater(t, x, &zero) };
    t.blend(&positive, &one, &nonnegative)
}

/// Products of 64-bit lanes from those of their halves.
fn multiply(t: &mut Tracer<'_>, a: &Lanes, b: &Lanes) -> Lanes {
    if a.width == 4 {
        return t.each([&PMULLD, &PMULLD], a, b);
    }
    let product: Pair = [&PMULUDQ, &PMULUDQ];
    let half = t.like(a, 32);
    let (high_a, high_b) = (t.each(SHIFT_RIGHT, a, &half), t.each(SHIFT_RIGHT, b, &half));
    let (first, second) = (t.each(product, &high_a, b), t.each(product, a, &high_b));
    let cross = t.each(ADD_INTEGERS, &first, &second);
    let cross = t.each(SHIFT_LEFT, &cross, &half);
    let low = t.each(product, a, b);
    t.each(ADD_INTEGERS, &low, &cross)
}

fn truth(like: &Lanes) -> Lanes {
    Lanes { dtype: DType::Bool, ..like.clone() }
}

/// `a > b` on integers and bools (false < true).
pub(super) fn greater(t: &mut Tracer<'_>, a: &Lanes, b: &Lanes) -> Lanes {
    match a.dtype.kind() {
        Kind::Bool => {
            let (a, b) = t.aligned(a, b);
            t.each(BITWISE_AND_NOT, &b, &a)
        }
        Kind::Unsigned => {
            let sign = t.sign_bits(a);
            let (a, b) = (t.each(BITWISE_XOR, a, &sign), t.each(BITWISE_XOR, b, &sign));
            truth(&t.each(GREATER_INTEGERS, &a, &b))
        }
        Kind::Signed | Kind::Float => truth(&t.each(GREATER_INTEGERS, a, b)),
    }
}

fn equal(t: &mut Tracer<'_>, a: &Lanes, b: &Lanes) -> Lanes {
    let (a, b) = t.aligned(a, b);
    truth(&t.each(EQUAL_INTEGERS, &a, &b))
}

/// Amounts out of range leave the sign of signed numbers, zero of others.
pub(super) fn shift_right(t: &mut Tracer<'_>, a: &Lanes, b: &Lanes) -> Result<Lanes> {
    match (a.dtype.kind(), a.width) {
        (Kind::Signed, 4) => Ok(t.each([&PSRAVD, &PSRAVD], a, b)),
        (Kind::Signed, _) => {
            // Flipped where negative, so that zeros come in from above; flipped back.
            let zero = t.like(a, 0);
            let negative = t.each(GREATER_INTEGERS, &zero, a);
            let flipped = t.each(BITWISE_XOR, a, &negative);
            let shifted = t.each(SHIFT_RIGHT, &flipped, b);
            Ok(t.each(BITWISE_XOR, &shifted, &negative))
        }
        (Kind::Unsigned | Kind::Bool | Kind::Float, _) => Ok(t.each(SHIFT_RIGHT, a, b)),
    }
}
