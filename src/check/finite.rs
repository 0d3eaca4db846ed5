//! Where numbers end: an element of a node's result that is NaN or infinite although all that it was made of is finite.
//!
//! Only what a node itself does counts: elements made of others that were NaN or infinite already pass, constants too.

use crate::array::Array;
use crate::check::{place_text, rows, value_text, widened};
use crate::dtype::Scalar;
use crate::error::Result;
use crate::graph::{Node, NodeId};

/// How many elements of a row are told.
const TOLD: usize = 4;

/// What a node made NaN or infinite, if it did: the first such element, its value, and what it was made of. Elements that do
/// not count are passed over.
///
/// # Errors
/// `Memory`.
pub fn first_lost(
    node: &Node<NodeId>,
    operands: &[Array],
    result: &Array,
    counts: &dyn Fn(usize) -> bool,
) -> Result<Option<String>> {
    let lost = |&position: &usize| is_lost(result.get(position)) && counts(position);
    if !result.dtype().is_float() || !(0..result.len()).any(|position| lost(&position)) {
        return Ok(None);
    }
    let found = |name: &str, made_of: &dyn Fn(usize) -> Vec<Scalar>| {
        let mut causes = (0..result.len()).filter(lost).map(|position| (position, made_of(position)));
        let (position, values) = causes.find(|(_, values)| !values.iter().any(|&value| is_lost(value)))?;
        Some(message(name, result, position, &values))
    };
    match node {
        // They hold what others made, or what the user wrote.
        Node::Input(_)
        | Node::Parameter(..)
        | Node::Scalar(_)
        | Node::Dense(_)
        | Node::Iota(_)
        | Node::Size(_)
        | Node::Permute(..)
        | Node::Reshape(..)
        | Node::Broadcast(..)
        | Node::Slice(..)
        | Node::Concat(..)
        | Node::Barrier(_)
        | Node::Loop(_)
        | Node::Project(..) => Ok(None),
        Node::Unary(..) | Node::Binary(..) | Node::Ternary(..) | Node::Cast(..) => {
            let operands = operands.iter().map(|x| widened(x, result.shape())).collect::<Result<Vec<_>>>()?;
            Ok(found(node.name(), &|position| operands.iter().map(|x| x.get(position)).collect()))
        }
        Node::Reduce(_, axes, _) => {
            let (elements, length) = rows(&operands[0], axes)?;
            let row =
                |result: usize| (result * length..(result + 1) * length).map(|place| elements.get(place)).collect();
            Ok(found(node.name(), &row))
        }
        Node::MatMul(_) => {
            let (a, b) = (&operands[0], &operands[1]);
            let (inner, columns) = (a.shape()[1], b.shape()[1]);
            let pairs = |position: usize| {
                let (row, column) = (position / columns, position % columns);
                (0..inner).flat_map(|k| [a.get(row * inner + k), b.get(k * columns + column)]).collect()
            };
            Ok(found(node.name(), &pairs))
        }
        Node::Custom(custom, _) => {
            let all = |_| operands.iter().flat_map(|x| (0..x.len()).map(|position| x.get(position))).collect();
            Ok(found(&custom.0.name, &all))
        }
    }
}

/// Whether the guard of a loop says of each element of a value whether it goes on.
pub fn covers(guard: &[usize], value: &[usize]) -> bool {
    guard.len() <= value.len()
        && guard.iter().rev().zip(value.iter().rev()).all(|(&own, size)| own == 1 || own == *size)
}

/// Whether elements are made of elements in other places.
pub fn mixes(node: &Node<NodeId>) -> bool {
    match node {
        Node::Permute(..)
        | Node::Reshape(..)
        | Node::Slice(..)
        | Node::Concat(..)
        | Node::Reduce(..)
        | Node::MatMul(_)
        | Node::Custom(..) => true,
        Node::Input(_)
        | Node::Parameter(..)
        | Node::Scalar(_)
        | Node::Dense(_)
        | Node::Iota(_)
        | Node::Size(_)
        | Node::Broadcast(..)
        | Node::Unary(..)
        | Node::Binary(..)
        | Node::Ternary(..)
        | Node::Cast(..)
        | Node::Barrier(_)
        | Node::Loop(_)
        | Node::Project(..) => false,
    }
}

fn is_lost(value: Scalar) -> bool {
    value.dtype().is_float() && !value.to_f64().is_finite()
}

fn message(name: &str, result: &Array, position: usize, made_of: &[Scalar]) -> String {
    let kind = if result.get(position).is_nan() { "NaN" } else { "inf" };
    let sign = if result.get(position).to_f64() == f64::NEG_INFINITY { "-" } else { "" };
    format!("`{name}` gives {sign}{kind}{} from {}", place_text(result.shape(), position), told(made_of))
}

/// Few values in full; of many, the extremes as well.
fn told(values: &[Scalar]) -> String {
    let few: Vec<String> = values.iter().take(TOLD).map(|&value| value_text(value)).collect();
    if values.len() <= TOLD {
        return few.join(", ");
    }
    let (mut low, mut high) = (values[0], values[0]);
    for &value in values {
        low = if value.to_f64() < low.to_f64() { value } else { low };
        high = if value.to_f64() > high.to_f64() { value } else { high };
    }
    let (few, low, high) = (few.join(", "), value_text(low), value_text(high));
    format!("{few}, … ({} finite values between {low} and {high})", values.len())
}
