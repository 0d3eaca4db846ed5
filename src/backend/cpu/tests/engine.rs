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

#[test]
fn other_forms_are_refused_by_name() {
    let mut kernel = sum_of_squares();
    let map = kernel.body.pop().unwrap();
    kernel.body = vec![Nest::Map { axes: vec![], body: vec![map] }];
    let Err(Error::Unsupported(message)) = cpu().unwrap().prepare(kernel) else { panic!("accepted") };
    assert!(message.contains("test") && message.contains("map"), "{message}");
}

/// Pages of the process that are in memory.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn code_is_freed() {
    let (x, y) = (Memory::zeros(DType::F64, 8), Memory::zeros(DType::F64, 8));
    let once = || {
        let executable = prepare(sum_of_squares());
        launch(&executable, &[8], &[x.bind(0, &[1]), x.bind(0, &[1]), y.bind(0, &[1])]);
    };
    (0..100).for_each(|_| once());
    let before = resident();
    (0..1000).for_each(|_| once());
    // Each piece of code takes at least a page; other tests run beside this one.
    assert!(resident() < before + 900, "{before} {}", resident());
}

/// a² + b² against a plain loop: `cargo test --release -- --ignored --nocapture plain_loop`.
#[test]
#[ignore = "a measurement"]
fn speed_against_a_plain_loop() {
    const N: usize = 30_000;
    let executable = prepare(sum_of_squares());
    let a: Vec<f64> = (0..N).map(|x| x as f64).collect();
    let (b, mut y) = (a.clone(), vec![0.0; N]);
    let bind =
        |address: *const f64| Binding { base: Base::Host(address.cast_mut().cast()), strides: smallvec::smallvec![8] };
    let bindings = [bind(a.as_ptr()), bind(b.as_ptr()), bind(y.as_ptr())];
    let sequential = Parallelism { pool: None, threshold: Some(usize::MAX) };
    let time = |run: &mut dyn FnMut()| {
        let one = |run: &mut dyn FnMut()| {
            let start = std::time::Instant::now();
            (0..200).for_each(|_| run());
            start.elapsed().as_secs_f64() / 200.0
        };
        (0..30).map(|_| one(run)).fold(f64::INFINITY, f64::min)
    };
    let engine = time(&mut || launch_with(&executable, &[N], &bindings, &sequential));
    let plain = time(&mut || {
        for ((y, a), b) in y.iter_mut().zip(&a).zip(&b) {
            *y = a * a + b * b;
        }
        std::hint::black_box(&mut y);
    });
    let (engine, plain) = (engine * 1e6, plain * 1e6);
    println!("engine {engine:.2} µs, plain loop {plain:.2} µs, ratio {:.2}", engine / plain);
}
