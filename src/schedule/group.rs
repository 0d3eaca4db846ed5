//! Roots that share a kernel, and the order of the steps.
//!
//! The level of a root is one more than that of the deepest root it reads; roots of one level never depend on
//! each other, so those with one iteration space become one kernel with several results. A map that reads roots
//! of the level below only element by element, all from one kernel of its own space, joins that kernel (the
//! epilogue of a reduction, or a further result of a map). Operands are counted as the kernels will have them: equal
//! windows once, and no memory for what only the kernel itself reads.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::graph::{Graph, NodeId};
use crate::loops::Target;
use crate::schedule::form::Form;
use crate::schedule::loops::Loops;
use crate::schedule::piece::{Piece, Work, pieces, readers};
use crate::schedule::product::{self, Products};
use crate::schedule::walk::{Cone, Load};
use crate::schedule::{Group, Root, Space, Step};

/// The steps in an order in which every read comes after its write.
pub fn steps(
    graph: &Graph,
    live: &[bool],
    loops: &Loops,
    forms: &[Form],
    materialized: &[bool],
    of_host: &[bool],
    target: &Target,
) -> Vec<Step> {
    let pieces = pieces(graph, live, loops, forms, materialized);
    let products = Products::new(graph, &pieces, of_host, target);
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
        products,
    };
    pieces.into_iter().for_each(|piece| grouping.place(piece));
    grouping.into_steps()
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
    /// The product whose epilogue the kernel may be.
    product: Option<NodeId>,
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
    products: Products,
}

impl Grouping<'_> {
    fn place(&mut self, piece: Piece) {
        let before = piece.cone.sources().into_iter().chain(piece.cone.after.iter().copied());
        let level = before.map(|node| self.levels[node.index()]).max().unwrap_or(0);
        match piece.work {
            Work::Steps(node, steps) => {
                self.levels[node.index()] = level + 1;
                steps.iter().flat_map(Step::written).for_each(|node| self.levels[node.index()] = level + 1);
                self.others.extend(steps.into_iter().map(|step| (level + 1, step)));
            }
            Work::Root(root) => self.place_root(root, &piece.cone, level),
        }
    }

    /// Puts a root that reads roots of up to some level into a kernel.
    fn place_root(&mut self, root: Root, cone: &Cone, level: u32) {
        let space = root.space(self.graph);
        let product = self.products.read_by(cone);
        let key = Key { space, on_host: self.of_host[root.node.index()], level: level + 1, product };
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
        let is_made =
            |after: &NodeId| self.levels[after.index()] < level || self.group_of[after.index()] == Some(group);
        let same = |load: &Load| self.group_of[load.source.index()] == Some(group) && load.is_elementwise(self.graph);
        (deepest.all(same) && cone.after.iter().all(is_made)).then_some(group)
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
        self.products.note(group, cone);
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

    fn into_steps(mut self) -> Vec<Step> {
        let mut steps = Vec::with_capacity(self.others.len() + self.groups.len());
        let mut product_of: Vec<Option<NodeId>> = vec![None; self.groups.len()];
        for (level, step) in std::mem::take(&mut self.others) {
            match self.epilogue(&step).filter(|&(_, group)| product_of[group].is_none()) {
                Some((node, group)) => product_of[group] = Some(node),
                None => steps.push((level, step)),
            }
        }
        let kernels = self.groups.into_iter().zip(product_of).map(|(member, product)| {
            let step = match product {
                None => Step::Kernel(member.group),
                Some(node) => Step::MatMul { node, epilogue: Some(member.group) },
            };
            (member.level, step)
        });
        let mut steps: Vec<(u32, Step)> = kernels.chain(steps).collect();
        steps.sort_by_key(|(level, _)| *level);
        steps.into_iter().map(|(_, step)| step).collect()
    }

    /// The product of a step and the kernel that becomes its epilogue.
    fn epilogue(&self, step: &Step) -> Option<(NodeId, usize)> {
        let Step::MatMul { node, .. } = step else { return None };
        let group = self.products.epilogue(*node)?;
        let Member { loads, stores, group: Group { space, .. }, .. } = &self.groups[group];
        let fits = loads.len() + stores + product::OPERANDS <= self.target.max_operands;
        (fits && space.reduced.is_none()).then_some((*node, group))
    }
}
