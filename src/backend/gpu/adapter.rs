//! The GPUs of this machine, as data: what they are called, what they can do, which one a selection means.
//!
//! An `Adapter` holds no handle of a driver, so it can be kept, cloned and compared freely; `locate` finds the driver's
//! own handle again when a device is opened. Nothing here panics: without a loader or driver the list is empty.

use std::fmt;
use std::sync::OnceLock;

use wgpu::{Backends, DeviceType, DownlevelFlags, Features, Instance, InstanceDescriptor, InstanceFlags};

use crate::error::{Error, Result};
use crate::loops::{ShaderLimits, Target};

/// The largest binding that is used: offsets into it stay positive in 32 bits.
const BINDING_BYTES: u64 = (1 << 31) - 256;

/// The largest workgroup that is used: more buys nothing on any GPU, and some have no registers for it.
const INVOCATIONS: u32 = 256;

/// What is asked of a device where the adapter offers it.
const WANTED: Features =
    Features::SHADER_F64.union(Features::SHADER_INT64).union(Features::SUBGROUP).union(Features::TIMESTAMP_QUERY);

/// A GPU, or a driver that acts as one, as one of the platform's interfaces shows it.
#[derive(Debug, Clone)]
pub struct Adapter {
    info: wgpu::AdapterInfo,
    features: Features,
    limits: wgpu::Limits,
    /// How many that look the same were listed before it.
    twin: usize,
}

/// Whether it is the same hardware behind the same interface and driver.
impl PartialEq for Adapter {
    fn eq(&self, other: &Adapter) -> bool {
        self.info == other.info && self.twin == other.twin
    }
}

impl Eq for Adapter {}

/// What an adapter is made of. The order is that of the list of adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AdapterKind {
    /// A GPU with its own memory.
    Discrete,
    /// A GPU that shares the memory of the CPU.
    Integrated,
    /// Something that the driver does not classify.
    Other,
    /// A GPU seen from within a virtual machine.
    Virtual,
    /// The CPU.
    Software,
}

/// Which adapter to use.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Selection {
    /// The first of the list.
    #[default]
    Default,
    /// The one at this place of the list, from 0.
    Index(usize),
    /// The first whose name contains this text, in any case.
    Name(String),
}

impl Adapter {
    /// What the driver calls it.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// The driver and its version, as far as it says.
    pub fn driver(&self) -> String {
        format!("{} {}", self.info.driver, self.info.driver_info).trim().to_string()
    }

    /// The interface that it is reached through: `vulkan`, `metal` or `dx12`.
    pub fn backend(&self) -> &'static str {
        self.info.backend.to_str()
    }

    /// What it is made of.
    pub fn kind(&self) -> AdapterKind {
        match self.info.device_type {
            DeviceType::DiscreteGpu => AdapterKind::Discrete,
            DeviceType::IntegratedGpu => AdapterKind::Integrated,
            DeviceType::VirtualGpu => AdapterKind::Virtual,
            DeviceType::Cpu => AdapterKind::Software,
            DeviceType::Other => AdapterKind::Other,
        }
    }

    /// The most bytes of one allocation.
    pub fn max_buffer_bytes(&self) -> u64 {
        self.limits.max_buffer_size
    }

    /// What kernels for it may use.
    pub fn target(&self) -> Target {
        let limits = &self.limits;
        // One binding is the uniform buffer's.
        let bindings = limits.max_bindings_per_bind_group.saturating_sub(1);
        let binding_bytes = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(BINDING_BYTES);
        let has_subgroups = self.features.contains(Features::SUBGROUP);
        let invocations = limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
        let shaders = ShaderLimits {
            has_i64: self.features.contains(Features::SHADER_INT64),
            storage_buffers: limits.max_storage_buffers_per_shader_stage.min(bindings),
            invocations: invocations.min(INVOCATIONS),
            groups: limits.max_compute_workgroups_per_dimension,
            binding_bytes: binding_bytes & !255,
            offset_alignment: limits.min_storage_buffer_offset_alignment.max(4),
            subgroup: if has_subgroups { self.info.subgroup_min_size.max(1) } else { 1 },
        };
        // naga spells the bits of f64 for HLSL with functions for 32 bits.
        let has_f64 = self.features.contains(Features::SHADER_F64) && self.info.backend != wgpu::Backend::Dx12;
        Target::gpu(shaders, has_f64)
    }

    /// What a device of it is opened with.
    pub(super) fn features(&self) -> Features {
        self.features & WANTED
    }

    pub(super) fn limits(&self) -> &wgpu::Limits {
        &self.limits
    }

    /// The driver's handle, from an instance that nothing else uses.
    pub(super) fn locate(&self) -> Result<(Instance, wgpu::Adapter)> {
        let (instance, found) = probe().ok_or_else(|| Error::Device(NONE.to_string()))?;
        let all = described(&found);
        match found.into_iter().find(|(adapter, _)| adapter == self) {
            Some((_, handle)) => Ok((instance, handle)),
            None => Err(Error::Device(format!("the GPU adapter `{self}` is gone; {}", listing(&all)))),
        }
    }
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.name(), self.kind(), self.backend())
    }
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AdapterKind::Discrete => "discrete GPU",
            AdapterKind::Integrated => "integrated GPU",
            AdapterKind::Other => "other",
            AdapterKind::Virtual => "virtual GPU",
            AdapterKind::Software => "software",
        })
    }
}

/// The adapters of this machine that run compute shaders: discrete GPUs first, the CPU last. Empty without a driver.
///
/// The machine is asked once per process.
pub fn adapters() -> Vec<Adapter> {
    // The instance stays: drivers do not like to be unloaded and loaded again.
    static FOUND: OnceLock<(Option<Instance>, Vec<Adapter>)> = OnceLock::new();
    let (_, adapters) = FOUND.get_or_init(|| match probe() {
        Some((instance, found)) => (Some(instance), described(&found)),
        None => (None, Vec::new()),
    });
    adapters.clone()
}

/// The adapter that a selection means.
///
/// # Errors
/// `Device` if there is none such; it says which there are, or what to install.
pub fn choose(selection: &Selection) -> Result<Adapter> {
    pick(adapters(), selection)
}

/// What to do where there is no adapter.
const NONE: &str = "no GPU adapter found, expected a driver for Vulkan, Metal or Direct3D 12: install one (on Debian or \
                    Ubuntu `apt install libvulkan1 mesa-vulkan-drivers`), point VK_DRIVER_FILES at the json file of an \
                    installed Vulkan driver, or use the CPU";

pub(super) fn pick(adapters: Vec<Adapter>, selection: &Selection) -> Result<Adapter> {
    if adapters.is_empty() {
        return Err(Error::Device(NONE.to_string()));
    }
    let place = match selection {
        Selection::Default => Some(0),
        Selection::Index(index) => Some(*index).filter(|index| *index < adapters.len()),
        Selection::Name(name) => {
            let name = name.to_lowercase();
            adapters.iter().position(|adapter| adapter.name().to_lowercase().contains(&name))
        }
    };
    match place {
        Some(place) => Ok(adapters[place].clone()),
        None => Err(Error::Device(format!("no GPU adapter {selection}; {}", listing(&adapters)))),
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selection::Default => f.write_str("by default"),
            Selection::Index(index) => write!(f, "at index {index}"),
            Selection::Name(name) => write!(f, "with a name that contains `{name}`"),
        }
    }
}

fn listing(adapters: &[Adapter]) -> String {
    let lines = adapters.iter().enumerate().map(|(index, adapter)| format!("\n  {index}: {adapter}"));
    format!("there are:{}\nchoose one by its index or by a part of its name", lines.collect::<String>())
}

type Found = Vec<(Adapter, wgpu::Adapter)>;

fn described(found: &Found) -> Vec<Adapter> {
    found.iter().map(|(adapter, _)| adapter.clone()).collect()
}

/// Asks the machine. None where this build has no interface to GPUs.
fn probe() -> Option<(Instance, Found)> {
    // `Instance::new` panics where there is none.
    if Instance::enabled_backend_features().is_empty() {
        return None;
    }
    let instance = Instance::new(InstanceDescriptor {
        backends: Backends::PRIMARY,
        flags: InstanceFlags::empty(),
        ..InstanceDescriptor::new_without_display_handle()
    });
    let handles = pollster::block_on(instance.enumerate_adapters(Backends::PRIMARY));
    let mut found = Found::new();
    for handle in handles.into_iter().filter(computes) {
        let (info, features, limits) = (handle.get_info(), handle.features(), handle.limits());
        let twin = found.iter().filter(|(other, _)| other.info == info).count();
        found.push((Adapter { info, features, limits, twin }, handle));
    }
    found.sort_by_key(|(adapter, _)| adapter.kind());
    Some((instance, found))
}

fn computes(handle: &wgpu::Adapter) -> bool {
    handle.get_downlevel_capabilities().flags.contains(DownlevelFlags::COMPUTE_SHADERS)
}
