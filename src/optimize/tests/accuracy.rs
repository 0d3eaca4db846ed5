//! Accuracy rules are nowhere worse by more than one ULP, keep domains, and gain where they claim to.

use super::evaluate::{Value, evaluate};
use super::{apply, build, input, rule};
use crate::dtype::{DType, Scalar};
use crate::graph::{Graph, Node, NodeId};
use crate::ops::{BinaryOp, ReduceOp, UnaryOp};
use crate::optimize::rule::Apply;
use crate::optimize::{Class, Level, Options, Rule, optimize, pattern, rules};

/// f32 arguments: dense where the functions bend, and the edges.
fn sample() -> Vec<f32> {
    let line = (-40_000..40_000).map(|i| i as f32 * 0.000_537_1);
    let wide = (-1200..1200).map(|i| (i as f32 * 0.11).exp2());
    let edges = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        88.7,
        -87.4,
        103.9,
        -103.9,
    ];
    line.chain(wide.clone()).chain(wide.map(|x| -x)).chain(edges).collect()
}

/// The outputs of the left side and of what a rule makes of it.
fn both_sides(rule: &'static Rule, dtype: DType, xs: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let term = pattern::parse(rule.left, &mut Vec::new()).unwrap();
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", dtype, &[Some(xs.len())]);
    let output = build(&mut graph, &term, &[x], dtype).unwrap();
    graph.outputs.push(output);
    let (rewritten, trace) = apply(&graph, &[rule]);
    assert!(trace.total() > 0, "{} does not fire", rule.name);
    let arguments = [Value::vector(xs.iter().map(|&x| Scalar::F32(x).cast(dtype)).collect())];
    (evaluate(&graph, &arguments)[0].f64s(), evaluate(&rewritten, &arguments)[0].f64s())
}

/// The error in ULPs of f32.
pub fn error(value: f64, exact: f64) -> f64 {
    if value == exact || (value.is_nan() && exact.is_nan()) {
        return 0.0;
    }
    if value.is_nan() != exact.is_nan() {
        return f64::INFINITY;
    }
    // Beyond the largest number by less than half a step, infinity and the largest number are both right.
    let (value, exact) = (value.clamp(-3.402_823_7e38, 3.402_823_7e38), exact.clamp(-3.402_823_7e38, 3.402_823_7e38));
    let exponent = exact.abs().max(f64::from(f32::MIN_POSITIVE)).log2().floor();
    (value - exact).abs() / (exponent - 23.0).exp2()
}

fn elementwise_rules() -> impl Iterator<Item = &'static Rule> {
    rules().filter(|rule| rule.class == Class::Accuracy && !matches!(rule.apply, Apply::Code(..) | Apply::Whole(_)))
}

#[test]
fn accuracy_rules_are_nowhere_worse_by_more_than_one_ulp() {
    let xs = sample();
    for rule in elementwise_rules() {
        let (before, after) = both_sides(rule, DType::F32, &xs);
        let (_, exact) = both_sides(rule, DType::F64, &xs);
        for (((x, before), after), exact) in xs.iter().zip(before).zip(after).zip(exact) {
            let (worse, was) = (error(after, exact), error(before, exact));
            assert!(worse <= was + 1.001, "{}({x:e}): {after:e} for {exact:e}, was {before:e}", rule.name);
        }
    }
}

#[test]
fn accuracy_rules_compute_the_same_function() {
    let xs: Vec<f32> = (-300..300)
        .map(|i| i as f32 * 0.03 + 0.001)
        .chain([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN])
        .collect();
    for rule in elementwise_rules() {
        let (before, after) = both_sides(rule, DType::F64, &xs);
        for ((x, before), after) in xs.iter().zip(before).zip(after) {
            // The quotient of two infinities is what this rule mends.
            let mended = rule.name == "sigmoid" && *x == f32::INFINITY;
            assert!(mended || before.is_nan() == after.is_nan(), "{}({x}): {before} and {after}", rule.name);
            // Those that are themselves constants near a zero lose digits on the left side only.
            let near = before == after || (before - after).abs() <= 1e-10 * after.abs().max(1.0);
            assert!(mended || before.is_nan() || near, "{}({x}): {before} and {after}", rule.name);
        }
    }
}

#[test]
fn rules_gain_accuracy_where_they_claim_to() {
    let gains: &[(&str, f32)] = &[
        ("log1p", 1e-10),
        ("log1p_minus", 1e-10),
        ("expm1", 1e-10),
        ("expm1_add", -1e-10),
        ("one_minus_exp", 1e-10),
        ("softplus", 200.0),
        ("ln_exp", 200.0),
        ("sqrt_square", 1e30),
        ("log_sigmoid", -20.0),
        ("log_logistic", -200.0),
        ("one_minus_sigmoid", -20.0),
        ("one_minus_logistic", 20.0),
        ("sigmoid", 200.0),
        ("log1mexp", -20.0),
    ];
    for &(name, x) in gains {
        let (before, after) = both_sides(rule(name), DType::F32, &[x]);
        let (_, exact) = both_sides(rule(name), DType::F64, &[x]);
        assert!(error(before[0], exact[0]) > 4.0, "{name}({x}) was right");
        assert!(error(after[0], exact[0]) <= 2.0, "{name}({x}): {} for {}", after[0], exact[0]);
    }
}

fn unary(graph: &mut Graph, op: UnaryOp, x: NodeId) -> NodeId {
    graph.add(Node::Unary(op, x), None).unwrap()
}

fn sum(graph: &mut Graph, axes: &[u32], x: NodeId) -> NodeId {
    graph.add(Node::Reduce(ReduceOp::Sum, axes.into(), x), None).unwrap()
}

fn f64s(shape: &[usize], values: &[f64]) -> Value {
    Value { shape: shape.to_vec(), elements: values.iter().map(|&value| Scalar::F64(value)).collect() }
}

fn logsumexp_graph(sizes: &[Option<usize>], axes: &[u32]) -> Graph {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", DType::F64, sizes);
    let exponential = unary(&mut graph, UnaryOp::Exp, x);
    let total = sum(&mut graph, axes, exponential);
    let output = unary(&mut graph, UnaryOp::Ln, total);
    graph.outputs.push(output);
    graph
}

#[test]
fn logsumexp_neither_overflows_nor_fails_when_empty() {
    let inf = f64::INFINITY;
    for sizes in [[Some(3), Some(2)], [None, Some(2)], [Some(3), None], [None, None]] {
        for axes in [&[1][..], &[0], &[0, 1]] {
            let graph = logsumexp_graph(&sizes, axes);
            let (after, trace) = optimize(graph.clone(), &Options::default()).unwrap();
            assert_eq!(trace.count("logsumexp"), 1, "{sizes:?} {axes:?}\n{trace}");
            let small = [f64s(&[3, 2], &[0.5, -1.0, 2.0, 0.25, -3.0, 4.0])];
            let (plain, stable) = (evaluate(&graph, &small)[0].f64s(), evaluate(&after, &small)[0].f64s());
            assert!(plain.iter().zip(&stable).all(|(a, b)| (a - b).abs() < 1e-14), "{plain:?} {stable:?}");
            let large = evaluate(&after, &[f64s(&[3, 2], &[1000.0, 1000.0, 2000.0, -2000.0, -1e4, -1e4])]);
            assert!(large[0].f64s().iter().all(|value| value.is_finite()), "{large:?}");
        }
    }
    let graph = logsumexp_graph(&[None, Some(2)], &[1]);
    let (after, _) = optimize(graph, &Options::default()).unwrap();
    let special = evaluate(&after, &[f64s(&[3, 2], &[-inf, -inf, inf, 0.0, f64::NAN, 1.0])])[0].f64s();
    assert!(special[0] == -inf && special[1] == inf && special[2].is_nan(), "{special:?}");
    let (after, _) = optimize(logsumexp_graph(&[None, None], &[0, 1]), &Options::default()).unwrap();
    for empty in [[0, 2], [2, 0], [0, 0]] {
        assert_eq!(evaluate(&after, &[f64s(&empty, &[])])[0].f64s(), [-inf]);
    }
}

#[test]
fn what_is_shifted_already_is_left_alone() {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", DType::F64, &[None]);
    let largest = graph.add(Node::Reduce(ReduceOp::Max, [0].as_slice().into(), x), None).unwrap();
    let shifted = graph.add(Node::Binary(BinaryOp::Sub, [x, largest]), None).unwrap();
    let exponential = unary(&mut graph, UnaryOp::Exp, shifted);
    let total = sum(&mut graph, &[0], exponential);
    let output = unary(&mut graph, UnaryOp::Ln, total);
    let softplus = unary(&mut graph, UnaryOp::Log1p, exponential);
    graph.outputs.extend([output, softplus]);
    assert_eq!(optimize(graph, &Options::default()).unwrap().1.count("logsumexp"), 0);
}

#[test]
fn log_of_softmax_does_not_underflow() {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", DType::F64, &[None]);
    let exponential = unary(&mut graph, UnaryOp::Exp, x);
    let total = sum(&mut graph, &[0], exponential);
    let quotient = graph.add(Node::Binary(BinaryOp::Div, [exponential, total]), None).unwrap();
    let output = unary(&mut graph, UnaryOp::Ln, quotient);
    graph.outputs.push(output);
    let (after, trace) = optimize(graph, &Options::default()).unwrap();
    assert_eq!((trace.count("log_softmax"), trace.count("logsumexp")), (1, 0));
    assert_eq!(evaluate(&after, &[f64s(&[2], &[0.0, 2000.0])])[0].f64s(), [-2000.0, 0.0]);
    // Near 0 nothing cancels: the error of −ln(1 + e⁻³³) is an ULP of 1, not of 65.
    let nearly_zero = evaluate(&after, &[f64s(&[2], &[32.0, 65.0])])[0].f64s()[1];
    assert!((nearly_zero + (-33.0_f64).exp().ln_1p()).abs() <= f64::EPSILON, "{nearly_zero}");
}

#[test]
fn logaddexp_survives_large_arguments() {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", DType::F64, &[None]);
    let y = input(&mut graph, "y", DType::F64, &[Some(1)]);
    let (a, b) = (unary(&mut graph, UnaryOp::Exp, x), unary(&mut graph, UnaryOp::Exp, y));
    let total = graph.add(Node::Binary(BinaryOp::Add, [a, b]), None).unwrap();
    let output = unary(&mut graph, UnaryOp::Ln, total);
    graph.outputs.push(output);
    let (after, trace) = optimize(graph, &Options::default()).unwrap();
    assert_eq!(trace.count("logaddexp"), 1);
    let result = evaluate(&after, &[f64s(&[3], &[1000.0, f64::NEG_INFINITY, f64::INFINITY]), f64s(&[1], &[900.0])]);
    assert_eq!(result[0].f64s(), [1000.0, 900.0, f64::INFINITY]);
}

#[test]
fn nothing_is_stabilized_without_accuracy_rules() {
    let exact = Options { level: Level::Full, exclude: vec!["accuracy".to_string()], has_fma: true };
    assert_eq!(optimize(logsumexp_graph(&[None], &[0]), &exact).unwrap().1.total(), 0);
}
