//! Exact rules on every value of two small formats of floats: E5M2, and E4M3 with infinities.
//!
//! All that a rule could get wrong about signs, zeros, subnormals, overflow and rounding exists in eight bits too, and
//! all pairs of arguments can be tried. A value is held as the f64 that equals it; f64 has more than twice the bits of
//! either significand, so rounding an f64 result to the format rounds the exact one.

use super::evaluate::{Value, evaluate, same};
use super::exact::{CODE, graph_of, parsed};
use super::{apply, build, input, rule};
use crate::dtype::{DType, Scalar};
use crate::graph::{Graph, Node};
use crate::optimize::pattern::{Literal, Term};
use crate::optimize::rule::Apply;
use crate::optimize::{Class, Rule, rules};

/// An IEEE format of eight bits.
#[derive(Debug, Clone, Copy)]
struct Format {
    exponent_bits: u32,
    fraction_bits: u32,
}

const FORMATS: [Format; 2] =
    [Format { exponent_bits: 5, fraction_bits: 2 }, Format { exponent_bits: 4, fraction_bits: 3 }];

impl Format {
    fn bias(self) -> i32 {
        (1 << (self.exponent_bits - 1)) - 1
    }

    fn value(self, bits: u32) -> f64 {
        let fraction = f64::from(bits & ((1 << self.fraction_bits) - 1));
        let exponent = bits >> self.fraction_bits & ((1 << self.exponent_bits) - 1);
        let unit = f64::powi(2.0, -(self.fraction_bits as i32));
        let magnitude = match exponent {
            0 => fraction * unit * f64::powi(2.0, 1 - self.bias()),
            top if top == (1 << self.exponent_bits) - 1 && fraction == 0.0 => f64::INFINITY,
            top if top == (1 << self.exponent_bits) - 1 => f64::NAN,
            exponent => (1.0 + fraction * unit) * f64::powi(2.0, exponent as i32 - self.bias()),
        };
        if bits >> (self.exponent_bits + self.fraction_bits) == 1 { -magnitude } else { magnitude }
    }

    fn values(self) -> impl Iterator<Item = f64> {
        (0..256).map(move |bits| self.value(bits))
    }

    /// To nearest, ties to even.
    fn round(self, x: f64) -> f64 {
        if x == 0.0 || !x.is_finite() {
            return x;
        }
        let exponent = (((x.to_bits() >> 52 & 0x7ff) as i32) - 1023).max(1 - self.bias());
        let step = f64::powi(2.0, exponent - self.fraction_bits as i32);
        let rounded = ((x / step).round_ties_even() * step).copysign(x);
        let largest = (2.0 - f64::powi(2.0, -(self.fraction_bits as i32))) * f64::powi(2.0, self.bias());
        if rounded.abs() > largest { f64::INFINITY.copysign(x) } else { rounded }
    }

    fn rounded(self, value: Scalar) -> Scalar {
        if let Scalar::F64(x) = value { Scalar::F64(self.round(x)) } else { value }
    }

    /// The output of a graph of elementwise nodes over scalars.
    fn evaluate(self, graph: &Graph, arguments: &[Scalar]) -> Scalar {
        let mut values: Vec<Scalar> = Vec::with_capacity(graph.len());
        for id in graph.ids() {
            let of = |id: &crate::graph::NodeId| values[id.index()];
            let value = match graph.node(id) {
                Node::Input(_) => arguments[graph.inputs.iter().position(|&input| input == id).unwrap()],
                Node::Scalar(value) => *value,
                Node::Unary(op, x) => op.apply(of(x)).unwrap(),
                Node::Binary(op, [a, b]) => op.apply(of(a), of(b)).unwrap(),
                Node::Ternary(op, [a, b, c]) => op.apply(of(a), of(b), of(c)).unwrap(),
                Node::Broadcast(_, x) => of(x),
                other => panic!("{} in an elementwise rule", other.name()),
            };
            values.push(self.rounded(value));
        }
        values[graph.outputs[0].index()]
    }

    /// Whether every number of a term is one of the format.
    fn holds(self, term: &Term) -> bool {
        match term {
            Term::Variable(_) | Term::Literal(Literal::Truth(_)) => true,
            Term::Literal(Literal::Integer(value)) => self.round(*value as f64) == *value as f64,
            Term::Literal(Literal::Real(value)) => value.is_nan() || self.round(*value) == *value,
            Term::Op(_, terms) => terms.iter().all(|term| self.holds(term)),
        }
    }
}

/// Every combination of arguments, of three and more variables a part.
fn arguments(format: Format, dtypes: &[DType]) -> Vec<Vec<Scalar>> {
    let step = if dtypes.len() > 2 { 5 } else { 1 };
    let numbers: Vec<Scalar> = format.values().step_by(step).map(Scalar::F64).collect();
    let truths = [Scalar::Bool(false), Scalar::Bool(true)];
    let mut tuples = vec![vec![]];
    for dtype in dtypes {
        let choices: &[Scalar] = if *dtype == DType::Bool { &truths } else { &numbers };
        let choices: Vec<Scalar> =
            if dtypes.len() > 3 { choices.iter().copied().step_by(4).collect() } else { choices.to_vec() };
        tuples = tuples
            .iter()
            .flat_map(|tuple: &Vec<Scalar>| choices.iter().map(|&value| [&tuple[..], &[value]].concat()))
            .collect();
    }
    tuples
}

/// Compares both sides on every value of every format that has the rule's numbers; how many comparisons there were.
fn compared(rule: &'static Rule, term: &Term, variables: usize) -> usize {
    let mut compared = 0;
    for format in FORMATS.into_iter().filter(|format| format.holds(term)) {
        let Some((before, dtypes)) = graph_of(term, variables, DType::F64) else { continue };
        let (after, trace) = apply(&before, &[rule]);
        if trace.total() == 0 {
            continue;
        }
        for tuple in arguments(format, &dtypes) {
            let (left, right) = (format.evaluate(&before, &tuple), format.evaluate(&after, &tuple));
            let same = left == right || (left.is_nan() && right.is_nan());
            assert!(same, "{} in {format:?} at {tuple:?}: {left:?} and {right:?}", rule.name);
            compared += 1;
        }
    }
    compared
}

#[test]
fn the_formats_are_those_of_eight_bits() {
    let [e5m2, e4m3] = FORMATS;
    assert_eq!((e5m2.value(0x7b), e4m3.value(0x77)), (57344.0, 240.0));
    assert_eq!((e5m2.value(1), e4m3.value(1)), (f64::powi(2.0, -16), f64::powi(2.0, -9)));
    for format in FORMATS {
        let sorted: Vec<f64> = (0..128).map(|bits| format.value(bits)).filter(|x| x.is_finite()).collect();
        for pair in sorted.windows(2) {
            assert_eq!((format.round(pair[0]), format.round(pair[0] * 0.75 + pair[1] * 0.25)), (pair[0], pair[0]));
        }
        let (even, odd) = (sorted[2], sorted[3]);
        assert_eq!(format.round((even + odd) / 2.0), even);
        assert_eq!(format.round(1e6), f64::INFINITY);
    }
}

#[test]
fn exact_rules_hold_for_every_small_float() {
    let (mut rules_seen, mut total) = (0, 0);
    for rule in
        rules().filter(|rule| rule.class == Class::Exact && !matches!(rule.apply, Apply::Code(..) | Apply::Whole(_)))
    {
        let (term, variables) = parsed(rule.left);
        let count = compared(rule, &term, variables);
        rules_seen += usize::from(count > 0);
        total += count;
    }
    for &(name, text, _) in CODE.iter().filter(|(name, ..)| rule(name).class == Class::Exact) {
        let (term, variables) = parsed(text);
        total += compared(rule(name), &term, variables);
    }
    assert!(rules_seen >= 40 && total > 500_000, "{rules_seen} {total}");
}

/// Compares both sides of the exact rules of one f32 for these bit patterns.
fn compare_f32(bits: impl Iterator<Item = u32>) {
    const CHUNK: usize = 1 << 16;
    let unary: Vec<(&Rule, Term)> = rules()
        .filter(|rule| rule.class == Class::Exact && !matches!(rule.apply, Apply::Code(..) | Apply::Whole(_)))
        .map(|rule| (rule, parsed(rule.left)))
        .filter(|(rule, (_, variables))| *variables == 1 && rule.when.holds(DType::F32))
        .map(|(rule, (term, _))| (rule, term))
        .collect();
    let mut bits = bits.peekable();
    while bits.peek().is_some() {
        let values: Vec<Scalar> = bits.by_ref().take(CHUNK).map(|bits| Scalar::F32(f32::from_bits(bits))).collect();
        let arguments = [Value::vector(values)];
        for (rule, term) in &unary {
            let mut before = Graph::new();
            let x = input(&mut before, "x", DType::F32, &[None]);
            let Some(output) = build(&mut before, term, &[x], DType::F32) else { continue };
            before.outputs.push(output);
            let (after, trace) = apply(&before, &[rule]);
            if trace.total() > 0 {
                let sides = [&before, &after].map(|graph| evaluate(graph, &arguments).remove(0));
                same(&sides[0], &sides[1]).unwrap_or_else(|error| panic!("{}: {error}", rule.name));
            }
        }
    }
}

#[test]
fn exact_rules_hold_for_a_part_of_every_f32() {
    compare_f32((0..=u32::MAX).step_by(1_000_003));
}
