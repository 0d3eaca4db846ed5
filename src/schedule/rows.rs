//! Row blocks: consecutive kernels that can run one after the other for some rows at a time, so that rows stay in
//! the cache between them.
//!
//! The kernels of a block share leading axes, and whatever one of them reads of another's results it reads at its
//! own index along these axes. So any range of rows can be computed alone. A row of whatever they read lies together, as
//! far as the graph tells: rows that are columns in memory share cache lines, and gain nothing. What no step outside the block reads is
//! *local*: running in ranges, it needs memory for one of them. Must not know: sizes,
//! caches, threads.

use std::ops::Range;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::graph::{Graph, NodeId};
use crate::schedule::walk::Cone;
use crate::schedule::{Group, Step};
use crate::shape::Dim;

/// Consecutive kernels that share leading axes, along which they are independent of each other's other rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RowBlock {
    /// The steps.
    pub steps: Range<usize>,
    /// How many leading axes of each kernel are shared.
    pub axes: usize,
    /// The slots that are read only by these steps, and only at the index at which they were written.
    pub slots: Vec<usize>,
}

/// The row blocks of some steps; nothing is known of slots yet.
pub fn blocks(graph: &Graph, steps: &[Step], cones: &[Cone]) -> Vec<RowBlock> {
    let mut found: Vec<RowBlock> = Vec::new();
    let mut open: Option<Open<'_>> = None;
    for (index, (step, cone)) in steps.iter().zip(cones).enumerate() {
        let group = splittable(step);
        if let (Some(open), Some(group)) = (&mut open, group)
            && open.takes(graph, group, cone)
        {
            continue;
        }
        found.extend(open.take().and_then(|open| open.close(index)));
        open = group.map(|group| Open::new(index, group, cone));
    }
    found.extend(open.and_then(|open| open.close(steps.len())));
    found
}

/// The kernel of a step that may be part of a block.
pub fn splittable(step: &Step) -> Option<&Group> {
    match step {
        Step::Kernel(group) => (!group.on_host && !group.space.outer.is_empty()).then_some(group),
        Step::ConcatPart { .. } | Step::MatMul { .. } | Step::Custom(_) | Step::Loop(_) | Step::Nest(_) => None,
    }
}

/// A block that may go on.
struct Open<'a> {
    start: usize,
    /// The axes that are shared; all of the first kernel's while it is alone.
    axes: &'a [Dim],
    /// What the first kernel reads, while it is alone.
    alone: Option<&'a Cone>,
    written: FxHashSet<NodeId>,
}

impl<'a> Open<'a> {
    fn new(start: usize, group: &'a Group, cone: &'a Cone) -> Open<'a> {
        Open { start, axes: &group.space.outer, alone: Some(cone), written: group.own().collect() }
    }

    /// Takes the next kernel in, if it reads what the block made, row by row. Only the second one may share fewer
    /// axes than those before.
    fn takes(&mut self, graph: &Graph, group: &Group, cone: &Cone) -> bool {
        let common = self.axes.iter().zip(&group.space.outer).take_while(|(a, b)| a == b).count();
        let made_here = cone.loads.iter().filter(|load| self.written.contains(&load.source));
        let Some(aligned) = made_here.map(|load| load.leading_axes(graph)).min() else { return false };
        let loads = || cone.loads.iter().chain(self.alone.iter().flat_map(|first| &first.loads));
        let most = common.min(aligned);
        let Some(shared) = (1..=most).rev().find(|&axes| loads().all(|load| load.is_by_rows(axes))) else {
            return false;
        };
        if self.alone.is_none() && shared != self.axes.len() {
            return false;
        }
        self.axes = &self.axes[..shared];
        self.alone = None;
        self.written.extend(group.own());
        true
    }

    fn close(self, end: usize) -> Option<RowBlock> {
        let block = || RowBlock { steps: self.start..end, axes: self.axes.len(), slots: Vec::new() };
        self.alone.is_none().then(block)
    }
}

/// The block of each node that nothing outside reads, among those that steps write to memory.
pub fn local(graph: &Graph, steps: &[Step], cones: &[Cone], blocks: &[RowBlock]) -> FxHashMap<NodeId, usize> {
    let mut local = FxHashMap::default();
    let mut block_of = vec![None; steps.len()];
    for (number, block) in blocks.iter().enumerate() {
        block_of[block.steps.clone()].fill(Some(number));
        let groups = steps[block.steps.clone()].iter().filter_map(splittable);
        local.extend(groups.flat_map(|group| group.own()).map(|node| (node, number)));
    }
    graph.outputs.iter().for_each(|output| {
        local.remove(output);
    });
    for (cone, block) in cones.iter().zip(block_of) {
        for load in &cone.loads {
            if local.get(&load.source).is_some_and(|&own| Some(own) != block) {
                local.remove(&load.source);
            }
        }
    }
    local
}
