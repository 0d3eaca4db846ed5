//! Random numbers: the streams, their bits on every engine and number of threads, and what they are distributed like.

mod common;

use common::statistics::{assert_share, kolmogorov};
use common::{engines, plain, scalars};
use kroton::{Array, Compiler, DType, Device, Expr, InstructionSet, Scalar, Stage, compile, random, scalar, vector};

/// Every kind of draw, in a shape of many blocks and a tail, under a key that is an input.
fn draws(key: &Expr) -> Vec<Expr> {
    let n = 1_037;
    vec![
        random::bits::<u32>(key, [n]),
        random::bits::<u64>(key, [n]),
        random::uniform::<f32>(key, [17, 61]),
        random::uniform::<f64>(key, [17, 61]),
        random::bernoulli(key, 0.3, [n]),
        random::randint::<i32>(key, -7, 1000, [n]),
        random::randint::<i64>(key, i64::MIN, i64::MAX, [n]),
        random::randint::<u8>(key, 0, 256, [n]),
        random::split_into(key, n),
    ]
}

fn arrays(compiler: Compiler, seed: u64) -> Vec<Array> {
    let seed_input = scalar::<u64>("seed");
    let f = compiler.compile([&seed_input], draws(&random::key(&seed_input))).unwrap();
    f.call::<Vec<Array>>((seed,)).unwrap()
}

/// The bits that an interpreter gives are those of every engine.
#[test]
fn every_engine_gives_the_same_bits() {
    for seed in [0, 42, u64::MAX] {
        let expected: Vec<_> = arrays(plain(Device::Interpreter), seed).iter().map(scalars).collect();
        for (name, device) in engines() {
            for (index, (got, expected)) in arrays(plain(device), seed).iter().zip(&expected).enumerate() {
                assert_eq!(&scalars(got), expected, "draw {index} on {name}");
            }
        }
        for (index, (got, expected)) in arrays(Compiler::new(), seed).iter().zip(&expected).enumerate() {
            assert_eq!(&scalars(got), expected, "draw {index}, optimized");
        }
    }
}

/// The same bits on GPUs, whatever these lack; 64-bit numbers, f64 and bools of f64 are for those that have them.
#[cfg(feature = "gpu")]
#[test]
fn devices_give_the_same_bits() {
    use common::{Argument, Layout, gpu};
    let seed_input = scalar::<u64>("seed");
    let key = random::key(&seed_input);
    let seed = [kroton::Scalar::U64(0x9e37_79b9_7f4a_7c15)];
    let seed = Argument::new(DType::U64, &[], seed.to_vec(), Layout::Contiguous);
    for engine in gpu::MASKS.iter().filter_map(|&(name, mask)| gpu::Engine::new(name, mask)) {
        for (index, draw) in draws(&key).into_iter().enumerate() {
            let needs_f64 = draw.dtype() == DType::F64 || draw.dtype() == DType::Bool;
            if needs_f64 && !engine.computes(DType::F64) {
                continue;
            }
            let oracle = plain(Device::Interpreter).compile([&seed_input], &draw).unwrap();
            let expected = common::call_scalars(&oracle, &[&seed]).unwrap();
            let f = engine.compiler().compile([&seed_input], &draw).unwrap();
            let got = engine.call(&f, &[&seed]).unwrap();
            assert_eq!(scalars(&got[0]), expected, "draw {index} on {}", engine.name);
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_pieces() {
    let n = scalar::<i64>("n");
    let (kx, ky) = random::split(&random::key(7));
    let (x, y) = (random::uniform::<f64>(&kx, [&n]), random::uniform::<f64>(&ky, [&n]));
    let outputs = (&x, (&x * &x + &y * &y).lt(1.0).sum(..), random::normal::<f64>(&kx, [&n]).sum(..));
    let run = |compiler: Compiler| {
        let f = compiler.compile([&n], outputs.clone()).unwrap();
        f.call::<(Vec<f64>, i64, f64)>((100_003_i64,)).unwrap()
    };
    let expected = run(Compiler::new().threads(1));
    for threads in [2, 8] {
        assert!(run(Compiler::new().threads(threads).parallel_threshold(1)) == expected, "{threads} threads");
    }
}

/// A reduction is the same whether its elements are drawn on the way, some blocks at a time, or were stored before.
#[test]
fn drawn_elements_are_reduced_as_stored_ones() {
    let (seed, n) = (scalar::<u64>("seed"), scalar::<i64>("n"));
    let (for_x, for_y) = random::split(&random::key(&seed));
    let drawn = [random::uniform::<f32>(&for_x, [&n]), random::normal::<f64>(&for_y, [&n])];
    let stored = [vector::<f32>("x"), vector::<f64>("y")];
    let reductions = |[x, y]: &[Expr; 2]| -> Vec<Expr> {
        vec![x.sum(..), y.sum(..), x.argmax(..), y.argmin(..), (x * x + y).lt(0.5).sum(..)]
    };
    let draw = compile([&seed, &n], drawn.to_vec()).unwrap();
    let alone = reductions(&drawn).into_iter().map(|reduced| compile([&seed, &n], [reduced]).unwrap());
    let alone: Vec<_> = alone.collect();
    let all = compile([&seed, &n], reductions(&drawn)).unwrap();
    let of_stored = compile(&stored, reductions(&stored)).unwrap();
    for length in [1_i64, 31, 1_023, 1_024, 1_025, 1_759, 2_080, 3_456, 5_000, 65_536, 70_001] {
        let arrays: Vec<Array> = draw.call((7_u64, length)).unwrap();
        let expected: Vec<_> =
            of_stored.call::<Vec<Array>>((&arrays[0], &arrays[1])).unwrap().iter().map(scalars).collect();
        let got: Vec<_> = all.call::<Vec<Array>>((7_u64, length)).unwrap().iter().map(scalars).collect();
        assert_eq!(got, expected, "{length} elements");
        for (f, expected) in alone.iter().zip(&expected) {
            let got: Vec<Array> = f.call((7_u64, length)).unwrap();
            assert_eq!(&scalars(&got[0]), expected, "{length} elements, alone");
        }
    }
}

/// Element `e` is number `e`, whatever the shape; a slice computes the same.
#[test]
fn elements_are_numbered_in_row_major_order() {
    let key = random::key(3);
    let flat = random::bits::<u64>(&key, [24]);
    let cube = random::bits::<u64>(&key, (2, 3, 4));
    let part = cube.permute([2, 0, 1]).slice(kroton::s![1.., ..;-1, 2]);
    let f = compile([], (&flat, &cube, &part, random::bits::<u64>(&key, ()))).unwrap();
    let (flat, cube, part, one): (Vec<u64>, ndarray::Array3<u64>, ndarray::Array2<u64>, u64) = f.call(()).unwrap();
    assert_eq!(flat, cube.iter().copied().collect::<Vec<_>>());
    for ((k, i), &value) in part.indexed_iter() {
        assert_eq!(value, cube[[1 - i, 2, k + 1]]);
    }
    assert_eq!(one, flat[0]);
}

/// Elements at any distance from each other, one after the other, backwards, or all but the first few, as every
/// instruction set draws them.
#[test]
fn elements_at_distances_are_those_of_the_whole() {
    let seed = scalar::<u64>("seed");
    let key = random::key(&seed);
    let whole: Vec<_> = arrays(plain(Device::Interpreter), 7).iter().map(scalars).collect();
    let views = |draw: &Expr| {
        let draw = draw.reshape([1_037]);
        let slices = [kroton::s![..;2], kroton::s![..;-1], kroton::s![5..;-3], kroton::s![3..], kroton::s![6..1000;7]];
        slices.map(|slice| draw.slice(slice))
    };
    let picked = |all: &[Scalar]| -> [Vec<Scalar>; 5] {
        let pick = |numbers: &mut dyn Iterator<Item = usize>| numbers.map(|index| all[index]).collect();
        let n = all.len();
        [
            pick(&mut (0..n).step_by(2)),
            pick(&mut (0..n).rev()),
            pick(&mut (5..n).rev().step_by(3)),
            pick(&mut (3..n)),
            pick(&mut (6..1000).step_by(7)),
        ]
    };
    for set in InstructionSet::ALL {
        let compiler = Compiler::new().device(Device::Cpu).isa(set);
        for (draw, all) in draws(&key).iter().zip(&whole) {
            // A function for each view, lest what they share be drawn as a whole.
            for (view, expected) in views(draw).into_iter().zip(picked(all)) {
                let f = match compiler.compile([&seed], &view) {
                    Err(kroton::Error::Unsupported(reason)) if reason.contains("does not have it") => break,
                    compiled => compiled.unwrap(),
                };
                let got: Array = f.call((7_u64,)).unwrap();
                assert_eq!(scalars(&got), expected, "{view:?} with {set:?}");
            }
        }
    }
}

#[test]
fn sizes_may_be_expressions_and_empty() {
    let x = kroton::matrix::<f32>("x");
    let noise = random::uniform::<f32>(&random::key(1), (x.shape(0), x.shape(1)));
    let f = compile([&x], &x + noise).unwrap();
    for shape in [(0, 5), (3, 0), (3, 5)] {
        let sum: ndarray::Array2<f32> = f.call((&ndarray::Array2::<f32>::zeros(shape),)).unwrap();
        assert_eq!(sum.dim(), shape);
        assert!(sum.iter().all(|u| (0.0..1.0).contains(u)));
    }
}

/// Each element has the stream of its own key.
#[test]
fn keys_broadcast() {
    let keys = random::fold_in(&random::key(5), kroton::arange(4));
    let all = random::bits::<u64>(&keys.expand_dims(-1), [4, 3]);
    let single = |i: i64| random::bits::<u64>(&random::fold_in(&random::key(5), i), [12]);
    let f = compile([], (all, single(0), single(3))).unwrap();
    let (all, first, last): (ndarray::Array2<u64>, Vec<u64>, Vec<u64>) = f.call(()).unwrap();
    assert_eq!((all[[0, 1]], all[[3, 2]]), (first[1], last[11]));
}

/// The plan of a π estimate is one kernel without memory that grows with the number of samples.
#[test]
fn an_estimate_of_pi_allocates_nothing() {
    for dtype in [DType::F32, DType::F64] {
        let n = scalar::<i64>("n");
        let (kx, ky) = random::split(&random::key(42));
        let draw = |key: &Expr| match dtype {
            DType::F32 => random::uniform::<f32>(key, [&n]),
            _ => random::uniform::<f64>(key, [&n]),
        };
        let (x, y) = (draw(&kx), draw(&ky));
        let pi = 4.0 * (&x * &x + &y * &y).le(1.0).sum(..) / &n;
        let f = compile([&n], pi).unwrap();
        let plan = f.dump(Stage::Schedule).unwrap();
        assert!(plan.lines().filter(|line| line.contains("slot")).all(|line| !line.contains("[n]")), "{plan}");
        let estimate: f64 = f.call((3_000_000_i64,)).unwrap();
        assert!((estimate - std::f64::consts::PI).abs() < 5e-3, "{estimate}");
    }
}

#[test]
fn bad_input_is_an_error_that_says_what_to_do() {
    let key = random::key(1);
    let message = |expr: Expr| compile([], expr).unwrap_err().to_string();
    let cases = [
        (random::uniform::<f64>(&key, [-3]), "negative size"),
        (random::uniform::<f64>(&key, (2, -1)), "negative size"),
        (random::uniform::<f64>(&kroton::constant(1.5), [3]), "a key is u64"),
        (random::key(1.5), "a seed is an integer"),
        (random::fold_in(&key, 0.5), "folded into a key is an integer"),
        (random::randint::<i32>(&key, 3, 3, [2]), "the range is empty"),
        (random::randint::<u8>(&key, 0, 257, [2]), "u8 holds 0 to 255"),
        (random::randint::<i32>(&key, 0.0, 2, [2]), "integers as bounds"),
        (random::uniform::<f64>(&key, [2.5]), "size"),
    ];
    for (expr, part) in cases {
        let text = message(expr);
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
    let n = scalar::<i64>("n");
    let f = compile([&n], random::uniform::<f64>(&key, [&n]).sum(..)).unwrap();
    let error = f.call::<f64>((-1_i64,)).unwrap_err().to_string();
    assert!(error.contains("-1"), "{error}");
    let whole = compile([&n], random::uniform::<f64>(&key, [&n])).unwrap();
    assert!(whole.call::<Vec<f64>>((i64::MAX,)).is_err());
    assert_eq!(f.call::<f64>((0_i64,)).unwrap(), 0.0);
    let of_key_array = random::uniform::<f64>(&random::split_into(&key, 3), [4]);
    assert!(compile([], of_key_array).and_then(|f| f.call::<Vec<f64>>(())).is_err());
}

/// Draws of a statistical test: ten million where kernels are optimized code.
const DRAWS: i64 = if cfg!(debug_assertions) { 1_000_000 } else { 10_000_000 };

/// Moments, within five standard deviations of what the distributions have.
#[test]
fn moments_of_draws() {
    let n = DRAWS;
    let size = scalar::<i64>("n");
    let moments = |x: Expr| [x.mean(..), x.square().mean(..), (&x * &x * &x).mean(..)];
    // Mean of xᵏ for k = 1, 2, 3, and of x⁶, which is the largest variance.
    let check = |name: &str, x: Expr, expected: [f64; 3], variances: [f64; 3]| {
        let f = compile([&size], moments(x)).unwrap();
        let got: [f64; 3] = f.call((n,)).unwrap();
        for ((got, expected), variance) in got.iter().zip(expected).zip(variances) {
            let deviation = (variance / n as f64).sqrt();
            assert!((got - expected).abs() < 5.0 * deviation, "{name}: {got}, not {expected}");
        }
    };
    let key = random::key(2026);
    let uniform = |power: f64| 1.0 / (2.0 * power + 1.0) - 1.0 / (power + 1.0).powi(2);
    let uniforms = [uniform(1.0), uniform(2.0), uniform(3.0)];
    check("uniform", random::uniform::<f64>(&key, [&size]), [0.5, 1.0 / 3.0, 0.25], uniforms);
    let single = random::uniform::<f32>(&key, [&size]).cast::<f64>();
    check("uniform f32", single, [0.5, 1.0 / 3.0, 0.25], uniforms);
    check("normal", random::normal::<f64>(&key, [&size]), [0.0, 1.0, 0.0], [1.0, 2.0, 15.0]);
    check("normal f32", random::normal::<f32>(&key, [&size]).cast::<f64>(), [0.0, 1.0, 0.0], [1.0, 2.0, 15.0]);
    check("exponential", random::exponential::<f64>(&key, [&size]), [1.0, 2.0, 6.0], [1.0, 20.0, 684.0]);
}

/// χ² over 256 classes of equal probability; its mean is 255, its standard deviation √510.
#[test]
fn draws_fill_classes_evenly() {
    let n = DRAWS;
    let key = random::key(77);
    let (k1, k2) = random::split(&key);
    let pairs = |a: &Expr, b: &Expr| {
        let upper = |key: &Expr| (random::uniform::<f64>(key, [n]) * 16.0).cast::<u8>();
        upper(a) * 16_u8 + upper(b)
    };
    let cases = [
        ("uniform f64", (random::uniform::<f64>(&key, [n]) * 256.0).cast::<u8>()),
        ("uniform f32", (random::uniform::<f32>(&key, [n]) * 256.0).cast::<u8>()),
        ("low bits", (random::bits::<u32>(&key, [n])).cast::<u8>()),
        ("randint", random::randint::<u8>(&key, 0, 256, [n])),
        ("two keys of split", pairs(&k1, &k2)),
        ("a key and its child", pairs(&key, &k1)),
        ("seeds that follow each other", pairs(&random::key(1), &random::key(2))),
        // The distribution function of the normal, which is uniform of normal numbers.
        ("normal", ((random::normal::<f64>(&key, [n]) / -2_f64.sqrt()).erfc() * 128.0).cast::<u8>()),
        ("exponential", ((-random::exponential::<f64>(&key, [n])).exp() * 256.0).cast::<u8>()),
    ];
    for (name, classes) in cases {
        let drawn: Vec<u8> = compile([], classes).unwrap().call(()).unwrap();
        let mut counts = [0_u32; 256];
        drawn.iter().for_each(|&class| counts[usize::from(class)] += 1);
        let expected = n as f64 / 256.0;
        let chi: f64 = counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
        assert!((chi - 255.0).abs() < 5.0 * 510_f64.sqrt(), "{name}: χ² is {chi}");
    }
}

/// Above 2.3 with a probability of 5·10⁻⁵.
#[test]
fn distribution_functions_of_a_million_draws() {
    let n = 1_000_000_i64;
    let key = random::key(11);
    let normal = |x: Expr| (x / -2_f64.sqrt()).erfc() * 0.5;
    let cases = [
        ("uniform", random::uniform::<f64>(&key, [n])),
        ("normal", normal(random::normal::<f64>(&key, [n]))),
        ("normal f32", normal(random::normal::<f32>(&key, [n]).cast::<f64>())),
        ("exponential", 1.0 - (-random::exponential::<f64>(&key, [n])).exp()),
    ];
    for (name, probability) in cases {
        let statistic = kolmogorov(compile([], probability).unwrap().call(()).unwrap());
        assert!(statistic < 2.3, "{name}: {statistic}");
    }
}

/// Far from the mean a normal is as rare as it should be: P(|z| > 4) = 6.334·10⁻⁵.
#[test]
fn tails_of_the_normal() {
    let n = DRAWS;
    for key in [random::key(1), random::key(2)] {
        let far = random::normal::<f64>(&key, [n]).abs().gt(4.0).sum(..);
        let hits: i64 = compile([], far).unwrap().call(()).unwrap();
        assert_share("|z| > 4", hits as f64, n as f64, 6.334_248e-5);
        let p = random::bernoulli(&key, 0.3, [n]).sum(..);
        let hits: i64 = compile([], p).unwrap().call(()).unwrap();
        assert_share("bernoulli", hits as f64, n as f64, 0.3);
    }
}
