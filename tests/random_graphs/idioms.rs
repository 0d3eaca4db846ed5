//! Phrases that the optimizer has rules for, so that random graphs make rules fire.
//!
//! Each is spelled out in primitive nodes; nothing here knows what a rule makes of it.

use kroton::DType;
use kroton::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};

use crate::program::{Part, Program, Reshaping};

/// Adds one of the phrases over a node.
pub fn add(p: &mut Program, which: usize, asked: Option<DType>, a: usize, knob: usize) {
    const POWERS: [f64; 9] = [2.0, -1.0, 0.5, 1.0, 0.0, 3.0, -0.5, 4.0, -2.0];
    const DIVISORS: [f64; 7] = [2.0, 4.0, 0.25, 3.0, 1.0, -1.0, 1024.0];
    let x = p.float(a, asked);
    let dtype = p.dtype_of(x);
    match which % 28 {
        0 => with(p, BinaryOp::Add, 1.0, x, knob, Some(UnaryOp::Ln)),
        1 => {
            let exp = p.unary(UnaryOp::Exp, x);
            let one = p.constant(dtype, 1.0);
            p.binary(BinaryOp::Sub, exp, one);
        }
        2 => {
            let square = p.binary(BinaryOp::Mul, x, x);
            p.unary(UnaryOp::Sqrt, square);
        }
        3 => {
            let power = p.constant(dtype, POWERS[knob % POWERS.len()]);
            p.binary(BinaryOp::Pow, x, power);
        }
        4 => {
            let divisor = p.constant(dtype, DIVISORS[knob % DIVISORS.len()]);
            p.binary(BinaryOp::Div, x, divisor);
        }
        5 => chain(p, x, &[UnaryOp::Exp, UnaryOp::Ln]),
        6 => {
            let exp = p.unary(UnaryOp::Exp, x);
            let axes = (0..p.rank(x)).filter(|axis| knob.is_multiple_of(4) || axis % 2 == knob % 2).collect();
            let sum = p.reduce(ReduceOp::Sum, axes, exp);
            p.unary(UnaryOp::Ln, sum);
        }
        7 => chain(p, x, &[UnaryOp::Exp, UnaryOp::Log1p]),
        8 | 9 => {
            let negative = p.unary(UnaryOp::Neg, x);
            let exp = p.unary(UnaryOp::Exp, negative);
            let one = p.constant(dtype, 1.0);
            let sum = p.binary(BinaryOp::Add, one, exp);
            let sigmoid = p.binary(BinaryOp::Div, one, sum);
            match knob % 3 {
                0 => {}
                1 => chain(p, sigmoid, &[UnaryOp::Ln]),
                _ => {
                    p.binary(BinaryOp::Sub, one, sigmoid);
                }
            }
        }
        10 => polynomial(p, x, 2 + knob % 4),
        11 => with(p, BinaryOp::Mul, 0.0, a, knob, None),
        12 => same(p, a, [BinaryOp::Xor, BinaryOp::Sub, BinaryOp::Sub][knob % 3]),
        13 => same(p, x, BinaryOp::Div),
        14 => with(p, BinaryOp::Add, if knob % 4 < 2 { 0.0 } else { -0.0 }, a, knob, None),
        15 => with(p, BinaryOp::Mul, if knob % 4 < 2 { 1.0 } else { -1.0 }, a, knob, None),
        16 => chain(p, x, &[UnaryOp::Neg, UnaryOp::Neg]),
        17 => chain(p, x, &[UnaryOp::Log1p, UnaryOp::Expm1]),
        18 => chain(p, x, &[UnaryOp::Neg, [UnaryOp::Cos, UnaryOp::Abs, UnaryOp::Sin, UnaryOp::Cosh][knob % 4]]),
        19 => same(p, a, [BinaryOp::Maximum, BinaryOp::Eq, BinaryOp::Lt, BinaryOp::Fmin][knob % 4]),
        20 => {
            let condition = p.binary(BinaryOp::Lt, x, x);
            p.ternary(TernaryOp::Select, [condition, a, a]);
        }
        21 => {
            let condition = p.binary(BinaryOp::Lt, a, a);
            p.unary(UnaryOp::Not, condition);
        }
        22 => {
            for _ in 0..2 {
                let rank = p.rank(a);
                let newest = p.nodes.len() - 1;
                let operand = if p.rank(newest) == rank { newest } else { a };
                p.permute((0..rank).map(|axis| (axis + knob) % rank.max(1)).collect(), operand);
            }
        }
        23 => {
            let reversed = p.slice(vec![Part::Every(-1 - (knob % 2) as isize); p.rank(a)], a);
            let parts = vec![Part::Every([-1, 2, -2, 3][knob / 2 % 4]); p.rank(reversed)];
            p.slice(parts, reversed);
        }
        24 => {
            let flat = p.reshape(Reshaping::Flatten, a);
            let wide = p.reshape(Reshaping::Expand(knob % 2), flat);
            p.reshape(Reshaping::Flatten, wide);
        }
        25 => {
            let rank = p.rank(a);
            let turned = p.permute((0..rank).rev().collect(), a);
            let axes = (0..rank).filter(|axis| knob.is_multiple_of(5) || knob >> axis & 1 == 1).collect();
            p.reduce([ReduceOp::Sum, ReduceOp::ArgMax, ReduceOp::Max][knob % 3], axes, turned);
        }
        26 => {
            let square = p.binary(BinaryOp::Mul, x, x);
            with(p, BinaryOp::Add, 1.0, square, knob, Some(UnaryOp::Sqrt));
        }
        _ => chain(p, x, &[UnaryOp::Exp, UnaryOp::Neg, UnaryOp::Log1p]),
    }
}

/// An op with a constant on either side, and another op of its result.
fn with(p: &mut Program, op: BinaryOp, value: f64, a: usize, knob: usize, then: Option<UnaryOp>) {
    let a = if p.dtype_of(a) == DType::Bool { p.float(a, None) } else { a };
    let constant = p.constant(p.dtype_of(a), value);
    let result = if knob.is_multiple_of(2) { p.binary(op, a, constant) } else { p.binary(op, constant, a) };
    if let Some(op) = then {
        p.unary(op, result);
    }
}

fn chain(p: &mut Program, x: usize, ops: &[UnaryOp]) {
    ops.iter().fold(x, |x, &op| p.unary(op, x));
}

/// An op of a node with itself, if its dtype takes it.
fn same(p: &mut Program, a: usize, op: BinaryOp) {
    if op.row().class.contains(p.dtype_of(a)) {
        p.binary(op, a, a);
    }
}

/// A polynomial by Horner's scheme.
fn polynomial(p: &mut Program, x: usize, degree: usize) {
    let dtype = p.dtype_of(x);
    let mut sum = p.constant(dtype, 0.75);
    for k in 1..=degree {
        let product = p.binary(BinaryOp::Mul, sum, x);
        let coefficient = p.constant(dtype, 1.0 / k as f64);
        sum = p.binary(BinaryOp::Add, product, coefficient);
    }
}
