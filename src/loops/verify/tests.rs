//! Each rule broken once, and the text that says so.

use smallvec::smallvec;

use super::verify;
use crate::dtype::{DType, Scalar};
use crate::loops::samples::{self, binary, block, constant, load, store, v};
use crate::loops::{
    Access, Append, Axis, Block, Kernel, Merge, Nest, Operand, OperandId, Operation, Reduction, Statement,
};
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};

#[track_caller]
fn rejected(kernel: &Kernel, rule: &str, at: &str) {
    let error = verify(kernel).unwrap_err().to_string();
    assert!(error.contains(rule) && error.contains(at), "{error}\n{kernel}");
}

/// A map over `i` of one block, on `o0` to read and `o1` to write.
fn block_kernel(types: &[DType], statements: &[Statement]) -> Kernel {
    Kernel {
        name: "broken".into(),
        axes: 2,
        operands: samples::operands(DType::F64, 1, 1),
        types: types.to_vec(),
        body: vec![Nest::Map { axes: vec![Axis(0)], body: vec![Nest::Block(block(statements))] }],
    }
}

fn let_(value: u32, operation: Operation) -> Statement {
    Statement::Let(v(value), operation)
}

/// The row sums with a change to the reduction.
fn sums_with(change: impl FnOnce(&mut Block, &mut Reduction)) -> Kernel {
    let mut kernel = samples::row_sums();
    if let [Nest::Map { body, .. }] = kernel.body.as_mut_slice()
        && let [Nest::Reduce { body, reductions, .. }, ..] = body.as_mut_slice()
    {
        change(body, &mut reductions[0]);
    }
    kernel
}

/// The Collatz kernel with a change to its loop.
fn collatz_with(change: impl FnOnce(&mut Nest)) -> Kernel {
    let mut kernel = samples::collatz();
    if let [Nest::Map { body, .. }] = kernel.body.as_mut_slice() {
        change(&mut body[1]);
    }
    kernel
}

use DType::{Bool, F32, F64, I64};

#[test]
fn the_samples_are_valid() {
    for kernel in [samples::row_sums(), samples::powers(), samples::collatz()] {
        verify(&kernel).unwrap();
    }
    verify(&block_kernel(&[F64], &[load(0, 0), store(1, 0)])).unwrap();
}

#[test]
fn values_are_defined_once_and_before_their_use() {
    let once = "defined twice";
    rejected(&block_kernel(&[F64], &[load(0, 0), load(0, 0), store(1, 0)]), once, "v0: f64 = load o0");
    let undefined = "used where it is not defined";
    rejected(&block_kernel(&[F64, F64], &[binary(1, BinaryOp::Add, 0, 0), store(1, 1)]), undefined, "add v0, v0");
    rejected(&block_kernel(&[F64], &[store(1, 7)]), undefined, "store o1, v7");
    rejected(&block_kernel(&[], &[load(0, 0), store(1, 0)]), "no dtype", "v0: ? = load o0");
    rejected(&sums_with(|_, r| r.results[0] = v(1)), once, "= fold v1");
    rejected(&sums_with(|_, r| r.merge.left[0] = v(0)), once, "= fold v1");
}

#[test]
fn appended_elements_have_the_state_of_the_merge() {
    let append = |position: usize, dtype: DType| {
        let mut kernel = sums_with(|_, reduction| {
            let merge = Merge {
                left: smallvec![v(6)],
                right: smallvec![v(7)],
                block: block([binary(8, BinaryOp::Add, 6, 7)]),
                results: smallvec![v(8)],
            };
            reduction.append = Some(Append { merge, position });
        });
        kernel.types.extend([dtype; 3]);
        kernel
    };
    rejected(&append(0, F64), "a position is i64", "= fold v1");
    rejected(&append(1, F64), "a position is i64", "= fold v1");
    // With a position in the state, the append's own values do not have its dtypes.
    let mut kernel = append(1, F64);
    if let [Nest::Map { body, .. }] = kernel.body.as_mut_slice()
        && let [Nest::Reduce { reductions, .. }, ..] = body.as_mut_slice()
    {
        reductions[0].append.as_mut().unwrap().position = 0;
        reductions[0].init[0] = Scalar::I64(0);
    }
    rejected(&kernel, "have the dtypes of its init", "= fold v1");
}

#[test]
fn values_stay_in_their_nest() {
    let undefined = "used where it is not defined";
    let mut kernel = samples::row_sums();
    if let [Nest::Map { body, .. }] = kernel.body.as_mut_slice() {
        body[1] = Nest::Block(block([store(1, 1)]));
    }
    rejected(&kernel, undefined, "store o1, v1");
    let mut kernel = samples::powers();
    if let [Nest::Map { body, .. }] = kernel.body.as_mut_slice() {
        body[2] = Nest::Block(block([store(1, 2)]));
    }
    rejected(&kernel, undefined, "store o1, v2");
    let inner = Nest::Map { axes: vec![Axis(0)], body: vec![Nest::Block(block([load(0, 0)]))] };
    let mut kernel = block_kernel(&[F64], &[]);
    kernel.body = vec![inner, Nest::Block(block([store(1, 0)]))];
    rejected(&kernel, undefined, "store o1, v0");
}

#[test]
fn a_merge_sees_only_its_two_states() {
    let undefined = "used where it is not defined";
    rejected(
        &sums_with(|_, r| r.merge.block = block([binary(4, BinaryOp::Add, 2, 1)])),
        undefined,
        "v4: f64 = add v2, v1",
    );
    rejected(&sums_with(|_, r| r.merge.results[0] = v(0)), undefined, "= fold v1");
    rejected(&sums_with(|_, r| r.merge.block = block([load(4, 0)])), "a merge loads nothing", "load o0");
    rejected(&sums_with(|_, r| r.merge.block.statements.push(store(1, 4))), "no store is allowed here", "store o1, v4");
    rejected(&sums_with(|_, r| r.lifted[0] = v(4)), undefined, "= fold v4");
}

#[test]
fn states_have_the_dtypes_of_their_init() {
    let states = "the dtypes of its init";
    rejected(&sums_with(|_, r| r.init = smallvec![Scalar::F32(0.0)]), states, "= fold v1");
    rejected(&sums_with(|_, r| r.init.push(Scalar::F64(0.0))), states, "= fold v1");
    rejected(&sums_with(|_, r| r.lifted.clear()), states, "= fold ()");
}

#[test]
fn stores_go_once_to_write_operands() {
    rejected(&block_kernel(&[F64], &[load(0, 0), store(0, 0), store(1, 0)]), "goes to a write operand", "store o0, v0");
    rejected(&block_kernel(&[F64], &[load(0, 0), store(1, 0), store(1, 0)]), "two stores", "store o1, v0");
    rejected(&block_kernel(&[F64], &[load(0, 1), store(1, 0)]), "a write operand is not loaded", "load o1");
    rejected(&block_kernel(&[F64], &[load(0, 9)]), "no such operand", "load o9");
    rejected(&block_kernel(&[F64], &[load(0, 0)]), "no statement writes the operand", "o1");
    rejected(&sums_with(|body, _| body.statements.push(store(1, 0))), "no store is allowed here", "store o1, v0");
    let stored_in_loop = collatz_with(|nest| {
        if let Nest::While { body, .. } = nest {
            body.push(Nest::Block(block([store(1, 3)])));
        }
    });
    rejected(&stored_in_loop, "no store is allowed here", "store o1, v3");
    let boolean = [constant(0, true), store(1, 0)];
    rejected(&block_kernel(&[Bool], &boolean), "keeps the dtype of its operand", "store o1, v0");
}

#[test]
fn axes_exist_and_are_bound_once() {
    let mut kernel = samples::row_sums();
    kernel.body = vec![Nest::Map { axes: vec![Axis(0), Axis(0)], body: vec![] }];
    rejected(&kernel, "bound twice", "map i, i");
    kernel.body = vec![Nest::Map { axes: vec![Axis(2)], body: vec![] }];
    rejected(&kernel, "no such axis", "map k");
    kernel.body = vec![Nest::Map {
        axes: vec![Axis(1)],
        body: vec![Nest::Sequential { axis: Axis(1), carried: vec![], body: vec![] }],
    }];
    rejected(&kernel, "bound twice", "sequential j");
}

#[test]
fn positions_are_those_of_a_reduction() {
    rejected(
        &block_kernel(&[I64], &[let_(0, Operation::Position)]),
        "only a reduction's body has a position",
        "v0: i64 = position",
    );
    let in_body = sums_with(|body, _| body.statements.push(let_(6, Operation::Position)));
    verify(&Kernel { types: [in_body.types.clone(), vec![I64]].concat(), ..in_body.clone() }).unwrap();
    rejected(&Kernel { types: [in_body.types.clone(), vec![F64]].concat(), ..in_body }, "dtype", "v6: f64 = position");
}

#[test]
fn statements_follow_the_op_rows() {
    let unfit = "does not take this dtype";
    let neg = let_(1, Operation::Unary(UnaryOp::Neg, v(0)));
    rejected(&block_kernel(&[Bool, Bool], &[constant(0, true), neg]), unfit, "neg v0");
    let sqrt = let_(1, Operation::Unary(UnaryOp::Sqrt, v(0)));
    rejected(&block_kernel(&[I64, I64], &[constant(0, 1_i64), sqrt]), unfit, "sqrt v0");
    let two = [load(0, 0), constant(1, 1.0_f32), binary(2, BinaryOp::Add, 0, 1)];
    rejected(&block_kernel(&[F64, F32, F64], &two), "different dtypes", "add v0, v1");
    let wrong = "not that of the operation";
    rejected(&block_kernel(&[F64, F64], &[load(0, 0), binary(1, BinaryOp::Lt, 0, 0)]), wrong, "v1: f64 = lt");
    rejected(&block_kernel(&[F32], &[load(0, 0)]), wrong, "v0: f32 = load");
    rejected(&block_kernel(&[F32], &[constant(0, 1.0)]), wrong, "constant 1.0");
    let cast = let_(1, Operation::Cast(I64, v(0)));
    rejected(&block_kernel(&[F64, F64], &[load(0, 0), cast]), wrong, "cast v0 to i64");
    let select = let_(1, Operation::Ternary(TernaryOp::Select, [v(0); 3]));
    rejected(&block_kernel(&[F64, F64], &[load(0, 0), select]), "a condition is bool", "select v0, v0, v0");
    let mul_add = let_(1, Operation::Ternary(TernaryOp::MulAdd, [v(0); 3]));
    rejected(&block_kernel(&[I64, I64], &[constant(0, 1_i64), mul_add]), unfit, "mul_add v0, v0, v0");
}

#[test]
fn carried_values_and_conditions_are_typed() {
    let condition = collatz_with(|nest| {
        if let Nest::While { holds, .. } = nest {
            *holds = v(3);
        }
    });
    rejected(&condition, "a condition is bool", "while v3");
    let mut carried = samples::powers();
    carried.types[3] = F64;
    carried.operands[1].dtype = F64;
    rejected(&carried, "keeps its dtype", "sequential j");
    let mut kernel = samples::row_sums();
    kernel.operands.push(Operand { dtype: F64, access: Access::Index });
    rejected(&kernel, "an index operand is i64", &OperandId(2).to_string());
}
