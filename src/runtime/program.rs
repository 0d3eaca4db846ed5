//! Runs a lowered plan on the memory of a call.
//!
//! All memory is had before the first step runs, so that running out of it leaves the results untouched. Arguments
//! that must be contiguous and are not are copied first; results that are not contiguous are made beside and
//! copied last.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::array::{Array, Block};
use crate::backend::matmul::{Matrix, matmul};
use crate::backend::{Executable, Parallelism};
use crate::error::{Error, Result};
use crate::loops::{Base, Binding, Launch};
use crate::lower::plan::{CustomStep, KernelStep, MatMulStep, Plan, Source, Step, Window};
use crate::runtime::memory::{Memory, Sizes, copy};
use crate::shape::{Dim, Symbols, row_major_strides};

/// A plan whose kernels an engine holds ready.
#[derive(Debug)]
pub struct Program {
    plan: Plan<Arc<dyn Executable>>,
    packed: Vec<usize>,
}

/// The memory of one call while it runs.
struct Frame<'a> {
    inputs: &'a [Memory],
    packed: SmallVec<[(usize, Memory); 2]>,
    outputs: SmallVec<[Memory; 4]>,
    slots: Vec<Block>,
    constants: &'a [Array],
    symbols: &'a Symbols,
    /// Keeps the copies alive.
    _blocks: SmallVec<[Block; 2]>,
}

// SAFETY of everything below that is unsafe: the caller of `run` vouches for the memory of arguments and results;
// slots and copies are owned by the frame and have the sizes that the plan computes from the same symbols; windows
// stay within their sources because inference and the constraints of the call say so.

impl Program {
    /// Takes a plan.
    pub fn new(plan: Plan<Arc<dyn Executable>>) -> Program {
        let mut packed: Vec<usize> = plan.steps.iter().flat_map(windows).filter_map(packed_input).collect();
        packed.sort_unstable();
        packed.dedup();
        Program { plan, packed }
    }

    /// The kernels, in order.
    pub fn kernels(&self) -> impl Iterator<Item = &Arc<dyn Executable>> {
        self.plan.kernels()
    }

    /// Runs the program.
    ///
    /// # Safety
    /// `inputs` are valid for reads and `outputs` for writes of their shapes and dtypes, outputs overlap nothing, and
    /// all are what the plan was made for under these symbols.
    ///
    /// # Errors
    /// `Memory` before anything is written; what a host function returns.
    pub unsafe fn run(
        &self,
        inputs: &[Memory],
        outputs: &[Memory],
        symbols: &Symbols,
        parallelism: &Parallelism,
    ) -> Result<()> {
        let mut blocks = SmallVec::new();
        let mut packed = SmallVec::new();
        for &argument in &self.packed {
            if !inputs[argument].is_contiguous() {
                let (block, memory) = inputs[argument].allocate_like()?;
                packed.push((argument, memory));
                blocks.push(block);
            }
        }
        let mut own_outputs: SmallVec<[Memory; 4]> = SmallVec::new();
        for output in outputs {
            if output.is_contiguous() {
                own_outputs.push(output.clone());
            } else {
                let (block, memory) = output.allocate_like()?;
                own_outputs.push(memory);
                blocks.push(block);
            }
        }
        let slots =
            self.plan.slots.iter().map(|slot| allocate(&slot.count, slot.element, symbols)).collect::<Result<_>>()?;
        let constants = &self.plan.constants;
        let mut frame = Frame { inputs, packed, outputs: own_outputs, slots, constants, symbols, _blocks: blocks };
        for (argument, memory) in &frame.packed {
            // SAFETY: the copy has the argument's shape and is its own memory.
            unsafe { copy(&inputs[*argument], memory) };
        }
        for step in &self.plan.steps {
            // SAFETY: see above.
            unsafe { frame.step(step, parallelism)? };
        }
        for (made, wanted) in frame.outputs.iter().zip(outputs).filter(|(made, wanted)| made.pointer != wanted.pointer)
        {
            // SAFETY: both are valid for the output's shape, and the one is the frame's own.
            unsafe { copy(made, wanted) };
        }
        Ok(())
    }
}

fn allocate(count: &Dim, element: usize, symbols: &Symbols) -> Result<Block> {
    let count =
        usize::try_from(count.evaluate(symbols)?).map_err(|_| Error::Internal("a negative size".to_string()))?;
    Block::new(crate::shape::byte_size(&[count], element)?)
}

fn windows(step: &Step<Arc<dyn Executable>>) -> Vec<&Window> {
    match step {
        Step::Kernel(step) => step.windows.iter().collect(),
        Step::MatMul(step) => vec![&step.left, &step.right],
        Step::Custom(step) => step.operands.iter().map(|(window, _)| window).collect(),
    }
}

fn packed_input(window: &Window) -> Option<usize> {
    match window.source {
        Source::PackedInput(argument) => Some(argument),
        _ => None,
    }
}

impl Frame<'_> {
    /// # Safety
    /// As `Program::run`.
    unsafe fn step(&mut self, step: &Step<Arc<dyn Executable>>, parallelism: &Parallelism) -> Result<()> {
        // SAFETY: passed on.
        unsafe {
            match step {
                Step::Kernel(step) => self.kernel(step, parallelism),
                Step::MatMul(step) => self.matmul(step, parallelism),
                Step::Custom(step) => self.custom(step),
            }
        }
    }

    fn size(&self, dim: &Dim) -> Result<usize> {
        let value = dim.evaluate(self.symbols)?;
        usize::try_from(value).map_err(|_| Error::Internal(format!("a size of {value}")))
    }

    /// # Safety
    /// As `Program::run`.
    unsafe fn kernel(&mut self, step: &KernelStep<Arc<dyn Executable>>, parallelism: &Parallelism) -> Result<()> {
        let extents: SmallVec<[usize; 4]> = step.extents.iter().map(|dim| self.size(dim)).collect::<Result<_>>()?;
        let bindings = step.windows.iter().map(|window| self.bind(window, extents.len()));
        let bindings: SmallVec<[Binding; 4]> = bindings.collect::<Result<_>>()?;
        let launch = Launch { extents: &extents, bindings: &bindings };
        // SAFETY: the windows stay within their sources, and what is written is read by nobody else in the step.
        unsafe { step.kernel.launch(&launch, parallelism) }
    }

    /// The memory of a source, with strides in elements; positions and sizes have none.
    fn memory(&mut self, window: &Window) -> Result<(*mut u8, Sizes<isize>)> {
        let shape = || window.shape.iter().map(|dim| self.size(dim)).collect::<Result<Sizes<usize>>>();
        Ok(match &window.source {
            Source::Input(argument) => (self.inputs[*argument].pointer, self.inputs[*argument].strides.clone()),
            Source::PackedInput(argument) => {
                let copied = self.packed.iter().find(|(other, _)| other == argument).map(|(_, memory)| memory.pointer);
                (copied.unwrap_or(self.inputs[*argument].pointer), row_major_strides(&shape()?))
            }
            Source::Constant(index) => {
                (self.constants[*index].bytes().as_ptr().cast_mut(), row_major_strides(&shape()?))
            }
            Source::Output(output) => (self.outputs[*output].pointer, row_major_strides(&shape()?)),
            Source::Slot(slot) => {
                let strides = row_major_strides(&shape()?);
                (self.slots[*slot].bytes_mut().as_mut_ptr(), strides)
            }
            Source::Positions | Source::Size(_) => (std::ptr::null_mut(), SmallVec::from_slice(&[1])),
        })
    }

    fn bind(&mut self, window: &Window, axes: usize) -> Result<Binding> {
        let (pointer, source_strides) = self.memory(window)?;
        // Strides of empty arrays may be any numbers; nothing is then read or written, so products may wrap.
        let mut offset = 0_isize;
        for (axis, start) in &window.starts {
            let start = start.evaluate(self.symbols)? as isize;
            offset = offset.wrapping_add(start.wrapping_mul(source_strides[*axis as usize]));
        }
        let mut strides: SmallVec<[isize; 4]> = SmallVec::from_elem(0, axes);
        for walk in &window.walks {
            let stride = &mut strides[walk.kernel.0 as usize];
            *stride = stride.wrapping_add((walk.step as isize).wrapping_mul(source_strides[walk.source as usize]));
        }
        let base = match &window.source {
            Source::Positions => Base::Position(offset as i64),
            Source::Size(dim) => Base::Position(dim.evaluate(self.symbols)?),
            Source::Input(_) | Source::PackedInput(_) | Source::Constant(_) | Source::Output(_) | Source::Slot(_) => {
                let element = window.dtype.size() as isize;
                strides.iter_mut().for_each(|stride| *stride = stride.wrapping_mul(element));
                Base::Host(pointer.wrapping_offset(offset.wrapping_mul(element)))
            }
        };
        Ok(Binding { base, strides })
    }

    /// # Safety
    /// As `Program::run`.
    unsafe fn matmul(&mut self, step: &MatMulStep, parallelism: &Parallelism) -> Result<()> {
        let sizes = [self.size(&step.sizes[0])?, self.size(&step.sizes[1])?, self.size(&step.sizes[2])?];
        let dtype = step.result.dtype;
        let mut matrix = |window: &Window| -> Result<Matrix> {
            let memory = self.window_memory(window, &[0, 0])?;
            Ok(Matrix { pointer: memory.pointer, row_stride: memory.strides[0], column_stride: memory.strides[1] })
        };
        let (left, right, result) = (matrix(&step.left)?, matrix(&step.right)?, matrix(&step.result)?);
        // SAFETY: the windows have these sizes; the result's place is read by nobody in this step.
        unsafe { matmul(dtype, sizes, left, right, result, parallelism) };
        Ok(())
    }

    /// A window as memory of this shape. Positions and sizes are written out by the schedule before they get here.
    fn window_memory(&mut self, window: &Window, shape: &[usize]) -> Result<Memory> {
        let binding = self.bind(window, shape.len())?;
        let Base::Host(pointer) = binding.base else {
            return Err(Error::Internal("a library step reads a sequence that is not in memory".to_string()));
        };
        let element = window.dtype.size() as isize;
        let strides = binding.strides.iter().map(|stride| stride / element).collect();
        Ok(Memory { pointer, dtype: window.dtype, shape: SmallVec::from_slice(shape), strides })
    }

    /// # Safety
    /// As `Program::run`.
    unsafe fn custom(&mut self, step: &CustomStep) -> Result<()> {
        let mut operands = Vec::with_capacity(step.operands.len());
        for (window, shape) in &step.operands {
            let shape: Sizes<usize> = shape.iter().map(|dim| self.size(dim)).collect::<Result<_>>()?;
            let memory = self.window_memory(window, &shape)?;
            let mut array = Array::uninitialized(window.dtype, &shape)?;
            // SAFETY: the window and the new array have this shape and dtype.
            unsafe { copy(&memory, &Memory::contiguous(array.bytes_mut().as_mut_ptr(), window.dtype, &shape)) };
            operands.push(array);
        }
        let result = (step.function.0.call)(&operands)?;
        let (window, shape) = &step.result;
        let shape: Sizes<usize> = shape.iter().map(|dim| self.size(dim)).collect::<Result<_>>()?;
        if result.shape() != shape.as_slice() || result.dtype() != window.dtype {
            let name = &step.function.0.name;
            let (dtype, got) = (result.dtype(), result.shape());
            return Err(Error::Shape(format!(
                "the host function `{name}` returned {dtype} {got:?} where its inference says {} {shape:?}",
                window.dtype
            )));
        }
        let place = self.window_memory(window, &shape)?;
        let made = Memory::contiguous(result.bytes().as_ptr().cast_mut(), window.dtype, &shape);
        // SAFETY: both have this shape and dtype.
        unsafe { copy(&made, &place) };
        Ok(())
    }
}
