//! What is promised of plans and of functions as things: kernels that are shared, code that is not made twice, long
//! chains, flat memory, and calls from many threads.

use kroton::{Compiler, Device, Expr, Function, OptLevel, Stage, compile, matrix, scalar, vector};
use ndarray::{Array1, Array2};

fn hit_test() -> (Expr, Expr, Expr) {
    let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
    let hits = (&x * &x + &y * &y).lt(1.0).sum(..);
    let pi = 4.0 * hits / x.len();
    (x, y, pi)
}

#[track_caller]
fn assert_one_kernel(f: &Function) {
    let plan = f.dump(Stage::Schedule).unwrap();
    assert_eq!(f.kernel_count(), 1, "{plan}");
    assert!(!plan.contains("slot"), "an intermediate is written to memory:\n{plan}");
}

#[test]
fn the_hit_test_is_one_kernel_without_intermediates() {
    let (x, y, pi) = hit_test();
    let f = compile([&x, &y], &pi).unwrap();
    assert_one_kernel(&f);
    let estimate: f64 = f.call((&[0.5, 1.5, 0.1], &[0.5, 0.0, 0.1])).unwrap();
    assert_eq!(estimate, 8.0 / 3.0);
}

#[test]
fn elementwise_chains_are_one_kernel() {
    let (a, b) = (vector::<f64>("a"), vector::<f64>("b"));
    assert_one_kernel(&compile([&a, &b], ((&a * &a + &b * &b).sqrt() - &a).exp() / (1.0 + a.abs())).unwrap());
    assert_one_kernel(&compile([&a, &b], (&a + &b, &a - &b)).unwrap());
}

#[test]
fn mean_and_variance_share_a_kernel() {
    let x = vector::<f64>("x");
    let f = compile([&x], (x.mean(..), x.var(..))).unwrap();
    assert_one_kernel(&f);
    let (mean, variance): (f64, f64) = f.call((&[1.0, 2.0, 3.0, 4.0],)).unwrap();
    assert_eq!((mean, variance), (2.5, 1.25));
}

/// Run for some rows at a time, softmax computes its exponentials once; kernels that stay apart are three at most.
#[test]
fn softmax_is_one_row_block_or_at_most_three_kernels() {
    let x = matrix::<f64>("x");
    let by_rows = compile([&x], x.softmax(1)).unwrap();
    let plan = by_rows.dump(Stage::Schedule).unwrap();
    assert!(plan.contains("\nsteps 0 to 3 by rows [x.0]") && plan.matches("exp").count() == 1, "{plan}");
    assert_eq!(by_rows.kernel_count(), 4, "{plan}");
    let apart = Compiler::new().row_bytes(0).compile([&x], x.softmax(1)).unwrap();
    assert!(apart.kernel_count() <= 3, "{}", apart.dump(Stage::Schedule).unwrap());
    for f in [by_rows, apart] {
        let y: Array2<f64> = f.call((&ndarray::array![[0.0, 1000.0], [3.0, 3.0]],)).unwrap();
        assert_eq!(y, ndarray::array![[0.0, 1.0], [0.5, 0.5]]);
    }
}

/// x, then 100,000 additions and multiplications that keep the value in range and the result exact to compute.
fn long_chain(x: &Expr) -> Expr {
    let halves = std::iter::repeat_n(0.5, 50_000);
    halves.fold(x.clone(), |y, half| y * half + 1.0)
}

fn chain_value(x: f64) -> f64 {
    (0..50_000).fold(x, |y, _| y * 0.5 + 1.0)
}

/// Builds, compiles, calls and drops; nothing of it may recurse over the depth of the graph.
fn run_chain(device: Device, level: OptLevel) {
    let x = vector::<f64>("x");
    let f = Compiler::new().device(device).optimize(level).compile([&x], long_chain(&x)).unwrap();
    if device != Device::Interpreter {
        assert!(f.kernel_count() > 1, "a chain of 100,000 ops reached the engine whole");
    }
    let arguments = [3.0, -1e6, f64::INFINITY, f64::NAN];
    let results: Vec<f64> = f.call((&arguments,)).unwrap();
    for (got, expected) in results.into_iter().zip(arguments.map(chain_value)) {
        assert!(got == expected || (got.is_nan() && expected.is_nan()), "{device:?} {level:?}: {got} {expected}");
    }
}

#[test]
fn a_chain_of_100_000_ops_is_cut_and_right() {
    for (device, level) in [
        (Device::Cpu, OptLevel::Full),
        (Device::Cpu, OptLevel::None),
        (Device::Loops, OptLevel::Full),
        (Device::Interpreter, OptLevel::None),
    ] {
        let small_stack = std::thread::Builder::new().stack_size(1 << 20);
        small_stack.spawn(move || run_chain(device, level)).unwrap().join().unwrap();
    }
}

#[test]
fn deep_expressions_print_serialize_and_drop() {
    let run = || {
        let x = vector::<f64>("x");
        let y = long_chain(&x);
        assert!(y.to_string().len() < 10_000);
        let text = kroton::to_text([&x], [&y]).unwrap();
        let (inputs, outputs) = kroton::from_text(&text).unwrap();
        assert_eq!(outputs[0].rank(), inputs[0].rank());
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap().join().unwrap();
}

/// Sizes are values of the call: one function, one compilation.
#[test]
fn other_sizes_need_no_recompilation() {
    let (x, y, pi) = hit_test();
    let f = compile([&x, &y], &pi).unwrap();
    let run = |n: usize| -> f64 { f.call((&vec![0.5; n], &vec![0.5; n])).unwrap() };
    assert_eq!(run(3), 4.0);
    let made = f.compilations();
    assert!(made >= 1, "nothing was compiled");
    for n in [0, 1, 2, 3, 7, 100, 4096, 100_000] {
        let estimate = run(n);
        assert!(estimate == 4.0 || n == 0, "{n}: {estimate}");
    }
    assert_eq!(f.compilations(), made, "a size led to another compilation");
}

#[test]
fn other_strides_add_a_handful_of_variants() {
    let (a, b) = (vector::<f64>("a"), vector::<f64>("b"));
    let f = compile([&a, &b], &a * 2.0 + &b).unwrap();
    let data = Array1::from_iter((0..600).map(f64::from));
    let one = ndarray::arr0(5.0);
    let views = [
        data.slice(ndarray::s![..100]),
        data.slice(ndarray::s![..100;-1]),
        data.slice(ndarray::s![..200;2]),
        data.slice(ndarray::s![..300;3]),
        data.slice(ndarray::s![100..600;-5]),
        one.broadcast(100).unwrap(),
    ];
    for left in &views {
        for right in &views {
            let y: Array1<f64> = f.call((left, right)).unwrap();
            assert_eq!(y, left * 2.0 + right);
        }
    }
    assert!(f.compilations() <= 8, "{} variants for 36 combinations of strides", f.compilations());
}

#[test]
fn clones_keep_code_alive() {
    let x = vector::<f64>("x");
    let f = compile([&x], &x + 1.0).unwrap();
    assert_eq!(f.call::<Vec<f64>>((&[1.0],)).unwrap(), [2.0]);
    let clone = f.clone();
    drop(f);
    drop(x);
    for _ in 0..100 {
        compile([], kroton::constant(1.0)).unwrap().call::<f64>(()).unwrap();
    }
    assert_eq!(clone.call::<Vec<f64>>((&[1.0],)).unwrap(), [2.0]);
    assert!(!format!("{clone:?}").is_empty());
}

/// Variants are made once, however many threads ask at the same time.
#[test]
fn concurrent_calls_agree_and_share_code() {
    let (x, y, pi) = hit_test();
    let f = compile([&x, &y], (&pi, (&x * &y).sum(..), x.max(..))).unwrap();
    let (xs, ys): (Vec<f64>, Vec<f64>) = (0..10_000).map(|i| (f64::from(i) * 1e-4, f64::from(i % 100) * 1e-2)).unzip();
    let barrier = std::sync::Barrier::new(4);
    let results: Vec<(f64, f64, f64)> = std::thread::scope(|scope| {
        let call = || {
            barrier.wait();
            (0..50).map(|_| f.clone().call((&xs, &ys)).unwrap()).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(call)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(results.len(), 200);
    assert!(results.iter().all(|result| *result == results[0]), "{:?}", results[0]);
    let made = f.compilations();
    f.call::<(f64, f64, f64)>((&xs, &ys)).unwrap();
    assert_eq!(f.compilations(), made);
    assert!(made <= 3, "{made} variants for one layout");
}

/// The caller's pool is the one that runs a call.
#[test]
fn the_callers_pool_is_used() {
    let x = vector::<f64>("x");
    let f = Compiler::new().parallel_threshold(1).compile([&x], x.exp().sum(..)).unwrap();
    let data: Vec<f64> = (0..50_000).map(|i| f64::from(i) * 1e-5).collect();
    let alone: f64 = f.call((&data,)).unwrap();
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let shared: f64 = pool.install(|| f.call((&data,)).unwrap());
        assert_eq!(shared.to_bits(), alone.to_bits());
    }
}

#[test]
fn a_reshaped_sequence_holds_its_numbers() {
    let n = scalar::<i64>("n");
    for device in [Device::Cpu, Device::Loops, Device::Interpreter] {
        let y = kroton::arange(6).reshape([2, 3]) + &n;
        let y: Array2<i64> = Compiler::new().device(device).compile([&n], y).unwrap().call((10_i64,)).unwrap();
        assert_eq!(y, ndarray::array![[10, 11, 12], [13, 14, 15]], "{device:?}");
    }
}

#[test]
fn a_view_of_a_result_that_is_written_out_is_read_from_registers() {
    let x = kroton::input("x", kroton::DType::F64, [Some(2), Some(2), Some(1)]);
    let y = x.max(2).reshape((2, 2, 1)).reshape([4]).reshape((1, 4));
    for device in [Device::Interpreter, Device::Loops, Device::Cpu] {
        let f = Compiler::new().device(device).optimize(OptLevel::None).compile([&x], &y).unwrap();
        let values = ndarray::Array3::from_shape_fn((2, 2, 1), |(i, j, _)| (2 * i + j) as f64);
        assert_eq!(f.call::<Array2<f64>>((&values,)).unwrap(), ndarray::array![[0.0, 1.0, 2.0, 3.0]]);
    }
}
