//! The walk over a program's statements, written down as steps on 256-bit vectors.
//!
//! A [`Lanes`] value holds `Tracer::lanes` elements in as many vectors as they fill. A bool is a mask, all ones or all
//! zeros, as wide as what it came from. What has no wide form is `Error::Unsupported`, and the caller leaves the program
//! to the other emitter. Must not know: registers, loops.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::bytes::lane_bits;
use super::encode::Assembler;
use super::frame::Frame;
use super::instruction::{INSERTF128, Opcode, PADDQ, PERM2F128, PERMQ, PMOVSXDQ, SHUFPS};
use super::step::{Count, Home, Place, Step, Steps, Value};
use crate::backend::cpu::emit::Class;
use crate::backend::cpu::form::Port;
use crate::backend::cpu::lanes::Code;
use crate::dtype::{DType, Scalar};
use crate::elementary::kernel::Level;
use crate::error::{Error, Result};
use crate::loops::{Access, OperandId};
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};

/// Bytes of a vector.
pub(super) const VECTOR: usize = 32;

/// The vectors of a value.
pub(super) type Parts = SmallVec<[Value; 4]>;

/// Some consecutive elements.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    /// The dtype of the elements.
    pub dtype: DType,
    /// Bytes of a lane: 4 or 8; elements of one byte have the lanes of their values.
    pub width: usize,
    /// The vectors.
    pub parts: Parts,
}

impl Lanes {
    /// These vectors, as elements of the same dtype and width.
    pub fn with(&self, parts: impl IntoIterator<Item = Value>) -> Lanes {
        Lanes { dtype: self.dtype, width: self.width, parts: parts.into_iter().collect() }
    }
}

/// Which elements a trace is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// All lanes.
    Whole,
    /// As many as are left, fewer than there are lanes.
    Tail,
}

/// Writes down the steps of a program.
pub(super) struct Tracer<'a> {
    /// What holds the constants.
    pub asm: &'a mut Assembler,
    /// What holds what does not change from step to step.
    pub frame: &'a mut Frame,
    /// The steps so far.
    pub steps: Steps,
    /// Elements of a value.
    pub lanes: usize,
    reach: Reach,
    /// Whether stores bypass the cache.
    pub streaming: bool,
    /// Whether lanes are results, so that a position is that of all lanes.
    pub rows: bool,
    /// The level of kernels.
    pub level: Level,
    ports: &'a [Port],
    classes: &'a [Class],
    /// Where the frame holds the elements of operands that do not change, or the distances of their lanes.
    held: &'a [Option<i32>],
    held_lanes: usize,
    constants: Vec<([u8; VECTOR], Value)>,
    known: Vec<(i32, Value)>,
    /// Vectors of numbers at equal distances, and where the first comes from.
    pub progressions: Vec<(Parts, Count)>,
    /// What is 0 − another vector of integers, by the bytes of a lane, and the other.
    pub negated: HashMap<(Value, usize), Value>,
    /// The masks of the lanes that are left, which are in scope.
    pub masks: Vec<(usize, usize, Value)>,
}

/// What a trace works on.
pub(super) struct Subject<'a> {
    /// The operands.
    pub ports: &'a [Port],
    /// How they lie.
    pub classes: &'a [Class],
    /// As in `Tracer`.
    pub held: &'a [Option<i32>],
    /// How many elements a vector of distances was held for, the most that a trace may have.
    pub held_lanes: usize,
}

/// The reason why the other emitter has to make the code.
pub(super) fn no_wide_form(what: impl std::fmt::Display) -> Error {
    Error::Unsupported(format!("{what} has no form for wide vectors"))
}

impl<'a> Tracer<'a> {
    /// Begins a trace of so many lanes.
    pub fn new(
        asm: &'a mut Assembler,
        frame: &'a mut Frame,
        subject: &Subject<'a>,
        level: Level,
        lanes: usize,
        reach: Reach,
    ) -> Tracer<'a> {
        Tracer {
            asm,
            frame,
            steps: Steps::default(),
            lanes,
            reach,
            streaming: false,
            rows: false,
            level,
            ports: subject.ports,
            classes: subject.classes,
            held: subject.held,
            held_lanes: subject.held_lanes,
            constants: Vec::new(),
            known: Vec::new(),
            progressions: Vec::new(),
            negated: HashMap::new(),
            masks: Vec::new(),
        }
    }

    /// Which elements the trace is of.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// The vectors that so many lanes of this width fill.
    pub fn vectors(&self, width: usize) -> usize {
        (self.lanes * width).div_ceil(VECTOR)
    }

    /// A step without immediate.
    pub fn compute(&mut self, opcode: &'static Opcode, first: Option<Value>, last: Value) -> Value {
        self.compute_with(opcode, first, last, None, None)
    }

    /// A step.
    pub fn compute_with(
        &mut self,
        opcode: &'static Opcode,
        first: Option<Value>,
        last: Value,
        third: Option<Value>,
        immediate: Option<u8>,
    ) -> Value {
        let result = self.steps.value(Home::None);
        self.steps.steps.push(Step::Compute { opcode, result, first, last, third, immediate });
        result
    }

    /// A constant vector of these bytes.
    pub fn constant_bytes(&mut self, bytes: [u8; VECTOR]) -> Value {
        if let Some((_, value)) = self.constants.iter().find(|(known, _)| *known == bytes) {
            return *value;
        }
        let place = self.asm.constant(&bytes);
        let value = self.steps.value(Home::Constant(place));
        self.constants.push((bytes, value));
        value
    }

    /// A constant vector whose lanes have the same bits.
    pub fn splat(&mut self, width: usize, bits: u64) -> Value {
        let mut bytes = [0; VECTOR];
        bytes.chunks_exact_mut(width).for_each(|lane| lane.copy_from_slice(&bits.to_le_bytes()[..width]));
        self.constant_bytes(bytes)
    }

    /// The same vector for all elements.
    pub fn uniform(&self, dtype: DType, width: usize, value: Value) -> Lanes {
        Lanes { dtype, width, parts: (0..self.vectors(width)).map(|_| value).collect() }
    }

    /// The bytes of a constant vector.
    pub fn constant_of(&self, value: Value) -> Option<&[u8; VECTOR]> {
        self.constants.iter().find(|(_, known)| *known == value).map(|(bytes, _)| bytes)
    }

    fn frame_vector(&mut self, offset: i32) -> Value {
        if let Some((_, value)) = self.known.iter().find(|(known, _)| *known == offset) {
            return *value;
        }
        let value = self.steps.value(Home::Place(Place::Frame(offset)));
        self.known.push((offset, value));
        value
    }

    /// The bytes of a lane of this dtype.
    pub fn width(&self, dtype: DType) -> Result<usize> {
        match dtype {
            DType::I8 | DType::U8 | DType::I32 | DType::U32 | DType::F32 => Ok(4),
            DType::I64 | DType::U64 | DType::F64 => Ok(8),
            DType::Bool => Ok(if self.lanes.is_multiple_of(8) { 4 } else { 8 }),
        }
    }

    /// The mask of the lanes of a vector that are left, from this element on.
    pub fn tail_mask(&mut self, width: usize, first: usize) -> Value {
        if let Some(&(_, _, value)) = self.masks.iter().find(|&&(w, f, _)| (w, f) == (width, first)) {
            return value;
        }
        let result = self.steps.value(Home::None);
        self.steps.steps.push(Step::TailMask { result, width: width as u8, first });
        self.masks.push((width, first, result));
        result
    }

    /// The upper 128 bits, in both halves.
    pub fn high_half(&mut self, value: Value) -> Value {
        self.compute_with(&PERM2F128, Some(value), value, None, Some(0x11))
    }

    /// A mask with lanes of another width.
    pub fn mask_to(&mut self, mask: &Lanes, width: usize) -> Lanes {
        if mask.width == width {
            return mask.clone();
        }
        if self.constant_of(mask.parts[0]).is_some() && mask.parts.iter().all(|part| *part == mask.parts[0]) {
            return self.uniform(DType::Bool, width, mask.parts[0]);
        }
        let parts = if width == 8 { self.widen(&PMOVSXDQ, &mask.parts) } else { self.low_words(&mask.parts) };
        Lanes { dtype: DType::Bool, width, parts }
    }

    /// Lanes of eight bytes from the four-byte lanes of each half.
    pub fn widen(&mut self, opcode: &'static Opcode, parts: &Parts) -> Parts {
        let count = self.vectors(8);
        let mut wide = Parts::new();
        for part in 0..count {
            let from = parts[part / 2];
            let from = if part % 2 == 0 { from } else { self.high_half(from) };
            wide.push(self.compute(opcode, None, from));
        }
        wide
    }

    /// The low four bytes of eight-byte lanes.
    pub fn low_words(&mut self, parts: &Parts) -> Parts {
        let mut narrow = Parts::new();
        for pair in parts.chunks(2) {
            let (low, high) = (pair[0], *pair.last().unwrap_or(&pair[0]));
            let words = self.compute_with(&SHUFPS, Some(low), high, None, Some(0x88));
            narrow.push(self.compute_with(&PERMQ, None, words, None, Some(0xd8)));
        }
        narrow
    }

    /// Vectors of four-byte lanes from their halves, which stand in the lower halves of vectors.
    pub fn joined(&mut self, halves: &Parts) -> Parts {
        let join = |pair: &[Value]| match *pair {
            [low, high] => self.compute_with(&INSERTF128, Some(low), high, None, Some(1)),
            _ => pair[0],
        };
        halves.chunks(2).map(join).collect()
    }

    fn affine(&mut self, count: Count, distances: impl Fn(&mut Self, usize) -> Result<Value>) -> Result<Lanes> {
        let first = self.steps.value(Home::None);
        self.steps.steps.push(Step::Broadcast { result: first, count });
        let mut parts = Parts::new();
        for part in 0..self.vectors(8) {
            let distance = distances(self, part)?;
            parts.push(self.compute(&PADDQ, Some(first), distance));
        }
        self.progressions.push((parts.clone(), count));
        Ok(Lanes { dtype: DType::I64, width: 8, parts })
    }
}

impl Code for Tracer<'_> {
    type Value = Lanes;

    fn dtype(&self, value: &Lanes) -> DType {
        value.dtype
    }

    fn constant(&mut self, value: Scalar) -> Result<Lanes> {
        let dtype = value.dtype();
        let width = self.width(dtype)?;
        let vector = self.splat(width, lane_bits(value));
        Ok(self.uniform(dtype, width, vector))
    }

    fn load(&mut self, operand: OperandId) -> Result<Lanes> {
        let port = operand.0 as usize;
        let Port { operand, .. } = self.ports[port];
        let held = self.held[port];
        match (operand.access, self.classes[port], held) {
            (Access::Index, Class::Strided, Some(_)) if self.lanes > self.held_lanes => {
                Err(Error::Internal(format!("{} elements, {} distances", self.lanes, self.held_lanes)))
            }
            (Access::Index, Class::Strided, Some(distances)) => self
                .affine(Count::Port(port), |tracer, part| Ok(tracer.frame_vector(distances + (part * VECTOR) as i32))),
            (_, Class::Broadcast, Some(held)) => {
                let width = if operand.dtype == DType::Bool { 8 } else { self.width(operand.dtype)? };
                let value = self.frame_vector(held);
                let value = self.uniform(operand.dtype, width, value);
                Ok(if operand.dtype == DType::Bool { self.mask_to_own(&value)? } else { value })
            }
            (_, Class::Broadcast, None) => self.load_shared(port, operand),
            (_, Class::Contiguous, _) if operand.dtype.size() == 1 => self.load_bytes(port, operand.dtype),
            (_, Class::Contiguous, _) => self.load_vectors(port, operand.dtype),
            (_, Class::Strided, _) => Err(no_wide_form("a strided operand")),
        }
    }

    fn store(&mut self, operand: OperandId, value: &Lanes) -> Result<()> {
        let port = operand.0 as usize;
        if self.classes[port] != Class::Contiguous {
            return Err(no_wide_form("a strided result"));
        }
        if value.dtype.size() == 1 {
            self.store_bytes(port, value)
        } else {
            self.store_vectors(port, value)
        }
        Ok(())
    }

    fn position(&mut self) -> Result<Lanes> {
        if self.rows {
            let result = self.steps.value(Home::None);
            self.steps.steps.push(Step::Broadcast { result, count: Count::Row });
            return Ok(self.uniform(DType::I64, 8, result));
        }
        self.affine(Count::Position, |tracer, part| Ok(tracer.numbers(part * VECTOR / 8)))
    }

    fn unary(&mut self, op: UnaryOp, x: &Lanes) -> Result<Lanes> {
        super::ops::unary(self, op, x)
    }

    fn binary(&mut self, op: BinaryOp, a: &Lanes, b: &Lanes) -> Result<Lanes> {
        super::ops::binary(self, op, a, b)
    }

    fn ternary(&mut self, op: TernaryOp, a: &Lanes, b: &Lanes, c: &Lanes) -> Result<Lanes> {
        super::ops::ternary(self, op, a, b, c)
    }

    fn cast(&mut self, dtype: DType, x: &Lanes) -> Result<Lanes> {
        super::convert::cast(self, dtype, x)
    }
}

impl Tracer<'_> {
    /// A mask in the width that bools have here.
    fn mask_to_own(&mut self, mask: &Lanes) -> Result<Lanes> {
        let width = self.width(DType::Bool)?;
        Ok(self.uniform(DType::Bool, width, mask.parts[0]))
    }
}
