//! What a call costs beside the work: nanoseconds of calls on three elements, page faults of large results, what threads
//! gain, and the time that compiling takes.
//!
//! `cargo bench --bench calls`. Each row is the shortest of many short runs, since whatever else the machine does only
//! makes runs longer; the last column is the ratio to the same loop behind a pointer that the compiler cannot see
//! through, timed in turn. A name after `--` picks the rows that contain it.

mod by_hand;
mod expressions;

use std::hint::black_box;
use std::time::Instant;

use kroton::{Array, Compiler, Expr, Function, Result, scalar, shared, vector};
use ndarray::{Array1, Array2, s};

/// Runs of each row, and calls in a run.
const RUNS: usize = 400;
const CALLS: usize = 2_000;

fn main() -> Result<()> {
    println!("{:<52}{:>10}{:>10}", "three elements, f64", "ns", "by hand");
    into_memory()?;
    fresh()?;
    views()?;
    state()?;
    memory()?;
    elements()?;
    quotients()?;
    threads()?;
    compiling()
}

fn squares() -> Result<Function> {
    let (a, b) = (vector::<f64>("a"), vector::<f64>("b"));
    Compiler::new().compile([&a, &b], &a * &a + &b * &b)
}

/// Results in the caller's memory.
fn into_memory() -> Result<()> {
    let f = squares()?;
    let (a, b, mut out) = (vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0], vec![0.0; 3]);
    row("a² + b² through &Vec, call_into", || f.call_into((black_box(&a), black_box(&b)), (&mut out,)))?;
    let (wide, other) = (Array1::from_vec(by_hand::random(6, 1)), Array1::from_vec(by_hand::random(9, 2)));
    let mut gaps = Array1::<f64>::zeros(6);
    let (x, y, mut places) = (wide.slice(s![..;2]), other.slice(s![..;-3]), gaps.slice_mut(s![..;2]));
    row("a² + b² through strided views, call_into", || f.call_into((black_box(x), black_box(y)), (&mut places,)))?;
    row("a² + b² through references to views, call_into", || {
        f.call_into((black_box(&x), black_box(&y)), (&mut places,))
    })?;
    let mut number = 0.0;
    let (p, q) = (scalar::<f64>("p"), scalar::<f64>("q"));
    let f = Compiler::new().compile([&p, &q], &p * &p + &q * &q)?;
    row("p² + q² of two numbers, call_into", || f.call_into((black_box(3.0), black_box(4.0)), (&mut number,)))?;
    row("p² + q² of two numbers, call::<f64>", || f.call::<f64>((black_box(3.0), black_box(4.0))))
}

/// Results in memory of the call.
fn fresh() -> Result<()> {
    let (a, b) = (vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0]);
    let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
    let sum = Compiler::new().compile([&x, &y], (&x * &y).sum(..))?;
    row("sum(a · b), call::<f64>", || sum.call::<f64>((black_box(&a), black_box(&b))))?;
    let hits = (&x * &x + &y * &y).lt(1.0).sum(..);
    let pi = Compiler::new().compile([&x, &y], 4.0 * hits / x.len())?;
    row("π hit test, call::<f64>", || pi.call::<f64>((black_box(&a), black_box(&b))))?;
    let f = squares()?;
    row("a² + b², call::<Array>", || f.call::<Array>((black_box(&a), black_box(&b))))?;
    row("a² + b², call::<Vec<f64>>", || f.call::<Vec<f64>>((black_box(&a), black_box(&b))))?;
    row("a² + b², call::<Array1<f64>>", || f.call::<Array1<f64>>((black_box(&a), black_box(&b))))
}

/// Matrices, whose layouts have more to them.
fn views() -> Result<()> {
    let (a, b) = (kroton::matrix::<f64>("a"), vector::<f64>("b"));
    let f = Compiler::new().compile([&a, &b], &a * 2.0 + &b)?;
    let (x, y, mut out) = (Array2::<f64>::ones((3, 3)), vec![1.0, 2.0, 3.0], Array2::<f64>::zeros((3, 3)));
    row("2 A + b of 3 × 3, call_into", || f.call_into((black_box(&x), black_box(&y)), (&mut out,)))?;
    let t = x.t();
    row("2 Aᵀ + b of 3 × 3, call_into", || f.call_into((black_box(t), black_box(&y)), (&mut out,)))?;
    let shifted = vector::<f64>("s");
    let f = Compiler::new().compile([&shifted], shifted.slice(s![1..]) - shifted.slice(s![..-1]))?;
    let (z, mut difference) = (vec![1.0, 2.0, 4.0, 8.0], vec![0.0; 3]);
    row("differences of four, call_into", || f.call_into((black_box(&z),), (&mut difference,)))
}

/// Shared variables: a counter, a vector that is updated in place, and values that are only read.
fn state() -> Result<()> {
    let counter = shared("counter", 0_i64);
    let tick = Compiler::new().updates([(&counter, &counter + 1)]).compile([], ())?;
    row("counter + 1, an update", || tick.call::<()>(()))?;
    let tock = Compiler::new().updates([(&counter, &counter + 1)]).compile([], &counter)?;
    row("counter + 1, an update, and the old value", || tock.call::<i64>(()))?;
    let (w, x) = (shared("w", [1.0, 2.0, 3.0]), vector::<f64>("x"));
    let add = Compiler::new().updates([(&w, &w + &x)]).compile([&x], ())?;
    let xs = [0.5, 0.5, 0.5];
    row("w + x, an update", || add.call::<()>((black_box(&xs),)))?;
    let (a, b) = (shared("a", [1.0, 2.0, 3.0]), shared("b", [1.0, 1.0, 1.0]));
    let both = Compiler::new().updates([(&a, &a + &b), (&b, &a * 0.5)]).compile([], ())?;
    row("two variables, an update", || both.call::<()>(()))?;
    let scaled = Compiler::new().compile([&x], &x * &w)?;
    row("x · w, w shared, call::<Vec<f64>>", || scaled.call::<Vec<f64>>((black_box(&xs),)))
}

/// Page faults and time of results of 80 MB.
fn memory() -> Result<()> {
    println!("\n{:<52}{:>10}{:>10}", "10⁷ elements, f64, one thread", "ms", "faults");
    let a = vector::<f64>("a");
    let f = Compiler::new().threads(1).compile([&a], &a * &a + 1.0)?;
    let (x, mut out) = (by_hand::random(10_000_000, 1), vec![0.0; 10_000_000]);
    let mut kept = Vec::new();
    fault_row("into a given output", || f.call_into((&x,), (&mut out,)))?;
    fault_row("Array, fresh", || f.call::<Array>((&x,)).map(|array| kept.push(array)))?;
    kept.clear();
    fault_row("Array, the previous one dropped", || f.call::<Array>((&x,)).map(drop))?;
    fault_row("Vec<f64>", || f.call::<Vec<f64>>((&x,)).map(drop))?;
    let mut state = f.call::<Array>((&x,))?;
    fault_row("Array by value, Array", || {
        let next = f.call::<Array>((std::mem::replace(&mut state, Array::from_slice::<f64>(&[])),))?;
        state = next;
        Ok(())
    })
}

/// Prints the shortest time of a call and its page faults.
fn fault_row(name: &str, mut call: impl FnMut() -> Result<()>) -> Result<()> {
    if !is_asked_for(name) {
        return Ok(());
    }
    let (mut shortest, mut faults) = (f64::INFINITY, u64::MAX);
    for _ in 0..8 {
        let (start, before) = (Instant::now(), minor_faults());
        call()?;
        shortest = shortest.min(start.elapsed().as_secs_f64());
        faults = faults.min(minor_faults() - before);
    }
    println!("{name:<52}{:>10.2}{faults:>10}", shortest * 1e3);
    Ok(())
}

/// The page faults of this process so far that needed no disk; 0 where the system does not say.
fn minor_faults() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default();
    fields.split_whitespace().nth(7).and_then(|field| field.parse().ok()).unwrap_or(0)
}

/// What an op costs for an element, and the moving of a byte: what the cost model of the CPU engine should say.
fn elements() -> Result<()> {
    println!("\n{:<52}{:>10}{:>10}", "an element, one thread, ps", "f64", "f32");
    let (x64, x32) = (vector::<f64>("x"), vector::<f32>("x"));
    type Op = fn(&Expr, &Expr) -> Expr;
    let ops: [(&str, Op); 9] = [
        ("x · y + x", |y, x| y * x + x),
        ("|x - y|, two ops", |y, x| (x - y).abs()),
        ("x / y", |y, x| x / y),
        ("√y", |y, _| y.sqrt()),
        ("exp y", |y, _| y.exp()),
        ("ln y", |y, _| y.ln()),
        ("sin y", |y, _| y.sin()),
        ("tanh y", |y, _| y.tanh()),
        ("erf y", |y, _| y.erf()),
    ];
    for (name, op) in ops {
        let name = format!("element: {name}");
        if !is_asked_for(&name) {
            continue;
        }
        let f64s = chain(&x64, op, &by_hand::random(4_000, 1))?;
        let f32s = chain(&x32, op, &by_hand::random(4_000, 1).iter().map(|&x| x as f32).collect::<Vec<_>>())?;
        println!("{name:<52}{:>10.0}{:>10.0}", f64s * 1e12, f32s * 1e12);
    }
    for n in [1_000, 10_000, 30_000, 300_000, 1_000_000, 10_000_000] {
        let name = format!("element: a byte of x² + 1, n = {n}");
        if !is_asked_for(&name) {
            continue;
        }
        let f = Compiler::new().threads(1).compile([&x64], &x64 * &x64 + 1.0)?;
        let (x, mut out) = (by_hand::random(n, 1), vec![0.0; n]);
        let time = shortest_of(30_000_000 / n, || f.call_into((&x,), (&mut out,)))?;
        println!("{name:<52}{:>10.1}", time / n as f64 / 16.0 * 1e12);
    }
    Ok(())
}

/// What `floor_div` and `%` take for an element of each type.
fn quotients() -> Result<()> {
    println!("\n{:<52}{:>10}{:>10}{:>10}", "30,000 elements, one thread, ps each", "x % y", "x % 7", "x // y");
    macro_rules! rows {
        ($($t:ident $least:literal $most:literal;)*) => { $(
            let name = concat!("quotient: ", stringify!($t));
            if is_asked_for(name) {
                let (x, y) = (vector::<$t>("x"), vector::<$t>("y"));
                let number = |x: f64| ($least + ($most - $least) * (x + 1.0) / 2.0) as $t;
                let [a, b] = [1, 2].map(|seed| by_hand::random(30_000, seed).into_iter().map(number).collect::<Vec<_>>());
                let mut out = a.clone();
                print!("{name:<52}");
                for quotient in [&x % &y, &x % 7 + &y, x.floor_div(&y)] {
                    let f = Compiler::new().threads(1).compile([&x, &y], quotient)?;
                    let time = shortest_of(400, || f.call_into((&a, &b), (&mut out,)))?;
                    print!("{:>10.0}", time / 30_000.0 * 1e12);
                }
                println!();
            }
        )* };
    }
    rows! {
        f64 -1e3 1e3; f32 -1e3 1e3; i64 -1e9 1e9; u64 0.0 1e9; i32 -1e9 1e9; u32 0.0 1e9; i8 -128.0 127.0; u8 0.0 255.0;
    }
    Ok(())
}

/// The time of one op on one element: the difference of chains of 12 and of 4.
fn chain<T: kroton::Element>(x: &Expr, op: fn(&Expr, &Expr) -> Expr, values: &[T]) -> Result<f64>
where
    for<'a> &'a [T]: Into<kroton::Arg<'a>>,
{
    let mut times = [0.0; 2];
    for (time, length) in times.iter_mut().zip([4, 12]) {
        let y = (0..length).fold(x * 0.5, |y, _| op(&y, x));
        let f = Compiler::new().threads(1).compile([x], y)?;
        *time = shortest_of(400, || f.call::<Array>((values,)).map(drop))?;
    }
    Ok((times[1] - times[0]) / 8.0 / values.len() as f64)
}

fn shortest_of(runs: usize, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut shortest = f64::INFINITY;
    for _ in 0..runs.clamp(9, 2_000) {
        let start = Instant::now();
        call()?;
        shortest = shortest.min(start.elapsed().as_secs_f64());
    }
    Ok(shortest)
}

/// What two threads gain, and what splitting costs.
fn threads() -> Result<()> {
    println!("\n{:<52}{:>10}{:>10}", "two threads", "1, µs", "gain");
    let x = vector::<f64>("x");
    let horner = (0..24).fold(x.clone(), |y, i| y * &x + f64::from(i));
    for (name, y) in [("x² + 1", &x * &x + 1.0), ("polynomial of degree 24", horner), ("sin x", x.sin())] {
        for n in [3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 10_000_000] {
            let [one, two] = [1, 2].map(|threads| Compiler::new().threads(threads).compile([&x], &y));
            let (one, two) = (one?, two?);
            let forced = Compiler::new().threads(2).parallel_threshold(1).compile([&x], &y)?;
            let (values, mut out) = (by_hand::random(n, 1), vec![0.0; n]);
            thread_row(&format!("{name}, n = {n}"), [&one, &two, &forced], &values, &mut out)?;
        }
    }
    Ok(())
}

/// Prints the shortest time on one thread, and the ratio to it of the others.
fn thread_row(name: &str, functions: [&Function; 3], values: &[f64], out: &mut [f64]) -> Result<()> {
    if !is_asked_for(name) {
        return Ok(());
    }
    let mut shortest = [f64::INFINITY; 3];
    for _ in 0..(20_000_000 / values.len()).clamp(9, 2_000) {
        for (shortest, function) in shortest.iter_mut().zip(functions) {
            let start = Instant::now();
            function.call_into((values,), (&mut *out,))?;
            *shortest = shortest.min(start.elapsed().as_secs_f64());
        }
    }
    let [one, two, forced] = shortest;
    println!("{name:<52}{:>10.1}{:>10.2}{:>10.2} if always split", one * 1e6, one / two, one / forced);
    Ok(())
}

/// What it takes from expressions to results: with constants that no expression had before, and the same again.
fn compiling() -> Result<()> {
    println!("\n{:<52}{:>10}", "compiling", "µs");
    compile_row("a² + b², new: build and compile", || expressions::squares().map(drop))?;
    compile_row("a² + b², new: and first result", || expressions::squares_with_first_call().map(drop))?;
    let (a, b) = (vector::<f64>("a"), vector::<f64>("b"));
    compile_row("a² + b², again: compile", || Compiler::new().compile([&a, &b], &a * &a + &b * &b).map(drop))?;
    compile_row("a² + b², again: and first result", || {
        squares()?.call::<Vec<f64>>((&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0])).map(drop)
    })?;
    compile_row("Black–Scholes, new: and first result", || expressions::black_scholes_with_first_call().map(drop))?;
    compile_row("1,000 ops, new: and first result", || expressions::chain_with_first_call(1_000).map(drop))
}

/// Prints the shortest time of some runs.
fn compile_row(name: &str, mut run: impl FnMut() -> Result<()>) -> Result<()> {
    if !is_asked_for(name) {
        return Ok(());
    }
    let mut shortest = f64::INFINITY;
    for _ in 0..60 {
        let start = Instant::now();
        run()?;
        shortest = shortest.min(start.elapsed().as_secs_f64());
    }
    println!("{name:<52}{:>10.1}", shortest * 1e6);
    Ok(())
}

/// Whether the arguments of the program have a part of the name, or none at all.
fn is_asked_for(name: &str) -> bool {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    asked.is_empty() || asked.iter().any(|part| name.contains(part))
}

/// Prints the shortest time of a call, unless its name is not asked for.
fn row<T>(name: &str, mut call: impl FnMut() -> Result<T>) -> Result<()> {
    if !is_asked_for(name) {
        return Ok(());
    }
    call()?;
    let pointer: fn(&[f64], &[f64], &mut [f64]) = black_box(by_hand::squares);
    let (x, y, mut out) = ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [0.0; 3]);
    let (mut ours, mut theirs) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..RUNS {
        ours = ours.min(time(|| call().is_ok()));
        theirs = theirs.min(time(|| pointer(black_box(&x), black_box(&y), black_box(&mut out))));
    }
    println!("{name:<52}{:>10.1}{:>10.1}", ours * 1e9, theirs * 1e9);
    Ok(())
}

/// Seconds of one call in a run.
fn time<T>(mut run: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        black_box(run());
    }
    start.elapsed().as_secs_f64() / CALLS as f64
}
