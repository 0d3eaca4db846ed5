//! Reductions, views, joins and products: gradients against differences element by element, forward against reverse
//! mode, and second derivatives against differences of the gradient.

use kroton::expr::apply_reduce;
use kroton::ops::ReduceOp;
use kroton::{DType, Expr, grad, hessian, hessian_vector_product, jacobian, jvp, s, vjp};
use ndarray::{ArrayD, IxDyn};

use crate::common::Random;
use crate::difference::{call, compile, differentiate};

/// The relative error of a sum of some hundred products and functions.
const NOISE: f64 = 1024.0 * f64::EPSILON;

fn random(shape: &[usize], random: &mut Random) -> ArrayD<f64> {
    ArrayD::from_shape_simple_fn(IxDyn(shape), || random.unit() + 1.5)
}

/// Numbers between 1 and 2 in random order, further apart than the steps of differences as long as they are few.
fn distinct(shape: &[usize], random: &mut Random) -> ArrayD<f64> {
    let count = shape.iter().product::<usize>();
    let mut values: Vec<f64> = (0..count).map(|i| 1.0 + i as f64 / count as f64).collect();
    for i in 1..count {
        values.swap(i, random.below(i + 1));
    }
    ArrayD::from_shape_vec(IxDyn(shape), values).unwrap()
}

fn open(shapes: &[&[usize]]) -> Vec<Expr> {
    let names = ["x", "y", "z"];
    // Ones are declared, so that they broadcast; the other sizes are those of the call.
    let dims = |shape: &[usize]| shape.iter().map(|&size| (size == 1).then_some(1)).collect::<Vec<_>>();
    shapes.iter().zip(names).map(|(shape, name)| kroton::input(name, DType::F64, dims(shape))).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn size(a: &[f64]) -> f64 {
    a.iter().map(|a| a.abs()).sum::<f64>().max(1.0)
}

/// Checks all derivatives of `build` of inputs of these shapes.
pub fn check(name: &str, shapes: &[&[usize]], build: impl Fn(&[Expr]) -> Expr) {
    let inputs = open(shapes);
    let y = build(&inputs);
    assert!(y.error().is_none(), "{name}: {:?}", y.error());
    // Not linear, so that second derivatives are there.
    let loss = (&y * (&y * (&y * 0.03 + 0.25) + 0.5)).sum(..);
    let mut source = Random(name.len() as u64);
    let point: Vec<ArrayD<f64>> = shapes.iter().map(|shape| distinct(shape, &mut source)).collect();
    first_derivatives(name, &inputs, &loss, &point);
    duality(name, &inputs, &y, &point, &mut source);
    second_derivatives(name, &inputs, &loss, &point, &mut source);
    whole_arrays(name, &inputs[0], &inputs, &y, &loss, &point);
}

fn first_derivatives(name: &str, inputs: &[Expr], loss: &Expr, point: &[ArrayD<f64>]) {
    let gradients = grad(loss, inputs).unwrap();
    for (x, g) in inputs.iter().zip(&gradients) {
        assert_eq!((g.dtype(), g.rank()), (x.dtype(), x.rank()), "{name}");
    }
    let (f, df) = (compile(inputs, std::slice::from_ref(loss)), compile(inputs, &gradients));
    let got = call(&df, point);
    for (k, array) in point.iter().enumerate() {
        assert_eq!(got[k].len(), array.len(), "{name}: the shape of gradient {k}");
        for (i, &slope) in got[k].iter().enumerate() {
            let moved = |step: f64| {
                let mut point = point.to_vec();
                point[k].as_slice_mut().unwrap()[i] += step;
                call(&f, &point)[0][0]
            };
            let difference = differentiate(moved, NOISE);
            assert!(difference.error < 1e-6 * size(&[difference.value]), "{name}: {difference:?}");
            assert!(difference.agrees(slope, NOISE), "{name}, {k}[{i}]: {slope}, {difference:?}");
        }
    }
}

/// `⟨c, J v⟩ = ⟨Jᵀ c, v⟩` for all inputs together.
fn duality(name: &str, inputs: &[Expr], y: &Expr, point: &[ArrayD<f64>], source: &mut Random) {
    let directions: Vec<Expr> = inputs.iter().map(|x| kroton::input("v", DType::F64, vec![None; x.rank()])).collect();
    let cotangent = kroton::input("c", DType::F64, vec![None; y.rank()]);
    let values = call(&compile(inputs, std::slice::from_ref(y)), point).remove(0);
    let shape = {
        let sizes: Vec<Expr> = (0..y.rank()).map(|axis| y.shape(axis) + 0).collect();
        let f = compile(inputs, &sizes);
        let args: Vec<kroton::Arg<'_>> = point.iter().map(kroton::Arg::from).collect();
        let sizes: Vec<kroton::Array> = f.call(args.as_slice()).unwrap();
        sizes.iter().map(|size| size.as_slice::<i64>().unwrap()[0] as usize).collect::<Vec<_>>()
    };
    assert_eq!(shape.iter().product::<usize>(), values.len());
    let mut arguments = point.to_vec();
    arguments.extend(point.iter().map(|array| random(array.shape(), source)));
    arguments.push(random(&shape, source));
    let mut all = inputs.to_vec();
    all.extend(directions.iter().cloned());
    all.push(cotangent.clone());
    let tangent = jvp(y, inputs.iter().zip(&directions)).unwrap();
    assert_eq!((tangent.dtype(), tangent.rank()), (y.dtype(), y.rank()), "{name}");
    let mut outputs = vec![tangent];
    outputs.extend(vjp(y, &cotangent, inputs).unwrap());
    let results = call(&compile(&all, &outputs), &arguments);
    let n = inputs.len();
    let forward = dot(&results[0], arguments[2 * n].as_slice().unwrap());
    let backward: f64 = (0..n).map(|k| dot(&results[1 + k], arguments[n + k].as_slice().unwrap())).sum();
    let bound = NOISE * (0..n).map(|k| size(&results[1 + k])).sum::<f64>() * 3.0;
    assert!((forward - backward).abs() <= bound, "{name}: {forward} and {backward}");
}

/// Products with the Hessian against differences of the gradient along the direction.
fn second_derivatives(name: &str, inputs: &[Expr], loss: &Expr, point: &[ArrayD<f64>], source: &mut Random) {
    let v = kroton::input("v", DType::F64, vec![None; inputs[0].rank()]);
    let gradient = grad(loss, [&inputs[0]]).unwrap().remove(0);
    let product = hessian_vector_product(loss, &inputs[0], &v).unwrap();
    let reverse = grad(&(&gradient * &v).sum(..), [&inputs[0]]).unwrap().remove(0);
    let direction = random(point[0].shape(), source);
    let mut all = inputs.to_vec();
    all.push(v);
    let mut arguments = point.to_vec();
    arguments.push(direction.clone());
    let results = call(&compile(&all, &[product, reverse]), &arguments);
    let f = compile(inputs, &[gradient]);
    for i in 0..direction.len() {
        let moved = |step: f64| {
            let mut point = point.to_vec();
            point[0] = &point[0] + &(&direction * step);
            call(&f, &point)[0][i]
        };
        let difference = differentiate(moved, NOISE);
        for (mode, result) in ["hvp", "grad of grad"].iter().zip(&results) {
            let bound = difference.error + NOISE * size(result);
            assert!(
                (result[i] - difference.value).abs() <= bound,
                "{mode} of {name} [{i}]: {}, {difference:?}",
                result[i]
            );
        }
    }
}

/// The Jacobian against products with unit vectors, and the Hessian against that of the gradient.
fn whole_arrays(name: &str, x: &Expr, inputs: &[Expr], y: &Expr, loss: &Expr, point: &[ArrayD<f64>]) {
    let j = jacobian(y, x).unwrap();
    assert_eq!((j.dtype(), j.rank()), (y.dtype(), y.rank() + x.rank()), "{name}");
    let h = hessian(loss, x).unwrap();
    let ones = kroton::ones::<f64>([x.len()]).reshape((0..x.rank()).map(|axis| x.shape(axis)).collect::<Vec<_>>());
    let outputs = [j, jvp(y, [(x, &ones)]).unwrap(), h, hessian_vector_product(loss, x, &ones).unwrap()];
    let results = call(&compile(inputs, &outputs), point);
    let columns = point[0].len();
    for (whole, product) in [(&results[0], &results[1]), (&results[2], &results[3])] {
        assert_eq!(whole.len(), product.len() * columns, "{name}");
        for (i, expected) in product.iter().enumerate() {
            let row = &whole[i * columns..(i + 1) * columns];
            let sum: f64 = row.iter().sum();
            assert!((sum - expected).abs() <= NOISE * size(row), "{name}, row {i}: {sum}, not {expected}");
        }
    }
    for i in 0..columns {
        for k in 0..i {
            let (a, b) = (results[2][i * columns + k], results[2][k * columns + i]);
            assert!((a - b).abs() <= NOISE * size(&results[2]), "{name}: the Hessian is symmetric: {a}, {b}");
        }
    }
}

#[test]
fn reductions_over_any_axes() {
    let mut count = 0;
    for &op in ReduceOp::ALL.iter().filter(|op| op.accepts(DType::F64) && op.result(DType::F64) == DType::F64) {
        for axes in [&[0][..], &[1], &[2], &[0, 2], &[1, 2], &[0, 1, 2]] {
            check(&format!("{op} {axes:?}"), &[&[2, 3, 2]], |x| apply_reduce(op, &x[0], axes));
            count += 1;
        }
    }
    assert_eq!(count, 5 * 6);
}

#[test]
fn what_is_composed_of_reductions() {
    let m: &[usize] = &[3, 4];
    check("mean", &[m], |x| x[0].mean(0));
    check("var", &[m], |x| x[0].var(1));
    check("std", &[m], |x| x[0].std_ddof(.., 1));
    check("norm", &[m], |x| x[0].norm(-1));
    check("logsumexp", &[m], |x| x[0].logsumexp(1));
    check("softmax", &[m], |x| x[0].softmax(0));
    check("log_softmax", &[m], |x| x[0].log_softmax(-1));
    check("normalized", &[m], |x| (&x[0] - x[0].mean_keepdims(1)) / x[0].std_keepdims(1));
    check("sum of sums", &[m], |x| x[0].sum(0).exp().sum(..) * x[0].prod(1));
}

#[test]
fn composed_functions() {
    let v: &[usize] = &[5];
    check("sigmoid", &[v], |x| (&x[0] - 1.5).sigmoid());
    check("softplus", &[v], |x| (&x[0] - 1.5).softplus());
    check("logaddexp", &[v, v], |x| x[0].logaddexp(&x[1]));
    check("clamp", &[v], |x| x[0].clamp(1.1, 1.9));
    check("relu", &[v], |x| (&x[0] - 1.45).relu());
    check("powi", &[v], |x| x[0].powi(3) + x[0].powi(-2));
    check("recip", &[v], |x| x[0].recip().deg2rad() * x[0].square());
}

#[test]
fn views_and_joins() {
    let m: &[usize] = &[3, 4];
    check("transpose", &[m], |x| x[0].transpose());
    check("permute", &[&[2, 3, 2]], |x| x[0].permute([2, 0, 1]));
    check("reshape", &[m], |x| x[0].reshape((2, -1)).exp());
    check("flatten", &[m], |x| x[0].reshape(-1));
    check("expand_dims", &[m], |x| x[0].expand_dims(1) * x[0].expand_dims(0));
    check("squeeze", &[&[3, 1]], |x| x[0].squeeze(1));
    check("broadcast_to", &[&[1, 3]], |x| x[0].broadcast_to((2, 4, x[0].shape(1))));
    check("flip", &[m], |x| x[0].flip([0, 1]) * &x[0]);
    check("slice", &[m], |x| x[0].slice(s![1.., ..-1]));
    check("slice with a step", &[m], |x| x[0].slice(s![..;2, ..;3]));
    check("slice with steps that leave a rest", &[&[7, 6]], |x| {
        let last = -1;
        x[0].slice(s![1..;3, 2..last;2])
    });
    check("slice backwards", &[m], |x| x[0].slice(s![..;-1, 1..;-2]));
    check("an element", &[m], |x| x[0].slice(s![-1, 2]));
    check("a row, and a new axis", &[m], |x| x[0].slice(s![1, ndarray::NewAxis, ..]));
    check("nothing", &[m], |x| x[0].slice(s![2..2, ..]));
    check("slice_axis", &[m], |x| x[0].slice_axis(1, 0, x[0].shape(1).floor_div(2), 1));
    check("nothing, walking down from the end", &[&[5]], |x| {
        kroton::concat([&x[0].slice_axis(0, x[0].len(), x[0].len(), -2), &x[0]], 0)
    });
    check("walking down", &[&[7]], |x| x[0].slice_axis(0, x[0].len() - 1, 1, -3));
    check("differences", &[&[6]], |x| x[0].slice(s![1..]) - x[0].slice(s![..-1]));
    check("concat", &[m, &[2, 4]], |x| kroton::concat([&x[0], &x[1], &x[0]], 0));
    check("concat with a constant", &[m], |x| kroton::concat([&kroton::ones::<f64>((3, 2)), &x[0]], 1));
    check("stack", &[m, m], |x| kroton::stack([&x[0], &x[1]], 1));
}

#[test]
fn products_of_vectors_and_matrices() {
    let (a, b, u, v): (&[usize], &[usize], &[usize], &[usize]) = (&[2, 3], &[3, 4], &[3], &[3]);
    check("matrix · matrix", &[a, b], |x| x[0].matmul(&x[1]));
    check("the right factor", &[b, a], |x| x[1].matmul(&x[0]));
    check("matrix · vector", &[a, v], |x| x[0].matmul(&x[1]));
    check("vector · matrix", &[u, b], |x| x[0].matmul(&x[1]));
    check("vector · vector", &[u, v], |x| x[0].dot(&x[1]));
    check("a matrix twice", &[a], |x| x[0].transpose().matmul(&x[0]));
    check("two layers", &[a, b, &[4]], |x| x[0].matmul(&x[1]).tanh().matmul(&x[2]));
}

#[test]
fn broadcasting_is_undone_on_both_sides() {
    check("a column and a row", &[&[3, 1], &[1, 4]], |x| &x[0] * &x[1]);
    check("missing axes", &[&[4], &[2, 3, 4]], |x| x[0].atan2(&x[1]));
    check("a scalar", &[&[], &[2, 3]], |x| x[0].pow(&x[1]));
    check("three operands", &[&[3, 1], &[4], &[]], |x| x[0].mul_add(&x[1], &x[2]));
    check("select", &[&[3, 1], &[4], &[]], |x| x[0].gt(1.5).select(&x[1], &x[2]) * &x[0]);
    check("maximum", &[&[3, 1], &[4]], |x| x[0].maximum(&x[1] + 0.1));
    check("both of size 1", &[&[1, 1], &[1]], |x| &x[0] / &x[1]);
    check("one operand twice", &[&[3]], |x| &x[0] * x[0].expand_dims(1));
}
