//! Where every root lives, and which memory serves several roots in turn.
//!
//! A root that is an output is made in the output. Others get a slot, which is free again after the last step
//! that reads them; slots are shared between roots of equal number and size of elements. A root that only its own
//! kernel uses stays in registers, and so does a product that only its epilogue uses. The kernels of a row block may run
//! for other rows at the same time, so what is read there and not local to it is not free before the block ends.

use rustc_hash::FxHashMap;

use crate::graph::{Graph, Node, NodeId};
use crate::schedule::rows::{self, RowBlock};
use crate::schedule::walk::Cone;
use crate::schedule::{Place, Slot, Step};
use crate::shape::element_count;

/// The place of every node in memory, and the slots; row blocks get theirs.
pub fn places(
    graph: &Graph,
    materialized: &[bool],
    steps: &[Step],
    cones: &[Cone],
    blocks: &mut [RowBlock],
) -> (Vec<Option<Place>>, Vec<Slot>) {
    let mut places = fixed_places(graph, materialized);
    let (last_read, read) = reads(graph, steps, cones);
    let local = rows::local(graph, steps, cones, blocks);
    let ends = ends(steps.len(), blocks);
    let mut slots = Slots::default();
    let mut dying: Vec<Vec<NodeId>> = vec![Vec::new(); steps.len()];
    for (index, step) in steps.iter().enumerate() {
        for node in step.written() {
            let place = &mut places[node.index()];
            if place.is_some() {
                continue;
            }
            if !read[node.index()] {
                *place = Some(Place::Kernel);
                continue;
            }
            let ty = graph.ty(node);
            let slot = Slot { count: element_count(&ty.shape), element: ty.dtype.size() };
            let number = slots.take(slot, local.contains_key(&node));
            *place = Some(Place::Slot(number));
            let last = last_read[node.index()].max(index);
            match local.get(&node) {
                Some(&block) => {
                    blocks[block].slots.push(number);
                    dying[last].push(node);
                }
                // Other rows may still be read where the last kernel of a block is done with these.
                None => dying[ends[last] - 1].push(node),
            }
        }
        for &node in &dying[index] {
            if let Some(Place::Slot(slot)) = places[node.index()] {
                slots.give_back(slot, local.contains_key(&node));
            }
        }
    }
    for block in blocks {
        block.slots.sort_unstable();
        block.slots.dedup();
    }
    (places, slots.slots)
}

/// Where what a step is part of ends: its row block, or the step itself.
fn ends(steps: usize, blocks: &[RowBlock]) -> Vec<usize> {
    let mut ends: Vec<usize> = (1..=steps).collect();
    blocks.iter().for_each(|block| ends[block.steps.clone()].fill(block.steps.end));
    ends
}

fn fixed_places(graph: &Graph, materialized: &[bool]) -> Vec<Option<Place>> {
    let mut places = vec![None; graph.len()];
    for (argument, &input) in graph.inputs.iter().enumerate() {
        places[input.index()] = Some(Place::Input(argument));
    }
    for id in graph.ids() {
        match graph.node(id) {
            Node::Dense(_) => places[id.index()] = Some(Place::Constant),
            Node::Iota(_) | Node::Size(_) if !materialized[id.index()] => places[id.index()] = Some(Place::Virtual),
            _ => {}
        }
    }
    for (output, &node) in graph.outputs.iter().enumerate().rev() {
        if materialized[node.index()] {
            places[node.index()] = Some(Place::Output(output));
        }
    }
    places
}

/// For every node the last step that reads it from memory, and whether any does.
fn reads(graph: &Graph, steps: &[Step], cones: &[Cone]) -> (Vec<usize>, Vec<bool>) {
    let (mut last, mut read) = (vec![0; graph.len()], vec![false; graph.len()]);
    for (index, (step, cone)) in steps.iter().zip(cones).enumerate() {
        let own = step.written();
        for source in cone.sources() {
            if !own.contains(&source) {
                last[source.index()] = index;
                read[source.index()] = true;
            }
        }
    }
    (last, read)
}

#[derive(Default)]
struct Slots {
    slots: Vec<Slot>,
    /// Those that are local to row blocks apart from the others.
    free: FxHashMap<(Slot, bool), Vec<usize>>,
}

impl Slots {
    fn take(&mut self, slot: Slot, local: bool) -> usize {
        let wanted = (slot, local);
        if let Some(index) = self.free.get_mut(&wanted).and_then(Vec::pop) {
            return index;
        }
        self.slots.push(wanted.0);
        self.slots.len() - 1
    }

    fn give_back(&mut self, index: usize, local: bool) {
        self.free.entry((self.slots[index].clone(), local)).or_default().push(index);
    }
}
