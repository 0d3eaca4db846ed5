//! Loops of a call on a device that run step by step: two buffers for each state, which change places after every step.
//!
//! Steps are recorded one after the other, as long as the host knows that they are to be made. Where a guard says, the
//! host reads whether it held: after 1, 2, 4 … 64 steps if a step for which it does not hold changes nothing, else before
//! each, as before the only step of a branch. Rows of sequences and of histories are read and written where they lie.

use std::sync::Arc;

use crate::backend::gpu::{DeviceMemory, Gpu, GpuBase, GpuOperand, Recorder};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::lower::plan::{LoopHead, Source, Steps, Window};
use crate::runtime::gpu::call::Call;
use crate::runtime::gpu::frame::{Argument, Frame, Placed, Twin};
use crate::runtime::gpu::program::LoopStep;
use crate::runtime::memory::Sizes;
use crate::runtime::windows::{size, sizes};
use crate::shape::{Symbols, byte_size, row_major_strides};

/// The most steps that the host does not look at the guard for: so many bytes say where it held.
const AHEAD: usize = 64;

/// The numbers of so many steps are in memory at once.
const NUMBERS: usize = 1024;

/// The memory of a loop, which stays with the frame that it is in.
pub(super) struct LoopMemory<'a> {
    states: Vec<State>,
    /// A row for what a step emits and nobody needs, or the host writes.
    rows: Vec<Option<DeviceMemory>>,
    /// Where arguments of the body are put in row-major order, had when they are not.
    packed: Vec<Option<DeviceMemory>>,
    numbers: Option<DeviceMemory>,
    /// Whether the guard held, a byte for each step since the host last looked.
    held: Option<DeviceMemory>,
    body: Frame<'a>,
}

/// A state: what it is now, and room for what comes next.
struct State {
    dtype: DType,
    shape: Sizes<usize>,
    bytes: usize,
    now: DeviceMemory,
    next: DeviceMemory,
}

/// An array outside the loop: as it is, or row by row.
struct Outer {
    dtype: DType,
    /// From the first element of the array, or of row 0.
    placed: Placed,
    /// Of the array, or of a row.
    shape: Sizes<usize>,
    /// From row to row in elements.
    distance: i64,
}

/// A loop while it runs.
struct Run<'l, 'a> {
    step: &'a LoopStep,
    memory: &'l mut LoopMemory<'a>,
    recorder: &'l mut Recorder,
    sequences: Vec<Outer>,
    /// None where no row is needed.
    histories: Vec<Option<Outer>>,
}

impl<'a> LoopMemory<'a> {
    /// Has all memory of a loop, and that of the loops inside.
    ///
    /// # Errors
    /// As `Frame::new`.
    pub fn new(step: &'a LoopStep, gpu: &Arc<Gpu>, symbols: &'a Symbols) -> Result<LoopMemory<'a>> {
        let LoopStep { head, body, .. } = step;
        let states = head.initial.iter().map(|(window, shape)| State::new(gpu, window.dtype, sizes(shape, symbols)?));
        let states = states.collect::<Result<Vec<_>>>()?;
        let mut rows = Vec::with_capacity(head.emitted.len());
        for (number, (dtype, shape)) in head.emitted.iter().enumerate() {
            let output = states.len() + number;
            let is_own = head.results[output].is_none() || body.on_host.contains(&Source::Output(output));
            let bytes = byte_size(&sizes(shape, symbols)?, dtype.size())?;
            rows.push(is_own.then(|| gpu.allocate(bytes)).transpose()?);
        }
        let numbers = head.takes_index.then(|| gpu.allocate(NUMBERS * size_of::<i64>())).transpose()?;
        let held = head.guarded.then(|| gpu.allocate(AHEAD)).transpose()?;
        let packed = vec![None; head.captured.len() + states.len() + head.sequences.len()];
        let body = Frame::inside(body, body.resident(gpu)?, symbols)?;
        Ok(LoopMemory { states, rows, packed, numbers, held, body })
    }
}

impl State {
    fn new(gpu: &Arc<Gpu>, dtype: DType, shape: Sizes<usize>) -> Result<State> {
        let bytes = byte_size(&shape, dtype.size())?;
        Ok(State { dtype, shape, bytes, now: gpu.allocate(bytes)?, next: gpu.allocate(bytes)? })
    }
}

impl Outer {
    fn new(frame: &Frame<'_>, window: &Window, shape: Sizes<usize>) -> Result<Outer> {
        let GpuOperand { base, offset, strides } = frame.operand(window, shape.len())?;
        let GpuBase::Memory(memory) = base else {
            return Err(Error::Internal("a loop reads a sequence that is not in memory".to_string()));
        };
        let strides = Some(strides.iter().map(|&stride| stride as isize).collect());
        let placed = Placed { memory: memory.clone(), offset, strides };
        Ok(Outer { dtype: window.dtype, placed, shape, distance: 0 })
    }

    fn into_rows(mut self) -> Outer {
        self.shape.remove(0);
        self.distance = self.placed.strides.as_mut().map_or(0, |strides| strides.remove(0) as i64);
        self
    }

    /// A row, or the array itself.
    fn row(&self, number: usize) -> Placed {
        let offset = self.placed.offset.wrapping_add(self.distance.wrapping_mul(number as i64));
        Placed { offset, ..self.placed.clone() }
    }

    fn is_row_major(&self) -> bool {
        let natural = row_major_strides(&self.shape);
        let strides = self.placed.strides.iter().flatten().zip(&natural).zip(&self.shape);
        self.shape.contains(&0) || strides.into_iter().all(|((own, natural), &size)| size == 1 || own == natural)
    }
}

impl<'a> Call<'_, 'a> {
    /// Runs a loop.
    ///
    /// # Safety
    /// As `Call::step`.
    pub(super) unsafe fn run_loop(&mut self, number: usize, step: &'a LoopStep) -> Result<()> {
        let memory = self.frame.loops.remove(&number);
        let mut memory = memory.ok_or_else(|| Error::Internal("a loop without memory".to_string()))?;
        // SAFETY: passed on.
        let result = unsafe { self.loop_in(&mut memory, step) };
        self.frame.loops.insert(number, memory);
        result
    }

    /// # Safety
    /// As `Call::step`.
    unsafe fn loop_in(&mut self, memory: &mut LoopMemory<'a>, step: &'a LoopStep) -> Result<()> {
        // SAFETY: passed on.
        let most = unsafe { self.most_steps(&step.head.steps)? };
        for window in step.head.results.iter().flatten() {
            self.frame.twin(&window.source).into_iter().for_each(|twin| twin.host = None);
        }
        let mut run = self.begin(memory, step)?;
        // SAFETY: passed on.
        let done = unsafe { run.steps(most)? };
        self.end(memory, step, done)
    }

    /// # Safety
    /// As `Call::step`.
    unsafe fn most_steps(&mut self, steps: &Steps) -> Result<Option<usize>> {
        match steps {
            Steps::Known(steps) => size(steps, self.frame.symbols).map(Some),
            Steps::Unbounded => Ok(None),
            Steps::Computed(window) => {
                // SAFETY: passed on.
                let count = unsafe { self.number(window)? };
                let refused = |_| Error::Argument(format!("a loop of {count} steps; the number of steps is 0 or more"));
                usize::try_from(count).map(Some).map_err(refused)
            }
        }
    }

    /// The first states, and what the body takes from outside in all steps.
    fn begin<'l>(&'l mut self, memory: &'l mut LoopMemory<'a>, step: &'a LoopStep) -> Result<Run<'l, 'a>> {
        let (frame, recorder, head) = (&*self.frame, &mut *self.recorder, &step.head);
        for (state, (window, _)) in memory.states.iter().zip(&head.initial) {
            let from = frame.operand(window, state.shape.len())?;
            step.kernels.copy(recorder, state.dtype.size(), &state.shape, from, (&state.now, 0))?;
        }
        let outer = |window: &Window, shape| Outer::new(frame, window, sizes(shape, frame.symbols)?);
        let sequences = head.sequences.iter().map(|(window, shape)| Ok(outer(window, shape)?.into_rows()));
        let sequences = sequences.collect::<Result<Vec<_>>>()?;
        let mut histories = Vec::with_capacity(head.emitted.len());
        for ((dtype, shape), window) in head.emitted.iter().zip(&head.results[memory.states.len()..]) {
            let Some(window) = window else {
                histories.push(None);
                continue;
            };
            let rows = head.sequences.first().and_then(|(_, shape)| shape.first());
            let rows = rows.ok_or_else(|| Error::Internal("a history without a sequence".to_string()))?;
            let shape: Sizes<usize> =
                std::iter::once(rows).chain(shape).map(|dim| size(dim, frame.symbols)).collect::<Result<_>>()?;
            let history = Outer::new(frame, window, shape.clone())?;
            if head.guarded {
                // It may be a row of a history itself, of which the other rows stay.
                let zero = recorder.gpu().allocate(dtype.size())?;
                recorder.clear(&zero)?;
                let strides = shape.iter().map(|_| 0).collect();
                let from = GpuOperand { base: GpuBase::Memory(&zero), offset: 0, strides };
                let to = (&history.placed.memory, history.placed.offset);
                step.kernels.copy(recorder, dtype.size(), &shape, from, to)?;
            }
            histories.push(Some(history.into_rows()));
        }
        memory.body.arguments.clear();
        for (number, (window, shape)) in head.captured.iter().enumerate() {
            let argument = memory.argument(recorder, step, number, &outer(window, shape)?, 0)?;
            memory.body.arguments.push(argument);
        }
        Ok(Run { step, memory, recorder, sequences, histories })
    }

    /// The last states, and how many steps were made.
    fn end(&mut self, memory: &LoopMemory<'_>, step: &LoopStep, done: usize) -> Result<()> {
        for (state, window) in memory.states.iter().zip(&step.head.results) {
            let Some(window) = window else { continue };
            let to = Outer::new(self.frame, window, state.shape.clone())?.placed;
            let from = row_major(&state.now, &state.shape);
            step.kernels.copy(self.recorder, state.dtype.size(), &state.shape, from, (&to.memory, to.offset))?;
        }
        if let Some(Some(window)) = step.head.results.last() {
            let to = Outer::new(self.frame, window, Sizes::new())?.placed;
            let steps = self.recorder.gpu().allocate(size_of::<i64>())?;
            self.recorder.write(&steps, &(done as i64).to_le_bytes())?;
            let from = row_major(&steps, &[]);
            step.kernels.copy(self.recorder, size_of::<i64>(), &[], from, (&to.memory, to.offset))?;
        }
        Ok(())
    }
}

impl<'a> LoopMemory<'a> {
    /// An array outside, or a row of it, as an argument of the body.
    fn argument(
        &mut self,
        recorder: &mut Recorder,
        step: &LoopStep,
        argument: usize,
        outer: &Outer,
        row: usize,
    ) -> Result<Argument<'a>> {
        let placed = outer.row(row);
        if outer.is_row_major() {
            return Ok(whole(Placed { strides: None, ..placed }));
        }
        let source = Source::PackedInput(argument);
        if !step.body.on_device.contains(&source) && !step.body.on_host.contains(&source) {
            return Ok(Argument { host: None, strided: Some(placed), packed: None });
        }
        let memory = match &self.packed[argument] {
            Some(memory) => memory.clone(),
            None => recorder.gpu().allocate(byte_size(&outer.shape, outer.dtype.size())?)?,
        };
        self.packed[argument] = Some(memory.clone());
        let strides = placed.strides.iter().flatten().map(|&stride| stride as i64).collect();
        let from = GpuOperand { base: GpuBase::Memory(&placed.memory), offset: placed.offset, strides };
        step.kernels.copy(recorder, outer.dtype.size(), &outer.shape, from, (&memory, 0))?;
        let packed = Some(Placed { memory, offset: 0, strides: None });
        Ok(Argument { host: None, strided: Some(placed), packed })
    }
}

impl<'a> Run<'_, 'a> {
    fn head(&self) -> &'a LoopHead {
        &self.step.head
    }

    /// Makes all steps; gives how many there were.
    ///
    /// # Safety
    /// As `Call::step`.
    unsafe fn steps(&mut self, most: Option<usize>) -> Result<usize> {
        // A single step is a branch, which is not taken in vain.
        let goes_ahead = self.head().masked && most != Some(1) && !self.step.body.is_interrupted();
        let (mut done, mut ahead) = (0, if self.head().guarded { 1 } else { usize::MAX });
        loop {
            let count = most.map_or(ahead, |most| ahead.min(most - done));
            if count == 0 {
                return Ok(done);
            }
            // SAFETY: passed on.
            let made = unsafe { self.some_steps(done, count, goes_ahead)? };
            done += made;
            if made < count {
                return Ok(done);
            }
            ahead = if goes_ahead { (2 * ahead).min(AHEAD) } else { ahead };
        }
    }

    /// Makes so many steps from `first` on; gives for how many of them the guard held. Those for which it does not are
    /// not made, or change nothing.
    ///
    /// # Safety
    /// As `Call::step`.
    unsafe fn some_steps(&mut self, first: usize, count: usize, goes_ahead: bool) -> Result<usize> {
        for number in 0..count {
            if self.head().guarded {
                self.look(number)?;
                if !goes_ahead && self.held(1)? == 0 {
                    return Ok(number);
                }
            }
            // SAFETY: passed on.
            unsafe { self.step(first + number)? };
        }
        if goes_ahead { self.held(count) } else { Ok(count) }
    }

    /// Records that the device is to say whether the guard holds.
    fn look(&mut self, number: usize) -> Result<()> {
        let (Some(guard), Some(held)) = (self.memory.states.first(), &self.memory.held) else {
            return Err(Error::Internal("a guarded loop without a guard".to_string()));
        };
        self.step.kernels.any(self.recorder, (&guard.now, guard.bytes), (held, number))
    }

    /// For how many of the steps since the host last looked the guard held.
    fn held(&mut self, count: usize) -> Result<usize> {
        let held = self.memory.held.as_ref().ok_or_else(|| Error::Internal("no guard to look at".to_string()))?;
        let reading = self.recorder.read(held)?;
        self.recorder.submit()?;
        let mut bytes = [0; AHEAD];
        self.recorder.fetch(reading, &mut bytes)?;
        Ok(bytes[..count].iter().take_while(|byte| **byte != 0).count())
    }

    /// # Safety
    /// As `Call::step`.
    unsafe fn step(&mut self, number: usize) -> Result<()> {
        self.arguments(number)?;
        self.outputs(number);
        let mut call = Call { frame: &mut self.memory.body, recorder: self.recorder };
        // SAFETY: the next states are apart from the current ones and from everything outside the loop; the caller
        // vouches for the rest.
        unsafe { call.steps(&self.step.body)? };
        self.emit(number)?;
        self.memory.states.iter_mut().for_each(|state| std::mem::swap(&mut state.now, &mut state.next));
        self.recorder.submit_many()
    }

    /// What the body is given: behind what it captures, the states, the rows, and the number of the step.
    fn arguments(&mut self, number: usize) -> Result<()> {
        let (head, memory) = (self.head(), &mut *self.memory);
        memory.body.arguments.truncate(head.captured.len());
        let states = memory.states.iter().map(|state| whole(from_start(&state.now, 0)));
        memory.body.arguments.extend(states);
        let first = memory.body.arguments.len();
        for (index, sequence) in self.sequences.iter().enumerate() {
            let argument = memory.argument(self.recorder, self.step, first + index, sequence, number)?;
            memory.body.arguments.push(argument);
        }
        if let Some(numbers) = &memory.numbers {
            if number.is_multiple_of(NUMBERS) {
                self.step.kernels.number(self.recorder, number as i64, numbers)?;
            }
            memory.body.arguments.push(whole(from_start(numbers, number % NUMBERS)));
        }
        Ok(())
    }

    /// Where the body writes: the next states, and rows.
    fn outputs(&mut self, number: usize) {
        let LoopMemory { states, rows, body, .. } = &mut *self.memory;
        let twin =
            |memory: &DeviceMemory, offset, bytes| Twin { bytes, offset, device: Some(memory.clone()), host: None };
        body.outputs.clear();
        body.outputs.extend(states.iter().map(|state| twin(&state.next, 0, state.bytes)));
        for (own, history) in rows.iter().zip(&self.histories) {
            body.outputs.extend(match (own, history) {
                (Some(own), _) => Some(twin(own, 0, own.bytes())),
                (None, Some(history)) => {
                    let bytes = history.shape.iter().product::<usize>() * history.dtype.size();
                    Some(twin(&history.placed.memory, history.row(number).offset, bytes))
                }
                (None, None) => None,
            });
        }
    }

    /// Brings rows that were made elsewhere to their histories.
    fn emit(&mut self, number: usize) -> Result<()> {
        for (own, history) in self.memory.rows.iter().zip(&self.histories) {
            let (Some(own), Some(history)) = (own, history) else { continue };
            let (from, to) = (row_major(own, &history.shape), history.row(number));
            let (bytes, place) = (history.dtype.size(), (&to.memory, to.offset));
            self.step.kernels.copy(self.recorder, bytes, &history.shape, from, place)?;
        }
        Ok(())
    }
}

fn from_start(memory: &DeviceMemory, first: usize) -> Placed {
    Placed { memory: memory.clone(), offset: first as i64, strides: None }
}

/// An argument in row-major order.
fn whole<'a>(placed: Placed) -> Argument<'a> {
    Argument { host: None, strided: Some(placed.clone()), packed: Some(placed) }
}

fn row_major<'m>(memory: &'m DeviceMemory, shape: &[usize]) -> GpuOperand<'m> {
    let strides = row_major_strides(shape).into_iter().map(|stride| stride as i64).collect();
    GpuOperand { base: GpuBase::Memory(memory), offset: 0, strides }
}
