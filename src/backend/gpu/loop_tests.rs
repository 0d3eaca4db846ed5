//! Loops inside points, against the loop interpreter: of every dtype, nested, longer than a dispatch walks, and of a
//! length that nobody knows before.

use crate::backend::gpu::kernel::GpuKernel;
use crate::backend::gpu::launch_tests::{Data, check, targets};
use crate::backend::gpu::parts::{LONGEST, rounds_at_once, rounds_of_point};
use crate::backend::gpu::testing;
use crate::dtype::DType;
use crate::loops::samples::{binary, block, collatz, constant, load, operands, powers, store, v};
use crate::loops::verify::verify;
use crate::loops::{Access, Axis, Carried, Kernel, Nest, Operand, ShaderLimits, Target};
use crate::ops::BinaryOp;

fn carried(initial: u32, current: u32, next: u32, result: u32) -> Carried {
    Carried { initial: v(initial), current: v(current), next: v(next), result: v(result) }
}

fn sequential(axis: u32, carried: Vec<Carried>, body: Vec<Nest>) -> Nest {
    Nest::Sequential { axis: Axis(axis), carried, body }
}

fn kernel(name: &str, axes: u32, operands: Vec<Operand>, types: Vec<DType>, body: Vec<Nest>) -> Kernel {
    let body = vec![Nest::Map { axes: vec![Axis(0)], body }];
    let kernel = Kernel { name: name.into(), axes, operands, types, body };
    verify(&kernel).unwrap();
    kernel
}

/// From `x = o0[i]` and `y = o1[i]` each step makes `(x − y − o2[i, t], x)`: every `x` goes to `o3[i, t]`, or the last
/// one and the last `y` to `o3[i]`.
fn recurrence(dtype: DType, keeps_history: bool) -> Kernel {
    let op = if dtype == DType::Bool { BinaryOp::Xor } else { BinaryOp::Sub };
    let mut step = vec![load(4, 2), binary(5, op, 2, 3), binary(6, op, 5, 4)];
    let mut last = vec![binary(9, op, 7, 8)];
    if keeps_history { &mut step } else { &mut last }.push(store(3, if keeps_history { 6 } else { 9 }));
    let states = vec![carried(0, 2, 6, 7), carried(1, 3, 2, 8)];
    let body = vec![
        Nest::Block(block([load(0, 0), load(1, 1)])),
        sequential(1, states, vec![Nest::Block(block(step))]),
        Nest::Block(block(last)),
    ];
    kernel(&format!("recurrence_{dtype}"), 2, operands(dtype, 3, 1), vec![dtype; 10], body)
}

#[test]
fn recurrences_of_every_dtype_and_length() {
    let points = 3;
    let lengths = [0, 1, 7, LONGEST as usize + 1, 70_001];
    for dtype in DType::ALL {
        for (steps, keeps_history) in lengths.into_iter().flat_map(|steps| [(steps, false), (steps, true)]) {
            if steps > 40_000 && (keeps_history || !matches!(dtype, DType::I8 | DType::I64 | DType::F32)) {
                continue;
            }
            let value = |i: usize| (i as i64 * 7919) % 5 - 2;
            let along = steps as i64;
            // Walked from its end; repeated where it is more than a binding of the smallest target holds.
            let (offset, back) = if steps * dtype.size() < 200_000 { (along - 1, -1) } else { (0, 0) };
            let (history, last) = (&[along, 1], &[1, 0]);
            let (count, strides) = if keeps_history { (points * steps, history) } else { (points, last) };
            let data = [
                Data::new(dtype, points, 0, &[1, 0], value),
                Data::new(dtype, points, points as i64 - 1, &[-1, 0], |i| i as i64),
                Data::new(dtype, points * steps, offset, &[along, back], value),
                Data::new(dtype, count, 0, strides, |_| 1),
            ];
            let name = format!("{dtype} {steps} steps, history: {keeps_history}");
            check(&name, &recurrence(dtype, keeps_history), &[points, steps], &data);
        }
    }
}

/// A loop over `t` around one over `u`, and, as wanted, one over `w` that stores to `o2[i, t, w]` and one that halves what
/// has become too large; without a history `o2[i]` is the last state.
fn nested(has_condition: bool, keeps_history: bool) -> Kernel {
    let inner =
        block([load(4, 1), constant(5, 31_i64), binary(6, BinaryOp::Mul, 3, 5), binary(7, BinaryOp::Add, 6, 4)]);
    let mut rounds = vec![sequential(2, vec![carried(1, 3, 7, 8)], vec![Nest::Block(inner)])];
    if keeps_history {
        rounds.push(Nest::Map { axes: vec![Axis(3)], body: vec![Nest::Block(block([store(2, 8)]))] });
    }
    if has_condition {
        rounds.push(Nest::While {
            carried: vec![carried(8, 9, 12, 13)],
            condition: block([constant(10, 1000_i64), binary(11, BinaryOp::Gt, 9, 10)]),
            holds: v(11),
            body: vec![Nest::Block(block([constant(14, 1_i64), binary(12, BinaryOp::Shr, 9, 14)]))],
        });
    }
    let mut last = vec![constant(15, 3_i64), binary(16, BinaryOp::Add, 2, 15)];
    if !keeps_history {
        last.push(store(2, 16));
    }
    let mut types = vec![DType::I64; 17];
    types[11] = DType::Bool;
    let operands = [Access::Read, Access::Index, Access::Write].map(|access| Operand { dtype: DType::I64, access });
    let body = vec![
        Nest::Block(block([load(0, 0)])),
        sequential(1, vec![carried(0, 1, if has_condition { 13 } else { 8 }, 2)], rounds),
        Nest::Block(block(last)),
    ];
    kernel("nested", 4, operands.to_vec(), types, body)
}

#[test]
fn nested_loops_of_every_length() {
    for (points, outer, inner, stores) in
        [(70, 3, 4, 5), (5, 0, 9, 2), (5, 9, 0, 0), (2, 150, 200, 3), (1, 9000, 1, 1), (1, 1, 32_767, 0)]
    {
        for (has_condition, keeps_history) in [(false, false), (false, true), (true, false), (true, true)] {
            let kernel = nested(has_condition, keeps_history);
            let (by_point, by_step) = ((outer * stores) as i64, stores as i64);
            let history = if keeps_history { [by_point, by_step, 0, 1] } else { [1, 0, 0, 0] };
            let data = [
                Data::new(DType::I64, points, 0, &[1, 0, 0, 0], |i| i as i64 * 1_000_003 - 7),
                Data::new(DType::I64, 0, -9, &[1, 5, -2, 0], |_| 0),
                Data::new(DType::I64, if keeps_history { points * outer * stores } else { points }, 0, &history, |_| 1),
            ];
            let name = format!("{points} × {outer} × {inner}, while: {has_condition}, history: {keeps_history}");
            check(&name, &kernel, &[points, outer, inner, stores], &data);
        }
    }
}

/// Points that are done after very different numbers of rounds, one of them after more than some drivers make.
#[test]
fn while_loops_of_every_length() {
    let starts = |i: usize| if i == 3 { 100_003 } else { i as i64 % 300 + 1 };
    let one = block([constant(1, 1_i64), constant(2, 0_i64), load(0, 0)]);
    let steps = Nest::While {
        carried: vec![carried(0, 3, 6, 7), carried(2, 4, 8, 9)],
        condition: block([binary(5, BinaryOp::Gt, 3, 1)]),
        holds: v(5),
        body: vec![Nest::Block(block([binary(6, BinaryOp::Sub, 3, 1), binary(8, BinaryOp::Add, 4, 3)]))],
    };
    let mut types = vec![DType::I64; 10];
    types[5] = DType::Bool;
    let body = vec![Nest::Block(one), steps, Nest::Block(block([store(1, 9)]))];
    let sums = kernel("sums", 1, operands(DType::I64, 1, 1), types, body);
    for points in [1, 5, 700] {
        let data = [Data::new(DType::I64, points, 0, &[1], starts), Data::new(DType::I64, points, 0, &[1], |_| 0)];
        check(&format!("sums of {points}"), &sums, &[points], &data);
        check(&format!("collatz of {points}"), &collatz(), &[points], &data);
    }
}

/// Powers of integers have a loop of their own, which counts as well.
#[test]
fn steps_that_call_functions_with_loops() {
    let step = block([load(2, 1), binary(3, BinaryOp::Pow, 1, 2)]);
    let body = vec![
        Nest::Block(block([load(0, 0)])),
        sequential(1, vec![carried(0, 1, 3, 4)], vec![Nest::Block(step)]),
        Nest::Block(block([store(2, 4)])),
    ];
    let powers = kernel("powers", 2, operands(DType::I64, 2, 1), vec![DType::I64; 5], body);
    let steps = 3000;
    let data = [
        Data::new(DType::I64, 5, 0, &[1, 0], |i| 2 * i as i64 + 3),
        Data::new(DType::I64, steps, 0, &[0, 1], |i| i64::MAX - 2 * i as i64),
        Data::new(DType::I64, 5, 0, &[1, 0], |_| 0),
    ];
    check("powers of powers", &powers, &[5, steps], &data);
    for target in targets() {
        assert!(rounds_at_once(&powers, &target).unwrap() < 1000);
    }
}

#[test]
fn rounds_are_those_of_all_loops() {
    assert_eq!(rounds_of_point(&powers(), Some(&[9, 13])), Some(13));
    assert_eq!(rounds_of_point(&powers(), Some(&[9, usize::MAX])), Some(u64::MAX));
    assert_eq!(rounds_of_point(&collatz(), Some(&[9])), None);
    // Each of 5 rounds makes 7 others, and 11 more.
    assert_eq!(rounds_of_point(&nested(false, true), Some(&[2, 5, 7, 11])), Some(5 * (1 + 7 + 11)));
    let target = Target::gpu(ShaderLimits::WEBGPU, false);
    assert_eq!(rounds_at_once(&nested(true, true), &target).unwrap(), LONGEST);
}

/// A short loop takes one dispatch, a long one as many as it needs, and no more.
#[test]
fn dispatches_are_as_few_as_can_be() {
    let Some(gpu) = testing::device() else { return };
    let kernel = GpuKernel::new(recurrence(DType::I32, false), gpu.target()).unwrap();
    assert!(!kernel.text().contains("States"));
    let long = LONGEST as usize;
    let record = |steps: usize| {
        let before = gpu.dispatches();
        let memory = gpu.allocate(4).unwrap();
        let operand = || crate::backend::gpu::GpuOperand {
            base: crate::backend::gpu::GpuBase::Memory(&memory),
            offset: 0,
            strides: smallvec::smallvec![0, 0],
        };
        let mut recorder = gpu.recorder();
        let operands: Vec<_> = (0..4).map(|_| operand()).collect();
        kernel.record(&mut recorder, &[1, steps], &operands).unwrap();
        gpu.dispatches() - before
    };
    for (steps, expected) in [(0, 1), (long, 1), (long + 1, 2), (3 * long, 3)] {
        // Other tests raise the counter too, but not all the time.
        assert_eq!((0..100).map(|_| record(steps)).min(), Some(expected), "{steps}");
    }
    assert!(kernel.text().contains("States"));
}
