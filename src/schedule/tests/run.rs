//! Runs a plan for any target on the loop interpreter, held against the oracle.

use std::sync::Arc;

use crate::array::Array;
use crate::backend::{Backend, Executable, Parallelism, interpreter};
use crate::error::Result;
use crate::eval;
use crate::graph::{Graph, text};
use crate::loops::{Access, Kernel, Nest, Target};
use crate::lower::plan::{Plan, Step};
use crate::runtime::memory::{Memory, Operand};
use crate::runtime::program::Program;
use crate::schedule::schedule;
use crate::shape::Dim;

/// The loop interpreter with the limits of another engine.
#[derive(Debug)]
struct Limited {
    target: Target,
    interpreter: Arc<dyn Backend>,
}

impl Backend for Limited {
    fn target(&self) -> &Target {
        &self.target
    }

    fn prepare(&self, kernel: Kernel) -> Result<Arc<dyn Executable>> {
        self.interpreter.prepare(kernel)
    }
}

pub fn plan(graph: &Graph, target: &Target) -> Plan<Kernel> {
    crate::lower::lower(graph, &schedule(graph, target).unwrap(), "k").unwrap()
}

/// What a kernel binds: memory, and what a shader that reduces needs beside.
pub fn bindings(kernel: &Kernel, target: &Target) -> usize {
    let memory = kernel.operands.iter().filter(|operand| operand.access != Access::Index).count();
    memory + usize::from(target.shaders.is_some() && kernel.body.iter().any(reduces))
}

fn reduces(nest: &Nest) -> bool {
    match nest {
        Nest::Reduce { .. } => true,
        Nest::Map { body, .. } | Nest::Sequential { body, .. } | Nest::While { body, .. } => body.iter().any(reduces),
        Nest::Block(_) => false,
    }
}

/// The same plan for an engine that is of the host itself: no kernel is marked.
fn for_host(mut plan: Plan<Kernel>) -> Plan<Kernel> {
    for step in &mut plan.steps {
        if let Step::Kernel(step) = step {
            step.on_host = false;
        }
    }
    plan
}

/// The outputs of a graph, planned for a target and run.
fn run(graph: &Graph, target: &Target, arguments: &[Array]) -> Vec<Array> {
    let engine = Limited { target: target.clone(), interpreter: interpreter::engine() };
    let plan = for_host(plan(graph, engine.target()));
    let program = Program::new(plan.try_map(|kernel, _| engine.prepare(kernel)).unwrap()).unwrap();
    let symbols = eval::bind(graph, arguments).unwrap();
    let size = |dim: &Dim| dim.evaluate(&symbols).unwrap() as usize;
    let result = |output| -> Array {
        let ty = graph.ty(output);
        Array::zeros(ty.dtype, &ty.shape.iter().map(size).collect::<Vec<_>>()).unwrap()
    };
    let mut results: Vec<Array> = graph.outputs.iter().map(|&output| result(output)).collect();
    let pointers: Vec<*mut u8> = results.iter_mut().map(|array| array.bytes_mut().as_mut_ptr()).collect();
    let memory = |(array, pointer)| of(array, pointer);
    let inputs = arguments.iter().map(|array| (array, array.bytes().as_ptr().cast_mut()));
    let inputs: Vec<Operand<'_>> = inputs.map(memory).map(Operand::Host).collect();
    let places: Vec<Memory<'_>> = results.iter().zip(pointers).map(memory).collect();
    // SAFETY: arguments and results are arrays of their own, of the shapes that the graph has for these symbols.
    unsafe { program.run(&inputs, &places, &symbols, &Parallelism::default()).unwrap() };
    results
}

fn of(array: &Array, pointer: *mut u8) -> Memory<'_> {
    Memory { pointer, dtype: array.dtype(), shape: array.shape(), strides: array.strides() }
}

/// Runs a graph as planned for a target and by the oracle; every bit must be the same, all NaNs being equal.
pub fn check(graph: &Graph, target: &Target, arguments: &[Array]) {
    let expected = eval::evaluate(graph, arguments, &eval::bind(graph, arguments).unwrap()).unwrap();
    let got = run(graph, target, arguments);
    for (output, (got, expected)) in got.iter().zip(&expected).enumerate() {
        assert_eq!((got.dtype(), got.shape()), (expected.dtype(), expected.shape()));
        for index in 0..got.len() {
            let (got, expected) = (got.get(index), expected.get(index));
            let same = got == expected || (got.is_nan() && expected.is_nan());
            assert!(same, "output {output}, element {index}: {got:?}, not {expected:?}\n{}", explained(graph, target));
        }
    }
}

/// A graph and its plan, for messages.
pub fn explained(graph: &Graph, target: &Target) -> String {
    format!("{}\n{}", text::print(graph), schedule(graph, target).unwrap().text(graph))
}
