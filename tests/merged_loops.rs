//! Loops that make the same steps become one: how many are left, and what they compute.

mod common;

use common::{difference, engines, scalars};
use kroton::{
    Arg, Array, Compiler, Expr, Stage, cond, grad, iterate, iterate_indexed, iterate_while_at_most, matrix, scalar,
    scan, vector,
};
use ndarray::{Array1, Array2};

/// How many loops a function runs.
fn loops(inputs: &[&Expr], outputs: &[Expr]) -> usize {
    let f = Compiler::new().compile(inputs, outputs).unwrap();
    f.dump(Stage::Optimized).unwrap().matches("= loop ").count()
}

/// Merging changes no bit on any engine. Gives the number of loops that are left, and without merging.
#[track_caller]
fn unchanged(inputs: &[&Expr], outputs: &[Expr], args: &[Arg<'_>]) -> [usize; 2] {
    let mut counts = [0; 2];
    for (name, device) in engines() {
        let functions = [Compiler::new(), Compiler::new().exclude("merge_loops")]
            .map(|compiler| compiler.device(device).compile(inputs, outputs).unwrap());
        let [merged, apart]: [Vec<Array>; 2] = functions.each_ref().map(|f| f.call(args).unwrap());
        for (number, (got, wanted)) in merged.iter().zip(&apart).enumerate() {
            assert_eq!(got.shape(), wanted.shape(), "{name}: result {number}");
            if let Some(text) = difference(&scalars(got), &scalars(wanted)) {
                panic!("{name}: result {number}: {text}\n{}", functions[0].dump(Stage::All).unwrap());
            }
        }
        counts = functions.map(|f| f.dump(Stage::Optimized).unwrap().matches("= loop ").count());
    }
    counts
}

fn point() -> (Array1<f64>, Array2<f64>) {
    (Array1::from_vec(vec![0.3, -0.4, 0.5]), Array2::from_shape_fn((3, 3), |(i, j)| 0.3 - 0.1 * (i * 2 + j) as f64))
}

/// So many loops, each over what the one before left, of different kinds.
fn stacked(x: &Expr, w: &Expr, layers: usize) -> Expr {
    (0..layers).fold(x.clone(), |y, layer| {
        let step = |y: Expr| (w * y).tanh().sum(1) + 0.1;
        let [y] = match layer % 4 {
            0 => iterate(4, [&y], |[y]| [step(y)]),
            1 => iterate_indexed(4, [&y], |i, [y]| [step(y) * (i + 1)]),
            2 => iterate_while_at_most(9, |[y]| y.square().sum(..).lt(5.0), [&y], |[y]| [step(y) + 0.3]),
            _ => scan([w], [&y], |[row], [y]| ([step(y) + &row], [row])).map(|(last, [_])| last),
        }
        .unwrap();
        y
    })
}

#[test]
fn stacked_loops_and_their_gradients_share_the_way_forward() {
    let (x, w) = (vector::<f64>("x"), matrix::<f64>("w"));
    let (at, by) = point();
    let value = stacked(&x, &w, 10);
    let loss = value.square().sum(..);
    let outputs = [vec![loss.clone(), value], grad(&loss, [&x, &w]).unwrap()].concat();
    let [merged, apart] = unchanged(&[&x, &w], &outputs, &[Arg::from(&at), Arg::from(&by)]);
    assert_eq!([merged, apart], [20, 30]);
}

#[test]
fn loops_in_loops_are_merged_with_what_they_are_in() {
    let (x, w) = (vector::<f64>("x"), matrix::<f64>("w"));
    let (at, by) = point();
    let [value] = iterate(3, [&x], |[x]| {
        let [y] = iterate(2, [&x], |[y]| [(&w * y).tanh().sum(1)]).unwrap();
        let [z] = cond(y.sum(..).gt(0.2), [&y], |[y]| [y.sin()], |[y]| [y.cos()]).unwrap();
        [z + x]
    })
    .unwrap();
    let loss = value.square().sum(..);
    let outputs = [vec![loss.clone()], grad(&loss, [&x, &w]).unwrap()].concat();
    let [merged, apart] = unchanged(&[&x, &w], &outputs, &[Arg::from(&at), Arg::from(&by)]);
    assert_eq!([merged, apart], [9, 14]);
}

#[test]
fn classes_of_loops_with_the_same_start_are_told_apart() {
    let x = vector::<f64>("x");
    let sine = |x: &Expr| iterate(3, [x], |[x]| [x.sin()]).unwrap()[0].clone();
    let cosine = |x: &Expr| iterate(3, [x], |[x]| [x.cos()]).unwrap()[0].clone();
    // Four loops of two classes, and what starts from them.
    let first = [sine(&x), cosine(&x), sine(&x), cosine(&x)];
    let outputs: Vec<Expr> = first.iter().map(sine).chain(first.clone()).collect();
    assert_eq!(loops(&[&x], &outputs), 4);
    assert_eq!(unchanged(&[&x], &outputs, &[Arg::from(&point().0)]), [4, 8]);
}

#[test]
fn a_loop_does_not_become_one_that_needs_it() {
    let (x, n) = (vector::<f64>("x"), scalar::<i64>("n"));
    let rows = matrix::<f64>("rows");
    let run = |emit: &dyn Fn(&Expr) -> Expr| {
        let ([last], [history]) = scan([&rows], [&x], |[row], [x]| ([(&x + &row).sin()], [emit(&x)])).unwrap();
        [last, history]
    };
    let [last, first] = run(&|x| x * 2.0);
    // The same states, but what is emitted is made of the last ones.
    let [_, second] = run(&|x| x * &last);
    // The same steps inside another loop and outside.
    let [inside] = iterate_indexed(&n, [&x], |i, [y]| {
        let ([last], [_]) = scan([&rows], [&x], |[row], [x]| ([(&x + &row).sin()], [x])).unwrap();
        let ([moved], [_]) = scan([&rows], [&(&x * &i)], |[row], [x]| ([(&x + &row).sin()], [x])).unwrap();
        [y + last + moved]
    })
    .unwrap();
    let (at, by) = point();
    let outputs = [first, second, inside];
    let [merged, apart] = unchanged(&[&x, &n, &rows], &outputs, &[Arg::from(&at), Arg::from(2_i64), Arg::from(&by)]);
    assert!(merged < apart, "{merged} of {apart}");
}

#[test]
fn a_thousand_loops_in_a_row_are_merged_at_once() {
    let x = vector::<f64>("x");
    let run = || (0..1000).fold(x.clone(), |y, _| iterate(3, [&y], |[y]| [(y * 0.5).sin()]).unwrap()[0].clone());
    let f = Compiler::new().compile([&x], [run(), run(), run()]).unwrap();
    let text = f.dump(Stage::Optimized).unwrap();
    assert_eq!(text.matches("= loop ").count(), 1000);
    assert_eq!(f.call::<[Vec<f64>; 3]>((&[0.0],)).unwrap(), [vec![0.0], vec![0.0], vec![0.0]]);
}
