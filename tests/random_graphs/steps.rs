//! What each step of a recipe adds to a program: the op and the operands that its numbers choose, made to fit.
//!
//! A step that makes no sense adds nothing; so any recipe is a valid program.

use kroton::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};
use kroton::{DType, Scalar};

use crate::common::{Argument, Random, nasty};
use crate::program::{Op, Part, Program, Reshaping, Shape, Size, broadcast, small, values_of};
use crate::recipe::{DimRecipe, InputRecipe, Kind, Recipe, StepRecipe};

impl Program {
    pub fn add_input(&mut self, index: usize, input: &InputRecipe, recipe: &Recipe) {
        let mut random = Random(recipe.seed.wrapping_add(index as u64));
        let sizes = input.dims.iter().map(|dim| match *dim {
            DimRecipe::Fixed(value) => Size { value, fixed: true },
            DimRecipe::Open(which) => Size { value: recipe.sizes[which], fixed: false },
        });
        let shape: Shape = sizes.collect();
        let declared = shape.iter().map(|size| size.fixed.then_some(size.value)).collect();
        let count = values_of(&shape).iter().product();
        let special = nasty(input.dtype);
        let draw = |random: &mut Random| match random.below(if input.tame { 8 } else { 16 }) {
            8.. => special[random.below(special.len())],
            0 => Scalar::F64(-0.0).cast(input.dtype),
            1 if !input.tame => Scalar::F64(f64::NAN).cast(input.dtype),
            2 if !input.tame => Scalar::F64(f64::NEG_INFINITY).cast(input.dtype),
            3..6 if input.dtype.is_float() => Scalar::F64(random.unit() * 3.0).cast(input.dtype),
            _ => Scalar::I64(random.below(13) as i64 - 4).cast(input.dtype),
        };
        let values = (0..count).map(|_| draw(&mut random)).collect();
        self.inputs.push((declared, Argument::new(input.dtype, &values_of(&shape), values, input.layout)));
        self.push(Op::Input(index), input.dtype, shape);
    }

    pub fn add_step(&mut self, step: &StepRecipe) {
        let count = self.nodes.len();
        let [a, b, c] = step.operands.map(|operand| usize::from(operand) % count);
        let (op, knob) = (usize::from(step.op), usize::from(step.knob));
        match step.kind {
            Kind::Unary => self.add_unary(UnaryOp::ALL[op % UnaryOp::ALL.len()], step.dtype, a),
            Kind::Binary => self.add_binary(BinaryOp::ALL[op % BinaryOp::ALL.len()], step.dtype, a, b),
            Kind::BinaryWithConstant => self.add_with_constant(op, step.dtype, a, knob),
            Kind::Ternary => self.add_ternary(TernaryOp::ALL[op % TernaryOp::ALL.len()], step.dtype, [a, b, c]),
            Kind::Cast => {
                self.cast(a, step.dtype.unwrap_or(self.float));
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
            Kind::Phrase => {
                let b = self.partner(&self.shape(a).clone(), b).unwrap_or(a);
                crate::phrases::add(self, op, step.dtype, a, b, knob);
            }
            Kind::Loop => crate::looping::add(self, op, step.dtype, [a, b, c], knob),
            Kind::Region => crate::regions::add(self, op, step.dtype, [a, b, c], knob),
        }
    }

    /// The dtype asked for, if there is one and the class takes it; else the operand's own; else the widest float, i64 or u64.
    fn fit(&self, row: &kroton::ops::Row, asked: Option<DType>, own: DType) -> DType {
        let candidates = asked.into_iter().chain([own, self.float, DType::I64, DType::U64]);
        candidates.into_iter().find(|&dtype| row.class.contains(dtype)).unwrap()
    }

    fn add_unary(&mut self, op: UnaryOp, asked: Option<DType>, a: usize) {
        let a = self.cast(a, self.fit(op.row(), asked, self.dtype(a)));
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
        let dtype = self.fit(op.row(), asked, self.dtype(a));
        let (a, b) = (self.cast(a, dtype), self.cast(b, dtype));
        self.binary(op, a, b);
    }

    fn add_with_constant(&mut self, op: usize, asked: Option<DType>, a: usize, knob: usize) {
        const VALUES: [f64; 14] = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 3.0, 4.0, -0.5, 8.0, 0.1, -3.0, 63.0, 1e10];
        let op = BinaryOp::ALL[op % BinaryOp::ALL.len()];
        let dtype = self.fit(op.row(), asked, self.dtype(a));
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
        let dtype = self.fit(op.row(), asked, self.dtype(b));
        let first = if op == TernaryOp::Select { DType::Bool } else { dtype };
        let [a, b, c] = [self.cast(a, first), self.cast(b, dtype), self.cast(c, dtype)];
        self.ternary(op, [a, b, c]);
    }

    fn add_reduce(&mut self, op: ReduceOp, asked: Option<DType>, a: usize, knob: usize) {
        let fallback = [asked.unwrap_or(self.dtype(a)), self.dtype(a), DType::Bool, self.float];
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
        let dtype = asked.filter(|dtype| dtype.size() > 1).unwrap_or(self.float);
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
