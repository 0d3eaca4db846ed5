//! Sizes that must be equal become one.
//!
//! `a + b` demands that two symbols be equal; since that is checked before a call runs, one of them can stand for
//! both everywhere, in the types of the inputs too, so that equal spaces have equal `Dim`s and kernels can fuse
//! across them. A constant stands for the symbols that must equal it.
//!
//! The unified graph no longer says what was unified: the constraints from before must be checked in each call,
//! with every extent bound to the symbol of its own input and axis, whatever the unified type of the input says.

use std::cell::RefCell;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::error::Result;
use crate::graph::{Constraint, Graph, Input, Node, NodeId, Origin, Type};
use crate::shape::{Dim, Symbol};

/// The graph with every symbol replaced by what stands for it.
///
/// # Errors
/// `Build` for a node that is ill-typed once sizes are known to be equal.
pub(crate) fn unify(graph: &Graph, constraints: &[(Constraint, Origin)]) -> Result<Graph> {
    let mut classes = Classes::of_inputs(graph);
    for (constraint, _) in constraints {
        if let Constraint::Equal(left, right) = constraint {
            classes.join(left, right);
        }
    }
    if classes.parent.is_empty() {
        return Ok(graph.clone());
    }
    let replace = |dim: &Dim| dim.substitute(&|symbol| classes.representative(&Dim::from(symbol)));
    let mut unified = Graph::new();
    let mut ids: Vec<NodeId> = Vec::with_capacity(graph.len());
    for id in graph.ids() {
        let node = if let Node::Input(input) = graph.node(id) {
            Node::Input(Arc::new(replace_sizes(input, &replace)))
        } else {
            graph.node(id).map(|operand| ids[operand.index()]).map_dims(&replace)
        };
        ids.push(unified.add(node, graph.origin(id))?);
    }
    unified.inputs = graph.inputs.iter().map(|id| ids[id.index()]).collect();
    unified.outputs = graph.outputs.iter().map(|id| ids[id.index()]).collect();
    Ok(unified)
}

/// The symbols in the sizes that a node itself holds.
pub(crate) fn symbols_of<R: Clone>(node: &Node<R>) -> Vec<Symbol> {
    let found = RefCell::new(Vec::new());
    let _same = node.clone().map_dims(&|dim| {
        dim.for_each_symbol(&mut |symbol| found.borrow_mut().push(symbol));
        dim.clone()
    });
    found.into_inner()
}

fn replace_sizes(input: &Input, replace: &impl Fn(&Dim) -> Dim) -> Input {
    let shape = input.ty.shape.iter().map(replace).collect();
    Input {
        id: input.id,
        name: input.name.clone(),
        ty: Type { dtype: input.ty.dtype, shape },
        kept: input.kept.clone(),
    }
}

/// Classes of symbols and constants that must be equal: a forest whose roots stand for their trees.
struct Classes {
    parent: FxHashMap<Dim, Dim>,
    /// The place of each symbol's input among the inputs; the earliest stands for the others.
    order: FxHashMap<Symbol, (usize, usize)>,
}

impl Classes {
    fn of_inputs(graph: &Graph) -> Classes {
        let mut order = FxHashMap::default();
        for (place, &id) in graph.inputs.iter().enumerate() {
            for (axis, dim) in graph.ty(id).shape.iter().enumerate() {
                if let Some(symbol) = dim.as_symbol() {
                    order.entry(symbol).or_insert((place, axis));
                }
            }
        }
        Classes { parent: FxHashMap::default(), order }
    }

    fn representative(&self, dim: &Dim) -> Dim {
        let mut dim = dim;
        while let Some(parent) = self.parent.get(dim) {
            dim = parent;
        }
        dim.clone()
    }

    /// Smaller ranks stand for larger ones: constants, then sizes in the order of the inputs, then values.
    fn rank(&self, dim: &Dim) -> (bool, (usize, usize), Option<Symbol>) {
        let symbol = dim.as_symbol();
        let place = symbol.and_then(|symbol| self.order.get(&symbol).copied());
        (symbol.is_some(), place.unwrap_or((usize::MAX, usize::MAX)), symbol)
    }

    /// Joins two sizes, if both are bare symbols or constants. Two different constants stay apart; inference
    /// or the check of the call reports them.
    fn join(&mut self, left: &Dim, right: &Dim) {
        let bare = |dim: &Dim| dim.as_symbol().is_some() || dim.constant().is_some();
        if !bare(left) || !bare(right) {
            return;
        }
        let (left, right) = (self.representative(left), self.representative(right));
        if left == right || (left.constant().is_some() && right.constant().is_some()) {
            return;
        }
        let (root, child) = if self.rank(&left) <= self.rank(&right) { (left, right) } else { (right, left) };
        self.parent.insert(child, root);
    }
}
