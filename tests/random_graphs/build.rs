//! A program as expressions of the crate, through its public interface.

use std::collections::HashMap;
use std::sync::Arc;

use kroton::expr::{apply_binary, apply_reduce, apply_ternary, apply_unary};
use kroton::{
    Expr, Scalar, checkpoint, cond, constant, custom_gradient, iterate, iterate_indexed, iterate_while_at_most, scan,
    vmap,
};
use ndarray::SliceInfoElem;

use crate::common::with_element;
use crate::looping::{Loop, Steps};
use crate::program::{Node, Op, Part, Program, Reshaping};
use crate::regions::{Inner, Use};

/// The inputs and the outputs.
pub fn build(program: &Program) -> (Vec<Expr>, Vec<Expr>) {
    let input = |index: usize| build_node(program, &program.nodes[index], &[]);
    let inputs: Vec<Expr> = (0..program.inputs.len()).map(input).collect();
    let outputs = outputs(program, &inputs);
    (inputs, outputs)
}

/// The outputs over some inputs.
pub fn outputs(program: &Program, inputs: &[Expr]) -> Vec<Expr> {
    let exprs = build_nodes(program, inputs.to_vec());
    program.outputs.iter().map(|&output| exprs[output].clone()).collect()
}

/// All nodes, of which the first ones are given.
fn build_nodes(program: &Program, given: Vec<Expr>) -> Vec<Expr> {
    let mut exprs = given;
    let mut loops: HashMap<*const Loop, Vec<Expr>> = HashMap::new();
    for (index, node) in program.nodes.iter().enumerate().skip(exprs.len()) {
        let expr = if let Op::Loop(of, result) = &node.op {
            loops.entry(Arc::as_ptr(of)).or_insert_with(|| build_loop(of, &exprs))[*result].clone()
        } else {
            build_node(program, node, &exprs)
        };
        assert_eq!(expr.dtype(), node.dtype, "the dtype of node {index}, {:?}", node.op);
        assert_eq!(expr.rank(), node.shape.len(), "the rank of node {index}, {:?}", node.op);
        exprs.push(expr);
    }
    exprs
}

/// The results of a loop.
fn build_loop(of: &Loop, exprs: &[Expr]) -> Vec<Expr> {
    match *of.initial {
        [a] => build_loop_of(of, [&exprs[a]], exprs),
        [a, b] => build_loop_of(of, [&exprs[a], &exprs[b]], exprs),
        _ => panic!("{} states", of.initial.len()),
    }
}

fn build_loop_of<const N: usize>(of: &Loop, initial: [&Expr; N], exprs: &[Expr]) -> Vec<Expr> {
    let captured = of.captured.iter().map(|&x| exprs[x].clone());
    let build = |given: Option<Expr>, states: [Expr; N]| {
        build_nodes(&of.body, states.into_iter().chain(given).chain(captured.clone()).collect())
    };
    let next = |made: &[Expr]| -> [Expr; N] { std::array::from_fn(|state| made[of.next[state]].clone()) };
    let condition = |states: [Expr; N]| build_nodes(of.condition.as_ref().unwrap(), states.into()).pop().unwrap();
    let results = match of.steps {
        Steps::Times(steps) => iterate(steps as i64, initial, |states| next(&build(None, states))),
        Steps::Indexed(steps) => {
            iterate_indexed(steps as i64, initial, |index, states| next(&build(Some(index.cast::<i64>()), states)))
        }
        Steps::While(steps) => {
            iterate_while_at_most(steps as i64, condition, initial, |states| next(&build(None, states)))
        }
        Steps::Scan => {
            let scanned = scan(&exprs[of.sequence.unwrap()], initial, |row, states| {
                let made = build(Some(row), states);
                (next(&made), [made[of.emitted.unwrap()].clone()])
            });
            return scanned.map(|(last, [history])| last.into_iter().chain([history]).collect()).unwrap();
        }
    };
    results.unwrap().into()
}

fn build_node(program: &Program, node: &Node, exprs: &[Expr]) -> Expr {
    match &node.op {
        Op::Input(index) => kroton::input(&format!("x{index}"), node.dtype, &program.inputs[*index].0),
        Op::Constant(value) => {
            with_element!(node.dtype, T => constant(<T as kroton::Element>::from_scalar(*value).unwrap()))
        }
        Op::Dense(values) => with_element!(node.dtype, T => constant(elements::<T>(values))),
        Op::Iota => kroton::arange(node.shape[0].value as i64),
        Op::Size(axis, x) => exprs[*x].shape(*axis as i64).cast::<i64>(),
        Op::Unary(op, x) => apply_unary(*op, &exprs[*x]),
        Op::Binary(op, [a, b]) => apply_binary(*op, &exprs[*a], &exprs[*b]),
        Op::Ternary(op, [a, b, c]) => apply_ternary(*op, &exprs[*a], &exprs[*b], &exprs[*c]),
        Op::Cast(x) => exprs[*x].cast_to(node.dtype),
        Op::Reduce(op, axes, x) => apply_reduce(*op, &exprs[*x], axes.as_slice()),
        Op::Permute(order, x) => exprs[*x].permute(order.as_slice()),
        Op::Reshape(how, x) => reshape(*how, &exprs[*x]),
        Op::Broadcast(x) => broadcast(node, &program.nodes[*x], &exprs[*x]),
        Op::Slice(parts, x) => exprs[*x].slice(parts.iter().map(slice_part).collect::<Vec<_>>()),
        Op::Concat(axis, [a, b]) => kroton::concat([&exprs[*a], &exprs[*b]], *axis as i64),
        Op::MatMul([a, b]) => exprs[*a].matmul(&exprs[*b]),
        Op::Inner(of) => build_inner(of, exprs),
        Op::Parameter | Op::Loop(..) => panic!("{:?} is built with its loop", node.op),
    }
}

/// The result of bodies that are no loop's.
fn build_inner(of: &Inner, exprs: &[Expr]) -> Expr {
    let body = |number: usize, operands: &[Expr]| {
        let given = operands.iter().cloned().chain([exprs[of.captured].clone()]).collect();
        build_nodes(&of.bodies[number], given)[of.yields[number]].clone()
    };
    let operand = |place: usize| &exprs[of.operands[place]];
    let [result] = match of.of {
        Use::Branches(predicate) => {
            let [then, otherwise] = [0, 1].map(|number| move |operands: [Expr; 2]| [body(number, &operands)]);
            cond(&exprs[predicate], [operand(0), operand(1)], then, otherwise)
        }
        Use::Checkpoint => checkpoint([operand(0), operand(1)], |operands| [body(0, &operands)]),
        Use::CustomGradient => {
            let value = |operands: [Expr; 2]| [body(0, &operands)];
            custom_gradient([operand(0), operand(1)], value, |operands, [value], [c]| {
                operands.map(|x| share(&x, &value, &c))
            })
        }
        Use::Batch => vmap([operand(0)], |rows| [body(0, &rows)]),
    }
    .unwrap();
    result
}

/// Some cotangent of an operand, linear in that of the value.
fn share(x: &Expr, value: &Expr, cotangent: &Expr) -> Expr {
    if !x.dtype().is_float() {
        return constant(0.0);
    }
    x.cos() * (cotangent * value.sigmoid()).sum(..).cast_to(x.dtype())
}

fn elements<T: kroton::Element>(values: &[Scalar]) -> Vec<T> {
    values.iter().map(|&value| T::from_scalar(value).unwrap()).collect()
}

fn reshape(how: Reshaping, x: &Expr) -> Expr {
    match how {
        Reshaping::Flatten => x.reshape([-1]),
        Reshaping::KeepFirst => x.reshape((x.shape(0), -1)),
        Reshaping::Swap => x.reshape((x.shape(1), x.shape(0))),
        Reshaping::Expand(axis) => x.expand_dims(axis as i64),
        Reshaping::Squeeze(axis) => x.squeeze(axis as i64),
    }
}

/// Sizes that stay are named by the operand, as a user would; new ones are numbers.
fn broadcast(node: &Node, operand: &Node, x: &Expr) -> Expr {
    let offset = node.shape.len() - operand.shape.len();
    let size = |axis: usize| match axis.checked_sub(offset) {
        Some(own) if operand.shape[own] == node.shape[axis] => x.shape(own as i64),
        _ => kroton::constant(node.shape[axis].value as i64),
    };
    x.broadcast_to((0..node.shape.len()).map(size).collect::<Vec<_>>())
}

fn slice_part(part: &Part) -> SliceInfoElem {
    let slice = |start: isize, end: Option<isize>, step: isize| SliceInfoElem::Slice { start, end, step };
    match *part {
        Part::From(k) => slice(k as isize, None, 1),
        Part::To(k) => slice(0, Some(-(k as isize)), 1),
        Part::Every(step) => slice(0, None, step),
        Part::Range(start, end) => slice(start as isize, Some(end as isize), 1),
        Part::Index(i) => SliceInfoElem::Index(i as isize),
        Part::Last => SliceInfoElem::Index(-1),
    }
}
