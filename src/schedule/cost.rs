//! What a program costs: kernels, bytes that pass between them and memory, operations on elements. For reports.
//!
//! Open sizes are given one number, since the costs of two programs of one graph are compared, not predicted. Must not
//! know what an engine makes of a kernel.

use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::schedule::{Place, Schedule, Step, Walk};
use crate::shape::Dim;

/// The costs of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// How many nodes outputs need.
    pub nodes: usize,
    /// How many steps there are.
    pub kernels: usize,
    /// What kernels read and write, each array once for each kernel.
    pub bytes: u128,
    /// The bytes of intermediate values that are in memory at the same time, those of row blocks counted whole.
    pub memory: u128,
    /// Elements computed, of all nodes in all kernels; elements taken by reductions.
    pub operations: u128,
}

impl Schedule {
    /// The costs of a call whose open sizes all are this.
    ///
    /// # Errors
    /// `Internal` for a size that has no value then.
    pub fn cost(&self, graph: &Graph, size: i64) -> Result<Cost> {
        let nodes = graph.live().into_iter().filter(|&live| live).count();
        let mut cost = Cost { nodes, kernels: self.steps.len(), memory: self.memory(size)?, ..Cost::default() };
        let materialized: Vec<bool> = self.places.iter().map(Option::is_some).collect();
        for step in &self.steps {
            let roots = roots_of(step);
            let mut walk = Walk::new(graph, &self.forms, &materialized);
            walk.step(step);
            let computed: Vec<NodeId> = walk.computed().map(|(node, _)| *node).collect();
            for &node in &computed {
                cost.operations += elements(graph, node, size)?;
            }
            for &root in &roots {
                let operand = graph.node(root).operands().first().map(|operand| **operand);
                let reduced = matches!(graph.node(root), crate::graph::Node::Reduce(..));
                cost.operations += elements(graph, operand.filter(|_| reduced).unwrap_or(root), size)?;
            }
            let read = walk.finish().sources().into_iter().filter(|source| !roots.contains(source));
            let touched = read.chain(roots.iter().copied());
            for node in touched.filter(|node| self.places[node.index()] != Some(Place::Kernel)) {
                cost.bytes += elements(graph, node, size)? * graph.ty(node).dtype.size() as u128;
            }
        }
        Ok(cost)
    }

    /// The bytes of all slots, and of those of the largest body of a loop.
    fn memory(&self, size: i64) -> Result<u128> {
        let slots = self.slots.iter().map(|slot| Ok(count([&slot.count], size)?.saturating_mul(slot.element as u128)));
        let own = slots.sum::<Result<u128>>()?;
        let mut largest = 0;
        for step in &self.steps {
            if let Step::Loop(step) = step {
                largest = step.schedule.memory(size)?.max(largest);
            }
        }
        Ok(own + largest)
    }
}

/// What a step writes.
fn roots_of(step: &Step) -> Vec<NodeId> {
    match step {
        Step::Kernel(group) => group.roots.iter().map(|root| root.node).collect(),
        Step::Loop(_) | Step::Nest(_) => step.written(),
        Step::MatMul { epilogue: Some(group), .. } => group.roots.iter().map(|root| root.node).collect(),
        Step::MatMul { node, epilogue: None } | Step::ConcatPart { node, .. } | Step::Custom(node) => vec![*node],
    }
}

fn elements(graph: &Graph, node: NodeId, size: i64) -> Result<u128> {
    count(&graph.ty(node).shape, size)
}

fn count<'a>(sizes: impl IntoIterator<Item = &'a Dim>, size: i64) -> Result<u128> {
    sizes.into_iter().try_fold(1_u128, |count, dim| {
        let length = dim.substitute(&|_| Dim::from(size)).constant();
        let length =
            length.ok_or_else(|| Error::Internal("a size has no value where all symbols have one".to_string()))?;
        Ok(count.saturating_mul(u128::try_from(length).unwrap_or(0)))
    })
}
