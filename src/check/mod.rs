//! What numeric checks look at: which element a node made NaN or infinite, and how far a result may lie from the oracle's.
//!
//! `bounded` carries an error bound through elementwise ops, `rounding` says what an engine promises of them, `estimate`
//! carries bounds through nodes, `looping` through graphs and the steps of loops, `finite` finds where numbers end. Knows graphs, values and the op table; nothing of the
//! engines, and not where values come from.

pub mod bounded;
pub mod estimate;
pub mod finite;
pub mod looping;
pub mod rounding;

use smallvec::SmallVec;

use crate::array::Array;
use crate::dtype::Scalar;
use crate::error::Result;
use crate::eval::evaluate_node;
use crate::graph::{Node, NodeId, Type};
use crate::shape::{Dim, Shape, Symbols};

/// An element's place, as the user indexes: nothing for the only element of an array of rank 0.
fn place_text(shape: &[usize], position: usize) -> String {
    if shape.is_empty() {
        return String::new();
    }
    let mut rest = position;
    let mut index = vec![0; shape.len()];
    for (axis, &size) in shape.iter().enumerate().rev() {
        (index[axis], rest) = (rest % size.max(1), rest / size.max(1));
    }
    format!(" at index {index:?}")
}

/// A number as the user writes it.
fn value_text(value: Scalar) -> String {
    match value {
        Scalar::Bool(value) => value.to_string(),
        Scalar::I8(value) => value.to_string(),
        Scalar::U8(value) => value.to_string(),
        Scalar::I32(value) => value.to_string(),
        Scalar::U32(value) => value.to_string(),
        Scalar::I64(value) => value.to_string(),
        Scalar::U64(value) => value.to_string(),
        Scalar::F32(value) => format!("{value:?}"),
        Scalar::F64(value) => format!("{value:?}"),
    }
}

/// A view of an array, as the oracle makes it.
fn view(node: Node<NodeId>, x: &Array, shape: Shape) -> Result<Array> {
    let ty = Type { dtype: x.dtype(), shape };
    evaluate_node(&node, std::slice::from_ref(x), &ty, &Symbols::default())
}

/// An operand repeated to a shape.
pub fn widened(x: &Array, shape: &[usize]) -> Result<Array> {
    if x.shape() == shape {
        return Ok(x.clone());
    }
    let shape: Shape = shape.iter().map(|&size| Dim::of_size(size)).collect();
    view(Node::Broadcast(shape.clone(), NodeId(0)), x, shape)
}

/// The elements that a reduction makes one element of next to each other, in the order of the definition; with their number.
fn rows(x: &Array, axes: &[u32]) -> Result<(Array, usize)> {
    let kept = (0..x.rank() as u32).filter(|axis| !axes.contains(axis));
    let order: SmallVec<[u32; 3]> = kept.chain(axes.iter().copied()).collect();
    let shape = order.iter().map(|&axis| Dim::of_size(x.shape()[axis as usize])).collect();
    let length = axes.iter().map(|&axis| x.shape()[axis as usize]).product();
    Ok((view(Node::Permute(order, NodeId(0)), x, shape)?, length))
}
