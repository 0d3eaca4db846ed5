//! What may be given as an axis or as a list of axes.
//!
//! Knows integers and ranges, nothing of expressions. Negative axes count from the last one.

use std::ops::RangeFull;

use smallvec::SmallVec;

/// Axes as a user gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Axes {
    /// Every axis: `..`.
    All,
    /// These, in this order; negative ones count from the last axis.
    List(SmallVec<[i64; 3]>),
}

impl Axes {
    /// The axes of an array of this rank, counted from the first, in the given order.
    ///
    /// # Errors
    /// A sentence that names the axis that does not exist or comes twice.
    pub fn resolve(&self, rank: usize) -> Result<SmallVec<[u32; 3]>, String> {
        let Axes::List(list) = self else {
            return Ok((0..rank as u32).collect());
        };
        let mut resolved = SmallVec::new();
        for &axis in list {
            let from_first = from_first(axis, rank)
                .ok_or_else(|| format!("axis {axis} does not exist in an array of rank {rank}"))?;
            if resolved.contains(&(from_first as u32)) {
                return Err(format!("axis {axis} is given twice in {:?}", list.as_slice()));
            }
            resolved.push(from_first as u32);
        }
        Ok(resolved)
    }
}

/// An axis counted from the first, if it exists.
pub(crate) fn from_first(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis.checked_add(rank)? } else { axis };
    if (0..rank).contains(&axis) { usize::try_from(axis).ok() } else { None }
}

/// An axis: any of the usual integers; negative ones count from the last.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an axis",
    label = "expected an i32, i64, isize or usize; negative ones count from the last axis"
)]
pub trait IntoAxis {
    /// The axis as given.
    fn into_axis(self) -> i64;
}

/// Axes: `..` for all, one integer, or an array, slice or `Vec` of integers.
///
/// ```
/// let x = kroton::matrix::<f64>("x");
/// assert_eq!((x.sum(..).rank(), x.sum(-1).rank(), x.sum([0, 1]).rank()), (0, 1, 0));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name axes",
    label = "expected `..` for all axes, an integer, or an array, slice or Vec of integers"
)]
pub trait IntoAxes {
    /// The axes as given.
    fn into_axes(self) -> Axes;
}

impl IntoAxes for RangeFull {
    fn into_axes(self) -> Axes {
        Axes::All
    }
}

macro_rules! axis_integers {
    ($($type:ty)*) => { $(
        impl IntoAxis for $type {
            fn into_axis(self) -> i64 {
                // What does not fit is no axis of any array; the lowest number is none either.
                i64::try_from(self).unwrap_or(i64::MIN)
            }
        }
        impl IntoAxes for $type {
            fn into_axes(self) -> Axes {
                Axes::List(SmallVec::from_iter([self.into_axis()]))
            }
        }
    )* };
}
axis_integers!(i32 i64 isize usize);

impl<A: IntoAxis, const N: usize> IntoAxes for [A; N] {
    fn into_axes(self) -> Axes {
        Axes::List(self.into_iter().map(A::into_axis).collect())
    }
}

impl<A: IntoAxis + Copy, const N: usize> IntoAxes for &[A; N] {
    fn into_axes(self) -> Axes {
        self.as_slice().into_axes()
    }
}

impl<A: IntoAxis + Copy> IntoAxes for &[A] {
    fn into_axes(self) -> Axes {
        Axes::List(self.iter().map(|&axis| axis.into_axis()).collect())
    }
}

impl<A: IntoAxis> IntoAxes for Vec<A> {
    fn into_axes(self) -> Axes {
        Axes::List(self.into_iter().map(A::into_axis).collect())
    }
}

impl IntoAxes for Axes {
    fn into_axes(self) -> Axes {
        self
    }
}
