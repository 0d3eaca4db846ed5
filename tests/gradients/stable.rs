//! Naive formulas have the derivatives of their stable forms, far out and at second order, whatever the optimizer does.

use kroton::{Device, Expr, OptLevel, grad, hessian, jvp, matrix, vector};
use ndarray::{Array2, array};

use crate::common::{engines, plain};

/// First and second derivatives of the sum of an elementwise function, on every engine.
fn slopes(build: &dyn Fn(&Expr) -> Expr, at: &[f64]) -> Vec<(Vec<f64>, Vec<f64>)> {
    let x = vector::<f64>("x");
    let first = grad(&build(&x).sum(..), [&x]).unwrap().remove(0);
    let second = grad(&first.sum(..), [&x]).unwrap().remove(0);
    let compiled = |device, level| {
        let f = plain(device).optimize(level).compile([&x], (&first, &second)).unwrap();
        f.call::<(Vec<f64>, Vec<f64>)>((at,)).unwrap()
    };
    let levels = [OptLevel::None, OptLevel::Full];
    engines().into_iter().flat_map(|(_, device)| levels.map(|level| compiled(device, level))).collect()
}

/// Checks both derivatives where the exact ones are given.
fn check(name: &str, build: &dyn Fn(&Expr) -> Expr, exact: &[(f64, f64, f64)]) {
    let at: Vec<f64> = exact.iter().map(|row| row.0).collect();
    for (first, second) in slopes(build, &at) {
        for (&(x, slope, curvature), (got, bent)) in exact.iter().zip(first.iter().zip(&second)) {
            assert!((got - slope).abs() <= 1e-13 * slope.abs(), "{name}′({x}) = {got}, not {slope}");
            let near = (bent - curvature).abs() <= 1e-10 * curvature.abs() + 1e-280;
            assert!(near, "{name}″({x}) = {bent}, not {curvature}");
        }
    }
}

#[test]
fn logistic_formulas_have_slopes_far_out() {
    let far = (-1000.0_f64).exp();
    let sigmoid = [(-1000.0, 0.0, 0.0), (0.0, 0.25, 0.0), (1000.0, 0.0, 0.0)];
    check("1/(1 + e^−x)", &|x| 1.0 / (1.0 + (-x).exp()), &sigmoid);
    check("e^x/(1 + e^x)", &|x| x.exp() / (x.exp() + 1.0), &sigmoid);
    let softplus = [(-1000.0, far, far), (0.0, 0.5, 0.25), (1000.0, 1.0, 0.0)];
    check("ln(1 + e^x)", &|x| (1.0 + x.exp()).ln(), &softplus);
    check("log1p(e^x)", &|x| x.exp().log1p(), &softplus);
    let log_sigmoid = [(-1000.0, 1.0, 0.0), (0.0, 0.5, -0.25), (1000.0, 0.0, 0.0)];
    check("ln σ", &|x| x.sigmoid().ln(), &log_sigmoid);
    check("ln(1/(1 + e^−x))", &|x| (1.0 / (1.0 + (-x).exp())).ln(), &log_sigmoid);
    let mirrored = [(-1000.0, 0.0, 0.0), (0.0, -0.5, -0.25), (1000.0, -1.0, 0.0)];
    check("ln(1 − σ)", &|x| (1.0 - x.sigmoid()).ln(), &mirrored);
    check("log1p(−σ)", &|x| (-x.sigmoid()).log1p(), &mirrored);
    check("ln(1 − 1/(1 + e^−x))", &|x| (1.0 - 1.0 / (1.0 + (-x).exp())).ln(), &mirrored);
}

#[test]
fn other_formulas_have_slopes_far_out() {
    check("ln e^x", &|x| x.exp().ln(), &[(-2000.0, 1.0, 0.0), (2000.0, 1.0, 0.0)]);
    check("√x²", &|x| (x * x).sqrt(), &[(-1e200, -1.0, 0.0), (0.0, 0.0, 0.0), (3.0, 1.0, 0.0)]);
    check(
        "ln(e^x + e^−x)",
        &|x| (x.exp() + (-x).exp()).ln(),
        &[(-900.0, -1.0, 0.0), (0.0, 0.0, 1.0), (900.0, 1.0, 0.0)],
    );
    // Far out erfc(x) is e^−x²/(x√π)·(1 − 1/2x²): the slope of its logarithm is −2x − 1/x + 1/x³.
    let far = 1000.0_f64;
    check(
        "ln erfc",
        &|x| x.erfc().ln(),
        &[(far, -2.0 * far - 1.0 / far + far.powi(-3), -2.0 + far.powi(-2) - 3.0 * far.powi(-4))],
    );
}

fn rows(build: &dyn Fn(&Expr) -> Expr) -> Vec<(Array2<f64>, Array2<f64>)> {
    let (x, v) = (matrix::<f64>("x"), matrix::<f64>("v"));
    let y = build(&x);
    let weighted = if y.rank() == 2 { &y * kroton::constant([1.0, 2.0, -1.0]) } else { y.clone() };
    let slope = grad(&weighted.sum(..), [&x]).unwrap().remove(0);
    let tangent = jvp(&y, [(&x, &v)]).unwrap();
    let tangent = if tangent.rank() == 2 { tangent } else { tangent.expand_dims(1) };
    let at = array![[1000.0, 1001.0, -2000.0], [0.5, 1.5, -3000.0], [-1e4, -1e4, -1e4]];
    let compile = |(_, device): (_, Device)| {
        let f = plain(device).compile([&x, &v], (&slope, &tangent)).unwrap();
        f.call::<(Array2<f64>, Array2<f64>)>((&at, &array![[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])).unwrap()
    };
    engines().into_iter().map(compile).collect()
}

#[test]
fn sums_of_exponentials_have_slopes_far_out() {
    let p = 1.0 / (1.0 + 1.0_f64.exp());
    let close = |got: &Array2<f64>, expected: Array2<f64>| {
        assert!(got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-14), "{got} for {expected}");
    };
    for (slope, tangent) in rows(&|x| x.exp().sum(1).ln()) {
        let third = 1.0 / 3.0;
        close(&slope, array![[p, 1.0 - p, 0.0], [p, 1.0 - p, 0.0], [third, third, third]]);
        close(&tangent, array![[p], [p], [third]]);
    }
    let softmax = |x: &Expr| x.exp() / x.exp().sum_keepdims(1);
    let variance = p * (1.0 - p);
    for (slope, tangent) in rows(&softmax) {
        close(
            &slope.slice(ndarray::s![..2, ..]).to_owned(),
            array![[-variance, variance, 0.0], [-variance, variance, 0.0]],
        );
        close(
            &tangent.slice(ndarray::s![..2, ..]).to_owned(),
            array![[variance, -variance, 0.0], [variance, -variance, 0.0]],
        );
    }
    for (slope, _) in rows(&|x| softmax(x).ln()) {
        let first = [1.0 - 2.0 * p, 2.0 - 2.0 * (1.0 - p), -1.0];
        close(&slope.slice(ndarray::s![..2, ..]).to_owned(), array![first, first]);
    }
}

#[test]
fn what_is_asked_for_stays_what_it_is() {
    let x = vector::<f64>("x");
    let (exponentials, sigmoid) = (x.exp(), x.sigmoid());
    let sum = exponentials.sum(..);
    let loss = sum.ln() + sigmoid.ln().sum(..);
    let slopes = grad(&loss, [&exponentials, &sum, &sigmoid, &x]).unwrap();
    let f = plain(Device::Cpu).compile([&x], slopes).unwrap();
    let (a, b, c, d): (Vec<f64>, f64, Vec<f64>, Vec<f64>) = f.call((&[0.0, 0.0],)).unwrap();
    assert_eq!((a, b, c, d), (vec![0.5; 2], 0.5, vec![2.0; 2], vec![1.0; 2]));
    // A Hessian of a naive formula.
    let h = hessian(&x.exp().sum(..).ln(), &x).unwrap();
    let f = plain(Device::Cpu).compile([&x], h).unwrap();
    assert_eq!(f.call::<Array2<f64>>((&[2000.0, 2000.0],)).unwrap(), array![[0.25, -0.25], [-0.25, 0.25]]);
}

/// Formulas that look like a stable sigmoid and are not, and forms of another shape than the formula.
#[test]
fn lookalikes_keep_their_own_derivatives() -> kroton::Result<()> {
    let x = vector::<f64>("x");
    let e = x.ge(0.0).select(-&x, &x).exp();
    let mirrored = x.lt(0.0).select(1.0, &e) / (1.0 + &e);
    let slope = kroton::compile([&x], grad(&mirrored.ln().sum(..), [&x])?.remove(0))?;
    let xs = [-3.0_f64, -0.5, 0.25, 2.0];
    let found: Vec<f64> = slope.call((&xs,))?;
    for (x, found) in xs.iter().zip(found) {
        let expected = -1.0 / (1.0 + (-x).exp());
        assert!((found - expected).abs() < 1e-12, "at {x}: {found} instead of {expected}");
    }
    let s = kroton::input("s", kroton::DType::F64, [Some(1)]);
    let loss = (kroton::ones::<f64>([3]) + s.exp()).ln().sum(..);
    let slope: Vec<f64> = kroton::compile([&s], grad(&loss, [&s])?.remove(0))?.call((&[0.0],))?;
    assert_eq!(slope, [1.5]);
    let s = kroton::scalar::<f64>("s");
    let loss = (kroton::ones::<f64>([3]) + s.exp()).ln().sum(..);
    assert_eq!(kroton::compile([&s], grad(&loss, [&s])?.remove(0))?.call::<f64>((0.0,))?, 1.5);
    Ok(())
}

#[test]
fn nothing_at_all_has_a_logarithm_and_an_empty_gradient() -> kroton::Result<()> {
    let empty: &[f64; 0] = &[];
    for x in [vector::<f64>("x"), kroton::input("x", kroton::DType::F64, [Some(0)])] {
        let naive =
            [x.exp().sum(..).ln(), (x.exp() / x.exp().sum(..)).ln().sum(..), (x.exp() / x.exp().sum(..)).sum(..)];
        let outputs = [x.logsumexp(..), x.softmax(0).sum(..), x.log_softmax(0).sum(..)];
        for (y, value) in naive.iter().chain(&outputs).zip([f64::NEG_INFINITY, 0.0, 0.0].into_iter().cycle()) {
            let slope = grad(y, [&x])?.remove(0);
            let curvature = grad(&slope.sum(..), [&x])?.remove(0);
            for (name, device) in engines() {
                for level in [OptLevel::None, OptLevel::Full] {
                    let f = plain(device).optimize(level).compile([&x], (y, &slope, &curvature))?;
                    let (got, first, second): (f64, Vec<f64>, Vec<f64>) = f.call((empty,))?;
                    assert_eq!(got, value, "{name} {level:?}: {y}");
                    assert!(first.is_empty() && second.is_empty());
                }
            }
        }
        // Of rows without elements, and of no rows.
        let m = matrix::<f64>("m");
        let slope = grad(&m.exp().sum(1).ln().sum(..), [&m])?.remove(0);
        let f = kroton::compile([&m], (m.logsumexp(1), slope))?;
        let (rows, slope): (Vec<f64>, Array2<f64>) = f.call((&Array2::<f64>::zeros((2, 0)),))?;
        assert_eq!((rows, slope.dim()), (vec![f64::NEG_INFINITY; 2], (2, 0)));
        let (rows, slope): (Vec<f64>, Array2<f64>) = f.call((&Array2::<f64>::zeros((0, 3)),))?;
        assert_eq!((rows.len(), slope.dim()), (0, (0, 3)));
    }
    // What the user writes still says that it has no value.
    let x = vector::<f64>("x");
    assert!(kroton::compile([&x], x.max(..))?.call::<f64>((empty,)).is_err());
    Ok(())
}
