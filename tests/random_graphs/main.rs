//! Random graphs drawn from the op table, held against a second oracle and across engines and optimization levels.
//!
//! As written, every engine gives the bits of `evaluate.rs`; with exact rules only, still the same bits; with accuracy
//! rules, values within the bound that `bounded.rs` carries from node to node. At the end every op × dtype must have
//! occurred. A failing graph shrinks and is printed in its text form with its arguments.
//!
//! `KROTON_SEED=7 KROTON_CASES=10000 cargo test --test random_graphs` draws others.

mod batches;
mod build;
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod evaluate;
mod evaluate_loops;
mod gradients;
mod idioms;
mod looping;
mod phrases;
mod program;
#[allow(dead_code)] // the rest is for GPUs
mod recipe;
mod regions;
mod steps;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bounded::Bounded;
use cases::{Equal, misplaced, run_cases, setting};
use kroton::check::{bounded, rounding};
use kroton::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};
use kroton::optimize::{Class, rules};
use kroton::{Array, Check, Compiler, DType, Device, Expr, Function, OnUnused, OptLevel, Stage};
use program::{Op, Program};
use recipe::Recipe;

/// What the cases covered together.
#[derive(Default)]
struct Coverage {
    seen: Mutex<BTreeSet<(String, DType)>>,
    fired: Mutex<BTreeSet<String>>,
    compared: AtomicUsize,
    bounded: AtomicUsize,
    /// Functions that run kernels for some rows at a time.
    by_rows: AtomicUsize,
    /// Loops that are nests in kernels, and loops step by step.
    loops: [AtomicUsize; 2],
    gradients: AtomicUsize,
    /// Why some have none.
    without_gradient: Mutex<BTreeSet<String>>,
}

fn run(way: &Way, inputs: &[Expr], outputs: &[Expr], program: &Program) -> kroton::Result<(Vec<Array>, Function)> {
    let f = way.compiler.compile(inputs, outputs)?;
    Ok((f.call(program.arguments().as_slice())?, f))
}

/// A way to compile a graph, and what it promises.
struct Way {
    name: &'static str,
    compiler: Compiler,
    equal: Equal,
}

fn ways(program: &Program, row_bytes: usize) -> [Way; 10] {
    let plain = Compiler::new().on_unused_input(kroton::OnUnused::Ignore);
    let raw = plain.clone().optimize(OptLevel::None);
    let exact = plain.clone().exclude("accuracy");
    // The oracle sums a matrix product in order; other engines may not.
    let bits = if program.has_float_matmul() { Equal::Bounds } else { Equal::Bits };
    let way = |name, compiler: &Compiler, device, equal| Way { name, compiler: compiler.clone().device(device), equal };
    [
        way("as written, oracle", &raw, Device::Interpreter, Equal::Bits),
        way("as written, loops", &raw, Device::Loops, bits),
        way("as written, cpu", &raw, Device::Cpu, bits),
        way("as written, loops by rows", &raw.clone().row_bytes(row_bytes), Device::Loops, bits),
        way("as written, cpu by rows", &raw.clone().row_bytes(row_bytes), Device::Cpu, bits),
        way("exact rules, oracle", &exact, Device::Interpreter, bits),
        way("exact rules, cpu", &exact, Device::Cpu, bits),
        way("optimized, oracle", &plain, Device::Interpreter, Equal::Bounds),
        way("optimized, loops", &plain, Device::Loops, Equal::Bounds),
        way("optimized, cpu", &plain, Device::Cpu, Equal::Bounds),
    ]
}

/// One in so many graphs is also run under `Check::Differential`, which compiles each node on its own.
const CHECKED: u64 = 16;

/// One in so many graphs is also differentiated.
const DIFFERENTIATED: u64 = 4;

/// One in so many graphs is also run over a batch.
const BATCHED: u64 = 4;

fn check(recipe: &Recipe, coverage: &Coverage) -> Result<(), String> {
    let program = Program::new(recipe);
    let (inputs, outputs) = build::build(&program);
    let expected = evaluate::evaluate(&program, &rounding::HOST);
    // From single rows to several.
    let row_bytes = 1 << (recipe.seed % 9);
    for way in ways(&program, row_bytes) {
        let say = |error: &dyn std::fmt::Display| format!("{}: {error}", way.name);
        let (got, f) = run(&way, &inputs, &outputs, &program).map_err(|error| say(&error))?;
        if let Some(difference) = misplaced(&got, &program, &expected, way.equal) {
            return Err(say(&difference));
        }
        let plan = f.dump(Stage::Schedule).unwrap_or_default();
        if way.name == "optimized, cpu" {
            let steps = plan.lines().filter(|line| line.contains(": loop ") && line.starts_with("step"));
            let (nests, others): (Vec<&str>, Vec<&str>) = steps.partition(|line| line.contains("in one kernel"));
            coverage.loops[0].fetch_add(nests.len(), Ordering::Relaxed);
            coverage.loops[1].fetch_add(others.len(), Ordering::Relaxed);
        }
        let by_rows = plan.contains("by rows");
        coverage.by_rows.fetch_add(usize::from(by_rows && way.name.ends_with("cpu by rows")), Ordering::Relaxed);
        let trace = f.dump(Stage::Optimized).map_err(|error| say(&error))?;
        let fired = trace.lines().filter_map(|line| Some(line.split_once('/')?.1.split_once(": ")?.0.to_string()));
        coverage.fired.lock().unwrap().extend(fired);
    }
    if recipe.seed.is_multiple_of(CHECKED) {
        let (device, compiler) = (Device::Cpu, Compiler::new().check(Check::Differential));
        let way = Way {
            name: "checked",
            compiler: compiler.on_unused_input(OnUnused::Ignore).device(device),
            equal: Equal::Bounds,
        };
        run(&way, &inputs, &outputs, &program).map_err(|error| format!("checked: {error}"))?;
    }
    if recipe.seed.is_multiple_of(BATCHED) {
        batches::check(&program, &|inputs| build::outputs(&program, inputs))
            .map_err(|error| format!("in a batch: {error}"))?;
    }
    if recipe.seed % DIFFERENTIATED == 1 {
        gradients::check(&program, recipe.seed / DIFFERENTIATED, coverage)
            .map_err(|error| format!("the gradient, {error}"))?;
    }
    count(&program, &expected, coverage);
    Ok(())
}

fn count(program: &Program, expected: &[Vec<Bounded>], coverage: &Coverage) {
    let mut seen = coverage.seen.lock().unwrap();
    for node in &program.nodes {
        let operand = |x: usize| program.nodes[x].dtype;
        let (name, dtype) = match &node.op {
            Op::Unary(op, x) => (op.to_string(), operand(*x)),
            Op::Binary(op, [a, _]) => (op.to_string(), operand(*a)),
            Op::Ternary(op, [_, b, _]) => (op.to_string(), operand(*b)),
            Op::Reduce(op, _, x) => (op.to_string(), operand(*x)),
            Op::Cast(x) => (format!("cast to {}", node.dtype), operand(*x)),
            Op::Permute(..) => ("permute".into(), node.dtype),
            Op::Reshape(..) => ("reshape".into(), node.dtype),
            Op::Broadcast(_) => ("broadcast".into(), node.dtype),
            Op::Slice(..) => ("slice".into(), node.dtype),
            Op::Concat(..) => ("concat".into(), node.dtype),
            Op::MatMul(_) => ("matmul".into(), node.dtype),
            Op::Loop(..) => ("loop".into(), node.dtype),
            Op::Inner(of) => (regions::name(of.of).into(), node.dtype),
            Op::Input(_) | Op::Constant(_) | Op::Dense(_) | Op::Iota | Op::Size(..) | Op::Parameter => continue,
        };
        seen.insert((name, dtype));
    }
    let elements = || program.outputs.iter().flat_map(|&output| &expected[output]);
    coverage.compared.fetch_add(elements().count(), Ordering::Relaxed);
    coverage.bounded.fetch_add(elements().filter(|x| !x.is_unknown()).count(), Ordering::Relaxed);
}

/// Everything that must have occurred.
fn everything() -> BTreeSet<(String, DType)> {
    let mut all = BTreeSet::new();
    for dtype in DType::ALL {
        let unary = UnaryOp::ALL.iter().filter(|op| op.row().class.contains(dtype)).map(|op| op.to_string());
        let binary = BinaryOp::ALL.iter().filter(|op| op.row().class.contains(dtype)).map(|op| op.to_string());
        let ternary = TernaryOp::ALL.iter().filter(|op| op.row().class.contains(dtype)).map(|op| op.to_string());
        let reductions = ReduceOp::ALL.iter().filter(|op| op.accepts(dtype)).map(|op| op.to_string());
        let views = ["permute", "reshape", "broadcast", "slice", "concat", "loop", "cond", "checkpoint", "vmap"]
            .map(String::from);
        let casts = DType::ALL.into_iter().filter(|&to| to != dtype).map(|to| format!("cast to {to}"));
        let names = unary.chain(binary).chain(ternary).chain(reductions).chain(views).chain(casts);
        all.extend(names.map(|name| (name, dtype)));
        if dtype.size() > 1 {
            all.insert(("matmul".into(), dtype));
        }
        if dtype.is_float() {
            all.insert(("custom_gradient".into(), dtype));
        }
    }
    all
}

#[test]
fn random_graphs_agree_on_every_engine() {
    let (seed, cases) = (setting("KROTON_SEED", 1), setting("KROTON_CASES", 5000));
    let coverage = Coverage::default();
    const THREADS: u64 = 2;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let coverage = &coverage;
            let (seed, cases) = (seed * THREADS + thread, (cases / THREADS) as u32);
            scope.spawn(move || run_cases(seed, cases, |recipe| check(recipe, coverage)));
        }
    });
    let seen = coverage.seen.into_inner().unwrap();
    let missing: Vec<_> = everything().difference(&seen).cloned().collect();
    assert!(missing.is_empty() || cases < 2000, "never drawn: {missing:?}");
    // Rules that never fire are not tested here; nearly all must.
    let fired = coverage.fired.into_inner().unwrap();
    let rules: Vec<&str> = rules().filter(|rule| rule.class != Class::Fast).map(|rule| rule.name).collect();
    let idle: Vec<&str> = rules.iter().copied().filter(|&rule| !fired.contains(rule)).collect();
    println!("{} of {} rules did not fire: {idle:?}", idle.len(), rules.len());
    assert!(idle.len() * 5 < rules.len() || cases < 2000, "too few rules fired; idle: {idle:?}");
    // Bounds that allow anything would make the comparison empty.
    let (bounded, compared) = (coverage.bounded.into_inner(), coverage.compared.into_inner());
    println!("{bounded} of {compared} elements had a bound");
    assert!(bounded * 2 > compared, "only {bounded} of {compared} elements had a bound");
    let by_rows = coverage.by_rows.into_inner();
    println!("{by_rows} graphs had row blocks");
    assert!(by_rows * 100 > cases as usize || cases < 2000, "only {by_rows} graphs had row blocks");
    let gradients = coverage.gradients.into_inner();
    println!("{gradients} gradients; none, since: {:?}", coverage.without_gradient.into_inner().unwrap());
    assert!(gradients * 50 > cases as usize || cases < 2000, "only {gradients} gradients");
    let [nests, others] = coverage.loops.map(AtomicUsize::into_inner);
    println!("{nests} loops in kernels, {others} step by step");
    assert!(
        nests * 100 > cases as usize && others * 100 > cases as usize || cases < 2000,
        "{nests} and {others} loops"
    );
}
