//! Nodes that only move elements, all by one idea: a walk over positions with strides.

use smallvec::SmallVec;

use crate::array::Array;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::SliceRange;
use crate::graph::infer::check_range;
use crate::shape::{Symbols, row_major_strides};

/// Walks a shape in row-major order and yields a position for each of its elements: `offset` plus the index
/// times the strides.
pub(super) struct Positions {
    shape: SmallVec<[usize; 4]>,
    strides: SmallVec<[isize; 4]>,
    index: SmallVec<[usize; 4]>,
    position: isize,
    left: usize,
}

impl Positions {
    pub(super) fn new(shape: &[usize], strides: &[isize], offset: isize) -> Positions {
        let left = if shape.contains(&0) { 0 } else { shape.iter().fold(1_usize, |n, &size| n.saturating_mul(size)) };
        Positions {
            shape: SmallVec::from_slice(shape),
            strides: SmallVec::from_slice(strides),
            index: SmallVec::from_elem(0, shape.len()),
            position: offset,
            left,
        }
    }

    fn advance(&mut self) {
        for axis in (0..self.shape.len()).rev() {
            self.index[axis] += 1;
            self.position += self.strides[axis];
            if self.index[axis] < self.shape[axis] {
                return;
            }
            self.position -= self.strides[axis] * self.shape[axis] as isize;
            self.index[axis] = 0;
        }
    }
}

impl Iterator for Positions {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let position = self.position as usize;
        if self.left > 0 {
            self.advance();
        }
        Some(position)
    }
}

/// The strides that walk an operand along a shape it broadcasts to: 0 where it is repeated.
pub(super) fn broadcast_strides(operand: &[usize], shape: &[usize]) -> Result<SmallVec<[isize; 4]>> {
    let mismatch = || Error::Shape(format!("an array of shape {operand:?} does not broadcast to {shape:?}"));
    let missing = shape.len().checked_sub(operand.len()).ok_or_else(mismatch)?;
    let mut strides: SmallVec<[isize; 4]> = SmallVec::from_elem(0, shape.len());
    for (axis, (&size, stride)) in operand.iter().zip(row_major_strides(operand)).enumerate() {
        match size {
            _ if size == shape[missing + axis] => strides[missing + axis] = stride,
            1 => {}
            _ => return Err(mismatch()),
        }
    }
    Ok(strides)
}

/// An array of this shape with the elements found at `offset` plus the index times the strides.
fn gather(array: &Array, shape: &[usize], strides: &[isize], offset: isize) -> Result<Array> {
    let mut result = Array::zeros(array.dtype(), shape)?;
    for (position, from) in Positions::new(shape, strides, offset).enumerate() {
        result.set(position, array.get(from));
    }
    Ok(result)
}

pub(super) fn broadcast(x: &Array, shape: &[usize]) -> Result<Array> {
    gather(x, shape, &broadcast_strides(x.shape(), shape)?, 0)
}

pub(super) fn permute(order: &[u32], x: &Array) -> Result<Array> {
    let strides = row_major_strides(x.shape());
    let shape: SmallVec<[usize; 4]> = order.iter().map(|&axis| x.shape()[axis as usize]).collect();
    let strides: SmallVec<[isize; 4]> = order.iter().map(|&axis| strides[axis as usize]).collect();
    gather(x, &shape, &strides, 0)
}

pub(super) fn slice(ranges: &[SliceRange], x: &Array, symbols: &Symbols) -> Result<Array> {
    let mut shape: SmallVec<[usize; 4]> = SmallVec::new();
    let mut strides: SmallVec<[isize; 4]> = SmallVec::new();
    let mut offset = 0_isize;
    for ((range, &size), stride) in ranges.iter().zip(x.shape()).zip(row_major_strides(x.shape())) {
        let (start, length) = (range.start.evaluate(symbols)?, range.length.evaluate(symbols)?);
        check_range(start, range.step, length, size as i64).map_err(Error::Shape)?;
        shape.push(length as usize);
        // Of at most one element the start alone matters, and the step may be any number.
        strides.push(if length > 1 { (range.step as isize).wrapping_mul(stride) } else { 0 });
        // The strides of an empty array may be any numbers; no element is then looked up.
        offset = offset.wrapping_add(if length > 0 { (start as isize).wrapping_mul(stride) } else { 0 });
    }
    gather(x, &shape, &strides, offset)
}

pub(super) fn concat(axis: usize, parts: &[Array], dtype: DType, shape: &[usize]) -> Result<Array> {
    let mut result = Array::zeros(dtype, shape)?;
    let strides = row_major_strides(shape);
    let mut start = 0;
    for part in parts {
        let fits = part.rank() == shape.len()
            && (0..shape.len()).all(|other| match other == axis {
                true => start + part.shape()[axis] <= shape[axis],
                false => part.shape()[other] == shape[other],
            });
        if !fits {
            return Err(Error::Shape(format!("an array of shape {:?} in a `concat` of {shape:?}", part.shape())));
        }
        let places = Positions::new(part.shape(), &strides, (start as isize).wrapping_mul(strides[axis]));
        for (position, to) in places.enumerate() {
            result.set(to, part.get(position));
        }
        start += part.shape()[axis];
    }
    Ok(result)
}
