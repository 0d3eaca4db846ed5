//! A kernel with the shaders that have been emitted for it, one for each variant that a launch needed.
//!
//! No device is in it: shaders are text, and a device caches what it makes of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use smallvec::SmallVec;

use crate::backend::gpu::emit::body::writes_bytes;
use crate::backend::gpu::emit::layout::{Layout, Role, Variant, reductions};
use crate::backend::gpu::emit::{self, shader_limits};
use crate::backend::gpu::memory::DeviceMemory;
use crate::backend::gpu::parts;
use crate::backend::gpu::shader::Shader;
use crate::error::Result;
use crate::loops::{Kernel, Nest, Target};

/// A kernel that a GPU can run.
#[derive(Debug)]
pub struct GpuKernel {
    kernel: Kernel,
    target: Target,
    /// How many rounds of its loops a dispatch may make for a point.
    rounds: u64,
    shaders: Mutex<BTreeMap<Variant, Arc<Emitted>>>,
}

/// A shader and where its data go.
#[derive(Debug)]
pub struct Emitted {
    /// The shader.
    pub shader: Shader,
    /// Its data.
    pub layout: Layout,
}

/// Where an operand is.
#[derive(Debug, Clone, Copy)]
pub enum GpuBase<'a> {
    /// In memory of the device.
    Memory(&'a DeviceMemory),
    /// Nowhere: its elements are positions.
    Position,
}

/// An operand of a launch.
#[derive(Debug, Clone)]
pub struct GpuOperand<'a> {
    /// Where it is.
    pub base: GpuBase<'a>,
    /// The number of the element at index zero of every axis, or the position there.
    pub offset: i64,
    /// The step along each axis of the kernel, in elements.
    pub strides: SmallVec<[i64; 4]>,
}

impl GpuKernel {
    /// Takes a kernel and emits its first variant, so that what cannot run is refused here.
    ///
    /// # Errors
    /// `Unsupported` for a kernel that the target cannot run.
    pub fn new(kernel: Kernel, target: &Target) -> Result<GpuKernel> {
        GpuKernel::with_role(kernel, target, None)
    }

    /// As `new`, emitting one variant, or those for contiguous operands.
    pub(super) fn with_role(kernel: Kernel, target: &Target, variant: Option<Variant>) -> Result<GpuKernel> {
        shader_limits(target)?;
        let rounds = parts::rounds_at_once(&kernel, target)?;
        let kernel = GpuKernel { kernel, target: target.clone(), rounds, shaders: Mutex::default() };
        let variants = variant.map_or_else(|| kernel.usual(), |variant| vec![variant]);
        for variant in variants {
            kernel.emitted(variant)?;
        }
        Ok(kernel)
    }

    /// The kernel in the loop IR.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// What it was made for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// How many rounds of its loops a dispatch may make for a point.
    pub fn rounds_at_once(&self) -> u64 {
        self.rounds
    }

    /// The shaders that have been emitted so far, as text.
    pub fn text(&self) -> String {
        let shaders = self.shaders.lock().unwrap_or_else(PoisonError::into_inner);
        shaders.values().map(|emitted| emitted.shader.source.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// How many shaders have been emitted so far.
    pub fn compilations(&self) -> usize {
        self.shaders.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// A variant, emitted at its first use.
    ///
    /// # Errors
    /// `Unsupported` for a kernel that the target cannot run.
    pub fn emitted(&self, variant: Variant) -> Result<Arc<Emitted>> {
        let mut shaders = self.shaders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(emitted) = shaders.get(&variant) {
            return Ok(emitted.clone());
        }
        let (shader, layout) = emit::shader(&self.kernel, &self.target, variant)?;
        let emitted = Arc::new(Emitted { shader, layout });
        shaders.insert(variant, emitted.clone());
        Ok(emitted)
    }

    /// The variants for contiguous operands.
    fn usual(&self) -> Vec<Variant> {
        let (outer, reduced) = self.loop_limits();
        let variant = |role| Variant { role, outer: outer.min(1), reduced: reduced.min(1), results_first: false };
        match reductions(&self.kernel) {
            Some(_) => vec![variant(Role::Direct), variant(Role::Partial), variant(Role::Finish)],
            None if parts::rounds_of_point(&self.kernel, None).is_none() => vec![variant(Role::MapPart)],
            None if writes_bytes(&self.kernel) => vec![variant(Role::MapBytes)],
            None => vec![variant(Role::Map)],
        }
    }

    /// The number of axes over results and of reduced ones.
    fn loop_limits(&self) -> (usize, usize) {
        let Some(Nest::Map { axes, body }) = self.kernel.body.first() else { return (0, 0) };
        let reduced = match body.first() {
            Some(Nest::Reduce { axes, .. }) => axes.len(),
            Some(Nest::Map { .. } | Nest::Sequential { .. } | Nest::While { .. } | Nest::Block(_)) | None => 0,
        };
        (axes.len(), reduced)
    }
}
