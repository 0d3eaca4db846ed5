//! Gamma and Poisson numbers, which are drawn by rejection: their distributions, and that an element is a function of its
//! number, its key and its parameters.

mod common;

use common::statistics::{assert_chi_square, assert_mean, assert_share, kolmogorov};
use common::{engines, plain, scalars};
use kroton::{Array, Compiler, Device, Expr, compile, grad, random, scalar, vector};
use statrs::function::gamma::{digamma, gamma_lr, ln_gamma};

/// Draws of a statistical test: ten million where kernels are optimized code.
const DRAWS: i64 = if cfg!(debug_assertions) { 100_000 } else { 10_000_000 };

const SHAPES: [f64; 5] = [0.05, 0.5, 1.0, 3.3, 100.0];
const RATES: [f64; 5] = [0.1, 3.0, 9.99, 10.0, 1000.0];

fn floats(expr: Expr) -> Vec<f64> {
    compile([], expr.cast::<f64>()).unwrap().call(()).unwrap()
}

/// Every sort of draw, under a key that is an input, with constant parameters and one for each element.
fn draws(key: &Expr, parameters: &Expr) -> Vec<Expr> {
    let n = parameters.len();
    vec![
        random::gamma::<f64>(key, 0.3, [&n]),
        random::gamma::<f64>(key, parameters, [&n]),
        random::gamma::<f32>(key, parameters, [&n]),
        random::poisson(key, 4.5, [&n]),
        random::poisson(key, parameters, [&n]),
        random::poisson(key, parameters.cast::<f32>(), [&n]),
        random::gamma::<f64>(key, 2, ()),
    ]
}

/// From nothing to far beyond what f32 counts, and what has no distribution.
fn parameters(count: usize) -> Vec<f64> {
    const SPECIAL: [f64; 9] = [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-300, 1e300, 2e18];
    (0..count).map(|i| if i % 16 == 0 { SPECIAL[i / 16 % 9] } else { 1e-2 * 1.04_f64.powi(i as i32) }).collect()
}

fn arrays(compiler: Compiler, seed: u64, parameters: &[f64]) -> Vec<Array> {
    let (seed_input, input) = (scalar::<u64>("seed"), vector::<f64>("parameters"));
    let f = compiler.compile([&seed_input, &input], draws(&random::key(&seed_input), &input)).unwrap();
    f.call((seed, parameters)).unwrap()
}

#[test]
fn every_engine_gives_the_same_bits() {
    let parameters = parameters(531);
    for seed in [0, u64::MAX] {
        let expected: Vec<_> = arrays(plain(Device::Interpreter), seed, &parameters).iter().map(scalars).collect();
        for (name, device) in engines() {
            for (index, (got, expected)) in arrays(plain(device), seed, &parameters).iter().zip(&expected).enumerate() {
                let difference = common::difference(&scalars(got), expected);
                assert_eq!(difference, None, "draw {index} on {name}");
            }
        }
    }
}

#[test]
fn threads_and_lengths_change_no_element() {
    let parameters = parameters(2_500);
    let all = arrays(Compiler::new().threads(1), 7, &parameters);
    for threads in [2, 8] {
        let again = arrays(Compiler::new().threads(threads).parallel_threshold(1), 7, &parameters);
        assert_eq!(format!("{again:?}"), format!("{all:?}"), "{threads} threads");
    }
    for length in [0, 1, 17, 1000] {
        for (index, (part, all)) in arrays(Compiler::new(), 7, &parameters[..length]).iter().zip(&all).enumerate() {
            let (part, all) = (scalars(part), scalars(all));
            assert_eq!(common::difference(&part, &all[..part.len()]), None, "draw {index}, {length} elements");
        }
    }
}

/// An element does not depend on what others do, nor on the shape that it is in.
#[test]
fn elements_are_functions_of_their_number_key_and_parameters() {
    let key = random::key(5);
    let shapes = vector::<f64>("shapes");
    let cube = random::gamma::<f64>(&key, shapes.expand_dims(-1), (2, 300));
    let single = |shape: f64| random::gamma::<f64>(&key, shape, [600]);
    let f = compile([&shapes], (cube.reshape([-1]), single(0.25), single(7.0))).unwrap();
    let (cube, low, high): (Vec<f64>, Vec<f64>, Vec<f64>) = f.call((&[0.25, 7.0],)).unwrap();
    assert_eq!((&cube[..300], &cube[300..]), (&low[..300], &high[300..]));
    let keys = random::fold_in(&key, kroton::arange(3));
    let counts = random::poisson(&keys.expand_dims(-1), 20.0, (3, 50));
    let last = random::poisson(&random::fold_in(&key, 2), 20.0, [150]);
    let (counts, last): (ndarray::Array2<i64>, Vec<i64>) = compile([], (counts, last)).unwrap().call(()).unwrap();
    assert_eq!(counts.row(2).to_vec(), last[100..]);
}

#[test]
fn parameters_without_a_distribution_are_marked() {
    let odd = [0.0, -0.0, -2.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-310];
    let p = vector::<f64>("p");
    let draws = |key: &Expr| (random::gamma::<f64>(key, &p, [7]), random::poisson(key, &p, [7]));
    for device in [Device::Interpreter, Device::Loops, Device::Cpu] {
        let f = Compiler::new().device(device).compile([&p], draws(&random::key(1))).unwrap();
        let (gammas, counts): (Vec<f64>, Vec<i64>) = f.call((&odd,)).unwrap();
        let marked = [true, true, true, true, false, true, false];
        assert_eq!(gammas.iter().map(|x| x.is_nan()).collect::<Vec<_>>(), marked);
        assert_eq!((gammas[4], gammas[6]), (f64::INFINITY, 0.0));
        assert_eq!(counts, [0, 0, -1, -1, i64::MAX, -1, 0]);
    }
    let huge = |rate: f64| floats(random::poisson(&random::key(1), rate, [1000]));
    assert!(huge(1e30).iter().all(|&count| count == i64::MAX as f64));
    assert!(huge(9e18).iter().all(|&count| (count / 9e18 - 1.0).abs() < 1e-8));
}

#[test]
fn bad_input_is_an_error_that_says_what_to_do() {
    let key = random::key(1);
    let matrix = kroton::constant(ndarray::array![[1.0, 2.0], [3.0, 4.0]]);
    let cases = [
        (random::gamma::<f64>(&key, 2.0, [-3]), "negative size"),
        (random::poisson(&key, 2.0, (2, -1)), "negative size"),
        (random::gamma::<f64>(&kroton::constant(1.5), 1.0, [3]), "a key is u64"),
        (random::poisson(&kroton::constant(1_i64), 1.0, [3]), "a key is u64"),
        (random::gamma::<f32>(&key, &matrix, [2]), "broadcast"),
        (random::poisson(&key, &matrix, (3, 2)), "broadcast"),
        (random::poisson(&key, 1.0, [2.5]), "size"),
    ];
    for (expr, part) in cases {
        let text = compile([], expr).unwrap_err().to_string();
        assert!(text.contains(part), "{text:?} does not say {part:?}");
        assert!(text.contains("rejection.rs"), "{text:?} does not name the line");
    }
    let n = scalar::<i64>("n");
    for draw in [random::gamma::<f64>(&key, 2.0, [&n]).sum(..), random::poisson(&key, 2.0, [&n]).sum(..).cast::<f64>()]
    {
        let f = compile([&n], draw).unwrap();
        assert!(f.call::<f64>((-1_i64,)).unwrap_err().to_string().contains("-1"));
        assert_eq!(f.call::<f64>((0_i64,)).unwrap(), 0.0);
    }
}

/// Draws are constants of a derivative.
#[test]
fn derivatives_by_parameters_are_zero() {
    let (a, scale) = (scalar::<f64>("a"), scalar::<f64>("scale"));
    let draw = random::gamma::<f64>(&random::key(3), &a, [20]);
    let loss = (&draw * &scale * &a).sum(..);
    let f = compile([&a, &scale], [vec![draw.sum(..)], grad(&loss, [&a, &scale]).unwrap()].concat()).unwrap();
    let [sum, by_a, by_scale]: [f64; 3] = f.call((1.5, 2.0)).unwrap();
    assert!((by_a - sum * 2.0).abs() < 1e-12 * sum && (by_scale - sum * 1.5).abs() < 1e-12 * sum);
}

/// ψ₁, the derivative of the digamma function: the variance of the logarithm.
fn trigamma(a: f64) -> f64 {
    let x = a + 20.0;
    let series = 1.0 / x + 0.5 / x.powi(2) + 1.0 / (6.0 * x.powi(3)) - 1.0 / (30.0 * x.powi(5));
    (0..20).map(|i| (a + f64::from(i)).powi(-2)).sum::<f64>() + series
}

#[test]
fn moments_of_gamma() {
    let n = DRAWS;
    let moment = |a: f64, k: i32| (0..k).map(|i| a + f64::from(i)).product::<f64>();
    for a in SHAPES {
        let means = |x: Expr| (x.mean(..), x.square().mean(..), x.ln().mean(..));
        let x = random::gamma::<f64>(&random::key(2026), a, [n]);
        let single = random::gamma::<f32>(&random::key(2027), a, [n]).cast::<f64>();
        for (dtype, x) in [("f64", x), ("f32", single)] {
            let (first, second, logarithm): (f64, f64, f64) = compile([], means(x)).unwrap().call(()).unwrap();
            let (what, n) = (format!("gamma({a}) in {dtype}"), n as f64);
            assert_mean(&what, first, n, a, a);
            assert_mean(&what, second, n, moment(a, 2), moment(a, 4) - moment(a, 2).powi(2));
            if dtype == "f64" {
                assert_mean(&format!("logarithm of {what}"), logarithm, n, digamma(a), trigamma(a));
            }
        }
    }
}

#[test]
fn distribution_functions_of_gamma() {
    let n = DRAWS.min(1_000_000);
    for a in SHAPES {
        let double = floats(random::gamma::<f64>(&random::key(11), a, [n]));
        let single = floats(random::gamma::<f32>(&random::key(12), a, [n]));
        // What f32 cannot hold is zero.
        let zeros = single.iter().filter(|&&x| x == 0.0).count();
        let too_small = gamma_lr(a, f64::from(f32::from_bits(1)) / 2.0);
        if a < 0.1 {
            assert_share("zeros in f32", zeros as f64, n as f64, too_small);
        } else {
            assert_eq!(zeros, 0);
        }
        let numbers = |drawn: Vec<f64>| drawn.into_iter().map(|x| if x > 0.0 { gamma_lr(a, x) } else { too_small });
        for (dtype, drawn) in [("f64", double), ("f32", single)] {
            // Above 2.3 with a probability of 5·10⁻⁵; equal zeros stand apart.
            let statistic = match zeros {
                0 => kolmogorov(numbers(drawn).collect()),
                _ => kolmogorov(
                    numbers(drawn).filter(|&p| p > too_small).map(|p| (p - too_small) / (1.0 - too_small)).collect(),
                ),
            };
            assert!(statistic < 2.3, "gamma({a}) in {dtype}: {statistic}");
        }
    }
}

/// Classes of counts, each with an expectation of 50 at least, and how often each was drawn.
fn classes(rate: f64, drawn: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let n = drawn.len() as f64;
    let last = (rate + 12.0 * rate.sqrt() + 30.0) as usize;
    let mut counts = vec![0.0; last + 1];
    drawn.iter().for_each(|&count| counts[(count as usize).min(last)] += 1.0);
    let (mut observed, mut expected, mut open) = (Vec::new(), Vec::new(), (0.0, 0.0));
    let mut rest = n;
    for (k, count) in counts.iter().enumerate() {
        let k = k as f64;
        let probability = (k * rate.ln() - rate - ln_gamma(k + 1.0)).exp();
        open = (open.0 + count, open.1 + n * probability);
        rest -= n * probability;
        if open.1 >= 50.0 && rest >= 50.0 {
            observed.push(open.0);
            expected.push(open.1);
            open = (0.0, 0.0);
        }
    }
    observed.push(open.0);
    expected.push(n - expected.iter().sum::<f64>());
    (observed, expected)
}

#[test]
fn counts_of_poisson() {
    for rate in RATES {
        let double = floats(random::poisson(&random::key(21), rate, [DRAWS]));
        let single = floats(random::poisson(&random::key(22), kroton::constant(rate as f32), [DRAWS]));
        for (dtype, drawn, rate) in [("f64", double, rate), ("f32", single, f64::from(rate as f32))] {
            let (what, n) = (format!("poisson({rate}) in {dtype}"), drawn.len() as f64);
            assert_mean(&what, drawn.iter().sum::<f64>() / n, n, rate, rate);
            let second = drawn.iter().map(|x| (x - rate).powi(2)).sum::<f64>() / n;
            assert_mean(&format!("square of {what}"), second, n, rate, rate + 2.0 * rate * rate);
            let (observed, expected) = classes(rate, &drawn);
            assert_chi_square(&what, &observed, &expected);
        }
    }
}

/// Where the parameter is large both are normal, but for a skewness of 1 or 2 over its root.
#[test]
fn large_parameters() {
    let n = DRAWS;
    let check = |what: &str, drawn: Expr, parameter: f64, skewness: f64| {
        let z: Vec<f64> = floats((drawn.cast::<f64>() - parameter) / parameter.sqrt());
        let mean = |power: i32| z.iter().map(|z| z.powi(power)).sum::<f64>() / n as f64;
        for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, skewness, 15.0), (4, 3.0, 96.0)] {
            assert_mean(&format!("power {power} of {what}"), mean(power), n as f64, expected, variance * 1.01);
        }
    };
    let key = random::key(31);
    for parameter in [1e5, 1e7, 1e12] {
        let root = f64::sqrt(parameter);
        check("gamma", random::gamma::<f64>(&key, parameter, [n]), parameter, 2.0 / root);
        check("poisson", random::poisson(&key, parameter, [n]), parameter, 1.0 / root);
    }
    // As long as f32 has hundreds of numbers within a standard deviation.
    for parameter in [1e4_f32, 1e6] {
        let (value, root) = (f64::from(parameter), f64::from(parameter).sqrt());
        check("gamma in f32", random::gamma::<f32>(&key, parameter, [n]), value, 2.0 / root);
        check("poisson in f32", random::poisson(&key, kroton::constant(parameter), [n]), value, 1.0 / root);
    }
}

/// What two draws have to do with each other: nothing, if their keys are two.
#[test]
fn keys_of_split_are_independent() {
    let n = DRAWS;
    let (k1, k2) = random::split(&random::key(8));
    let standard = |x: Expr, parameter: f64| (x.cast::<f64>() - parameter) / parameter.sqrt();
    let pairs = [
        (
            "gamma",
            standard(random::gamma::<f64>(&k1, 3.0, [n]), 3.0),
            standard(random::gamma::<f64>(&k2, 3.0, [n]), 3.0),
        ),
        ("poisson", standard(random::poisson(&k1, 3, [n]), 3.0), standard(random::poisson(&k2, 3, [n]), 3.0)),
        ("both", standard(random::poisson(&k1, 30, [n]), 30.0), standard(random::gamma::<f64>(&k1, 3.0, [n]), 3.0)),
        (
            "uniform",
            standard(random::gamma::<f64>(&k1, 3.0, [n]), 3.0),
            (random::uniform::<f64>(&k1, [n]) - 0.5) * 12_f64.sqrt(),
        ),
    ];
    for (what, x, y) in pairs {
        let neighbors = (x.slice(kroton::s![1..]) * x.slice(kroton::s![..-1])).mean(..);
        let f = compile([], ((x * y).mean(..), neighbors)).unwrap();
        let (correlation, of_neighbors): (f64, f64) = f.call(()).unwrap();
        assert_mean(&format!("correlation of {what}"), correlation, n as f64, 0.0, 1.0);
        assert_mean(&format!("correlation of neighbors of {what}"), of_neighbors, (n - 1) as f64, 0.0, 1.0);
    }
}

/// A GPU's functions are less exact: nearly all elements are those of the oracle within some ULP, and the few others are such
/// whose acceptance was close.
#[cfg(feature = "gpu")]
#[test]
fn devices_give_the_same_elements_but_for_close_acceptances() {
    use common::{Argument, Layout, gpu};
    use kroton::Scalar;
    let (seed_input, input) = (scalar::<u64>("seed"), vector::<f32>("parameters"));
    let key = random::key(&seed_input);
    let draws = [random::gamma::<f32>(&key, &input, [input.len()]), random::poisson(&key, &input, [input.len()])];
    let seed = Argument::new(kroton::DType::U64, &[], vec![Scalar::U64(77)], Layout::Contiguous);
    let values = (0..2000).map(|i| Scalar::F32(0.05 * 1.004_f32.powi(i))).collect();
    let values = Argument::new(kroton::DType::F32, &[2000], values, Layout::Contiguous);
    for engine in gpu::MASKS.iter().filter_map(|&(name, mask)| gpu::Engine::new(name, mask)) {
        for (index, draw) in draws.iter().enumerate() {
            let oracle = plain(Device::Interpreter).compile([&seed_input, &input], draw).unwrap();
            let expected = common::call_scalars(&oracle, &[&seed, &values]).unwrap();
            let f = engine.compiler().compile([&seed_input, &input], draw).unwrap();
            let got = scalars(&engine.call(&f, &[&seed, &values]).unwrap()[0]);
            let near = |(a, b): &(Scalar, Scalar)| (a.to_f64() - b.to_f64()).abs() <= 1e-4 * b.to_f64().abs();
            let other = got.into_iter().zip(expected).filter(|pair| !near(pair)).count();
            assert!(other <= 4, "draw {index} on {}: {other} of 2000 elements differ", engine.name);
        }
    }
}
