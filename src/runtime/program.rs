//! Runs a lowered plan on the memory of a call.
//!
//! All memory is had before the first step runs, but for that of loops that run step by step, so that running out of it
//! leaves the results untouched. Arguments
//! that must be contiguous and are not are copied first; results that are not contiguous are written where they are if
//! every window on them has their shape, else made beside and copied last. `settle` does everything of a call that its
//! layouts decide, and leaves the rest to a `Replay`.

mod block;
mod branch;
mod donations;
mod library;
mod looping;
mod settle;

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::array::{Array, Block};
use crate::backend::{Executable, Parallelism};
use crate::error::{Error, Result};
use crate::loops::{Base, Binding, Launch};
use crate::lower::plan::{KernelStep, Plan, RowBlock, Source, Step, Window};
use crate::runtime::OutPlace;
use crate::runtime::memory::{Memory, Operand, Sizes};
use crate::runtime::profile::{Counter, Profiler, traffic};
use crate::runtime::rows::{CACHE, Cut, Rows};
use crate::runtime::windows::{locate, size, sizes};
use crate::schedule::Slot;
use crate::shape::{Symbols, byte_size};

/// A plan whose kernels an engine holds ready.
#[derive(Debug)]
pub struct Program {
    plan: Plan<Arc<dyn Executable>>,
    packed: Vec<usize>,
    rows: Vec<Rows>,
    /// The bytes that a row block may touch at a time.
    cache: usize,
    /// What counts library calls, by step, if the program is profiled; kernels count for themselves.
    counters: Vec<Option<Arc<Counter>>>,
    /// The bodies of loops, by step.
    bodies: FxHashMap<usize, Program>,
}

/// The memory of one call while it runs.
struct Frame<'a> {
    inputs: &'a [Operand<'a>],
    /// Where arguments that had to be copied are.
    packed: SmallVec<[(usize, *mut u8); 2]>,
    outputs: SmallVec<[Made<'a>; 4]>,
    slots: SmallVec<[Block; 4]>,
    constants: &'a [Array],
    symbols: &'a Symbols,
    /// Keeps copies alive until the end.
    _copies: SmallVec<[Block; 2]>,
}

/// Where an output is made.
#[derive(Clone, Copy)]
struct Made<'a> {
    place: Memory<'a>,
    /// The address of its first element while it is made.
    pointer: *mut u8,
    /// The strides of the place; none if it is made row-major.
    strides: Option<&'a [isize]>,
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
        let rows = Rows::of(&plan, |kernel| kernel.asks_ahead());
        let mut bodies = FxHashMap::default();
        for (index, step) in plan.steps.iter().enumerate() {
            if let Step::Loop(step) = step {
                bodies.insert(index, Program::new(step.body.clone())?);
            }
        }
        Ok(Program { plan, packed, rows, cache: CACHE, counters: Vec::new(), bodies })
    }

    /// Lets row blocks touch so many bytes at a time. For tests.
    pub fn set_cache(&mut self, bytes: usize) {
        self.cache = bytes;
        self.bodies.values_mut().for_each(|body| body.set_cache(bytes));
    }

    /// Counts every step from here on.
    pub fn watch(&mut self, profiler: &mut Profiler) {
        for step in &mut self.plan.steps {
            self.counters.push(match step {
                Step::Kernel(step) => {
                    step.kernel = profiler.watch_kernel(step.kernel.clone());
                    None
                }
                Step::MatMul(_) => Some(profiler.watch("matmul", "matmul")),
                Step::Custom(step) => Some(profiler.watch(step.function.0.name.as_str(), "host function")),
                // Its kernels count for themselves.
                Step::Loop(_) => None,
            });
        }
        for index in 0..self.plan.steps.len() {
            if let Some(body) = self.bodies.get_mut(&index) {
                body.watch(profiler);
            }
        }
    }

    /// The kernels, in order.
    pub fn kernels(&self) -> impl Iterator<Item = &Arc<dyn Executable>> {
        self.plan.kernels()
    }

    /// Whether a step, or one of a loop's body, is the user's code.
    pub fn calls_host_functions(&self) -> bool {
        self.plan.steps.iter().any(|step| matches!(step, Step::Custom(_)))
            || self.bodies.values().any(Program::calls_host_functions)
    }

    /// Runs the program.
    ///
    /// # Safety
    /// `inputs` are valid for reads and `outputs` for writes of their shapes and dtypes, outputs overlap nothing but the
    /// argument that `donations` names, whose layout is the same, and all are what the plan was made for under these symbols.
    ///
    /// # Errors
    /// `Memory` before anything is written; what a host function returns.
    pub unsafe fn run(
        &self,
        inputs: &[Operand<'_>],
        outputs: &[OutPlace<'_>],
        symbols: &Symbols,
        parallelism: &Parallelism,
    ) -> Result<()> {
        let mut cuts = self.cuts(symbols, parallelism)?;
        let mut frame = self.frame(inputs, outputs, symbols, &cuts)?;
        for &(argument, copy) in &frame.packed {
            // SAFETY: the copy has room for the argument's elements and is its own memory.
            unsafe { inputs[argument].host()?.gather(copy) };
        }
        let mut done = 0;
        for (rows, cut) in self.rows.iter().zip(&mut cuts) {
            let Some(cut) = cut else { continue };
            let RowBlock { steps, .. } = &rows.block;
            // SAFETY: see above.
            unsafe {
                frame.steps(self, done..steps.start, parallelism)?;
                cut.run(&frame.row_steps(self, &rows.block)?, parallelism)?;
            }
            done = steps.end;
        }
        // SAFETY: see above.
        unsafe { frame.steps(self, done..self.plan.steps.len(), parallelism)? };
        for made in &frame.outputs {
            if made.pointer != made.place.pointer {
                // SAFETY: both are valid for the output's shape, and the one is the call's own.
                unsafe { made.place.scatter(made.pointer) };
            }
        }
        Ok(())
    }

    /// The memory of a call; nothing has been copied yet.
    fn frame<'a>(
        &'a self,
        inputs: &'a [Operand<'a>],
        outputs: &'a [OutPlace<'_>],
        symbols: &'a Symbols,
        cuts: &[Option<Cut>],
    ) -> Result<Frame<'a>> {
        let mut copies: SmallVec<[Block; 2]> = SmallVec::new();
        let mut packed: SmallVec<[(usize, *mut u8); 2]> = SmallVec::new();
        for &argument in &self.packed {
            let input = inputs[argument].host()?;
            if !input.is_contiguous() {
                packed.push((argument, address(&mut copies, input.allocate_like()?)));
            }
        }
        let mut made: SmallVec<[Made<'_>; 4]> = SmallVec::new();
        for (number, output) in outputs.iter().enumerate() {
            let place = output.on_host()?;
            let (pointer, strides) = if place.is_contiguous() {
                (place.pointer, None)
            } else if self.takes_strides(number, place.shape, symbols)? {
                (place.pointer, Some(place.strides))
            } else {
                (address(&mut copies, place.allocate_like()?), None)
            };
            made.push(Made { place, pointer, strides });
        }
        let mut slots = SmallVec::new();
        for (number, slot) in self.plan.slots.iter().enumerate() {
            slots.push(if self.is_whole(number, cuts) { allocate(slot, symbols)? } else { Block::new(0)? });
        }
        let constants = &self.plan.constants;
        Ok(Frame { inputs, packed, outputs: made, slots, constants, symbols, _copies: copies })
    }

    /// Whether every window on an output sees it in its own shape, so that it may have any strides.
    fn takes_strides(&self, output: usize, shape: &[usize], symbols: &Symbols) -> Result<bool> {
        for window in self.plan.steps.iter().flat_map(windows) {
            if window.source == Source::Output(output) && sizes(&window.shape, symbols)?.as_slice() != shape {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Program {
    /// How row blocks are cut in a call.
    fn cuts(&self, symbols: &Symbols, parallelism: &Parallelism) -> Result<SmallVec<[Option<Cut>; 1]>> {
        let mut cuts = SmallVec::new();
        for rows in &self.rows {
            cuts.push(rows.cut(&self.plan, symbols, self.cache, parallelism)?);
        }
        Ok(cuts)
    }

    /// Whether a slot is needed in full: outside row blocks, or in one that is not cut.
    fn is_whole(&self, slot: usize, cuts: &[Option<Cut>]) -> bool {
        let mut blocks = self.rows.iter().zip(cuts).filter(|(rows, _)| rows.block.slots.contains(&slot)).peekable();
        blocks.peek().is_none() || blocks.any(|(_, cut)| cut.is_none())
    }
}

/// Keeps a block for the length of the call; gives where it is.
fn address(blocks: &mut SmallVec<[Block; 2]>, mut block: Block) -> *mut u8 {
    let pointer = block.bytes_mut().as_mut_ptr();
    blocks.push(block);
    pointer
}

/// Whether a step tells no device from the host, and no product from its epilogue.
fn is_for_host(step: &Step<Arc<dyn Executable>>) -> bool {
    match step {
        Step::Kernel(step) => !step.on_host,
        Step::MatMul(step) => step.epilogue.is_none() && step.result.is_some(),
        Step::Custom(_) | Step::Loop(_) => true,
    }
}

fn allocate(slot: &Slot, symbols: &Symbols) -> Result<Block> {
    Block::new(byte_size(&[size(&slot.count, symbols)?], slot.element)?)
}

fn windows(step: &Step<Arc<dyn Executable>>) -> SmallVec<[&Window; 8]> {
    match step {
        Step::Kernel(step) => step.windows.iter().collect(),
        Step::MatMul(step) => [&step.left, &step.right].into_iter().chain(&step.result).collect(),
        Step::Custom(step) => step.operands.iter().chain([&step.result]).map(|(window, _)| window).collect(),
        Step::Loop(step) => step.head.windows().collect(),
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
    unsafe fn steps(&mut self, program: &Program, range: Range<usize>, parallelism: &Parallelism) -> Result<()> {
        for index in range {
            let (step, counter) = (&program.plan.steps[index], program.counters.get(index));
            let start = counter.map(|_| Instant::now());
            // SAFETY: passed on.
            unsafe { self.step(step, program.bodies.get(&index), parallelism)? };
            if let (Some(Some(counter)), Some(start)) = (counter, start) {
                counter.add(start.elapsed(), self.library_traffic(step)?);
            }
        }
        Ok(())
    }

    /// The bytes that a library call moves.
    fn library_traffic(&self, step: &Step<Arc<dyn Executable>>) -> Result<u64> {
        match step {
            Step::Kernel(_) => Ok(0),
            Step::MatMul(step) => {
                let [rows, inner, columns] = &step.sizes;
                let sizes = [size(rows, self.symbols)?, size(inner, self.symbols)?, size(columns, self.symbols)?];
                Ok(traffic::of_product(sizes, step.left.dtype, step.result.is_some()))
            }
            Step::Custom(step) => traffic::of_custom(step, self.symbols),
            Step::Loop(_) => Ok(0),
        }
    }

    /// # Safety
    /// As `Program::run`.
    unsafe fn step(
        &mut self,
        step: &Step<Arc<dyn Executable>>,
        body: Option<&Program>,
        parallelism: &Parallelism,
    ) -> Result<()> {
        // SAFETY: passed on.
        unsafe {
            match step {
                Step::Kernel(step) => self.kernel(step, parallelism),
                Step::MatMul(step) => self.matmul(step, parallelism),
                Step::Custom(step) => self.custom(step),
                Step::Loop(step) => self.run_loop(&step.head, body, parallelism),
            }
        }
    }

    /// # Safety
    /// As `Program::run`.
    unsafe fn kernel(&mut self, step: &KernelStep<Arc<dyn Executable>>, parallelism: &Parallelism) -> Result<()> {
        let (extents, bindings) = self.bindings(step)?;
        let launch = Launch::new(&extents, &bindings);
        // SAFETY: the windows stay within their sources, and what is written is read by nobody else in the step.
        unsafe { step.kernel.launch(&launch, parallelism) }
    }

    fn bindings(&mut self, step: &KernelStep<Arc<dyn Executable>>) -> Result<(Sizes<usize>, SmallVec<[Binding; 4]>)> {
        let extents = sizes(&step.extents, self.symbols)?;
        let mut bindings: SmallVec<[Binding; 4]> = SmallVec::new();
        for window in &step.windows {
            bindings.push(self.bind(window, extents.len())?);
        }
        Ok((extents, bindings))
    }

    fn find(&mut self, source: &Source) -> Result<Found<'_>> {
        Ok(match source {
            Source::Input(argument) => {
                let input = self.inputs[*argument].host()?;
                Found::Strided(input.pointer, input.strides)
            }
            Source::PackedInput(argument) => {
                let copied = self.packed.iter().find(|(other, _)| other == argument).map(|(_, pointer)| *pointer);
                let own = self.inputs[*argument].host()?.pointer;
                Found::RowMajor(copied.unwrap_or(own))
            }
            Source::Constant(index) => Found::RowMajor(self.constants[*index].bytes().as_ptr().cast_mut()),
            Source::Output(output) => match self.outputs[*output] {
                Made { pointer, strides: Some(strides), .. } => Found::Strided(pointer, strides),
                Made { pointer, strides: None, .. } => Found::RowMajor(pointer),
            },
            Source::Slot(slot) => Found::RowMajor(self.slots[*slot].bytes_mut().as_mut_ptr()),
            Source::Positions => Found::Position(0),
            Source::Size(dim) => Found::Position(dim.evaluate(self.symbols)?),
            Source::Product => return Err(Error::Internal("an epilogue in the program of the host".to_string())),
        })
    }

    fn bind(&mut self, window: &Window, axes: usize) -> Result<Binding> {
        let symbols = self.symbols;
        let mut strides: SmallVec<[isize; 4]> = SmallVec::from_elem(0, axes);
        let (pointer, own) = match self.find(&window.source)? {
            Found::Strided(pointer, strides) => (pointer, Some(strides)),
            Found::RowMajor(pointer) => (pointer, None),
            Found::Position(first) => {
                let offset = locate(window, None, symbols, &mut strides)?;
                return Ok(Binding { base: Base::Position(first.wrapping_add(offset as i64)), strides });
            }
        };
        let offset = locate(window, own, symbols, &mut strides)?;
        let element = window.dtype.size() as isize;
        strides.iter_mut().for_each(|stride| *stride = stride.wrapping_mul(element));
        Ok(Binding { base: Base::Host(pointer.wrapping_offset(offset.wrapping_mul(element))), strides })
    }
}
