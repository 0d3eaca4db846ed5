//! Functions and arrays on the GPU that the program's settings choose.

use std::sync::Arc;

use crate::backend::gpu::{Gpu, Selection, choose, open};
use crate::error::{Error, Result};
use crate::expr::compile::Source;
use crate::expr::compiler::Compiler;
use crate::expr::engine::{Stages, not_one_stage};
use crate::expr::flags::Flags;
use crate::expr::sizes::SizeChecks;
use crate::runtime::gpu::GpuProgram;
use crate::runtime::implementation::Implementation;
use crate::runtime::memory::Operand;
use crate::runtime::profile::Profiler;
use crate::runtime::site::Site;
use crate::runtime::{Arg, DeviceArray, DeviceInfo, IntoArg, OutPlace, Stage};
use crate::shape::Symbols;

/// The GPU that `KROTON_FLAGS` names, else the first.
fn selected(flags: &Flags) -> Result<Arc<Gpu>> {
    let selection = match &flags.adapter {
        None => Selection::Default,
        Some(text) => text.parse().map_or_else(|_| Selection::Name(text.clone()), Selection::Index),
    };
    open(&choose(&selection)?)
}

impl Compiler {
    pub(super) fn on_gpu(&self, source: Source) -> Result<Box<dyn Implementation>> {
        let gpu = selected(Flags::of_process()?)?;
        tracing::debug!(function = source.name, adapter = %gpu.adapter(), "compiles for a GPU");
        let target = self.limits.apply(gpu.target());
        let Source { name, built, unified, checks, mut stopwatch } = source;
        let (stages, plan) = self.lowered(built, unified, &target, &name, &mut stopwatch)?;
        let mut program = GpuProgram::new(plan, gpu.adapter().clone(), &target)?;
        stopwatch.lap("emit");
        let mut profiler = self.profiler(&name, "gpu", stopwatch);
        if let Some(profiler) = &mut profiler {
            program.watch(profiler);
        }
        Ok(Box::new(OnGpu { stages, checks, program, profiler: profiler.map(Arc::new) }))
    }
}

/// A function that a GPU runs.
struct OnGpu {
    /// What the program came from.
    stages: Stages,
    /// What must hold of a call's sizes.
    checks: SizeChecks,
    /// The kernels.
    program: GpuProgram,
    /// What counts.
    profiler: Option<Arc<Profiler>>,
}

impl Implementation for OnGpu {
    fn check(&self, symbols: &Symbols) -> Result<()> {
        self.checks.check(symbols)
    }

    fn site(&self) -> Result<Site> {
        self.program.device().map(Site::Device)
    }

    unsafe fn run(
        &self,
        site: &Site,
        inputs: &[Operand<'_>],
        outputs: &mut [OutPlace<'_>],
        symbols: &Symbols,
    ) -> Result<()> {
        let Site::Device(gpu) = site else {
            return Err(Error::Internal("a program of a GPU runs on the host".to_string()));
        };
        // SAFETY: passed on as promised by the caller.
        unsafe { self.program.run(gpu, inputs, outputs, symbols) }
    }

    fn runs_alone(&self) -> bool {
        !self.program.calls_host_functions()
    }

    unsafe fn run_alone(
        &self,
        site: &Site,
        inputs: &[Operand<'_>],
        outputs: &mut [OutPlace<'_>],
        symbols: &Symbols,
    ) -> Result<()> {
        // SAFETY: passed on; steps on the host run on this thread, and the device waits for nobody.
        unsafe { self.run(site, inputs, outputs, symbols) }
    }

    fn dump(&self, stage: Stage) -> Result<String> {
        match stage {
            Stage::Graph => Ok(self.stages.built_text()),
            Stage::Optimized => Ok(self.stages.optimized_text()),
            Stage::Schedule => Ok(self.stages.schedule_text()),
            Stage::Loops => Ok(self.program.loops().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
            Stage::Wgsl => Ok(self.program.shader_texts().join("\n")),
            Stage::Clif | Stage::Asm => {
                Err(Error::Unsupported(format!("this device makes no {stage:?}; Device::Cpu does")))
            }
            Stage::All => Err(not_one_stage()),
        }
    }

    fn kernel_count(&self) -> usize {
        self.program.loops().len()
    }

    fn compilations(&self) -> usize {
        self.program.compilations()
    }

    fn profiler(&self) -> Option<Arc<Profiler>> {
        self.profiler.clone()
    }
}

impl DeviceArray {
    /// A copy of an array on the GPU that functions run on: the one that `KROTON_FLAGS` names, else the first of
    /// [`devices`](crate::devices()). Takes whatever a call takes: slices, `&Vec`, ndarray arrays and views of any strides,
    /// `kroton::Array`, scalars.
    ///
    /// # Errors
    /// `Device` if there is no such GPU, `Memory` if the array does not fit it.
    ///
    /// ```
    /// use kroton::{DType, DeviceArray};
    /// # if kroton::devices().len() == 1 { return Ok(()); }
    /// let xs = DeviceArray::upload(&[1.0, 2.0, 3.0])?;
    /// assert_eq!((xs.dtype(), xs.shape()), (DType::F64, [3].as_slice()));
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn upload<'a>(array: impl IntoArg<'a>) -> Result<DeviceArray> {
        upload_to(&selected(Flags::of_process()?)?, array)
    }

    /// As [`upload`](DeviceArray::upload), on a GPU of [`devices`](crate::devices()).
    ///
    /// # Errors
    /// `Argument` if the device is no GPU; as `upload`.
    pub fn upload_to<'a>(device: &DeviceInfo, array: impl IntoArg<'a>) -> Result<DeviceArray> {
        let adapter = device.adapter.as_ref().ok_or_else(|| {
            Error::Argument(format!("the device `{}` is no GPU; arrays of the host are `kroton::Array`", device.flag))
        })?;
        upload_to(&open(adapter)?, array)
    }
}

fn upload_to<'a, A: IntoArg<'a>>(gpu: &Arc<Gpu>, array: A) -> Result<DeviceArray> {
    let held = array.hold();
    let argument: Arg<'_> = A::view(&held);
    DeviceArray::upload_on(gpu, &argument)
}
