//! What a target cannot compute: what has no axes goes to the host, the rest is refused.
//!
//! A device without f64 still serves `4.0 * hits / n`: the count is made on the device, the tail on the host. Kernels
//! of the host and of the device share nothing, so wherever values pass from one to the other they are written.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId, Type, describe};
use crate::loops::Target;
use crate::schedule::form::{Form, View};
use crate::schedule::squeeze;

/// For each node whether it is the host's: it needs a dtype that the target does not compute with, and no loop.
///
/// # Errors
/// `Unsupported` if a node needs such a dtype and a loop.
pub fn of_host(graph: &Graph, live: &[bool], target: &Target) -> Result<Vec<bool>> {
    let mut of_host = vec![false; graph.len()];
    let mut refused = Vec::new();
    for id in graph.ids().filter(|id| live[id.index()]) {
        if let Some((ty, feature)) = missing(graph, id, target) {
            of_host[id.index()] = true;
            refused.extend(needs_loop(graph, id).then_some((id, ty, feature)));
        }
    }
    // A conversion that an op of mixed dtypes came with is not what the user wrote.
    let is_cast = |id: NodeId| matches!(graph.node(id), Node::Cast(..));
    match refused.iter().find(|(id, ..)| !is_cast(*id)).or(refused.first()) {
        None => Ok(of_host),
        Some((id, ty, feature)) => Err(refusal(graph, *id, ty, feature)),
    }
}

/// A type of a node or its operands that the target does not compute with, and the feature that it lacks.
fn missing<'a>(graph: &'a Graph, id: NodeId, target: &Target) -> Option<(&'a Type, &'static str)> {
    let operands = graph.node(id).read_operands();
    let mut types = std::iter::once(graph.ty(id)).chain(operands.into_iter().map(|&operand| graph.ty(operand)));
    types.find_map(|ty| Some((ty, target.missing_feature(ty.dtype)?)))
}

fn needs_loop(graph: &Graph, id: NodeId) -> bool {
    match graph.node(id) {
        Node::Reduce(..) | Node::Concat(..) | Node::MatMul(_) | Node::Loop(_) | Node::Project(..) => true,
        Node::Input(_)
        | Node::Parameter(..)
        | Node::Scalar(_)
        | Node::Dense(_)
        | Node::Iota(_)
        | Node::Size(_)
        | Node::Unary(..)
        | Node::Binary(..)
        | Node::Ternary(..)
        | Node::Cast(..)
        | Node::Permute(..)
        | Node::Reshape(..)
        | Node::Broadcast(..)
        | Node::Slice(..)
        | Node::Barrier(_)
        | Node::Custom(..) => !is_single(graph, id),
    }
}

/// Whether there is one element, whatever the sizes of a call are.
fn is_single(graph: &Graph, id: NodeId) -> bool {
    squeeze(&graph.ty(id).shape).is_empty()
}

fn refusal(graph: &Graph, id: NodeId, ty: &Type, feature: &str) -> Error {
    let (dtype, spelled) = (ty.dtype, describe(ty));
    let culprit = match graph.node(id) {
        Node::Input(input) => format!("the input `{}` is {spelled}", input.name),
        Node::Dense(_) => format!("a constant is {spelled}"),
        // Its result may have no axes: what it runs over is what the host cannot do.
        Node::Reduce(_, _, x) if graph.ty(*x).dtype == dtype => {
            format!("`{}` takes {}", graph.node(id).name(), describe(graph.ty(*x)))
        }
        other if graph.ty(id) == ty => format!("`{}` makes {spelled}", other.name()),
        other => format!("`{}` takes {spelled}", other.name()),
    };
    let place = graph.origin(id).map(|origin| format!("\n  in the expression built at {origin}"));
    Error::Unsupported(format!(
        "{culprit}, but this device has no {dtype} ({feature}) and only values without axes can be left to the host; \
         compute in f32 (`cast::<f32>()`), or compile for Device::Cpu or Device::Auto{}",
        place.unwrap_or_default()
    ))
}

/// Adds to `materialized` what passes between the host and the device.
pub fn separate(graph: &Graph, live: &[bool], forms: &[Form], of_host: &[bool], materialized: &mut [bool]) {
    if !of_host.contains(&true) {
        return;
    }
    // What the host may compute itself, since it reads single elements only.
    let mut at_hand = vec![false; graph.len()];
    for id in graph.ids().filter(|id| live[id.index()]) {
        at_hand[id.index()] = is_single(graph, id)
            && match &forms[id.index()] {
                Form::Constant(_) => true,
                Form::View(view) => is_readable(graph, view, materialized),
                Form::Inline => {
                    of_host[id.index()] || graph.node(id).read_operands().iter().all(|operand| at_hand[operand.index()])
                }
            };
        for &&operand in &graph.node(id).read_operands() {
            let (index, hosted) = (operand.index(), of_host[operand.index()]);
            let passes = if of_host[id.index()] { !hosted && !at_hand[index] } else { hosted };
            materialized[index] |= passes && !matches!(forms[index], Form::View(_) if hosted);
        }
    }
}

/// Whether a view is of a single element in memory, or of a sequence that is made where it is used.
fn is_readable(graph: &Graph, view: &View, materialized: &[bool]) -> bool {
    let is_virtual = matches!(graph.node(view.source), Node::Iota(_)) && !materialized[view.source.index()];
    is_virtual || is_single(graph, view.source)
}
