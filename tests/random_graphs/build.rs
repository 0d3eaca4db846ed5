//! A program as expressions of the crate, through its public interface.

use kroton::expr::{apply_binary, apply_reduce, apply_ternary, apply_unary};
use kroton::{Expr, Scalar, constant};
use ndarray::SliceInfoElem;

use crate::common::with_element;
use crate::program::{Node, Op, Part, Program, Reshaping};

/// The inputs and the outputs.
pub fn build(program: &Program) -> (Vec<Expr>, Vec<Expr>) {
    let input = |index: usize| build_node(program, &program.nodes[index], &[]);
    let inputs: Vec<Expr> = (0..program.inputs.len()).map(input).collect();
    let outputs = outputs(program, &inputs);
    (inputs, outputs)
}

/// The outputs over some inputs.
pub fn outputs(program: &Program, inputs: &[Expr]) -> Vec<Expr> {
    let mut exprs = inputs.to_vec();
    for (index, node) in program.nodes.iter().enumerate().skip(inputs.len()) {
        let expr = build_node(program, node, &exprs);
        assert_eq!(expr.dtype(), node.dtype, "the dtype of node {index}, {:?}", node.op);
        assert_eq!(expr.rank(), node.shape.len(), "the rank of node {index}, {:?}", node.op);
        exprs.push(expr);
    }
    program.outputs.iter().map(|&output| exprs[output].clone()).collect()
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
    }
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
