//! The driver: termination, linear time, exclusion, trace, dead code, order of inputs and outputs.

use std::collections::HashSet;
use std::panic::Location;
use std::time::{Duration, Instant};

use super::{apply, count, input, permute, rule};
use crate::dtype::{DType, Scalar};
use crate::error::Error;
use crate::graph::{Graph, Node, NodeId};
use crate::ops::{BinaryOp, UnaryOp};
use crate::optimize::{Level, Options, PASSES, check_names, optimize, rules};

const LONG: usize = 100_000;

fn constant(graph: &mut Graph, value: f64) -> NodeId {
    graph.add(Node::Scalar(Scalar::F64(value)), None).unwrap()
}

fn binary(graph: &mut Graph, op: BinaryOp, a: NodeId, b: NodeId) -> NodeId {
    graph.add(Node::Binary(op, [a, b]), None).unwrap()
}

/// ln(1 + x)
fn log_graph() -> Graph {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", DType::F64, &[None]);
    let one = constant(&mut graph, 1.0);
    let sum = binary(&mut graph, BinaryOp::Add, one, x);
    let output = graph.add(Node::Unary(UnaryOp::Ln, sum), Some(Location::caller())).unwrap();
    graph.outputs.push(output);
    graph
}

/// A chain of 100,000 nodes in which `next` makes each from the one before.
fn chain(next: impl Fn(&mut Graph, NodeId, usize) -> NodeId) -> Graph {
    let mut graph = Graph::new();
    let mut x = input(&mut graph, "x", DType::F64, &[None, None]);
    for step in 0..LONG {
        x = next(&mut graph, x, step);
    }
    graph.outputs.push(x);
    graph
}

fn timed(graph: Graph) -> (Graph, usize) {
    let start = Instant::now();
    let (graph, trace) = optimize(graph, &Options { has_fma: true, ..Options::default() }).unwrap();
    // Quadratic time would take hours.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    eprintln!("{:?}", start.elapsed());
    (graph, trace.total())
}

#[test]
fn long_chains_take_linear_time_and_no_stack() {
    let (graph, fired) = timed(chain(|graph, x, step| {
        let c = constant(graph, step as f64 + 0.5);
        binary(graph, BinaryOp::Add, x, c)
    }));
    assert_eq!((count(&graph, "add"), fired), (LONG, 0));
    let (graph, _) = timed(chain(|graph, x, _| graph.add(Node::Unary(UnaryOp::Neg, x), None).unwrap()));
    assert_eq!(graph.outputs, graph.inputs);
    let (graph, fired) = timed(chain(|graph, x, step| {
        let one = constant(graph, 1.0);
        if step % 2 == 0 {
            binary(graph, BinaryOp::Add, one, x)
        } else {
            graph.add(Node::Unary(UnaryOp::Ln, x), None).unwrap()
        }
    }));
    assert!(count(&graph, "log1p") == LONG / 2 && fired >= LONG / 2);
}

#[test]
fn a_view_moves_past_a_long_chain() {
    let mut graph = chain(|graph, x, step| {
        let op = if step % 2 == 0 { UnaryOp::Sin } else { UnaryOp::Cos };
        graph.add(Node::Unary(op, x), None).unwrap()
    });
    let last = graph.outputs[0];
    let output = permute(&mut graph, &[1, 0], last);
    graph.outputs = vec![output];
    let (graph, fired) = timed(graph);
    assert_eq!((fired, graph.node(graph.outputs[0]).name()), (LONG, "cos"));
    // And of as many views one is left.
    let (graph, _) = timed(chain(|graph, x, _| permute(graph, &[1, 0], x)));
    assert_eq!(graph.outputs, graph.inputs);
}

#[test]
fn horner_chains_contract_only_with_fma() {
    let polynomial = |degree: usize| {
        let mut graph = Graph::new();
        let x = input(&mut graph, "x", DType::F64, &[None]);
        let mut sum = constant(&mut graph, 0.1);
        for step in 0..degree {
            let (c, product) = (constant(&mut graph, step as f64 + 0.3), binary(&mut graph, BinaryOp::Mul, sum, x));
            sum = binary(&mut graph, BinaryOp::Add, product, c);
        }
        graph.outputs.push(sum);
        graph
    };
    let with = |has_fma| Options { has_fma, ..Options::default() };
    let contracted = optimize(polynomial(9), &with(true)).unwrap().0;
    assert_eq!((count(&contracted, "mul_add"), count(&contracted, "add")), (9, 0));
    assert_eq!(count(&optimize(polynomial(9), &with(false)).unwrap().0, "mul_add"), 0);
    assert_eq!(count(&optimize(polynomial(1), &with(true)).unwrap().0, "mul_add"), 0);
    let fast = Options { level: Level::Fast, has_fma: true, ..Options::default() };
    assert_eq!(count(&optimize(polynomial(1), &fast).unwrap().0, "mul_add"), 1);
}

#[test]
fn rules_passes_and_classes_are_excluded_by_name() {
    let without = |name: &str| Options { exclude: vec![name.to_string()], ..Options::default() };
    assert_eq!(count(&optimize(log_graph(), &Options::default()).unwrap().0, "log1p"), 1);
    for name in ["log1p", "stabilize", "accuracy"] {
        assert_eq!(count(&optimize(log_graph(), &without(name)).unwrap().0, "log1p"), 0, "{name}");
    }
    let Err(Error::Argument(message)) = optimize(log_graph(), &without("log1q")) else { panic!("an unknown name") };
    assert!(message.contains("`log1q`") && message.contains("log1p") && message.contains("views"), "{message}");
    assert!(check_names(&["views".to_string(), "fast".to_string()]).is_ok());
}

#[test]
fn no_level_changes_nothing() {
    let none = Options { level: Level::None, ..Options::default() };
    let (graph, trace) = optimize(log_graph(), &none).unwrap();
    assert_eq!((graph.len(), trace.total()), (log_graph().len(), 0));
}

#[test]
fn fast_rules_are_opt_in() {
    let graph = || {
        let mut graph = Graph::new();
        let x = input(&mut graph, "x", DType::F64, &[None]);
        let three = constant(&mut graph, 3.0);
        let output = binary(&mut graph, BinaryOp::Div, x, three);
        graph.outputs.push(output);
        graph
    };
    let fast = Options { level: Level::Fast, ..Options::default() };
    assert_eq!(optimize(graph(), &Options::default()).unwrap().1.total(), 0);
    assert_eq!(optimize(graph(), &fast).unwrap().1.count("reciprocal"), 1);
}

#[test]
fn the_trace_says_what_became_of_what_and_where_it_was_written() {
    let (_, trace) = apply(&log_graph(), &[rule("log1p")]);
    let text = trace.to_string();
    assert!(text.starts_with("test/log1p: ln(add(1.0, x)) → log1p(x)  at src"), "{text}");
    assert_eq!((trace.count("log1p"), trace.counts().len(), trace.firings().len()), (1, 1, 1));
    let (graph, _) = optimize(log_graph(), &Options::default()).unwrap();
    assert!(graph.origin(graph.outputs[0]).is_some());
}

#[test]
fn dead_nodes_go_and_inputs_stay_in_order() {
    let mut graph = log_graph();
    let unused = input(&mut graph, "unused", DType::F32, &[]);
    let _ = graph.add(Node::Unary(UnaryOp::Exp, unused), None).unwrap();
    graph.outputs.push(graph.inputs[0]);
    graph.outputs.push(graph.outputs[0]);
    let (after, _) = optimize(graph, &Options::default()).unwrap();
    assert_eq!((after.len(), after.inputs.clone()), (3, vec![NodeId(0), NodeId(1)]));
    assert_eq!(after.outputs, [NodeId(2), NodeId(0), NodeId(2)]);
    assert_eq!(after.ty(after.inputs[1]).dtype, DType::F32);
}

#[test]
fn equal_subexpressions_are_shared_whatever_their_order() {
    let mut graph = Graph::new();
    let (x, y) = (input(&mut graph, "x", DType::F64, &[]), input(&mut graph, "y", DType::F64, &[]));
    let (a, b) = (binary(&mut graph, BinaryOp::Mul, x, y), binary(&mut graph, BinaryOp::Mul, y, x));
    let output = binary(&mut graph, BinaryOp::Atan2, a, b);
    graph.outputs.push(output);
    let (after, trace) = optimize(graph, &Options::default()).unwrap();
    assert_eq!((count(&after, "mul"), trace.total()), (1, 1));
}

#[test]
fn names_are_unique_and_every_row_is_complete() {
    let names: Vec<&str> = rules().map(|rule| rule.name).chain(PASSES.iter().map(|pass| pass.name)).collect();
    // The pass and the class of fast rules share their name, and are excluded together.
    let distinct: HashSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), distinct.len());
    assert!(rules().all(|rule| !rule.argument.is_empty() && !rule.left.is_empty() && !rule.right.is_empty()));
}

#[test]
fn a_second_run_finds_nothing() {
    let (once, _) = optimize(log_graph(), &Options::default()).unwrap();
    let (twice, trace) = optimize(once.clone(), &Options::default()).unwrap();
    assert_eq!((twice.len(), trace.total()), (once.len(), 0));
}
