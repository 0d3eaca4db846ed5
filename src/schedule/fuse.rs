//! Which computed nodes are written to memory, and which are recomputed in every kernel that uses them.
//!
//! Outputs are written. Going backwards, a node whose uses lie in different kernels is written if it is dear, and so
//! is a node that would be repeated along further axes. What a target's limits demand is `cut`'s affair.

use rustc_hash::FxHashMap;

use crate::graph::{Graph, Node, NodeId};
use crate::ops::Cost;
use crate::schedule::form::Form;
use crate::schedule::{Space, squeeze};

/// Up to this weight a node is recomputed in several kernels rather than written: one function and a little.
const RECOMPUTE_WEIGHT: u32 = 20;

/// Up to this weight a node is recomputed for every element that it is repeated to.
const REPEAT_WEIGHT: u32 = 4;

/// In which kernel all uses of a node lie, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Users {
    None,
    One(u32),
    Many,
}

/// Adds to `materialized` what is best written to memory: what is dear, and what is `kept` although it is not.
pub fn choose_roots(graph: &Graph, live: &[bool], forms: &[Form], kept: &[bool], materialized: &mut [bool]) {
    for &output in &graph.outputs {
        if forms[output.index()] == Form::Inline {
            materialized[output.index()] = true;
        }
    }
    let weights = weights(graph, forms);
    let is_dear = |id: NodeId| weights[id.index()] > RECOMPUTE_WEIGHT || kept[id.index()];
    choose_shared(graph, live, forms, &weights, &is_dear, materialized);
}

/// The cost of a node alone.
pub fn own_cost(node: &Node<NodeId>) -> Cost {
    match node {
        Node::Unary(op, _) => op.row().cost,
        Node::Binary(op, _) => op.row().cost,
        Node::Ternary(op, _) => op.row().cost,
        _ => Cost::Cheap,
    }
}

/// The cost of each node's whole computation, counted as a tree, saturating.
fn weights(graph: &Graph, forms: &[Form]) -> Vec<u32> {
    let mut weights: Vec<u32> = Vec::with_capacity(graph.len());
    for id in graph.ids() {
        let weight = if forms[id.index()] == Form::Inline {
            let operands = graph.node(id).operands();
            operands
                .iter()
                .fold(own_cost(graph.node(id)).weight(), |sum, operand| sum.saturating_add(weights[operand.index()]))
        } else {
            0
        };
        weights.push(weight);
    }
    weights
}

fn choose_shared(
    graph: &Graph,
    live: &[bool],
    forms: &[Form],
    weights: &[u32],
    is_dear: &dyn Fn(NodeId) -> bool,
    materialized: &mut [bool],
) {
    let mut users = vec![Users::None; graph.len()];
    let mut kernels: FxHashMap<Space, u32> = FxHashMap::default();
    for id in graph.ids().rev().filter(|id| live[id.index()]) {
        let index = id.index();
        if forms[index] == Form::Inline && users[index] == Users::Many && is_dear(id) {
            materialized[index] = true;
        }
        let own_kernel = materialized[index];
        let kernel = if own_kernel {
            let next = kernels.len() as u32;
            Users::One(*kernels.entry(Space::of(graph, id)).or_insert(next))
        } else {
            users[index]
        };
        let rank = squeeze(&graph.ty(id).shape).len();
        let reduces = matches!(graph.node(id), Node::Reduce(..));
        for &&operand in &graph.node(id).read_operands() {
            let place = &mut users[operand.index()];
            *place = match (*place, kernel) {
                (Users::None, kernel) => kernel,
                (Users::One(a), Users::One(b)) if a == b => Users::One(a),
                (_, _) => Users::Many,
            };
            let repeated = !reduces && squeeze(&graph.ty(operand).shape).len() < rank;
            if repeated
                && live[operand.index()]
                && forms[operand.index()] == Form::Inline
                && weights[operand.index()] > REPEAT_WEIGHT
            {
                materialized[operand.index()] = true;
            }
        }
    }
}
