//! The pinned programs of the public interface, written as its page writes them.
//!
//! What compiles here must go on compiling; what it computes is asserted. Parts of the interface that belong to later
//! work (gradients, random numbers, the GPU) are not here.

use kroton::{
    Arg, Array, Compiler, DType, Expr, Function, OnUnused, Stage, compile, constant, matrix, s, scalar, tensor, vector,
};
use ndarray::{Array1, Array2, ArrayD, ArrayView1, arr0, array};

type Test = kroton::Result<()>;

#[test]
fn build() {
    let a = vector::<f64>("a"); // rank 1, any length
    let x = matrix::<f32>("x"); // rank 2
    let t = tensor::<f64>("t", 3); // rank 3
    let s = scalar::<f64>("s"); // rank 0
    let fixed = kroton::input("img", DType::F32, [None, Some(3)]); // second dimension known at compile time
    let column = kroton::input("c", DType::F64, [None, Some(1)]); // statically 1: broadcasts
    let c = constant(2.5_f64);
    let i = kroton::arange(10_i64);
    let ranks = [&a, &x, &t, &s, &fixed, &column, &c, &i].map(Expr::rank);
    assert_eq!(ranks, [1, 2, 3, 0, 2, 2, 0, 1]);
    assert_eq!(constant(&[1.0, 2.0][..]).rank(), 1);
    assert_eq!(constant(vec![1_i32, 2]).dtype(), DType::I32);
    assert_eq!(constant(array![[1.0_f32], [2.0]]).rank(), 2);
    assert_eq!(i.dtype(), DType::I64);
}

#[test]
fn sum_of_squares() -> Test {
    let a = vector::<f64>("a");
    let b = vector::<f64>("b");
    let f = compile([&a, &b], &a * &a + &b * &b)?; // inputs, outputs
    let y: Array1<f64> = f.call((&[0.0, 1.0, 2.0], &[3.0, 4.0, 5.0]))?;
    assert_eq!(y, array![9.0, 17.0, 29.0]);
    Ok(())
}

#[test]
fn hits_of_a_circle() -> Test {
    let (xs, ys) = (vec![0.5, -0.5, 0.9, -1.0], vec![0.5, -0.5, 0.9, 0.0]);
    let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
    let hits = (&x * &x + &y * &y).lt(1.0).sum(..);
    let pi = compile([&x, &y], 4.0 * hits / x.len())?;
    let estimate: f64 = pi.call((&xs, &ys))?;
    assert_eq!(estimate, 2.0);
    Ok(())
}

#[test]
fn several_outputs() -> Test {
    let x = vector::<f64>("x");
    let xs = vec![1.0, 5.0, 2.0];
    let both = compile([&x], (x.sum(..), x.max(..)))?; // several outputs: tuples, arrays, Vec<Expr>
    let (sum, max): (f64, f64) = both.call((&xs,))?;
    assert_eq!((sum, max), (8.0, 5.0));
    let [sum, max]: [f64; 2] = compile([&x], [x.sum(..), x.max(..)])?.call((&xs,))?;
    assert_eq!((sum, max), (8.0, 5.0));
    let arrays: Vec<Array> = compile([&x], vec![x.sum(..), &x + 1.0])?.call((&xs,))?;
    assert_eq!(arrays[1].as_slice::<f64>()?, [2.0, 6.0, 3.0]);
    let (plus, sum): (Vec<f64>, f64) = compile([&x], (&x + 1.0, x.sum(..)))?.call((&xs,))?;
    assert_eq!((plus, sum), (vec![2.0, 6.0, 3.0], 8.0));
    Ok(())
}

#[test]
fn no_inputs_no_outputs() -> Test {
    let nothing = compile([], ())?;
    nothing.call::<()>(())?;
    let seven: i64 = compile([], constant(7_i64))?.call(())?;
    assert_eq!(seven, 7);
    let numbers: Vec<i64> = compile((), kroton::arange(3))?.call(())?;
    assert_eq!(numbers, [0, 1, 2]);
    Ok(())
}

#[test]
fn scalars_by_value_convert_exactly() -> Test {
    let x = scalar::<f64>("x");
    let f = compile([&x], &x + 0.5)?;
    for y in [f.call::<f64>((5,))?, f.call((5_u8,))?, f.call((5.0_f32,))?, f.call((&5.0_f64,))?] {
        assert_eq!(y, 5.5);
    }
    assert!(f.call::<f64>((9_007_199_254_740_993_i64,)).is_err(), "2^53 + 1 is no f64");
    let n = scalar::<u8>("n");
    let g = compile([&n], &n + 1)?;
    assert_eq!(g.call::<u8>((255_i64,))?, 0);
    assert!(g.call::<u8>((256,)).is_err());
    assert!(g.call::<u8>((1.5,)).is_err());
    let strict = compile([&n], &n + 1)?.call::<u8>((&arr0(1_i64),));
    assert!(strict.is_err(), "arrays are strict, also those of rank 0");
    Ok(())
}

#[test]
fn arguments_of_every_kind() -> Test {
    let x = vector::<f64>("x");
    let f = compile([&x], x.sum(..))?;
    let data = vec![1.0, 2.0, 3.0];
    let array = Array1::from(data.clone());
    let pooled = Array::from_slice(&data);
    let sums: [f64; 8] = [
        f.call((&data,))?,
        f.call((&data[..],))?,
        f.call((&[1.0, 2.0, 3.0],))?,
        f.call((&array,))?,
        f.call((&array.view(),))?,
        f.call((array.view(),))?,
        f.call((&pooled,))?,
        f.call(&[Arg::from(&data)][..])?,
    ];
    assert_eq!(sums, [6.0; 8]);
    let donated: f64 = f.call((pooled.clone(),))?;
    assert_eq!(donated, 6.0);
    assert_eq!(pooled.as_slice::<f64>()?, data, "a clone keeps its elements");
    Ok(())
}

#[test]
fn views_of_any_stride() -> Test {
    let x = matrix::<f64>("x");
    let f = compile([&x], 10.0 * &x)?;
    let data = Array2::from_shape_fn((4, 6), |(i, j)| (10 * i + j) as f64);
    for view in [
        data.view(),
        data.t(),
        data.slice(s![..;-1, ..]),
        data.slice(s![1..;2, ..;-3]),
        data.slice(s![..0, ..]),
        data.slice(s![0..1, ..]).broadcast((5, 6)).unwrap(),
    ] {
        let y: Array2<f64> = f.call((&view,))?;
        assert_eq!(y, &view * 10.0);
        let y: ArrayD<f64> = f.call((view,))?;
        assert_eq!(y, (&view * 10.0).into_dyn());
    }
    let v = vector::<f64>("v");
    let zero = arr0(3.0);
    let repeated: ArrayView1<'_, f64> = zero.broadcast(1000).unwrap();
    assert_eq!(compile([&v], v.sum(..))?.call::<f64>((&repeated,))?, 3000.0);
    Ok(())
}

#[test]
fn results_of_every_kind() -> Test {
    let x = matrix::<i32>("x");
    let f = compile([&x], &x * 2)?;
    let data = array![[1, 2], [3, 4]];
    assert_eq!(f.call::<Array2<i32>>((&data,))?, array![[2, 4], [6, 8]]);
    assert_eq!(f.call::<ArrayD<i32>>((&data,))?.shape(), [2, 2]);
    assert_eq!(f.call::<Array>((&data,))?.as_slice::<i32>()?, [2, 4, 6, 8]);
    assert_eq!(f.call::<(Array,)>((&data,))?.0.shape(), [2, 2]);
    assert_eq!(f.call::<[Array2<i32>; 1]>((&data,))?[0][[1, 1]], 8);
    assert_eq!(f.call::<Vec<Array>>((&data,))?.len(), 1);
    Ok(())
}

#[test]
fn call_into_the_callers_memory() -> Test {
    let x = vector::<f64>("x");
    let f = compile([&x], (&x * 2.0, x.sum(..)))?;
    let xs = [1.0, 2.0, 3.0];
    let (mut out, mut sum) = ([0.0; 3], 0.0);
    f.call_into((&xs,), (&mut out, &mut sum))?;
    assert_eq!((out, sum), ([2.0, 4.0, 6.0], 6.0));
    let mut vector = vec![0.0; 3];
    f.call_into((&xs,), (&mut vector, &mut sum))?;
    assert_eq!(vector, [2.0, 4.0, 6.0]);
    let mut wide = Array2::<f64>::zeros((3, 2));
    f.call_into((&xs,), (wide.column_mut(1), &mut sum))?;
    assert_eq!(wide, array![[0.0, 2.0], [0.0, 4.0], [0.0, 6.0]]);
    f.call_into((&xs,), (wide.slice_mut(s![..;-1, 0]), &mut sum))?;
    assert_eq!(wide.column(0), array![6.0, 4.0, 2.0]);
    let (mut pooled, mut total) = (Array::from_slice(&[0.0; 3]), Array::zeros(DType::F64, &[])?);
    f.call_into((&xs,), (&mut pooled, &mut total))?;
    assert_eq!((pooled.as_slice::<f64>()?, total.as_slice::<f64>()?), (&[2.0, 4.0, 6.0][..], &[6.0][..]));
    Ok(())
}

#[test]
fn weak_scalars_take_the_dtype_of_the_other_side() {
    let (x, n, i) = (vector::<f32>("x"), vector::<u8>("n"), vector::<i64>("i"));
    let dtypes = [
        2.0 * &x,
        &x + 1,
        1 - &x,
        &n + 1,
        &n * 2.0,
        &i + 2.5,
        &x.sum(..) / x.len(),
        &i / 2,
        &i + &x,
        &n + &x,
        &i + vector::<u64>("u"),
    ]
    .map(|expr| expr.dtype());
    use DType::{F32, F64, U8};
    assert_eq!(dtypes, [F32, F32, F32, U8, F64, F64, F32, F64, F64, F32, F64]);
    assert_eq!((&x + constant(1.0_f64)).dtype(), F64, "constants are strong");
}

#[test]
fn operators_and_their_values() -> Test {
    let (a, b) = (vector::<i64>("a"), vector::<i64>("b"));
    let outputs = vec![
        &a + &b,
        &a - &b,
        &a * &b,
        &a % &b,
        -&a,
        &a & &b,
        &a | &b,
        &a ^ &b,
        !&a,
        &a << &b,
        &a >> &b,
        a.floor_div(&b),
    ];
    let f = compile([&a, &b], outputs)?;
    let results: Vec<Array> = f.call((&[-7_i64, 7], &[2_i64, 0]))?;
    let values: Vec<&[i64]> = results.iter().map(|y| y.as_slice::<i64>()).collect::<kroton::Result<_>>()?;
    let expected: [[i64; 2]; 12] = [
        [-5, 7],
        [-9, 7],
        [-14, 0],
        [1, 0],
        [7, -7],
        [-7 & 2, 0],
        [-7 | 2, 7],
        [-7 ^ 2, 7],
        [6, -8],
        [-28, 7],
        [-2, 7],
        [-4, 0],
    ];
    assert_eq!(values, expected);
    let quotient: Vec<f64> = compile([&a, &b], &a / &b)?.call((&[1_i64, 1], &[2_i64, 0]))?;
    assert_eq!(quotient, [0.5, f64::INFINITY], "`/` is true division");
    let free: Vec<f64> = compile([&a], kroton::exp(&a))?.call((&[0_i64],))?;
    assert_eq!(free, [1.0]);
    Ok(())
}

#[test]
fn broadcasting_needs_a_static_one() -> Test {
    let (x, row) = (matrix::<f64>("x"), kroton::input("row", DType::F64, [Some(1), None]));
    let f = compile([&x, &row], &x + &row)?;
    let y: Array2<f64> = f.call((&array![[1.0, 2.0], [3.0, 4.0]], &array![[10.0, 20.0]]))?;
    assert_eq!(y, array![[11.0, 22.0], [13.0, 24.0]]);
    let centered = compile([&x], &x - x.sum_keepdims(1) / 2.0)?;
    let y: Array2<f64> = centered.call((&array![[1.0, 3.0], [5.0, 9.0]],))?;
    assert_eq!(y, array![[-1.0, 1.0], [-2.0, 2.0]]);
    let v = vector::<f64>("v");
    let outer: Array2<f64> = compile([&v], v.expand_dims(1) * &v)?.call((&[1.0, 2.0],))?;
    assert_eq!(outer, array![[1.0, 2.0], [2.0, 4.0]]);
    Ok(())
}

/// Slices mean what they mean in ndarray.
#[test]
fn slices_are_ndarrays() -> Test {
    let x = matrix::<i64>("x");
    let data = Array2::from_shape_fn((5, 7), |(i, j)| (10 * i + j) as i64);
    macro_rules! check {
        ($($slice:expr;)*) => { $( {
            let y: ArrayD<i64> = compile([&x], x.slice($slice))?.call((&data,))?;
            assert_eq!(y, data.slice($slice).into_dyn(), stringify!($slice));
        } )* };
    }
    check! {
        s![.., ..];
        s![1.., ..];
        s![..-1, 2..5];
        s![-2.., ..;2];
        s![..;-1, ..;-2];
        s![1..4;-2, 3];
        s![-1, ..];
        s![2, -3];
        s![0..0, ..];
        s![.., 6..7];
    }
    Ok(())
}

#[test]
fn shapes_change() -> Test {
    let x = matrix::<i64>("x");
    let data = array![[1, 2, 3], [4, 5, 6]];
    let run = |y: &Expr| -> kroton::Result<ArrayD<i64>> { compile([&x], y)?.call((&data,)) };
    assert_eq!(run(&x.reshape((x.len(), 1)))?.shape(), [6, 1]);
    assert_eq!(run(&x.reshape([3, -1]))?, array![[1, 2], [3, 4], [5, 6]].into_dyn());
    assert_eq!(run(&x.transpose())?, data.t().into_dyn());
    assert_eq!(run(&x.permute([1, 0]))?, data.t().into_dyn());
    assert_eq!(run(&x.flip(0))?, data.slice(s![..;-1, ..]).into_dyn());
    assert_eq!(run(&x.expand_dims(0).squeeze(0))?, data.clone().into_dyn());
    assert_eq!(run(&x.slice_axis(1, 1, x.shape(1), 1))?, data.slice(s![.., 1..]).into_dyn());
    assert_eq!(run(&x.slice(s![.., ..2]).reshape([-1]))?, array![1, 2, 4, 5].into_dyn());
    assert_eq!(run(&kroton::concat([&x, &x], 0))?.shape(), [4, 3]);
    assert_eq!(run(&kroton::stack([&x, &x], 0))?.shape(), [2, 2, 3]);
    assert_eq!(run(&x.sum(1).broadcast_to((2, 2)))?, array![[6, 15], [6, 15]].into_dyn());
    assert_eq!(run(&x.shape(1).cast::<i64>())?, arr0(3).into_dyn());
    Ok(())
}

#[test]
fn matrix_products() -> Test {
    let (a, b, v) = (matrix::<f64>("a"), matrix::<f64>("b"), vector::<f64>("v"));
    let (left, right) = (array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], array![[1.0, 0.0, 2.0], [0.0, 1.0, 3.0]]);
    let y: Array2<f64> = compile([&a, &b], a.matmul(&b))?.call((&left, &right))?;
    assert_eq!(y, left.dot(&right));
    let y: Array2<f64> = compile([&a, &b], a.matmul(&b))?.call((&right.t(), &left.t()))?;
    assert_eq!(y, right.t().dot(&left.t()));
    let y: Vec<f64> = compile([&a, &v], a.matmul(&v))?.call((&left, &[1.0, 1.0]))?;
    assert_eq!(y, [3.0, 7.0, 11.0]);
    let y: f64 = compile([&v], v.dot(&v))?.call((&[3.0, 4.0],))?;
    assert_eq!(y, 25.0);
    // Larger than any tile; whole numbers, so that every order of summation is exact.
    let left = Array2::from_shape_fn((37, 153), |(i, j)| ((i * 7 + j * 3) % 11) as f64 - 5.0);
    let right = Array2::from_shape_fn((70, 153), |(i, j)| ((i * 5 + j) % 13) as f64 - 6.0);
    let f = compile([&a, &b], (a.matmul(&b), a.cast::<i32>().matmul(b.cast::<i32>()), a.cast::<f32>().matmul(&b)))?;
    let view = right.slice(s![..;-2, ..]);
    let (y, whole, mixed): (Array2<f64>, Array2<i32>, Array2<f64>) = f.call((&left, &view.t()))?;
    let expected = left.dot(&view.t());
    assert_eq!(y, expected);
    assert_eq!(whole.mapv(f64::from), expected);
    assert_eq!(mixed, expected);
    Ok(())
}

#[test]
fn compiler_settings() -> Test {
    let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
    let x_fixed = constant(&[1.0, 2.0][..]);
    let f = Compiler::new()
        .name("pi")
        .device(kroton::Device::Cpu)
        .threads(2)
        .parallel_threshold(200_000)
        .optimize(kroton::OptLevel::Full)
        .on_unused_input(OnUnused::Error)
        .givens([(&x, &x_fixed)])
        .compile([&y], &x + &y)?;
    assert_eq!(f.call::<Vec<f64>>((&[10.0, 20.0],))?, [11.0, 22.0]);
    assert!(f.signature().contains("pi") && f.signature().contains("f64"), "{}", f.signature());
    let ignored = Compiler::new().on_unused_input(OnUnused::Ignore).compile([&x, &y], &x + 1.0)?;
    assert_eq!(ignored.call::<Vec<f64>>((&[1.0], &[5.0, 5.0]))?, [2.0]);
    Compiler::new().on_unused_input(OnUnused::Warn).compile([&x, &y], &x + 1.0)?;
    Ok(())
}

#[test]
fn every_stage_prints() -> Test {
    let x = vector::<f64>("x");
    let f = compile([&x], (&x * &x + 1.0).ln().sum(..))?;
    let all = f.dump(Stage::All)?;
    for (stage, word) in [
        (Stage::Graph, "ln"),
        (Stage::Optimized, "log1p"),
        (Stage::Schedule, "reduce"),
        (Stage::Loops, "reduce"),
        (Stage::Clif, "function"),
    ] {
        let text = f.dump(stage)?;
        assert!(text.contains(word), "{stage:?}:\n{text}");
        assert!(all.contains(text.trim()), "{stage:?} is missing in all stages");
    }
    assert!(!f.dump(Stage::Asm)?.is_empty());
    Ok(())
}

#[test]
fn expressions_print() -> Test {
    let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
    let z = (&x + &y) * 2.0;
    assert_eq!(z.to_string(), "(x + y) * 2.0");
    assert!(format!("{z:?}").len() < 500);
    let text = kroton::to_text([&x, &y], [&z])?;
    assert!(text.starts_with("kroton 1\n"), "{text}");
    let (inputs, outputs) = kroton::from_text(&text)?;
    assert_eq!(kroton::to_text(&inputs, &outputs)?, text);
    let value: Vec<f64> = compile(&inputs, &outputs)?.call((&[1.0], &[2.0]))?;
    assert_eq!(value, [6.0]);
    assert!(kroton::inspect::text([&z])?.contains("mul"));
    assert!(kroton::inspect::dot([&z])?.starts_with("digraph"));
    Ok(())
}

#[test]
fn expressions_and_functions_cross_threads() {
    fn crosses<T: Send + Sync + Clone + std::fmt::Debug + 'static>() {}
    fn is_error<T: std::error::Error + Send + Sync + 'static>() {}
    crosses::<Expr>();
    crosses::<Function>();
    crosses::<Array>();
    is_error::<kroton::Error>();
}
