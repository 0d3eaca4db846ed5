//! Roots that share a kernel, and the order of the steps.
//!
//! The level of a root is one more than that of the deepest root it reads; roots of one level never depend on
//! each other, so those with one iteration space become one kernel with several results. A map that reads roots
//! of the level below only element by element, all from one kernel of its own space, joins that kernel (the
//! epilogue of a reduction, or a further result of a map). Operands are counted as the kernels will have them: equal
//! windows once, and no memory for what only the kernel itself reads.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::graph::{Graph, Node, NodeId};
use crate::loops::Target;
use crate::schedule::form::Form;
use crate::schedule::walk::{Cone, Load, Walk};
use crate::schedule::{Group, Root, Space, Step};

/// The steps in an order in which every read comes after its write.
pub fn steps(
    graph: &Graph,
    live: &[bool],
    forms: &[Form],
    materialized: &[bool],
    of_host: &[bool],
    target: &Target,
) -> Vec<Step> {
    let pieces = pieces(graph, live, forms, materialized);
    let mut grouping = Grouping {
        target,
        graph,
        of_host,
        readers: readers(graph, &pieces),
        levels: vec![0; graph.len()],
        group_of: vec![None; graph.len()],
        groups: Vec::new(),
        open: FxHashMap::default(),
        others: Vec::new(),
    };
    pieces.into_iter().for_each(|piece| grouping.place(piece));
    grouping.into_steps()
}

/// What has one level: a root, or steps that share no kernel. With what it touches.
struct Piece {
    work: Work,
    cone: Cone,
}

enum Work {
    Root(Root),
    Steps(NodeId, Vec<Step>),
}

/// Everything that is to be done, operands before users, the copies last.
fn pieces(graph: &Graph, live: &[bool], forms: &[Form], materialized: &[bool]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut add = |work: Work| {
        let mut walk = Walk::new(graph, forms, materialized);
        match &work {
            Work::Root(root) => walk.write(*root),
            Work::Steps(_, steps) => steps.iter().for_each(|step| walk.step(step)),
        }
        pieces.push(Piece { work, cone: walk.finish() });
    };
    for id in graph.ids().filter(|id| live[id.index()] && materialized[id.index()]) {
        add(match graph.node(id) {
            Node::Concat(_, parts) => {
                Work::Steps(id, (0..parts.len()).map(|part| Step::ConcatPart { node: id, part }).collect())
            }
            Node::MatMul(_) => Work::Steps(id, vec![Step::MatMul(id)]),
            Node::Custom(..) => Work::Steps(id, vec![Step::Custom(id)]),
            _ => Work::Root(Root { node: id, copy_to: None }),
        });
    }
    // Outputs that are windows, constants, or the same node again: each is copied.
    let mut seen = FxHashSet::default();
    for (output, &node) in graph.outputs.iter().enumerate() {
        if !materialized[node.index()] || !seen.insert(node) {
            add(Work::Root(Root { node, copy_to: Some(output) }));
        }
    }
    pieces
}

/// How many readers of a node are not in its own kernel; one more for each output that is made in its place.
fn readers(graph: &Graph, pieces: &[Piece]) -> Vec<u32> {
    let mut readers = vec![0; graph.len()];
    graph.outputs.iter().for_each(|output| readers[output.index()] += 1);
    for piece in pieces {
        piece.cone.sources().iter().for_each(|source| readers[source.index()] += 1);
    }
    readers
}

struct Member {
    level: u32,
    group: Group,
    statements: usize,
    /// The memory it reads.
    loads: FxHashSet<Load>,
    /// How many of its roots are written.
    stores: usize,
}

/// Roots with one key share kernels.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    space: Space,
    on_host: bool,
    level: u32,
}

struct Grouping<'a> {
    target: &'a Target,
    graph: &'a Graph,
    of_host: &'a [bool],
    readers: Vec<u32>,
    levels: Vec<u32>,
    group_of: Vec<Option<usize>>,
    groups: Vec<Member>,
    open: FxHashMap<Key, usize>,
    others: Vec<(u32, Step)>,
}

impl Grouping<'_> {
    fn place(&mut self, piece: Piece) {
        let level = piece.cone.sources().iter().map(|source| self.levels[source.index()]).max().unwrap_or(0);
        match piece.work {
            Work::Steps(node, steps) => {
                self.levels[node.index()] = level + 1;
                self.others.extend(steps.into_iter().map(|step| (level + 1, step)));
            }
            Work::Root(root) => self.place_root(root, &piece.cone, level),
        }
    }

    /// Puts a root that reads roots of up to some level into a kernel.
    fn place_root(&mut self, root: Root, cone: &Cone, level: u32) {
        let space = match root.copy_to {
            None => Space::of(self.graph, root.node),
            Some(_) => Space::map(&self.graph.ty(root.node).shape),
        };
        let key = Key { space, on_host: self.of_host[root.node.index()], level: level + 1 };
        let joined = self.joins(cone, level).filter(|&group| self.joinable(group, &key, cone));
        let group = joined.unwrap_or_else(|| self.open_group(key, cone));
        if root.copy_to.is_none() {
            self.levels[root.node.index()] = self.groups[group].level;
        }
        self.add(group, root, cone);
    }

    /// The group that makes everything of that level, if it is one and is read element by element.
    fn joins(&self, cone: &Cone, level: u32) -> Option<usize> {
        let mut deepest = cone.loads.iter().filter(|load| level > 0 && self.levels[load.source.index()] == level);
        let first = deepest.clone().next()?;
        let group = self.group_of[first.source.index()]?;
        let same = |load: &Load| self.group_of[load.source.index()] == Some(group) && load.is_elementwise(self.graph);
        deepest.all(same).then_some(group)
    }

    fn joinable(&self, group: usize, key: &Key, cone: &Cone) -> bool {
        let Group { space, on_host, .. } = &self.groups[group].group;
        key.space.reduced.is_none()
            && key.space.outer == space.outer
            && key.on_host == *on_host
            && self.fits(group, cone)
    }

    fn open_group(&mut self, key: Key, cone: &Cone) -> usize {
        let open = self.open.get(&key).copied().filter(|&group| self.fits(group, cone));
        open.unwrap_or_else(|| {
            let group = Group { space: key.space.clone(), on_host: key.on_host, roots: Vec::new() };
            let loads = FxHashSet::default();
            self.groups.push(Member { level: key.level, group, statements: 0, loads, stores: 0 });
            self.open.insert(key, self.groups.len() - 1);
            self.groups.len() - 1
        })
    }

    fn fits(&self, group: usize, cone: &Cone) -> bool {
        let member = &self.groups[group];
        let is_new = |load: &&Load| self.is_outside(group, load.source) && !member.loads.contains(*load);
        let loads = member.loads.len() + cone.loads.iter().filter(is_new).count();
        let stores = member.stores + 1 - self.last_reads(group, cone);
        member.statements + cone.statements <= self.target.max_statements / 2
            && loads + stores <= self.target.operands(member.group.space.reduced.is_some())
    }

    /// Whether a group finds a node in memory and does not make it.
    fn is_outside(&self, group: usize, node: NodeId) -> bool {
        self.group_of[node.index()] != Some(group)
    }

    /// How many roots of a group no other kernel reads once this one has joined.
    fn last_reads(&self, group: usize, cone: &Cone) -> usize {
        let is_last = |source: &&NodeId| !self.is_outside(group, **source) && self.readers[source.index()] == 1;
        cone.sources().iter().filter(is_last).count()
    }

    fn add(&mut self, group: usize, root: Root, cone: &Cone) {
        let last_reads = self.last_reads(group, cone);
        for source in cone.sources() {
            let inside = !self.is_outside(group, source);
            self.readers[source.index()] -= u32::from(inside);
        }
        let outside = |load: &&Load| self.is_outside(group, load.source);
        let loads: Vec<Load> = cone.loads.iter().filter(outside).cloned().collect();
        let member = &mut self.groups[group];
        member.statements += cone.statements;
        member.stores = member.stores + 1 - last_reads;
        member.loads.extend(loads);
        member.group.roots.push(root);
        if root.copy_to.is_none() {
            self.group_of[root.node.index()] = Some(group);
        }
    }

    fn into_steps(self) -> Vec<Step> {
        let kernels = self.groups.into_iter().map(|member| (member.level, Step::Kernel(member.group)));
        let mut steps: Vec<(u32, Step)> = kernels.chain(self.others).collect();
        steps.sort_by_key(|(level, _)| *level);
        steps.into_iter().map(|(_, step)| step).collect()
    }
}
