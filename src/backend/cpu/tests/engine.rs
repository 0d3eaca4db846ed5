//! The engine as a whole: forms, texts, memory.

use super::*;
use crate::backend::EngineStage;
use crate::error::Error;
use crate::ops::{BinaryOp, UnaryOp};

fn sum_of_squares() -> Kernel {
    let mut build = Build::new(1);
    let (a, b) = (build.read(DType::F64), build.read(DType::F64));
    let a = build.define(DType::F64, Operation::Binary(BinaryOp::Mul, [a, a]));
    let b = build.define(DType::F64, Operation::Binary(BinaryOp::Mul, [b, b]));
    let sum = build.define(DType::F64, Operation::Binary(BinaryOp::Add, [a, b]));
    build.write(sum);
    build.map()
}

#[test]
fn texts_show_vectors_and_symbols() {
    let executable = prepare(sum_of_squares());
    let clif = executable.dump(EngineStage::Clif).unwrap().unwrap();
    assert!(clif.contains("f64x2") && clif.contains("fmul"), "{clif}");
    let code = executable.dump(EngineStage::Asm).unwrap().unwrap();
    assert!(code.contains("ret"), "{code}");
    assert_eq!(executable.compilations(), 0);
    let mut build = Build::new(1);
    let x = build.read(DType::F64);
    let y = build.define(DType::F64, Operation::Unary(UnaryOp::Exp, x));
    build.write(y);
    let clif = prepare(build.map()).dump(EngineStage::Clif).unwrap().unwrap();
    assert!(clif.contains("u0:1 is kroton_exp_f64"), "{clif}");
}

/// Small launches of one row, one after the other, wake a thread though nothing of them is recorded.
#[test]
fn small_launches_of_one_row_are_shared() {
    let (memory, executable) = (Memory::zeros(DType::F64, 80_000), prepare(sum_of_squares()));
    let two = Parallelism { threshold: None, ..threads(2) };
    let bindings = [0; 3].map(|first| memory.bind(first, &[1]));
    let start = std::time::Instant::now();
    let is_there = || two.whom(|_| std::time::Duration::ZERO).is_some();
    while !is_there() {
        assert!(start.elapsed().as_secs() < 60, "nobody came");
        launch_with(&executable, &[80_000], &bindings, &two);
    }
}

#[test]
fn other_forms_are_refused_by_name() {
    let mut kernel = sum_of_squares();
    let map = kernel.body.pop().unwrap();
    kernel.body = vec![Nest::Map { axes: vec![], body: vec![map] }];
    let Err(Error::Unsupported(message)) = cpu(InstructionSet::Native).unwrap().prepare(kernel) else {
        panic!("accepted")
    };
    assert!(message.contains("test") && message.contains("map"), "{message}");
}

/// The number of pages of code in the process that come from no file.
#[cfg(target_os = "linux")]
fn pages_of_code() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let code = maps.lines().filter(|line| line.contains(" r-xp ") && line.trim_end().ends_with(" 0"));
    let bytes = code.map(|line| {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        usize::from_str_radix(end, 16).unwrap() - usize::from_str_radix(start, 16).unwrap()
    });
    bytes.sum::<usize>() / 4096
}

#[cfg(target_os = "linux")]
#[test]
fn code_is_freed() {
    let (x, y) = (Memory::zeros(DType::F64, 8), Memory::zeros(DType::F64, 8));
    let new = |number: i32| {
        let mut build = Build::new(1);
        let read = build.read(DType::F64);
        let constant = build.define(DType::F64, Operation::Constant(Scalar::F64(f64::from(number) + 0.125)));
        let sum = build.define(DType::F64, Operation::Binary(BinaryOp::Add, [read, constant]));
        build.write(sum);
        let executable = prepare(build.map());
        launch(&executable, &[8], &[x.bind(0, &[1]), y.bind(0, &[1])]);
        executable
    };
    // What other tests made is forgotten, as far as nobody holds it.
    (0..1500).for_each(|number| drop(new(number)));
    let before = pages_of_code();
    let kept: Vec<_> = (1500..3500).map(new).collect();
    assert!(pages_of_code() >= before + 1200, "code takes pages");
    drop(kept);
    (3500..5000).for_each(|number| drop(new(number)));
    // Some code is kept for a while, and tests that run beside this one hold some for a moment.
    assert!(pages_of_code() < before + 800, "{before} {}", pages_of_code());
}

/// What rustc makes of the loop for AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn wide_loop(a: &[f64], b: &[f64], y: &mut [f64]) {
    y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = a * a + b * b);
}

fn plain_loop(a: &[f64], b: &[f64], y: &mut [f64]) {
    y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = a * a + b * b);
}

/// The shortest time of a call, in microseconds.
fn microseconds(mut run: impl FnMut()) -> f64 {
    let mut one = || {
        let start = std::time::Instant::now();
        (0..200).for_each(|_| run());
        start.elapsed().as_secs_f64() / 200.0 * 1e6
    };
    (0..30).map(|_| one()).fold(f64::INFINITY, f64::min)
}

/// a² + b² against a plain loop: `cargo test --release -- --ignored --nocapture against_a_plain_loop`.
#[test]
#[ignore = "a measurement"]
fn speed_against_a_plain_loop() {
    let executable = prepare(sum_of_squares());
    for n in [16, 1000, 30_000] {
        let (a, b) = (Memory::zeros(DType::F64, n), Memory::zeros(DType::F64, n));
        let y = Memory::zeros(DType::F64, n);
        let bindings = [a.bind(0, &[1]), b.bind(0, &[1]), y.bind(0, &[1])];
        let sequential = Parallelism { pool: None, threshold: Some(usize::MAX) };
        let engine = microseconds(|| launch_with(&executable, &[n], &bindings, &sequential));
        let (a, b, mut y) = (vec![1.5; n], vec![2.5; n], vec![0.0; n]);
        let plain = microseconds(|| plain_loop(&a, &b, std::hint::black_box(&mut y)));
        println!("{n}: engine {engine:.3} µs, plain loop {plain:.3} µs, ratio {:.2}", engine / plain);
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            let wide = microseconds(|| unsafe { wide_loop(&a, &b, std::hint::black_box(&mut y)) });
            println!("{n}: loop for AVX2 {wide:.3} µs, ratio {:.2}", engine / wide);
        }
    }
}

/// The time to make code, and to sum: `cargo test --release -- --ignored --nocapture compile_and_sum`.
#[test]
#[ignore = "a measurement"]
fn time_to_compile_and_sum() {
    let (x, y) = (Memory::zeros(DType::F64, 8), Memory::zeros(DType::F64, 8));
    let compile = microseconds(|| {
        let executable = prepare(sum_of_squares());
        launch(&executable, &[8], &[x.bind(0, &[1]), x.bind(0, &[1]), y.bind(0, &[1])]);
    });
    println!("compile and run a² + b²: {compile:.0} µs");
    let sum = prepare(super::reductions::sum(DType::F64));
    for n in [100, 1000, 30_000] {
        let (x, y) = (Memory::zeros(DType::F64, n), Memory::zeros(DType::F64, 1));
        let time = microseconds(|| launch(&sum, &[n], &[x.bind(0, &[1]), y.bind(0, &[0])]));
        println!("sum of {n}: {time:.3} µs");
    }
    // Columns of a square matrix.
    let columns = prepare(super::reductions::row_sums(DType::F64));
    let n = 1500;
    let (x, y) = (Memory::zeros(DType::F64, n * n), Memory::zeros(DType::F64, n));
    let sequential = Parallelism { pool: None, threshold: Some(usize::MAX) };
    for strides in [[n as isize, 1], [1, n as isize]] {
        let bindings = [x.bind(0, &strides), y.bind(0, &[1, 0])];
        let start = std::time::Instant::now();
        (0..10).for_each(|_| launch_with(&columns, &[n, n], &bindings, &sequential));
        println!("{n}² by {strides:?}: {:.0} µs", start.elapsed().as_secs_f64() * 1e5);
    }
}
