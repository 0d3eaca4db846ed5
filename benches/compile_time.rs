//! How long compiling takes, alone and with the first call, for which machine code is made.
//!
//! `cargo bench --bench compile_time`. Each expression holds constants that no other has, so nothing is cached.

mod expressions;

fn main() {
    // The first compile of a process also sets up the engine.
    expressions::squares_with_first_call().expect("a well-typed expression");
    divan::main();
}

#[divan::bench]
fn squares() {
    divan::black_box(expressions::squares().expect("a well-typed expression"));
}

#[divan::bench]
fn squares_with_first_call() {
    divan::black_box(expressions::squares_with_first_call().expect("a well-typed expression"));
}

#[divan::bench(args = [10, 100, 1_000])]
fn chain(ops: usize) {
    divan::black_box(expressions::chain(ops).expect("a well-typed expression"));
}

#[divan::bench(args = [10, 100, 1_000])]
fn chain_with_first_call(ops: usize) {
    divan::black_box(expressions::chain_with_first_call(ops).expect("a well-typed expression"));
}

#[divan::bench(args = [10, 100, 1_000])]
fn gradient_of_chain(ops: usize) {
    divan::black_box(expressions::gradient_of_chain(ops).expect("a well-typed expression"));
}

#[divan::bench(args = [10, 100, 1_000])]
fn gradient_of_layers(ops: usize) {
    divan::black_box(expressions::gradient_of_layers(ops).expect("a well-typed expression"));
}

/// A value and its gradient through so many loops in a row.
#[divan::bench(args = [100, 1_000], sample_count = 5)]
fn gradient_of_loops(count: usize) {
    divan::black_box(expressions::gradient_of_loops(count).expect("a well-typed expression"));
}

/// The optimizer alone.
#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 10)]
fn optimizer(bencher: divan::Bencher<'_, '_>, nodes: usize) {
    bencher
        .with_inputs(|| expressions::graph_of_gradient(nodes).expect("a well-typed expression"))
        .bench_values(|graph| expressions::optimized(graph).expect("a graph that can be optimized"));
}

/// From expressions to a function.
#[divan::bench(args = [10_000, 100_000], sample_count = 5)]
fn long_chain(ops: usize) {
    divan::black_box(expressions::chain(ops).expect("a well-typed expression"));
}
