//! Long chains, shared parts, empty arrays, and what is refused.

use kroton::{Error, Expr, compile, grad, hessian, jacobian, jvp, matrix, scalar, vector, vjp};
use ndarray::Array2;

/// How many nodes some outputs are made of.
fn count_nodes(inputs: &[Expr], outputs: &[Expr]) -> usize {
    kroton::to_text(inputs, outputs).unwrap().lines().filter(|line| line.contains(" = ")).count()
}

#[test]
fn a_chain_of_100_000_ops() {
    let x = scalar::<f64>("x");
    let mut y = x.clone();
    for _ in 0..50_000 {
        y = (&y * 0.5).sin();
    }
    let slope = grad(&y, [&x]).unwrap().remove(0);
    assert!(count_nodes(std::slice::from_ref(&x), std::slice::from_ref(&slope)) < 400_000);
    let tangent = jvp(&y, [(&x, 1.0)]).unwrap();
    drop((y, slope, tangent));
    let mut y = x.clone();
    for _ in 0..500 {
        y = (&y * 1.001).sin();
    }
    let slope = grad(&y, [&x]).unwrap().remove(0);
    let f = compile([&x], (slope, jvp(&y, [(&x, 1.0)]).unwrap())).unwrap();
    let (reverse, forward): (f64, f64) = f.call((0.1,)).unwrap();
    let mut expected = (0.1_f64, 1.0);
    for _ in 0..500 {
        let moved = expected.0 * 1.001;
        expected = (moved.sin(), expected.1 * 1.001 * moved.cos());
    }
    assert!((reverse / expected.1 - 1.0).abs() < 1e-12 && (forward / expected.1 - 1.0).abs() < 1e-12);
}

#[test]
fn shared_parts_are_visited_once() {
    let x = scalar::<f64>("x");
    let mut y = x.clone();
    for _ in 0..60 {
        y = &y * &y;
    }
    let slope = grad(&y, [&x]).unwrap().remove(0);
    let nodes = count_nodes(std::slice::from_ref(&x), std::slice::from_ref(&slope));
    assert!(nodes < 400, "{nodes}");
    let tangent = jvp(&y, [(&x, 1.0)]).unwrap();
    let nodes = count_nodes(std::slice::from_ref(&x), &[tangent]);
    assert!(nodes < 400, "{nodes}");
    let f = compile([&x], slope).unwrap();
    assert_eq!(f.call::<f64>((1.0,)).unwrap(), f64::powi(2.0, 60));
}

#[test]
fn nested_branches_stay_linear() {
    let (x, w) = (vector::<f64>("x"), vector::<f64>("w"));
    let build = |depth: usize| {
        let mut y = x.clone();
        for k in 0..depth {
            y = x.gt(k as f64 * 1e-3).select(y.exp() * &w, &w);
        }
        let slopes = grad(&y.sum(..), [&x, &w]).unwrap();
        count_nodes(&[x.clone(), w.clone()], &slopes) as f64 / depth as f64
    };
    let (short, long) = (build(100), build(1000));
    assert!(long < short * 1.5, "{short} nodes for each branch, then {long}");
}

#[test]
fn derivatives_of_derivatives() {
    let x = scalar::<f64>("x");
    let mut y = (&x * 0.5).exp() * x.sin();
    for _ in 0..4 {
        y = grad(&y, [&x]).unwrap().remove(0);
    }
    let f = compile([&x], y).unwrap();
    // (eᵃˣ sin x)⁗ = Im (a + i)⁴ e^((a + i) x); at 0 this is 4a³ − 4a.
    let got: f64 = f.call((0.0,)).unwrap();
    assert!((got + 1.5).abs() < 1e-14, "{got}");
}

#[test]
fn arrays_without_elements() {
    let x = matrix::<f64>("x");
    let loss = x.exp().sum(1).prod(..) + x.mean(..) + x.transpose().matmul(&x).sum(..);
    let f = compile([&x], grad(&loss, [&x]).unwrap()).unwrap();
    let [g]: [Array2<f64>; 1] = f.call((&Array2::<f64>::zeros((0, 3)),)).unwrap();
    assert_eq!(g.shape(), [0, 3]);
    let [g]: [Array2<f64>; 1] = f.call((&Array2::<f64>::zeros((3, 0)),)).unwrap();
    assert_eq!(g.shape(), [3, 0]);
    let v = vector::<f64>("v");
    let f = compile([&v], jacobian(&v.flip(0).slice(kroton::s![..;2]), &v).unwrap()).unwrap();
    assert_eq!(f.call::<Array2<f64>>((&[0.0; 0],)).unwrap().shape(), [0, 0]);
}

#[test]
fn what_a_loss_does_not_depend_on_has_zeros() {
    let (x, w) = (vector::<f64>("x"), matrix::<f32>("w"));
    let g = grad(&x.sum(..), [&w, &x]).unwrap();
    assert_eq!((g[0].dtype(), g[0].rank()), (kroton::DType::F32, 2));
    let f = compile([&w], &g[0]).unwrap();
    assert_eq!(f.call::<Array2<f32>>((&Array2::<f32>::ones((2, 3)),)).unwrap(), Array2::<f32>::zeros((2, 3)));
    let j = jacobian(&x.floor(), &x).unwrap();
    let f = compile([&x], j).unwrap();
    assert_eq!(f.call::<Array2<f64>>((&[1.5, 2.5],)).unwrap(), Array2::<f64>::zeros((2, 2)));
    assert!(grad(&x.sum(..), ()).unwrap().is_empty());
}

fn refusal<T>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Argument(message)) => message,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("not refused"),
    }
}

#[test]
fn mistakes_are_named() {
    let (x, i, b) = (vector::<f64>("x"), vector::<i32>("i"), vector::<bool>("b"));
    let text = refusal(grad(&x.exp(), [&x]));
    assert!(text.contains("`exp(x)` is f64[?]") && text.contains("vjp") && text.contains("jacobian"), "{text}");
    let text = refusal(grad(&(&x * &i).sum(..), [&x, &i]));
    assert!(text.contains("`i`, which is i32[?]") && text.contains("floats"), "{text}");
    let text = refusal(grad(&b.select(&x, 0.0).sum(..), [&b]));
    assert!(text.contains("`b`, which is bool[?]"), "{text}");
    let text = refusal(grad(&i.sum(..), [&x]));
    assert!(text.contains("`sum(i)`, which is i64[]") && text.contains("cast"), "{text}");
    let text = refusal(vjp(&x.exp(), scalar::<f64>("c"), [&x]));
    assert!(text.contains("the cotangent of `vjp` is f64[]") && text.contains("`exp(x)`, which is f64[?]"), "{text}");
    let text = refusal(jvp(&x, [(&x, &x.cast::<f32>())]));
    assert!(text.contains("a direction of `jvp` is f32[?]"), "{text}");
    let text = refusal(hessian(&x, &x));
    assert!(text.contains("`hessian` takes the derivative of a scalar"), "{text}");
    let (wrong, line) = (&x & 1, line!());
    match grad(&wrong.sum(..), [&x]) {
        Err(Error::Build { location, .. }) => assert_eq!(location.line(), line),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sizes_that_do_not_fit_are_errors_of_the_call() {
    let (x, v) = (vector::<f64>("x"), vector::<f64>("v"));
    let (tangent, line) = (jvp(&(&x * 2.0).sum(..), [(&x, &v)]).unwrap(), line!());
    let f = compile([&x, &v], tangent).unwrap();
    assert_eq!(f.call::<f64>((&[1.0, 2.0], &[1.0, 10.0])).unwrap(), 22.0);
    let error = f.call::<f64>((&[1.0, 2.0], &[1.0])).unwrap_err().to_string();
    assert!(error.contains(&format!("{}:{line}:", file!())), "{error}");
}
