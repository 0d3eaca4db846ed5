//! Floats to integers: without what is behind the point; where there is none such, the nearest integer, and 0 for NaN.
//!
//! Instructions give one number for all that is out of range: of signed numbers the lowest, of unsigned ones the largest.
//! Must not know: memory, loops.

use super::instruction::*;
use super::ops::{BITWISE_AND, BITWISE_XOR, GREATER_OR_EQUAL, MAX, MIN, ORDERED};
use super::trace::{Lanes, Parts, Tracer, no_wide_form};
use crate::dtype::{DType, Scalar};
use crate::error::Result;

/// The integers of floats.
pub(super) fn integers(t: &mut Tracer<'_>, dtype: DType, x: &Lanes) -> Result<Lanes> {
    let x = &if t.width(dtype)? > x.width { super::convert::wide(t, DType::F64, &CVTPS2PD, x) } else { x.clone() };
    let single = x.width == 4;
    match dtype {
        DType::I8 => Ok(within(t, dtype, x, [-128.0, 127.0])),
        DType::U8 => Ok(within(t, dtype, x, [0.0, 255.0])),
        DType::I32 if single => Ok(overflowing(t, dtype, &CVTTPS2DQ, x, 2_147_483_648.0)),
        DType::I32 => Ok(within(t, dtype, x, [-2_147_483_648.0, 2_147_483_647.0])),
        _ if !t.level.has_avx512() => Err(no_wide_form(format_args!("a cast from {} to {dtype}", x.dtype))),
        DType::I64 => Ok(overflowing(t, dtype, &CVTTPD2QQ, x, 9_223_372_036_854_775_808.0)),
        DType::U32 if single => Ok(positive(t, dtype, &CVTTPS2UDQ, x)),
        DType::U32 => Ok(positive(t, dtype, &CVTTPD2UDQ, x)),
        DType::U64 => Ok(positive(t, dtype, &CVTTPD2UQQ, x)),
        DType::Bool | DType::F32 | DType::F64 => Err(no_wide_form(format_args!("{dtype} as an integer"))),
    }
}

/// By an instruction that has these bounds as 32-bit integers.
fn within(t: &mut Tracer<'_>, dtype: DType, x: &Lanes, [low, high]: [f64; 2]) -> Lanes {
    let [low, high] = [low, high].map(|bound| number(t, x, bound));
    let ordered = t.compare(ORDERED, x, x);
    let numbers = t.each(BITWISE_AND, x, &ordered);
    let above = t.each(MAX, &numbers, &low);
    let bounded = t.each(MIN, &above, &high);
    converted(t, dtype, if x.width == 4 { &CVTTPS2DQ } else { &CVTTPD2DQ }, &bounded)
}

/// By an instruction that gives the lowest number for those from `end` on, of which all bits are wrong, and for NaN.
fn overflowing(t: &mut Tracer<'_>, dtype: DType, opcode: &'static Opcode, x: &Lanes, end: f64) -> Lanes {
    let result = converted(t, dtype, opcode, x);
    let end = number(t, x, end);
    let above = t.compare(GREATER_OR_EQUAL, x, &end);
    let ordered = t.compare(ORDERED, x, x);
    let turned = t.each(BITWISE_XOR, &result, &above);
    t.each(BITWISE_AND, &turned, &ordered)
}

/// By an instruction that is right for what is not negative.
fn positive(t: &mut Tracer<'_>, dtype: DType, opcode: &'static Opcode, x: &Lanes) -> Lanes {
    let zero = number(t, x, 0.0);
    // The second operand stands where there is a NaN.
    let bounded = t.each(MAX, x, &zero);
    converted(t, dtype, opcode, &bounded)
}

fn number(t: &mut Tracer<'_>, like: &Lanes, value: f64) -> Lanes {
    t.like(like, Scalar::F64(value).cast(like.dtype).bits())
}

/// The results of an instruction, which fill half a vector where they are half as wide.
fn converted(t: &mut Tracer<'_>, dtype: DType, opcode: &'static Opcode, x: &Lanes) -> Lanes {
    let parts: Parts = x.parts.iter().map(|&part| t.compute(opcode, None, part)).collect();
    let width = if dtype.size() == 8 { 8 } else { 4 };
    let parts = if width < x.width { t.joined(&parts) } else { parts };
    Lanes { dtype, width, parts }
}
