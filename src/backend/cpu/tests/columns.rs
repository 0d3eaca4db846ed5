//! Reductions whose neighboring results lie side by side.

use super::reductions::check;
use super::*;
use crate::loops::{Merge, Reduction};
use crate::ops::{BinaryOp, ReduceOp};
/// Neighboring results are done at once where that is how the elements lie; the bits are the same.
#[test]
fn columns_give_the_same_bits() {
    for dtype in DType::ALL {
        for &op in ReduceOp::ALL.iter().filter(|op| op.accepts(dtype)) {
            // Groups that begin anew with known results, fewer results than a vector has lanes, rows that are asked for.
            for (columns, rows) in [(16, 1), (33, 21), (53, 1300), (131, 1100), (259, 17)] {
                let mut values = sample(dtype, columns * rows, columns as u64);
                values.iter_mut().zip(nasty(dtype)).for_each(|(value, nasty)| *value = nasty);
                check(&[op], &values, &[columns, rows], &[1, columns as isize], &threads(2));
            }
        }
    }
    let ops = [ReduceOp::Sum, ReduceOp::ArgMax, ReduceOp::SquaredDeviations, ReduceOp::Min];
    let values = sample(DType::F32, 300 * 2500, 9);
    for parallelism in [Parallelism::default(), threads(3)] {
        check(&ops, &values, &[300, 2500], &[1, 300], &parallelism);
    }
}

/// Bools are copied in where results are left over, and have a place beside what is spilled.
#[test]
fn columns_that_spill_read_bools() {
    let (dtype, op) = (DType::F64, ReduceOp::Sum);
    let mut build = Build::new(2);
    let x = build.read(dtype);
    let mut terms = Vec::new();
    for number in 0..20 {
        let number = build.define(dtype, Operation::Constant(Scalar::F64(f64::from(number))));
        terms.push(build.define(dtype, Operation::Binary(BinaryOp::Add, [x, number])));
    }
    let set = build.read(DType::Bool);
    let mut total = build.define(dtype, Operation::Cast(dtype, set));
    for term in terms {
        total = build.define(dtype, Operation::Binary(BinaryOp::Add, [total, term]));
    }
    let (lifted, body) = (SmallVec::from_slice(&[total]), build.take_block());
    let [left, right, results] = [(); 3].map(|()| SmallVec::from_slice(&[build.kernel.new_value(dtype)]));
    let merged = op.merge(&mut build, dtype, &left, &right);
    let merge = Merge { left, right, block: build.take_block(), results: merged };
    build.write(results[0]);
    let reductions = vec![Reduction { init: op.init(dtype), lifted, merge, append: None, results }];
    let epilogue = Nest::Block(build.take_block());
    let body = vec![Nest::Reduce { axes: vec![Axis(1)], body, reductions }, epilogue];
    build.kernel.body = vec![Nest::Map { axes: vec![Axis(0)], body }];
    let (columns, rows) = (259, 40);
    let numbers: Vec<Scalar> = (0..columns * rows).map(|index| Scalar::F64((index % 7) as f64)).collect();
    let (x, set) = (Memory::of(dtype, &numbers), Memory::of(DType::Bool, &vec![Scalar::Bool(true); columns * rows]));
    let (output, along) = (Memory::zeros(dtype, columns), [1, columns as isize]);
    let bindings = [x.bind(0, &along), set.bind(0, &along), output.bind(0, &[1, 0])];
    for set in sets() {
        launch(&prepare_for(set, build.kernel.clone()), &[columns, rows], &bindings);
        for column in 0..columns {
            let elements = (0..rows).map(|row| 20.0 * ((row * columns + column) % 7) as f64 + 191.0);
            assert_eq!(output.get(column), Scalar::F64(elements.sum()), "{set:?} {column}");
        }
    }
}
