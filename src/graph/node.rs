//! The grammar of graphs: a closed enum of nodes over any kind of reference.
//!
//! `Node<R>` is used twice: with `R = Expr` in the user's handles and with `R = NodeId` in the arena, so that
//! there is one grammar, one inference and one walk. Operands of elementwise nodes have equal dtypes and
//! broadcast implicitly, aligned at the last axis, along dimensions that are statically 1.

use std::any::Any;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::array::Array;
use crate::dtype::{DType, Scalar};
use crate::error::Result;
use crate::graph::region::Loop;
use crate::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};
use crate::shape::{Dim, InputId, Shape};

/// The dtype and shape of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Type {
    /// The dtype of the elements.
    pub dtype: DType,
    /// The sizes, outermost first.
    pub shape: Shape,
}

impl Type {
    /// A type of rank 0.
    pub fn scalar(dtype: DType) -> Type {
        Type { dtype, shape: Shape::new() }
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }
}

/// A place that a call fills.
#[derive(Debug)]
pub struct Input {
    /// Unique in the process; what equality looks at.
    pub id: InputId,
    /// The user's name; need not be unique.
    pub name: String,
    /// The dtype and the shape, whose open dims are symbols of this input.
    pub ty: Type,
    /// What is to live as long as the input does; no stage looks at it.
    pub kept: Option<Arc<dyn Any + Send + Sync>>,
}

impl PartialEq for Input {
    fn eq(&self, other: &Input) -> bool {
        self.id == other.id
    }
}

impl Eq for Input {}

impl Hash for Input {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

/// An array known when the graph is built. Small ones are equal by contents, large ones by identity.
#[derive(Debug, Clone)]
pub struct Dense(pub Array);

/// The largest array that is compared by contents, in bytes.
const COMPARED_BYTES: usize = 1024;

impl Dense {
    /// What equality looks at: the bytes of a small array, the address of a large one.
    fn key(&self) -> (DType, &[usize], Result<&[u8], usize>) {
        let bytes = self.0.bytes();
        let contents = if bytes.len() <= COMPARED_BYTES { Ok(bytes) } else { Err(bytes.as_ptr() as usize) };
        (self.0.dtype(), self.0.shape(), contents)
    }
}

/// One part of a slice: `length` elements from `start` in steps of `step` (negative steps walk down).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SliceRange {
    /// The first element taken.
    pub start: Dim,
    /// The distance between elements; not zero.
    pub step: i64,
    /// The number of elements.
    pub length: Dim,
}

/// From the types of operands to that of the result.
pub type InferFunction = dyn Fn(&[&Type]) -> Result<Type> + Send + Sync;

/// From operands to the result.
pub type CallFunction = dyn Fn(&[Array]) -> Result<Array> + Send + Sync;

/// A function of the host with one result, called on whole arrays.
pub struct HostFunction {
    /// The name in texts and errors; with the types it is what equality looks at.
    pub name: String,
    /// The type of the result from those of the operands.
    pub infer: Box<InferFunction>,
    /// The computation.
    pub call: Box<CallFunction>,
}

impl std::fmt::Debug for HostFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HostFunction({})", self.name)
    }
}

/// A host function, equal by identity.
#[derive(Debug, Clone)]
pub struct Custom(pub Arc<HostFunction>);

impl PartialEq for Custom {
    fn eq(&self, other: &Custom) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Custom {}

impl Hash for Custom {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (Arc::as_ptr(&self.0) as usize).hash(state);
    }
}

impl PartialEq for Dense {
    fn eq(&self, other: &Dense) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Dense {}

impl Hash for Dense {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// A node of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Node<R> {
    /// A place that the call fills.
    Input(Arc<Input>),
    /// A parameter of a region, known by its identity.
    Parameter(InputId, Type),
    /// A constant of rank 0.
    Scalar(Scalar),
    /// A constant array.
    Dense(Dense),
    /// The i64 numbers 0, 1, 2, … of this length (rank 1).
    Iota(Dim),
    /// A size, as an i64 of rank 0.
    Size(Dim),
    /// An op of one operand.
    Unary(UnaryOp, R),
    /// An op of two operands of one dtype, which broadcast.
    Binary(BinaryOp, [R; 2]),
    /// An op of three operands, which broadcast.
    Ternary(TernaryOp, [R; 3]),
    /// A conversion.
    Cast(DType, R),
    /// A reduction over some axes (sorted, distinct), which vanish.
    Reduce(ReduceOp, SmallVec<[u32; 3]>, R),
    /// The axes in another order: axis `i` of the result is axis `order[i]` of the operand.
    Permute(SmallVec<[u32; 3]>, R),
    /// The same elements, row-major, in another shape of the same number of elements.
    Reshape(Shape, R),
    /// The operand repeated along missing and static-1 axes to this shape.
    Broadcast(Shape, R),
    /// A range of each axis.
    Slice(SmallVec<[SliceRange; 2]>, R),
    /// Arrays joined along an axis.
    Concat(u32, Vec<R>),
    /// The matrix product of two arrays of rank 2.
    MatMul([R; 2]),
    /// State carried through steps of a region; its results are taken by `Project`.
    Loop(Box<Loop<R>>),
    /// One result of a loop.
    Project(u32, R),
    /// A function of the host.
    Custom(Custom, Vec<R>),
    /// The first value, unseen by rules: what is computed from it is computed again, not before the second is there,
    /// although it was computed from the value itself before.
    Barrier([R; 2]),
}

impl<R> Node<R> {
    /// Calls `visit` with every operand, in order. The results of a region count as operands, its parameters do not.
    pub fn for_each_operand<'a>(&'a self, mut visit: impl FnMut(&'a R)) {
        match self {
            Node::Input(_) | Node::Parameter(..) | Node::Scalar(_) | Node::Dense(_) | Node::Iota(_) | Node::Size(_) => {
            }
            Node::Unary(_, x)
            | Node::Cast(_, x)
            | Node::Reduce(_, _, x)
            | Node::Permute(_, x)
            | Node::Reshape(_, x)
            | Node::Broadcast(_, x)
            | Node::Slice(_, x)
            | Node::Project(_, x) => visit(x),
            Node::Binary(_, operands) | Node::MatMul(operands) | Node::Barrier(operands) => {
                operands.iter().for_each(visit);
            }
            Node::Ternary(_, operands) => operands.iter().for_each(visit),
            Node::Concat(_, operands) | Node::Custom(_, operands) => operands.iter().for_each(visit),
            Node::Loop(node) => node.references().for_each(visit),
        }
    }

    /// The operands, in order.
    pub fn operands(&self) -> SmallVec<[&R; 3]> {
        let mut operands = SmallVec::new();
        self.for_each_operand(|operand| operands.push(operand));
        operands
    }

    /// The operands whose elements matter, in order: all but what a barrier waits for.
    pub fn read_operands(&self) -> SmallVec<[&R; 3]> {
        let mut operands = self.operands();
        if let Node::Barrier(_) = self {
            operands.truncate(1);
        }
        operands
    }

    /// The same node over other references; `map` is called once for each operand, in order.
    pub fn map<S>(&self, mut map: impl FnMut(&R) -> S) -> Node<S> {
        match self {
            Node::Input(input) => Node::Input(input.clone()),
            Node::Parameter(id, ty) => Node::Parameter(*id, ty.clone()),
            Node::Scalar(value) => Node::Scalar(*value),
            Node::Dense(array) => Node::Dense(array.clone()),
            Node::Iota(length) => Node::Iota(length.clone()),
            Node::Size(size) => Node::Size(size.clone()),
            Node::Unary(op, x) => Node::Unary(*op, map(x)),
            Node::Binary(op, [a, b]) => Node::Binary(*op, [map(a), map(b)]),
            Node::Ternary(op, [a, b, c]) => Node::Ternary(*op, [map(a), map(b), map(c)]),
            Node::Cast(dtype, x) => Node::Cast(*dtype, map(x)),
            Node::Reduce(op, axes, x) => Node::Reduce(*op, axes.clone(), map(x)),
            Node::Permute(order, x) => Node::Permute(order.clone(), map(x)),
            Node::Reshape(shape, x) => Node::Reshape(shape.clone(), map(x)),
            Node::Broadcast(shape, x) => Node::Broadcast(shape.clone(), map(x)),
            Node::Slice(ranges, x) => Node::Slice(ranges.clone(), map(x)),
            Node::Concat(axis, parts) => Node::Concat(*axis, parts.iter().map(map).collect()),
            Node::MatMul([a, b]) => Node::MatMul([map(a), map(b)]),
            Node::Loop(node) => Node::Loop(Box::new(node.map(map))),
            Node::Project(index, x) => Node::Project(*index, map(x)),
            Node::Custom(custom, operands) => Node::Custom(custom.clone(), operands.iter().map(map).collect()),
            Node::Barrier([x, after]) => Node::Barrier([map(x), map(after)]),
        }
    }

    /// The dims that the node itself holds, replaced.
    pub fn map_dims(self, map: &impl Fn(&Dim) -> Dim) -> Node<R> {
        let shape = |shape: &Shape| shape.iter().map(map).collect::<Shape>();
        match self {
            Node::Parameter(id, ty) => Node::Parameter(id, Type { dtype: ty.dtype, shape: shape(&ty.shape) }),
            Node::Iota(length) => Node::Iota(map(&length)),
            Node::Size(size) => Node::Size(map(&size)),
            Node::Reshape(to, x) => Node::Reshape(shape(&to), x),
            Node::Broadcast(to, x) => Node::Broadcast(shape(&to), x),
            Node::Slice(ranges, x) => {
                let range = |r: &SliceRange| SliceRange { start: map(&r.start), step: r.step, length: map(&r.length) };
                Node::Slice(ranges.iter().map(range).collect(), x)
            }
            other @ (Node::Input(_)
            | Node::Scalar(_)
            | Node::Dense(_)
            | Node::Unary(..)
            | Node::Binary(..)
            | Node::Ternary(..)
            | Node::Cast(..)
            | Node::Reduce(..)
            | Node::Permute(..)
            | Node::Concat(..)
            | Node::MatMul(_)
            | Node::Loop(_)
            | Node::Project(..)
            | Node::Custom(..)
            | Node::Barrier(_)) => other,
        }
    }

    /// The word of the text form.
    pub fn name(&self) -> &'static str {
        match self {
            Node::Input(_) => "input",
            Node::Parameter(..) => "parameter",
            Node::Scalar(_) | Node::Dense(_) => "constant",
            Node::Iota(_) => "iota",
            Node::Size(_) => "size",
            Node::Unary(op, _) => op.row().name,
            Node::Binary(op, _) => op.row().name,
            Node::Ternary(op, _) => op.row().name,
            Node::Cast(..) => "cast",
            Node::Reduce(op, ..) => op.name(),
            Node::Permute(..) => "permute",
            Node::Reshape(..) => "reshape",
            Node::Broadcast(..) => "broadcast",
            Node::Slice(..) => "slice",
            Node::Concat(..) => "concat",
            Node::MatMul(_) => "matmul",
            Node::Loop(_) => "loop",
            Node::Project(..) => "project",
            Node::Custom(..) => "custom",
            Node::Barrier(_) => "barrier",
        }
    }
}
