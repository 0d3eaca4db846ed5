//! The nodes below some expressions in an order in which operands come before users.
//!
//! Equal nodes get one number, as in an arena, so what was written twice is differentiated once, and an expression is
//! found in another one however its handle came about. The walk is iterative. Knows nothing of derivatives.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::expr::Expr;
use crate::graph::Node;

/// One node: a handle on it, and the numbers of its operands.
#[derive(Clone)]
pub(super) struct Entry {
    pub expr: Expr,
    pub operands: SmallVec<[usize; 3]>,
}

/// Numbered nodes.
#[derive(Default)]
pub(super) struct Tape {
    pub entries: Vec<Entry>,
    /// The number of each handle that was met.
    handles: FxHashMap<usize, usize>,
    /// The number of each node. Handles met are kept, so that their addresses stay theirs.
    nodes: FxHashMap<Node<usize>, usize>,
    roots: Vec<Expr>,
}

impl Tape {
    /// The number of an expression, after those of all that it is made of.
    pub fn add(&mut self, root: &Expr) -> usize {
        self.roots.push(root.clone());
        let mut pending = vec![root];
        let mut number = 0;
        while let Some(&expr) = pending.last() {
            let before = pending.len();
            if !self.handles.contains_key(&expr.key()) {
                for operand in expr.node().operands().into_iter().rev() {
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
        if let Some(&number) = self.handles.get(&expr.key()) {
            return number;
        }
        let mut operands = SmallVec::new();
        let node = expr.node().map(|operand| {
            operands.push(self.handles[&operand.key()]);
            operands[operands.len() - 1]
        });
        let number = *self.nodes.entry(node).or_insert(self.entries.len());
        if number == self.entries.len() {
            self.entries.push(Entry { expr: expr.clone(), operands });
        }
        self.handles.insert(expr.key(), number);
        number
    }

    /// For each node, whether it is one of the targets or a float that is made of them.
    pub fn active(&self, targets: &[usize]) -> Vec<bool> {
        let mut active = vec![false; self.entries.len()];
        for &target in targets {
            active[target] = true;
        }
        for (number, entry) in self.entries.iter().enumerate() {
            // What a loop carries beside its first state may be floats.
            let carries = entry.expr.dtype().is_float() || matches!(entry.expr.node(), Node::Loop(_));
            active[number] |= carries && entry.operands.iter().any(|&operand| active[operand]);
        }
        active
    }
}
