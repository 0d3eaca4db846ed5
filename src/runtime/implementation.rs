//! What computes behind a function, and what a function takes and gives.
//!
//! Must not know: how a call is checked, who calls.

use std::sync::Arc;

use crate::backend::Pool;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::runtime::memory::Operand;
use crate::runtime::profile::Profiler;
use crate::runtime::site::Site;
use crate::runtime::{OutPlace, Replay, Stage};
use crate::shape::{InputId, Shape, Symbols};

/// An input as a call sees it.
#[derive(Debug, Clone)]
pub struct InputSpec {
    /// The identity that symbols refer to.
    pub id: InputId,
    /// The user's name.
    pub name: String,
    /// The dtype.
    pub dtype: DType,
    /// The sizes; open ones are symbols of this input.
    pub shape: Shape,
    /// Whether sizes depend on its value.
    pub is_size: bool,
}

/// An output as a call sees it.
#[derive(Debug, Clone)]
pub struct OutputType {
    /// The dtype.
    pub dtype: DType,
    /// The sizes, as expressions over the symbols of the inputs.
    pub shape: Shape,
}

/// What computes.
pub trait Implementation: Send + Sync {
    /// Checks the sizes of a call against each other.
    ///
    /// # Errors
    /// `Shape`, naming inputs and sizes.
    fn check(&self, symbols: &Symbols) -> Result<()>;

    /// Where a call would run now.
    ///
    /// # Errors
    /// `Device` if the device is lost and cannot be opened again.
    fn site(&self) -> Result<Site> {
        Ok(Site::Host)
    }

    /// Computes the outputs.
    ///
    /// # Safety
    /// Inputs are valid for reads and outputs for writes of the types of the function under these symbols, which
    /// passed `check`; outputs overlap nothing but the input that `donations` names; what is on a device is on that of `site`, or is to be replaced.
    ///
    /// # Errors
    /// `Memory`, before anything is written; `Device` if the device is lost.
    unsafe fn run(
        &self,
        site: &Site,
        inputs: &[Operand<'_>],
        outputs: &mut [OutPlace<'_>],
        symbols: &Symbols,
    ) -> Result<()>;

    /// The threads that it runs on; none for those of the caller.
    fn pool(&self) -> Option<&Pool> {
        None
    }

    /// Whether `run_alone` can be called: nothing that runs is the user's code.
    fn runs_alone(&self) -> bool {
        false
    }

    /// As `run`, on the caller's thread: it waits for no thread pool and for no lock that is held while one runs.
    ///
    /// # Safety
    /// As `run`.
    ///
    /// # Errors
    /// As `run`; `Internal` if `runs_alone` does not hold.
    unsafe fn run_alone(&self, _: &Site, _: &[Operand<'_>], _: &mut [OutPlace<'_>], _: &Symbols) -> Result<()> {
        Err(Error::Internal("a function that cannot run alone was to do so".to_string()))
    }

    /// What later calls of the same layouts come to; none if nothing is gained.
    ///
    /// # Errors
    /// As `run`.
    fn settle(&self, _: &[Operand<'_>], _: &[OutPlace<'_>], _: &Symbols) -> Result<Option<Replay>> {
        Ok(None)
    }

    /// For each output, the argument that may become it: what writes the one reads the other at the same element only,
    /// and nothing reads it later.
    fn donations(&self) -> Vec<Option<usize>> {
        Vec::new()
    }

    /// The text of one stage.
    ///
    /// # Errors
    /// Whatever making the text meets.
    fn dump(&self, stage: Stage) -> Result<String>;

    /// How many kernels a call runs.
    fn kernel_count(&self) -> usize;

    /// How many variants of machine code have been made so far.
    fn compilations(&self) -> usize;

    /// What counts, if the function is profiled.
    fn profiler(&self) -> Option<Arc<Profiler>> {
        None
    }
}
