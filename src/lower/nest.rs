//! Loops in one kernel: a map over elements, within it the steps, with the states in registers.
//!
//! What does not depend on the step is computed before the first one. Rows of sequences and histories are windows that
//! the axis of the steps walks along.

use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::graph::{Graph, Loop, Node, NodeId};
use crate::loops::{Axis, Block, Carried, Kernel, Nest, Operation, ValueId};
use crate::lower::Lowering;
use crate::lower::block::{BlockBuilder, KernelBuilder};
use crate::lower::plan::{AxisWalk, KernelStep, Source, Window};
use crate::ops::BinaryOp;
use crate::schedule::{Context, Form, NestStep, View, outer_context, squeeze};
use crate::shape::{Dim, Shape};

/// The kernel of a loop.
pub fn kernel(lowering: &mut Lowering<'_>, step: &NestStep, name: String) -> Result<KernelStep<Kernel>> {
    let graph: &Graph = lowering.graph;
    let Node::Loop(node) = graph.node(step.node) else {
        return Err(Error::Internal(format!("%{} is no loop", step.node.0)));
    };
    let shape = &graph.ty(step.node).shape;
    let mut extents: smallvec::SmallVec<[Dim; 4]> = squeeze(shape).into_iter().collect();
    let axes: Vec<Axis> = (0..extents.len() as u32).map(Axis).collect();
    let time = Axis(extents.len() as u32);
    let steps = steps(graph, node)?;
    if !node.guarded {
        extents.extend(steps.clone());
    }
    let mut builder = KernelBuilder::new(lowering, name, extents.len());
    builder.inside = step.members.iter().copied().chain(node.body.parameters.iter().copied()).collect();
    let context = outer_context(shape, 0);
    let mut nest = NestBuilder { builder, node, step, context, time, before: BlockBuilder::default() };
    let mut body = if node.guarded { nest.on_condition(steps)? } else { nest.counted(steps)? };
    body.retain(|nest| *nest != Nest::Block(Block::default()));
    let KernelBuilder { mut kernel, windows, .. } = nest.builder;
    kernel.body = vec![Nest::Map { axes, body }];
    Ok(KernelStep { kernel, extents, windows, on_host: false })
}

/// The most steps, if there is a bound.
fn steps(graph: &Graph, node: &Loop<NodeId>) -> Result<Option<Dim>> {
    match (node.count.map(|count| graph.node(count)), node.sequences.first()) {
        (Some(Node::Size(size)), _) => Ok(Some(size.clone())),
        (Some(Node::Scalar(value)), _) => Ok(value.to_i64().map(Dim::from)),
        (Some(other), _) => Err(Error::Internal(format!("`{}` as the number of a nest's steps", other.name()))),
        (None, Some(&sequence)) => Ok(Some(graph.ty(sequence).shape[0].clone())),
        (None, None) => Ok(None),
    }
}

struct NestBuilder<'n, 'l, 'a> {
    builder: KernelBuilder<'l, 'a>,
    node: &'n Loop<NodeId>,
    step: &'n NestStep,
    /// The axes of the map along those of a state.
    context: Context,
    time: Axis,
    before: BlockBuilder,
}

impl NestBuilder<'_, '_, '_> {
    /// As many steps as an axis says.
    fn counted(&mut self, steps: Option<Dim>) -> Result<Vec<Nest>> {
        let steps = steps.ok_or_else(|| Error::Internal("a nest without a number of steps".to_string()))?;
        let mut carried = self.carried()?;
        let mut body = self.body(&carried);
        if let Some(&index) = self.node.index_parameter() {
            let walks = smallvec::smallvec![AxisWalk { kernel: self.time, source: 0, step: 1 }];
            let shape = Shape::from_iter([steps]);
            let window =
                Window { source: Source::Positions, dtype: DType::I64, shape, starts: Default::default(), walks };
            let value = body.load_window(&mut self.builder, window);
            body.define(index, Context::new(), value);
        }
        self.rows(&mut body)?;
        self.advance(&mut body, &mut carried)?;
        self.emit(&mut body)?;
        let step = self.close(body);
        let after = self.store_results(&carried)?;
        let before = Nest::Block(std::mem::take(&mut self.before).block);
        Ok(vec![before, Nest::Sequential { axis: self.time, carried, body: vec![step] }, after])
    }

    /// Steps for as long as the guard of the element holds, and there are any left.
    fn on_condition(&mut self, steps: Option<Dim>) -> Result<Vec<Nest>> {
        let mut carried = self.carried()?;
        let counter = steps.map(|steps| self.counter(steps));
        let mut body = self.body(&carried);
        self.advance(&mut body, &mut carried)?;
        let mut condition = BlockBuilder::default();
        let mut holds = carried[0].current;
        let kernel = &mut self.builder.kernel;
        let after_states = carried.clone();
        if let Some((mut counter, limit)) = counter {
            let left = condition.push(kernel, DType::Bool, Operation::Binary(BinaryOp::Lt, [counter.current, limit]));
            holds = condition.push(kernel, DType::Bool, Operation::Binary(BinaryOp::And, [holds, left]));
            let one = body.constant(kernel, Scalar::I64(1));
            counter.next = body.push(kernel, DType::I64, Operation::Binary(BinaryOp::Add, [counter.current, one]));
            carried.push(counter);
        } else {
            // A block computes what holds, even if that is a state.
            holds = condition.push(kernel, DType::Bool, Operation::Binary(BinaryOp::And, [holds, holds]));
        }
        let step = self.close(body);
        let after = self.store_results(&after_states)?;
        let before = Nest::Block(std::mem::take(&mut self.before).block);
        let condition = condition.block;
        Ok(vec![before, Nest::While { carried, condition, holds, body: vec![step] }, after])
    }

    /// The number of the step as a carried value, and how many there are at most.
    fn counter(&mut self, steps: Dim) -> (Carried, ValueId) {
        let window = Window {
            source: Source::Size(steps),
            dtype: DType::I64,
            shape: Shape::new(),
            starts: Default::default(),
            walks: Default::default(),
        };
        let limit = self.before.load_window(&mut self.builder, window);
        let initial = self.before.constant(&mut self.builder.kernel, Scalar::I64(0));
        let kernel = &mut self.builder.kernel;
        let (current, result) = (kernel.new_value(DType::I64), kernel.new_value(DType::I64));
        (Carried { initial, current, next: current, result }, limit)
    }

    /// The states before the first step.
    fn carried(&mut self) -> Result<Vec<Carried>> {
        let mut carried = Vec::with_capacity(self.node.initial.len());
        for &state in &self.node.initial {
            let initial = self.before.value(&mut self.builder, state, &self.context)?;
            let kernel = &mut self.builder.kernel;
            let dtype = kernel.ty(initial);
            let (current, result) = (kernel.new_value(dtype), kernel.new_value(dtype));
            carried.push(Carried { initial, current, next: current, result });
        }
        Ok(carried)
    }

    /// The block of a step, in which the states are known.
    fn body(&mut self, carried: &[Carried]) -> BlockBuilder {
        let before = Some(Box::new(std::mem::take(&mut self.before)));
        let mut body = BlockBuilder::default();
        body.before = before;
        for (&parameter, state) in self.node.state_parameters().iter().zip(carried) {
            body.define(parameter, self.context.clone(), state.current);
        }
        body
    }

    /// Loads the rows of the sequences.
    fn rows(&mut self, body: &mut BlockBuilder) -> Result<()> {
        let graph = self.builder.lowering.graph;
        for (&sequence, &row) in self.node.sequences.iter().zip(self.node.row_parameters()) {
            // What no step looks at may have any shape.
            if !self.step.members.contains(&row) {
                continue;
            }
            let Form::View(view) = self.builder.lowering.seen_as(sequence) else {
                return Err(Error::Internal(format!("the sequence %{} is not in memory", sequence.0)));
            };
            let along = self.aligned(&graph.ty(row).shape);
            let over_time = self.over_time(&along);
            let value = body.load(&mut self.builder, &view, &over_time)?;
            body.define(row, along, value);
        }
        Ok(())
    }

    /// The axes of the map along those of something that broadcasts to a state.
    fn aligned(&self, shape: &[Dim]) -> Context {
        let context = &self.context[self.context.len() - shape.len()..];
        shape.iter().zip(context).map(|(size, axis)| if size.is_one() { None } else { *axis }).collect()
    }

    fn over_time(&self, context: &Context) -> Context {
        std::iter::once(Some(self.time)).chain(context.iter().copied()).collect()
    }

    fn advance(&mut self, body: &mut BlockBuilder, carried: &mut [Carried]) -> Result<()> {
        for (state, &next) in carried.iter_mut().zip(self.node.next()) {
            state.next = body.value(&mut self.builder, next, &self.context)?;
        }
        Ok(())
    }

    /// Writes the rows of the histories that are needed.
    fn emit(&mut self, body: &mut BlockBuilder) -> Result<()> {
        let graph = self.builder.lowering.graph;
        let first = self.node.initial.len();
        for (&row, history) in self.node.emitted().iter().zip(&self.step.results[first..]) {
            let Some(history) = *history else { continue };
            let value = body.value(&mut self.builder, row, &self.context)?;
            let view = View::whole(history, &graph.ty(history).shape);
            let window = self.builder.lowering.window(&view, &self.over_time(&self.context))?;
            let operand = self.builder.write(window);
            body.store(operand, value);
        }
        Ok(())
    }

    /// The block of a step is done; what comes before the loop is as well.
    fn close(&mut self, body: BlockBuilder) -> Nest {
        let BlockBuilder { block, before, .. } = body;
        self.before = before.map(|before| *before).unwrap_or_default();
        Nest::Block(block)
    }

    /// Writes the last states that are needed.
    fn store_results(&mut self, carried: &[Carried]) -> Result<Nest> {
        let graph = self.builder.lowering.graph;
        let mut after = BlockBuilder::default();
        for (state, result) in carried.iter().zip(&self.step.results) {
            let Some(result) = *result else { continue };
            let view = View::whole(result, &graph.ty(result).shape);
            let window = self.builder.lowering.window(&view, &self.context)?;
            let operand = self.builder.write(window);
            after.store(operand, state.result);
        }
        Ok(Nest::Block(after.block))
    }
}
