//! Matrix products with and without an epilogue.

use super::random::{Dice, recent};
use super::run::{bindings, check, explained, plan as planned, roles};
use super::*;
use crate::array::Array;
use crate::dtype::DType;
use crate::graph::text::parse;
use crate::graph::{Input, Type};
use crate::loops::ShaderLimits;
use crate::lower::plan;
use crate::ops::{BinaryOp, ReduceOp, UnaryOp};
use crate::shape::{InputId, Measure, Symbol};

const DEVICE: Target = Target::gpu(ShaderLimits { has_i64: true, ..ShaderLimits::WEBGPU }, true);

/// Inputs `a` [n, k], `b` [k, m], `c` [m] and `d` [n, m], and some lines.
fn graph_of(lines: &str, outputs: &str) -> Graph {
    let source = format!(
        "kroton 1\n%0 = input \"a\" f32[?, ?]\n%1 = input \"b\" f32[%0.1, ?]\n%2 = input \"c\" f32[%1.1]\n\
         %3 = input \"d\" f32[%0.0, %1.1]\n%4 = matmul %0, %1 : f32[%0.0, %1.1]\n{lines}return {outputs}\n\
         inputs %0, %1, %2, %3\n"
    );
    parse(&source).unwrap().0
}

fn arguments() -> Vec<Array> {
    let numbers = |count: usize| (0..count).map(|i| (i * 5 % 7) as f32 - 3.0).collect::<Vec<_>>();
    let shapes: [&[usize]; 4] = [&[3, 4], &[4, 5], &[5], &[3, 5]];
    shapes.map(|shape| Array::from_slice(&numbers(shape.iter().product())).reshape(shape).unwrap()).into()
}

/// How many products there are with and without an epilogue; on the way, that the results are right.
#[track_caller]
fn products(graph: &Graph) -> (usize, usize) {
    check(graph, &DEVICE, &arguments());
    let schedule = schedule(graph, &DEVICE).unwrap();
    let products = schedule.steps.iter().filter_map(|step| match step {
        Step::MatMul { epilogue, .. } => Some(epilogue.is_some()),
        Step::Kernel(_) | Step::ConcatPart { .. } | Step::Custom(_) => None,
    });
    let (fused, plain): (Vec<bool>, Vec<bool>) = products.partition(|&fused| fused);
    (fused.len(), plain.len())
}

#[test]
fn a_bias_and_a_nonlinearity_are_the_epilogue_of_their_product() {
    let graph = graph_of("%5 = add %4, %2 : f32[%0.0, %1.1]\n%6 = abs %5 : f32[%0.0, %1.1]\n", "%6");
    let expected = "\
step 0: matmul %4 = matmul %0, %1 : f32[a.0, b.1] -> registers
  epilogue map [a.0, b.1]
    %6 = abs %5 : f32[a.0, b.1] -> output 0  (fused: add)
";
    assert_eq!(schedule(&graph, &DEVICE).unwrap().text(&graph), expected);
    assert_eq!(products(&graph), (1, 0));
    let plan = planned(&graph, &DEVICE);
    assert!(plan.slots.is_empty());
    let plan::Step::MatMul(step) = &plan.steps[0] else { panic!("a product") };
    let epilogue = step.epilogue.as_ref().unwrap();
    assert_eq!(epilogue.step.extents.as_slice(), &graph.ty(NodeId(4)).shape[..]);
    assert_eq!((plan.kernels().count(), roles(&graph, &DEVICE)), (1, vec![plan::Role::Epilogue(epilogue.product)]));
    // Elsewhere the product is written and read.
    let host = schedule(&graph, &Target::host(false)).unwrap();
    assert!(matches!(host.steps[..], [Step::MatMul { epilogue: None, .. }, Step::Kernel(_)]), "{}", host.text(&graph));
    check(&graph, &Target::host(false), &arguments());
    assert_eq!(roles(&graph, &Target::host(false)), [plan::Role::Launch]);
}

#[test]
fn a_product_that_others_need_is_written() {
    let add = "%5 = add %4, %2 : f32[%0.0, %1.1]\n";
    // It is an output, or part of one.
    assert_eq!(products(&graph_of(add, "%5, %4")), (0, 1));
    let lines = format!("{add}%6 = permute order=[1, 0] %4 : f32[%1.1, %0.0]\n");
    assert_eq!(products(&graph_of(&lines, "%5, %6")), (0, 1));
    // It is read otherwise than element by element: reduced, transposed, shifted.
    let lines = format!("{add}%6 = sum axes=[1] %4 : f32[%0.0]\n");
    assert_eq!(products(&graph_of(&lines, "%5, %6")), (0, 1));
    let lines = "%5 = permute order=[1, 0] %4 : f32[%1.1, %0.0]\n%6 = abs %5 : f32[%1.1, %0.0]\n";
    assert_eq!(products(&graph_of(lines, "%6")), (0, 1));
    let lines = "%5 = slice [0:1:%0.0, -1+%1.1:-1:%1.1] %4 : f32[%0.0, %1.1]\n%6 = add %4, %5 : f32[%0.0, %1.1]\n";
    assert_eq!(products(&graph_of(lines, "%6")), (0, 1));
    // It goes on into a product.
    let lines = "%5 = permute order=[1, 0] %3 : f32[%1.1, %0.0]\n%6 = matmul %4, %5 : f32[%0.0, %0.0]\n";
    assert_eq!(products(&graph_of(lines, "%6")), (0, 2));
}

#[test]
fn all_readers_of_a_product_are_in_its_epilogue() {
    // Two results in one kernel.
    let two = "%5 = add %4, %2 : f32[%0.0, %1.1]\n%6 = abs %4 : f32[%0.0, %1.1]\n";
    assert_eq!(products(&graph_of(two, "%5, %6")), (1, 0));
    // The second reader comes after a reduction of the first, so the product is needed for longer.
    let late = "%5 = abs %4 : f32[%0.0, %1.1]\n%6 = sum axes=[0] %5 : f32[%1.1]\n%7 = mul %4, %6 : f32[%0.0, %1.1]\n";
    assert_eq!(products(&graph_of(late, "%5, %7")), (0, 1));
}

#[test]
fn an_epilogue_waits_for_what_else_it_reads() {
    // The sum of d is made in a kernel of its own, and the product after it.
    let lines = "%5 = sum axes=[1] %3 : f32[%0.0]\n%6 = reshape [%0.0, 1] %5 : f32[%0.0, 1]\n\
        %7 = mul %4, %6 : f32[%0.0, %1.1]\n";
    let graph = graph_of(lines, "%7");
    assert_eq!(products(&graph), (1, 0));
    let steps = schedule(&graph, &DEVICE).unwrap().steps;
    assert!(matches!(steps[..], [Step::Kernel(_), Step::MatMul { epilogue: Some(_), .. }]));
}

#[test]
fn products_of_one_shape_have_epilogues_of_their_own() {
    let lines = "%5 = mul %0, %0 : f32[%0.0, %0.1]\n%6 = matmul %5, %1 : f32[%0.0, %1.1]\n\
        %7 = add %4, %2 : f32[%0.0, %1.1]\n%8 = mul %6, %3 : f32[%0.0, %1.1]\n";
    assert_eq!(products(&graph_of(lines, "%7, %8")), (2, 0));
    // Their sum can take in one of them only.
    let lines = format!("{lines}%9 = add %4, %6 : f32[%0.0, %1.1]\n");
    assert_eq!(products(&graph_of(&lines, "%9")), (1, 1));
}

#[test]
fn rows_and_columns_are_both_loops() {
    let source = "kroton 1\n%0 = input \"a\" f32[1, ?]\n%1 = input \"b\" f32[%0.1, ?]\n\
        %2 = matmul %0, %1 : f32[1, %1.1]\n%3 = abs %2 : f32[1, %1.1]\nreturn %3\ninputs %0, %1\n";
    let graph = parse(source).unwrap().0;
    let steps = schedule(&graph, &DEVICE).unwrap().steps;
    assert!(matches!(steps[..], [Step::MatMul { epilogue: None, .. }, Step::Kernel(_)]));
}

#[test]
fn an_epilogue_leaves_room_for_both_factors() {
    let graph = graph_of("%5 = add %4, %2 : f32[%0.0, %1.1]\n%6 = mul %5, %3 : f32[%0.0, %1.1]\n", "%6");
    for (operands, fuses) in [(5, true), (4, false)] {
        let target = Target { max_operands: operands, ..DEVICE };
        let schedule = schedule(&graph, &target).unwrap();
        let fused = matches!(schedule.steps[0], Step::MatMul { epilogue: Some(_), .. });
        assert_eq!(fused, fuses, "{operands}: {}", schedule.text(&graph));
        check(&graph, &target, &arguments());
    }
}

/// Square matrices, so that all fits; a third of the nodes are products.
fn random_products(dice: &mut Dice) -> (Graph, Vec<Array>) {
    let (mut graph, first) = (Graph::new(), InputId::new());
    let size = Dim::from(Symbol { input: first, measure: Measure::Extent(0) });
    let mut arguments = Vec::new();
    for index in 0..5 {
        let id = if index == 0 { first } else { InputId::new() };
        let rank = if index < 4 { 2 } else { 1 };
        let ty = Type { dtype: DType::I32, shape: vec![size.clone(); rank].into() };
        let input = Node::Input(std::sync::Arc::new(Input { id, name: format!("x{index}"), ty, kept: None }));
        let input = graph.add(input, None).unwrap();
        graph.inputs.push(input);
        let values: Vec<i32> = (0..3_usize.pow(rank as u32)).map(|_| dice.below(9) as i32 - 4).collect();
        arguments.push(Array::from_slice(&values).reshape(&vec![3; rank]).unwrap());
    }
    let mut ids = graph.inputs.clone();
    while ids.len() < 30 {
        let (a, b) = (recent(dice, &ids), recent(dice, &ids));
        let node = match dice.below(12) {
            0..=3 => Node::MatMul([a, b]),
            4..=7 => Node::Binary(dice.of(&[BinaryOp::Add, BinaryOp::Sub, BinaryOp::Maximum]), [a, b]),
            8 | 9 => Node::Unary(UnaryOp::Neg, a),
            10 => Node::Permute((0..graph.ty(a).rank() as u32).rev().collect(), a),
            _ => Node::Reduce(dice.of(&[ReduceOp::Sum, ReduceOp::Max]), [0].into_iter().collect(), a),
        };
        ids.extend(graph.add(node, None));
    }
    graph.outputs = (0..1 + dice.below(3)).map(|_| recent(dice, &ids)).collect();
    (graph, arguments)
}

#[test]
fn random_products_with_epilogues_stay_right() {
    let mut dice = Dice(3);
    let mut fused = 0;
    for _ in 0..600 {
        let (graph, arguments) = random_products(&mut dice);
        for operands in [3, 4, 8] {
            let target = Target { max_operands: operands, ..DEVICE };
            check(&graph, &target, &arguments);
            let plan = planned(&graph, &target);
            for (kernel, bound) in bindings(&plan, &target) {
                assert!(bound <= operands, "{bound} of {operands}\n{kernel}\n{}", explained(&graph, &target));
            }
            let is_fused = |step: &&plan::Step<_>| matches!(step, plan::Step::MatMul(step) if step.epilogue.is_some());
            fused += plan.steps.iter().filter(is_fused).count();
        }
    }
    assert!(fused > 300, "{fused} products have an epilogue");
}
