//! Gradients of random graphs: one in so many is differentiated by its float inputs, on every engine and over a batch.
//!
//! As written and under exact rules, a gradient has the same bits on every engine; optimized, it is computed without
//! complaint. What gradients ought to be is told by tests/gradients.

use std::sync::atomic::Ordering;

use kroton::{Array, Compiler, Device, Error, Expr, OptLevel, constant, grad};

use crate::program::Program;
use crate::{Coverage, batches, build, common};

/// One in so many gradients is also run over a batch.
const BATCHED: u64 = 4;

/// Compares the engines.
pub fn check(program: &Program, seed: u64, coverage: &Coverage) -> Result<(), String> {
    let (inputs, outputs) = build::build(program);
    let made = match slopes(program, &inputs, &outputs) {
        // Nothing to be differentiated, or by nothing.
        Ok(slopes) if slopes.is_empty() => return Ok(()),
        // The values too, whose loops are those of the way forward.
        Ok(slopes) => [outputs, slopes].concat(),
        Err(Error::Unsupported(text)) => {
            coverage.without_gradient.lock().unwrap().insert(text);
            return Ok(());
        }
        Err(error) => return Err(error.to_string()),
    };
    coverage.gradients.fetch_add(1, Ordering::Relaxed);
    let plain = Compiler::new().on_unused_input(kroton::OnUnused::Ignore);
    let (raw, exact) = (plain.clone().optimize(OptLevel::None), plain.clone().exclude("accuracy"));
    let [oracle, loops, cpu] = [Device::Interpreter, Device::Loops, Device::Cpu];
    let call = |name: &str, compiler: &Compiler, device: Device| -> Result<Vec<Array>, String> {
        let f = compiler.clone().device(device).compile(&inputs, &made);
        let called = f.and_then(|f| f.call(program.arguments().as_slice()));
        called.map_err(|error| format!("{name}: {error}"))
    };
    let expected = call("as written, oracle", &raw, oracle)?;
    // The order of summation in products of floats is free.
    let in_order = !program.has_float_matmul();
    let ways = [
        ("as written, loops", &raw, loops, in_order),
        ("as written, cpu", &raw, cpu, in_order),
        ("exact rules, oracle", &exact, oracle, in_order),
        ("exact rules, cpu", &exact, cpu, in_order),
        ("optimized, cpu", &plain, cpu, false),
    ];
    for (name, compiler, device, same_bits) in ways {
        for (place, (got, wanted)) in call(name, compiler, device)?.iter().zip(&expected).enumerate() {
            if (got.dtype(), got.shape()) != (wanted.dtype(), wanted.shape()) {
                return Err(format!("{name}: result {place} is {got:?}, not {wanted:?}"));
            }
            let difference = common::difference(&common::scalars(got), &common::scalars(wanted));
            if let Some(difference) = difference.filter(|_| same_bits) {
                return Err(format!("{name}: result {place}: {difference}"));
            }
        }
    }
    if seed.is_multiple_of(BATCHED) && in_order {
        let slopes = |inputs: &[Expr]| slopes_over(program, inputs);
        batches::check(program, &slopes).map_err(|error| format!("in a batch: {error}"))?;
    }
    Ok(())
}

/// The gradients of the sum of all outputs that are floats, by all inputs that are.
fn slopes(program: &Program, inputs: &[Expr], outputs: &[Expr]) -> kroton::Result<Vec<Expr>> {
    let is_float = |x: &&Expr| x.dtype().is_float();
    let by: Vec<Expr> = inputs.iter().filter(is_float).cloned().collect();
    let terms: Vec<Expr> = outputs.iter().filter(is_float).map(|x| x.sum(..).cast_to(program.float)).collect();
    if by.is_empty() || terms.is_empty() {
        return Ok(Vec::new());
    }
    let loss = terms.into_iter().fold(constant(0.0).cast_to(program.float), |loss, term| loss + term);
    grad(&loss, by)
}

fn slopes_over(program: &Program, inputs: &[Expr]) -> Vec<Expr> {
    slopes(program, inputs, &build::outputs(program, inputs)).unwrap()
}
