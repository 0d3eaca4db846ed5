//! One call of a program: its steps are recorded in order and submitted together; only what the host must see in between
//! is waited for.

use smallvec::SmallVec;

use crate::backend::gpu::{GpuKernel, Reading, Recorder};
use crate::error::{Error, Result};
use crate::lower::plan::KernelStep;
use crate::runtime::OutPlace;
use crate::runtime::gpu::frame::Frame;
use crate::runtime::gpu::program::{DeviceStep, GpuProgram, ProductStep};
use crate::runtime::gpu::transfer;
use crate::runtime::place::DevicePlace;
use crate::runtime::windows::{size, sizes};

/// A program while it runs: a call, or a step of a loop.
pub(super) struct Call<'r, 'a> {
    pub frame: &'r mut Frame<'a>,
    pub recorder: &'r mut Recorder,
}

impl<'a> Call<'_, 'a> {
    /// Runs or records all steps.
    ///
    /// # Safety
    /// As `step`.
    ///
    /// # Errors
    /// As `step`.
    pub unsafe fn steps(&mut self, program: &'a GpuProgram) -> Result<()> {
        for (number, step) in program.steps.iter().enumerate() {
            // SAFETY: passed on.
            unsafe { self.step(number, step)? };
        }
        Ok(())
    }

    /// Runs or records a step.
    ///
    /// # Safety
    /// As `Frame::new`.
    ///
    /// # Errors
    /// `Unsupported` for sizes beyond the limits of the device, `Memory`, `Device`; what a host function returns;
    /// `Argument` for a number of steps below zero.
    pub unsafe fn step(&mut self, number: usize, step: &'a DeviceStep) -> Result<()> {
        // SAFETY: passed on.
        unsafe {
            match step {
                DeviceStep::Kernel(step) => self.kernel(step),
                DeviceStep::Product(step) => self.product(step),
                DeviceStep::HostKernel(step) => self.host_kernel(step),
                DeviceStep::Custom(step) => self.custom(step),
                DeviceStep::Loop(step) => self.run_loop(number, step),
            }
        }
    }

    fn kernel(&mut self, step: &KernelStep<GpuKernel>) -> Result<()> {
        let extents = sizes(&step.extents, self.frame.symbols)?;
        self.frame.outdate(step.kernel.kernel(), &step.windows);
        let operands = self.frame.operands(&step.windows, extents.len())?;
        step.kernel.record(self.recorder, &extents, &operands)
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
        step.product.record(self.recorder, sizes, left, right, others)
    }

    /// Submits what is left, and brings the results where the caller wants them.
    ///
    /// # Safety
    /// As `Frame::new`; the outputs are those given there.
    ///
    /// # Errors
    /// `Device` if the device is lost; `Memory` if there is none to read through, before anything is written.
    pub unsafe fn finish(self, outputs: &mut [OutPlace<'_>]) -> Result<()> {
        let mut readings: SmallVec<[Option<Reading>; 2]> = SmallVec::new();
        for (place, made) in outputs.iter().zip(&self.frame.outputs) {
            let is_wanted = place.host().is_some() && made.host.is_none();
            readings.push(is_wanted.then(|| self.recorder.read(made.on_device()?)).transpose()?);
        }
        self.recorder.submit()?;
        for ((place, made), reading) in outputs.iter_mut().zip(&self.frame.outputs).zip(readings) {
            if let Some(DevicePlace::Replaced(memory)) = place.device() {
                **memory = made.on_device()?.clone();
            }
            let Some(memory) = place.host() else { continue };
            // SAFETY: the caller vouches for the place; what was made has its shape and dtype.
            unsafe {
                match (reading, &made.host) {
                    (Some(reading), _) => transfer::fetch(self.recorder, reading, &memory)?,
                    (None, Some(block)) => memory.scatter(block.bytes().as_ptr()),
                    (None, None) => return Err(Error::Internal("an output that no step makes".to_string())),
                }
            }
        }
        Ok(())
    }
}
