//! Constant folding: nodes whose operands are constants of rank 0, by the functions that define the ops.
//!
//! Exact ops fold exactly. An elementary function folds to its definition, which an engine's own kernel may
//! miss within its published bound; such a fold is therefore an accuracy rule. Arrays are not computed here.

use crate::dtype::{DType, Scalar};
use crate::graph::{Dense, Node, NodeId};
use crate::optimize::rewrite::Rewriter;
use crate::optimize::rule::{Class, Rule, When};

/// The largest array whose elements are compared, in bytes.
const COMPARED_BYTES: usize = 1024;

/// The rules, in the order in which they are tried.
pub(super) static RULES: &[Rule] = &[
    Rule::exact("fold_constants", When::Any, ["(f c …)", "f(c, …)"], "the op's definition, computed once").by(
        "all operands constants of rank 0, f exact on every engine",
        &["unary", "binary", "ternary", "cast"],
        fold_exact,
    ),
    Rule {
        class: Class::Accuracy,
        ..Rule::exact(
            "fold_functions",
            When::Float,
            ["(f c …)", "f(c, …)"],
            "the op's definition, which an engine's kernel meets within the bound of its row",
        )
        .by(
            "all operands constants of rank 0, f an elementary function",
            &["unary", "binary", "ternary"],
            fold_function,
        )
    },
    Rule::exact("fold_size", When::Any, ["(size c)", "c"], "the size is known").by("c constant", &["size"], fold_size),
    Rule::exact(
        "uniform_constant",
        When::Any,
        ["(constant [c, c, …])", "(broadcast c)"],
        "every element has the same bits",
    )
    .by("at least one element, at most 1024 bytes", &["constant"], uniform_constant),
    Rule::exact("no_steps", When::Any, ["(project i (loop 0 …))", "the initial state i"], "no step changes the state")
        .by("the number of steps is the constant 0", &["project"], no_steps),
];

fn fold_exact(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    fold(rewriter, id, true)
}

fn fold_function(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    fold(rewriter, id, false)
}

fn fold(rewriter: &mut Rewriter, id: NodeId, exact: bool) -> Option<NodeId> {
    let value = value_of(rewriter, id, exact)?;
    rewriter.scalar(value)
}

/// The value of an elementwise node of constants, if its exactness is the one asked for.
fn value_of(rewriter: &Rewriter, id: NodeId, exact: bool) -> Option<Scalar> {
    let scalar = |id: NodeId| rewriter.scalar_value(id);
    match rewriter.node(id) {
        Node::Unary(op, x) if op.row().is_exact() == exact => op.apply(scalar(*x)?),
        Node::Binary(op, [a, b]) if op.row().is_exact() == exact => op.apply(scalar(*a)?, scalar(*b)?),
        Node::Ternary(op, [a, b, c]) if op.row().is_exact() == exact => op.apply(scalar(*a)?, scalar(*b)?, scalar(*c)?),
        Node::Cast(dtype, x) if exact => Some(scalar(*x)?.cast(*dtype)),
        Node::Unary(..)
        | Node::Binary(..)
        | Node::Ternary(..)
        | Node::Cast(..)
        | Node::Input(_)
        | Node::Parameter(..)
        | Node::Scalar(_)
        | Node::Dense(_)
        | Node::Iota(_)
        | Node::Size(_)
        | Node::Reduce(..)
        | Node::Permute(..)
        | Node::Reshape(..)
        | Node::Broadcast(..)
        | Node::Slice(..)
        | Node::Concat(..)
        | Node::MatMul(_)
        | Node::Loop(_)
        | Node::Project(..)
        | Node::Custom(..)
        | Node::Barrier(_) => None,
    }
}

fn fold_size(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Size(size) = rewriter.node(id) else { return None };
    let value = size.constant()?;
    rewriter.scalar(Scalar::I64(value))
}

fn uniform_constant(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let Node::Dense(Dense(array)) = rewriter.node(id) else { return None };
    let (dtype, bytes) = (array.dtype(), array.bytes());
    if bytes.len() > COMPARED_BYTES {
        return None;
    }
    let mut elements = bytes.chunks_exact(dtype.size());
    let first = elements.next()?;
    let value = elements.all(|element| element == first).then(|| from_bytes(dtype, first))?;
    rewriter.scalar(value)
}

/// The value of an element in memory.
fn from_bytes(dtype: DType, bytes: &[u8]) -> Scalar {
    let mut word = [0; 8];
    if cfg!(target_endian = "little") {
        word[..bytes.len()].copy_from_slice(bytes);
    } else {
        word[8 - bytes.len()..].copy_from_slice(bytes);
    }
    Scalar::from_bits(dtype, u64::from_ne_bytes(word))
}

fn no_steps(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let &Node::Project(index, x) = rewriter.node(id) else { return None };
    let Node::Loop(node) = rewriter.node(x) else { return None };
    let zero = rewriter.scalar_value(node.count?) == Some(Scalar::I64(0));
    node.initial.get(index as usize).copied().filter(|_| zero)
}
