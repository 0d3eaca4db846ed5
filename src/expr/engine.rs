//! What is behind a function: the oracle on a graph, or a program on an engine; both keep every stage for dumps.

use crate::array::Array;
use crate::backend::{EngineStage, Parallelism};
use crate::error::{Error, Result};
use crate::eval;
use crate::expr::sizes::SizeChecks;
use crate::graph::{Graph, text};
use crate::optimize::Trace;
use crate::runtime::Stage;
use crate::runtime::function::Implementation;
use crate::runtime::memory::Memory;
use crate::runtime::program::Program;
use crate::schedule::Schedule;
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
}

/// A function that an engine runs.
pub struct Compiled {
    /// The graph as it was built.
    pub built: Graph,
    /// The graph that was lowered.
    pub graph: Graph,
    /// The rules that led from one to the other.
    pub trace: Trace,
    /// What must hold of a call's sizes.
    pub checks: SizeChecks,
    /// Which nodes share a kernel.
    pub schedule: Schedule,
    /// The kernels.
    pub program: Program,
    /// Who runs them.
    pub parallelism: Parallelism,
}

fn optimized_text(graph: &Graph, trace: &Trace) -> String {
    format!("{}\n{trace}", text::print(graph))
}

impl Implementation for Oracle {
    fn check(&self, symbols: &Symbols) -> Result<()> {
        self.checks.check(symbols)
    }

    unsafe fn run(&self, inputs: &[Memory<'_>], outputs: &[Memory<'_>], symbols: &Symbols) -> Result<()> {
        let mut arguments = Vec::with_capacity(inputs.len());
        for input in inputs {
            let mut array = Array::uninitialized(input.dtype, input.shape)?;
            // SAFETY: the caller vouches for the input; the array is new and has its shape.
            unsafe { input.gather(array.bytes_mut().as_mut_ptr()) };
            arguments.push(array);
        }
        let results = eval::evaluate(&self.graph, &arguments, symbols)?;
        for (result, output) in results.iter().zip(outputs) {
            if result.shape() != output.shape || result.dtype() != output.dtype {
                return Err(Error::Internal(format!("the oracle made {result:?} for an output of {:?}", output.shape)));
            }
            // SAFETY: the caller vouches for the output; dtype and shape are equal.
            unsafe { output.scatter(result.bytes().as_ptr()) };
        }
        Ok(())
    }

    fn dump(&self, stage: Stage) -> Result<String> {
        match stage {
            Stage::Graph => Ok(text::print(&self.built)),
            Stage::Optimized => Ok(optimized_text(&self.graph, &self.trace)),
            Stage::Schedule | Stage::Loops | Stage::Clif | Stage::Asm | Stage::All => {
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
}

impl Implementation for Compiled {
    fn check(&self, symbols: &Symbols) -> Result<()> {
        self.checks.check(symbols)
    }

    unsafe fn run(&self, inputs: &[Memory<'_>], outputs: &[Memory<'_>], symbols: &Symbols) -> Result<()> {
        // SAFETY: passed on as promised by the caller.
        unsafe { self.program.run(inputs, outputs, symbols, &self.parallelism) }
    }

    fn dump(&self, stage: Stage) -> Result<String> {
        match stage {
            Stage::Graph => Ok(text::print(&self.built)),
            Stage::Optimized => Ok(optimized_text(&self.graph, &self.trace)),
            Stage::Schedule => Ok(self.schedule.text(&self.graph)),
            Stage::Loops => Ok(self.kernel_texts(|kernel| Ok(Some(kernel.kernel().to_string())))?.join("\n")),
            Stage::Clif => self.engine_text(EngineStage::Clif, stage),
            Stage::Asm => self.engine_text(EngineStage::Asm, stage),
            Stage::All => Err(Error::Internal("Stage::All is taken apart by Function::dump".to_string())),
        }
    }

    fn kernel_count(&self) -> usize {
        self.program.kernels().count()
    }

    fn compilations(&self) -> usize {
        self.program.kernels().map(|kernel| kernel.compilations()).sum()
    }
}

impl Compiled {
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
