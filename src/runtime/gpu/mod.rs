//! Functions on a GPU: arrays that stay there, and programs that run there.
//!
//! `array` is what users hold; `transfer` copies between host and device; `program` is a plan made ready, `call` runs it
//! once over the memory of a `frame`, `host_steps` are those of its steps that the host has to do, and `looping` runs its loops,
//! with the kernels of `loop_kernels`.

pub mod array;
mod call;
mod frame;
mod host_steps;
mod loop_kernels;
mod looping;
pub mod program;
mod transfer;

#[cfg(test)]
mod tests;

pub use array::DeviceArray;
pub use program::GpuProgram;
