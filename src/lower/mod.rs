//! The only bridge from graphs to loops: a schedule becomes kernels and windows.
//!
//! Broadcasts, permutations and static-1 axes become index maps, slices become starts and steps, reductions
//! become rows of the op table written out as blocks. The result holds no graph.

mod block;
mod kernel;
mod looping;
mod nest;
pub mod plan;
pub mod verify;

#[cfg(test)]
mod tests;

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

pub use plan::Plan;
use plan::{AxisWalk, CustomStep, Epilogue, MatMulStep, Source, Step, Window};

use crate::array::Array;
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId};
use crate::loops::{Axis, Kernel};
use crate::schedule::{self, Context, Form, Load, Place, Schedule, View};
use crate::shape::{Dim, Shape};

/// Lowers a scheduled graph.
///
/// # Errors
/// `Internal` if the schedule does not fit the graph.
pub fn lower(graph: &Graph, schedule: &Schedule, name: &str) -> Result<Plan<Kernel>> {
    let mut lowering = Lowering {
        graph,
        schedule,
        constants: Vec::new(),
        constant_of: Default::default(),
        concat_starts: Default::default(),
    };
    let closing: FxHashSet<usize> = schedule.blocks.iter().flat_map(|block| block.closing.iter().copied()).collect();
    let mut steps = Vec::with_capacity(schedule.steps.len());
    for (index, step) in schedule.steps.iter().enumerate() {
        let name = format!("{name}_{index}");
        steps.push(match step {
            schedule::Step::Kernel(group) => Step::Kernel(kernel::group(&mut lowering, group, name)?),
            schedule::Step::ConcatPart { node, part } => {
                Step::Kernel(kernel::concat_part(&mut lowering, *node, *part, name)?)
            }
            schedule::Step::MatMul { node, epilogue } => {
                let epilogue = epilogue.as_ref().map(|group| kernel::epilogue(&mut lowering, group, name));
                let closes = closing.contains(&index);
                Step::MatMul(Box::new(MatMulStep { closes, ..lowering.matmul(*node, epilogue.transpose()?)? }))
            }
            schedule::Step::Nest(step) => Step::Kernel(nest::kernel(&mut lowering, step, name)?),
            schedule::Step::Loop(step) => Step::Loop(Box::new(looping::step(&mut lowering, step, &name)?)),
            schedule::Step::Custom(node) => Step::Custom(Box::new(lowering.custom(*node)?)),
        });
    }
    Ok(Plan { steps, blocks: schedule.blocks.clone(), slots: schedule.slots.clone(), constants: lowering.constants })
}

/// What the lowering of all kernels of a plan shares.
struct Lowering<'a> {
    graph: &'a Graph,
    schedule: &'a Schedule,
    constants: Vec<Array>,
    constant_of: FxHashMap<NodeId, usize>,
    /// Where each part of a concatenation begins.
    concat_starts: FxHashMap<NodeId, Vec<Dim>>,
}

impl Lowering<'_> {
    fn form(&self, node: NodeId) -> &Form {
        &self.schedule.forms[node.index()]
    }

    /// How users of a node see it: in its place if it has one.
    fn seen_as(&self, node: NodeId) -> Form {
        match self.place(node) {
            Some(_) => Form::View(View::whole(node, &self.graph.ty(node).shape)),
            None => self.form(node).clone(),
        }
    }

    fn place(&self, node: NodeId) -> Option<Place> {
        self.schedule.places[node.index()]
    }

    /// The memory of a node.
    fn source(&mut self, node: NodeId, reshaped: bool) -> Result<Source> {
        match (self.place(node), self.graph.node(node)) {
            (Some(Place::Input(argument)), _) if reshaped => Ok(Source::PackedInput(argument)),
            (Some(Place::Input(argument)), _) => Ok(Source::Input(argument)),
            (Some(Place::Output(output)), _) => Ok(Source::Output(output)),
            (Some(Place::Slot(slot)), _) => Ok(Source::Slot(slot)),
            (Some(Place::Constant), Node::Dense(array)) => {
                let (constants, array) = (&mut self.constants, &array.0);
                let index = *self.constant_of.entry(node).or_insert_with(|| {
                    constants.push(array.clone());
                    constants.len() - 1
                });
                Ok(Source::Constant(index))
            }
            (Some(Place::Virtual), Node::Iota(_)) => Ok(Source::Positions),
            (Some(Place::Virtual), Node::Size(size)) => Ok(Source::Size(size.clone())),
            // Only an epilogue reads a product that has no memory.
            (Some(Place::Kernel), Node::MatMul(_)) => Ok(Source::Product),
            (place, other) => {
                Err(Error::Internal(format!("`{}` %{} is not in memory: {place:?}", other.name(), node.0)))
            }
        }
    }

    /// Where a part of a concatenation begins along its axis.
    fn concat_start(&mut self, node: NodeId, axis: usize, parts: &[NodeId], part: usize) -> Dim {
        let graph = self.graph;
        let starts = self.concat_starts.entry(node).or_insert_with(|| {
            let mut next = Dim::ZERO;
            let start = |&part: &NodeId| {
                let after = next.add(&graph.ty(part).shape[axis]);
                std::mem::replace(&mut next, after)
            };
            parts.iter().map(start).collect()
        });
        starts[part].clone()
    }

    /// A view as a kernel walks it, given the kernel axis of each axis of the view.
    fn window(&mut self, view: &View, context: &Context) -> Result<Window> {
        let Load { source, shape, reshaped, starts, walks } = Load::new(view, context);
        let walks = walks.iter().map(|(kernel, axis)| AxisWalk { kernel: *kernel, source: axis.axis, step: axis.step });
        let dtype = self.graph.ty(source).dtype;
        Ok(Window { source: self.source(source, reshaped)?, dtype, shape, starts, walks: walks.collect() })
    }

    /// The positions of a sequence or a size itself, wherever it lives.
    fn positions(&mut self, node: NodeId, context: &Context) -> Result<Window> {
        let ty = self.graph.ty(node);
        let source = match self.graph.node(node) {
            Node::Iota(_) => Source::Positions,
            Node::Size(size) => Source::Size(size.clone()),
            other => return Err(Error::Internal(format!("`{}` %{} is made from itself", other.name(), node.0))),
        };
        let axis = |(source, kernel): (u32, &Option<Axis>)| Some(AxisWalk { kernel: (*kernel)?, source, step: 1 });
        let walks = (0..).zip(context).filter_map(axis).collect();
        Ok(Window { source, dtype: ty.dtype, shape: ty.shape.clone(), starts: SmallVec::new(), walks })
    }

    /// The window over all of a node that is a view, kernel axis `i` along axis `i`.
    fn whole_window(&mut self, node: NodeId) -> Result<Window> {
        let Form::View(view) = self.seen_as(node) else {
            return Err(Error::Internal(format!("%{} is an operand of a library step and not in memory", node.0)));
        };
        let context: Context = (0..view.axes.len() as u32).map(|axis| Some(Axis(axis))).collect();
        self.window(&view, &context)
    }

    /// The window through which a node's own place is written.
    fn result_window(&mut self, node: NodeId) -> Result<Window> {
        let shape = self.graph.ty(node).shape.clone();
        let context: Context = (0..shape.len() as u32).map(|axis| Some(Axis(axis))).collect();
        self.window(&View::whole(node, &shape), &context)
    }

    fn matmul(&mut self, node: NodeId, epilogue: Option<Epilogue<Kernel>>) -> Result<MatMulStep<Kernel>> {
        let &Node::MatMul([a, b]) = self.graph.node(node) else {
            return Err(Error::Internal(format!("%{} is no matrix product", node.0)));
        };
        let (left, right) = (self.whole_window(a)?, self.whole_window(b)?);
        let result = if epilogue.is_none() { Some(self.result_window(node)?) } else { None };
        let (rows, inner) = (&self.graph.ty(a).shape[0], &self.graph.ty(a).shape[1]);
        let columns = &self.graph.ty(b).shape[1];
        let sizes = [rows.clone(), inner.clone(), columns.clone()];
        Ok(MatMulStep { left, right, result, sizes, epilogue, closes: false })
    }

    fn custom(&mut self, node: NodeId) -> Result<CustomStep> {
        let Node::Custom(function, operands) = self.graph.node(node) else {
            return Err(Error::Internal(format!("%{} is no host function", node.0)));
        };
        let graph = self.graph;
        let operands = operands.iter().map(|&x| Ok((self.whole_window(x)?, graph.ty(x).shape.clone())));
        let operands = operands.collect::<Result<Vec<_>>>()?;
        let result = (self.result_window(node)?, graph.ty(node).shape.clone());
        Ok(CustomStep { function: function.clone(), operands, result })
    }
}

/// The sizes of the kernel's axes: outer ones, then reduced ones.
fn extents(space: &schedule::Space) -> SmallVec<[Dim; 4]> {
    let reduced: &[Dim] = space.reduced.as_ref().map_or(&[], |shape: &Shape| shape);
    space.outer.iter().chain(reduced).cloned().collect()
}
