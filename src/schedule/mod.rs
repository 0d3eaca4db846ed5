//! Which nodes share a kernel, in what order kernels run, and where results live.
//!
//! The passes, each in its file: `form` says which nodes are windows into memory and which are computed; `host` finds
//! what the target cannot compute; `fuse` decides what is written to memory (the *roots*) and what is recomputed inside
//! the kernels that use it; `cut` writes more where a kernel would be too large; `group` puts roots of one iteration
//! space and level into one kernel, and `product` some of these behind a matrix product; `place` gives every root its
//! memory and lets dead memory be reused. The result is a [`Schedule`] over the graph's nodes. Nothing here knows
//! addresses, sizes or how kernels look inside; `lower` turns it into loops.
//!
//! Invariants: steps are in an order in which every read comes after the step that writes it; members of one
//! group depend on each other only element by element; every pass is linear in the graph.

mod cut;
mod form;
mod fuse;
mod group;
mod host;
mod piece;
mod place;
mod print;
mod product;
mod walk;

pub use form::{Form, View, ViewAxis};
pub use walk::{Context, Load, operand_context, outer_context, reduced_contexts};

#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId};
use crate::loops::Target;
use crate::shape::{Dim, Shape};

/// Where a materialised node lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// In an argument of the call, with whatever strides it has.
    Input(usize),
    /// In an array of the graph.
    Constant,
    /// Nowhere: a sequence or a size, made where it is used.
    Virtual,
    /// In a result of the call, contiguous.
    Output(usize),
    /// In memory of the call, contiguous.
    Slot(usize),
    /// Only in registers of its own kernel.
    Kernel,
}

/// Memory of the call that several nodes use one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The number of elements.
    pub count: Dim,
    /// The size of an element in bytes.
    pub element: usize,
}

/// What a kernel writes: the value of a node, to its place or to a further output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// The node.
    pub node: NodeId,
    /// The output that gets a copy; none for the node's own place.
    pub copy_to: Option<usize>,
}

/// The iteration space of a kernel, without sizes that are statically 1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Space {
    /// The axes of the results.
    pub outer: Shape,
    /// The axes that are reduced; none for a kernel without reductions.
    pub reduced: Option<Shape>,
}

/// The members of one kernel.
#[derive(Debug, Clone)]
pub struct Group {
    /// The iteration space.
    pub space: Space,
    /// Whether it runs on the host, since the target cannot compute it.
    pub on_host: bool,
    /// What it computes, operands before users.
    pub roots: Vec<Root>,
}

/// A step of the program.
#[derive(Debug, Clone)]
pub enum Step {
    /// One kernel.
    Kernel(Group),
    /// One part of a concatenation, written to its range of the result.
    ConcatPart {
        /// The concatenation.
        node: NodeId,
        /// Which part.
        part: usize,
    },
    /// A matrix product.
    MatMul {
        /// The product.
        node: NodeId,
        /// What takes its elements in place of memory; none where it is written.
        epilogue: Option<Group>,
    },
    /// A function of the host.
    Custom(NodeId),
}

/// The program over the graph's nodes.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// How each node is had.
    pub forms: Vec<Form>,
    /// Where each node lives; none if it is only computed inside kernels.
    pub places: Vec<Option<Place>>,
    /// The memory of the call.
    pub slots: Vec<Slot>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// Plans a graph for a target.
///
/// # Errors
/// `Unsupported` for nodes that have no compiled form, and for those that the target cannot compute.
pub fn schedule(graph: &Graph, target: &Target) -> Result<Schedule> {
    let live = graph.live();
    refuse_regions(graph, &live)?;
    let of_host = host::of_host(graph, &live, target)?;
    let (forms, mut materialized) = form::forms(graph, &live);
    host::separate(graph, &live, &forms, &of_host, &mut materialized);
    fuse::choose_roots(graph, &live, &forms, &mut materialized);
    cut::cut_large(graph, &live, &forms, target, &mut materialized);
    let steps = group::steps(graph, &live, &forms, &materialized, &of_host, target);
    let (places, slots) = place::places(graph, &forms, &materialized, &steps);
    Ok(Schedule { forms, places, slots, steps })
}

fn refuse_regions(graph: &Graph, live: &[bool]) -> Result<()> {
    for id in graph.ids().filter(|id| live[id.index()]) {
        if let Node::Iterate { .. } | Node::Project(..) | Node::Parameter(..) = graph.node(id) {
            return Err(Error::Unsupported(format!(
                "`{}` is evaluated by Device::Interpreter only; compile with that device",
                graph.node(id).name()
            )));
        }
    }
    Ok(())
}

/// The sizes that are not statically 1: those that make loops.
pub fn squeeze(shape: &[Dim]) -> Shape {
    shape.iter().filter(|dim| !dim.is_one()).cloned().collect()
}

impl Root {
    /// The space in which it is computed or copied.
    pub fn space(&self, graph: &Graph) -> Space {
        match self.copy_to {
            None => Space::of(graph, self.node),
            Some(_) => Space::map(&graph.ty(self.node).shape),
        }
    }
}

impl Group {
    /// The nodes that it writes to places of their own.
    pub fn own(&self) -> impl Iterator<Item = NodeId> {
        self.roots.iter().filter(|root| root.copy_to.is_none()).map(|root| root.node)
    }
}

impl Space {
    /// The space of a map over this shape.
    pub fn map(shape: &[Dim]) -> Space {
        Space { outer: squeeze(shape), reduced: None }
    }

    /// The space of a reduction over these axes of this shape.
    pub fn reduction(shape: &[Dim], axes: &[u32]) -> Space {
        let part = |reduced: bool| -> Shape {
            let axes = (0..shape.len()).filter(|&axis| axes.contains(&(axis as u32)) == reduced);
            axes.map(|axis| shape[axis].clone()).filter(|dim| !dim.is_one()).collect()
        };
        Space { outer: part(false), reduced: Some(part(true)) }
    }

    /// The space in which a node is computed.
    pub fn of(graph: &Graph, node: NodeId) -> Space {
        match graph.node(node) {
            Node::Reduce(_, axes, x) => Space::reduction(&graph.ty(*x).shape, axes),
            _ => Space::map(&graph.ty(node).shape),
        }
    }
}
