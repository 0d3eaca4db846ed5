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
use crate::runtime::memory::{Memory, Sizes};
use crate::shape::{Dim, Symbols};

/// A plan whose kernels an engine holds ready.
#[derive(Debug)]
pub struct Program {
    plan: Plan<Arc<dyn Executable>>,
    packed: Vec<usize>,
}

/// The memory of one call while it runs.
struct Frame<'a> {
    inputs: &'a [Memory<'a>],
    /// Where arguments that had to be copied are.
    packed: SmallVec<[(usize, *mut u8); 2]>,
    /// Where the outputs are made, row-major.
    outputs: SmallVec<[*mut u8; 4]>,
    slots: SmallVec<[Block; 4]>,
    constants: &'a [Array],
    symbols: &'a Symbols,
}

/// What a window's memory is.
enum Found<'a> {
    /// An argument with its own strides.
    Strided(*mut u8, &'a [isize]),
    /// Row-major memory.
    RowMajor(*mut u8),
    /// A sequence from this position.
    Position(i64),
}

// SAFETY of everything below that is unsafe: the caller of `run` vouches for the memory of arguments and results;
// slots and copies are owned by the call and have the sizes that the plan computes from the same symbols; windows
// stay within their sources because inference and the constraints of the call say so.

impl Program {
    /// Takes a plan for a host, where every kernel is a launch of its own.
    ///
    /// # Errors
    /// `Internal` for a plan that was made for a device.
    pub fn new(plan: Plan<Arc<dyn Executable>>) -> Result<Program> {
        if !plan.steps.iter().all(is_for_host) {
            return Err(Error::Internal("a plan for a device was handed to the host's program".to_string()));
        }
        let mut packed: Vec<usize> = plan.steps.iter().flat_map(windows).filter_map(packed_input).collect();
        packed.sort_unstable();
        packed.dedup();
        Ok(Program { plan, packed })
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
        inputs: &[Memory<'_>],
        outputs: &[Memory<'_>],
        symbols: &Symbols,
        parallelism: &Parallelism,
    ) -> Result<()> {
        // Keeps the copies alive until the end.
        let mut blocks: SmallVec<[Block; 2]> = SmallVec::new();
        let mut packed: SmallVec<[(usize, *mut u8); 2]> = SmallVec::new();
        for &argument in self.packed.iter().filter(|&&argument| !inputs[argument].is_contiguous()) {
            blocks.push(inputs[argument].allocate_like()?);
            packed.extend(blocks.last_mut().map(|block| (argument, block.bytes_mut().as_mut_ptr())));
        }
        let mut made: SmallVec<[*mut u8; 4]> = SmallVec::new();
        for output in outputs {
            if output.is_contiguous() {
                made.push(output.pointer);
            } else {
                blocks.push(output.allocate_like()?);
                made.extend(blocks.last_mut().map(|block| block.bytes_mut().as_mut_ptr()));
            }
        }
        let mut slots = SmallVec::new();
        for slot in &self.plan.slots {
            slots.push(allocate(&slot.count, slot.element, symbols)?);
        }
        for &(argument, copy) in &packed {
            // SAFETY: the copy has room for the argument's elements and is its own memory.
            unsafe { inputs[argument].gather(copy) };
        }
        let mut frame = Frame { inputs, packed, outputs: made, slots, constants: &self.plan.constants, symbols };
        for step in &self.plan.steps {
            // SAFETY: see above.
            unsafe { frame.step(step, parallelism)? };
        }
        for (output, &made) in outputs.iter().zip(&frame.outputs).filter(|(output, made)| output.pointer != **made) {
            // SAFETY: both are valid for the output's shape, and the one is the call's own.
            unsafe { output.scatter(made) };
        }
        Ok(())
    }
}

/// Whether a step tells no device from the host, and no product from its epilogue.
fn is_for_host(step: &Step<Arc<dyn Executable>>) -> bool {
    match step {
        Step::Kernel(step) => !step.on_host,
        Step::MatMul(step) => step.epilogue.is_none() && step.result.is_some(),
        Step::Custom(_) => true,
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
        let mut extents: SmallVec<[usize; 4]> = SmallVec::new();
        for dim in &step.extents {
            extents.push(self.size(dim)?);
        }
        let mut bindings: SmallVec<[Binding; 4]> = SmallVec::new();
        for window in &step.windows {
            bindings.push(self.bind(window, extents.len())?);
        }
        let launch = Launch { extents: &extents, bindings: &bindings };
        // SAFETY: the windows stay within their sources, and what is written is read by nobody else in the step.
        unsafe { step.kernel.launch(&launch, parallelism) }
    }

    fn find(&mut self, source: &Source) -> Result<Found<'_>> {
        Ok(match source {
            Source::Input(argument) => Found::Strided(self.inputs[*argument].pointer, self.inputs[*argument].strides),
            Source::PackedInput(argument) => {
                let copied = self.packed.iter().find(|(other, _)| other == argument).map(|(_, pointer)| *pointer);
                Found::RowMajor(copied.unwrap_or(self.inputs[*argument].pointer))
            }
            Source::Constant(index) => Found::RowMajor(self.constants[*index].bytes().as_ptr().cast_mut()),
            Source::Output(output) => Found::RowMajor(self.outputs[*output]),
            Source::Slot(slot) => Found::RowMajor(self.slots[*slot].bytes_mut().as_mut_ptr()),
            Source::Positions => Found::Position(0),
            Source::Size(dim) => Found::Position(dim.evaluate(self.symbols)?),
            Source::Product => return Err(Error::Internal("an epilogue in the program of the host".to_string())),
        })
    }

    fn bind(&mut self, window: &Window, axes: usize) -> Result<Binding> {
        let own: Sizes<isize> = match &window.source {
            Source::Input(_) | Source::Size(_) => SmallVec::new(),
            _ if window.walks.is_empty() && window.starts.is_empty() => SmallVec::new(),
            _ => self.row_major(&window.shape)?,
        };
        let symbols = self.symbols;
        let (pointer, position, source_strides): (*mut u8, i64, &[isize]) = match self.find(&window.source)? {
            Found::Strided(pointer, strides) => (pointer, 0, strides),
            Found::RowMajor(pointer) => (pointer, 0, &own),
            Found::Position(position) => (std::ptr::null_mut(), position, &own),
        };
        // Strides of empty arrays may be any numbers; nothing is then read or written, so products may wrap.
        let mut offset = 0_isize;
        for (axis, start) in &window.starts {
            let start = start.evaluate(symbols)? as isize;
            offset = offset.wrapping_add(start.wrapping_mul(source_strides[*axis as usize]));
        }
        let mut strides: SmallVec<[isize; 4]> = SmallVec::from_elem(0, axes);
        for walk in &window.walks {
            let stride = &mut strides[walk.kernel.0 as usize];
            *stride = stride.wrapping_add((walk.step as isize).wrapping_mul(source_strides[walk.source as usize]));
        }
        if let Source::Positions | Source::Size(_) = window.source {
            return Ok(Binding { base: Base::Position(position.wrapping_add(offset as i64)), strides });
        }
        let element = window.dtype.size() as isize;
        strides.iter_mut().for_each(|stride| *stride = stride.wrapping_mul(element));
        Ok(Binding { base: Base::Host(pointer.wrapping_offset(offset.wrapping_mul(element))), strides })
    }

    fn row_major(&self, shape: &[Dim]) -> Result<Sizes<isize>> {
        let mut strides: Sizes<isize> = SmallVec::from_elem(1, shape.len());
        let mut step = 1_isize;
        for (stride, dim) in strides.iter_mut().zip(shape).rev() {
            *stride = step;
            step = step.saturating_mul(self.size(dim)?.max(1) as isize);
        }
        Ok(strides)
    }

    /// # Safety
    /// As `Program::run`.
    unsafe fn matmul(&mut self, step: &MatMulStep<Arc<dyn Executable>>, parallelism: &Parallelism) -> Result<()> {
        let sizes = [self.size(&step.sizes[0])?, self.size(&step.sizes[1])?, self.size(&step.sizes[2])?];
        let Some(result) = &step.result else {
            return Err(Error::Internal("a matrix product of the host without a result".to_string()));
        };
        let dtype = result.dtype;
        let mut matrix = |window: &Window| -> Result<Matrix> {
            let (pointer, strides) = self.window_memory(window, 2)?;
            Ok(Matrix { pointer, row_stride: strides[0], column_stride: strides[1] })
        };
        let (left, right, result) = (matrix(&step.left)?, matrix(&step.right)?, matrix(result)?);
        // SAFETY: the windows have these sizes; the result's place is read by nobody in this step.
        unsafe { matmul(dtype, sizes, left, right, result, parallelism) };
        Ok(())
    }

    /// A window as memory with strides in elements. Sequences are written out by the schedule before they get here.
    fn window_memory(&mut self, window: &Window, rank: usize) -> Result<(*mut u8, Sizes<isize>)> {
        let Binding { base, mut strides } = self.bind(window, rank)?;
        let Base::Host(pointer) = base else {
            return Err(Error::Internal("a library step reads a sequence that is not in memory".to_string()));
        };
        let element = window.dtype.size() as isize;
        strides.iter_mut().for_each(|stride| *stride /= element);
        Ok((pointer, strides))
    }

    /// # Safety
    /// As `Program::run`.
    unsafe fn custom(&mut self, step: &CustomStep) -> Result<()> {
        let mut operands = Vec::with_capacity(step.operands.len());
        for (window, shape) in &step.operands {
            let shape: Sizes<usize> = shape.iter().map(|dim| self.size(dim)).collect::<Result<_>>()?;
            let (pointer, strides) = self.window_memory(window, shape.len())?;
            let mut array = Array::uninitialized(window.dtype, &shape)?;
            let memory = Memory { pointer, dtype: window.dtype, shape: &shape, strides: &strides };
            // SAFETY: the window and the new array have this shape and dtype.
            unsafe { memory.gather(array.bytes_mut().as_mut_ptr()) };
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
        let (pointer, strides) = self.window_memory(window, shape.len())?;
        // SAFETY: both have this shape and dtype.
        unsafe {
            Memory { pointer, dtype: window.dtype, shape: &shape, strides: &strides }.scatter(result.bytes().as_ptr());
        }
        Ok(())
    }
}
