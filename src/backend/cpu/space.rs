//! Iteration spaces of a launch: extents, and the strides of each operand, with mergeable axes merged.
//!
//! Invariant: whatever is done to a space, it visits the same elements; only `sort_for` changes their order.
//! Must not know: code, threads.

use std::ops::Range;

use smallvec::SmallVec;

use super::form::{Port, Source};
use crate::error::{Error, Result};
use crate::loops::{Access, Axis, Base, Launch};

/// Addresses (or positions) of the operands, in the order of the ports.
pub(super) type Bases = SmallVec<[i64; 16]>;

/// Some axes of a launch.
#[derive(Debug, Clone)]
pub(super) struct Space {
    extents: SmallVec<[usize; 4]>,
    /// The strides of axis `a` are `[a · ports .. (a + 1) · ports]`.
    strides: SmallVec<[i64; 32]>,
    ports: usize,
}

/// The bases of the ports; 0 for slots of a state.
pub(super) fn origin(launch: &Launch<'_>, ports: &[Port]) -> Result<Bases> {
    ports.iter().map(|&port| base(launch, port)).collect()
}

/// The base of a port; 0 for a slot of a state.
pub(super) fn base(launch: &Launch<'_>, port: Port) -> Result<i64> {
    let Source::Kernel(id) = port.source else { return Ok(0) };
    match (launch.bindings.get(id.0 as usize).map(|binding| binding.base), port.operand.access) {
        (Some(Base::Host(address)), Access::Read | Access::Write) => Ok(address.expose_provenance() as i64),
        (Some(Base::Position(position)), Access::Index) => Ok(position),
        (Some(Base::Host(_) | Base::Position(_)) | None, _) => {
            Err(Error::Internal(format!("operand {} is bound to something else than its use", id.0)))
        }
    }
}

/// The bytes in memory that the operands reach, so many elements of each.
pub(super) fn reach(ports: &[Port], elements: impl Fn(usize) -> usize) -> usize {
    let memory = |(_, port): &(usize, &Port)| port.is_memory();
    let bytes = |(number, port): (usize, &Port)| elements(number).saturating_mul(port.operand.dtype.size());
    ports.iter().enumerate().filter(memory).map(bytes).fold(0, usize::saturating_add)
}

impl Space {
    /// These axes, outermost first, with axes of one iteration dropped and adjacent ones merged where they can be.
    pub fn new(launch: &Launch<'_>, axes: &[Axis], ports: &[Port]) -> Result<Space> {
        let mut space = Space { extents: SmallVec::new(), strides: SmallVec::new(), ports: ports.len() };
        for &Axis(axis) in axes {
            let extent = launch.extents.get(axis as usize).copied().ok_or_else(|| unbound(axis))?;
            if extent == 1 {
                continue;
            }
            space.extents.push(extent);
            for &port in ports {
                space.strides.push(stride(launch, port, axis as usize)?);
            }
        }
        space.settle_extents()?;
        space.merge_axes();
        Ok(space)
    }

    /// Sees to it that products of extents do not overflow: a space without iterations becomes one empty axis.
    fn settle_extents(&mut self) -> Result<()> {
        if self.extents.contains(&0) {
            self.extents.truncate(1);
            self.extents[0] = 0;
            self.strides.truncate(self.ports);
        }
        let count = self.extents.iter().try_fold(1_usize, |count, &extent| count.checked_mul(extent));
        match count {
            Some(_) => Ok(()),
            None => Err(Error::Shape(format!("{:?} elements are more than can be counted", self.extents.as_slice()))),
        }
    }

    /// The number of iterations.
    pub fn len(&self) -> usize {
        self.extents.iter().product()
    }

    /// The number of axes.
    pub fn axes(&self) -> usize {
        self.extents.len()
    }

    /// The strides along an axis.
    pub fn strides(&self, axis: usize) -> &[i64] {
        &self.strides[axis * self.ports..(axis + 1) * self.ports]
    }

    /// The iterations along the innermost axis; 1 if there are no axes.
    pub fn row(&self) -> usize {
        self.extents.last().copied().unwrap_or(1)
    }

    /// The strides along the innermost axis; none if there are no axes.
    pub fn row_strides(&self) -> &[i64] {
        self.axes().checked_sub(1).map_or(&[], |axis| self.strides(axis))
    }

    /// The bytes that the operands reach.
    pub fn reach(&self, ports: &[Port]) -> usize {
        let walked = |port: usize| (0..self.axes()).filter(move |&axis| self.strides(axis)[port] != 0);
        reach(ports, |port| walked(port).map(|axis| self.extents[axis]).product())
    }

    /// Joins neighbors that every operand steps through evenly.
    fn merge_axes(&mut self) {
        let mut axis = 1;
        while axis < self.axes() {
            let inner = self.extents[axis];
            let even =
                self.strides(axis - 1).iter().zip(self.strides(axis)).all(|(o, i)| *o == i.wrapping_mul(inner as i64));
            if !even {
                axis += 1;
                continue;
            }
            self.extents[axis - 1] *= inner;
            self.extents.remove(axis);
            self.strides.drain((axis - 1) * self.ports..axis * self.ports);
        }
    }

    /// Reorders the axes: the largest strides of the written operands outermost, then the best axis for rows last.
    pub fn sort_for(&mut self, ports: &[Port]) {
        if self.axes() < 2 {
            return;
        }
        let key = |space: &Space, axis: usize| -> i64 {
            let written =
                space.strides(axis).iter().zip(ports).filter(|(_, port)| port.operand.access == Access::Write);
            written.map(|(stride, _)| stride.saturating_abs()).fold(0, i64::saturating_add)
        };
        let mut order: SmallVec<[usize; 4]> = (0..self.axes()).collect();
        order.sort_by_key(|&axis| std::cmp::Reverse(key(self, axis)));
        self.reorder(&order);
        self.merge_axes();
        if let Some(best) = (0..self.axes()).max_by_key(|&axis| self.merit(axis, ports)) {
            let mut order: SmallVec<[usize; 4]> = (0..self.axes()).filter(|&axis| axis != best).collect();
            order.push(best);
            self.reorder(&order);
        }
    }

    /// How good an axis is for rows: long enough, then contiguous, then long.
    fn merit(&self, axis: usize, ports: &[Port]) -> (usize, usize, usize) {
        let contiguous = |(stride, port): (&i64, &Port)| match port.operand.access {
            Access::Write if *stride == port.operand.dtype.size() as i64 => 2,
            Access::Read if *stride == port.operand.dtype.size() as i64 || *stride == 0 => 1,
            Access::Index | Access::Write | Access::Read => 0,
        };
        let extent = self.extents[axis];
        (extent.min(16), self.strides(axis).iter().zip(ports).map(contiguous).sum(), extent)
    }

    fn reorder(&mut self, order: &[usize]) {
        let (extents, strides) = (self.extents.clone(), self.strides.clone());
        for (to, &from) in order.iter().enumerate() {
            self.extents[to] = extents[from];
            self.strides[to * self.ports..(to + 1) * self.ports]
                .copy_from_slice(&strides[from * self.ports..(from + 1) * self.ports]);
        }
    }

    /// The space without its innermost axis.
    pub fn without_rows(&self) -> Space {
        let axes = self.axes().saturating_sub(1);
        let strides = self.strides[..axes * self.ports].iter().copied().collect();
        Space { extents: self.extents[..axes].iter().copied().collect(), strides, ports: self.ports }
    }

    /// The bases at an iteration, numbered in row-major order.
    pub fn bases_at(&self, origin: &[i64], iteration: usize) -> Bases {
        let mut bases = Bases::from_slice(origin);
        let mut rest = iteration;
        for axis in (0..self.axes()).rev() {
            advance(&mut bases, self.strides(axis), (rest % self.extents[axis]) as i64);
            rest /= self.extents[axis];
        }
        bases
    }

    /// Calls a function with the bases of each of some iterations, in order.
    pub fn visit(&self, origin: &[i64], iterations: Range<usize>, mut each: impl FnMut(&[i64])) {
        if iterations.is_empty() {
            return;
        }
        let mut bases = self.bases_at(origin, iterations.start);
        let mut indices: SmallVec<[usize; 4]> = self.extents.clone();
        let mut rest = iterations.start;
        for (index, &extent) in indices.iter_mut().zip(&self.extents).rev() {
            (*index, rest) = (rest % extent, rest / extent);
        }
        for iteration in iterations.clone() {
            each(&bases);
            if iteration + 1 < iterations.end {
                self.step(&mut bases, &mut indices);
            }
        }
    }

    fn step(&self, bases: &mut Bases, indices: &mut [usize]) {
        for axis in (0..self.axes()).rev() {
            indices[axis] += 1;
            advance(bases, self.strides(axis), 1);
            if indices[axis] < self.extents[axis] {
                return;
            }
            advance(bases, self.strides(axis), -(self.extents[axis] as i64));
            indices[axis] = 0;
        }
    }
}

/// The length, bases and strides of a launch in which at most one axis has more than one iteration, which needs no
/// space; `None` for any other.
pub(super) fn single_row(launch: &Launch<'_>, axes: &[Axis], ports: &[Port]) -> Result<Option<(usize, Bases, Bases)>> {
    let mut long = axes.iter().filter(|Axis(axis)| launch.extents.get(*axis as usize) != Some(&1));
    let (Some(&Axis(axis)), None) = (long.next(), long.next()) else { return Ok(None) };
    let length = launch.extents.get(axis as usize).copied().ok_or_else(|| unbound(axis))?;
    let (mut bases, mut strides) = (Bases::new(), Bases::new());
    for &port in ports {
        bases.push(base(launch, port)?);
        strides.push(stride(launch, port, axis as usize)?);
    }
    Ok(Some((length, bases, strides)))
}

/// Adds, for each axis of loops over steps, its extent and the strides of the ports along it.
pub(super) fn push_steps(table: &mut Bases, launch: &Launch<'_>, axes: &[Axis], ports: &[Port]) -> Result<()> {
    for &Axis(axis) in axes {
        table.push(launch.extents.get(axis as usize).copied().ok_or_else(|| unbound(axis))? as i64);
        for &port in ports {
            table.push(stride(launch, port, axis as usize)?);
        }
    }
    Ok(())
}

/// Moves each base by so many steps.
pub(super) fn advance(bases: &mut [i64], strides: &[i64], steps: i64) {
    for (base, stride) in bases.iter_mut().zip(strides) {
        *base = base.wrapping_add(stride.wrapping_mul(steps));
    }
}

fn stride(launch: &Launch<'_>, port: Port, axis: usize) -> Result<i64> {
    match port.source {
        Source::State(_) => Ok(0),
        Source::Kernel(id) => {
            let binding = launch.bindings.get(id.0 as usize);
            let stride = binding.and_then(|binding| binding.strides.get(axis));
            stride.map(|&stride| stride as i64).ok_or_else(|| unbound(axis as u32))
        }
    }
}

fn unbound(axis: u32) -> Error {
    Error::Internal(format!("a launch that does not bind axis {axis}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(extents: &[usize], strides: &[&[i64]]) -> Space {
        let ports = strides[0].len();
        let mut space = Space {
            extents: SmallVec::from_slice(extents),
            strides: strides.iter().flat_map(|row| row.iter().copied()).collect(),
            ports,
        };
        space.merge_axes();
        space
    }

    #[test]
    fn even_axes_merge_and_others_stay() {
        assert_eq!(space(&[3, 4], &[&[32, -32], &[8, -8]]).extents.as_slice(), [12]);
        assert_eq!(space(&[2, 3, 4], &[&[96, 0], &[32, 0], &[8, 0]]).extents.as_slice(), [24]);
        let kept = space(&[2, 3, 4], &[&[100], &[32], &[8]]);
        assert_eq!((kept.extents.as_slice(), kept.strides.as_slice()), (&[2, 12][..], &[100, 8][..]));
    }

    #[test]
    fn visits_are_in_row_major_order_from_anywhere() {
        let space = space(&[2, 3, 2], &[&[1000], &[10], &[1]]);
        let mut seen = Vec::new();
        space.visit(&[5], 3..9, |bases| seen.push(bases[0]));
        assert_eq!(seen, [16, 25, 26, 1005, 1006, 1015]);
        assert_eq!(space.bases_at(&[5], 11)[0], 1026);
    }
}
