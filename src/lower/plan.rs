//! The program that lowering makes: kernels and library calls over places, with sizes as expressions.
//!
//! No graph is left in it. Every size, start and extent is a `Dim` over the symbols of a call.

use smallvec::SmallVec;

use crate::array::Array;
use crate::dtype::DType;
use crate::graph::Custom;
use crate::loops::{Axis, OperandId};
pub use crate::schedule::RowBlock;
use crate::schedule::Slot;
use crate::shape::{Dim, Shape};

/// Where an operand's memory is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// An argument of the call, with its own strides.
    Input(usize),
    /// An argument, contiguous: the argument itself if it is, else a copy.
    PackedInput(usize),
    /// A constant of the plan.
    Constant(usize),
    /// A result of the call, contiguous.
    Output(usize),
    /// Memory of the call, contiguous.
    Slot(usize),
    /// No memory: the positions along its only axis.
    Positions,
    /// No memory: a size.
    Size(Dim),
    /// No memory: the elements of the matrix product whose epilogue reads them.
    Product,
}

/// How an axis of a kernel walks along an axis of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AxisWalk {
    /// The kernel's axis.
    pub kernel: Axis,
    /// The source's axis.
    pub source: u32,
    /// The step in elements.
    pub step: i64,
}

/// A window into a source, as a kernel walks it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Window {
    /// The memory.
    pub source: Source,
    /// The dtype of its elements.
    pub dtype: DType,
    /// The shape as which it is read.
    pub shape: Shape,
    /// Where the window starts along axes that do not start at zero.
    pub starts: SmallVec<[(u32, Dim); 1]>,
    /// The axes that move; kernel axes not named here repeat.
    pub walks: SmallVec<[AxisWalk; 3]>,
}

/// A kernel with what it runs on. `K` is the kernel, in the loop IR or as an engine holds it.
#[derive(Debug, Clone)]
pub struct KernelStep<K> {
    /// The kernel.
    pub kernel: K,
    /// The extent of each axis.
    pub extents: SmallVec<[Dim; 4]>,
    /// One window for each operand.
    pub windows: Vec<Window>,
    /// Whether it runs on the host, since the target cannot compute it; such a kernel has no axes.
    pub on_host: bool,
}

/// What is computed from a matrix product element by element, while the product is at hand.
#[derive(Debug, Clone)]
pub struct Epilogue<K> {
    /// The kernel over the axes row and column.
    pub step: KernelStep<K>,
    /// The operand that is the product's element: its window is of [`Source::Product`].
    pub product: OperandId,
}

/// A matrix product: windows over two kernel axes, row and column.
#[derive(Debug, Clone)]
pub struct MatMulStep<K> {
    /// The left matrix, rows × inner.
    pub left: Window,
    /// The right matrix, inner × columns.
    pub right: Window,
    /// The result, rows × columns; none where only the epilogue needs it.
    pub result: Option<Window>,
    /// Rows, inner size, columns.
    pub sizes: [Dim; 3],
    /// What takes the product's elements; none where the product itself is the result.
    pub epilogue: Option<Epilogue<K>>,
    /// Whether it sums over the rows of a row block. It then adds up block by block, so that blocks can be computed apart.
    pub closes: bool,
}

/// A product of a matrix and a vector, over two axes: the rows of a block, and the other axis of the matrix.
#[derive(Debug, Clone)]
pub struct ProductOverRows {
    /// The sizes of both.
    pub extents: [Dim; 2],
    /// The matrix.
    pub matrix: Window,
    /// The vector, along the other axis; along the rows if the product sums over these.
    pub vector: Window,
    /// The result, along the rows; along the other axis if the product sums over the rows.
    pub result: Window,
}

/// A call of a host function.
#[derive(Debug, Clone)]
pub struct CustomStep {
    /// The function.
    pub function: Custom,
    /// Its operands, each with its shape; kernel axis `i` is axis `i`.
    pub operands: Vec<(Window, Shape)>,
    /// Its result.
    pub result: (Window, Shape),
}

/// How often a loop makes a step at most.
#[derive(Debug, Clone)]
pub enum Steps {
    /// As the sizes of the call say.
    Known(Dim),
    /// As a single i64 in memory says; below zero is an error.
    Computed(Window),
    /// As long as the guard holds.
    Unbounded,
}

/// A loop that is run step by step.
#[derive(Debug, Clone)]
pub struct LoopStep<K> {
    /// What it reads and writes.
    pub head: LoopHead,
    /// A step.
    pub body: Plan<K>,
}

/// What a loop reads and writes, and how often it makes its step. The arguments of its body are what it captures, the states,
/// a row of each sequence, and the number of the step; the results are the next states and what is emitted.
#[derive(Debug, Clone)]
pub struct LoopHead {
    /// The most steps.
    pub steps: Steps,
    /// Whether there is another step only while any element of state 0 holds.
    pub guarded: bool,
    /// Whether a step changes nothing where the guard does not hold.
    pub masked: bool,
    /// Whether the body takes the number of the step.
    pub takes_index: bool,
    /// What the body reads from outside, each with its shape; kernel axis `i` is axis `i`.
    pub captured: Vec<(Window, Shape)>,
    /// The first states.
    pub initial: Vec<(Window, Shape)>,
    /// What is given row by row.
    pub sequences: Vec<(Window, Shape)>,
    /// The dtype and the shape of what a step emits.
    pub emitted: Vec<(DType, Shape)>,
    /// Where the last states, the histories and the number of steps go, as far as they are needed.
    pub results: Vec<Option<Window>>,
}

/// A step.
#[derive(Debug, Clone)]
pub enum Step<K> {
    /// One kernel.
    Kernel(KernelStep<K>),
    /// A matrix product.
    MatMul(Box<MatMulStep<K>>),
    /// A host function.
    Custom(Box<CustomStep>),
    /// A loop.
    Loop(Box<LoopStep<K>>),
}

/// The program.
#[derive(Debug, Clone)]
pub struct Plan<K> {
    /// The steps, in order.
    pub steps: Vec<Step<K>>,
    /// The steps that may run for some rows at a time.
    pub blocks: Vec<RowBlock>,
    /// The memory of a call.
    pub slots: Vec<Slot>,
    /// The arrays of the graph.
    pub constants: Vec<Array>,
}

/// What a kernel of a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A launch of its own.
    Launch,
    /// A launch on the host.
    HostLaunch,
    /// The epilogue of a matrix product, whose element is this operand.
    Epilogue(OperandId),
}

impl Window {
    /// The same with the first two axes of the kernel exchanged.
    fn turned(mut self) -> Window {
        for walk in &mut self.walks {
            walk.kernel = match walk.kernel {
                Axis(0) => Axis(1),
                Axis(1) => Axis(0),
                other => other,
            };
        }
        self
    }
}

impl<K> KernelStep<K> {
    fn role(&self) -> Role {
        if self.on_host { Role::HostLaunch } else { Role::Launch }
    }

    fn try_map<L, E>(self, map: impl FnOnce(K) -> Result<L, E>) -> Result<KernelStep<L>, E> {
        let KernelStep { kernel, extents, windows, on_host } = self;
        Ok(KernelStep { kernel: map(kernel)?, extents, windows, on_host })
    }
}

impl<K> MatMulStep<K> {
    /// The product as it runs over rows; none unless one operand is a vector and the result is written.
    pub fn over_rows(&self) -> Option<ProductOverRows> {
        let [rows, inner, columns] = self.sizes.clone();
        let (left, right, result) = (self.left.clone(), self.right.clone(), self.result.clone()?);
        let (left, right) = if self.closes { (left.turned(), right) } else { (left, right.turned()) };
        let (matrix, vector, result, own) = match (rows.is_one(), columns.is_one()) {
            (_, true) => (left, right, result, rows),
            (true, false) => (right, left, result.turned(), columns),
            (false, false) => return None,
        };
        Some(match self.closes {
            true => ProductOverRows { extents: [inner, own], matrix, vector, result: result.turned() },
            false => ProductOverRows { extents: [own, inner], matrix, vector, result },
        })
    }

    fn try_map<L, E>(self, mut map: impl FnMut(K, Role) -> Result<L, E>) -> Result<MatMulStep<L>, E> {
        let MatMulStep { left, right, result, sizes, epilogue, closes } = self;
        let epilogue = epilogue.map(|Epilogue { step, product }| {
            Ok(Epilogue { step: step.try_map(|kernel| map(kernel, Role::Epilogue(product)))?, product })
        });
        Ok(MatMulStep { left, right, result, sizes, epilogue: epilogue.transpose()?, closes })
    }
}

impl LoopHead {
    /// Whether it is one step or none, by a guard of rank 0, and nobody asks for more than its states.
    pub fn is_branch(&self) -> bool {
        let steps = matches!(&self.steps, Steps::Known(steps) if steps.is_one());
        let guard = self.guarded && self.initial.first().is_some_and(|(_, shape)| shape.is_empty());
        let states_only = self.results.last().is_none_or(Option::is_none) && self.emitted.is_empty();
        steps && guard && states_only && self.sequences.is_empty() && !self.takes_index
    }

    /// The windows that the loop itself reads or writes; those of its body are of its body's memory.
    pub fn windows(&self) -> impl Iterator<Item = &Window> {
        let count = if let Steps::Computed(window) = &self.steps { Some(window) } else { None };
        count.into_iter().chain(self.arrays())
    }

    /// The same but for the number of steps.
    pub fn arrays(&self) -> impl Iterator<Item = &Window> {
        let read = self.captured.iter().chain(&self.initial).chain(&self.sequences).map(|(window, _)| window);
        read.chain(self.results.iter().flatten())
    }
}

impl<K> LoopStep<K> {
    fn try_map<L, E>(self, map: &mut dyn FnMut(K, Role) -> Result<L, E>) -> Result<LoopStep<L>, E> {
        Ok(LoopStep { head: self.head, body: self.body.try_map_by(map)? })
    }
}

impl<K> Step<K> {
    /// The windows that it reads or writes.
    pub fn windows(&self) -> Vec<&Window> {
        match self {
            Step::Kernel(step) => step.windows.iter().collect(),
            Step::MatMul(step) => {
                let epilogue = step.epilogue.iter().flat_map(|epilogue| &epilogue.step.windows);
                [&step.left, &step.right].into_iter().chain(&step.result).chain(epilogue).collect()
            }
            Step::Custom(step) => {
                let operands = step.operands.iter().chain([&step.result]);
                operands.map(|(window, _)| window).collect()
            }
            Step::Loop(step) => step.head.windows().collect(),
        }
    }
}

impl<K> Plan<K> {
    /// The same plan with every kernel replaced.
    ///
    /// # Errors
    /// The first that `map` returns.
    pub fn try_map<L, E>(self, mut map: impl FnMut(K, Role) -> Result<L, E>) -> Result<Plan<L>, E> {
        self.try_map_by(&mut map)
    }

    fn try_map_by<L, E>(self, map: &mut dyn FnMut(K, Role) -> Result<L, E>) -> Result<Plan<L>, E> {
        let step = |step| match step {
            Step::Kernel(step) => {
                let role = step.role();
                Ok(Step::Kernel(step.try_map(|kernel| map(kernel, role))?))
            }
            Step::MatMul(matmul) => Ok(Step::MatMul(Box::new(matmul.try_map(&mut *map)?))),
            Step::Custom(custom) => Ok(Step::Custom(custom)),
            Step::Loop(inner) => Ok(Step::Loop(Box::new(inner.try_map(&mut *map)?))),
        };
        let steps = self.steps.into_iter().map(step).collect::<Result<_, E>>()?;
        Ok(Plan { steps, blocks: self.blocks, slots: self.slots, constants: self.constants })
    }

    /// The kernels, in order; those of a loop's body in its place.
    pub fn kernels(&self) -> impl Iterator<Item = &K> {
        self.steps.iter().flat_map(|step| -> Box<dyn Iterator<Item = &K>> {
            match step {
                Step::Kernel(step) => Box::new(std::iter::once(&step.kernel)),
                Step::MatMul(step) => Box::new(step.epilogue.iter().map(|epilogue| &epilogue.step.kernel)),
                Step::Custom(_) => Box::new(std::iter::empty()),
                Step::Loop(step) => Box::new(step.body.kernels()),
            }
        })
    }
}
