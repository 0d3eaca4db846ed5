//! View rules: the same elements in the same places, with fewer views or views nearer to the leaves.

use smallvec::SmallVec;

use super::evaluate::{Value, evaluate, same};
use super::{apply, count, input, permute, rule};
use crate::array::Array;
use crate::dtype::{DType, Scalar};
use crate::graph::{Dense, Graph, Node, NodeId, Region, SliceRange, Type};
use crate::ops::{BinaryOp, ReduceOp, UnaryOp};
use crate::optimize::{Options, optimize, rules};
use crate::shape::{Dim, InputId, Shape};

/// The inputs of every example.
pub struct Inputs {
    /// i64 [4, 6], sizes known.
    pub known: NodeId,
    /// i64 [n, m], called with [4, 6].
    pub open: NodeId,
    /// i64 [6].
    pub row: NodeId,
    /// f64 [4, 6].
    pub floats: NodeId,
    /// i64 [1, 4, 1].
    pub ones: NodeId,
}

const SIZES: [&[Option<usize>]; 5] =
    [&[Some(4), Some(6)], &[None, None], &[Some(6)], &[Some(4), Some(6)], &[Some(1), Some(4), Some(1)]];

fn arguments() -> Vec<Value> {
    let shapes: [(&[usize], DType); 5] = [
        (&[4, 6], DType::I64),
        (&[4, 6], DType::I64),
        (&[6], DType::I64),
        (&[4, 6], DType::F64),
        (&[1, 4, 1], DType::I64),
    ];
    shapes.iter().map(|(shape, dtype)| Value::numbers(*dtype, shape)).collect()
}

/// How often a rule fires on a graph; the outputs are compared.
pub fn fires(name: &str, example: impl FnOnce(&mut Graph, &Inputs) -> NodeId) -> (usize, Graph) {
    let mut graph = Graph::new();
    let dtypes = [DType::I64, DType::I64, DType::I64, DType::F64, DType::I64];
    let ids: Vec<NodeId> =
        SIZES.iter().zip(dtypes).map(|(sizes, dtype)| input(&mut graph, "x", dtype, sizes)).collect();
    let inputs = Inputs { known: ids[0], open: ids[1], row: ids[2], floats: ids[3], ones: ids[4] };
    let output = example(&mut graph, &inputs);
    graph.outputs.push(output);
    let (rewritten, trace) = apply(&graph, &[rule(name)]);
    let (everything, _) = optimize(graph.clone(), &Options::default()).unwrap();
    let before = evaluate(&graph, &arguments());
    for after in [&rewritten, &everything] {
        same(&before[0], &evaluate(after, &arguments())[0]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(after.ty(after.outputs[0]), graph.ty(output), "{name}");
    }
    (trace.count(name), rewritten)
}

pub fn add(graph: &mut Graph, node: Node<NodeId>) -> NodeId {
    graph.add(node, None).unwrap()
}

fn shape(sizes: &[i64]) -> Shape {
    sizes.iter().map(|&size| Dim::from(size)).collect()
}

pub fn reshape(graph: &mut Graph, sizes: &[i64], x: NodeId) -> NodeId {
    add(graph, Node::Reshape(shape(sizes), x))
}

pub fn broadcast(graph: &mut Graph, sizes: &[i64], x: NodeId) -> NodeId {
    add(graph, Node::Broadcast(shape(sizes), x))
}

/// A slice by (start, step, length).
pub fn slice(graph: &mut Graph, ranges: &[(i64, i64, i64)], x: NodeId) -> NodeId {
    let range =
        |&(start, step, length): &(i64, i64, i64)| SliceRange { start: start.into(), step, length: length.into() };
    add(graph, Node::Slice(ranges.iter().map(range).collect(), x))
}

/// The rows of an array of two open sizes in reverse order.
pub fn flip_rows(graph: &mut Graph, x: NodeId) -> NodeId {
    let sizes = graph.ty(x).shape.clone();
    let rows = SliceRange { start: sizes[0].sub(&Dim::ONE), step: -1, length: sizes[0].clone() };
    let columns = SliceRange { start: Dim::ZERO, step: 1, length: sizes[1].clone() };
    add(graph, Node::Slice(SmallVec::from_iter([rows, columns]), x))
}

pub fn reduce(graph: &mut Graph, op: ReduceOp, axes: &[u32], x: NodeId) -> NodeId {
    add(graph, Node::Reduce(op, axes.into(), x))
}

pub fn neg(graph: &mut Graph, x: NodeId) -> NodeId {
    add(graph, Node::Unary(UnaryOp::Neg, x))
}

fn plus(graph: &mut Graph, a: NodeId, b: NodeId) -> NodeId {
    add(graph, Node::Binary(BinaryOp::Add, [a, b]))
}

#[test]
fn views_merge() {
    assert_eq!(fires("identity_view", |g, i| permute(g, &[0, 1], i.open)).0, 1);
    assert_eq!(fires("identity_view", |g, i| permute(g, &[1, 0], i.open)).0, 0);
    assert_eq!(fires("identity_view", |g, i| reshape(g, &[4, 6], i.known)).0, 1);
    assert_eq!(fires("identity_view", |g, i| reshape(g, &[4, 6], i.open)).0, 0);
    assert_eq!(fires("identity_view", |g, i| broadcast(g, &[4, 6], i.known)).0, 1);
    assert_eq!(fires("identity_view", |g, i| slice(g, &[(0, 1, 4), (0, 1, 6)], i.known)).0, 1);
    assert_eq!(fires("identity_view", |g, i| slice(g, &[(0, 1, 4), (5, -1, 6)], i.known)).0, 0);
    let twice = |g: &mut Graph, i: &Inputs| {
        let x = permute(g, &[1, 2, 0], i.ones);
        permute(g, &[0, 2, 1], x)
    };
    assert_eq!(fires("permute_permute", twice).0, 1);
    assert_eq!(fires("permute_of_ones", twice).0, 2);
    assert_eq!(fires("permute_of_ones", |g, i| permute(g, &[1, 0], i.known)).0, 0);
    let (fired, graph) = fires("reshape_reshape", |g, i| {
        let x = reshape(g, &[24], i.known);
        reshape(g, &[2, 12], x)
    });
    assert_eq!((fired, count(&graph, "reshape")), (1, 1));
    let (fired, graph) = fires("broadcast_broadcast", |g, i| {
        let x = broadcast(g, &[3, 6], i.row);
        broadcast(g, &[2, 3, 6], x)
    });
    assert_eq!((fired, count(&graph, "broadcast")), (1, 1));
    let (fired, graph) = fires("view_of_fill", |g, _| {
        let x = add(g, Node::Scalar(Scalar::I64(7)));
        let x = broadcast(g, &[4, 6], x);
        reshape(g, &[3, 8], x)
    });
    assert_eq!((fired, count(&graph, "reshape")), (1, 0));
}

#[test]
fn slices_merge() {
    let steps = [(0, 1, 5), (4, -1, 4), (1, 2, 2), (5, -2, 3)];
    for inner in steps {
        for outer in [(0, 1, 2), (1, -1, 2), (0, 2, 1), (1, 1, 1)] {
            let (fired, graph) = fires("slice_slice", |g, i| {
                let x = slice(g, &[inner], i.row);
                slice(g, &[outer], x)
            });
            assert_eq!((fired, count(&graph, "slice")), (1, 1));
        }
    }
    let nothing = |inner: (i64, i64, i64), length: i64| {
        fires("slice_slice", move |g, i| {
            let x = slice(g, &[inner], i.row);
            slice(g, &[(length, 1, 0)], x)
        })
    };
    assert_eq!((nothing((1, 1, 5), 5).0, nothing((1, 3, 2), 2).0), (1, 0));
    let (fired, graph) = fires("slice_slice", |g, i| {
        let x = flip_rows(g, i.open);
        flip_rows(g, x)
    });
    assert_eq!(fired, 1);
    let (graph, _) = apply(&graph, &[rule("identity_view")]);
    assert_eq!(count(&graph, "slice"), 0);
}

#[test]
fn slices_find_their_part_of_a_concatenation() {
    let joined = |range: (i64, i64, i64)| {
        fires("slice_of_concat", move |g, i| {
            let negated = neg(g, i.row);
            let x = add(g, Node::Concat(0, vec![i.row, negated]));
            slice(g, &[range], x)
        })
    };
    for inside in [(0, 1, 6), (5, -1, 3), (6, 1, 6), (11, -2, 3), (7, 2, 2)] {
        let (fired, graph) = joined(inside);
        assert_eq!((fired, count(&graph, "concat")), (1, 0), "{inside:?}");
    }
    for across in [(5, 1, 2), (0, 6, 2), (11, -1, 12), (3, 1, 0)] {
        assert_eq!(joined(across).0, 0, "{across:?}");
    }
    assert_eq!(fires("concat_of_one", |g, i| add(g, Node::Concat(0, vec![i.row]))).0, 1);
    assert_eq!(fires("concat_of_one", |g, i| add(g, Node::Concat(0, vec![i.row, i.row]))).0, 0);
}

#[test]
fn views_move_to_the_leaves() {
    let (fired, graph) = fires("permute_first", |g, i| {
        let x = neg(g, i.known);
        let x = plus(g, x, i.row);
        permute(g, &[1, 0], x)
    });
    assert_eq!(fired, 2);
    assert_eq!(graph.node(graph.outputs[0]).name(), "add");
    let shared = fires("permute_first", |g, i| {
        let x = neg(g, i.known);
        let y = reduce(g, ReduceOp::Sum, &[0, 1], x);
        let x = permute(g, &[1, 0], x);
        plus(g, x, y)
    });
    assert_eq!(shared.0, 0);
    let (fired, graph) = fires("slice_first", |g, i| {
        let tall = add(g, Node::Reduce(ReduceOp::Sum, [1].as_slice().into(), i.known));
        let tall = reshape(g, &[4, 1], tall);
        let x = plus(g, i.row, tall);
        slice(g, &[(1, 2, 2), (4, -1, 3)], x)
    });
    assert_eq!((fired, graph.node(graph.outputs[0]).name()), (1, "add"));
    let shared = fires("slice_first", |g, i| {
        let x = neg(g, i.row);
        let y = slice(g, &[(1, 1, 1)], x);
        plus(g, x, y)
    });
    assert_eq!(shared.0, 0);
    let (fired, graph) = fires("slice_of_permute", |g, i| {
        let x = permute(g, &[1, 0], i.known);
        slice(g, &[(1, 2, 2), (3, -1, 3)], x)
    });
    assert_eq!((fired, graph.node(graph.outputs[0]).name()), (1, "permute"));
    assert_eq!(fires("slice_of_permute", |g, i| slice(g, &[(0, 1, 3)], i.row)).0, 0);
}

#[test]
fn broadcasts_move_to_the_root() {
    let (fired, graph) = fires("broadcast_last", |g, i| {
        let x = broadcast(g, &[4, 6], i.row);
        neg(g, x)
    });
    assert_eq!((fired, graph.node(graph.outputs[0]).name()), (1, "broadcast"));
    let (fired, graph) = fires("broadcast_last", |g, i| {
        let x = broadcast(g, &[4, 6], i.row);
        plus(g, x, i.known)
    });
    assert_eq!((fired, count(&graph, "broadcast")), (1, 0));
    assert_eq!(fires("broadcast_last", |g, i| neg(g, i.row)).0, 0);
    let (fired, graph) = fires("slice_of_broadcast", |g, i| {
        let x = broadcast(g, &[5, 4, 3], i.ones);
        slice(g, &[(1, 1, 2), (3, -1, 3), (0, 1, 2)], x)
    });
    assert_eq!((fired, graph.node(graph.outputs[0]).name()), (1, "broadcast"));
    assert_eq!(fires("slice_of_broadcast", |g, i| slice(g, &[(0, 1, 3)], i.row)).0, 0);
    let (fired, graph) = fires("permute_of_broadcast", |g, i| {
        let x = broadcast(g, &[5, 6], i.row);
        permute(g, &[1, 0], x)
    });
    assert_eq!((fired, graph.node(graph.outputs[0]).name()), (1, "broadcast"));
    assert_eq!(fires("permute_of_broadcast", |g, i| permute(g, &[1, 0], i.known)).0, 0);
}

#[test]
fn reductions_meet_views() {
    let transposed = |op: ReduceOp, axes: &'static [u32], floats: bool| {
        fires("reduce_of_permute", move |g, i| {
            let x = permute(g, &[1, 0], if floats { i.floats } else { i.known });
            reduce(g, op, axes, x)
        })
    };
    for op in [ReduceOp::Sum, ReduceOp::Max, ReduceOp::ArgMax] {
        assert_eq!((transposed(op, &[0], true).0, transposed(op, &[1], false).0), (1, 1), "{op}");
    }
    assert_eq!((transposed(ReduceOp::Max, &[0, 1], true).0, transposed(ReduceOp::Sum, &[0, 1], false).0), (1, 1));
    assert_eq!((transposed(ReduceOp::Sum, &[0, 1], true).0, transposed(ReduceOp::ArgMax, &[0, 1], false).0), (0, 0));
    let double = |op: ReduceOp, floats: bool| {
        fires("reduce_reduce", move |g, i| {
            let x = reduce(g, op, &[0], if floats { i.floats } else { i.known });
            reduce(g, op, &[0], x)
        })
        .0
    };
    assert_eq!((double(ReduceOp::Max, true), double(ReduceOp::Sum, false), double(ReduceOp::Sum, true)), (1, 1, 0));
    for op in [ReduceOp::Sum, ReduceOp::Prod, ReduceOp::Min, ReduceOp::ArgMin] {
        let (fired, graph) = fires("reduce_nothing", |g, i| reduce(g, op, &[0, 2], i.ones));
        assert_eq!((fired, count(&graph, op.name())), (1, 0));
        assert_eq!(fires("reduce_nothing", |g, i| reduce(g, op, &[], i.row)).0, 1);
        assert_eq!(fires("reduce_nothing", |g, i| reduce(g, op, &[0, 1], i.ones)).0, 0);
    }
}

#[test]
fn a_float_sum_of_one_element_takes_minus_zero_to_zero() {
    let mut graph = Graph::new();
    let x = input(&mut graph, "x", DType::F64, &[Some(1)]);
    let output = reduce(&mut graph, ReduceOp::Sum, &[0], x);
    graph.outputs.push(output);
    let (after, trace) = optimize(graph, &Options::default()).unwrap();
    assert_eq!(trace.count("reduce_nothing"), 1);
    let value = evaluate(&after, &[Value::vector(vec![Scalar::F64(-0.0)])]);
    assert_eq!(value[0].elements, [Scalar::F64(0.0)]);
}

#[test]
fn sizes_and_uniform_arrays_fold() {
    assert_eq!(fires("fold_size", |g, _| add(g, Node::Size(Dim::from(4)))).0, 1);
    let open = |g: &mut Graph, i: &Inputs| {
        let size = g.ty(i.open).shape[0].clone();
        add(g, Node::Size(size))
    };
    assert_eq!(fires("fold_size", open).0, 0);
    let uniform = fires("uniform_constant", |g, _| add(g, Node::Dense(Dense(Array::from_slice(&[2.5_f64; 7])))));
    assert_eq!((uniform.0, count(&uniform.1, "broadcast")), (1, 1));
    assert_eq!(fires("uniform_constant", |g, _| add(g, Node::Dense(Dense(Array::from_slice(&[0.0, -0.0]))))).0, 0);
}

#[test]
fn an_iteration_without_steps_is_its_initial_state() {
    let iterate = |steps: i64| {
        fires("no_steps", move |g, i| {
            let count = add(g, Node::Scalar(Scalar::I64(steps)));
            let ty = Type { dtype: DType::I64, shape: shape(&[6]) };
            let parameter = add(g, Node::Parameter(InputId::new(), ty));
            let body = Region { parameters: vec![parameter], results: vec![parameter] };
            let loop_ = add(g, Node::Iterate { count, initial: vec![i.row], body });
            add(g, Node::Project(0, loop_))
        })
    };
    assert_eq!((iterate(0).0, iterate(3).0), (1, 0));
}

#[test]
fn every_code_rule_of_the_view_pass_is_tested_here() {
    let source = concat!(include_str!("views.rs"), include_str!("sums.rs"));
    for pass in crate::optimize::PASSES.iter().filter(|pass| pass.name == "views") {
        for rule in pass.rules() {
            assert!(source.contains(&format!("(\"{}\"", rule.name)), "{}", rule.name);
        }
    }
    assert!(rules().count() > 100);
}
