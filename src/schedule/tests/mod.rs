//! Plans of small graphs, as text, and plans for targets with limits, run against the oracle.

#[cfg(test)]
mod host;
#[cfg(test)]
mod operands;
#[cfg(test)]
mod products;
#[cfg(test)]
mod random;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod run;

use super::*;
use crate::graph::text::parse;
use crate::loops::Target;

const TARGET: Target = Target::host(false);

fn plan(text: &str) -> (Graph, Schedule) {
    let graph = parse(text).unwrap().0;
    let schedule = schedule(&graph, &TARGET).unwrap();
    (graph, schedule)
}

fn text(source: &str) -> String {
    let (graph, schedule) = plan(source);
    schedule.text(&graph)
}

#[test]
fn an_elementwise_chain_is_one_kernel() {
    let source = "kroton 1\n%0 = input \"a\" f64[?]\n%1 = input \"b\" f64[%0.0]\n%2 = mul %0, %0 : f64[%0.0]\n\
        %3 = mul %1, %1 : f64[%0.0]\n%4 = add %2, %3 : f64[%0.0]\nreturn %4\ninputs %0, %1\n";
    assert_eq!(text(source), "step 0: map [a.0]\n    %4 = add %2, %3 : f64[a.0] -> output 0  (fused: mul, mul)\n");
}

#[test]
fn an_epilogue_joins_its_reduction_and_stays_in_registers() {
    let source = "kroton 1\n%0 = input \"x\" f64[?]\n%1 = sum axes=[0] %0 : f64[]\n%2 = constant 4.0 : f64[]\n\
        %3 = mul %2, %1 : f64[]\nreturn %3\ninputs %0\n";
    let expected =
        "step 0: map [] reduce [x.0]\n    %1 = sum %0 : f64[] -> registers\n    %3 = mul %2, %1 : f64[] -> output 0\n";
    assert_eq!(text(source), expected);
}

#[test]
fn reductions_of_one_space_share_a_pass() {
    let source = "kroton 1\n%0 = input \"x\" f32[?, ?]\n%1 = sum axes=[1] %0 : f32[%0.0]\n\
        %2 = squared_deviations axes=[1] %0 : f32[%0.0]\n%3 = max axes=[0] %0 : f32[%0.1]\nreturn %1, %2, %3\ninputs %0\n";
    let (_, schedule) = plan(source);
    assert_eq!(schedule.steps.len(), 2);
    assert!(matches!(&schedule.steps[0], Step::Kernel(group) if group.roots.len() == 2));
}

#[test]
fn a_dear_value_that_two_spaces_need_is_written_once() {
    let source = "kroton 1\n%0 = input \"x\" f64[?]\n%1 = exp %0 : f64[%0.0]\n%2 = exp %1 : f64[%0.0]\n\
        %3 = sum axes=[0] %2 : f64[]\n%4 = div %2, %3 : f64[%0.0]\nreturn %4\ninputs %0\n";
    let (graph, schedule) = plan(source);
    assert_eq!((schedule.steps.len(), schedule.slots.len()), (3, 2), "{}", schedule.text(&graph));
    // The text says for whom.
    let text = schedule.text(&graph);
    assert!(text.contains("%2 = exp %1 : f64[x.0] -> slot 0, read by steps 1, 2  (fused: exp)\n"), "{text}");
    assert!(text.contains("%3 = sum %2 : f64[] -> slot 1, read by step 2\n"), "{text}");
}

#[test]
fn dead_memory_is_used_again() {
    // Each true reshape of a permutation is a copy; only two of them are alive at a time.
    let mut source = "kroton 1\n%0 = input \"x\" f64[4, 6]\n".to_string();
    for last in (0..12).step_by(2) {
        source += &format!("%{} = permute order=[1, 0] %{last} : f64[6, 4]\n", last + 1);
        source += &format!("%{} = reshape [4, 6] %{} : f64[4, 6]\n", last + 2, last + 1);
    }
    source += "return %12\ninputs %0\n";
    let graph = parse(&source).unwrap().0;
    let schedule = schedule(&graph, &TARGET).unwrap();
    assert!(schedule.steps.len() >= 6);
    assert_eq!(schedule.slots.len(), 2, "{}", schedule.text(&graph));
}

#[test]
fn views_cost_no_step() {
    let source = "kroton 1\n%0 = input \"x\" f64[?, 4]\n%1 = permute order=[1, 0] %0 : f64[4, %0.0]\n%2 = exp %1 : f64[4, %0.0]\n\
        %3 = permute order=[1, 0] %2 : f64[%0.0, 4]\n%4 = add %3, %0 : f64[%0.0, 4]\nreturn %4\ninputs %0\n";
    assert_eq!(plan(source).1.steps.len(), 1);
}

#[test]
fn outputs_that_are_inputs_or_repeat_are_copied() {
    let source = "kroton 1\n%0 = input \"x\" f64[?]\n%1 = exp %0 : f64[%0.0]\nreturn %0, %1, %1\ninputs %0\n";
    let (graph, schedule) = plan(source);
    let text = schedule.text(&graph);
    assert!(text.contains("output 0 (copy)") && text.contains("output 2 (copy)"), "{text}");
}

#[test]
fn long_chains_are_cut_and_wide_sums_respect_the_operand_limit() {
    let mut source = "kroton 1\n%0 = input \"x\" f64[?]\n".to_string();
    for i in 1..=2000 {
        source += &format!("%{i} = sin %{} : f64[%0.0]\n", i - 1);
    }
    source += "return %2000\ninputs %0\n";
    let (_, schedule) = plan(&source);
    assert!(schedule.steps.len() > 2000 / TARGET.max_statements && schedule.slots.len() <= 2);

    let mut source: String = "kroton 1\n".to_string();
    let count = 200;
    for i in 0..count {
        source += &format!("%{i} = input \"x{i}\" f64[{}]\n", if i == 0 { "?" } else { "%0.0" });
    }
    for i in 1..count {
        let left = if i == 1 { 0 } else { count + i - 2 };
        source += &format!("%{} = add %{left}, %{i} : f64[%0.0]\n", count + i - 1);
    }
    let inputs: Vec<String> = (0..count).map(|i| format!("%{i}")).collect();
    source += &format!("return %{}\ninputs {}\n", 2 * count - 2, inputs.join(", "));
    let (graph, schedule) = plan(&source);
    let plan = crate::lower::lower(&graph, &schedule, "wide").unwrap();
    assert!(plan.kernels().all(|kernel| kernel.operands.len() <= TARGET.max_operands));
}
