//! Loads, stores, positions and constants.
//!
//! An operand's place is fixed at the start of a function; where its elements lie along the inner axis is its [`Class`].
//! Invariant: no access outside the lanes that the cursor is on. Must not know: ops.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, types};
use smallvec::SmallVec;

use super::{Cursor, Emitter, Lanes, VECTOR, integer_type, reinterpreted, scalar_type, unaligned, vector_of};
use crate::backend::cpu::form::Program;
use crate::backend::cpu::nested::accessed;
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::loops::Access;

/// How an operand's elements follow each other along the inner axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::backend::cpu) enum Class {
    /// One after the other; for `Access::Index`, i64 values in memory.
    Contiguous,
    /// All are the same one.
    Broadcast,
    /// At any stride.
    Strided,
}

/// Where an operand is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    dtype: DType,
    access: Access,
    class: Class,
    base: ir::Value,
    stride: ir::Value,
    /// The element of a broadcast operand that does not move, as a scalar.
    element: Option<ir::Value>,
}

impl Emitter<'_> {
    /// Reads bases and strides of the operands; loads the broadcast ones.
    pub(super) fn open_places(&mut self, program: &Program, classes: &[Class], bases: ir::Value, strides: ir::Value) {
        self.pure_loads =
            program.loops.is_empty() && program.ports.iter().all(|port| port.operand.access != Access::Write);
        let stepping = accessed(&program.loops);
        for (index, (port, &class)) in program.ports.iter().zip(classes).enumerate() {
            let read = |emitter: &mut Self, table| {
                emitter.b.ins().load(types::I64, unaligned().with_readonly(), table, (index * 8) as i32)
            };
            let (base, stride) = (read(self, bases), read(self, strides));
            let place =
                Place { dtype: port.operand.dtype, access: port.operand.access, class, base, stride, element: None };
            // What loops read may change from step to step, and with no steps there is nothing to be read.
            let element = if stepping.contains(&index) { None } else { self.broadcast_element(place) };
            self.places.push(Place { element, ..place });
        }
    }

    /// The one element of a broadcast operand.
    fn broadcast_element(&mut self, place: Place) -> Option<ir::Value> {
        match (place.class, place.access) {
            (Class::Contiguous | Class::Strided, _) | (Class::Broadcast, Access::Write) => None,
            (Class::Broadcast, Access::Index) => Some(place.base),
            (Class::Broadcast, Access::Read) => {
                let stored = self.b.ins().load(scalar_type(place.dtype), unaligned(), place.base, 0);
                Some(if place.dtype == DType::Bool { self.truth_of_byte(stored) } else { stored })
            }
        }
    }

    /// The bases of all operands.
    pub(super) fn place_bases(&self) -> Vec<ir::Value> {
        self.places.iter().map(|place| place.base).collect()
    }

    /// Moves all operands to a row that lies so many strides from the bases.
    pub(super) fn move_places(&mut self, bases: &[ir::Value], strides: &[ir::Value], row: ir::Value) {
        for (index, (&base, &stride)) in bases.iter().zip(strides).enumerate() {
            let distance = self.b.ins().imul(row, stride);
            let base = self.b.ins().iadd(base, distance);
            let place = Place { base, ..self.places[index] };
            let element = self.broadcast_element(place);
            self.places[index] = Place { element, ..place };
        }
    }

    /// Moves one operand by so many strides from where it is.
    pub(super) fn move_place(&mut self, place: usize, stride: ir::Value, step: ir::Value) {
        let distance = self.b.ins().imul(step, stride);
        self.places[place].base = self.b.ins().iadd(self.places[place].base, distance);
    }

    /// Flags of a load of an operand. Without them every load of a loop would stand before its first computation, and
    /// the values would not fit the registers.
    fn read_flags(&self) -> MemFlagsData {
        if self.pure_loads { unaligned().with_readonly().with_can_move() } else { unaligned() }
    }

    fn truth_of_byte(&mut self, byte: ir::Value) -> ir::Value {
        self.b.ins().icmp_imm_u(IntCC::NotEqual, byte, 0)
    }

    fn at(&self) -> Result<Cursor> {
        self.cursor.ok_or_else(|| Error::Internal("an access where there is no element".into()))
    }

    /// The elements of an operand.
    pub(super) fn load_place(&mut self, place: usize) -> Result<Lanes> {
        let place = self.places[place];
        if let Some(element) = place.element.or_else(|| self.broadcast_element(place)) {
            return Ok(self.splat(place.dtype, element));
        }
        match (place.access, place.class) {
            (Access::Index, Class::Strided | Class::Broadcast) => self.affine(place),
            (Access::Index | Access::Read | Access::Write, Class::Contiguous) => self.load_contiguous(place),
            (Access::Read | Access::Write, Class::Strided | Class::Broadcast) => self.load_strided(place),
        }
    }

    /// The address of the cursor's element of a contiguous operand, but for the constant offset that comes with it.
    fn contiguous(&mut self, place: Place) -> Result<(ir::Value, i32)> {
        let cursor = self.at()?;
        let size = place.dtype.size();
        let scaled = self.b.ins().ishl_imm_u(cursor.index, i64::from(size.trailing_zeros()));
        Ok((self.b.ins().iadd(place.base, scaled), (cursor.offset * size) as i32))
    }

    fn load_contiguous(&mut self, place: Place) -> Result<Lanes> {
        let (address, offset) = self.contiguous(place)?;
        let flags = self.read_flags();
        if self.lanes == 1 {
            let stored = self.b.ins().load(scalar_type(place.dtype), flags, address, offset);
            let value = if place.dtype == DType::Bool { self.truth_of_byte(stored) } else { stored };
            return Ok(Lanes::scalar(place.dtype, value));
        }
        let vector = vector_of(scalar_type(place.dtype));
        let count = self.lanes * place.dtype.size() / VECTOR;
        let parts =
            (0..count).map(|part| self.b.ins().load(vector, flags, address, offset + (part * VECTOR) as i32)).collect();
        let stored = Lanes { dtype: place.dtype, width: place.dtype.size(), parts };
        Ok(if place.dtype == DType::Bool { self.mask_of_bytes(&stored) } else { stored })
    }

    fn mask_of_bytes(&mut self, bytes: &Lanes) -> Lanes {
        let zero = self.vector_constant(DType::I8, 0);
        bytes.with(self.each([bytes], |b, [x]| b.ins().icmp(IntCC::NotEqual, x, zero)))
    }

    /// The addresses of the cursor's elements of a strided operand.
    fn addresses(&mut self, place: Place) -> Result<SmallVec<[ir::Value; 16]>> {
        let mut address = self.affine_start(place)?;
        let mut addresses = SmallVec::new();
        for lane in 0..self.lanes {
            if lane > 0 {
                address = self.b.ins().iadd(address, place.stride);
            }
            addresses.push(address);
        }
        Ok(addresses)
    }

    /// Base plus stride times the cursor's index.
    fn affine_start(&mut self, place: Place) -> Result<ir::Value> {
        let cursor = self.at()?;
        let index = self.b.ins().iadd_imm_s(cursor.index, cursor.offset as i64);
        let distance = self.b.ins().imul(index, place.stride);
        Ok(self.b.ins().iadd(place.base, distance))
    }

    fn load_strided(&mut self, place: Place) -> Result<Lanes> {
        let flags = self.read_flags();
        let mut elements: SmallVec<[ir::Value; 16]> = SmallVec::new();
        for address in self.addresses(place)? {
            let stored = self.b.ins().load(scalar_type(place.dtype), flags, address, 0);
            elements.push(stored);
        }
        if place.dtype != DType::Bool {
            return Ok(self.collect(place.dtype, &elements));
        }
        if self.lanes == 1 {
            let truth = self.truth_of_byte(elements[0]);
            return Ok(Lanes::scalar(DType::Bool, truth));
        }
        let bytes = self.collect(DType::U8, &elements);
        Ok(self.mask_of_bytes(&Lanes { dtype: DType::Bool, ..bytes }))
    }

    /// The values of an index operand.
    fn affine(&mut self, place: Place) -> Result<Lanes> {
        let start = self.affine_start(place)?;
        let stride = place.stride;
        Ok(self.progression(start, stride))
    }

    /// `start`, `start + step`, … as i64.
    fn progression(&mut self, start: ir::Value, step: ir::Value) -> Lanes {
        if self.lanes == 1 {
            return Lanes::scalar(DType::I64, start);
        }
        let twice = self.b.ins().iadd(step, step);
        let mut starts: SmallVec<[ir::Value; 8]> = SmallVec::new();
        let mut even = start;
        for part in 0..self.lanes / 2 {
            if part > 0 {
                even = self.b.ins().iadd(even, twice);
            }
            starts.push(even);
        }
        let zero = self.vector_constant(DType::I64, 0);
        let odd = self.b.ins().insertlane(zero, step, 1);
        let parts = starts.into_iter().map(|even| {
            let even = self.b.ins().splat(types::I64X2, even);
            self.b.ins().iadd(even, odd)
        });
        Lanes { dtype: DType::I64, width: 8, parts: parts.collect() }
    }

    /// The positions of the cursor's elements within the reduction.
    pub(super) fn positions(&mut self) -> Result<Lanes> {
        if let Some(row) = self.row {
            return Ok(self.splat(DType::I64, row));
        }
        let cursor = self.at()?;
        let first = self.first.ok_or_else(|| Error::Internal("a position outside a reduction".into()))?;
        let start = self.b.ins().iadd(first, cursor.index);
        let start = self.b.ins().iadd_imm_s(start, cursor.offset as i64);
        let one = self.b.ins().iconst(types::I64, 1);
        Ok(self.progression(start, one))
    }

    /// Writes the elements of an operand.
    pub(super) fn store_place(&mut self, place: usize, value: &Lanes) -> Result<()> {
        let place = self.places[place];
        if place.access != Access::Write || place.dtype != value.dtype {
            return Err(Error::Internal(format!("a store of {} to a {:?} {}", value.dtype, place.access, place.dtype)));
        }
        let stored =
            if value.dtype == DType::Bool && self.lanes > 1 { self.bytes_of_mask(value) } else { value.clone() };
        match place.class {
            Class::Contiguous => {
                let (address, offset) = self.contiguous(place)?;
                for (part, &x) in stored.parts.iter().enumerate() {
                    self.b.ins().store(unaligned(), x, address, offset + (part * VECTOR) as i32);
                }
            }
            Class::Strided | Class::Broadcast => {
                let stored =
                    Lanes { dtype: if stored.dtype == DType::Bool { DType::U8 } else { stored.dtype }, ..stored };
                for (lane, address) in self.addresses(place)?.into_iter().enumerate() {
                    let element = self.lane(&stored, lane);
                    self.b.ins().store(unaligned(), element, address, 0);
                }
            }
        }
        Ok(())
    }

    fn bytes_of_mask(&mut self, mask: &Lanes) -> Lanes {
        let mask = self.mask_to(mask, 1);
        let one = self.vector_constant(DType::U8, 1);
        mask.with(self.each([&mask], |b, [x]| b.ins().band(x, one)))
    }

    /// All lanes the same scalar.
    fn splat(&mut self, dtype: DType, element: ir::Value) -> Lanes {
        if self.lanes == 1 {
            return Lanes::scalar(dtype, element);
        }
        let width = if dtype == DType::Bool { VECTOR / self.lanes } else { dtype.size() };
        let (lane, element) = match dtype {
            DType::Bool => (integer_type(width), self.mask_of_truth(element, width)),
            _ => (scalar_type(dtype), element),
        };
        let part = self.b.ins().splat(vector_of(lane), element);
        Lanes { dtype, width, parts: (0..self.lanes * width / VECTOR).map(|_| part).collect() }
    }

    /// All lanes the same constant.
    pub(super) fn splat_constant(&mut self, value: Scalar) -> Lanes {
        let dtype = value.dtype();
        if self.lanes == 1 {
            let element = self.scalar_constant(value);
            return Lanes::scalar(dtype, element);
        }
        if dtype == DType::Bool {
            let width = VECTOR / self.lanes;
            let part = self.vector_bits(integer_type(width), 0u64.wrapping_sub(value.bits()));
            return Lanes { dtype, width, parts: (0..1).map(|_| part).collect() };
        }
        let part = self.vector_constant(dtype, value.bits());
        Lanes { dtype, width: dtype.size(), parts: (0..self.lanes * dtype.size() / VECTOR).map(|_| part).collect() }
    }

    pub(super) fn scalar_constant(&mut self, value: Scalar) -> ir::Value {
        match value {
            Scalar::F32(x) => self.b.ins().f32const(x),
            Scalar::F64(x) => self.b.ins().f64const(x),
            Scalar::Bool(_)
            | Scalar::I8(_)
            | Scalar::U8(_)
            | Scalar::I32(_)
            | Scalar::U32(_)
            | Scalar::I64(_)
            | Scalar::U64(_) => self.b.ins().iconst(scalar_type(value.dtype()), value.bits() as i64),
        }
    }

    /// A vector whose lanes are the same element of a dtype, by its bits.
    pub(super) fn vector_constant(&mut self, dtype: DType, bits: u64) -> ir::Value {
        self.vector_bits(scalar_type(dtype), bits)
    }

    /// A vector whose lanes have the same bits.
    pub(super) fn vector_bits(&mut self, lane: ir::Type, bits: u64) -> ir::Value {
        let width = lane.bytes() as usize;
        let bytes: Vec<u8> = bits.to_le_bytes()[..width].repeat(VECTOR / width);
        let constant = self.b.func.dfg.constants.insert(bytes.into());
        self.b.ins().vconst(vector_of(lane), constant)
    }

    /// The same bits as a vector of other lanes.
    pub(super) fn reinterpret(&mut self, value: ir::Value, vector: ir::Type) -> ir::Value {
        if self.b.func.dfg.value_type(value) == vector {
            return value;
        }
        self.b.ins().bitcast(vector, reinterpreted(), value)
    }
}
