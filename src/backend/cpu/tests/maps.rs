//! Layouts, lengths and splits of maps.

use super::*;
use crate::ops::{BinaryOp, UnaryOp};

/// x · 2 + index, over any number of axes.
fn doubled_plus_index(set: InstructionSet, axes: u32) -> Arc<dyn Executable> {
    let mut build = Build::new(axes);
    let x = build.read(DType::F64);
    let index = build.operand(DType::I64, Access::Index);
    let index = build.define(DType::I64, Operation::Load(index));
    let index = build.define(DType::F64, Operation::Cast(DType::F64, index));
    let twice = build.define(DType::F64, Operation::Binary(BinaryOp::Add, [x, x]));
    let sum = build.define(DType::F64, Operation::Binary(BinaryOp::Add, [twice, index]));
    build.write(sum);
    prepare_for(set, build.map())
}

fn f64s(values: impl IntoIterator<Item = f64>) -> Memory {
    Memory::of(DType::F64, &values.into_iter().map(Scalar::F64).collect::<Vec<_>>())
}

fn numbers(memory: &Memory) -> Vec<f64> {
    memory.all().into_iter().map(Scalar::to_f64).collect()
}

#[test]
fn rows_of_every_length_and_direction() {
    sets().for_each(rows);
}

fn rows(set: InstructionSet) {
    let executable = doubled_plus_index(set, 1);
    for length in [0usize, 1, 3, 17, 1000] {
        let x = f64s((0..length * 3).map(|x| x as f64));
        let back = length.saturating_sub(1) as isize;
        for (first, stride) in [(0, 1), (back, -1), (0, 3), (0, 0)] {
            let y = Memory::zeros(DType::F64, length + 4);
            let bindings = [x.bind(first, &[stride]), positions(5, &[7]), y.bind(0, &[1])];
            launch(&executable, &[length], &bindings);
            let want = (0..length as isize).map(|i| (2 * (first + i * stride) + 5 + 7 * i) as f64);
            let want: Vec<f64> = want.chain([0.0; 4]).collect();
            assert_eq!(numbers(&y), want, "{length} {stride}");
        }
    }
}

#[test]
fn axes_in_any_order_and_direction() {
    sets().for_each(axes);
}

fn axes(set: InstructionSet) {
    let executable = doubled_plus_index(set, 3);
    let extents = [4usize, 5, 37];
    let (x, y) = (f64s((0..740).map(f64::from)), Memory::zeros(DType::F64, 740));
    for parallelism in [Parallelism::default(), threads(3)] {
        for (first, strides) in
            [(0, [185, 37, 1]), (0, [1, 4, 20]), (184, [185, -37, -1]), (0, [0, 37, 1]), (0, [37, 0, 1])]
        {
            for out in [[185, 37, 1], [1, 4, 20], [37, 148, 1]] {
                let bindings = [x.bind(first, &strides), positions(0, &[100, -10, 1]), y.bind(0, &out)];
                launch_with(&executable, &extents, &bindings, &parallelism);
                let got = numbers(&y);
                for (i, j, k) in (0..740).map(|n: isize| (n / 185, n / 37 % 5, n % 37)) {
                    let from = first + strides[0] * i + strides[1] * j + strides[2] * k;
                    let want = (2 * from + 100 * i - 10 * j + k) as f64;
                    assert_eq!(got[(out[0] * i + out[1] * j + out[2] * k) as usize], want, "{strides:?} {out:?}");
                }
            }
        }
    }
    launch(&executable, &[4, 0, 37], &[x.bind(0, &[1, 1, 1]), positions(0, &[1, 1, 1]), y.bind(0, &[1, 1, 1])]);
}

#[test]
fn functions_of_an_operand_that_a_result_replaces() {
    sets().for_each(replaced);
}

/// sin x and x + cos x; the first may be written before the second is computed.
fn sine_and_sum(set: InstructionSet, early: bool) -> Arc<dyn Executable> {
    let mut build = Build::new(1);
    let x = build.read(DType::F64);
    let sine = build.define(DType::F64, Operation::Unary(UnaryOp::Sin, x));
    if early {
        build.write(sine);
    }
    let cosine = build.define(DType::F64, Operation::Unary(UnaryOp::Cos, x));
    let sum = build.define(DType::F64, Operation::Binary(BinaryOp::Add, [x, cosine]));
    if !early {
        build.write(sine);
    }
    build.write(sum);
    prepare_for(set, build.map())
}

fn replaced(set: InstructionSet) {
    for (early, length) in [(false, 1000usize), (false, 33), (true, 1000), (true, 33)] {
        let executable = sine_and_sum(set, early);
        let x = f64s((0..length).map(|x| x as f64 / 7.0));
        let (sine, sum, in_place) = (x.clone(), x.clone(), x.clone());
        launch(&executable, &[length], &[x.bind(0, &[1]), sine.bind(0, &[1]), sum.bind(0, &[1])]);
        let apart = (numbers(&sine), numbers(&sum));
        let near = |x: f64, got: f64, sum: f64| (got - x.sin()).abs() < 1e-15 && (sum - x - x.cos()).abs() < 1e-13;
        assert!((0..length).all(|i| near(i as f64 / 7.0, apart.0[i], apart.1[i])), "{early} {length}");
        launch(&executable, &[length], &[in_place.bind(0, &[1]), in_place.bind(0, &[1]), sum.bind(0, &[1])]);
        assert_eq!((numbers(&in_place), numbers(&sum)), apart, "{early} {length}");
    }
}

#[test]
fn no_axes_are_one_element() {
    sets().for_each(no_axes);
}

fn no_axes(set: InstructionSet) {
    let executable = doubled_plus_index(set, 0);
    let (x, y) = (f64s([3.0]), Memory::zeros(DType::F64, 1));
    launch(&executable, &[], &[x.bind(0, &[]), positions(4, &[]), y.bind(0, &[])]);
    assert_eq!(numbers(&y), [10.0]);
}

#[test]
fn splits_change_nothing_and_use_the_pool() {
    sets().for_each(splits);
}

fn splits(set: InstructionSet) {
    let executable = doubled_plus_index(set, 2);
    let parallelism = threads(3);
    for (rows, row) in [(1usize, 100_003usize), (7, 1001), (1000, 3)] {
        let (x, y) = (f64s((0..rows * row).map(|x| x as f64)), Memory::zeros(DType::F64, rows * row));
        let strides = [row as isize, 1];
        let bindings = [x.bind(0, &strides), positions(0, &strides), y.bind(0, &strides)];
        launch_with(&executable, &[rows, row], &bindings, &parallelism);
        assert!(numbers(&y).into_iter().enumerate().all(|(i, got)| got == 3.0 * i as f64), "{rows} {row}");
    }
}

#[test]
fn variants_are_few_and_made_once_whoever_asks() {
    sets().for_each(variants);
}

fn variants(set: InstructionSet) {
    let executable = doubled_plus_index(set, 1);
    let (x, y) = (f64s((0..64).map(f64::from)), Memory::zeros(DType::F64, 64));
    let run = |stride: isize, index: isize, out: isize| {
        launch(&executable, &[16], &[x.bind(0, &[stride]), positions(0, &[index]), y.bind(0, &[out])]);
        let got = numbers(&y);
        for i in 0..16 {
            assert_eq!(got[(i * out) as usize], (2 * i * stride + i * index) as f64);
        }
    };
    assert_eq!(executable.compilations(), 0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let y = Memory::zeros(DType::F64, 16);
                launch(&executable, &[16], &[x.bind(0, &[1]), positions(0, &[1]), y.bind(0, &[1])]);
            });
        }
    });
    run(1, 1, 1);
    run(1, 9, 1);
    assert_eq!(executable.compilations(), 1);
    for stride in 0..4 {
        for index in 0..3 {
            for out in 1..4 {
                run(stride, index, out);
            }
        }
    }
    assert_eq!(executable.compilations(), 7);
}

/// Parts of results that are too large for the cache bypass it, wherever their rows begin.
#[test]
fn parts_of_large_results() {
    sets().for_each(parts);
}

fn parts(set: InstructionSet) {
    let executable = doubled_plus_index(set, 2);
    let wide = super::super::isa::hosted(set).unwrap().features.wide;
    for (row, first) in [(1001, 0), (64, 3), (5, 1)] {
        let x = f64s((0..3 * row + first).map(|x| x as f64));
        let y = Memory::zeros(DType::F64, 3 * row + first);
        let strides = [row as isize, 1];
        let bindings = [x.bind(0, &strides), positions(0, &strides), y.bind(first as isize, &strides)];
        let extents = [3, row];
        let whole = Launch::new(&extents, &bindings);
        let part = Launch { part_of: 1 << 24, ..whole };
        let settled = |launch: &Launch<'_>| Arc::clone(&executable).settle(launch, &Parallelism::default()).unwrap();
        assert!(settled(&whole).is_some());
        assert_eq!(settled(&part).is_none(), wide, "{row}");
        // 16 MiB that are written bypass the cache only if as much is read.
        let alone = [x.bind(0, &[0, 0]), positions(0, &strides), y.bind(first as isize, &strides)];
        let of = |bindings| Launch { part_of: 1 << 21, ..Launch::new(&extents, bindings) };
        assert_eq!([&bindings, &alone].map(|bindings| settled(&of(bindings)).is_none()), [wide, false], "{row}");
        // SAFETY: the memory is large enough.
        unsafe { executable.launch(&part, &Parallelism::default()) }.unwrap();
        let got = numbers(&y);
        assert!((0..first).all(|i| got[i] == 0.0) && (0..3 * row).all(|i| got[first + i] == 3.0 * i as f64), "{row}");
    }
}

/// Kernels ask for memory as far ahead as the launch says, which may be none.
#[test]
fn memory_ahead_is_asked_for_and_may_be_none() {
    let mut build = Build::new(1);
    let x = build.read(DType::F64);
    let double = build.define(DType::F64, Operation::Binary(BinaryOp::Add, [x, x]));
    let exp = build.define(DType::F64, Operation::Unary(UnaryOp::Exp, double));
    build.write(exp);
    let kernel = build.map();
    for set in sets() {
        let executable = prepare_for(set, kernel.clone());
        let wide = super::super::isa::hosted(set).unwrap().features.wide;
        assert_eq!(executable.asks_ahead(), wide);
        let text = executable.dump(crate::backend::EngineStage::Asm).unwrap().unwrap();
        // Behind the strides of both operands.
        assert_eq!(text.contains("mov rcx, [rax + 16]"), wide, "{set:?}: {text}");
        for length in [1, 15, 64, 700, 3000] {
            let x = f64s((0..length).map(|x| x as f64 / 1000.0));
            let results = [&[][..], &[0, 0], &[1 << 16, 0], &[1 << 50, 8], &[-1 << 50, 0]].map(|ahead| {
                let y = Memory::zeros(DType::F64, length);
                let bindings = [x.bind(0, &[1]), y.bind(0, &[1])];
                let extents = [length];
                let launch = Launch { ahead, ..Launch::new(&extents, &bindings) };
                // SAFETY: the memory is large enough.
                unsafe { executable.launch(&launch, &Parallelism::default()) }.unwrap();
                numbers(&y)
            });
            let near = |index: usize| (results[0][index] / (index as f64 / 500.0).exp() - 1.0).abs() < 1e-14;
            assert!((0..length).all(near), "{set:?} {length}");
            assert!(results.iter().all(|result| *result == results[0]), "{set:?} {length}");
        }
    }
}
