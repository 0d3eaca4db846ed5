//! Steps of a call on a device that the host has to do: kernels of single values that the device cannot compute, and host
//! functions.
//!
//! What they read is fetched, no more of it than they see; the host waits for the device once per step, and not at all for
//! what it has already. What they write is passed on to the device where a step there or a result needs it.

use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::array::Block;
use crate::backend::gpu::{DeviceMemory, Reading};
use crate::backend::{Executable, Parallelism};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::loops::{Access, Base, Binding, Launch};
use crate::lower::plan::{CustomStep, KernelStep, Source, Window};
use crate::runtime::custom::{self, Located};
use crate::runtime::gpu::call::Call;
use crate::runtime::gpu::frame::Placed;
use crate::runtime::gpu::transfer;
use crate::runtime::memory::{Memory, Sizes};
use crate::runtime::windows::{locate, sizes};
use crate::shape::Symbols;

/// A window that a step on the host needs, over these sizes.
struct Wanted<'w> {
    window: &'w Window,
    access: Access,
    sizes: &'w [usize],
}

/// Where a window lies in its source, in elements.
struct Extent {
    /// At index zero of every axis.
    offset: isize,
    /// Along each axis.
    strides: SmallVec<[isize; 4]>,
}

impl Wanted<'_> {
    fn extent(&self, own: Option<&[isize]>, symbols: &Symbols) -> Result<Extent> {
        let mut strides = SmallVec::from_elem(0, self.sizes.len());
        let offset = locate(self.window, own, symbols, &mut strides)?;
        Ok(Extent { offset, strides })
    }
}

/// Where a window is.
enum Seen {
    /// Nowhere: positions from this one on.
    Positions(i64, Extent),
    /// On the host, relative to this address.
    Here(*mut u8, Extent),
    /// On its way from the device: these bytes of its memory.
    Coming(Reading, Range<usize>, Extent),
}

/// A window on the host.
enum View {
    Positions(Binding),
    Memory(Located),
}

impl Call<'_, '_> {
    /// Runs a kernel on the host.
    ///
    /// # Safety
    /// As `Call::step`.
    pub(super) unsafe fn host_kernel(&mut self, step: &KernelStep<Arc<dyn Executable>>) -> Result<()> {
        let extents = sizes(&step.extents, self.frame.symbols)?;
        let operands = step.kernel.kernel().operands.iter().zip(&step.windows);
        let wanted: Vec<Wanted<'_>> = operands
            .map(|(operand, window)| Wanted { window, access: operand.access, sizes: extents.as_slice() })
            .collect();
        let mut kept = Vec::new();
        let views = self.views(&wanted, &mut kept)?;
        let bindings: Vec<Binding> =
            views.into_iter().zip(&step.windows).map(|(view, window)| binding(view, window.dtype)).collect();
        let launch = Launch::new(&extents, &bindings);
        // SAFETY: the windows stay within arguments, what was fetched and what is the call's own, and nobody reads what
        // is written.
        unsafe { step.kernel.launch(&launch, &Parallelism::default())? };
        self.pass_on(&wanted)
    }

    /// Calls a host function.
    ///
    /// # Safety
    /// As `Call::step`.
    pub(super) unsafe fn custom(&mut self, step: &CustomStep) -> Result<()> {
        let symbols = self.frame.symbols;
        let windows: Vec<&Window> = step.operands.iter().chain([&step.result]).map(|(window, _)| window).collect();
        let shapes = step.operands.iter().chain([&step.result]).map(|(_, shape)| sizes(shape, symbols));
        let shapes: Vec<Sizes<usize>> = shapes.collect::<Result<_>>()?;
        let access = |index: usize| if index < step.operands.len() { Access::Read } else { Access::Write };
        let wanted: Vec<Wanted<'_>> = windows
            .iter()
            .zip(&shapes)
            .enumerate()
            .map(|(index, (window, sizes))| Wanted { window, access: access(index), sizes })
            .collect();
        let mut kept = Vec::new();
        let views = self.views(&wanted, &mut kept)?;
        let mut located: Vec<Located> = views.into_iter().map(in_memory).collect::<Result<_>>()?;
        let result = located.pop().ok_or_else(|| Error::Internal("a host function without a result".to_string()))?;
        // SAFETY: as in `host_kernel`, with the shapes of the step.
        unsafe { custom::call(step, symbols, &located, &result)? };
        self.pass_on(&wanted)
    }

    /// The single i64 that a window sees.
    ///
    /// # Safety
    /// As `Call::step`.
    pub(super) unsafe fn number(&mut self, window: &Window) -> Result<i64> {
        let mut kept = Vec::new();
        let views = self.views(&[Wanted { window, access: Access::Read, sizes: &[] }], &mut kept)?;
        let numbers = views.into_iter().map(|view| match view {
            View::Positions(Binding { base: Base::Position(number), .. }) => Ok(number),
            // SAFETY: the window is of one i64, in an argument, in what was fetched, or in the call's own memory.
            View::Memory(located) => Ok(unsafe { located.pointer.cast::<i64>().read_unaligned() }),
            View::Positions(_) => Err(nowhere()),
        });
        numbers.last().ok_or_else(nowhere)?
    }

    /// Brings windows to the host; `kept` holds what came for as long as they are used.
    fn views(&mut self, wanted: &[Wanted<'_>], kept: &mut Vec<Block>) -> Result<Vec<View>> {
        let seen: Vec<Seen> = wanted.iter().map(|wanted| self.see(wanted, kept)).collect::<Result<_>>()?;
        if seen.iter().any(|seen| matches!(seen, Seen::Coming(..))) {
            self.recorder.submit()?;
        }
        let mut views = Vec::with_capacity(seen.len());
        for (seen, Wanted { window, .. }) in seen.into_iter().zip(wanted) {
            views.push(match seen {
                Seen::Positions(first, Extent { offset, strides }) => {
                    View::Positions(Binding { base: Base::Position(first.wrapping_add(offset as i64)), strides })
                }
                Seen::Here(pointer, extent) => View::Memory(located(pointer, 0, extent, window.dtype)),
                Seen::Coming(reading, bytes, extent) => {
                    let mut block = Block::new(bytes.len())?;
                    transfer::fetch_bytes(self.recorder, reading, window.dtype, block.bytes_mut())?;
                    let pointer = block.bytes_mut().as_mut_ptr();
                    kept.push(block);
                    View::Memory(located(pointer, bytes.start, extent, window.dtype))
                }
            });
        }
        Ok(views)
    }

    /// Finds a window, and records that it is to be read if it is on the device.
    fn see(&mut self, wanted: &Wanted<'_>, kept: &mut Vec<Block>) -> Result<Seen> {
        let (window, symbols) = (wanted.window, self.frame.symbols);
        let row_major = || wanted.extent(None, symbols);
        match &window.source {
            Source::Positions => Ok(Seen::Positions(0, row_major()?)),
            Source::Size(size) => Ok(Seen::Positions(size.evaluate(symbols)?, row_major()?)),
            Source::Product => Err(nowhere()),
            Source::Constant(index) => {
                Ok(Seen::Here(self.frame.constants[*index].bytes().as_ptr().cast_mut(), row_major()?))
            }
            Source::Input(index) | Source::PackedInput(index) => {
                let is_packed = matches!(window.source, Source::PackedInput(_));
                match self.frame.host_argument(*index) {
                    None => {
                        let Placed { memory, offset, strides } = self.frame.argument(&window.source)?.clone();
                        let extent = wanted.extent(strides.as_deref(), symbols)?;
                        self.coming(&memory, offset, extent, wanted)
                    }
                    Some(memory) if is_packed && !memory.is_contiguous() => {
                        Ok(Seen::Here(packed(&memory, kept)?, row_major()?))
                    }
                    Some(memory) if is_packed => Ok(Seen::Here(memory.pointer, row_major()?)),
                    Some(memory) => Ok(Seen::Here(memory.pointer, wanted.extent(Some(memory.strides), symbols)?)),
                }
            }
            Source::Output(_) | Source::Slot(_) if wanted.access == Access::Write => self.target(wanted),
            Source::Output(_) | Source::Slot(_) => self.made(wanted),
        }
    }

    /// A slot or an output that is read.
    fn made(&mut self, wanted: &Wanted<'_>) -> Result<Seen> {
        let symbols = self.frame.symbols;
        let twin = self.frame.twin(&wanted.window.source).ok_or_else(nowhere)?;
        if let Some(block) = &mut twin.host {
            let extent = wanted.extent(None, symbols)?;
            return Ok(Seen::Here(block.bytes_mut().as_mut_ptr(), extent));
        }
        let (memory, offset) = (twin.on_device()?.clone(), twin.offset);
        let extent = wanted.extent(None, symbols)?;
        self.coming(&memory, offset, extent, wanted)
    }

    /// A slot or an output that is written: the host has to have the rest of it too.
    fn target(&mut self, wanted: &Wanted<'_>) -> Result<Seen> {
        let extent = wanted.extent(None, self.frame.symbols)?;
        let dtype = wanted.window.dtype;
        let twin = self.frame.twin(&wanted.window.source).ok_or_else(nowhere)?;
        if twin.host.is_none() {
            let is_whole = wanted.sizes.iter().product::<usize>() * dtype.size() == twin.bytes;
            twin.host = Some(match &twin.device {
                Some(memory) if !is_whole => {
                    self.recorder.submit()?;
                    transfer::download(memory, dtype)?
                }
                _ => Block::new(twin.bytes)?,
            });
        }
        let block = twin.host.as_mut().ok_or_else(nowhere)?;
        Ok(Seen::Here(block.bytes_mut().as_mut_ptr(), extent))
    }

    /// Records the reading of as much memory of the device as a window sees that lies in it from an element on.
    fn coming(&mut self, memory: &DeviceMemory, first: i64, extent: Extent, wanted: &Wanted<'_>) -> Result<Seen> {
        let extent = Extent { offset: extent.offset.wrapping_add(first as isize), ..extent };
        let range = reach(&extent, wanted.sizes, wanted.window.dtype.size(), memory.bytes());
        if range == (0..memory.bytes()) {
            return Ok(Seen::Coming(self.recorder.read(memory)?, range, extent));
        }
        let part = self.frame.gpu().allocate(range.len())?;
        self.recorder.copy(memory, range.start as u64, &part, 0, range.len().next_multiple_of(4) as u64)?;
        Ok(Seen::Coming(self.recorder.read(&part)?, range, extent))
    }

    /// Brings what the host wrote to the device, where that has a place for it.
    fn pass_on(&mut self, wanted: &[Wanted<'_>]) -> Result<()> {
        for Wanted { window, .. } in wanted.iter().filter(|wanted| wanted.access == Access::Write) {
            let twin = self.frame.twin(&window.source).ok_or_else(nowhere)?;
            if let (Some(device), Some(host)) = (&twin.device, &twin.host) {
                self.recorder.write(device, host.bytes())?;
            }
        }
        Ok(())
    }
}

fn nowhere() -> Error {
    Error::Internal("a step on the host writes to memory that is not the call's".to_string())
}

/// A copy of an argument without gaps.
fn packed(memory: &Memory<'_>, kept: &mut Vec<Block>) -> Result<*mut u8> {
    let mut block = memory.allocate_like()?;
    let pointer = block.bytes_mut().as_mut_ptr();
    // SAFETY: an argument is valid for reads during the call; the block is new and has room for as many elements.
    unsafe { memory.gather(pointer) };
    kept.push(block);
    Ok(pointer)
}

/// A window, relative to the address of the memory's byte number `from`.
fn located(pointer: *mut u8, from: usize, extent: Extent, dtype: DType) -> Located {
    let offset = extent.offset.wrapping_mul(dtype.size() as isize).wrapping_sub(from as isize);
    Located { pointer: pointer.wrapping_offset(offset), strides: extent.strides }
}

fn binding(view: View, dtype: DType) -> Binding {
    match view {
        View::Positions(binding) => binding,
        View::Memory(Located { pointer, mut strides }) => {
            strides.iter_mut().for_each(|stride| *stride = stride.wrapping_mul(dtype.size() as isize));
            Binding { base: Base::Host(pointer), strides }
        }
    }
}

fn in_memory(view: View) -> Result<Located> {
    match view {
        View::Memory(located) => Ok(located),
        View::Positions(_) => {
            Err(Error::Internal("a host function reads a sequence that is not in memory".to_string()))
        }
    }
}

/// The bytes of row-major memory that a window over these sizes sees, from a place where any element may lie, to one that
/// copies may end at or to the end of the memory.
fn reach(extent: &Extent, sizes: &[usize], element: usize, bytes: usize) -> Range<usize> {
    if sizes.contains(&0) {
        return 0..0;
    }
    let (mut low, mut high) = (extent.offset, extent.offset);
    for (&size, &stride) in sizes.iter().zip(&extent.strides) {
        let step = stride.wrapping_mul(size as isize - 1);
        (low, high) = if step < 0 { (low.wrapping_add(step), high) } else { (low, high.wrapping_add(step)) };
    }
    let (start, end) = (low.max(0) as usize * element, (high.max(0) as usize + 1) * element);
    start / 8 * 8..end.next_multiple_of(4).min(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_reaches_from_its_lowest_to_its_highest_element() {
        let reached = |offset: isize, strides: &[isize], sizes: &[usize], element: usize, bytes: usize| {
            reach(&Extent { offset, strides: SmallVec::from_slice(strides) }, sizes, element, bytes)
        };
        assert_eq!(reached(0, &[], &[], 4, 4), 0..4);
        assert_eq!(reached(5, &[], &[], 4, 400), 16..24);
        assert_eq!(reached(9, &[-2], &[4], 8, 800), 24..80);
        assert_eq!(reached(0, &[10, 1], &[3, 2], 1, 22), 0..22);
        assert_eq!(reached(0, &[10, 1], &[3, 2], 1, 99), 0..24);
        assert_eq!(reached(7, &[1], &[0], 8, 0), 0..0);
    }
}
