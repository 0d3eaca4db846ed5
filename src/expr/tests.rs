//! Tests of building: dtypes, literals, shapes, errors with source lines, formulas, long chains.

use ndarray::{Array1, SliceInfoElem};
use proptest::prelude::*;

use crate::dtype::{DType, Scalar};
use crate::expr::Expr;
use crate::graph::Node;
use crate::ops::{BinaryOp, UnaryOp};
use crate::shape::{Dim, Measure, Symbol, Symbols};
use crate::{Error, constant, input, matrix, s, scalar, tensor, vector};

fn of(dtype: DType) -> Expr {
    input("x", dtype, [None])
}

fn message(expr: &Expr) -> (String, u32) {
    match expr.error() {
        Some(Error::Build { message, location }) => {
            assert!(location.file().ends_with("tests.rs"), "{location}");
            (message.clone(), location.line())
        }
        other => panic!("{expr} carries {other:?}"),
    }
}

#[test]
fn operators_promote_arrays() {
    for a in DType::ALL {
        for b in DType::ALL {
            let (x, y) = (of(a), of(b));
            assert_eq!((&x + &y).dtype(), a.promote(b), "{a} + {b}");
            assert_eq!((&x * y.clone()).dtype(), a.promote(b), "{a} * {b}");
            assert_eq!(x.lt(&y).dtype(), DType::Bool, "{a} < {b}");
            let quotient = a.promote(b);
            assert_eq!((x / y).dtype(), if quotient.is_float() { quotient } else { DType::F64 }, "{a} / {b}");
        }
    }
}

#[test]
fn literals_take_the_dtype_of_what_they_meet() {
    use DType::*;
    for (dtype, with_int, with_float) in
        [(Bool, I64, F64), (U8, U8, F64), (I32, I32, F64), (F32, F32, F32), (F64, F64, F64)]
    {
        let x = of(dtype);
        assert_eq!((&x + 1).dtype(), with_int);
        assert_eq!((1 + &x).dtype(), with_int);
        assert_eq!((&x * 2.5).dtype(), with_float);
        assert_eq!((2.5 * &x).dtype(), with_float);
        assert_eq!((&x & true).dtype(), dtype);
        assert_eq!(x.maximum(1_u8).dtype(), with_int);
        assert_eq!((&x + 1_usize).dtype(), with_int);
    }
    assert_eq!((of(F32) * constant(2.0)).dtype(), F64);
    assert_eq!((of(U8) + constant(1_i64)).dtype(), I64);
    assert_eq!((of(U8) / 300).dtype(), F64);
}

#[test]
fn literals_are_converted_while_building() {
    let sum = of(DType::F32) + 0.1;
    let Node::Binary(_, [_, literal]) = sum.node() else { panic!("{sum}") };
    assert!(matches!(literal.node(), Node::Scalar(Scalar::F32(value)) if value.to_bits() == 0.1_f32.to_bits()));
    let (text, line) = (message(&(of(DType::U8) + 300)), line!());
    assert_eq!(
        text,
        ("the literal 300 does not fit u8; convert the other operand first, as in x.cast::<i64>()".into(), line)
    );
    assert!(message(&(-1 + of(DType::U64))).0.contains("-1 does not fit u64"));
    assert!((of(DType::U64) + u64::MAX).error().is_none());
}

#[test]
fn sizes_are_weak() {
    let x = matrix::<f32>("x");
    assert_eq!((x.sum(..) / x.len()).dtype(), DType::F32);
    assert_eq!((&x * (x.shape(0) / 2 + 1)).dtype(), DType::F32);
    assert_eq!((of(DType::I32) + x.len()).dtype(), DType::I32);
    assert_eq!((x.len() / 2).dtype(), DType::F64);
    assert_eq!((&x * x.len().cast::<i64>()).dtype(), DType::F64);
    assert!((x.len() + 1).is_weak() && !(x.len() + constant(1_i64)).is_weak());
}

#[test]
fn bools_have_their_own_rules() {
    let (a, b) = (of(DType::Bool), of(DType::Bool));
    assert!(matches!((&a + &b).node(), Node::Binary(BinaryOp::Or, _)));
    assert!(matches!((&a * &b).node(), Node::Binary(BinaryOp::And, _)));
    assert!(message(&(&a - &b)).0.contains("xor"));
    assert!(message(&-&a).0.contains("!x"));
    assert_eq!((!&a).dtype(), DType::Bool);
    assert_eq!(a.sum(..).dtype(), DType::I64);
    assert_eq!(a.relu().dtype(), DType::I64);
}

#[test]
fn integers_go_through_float_functions_as_f64() {
    let i = of(DType::I32);
    for &op in UnaryOp::ALL {
        let result = crate::expr::elementwise::unary(op, &i);
        assert!(result.error().is_none(), "{op}");
    }
    assert_eq!((i.exp().dtype(), i.floor().dtype(), i.is_nan().dtype()), (DType::F64, DType::I32, DType::Bool));
    assert_eq!((i.pow(2).dtype(), i.powi(-2).dtype(), i.floor_div(2).dtype()), (DType::I32, DType::F64, DType::I32));
    assert_eq!(i.mul_add(1, 2).dtype(), DType::F64);
}

#[test]
fn the_first_error_is_carried_with_its_line() {
    let (x, i) = (vector::<f64>("x"), of(DType::I32));
    let (wrong, line) = (&x & &i, line!());
    let poisoned = (wrong.exp() + 1.0).sum(..).reshape([3]);
    assert_eq!(message(&poisoned).1, line);
    assert!(message(&poisoned).0.contains("`and` takes bool and integers, not f64"), "{poisoned:?}");
    assert_eq!((wrong.dtype(), wrong.rank()), (DType::F64, 1));
    let (three, four) = (input("a", DType::F64, [Some(3)]), input("b", DType::F64, [Some(4)]));
    let (sum, line) = (three + four, line!());
    let (text, at) = message(&sum);
    assert!(text.contains("f64[3] with f64[4]") && at == line, "{text}");
    assert!(message(&x.len().clamp(wrong.len(), 1)).0.contains("`and`"));
}

#[test]
fn compositions_report_the_line_of_the_user() {
    let x = matrix::<f64>("x");
    for (expr, line) in [
        (x.softmax(5), line!()),
        (x.var_ddof([0, 0], 1), line!()),
        (x.matmul(tensor::<f64>("t", 3)), line!()),
        (x.slice(s![.., .., 0]), line!()),
        (x.squeeze(0), line!()),
        (crate::concat([&x, &x.sum(0)], 0), line!()),
        (x.select(1.0, 2.0), line!()),
        (crate::arange(x.len() / 2), line!()),
        (crate::zeros::<f64>((x.len(), 2.5)), line!()),
        (x.reshape([-1, -1]), line!()),
        (x.logsumexp(2) + 1.0, line!()),
        (x.argmax([0_i32; 0]), line!()),
    ] {
        assert_eq!(message(&expr).1, line, "{}", message(&expr).0);
    }
    assert!(message(&x.sum([1, -1])).0.contains("axis -1 is given twice"));
    assert!(message(&x.mean(2)).0.contains("`mean` of f64[?, ?]: axis 2 does not exist"));
}

#[test]
fn long_chains_build_intern_and_drop() {
    let x = vector::<f64>("x");
    let mut y = x.clone();
    for step in 0..100_000 {
        y = if step % 2 == 0 { y + 1.0 } else { &x - y };
    }
    let (graph, _) = crate::expr::intern::intern(&[x], &[y.clone()], &[]).unwrap();
    assert!(graph.len() > 100_000);
    assert!(y.to_string().len() < 2000);
    let clone = y.clone();
    drop(y);
    assert!(clone.error().is_none());
    drop(clone);
}

#[test]
#[allow(clippy::reversed_empty_ranges)] // ndarray counts −1 from the end
fn formulas() {
    let (a, b) = (vector::<f64>("a"), vector::<f64>("b"));
    let (p, q) = (of(DType::I32), vector::<bool>("q"));
    for (expr, text) in [
        (&a * &a + &b * &b, "a * a + b * b"),
        ((&a + &b) * 2.0, "(a + b) * 2.0"),
        (&a - (&b - 1), "a - (b - 1.0)"),
        (-(&a + &b), "-(a + b)"),
        (-&a * &b, "-a * b"),
        (a.lt(&b) & &q, "(a < b) & q"),
        (!a.is_nan(), "!is_nan(a)"),
        (&p << 2, "x << 2"),
        (p.cast::<f64>() + &a, "f64(x) + a"),
        (a.sum(..) / a.len(), "sum(a) / f64(a.shape(0))"),
        (a.mean(..), "sum(a) / f64(a.shape(0))"),
        (a.exp().maximum(&b), "maximum(exp(a), b)"),
        (a.slice(s![1..-1]), "a[1..a.shape(0) - 1]"),
        (a.slice(s![..;-1]), "a[a.shape(0) - 1..;-1 × a.shape(0)]"),
        (
            input("m", DType::F32, [None, Some(4)]).slice(s![.., 0..;2]).slice(s![0..0, ..]).sum(..),
            "sum(m[.., 0..;2 × 2][0..0, ..])",
        ),
        (matrix::<f32>("m").sum(-1), "sum(m, [1])"),
        (a.gt(0).select(&a, 0), "select(a > 0.0, a, 0.0)"),
        (constant([1, 2, 3]) + &p, "[1, 2, 3] + x"),
        (a.reshape((-1, 1)), "reshape(a, [a.shape(0), 1])"),
    ] {
        assert_eq!(expr.to_string(), text);
    }
    assert_eq!(format!("{:?}", &a + 1), "Expr(add f64[?])");
    assert_eq!(format!("{:?}", &a & 1), "Expr(ill-typed and f64[?])");
}

#[test]
fn sizes_from_expressions() {
    let (x, n) = (matrix::<f64>("x"), scalar::<i32>("n"));
    let mut values = Symbols::default();
    for (expr, axis, value) in [(&x, 0, 6), (&x, 1, 4)] {
        values.set(expr.dims()[axis].as_symbol().unwrap(), value);
    }
    let Node::Input(given) = n.node() else { panic!() };
    values.set(Symbol { input: given.id, measure: Measure::Value }, 5);
    let sizes = |expr: &Expr| -> Vec<i64> { expr.dims().iter().map(|dim| dim.evaluate(&values).unwrap()).collect() };
    assert_eq!(sizes(&crate::arange(x.len())), [24]);
    assert_eq!(sizes(&crate::arange(&n * 2 - 1)), [9]);
    assert_eq!(sizes(&crate::arange((x.shape(0) - 7).abs().maximum(&n) % 3)), [2]);
    assert_eq!(sizes(&x.reshape((2, -1))), [2, 12]);
    assert_eq!(sizes(&x.reshape((x.shape(1), -1))), [4, 6]);
    assert_eq!(sizes(&crate::zeros::<f64>((x.shape(0), n.cast::<i64>(), 2))), [6, 5, 2]);
    assert_eq!(sizes(&x.slice_axis(0, &n - 3, -1, 2)), [2, 4]);
    assert_eq!(sizes(&x.slice_axis(0, 4, 1, -1)), [3, 4]);
    assert_eq!(sizes(&crate::concat([&x, &x, &x.slice(s![..2])], 0)), [14, 4]);
    assert_eq!(sizes(&crate::stack([&x, &x, &x], -1)), [6, 4, 3]);
    assert_eq!(sizes(&x.sum_keepdims(-1)), [6, 1]);
    assert_eq!(sizes(&x.softmax(0)), [6, 4]);
    assert_eq!(sizes(&x.transpose().matmul(&x)), [4, 4]);
    assert_eq!(sizes(&x.matmul(vector::<f64>("v"))), [6]);
    assert_eq!(sizes(&x.slice(s![.., ndarray::NewAxis, 0])), [6, 1]);
    assert!(message(&crate::arange(2.5)).0.contains("is not a size"));
    assert!(message(&crate::arange(x.sum(..).cast::<i64>())).0.contains("is not a size"));
    assert!(message(&crate::arange(-1)).0.contains("below zero"));
    let (bad, line) = (x.sum(7), line!());
    for expr in [crate::full((), &bad), crate::full((2,), &bad), crate::arange(bad.len()), x.reshape((bad.len(), 1))] {
        assert_eq!(message(&expr).1, line);
    }
}

/// The elements that a slice takes from 0, 1, 2, …
fn taken(sliced: &Expr, size: i64) -> Vec<i64> {
    let mut values = Symbols::default();
    let range = match sliced.node() {
        Node::Slice(ranges, x) => {
            x.dims()[0].for_each_symbol(&mut |symbol| values.set(symbol, size));
            ranges[0].clone()
        }
        _ => return (0..size).collect(),
    };
    let (start, length) = (range.start.evaluate(&values).unwrap(), range.length.evaluate(&values).unwrap());
    crate::graph::infer::check_range(start, range.step, length, size).unwrap();
    (0..length).map(|i| start + i * range.step).collect()
}

proptest! {
    #[test]
    fn slices_are_those_of_ndarray(
        size in 0_isize..9,
        bounds in (0_isize..9, 0_isize..9),
        from_end in (any::<bool>(), any::<bool>(), any::<bool>()),
        step in prop_oneof![1_isize..4, -3_isize..0],
    ) {
        let (low, high) = (bounds.0.min(size), bounds.1.min(size));
        let start = if from_end.0 && low < size { low - size } else { low };
        let end = if from_end.2 { None } else if from_end.1 && high < size { Some(high - size) } else { Some(high) };
        let part = SliceInfoElem::Slice { start, end, step };
        let all = Array1::from_iter(0..size as i64);
        let expected = all.slice_each_axis(|_| ndarray::Slice { start, end, step }).to_vec();
        let fixed = input("x", DType::F64, [Some(size as usize)]).slice([part]);
        prop_assert_eq!(taken(&fixed, size as i64), expected.clone(), "{:?} of {}", part, size);
        if end.is_none() || low <= high {
            let open = vector::<f64>("x").slice([part]);
            prop_assert_eq!(taken(&open, size as i64), expected, "{:?} of an open {}", part, size);
        }
    }
}

#[test]
fn slices_outside_their_axis_are_errors() {
    let x = input("x", DType::F64, [Some(5)]);
    for part in [s![6..], s![..6], s![-6..], s![9..9;-1]] {
        assert!(x.slice(part).error().is_some(), "{part:?}");
    }
    assert!(x.slice(s![5]).error().is_some() && x.slice(s![-6]).error().is_some());
    assert!(x.slice([SliceInfoElem::Slice { start: 0, end: None, step: 0 }]).error().is_some());
    assert!(x.slice([SliceInfoElem::Slice { start: 0, end: None, step: isize::MIN }]).error().is_some());
    assert_eq!(x.slice(s![5..]).dims()[0], Dim::ZERO);
}

/// The value of an expression of rank 0 over one input.
fn value_at(expr: &Expr, x: f64) -> f64 {
    let at = |operand: &Expr| scalar_at(operand, Scalar::F64(x));
    at(expr).to_f64()
}

fn scalar_at(expr: &Expr, x: Scalar) -> Scalar {
    let at = |operand: &Expr| scalar_at(operand, x);
    match expr.node() {
        Node::Input(_) => x,
        Node::Scalar(value) => *value,
        Node::Unary(op, a) => op.apply(at(a)).unwrap(),
        Node::Binary(op, [a, b]) => op.apply(at(a), at(b)).unwrap(),
        Node::Ternary(op, [a, b, c]) => op.apply(at(a), at(b), at(c)).unwrap(),
        Node::Cast(dtype, a) => at(a).cast(*dtype),
        other => panic!("{other:?}"),
    }
}

#[test]
fn compositions_hold_in_the_tails() {
    let x = scalar::<f64>("x");
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let close = |got: f64, expected: f64| {
        let near = (got - expected).abs() <= 4.0 * f64::EPSILON * expected.abs();
        assert!(near || got == expected || got.is_nan() && expected.is_nan(), "{got} is not {expected}");
    };
    for (at, sigmoid, softplus) in [
        (0.0, 0.5, 2_f64.ln()),
        (-40.0, (-40_f64).exp(), (-40_f64).exp()),
        (40.0, 1.0, 40.0),
        (-745.0, (-745_f64).exp(), (-745_f64).exp()),
        (800.0, 1.0, 800.0),
        (inf, 1.0, inf),
        (-inf, 0.0, 0.0),
        (nan, nan, nan),
    ] {
        close(value_at(&x.sigmoid(), at), sigmoid);
        close(value_at(&x.softplus(), at), softplus);
    }
    close(value_at(&x.logaddexp(1000.0), 1000.0), 1000.0 + 2_f64.ln());
    close(value_at(&x.logaddexp(0.0), 1.0), (1.0 + 1_f64.exp()).ln());
    close(value_at(&x.logaddexp(&x), inf), inf);
    close(value_at(&x.logaddexp(&x), -inf), -inf);
    close(value_at(&x.logaddexp(-inf), inf), inf);
    close(value_at(&x.logaddexp(0.0), nan), nan);
    for (at, expected) in [(nan, 0.0), (inf, f64::MAX), (-inf, f64::MIN), (1.5, 1.5)] {
        assert_eq!(value_at(&x.nan_to_num(), at), expected);
    }
    assert_eq!(value_at(&x.relu(), -3.0), 0.0);
    assert!(value_at(&x.relu(), nan).is_nan() && value_at(&x.clamp(0, 1), nan).is_nan());
    assert_eq!((value_at(&x.deg2rad(), 180.0), value_at(&x.square(), -3.0)), (std::f64::consts::PI, 9.0));
}
