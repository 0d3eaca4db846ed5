//! Kernels with loops over steps, for the tests.

use super::*;
use crate::loops::Carried;
use crate::ops::{BinaryOp, UnaryOp};

impl Build {
    pub fn constant(&mut self, value: Scalar) -> ValueId {
        self.define(value.dtype(), Operation::Constant(value))
    }

    pub fn binary(&mut self, op: BinaryOp, a: ValueId, b: ValueId) -> ValueId {
        self.define(op.row().result(self.kernel.ty(a)), Operation::Binary(op, [a, b]))
    }

    pub fn unary(&mut self, op: UnaryOp, x: ValueId) -> ValueId {
        self.define(op.row().result(self.kernel.ty(x)), Operation::Unary(op, x))
    }

    pub fn cast(&mut self, dtype: DType, x: ValueId) -> ValueId {
        self.define(dtype, Operation::Cast(dtype, x))
    }

    pub fn nest(&mut self) -> Nest {
        Nest::Block(self.take_block())
    }

    /// Values at the start of a step, one for each initial one.
    pub fn currents(&mut self, initial: &[ValueId]) -> Vec<ValueId> {
        initial.iter().map(|&value| self.kernel.new_value(self.kernel.ty(value))).collect()
    }

    pub fn carried(
        &mut self,
        initial: &[ValueId],
        current: &[ValueId],
        next: &[ValueId],
    ) -> (Vec<Carried>, Vec<ValueId>) {
        let results = self.currents(initial);
        let carried = (0..initial.len())
            .map(|i| Carried { initial: initial[i], current: current[i], next: next[i], result: results[i] })
            .collect();
        (carried, results)
    }

    pub fn kernel(mut self, axes: &[u32], body: Vec<Nest>) -> Kernel {
        self.kernel.body = vec![Nest::Map { axes: axes.iter().map(|&axis| Axis(axis)).collect(), body }];
        self.kernel
    }
}

/// A combination of two values that every dtype has.
pub(super) fn mix(build: &mut Build, a: ValueId, b: ValueId) -> ValueId {
    match build.kernel.ty(a) {
        DType::Bool => build.binary(BinaryOp::Xor, a, b),
        dtype => {
            let half = build.constant(Scalar::F64(if dtype.is_float() { 0.5 } else { 3.0 }).cast(dtype));
            let scaled = build.binary(BinaryOp::Mul, a, half);
            build.binary(BinaryOp::Add, scaled, b)
        }
    }
}

/// A kernel of each shape here, for each dtype that has it.
pub(super) fn kernels() -> Vec<(String, Kernel)> {
    let mut kernels = Vec::new();
    for dtype in DType::ALL {
        kernels.push((format!("recurrence {dtype}"), recurrence(dtype)));
        kernels.push((format!("nested {dtype}"), nested(dtype)));
        kernels.push((format!("crowd {dtype}"), crowd(dtype, 17)));
        if dtype != DType::Bool {
            kernels.push((format!("repeated {dtype}"), repeated(dtype, BinaryOp::Sub, 7.0, 10.0)));
        }
        if dtype.is_float() {
            kernels.push((format!("calling {dtype}"), calling(dtype, false)));
            kernels.push((format!("calling while {dtype}"), calling(dtype, true)));
        }
    }
    kernels
}

/// Two states that change places on the way, a sequence that is read, a history and the last states, over axis 0 of
/// elements and axis 1 of steps.
pub(super) fn recurrence(dtype: DType) -> Kernel {
    let mut build = Build::new(2);
    let (a, b) = (build.read(dtype), build.read(dtype));
    let before = build.nest();
    let current = build.currents(&[a, b]);
    let x = build.read(dtype);
    let mixed = mix(&mut build, current[0], x);
    build.write(mixed);
    let (carried, results) = build.carried(&[a, b], &current, &[current[1], mixed]);
    let steps = Nest::Sequential { axis: Axis(1), carried, body: vec![build.nest()] };
    let both = mix(&mut build, results[0], results[1]);
    build.write(both);
    build.write(results[0]);
    let after = build.nest();
    build.kernel(&[0], vec![before, steps, after])
}

/// `while condition(x) { x = x op factor; n = n + 1 }` with the state and the count after it.
pub(super) fn repeated(dtype: DType, op: BinaryOp, factor: f64, limit: f64) -> Kernel {
    let mut build = Build::new(1);
    let x = build.read(dtype);
    let zero = build.constant(Scalar::I32(0));
    let factor = build.constant(Scalar::F64(factor).cast(dtype));
    let one = build.constant(Scalar::I32(1));
    let most = build.constant(Scalar::I32(100));
    let before = build.nest();
    let current = build.currents(&[x, zero]);
    let limit = build.constant(Scalar::F64(limit).cast(dtype));
    let above = build.binary(BinaryOp::Gt, current[0], limit);
    let few = build.binary(BinaryOp::Lt, current[1], most);
    let holds = build.binary(BinaryOp::And, above, few);
    let condition = build.take_block();
    let next = build.binary(op, current[0], factor);
    let count = build.binary(BinaryOp::Add, current[1], one);
    let (carried, results) = build.carried(&[x, zero], &current, &[next, count]);
    let steps = Nest::While { carried, condition, holds, body: vec![build.nest()] };
    build.write(results[0]);
    build.write(results[1]);
    let after = build.nest();
    build.kernel(&[0], vec![before, steps, after])
}

/// Steps within steps, with a loop on a condition in the inner one, and one more after both.
pub(super) fn nested(dtype: DType) -> Kernel {
    let mut build = Build::new(3);
    let a = build.read(dtype);
    let zero = build.constant(Scalar::I32(0));
    let before = build.nest();
    let outer = build.currents(&[a, zero]);
    let y = build.read(dtype);
    let start = mix(&mut build, outer[0], y);
    let first = build.nest();
    let inner = build.currents(&[start, outer[1]]);
    let one = build.constant(Scalar::I32(1));
    let x = build.read(dtype);
    let stepped = mix(&mut build, inner[0], x);
    build.write(stepped);
    let start_count = build.binary(BinaryOp::Add, inner[1], one);
    let within = build.nest();
    let count = build.currents(&[start_count]);
    let (three, limit) = (build.constant(Scalar::I32(3)), build.constant(Scalar::I32(0)));
    let rest = build.binary(BinaryOp::And, count[0], three);
    let holds = build.binary(BinaryOp::Ne, rest, limit);
    let condition = build.take_block();
    let more = build.constant(Scalar::I32(1));
    let next_count = build.binary(BinaryOp::Add, count[0], more);
    let (carried, counted) = build.carried(&[start_count], &count, &[next_count]);
    let until = Nest::While { carried, condition, holds, body: vec![build.nest()] };
    let (carried, results) = build.carried(&[start, outer[1]], &inner, &[stepped, counted[0]]);
    let steps = Nest::Sequential { axis: Axis(2), carried, body: vec![within, until] };
    let (carried, totals) = build.carried(&[a, zero], &outer, &[results[0], results[1]]);
    let all = Nest::Sequential { axis: Axis(1), carried, body: vec![first, steps] };
    build.write(totals[0]);
    build.write(totals[1]);
    let after = build.nest();
    build.kernel(&[0], vec![before, all, after])
}

/// More carried values than registers, each taking the place of the next; some begin equal, some become a constant or
/// one another, one stays as it is.
pub(super) fn crowd(dtype: DType, count: usize) -> Kernel {
    let mut build = Build::new(2);
    let (a, b) = (build.read(dtype), build.read(dtype));
    let one = build.constant(Scalar::I64(1).cast(dtype));
    let initial: Vec<ValueId> = (0..count).map(|i| [a, b, one, a, b][i % 5]).collect();
    let before = build.nest();
    let current = build.currents(&initial);
    let two = build.constant(Scalar::I64(2).cast(dtype));
    let mixed = mix(&mut build, current[0], current[count / 2]);
    let mut next: Vec<ValueId> = (0..count).map(|i| current[(i + 1) % count]).collect();
    next[count - 1] = mixed;
    next[count / 2] = mixed;
    next[count / 3] = current[count / 3];
    next[count / 4] = two;
    let (carried, results) = build.carried(&initial, &current, &next);
    let steps = Nest::Sequential { axis: Axis(1), carried, body: vec![build.nest()] };
    results.into_iter().for_each(|result| build.write(result));
    let after = build.nest();
    build.kernel(&[0], vec![before, steps, after])
}

/// Kernels are called at each step, before and after the loop.
pub(super) fn calling(dtype: DType, on_condition: bool) -> Kernel {
    let mut build = Build::new(2);
    let (a, b) = (build.read(dtype), build.read(dtype));
    let start = build.unary(UnaryOp::Cos, a);
    let initial = [start, b];
    let before = build.nest();
    let current = build.currents(&initial);
    let limit = build.constant(Scalar::F64(0.5).cast(dtype));
    let size = build.unary(UnaryOp::Sin, current[0]);
    let holds = build.binary(BinaryOp::Gt, size, limit);
    let condition = build.take_block();
    let sine = build.unary(UnaryOp::Sin, current[0]);
    let power = build.unary(UnaryOp::Exp, current[1]);
    let quotient = build.binary(BinaryOp::Div, sine, power);
    let sum = build.binary(BinaryOp::Add, current[0], sine);
    let (carried, results) = build.carried(&initial, &current, &[quotient, sum]);
    let body = vec![build.nest()];
    let steps = if on_condition {
        Nest::While { carried, condition, holds, body }
    } else {
        Nest::Sequential { axis: Axis(1), carried, body }
    };
    let last = build.unary(UnaryOp::Tanh, results[0]);
    build.write(last);
    build.write(results[1]);
    let after = build.nest();
    build.kernel(&[0], vec![before, steps, after])
}
