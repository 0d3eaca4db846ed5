//! The nodes below some expressions in an order in which operands come before users.
//!
//! Equal nodes get one number, as in an arena, so what was written twice is differentiated once, and an expression is
//! found in another one however its handle came about. Values whose derivatives are not those of their nodes come after
//! an entry for what makes all of them, whose operands are what they are functions of; what lies between is not on
//! the tape. Where only values are computed again, a tape may look *through* that, at the nodes of the values. The walk is
//! iterative. Knows nothing of derivatives.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::expr::Expr;
use crate::expr::derivation::{Derivation, Derived};
use crate::graph::Node;
use crate::ops::UnaryOp;

/// One node: a handle on it, and the numbers of its operands.
#[derive(Clone)]
pub(super) struct Entry {
    pub expr: Expr,
    pub operands: SmallVec<[usize; 3]>,
    pub role: Role,
}

/// What an entry stands for.
#[derive(Clone)]
pub(super) enum Role {
    /// The node of its expression.
    Node,
    /// All values of a derivation; its expression is any of these, its operands those of the derivation, then what
    /// that captured.
    Values(Arc<Derivation>),
    /// One value of a derivation, by its index; its operand is the entry of all values.
    Value(usize),
}

/// Numbered nodes.
#[derive(Default)]
pub(super) struct Tape {
    pub entries: Vec<Entry>,
    /// The number of each handle that was met.
    handles: FxHashMap<usize, usize>,
    /// The number of each node. Handles met are kept, so that their addresses stay theirs.
    nodes: FxHashMap<Node<usize>, usize>,
    /// The number of the entry of all values, by the derivation.
    derivations: FxHashMap<usize, usize>,
    /// The number of each value, by the number of all, and its index.
    values: FxHashMap<(usize, usize), usize>,
    /// Whether values that are computed again for derivatives count as their nodes.
    through: bool,
    /// These nodes, by the derivation.
    looked_through: FxHashMap<usize, Vec<Expr>>,
    roots: Vec<Expr>,
}

impl Tape {
    /// A tape that looks through values that are computed again for derivatives.
    pub fn through() -> Tape {
        Tape { through: true, ..Tape::default() }
    }

    /// The number of an expression, after those of all that it is made of.
    pub fn add(&mut self, root: &Expr) -> usize {
        self.roots.push(root.clone());
        let mut pending = vec![root.clone()];
        let mut number = 0;
        while let Some(expr) = pending.last().cloned() {
            let before = pending.len();
            if !self.handles.contains_key(&expr.key()) {
                let seen = self.seen_through(&expr);
                let below = seen.as_ref().map_or_else(|| operands(&expr), |seen| SmallVec::from_iter([seen]));
                let unmet = below.into_iter().rev().filter(|operand| !self.handles.contains_key(&operand.key()));
                pending.extend(unmet.cloned());
            }
            if pending.len() == before {
                number = self.add_entry(&expr);
                pending.pop();
            }
        }
        number
    }

    /// What an expression counts as, if the tape looks through it.
    fn seen_through(&mut self, expr: &Expr) -> Option<Expr> {
        let Derived { of, index } = expr.derived().filter(|derived| self.through && !derived.of.is_given())?;
        let values = self.looked_through.entry(Arc::as_ptr(of) as usize).or_insert_with(|| of.recomputed(&of.operands));
        values.get(*index).cloned()
    }

    /// The number of an expression whose operands have theirs.
    fn add_entry(&mut self, expr: &Expr) -> usize {
        if let Some(&number) = self.handles.get(&expr.key()) {
            return number;
        }
        let number = match (self.seen_through(expr), expr.derived()) {
            (Some(seen), _) => self.handles[&seen.key()],
            (None, Some(derived)) => self.add_value(expr, derived),
            (None, None) => self.add_node(expr),
        };
        self.handles.insert(expr.key(), number);
        number
    }

    fn add_node(&mut self, expr: &Expr) -> usize {
        let mut operands = SmallVec::new();
        let node = expr.node().map(|operand| {
            operands.push(self.handles[&operand.key()]);
            operands[operands.len() - 1]
        });
        let number = *self.nodes.entry(node).or_insert(self.entries.len());
        if number == self.entries.len() {
            self.entries.push(Entry { expr: expr.clone(), operands, role: Role::Node });
        }
        number
    }

    fn add_value(&mut self, expr: &Expr, Derived { of, index }: &Derived) -> usize {
        let all = *self.derivations.entry(Arc::as_ptr(of) as usize).or_insert(self.entries.len());
        if all == self.entries.len() {
            let operands = operands(expr).iter().map(|operand| self.handles[&operand.key()]).collect();
            self.entries.push(Entry { expr: expr.clone(), operands, role: Role::Values(of.clone()) });
        }
        let number = *self.values.entry((all, *index)).or_insert(self.entries.len());
        if number == self.entries.len() {
            let operands = SmallVec::from_slice(&[all]);
            self.entries.push(Entry { expr: expr.clone(), operands, role: Role::Value(*index) });
        }
        number
    }

    /// For each node, whether it is one of the targets or a float that is made of them.
    pub fn active(&self, targets: &[usize]) -> Vec<bool> {
        let mut active = vec![false; self.entries.len()];
        for &target in targets {
            active[target] = true;
        }
        for (number, entry) in self.entries.iter().enumerate() {
            // What a loop carries beside its first state, and what has several values, may be floats.
            let carries = entry.expr.dtype().is_float()
                || matches!(entry.role, Role::Values(_))
                || matches!(entry.expr.node(), Node::Loop(_));
            // What is stopped would be sought for nothing.
            let stops = matches!(entry.expr.node(), Node::Unary(UnaryOp::StopGradient, _));
            active[number] |= carries && !stops && entry.operands.iter().any(|&operand| active[operand]);
        }
        active
    }
}

/// What derivatives of an expression lead to.
fn operands(expr: &Expr) -> SmallVec<[&Expr; 3]> {
    match expr.derived() {
        Some(derived) => derived.of.operands.iter().chain(&derived.of.captured).collect(),
        None => expr.node().operands(),
    }
}
