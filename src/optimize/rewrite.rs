//! The driver: applies rules to a graph until none fires.
//!
//! A pass works in the arena it is given: replacements and the nodes rebuilt over them are appended, and a
//! table says which node stands for which. Operands are brought to their final form before a node is tried, a
//! replacement and the nodes it consists of are themselves rewritten, and a stack of ids takes the place of
//! recursion, so that time and stack do not depend on depth. Knows graphs and rows; must not know which rules
//! there are. Invariants: a node stands only for one of equal dtype and shape; a rule that would close a circle
//! is refused; the number of firings in a pass is bounded, whatever the rules are.

use crate::dtype::Scalar;
use crate::error::Result;
use crate::graph::{Graph, Node, NodeId, Type};
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};
use crate::optimize::index::{Entry, Index};
use crate::optimize::pattern::{self, Term};
use crate::optimize::rule::{Apply, Replaced, Rule};
use crate::optimize::trace::{Trace, describe};
use crate::shape::{Dim, Shape};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unseen,
    Active,
    Done,
}

/// A graph in the course of a pass; what rules see of it, and build with.
pub struct Rewriter<'a> {
    graph: Graph,
    index: &'a Index,
    pass: &'static str,
    trace: &'a mut Trace,
    /// The node that stands for a node.
    forward: Vec<NodeId>,
    state: Vec<State>,
    uses: Vec<u32>,
    /// The node that a rule is being tried at; what the rule adds takes its origin.
    current: NodeId,
    /// Whether a rule added anything, maybe in vain.
    has_added: bool,
    firings: usize,
    limit: usize,
}

/// Applies rules everywhere in a graph, and says whether any fired. Dead nodes are left behind.
///
/// `uses` are what the graph says of its use counts, or empty where that is not known.
///
/// # Errors
/// `Internal` if a rule broke the types of the graph, `Unsupported` beyond 2³² nodes.
pub(super) fn run(
    graph: Graph,
    uses: &mut Vec<u32>,
    pass: &'static str,
    index: &Index,
    trace: &mut Trace,
) -> Result<(Graph, bool)> {
    let (graph, changed) = run_whole(graph, uses, pass, index, trace)?;
    if !index.has_nodes() {
        return Ok((graph, changed));
    }
    if uses.is_empty() {
        *uses = graph.use_counts();
    }
    let live: Vec<bool> = uses.iter().map(|&uses| uses > 0).collect();
    let mut rewriter = Rewriter::new(graph, std::mem::take(uses), pass, index, trace);
    let mut stack = Vec::new();
    for id in rewriter.graph.ids().filter(|id| live[id.index()]) {
        // Until something is replaced, operands are what they were, and come before their users.
        if rewriter.firings > 0 {
            rewriter.normalize(id, &mut stack)?;
        } else if let Some(target) = rewriter.try_alone(id) {
            stack.push(id);
            rewriter.normalize(target, &mut stack)?;
        }
    }
    let fired = changed || rewriter.firings > 0;
    let outputs = rewriter.graph.outputs.iter().map(|&id| rewriter.resolve(id)).collect();
    if !fired && !rewriter.has_added {
        *uses = rewriter.uses;
    }
    let mut graph = rewriter.graph;
    graph.outputs = outputs;
    Ok((graph, fired))
}

/// Applies the rules for whole graphs, each once.
fn run_whole(
    graph: Graph,
    uses: &mut Vec<u32>,
    pass: &'static str,
    index: &Index,
    trace: &mut Trace,
) -> Result<(Graph, bool)> {
    let (mut graph, mut changed) = (graph, false);
    for (rule, whole) in &index.whole {
        let Some(Replaced { graph: after, replaced }) = whole(&graph)? else { continue };
        for (old, new) in replaced {
            trace.record(rule, pass, graph.origin(old), || (describe(&graph, old), describe(&after, new)));
        }
        (graph, changed) = (after, true);
        uses.clear();
    }
    Ok((graph, changed))
}

/// The graph without nodes that no output needs; inputs come first and stay.
pub(super) fn remove_dead(graph: Graph, uses: &mut Vec<u32>) -> Graph {
    if uses.is_empty() {
        *uses = graph.use_counts();
    }
    let in_place = graph.inputs.iter().enumerate().all(|(place, input)| input.index() == place);
    if in_place && uses[graph.inputs.len()..].iter().all(|&uses| uses > 0) {
        return graph;
    }
    let live: Vec<bool> = std::mem::take(uses).into_iter().map(|uses| uses > 0).collect();
    graph.retained(&live)
}

impl<'a> Rewriter<'a> {
    fn new(graph: Graph, uses: Vec<u32>, pass: &'static str, index: &'a Index, trace: &'a mut Trace) -> Rewriter<'a> {
        Rewriter {
            index,
            pass,
            trace,
            forward: graph.ids().collect(),
            state: vec![State::Unseen; graph.len()],
            uses,
            current: NodeId(0),
            has_added: false,
            firings: 0,
            limit: 1000 + 16 * graph.len(),
            graph,
        }
    }

    /// The node.
    pub fn node(&self, id: NodeId) -> &Node<NodeId> {
        self.graph.node(id)
    }

    /// Its type.
    pub fn ty(&self, id: NodeId) -> &Type {
        self.graph.ty(id)
    }

    /// The id of a node, if it is in the graph.
    pub fn find(&self, node: &Node<NodeId>) -> Option<NodeId> {
        self.graph.find(node)
    }

    /// How many nodes and outputs use a node: an estimate for those that appeared in this pass.
    pub fn uses(&self, id: NodeId) -> u32 {
        self.uses[id.index()]
    }

    /// The value of a constant of rank 0, also under a broadcast.
    pub fn constant(&self, id: NodeId) -> Option<Scalar> {
        let id = if let Node::Broadcast(_, x) = self.node(id) { *x } else { id };
        self.scalar_value(id)
    }

    /// The value of a constant of rank 0.
    pub fn scalar_value(&self, id: NodeId) -> Option<Scalar> {
        if let Node::Scalar(value) = self.node(id) { Some(*value) } else { None }
    }

    /// Adds a node for the rule being applied; `None` if it is ill-typed, which refuses the rule.
    pub fn add(&mut self, node: Node<NodeId>) -> Option<NodeId> {
        let id = self.graph.add(node, self.graph.origin(self.current)).ok()?;
        self.extend_tables();
        self.has_added = true;
        self.uses[id.index()] += 1;
        Some(id)
    }

    /// Adds a constant of rank 0.
    pub fn scalar(&mut self, value: Scalar) -> Option<NodeId> {
        self.add(Node::Scalar(value))
    }

    /// Adds an op of one operand.
    pub fn unary(&mut self, op: UnaryOp, x: NodeId) -> Option<NodeId> {
        self.add(Node::Unary(op, x))
    }

    /// Adds an op of two operands.
    pub fn binary(&mut self, op: BinaryOp, a: NodeId, b: NodeId) -> Option<NodeId> {
        self.add(Node::Binary(op, [a, b]))
    }

    /// Adds an op of three operands.
    pub fn ternary(&mut self, op: TernaryOp, operands: [NodeId; 3]) -> Option<NodeId> {
        self.add(Node::Ternary(op, operands))
    }

    fn extend_tables(&mut self) {
        for id in self.forward.len()..self.graph.len() {
            self.forward.push(NodeId(id as u32));
            self.state.push(State::Unseen);
            self.uses.push(0);
        }
    }

    fn resolve(&self, mut id: NodeId) -> NodeId {
        while self.forward[id.index()] != id {
            id = self.forward[id.index()];
        }
        id
    }

    /// What stands for an operand; a node that is itself being rewritten stands for itself.
    fn settled(&self, id: NodeId) -> NodeId {
        if self.state[id.index()] == State::Done { self.resolve(id) } else { id }
    }

    /// Finds the node that stands for this one, and those for all that it is made of.
    fn normalize(&mut self, root: NodeId, stack: &mut Vec<NodeId>) -> Result<()> {
        stack.push(root);
        while let Some(&id) = stack.last() {
            match self.state[id.index()] {
                State::Done => {
                    stack.pop();
                }
                State::Unseen => {
                    self.state[id.index()] = State::Active;
                    let state = &self.state;
                    self.graph.node(id).for_each_operand(|operand| {
                        if state[operand.index()] == State::Unseen {
                            stack.push(*operand);
                        }
                    });
                }
                State::Active => match self.step(id)? {
                    Some(target) if self.state[target.index()] != State::Done => stack.push(target),
                    Some(_) | None => self.finish(id),
                },
            }
        }
        Ok(())
    }

    /// Marks a node as final and shortens its way to the node that stands for it.
    fn finish(&mut self, id: NodeId) {
        self.forward[id.index()] = self.resolve(id);
        self.state[id.index()] = State::Done;
    }

    /// What the first rule that fires makes of a node whose operands stand for themselves; if none does, so does it.
    fn try_alone(&mut self, id: NodeId) -> Option<NodeId> {
        self.state[id.index()] = State::Active;
        let Some(target) = self.fire(id) else {
            self.state[id.index()] = State::Done;
            return None;
        };
        self.replace(id, target);
        Some(target)
    }

    fn replace(&mut self, id: NodeId, target: NodeId) {
        self.uses[target.index()] = self.uses[target.index()].max(self.uses[id.index()]);
        self.forward[id.index()] = target;
    }

    /// One replacement of a node whose operands are final: by the same node over what stands for them, or by a rule.
    fn step(&mut self, id: NodeId) -> Result<Option<NodeId>> {
        if self.forward[id.index()] != id {
            return Ok(None);
        }
        let rebuilt = self.rebuild(id)?.filter(|target| self.state[target.index()] != State::Active);
        if let Some(target) = rebuilt {
            self.uses[target.index()] += self.uses[id.index()];
        }
        let Some(target) = rebuilt.or_else(|| self.fire(id)) else { return Ok(None) };
        self.replace(id, target);
        Ok(Some(target))
    }

    fn rebuild(&mut self, id: NodeId) -> Result<Option<NodeId>> {
        let mut changed = false;
        self.graph.node(id).for_each_operand(|&operand| changed |= self.settled(operand) != operand);
        if !changed {
            return Ok(None);
        }
        let node = self.graph.node(id).map(|&operand| self.settled(operand));
        let rebuilt = self.graph.add(node, self.graph.origin(id))?;
        self.extend_tables();
        Ok(Some(rebuilt))
    }

    /// The result of the first rule that fires.
    fn fire(&mut self, id: NodeId) -> Option<NodeId> {
        let index = self.index;
        let entries = index.at(self.graph.node(id));
        if entries.is_empty() || self.firings >= self.limit {
            return None;
        }
        self.current = id;
        let (rule, target) = entries.iter().find_map(|entry| Some((entry.rule, self.try_entry(entry, id)?)))?;
        self.firings += 1;
        let (graph, origin) = (&self.graph, self.graph.origin(id));
        self.trace.record(rule, self.pass, origin, || (describe(graph, id), describe(graph, target)));
        Some(target)
    }

    fn try_entry(&mut self, entry: &Entry, id: NodeId) -> Option<NodeId> {
        let result = match (entry.rule.apply, &entry.sides) {
            (Apply::Code(_, code), _) => code(self, id),
            (Apply::Pattern, Some(sides)) => self.try_pattern(entry.rule, sides, |_, _| true, id),
            (Apply::Guarded(guard), Some(sides)) => self.try_pattern(entry.rule, sides, guard, id),
            (Apply::Pattern | Apply::Guarded(_), None) | (Apply::Whole(_), _) => None,
        }?;
        let target = self.fit(result, id)?;
        (target != id && self.state[target.index()] != State::Active).then_some(target)
    }

    fn try_pattern(
        &mut self,
        rule: &Rule,
        (left, right): &(Term, Term),
        guard: fn(&Rewriter, &[NodeId]) -> bool,
        id: NodeId,
    ) -> Option<NodeId> {
        if !pattern::may_match(left, id, self) {
            return None;
        }
        let bindings = pattern::match_term(left, id, self)?;
        let variables = bindings.into_iter().collect::<Option<Vec<NodeId>>>()?;
        let holds = variables.first().is_none_or(|&first| rule.when.holds(self.ty(first).dtype));
        if !holds || !guard(self, &variables) {
            return None;
        }
        let dtype = self.ty(id).dtype;
        pattern::build(right, &variables, dtype, self)
    }

    /// A result broadcast to the type of the node it replaces; `None` if that needs more than static ones.
    fn fit(&mut self, result: NodeId, id: NodeId) -> Option<NodeId> {
        let (have, want) = (self.ty(result), self.ty(id));
        if have == want {
            return Some(result);
        }
        if have.dtype != want.dtype || !broadcasts_to(&have.shape, &want.shape) {
            return None;
        }
        let shape: Shape = want.shape.clone();
        self.add(Node::Broadcast(shape, result))
    }
}

/// Whether a shape broadcasts to another along missing and static-1 axes alone.
fn broadcasts_to(from: &[Dim], to: &[Dim]) -> bool {
    to.len()
        .checked_sub(from.len())
        .is_some_and(|offset| from.iter().zip(&to[offset..]).all(|(have, want)| have == want || have.is_one()))
}
