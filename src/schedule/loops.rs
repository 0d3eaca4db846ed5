//! Loops: what they read, and the graphs of their bodies.
//!
//! A body is a graph of its own, whose inputs are what the body takes from outside, the states, the rows and the number
//! of the step, and whose outputs are the results of a step. It is scheduled like any other. The sizes in it are those
//! of the graph around it. What costs nothing to make, constants and sizes, is made inside.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::dtype::Scalar;
use crate::error::Result;
use crate::graph::regions::{Enclosing, enclosing};
use crate::graph::{Graph, Input, Loop, Node, NodeId, Origin};
use crate::loops::Target;
use crate::ops::TernaryOp;
use crate::schedule::{Schedule, Step, nest, schedule};
use crate::shape::InputId;

/// A loop whose steps are made one after the other, each by the program of its body.
#[derive(Debug, Clone)]
pub struct LoopStep {
    /// The loop.
    pub node: NodeId,
    /// For each result of the loop, its projection, if anybody needs it.
    pub results: Vec<Option<NodeId>>,
    /// The nodes outside that the body reads: its first inputs.
    pub captured: Vec<NodeId>,
    /// The states that have memory of their own: not those that stay what they are and that nobody asks for after the
    /// last step, which the body reads where they come from.
    pub states: Vec<usize>,
    /// Whether a step changes nothing where the guard does not hold.
    pub masked: bool,
    /// The body.
    pub body: Graph,
    /// How a step is made.
    pub schedule: Schedule,
}

/// A loop in a kernel: elements in parallel outside, steps inside, states in registers.
#[derive(Debug, Clone)]
pub struct NestStep {
    /// The loop.
    pub node: NodeId,
    /// For each result of the loop, its projection, if anybody needs it.
    pub results: Vec<Option<NodeId>>,
    /// The nodes outside that the body reads.
    pub captured: Vec<NodeId>,
    /// The nodes of the body, operands before users.
    pub members: Vec<NodeId>,
}

/// The loops of a graph that lie in no other loop, and what lies in them.
pub struct Loops {
    steps: FxHashMap<NodeId, Step>,
    inside: Vec<bool>,
}

impl Loops {
    /// # Errors
    /// As `schedule`, for bodies.
    pub fn new(graph: &Graph, live: &[bool], target: &Target) -> Result<Loops> {
        if !graph.ids().any(|id| live[id.index()] && matches!(graph.node(id), Node::Loop(_))) {
            return Ok(Loops { steps: FxHashMap::default(), inside: vec![false; graph.len()] });
        }
        let enclosing = enclosing(graph)?;
        let inside: Vec<bool> = enclosing.iter().map(|regions| !regions.is_empty()).collect();
        let results = projections(graph, live);
        let mut steps = FxHashMap::default();
        for id in graph.ids().filter(|id| live[id.index()] && !inside[id.index()]) {
            let Node::Loop(node) = graph.node(id) else { continue };
            let number = node.body.results.len() as u32 + 1;
            let results: Vec<Option<NodeId>> = (0..number).map(|result| results.get(&(id, result)).copied()).collect();
            let outline = Outline::new(graph, node, &enclosing);
            if let Some((members, captured)) = nest::members(graph, node, &results, &outline, target) {
                steps.insert(id, Step::Nest(Box::new(NestStep { node: id, results, captured, members })));
                continue;
            }
            // A device had better go on than be asked after every step; a branch that is not taken is not computed.
            let goes_on = target.shaders.is_some() && !node.is_branch(graph);
            let masked = node.guarded && (graph.ty(node.initial[0]).rank() > 0 || goes_on);
            let states = carried(node, &results);
            let (body, captured) = outline.body(node, masked, &states)?;
            let schedule = schedule(&body, target)?;
            let step = LoopStep { node: id, results, captured, states, masked, body, schedule };
            steps.insert(id, Step::Loop(Box::new(step)));
        }
        Ok(Loops { steps, inside })
    }

    /// The step that makes the results of a loop.
    pub fn step(&self, id: NodeId) -> Option<&Step> {
        self.steps.get(&id)
    }

    /// Whether a node is evaluated in the steps of a loop.
    pub fn is_inside(&self, id: NodeId) -> bool {
        self.inside[id.index()]
    }
}

impl LoopStep {
    /// What the loop finds in memory: a count that is no size, first states, sequences, and what the body takes from
    /// outside.
    pub fn reads<'a>(&'a self, graph: &'a Graph) -> impl Iterator<Item = NodeId> + 'a {
        let outside = match graph.node(self.node) {
            Node::Loop(node) => node.outside().copied().collect(),
            _ => Vec::new(),
        };
        let is_known_count = |id: &NodeId| match graph.node(self.node) {
            Node::Loop(node) => node.count == Some(*id) && matches!(graph.node(*id), Node::Size(_) | Node::Scalar(_)),
            _ => false,
        };
        let known = outside.first().copied().filter(is_known_count);
        outside.into_iter().skip(usize::from(known.is_some())).chain(self.captured.iter().copied())
    }
}

/// The states of a loop that change, or that somebody asks for.
fn carried(node: &Loop<NodeId>, results: &[Option<NodeId>]) -> Vec<usize> {
    let is_guard = |state: usize| node.guarded && state == 0;
    let changes = |state: usize| node.next()[state] != node.body.parameters[state];
    (0..node.initial.len()).filter(|&state| is_guard(state) || changes(state) || results[state].is_some()).collect()
}

/// The projections of loops.
fn projections(graph: &Graph, live: &[bool]) -> FxHashMap<(NodeId, u32), NodeId> {
    let projection = |id: NodeId| match graph.node(id) {
        Node::Project(index, of) => Some(((*of, *index), id)),
        _ => None,
    };
    graph.ids().filter(|id| live[id.index()]).filter_map(projection).collect()
}

/// A body on its way into a graph of its own.
pub(super) struct Outline<'a> {
    graph: &'a Graph,
    /// The nodes of the body, operands before users.
    pub members: Vec<NodeId>,
    made: FxHashMap<NodeId, NodeId>,
    body: Graph,
}

impl<'a> Outline<'a> {
    /// Everything inside regions that leads to the results: what inner loops hold depends on their parameters alone.
    fn new(graph: &'a Graph, node: &Loop<NodeId>, enclosing: &[Enclosing]) -> Outline<'a> {
        let mut members = FxHashSet::default();
        let mut pending = node.body.results.clone();
        while let Some(id) = pending.pop() {
            if !enclosing[id.index()].is_empty() && members.insert(id) {
                graph.node(id).for_each_operand(|operand| pending.push(*operand));
            }
        }
        let mut members: Vec<NodeId> = members.into_iter().collect();
        members.sort_unstable();
        Outline { graph, members, made: FxHashMap::default(), body: Graph::new() }
    }

    /// The graph, and the nodes outside that its first inputs stand for.
    fn body(mut self, node: &Loop<NodeId>, masked: bool, states: &[usize]) -> Result<(Graph, Vec<NodeId>)> {
        let is_carried = |number: &usize| *number >= node.initial.len() || states.contains(number);
        let same: FxHashMap<NodeId, NodeId> = (0..node.initial.len())
            .filter(|state| !is_carried(state))
            .map(|state| (node.body.parameters[state], node.initial[state]))
            .collect();
        let captured = self.captured(node, same.values().copied());
        for (number, &outer) in captured.iter().enumerate() {
            self.input(outer, format!("captured_{number}"))?;
        }
        for (number, &parameter) in node.body.parameters.iter().enumerate().filter(|(number, _)| is_carried(number)) {
            self.input(parameter, parameter_name(node, number))?;
        }
        for id in std::mem::take(&mut self.members) {
            if let Some(initial) = same.get(&id) {
                self.made.insert(id, self.made[initial]);
            } else if !self.made.contains_key(&id) {
                self.copy(id)?;
            }
        }
        for (number, result) in node.body.results.iter().enumerate().filter(|(number, _)| is_carried(number)) {
            let result = self.made[result];
            let output = if masked { self.guarded(node, number, result)? } else { result };
            self.body.outputs.push(output);
        }
        Ok((self.body, captured))
    }

    /// What the body takes from outside.
    pub fn outside(&self, node: &Loop<NodeId>) -> Vec<NodeId> {
        let members: FxHashSet<NodeId> = self.members.iter().copied().collect();
        let mut outside: Vec<NodeId> = Vec::new();
        for &member in &self.members {
            // The parameters and the results of an inner loop are members, or come from outside as well.
            outside.extend(self.graph.node(member).operands().into_iter().filter(|x| !members.contains(x)));
        }
        outside.extend(node.body.results.iter().filter(|x| !members.contains(x)));
        outside.sort_unstable();
        outside.dedup();
        outside
    }

    /// What the body takes from outside and cannot make itself; what it can is made.
    fn captured(&mut self, node: &Loop<NodeId>, more: impl Iterator<Item = NodeId>) -> Vec<NodeId> {
        let mut outside = self.outside(node);
        outside.extend(more);
        outside.sort_unstable();
        outside.dedup();
        let (remade, captured): (Vec<NodeId>, Vec<NodeId>) = outside.into_iter().partition(|&x| self.is_free(x));
        self.members = remade.into_iter().chain(std::mem::take(&mut self.members)).collect();
        captured
    }

    /// Whether a node costs nothing to make.
    fn is_free(&self, id: NodeId) -> bool {
        match self.graph.node(id) {
            Node::Scalar(_) | Node::Dense(_) | Node::Iota(_) | Node::Size(_) => true,
            Node::Input(_)
            | Node::Parameter(..)
            | Node::Unary(..)
            | Node::Binary(..)
            | Node::Ternary(..)
            | Node::Cast(..)
            | Node::Reduce(..)
            | Node::Permute(..)
            | Node::Reshape(..)
            | Node::Broadcast(..)
            | Node::Slice(..)
            | Node::Concat(..)
            | Node::MatMul(_)
            | Node::Loop(_)
            | Node::Project(..)
            | Node::Custom(..)
            | Node::Barrier(_) => false,
        }
    }

    fn input(&mut self, outer: NodeId, name: String) -> Result<()> {
        let input = Input { id: InputId::new(), name, ty: self.graph.ty(outer).clone(), kept: None };
        let id = self.body.add(Node::Input(Arc::new(input)), self.graph.origin(outer))?;
        self.body.inputs.push(id);
        self.made.insert(outer, id);
        Ok(())
    }

    fn copy(&mut self, id: NodeId) -> Result<()> {
        let node = self.graph.node(id).map(|operand| self.made[operand]);
        let made = self.body.add(node, self.graph.origin(id))?;
        self.made.insert(id, made);
        Ok(())
    }

    /// A result where the guard holds, what was there before where it does not.
    fn guarded(&mut self, node: &Loop<NodeId>, number: usize, result: NodeId) -> Result<NodeId> {
        let origin: Origin = self.graph.origin(node.body.results[number]);
        let before = match node.state_parameters().get(number) {
            Some(state) => self.made[state],
            None => {
                let zero = Scalar::from_bits(self.body.ty(result).dtype, 0);
                self.body.add(Node::Scalar(zero), origin)?
            }
        };
        let guard = self.made[&node.body.parameters[0]];
        self.body.add(Node::Ternary(TernaryOp::Select, [guard, result, before]), origin)
    }
}

fn parameter_name(node: &Loop<NodeId>, number: usize) -> String {
    let (states, rows) = (node.initial.len(), node.sequences.len());
    if number < states {
        format!("state_{number}")
    } else if number < states + rows {
        format!("row_{}", number - states)
    } else {
        "step".to_string()
    }
}
