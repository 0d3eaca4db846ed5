//! Branches, checkpoints, values with a gradient of their own and batches in random programs: their bodies are programs over
//! parameters, drawn from the numbers of one step.
//!
//! Branches yield what has the type of their first operand, by construction. Nothing here knows expressions, or what nodes
//! compute.

use std::sync::Arc;

use kroton::DType;
use kroton::ops::ReduceOp;

use crate::common::Random;
use crate::looping::{DEEPEST, next_state, step};
use crate::program::{Op, Program, Shape, small};

/// What the bodies are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The first one where this node holds, else the second one.
    Branches(usize),
    /// The only one, computed again by gradients.
    Checkpoint,
    /// The only one, whose gradient is another's.
    CustomGradient,
    /// The only one, for each row of the first operand.
    Batch,
}

/// The function that a user calls for it.
#[allow(dead_code)] // the host's tests count them
pub fn name(of: Use) -> &'static str {
    match of {
        Use::Branches(_) => "cond",
        Use::Checkpoint => "checkpoint",
        Use::CustomGradient => "custom_gradient",
        Use::Batch => "vmap",
    }
}

/// Bodies whose parameters are their first nodes: the operands, or a row of the first one, and what is captured.
#[derive(Debug)]
pub struct Inner {
    pub of: Use,
    pub operands: Vec<usize>,
    pub captured: usize,
    pub bodies: Vec<Program>,
    /// The node of each body that it yields.
    pub yields: Vec<usize>,
}

/// Adds the result of one or two bodies over some nodes.
pub fn add(p: &mut Program, op: usize, asked: Option<DType>, [a, b, c]: [usize; 3], knob: usize) {
    if p.depth >= DEEPEST {
        return;
    }
    let mut random = Random((knob ^ op << 16) as u64);
    let (of, operands) = match op % 4 {
        0 => (Use::Branches(predicate(p, c)), vec![a, b]),
        1 => (Use::Checkpoint, vec![a, b]),
        2 => (Use::CustomGradient, vec![a, b]),
        _ if p.rank(a) > 0 => (Use::Batch, vec![a]),
        _ => return,
    };
    let skipped = usize::from(of == Use::Batch);
    let count = if matches!(of, Use::Branches(_)) { 2 } else { 1 };
    let (mut bodies, mut yields) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let mut body = p.within();
        for &x in &operands {
            body.push(Op::Parameter, p.dtype(x), p.shape(x)[skipped..].to_vec());
        }
        body.push(Op::Parameter, p.dtype(c), p.shape(c).clone());
        for _ in 0..1 + random.below(4) {
            body.add_step(&step(&mut random, asked));
        }
        yields.push(match of {
            Use::Branches(_) => next_state(&mut body, 0, &mut random),
            Use::Checkpoint | Use::Batch => body.nodes.len() - 1,
            Use::CustomGradient => body.float(body.nodes.len() - 1, asked),
        });
        bodies.push(body);
    }
    let rows: Shape = p.shape(a)[..skipped].to_vec();
    let (dtype, shape) = (bodies[0].dtype(yields[0]), [&rows[..], bodies[0].shape(yields[0])].concat());
    // Other steps make and take three axes at most.
    if small(&shape) && shape.len() <= 3 {
        p.push(Op::Inner(Arc::new(Inner { of, operands, captured: c, bodies, yields })), dtype, shape);
    }
}

/// Whether any element is true.
fn predicate(p: &mut Program, x: usize) -> usize {
    let x = p.cast(x, DType::Bool);
    p.reduce(ReduceOp::Any, (0..p.rank(x)).collect(), x)
}
