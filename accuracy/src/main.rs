//! Measures the elementary functions: the error in ULPs against MPFR, and on request the time per element.
//!
//! `cargo run --release -p accuracy -- [NAME...] [--f64 | --f32] [--count N] [--exhaustive] [--record] [--time]`
//!
//! Without names all functions are measured, on N random arguments each (40000 unless told) beside the critical ones and
//! those that are published as hard to round (`worst/`); `--exhaustive` takes every `f32` there is (functions of one
//! argument). They are measured as a user has them, compiled, at every level of the instruction set: without fused
//! multiply-add, with AVX2, and with all that the processor has. `--record` writes what was found into
//! docs/accuracy.md. The process fails if an error exceeds its bound in the op table or what docs/accuracy.md says was
//! the greatest, if two levels with fused multiply-add differ in a bit from each other or from the op's definition, or
//! if an element depends on its position or on its neighbors.

mod compiled;
mod exhaustive;
mod findings;
mod functions;
mod measure;
mod number;
mod record;
mod reference;
mod samples;
mod time;
mod worst;

use findings::Findings;
use functions::{Function, functions};
use kroton::{DType, Element};
use measure::Subject;
use number::Number;
use record::{Extent, Record};
use std::process::ExitCode;

struct Arguments {
    names: Vec<String>,
    dtype: Option<DType>,
    count: u64,
    exhaustive: bool,
    record: bool,
    time: bool,
}

fn arguments() -> Result<Arguments, String> {
    let names = Vec::new();
    let mut result = Arguments { names, dtype: None, count: 40_000, exhaustive: false, record: false, time: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--f64" => result.dtype = Some(DType::F64),
            "--f32" => result.dtype = Some(DType::F32),
            "--time" => result.time = true,
            "--exhaustive" => result.exhaustive = true,
            "--record" => result.record = true,
            "--count" => {
                let count = words.next().and_then(|text| text.parse().ok());
                result.count = count.ok_or("--count needs a number")?;
            }
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            name => result.names.push(name.to_owned()),
        }
    }
    Ok(result)
}

/// Measures a function on a type, or takes its times; says whether all is well.
fn measure<T: Number>(function: &Function, arguments: &Arguments, record: &mut Record) -> Result<bool, String> {
    let subject = Subject::new::<T>(function).map_err(|error| error.to_string())?;
    if arguments.time {
        println!("{:8} {} {}", function.op.row().name, T::DTYPE, time::times::<T>(&subject));
        return Ok(true);
    }
    let is_small = T::DTYPE == DType::F32 && function.op.is_unary();
    if arguments.exhaustive && !is_small {
        println!("{:8} {} skipped: too many arguments for all of them", function.op.row().name, T::DTYPE);
        return Ok(true);
    }
    let (found, extent) = match arguments.exhaustive {
        true => (subject.exhaust(arguments.count)?, Extent::All),
        false => (subject.measure::<T>(arguments.count)?, Extent::Samples),
    };
    if arguments.record {
        record.enter(function.op.row(), T::DTYPE, extent, &found)?;
    }
    Ok(report::<T>(function, &found, record))
}

/// Prints what was found and says whether all is well.
fn report<T: Element>(function: &Function, found: &Findings, record: &Record) -> bool {
    let row = function.op.row();
    let bounds = [row.baseline_bound(T::DTYPE), row.ulp_bound(T::DTYPE)].map(f64::from);
    let known = record.errors(row.name, T::DTYPE);
    let mut good = found.differences.is_empty();
    let mut text = format!("{:8} {}", row.name, T::DTYPE);
    for (i, side) in ["separate", "fused"].into_iter().enumerate() {
        let worst = found.worst[i];
        let within = worst.error <= bounds[i];
        // The record has four digits.
        let is_known = known.is_some_and(|known| worst.error <= known[i] + 0.5e-4);
        good &= within && is_known;
        let known = if is_known { "" } else { " (docs/accuracy.md says less)" };
        text += &format!(" {side} {:.4} <= {}{known} at {:?};", worst.error, bounds[i], worst.arguments);
    }
    println!("{text} {} arguments{}", found.count, if good { "" } else { "  FAILED" });
    found.differences.iter().for_each(|difference| println!("    {difference}"));
    good
}

fn run() -> Result<bool, String> {
    let arguments = arguments()?;
    let functions = functions();
    let is_function = |name: &str| functions.iter().any(|function| function.op.row().name == name);
    if let Some(name) = arguments.names.iter().find(|name| !is_function(name)) {
        return Err(format!("no function {name}"));
    }
    let mut record = Record::read()?;
    let mut good = true;
    for function in &functions {
        let name = function.op.row().name;
        if !arguments.names.is_empty() && !arguments.names.iter().any(|named| named == name) {
            continue;
        }
        if arguments.dtype != Some(DType::F32) {
            good &= measure::<f64>(function, &arguments, &mut record)?;
        }
        if arguments.dtype != Some(DType::F64) {
            good &= measure::<f32>(function, &arguments, &mut record)?;
        }
    }
    Ok(good)
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
