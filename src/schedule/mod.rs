//! Which nodes share a kernel, in what order kernels run, and where results live.
//!
//! The passes, each in its file: `form` says which nodes are windows into memory and which are computed; `host` finds
//! what the target cannot compute; `fuse` decides what is written to memory (the *roots*) and what is recomputed inside
//! the kernels that use it; `cut` writes more where a kernel would be too large; `group` puts roots of one iteration
//! space and level into one kernel, and `product` some of these behind a matrix product; `place` gives every root its
//! memory and lets dead memory be reused. Where the target can run steps for some rows at a time, `order` puts those
//! beside each other that are one row block (`rows`, of each step `part`), and `keep` lets these hand on functions. The result
//! is a [`Schedule`] over the graph's nodes. Nothing here knows addresses, sizes or how kernels look inside; `lower` turns it into loops.
//!
//! Invariants: steps are in an order in which every read comes after the step that writes it; members of one
//! group depend on each other only element by element; every pass is linear in the graph.

mod cost;
mod cut;
mod form;
mod fuse;
mod group;
mod host;
mod keep;
mod loops;
mod nest;
mod order;
mod part;
mod piece;
mod place;
mod print;
mod product;
mod rows;
mod walk;

pub use cost::Cost;
pub use form::{Form, View, ViewAxis};
use loops::Loops;
pub use loops::{LoopStep, NestStep};
pub use rows::RowBlock;
use walk::{Cone, Walk};
pub use walk::{Context, Load, operand_context, outer_context, reduced_contexts};

#[cfg(test)]
mod tests;

use crate::error::Result;
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
    /// A loop, step by step.
    Loop(Box<LoopStep>),
    /// A loop in one kernel.
    Nest(Box<NestStep>),
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
    /// Those that may run for some rows at a time, in order.
    pub blocks: Vec<RowBlock>,
}

/// Plans a graph for a target.
///
/// # Errors
/// `Unsupported` for nodes that have no compiled form, and for those that the target cannot compute.
pub fn schedule(graph: &Graph, target: &Target) -> Result<Schedule> {
    let mut live = graph.live();
    let loops = Loops::new(graph, &live, target)?;
    graph.ids().for_each(|id| live[id.index()] &= !loops.is_inside(id));
    let of_host = host::of_host(graph, &live, target)?;
    let (forms, mut materialized) = form::forms(graph, &live, &loops);
    host::separate(graph, &live, &forms, &of_host, &mut materialized);
    let planning =
        Planning { graph, target, live: &live, loops: &loops, of_host: &of_host, forms: &forms, materialized };
    let planned = planning.plan(&vec![false; graph.len()]);
    let planned = planning.keep(&planned).unwrap_or(planned);
    let Planned { materialized, steps, cones, mut blocks } = planned;
    let (places, slots) = place::places(graph, &materialized, &steps, &cones, &mut blocks);
    Ok(Schedule { forms, places, slots, steps, blocks })
}

/// What is known before it is decided what is written to memory.
struct Planning<'a> {
    graph: &'a Graph,
    target: &'a Target,
    live: &'a [bool],
    loops: &'a Loops,
    of_host: &'a [bool],
    forms: &'a [Form],
    /// What must be in memory.
    materialized: Vec<bool>,
}

/// Steps, each with what it touches.
struct Planned {
    materialized: Vec<bool>,
    steps: Vec<Step>,
    cones: Vec<Cone>,
    blocks: Vec<RowBlock>,
}

impl Planning<'_> {
    /// The steps if some nodes are kept that would rather be computed again.
    fn plan(&self, kept: &[bool]) -> Planned {
        let Planning { graph, target, live, loops, of_host, forms, .. } = *self;
        let mut materialized = self.materialized.clone();
        fuse::choose_roots(graph, live, forms, kept, &mut materialized);
        cut::cut_large(graph, live, forms, target, &mut materialized);
        let steps = group::steps(graph, live, loops, forms, &materialized, of_host, target);
        let cone = |step| {
            let mut walk = Walk::new(graph, forms, &materialized);
            walk.step(step);
            walk.finish()
        };
        let cones = steps.iter().map(cone).collect();
        let planned = Planned { materialized, steps, cones, blocks: Vec::new() };
        if target.runs_rows { planned.in_blocks(graph) } else { planned }
    }

    /// The steps if functions are handed on within blocks; none unless that needs no memory but a block's.
    fn keep(&self, planned: &Planned) -> Option<Planned> {
        let Planned { materialized, steps, blocks, .. } = planned;
        if blocks.is_empty() {
            return None;
        }
        let kept = keep::kept(self.graph, self.forms, materialized, steps, blocks);
        if !kept.contains(&true) {
            return None;
        }
        let other = self.plan(&kept);
        let local = rows::local(self.graph, &other.steps, &other.cones, &other.blocks);
        let is_new = |id: &NodeId| other.materialized[id.index()] && !materialized[id.index()];
        self.graph.ids().filter(is_new).all(|id| local.contains_key(&id)).then_some(other)
    }
}

impl Planned {
    /// The same in an order in which there are row blocks, if there are any.
    fn in_blocks(self, graph: &Graph) -> Planned {
        let order = order::order(graph, &self.steps, &self.cones);
        let steps: Vec<Step> = order.iter().map(|&index| self.steps[index].clone()).collect();
        let cones: Vec<Cone> = order.iter().map(|&index| self.cones[index].clone()).collect();
        match rows::blocks(graph, &steps, &cones) {
            blocks if blocks.is_empty() => self,
            blocks => Planned { steps, cones, blocks, ..self },
        }
    }
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

impl Step {
    /// The nodes that it writes to places of their own.
    fn written(&self) -> Vec<NodeId> {
        match self {
            Step::Kernel(group) => group.own().collect(),
            Step::MatMul { node, epilogue } => {
                std::iter::once(*node).chain(epilogue.iter().flat_map(|group| group.own())).collect()
            }
            Step::ConcatPart { node, .. } | Step::Custom(node) => vec![*node],
            Step::Loop(step) => step.results.iter().flatten().copied().collect(),
            Step::Nest(step) => step.results.iter().flatten().copied().collect(),
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
