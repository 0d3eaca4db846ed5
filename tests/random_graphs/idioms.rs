//! Structures that the optimizer has rules for: polynomials, views of views, reductions of permutations;
//! and rows, which the scheduler looks for.
//!
//! Each is spelled out in primitive nodes; nothing here knows what a rule makes of it.

use kroton::DType;
use kroton::ops::{BinaryOp, ReduceOp, UnaryOp};

use crate::program::{Part, Program, Reshaping};

/// Adds one of the structures over a node.
pub fn add(p: &mut Program, which: usize, asked: Option<DType>, a: usize, knob: usize) {
    match which % 7 {
        0 => polynomial(p, a, asked, 2 + knob % 4),
        1 => rotate_twice(p, a, knob),
        2 => {
            let reversed = p.slice(vec![Part::Every(-1 - (knob % 2) as isize); p.rank(a)], a);
            let parts = vec![Part::Every([-1, 2, -2, 3][knob / 2 % 4]); p.rank(reversed)];
            p.slice(parts, reversed);
        }
        3 => {
            let flat = p.reshape(Reshaping::Flatten, a);
            let wide = p.reshape(Reshaping::Expand(knob % 2), flat);
            p.reshape(Reshaping::Flatten, wide);
        }
        4 => {
            let rank = p.rank(a);
            let turned = p.permute((0..rank).rev().collect(), a);
            let axes = (0..rank).filter(|axis| knob.is_multiple_of(5) || knob >> axis & 1 == 1).collect();
            p.reduce([ReduceOp::Sum, ReduceOp::ArgMax, ReduceOp::Max, ReduceOp::ArgMin][knob % 4], axes, turned);
        }
        5 => rows(p, a, asked, knob),
        _ => {
            let x = p.float(a, asked);
            let double = p.binary(BinaryOp::Add, x, x);
            let turned = p.permute((0..p.rank(x)).rev().collect(), double);
            p.slice(vec![Part::Every(-1); p.rank(x)], turned);
        }
    }
}

fn rotate_twice(p: &mut Program, a: usize, knob: usize) {
    let rank = p.rank(a);
    let order = |by: usize| (0..rank).map(|axis| (axis + by) % rank.max(1)).collect();
    let once = p.permute(order(knob), a);
    p.permute(order(knob / 3), once);
}

/// Rows shifted by something of theirs, a function of these, and that divided by something of it.
fn rows(p: &mut Program, a: usize, asked: Option<DType>, knob: usize) {
    let mut x = p.float(a, asked);
    if p.rank(x) == 1 {
        let column = p.reshape(Reshaping::Expand(1), x);
        x = p.binary(BinaryOp::Add, column, x);
    }
    let Some(axis @ 1..) = p.rank(x).checked_sub(1) else { return };
    let ops = [ReduceOp::Max, ReduceOp::Sum, ReduceOp::Min, ReduceOp::SquaredDeviations];
    let of_rows = |p: &mut Program, op, x| {
        let reduced = p.reduce(op, vec![axis], x);
        p.reshape(Reshaping::Expand(axis), reduced)
    };
    let shift = of_rows(p, ops[knob % 4], x);
    let shifted = p.binary(BinaryOp::Sub, x, shift);
    let function = p.unary([UnaryOp::Exp, UnaryOp::Tanh, UnaryOp::Abs][knob / 4 % 3], shifted);
    let scale = of_rows(p, ops[knob / 12 % 4], function);
    p.binary(BinaryOp::Div, function, scale);
}

/// A polynomial by Horner's scheme.
fn polynomial(p: &mut Program, a: usize, asked: Option<DType>, degree: usize) {
    let x = p.float(a, asked);
    let dtype = p.dtype_of(x);
    let mut sum = p.constant(dtype, 0.75);
    for k in 1..=degree {
        let product = p.binary(BinaryOp::Mul, sum, x);
        let coefficient = p.constant(dtype, 1.0 / k as f64);
        sum = p.binary(BinaryOp::Add, product, coefficient);
    }
}
