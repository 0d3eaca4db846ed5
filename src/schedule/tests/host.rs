//! Graphs in f64 for devices without it: tails on the host, and refusals.

use super::random::{Dice, graph, recent};
use super::run::{check, explained, plan, roles};
use super::*;
use crate::array::Array;
use crate::dtype::{DType, Scalar};
use crate::error::Error;
use crate::graph::text::parse;
use crate::loops::{Kernel, ShaderLimits};
use crate::lower::plan::{self, KernelStep, Plan, Role};
use crate::ops::{BinaryOp, ReduceOp, UnaryOp};

const DEVICE: Target = Target::gpu(ShaderLimits { has_i64: true, ..ShaderLimits::WEBGPU }, false);

fn parsed(source: &str) -> Graph {
    parse(source).unwrap().0
}

fn kernels<'a>(plan: &'a Plan<Kernel>) -> Vec<&'a KernelStep<Kernel>> {
    let kernel = |step: &'a plan::Step<Kernel>| match step {
        plan::Step::Kernel(step) => Some(step),
        plan::Step::MatMul(_) | plan::Step::Custom(_) | plan::Step::Loop(_) => None,
    };
    plan.steps.iter().filter_map(kernel).collect()
}

/// For each kernel whether it is the host's; on the way, that only these compute in f64, and have no axes.
#[track_caller]
fn on_host(graph: &Graph) -> Vec<bool> {
    let plan = plan(graph, &DEVICE);
    let steps = kernels(&plan);
    for step in &steps {
        let has_f64 = step.kernel.types.contains(&DType::F64);
        let fits = if step.on_host { step.extents.is_empty() } else { !has_f64 };
        assert!(fits, "{}\n{}", step.kernel, explained(graph, &DEVICE));
    }
    steps.iter().map(|step| step.on_host).collect()
}

#[test]
fn the_tail_of_a_count_runs_on_the_host() {
    let graph = parsed(
        "kroton 1\n%0 = input \"x\" f32[?]\n%1 = constant 1.0 : f32[]\n%2 = lt %0, %1 : bool[%0.0]\n\
         %3 = sum axes=[0] %2 : i64[]\n%4 = cast %3 : f64[]\n%5 = constant 4.0 : f64[]\n%6 = mul %5, %4 : f64[]\n\
         %7 = size %0.0 : i64[]\n%8 = cast %7 : f64[]\n%9 = div %6, %8 : f64[]\nreturn %9\ninputs %0\n",
    );
    assert_eq!(on_host(&graph), [false, true]);
    let text = schedule(&graph, &DEVICE).unwrap().text(&graph);
    let expected = "\
step 0: map [] reduce [x.0]
    %3 = sum %2 : i64[] -> slot 0, read by step 1  (fused: lt)
step 1: map [] on the host
    %9 = div %6, %8 : f64[] -> output 0  (fused: cast, mul, cast)
slot 0: 1 elements of 8 bytes
";
    assert_eq!(text, expected);
    check(&graph, &DEVICE, &[Array::from_slice(&[0.5_f32, 2.0, 0.25])]);
    assert_eq!(roles(&graph, &DEVICE), [Role::Launch, Role::HostLaunch]);
    // Where there is f64, all of it is one kernel.
    assert_eq!(roles(&graph, &Target { has_f64: true, ..DEVICE }), [Role::Launch]);
}

#[test]
fn what_a_device_reads_of_the_host_is_written() {
    // x * (2 s) as f32, with s an f64 input; the doubled s is also a result.
    let graph = parsed(
        "kroton 1\n%0 = input \"x\" f32[?]\n%1 = input \"s\" f64[]\n%2 = add %1, %1 : f64[]\n%3 = cast %2 : f32[]\n\
         %4 = mul %0, %3 : f32[%0.0]\nreturn %4, %2\ninputs %0, %1\n",
    );
    assert_eq!(on_host(&graph), [true, false]);
    check(&graph, &DEVICE, &[Array::from_slice(&[1.5_f32, -2.0]), Array::from_scalar(Scalar::F64(3.5))]);
}

#[test]
fn single_elements_of_arrays_are_fetched_by_the_device() {
    // x[2] * 2 as f64 beside a compare in f64, which the device uses as a bool.
    let graph = parsed(
        "kroton 1\n%0 = input \"x\" f32[?]\n%1 = slice [2:1:1] %0 : f32[1]\n%2 = cast %1 : f64[1]\n\
         %3 = constant 2.5 : f64[]\n%4 = lt %2, %3 : bool[1]\n%5 = select %4, %0, %1 : f32[%0.0]\nreturn %5, %2\ninputs %0\n",
    );
    assert_eq!(on_host(&graph), [false, true, false]);
    check(&graph, &DEVICE, &[Array::from_slice(&[1.0_f32, 2.0, 3.0])]);
}

#[test]
fn integers_of_the_host_need_no_device() {
    // Sizes, integer arguments and what is computed from them are at hand.
    let graph = parsed(
        "kroton 1\n%0 = input \"n\" i64[]\n%1 = input \"x\" f32[?]\n%2 = size %1.0 : i64[]\n%3 = add %0, %2 : i64[]\n\
         %4 = cast %3 : f64[]\n%5 = sqrt %4 : f64[]\n%6 = iota 5 : i64[5]\n%7 = slice [3:1:1] %6 : i64[1]\n\
         %8 = cast %7 : f64[1]\nreturn %5, %8\ninputs %0, %1\n",
    );
    assert_eq!(on_host(&graph), [true]);
    check(&graph, &DEVICE, &[Array::from_scalar(Scalar::I64(7)), Array::from_slice(&[1.0_f32, 2.0])]);
}

#[test]
fn outputs_in_f64_are_copied_on_the_host() {
    let graph = parsed(
        "kroton 1\n%0 = input \"s\" f64[]\n%1 = constant 2.5 : f64[]\n%2 = exp %0 : f64[]\nreturn %0, %1, %2, %2\ninputs %0\n",
    );
    assert!(on_host(&graph).iter().all(|&host| host));
    check(&graph, &DEVICE, &[Array::from_scalar(Scalar::F64(3.5))]);
}

#[track_caller]
fn assert_refused(lines: &str, culprit: &str) {
    let graph = parsed(&format!("kroton 1\n%0 = input \"x\" f32[?]\n%1 = input \"s\" f64[]\n{lines}"));
    let error = schedule(&graph, &DEVICE).unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
    let expected = format!(
        "{culprit}, but this device has no f64 (SHADER_F64) and only values without axes can be left to the host; \
         compute in f32 (`cast::<f32>()`), or compile for Device::Cpu or Device::Auto"
    );
    assert_eq!(error.to_string(), expected);
    assert!(schedule(&graph, &Target { has_f64: true, ..DEVICE }).is_ok());
}

#[test]
fn whatever_else_needs_f64_is_refused() {
    assert_refused(
        "%2 = mul %1, %1 : f64[]\n%3 = cast %0 : f64[%0.0]\nreturn %3\ninputs %0, %1\n",
        "`cast` makes f64[?]",
    );
    assert_refused(
        "%2 = iota %0.0 : i64[%0.0]\n%3 = cast %2 : f64[%0.0]\n%4 = div %3, %3 : f64[%0.0]\nreturn %4\ninputs %0, %1\n",
        "`div` makes f64[?]",
    );
    assert_refused(
        "%2 = broadcast [%0.0] %1 : f64[%0.0]\n%3 = sum axes=[0] %2 : f64[]\nreturn %3\ninputs %0, %1\n",
        "`broadcast` makes f64[?]",
    );
    assert_refused("%2 = sum axes=[] %1 : f64[]\nreturn %2\ninputs %0, %1\n", "`sum` takes f64[]");
    assert_refused("%2 = argmax axes=[] %1 : i64[]\nreturn %2\ninputs %0, %1\n", "`argmax` takes f64[]");
    assert_refused(
        "%2 = reshape [1] %1 : f64[1]\n%3 = concat axis=0 %2, %2 : f64[2]\nreturn %3\ninputs %0, %1\n",
        "`concat` makes f64[2]",
    );
    assert_refused(
        "%2 = reshape [1, 1] %1 : f64[1, 1]\n%3 = matmul %2, %2 : f64[1, 1]\nreturn %3\ninputs %0, %1\n",
        "`matmul` makes f64[1, 1]",
    );
    assert_refused(
        "%2 = constant [2] [1.0, 2.0] : f64[2]\n%3 = max axes=[0] %2 : f64[]\nreturn %3\ninputs %0, %1\n",
        "a constant is f64[2]",
    );
    assert_refused(
        "%2 = input \"y\" f64[%0.0]\n%3 = cast %2 : f32[%0.0]\nreturn %3\ninputs %0, %1, %2\n",
        "the input `y` is f64[?]",
    );
}

#[test]
fn a_refusal_says_where_the_expression_was_built() {
    let mut graph = parsed("kroton 1\n%0 = input \"x\" f32[?]\nreturn %0\ninputs %0\n");
    let origin = std::panic::Location::caller();
    let cast = graph.add(Node::Cast(DType::F64, NodeId(0)), Some(origin)).unwrap();
    graph.outputs = vec![cast];
    let error = schedule(&graph, &DEVICE).unwrap_err().to_string();
    assert!(error.ends_with(&format!("Device::Auto\n  in the expression built at {origin}")), "{error}");
}

/// Adds computations in f64 on what has no axes, back and forth, and lets arrays use them in f32.
fn with_tails(dice: &mut Dice, graph: &mut Graph) {
    let mut ids: Vec<NodeId> = graph.ids().collect();
    for &id in ids.clone().iter().take(16) {
        let ty = graph.ty(id);
        let axes = (0..ty.rank() as u32).collect();
        ids.extend(graph.add(Node::Reduce(dice.of(&[ReduceOp::Sum, ReduceOp::Max]), axes, id), None));
    }
    let mut single: Vec<NodeId> = ids.iter().copied().filter(|&id| squeeze(&graph.ty(id).shape).is_empty()).collect();
    for _ in 0..60 {
        let (a, b, any) = (recent(dice, &single), recent(dice, &single), dice.of(&ids));
        let node = match dice.below(10) {
            0..=2 => Node::Cast(DType::F64, a),
            3..=5 => Node::Binary(dice.of(&[BinaryOp::Add, BinaryOp::Mul, BinaryOp::Lt]), [a, b]),
            6 => Node::Cast(DType::F32, a),
            7 => Node::Unary(dice.of(&[UnaryOp::Exp, UnaryOp::Neg]), a),
            _ if graph.ty(a).dtype == DType::F32 => Node::Binary(BinaryOp::Add, [any, a]),
            _ => continue,
        };
        if let Ok(id) = graph.add(node, None) {
            ids.push(id);
            single.extend(squeeze(&graph.ty(id).shape).is_empty().then_some(id));
        }
    }
    graph.outputs = (0..4).map(|_| recent(dice, &ids)).collect();
}

#[test]
fn random_tails_run_on_the_host_and_stay_right() {
    let mut dice = Dice(5);
    let (mut hosted, mut mixed) = (0, 0);
    for _ in 0..400 {
        let (mut graph, arguments) = graph(&mut dice);
        with_tails(&mut dice, &mut graph);
        for operands in [3, 8] {
            check(&graph, &Target { max_operands: operands, ..DEVICE }, &arguments);
        }
        let on_host = on_host(&graph);
        hosted += on_host.iter().filter(|&&host| host).count();
        mixed += usize::from(on_host.contains(&true) && on_host.contains(&false));
    }
    assert!(hosted > 200 && mixed > 200, "{hosted} {mixed}");
}
