//! Dimensions, shapes, and the rules by which shapes meet.
//!
//! Only a dimension that is statically 1 broadcasts; others that meet must be equal, which is checked once per call.

mod dim;
mod formula;
mod symbols;

pub use dim::{Affine, Atom, Dim, DimOp};
pub use symbols::{InputId, Measure, Symbol, Symbols};

use smallvec::SmallVec;

use crate::error::{Error, Result};

/// The sizes of an array, outermost first.
pub type Shape = SmallVec<[Dim; 3]>;

/// Why two shapes do not broadcast: the axis, counted from the end, and the two sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The axis, from the last one, which is 1.
    pub from_end: usize,
    /// The size of the first.
    pub left: Dim,
    /// The size of the second.
    pub right: Dim,
}

/// The shape that two shapes broadcast to, aligned at the last axis; sizes that must be equal at call time are
/// appended to `equal`.
///
/// # Errors
/// Two constant sizes that differ and are not 1.
pub fn broadcast(left: &[Dim], right: &[Dim], equal: &mut Vec<(Dim, Dim)>) -> Result<Shape, Mismatch> {
    let rank = left.len().max(right.len());
    let at = |shape: &[Dim], from_end: usize| shape.len().checked_sub(from_end).map(|axis| shape[axis].clone());
    (1..=rank)
        .rev()
        .map(|from_end| match (at(left, from_end), at(right, from_end)) {
            (Some(dim), None) | (None, Some(dim)) => Ok(dim),
            (None, None) => Ok(Dim::ONE),
            (Some(a), Some(b)) => meet(a, b, equal).map_err(|(left, right)| Mismatch { from_end, left, right }),
        })
        .collect()
}

/// The size at which two dims meet: a static 1 yields, a constant is preferred, others must be equal.
fn meet(left: Dim, right: Dim, equal: &mut Vec<(Dim, Dim)>) -> Result<Dim, (Dim, Dim)> {
    if left == right || right.is_one() {
        return Ok(left);
    }
    if left.is_one() {
        return Ok(right);
    }
    if left.constant().is_some() && right.constant().is_some() {
        return Err((left, right));
    }
    equal.push((left.clone(), right.clone()));
    Ok(if right.constant().is_some() { right } else { left })
}

/// The number of elements.
pub fn element_count(shape: &[Dim]) -> Dim {
    shape.iter().fold(Dim::ONE, |count, dim| count.mul(dim))
}

/// Row-major strides, in elements, of sizes that are known.
pub fn row_major_strides(shape: &[usize]) -> SmallVec<[isize; 4]> {
    let mut strides: SmallVec<[isize; 4]> = SmallVec::from_elem(0, shape.len());
    let mut step = 1_isize;
    for (stride, &size) in strides.iter_mut().zip(shape).rev() {
        *stride = step;
        step = step.saturating_mul(size.max(1) as isize);
    }
    strides
}

/// The bytes of an array, if they fit an allocation.
///
/// # Errors
/// `Memory` when the product of the sizes overflows.
pub fn byte_size(shape: &[usize], element: usize) -> Result<usize> {
    if shape.contains(&0) {
        return Ok(0);
    }
    shape
        .iter()
        .try_fold(element, |bytes, &size| bytes.checked_mul(size))
        .filter(|&bytes| bytes <= isize::MAX as usize)
        .ok_or_else(|| {
            Error::Memory(format!(
                "an array of shape {shape:?} with {element} bytes an element exceeds the address space"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(axis: u32) -> Dim {
        Dim::from(Symbol { input: InputId(0), measure: Measure::Extent(axis) })
    }

    #[test]
    fn only_static_ones_broadcast() {
        let mut equal = Vec::new();
        let shape = broadcast(&[symbol(0), Dim::ONE], &[symbol(1)], &mut equal).unwrap();
        assert_eq!(shape.as_slice(), [symbol(0), symbol(1)]);
        assert!(equal.is_empty());
        let shape = broadcast(&[symbol(0)], &[Dim::from(3)], &mut equal).unwrap();
        assert_eq!((shape.as_slice(), equal.len()), ([Dim::from(3)].as_slice(), 1));
        assert!(broadcast(&[Dim::from(2)], &[Dim::from(3)], &mut equal).is_err());
    }
}
