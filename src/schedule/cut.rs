//! Kernels that would grow beyond the target's limits are cut at their operands.
//!
//! Going forwards, each node is measured as if it were a root, by the sum of its operands' measures, or exactly where
//! that is too much; where it does not fit, operands are written to memory, the largest first. A node that is cut
//! late was part of the kernels of earlier nodes, and may be one window more there, beside those it was made from: these
//! kernels are measured again. Each node is cut at most once and kernels are bounded, so all this is linear.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use rustc_hash::FxHashSet;

use crate::graph::{Graph, Node, NodeId};
use crate::loops::Target;
use crate::schedule::form::Form;
use crate::schedule::walk::{Cone, Walk};

/// Adds to `materialized` what keeps every kernel within the limits.
pub fn cut_large(graph: &Graph, live: &[bool], forms: &[Form], target: &Target, materialized: &mut [bool]) {
    let sizes = vec![Size::default(); graph.len()];
    let mut cutting = Cutting { graph, forms, target, materialized, sizes };
    let mut cut = Vec::new();
    for id in graph.ids().filter(|id| live[id.index()]) {
        if cutting.is_computed(id) {
            cutting.sizes[id.index()] = cutting.tree_size(id);
            if !cutting.fits(id) {
                cutting.sizes[id.index()] = cutting.exact_size(id);
                cutting.cut(id, &mut cut);
            }
        }
    }
    if !cut.is_empty() {
        cutting.measure_again(live, cut);
    }
}

/// Statements and loads of what a kernel computes for a node.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    statements: usize,
    loads: usize,
}

struct Cutting<'a> {
    graph: &'a Graph,
    forms: &'a [Form],
    target: &'a Target,
    materialized: &'a mut [bool],
    /// At least the size of what a kernel computes for each node.
    sizes: Vec<Size>,
}

impl Cutting<'_> {
    fn is_computed(&self, id: NodeId) -> bool {
        self.forms[id.index()] == Form::Inline || matches!(self.graph.node(id), Node::Reduce(..))
    }

    fn is_inline(&self, id: NodeId) -> bool {
        self.forms[id.index()] == Form::Inline && !self.materialized[id.index()]
    }

    fn fits(&self, id: NodeId) -> bool {
        let Size { statements, loads } = self.sizes[id.index()];
        statements <= self.max_statements() && loads <= self.max_loads(id)
    }

    /// Leaves room for the several statements that one node may become.
    fn max_statements(&self) -> usize {
        self.target.max_statements / 4
    }

    /// Leaves room for the store, and where there is much room for those of several results.
    fn max_loads(&self, id: NodeId) -> usize {
        let operands = self.target.operands(matches!(self.graph.node(id), Node::Reduce(..)));
        operands.saturating_sub((operands / 6).max(1)).max(1)
    }

    fn tree_size(&self, id: NodeId) -> Size {
        self.graph.node(id).operands().iter().fold(Size { statements: 1, loads: 0 }, |sum, &&operand| {
            let size = self.sizes[operand.index()];
            match &self.forms[operand.index()] {
                _ if self.materialized[operand.index()] => Size { loads: sum.loads.saturating_add(1), ..sum },
                Form::Inline => Size {
                    statements: sum.statements.saturating_add(size.statements),
                    loads: sum.loads.saturating_add(size.loads),
                },
                Form::View(_) => Size { loads: sum.loads.saturating_add(1), ..sum },
                Form::Constant(_) => Size { statements: sum.statements.saturating_add(1), ..sum },
            }
        })
    }

    fn exact_size(&self, id: NodeId) -> Size {
        let mut walk = Walk::new(self.graph, self.forms, self.materialized);
        walk.root(id);
        let Cone { statements, loads, .. } = walk.finish();
        Size { statements, loads: loads.len() }
    }

    /// Writes operands to memory until a node fits, or nothing more would help. The node is measured exactly.
    fn cut(&mut self, id: NodeId, cut: &mut Vec<NodeId>) {
        if self.fits(id) {
            return;
        }
        let mut operands: Vec<NodeId> = self.graph.node(id).operands().iter().map(|&&operand| operand).collect();
        operands.retain(|&operand| self.is_inline(operand));
        for &operand in &operands {
            // The sums from before may count too much, and too little where a part has been cut since.
            self.sizes[operand.index()] = self.exact_size(operand);
        }
        operands.sort_unstable_by_key(|operand| {
            let Size { statements, loads } = self.sizes[operand.index()];
            (Reverse((loads, statements)), *operand)
        });
        for operand in operands {
            // What is only put elsewhere reads as much before that.
            let inner = self.unmapped(operand);
            if inner != operand && self.may_help(id, operand) && self.is_inline(inner) {
                self.write(id, inner, cut);
                self.sizes[operand.index()] = self.exact_size(operand);
            }
            if self.may_help(id, operand) && self.is_inline(operand) {
                self.write(id, operand, cut);
            }
        }
    }

    /// Whether a node that does not fit has fewer statements or loads if an operand is written.
    fn may_help(&self, id: NodeId, operand: NodeId) -> bool {
        let fewer_loads = self.sizes[operand.index()].loads > 1;
        let fewer_statements = self.sizes[id.index()].statements > self.max_statements();
        !self.fits(id) && (fewer_loads || fewer_statements)
    }

    /// Writes a part of what is computed for a node to memory.
    fn write(&mut self, id: NodeId, part: NodeId, cut: &mut Vec<NodeId>) {
        self.materialized[part.index()] = true;
        cut.push(part);
        self.sizes[id.index()] = self.exact_size(id);
    }

    /// The node whose elements a computed node puts elsewhere.
    fn unmapped(&self, mut id: NodeId) -> NodeId {
        while self.is_inline(id)
            && let Node::Permute(_, x) | Node::Broadcast(_, x) | Node::Reshape(_, x) = self.graph.node(id)
        {
            id = *x;
        }
        id
    }

    /// Measures the kernels that cut nodes were part of, and cuts on.
    fn measure_again(&mut self, live: &[bool], mut cut: Vec<NodeId>) {
        let users = Users::new(self.graph, live);
        while !cut.is_empty() {
            for kernel in self.kernels_with(std::mem::take(&mut cut), &users) {
                self.sizes[kernel.index()] = self.exact_size(kernel);
                self.cut(kernel, &mut cut);
            }
        }
    }

    /// The nodes that kernels write and for which they read some nodes in memory; and these nodes.
    fn kernels_with(&self, nodes: Vec<NodeId>, users: &Users) -> BTreeSet<NodeId> {
        let mut kernels = BTreeSet::from_iter(nodes.iter().copied());
        let mut seen = FxHashSet::default();
        let mut stack = nodes;
        while let Some(node) = stack.pop() {
            for &user in users.of(node) {
                if !self.is_computed(user) {
                    // A part of a concatenation is the head of a kernel.
                    kernels.extend(self.is_inline(node).then_some(node));
                } else if !self.is_inline(user) {
                    kernels.insert(user);
                } else if seen.insert(user) {
                    stack.push(user);
                }
            }
        }
        kernels
    }
}

/// The users of every node.
struct Users {
    /// Where the users of each node begin in `users`, and where the last ones end.
    starts: Vec<usize>,
    users: Vec<NodeId>,
}

impl Users {
    fn new(graph: &Graph, live: &[bool]) -> Users {
        let mut starts = vec![0; graph.len() + 1];
        let edges = || {
            let ids = graph.ids().filter(|id| live[id.index()]);
            ids.flat_map(|id| {
                graph.node(id).operands().into_iter().map(move |operand| (*operand, id)).collect::<Vec<_>>()
            })
        };
        edges().for_each(|(operand, _)| starts[operand.index() + 1] += 1);
        for index in 0..graph.len() {
            starts[index + 1] += starts[index];
        }
        let mut next = starts.clone();
        let mut users = vec![NodeId(0); starts[graph.len()]];
        for (operand, id) in edges() {
            users[next[operand.index()]] = id;
            next[operand.index()] += 1;
        }
        Users { starts, users }
    }

    fn of(&self, node: NodeId) -> &[NodeId] {
        &self.users[self.starts[node.index()]..self.starts[node.index() + 1]]
    }
}
