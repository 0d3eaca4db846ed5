//! Ranges of axes: ndarray's `s![…]`, and ranges with expressions as bounds.
//!
//! Lengths are affine in the sizes: nothing is clamped. A range that leaves its axis is an error, while building
//! if it is known then, else before a call runs; so is one whose bounds cross, unless both count from the same
//! end: then it is empty, as in ndarray.

use ndarray::SliceInfoElem;
use smallvec::SmallVec;

use crate::expr::Expr;
use crate::expr::axes::IntoAxis;
use crate::expr::convert::IntoExpr;
use crate::graph::{Node, SliceRange, describe};
use crate::shape::{Dim, Shape};

impl Expr {
    /// A part of each axis, as ndarray slices: `s![1.., ..-1, ..;2, 0, NewAxis]`. Negative bounds count from the
    /// end, a negative step takes the range backwards, an index drops its axis. Axes left out are whole.
    ///
    /// ```
    /// use kroton::s;
    /// let x = kroton::matrix::<f64>("x");
    /// assert_eq!(x.slice(s![1..-1, 0]).rank(), 1);
    /// let d = x.slice(s![1..]) - x.slice(s![..-1]);
    /// assert!(d.error().is_none());
    /// ```
    #[track_caller]
    pub fn slice(&self, ranges: impl AsRef<[SliceInfoElem]>) -> Expr {
        let mut parts = ranges.as_ref().to_vec();
        let taken = parts.iter().filter(|part| !part.is_new_axis()).count();
        if taken > self.rank() {
            return self.invalid(format!(
                "`slice` has parts for {taken} axes; {} has {}",
                describe(self.ty()),
                self.rank()
            ));
        }
        parts.resize(parts.len() + self.rank() - taken, SliceInfoElem::from(..));
        let (ranges, kept) = match self.split_parts(&parts) {
            Ok(split) => split,
            Err(message) => return self.invalid(message),
        };
        let sliced = self.take_ranges(ranges);
        if kept.iter().all(|&kept| kept == Some(true)) {
            return sliced;
        }
        let mut lengths = sliced.dims().iter();
        let mut shape = Shape::new();
        for kept in kept {
            match kept {
                None => shape.push(Dim::ONE),
                Some(kept) => shape.extend(lengths.next().filter(|_| kept).cloned()),
            }
        }
        if sliced.error().is_some() {
            return sliced;
        }
        Expr::build(Node::Reshape(shape, sliced))
    }

    /// A range of one axis whose bounds are integers or integer expressions of rank 0.
    ///
    /// As in Python, a negative constant bound counts from the end, and with a negative step the range walks down
    /// from `start` to just above `stop` (to reverse a whole axis, use [`flip`](Expr::flip)).
    ///
    /// ```
    /// let x = kroton::vector::<f64>("x");
    /// let half = x.slice_axis(0, 0, x.len().floor_div(2), 1);
    /// assert!(half.error().is_none());
    /// ```
    #[track_caller]
    pub fn slice_axis(&self, axis: impl IntoAxis, start: impl IntoExpr, stop: impl IntoExpr, step: i64) -> Expr {
        let (start, stop) = (start.into_expr(), stop.into_expr());
        let range = self.axis(axis).and_then(|axis| {
            let size = &self.dims()[axis];
            let bounds = (from_end(start.to_dim()?, size), from_end(stop.to_dim()?, size));
            Ok((axis, walk(bounds.0, bounds.1, step)?))
        });
        match range {
            Ok((axis, range)) => {
                let mut ranges = self.whole_ranges();
                ranges[axis] = range;
                self.take_ranges(ranges)
            }
            Err(message) => self.invalid_sizes(&[start, stop], message),
        }
    }

    /// The range of every axis, and for each axis of the result in order: `None` for a new one, else whether it
    /// is kept.
    #[allow(clippy::type_complexity)] // two lists for one caller
    fn split_parts(&self, parts: &[SliceInfoElem]) -> Result<(SmallVec<[SliceRange; 2]>, Vec<Option<bool>>), String> {
        let mut ranges = SmallVec::new();
        let mut kept = Vec::new();
        for part in parts {
            let axis = ranges.len();
            match part {
                SliceInfoElem::NewAxis => kept.push(None),
                SliceInfoElem::Index(index) => {
                    let start = from_end(Dim::from(*index as i64), &self.dims()[axis]);
                    ranges.push(SliceRange { start, step: 1, length: Dim::ONE });
                    kept.push(Some(false));
                }
                SliceInfoElem::Slice { start, end, step } => {
                    let size = &self.dims()[axis];
                    let range = reversible(size, *start as i64, end.map(|end| end as i64), *step as i64)
                        .map_err(|reason| format!("slice of axis {axis} of {}: {reason}", describe(self.ty())))?;
                    ranges.push(range);
                    kept.push(Some(true));
                }
            }
        }
        Ok((ranges, kept))
    }
}

/// A bound counted from the first element.
fn from_end(bound: Dim, size: &Dim) -> Dim {
    if bound.constant().is_some_and(|bound| bound < 0) { size.add(&bound) } else { bound }
}

/// ndarray's range: `start..end`, taken backwards if the step is negative.
fn reversible(size: &Dim, start: i64, end: Option<i64>, step: i64) -> Result<SliceRange, String> {
    let first = from_end(Dim::from(start), size);
    let end = end.map_or_else(|| size.clone(), |end| from_end(Dim::from(end), size));
    if let (Some(size), Some(first), Some(end)) = (size.constant(), first.constant(), end.constant())
        && ![first, end].iter().all(|bound| (0..=size).contains(bound))
    {
        return Err(format!("{first}..{end} is not within an axis of {size}"));
    }
    let range = walk(first, end.clone(), checked_step(step)?.abs())?;
    if step > 0 || range.length == Dim::ZERO {
        return Ok(range);
    }
    Ok(SliceRange { start: end.sub(&Dim::ONE), step, length: range.length })
}

fn checked_step(step: i64) -> Result<i64, String> {
    match step {
        0 => Err("the step of a slice is 0".to_string()),
        i64::MIN => Err(format!("the step {step} of a slice is too long")),
        _ => Ok(step),
    }
}

/// The elements from `start` on, in steps, up to `stop`, which is not taken.
fn walk(start: Dim, stop: Dim, step: i64) -> Result<SliceRange, String> {
    let distance = if checked_step(step)? > 0 { stop.sub(&start) } else { start.sub(&stop) };
    if distance.constant().is_some_and(|distance| distance <= 0) {
        return Ok(SliceRange { start, step: 1, length: Dim::ZERO });
    }
    Ok(SliceRange { start, step, length: distance.ceil_div(step.abs()) })
}
