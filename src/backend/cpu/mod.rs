//! The CPU engine: kernels of the loop IR as machine code, made by Cranelift when a launch needs it, run in chunks.
//!
//! `form` (with `nested`, for loops over steps) reads a kernel, `emit` writes Cranelift's IR for `isa`, `jit` owns what comes of it, `cache` finds code that
//! an equal kernel has, `variant` keeps one piece
//! of code for each pattern of strides, `map` and `reduce` (with `blocks`, `runs` and `any_order`) run it over `space`, in `parallel`; `settled` are
//! launches that only lack addresses. Elementary functions
//! come from `math`. Must not know: graphs, shapes.

mod any_order;
mod blocks;
mod cache;
mod emit;
mod form;
mod gather;
mod generate;
mod isa;
mod jit;
mod lanes;
mod map;
mod math;
mod nested;
mod parallel;
mod reduce;
mod results;
mod runs;
mod settled;
mod space;
mod states;
#[cfg(test)]
mod tests;
mod text;
mod variant;
mod wide;

pub use isa::{InstructionSet, NamedTarget};

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::backend::{Backend, EngineStage, Executable, Parallelism, Settled};
use crate::error::{Error, Result};
use crate::loops::{Axis, Kernel, Launch, Target};
use form::{Form, classify};
use isa::{Isa, hosted};
use map::Map;
use reduce::Reduce;
use settled::SettledReduce;

/// The engine of this process for an instruction set.
///
/// # Errors
/// `Unsupported` on a processor that there is no code generator for, or that lacks the set.
pub fn engine(set: InstructionSet) -> Result<Arc<dyn Backend>> {
    static ENGINES: [OnceLock<Result<Arc<Cpu>>>; InstructionSet::ALL.len()] = [const { OnceLock::new() }; 5];
    let make = || hosted(set).map(|isa| Arc::new(Cpu { isa, target: Target::host(isa.features.fma) }));
    ENGINES[set as usize].get_or_init(make).clone().map(|engine| engine as Arc<dyn Backend>)
}

/// The processor as the code generator sees it: architecture and extensions.
///
/// # Errors
/// As `engine`.
pub fn processor() -> Result<(String, Vec<String>)> {
    let isa = hosted(InstructionSet::Native)?;
    Ok((isa.target.triple().architecture.to_string(), isa.extensions()))
}

/// Makes the machine code of a kernel for a named instruction set, for operands that are contiguous and for such that
/// are not; gives its size in bytes. It cannot be run: this is how the tests see that every op has code everywhere.
///
/// # Errors
/// `Unsupported` for a kernel that the engine cannot run, `Internal` if the instruction set lacks something.
#[doc(hidden)]
pub fn compile_for(kernel: &Kernel, target: NamedTarget) -> Result<usize> {
    text::compile(kernel, &isa::named(target)?)
}

#[derive(Debug)]
struct Cpu {
    isa: &'static Isa,
    target: Target,
}

impl Backend for Cpu {
    fn target(&self) -> &Target {
        &self.target
    }

    fn prepare(&self, kernel: Kernel) -> Result<Arc<dyn Executable>> {
        let body = match classify(&kernel)? {
            Form::Map { axes, program } => {
                let map = Map::new(self.isa, program, axes.is_empty());
                Body::Map(axes, Box::new(map))
            }
            Form::Reduce(form) => Body::Reduce(Box::new(Reduce::new(self.isa, form))),
        };
        let asks = self.isa.features.wide && body.asks_ahead();
        Ok(Arc::new(Prepared { isa: self.isa, kernel, body, asks }))
    }
}

#[derive(Debug)]
enum Body {
    Map(Vec<Axis>, Box<Map>),
    Reduce(Box<Reduce>),
}

#[derive(Debug)]
struct Prepared {
    isa: &'static Isa,
    kernel: Kernel,
    body: Body,
    /// Whether it asks for what a later launch reads, where its code has a wide form.
    asks: bool,
}

impl Body {
    /// Functions of f32 take little longer than what they read, and gain nothing.
    fn asks_ahead(&self) -> bool {
        let (asks, program) = match self {
            Body::Map(_, map) => (map.asks_ahead(), map.program()),
            Body::Reduce(reduce) => (reduce.asks_ahead(), reduce.body()),
        };
        asks && program.smallest() == Some(8)
    }
}

impl Executable for Prepared {
    fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    unsafe fn launch(&self, launch: &Launch<'_>, parallelism: &Parallelism) -> Result<()> {
        if launch.bindings.len() != self.kernel.operands.len() {
            return Err(Error::Internal(format!("kernel {}: a launch with other operands", self.kernel.name)));
        }
        match &self.body {
            // SAFETY: by the caller's word.
            Body::Map(axes, map) => unsafe { map.launch(axes, launch, parallelism) },
            // SAFETY: by the caller's word.
            Body::Reduce(reduce) => unsafe { reduce.launch(launch, parallelism) },
        }
    }

    fn asks_ahead(&self) -> bool {
        self.asks
    }

    fn settle(self: Arc<Self>, launch: &Launch<'_>, parallelism: &Parallelism) -> Result<Option<Box<dyn Settled>>> {
        Ok(match &self.body {
            Body::Map(axes, map) => map.settle(axes, launch, parallelism)?.map(|map| Box::new(map) as Box<dyn Settled>),
            Body::Reduce(reduce) => reduce.settle(launch, parallelism)?.map(|(row, sharing)| {
                Box::new(SettledReduce { prepared: Arc::clone(&self), row, sharing }) as Box<dyn Settled>
            }),
        })
    }

    fn dump(&self, stage: EngineStage) -> Result<Option<String>> {
        text::dump(&self.kernel, self.isa, stage).map(Some)
    }

    fn compilations(&self) -> usize {
        match &self.body {
            Body::Map(_, map) => map.compilations(),
            Body::Reduce(reduce) => reduce.compilations(),
        }
    }

    fn compile_time(&self) -> Duration {
        match &self.body {
            Body::Map(_, map) => map.compile_time(),
            Body::Reduce(reduce) => reduce.compile_time(),
        }
    }
}
