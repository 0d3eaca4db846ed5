//! What the tests of the GPU engine share: a device that counts, and lesser ones made of it.
//!
//! A call goes through [`Engine::call`], which holds that the device was given work: whatever computes the result
//! elsewhere fails. Without an adapter there is no engine, and tests skip, unless `KROTON_TEST_GPU=required`.

use std::sync::{Arc, Mutex, PoisonError};

use kroton::backend::gpu::{Gpu, GpuMask, testing};
use kroton::{Arg, Array, Compiler, DType, Device, Error, Expr, Function, OnUnused, OptLevel, Scalar};

use super::{Argument, plain, same, scalars};

/// Lesser devices, with names for messages: all of the device; less of its dtypes; less of its numbers.
pub const MASKS: [(&str, GpuMask); 4] = [("gpu", WHOLE), ("no i64", NO_I64), ("no f64", NO_F64), ("small", SMALL)];

/// All of the device.
pub const WHOLE: GpuMask = GpuMask {
    no_f64: false,
    no_i64: false,
    no_subgroups: false,
    storage_buffers: None,
    invocations: None,
    binding_bytes: None,
    groups: None,
};
/// 64-bit integers are pairs of words, and lanes meet in workgroup memory only.
pub const NO_I64: GpuMask = GpuMask { no_i64: true, no_f64: true, no_subgroups: true, ..WHOLE };
/// No f64.
pub const NO_F64: GpuMask = GpuMask { no_f64: true, ..WHOLE };
/// Kernels of few operands, launches in many windows, dispatches in two dimensions.
pub const SMALL: GpuMask = GpuMask {
    storage_buffers: Some(3),
    invocations: Some(64),
    binding_bytes: Some(64 << 10),
    groups: Some(16),
    ..WHOLE
};

/// A device, or a lesser one made of it.
pub struct Engine {
    pub name: &'static str,
    pub mask: GpuMask,
    pub gpu: Arc<Gpu>,
}

impl Engine {
    /// The device of the process; none where there is no adapter.
    pub fn new(name: &'static str, mask: GpuMask) -> Option<Engine> {
        Some(Engine { name, mask, gpu: testing::device()? })
    }

    /// Whether kernels compute with a dtype.
    pub fn computes(&self, dtype: DType) -> bool {
        self.mask.apply(self.gpu.target()).computes(dtype)
    }

    /// The dtypes that kernels compute with.
    pub fn dtypes(&self) -> impl Iterator<Item = DType> {
        DType::ALL.into_iter().filter(|&dtype| self.computes(dtype))
    }

    /// Whether its shaders are those of the whole device, which are compiled but once; else a test may take a part.
    pub fn is_whole(&self) -> bool {
        GpuMask { no_f64: false, ..self.mask } == WHOLE
    }

    /// A compiler that rewrites nothing.
    pub fn compiler(&self) -> Compiler {
        plain(Device::Gpu).limits(self.mask)
    }

    /// Calls a function of this engine. The device must have been given work, unless all results are empty.
    pub fn call(&self, f: &Function, arguments: &[&Argument]) -> kroton::Result<Vec<Array>> {
        let args: Vec<Arg<'_>> = arguments.iter().map(|argument| argument.arg()).collect();
        self.call_with(f, &args)
    }

    /// As [`call`](Engine::call), with any arguments.
    pub fn call_with(&self, f: &Function, args: &[Arg<'_>]) -> kroton::Result<Vec<Array>> {
        let (results, dispatches) = self.counted(f, args)?;
        assert!(dispatches > 0 || results.iter().all(Array::is_empty), "{}: nothing ran on the device", self.name);
        Ok(results)
    }

    /// The results of a call, and how many dispatches it took: no more are counted while all calls of a test binary go
    /// through here.
    pub fn counted(&self, f: &Function, args: &[Arg<'_>]) -> kroton::Result<(Vec<Array>, u64)> {
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.gpu.dispatches();
        let results: Vec<Array> = f.call(args)?;
        Ok((results, self.gpu.dispatches() - before))
    }
}

/// Arguments of calls, and what the oracle gives for them.
pub type Cases<'a> = Vec<(Vec<Arg<'a>>, Vec<Array>)>;

/// Compiles for the device at every level and for lesser ones, calls twice, and compares with what the oracle gives: bits, but
/// near floats, which a device rounds in its own way. What needs f64 may be refused where there is none.
#[track_caller]
pub fn agree(inputs: &[&Expr], outputs: &[Expr], cases: &Cases<'_>) {
    for (name, mask) in MASKS {
        let Some(engine) = Engine::new(name, mask) else { return };
        let levels = if mask == WHOLE { &[OptLevel::Full, OptLevel::None][..] } else { &[OptLevel::Full] };
        for level in levels {
            let compiler = engine.compiler().optimize(*level).on_unused_input(OnUnused::Ignore);
            let f = match compiler.compile(inputs, outputs) {
                Err(Error::Unsupported(text)) if !engine.computes(DType::F64) && text.contains("SHADER_F64") => {
                    continue;
                }
                result => result.unwrap(),
            };
            for (args, expected) in cases.iter().chain(cases) {
                let results = engine.call_with(&f, args).unwrap();
                for (number, (got, wanted)) in results.iter().zip(expected).enumerate() {
                    assert_eq!(got.shape(), wanted.shape(), "{name}: result {number}");
                    let pairs = scalars(got).into_iter().zip(scalars(wanted));
                    for (place, (got, wanted)) in pairs.enumerate() {
                        assert!(
                            near(got, wanted),
                            "{name} {level:?}: result {number}, {place}: {got:?}, not {wanted:?}"
                        );
                    }
                }
            }
        }
    }
}

/// Whether a value is one that a GPU may give after some steps, each of which rounds.
fn near(got: Scalar, wanted: Scalar) -> bool {
    let bound = match (got, wanted) {
        (Scalar::F32(_), Scalar::F32(_)) => 1e-5,
        (Scalar::F64(_), Scalar::F64(_)) => 1e-9,
        _ => 0.0,
    };
    let [a, b] = [got, wanted].map(|x| x.to_f64());
    same(got, wanted) || (bound > 0.0 && (a - b).abs() <= bound * b.abs().max(1e-3))
}
