//! Powers as products with the errors of the products, against products of 448 bits.

use astro_float::BigFloat;

use super::evaluate::{Value, evaluate};
use super::reference::{BITS, NEAREST, to_f64};
use super::{apply, count, input, rule};
use crate::dtype::{DType, Scalar};
use crate::graph::{Graph, Node};
use crate::ops::BinaryOp;

/// xⁿ by the rule, for a column of numbers.
fn powers(dtype: DType, n: i32, xs: &[f64]) -> Vec<f64> {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", dtype, &[Some(xs.len())]);
    let exponent = graph.add(Node::Scalar(Scalar::I32(n).cast(dtype)), None).unwrap();
    let power = graph.add(Node::Binary(BinaryOp::Pow, [x, exponent]), None).unwrap();
    graph.outputs.push(power);
    let (graph, trace) = apply(&graph, &[rule("compensated_power")]);
    assert_eq!((trace.total(), count(&graph, "pow")), (1, 0), "{n}");
    let argument = Value::vector(xs.iter().map(|&x| Scalar::F64(x).cast(dtype)).collect());
    evaluate(&graph, &[argument])[0].f64s()
}

/// xⁿ, rounded to 448 bits at each product.
fn exact(x: f64, n: i32) -> BigFloat {
    let x = BigFloat::from_f64(x, BITS);
    (1..n).fold(x.clone(), |power, _| power.mul(&x, BITS, NEAREST))
}

/// The error in ULP of numbers with so many bits, none of whose results leaves the normal range.
fn error(value: f64, exact: &BigFloat, digits: i32) -> f64 {
    let difference = to_f64(&BigFloat::from_f64(value, BITS).sub(exact, BITS, NEAREST));
    let exponent = value.abs().log2().floor() as i32;
    difference.abs() / f64::from(exponent + 1 - digits).exp2()
}

#[test]
fn the_last_rounding_is_nearly_all_that_is_lost() {
    let xs: Vec<f64> = (0..2000).map(|i| 0.5 + f64::from(i) * 0.000_851_3).flat_map(|x| [x, -x]).collect();
    for n in 4..=32 {
        for (dtype, digits) in [(DType::F64, 53), (DType::F32, 24)] {
            let rounded: Vec<f64> = xs.iter().map(|&x| Scalar::F64(x).cast(dtype).to_f64()).collect();
            for (x, value) in rounded.iter().zip(powers(dtype, n, &rounded)) {
                let error = error(value, &exact(*x, n), digits);
                assert!(error < 0.5001, "{x:e} to the {n} as {dtype} is {value:e}, off by {error} ULP");
            }
        }
    }
}

#[test]
fn what_leaves_the_range_is_what_it_is_of_the_power() {
    let inf = f64::INFINITY;
    let ends = [0.0, inf, f64::MAX, 1e200, 1e100, 1e50, 2e38, 1e20, 1e10];
    let small = [1e-10, 1e-20, 1e-30, 1e-38, 1e-50, 1e-100, 1e-160, 1e-200, 5e-324];
    let xs: Vec<f64> = ends.into_iter().chain(small).flat_map(|x| [x, -x]).collect();
    for n in 4..=32 {
        for (x, value) in xs.iter().zip(powers(DType::F64, n, &xs)) {
            let expected = x.powi(n);
            let is_near = (value - expected).abs() <= 1e-14 * expected.abs() + 1e-323;
            assert!(value.to_bits() == expected.to_bits() || is_near, "{x:e} to the {n}: {value:e}, not {expected:e}");
            assert_eq!(value.is_sign_negative(), expected.is_sign_negative(), "{x:e} to the {n}: {value:e}");
        }
        assert!(powers(DType::F64, n, &[f64::NAN])[0].is_nan());
    }
}

/// The product of the higher parts alone would be infinite.
#[test]
fn the_last_powers_below_infinity_are_numbers() {
    let cases =
        [(DType::F32, 1625.4986572265625, 12), (DType::F32, 47.3475341796875, 23), (DType::F64, 102701782189087.7, 22)];
    for (dtype, x, n) in cases {
        let largest = if dtype == DType::F32 { f64::from(f32::MAX) } else { f64::MAX };
        for (x, value) in [x, -x].into_iter().zip(powers(dtype, n, &[x, -x])) {
            assert!((0.999_999..=1.0).contains(&(value.abs() / largest)), "{x:e} to the {n} as {dtype}: {value:e}");
        }
    }
}

#[test]
fn next_to_the_least_normal_number_an_ulp_more_may_be_lost() {
    for (dtype, digits, least) in [(DType::F64, 53, -1022.0), (DType::F32, 24, -126.0)] {
        for n in 4..=32 {
            let xs = (1..500).map(|i| (1.0 + 1e-4 * f64::from(i)) * f64::exp2(least / f64::from(n)));
            let xs: Vec<f64> = xs.map(|x| Scalar::F64(x).cast(dtype).to_f64()).collect();
            for (x, value) in xs.iter().zip(powers(dtype, n, &xs)) {
                let error = error(value, &exact(*x, n), digits);
                assert!(error < 1.5, "{x:e} to the {n} as {dtype} is {value:e}, off by {error} ULP");
            }
        }
    }
}
