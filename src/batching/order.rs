//! The nodes below some expressions, numbered so that operands come before users.
//!
//! Equal nodes have one number, so a loop that two handles stand for is one. The walk is iterative. Knows nothing of
//! batches.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::expr::Expr;
use crate::expr::derivation::Derived;
use crate::expr::region::parameters;
use crate::graph::{Loop, Node};
use crate::shape::InputId;

/// One node: a handle on it, and the numbers of its operands. A leaf has none, whatever its node says.
pub(super) struct Entry {
    pub expr: Expr,
    pub operands: SmallVec<[usize; 3]>,
    pub is_leaf: bool,
}

/// Which loop a parameter belongs to, and which of its parameters it is.
#[derive(Clone, Copy)]
pub(super) struct Owner {
    pub of: usize,
    pub position: usize,
}

/// Numbered nodes.
#[derive(Default)]
pub(super) struct Order {
    pub entries: Vec<Entry>,
    /// The loops over numbers.
    pub loops: FxHashMap<usize, Loop<usize>>,
    /// The owners of the parameters of these.
    pub owners: FxHashMap<usize, Owner>,
    /// The loop that each parameter of a body belongs to.
    bodies: FxHashMap<InputId, usize>,
    /// The number of each handle that was met. Entries and roots keep handles, so that their addresses stay theirs.
    handles: FxHashMap<usize, usize>,
    nodes: FxHashMap<Node<usize>, usize>,
    /// The numbers of values that have a derivation, by its address and their index.
    values: FxHashMap<(usize, usize), usize>,
    roots: Vec<Expr>,
}

impl Order {
    /// One that ends at some handles, in whose place there are leaves.
    pub fn ending_at(handles: &[Expr], leaves: &[Expr]) -> Order {
        let mut order = Order { roots: handles.to_vec(), ..Order::default() };
        for (handle, leaf) in handles.iter().zip(leaves) {
            order.handles.insert(handle.key(), order.entries.len());
            order.entries.push(Entry { expr: leaf.clone(), operands: SmallVec::new(), is_leaf: true });
        }
        order
    }

    /// The number of an expression that was met.
    pub fn number(&self, expr: &Expr) -> Option<usize> {
        self.handles.get(&expr.key()).copied()
    }

    /// The innermost loop whose body a node lies in: inner loops come before outer ones.
    pub fn enclosing(&self, number: usize) -> Option<usize> {
        let free = self.entries[number].expr.free_parameters();
        free.iter().filter_map(|parameter| self.bodies.get(parameter)).min().copied()
    }

    /// The number of an expression, after those of all that it is made of.
    pub fn add(&mut self, root: &Expr) -> usize {
        self.roots.push(root.clone());
        let mut pending = vec![root];
        let mut number = 0;
        while let Some(&expr) = pending.last() {
            let before = pending.len();
            if !self.handles.contains_key(&expr.key()) {
                for operand in operands(expr).into_iter().rev() {
                    if !self.handles.contains_key(&operand.key()) {
                        pending.push(operand);
                    }
                }
            }
            if pending.len() == before {
                number = self.add_node(expr);
                pending.pop();
            }
        }
        number
    }

    /// The number of an expression whose operands have theirs.
    fn add_node(&mut self, expr: &Expr) -> usize {
        if let Some(number) = self.number(expr) {
            return number;
        }
        if let Some(Derived { of, index }) = expr.derived() {
            let number = *self.values.entry((Arc::as_ptr(of) as usize, *index)).or_insert(self.entries.len());
            if number == self.entries.len() {
                let operands = operands(expr).iter().map(|operand| self.handles[&operand.key()]).collect();
                self.entries.push(Entry { expr: expr.clone(), operands, is_leaf: false });
            }
            self.handles.insert(expr.key(), number);
            return number;
        }
        let mut operands = SmallVec::new();
        let node = expr.node().map(|operand| {
            operands.push(self.handles[&operand.key()]);
            operands[operands.len() - 1]
        });
        let number = self.nodes.get(&node).copied().unwrap_or(self.entries.len());
        if number == self.entries.len() {
            if let (Node::Loop(inner), Node::Loop(own)) = (&node, expr.node()) {
                self.bodies.extend(parameters(own).into_iter().map(|parameter| (parameter, number)));
                let owners = inner.body.parameters.iter().enumerate();
                self.owners.extend(owners.map(|(position, &parameter)| (parameter, Owner { of: number, position })));
                self.loops.insert(number, (**inner).clone());
            }
            self.nodes.insert(node, number);
            self.entries.push(Entry { expr: expr.clone(), operands, is_leaf: false });
        }
        self.handles.insert(expr.key(), number);
        number
    }
}

/// The operands of a node; of a value with a derivation, what this is made of.
fn operands(expr: &Expr) -> SmallVec<[&Expr; 3]> {
    match expr.derived() {
        Some(derived) => derived.of.references().collect(),
        None => expr.node().operands(),
    }
}
