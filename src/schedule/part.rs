//! Steps as parts of row blocks: what they read, with the rows as the leading axes.
//!
//! A product of a matrix and a vector has a result for each row of the matrix, so it can run for some rows at a time. The
//! product of the transposed matrix sums over these rows; for some of them it gives a part of each sum. Must not know:
//! which steps come before and after.

use smallvec::SmallVec;

use crate::graph::{Graph, Node, NodeId};
use crate::loops::Axis;
use crate::schedule::Step;
use crate::schedule::walk::{Cone, Load};
use crate::shape::{Dim, Shape};

/// A way to run a step for some rows at a time.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its leading axes.
    pub axes: Shape,
    /// What it reads, by its axes.
    pub loads: Vec<Load>,
    /// Whether it sums over the rows.
    pub closes: bool,
}

/// The ways to run a step for some rows at a time.
pub fn parts(graph: &Graph, step: &Step, cone: &Cone) -> SmallVec<[Part; 2]> {
    match step {
        Step::Kernel(group) if !group.on_host && !group.space.outer.is_empty() => {
            let loads = cone.loads.iter().cloned().collect();
            SmallVec::from_iter([Part { axes: group.space.outer.clone(), loads, closes: false }])
        }
        Step::MatMul { node, epilogue: None } => products(graph, *node, cone),
        Step::Kernel(_)
        | Step::MatMul { .. }
        | Step::ConcatPart { .. }
        | Step::Custom(_)
        | Step::Loop(_)
        | Step::Nest(_) => SmallVec::new(),
    }
}

/// A product of a matrix and a vector, by its rows and by the rows that it sums over.
fn products(graph: &Graph, node: NodeId, cone: &Cone) -> SmallVec<[Part; 2]> {
    let Some((matrix, vector, [rows, inner])) = with_vector(graph, node, cone) else { return SmallVec::new() };
    let part = |axis: &Dim, loads: [Load; 2], closes: bool| Part {
        axes: SmallVec::from_iter([axis.clone()]),
        loads: loads.into(),
        closes,
    };
    let turned = turned(matrix.clone());
    let by_rows = part(&rows, [matrix, self::turned(vector.clone())], false);
    SmallVec::from_iter([part(&inner, [turned, vector], true), by_rows])
}

/// The matrix over the axes row and inner, the vector over the axis inner as the first, and the sizes of both.
fn with_vector(graph: &Graph, node: NodeId, cone: &Cone) -> Option<(Load, Load, [Dim; 2])> {
    let Node::MatMul([a, b]) = graph.node(node) else { return None };
    let [left, right] = [a, b].map(|operand| &graph.ty(*operand).shape);
    let (rows, inner, columns) = (&left[0], &left[1], &right[1]);
    let mut loads = cone.loads.iter().cloned();
    let (Some(left), Some(right), None) = (loads.next(), loads.next(), loads.next()) else { return None };
    if inner.is_one() {
        return None;
    }
    match (rows.is_one(), columns.is_one()) {
        (false, true) => Some((left, right, [rows.clone(), inner.clone()])),
        (true, false) => Some((turned(right), left, [columns.clone(), inner.clone()])),
        (true, true) | (false, false) => None,
    }
}

/// The same with the first two axes exchanged.
fn turned(mut load: Load) -> Load {
    for (axis, _) in &mut load.walks {
        *axis = match *axis {
            Axis(0) => Axis(1),
            Axis(1) => Axis(0),
            other => other,
        };
    }
    load.walks.sort_unstable_by_key(|(axis, along)| (*axis, along.axis));
    load
}
