//! What a function has cost so far: calls, kernels, stages of compilation.
//!
//! A function that is compiled with a profile has a [`Profiler`], and its kernels are wrapped in `Watched`, which counts;
//! without one there is neither, so that nothing is paid. Counters are atomic and relaxed: numbers that are read while calls
//! run may be a call apart. Must not know: graphs, and what a kernel computes beyond its class.

mod report;
pub(super) mod traffic;
mod watched;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use report::{ClassProfile, KernelProfile, Profile, StageTime};

use crate::backend::Executable;
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::loops::Kernel;
use crate::runtime::profile::watched::Watched;

/// How often something ran, how long that took, and how many bytes it had to move.
#[derive(Debug, Default)]
pub struct Counter {
    runs: AtomicU64,
    nanoseconds: AtomicU64,
    bytes: AtomicU64,
}

/// What a counter is of.
#[derive(Debug)]
struct Watch {
    name: String,
    class: &'static str,
    counter: Arc<Counter>,
    /// The kernel, which knows how long its code took to make.
    kernel: Option<Arc<dyn Executable>>,
}

/// The counters of a function.
#[derive(Debug)]
pub struct Profiler {
    function: String,
    device: &'static str,
    calls: Counter,
    stages: Vec<StageTime>,
    watches: Vec<Watch>,
}

impl Counter {
    /// Takes note of a run.
    pub fn add(&self, time: Duration, bytes: u64) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds(time), Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn time(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Measures the stages of a compilation, one after the other.
#[derive(Debug, Clone)]
pub struct Stopwatch {
    last: Instant,
    stages: Vec<StageTime>,
}

impl Stopwatch {
    /// Starts with the first stage.
    pub fn start() -> Stopwatch {
        Stopwatch { last: Instant::now(), stages: Vec::new() }
    }

    /// Ends a stage, and starts the next.
    pub fn lap(&mut self, stage: &'static str) {
        let now = Instant::now();
        self.stages.push(StageTime { stage, time: now - self.last });
        self.last = now;
    }
}

impl Profiler {
    /// The profiler of a function that has passed these stages.
    pub fn new(function: &str, device: &'static str, stages: Stopwatch) -> Profiler {
        let calls = Counter::default();
        Profiler { function: function.to_string(), device, calls, stages: stages.stages, watches: Vec::new() }
    }

    /// A counter for something that is no kernel of an engine of the host.
    pub fn watch(&mut self, name: impl Into<String>, class: &'static str) -> Arc<Counter> {
        let counter = Arc::new(Counter::default());
        self.watches.push(Watch { name: name.into(), class, counter: counter.clone(), kernel: None });
        counter
    }

    /// The kernel, counted from here on.
    pub fn watch_kernel(&mut self, kernel: Arc<dyn Executable>) -> Arc<dyn Executable> {
        let (name, class) = (kernel.kernel().name.clone(), watched::class(kernel.kernel()));
        let counter = Arc::new(Counter::default());
        self.watches.push(Watch { name, class, counter: counter.clone(), kernel: Some(kernel.clone()) });
        Arc::new(Watched::new(kernel, counter))
    }

    /// A counter for a kernel that is recorded for a device.
    #[cfg(feature = "gpu")]
    pub fn watch_device_kernel(&mut self, kernel: &Kernel) -> Arc<Counter> {
        self.watch(kernel.name.clone(), watched::class(kernel))
    }

    /// Runs a call; one that fails does not count.
    pub fn call<R>(&self, call: impl FnOnce() -> Result<R>) -> Result<R> {
        let start = Instant::now();
        let result = call()?;
        self.calls.add(start.elapsed(), 0);
        Ok(result)
    }

    /// The numbers so far.
    pub fn report(&self) -> Profile {
        let mut stages = self.stages.clone();
        let emitted = self.watches.iter().filter_map(|watch| watch.kernel.as_ref());
        let emitted: Duration = emitted.map(|kernel| kernel.compile_time()).sum();
        match stages.iter_mut().find(|stage| stage.stage == "emit") {
            // Machine code is made by the first call that needs it.
            Some(emit) => emit.time += emitted,
            None => stages.push(StageTime { stage: "emit", time: emitted }),
        }
        let runs = self.calls.runs.load(Ordering::Relaxed);
        let kernels = self.watches.iter().map(Watch::report).collect();
        Profile::new(&self.function, self.device, (runs, self.calls.time()), stages, kernels)
    }
}

impl Watch {
    fn report(&self) -> KernelProfile {
        KernelProfile {
            name: self.name.clone(),
            class: self.class,
            calls: self.counter.runs.load(Ordering::Relaxed),
            time: self.counter.time(),
            share: 0.0,
            bytes: self.counter.bytes.load(Ordering::Relaxed),
            gigabytes_per_second: 0.0,
        }
    }
}
