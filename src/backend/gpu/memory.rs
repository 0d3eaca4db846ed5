//! Memory of a device, shared by its clones and given back to the device's pool by the last of them.
//!
//! What a fresh one holds is arbitrary but never another process's: wgpu clears a buffer before its first use.

use std::fmt;
use std::sync::Arc;

use wgpu::Buffer;

use super::device::Gpu;

/// So many bytes of a device's memory.
#[derive(Clone)]
pub struct DeviceMemory {
    block: Arc<Block>,
}

struct Block {
    gpu: Arc<Gpu>,
    buffer: Buffer,
    bytes: usize,
}

impl DeviceMemory {
    pub(super) fn new(gpu: Arc<Gpu>, buffer: Buffer, bytes: usize) -> DeviceMemory {
        DeviceMemory { block: Arc::new(Block { gpu, buffer, bytes }) }
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.block.bytes
    }

    /// Whose memory it is.
    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.block.gpu
    }

    pub(super) fn buffer(&self) -> &Buffer {
        &self.block.buffer
    }

    /// Its size up to the whole words that commands work on.
    pub(super) fn padded(&self) -> u64 {
        (self.block.bytes as u64).next_multiple_of(4)
    }

    /// Whether two are clones of one another.
    pub(super) fn is(&self, other: &DeviceMemory) -> bool {
        Arc::ptr_eq(&self.block, &other.block)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.gpu.recycle(&self.buffer);
    }
}

impl fmt::Debug for DeviceMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceMemory({} bytes on {})", self.bytes(), self.gpu().adapter())
    }
}
