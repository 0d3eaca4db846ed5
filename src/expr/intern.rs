//! From the user's handles into an arena, and back.
//!
//! The walk is an iterative post-order over shared nodes, each visited once; equal nodes get one id. Inputs come
//! first, in order, used or not. Each constraint on sizes is returned with the source line of the node that made
//! it. Every input keeps its own symbols; `unify.rs` makes one of those that must be equal.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::error::{Error, Result};
use crate::expr::unify::symbols_of;
use crate::expr::{Expr, names};
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
    Ok((interner.graph, interner.constraints))
}

/// Handles on the inputs and the outputs of a graph; nodes without a source line get that of the caller.
#[track_caller]
pub(crate) fn extern_graph(graph: &Graph) -> (Vec<Expr>, Vec<Expr>) {
    extern_graph_with(graph, &FxHashMap::default())
}

/// As `extern_graph`, with these handles for these inputs.
#[track_caller]
pub(crate) fn extern_graph_with(graph: &Graph, known: &FxHashMap<NodeId, Expr>) -> (Vec<Expr>, Vec<Expr>) {
    let caller = std::panic::Location::caller();
    let mut exprs: Vec<Expr> = Vec::with_capacity(graph.len());
    for id in graph.ids() {
        if let Some(expr) = known.get(&id) {
            exprs.push(expr.clone());
            continue;
        }
        let node = graph.node(id).map(|operand| exprs[operand.index()].clone());
        exprs.push(Expr::build_at(node, false, graph.origin(id).unwrap_or(caller)));
    }
    let handles = |ids: &[NodeId]| ids.iter().map(|id| exprs[id.index()].clone()).collect();
    (handles(&graph.inputs), handles(&graph.outputs))
}

/// For each input, whether an output, a size or a check needs it. One that a given replaces counts as used.
pub(crate) fn used_inputs(graph: &Graph, sizes: &FxHashSet<Symbol>, givens: &[(Expr, Expr)]) -> Vec<bool> {
    let mut used: FxHashSet<InputId> = sizes.iter().map(|symbol| symbol.input).collect();
    for (old, _) in givens {
        if let Node::Input(input) = old.node() {
            used.insert(input.id);
        }
    }
    let live = graph.live();
    for id in graph.ids().filter(|id| live[id.index()]) {
        if let Node::Input(input) = graph.node(id) {
            used.insert(input.id);
        }
    }
    let is_used = |id: &NodeId| matches!(graph.node(*id), Node::Input(input) if used.contains(&input.id));
    graph.inputs.iter().map(is_used).collect()
}

/// The symbols in the sizes of live nodes and in the checks.
pub(crate) fn used_symbols(graph: &Graph, constraints: &[(Constraint, Origin)]) -> FxHashSet<Symbol> {
    let live = graph.live();
    let nodes = graph.ids().filter(|id| live[id.index()]);
    let mut used: FxHashSet<Symbol> = nodes.flat_map(|id| symbols_of(graph.node(id))).collect();
    for (constraint, _) in constraints {
        for_each_dim(constraint, &mut |dim| {
            dim.for_each_symbol(&mut |symbol| {
                used.insert(symbol);
            });
        });
    }
    used
}

fn for_each_dim(constraint: &Constraint, visit: &mut impl FnMut(&Dim)) {
    match constraint {
        Constraint::Equal(left, right) | Constraint::SameCount(left, right) => {
            visit(left);
            visit(right);
        }
        Constraint::NonNegative(dim) | Constraint::Steps(dim) | Constraint::NonEmpty(_, dim) => visit(dim),
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
    /// Once something is replaced, what parameters of loops are called: a loop may stand in the replacement as well, and
    /// its body belongs to one loop only.
    renamed: Option<FxHashMap<InputId, InputId>>,
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
        self.renamed = Some(FxHashMap::default());
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
            // The first operand is to be on top, so that nodes are numbered as they are written.
            for operand in expr.node().operands().into_iter().rev() {
                if !self.known.contains_key(&operand.key()) {
                    pending.push(operand);
                }
            }
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
        if let (Node::Parameter(id, ty), Some(renamed)) = (expr.node(), &mut self.renamed) {
            let id = *renamed.entry(*id).or_insert_with(InputId::new);
            let node = self.with_known_sizes(Node::Parameter(id, ty.clone()), expr)?;
            return self.graph.add(node, Some(expr.origin()));
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
                    "`{expr}` (built at {}) depends on {} of the input \"{}\", which is not among the inputs of the \
                     function",
                    expr.origin(),
                    if symbol.measure == Measure::Value { "the value" } else { "a size" },
                    names::recall(symbol.input)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::cloned_ref_to_slice_refs)] // lists of one read like lists of two

    use super::*;
    use crate::dtype::DType;
    use crate::dtype::Scalar;
    use crate::expr::unify::unify;
    use crate::shape::Shape;
    use crate::{input, matrix, scalar, vector};

    fn argument_error(inputs: &[Expr], outputs: &[Expr], givens: &[(Expr, Expr)]) -> String {
        match intern(inputs, outputs, givens) {
            Err(Error::Argument(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn equal_nodes_get_one_id_and_inputs_come_first() {
        let (x, unused) = (vector::<f64>("x"), scalar::<f64>("unused"));
        let outputs = [(&x * 2.0).exp() + (&x * 2.0).exp(), x.sum(..)];
        let (graph, constraints) = intern(&[unused, x], &outputs, &[]).unwrap();
        assert_eq!((graph.len(), graph.inputs.as_slice()), (7, [NodeId(0), NodeId(1)].as_slice()));
        assert_eq!(used_inputs(&graph, &used_symbols(&graph, &constraints), &[]), [false, true]);
        assert!(constraints.is_empty());
    }

    #[test]
    fn sizes_that_meet_become_one() {
        let (a, b, c) = (vector::<f64>("a"), vector::<f64>("b"), input("c", DType::F64, [Some(3)]));
        let sum = &b * 2.0 + &a * 2.0;
        let line = sum.origin().line();
        let (graph, constraints) = intern(&[a.clone(), b.clone()], std::slice::from_ref(&sum), &[]).unwrap();
        let graph = unify(&graph, &constraints).unwrap();
        let size = a.dims()[0].clone();
        assert!(graph.ids().all(|id| graph.ty(id).shape.iter().all(|dim| *dim == size)));
        let [(Constraint::Equal(left, right), Some(origin))] = constraints.as_slice() else {
            panic!("{constraints:?}");
        };
        assert_eq!((left, right, origin.line()), (&b.dims()[0], &size, line));
        let (graph, constraints) = intern(&[a, b, c.clone()], &[sum + c], &[]).unwrap();
        let graph = unify(&graph, &constraints).unwrap();
        assert!(graph.ids().all(|id| graph.ty(id).shape.iter().all(|dim| *dim == Dim::from(3))));
        assert_eq!(constraints.len(), 2);
    }

    #[test]
    fn sizes_that_cannot_be_equal_are_found() {
        let (a, b, c) = (vector::<f64>("a"), input("b", DType::F64, [Some(3)]), input("c", DType::F64, [Some(4)]));
        let (outputs, line) = ([&a + &b, &a + &c], line!());
        let (graph, constraints) = intern(&[a, b, c], &outputs, &[]).unwrap();
        match unify(&graph, &constraints) {
            Err(Error::Build { location, .. }) => assert_eq!(location.line(), line),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn inputs_that_do_not_fit_are_named() {
        let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
        let sum = &x + &y;
        let text = argument_error(&[x.clone()], &[sum.clone()], &[]);
        assert!(text.contains("\"y\" (f64[?]) is used but is not among"), "{text}");
        let text = argument_error(&[x.clone(), x.clone()], &[sum.clone()], &[]);
        assert!(text.contains("\"x\" is listed twice"), "{text}");
        let text = argument_error(&[x.clone(), &y + 1.0], &[sum], &[]);
        assert!(text.contains("input 1 is not an input but the expression `y + 1.0`"), "{text}");
        let text = argument_error(&[x], &[y.len()], &[]);
        assert!(text.contains("is not among the inputs"), "{text}");
        let (bad, line) = (&y & 1.5, line!());
        let error = intern(&[y], &[bad.exp()], &[]).unwrap_err();
        assert!(matches!(error, Error::Build { location, .. } if location.line() == line));
    }

    #[test]
    fn givens_replace_values_and_sizes() {
        let (x, m, n) = (vector::<f64>("x"), matrix::<f64>("m"), scalar::<i64>("n"));
        let rows = m.sum(1);
        let output = x.exp().reshape((x.len(), 1)) + crate::arange(&n).sum(..);
        let givens = [(x.clone(), &rows * 2.0), (n.clone(), crate::constant(5_i64))];
        let (graph, constraints) = intern(&[m.clone()], &[output.clone()], &givens).unwrap();
        assert_eq!(graph.ty(graph.outputs[0]).shape, Shape::from_iter([m.dims()[0].clone(), Dim::ONE]));
        assert!(graph.ids().any(|id| graph.node(id) == &Node::Iota(Dim::from(5))));
        assert_eq!(used_inputs(&graph, &used_symbols(&graph, &constraints), &givens), [true]);
        // Within the replacement nothing is replaced, and expressions can be replaced too.
        let (graph, _) = intern(&[x.clone()], &[x.exp()], &[(x.clone(), x.sin())]).unwrap();
        assert_eq!(graph.len(), 3);
        let fixed = [(x.clone(), crate::constant([1.0, 2.0]))];
        let (graph, constraints) = intern(&[x.clone()], &[x.exp()], &fixed).unwrap();
        assert_eq!(used_inputs(&graph, &used_symbols(&graph, &constraints), &fixed), [true]);
        assert_eq!(graph.ty(graph.outputs[0]).shape.as_slice(), [Dim::from(2)]);
        let (graph, _) = intern(&[x.clone()], &[(&rows + 0.0) * 1.0], &[(rows, x.clone())]).unwrap();
        assert!(graph.ids().any(|id| graph.node(id) == &Node::Scalar(Scalar::F64(0.0))));
        let text = argument_error(&[m.clone()], &[output], &[(x, m)]);
        assert!(text.contains("dtype and rank must be equal"), "{text}");
        let text = argument_error(&[], &[crate::arange(&n)], &[(n.clone(), crate::constant([3_i64]).sum(..))]);
        assert!(text.contains("not a size"), "{text}");
    }

    #[test]
    fn a_size_uses_its_input() {
        let (x, n) = (vector::<f64>("x"), scalar::<i32>("n"));
        let (graph, constraints) = intern(&[x.clone(), n.clone()], &[x.len() + crate::arange(&n)], &[]).unwrap();
        assert_eq!(used_inputs(&graph, &used_symbols(&graph, &constraints), &[]), [true, true]);
        assert!(constraints.iter().all(|(constraint, _)| matches!(constraint, Constraint::NonNegative(_))));
    }

    #[test]
    fn handles_of_a_graph_intern_to_the_same_graph() {
        let (x, y) = (matrix::<f32>("x"), vector::<f32>("y"));
        let outputs = [x.softmax(-1).matmul(&y), x.slice(ndarray::s![1.., ..;-1]).max(0)];
        let (graph, constraints) = intern(&[x, y], &outputs, &[]).unwrap();
        let (inputs, outputs) = extern_graph(&graph);
        let (again, more) = intern(&inputs, &outputs, &[]).unwrap();
        assert_eq!((again.len(), again.outputs.len()), (graph.len(), 2));
        assert!(graph.ids().all(|id| again.ids().any(|other| again.node(other).name() == graph.node(id).name())));
        assert!(more.len() <= constraints.len());
    }
}
