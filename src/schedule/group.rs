//! Roots that share a kernel, and the order of the steps.
//!
//! The level of a root is one more than that of the deepest root it reads; roots of one level never depend on
//! each other, so those with one iteration space become one kernel with several results. A map that reads roots
//! of the level below only element by element, all from one kernel of its own space, joins that kernel (the
//! epilogue of a reduction, or a further result of a map).

use rustc_hash::FxHashMap;

use crate::graph::{Graph, Node, NodeId};
use crate::loops::{Axis, Target};
use crate::schedule::form::{Form, View};
use crate::schedule::walk::{Context, Walk, outer_context};
use crate::schedule::{Group, Root, Space, Step};

/// The steps in an order in which every read comes after its write.
pub fn steps(graph: &Graph, live: &[bool], forms: &[Form], materialized: &[bool], target: &Target) -> Vec<Step> {
    let mut grouping = Grouping {
        graph,
        forms,
        materialized,
        target,
        levels: vec![0; graph.len()],
        group_of: vec![None; graph.len()],
        groups: Vec::new(),
        open: FxHashMap::default(),
        others: Vec::new(),
    };
    for id in graph.ids().filter(|id| live[id.index()] && materialized[id.index()]) {
        grouping.place(id);
    }
    grouping.place_copies();
    grouping.into_steps()
}

struct Member {
    level: u32,
    group: Group,
    statements: usize,
    operands: usize,
}

struct Grouping<'a> {
    graph: &'a Graph,
    forms: &'a [Form],
    materialized: &'a [bool],
    target: &'a Target,
    levels: Vec<u32>,
    group_of: Vec<Option<usize>>,
    groups: Vec<Member>,
    open: FxHashMap<(Space, u32), usize>,
    others: Vec<(u32, Step)>,
}

/// What a root needs: its size, and the memory it reads.
struct Needs {
    statements: usize,
    operands: usize,
    level: u32,
    /// The group that makes everything of that level, if it is one and is read element by element.
    joins: Option<usize>,
}

impl Grouping<'_> {
    fn place(&mut self, id: NodeId) {
        match self.graph.node(id) {
            Node::Concat(_, parts) => {
                let level = 1 + parts.iter().map(|&part| self.part_level(part)).max().unwrap_or(0);
                self.levels[id.index()] = level;
                self.others.extend((0..parts.len()).map(|part| (level, Step::ConcatPart { node: id, part })));
            }
            Node::MatMul(operands) => self.place_library(id, operands, Step::MatMul(id)),
            Node::Custom(_, operands) => self.place_library(id, operands, Step::Custom(id)),
            _ => self.place_root(Root { node: id, copy_to: None }),
        }
    }

    fn place_library(&mut self, id: NodeId, operands: &[NodeId], step: Step) {
        let level = 1 + operands.iter().map(|&operand| self.part_level(operand)).max().unwrap_or(0);
        self.levels[id.index()] = level;
        self.others.push((level, step));
    }

    /// Outputs that are windows, constants, or the same node again: each is copied.
    fn place_copies(&mut self) {
        let mut seen = rustc_hash::FxHashSet::default();
        for (output, &node) in self.graph.outputs.iter().enumerate() {
            if !self.materialized[node.index()] || !seen.insert(node) {
                self.place_root(Root { node, copy_to: Some(output) });
            }
        }
    }

    fn place_root(&mut self, root: Root) {
        let space = match root.copy_to {
            None => Space::of(self.graph, root.node),
            Some(_) => Space::map(&self.graph.ty(root.node).shape),
        };
        let needs = self.needs(root);
        let joined = needs.joins.filter(|&group| self.joinable(group, &space, &needs));
        let (level, group) = match joined {
            Some(group) => (needs.level, group),
            None => (needs.level + 1, self.open_group(space, &needs)),
        };
        let member = &mut self.groups[group];
        member.statements += needs.statements;
        member.operands += needs.operands + 1;
        member.group.roots.push(root);
        if root.copy_to.is_none() {
            self.levels[root.node.index()] = level;
            self.group_of[root.node.index()] = Some(group);
        }
    }

    fn fits(&self, group: usize, needs: &Needs) -> bool {
        let member = &self.groups[group];
        member.statements + needs.statements <= self.target.max_statements / 2
            && member.operands + needs.operands < self.target.max_operands
    }

    fn joinable(&self, group: usize, space: &Space, needs: &Needs) -> bool {
        space.reduced.is_none() && self.groups[group].group.space.outer == space.outer && self.fits(group, needs)
    }

    fn open_group(&mut self, space: Space, needs: &Needs) -> usize {
        let level = needs.level + 1;
        if let Some(&group) = self.open.get(&(space.clone(), level))
            && self.fits(group, needs)
        {
            return group;
        }
        let group = Group { space: space.clone(), roots: Vec::new() };
        self.groups.push(Member { level, group, statements: 0, operands: 0 });
        self.open.insert((space, level), self.groups.len() - 1);
        self.groups.len() - 1
    }

    fn needs(&self, root: Root) -> Needs {
        let context = outer_context(&self.graph.ty(root.node).shape, 0);
        let mut walk = Walk::new(self.graph, self.forms, self.materialized);
        match root.copy_to {
            None => walk.root(root.node, &context),
            Some(_) => walk.visit(root.node, &context),
        }
        let cone = walk.finish();
        let level_of = |(view, _): &(View, Context)| self.levels[view.source.index()];
        let level = cone.loads.iter().map(level_of).max().unwrap_or(0);
        let mut deepest = cone.loads.iter().filter(|load| level > 0 && level_of(load) == level);
        let joins = deepest.next().and_then(|first| {
            let group = self.group_of[first.0.source.index()]?;
            let same = |load: &(View, Context)| {
                self.group_of[load.0.source.index()] == Some(group) && self.is_elementwise(&load.0, &load.1)
            };
            (same(first) && deepest.all(same)).then_some(group)
        });
        Needs { statements: cone.statements, operands: cone.loads.len(), level, joins }
    }

    /// Whether a window reads, at each point of the space, the element that its source's kernel makes there.
    fn is_elementwise(&self, view: &View, context: &Context) -> bool {
        // The axes of a reshaped window are not those of its source.
        if view.reshaped || !view.starts.is_empty() {
            return false;
        }
        let source = outer_context(&self.graph.ty(view.source).shape, 0);
        let walked = view.axes.iter().zip(context).filter_map(|(axis, kernel)| match (axis, kernel) {
            (Some(axis), Some(kernel)) => Some((axis.axis, axis.step, *kernel)),
            (_, _) => None,
        });
        let mut loops = 0;
        let direct = walked
            .inspect(|_| loops += 1)
            .all(|(axis, step, kernel): (u32, i64, Axis)| step == 1 && source[axis as usize] == Some(kernel));
        direct && loops == source.iter().flatten().count()
    }

    /// The level of the deepest root that a value reads.
    fn part_level(&self, node: NodeId) -> u32 {
        let mut walk = Walk::new(self.graph, self.forms, self.materialized);
        walk.visit(node, &outer_context(&self.graph.ty(node).shape, 0));
        walk.finish().loads.iter().map(|(view, _)| self.levels[view.source.index()]).max().unwrap_or(0)
    }

    fn into_steps(self) -> Vec<Step> {
        let kernels = self.groups.into_iter().map(|member| (member.level, Step::Kernel(member.group)));
        let mut steps: Vec<(u32, Step)> = kernels.chain(self.others).collect();
        steps.sort_by_key(|(level, _)| *level);
        steps.into_iter().map(|(_, step)| step).collect()
    }
}
