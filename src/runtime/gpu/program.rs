//! A lowered plan on a GPU: what is made ready once, and what a device keeps of it between calls.
//!
//! Kernels and products are texts that know no device. What a device holds, the constants, is one `Resident`, which is
//! replaced as a whole when its device is lost. A call is run by `call`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustc_hash::FxHashSet;

use crate::array::Array;
use crate::backend::gpu::{Adapter, DeviceMemory, Gpu, GpuKernel, GpuProduct, open};
use crate::backend::{Executable, interpreter};
use crate::error::{Error, Result};
use crate::loops::{Kernel, Target};
use crate::lower::plan::{CustomStep, KernelStep, MatMulStep, Plan, Source, Step, Window};
use crate::runtime::OutPlace;
use crate::runtime::gpu::call::Call;
use crate::runtime::memory::Operand;
use crate::runtime::profile::{Counter, Profiler, traffic};
use crate::runtime::windows::{size, sizes};
use crate::schedule::Slot;
use crate::shape::{Dim, Symbols};

/// A plan that a GPU holds ready.
#[derive(Debug)]
pub struct GpuProgram {
    pub(super) steps: Vec<DeviceStep>,
    pub(super) slots: Vec<Slot>,
    pub(super) constants: Vec<Array>,
    /// What steps on the device read or write.
    pub(super) on_device: FxHashSet<Source>,
    adapter: Adapter,
    resident: Mutex<Option<Arc<Resident>>>,
    /// What counts, if the program is profiled.
    counters: Option<Counters>,
}

/// Counters: for each step, which is waited for, and for bringing the results where they are wanted.
#[derive(Debug)]
struct Counters {
    steps: Vec<Arc<Counter>>,
    results: Arc<Counter>,
}

/// A step of a program.
#[derive(Debug)]
pub(super) enum DeviceStep {
    /// One kernel.
    Kernel(KernelStep<GpuKernel>),
    /// A kernel that the device cannot compute.
    HostKernel(KernelStep<Arc<dyn Executable>>),
    /// A matrix product.
    Product(Box<ProductStep>),
    /// A host function.
    Custom(Box<CustomStep>),
}

/// A matrix product, with what is computed from its elements.
#[derive(Debug)]
pub(super) struct ProductStep {
    pub product: GpuProduct,
    /// Rows, inner size, columns.
    pub sizes: [Dim; 3],
    /// Left and right, and what else the kernel reads and writes, over rows and columns.
    pub windows: Vec<Window>,
}

/// What a device keeps between calls.
#[derive(Debug)]
pub(super) struct Resident {
    pub gpu: Arc<Gpu>,
    /// The constants that steps on the device read.
    pub constants: Vec<Option<DeviceMemory>>,
}

impl GpuProgram {
    /// Makes a plan ready for an adapter.
    ///
    /// # Errors
    /// `Unsupported` for what the target cannot run.
    pub fn new(plan: Plan<Kernel>, adapter: Adapter, target: &Target) -> Result<GpuProgram> {
        let Plan { steps, blocks: _, slots, constants } = plan;
        let steps: Vec<DeviceStep> = steps.into_iter().map(|step| prepare(step, target)).collect::<Result<_>>()?;
        let windows = steps.iter().flat_map(device_windows);
        let on_device = windows.map(|window| window.source.clone()).collect();
        Ok(GpuProgram { steps, slots, constants, on_device, adapter, resident: Mutex::default(), counters: None })
    }

    /// Counts every step from here on.
    pub fn watch(&mut self, profiler: &mut Profiler) {
        let steps = self.steps.iter().map(|step| match step {
            DeviceStep::Kernel(step) => profiler.watch_device_kernel(step.kernel.kernel()),
            DeviceStep::HostKernel(step) => profiler.watch_device_kernel(step.kernel.kernel()),
            DeviceStep::Product(_) => profiler.watch("matmul", "matmul"),
            DeviceStep::Custom(step) => profiler.watch(step.function.0.name.as_str(), "host function"),
        });
        let steps = steps.collect();
        self.counters = Some(Counters { steps, results: profiler.watch("results", "transfer") });
    }

    /// The device for a call: the one of the last call, or a fresh one if that is lost.
    ///
    /// # Errors
    /// `Device` if it cannot be opened.
    pub fn device(&self) -> Result<Arc<Gpu>> {
        let resident = self.resident.lock().unwrap_or_else(PoisonError::into_inner);
        match &*resident {
            Some(resident) if !resident.gpu.is_lost() => Ok(resident.gpu.clone()),
            Some(_) | None => open(&self.adapter),
        }
    }

    /// Runs the program.
    ///
    /// # Safety
    /// `inputs` are valid for reads and `outputs` for writes of their shapes and dtypes, outputs overlap nothing, what is
    /// on a device and not replaced is on this one, and all are what the plan was made for under these symbols.
    ///
    /// # Errors
    /// `Memory`, what a host function returns, and `Unsupported` for sizes beyond the device's limits, before anything is
    /// written; `Device` if the device is lost.
    pub unsafe fn run(
        &self,
        gpu: &Arc<Gpu>,
        inputs: &[Operand<'_>],
        outputs: &mut [OutPlace<'_>],
        symbols: &Symbols,
    ) -> Result<()> {
        let resident = self.resident(gpu)?;
        // SAFETY: passed on as promised by the caller.
        unsafe {
            let mut call = Call::new(self, &resident, inputs, outputs, symbols)?;
            match &self.counters {
                None => {
                    self.steps.iter().try_for_each(|step| call.step(step))?;
                    call.finish(outputs)
                }
                Some(counters) => self.counted(counters, call, outputs, symbols),
            }
        }
    }

    /// # Safety
    /// As `run`.
    unsafe fn counted(
        &self,
        counters: &Counters,
        mut call: Call<'_>,
        outputs: &mut [OutPlace<'_>],
        symbols: &Symbols,
    ) -> Result<()> {
        let mut start = Instant::now();
        for (step, counter) in self.steps.iter().zip(&counters.steps) {
            // SAFETY: passed on.
            unsafe { call.step(step)? };
            // Else all that a step takes is to be recorded.
            call.recorder.complete()?;
            counter.add(start.elapsed(), traffic_of(step, symbols)?);
            start = Instant::now();
        }
        // SAFETY: passed on.
        unsafe { call.finish(outputs)? };
        counters.results.add(start.elapsed(), 0);
        Ok(())
    }

    /// What a device keeps, made at the first call on it.
    fn resident(&self, gpu: &Arc<Gpu>) -> Result<Arc<Resident>> {
        // Held while uploading, so that two first calls do not both upload.
        let mut kept = self.resident.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(resident) = &*kept
            && Arc::ptr_eq(&resident.gpu, gpu)
        {
            return Ok(resident.clone());
        }
        let upload = |(index, array): (usize, &Array)| {
            let is_read = self.on_device.contains(&Source::Constant(index));
            is_read.then(|| gpu.upload(array.bytes())).transpose()
        };
        let constants = self.constants.iter().enumerate().map(upload).collect::<Result<_>>()?;
        let resident = Arc::new(Resident { gpu: gpu.clone(), constants });
        *kept = Some(resident.clone());
        Ok(resident)
    }

    /// The kernels on the device, in order.
    fn device_kernels(&self) -> impl Iterator<Item = &GpuKernel> {
        self.steps.iter().filter_map(|step| match step {
            DeviceStep::Kernel(step) => Some(&step.kernel),
            DeviceStep::Product(step) => Some(step.product.kernel()),
            DeviceStep::HostKernel(_) | DeviceStep::Custom(_) => None,
        })
    }

    /// Whether a step is the user's code.
    pub fn calls_host_functions(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, DeviceStep::Custom(_)))
    }

    /// The kernels in the loop IR, in order.
    pub fn loops(&self) -> impl Iterator<Item = &Kernel> {
        self.steps.iter().filter_map(|step| match step {
            DeviceStep::Kernel(step) => Some(step.kernel.kernel()),
            DeviceStep::HostKernel(step) => Some(step.kernel.kernel()),
            DeviceStep::Product(step) => Some(step.product.kernel().kernel()),
            DeviceStep::Custom(_) => None,
        })
    }

    /// The shaders that have been made so far.
    pub fn shader_texts(&self) -> Vec<String> {
        self.device_kernels().map(GpuKernel::text).collect()
    }

    /// How many shaders have been made so far.
    pub fn compilations(&self) -> usize {
        self.device_kernels().map(GpuKernel::compilations).sum()
    }
}

fn prepare(step: Step<Kernel>, target: &Target) -> Result<DeviceStep> {
    match step {
        Step::Kernel(KernelStep { kernel, extents, windows, on_host: false }) => {
            let kernel = GpuKernel::new(kernel, target)?;
            Ok(DeviceStep::Kernel(KernelStep { kernel, extents, windows, on_host: false }))
        }
        Step::Kernel(KernelStep { kernel, extents, windows, on_host: true }) => {
            let kernel = interpreter::engine().prepare(kernel)?;
            Ok(DeviceStep::HostKernel(KernelStep { kernel, extents, windows, on_host: true }))
        }
        Step::MatMul(step) => Ok(DeviceStep::Product(Box::new(product(*step, target)?))),
        Step::Custom(step) => Ok(DeviceStep::Custom(step)),
        Step::Loop(_) => Err(Error::Unsupported(
            "a GPU runs loops whose steps are elementwise, on states of one shape, and this is none; compile for \
             Device::Cpu or Device::Auto"
                .to_string(),
        )),
    }
}

fn product(step: MatMulStep<Kernel>, target: &Target) -> Result<ProductStep> {
    let MatMulStep { left, right, result, sizes, epilogue, closes: _ } = step;
    match (result, epilogue) {
        (Some(result), None) => {
            let product = GpuProduct::new(result.dtype, "matmul", target)?;
            Ok(ProductStep { product, sizes, windows: vec![left, right, result] })
        }
        (None, Some(epilogue)) => {
            let KernelStep { kernel, windows: mut others, .. } = epilogue.step;
            // The product's elements are in no memory.
            others.remove(epilogue.product.0 as usize);
            let product = GpuProduct::with_epilogue(kernel, epilogue.product, target)?;
            Ok(ProductStep { product, sizes, windows: [left, right].into_iter().chain(others).collect() })
        }
        (Some(_), Some(_)) | (None, None) => {
            Err(Error::Internal("a matrix product is either a result or has an epilogue".to_string()))
        }
    }
}

/// The windows of a step that runs on the device.
fn device_windows(step: &DeviceStep) -> &[Window] {
    match step {
        DeviceStep::Kernel(step) => &step.windows,
        DeviceStep::Product(step) => &step.windows,
        DeviceStep::HostKernel(_) | DeviceStep::Custom(_) => &[],
    }
}

/// The bytes that a step moves.
fn traffic_of(step: &DeviceStep, symbols: &Symbols) -> Result<u64> {
    Ok(match step {
        DeviceStep::Kernel(step) => traffic::of_windows(&step.windows, &sizes(&step.extents, symbols)?),
        DeviceStep::HostKernel(step) => traffic::of_windows(&step.windows, &sizes(&step.extents, symbols)?),
        DeviceStep::Product(step) => {
            let [rows, inner, columns] = &step.sizes;
            let [rows, inner, columns] = [size(rows, symbols)?, size(inner, symbols)?, size(columns, symbols)?];
            // What else there is lies over rows and columns: the result, or what an epilogue reads and writes.
            let (matrices, others) = step.windows.split_at(2);
            let read = traffic::of_product([rows, inner, columns], matrices[0].dtype, false);
            read.saturating_add(traffic::of_windows(others, &[rows, columns]))
        }
        DeviceStep::Custom(step) => traffic::of_custom(step, symbols)?,
    })
}
