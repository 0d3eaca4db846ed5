//! Values at points where differences do not help: kinks, ties, poles, zeros, and branches that are not taken.

use kroton::{Device, Expr, OptLevel, constant, grad, hessian, jvp, matrix, s, scalar, vector};
use ndarray::Array2;

use crate::common::{engines, plain};

/// The gradient of the sum of a function of a vector, on every engine, with and without rewriting.
fn slopes(build: impl Fn(&Expr) -> Expr, at: &[f64]) -> Vec<f64> {
    let x = vector::<f64>("x");
    let slope = grad(&build(&x).sum(..), [&x]).unwrap().remove(0);
    let expected: Vec<f64> = plain(Device::Interpreter).compile([&x], &slope).unwrap().call((at,)).unwrap();
    for (name, device) in engines() {
        for level in [OptLevel::None, OptLevel::Full] {
            let f = plain(device).optimize(level).compile([&x], &slope).unwrap();
            let got: Vec<f64> = f.call((at,)).unwrap();
            let same = |(a, b): (&f64, &f64)| a == b || (a - b).abs() <= 1e-14 * b.abs() || (a.is_nan() && b.is_nan());
            assert!(got.iter().zip(&expected).all(same), "{name} {level:?}: {got:?}, {expected:?}");
        }
    }
    expected
}

fn second(build: impl Fn(&Expr) -> Expr, at: &[f64]) -> Vec<f64> {
    slopes(|x| grad(&build(x).sum(..), [x]).unwrap().remove(0), at)
}

/// The gradients by two scalars.
fn pair(build: impl Fn(&Expr, &Expr) -> Expr, at: (f64, f64)) -> (f64, f64) {
    let (a, b) = (scalar::<f64>("a"), scalar::<f64>("b"));
    let g = grad(&build(&a, &b), [&a, &b]).unwrap();
    plain(Device::Cpu).compile([&a, &b], (&g[0], &g[1])).unwrap().call(at).unwrap()
}

const INF: f64 = f64::INFINITY;

#[test]
fn kinks_have_the_gradient_of_a_neighbor() {
    assert_eq!(slopes(|x| x.abs(), &[-2.0, 0.0, -0.0, 3.0]), [-1.0, 0.0, 0.0, 1.0]);
    assert_eq!(slopes(|x| x.relu(), &[-1.0, 0.0, -0.0, 2.0]), [0.0, 0.0, 0.0, 1.0]);
    assert_eq!(slopes(|x| x.clamp(0, 1), &[-1.0, 0.0, 0.5, 1.0, 2.0]), [0.0, 0.0, 1.0, 0.0, 0.0]);
    let steps = |x: &Expr| x.floor() + x.ceil() + x.trunc() + x.round() + x.sign() + x.floor_div(2.0);
    assert_eq!(slopes(steps, &[0.0, 0.5, 1.0, -2.0]), [0.0; 4]);
    assert_eq!(slopes(|x| x.rem(2.0), &[0.0, 0.5, 2.0, -1.0]), [1.0; 4]);
    assert_eq!(slopes(|x| x.copysign(-1.0), &[2.0, -3.0, 0.0]), [-1.0, 1.0, 0.0]);
    assert_eq!(slopes(|x| x.sqrt(), &[0.0, 4.0]), [INF, 0.25]);
    assert_eq!(slopes(|x| x.cbrt(), &[0.0, 8.0, -8.0]), [INF, 1.0 / 12.0, 1.0 / 12.0]);
}

#[test]
fn equals_share() {
    assert_eq!(pair(|a, b| a.maximum(b), (1.0, 1.0)), (0.5, 0.5));
    assert_eq!(pair(|a, b| a.maximum(b), (2.0, 1.0)), (1.0, 0.0));
    assert_eq!(pair(|a, b| a.minimum(b), (2.0, 1.0)), (0.0, 1.0));
    assert_eq!(pair(|a, b| a.fmin(b), (0.0, -0.0)), (0.5, 0.5));
    assert_eq!(pair(|a, b| a.fmax(b), (f64::NAN, 1.0)), (0.0, 1.0));
    assert_eq!(slopes(|x| x.max(..), &[3.0, 1.0, 3.0, 3.0]), [1.0 / 3.0, 0.0, 1.0 / 3.0, 1.0 / 3.0]);
    assert_eq!(slopes(|x| x.min(..), &[3.0, 1.0, 3.0]), [0.0, 1.0, 0.0]);
}

#[test]
fn powers_have_no_nan_at_zero() {
    for (exponent, slope) in [(0.0, 0.0), (1.0, 1.0), (2.0, 0.0), (3.0, 0.0), (0.5, INF), (-1.0, -INF)] {
        assert_eq!(slopes(|x| x.pow(exponent), &[0.0]), [slope], "{exponent}");
        let (by_base, by_exponent) = pair(|a, b| a.pow(b), (0.0, exponent));
        assert_eq!(by_base, slope, "{exponent}");
        assert_eq!(by_exponent, if exponent < 0.0 { -INF } else { 0.0 }, "{exponent}");
    }
    assert_eq!(pair(|a, b| a.pow(b), (-2.0, 3.0)).0, 12.0);
    assert_eq!(second(|x| x.pow(2.0) + x.pow(3.0), &[0.0, 1.0]), [2.0, 8.0]);
    // ∂²(a^b)/∂a∂b at b = 0 is 1/a.
    let mixed = pair(|a, b| grad(&a.pow(b), [a]).unwrap().remove(0), (4.0, 0.0)).1;
    assert_eq!(mixed, 0.25);
}

#[test]
fn points_without_a_direction() {
    assert_eq!(pair(|a, b| a.hypot(b), (0.0, 0.0)), (0.0, 0.0));
    assert_eq!(pair(|a, b| a.hypot(b), (0.0, -2.0)), (0.0, -1.0));
    let (a, b) = pair(|a, b| a.hypot(b), (3e300, 4e300));
    assert!((a - 0.6).abs() < 1e-15 && (b - 0.8).abs() < 1e-15, "{a} {b}");
    let (a, b) = pair(|a, b| a.atan2(b), (3e200, 4e200));
    assert!((a / 1.6e-201 - 1.0).abs() < 1e-14 && (b / -1.2e-201 - 1.0).abs() < 1e-14, "{a} {b}");
    assert!(pair(|a, b| a.atan2(b), (0.0, 0.0)).0.is_nan());
}

#[test]
fn a_branch_that_is_not_taken_leaks_no_nan() {
    let safe = |x: &Expr| x.gt(0.0).select(x.ln(), 0.0);
    assert_eq!(slopes(safe, &[0.0, -1.0, 2.0]), [0.0, 0.0, 0.5]);
    assert_eq!(second(safe, &[0.0, -1.0, 2.0]), [0.0, 0.0, -0.25]);
    let other = |x: &Expr| x.le(0.0).select(0.0, (x * 2.0).sqrt() * x.recip());
    assert_eq!(slopes(other, &[0.0, -1.0, 2.0]), [0.0, 0.0, -0.25]);
    // exp overflows where it is not taken.
    let naive = |x: &Expr| x.ge(0.0).select(1.0 / (1.0 + (-x).exp()), x.exp() / (1.0 + x.exp()));
    let (got, fused) = (slopes(naive, &[-800.0, 0.0, 800.0]), slopes(|x| x.sigmoid(), &[-800.0, 0.0, 800.0]));
    assert_eq!(got, [0.0, 0.25, 0.0]);
    assert_eq!(fused, [0.0, 0.25, 0.0]);
    assert_eq!(second(|x| x.sigmoid(), &[0.0]), [0.0]);
    // Conditions within conditions, and values that both branches use.
    let nested = |x: &Expr| {
        let shared = x + 1.0;
        x.gt(0.0).select(x.gt(1.0).select((x - 1.0).ln() * &shared, x.sqrt()), shared.square())
    };
    assert_eq!(slopes(nested, &[-1.0, 0.0, 0.25, 1.0]), [0.0, 2.0, 1.0, 0.5]);
    assert_eq!(slopes(nested, &[2.0]), [3.0]);
    // A maximum is a branch, and so is the largest of many.
    assert_eq!(slopes(|x| x.ln().maximum(-5.0), &[0.0, 1.0]), [0.0, 1.0]);
    assert_eq!(slopes(|x| x.ln().max(..), &[0.0, 4.0]), [0.0, 0.25]);
    // Taken or not, one infinite slope is one.
    assert_eq!(slopes(|x| x.ge(0.0).select(x.sqrt(), 0.0), &[-1.0, 0.0]), [0.0, INF]);
}

#[test]
fn conditions_of_rank_0_hold_through_reductions_and_views() {
    let x = vector::<f64>("x");
    let loss = x.min(..).gt(0.0).select(x.flip(0).ln().sum(..) * x.max(..).sqrt(), 0.0);
    let g = grad(&loss, [&x]).unwrap().remove(0);
    let f = plain(Device::Cpu).compile([&x], &g).unwrap();
    assert_eq!(f.call::<Vec<f64>>((&[0.0, -1.0, 0.0],)).unwrap(), [0.0; 3]);
    assert_eq!(f.call::<Vec<f64>>((&[1.0, 1.0],)).unwrap(), [1.0, 1.0]);
}

#[test]
fn conditions_follow_elements_that_move() {
    let (bad, good) = ([-1.0, 4.0, 0.0, 0.25], [0.0, 0.25, 0.0, 1.0]);
    let check = |build: &dyn Fn(&Expr) -> Expr, expected: [f64; 4]| assert_eq!(slopes(build, &bad), expected);
    let ok = |x: &Expr| x.gt(0.0);
    check(&|x| ok(x).flip(0).select(x.sqrt().flip(0), 0.0), good);
    check(&|x| ok(&x.slice(s![1..])).select(x.sqrt().slice(s![1..]), 0.0), good);
    check(&|x| ok(&x.slice(s![1..;-2])).select(x.sqrt().slice(s![1..;-2]), 0.0), good);
    check(&|x| ok(x).reshape((2, 2)).transpose().select(x.sqrt().reshape((2, 2)).transpose(), 0.0), good);
    check(
        &|x| kroton::concat([x, &ok(x).select(x.sqrt(), 0.0)], 0) - kroton::concat([x, x], 0),
        [-1.0, -0.75, -1.0, 0.0],
    );
    check(&|x| ok(&kroton::concat([x, x], 0)).select(kroton::concat([x.sqrt(), x.stop_gradient()], 0), 0.0), good);
    // Broadcast at the select, before it, and by a view; a row counts where any of its elements does.
    check(&|x| (ok(x) & kroton::ones::<bool>((1, 1))).select(x.sqrt(), x.expand_dims(0) * 0.0), good);
    check(
        &|x| ok(x).expand_dims(1).select(x.sqrt().expand_dims(1) * kroton::ones::<f64>([3]), 0.0),
        good.map(|x| 3.0 * x),
    );
    check(
        &|x| ok(&x.broadcast_to((2, x.len()))).select(x.sqrt().broadcast_to((2, x.len())), 0.0),
        good.map(|x| 2.0 * x),
    );
    let (x, w) = (vector::<f64>("x"), scalar::<f64>("w"));
    let slope = grad(&ok(&x).select(x.sqrt() * (&w * 1.0), 0.0).sum(..), [&w]).unwrap().remove(0);
    assert_eq!(plain(Device::Cpu).compile([&x], slope).unwrap().call::<f64>((&bad,)).unwrap(), 2.5);
    // The element that is not taken is not mixed with others by a product below it.
    let factor = constant(ndarray::array![[1.0, 1.0], [1.0, -1.0]]);
    let mixed = |x: &Expr| x.reshape((2, 2)).matmul(&factor);
    let first = 1.0 / (2.0 * 3.0_f64.sqrt());
    check(&|x| ok(&mixed(x)).select(mixed(x).sqrt(), 0.0), [first, first, 1.0, 1.0]);
    // Whole rows, through a reduction and through a product.
    let rows = |x: &Expr| x.reshape((2, 2)).transpose();
    check(&|x| rows(x).min(1).ge(0.25).select(rows(x).sqrt().sum(1), 0.0), good);
    check(&|x| rows(x).min(1).ge(0.25).select(rows(x).sqrt().dot(constant([1.0, 1.0])), 0.0), good);
}

#[test]
fn a_zero_cotangent_hides_no_second_derivative() {
    // f = Σ ln(x)² has its minimum at 1: the gradient is 0 there and the second derivative 2.
    assert_eq!(second(|x| x.ln().square(), &[1.0]), [2.0]);
    assert_eq!(second(|x| x.square() * 0.0 + x.square(), &[0.0]), [2.0]);
}

#[test]
fn smooth_functions_made_of_branches_are_smooth() {
    let x = [0.0, -0.0];
    assert_eq!(slopes(|x| x.sigmoid(), &x), [0.25; 2]);
    assert_eq!(slopes(|x| x.softplus(), &x), [0.5; 2]);
    assert_eq!(second(|x| x.softplus(), &x), [0.25; 2]);
    let third = |x: &Expr| grad(&grad(&x.sigmoid().sum(..), [x]).unwrap()[0].sum(..), [x]).unwrap().remove(0);
    assert_eq!(slopes(third, &x), [-0.125; 2]);
    assert_eq!(pair(|a, b| a.logaddexp(b), (1.0, 1.0)), (0.5, 0.5));
    assert_eq!(pair(|a, b| a.logaddexp(b), (-INF, -INF)), (0.5, 0.5));
    assert_eq!(pair(|a, b| a.logaddexp(b), (-INF, 2.0)), (0.0, 1.0));
    assert_eq!(slopes(|x| x.logsumexp(..), &[1.0, 1.0, -INF]), [0.5, 0.5, 0.0]);
}

#[test]
fn products_with_zeros() {
    assert_eq!(slopes(|x| x.prod(..), &[2.0, 3.0, 5.0]), [15.0, 10.0, 6.0]);
    assert_eq!(slopes(|x| x.prod(..), &[2.0, 0.0, 5.0]), [0.0, 10.0, 0.0]);
    assert_eq!(slopes(|x| x.prod(..), &[0.0, 0.0, 5.0]), [0.0; 3]);
    assert_eq!(slopes(|x| x.prod(..), &[1e200, 1e200, 1e-250]), [1e-50, 1e-50, INF]);
    let x = vector::<f64>("x");
    let f = plain(Device::Cpu).compile([&x], hessian(&x.prod(..), &x).unwrap()).unwrap();
    let h: Array2<f64> = f.call((&[0.0, 0.0, 5.0],)).unwrap();
    assert_eq!(h, ndarray::array![[0.0, 5.0, 0.0], [5.0, 0.0, 0.0], [0.0, 0.0, 0.0]]);
}

#[test]
fn special_functions_beyond_the_domain_of_tests() {
    // ψ′ from SciPy's polygamma(1, x).
    let points = [1e-3, 0.25, 1.0, 10.0, 1e4, -0.5, -3.25];
    let expected =
        [1000001.642533195, 17.197329154507113, 1.6449340668482264, 0.10516633568168575, 1.0000500016666667e-4];
    let got = slopes(|x| x.digamma(), &points);
    for (got, expected) in got.iter().zip(expected) {
        assert!((got / expected - 1.0).abs() < 1e-13, "{got}, not {expected}");
    }
    // π²/sin²(πx) − ψ′(1 − x), with ψ′(3/2) = π²/2 − 4.
    assert!((got[5] / (std::f64::consts::PI.powi(2) / 2.0 + 4.0) - 1.0).abs() < 1e-14, "{}", got[5]);
    assert!(slopes(|x| x.digamma(), &[0.0])[0].is_infinite());
    assert_eq!(slopes(|x| x.tanh(), &[40.0, -800.0]), [0.0, 0.0]);
    assert_eq!(slopes(|x| x.asinh(), &[1e200]), [1e-200]);
}

#[test]
fn stop_gradient_is_a_constant() {
    assert_eq!(slopes(|x| x * x.stop_gradient(), &[3.0, 4.0]), [3.0, 4.0]);
    let x = vector::<f64>("x");
    let y = x.stop_gradient().exp();
    let zero = jvp(&y, [(&x, 1.0.broadcast(&x))]).unwrap();
    let f = plain(Device::Cpu).compile([&x], (&y, zero)).unwrap();
    assert_eq!(f.call::<(Vec<f64>, Vec<f64>)>((&[0.0],)).unwrap(), (vec![1.0], vec![0.0]));
    let (inputs, outputs) =
        kroton::from_text(&kroton::to_text([&x], (&x * x.stop_gradient()).sum(..)).unwrap()).unwrap();
    let slope = grad(&outputs[0], [&inputs[0]]).unwrap().remove(0);
    let f = plain(Device::Cpu).compile(&inputs, slope).unwrap();
    assert_eq!(f.call::<Vec<f64>>((&[3.0],)).unwrap(), [3.0]);
    let i = vector::<i32>("i");
    assert_eq!(i.stop_gradient().to_string(), "i");
}

trait Broadcast {
    fn broadcast(self, like: &Expr) -> Expr;
}

impl Broadcast for f64 {
    fn broadcast(self, like: &Expr) -> Expr {
        constant(self).broadcast_to([like.len()])
    }
}

#[test]
fn any_expression_that_occurs_can_be_asked_for() {
    let (x, w) = (matrix::<f64>("x"), vector::<f64>("w"));
    let hidden = x.dot(&w).tanh();
    let loss = (&hidden * &hidden).sum(..);
    // The same expression, written again.
    let g = grad(&loss, [&x.dot(&w).tanh(), &w]).unwrap();
    let f = plain(Device::Cpu).compile([&x, &w], (&g[0], &hidden * 2.0)).unwrap();
    let (got, expected): (Vec<f64>, Vec<f64>) =
        f.call((&ndarray::array![[1.0, 2.0], [0.5, -1.0]], &[0.3, 0.1])).unwrap();
    assert_eq!(got, expected);
}

#[test]
fn dtypes_between_are_followed() {
    let x = vector::<f32>("x");
    let loss = x.cast::<f64>().exp().cast::<f32>().sum(..) + (x.cast::<i32>().cast::<f32>() * &x).sum(..);
    let g = grad(&loss, [&x]).unwrap().remove(0);
    assert_eq!(g.dtype(), kroton::DType::F32);
    let f = plain(Device::Cpu).compile([&x], g).unwrap();
    assert_eq!(f.call::<Vec<f32>>((&[0.0_f32, 0.0],)).unwrap(), [1.0, 1.0]);
}
