//! Reductions: every row × dtype × choice of axes × layout × length × engine, bit for bit.
//!
//! The expected value is computed here in plain Rust, in the order that `src/ops/reduction.rs` defines in words; no
//! code of the crate takes part in it. The second half holds the promise that the number of threads changes no bit.

mod common;

use common::{Argument, Layout, Random, call_scalars, difference, engines, in_order, plain, same};
use kroton::expr::apply_reduce;
use kroton::ops::ReduceOp;
use kroton::{Compiler, DType, Device, Expr, Function, Scalar};

/// Sum, product and squared deviations of floats, each operation rounded in the type.
macro_rules! float_reference {
    ($name:ident, $type:ty) => {
        fn $name(op: ReduceOp, elements: &[Scalar]) -> Option<Scalar> {
            let elements: Vec<$type> =
                elements.iter().map(|&x| <$type as kroton::Element>::from_scalar(x)).collect::<Option<_>>()?;
            let result = match op {
                ReduceOp::Sum => in_order(&elements, 0.0, |a, b| a + b),
                ReduceOp::Prod => in_order(&elements, 1.0, |a, b| a * b),
                ReduceOp::SquaredDeviations => {
                    let lifted: Vec<[$type; 3]> = elements.iter().map(|&x| [1.0, x, 0.0]).collect();
                    in_order(&lifted, [0.0; 3], |[n, mean, m2], [other_n, other_mean, other_m2]| {
                        let total = n + other_n;
                        let share = other_n / total.max(1.0);
                        let delta = other_mean - mean;
                        let between = delta * (delta * (n * share));
                        [total, mean + delta * share, (m2 + other_m2) + between]
                    })[2]
                }
                _ => return None,
            };
            Some(result.into())
        }
    };
}
float_reference!(narrow, f32);
float_reference!(wide, f64);

/// A value as something with an order: NaN apart, −0 below +0 where extremes are asked for.
fn key(x: Scalar) -> (f64, i128) {
    match x {
        Scalar::F32(_) | Scalar::F64(_) => {
            let value = x.to_f64();
            (value, if value.is_sign_negative() { 0 } else { 1 })
        }
        Scalar::U64(value) => (0.0, i128::from(value)),
        _ => (0.0, i128::from(x.to_i64().unwrap())),
    }
}

fn extreme(elements: &[Scalar], largest: bool) -> Scalar {
    if let Some(&nan) = elements.iter().find(|x| x.is_nan()) {
        return nan;
    }
    let order = |a: &&Scalar, b: &&Scalar| key(**a).partial_cmp(&key(**b)).unwrap();
    *if largest { elements.iter().max_by(order) } else { elements.iter().min_by(order) }.unwrap()
}

/// The first NaN, else the first of the extremes, where both zeros are equal.
fn position(elements: &[Scalar], largest: bool) -> Scalar {
    let value = extreme(elements, largest);
    let equal = |x: &Scalar| match value.is_nan() {
        true => x.is_nan(),
        false if value.dtype().is_float() => x.to_f64() == value.to_f64(),
        false => *x == value,
    };
    Scalar::I64(elements.iter().position(equal).unwrap() as i64)
}

fn wrapping(op: ReduceOp, elements: &[Scalar], accumulator: DType) -> Scalar {
    let bits = elements.iter().map(|x| x.cast(accumulator).bits());
    let total = match op {
        ReduceOp::Prod => bits.fold(1_u64, u64::wrapping_mul),
        _ => bits.fold(0_u64, u64::wrapping_add),
    };
    Scalar::from_bits(accumulator, total)
}

/// The reduction of these elements, written from the documentation.
fn reference(op: ReduceOp, dtype: DType, elements: &[Scalar]) -> Scalar {
    let truth = |x: &Scalar| *x == Scalar::Bool(true);
    match op {
        ReduceOp::Sum | ReduceOp::Prod | ReduceOp::SquaredDeviations if dtype == DType::F32 => {
            narrow(op, elements).unwrap()
        }
        ReduceOp::Sum | ReduceOp::Prod | ReduceOp::SquaredDeviations if dtype == DType::F64 => {
            wide(op, elements).unwrap()
        }
        ReduceOp::Sum | ReduceOp::Prod if matches!(dtype, DType::U8 | DType::U32 | DType::U64) => {
            wrapping(op, elements, DType::U64)
        }
        ReduceOp::Sum | ReduceOp::Prod => wrapping(op, elements, DType::I64),
        ReduceOp::SquaredDeviations => panic!("squared deviations of {dtype}"),
        ReduceOp::Min => extreme(elements, false),
        ReduceOp::Max => extreme(elements, true),
        ReduceOp::ArgMin => position(elements, false),
        ReduceOp::ArgMax => position(elements, true),
        ReduceOp::All => Scalar::Bool(elements.iter().all(truth)),
        ReduceOp::Any => Scalar::Bool(elements.iter().any(truth)),
    }
}

/// The reference over axes of a row-major array.
fn reference_over(op: ReduceOp, x: &Argument, axes: &[usize]) -> Vec<Scalar> {
    let rank = x.shape.len();
    let kept: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).collect();
    let count = |axes: &[usize]| axes.iter().map(|&axis| x.shape[axis]).product::<usize>();
    let stride = |axis: usize| x.shape[axis + 1..].iter().product::<usize>();
    let offset = |axes: &[usize], mut index: usize| {
        axes.iter().rev().fold(0, |offset, &axis| {
            let here = index % x.shape[axis];
            index /= x.shape[axis];
            offset + here * stride(axis)
        })
    };
    (0..count(&kept))
        .map(|outer| {
            let start = offset(&kept, outer);
            let elements: Vec<Scalar> = (0..count(axes)).map(|inner| x.values[start + offset(axes, inner)]).collect();
            reference(op, x.dtype, &elements)
        })
        .collect()
}

/// Which axes are reduced, and the shape for a length.
struct Case {
    name: &'static str,
    axes: &'static [usize],
    rank: usize,
    shape: fn(usize) -> Vec<usize>,
}

const CASES: [Case; 9] = [
    Case { name: "full", axes: &[0], rank: 1, shape: |n| vec![n] },
    Case { name: "inner", axes: &[1], rank: 2, shape: |n| vec![3, n] },
    Case { name: "outer", axes: &[0], rank: 2, shape: |n| vec![n, 3] },
    Case { name: "outer of wide rows", axes: &[0], rank: 2, shape: |n| vec![n.min(1100), 17] },
    Case { name: "inner of many rows", axes: &[1], rank: 2, shape: |n| vec![n, 5] },
    Case { name: "middle", axes: &[1], rank: 3, shape: |n| vec![2, n, 3] },
    Case { name: "first and last", axes: &[0, 2], rank: 3, shape: |n| vec![3, 2, n.div_ceil(3)] },
    Case { name: "last two", axes: &[1, 2], rank: 3, shape: |n| vec![2, n.div_ceil(5), 5] },
    Case { name: "all of three", axes: &[0, 1, 2], rank: 3, shape: |n| vec![2, n.div_ceil(4), 2] },
];

const SHORT: [usize; 7] = [0, 1, 2, 15, 16, 17, 50];
const LONG: [usize; 4] = [1023, 1024, 1025, 5000];

/// Ordinary values, or some with NaN, infinities and negative zeros strewn in.
fn values(dtype: DType, count: usize, wild: bool, random: &mut Random) -> Vec<Scalar> {
    let mut values: Vec<Scalar> = (0..count).map(|_| random.scalar(dtype)).collect();
    if wild && count > 0 {
        let special = common::nasty(dtype);
        for _ in 0..1 + count / 9 {
            values[random.below(count)] = special[random.below(special.len())];
        }
    }
    values
}

fn compile_reduction(compiler: Compiler, op: ReduceOp, dtype: DType, case: &Case) -> Function {
    let x = kroton::input("x", dtype, vec![None; case.rank]);
    let axes: Vec<i64> = case.axes.iter().map(|&axis| axis as i64).collect();
    let y: Expr = apply_reduce(op, &x, axes);
    assert_eq!(y.dtype(), op.result(dtype), "{op} {dtype}");
    compiler.compile([&x], &y).unwrap()
}

fn check(engine: &str, op: ReduceOp, case: &Case, f: &Function, x: &Argument) {
    let what = || format!("{engine}: {op} {} {} {:?} {:?}", x.dtype, case.name, x.shape, x.layout);
    let got = call_scalars(f, &[x]);
    let reduced: usize = case.axes.iter().map(|&axis| x.shape[axis]).product();
    if reduced == 0 && op.needs_elements() {
        let text = got.expect_err(&what()).to_string();
        assert!(text.contains("empty") && text.contains(op.name()), "{}: {text}", what());
        return;
    }
    let got = got.unwrap_or_else(|error| panic!("{}: {error}", what()));
    if let Some(difference) = difference(&got, &reference_over(op, x, case.axes)) {
        panic!("{}: {difference}", what());
    }
}

fn reductions_on(engine: &str, device: fn() -> Device, thorough: bool) {
    let mut random = Random(7);
    for &op in ReduceOp::ALL {
        for dtype in DType::ALL.into_iter().filter(|&dtype| op.accepts(dtype)) {
            for (index, case) in CASES.iter().enumerate() {
                let f = compile_reduction(plain(device()), op, dtype, case);
                let mut run = |length: usize, layout: Layout, wild: bool| {
                    let shape = (case.shape)(length);
                    let elements = values(dtype, shape.iter().product(), wild, &mut random);
                    check(engine, op, case, &f, &Argument::new(dtype, &shape, elements, layout));
                };
                for length in SHORT {
                    for layout in Layout::ALL {
                        run(length, layout, false);
                        run(length, layout, true);
                    }
                }
                for (i, length) in LONG.into_iter().enumerate() {
                    for (j, layout) in Layout::ALL.into_iter().enumerate() {
                        if thorough || (i + j + index) % 5 == 0 {
                            run(length, layout, (i + j) % 2 == 1);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn interpreter_reduces_in_the_defined_order() {
    reductions_on("interpreter", || Device::Interpreter, false);
}

#[test]
fn loops_reduce_in_the_defined_order() {
    reductions_on("loops", || Device::Loops, false);
}

#[test]
fn cpu_reduces_in_the_defined_order() {
    reductions_on("cpu", || Device::Cpu, true);
}

/// The values of the methods, where the composition says what rounds: `mean` is sum / count.
#[test]
fn named_reductions_have_their_documented_values() {
    let x = kroton::matrix::<f64>("x");
    let outputs = vec![
        x.mean(..),
        x.var(..),
        x.var_ddof(.., 1),
        x.std(..),
        x.norm(..),
        x.sum_keepdims(0).sum(..),
        x.logsumexp(..),
        x.gt(2.0).all(..).cast::<f64>(),
        x.gt(2.0).any(..).cast::<f64>(),
    ];
    for (engine, device) in engines() {
        let f = Compiler::new().device(device).compile([&x], &outputs).unwrap();
        let values = ndarray::array![[1.0, 2.0], [3.0, 4.0]];
        let got: Vec<kroton::Array> = f.call((&values,)).unwrap();
        let got: Vec<f64> = got.iter().map(|y| y.as_slice::<f64>().unwrap()[0]).collect();
        let logsumexp = (1_f64.exp() + 2_f64.exp() + 3_f64.exp() + 4_f64.exp()).ln();
        let expected = [2.5, 1.25, 5.0 / 3.0, 1.25_f64.sqrt(), 30_f64.sqrt(), 10.0, logsumexp, 0.0, 1.0];
        for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
            assert!((got - expected).abs() <= 4.0 * f64::EPSILON * expected, "{engine} {i}: {got} {expected}");
        }
    }
}

/// Every number of threads gives the same bits, and those of the definition.
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let mut random = Random(11);
    for &op in ReduceOp::ALL {
        for dtype in DType::ALL.into_iter().filter(|&dtype| op.accepts(dtype)) {
            for case in &CASES {
                let functions = [1, 2, 3, 8].map(|threads| {
                    let compiler = plain(Device::Cpu).threads(threads).parallel_threshold(1);
                    (threads, compile_reduction(compiler, op, dtype, case))
                });
                for (length, layout) in [(13_007, Layout::Contiguous), (4_099, Layout::Transposed)] {
                    let shape = (case.shape)(length);
                    let elements = values(dtype, shape.iter().product(), length > 9_000, &mut random);
                    let x = Argument::new(dtype, &shape, elements, layout);
                    for (threads, f) in &functions {
                        check(&format!("cpu with {threads} threads"), op, case, f, &x);
                    }
                }
            }
        }
    }
}

/// The same for maps, whose chunks must not overlap or leave gaps.
#[test]
fn any_number_of_threads_maps_the_same() {
    let x = kroton::vector::<f64>("x");
    let elements: Vec<f64> = (0..100_003).map(|i| f64::from(i) * 0.25).collect();
    for threads in [1, 2, 3, 8] {
        let f = Compiler::new().threads(threads).parallel_threshold(1).compile([&x], &x * 2.0 + 1.0).unwrap();
        for n in [0, 1, 3, 1000, 33_333, 100_003] {
            let y: Vec<f64> = f.call((&elements[..n],)).unwrap();
            assert!(y.len() == n && y.iter().zip(&elements).all(|(y, x)| *y == x * 2.0 + 1.0), "{threads} {n}");
        }
    }
}

/// Nanoseconds of processor time that the calling thread has had.
#[cfg(target_os = "linux")]
fn processor_time() -> u64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    times.split(' ').next().unwrap().parse().unwrap()
}

/// Two workers of the caller's pool really run: all calls are made on one of them, and the other spends processor
/// time all the same, which an idle worker does not. A busy machine may keep it waiting, so there are many rounds.
#[cfg(target_os = "linux")]
#[test]
fn two_workers_share_a_reduction() {
    const ROUNDS: usize = 200;
    // Far more than waking up and going back to sleep costs, far less than a round's work.
    const WORKED: u64 = 5_000_000;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let x = kroton::vector::<f64>("x");
    let f = Compiler::new().parallel_threshold(1).compile([&x], x.sin().sum(..)).unwrap();
    let elements: Vec<f64> = (0..200_000).map(f64::from).collect();
    let alone: f64 = f.call((&elements,)).unwrap();
    let shares_a_round = || {
        let before = pool.broadcast(|_| processor_time());
        let caller = pool.install(|| {
            for _ in 0..20 {
                let shared: f64 = f.call((&elements,)).unwrap();
                assert!(same(shared.into(), alone.into()));
            }
            rayon::current_thread_index().unwrap()
        });
        pool.broadcast(|_| processor_time())[1 - caller] - before[1 - caller] > WORKED
    };
    assert!((0..ROUNDS).any(|_| shares_a_round()), "one worker did all the work, {ROUNDS} times");
}

/// Elements that take turns with others: none is better than the start, and a NaN may stand anywhere.
#[test]
fn positions_of_limits_and_nan() {
    for (_, device) in engines() {
        let x = kroton::vector::<f32>("x");
        let f = Compiler::new().device(device).compile([&x], x.argmax(..)).unwrap();
        for n in [1_usize, 17, 31, 33, 1023, 1024, 1041] {
            for at in [0, 15, 16, 17, n - 1].into_iter().filter(|at| *at < n) {
                let mut values = vec![f32::NEG_INFINITY; n];
                assert_eq!(f.call::<i64>((&values,)).unwrap(), 0, "{n}");
                values[at] = f32::NAN;
                assert_eq!(f.call::<i64>((&values,)).unwrap(), at as i64, "{n}");
                values[n - 1] = f32::NAN;
                assert_eq!(f.call::<i64>((&values,)).unwrap(), at as i64, "{n}");
            }
        }
    }
}

/// Elements that are made of their positions.
#[test]
fn positions_of_the_best_among_positions() {
    for (_, device) in engines() {
        for n in [1, 2, 15, 16, 33, 200, 2500] {
            let x = kroton::scalar::<f32>("x");
            let numbers = kroton::arange(n).cast::<f32>();
            let best = [(&numbers * &x).argmax(..), ((&numbers - &x) * (&numbers - &x)).argmin(..)];
            let f = Compiler::new().device(device).compile([&x], &best).unwrap();
            for at in [0.0, 1.0, 14.0, 31.0, 170.0, 2200.0] {
                let [largest, nearest]: [i64; 2] = f.call((at as f32,)).unwrap();
                let want = [if at > 0.0 { n - 1 } else { 0 }, (n - 1).min(at as i64)];
                assert_eq!([largest, nearest], want, "{n}, {at}");
            }
        }
    }
}
