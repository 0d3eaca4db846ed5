//! What a recipe stands for: a list of typed nodes with the sizes of the call, every operand conversion spelled out.
//!
//! Nodes are typed as they are added (`steps.rs` chooses them). Nothing here knows expressions, or what nodes compute.

use std::sync::Arc;

use kroton::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};
use kroton::{Arg, DType, Scalar};

use crate::common::Argument;
use crate::looping::Loop;
use crate::recipe::Recipe;
use crate::regions::Inner;

/// A size of the call; `fixed` if the graph surely knows it when compiling (a fixed 1 broadcasts).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub value: usize,
    pub fixed: bool,
}

impl Size {
    pub fn is_one(self) -> bool {
        self.fixed && self.value == 1
    }
}

pub type Shape = Vec<Size>;

/// How an axis is sliced, as in `s![..]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `k..`
    From(usize),
    /// `..-k`, with k > 0
    To(usize),
    /// `..;step`, with a step of any sign
    Every(isize),
    /// `i..j`
    Range(usize, usize),
    /// `i`: the axis goes
    Index(usize),
    /// `-1`: the axis goes
    Last,
}

/// How a shape changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reshaping {
    /// `reshape([-1])`
    Flatten,
    /// `reshape((x.shape(0), -1))`
    KeepFirst,
    /// `reshape((x.shape(1), x.shape(0)))`, which is no transposition
    Swap,
    /// `expand_dims(axis)`
    Expand(usize),
    /// `squeeze(axis)`
    Squeeze(usize),
}

/// A node over earlier ones.
#[derive(Debug, Clone)]
pub enum Op {
    Input(usize),
    Constant(Scalar),
    Dense(Vec<Scalar>),
    Iota,
    Size(usize, usize),
    Unary(UnaryOp, usize),
    Binary(BinaryOp, [usize; 2]),
    Ternary(TernaryOp, [usize; 3]),
    Cast(usize),
    Reduce(ReduceOp, Vec<usize>, usize),
    Permute(Vec<usize>, usize),
    Reshape(Reshaping, usize),
    Broadcast(usize),
    Slice(Vec<Part>, usize),
    Concat(usize, [usize; 2]),
    MatMul([usize; 2]),
    /// What a body is given: among its first nodes.
    Parameter,
    /// A result of a loop: its last states, then the history.
    Loop(Arc<Loop>, usize),
    /// The result of bodies that are no loop's.
    Inner(Arc<Inner>),
}

/// A node with its type.
#[derive(Debug, Clone)]
pub struct Node {
    pub op: Op,
    pub dtype: DType,
    pub shape: Shape,
}

/// A program with its arguments.
#[derive(Debug)]
pub struct Program {
    pub nodes: Vec<Node>,
    pub inputs: Vec<(Vec<Option<usize>>, Argument)>,
    pub outputs: Vec<usize>,
    /// The widest float that is in it.
    pub float: DType,
    /// How many loops and other bodies it is in.
    pub depth: usize,
}

/// The most elements of a node.
const LARGEST: usize = 300;

impl Program {
    /// The program of a recipe.
    pub fn new(recipe: &Recipe) -> Program {
        let mut program = Program::empty(recipe.float, 0);
        for (index, input) in recipe.inputs.iter().enumerate() {
            program.add_input(index, input, recipe);
        }
        for step in &recipe.steps {
            program.add_step(step);
        }
        let count = program.nodes.len();
        // Every second output is one of the newest nodes.
        let pick = |&o: &u16| {
            if o % 2 == 0 { count - 1 - (usize::from(o) / 2) % count.min(4) } else { usize::from(o) % count }
        };
        program.outputs = recipe.outputs.iter().map(pick).collect();
        program
    }

    fn empty(float: DType, depth: usize) -> Program {
        Program { nodes: vec![], inputs: vec![], outputs: vec![], float, depth }
    }

    /// An empty one for a body.
    pub fn within(&self) -> Program {
        Program::empty(self.float, self.depth + 1)
    }

    /// The arguments of a call.
    pub fn arguments(&self) -> Vec<Arg<'_>> {
        self.inputs.iter().map(|(_, argument)| argument.arg()).collect()
    }

    /// Whether any node is such, here or in a loop.
    pub fn any(&self, is_such: &dyn Fn(&Node) -> bool) -> bool {
        self.nodes.iter().any(|node| {
            let inside = |of: &Loop| of.body.any(is_such) || of.condition.iter().any(|program| program.any(is_such));
            is_such(node)
                || matches!(&node.op, Op::Loop(of, _) if inside(of))
                || matches!(&node.op, Op::Inner(of) if of.bodies.iter().any(|body| body.any(is_such)))
        })
    }

    /// Whether a float matrix product is in it, whose order of summation is free.
    pub fn has_float_matmul(&self) -> bool {
        self.any(&|node| matches!(node.op, Op::MatMul(_)) && node.dtype.is_float())
    }

    pub fn push(&mut self, op: Op, dtype: DType, shape: Shape) -> usize {
        self.nodes.push(Node { op, dtype, shape });
        self.nodes.len() - 1
    }

    pub fn dtype(&self, id: usize) -> DType {
        self.nodes[id].dtype
    }

    pub fn shape(&self, id: usize) -> &Shape {
        &self.nodes[id].shape
    }

    pub fn cast(&mut self, id: usize, dtype: DType) -> usize {
        if self.dtype(id) == dtype { id } else { self.push(Op::Cast(id), dtype, self.shape(id).clone()) }
    }

    /// Whether two nodes broadcast together.
    pub fn fits(&self, a: usize, b: usize) -> bool {
        broadcast(self.shape(a), self.shape(b)).is_some()
    }

    pub fn unary(&mut self, op: UnaryOp, a: usize) -> usize {
        let dtype = op.row().result(self.dtype(a));
        self.push(Op::Unary(op, a), dtype, self.shape(a).clone())
    }

    pub fn binary(&mut self, op: BinaryOp, a: usize, b: usize) -> usize {
        let dtype = op.row().result(self.dtype(a));
        let shape = broadcast(self.shape(a), self.shape(b)).unwrap();
        self.push(Op::Binary(op, [a, b]), dtype, shape)
    }

    pub fn constant(&mut self, dtype: DType, value: f64) -> usize {
        self.push(Op::Constant(Scalar::F64(value).cast(dtype)), dtype, Vec::new())
    }

    pub fn float(&mut self, a: usize, asked: Option<DType>) -> usize {
        let dtype = asked.filter(|dtype| dtype.is_float()).unwrap_or(self.float);
        if self.dtype(a).is_float() { a } else { self.cast(a, dtype) }
    }

    pub fn reduce(&mut self, op: ReduceOp, axes: Vec<usize>, a: usize) -> usize {
        let empty = axes.iter().any(|&axis| self.shape(a)[axis].value == 0);
        let op = if empty && op.needs_elements() { ReduceOp::Sum } else { op };
        let kept = (0..self.shape(a).len()).filter(|axis| !axes.contains(axis)).map(|axis| self.shape(a)[axis]);
        let (dtype, shape) = (op.result(self.dtype(a)), kept.collect());
        self.push(Op::Reduce(op, axes, a), dtype, shape)
    }

    pub fn permute(&mut self, order: Vec<usize>, a: usize) -> usize {
        let shape = order.iter().map(|&axis| self.shape(a)[axis]).collect();
        self.push(Op::Permute(order, a), self.dtype(a), shape)
    }

    pub fn rank(&self, a: usize) -> usize {
        self.shape(a).len()
    }

    pub fn dtype_of(&self, a: usize) -> DType {
        self.dtype(a)
    }

    pub fn ternary(&mut self, op: TernaryOp, [a, b, c]: [usize; 3]) -> usize {
        let shape = broadcast(self.shape(b), self.shape(c)).and_then(|shape| broadcast(self.shape(a), &shape)).unwrap();
        self.push(Op::Ternary(op, [a, b, c]), self.dtype(b), shape)
    }

    /// Reshapes if that makes sense.
    pub fn reshape(&mut self, how: Reshaping, a: usize) -> usize {
        let mut shape = self.shape(a).clone();
        let product = |sizes: &[Size]| Size {
            value: sizes.iter().map(|size| size.value).product(),
            fixed: sizes.iter().all(|size| size.fixed),
        };
        match how {
            Reshaping::Flatten => shape = vec![product(&shape)],
            Reshaping::KeepFirst if shape.first().is_some_and(|size| size.value > 0) => {
                shape = vec![shape[0], Size { fixed: product(&shape).fixed, ..product(&shape[1..]) }];
            }
            Reshaping::Swap if shape.len() == 2 => shape.swap(0, 1),
            Reshaping::Expand(axis) if shape.len() < 3 => shape.insert(axis, Size { value: 1, fixed: true }),
            Reshaping::Squeeze(axis) if shape.get(axis).is_some_and(|size| size.is_one()) => {
                shape.remove(axis);
            }
            Reshaping::KeepFirst | Reshaping::Swap | Reshaping::Expand(_) | Reshaping::Squeeze(_) => return a,
        }
        self.push(Op::Reshape(how, a), self.dtype(a), shape)
    }

    pub fn slice(&mut self, parts: Vec<Part>, a: usize) -> usize {
        let sizes = parts.iter().zip(self.shape(a)).filter_map(|(part, size)| match *part {
            Part::From(k) | Part::To(k) => Some(Size { value: size.value - k, ..*size }),
            Part::Every(step) => Some(Size { value: size.value.div_ceil(step.unsigned_abs()), ..*size }),
            Part::Range(start, end) => Some(Size { value: end - start, fixed: true }),
            Part::Index(_) | Part::Last => None,
        });
        let shape = sizes.collect();
        self.push(Op::Slice(parts, a), self.dtype(a), shape)
    }
}

/// The sizes without their fixedness.
pub fn values_of(shape: &Shape) -> Vec<usize> {
    shape.iter().map(|size| size.value).collect()
}

/// Whether a node of this shape is cheap to test.
pub fn small(shape: &Shape) -> bool {
    shape.iter().map(|size| size.value).product::<usize>() <= LARGEST
}

/// The shape of two operands, aligned at the last axis; none if they do not fit.
pub fn broadcast(a: &Shape, b: &Shape) -> Option<Shape> {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let mut shape = long.clone();
    let offset = long.len() - short.len();
    for (size, &other) in shape[offset..].iter_mut().zip(short) {
        match (size.is_one(), other.is_one()) {
            (true, _) => *size = other,
            (false, true) => {}
            (false, false) if size.value == other.value => size.fixed &= other.fixed,
            (false, false) => return None,
        }
    }
    Some(shape)
}
