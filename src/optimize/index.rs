//! Rules by the nodes at which they are tried.
//!
//! Knows the names of nodes and the rows of tables; must not know graphs. Invariant: the rules of a node are in the order in
//! which they were given.

use crate::graph::Node;
use crate::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};
use crate::optimize::pattern::{self, Term};
use crate::optimize::rule::{Apply, Rule, Whole};

/// Rules by the nodes at which they are tried, and those for whole graphs.
#[derive(Debug, Clone)]
pub(super) struct Index {
    /// For each slot of nodes.
    entries: Vec<Vec<Entry>>,
    /// Rules for whole graphs.
    pub whole: Vec<(&'static Rule, Whole)>,
}

/// A rule at a node.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub rule: &'static Rule,
    /// The parsed sides of a pattern row.
    pub sides: Option<(Term, Term)>,
}

const BINARY: usize = UnaryOp::ALL.len();
const TERNARY: usize = BINARY + BinaryOp::ALL.len();
const REDUCE: usize = TERNARY + TernaryOp::ALL.len();
const OTHER: usize = REDUCE + ReduceOp::ALL.len();

/// The names of nodes that are no ops, in the order of their slots.
const OTHERS: [&str; 16] = [
    "input",
    "parameter",
    "constant",
    "iota",
    "size",
    "cast",
    "permute",
    "reshape",
    "broadcast",
    "slice",
    "concat",
    "matmul",
    "loop",
    "project",
    "custom",
    "barrier",
];

/// A number for each name of nodes.
fn slot<R>(node: &Node<R>) -> usize {
    match node {
        Node::Unary(op, _) => *op as usize,
        Node::Binary(op, _) => BINARY + *op as usize,
        Node::Ternary(op, _) => TERNARY + *op as usize,
        Node::Reduce(op, ..) => REDUCE + *op as usize,
        Node::Input(_) => OTHER,
        Node::Parameter(..) => OTHER + 1,
        Node::Scalar(_) | Node::Dense(_) => OTHER + 2,
        Node::Iota(_) => OTHER + 3,
        Node::Size(_) => OTHER + 4,
        Node::Cast(..) => OTHER + 5,
        Node::Permute(..) => OTHER + 6,
        Node::Reshape(..) => OTHER + 7,
        Node::Broadcast(..) => OTHER + 8,
        Node::Slice(..) => OTHER + 9,
        Node::Concat(..) => OTHER + 10,
        Node::MatMul(_) => OTHER + 11,
        Node::Loop(_) => OTHER + 12,
        Node::Project(..) => OTHER + 13,
        Node::Custom(..) => OTHER + 14,
        Node::Barrier(_) => OTHER + 15,
    }
}

/// The names of all slots, in order.
fn names() -> impl Iterator<Item = &'static str> {
    let unary = UnaryOp::ALL.iter().map(|op| op.row().name);
    let binary = BinaryOp::ALL.iter().map(|op| op.row().name);
    let ternary = TernaryOp::ALL.iter().map(|op| op.row().name);
    let reduce = ReduceOp::ALL.iter().map(|op| op.name());
    unary.chain(binary).chain(ternary).chain(reduce).chain(OTHERS)
}

/// The slots that a word in a row stands for.
fn slots(head: &str) -> Vec<usize> {
    match head {
        "unary" => (0..BINARY).collect(),
        "binary" => (BINARY..TERNARY).collect(),
        "ternary" => (TERNARY..REDUCE).collect(),
        "reduce" => (REDUCE..OTHER).collect(),
        name => names().enumerate().filter(|(_, own)| *own == name).map(|(slot, _)| slot).collect(),
    }
}

impl Index {
    /// The index of some rules, tried in this order. A row that does not parse is left out; a test finds it.
    pub fn new(rules: impl IntoIterator<Item = &'static Rule>) -> Index {
        let mut index = Index { entries: names().map(|_| Vec::new()).collect(), whole: Vec::new() };
        for rule in rules {
            match rule.apply {
                Apply::Code(heads, _) => {
                    for slot in heads.iter().flat_map(|head| slots(head)) {
                        index.entries[slot].push(Entry { rule, sides: None });
                    }
                }
                Apply::Whole(whole) => index.whole.push((rule, whole)),
                Apply::Pattern | Apply::Guarded(_) => {
                    if let Some((Term::Op(op, operands), right)) = pattern::parse_sides(rule.left, rule.right) {
                        for slot in slots(op.name()) {
                            let sides = Some((Term::Op(op, operands.clone()), right.clone()));
                            index.entries[slot].push(Entry { rule, sides });
                        }
                    }
                }
            }
        }
        index
    }

    /// The rules to be tried at a node.
    pub fn at<R>(&self, node: &Node<R>) -> &[Entry] {
        &self.entries[slot(node)]
    }

    /// Whether there are rules for nodes.
    pub fn has_nodes(&self) -> bool {
        self.entries.iter().any(|entries| !entries.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use smallvec::SmallVec;

    use super::*;
    use crate::dtype::{DType, Scalar};
    use crate::graph::{NodeId, Type};
    use crate::shape::{Dim, InputId, Shape};

    #[test]
    fn slots_have_the_names_of_their_nodes() {
        let x = NodeId(0);
        let ops = (UnaryOp::ALL.iter().map(|op| Node::Unary(*op, x)))
            .chain(BinaryOp::ALL.iter().map(|op| Node::Binary(*op, [x; 2])))
            .chain(TernaryOp::ALL.iter().map(|op| Node::Ternary(*op, [x; 3])))
            .chain(ReduceOp::ALL.iter().map(|op| Node::Reduce(*op, SmallVec::new(), x)));
        let others = [
            Node::Parameter(InputId::new(), Type::scalar(DType::F64)),
            Node::Scalar(Scalar::F64(1.0)),
            Node::Iota(Dim::ONE),
            Node::Size(Dim::ONE),
            Node::Cast(DType::F32, x),
            Node::Permute(SmallVec::new(), x),
            Node::Reshape(Shape::new(), x),
            Node::Broadcast(Shape::new(), x),
            Node::Slice(SmallVec::new(), x),
            Node::Concat(0, vec![x]),
            Node::MatMul([x; 2]),
            Node::Project(0, x),
            Node::Barrier([x; 2]),
        ];
        let names: Vec<&str> = names().collect();
        for node in ops.chain(others) {
            assert_eq!(names[slot(&node)], node.name());
        }
        assert_eq!((slots("unary").len(), slots("exp").len(), slots("no such").len()), (BINARY, 1, 0));
    }
}
