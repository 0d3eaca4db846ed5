//! Kernels for targets that bind few operands.

use std::collections::BTreeSet;

use super::random::{Dice, graph};
use super::run::{bindings, check, explained, plan};
use super::*;
use crate::graph::text::parse;
use crate::loops::{Access, Kernel, Nest, Operation, ShaderLimits, Statement};

/// The host and a shader target with this many operands.
fn targets(operands: usize) -> [Target; 2] {
    let limits = ShaderLimits { has_i64: true, storage_buffers: operands as u32, ..ShaderLimits::WEBGPU };
    [Target { max_operands: operands, ..Target::host(false) }, Target::gpu(limits, true)]
}

/// Whether a kernel is one op of three values that come from a window each: no graph gives it fewer.
fn is_one_select(kernel: &Kernel) -> bool {
    let [Nest::Map { body, .. }] = kernel.body.as_slice() else { return false };
    let [Nest::Block(block)] = body.as_slice() else { return false };
    // The windows that each value comes from.
    let mut from: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); kernel.types.len()];
    let mut is_select = false;
    for statement in &block.statements {
        let Statement::Let(value, operation) = statement else { continue };
        let uses = operation.uses();
        is_select |= matches!(operation, Operation::Ternary(..)) && uses.iter().all(|x| from[x.0 as usize].len() == 1);
        from[value.0 as usize] = match operation {
            Operation::Load(operand) if kernel.operand(*operand).access == Access::Read => [operand.0].into(),
            _ => uses.iter().flat_map(|x| from[x.0 as usize].clone()).collect(),
        };
    }
    is_select && kernel.operands.iter().filter(|operand| operand.access != Access::Index).count() == 4
}

#[track_caller]
fn assert_bound(graph: &Graph, target: &Target) {
    for (kernel, bound) in bindings(&plan(graph, target), target) {
        let fits = bound <= target.max_operands || (target.max_operands == 3 && is_one_select(kernel));
        assert!(fits, "{bound} of {} operands\n{kernel}\n{}", target.max_operands, explained(graph, target));
    }
}

#[test]
fn random_graphs_bind_what_targets_allow_and_stay_right() {
    let mut dice = Dice(11);
    let (mut kernels, mut full) = (0, 0);
    for _ in 0..400 {
        let (graph, arguments) = graph(&mut dice);
        for operands in [3, 4, 5, 8, 48] {
            for target in targets(operands) {
                assert_bound(&graph, &target);
                check(&graph, &target, &arguments);
                let plan = plan(&graph, &target);
                let bound = bindings(&plan, &target);
                kernels += bound.len();
                full += bound.iter().filter(|&&(_, bound)| bound == operands).count();
            }
        }
    }
    assert!(kernels > 5000 && full > 500, "{full} of {kernels} kernels are full");
}

/// The sum of many inputs, each squared if so wished.
fn wide_sum(count: usize, tail: &str) -> Graph {
    let mut source = "kroton 1\n".to_string();
    for i in 0..count {
        source += &format!("%{i} = input \"x{i}\" f32[{}]\n", if i == 0 { "?" } else { "%0.0" });
    }
    for i in 1..count {
        let left = if i == 1 { 0 } else { count + i - 2 };
        source += &format!("%{} = add %{left}, %{i} : f32[%0.0]\n", count + i - 1);
    }
    let inputs: Vec<String> = (0..count).map(|i| format!("%{i}")).collect();
    let last = 2 * count - 2;
    source += &tail.replace("LAST", &format!("%{last}")).replace("NEXT", &format!("%{}", last + 1));
    source += &format!("inputs {}\n", inputs.join(", "));
    parse(&source).unwrap().0
}

#[test]
fn sums_of_many_inputs_fill_their_kernels() {
    let graph = wide_sum(200, "return LAST\n");
    for (operands, kernels) in [(3, 199), (4, 100), (8, 34)] {
        for target in targets(operands) {
            assert_bound(&graph, &target);
            assert_eq!(plan(&graph, &target).kernels().count(), kernels, "{operands}");
        }
    }
}

#[test]
fn a_reduction_of_many_inputs_leaves_room_for_the_memory_of_a_shader() {
    let graph = wide_sum(7, "NEXT = sum axes=[0] LAST : f32[]\nreturn NEXT\n");
    let kernels = |operands: usize| targets(operands).map(|target| plan(&graph, &target).kernels().count());
    // Seven inputs, the result, and in a shader the scratch memory.
    assert_eq!((kernels(9), kernels(8), kernels(7)), ([1, 1], [1, 2], [2, 2]));
    targets(8).iter().chain(&targets(3)).for_each(|target| assert_bound(&graph, target));
}

#[test]
fn what_only_its_own_kernel_reads_is_no_operand() {
    // The sum stays in a register: two inputs and one result.
    let source = "kroton 1\n%0 = input \"x\" f32[?]\n%1 = input \"a\" f32[]\n%2 = sum axes=[0] %0 : f32[]\n\
        %3 = mul %2, %1 : f32[]\nreturn %3\ninputs %0, %1\n";
    let graph = parse(source).unwrap().0;
    let [host, _] = targets(3);
    let [_, shaders] = targets(4);
    for target in [host, shaders] {
        let plan = plan(&graph, &target);
        assert_eq!((plan.kernels().count(), plan.slots.len()), (1, 0), "{}", explained(&graph, &target));
        assert_bound(&graph, &target);
    }
}

#[test]
fn sequences_and_sizes_are_no_operands() {
    let source = "kroton 1\n%0 = input \"x\" i64[?]\n%1 = iota %0.0 : i64[%0.0]\n%2 = size %0.0 : i64[]\n\
        %3 = mul %1, %2 : i64[%0.0]\n%4 = add %3, %0 : i64[%0.0]\n%5 = sub %1, %2 : i64[%0.0]\nreturn %4, %5\ninputs %0\n";
    let graph = parse(source).unwrap().0;
    for target in targets(3) {
        assert_eq!(plan(&graph, &target).kernels().count(), 1, "{}", explained(&graph, &target));
    }
}

#[test]
fn windows_count_and_equal_ones_count_once() {
    // x twice through one window, once reversed; two results.
    let source = "kroton 1\n%0 = input \"x\" f32[8]\n%1 = slice [7:-1:8] %0 : f32[8]\n%2 = mul %0, %0 : f32[8]\n\
        %3 = add %2, %1 : f32[8]\n%4 = sub %1, %0 : f32[8]\nreturn %3, %4\ninputs %0\n";
    let graph = parse(source).unwrap().0;
    let kernels = |operands: usize| targets(operands).map(|target| plan(&graph, &target).kernels().count());
    assert_eq!((kernels(4), kernels(3)), ([1, 1], [2, 2]));
    // The same elements by way of two permutations are one window.
    let source = "kroton 1\n%0 = input \"x\" f32[?, ?]\n%1 = permute order=[1, 0] %0 : f32[%0.1, %0.0]\n\
        %2 = exp %1 : f32[%0.1, %0.0]\n%3 = permute order=[1, 0] %2 : f32[%0.0, %0.1]\n\
        %4 = add %3, %0 : f32[%0.0, %0.1]\nreturn %4\ninputs %0\n";
    let graph = parse(source).unwrap().0;
    let operands: Vec<usize> = plan(&graph, &targets(8)[1]).kernels().map(|kernel| kernel.operands.len()).collect();
    assert_eq!(operands, [2]);
}

#[test]
fn a_node_that_is_cut_late_counts_in_earlier_kernels_too() {
    // `t` is cut for the last output; with it the first one would read p, q and t.
    let source = "kroton 1\n%0 = input \"p\" f32[?]\n%1 = input \"q\" f32[%0.0]\n%2 = input \"r\" f32[%0.0]\n\
        %3 = mul %0, %1 : f32[%0.0]\n%4 = sub %0, %1 : f32[%0.0]\n%5 = add %3, %4 : f32[%0.0]\n\
        %6 = add %3, %2 : f32[%0.0]\nreturn %5, %6\ninputs %0, %1, %2\n";
    let graph = parse(source).unwrap().0;
    for target in targets(3) {
        let schedule = schedule(&graph, &target).unwrap();
        assert!(schedule.places[3].is_some(), "{}", schedule.text(&graph));
        assert_bound(&graph, &target);
    }
}

#[test]
fn a_broadcast_is_cut_before_it_repeats() {
    let mut source = "kroton 1\n%0 = input \"x\" f32[?, ?]\n%1 = input \"a\" f32[%0.1]\n%2 = input \"b\" f32[%0.1]\n\
        %3 = add %1, %2 : f32[%0.1]\n%4 = broadcast [%0.0, %0.1] %3 : f32[%0.0, %0.1]\n"
        .to_string();
    source += "%5 = mul %0, %4 : f32[%0.0, %0.1]\nreturn %5\ninputs %0, %1, %2\n";
    let graph = parse(&source).unwrap().0;
    for target in targets(3) {
        let schedule = schedule(&graph, &target).unwrap();
        assert_eq!(schedule.slots[0].count, graph.ty(NodeId(1)).shape[0], "{}", schedule.text(&graph));
    }
}

#[test]
fn operands_are_measured_again_before_one_is_cut() {
    // `%4` counts its input twice in a sum, and is not what makes the last node large.
    let source = "kroton 1\n%0 = input \"a\" i32[?, ?]\n%1 = input \"b\" i32[%0.1]\n%2 = input \"c\" i32[%0.0, %0.1]\n\
        %3 = sub %1, %1 : i32[%0.1]\n%4 = sub %3, %1 : i32[%0.1]\n%5 = sub %0, %4 : i32[%0.0, %0.1]\n\
        %6 = sub %2, %0 : i32[%0.0, %0.1]\n%7 = sub %3, %6 : i32[%0.0, %0.1]\nreturn %5, %7\ninputs %0, %1, %2\n";
    let graph = parse(source).unwrap().0;
    for target in targets(3) {
        let schedule = schedule(&graph, &target).unwrap();
        assert_eq!((&schedule.places[3], schedule.slots.len()), (&None, 1), "{}", schedule.text(&graph));
        assert_bound(&graph, &target);
    }
}

#[test]
fn a_constant_in_memory_is_an_operand() {
    // A slice of a constant has it written, so the sum reads three windows.
    let source = "kroton 1\n%0 = input \"x\" f32[?]\n%1 = input \"y\" f32[%0.0]\n%2 = constant 0.5 : f32[]\n\
        %3 = slice [] %2 : f32[]\n%4 = mul %0, %3 : f32[%0.0]\n%5 = add %4, %1 : f32[%0.0]\nreturn %5\ninputs %0, %1\n";
    let graph = parse(source).unwrap().0;
    for target in targets(3) {
        assert_bound(&graph, &target);
        assert_eq!(plan(&graph, &target).kernels().count(), 3, "{}", explained(&graph, &target));
    }
}
