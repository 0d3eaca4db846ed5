//! The engine that runs kernels as compute shaders, on any vendor's GPU.
//!
//! `emit` turns loop IR into WGSL: pure text, no device. `adapter` lists what there is, `device` opens it, `memory` and
//! `pipeline` keep its buffers and compiled shaders, `recorder` gathers the commands of a call and submits them once.
//! `kernel` ties a kernel of the loop IR to its shaders, `launch` says which of them run on which ranges of memory.
//!
//! Nothing here knows graphs or plans. A failure of a device is an `Error`, never a panic.

pub mod adapter;
pub mod copies;
pub mod device;
pub mod dispatch;
pub mod emit;
pub mod kernel;
pub mod launch;
pub mod loops;
#[doc(hidden)]
pub mod mask;
pub mod memory;
pub mod parts;
pub mod pipeline;
mod pool;
pub mod product;
pub mod recorder;
pub mod shader;
#[doc(hidden)]
pub mod testing;

#[cfg(test)]
mod launch_tests;
#[cfg(test)]
mod loop_tests;
#[cfg(test)]
mod tests;

pub use adapter::{Adapter, AdapterKind, Selection, adapters, choose};
pub use device::{Gpu, open};
pub use kernel::{GpuBase, GpuKernel, GpuOperand};
#[doc(hidden)]
pub use mask::GpuMask;
pub use memory::DeviceMemory;
pub use pipeline::Pipeline;
pub use product::GpuProduct;
pub use recorder::{Range, Reading, Recorder};
pub use shader::{Shader, ShaderAccess};
