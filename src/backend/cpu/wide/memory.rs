//! Elements on their way between memory and vectors, written down as steps.
//!
//! A bool is a byte in memory and a mask in a vector, other bytes are their values. Where fewer elements than lanes are left, loads and stores are masked, or
//! go through the frame where they are bytes. Must not know: registers, loops, what is computed.

use super::instruction::{
    AND, LOAD, Opcode, PCMPGTD, PCMPGTQ, PMOVSXBD, PMOVZXBD, PMOVZXBQ, PSHUFB, PUNPCKLDQ, PUNPCKLWD,
};
use super::instruction::{BROADCASTSD, BROADCASTSS, MASKLOADPD, MASKLOADPS, MASKSTOREPD, MASKSTOREPS};
use super::instruction::{LOAD_LOW_32, LOAD_LOW_64, STORE, STORE_LOW_32, STORE_LOW_64, STREAM};
use super::step::{Home, Place, Step, Value};
use super::trace::{Lanes, Parts, Reach, Tracer, VECTOR, no_wide_form};
use crate::dtype::DType;
use crate::error::Result;
use crate::loops::{Access, Operand};

impl Tracer<'_> {
    /// Consecutive elements of an operand that have more than one byte.
    pub fn load_vectors(&mut self, port: usize, dtype: DType) -> Result<Lanes> {
        let width = self.width(dtype)?;
        let mut parts = Parts::new();
        for part in 0..self.vectors(width) {
            let first = part * VECTOR / width;
            let offset = (first * width) as i32;
            let result = self.steps.value(Home::None);
            let (opcode, mask) = match self.reach() {
                Reach::Whole => (&LOAD, None),
                Reach::Tail => (if width == 4 { &MASKLOADPS } else { &MASKLOADPD }, Some(self.tail_mask(width, first))),
            };
            let from = Place::Port { port, size: width as u8, offset };
            self.steps.steps.push(Step::Load { opcode, result, mask, from });
            parts.push(result);
        }
        Ok(Lanes { dtype, width, parts })
    }

    /// An element that all lanes share, but that changes with the steps of a loop.
    pub fn load_shared(&mut self, port: usize, operand: Operand) -> Result<Lanes> {
        if operand.dtype.size() == 1 {
            return Err(no_wide_form("a byte that all elements share in a step"));
        }
        let width = self.width(operand.dtype)?;
        let from = if operand.access == Access::Index { Place::Position(port) } else { Place::Shared(port) };
        let result = self.steps.value(Home::None);
        self.steps.steps.push(Step::Load { opcode: broadcast_opcode(width), result, mask: None, from });
        Ok(self.uniform(operand.dtype, width, result))
    }

    /// Consecutive elements of one byte; those of a bool become masks.
    pub fn load_bytes(&mut self, port: usize, dtype: DType) -> Result<Lanes> {
        let width = self.width(dtype)?;
        let (opcode, greater) = match (dtype, width) {
            (DType::I8, _) => (&PMOVSXBD, None),
            (DType::U8, _) => (&PMOVZXBD, None),
            (_, 4) => (&PMOVZXBD, Some(&PCMPGTD)),
            (_, _) => (&PMOVZXBQ, Some(&PCMPGTQ)),
        };
        let copied = match self.reach() {
            Reach::Whole => None,
            Reach::Tail => {
                let to = self.frame.allocate(self.lanes.max(VECTOR));
                self.steps.steps.push(Step::CopyIn { port, to });
                Some(to)
            }
        };
        let zero = self.splat(8, 0);
        let mut parts = Parts::new();
        for part in 0..self.vectors(width) {
            let offset = (part * VECTOR / width) as i32;
            let from = copied.map_or(Place::Port { port, size: 1, offset }, |copied| Place::Frame(copied + offset));
            let result = self.steps.value(Home::None);
            self.steps.steps.push(Step::Load { opcode, result, mask: None, from });
            parts.push(greater.map_or(result, |greater| self.compute(greater, Some(result), zero)));
        }
        Ok(Lanes { dtype, width, parts })
    }

    /// Writes elements that have more than one byte.
    pub fn store_vectors(&mut self, port: usize, value: &Lanes) {
        let width = value.width;
        for (part, &vector) in value.parts.iter().enumerate() {
            let first = part * VECTOR / width;
            let to = Place::Port { port, size: width as u8, offset: (first * width) as i32 };
            let (opcode, mask) = match self.reach() {
                Reach::Whole => (if self.streaming { &STREAM } else { &STORE }, None),
                Reach::Tail => {
                    (if width == 4 { &MASKSTOREPS } else { &MASKSTOREPD }, Some(self.tail_mask(width, first)))
                }
            };
            self.steps.steps.push(Step::Store { opcode, value: vector, mask, to });
        }
    }

    /// Writes elements of one byte.
    pub fn store_bytes(&mut self, port: usize, value: &Lanes) {
        let copied = match self.reach() {
            Reach::Whole => None,
            Reach::Tail => Some(self.frame.allocate(self.lanes.max(VECTOR))),
        };
        for (part, &vector) in value.parts.iter().enumerate() {
            let offset = (part * VECTOR / value.width) as i32;
            let numbers = if value.dtype == DType::Bool { self.ones_of_mask(vector) } else { vector };
            let bytes = self.low_bytes(numbers, value.width);
            let to = copied.map_or(Place::Port { port, size: 1, offset }, |copied| Place::Frame(copied + offset));
            let opcode = if value.width == 4 { &STORE_LOW_64 } else { &STORE_LOW_32 };
            self.steps.steps.push(Step::Store { opcode, value: bytes, mask: None, to });
        }
        if let Some(from) = copied {
            self.steps.steps.push(Step::CopyOut { from, port });
        }
    }

    /// The lanes of a mask with bytes 0 or 1.
    fn ones_of_mask(&mut self, mask: Value) -> Value {
        let one = self.splat(1, 1);
        self.compute(&AND, Some(mask), one)
    }

    /// The lowest bytes of all lanes, at the low end.
    fn low_bytes(&mut self, numbers: Value, width: usize) -> Value {
        let mut order = [0x80; VECTOR];
        for (half, lane) in (0..2).flat_map(|half| (0..16 / width).map(move |lane| (half, lane))) {
            order[half * 16 + lane] = (lane * width) as u8;
        }
        let order = self.constant_bytes(order);
        let gathered = self.compute(&PSHUFB, Some(numbers), order);
        let high = self.high_half(gathered);
        self.compute(if width == 4 { &PUNPCKLDQ } else { &PUNPCKLWD }, Some(gathered), high)
    }

    /// The first element of a component of a state in memory, in the lowest lane.
    pub fn load_state(&mut self, dtype: DType, from: Place) -> Result<Lanes> {
        let width = self.width(dtype)?;
        let result = self.steps.value(Home::None);
        let opcode = match (dtype, width) {
            (DType::Bool, 4) => &PMOVZXBD,
            (DType::Bool, _) => &PMOVZXBQ,
            (_, 4) => &LOAD_LOW_32,
            (_, _) => &LOAD_LOW_64,
        };
        self.steps.steps.push(Step::Load { opcode, result, mask: None, from });
        let mut parts: Parts = (0..self.vectors(width)).map(|_| result).collect();
        if dtype == DType::Bool {
            let zero = self.splat(8, 0);
            let mask = self.compute(if width == 4 { &PCMPGTD } else { &PCMPGTQ }, Some(result), zero);
            parts.iter_mut().for_each(|part| *part = mask);
        }
        Ok(Lanes { dtype, width, parts })
    }

    /// Writes the lowest lane of a component of a state.
    pub fn store_state(&mut self, value: &Lanes, to: Place) {
        let mut vector = value.parts[0];
        if value.dtype == DType::Bool {
            let one = self.splat(8, 1);
            vector = self.compute(&AND, Some(vector), one);
        }
        let opcode = if value.width == 4 { &STORE_LOW_32 } else { &STORE_LOW_64 };
        self.steps.steps.push(Step::Store { opcode, value: vector, mask: None, to });
    }
}

/// The instruction that fills a vector with one element.
pub(super) fn broadcast_opcode(width: usize) -> &'static Opcode {
    if width == 4 { &BROADCASTSS } else { &BROADCASTSD }
}
