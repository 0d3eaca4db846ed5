//! A graph over a batch gives what it gives for the elements one by one, bit for bit.
//!
//! The first element of the batch is the arguments of the graph itself, the others have the same values in other places.

use std::cell::Cell;

use kroton::{Arg, Array, Device, Expr, Scalar, vmap};

use crate::build;
use crate::common::{self, Argument, Layout, plain};
use crate::program::Program;

/// The elements of a batch.
const SIZE: usize = 3;

/// Expressions made of inputs.
type Build<'a> = &'a dyn Fn(&[Expr]) -> Vec<Expr>;

/// Compares on the oracle and the machine-code engine what is made of the inputs of a program.
pub fn check(program: &Program, of: Build<'_>) -> Result<(), String> {
    // The order of summation in products of floats is free.
    if program.has_float_matmul() {
        return Ok(());
    }
    let elements: Vec<Vec<Argument>> = (0..SIZE).map(|number| element(program, number)).collect();
    let single = plain(Device::Interpreter);
    let (inputs, _) = build::build(program);
    let f = single.compile(&inputs, of(&inputs)).map_err(|error| error.to_string())?;
    let calls = elements.iter().map(|element| f.call(arguments(element).as_slice()));
    let expected: Vec<Vec<Array>> = calls.collect::<kroton::Result<_>>().map_err(|error| error.to_string())?;
    let (inputs, outputs) = batched(program, of).map_err(|error| error.to_string())?;
    let batch: Vec<Argument> = (0..inputs.len()).map(|input| stacked(&elements, input)).collect();
    for device in [Device::Interpreter, Device::Cpu] {
        let f = plain(device).compile(&inputs, &outputs).map_err(|error| error.to_string())?;
        let got: Vec<Array> = f.call(arguments(&batch).as_slice()).map_err(|error| format!("{device:?}: {error}"))?;
        for (output, got) in got.iter().enumerate() {
            let wanted: Vec<Scalar> = expected.iter().flat_map(|row| common::scalars(&row[output])).collect();
            if let Some(difference) = common::difference(&common::scalars(got), &wanted) {
                return Err(format!("{device:?}: output {output}: {difference}"));
            }
        }
    }
    Ok(())
}

fn arguments(values: &[Argument]) -> Vec<Arg<'_>> {
    values.iter().map(Argument::arg).collect()
}

/// The arguments with their values moved on by some places.
fn element(program: &Program, number: usize) -> Vec<Argument> {
    let moved = |(_, argument): &(Vec<Option<usize>>, Argument)| {
        let mut values = argument.values.clone();
        let count = values.len().max(1);
        values.rotate_left(number % count);
        Argument::new(argument.dtype, &argument.shape, values, Layout::Contiguous)
    };
    program.inputs.iter().map(moved).collect()
}

fn stacked(elements: &[Vec<Argument>], input: usize) -> Argument {
    let first = &elements[0][input];
    let shape: Vec<usize> = std::iter::once(elements.len()).chain(first.shape.iter().copied()).collect();
    let values = elements.iter().flat_map(|element| element[input].values.iter().copied()).collect();
    Argument::new(first.dtype, &shape, values, Layout::Strided)
}

/// The inputs with the axis of the batch, and the outputs.
fn batched(program: &Program, of: Build<'_>) -> kroton::Result<(Vec<Expr>, Vec<Expr>)> {
    let input = |(index, (dims, argument)): (usize, &(Vec<Option<usize>>, Argument))| {
        let dims: Vec<Option<usize>> = std::iter::once(None).chain(dims.iter().copied()).collect();
        kroton::input(&format!("xs{index}"), argument.dtype, dims)
    };
    let inputs: Vec<Expr> = program.inputs.iter().enumerate().map(input).collect();
    // As many results as there may be; the last one stands for those that are not.
    let count = Cell::new(0);
    let body = |elements: &[Expr]| {
        let outputs = of(elements);
        count.set(outputs.len());
        std::array::from_fn::<Expr, 3, _>(|output| outputs[output.min(outputs.len() - 1)].clone())
    };
    let results = match &inputs[..] {
        [a] => vmap([a], |elements| body(&elements)),
        [a, b] => vmap([a, b], |elements| body(&elements)),
        [a, b, c] => vmap([a, b, c], |elements| body(&elements)),
        other => panic!("{} inputs", other.len()),
    }?;
    Ok((inputs, results[..count.get()].to_vec()))
}
