//! Engines: what turns a kernel of the loop IR into something that runs.
//!
//! An engine sees loops, the op table and dtypes; never graphs, shapes or the user's handles.

mod cores;
pub mod cpu;
mod crew;
mod fork;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod interpreter;
pub mod matmul;
mod missed;
mod offer;
mod parallelism;
mod place;
mod ranges;
mod refusal;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::loops::{Kernel, Launch, Target};
pub use parallelism::{Call, Parallelism, Pool, is_child, watch_forks};

/// An engine.
pub trait Backend: Send + Sync + fmt::Debug {
    /// Its capabilities and limits.
    fn target(&self) -> &Target;

    /// Makes a kernel ready to run. Machine code may be made later, at the first launch that needs it.
    ///
    /// # Errors
    /// `Unsupported` for a kernel that the engine cannot run.
    fn prepare(&self, kernel: Kernel) -> Result<Arc<dyn Executable>>;
}

/// A kernel that an engine can run.
pub trait Executable: Send + Sync + fmt::Debug {
    /// The kernel in the loop IR.
    fn kernel(&self) -> &Kernel;

    /// Runs it.
    ///
    /// # Safety
    /// The launch keeps what `Launch` promises: valid addresses, no overlap with written operands.
    ///
    /// # Errors
    /// `Memory` or `Internal`, before anything is written.
    unsafe fn launch(&self, launch: &Launch<'_>, parallelism: &Parallelism) -> Result<()>;

    /// Whether it asks for memory that a later launch reads, if it is told how far ahead that is.
    fn asks_ahead(&self) -> bool {
        false
    }

    /// The same launch for any addresses, if the engine can say beforehand what it comes to.
    ///
    /// # Errors
    /// As `launch`.
    fn settle(self: Arc<Self>, launch: &Launch<'_>, parallelism: &Parallelism) -> Result<Option<Box<dyn Settled>>>;

    /// The engine's own text of a stage (CLIF, assembly …), if it has one.
    ///
    /// # Errors
    /// Whatever making that text meets.
    fn dump(&self, stage: EngineStage) -> Result<Option<String>>;

    /// How many variants of machine code have been made for it so far.
    fn compilations(&self) -> usize;

    /// How long it took to make them.
    fn compile_time(&self) -> Duration {
        Duration::ZERO
    }
}

/// A launch of which everything but the addresses is decided.
pub trait Settled: Send + Sync + fmt::Debug {
    /// Runs it with operands that begin at these addresses or positions, in the order of the kernel's.
    ///
    /// # Safety
    /// A launch with the extents and strides that were settled and these bases keeps what `Launch` promises. Addresses
    /// have been exposed.
    ///
    /// # Errors
    /// As `Executable::launch`.
    unsafe fn run(&self, bases: &[i64]) -> Result<()>;

    /// Whether it always runs on the caller's thread.
    fn runs_alone(&self) -> bool;
}

/// A text that an engine can give of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineStage {
    /// Cranelift's IR.
    Clif,
    /// Machine code, disassembled.
    Asm,
}
