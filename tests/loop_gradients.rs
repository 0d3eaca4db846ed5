//! Derivatives of loops on every engine and any number of threads, known formulas, what they must not let through, what
//! they refuse, and what they cost.

mod common;

use std::time::Instant;

use common::{difference, engines, scalars};
use kroton::{
    Arg, Array, Compiler, Device, Error, Expr, OnUnused, OptLevel, Stage, arange, compile, constant, grad, hessian,
    iterate, iterate_indexed, iterate_while, iterate_while_at_most, jacobian, jvp, matrix, scalar, scan, scan_until,
    vector,
};
use ndarray::{Array1, Array2};

/// Compiles for every engine and for some numbers of threads, calls, and compares all bits with the oracle's; returns
/// these.
#[track_caller]
fn agree(inputs: &[&Expr], outputs: &[Expr], args: &[Arg<'_>]) -> Vec<Vec<f64>> {
    agree_within(0.0, inputs, outputs, args)
}

/// As `agree`; matrix products and long sums are added up in other orders than the oracle's, within a relative error,
/// and in one order on any number of threads.
#[track_caller]
fn agree_within(error: f64, inputs: &[&Expr], outputs: &[Expr], args: &[Arg<'_>]) -> Vec<Vec<f64>> {
    let mut last = Vec::new();
    for level in [OptLevel::None, OptLevel::Full] {
        let compiler = || Compiler::new().optimize(level).on_unused_input(OnUnused::Ignore);
        let on_engines = engines().map(|(name, device)| (name.to_string(), compiler().device(device)));
        let on_threads = [1, 2, 8].map(|n| (format!("{n} threads"), compiler().device(Device::Cpu).threads(n)));
        let mut expected: Option<Vec<Array>> = None;
        for (place, (name, compiler)) in on_engines.into_iter().chain(on_threads).enumerate() {
            let f = compiler.compile(inputs, outputs).unwrap();
            let results: Vec<Array> = f.call(args).unwrap();
            if error > 0.0 && (place == 1 || place == 2) {
                for (got, wanted) in results.iter().zip(expected.take().unwrap()) {
                    let (got, wanted) = (got.as_slice::<f64>().unwrap(), wanted.as_slice::<f64>().unwrap());
                    let size = wanted.iter().fold(0.0_f64, |size, x| size.max(x.abs()));
                    assert!(got.iter().zip(wanted).all(|(a, b)| (a - b).abs() <= error * size), "{name}: {got:?}");
                }
            }
            let expected = expected.get_or_insert_with(|| results.clone());
            for (number, (got, wanted)) in results.iter().zip(expected).enumerate() {
                assert_eq!(got.shape(), wanted.shape(), "{name}: result {number}");
                if let Some(text) = difference(&scalars(got), &scalars(wanted)) {
                    panic!("{name} {level:?}: result {number}: {text}\n{}", f.dump(Stage::All).unwrap());
                }
            }
            last = results.iter().map(|result| result.as_slice::<f64>().unwrap().to_vec()).collect();
        }
    }
    last
}

#[track_caller]
fn near(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{got}, not {expected}");
    }
}

fn values(count: usize) -> Vec<f64> {
    (0..count).map(|i| 0.3 + (i * 37 % 101) as f64 / 211.0).collect()
}

#[test]
fn all_engines_and_threads_agree_on_elements() {
    let (x, y, k) = (vector::<f64>("x"), vector::<f64>("y"), scalar::<f64>("k"));
    let [a, b] = iterate_indexed(5, [&x, &y], |i, [a, b]| {
        let b = (&b - 0.125 * &k * &a) * (1.0 - &a) + 0.01 * i;
        [(&a + 0.25 * &b * &b).sqrt(), b]
    })
    .unwrap();
    let [c] = iterate_while_at_most(9, |[c]| c.lt(1.5), [&x], |[c]| [&c * &k + &y]).unwrap();
    let loss = (&a * &b + c).sum(..);
    let mut outputs = grad(&loss, [&x, &y, &k]).unwrap();
    outputs.push(jvp(&loss, [(&k, 1.0)]).unwrap());
    for count in [0, 1, 7, 1003] {
        let (xs, ys) = (values(count), values(count + 1)[1..].to_vec());
        let results = agree(&[&x, &y, &k], &outputs, &[Arg::from(&xs), Arg::from(&ys), Arg::from(&1.25)]);
        near(&results[2], &results[3]);
    }
}

#[test]
fn all_engines_and_threads_agree_on_matrices_and_rows() {
    let (w, xs, h) = (matrix::<f64>("w"), matrix::<f64>("xs"), vector::<f64>("h"));
    let ([last], [out], _) = scan_until(&xs, [&h], |row, [h]| {
        let next = (w.matmul(&h) + &row) / (1.0 + h.square().sum(..));
        ([next.clone()], [&next * row], next.sum(..).gt(2.0))
    })
    .unwrap();
    let loss = (&last * &last).sum(..) + out.sum(..);
    let mut outputs = grad(&loss, [&w, &xs, &h]).unwrap();
    outputs.push(grad(&outputs[0].square().sum(..), [&h]).unwrap().remove(0));
    for (rows, size) in [(0, 3), (1, 1), (6, 4), (9, 33)] {
        let square = Array2::from_shape_vec((size, size), values(size * size)).unwrap();
        let rest = Array2::from_shape_vec((rows, size), values(rows * size)).unwrap();
        let first = Array1::from(values(size));
        let args = [Arg::from(&square), Arg::from(&rest), Arg::from(&first)];
        assert_eq!(agree_within(1e-11, &[&w, &xs, &h], &outputs, &args)[1].len(), rows * size);
    }
}

#[test]
fn loops_in_loops_agree_on_engines() {
    let (m, k) = (matrix::<f64>("m"), scalar::<f64>("k"));
    let [y] = iterate(3, [&m], |[m]| {
        let ([s], [h]) = scan(&m, [&m.sum(0)], |row, [s]| ([&s * &k + &row], [s * row])).unwrap();
        [h * 0.125 + s]
    })
    .unwrap();
    let gradients = grad(&y.square().sum(..), [&m, &k]).unwrap();
    let square = Array2::from_shape_vec((4, 3), values(12)).unwrap();
    agree(&[&m, &k], &gradients, &[Arg::from(&square), Arg::from(&0.75)]);
}

#[test]
fn known_formulas() {
    let (x, n) = (vector::<f64>("x"), scalar::<i64>("n"));
    // Newton's method: the derivative of the root.
    let [root] = iterate(&n, [&x], |[r]| [0.5 * (&r + &x / &r)]).unwrap();
    let f = compile([&x, &n], grad(&root.sum(..), [&x]).unwrap().remove(0)).unwrap();
    near(&f.call::<Vec<f64>>((&[4.0, 9.0, 2.0], 30)).unwrap(), &[0.25, 1.0 / 6.0, 0.125_f64.sqrt()]);
    assert_eq!(f.call::<Vec<f64>>((&[4.0, 9.0], 0)).unwrap(), [1.0, 1.0]);
    // The sensitivity of the logistic map is the product of its slopes.
    let [y] = iterate(12, [&x], |[s]| [3.75 * &s * (1.0 - s)]).unwrap();
    let slope = |mut s: f64| {
        (0..12).fold(1.0, |product, _| {
            let here = 3.75 * (1.0 - 2.0 * s);
            s *= 3.75 * (1.0 - s);
            product * here
        })
    };
    let f =
        compile([&x], (grad(&y.sum(..), [&x]).unwrap().remove(0), jvp(&y, [(&x, 1.0 + 0.0 * &x)]).unwrap())).unwrap();
    let (back, forth): (Vec<f64>, Vec<f64>) = f.call((&[0.1, 0.3, 0.77],)).unwrap();
    near(&back, &[0.1, 0.3, 0.77].map(slope));
    near(&forth, &back);
    // s ← a s + x: the slope by the row t is a^(n − 1 − t).
    let a = scalar::<f64>("a");
    let ([s], []) = scan(&x, [&constant(0.0)], |x, [s]| ([&a * s + x], [])).unwrap();
    let f = compile([&x, &a], (grad(&s, [&x]).unwrap().remove(0), grad(&s, [&a]).unwrap().remove(0))).unwrap();
    let (by_x, by_a): (Vec<f64>, f64) = f.call((&[1.0, 2.0, 4.0], 0.5)).unwrap();
    assert_eq!((by_x, by_a), (vec![0.25, 0.5, 1.0], 2.0 * 0.5 + 2.0));
    // x^8 by squaring, to third order.
    let s = scalar::<f64>("s");
    let [power] = iterate(3, [&s], |[p]| [&p * &p]).unwrap();
    let first = grad(&power, [&s]).unwrap().remove(0);
    let second = grad(&first, [&s]).unwrap().remove(0);
    let third = jvp(&second, [(&s, 1.0)]).unwrap();
    let powers: [f64; 4] = compile([&s], [&power, &first, &second, &third]).unwrap().call((1.5,)).unwrap();
    near(&powers, &[1.5_f64.powi(8), 8.0 * 1.5_f64.powi(7), 56.0 * 1.5_f64.powi(6), 336.0 * 1.5_f64.powi(5)]);
    let [power] = iterate(2, [&x], |[p]| [&p * &p]).unwrap();
    let (j, h) = (jacobian(&power, &x).unwrap(), hessian(&power.sum(..), &x).unwrap());
    let (j, h): (Array2<f64>, Array2<f64>) = compile([&x], (j, h)).unwrap().call((&[1.0, 2.0],)).unwrap();
    assert_eq!((j, h), (ndarray::array![[4.0, 0.0], [0.0, 32.0]], ndarray::array![[12.0, 0.0], [0.0, 48.0]]));
}

#[test]
fn steps_that_were_not_made_let_nothing_through() {
    let x = vector::<f64>("x");
    let zero = scalar::<f64>("zero");
    // The slope of a root is infinite at 0, where the loop stops, and in rows that are not there.
    let [s] = iterate_while_at_most(4, |[s]| s.gt(1.0), [&x], |[s]| [(s - 1.0).sqrt()]).unwrap();
    let results = agree(&[&x], &grad(&s.sum(..), [&x]).unwrap(), &[Arg::from(&[5.0, 1.0, 0.0, f64::NAN, 2.0])]);
    assert_eq!(results[0], [0.25 / 2.0, 1.0, 1.0, 1.0, 0.5]);
    let ([s], [h], _) = scan_until(&x, [&zero], |row, [s]| {
        let s = s + row.sqrt();
        ([s.clone()], [row.ln()], s.ge(3.0))
    })
    .unwrap();
    let results =
        agree(&[&x, &zero], &grad(&(s + h.sum(..)), [&x]).unwrap(), &[Arg::from(&[1.0, 4.0, 0.0]), Arg::from(&0.0)]);
    assert_eq!(results[0], [1.5, 0.5, 0.0]);
    // For the whole loop, over states of several shapes.
    let [v, _] = iterate_while_at_most(
        5,
        |[_, n]| n.lt(2),
        [&x, &constant(0_i64)],
        |[v, n]| [&v / (2 - n.clone()).cast::<f64>() * v.sum(..), n + 1],
    )
    .unwrap();
    let results = agree(&[&x], &grad(&v.sum(..), [&x]).unwrap(), &[Arg::from(&[1.0, 2.0])]);
    near(&results[0], &[27.0, 27.0]);
}

#[test]
fn branches_that_are_not_taken_let_nothing_through() {
    let (x, flag) = (vector::<f64>("x"), scalar::<bool>("flag"));
    let root = |x: &Expr| x.gt(0.0).select(x.sqrt(), 0.0);
    let [s] = iterate(3, [&x], |[s]| [root(&s)]).unwrap();
    let results = agree(&[&x], &grad(&s.sum(..), [&x]).unwrap(), &[Arg::from(&[1.0, 0.0, -1.0])]);
    assert_eq!(results[0], [0.125, 0.0, 0.0]);
    // What no step looks at is made in one step and left by a later one.
    let [a, _] = iterate(4, [&x, &x], |[a, b]| [flag.select(b, &a), a.sqrt()]).unwrap();
    let gradient = grad(&a.sum(..), [&x]).unwrap();
    let args = [Arg::from(&[0.0, 4.0]), Arg::from(&false)];
    assert_eq!(agree(&[&x, &flag], &gradient, &args)[0], [1.0, 1.0]);
    // And outside the loop.
    let [r] = iterate(2, [&x], |[r]| [r.sqrt()]).unwrap();
    let chosen = x.gt(0.5).select(r, &x);
    let results = agree(&[&x], &grad(&chosen.sum(..), [&x]).unwrap(), &[Arg::from(&[0.0, 1.0])]);
    assert_eq!(results[0], [1.0, 0.25]);
}

#[test]
fn unknown_numbers_of_steps_are_for_forward_mode() {
    let x = scalar::<f64>("x");
    let [s] = iterate_while(|[s]| s.lt(100.0), [&x], |[s]| [&s * &s]).unwrap();
    let f = compile([&x], jvp(&s, [(&x, 1.0)]).unwrap()).unwrap();
    assert_eq!(f.call::<f64>((3.0,)).unwrap(), 8.0 * 3.0_f64.powi(7));
    match grad(&s, [&x]) {
        Err(Error::Unsupported(message)) => {
            assert!(message.contains("`iterate_while`") && message.contains("loop_gradients.rs"), "{message}");
            assert!(message.contains("use `iterate_while_at_most`"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let steps = x.cast::<i64>();
    let [s] = iterate(&steps, [&x], |[s]| [&s * &s]).unwrap();
    let f = compile([&x], jvp(&s, [(&x, 1.0)]).unwrap()).unwrap();
    assert_eq!(f.call::<f64>((2.0,)).unwrap(), 4.0 * 8.0);
    let error = grad(&s, [&x]).unwrap_err().to_string();
    assert!(error.contains("its number of steps must be a number") && error.contains("`jvp`"), "{error}");
    // Without histories any number will do.
    let [s] = iterate(&steps, [&x], |[s]| [s * 3.0]).unwrap();
    let f = compile([&x], grad(&s, [&x]).unwrap().remove(0)).unwrap();
    assert_eq!(f.call::<f64>((2.0,)).unwrap(), 9.0);
}

#[test]
fn elementwise_loops_stay_kernels() {
    let (x, v, k) = (vector::<f64>("x"), vector::<f64>("v"), scalar::<f64>("k"));
    let [p, _] = iterate(50, [&x, &v], |[x, v]| [&x + 0.01 * &v, &v - 0.01 * (&k * &x * &x)]).unwrap();
    let [q] = iterate_while_at_most(9, |[q]| q.lt(1.5), [&x], |[q]| [&q * &k + &q * q.clone()]).unwrap();
    for (loss, loops) in [(p.sum(..), 2), (q.sum(..), 2)] {
        for exprs in [grad(&loss, [&x, &k]).unwrap(), vec![jvp(&loss, [(&k, 1.0)]).unwrap()]] {
            let f = Compiler::new().device(Device::Cpu).on_unused_input(OnUnused::Ignore);
            let text = f.compile([&x, &v, &k], &exprs).unwrap().dump(Stage::Schedule).unwrap();
            let kernels = text.lines().filter(|line| line.contains("in one kernel, map [x.0]")).count();
            let all = text.lines().filter(|line| line.starts_with("step") && line.contains(": loop ")).count();
            assert_eq!((kernels, all), if exprs.len() == 2 { (loops, loops) } else { (1, 1) }, "{text}");
        }
    }
}

#[test]
fn the_reverse_of_a_branch_is_a_branch() {
    let (x, w, flag) = (vector::<f64>("x"), matrix::<f64>("w"), scalar::<bool>("go"));
    let [y, _] =
        iterate_while_at_most(1, |[_, go]| go, [&x, &flag], |[y, go]| [(w.matmul(&y) + 1.0).sqrt(), !go]).unwrap();
    let gradients = grad(&y.sum(..), [&x, &w]).unwrap();
    let text = kroton::to_text([&x, &w, &flag], &gradients).unwrap();
    // No history of a masked step: one loop, under the same guard.
    let loops: Vec<&str> = text.lines().filter(|line| line.contains(" = loop ")).collect();
    assert!(loops.len() == 1 && loops[0].contains(" while ["), "{text}");
    let square = ndarray::array![[3.0, 0.0], [0.0, 0.0]];
    for (go, by_x, by_w) in [(true, [0.75, 0.0], [0.25, 0.0, 0.5, 0.0]), (false, [1.0, 1.0], [0.0; 4])] {
        let args = [Arg::from(&[1.0, 0.0]), Arg::from(&square), Arg::from(&go)];
        let results = agree(&[&x, &w, &flag], &gradients, &args);
        assert_eq!((results[0].as_slice(), results[1].as_slice()), (&by_x[..], &by_w[..]));
    }
}

#[test]
fn what_is_asked_for_and_what_does_not_move() {
    let (x, n) = (vector::<f64>("x"), vector::<i32>("n"));
    let square = &x * &x;
    // By an expression that the body uses; integers and what does not depend on it stay.
    let [y, m, _] =
        iterate(3, [&x, &n, &(&x + 1.0)], |[y, m, c]| [&y * &square + m.cast::<f64>() + &c, m + 1, c]).unwrap();
    let loss = (&y * m.cast::<f64>()).sum(..);
    let gradients = grad(&loss, [&square, &y, &x]).unwrap();
    let results = agree(&[&x, &n], &gradients, &[Arg::from(&[2.0]), Arg::from(&[5_i32])]);
    // y₁ = 2·4 + 8, y₂ = 16·4 + 9, m₃ = 8.
    near(&results[0], &[8.0 * (73.0 + 4.0 * (16.0 + 4.0 * 2.0))]);
    assert_eq!(results[1], [8.0]);
    near(&results[2], &[8.0 * (64.0 + 16.0 + 4.0 + 1.0) + 4.0 * results[0][0]]);
    let ([_], [h]) = scan(&arange(3), [&constant(0.5)], |i, [s]| ([s.sin()], [s * i])).unwrap();
    let g = grad(&(&x * &x * h.sum(..)).sum(..), [&x]).unwrap();
    assert!(compile([&x], &g[0]).unwrap().call::<Vec<f64>>((&[1.0],)).unwrap()[0] > 0.0);
}

#[test]
fn f32_and_casts_between() {
    let x = vector::<f32>("x");
    let [y] = iterate(3, [&x], |[y]| [(y.cast::<f64>() * y.cast::<f64>() + 0.25).cast::<f32>()]).unwrap();
    let g = grad(&y.sum(..), [&x]).unwrap();
    let results: Vec<f32> = compile([&x], &g[0]).unwrap().call((&[0.5_f32, 1.0],)).unwrap();
    // 0.5 is a fixed point.
    assert_eq!(results, [1.0, 8.0 * 1.25 * 1.8125]);
}

#[test]
fn loops_deep_and_many() {
    let x = scalar::<f64>("x");
    let mut deep: Box<dyn Fn(Expr) -> Expr> = Box::new(|x| x.sin());
    for _ in 0..24 {
        let inner = deep;
        deep = Box::new(move |x| {
            let [y] = iterate(1, [&x], |[s]| [inner(s) * &x]).unwrap();
            y
        });
    }
    let y = deep(x.clone());
    let outputs = [grad(&y, [&x]).unwrap().remove(0), jvp(&y, [(&x, 1.0)]).unwrap()];
    let slopes: [f64; 2] = compile([&x], &outputs).unwrap().call((1.0,)).unwrap();
    near(&slopes, &[24.0 * 1.0_f64.sin() + 1.0_f64.cos(); 2]);
    let start = Instant::now();
    let mut y = x.clone();
    for _ in 0..1000 {
        let [next] = iterate(2, [&y], |[s]| [&s * 0.5 + &y * &y * 0.25 * &s]).unwrap();
        y = next;
    }
    grad(&y, [&x]).unwrap();
    jvp(&y, [(&x, 1.0)]).unwrap();
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

#[test]
fn what_bodies_take_from_outside_is_looked_at_where_they_use_it() {
    let (x, flag) = (vector::<f64>("x"), scalar::<bool>("flag"));
    let root = x.sqrt();
    // The slope of the root is infinite at 0.
    let [a] = iterate(2, [&x], |[s]| [x.gt(0.5).select(&s + &root, s * 2.0)]).unwrap();
    let [b] = iterate_while_at_most(2, |[s]| s.gt(0.5), [&x], |[s]| [s + &root]).unwrap();
    let [c, _] = iterate_while_at_most(1, |[_, go]| go, [&x, &flag], |[s, go]| [s + &root, !go]).unwrap();
    let ([d], [], _) = scan_until(&root, [&constant(0.0)], |row, [s]| ([s + &row], [], row.ge(1.0))).unwrap();
    let outputs = [a.sum(..), b.sum(..), c.sum(..), d].map(|loss| grad(&loss, [&x]).unwrap().remove(0));
    let results = agree(&[&x, &flag], &outputs, &[Arg::from(&[1.0, 0.0]), Arg::from(&false)]);
    assert_eq!(results, [[2.0, 4.0], [2.0, 1.0], [1.0, 1.0], [0.5, 0.0]]);
}

#[test]
fn steps_that_were_not_made_are_not_made_again() {
    let (x, n) = (scalar::<f64>("x"), scalar::<i64>("n"));
    let [y] = iterate_while_at_most(
        3,
        |[y]| y.lt(10.0),
        [&x],
        |[y]| {
            let [k] = iterate_while(|[k]| k.lt(100.0), [&y], |[k]| [k * 2.0]).unwrap();
            [&y * k.stop_gradient()]
        },
    )
    .unwrap();
    let dy = grad(&y, [&x]).unwrap();
    let [z, _] = iterate_while_at_most(
        5,
        |[_, n]| n.gt(1),
        [&x, &n],
        |[y, n]| {
            let [z] = iterate(&n - 1, [&y], |[z]| [z * 2.0]).unwrap();
            [z, n - 1]
        },
    )
    .unwrap();
    let dz = grad(&z, [&x]).unwrap();
    for (_, device) in engines() {
        let compiler = || Compiler::new().device(device).on_unused_input(OnUnused::Ignore);
        let f = compiler().compile([&x, &n], &dz[0]).unwrap();
        assert_eq!(f.call::<f64>((1.0, 3_i64)).unwrap(), 8.0);
        let f = compiler().compile([&x], &dy[0]).unwrap();
        assert_eq!(f.call::<f64>((1.0,)).unwrap(), 128.0);
    }
}

/// How many loops a function runs.
fn loops(outputs: &[Expr], inputs: &[&Expr]) -> usize {
    let f = Compiler::new().compile(inputs, outputs).unwrap();
    f.dump(Stage::Optimized).unwrap().matches("= loop ").count()
}

#[test]
fn values_and_gradients_share_the_way_forward() {
    let (x, w) = (vector::<f64>("x"), matrix::<f64>("w"));
    let cases: [(&str, Expr); 4] = [
        ("iterate", iterate(12, [&x], |[x]| [w.matmul(&x).tanh() + &x]).unwrap()[0].clone()),
        ("indexed", iterate_indexed(12, [&x], |i, [x]| [(w.matmul(&x) + i).tanh()]).unwrap()[0].clone()),
        ("sized", iterate(w.shape(0), [&x], |[x]| [w.matmul(&x).sin()]).unwrap()[0].clone()),
        (
            "bounded",
            iterate_while_at_most(12, |[x]| x.square().sum(..).lt(9.0), [&x], |[x]| [w.matmul(&x) + &x]).unwrap()[0]
                .clone(),
        ),
    ];
    let (at, by) =
        (Array1::from_vec(values(3)), Array2::from_shape_fn((3, 3), |(i, j)| 0.3 - 0.1 * (i * 2 + j) as f64));
    for (name, value) in cases {
        let loss = value.square().sum(..);
        let slopes = grad(&loss, [&x, &w]).unwrap();
        let all = [vec![loss.clone(), value], slopes].concat();
        assert_eq!(loops(&all, &[&x, &w]), 2, "{name}");
        agree_within(1e-13, &[&x, &w], &all, &[Arg::from(&at), Arg::from(&by)]);
    }
}

#[test]
fn loops_that_emit_and_their_gradients_share_the_way_forward() {
    let (xs, h) = (matrix::<f64>("xs"), vector::<f64>("h"));
    let ([last], [ys, states]) = scan([&h], [&xs], |[h], [x]| ([(&h * 0.5 + &x).tanh()], [h.sum(..) * &x, h])).unwrap();
    let loss = last.sum(..) + ys.square().sum(..) + (&states * 0.1).sum(..);
    let slopes = grad(&loss, [&xs, &h]).unwrap();
    let all = [vec![loss, ys, states], slopes].concat();
    assert_eq!(loops(&all, &[&xs, &h]), 2);
    let (rows, first) = (Array2::from_shape_fn((5, 3), |(i, j)| 0.4 - 0.2 * (i + j) as f64), values(3));
    agree_within(1e-13, &[&xs, &h], &all, &[Arg::from(&rows), Arg::from(&first)]);
    // Other states, another number of steps, another body: no loop is taken for another.
    let [a] = iterate(3, [&h], |[h]| [h.sin()]).unwrap();
    let [b] = iterate(4, [&h], |[h]| [h.sin()]).unwrap();
    let [c] = iterate(3, [&(&h + 1.0)], |[h]| [h.sin()]).unwrap();
    let [d] = iterate(3, [&h], |[h]| [h.cos()]).unwrap();
    let [e] = iterate(3, [&h], |[h]| [h.sin()]).unwrap();
    assert_eq!(loops(&[a.clone(), b.clone(), c.clone(), d.clone()], &[&h]), 4);
    assert_eq!(loops(&[a.clone(), e.clone()], &[&h]), 1);
    agree(&[&h], &[a, b, c, d, e], &[Arg::from(&first)]);
}

#[test]
fn loops_in_other_bodies_stay_there() {
    let (x, n) = (vector::<f64>("x"), scalar::<i64>("n"));
    let inner = |x: &Expr| iterate(3, [x], |[y]| [(y * 0.5).sin()]).unwrap()[0].clone();
    let outside = inner(&x);
    let [y] = iterate_indexed(&n, [&x], |i, [y]| [y + inner(&x) * i]).unwrap();
    agree(&[&x, &n], &[outside, y], &[Arg::from(&values(3)), Arg::from(4_i64)]);
}
