//! What one point computes: straight-line code, and the nests that `steps` emits, over values named after those of the
//! kernel.
//!
//! The loops in scope are known by their WGSL variable; an operand's offset is its base plus the products of these
//! with its steps, modulo 2³², which is exact because every element that is reached has a number below 2³².

use crate::backend::gpu::emit::layout::{Home, Layout, block_operands};
use crate::backend::gpu::emit::ops::{expression, name};
use crate::backend::gpu::emit::params;
use crate::backend::gpu::emit::parts::Parts;
use crate::backend::gpu::emit::types::Types;
use crate::backend::gpu::emit::writer::Writer;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::loops::{Access, Block, Kernel, Nest, OperandId, Operation, Statement, ValueId};

/// How bytes are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bytes {
    /// Each on its own, as part of a word that others may be writing to.
    Atomic,
    /// Gathered in the variable `byte_{operand}`, at the place `quarter`.
    Gathered,
}

/// Emits the nests of a point.
pub struct Body<'a> {
    pub kernel: &'a Kernel,
    pub layout: &'a Layout,
    pub types: Types,
    pub bytes: Bytes,
    /// The loops in scope: their number in the layout, and their variable.
    pub scope: Vec<(usize, String)>,
    /// What the point keeps between dispatches, where several walk its loops.
    pub parts: Option<Parts<'a>>,
}

impl<'a> Body<'a> {
    /// A point that one dispatch walks, which shares words of bytes with others.
    pub fn new(kernel: &'a Kernel, layout: &'a Layout, types: Types, scope: Vec<(usize, String)>) -> Body<'a> {
        Body { kernel, layout, types, bytes: Bytes::Atomic, scope, parts: None }
    }

    /// Some nests, in order.
    ///
    /// # Errors
    /// `Unsupported` for a reduction inside a point.
    pub fn nests(&mut self, out: &mut Writer, nests: &[Nest]) -> Result<()> {
        nests.iter().try_for_each(|nest| self.nest(out, nest))
    }

    fn nest(&mut self, out: &mut Writer, nest: &Nest) -> Result<()> {
        match nest {
            Nest::Block(block) => self.block(out, block),
            Nest::Map { axes, body } => self.map(out, axes, body),
            Nest::Sequential { axis, carried, body } => self.sequential(out, *axis, carried, body),
            Nest::While { carried, condition, holds, body } => self.while_loop(out, carried, condition, *holds, body),
            Nest::Reduce { .. } => Err(Error::Unsupported(format!(
                "the kernel `{}` has a reduction that does not come first; Device::Cpu runs it",
                self.kernel.name
            ))),
        }
    }

    /// Straight-line code.
    ///
    /// # Errors
    /// `Internal` for an operand that the layout has no place for.
    pub fn block(&self, out: &mut Writer, block: &Block) -> Result<()> {
        let places: Vec<(OperandId, String)> =
            block_operands(block).into_iter().map(|operand| (operand, self.place(out, operand))).collect();
        let place = |id: OperandId| {
            let found = places.iter().find(|(other, _)| *other == id);
            found.map(|(_, place)| place.as_str()).ok_or_else(|| self.nowhere(id))
        };
        for statement in &block.statements {
            match statement {
                Statement::Let(value, operation) => {
                    let text = match operation {
                        Operation::Load(operand) => self.load(*operand, place(*operand)?)?,
                        Operation::Position => self.integer("element"),
                        other => expression(self.kernel, self.types, other)?,
                    };
                    out.line(format_args!("let {} = {text};", name(*value)));
                }
                Statement::Store(operand, value) => self.store(out, *operand, place(*operand)?, *value)?,
            }
        }
        Ok(())
    }

    fn nowhere(&self, operand: OperandId) -> Error {
        Error::Internal(format!("the shader of the kernel `{}` has no place for {operand}", self.kernel.name))
    }

    /// Declares the number of the current element of an operand, or how far its position is from its base.
    fn place(&self, out: &mut Writer, operand: OperandId) -> String {
        let strides =
            self.scope.iter().map(|(number, variable)| format!("{variable} * {}", params::stride(operand, *number)));
        let is_index = self.kernel.operand(operand).access == Access::Index;
        let base = if is_index { "0u".to_string() } else { params::offset(operand) };
        let terms: Vec<String> = std::iter::once(base).chain(strides).collect();
        let place = out.fresh("at");
        out.line(format_args!("let {place} = {};", terms.join(" + ")));
        place
    }

    fn load(&self, operand: OperandId, place: &str) -> Result<String> {
        let dtype = self.kernel.operand(operand).dtype;
        Ok(match self.layout.homes[operand.0 as usize] {
            Home::Buffer(buffer) => {
                self.types.load(dtype, self.layout.buffers[buffer].storage, &format!("buffer{buffer}"), place)
            }
            Home::Unused => return Err(self.nowhere(operand)),
            Home::Position => {
                let start = params::position(operand);
                let start = if self.types.has_i64 { format!("i64_from_pair({start})") } else { start };
                format!("add_i64({start}, cast_i32_i64(bitcast<i32>({place})))")
            }
        })
    }

    /// A word as a value of dtype i64.
    fn integer(&self, word: &str) -> String {
        format!("cast_u32_i64({word})")
    }

    fn store(&self, out: &mut Writer, operand: OperandId, place: &str, value: ValueId) -> Result<()> {
        let (dtype, value) = (self.kernel.operand(operand).dtype, name(value));
        if dtype.size() == 1 && self.bytes == Bytes::Gathered {
            let word = self.types.word(dtype, &value);
            out.line(format_args!("byte_{} |= ({word}) << (quarter * 8u);", operand.0));
            return Ok(());
        }
        let (buffer, _) = self.layout.storage(operand).ok_or_else(|| self.nowhere(operand))?;
        out.lines(self.types.store(dtype, &format!("buffer{buffer}"), place, &value));
        Ok(())
    }
}

/// Declares the indices of a point from its number, row-major, innermost last: the loops and their variables.
pub fn indices(out: &mut Writer, first: usize, count: usize, number: &str) -> Vec<(usize, String)> {
    let mut scope = Vec::new();
    let mut rest = number.to_string();
    for index in (0..count).rev() {
        if index == 0 {
            scope.push((first, rest.clone()));
            break;
        }
        let (variable, left) = (out.fresh("i"), out.fresh("rest"));
        let extent = params::extent(first + index);
        out.line(format_args!("let {left} = {rest} / {extent};"));
        out.line(format_args!("let {variable} = {rest} - {left} * {extent};"));
        scope.push((first + index, variable));
        rest = left;
    }
    scope.reverse();
    scope
}

/// Whether any of the kernel's results are bytes.
pub fn writes_bytes(kernel: &Kernel) -> bool {
    kernel.operands.iter().any(|operand| operand.access == Access::Write && operand.dtype.size() == 1)
}

/// The dtypes of the parts of a state, in order.
pub fn state_dtypes(reductions: &[crate::loops::Reduction]) -> Vec<DType> {
    reductions.iter().flat_map(|reduction| reduction.init.iter().map(|part| part.dtype())).collect()
}
