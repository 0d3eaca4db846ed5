//! Index maps: which loop of a kernel walks along which axis of a node inside it.
//!
//! A [`Context`] gives for each axis of a node the kernel's axis that indexes it, or none where the node is
//! repeated. Starting from a root, contexts are handed down to operands through broadcasts, permutations and
//! static-1 axes.

use indexmap::IndexSet;
use rustc_hash::{FxBuildHasher, FxHashSet};
use smallvec::SmallVec;

use crate::graph::{Graph, Node, NodeId};
use crate::loops::Axis;
use crate::schedule::form::{Form, View, ViewAxis};
use crate::schedule::{Root, Step};
use crate::shape::{Dim, Shape};

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

/// A window into memory as a kernel walks it. Equal ones are one operand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Load {
    /// The node in memory.
    pub source: NodeId,
    /// The shape as which it is read.
    pub shape: Shape,
    /// Whether that is another shape than its own.
    pub reshaped: bool,
    /// Where the window starts, for axes that do not start at zero.
    pub starts: SmallVec<[(u32, Dim); 1]>,
    /// The axes of the kernel that move, in order, each with what it walks along.
    pub walks: SmallVec<[(Axis, ViewAxis); 3]>,
}

impl Load {
    /// A view in a context.
    pub fn new(view: &View, context: &Context) -> Load {
        let walk = |(axis, kernel): (&Option<ViewAxis>, &Option<Axis>)| Some(((*kernel)?, (*axis)?));
        let mut walks: SmallVec<[(Axis, ViewAxis); 3]> = view.axes.iter().zip(context).filter_map(walk).collect();
        walks.sort_unstable_by_key(|(kernel, axis)| (*kernel, axis.axis));
        let View { source, shape, reshaped, starts, .. } = view.clone();
        Load { source, shape, reshaped, starts, walks }
    }

    /// Whether, at each point of the space, the element is the one that the source's own kernel makes there.
    pub fn is_elementwise(&self, graph: &Graph) -> bool {
        // The axes of a reshaped window are not those of its source.
        if self.reshaped || !self.starts.is_empty() {
            return false;
        }
        let own = outer_context(&graph.ty(self.source).shape, 0);
        let direct = |&(kernel, axis): &(Axis, ViewAxis)| axis.step == 1 && own[axis.axis as usize] == Some(kernel);
        self.walks.iter().all(direct) && self.walks.len() == own.iter().flatten().count()
    }

    /// How many of the kernel's leading axes walk along the source as the source's own kernel does, so that at each
    /// index of these it reads only what that kernel makes there.
    pub fn leading_axes(&self, graph: &Graph) -> usize {
        if self.reshaped {
            return 0;
        }
        let own = outer_context(&graph.ty(self.source).shape, 0);
        let walks_alone = |kernel: Axis| {
            let Some(place) = own.iter().position(|axis| *axis == Some(kernel)) else { return false };
            let place = place as u32;
            let mut walks = self.walks.iter().filter(|(axis, along)| *axis == kernel || along.axis == place);
            let only = walks.next().is_some_and(|walk| *walk == (kernel, ViewAxis { axis: place, step: 1 }));
            only && walks.next().is_none() && self.starts.iter().all(|(axis, _)| *axis != place)
        };
        (0..).take_while(|&axis| walks_alone(Axis(axis))).count()
    }
}

impl Load {
    /// Whether all of it at an index of so many leading axes of the kernel lies together in its source, seen from
    /// afar: no other axis walks along an axis of the source that is further out.
    pub fn is_by_rows(&self, axes: usize) -> bool {
        let along = |leading: bool| {
            let walks = self.walks.iter().filter(move |(kernel, _)| ((kernel.0 as usize) < axes) == leading);
            walks.map(|(_, along)| along.axis)
        };
        along(true).max().is_none_or(|rows| along(false).all(|inner| inner > rows))
    }
}

/// What a kernel touches to compute something.
#[derive(Debug, Clone, Default)]
pub struct Cone {
    /// How many nodes are computed, counted once for each context.
    pub statements: usize,
    /// The memory that is read; sequences and sizes that are made where they are used are none.
    pub loads: IndexSet<Load, FxBuildHasher>,
    /// What is in memory before any of it is computed, though it may not be read.
    pub after: FxHashSet<NodeId>,
}

impl Cone {
    /// The nodes in memory that are read, each once.
    pub fn sources(&self) -> SmallVec<[NodeId; 8]> {
        let mut sources: SmallVec<[NodeId; 8]> = self.loads.iter().map(|load| load.source).collect();
        sources.sort_unstable();
        sources.dedup();
        sources
    }
}

/// Walks everything that kernels compute for nodes.
pub struct Walk<'a> {
    graph: &'a Graph,
    forms: &'a [Form],
    materialized: &'a [bool],
    seen: FxHashSet<(NodeId, Context)>,
    /// The nodes that something waits for.
    awaited: FxHashSet<NodeId>,
    cone: Cone,
}

impl<'a> Walk<'a> {
    /// An empty walk.
    pub fn new(graph: &'a Graph, forms: &'a [Form], materialized: &'a [bool]) -> Walk<'a> {
        Walk {
            graph,
            forms,
            materialized,
            seen: Default::default(),
            awaited: Default::default(),
            cone: Cone::default(),
        }
    }

    /// What was found.
    pub fn finish(self) -> Cone {
        self.cone
    }

    /// The nodes that are computed inside kernels, each with its contexts.
    pub fn computed(&self) -> impl Iterator<Item = &(NodeId, Context)> {
        let is_computed = |id: NodeId| self.forms[id.index()] == Form::Inline && !self.materialized[id.index()];
        self.seen.iter().filter(move |(node, _)| is_computed(*node))
    }

    /// What a step touches.
    pub fn step(&mut self, step: &Step) {
        match step {
            Step::Kernel(group) => group.roots.iter().for_each(|root| self.write(*root)),
            Step::ConcatPart { node, part } => self.whole(*self.graph.node(*node).operands()[*part]),
            Step::MatMul { node, epilogue } => {
                self.graph.node(*node).for_each_operand(|&operand| self.whole(operand));
                epilogue.iter().flat_map(|group| &group.roots).for_each(|root| self.write(*root));
            }
            Step::Custom(node) => self.graph.node(*node).for_each_operand(|&operand| self.whole(operand)),
            Step::Loop(step) => step.reads(self.graph).for_each(|read| self.whole(read)),
            Step::Nest(step) => {
                let (elements, sequences) = (step.elements(self.graph), step.sequences(self.graph));
                elements.into_iter().chain(sequences).for_each(|read| self.whole(read));
            }
        }
    }

    /// What is computed to write a root where it goes.
    pub fn write(&mut self, root: Root) {
        match root.copy_to {
            None => self.root(root.node),
            Some(_) => self.whole(root.node),
        }
    }

    /// The computation of a root: its operands, however the root itself is had.
    pub fn root(&mut self, node: NodeId) {
        let shape = &self.graph.ty(node).shape;
        match (self.graph.node(node), &self.forms[node.index()]) {
            (Node::Reduce(_, axes, x), _) => {
                self.cone.statements += 1;
                self.visit(*x, &reduced_contexts(&self.graph.ty(*x).shape, axes));
            }
            (_, Form::Inline) => self.expand(node, &outer_context(shape, 0)),
            (_, Form::Constant(_)) => self.cone.statements += 1,
            // A sequence that is written out is made from nothing.
            (_, Form::View(view)) if view.source == node => {}
            (_, Form::View(view)) => self.load(view, &outer_context(shape, 0)),
        }
    }

    /// A value that is needed at every index of its shape.
    fn whole(&mut self, node: NodeId) {
        self.visit(node, &outer_context(&self.graph.ty(node).shape, 0));
    }

    /// A value that is needed in a context.
    fn visit(&mut self, node: NodeId, context: &Context) {
        if !self.seen.insert((node, context.clone())) {
            return;
        }
        match &self.forms[node.index()] {
            _ if self.materialized[node.index()] => {
                self.load(&View::whole(node, &self.graph.ty(node).shape), context);
            }
            Form::Constant(_) => self.cone.statements += 1,
            Form::View(view) => self.load(view, context),
            Form::Inline => self.expand(node, context),
        }
    }

    fn load(&mut self, view: &View, context: &Context) {
        let is_virtual = matches!(self.graph.node(view.source), Node::Iota(_) | Node::Size(_));
        if !is_virtual || self.materialized[view.source.index()] {
            self.cone.loads.insert(Load::new(view, context));
        }
        view.after.iter().for_each(|&after| self.wait(after));
    }

    /// Notes the memory that a node is in, or is computed from.
    fn wait(&mut self, node: NodeId) {
        let mut pending = vec![node];
        while let Some(node) = pending.pop() {
            if !self.awaited.insert(node) {
                continue;
            }
            match &self.forms[node.index()] {
                _ if self.materialized[node.index()] => {
                    self.cone.after.insert(node);
                }
                Form::View(view) if view.source != node => pending.push(view.source),
                Form::View(_) | Form::Constant(_) => {}
                Form::Inline => pending.extend(self.graph.node(node).operands().into_iter().copied()),
            }
        }
    }

    fn expand(&mut self, node: NodeId, context: &Context) {
        self.cone.statements += 1;
        for &operand in self.graph.node(node).operands() {
            self.visit(operand, &operand_context(self.graph, node, operand, context));
        }
    }
}
