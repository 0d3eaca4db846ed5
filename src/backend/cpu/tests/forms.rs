//! States that are kept in other forms within a block: counts, positions, what all lanes share.

use super::reductions::append;
use super::*;
use crate::loops::{Merge, Reduction};
use crate::ops::{BinaryOp, ReduceOp, UnaryOp};

/// How many elements are less than a number, and the positions of the largest and the smallest, from the elements or
/// from what a function makes of them.
fn count_and_position(dtype: DType, function: Option<UnaryOp>, bound: f64, counts: DType) -> Kernel {
    let mut build = Build::new(1);
    let read = build.read(dtype);
    let element = function.map_or(read, |op| build.define(dtype, Operation::Unary(op, read)));
    let bound = build.define(dtype, Operation::Constant(Scalar::F64(bound).cast(dtype)));
    let less = build.define(DType::Bool, Operation::Binary(BinaryOp::Lt, [element, bound]));
    let counted = build.define(counts, Operation::Cast(counts, less));
    let position = build.define(DType::I64, Operation::Position);
    let folds = [
        (ReduceOp::Sum, counts, SmallVec::from_slice(&[counted]), 0),
        (ReduceOp::ArgMax, dtype, SmallVec::from_slice(&[element, position]), 1),
        (ReduceOp::ArgMin, dtype, SmallVec::from_slice(&[element, position]), 1),
    ];
    folded(build, folds)
}

/// What is folded of a body, and which part of the state is the result.
type Folded = (ReduceOp, DType, SmallVec<[ValueId; 3]>, usize);

/// Folds of a body that is built, to one result each.
fn folded(mut build: Build, folds: impl IntoIterator<Item = Folded>) -> Kernel {
    let body = build.take_block();
    let (mut reductions, mut parts) = (Vec::new(), Vec::new());
    for (op, dtype, lifted, part) in folds {
        parts.push(part);
        let types: Vec<DType> = op.init(dtype).iter().map(|part| part.dtype()).collect();
        let mut state = || types.iter().map(|&dtype| build.kernel.new_value(dtype)).collect::<SmallVec<[ValueId; 3]>>();
        let (left, right, results) = (state(), state(), state());
        let merged = op.merge(&mut build, dtype, &left, &right);
        let merge = Merge { left, right, block: build.take_block(), results: merged };
        let append = append(&mut build, op, dtype, &types);
        reductions.push(Reduction { init: op.init(dtype), lifted, merge, append, results });
    }
    parts.into_iter().zip(&reductions).for_each(|(part, reduction)| build.write(reduction.results[part]));
    let epilogue = Nest::Block(build.take_block());
    let body = vec![Nest::Reduce { axes: vec![Axis(0)], body, reductions }, epilogue];
    build.kernel.body = vec![Nest::Map { axes: vec![], body }];
    build.kernel
}

/// Within a block bools are counted, and positions kept, in lanes narrower than the results; a function takes two steps'
/// elements at once.
#[test]
fn counts_and_positions_of_every_length() {
    let lengths = [1, 15, 16, 17, 31, 33, 1023, 1024, 1025, 3000, 70_000];
    for (dtype, function, bound) in [
        (DType::F32, None, 0.0),
        (DType::F64, None, 0.0),
        (DType::I32, None, 0.0),
        (DType::U64, None, 50.0),
        (DType::F32, Some(UnaryOp::Exp), 1.0),
        (DType::F64, Some(UnaryOp::Exp), 1.0),
    ] {
        for counts in [DType::I64, DType::U64] {
            let kernel = count_and_position(dtype, function, bound, counts);
            let executables: Vec<_> = sets().map(|set| (set, prepare_for(set, kernel.clone()))).collect();
            for length in lengths {
                let values = eighths(dtype, length, if function.is_some() { 0.1 } else { 1.0 });
                let want = counted(&values, if function.is_some() { 0.0 } else { bound });
                for (set, executable) in &executables {
                    let got = results(executable, dtype, &values, [counts, DType::I64, DType::I64]);
                    assert_eq!(got, want, "{set:?} {dtype} {function:?} {counts} {length}");
                }
            }
        }
    }
}

/// Lanes agree on what comes from constants, but not on positions.
#[test]
fn sums_of_positions_beside_sums_of_ones() {
    for dtype in [DType::I64, DType::F64] {
        let mut build = Build::new(1);
        let element = build.read(dtype);
        let position = build.define(DType::I64, Operation::Position);
        let place = build.define(dtype, Operation::Cast(dtype, position));
        let one = build.define(dtype, Operation::Constant(Scalar::I64(1).cast(dtype)));
        let sum = |value| (ReduceOp::Sum, dtype, SmallVec::from_slice(&[value]), 0);
        let kernel = folded(build, [place, one, element].map(sum));
        let executables: Vec<_> = sets().map(|set| (set, prepare_for(set, kernel.clone()))).collect();
        for length in [1, 15, 16, 17, 1023, 1040, 3000] {
            let values = vec![Scalar::I64(2).cast(dtype); length];
            let want = [length * (length - 1) / 2, length, 2 * length].map(|sum| sum as f64);
            for (set, executable) in &executables {
                let got = results(executable, dtype, &values, [dtype; 3]);
                assert_eq!(got, want, "{set:?} {dtype} {length}");
            }
        }
    }
}

/// What lanes share may be one vector while whole steps are made, and too many where a tail is to come.
#[test]
fn states_that_fill_the_registers_beside_one_another() {
    let (one, two) = (&[DType::F32][..], &[DType::F32, DType::F64][..]);
    for (others, with_max) in [(one, false), (one, true), (two, false), (&[], false)] {
        let mut build = Build::new(1);
        let (wide, position) = (build.read(DType::F64), build.define(DType::I64, Operation::Position));
        let deviations = |build: &mut Build, dtype, element| {
            let op = ReduceOp::SquaredDeviations;
            (op, dtype, op.lift(build, dtype, element, position).into_iter().collect(), 2)
        };
        let mut folds: Vec<Folded> = vec![deviations(&mut build, DType::F64, wide)];
        for &dtype in others {
            let other = build.define(dtype, Operation::Cast(dtype, wide));
            folds.push(deviations(&mut build, dtype, other));
            let max = (ReduceOp::Max, dtype, SmallVec::from_slice(&[other]), 0);
            folds.extend(with_max.then_some(max));
        }
        let kinds: Vec<(ReduceOp, DType)> = folds.iter().map(|fold| (fold.0, fold.1)).collect();
        let kernel = folded(build, folds);
        for (set, length) in sets().flat_map(|set| [1, 16, 21, 1024, 1045].map(|length| (set, length))) {
            let numbers: Vec<Scalar> = (0..length).map(|number| Scalar::F64(f64::from(number % 2))).collect();
            let executable = prepare_for(set, kernel.clone());
            let got = results(&executable, DType::F64, &numbers, kinds.iter().map(|&(_, dtype)| dtype));
            let ones = f64::from(length / 2);
            let (deviations, max) = (ones - ones * ones / f64::from(length), f64::from(length.min(2) - 1));
            for (&(op, dtype), got) in kinds.iter().zip(got) {
                let want = if op == ReduceOp::Max { max } else { deviations };
                assert!((got - want).abs() <= 1e-4 * want, "{set:?} {kinds:?} {dtype} {length}: {got}, not {want}");
            }
        }
    }
}

/// What a kernel makes of some elements: a number of each of these dtypes.
fn results(
    executable: &Arc<dyn Executable>,
    dtype: DType,
    values: &[Scalar],
    dtypes: impl IntoIterator<Item = DType>,
) -> Vec<f64> {
    let (input, outputs) = (Memory::of(dtype, values), dtypes.into_iter().map(|dtype| Memory::zeros(dtype, 1)));
    let outputs: Vec<Memory> = outputs.collect();
    let mut bindings = vec![input.bind(0, &[1])];
    bindings.extend(outputs.iter().map(|output| output.bind(0, &[0])));
    launch(executable, &[values.len()], &bindings);
    outputs.iter().map(|output| output.get(0).to_f64()).collect()
}

/// Multiples of an eighth, some of them equal.
fn eighths(dtype: DType, length: usize, scale: f64) -> Vec<Scalar> {
    let eighth = |value: Scalar| Scalar::F64((value.to_f64() * scale * 8.0).round() / 8.0).cast(dtype);
    sample(dtype, length, length as u64 + 1).into_iter().map(eighth).collect()
}

/// How many are less than a number, and where the largest and the smallest are first.
fn counted(values: &[Scalar], limit: f64) -> [f64; 3] {
    let numbers: Vec<f64> = values.iter().map(|value| value.to_f64()).collect();
    let first = |best: f64| numbers.iter().position(|&number| number == best).unwrap() as f64;
    [
        numbers.iter().filter(|&&number| number < limit).count() as f64,
        first(numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        first(numbers.iter().copied().fold(f64::INFINITY, f64::min)),
    ]
}
