//! Loops that run step by step: two buffers for each state, which change places after every step.
//!
//! The states' memory is had when the loop begins, that of a body's own slots in each step. The host looks at the guard between steps.

use smallvec::SmallVec;

use super::{Frame, Program};
use crate::array::Block;
use crate::backend::Parallelism;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::lower::plan::{LoopHead, Steps, Window};
use crate::runtime::OutPlace;
use crate::runtime::custom::Located;
use crate::runtime::memory::{Memory, Operand, Sizes};
use crate::runtime::windows::{size, sizes};
use crate::shape::{Shape, byte_size, row_major_strides};

/// An array in memory, strides in elements.
pub(super) struct Placed {
    pub pointer: *mut u8,
    pub dtype: DType,
    pub shape: Sizes<usize>,
    pub strides: SmallVec<[isize; 4]>,
}

/// A state: what it is now, and room for what comes next.
struct State {
    dtype: DType,
    shape: Sizes<usize>,
    strides: SmallVec<[isize; 4]>,
    now: Block,
    next: Block,
}

/// Where a step writes what it emits.
struct History {
    /// The place of the row for step 0.
    row: Placed,
    /// The distance between rows in bytes; zero where nobody needs them and all go to one place.
    distance: isize,
    /// That place.
    scratch: Option<Block>,
}

impl Placed {
    pub fn memory(&self, offset: isize) -> Memory<'_> {
        let pointer = self.pointer.wrapping_offset(offset);
        Memory { pointer, dtype: self.dtype, shape: &self.shape, strides: &self.strides }
    }

    /// The first row, and the distance between rows in bytes.
    fn into_rows(mut self) -> (Placed, isize) {
        self.shape.remove(0);
        let distance = self.strides.remove(0).wrapping_mul(self.dtype.size() as isize);
        (self, distance)
    }
}

impl State {
    fn new(dtype: DType, shape: Sizes<usize>) -> Result<State> {
        let bytes = byte_size(&shape, dtype.size())?;
        let strides = row_major_strides(&shape).into_iter().collect();
        Ok(State { dtype, shape, strides, now: Block::new(bytes)?, next: Block::new(bytes)? })
    }

    fn operand(&mut self) -> Operand<'_> {
        let pointer = self.now.bytes_mut().as_mut_ptr();
        Operand::Host(Memory { pointer, dtype: self.dtype, shape: &self.shape, strides: &self.strides })
    }
}

/// The memory of a loop.
struct Buffers {
    captured: Vec<Placed>,
    states: Vec<State>,
    /// The first rows of the sequences, and the distances between rows in bytes.
    rows: Vec<(Placed, isize)>,
    histories: Vec<History>,
    index: Option<State>,
}

impl Buffers {
    /// Makes a step.
    ///
    /// # Safety
    /// As `Program::run` for everything but the states.
    unsafe fn step(
        &mut self,
        number: usize,
        body: &Program,
        frame: &Frame<'_>,
        parallelism: &Parallelism,
    ) -> Result<()> {
        // SAFETY: passed on.
        unsafe { self.run(number, body, frame, parallelism)? };
        self.states.iter_mut().for_each(|state| std::mem::swap(&mut state.now, &mut state.next));
        Ok(())
    }

    /// # Safety
    /// As `step`.
    unsafe fn run(
        &mut self,
        number: usize,
        body: &Program,
        frame: &Frame<'_>,
        parallelism: &Parallelism,
    ) -> Result<()> {
        let along = |distance: isize| distance.wrapping_mul(number as isize);
        let mut outputs: SmallVec<[OutPlace<'_>; 4]> = SmallVec::new();
        for state in &mut self.states {
            let pointer = state.next.bytes_mut().as_mut_ptr();
            outputs.push(OutPlace::of_dtype(state.dtype, pointer, &state.shape, &state.strides));
        }
        for History { row, distance, .. } in &self.histories {
            let Memory { pointer, dtype, shape, strides } = row.memory(along(*distance));
            outputs.push(OutPlace::of_dtype(dtype, pointer, shape, strides));
        }
        let mut inputs: SmallVec<[Operand<'_>; 8]> = SmallVec::new();
        inputs.extend(self.captured.iter().map(|placed| Operand::Host(placed.memory(0))));
        inputs.extend(self.states.iter_mut().map(State::operand));
        inputs.extend(self.rows.iter().map(|(row, distance)| Operand::Host(row.memory(along(*distance)))));
        if let Some(index) = &mut self.index {
            index.now.bytes_mut()[..8].copy_from_slice(&(number as i64).to_ne_bytes());
            inputs.push(index.operand());
        }
        // SAFETY: the next states are apart from the current ones and from everything outside the loop; the caller
        // vouches for the rest.
        unsafe { body.run(&inputs, &outputs, frame.symbols, parallelism) }
    }

    /// Whether there is an element with another step.
    fn holds(&self) -> bool {
        self.states.first().is_some_and(|guard| {
            let count = guard.shape.iter().product::<usize>();
            guard.now.bytes()[..count].contains(&1)
        })
    }
}

impl Frame<'_> {
    /// # Safety
    /// As `Program::run`.
    pub(super) unsafe fn run_loop(
        &mut self,
        step: &LoopHead,
        body: Option<&Program>,
        parallelism: &Parallelism,
    ) -> Result<()> {
        let body = body.ok_or_else(|| Error::Internal("a loop without a body".to_string()))?;
        if step.is_branch() {
            // SAFETY: passed on.
            return unsafe { self.run_branch(step, body, parallelism) };
        }
        // SAFETY: the windows are valid for their shapes; what was allocated has room for them.
        unsafe {
            let most = self.most_steps(&step.steps)?;
            let mut buffers = self.buffers(step)?;
            let mut done = 0;
            while most.is_none_or(|most| done < most) && (!step.guarded || buffers.holds()) {
                buffers.step(done, body, self, parallelism)?;
                done += 1;
            }
            for history in &buffers.histories {
                clear(history, done, most.unwrap_or(done))?;
            }
            self.write_results(step, &buffers, done)
        }
    }

    /// # Safety
    /// As `Program::run`.
    unsafe fn most_steps(&mut self, steps: &Steps) -> Result<Option<usize>> {
        match steps {
            Steps::Known(steps) => size(steps, self.symbols).map(Some),
            Steps::Unbounded => Ok(None),
            Steps::Computed(window) => {
                let place = self.located(window, 0)?;
                // SAFETY: the window is of one i64.
                let count = unsafe { place.pointer.cast::<i64>().read() };
                let refused = |_| Error::Argument(format!("a loop of {count} steps; the number of steps is 0 or more"));
                usize::try_from(count).map(Some).map_err(refused)
            }
        }
    }

    pub(super) fn placed(&mut self, window: &Window, shape: &Shape) -> Result<Placed> {
        let Located { pointer, strides } = self.located(window, shape.len())?;
        Ok(Placed { pointer, dtype: window.dtype, shape: sizes(shape, self.symbols)?, strides })
    }

    /// # Safety
    /// As `Program::run`.
    unsafe fn buffers(&mut self, step: &LoopHead) -> Result<Buffers> {
        let captured = step.captured.iter().map(|(window, shape)| self.placed(window, shape));
        let captured = captured.collect::<Result<_>>()?;
        let mut states = Vec::with_capacity(step.initial.len());
        for (window, shape) in &step.initial {
            let placed = self.placed(window, shape)?;
            let mut state = State::new(placed.dtype, placed.shape.clone())?;
            // SAFETY: the state has room for what the window shows, and is memory of its own.
            unsafe { placed.memory(0).gather(state.now.bytes_mut().as_mut_ptr()) };
            states.push(state);
        }
        let rows = step.sequences.iter().map(|(window, shape)| Ok(self.placed(window, shape)?.into_rows()));
        let rows = rows.collect::<Result<_>>()?;
        let histories = (step.emitted.iter().zip(&step.results[states.len()..]))
            .map(|((dtype, shape), window)| self.history(*dtype, shape, window.as_ref()));
        let histories = histories.collect::<Result<_>>()?;
        let index = step.takes_index.then(|| State::new(DType::I64, Sizes::new())).transpose()?;
        Ok(Buffers { captured, states, rows, histories, index })
    }

    fn history(&mut self, dtype: DType, shape: &Shape, window: Option<&Window>) -> Result<History> {
        let shape = sizes(shape, self.symbols)?;
        let Some(window) = window else {
            let mut scratch = Block::new(byte_size(&shape, dtype.size())?)?;
            let strides = row_major_strides(&shape).into_iter().collect();
            let row = Placed { pointer: scratch.bytes_mut().as_mut_ptr(), dtype, shape, strides };
            return Ok(History { row, distance: 0, scratch: Some(scratch) });
        };
        let Located { pointer, strides } = self.located(window, shape.len() + 1)?;
        let shape = std::iter::once(0).chain(shape).collect();
        let (row, distance) = Placed { pointer, dtype, shape, strides }.into_rows();
        Ok(History { row, distance, scratch: None })
    }

    /// # Safety
    /// As `Program::run`.
    unsafe fn write_results(&mut self, step: &LoopHead, buffers: &Buffers, done: usize) -> Result<()> {
        for (state, window) in buffers.states.iter().zip(&step.results) {
            let Some(window) = window else { continue };
            let Located { pointer, strides } = self.located(window, state.shape.len())?;
            let place = Memory { pointer, dtype: state.dtype, shape: &state.shape, strides: &strides };
            // SAFETY: the result has the shape of the state and is memory that nobody else uses in this step.
            unsafe { place.scatter(state.now.bytes().as_ptr()) };
        }
        if let Some(Some(window)) = step.results.last() {
            let place = self.located(window, 0)?;
            // SAFETY: the window is of one i64.
            unsafe { place.pointer.cast::<i64>().write(done as i64) };
        }
        Ok(())
    }
}

/// Sets the rows that no step reached to zero.
///
/// # Safety
/// The rows are valid for writes.
unsafe fn clear(history: &History, done: usize, most: usize) -> Result<()> {
    if done >= most || history.scratch.is_some() {
        return Ok(());
    }
    let mut zeros = Block::new(byte_size(&history.row.shape, history.row.dtype.size())?)?;
    zeros.bytes_mut().fill(0);
    for number in done..most {
        let row = history.row.memory(history.distance.wrapping_mul(number as isize));
        // SAFETY: passed on; the zeros are as many.
        unsafe { row.scatter(zeros.bytes().as_ptr()) };
    }
    Ok(())
}
