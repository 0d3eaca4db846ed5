//! Values of nodes with error bounds: from those of the operands to those of the result.
//!
//! Views move bounds as they move values: a bound is an array too, and the oracle evaluates the same node on it.
//! Reductions carry bounds in the order of their definition. Invariant: where nothing can be said, the bound is infinite.

use crate::array::Array;
use crate::check::bounded::{self, Bounded, rounded, ulp};
use crate::check::rounding::{Bounds, Rounding};
use crate::check::{place_text, rows, value_text, widened};
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::eval::{evaluate_node, in_order};
use crate::graph::{Node, NodeId, Type};
use crate::ops::reduction::Builder;
use crate::ops::{BinaryOp, ReduceOp, TernaryOp};
use crate::shape::{Dim, Symbols};

/// What a node computes, and how far another way to compute it may lie from that.
#[derive(Debug, Clone)]
pub struct Estimate {
    /// The oracle's value.
    pub value: Array,
    /// A bound for each element, as f64; none if all are zero.
    pub error: Option<Array>,
}

impl Estimate {
    /// A value that is the same everywhere.
    pub fn exact(value: Array) -> Estimate {
        Estimate { value, error: None }
    }

    /// A value of which nothing is known.
    ///
    /// # Errors
    /// `Memory` if there is none for the bounds.
    pub fn unknown(value: Array) -> Result<Estimate> {
        let mut error = Array::zeros(DType::F64, value.shape())?;
        (0..error.len()).for_each(|position| error.set(position, Scalar::F64(f64::INFINITY)));
        Ok(Estimate { value, error: Some(error) })
    }

    pub(super) fn at(&self, position: usize) -> Bounded {
        let error = self.error.as_ref().map_or(0.0, |error| error.get(position).to_f64());
        Bounded { value: self.value.get(position), error }
    }

    fn elements(&self) -> impl Iterator<Item = Bounded> + '_ {
        (0..self.value.len()).map(|position| self.at(position))
    }

    /// From bounded elements to an array of this shape.
    pub(super) fn of(elements: &[Bounded], value: Array) -> Result<Estimate> {
        if elements.iter().all(|element| element.is_exact()) {
            return Ok(Estimate::exact(value));
        }
        let mut error = Array::zeros(DType::F64, value.shape())?;
        for (position, element) in elements.iter().enumerate() {
            error.set(position, Scalar::F64(element.error));
        }
        Ok(Estimate { value, error: Some(error) })
    }

    /// One row along axis 0.
    pub(super) fn row(&self, number: usize) -> Result<Estimate> {
        let mut value = Array::zeros(self.value.dtype(), &self.value.shape()[1..])?;
        let first = number * value.len();
        let elements: Vec<Bounded> = (first..first + value.len()).map(|position| self.at(position)).collect();
        elements.iter().enumerate().for_each(|(position, element)| value.set(position, element.value));
        Estimate::of(&elements, value)
    }

    /// Writes one row along axis 0.
    pub(super) fn set_row(&mut self, number: usize, row: &Estimate) -> Result<()> {
        if row.error.is_some() && self.error.is_none() {
            self.error = Some(Array::zeros(DType::F64, self.value.shape())?);
        }
        let first = number * row.value.len();
        for position in 0..row.value.len() {
            let Bounded { value, error } = row.at(position);
            self.value.set(first + position, value);
            if let Some(errors) = &mut self.error {
                errors.set(first + position, Scalar::F64(error));
            }
        }
        Ok(())
    }

    /// What is wrong with another way's result, if anything is: the first element beyond its bound.
    pub fn refutes(&self, got: &Array) -> Option<String> {
        if (got.dtype(), got.shape()) != (self.value.dtype(), self.value.shape()) {
            return Some(format!("it made {got:?} where the oracle has {:?}", self.value));
        }
        let wrong = |&position: &usize| !agrees(self.at(position), got.get(position));
        let position = (0..got.len()).find(wrong)?;
        let Bounded { value, error } = self.at(position);
        let bound =
            if error == 0.0 { "the same bits".to_string() } else { format!("a difference of at most {error:e}") };
        let (got, value) = (value_text(got.get(position)), value_text(value));
        Some(format!(
            "{got} where the oracle has {value}{}, which allows {bound}",
            place_text(self.value.shape(), position)
        ))
    }
}

/// Whether a result lies within its bound. All NaNs are equal.
fn agrees(expected: Bounded, got: Scalar) -> bool {
    if expected.is_unknown() || (expected.value.is_nan() && got.is_nan()) {
        return true;
    }
    match expected.is_exact() {
        true => got.bits() == expected.value.bits(),
        false => (got.to_f64() - expected.value.to_f64()).abs() <= expected.error,
    }
}

/// What a node comes to, given the oracle's value of it. Host functions are the same where all they read is; what loops and
/// their projections come to is up to [`Carrier`](crate::check::looping::Carrier).
///
/// # Errors
/// `Memory`; `Internal` for operands that do not fit the node, and for loops.
pub fn estimate(
    rounding: &Rounding,
    node: &Node<NodeId>,
    operands: &[Estimate],
    value: Array,
    symbols: &Symbols,
) -> Result<Estimate> {
    let elements = match (node, operands) {
        (Node::Input(_) | Node::Parameter(..) | Node::Scalar(_) | Node::Dense(_), _) => {
            return Ok(Estimate::exact(value));
        }
        (Node::Iota(_) | Node::Size(_), _) => return Ok(Estimate::exact(value)),
        (Node::Unary(op, _), [x]) => x.elements().map(|x| bounded::unary(rounding, *op, x)).collect(),
        (Node::Cast(dtype, _), [x]) => x.elements().map(|x| bounded::cast(rounding, x, *dtype)).collect(),
        (Node::Binary(op, _), [a, b]) => {
            let [a, b] = [repeated(a, &value)?, repeated(b, &value)?];
            a.elements().zip(b.elements()).map(|(a, b)| bounded::binary(rounding, *op, a, b)).collect()
        }
        (Node::Ternary(op, _), [a, b, c]) => {
            let [a, b, c] = [repeated(a, &value)?, repeated(b, &value)?, repeated(c, &value)?];
            let elements = a.elements().zip(b.elements()).zip(c.elements());
            elements.map(|((a, b), c)| bounded::ternary(rounding, *op, a, b, c)).collect()
        }
        (Node::Reduce(op, axes, _), [x]) => reduced(rounding, *op, axes, x, value.len())?,
        (Node::MatMul(_), [a, b]) => product(rounding, a, b, &value),
        (Node::Permute(..) | Node::Reshape(..) | Node::Broadcast(..) | Node::Slice(..) | Node::Concat(..), _) => {
            return moved(node, operands, value, symbols);
        }
        (Node::Barrier(_), [x, _]) => return Ok(Estimate { value, error: x.error.clone() }),
        (Node::Custom(..), _) => {
            let same = operands.iter().all(|operand| operand.error.is_none());
            return if same { Ok(Estimate::exact(value)) } else { Estimate::unknown(value) };
        }
        (
            Node::Unary(..)
            | Node::Cast(..)
            | Node::Binary(..)
            | Node::Ternary(..)
            | Node::Reduce(..)
            | Node::MatMul(_)
            | Node::Barrier(_)
            | Node::Loop(_)
            | Node::Project(..),
            _,
        ) => {
            return Err(Error::Internal(format!("`{}` of {} operands", node.name(), operands.len())));
        }
    };
    Estimate::of(&elements, value)
}

/// An operand repeated to the shape of the result.
pub(super) fn repeated(x: &Estimate, result: &Array) -> Result<Estimate> {
    let error = x.error.as_ref().map(|error| widened(error, result.shape())).transpose()?;
    Ok(Estimate { value: widened(&x.value, result.shape())?, error })
}

/// A view of bounds is the bounds of the view.
fn moved(node: &Node<NodeId>, operands: &[Estimate], value: Array, symbols: &Symbols) -> Result<Estimate> {
    if operands.iter().all(|operand| operand.error.is_none()) {
        return Ok(Estimate::exact(value));
    }
    let error = |operand: &Estimate| match &operand.error {
        Some(error) => Ok(error.clone()),
        None => Array::zeros(DType::F64, operand.value.shape()),
    };
    let errors = operands.iter().map(error).collect::<Result<Vec<_>>>()?;
    let shape = value.shape().iter().map(|&size| Dim::of_size(size)).collect();
    let error = evaluate_node(node, &errors, &Type { dtype: DType::F64, shape }, symbols)?;
    Ok(Estimate { value, error: Some(error) })
}

/// A reduction over bounds.
fn reduced(rounding: &Rounding, op: ReduceOp, axes: &[u32], x: &Estimate, results: usize) -> Result<Vec<Bounded>> {
    let (value, length) = rows(&x.value, axes)?;
    let elements = Estimate { value, error: x.error.as_ref().map(|error| Ok(rows(error, axes)?.0)).transpose()? };
    let mut builder = Carry { rounding };
    let reduce = |row: usize| {
        let row = (row * length..(row + 1) * length).map(|place| elements.at(place));
        in_order(op, x.value.dtype(), &mut builder, row)
    };
    Ok((0..results).map(reduce).collect())
}

/// Computes on bounds what a reduction writes.
struct Carry<'r> {
    rounding: &'r Rounding,
}

impl Builder for Carry<'_> {
    type Value = Bounded;

    fn constant(&mut self, value: Scalar) -> Bounded {
        Bounded::exact(value)
    }

    fn binary(&mut self, op: BinaryOp, a: Bounded, b: Bounded) -> Bounded {
        bounded::binary(self.rounding, op, a, b)
    }

    fn ternary(&mut self, op: TernaryOp, a: Bounded, b: Bounded, c: Bounded) -> Bounded {
        bounded::ternary(self.rounding, op, a, b, c)
    }

    fn cast(&mut self, dtype: DType, value: Bounded) -> Bounded {
        bounded::cast(self.rounding, value, dtype)
    }
}

/// A matrix product: exact for integers; for floats within the bound of any order of summation.
fn product(rounding: &Rounding, a: &Estimate, b: &Estimate, value: &Array) -> Vec<Bounded> {
    let (inner, columns) = (a.value.shape()[1], value.shape()[1]);
    let element = |position: usize| {
        let (row, column) = (position / columns, position % columns);
        let pairs = (0..inner).map(|k| (a.at(row * inner + k), b.at(k * columns + column)));
        sum_of_products(rounding, pairs, inner, value.get(position))
    };
    (0..value.len()).map(element).collect()
}

fn sum_of_products(
    rounding: &Rounding,
    pairs: impl Iterator<Item = (Bounded, Bounded)> + Clone,
    count: usize,
    value: Scalar,
) -> Bounded {
    let mut operands = pairs.clone().flat_map(|(a, b)| [a, b]);
    let dtype = value.dtype();
    if !dtype.is_float() {
        return if operands.all(|x| x.is_exact()) { Bounded::exact(value) } else { Bounded::unknown(value) };
    }
    if !operands.all(|x| x.float().is_finite() && !x.is_unknown()) {
        return Bounded::unknown(value);
    }
    let size = |x: Bounded| x.float().abs() + x.error;
    let total: f64 = pairs.clone().map(|(a, b)| size(a) * size(b)).sum();
    let spread: f64 = pairs.map(|(a, b)| size(a) * b.error + size(b) * a.error).sum();
    // Each of the products and sums is rounded, in both ways to compute it, and may be too small to stay.
    let roundings = 2.0 * count as f64 * (ulp(dtype, total) + rounding.flushed(dtype));
    rounding.result(rounded(value, spread + roundings, Bounds::ROUNDING, total))
}
