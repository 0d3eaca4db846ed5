//! Kernels that no graph asks for, with which a program moves what it has: copies, numbers in a row, and whether any bool
//! is true.

use smallvec::smallvec;

use crate::dtype::{DType, Scalar};
use crate::loops::{
    Access, Axis, Block, Kernel, Merge, Nest, Operand, OperandId, Operation, Reduction, Statement, ValueId,
};
use crate::ops::BinaryOp;

fn kernel(name: &str, axes: u32, from: Operand, to: DType, types: Vec<DType>, body: Vec<Nest>) -> Kernel {
    let operands = vec![from, Operand { dtype: to, access: Access::Write }];
    Kernel { name: name.to_string(), axes, operands, types, body }
}

fn load(value: u32) -> Statement {
    Statement::Let(ValueId(value), Operation::Load(OperandId(0)))
}

fn store(value: u32) -> Nest {
    Nest::Block(Block { statements: vec![Statement::Store(OperandId(1), ValueId(value))] })
}

fn map(axes: std::ops::Range<u32>, body: Vec<Nest>) -> Vec<Nest> {
    vec![Nest::Map { axes: axes.map(Axis).collect(), body }]
}

fn through(name: &str, rank: u32, from: Operand) -> Kernel {
    let body = vec![Nest::Block(Block { statements: vec![load(0)] }), store(0)];
    kernel(name, rank, from, from.dtype, vec![from.dtype], map(0..rank, body))
}

/// `o1[…] = o0[…]` for elements of so many bytes, whatever they are.
pub fn copy(bytes: usize, rank: u32) -> Kernel {
    let dtype = match bytes {
        1 => DType::U8,
        4 => DType::U32,
        _ => DType::U64,
    };
    through("copy", rank, Operand { dtype, access: Access::Read })
}

/// `o1[i]` is the position of `i` in `o0`.
pub fn positions() -> Kernel {
    through("positions", 1, Operand { dtype: DType::I64, access: Access::Index })
}

/// `o1[]` is whether any of the bools `o0[i]` is true.
pub fn any() -> Kernel {
    let value = ValueId;
    let or = Statement::Let(value(3), Operation::Binary(BinaryOp::Or, [value(1), value(2)]));
    let reduction = Reduction {
        init: smallvec![Scalar::Bool(false)],
        lifted: smallvec![value(0)],
        merge: Merge {
            left: smallvec![value(1)],
            right: smallvec![value(2)],
            block: Block { statements: vec![or] },
            results: smallvec![value(3)],
        },
        append: None,
        results: smallvec![value(4)],
    };
    let body = Block { statements: vec![load(0)] };
    let reduce = Nest::Reduce { axes: vec![Axis(0)], body, reductions: vec![reduction] };
    let from = Operand { dtype: DType::Bool, access: Access::Read };
    kernel("any", 1, from, DType::Bool, vec![DType::Bool; 5], map(0..0, vec![reduce, store(4)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::launch_tests::{Data, check};
    use crate::loops::verify::verify;

    #[test]
    fn they_are_sound() {
        for rank in 0..4 {
            [1, 4, 8].into_iter().for_each(|bytes| verify(&copy(bytes, rank)).unwrap());
        }
        verify(&positions()).unwrap();
        verify(&any()).unwrap();
    }

    #[test]
    fn they_do_what_they_say() {
        for dtype in [DType::U8, DType::U32, DType::U64] {
            let from = Data::new(dtype, 60, 59, &[-20, -3], |i| i as i64 * 7919);
            // Into the middle of words that keep the rest.
            let to = Data::new(dtype, 99, 7, &[6, 1], |i| i as i64);
            check("copy", &copy(dtype.size(), 2), &[3, 5], &[from, to]);
        }
        let numbers = [Data::new(DType::I64, 0, 1 << 20, &[1], |_| 0), Data::new(DType::I64, 9, 2, &[1], |_| 1)];
        check("positions", &positions(), &[5], &numbers);
        for (count, only) in [(0, 0), (1, 0), (5000, 4999), (5000, 5000)] {
            let from = Data::new(DType::Bool, count, 0, &[1], |i| i64::from(i == only));
            check("any", &any(), &[count], &[from, Data::new(DType::Bool, 5, 3, &[0], |_| 1)]);
        }
    }
}
