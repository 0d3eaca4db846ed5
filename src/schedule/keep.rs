//! Which functions kernels of one row block hand on to each other, where other kernels would compute them again.
//!
//! Between the kernels of a block a value is a few rows in the cache: writing and reading it costs far less than
//! another `exp`. In memory it would cost more, so only what no step outside the block needs is kept.

use rustc_hash::FxHashMap;

use crate::graph::{Graph, NodeId};
use crate::loops::Axis;
use crate::ops::Cost;
use crate::schedule::Step;
use crate::schedule::form::Form;
use crate::schedule::fuse::own_cost;
use crate::schedule::rows::RowBlock;
use crate::schedule::walk::{Context, Walk, outer_context};

/// Where a node is computed.
#[derive(Clone, Copy)]
enum Use {
    /// In this block, by this step alone so far.
    One { block: usize, step: usize },
    /// In this block, by several steps.
    Several { block: usize },
    /// Outside blocks, in several, or for other rows than the kernel is at.
    Elsewhere,
}

/// For each node whether several steps of one block compute it, at their own rows, and nobody else does; only such that
/// need an elementary function.
pub fn kept(graph: &Graph, forms: &[Form], materialized: &[bool], steps: &[Step], blocks: &[RowBlock]) -> Vec<bool> {
    let functions = functions(graph, forms);
    let mut uses: FxHashMap<NodeId, Use> = FxHashMap::default();
    let mut blocks = blocks.iter().enumerate().peekable();
    for (step, work) in steps.iter().enumerate() {
        while blocks.next_if(|(_, block)| block.steps.end <= step).is_some() {}
        let own = blocks.peek().filter(|(_, block)| block.steps.contains(&step));
        let mut walk = Walk::new(graph, forms, materialized);
        walk.step(work);
        for (node, context) in walk.computed().filter(|(node, _)| functions[node.index()]) {
            let here = own.filter(|(_, block)| is_aligned(graph, *node, context, block.axes));
            let met = here.map_or(Use::Elsewhere, |&(block, _)| Use::One { block, step });
            let known = uses.remove(node);
            uses.insert(*node, known.map_or(met, |known| known.and(met)));
        }
    }
    let is_kept = |id: NodeId| matches!(uses.get(&id), Some(Use::Several { .. }));
    graph.ids().map(is_kept).collect()
}

impl Use {
    fn and(self, other: Use) -> Use {
        match (self, other) {
            (Use::One { block: a, step: first }, Use::One { block: b, step }) if a == b && first == step => self,
            (Use::One { block: a, .. } | Use::Several { block: a }, Use::One { block: b, .. }) if a == b => {
                Use::Several { block: a }
            }
            (Use::One { .. } | Use::Several { .. } | Use::Elsewhere, _) => Use::Elsewhere,
        }
    }
}

/// Whether a node's own kernel would compute at some leading indices what is needed there.
fn is_aligned(graph: &Graph, node: NodeId, context: &Context, axes: usize) -> bool {
    let own = outer_context(&graph.ty(node).shape, 0);
    (0..axes as u32).map(|axis| Some(Axis(axis))).all(|axis| {
        let place = own.iter().position(|own| *own == axis);
        place.is_some_and(|place| context[place] == axis)
    })
}

/// For each computed node whether it, or what it is computed from, is an elementary function.
fn functions(graph: &Graph, forms: &[Form]) -> Vec<bool> {
    let mut functions: Vec<bool> = Vec::with_capacity(graph.len());
    for id in graph.ids() {
        let below = || graph.node(id).operands().iter().any(|operand| functions[operand.index()]);
        let has = forms[id.index()] == Form::Inline && (own_cost(graph.node(id)) == Cost::Function || below());
        functions.push(has);
    }
    functions
}
