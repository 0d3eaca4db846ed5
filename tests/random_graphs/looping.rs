//! Loops in random programs: a body is a program of its own over parameters, drawn from the numbers of one step.
//!
//! States keep their types by construction: whatever a body makes of a state is cast to its dtype, and combined with it where
//! the shape is another one. Nothing here knows expressions, or what nodes compute.

use std::sync::Arc;

use kroton::DType;
use kroton::ops::{BinaryOp, ReduceOp};

use crate::common::Random;
use crate::program::{Op, Program, Shape, broadcast, small};
use crate::recipe::{KINDS, Kind, StepRecipe};

/// How many steps are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    Times(usize),
    /// With the number of the step as a parameter.
    Indexed(usize),
    /// At most so many, as long as the condition holds.
    While(usize),
    /// One for each row of the sequence.
    Scan,
}

/// A loop. The parameters of the body are its first nodes: the states, the row or the number of the step, what is captured.
#[derive(Debug)]
pub struct Loop {
    pub steps: Steps,
    pub initial: Vec<usize>,
    pub sequence: Option<usize>,
    pub captured: Vec<usize>,
    pub body: Program,
    /// The nodes of the body that are the next states.
    pub next: Vec<usize>,
    /// The node of the body that a scan emits.
    pub emitted: Option<usize>,
    /// Over the states alone; its last node is the condition.
    pub condition: Option<Program>,
}

/// How deep loops and other bodies nest.
pub const DEEPEST: usize = 2;

/// Adds a loop over two nodes, and all its results as nodes.
pub fn add(p: &mut Program, op: usize, asked: Option<DType>, [a, b, c]: [usize; 3], knob: usize) {
    if p.depth >= DEEPEST {
        return;
    }
    let mut random = Random((knob ^ op << 16) as u64);
    let steps = [Steps::Times, Steps::Indexed, Steps::While, |_| Steps::Scan][op % 4](knob % 5);
    let second = (steps != Steps::While(knob % 5) || same_shape(p.shape(a), p.shape(b))).then_some(b);
    let initial: Vec<usize> = [a].into_iter().chain(second.filter(|_| !knob.is_multiple_of(3))).collect();
    let sequence = match steps {
        Steps::Scan => match (0..p.nodes.len()).map(|i| (c + i) % p.nodes.len()).find(|&id| p.rank(id) > 0) {
            Some(sequence) => Some(sequence),
            None => return,
        },
        Steps::Times(_) | Steps::Indexed(_) | Steps::While(_) => None,
    };
    let captured = vec![c];
    let mut body = p.within();
    let parameter = |body: &mut Program, dtype: DType, shape: Shape| {
        body.push(Op::Parameter, dtype, shape);
    };
    initial.iter().for_each(|&x| parameter(&mut body, p.dtype(x), p.shape(x).clone()));
    let mut condition = p.within();
    if steps == Steps::While(knob % 5) {
        initial.iter().for_each(|&x| parameter(&mut condition, p.dtype(x), p.shape(x).clone()));
        add_condition(&mut condition, &mut random);
    }
    sequence.iter().for_each(|&x| parameter(&mut body, p.dtype(x), p.shape(x)[1..].to_vec()));
    if let Steps::Indexed(_) = steps {
        parameter(&mut body, DType::I64, Vec::new());
    }
    captured.iter().for_each(|&x| parameter(&mut body, p.dtype(x), p.shape(x).clone()));
    for _ in 0..1 + random.below(4) {
        body.add_step(&step(&mut random, asked));
    }
    let next: Vec<usize> = (0..initial.len()).map(|state| next_state(&mut body, state, &mut random)).collect();
    let emitted = sequence.map(|_| body.nodes.len() - 1 - random.below(body.nodes.len().min(4)));
    let condition = (!condition.nodes.is_empty()).then_some(condition);
    add_results(p, Loop { steps, initial, sequence, captured, body, next, emitted, condition });
}

/// One node for each result, if these are small and of few axes.
fn add_results(p: &mut Program, made: Loop) {
    let last = made.initial.iter().map(|&x| (p.dtype(x), p.shape(x).clone()));
    let history = made.sequence.zip(made.emitted).map(|(sequence, emitted)| {
        let shape = [&p.shape(sequence)[..1], made.body.shape(emitted)].concat();
        (made.body.dtype(emitted), shape)
    });
    let results: Vec<(DType, Shape)> = last.chain(history).collect();
    // Other steps make and take three axes at most.
    if !results.iter().all(|(_, shape)| small(shape) && shape.len() <= 3) {
        return;
    }
    let made = Arc::new(made);
    for (number, (dtype, shape)) in results.into_iter().enumerate() {
        p.push(Op::Loop(made.clone(), number), dtype, shape);
    }
}

/// A step of a body, of any kind.
pub fn step(random: &mut Random, asked: Option<DType>) -> StepRecipe {
    let number = |random: &mut Random| random.below(1 << 16) as u16;
    let kinds: Vec<Kind> = KINDS.iter().flat_map(|&(kind, weight)| std::iter::repeat_n(kind, weight)).collect();
    StepRecipe {
        kind: kinds[random.below(kinds.len())],
        op: number(random),
        dtype: asked.filter(|_| random.below(2) == 0),
        operands: [(); 3].map(|()| number(random)),
        knob: number(random),
    }
}

/// The first state compared with a number, element by element or for any of its elements.
fn add_condition(p: &mut Program, random: &mut Random) {
    let x = match p.dtype(0) {
        DType::Bool => 0,
        dtype => {
            let limit = p.constant(dtype, [0.0, 1.0, 2.0, 100.0][random.below(4)]);
            p.binary([BinaryOp::Lt, BinaryOp::Gt, BinaryOp::Ne][random.below(3)], 0, limit)
        }
    };
    if random.below(3) == 0 {
        p.reduce(ReduceOp::Any, (0..p.rank(x)).collect(), x);
    } else if x == 0 {
        p.binary(BinaryOp::Or, 0, 0);
    }
}

/// A node of a state's type, of one of the newest: itself, or combined with the state.
pub fn next_state(body: &mut Program, state: usize, random: &mut Random) -> usize {
    let count = body.nodes.len();
    let (dtype, shape) = (body.dtype(state), body.shape(state).clone());
    let candidate = count - 1 - random.below(count.min(3));
    let fits = broadcast(&shape, body.shape(candidate)).is_some_and(|both| same_shape(&both, &shape));
    if !fits {
        return state;
    }
    let candidate = body.cast(candidate, dtype);
    if same_shape(body.shape(candidate), &shape) {
        return candidate;
    }
    let ops = [BinaryOp::Add, BinaryOp::Maximum, BinaryOp::Xor];
    let op = ops.into_iter().find(|op| op.row().class.contains(dtype)).unwrap();
    body.binary(op, state, candidate)
}

/// Whether the graph surely takes one shape for the other: a size of one that only calls know is no fixed one.
fn same_shape(a: &Shape, b: &Shape) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.value == b.value && (a.value != 1 || (a.fixed && b.fixed)))
}
