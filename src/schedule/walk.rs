//! Index maps: which loop of a kernel walks along which axis of a node inside it.
//!
//! A [`Context`] gives for each axis of a node the kernel's axis that indexes it, or none where the node is
//! repeated. Starting from a root, contexts are handed down to operands through broadcasts, permutations and
//! static-1 axes.

use smallvec::SmallVec;

use crate::graph::{Graph, Node, NodeId};
use crate::loops::Axis;
use crate::schedule::Form;
use crate::schedule::form::View;
use crate::shape::Dim;

/// The kernel axis of each axis of a node.
pub type Context = SmallVec<[Option<Axis>; 4]>;

/// Numbers the axes of a shape that make loops, from `first` on.
pub fn outer_context(shape: &[Dim], first: u32) -> Context {
    let mut next = first;
    let number = |dim: &Dim| {
        (!dim.is_one()).then(|| {
            next += 1;
            Axis(next - 1)
        })
    };
    shape.iter().map(number).collect()
}

/// The context of the operand of a reduction: kept axes first, then the reduced ones.
pub fn reduced_contexts(shape: &[Dim], axes: &[u32]) -> Context {
    let is_loop = |&axis: &usize| !shape[axis].is_one();
    let reduced = |axis: usize| axes.contains(&(axis as u32));
    let order = (0..shape.len()).filter(|&axis| !reduced(axis)).chain((0..shape.len()).filter(|&axis| reduced(axis)));
    let mut context: Context = SmallVec::from_elem(None, shape.len());
    for (number, axis) in (0..).zip(order.filter(is_loop)) {
        context[axis] = Some(Axis(number));
    }
    context
}

/// The context of an operand of a computed node in the node's own context.
pub fn operand_context(graph: &Graph, node: NodeId, operand: NodeId, context: &Context) -> Context {
    let shape = &graph.ty(node).shape;
    let from = &graph.ty(operand).shape;
    match graph.node(node) {
        Node::Permute(order, _) => {
            let mut inverse: Context = SmallVec::from_elem(None, from.len());
            for (&axis, place) in order.iter().zip(context) {
                inverse[axis as usize] = *place;
            }
            inverse
        }
        Node::Reshape(..) => {
            let mut loops = shape.iter().zip(context).filter(|(dim, _)| !dim.is_one()).map(|(_, axis)| *axis);
            from.iter().map(|dim| if dim.is_one() { None } else { loops.next().flatten() }).collect()
        }
        _ => {
            let missing = shape.len() - from.len();
            from.iter().zip(&context[missing..]).map(|(dim, axis)| if dim.is_one() { None } else { *axis }).collect()
        }
    }
}

/// What a kernel touches to compute something.
#[derive(Debug, Default)]
pub struct Cone {
    /// The computed nodes, each with its context.
    pub statements: usize,
    /// The windows that are loaded, each with its context.
    pub loads: Vec<(View, Context)>,
}

/// Walks everything that a kernel computes for a node. `expand` says of a node in memory whether it is computed
/// here all the same (the roots themselves).
pub struct Walk<'a> {
    graph: &'a Graph,
    forms: &'a [Form],
    materialized: &'a [bool],
    seen: rustc_hash::FxHashSet<(NodeId, Context)>,
    cone: Cone,
}

impl<'a> Walk<'a> {
    /// An empty walk.
    pub fn new(graph: &'a Graph, forms: &'a [Form], materialized: &'a [bool]) -> Walk<'a> {
        Walk { graph, forms, materialized, seen: Default::default(), cone: Cone::default() }
    }

    /// What was found.
    pub fn finish(self) -> Cone {
        self.cone
    }

    /// The computation of a root: its operands, however the root itself is had.
    pub fn root(&mut self, node: NodeId, context: &Context) {
        match (self.graph.node(node), &self.forms[node.index()]) {
            (Node::Reduce(_, axes, x), _) => {
                self.cone.statements += 1;
                self.visit(*x, &reduced_contexts(&self.graph.ty(*x).shape, axes));
            }
            (_, Form::Inline) => self.expand(node, context),
            (_, Form::Constant(_)) => self.cone.statements += 1,
            (_, Form::View(view)) => self.cone.loads.push((view.clone(), context.clone())),
        }
    }

    /// A value that is needed in a context.
    pub fn visit(&mut self, node: NodeId, context: &Context) {
        if !self.seen.insert((node, context.clone())) {
            return;
        }
        match &self.forms[node.index()] {
            _ if self.materialized[node.index()] => {
                let view = View::whole(node, &self.graph.ty(node).shape);
                self.cone.loads.push((view, context.clone()));
            }
            Form::Constant(_) => self.cone.statements += 1,
            Form::View(view) => self.cone.loads.push((view.clone(), context.clone())),
            Form::Inline => self.expand(node, context),
        }
    }

    fn expand(&mut self, node: NodeId, context: &Context) {
        self.cone.statements += 1;
        for &operand in self.graph.node(node).operands() {
            self.visit(operand, &operand_context(self.graph, node, operand, context));
        }
    }
}
