//! Where an adjoint may differ from zero.
//!
//! A `select` gives its operands no cotangent where it does not take them, but 0 times an infinite derivative below
//! would be NaN. So each adjoint carries a *guard*: the condition under which its node is looked at at all. Where
//! contributions under several guards meet, each is made zero where its own does not hold; the node is looked at where
//! one of them does. That is exact, at any order of differentiation, unlike a test for a zero cotangent.
//!
//! A guard is a bool expression that broadcasts to the shape of its node, or none for *always*. Two guards are known to
//! be equal if they are one expression, which is why those made here are remembered.

use rustc_hash::FxHashMap;

use crate::expr::Expr;
use crate::graph::Node;
use crate::ops::{BinaryOp, UnaryOp};

/// A condition, or always.
pub(super) type Guard = Option<Expr>;

/// Whether two guards are known to be equal.
pub(super) fn is_same(a: &Guard, b: &Guard) -> bool {
    a.as_ref().map(Expr::key) == b.as_ref().map(Expr::key)
}

/// The guards that one sweep has made.
#[derive(Default)]
pub(super) struct Guards {
    /// By the guard around it, the condition, and the value that this has. What is remembered keeps its operands, so
    /// that their keys stay theirs.
    made: FxHashMap<(Option<usize>, usize, bool), Expr>,
}

impl Guards {
    /// The guard within another under which a condition also has this value.
    #[track_caller]
    pub fn enter(&mut self, outer: &Guard, condition: &Expr, is: bool) -> Guard {
        let key = (outer.as_ref().map(Expr::key), condition.key(), is);
        if let Some(known) = self.made.get(&key) {
            return Some(known.clone());
        }
        let own = if is { condition.clone() } else { !condition };
        let guard = match outer {
            Some(outer) => outer & own,
            None => own,
        };
        self.made.insert(key, guard.clone());
        Some(guard)
    }
}

/// Where one of two guards holds.
#[track_caller]
pub(super) fn either(a: &Guard, b: &Guard) -> Guard {
    match (a, b) {
        (Some(_), Some(_)) if is_same(a, b) => a.clone(),
        (Some(a), Some(b)) if excludes(a, b) || excludes(b, a) => None,
        (Some(a), Some(b)) => match (a.node(), b.node()) {
            // The branches of a `select` under one guard.
            (Node::Binary(BinaryOp::And, [outer, a]), Node::Binary(BinaryOp::And, [other, b]))
                if outer.key() == other.key() && (excludes(a, b) || excludes(b, a)) =>
            {
                Some(outer.clone())
            }
            _ => Some(a | b),
        },
        (None, _) | (_, None) => None,
    }
}

/// Whether one guard is written as the contrary of another one.
fn excludes(a: &Expr, b: &Expr) -> bool {
    matches!(b.node(), Node::Unary(UnaryOp::Not, x) if x.key() == a.key())
}
