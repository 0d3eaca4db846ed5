//! What implements a function: an engine or the oracle, as the settings have it, and the check around it.
//!
//! Must not know: how expressions became a graph.

use std::sync::Arc;

use crate::backend::{Backend, Parallelism, cpu, interpreter};
use crate::check::rounding::{self, Rounding};
use crate::error::{Error, Result};
use crate::expr::checked::{Checked, Differential, Kind};
use crate::expr::compile::Source;
use crate::expr::compiler::Compiler;
use crate::expr::engine::{NodeProfile, OnHost, Oracle};
use crate::expr::settings::{Check, Device, OptLevel};
use crate::expr::threads;
use crate::graph::Graph;
use crate::loops::Target;
use crate::runtime::implementation::Implementation;
use crate::runtime::profile::{Profiler, Stopwatch};
use crate::runtime::program::Program;

impl Compiler {
    /// What computes, with the check that was asked for.
    pub(super) fn implement(&self, source: Source) -> Result<Box<dyn Implementation>> {
        let (name, unified) = (source.name.clone(), source.unified.clone());
        let (device, implementation) = self.unchecked(source)?;
        let (kind, graph) = match self.check.unwrap_or_default() {
            Check::None => return Ok(implementation),
            Check::Nan => (Kind::Nan, self.stabilized(unified)?),
            Check::Differential => {
                let compiler = Compiler { device: Some(device), ..self.for_nodes() };
                let rounding = self.promised(device)?.as_written();
                let kind = Kind::Differential(Box::new(Differential { compiler, rounding }));
                (kind, self.rewrite(unified, self.fuses(device)?)?.0)
            }
        };
        Ok(Box::new(Checked::new(name, implementation, kind, graph)?))
    }

    /// What computes, and on which device.
    pub(super) fn unchecked(&self, source: Source) -> Result<(Device, Box<dyn Implementation>)> {
        let device = self.device.unwrap_or_default();
        let implementation = match device {
            Device::Interpreter => self.on_oracle(source)?,
            Device::Cpu => self.on_host(&*self.host_engine()?, "cpu", source)?,
            Device::Loops => self.on_host(&*interpreter::engine(), "loops", source)?,
            Device::Gpu => self.on_gpu(source)?,
            Device::Auto => match self.on_gpu(source.clone()) {
                Err(error @ (Error::Device(_) | Error::Unsupported(_))) => {
                    tracing::info!(function = source.name, reason = %error, "Device::Auto takes the CPU");
                    return Ok((Device::Cpu, self.on_host(&*self.host_engine()?, "cpu", source)?));
                }
                result => return Ok((Device::Gpu, result?)),
            },
        };
        Ok((device, implementation))
    }

    fn on_oracle(&self, source: Source) -> Result<Box<dyn Implementation>> {
        let Source { name, built, unified, checks, mut stopwatch } = source;
        let (graph, trace) = self.rewrite(unified, false)?;
        stopwatch.lap("optimize");
        let profiler = self.profiler(&name, "interpreter", stopwatch);
        let profile = profiler.map(|profiler| NodeProfile::new(profiler, &graph));
        Ok(Box::new(Oracle { built, graph, trace, checks, profile }))
    }

    fn host_engine(&self) -> Result<Arc<dyn Backend>> {
        self.engine.clone().map_or_else(|| cpu::engine(self.isa.unwrap_or_default()), Ok)
    }

    /// What a device promises of its arithmetic.
    fn promised(&self, device: Device) -> Result<Rounding> {
        Ok(match device {
            Device::Gpu => rounding::GPU,
            Device::Cpu if !self.fuses(device)? => rounding::BASELINE,
            Device::Cpu | Device::Loops | Device::Interpreter | Device::Auto => rounding::HOST,
        })
    }

    /// Whether a device has a fused multiply-add that the optimizer may use.
    fn fuses(&self, device: Device) -> Result<bool> {
        match device {
            Device::Cpu => Ok(self.host_engine()?.target().has_fma),
            Device::Loops => Ok(interpreter::engine().target().has_fma),
            Device::Interpreter | Device::Gpu | Device::Auto => Ok(false),
        }
    }

    /// The settings for a node on its own: as it is, and not checked again.
    fn for_nodes(&self) -> Compiler {
        let (level, profile, check) = (Some(OptLevel::None), Some(false), Some(Check::None));
        Compiler {
            level,
            profile,
            check,
            exclude: Vec::new(),
            givens: Vec::new(),
            updates: Vec::new(),
            output_names: Vec::new(),
            ..self.clone()
        }
    }

    /// The graph as it was written, but for expressions that are rewritten since they overflow or cancel.
    fn stabilized(&self, unified: Graph) -> Result<Graph> {
        let others = ["fold", "specialize", "fast", "contract", "views"].map(str::to_string);
        let exclude = self.exclude.iter().cloned().chain(others).collect();
        Ok(Compiler { exclude, ..self.clone() }.rewrite(unified, false)?.0)
    }

    fn on_host(&self, engine: &dyn Backend, device: &'static str, source: Source) -> Result<Box<dyn Implementation>> {
        let target = Target { runs_rows: self.row_bytes != Some(0), ..engine.target().clone() };
        let Source { name, built, unified, checks, mut stopwatch } = source;
        let (stages, plan) = self.lowered(built, unified, &target, &name, &mut stopwatch)?;
        let mut program = Program::new(plan.try_map(|kernel, _| engine.prepare(kernel))?)?;
        if let Some(bytes) = self.row_bytes {
            program.set_cache(bytes);
        }
        stopwatch.lap("emit");
        let mut profiler = self.profiler(&name, device, stopwatch);
        if let Some(profiler) = &mut profiler {
            program.watch(profiler);
        }
        let (parallelism, profiler) = (self.parallelism()?, profiler.map(Arc::new));
        Ok(Box::new(OnHost { stages, checks, program, parallelism, profiler }))
    }

    /// What counts, if that was asked for.
    pub(super) fn profiler(&self, name: &str, device: &'static str, stopwatch: Stopwatch) -> Option<Profiler> {
        self.profile.unwrap_or_default().then(|| Profiler::new(name, device, stopwatch))
    }

    #[cfg(not(feature = "gpu"))]
    fn on_gpu(&self, _: Source) -> Result<Box<dyn Implementation>> {
        Err(Error::Unsupported(
            "Device::Gpu: this build of Kroton has no GPU engine; enable the crate's feature `gpu` (it is one of the \
             default features), or compile for Device::Cpu"
                .to_string(),
        ))
    }

    fn parallelism(&self) -> Result<Parallelism> {
        match self.threads {
            None => Ok(Parallelism { pool: None, threshold: self.parallel_threshold }),
            // One thread is the caller's own.
            Some(1) => Ok(Parallelism::none()),
            Some(threads) => {
                Ok(Parallelism { pool: Some(threads::pool(threads)?), threshold: self.parallel_threshold })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::InstructionSet;
    use crate::dtype::DType;
    use crate::ops::UnaryOp;

    /// The checks allow a device what its rows promise.
    #[test]
    fn devices_promise_what_their_rows_say() {
        let row = UnaryOp::Erfc.row();
        let promised = |compiler: Compiler, device| {
            let bounds = compiler.promised(device).unwrap().bounds(row, DType::F64);
            (bounds.own as f32, bounds.other as f32)
        };
        let (own, gpu) = (row.ulp_bound(DType::F64), row.gpu_bound(DType::F64));
        let baseline = if cfg!(target_arch = "x86_64") { row.baseline_bound(DType::F64) } else { own };
        assert_eq!(promised(Compiler::new().isa(InstructionSet::Baseline), Device::Cpu), (own, baseline));
        assert_eq!(promised(Compiler::new(), Device::Loops), (own, own));
        assert_eq!(promised(Compiler::new(), Device::Gpu), (own, gpu));
        assert!(own < row.baseline_bound(DType::F64) && own < gpu);
    }
}
