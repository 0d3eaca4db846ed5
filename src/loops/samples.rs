//! Small kernels that the tests of the loop IR print, verify and run: one for each kind of nest.
//!
//! Only tests see them. Every kernel here is valid.

use smallvec::smallvec;

use crate::dtype::{DType, Scalar};
use crate::loops::{
    Access, Axis, Block, Carried, Kernel, Merge, Nest, Operand, OperandId, Operation, Reduction, Statement, ValueId,
};
use crate::ops::{BinaryOp, TernaryOp};

/// A value by number.
pub(crate) fn v(number: u32) -> ValueId {
    ValueId(number)
}

/// `value = op(a, b)`.
pub(crate) fn binary(value: u32, op: BinaryOp, a: u32, b: u32) -> Statement {
    Statement::Let(v(value), Operation::Binary(op, [v(a), v(b)]))
}

/// `value = load operand`.
pub(crate) fn load(value: u32, operand: u32) -> Statement {
    Statement::Let(v(value), Operation::Load(OperandId(operand)))
}

/// `store operand, value`.
pub(crate) fn store(operand: u32, value: u32) -> Statement {
    Statement::Store(OperandId(operand), v(value))
}

/// `value = constant`.
pub(crate) fn constant(value: u32, scalar: impl Into<Scalar>) -> Statement {
    Statement::Let(v(value), Operation::Constant(scalar.into()))
}

/// A block.
pub(crate) fn block(statements: impl Into<Vec<Statement>>) -> Block {
    Block { statements: statements.into() }
}

/// Operands, reads first.
pub(crate) fn operands(dtype: DType, reads: usize, writes: usize) -> Vec<Operand> {
    let read = std::iter::repeat_n(Operand { dtype, access: Access::Read }, reads);
    read.chain(std::iter::repeat_n(Operand { dtype, access: Access::Write }, writes)).collect()
}

/// The sums of the squares of each row of `o0[i, j]`.
pub(crate) fn row_sums() -> Kernel {
    sums(BinaryOp::Add, Scalar::F64(0.0))
}

/// As `row_sums`, with any merge.
pub(crate) fn sums(merge: BinaryOp, init: Scalar) -> Kernel {
    let reduction = Reduction {
        init: smallvec![init],
        lifted: smallvec![v(1)],
        merge: Merge {
            left: smallvec![v(2)],
            right: smallvec![v(3)],
            block: block([binary(4, merge, 2, 3)]),
            results: smallvec![v(4)],
        },
        append: None,
        results: smallvec![v(5)],
    };
    let reduce = Nest::Reduce {
        axes: vec![Axis(1)],
        body: block([load(0, 0), binary(1, BinaryOp::Mul, 0, 0)]),
        reductions: vec![reduction],
    };
    Kernel {
        name: "row_sums".into(),
        axes: 2,
        operands: operands(DType::F64, 1, 1),
        types: vec![DType::F64; 6],
        body: vec![Nest::Map { axes: vec![Axis(0)], body: vec![reduce, Nest::Block(block([store(1, 5)]))] }],
    }
}

/// `o2[i, j] = o0[i] · 2^(j + 1)`, and the last one, or `o0[i]` if there is none, in `o1[i]`.
pub(crate) fn powers() -> Kernel {
    let steps = Nest::Sequential {
        axis: Axis(1),
        carried: vec![Carried { initial: v(0), current: v(1), next: v(2), result: v(3) }],
        body: vec![Nest::Block(block([binary(2, BinaryOp::Add, 1, 1), store(2, 2)]))],
    };
    let body = vec![Nest::Block(block([load(0, 0)])), steps, Nest::Block(block([store(1, 3)]))];
    Kernel {
        name: "powers".into(),
        axes: 2,
        operands: operands(DType::I64, 1, 2),
        types: vec![DType::I64; 4],
        body: vec![Nest::Map { axes: vec![Axis(0)], body }],
    }
}

/// The number of Collatz steps from `o0[i]` to 1.
pub(crate) fn collatz() -> Kernel {
    let step = block([
        binary(8, BinaryOp::And, 3, 2),
        binary(9, BinaryOp::Shr, 3, 2),
        binary(10, BinaryOp::Eq, 8, 2),
        constant(14, 3_i64),
        binary(11, BinaryOp::Mul, 3, 14),
        binary(15, BinaryOp::Add, 11, 2),
        Statement::Let(v(12), Operation::Ternary(TernaryOp::Select, [v(10), v(15), v(9)])),
        binary(13, BinaryOp::Add, 4, 2),
    ]);
    let steps = Nest::While {
        carried: vec![
            Carried { initial: v(0), current: v(3), next: v(12), result: v(5) },
            Carried { initial: v(1), current: v(4), next: v(13), result: v(7) },
        ],
        condition: block([binary(6, BinaryOp::Gt, 3, 2)]),
        holds: v(6),
        body: vec![Nest::Block(step)],
    };
    let first = block([load(0, 0), constant(1, 0_i64), constant(2, 1_i64)]);
    let mut types = vec![DType::I64; 16];
    types[6] = DType::Bool;
    types[10] = DType::Bool;
    Kernel {
        name: "collatz".into(),
        axes: 1,
        operands: operands(DType::I64, 1, 1),
        types,
        body: vec![Nest::Map {
            axes: vec![Axis(0)],
            body: vec![Nest::Block(first), steps, Nest::Block(block([store(1, 7)]))],
        }],
    }
}
