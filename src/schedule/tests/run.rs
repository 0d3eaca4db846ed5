//! Runs a plan for any target on the loop interpreter, held against the oracle.

use std::sync::Arc;

use crate::array::Array;
use crate::backend::{Backend, Executable, Parallelism, interpreter};
use crate::error::{Error, Result};
use crate::eval;
use crate::graph::{Graph, text};
use crate::loops::{Access, Axis, Kernel, Nest, Target};
use crate::lower::plan::{AxisWalk, Epilogue, KernelStep, MatMulStep, Plan, Role, Source, Step, Window};
use crate::lower::verify::verify;
use crate::runtime::OutPlace;
use crate::runtime::memory::{Memory, Operand};
use crate::runtime::program::Program;
use crate::schedule::{Slot, schedule};
use crate::shape::{Dim, Shape, element_count};

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
    let plan = crate::lower::lower(graph, &schedule(graph, target).unwrap(), "k").unwrap();
    verify(&plan).unwrap();
    plan
}

/// What each kernel binds: memory, what a shader that reduces needs beside, and in place of a product its factors.
pub fn bindings<'a>(plan: &'a Plan<Kernel>, target: &Target) -> Vec<(&'a Kernel, usize)> {
    let memory = |kernel: &Kernel| kernel.operands.iter().filter(|operand| operand.access != Access::Index).count();
    let bound = |step: &'a Step<Kernel>| match step {
        Step::Kernel(KernelStep { kernel, .. }) => {
            let scratch = target.shaders.is_some() && kernel.body.iter().any(reduces);
            Some((kernel, memory(kernel) + usize::from(scratch)))
        }
        Step::MatMul(step) => {
            step.epilogue.as_ref().map(|epilogue| (&epilogue.step.kernel, memory(&epilogue.step.kernel) + 1))
        }
        Step::Custom(_) | Step::Loop(_) => None,
    };
    plan.steps.iter().filter_map(bound).collect()
}

fn reduces(nest: &Nest) -> bool {
    match nest {
        Nest::Reduce { .. } => true,
        Nest::Map { body, .. } | Nest::Sequential { body, .. } | Nest::While { body, .. } => body.iter().any(reduces),
        Nest::Block(_) => false,
    }
}

/// The same plan for an engine that is of the host itself: no kernel is marked, and products are written before their
/// epilogues read them.
fn for_host(plan: Plan<Kernel>) -> Plan<Kernel> {
    let Plan { steps, blocks, mut slots, constants } = plan;
    let host = |step| match step {
        Step::Kernel(step) => vec![Step::Kernel(KernelStep { on_host: false, ..step })],
        Step::MatMul(mut step) => match step.epilogue.take() {
            None => vec![Step::MatMul(step)],
            Some(Epilogue { step: mut kernel, product }) => {
                let written = written_product(&step, &mut slots);
                let read = std::mem::replace(&mut kernel.windows[product.0 as usize], written.clone());
                assert_eq!((read.source, &read.walks, &step.result), (Source::Product, &written.walks, &None));
                step.result = Some(written);
                vec![Step::MatMul(step), Step::Kernel(kernel)]
            }
        },
        Step::Custom(step) => vec![Step::Custom(step)],
        Step::Loop(mut step) => {
            step.body = for_host(step.body);
            vec![Step::Loop(step)]
        }
    };
    let steps = steps.into_iter().flat_map(host).collect();
    Plan { steps, blocks, slots, constants }
}

/// The window over a new slot that takes a product.
fn written_product(step: &MatMulStep<Kernel>, slots: &mut Vec<Slot>) -> Window {
    let [rows, _, columns] = step.sizes.clone();
    let (dtype, shape) = (step.left.dtype, Shape::from_iter([rows, columns]));
    slots.push(Slot { count: element_count(&shape), element: dtype.size() });
    let walks = [0, 1].map(|axis| AxisWalk { kernel: Axis(axis), source: axis, step: 1 });
    let source = Source::Slot(slots.len() - 1);
    Window { source, dtype, shape, starts: Default::default(), walks: walks.into_iter().collect() }
}

/// What the kernels of a plan are for, in order; on the way, that a program of the host refuses other than launches.
pub fn roles(graph: &Graph, target: &Target) -> Vec<Role> {
    let mut roles = Vec::new();
    let engine = interpreter::engine();
    let plan = plan(graph, target).try_map(|kernel, role| {
        roles.push(role);
        engine.prepare(kernel)
    });
    let program = Program::new(plan.unwrap());
    if roles.iter().all(|&role| role == Role::Launch) {
        program.unwrap();
    } else {
        assert!(matches!(program.unwrap_err(), Error::Internal(_)));
    }
    roles
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
    let inputs: Vec<Operand<'_>> = inputs.map(|input| Operand::Host(memory(input))).collect();
    let place =
        |(array, pointer): (&Array, _)| OutPlace::of_dtype(array.dtype(), pointer, array.shape(), array.strides());
    let places: Vec<OutPlace<'_>> = results.iter().zip(pointers).map(place).collect();
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
