//! A program evaluated node by node, with an error bound for each element.
//!
//! A second oracle, written apart from the crate's: elementwise ops are the definitions of the table, and everything
//! else (views, reductions, matrix products) is spelled out here.

use kroton::ops::{BinaryOp, ReduceOp};
use kroton::{DType, Scalar};

use crate::bounded::{Bounded, binary, cast, rounded, ternary, ulp, unary};
use crate::common::in_order;
use crate::evaluate_loops::evaluate_loop;
use crate::program::{Node, Op, Part, Program, values_of};
use crate::regions::{Inner, Use};
use crate::rounding::{Bounds, Rounding};

/// The elements of every node, as an engine with this arithmetic may find them.
pub fn evaluate(program: &Program, rounding: &Rounding) -> Vec<Vec<Bounded>> {
    evaluate_nodes(program, rounding, Vec::new())
}

/// All nodes, of which the first ones are given.
pub fn evaluate_nodes(program: &Program, rounding: &Rounding, given: Vec<Vec<Bounded>>) -> Vec<Vec<Bounded>> {
    let mut values = given;
    for node in &program.nodes[values.len()..] {
        let elements = evaluate_node(program, rounding, node, &values);
        assert_eq!(elements.len(), values_of(&node.shape).iter().product::<usize>(), "{node:?}");
        values.push(elements);
    }
    values
}

/// Every multi-index of a shape, in row-major order.
fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for &size in shape {
        all = all.iter().flat_map(|index| (0..size).map(move |i| [index.as_slice(), &[i]].concat())).collect();
    }
    all
}

fn position(shape: &[usize], index: &[usize]) -> usize {
    shape.iter().zip(index).fold(0, |position, (size, i)| position * size + i)
}

/// The element of an operand that broadcasts to an index.
fn broadcast_at(shape: &[usize], index: &[usize]) -> usize {
    let own = &index[index.len() - shape.len()..];
    let own: Vec<usize> = shape.iter().zip(own).map(|(&size, &i)| if size == 1 { 0 } else { i }).collect();
    position(shape, &own)
}

fn evaluate_node(program: &Program, rounding: &Rounding, node: &Node, values: &[Vec<Bounded>]) -> Vec<Bounded> {
    let shape = values_of(&node.shape);
    let shape_of = |x: usize| values_of(&program.nodes[x].shape);
    let at = |x: usize, index: &[usize]| values[x][broadcast_at(&shape_of(x), index)];
    let exactly = |values: &[Scalar]| values.iter().map(|&value| Bounded::exact(value)).collect();
    match &node.op {
        Op::Input(index) => exactly(&program.inputs[*index].1.values),
        Op::Constant(value) => exactly(&[*value]),
        Op::Dense(values) => exactly(values),
        Op::Iota => (0..shape[0]).map(|i| Bounded::exact(Scalar::I64(i as i64))).collect(),
        Op::Size(axis, x) => exactly(&[Scalar::I64(shape_of(*x)[*axis] as i64)]),
        Op::Unary(op, x) => values[*x].iter().map(|&x| unary(rounding, *op, x)).collect(),
        Op::Binary(op, [a, b]) => indices(&shape).iter().map(|i| binary(rounding, *op, at(*a, i), at(*b, i))).collect(),
        Op::Ternary(op, [a, b, c]) => {
            indices(&shape).iter().map(|i| ternary(rounding, *op, at(*a, i), at(*b, i), at(*c, i))).collect()
        }
        Op::Cast(x) => values[*x].iter().map(|&x| cast(rounding, x, node.dtype)).collect(),
        // Nothing is reduced over no axes, not even −0 to +0.
        Op::Reduce(ReduceOp::Sum | ReduceOp::Prod, axes, x) if axes.is_empty() => {
            values[*x].iter().map(|&x| cast(rounding, x, node.dtype)).collect()
        }
        Op::Reduce(op, axes, x) => {
            let reduce = |elements: &[Bounded]| reduce(rounding, *op, program.nodes[*x].dtype, elements);
            reduce_axes(reduce, axes, &shape_of(*x), &values[*x])
        }
        Op::Permute(order, x) => {
            let source = shape_of(*x);
            let back = |index: &Vec<usize>| {
                let mut own = vec![0; order.len()];
                order.iter().zip(index).for_each(|(&axis, &i)| own[axis] = i);
                values[*x][position(&source, &own)]
            };
            indices(&shape).iter().map(back).collect()
        }
        Op::Reshape(_, x) => values[*x].clone(),
        Op::Broadcast(x) => indices(&shape).iter().map(|i| at(*x, i)).collect(),
        Op::Slice(parts, x) => slice(parts, &shape_of(*x), &values[*x]),
        Op::Concat(axis, [a, b]) => {
            let (left, right) = (shape_of(*a), shape_of(*b));
            let pick = |index: &Vec<usize>| {
                let mut index = index.clone();
                match index[*axis].checked_sub(left[*axis]) {
                    None => values[*a][position(&left, &index)],
                    Some(rest) => {
                        index[*axis] = rest;
                        values[*b][position(&right, &index)]
                    }
                }
            };
            indices(&shape).iter().map(pick).collect()
        }
        Op::Parameter => panic!("a parameter without its loop"),
        Op::Loop(of, result) => evaluate_loop(rounding, of, &shape_of, values).swap_remove(*result),
        Op::Inner(of) => evaluate_inner(rounding, of, &shape_of, values),
        Op::MatMul([a, b]) => matmul(rounding, node.dtype, [&values[*a], &values[*b]], shape_of(*a)[1], &shape),
    }
}

/// The result of bodies that are no loop's.
fn evaluate_inner(
    rounding: &Rounding,
    of: &Inner,
    shape_of: &dyn Fn(usize) -> Vec<usize>,
    outside: &[Vec<Bounded>],
) -> Vec<Bounded> {
    let body = |number: usize, operands: Vec<Vec<Bounded>>| {
        let given = operands.into_iter().chain([outside[of.captured].clone()]).collect();
        evaluate_nodes(&of.bodies[number], rounding, given).swap_remove(of.yields[number])
    };
    let operands = || of.operands.iter().map(|&x| outside[x].clone()).collect();
    match of.of {
        Use::Checkpoint | Use::CustomGradient => body(0, operands()),
        Use::Branches(predicate) => {
            let holds = outside[predicate][0];
            let taken = body(usize::from(holds.value != Scalar::Bool(true)), operands());
            if holds.is_exact() { taken } else { taken.iter().map(|x| Bounded::unknown(x.value)).collect() }
        }
        Use::Batch => {
            let (rows, shape) = (&outside[of.operands[0]], shape_of(of.operands[0]));
            let length = shape[1..].iter().product::<usize>();
            (0..shape[0]).flat_map(|row| body(0, vec![rows[row * length..(row + 1) * length].to_vec()])).collect()
        }
    }
}

fn slice(parts: &[Part], source: &[usize], values: &[Bounded]) -> Vec<Bounded> {
    let taken: Vec<Vec<usize>> = parts
        .iter()
        .zip(source)
        .map(|(part, &size)| match *part {
            Part::From(k) => (k..size).collect(),
            Part::To(k) => (0..size - k).collect(),
            Part::Every(step) if step > 0 => (0..size).step_by(step as usize).collect(),
            Part::Every(step) => (0..size).rev().step_by(step.unsigned_abs()).collect(),
            Part::Range(start, end) => (start..end).collect(),
            Part::Index(i) => vec![i],
            Part::Last => vec![size - 1],
        })
        .collect();
    let lengths: Vec<usize> = taken.iter().map(Vec::len).collect();
    let own = |index: &Vec<usize>| index.iter().zip(&taken).map(|(&i, taken)| taken[i]).collect::<Vec<_>>();
    indices(&lengths).iter().map(|index| values[position(source, &own(index))]).collect()
}

fn reduce_axes(
    reduce: impl Fn(&[Bounded]) -> Bounded,
    axes: &[usize],
    shape: &[usize],
    values: &[Bounded],
) -> Vec<Bounded> {
    let sizes = |kept: bool| -> Vec<usize> {
        (0..shape.len()).filter(|axis| axes.contains(axis) != kept).map(|axis| shape[axis]).collect()
    };
    let (outer, inner) = (indices(&sizes(true)), indices(&sizes(false)));
    let merge_index = |outer: &[usize], inner: &[usize]| {
        let (mut outer, mut inner) = (outer.iter(), inner.iter());
        let pick = |axis: usize| if axes.contains(&axis) { inner.next() } else { outer.next() };
        let index: Vec<usize> = (0..shape.len()).map(pick).map(|i| *i.unwrap()).collect();
        position(shape, &index)
    };
    outer
        .iter()
        .map(|outer| {
            let elements: Vec<Bounded> = inner.iter().map(|inner| values[merge_index(outer, inner)]).collect();
            reduce(&elements)
        })
        .collect()
}

fn reduce(rounding: &Rounding, op: ReduceOp, dtype: DType, elements: &[Bounded]) -> Bounded {
    let truth = |value: bool| Bounded::exact(Scalar::Bool(value));
    match op {
        ReduceOp::Sum | ReduceOp::Prod => fold(rounding, op, dtype, elements),
        ReduceOp::All => fold_truth(rounding, BinaryOp::And, elements, truth(true)),
        ReduceOp::Any => fold_truth(rounding, BinaryOp::Or, elements, truth(false)),
        ReduceOp::Min if dtype == DType::Bool => fold_truth(rounding, BinaryOp::And, elements, truth(true)),
        ReduceOp::Max if dtype == DType::Bool => fold_truth(rounding, BinaryOp::Or, elements, truth(false)),
        ReduceOp::Min => elements.iter().copied().reduce(|a, b| binary(rounding, BinaryOp::Minimum, a, b)).unwrap(),
        ReduceOp::Max => elements.iter().copied().reduce(|a, b| binary(rounding, BinaryOp::Maximum, a, b)).unwrap(),
        ReduceOp::ArgMin => best_position(rounding, BinaryOp::Lt, elements),
        ReduceOp::ArgMax => best_position(rounding, BinaryOp::Gt, elements),
        ReduceOp::SquaredDeviations => squared_deviations(rounding, dtype, elements),
    }
}

fn fold_truth(rounding: &Rounding, op: BinaryOp, elements: &[Bounded], init: Bounded) -> Bounded {
    elements.iter().fold(init, |a, &b| binary(rounding, op, a, b))
}

/// Sum or product in the defined order.
fn fold(rounding: &Rounding, op: ReduceOp, dtype: DType, elements: &[Bounded]) -> Bounded {
    let (combine, start) = if op == ReduceOp::Sum { (BinaryOp::Add, 0) } else { (BinaryOp::Mul, 1) };
    let accumulator = dtype.accumulator();
    let init = Bounded::exact(Scalar::I64(start).cast(accumulator));
    let lifted: Vec<Bounded> = elements.iter().map(|&x| cast(rounding, x, accumulator)).collect();
    in_order(&lifted, init, |a, b| binary(rounding, combine, a, b))
}

/// The first NaN, else the first of the best; known if the best is surely better than all others or all are exact.
fn best_position(rounding: &Rounding, better: BinaryOp, elements: &[Bounded]) -> Bounded {
    let is_better = |a: &Bounded, b: &Bounded| better.apply(a.value, b.value) == Some(Scalar::Bool(true));
    let mut best = 0;
    for (i, x) in elements.iter().enumerate() {
        if elements[best].value.is_nan() {
            break;
        }
        if x.value.is_nan() || is_better(x, &elements[best]) {
            best = i;
        }
    }
    let value = Scalar::I64(best as i64);
    let surely = |x: &Bounded| binary(rounding, better, elements[best], *x).is_exact();
    let others = elements.iter().enumerate().filter(|&(i, _)| i != best);
    if elements.iter().all(|x| x.is_exact())
        || (!elements[best].value.is_nan() && others.into_iter().all(|(_, x)| surely(x)))
    {
        Bounded::exact(value)
    } else {
        Bounded::unknown(value)
    }
}

/// Chan's update of (count, mean, squared deviations), step by step.
fn squared_deviations(rounding: &Rounding, dtype: DType, elements: &[Bounded]) -> Bounded {
    let number = |value: i64| Bounded::exact(Scalar::I64(value).cast(dtype));
    let lifted: Vec<[Bounded; 3]> = elements.iter().map(|&x| [number(1), x, number(0)]).collect();
    let apply = |op: BinaryOp, a: Bounded, b: Bounded| binary(rounding, op, a, b);
    let merge = |[n, mean, m2]: [Bounded; 3], [other_n, other_mean, other_m2]: [Bounded; 3]| {
        let total = apply(BinaryOp::Add, n, other_n);
        let share = apply(BinaryOp::Div, other_n, apply(BinaryOp::Maximum, total, number(1)));
        let delta = apply(BinaryOp::Sub, other_mean, mean);
        let mean = apply(BinaryOp::Add, mean, apply(BinaryOp::Mul, delta, share));
        let scaled = apply(BinaryOp::Mul, delta, apply(BinaryOp::Mul, n, share));
        let between = apply(BinaryOp::Mul, delta, scaled);
        [total, mean, apply(BinaryOp::Add, apply(BinaryOp::Add, m2, other_m2), between)]
    };
    in_order(&lifted, [number(0); 3], merge)[2]
}

/// A matrix product: exact for integers and bools; for floats within the bound of any order of summation.
fn matmul(rounding: &Rounding, dtype: DType, [a, b]: [&[Bounded]; 2], inner: usize, shape: &[usize]) -> Vec<Bounded> {
    let columns = shape[1];
    let element = |index: &Vec<usize>| {
        let pairs = (0..inner).map(|k| (a[index[0] * inner + k], b[k * columns + index[1]]));
        let products: Vec<Bounded> = pairs.clone().map(|(a, b)| binary(rounding, BinaryOp::Mul, a, b)).collect();
        let zero = Bounded::exact(Scalar::I64(0).cast(dtype));
        let sum = products.iter().fold(zero, |sum, &product| binary(rounding, BinaryOp::Add, sum, product));
        if !dtype.is_float() {
            return sum;
        }
        let finite = pairs.clone().all(|(a, b)| a.value.to_f64().is_finite() && b.value.to_f64().is_finite());
        if !finite {
            return if products.iter().all(|x| x.is_exact()) { sum } else { Bounded::unknown(sum.value) };
        }
        let size = |x: Bounded| x.value.to_f64().abs() + x.error;
        let total: f64 = pairs.clone().map(|(a, b)| size(a) * size(b)).sum();
        let spread: f64 = pairs.map(|(a, b)| size(a) * b.error + size(b) * a.error).sum();
        // Each of the products and sums is rounded, in both ways to compute it, and may be too small to stay.
        let roundings = 2.0 * inner as f64 * (ulp(dtype, total) + rounding.flushed(dtype));
        rounding.result(rounded(sum.value, spread + roundings, Bounds::ROUNDING, total))
    };
    indices(shape).iter().map(element).collect()
}
