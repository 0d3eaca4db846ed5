//! The code of each op: a sequence that gives exactly what its row's scalar function gives.
//!
//! The same sequence serves scalars and vectors wherever Cranelift has both; what it lacks for vectors is done lane by
//! lane. Exhaustive over the ops: a new row does not compile without a decision here. Must not know: memory, loops.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{self, InstBuilder, types};
use cranelift_frontend::FunctionBuilder;

use super::{Emitter, Lanes, integer_type, scalar_type, vector_of};
use crate::backend::cpu::math::Function;
use crate::dtype::{DType, Kind, Scalar};
use crate::error::Result;
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};

type Builder<'a> = FunctionBuilder<'a>;

/// An op of one operand.
pub(super) fn unary(e: &mut Emitter<'_>, op: UnaryOp, x: &Lanes) -> Result<Lanes> {
    match op {
        UnaryOp::Neg => Ok(match x.dtype.is_float() {
            true => x.with(e.each([x], |b, [x]| b.ins().fneg(x))),
            false => x.with(e.each([x], |b, [x]| b.ins().ineg(x))),
        }),
        UnaryOp::Abs => Ok(match x.dtype.kind() {
            Kind::Float => x.with(e.each([x], |b, [x]| b.ins().fabs(x))),
            Kind::Signed => x.with(e.each([x], |b, [x]| b.ins().iabs(x))),
            Kind::Unsigned | Kind::Bool => x.clone(),
        }),
        UnaryOp::Sign => Ok(sign(e, x)),
        UnaryOp::Not => Ok(not(e, x)),
        UnaryOp::Sqrt => Ok(x.with(e.each([x], |b, [x]| b.ins().sqrt(x)))),
        UnaryOp::Floor => round(e, op, x, |b, x| b.ins().floor(x)),
        UnaryOp::Ceil => round(e, op, x, |b, x| b.ins().ceil(x)),
        UnaryOp::Trunc => round(e, op, x, |b, x| b.ins().trunc(x)),
        UnaryOp::Round => round(e, op, x, |b, x| b.ins().nearest(x)),
        UnaryOp::IsNan => Ok(compare_floats(e, FloatCC::Unordered, x, x)),
        UnaryOp::IsInf => Ok(compare_with_infinity(e, FloatCC::Equal, x)),
        UnaryOp::IsFinite => Ok(compare_with_infinity(e, FloatCC::LessThan, x)),
        UnaryOp::StopGradient => Ok(x.clone()),
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
        | UnaryOp::Digamma => e.call_kernel(Function::Unary(op), [x]),
    }
}

/// An op of two operands.
pub(super) fn binary(e: &mut Emitter<'_>, op: BinaryOp, a: &Lanes, b: &Lanes) -> Result<Lanes> {
    let float = a.dtype.is_float();
    let signed = a.dtype.kind() == Kind::Signed;
    match op {
        BinaryOp::Add => Ok(by_kind(e, a, b, |b, x, y| b.ins().fadd(x, y), |b, x, y| b.ins().iadd(x, y))),
        BinaryOp::Sub => Ok(by_kind(e, a, b, |b, x, y| b.ins().fsub(x, y), |b, x, y| b.ins().isub(x, y))),
        BinaryOp::Mul if a.width == 1 && e.lanes > 1 && !e.features.multiply_bytes => Ok(multiply_bytes(e, a, b)),
        BinaryOp::Mul => Ok(by_kind(e, a, b, |b, x, y| b.ins().fmul(x, y), |b, x, y| b.ins().imul(x, y))),
        BinaryOp::Div => Ok(a.with(e.each([a, b], |b, [x, y]| b.ins().fdiv(x, y)))),
        BinaryOp::Pow | BinaryOp::Atan2 | BinaryOp::Hypot if float => e.call_kernel(Function::Binary(op), [a, b]),
        BinaryOp::Pow | BinaryOp::Atan2 | BinaryOp::Hypot => e.call(Function::Binary(op), [a, b]),
        BinaryOp::FloorDiv
        | BinaryOp::Rem
        | BinaryOp::RandomBits32
        | BinaryOp::RandomBits64
        | BinaryOp::RandomUniform32
        | BinaryOp::RandomUniform64
        | BinaryOp::RandomKey => e.call_kernel(Function::Binary(op), [a, b]),
        BinaryOp::Copysign => Ok(copysign(e, a, b)),
        BinaryOp::Maximum => Ok(extremum(e, true, a, b)),
        BinaryOp::Minimum => Ok(extremum(e, false, a, b)),
        BinaryOp::Fmax if float => Ok(extreme_number(e, true, a, b)),
        BinaryOp::Fmax => Ok(extremum(e, true, a, b)),
        BinaryOp::Fmin if float => Ok(extreme_number(e, false, a, b)),
        BinaryOp::Fmin => Ok(extremum(e, false, a, b)),
        BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge | BinaryOp::Eq | BinaryOp::Ne => {
            Ok(compare(e, comparison(op), a, b))
        }
        BinaryOp::And => Ok(bitwise(e, a, b, |b, x, y| b.ins().band(x, y))),
        BinaryOp::Or => Ok(bitwise(e, a, b, |b, x, y| b.ins().bor(x, y))),
        BinaryOp::Xor => Ok(bitwise(e, a, b, |b, x, y| b.ins().bxor(x, y))),
        BinaryOp::Shl => shift(e, a, b, false, |b, x, y| b.ins().ishl(x, y)),
        BinaryOp::Shr if signed => shift(e, a, b, true, |b, x, y| b.ins().sshr(x, y)),
        BinaryOp::Shr => shift(e, a, b, false, |b, x, y| b.ins().ushr(x, y)),
    }
}

/// An op of three operands.
pub(super) fn ternary(e: &mut Emitter<'_>, op: TernaryOp, a: &Lanes, b: &Lanes, c: &Lanes) -> Result<Lanes> {
    match op {
        TernaryOp::Select => Ok(select(e, a, b, c)),
        TernaryOp::MulAdd if e.features.fma => Ok(a.with(e.each([a, b, c], |b, [x, y, z]| b.ins().fma(x, y, z)))),
        TernaryOp::MulAdd => e.call(Function::Ternary(op), [a, b, c]),
    }
}

fn by_kind(
    e: &mut Emitter<'_>,
    a: &Lanes,
    b: &Lanes,
    float: impl Fn(&mut Builder<'_>, ir::Value, ir::Value) -> ir::Value,
    integer: impl Fn(&mut Builder<'_>, ir::Value, ir::Value) -> ir::Value,
) -> Lanes {
    let is_float = a.dtype.is_float();
    a.with(e.each([a, b], |builder, [x, y]| if is_float { float(builder, x, y) } else { integer(builder, x, y) }))
}

fn round(
    e: &mut Emitter<'_>,
    op: UnaryOp,
    x: &Lanes,
    make: impl Fn(&mut Builder<'_>, ir::Value) -> ir::Value,
) -> Result<Lanes> {
    if !e.features.round {
        return e.call(Function::Unary(op), [x]);
    }
    Ok(x.with(e.each([x], |b, [x]| make(b, x))))
}

/// A constant of the operand's dtype in all lanes.
fn constant(e: &mut Emitter<'_>, like: &Lanes, value: i64) -> Lanes {
    e.splat_constant(Scalar::I64(value).cast(like.dtype))
}

fn sign(e: &mut Emitter<'_>, x: &Lanes) -> Lanes {
    let (zero, one) = (constant(e, x, 0), constant(e, x, 1));
    let positive = compare(e, IntCC::SignedGreaterThan, x, &zero);
    let nonnegative = match x.dtype.kind() {
        Kind::Float | Kind::Signed => {
            let (minus, negative) = (constant(e, x, -1), compare(e, IntCC::SignedLessThan, x, &zero));
            select(e, &negative, &minus, x)
        }
        Kind::Unsigned | Kind::Bool => x.clone(),
    };
    select(e, &positive, &one, &nonnegative)
}

fn not(e: &mut Emitter<'_>, x: &Lanes) -> Lanes {
    if x.dtype == DType::Bool && e.lanes == 1 {
        return x.with(e.each([x], |b, [x]| b.ins().bxor_imm_u(x, 1)));
    }
    x.with(e.each([x], |b, [x]| b.ins().bnot(x)))
}

fn compare_floats(e: &mut Emitter<'_>, condition: FloatCC, a: &Lanes, b: &Lanes) -> Lanes {
    let parts = e.each([a, b], |b, [x, y]| b.ins().fcmp(condition, x, y));
    e.truth(a, parts)
}

fn compare_with_infinity(e: &mut Emitter<'_>, condition: FloatCC, x: &Lanes) -> Lanes {
    let size = x.with(e.each([x], |b, [x]| b.ins().fabs(x)));
    let infinity = e.splat_constant(Scalar::F64(f64::INFINITY).cast(x.dtype));
    compare_floats(e, condition, &size, &infinity)
}

/// The comparison of an op, in its signed form.
fn comparison(op: BinaryOp) -> IntCC {
    match op {
        BinaryOp::Lt => IntCC::SignedLessThan,
        BinaryOp::Le => IntCC::SignedLessThanOrEqual,
        BinaryOp::Gt => IntCC::SignedGreaterThan,
        BinaryOp::Ge => IntCC::SignedGreaterThanOrEqual,
        BinaryOp::Eq => IntCC::Equal,
        BinaryOp::Ne
        | BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::FloorDiv
        | BinaryOp::Rem
        | BinaryOp::Pow
        | BinaryOp::Atan2
        | BinaryOp::Hypot
        | BinaryOp::Copysign
        | BinaryOp::Maximum
        | BinaryOp::Minimum
        | BinaryOp::Fmax
        | BinaryOp::Fmin
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor
        | BinaryOp::Shl
        | BinaryOp::Shr
        | BinaryOp::RandomBits32
        | BinaryOp::RandomBits64
        | BinaryOp::RandomUniform32
        | BinaryOp::RandomUniform64
        | BinaryOp::RandomKey => IntCC::NotEqual,
    }
}

/// The ordered comparison of floats; only "not equal" holds for NaN.
fn of_floats(condition: IntCC) -> FloatCC {
    match condition {
        IntCC::SignedLessThan | IntCC::UnsignedLessThan => FloatCC::LessThan,
        IntCC::SignedLessThanOrEqual | IntCC::UnsignedLessThanOrEqual => FloatCC::LessThanOrEqual,
        IntCC::SignedGreaterThan | IntCC::UnsignedGreaterThan => FloatCC::GreaterThan,
        IntCC::SignedGreaterThanOrEqual | IntCC::UnsignedGreaterThanOrEqual => FloatCC::GreaterThanOrEqual,
        IntCC::Equal => FloatCC::Equal,
        IntCC::NotEqual => FloatCC::NotEqual,
    }
}

fn compare(e: &mut Emitter<'_>, condition: IntCC, a: &Lanes, b: &Lanes) -> Lanes {
    let condition = match a.dtype.kind() {
        Kind::Float => return compare_floats(e, of_floats(condition), a, b),
        Kind::Bool => return compare_bools(e, condition, a, b),
        Kind::Signed => condition,
        Kind::Unsigned => condition.unsigned(),
    };
    let parts = e.each([a, b], |b, [x, y]| b.ins().icmp(condition, x, y));
    e.truth(a, parts)
}

/// false < true.
fn compare_bools(e: &mut Emitter<'_>, condition: IntCC, a: &Lanes, b: &Lanes) -> Lanes {
    let and = |b: &mut Builder<'_>, x, y| b.ins().band(x, y);
    let or = |b: &mut Builder<'_>, x, y| b.ins().bor(x, y);
    let (not_a, not_b) = (not(e, a), not(e, b));
    match condition {
        IntCC::SignedLessThan | IntCC::UnsignedLessThan => bitwise(e, &not_a, b, and),
        IntCC::SignedLessThanOrEqual | IntCC::UnsignedLessThanOrEqual => bitwise(e, &not_a, b, or),
        IntCC::SignedGreaterThan | IntCC::UnsignedGreaterThan => bitwise(e, a, &not_b, and),
        IntCC::SignedGreaterThanOrEqual | IntCC::UnsignedGreaterThanOrEqual => bitwise(e, a, &not_b, or),
        IntCC::Equal => bitwise(e, &not_a, b, |b, x, y| b.ins().bxor(x, y)),
        IntCC::NotEqual => bitwise(e, a, b, |b, x, y| b.ins().bxor(x, y)),
    }
}

/// An op on the bits of integers or masks, the latter brought to the narrower width.
fn bitwise(
    e: &mut Emitter<'_>,
    a: &Lanes,
    b: &Lanes,
    make: impl Fn(&mut Builder<'_>, ir::Value, ir::Value) -> ir::Value,
) -> Lanes {
    if a.dtype != DType::Bool || a.width == b.width {
        return a.with(e.each([a, b], |b, [x, y]| make(b, x, y)));
    }
    let width = a.width.min(b.width);
    let (a, b) = (e.mask_to(a, width), e.mask_to(b, width));
    a.with(e.each([&a, &b], |b, [x, y]| make(b, x, y)))
}

fn select(e: &mut Emitter<'_>, condition: &Lanes, a: &Lanes, b: &Lanes) -> Lanes {
    if e.lanes == 1 {
        return a.with(e.each([condition, a, b], |b, [c, x, y]| b.ins().select(c, x, y)));
    }
    let width = if a.dtype == DType::Bool { condition.width.min(a.width).min(b.width) } else { a.width };
    let mask = e.mask_to(condition, width);
    let (a, b) =
        if a.dtype == DType::Bool { (e.mask_to(a, width), e.mask_to(b, width)) } else { (a.clone(), b.clone()) };
    let vector = vector_of(a.lane());
    let parts = mask.parts.iter().map(|&part| e.reinterpret(part, vector)).collect::<Vec<_>>();
    let mask = mask.with(parts);
    a.with(e.each([&mask, &a, &b], |b, [c, x, y]| b.ins().bitselect(c, x, y)))
}

fn extremum(e: &mut Emitter<'_>, largest: bool, a: &Lanes, b: &Lanes) -> Lanes {
    let kind = a.dtype.kind();
    a.with(e.each([a, b], |b, [x, y]| match (kind, largest) {
        (Kind::Float, true) => b.ins().fmax(x, y),
        (Kind::Float, false) => b.ins().fmin(x, y),
        (Kind::Signed, true) => b.ins().smax(x, y),
        (Kind::Signed, false) => b.ins().smin(x, y),
        (Kind::Unsigned | Kind::Bool, true) => b.ins().umax(x, y),
        (Kind::Unsigned | Kind::Bool, false) => b.ins().umin(x, y),
    }))
}

/// As `extremum`, but a number beats NaN.
fn extreme_number(e: &mut Emitter<'_>, largest: bool, a: &Lanes, b: &Lanes) -> Lanes {
    let both = extremum(e, largest, a, b);
    let (no_a, no_b) = (compare_floats(e, FloatCC::Unordered, a, a), compare_floats(e, FloatCC::Unordered, b, b));
    let without_b = select(e, &no_b, a, &both);
    select(e, &no_a, b, &without_b)
}

fn copysign(e: &mut Emitter<'_>, a: &Lanes, b: &Lanes) -> Lanes {
    if e.lanes == 1 {
        return a.with(e.each([a, b], |b, [x, y]| b.ins().fcopysign(x, y)));
    }
    let lane = integer_type(a.width);
    let sign = e.vector_bits(lane, 1 << (a.width * 8 - 1));
    let sign = e.reinterpret(sign, vector_of(scalar_type(a.dtype)));
    a.with(e.each([a, b], |b, [x, y]| b.ins().bitselect(sign, y, x)))
}

/// Products of bytes from products of 16-bit lanes: the even bytes as they are, the odd ones shifted down and back.
fn multiply_bytes(e: &mut Emitter<'_>, a: &Lanes, b: &Lanes) -> Lanes {
    let low = e.vector_bits(types::I16, 0xff);
    let pairs: Vec<_> = a.parts.iter().copied().zip(b.parts.iter().copied()).collect();
    let parts = pairs.into_iter().map(|(x, y)| {
        let (x, y) = (e.reinterpret(x, types::I16X8), e.reinterpret(y, types::I16X8));
        let even = e.b.ins().imul(x, y);
        let even = e.b.ins().band(even, low);
        let (x, y) = (e.b.ins().ushr_imm_u(x, 8), e.b.ins().ushr_imm_u(y, 8));
        let odd = e.b.ins().imul(x, y);
        let odd = e.b.ins().ishl_imm_u(odd, 8);
        let both = e.b.ins().bor(even, odd);
        e.reinterpret(both, types::I8X16)
    });
    a.with(parts.collect::<Vec<_>>())
}

/// A shift by an amount that may be out of range; `arithmetic` ones then leave the sign.
fn shift(
    e: &mut Emitter<'_>,
    x: &Lanes,
    amount: &Lanes,
    arithmetic: bool,
    make: impl Fn(&mut Builder<'_>, ir::Value, ir::Value) -> ir::Value,
) -> Result<Lanes> {
    let bits = x.width as u64 * 8;
    if let Some(amount) = e.known_amount(amount) {
        let (in_range, most) = (amount < bits, bits - 1);
        if !in_range && !arithmetic {
            return Ok(constant(e, x, 0));
        }
        let amount = e.b.ins().iconst(types::I32, if in_range { amount } else { most } as i64);
        return Ok(x.with(e.each([x], |b, [x]| make(b, x, amount))));
    }
    e.lane_by_lane(x.dtype, [x, amount], |e, [x, amount]| {
        let ty = integer_type(bits as usize / 8);
        let in_range = e.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, amount, bits as i64);
        let shifted = make(&mut e.b, x, amount);
        let most = e.b.ins().iconst(ty, bits as i64 - 1);
        let fill = if arithmetic { make(&mut e.b, x, most) } else { e.b.ins().iconst(ty, 0) };
        Ok(e.b.ins().select(in_range, shifted, fill))
    })
}

impl Emitter<'_> {
    /// The amount of a shift as an unsigned number, if all lanes are one known constant.
    fn known_amount(&self, amount: &Lanes) -> Option<u64> {
        let inst = self.b.func.dfg.value_def(amount.parts[0]).inst()?;
        match self.b.func.dfg.insts[inst] {
            ir::InstructionData::UnaryImm { opcode: ir::Opcode::Iconst, imm } => {
                Some(low_bits(imm.bits() as u64, amount.width))
            }
            ir::InstructionData::UnaryConst { opcode: ir::Opcode::Vconst, constant_handle } => {
                let bytes = self.b.func.dfg.constants.get(constant_handle).as_slice();
                let lanes: Option<Vec<u64>> = bytes.chunks(amount.width).map(little_endian).collect();
                let lanes = lanes?;
                lanes.iter().all(|lane| *lane == lanes[0]).then_some(lanes[0])
            }
            _ => None,
        }
    }
}

fn low_bits(bits: u64, width: usize) -> u64 {
    if width == 8 { bits } else { bits & ((1 << (width * 8)) - 1) }
}

fn little_endian(bytes: &[u8]) -> Option<u64> {
    (bytes.len() <= 8).then(|| bytes.iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte)))
}
