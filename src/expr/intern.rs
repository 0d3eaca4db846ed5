//! From the user's handles into an arena, and back.
//!
//! The walk is an iterative post-order over shared nodes, each visited once; equal nodes get one id. Inputs come
//! first, in order, used or not. Afterwards sizes that must be equal are made one (see `unify.rs`); the
//! constraints are returned as they were before that, each with the source line of the node that made it.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::expr::unify::{symbols_of, unify};
use crate::graph::{Constraint, Graph, Node, NodeId, Origin, describe};
use crate::shape::{Dim, InputId, Measure, Symbol};

/// The graph of a function, and what must hold of the sizes of a call.
///
/// `givens` replace an expression wherever it occurs, but not within the replacements.
///
/// # Errors
/// The first error that an expression carries; `Argument` for inputs or givens that do not fit, and for an input
/// that is used but not listed.
pub(crate) fn intern(
    inputs: &[Expr],
    outputs: &[Expr],
    givens: &[(Expr, Expr)],
) -> Result<(Graph, Vec<(Constraint, Origin)>)> {
    let expressions = inputs.iter().chain(givens.iter().map(|(_, new)| new)).chain(outputs);
    if let Some(error) = expressions.filter_map(Expr::error).next() {
        return Err(error.clone());
    }
    let mut interner = Interner::default();
    interner.add_inputs(inputs)?;
    let replacements = interner.add_replacements(givens)?;
    interner.replace(givens, &replacements);
    for output in outputs {
        let id = interner.add(output)?;
        interner.graph.outputs.push(id);
    }
    let graph = unify(interner.graph, &interner.constraints)?;
    Ok((graph, interner.constraints))
}

/// Handles on the inputs and the outputs of a graph.
pub(crate) fn extern_graph(graph: &Graph) -> (Vec<Expr>, Vec<Expr>) {
    let unknown = std::panic::Location::caller();
    let mut exprs: Vec<Expr> = Vec::with_capacity(graph.len());
    for id in graph.ids() {
        let node = graph.node(id).map(|operand| exprs[operand.index()].clone());
        exprs.push(Expr::build_at(node, false, graph.origin(id).unwrap_or(unknown)));
    }
    let handles = |ids: &[NodeId]| ids.iter().map(|id| exprs[id.index()].clone()).collect();
    (handles(&graph.inputs), handles(&graph.outputs))
}

/// For each input, whether an output, a size or a check needs it.
pub(crate) fn used_inputs(graph: &Graph, constraints: &[(Constraint, Origin)]) -> Vec<bool> {
    let mut used: FxHashSet<InputId> = FxHashSet::default();
    let live = graph.live();
    for id in graph.ids().filter(|id| live[id.index()]) {
        match graph.node(id) {
            Node::Input(input) => {
                used.insert(input.id);
            }
            node => used.extend(symbols_of(node).into_iter().map(|symbol| symbol.input)),
        }
    }
    for (constraint, _) in constraints {
        for_each_dim(constraint, &mut |dim| {
            dim.for_each_symbol(&mut |symbol| {
                used.insert(symbol.input);
            });
        });
    }
    let is_used = |id: &NodeId| matches!(graph.node(*id), Node::Input(input) if used.contains(&input.id));
    graph.inputs.iter().map(is_used).collect()
}

fn for_each_dim(constraint: &Constraint, visit: &mut impl FnMut(&Dim)) {
    match constraint {
        Constraint::Equal(left, right) | Constraint::SameCount(left, right) => {
            visit(left);
            visit(right);
        }
        Constraint::NonNegative(dim) | Constraint::NonEmpty(_, dim) => visit(dim),
        Constraint::InBounds { range, size } => {
            visit(&range.start);
            visit(&range.length);
            visit(size);
        }
    }
}

#[derive(Default)]
struct Interner {
    graph: Graph,
    constraints: Vec<(Constraint, Origin)>,
    /// The id of each expression that has one.
    known: FxHashMap<usize, NodeId>,
    /// Inputs that may occur, and what stands for them.
    allowed: FxHashMap<InputId, NodeId>,
    /// Sizes of inputs that givens replace; `None` if the replacement is no size.
    sizes: FxHashMap<Symbol, Option<Dim>>,
}

impl Interner {
    fn add_inputs(&mut self, inputs: &[Expr]) -> Result<()> {
        for (position, expr) in inputs.iter().enumerate() {
            let Node::Input(input) = expr.node() else {
                return Err(Error::Argument(format!(
                    "input {position} is not an input but the expression `{expr}`; inputs are made by scalar, vector, \
                     matrix, tensor and input"
                )));
            };
            if self.allowed.contains_key(&input.id) {
                return Err(Error::Argument(format!("the input \"{}\" is listed twice", input.name)));
            }
            let id = self.graph.add(Node::Input(input.clone()), Some(expr.origin()))?;
            for (axis, dim) in (0..).zip(&input.ty.shape) {
                let own = Dim::from(Symbol { input: input.id, measure: Measure::Extent(axis) });
                if dim.constant().is_none() && *dim != own {
                    self.constraints.push((Constraint::Equal(own, dim.clone()), Some(expr.origin())));
                }
            }
            self.graph.inputs.push(id);
            self.allowed.insert(input.id, id);
            self.known.insert(expr.key(), id);
        }
        Ok(())
    }

    /// The ids of the replacements, in which nothing is replaced.
    fn add_replacements(&mut self, givens: &[(Expr, Expr)]) -> Result<Vec<NodeId>> {
        for (old, new) in givens {
            if (old.dtype(), old.rank()) != (new.dtype(), new.rank()) {
                return Err(Error::Argument(format!(
                    "a given replaces `{old}` ({}) by `{new}` ({}): dtype and rank must be equal",
                    describe(old.ty()),
                    describe(new.ty())
                )));
            }
        }
        givens.iter().map(|(_, new)| self.add(new)).collect()
    }

    /// From here on the replaced expressions stand for their replacements. What was interned before is
    /// forgotten, since it may hold them unreplaced.
    fn replace(&mut self, givens: &[(Expr, Expr)], replacements: &[NodeId]) {
        if givens.is_empty() {
            return;
        }
        self.known.clear();
        for ((old, new), &id) in givens.iter().zip(replacements) {
            self.known.insert(old.key(), id);
            let Node::Input(input) = old.node() else {
                continue;
            };
            self.allowed.insert(input.id, id);
            for (axis, size) in new.dims().iter().enumerate() {
                let symbol = Symbol { input: input.id, measure: Measure::Extent(axis as u32) };
                self.sizes.insert(symbol, Some(size.clone()));
            }
            self.sizes.insert(Symbol { input: input.id, measure: Measure::Value }, new.to_dim().ok());
        }
    }

    /// The id of an expression, after those of all its operands.
    fn add(&mut self, root: &Expr) -> Result<NodeId> {
        let mut pending = vec![root];
        while let Some(&expr) = pending.last() {
            if self.known.contains_key(&expr.key()) {
                pending.pop();
                continue;
            }
            let before = pending.len();
            expr.node().for_each_operand(|operand| {
                if !self.known.contains_key(&operand.key()) {
                    pending.push(operand);
                }
            });
            if pending.len() == before {
                let id = self.add_node(expr)?;
                self.known.insert(expr.key(), id);
                pending.pop();
            }
        }
        self.id_of(root)
    }

    fn id_of(&self, expr: &Expr) -> Result<NodeId> {
        let id = self.known.get(&expr.key()).copied();
        id.ok_or_else(|| Error::Internal(format!("`{expr}` was used before it was interned")))
    }

    /// The id of an expression whose operands have theirs.
    fn add_node(&mut self, expr: &Expr) -> Result<NodeId> {
        if let Node::Input(input) = expr.node() {
            return self.allowed.get(&input.id).copied().ok_or_else(|| {
                Error::Argument(format!(
                    "the input \"{}\" ({}) is used but is not among the inputs of the function",
                    input.name,
                    describe(expr.ty())
                ))
            });
        }
        let mut missing = false;
        let node = expr.node().map(|operand| {
            let id = self.known.get(&operand.key()).copied();
            missing |= id.is_none();
            id.unwrap_or(NodeId(u32::MAX))
        });
        if missing {
            return Err(Error::Internal(format!("an operand of `{expr}` was not interned")));
        }
        let node = self.with_known_sizes(node, expr)?;
        let mut found = Vec::new();
        let id = self.graph.add_checked(node, Some(expr.origin()), &mut found)?;
        self.constraints.extend(found.into_iter().map(|constraint| (constraint, Some(expr.origin()))));
        Ok(id)
    }

    /// The node with the sizes of replaced inputs replaced.
    fn with_known_sizes(&self, node: Node<NodeId>, expr: &Expr) -> Result<Node<NodeId>> {
        let symbols = symbols_of(&node);
        for symbol in &symbols {
            let value = self.sizes.get(symbol);
            if matches!(value, Some(None)) {
                return Err(Error::Argument(format!(
                    "a given replaces an input whose value is used as a size in `{expr}` (built at {}) by something \
                     that is not a size",
                    expr.origin()
                )));
            }
            if value.is_none() && !self.allowed.contains_key(&symbol.input) {
                return Err(Error::Argument(format!(
                    "`{expr}` (built at {}) depends on the size or value of an input that is not among the inputs of \
                     the function",
                    expr.origin()
                )));
            }
        }
        if symbols.iter().all(|symbol| !self.sizes.contains_key(symbol)) {
            return Ok(node);
        }
        let replace = |symbol: Symbol| self.sizes.get(&symbol).cloned().flatten().unwrap_or_else(|| symbol.into());
        Ok(node.map_dims(&|dim| dim.substitute(&replace)))
    }
}
