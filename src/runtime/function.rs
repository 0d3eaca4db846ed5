//! The callable that `compile` returns.
//!
//! A call runs in a fixed order: number, dtypes and ranks of the arguments; their sizes against declared ones;
//! sizes against each other; memory for the results; and only then the first write. What computes is behind
//! `Implementation`, so that this module needs no graph.

mod describe;

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::dtype::Scalar;
use crate::error::{Error, Result};
#[cfg(feature = "gpu")]
use crate::runtime::DeviceArray;
use crate::runtime::arg::{Parameter, address};
use crate::runtime::implementation::{Implementation, InputSpec, OutputType};
use crate::runtime::memory::{Operand, Sizes};
use crate::runtime::parts::Parts;
use crate::runtime::place::{OutPlace, OutputSpec};
use crate::runtime::profile::Profiler;
use crate::runtime::recorded::{Recordings, donor};
use crate::runtime::site::Site;
use crate::runtime::stateful::State;
use crate::runtime::task_pool::TaskPool;
use crate::runtime::{Arg, Args, FromOutputs, OutArgs};
use crate::shape::{Measure, Symbol, Symbols};

/// A stage of compilation that can be printed with [`Function::dump`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The graph as it was built.
    Graph,
    /// The graph after optimisation, and the rules that fired.
    Optimized,
    /// Which nodes share a kernel, where results live, and which steps read them.
    Schedule,
    /// The kernels in the loop IR.
    Loops,
    /// The kernels in Cranelift's IR.
    Clif,
    /// The kernels as machine code.
    Asm,
    /// The kernels as compute shaders.
    Wgsl,
    /// All of the above.
    All,
}

impl Stage {
    /// Every single stage, in the order of compilation.
    pub const EACH: [Stage; 7] =
        [Stage::Graph, Stage::Optimized, Stage::Schedule, Stage::Loops, Stage::Clif, Stage::Asm, Stage::Wgsl];
}

/// A compiled function: cheap to clone, callable from many threads at once.
///
/// ```
/// use kroton::{compile, vector};
/// let (a, b) = (vector::<f64>("a"), vector::<f64>("b"));
/// let f = compile([&a, &b], &a * &a + &b * &b)?;
/// let y: Vec<f64> = f.call((&[0.0, 1.0, 2.0], &[3.0, 4.0, 5.0]))?;
/// assert_eq!(y, [9.0, 17.0, 29.0]);
/// # Ok::<(), kroton::Error>(())
/// ```
#[derive(Clone)]
pub struct Function(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub name: String,
    /// Those that a call passes; then shared variables.
    pub inputs: Vec<InputSpec>,
    /// Those that a call gives; then new values of shared variables.
    pub outputs: Vec<OutputType>,
    pub state: State,
    pub implementation: Box<dyn Implementation>,
    pub recordings: Recordings,
    /// For each output, the argument that may become it.
    pub donations: Vec<Option<usize>>,
    /// What counts, if the function is profiled.
    pub profiler: Option<Arc<Profiler>>,
    /// What gives some of the outputs, if they have names.
    pub parts: Option<Parts>,
}

/// Where a call runs, and what its arguments come to: operands, the symbols that they give, and the values of those of rank 0.
pub(super) struct Bound<'a> {
    pub site: Site,
    operands: SmallVec<[Operand<'a>; 4]>,
    pub symbols: Symbols,
    /// What the memory of arguments of rank 0 points to once all are there; none for those on a device.
    values: SmallVec<[Scalar; 4]>,
}

impl Bound<'_> {
    /// Nothing bound yet. Inline, so that no call moves it.
    #[inline]
    pub fn at(site: Site) -> Self {
        Bound { site, operands: SmallVec::new(), symbols: Symbols::default(), values: SmallVec::new() }
    }
}

impl Function {
    pub(crate) fn new(
        name: String,
        inputs: Vec<InputSpec>,
        outputs: Vec<OutputType>,
        state: State,
        parts: Option<Parts>,
        implementation: Box<dyn Implementation>,
    ) -> Function {
        let (recordings, donations) = (Recordings::default(), implementation.donations());
        let profiler = implementation.profiler();
        Function(Arc::new(Inner {
            name,
            inputs,
            outputs,
            state,
            implementation,
            recordings,
            donations,
            profiler,
            parts,
        }))
    }

    /// Calls the function; the results come in whatever the caller names: `f64`, `Vec<T>`, ndarray arrays,
    /// [`Array`](crate::Array), `DeviceArray`, tuples and arrays of these.
    ///
    /// # Errors
    /// `Argument` if an argument or the type of the result does not fit, `Shape` if sizes do not fit together,
    /// `Memory` if there is none for the results. Nothing has been computed then. `Device` if the device is lost; the
    /// next call opens it again.
    ///
    /// ```
    /// use kroton::{compile, vector};
    /// let x = vector::<f64>("x");
    /// let f = compile([&x], (x.sum(..), x.max(..)))?;
    /// let (sum, max): (f64, f64) = f.call((&[1.0, 5.0, 2.0],))?;
    /// assert_eq!((sum, max), (8.0, 5.0));
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn call<'a, R: FromOutputs>(&self, arguments: impl Args<'a>) -> Result<R> {
        match &self.0.profiler {
            None => self.call_for(arguments),
            Some(profiler) => profiler.call(|| self.call_for(arguments)),
        }
    }

    #[inline]
    fn call_for<'a, R: FromOutputs>(&self, arguments: impl Args<'a>) -> Result<R> {
        arguments.with(|arguments| {
            if !self.0.state.is_empty() {
                return self.call_with_state(arguments, |specs, run| R::produce(specs, run));
            }
            if let Some(recorded) = self.0.recordings.of_new_memory(&self.0.inputs, arguments) {
                return R::produce(&recorded.specs(&self.0.donations), |places| match recorded.has_places(places) {
                    // SAFETY: just checked.
                    true => unsafe { recorded.run(places) },
                    false => self.call_anew(arguments, places),
                });
            }
            let mut bound = Bound::at(self.0.implementation.site()?);
            self.bind(arguments, &mut bound)?;
            let shapes = self.output_shapes(&bound.symbols)?;
            let specs = self.output_specs(&shapes, &bound.site, arguments);
            R::produce(&specs, |places| self.run(&bound, arguments, places))
        })
    }

    /// Calls the function and writes the results into the caller's arrays, of any strides.
    ///
    /// # Errors
    /// As [`call`](Function::call); `Argument` also if an output array has another dtype or shape than the result.
    /// The arrays are untouched then, with two exceptions: if memory runs out inside a loop that runs step by step, and if
    /// a function that updates shared variables starts over, because another call was faster, and then fails.
    ///
    /// ```
    /// use kroton::{compile, vector};
    /// let x = vector::<f64>("x");
    /// let f = compile([&x], 2.0 * &x)?;
    /// let mut out = [0.0; 3];
    /// f.call_into((&[1.0, 2.0, 3.0],), (&mut out,))?;
    /// assert_eq!(out, [2.0, 4.0, 6.0]);
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn call_into<'a, 'b>(&self, arguments: impl Args<'a>, outputs: impl OutArgs<'b>) -> Result<()> {
        match &self.0.profiler {
            None => self.write_into(arguments, outputs),
            Some(profiler) => profiler.call(|| self.write_into(arguments, outputs)),
        }
    }

    #[inline]
    fn write_into<'a, 'b>(&self, arguments: impl Args<'a>, outputs: impl OutArgs<'b>) -> Result<()> {
        arguments.with(|arguments| {
            if !self.0.state.is_empty() {
                return outputs.with(|places| {
                    self.call_with_state(arguments, |specs, run| {
                        self.check_places(specs, places)?;
                        run(places)
                    })
                });
            }
            outputs.with(|places| match self.0.recordings.of_places(&self.0.inputs, arguments, places) {
                // SAFETY: it is the recording of a call with such places.
                Some(recorded) => unsafe { recorded.run(places) },
                None => self.call_anew(arguments, places),
            })
        })
    }

    /// The inputs that a call passes.
    pub(super) fn inputs(&self) -> &[InputSpec] {
        &self.0.inputs[..self.0.inputs.len() - self.0.state.len()]
    }

    /// The outputs that a call gives.
    pub(super) fn outputs(&self) -> &[OutputType] {
        &self.0.outputs[..self.0.outputs.len() - self.0.state.update_count()]
    }

    /// The name in errors.
    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    /// The threads that run its tasks.
    pub(super) fn task_pool(&self) -> TaskPool<'_> {
        TaskPool::of(self.0.implementation.pool())
    }

    fn title(&self) -> String {
        format!("`{}`", self.0.name)
    }

    /// Checks the arguments and fills `bound`, which stays where it is until the call ends.
    pub(super) fn bind<'a>(&self, arguments: &'a [Arg<'_>], bound: &mut Bound<'a>) -> Result<()> {
        let inputs = &self.0.inputs;
        self.check_count(arguments.len().saturating_sub(self.0.state.len()))?;
        for (index, (argument, input)) in arguments.iter().zip(inputs).enumerate() {
            let parameter = Parameter { index, name: &input.name, dtype: input.dtype, rank: input.shape.len() };
            if let Some(value) = argument.fit(&parameter)? {
                bound.values.push(value);
                bind_value(value, input, &mut bound.symbols);
            }
            let operand = argument.operand(input.dtype);
            #[cfg(feature = "gpu")]
            if let Operand::Device(array) = operand {
                bind_on_device(array, &parameter, input, &bound.site, &mut bound.symbols)?;
            }
            bind_sizes(index, argument, input, &mut bound.symbols)?;
            bound.operands.push(operand);
        }
        let scalars = bound.operands.iter_mut().filter_map(Operand::scalar_mut);
        for (memory, value) in scalars.zip(&bound.values) {
            memory.pointer = address(value).cast_mut();
        }
        self.0.implementation.check(&bound.symbols)
    }

    pub(super) fn output_shapes(&self, symbols: &Symbols) -> Result<SmallVec<[Sizes<usize>; 2]>> {
        let mut shapes: SmallVec<[Sizes<usize>; 2]> = SmallVec::new();
        for output in &self.0.outputs {
            let mut shape = Sizes::new();
            for dim in &output.shape {
                let size = dim.evaluate(symbols)?;
                shape.push(
                    usize::try_from(size).map_err(|_| Error::Shape(format!("an output would have the size {size}")))?,
                );
            }
            shapes.push(shape);
        }
        Ok(shapes)
    }

    pub(super) fn output_specs<'s>(
        &self,
        shapes: &'s [Sizes<usize>],
        site: &'s Site,
        arguments: &[Arg<'s>],
    ) -> SmallVec<[OutputSpec<'s>; 2]> {
        let spec = |(index, (output, shape)): (usize, (&OutputType, &'s Sizes<usize>))| {
            let donor = donor(&self.0.donations, index, arguments);
            OutputSpec { title: "", dtype: output.dtype, shape, site, donor }
        };
        self.0.outputs.iter().zip(shapes).enumerate().map(spec).collect()
    }

    /// A call with all checks.
    pub(super) fn call_anew(&self, arguments: &[Arg<'_>], places: &mut [OutPlace<'_>]) -> Result<()> {
        let mut bound = Bound::at(self.0.implementation.site()?);
        self.bind(arguments, &mut bound)?;
        let shapes = self.output_shapes(&bound.symbols)?;
        // No argument becomes an output here: there are places for these.
        let specs = self.output_specs(&shapes, &bound.site, &[]);
        self.check_places(&specs, places)?;
        self.run(&bound, arguments, places)
    }

    fn check_places(&self, specs: &[OutputSpec<'_>], places: &[OutPlace<'_>]) -> Result<()> {
        if places.len() != specs.len() {
            let (wanted, came) = (counted(specs.len(), "output"), places.len());
            return Err(Error::Argument(format!("{} has {wanted}; the call passed places for {came}", self.title())));
        }
        places.iter().zip(specs).enumerate().try_for_each(|(index, (place, spec))| place.fit(index, spec))
    }

    /// Checks the number of arguments that a call passes.
    pub(super) fn check_count(&self, count: usize) -> Result<()> {
        let inputs = self.inputs();
        if count == inputs.len() {
            return Ok(());
        }
        let names = inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>().join(", ");
        let (title, takes) = (self.title(), counted(inputs.len(), "argument"));
        Err(Error::Argument(format!("{title} takes {takes} ({names}); the call passed {count}")))
    }

    /// Runs a call that passed all checks on the caller's thread.
    pub(super) fn run_alone(&self, bound: &Bound<'_>, places: &mut [OutPlace<'_>]) -> Result<()> {
        // SAFETY: as in `run`.
        unsafe { self.0.implementation.run_alone(&bound.site, &bound.operands, places, &bound.symbols) }
    }

    /// Runs a call that passed all checks, and records it if the one before was of the same layouts.
    pub(super) fn run(&self, bound: &Bound<'_>, arguments: &[Arg<'_>], places: &mut [OutPlace<'_>]) -> Result<()> {
        let implementation = &self.0.implementation;
        // SAFETY: arguments borrow their memory for the call and passed `fit`, those on a device `bind_on_device`;
        // places are exclusive and fit their outputs, and the symbols passed `check` in `bind`.
        unsafe { implementation.run(&bound.site, &bound.operands, places, &bound.symbols)? };
        let settle = |places: &[OutPlace<'_>]| implementation.settle(&bound.operands, places, &bound.symbols);
        self.0.recordings.note(&self.0.inputs, arguments, places, settle);
        Ok(())
    }
}

/// `1 output`, `2 outputs`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Sets the symbol that stands for an argument's value.
fn bind_value(value: Scalar, input: &InputSpec, symbols: &mut Symbols) {
    if let Some(size) = value.to_i64() {
        symbols.set(Symbol { input: input.id, measure: Measure::Value }, size);
    }
}

/// Checks that an argument on a device is where the call runs; its value is fetched only if sizes depend on it.
#[cfg(feature = "gpu")]
fn bind_on_device(
    array: &DeviceArray,
    parameter: &Parameter<'_>,
    input: &InputSpec,
    site: &Site,
    symbols: &mut Symbols,
) -> Result<()> {
    array.check_site(parameter, site)?;
    if input.is_size && parameter.rank == 0 {
        bind_value(array.scalar()?, input, symbols);
    }
    Ok(())
}

/// Sets the symbols of an argument's sizes and checks the declared ones.
fn bind_sizes(index: usize, argument: &Arg<'_>, input: &InputSpec, symbols: &mut Symbols) -> Result<()> {
    for (axis, (dim, &size)) in input.shape.iter().zip(argument.shape()).enumerate() {
        match dim.constant() {
            Some(declared) if declared == size as i64 => {}
            Some(declared) => {
                return Err(Error::Argument(format!(
                    "argument {index} (`{}`) has {size} along axis {axis}, which is declared as {declared}",
                    input.name
                )));
            }
            None => symbols.set(Symbol { input: input.id, measure: Measure::Extent(axis as u32) }, size as i64),
        }
    }
    Ok(())
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Function({})", self.signature())
    }
}
