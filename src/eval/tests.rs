//! The oracle against results worked out by hand, on graphs given as text.

use std::sync::Arc;

use super::*;
use crate::graph::text::parse;
use crate::graph::{Graph, HostFunction};
use crate::ops::reduction::{BLOCK, LANES};
use crate::ops::{BinaryOp, ReduceOp, UnaryOp};
use crate::shape::Dim;

/// The outputs of a text whose last two lines are missing: the number of inputs and the outputs say them.
fn run(lines: &str, outputs: &str, arguments: &[Array]) -> Result<Vec<Array>> {
    let inputs: Vec<String> = (0..arguments.len()).map(|index| format!("%{index}")).collect();
    let text = format!("kroton 1\n{lines}\nreturn {outputs}\ninputs {}\n", inputs.join(", "));
    let graph = parse(&text)?.0;
    let symbols = bind(&graph, arguments)?;
    evaluate(&graph, arguments, &symbols)
}

fn one(lines: &str, output: &str, arguments: &[Array]) -> Array {
    run(lines, output, arguments).unwrap().remove(0)
}

fn f64s(array: &Array) -> Vec<f64> {
    array.as_slice::<f64>().unwrap().to_vec()
}

fn i64s(array: &Array) -> Vec<i64> {
    array.as_slice::<i64>().unwrap().to_vec()
}

fn matrix(values: &[f64], rows: usize) -> Array {
    Array::from_slice(values).reshape(&[rows, values.len() / rows]).unwrap()
}

#[test]
fn elementwise_nodes_broadcast_static_ones_and_missing_axes() {
    let lines = "%0 = input \"a\" f64[?, 1]\n%1 = input \"b\" f64[?]\n%2 = sub %0, %1 : f64[%0.0, %1.0]";
    let result = one(lines, "%2", &[matrix(&[10.0, 20.0], 2), Array::from_slice(&[1.0, 2.0, 3.0])]);
    assert_eq!(result.shape(), [2, 3]);
    assert_eq!(f64s(&result), [9.0, 8.0, 7.0, 19.0, 18.0, 17.0]);
    let empty = one(lines, "%2", &[matrix(&[10.0, 20.0], 2), Array::from_slice::<f64>(&[])]);
    assert_eq!(empty.shape(), [2, 0]);
}

#[test]
fn sizes_that_meet_must_be_equal_even_if_one_is_1() {
    let lines = "%0 = input \"a\" f64[?]\n%1 = input \"b\" f64[?]\n%2 = mul %0, %1 : f64[%0.0]";
    let error = run(lines, "%2", &[Array::from_slice(&[1.0]), Array::from_slice(&[1.0, 2.0])]).unwrap_err();
    assert!(matches!(&error, Error::Shape(text) if text.contains("1 and 2") && text.contains("mul")), "{error}");
}

#[test]
fn nan_and_select() {
    let lines = "%0 = input \"a\" f64[?]\n%1 = is_nan %0 : bool[%0.0]\n%2 = constant -1.0 : f64[]\n\
                 %3 = select %1, %2, %0 : f64[%0.0]\n%4 = lt %0, %0 : bool[%0.0]\n%5 = maximum %0, %2 : f64[%0.0]";
    let results = run(lines, "%3, %4, %5", &[Array::from_slice(&[f64::NAN, 2.0])]).unwrap();
    assert_eq!(f64s(&results[0]), [-1.0, 2.0]);
    assert_eq!(results[1].as_slice::<bool>().unwrap(), [false, false]);
    assert!(results[2].get(0).is_nan());
}

#[test]
fn every_table_op_is_evaluated_for_every_dtype_of_its_class() {
    let node = |op: UnaryOp| Node::Unary(op, NodeId(0));
    for dtype in DType::ALL {
        let x = Array::from_scalar(Scalar::I64(1).cast(dtype));
        for &op in UnaryOp::ALL.iter().filter(|op| op.row().class.contains(dtype)) {
            let ty = Type::scalar(op.row().result(dtype));
            let value = evaluate_node(&node(op), std::slice::from_ref(&x), &ty, &Symbols::default()).unwrap();
            assert_eq!(Some(value.get(0)), op.apply(x.get(0)), "{op} {dtype}");
        }
        for &op in BinaryOp::ALL.iter().filter(|op| op.row().class.contains(dtype)) {
            let (node, ty) = (Node::Binary(op, [NodeId(0); 2]), Type::scalar(op.row().result(dtype)));
            let value = evaluate_node(&node, &[x.clone(), x.clone()], &ty, &Symbols::default()).unwrap();
            assert_eq!(Some(value.get(0)), op.apply(x.get(0), x.get(0)), "{op} {dtype}");
        }
        for to in DType::ALL {
            let node = Node::Cast(to, NodeId(0));
            let value = evaluate_node(&node, std::slice::from_ref(&x), &Type::scalar(to), &Symbols::default()).unwrap();
            assert_eq!(value.get(0), x.get(0).cast(to));
        }
        for &op in ReduceOp::ALL.iter().filter(|op| op.accepts(dtype)) {
            assert_eq!(reduce::reduce(op, &[], &x).unwrap().dtype(), op.result(dtype), "{op} {dtype}");
        }
    }
}

#[test]
fn an_op_outside_its_class_is_an_internal_error() {
    let x = Array::from_slice(&[true]);
    let ty = Type { dtype: DType::Bool, shape: [Dim::ONE].into_iter().collect() };
    let error = evaluate_node(&Node::Unary(UnaryOp::Exp, NodeId(0)), &[x], &ty, &Symbols::default()).unwrap_err();
    assert!(matches!(error, Error::Internal(_)), "{error}");
}

#[test]
fn reductions_of_axes() {
    let x = matrix(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2);
    let sum = |axes: &[u32]| reduce::reduce(ReduceOp::Sum, axes, &x).unwrap();
    assert_eq!(f64s(&sum(&[0])), [5.0, 7.0, 9.0]);
    assert_eq!(f64s(&sum(&[1])), [6.0, 15.0]);
    assert_eq!(f64s(&sum(&[0, 1])), [21.0]);
    assert_eq!(f64s(&sum(&[])), f64s(&x));
    let bytes = Array::from_slice(&[200_u8, 100]);
    assert_eq!(reduce::reduce(ReduceOp::Sum, &[0], &bytes).unwrap().get(0), Scalar::U64(300));
    let truths = Array::from_slice(&[true, false, true]);
    assert_eq!(reduce::reduce(ReduceOp::Sum, &[0], &truths).unwrap().get(0), Scalar::I64(2));
    assert_eq!(reduce::reduce(ReduceOp::Max, &[0], &truths).unwrap().get(0), Scalar::Bool(true));
    assert_eq!(reduce::reduce(ReduceOp::All, &[0], &truths).unwrap().get(0), Scalar::Bool(false));
}

#[test]
fn empty_reductions() {
    let x = Array::zeros(DType::F64, &[0, 3]).unwrap();
    assert_eq!(f64s(&reduce::reduce(ReduceOp::Sum, &[0], &x).unwrap()), [0.0; 3]);
    assert_eq!(f64s(&reduce::reduce(ReduceOp::Prod, &[0, 1], &x).unwrap()), [1.0]);
    assert_eq!(reduce::reduce(ReduceOp::Min, &[1], &x).unwrap().shape(), [0]);
    // Whoever built the graph is refused before; a rewrite may count on the row's initial state.
    assert_eq!(f64s(&reduce::reduce(ReduceOp::Min, &[0], &x).unwrap()), [f64::INFINITY; 3]);
}

#[test]
fn positions_take_the_first_of_equals_over_lanes_and_blocks() {
    let mut values = vec![5.0; 3000];
    values[1700] = 1.0;
    values[2999] = 1.0;
    let position = |op, values: &[f64]| reduce::reduce(op, &[0], &Array::from_slice(values)).unwrap().get(0);
    assert_eq!(position(ReduceOp::ArgMin, &values), Scalar::I64(1700));
    assert_eq!(position(ReduceOp::ArgMax, &values), Scalar::I64(0));
    values[2500] = f64::NAN;
    values[2100] = f64::NAN;
    assert_eq!(position(ReduceOp::ArgMin, &values), Scalar::I64(2100));
    assert_eq!(position(ReduceOp::ArgMax, &values), Scalar::I64(2100));
}

/// The order of merges, written out once more from its definition with plain numbers.
fn sum_by_definition(values: &[f64]) -> f64 {
    let mut counter: Vec<(u32, f64)> = Vec::new();
    for block in values.chunks(BLOCK) {
        let mut lanes = [0.0; LANES];
        for (i, x) in block.iter().enumerate() {
            lanes[i % LANES] += x;
        }
        let eight: [f64; 8] = std::array::from_fn(|i| lanes[i] + lanes[i + 8]);
        let four: [f64; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
        let mut newest = (0, (four[0] + four[2]) + (four[1] + four[3]));
        // States of equal weight meet, as the digits of a binary counter carry.
        while let Some(&(weight, older)) = counter.last().filter(|(weight, _)| *weight == newest.0) {
            newest = (weight + 1, older + newest.1);
            counter.pop();
        }
        counter.push(newest);
    }
    counter.into_iter().rev().map(|(_, sum)| sum).reduce(|newer, older| older + newer).unwrap_or(0.0)
}

#[test]
fn sums_merge_in_the_defined_order() {
    for count in [0, 1, 15, 16, 17, 1023, 1024, 1025, 3 * 1024 + 5, 7 * 1024, 11_000] {
        let values: Vec<f64> = (0..count).map(|i| 1.0 / f64::from(i + 1) - 1e-3 * f64::from(i % 7)).collect();
        let sum = reduce::reduce(ReduceOp::Sum, &[0], &Array::from_slice(&values)).unwrap();
        assert_eq!(f64s(&sum), [sum_by_definition(&values)], "{count}");
    }
}

#[test]
fn views_move_elements() {
    let lines = "%0 = input \"a\" f64[?, 3]\n\
        %1 = permute order=[1, 0] %0 : f64[3, %0.0]\n\
        %2 = reshape [3*%0.0] %0 : f64[3*%0.0]\n\
        %3 = slice [%0.0 - 1:-1:%0.0, 2:-2:2] %0 : f64[%0.0, 2]\n\
        %4 = slice [0:1:0, 0:1:3] %0 : f64[0, 3]\n\
        %5 = broadcast [2, %0.0, 3] %0 : f64[2, %0.0, 3]\n\
        %6 = concat axis=1 %0, %3 : f64[%0.0, 5]\n\
        %7 = iota %0.0 + 1 : i64[%0.0 + 1]\n\
        %8 = size 3*%0.0 : i64[]";
    let x = matrix(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2);
    let results = run(lines, "%1, %2, %3, %4, %5, %6, %7, %8", &[x]).unwrap();
    assert_eq!((results[0].shape(), f64s(&results[0])), (&[3, 2][..], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    assert_eq!((results[1].shape(), f64s(&results[1])[5]), (&[6][..], 6.0));
    assert_eq!((results[2].shape(), f64s(&results[2])), (&[2, 2][..], vec![6.0, 4.0, 3.0, 1.0]));
    assert_eq!(results[3].shape(), [0, 3]);
    assert_eq!(f64s(&results[4]), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0].repeat(2));
    assert_eq!(f64s(&results[5]), [1.0, 2.0, 3.0, 6.0, 4.0, 4.0, 5.0, 6.0, 3.0, 1.0]);
    assert_eq!(i64s(&results[6]), [0, 1, 2]);
    assert_eq!(i64s(&results[7]), [6]);
}

#[test]
fn a_slice_out_of_bounds_is_an_error() {
    let lines = "%0 = input \"a\" f64[?]\n%1 = slice [0:1:3] %0 : f64[3]";
    assert!(matches!(run(lines, "%1", &[Array::from_slice(&[1.0, 2.0])]), Err(Error::Shape(_))));
    assert_eq!(one(lines, "%1", &[Array::from_slice(&[1.0, 2.0, 3.0, 4.0])]).shape(), [3]);
}

#[test]
fn matrix_products() {
    let (a, b) = (matrix(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2), matrix(&[1.0, 0.0, 0.0, 1.0, 1.0, 1.0], 3));
    assert_eq!(f64s(&matmul::matmul(&a, &b).unwrap()), [4.0, 5.0, 10.0, 11.0]);
    let bytes = Array::from_slice(&[100_u8, 3]).reshape(&[1, 2]).unwrap();
    let column = Array::from_slice(&[3_u8, 1]).reshape(&[2, 1]).unwrap();
    assert_eq!(matmul::matmul(&bytes, &column).unwrap().get(0), Scalar::U8(47));
    let row = Array::from_slice(&[true, false]).reshape(&[1, 2]).unwrap();
    let other = Array::from_slice(&[false, true, true, true]).reshape(&[2, 2]).unwrap();
    assert_eq!(matmul::matmul(&row, &other).unwrap().as_slice::<bool>().unwrap(), [false, true]);
    let empty = Array::zeros(DType::F32, &[2, 0]).unwrap();
    let nothing = Array::zeros(DType::F32, &[0, 1]).unwrap();
    assert_eq!(matmul::matmul(&empty, &nothing).unwrap().as_slice::<f32>().unwrap(), [0.0, 0.0]);
    assert!(matmul::matmul(&a, &a).is_err());
}

const FIBONACCI: &str = "%0 = input \"n\" i64[]\n%1 = constant 0 : i64[]\n%2 = constant 1 : i64[]\n\
    %3 = parameter i64[]\n%4 = parameter i64[]\n%5 = add %3, %4 : i64[]\n%6 = mul %5, %2 : i64[]\n\
    %7 = loop %0 [%1, %2] [%3, %4] -> [%4, %6] : i64[]\n%8 = project 0 %7 : i64[]\n%9 = project 1 %7 : i64[]";

#[test]
fn loops_carry_state() {
    for (steps, expected) in [(0, (0, 1)), (1, (1, 1)), (10, (55, 89))] {
        let results = run(FIBONACCI, "%8, %9", &[Array::from_scalar(Scalar::I64(steps))]).unwrap();
        assert_eq!((i64s(&results[0])[0], i64s(&results[1])[0]), expected, "{steps}");
    }
    let error = run(FIBONACCI, "%8", &[Array::from_scalar(Scalar::I64(-3))]).unwrap_err().to_string();
    assert!(error.contains("a loop of -3 steps"), "{error}");
}

#[test]
fn loops_nest_and_see_the_outer_state() {
    // x ← x + (x·2 repeated three times by y ← y + x), with a size inside the body.
    let lines = "%0 = input \"x\" i64[?]\n%1 = constant 2 : i64[]\n%2 = constant 3 : i64[]\n\
        %3 = parameter i64[%0.0]\n%4 = mul %3, %1 : i64[%0.0]\n\
        %5 = parameter i64[%0.0]\n%6 = add %5, %3 : i64[%0.0]\n\
        %7 = loop %2 [%4] [%5] -> [%6] : i64[%0.0]\n%8 = project 0 %7 : i64[%0.0]\n\
        %9 = size %0.0 : i64[]\n%10 = add %8, %9 : i64[%0.0]\n\
        %11 = loop %1 [%0] [%3] -> [%10] : i64[%0.0]\n%12 = project 0 %11 : i64[%0.0]\n%13 = neg %4 : i64[%0.0]";
    // One step is x ← 5x + 2.
    let x = Array::from_slice(&[1_i64, 10]);
    assert_eq!(i64s(&one(lines, "%12", &[x])), [37, 262]);
}

#[test]
fn host_functions_are_called_and_their_result_checked() {
    let host = |shape: &'static [usize]| HostFunction {
        name: "double".to_string(),
        infer: Box::new(|types| Ok(types[0].clone())),
        call: Box::new(move |arrays| Array::from_scalar(arrays[0].get(0)).reshape(shape)),
    };
    for (shape, works) in [(&[][..], true), (&[1][..], false)] {
        let mut graph = Graph::new();
        let x = graph.add(Node::Scalar(Scalar::F64(2.5)), None).unwrap();
        let y = graph.add(Node::Custom(Custom(Arc::new(host(shape))), vec![x]), None).unwrap();
        graph.outputs = vec![y];
        let result = evaluate(&graph, &[], &Symbols::default());
        assert_eq!(result.is_ok(), works, "{result:?}");
    }
}

#[test]
fn arguments_are_checked_and_bound() {
    let text = "kroton 1\n%0 = input \"a\" f64[?, 3]\n%1 = input \"n\" u8[]\n%2 = iota %1.value : i64[%1.value]\n\
        return %2\ninputs %0, %1";
    let graph = parse(text).unwrap().0;
    let (a, n) = (Array::zeros(DType::F64, &[2, 3]).unwrap(), Array::from_scalar(Scalar::U8(4)));
    let symbols = bind(&graph, &[a.clone(), n.clone()]).unwrap();
    assert_eq!(i64s(&evaluate(&graph, &[a.clone(), n.clone()], &symbols).unwrap()[0]), [0, 1, 2, 3]);
    assert!(bind(&graph, std::slice::from_ref(&a)).is_err());
    let error = bind(&graph, &[Array::zeros(DType::F64, &[2, 4]).unwrap(), n.clone()]).unwrap_err();
    assert_eq!(error.to_string(), "the input \"a\" is f64[?, 3], but f64[2, 4] came");
    assert!(bind(&graph, &[Array::zeros(DType::F32, &[2, 3]).unwrap(), n]).is_err());
    assert!(bind(&graph, &[a.clone(), a]).is_err());
}

#[test]
fn a_negative_size_is_an_error() {
    let lines = "%0 = input \"n\" i64[]\n%1 = iota %0.value : i64[%0.value]";
    assert!(matches!(run(lines, "%1", &[Array::from_scalar(Scalar::I64(-1))]), Err(Error::Shape(_))));
}

#[test]
fn values_are_freed_after_their_last_use() {
    let graph = parse(&format!("kroton 1\n{FIBONACCI}\nreturn %9\ninputs %0\n")).unwrap().0;
    let lifetimes = Lifetimes::new(&graph).unwrap();
    let (count, initial, sum, first) = (NodeId(0), NodeId(1), NodeId(5), NodeId(7));
    assert!(lifetimes.ending_at(first).contains(&count) && lifetimes.ending_at(first).contains(&initial));
    assert_eq!(lifetimes.ending_at(NodeId(6)), [sum]);
    assert_eq!(lifetimes.body(first), [sum, NodeId(6)]);
    assert_eq!(lifetimes.ending_at(NodeId(9)), [first]);
}

#[test]
fn a_long_chain_is_evaluated() {
    let mut graph = Graph::new();
    let mut x = graph.add(Node::Scalar(Scalar::I64(0)), None).unwrap();
    let one = graph.add(Node::Scalar(Scalar::I64(1)), None).unwrap();
    for _ in 0..100_000 {
        x = graph.add(Node::Binary(BinaryOp::Add, [x, one]), None).unwrap();
    }
    graph.outputs = vec![x];
    assert_eq!(i64s(&evaluate(&graph, &[], &Symbols::default()).unwrap()[0]), [100_000]);
}
