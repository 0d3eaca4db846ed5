//! The oracle: interprets a graph node by node, whole arrays at a time, slow and obviously right.
//!
//! What a graph means is what this module computes. It is the reference of every test and the constant folder.
//! It knows graph, ops, dtype and shape, and must not know the schedule, the loop IR or any engine, nor share
//! code with them. A value is freed after its last use.

mod elementwise;
mod lifetimes;
mod looping;
mod matmul;
mod reduce;
mod sizes;
#[cfg(test)]
mod tests;
mod views;

use rustc_hash::FxHashMap;

use crate::array::Array;
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::graph::{Custom, Graph, Node, NodeId, Type, describe};
use crate::shape::Symbols;

use lifetimes::Lifetimes;
pub use reduce::in_order;
pub use sizes::bind;
use sizes::{check_constraints, known_sizes};

/// The values of the outputs of a graph, in order.
///
/// `arguments` are the values of `graph.inputs`, in order; `symbols` is what [`bind`] makes of them.
///
/// # Errors
/// `Shape` where sizes do not fit together, `Memory`, and whatever a host function returns.
pub fn evaluate(graph: &Graph, arguments: &[Array], symbols: &Symbols) -> Result<Vec<Array>> {
    observe(graph, arguments, symbols, &mut |_, _, _| Ok(()))
}

/// Is told of every value right after it was computed: its node, the values of the operands, and the value. Inputs, loops and
/// their projections are not told of; nodes of a loop's body are, at every step, its parameters first.
pub type Observer<'a> = dyn FnMut(NodeId, &[Array], &Array) -> Result<()> + 'a;

/// As [`evaluate`], with an observer.
///
/// # Errors
/// As [`evaluate`]; what the observer returns, after which nothing more is evaluated.
pub fn observe(
    graph: &Graph,
    arguments: &[Array],
    symbols: &Symbols,
    observer: &mut Observer<'_>,
) -> Result<Vec<Array>> {
    check_constraints(graph, symbols)?;
    let lifetimes = Lifetimes::new(graph)?;
    let mut values = vec![None; graph.len()];
    for (input, argument) in graph.inputs.iter().zip(arguments) {
        values[input.index()] = Some(argument.clone());
    }
    let mut walk = Walk { graph, symbols, lifetimes: &lifetimes, values, results: FxHashMap::default(), observer };
    walk.run(lifetimes.outermost())?;
    graph.outputs.iter().map(|&output| walk.value(output)).collect()
}

/// The value of one node from those of its operands, which come in the order of `Node::for_each_operand`.
///
/// # Errors
/// As [`evaluate`]; `Internal` for nodes that have no value without their graph: inputs, parameters, loops and
/// their projections.
pub fn evaluate_node(node: &Node<NodeId>, operands: &[Array], result_type: &Type, symbols: &Symbols) -> Result<Array> {
    let shape = known_sizes(&result_type.shape, symbols)?;
    let dtype = result_type.dtype;
    match node {
        Node::Input(_) | Node::Parameter(..) | Node::Loop(_) | Node::Project(..) => {
            Err(Error::Internal(format!("`{}` has no value without its graph", node.name())))
        }
        Node::Scalar(value) => Ok(Array::from_scalar(*value)),
        Node::Dense(array) => Ok(array.0.clone()),
        Node::Iota(_) => iota(&shape),
        Node::Size(size) => Ok(Array::from_scalar(Scalar::I64(size.evaluate(symbols)?))),
        Node::Unary(op, _) => {
            elementwise::map(node.name(), exactly(operands)?, dtype, &shape, |[x]: [Scalar; 1]| op.apply(x))
        }
        Node::Binary(op, _) => {
            elementwise::map(node.name(), exactly(operands)?, dtype, &shape, |[a, b]: [Scalar; 2]| op.apply(a, b))
        }
        Node::Ternary(op, _) => {
            elementwise::map(node.name(), exactly(operands)?, dtype, &shape, |[a, b, c]: [Scalar; 3]| op.apply(a, b, c))
        }
        Node::Cast(to, _) => {
            elementwise::map(node.name(), exactly(operands)?, dtype, &shape, |[x]: [Scalar; 1]| Some(x.cast(*to)))
        }
        Node::Reduce(op, axes, _) => {
            let [x] = exactly(operands)?;
            reduce::reduce(*op, axes, x)
        }
        Node::Permute(order, _) => {
            let [x] = exactly(operands)?;
            views::permute(order, x)
        }
        Node::Reshape(..) => {
            let [x] = exactly(operands)?;
            x.clone().reshape(&shape)
        }
        Node::Broadcast(..) => {
            let [x] = exactly(operands)?;
            views::broadcast(x, &shape)
        }
        Node::Slice(ranges, _) => {
            let [x] = exactly(operands)?;
            views::slice(ranges, x, symbols)
        }
        Node::Concat(axis, _) => views::concat(*axis as usize, operands, dtype, &shape),
        Node::MatMul(_) => {
            let [a, b] = exactly(operands)?;
            matmul::matmul(a, b)
        }
        Node::Barrier(_) => {
            let [x, _] = exactly(operands)?;
            Ok(x.clone())
        }
        Node::Custom(custom, _) => call_host(custom, operands, result_type, &shape),
    }
}

/// The operands of a node that has exactly so many.
fn exactly<const N: usize>(operands: &[Array]) -> Result<&[Array; N]> {
    operands.try_into().map_err(|_| Error::Internal(format!("{} operands instead of {N}", operands.len())))
}

fn iota(shape: &[usize]) -> Result<Array> {
    let mut result = Array::zeros(DType::I64, shape)?;
    for position in 0..result.len() {
        result.set(position, Scalar::I64(position as i64));
    }
    Ok(result)
}

fn call_host(custom: &Custom, operands: &[Array], result_type: &Type, shape: &[usize]) -> Result<Array> {
    let result = (custom.0.call)(operands)?;
    if result.dtype() == result_type.dtype && result.shape() == shape {
        return Ok(result);
    }
    Err(Error::Argument(format!(
        "the host function `{}` returned {}{:?}, but its type says {} with sizes {shape:?}",
        custom.0.name,
        result.dtype(),
        result.shape(),
        describe(result_type)
    )))
}

/// One evaluation under way.
struct Walk<'a, 'o> {
    graph: &'a Graph,
    symbols: &'a Symbols,
    lifetimes: &'a Lifetimes,
    /// The value of each node that has one at the moment.
    values: Vec<Option<Array>>,
    /// All results of each loop that is still needed.
    results: FxHashMap<NodeId, Vec<Array>>,
    /// Is told of every value.
    observer: &'a mut Observer<'o>,
}

impl Walk<'_, '_> {
    /// Evaluates nodes of one region, operands before users.
    fn run(&mut self, nodes: &[NodeId]) -> Result<()> {
        for &id in nodes {
            let value = self.node(id)?;
            self.values[id.index()] = Some(value);
            for &dead in self.lifetimes.ending_at(id) {
                self.forget(dead);
            }
        }
        Ok(())
    }

    fn node(&mut self, id: NodeId) -> Result<Array> {
        let graph = self.graph;
        match graph.node(id) {
            // Set from the arguments before the walk.
            Node::Input(_) => self.value(id),
            Node::Loop(node) => self.run_loop(id, node),
            Node::Project(index, of) => (self.results.get(of))
                .and_then(|results| results.get(*index as usize).cloned())
                .ok_or_else(|| Error::Internal(format!("result {index} of a loop is missing"))),
            node @ (Node::Parameter(..)
            | Node::Scalar(_)
            | Node::Dense(_)
            | Node::Iota(_)
            | Node::Size(_)
            | Node::Unary(..)
            | Node::Binary(..)
            | Node::Ternary(..)
            | Node::Cast(..)
            | Node::Reduce(..)
            | Node::Permute(..)
            | Node::Reshape(..)
            | Node::Broadcast(..)
            | Node::Slice(..)
            | Node::Concat(..)
            | Node::MatMul(_)
            | Node::Barrier(_)
            | Node::Custom(..)) => {
                let operands =
                    node.operands().into_iter().map(|&operand| self.value(operand)).collect::<Result<Vec<_>>>()?;
                let value = evaluate_node(node, &operands, graph.ty(id), self.symbols)?;
                (self.observer)(id, &operands, &value)?;
                Ok(value)
            }
        }
    }

    fn value(&self, id: NodeId) -> Result<Array> {
        self.values[id.index()].clone().ok_or_else(|| Error::Internal(format!("node {} has no value", id.0)))
    }

    fn forget(&mut self, id: NodeId) {
        self.values[id.index()] = None;
        self.results.remove(&id);
    }
}
