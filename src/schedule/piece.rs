//! The pieces of work that are put into kernels and in order: a root, the parts of a concatenation, a library call.

use rustc_hash::FxHashSet;

use crate::graph::{Graph, Node, NodeId};
use crate::schedule::form::Form;
use crate::schedule::loops::Loops;
use crate::schedule::walk::{Cone, Walk};
use crate::schedule::{Root, Step};

/// A piece of work, all of one level.
pub struct Piece {
    /// What is done.
    pub work: Work,
    /// What it touches.
    pub cone: Cone,
}

/// What a piece of work is.
pub enum Work {
    /// A root, which may share its kernel with others.
    Root(Root),
    /// The steps that make a node, which share nothing.
    Steps(NodeId, Vec<Step>),
}

/// Everything that is to be done, operands before users, the copies last.
pub fn pieces(graph: &Graph, live: &[bool], loops: &Loops, forms: &[Form], materialized: &[bool]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut add = |work: Work| {
        let mut walk = Walk::new(graph, forms, materialized);
        match &work {
            Work::Root(root) => walk.write(*root),
            Work::Steps(_, steps) => steps.iter().for_each(|step| walk.step(step)),
        }
        pieces.push(Piece { work, cone: walk.finish() });
    };
    for id in graph.ids().filter(|id| live[id.index()]) {
        if let Some(step) = loops.step(id) {
            add(Work::Steps(id, vec![step.clone()]));
        }
        // A loop writes its projections.
        if !materialized[id.index()] || matches!(graph.node(id), Node::Project(..)) {
            continue;
        }
        add(match graph.node(id) {
            Node::Concat(_, parts) => {
                Work::Steps(id, (0..parts.len()).map(|part| Step::ConcatPart { node: id, part }).collect())
            }
            Node::MatMul(_) => Work::Steps(id, vec![Step::MatMul { node: id, epilogue: None }]),
            Node::Custom(..) => Work::Steps(id, vec![Step::Custom(id)]),
            _ => Work::Root(Root { node: id, copy_to: None }),
        });
    }
    // Outputs that are windows, constants, or the same node again: each is copied.
    let mut seen = FxHashSet::default();
    for (output, &node) in graph.outputs.iter().enumerate() {
        if !materialized[node.index()] || !seen.insert(node) {
            add(Work::Root(Root { node, copy_to: Some(output) }));
        }
    }
    pieces
}

/// How many readers of a node are not in its own kernel; one more for each output that is made in its place.
pub fn readers(graph: &Graph, pieces: &[Piece]) -> Vec<u32> {
    let mut readers = vec![0; graph.len()];
    graph.outputs.iter().for_each(|output| readers[output.index()] += 1);
    for piece in pieces {
        piece.cone.sources().iter().for_each(|source| readers[source.index()] += 1);
    }
    readers
}
