//! Which nodes are evaluated together, and after which node a value is no longer needed.
//!
//! Nodes outside every region are evaluated once, those of a region once per step. A value that is used inside
//! a deeper region lives until the loop that holds the region is done. Knows the graph and no values.

use rustc_hash::FxHashMap;

use crate::error::Result;
use crate::graph::regions::{Enclosing, enclosing};
use crate::graph::{Graph, Node, NodeId};

/// The order of an evaluation.
pub(super) struct Lifetimes {
    outermost: Vec<NodeId>,
    bodies: FxHashMap<NodeId, Vec<NodeId>>,
    endings: FxHashMap<NodeId, Vec<NodeId>>,
}

impl Lifetimes {
    pub(super) fn new(graph: &Graph) -> Result<Lifetimes> {
        let enclosing = enclosing(graph)?;
        let live = graph.live();
        let mut lifetimes =
            Lifetimes { outermost: Vec::new(), bodies: FxHashMap::default(), endings: FxHashMap::default() };
        for id in graph.ids().filter(|id| live[id.index()]) {
            match innermost(&enclosing, id) {
                // The loop itself sets its parameters.
                Some(_) if matches!(graph.node(id), Node::Parameter(..)) => {}
                Some(region) => lifetimes.bodies.entry(region).or_default().push(id),
                None => lifetimes.outermost.push(id),
            }
        }
        for (index, last) in last_uses(graph, &live, &enclosing).into_iter().enumerate() {
            if let Some(last) = last {
                lifetimes.endings.entry(last).or_default().push(NodeId(index as u32));
            }
        }
        Ok(lifetimes)
    }

    /// The nodes outside every region.
    pub(super) fn outermost(&self) -> &[NodeId] {
        &self.outermost
    }

    /// The nodes that are evaluated in each step of a loop.
    pub(super) fn body(&self, iterate: NodeId) -> &[NodeId] {
        self.bodies.get(&iterate).map_or(&[], Vec::as_slice)
    }

    /// The nodes whose values are not needed after this one.
    pub(super) fn ending_at(&self, id: NodeId) -> &[NodeId] {
        self.endings.get(&id).map_or(&[], Vec::as_slice)
    }
}

fn innermost(enclosing: &[Enclosing], id: NodeId) -> Option<NodeId> {
    enclosing[id.index()].first().copied()
}

/// For each node, its last user in its own region; `None` for outputs and for what a step ends with.
fn last_uses(graph: &Graph, live: &[bool], enclosing: &[Enclosing]) -> Vec<Option<NodeId>> {
    let mut last: Vec<Option<NodeId>> = vec![None; graph.len()];
    for id in graph.ids().filter(|id| live[id.index()]) {
        graph.node(id).for_each_operand(|operand| {
            if let Some(user) = user_beside(enclosing, *operand, id) {
                last[operand.index()] = last[operand.index()].max(Some(user));
            }
        });
    }
    for id in graph.ids().filter(|id| live[id.index()]) {
        if let Node::Loop(node) = graph.node(id) {
            // The results of a step are read after its last node.
            for result in node.body.results.iter().filter(|result| innermost(enclosing, **result) == Some(id)) {
                last[result.index()] = None;
            }
        }
    }
    for output in &graph.outputs {
        last[output.index()] = None;
    }
    last
}

/// The user itself, or the loop around it, that lies in the same region as the operand.
fn user_beside(enclosing: &[Enclosing], operand: NodeId, user: NodeId) -> Option<NodeId> {
    let region = innermost(enclosing, operand);
    let mut user = user;
    while innermost(enclosing, user) != region {
        user = innermost(enclosing, user)?;
    }
    Some(user)
}
