//! Bytes as elements: lanes of four bytes that hold their values.
//!
//! That pays beside wider numbers, and for divisions by constants; other bytes alone go through more lanes of the other emitter.
//! Invariant: a lane is a value of the dtype, so results that may not be are made so. Must not know: memory, loops.

use super::division::spares_kernels;
use super::instruction::{AND, PSLLVD, PSLLVQ, PSRAVD};
use super::trace::{Lanes, Tracer, no_wide_form};
use crate::backend::cpu::form::Program;
use crate::dtype::{DType, Scalar};
use crate::error::Result;

/// Whether elements are bytes that are no bools.
pub(super) fn is_byte(dtype: DType) -> bool {
    matches!(dtype, DType::I8 | DType::U8)
}

/// Refuses bytes in loops over steps, and bytes alone where kernels need not be spared.
pub(super) fn refuse_bytes(program: &Program) -> Result<()> {
    let alone = program.types_used().all(|dtype| is_byte(dtype) || dtype == DType::Bool);
    match program.types_used().find(|dtype| is_byte(*dtype)) {
        Some(dtype) if alone && !spares_kernels(program) || !program.loops.is_empty() => Err(no_wide_form(dtype)),
        Some(_) | None => Ok(()),
    }
}

/// The bits of a lane.
pub(super) fn lane_bits(value: Scalar) -> u64 {
    match value {
        Scalar::I8(value) => i32::from(value) as u64,
        Scalar::Bool(value) => 0u64.wrapping_sub(value.into()),
        Scalar::U8(_) | Scalar::I32(_) | Scalar::U32(_) | Scalar::I64(_) | Scalar::U64(_) => value.bits(),
        Scalar::F32(_) | Scalar::F64(_) => value.bits(),
    }
}

impl Tracer<'_> {
    /// The lowest byte of each lane as a value, if elements are bytes.
    pub(super) fn wrapped(&mut self, x: Lanes) -> Lanes {
        match x.dtype {
            DType::U8 => {
                let byte = self.like(&x, 0xff);
                self.each([&AND, &AND], &x, &byte)
            }
            DType::I8 => {
                let rest = self.like(&x, 24);
                let upper = self.each([&PSLLVD, &PSLLVQ], &x, &rest);
                self.each([&PSRAVD, &PSRAVD], &upper, &rest)
            }
            DType::Bool | DType::I32 | DType::U32 | DType::I64 | DType::U64 | DType::F32 | DType::F64 => x,
        }
    }
}
