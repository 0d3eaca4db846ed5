//! Round trips, error texts and hostile texts.

use std::sync::Arc;

use smallvec::smallvec;

use super::*;
use crate::array::Array;
use crate::dtype::{DType, Scalar};
use crate::error::Error;
use crate::graph::verify::verify;
use crate::graph::{Custom, Dense, Graph, HostFunction, Input, Loop, Node, NodeId, Region, SliceRange, Type};
use crate::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};
use crate::shape::{Dim, InputId, Measure, Symbol};

pub(super) fn add(graph: &mut Graph, node: Node<NodeId>) -> NodeId {
    graph.add(node, None).unwrap()
}

/// An input with open sizes, and its symbols.
pub(super) fn input(graph: &mut Graph, name: &str, dtype: DType, rank: u32) -> (NodeId, Vec<Dim>, Dim) {
    let id = InputId::new();
    let sizes: Vec<Dim> =
        (0..rank).map(|axis| Dim::from(Symbol { input: id, measure: Measure::Extent(axis) })).collect();
    let ty = Type { dtype, shape: sizes.iter().cloned().collect() };
    let node = add(graph, Node::Input(Arc::new(Input { id, name: name.to_string(), ty, kept: None })));
    (node, sizes, Dim::from(Symbol { input: id, measure: Measure::Value }))
}

/// A graph with every kind of node, whose inputs are listed in the opposite order of their making.
pub(super) fn every_kind() -> Graph {
    let mut graph = Graph::new();
    let g = &mut graph;
    let (count, _, value) = input(g, "count\n\"\\\u{7}é", DType::I64, 0);
    let (x, sizes, _) = input(g, "x", DType::F64, 2);
    let (n, m) = (sizes[0].clone(), sizes[1].clone());
    let scalar = add(g, Node::Scalar(Scalar::F64(0.1)));
    let nan = add(g, Node::Scalar(Scalar::from_bits(DType::F64, 0x7ff8_0000_0000_0123)));
    let infinity = Array::from_slice(&[f32::NEG_INFINITY, 1e-45, -0.0, f32::NAN, f32::MAX, 1e7]);
    let dense = add(g, Node::Dense(Dense(infinity.reshape(&[2, 3]).unwrap())));
    let truths = add(g, Node::Dense(Dense(Array::from_slice(&[true, false]))));
    let point = add(g, Node::Dense(Dense(Array::from_scalar(Scalar::I8(-128)))));
    let empty = add(g, Node::Dense(Dense(Array::from_slice::<u64>(&[]))));
    let iota = add(g, Node::Iota(value.larger(&Dim::ZERO).add(&n)));
    let size = add(g, Node::Size(n.add(&Dim::from(1)).mul(&m).floor_div(&n.sub(&m).rem(&Dim::from(7)))));
    let neg = add(g, Node::Unary(UnaryOp::Neg, x));
    let sum = add(g, Node::Binary(BinaryOp::Add, [neg, scalar]));
    let select = add(g, Node::Ternary(TernaryOp::MulAdd, [sum, nan, x]));
    let cast = add(g, Node::Cast(DType::F32, select));
    let reduce = add(g, Node::Reduce(ReduceOp::ArgMax, smallvec![0], cast));
    let permute = add(g, Node::Permute(smallvec![1, 0], sum));
    let reshape = add(g, Node::Reshape(smallvec![n.mul(&m)], permute));
    let broadcast = add(g, Node::Broadcast(smallvec![Dim::from(4), n.mul(&m)], reshape));
    let whole = SliceRange { start: n.sub(&Dim::ONE), step: -1, length: n.smaller(&m) };
    let slice =
        add(g, Node::Slice(smallvec![whole, SliceRange { start: Dim::ZERO, step: 2, length: m.ceil_div(2) }], x));
    let concat = add(g, Node::Concat(0, vec![x, slice]));
    let product = add(g, Node::MatMul([permute, x]));
    let parameters: Vec<NodeId> = (0..2).map(|_| add(g, Node::Parameter(InputId::new(), g.ty(x).clone()))).collect();
    let next = add(g, Node::Binary(BinaryOp::Mul, [parameters[0], parameters[1]]));
    let body = Region { parameters: parameters.clone(), results: vec![parameters[1], next] };
    let iterate = add(
        g,
        Node::Loop(Box::new(Loop {
            count: Some(count),
            guarded: false,
            initial: vec![x, neg],
            sequences: vec![],
            body,
        })),
    );
    let project = add(g, Node::Project(1, iterate));
    let barrier = add(g, Node::Barrier([permute, size]));
    g.outputs = vec![
        dense, truths, point, empty, iota, size, reduce, broadcast, concat, product, project, project, select, barrier,
    ];
    g.inputs = vec![x, count];
    graph
}

#[test]
fn every_kind_of_node_comes_back() {
    let graph = every_kind();
    verify(&graph).unwrap();
    let text = print(&graph);
    let (again, constraints) = parse(&text).unwrap();
    assert_eq!(print(&again), text);
    assert_eq!(again.len(), graph.len());
    assert!(!constraints.is_empty());
    for name in ["nan(0x7ff8000000000123)", "[-inf, 1e-45, -0.0, nan(0x7fc00000), 3.4028235e38, 10000000.0]"] {
        assert!(text.contains(name), "{text}");
    }
    let kinds: std::collections::HashSet<_> = again.ids().map(|id| std::mem::discriminant(again.node(id))).collect();
    assert_eq!(kinds.len(), 20, "all kinds but host functions");
}

#[test]
fn dead_nodes_are_left_out_and_inputs_kept() {
    let mut graph = Graph::new();
    let (a, ..) = input(&mut graph, "a", DType::F64, 1);
    add(&mut graph, Node::Unary(UnaryOp::Neg, a));
    let (b, sizes, _) = input(&mut graph, "b", DType::F64, 1);
    let size = add(&mut graph, Node::Size(sizes[0].clone()));
    (graph.inputs, graph.outputs) = (vec![a, b], vec![size]);
    let expected = "kroton 1\n%0 = input \"a\" f64[?]\n%1 = input \"b\" f64[?]\n%2 = size %1.0 : i64[]\n\
        return %2\ninputs %0, %1\n";
    assert_eq!(print(&graph), expected);
}

#[test]
fn a_function_without_inputs_or_outputs() {
    let text = "kroton 1\nreturn\ninputs\n";
    assert_eq!(print(&parse(text).unwrap().0), text);
}

#[test]
fn dims_keep_their_meaning() {
    let dims = [
        "%0.0 - 9223372036854775808",
        "-3*%0.0 + 7",
        "((%0.0 + 1) / 2)",
        "(%0.0 % (2*%1.0))",
        "2*(%0.0 * %1.0) + min(%0.0, max(%1.0, 3))",
        "((9223372036854775807*%0.0) * 2)",
        "((9223372036854775807*%0.0 + 1) + (2*%0.0 + 3))",
        "-9223372036854775808*%0.0",
        "(7 / 0)",
    ];
    for dim in dims {
        let text = format!(
            "kroton 1\n%0 = input \"a\" f64[?]\n%1 = input \"b\" f64[?]\n%2 = size {dim} : i64[]\nreturn %2\ninputs %0, %1\n"
        );
        assert_eq!(print(&parse(&text).unwrap().0), text);
    }
}

#[test]
fn comments_blank_lines_and_any_numbering_are_read() {
    let text = "// a comment\n\nkroton 1 // version\n%7 = input \"// name\" f64[?] // an input\n\
        %3 = add %7, %7 : f64[%7.0]\n  return %3\ninputs %7\n";
    let expected = "kroton 1\n%0 = input \"// name\" f64[?]\n%1 = add %0, %0 : f64[%0.0]\nreturn %1\ninputs %0\n";
    assert_eq!(print(&parse(text).unwrap().0), expected);
}

#[test]
fn errors_say_the_line_what_was_expected_and_what_was_found() {
    let start = "kroton 1\n%0 = input \"a\" f64[?]\n";
    let cases = [
        ("", "line 1: expected a line `return …`, found the end"),
        (
            "kroton 2",
            "line 1: the graph is written in version 2 of the text form; this version of Kroton reads version 1: use a \
             newer one",
        ),
        ("kroton 0", "line 1: expected `kroton 1`, the first line of a graph"),
        ("kroton", "line 1: expected `kroton 1`, the first line of a graph"),
        ("%0 = add %1", "line 1: expected `kroton 1`, the first line of a graph"),
        ("{}%1 = foo %0 : f64[]", "line 3: expected the name of a node, found `foo %0 : f64[]`"),
        ("{}%1 = add %0 : f64[]", "line 3: expected 2 operands, found 1"),
        ("{}%1 = neg %5 : f64[]", "line 3: %5 is not defined above"),
        ("{}%1 = neg %0 : f64[3]", "line 3: the type is f64[%0.0], not f64[3]"),
        ("{}%1 = neg %0", "line 3: expected `:`, found the end of the line"),
        ("{}%1 = neg %0 : f65[%0.0]", "line 3: expected a dtype, found `f65[%0.0]`"),
        ("{}%1 = neg %0 : f64[%0.1]", "line 3: the input %0 has no such open size"),
        ("{}%1 = neg %0 : f64[%0.value]", "line 3: the input %0 has no such open size"),
        ("{}%1 = not %0 : f64[%0.0]", "line 3: `not` takes bool and integers, not f64; convert with `cast`"),
        ("{}%0 = neg %0 : f64[%0.0]", "line 3: %0 is defined twice"),
        ("{}%1 = constant 300 : u8[]", "line 3: expected a value of u8, found `300 : u8[]`"),
        ("{}%1 = constant nan(0x1) : f64[]", "line 3: expected a value of f64, found `nan(0x1) : f64[]`"),
        ("{}%1 = constant 1.0 : f64[2]", "line 3: the type is f64[], not f64[2]"),
        ("{}%1 = constant [3] [1, 2] : u8[3]", "line 3: expected as many values as [3] has, found 2"),
        ("{}%1 = constant [2] [1, x] : u8[2]", "line 3: expected a value of u8, found `x] : u8[2]`"),
        ("{}%1 = sum axes=[0 %0 : f64[]", "line 3: expected `,` or `]`, found `%0 : f64[]`"),
        ("{}arrays \"f\"", "line 3: expected `%number = …`, one `return` or one `inputs`, found `arrays \"f\"`"),
        ("{}return %0 as \"a\", %0", "line 3: either all outputs have names or none"),
        ("{}return %0, %0 as \"a\"", "line 3: either all outputs have names or none"),
        ("{}return %0 as \"a\", %0 as \"a\"", "line 3: two outputs are named \"a\""),
        ("{}return %0,", "line 3: expected a value such as %0, found the end of the line"),
        ("{}shared %0 = 1.5", "line 3: the value has rank 0, the variable 1"),
        ("{}shared %0 = [1] [x]", "line 3: expected a value of f64, found `x]`"),
        ("{}shared %0 = [1] [1]\nshared %0 = [1] [1]", "line 4: the variable has a value already"),
        ("{}%1 = size 3 : i64[]\nshared %1 = 3", "line 4: expected an input, found `%1 = 3`"),
        (
            "{}%1 = input \"b\" f64[%0.0]\nshared %1 = [1] [1]",
            "line 4: the sizes of a shared variable are numbers or `?`",
        ),
        (
            "{}shared %0 = [1] stored \"a\" crc32=12",
            "line 3: expected a checksum of eight hexadecimal digits, found `12`",
        ),
        (
            "{}shared %0 = [1] stored \"a\" crc32=00000012",
            "line 3: expected a line `arrays \"…\"` above that names the file of stored arrays",
        ),
        ("{}return %0 %0", "line 3: expected the end of the line, found `%0`"),
        ("{}return %0\nreturn %0", "line 4: expected `%number = …`, one `return` or one `inputs`, found `return %0`"),
        ("{}return %0", "line 3: expected a line `inputs …`, found the end"),
        ("{}return %0\ninputs", "line 4: an input that is not listed: %0 = input \"a\" f64[?]"),
        ("{}return %0\ninputs %0, %0", "line 4: an input listed twice: %0 = input \"a\" f64[?]"),
        (
            "{}%1 = parameter f64[]\nreturn %1\ninputs %0",
            "line 5: a parameter outside every region: %1 = parameter f64[]",
        ),
        (
            "{}%1 = custom \"f\" %0 : f64[]",
            "the host function \"f\" cannot be read from a text; build that part of the graph in Rust",
        ),
    ];
    for (text, expected) in cases {
        let error = match parse(&text.replace("{}", start)).unwrap_err() {
            Error::Parse { line, message, .. } => format!("line {line}: {message}"),
            other => other.to_string(),
        };
        assert_eq!(error, expected, "{text}");
    }
}

#[test]
fn errors_say_the_column() {
    let start = "kroton 1\n%0 = input \"ä\" f64[?]\n";
    let cases = [
        ("  %1 = foo %0 : f64[]", (3, 8), "expected the name of a node, found `foo %0 : f64[]`"),
        ("%1 = neg %5 : f64[]", (3, 10), "%5 is not defined above"),
        ("%1 = neg %0 : f65[%0.0]", (3, 15), "expected a dtype, found `f65[%0.0]`"),
        ("%1 = neg %0", (3, 12), "expected `:`, found the end of the line"),
        ("return %0\n  inputs %0 x", (4, 13), "expected the end of the line, found `x`"),
        ("%1 = input \"äöü\" f6", (3, 18), "expected a dtype, found `f6`"),
    ];
    for (text, (line, column), message) in cases {
        let error = parse(&format!("{start}{text}")).unwrap_err();
        assert_eq!(error.to_string(), format!("line {line}, column {column}: {message}"), "{text}");
    }
}

#[test]
fn host_functions_are_printed_but_not_read() {
    let mut graph = Graph::new();
    let x = add(&mut graph, Node::Scalar(Scalar::F64(1.0)));
    let host = HostFunction {
        name: "solve".to_string(),
        infer: Box::new(|types| Ok(types[0].clone())),
        call: Box::new(|arrays| Ok(arrays[0].clone())),
    };
    graph.outputs = vec![add(&mut graph, Node::Custom(Custom(Arc::new(host)), vec![x]))];
    let text = print(&graph);
    assert!(text.contains("%1 = custom \"solve\" %0 : f64[]"), "{text}");
    assert!(matches!(parse(&text), Err(Error::Unsupported(message)) if message.contains("solve")));
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    for (open, close) in [("(", ")"), ("min(", ", 1)"), ("-", "")] {
        let text = format!("kroton 1\n%0 = size {}1{} : i64[]\n", open.repeat(100_000), close.repeat(100_000));
        assert!(matches!(parse(&text), Err(Error::Parse { line: 2, .. })));
    }
}

#[test]
fn a_shape_of_too_many_axes_is_an_error() {
    let sizes = vec!["%0.0"; 100_000].join(", ");
    let text = format!("kroton 1\n%0 = input \"a\" f64[?]\n%1 = broadcast [{sizes}] %0 : f64[{sizes}]\n");
    assert_eq!(
        parse(&text).unwrap_err().to_string().split_once(": ").unwrap().1,
        "a shape of 100000 axes; at most 64 are read"
    );
}

#[test]
fn a_long_chain_prints_and_parses() {
    let mut graph = Graph::new();
    let (mut x, ..) = input(&mut graph, "x", DType::F64, 1);
    graph.inputs = vec![x];
    for _ in 0..100_000 {
        x = add(&mut graph, Node::Unary(UnaryOp::Neg, x));
    }
    graph.outputs = vec![x];
    let text = print(&graph);
    assert_eq!(print(&parse(&text).unwrap().0), text);
}

#[test]
fn names_of_nodes_are_distinct() {
    let kinds = every_kind();
    let shapes = ["input", "parameter", "constant", "iota", "size", "cast", "permute", "reshape", "broadcast", "slice"];
    let names = (shapes.into_iter().chain(["concat", "matmul", "loop", "project", "custom", "barrier"]))
        .chain(UnaryOp::ALL.iter().map(|op| op.row().name))
        .chain(BinaryOp::ALL.iter().map(|op| op.row().name))
        .chain(TernaryOp::ALL.iter().map(|op| op.row().name))
        .chain(ReduceOp::ALL.iter().map(|op| op.name()));
    let names: Vec<&str> = names.collect();
    let distinct: std::collections::HashSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
    assert!(kinds.ids().all(|id| names.contains(&kinds.node(id).name())));
}

/// A graph with every kind of node as it is saved: with names, a variable, and arrays beside the text.
pub(super) fn every_kind_saved() -> String {
    let mut graph = every_kind();
    let (w, ..) = input(&mut graph, "w", DType::F32, 1);
    graph.inputs.push(w);
    let names: Vec<String> = (0..graph.outputs.len()).map(|output| format!("output {output}")).collect();
    let variables = [(w, Array::from_slice(&[1.5_f32, -0.0]))];
    let mut store = |name: &str, array: &Array| {
        (array.dtype() == DType::Bool || array.is_empty())
            .then(|| Stored { name: name.to_string(), checksum: array.len() as u32 })
    };
    let extras = Extras { output_names: &names, variables: &variables };
    print_head(Some("f")) + &print_body(&graph, &extras, &mut store)
}

/// Zeros for whatever is stored, unless it is large.
pub(super) fn fetch_zeros(_: &str, _: &Stored, dtype: DType, shape: &[usize]) -> crate::error::Result<Array> {
    match shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size)) {
        Some(..1000) => Array::zeros(dtype, shape),
        _ => Err(Error::File("too large".to_string())),
    }
}

#[test]
fn a_document_says_more_than_its_graph() {
    let text = every_kind_saved();
    assert_eq!(arrays_of(&text).as_deref(), Some("f"));
    assert_eq!(
        (arrays_of("kroton 1\nreturn\n"), arrays_of("kroton 2\narrays \"f\"\n"), arrays_of("")),
        (None, None, None)
    );
    assert!(text.contains(" = constant [2] stored \"%"), "{text}");
    assert!(text.contains(" crc32=00000002 : bool[2]\n"), "{text}");
    let document = parse_document(&text, &fetch_zeros).unwrap();
    assert_eq!(document.output_names[1], "output 1");
    let (id, value) = &document.variables[0];
    assert_eq!((document.input(*id).unwrap().name.as_str(), value.len()), ("w", 2));
    assert!(matches!(parse(&text), Err(Error::Argument(message)) if message.contains("in the file \"f\"")));
}

#[test]
fn every_op_of_the_table_comes_back() {
    let mut graph = Graph::new();
    let inputs = DType::ALL.map(|dtype| input(&mut graph, dtype.name(), dtype, 1).0);
    let truth = inputs[0];
    let mut nodes = Vec::new();
    for &x in &inputs {
        let dtype = graph.ty(x).dtype;
        let takes = |row: &crate::ops::Row| row.class.contains(dtype);
        nodes.extend(DType::ALL.map(|to| Node::Cast(to, x)));
        nodes.extend(UnaryOp::ALL.iter().filter(|op| takes(op.row())).map(|&op| Node::Unary(op, x)));
        nodes.extend(BinaryOp::ALL.iter().filter(|op| takes(op.row())).map(|&op| Node::Binary(op, [x, x])));
        let first = |op| if op == TernaryOp::Select { truth } else { x };
        nodes
            .extend(TernaryOp::ALL.iter().filter(|op| takes(op.row())).map(|&op| Node::Ternary(op, [first(op), x, x])));
        let reductions = ReduceOp::ALL.iter().filter(|op| op.accepts(dtype));
        nodes.extend(reductions.map(|&op| Node::Reduce(op, smallvec![0], x)));
    }
    graph.inputs = inputs.to_vec();
    graph.outputs = nodes.into_iter().map(|node| add(&mut graph, node)).collect();
    assert!(graph.len() > 400, "{}", graph.len());
    let text = print(&graph);
    assert_eq!(print(&parse(&text).unwrap().0), text);
}
