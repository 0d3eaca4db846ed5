//! Reductions of what kernels compute tile by tile, which reach beyond blocks, beside reductions of the same from memory.

mod common;

use common::scalars;
use kroton::{Arg, Array, Compiler, Expr, Function, InstructionSet, OnUnused, arange, random, scalar, vector};

/// The operands: numbers, masks, the seed of draws, and how many there are of each.
struct Operands {
    a: Expr,
    b: Expr,
    mask: Expr,
    seed: Expr,
    n: Expr,
}

impl Operands {
    fn new() -> Operands {
        let (a, b, mask) = (vector::<f32>("a"), vector::<f64>("b"), vector::<bool>("mask"));
        Operands { a, b, mask, seed: scalar::<u64>("seed"), n: scalar::<i64>("n") }
    }

    fn inputs(&self) -> Vec<&Expr> {
        vec![&self.a, &self.b, &self.mask, &self.seed, &self.n]
    }

    /// What kernels compute: functions and draws, in f32 and f64.
    fn computed(&self) -> Vec<Expr> {
        let key = random::key(&self.seed);
        let drawn = [random::uniform::<f32>(&key, [&self.n]), random::uniform::<f64>(&key, [&self.n])];
        let functions = [self.a.exp(), self.b.sin(), (&self.a * 3.0_f32).sin(), self.b.exp()];
        functions.into_iter().chain(drawn).collect()
    }

    fn reductions(&self, m: &[Expr]) -> Vec<Expr> {
        let (a, b, mask, position) = (&self.a, &self.b, &self.mask, arange(&self.n));
        vec![
            m[0].sum(..),
            m[1].argmax(..),
            m[2].argmin(..),
            (&m[2] + a).sum(..),
            m[2].gt(0.1_f32).sum(..),
            mask.select(&m[1], b).sum(..),
            (mask & m[1].gt(0.0)).sum(..),
            m[3].prod(..),
            (&m[1] * position.cast::<f64>()).sum(..),
            (&m[0] * 4.0_f32).floor().argmax(..),
            m[4].lt(0.5_f32).sum(..),
            ((&m[5] + &m[1]) * b).sum(..),
            m[1].gt(&m[5]).any(..),
            (&m[4] + &m[2]).argmin(..),
            (m[5].cast::<f32>() + &m[4]).sum(..),
            mask.select(&m[5], b).lt(0.4).sum(..),
        ]
    }
}

fn texts(results: &[Array]) -> Vec<String> {
    results.iter().map(|result| format!("{:?}", scalars(result))).collect()
}

/// All reductions in one kernel, on one thread and on three, and each by itself.
fn kernels(set: InstructionSet, operands: &Operands) -> Vec<(Function, Vec<usize>)> {
    let reductions = operands.reductions(&operands.computed());
    let compile = |threads: usize, which: &[usize]| {
        let compiler = Compiler::new().isa(set).threads(threads).parallel_threshold(1);
        let outputs: Vec<Expr> = which.iter().map(|&index| reductions[index].clone()).collect();
        (compiler.on_unused_input(OnUnused::Ignore).compile(operands.inputs(), outputs).unwrap(), which.to_vec())
    };
    let all: Vec<usize> = (0..reductions.len()).collect();
    let alone = all.iter().map(|&index| compile(1 + index % 2, &[index]));
    alone.chain([compile(1, &all), compile(3, &all)]).collect()
}

#[test]
fn tiles_that_reach_beyond_blocks_are_reduced_as_arrays() {
    let operands = Operands::new();
    let stored = [vector::<f32>("m0"), vector::<f64>("m1"), vector::<f32>("m2"), vector::<f64>("m3")];
    let stored = [&stored[..], &[vector::<f32>("m4"), vector::<f64>("m5")]].concat();
    for set in InstructionSet::ALL {
        let compiler = || Compiler::new().isa(set).threads(1).on_unused_input(OnUnused::Ignore);
        // A processor may lack some.
        let Ok(compute) = compiler().compile(operands.inputs(), operands.computed()) else { continue };
        let inputs: Vec<&Expr> = operands.inputs().into_iter().chain(&stored).collect();
        let of_stored = compiler().compile(inputs, operands.reductions(&stored)).unwrap();
        let kernels = kernels(set, &operands);
        for length in [1_usize, 33, 864, 1023, 1025, 1729, 2047, 3456, 4097, 65_535, 66_600] {
            let a: Vec<f32> = (0..length).map(|i| ((i * 7919) % 2003) as f32 / 300.0 - 3.0).collect();
            let b: Vec<f64> = (0..length).map(|i| ((i * 104_729) % 4001) as f64 / 500.0 - 4.0).collect();
            let mask: Vec<bool> = (0..length).map(|i| (i * i + i / 3) % 5 < 3).collect();
            let given: Vec<Arg> = vec![(&a).into(), (&b).into(), (&mask).into(), 11_u64.into(), (length as i64).into()];
            let arrays: Vec<Array> = compute.call(&given[..]).unwrap();
            let more: Vec<Arg> = given.iter().cloned().chain(arrays.iter().map(Arg::from)).collect();
            let expected = texts(&of_stored.call::<Vec<Array>>(&more[..]).unwrap());
            for (f, which) in &kernels {
                let got = texts(&f.call::<Vec<Array>>(&given[..]).unwrap());
                let expected: Vec<&String> = which.iter().map(|&index| &expected[index]).collect();
                assert_eq!(got.iter().collect::<Vec<_>>(), expected, "{set:?}, {length}: {which:?}");
            }
        }
    }
}
