//! Random graphs of many inputs, windows, reductions and outputs, with arguments.

use std::sync::Arc;

use crate::array::Array;
use crate::dtype::{DType, Scalar};
use crate::graph::{Constraint, Graph, Input, Node, NodeId, SliceRange, Type, infer};
use crate::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};
use crate::shape::{Dim, InputId, Measure, Symbol};

/// A generator of numbers that are the same in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }

    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// Rows and columns of the arguments.
const SIZES: [usize; 2] = [3, 5];

/// Small numbers: what is made of them is exact for long.
fn argument(dice: &mut Dice, dtype: DType, shape: &[usize]) -> Array {
    let values: Vec<i64> = (0..shape.iter().product()).map(|_| dice.below(9) as i64 - 4).collect();
    let array = match dtype {
        DType::F32 => Array::from_slice(&values.iter().map(|&value| value as f32).collect::<Vec<_>>()),
        DType::I32 => Array::from_slice(&values.iter().map(|&value| value as i32).collect::<Vec<_>>()),
        other => panic!("no arguments of {other}"),
    };
    array.reshape(shape).unwrap()
}

/// Inputs of several shapes over rows and columns, which are the sizes of the first; and arguments for them.
fn inputs(dice: &mut Dice, graph: &mut Graph) -> Vec<Array> {
    let first = InputId::new();
    let size = |axis: usize| Dim::from(Symbol { input: first, measure: Measure::Extent(axis as u32) });
    let (rows, columns, one) = ((size(0), SIZES[0]), (size(1), SIZES[1]), (Dim::ONE, 1));
    let shapes = [vec![&rows, &columns], vec![&columns], vec![&rows, &one], vec![&columns, &rows], vec![]];
    let mut arguments = Vec::new();
    for index in 0..14 {
        let id = if index == 0 { first } else { InputId::new() };
        let shape = &shapes[if index == 0 { 0 } else { dice.below(2) * dice.below(shapes.len()) }];
        let dtype = dice.of(&[DType::F32, DType::F32, DType::F32, DType::I32]);
        let ty = Type { dtype, shape: shape.iter().map(|(dim, _)| dim.clone()).collect() };
        let input = Node::Input(Arc::new(Input { id, name: format!("x{index}"), ty, kept: None }));
        let input = graph.add(input, None).unwrap();
        graph.inputs.push(input);
        arguments.push(argument(dice, dtype, &shape.iter().map(|(_, size)| *size).collect::<Vec<_>>()));
    }
    arguments
}

/// One of these; what was made lately is taken more often, so that computations grow.
pub fn recent(dice: &mut Dice, ids: &[NodeId]) -> NodeId {
    let span = dice.of(&[ids.len(), ids.len() / 2, 6]).clamp(1, ids.len());
    dice.of(&ids[ids.len() - span..])
}

/// Any node over earlier ones; ill-typed ones are dropped by the arena.
fn node(dice: &mut Dice, graph: &Graph, ids: &[NodeId]) -> Node<NodeId> {
    let (a, b, c) = (recent(dice, ids), recent(dice, ids), recent(dice, ids));
    let shape = &graph.ty(a).shape;
    match dice.below(20) {
        0..=7 => Node::Binary(dice.of(&[BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Maximum]), [a, b]),
        8 => Node::Binary(dice.of(&[BinaryOp::Lt, BinaryOp::Eq]), [a, b]),
        9 | 10 => Node::Ternary(TernaryOp::Select, [a, b, c]),
        11 => Node::Unary(dice.of(&[UnaryOp::Neg, UnaryOp::Abs, UnaryOp::Sqrt, UnaryOp::Exp]), a),
        12 => Node::Permute((0..shape.len() as u32).rev().collect(), a),
        13 => {
            let axes = (0..shape.len() as u32).filter(|_| dice.below(2) == 0).collect();
            Node::Reduce(dice.of(&[ReduceOp::Sum, ReduceOp::Max, ReduceOp::ArgMax, ReduceOp::Any]), axes, a)
        }
        14 => {
            let range = |size: &Dim| SliceRange { start: size.sub(&Dim::ONE), step: -1, length: size.clone() };
            Node::Slice(shape.iter().map(range).collect(), a)
        }
        15 => Node::Broadcast(graph.ty(graph.inputs[0]).shape.clone(), a),
        16 => Node::Reshape(shape.iter().rev().cloned().collect(), a),
        17 => Node::Concat(0, vec![a, b, c]),
        18 => dice.of(&[Node::Iota as fn(Dim) -> _, Node::Size])(graph.ty(graph.inputs[0]).shape[1].clone()),
        _ if graph.ty(a).dtype == DType::I32 && graph.ty(b).dtype == DType::I32 => Node::MatMul([a, b]),
        _ => Node::Cast(dice.of(&[DType::F32, DType::I32, DType::I32, DType::Bool]), a),
    }
}

/// Whether the sizes of operands fit for whatever rows and columns there are.
fn fits(graph: &Graph, node: &Node<NodeId>) -> bool {
    let mut constraints = Vec::new();
    infer(node, graph, &mut constraints).is_ok() && !constraints.iter().any(|c| matches!(c, Constraint::Equal(..)))
}

/// A graph whose every input is used sooner or later, with arguments.
pub fn graph(dice: &mut Dice) -> (Graph, Vec<Array>) {
    let mut graph = Graph::new();
    let arguments = inputs(dice, &mut graph);
    let mut ids = graph.inputs.clone();
    ids.extend([2.0, 0.5].map(|value| graph.add(Node::Scalar(Scalar::F32(value)), None).unwrap()));
    let size = 20 + dice.below(60);
    while ids.len() < size {
        let node = node(dice, &graph, &ids);
        if fits(&graph, &node) {
            ids.extend(graph.add(node, None));
        }
    }
    let count = 1 + dice.below(4);
    graph.outputs = (0..count).map(|_| dice.of(&ids[14..])).collect();
    (graph, arguments)
}
