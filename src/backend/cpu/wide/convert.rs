//! Conversions between dtypes of wide vectors.
//!
//! Invariant: what comes out is `Scalar::cast`, bit for bit. Must not know: memory, loops.

use super::instruction::*;
use super::trace::{Lanes, Parts, Tracer, no_wide_form};
use crate::dtype::{DType, Kind, Scalar};
use crate::error::Result;

/// The elements in another dtype.
pub(super) fn cast(t: &mut Tracer<'_>, dtype: DType, x: &Lanes) -> Result<Lanes> {
    if dtype == x.dtype {
        return Ok(x.clone());
    }
    let width = t.width(dtype)?;
    match (x.dtype.kind(), dtype.kind()) {
        (Kind::Bool, _) => Ok(number_of_truth(t, dtype, x)),
        (Kind::Float, Kind::Bool) => {
            let zero = t.like(x, 0);
            crate::backend::cpu::lanes::Code::binary(t, crate::ops::BinaryOp::Ne, x, &zero)
        }
        (Kind::Signed | Kind::Unsigned, Kind::Bool) => {
            let zero = t.like(x, 0);
            let equal = t.each([&PCMPEQD, &PCMPEQQ], x, &zero);
            Ok(t.not(&Lanes { dtype: DType::Bool, ..equal }))
        }
        (Kind::Float, Kind::Float) if width == 8 => Ok(wide(t, dtype, &CVTPS2PD, x)),
        (Kind::Float, Kind::Float) => Ok(narrow_floats(t, dtype, x)),
        (Kind::Signed | Kind::Unsigned, Kind::Signed | Kind::Unsigned) => {
            let integers = resized(t, dtype, width, x);
            Ok(t.wrapped(integers))
        }
        (Kind::Signed | Kind::Unsigned, Kind::Float) => floats(t, dtype, width, x),
        (Kind::Float, Kind::Signed | Kind::Unsigned) => super::truncate::integers(t, dtype, x),
    }
}

/// Integers in lanes of this width.
fn resized(t: &mut Tracer<'_>, dtype: DType, width: usize, x: &Lanes) -> Lanes {
    match (x.width, width) {
        (4, 8) if x.dtype.kind() == Kind::Signed => wide(t, dtype, &PMOVSXDQ, x),
        (4, 8) => wide(t, dtype, &PMOVZXDQ, x),
        (8, 4) => {
            let parts = t.low_words(&x.parts);
            Lanes { dtype, width, parts }
        }
        (_, _) => Lanes { dtype, ..x.clone() },
    }
}

/// Integers as floats.
fn floats(t: &mut Tracer<'_>, dtype: DType, width: usize, x: &Lanes) -> Result<Lanes> {
    let opcode = match (x.dtype, width) {
        (DType::I8 | DType::U8 | DType::I32, 8) => return Ok(wide(t, dtype, &CVTDQ2PD, x)),
        (DType::U32, 8) => {
            let x = wide(t, DType::U64, &PMOVZXDQ, x);
            return Ok(unsigned_to_double(t, dtype, &x));
        }
        (DType::U64, 8) => return Ok(unsigned_to_double(t, dtype, x)),
        (_, 8) => return Ok(signed_to_double(t, dtype, x)),
        (DType::I8 | DType::U8 | DType::I32, _) => &CVTDQ2PS,
        (DType::U32, _) => &CVTUDQ2PS,
        (DType::U64, _) => &CVTUQQ2PS,
        (_, _) => &CVTQQ2PS,
    };
    if opcode.evex && !t.level.has_avx512() {
        return Err(no_wide_form(format_args!("a cast from {} to {dtype}", x.dtype)));
    }
    let parts: Parts = x.parts.iter().map(|&part| t.compute(opcode, None, part)).collect();
    let parts = if x.width == 8 { t.joined(&parts) } else { parts };
    Ok(Lanes { dtype, width, parts })
}

pub(super) fn wide(t: &mut Tracer<'_>, dtype: DType, opcode: &'static Opcode, x: &Lanes) -> Lanes {
    let parts = t.widen(opcode, &x.parts);
    Lanes { dtype, width: 8, parts }
}

/// 1 or 0 in a number's dtype.
fn number_of_truth(t: &mut Tracer<'_>, dtype: DType, x: &Lanes) -> Lanes {
    let mask = t.mask_to(x, if dtype.size() == 8 { 8 } else { 4 });
    let number = Lanes { dtype, ..mask };
    if dtype.is_float() {
        let one = t.like(&number, Scalar::I64(1).cast(dtype).bits());
        return t.each([&AND, &AND], &number, &one);
    }
    super::ops::negate(t, &number)
}

fn narrow_floats(t: &mut Tracer<'_>, dtype: DType, x: &Lanes) -> Lanes {
    let halves: Parts = x.parts.iter().map(|&part| t.compute(&CVTPD2PS, None, part)).collect();
    let parts = t.joined(&halves);
    Lanes { dtype, width: 4, parts }
}

/// 2^52, 2^84, and what the halves carry, as bits; the halves are exact and the last addition rounds once
/// (the method of compilers for instruction sets without the conversion).
const TWO_52: u64 = 0x4330_0000_0000_0000;
const TWO_84: u64 = 0x4530_0000_0000_0000;
/// 2^84 + 2^52.
const BOTH: u64 = 0x4530_0000_0010_0000;
/// 2^84 + 2^63 + 2^52.
const BOTH_SIGNED: u64 = 0x4530_0000_8010_0000;

fn unsigned_to_double(t: &mut Tracer<'_>, dtype: DType, x: &Lanes) -> Lanes {
    let (half, high_bits, both) = (t.like(x, 32), t.like(x, TWO_84), t.like(x, BOTH));
    let high = t.each([&PSRLVQ, &PSRLVQ], x, &half);
    let high = t.each([&XOR, &XOR], &high, &high_bits);
    join(t, dtype, x, &high, &both)
}

fn signed_to_double(t: &mut Tracer<'_>, dtype: DType, x: &Lanes) -> Lanes {
    let half = t.like(x, 32);
    // The sign bit flipped, the high half is unsigned, 2^31 too large.
    let (flip, both) = (t.like(x, TWO_84 | 1 << 31), t.like(x, BOTH_SIGNED));
    let high = t.each([&PSRLVQ, &PSRLVQ], x, &half);
    let high = t.each([&XOR, &XOR], &high, &flip);
    join(t, dtype, x, &high, &both)
}

/// (high − both) + low, with the low halves as doubles above 2^52.
fn join(t: &mut Tracer<'_>, dtype: DType, x: &Lanes, high: &Lanes, both: &Lanes) -> Lanes {
    let mask = t.like(x, 0xffff_ffff);
    let two_52 = t.like(x, TWO_52);
    let low = t.each([&AND, &AND], x, &mask);
    let low = t.each([&OR, &OR], &low, &two_52);
    let high = t.each([&SUBPD, &SUBPD], high, both);
    let sum = t.each([&ADDPD, &ADDPD], &high, &low);
    Lanes { dtype, ..sum }
}
