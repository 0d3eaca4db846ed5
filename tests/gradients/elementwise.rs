//! Every elementwise op of the table against differences, on points of its row's domain.

use kroton::expr::{apply_binary, apply_ternary, apply_unary};
use kroton::ops::{BinaryOp, Domain, Outcome, Row, TernaryOp, UnaryOp};
use kroton::{DType, Expr, grad, hessian_vector_product, jvp, vjp};
use ndarray::{ArrayD, IxDyn};

use crate::difference::{Difference, call, compile, differentiate};

/// Points of a domain, multiples of 1/32 but not of 1/16: steps of 1/64 and less are exact, and cross no integer and
/// no half.
fn points(domain: Domain) -> Vec<f64> {
    let (low, high) = match domain {
        Domain::All => (-64, 64),
        Domain::Positive => (1, 96),
        Domain::Unit => (-14, 14),
        Domain::AboveOne => (17, 96),
        Domain::Exponent => (-64, 64),
    };
    (low..high).step_by(3).map(|k| (f64::from(k) + 0.5) / 16.0).collect()
}

fn vector(values: &[f64]) -> ArrayD<f64> {
    ArrayD::from_shape_vec(IxDyn(&[values.len()]), values.to_vec()).unwrap()
}

fn inputs(count: usize, dtype: DType) -> Vec<Expr> {
    ["a", "b", "c"][..count].iter().map(|name| kroton::input(name, dtype, [None])).collect()
}

/// How far a value may be from the exact one, relative to it: the row's bound and one rounding, doubled.
fn noise(row: &Row) -> f64 {
    (f64::from(row.ulp_bound(DType::F64)) + 1.0) * 2.0 * f64::EPSILON
}

/// What a rule may err itself: some tens of roundings, none of which is amplified more than 2^6 times on these points.
const RULE: f64 = 4096.0 * f64::EPSILON;

/// Checks the derivatives of `y` by each input, in both modes, against differences of `value`; and the second ones
/// against differences of the first.
fn check(name: &str, row: &Row, inputs: &[Expr], y: &Expr, tuples: &[Vec<f64>]) {
    assert!(tuples.len() >= 5, "{name}: {} points", tuples.len());
    let columns: Vec<ArrayD<f64>> =
        (0..inputs.len()).map(|k| vector(&tuples.iter().map(|tuple| tuple[k]).collect::<Vec<_>>())).collect();
    let loss = y.sum(..);
    let reverse = grad(&loss, inputs).unwrap();
    let ones = kroton::ones::<f64>([inputs[0].len()]);
    let mut outputs = vec![y.clone()];
    outputs.extend(reverse.iter().cloned());
    outputs.extend(vjp(y, &ones, inputs).unwrap());
    for x in inputs {
        outputs.push(jvp(y, [(x, &ones)]).unwrap());
    }
    for (x, first) in inputs.iter().zip(&reverse) {
        outputs.push(hessian_vector_product(&loss, x, &ones).unwrap());
        outputs.push(grad(&first.sum(..), [x]).unwrap().remove(0));
    }
    let (n, f) = (inputs.len(), compile(inputs, &outputs));
    let results = call(&f, &columns);
    let moved = |k: usize, step: f64| {
        let mut columns = columns.clone();
        columns[k] += step;
        call(&f, &columns)
    };
    for k in 0..n {
        let differences = |output: usize, noise: f64| -> Vec<Difference> {
            let one = |i: usize| differentiate(|step| moved(k, step)[output][i], noise);
            (0..tuples.len()).map(one).collect()
        };
        let slopes = differences(0, noise(row));
        let sharp = slopes.iter().filter(|slope| slope.error <= 1e-8 * slope.value.abs().max(1.0)).count();
        assert!(2 * sharp > slopes.len(), "{name}: only {sharp} differences are worth comparing with");
        for (i, difference) in slopes.iter().enumerate() {
            for (mode, output) in [("grad", 1 + k), ("vjp", 1 + n + k), ("jvp", 1 + 2 * n + k)] {
                let got = results[output][i];
                let at = &tuples[i];
                assert!(difference.agrees(got, RULE), "{mode} of {name} by {k} at {at:?}: {got}, {difference:?}");
            }
        }
        for (i, difference) in differences(1 + k, RULE).iter().enumerate() {
            for (mode, output) in [("hvp", 1 + 3 * n + 2 * k), ("grad of grad", 2 + 3 * n + 2 * k)] {
                let got = results[output][i];
                let at = &tuples[i];
                assert!(difference.agrees(got, RULE), "{mode} of {name} by {k} at {at:?}: {got}, {difference:?}");
            }
        }
    }
}

#[test]
fn unary_rules_are_slopes() {
    let mut count = 0;
    for &op in UnaryOp::ALL {
        let row = op.row();
        if !row.class.contains(DType::F64) || row.outcome == Outcome::Truth || op == UnaryOp::StopGradient {
            continue;
        }
        let operands = inputs(1, DType::F64);
        let y = apply_unary(op, &operands[0]);
        let tuples: Vec<Vec<f64>> = points(row.domain).into_iter().map(|x| vec![x]).collect();
        check(row.name, row, &operands, &y, &tuples);
        count += 1;
    }
    assert!(count >= 33, "{count}");
}

/// Whether an op of two is smooth around a point.
fn is_smooth(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::FloorDiv | BinaryOp::Rem => {
            let quotient = a / b;
            b.abs() > 0.3 && (quotient - quotient.round()).abs() > 0.15
        }
        BinaryOp::Maximum | BinaryOp::Minimum | BinaryOp::Fmax | BinaryOp::Fmin => (a - b).abs() > 0.1,
        BinaryOp::Div => b.abs() > 0.2,
        BinaryOp::Atan2 | BinaryOp::Hypot => a.hypot(b) > 0.3 && (a.abs() > 0.1 || b > 0.0),
        _ => true,
    }
}

#[test]
fn binary_rules_are_slopes() {
    let mut count = 0;
    for &op in BinaryOp::ALL {
        let row = op.row();
        if !row.class.contains(DType::F64) || row.outcome == Outcome::Truth {
            continue;
        }
        let operands = inputs(2, DType::F64);
        let y = apply_binary(op, &operands[0], &operands[1]);
        let (first, second) = (points(row.domain), points(Domain::All));
        let pairs = first.iter().step_by(2).flat_map(|&a| second.iter().step_by(5).map(move |&b| vec![a, b]));
        let tuples: Vec<Vec<f64>> = pairs.filter(|pair| is_smooth(op, pair[0], pair[1])).collect();
        check(row.name, row, &operands, &y, &tuples);
        count += 1;
    }
    assert!(count >= 14, "{count}");
}

#[test]
fn ternary_rules_are_slopes() {
    for &op in TernaryOp::ALL {
        let operands = inputs(3, DType::F64);
        let [a, b, c] = [0, 1, 2].map(|k| &operands[k]);
        let first = if op == TernaryOp::Select { a.gt(0.0) } else { a.clone() };
        let y = apply_ternary(op, first, b, c);
        let xs = points(Domain::All);
        let tuples: Vec<Vec<f64>> =
            (0..xs.len()).map(|i| vec![xs[i], xs[(i * 7 + 3) % xs.len()], xs[(i * 11 + 5) % xs.len()]]).collect();
        check(op.row().name, op.row(), &operands, &y, &tuples);
    }
}

/// The same rules in f32, against those in f64, which the tests above check: this finds a literal that does not round
/// to f32, and a formula that overflows early. Values agree to some hundred roundings.
#[test]
fn rules_in_f32_are_those_in_f64() {
    for &op in UnaryOp::ALL.iter().filter(|op| op.row().class.contains(DType::F32)) {
        if op.row().outcome == Outcome::Truth {
            continue;
        }
        let xs = points(op.row().domain);
        let both = [DType::F32, DType::F64].map(|dtype| {
            let x = kroton::input("x", dtype, [None]);
            let slope = grad(&apply_unary(op, &x).sum(..), [&x]).unwrap().remove(0);
            assert_eq!(slope.dtype(), dtype, "{op}");
            (x, slope)
        });
        let single: Vec<f32> = xs.iter().map(|&x| x as f32).collect();
        let [(x, y), (wide, wide_y)] = &both;
        let f = compile(std::slice::from_ref(x), std::slice::from_ref(y));
        let [got]: [Vec<f32>; 1] = f.call((&single,)).unwrap();
        let f = compile(std::slice::from_ref(wide), std::slice::from_ref(wide_y));
        let expected = call(&f, &[vector(&xs)]).remove(0);
        for ((x, got), expected) in xs.iter().zip(got).zip(expected) {
            let bound = 512.0 * f64::from(f32::EPSILON) * expected.abs().max(f64::from(f32::EPSILON));
            assert!((f64::from(got) - expected).abs() <= bound, "{op} at {x}: {got}, not {expected}");
        }
    }
}
