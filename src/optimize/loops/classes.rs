//! Which loops make the same of the same: a number for each value of a graph, equal where values surely are.
//!
//! Values get numbers by what they are made of, as nodes get ids in the arena, but for loops: these are of one *class* if
//! they start from the same states, make as many steps along the same rows, and their bodies make the same next states of
//! what they are given; what they emit does not matter. Bodies are compared by giving the parameters of loops of one *frame*
//! (all but the body) the same numbers, so each node is looked at once, whatever depends on whatever. Loops one of which
//! may need the other are of different frames. Changes nothing; must not know what is done with classes.

use rustc_hash::FxHashMap;

use crate::graph::{Graph, Loop, Node, NodeId, Type};
use crate::shape::Dim;

/// The class of each loop that an output needs.
pub(super) type Classes = FxHashMap<NodeId, u32>;

/// The classes of the loops among the live nodes of a graph.
pub(super) fn classes(graph: &Graph, live: &[bool]) -> Classes {
    let mut numbering = Numbering::new(graph, live);
    let mut stack = Vec::new();
    for id in graph.ids().filter(|id| live[id.index()]) {
        numbering.visit(id, &mut stack);
    }
    numbering.classes
}

/// Whether the sequence of a loop is the numbers of its steps.
fn is_counted_by_rows(graph: &Graph, node: &Loop<NodeId>) -> bool {
    matches!(node.sequences.as_slice(), [only] if matches!(graph.node(*only), Node::Iota(_)))
}

/// A value, over the numbers of values.
#[derive(PartialEq, Eq, Hash)]
enum Value {
    Node(Node<NodeId>),
    Given {
        frame: u32,
        place: Place,
    },
    Loop(u32),
    State {
        class: u32,
        index: u32,
    },
    Emitted {
        class: u32,
        value: NodeId,
    },
    Steps {
        class: u32,
    },
    /// Of a node that is part of itself, which no valid graph has.
    Circle(NodeId),
}

/// What a body is given.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    State(u32),
    Row(u32),
    /// The number of the step.
    Index,
}

/// What a loop is but for its body.
#[derive(PartialEq, Eq, Hash)]
struct Frame {
    guarded: bool,
    initial: Vec<NodeId>,
    steps: Steps,
    /// The types of states and rows inside.
    types: Vec<Type>,
    /// How many loops it needs, one behind the other, so that none of a frame needs another.
    depth: u32,
}

/// How long a loop runs, beside its guard.
#[derive(PartialEq, Eq, Hash)]
enum Steps {
    /// So many steps, counted or along their numbers.
    Fixed(Dim),
    /// One for each row.
    Rows(Vec<NodeId>),
    /// What a value says, or the guard alone.
    Counted(Option<NodeId>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unseen,
    Active,
    Done,
}

struct Numbering<'a> {
    graph: &'a Graph,
    depths: Vec<u32>,
    /// The loop and the place of each parameter.
    owners: FxHashMap<NodeId, (NodeId, Place)>,
    states: Vec<State>,
    /// The number of each node that is done.
    numbers: Vec<NodeId>,
    values: FxHashMap<Value, NodeId>,
    frames: FxHashMap<Frame, u32>,
    frame_of: FxHashMap<NodeId, u32>,
    /// The class of each frame with the numbers of the next states.
    bodies: FxHashMap<(u32, Vec<NodeId>), u32>,
    classes: Classes,
}

impl<'a> Numbering<'a> {
    fn new(graph: &'a Graph, live: &[bool]) -> Numbering<'a> {
        let mut owners = FxHashMap::default();
        for id in graph.ids().filter(|id| live[id.index()]) {
            if let Node::Loop(node) = graph.node(id) {
                owners.extend(places(graph, node).map(|(parameter, place)| (parameter, (id, place))));
            }
        }
        Numbering {
            graph,
            depths: depths(graph),
            owners,
            states: vec![State::Unseen; graph.len()],
            numbers: graph.ids().collect(),
            values: FxHashMap::default(),
            frames: FxHashMap::default(),
            frame_of: FxHashMap::default(),
            bodies: FxHashMap::default(),
            classes: Classes::default(),
        }
    }

    /// Numbers a node after all that its number is made of.
    fn visit(&mut self, root: NodeId, stack: &mut Vec<NodeId>) {
        stack.push(root);
        while let Some(&id) = stack.last() {
            match self.states[id.index()] {
                State::Unseen => {
                    self.states[id.index()] = State::Active;
                    let states = &self.states;
                    self.for_each_need(id, |need| {
                        if states[need.index()] == State::Unseen {
                            stack.push(need);
                        }
                    });
                }
                State::Active => {
                    let value = self.value(id);
                    let next = NodeId(self.values.len() as u32);
                    self.numbers[id.index()] = *self.values.entry(value).or_insert(next);
                    self.states[id.index()] = State::Done;
                }
                State::Done => {
                    stack.pop();
                }
            }
        }
    }

    /// The operands; of a parameter, what its loop takes from outside.
    fn for_each_need(&self, id: NodeId, mut visit: impl FnMut(NodeId)) {
        match self.owners.get(&id) {
            None => self.graph.node(id).for_each_operand(|operand| visit(*operand)),
            Some((owner, _)) if self.frame_of.contains_key(owner) => {}
            Some((owner, _)) => {
                if let Node::Loop(node) = self.graph.node(*owner) {
                    node.outside().for_each(|outside| visit(*outside));
                }
            }
        }
    }

    fn value(&mut self, id: NodeId) -> Value {
        let mut complete = true;
        self.for_each_need(id, |need| complete &= self.states[need.index()] == State::Done);
        if !complete {
            return Value::Circle(id);
        }
        if let Some(&(owner, place)) = self.owners.get(&id) {
            return Value::Given { frame: self.frame(owner), place };
        }
        let graph = self.graph;
        match graph.node(id) {
            Node::Loop(node) => Value::Loop(self.class(id, node)),
            &Node::Project(index, of) => self.result(index, of),
            node => Value::Node(node.map(|operand| self.number(*operand))),
        }
    }

    fn number(&self, id: NodeId) -> NodeId {
        self.numbers[id.index()]
    }

    fn numbers(&self, ids: &[NodeId]) -> Vec<NodeId> {
        ids.iter().map(|id| self.number(*id)).collect()
    }

    fn class(&mut self, id: NodeId, node: &Loop<NodeId>) -> u32 {
        let body = (self.frame(id), self.numbers(node.next()));
        let next = self.bodies.len() as u32;
        let class = *self.bodies.entry(body).or_insert(next);
        self.classes.insert(id, class);
        class
    }

    /// The number of the frame of a loop whose operands from outside have theirs.
    fn frame(&mut self, id: NodeId) -> u32 {
        if let Some(&frame) = self.frame_of.get(&id) {
            return frame;
        }
        let next = self.frames.len() as u32;
        let Node::Loop(node) = self.graph.node(id) else { return next };
        let rows = if is_counted_by_rows(self.graph, node) { &[] } else { node.row_parameters() };
        let types = node.state_parameters().iter().chain(rows).map(|inside| self.graph.ty(*inside).clone());
        let frame = Frame {
            guarded: node.guarded,
            initial: self.numbers(&node.initial),
            steps: self.steps(node),
            types: types.collect(),
            depth: self.depths[id.index()],
        };
        let frame = *self.frames.entry(frame).or_insert(next);
        self.frame_of.insert(id, frame);
        frame
    }

    fn steps(&self, node: &Loop<NodeId>) -> Steps {
        if let [only] = node.sequences.as_slice()
            && let Node::Iota(length) = self.graph.node(*only)
        {
            return Steps::Fixed(length.clone());
        }
        if !node.sequences.is_empty() {
            return Steps::Rows(self.numbers(&node.sequences));
        }
        let Some(count) = node.count else { return Steps::Counted(None) };
        let known = match self.graph.node(count) {
            Node::Size(size) => Some(size.clone()),
            Node::Scalar(value) => value.to_i64().map(Dim::from),
            _ => None,
        };
        known.map_or_else(|| Steps::Counted(Some(self.number(count))), Steps::Fixed)
    }

    fn result(&self, index: u32, of: NodeId) -> Value {
        let (Node::Loop(node), Some(&class)) = (self.graph.node(of), self.classes.get(&of)) else {
            return Value::Node(Node::Project(index, self.number(of)));
        };
        match node.body.results.get(index as usize) {
            _ if (index as usize) < node.initial.len() => Value::State { class, index },
            Some(&value) => Value::Emitted { class, value: self.number(value) },
            None => Value::Steps { class },
        }
    }
}

/// The parameters of a loop with their places; two may be the number of the step.
pub(super) fn places(graph: &Graph, node: &Loop<NodeId>) -> impl Iterator<Item = (NodeId, Place)> {
    let counted = is_counted_by_rows(graph, node);
    let states = (0..).map(Place::State).zip(node.state_parameters());
    let rows = (0..).map(move |row| if counted { Place::Index } else { Place::Row(row) }).zip(node.row_parameters());
    let index = node.index_parameter().map(|index| (Place::Index, index));
    states.chain(rows).chain(index).map(|(place, parameter)| (*parameter, place))
}

/// For each node, the most loops that follow each other on a way to it, itself included.
fn depths(graph: &Graph) -> Vec<u32> {
    let mut depths: Vec<u32> = Vec::with_capacity(graph.len());
    for id in graph.ids() {
        let mut depth = 0;
        graph.node(id).for_each_operand(|operand| depth = depth.max(depths[operand.index()]));
        depths.push(depth + u32::from(matches!(graph.node(id), Node::Loop(_))));
    }
    depths
}
