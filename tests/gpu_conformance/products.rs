//! Matrix products of every dtype that has them, alone and with an epilogue, of every order of axes.

use kroton::{DType, Expr, Function, Scalar, maximum};

use crate::common::gpu::Engine;
use crate::common::{Argument, Layout, Random, scalars};
use crate::views::Both;

/// Rows, inner size, columns.
const SIZES: [[usize; 3]; 9] =
    [[0, 3, 2], [3, 0, 2], [1, 1, 1], [5, 7, 3], [1, 40, 17], [16, 16, 16], [17, 33, 65], [64, 64, 64], [60, 100, 50]];

pub fn are_sums_of_products(engine: &Engine) {
    for dtype in engine.dtypes().filter(|&dtype| dtype != DType::Bool) {
        let [x, w] = ["x", "w"].map(|name| kroton::input(name, dtype, [None, None]));
        let offset = kroton::input("offset", dtype, [None]);
        let inputs = [x.clone(), w.clone(), offset.clone()];
        let outputs = [
            x.matmul(&w),
            maximum(x.matmul(&w) + &offset, 0),
            w.transpose().matmul(x.transpose()),
            x.flip(0).matmul(w.flip(1)).gt(offset.flip(0)),
        ];
        if dtype.is_float() {
            let f = engine.compiler().compile(&inputs, &outputs).unwrap();
            SIZES.iter().for_each(|&size| check_floats(engine, &f, dtype, size));
        } else {
            let both = Both::new(engine, &inputs, &outputs);
            SIZES.iter().for_each(|&size| check_integers(engine, &both, dtype, size));
        }
    }
    vectors(engine);
}

fn arguments(dtype: DType, [rows, inner, columns]: [usize; 3], random: &mut Random) -> [Argument; 3] {
    let mut draw = |shape: &[usize], layout: Layout| {
        let value = |random: &mut Random| match dtype.is_float() {
            true => Scalar::F64(random.unit()).cast(dtype),
            false => random.scalar(dtype),
        };
        let values = (0..shape.iter().product()).map(|_| value(random)).collect();
        Argument::new(dtype, shape, values, layout)
    };
    [
        draw(&[rows, inner], Layout::Transposed),
        draw(&[inner, columns], Layout::Strided),
        draw(&[columns], Layout::Contiguous),
    ]
}

fn check_integers(engine: &Engine, both: &Both, dtype: DType, size: [usize; 3]) {
    let [x, w, offset] = arguments(dtype, size, &mut Random(1));
    both.agree(engine, &[&x, &w, &offset]);
}

/// An element, and the sum of the magnitudes that make it.
fn element(x: &Argument, w: &Argument, row: usize, column: usize) -> (f64, f64) {
    let (inner, columns) = (x.shape[1], w.shape[1]);
    let term = |k: usize| x.values[row * inner + k].to_f64() * w.values[k * columns + column].to_f64();
    let terms: Vec<f64> = (0..inner).map(term).collect();
    (terms.iter().sum(), terms.iter().map(|term| term.abs()).sum())
}

fn check_floats(engine: &Engine, f: &Function, dtype: DType, size: [usize; 3]) {
    let [rows, inner, columns] = size;
    let [x, w, offset] = arguments(dtype, size, &mut Random(2));
    let results = engine.call(f, &[&x, &w, &offset]).unwrap();
    let [plain, epilogue, turned, greater] = [0, 1, 2, 3].map(|i| scalars(&results[i]));
    let epsilon = if dtype == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
        let (exact, size) = element(&x, &w, row, column);
        let bound = (inner + 1) as f64 * epsilon * (size + 1.0);
        let shift = offset.values[column].to_f64();
        let at = row * columns + column;
        let near = |got: Scalar, exact: f64| got.dtype() == dtype && (got.to_f64() - exact).abs() <= bound;
        let what = || format!("{}: {dtype} {rows}×{inner}×{columns} at ({row}, {column})", engine.name);
        assert!(near(plain[at], exact), "{}: {:?} {exact}", what(), plain[at]);
        assert!(near(epilogue[at], (exact + shift).max(0.0)), "{}: {:?}", what(), epilogue[at]);
        assert!(near(turned[column * rows + row], exact), "{}: {:?}", what(), turned[column * rows + row]);
        let mirrored = greater[(rows - 1 - row) * columns + (columns - 1 - column)];
        let decided = (exact - offset.values[column].to_f64()).abs() > bound;
        assert!(!decided || mirrored == Scalar::Bool(exact > shift), "{}: {mirrored:?}", what());
    }
    assert_eq!((plain.len(), turned.len()), (rows * columns, rows * columns));
}

/// Vectors on either side, integers bit for bit.
fn vectors(engine: &Engine) {
    let (a, x) = (kroton::matrix::<i32>("a"), kroton::vector::<i32>("x"));
    let outputs: [Expr; 3] = [a.matmul(&x), x.matmul(&a), x.dot(&x) + 1];
    let both = Both::new(engine, &[a, x], &outputs);
    for n in [1, 5, 33, 100] {
        let values = |count: usize| (0..count).map(|i| Scalar::I32(i as i32 * 7919 - 1000)).collect::<Vec<_>>();
        let a = Argument::new(DType::I32, &[n, n], values(n * n), Layout::Contiguous);
        both.agree(engine, &[&a, &Argument::vector(DType::I32, &values(n), Layout::Contiguous)]);
    }
}
