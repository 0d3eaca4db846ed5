//! Reductions, against a slow reference that follows the text of `ops::reduction` to the letter.

use super::*;
use crate::loops::{Append, Merge, Reduction};
use crate::ops::reduction::{BLOCK, Builder, LANES};
use crate::ops::{BinaryOp, ReduceOp, TernaryOp};

/// Computes at once.
struct Now;

impl Builder for Now {
    type Value = Scalar;
    fn constant(&mut self, value: Scalar) -> Scalar {
        value
    }
    fn binary(&mut self, op: BinaryOp, a: Scalar, b: Scalar) -> Scalar {
        op.apply(a, b).unwrap()
    }
    fn ternary(&mut self, op: TernaryOp, a: Scalar, b: Scalar, c: Scalar) -> Scalar {
        op.apply(a, b, c).unwrap()
    }
    fn cast(&mut self, dtype: DType, value: Scalar) -> Scalar {
        value.cast(dtype)
    }
}

impl Builder for Build {
    type Value = ValueId;
    fn constant(&mut self, value: Scalar) -> ValueId {
        self.define(value.dtype(), Operation::Constant(value))
    }
    fn binary(&mut self, op: BinaryOp, a: ValueId, b: ValueId) -> ValueId {
        self.define(op.row().result(self.kernel.ty(a)), Operation::Binary(op, [a, b]))
    }
    fn ternary(&mut self, op: TernaryOp, a: ValueId, b: ValueId, c: ValueId) -> ValueId {
        self.define(self.kernel.ty(b), Operation::Ternary(op, [a, b, c]))
    }
    fn cast(&mut self, dtype: DType, value: ValueId) -> ValueId {
        self.define(dtype, Operation::Cast(dtype, value))
    }
}

/// The definition, word for word.
fn reference(op: ReduceOp, dtype: DType, elements: &[Scalar]) -> Scalar {
    let merge = |a: &[Scalar], b: &[Scalar]| op.merge(&mut Now, dtype, a, b).to_vec();
    let init = op.init(dtype).to_vec();
    let mut stack: Vec<Vec<Scalar>> = Vec::new();
    for (number, block) in elements.chunks(BLOCK).enumerate() {
        let mut lanes = vec![init.clone(); LANES];
        for (i, &element) in block.iter().enumerate() {
            let position = Scalar::I64((number * BLOCK + i) as i64);
            let lifted = op.lift(&mut Now, dtype, element, position);
            lanes[i % LANES] = merge(&lanes[i % LANES], &lifted);
        }
        let mut half = LANES / 2;
        while half > 0 {
            for j in 0..half {
                lanes[j] = merge(&lanes[j], &lanes[j + half]);
            }
            half /= 2;
        }
        stack.push(lanes[0].clone());
        for _ in 0..number.trailing_ones() {
            let (right, left) = (stack.pop().unwrap(), stack.pop().unwrap());
            stack.push(merge(&left, &right));
        }
    }
    while stack.len() > 1 {
        let (right, left) = (stack.pop().unwrap(), stack.pop().unwrap());
        stack.push(merge(&left, &right));
    }
    op.finish(&stack.pop().unwrap_or(init))
}

/// How lanes take elements, if not by merges.
pub(super) fn append(build: &mut Build, op: ReduceOp, dtype: DType, types: &[DType]) -> Option<Append> {
    let mut state = || types.iter().map(|&dtype| build.kernel.new_value(dtype)).collect::<SmallVec<[ValueId; 3]>>();
    let (left, right, position) = (state(), state(), op.running_position()?);
    let results = op.append(build, dtype, &left, &right)?;
    Some(Append { merge: Merge { left, right, block: build.take_block(), results }, position })
}

/// The reductions of one operand over the last axes, each written to its own output over the first axes.
fn reduction_kernel(ops: &[ReduceOp], dtype: DType, outer: u32, inner: u32) -> Kernel {
    let mut build = Build::new(outer + inner);
    let element = build.read(dtype);
    let position = build.define(DType::I64, Operation::Position);
    let lifted: Vec<_> = ops.iter().map(|op| op.lift(&mut build, dtype, element, position)).collect();
    let body = build.take_block();
    let mut reductions = Vec::new();
    for (op, lifted) in ops.iter().zip(lifted) {
        let types: Vec<DType> = lifted.iter().map(|&value| build.kernel.ty(value)).collect();
        let mut state = || types.iter().map(|&dtype| build.kernel.new_value(dtype)).collect::<SmallVec<[ValueId; 3]>>();
        let (left, right, results) = (state(), state(), state());
        let merged = op.merge(&mut build, dtype, &left, &right);
        let merge = Merge { left, right, block: build.take_block(), results: merged };
        let append = append(&mut build, *op, dtype, &types);
        reductions.push(Reduction { init: op.init(dtype), lifted, merge, append, results });
    }
    for (op, reduction) in ops.iter().zip(&reductions) {
        let result = op.finish(&reduction.results);
        build.write(result);
    }
    let epilogue = Nest::Block(build.take_block());
    let axes = (outer..outer + inner).map(Axis).collect();
    let body = vec![Nest::Reduce { axes, body, reductions }, epilogue];
    build.kernel.body = vec![Nest::Map { axes: (0..outer).map(Axis).collect(), body }];
    build.kernel
}

/// The sum of one axis.
pub(super) fn sum(dtype: DType) -> Kernel {
    reduction_kernel(&[ReduceOp::Sum], dtype, 0, 1)
}

/// The sums of the rows of a matrix.
pub(super) fn row_sums(dtype: DType) -> Kernel {
    reduction_kernel(&[ReduceOp::Sum], dtype, 1, 1)
}

/// Runs reductions of rows of a matrix whose elements lie as `strides` say, and compares with the reference.
pub(super) fn check(
    ops: &[ReduceOp],
    values: &[Scalar],
    extents: &[usize],
    strides: &[isize],
    parallelism: &Parallelism,
) {
    let want = expected(ops, values, extents, strides);
    let (dtype, outer) = (values[0].dtype(), 1);
    let kernel = reduction_kernel(ops, dtype, outer, extents.len() as u32 - outer);
    let input = Memory::of(dtype, values);
    let along: Vec<isize> = (0..extents.len()).map(|axis| isize::from(axis == 0)).collect();
    for set in sets() {
        let outputs: Vec<Memory> = ops.iter().map(|op| Memory::zeros(op.result(dtype), extents[0])).collect();
        let mut bindings = vec![input.bind(0, strides)];
        bindings.extend(outputs.iter().map(|output| output.bind(0, &along)));
        launch_with(&prepare_for(set, kernel.clone()), extents, &bindings, parallelism);
        for ((op, output), want) in ops.iter().zip(&outputs).zip(&want) {
            for (row, (got, want)) in output.all().into_iter().zip(want).enumerate() {
                let equal = same(got, *want);
                assert!(equal, "{set:?} {op} {dtype} {extents:?} {strides:?} row {row}: {got:?}, not {want:?}");
            }
        }
    }
}

/// What the definition gives for each row, for each op.
fn expected(ops: &[ReduceOp], values: &[Scalar], extents: &[usize], strides: &[isize]) -> Vec<Vec<Scalar>> {
    let elements = |row: usize| -> Vec<Scalar> {
        let element = |number: usize| {
            let mut rest = number;
            let mut place = row as isize * strides[0];
            for axis in (1..extents.len()).rev() {
                place += (rest % extents[axis]) as isize * strides[axis];
                rest /= extents[axis];
            }
            values[place as usize]
        };
        (0..extents[1..].iter().product()).map(element).collect()
    };
    let rows: Vec<Vec<Scalar>> = (0..extents[0]).map(elements).collect();
    ops.iter().map(|op| rows.iter().map(|row| reference(*op, values[0].dtype(), row)).collect()).collect()
}

#[test]
fn every_reduction_of_every_dtype_and_length() {
    for dtype in DType::ALL {
        for &op in ReduceOp::ALL.iter().filter(|op| op.accepts(dtype)) {
            for length in [0usize, 1, 2, 15, 16, 17, 33, 1000, 1024, 1025, 3000] {
                let mut values = sample(dtype, length.max(1), length as u64 + 7);
                if length == 33 {
                    values.iter_mut().zip(nasty(dtype)).for_each(|(value, nasty)| *value = nasty);
                }
                check(&[op], &values, &[1, length], &[length as isize, 1], &Parallelism::default());
            }
        }
    }
}

#[test]
fn several_reductions_of_several_rows_at_once() {
    let ops = [ReduceOp::Sum, ReduceOp::ArgMax, ReduceOp::SquaredDeviations, ReduceOp::Min];
    for dtype in [DType::F32, DType::F64] {
        let values = sample(dtype, 40_000, 3);
        check(&ops, &values, &[300, 21], &[21, 1], &Parallelism::default());
        check(&ops, &values, &[7, 2500], &[2500, 1], &Parallelism::default());
        // Along columns, broadcast, and over axes that do not merge.
        check(&ops, &values, &[9, 1100], &[1, 9], &Parallelism::default());
        check(&ops, &values, &[3, 50], &[1, 0], &Parallelism::default());
        check(&ops, &values, &[5, 30, 40], &[40, 1000, 1], &Parallelism::default());
        check(&ops, &values, &[0, 30], &[30, 1], &Parallelism::default());
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let ops = [ReduceOp::Sum, ReduceOp::ArgMin, ReduceOp::SquaredDeviations];
    let values = sample(DType::F64, 150_000, 11);
    for parallelism in [1, 2, 3, 8].map(threads) {
        check(&ops, &values, &[1, 150_000], &[0, 1], &parallelism);
        check(&ops, &values, &[3, 37_000], &[37_000, 1], &parallelism);
        check(&ops, &values, &[100, 1400], &[1400, 1], &parallelism);
        check(&ops, &values, &[2, 90, 100], &[1, 400, 3], &parallelism);
    }
}

/// Runs of blocks that go through the code in one call, whole and not, end where they should.
#[test]
fn sizes_around_runs_of_blocks_give_the_same_bits() {
    let run = 64 * BLOCK;
    let values = sample(DType::F64, 3 * run + 1, 13);
    for length in [run - 1, run, run + 1, 2 * run - BLOCK, 2 * run, 3 * run + 1] {
        check(&[ReduceOp::Sum, ReduceOp::ArgMax], &values, &[1, length], &[0, 1], &threads(1));
        check(&[ReduceOp::Sum], &values, &[2, length], &[0, 1], &threads(2));
    }
}

/// Positions of the best are found among elements most of which are only compared with what was best before.
#[test]
fn positions_of_the_best_wherever_it_is() {
    let length = 5000;
    let nan = f64::NAN;
    for dtype in [DType::F32, DType::F64, DType::I32, DType::U32, DType::I64, DType::U64] {
        let float = dtype.is_float();
        let [lowest, highest] = [f64::NEG_INFINITY, f64::INFINITY].map(|value| Scalar::F64(value).cast(dtype));
        let number = |value: f64| Scalar::F64(value).cast(dtype);
        let mut cases: Vec<Vec<Scalar>> = vec![vec![lowest; length], vec![highest; length], vec![number(3.0); length]];
        cases.push((0..length).map(|index| number(index as f64)).collect());
        cases.push((0..length).rev().map(|index| number(index as f64)).collect());
        cases.push((0..length).map(|index| number((index / 700) as f64)).collect());
        for place in [0, 15, 1023, 1024, 1025, 1087, 1088, 2047, 4000, 4990, 4999] {
            for special in [number(120.0), highest, if float { number(nan) } else { lowest }] {
                let mut values = sample(dtype, length, place as u64 + 1);
                values[place] = special;
                // As good, but later.
                values[length - 1] = if place == 4000 { special } else { values[length - 1] };
                cases.push(values);
            }
        }
        if float {
            cases.push((0..length).map(|index| number(if index % 3 == 0 { -0.0 } else { 0.0 })).collect());
            let early = |index: usize| number(if index == 0 || index == 3000 { nan } else { index as f64 });
            cases.push((0..length).map(early).collect());
        }
        for values in &cases {
            for op in [ReduceOp::ArgMax, ReduceOp::ArgMin] {
                check(&[op], values, &[1, length], &[0, 1], &Parallelism::default());
                check(&[op], values, &[1, length], &[0, 1], &threads(2));
            }
            check(&[ReduceOp::ArgMax], values, &[3, 1600], &[1601, 1], &Parallelism::default());
        }
    }
}

/// A call that leaves one state of all its blocks, beside one that leaves a state of each.
#[test]
fn any_order_gives_the_same_bits() {
    for dtype in [DType::Bool, DType::I8, DType::U32, DType::I64, DType::F32, DType::F64] {
        let mut values = sample(dtype, 70_000, 5);
        values[66_000..].iter_mut().zip(nasty(dtype)).for_each(|(value, nasty)| *value = nasty);
        let ops = [ReduceOp::Sum, ReduceOp::Prod, ReduceOp::Min, ReduceOp::Max, ReduceOp::ArgMax];
        for &op in ops.iter().filter(|op| op.accepts(dtype)) {
            for length in [2048, 2100, 65_536, 70_000] {
                check(&[op], &values, &[1, length], &[0, 1], &Parallelism::default());
                check(&[op, ReduceOp::Max], &values, &[1, length], &[0, 1], &threads(2));
            }
            check(&[op], &values, &[2, 40, 60], &[3, 100, 1], &Parallelism::default());
        }
    }
}

/// Of floats, what decides is NaN, and of zeros their signs, wherever they stand.
#[test]
fn extremes_know_nan_and_the_signs_of_zeros() {
    for dtype in [DType::F32, DType::F64] {
        let number = |value: f64| Scalar::F64(value).cast(dtype);
        let zeros_and_others = [(-0.0, 0.0), (0.0, -0.0), (-5.0, 0.0), (-5.0, -0.0), (5.0, 0.0), (5.0, -0.0)];
        let with_nan = [(7.0, f64::NAN), (f64::NEG_INFINITY, f64::NAN), (f64::INFINITY, f64::NAN), (f64::NAN, 7.0)];
        for (most, one) in zeros_and_others.into_iter().chain(with_nan) {
            for length in [1, 13, 39, 64, 1000, 2500] {
                for place in (0..length).step_by(1 + length / 40) {
                    let mut values = vec![number(most); length];
                    values[place] = number(one);
                    check(&[ReduceOp::Max, ReduceOp::Min], &values, &[1, length], &[0, 1], &Parallelism::default());
                    check(&[ReduceOp::Max], &values, &[1, length], &[0, 1], &threads(2));
                    check(&[ReduceOp::Min], &values, &[1, length], &[0, 1], &Parallelism::default());
                }
            }
        }
    }
}

/// What several calls find is merged in their order.
#[test]
fn long_vectors_take_several_calls() {
    let (dtype, length) = (DType::I32, (1 << 22) + 5_000);
    for largest in [7, (1 << 22) - 1, 1 << 22, length - 1] {
        let mut values = vec![Scalar::I32(3); length];
        values[largest] = Scalar::I32(4);
        // One as large in the last call.
        values[length - 1] = Scalar::I32(4);
        let input = Memory::of(dtype, &values);
        for (op, result, want) in [
            (ReduceOp::ArgMax, DType::I64, Scalar::I64(largest as i64)),
            (ReduceOp::Sum, dtype, Scalar::I32(3 * length as i32 + if largest < length - 1 { 2 } else { 1 })),
        ] {
            let output = Memory::zeros(result, 1);
            let kernel = reduction_kernel(&[op], dtype, 0, 1);
            launch(&prepare(kernel), &[length], &[input.bind(0, &[1]), output.bind(0, &[0])]);
            assert_eq!(output.get(0), want, "{op} {largest}");
        }
    }
}

#[test]
fn empty_reductions_yield_their_initial_states() {
    let values = sample(DType::F64, 8, 1);
    check(&[ReduceOp::Sum, ReduceOp::Prod], &values, &[4, 0], &[1, 1], &Parallelism::default());
    check(&[ReduceOp::Sum, ReduceOp::Prod], &values, &[4], &[1], &threads(2));
}

/// Long bodies keep the virtual lanes in memory; the bits are the same.
#[test]
fn long_bodies_give_the_same_bits() {
    let (dtype, length) = (DType::F64, 2222);
    let mut kernel = reduction_kernel(&[ReduceOp::Sum], dtype, 0, 1);
    let Nest::Map { body, .. } = &mut kernel.body[0] else { unreachable!() };
    let Nest::Reduce { body, reductions, .. } = &mut body[0] else { unreachable!() };
    let mut value = reductions[0].lifted[0];
    for _ in 0..60 {
        kernel.types.push(dtype);
        let negated = ValueId(kernel.types.len() as u32 - 1);
        body.statements.push(Statement::Let(negated, Operation::Unary(crate::ops::UnaryOp::Neg, value)));
        value = negated;
    }
    reductions[0].lifted[0] = value;
    let values = sample(dtype, length, 5);
    let want = reference(ReduceOp::Sum, dtype, &values);
    for set in sets() {
        let (input, output) = (Memory::of(dtype, &values), Memory::zeros(dtype, 1));
        launch(&prepare_for(set, kernel.clone()), &[length], &[input.bind(0, &[1]), output.bind(0, &[0])]);
        assert!(same(output.get(0), want), "{set:?}");
    }
}

/// Every reduction and dtype has code on every instruction set.
#[test]
fn reductions_compile_for_every_target() {
    for target in super::super::NamedTarget::ALL {
        for dtype in DType::ALL {
            for &op in ReduceOp::ALL.iter().filter(|op| op.accepts(dtype)) {
                let size = super::super::compile_for(&reduction_kernel(&[op], dtype, 1, 1), target);
                assert!(size.is_ok(), "{target:?} {op} {dtype}: {size:?}");
            }
        }
    }
}
