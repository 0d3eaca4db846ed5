//! The nodes below some expressions in an order in which operands come before users.
//!
//! Equal nodes get one number, as in an arena, so what was written twice is differentiated once, and an expression is
//! found in another one however its handle came about. A loop is one node, whose operands are what it takes from outside
//! and then what its body does; the nodes of the body have a tape of their own (`body.rs`), which ends at its *leaves*.
//! Values whose derivatives are not those of their nodes come after one entry for all of them, whose operands are what
//! they are made of; what lies between is on no tape.
//! The walk is iterative. Knows nothing of derivatives.

use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::autodiff::body::Body;
use crate::expr::Expr;
use crate::expr::derivation::{Derivation, Derived};
use crate::graph::Node;
use crate::graph::regions::DEEPEST;
use crate::ops::UnaryOp;

/// One node: a handle on it, and the numbers of its operands. A leaf has none, whatever its node says.
#[derive(Clone)]
pub(super) struct Entry {
    pub expr: Expr,
    pub operands: SmallVec<[usize; 3]>,
    pub is_leaf: bool,
    pub role: Role,
}

/// What an entry stands for.
#[derive(Clone)]
pub(super) enum Role {
    /// Its expression.
    Node,
    /// All values of a derivation: its expression is one of them, its operands those of the derivation, then what it
    /// captured.
    Values(Arc<Derivation>),
    /// The value of this index; its operand is the entry of all.
    Value(usize),
}

impl Entry {
    fn is_loop(&self) -> bool {
        matches!((&self.role, self.expr.node()), (Role::Node, Node::Loop(_)))
    }
}

/// Numbered nodes.
#[derive(Default)]
pub(super) struct Tape {
    pub entries: Vec<Entry>,
    /// The number of each handle that was met.
    handles: FxHashMap<usize, usize>,
    /// The number of each node; of a loop, that of each handle. Handles met are kept, so that their addresses stay theirs.
    nodes: FxHashMap<Node<usize>, usize>,
    met: Vec<Expr>,
    /// The operands of the loops that were met.
    loops: FxHashMap<usize, Vec<Expr>>,
    /// How many bodies this lies in.
    depth: usize,
    bodies: FxHashMap<usize, Rc<Body>>,
    /// The entries of all values, by the address of the derivation.
    derivations: FxHashMap<usize, usize>,
    /// The number of each value, by the entry of all and its index.
    values: FxHashMap<(usize, usize), usize>,
}

impl Tape {
    /// One that ends at some expressions: for each the handles that stand for it.
    pub fn of_body(leaves: &[(Expr, Vec<Expr>)], depth: usize) -> Tape {
        let mut tape = Tape { depth, ..Tape::default() };
        for (leaf, handles) in leaves {
            let number = tape.entries.len();
            tape.entries.push(Entry { expr: leaf.clone(), operands: SmallVec::new(), is_leaf: true, role: Role::Node });
            for handle in handles.iter().chain([leaf]) {
                tape.met.push(handle.clone());
                tape.handles.insert(handle.key(), number);
            }
        }
        tape
    }

    /// The number of an expression, after those of all that it is made of.
    pub fn add(&mut self, root: &Expr) -> usize {
        self.met.push(root.clone());
        let mut pending = vec![root.clone()];
        let mut number = 0;
        while let Some(expr) = pending.last().cloned() {
            let before = pending.len();
            if !self.handles.contains_key(&expr.key()) {
                self.for_each_operand(&expr, &mut |handles, operand| {
                    if !handles.contains_key(&operand.key()) {
                        pending.push(operand.clone());
                    }
                });
                pending[before..].reverse();
            }
            if pending.len() == before {
                number = self.add_node(&expr);
                pending.pop();
            }
        }
        number
    }

    fn for_each_operand(&mut self, expr: &Expr, visit: &mut dyn FnMut(&FxHashMap<usize, usize>, &Expr)) {
        if let Some(Derived { of, .. }) = expr.derived() {
            of.operands.iter().chain(of.captured()).for_each(|operand| visit(&self.handles, operand));
        } else if let Node::Loop(_) = expr.node() {
            let operands = self.loops.entry(expr.key()).or_insert_with(|| expr.level_operands());
            operands.iter().for_each(|operand| visit(&self.handles, operand));
        } else {
            expr.node().for_each_operand(|operand| visit(&self.handles, operand));
        }
    }

    /// The number of an expression whose operands have theirs.
    fn add_node(&mut self, expr: &Expr) -> usize {
        if let Some(&number) = self.handles.get(&expr.key()) {
            return number;
        }
        let mut operands = SmallVec::new();
        self.for_each_operand(expr, &mut |handles, operand| operands.push(handles[&operand.key()]));
        let next = self.entries.len();
        let number = match (expr.derived(), expr.node()) {
            (Some(derived), _) => self.add_value(expr, derived, operands.clone()),
            (None, Node::Loop(_)) => next,
            (None, node) => {
                let mut numbers = operands.iter();
                // There are as many numbers as operands.
                let node = node.map(|_| numbers.next().copied().unwrap_or_default());
                *self.nodes.entry(node).or_insert(next)
            }
        };
        if number == next {
            self.entries.push(Entry { expr: expr.clone(), operands, is_leaf: false, role: Role::Node });
        }
        self.handles.insert(expr.key(), number);
        number
    }

    /// The number of one value of a derivation, whose operands have theirs.
    fn add_value(&mut self, expr: &Expr, Derived { of, index }: &Derived, operands: SmallVec<[usize; 3]>) -> usize {
        let mut entry = |operands, role| {
            self.entries.push(Entry { expr: expr.clone(), operands, is_leaf: false, role });
            self.entries.len() - 1
        };
        let all = self.derivations.entry(Arc::as_ptr(of) as usize);
        let all = *all.or_insert_with(|| entry(operands, Role::Values(of.clone())));
        let value = self.values.entry((all, *index));
        *value.or_insert_with(|| entry(SmallVec::from_slice(&[all]), Role::Value(*index)))
    }

    /// Whether a value is on the tape, given the entry of all values.
    pub fn has_value(&self, all: usize, index: usize) -> bool {
        self.values.contains_key(&(all, index))
    }

    /// Another tape in the same bodies, which ends at these expressions.
    pub fn ending_at(&self, leaves: &[Expr]) -> Tape {
        let leaves: Vec<(Expr, Vec<Expr>)> = leaves.iter().map(|leaf| (leaf.clone(), Vec::new())).collect();
        Tape::of_body(&leaves, self.depth)
    }

    /// The operands of a loop as handles, in the order of the numbers of its entry.
    pub fn loop_operands(&self, expr: &Expr) -> &[Expr] {
        self.loops.get(&expr.key()).map_or(&[], Vec::as_slice)
    }

    /// Makes the tapes of the bodies of all loops.
    pub fn open(&mut self) {
        let is_loop = |entry: &Entry| !entry.is_leaf && entry.is_loop();
        let loops: Vec<usize> = (0..self.entries.len()).filter(|&number| is_loop(&self.entries[number])).collect();
        for number in loops {
            if self.depth < DEEPEST
                && let Some(body) = Body::of(self, number, self.depth + 1)
            {
                self.bodies.insert(number, Rc::new(body));
            }
        }
    }

    /// The body of a loop; `None` if it is nested too deep.
    pub fn body(&self, number: usize) -> Option<Rc<Body>> {
        self.bodies.get(&number).cloned()
    }

    /// For each node, whether it is one of the targets or a float that is made of them.
    pub fn active(&self, targets: &[usize]) -> Vec<bool> {
        let mut active = vec![false; self.entries.len()];
        for &target in targets {
            active[target] = true;
        }
        let mut moved: FxHashMap<usize, Vec<bool>> = FxHashMap::default();
        for (number, entry) in self.entries.iter().enumerate().filter(|(_, entry)| !entry.is_leaf) {
            let any = entry.operands.iter().any(|&operand| active[operand]);
            active[number] |= any
                && match (&entry.role, entry.expr.node()) {
                    // Values may be floats where the first one is none.
                    (Role::Values(_), _) => true,
                    (Role::Value(_), _) => entry.expr.dtype().is_float(),
                    // What is stopped would be sought for nothing.
                    (Role::Node, Node::Unary(UnaryOp::StopGradient, _)) => false,
                    // What a loop carries beside its first state may be floats.
                    (Role::Node, Node::Loop(_)) => {
                        if let Some(body) = self.bodies.get(&number) {
                            moved.insert(number, body.moved(&body.flags(&active)));
                        }
                        true
                    }
                    (Role::Node, Node::Project(index, _)) => {
                        let results = moved.get(&entry.operands[0]);
                        let moves = results.is_none_or(|moves| moves.get(*index as usize).is_some_and(|moves| *moves));
                        entry.expr.dtype().is_float() && moves
                    }
                    (Role::Node, _) => entry.expr.dtype().is_float(),
                };
        }
        active
    }

    /// For each node, whether one of these is made of it, by floats.
    pub fn reached(&self, roots: &[usize]) -> Vec<bool> {
        let mut reached = vec![false; self.entries.len()];
        for &root in roots {
            reached[root] = true;
        }
        for (number, entry) in self.entries.iter().enumerate().rev() {
            let carries = entry.expr.dtype().is_float() || entry.is_loop() || matches!(entry.role, Role::Values(_));
            if reached[number] && carries {
                entry.operands.iter().for_each(|&operand| reached[operand] = true);
            }
        }
        reached
    }
}
