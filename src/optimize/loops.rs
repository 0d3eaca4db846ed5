//! Loops that make the same steps become one.
//!
//! Reverse mode runs a loop once more to keep histories of its states; where the value is asked for as well, that is the
//! loop of the value, and what this emits besides. Loops of one class (`classes.rs`) in the same bodies are merged, all of a
//! graph at once: those that start from the results of others, and those inside others, too. The graph is written anew, over
//! the parameters of one loop of each group, where equal nodes have one id.

mod classes;

use classes::{Classes, Place, classes, places};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::error::Result;
use crate::graph::regions::enclosing;
use crate::graph::{Graph, Loop, Node, NodeId, Region};
use crate::optimize::rule::{Replaced, Rule, When};

/// The rules, in the order in which they are tried.
pub(super) static RULES: &[Rule] = &[Rule::exact(
    "merge_loops",
    When::Any,
    ["(project i (loop …))", "(project j (loop …))"],
    "the same steps from the same states, made once; what both emit is emitted",
)
.on_graphs(
    "another loop has the same initial states, rows and number of steps, and makes the same states of them",
    merge,
)];

/// What stands for a node that has no place yet.
const NOWHERE: NodeId = NodeId(u32::MAX);

/// A loop of the graph before.
type Member<'a> = (NodeId, &'a Loop<NodeId>);

fn merge(graph: &Graph) -> Result<Option<Replaced>> {
    let live = graph.live();
    let loops: Vec<Member<'_>> = (graph.ids().filter(|id| live[id.index()]))
        .filter_map(|id| if let Node::Loop(node) = graph.node(id) { Some((id, &**node)) } else { None })
        .collect();
    if loops.len() < 2 {
        return Ok(None);
    }
    let classes = classes(graph, &live);
    let distinct = classes.values().max().map_or(0, |last| *last as usize + 1);
    if distinct == classes.len() {
        return Ok(None);
    }
    let mut merger = Merger::new(graph);
    for members in alike(graph, &loops, &classes)? {
        merger.add_group(members);
    }
    if merger.groups.is_empty() { Ok(None) } else { merger.run(&live).map(Some) }
}

/// A loop's class and the sets of the loops it is in. A loop that has no class is like no other.
type Likeness = (Result<u32, NodeId>, SmallVec<[usize; 2]>);

/// Loops by class and by the sets of the loops they are in.
fn alike<'a>(graph: &Graph, loops: &[Member<'a>], classes: &Classes) -> Result<Vec<Vec<Member<'a>>>> {
    let enclosing = enclosing(graph)?;
    let mut sets: Vec<Vec<Member<'a>>> = Vec::new();
    let mut set_of: FxHashMap<NodeId, usize> = FxHashMap::default();
    let mut known: FxHashMap<Likeness, usize> = FxHashMap::default();
    // A loop comes after those inside it.
    for &(id, node) in loops.iter().rev() {
        let mut outside: SmallVec<[usize; 2]> = enclosing[id.index()].iter().map(|outer| set_of[outer]).collect();
        outside.sort_unstable();
        let set = *known.entry((classes.get(&id).copied().ok_or(id), outside)).or_insert(sets.len());
        sets.resize_with(sets.len().max(set + 1), Vec::new);
        sets[set].push((id, node));
        set_of.insert(id, set);
    }
    Ok(sets)
}

/// Loops that become one.
struct Group<'a> {
    members: Vec<Member<'a>>,
    /// The one that the others become: one that has rows, if there is any, since those of numbers may be missing elsewhere.
    base: Member<'a>,
    /// The parameters of the merged body.
    parameters: Vec<NodeId>,
}

/// What a group became.
struct Merged {
    node: NodeId,
    /// The number of each value that is emitted.
    emitted: FxHashMap<NodeId, u32>,
    /// The number of the number of steps.
    steps: u32,
}

/// A graph that is written anew.
struct Merger<'a> {
    graph: &'a Graph,
    groups: Vec<Group<'a>>,
    group_of: FxHashMap<NodeId, usize>,
    /// The parameter that stands for one of a member of a group.
    stands_for: FxHashMap<NodeId, NodeId>,
    merged: Vec<Option<Merged>>,
    result: Graph,
    /// Where each node is in it.
    places: Vec<NodeId>,
}

impl<'a> Merger<'a> {
    fn new(graph: &'a Graph) -> Merger<'a> {
        Merger {
            graph,
            groups: Vec::new(),
            group_of: FxHashMap::default(),
            stands_for: FxHashMap::default(),
            merged: Vec::new(),
            result: Graph::new(),
            places: vec![NOWHERE; graph.len()],
        }
    }

    /// Adds loops that become one, if they are more than one.
    fn add_group(&mut self, members: Vec<Member<'a>>) {
        let Some(&base) = members.iter().max_by_key(|(_, node)| node.sequences.len()) else { return };
        if members.len() < 2 {
            return;
        }
        let mut parameters: Vec<NodeId> = Vec::new();
        let mut of_place: FxHashMap<Place, NodeId> = FxHashMap::default();
        for (_, node) in [base].iter().chain(&members) {
            for (parameter, place) in places(self.graph, node) {
                let known = *of_place.entry(place).or_insert_with(|| {
                    parameters.push(parameter);
                    parameter
                });
                self.stands_for.insert(parameter, known);
            }
        }
        self.group_of.extend(members.iter().map(|(id, _)| (*id, self.groups.len())));
        self.groups.push(Group { members, base, parameters });
        self.merged.push(None);
    }

    fn run(mut self, live: &[bool]) -> Result<Replaced> {
        let graph = self.graph;
        let mut stack = Vec::new();
        let ids = graph.ids().filter(|id| live[id.index()]);
        for id in graph.inputs.iter().copied().chain(ids) {
            self.visit(id, &mut stack)?;
        }
        self.result.inputs = graph.inputs.iter().map(|id| self.place(*id)).collect();
        self.result.outputs = graph.outputs.iter().map(|id| self.place(*id)).collect();
        let members = self.groups.iter().flat_map(|group| group.members.iter().map(|(id, _)| (*id, group.base.0)));
        let gone = members.filter(|(id, base)| id != base);
        let replaced = gone.map(|(id, _)| (id, self.place(id))).collect();
        Ok(Replaced { graph: self.result, replaced })
    }

    fn place(&self, id: NodeId) -> NodeId {
        self.places[id.index()]
    }

    /// Writes a node after all that it is made of.
    fn visit(&mut self, root: NodeId, stack: &mut Vec<NodeId>) -> Result<()> {
        stack.push(root);
        while let Some(&id) = stack.last() {
            let before = stack.len();
            if self.place(id) == NOWHERE {
                self.for_each_need(id, |need| {
                    if self.place(need) == NOWHERE {
                        stack.push(need);
                    }
                });
                if stack.len() > before {
                    continue;
                }
                self.places[id.index()] = self.write(id)?;
            }
            stack.pop();
        }
        Ok(())
    }

    fn for_each_need(&self, id: NodeId, mut visit: impl FnMut(NodeId)) {
        match self.group_of.get(&id) {
            None => self.graph.node(id).for_each_operand(|operand| visit(*operand)),
            Some(&group) if self.merged[group].is_none() => {
                let members = self.groups[group].members.iter();
                members.flat_map(|(_, node)| node.references()).for_each(|operand| visit(*operand));
            }
            Some(_) => {}
        }
    }

    fn write(&mut self, id: NodeId) -> Result<NodeId> {
        if let Some(&group) = self.group_of.get(&id) {
            return self.write_group(group);
        }
        let (graph, origin) = (self.graph, self.graph.origin(id));
        let node = match graph.node(id) {
            Node::Parameter(..) => graph.node(self.stands_for.get(&id).copied().unwrap_or(id)).clone(),
            &Node::Project(index, of) => Node::Project(self.result_number(index, of), self.place(of)),
            node => node.map(|operand| self.place(*operand)),
        };
        self.result.add(node, origin)
    }

    /// The one loop for all members of a group.
    fn write_group(&mut self, group: usize) -> Result<NodeId> {
        if let Some(merged) = &self.merged[group] {
            return Ok(merged.node);
        }
        let Group { base: (base, first), members, parameters } = &self.groups[group];
        let outside = first.map(|id| self.place(*id));
        let mut results = outside.next().to_vec();
        let mut emitted: FxHashMap<NodeId, u32> = FxHashMap::default();
        for value in members.iter().flat_map(|(_, node)| node.emitted()).map(|value| self.place(*value)) {
            emitted.entry(value).or_insert_with(|| {
                results.push(value);
                results.len() as u32 - 1
            });
        }
        let steps = results.len() as u32;
        let body = Region { parameters: parameters.iter().map(|id| self.place(*id)).collect(), results };
        let node = Node::Loop(Box::new(Loop { body, ..outside }));
        let node = self.result.add(node, self.graph.origin(*base))?;
        self.merged[group] = Some(Merged { node, emitted, steps });
        Ok(node)
    }

    /// The number of a result of a loop in what the loop became.
    fn result_number(&self, index: u32, of: NodeId) -> u32 {
        let merged = self.group_of.get(&of).and_then(|group| self.merged[*group].as_ref());
        let (Some(merged), Node::Loop(node)) = (merged, self.graph.node(of)) else { return index };
        match node.body.results.get(index as usize) {
            _ if (index as usize) < node.initial.len() => index,
            Some(value) => merged.emitted[&self.place(*value)],
            None => merged.steps,
        }
    }
}
