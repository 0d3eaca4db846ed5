//! Hand-built kernels of each kind of nest, run on hand-made memory through the interpreter's engine.

use smallvec::{SmallVec, smallvec};

use crate::backend::{EngineStage, Parallelism, interpreter};
use crate::dtype::{DType, Element, Scalar};
use crate::error::Result;
use crate::loops::samples::{self, binary, block, constant, load, store, v};
use crate::loops::{
    Access, Axis, Base, Binding, Kernel, Launch, Merge, Nest, Operand, Operation, Reduction, Statement,
};
use crate::ops::reduction::{BLOCK, LANES};
use crate::ops::{BinaryOp, ReduceOp, UnaryOp};

/// Memory from its element `first` on, with strides in elements.
fn memory<T: Element>(data: &mut [T], first: usize, strides: &[isize]) -> Binding {
    let base = Base::Host(data.as_mut_ptr().wrapping_add(first).cast());
    Binding { base, strides: strides.iter().map(|stride| stride * size_of::<T>() as isize).collect() }
}

fn run(kernel: Kernel, extents: &[usize], bindings: &[Binding]) -> Result<()> {
    let executable = interpreter::engine().prepare(kernel)?;
    assert_eq!((executable.dump(EngineStage::Clif)?, executable.compilations()), (None, 0));
    // SAFETY: every test binds memory that its extents and strides stay within.
    unsafe { executable.launch(&Launch::new(extents, bindings), &Parallelism::default()) }
}

fn row_sums(kernel: Kernel, data: &mut [f64], rows: usize, columns: usize) -> Vec<f64> {
    let mut sums = vec![f64::NAN; rows];
    let bindings = [memory(data, 0, &[columns as isize, 1]), memory(&mut sums, 0, &[1, 0])];
    run(kernel, &[rows, columns], &bindings).unwrap();
    sums
}

/// The order of `ops::reduction`, written again without streaming: blocks, lanes, tree, counter.
fn reference(values: &[f64], merge: impl Fn(f64, f64) -> f64, init: f64) -> f64 {
    let block_value = |block: &[f64]| {
        let mut lanes = [init; LANES];
        for (i, &x) in block.iter().enumerate() {
            lanes[i % LANES] = merge(lanes[i % LANES], x);
        }
        let mut width = LANES;
        while width > 1 {
            width /= 2;
            for lane in 0..width {
                lanes[lane] = merge(lanes[lane], lanes[lane + width]);
            }
        }
        lanes[0]
    };
    let mut slots: Vec<Option<f64>> = vec![];
    for block in values.chunks(BLOCK) {
        let mut carry = block_value(block);
        let mut level = 0;
        loop {
            match slots.get_mut(level) {
                None => break slots.push(Some(carry)),
                Some(slot @ None) => break *slot = Some(carry),
                Some(slot) => carry = merge(slot.take().unwrap(), carry),
            }
            level += 1;
        }
    }
    slots.into_iter().flatten().reduce(|newer, older| merge(older, newer)).unwrap_or(init)
}

#[test]
fn reductions_merge_in_the_order_of_the_definition() {
    for columns in [0, 1, 15, 16, 17, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 7 * BLOCK + 5, 8 * BLOCK] {
        let mut data: Vec<f64> = (0..columns).map(|i| ((i * 7919 + 13) % 1009) as f64 / 7.0).collect();
        let squares: Vec<f64> = data.iter().map(|x| x * x).collect();
        let sums = row_sums(samples::row_sums(), &mut data, 1, columns);
        assert_eq!(sums, [reference(&squares, |a, b| a + b, 0.0)], "{columns}");
        // Not associative at all, so that any other order shows.
        let differences = row_sums(samples::sums(BinaryOp::Sub, Scalar::F64(1.0)), &mut data, 1, columns);
        assert_eq!(differences, [reference(&squares, |a, b| a - b, 1.0)], "{columns}");
    }
}

#[test]
fn rows_are_reduced_one_by_one_through_any_strides() {
    let mut data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    assert_eq!(row_sums(samples::row_sums(), &mut data, 2, 3), [14.0, 77.0]);
    assert_eq!(row_sums(samples::row_sums(), &mut data, 0, 3), [0.0; 0]);
    let mut sums = [0.0; 2];
    let bindings = [memory(&mut data, 5, &[-3, -2]), memory(&mut sums, 1, &[-1, 0])];
    run(samples::row_sums(), &[2, 2], &bindings).unwrap();
    assert_eq!(sums, [1.0 + 9.0, 36.0 + 16.0]);
    let bindings = [memory(&mut data, 2, &[0, 0]), memory(&mut sums, 0, &[1, 0])];
    run(samples::row_sums(), &[2, 4], &bindings).unwrap();
    assert_eq!(sums, [36.0, 36.0]);
}

#[test]
fn several_reductions_share_a_body_and_its_positions() {
    let fold = |lifted: &[u32], first: u32, op: BinaryOp, init: Scalar| Reduction {
        init: smallvec![init],
        lifted: lifted.iter().map(|&value| v(value)).collect(),
        merge: Merge {
            left: smallvec![v(first)],
            right: smallvec![v(first + 1)],
            block: block([binary(first + 2, op, first, first + 1)]),
            results: smallvec![v(first + 2)],
        },
        append: None,
        results: smallvec![v(first + 3)],
    };
    let weighted = block([load(0, 0), Statement::Let(v(1), Operation::Position), binary(2, BinaryOp::Mul, 0, 1)]);
    let reductions = vec![
        fold(&[2], 3, BinaryOp::Add, Scalar::I64(0)),
        fold(&[0], 7, BinaryOp::Maximum, ReduceOp::Max.init(DType::I64)[0]),
    ];
    let kernel = Kernel {
        name: "weighted".into(),
        axes: 2,
        operands: samples::operands(DType::I64, 1, 2),
        types: vec![DType::I64; 11],
        body: vec![
            Nest::Reduce { axes: vec![Axis(0), Axis(1)], body: weighted, reductions },
            Nest::Block(block([store(1, 6), store(2, 10)])),
        ],
    };
    let (mut data, mut sum, mut highest) = ([5_i64, 7, 11, 3], [0_i64], [0_i64]);
    let mut launch = |extents: &[usize]| {
        let bindings = [memory(&mut data, 0, &[2, 1]), memory(&mut sum, 0, &[0, 0]), memory(&mut highest, 0, &[0, 0])];
        run(kernel.clone(), extents, &bindings).unwrap();
        (sum[0], highest[0])
    };
    assert_eq!(launch(&[2, 2]), (7 + 22 + 9, 11));
    assert_eq!(launch(&[2, 0]), (0, i64::MIN));
}

#[test]
fn sequential_steps_carry_and_store_their_history() {
    let (mut start, mut last, mut history) = ([1_i64, 5], [0_i64; 2], [0_i64; 6]);
    let bindings = [memory(&mut start, 0, &[1, 0]), memory(&mut last, 0, &[1, 0]), memory(&mut history, 0, &[3, 1])];
    run(samples::powers(), &[2, 3], &bindings).unwrap();
    assert_eq!((last, history), ([8, 40], [2, 4, 8, 10, 20, 40]));
    run(samples::powers(), &[2, 0], &bindings).unwrap();
    assert_eq!(last, [1, 5]);
}

#[test]
fn carried_values_step_together() {
    let carried = [(0, 2, 3), (1, 3, 4)].map(|(initial, current, next)| crate::loops::Carried {
        initial: v(initial),
        current: v(current),
        next: v(next),
        result: v(current + 10),
    });
    let fibonacci = Nest::Sequential {
        axis: Axis(0),
        carried: carried.into(),
        body: vec![Nest::Block(block([binary(4, BinaryOp::Add, 2, 3)]))],
    };
    let kernel = Kernel {
        name: "fibonacci".into(),
        axes: 1,
        operands: samples::operands(DType::U64, 0, 1),
        types: vec![DType::U64; 14],
        body: vec![
            Nest::Block(block([constant(0, 0_u64), constant(1, 1_u64)])),
            fibonacci,
            Nest::Block(block([store(0, 12)])),
        ],
    };
    let mut result = [0_u64];
    run(kernel, &[90], &[memory(&mut result, 0, &[0])]).unwrap();
    assert_eq!(result, [2_880_067_194_370_816_120]);
}

#[test]
fn a_while_loop_runs_as_long_as_its_condition_holds() {
    let (mut starts, mut steps) = ([1_i64, 6, 27], [-1_i64; 3]);
    let bindings = [memory(&mut starts, 0, &[1]), memory(&mut steps, 0, &[1])];
    run(samples::collatz(), &[3], &bindings).unwrap();
    assert_eq!(steps, [0, 8, 111]);
}

#[test]
fn every_dtype_is_loaded_and_stored_and_indices_are_positions() {
    fn copied<T: Element>(mut data: [T; 2]) {
        let mut copy = [T::default(); 2];
        let kernel = Kernel {
            name: "copy".into(),
            axes: 1,
            operands: samples::operands(T::DTYPE, 1, 1),
            types: vec![T::DTYPE],
            body: vec![Nest::Map { axes: vec![Axis(0)], body: vec![Nest::Block(block([load(0, 0), store(1, 0)]))] }],
        };
        run(kernel, &[2], &[memory(&mut data, 0, &[1]), memory(&mut copy, 0, &[1])]).unwrap();
        assert_eq!(copy.map(T::to_scalar), data.map(T::to_scalar));
    }
    copied([true, false]);
    copied([i8::MIN, 1]);
    copied([u8::MAX, 1]);
    copied([i32::MIN, 1]);
    copied([u32::MAX, 1]);
    copied([i64::MIN, 1]);
    copied([u64::MAX, 1]);
    copied([-0.0_f32, f32::MIN_POSITIVE / 2.0]);
    copied([-0.0_f64, f64::NEG_INFINITY]);

    let mut kernel = Kernel {
        name: "iota".into(),
        axes: 2,
        operands: samples::operands(DType::I64, 1, 1),
        types: vec![DType::I64; 2],
        body: vec![Nest::Map {
            axes: vec![Axis(0), Axis(1)],
            body: vec![Nest::Block(block([
                load(0, 0),
                Statement::Let(v(1), Operation::Unary(UnaryOp::Neg, v(0))),
                store(1, 1),
            ]))],
        }],
    };
    kernel.operands[0] = Operand { dtype: DType::I64, access: Access::Index };
    let mut result = [0_i64; 4];
    let index = Binding { base: Base::Position(7), strides: SmallVec::from_slice(&[10, -1]) };
    run(kernel.clone(), &[2, 2], &[index, memory(&mut result, 0, &[2, 1])]).unwrap();
    assert_eq!(result, [-7, -6, -17, -16]);
    let bindings = [memory(&mut [0_i64], 0, &[0, 0]), memory(&mut result, 0, &[2, 1])];
    let error = run(kernel, &[2, 2], &bindings).unwrap_err().to_string();
    assert!(error.contains("does not fit the kernel `iota`"), "{error}");
}
