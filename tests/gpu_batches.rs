//! `vmap` and `cond` on the GPU engine: on the device as it is and on lesser ones made of it, beside the oracle. Without an
//! adapter each test is skipped, unless `KROTON_TEST_GPU=required`.

#![cfg(feature = "gpu")]

mod common;

use common::gpu::{Cases, agree};
use kroton::{
    Arg, Array, Compiler, Device, Expr, OnUnused, OptLevel, Result, cond, constant, grad, iterate,
    iterate_while_at_most, matrix, random, scalar, tensor, vector, vmap,
};
use ndarray::{Array3, array};

/// Compares all devices with the oracle for some calls.
#[track_caller]
fn check(inputs: &[&Expr], outputs: &[Expr], calls: Vec<Vec<Arg<'_>>>) {
    let compiler = Compiler::new().device(Device::Interpreter).optimize(OptLevel::None);
    let oracle = compiler.on_unused_input(OnUnused::Ignore).compile(inputs, outputs).unwrap();
    let calls = calls.into_iter().map(|args| {
        let expected: Vec<Array> = oracle.call(args.as_slice()).unwrap();
        (args, expected)
    });
    let cases: Cases<'_> = calls.collect();
    agree(inputs, outputs, &cases);
}

#[test]
fn batches_of_ops_products_and_loops() -> Result<()> {
    let (xs, ms, ns, w) = (matrix::<f32>("xs"), tensor::<f32>("ms", 3), vector::<i64>("ns"), matrix::<f32>("w"));
    let [own, shared, each, grown, halved, slopes] = vmap([&xs, &ms, &ns], |[x, m, n]| {
        let [grown] = iterate(&n, [&x], |[x]| [x * 1.25])?;
        let [halved, _] = iterate_while_at_most(
            9,
            |[y, _]| y.sum(..).abs().gt(1.0),
            [&x, &constant(0_i32)],
            |[y, k]| [y / 2.0, k + 1],
        )?;
        let loss = m.matmul(&x).sin().sum(..);
        Ok([m.matmul(&m), m.matmul(&w), w.matmul(&x) + &x, grown, halved, grad(&loss, [&x])?.remove(0)])
    })?;
    let rows = array![[0.5_f32, -1.0], [3.0, 4.0], [0.25, 0.0]];
    let matrices = Array3::from_shape_fn((3, 2, 2), |(i, j, k)| (i as f32 - j as f32 * 0.5 + k as f32 * 0.25).sin());
    let (counts, weights) = ([2_i64, 0, 5], array![[1.0_f32, 2.0], [-1.0, 0.5]]);
    let args = vec![Arg::from(&rows), Arg::from(&matrices), Arg::from(&counts), Arg::from(&weights)];
    check(&[&xs, &ms, &ns, &w], &[own, shared, each, grown, halved, slopes], vec![args]);
    let keys = vector::<u64>("keys");
    let [draws] = vmap([&keys], |[key]| [random::uniform::<f32>(&key, [5])])?;
    check(&[&keys], &[draws], vec![vec![Arg::from(&[1_u64, 2, 3])]]);
    Ok(())
}

#[test]
fn branches() -> Result<()> {
    let (p, x, m) = (scalar::<bool>("p"), vector::<f32>("x"), matrix::<f32>("m"));
    let [y, sum] = cond(
        &p,
        [&x, &m],
        |[x, m]| [m.matmul(&x), x.sum(..)],
        |[x, m]| Ok([iterate(3, [&x], |[x]| [m.matmul(x)])?[0].clone(), m.max(..)]),
    )?;
    let [number] = cond(x.sum(..).gt(1.0), [&x], |[x]| [x.max(..).sqrt()], |[x]| [x.min(..)])?;
    let slopes = grad(&(y.sin().sum(..) * &sum), [&x, &m])?;
    let outputs = [y, sum, number, slopes[0].clone(), slopes[1].clone()];
    let (vector_value, matrix_value) = ([0.5_f32, 2.0], array![[1.0_f32, 0.5], [-0.25, 2.0]]);
    let call = |p| vec![Arg::from(p), Arg::from(&vector_value), Arg::from(&matrix_value)];
    check(&[&p, &x, &m], &outputs, vec![call(&true), call(&false)]);
    Ok(())
}
