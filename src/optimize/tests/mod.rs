//! Tests of the optimizer: every rule fires on its example, not on near misses, and computes what it replaces.

mod accuracy;
mod driver;
mod evaluate;
mod exact;
mod powers;
mod random;
mod reference;
mod shifted;
mod small;
mod sums;
mod views;

use std::sync::Arc;

use smallvec::SmallVec;

use crate::dtype::{DType, Scalar};
use crate::graph::{Graph, Input, Node, NodeId, Type};
use crate::optimize::index::Index;
use crate::optimize::pattern::{Literal, Op, Term};
use crate::optimize::{Rule, Trace, rewrite, rules};
use crate::shape::{Dim, InputId, Shape};

pub fn rule(name: &str) -> &'static Rule {
    rules().find(|rule| rule.name == name).unwrap_or_else(|| panic!("no rule is named {name}"))
}

/// An input whose sizes are constants, or symbols where they are `None`.
pub fn input(graph: &mut Graph, name: &str, dtype: DType, sizes: &[Option<usize>]) -> NodeId {
    let id = InputId::new();
    let dim = |(axis, size): (usize, &Option<usize>)| match size {
        Some(size) => Dim::of_size(*size),
        None => Dim::from(evaluate::symbol(id, axis)),
    };
    let shape: Shape = sizes.iter().enumerate().map(dim).collect();
    let node = Node::Input(Arc::new(Input { id, name: name.to_string(), ty: Type { dtype, shape }, kept: None }));
    let node = graph.add(node, None).unwrap();
    graph.inputs.push(node);
    node
}

/// Builds a term over given variables; number literals have this dtype. `None` if it is ill-typed.
pub fn build(graph: &mut Graph, term: &Term, variables: &[NodeId], dtype: DType) -> Option<NodeId> {
    let node = match term {
        Term::Variable(number) => return variables.get(*number).copied(),
        Term::Literal(Literal::Truth(value)) => Node::Scalar(Scalar::Bool(*value)),
        Term::Literal(literal) => Node::Scalar(literal.value(dtype)?),
        Term::Op(op, terms) => {
            let operands: Vec<NodeId> =
                terms.iter().map(|term| build(graph, term, variables, dtype)).collect::<Option<_>>()?;
            match (op, operands.as_slice()) {
                (Op::Unary(op), &[x]) => Node::Unary(*op, x),
                (Op::Binary(op), &[a, b]) => Node::Binary(*op, [a, b]),
                (Op::Ternary(op), &[a, b, c]) => Node::Ternary(*op, [a, b, c]),
                _ => return None,
            }
        }
    };
    graph.add(node, None).ok()
}

/// Applies some rules and nothing else; live nodes remain.
pub fn apply(graph: &Graph, rules: &[&'static Rule]) -> (Graph, Trace) {
    let mut trace = Trace::default();
    let index = Index::new(rules.iter().copied());
    let (graph, _) = rewrite::run(graph.clone(), &mut Vec::new(), "test", &index, &mut trace).unwrap();
    (rewrite::remove_dead(graph, &mut Vec::new()), trace)
}

/// How many live nodes there are of each name.
pub fn count(graph: &Graph, name: &str) -> usize {
    let live = graph.live();
    graph.ids().filter(|id| live[id.index()] && graph.node(*id).name() == name).count()
}

pub fn permute(graph: &mut Graph, order: &[u32], x: NodeId) -> NodeId {
    graph.add(Node::Permute(SmallVec::from_slice(order), x), None).unwrap()
}
