//! Conversions between dtypes, and of masks between widths.
//!
//! Invariant: what comes out is `Scalar::cast`, bit for bit. Must not know: memory, loops.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{self, InstBuilder, types};
use cranelift_frontend::FunctionBuilder;
use smallvec::SmallVec;

use super::{Emitter, Lanes, scalar_type};
use crate::dtype::{DType, Kind, Scalar};
use crate::error::Result;

type Parts = SmallVec<[ir::Value; 8]>;

/// The low halves of the lanes of two vectors of 64-bit lanes.
const LOW_WORDS: [u8; 16] = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];
/// The low halves of two vectors.
const LOW_HALVES: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
/// The high half of a vector, twice.
const HIGH_HALF: [u8; 16] = [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15];

impl Emitter<'_> {
    /// The elements in another dtype.
    pub(super) fn convert(&mut self, dtype: DType, x: &Lanes) -> Result<Lanes> {
        if dtype == x.dtype {
            return Ok(x.clone());
        }
        match (x.dtype.kind(), dtype.kind()) {
            (Kind::Bool, _) => Ok(self.number_of_truth(dtype, x)),
            (_, Kind::Bool) => Ok(self.not_zero(x)),
            (Kind::Float, Kind::Float) => Ok(self.float_to_float(dtype, x)),
            (Kind::Float, Kind::Signed | Kind::Unsigned) => self.float_to_integer(dtype, x),
            (Kind::Signed | Kind::Unsigned, Kind::Float) => self.integer_to_float(dtype, x),
            (Kind::Signed | Kind::Unsigned, Kind::Signed | Kind::Unsigned) => Ok(self.integer_to_integer(dtype, x)),
        }
    }

    /// A mask with lanes of another width; in scalar code there is one width only.
    pub(super) fn mask_to(&mut self, mask: &Lanes, width: usize) -> Lanes {
        let mut mask = mask.clone();
        if self.lanes == 1 {
            return mask;
        }
        while mask.width < width {
            mask = Lanes { parts: self.widen(&mask.parts, true), width: mask.width * 2, ..mask };
        }
        while mask.width > width {
            let parts = self.narrow_mask(mask.width, &mask.parts);
            mask = Lanes { parts, width: mask.width / 2, ..mask };
        }
        mask
    }

    /// Lanes of twice the width.
    fn widen(&mut self, parts: &Parts, signed: bool) -> Parts {
        let mut wide = Parts::new();
        for &part in parts {
            let (low, high) = if signed {
                (self.b.ins().swiden_low(part), self.b.ins().swiden_high(part))
            } else {
                (self.b.ins().uwiden_low(part), self.b.ins().uwiden_high(part))
            };
            wide.extend([low, high]);
        }
        wide
    }

    /// Lanes of half the width: the low half of each.
    fn narrow(&mut self, width: usize, parts: &Parts) -> Parts {
        if width == 8 {
            return self.low_words(parts);
        }
        let (lane, low_bits) = if width == 4 { (types::I32, 0xffff) } else { (types::I16, 0xff) };
        let low = self.vector_bits(lane, low_bits);
        let kept: Parts = parts.iter().map(|&part| self.b.ins().band(part, low)).collect();
        kept.chunks(2).map(|pair| self.b.ins().unarrow(pair[0], pair[1])).collect()
    }

    /// As `narrow`, for lanes that are all ones or all zeros.
    fn narrow_mask(&mut self, width: usize, parts: &Parts) -> Parts {
        if width == 8 {
            return self.low_words(parts);
        }
        parts.chunks(2).map(|pair| self.b.ins().snarrow(pair[0], pair[1])).collect()
    }

    fn low_words(&mut self, parts: &Parts) -> Parts {
        parts.chunks(2).map(|pair| self.shuffle(pair[0], pair[1], &LOW_WORDS, types::I32X4)).collect()
    }

    fn shuffle(&mut self, a: ir::Value, b: ir::Value, mask: &[u8; 16], result: ir::Type) -> ir::Value {
        let (a, b) = (self.reinterpret(a, types::I8X16), self.reinterpret(b, types::I8X16));
        let mask = self.b.func.dfg.immediates.push(mask.as_slice().into());
        let bytes = self.b.ins().shuffle(a, b, mask);
        self.reinterpret(bytes, result)
    }

    /// 1 or 0 in a number's dtype.
    fn number_of_truth(&mut self, dtype: DType, x: &Lanes) -> Lanes {
        let one = Scalar::I64(1).cast(dtype);
        if self.lanes > 1 {
            let mask = self.mask_to(x, dtype.size());
            let bits = self.vector_bits(super::integer_type(dtype.size()), one.bits());
            // The negative of a mask: added to something, it becomes one subtraction.
            let number = |b: &mut FunctionBuilder<'_>, [x]: [ir::Value; 1]| match dtype.is_float() {
                true => b.ins().band(x, bits),
                false => b.ins().ineg(x),
            };
            let parts = self.each([&mask], number);
            let vector = super::vector_of(scalar_type(dtype));
            let parts = parts.into_iter().map(|part| self.reinterpret(part, vector)).collect();
            return Lanes { dtype, width: dtype.size(), parts };
        }
        let truth = x.parts[0];
        let value = match (dtype.is_float(), dtype.size()) {
            (false, 1) => truth,
            (false, _) => self.b.ins().uextend(scalar_type(dtype), truth),
            (true, _) => {
                let (one, zero) = (self.scalar_constant(one), self.scalar_constant(Scalar::I64(0).cast(dtype)));
                self.b.ins().select(truth, one, zero)
            }
        };
        Lanes::scalar(dtype, value)
    }

    /// Whether each number differs from zero.
    pub(super) fn not_zero(&mut self, x: &Lanes) -> Lanes {
        let zero = self.splat_constant(Scalar::I64(0).cast(x.dtype));
        let float = x.dtype.is_float();
        let parts = self.each([x, &zero], |b, [x, zero]| {
            if float { b.ins().fcmp(FloatCC::NotEqual, x, zero) } else { b.ins().icmp(IntCC::NotEqual, x, zero) }
        });
        self.truth(x, parts)
    }

    /// The bools that a comparison of such operands gave.
    pub(super) fn truth(&self, operand: &Lanes, parts: Parts) -> Lanes {
        Lanes { dtype: DType::Bool, width: if self.lanes == 1 { 1 } else { operand.width }, parts }
    }

    fn integer_to_integer(&mut self, dtype: DType, x: &Lanes) -> Lanes {
        let (size, signed) = (dtype.size(), x.dtype.kind() == Kind::Signed);
        if self.lanes == 1 {
            let ty = scalar_type(dtype);
            let value = match size.cmp(&x.width) {
                std::cmp::Ordering::Equal => x.parts[0],
                std::cmp::Ordering::Less => self.b.ins().ireduce(ty, x.parts[0]),
                std::cmp::Ordering::Greater if signed => self.b.ins().sextend(ty, x.parts[0]),
                std::cmp::Ordering::Greater => self.b.ins().uextend(ty, x.parts[0]),
            };
            return Lanes::scalar(dtype, value);
        }
        let (mut width, mut parts) = (x.width, x.parts.clone());
        while width < size {
            (width, parts) = (width * 2, self.widen(&parts, signed));
        }
        while width > size {
            (width, parts) = (width / 2, self.narrow(width, &parts));
        }
        Lanes { dtype, width, parts }
    }

    fn float_to_float(&mut self, dtype: DType, x: &Lanes) -> Lanes {
        let double = dtype == DType::F64;
        if self.lanes == 1 {
            let x = x.parts[0];
            let value = if double { self.b.ins().fpromote(types::F64, x) } else { self.b.ins().fdemote(types::F32, x) };
            return Lanes::scalar(dtype, value);
        }
        let parts = if double { self.promote(&x.parts) } else { self.demote(&x.parts) };
        Lanes { dtype, width: dtype.size(), parts }
    }

    fn promote(&mut self, parts: &Parts) -> Parts {
        let mut wide = Parts::new();
        for &part in parts {
            let high = self.shuffle(part, part, &HIGH_HALF, types::F32X4);
            wide.extend([self.b.ins().fvpromote_low(part), self.b.ins().fvpromote_low(high)]);
        }
        wide
    }

    fn demote(&mut self, parts: &Parts) -> Parts {
        let narrow: Parts = parts.iter().map(|&part| self.b.ins().fvdemote(part)).collect();
        narrow.chunks(2).map(|pair| self.shuffle(pair[0], pair[1], &LOW_HALVES, types::F32X4)).collect()
    }

    fn integer_to_float(&mut self, dtype: DType, x: &Lanes) -> Result<Lanes> {
        let signed = x.dtype.kind() == Kind::Signed;
        if x.width == 1 {
            let wide = self.integer_to_integer(DType::I32, x);
            return self.integer_to_float(dtype, &wide);
        }
        if self.lanes == 1 || (x.width == 8 && dtype == DType::F32) {
            let ty = scalar_type(dtype);
            return self.lane_by_lane(dtype, [x], |emitter, [x]| {
                let ins = emitter.b.ins();
                Ok(if signed { ins.fcvt_from_sint(ty, x) } else { ins.fcvt_from_uint(ty, x) })
            });
        }
        let parts =
            if x.width == 4 && dtype == DType::F64 { self.widen_words(&x.parts, signed) } else { x.parts.clone() };
        let vector = super::vector_of(scalar_type(dtype));
        let parts = parts.into_iter().map(|part| {
            let ins = self.b.ins();
            if signed { ins.fcvt_from_sint(vector, part) } else { ins.fcvt_from_uint(vector, part) }
        });
        Ok(Lanes { dtype, width: dtype.size(), parts: parts.collect() })
    }

    /// As `widen`, always from the low half, which x86-64 fuses with the conversion that follows.
    fn widen_words(&mut self, parts: &Parts, signed: bool) -> Parts {
        let mut wide = Parts::new();
        for &part in parts {
            let high = self.shuffle(part, part, &HIGH_HALF, types::I32X4);
            for half in [part, high] {
                let ins = self.b.ins();
                wide.push(if signed { ins.swiden_low(half) } else { ins.uwiden_low(half) });
            }
        }
        wide
    }

    fn float_to_integer(&mut self, dtype: DType, x: &Lanes) -> Result<Lanes> {
        if dtype.size() == 1 {
            let wide = self.float_to_integer(DType::I32, x)?;
            let clamped = self.clamp_to_byte(dtype, &wide);
            return Ok(self.integer_to_integer(dtype, &clamped));
        }
        let signed = dtype.kind() == Kind::Signed;
        let by_lane = dtype.size() == 8 || (x.dtype == DType::F64 && !self.features.round);
        if self.lanes == 1 || by_lane {
            let ty = scalar_type(dtype);
            return self.lane_by_lane(dtype, [x], |emitter, [x]| {
                let ins = emitter.b.ins();
                Ok(if signed { ins.fcvt_to_sint_sat(ty, x) } else { ins.fcvt_to_uint_sat(ty, x) })
            });
        }
        let parts = if x.dtype == DType::F64 {
            self.doubles_to_words(&x.parts, signed)
        } else {
            self.each([x], |b, [x]| {
                let ins = b.ins();
                if signed { ins.fcvt_to_sint_sat(types::I32X4, x) } else { ins.fcvt_to_uint_sat(types::I32X4, x) }
            })
        };
        Ok(Lanes { dtype, width: 4, parts })
    }

    /// Pairs of vectors of f64 to one of 32-bit integers, saturating.
    fn doubles_to_words(&mut self, parts: &Parts, signed: bool) -> Parts {
        let halves: Parts = parts
            .iter()
            .map(|&part| {
                // The zero is written for each, since the rule for x86-64 looks for it as an operand.
                let zero = self.vector_bits(types::I64, 0);
                if signed {
                    let wide = self.b.ins().fcvt_to_sint_sat(types::I64X2, part);
                    self.b.ins().snarrow(wide, zero)
                } else {
                    let wide = self.b.ins().fcvt_to_uint_sat(types::I64X2, part);
                    self.b.ins().uunarrow(wide, zero)
                }
            })
            .collect();
        halves.chunks(2).map(|pair| self.shuffle(pair[0], pair[1], &LOW_HALVES, types::I32X4)).collect()
    }

    fn clamp_to_byte(&mut self, dtype: DType, x: &Lanes) -> Lanes {
        let (low, high) = if dtype == DType::I8 { (-128, 127) } else { (0, 255) };
        let (low, high) = (self.splat_constant(Scalar::I32(low)), self.splat_constant(Scalar::I32(high)));
        x.with(self.each([x, &low, &high], |b, [x, low, high]| {
            let x = b.ins().smax(x, low);
            b.ins().smin(x, high)
        }))
    }
}
