//! Gradients of batches, batches of gradients, and Jacobians.

use kroton::{
    Arg, Array, Compiler, DType, Expr, arange, compile, constant, grad, iterate, iterate_while_at_most, jacobian,
    matrix, scalar, scan, tensor, vector, vjp, vmap,
};
use ndarray::{Array2, array};

use crate::common::{Argument, engines};
use crate::{SIZES, element, finite};

#[test]
fn gradients_of_batches_and_batches_of_gradients() {
    let (xs, ys, w) = (matrix::<f64>("xs"), vector::<f64>("ys"), vector::<f64>("w"));
    let loss = |x: &Expr, y: &Expr| ((x.dot(&w)).tanh() - y).square();
    let [losses] = vmap([&xs, &ys], |[x, y]| [loss(&x, &y)]).unwrap();
    let total = grad(&losses.sum(..), [&w]).unwrap().remove(0);
    let [each, slopes] = vmap([&xs, &ys], |[x, y]| {
        let loss = loss(&x, &y);
        let mut gradients = grad(&loss, [&w, &x])?;
        Ok([gradients.remove(0), gradients.remove(0)])
    })
    .unwrap();
    let by_hand = grad(&(xs.dot(&w).tanh() - &ys).square().sum(..), [&w, &xs]).unwrap();
    let f = compile([&xs, &ys, &w], (&total, &each.sum(0), &by_hand[0], &slopes, &by_hand[1])).unwrap();
    let values = array![[0.5, -1.0, 2.0], [0.25, 0.75, -0.5]];
    let results: Vec<Array> = f.call((&values, &[1.0, -1.0], &[0.5, 0.25, -0.125])).unwrap();
    let [total, summed, expected, slopes, moved] = std::array::from_fn(|i| results[i].as_slice::<f64>().unwrap());
    for (got, expected) in [(total, expected), (summed, expected), (slopes, moved)] {
        assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-13), "{got:?} {expected:?}");
    }
}

#[test]
fn gradients_through_products_of_two_batches() {
    let (a, b) = (tensor::<f64>("a", 3), tensor::<f64>("b", 3));
    let small = kroton::input("small", DType::F64, [None, Some(2), Some(2)]);
    let [losses] = vmap([&a, &b, &small], |[a, b, s]| {
        let product = a.matmul(&b);
        [product.sin().sum(..) + product.matmul(s.matmul(&s)).square().sum(..)]
    })
    .unwrap();
    let together = grad(&losses.sum(..), [&a, &b, &small]).unwrap();
    let each = vmap([&a, &b, &small], |[a, b, s]| {
        let product = a.matmul(&b);
        let loss = product.sin().sum(..) + product.matmul(s.matmul(&s)).square().sum(..);
        let gradients: [Expr; 3] = grad(&loss, [&a, &b, &s])?.try_into().unwrap();
        Ok(gradients)
    })
    .unwrap();
    let outputs: Vec<Expr> = each.into_iter().chain(together).collect();
    let draw = |shape: &[usize], seed| finite(DType::F64, shape, seed);
    for size in SIZES {
        let values = [draw(&[size, 4, 3], 1), draw(&[size, 3, 2], 2), draw(&[size, 2, 2], 3)];
        let args: Vec<Arg<'_>> = values.iter().map(Argument::arg).collect();
        for (name, device) in engines() {
            let f = Compiler::new().device(device).compile([&a, &b, &small], outputs.clone()).unwrap();
            let results: Vec<Array> = f.call(args.as_slice()).unwrap();
            for (each, together) in results[..3].iter().zip(&results[3..]) {
                assert_eq!(each.shape(), together.shape());
                let (each, together) = (each.as_slice::<f64>().unwrap(), together.as_slice::<f64>().unwrap());
                assert!(each.iter().zip(together).all(|(a, b)| (a - b).abs() < 1e-12), "{name}: {each:?} {together:?}");
            }
        }
        // The same by hand, for the first element.
        let first: Vec<Argument> = values.iter().filter(|_| size > 0).map(|batch| element(batch, 0)).collect();
        let [x, y, s] = [matrix::<f64>("x"), matrix::<f64>("y"), matrix::<f64>("s")];
        let product = x.matmul(&y);
        let loss = product.sin().sum(..) + product.matmul(s.matmul(&s)).square().sum(..);
        let f = compile([&x, &y, &s], grad(&loss, [&x, &y, &s]).unwrap()).unwrap();
        let g = compile([&a, &b, &small], outputs.clone()).unwrap();
        if size > 0 {
            let single: Vec<Array> = f.call(first.iter().map(Argument::arg).collect::<Vec<_>>().as_slice()).unwrap();
            let batch: Vec<Array> = g.call(args.as_slice()).unwrap();
            for (single, batch) in single.iter().zip(&batch) {
                let (single, batch) = (single.as_slice::<f64>().unwrap(), batch.as_slice::<f64>().unwrap());
                assert!(single.iter().zip(batch).all(|(a, b)| (a - b).abs() < 1e-12), "{single:?} {batch:?}");
            }
        }
    }
}

#[test]
fn gradients_through_loops_in_a_batch() {
    let (xs, w, counts) = (matrix::<f64>("xs"), vector::<f64>("w"), vector::<i64>("counts"));
    let loss = |x: &Expr, n: &Expr| -> kroton::Result<Expr> {
        let [y] = iterate(4, [x], |[y]| [(&y * &w).sin() + x])?;
        let [z, _] =
            iterate_while_at_most(9, |[_, k]| k.lt(n), [&y, &constant(0_i64)], |[z, k]| [z * 0.5 + &w, k + 1])?;
        let ([s], [h]) = scan((&z, &w), [&constant(1.0)], |(z, w), [s]| ([&s * 0.5 + &z * w], [&s * z]))?;
        Ok(s + h.sum(..))
    };
    let each = vmap([&xs, &counts], |[x, n]| {
        let loss = loss(&x, &n)?;
        let [to_w, to_x]: [Expr; 2] = grad(&loss, [&w, &x])?.try_into().unwrap();
        Ok([loss, to_w, to_x])
    })
    .unwrap();
    let together = grad(&each[0].sum(..), [&w, &xs]).unwrap();
    let (x, n) = (vector::<f64>("x"), scalar::<i64>("n"));
    let single = loss(&x, &n).unwrap();
    let by_hand: Vec<Expr> = [single.clone()].into_iter().chain(grad(&single, [&w, &x]).unwrap()).collect();
    let (rows, steps, weights) = (array![[0.5, -1.0], [0.25, 2.0], [1.0, 0.0]], [0_i64, 3, 20], [0.75, -0.5]);
    for (name, device) in engines() {
        let compiler = Compiler::new().device(device);
        let outputs: Vec<Expr> = each.iter().cloned().chain(together.clone()).collect();
        let results: Vec<Array> =
            compiler.compile([&xs, &counts, &w], outputs).unwrap().call((&rows, &steps, &weights)).unwrap();
        let flat: Vec<&[f64]> = results.iter().map(|result| result.as_slice().unwrap()).collect();
        let f = compiler.compile([&x, &n, &w], by_hand.clone()).unwrap();
        let mut summed = [0.0; 2];
        for row in 0..3 {
            let expected: Vec<Array> = f.call((&rows.row(row), steps[row], &weights)).unwrap();
            for (output, expected) in expected.iter().enumerate() {
                let expected = expected.as_slice::<f64>().unwrap();
                let got = &flat[output][row * expected.len()..(row + 1) * expected.len()];
                assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{name}: {got:?} {expected:?}");
                if output == 1 {
                    summed.iter_mut().zip(expected).for_each(|(sum, slope)| *sum += slope);
                }
            }
        }
        assert!(flat[3].iter().zip(&summed).all(|(a, b)| (a - b).abs() < 1e-12), "{name}: {:?} {summed:?}", flat[3]);
        assert!(flat[4].iter().zip(flat[2]).all(|(a, b)| (a - b).abs() < 1e-12), "{name}");
    }
}

#[test]
fn a_jacobian_is_a_batch_of_products() {
    let (x, m) = (vector::<f64>("x"), matrix::<f64>("m"));
    let y = m.matmul(x.sin()) * x.cumulated();
    let rows = y.shape(0);
    let units = arange(&rows).expand_dims(1).eq(arange(&rows)).cast::<f64>();
    let [pulled] = vmap([&units], |[unit]| Ok([vjp(&y, unit, [&x])?.remove(0)])).unwrap();
    let f = compile([&x, &m], (pulled, jacobian(&y, &x).unwrap())).unwrap();
    let values = Array2::from_shape_fn((3, 3), |(i, j)| (i * 3 + j) as f64 / 4.0);
    let (pulled, expected): (Array2<f64>, Array2<f64>) = f.call((&[0.5, -1.5, 2.0], &values)).unwrap();
    assert!(pulled.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{pulled} {expected}");
}

trait Cumulated {
    fn cumulated(&self) -> Expr;
}

impl Cumulated for Expr {
    /// The sums up to each element.
    fn cumulated(&self) -> Expr {
        let places = arange(self.len());
        places.expand_dims(1).ge(&places).select(self, 0.0).sum(1)
    }
}
