//! The memory of one call: what was uploaded for it, its slots, and where its outputs are made.
//!
//! All of it is had before the first command is recorded, so that running out of it leaves the results untouched. What no
//! step on the device uses is not uploaded.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::array::{Array, Block};
use crate::backend::gpu::{DeviceMemory, Gpu, GpuBase, GpuOperand};
use crate::error::{Error, Result};
use crate::loops::{Access, Kernel};
use crate::lower::plan::{Source, Window};
use crate::runtime::OutPlace;
use crate::runtime::gpu::program::{GpuProgram, Resident};
use crate::runtime::gpu::transfer;
use crate::runtime::memory::{Memory, Operand, Sizes};
use crate::runtime::place::DevicePlace;
use crate::runtime::windows::{locate, size};
use crate::shape::{Symbols, byte_size, row_major_strides};

/// The memory of a call.
pub(super) struct Frame<'a> {
    pub gpu: &'a Arc<Gpu>,
    pub inputs: &'a [Operand<'a>],
    pub constants: &'a [Array],
    pub symbols: &'a Symbols,
    uploads: Vec<Uploads>,
    resident: &'a Resident,
    slots: Vec<Twin>,
    outputs: Vec<Twin>,
}

/// An argument on the device, as far as steps there read it.
#[derive(Default)]
struct Uploads {
    strided: Option<Placed>,
    packed: Option<Placed>,
}

/// Memory with strides of its own, or row-major.
#[derive(Clone)]
struct Placed {
    memory: DeviceMemory,
    strides: Option<Sizes<isize>>,
}

/// A slot or an output, which steps on the host use as well as those on the device.
///
/// The device's copy is current after every step. That of the host is current where it is there: a step on the host that
/// writes keeps it and passes it on, a step on the device that writes drops it.
pub(super) struct Twin {
    pub bytes: usize,
    /// None where no step on the device uses it and no result is wanted there.
    pub device: Option<DeviceMemory>,
    pub host: Option<Block>,
}

impl<'a> Frame<'a> {
    /// Uploads what the program reads and allocates what it writes.
    ///
    /// # Safety
    /// As `GpuProgram::run`.
    ///
    /// # Errors
    /// `Memory` if there is not enough, `Device` if the device is lost.
    pub unsafe fn new(
        program: &'a GpuProgram,
        resident: &'a Resident,
        inputs: &'a [Operand<'a>],
        outputs: &mut [OutPlace<'_>],
        symbols: &'a Symbols,
    ) -> Result<Frame<'a>> {
        let gpu = &resident.gpu;
        let used = |source: Source| program.on_device.contains(&source);
        let memory = |bytes: usize, wanted: bool| wanted.then(|| gpu.allocate(bytes)).transpose();
        let mut frame = Frame {
            gpu,
            inputs,
            constants: &program.constants,
            symbols,
            uploads: Vec::with_capacity(inputs.len()),
            resident,
            slots: Vec::with_capacity(program.slots.len()),
            outputs: Vec::with_capacity(outputs.len()),
        };
        for (index, place) in outputs.iter_mut().enumerate() {
            let bytes = byte_size(place.shape(), place.dtype().size())?;
            let device = match place.device() {
                Some(DevicePlace::Own(own)) => Some(own.clone()),
                Some(DevicePlace::Replaced(_)) => memory(bytes, true)?,
                None => memory(bytes, used(Source::Output(index)))?,
            };
            frame.outputs.push(Twin { bytes, device, host: None });
        }
        for (index, slot) in program.slots.iter().enumerate() {
            let bytes = byte_size(&[size(&slot.count, symbols)?], slot.element)?;
            let device = memory(bytes, used(Source::Slot(index)))?;
            frame.slots.push(Twin { bytes, device, host: None });
        }
        for (index, input) in inputs.iter().enumerate() {
            let (strided, packed) = (used(Source::Input(index)), used(Source::PackedInput(index)));
            // SAFETY: the caller vouches for the inputs.
            frame.uploads.push(unsafe { uploads(gpu, input, strided, packed)? });
        }
        Ok(frame)
    }

    /// A window as a step on the device sees it.
    ///
    /// # Errors
    /// `Internal` for memory that is not on the device.
    fn operand(&self, window: &Window, axes: usize) -> Result<GpuOperand<'_>> {
        let (memory, own) = match &window.source {
            Source::Positions => return self.positions(window, axes, 0),
            Source::Size(size) => return self.positions(window, axes, size.evaluate(self.symbols)?),
            Source::Product => return Err(elsewhere()),
            Source::Input(index) => placed(&self.uploads[*index].strided)?,
            Source::PackedInput(index) => placed(&self.uploads[*index].packed)?,
            Source::Constant(index) => (self.resident.constants[*index].as_ref().ok_or_else(elsewhere)?, None),
            Source::Output(index) => (self.outputs[*index].device.as_ref().ok_or_else(elsewhere)?, None),
            Source::Slot(index) => (self.slots[*index].device.as_ref().ok_or_else(elsewhere)?, None),
        };
        let mut strides: Sizes<isize> = SmallVec::from_elem(0, axes);
        let offset = locate(window, own, self.symbols, &mut strides)?;
        Ok(operand(GpuBase::Memory(memory), offset as i64, &strides))
    }

    fn positions(&self, window: &Window, axes: usize, first: i64) -> Result<GpuOperand<'_>> {
        let mut strides: Sizes<isize> = SmallVec::from_elem(0, axes);
        let offset = locate(window, None, self.symbols, &mut strides)?;
        Ok(operand(GpuBase::Position, first.wrapping_add(offset as i64), &strides))
    }

    /// The windows of a step, in order.
    ///
    /// # Errors
    /// As `operand`.
    pub fn operands(&self, windows: &[Window], axes: usize) -> Result<SmallVec<[GpuOperand<'_>; 4]>> {
        windows.iter().map(|window| self.operand(window, axes)).collect()
    }

    /// Drops what the host has of memory that a step on the device is about to write.
    pub fn outdate(&mut self, kernel: &Kernel, windows: &[Window]) {
        for (operand, window) in kernel.operands.iter().zip(windows) {
            if operand.access == Access::Write
                && let Some(twin) = self.twin(&window.source)
            {
                twin.host = None;
            }
        }
    }

    /// The memory of a slot or an output; none for what no step writes.
    pub fn twin(&mut self, source: &Source) -> Option<&mut Twin> {
        match source {
            Source::Output(index) => Some(&mut self.outputs[*index]),
            Source::Slot(index) => Some(&mut self.slots[*index]),
            Source::Input(_)
            | Source::PackedInput(_)
            | Source::Constant(_)
            | Source::Positions
            | Source::Size(_)
            | Source::Product => None,
        }
    }

    /// Where the outputs were made.
    pub fn outputs(&self) -> &[Twin] {
        &self.outputs
    }
}

impl Twin {
    /// The memory on the device.
    ///
    /// # Errors
    /// `Internal` if there is none.
    pub fn on_device(&self) -> Result<&DeviceMemory> {
        self.device.as_ref().ok_or_else(elsewhere)
    }
}

fn elsewhere() -> Error {
    Error::Internal("a step reads memory that is not where the step runs".to_string())
}

fn placed(placed: &Option<Placed>) -> Result<(&DeviceMemory, Option<&[isize]>)> {
    let Placed { memory, strides } = placed.as_ref().ok_or_else(elsewhere)?;
    Ok((memory, strides.as_deref()))
}

fn operand<'m>(base: GpuBase<'m>, offset: i64, strides: &[isize]) -> GpuOperand<'m> {
    GpuOperand { base, offset, strides: strides.iter().map(|&stride| stride as i64).collect() }
}

/// # Safety
/// The input is valid for reads.
unsafe fn uploads(gpu: &Arc<Gpu>, input: &Operand<'_>, strided: bool, packed: bool) -> Result<Uploads> {
    let memory = match input {
        Operand::Host(memory) => memory,
        Operand::Device(array) => {
            let placed = Placed { memory: array.memory().clone(), strides: None };
            return Ok(Uploads { strided: Some(placed.clone()), packed: Some(placed) });
        }
    };
    // SAFETY: passed on as promised by the caller.
    unsafe {
        let strided = strided.then(|| upload_strided(gpu, memory)).transpose()?;
        let packed = match &strided {
            Some(placed) if packed && placed.strides.is_none() => Some(placed.clone()),
            _ if packed => Some(Placed { memory: transfer::upload(gpu, memory)?, strides: None }),
            _ => None,
        };
        Ok(Uploads { strided, packed })
    }
}

/// Uploads each element once: those that a view repeats are not repeated on the device's side.
///
/// # Safety
/// The memory is valid for reads.
unsafe fn upload_strided(gpu: &Arc<Gpu>, memory: &Memory<'_>) -> Result<Placed> {
    let repeats = |size: usize, stride: isize| stride == 0 && size > 1;
    let axes = || memory.shape.iter().zip(memory.strides);
    if memory.is_contiguous() || !axes().any(|(&size, &stride)| repeats(size, stride)) {
        // SAFETY: passed on.
        return Ok(Placed { memory: unsafe { transfer::upload(gpu, memory)? }, strides: None });
    }
    let shape: Sizes<usize> = axes().map(|(&size, &stride)| if repeats(size, stride) { 1 } else { size }).collect();
    // SAFETY: the first of each run of repeated elements is one of the memory's.
    let uploaded = unsafe { transfer::upload(gpu, &Memory { shape: &shape, ..*memory })? };
    let mut strides = row_major_strides(&shape);
    for (stride, (&size, &old)) in strides.iter_mut().zip(axes()) {
        *stride = if repeats(size, old) { 0 } else { *stride };
    }
    Ok(Placed { memory: uploaded, strides: Some(strides) })
}
