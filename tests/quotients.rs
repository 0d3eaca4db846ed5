//! `floor_div` and `%` where kernels compute them: with operands of all kinds, in reductions, row blocks, slices and loops.

mod common;

use common::{Argument, Layout, Random, nasty, same, scalars};
use kroton::{Arg, Array, Compiler, DType, Device, Error, Expr, InstructionSet, Scalar, input, iterate, select};

/// Rows and columns: no whole number of vectors, chunks or tiles.
const SHAPE: [usize; 2] = [37, 53];

const DTYPES: [DType; 8] =
    [DType::F32, DType::F64, DType::I8, DType::U8, DType::I32, DType::U32, DType::I64, DType::U64];

/// What is computed of a matrix, a row, and a number.
fn quotients(x: &Expr, row: &Expr, k: &Expr) -> Vec<Expr> {
    let every_second = x.slice_axis(1, 0, x.shape(1), 2);
    let [looped] = iterate(3, [x], |[x]| [(&x * 3 + 1).rem(row) + x.floor_div(k)]).unwrap();
    vec![
        x.rem(row),
        row.floor_div(x),
        x.rem(k) + k.floor_div(x),
        x.rem(7) + x.floor_div(3),
        select(x.rem(3).eq(1), x.floor_div(row), x),
        x.rem(k).rem(row).floor_div(5),
        every_second.floor_div(k),
        x.rem(k).sum(..),
        x.floor_div(row).max(0),
        x.rem(row).sum(1),
        x.rem(7).eq(2).sum(0),
        x.rem(k).argmax(1),
        x.rem(k) - x.rem(k).max_keepdims(1),
        looped,
    ]
}

/// The same by constants, which need no kernel, and beside others that do.
fn quotients_by_constants(x: &Expr, row: &Expr) -> Vec<Expr> {
    let [looped] = iterate(3, [x], |[x]| [(&x * 3 + 1).rem(5) + x.floor_div(8)]).unwrap();
    let (strided, narrow) = (x.slice_axis(1, 0, x.shape(1), 3), x.cast::<u8>());
    vec![
        x.rem(10),
        x.floor_div(8),
        (x + x).floor_div(3) + (x * x).rem(100),
        x.rem(64).argmax(1),
        x.rem(10).sum(0),
        x.floor_div(3).max(..),
        (x.rem(7) + x.rem(row)).sum(1),
        x.rem(12).cast::<f64>().max(..),
        strided.rem(9).min(0),
        select(x.rem(2).eq(0), x.floor_div(2), x * 3 + 1),
        narrow.cast::<f32>().max(0),
        (narrow.cast::<f64>() * 0.5).sum(1),
        narrow.cast::<f32>().argmin(1),
        (&narrow - 1).abs().cast::<i32>() + narrow.shl(3),
        looped,
    ]
}

/// Small numbers, with some that kernels do not serve.
fn numbers(dtype: DType, count: usize, random: &mut Random) -> Vec<Scalar> {
    let nasty = nasty(dtype);
    let mut number = |_| match random.below(40) {
        0 => nasty[random.below(nasty.len())],
        _ => Scalar::F64(random.unit() * 200.0 - 60.0).cast(dtype),
    };
    (0..count).map(&mut number).collect()
}

#[test]
fn quotients_are_those_of_the_interpreter_wherever_they_stand() {
    let mut random = Random(7);
    for dtype in DTYPES {
        let (x, row, k) = (input("x", dtype, [None; 2]), input("row", dtype, [None]), input("k", dtype, []));
        let mut outputs = quotients(&x, &row, &k);
        outputs.extend(quotients_by_constants(&x, &row));
        let arguments = [
            Argument::new(dtype, &SHAPE, numbers(dtype, SHAPE[0] * SHAPE[1], &mut random), Layout::Contiguous),
            Argument::new(dtype, &SHAPE[1..], numbers(dtype, SHAPE[1], &mut random), Layout::Contiguous),
            Argument::new(dtype, &[], vec![Scalar::I64(11).cast(dtype)], Layout::Contiguous),
        ];
        let args: Vec<Arg<'_>> = arguments.iter().map(Argument::arg).collect();
        let call = |compiler: Compiler, index: usize| -> Option<Vec<Scalar>> {
            let compiler = compiler.on_unused_input(kroton::OnUnused::Ignore);
            let result: Array = match compiler.compile([&x, &row, &k], &outputs[index]) {
                Ok(function) => function.call(&args[..]).unwrap(),
                // What the processor does not have.
                Err(Error::Unsupported(_)) => return None,
                Err(error) => panic!("{error}"),
            };
            Some(scalars(&result))
        };
        for index in 0..outputs.len() {
            let want = call(Compiler::new().device(Device::Interpreter), index).unwrap();
            for set in InstructionSet::ALL {
                let threads = 1 + 2 * (index % 2);
                let compiler = Compiler::new().isa(set).threads(threads).parallel_threshold(1);
                // A processor may lack some.
                let Some(got) = call(compiler, index) else { continue };
                let equal = got.iter().zip(&want).all(|(&got, &want)| same(got, want));
                assert!(equal, "{set:?} {dtype} output {index}, {threads} threads: {got:?}, not {want:?}");
            }
        }
    }
}
