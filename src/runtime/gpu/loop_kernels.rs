//! What a loop has the device do beside the steps of its body: copies of states, and of rows and captured arrays that have to
//! be in row-major order; the numbers of the steps; and whether the guard holds anywhere.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use smallvec::smallvec;

use crate::backend::gpu::{DeviceMemory, GpuBase, GpuKernel, GpuOperand, Recorder, copies};
use crate::error::{Error, Result};
use crate::loops::Target;
use crate::lower::plan::LoopHead;
use crate::shape::row_major_strides;

/// Kernels, made ready with the loop.
#[derive(Debug)]
pub(super) struct LoopKernels {
    /// By bytes of an element and rank.
    copies: BTreeMap<(usize, usize), GpuKernel>,
    positions: Option<GpuKernel>,
    any: Option<GpuKernel>,
}

impl LoopKernels {
    /// The kernels that a loop may need.
    ///
    /// # Errors
    /// As `GpuKernel::new`.
    pub fn new(head: &LoopHead, target: &Target) -> Result<LoopKernels> {
        let whole = head.captured.iter().chain(&head.initial).map(|(window, shape)| (window.dtype, shape.len()));
        let rows = head.sequences.iter().map(|(window, shape)| (window.dtype, shape.len() - 1));
        let emitted = head.emitted.iter().map(|(dtype, shape)| (*dtype, shape.len()));
        let cleared = head.emitted.iter().filter(|_| head.guarded).map(|(dtype, shape)| (*dtype, shape.len() + 1));
        let counted = head.results.last().into_iter().flatten().map(|window| (window.dtype, 0));
        let mut kernels = BTreeMap::new();
        for (dtype, rank) in whole.chain(rows).chain(emitted).chain(cleared).chain(counted) {
            if let Entry::Vacant(entry) = kernels.entry((dtype.size(), rank)) {
                entry.insert(GpuKernel::new(copies::copy(dtype.size(), rank as u32), target)?);
            }
        }
        let positions = head.takes_index.then(|| GpuKernel::new(copies::positions(), target)).transpose()?;
        let any = head.guarded.then(|| GpuKernel::new(copies::any(), target)).transpose()?;
        Ok(LoopKernels { copies: kernels, positions, any })
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &GpuKernel> {
        self.copies.values().chain(&self.positions).chain(&self.any)
    }

    /// Records a copy of elements of so many bytes to the memory `to`, in row-major order from this element on.
    ///
    /// # Errors
    /// As `GpuKernel::record`.
    pub fn copy(
        &self,
        recorder: &mut Recorder,
        element: usize,
        shape: &[usize],
        from: GpuOperand<'_>,
        (to, first): (&DeviceMemory, i64),
    ) -> Result<()> {
        let kernel = self.copies.get(&(element, shape.len())).ok_or_else(missing)?;
        let strides = row_major_strides(shape).into_iter().map(|stride| stride as i64).collect();
        let to = GpuOperand { base: GpuBase::Memory(to), offset: first, strides };
        kernel.record(recorder, shape, &[from, to])
    }

    /// Records that some memory takes the numbers from `first` on.
    ///
    /// # Errors
    /// As `GpuKernel::record`.
    pub fn number(&self, recorder: &mut Recorder, first: i64, to: &DeviceMemory) -> Result<()> {
        let kernel = self.positions.as_ref().ok_or_else(missing)?;
        let from = GpuOperand { base: GpuBase::Position, offset: first, strides: smallvec![1] };
        let to_operand = GpuOperand { base: GpuBase::Memory(to), offset: 0, strides: smallvec![1] };
        kernel.record(recorder, &[to.bytes() / size_of::<i64>()], &[from, to_operand])
    }

    /// Records that the byte `place` of some memory says whether any of so many bools is true.
    ///
    /// # Errors
    /// As `GpuKernel::record`.
    pub fn any(
        &self,
        recorder: &mut Recorder,
        bools: (&DeviceMemory, usize),
        (to, place): (&DeviceMemory, usize),
    ) -> Result<()> {
        let kernel = self.any.as_ref().ok_or_else(missing)?;
        let from = GpuOperand { base: GpuBase::Memory(bools.0), offset: 0, strides: smallvec![1] };
        let to = GpuOperand { base: GpuBase::Memory(to), offset: place as i64, strides: smallvec![0] };
        kernel.record(recorder, &[bools.1], &[from, to])
    }
}

fn missing() -> Error {
    Error::Internal("a loop on a device lacks one of its kernels".to_string())
}
