//! A lowered plan on a GPU: what is made ready once, and what a device keeps of it between calls.
//!
//! Kernels and products are texts that know no device. What a device holds, the constants, is one `Resident`, which is
//! replaced as a whole when its device is lost. A call is run by `call`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustc_hash::FxHashSet;

use crate::array::Array;
use crate::backend::gpu::{Adapter, DeviceMemory, Gpu, GpuKernel, GpuProduct, Recorder, open};
use crate::backend::{Executable, interpreter};
use crate::error::{Error, Result};
use crate::loops::{Kernel, Nest, Target};
use crate::lower::plan::{self, CustomStep, KernelStep, LoopHead, MatMulStep, Plan, Source, Step, Window};
use crate::runtime::OutPlace;
use crate::runtime::gpu::call::Call;
use crate::runtime::gpu::frame::Frame;
use crate::runtime::gpu::loop_kernels::LoopKernels;
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
    /// What steps on the host read or write.
    pub(super) on_host: FxHashSet<Source>,
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
    /// A loop.
    Loop(Box<LoopStep>),
}

/// A loop that is run step by step.
#[derive(Debug)]
pub(super) struct LoopStep {
    pub head: LoopHead,
    /// A step.
    pub body: GpuProgram,
    /// What the loop itself has the device do.
    pub kernels: LoopKernels,
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
        let prepared = steps.into_iter().map(|step| prepare(step, &adapter, target));
        let steps: Vec<DeviceStep> = prepared.collect::<Result<_>>()?;
        let sources = |windows: fn(&DeviceStep) -> Vec<&Window>| {
            steps.iter().flat_map(windows).map(|window| window.source.clone()).collect()
        };
        let (on_device, on_host) = (sources(device_windows), sources(host_windows));
        let (resident, counters) = (Mutex::default(), None);
        Ok(GpuProgram { steps, slots, constants, on_device, on_host, adapter, resident, counters })
    }

    /// Counts every step from here on.
    pub fn watch(&mut self, profiler: &mut Profiler) {
        let steps = self.steps.iter().map(|step| match step {
            DeviceStep::Kernel(step) => profiler.watch_device_kernel(step.kernel.kernel()),
            DeviceStep::HostKernel(step) => profiler.watch_device_kernel(step.kernel.kernel()),
            DeviceStep::Product(_) => profiler.watch("matmul", "matmul"),
            DeviceStep::Custom(step) => profiler.watch(step.function.0.name.as_str(), "host function"),
            DeviceStep::Loop(_) => profiler.watch("loop", "loop"),
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
            let mut frame = Frame::new(self, resident, inputs, outputs, symbols)?;
            let mut recorder: Recorder = gpu.recorder();
            let mut call = Call { frame: &mut frame, recorder: &mut recorder };
            match &self.counters {
                None => {
                    call.steps(self)?;
                    call.finish(outputs)
                }
                Some(counters) => self.counted(counters, call, outputs, symbols),
            }
        }
    }

    /// # Safety
    /// As `run`.
    unsafe fn counted<'a>(
        &'a self,
        counters: &Counters,
        mut call: Call<'_, 'a>,
        outputs: &mut [OutPlace<'_>],
        symbols: &Symbols,
    ) -> Result<()> {
        let mut start = Instant::now();
        for (number, (step, counter)) in self.steps.iter().zip(&counters.steps).enumerate() {
            // SAFETY: passed on.
            unsafe { call.step(number, step)? };
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
    pub(super) fn resident(&self, gpu: &Arc<Gpu>) -> Result<Arc<Resident>> {
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
    fn device_kernels(&self) -> Vec<&GpuKernel> {
        let kernels = self.steps.iter().flat_map(|step| match step {
            DeviceStep::Kernel(step) => vec![&step.kernel],
            DeviceStep::Product(step) => vec![step.product.kernel()],
            DeviceStep::HostKernel(_) | DeviceStep::Custom(_) => Vec::new(),
            DeviceStep::Loop(step) => step.kernels.all().chain(step.body.device_kernels()).collect(),
        });
        kernels.collect()
    }

    /// Whether a step, or one of a loop's body, is the user's code.
    pub fn calls_host_functions(&self) -> bool {
        self.steps.iter().any(|step| match step {
            DeviceStep::Custom(_) => true,
            DeviceStep::Loop(step) => step.body.calls_host_functions(),
            DeviceStep::Kernel(_) | DeviceStep::HostKernel(_) | DeviceStep::Product(_) => false,
        })
    }

    /// Whether the host has to wait for the device between its steps, or a step may take any time.
    pub(super) fn is_interrupted(&self) -> bool {
        self.steps.iter().any(|step| match step {
            DeviceStep::Kernel(step) => step.kernel.kernel().body.iter().any(goes_on_while),
            DeviceStep::Product(_) => false,
            DeviceStep::HostKernel(_) | DeviceStep::Custom(_) => true,
            DeviceStep::Loop(step) => {
                let LoopStep { head, body, .. } = &**step;
                head.guarded || !matches!(head.steps, plan::Steps::Known(_)) || body.is_interrupted()
            }
        })
    }

    /// The kernels in the loop IR, in order; those of a loop's body in its place.
    pub fn loops(&self) -> Vec<&Kernel> {
        let kernels = self.steps.iter().flat_map(|step| match step {
            DeviceStep::Kernel(step) => vec![step.kernel.kernel()],
            DeviceStep::HostKernel(step) => vec![step.kernel.kernel()],
            DeviceStep::Product(step) => vec![step.product.kernel().kernel()],
            DeviceStep::Custom(_) => Vec::new(),
            DeviceStep::Loop(step) => step.body.loops(),
        });
        kernels.collect()
    }

    /// The shaders that have been made so far.
    pub fn shader_texts(&self) -> Vec<String> {
        self.device_kernels().into_iter().map(GpuKernel::text).collect()
    }

    /// How many shaders have been made so far.
    pub fn compilations(&self) -> usize {
        self.device_kernels().into_iter().map(GpuKernel::compilations).sum()
    }
}

/// Whether there is a loop in it that goes on while a condition holds.
fn goes_on_while(nest: &Nest) -> bool {
    match nest {
        Nest::While { .. } => true,
        Nest::Map { body, .. } | Nest::Sequential { body, .. } => body.iter().any(goes_on_while),
        Nest::Reduce { .. } | Nest::Block(_) => false,
    }
}

fn prepare(step: Step<Kernel>, adapter: &Adapter, target: &Target) -> Result<DeviceStep> {
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
        Step::Loop(step) => {
            let plan::LoopStep { head, body } = *step;
            let kernels = LoopKernels::new(&head, target)?;
            let body = GpuProgram::new(body, adapter.clone(), target)?;
            Ok(DeviceStep::Loop(Box::new(LoopStep { head, body, kernels })))
        }
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
fn device_windows(step: &DeviceStep) -> Vec<&Window> {
    match step {
        DeviceStep::Kernel(step) => step.windows.iter().collect(),
        DeviceStep::Product(step) => step.windows.iter().collect(),
        DeviceStep::Loop(step) => step.head.arrays().collect(),
        DeviceStep::HostKernel(_) | DeviceStep::Custom(_) => Vec::new(),
    }
}

/// The windows of a step that the host needs.
fn host_windows(step: &DeviceStep) -> Vec<&Window> {
    match step {
        DeviceStep::Kernel(_) | DeviceStep::Product(_) => Vec::new(),
        DeviceStep::HostKernel(step) => step.windows.iter().collect(),
        DeviceStep::Custom(step) => step.operands.iter().chain([&step.result]).map(|(window, _)| window).collect(),
        DeviceStep::Loop(step) => match &step.head.steps {
            plan::Steps::Computed(window) => vec![window],
            plan::Steps::Known(_) | plan::Steps::Unbounded => Vec::new(),
        },
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
        // How often it makes its step is known only in the end.
        DeviceStep::Loop(_) => 0,
    })
}
