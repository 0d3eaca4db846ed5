//! Compiled shaders of a device, each compiled once.
//!
//! No lock is held while compiling: different shaders compile side by side, and who asks for one that another thread is
//! compiling waits for it. The longest-unused ones are forgotten when there are too many; who holds them keeps them.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustc_hash::FxHashMap;
use wgpu::{
    BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry, BindingType, BufferBindingType, BufferSize,
    ComputePipeline, ComputePipelineDescriptor, Device, PipelineCompilationOptions, PipelineLayoutDescriptor,
    ShaderModuleDescriptor, ShaderSource, ShaderStages,
};

use super::device::Gpu;
use super::shader::{Shader, ShaderAccess};
use crate::error::{Error, Result};

/// The most pipelines that a device remembers.
const REMEMBERED: usize = 4096;

/// A compiled shader.
#[derive(Debug)]
pub struct Pipeline {
    /// The serial number of its device.
    pub(super) device: u64,
    pub(super) compute: ComputePipeline,
    pub(super) layout: BindGroupLayout,
    /// How many storage buffers it binds.
    pub(super) buffers: usize,
    /// The size of its uniform buffer in 32-bit words.
    pub(super) words: usize,
}

/// The pipelines of a device.
#[derive(Debug, Default)]
pub(super) struct Pipelines {
    known: Mutex<Known>,
}

type Cell = Arc<OnceLock<Result<Arc<Pipeline>>>>;

#[derive(Debug, Default)]
struct Known {
    /// With the time of the last use.
    cells: FxHashMap<Arc<Shader>, (u64, Cell)>,
    clock: u64,
}

impl Pipelines {
    pub(super) fn get(&self, gpu: &Gpu, shader: &Shader) -> Result<Arc<Pipeline>> {
        let cell = self.lock().cell(shader);
        let result = cell.get_or_init(|| Pipeline::compile(gpu, shader).map(Arc::new)).clone();
        if result.is_err() {
            // Not to be remembered: memory may be there the next time.
            self.lock().forget(shader, &cell);
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn cell(&mut self, shader: &Shader) -> Cell {
        self.clock += 1;
        if let Some((used, cell)) = self.cells.get_mut(shader) {
            *used = self.clock;
            return cell.clone();
        }
        if self.cells.len() >= REMEMBERED {
            self.forget_oldest();
        }
        let cell = Cell::default();
        self.cells.insert(Arc::new(shader.clone()), (self.clock, cell.clone()));
        cell
    }

    fn forget_oldest(&mut self) {
        let oldest = self.cells.iter().min_by_key(|(_, (used, _))| *used).map(|(shader, _)| shader.clone());
        if let Some(shader) = oldest {
            self.cells.remove(&shader);
        }
    }

    fn forget(&mut self, shader: &Shader, cell: &Cell) {
        if self.cells.get(shader).is_some_and(|(_, known)| Arc::ptr_eq(known, cell)) {
            self.cells.remove(shader);
        }
    }
}

impl Pipeline {
    fn compile(gpu: &Gpu, shader: &Shader) -> Result<Pipeline> {
        fits(gpu, shader)?;
        let (layout, compute) = gpu.guard(&|| "compiling a shader".to_string(), || build(&gpu.device, shader))?;
        let (buffers, words) = (shader.buffers.len(), shader.words);
        Ok(Pipeline { device: gpu.serial, compute, layout, buffers, words })
    }
}

/// Whether the device has room for what the shader binds.
fn fits(gpu: &Gpu, shader: &Shader) -> Result<()> {
    let limit = gpu.adapter().limits().max_uniform_buffer_binding_size;
    let bytes = 4 * shader.words as u64;
    if bytes > limit || !shader.words.is_multiple_of(4) {
        return Err(Error::Internal(format!(
            "a shader with {bytes} bytes of uniform data; expected a multiple of 16 up to the {limit} of `{}`",
            gpu.adapter()
        )));
    }
    Ok(())
}

fn build(device: &Device, shader: &Shader) -> (BindGroupLayout, ComputePipeline) {
    let layout = device.create_bind_group_layout(&BindGroupLayoutDescriptor { label: None, entries: &entries(shader) });
    let pipeline_layout = device.create_pipeline_layout(&PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let module = device.create_shader_module(ShaderModuleDescriptor {
        label: None,
        source: ShaderSource::Wgsl(shader.source.as_str().into()),
    });
    let compute = device.create_compute_pipeline(&ComputePipelineDescriptor {
        label: None,
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        // Kernels write workgroup memory before they read it.
        compilation_options: PipelineCompilationOptions {
            zero_initialize_workgroup_memory: false,
            ..Default::default()
        },
        cache: None,
    });
    (layout, compute)
}

fn entries(shader: &Shader) -> Vec<BindGroupLayoutEntry> {
    let words = BufferSize::new(4 * shader.words as u64).map(|size| (0, BufferBindingType::Uniform, Some(size)));
    let buffers = shader.buffers.iter().enumerate().map(|(index, access)| {
        let read_only = *access == ShaderAccess::Read;
        (index as u32 + 1, BufferBindingType::Storage { read_only }, None)
    });
    let entry = |(binding, ty, min_binding_size)| BindGroupLayoutEntry {
        binding,
        visibility: ShaderStages::COMPUTE,
        ty: BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size },
        count: None,
    };
    words.into_iter().chain(buffers).map(entry).collect()
}
