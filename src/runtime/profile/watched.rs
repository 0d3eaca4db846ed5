//! A kernel that is counted: it hands everything on to another one, and measures.
//!
//! Must not know: who reads the numbers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backend::{EngineStage, Executable, Parallelism, Settled};
use crate::error::Result;
use crate::loops::{Kernel, Launch, Nest};
use crate::runtime::profile::Counter;
use crate::runtime::profile::traffic::of_launch;

/// A kernel with a counter.
#[derive(Debug)]
pub(super) struct Watched {
    kernel: Arc<dyn Executable>,
    counter: Arc<Counter>,
}

/// A settled launch with the counter of its kernel.
#[derive(Debug)]
struct WatchedLaunch {
    launch: Box<dyn Settled>,
    bytes: u64,
    counter: Arc<Counter>,
}

impl Watched {
    pub fn new(kernel: Arc<dyn Executable>, counter: Arc<Counter>) -> Watched {
        Watched { kernel, counter }
    }
}

impl Executable for Watched {
    fn kernel(&self) -> &Kernel {
        self.kernel.kernel()
    }

    unsafe fn launch(&self, launch: &Launch<'_>, parallelism: &Parallelism) -> Result<()> {
        let (start, compiled) = (Instant::now(), self.kernel.compile_time());
        // SAFETY: by the caller's word.
        unsafe { self.kernel.launch(launch, parallelism)? };
        // Code that was made for this launch is a stage of compilation.
        let compiling = self.kernel.compile_time().saturating_sub(compiled);
        self.counter.add(start.elapsed().saturating_sub(compiling), of_launch(self.kernel(), launch));
        Ok(())
    }

    fn asks_ahead(&self) -> bool {
        self.kernel.asks_ahead()
    }

    fn settle(self: Arc<Self>, launch: &Launch<'_>, parallelism: &Parallelism) -> Result<Option<Box<dyn Settled>>> {
        let settled = Arc::clone(&self.kernel).settle(launch, parallelism)?;
        let bytes = of_launch(self.kernel(), launch);
        let watched = |launch| Box::new(WatchedLaunch { launch, bytes, counter: self.counter.clone() });
        Ok(settled.map(|launch| watched(launch) as Box<dyn Settled>))
    }

    fn dump(&self, stage: EngineStage) -> Result<Option<String>> {
        self.kernel.dump(stage)
    }

    fn compilations(&self) -> usize {
        self.kernel.compilations()
    }

    fn compile_time(&self) -> Duration {
        self.kernel.compile_time()
    }
}

impl Settled for WatchedLaunch {
    unsafe fn run(&self, bases: &[i64]) -> Result<()> {
        let start = Instant::now();
        // SAFETY: by the caller's word.
        unsafe { self.launch.run(bases)? };
        self.counter.add(start.elapsed(), self.bytes);
        Ok(())
    }

    fn runs_alone(&self) -> bool {
        self.launch.runs_alone()
    }
}

/// What a kernel is, in a word: its nests, outermost first.
pub(super) fn class(kernel: &Kernel) -> &'static str {
    let (mut reduces, mut steps) = (false, false);
    let mut pending: Vec<&Nest> = kernel.body.iter().collect();
    while let Some(nest) = pending.pop() {
        match nest {
            Nest::Map { body, .. } => pending.extend(body),
            Nest::Reduce { .. } => reduces = true,
            Nest::Sequential { .. } | Nest::While { .. } => steps = true,
            Nest::Block(_) => {}
        }
    }
    match (steps, reduces) {
        (true, _) => "loop",
        (false, true) => "reduce",
        (false, false) => "map",
    }
}
