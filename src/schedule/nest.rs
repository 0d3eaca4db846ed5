//! Which loops become nests in a kernel: those whose steps are made element by element.
//!
//! All states have one shape, and so has what a step emits; the body has elementwise nodes only, so no element ever
//! sees another one. The number of steps is known before the kernel runs, or every element stops by itself.

use crate::graph::{Graph, Loop, Node, NodeId};
use crate::loops::Target;
use crate::schedule::NestStep;
use crate::schedule::form::Form;
use crate::schedule::loops::Outline;

/// The nodes of the body, and what it takes from outside, if the loop can be a nest.
pub fn members(
    graph: &Graph,
    node: &Loop<NodeId>,
    results: &[Option<NodeId>],
    outline: &Outline<'_>,
    target: &Target,
) -> Option<(Vec<NodeId>, Vec<NodeId>)> {
    let shape = &graph.ty(node.initial[0]).shape;
    let in_shape = |id: &NodeId| graph.ty(*id).shape == *shape;
    let has_known_steps = node.count.is_none_or(|count| matches!(graph.node(count), Node::Size(_) | Node::Scalar(_)));
    // Elements that stop by themselves are given no rows; how many steps all make together is known to none of them.
    let fits = target.runs_loops
        && has_known_steps
        && !(node.guarded && node.body.parameters.len() > node.initial.len())
        && results.last().is_none_or(Option::is_none)
        && node.initial.iter().chain(&node.body.results).all(in_shape)
        && outline.members.iter().chain(&node.initial).all(|&id| target.computes(graph.ty(id).dtype))
        && outline.members.iter().all(|&id| is_elementwise(graph, id));
    let captured = outline.outside(node);
    let in_memory = captured.iter().filter(|&&id| !matches!(graph.node(id), Node::Scalar(_))).count();
    let operands = node.initial.len() + node.sequences.len() + in_memory + results.iter().flatten().count() + 2;
    let is_small = outline.members.len() <= target.max_statements / 4 && operands <= target.operands(false);
    (fits && is_small).then(|| (outline.members.clone(), captured))
}

fn is_elementwise(graph: &Graph, id: NodeId) -> bool {
    match graph.node(id) {
        Node::Parameter(..) | Node::Unary(..) | Node::Binary(..) | Node::Ternary(..) | Node::Cast(..) => true,
        Node::Input(_)
        | Node::Scalar(_)
        | Node::Dense(_)
        | Node::Iota(_)
        | Node::Size(_)
        | Node::Reduce(..)
        | Node::Permute(..)
        | Node::Reshape(..)
        | Node::Broadcast(..)
        | Node::Slice(..)
        | Node::Concat(..)
        | Node::MatMul(_)
        | Node::Loop(_)
        | Node::Project(..)
        | Node::Custom(..)
        | Node::Barrier(_) => false,
    }
}

impl NestStep {
    /// What the kernel reads at each element, from memory or made in it: first states, and what the body takes from
    /// outside.
    pub fn elements(&self, graph: &Graph) -> Vec<NodeId> {
        let Node::Loop(node) = graph.node(self.node) else { return Vec::new() };
        node.initial.iter().chain(&self.captured).copied().collect()
    }

    /// What it reads row by row.
    pub fn sequences(&self, graph: &Graph) -> Vec<NodeId> {
        let Node::Loop(node) = graph.node(self.node) else { return Vec::new() };
        node.sequences.clone()
    }
}

/// Whether a node is computed from constants, sizes and sequences of numbers alone, by a few repetitions and casts.
pub fn is_made_of_constants(graph: &Graph, forms: &[Form], id: NodeId) -> bool {
    let mut id = id;
    while let Node::Broadcast(_, x) | Node::Cast(_, x) = graph.node(id) {
        id = *x;
    }
    match &forms[id.index()] {
        Form::Constant(_) => true,
        Form::View(view) => matches!(graph.node(view.source), Node::Iota(_) | Node::Size(_)),
        Form::Inline => false,
    }
}
