//! Which kernels form a row block, what is local to it, and which functions it hands on.

use super::*;
use crate::lower::verify::verify;

/// The lines of a plan that tell of row blocks.
fn blocks(source: &str) -> Vec<String> {
    let (graph, schedule) = plan(source);
    verify(&crate::lower::lower(&graph, &schedule, "k").unwrap()).unwrap();
    let text = schedule.text(&graph);
    text.lines().filter(|line| line.contains("by rows")).map(str::to_string).collect()
}

/// The ops of a plan's steps.
fn ops(source: &str) -> Vec<Vec<&'static str>> {
    let (graph, schedule) = plan(source);
    let name = |root: &Root| graph.node(root.node).name();
    let ops = |step: &Step| match step {
        Step::Kernel(group) => group.roots.iter().map(name).collect(),
        Step::ConcatPart { .. } => vec!["part"],
        Step::MatMul { .. } => vec!["matmul"],
        Step::Custom(_) => vec!["custom"],
        Step::Loop(_) => vec!["loop"],
        Step::Nest(_) => vec!["nest"],
    };
    schedule.steps.iter().map(ops).collect()
}

const SOFTMAX: &str = "kroton 1\n%0 = input \"x\" f64[?, ?]\n%1 = max axes=[1] %0 : f64[%0.0]\n\
    %2 = reshape [%0.0, 1] %1 : f64[%0.0, 1]\n%3 = sub %0, %2 : f64[%0.0, %0.1]\n%4 = exp %3 : f64[%0.0, %0.1]\n\
    %5 = sum axes=[1] %4 : f64[%0.0]\n%6 = reshape [%0.0, 1] %5 : f64[%0.0, 1]\n%7 = div %4, %6 : f64[%0.0, %0.1]\n";

#[test]
fn softmax_is_a_block_that_computes_its_exponentials_once() {
    let source = SOFTMAX.to_string() + "return %7\ninputs %0\n";
    assert_eq!(ops(&source), [["max"], ["exp"], ["sum"], ["div"]]);
    assert_eq!(blocks(&source), ["steps 0 to 3 by rows [x.0], slots 0, 1 for the rows at hand"]);
}

#[test]
fn what_is_read_outside_is_not_local_and_not_kept() {
    // The sum over all columns of the exponentials is outside, so these are computed again.
    let source = SOFTMAX.to_string() + "%8 = sum axes=[0] %4 : f64[%0.1]\nreturn %7, %8\ninputs %0\n";
    let (graph, schedule) = plan(&source);
    assert_eq!(schedule.steps.len(), 4, "{}", schedule.text(&graph));
    assert_eq!(schedule.slots.len(), 2);
    // The largest elements are read there too.
    let block = &schedule.blocks[0];
    assert_eq!((schedule.blocks.len(), block.steps.len(), block.slots.len()), (1, 3, 1), "{}", schedule.text(&graph));
}

#[test]
fn an_engine_that_runs_no_rows_computes_functions_again() {
    let graph = parse(&(SOFTMAX.to_string() + "return %7\ninputs %0\n")).unwrap().0;
    let schedule = schedule(&graph, &Target { runs_rows: false, ..TARGET }).unwrap();
    assert_eq!((schedule.steps.len(), schedule.blocks.len()), (3, 0));
}

#[test]
fn columns_and_whole_arrays_are_no_rows() {
    let columns = "kroton 1\n%0 = input \"x\" f64[?, ?]\n%1 = max axes=[0] %0 : f64[%0.1]\n\
        %2 = sub %0, %1 : f64[%0.0, %0.1]\n%3 = exp %2 : f64[%0.0, %0.1]\n%4 = sum axes=[0] %3 : f64[%0.1]\n\
        %5 = div %3, %4 : f64[%0.0, %0.1]\nreturn %5\ninputs %0\n";
    assert_eq!(blocks(columns), [""; 0]);
    let whole = "kroton 1\n%0 = input \"x\" f64[?]\n%1 = sum axes=[0] %0 : f64[]\n%2 = div %0, %1 : f64[%0.0]\n\
        return %2\ninputs %0\n";
    assert_eq!(blocks(whole), [""; 0]);
}

#[test]
fn rows_of_others_end_a_block() {
    let rows = |axes: &str| {
        format!(
            "kroton 1\n%0 = input \"x\" f64[4, 4]\n%1 = sum axes=[1] %0 : f64[4]\n%2 = reshape {axes} %1 : f64{axes}\n\
             %3 = div %0, %2 : f64[4, 4]\nreturn %3\ninputs %0\n"
        )
    };
    assert_eq!(blocks(&rows("[4, 1]")).len(), 1);
    // Element (i, j) is divided by the sum of row j.
    assert_eq!(blocks(&rows("[1, 4]")).len(), 0);
    let sliced = |range: &str| {
        format!(
            "kroton 1\n%0 = input \"x\" f64[4, 4]\n%1 = sum axes=[1] %0 : f64[4]\n%2 = slice [{range}] %1 : f64[4]\n\
             %3 = reshape [4, 1] %2 : f64[4, 1]\n%4 = div %0, %3 : f64[4, 4]\nreturn %4\ninputs %0\n"
        )
    };
    assert_eq!(blocks(&sliced("0:1:4")).len(), 1);
    assert_eq!(blocks(&sliced("3:-1:4")).len(), 0);
}

#[test]
fn a_block_shares_all_leading_axes_and_middle_axes_leave_the_first() {
    let softmax = |axis: usize, kept: &str, ones: &str| {
        let shape = "[%0.0, %0.1, %0.2]";
        format!(
            "kroton 1\n%0 = input \"x\" f64[?, ?, ?]\n%1 = sum axes=[{axis}] %0 : f64{kept}\n\
             %2 = reshape {ones} %1 : f64{ones}\n%3 = div %0, %2 : f64{shape}\nreturn %3\ninputs %0\n"
        )
    };
    let last = blocks(&softmax(2, "[%0.0, %0.1]", "[%0.0, %0.1, 1]"));
    assert_eq!(last, ["steps 0 to 1 by rows [x.0, x.1], slot 0 for the rows at hand"]);
    let middle = blocks(&softmax(1, "[%0.0, %0.2]", "[%0.0, 1, %0.2]"));
    assert_eq!(middle, ["steps 0 to 1 by rows [x.0], slot 0 for the rows at hand"]);
    assert_eq!(blocks(&softmax(0, "[%0.1, %0.2]", "[1, %0.1, %0.2]")), [""; 0]);
}

#[test]
fn mean_and_variance_are_one_kernel_of_layernorm() {
    let source = "kroton 1\n%0 = input \"x\" f64[?, ?]\n%1 = sum axes=[1] %0 : f64[%0.0]\n\
        %2 = squared_deviations axes=[1] %0 : f64[%0.0]\n%3 = sqrt %2 : f64[%0.0]\n\
        %4 = reshape [%0.0, 1] %1 : f64[%0.0, 1]\n%5 = reshape [%0.0, 1] %3 : f64[%0.0, 1]\n\
        %6 = sub %0, %4 : f64[%0.0, %0.1]\n%7 = div %6, %5 : f64[%0.0, %0.1]\nreturn %7\ninputs %0\n";
    assert_eq!(plan(source).1.steps.len(), 2);
    assert_eq!(blocks(source).len(), 1);
}

/// The scale of the columns is written to memory on the level of the largest elements, and read by the last step.
#[test]
fn what_a_block_reads_beside_its_rows_comes_before_it() {
    let source = "kroton 1\n%0 = input \"x\" f64[?, ?]\n%1 = sum axes=[1] %0 : f64[%0.0]\n\
        %2 = reshape [%0.0, 1] %1 : f64[%0.0, 1]\n%3 = div %0, %2 : f64[%0.0, %0.1]\n%4 = input \"y\" f64[?, %0.1]\n\
        %5 = sum axes=[0] %4 : f64[%0.1]\n%6 = mul %3, %5 : f64[%0.0, %0.1]\nreturn %6\ninputs %0, %4\n";
    assert_eq!(ops(source), [["sum"], ["sum"], ["mul"]]);
    assert_eq!(blocks(source), ["steps 1 to 2 by rows [x.0], slot 1 for the rows at hand"]);
}

#[test]
fn rows_that_are_done_with_share_memory() {
    let (graph, schedule) = plan(&(SOFTMAX.to_string() + "return %7\ninputs %0\n"));
    let [block] = schedule.blocks.as_slice() else { panic!("{}", schedule.text(&graph)) };
    // The largest elements are dead when the sums are made: they share a slot, since rows are done one after the other.
    assert_eq!((block.slots.as_slice(), schedule.slots.len()), ([0, 1].as_slice(), 2));
}

/// X·w, something of it, and its product with Xᵀ.
fn regression(residual: &str, last: &str) -> String {
    format!(
        "kroton 1\n%0 = input \"x\" f64[?, ?]\n%1 = input \"w\" f64[%0.1, 1]\n%2 = matmul %0, %1 : f64[%0.0, 1]\n\
         %3 = {residual} : f64[%0.0, 1]\n%4 = permute order=[1, 0] %0 : f64[%0.1, %0.0]\n\
         %5 = matmul %4, %3 : f64[%0.1, 1]\n{last}inputs %0, %1\n"
    )
}

#[test]
fn products_with_a_vector_join_and_those_of_the_transposed_matrix_close() {
    let block = "steps 0 to 2 by rows [x.0], step 2 sums over them, slots 0, 1 for the rows at hand";
    assert_eq!(blocks(&regression("exp %2", "return %5\n")), [block]);
    let direct = regression("reshape [%0.0, 1] %2", "return %5\n");
    assert_eq!(blocks(&direct), ["steps 0 to 1 by rows [x.0], step 1 sums over them, slot 0 for the rows at hand"]);
    // The vector may be a row, on the left.
    let left = "kroton 1\n%0 = input \"x\" f64[?, ?]\n%1 = input \"w\" f64[1, %0.1]\n\
        %2 = permute order=[1, 0] %0 : f64[%0.1, %0.0]\n%3 = matmul %1, %2 : f64[1, %0.0]\n%4 = exp %3 : f64[1, %0.0]\n\
        %5 = matmul %4, %0 : f64[1, %0.1]\nreturn %5\ninputs %0, %1\n";
    assert_eq!(blocks(left), [block]);
}

#[test]
fn sums_over_the_rows_are_not_there_before_the_block_ends() {
    // A further product with X reads the closing one's result: that is another block.
    let again = regression("exp %2", "%6 = matmul %0, %5 : f64[%0.0, 1]\n%7 = sub %6, %3 : f64[%0.0, 1]\nreturn %7\n");
    let found = blocks(&again);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("steps 0 to 2 by rows [x.0], step 2 sums over them"), "{found:?}");
    assert!(found[1].starts_with("steps 3 to 4 by rows [x.0]") && !found[1].contains("sums"), "{found:?}");
    // Of a square matrix both products have one size.
    let square = again.replace("f64[?, ?]", "f64[9, 9]").replace("%0.1", "9").replace("%0.0", "9");
    assert_eq!(blocks(&square).len(), 2, "{square}");
}

#[test]
fn products_of_columns_and_of_two_matrices_are_in_no_block() {
    // Rows of the transposed matrix share cache lines.
    let columns = "kroton 1\n%0 = input \"x\" f64[?, ?]\n%1 = input \"w\" f64[%0.0, 1]\n\
        %2 = permute order=[1, 0] %0 : f64[%0.1, %0.0]\n%3 = matmul %2, %1 : f64[%0.1, 1]\n%4 = exp %3 : f64[%0.1, 1]\n\
        %5 = matmul %0, %4 : f64[%0.0, 1]\nreturn %5\ninputs %0, %1\n";
    assert_eq!(blocks(columns), [""; 0]);
    let matrices = regression("exp %2", "return %5\n").replace("%0.1, 1]", "%0.1, 7]").replace("%0.0, 1]", "%0.0, 7]");
    assert_eq!(blocks(&matrices), [""; 0]);
}
