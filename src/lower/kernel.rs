//! Kernels from groups of roots: reductions first, then what is computed element by element.

use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId};
use crate::loops::{Append, Axis, Kernel, Merge, Nest, OperandId, Reduction, State};
use crate::lower::block::{BlockBuilder, KernelBuilder, RowWriter, is_stored};
use crate::lower::plan::{AxisWalk, Epilogue, KernelStep, Source, Window};
use crate::lower::{Lowering, extents};
use crate::ops::ReduceOp;
use crate::schedule::{Context, Group, Root, Space, View, outer_context, reduced_contexts};
use crate::shape::Dim;

/// The kernel of a group.
pub fn group(lowering: &mut Lowering<'_>, group: &Group, name: String) -> Result<KernelStep<Kernel>> {
    let extents = extents(&group.space);
    let mut builder = KernelBuilder::new(lowering, name, extents.len());
    let mut block = BlockBuilder::default();
    let mut body = Vec::new();
    if group.space.reduced.is_some() {
        body.push(reduce_nest(&mut builder, &mut block, group)?);
    }
    for &root in &group.roots {
        store_root(&mut builder, &mut block, root)?;
    }
    body.push(Nest::Block(block.block));
    let axes = (0..group.space.outer.len() as u32).map(Axis).collect();
    builder.kernel.body = vec![Nest::Map { axes, body }];
    Ok(KernelStep { kernel: builder.kernel, extents, windows: builder.windows, on_host: group.on_host })
}

/// The kernel of a group that takes the elements of a matrix product.
pub fn epilogue(lowering: &mut Lowering<'_>, members: &Group, name: String) -> Result<Epilogue<Kernel>> {
    let step = group(lowering, members, name)?;
    match (0..).zip(&step.windows).find(|(_, window)| window.source == Source::Product) {
        Some((product, _)) => Ok(Epilogue { step, product: OperandId(product) }),
        None => Err(Error::Internal(format!("the epilogue `{}` does not read its product", step.kernel.name))),
    }
}

/// Computes a root (unless it is a reduction, which is there already) and writes it where it goes.
fn store_root(builder: &mut KernelBuilder<'_, '_>, block: &mut BlockBuilder, root: Root) -> Result<()> {
    let graph: &Graph = builder.lowering.graph;
    let shape = &graph.ty(root.node).shape;
    let context = outer_context(shape, 0);
    let is_reduction = matches!(graph.node(root.node), Node::Reduce(..));
    let value = match root.copy_to {
        None if !is_reduction => block.root(builder, root.node, &context)?,
        None | Some(_) => block.value(builder, root.node, &context)?,
    };
    if root.copy_to.is_none() && !is_stored(builder.lowering, root.node) {
        return Ok(());
    }
    let window = match root.copy_to {
        None => builder.lowering.window(&View::whole(root.node, shape), &context)?,
        Some(output) => output_window(graph, root.node, output, &context),
    };
    let operand = builder.write(window);
    block.store(operand, value);
    Ok(())
}

/// The window over a whole output that gets a copy of a node.
fn output_window(graph: &Graph, node: NodeId, output: usize, context: &Context) -> Window {
    let ty = graph.ty(node);
    let walks =
        (0..).zip(context).filter_map(|(source, kernel)| Some(AxisWalk { kernel: (*kernel)?, source, step: 1 }));
    Window {
        source: Source::Output(output),
        dtype: ty.dtype,
        shape: ty.shape.clone(),
        starts: Default::default(),
        walks: walks.collect(),
    }
}

/// The nest of a group's reductions; their results become values of `block`.
fn reduce_nest(builder: &mut KernelBuilder<'_, '_>, block: &mut BlockBuilder, group: &Group) -> Result<Nest> {
    let graph: &Graph = builder.lowering.graph;
    let mut inner = BlockBuilder::default();
    let mut reductions = Vec::new();
    for root in &group.roots {
        let Node::Reduce(op, axes, x) = graph.node(root.node) else { continue };
        let ty = graph.ty(*x);
        let element = inner.value(builder, *x, &reduced_contexts(&ty.shape, axes))?;
        let reduction = reduction(builder, &mut inner, *op, ty.dtype, element);
        let result = op.finish(&reduction.results);
        block.define(root.node, outer_context(&graph.ty(root.node).shape, 0), result);
        reductions.push(reduction);
    }
    let first = group.space.outer.len();
    let axes = (first..builder.kernel.axes as usize).map(|axis| Axis(axis as u32)).collect();
    Ok(Nest::Reduce { axes, body: inner.block, reductions })
}

/// A reduction's row, written out.
fn reduction(
    builder: &mut KernelBuilder<'_, '_>,
    inner: &mut BlockBuilder,
    op: ReduceOp,
    dtype: DType,
    element: crate::loops::ValueId,
) -> Reduction {
    let kernel = &mut builder.kernel;
    let init = op.init(dtype);
    // Only the rows that look at the position may cost one.
    let position = match op {
        ReduceOp::ArgMin | ReduceOp::ArgMax => inner.position(kernel),
        ReduceOp::Sum
        | ReduceOp::Prod
        | ReduceOp::Min
        | ReduceOp::Max
        | ReduceOp::All
        | ReduceOp::Any
        | ReduceOp::SquaredDeviations => element,
    };
    let lifted = op.lift(&mut RowWriter { kernel, block: inner }, dtype, element, position);
    let mut state = || -> State { init.iter().map(|part| kernel.new_value(part.dtype())).collect() };
    let (left, right, results) = (state(), state(), state());
    let mut merge = BlockBuilder::default();
    let merged = op.merge(&mut RowWriter { kernel, block: &mut merge }, dtype, &left, &right);
    let merge = Merge { left, right, block: merge.block, results: merged };
    Reduction { append: append(kernel, op, dtype, &init), init, lifted, merge, results }
}

/// How a lane takes its next element, if that is not a merge.
fn append(kernel: &mut Kernel, op: ReduceOp, dtype: DType, init: &[Scalar]) -> Option<Append> {
    let position = op.running_position()?;
    let mut state = || -> State { init.iter().map(|part| kernel.new_value(part.dtype())).collect() };
    let (left, right) = (state(), state());
    let mut block = BlockBuilder::default();
    let results = op.append(&mut RowWriter { kernel, block: &mut block }, dtype, &left, &right)?;
    Some(Append { merge: Merge { left, right, block: block.block, results }, position })
}

/// The kernel that writes one part of a concatenation to its range of the result.
pub fn concat_part(lowering: &mut Lowering<'_>, node: NodeId, part: usize, name: String) -> Result<KernelStep<Kernel>> {
    let graph = lowering.graph;
    let Node::Concat(axis, parts) = graph.node(node) else {
        return Err(Error::Internal(format!("%{} is no concatenation", node.0)));
    };
    let before = lowering.concat_start(node, *axis as usize, parts, part);
    let shape = &graph.ty(parts[part]).shape;
    let (space, context) = (Space::map(shape), outer_context(shape, 0));
    let extents = extents(&space);
    let mut builder = KernelBuilder::new(lowering, name, extents.len());
    let mut block = BlockBuilder::default();
    let value = block.value(&mut builder, parts[part], &context)?;
    let mut window = builder.lowering.window(&View::whole(node, &graph.ty(node).shape), &context)?;
    if before != Dim::ZERO {
        window.starts.push((*axis, before));
    }
    let operand = builder.write(window);
    block.store(operand, value);
    let axes = (0..builder.kernel.axes).map(Axis).collect();
    builder.kernel.body = vec![Nest::Map { axes, body: vec![Nest::Block(block.block)] }];
    Ok(KernelStep { kernel: builder.kernel, extents, windows: builder.windows, on_host: false })
}
