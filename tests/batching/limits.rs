//! What is refused, what a call checks, and what stays small: chains, bodies, plans.

use kroton::{Compiler, DType, Error, Expr, arange, compile, constant, iterate, matrix, scalar, tensor, vector, vmap};
use ndarray::{Array1, Array2, array};

use crate::common::engines;

#[test]
fn what_cannot_be_a_batch_is_refused() {
    let (x, y) = (scalar::<f64>("x"), vector::<f64>("y"));
    let refused = |result: kroton::Result<[Expr; 1]>| match result {
        Err(Error::Build { message, location }) => {
            assert!(location.file().ends_with("limits.rs") && location.line() > 10, "{location}");
            message
        }
        other => panic!("{other:?}"),
    };
    let message = refused(vmap([&y, &x], |[a, _]| [a]));
    assert!(message.contains("`vmap` runs along axis 0") && message.contains("input 1, `x`, is f64[]"), "{message}");
    let none: [&Expr; 0] = [];
    assert!(refused(vmap(none, |_| [x.clone()])).contains("at least one input"));
    let three = kroton::input("three", DType::F64, [Some(3), None]);
    let four = kroton::input("four", DType::I32, [Some(4)]);
    let message = refused(vmap([&y, &three, &four], |[_, a, b]| [a + b]));
    assert!(message.contains("`three` is f64[3, ?] and `four` is i32[4]"), "{message}");
    // An element is no size, nor anything else that a call must know before it begins.
    let counts = vector::<i64>("counts");
    let error = vmap([&counts], |[n]| [arange(n)]).unwrap_err().to_string();
    assert!(error.contains("is not a size"), "{error}");
    let error = vmap([&y], |[a]| [a.matmul(&y)]).unwrap_err().to_string();
    assert!(error.contains("`matmul` takes arrays of rank 1 or 2"), "{error}");
    let mut kept = None;
    let _ = vmap([&y], |[a]| {
        kept = Some(a.clone());
        [a]
    });
    assert!(compile([&y], kept.unwrap() + &y).is_err());
}

#[test]
fn batch_sizes_are_checked_by_the_call() {
    let (x, y) = (vector::<f64>("x"), matrix::<f64>("y"));
    let [a, b] = vmap([&x, &y], |[x, y]| [&x * 2.0, y.sum(..)]).unwrap();
    for (_, device) in engines() {
        let f = Compiler::new().device(device).compile([&x, &y], (&a, &b)).unwrap();
        let mut out = ([7.0; 3], [7.0; 3]);
        let error = f.call_into((&[1.0; 3], &Array2::<f64>::zeros((2, 1))), (&mut out.0, &mut out.1)).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("axis 0 of `y` is 2") && error.contains("axis 0 of `x` is 3"), "{error}");
        assert!(error.contains("limits.rs"), "{error}");
        assert_eq!(out, ([7.0; 3], [7.0; 3]));
    }
    let one = kroton::input("one", DType::F64, [Some(1)]);
    let [sum] = vmap([&x, &one], |[a, b]| [a + b]).unwrap();
    let f = compile([&x, &one], sum).unwrap();
    assert_eq!(f.call::<Vec<f64>>((&[1.0], &[2.0])).unwrap(), [3.0]);
    assert!(f.call::<Vec<f64>>((&[1.0, 2.0], &[2.0])).is_err());
}

#[test]
fn long_chains_and_wide_bodies() {
    let x = vector::<f64>("x");
    let [y] = vmap([&x], |[x]| [(0..100_000).fold(x.clone(), |y, _| y * 0.5 + &x)]).unwrap();
    assert_eq!(y.rank(), 1);
    // A state that is reached after many others.
    let [first, ..] = vmap([&x], |[x]| {
        let zero = constant(0.0);
        let initial: [&Expr; 40] = std::array::from_fn(|i| if i == 39 { &x } else { &zero });
        iterate(50, initial, |states| std::array::from_fn(|i| states[(i + 1).min(39)].clone() + 1.0))
    })
    .unwrap();
    let first: Array1<f64> = compile([&x], first).unwrap().call((&[1.0, 2.0],)).unwrap();
    assert_eq!(first, array![51.0, 52.0]);
}

#[test]
fn there_is_no_loop_over_the_batch() {
    let (xs, w) = (tensor::<f64>("xs", 3), matrix::<f64>("w"));
    let [y] = vmap([&xs], |[x]| [(x.matmul(&w) + 1.0).tanh().sum(1)]).unwrap();
    let text = kroton::to_text([&xs, &w], &y).unwrap();
    assert!(!text.contains("loop") && text.matches("matmul").count() == 1, "{text}");
}

#[test]
fn many_batched_parts_are_joined_in_order() {
    let xs = vector::<f64>("xs");
    let [joined] = vmap([&xs], |[x]| {
        let parts: Vec<Expr> = (0..2_000).map(|number| (&x + number as f64).expand_dims(0)).collect();
        [kroton::concat(&parts, 0)]
    })
    .unwrap();
    let joined: ndarray::Array2<f64> = compile([&xs], joined).unwrap().call((&[0.5, 10.0],)).unwrap();
    assert_eq!(joined, ndarray::Array2::from_shape_fn((2, 2_000), |(row, part)| [0.5, 10.0][row] + part as f64));
}
