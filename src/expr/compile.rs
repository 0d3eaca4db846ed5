//! From expressions to a callable function: the whole pipeline, top to bottom.
//!
//! `Compiler::compile` is the one place that knows every stage. It adds nothing of its own: each line hands the
//! result of one stage to the next.

use std::sync::Arc;

use crate::backend::{Backend, Parallelism, cpu, interpreter};
use crate::error::{Error, Result};
use crate::expr::convert::{IntoExpr, IntoInputs, IntoOutputs};
use crate::expr::engine::{Compiled, Oracle};
use crate::expr::intern::{intern, used_inputs};
use crate::expr::sizes::SizeChecks;
use crate::expr::unify::unify;
use crate::expr::{Expr, threads};
use crate::graph::{Constraint, Graph, Node, Origin, verify};
use crate::lower::lower;
use crate::optimize::{self, Level, Options, Trace};
use crate::runtime::Function;
use crate::runtime::function::{Implementation, InputSpec, OutputType};
use crate::runtime::program::Program;
use crate::schedule::schedule;

/// What runs a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Device {
    /// Machine code for this processor, in threads.
    #[default]
    Cpu,
    /// The graph, node by node: slow and obviously right. What every engine is held against.
    Interpreter,
    /// The loop IR, element by element: where no machine code can be made, and a second check.
    Loops,
}

/// How far a function is optimized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OptLevel {
    /// As it was written.
    None,
    /// Rules that keep every bit, and rules that change rounding for the better.
    #[default]
    Full,
    /// Also rules that relax rounding.
    Fast,
}

/// What to do about an input that no output uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnUnused {
    /// An error.
    #[default]
    Error,
    /// A warning through `tracing`.
    Warn,
    /// Nothing.
    Ignore,
}

/// Settings for a compilation.
///
/// ```
/// use kroton::{Compiler, Device, vector};
/// let x = vector::<f64>("x");
/// let f = Compiler::new().name("twice").threads(2).compile([&x], 2.0 * &x)?;
/// assert_eq!(f.signature(), "twice(x: f64[?]) -> (f64[?])");
/// # Ok::<(), kroton::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Compiler {
    name: Option<String>,
    device: Device,
    threads: Option<usize>,
    parallel_threshold: Option<usize>,
    level: OptLevel,
    exclude: Vec<String>,
    on_unused: OnUnused,
    givens: Vec<(Expr, Expr)>,
}

/// Compiles outputs as a function of inputs, with the default settings.
///
/// # Errors
/// `Build` for an ill-typed expression, with the source line that built it; `Argument` for inputs that are none,
/// occur twice, are missing, or are not used.
///
/// ```
/// use kroton::{compile, vector};
/// let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
/// let hits = (&x * &x + &y * &y).lt(1.0).sum(..);
/// let pi = compile([&x, &y], 4.0 * hits / x.len())?;
/// let estimate: f64 = pi.call((&[0.5, 0.9], &[0.5, -0.9]))?;
/// assert_eq!(estimate, 2.0);
/// # Ok::<(), kroton::Error>(())
/// ```
pub fn compile(inputs: impl IntoInputs, outputs: impl IntoOutputs) -> Result<Function> {
    Compiler::new().compile(inputs, outputs)
}

impl Compiler {
    /// The default settings.
    pub fn new() -> Compiler {
        Compiler::default()
    }

    /// The name in errors, dumps and profiles.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_string());
        self
    }

    /// What runs the function; [`Device::Cpu`] unless said otherwise.
    ///
    /// ```
    /// use kroton::{Compiler, Device, vector};
    /// let x = vector::<f64>("x");
    /// let [fast, right] = [Device::Cpu, Device::Interpreter].map(|d| Compiler::new().device(d).compile([&x], x.sqrt()));
    /// let xs = [2.0, 9.0];
    /// assert_eq!(fast?.call::<Vec<f64>>((&xs,))?, right?.call::<Vec<f64>>((&xs,))?);
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// How many threads a call may use, 1 to 1024; unless said otherwise, the rayon pool of the caller. The result is
    /// the same to the last bit for any number.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// From how many elements on a kernel is run in parallel; unless said otherwise, a cost estimate decides.
    pub fn parallel_threshold(mut self, elements: usize) -> Self {
        self.parallel_threshold = Some(elements);
        self
    }

    /// How far to optimize; [`OptLevel::Full`] unless said otherwise.
    ///
    /// ```
    /// use kroton::{Compiler, OptLevel, Stage, vector};
    /// let x = vector::<f64>("x");
    /// let y = (1.0 + &x).ln();
    /// let [full, none] = [OptLevel::Full, OptLevel::None].map(|level| Compiler::new().optimize(level).compile([&x], &y));
    /// assert!(full?.dump(Stage::Optimized)?.contains("= log1p"));
    /// assert!(!none?.dump(Stage::Optimized)?.contains("= log1p"));
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn optimize(mut self, level: OptLevel) -> Self {
        self.level = level;
        self
    }

    /// Leaves out one rule or pass of the optimizer by name; an unknown name is an error of `compile`. The names of
    /// the rules that fired are in the dump of [`Stage::Optimized`](crate::Stage).
    ///
    /// ```
    /// use kroton::{Compiler, Stage, vector};
    /// let x = vector::<f64>("x");
    /// let f = Compiler::new().exclude("log1p").compile([&x], (1.0 + &x).ln())?;
    /// assert!(f.dump(Stage::Optimized)?.contains("= ln"));
    /// assert!(Compiler::new().exclude("no such rule").compile([&x], &x + 1).is_err());
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn exclude(mut self, name: &str) -> Self {
        self.exclude.push(name.to_string());
        self
    }

    /// What to do about an input that no output uses; [`OnUnused::Error`] unless said otherwise.
    ///
    /// ```
    /// use kroton::{Compiler, OnUnused, compile, vector};
    /// let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
    /// assert!(compile([&x, &y], x.sum(..)).is_err());
    /// let f = Compiler::new().on_unused_input(OnUnused::Ignore).compile([&x, &y], x.sum(..))?;
    /// assert_eq!(f.call::<f64>((&[1.0, 2.0], &[7.0]))?, 3.0);
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn on_unused_input(mut self, action: OnUnused) -> Self {
        self.on_unused = action;
        self
    }

    /// Replaces expressions by others of the same dtype and rank wherever they occur.
    ///
    /// ```
    /// use kroton::{Compiler, constant, scalar, vector};
    /// let (x, a) = (vector::<f64>("x"), scalar::<f64>("a"));
    /// let f = Compiler::new().givens([(&a, constant(3.0))]).compile([&x], &a * &x)?;
    /// let y: Vec<f64> = f.call((&[1.0, 2.0],))?;
    /// assert_eq!(y, [3.0, 6.0]);
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn givens<'a>(mut self, givens: impl IntoIterator<Item = (&'a Expr, impl IntoExpr)>) -> Self {
        self.givens.extend(givens.into_iter().map(|(old, new)| (old.clone(), new.into_expr())));
        self
    }

    /// Compiles outputs as a function of inputs.
    ///
    /// # Errors
    /// As [`compile`].
    pub fn compile(&self, inputs: impl IntoInputs, outputs: impl IntoOutputs) -> Result<Function> {
        let (inputs, outputs) = (inputs.into_inputs(), outputs.into_outputs());
        let (built, constraints) = intern(&inputs, &outputs, &self.givens)?;
        let unified = unify(&built, &constraints)?;
        self.check_unused(&built, &constraints)?;
        let output_types = output_types(&built);
        let input_specs = input_specs(&inputs)?;
        let checks = SizeChecks::new(&input_specs, constraints);
        let engine = self.engine()?;
        let (graph, trace) = self.rewrite(unified, engine.as_deref())?;
        let name = self.name.clone().unwrap_or_else(|| "function".to_string());
        let implementation: Box<dyn Implementation> = match engine {
            None => Box::new(Oracle { built, graph, trace, checks }),
            Some(engine) => Box::new(self.lower_to(engine, built, graph, trace, checks, &name)?),
        };
        Ok(Function::new(name, input_specs, output_types, implementation))
    }

    fn rewrite(&self, unified: Graph, engine: Option<&dyn Backend>) -> Result<(Graph, Trace)> {
        let level = match self.level {
            OptLevel::None => Level::None,
            OptLevel::Full => Level::Full,
            OptLevel::Fast => Level::Fast,
        };
        let has_fma = engine.is_some_and(|engine| engine.target().has_fma);
        let options = Options { level, exclude: self.exclude.clone(), has_fma };
        verified(&unified)?;
        let (graph, trace) = optimize::optimize(unified, &options)?;
        verified(&graph)?;
        Ok((graph, trace))
    }

    fn lower_to(
        &self,
        engine: Arc<dyn Backend>,
        built: Graph,
        graph: Graph,
        trace: Trace,
        checks: SizeChecks,
        name: &str,
    ) -> Result<Compiled> {
        let schedule = schedule(&graph, engine.target())?;
        let plan = lower(&graph, &schedule, name)?;
        let plan = plan.try_map(|kernel, _| {
            if cfg!(debug_assertions) {
                crate::loops::verify::verify(&kernel)?;
            }
            engine.prepare(kernel)
        })?;
        let parallelism = self.parallelism()?;
        Ok(Compiled { built, graph, trace, checks, schedule, program: Program::new(plan)?, parallelism })
    }

    /// The engine; none for the oracle, which takes the graph as it is.
    fn engine(&self) -> Result<Option<Arc<dyn Backend>>> {
        match self.device {
            Device::Cpu => cpu::engine().map(Some),
            Device::Loops => Ok(Some(interpreter::engine())),
            Device::Interpreter => Ok(None),
        }
    }

    fn parallelism(&self) -> Result<Parallelism> {
        match self.threads {
            None => Ok(Parallelism { pool: None, threshold: self.parallel_threshold }),
            // One thread is the caller's own.
            Some(1) => Ok(Parallelism { pool: None, threshold: Some(usize::MAX) }),
            Some(threads) => {
                Ok(Parallelism { pool: Some(threads::pool(threads)?), threshold: self.parallel_threshold })
            }
        }
    }

    fn check_unused(&self, graph: &Graph, constraints: &[(Constraint, Origin)]) -> Result<()> {
        let used = used_inputs(graph, constraints, &self.givens);
        let unused = graph.inputs.iter().zip(used).filter(|(_, used)| !used).map(|(&id, _)| graph.node(id));
        let names: Vec<&str> = unused
            .filter_map(|node| match node {
                Node::Input(input) => Some(input.name.as_str()),
                _ => None,
            })
            .collect();
        match self.on_unused {
            OnUnused::Error if !names.is_empty() => Err(Error::Argument(format!(
                "no output uses the input{} {}; drop {}, or allow it with on_unused_input(OnUnused::Ignore)",
                if names.len() == 1 { "" } else { "s" },
                names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "),
                if names.len() == 1 { "it" } else { "them" },
            ))),
            OnUnused::Warn if !names.is_empty() => {
                tracing::warn!(inputs = ?names, "no output uses these inputs");
                Ok(())
            }
            OnUnused::Error | OnUnused::Warn | OnUnused::Ignore => Ok(()),
        }
    }
}

/// Runs the verifier between stages where bugs are looked for.
fn verified(graph: &Graph) -> Result<()> {
    if cfg!(debug_assertions) { verify::verify(graph) } else { Ok(()) }
}

fn input_specs(inputs: &[Expr]) -> Result<Vec<InputSpec>> {
    let spec = |input: &Expr| match input.node() {
        Node::Input(input) => {
            let (dtype, shape) = (input.ty.dtype, input.ty.shape.clone());
            Ok(InputSpec { id: input.id, name: input.name.clone(), dtype, shape })
        }
        other => Err(Error::Internal(format!("`{}` passed as an input", other.name()))),
    };
    inputs.iter().map(spec).collect()
}

fn output_types(graph: &Graph) -> Vec<OutputType> {
    let outputs = graph.outputs.iter().map(|&id| graph.ty(id));
    outputs.map(|ty| OutputType { dtype: ty.dtype, shape: ty.shape.clone() }).collect()
}
