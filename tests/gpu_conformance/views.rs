//! Views, joins and packed bytes: what an expression shows of its operands, against the oracle, bit for bit.

use kroton::ops::BinaryOp;
use kroton::{DType, Device, Expr, Function, Scalar, concat, s};

use crate::common::gpu::Engine;
use crate::common::{Argument, Layout, difference, nasty, plain, scalars};

/// A function on the device, and the same by the oracle.
pub struct Both(Function, Function);

impl Both {
    pub fn new(engine: &Engine, inputs: &[Expr], outputs: &[Expr]) -> Both {
        let compile = |compiler: kroton::Compiler| compiler.compile(inputs, outputs).unwrap();
        Both(compile(engine.compiler()), compile(plain(Device::Interpreter)))
    }

    /// Both give the same bits.
    pub fn agree(&self, engine: &Engine, arguments: &[&Argument]) {
        let got = engine.call(&self.0, arguments).unwrap();
        let args: Vec<kroton::Arg<'_>> = arguments.iter().map(|argument| argument.arg()).collect();
        let expected: Vec<kroton::Array> = self.1.call(args.as_slice()).unwrap();
        for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
            assert_eq!((got.dtype(), got.shape()), (expected.dtype(), expected.shape()), "output {i}");
            if let Some(difference) = difference(&scalars(got), &scalars(expected)) {
                let kind: Vec<_> = arguments.iter().map(|x| (x.dtype, &x.shape, x.layout)).collect();
                panic!("{}: output {i} of {kind:?}: {difference}", engine.name);
            }
        }
    }
}

fn argument(dtype: DType, shape: &[usize], shift: usize, layout: Layout) -> Argument {
    let count = shape.iter().product();
    Argument::new(dtype, shape, nasty(dtype).into_iter().cycle().skip(shift).take(count).collect(), layout)
}

/// Views of matrices, and what reads them.
fn of_matrices(dtype: DType) -> (Vec<Expr>, Vec<Expr>) {
    let [a, b] = ["a", "b"].map(|name| kroton::input(name, dtype, [None, None]));
    let row = kroton::input("row", dtype, [Some(1), None]);
    let chosen = apply_eq(&a, &b).select(&row, &a);
    let flat = a.transpose().reshape([-1]);
    let outputs = vec![
        chosen,
        a.slice(s![..;-1, ..;2]),
        a.transpose(),
        apply_eq(&a.transpose(), &b.flip(..).transpose()),
        row.broadcast_to((a.shape(0), a.shape(1))),
        concat([&a, &row, &b.flip(1)], 0),
        concat([&a.flip(0), &b], 1).slice(s![.., ..;-3]),
        flat.slice(s![..;-2]),
        a.reshape((a.shape(1), a.shape(0))),
        apply_eq(&a.expand_dims(1), &b.slice(s![..;-1, ..]).expand_dims(2).permute([0, 2, 1])),
    ];
    (vec![a, b, row], outputs)
}

fn apply_eq(a: &Expr, b: &Expr) -> Expr {
    kroton::expr::apply_binary(BinaryOp::Eq, a, b)
}

/// Views of arrays of three axes, none of which runs on in another.
fn of_three_axes(dtype: DType) -> (Vec<Expr>, Vec<Expr>) {
    let x = kroton::input("x", dtype, [None, None, None]);
    let column = kroton::input("column", dtype, [None, Some(1), None]);
    let outputs = vec![
        x.permute([2, 0, 1]),
        x.permute([1, 2, 0]).slice(s![..;2, .., ..;-1]),
        apply_eq(&x.slice(s![..;-1, ..;2, ..]).permute([1, 0, 2]), &column.permute([1, 0, 2])),
        column.broadcast_to((x.shape(0), x.shape(1), x.shape(2))).permute([2, 1, 0]),
        x.slice(s![.., -1, ..]),
        concat([&x, &column], 1).permute([0, 2, 1]),
    ];
    (vec![x, column], outputs)
}

pub fn show_what_they_should(engine: &Engine) {
    let is_taken = |dtype: &DType| engine.is_whole() || [DType::Bool, DType::F32, DType::I64].contains(dtype);
    for dtype in engine.dtypes().filter(is_taken) {
        let (inputs, outputs) = of_matrices(dtype);
        let matrices = Both::new(engine, &inputs, &outputs);
        for (i, [rows, columns]) in MATRICES.into_iter().enumerate() {
            for layout in [Layout::ALL[i % 5], Layout::ALL[(i + 2) % 5]] {
                let a = argument(dtype, &[rows, columns], 0, layout);
                let b = argument(dtype, &[rows, columns], 1, Layout::Contiguous);
                let row = argument(dtype, &[1, columns], 2, layout);
                matrices.agree(engine, &[&a, &b, &row]);
            }
        }
        let (inputs, outputs) = of_three_axes(dtype);
        let cubes = Both::new(engine, &inputs, &outputs);
        for (i, [p, q, r]) in [[1, 1, 1], [2, 3, 5], [7, 4, 33], [3, 1, 70], [20, 30, 40]].into_iter().enumerate() {
            let layout = Layout::ALL[i % 5];
            let x = argument(dtype, &[p, q, r], 0, layout);
            cubes.agree(engine, &[&x, &argument(dtype, &[p, 1, r], 1, Layout::Contiguous)]);
        }
    }
}

/// The last is larger than a binding of the smallest device.
const MATRICES: [[usize; 2]; 9] = [[0, 3], [3, 0], [1, 1], [1, 37], [37, 1], [5, 37], [19, 17], [64, 65], [150, 120]];

/// Results of one byte: four to a word, of any length, at any place of a word.
pub fn bytes_are_packed(engine: &Engine) {
    let (x, y) = (kroton::vector::<i32>("x"), kroton::vector::<i32>("y"));
    let (bools, bytes) = (x.lt(3), y.cast::<i8>());
    let outputs = vec![
        bools.clone(),
        bytes.clone(),
        (&y * 3).cast::<u8>(),
        concat([&bools, &y.gt(1), &!&bools], 0),
        concat([&bytes, &(&bytes * &bytes), &x.cast::<i8>()], 0).flip(0),
        bools.slice(s![..;-1]),
        concat([&bytes.slice(s![..;2]), &bytes.slice(s![..;3])], 0).flip(0),
    ];
    let both = Both::new(engine, &[x, y], &outputs);
    for length in 0..=67_usize {
        let values =
            |step: i64| (0..length as i64).map(|i| Scalar::I32((i * step % 11 - 4) as i32)).collect::<Vec<_>>();
        let [x, y] = [3, 7].map(|step| Argument::vector(DType::I32, &values(step), Layout::Contiguous));
        both.agree(engine, &[&x, &y]);
    }
}
