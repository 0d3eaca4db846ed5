//! The order of steps in which kernels of one row block follow each other.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use crate::graph::{Graph, NodeId};
use crate::schedule::Step;
use crate::schedule::part::parts;
use crate::schedule::walk::Cone;

/// The same steps in an order in which kernels that can be one block follow each other: what a step reads comes
/// right before it, what it reads row by row last.
pub fn order(graph: &Graph, steps: &[Step], cones: &[Cone]) -> Vec<usize> {
    let mut makers_of: FxHashMap<NodeId, Vec<usize>> = FxHashMap::default();
    for (index, step) in steps.iter().enumerate() {
        step.written().into_iter().for_each(|node| makers_of.entry(node).or_default().push(index));
    }
    let mut is_read = vec![false; steps.len()];
    let mut before: Vec<Vec<usize>> = Vec::with_capacity(steps.len());
    for (index, cone) in cones.iter().enumerate() {
        let parts = parts(graph, &steps[index], cone);
        let loads = parts.first().map_or_else(|| Vec::from_iter(cone.loads.iter()), |part| part.loads.iter().collect());
        let mut makers: Vec<(bool, usize)> = Vec::from_iter(loads.into_iter().flat_map(|load| {
            let row_by_row = !parts.is_empty() && load.leading_axes(graph) > 0;
            makers_of.get(&load.source).into_iter().flatten().map(move |&maker| (row_by_row, maker))
        }));
        let awaited = cone.after.iter().flat_map(|node| makers_of.get(node).into_iter().flatten());
        makers.extend(awaited.map(|&maker| (false, maker)));
        makers.retain(|&(_, maker)| maker != index);
        makers.iter().for_each(|&(_, maker)| is_read[maker] = true);
        // Taken from the end.
        makers.sort_unstable_by_key(|&maker| Reverse(maker));
        before.push(makers.into_iter().map(|(_, maker)| maker).collect());
    }
    depth_first(before, &is_read)
}

/// The steps, each after those before it; what ends deepest comes first, and what only reads parts of it later.
fn depth_first(mut before: Vec<Vec<usize>>, is_read: &[bool]) -> Vec<usize> {
    let mut order = Vec::with_capacity(before.len());
    let mut entered = vec![false; before.len()];
    for last in (0..before.len()).rev().filter(|&step| !is_read[step]) {
        let mut stack = vec![last];
        entered[last] = true;
        while let Some(&step) = stack.last() {
            match before[step].pop() {
                Some(next) if !entered[next] => {
                    entered[next] = true;
                    stack.push(next);
                }
                Some(_) => {}
                None => order.extend(stack.pop()),
            }
        }
    }
    order
}
