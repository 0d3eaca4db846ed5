//! Host functions within calls on a GPU: the public interface has no way to make one yet.

use std::sync::Arc;

use ndarray::{Array1, Array2, array, s};

use crate::array::Array;
use crate::backend::gpu::testing;
use crate::expr::Expr;
use crate::graph::{Custom, HostFunction, Node};
use crate::runtime::{DeviceArray, Function};
use crate::{Compiler, Device, Error, Result, matrix, vector};

/// A function of the host that keeps type and shape.
fn host(name: &str, call: fn(&[f32]) -> Vec<f32>, x: &Expr) -> Expr {
    let call = move |arrays: &[Array]| {
        let values = call(arrays[0].as_slice()?);
        Array::from_slice(&values).reshape(arrays[0].shape())
    };
    let function =
        HostFunction { name: name.to_string(), infer: Box::new(|types| Ok(types[0].clone())), call: Box::new(call) };
    Expr::build(Node::Custom(Custom(Arc::new(function)), vec![x.clone()]))
}

/// Running sums, which depend on the order of the elements.
fn running(values: &[f32]) -> Vec<f32> {
    values
        .iter()
        .scan(0.0, |sum, x| {
            *sum += x;
            Some(*sum)
        })
        .collect()
}

fn on_gpu(inputs: &[Expr], outputs: impl crate::IntoOutputs) -> Result<Function> {
    Compiler::new().device(Device::Gpu).compile(inputs, outputs)
}

#[test]
fn a_host_function_between_kernels_sees_what_they_made() -> Result<()> {
    let Some(gpu) = testing::device() else { return Ok(()) };
    let x = vector::<f32>("x");
    let doubled = &x * 2.0;
    // A part of a computed array, reversed.
    let part = host("running", running, &doubled.slice(s![1..;-1]));
    let f = on_gpu(std::slice::from_ref(&x), (&part + 1.0, &doubled, &part))?;
    let before = gpu.dispatches();
    let results: (Vec<f32>, Vec<f32>, Vec<f32>) = f.call((&[1.0_f32, 2.0, 3.0],))?;
    assert_eq!(results, (vec![7.0, 11.0], vec![2.0, 4.0, 6.0], vec![6.0, 10.0]));
    let results: [DeviceArray; 3] = f.call((&DeviceArray::upload(&[1.0_f32, 2.0, 3.0])?,))?;
    assert_eq!(results[0].download::<Vec<f32>>()?, [7.0, 11.0]);
    assert_eq!(results[2].download::<Vec<f32>>()?, [6.0, 10.0]);
    assert!(gpu.dispatches() - before >= 4);
    Ok(())
}

#[test]
fn a_host_function_reads_arguments_of_any_layout() -> Result<()> {
    let Some(_gpu) = testing::device() else { return Ok(()) };
    let x = matrix::<f32>("x");
    let along_rows = host("running", running, &x.transpose());
    let flat = host("running", running, &x.reshape([-1]));
    let f = on_gpu(std::slice::from_ref(&x), (&along_rows, &flat * 1.0))?;
    let data = array![[1.0_f32, 2.0], [3.0, 4.0]];
    let expected = (array![[1.0_f32, 4.0], [6.0, 10.0]], array![1.0_f32, 3.0, 6.0, 10.0]);
    let turned = data.t().as_standard_layout().into_owned();
    assert_eq!(f.call::<(Array2<f32>, Array1<f32>)>((&data,))?, expected);
    assert_eq!(f.call::<(Array2<f32>, Array1<f32>)>((turned.t(),))?, expected);
    assert_eq!(f.call::<(Array2<f32>, Array1<f32>)>((&DeviceArray::upload(&data)?,))?, expected);
    let (empty, _): (Array2<f32>, Array1<f32>) = f.call((&Array2::<f32>::zeros((0, 2)),))?;
    assert_eq!(empty.dim(), (2, 0));
    Ok(())
}

#[test]
fn an_error_of_a_host_function_leaves_results_untouched() -> Result<()> {
    let Some(_gpu) = testing::device() else { return Ok(()) };
    let x = vector::<f32>("x");
    let f = on_gpu(std::slice::from_ref(&x), (&x + 1.0, host("short", |x| x[1..].to_vec(), &x)))?;
    let (mut sums, mut shorter) = ([7.0_f32; 2], [7.0_f32; 2]);
    let error = f.call_into((&[1.0_f32, 2.0],), (&mut sums, &mut shorter)).unwrap_err();
    assert!(matches!(error, Error::Shape(_)), "{error}");
    assert_eq!((sums, shorter), ([7.0; 2], [7.0; 2]));
    Ok(())
}

/// Host functions in the steps of a loop: they read rows and states, and write states and rows of histories.
#[test]
fn a_host_function_takes_part_in_every_step() -> Result<()> {
    let Some(gpu) = testing::device() else { return Ok(()) };
    let (x, rows) = (vector::<f32>("x"), matrix::<f32>("rows"));
    let ([last], [sums, means]) = crate::scan(&rows, [&x], |row, [x]| {
        let sums = host("running", running, &(&x + &row));
        let next = host("running", running, &sums.slice(s![..;-1])) - row.mean(..);
        ([next.clone()], [sums, host("running", running, &row) * next.max(..)])
    })?;
    let inputs = [x, rows];
    let outputs = || (&last, &sums, &means);
    let data = array![[1.0_f32, -2.0, 4.0], [0.5, 0.25, 1.0], [3.0, 0.0, -8.0]];
    let start = [1.0_f32, 2.0, -1.0];
    let oracle = Compiler::new().device(Device::Interpreter).compile(&inputs, outputs())?;
    let f = on_gpu(&inputs, outputs())?;
    for rows in [data.view(), data.t(), data.slice(s![..0, ..])] {
        let expected: (Vec<f32>, Array2<f32>, Array2<f32>) = oracle.call((&start, rows))?;
        let before = gpu.dispatches();
        assert_eq!(f.call::<(Vec<f32>, Array2<f32>, Array2<f32>)>((&start, rows))?, expected);
        assert!(gpu.dispatches() - before >= 3 * rows.nrows() as u64);
    }
    Ok(())
}

/// A guard that a host function has a say in is looked at before every step, and so is one whose steps might fail.
#[test]
fn a_host_function_sees_no_step_that_is_not_made() -> Result<()> {
    let Some(_gpu) = testing::device() else { return Ok(()) };
    fn doubled(values: &[f32]) -> Vec<f32> {
        assert!(values.iter().sum::<f32>() < 100.0);
        values.iter().map(|x| 2.0 * x).collect()
    }
    let x = vector::<f32>("x");
    let [y] = crate::iterate_while(|[x]| x.sum(..).lt(100.0), [&x], |[x]| [host("doubled", doubled, &x)])?;
    let f = on_gpu(std::slice::from_ref(&x), &y)?;
    assert_eq!(f.call::<Vec<f32>>((&[1.0_f32, 2.0],))?, [64.0, 128.0]);
    let [z] = crate::iterate(2, [&x], |[x]| [host("short", |x| x[1..].to_vec(), &x) + 1.0])?;
    let error = on_gpu(std::slice::from_ref(&x), &z)?.call::<Vec<f32>>((&[1.0_f32, 2.0],)).unwrap_err();
    assert!(matches!(error, Error::Shape(_)), "{error}");
    assert_eq!(f.call::<Vec<f32>>((&[60.0_f32, 60.0],))?, [60.0, 60.0]);
    Ok(())
}
