//! Gradients with barriers on the GPU engine: on the device as it is and on lesser ones made of it, beside the oracle.
//! Without an adapter the test is skipped, unless `KROTON_TEST_GPU=required`.

#![cfg(feature = "gpu")]

mod common;

use common::gpu::{Cases, agree};
use kroton::{Arg, Array, Compiler, Device, OptLevel, Result, checkpoint, grad, matrix};
use ndarray::Array2;

#[test]
fn gradients_of_checkpoints() -> Result<()> {
    let (x, w) = (matrix::<f32>("x"), matrix::<f32>("w"));
    let mut y = x.clone();
    for _ in 0..3 {
        [y] = checkpoint([&y], |[y]| [y.matmul(&w).tanh().matmul(&w).tanh()])?;
    }
    let outputs = grad(&y.square().sum(..), [&x, &w])?;
    let oracle =
        Compiler::new().device(Device::Interpreter).optimize(OptLevel::None).compile([&x, &w], &outputs[..])?;
    let numbers = |rows, step: f32| Array2::from_shape_fn((rows, 3), |(i, j)| (i as f32 - j as f32) * step + 0.25);
    let (rows, weights) = (numbers(4, 0.25), numbers(3, 0.5));
    let args = vec![Arg::from(&rows), Arg::from(&weights)];
    let expected: Vec<Array> = oracle.call(args.as_slice())?;
    let cases: Cases<'_> = vec![(args, expected)];
    agree(&[&x, &w], &outputs, &cases);
    Ok(())
}
