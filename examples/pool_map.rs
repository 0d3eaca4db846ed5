//! A function over a list, as a process pool does it: one by one, mapped over the threads, and as tasks whose results are
//! taken as they come.
//!
//! The items are numbers first, where a task costs more than its work, then whole vectors, where tasks pay.
//! `cargo run --release --example pool_map`; `-- --help` lists the sizes.

mod presentation;

use kroton::{Function, Pending, as_completed, compile, scalar, vector, wait_all};
use presentation::{Options, Outcome, Size, median, row, share_of_time, speedup, table, time};

fn main() -> Outcome {
    let options = Options::read(
        "pool_map",
        &[
            Size { name: "numbers", usual: 10_000, short: 100, counts: "numbers to square" },
            Size { name: "vectors", usual: 32, short: 4, counts: "vectors to square and sum" },
            Size { name: "length", usual: 200_000, short: 1_000, counts: "elements of each vector" },
        ],
    )?;
    numbers(options.size("numbers"))?;
    vectors(options.size("vectors"), options.size("length"))
}

/// x² of each number of a list.
fn numbers(n: usize) -> Outcome {
    let x = scalar::<f64>("x");
    let square = compile([&x], &x * &x)?;
    let list: Vec<f64> = (0..n).map(|i| i as f64).collect();
    let expected: Vec<f64> = list.iter().map(|x| x * x).collect();

    let serial = || Ok(list.iter().map(|&x| square.call((x,))).collect::<kroton::Result<Vec<f64>>>()?);
    let mapped = || Ok(square.map(list.iter().map(|&x| (x,)))?);
    let waited = || Ok(wait_all(list.iter().map(|&x| square.submit((x,))))?);
    let completed = || in_order(list.iter().map(|&x| square.submit((x,))).collect());
    // What a tensor compiler is for: the list is one argument.
    let v = vector::<f64>("v");
    let all = compile([&v], &v * &v)?;
    let whole = || Ok(all.call((&list,))?);

    println!("x² of {n} numbers, {} threads", rayon::current_num_threads());
    let runs: [Run<'_>; 5] = [
        ("one call after the other", &serial),
        ("map", &mapped),
        ("submit, wait_all", &waited),
        ("submit, as_completed", &completed),
        ("one call with the whole list", &whole),
    ];
    report(&runs, &expected)
}

/// Σ x² of each vector of a list.
fn vectors(n: usize, length: usize) -> Outcome {
    let sum_of_squares = one_thread()?;
    let list: Vec<Vec<f64>> = (0..n).map(|i| (0..length).map(|j| ((i + j) % 7) as f64).collect()).collect();
    let expected: Vec<f64> = list.iter().map(|v| v.iter().map(|x| x * x).sum()).collect();

    let serial = || Ok(list.iter().map(|v| sum_of_squares.call((v,))).collect::<kroton::Result<Vec<f64>>>()?);
    let mapped = || Ok(sum_of_squares.map(list.iter().map(|v| (v,)))?);
    // A task may outlive its caller, so it takes a copy of what it is given.
    let completed = || in_order(list.iter().map(|v| sum_of_squares.submit((v,))).collect());

    println!("\nΣ x² of {n} vectors of {length}, each by one thread");
    report(
        &[("one call after the other", &serial), ("map", &mapped), ("submit, as_completed (with a copy)", &completed)],
        &expected,
    )
}

/// A function whose calls do not split their work: the list does.
fn one_thread() -> kroton::Result<Function> {
    let v = vector::<f64>("v");
    kroton::Compiler::new().threads(1).compile([&v], (&v * &v).sum(..))
}

/// Takes results as they come and puts each in its place.
fn in_order(pendings: Vec<Pending<f64>>) -> Outcome<Vec<f64>> {
    let mut results = vec![f64::NAN; pendings.len()];
    for (index, result) in as_completed(pendings) {
        results[index] = result?;
    }
    Ok(results)
}

/// A way to do it, with its name.
type Run<'a> = (&'a str, &'a dyn Fn() -> Outcome<Vec<f64>>);

fn report(runs: &[Run<'_>], expected: &[f64]) -> Outcome {
    let mut table = table(["", "time", "per item", "speed"]);
    let mut reference = None;
    for (name, run) in runs {
        let (results, duration) = median(10, run)?;
        assert_eq!(results, expected, "{name}");
        let reference = *reference.get_or_insert(duration);
        let per_item = share_of_time(duration, expected.len());
        row(&mut table, [name, &time(duration), &per_item, &speedup(reference, duration)]);
    }
    println!("{table}");
    Ok(())
}
