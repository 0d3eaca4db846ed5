//! What is behind a function: the oracle on a graph, or a program on an engine; both keep every stage for dumps.

use std::sync::Arc;
use std::time::Instant;

use crate::array::Array;
use crate::backend::{EngineStage, Parallelism, Pool};
use crate::error::{Error, Result};
use crate::eval;
use crate::expr::sizes::SizeChecks;
use crate::graph::{Graph, Node, NodeId, text};
use crate::loops::Target;
use crate::optimize::Trace;
use crate::runtime::implementation::Implementation;
use crate::runtime::memory::Operand;
use crate::runtime::profile::{Counter, Profiler};
use crate::runtime::program::Program;
use crate::runtime::site::Site;
use crate::runtime::{OutPlace, Replay, Stage};
use crate::schedule::{Cost, Schedule, schedule};
use crate::shape::Symbols;

/// A function that the oracle evaluates.
pub struct Oracle {
    /// The graph as it was built.
    pub built: Graph,
    /// The graph that is evaluated.
    pub graph: Graph,
    /// The rules that led from one to the other.
    pub trace: Trace,
    /// What must hold of a call's sizes.
    pub checks: SizeChecks,
    /// What counts.
    pub profile: Option<NodeProfile>,
}

/// The counters of a graph that is evaluated node by node.
pub struct NodeProfile {
    profiler: Arc<Profiler>,
    /// One for each node; constants and inputs have none.
    counters: Vec<Option<Arc<Counter>>>,
}

/// What led from expressions to kernels.
pub struct Stages {
    /// The graph as it was built.
    pub built: Graph,
    /// The same with sizes that must be equal made one.
    pub unified: Graph,
    /// The graph that was lowered.
    pub graph: Graph,
    /// The rules that led from one to the other.
    pub trace: Trace,
    /// What it was scheduled for.
    pub target: Target,
    /// Which nodes share a kernel.
    pub schedule: Schedule,
}

/// A function that an engine of the host runs.
pub struct OnHost {
    /// What the program came from.
    pub stages: Stages,
    /// What must hold of a call's sizes.
    pub checks: SizeChecks,
    /// The kernels.
    pub program: Program,
    /// Who runs them.
    pub parallelism: Parallelism,
    /// What counts.
    pub profiler: Option<Arc<Profiler>>,
}

impl NodeProfile {
    /// Counters for the nodes of a graph that compute something.
    pub fn new(mut profiler: Profiler, graph: &Graph) -> NodeProfile {
        let live = graph.live();
        let counter = |id: NodeId| {
            let counts = live[id.index()] && !graph.node(id).operands().is_empty();
            counts.then(|| profiler.watch(text::describe_node(graph, id), graph.node(id).name()))
        };
        let counters = graph.ids().map(counter).collect();
        NodeProfile { profiler: Arc::new(profiler), counters }
    }

    /// Evaluates the graph, counting its nodes.
    fn evaluate(&self, graph: &Graph, arguments: &[Array], symbols: &Symbols) -> Result<Vec<Array>> {
        let mut start = Instant::now();
        eval::observe(graph, arguments, symbols, &mut |id, operands, result| {
            if let Some(counter) = &self.counters[id.index()] {
                let bytes = operands.iter().chain([result]).map(|array| array.bytes().len() as u64).sum();
                counter.add(start.elapsed(), bytes);
            }
            start = Instant::now();
            Ok(())
        })
    }
}

/// What open sizes are in reports of costs.
const NOMINAL_SIZE: i64 = 1000;

fn cost_text(before: &Cost, after: &Cost) -> String {
    let row = |name, before: u128, after: u128| format!("//   {name:<10} {before:>12} → {after}\n");
    [
        format!("// cost of a call, open sizes being {NOMINAL_SIZE}, before → after:\n"),
        row("nodes", before.nodes as u128, after.nodes as u128),
        row("kernels", before.kernels as u128, after.kernels as u128),
        row("bytes", before.bytes, after.bytes),
        row("memory", before.memory, after.memory),
        row("operations", before.operations, after.operations),
    ]
    .concat()
}

fn optimized_text(graph: &Graph, trace: &Trace) -> String {
    format!("{}\n{trace}", text::print(graph))
}

impl Stages {
    /// `Stage::Graph`.
    pub fn built_text(&self) -> String {
        text::print(&self.built)
    }

    /// `Stage::Optimized`.
    pub fn optimized_text(&self) -> String {
        let text = optimized_text(&self.graph, &self.trace);
        // A graph that cannot be planned as it was written has no costs to compare.
        let before = schedule(&self.unified, &self.target).and_then(|plan| plan.cost(&self.unified, NOMINAL_SIZE));
        match (before, self.schedule.cost(&self.graph, NOMINAL_SIZE)) {
            (Ok(before), Ok(after)) => text + &cost_text(&before, &after),
            (Err(_), _) | (_, Err(_)) => text,
        }
    }

    /// `Stage::Schedule`.
    pub fn schedule_text(&self) -> String {
        self.schedule.text(&self.graph)
    }
}

/// Copies of arguments, wherever they are.
///
/// # Safety
/// The inputs are valid for reads.
///
/// # Errors
/// `Memory` if there is none; `Device` for an argument on a device that is lost.
pub unsafe fn gathered(inputs: &[Operand<'_>]) -> Result<Vec<Array>> {
    let mut arguments = Vec::with_capacity(inputs.len());
    for input in inputs {
        arguments.push(match input {
            Operand::Host(input) => {
                let mut array = Array::uninitialized(input.dtype, input.shape)?;
                // SAFETY: the caller vouches for the input; the array is new and has its shape.
                unsafe { input.gather(array.bytes_mut().as_mut_ptr()) };
                array
            }
            #[cfg(feature = "gpu")]
            Operand::Device(array) => array.download()?,
        });
    }
    Ok(arguments)
}

/// For `Stage::All`, which `Function::dump` takes apart.
pub fn not_one_stage() -> Error {
    Error::Internal("Stage::All is no single stage".to_string())
}

impl Implementation for Oracle {
    fn check(&self, symbols: &Symbols) -> Result<()> {
        self.checks.check(symbols)
    }

    unsafe fn run(
        &self,
        _: &Site,
        inputs: &[Operand<'_>],
        outputs: &mut [OutPlace<'_>],
        symbols: &Symbols,
    ) -> Result<()> {
        // SAFETY: the caller vouches for the inputs.
        let arguments = unsafe { gathered(inputs)? };
        let results = match &self.profile {
            None => eval::evaluate(&self.graph, &arguments, symbols)?,
            Some(profile) => profile.evaluate(&self.graph, &arguments, symbols)?,
        };
        for (result, output) in results.iter().zip(outputs) {
            let output = output.on_host()?;
            if result.shape() != output.shape || result.dtype() != output.dtype {
                return Err(Error::Internal(format!("the oracle made {result:?} for an output of {:?}", output.shape)));
            }
            // SAFETY: the caller vouches for the output; dtype and shape are equal.
            unsafe { output.scatter(result.bytes().as_ptr()) };
        }
        Ok(())
    }

    fn runs_alone(&self) -> bool {
        !self.graph.ids().any(|id| matches!(self.graph.node(id), Node::Custom(..)))
    }

    unsafe fn run_alone(
        &self,
        site: &Site,
        inputs: &[Operand<'_>],
        outputs: &mut [OutPlace<'_>],
        symbols: &Symbols,
    ) -> Result<()> {
        // SAFETY: passed on; the oracle knows one thread only.
        unsafe { self.run(site, inputs, outputs, symbols) }
    }

    fn dump(&self, stage: Stage) -> Result<String> {
        match stage {
            Stage::Graph => Ok(text::print(&self.built)),
            Stage::Optimized => Ok(optimized_text(&self.graph, &self.trace)),
            Stage::Schedule | Stage::Loops | Stage::Clif | Stage::Asm | Stage::Wgsl | Stage::All => {
                Err(Error::Unsupported(format!("Device::Interpreter has no stage {stage:?}; it evaluates the graph")))
            }
        }
    }

    fn kernel_count(&self) -> usize {
        0
    }

    fn compilations(&self) -> usize {
        0
    }

    fn profiler(&self) -> Option<Arc<Profiler>> {
        self.profile.as_ref().map(|profile| profile.profiler.clone())
    }
}

impl Implementation for OnHost {
    fn check(&self, symbols: &Symbols) -> Result<()> {
        self.checks.check(symbols)
    }

    unsafe fn run(
        &self,
        _: &Site,
        inputs: &[Operand<'_>],
        outputs: &mut [OutPlace<'_>],
        symbols: &Symbols,
    ) -> Result<()> {
        // SAFETY: passed on as promised by the caller.
        unsafe { self.program.run(inputs, outputs, symbols, &self.parallelism) }
    }

    fn pool(&self) -> Option<&Pool> {
        self.parallelism.pool.as_deref()
    }

    fn runs_alone(&self) -> bool {
        !self.program.calls_host_functions()
    }

    unsafe fn run_alone(
        &self,
        _: &Site,
        inputs: &[Operand<'_>],
        outputs: &mut [OutPlace<'_>],
        symbols: &Symbols,
    ) -> Result<()> {
        // SAFETY: passed on as promised by the caller.
        unsafe { self.program.run(inputs, outputs, symbols, &Parallelism::none()) }
    }

    fn donations(&self) -> Vec<Option<usize>> {
        self.program.donations()
    }

    fn settle(&self, inputs: &[Operand<'_>], outputs: &[OutPlace<'_>], symbols: &Symbols) -> Result<Option<Replay>> {
        self.program.settle(inputs, outputs, symbols, &self.parallelism)
    }

    fn dump(&self, stage: Stage) -> Result<String> {
        match stage {
            Stage::Graph => Ok(self.stages.built_text()),
            Stage::Optimized => Ok(self.stages.optimized_text()),
            Stage::Schedule => Ok(self.stages.schedule_text()),
            Stage::Loops => Ok(self.kernel_texts(|kernel| Ok(Some(kernel.kernel().to_string())))?.join("\n")),
            Stage::Clif => self.engine_text(EngineStage::Clif, stage),
            Stage::Asm => self.engine_text(EngineStage::Asm, stage),
            Stage::Wgsl => Err(Error::Unsupported("this device makes no Wgsl; Device::Gpu does".to_string())),
            Stage::All => Err(not_one_stage()),
        }
    }

    fn kernel_count(&self) -> usize {
        self.program.kernels().count()
    }

    fn compilations(&self) -> usize {
        self.program.kernels().map(|kernel| kernel.compilations()).sum()
    }

    fn profiler(&self) -> Option<Arc<Profiler>> {
        self.profiler.clone()
    }
}

impl OnHost {
    fn kernel_texts(
        &self,
        text: impl Fn(&dyn crate::backend::Executable) -> Result<Option<String>>,
    ) -> Result<Vec<String>> {
        self.program.kernels().filter_map(|kernel| text(kernel.as_ref()).transpose()).collect()
    }

    fn engine_text(&self, engine_stage: EngineStage, stage: Stage) -> Result<String> {
        let texts = self.kernel_texts(|kernel| kernel.dump(engine_stage))?;
        if texts.is_empty() && self.program.kernels().next().is_some() {
            return Err(Error::Unsupported(format!("this device makes no {stage:?}; Device::Cpu does")));
        }
        Ok(texts.join("\n"))
    }
}
