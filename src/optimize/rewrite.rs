//! The driver: applies rules to a graph until none fires.
//!
//! A pass works in the arena it is given: replacements and the nodes rebuilt over them are appended, and a
//! table says which node stands for which. Operands are brought to their final form before a node is tried, a
//! replacement and the nodes it consists of are themselves rewritten, and a stack of ids takes the place of
//! recursion, so that time and stack do not depend on depth. Knows graphs and rows; must not know which rules
//! there are. Invariants: a node stands only for one of equal dtype and shape; a rule that would close a circle
//! is refused; the number of firings in a pass is bounded, whatever the rules are.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use crate::dtype::Scalar;
use crate::error::Result;
use crate::graph::{Graph, Node, NodeId, Type};
use crate::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};
use crate::optimize::loops::Merges;
use crate::optimize::pattern::{self, Term};
use crate::optimize::rule::{Apply, Rule};
use crate::optimize::trace::{Trace, describe};
use crate::shape::{Dim, Shape};

/// Rules by the names of the nodes at which they are tried.
#[derive(Debug, Clone, Default)]
pub(super) struct Index(HashMap<&'static str, Vec<Entry>, FxBuildHasher>);

#[derive(Debug, Clone)]
struct Entry {
    rule: &'static Rule,
    /// The parsed sides of a pattern row.
    sides: Option<(Term, Term)>,
}

impl Index {
    /// The index of some rules, tried in this order. A row that does not parse is left out; a test finds it.
    pub fn new(rules: impl IntoIterator<Item = &'static Rule>) -> Index {
        let mut index = Index::default();
        for rule in rules {
            match rule.apply {
                Apply::Code(heads, _) => {
                    for name in heads.iter().flat_map(|&head| expand(head)) {
                        index.0.entry(name).or_default().push(Entry { rule, sides: None });
                    }
                }
                Apply::Pattern | Apply::Guarded(_) => {
                    if let Some((Term::Op(op, operands), right)) = pattern::parse_sides(rule.left, rule.right) {
                        let sides = Some((Term::Op(op, operands), right));
                        index.0.entry(op.name()).or_default().push(Entry { rule, sides });
                    }
                }
            }
        }
        index
    }
}

/// The names of nodes that a word in a row stands for.
fn expand(head: &'static str) -> Vec<&'static str> {
    match head {
        "unary" => UnaryOp::ALL.iter().map(|op| op.row().name).collect(),
        "binary" => BinaryOp::ALL.iter().map(|op| op.row().name).collect(),
        "ternary" => TernaryOp::ALL.iter().map(|op| op.row().name).collect(),
        "reduce" => ReduceOp::ALL.iter().map(|op| op.name()).collect(),
        name => vec![name],
    }
}

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
    /// The loops that are merged, once it was asked.
    pub(super) merges: Option<Merges>,
    firings: usize,
    limit: usize,
}

/// Applies rules everywhere in a graph, and says whether any fired. Dead nodes are left behind.
///
/// # Errors
/// `Internal` if a rule broke the types of the graph, `Unsupported` beyond 2³² nodes.
pub(super) fn run(graph: Graph, pass: &'static str, index: &Index, trace: &mut Trace) -> Result<(Graph, bool)> {
    let live = graph.live();
    let uses = graph.use_counts_among(&live);
    let limit = 1000 + 16 * graph.len();
    let mut rewriter = Rewriter {
        index,
        pass,
        trace,
        forward: graph.ids().collect(),
        state: vec![State::Unseen; graph.len()],
        uses,
        current: NodeId(0),
        merges: None,
        firings: 0,
        limit,
        graph,
    };
    let mut stack = Vec::new();
    for id in rewriter.graph.ids().filter(|id| live[id.index()]) {
        rewriter.normalize(id, &mut stack)?;
    }
    let fired = rewriter.firings > 0;
    let outputs = rewriter.graph.outputs.iter().map(|&id| rewriter.resolve(id)).collect();
    let mut graph = rewriter.graph;
    graph.outputs = outputs;
    Ok((graph, fired))
}

/// The graph without nodes that no output needs; inputs come first and stay.
pub(super) fn remove_dead(graph: Graph) -> Graph {
    let live = graph.live();
    graph.retained(&live)
}

impl Rewriter<'_> {
    /// All of it, with nodes that were replaced and are dead.
    pub fn graph(&self) -> &Graph {
        &self.graph
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
        self.uses[target.index()] = self.uses[target.index()].max(self.uses[id.index()]);
        self.forward[id.index()] = target;
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
        let entries = index.0.get(self.graph.node(id).name())?;
        if self.firings >= self.limit {
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
            (Apply::Pattern | Apply::Guarded(_), None) => None,
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
