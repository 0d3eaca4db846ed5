//! Row blocks against the oracle and against kernels that run whole: the same bits for any ranges of rows, threads,
//! layouts and sizes.

use kroton::{Arg, Array, Compiler, Device, Expr, Function, OptLevel, Stage, arange, grad, matrix, tensor, vector};
use ndarray::{Array2, ArrayD, ArrayViewD, Axis, IxDyn, Slice, arr0, s};

/// Bytes that give ranges of a single row, of a few, and of uneven many.
const BYTES: [usize; 5] = [1, 100, 500, 2_000, 9_000];

fn numbers(shape: &[usize]) -> ArrayD<f64> {
    let mut state = 7_u64;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / 1e6 - 8.0
    })
}

/// As written, so that the oracle has the same bits.
fn compiler() -> Compiler {
    Compiler::new().optimize(OptLevel::None)
}

fn bits(array: &Array) -> Vec<Option<u64>> {
    let canonical = |value: f64| (!value.is_nan()).then_some(value.to_bits());
    array.as_slice::<f64>().unwrap().iter().copied().map(canonical).collect()
}

/// A function on the oracle, and every way to run it in ranges of rows.
struct Case {
    oracle: Function,
    ways: Vec<(String, Function)>,
}

impl Case {
    fn new(inputs: &[Expr], outputs: &[Expr]) -> Case {
        let compile = |compiler: Compiler| compiler.compile(inputs, outputs).unwrap();
        let oracle = compile(compiler().device(Device::Interpreter));
        let apart = ("apart".to_string(), compile(compiler().row_bytes(0)));
        let mut ways = vec![apart, ("whole".to_string(), compile(compiler().row_bytes(usize::MAX)))];
        for bytes in BYTES {
            for (device, threads) in [(Device::Cpu, 1), (Device::Cpu, 3), (Device::Loops, 1)] {
                let f = compile(compiler().device(device).threads(threads).row_bytes(bytes));
                let plan = f.dump(Stage::Schedule).unwrap();
                assert!(plan.contains("by rows"), "{plan}");
                ways.push((format!("{device:?}, {threads} threads, {bytes} bytes"), f));
            }
        }
        Case { oracle, ways }
    }

    #[track_caller]
    fn check(&self, arrays: &[ArrayViewD<'_, f64>]) {
        let args: Vec<Arg<'_>> = arrays.iter().map(Arg::from).collect();
        let expected: Vec<Array> = self.oracle.call(args.as_slice()).unwrap();
        for (name, f) in &self.ways {
            let got: Vec<Array> = f.call(args.as_slice()).unwrap();
            for (got, expected) in got.iter().zip(&expected) {
                assert_eq!(got.shape(), expected.shape());
                assert!(bits(got) == bits(expected), "{name}, {:?}", got.shape());
            }
        }
    }
}

/// A matrix of several sizes and layouts: empty ones, single rows and columns, turned, reversed, with gaps, repeated.
fn on_matrices(check: impl Fn(ArrayViewD<'_, f64>)) {
    for (rows, columns) in [(3, 4), (1, 5), (5, 1), (0, 3), (70, 9), (130, 3), (2, 1500)] {
        let x = numbers(&[rows, columns]);
        check(x.view());
        let turned = numbers(&[columns, rows]);
        check(turned.t());
        let mut wide = numbers(&[2 * rows + 1, 3 * columns + 1]);
        wide.slice_axis_inplace(Axis(0), Slice::new(1, None, 2));
        wide.slice_axis_inplace(Axis(1), Slice::new(1, None, -3));
        check(wide.slice_axis(Axis(1), Slice::from(..columns)));
        wide.invert_axis(Axis(0));
        check(wide.slice_axis(Axis(1), Slice::from(..columns)));
        check(arr0(2.5).broadcast(IxDyn(&[rows, columns])).unwrap());
    }
}

#[test]
fn softmax_and_its_kin_have_the_same_bits_in_ranges() {
    let x = matrix::<f64>("x");
    let outputs = [x.softmax(1), x.log_softmax(1), x.logsumexp(1)];
    let case = Case::new(&[x], &outputs);
    on_matrices(|array| case.check(&[array]));
}

#[test]
fn layernorm_reads_vectors_beside_its_rows() {
    let inputs = [matrix::<f64>("x"), vector::<f64>("g"), vector::<f64>("b")];
    let [x, g, b] = &inputs;
    let normal = (x - x.mean_keepdims(1)) / (x.var_keepdims(1) + 1e-5).sqrt();
    let case = Case::new(&inputs, &[&normal * g + b, x.mean(1)]);
    on_matrices(|array| {
        let (g, b) = (numbers(&[array.shape()[1]]), numbers(&[2 * array.shape()[1]]));
        let b = b.slice_axis(Axis(0), Slice::new(0, None, -2));
        case.check(&[array, g.view(), b]);
    });
}

/// Several leading axes, one of them of size 1, and one that is turned.
#[test]
fn many_axes_are_cut_at_any_of_them() {
    let x = tensor::<f64>("x", 4);
    let outputs = [x.softmax(-1), x.permute([1, 0, 2, 3]).softmax([2, 3])];
    let case = Case::new(&[x], &outputs);
    for shape in [[2, 3, 4, 5], [1, 7, 1, 40], [9, 2, 3, 1], [2, 0, 3, 4], [40, 1, 2, 2]] {
        let mut array = numbers(&shape);
        case.check(&[array.view()]);
        array.swap_axes(2, 3);
        array.invert_axis(Axis(1));
        case.check(&[array.view()]);
    }
}

/// Exponentials that are a result too, positions of rows, and results that are read again.
#[test]
fn results_inside_a_block_and_positions_move_with_the_rows() {
    let x = matrix::<f64>("x");
    let e = (&x - x.max_keepdims(1)).exp();
    let rows = arange(x.mean(1).len()).cast::<f64>().expand_dims(1);
    let weighted = &e / e.sum_keepdims(1) * (&rows + 1.0);
    let outputs = [e, weighted.clone(), (&weighted - weighted.mean_keepdims(1)).slice(s![.., ..;-1])];
    let case = Case::new(&[x], &outputs);
    on_matrices(|array| case.check(&[array]));
}

/// A chain that is too long for one kernel.
#[test]
fn chains_of_kernels_are_cut_too() {
    let x = vector::<f64>("x");
    let y = (0..700).fold(x.clone(), |y, k| y * 0.75 + f64::from(k));
    let case = Case::new(&[x], &[y]);
    for n in [0, 1, 63, 1000, 5001] {
        let array = numbers(&[n]);
        case.check(&[array.view()]);
        case.check(&[array.slice_axis(Axis(0), Slice::new(0, None, -1))]);
    }
}

#[test]
fn results_may_have_gaps_and_the_callers_pool_runs_the_ranges() {
    let x = matrix::<f64>("x");
    let array = numbers(&[300, 40]).into_dimensionality().unwrap();
    let array: &Array2<f64> = &array;
    let whole: Array2<f64> =
        compiler().row_bytes(usize::MAX).compile([&x], x.softmax(1)).unwrap().call((array,)).unwrap();
    let f = compiler().row_bytes(3000).compile([&x], x.softmax(1)).unwrap();
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut out = Array2::<f64>::zeros((80, 300));
        let place = out.slice_mut(s![..;-2, ..]).reversed_axes();
        pool.install(|| f.call_into((array,), (place,))).unwrap();
        assert_eq!(out.slice(s![..;-2, ..]).t(), whole);
        assert_eq!(out.slice(s![..;2, ..]).sum(), 0.0);
    }
}

/// Results that bypass the cache, in rows that begin anywhere, and one that is read again.
#[test]
fn results_too_large_for_the_cache() {
    let x = matrix::<f64>("x");
    let powers = (&x - x.max_keepdims(1)).exp();
    let shares = &powers / powers.sum_keepdims(1);
    let compile = |compiler: Compiler| compiler.compile([&x], [&powers, &shares]).unwrap();
    let apart = compile(compiler().row_bytes(0));
    let array = numbers(&[1100, 1951]);
    let expected: [Array; 2] = apart.call((&array,)).unwrap();
    for threads in [1, 2] {
        let got: [Array; 2] = compile(compiler().threads(threads)).call((&array,)).unwrap();
        for (got, expected) in got.iter().zip(&expected) {
            assert!(bits(got) == bits(expected), "{threads}");
        }
    }
}

/// A function with products that sum over the rows of a matrix, in ranges of rows and whole, beside the same function whose
/// products are not in row blocks. All of the first have the same bits.
fn products_in_ranges(name: &str, inputs: &[Expr], outputs: &[Expr], arguments: &[&[ArrayViewD<'_, f64>]]) {
    let compile = |compiler: Compiler| compiler.compile(inputs, outputs).unwrap();
    let apart = compile(Compiler::new().row_bytes(0));
    let way = |threads: usize, bytes: usize| compile(Compiler::new().threads(threads).row_bytes(bytes));
    let ways =
        [(1, usize::MAX), (3, usize::MAX), (1, 1), (3, 1), (1, 300_000), (2, 300_000)].map(|(threads, bytes)| {
            let f = way(threads, bytes);
            let plan = f.dump(Stage::Schedule).unwrap();
            assert!(plan.contains("sums over them"), "{name}: {plan}");
            f
        });
    for arrays in arguments {
        let args: Vec<Arg<'_>> = arrays.iter().map(Arg::from).collect();
        let near: Vec<Array> = apart.call(args.as_slice()).unwrap();
        let got = ways.each_ref().map(|f| f.call::<Vec<Array>>(args.as_slice()).unwrap());
        let shape = arrays[0].shape();
        for number in 0..outputs.len() {
            assert_eq!(got[0][number].shape(), near[number].shape());
            for other in &got {
                assert!(bits(&other[number]) == bits(&got[0][number]), "{name} {number} {shape:?}");
            }
            let [a, b] = [&got[0][number], &near[number]].map(|array| array.as_slice::<f64>().unwrap());
            let scale = b.iter().filter(|x| x.is_finite()).fold(1.0, |scale: f64, x| scale.max(x.abs()));
            let is_near = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-11 * scale;
            assert!(a.iter().zip(b).all(is_near), "{name} {number} {shape:?}: {a:?} is far from {b:?}");
        }
    }
}

/// A matrix of each size in each layout, with a vector of its rows and one of its columns.
fn regressions(check: impl Fn(&[&[ArrayViewD<'_, f64>]])) {
    for (rows, columns) in
        [(5000, 50), (9001, 3), (4096, 1), (3000, 17), (0, 4), (7, 0), (1, 5), (300, 300), (2561, 50)]
    {
        let (x, turned) = (numbers(&[rows, columns]), numbers(&[columns, rows]));
        let mut sparse = numbers(&[2 * rows + 1, 2 * columns + 1]);
        sparse.slice_axis_inplace(Axis(0), Slice::new(1, None, 2));
        sparse.slice_axis_inplace(Axis(1), Slice::new(1, None, -2));
        let mut broken = x.clone();
        if let Some(value) = broken.last_mut() {
            *value = f64::NAN;
        }
        if let Some(value) = broken.first_mut() {
            *value = f64::INFINITY;
        }
        let (y, w) = (numbers(&[rows]).mapv(f64::signum), numbers(&[columns]) / 100.0);
        let [y, w] = [y.view(), w.view()];
        let all = [x.view(), turned.t(), sparse.view(), broken.view()].map(|x| [x, y.clone(), w.clone()]);
        check(&all.each_ref().map(|arrays| arrays.as_slice()));
    }
}

#[test]
fn regressions_read_their_matrix_once() {
    let inputs = [matrix::<f64>("x"), vector::<f64>("y"), vector::<f64>("w")];
    let [x, y, w] = &inputs;
    let losses = [
        ("logistic", (-y * x.dot(w)).softplus().mean(..)),
        ("least squares", (x.dot(w) - y).square().mean(..)),
        ("Poisson", ((x.dot(w) / 50.0).exp() - y * x.dot(w) / 50.0).sum(..)),
    ];
    for (name, loss) in losses {
        let slope = grad(&loss, [w]).unwrap().remove(0);
        regressions(|arguments| products_in_ranges(name, &inputs, &[loss.clone(), slope.clone()], arguments));
    }
    // The vector may come first, on either side.
    let residuals = w.dot(x.transpose()) - y;
    let outputs = [residuals.dot(x), residuals.dot(x * 2.0), x.transpose().dot(&residuals), residuals.clone()];
    regressions(|arguments| products_in_ranges("sides", &inputs, &outputs, arguments));
}
