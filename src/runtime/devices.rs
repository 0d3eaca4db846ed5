//! What there is to run on, for users to read.

use std::fmt;

#[cfg(feature = "gpu")]
use crate::backend::gpu::{Adapter, AdapterKind, adapters};
use crate::backend::{Parallelism, cpu};
#[cfg(feature = "gpu")]
use crate::loops::ShaderLimits;

/// What a device is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeviceKind {
    /// This processor.
    Cpu,
    /// A GPU with memory of its own.
    DiscreteGpu,
    /// A GPU that shares the memory of the processor.
    IntegratedGpu,
    /// A GPU seen from within a virtual machine.
    VirtualGpu,
    /// A driver that runs shaders on the processor.
    SoftwareGpu,
    /// A GPU of which its driver does not say more.
    OtherGpu,
}

/// What kernels on a GPU must keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceLimits {
    /// The most bytes of an array that one kernel sees at once; it walks over larger ones where it can.
    pub binding_bytes: u64,
    /// The most bytes of an array.
    pub buffer_bytes: u64,
    /// The most arrays that one kernel reads and writes.
    pub storage_buffers: u32,
    /// The most invocations of a workgroup.
    pub workgroup_size: u32,
}

/// A device as [`devices`] lists it. `Display` prints it for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// What its driver calls it; the architecture of a processor.
    pub name: String,
    /// What it is made of.
    pub kind: DeviceKind,
    /// What code for it goes through: `cranelift`, `vulkan`, `metal`, `dx12`.
    pub backend: String,
    /// The driver and its version; empty for the processor.
    pub driver: String,
    /// What `KROTON_FLAGS=device=…` calls it: `cpu`, `gpu:0`, `gpu:1`, …
    pub flag: String,
    /// Whether kernels compute in f64. Where they do not, what has no axes is computed on the host.
    pub has_f64: bool,
    /// Whether 64-bit integers are native; else they are computed as pairs of 32-bit ones.
    pub has_i64: bool,
    /// Whether invocations exchange values within a subgroup.
    pub has_subgroups: bool,
    /// The extensions of the processor's instruction set that code for it uses, such as `avx2`; empty for a GPU.
    pub extensions: Vec<String>,
    /// The threads of the pool that calls use unless told otherwise; none for a GPU.
    pub threads: Option<usize>,
    /// What kernels must keep to; none for the processor.
    pub limits: Option<DeviceLimits>,
    #[cfg(feature = "gpu")]
    pub(crate) adapter: Option<Adapter>,
}

/// The devices of this machine: the processor, then the GPUs, discrete ones first and software last. Without a driver for
/// GPUs, or in a build without the feature `gpu`, that is the processor alone.
///
/// ```
/// for device in kroton::devices() {
///     println!("{device}");
/// }
/// assert_eq!(kroton::devices()[0].kind, kroton::DeviceKind::Cpu);
/// ```
pub fn devices() -> Vec<DeviceInfo> {
    #[cfg(feature = "gpu")]
    let gpus = adapters().into_iter().enumerate().map(|(index, adapter)| gpu(index, adapter));
    #[cfg(not(feature = "gpu"))]
    let gpus = std::iter::empty();
    std::iter::once(processor()).chain(gpus).collect()
}

fn processor() -> DeviceInfo {
    // Without a code generator there is still `Device::Interpreter`.
    let described = cpu::processor();
    let backend = if described.is_ok() { "cranelift" } else { "none" };
    let (name, extensions) = described.unwrap_or_else(|_| (std::env::consts::ARCH.to_string(), Vec::new()));
    DeviceInfo {
        name,
        kind: DeviceKind::Cpu,
        backend: backend.to_string(),
        driver: String::new(),
        flag: "cpu".to_string(),
        has_f64: true,
        has_i64: true,
        has_subgroups: false,
        extensions,
        threads: Some(Parallelism::default().threads()),
        limits: None,
        #[cfg(feature = "gpu")]
        adapter: None,
    }
}

#[cfg(feature = "gpu")]
fn gpu(index: usize, adapter: Adapter) -> DeviceInfo {
    let target = adapter.target();
    let shaders = target.shaders.unwrap_or(ShaderLimits::WEBGPU);
    DeviceInfo {
        name: adapter.name().to_string(),
        kind: match adapter.kind() {
            AdapterKind::Discrete => DeviceKind::DiscreteGpu,
            AdapterKind::Integrated => DeviceKind::IntegratedGpu,
            AdapterKind::Virtual => DeviceKind::VirtualGpu,
            AdapterKind::Software => DeviceKind::SoftwareGpu,
            AdapterKind::Other => DeviceKind::OtherGpu,
        },
        backend: adapter.backend().to_string(),
        driver: adapter.driver(),
        flag: format!("gpu:{index}"),
        has_f64: target.has_f64,
        has_i64: shaders.has_i64,
        has_subgroups: shaders.subgroup > 1,
        extensions: Vec::new(),
        threads: None,
        limits: Some(DeviceLimits {
            binding_bytes: shaders.binding_bytes,
            buffer_bytes: adapter.max_buffer_bytes(),
            storage_buffers: shaders.storage_buffers,
            workgroup_size: shaders.invocations,
        }),
        adapter: Some(adapter),
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeviceKind::Cpu => "processor",
            DeviceKind::DiscreteGpu => "discrete GPU",
            DeviceKind::IntegratedGpu => "integrated GPU",
            DeviceKind::VirtualGpu => "virtual GPU",
            DeviceKind::SoftwareGpu => "software",
            DeviceKind::OtherGpu => "GPU",
        })
    }
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}, {}", self.flag, self.name, self.kind)?;
        let driver = if self.driver.is_empty() { String::new() } else { format!(", {}", self.driver) };
        write!(f, "  backend   {}{driver}", self.backend)?;
        if let Some(threads) = self.threads {
            write!(f, "\n  threads   {threads}")?;
        }
        if !self.extensions.is_empty() {
            write!(f, "\n  features  {}", self.extensions.join(" "))?;
        }
        if let Some(limits) = &self.limits {
            let features = [("f64", self.has_f64), ("i64", self.has_i64), ("subgroups", self.has_subgroups)];
            let features = features.map(|(name, has)| format!("{name} {}", if has { "yes" } else { "no" }));
            write!(f, "\n  features  {}\n  limits    {limits}", features.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for DeviceLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeviceLimits { binding_bytes, buffer_bytes, storage_buffers, workgroup_size } = self;
        let (binding, buffer) = (binding_bytes >> 20, buffer_bytes >> 20);
        write!(
            f,
            "{binding} MiB in a binding, {buffer} MiB in a buffer, {storage_buffers} storage buffers, \
             {workgroup_size} invocations in a workgroup"
        )
    }
}
