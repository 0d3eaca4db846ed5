//! Every stage of a small expression, from the graph to machine code or shaders, as `Function::dump` prints it.
//!
//! `cargo run --release --example graph_dump`, with `-- --short` for the first lines of each stage;
//! `KROTON_FLAGS=device=gpu` in the environment shows shaders in place of machine code.

use kroton::{Error, Stage, compile, vector};

/// Each stage with what to look for.
const STAGES: [(Stage, &str, &str); 7] = [
    (
        Stage::Graph,
        "Graph",
        "The expression as built: equal parts are one node, `len` is a size, ln(1 + …) is two ops.",
    ),
    (Stage::Optimized, "Optimized", "After rewriting, with the rules that fired: ln(1 + …) became log1p."),
    (
        Stage::Schedule,
        "Schedule",
        "One kernel: a reduction over x with everything else fused. No slot, so no array between.",
    ),
    (
        Stage::Loops,
        "Loop IR",
        "What engines get: a reduction whose body loads each element once, then a block for the result.",
    ),
    (Stage::Clif, "CLIF", "Cranelift's IR: 128-bit vectors, and a scalar loop for the last elements."),
    (Stage::Asm, "Machine code", "The same as instructions of this machine."),
    (
        Stage::Wgsl,
        "Shaders",
        "WGSL for a GPU: a shader for few elements, one for each block of many, one that merges blocks.",
    ),
];

fn main() -> kroton::Result<()> {
    let short = std::env::args().any(|argument| argument == "--short");
    // f32, so that every GPU can.
    let x = vector::<f32>("x");
    let spread = (&x * &x + 1.0).ln().sum(..) / x.len();
    println!("The mean of ln(x² + 1) over a vector: {spread}\n");
    let f = compile([&x], spread)?;
    let mean: f32 = f.call((&[0.0_f32, 1.0, 2.0, 3.0],))?;
    println!("of [0, 1, 2, 3]: {mean}\n");
    for (stage, title, explanation) in STAGES {
        match f.dump(stage) {
            Ok(text) => {
                println!("──── {title} ────\n{explanation}\n");
                print_lines(&text, if short { 12 } else { usize::MAX });
            }
            // A CPU has no shaders, a GPU no machine code to show.
            Err(Error::Unsupported(reason)) => println!("──── {title} ────\n{reason}\n"),
            Err(error) => return Err(error),
        }
    }
    println!("The first graph for Graphviz (pipe it into `dot -Tsvg`):\n");
    print_lines(&kroton::inspect::dot(&[(&x * &x + 1.0).ln().sum(..)])?, usize::MAX);
    Ok(())
}

fn print_lines(text: &str, most: usize) {
    for line in text.lines().take(most) {
        println!("{line}");
    }
    let left = text.lines().count().saturating_sub(most);
    if left > 0 {
        println!("… and {left} more lines");
    }
    println!();
}
