//! Loops that make the same steps become one.
//!
//! Reverse mode runs a loop once more to keep histories of its states; where the value is asked for as well, that is the
//! loop of the value, and what this emits besides. Two loops are merged if they start from the same states, make as many
//! steps along the same rows, and make the same of the states: their bodies are written over new parameters, where equal
//! nodes have one id. Loops whose bodies hold loops are left alone.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::dtype::DType;
use crate::graph::regions::{Enclosing, enclosing};
use crate::graph::{Graph, Loop, Node, NodeId, Region, Type};
use crate::optimize::rewrite::Rewriter;
use crate::optimize::rule::{Rule, When};
use crate::shape::{Dim, InputId};

/// The rules, in the order in which they are tried.
pub(super) static RULES: &[Rule] = &[Rule::exact(
    "merge_loops",
    When::Any,
    ["(project i (loop …))", "(project j (loop …))"],
    "the same steps from the same states, made once; what both emit is emitted",
)
.by(
    "another loop has the same initial states, rows and number of steps, and makes the same states of them; no loops inside",
    &["project"],
    merge,
)];

/// What each loop that is merged becomes.
pub(super) type Merges = FxHashMap<NodeId, Merged>;

/// A place in a merged loop.
#[derive(Debug, Clone)]
pub(super) struct Merged {
    into: NodeId,
    /// The number there of each value that the loop emits.
    emitted: SmallVec<[u32; 4]>,
    /// The number there of the number of steps.
    steps: u32,
}

fn merge(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let &Node::Project(index, of) = rewriter.node(id) else { return None };
    if rewriter.merges.is_none() {
        rewriter.merges = Some(merges(rewriter)?);
    }
    let merged = rewriter.merges.as_ref()?.get(&of)?.clone();
    let Node::Loop(node) = rewriter.node(of) else { return None };
    let (states, results) = (node.initial.len(), node.body.results.len());
    let place = match index as usize {
        state if state < states => index,
        steps if steps == results => merged.steps,
        emitted => *merged.emitted.get(emitted - states)?,
    };
    rewriter.add(Node::Project(place, merged.into))
}

/// What loops must have in common.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    guarded: bool,
    initial: Vec<NodeId>,
    steps: Steps,
    /// The loops in whose bodies it lies.
    enclosing: Enclosing,
    /// How many loops it needs, one behind the other, so that none of them needs another.
    depth: u32,
}

/// How long a loop runs, beside its guard.
#[derive(PartialEq, Eq, Hash)]
enum Steps {
    /// So many steps, counted or along their numbers.
    Fixed(Dim),
    /// One for each row.
    Rows(Vec<NodeId>),
    /// What a node says, or the guard alone.
    Counted(Option<NodeId>),
}

/// The loops of the graph that are merged. Asked before anything is rewritten.
fn merges(rewriter: &mut Rewriter) -> Option<Merges> {
    let graph = rewriter.graph();
    let live = graph.live();
    let is_loop = |id: &NodeId| live[id.index()] && matches!(graph.node(*id), Node::Loop(_));
    let loops: Vec<NodeId> = graph.ids().filter(is_loop).collect();
    let mut merges = Merges::default();
    if loops.len() < 2 {
        return Some(merges);
    }
    let (enclosing, depths) = (enclosing(graph).ok()?, depths(graph));
    let mut numbers: FxHashMap<Key, usize> = FxHashMap::default();
    let mut alike: Vec<Vec<NodeId>> = Vec::new();
    for id in loops {
        let Node::Loop(node) = graph.node(id) else { continue };
        let (guarded, initial) = (node.guarded, node.initial.clone());
        let (enclosing, depth) = (enclosing[id.index()].clone(), depths[id.index()]);
        let key = Key { guarded, initial, steps: steps(rewriter, node), enclosing, depth };
        let number = *numbers.entry(key).or_insert(alike.len());
        alike.resize_with(alike.len().max(number + 1), Vec::new);
        alike[number].push(id);
    }
    for members in alike.iter().filter(|members| members.len() > 1) {
        // What cannot be merged stays as it is.
        let _ = merge_all(rewriter, members, &mut merges);
    }
    Some(merges)
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

fn steps(rewriter: &Rewriter, node: &Loop<NodeId>) -> Steps {
    if let [only] = node.sequences.as_slice()
        && let Node::Iota(length) = rewriter.node(*only)
    {
        return Steps::Fixed(length.clone());
    }
    if !node.sequences.is_empty() {
        return Steps::Rows(node.sequences.clone());
    }
    let Some(count) = node.count else { return Steps::Counted(None) };
    if let Node::Size(size) = rewriter.node(count) {
        return Steps::Fixed(size.clone());
    }
    let known = rewriter.scalar_value(count).and_then(|value| value.to_i64());
    known.map_or(Steps::Counted(Some(count)), |count| Steps::Fixed(Dim::from(count)))
}

/// A loop with its results over the common parameters.
struct Member {
    id: NodeId,
    node: Loop<NodeId>,
    results: Vec<NodeId>,
}

/// Merges those of some loops that make the same states, if there are two.
fn merge_all(rewriter: &mut Rewriter, ids: &[NodeId], merges: &mut Merges) -> Option<()> {
    let nodes = ids.iter().filter_map(|&id| {
        let Node::Loop(node) = rewriter.node(id) else { return None };
        Some((id, (**node).clone()))
    });
    let nodes: Vec<(NodeId, Loop<NodeId>)> = nodes.collect();
    // One that has rows, if there is any: those of numbers may be missing elsewhere.
    let first = nodes.iter().map(|(_, node)| node).max_by_key(|node| node.sequences.len())?.clone();
    let index = nodes.iter().any(|(_, node)| node.index_parameter().is_some());
    let types = first.state_parameters().iter().chain(first.row_parameters()).map(|&id| rewriter.ty(id).clone());
    let types: Vec<Type> = types.chain(index.then(|| Type::scalar(DType::I64))).collect();
    let fresh = types.into_iter().map(|ty| rewriter.add(Node::Parameter(InputId::new(), ty)));
    let parameters = fresh.collect::<Option<Vec<NodeId>>>()?;
    let members: Vec<Member> = (nodes.into_iter())
        .filter_map(|(id, node)| {
            let results = results_over(rewriter, &node, &parameters, &first)?;
            Some(Member { id, node, results })
        })
        .collect();
    let states = first.initial.len();
    let same = |a: &Member, b: &Member| a.results[..states] == b.results[..states];
    let base = members.iter().enumerate().find(|(at, one)| members[at + 1..].iter().any(|other| same(one, other)))?.1;
    let merged: Vec<&Member> = members.iter().filter(|member| same(base, member)).collect();
    let mut results = base.results[..states].to_vec();
    for value in merged.iter().flat_map(|member| &member.results[states..]) {
        if !results[states..].contains(value) {
            results.push(*value);
        }
    }
    let count = if first.sequences.is_empty() { first.count } else { None };
    let body = Region { parameters, results: results.clone() };
    let (guarded, initial, sequences) = (first.guarded, first.initial, first.sequences);
    let into = rewriter.add(Node::Loop(Box::new(Loop { count, guarded, initial, sequences, body })))?;
    for member in merged {
        let place = |value: &NodeId| results[states..].iter().position(|own| own == value);
        let emitted = member.results[states..].iter().filter_map(place).map(|place| (states + place) as u32);
        let place = Merged { into, emitted: emitted.collect(), steps: results.len() as u32 };
        debug_assert_eq!(place.emitted.len(), member.node.emitted().len());
        merges.insert(member.id, place);
    }
    Some(())
}

/// The results of a body over other parameters; `None` if these do not fit, or if there are loops inside.
fn results_over(
    rewriter: &mut Rewriter,
    node: &Loop<NodeId>,
    parameters: &[NodeId],
    first: &Loop<NodeId>,
) -> Option<Vec<NodeId>> {
    let (states, rows) = (node.initial.len(), first.sequences.len());
    let mut own: FxHashMap<NodeId, NodeId> = FxHashMap::default();
    own.extend(node.state_parameters().iter().copied().zip(parameters.iter().copied()));
    own.extend(node.row_parameters().iter().copied().zip(parameters[states..].iter().copied()));
    own.extend(node.index_parameter().copied().zip(parameters.get(states + rows).copied()));
    if own.iter().any(|(old, new)| rewriter.ty(*old) != rewriter.ty(*new)) {
        return None;
    }
    let lowest = own.keys().min().copied()?;
    for &result in &node.body.results {
        rewrite_over(rewriter, lowest, result, &mut own)?;
    }
    Some(node.body.results.iter().map(|result| own.get(result).copied().unwrap_or(*result)).collect())
}

/// Makes what a node is made of anew, down to the nodes that are known. Those below the lowest parameter depend on none.
fn rewrite_over(
    rewriter: &mut Rewriter,
    lowest: NodeId,
    root: NodeId,
    own: &mut FxHashMap<NodeId, NodeId>,
) -> Option<()> {
    let mut stack = vec![root];
    while let Some(&id) = stack.last() {
        if id < lowest || own.contains_key(&id) {
            stack.pop();
            continue;
        }
        if let Node::Loop(_) = rewriter.node(id) {
            return None;
        }
        let before = stack.len();
        let mut is_new = false;
        rewriter.node(id).for_each_operand(|operand| {
            is_new |= own.get(operand).is_some_and(|new| new != operand);
            if *operand >= lowest && !own.contains_key(operand) {
                stack.push(*operand);
            }
        });
        if stack.len() == before {
            stack.pop();
            let node = rewriter.node(id).map(|operand| own.get(operand).copied().unwrap_or(*operand));
            let new = if is_new { rewriter.add(node)? } else { id };
            own.insert(id, new);
        }
    }
    Some(())
}
