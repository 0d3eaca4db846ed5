//! Loops over steps, against the loop interpreter, bit for bit.

use super::stepped::{calling, crowd, nested, recurrence, repeated};
use super::*;
use crate::loops::{interpret, verify};
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};

/// An operand of a launch: where it begins, and its strides in elements.
#[derive(Clone)]
pub(super) enum Bound {
    Memory(Memory, isize, Vec<isize>),
    Index(i64, Vec<isize>),
}

impl Bound {
    pub fn binding(&self) -> Binding {
        match self {
            Bound::Memory(memory, first, strides) => memory.bind(*first, strides),
            Bound::Index(first, strides) => positions(*first, strides),
        }
    }
}

/// Runs a kernel by the interpreter, and by the engine on several numbers of threads; what is written has to agree.
pub(super) fn check(what: &str, kernel: &Kernel, extents: &[usize], operands: &[Bound]) {
    verify::verify(kernel).unwrap();
    let run = |run: &dyn Fn(&Launch<'_>)| {
        let copies: Vec<Bound> = operands.to_vec();
        let bindings: Vec<Binding> = copies.iter().map(Bound::binding).collect();
        run(&Launch::new(extents, &bindings));
        copies
    };
    // SAFETY: the tests bind memory that is large enough.
    let want = run(&|launch| unsafe { interpret::run(kernel, launch) }.unwrap());
    let executable = prepare(kernel.clone());
    for parallelism in [Parallelism::default(), threads(1), threads(2), threads(8)] {
        // SAFETY: as above.
        let got = run(&|launch| unsafe { executable.launch(launch, &parallelism) }.unwrap());
        for (number, (got, want)) in got.iter().zip(&want).enumerate() {
            let (Bound::Memory(got, ..), Bound::Memory(want, ..)) = (got, want) else { continue };
            for (index, (got, want)) in got.all().into_iter().zip(want.all()).enumerate() {
                assert!(same(got, want), "{what} {extents:?}: o{number}[{index}] is {got:?}, not {want:?}");
            }
        }
    }
}

/// Memory of some sample values for an operand of these strides, none of them negative.
pub(super) fn filled(dtype: DType, extents: &[usize], strides: &[isize], seed: u64) -> Bound {
    let last: isize =
        extents.iter().zip(strides).map(|(&extent, stride)| extent.saturating_sub(1) as isize * stride).sum();
    Bound::Memory(Memory::of(dtype, &sample(dtype, last as usize + 1, seed)), 0, strides.to_vec())
}

/// The operands of `recurrence`, the sequence and the history at such strides.
pub(super) fn recurrence_operands(
    dtype: DType,
    [n, t]: [usize; 2],
    sequence: [isize; 2],
    history: [isize; 2],
) -> Vec<Bound> {
    let extents = [n, t.max(1)];
    vec![
        filled(dtype, &extents, &[1, 0], 1),
        filled(dtype, &extents, &[1, 0], 2),
        filled(dtype, &extents, &sequence, 3),
        filled(dtype, &extents, &history, 4),
        filled(dtype, &extents, &[1, 0], 5),
        filled(dtype, &extents, &[1, 0], 6),
    ]
}

#[test]
fn every_dtype_and_length() {
    for dtype in DType::ALL {
        let kernel = recurrence(dtype);
        for n in (0..=19).chain([31, 32, 33, 47, 63, 64, 65, 66, 67, 200]) {
            let along = [1, n.max(1) as isize];
            check(&dtype.to_string(), &kernel, &[n, 5], &recurrence_operands(dtype, [n, 5], along, along));
        }
    }
}

#[test]
fn every_layout_of_what_is_read_and_written() {
    for dtype in [DType::F64, DType::F32, DType::I64, DType::U8, DType::Bool] {
        let kernel = recurrence(dtype);
        for (n, t) in [(1, 1), (21, 6), (70, 3), (5, 0), (67, 1)] {
            let rows = [1, n as isize];
            let columns = [t.max(1) as isize, 1];
            for sequence in [rows, columns, [0, 1], [1, 0], [0, 0], [2, 2 * n as isize + 1]] {
                for history in [rows, columns, [2, 2 * n as isize], [1, n as isize + 3]] {
                    let operands = recurrence_operands(dtype, [n, t], sequence, history);
                    check(&format!("{dtype} {sequence:?} {history:?}"), &kernel, &[n, t], &operands);
                }
            }
        }
    }
}

/// The step's number, in elements and steps, and an operand that is the same for all elements.
#[test]
fn indices_and_shared_sequences_move_with_the_steps() {
    let mut build = Build::new(2);
    let zero = build.constant(Scalar::F64(0.0));
    let count = build.constant(Scalar::I64(0));
    let before = build.nest();
    let current = build.currents(&[zero, count]);
    let index = build.operand(DType::I64, Access::Index);
    let index = build.define(DType::I64, Operation::Load(index));
    let shared = build.read(DType::F64);
    let number = build.cast(DType::F64, index);
    let product = build.binary(BinaryOp::Mul, number, shared);
    let sum = build.binary(BinaryOp::Add, current[0], product);
    let total = build.binary(BinaryOp::Add, current[1], index);
    let (carried, results) = build.carried(&[zero, count], &current, &[sum, total]);
    let steps = Nest::Sequential { axis: Axis(1), carried, body: vec![build.nest()] };
    build.write(results[0]);
    build.write(results[1]);
    let after = build.nest();
    let kernel = build.kernel(&[0], vec![before, steps, after]);
    for n in [1, 4, 37] {
        for strides in [[0, 1], [1, 0], [5, -3], [0, 0]] {
            let out = |dtype| filled(dtype, &[n, 1], &[1, 0], 9);
            let operands = [
                Bound::Index(7, strides.to_vec()),
                filled(DType::F64, &[n, 11], &[0, 1], 8),
                out(DType::F64),
                out(DType::I64),
            ];
            check("indices", &kernel, &[n, 11], &operands);
        }
    }
}

#[test]
fn lanes_stop_when_their_condition_fails() {
    for dtype in DType::ALL.into_iter().filter(|dtype| *dtype != DType::Bool) {
        let kernel = repeated(dtype, BinaryOp::Sub, 7.0, 10.0);
        for n in (0..=18).chain([31, 33, 64, 67]) {
            let values: Vec<Scalar> = (0..n).map(|i| Scalar::I64((i * 37 % 101) as i64).cast(dtype)).collect();
            for stride in [1, 2] {
                let mut x = Memory::zeros(dtype, n * 2);
                values.iter().enumerate().for_each(|(i, &value)| x.set(i * stride, value));
                let out = |dtype| filled(dtype, &[n], &[stride as isize], 3);
                let operands = [Bound::Memory(x, 0, vec![stride as isize]), out(dtype), out(DType::I32)];
                check(&format!("{dtype} while"), &kernel, &[n], &operands);
            }
        }
    }
}

#[test]
fn conditions_of_nan_and_infinity_end_as_the_interpreter_says() {
    for dtype in [DType::F32, DType::F64] {
        let kernel = repeated(dtype, BinaryOp::Mul, 0.5, 1.0);
        let values = nasty(dtype);
        let n = values.len();
        let out = |dtype| filled(dtype, &[n], &[1], 3);
        let operands = [Bound::Memory(Memory::of(dtype, &values), 0, vec![1]), out(dtype), out(DType::I32)];
        check("nasty", &kernel, &[n], &operands);
    }
}

#[test]
fn samples_of_the_loop_ir() {
    for n in [1, 5, 64] {
        let values: Vec<Scalar> = (0..n).map(|i| Scalar::I64(i as i64 * 7 % 40 + 1)).collect();
        let x = || Bound::Memory(Memory::of(DType::I64, &values), 0, vec![1]);
        let kernel = crate::loops::samples::collatz();
        check("collatz", &kernel, &[n], &[x(), filled(DType::I64, &[n], &[1], 2)]);
        let with_steps = |bound: Bound| match bound {
            Bound::Memory(memory, first, _) => Bound::Memory(memory, first, vec![1, 0]),
            Bound::Index(..) => bound,
        };
        let kernel = crate::loops::samples::powers();
        let out = filled(DType::I64, &[n, 1], &[1, 0], 2);
        check("powers", &kernel, &[n, 9], &[with_steps(x()), out, filled(DType::I64, &[n, 9], &[1, n as isize], 3)]);
    }
}

#[test]
fn loops_nest() {
    for dtype in [DType::F32, DType::F64, DType::I32, DType::I8, DType::Bool] {
        let kernel = nested(dtype);
        for [n, s, t] in [[1, 3, 4], [19, 3, 2], [67, 2, 5], [9, 0, 3], [9, 3, 0], [33, 1, 1]] {
            let extents = [n, s.max(1), t.max(1)];
            let (rows, steps) = (n as isize, t.max(1) as isize);
            let operands = [
                filled(dtype, &extents, &[1, 0, 0], 1),
                filled(dtype, &extents, &[1, rows, 0], 2),
                filled(dtype, &extents, &[0, steps, 1], 3),
                filled(dtype, &extents, &[1, rows * steps, rows], 4),
                filled(dtype, &extents, &[1, 0, 0], 5),
                filled(DType::I32, &extents, &[1, 0, 0], 6),
            ];
            check(&format!("nested {dtype}"), &kernel, &[n, s, t], &operands);
        }
    }
}

/// A loop on a condition whose body has steps, which read an operand that all steps share.
#[test]
fn steps_within_a_loop_on_a_condition() {
    let mut build = Build::new(2);
    let a = build.read(DType::F64);
    let before = build.nest();
    let outer = build.currents(&[a]);
    let limit = build.constant(Scalar::F64(50.0));
    let holds = build.binary(BinaryOp::Lt, outer[0], limit);
    let condition = build.take_block();
    let size = build.unary(UnaryOp::Abs, outer[0]);
    let first = build.nest();
    let inner = build.currents(&[size]);
    let x = build.read(DType::F64);
    let sum = build.binary(BinaryOp::Add, inner[0], x);
    let (carried, results) = build.carried(&[size], &inner, &[sum]);
    let steps = Nest::Sequential {
        axis: Axis(1),
        carried,
        body: vec![build.take_block()].into_iter().map(Nest::Block).collect(),
    };
    let one = build.constant(Scalar::F64(1.0));
    let more = build.binary(BinaryOp::Add, results[0], one);
    let last = build.nest();
    let (carried, totals) = build.carried(&[a], &outer, &[more]);
    let all = Nest::While { carried, condition, holds, body: vec![first, steps, last] };
    build.write(totals[0]);
    let after = build.nest();
    let kernel = build.kernel(&[0], vec![before, all, after]);
    for (n, t) in [(1, 2), (16, 3), (35, 2), (18, 0)] {
        let x: Vec<Scalar> = (0..n * t.max(1)).map(|i| Scalar::F64((i % 13) as f64 * 0.25)).collect();
        let x = Bound::Memory(Memory::of(DType::F64, &x), 0, vec![1, n as isize]);
        let operands = [filled(DType::F64, &[n, 1], &[1, 0], 5), x, filled(DType::F64, &[n, 1], &[1, 0], 6)];
        check("while of steps", &kernel, &[n, t], &operands);
    }
}

#[test]
fn many_carried_values_change_places() {
    for dtype in [DType::F64, DType::F32, DType::I32, DType::Bool, DType::U8] {
        for count in [4, 5, 9, 14, 15, 16, 17, 24] {
            let kernel = crowd(dtype, count);
            for [n, t] in [[1, 3], [37, 7], [16, 0], [3, 1]] {
                let operands: Vec<Bound> = (0..count as u64 + 2).map(|i| filled(dtype, &[n, 1], &[1, 0], i)).collect();
                check(&format!("{count} of {dtype}"), &kernel, &[n, t], &operands);
            }
        }
    }
}

/// Values of several dtypes, and masks, in one step.
#[test]
fn dtypes_meet_in_a_step() {
    let mut build = Build::new(2);
    let (a, b) = (build.read(DType::F32), build.read(DType::F64));
    let flag = build.constant(Scalar::Bool(false));
    let long = build.cast(DType::I64, b);
    let before = build.nest();
    let initial = [a, b, flag, long];
    let current = build.currents(&initial);
    let wide = build.cast(DType::F64, current[0]);
    let sum = build.binary(BinaryOp::Add, wide, current[1]);
    let narrow = build.cast(DType::F32, sum);
    let half = build.constant(Scalar::F32(0.75));
    let narrow = build.binary(BinaryOp::Mul, narrow, half);
    let larger = build.binary(BinaryOp::Gt, narrow, current[0]);
    let turned = build.binary(BinaryOp::Xor, larger, current[2]);
    let chosen = build.define(DType::F64, Operation::Ternary(TernaryOp::Select, [turned, sum, current[1]]));
    let truth = build.cast(DType::I64, current[2]);
    let count = build.binary(BinaryOp::Add, current[3], truth);
    build.write(turned);
    let (carried, results) = build.carried(&initial, &current, &[narrow, chosen, turned, count]);
    let steps = Nest::Sequential { axis: Axis(1), carried, body: vec![build.nest()] };
    results.into_iter().for_each(|result| build.write(result));
    let after = build.nest();
    let kernel = build.kernel(&[0], vec![before, steps, after]);
    for n in (1..20).chain([64, 67]) {
        let last = |dtype, seed| filled(dtype, &[n, 1], &[1, 0], seed);
        let history = filled(DType::Bool, &[n, 6], &[1, n as isize], 7);
        let operands = [
            last(DType::F32, 1),
            last(DType::F64, 2),
            history,
            last(DType::F32, 3),
            last(DType::F64, 4),
            last(DType::Bool, 5),
            last(DType::I64, 6),
        ];
        check("dtypes", &kernel, &[n, 6], &operands);
    }
}

#[test]
fn functions_are_called_at_each_step() {
    for dtype in [DType::F32, DType::F64] {
        for on_condition in [false, true] {
            let kernel = calling(dtype, on_condition);
            for n in [1, 7, 16, 33, 67, 700] {
                let operands: Vec<Bound> = (1..5).map(|i| filled(dtype, &[n, 1], &[1, 0], i)).collect();
                check(&format!("calls {dtype}"), &kernel, &[n, 4], &operands);
            }
        }
    }
}

/// Several axes of elements, and none.
#[test]
fn elements_have_any_number_of_axes() {
    let kernel = recurrence(DType::F64);
    let Nest::Map { body, .. } = &kernel.body[0] else { panic!() };
    let single = Kernel { body: vec![Nest::Map { axes: vec![], body: body.clone() }], ..kernel.clone() };
    check("no axes", &single, &[1, 9], &recurrence_operands(DType::F64, [1, 9], [0, 1], [0, 1]));
    let many = Kernel {
        axes: 3,
        body: vec![Nest::Map { axes: vec![Axis(0), Axis(2)], body: body.clone() }],
        ..kernel.clone()
    };
    for [n, t, m] in [[5, 4, 7], [3, 2, 20], [70, 3, 2]] {
        let (inner, all) = (m as isize, (n * m) as isize);
        for state in [[inner, 0, 1], [1, 0, n as isize], [2 * inner, 0, 1]] {
            let mut operands: Vec<Bound> = (0..6).map(|i| filled(DType::F64, &[n, t, m], &state, i)).collect();
            operands[2] = filled(DType::F64, &[n, t, m], &[inner, all, 1], 7);
            operands[3] = filled(DType::F64, &[n, t, m], &[1, all, n as isize], 8);
            check(&format!("axes {state:?}"), &many, &[n, t, m], &operands);
        }
    }
}

/// Lanes that have left an outer loop keep no inner one going, which would not end with what they hold.
#[test]
fn lanes_that_are_done_keep_no_inner_loop_going() {
    let mut build = Build::new(1);
    let x = build.read(DType::I64);
    let (one, eight) = (build.constant(Scalar::I64(1)), build.constant(Scalar::I64(8)));
    let over = build.constant(Scalar::I64(1000));
    let before = build.nest();
    let outer = build.currents(&[x]);
    let limit = build.constant(Scalar::I64(64));
    let holds = build.binary(BinaryOp::Lt, outer[0], limit);
    let condition = build.take_block();
    let inner = build.currents(&[outer[0]]);
    let (seven, zero) = (build.constant(Scalar::I64(7)), build.constant(Scalar::I64(0)));
    let rest = build.binary(BinaryOp::And, inner[0], seven);
    let large = build.binary(BinaryOp::Gt, inner[0], over);
    let uneven = build.binary(BinaryOp::Ne, rest, zero);
    let going = build.binary(BinaryOp::Or, uneven, large);
    let within = build.take_block();
    let more = build.binary(BinaryOp::Add, inner[0], one);
    let larger = build.binary(BinaryOp::Maximum, inner[0], over);
    let far = build.binary(BinaryOp::Gt, inner[0], over);
    let next = build.define(DType::I64, Operation::Ternary(TernaryOp::Select, [far, larger, more]));
    let (carried, results) = build.carried(&[outer[0]], &inner, &[next]);
    let until = Nest::While { carried, condition: within, holds: going, body: vec![build.nest()] };
    let sum = build.binary(BinaryOp::Add, results[0], eight);
    let rest = build.nest();
    let (carried, totals) = build.carried(&[x], &outer, &[sum]);
    let all = Nest::While { carried, condition, holds, body: vec![until, rest] };
    build.write(totals[0]);
    let after = build.nest();
    let kernel = build.kernel(&[0], vec![before, all, after]);
    for n in [1, 4, 17, 35] {
        for stride in [1, 2] {
            let mut x = Memory::zeros(DType::I64, n * 2);
            (0..n).for_each(|i| x.set(i * stride, Scalar::I64([5, 2000, 70, -3, 64][i % 5])));
            let operands =
                [Bound::Memory(x, 0, vec![stride as isize]), filled(DType::I64, &[n], &[stride as isize], 2)];
            check("inner loops", &kernel, &[n], &operands);
        }
    }
}
