//! Loops on every engine: what they compute, what they refuse, and that nothing but the steps changes a bit.

mod common;

use common::{difference, engines, f64s, refused, scalars};
use kroton::{
    Arg, Array, Compiler, DType, Error, Expr, OnUnused, OptLevel, arange, compile, concat, constant, iterate,
    iterate_indexed, iterate_while, iterate_while_at_most, matrix, s, scalar, scan, scan_until, tensor, vector,
};
use ndarray::{Array1, Array2, array};

/// Compiles for every engine at every level without the rules that change rounding, calls, and compares all bits with
/// the oracle's; returns these.
#[track_caller]
fn agree(inputs: &[&Expr], outputs: &[Expr], args: &[Arg<'_>]) -> Vec<Array> {
    let mut expected: Option<Vec<Array>> = None;
    for (name, device) in engines() {
        for level in [OptLevel::None, OptLevel::Full] {
            let compiler = Compiler::new().device(device).optimize(level).on_unused_input(OnUnused::Ignore);
            let f = compiler.compile(inputs, outputs).unwrap();
            for _ in 0..3 {
                let results: Vec<Array> = f.call(args).unwrap();
                let expected = expected.get_or_insert_with(|| results.clone());
                for (number, (got, wanted)) in results.iter().zip(expected).enumerate() {
                    assert_eq!(got.shape(), wanted.shape(), "{name}: result {number}");
                    if let Some(text) = difference(&scalars(got), &scalars(wanted)) {
                        panic!("{name} {level:?}: result {number}: {text}\n{}", f.dump(kroton::Stage::All).unwrap());
                    }
                }
            }
        }
    }
    let expected = expected.unwrap();
    #[cfg(feature = "gpu")]
    common::gpu::agree(inputs, outputs, &vec![(args.to_vec(), expected.clone())]);
    expected
}

#[test]
fn the_logistic_map_of_every_rank() {
    let (x, r) = (tensor::<f64>("x", 2), scalar::<f64>("r"));
    let [y] = iterate(20, [&x], |[x]| [&r * &x * (1.0 - x)]).unwrap();
    let values = array![[0.1, 0.5, f64::NAN], [0.9, 0.25, f64::INFINITY]];
    let result = agree(&[&x, &r], &[y], &[Arg::from(&values), Arg::from(&3.7)]);
    let expected = values.mapv(|x| (0..20).fold(x, |x: f64, _| 3.7 * x * (1.0 - x)));
    assert!(f64s(&result[0]).iter().zip(&expected).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())));
    let s0 = scalar::<f64>("s");
    let [y] = iterate(20, [&s0], |[x]| [3.7 * &x * (1.0 - x)]).unwrap();
    assert_eq!(f64s(&agree(&[&s0], &[y], &[Arg::from(&0.1)])[0])[0], expected[[0, 0]]);
}

#[test]
fn no_steps_and_empty_arrays_give_the_initial_states() {
    let (x, n) = (vector::<f64>("x"), scalar::<i64>("n"));
    let [y, total] = iterate(&n, [&x, &constant(1.0)], |[x, t]| [&x * 2.0, t + x.sum(..)]).unwrap();
    let results = agree(&[&x, &n], &[y.clone(), total.clone()], &[Arg::from(&[1.0, 2.0]), Arg::from(&0_i64)]);
    assert_eq!((f64s(&results[0]), f64s(&results[1])), (vec![1.0, 2.0], vec![1.0]));
    let empty: [f64; 0] = [];
    let results = agree(&[&x, &n], &[y, total], &[Arg::from(&empty), Arg::from(&3_i64)]);
    assert_eq!((f64s(&results[0]), f64s(&results[1])), (vec![], vec![1.0]));
}

#[test]
fn states_of_every_dtype() {
    macro_rules! check {
        ($($type:ty)*) => { $({
            let x = vector::<$type>("x");
            let y = vector::<$type>("y");
            let [a, b] = iterate(3, [&x, &y], |[a, b]| [b.clone(), a.maximum(b)]).unwrap();
            let one = <$type>::try_from(1_i8 as i8).unwrap_or_default();
            let values = [<$type>::default(), one, one, <$type>::default()];
            let others = [one, one, <$type>::default(), <$type>::default()];
            agree(&[&x, &y], &[a, b], &[Arg::from(&values), Arg::from(&others)]);
        })* };
    }
    check!(i8 i32 i64 f32 f64);
    let (x, y) = (vector::<u8>("x"), vector::<u8>("y"));
    let [a, b] = iterate(300, [&x, &y], |[a, b]| [&a + &b, b]).unwrap();
    let results = agree(&[&x, &y], &[a, b], &[Arg::from(&[0_u8, 7]), Arg::from(&[1_u8, 255])]);
    assert_eq!(results[0].as_slice::<u8>().unwrap(), [44, 219]);
    let m = vector::<bool>("m");
    let [flipped] = iterate(3, [&m], |[m]| [!m]).unwrap();
    let results = agree(&[&m], &[flipped], &[Arg::from(&[true, false])]);
    assert_eq!(results[0].as_slice::<bool>().unwrap(), [false, true]);
    let (u, v) = (vector::<u32>("u"), vector::<u64>("v"));
    let [a, b] = iterate(5, [&u, &v], |[a, b]| [&a * &a + 1, b * 3]).unwrap();
    agree(&[&u, &v], &[a, b], &[Arg::from(&[3_u32, 9]), Arg::from(&[u64::MAX, 1])]);
}

#[test]
fn the_number_of_steps_is_any_integer_expression() {
    let (x, n) = (vector::<f64>("x"), scalar::<i32>("n"));
    let steps = [n.clone() + 1, x.len() * 2, x.cast::<i64>().sum(..)];
    for (steps, made) in steps.into_iter().zip([6, 4, 7]) {
        let [count] = iterate(steps, [&constant(0_i64)], |[i]| [i + 1]).unwrap();
        let result = agree(&[&x, &n], &[count], &[Arg::from(&[3.0, 4.0]), Arg::from(&5_i32)]);
        assert_eq!(result[0].as_slice::<i64>().unwrap(), [made]);
    }
    for (_, device) in engines() {
        let [y] = iterate(&n, [&x], |[x]| [x + 1]).unwrap();
        let f = Compiler::new().device(device).compile([&x, &n], y).unwrap();
        let mut out = [7.0, 7.0];
        let error = f.call_into((&[1.0, 2.0], -3), (&mut out,)).unwrap_err().to_string();
        assert!(error.contains("the number of steps `n` of a loop is -3") && error.contains("loops.rs"), "{error}");
        assert_eq!(out, [7.0, 7.0]);
        let [y] = iterate(x.cast::<i64>().sum(..), [&x], |[x]| [x + 1]).unwrap();
        let f = Compiler::new().device(device).compile([&x], y).unwrap();
        let error = f.call::<Vec<f64>>((&[1.0, -2.0],)).unwrap_err().to_string();
        assert!(error.contains("a loop of -1 steps"), "{error}");
        let u = scalar::<u64>("u");
        let [y] = iterate(&u, [&x], |[x]| [x + 1]).unwrap();
        let f = Compiler::new().device(device).compile([&x, &u], y).unwrap();
        let error = f.call::<Vec<f64>>((&[1.0, -2.0], u64::MAX)).unwrap_err().to_string();
        assert!(error.contains('u'), "{error}");
    }
    assert!(refused(iterate(-1, [&x], |s| s)).contains("takes 0 to 2^63 − 1 steps, not -1"));
    assert!(refused(iterate(u64::MAX, [&x], |s| s)).contains("steps, not 18446744073709551615"));
    assert!(
        refused(iterate(1.5, [&x], |s| s)).contains("takes an integer of rank 0 as its number of steps, not f64[]")
    );
    assert!(refused(iterate(arange(3), [&x], |s| s)).contains("not i64[3]"));
}

#[test]
fn the_step_is_weakly_typed() {
    let x = vector::<f32>("x");
    let [y] = iterate_indexed(5, [&x], |i, [x]| [x * 0.5 + i]).unwrap();
    assert_eq!(y.dtype(), DType::F32);
    let result = agree(&[&x], &[y], &[Arg::from(&[1.0_f32, 64.0])]);
    let by_hand = |x: f32| (0..5).fold(x, |x, i| x * 0.5 + i as f32);
    assert_eq!(result[0].as_slice::<f32>().unwrap(), [by_hand(1.0), by_hand(64.0)]);
}

#[test]
fn power_iteration_with_matrix_products() {
    let (a, v) = (matrix::<f64>("a"), vector::<f64>("v"));
    let [v1, norm] = iterate(30, [&v, &constant(0.0)], |[v, _]| {
        let w = a.matmul(&v);
        let norm = w.norm(..);
        [w / &norm, norm]
    })
    .unwrap();
    let (values, start) = (array![[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 4.0]], array![1.0, 1.0, 1.0]);
    let results = agree(&[&a, &v], &[v1, norm], &[Arg::from(&values), Arg::from(&start)]);
    assert!((f64s(&results[1])[0] - 4.732_050_807_568_877).abs() < 1e-6);
}

#[test]
fn jacobi_steps_with_slices_and_concatenation() {
    let x = vector::<f64>("x");
    let [y] = iterate(50, [&x], |[x]| {
        let inner = (x.slice(s![..-2]) + x.slice(s![2..])) * 0.5;
        [concat([x.slice(s![..1]), inner, x.slice(s![-1..])], 0)]
    })
    .unwrap();
    let start: Array1<f64> = Array1::from_iter((0..12).map(|i| f64::from(i * i % 7)));
    let result = agree(&[&x], &[y], &[Arg::from(&start)]);
    let mut expected = start.to_vec();
    for _ in 0..50 {
        let before = expected.clone();
        (1..11).for_each(|i| expected[i] = (before[i - 1] + before[i + 1]) * 0.5);
    }
    assert_eq!(f64s(&result[0]), expected);
}

#[test]
fn loops_nest_and_capture() {
    let (x, k) = (vector::<f64>("x"), scalar::<i64>("k"));
    let outside = &x * 10.0;
    let [y] = iterate(&k, [&x], |[x]| {
        let [inner] = iterate_indexed(3, [&x], |i, [z]| [z + &outside * i + &x]).unwrap();
        [inner - x.sum(..)]
    })
    .unwrap();
    let result = agree(&[&x, &k], &[y], &[Arg::from(&[1.0, 2.0, -4.0]), Arg::from(&4_i64)]);
    let (start, mut x) = ([1.0, 2.0, -4.0], vec![1.0, 2.0, -4.0]);
    for _ in 0..4 {
        let sum = x[0] + x[1] + x[2];
        let inner = |j: usize| (0..3).fold(x[j], |z, i| z + start[j] * 10.0 * f64::from(i) + x[j]) - sum;
        x = (0..3).map(inner).collect();
    }
    assert!(f64s(&result[0]).iter().zip(&x).all(|(a, b)| (a - b).abs() <= 1e-9 * b.abs()));
    // A loop inside a loop that does not depend on the outer state is computed once, outside.
    let [y] = iterate(&k, [&x_of()], |[a]| {
        let [inner] = iterate(3, [&constant(1.0)], |[z]| [z * 2.0]).unwrap();
        [a + inner]
    })
    .unwrap();
    agree(&[&k], &[y], &[Arg::from(&4_i64)]);
}

fn x_of() -> Expr {
    constant(0.5)
}

#[test]
fn triangular_loops_count_by_the_outer_step() {
    let x = scalar::<i64>("x");
    let [y] = iterate_indexed(5, [&x], |i, [x]| iterate(i, [&x], |[z]| [z * 2 + 1]).unwrap()).unwrap();
    let result = agree(&[&x], &[y], &[Arg::from(&1_i64)]);
    let expected = (0..5).fold(1_i64, |x, i| (0..i).fold(x, |z, _| z * 2 + 1));
    assert_eq!(result[0].as_slice::<i64>().unwrap(), [expected]);
}

#[test]
fn scans_of_rows_keep_histories() {
    let (x, w) = (matrix::<f64>("x"), vector::<f64>("w"));
    let ([last], [sums, firsts]) = scan((&x, &w), [&constant(vec![0.0, 0.0, 0.0])], |(row, w), [sum]| {
        let sum = sum + row * w;
        ([sum.clone()], [sum.clone(), sum.sum(..)])
    })
    .unwrap();
    let (values, weights) = (Array2::from_shape_fn((4, 3), |(i, j)| (i * 3 + j) as f64), array![1.0, -1.0, 0.5, 2.0]);
    for rows in [4, 1, 0] {
        let (values, weights) = (values.slice(s![..rows, ..]), weights.slice(s![..rows]));
        let results =
            agree(&[&x, &w], &[last.clone(), sums.clone(), firsts.clone()], &[Arg::from(&values), Arg::from(&weights)]);
        let mut sum = vec![0.0; 3];
        let mut all = Vec::new();
        for (row, weight) in values.rows().into_iter().zip(weights) {
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x * weight);
            all.extend_from_slice(&sum);
        }
        assert_eq!((f64s(&results[0]), f64s(&results[1])), (sum, all));
        assert_eq!(results[2].shape(), [rows]);
    }
    let transposed =
        agree(&[&x, &w], &[sums], &[Arg::from(&values.t().slice(s![..3, ..3])), Arg::from(&[1.0, 2.0, 3.0])]);
    assert_eq!(transposed[0].shape(), [3, 3]);
}

#[test]
fn volatility_follows_returns() {
    // σ²ₜ₊₁ = ω + α r²ₜ + β σ²ₜ, for several assets.
    let (returns, first) = (matrix::<f64>("returns"), vector::<f64>("first"));
    let ([_], [variances]) = scan(&returns, [&first], |r, [v]| ([0.1 + 0.2 * &r * &r + 0.7 * &v], [v])).unwrap();
    let values = Array2::from_shape_fn((7, 2), |(i, j)| ((i * 5 + j * 3) % 4) as f64 - 1.5);
    let results = agree(&[&returns, &first], &[variances], &[Arg::from(&values), Arg::from(&[1.0, 2.0])]);
    let mut v = [1.0, 2.0];
    let mut expected = Vec::new();
    for row in values.rows() {
        expected.extend_from_slice(&v);
        (0..2).for_each(|j| v[j] = 0.1 + 0.2 * row[j] * row[j] + 0.7 * v[j]);
    }
    assert_eq!(f64s(&results[0]), expected);
}

#[test]
fn scans_stop_early() {
    let x = vector::<f64>("x");
    let ([sum], [sums, parts], steps) = scan_until(&x, [&constant(0.0)], |x, [sum]| {
        let sum = sum + &x;
        ([sum.clone()], [sum.clone(), &x * arange(2)], sum.gt(5.0))
    })
    .unwrap();
    let outputs = [sum, sums, parts, steps];
    let results = agree(&[&x], &outputs, &[Arg::from(&[1.0, 2.0, 3.0, 4.0])]);
    assert_eq!((f64s(&results[0]), f64s(&results[1])), (vec![6.0], vec![1.0, 3.0, 6.0, 0.0]));
    assert_eq!(f64s(&results[2]), [0.0, 1.0, 0.0, 2.0, 0.0, 3.0, 0.0, 0.0]);
    assert_eq!(results[3].as_slice::<i64>().unwrap(), [3]);
    let results = agree(&[&x], &outputs, &[Arg::from(&[1.0, f64::NAN, 3.0])]);
    assert_eq!(results[3].as_slice::<i64>().unwrap(), [3]);
    agree(&[&x], &outputs[3..], &[Arg::from(&[9.0, f64::NAN, 3.0])]);
}

#[test]
fn elements_stop_by_themselves() {
    let (re, im) = (matrix::<f64>("re"), matrix::<f64>("im"));
    let zero = 0.0 * &re;
    let none = zero.cast::<i32>();
    let [_, _, n] = iterate_while_at_most(
        40,
        |[x, y, _]| (&x * &x + &y * &y).le(4.0),
        [&zero, &zero, &none],
        |[x, y, n]| [&x * &x - &y * &y + &re, 2.0 * x * y + &im, n + 1],
    )
    .unwrap();
    let real = Array2::from_shape_fn((5, 6), |(_, j)| -2.0 + 0.5 * j as f64);
    let imaginary = Array2::from_shape_fn((5, 6), |(i, _)| -1.0 + 0.5 * i as f64);
    let results = agree(&[&re, &im], &[n], &[Arg::from(&real), Arg::from(&imaginary)]);
    let escape = |re: f64, im: f64| {
        let (mut x, mut y, mut n) = (0.0, 0.0, 0);
        while x * x + y * y <= 4.0 && n < 40 {
            (x, y) = (x * x - y * y + re, 2.0 * x * y + im);
            n += 1;
        }
        n
    };
    let expected: Vec<i32> = real.iter().zip(&imaginary).map(|(&re, &im)| escape(re, im)).collect();
    assert_eq!(results[0].as_slice::<i32>().unwrap(), expected);
}

#[test]
fn a_condition_of_rank_0_stops_everything() {
    let (x, limit) = (vector::<f64>("x"), scalar::<f64>("limit"));
    let [y, n] =
        iterate_while(|[x, _]| x.sum(..).lt(&limit), [&x, &constant(0_i64)], |[x, n]| [x * 2.0, n + 1]).unwrap();
    let results = agree(&[&x, &limit], &[y, n], &[Arg::from(&[1.0, 2.0]), Arg::from(&20.0)]);
    assert_eq!((f64s(&results[0]), results[1].as_slice::<i64>().unwrap()), (vec![8.0, 16.0], &[3][..]));
    // Reductions in a body whose elements stop by themselves.
    let [y] = iterate_while(|[x]| x.lt(10.0), [&x], |[x]| [&x * 2.0 + x.sum(..) * 0.125]).unwrap();
    agree(&[&x], &[y], &[Arg::from(&[1.0, 2.0, 30.0])]);
}

#[test]
fn a_million_steps_are_no_burden() {
    let x = scalar::<f64>("x");
    let [y] = iterate(1_000_000, [&x], |[x]| [0.5 * &x + 1.0]).unwrap();
    let f = compile([&x], y).unwrap();
    assert_eq!(f.call::<f64>((0.0,)).unwrap(), 2.0);
}

#[test]
fn bodies_that_change_types_are_refused() {
    let (x, m) = (vector::<f32>("x"), matrix::<f64>("m"));
    let text = refused(iterate(2, [&x], |[x]| [x.cast::<f64>()]));
    assert!(text.contains("starts state 0 as f32[?], but its body makes f64[?]") && text.contains("cast"), "{text}");
    let text = refused(iterate(2, [&x], |[x]| [x.sum(..)]));
    assert!(text.contains("makes f32[]") && text.contains("broadcast_to"), "{text}");
    let text = refused(iterate(2, [&m.slice(s![..2, ..3])], |[x]| [x.transpose()]));
    assert!(text.contains("f64[2, 3]") && text.contains("f64[3, 2]"), "{text}");
    let [same] = iterate(2, [&x], |[x]| [2.0 * x + 1]).unwrap();
    assert_eq!(same.dtype(), DType::F32);
    let one = constant(1_i32);
    assert!(refused(iterate(2, [&one], |[i]| [i + 0.5])).contains("i32[]"));
    let [weak] = iterate(2, [&one], |[_]| [m.len()]).unwrap();
    assert_eq!(weak.dtype(), DType::I32);
    let text = refused(iterate(2, [&x], |[_]| [&m & 1.5]));
    assert!(!text.is_empty());
    // Sizes that only a call knows.
    let y = vector::<f32>("y");
    let [z] = iterate(2, [&x], |[_]| [&y * 2.0]).unwrap();
    let f = compile([&x, &y], z).unwrap();
    let error = f.call::<Vec<f32>>((&[1.0_f32, 2.0], &[1.0_f32])).unwrap_err().to_string();
    assert!(error.contains("sizes that must be equal differ"), "{error}");
    assert!(refused(iterate_while(|[x]| x, [&x], |s| s)).contains("takes a bool as its condition, not f32[?]"));
    assert!(refused(scan(&one, [&x], |_, s| (s, []))).contains("runs along axis 0 of its sequences, but one is i32[]"));
    let text = refused(scan_until(&x, [&one], |x, s| (s, [x.clone()], x)));
    assert!(text.contains("takes a bool of rank 0 for its stop, not f32[]"), "{text}");
    let text = refused(iterate_while(|[x, _]| x.lt(1.0), [&x, &one], |s| s));
    assert!(text.contains("does not broadcast"), "{text}");
}

#[test]
fn what_leaves_its_body_is_refused() {
    let x = vector::<f64>("x");
    let mut leaked = None;
    let [y] = iterate(3, [&x], |[x]| {
        leaked = Some(x.clone());
        [x + 1.0]
    })
    .unwrap();
    let error = compile([&x], (y, leaked.unwrap() * 2.0)).unwrap_err();
    assert!(matches!(&error, Error::Build { message, .. } if message.contains("outside its loop")), "{error}");
}

#[test]
fn texts_come_back() {
    let (x, w) = (matrix::<f64>("x"), vector::<f64>("w"));
    let ([last], [sums], steps) =
        scan_until((&x, &w), [&constant(0.0)], |(row, w), [sum]| ([&sum + row.sum(..)], [sum * w], row.any(..)))
            .unwrap();
    let text = kroton::to_text([&x, &w], [last, sums, steps]).unwrap();
    assert!(text.contains(" = loop over [%0, %1] while ["), "{text}");
    let (inputs, outputs) = kroton::from_text(&text).unwrap();
    assert_eq!(kroton::to_text(inputs, outputs).unwrap(), text);
}

#[test]
fn threads_change_no_bit() {
    let x = vector::<f64>("x");
    let [y, t] = iterate(9, [&x, &constant(0.0)], |[x, t]| [(&x * 1.5).sin() - &t, t + x.sum(..)]).unwrap();
    let values: Vec<f64> = (0..10_001).map(|i| f64::from(i) * 0.37).collect();
    let mut first: Option<(Vec<f64>, f64)> = None;
    for threads in [1, 2, 8] {
        let compiler = Compiler::new().threads(threads).parallel_threshold(1);
        let f = compiler.compile([&x], (y.clone(), t.clone())).unwrap();
        let result: (Vec<f64>, f64) = f.call((&values,)).unwrap();
        assert_eq!(first.get_or_insert_with(|| result.clone()), &result, "{threads}");
    }
}

/// Particles whose step also needs the number of each: positions stand beside quotients by one root.
#[test]
fn positions_go_with_shared_reciprocals() {
    for n in [1, 16, 23, 24, 36, 40, 100] {
        let (x, y, k) = (vector::<f64>("x"), vector::<f64>("y"), vector::<i64>("k"));
        let end = iterate(3, [&x, &y, &k], |[x, y, k]| {
            let norm = (&x * &x + &y * &y).sqrt();
            [&x - 1e-3 * k.cast::<f64>() * &y / &norm, &y + 1e-3 * &x / &norm, k + &arange(n)]
        });
        let vectors = iterate(3, [&x, &y, &k], |[x, y, k]| {
            let norm = (&x * &x + &y * &y).sqrt();
            let (vx, vy) = (-&y / &norm, &x / &norm);
            [&x + 1e-3 * k.cast::<f64>() * vx, &y + 1e-3 * vy, k + &arange(n)]
        });
        let of = |scale: f64| -> Vec<f64> { (0..n).map(|i| 0.5 + i as f64 * scale).collect() };
        let given = (of(0.15), of(-0.35), (0..n).map(|i| 5 * i).collect::<Vec<i64>>());
        let want: Vec<i64> = (0..n).map(|i| 8 * i).collect();
        for end in [end.unwrap(), vectors.unwrap()] {
            let f = compile([&x, &y, &k], end).unwrap();
            let (a, b, numbers): (Vec<f64>, Vec<f64>, Vec<i64>) = f.call((&given.0, &given.1, &given.2)).unwrap();
            assert_eq!(numbers, want, "{n}");
            for i in 0..n as usize {
                let (mut p, mut q) = (given.0[i], given.1[i]);
                for step in 0..3 {
                    let (norm, number) = (p.hypot(q), (given.2[i] + step * i as i64) as f64);
                    (p, q) = (p - 1e-3 * number * q / norm, q + 1e-3 * p / norm);
                }
                assert!((a[i] - p).abs() < 1e-12 && (b[i] - q).abs() < 1e-12, "{n}: {i}");
            }
        }
    }
}
