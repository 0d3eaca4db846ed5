//! Exact rules of one float on every f32: what the left side computes and what the rule makes of it have the same bits.
//!
//! Both sides run on the engine, which has the bits of the definitions (where the processor has a fused multiply-add; else
//! its own), and rewrites nothing. A fixed part is in every run, against the definitions too (`optimize/tests/small.rs`);
//! all of it is
//! `cargo test --release --test every_f32 -- --ignored`.

mod common;

use std::sync::Arc;

use common::scalars;
use kroton::graph::{Graph, Input, Node, NodeId, Type, text};
use kroton::ops::{BinaryOp, TernaryOp, UnaryOp};
use kroton::optimize::{Class, Level, Options, Rule, optimize, rules};
use kroton::shape::{Dim, InputId, Measure, Symbol};
use kroton::{Array, Compiler, DType, Function, OptLevel, Scalar, from_text};
use rayon::prelude::*;

/// How many numbers a call is given.
const CHUNK: u32 = 1 << 16;

/// A graph of one vector of f32.
struct Builder {
    graph: Graph,
    x: NodeId,
}

impl Builder {
    fn new() -> Builder {
        let id = InputId::new();
        let length = Dim::from(Symbol { input: id, measure: Measure::Extent(0) });
        let ty = Type { dtype: DType::F32, shape: [length].into_iter().collect() };
        let mut graph = Graph::new();
        let x = graph.add(Node::Input(Arc::new(Input { id, name: "x".to_string(), ty, kept: None })), None).unwrap();
        graph.inputs.push(x);
        Builder { graph, x }
    }

    /// The next term of a pattern, if it is one of a single variable of f32.
    fn term<'a>(&mut self, words: &mut impl Iterator<Item = &'a str>) -> Option<NodeId> {
        let word = words.next()?;
        let node = match word {
            "(" => {
                let node = self.op(words)?;
                (words.next() == Some(")")).then_some(node)?
            }
            "?x" => return Some(self.x),
            "true" | "false" => Node::Scalar(Scalar::Bool(word == "true")),
            number => Node::Scalar(Scalar::F64(number.parse().ok()?).cast(DType::F32)),
        };
        self.graph.add(node, None).ok()
    }

    fn op<'a>(&mut self, words: &mut impl Iterator<Item = &'a str>) -> Option<Node<NodeId>> {
        let name = words.next()?;
        if let Some(op) = UnaryOp::from_name(name) {
            return Some(Node::Unary(op, self.term(words)?));
        }
        if let Some(op) = BinaryOp::from_name(name) {
            return Some(Node::Binary(op, [self.term(words)?, self.term(words)?]));
        }
        let op = TernaryOp::from_name(name)?;
        Some(Node::Ternary(op, [self.term(words)?, self.term(words)?, self.term(words)?]))
    }
}

/// The left side of a rule, if it is one of a single f32.
fn left_side(rule: &Rule) -> Option<Graph> {
    let spaced = rule.left.replace('(', " ( ").replace(')', " ) ");
    let mut builder = Builder::new();
    let output = builder.term(&mut spaced.split_whitespace())?;
    builder.graph.outputs.push(output);
    Some(builder.graph)
}

/// What one rule alone makes of a graph, if it fires.
fn rewritten(graph: Graph, rule: &Rule) -> Option<Graph> {
    let others = rules().map(|other| other.name).filter(|name| *name != rule.name);
    let exclude = others.map(str::to_string).collect();
    let (graph, trace) = optimize(graph, &Options { level: Level::Full, exclude, has_fma: false }).unwrap();
    (trace.count(rule.name) > 0).then_some(graph)
}

fn compiled(graph: &Graph) -> Function {
    let (inputs, outputs) = from_text(&text::print(graph)).unwrap();
    let compiler = Compiler::new().optimize(OptLevel::None).on_unused_input(kroton::OnUnused::Ignore);
    compiler.threads(1).compile(inputs, outputs).unwrap()
}

/// The exact rules of one f32, with both sides.
fn rules_of_one_float() -> Vec<(&'static Rule, [Function; 2])> {
    let exact = rules().filter(|rule| rule.class == Class::Exact && rule.when.holds(DType::F32));
    let sides = exact.filter_map(|rule| {
        let before = left_side(rule)?;
        let after = rewritten(before.clone(), rule)?;
        Some((rule, [compiled(&before), compiled(&after)]))
    });
    sides.collect()
}

/// The first place at which two results differ, all NaNs being equal.
fn difference(a: &Array, b: &Array) -> Option<usize> {
    assert_eq!((a.dtype(), a.shape()), (b.dtype(), b.shape()));
    if a.dtype() != DType::F32 {
        return scalars(a).iter().zip(scalars(b)).position(|(a, b)| *a != b);
    }
    let (a, b) = (a.as_slice::<f32>().unwrap(), b.as_slice::<f32>().unwrap());
    let differ = |a: f32, b: f32| (a.to_bits() != b.to_bits()) & !(a.is_nan() & b.is_nan());
    // Without a way out, so that it is a loop over vectors.
    match a.iter().zip(b).fold(false, |any, (&a, &b)| any | differ(a, b)) {
        true => a.iter().zip(b).position(|(&a, &b)| differ(a, b)),
        false => None,
    }
}

/// Compares both sides of all rules for these chunks of bit patterns.
fn compare(rules: &[(&Rule, [Function; 2])], chunks: impl IntoParallelIterator<Item = u32>) {
    chunks.into_par_iter().for_each(|chunk| {
        let values: Vec<f32> = (0..CHUNK).map(|place| f32::from_bits(chunk * CHUNK + place)).collect();
        for (rule, [before, after]) in rules {
            let [left, right]: [Array; 2] = [before, after].map(|side| side.call((&values,)).unwrap());
            if let Some(place) = difference(&left, &right) {
                let x = values[place];
                panic!("{}({x:e}): {:?} and {:?}", rule.name, scalars(&left)[place], scalars(&right)[place]);
            }
        }
    });
}

#[test]
fn exact_rules_hold_for_some_f32_of_every_exponent() {
    let rules = rules_of_one_float();
    let known = rules.iter().map(|(rule, _)| rule.name).collect::<Vec<_>>();
    assert!(known.len() >= 20 && known.contains(&"abs_square"), "{known:?}");
    // A binade with its sign is 128 chunks of 65,536 neighbors; infinities and zeros begin chunks.
    let has_limit = |chunk: u32| [0x0000, 0x7f80, 0x8000, 0xff80].contains(&chunk);
    compare(&rules, (0..=u32::MAX / CHUNK).into_par_iter().filter(|chunk| chunk % 127 == 5 || has_limit(*chunk)));
}

#[test]
#[ignore = "minutes in release; run it after a change of an exact rule"]
fn exact_rules_hold_for_every_f32() {
    compare(&rules_of_one_float(), 0..=u32::MAX / CHUNK);
}

#[test]
fn differences_are_found() {
    let array = |values: [f32; 4]| Array::from_slice(&values);
    let a = array([1.0, f32::NAN, 0.0, -0.0]);
    assert_eq!(difference(&a, &array([1.0, -f32::NAN, 0.0, -0.0])), None);
    assert_eq!(difference(&a, &array([1.0, f32::NAN, -0.0, -0.0])), Some(2));
    assert_eq!(difference(&a, &array([f32::NAN, f32::NAN, 0.0, -0.0])), Some(0));
    assert_eq!(difference(&Array::from_slice(&[true, false]), &Array::from_slice(&[true, true])), Some(1));
}
