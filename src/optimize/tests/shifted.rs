//! Logarithms and quotients of sums of exponentials against 448-bit arithmetic: rules over arrays, which `reference.rs`
//! does not reach. Errors are in ULPs of max(|result|, 1), as the rows of these rules say.

use astro_float::{BigFloat, Consts};

use super::evaluate::{Value, evaluate};
use super::reference::{BITS, NEAREST, to_f64};
use super::{apply, input, rule};
use crate::dtype::{DType, Scalar};
use crate::graph::{Graph, Node, NodeId};
use crate::ops::{BinaryOp, ReduceOp, UnaryOp};

/// How many elements are summed.
const COUNT: usize = 4;

fn add(graph: &mut Graph, node: Node<NodeId>) -> NodeId {
    graph.add(node, None).unwrap()
}

/// What a rule replaces, of a row of f32: a number, or a row.
fn left_side(name: &str) -> Graph {
    let mut graph = Graph::new();
    let g = &mut graph;
    let x = input(g, "x", DType::F32, &[Some(COUNT)]);
    let terms = add(g, Node::Unary(UnaryOp::Exp, x));
    let output = if name == "logaddexp" {
        let y = input(g, "y", DType::F32, &[Some(COUNT)]);
        let others = add(g, Node::Unary(UnaryOp::Exp, y));
        let sum = add(g, Node::Binary(BinaryOp::Add, [terms, others]));
        add(g, Node::Unary(UnaryOp::Ln, sum))
    } else {
        let sum = add(g, Node::Reduce(ReduceOp::Sum, [0].as_slice().into(), terms));
        let quotient = |g: &mut Graph| add(g, Node::Binary(BinaryOp::Div, [terms, sum]));
        match name {
            "softmax" => quotient(g),
            "log_softmax" => {
                let quotient = quotient(g);
                add(g, Node::Unary(UnaryOp::Ln, quotient))
            }
            _ => add(g, Node::Unary(UnaryOp::Ln, sum)),
        }
    };
    graph.outputs.push(output);
    graph
}

struct Reference(Consts);

impl Reference {
    fn exp(&mut self, x: f32) -> BigFloat {
        BigFloat::from_f64(f64::from(x), BITS).exp(BITS, NEAREST, &mut self.0)
    }

    /// What the left side of a rule is.
    fn values(&mut self, name: &str, rows: &[Vec<f32>]) -> Vec<f64> {
        let sum = |reference: &mut Reference, terms: &[f32]| {
            let zero = BigFloat::from_f64(0.0, BITS);
            terms.iter().fold(zero, |sum, &x| sum.add(&reference.exp(x), BITS, NEAREST))
        };
        if name == "logaddexp" {
            let pairs = rows[0].iter().zip(&rows[1]);
            return pairs.map(|(&x, &y)| to_f64(&sum(self, &[x, y]).ln(BITS, NEAREST, &mut self.0))).collect();
        }
        let total = sum(self, &rows[0]);
        if name == "logsumexp" {
            return vec![to_f64(&total.ln(BITS, NEAREST, &mut self.0))];
        }
        let share = |&x: &f32| {
            let share = self.exp(x).div(&total, BITS, NEAREST);
            to_f64(&if name == "softmax" { share } else { share.ln(BITS, NEAREST, &mut self.0) })
        };
        rows[0].iter().map(share).collect()
    }
}

/// Rows of every size and spread, with equal elements and ones far apart.
fn samples() -> Vec<Vec<f32>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut unit = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let mut rows = Vec::new();
    for spread in [1e-6_f32, 0.01, 0.5, 2.0, 10.0, 30.0, 88.0, 200.0, 5000.0] {
        for offset in [0.0_f32, -0.5, 1.0, 16.0, -64.0, 64.5, -87.0, 88.7, -103.0, 500.0, -2e4] {
            rows.extend((0..6).map(|_| (0..COUNT).map(|_| offset + spread * unit()).collect()));
        }
    }
    rows.extend([vec![0.0; COUNT], vec![88.0; COUNT], vec![-104.0; COUNT], vec![0.0, 0.0, -1e30, f32::MIN]]);
    rows
}

/// The error in ULPs of max(|exact|, 1).
fn error(value: f64, exact: f64) -> f64 {
    if value.is_nan() {
        return f64::INFINITY;
    }
    (value - exact).abs() / (exact.abs().max(1.0).log2().floor() - 23.0).exp2()
}

/// Errors of both sides of a rule, on all samples.
fn errors(name: &str) -> Vec<(Vec<Vec<f32>>, f64, f64)> {
    let graph = left_side(name);
    let (after, trace) = apply(&graph, &[rule(name)]);
    assert_eq!(trace.total(), 1, "{name}");
    let rows = samples();
    let mut reference = Reference(Consts::new().unwrap());
    let mut errors = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let arguments: Vec<Vec<f32>> = if name == "logaddexp" {
            vec![row.clone(), rows[(at * 7 + 1) % rows.len()].clone()]
        } else {
            vec![row.clone()]
        };
        let vector = |row: &Vec<f32>| Value::vector(row.iter().map(|&x| Scalar::F32(x)).collect());
        let values: Vec<Value> = arguments.iter().map(vector).collect();
        let (left, right) = (evaluate(&graph, &values)[0].f64s(), evaluate(&after, &values)[0].f64s());
        for ((left, right), exact) in left.into_iter().zip(right).zip(reference.values(name, &arguments)) {
            // An exponential so small that even the reference has none.
            if exact.is_finite() {
                errors.push((arguments.clone(), error(left, exact), error(right, exact)));
            }
        }
    }
    errors
}

#[test]
fn shifted_sums_of_exponentials_lose_at_most_one_ulp_and_gain_many() {
    for name in ["logsumexp", "logaddexp", "log_softmax", "softmax"] {
        let (mut gained, mut most, mut lost) = (0, 0.0_f64, 0.0_f64);
        for (arguments, left, right) in errors(name) {
            assert!(right <= left + 1.0, "{name} of {arguments:?}: {left} ULPs, then {right}");
            (most, lost) = (most.max(right), lost.max(right - left));
            gained += usize::from(left > 1000.0);
        }
        println!("{name}: {most} ULPs at most, {lost} more than before; {gained} results were wrong before");
        assert!(most <= 3.0 && gained > 100, "{name}: {most}, {gained}");
    }
}
