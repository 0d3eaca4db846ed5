//! Random graphs on the GPU engine, as written and optimized, on the device as it is and on lesser ones made of it.
//!
//! The graphs, the second oracle and its bounds are those of tests/random_graphs, with the arithmetic that is promised of
//! GPUs in place of the host's: integers and bools that no float feeds are the same bits, floats lie within bounds that
//! are carried from node to node. A device without f64 gets each graph in f32, and as it is: then what f64 needs is either
//! computed by the host or refused by name.
//!
//! `KROTON_SEED=7 KROTON_GPU_CASES=2000 cargo test --test random_graphs_gpu` draws others.

#![cfg(feature = "gpu")]

#[path = "random_graphs/build.rs"]
mod build;
#[allow(dead_code)] // the rest is for the host
#[path = "random_graphs/cases.rs"]
mod cases;
mod common;
#[path = "random_graphs/evaluate.rs"]
mod evaluate;
#[path = "random_graphs/evaluate_loops.rs"]
mod evaluate_loops;
#[path = "random_graphs/idioms.rs"]
mod idioms;
#[path = "random_graphs/looping.rs"]
mod looping;
#[path = "random_graphs/phrases.rs"]
mod phrases;
#[allow(dead_code)] // the rest is for the host
#[path = "random_graphs/program.rs"]
mod program;
#[path = "random_graphs/recipe.rs"]
mod recipe;
#[path = "random_graphs/regions.rs"]
mod regions;
#[path = "random_graphs/steps.rs"]
mod steps;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use cases::{Equal, misplaced, run_cases, setting};
use common::gpu::{Engine, NO_F64, NO_I64, SMALL, WHOLE};
use kroton::backend::gpu::GpuMask;
use kroton::check::{bounded, rounding};
use kroton::{Array, Compiler, DType, Device, Error, OnUnused, OptLevel};
use program::Program;
use recipe::Recipe;

/// What the cases covered together.
#[derive(Default)]
struct Coverage {
    drawn: AtomicU64,
    /// Which lesser device failed; shrinking stays with it.
    failed: OnceLock<u64>,
    calls: AtomicUsize,
    refused: AtomicUsize,
    compared: AtomicUsize,
    bounded: AtomicUsize,
}

/// Compiles and calls a program in both ways.
fn check(engine: &Engine, recipe: &Recipe, coverage: &Coverage) -> Result<(), String> {
    let program = Program::new(recipe);
    let (inputs, outputs) = build::build(&program);
    let expected = evaluate::evaluate(&program, &rounding::GPU);
    for (way, level) in [("as written", OptLevel::None), ("optimized", OptLevel::Full)] {
        let say = |error: &dyn std::fmt::Display| format!("{}, {way}: {error}", engine.name);
        let compiler = Compiler::new().on_unused_input(OnUnused::Ignore).optimize(level);
        let compiled = compiler.device(Device::Gpu).limits(engine.mask).compile(&inputs, &outputs);
        let f = match compiled {
            Err(Error::Unsupported(text)) if needs_f64(engine, &program) && text.contains("SHADER_F64") => {
                coverage.refused.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            other => other.map_err(|error| say(&error))?,
        };
        let got: Vec<Array> = f.call(program.arguments().as_slice()).map_err(|error| say(&error))?;
        if let Some(difference) = misplaced(&got, &program, &expected, Equal::Bounds) {
            return Err(say(&difference));
        }
        coverage.calls.fetch_add(1, Ordering::Relaxed);
    }
    let elements = || program.outputs.iter().flat_map(|&output| &expected[output]);
    coverage.compared.fetch_add(elements().count(), Ordering::Relaxed);
    coverage.bounded.fetch_add(elements().filter(|x| !x.is_unknown()).count(), Ordering::Relaxed);
    Ok(())
}

/// Whether a graph has f64 in it that the device lacks.
fn needs_f64(engine: &Engine, program: &Program) -> bool {
    !engine.computes(DType::F64) && program.any(&|node| node.dtype == DType::F64)
}

/// On the device, and every third case on one of the lesser ones each.
fn check_everywhere(recipe: &Recipe, coverage: &Coverage) -> Result<(), String> {
    let number = coverage.drawn.fetch_add(1, Ordering::Relaxed);
    let which = coverage.failed.get().copied().unwrap_or(number % 3);
    let engine = |name, mask: GpuMask| Engine::new(name, mask).ok_or_else(|| "the device is gone".to_string());
    let whole = engine("gpu", WHOLE)?;
    let in_f32 = recipe.in_f32();
    check(&whole, if whole.computes(DType::F64) { recipe } else { &in_f32 }, coverage)?;
    let result = match which {
        0 => check(&engine("no i64", NO_I64)?, &in_f32, coverage),
        1 => {
            let engine = engine("no f64", NO_F64)?;
            check(&engine, &in_f32, coverage).and_then(|()| check(&engine, recipe, coverage))
        }
        _ => {
            let engine = engine("small", SMALL)?;
            check(&engine, if engine.computes(DType::F64) { recipe } else { &in_f32 }, coverage)
        }
    };
    if result.is_err() {
        coverage.failed.get_or_init(|| which);
    }
    result
}

#[test]
fn random_graphs_agree_on_the_gpu() {
    let Some(engine) = Engine::new("gpu", WHOLE) else { return };
    let (seed, cases) = (setting("KROTON_SEED", 1), setting("KROTON_GPU_CASES", 300));
    let coverage = Coverage::default();
    let before = engine.gpu.dispatches();
    const THREADS: u64 = 2;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (seed, cases, coverage) = (1000 + seed * THREADS + thread, (cases / THREADS) as u32, &coverage);
            scope.spawn(move || run_cases(seed, cases, |recipe| check_everywhere(recipe, coverage)));
        }
    });
    let dispatches = engine.gpu.dispatches() - before;
    let [calls, refused, compared, bounded] =
        [&coverage.calls, &coverage.refused, &coverage.compared, &coverage.bounded].map(|x| x.load(Ordering::Relaxed));
    println!("{calls} calls, {dispatches} dispatches, {refused} refused; {bounded} of {compared} elements had a bound");
    // Some graphs are nothing but views of constants and sizes; most are work for the device.
    assert!(dispatches as usize > calls, "{dispatches} dispatches in {calls} calls");
    assert!(bounded * 2 > compared, "only {bounded} of {compared} elements had a bound");
}
