//! `cond` on every engine. That only one branch is computed is held where functions of the host can be made, beside it.

mod common;

use common::{engines, f64s, refused, scalars};
use kroton::{
    Arg, Array, Compiler, DType, Device, Expr, IntoExpr, OnUnused, OptLevel, Stage, arange, compile, cond, constant,
    from_text, grad, hessian_vector_product, iterate, iterate_while, iterate_while_at_most, jvp, matrix, random,
    scalar, to_text, vector, vmap,
};
use ndarray::{Array2, array};

/// Compiles for every engine, level and number of threads, calls, and compares all bits with the oracle's.
#[track_caller]
fn agree(inputs: &[&Expr], outputs: &[Expr], args: &[Arg<'_>]) -> Vec<Array> {
    let mut expected: Option<Vec<Array>> = None;
    for (name, device) in engines() {
        for (level, threads) in [(OptLevel::None, 1), (OptLevel::Full, 1), (OptLevel::Full, 2), (OptLevel::Full, 8)] {
            let compiler = Compiler::new().device(device).optimize(level).threads(threads).parallel_threshold(1);
            let compiler = compiler.exclude("accuracy").on_unused_input(OnUnused::Ignore);
            let f = compiler.compile(inputs, outputs).unwrap();
            for _ in 0..3 {
                let results: Vec<Array> = f.call(args).unwrap();
                for (got, wanted) in results.iter().zip(expected.get_or_insert_with(|| results.clone())) {
                    assert_eq!(got.shape(), wanted.shape(), "{name}");
                    if let Some(text) = common::difference(&scalars(got), &scalars(wanted)) {
                        panic!("{name} {level:?}: {text}\n{}", f.dump(Stage::All).unwrap());
                    }
                }
            }
        }
    }
    expected.unwrap()
}

#[test]
fn branches_of_every_shape() {
    let (p, x, m) = (scalar::<bool>("p"), vector::<f64>("x"), matrix::<f64>("m"));
    let [vector_result, sum, rows] = cond(
        &p,
        [&x, &m],
        |[x, m]| [m.matmul(&x).sum(..) + &x, x.sum(..), m.exp()],
        |[x, m]| [&x * 2.0, m.max(..), m + &x],
    )
    .unwrap();
    let outputs = [vector_result, sum, rows];
    let values = array![[1.0, -2.0], [0.5, f64::INFINITY], [f64::NAN, 4.0]];
    for p_value in [true, false] {
        for rows in [3, 1] {
            let m_value = values.slice(ndarray::s![..rows, ..]);
            let args = [Arg::from(&p_value), Arg::from(&[1.0, 3.0]), Arg::from(&m_value)];
            let results = agree(&[&p, &x, &m], &outputs, &args);
            assert_eq!(results[2].shape(), [rows, 2]);
            if !p_value {
                assert_eq!(f64s(&results[0]), [2.0, 6.0]);
            } else {
                assert_eq!(f64s(&results[1]), [4.0]);
            }
        }
    }
    // Of empty arrays, and of transposed ones.
    let [y] = cond(&p, [&m], |[m]| [m.transpose() + 1.0], |[m]| [m.transpose()]).unwrap();
    for p_value in [true, false] {
        let empty = agree(
            &[&p, &m],
            std::slice::from_ref(&y),
            &[Arg::from(&p_value), Arg::from(&Array2::<f64>::zeros((0, 3)))],
        );
        assert_eq!(empty[0].shape(), [3, 0]);
        agree(&[&p, &m], std::slice::from_ref(&y), &[Arg::from(&p_value), Arg::from(&values.t())]);
    }
}

#[test]
fn every_dtype_passes_through_a_branch() {
    let p = scalar::<bool>("p");
    for dtype in DType::ALL {
        let (x, y) = (kroton::input("x", dtype, [None]), kroton::input("y", dtype, []));
        let [chosen, same] = cond(&p, [&x, &y], |[x, y]| [x.maximum(&y), y], |[x, y]| [x.minimum(&y), y]).unwrap();
        let mut random = common::Random(3);
        let values = (0..5).map(|_| random.scalar(dtype)).collect();
        let x_value = common::Argument::new(dtype, &[5], values, common::Layout::Reversed);
        let y_value = common::Argument::new(dtype, &[], vec![random.scalar(dtype)], common::Layout::Contiguous);
        for p_value in [true, false] {
            let args = [Arg::from(&p_value), x_value.arg(), y_value.arg()];
            let results = agree(&[&p, &x, &y], &[chosen.clone(), same.clone()], &args);
            assert_eq!(scalars(&results[1]), y_value.values, "{dtype}");
            let bound = if p_value { x.maximum(&y) } else { x.minimum(&y) };
            let expected = agree(&[&p, &x, &y], &[bound], &args);
            assert_eq!(scalars(&results[0]), scalars(&expected[0]), "{dtype}");
        }
    }
}

#[test]
fn scalars_are_chosen_in_one_kernel() {
    let (x, p) = (scalar::<f64>("x"), scalar::<f64>("p"));
    let [root, flag] = cond(x.gt(&p), [&x], |[x]| [x.sqrt(), constant(true)], |[x]| [-x, constant(false)]).unwrap();
    for (value, expected) in [(9.0, 3.0), (-2.0, 2.0), (f64::NAN, f64::NAN)] {
        let results = agree(&[&x, &p], &[root.clone(), flag.clone()], &[Arg::from(&value), Arg::from(&1.0)]);
        let got = f64s(&results[0])[0];
        assert!(got == expected || (got.is_nan() && expected.is_nan()), "{got} {expected}");
        assert_eq!(results[1].as_slice::<bool>().unwrap(), [value > 1.0]);
    }
}

#[test]
fn weak_results_take_the_dtype_of_the_other_branch() {
    let (p, x) = (scalar::<bool>("p"), scalar::<f32>("x"));
    let [a, b, c] =
        cond(&p, [&x], |[x]| [x.clone(), 1.into_expr(), x], |[x]| [0.5.into_expr(), x.clone(), x.len() + 2]).unwrap();
    assert_eq!([a.dtype(), b.dtype(), c.dtype()], [DType::F32; 3]);
    let [both] = cond(&p, [&x], |_| [1.into_expr()], |_| [2.5.into_expr()]).unwrap();
    assert_eq!(both.dtype(), DType::F64);
    let results = agree(&[&p, &x], &[both, a], &[Arg::from(&false), Arg::from(&7.0_f32)]);
    assert_eq!(f64s(&results[0]), [2.5]);
}

#[test]
fn branches_in_loops_and_loops_in_branches() {
    // Collatz: the branch depends on the state.
    let n = scalar::<i64>("n");
    let [last, steps] = iterate_while_at_most(
        1000,
        |[n, _]| n.gt(1),
        [&n, &constant(0_i64)],
        |[n, steps]| {
            let even = (&n % 2).eq(0);
            let [n] = cond(even, [&n], |[n]| [n.floor_div(2)], |[n]| [n * 3 + 1]).unwrap();
            [n, steps + 1]
        },
    )
    .unwrap();
    let results = agree(&[&n], &[last, steps], &[Arg::from(&27_i64)]);
    assert_eq!(results[1].as_slice::<i64>().unwrap(), [111]);
    let (x, m, p) = (vector::<f64>("x"), matrix::<f64>("m"), scalar::<bool>("p"));
    let [y] = iterate(4, [&x], |[x]| {
        cond(x.sum(..).lt(10.0), [&x], |[x]| Ok([m.matmul(x) + 1.0]), |[x]| iterate(2, [&x], |[x]| [x * 0.5])).unwrap()
    })
    .unwrap();
    let [z] = cond(&p, [&y], |[y]| iterate(3, [&y], |[y]| [y + x.sum(..)]), |[y]| Ok([y])).unwrap();
    let matrix = array![[1.0, 2.0], [0.0, 1.0]];
    for p_value in [true, false] {
        let args = [Arg::from(&[1.0, 2.0]), Arg::from(&matrix), Arg::from(&p_value)];
        let results = agree(&[&x, &m, &p], &[y.clone(), z.clone()], &args);
        let mut expected = array![1.0, 2.0];
        for _ in 0..4 {
            expected = match expected.sum() < 10.0 {
                true => matrix.dot(&expected) + 1.0,
                false => expected * 0.25,
            };
        }
        assert_eq!(f64s(&results[0]), expected.to_vec());
    }
}

#[test]
fn random_numbers_in_a_branch() {
    let (seed, p) = (scalar::<u64>("seed"), scalar::<bool>("p"));
    let key = random::key(&seed);
    let [sample] =
        cond(&p, [&key], |[key]| [random::normal::<f64>(&key, [3])], |[key]| [random::uniform::<f64>(&key, [3])])
            .unwrap();
    let plain = [random::normal::<f64>(&key, [3]), random::uniform::<f64>(&key, [3])];
    for (p_value, which) in [(true, 0), (false, 1)] {
        let args = [Arg::from(&7_u64), Arg::from(&p_value)];
        let results = agree(&[&seed, &p], &[sample.clone(), plain[which].clone()], &args);
        assert_eq!(f64s(&results[0]), f64s(&results[1]));
    }
}

#[test]
fn predicates_of_a_batch_select() {
    let (ps, xs, w) = (vector::<bool>("ps"), matrix::<f64>("xs"), vector::<f64>("w"));
    let [y, sum, all] = vmap([&ps, &xs], |[p, x]| {
        let [y, sum] = cond(&p, [&x, &w], |[x, w]| [&x * &w, x.sum(..)], |[x, w]| [x.sqrt(), w.sum(..)])?;
        let [all] = cond(w.sum(..).gt(0.0), [&x], |[x]| [x + 1.0], |[x]| [x * 2.0])?;
        Ok([y, sum, all])
    })
    .unwrap();
    let values = array![[1.0, 4.0], [9.0, -1.0], [2.0, 3.0]];
    let args = [Arg::from(&[true, false, true]), Arg::from(&values), Arg::from(&[10.0, 0.5])];
    let results = agree(&[&ps, &xs, &w], &[y, sum, all], &args);
    let rows = f64s(&results[0]);
    assert_eq!((&rows[..3], &rows[4..]), (&[10.0, 2.0, 3.0][..], &[20.0, 1.5][..]));
    assert!(rows[3].is_nan());
    assert_eq!(f64s(&results[1]), [5.0, 10.5, 5.0]);
    assert_eq!(f64s(&results[2]), [2.0, 5.0, 10.0, 0.0, 3.0, 4.0]);
}

#[test]
fn gradients_are_those_of_the_branch_that_is_taken() {
    let (x, w, p) = (vector::<f64>("x"), vector::<f64>("w"), scalar::<bool>("p"));
    let [value] = cond(
        &p,
        [&x, &w],
        |[x, w]| [(&x * &w).sin().sum(..)],
        // Its slopes are not finite at zero.
        |[x, w]| [(x.sqrt() * w.ln()).sum(..)],
    )
    .unwrap();
    let loss = &value * &value + x.sum(..);
    let slopes = grad(&loss, [&x, &w]).unwrap();
    let tangent = jvp(&loss, [(&x, constant([1.0, -2.0])), (&w, constant([0.5, 0.25]))]).unwrap();
    let curvature = hessian_vector_product(&loss, &x, constant([1.0, 1.0])).unwrap();
    let outputs = [slopes[0].clone(), slopes[1].clone(), tangent, curvature];
    for (name, device) in engines() {
        let f = Compiler::new().device(device).compile([&x, &w, &p], outputs.to_vec()).unwrap();
        for (p_value, x_value) in [(true, [0.0, 2.0]), (false, [4.0, 2.0])] {
            let w_value = [1.5, 0.5];
            let results: Vec<Array> = f.call((&x_value, &w_value, p_value)).unwrap();
            let branch = |x: &Expr, w: &Expr| match p_value {
                true => (x * w).sin().sum(..),
                false => (x.sqrt() * w.ln()).sum(..),
            };
            let loss = branch(&x, &w).square() + x.sum(..);
            let slopes = grad(&loss, [&x, &w]).unwrap();
            let tangent = jvp(&loss, [(&x, constant([1.0, -2.0])), (&w, constant([0.5, 0.25]))]).unwrap();
            let curvature = hessian_vector_product(&loss, &x, constant([1.0, 1.0])).unwrap();
            let expected = vec![slopes[0].clone(), slopes[1].clone(), tangent, curvature];
            let expected: Vec<Array> = compile([&x, &w], expected).unwrap().call((&x_value, &w_value)).unwrap();
            for (got, expected) in results.iter().zip(&expected) {
                let (got, expected) = (f64s(got), f64s(expected));
                let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * (1.0 + b.abs());
                assert!(got.iter().zip(&expected).all(near), "{name} {p_value}: {got:?} {expected:?}");
            }
        }
    }
}

#[test]
fn gradients_of_a_batch_of_branches() {
    let (ps, xs, w) = (vector::<bool>("ps"), vector::<f64>("xs"), scalar::<f64>("w"));
    let [each, slope, to_w] = vmap([&ps, &xs], |[p, x]| {
        let [y] = cond(&p, [&x, &w], |[x, w]| [x.sqrt() * w], |[x, w]| [x * w.square()])?;
        let slopes = grad(&y, [&x, &w])?;
        Ok([y, slopes[0].clone(), slopes[1].clone()])
    })
    .unwrap();
    let total = grad(&each.sum(..), [&xs, &w]).unwrap();
    let outputs = [slope, to_w, total[0].clone(), total[1].clone()];
    for (name, device) in engines() {
        let f = Compiler::new().device(device).compile([&ps, &xs, &w], outputs.to_vec()).unwrap();
        // Where the root is not taken, it has no slope: that is nobody's business.
        let results: Vec<Array> = f.call((&[true, false, false], &[4.0, 0.0, -1.0], 3.0)).unwrap();
        assert_eq!(f64s(&results[0]), [0.75, 9.0, 9.0], "{name}");
        assert_eq!(f64s(&results[1]), [2.0, 0.0, -6.0], "{name}");
        assert_eq!((f64s(&results[2]), f64s(&results[3])), (vec![0.75, 9.0, 9.0], vec![-4.0]), "{name}");
    }
}

#[test]
fn operands_are_read_where_they_are() {
    let (p, x, m) = (scalar::<bool>("p"), vector::<f64>("x"), matrix::<f64>("m"));
    let [y] = cond(&p, [&x, &m], |[x, m]| [m.matmul(x)], |[x, m]| [m.sum(1) + x.max(..)]).unwrap();
    let f = Compiler::new().device(Device::Cpu).compile([&p, &x, &m], &y).unwrap();
    let plan = f.dump(Stage::Schedule).unwrap();
    // A state for the predicate and one for the result, none for an operand.
    assert!(plan.contains("state_1") && plan.contains("captured_1") && !plan.contains("state_2"), "{plan}");
    // A state that stays what it is may be asked for, and may start from a constant.
    let [kept, sum, _] =
        iterate(3, [&x, &x, &constant(2.0)], |[kept, sum, two]| [kept.clone(), (sum + kept.sum(..)) * &two, two])
            .unwrap();
    let results = agree(&[&x], &[kept, sum], &[Arg::from(&[1.0, 2.0])]);
    assert_eq!((f64s(&results[0]), f64s(&results[1])), (vec![1.0, 2.0], vec![50.0, 58.0]));
}

#[test]
fn results_go_where_the_caller_says() {
    let (p, m) = (scalar::<bool>("p"), matrix::<f64>("m"));
    let [y, total] =
        cond(&p, [&m], |[m]| [m.matmul(&m), m.sum(..)], |[m]| [m.transpose() + m.max(..), m.min(..)]).unwrap();
    let values = array![[1.0, 2.0], [3.0, 4.0]];
    for (name, device) in engines() {
        let f = Compiler::new().device(device).compile([&p, &m], (&y, &total)).unwrap();
        for (p_value, expected, sum) in
            [(true, array![[7.0, 10.0], [15.0, 22.0]], 10.0), (false, array![[5.0, 7.0], [6.0, 8.0]], 1.0)]
        {
            let mut wide = Array2::<f64>::zeros((2, 6));
            let mut out_total = 0.0;
            let out = wide.slice_mut(ndarray::s![..;-1, 1..;3]);
            f.call_into((p_value, &values), (out, &mut out_total)).unwrap();
            assert_eq!((wide.slice(ndarray::s![..;-1, 1..;3]).to_owned(), out_total), (expected, sum), "{name}");
            assert!(wide.slice(ndarray::s![.., ..;3]).iter().all(|&x| x == 0.0), "{name}: {wide}");
        }
    }
}

#[test]
fn texts_name_branches_and_come_back() {
    let (p, x) = (scalar::<bool>("p"), vector::<f64>("x"));
    let [y] = cond(&p, [&x], |[x]| [x.cumulated()], |[x]| [x + 1.0]).unwrap();
    let shown = y.to_string();
    assert!(shown.contains("branch(!p, ") && shown.contains("branch(p, "), "{shown}");
    let text = to_text([&p, &x], &y).unwrap();
    let (inputs, outputs) = from_text(&text).unwrap();
    let inputs: Vec<&Expr> = inputs.iter().collect();
    let again: Vec<f64> = compile(&inputs[..], outputs[0].clone()).unwrap().call((true, &[1.0, 2.0])).unwrap();
    assert_eq!(again, [1.0, 3.0]);
    assert_eq!(to_text(&inputs[..], &outputs).unwrap(), text);
}

trait Cumulated {
    fn cumulated(&self) -> Expr;
}

impl Cumulated for Expr {
    /// The sums up to each element.
    fn cumulated(&self) -> Expr {
        let places = arange(self.len());
        places.expand_dims(1).ge(&places).select(self, 0.0).sum(1)
    }
}

#[test]
fn what_is_no_choice_is_refused() {
    let (p, x, ps) = (scalar::<bool>("p"), vector::<f64>("x"), vector::<bool>("ps"));
    let message = refused(cond(&ps, [&x], |[x]| [x], |[x]| [x]));
    assert!(message.contains("takes a bool of rank 0 as its predicate, not bool[?]") && message.contains("select"));
    assert!(refused(cond(x.sum(..), [&x], |[x]| [x], |[x]| [x])).contains("not f64[]"));
    let none: [&Expr; 0] = [];
    assert!(refused(cond(&p, none, |_| [x.clone()], |_| [x.clone()])).contains("at least one operand"));
    let message = refused(cond(&p, [&x], |[x]| [x.clone(), x], |[x]| [x.clone(), x.cast::<f32>()]));
    assert!(message.contains("yields f64[?] as result 1") && message.contains("f32[?]"), "{message}");
    assert!(message.contains("conditionals.rs") && message.contains("`cast`"), "{message}");
    let message = refused(cond(&p, [&x], |[x]| [x.sum(..)], |[x]| [x]));
    assert!(message.contains("yields f64[] as result 0") && message.contains("one shape"), "{message}");
    let three = constant([1.0, 2.0, 3.0]);
    assert!(refused(cond(&p, [&three], |[x]| [x], |[x]| [x.expand_dims(0).sum(1)])).contains("f64[3]"));
    let error = cond(&p, [&x], |[x]| [x.matmul(arange(2).expand_dims(0).expand_dims(0))], |[x]| [x]).unwrap_err();
    assert!(error.to_string().contains("`matmul` takes arrays of rank 1 or 2"), "{error}");
}

#[test]
fn shapes_that_only_a_call_knows_are_checked_there() {
    let (p, x, y) = (scalar::<bool>("p"), vector::<f64>("x"), vector::<f64>("y"));
    let [chosen] = cond(&p, [&x, &y], |[x, _]| [x], |[_, y]| [y]).unwrap();
    for (_, device) in engines() {
        let f = Compiler::new().device(device).compile([&p, &x, &y], &chosen).unwrap();
        assert_eq!(f.call::<Vec<f64>>((true, &[1.0], &[2.0])).unwrap(), [1.0]);
        let error = f.call::<Vec<f64>>((true, &[1.0], &[2.0, 3.0])).unwrap_err().to_string();
        assert!(error.contains("axis 0 of `x`") && error.contains("axis 0 of `y`"), "{error}");
    }
}

/// A loop in a branch, which would not end on the operand of the other one.
#[test]
fn the_reverse_of_a_branch_that_is_not_taken_is_not_computed() {
    let x = scalar::<f64>("x");
    let double_up = |x: &Expr| iterate_while_at_most(50, |[k]| k.lt(100.0), [x], |[k]| [k * 2.0]).unwrap();
    let body = |[x]: [Expr; 1]| {
        let [k] = iterate_while(|[k]| k.lt(100.0), [&x], |[k]| [k * 2.0]).unwrap();
        let [y] = double_up(&x);
        [y * k.stop_gradient()]
    };
    let [y] = cond(x.gt(0.0), [&x], body, |[x]| [x * 2.0]).unwrap();
    let slope = grad(&y, [&x]).unwrap().remove(0);
    for (_, device) in engines() {
        let f = Compiler::new().device(device).on_unused_input(OnUnused::Ignore).compile([&x], &slope).unwrap();
        assert_eq!(f.call::<f64>((1.0,)).unwrap(), 16384.0);
        assert_eq!(f.call::<f64>((0.0,)).unwrap(), 2.0);
    }
}
