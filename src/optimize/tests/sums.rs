//! Rules of reductions: what repeats or scales is taken out of them, slices are taken into them.

use super::evaluate::{Value, evaluate, same};
use super::views::{Inputs, add, broadcast, fires, flip_rows, neg, reduce, reshape, slice};
use super::{apply, count, input, rule};
use crate::dtype::{DType, Scalar};
use crate::graph::{Graph, Node, NodeId, SliceRange};
use crate::ops::{BinaryOp, ReduceOp};
use crate::optimize::{Level, Options, optimize};
use crate::shape::Dim;

fn fill(rule: &str, op: ReduceOp, axes: &'static [u32]) -> (usize, Graph) {
    fires(rule, move |g, i| {
        let x = broadcast(g, &[5, 4, 3], i.ones);
        reduce(g, op, axes, x)
    })
}

#[test]
fn an_extremum_of_repeated_elements_is_one_of_them() {
    for op in [ReduceOp::Min, ReduceOp::Max] {
        assert_eq!(count(&fill("extremum_of_broadcast", op, &[0, 2]).1, op.name()), 0);
        let (fired, graph) = fill("extremum_of_broadcast", op, &[0, 1]);
        assert_eq!((fired, count(&graph, op.name())), (1, 1));
        assert_eq!(fill("extremum_of_broadcast", op, &[1]).0, 0);
    }
    let open = fires("extremum_of_broadcast", |g, i| {
        let shape = g.ty(i.open).shape.clone();
        let zero = add(g, Node::Scalar(Scalar::I64(3)));
        let x = add(g, Node::Broadcast(shape, zero));
        reduce(g, ReduceOp::Max, &[0, 1], x)
    });
    assert_eq!(open.0, 0);
}

/// Whether all, or any, of some bools of shape [2, 1] are true that are repeated along open axes of these sizes.
fn quantified(op: ReduceOp, axes: &'static [u32], sizes: [usize; 2]) -> [Value; 2] {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", DType::Bool, &[Some(2), Some(1)]);
    let y = input(&mut graph, "y", DType::F64, &[None, None]);
    let [rows, columns] = [0, 1].map(|axis: usize| graph.ty(y).shape[axis].clone());
    let x = add(&mut graph, Node::Broadcast([rows, Dim::of_size(2), columns].into_iter().collect(), x));
    let result = reduce(&mut graph, op, axes, x);
    graph.outputs.push(result);
    let rule = if op == ReduceOp::Any { rule("any_of_broadcast") } else { rule("all_of_broadcast") };
    let (after, trace) = apply(&graph, &[rule]);
    assert_eq!(trace.total(), 1, "{axes:?}");
    assert_eq!(count(&after, op.name()), usize::from(axes.contains(&1)), "{axes:?}");
    let bools = Value { shape: vec![2, 1], elements: vec![Scalar::Bool(true), Scalar::Bool(false)] };
    let arguments = [bools, Value::numbers(DType::F64, &sizes)];
    [&graph, &after].map(|graph| evaluate(graph, &arguments).swap_remove(0))
}

#[test]
fn any_and_all_of_repeated_bools_are_those_of_one_copy_if_there_is_one() {
    for op in [ReduceOp::Any, ReduceOp::All] {
        for axes in [&[0][..], &[2], &[0, 2], &[0, 1], &[0, 1, 2], &[1, 2]] {
            for sizes in [[0, 0], [0, 3], [3, 0], [1, 1], [2, 3]] {
                let [before, after] = quantified(op, axes, sizes);
                same(&before, &after).unwrap_or_else(|error| panic!("{op} {axes:?} {sizes:?}: {error}"));
            }
        }
    }
}

#[test]
fn a_sum_of_repeated_integers_is_a_product() {
    for axes in [&[0][..], &[2], &[0, 2], &[0, 1, 2], &[1, 2]] {
        let (fired, graph) = fires("integer_sum_of_broadcast", |g, i| {
            let x = broadcast(g, &[5, 4, 3], i.ones);
            reduce(g, ReduceOp::Sum, axes, x)
        });
        assert_eq!((fired, count(&graph, "mul")), (1, 1), "{axes:?}");
    }
    assert_eq!(fill("integer_sum_of_broadcast", ReduceOp::Sum, &[1]).0, 0);
    assert_eq!(fill("integer_sum_of_broadcast", ReduceOp::Prod, &[0]).0, 0);
    let integers = fires("sum_of_broadcast", |g, i| {
        let x = broadcast(g, &[5, 4, 3], i.ones);
        reduce(g, ReduceOp::Sum, &[0], x)
    });
    assert_eq!(integers.0, 0);
}

/// The sum of n copies of each of some floats, n open.
fn copies(values: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", DType::F64, &[Some(values.len())]);
    let y = input(&mut graph, "y", DType::F64, &[None]);
    let shape = [graph.ty(y).shape[0].clone(), Dim::of_size(values.len())].into_iter().collect();
    let x = add(&mut graph, Node::Broadcast(shape, x));
    let sum = reduce(&mut graph, ReduceOp::Sum, &[0], x);
    graph.outputs.push(sum);
    let (after, trace) = apply(&graph, &[rule("sum_of_broadcast")]);
    assert_eq!((trace.total(), count(&after, "sum")), (1, 0));
    let vector = |values: &[f64]| Value::vector(values.iter().map(|&value| Scalar::F64(value)).collect());
    let arguments = [vector(values), vector(&vec![0.0; n])];
    (evaluate(&graph, &arguments)[0].f64s(), evaluate(&after, &arguments)[0].f64s())
}

#[test]
fn a_sum_of_repeated_floats_rounds_once() {
    let special = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1.5, f64::MAX, f64::from_bits(1)];
    for n in [0, 1, 2, 3] {
        let (before, after) = copies(&special, n);
        let same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        assert!(before.iter().zip(&after).all(same), "{n}: {before:?} and {after:?}");
    }
    let (before, after) = copies(&[0.1], 1000);
    assert!(before != [100.0] && after == [100.0], "{before:?} {after:?}");
}

#[test]
fn integer_factors_leave_sums() {
    let scaled = |name: &'static str, floats: bool| {
        fires(name, move |g, i| {
            let x = if floats { i.floats } else { i.known };
            let three = add(g, Node::Scalar(Scalar::I64(3).cast(g.ty(x).dtype)));
            let x = add(g, Node::Binary(BinaryOp::Mul, [x, three]));
            reduce(g, ReduceOp::Sum, &[1], x)
        })
        .0
    };
    assert_eq!((scaled("integer_sum_of_multiples", false), scaled("integer_sum_of_multiples", true)), (1, 0));
    assert_eq!((scaled("sum_of_multiples", true), scaled("sum_of_multiples", false)), (1, 0));
    let negative = |g: &mut Graph, x: NodeId| {
        let x = neg(g, x);
        reduce(g, ReduceOp::Sum, &[0], x)
    };
    assert_eq!(fires("integer_sum_of_negatives", |g, i| negative(g, i.known)).0, 1);
    assert_eq!(fires("integer_sum_of_negatives", |g, i| negative(g, i.floats)).0, 0);
    let twice = |g: &mut Graph, i: &Inputs| {
        let x = reduce(g, ReduceOp::Sum, &[0], i.floats);
        reduce(g, ReduceOp::Sum, &[0], x)
    };
    let (fired, graph) = fires("sum_of_sums", twice);
    assert_eq!((fired, count(&graph, "sum")), (1, 1));
}

#[test]
fn narrow_integers_are_not_scaled_after_widening() {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", DType::I8, &[Some(3)]);
    let factor = add(&mut graph, Node::Scalar(Scalar::I8(100)));
    let product = add(&mut graph, Node::Binary(BinaryOp::Mul, [x, factor]));
    let sum = reduce(&mut graph, ReduceOp::Sum, &[0], product);
    graph.outputs.push(sum);
    let (after, _) = optimize(graph.clone(), &Options { level: Level::Fast, ..Options::default() }).unwrap();
    let arguments = [Value::vector([3, 100, -7].map(Scalar::I8).to_vec())];
    same(&evaluate(&graph, &arguments)[0], &evaluate(&after, &arguments)[0]).unwrap();
}

#[test]
fn slices_move_below_reductions_and_reshapes() {
    for op in [ReduceOp::Sum, ReduceOp::Max, ReduceOp::ArgMax] {
        let (fired, graph) = fires("slice_of_reduce", |g, i| {
            let x = reduce(g, op, &[0], i.known);
            slice(g, &[(4, -2, 2)], x)
        });
        assert_eq!((fired, graph.node(graph.outputs[0]).name()), (1, op.name()));
    }
    let (fired, graph) = fires("slice_of_reshape", |g, i| {
        let x = reshape(g, &[4, 1, 1, 6], i.known);
        slice(g, &[(1, 2, 2), (0, 1, 1), (0, 1, 1), (5, -1, 3)], x)
    });
    assert_eq!((fired, graph.node(graph.outputs[0]).name()), (1, "reshape"));
    let moved = fires("slice_of_reshape", |g, i| {
        let x = reshape(g, &[6, 4], i.known);
        slice(g, &[(1, 2, 2), (0, 1, 4)], x)
    });
    assert_eq!(moved.0, 0);
    let shared = fires("slice_of_reduce", |g, i| {
        let x = reduce(g, ReduceOp::Sum, &[0], i.known);
        let part = slice(g, &[(0, 1, 1)], x);
        add(g, Node::Binary(BinaryOp::Add, [x, part]))
    });
    assert_eq!(shared.0, 0);
    let rows = fires("slice_of_reduce", |g, i| {
        let x = flip_rows(g, i.open);
        let sums = reduce(g, ReduceOp::Sum, &[1], x);
        let range = SliceRange { start: Dim::ZERO, step: 1, length: Dim::from(2) };
        add(g, Node::Slice([range].into_iter().collect(), sums))
    });
    assert_eq!(rows.0, 1);
}

#[test]
fn the_first_numbers_are_a_shorter_sequence() {
    let part = |range: (i64, i64, i64)| {
        fires("slice_of_iota", move |g, _| {
            let x = add(g, Node::Iota(Dim::from(9)));
            slice(g, &[range], x)
        })
        .0
    };
    assert_eq!((part((0, 1, 4)), part((1, 1, 4)), part((0, 2, 4))), (1, 0, 0));
}
