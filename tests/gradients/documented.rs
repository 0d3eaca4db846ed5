//! The conventions that docs/ops.md lists, at the points that they name; and ops that list none need none.

use kroton::autodiff::conventions::{self, Convention};
use kroton::expr::{apply_binary, apply_reduce, apply_ternary, apply_unary};
use kroton::ops::{BinaryOp, Outcome, ReduceOp, Row, TernaryOp, UnaryOp};
use kroton::{DType, Device, Expr, OptLevel, grad, input};

use crate::common::plain;

/// The derivatives by some scalars, with and without rewriting.
fn slopes(inputs: &[Expr], y: &Expr, at: &[f64]) -> Vec<Vec<f64>> {
    let slopes = grad(y, inputs).unwrap();
    let settings = [(Device::Interpreter, OptLevel::None), (Device::Cpu, OptLevel::Full)];
    let call = |(device, level)| {
        let settings = plain(device).optimize(level).on_unused_input(kroton::OnUnused::Ignore);
        let args: Vec<kroton::Arg<'_>> = at.iter().map(kroton::Arg::from).collect();
        let f = settings.compile(inputs, &slopes).unwrap();
        let values: Vec<kroton::Array> = f.call(args.as_slice()).unwrap();
        values.iter().map(|value| value.as_slice::<f64>().unwrap()[0]).collect()
    };
    settings.map(call).into()
}

fn scalars(count: usize) -> Vec<Expr> {
    (0..count).map(|k| input(&format!("x{k}"), DType::F64, [])).collect()
}

fn same(got: &[f64], expected: &[f64]) -> bool {
    let near = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() < 1e-14 * b.abs();
    got.len() == expected.len() && got.iter().zip(expected).all(near)
}

/// Checks the examples of a convention, or that there is nothing to say.
fn check(name: &str, convention: Convention, count: usize, build: impl Fn(&[Expr]) -> Expr) {
    let inputs = scalars(count);
    let y = build(&inputs);
    for (at, expected) in convention.examples {
        for got in slopes(&inputs, &y, at) {
            assert!(same(&got, expected), "{name} at {at:?}: {got:?}, documented as {expected:?}");
        }
    }
    assert_eq!(convention.words.is_empty(), convention.examples.is_empty(), "{name}: words and examples go together");
    if !convention.words.is_empty() {
        return;
    }
    for k in 0..6_usize.pow(count as u32) {
        let at: Vec<f64> =
            (0..count as u32).map(|place| [-2.0, -1.0, -0.5, 0.0, 1.0, 2.0][k / 6_usize.pow(place) % 6]).collect();
        for got in slopes(&inputs, &y, &at) {
            assert!(got.iter().all(|slope| slope.is_finite()), "{name} at {at:?}: {got:?}, and no convention says so");
        }
    }
}

/// Whether an op takes and gives floats.
fn is_of_floats(row: &Row) -> bool {
    row.class.contains(DType::F64) && row.outcome == Outcome::Same
}

/// Ops without floats have a convention that says so, and nothing to check.
fn check_row(row: &Row, convention: Convention, count: usize, build: impl Fn(&[Expr]) -> Expr) {
    if is_of_floats(row) {
        check(row.name, convention, count, build);
    } else {
        assert_eq!(convention.words, "none: no floats", "{}", row.name);
    }
}

#[test]
fn elementwise_ops_do_what_is_documented() {
    for &op in UnaryOp::ALL {
        check_row(op.row(), conventions::unary(op), 1, |x| apply_unary(op, &x[0]));
    }
    for &op in BinaryOp::ALL {
        check_row(op.row(), conventions::binary(op), 2, |x| apply_binary(op, &x[0], &x[1]));
    }
    for &op in TernaryOp::ALL {
        check_row(op.row(), conventions::ternary(op), 3, |x| {
            let first = if op == TernaryOp::Select { x[0].gt(0.0) } else { x[0].clone() };
            apply_ternary(op, first, &x[1], &x[2])
        });
    }
}

#[test]
fn reductions_do_what_is_documented() {
    for &op in ReduceOp::ALL {
        let convention = conventions::reduction(op);
        if !op.accepts(DType::F64) || op.result(DType::F64) != DType::F64 {
            assert_eq!(convention.words, "none: no floats", "{op}");
            continue;
        }
        check(op.name(), convention, 3, |x| apply_reduce(op, kroton::stack(x, 0), [0]));
    }
}
