//! Kernels of small graphs, as text, and all of them through the verifier.

use super::*;
use crate::graph::text::parse;
use crate::loops::{Target, verify::verify};
use crate::schedule::schedule;

fn plan(source: &str) -> Plan<Kernel> {
    let graph = parse(source).unwrap().0;
    let plan = lower(&graph, &schedule(&graph, &Target::host(false)).unwrap(), "k").unwrap();
    plan.kernels().for_each(|kernel| verify(kernel).unwrap());
    plan
}

#[test]
fn a_reduction_with_an_epilogue() {
    let source = "kroton 1\n%0 = input \"x\" f64[?]\n%1 = mul %0, %0 : f64[%0.0]\n%2 = sum axes=[0] %1 : f64[]\n\
        %3 = sqrt %2 : f64[]\nreturn %3\ninputs %0\n";
    let expected = "\
kernel k_0 (i)
  read o0: f64  write o1: f64
  map
    reduce i
      v0: f64 = load o0
      v1: f64 = mul v0, v0
      v4: f64 = fold v1 from 0.0 by v2, v3
        v5: f64 = add v2, v3
        yield v5
    block
      v6: f64 = sqrt v4
      store o1, v6
";
    let text = plan(source).kernels().next().unwrap().to_string();
    assert_eq!(
        text.replace("v4: f64 = fold v1 from 0.0 by v2, v3", "FOLD"),
        expected.replace("v4: f64 = fold v1 from 0.0 by v2, v3", "FOLD")
    );
}

#[test]
fn slices_become_starts_and_steps() {
    let source = "kroton 1\n%0 = input \"x\" f64[8, 6]\n%1 = slice [6:-2:3, 1:2:2] %0 : f64[3, 2]\n%2 = neg %1 : f64[3, 2]\nreturn %2\ninputs %0\n";
    let plan = plan(source);
    let Step::Kernel(step) = &plan.steps[0] else { panic!("a kernel") };
    let window = &step.windows[0];
    assert_eq!(window.starts.as_slice(), [(0, Dim::from(6)), (1, Dim::from(1))]);
    assert_eq!(window.walks.iter().map(|walk| walk.step).collect::<Vec<_>>(), [-2, 2]);
}

#[test]
fn sequences_and_sizes_need_no_memory() {
    let source = "kroton 1\n%0 = input \"x\" i64[?]\n%1 = iota %0.0 : i64[%0.0]\n%2 = size %0.0 : i64[]\n\
        %3 = mul %1, %2 : i64[%0.0]\n%4 = add %3, %0 : i64[%0.0]\nreturn %4\ninputs %0\n";
    let plan = plan(source);
    let Step::Kernel(step) = &plan.steps[0] else { panic!("a kernel") };
    let sources: Vec<&Source> = step.windows.iter().map(|window| &window.source).collect();
    assert!(sources.contains(&&Source::Positions) && plan.slots.is_empty());
}

#[test]
fn parts_of_a_concatenation_are_written_where_they_belong() {
    let source = "kroton 1\n%0 = input \"x\" f64[?, 2]\n%1 = exp %0 : f64[%0.0, 2]\n%2 = concat axis=0 %0, %1 : f64[2*%0.0, 2]\nreturn %2\ninputs %0\n";
    let plan = plan(source);
    assert_eq!((plan.steps.len(), plan.slots.len()), (2, 0));
}

#[test]
fn a_sequence_that_is_written_out_is_not_read_from_where_it_goes() {
    let source = "kroton 1\n%0 = input \"x\" i64[]\n%1 = iota 6 : i64[6]\n%2 = reshape [2, 3] %1 : i64[2, 3]\n\
        %3 = add %2, %0 : i64[2, 3]\nreturn %3\ninputs %0\n";
    let plan = plan(source);
    let Step::Kernel(step) = &plan.steps[0] else { panic!("a kernel") };
    let sources: Vec<&Source> = step.windows.iter().map(|window| &window.source).collect();
    assert_eq!(sources, [&Source::Positions, &Source::Slot(0)]);
}

/// A plan with one row block: rows divided by their sums.
fn by_rows() -> Plan<Kernel> {
    let source = "kroton 1\n%0 = input \"x\" f64[?, ?]\n%1 = sum axes=[1] %0 : f64[%0.0]\n\
        %2 = reshape [%0.0, 1] %1 : f64[%0.0, 1]\n%3 = div %0, %2 : f64[%0.0, %0.1]\nreturn %3\ninputs %0\n";
    plan(source)
}

#[test]
fn broken_row_blocks_are_refused() {
    let plan = by_rows();
    verify::verify(&plan).unwrap();
    let broken = |change: fn(&mut Plan<Kernel>)| {
        let mut plan = plan.clone();
        change(&mut plan);
        verify::verify(&plan).unwrap_err().to_string()
    };
    assert!(broken(|plan| plan.blocks[0].steps = 1..2).contains("not some steps"));
    assert!(broken(|plan| plan.blocks[0].steps = 0..3).contains("not some steps"));
    assert!(broken(|plan| plan.blocks[0].axes = 2).contains("do not run over its rows"));
    assert!(broken(|plan| plan.blocks[0].axes = 0).contains("no axes"));
    assert!(broken(|plan| sums_of(plan).walks[0].step = 2).contains("row by row"));
    assert!(broken(|plan| sums_of(plan).walks.clear()).contains("row by row"));
    assert!(broken(|plan| sums_of(plan).starts.push((0, Dim::ONE))).contains("row by row"));
    assert!(broken(|plan| sums_of(plan).source = Source::Output(0)).contains("row by row"));
    assert!(broken(|plan| plan.steps.swap(0, 1)).contains("read before it is written"));
    assert!(broken(|plan| plan.steps.push(plan.steps[0].clone())).contains("is used by step 2 too"));
}

/// The window through which the second kernel reads the sums.
fn sums_of(plan: &mut Plan<Kernel>) -> &mut Window {
    let Step::Kernel(step) = &mut plan.steps[1] else { panic!("no kernel") };
    step.windows.iter_mut().find(|window| matches!(window.source, Source::Slot(_))).unwrap()
}
