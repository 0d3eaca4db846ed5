//! The memory of one call: what was uploaded for it, its slots, and where its outputs are made; and likewise that of the
//! body of a loop, which all its steps share.
//!
//! All of it is had before the first command is recorded, so that running out of it leaves the results untouched. What no
//! step on the device uses is not uploaded.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::array::{Array, Block};
use crate::backend::gpu::{DeviceMemory, Gpu, GpuBase, GpuOperand};
use crate::error::{Error, Result};
use crate::loops::{Access, Kernel};
use crate::lower::plan::{Source, Window};
use crate::runtime::OutPlace;
use crate::runtime::gpu::looping::LoopMemory;
use crate::runtime::gpu::program::{DeviceStep, GpuProgram, Resident};
use crate::runtime::gpu::transfer;
use crate::runtime::memory::{Memory, Operand, Sizes};
use crate::runtime::place::DevicePlace;
use crate::runtime::windows::{locate, size};
use crate::shape::{Symbols, byte_size, row_major_strides};

/// The memory of a call, or of a loop's body.
pub(super) struct Frame<'a> {
    pub constants: &'a [Array],
    pub symbols: &'a Symbols,
    /// The arguments: of a body, those of the current step.
    pub arguments: Vec<Argument<'a>>,
    resident: Arc<Resident>,
    slots: Vec<Twin>,
    /// The outputs: of a body, those of the current step.
    pub outputs: Vec<Twin>,
    /// The memory of the loops, by step.
    pub loops: FxHashMap<usize, LoopMemory<'a>>,
}

/// An argument, as far as steps read it.
#[derive(Default)]
pub(super) struct Argument<'a> {
    /// On the host.
    pub host: Option<Memory<'a>>,
    /// On the device, with its own strides.
    pub strided: Option<Placed>,
    /// On the device, row-major.
    pub packed: Option<Placed>,
}

/// Memory from an element on, with strides of its own, or row-major.
#[derive(Clone)]
pub(super) struct Placed {
    pub memory: DeviceMemory,
    pub offset: i64,
    pub strides: Option<Sizes<isize>>,
}

/// A slot or an output, which steps on the host use as well as those on the device.
///
/// The device's copy is current after every step. That of the host is current where it is there: a step on the host that
/// writes keeps it and passes it on, a step on the device that writes drops it.
pub(super) struct Twin {
    pub bytes: usize,
    /// The number of its first element in the device's memory.
    pub offset: i64,
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
        resident: Arc<Resident>,
        inputs: &[Operand<'a>],
        outputs: &mut [OutPlace<'_>],
        symbols: &'a Symbols,
    ) -> Result<Frame<'a>> {
        let gpu = resident.gpu.clone();
        let mut frame = Frame::inside(program, resident, symbols)?;
        for (index, place) in outputs.iter_mut().enumerate() {
            let bytes = byte_size(place.shape(), place.dtype().size())?;
            let device = match place.device() {
                Some(DevicePlace::Own(own)) => Some(own.clone()),
                Some(DevicePlace::Replaced(_)) => Some(gpu.allocate(bytes)?),
                None if program.on_device.contains(&Source::Output(index)) => Some(gpu.allocate(bytes)?),
                None => None,
            };
            frame.outputs.push(Twin { bytes, offset: 0, device, host: None });
        }
        for (index, input) in inputs.iter().enumerate() {
            let used = |source: Source| program.on_device.contains(&source);
            let (strided, packed) = (used(Source::Input(index)), used(Source::PackedInput(index)));
            // SAFETY: the caller vouches for the inputs.
            frame.arguments.push(unsafe { argument(&gpu, input, strided, packed)? });
        }
        Ok(frame)
    }

    /// All but the arguments and the outputs.
    ///
    /// # Errors
    /// As `new`.
    pub fn inside(program: &'a GpuProgram, resident: Arc<Resident>, symbols: &'a Symbols) -> Result<Frame<'a>> {
        let gpu = &resident.gpu;
        let mut slots = Vec::with_capacity(program.slots.len());
        for (index, slot) in program.slots.iter().enumerate() {
            let bytes = byte_size(&[size(&slot.count, symbols)?], slot.element)?;
            let is_used = program.on_device.contains(&Source::Slot(index));
            let device = is_used.then(|| gpu.allocate(bytes)).transpose()?;
            slots.push(Twin { bytes, offset: 0, device, host: None });
        }
        let mut loops = FxHashMap::default();
        for (number, step) in program.steps.iter().enumerate() {
            if let DeviceStep::Loop(step) = step {
                loops.insert(number, LoopMemory::new(step, gpu, symbols)?);
            }
        }
        let (arguments, outputs) = (Vec::new(), Vec::new());
        Ok(Frame { constants: &program.constants, symbols, arguments, resident, slots, outputs, loops })
    }

    /// The device.
    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.resident.gpu
    }

    /// An argument that is on the host.
    pub fn host_argument(&self, index: usize) -> Option<Memory<'a>> {
        self.arguments[index].host
    }

    /// An argument on the device: strided or packed, as the source says.
    ///
    /// # Errors
    /// `Internal` if it is not there, or the source is no argument.
    pub fn argument(&self, source: &Source) -> Result<&Placed> {
        let placed = match source {
            Source::Input(index) => &self.arguments[*index].strided,
            Source::PackedInput(index) => &self.arguments[*index].packed,
            Source::Constant(_)
            | Source::Output(_)
            | Source::Slot(_)
            | Source::Positions
            | Source::Size(_)
            | Source::Product => &None,
        };
        placed.as_ref().ok_or_else(elsewhere)
    }

    /// A window as a step on the device sees it.
    ///
    /// # Errors
    /// `Internal` for memory that is not on the device.
    pub fn operand(&self, window: &Window, axes: usize) -> Result<GpuOperand<'_>> {
        let (memory, first, own) = match &window.source {
            Source::Positions => return self.positions(window, axes, 0),
            Source::Size(size) => return self.positions(window, axes, size.evaluate(self.symbols)?),
            Source::Product => return Err(elsewhere()),
            source @ (Source::Input(_) | Source::PackedInput(_)) => {
                let Placed { memory, offset, strides } = self.argument(source)?;
                (memory, *offset, strides.as_deref())
            }
            Source::Constant(index) => (self.resident.constants[*index].as_ref().ok_or_else(elsewhere)?, 0, None),
            Source::Output(index) => (self.outputs[*index].on_device()?, self.outputs[*index].offset, None),
            Source::Slot(index) => (self.slots[*index].on_device()?, self.slots[*index].offset, None),
        };
        let mut strides: Sizes<isize> = SmallVec::from_elem(0, axes);
        let offset = locate(window, own, self.symbols, &mut strides)?;
        Ok(operand(GpuBase::Memory(memory), first.wrapping_add(offset as i64), &strides))
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

fn operand<'m>(base: GpuBase<'m>, offset: i64, strides: &[isize]) -> GpuOperand<'m> {
    GpuOperand { base, offset, strides: strides.iter().map(|&stride| stride as i64).collect() }
}

/// # Safety
/// The input is valid for reads.
unsafe fn argument<'a>(gpu: &Arc<Gpu>, input: &Operand<'a>, strided: bool, packed: bool) -> Result<Argument<'a>> {
    let whole = |memory| Placed { memory, offset: 0, strides: None };
    let memory = match input {
        Operand::Host(memory) => memory,
        Operand::Device(array) => {
            let placed = Some(whole(array.memory().clone()));
            return Ok(Argument { host: None, strided: placed.clone(), packed: placed });
        }
    };
    // SAFETY: passed on as promised by the caller.
    unsafe {
        let strided = strided.then(|| upload_strided(gpu, memory)).transpose()?;
        let packed = match &strided {
            Some(placed) if packed && placed.strides.is_none() => Some(placed.clone()),
            _ if packed => Some(whole(transfer::upload(gpu, memory)?)),
            _ => None,
        };
        Ok(Argument { host: Some(*memory), strided, packed })
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
        return Ok(Placed { memory: unsafe { transfer::upload(gpu, memory)? }, offset: 0, strides: None });
    }
    let shape: Sizes<usize> = axes().map(|(&size, &stride)| if repeats(size, stride) { 1 } else { size }).collect();
    // SAFETY: the first of each run of repeated elements is one of the memory's.
    let uploaded = unsafe { transfer::upload(gpu, &Memory { shape: &shape, ..*memory })? };
    let mut strides = row_major_strides(&shape);
    for (stride, (&size, &old)) in strides.iter_mut().zip(axes()) {
        *stride = if repeats(size, old) { 0 } else { *stride };
    }
    Ok(Placed { memory: uploaded, offset: 0, strides: Some(strides) })
}
