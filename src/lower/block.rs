//! Straight-line code from the nodes that a kernel computes.
//!
//! Values are shared by node and index map, so what two roots of a kernel have in common is computed once.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId};
use crate::loops::{Access, Block, Kernel, Operand, OperandId, Operation, Statement, ValueId};
use crate::lower::Lowering;
use crate::lower::plan::{Source, Window};
use crate::ops::reduction::Builder;
use crate::ops::{BinaryOp, TernaryOp};
use crate::schedule::{Context, Form, Place, View, operand_context};

/// A kernel under construction.
pub struct KernelBuilder<'l, 'a> {
    pub lowering: &'l mut Lowering<'a>,
    pub kernel: Kernel,
    pub windows: Vec<Window>,
    operands: FxHashMap<Window, OperandId>,
    /// What is computed in each step of a loop, rather than before it.
    pub inside: FxHashSet<NodeId>,
}

impl<'l, 'a> KernelBuilder<'l, 'a> {
    pub fn new(lowering: &'l mut Lowering<'a>, name: String, axes: usize) -> KernelBuilder<'l, 'a> {
        let kernel = Kernel { name, axes: axes as u32, operands: Vec::new(), types: Vec::new(), body: Vec::new() };
        KernelBuilder {
            lowering,
            kernel,
            windows: Vec::new(),
            operands: FxHashMap::default(),
            inside: FxHashSet::default(),
        }
    }

    fn add_operand(&mut self, window: Window, access: Access) -> OperandId {
        self.kernel.operands.push(Operand { dtype: window.dtype, access });
        self.windows.push(window);
        OperandId(self.windows.len() as u32 - 1)
    }

    /// The operand that reads a window; equal windows are one operand.
    fn read(&mut self, window: Window) -> OperandId {
        if let Some(&operand) = self.operands.get(&window) {
            return operand;
        }
        let access = match window.source {
            Source::Positions | Source::Size(_) => Access::Index,
            Source::Input(_)
            | Source::PackedInput(_)
            | Source::Constant(_)
            | Source::Output(_)
            | Source::Slot(_)
            | Source::Product => Access::Read,
        };
        let operand = self.add_operand(window.clone(), access);
        self.operands.insert(window, operand);
        operand
    }

    /// An operand that writes a window.
    pub fn write(&mut self, window: Window) -> OperandId {
        self.add_operand(window, Access::Write)
    }
}

/// A block under construction, with the values it already has.
#[derive(Default)]
pub struct BlockBuilder {
    pub block: Block,
    values: FxHashMap<(NodeId, Context), ValueId>,
    constants: FxHashMap<Scalar, ValueId>,
    loads: FxHashMap<OperandId, ValueId>,
    position: Option<ValueId>,
    /// The block before the loop that this one is a step of.
    pub before: Option<Box<BlockBuilder>>,
}

impl BlockBuilder {
    /// Makes a value of an enclosing nest known for a node.
    pub fn define(&mut self, node: NodeId, context: Context, value: ValueId) {
        self.values.insert((node, context), value);
    }

    pub fn push(&mut self, kernel: &mut Kernel, dtype: DType, operation: Operation) -> ValueId {
        let value = kernel.new_value(dtype);
        self.block.statements.push(Statement::Let(value, operation));
        value
    }

    pub fn store(&mut self, operand: OperandId, value: ValueId) {
        self.block.statements.push(Statement::Store(operand, value));
    }

    pub fn constant(&mut self, kernel: &mut Kernel, scalar: Scalar) -> ValueId {
        if let Some(&value) = self.constants.get(&scalar) {
            return value;
        }
        let value = self.push(kernel, scalar.dtype(), Operation::Constant(scalar));
        self.constants.insert(scalar, value);
        value
    }

    /// The row-major number of the current element within the reduction.
    pub fn position(&mut self, kernel: &mut Kernel) -> ValueId {
        *self.position.get_or_insert_with(|| {
            let value = kernel.new_value(DType::I64);
            self.block.statements.push(Statement::Let(value, Operation::Position));
            value
        })
    }

    pub fn load(&mut self, builder: &mut KernelBuilder<'_, '_>, view: &View, context: &Context) -> Result<ValueId> {
        let window = builder.lowering.window(view, context)?;
        Ok(self.load_window(builder, window))
    }

    pub fn load_window(&mut self, builder: &mut KernelBuilder<'_, '_>, window: Window) -> ValueId {
        let operand = builder.read(window);
        if let Some(&value) = self.loads.get(&operand) {
            return value;
        }
        let dtype = builder.kernel.operand(operand).dtype;
        let value = self.push(&mut builder.kernel, dtype, Operation::Load(operand));
        self.loads.insert(operand, value);
        value
    }

    /// The value of a node in a context, computed if need be.
    pub fn value(&mut self, builder: &mut KernelBuilder<'_, '_>, node: NodeId, context: &Context) -> Result<ValueId> {
        if let Some(&value) = self.values.get(&(node, context.clone())) {
            return Ok(value);
        }
        if let Some(before) = &mut self.before
            && !builder.inside.contains(&node)
        {
            return before.value(builder, node, context);
        }
        let value = match builder.lowering.seen_as(node) {
            Form::Constant(scalar) => self.constant(&mut builder.kernel, scalar),
            Form::View(view) => match self.own_root(builder, &view, context) {
                Some(value) => value,
                None => self.load(builder, &view, context)?,
            },
            Form::Inline => self.compute(builder, node, context)?,
        };
        self.define(node, context.clone(), value);
        Ok(value)
    }

    /// The value of a root of this kernel that is seen through a view of static-1 axes.
    fn own_root(&self, builder: &KernelBuilder<'_, '_>, view: &View, context: &Context) -> Option<ValueId> {
        let mut source: Context = Context::from_elem(None, builder.lowering.graph.ty(view.source).rank());
        if view.reshaped || !view.starts.is_empty() {
            return None;
        }
        for (axis, kernel) in view.axes.iter().zip(context) {
            match (axis, kernel) {
                (Some(axis), Some(_)) if axis.step == 1 => source[axis.axis as usize] = *kernel,
                (Some(_), Some(_)) => return None,
                // Along a size that is statically 1 the step does not matter.
                (Some(_), None) | (None, _) => {}
            }
        }
        self.values.get(&(view.source, source)).copied()
    }

    /// The value of a root: computed, however others see the node.
    pub fn root(&mut self, builder: &mut KernelBuilder<'_, '_>, node: NodeId, context: &Context) -> Result<ValueId> {
        let value = match builder.lowering.form(node).clone() {
            Form::Inline => self.compute(builder, node, context)?,
            Form::Constant(scalar) => self.constant(&mut builder.kernel, scalar),
            // A sequence that is written out is not read from where it goes.
            Form::View(view) if view.source == node => {
                let window = builder.lowering.positions(node, context)?;
                self.load_window(builder, window)
            }
            Form::View(view) => match self.own_root(builder, &view, context) {
                Some(value) => value,
                None => self.load(builder, &view, context)?,
            },
        };
        self.define(node, context.clone(), value);
        Ok(value)
    }

    /// Computes an inline node; its operands first, on a stack of its own depth (bounded by the kernel's size).
    fn compute(&mut self, builder: &mut KernelBuilder<'_, '_>, node: NodeId, context: &Context) -> Result<ValueId> {
        let graph: &Graph = builder.lowering.graph;
        let mut operands = smallvec::SmallVec::<[ValueId; 3]>::new();
        for &&operand in &graph.node(node).operands() {
            operands.push(self.value(builder, operand, &operand_context(graph, node, operand, context))?);
        }
        let operation = match graph.node(node) {
            Node::Unary(op, _) => Operation::Unary(*op, operands[0]),
            Node::Binary(op, _) => Operation::Binary(*op, [operands[0], operands[1]]),
            Node::Ternary(op, _) => Operation::Ternary(*op, [operands[0], operands[1], operands[2]]),
            Node::Cast(dtype, x) if *dtype == graph.ty(*x).dtype => return Ok(operands[0]),
            Node::Cast(dtype, _) => Operation::Cast(*dtype, operands[0]),
            // Index maps only: the element is the operand's.
            Node::Permute(..) | Node::Broadcast(..) | Node::Reshape(..) => return Ok(operands[0]),
            other => return Err(Error::Internal(format!("`{}` %{} inside a kernel", other.name(), node.0))),
        };
        Ok(self.push(&mut builder.kernel, graph.ty(node).dtype, operation))
    }
}

/// Writes the rows of reductions as statements.
pub struct RowWriter<'b> {
    pub kernel: &'b mut Kernel,
    pub block: &'b mut BlockBuilder,
}

impl Builder for RowWriter<'_> {
    type Value = ValueId;

    fn constant(&mut self, value: Scalar) -> ValueId {
        self.block.constant(self.kernel, value)
    }

    fn binary(&mut self, op: BinaryOp, a: ValueId, b: ValueId) -> ValueId {
        let dtype = op.row().result(self.kernel.ty(a));
        self.block.push(self.kernel, dtype, Operation::Binary(op, [a, b]))
    }

    fn ternary(&mut self, op: TernaryOp, a: ValueId, b: ValueId, c: ValueId) -> ValueId {
        let dtype = self.kernel.ty(b);
        self.block.push(self.kernel, dtype, Operation::Ternary(op, [a, b, c]))
    }

    fn cast(&mut self, dtype: DType, value: ValueId) -> ValueId {
        self.block.push(self.kernel, dtype, Operation::Cast(dtype, value))
    }
}

/// Whether a root is written to memory, and not only kept in registers.
pub fn is_stored(lowering: &Lowering<'_>, node: NodeId) -> bool {
    lowering.place(node) != Some(Place::Kernel)
}
