//! One call of a program: its steps are recorded in order and submitted together; only what the host must see in between
//! is waited for.

use smallvec::SmallVec;

use crate::backend::gpu::{GpuKernel, Reading, Recorder};
use crate::error::{Error, Result};
use crate::lower::plan::KernelStep;
use crate::runtime::OutPlace;
use crate::runtime::gpu::frame::Frame;
use crate::runtime::gpu::program::{DeviceStep, GpuProgram, ProductStep, Resident};
use crate::runtime::gpu::transfer;
use crate::runtime::memory::Operand;
use crate::runtime::place::DevicePlace;
use crate::runtime::windows::{size, sizes};
use crate::shape::Symbols;

/// A call while it runs.
pub(super) struct Call<'a> {
    pub frame: Frame<'a>,
    pub recorder: Recorder,
}

impl<'a> Call<'a> {
    /// Has all memory of a call.
    ///
    /// # Safety
    /// As `GpuProgram::run`, for as long as the call lives.
    ///
    /// # Errors
    /// As `Frame::new`.
    pub unsafe fn new(
        program: &'a GpuProgram,
        resident: &'a Resident,
        inputs: &'a [Operand<'a>],
        outputs: &mut [OutPlace<'_>],
        symbols: &'a Symbols,
    ) -> Result<Call<'a>> {
        // SAFETY: passed on.
        let frame = unsafe { Frame::new(program, resident, inputs, outputs, symbols)? };
        Ok(Call { frame, recorder: resident.gpu.recorder() })
    }

    /// Runs or records a step.
    ///
    /// # Safety
    /// As `Call::new`.
    ///
    /// # Errors
    /// `Unsupported` for sizes beyond the limits of the device, `Memory`, `Device`; what a host function returns.
    pub unsafe fn step(&mut self, step: &DeviceStep) -> Result<()> {
        // SAFETY: passed on.
        unsafe {
            match step {
                DeviceStep::Kernel(step) => self.kernel(step),
                DeviceStep::Product(step) => self.product(step),
                DeviceStep::HostKernel(step) => self.host_kernel(step),
                DeviceStep::Custom(step) => self.custom(step),
            }
        }
    }

    fn kernel(&mut self, step: &KernelStep<GpuKernel>) -> Result<()> {
        let extents = sizes(&step.extents, self.frame.symbols)?;
        self.frame.outdate(step.kernel.kernel(), &step.windows);
        let operands = self.frame.operands(&step.windows, extents.len())?;
        step.kernel.record(&mut self.recorder, &extents, &operands)
    }

    fn product(&mut self, step: &ProductStep) -> Result<()> {
        let [rows, inner, columns] = &step.sizes;
        let symbols = self.frame.symbols;
        let sizes = [1, size(rows, symbols)?, size(inner, symbols)?, size(columns, symbols)?];
        self.frame.outdate(step.product.kernel().kernel(), &step.windows);
        let mut operands = self.frame.operands(&step.windows, 2)?;
        // The axis of batches, of which there is one.
        operands.iter_mut().for_each(|operand| operand.strides.insert(0, 0));
        let [left, right, others @ ..] = operands.as_slice() else {
            return Err(Error::Internal("a matrix product of fewer than two matrices".to_string()));
        };
        step.product.record(&mut self.recorder, sizes, left, right, others)
    }

    /// Submits what is left, and brings the results where the caller wants them.
    ///
    /// # Safety
    /// As `Call::new`; the outputs are those given there.
    ///
    /// # Errors
    /// `Device` if the device is lost; `Memory` if there is none to read through, before anything is written.
    pub unsafe fn finish(mut self, outputs: &mut [OutPlace<'_>]) -> Result<()> {
        let mut readings: SmallVec<[Option<Reading>; 2]> = SmallVec::new();
        for (place, made) in outputs.iter().zip(self.frame.outputs()) {
            let is_wanted = place.host().is_some() && made.host.is_none();
            readings.push(is_wanted.then(|| self.recorder.read(made.on_device()?)).transpose()?);
        }
        self.recorder.submit()?;
        for ((place, made), reading) in outputs.iter_mut().zip(self.frame.outputs()).zip(readings) {
            if let Some(DevicePlace::Replaced(memory)) = place.device() {
                **memory = made.on_device()?.clone();
            }
            let Some(memory) = place.host() else { continue };
            // SAFETY: the caller vouches for the place; what was made has its shape and dtype.
            unsafe {
                match (reading, &made.host) {
                    (Some(reading), _) => transfer::fetch(&mut self.recorder, reading, &memory)?,
                    (None, Some(block)) => memory.scatter(block.bytes().as_ptr()),
                    (None, None) => return Err(Error::Internal("an output that no step makes".to_string())),
                }
            }
        }
        Ok(())
    }
}
