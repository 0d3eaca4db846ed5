//! One dispatch: the words of its uniform buffer, the ranges of its storage buffers, and the grid.

use std::ops::Range;

use crate::backend::gpu::emit::layout::{Home, Layout};
use crate::backend::gpu::emit::params::Word;
use crate::backend::gpu::kernel::Emitted;
use crate::backend::gpu::launch::{Launch, Window, memory};
use crate::backend::gpu::loops::count;
use crate::backend::gpu::memory::DeviceMemory;
use crate::backend::gpu::recorder::{self, Recorder};
use crate::error::{Error, Result};
use crate::loops::OperandId;

/// Packed operands begin at multiples of this many bytes.
const PACKING: u64 = 16;

/// What is bound of an array without elements: the largest element, since a binding holds at least one.
const EMPTY: u64 = 8;

/// A dispatch of a window of a launch.
pub struct Dispatch<'a> {
    launch: &'a Launch<'a>,
    emitted: &'a Emitted,
    window: Window,
    count: u64,
    states: u64,
    group_bits: u32,
    rows: Option<(u64, u64)>,
    inner: Range<u64>,
    part: (u64, u64),
    reads: Option<&'a DeviceMemory>,
    writes: Option<&'a DeviceMemory>,
}

/// The bytes of an operand's memory that a window reaches, aligned.
#[derive(Debug, Clone, Copy)]
struct Reached {
    start: u64,
    bytes: u64,
}

impl<'a> Dispatch<'a> {
    /// A dispatch of so many points, groups of lanes, or groups of states.
    pub fn new(launch: &'a Launch<'a>, emitted: &'a Emitted, window: Window, count: u64) -> Dispatch<'a> {
        let (states, group_bits, rows, inner, part, reads, writes) = (0, 0, None, 0..0, (0, 0), None, None);
        Dispatch { launch, emitted, window, count, states, group_bits, rows, inner, part, reads, writes }
    }

    /// How many states each reduction has in scratch memory, and how many are merged at once, as a power of two.
    pub fn states(self, states: u64, group_bits: u32) -> Self {
        Dispatch { states, group_bits, ..self }
    }

    /// The first row and the number of rows of a matrix product, in place of numbers of points.
    pub fn rows(self, first: u64, count: u64) -> Self {
        Dispatch { rows: Some((first, count)), ..self }
    }

    /// The range of the inner axis of a matrix product.
    pub fn inner(self, inner: Range<u64>) -> Self {
        Dispatch { inner, ..self }
    }

    /// The number of the dispatch, from 1 on, among those that walk the loops of its points, and its rounds of them.
    pub fn part(self, number: u64, rounds: u64) -> Self {
        Dispatch { part: (number, rounds), ..self }
    }

    /// The scratch memory that is read.
    pub fn reads(self, memory: impl Into<Option<&'a DeviceMemory>>) -> Self {
        Dispatch { reads: memory.into(), ..self }
    }

    /// The scratch memory that is written.
    pub fn writes(self, memory: impl Into<Option<&'a DeviceMemory>>) -> Self {
        Dispatch { writes: memory.into(), ..self }
    }

    /// Whether what some points and blocks reach fits the device's bindings.
    pub fn fits(launch: &Launch<'_>, layout: &Layout, points: &Range<u64>, blocks: &Range<u64>) -> bool {
        let mut bytes = vec![0; layout.buffers.len()];
        for operand in 0..launch.operands.len() {
            if let Home::Buffer(buffer) = layout.homes[operand] {
                let reached = reached(launch, operand, points, blocks);
                bytes[buffer] += reached.bytes.next_multiple_of(PACKING);
            }
        }
        bytes.iter().all(|bytes| *bytes <= launch.limits.binding_bytes)
    }

    /// Records the dispatch of so many workgroups.
    ///
    /// # Errors
    /// Whatever the device meets.
    pub fn run(&self, recorder: &mut Recorder, groups: u64) -> Result<()> {
        self.run_on(recorder, self.grid(groups))
    }

    /// Records the dispatch of a grid of workgroups.
    ///
    /// # Errors
    /// Whatever the device meets.
    pub fn run_on(&self, recorder: &mut Recorder, grid: [u32; 3]) -> Result<()> {
        let pipeline = recorder.gpu().pipeline(&self.emitted.shader)?;
        let layout = &self.emitted.layout;
        let mut words = self.words();
        let mut bound: Vec<Option<(DeviceMemory, u64, u64)>> = vec![None; layout.buffers.len()];
        for (buffer, place) in bound.iter_mut().enumerate() {
            if layout.is_shared(buffer) {
                *place = Some(self.pack(recorder, buffer, &mut words)?);
            }
        }
        for (operand, home) in layout.homes.iter().enumerate() {
            let Home::Buffer(buffer) = *home else { continue };
            if bound[buffer].is_none() {
                let (memory, reached) = self.reached(operand)?;
                let size = self.element_size(operand);
                words[layout.base(OperandId(operand as u32))] = self.relative(operand, reached.start / size);
                bound[buffer] = Some((memory.clone(), reached.start, reached.bytes));
            }
        }
        for (buffer, scratch) in [(layout.scratch_in, self.reads), (layout.scratch_out, self.writes)] {
            if let (Some(buffer), Some(memory)) = (buffer, scratch) {
                bound[buffer] = Some((memory.clone(), 0, memory.bytes().next_multiple_of(4).max(4) as u64));
            }
        }
        let ranges: Option<Vec<recorder::Range<'_>>> = bound
            .iter()
            .map(|place| {
                place.as_ref().map(|(memory, offset, bytes)| recorder::Range { memory, offset: *offset, bytes: *bytes })
            })
            .collect();
        let ranges = ranges.ok_or_else(|| Error::Internal("a shader has a buffer that nothing binds".to_string()))?;
        recorder.dispatch(&pipeline, &words, &ranges, grid)
    }

    /// Workgroups in a row, or in rows if they are too many for one.
    fn grid(&self, groups: u64) -> [u32; 3] {
        let most = u64::from(self.launch.limits.groups);
        let rows = groups.div_ceil(most).max(1);
        [groups.div_ceil(rows) as u32, rows as u32, 1]
    }

    /// The words of the uniform buffer, but for the offsets of operands in memory.
    fn words(&self) -> Vec<u32> {
        let (launch, layout) = (self.launch, &self.emitted.layout);
        let mut words = vec![0; layout.words()];
        let window = &self.window;
        let (first, results) = self.rows.unwrap_or((window.points.start, window.points.end - window.points.start));
        let head = [
            (Word::Zero, 0),
            (Word::Count, self.count),
            (Word::FirstPoint, first),
            (Word::Elements, count(&launch.reduced)),
            (Word::FirstBlock, window.blocks.start),
            (Word::Blocks, (window.blocks.end - window.blocks.start).max(1)),
            (Word::States, self.states),
            (Word::Results, results),
            (Word::GroupBits, u64::from(self.group_bits)),
            (Word::InnerStart, self.inner.start),
            (Word::InnerEnd, self.inner.end),
            (Word::Part, self.part.0),
            (Word::Rounds, self.part.1),
        ];
        for (word, value) in head {
            words[word as usize] = value as u32;
        }
        let loops = launch.outer.iter().chain(&launch.reduced).chain(&launch.steps);
        for (number, one) in loops.enumerate() {
            words[layout.extent(number)] = one.extent as u32;
            for (operand, stride) in one.strides.iter().enumerate() {
                let place = layout.stride(launch.kernel.kernel(), OperandId(operand as u32), number);
                words[place] = *stride as u32;
            }
        }
        for (operand, _) in layout.homes.iter().enumerate().filter(|(_, home)| **home == Home::Position) {
            let (base, offset) = (layout.base(OperandId(operand as u32)), launch.operands[operand].offset);
            words[base] = offset as u32;
            words[base + 1] = (offset >> 32) as u32;
        }
        words
    }

    fn element_size(&self, operand: usize) -> u64 {
        self.launch.kernel.kernel().operands[operand].dtype.size() as u64
    }

    /// An operand's offset from the first element of its binding, modulo 2³².
    fn relative(&self, operand: usize, first: u64) -> u32 {
        self.launch.operands[operand].offset.wrapping_sub(first as i64) as u32
    }

    fn reached(&self, operand: usize) -> Result<(&'a DeviceMemory, Reached)> {
        let memory = memory(&self.launch.operands[operand])
            .ok_or_else(|| Error::Internal(format!("operand {operand} of a launch has no memory")))?;
        let reached = reached(self.launch, operand, &self.window.points, &self.window.blocks);
        Ok((memory, reached))
    }

    /// Copies what the window reaches of several operands into one buffer.
    fn pack(&self, recorder: &mut Recorder, buffer: usize, words: &mut [u32]) -> Result<(DeviceMemory, u64, u64)> {
        let layout = &self.emitted.layout;
        let mut parts = Vec::new();
        let mut bytes = 0;
        for operand in (0..layout.homes.len()).filter(|&operand| layout.homes[operand] == Home::Buffer(buffer)) {
            let (memory, reached) = self.reached(operand)?;
            parts.push((operand, memory, reached, bytes));
            bytes += reached.bytes.next_multiple_of(PACKING);
        }
        let packed = recorder.gpu().allocate(bytes as usize)?;
        for (operand, memory, reached, place) in parts {
            recorder.copy(memory, reached.start, &packed, place, reached.bytes)?;
            let size = self.element_size(operand);
            let base = self.relative(operand, reached.start / size).wrapping_add((place / size) as u32);
            words[layout.base(OperandId(operand as u32))] = base;
        }
        Ok((packed, 0, bytes))
    }
}

/// What an operand's memory must show to a window, from a multiple of the device's alignment on.
fn reached(launch: &Launch<'_>, operand: usize, points: &Range<u64>, blocks: &Range<u64>) -> Reached {
    let span = launch.reach(operand, points, &launch.elements(blocks));
    let (offset, size) =
        (launch.operands[operand].offset, launch.kernel.kernel().operands[operand].dtype.size() as u64);
    let byte = |element: i64| (offset.saturating_add(element).max(0) as u64).saturating_mul(size);
    let alignment = u64::from(launch.limits.offset_alignment).max(PACKING);
    let start = byte(span.low) / alignment * alignment;
    let available = memory(&launch.operands[operand]).map_or(0, |memory| memory.bytes() as u64).next_multiple_of(4);
    // A reduction of nothing reads nothing, wherever its operand begins.
    if start >= available {
        return Reached { start: 0, bytes: EMPTY };
    }
    let end = byte(span.high).saturating_add(size).min(available).next_multiple_of(4);
    Reached { start, bytes: end - start }
}
