//! Loops that are run step by step: windows on what they read and write, and the plan of a step.

use crate::error::{Error, Result};
use crate::graph::{Node, NodeId};
use crate::loops::Kernel;
use crate::lower::plan::{LoopHead, LoopStep, Steps, Window};
use crate::lower::{Lowering, lower};
use crate::schedule;
use crate::shape::{Dim, Shape};

/// The step of a loop.
pub fn step(lowering: &mut Lowering<'_>, step: &schedule::LoopStep, name: &str) -> Result<LoopStep<Kernel>> {
    let graph = lowering.graph;
    let Node::Loop(node) = graph.node(step.node) else {
        return Err(Error::Internal(format!("%{} is no loop", step.node.0)));
    };
    let mut windows = |nodes: &[NodeId]| nodes.iter().map(|&node| whole(lowering, node)).collect::<Result<Vec<_>>>();
    let states: Vec<NodeId> = step.states.iter().map(|&state| node.initial[state]).collect();
    let (initial, sequences, captured) = (windows(&states)?, windows(&node.sequences)?, windows(&step.captured)?);
    let others = &step.results[node.initial.len()..];
    let results = step.states.iter().map(|&state| &step.results[state]).chain(others);
    let results = results.map(|result| result.map(|node| lowering.result_window(node)).transpose());
    let results = results.collect::<Result<_>>()?;
    let emitted = node.emitted().iter().map(|&row| (graph.ty(row).dtype, graph.ty(row).shape.clone())).collect();
    let steps = match (node.count, node.sequences.first()) {
        (Some(count), _) => match graph.node(count) {
            Node::Size(size) => Steps::Known(size.clone()),
            Node::Scalar(value) => Steps::Known(Dim::from(value.to_i64().unwrap_or(0))),
            _ => Steps::Computed(lowering.whole_window(count)?),
        },
        (None, Some(&sequence)) => Steps::Known(graph.ty(sequence).shape[0].clone()),
        (None, None) => Steps::Unbounded,
    };
    let body = lower(&step.body, &step.schedule, name)?;
    let takes_index = node.index_parameter().is_some();
    let (guarded, masked) = (node.guarded, step.masked);
    let head = LoopHead { steps, guarded, masked, takes_index, captured, initial, sequences, emitted, results };
    Ok(LoopStep { head, body })
}

fn whole(lowering: &mut Lowering<'_>, node: NodeId) -> Result<(Window, Shape)> {
    Ok((lowering.whole_window(node)?, lowering.graph.ty(node).shape.clone()))
}
