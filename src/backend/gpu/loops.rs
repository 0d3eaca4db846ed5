//! The loops that a launch makes of a kernel's axes, and which elements of an operand they reach.
//!
//! Axes of extent 1 vanish, and neighboring axes that every operand walks as one become one loop. A *range* is a run
//! of points, or of elements of a reduction, in row-major order; what an operand reaches in it is bounded by a box.

use std::ops::Range;

use smallvec::SmallVec;

use crate::loops::Axis;

/// A loop: its extent and every operand's step along it, in elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loop {
    /// The number of iterations.
    pub extent: u64,
    /// One step for each operand.
    pub strides: SmallVec<[i64; 8]>,
}

/// The first and the last element that is reached, relative to an operand's offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub low: i64,
    /// The last.
    pub high: i64,
}

impl Span {
    /// Nothing but the element at the offset.
    pub const POINT: Span = Span { low: 0, high: 0 };

    /// The elements reached by any pair of iterations.
    pub fn plus(self, other: Span) -> Span {
        Span { low: self.low.saturating_add(other.low), high: self.high.saturating_add(other.high) }
    }

    fn walk(stride: i64, first: u64, last: u64) -> Span {
        let ends = [first, last].map(|index| stride.saturating_mul(index as i64));
        Span { low: ends[0].min(ends[1]), high: ends[0].max(ends[1]) }
    }
}

/// One loop for each axis.
pub fn plain(axes: &[Axis], extents: &[usize], stride: impl Fn(usize, Axis) -> i64, operands: usize) -> Vec<Loop> {
    let one = |axis: &Axis| Loop {
        extent: extents[axis.0 as usize] as u64,
        strides: (0..operands).map(|operand| stride(operand, *axis)).collect(),
    };
    axes.iter().map(one).collect()
}

/// As few loops as walk the same elements in the same order.
pub fn merged(loops: Vec<Loop>) -> Vec<Loop> {
    let mut result: Vec<Loop> = Vec::with_capacity(loops.len());
    for inner in loops.into_iter().filter(|one| one.extent != 1) {
        match result.last_mut() {
            Some(outer) if continues(outer, &inner) => {
                *outer = Loop { extent: outer.extent.saturating_mul(inner.extent), strides: inner.strides };
            }
            Some(_) | None => result.push(inner),
        }
    }
    result
}

fn continues(outer: &Loop, inner: &Loop) -> bool {
    let steps = outer.strides.iter().zip(&inner.strides);
    steps.clone().all(|(outer, step)| Some(*outer) == step.checked_mul(inner.extent as i64))
}

/// The number of iterations of nested loops.
pub fn count(loops: &[Loop]) -> u64 {
    loops.iter().fold(1, |count, one| count.saturating_mul(one.extent))
}

/// What an operand reaches in a range of the iterations of nested loops, which is not empty.
pub fn span(loops: &[Loop], operand: usize, range: &Range<u64>) -> Span {
    let (mut first, mut last) = (range.start, range.end.saturating_sub(1));
    let mut inner: u64 = count(loops);
    let mut result = Span::POINT;
    let mut is_whole = false;
    for one in loops {
        inner /= one.extent.max(1);
        let (low, high) =
            if is_whole { (0, one.extent.saturating_sub(1)) } else { (first / inner.max(1), last / inner.max(1)) };
        result = result.plus(Span::walk(one.strides[operand], low, high));
        is_whole |= low != high;
        (first, last) = (first % inner.max(1), last % inner.max(1));
    }
    result
}

/// What an operand reaches from loops that are each walked from start to end, beside or inside one another.
pub fn box_of(loops: &[Loop], operand: usize) -> Span {
    let walks = loops.iter().map(|one| Span::walk(one.strides[operand], 0, one.extent.saturating_sub(1)));
    walks.fold(Span::POINT, Span::plus)
}

/// Where to cut a range in two: at a multiple of an inner loop's iterations, if one lies inside.
pub fn middle(loops: &[Loop], range: &Range<u64>) -> u64 {
    let length = range.end - range.start;
    let half = range.start + length / 2;
    let mut unit = count(loops);
    for one in loops {
        unit /= one.extent.max(1);
        let cut = half - half.checked_rem(unit).unwrap_or(0);
        if unit > 1 && cut > range.start && cut < range.end {
            return cut;
        }
    }
    // Whole words of bytes and whole workgroups, where that is possible.
    let cut = half / 1024 * 1024;
    if cut > range.start { cut } else { half }
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;

    fn one(extent: u64, stride: i64) -> Loop {
        Loop { extent, strides: smallvec![stride] }
    }

    #[test]
    fn contiguous_axes_become_one_loop() {
        let loops = merged(vec![one(2, 12), one(1, 99), one(3, 4), one(4, 1)]);
        assert_eq!(loops, [one(24, 1)]);
        assert_eq!(merged(vec![one(3, 1), one(4, 3)]), [one(3, 1), one(4, 3)]);
        assert_eq!(merged(vec![one(5, 0), one(7, 0)]), [one(35, 0)]);
        assert!(merged(vec![one(1, 5)]).is_empty());
    }

    #[test]
    fn spans_bound_what_a_range_reaches() {
        let loops = [one(3, 10), one(4, -1)];
        assert_eq!(span(&loops, 0, &(0..12)), Span { low: -3, high: 20 });
        assert_eq!(span(&loops, 0, &(5..7)), Span { low: 8, high: 9 });
        assert_eq!(span(&loops, 0, &(7..9)), Span { low: 7, high: 20 });
        assert_eq!(span(&[], 0, &(0..1)), Span::POINT);
        // Every element of every range is within its span.
        for start in 0..12_u64 {
            for end in start + 1..=12 {
                let span = span(&loops, 0, &(start..end));
                for number in start..end {
                    let element = (number / 4) as i64 * 10 - (number % 4) as i64;
                    assert!(span.low <= element && element <= span.high, "{start}..{end}: {number}");
                }
            }
        }
    }

    #[test]
    fn ranges_are_cut_inside() {
        let loops = [one(100, 7), one(30, 1)];
        assert_eq!(middle(&loops, &(0..3000)), 1500);
        assert_eq!(middle(&loops, &(0..100)), 30);
        assert_eq!(middle(&loops, &(31..35)), 33);
        assert_eq!(middle(&[one(10_000, 1)], &(0..10_000)), 4096);
    }
}
