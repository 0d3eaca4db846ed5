//! The loop IR: what every engine compiles, and all that engines know.
//!
//! A [`Kernel`] is a tree of nests over numbered axes whose leaves are straight-line blocks in SSA form. Sizes,
//! addresses and strides are not in the kernel: a launch gives an extent for each axis and a base and strides for
//! each operand, so one kernel serves every size and layout. Storage and compute type of an operand are the same
//! dtype here; a bool is stored as a byte 0 or 1.
//!
//! A valid kernel (see `verify.rs`): every value is defined once, before its uses, in its own nest or one that
//! encloses it; a `Reduce` yields only the states of its reductions; blocks store to `Write` operands and load from
//! the others; no two stores go to one operand; axes are bound by exactly one nest on the way to each leaf.
//! This module knows the op table and dtypes, and nothing of graphs, shapes or engines.

pub mod interpret;
pub mod print;
#[cfg(test)]
pub(crate) mod samples;
pub mod target;
pub mod verify;

pub use target::{ShaderLimits, Target};

use smallvec::SmallVec;

use crate::dtype::{DType, Scalar};
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};

/// A value of a kernel; the index into `Kernel::types`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// A loop variable of a kernel; its extent comes with the launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Axis(pub u32);

/// An operand of a kernel; the index into `Kernel::operands`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperandId(pub u32);

/// How a kernel uses an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Memory that is read.
    Read,
    /// Memory that is written; every element once, and read by nobody in this launch.
    Write,
    /// No memory: loading yields the position itself, base + Σ index · stride, as i64.
    Index,
}

/// A strided operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operand {
    /// The dtype in memory and of the loaded or stored value.
    pub dtype: DType,
    /// How it is used.
    pub access: Access,
}

/// What computes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A constant.
    Constant(Scalar),
    /// The element of an operand at the current indices.
    Load(OperandId),
    /// The row-major number of the current element within the enclosing reduction, as i64.
    Position,
    /// An op of one operand.
    Unary(UnaryOp, ValueId),
    /// An op of two operands.
    Binary(BinaryOp, [ValueId; 2]),
    /// An op of three operands.
    Ternary(TernaryOp, [ValueId; 3]),
    /// A conversion.
    Cast(DType, ValueId),
}

impl Operation {
    /// The values it uses.
    pub fn uses(&self) -> SmallVec<[ValueId; 3]> {
        match self {
            Operation::Constant(_) | Operation::Load(_) | Operation::Position => SmallVec::new(),
            Operation::Unary(_, x) | Operation::Cast(_, x) => SmallVec::from_slice(&[*x]),
            Operation::Binary(_, operands) => SmallVec::from_slice(operands),
            Operation::Ternary(_, operands) => SmallVec::from_slice(operands),
        }
    }
}

/// A step of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Statement {
    /// Defines a value.
    Let(ValueId, Operation),
    /// Writes a value to an operand at the current indices.
    Store(OperandId, ValueId),
}

/// Straight-line code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Block {
    /// The steps in order.
    pub statements: Vec<Statement>,
}

/// The state of a reduction: a small tuple of values.
pub type State = SmallVec<[ValueId; 3]>;

/// A monoid and what it reduces. The order of merges is that of `ops::reduction`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reduction {
    /// The state of no elements.
    pub init: SmallVec<[Scalar; 3]>,
    /// The state of the current element: values of the enclosing `Reduce`'s body.
    pub lifted: State,
    /// How two states become one.
    pub merge: Merge,
    /// How a lane takes its next element, where that is less work than to merge it.
    pub append: Option<Append>,
    /// The state of all elements: values defined by the `Reduce` for what follows it.
    pub results: State,
}

/// The merge of a reduction, as a block of its own over two states.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Merge {
    /// The state of the earlier elements; values that only this block sees.
    pub left: State,
    /// The state of the later elements.
    pub right: State,
    /// The computation.
    pub block: Block,
    /// The merged state.
    pub results: State,
}

/// What a merge gives whose right state is one element that comes after all of the left state: that of a virtual lane, or of
/// all elements so far. Whether it is chosen does not depend on positions. The merge itself gives the same in any order: the
/// position says which element came first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Append {
    /// The computation.
    pub merge: Merge,
    /// The part of the state that in a lane without elements is not that of `init`, but the position that the lane's
    /// first element has, or would have.
    pub position: usize,
}

/// A value carried from step to step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Carried {
    /// The value before the first step, from outside.
    pub initial: ValueId,
    /// The value at the start of a step.
    pub current: ValueId,
    /// The value at its end.
    pub next: ValueId,
    /// The value after the last step.
    pub result: ValueId,
}

/// A loop nest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Nest {
    /// Independent iterations over some axes, in any order. No axes: once.
    Map {
        /// The axes, outermost first.
        axes: Vec<Axis>,
        /// What each iteration does, in order.
        body: Vec<Nest>,
    },
    /// A reduction over some axes, in row-major order of these. No axes: of one element.
    Reduce {
        /// The axes, outermost first.
        axes: Vec<Axis>,
        /// What computes the lifted states of an element.
        body: Block,
        /// What is reduced.
        reductions: Vec<Reduction>,
    },
    /// Steps in order with carried values.
    Sequential {
        /// The axis of the steps.
        axis: Axis,
        /// The state.
        carried: Vec<Carried>,
        /// A step.
        body: Vec<Nest>,
    },
    /// Steps as long as a condition holds.
    While {
        /// The state.
        carried: Vec<Carried>,
        /// What computes the condition from the current state.
        condition: Block,
        /// The condition, a bool of that block.
        holds: ValueId,
        /// A step.
        body: Vec<Nest>,
    },
    /// Straight-line code.
    Block(Block),
}

/// A kernel: what one launch runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// A name for dumps and profiles.
    pub name: String,
    /// The number of axes.
    pub axes: u32,
    /// What the launch binds.
    pub operands: Vec<Operand>,
    /// The dtype of each value.
    pub types: Vec<DType>,
    /// The nests, in order.
    pub body: Vec<Nest>,
}

impl Kernel {
    /// The dtype of a value.
    pub fn ty(&self, value: ValueId) -> DType {
        self.types[value.0 as usize]
    }

    /// The operand.
    pub fn operand(&self, id: OperandId) -> Operand {
        self.operands[id.0 as usize]
    }

    /// A new value of this dtype.
    pub fn new_value(&mut self, dtype: DType) -> ValueId {
        self.types.push(dtype);
        ValueId(self.types.len() as u32 - 1)
    }
}

/// Where an operand begins.
#[derive(Debug, Clone, Copy)]
pub enum Base {
    /// The address of the element at index zero of every axis.
    Host(*mut u8),
    /// The position at index zero, for `Access::Index`.
    Position(i64),
}

/// An operand of a launch.
#[derive(Debug, Clone)]
pub struct Binding {
    /// Where it begins.
    pub base: Base,
    /// The step along each axis of the kernel: bytes for memory, positions for `Access::Index`.
    pub strides: SmallVec<[isize; 4]>,
}

/// What a kernel runs on. Whoever makes one vouches that every address reached through the bindings is valid for
/// its access, and that written operands overlap no other operand, except where each element is read, if at all,
/// by the very iteration that writes it.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The number of iterations along each axis.
    pub extents: &'a [usize],
    /// One for each operand.
    pub bindings: &'a [Binding],
    /// How many iterations there are of all launches of which this is one, where nothing reads their results before the
    /// last has ended: engines may ask whether so many results fit a cache.
    pub part_of: usize,
    /// How far from each operand, in bytes, lies what the next of these launches reads, 0 where that is not known; or nothing.
    /// Engines may ask for that memory meanwhile. It may be none.
    pub ahead: &'a [isize],
}

impl<'a> Launch<'a> {
    /// A launch by itself.
    pub fn new(extents: &'a [usize], bindings: &'a [Binding]) -> Launch<'a> {
        Launch { extents, bindings, part_of: 0, ahead: &[] }
    }
}
