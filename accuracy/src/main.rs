//! Measures the elementary functions: the error in ULPs against MPFR, and on request the time per element.
//!
//! `cargo run --release -p accuracy -- [NAME...] [--f64 | --f32] [--count N] [--exhaustive] [--time]`
//!
//! Without names all functions are measured, on N random arguments each (40000 unless told) beside the special and
//! the critical ones; `--exhaustive` takes every `f32` there is (functions of one argument). Every level of the
//! instruction set that the processor has is run through the kernels. The process fails if an error exceeds its bound
//! in the table, if two levels with fused multiply-add differ in a bit from each other or from its emulation, or if
//! an element depends on its position.

#[allow(dead_code, unused_imports)]
#[path = "../../src/elementary/mod.rs"]
mod elementary;
mod functions;
mod measure;
mod number;
mod reference;
mod samples;
mod table;
mod time;

use measure::Options;
use std::process::ExitCode;

struct Arguments {
    names: Vec<String>,
    dtype: Option<&'static str>,
    time: bool,
    options: Options,
}

fn arguments() -> Result<Arguments, String> {
    let options = Options { count: 40_000, exhaustive: false };
    let mut result = Arguments { names: Vec::new(), dtype: None, time: false, options };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--f64" => result.dtype = Some("f64"),
            "--f32" => result.dtype = Some("f32"),
            "--time" => result.time = true,
            "--exhaustive" => result.options.exhaustive = true,
            "--count" => {
                let count = words.next().and_then(|text| text.parse().ok());
                result.options.count = count.ok_or("--count needs a number")?;
            }
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            name => result.names.push(name.to_owned()),
        }
    }
    Ok(result)
}

fn run() -> Result<bool, String> {
    let arguments = arguments()?;
    let rows = table::rows();
    if let Some(name) = arguments.names.iter().find(|name| !rows.iter().any(|row| row.name == **name)) {
        return Err(format!("no function {name}"));
    }
    let mut within = true;
    for row in &rows {
        let named = arguments.names.is_empty() || arguments.names.iter().any(|name| name == row.name);
        if !named || arguments.dtype.is_some_and(|dtype| dtype != row.dtype) {
            continue;
        }
        if arguments.time {
            println!("{:8} {} {}", row.name, row.dtype, (row.time)());
        } else if !arguments.options.exhaustive || row.can_exhaust {
            within &= row.report(&(row.measure)(&arguments.options));
        }
    }
    Ok(within)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
