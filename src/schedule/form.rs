//! How each node is had: a constant, a window into memory, or a computation.
//!
//! A [`View`] is a node seen as a strided window into another node that is in memory. Permutations, slices,
//! broadcasts and reshapes of memory are views and cost nothing; of computed nodes, permutations, broadcasts and
//! changes of static-1 axes are folded into the index maps of the kernel, while a slice or a true reshape forces
//! its operand into memory.

use smallvec::{SmallVec, smallvec};

use crate::dtype::Scalar;
use crate::graph::{Graph, Node, NodeId, SliceRange};
use crate::schedule::loops::Loops;
use crate::schedule::nest::is_made_of_constants;
use crate::schedule::{Step, squeeze};
use crate::shape::{Dim, Shape};

/// An axis of a view: along which axis of its source, in what steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ViewAxis {
    /// The axis of the source.
    pub axis: u32,
    /// The step in elements of that axis.
    pub step: i64,
}

/// A window into a node that is in memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct View {
    /// The node in memory.
    pub source: NodeId,
    /// The shape as which the source is read.
    pub shape: Shape,
    /// Whether that is another shape than its own, so that it must be contiguous.
    pub reshaped: bool,
    /// For each axis of the view where it walks; none for an axis that repeats.
    pub axes: SmallVec<[Option<ViewAxis>; 3]>,
    /// Where the window starts, for axes that do not start at zero.
    pub starts: SmallVec<[(u32, Dim); 1]>,
    /// What is to be there before it is read.
    pub after: SmallVec<[NodeId; 1]>,
}

/// How a node is had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A constant of rank 0.
    Constant(Scalar),
    /// A window into memory.
    View(View),
    /// Computed from its operands, element by element.
    Inline,
}

impl View {
    /// The whole of a node.
    pub fn whole(source: NodeId, shape: &Shape) -> View {
        let axes = (0..shape.len() as u32).map(|axis| Some(ViewAxis { axis, step: 1 })).collect();
        let (starts, after) = Default::default();
        View { source, shape: shape.clone(), reshaped: false, axes, starts, after }
    }

    /// Whether it walks along all axes of the source in order, from the first element on.
    fn is_whole(&self) -> bool {
        self.starts.is_empty()
            && self.axes.len() == self.shape.len()
            && (0_u32..).zip(&self.axes).all(|(axis, view)| *view == Some(ViewAxis { axis, step: 1 }))
    }

    fn permuted(&self, order: &[u32]) -> View {
        View { axes: order.iter().map(|&axis| self.axes[axis as usize]).collect(), ..self.clone() }
    }

    /// Repeated from `from` to the shape `to`, aligned at the last axis.
    fn broadcast(&self, from: &[Dim], to: &[Dim]) -> View {
        let missing = to.len() - from.len();
        let axis = |index: usize| {
            let own = index.checked_sub(missing)?;
            if from[own].is_one() && !to[index].is_one() { None } else { self.axes[own] }
        };
        View { axes: (0..to.len()).map(axis).collect(), ..self.clone() }
    }

    /// The same, not before a node is there.
    fn waiting(&self, after: NodeId) -> View {
        let mut view = self.clone();
        view.after.push(after);
        view
    }

    fn sliced(&self, ranges: &[SliceRange]) -> View {
        let mut view = self.clone();
        for (axis, range) in view.axes.iter_mut().zip(ranges) {
            let Some(ViewAxis { axis, step }) = axis else { continue };
            let start = range.start.scale(*step);
            // Where a product of steps leaves i64 there is at most one element, and the step is not taken.
            *step = step.wrapping_mul(range.step);
            if start != Dim::ZERO {
                match view.starts.iter_mut().find(|(other, _)| other == axis) {
                    Some((_, dim)) => *dim = dim.add(&start),
                    None => view.starts.push((*axis, start)),
                }
            }
        }
        view
    }

    /// With static-1 axes added and dropped.
    fn respaced(&self, from: &[Dim], to: &[Dim]) -> View {
        let mut own = from.iter().zip(&self.axes).filter(|(dim, _)| !dim.is_one()).map(|(_, axis)| *axis);
        let axes = to.iter().map(|dim| if dim.is_one() { None } else { own.next().flatten() }).collect();
        View { axes, ..self.clone() }
    }
}

/// Whether two shapes differ only in sizes that are statically 1.
pub fn differ_in_ones(from: &[Dim], to: &[Dim]) -> bool {
    squeeze(from) == squeeze(to)
}

/// The form of every live node, and which nodes must be in memory for that.
pub fn forms(graph: &Graph, live: &[bool], loops: &Loops) -> (Vec<Form>, Vec<bool>) {
    let mut table =
        Table { graph, loops, forms: Vec::with_capacity(graph.len()), materialized: vec![false; graph.len()] };
    for id in graph.ids() {
        let form = if live[id.index()] { table.form(id) } else { Form::Inline };
        table.forms.push(form);
    }
    (table.forms, table.materialized)
}

struct Table<'a> {
    graph: &'a Graph,
    loops: &'a Loops,
    forms: Vec<Form>,
    materialized: Vec<bool>,
}

impl Table<'_> {
    fn form(&mut self, id: NodeId) -> Form {
        let graph = self.graph;
        let shape = &graph.ty(id).shape;
        match graph.node(id) {
            Node::Scalar(value) => Form::Constant(*value),
            Node::Input(_) | Node::Dense(_) | Node::Iota(_) | Node::Size(_) | Node::Parameter(..) => self.whole(id),
            Node::Unary(..) | Node::Binary(..) | Node::Ternary(..) | Node::Cast(..) => Form::Inline,
            Node::Reduce(..) | Node::Concat(..) => self.memory(id),
            Node::MatMul(operands) => {
                operands.iter().for_each(|&operand| self.force_memory(operand));
                self.memory(id)
            }
            Node::Custom(_, operands) => {
                operands.iter().for_each(|&operand| self.force_memory(operand));
                self.memory(id)
            }
            Node::Loop(_) => {
                match self.loops.step(id) {
                    Some(Step::Loop(step)) => step.reads(graph).for_each(|read| self.force_memory(read)),
                    Some(Step::Nest(step)) => {
                        step.sequences(graph).into_iter().for_each(|sequence| self.force(sequence));
                        for element in step.elements(graph) {
                            if !is_made_of_constants(graph, &self.forms, element) {
                                self.force(element);
                            }
                        }
                    }
                    _ => {}
                }
                self.whole(id)
            }
            Node::Project(..) => self.memory(id),
            Node::Barrier([x, after]) => {
                if let Form::Constant(value) = self.forms[x.index()] {
                    return Form::Constant(value);
                }
                self.force(*x);
                self.map_view(*x, |view| view.waiting(*after))
            }
            Node::Permute(order, x) => self.map_view(*x, |view| view.permuted(order)),
            Node::Broadcast(to, x) => self.map_view(*x, |view| view.broadcast(&graph.ty(*x).shape, to)),
            Node::Slice(ranges, x) => {
                self.force(*x);
                self.map_view(*x, |view| view.sliced(ranges))
            }
            Node::Reshape(to, x) if differ_in_ones(&graph.ty(*x).shape, to) => {
                self.map_view(*x, |view| view.respaced(&graph.ty(*x).shape, to))
            }
            Node::Reshape(_, x) => self.reshaped(*x, shape),
        }
    }

    fn whole(&self, id: NodeId) -> Form {
        Form::View(View::whole(id, &self.graph.ty(id).shape))
    }

    fn memory(&mut self, id: NodeId) -> Form {
        self.materialized[id.index()] = true;
        self.whole(id)
    }

    /// Sees to it that a node is a view.
    fn force(&mut self, id: NodeId) {
        if !matches!(self.forms[id.index()], Form::View(_)) {
            self.materialized[id.index()] = true;
        }
    }

    /// Sees to it that a node is a view of true memory.
    fn force_memory(&mut self, id: NodeId) {
        match &self.forms[id.index()] {
            Form::View(view) if self.is_linear(view.source) => {}
            Form::View(_) | Form::Constant(_) | Form::Inline => self.materialized[id.index()] = true,
        }
    }

    /// The view of a node that was forced, or has one.
    fn view(&self, id: NodeId) -> Option<View> {
        match &self.forms[id.index()] {
            Form::View(view) => Some(view.clone()),
            _ if self.materialized[id.index()] => Some(View::whole(id, &self.graph.ty(id).shape)),
            Form::Constant(_) | Form::Inline => None,
        }
    }

    fn map_view(&self, operand: NodeId, map: impl FnOnce(&View) -> View) -> Form {
        self.view(operand).map_or(Form::Inline, |view| Form::View(map(&view)))
    }

    /// A true reshape: of contiguous memory it is free, else its operand is copied to memory first.
    fn reshaped(&mut self, operand: NodeId, shape: &Shape) -> Form {
        // A slice that only ends earlier walks like the whole; the sizes tell.
        let all = |view: &View| view.is_whole() && view.shape == self.graph.ty(operand).shape;
        let contiguous = self.view(operand).filter(|view| all(view) && self.is_linear(view.source));
        let (source, after) = contiguous.map_or_else(
            || {
                self.materialized[operand.index()] = true;
                (operand, smallvec![])
            },
            |view| (view.source, view.after),
        );
        let axes = (0..shape.len() as u32).map(|axis| Some(ViewAxis { axis, step: 1 })).collect();
        Form::View(View { source, shape: shape.clone(), reshaped: true, axes, starts: smallvec![], after })
    }

    /// Whether the elements of a source can be read in order as another shape.
    fn is_linear(&self, source: NodeId) -> bool {
        // A sequence has one axis and no memory; reshaped it must be written out.
        !matches!(self.graph.node(source), Node::Iota(_) | Node::Size(_))
    }
}
