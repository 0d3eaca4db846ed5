//! Which nodes lie in which region.
//!
//! The nodes of a region live in the same arena as all others; a node is inside a region exactly if it depends
//! on one of its parameters. Nothing here changes a graph or knows who asks.
//!
//! Invariant: regions nest at most [`DEEPEST`] levels, so that whoever walks them may recurse.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId};

/// How deep regions may nest.
pub const DEEPEST: usize = 64;

/// The loops whose parameters a node depends on, innermost first.
pub type Enclosing = SmallVec<[NodeId; 2]>;

/// For each node, the regions that it lies in; dead nodes lie in none.
///
/// An inner loop is an operand of the outer one's results, so it has the smaller id: sorted by id, the
/// innermost comes first.
///
/// # Errors
/// `Unsupported` if regions nest deeper than [`DEEPEST`].
pub fn enclosing(graph: &Graph) -> Result<Vec<Enclosing>> {
    let live = graph.live();
    let owners = owners(graph, &live);
    let mut enclosing: Vec<Enclosing> = vec![Enclosing::new(); graph.len()];
    for id in graph.ids().filter(|id| live[id.index()]) {
        let mut regions: Enclosing = owners.get(&id).copied().into_iter().collect();
        graph.node(id).for_each_operand(|operand| regions.extend_from_slice(&enclosing[operand.index()]));
        regions.sort_unstable();
        regions.dedup();
        regions.retain(|region| *region != id);
        if regions.len() > DEEPEST {
            return Err(Error::Unsupported(format!("loops nested more than {DEEPEST} deep; merge some of them")));
        }
        enclosing[id.index()] = regions;
    }
    Ok(enclosing)
}

/// For each parameter of a live region, the node that holds the region.
fn owners(graph: &Graph, live: &[bool]) -> FxHashMap<NodeId, NodeId> {
    let mut owners = FxHashMap::default();
    for id in graph.ids().filter(|id| live[id.index()]) {
        if let Node::Loop(node) = graph.node(id) {
            owners.extend(node.body.parameters.iter().map(|&parameter| (parameter, id)));
        }
    }
    owners
}

/// A live node that uses a parameter outside its region, if there is one.
///
/// # Errors
/// As [`enclosing`].
pub fn escaped(graph: &Graph) -> Result<Option<NodeId>> {
    let live = graph.live();
    let is_parameter = |id: &NodeId| live[id.index()] && matches!(graph.node(*id), Node::Parameter(..));
    if !graph.ids().any(|id| is_parameter(&id)) {
        return Ok(None);
    }
    let (owners, enclosing) = (owners(graph, &live), enclosing(graph)?);
    let unowned = graph.ids().find(|id| is_parameter(id) && !owners.contains_key(id));
    Ok(unowned.or_else(|| graph.outputs.iter().copied().find(|output| !enclosing[output.index()].is_empty())))
}
