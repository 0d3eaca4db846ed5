//! What a recipe stands for: a list of typed nodes with the sizes of the call, every operand conversion spelled out.
//!
//! Operands that do not fit are replaced by ones that do, and steps that make no sense are left out; so any recipe is
//! a valid program. Nothing here knows expressions, or what the nodes compute.

use kroton::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};
use kroton::{DType, Scalar};

use crate::common::{Argument, Random, nasty};
use crate::recipe::{DimRecipe, InputRecipe, Kind, Recipe, StepRecipe};

/// A size of the call; `fixed` if the graph surely knows it when compiling (a fixed 1 broadcasts).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub value: usize,
    pub fixed: bool,
}

impl Size {
    fn is_one(self) -> bool {
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
}

/// A node with its type.
#[derive(Debug, Clone)]
pub struct Node {
    pub op: Op,
    pub dtype: DType,
    pub shape: Shape,
}

/// A program with its arguments.
#[derive(Debug, Default)]
pub struct Program {
    pub nodes: Vec<Node>,
    pub inputs: Vec<(Vec<Option<usize>>, Argument)>,
    pub outputs: Vec<usize>,
}

/// The most elements of a node.
const LARGEST: usize = 300;

impl Program {
    /// The program of a recipe.
    pub fn new(recipe: &Recipe) -> Program {
        let mut program = Program::default();
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

    /// Whether a float matrix product is in it, whose order of summation is free.
    pub fn has_float_matmul(&self) -> bool {
        self.nodes.iter().any(|node| matches!(node.op, Op::MatMul(_)) && node.dtype.is_float())
    }

    fn add_input(&mut self, index: usize, input: &InputRecipe, recipe: &Recipe) {
        let mut random = Random(recipe.seed.wrapping_add(index as u64));
        let sizes = input.dims.iter().map(|dim| match *dim {
            DimRecipe::Fixed(value) => Size { value, fixed: true },
            DimRecipe::Open(which) => Size { value: recipe.sizes[which], fixed: false },
        });
        let shape: Shape = sizes.collect();
        let declared = shape.iter().map(|size| size.fixed.then_some(size.value)).collect();
        let count = values_of(&shape).iter().product();
        let special = nasty(input.dtype);
        let ordinary = |random: &mut Random| match input.dtype {
            dtype if dtype.is_float() && random.below(2) == 0 => Scalar::F64(random.unit() * 3.0).cast(dtype),
            dtype => Scalar::I64(random.below(13) as i64 - 4).cast(dtype),
        };
        let draw = |random: &mut Random| match !input.tame && random.below(2) == 0 {
            true => special[random.below(special.len())],
            false => ordinary(random),
        };
        let values = (0..count).map(|_| draw(&mut random)).collect();
        self.inputs.push((declared, Argument::new(input.dtype, &values_of(&shape), values, input.layout)));
        self.push(Op::Input(index), input.dtype, shape);
    }

    fn push(&mut self, op: Op, dtype: DType, shape: Shape) -> usize {
        self.nodes.push(Node { op, dtype, shape });
        self.nodes.len() - 1
    }

    fn dtype(&self, id: usize) -> DType {
        self.nodes[id].dtype
    }

    fn shape(&self, id: usize) -> &Shape {
        &self.nodes[id].shape
    }

    fn cast(&mut self, id: usize, dtype: DType) -> usize {
        if self.dtype(id) == dtype { id } else { self.push(Op::Cast(id), dtype, self.shape(id).clone()) }
    }

    fn add_step(&mut self, step: &StepRecipe) {
        let count = self.nodes.len();
        let [a, b, c] = step.operands.map(|operand| usize::from(operand) % count);
        let (op, knob) = (usize::from(step.op), usize::from(step.knob));
        match step.kind {
            Kind::Unary => self.add_unary(UnaryOp::ALL[op % UnaryOp::ALL.len()], step.dtype, a),
            Kind::Binary => self.add_binary(BinaryOp::ALL[op % BinaryOp::ALL.len()], step.dtype, a, b),
            Kind::BinaryWithConstant => self.add_with_constant(op, step.dtype, a, knob),
            Kind::Ternary => self.add_ternary(TernaryOp::ALL[op % TernaryOp::ALL.len()], step.dtype, [a, b, c]),
            Kind::Cast => {
                self.cast(a, step.dtype.unwrap_or(DType::F64));
            }
            Kind::Reduce => self.add_reduce(ReduceOp::ALL[op % ReduceOp::ALL.len()], step.dtype, a, knob),
            Kind::Permute => self.add_permute(a, knob),
            Kind::Reshape => self.add_reshape(op, a, knob),
            Kind::Broadcast => self.add_broadcast(a, knob),
            Kind::Slice => self.add_slice(a, knob),
            Kind::Concat => self.add_concat(a, b, knob),
            Kind::MatMul => self.add_matmul(step.dtype, a, b),
            Kind::Dense => self.add_dense(step.dtype.unwrap_or(DType::F32), knob),
            Kind::Iota => {
                self.push(Op::Iota, DType::I64, vec![Size { value: knob % 7, fixed: true }]);
            }
            Kind::Size => {
                if let Some(axis) = knob.checked_rem(self.shape(a).len()) {
                    self.push(Op::Size(axis, a), DType::I64, Vec::new());
                }
            }
            Kind::Idiom => crate::idioms::add(self, op, step.dtype, a, knob),
        }
    }

    /// The dtype asked for, if there is one and the class takes it; else the operand's own; else f64 or bool.
    fn fit(row: &kroton::ops::Row, asked: Option<DType>, own: DType) -> DType {
        let candidates = asked.into_iter().chain([own, DType::F64, DType::I64]);
        candidates.into_iter().find(|&dtype| row.class.contains(dtype)).unwrap()
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
        let dtype = asked.filter(|dtype| dtype.is_float()).unwrap_or(DType::F64);
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

    fn add_unary(&mut self, op: UnaryOp, asked: Option<DType>, a: usize) {
        let a = self.cast(a, Program::fit(op.row(), asked, self.dtype(a)));
        self.unary(op, a);
    }

    /// The first node from `b` on that broadcasts with a shape and keeps the result small; there always is the
    /// node itself.
    fn partner(&self, shape: &Shape, b: usize) -> Option<usize> {
        let count = self.nodes.len();
        let fits = |&id: &usize| broadcast(shape, self.shape(id)).is_some_and(|shape| small(&shape));
        (0..count).map(|i| (b + i) % count).find(fits)
    }

    fn add_binary(&mut self, op: BinaryOp, asked: Option<DType>, a: usize, b: usize) {
        let Some(b) = self.partner(&self.shape(a).clone(), b) else { return };
        let dtype = Program::fit(op.row(), asked, self.dtype(a));
        let (a, b) = (self.cast(a, dtype), self.cast(b, dtype));
        self.binary(op, a, b);
    }

    fn add_with_constant(&mut self, op: usize, asked: Option<DType>, a: usize, knob: usize) {
        const VALUES: [f64; 14] = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 3.0, 4.0, -0.5, 8.0, 0.1, -3.0, 63.0, 1e10];
        let op = BinaryOp::ALL[op % BinaryOp::ALL.len()];
        let dtype = Program::fit(op.row(), asked, self.dtype(a));
        let a = self.cast(a, dtype);
        let b = self.constant(dtype, VALUES[knob / 2 % VALUES.len()]);
        if knob.is_multiple_of(2) {
            self.binary(op, a, b)
        } else {
            self.binary(op, b, a)
        };
    }

    fn add_ternary(&mut self, op: TernaryOp, asked: Option<DType>, [a, b, c]: [usize; 3]) {
        let Some(b) = self.partner(&self.shape(a).clone(), b) else { return };
        let pair = broadcast(self.shape(a), self.shape(b)).unwrap();
        // The third has to fit the first two, and the second with the third alone as well.
        let count = self.nodes.len();
        let fits = |&id: &usize| {
            let both = broadcast(self.shape(b), self.shape(id));
            both.is_some_and(|both| broadcast(&pair, &both).is_some_and(|shape| small(&shape)))
        };
        let Some(c) = (0..count).map(|i| (c + i) % count).find(fits) else { return };
        let dtype = Program::fit(op.row(), asked, self.dtype(b));
        let first = if op == TernaryOp::Select { DType::Bool } else { dtype };
        let [a, b, c] = [self.cast(a, first), self.cast(b, dtype), self.cast(c, dtype)];
        self.ternary(op, [a, b, c]);
    }

    pub fn ternary(&mut self, op: TernaryOp, [a, b, c]: [usize; 3]) -> usize {
        let shape = broadcast(self.shape(b), self.shape(c)).and_then(|shape| broadcast(self.shape(a), &shape)).unwrap();
        self.push(Op::Ternary(op, [a, b, c]), self.dtype(b), shape)
    }

    fn add_reduce(&mut self, op: ReduceOp, asked: Option<DType>, a: usize, knob: usize) {
        let fallback = [asked.unwrap_or(self.dtype(a)), self.dtype(a), DType::Bool, DType::F64];
        let dtype = fallback.into_iter().find(|&dtype| op.accepts(dtype)).unwrap();
        let a = self.cast(a, dtype);
        let rank = self.rank(a);
        let mask = if knob.is_multiple_of(8) { usize::MAX } else { knob / 8 };
        let axes = (0..rank).filter(|axis| mask >> axis & 1 == 1).collect();
        self.reduce(op, axes, a);
    }

    fn add_permute(&mut self, a: usize, knob: usize) {
        let mut order: Vec<usize> = (0..self.rank(a)).collect();
        let mut knob = knob;
        for i in (1..order.len()).rev() {
            order.swap(i, knob % (i + 1));
            knob /= i + 1;
        }
        self.permute(order, a);
    }

    fn add_reshape(&mut self, op: usize, a: usize, knob: usize) {
        let rank = self.rank(a);
        let how = match op % 5 {
            0 => Reshaping::Flatten,
            1 => Reshaping::KeepFirst,
            2 => Reshaping::Swap,
            3 => Reshaping::Expand(knob % (rank + 1)),
            _ => Reshaping::Squeeze(knob % rank.max(1)),
        };
        self.reshape(how, a);
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

    fn add_broadcast(&mut self, a: usize, knob: usize) {
        let mut shape = self.shape(a).clone();
        let size = Size { value: knob % 5, fixed: true };
        match shape.iter().position(|size| size.is_one()) {
            Some(axis) if knob.is_multiple_of(2) => shape[axis] = size,
            _ if shape.len() < 3 => shape.insert(0, size),
            _ => return,
        }
        if small(&shape) {
            self.push(Op::Broadcast(a), self.dtype(a), shape);
        }
    }

    fn add_slice(&mut self, a: usize, knob: usize) {
        let mut random = Random(knob as u64);
        let parts: Vec<Part> = self.shape(a).clone().iter().map(|size| part(size.value, &mut random)).collect();
        self.slice(parts, a);
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

    fn add_concat(&mut self, a: usize, b: usize, knob: usize) {
        let Some(axis) = knob.checked_rem(self.rank(a)) else { return };
        let count = self.nodes.len();
        let fits = |&id: &usize| {
            let (left, right) = (self.shape(a), self.shape(id));
            left.len() == right.len() && (0..left.len()).all(|i| i == axis || left[i].value == right[i].value)
        };
        let Some(b) = (0..count).map(|i| (b + i) % count).find(fits) else { return };
        let b = self.cast(b, self.dtype(a));
        let mut shape = self.shape(a).clone();
        for (i, (size, other)) in shape.iter_mut().zip(self.shape(b)).enumerate() {
            size.fixed &= other.fixed;
            if i == axis {
                size.value += other.value;
            }
        }
        if small(&shape) {
            self.push(Op::Concat(axis, [a, b]), self.dtype(a), shape);
        }
    }

    fn add_matmul(&mut self, asked: Option<DType>, a: usize, b: usize) {
        let count = self.nodes.len();
        let Some(a) = (0..count).map(|i| (a + i) % count).find(|&id| self.rank(id) == 2) else { return };
        let fits = |&id: &usize| self.rank(id) == 2 && self.shape(id)[0].value == self.shape(a)[1].value;
        let b = match (0..count).map(|i| (b + i) % count).find(fits) {
            Some(b) => b,
            None => self.permute(vec![1, 0], a),
        };
        let dtype = asked.filter(|dtype| dtype.size() > 1).unwrap_or(DType::F64);
        let (a, b) = (self.cast(a, dtype), self.cast(b, dtype));
        let shape = vec![self.shape(a)[0], self.shape(b)[1]];
        self.push(Op::MatMul([a, b]), dtype, shape);
    }

    fn add_dense(&mut self, dtype: DType, knob: usize) {
        let mut random = Random(knob as u64);
        let special = nasty(dtype);
        let values: Vec<Scalar> = (0..knob % 7).map(|_| special[random.below(special.len())]).collect();
        let shape = vec![Size { value: values.len(), fixed: true }];
        self.push(Op::Dense(values), dtype, shape);
    }
}

fn part(size: usize, random: &mut Random) -> Part {
    let within = random.below(size + 1);
    match random.below(8) {
        0 => Part::From(within),
        1 if within > 0 => Part::To(within),
        2 => Part::Every(2),
        3 => Part::Every(-1),
        4 => Part::Every(-3),
        5 => Part::Range(within / 2, within),
        6 if size > 0 => Part::Index(within.min(size - 1)),
        7 if size > 0 => Part::Last,
        _ => Part::From(0),
    }
}

/// The sizes without their fixedness.
pub fn values_of(shape: &Shape) -> Vec<usize> {
    shape.iter().map(|size| size.value).collect()
}

fn small(shape: &Shape) -> bool {
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
