//! The engine that makes no code: it runs the loop IR as it is written, on one thread.
//!
//! Slow and obviously right; what tests compare the other engines with, and `Device::Interpreter`. It knows the
//! loop IR and nothing of graphs.

use std::sync::Arc;

use crate::backend::{Backend, EngineStage, Executable, Parallelism, Settled};
use crate::error::Result;
use crate::loops::{Kernel, Launch, Target, interpret, verify};

/// The interpreter as an engine.
pub fn engine() -> Arc<dyn Backend> {
    Arc::new(Interpreter { target: Target::host(false) })
}

#[derive(Debug)]
struct Interpreter {
    target: Target,
}

impl Backend for Interpreter {
    fn target(&self) -> &Target {
        &self.target
    }

    fn prepare(&self, kernel: Kernel) -> Result<Arc<dyn Executable>> {
        verify::verify(&kernel)?;
        Ok(Arc::new(Interpreted { kernel }))
    }
}

#[derive(Debug)]
struct Interpreted {
    kernel: Kernel,
}

impl Executable for Interpreted {
    fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    unsafe fn launch(&self, launch: &Launch<'_>, _: &Parallelism) -> Result<()> {
        // SAFETY: the caller keeps what `Launch` promises.
        unsafe { interpret::run(&self.kernel, launch) }
    }

    fn settle(self: Arc<Self>, _: &Launch<'_>, _: &Parallelism) -> Result<Option<Box<dyn Settled>>> {
        Ok(None)
    }

    fn dump(&self, _: EngineStage) -> Result<Option<String>> {
        Ok(None)
    }

    fn compilations(&self) -> usize {
        0
    }
}
