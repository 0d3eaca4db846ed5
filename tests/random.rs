//! Random numbers: the streams, their bits on every engine and number of threads, and what they are distributed like.

mod common;

use common::{engines, plain, scalars};
use kroton::{Array, Compiler, DType, Device, Expr, Stage, compile, random, scalar};

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
