//! Row blocks: consecutive steps that can run one after the other for some rows at a time, so that rows stay in
//! the cache between them.
//!
//! The steps of a block share leading axes, and whatever one of them reads of another's results it reads at its
//! own index along these axes. So any range of rows can be computed alone. A row of whatever they read lies together, as
//! far as the graph tells: rows that are columns in memory share cache lines, and gain nothing. What no step outside the
//! block reads is *local*: running in ranges, it needs memory for one of them. Steps are kernels, and products with a
//! vector (`part.rs`): those that have a result for each row, and those that *close* a block, which sum over its rows and
//! whose results are there when all rows are done. Must not know: sizes, caches, threads.

use std::ops::Range;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::graph::{Graph, NodeId};
use crate::schedule::Step;
use crate::schedule::part::{Part, parts};
use crate::schedule::walk::Cone;
use crate::shape::Shape;

/// Consecutive steps that share leading axes, along which they are independent of each other's other rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RowBlock {
    /// The steps.
    pub steps: Range<usize>,
    /// How many leading axes of each step are shared.
    pub axes: usize,
    /// The slots that are read only by these steps, and only at the index at which they were written.
    pub slots: Vec<usize>,
    /// Those of the steps that sum over the rows.
    pub closing: Vec<usize>,
}

/// The row blocks of some steps; nothing is known of slots yet.
pub fn blocks(graph: &Graph, steps: &[Step], cones: &[Cone]) -> Vec<RowBlock> {
    let mut found: Vec<RowBlock> = Vec::new();
    let mut open: Option<Open> = None;
    for (index, (step, cone)) in steps.iter().zip(cones).enumerate() {
        let parts = parts(graph, step, cone);
        if let Some(open) = &mut open
            && parts.iter().any(|part| open.takes(graph, index, step, part))
        {
            continue;
        }
        found.extend(open.take().and_then(|open| open.close(index)));
        let first = parts.into_iter().find(|part| !part.closes);
        open = first.map(|part| Open::new(index, step, part));
    }
    found.extend(open.and_then(|open| open.close(steps.len())));
    found
}

/// A block that may go on.
struct Open {
    start: usize,
    /// The axes that are shared; all of the first step's while it is alone.
    axes: Shape,
    /// The first step, while it is alone.
    alone: Option<Part>,
    written: FxHashSet<NodeId>,
    closing: Vec<usize>,
    /// What is only there when all rows are done.
    closed: FxHashSet<NodeId>,
}

impl Open {
    fn new(start: usize, step: &Step, part: Part) -> Open {
        let (axes, written) = (part.axes.clone(), step.written().into_iter().collect());
        Open { start, axes, alone: Some(part), written, closing: Vec::new(), closed: FxHashSet::default() }
    }

    /// Takes the next step in, if it reads what the block made, row by row. Only the second one may share fewer
    /// axes than those before.
    fn takes(&mut self, graph: &Graph, index: usize, step: &Step, part: &Part) -> bool {
        if part.loads.iter().any(|load| self.closed.contains(&load.source)) {
            return false;
        }
        let common = self.axes.iter().zip(&part.axes).take_while(|(a, b)| a == b).count();
        let made_here = part.loads.iter().filter(|load| self.written.contains(&load.source));
        let Some(aligned) = made_here.map(|load| load.leading_axes(graph)).min() else { return false };
        let loads = || part.loads.iter().chain(self.alone.iter().flat_map(|first| &first.loads));
        let most = common.min(aligned);
        let Some(shared) = (1..=most).rev().find(|&axes| loads().all(|load| load.is_by_rows(axes))) else {
            return false;
        };
        if self.alone.is_none() && shared != self.axes.len() {
            return false;
        }
        self.axes.truncate(shared);
        self.alone = None;
        if part.closes {
            self.closing.push(index);
            self.closed.extend(step.written());
        } else {
            self.written.extend(step.written());
        }
        true
    }

    fn close(self, end: usize) -> Option<RowBlock> {
        let Open { start, axes, alone, closing, .. } = self;
        alone.is_none().then(|| RowBlock { steps: start..end, axes: axes.len(), slots: Vec::new(), closing })
    }
}

/// The block of each node that nothing outside reads, among those that steps write to memory.
pub fn local(graph: &Graph, steps: &[Step], cones: &[Cone], blocks: &[RowBlock]) -> FxHashMap<NodeId, usize> {
    let mut local = FxHashMap::default();
    let mut block_of = vec![None; steps.len()];
    for (number, block) in blocks.iter().enumerate() {
        block_of[block.steps.clone()].fill(Some(number));
        let by_rows = block.steps.clone().filter(|step| !block.closing.contains(step));
        local.extend(by_rows.flat_map(|step| steps[step].written()).map(|node| (node, number)));
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
