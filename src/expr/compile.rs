//! From expressions to a callable function: the whole pipeline, top to bottom.
//!
//! `Compiler::compile` is the one place that knows every stage. It adds nothing of its own: each line hands the
//! result of one stage to the next.

mod parts;

use std::io::Write;

use rustc_hash::FxHashSet;

use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::expr::compiler::Compiler;
use crate::expr::convert::{IntoInputs, IntoOutputs};
use crate::expr::engine::Stages;
use crate::expr::flags::Flags;
use crate::expr::intern::{intern, used_inputs, used_symbols};
use crate::expr::settings::{OnUnused, OptLevel};
use crate::expr::shared::shared_inputs;
use crate::expr::sizes::SizeChecks;
use crate::expr::unify::unify;
use crate::graph::{Graph, Node, regions, verify};
use crate::loops::{Kernel, Target};
use crate::lower::{Plan, lower};
use crate::optimize::{self, Level, Options, Trace};
use crate::runtime::implementation::{InputSpec, OutputType};
use crate::runtime::profile::Stopwatch;
use crate::runtime::{Function, Stage};
use crate::schedule::schedule;
use crate::shape::{Measure, Symbol};

/// What every device starts from.
#[derive(Clone)]
pub(super) struct Source {
    /// The name of the function.
    pub name: String,
    /// The graph as it was built.
    pub built: Graph,
    /// The same with sizes that must be equal made one.
    pub unified: Graph,
    /// What must hold of a call's sizes.
    pub checks: SizeChecks,
    /// How long it took to get here.
    pub stopwatch: Stopwatch,
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
    /// Compiles outputs as a function of inputs.
    ///
    /// # Errors
    /// As [`compile`].
    pub fn compile(&self, inputs: impl IntoInputs, outputs: impl IntoOutputs) -> Result<Function> {
        let settings = self.clone().or(Flags::of_process()?);
        settings.build(&inputs.into_inputs(), &outputs.into_outputs())
    }

    fn build(&self, inputs: &[Expr], outputs: &[Expr]) -> Result<Function> {
        let mut stopwatch = Stopwatch::start();
        let shared = shared_inputs(inputs, outputs, &self.givens, &self.updates)?;
        let all_inputs = [inputs, &shared.inputs].concat();
        let (built, constraints) = intern(&all_inputs, &[outputs, &shared.updates].concat(), &self.givens)?;
        check_regions(&built)?;
        let unified = unify(&built, &constraints)?;
        let sizes = used_symbols(&built, &constraints);
        self.check_unused(&built, inputs.len(), &sizes)?;
        let output_types = output_types(&built);
        let input_specs = input_specs(&all_inputs, &sizes)?;
        let checks = SizeChecks::new(&input_specs, constraints);
        let name = self.name.clone().unwrap_or_else(|| "function".to_string());
        stopwatch.lap("intern");
        let implementation = self.implement(Source { name: name.clone(), built, unified, checks, stopwatch })?;
        let parts = self.parts(inputs, outputs)?;
        let function = Function::new(name, input_specs, output_types, shared.state, parts, implementation);
        self.dump.iter().try_for_each(|&stage| print(&function, stage))?;
        Ok(function)
    }

    /// From the graph as it was written to kernels that obey a target.
    pub(super) fn lowered(
        &self,
        built: Graph,
        unified: Graph,
        target: &Target,
        name: &str,
        stopwatch: &mut Stopwatch,
    ) -> Result<(Stages, Plan<Kernel>)> {
        let (graph, trace) = self.rewrite(unified.clone(), target.has_fma)?;
        stopwatch.lap("optimize");
        let schedule = schedule(&graph, target)?;
        stopwatch.lap("schedule");
        let plan = lower(&graph, &schedule, name)?;
        stopwatch.lap("lower");
        if cfg!(debug_assertions) {
            plan.kernels().try_for_each(crate::loops::verify::verify)?;
            crate::lower::verify::verify(&plan)?;
        }
        Ok((Stages { built, unified, graph, trace, target: target.clone(), schedule }, plan))
    }

    pub(super) fn rewrite(&self, unified: Graph, has_fma: bool) -> Result<(Graph, Trace)> {
        let level = match self.level.unwrap_or_default() {
            OptLevel::None => Level::None,
            OptLevel::Full => Level::Full,
            OptLevel::Fast => Level::Fast,
        };
        let options = Options { level, exclude: self.exclude.clone(), has_fma };
        verified(&unified)?;
        let (graph, trace) = optimize::optimize(unified, &options)?;
        verified(&graph)?;
        Ok((graph, trace))
    }

    fn check_unused(&self, graph: &Graph, declared: usize, sizes: &FxHashSet<Symbol>) -> Result<()> {
        let used = used_inputs(graph, sizes, &self.givens);
        let unused =
            graph.inputs.iter().zip(used).take(declared).filter(|(_, used)| !used).map(|(&id, _)| graph.node(id));
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

/// Whether every parameter of a loop is used inside it only.
fn check_regions(graph: &Graph) -> Result<()> {
    let Some(id) = regions::escaped(graph)? else { return Ok(()) };
    let message = "what stands for the state of a loop is used outside its loop; use what the loop returns".to_string();
    Err(match graph.origin(id) {
        Some(location) => Error::Build { message, location },
        None => Error::Argument(message),
    })
}

/// Prints a stage to the standard error; one that the device does not have is nothing to print.
fn print(function: &Function, stage: Stage) -> Result<()> {
    let text = match function.dump(stage) {
        Err(Error::Unsupported(_)) => return Ok(()),
        text => text?,
    };
    // That nobody reads it is no reason to fail.
    let _ = writeln!(std::io::stderr(), "=== {}: {stage:?}\n{}\n", function.signature(), text.trim_end());
    Ok(())
}

/// Runs the verifier between stages where bugs are looked for.
fn verified(graph: &Graph) -> Result<()> {
    if cfg!(debug_assertions) { verify::verify(graph) } else { Ok(()) }
}

fn input_specs(inputs: &[Expr], sizes: &FxHashSet<Symbol>) -> Result<Vec<InputSpec>> {
    let spec = |input: &Expr| match input.node() {
        Node::Input(input) => {
            let (dtype, shape) = (input.ty.dtype, input.ty.shape.clone());
            let is_size = sizes.contains(&Symbol { input: input.id, measure: Measure::Value });
            Ok(InputSpec { id: input.id, name: input.name.clone(), dtype, shape, is_size })
        }
        other => Err(Error::Internal(format!("`{}` passed as an input", other.name()))),
    };
    inputs.iter().map(spec).collect()
}

fn output_types(graph: &Graph) -> Vec<OutputType> {
    let outputs = graph.outputs.iter().map(|&id| graph.ty(id));
    outputs.map(|ty| OutputType { dtype: ty.dtype, shape: ty.shape.clone() }).collect()
}
