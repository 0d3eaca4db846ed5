//! Copies between the memory of a call on the host and that of a device.

use std::sync::Arc;

use crate::array::Block;
use crate::backend::gpu::{DeviceMemory, Gpu, Reading, Recorder};
use crate::dtype::DType;
use crate::error::Result;
use crate::runtime::memory::Memory;
use crate::shape::byte_size;

/// The elements in row-major order, on a device.
///
/// # Safety
/// The memory is valid for reads of its shape and dtype.
///
/// # Errors
/// `Memory` if there is not enough on either side, `Device` if the device is lost.
pub(super) unsafe fn upload(gpu: &Arc<Gpu>, memory: &Memory<'_>) -> Result<DeviceMemory> {
    if memory.is_contiguous() {
        let bytes = byte_size(memory.shape, memory.dtype.size())?;
        // SAFETY: so many bytes are elements of the memory, which the caller vouches for; none are read if none are
        // there.
        return gpu.upload(unsafe { bytes_at(memory.pointer, bytes) });
    }
    let mut block = memory.allocate_like()?;
    // SAFETY: the block is new and has room for as many elements.
    unsafe { memory.gather(block.bytes_mut().as_mut_ptr()) };
    gpu.upload(block.bytes())
}

/// Waits for what was read and writes it to the host's memory.
///
/// # Safety
/// The memory is valid for writes of its shape and dtype, and nobody else uses it.
///
/// # Errors
/// `Device` if the device is lost; the memory then holds what it held, or part of the result.
pub(super) unsafe fn fetch(recorder: &mut Recorder, reading: Reading, to: &Memory<'_>) -> Result<()> {
    if to.is_contiguous() {
        let bytes = byte_size(to.shape, to.dtype.size())?;
        // SAFETY: as in `upload`, for writes.
        return fetch_bytes(recorder, reading, to.dtype, unsafe { bytes_at_mut(to.pointer, bytes) });
    }
    let mut block = to.allocate_like()?;
    fetch_bytes(recorder, reading, to.dtype, block.bytes_mut())?;
    // SAFETY: the block has the memory's shape and dtype, and is the call's own.
    unsafe { to.scatter(block.bytes().as_ptr()) };
    Ok(())
}

/// Waits for what was read: elements of a dtype.
///
/// # Errors
/// As `fetch`.
pub(super) fn fetch_bytes(recorder: &mut Recorder, reading: Reading, dtype: DType, to: &mut [u8]) -> Result<()> {
    recorder.fetch(reading, to)?;
    if dtype == DType::Bool {
        // Whatever a device writes, a bool of the host is 0 or 1.
        to.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
    }
    Ok(())
}

/// New memory of the host with the contents of a device's, for elements of a dtype.
///
/// # Errors
/// `Memory` if there is none, `Device` if the device is lost.
pub(super) fn download(memory: &DeviceMemory, dtype: DType) -> Result<Block> {
    let mut block = Block::new(memory.bytes())?;
    let mut recorder = memory.gpu().recorder();
    let reading = recorder.read(memory)?;
    recorder.submit()?;
    fetch_bytes(&mut recorder, reading, dtype, block.bytes_mut())?;
    Ok(block)
}

/// # Safety
/// So many bytes at the address are valid for reads, or there are none.
unsafe fn bytes_at<'a>(pointer: *const u8, bytes: usize) -> &'a [u8] {
    // SAFETY: by the caller's word; the address of no bytes may be anything.
    if bytes == 0 { &[] } else { unsafe { std::slice::from_raw_parts(pointer, bytes) } }
}

/// # Safety
/// As `bytes_at`, for writes, and nobody else uses them.
unsafe fn bytes_at_mut<'a>(pointer: *mut u8, bytes: usize) -> &'a mut [u8] {
    // SAFETY: as above.
    if bytes == 0 { &mut [] } else { unsafe { std::slice::from_raw_parts_mut(pointer, bytes) } }
}
