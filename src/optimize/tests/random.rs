//! Random graphs: with exact rules on, every bit stays; with all rules off, nothing changes; a second run is idle.

use super::evaluate::{Value, evaluate, same};
use super::{input, permute};
use crate::dtype::{DType, Scalar};
use crate::graph::{Graph, Node, NodeId, SliceRange};
use crate::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};
use crate::optimize::{Options, optimize};
use crate::shape::Dim;

/// A generator of numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

fn constant(dice: &mut Dice, dtype: DType) -> Scalar {
    let numbers = [0.0, -0.0, 1.0, -1.0, 2.0, 4.0, 0.5, -3.0, 8.0, f64::INFINITY, f64::NAN];
    Scalar::F64(dice.of(&numbers)).cast(dtype)
}

/// Any node over two earlier ones; ill-typed ones are dropped by the arena.
fn node(dice: &mut Dice, graph: &Graph, a: NodeId, b: NodeId) -> Node<NodeId> {
    let rank = graph.ty(a).rank();
    let dtypes = [DType::I8, DType::U8, DType::F32, DType::Bool, DType::I32];
    match dice.below(12) {
        0 | 1 => Node::Unary(dice.of(UnaryOp::ALL), a),
        2..=5 => Node::Binary(dice.of(BinaryOp::ALL), [a, b]),
        6 => Node::Ternary(TernaryOp::Select, [a, b, dice.of(&[a, b])]),
        7 => Node::Cast(dice.of(&dtypes), a),
        8 => Node::Scalar(constant(dice, graph.ty(a).dtype)),
        9 => Node::Broadcast([Dim::from(2), Dim::from(3)].into_iter().collect(), a),
        10 => {
            let axes: Vec<u32> = (0..rank as u32).filter(|_| dice.below(3) == 0).collect();
            Node::Reduce(dice.of(&[ReduceOp::Max, ReduceOp::Sum, ReduceOp::All]), axes.into(), a)
        }
        _ => {
            let range = |size: &Dim| SliceRange { start: size.sub(&Dim::ONE), step: -1, length: size.clone() };
            Node::Slice(graph.ty(a).shape.iter().map(range).collect(), a)
        }
    }
}

fn random_graph(dice: &mut Dice) -> Graph {
    let mut graph = Graph::new();
    let mut ids = vec![
        input(&mut graph, "a", DType::I8, &[Some(2), Some(3)]),
        input(&mut graph, "b", DType::F32, &[Some(3)]),
        input(&mut graph, "c", DType::F32, &[Some(2), Some(1)]),
        input(&mut graph, "d", DType::U8, &[]),
    ];
    while ids.len() < 60 {
        let (a, b) = (dice.of(&ids), dice.of(&ids));
        if graph.ty(a).rank() == 2 && dice.below(8) == 0 {
            let x = permute(&mut graph, &[1, 0], a);
            ids.push(permute(&mut graph, &[1, 0], x));
        }
        let node = node(dice, &graph, a, b);
        ids.extend(graph.add(node, None));
    }
    graph.outputs = (0..3).map(|_| dice.of(&ids[30..])).collect();
    graph
}

#[test]
fn exact_rules_keep_every_bit_of_random_graphs() {
    let exact = Options { exclude: vec!["accuracy".to_string()], has_fma: true, ..Options::default() };
    let mut dice = Dice(7);
    let (mut fired, mut smaller) = (0, 0);
    for round in 0..600 {
        let graph = random_graph(&mut dice);
        let shapes: [(DType, &[usize]); 4] =
            [(DType::I8, &[2, 3]), (DType::F32, &[3]), (DType::F32, &[2, 1]), (DType::U8, &[])];
        let arguments = shapes.map(|(dtype, shape)| {
            let count = shape.iter().product();
            Value { shape: shape.to_vec(), elements: (0..count).map(|_| constant(&mut dice, dtype)).collect() }
        });
        let (after, trace) = optimize(graph.clone(), &exact).unwrap();
        for (before, after) in evaluate(&graph, &arguments).iter().zip(&evaluate(&after, &arguments)) {
            same(before, after).unwrap_or_else(|error| panic!("round {round}: {error}\n{trace}"));
        }
        for (before, after_id) in graph.outputs.iter().zip(&after.outputs) {
            assert_eq!(graph.ty(*before), after.ty(*after_id));
        }
        let (again, idle) = optimize(after.clone(), &exact).unwrap();
        assert_eq!((again.len(), idle.total()), (after.len(), 0), "round {round}\n{idle}");
        fired += trace.total();
        smaller += usize::from(after.len() < graph.len());
    }
    assert!(fired > 1000 && smaller > 500, "{fired} {smaller}");
}
