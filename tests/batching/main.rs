//! `vmap`: a function of one element, on every engine, against calls of it for the elements one by one.

#[path = "../common/mod.rs"]
mod common;

mod gradients;
mod limits;
mod loops;
mod operands;

use common::{Argument, Layout, Random, engines, plain, scalars, steps};
use kroton::{Arg, Array, Compiler, DType, Device, Expr, OnUnused, OptLevel, Scalar, vmap};

/// Numbers of a small range, so that comparisons and loops go both ways; a NaN and an infinity among floats.
fn argument(dtype: DType, shape: &[usize], layout: Layout, seed: u64) -> Argument {
    let mut random = Random(seed);
    let count = shape.iter().product();
    let mut values: Vec<Scalar> = (0..count).map(|_| Scalar::F64(random.unit() * 4.0 + 1.0).cast(dtype)).collect();
    if dtype.is_float() && count > 9 {
        (values[4], values[7]) = (Scalar::F64(f64::NAN).cast(dtype), Scalar::F64(f64::INFINITY).cast(dtype));
    }
    Argument::new(dtype, shape, values, layout)
}

/// The same numbers without what is not finite.
fn finite(dtype: DType, shape: &[usize], seed: u64) -> Argument {
    let mut random = Random(seed);
    let values = (0..shape.iter().product()).map(|_| Scalar::F64(random.unit()).cast(dtype)).collect();
    Argument::new(dtype, shape, values, Layout::Contiguous)
}

fn element(batch: &Argument, number: usize) -> Argument {
    let count: usize = batch.shape[1..].iter().product();
    let values = batch.values[number * count..(number + 1) * count].to_vec();
    Argument::new(batch.dtype, &batch.shape[1..], values, Layout::Contiguous)
}

fn open(name: &str, like: &[usize], dtype: DType) -> Expr {
    kroton::input(name, dtype, vec![None; like.len()])
}

/// What the function gives for each element, one after the other.
fn one_by_one<const N: usize, const M: usize>(
    batches: &[Argument; N],
    shared: &[(&Expr, &Argument)],
    body: &impl Fn([Expr; N]) -> [Expr; M],
) -> Vec<Vec<Array>> {
    let elements: [Expr; N] = std::array::from_fn(|i| open(&format!("x{i}"), &batches[i].shape[1..], batches[i].dtype));
    let inputs: Vec<&Expr> = elements.iter().chain(shared.iter().map(|(expr, _)| *expr)).collect();
    let f = plain(Device::Interpreter).compile(inputs, Vec::from(body(elements.clone()))).unwrap();
    let call = |number| {
        let own: Vec<Argument> = batches.iter().map(|batch| element(batch, number)).collect();
        let args: Vec<Arg<'_>> = own.iter().chain(shared.iter().map(|(_, value)| *value)).map(Argument::arg).collect();
        f.call(args.as_slice()).unwrap()
    };
    (0..batches[0].shape[0]).map(call).collect()
}

/// Holds the batch against single calls, on every engine, at both levels and for several threads; floats may differ by
/// so many steps of their type.
#[track_caller]
fn agree_within<const N: usize, const M: usize>(
    most: u64,
    batches: [Argument; N],
    shared: &[(&Expr, &Argument)],
    body: impl Fn([Expr; N]) -> [Expr; M],
) -> Vec<Array> {
    let expected = one_by_one(&batches, shared, &body);
    let inputs: [Expr; N] = std::array::from_fn(|i| open(&format!("xs{i}"), &batches[i].shape, batches[i].dtype));
    let results = vmap(inputs.each_ref(), body).unwrap();
    let listed: Vec<&Expr> = inputs.iter().chain(shared.iter().map(|(expr, _)| *expr)).collect();
    let args: Vec<Arg<'_>> = batches.iter().chain(shared.iter().map(|(_, value)| *value)).map(Argument::arg).collect();
    let mut last: Vec<Array> = Vec::new();
    for (name, device) in engines() {
        for (level, threads) in [(OptLevel::None, 1), (OptLevel::Full, 1), (OptLevel::Full, 2), (OptLevel::Full, 8)] {
            let compiler = Compiler::new().device(device).optimize(level).threads(threads).parallel_threshold(1);
            let compiler = compiler.exclude("accuracy").on_unused_input(OnUnused::Ignore);
            let f = compiler.compile(&listed[..], Vec::from(results.clone())).unwrap();
            last = f.call(args.as_slice()).unwrap();
            for (output, got) in last.iter().enumerate() {
                assert_eq!(got.shape()[0], batches[0].shape[0], "{name}: output {output}");
                let wanted: Vec<Scalar> = expected.iter().flat_map(|row| scalars(&row[output])).collect();
                let got = scalars(got);
                assert_eq!(got.len(), wanted.len(), "{name} {level:?}: output {output}");
                for (place, (&got, &wanted)) in got.iter().zip(&wanted).enumerate() {
                    let near = common::same(got, wanted) || (got.dtype().is_float() && steps(got, wanted) <= most);
                    let plan = || f.dump(kroton::Stage::All).unwrap();
                    assert!(near, "{name} {level:?}: {output}[{place}] is {got:?}, not {wanted:?}\n{}", plan());
                }
            }
        }
    }
    last
}

#[track_caller]
fn agree<const N: usize, const M: usize>(
    batches: [Argument; N],
    shared: &[(&Expr, &Argument)],
    body: impl Fn([Expr; N]) -> [Expr; M],
) -> Vec<Array> {
    agree_within(0, batches, shared, body)
}

fn f64s(shape: &[usize], seed: u64) -> Argument {
    argument(DType::F64, shape, Layout::Contiguous, seed)
}

/// Batches as they come: several, one, none.
const SIZES: [usize; 3] = [4, 1, 0];
