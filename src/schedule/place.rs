//! Where every root lives, and which memory serves several roots in turn.
//!
//! A root that is an output is made in the output. Others get a slot, which is free again after the last step
//! that reads them; slots are shared between roots of equal number and size of elements. A root that only its own
//! kernel uses stays in registers, and so does a product that only its epilogue uses.

use rustc_hash::FxHashMap;

use crate::graph::{Graph, Node, NodeId};
use crate::schedule::form::Form;
use crate::schedule::walk::Walk;
use crate::schedule::{Place, Slot, Step};
use crate::shape::element_count;

/// The place of every node in memory, and the slots.
pub fn places(graph: &Graph, forms: &[Form], materialized: &[bool], steps: &[Step]) -> (Vec<Option<Place>>, Vec<Slot>) {
    let mut places = fixed_places(graph, materialized);
    let (last_read, read) = reads(graph, forms, materialized, steps);
    let mut slots = Slots::default();
    let mut dying: Vec<Vec<NodeId>> = vec![Vec::new(); steps.len()];
    for (index, step) in steps.iter().enumerate() {
        for node in written(step) {
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
            *place = Some(Place::Slot(slots.take(slot)));
            dying[last_read[node.index()].max(index)].push(node);
        }
        for &node in &dying[index] {
            if let Some(Place::Slot(slot)) = places[node.index()] {
                slots.give_back(slot);
            }
        }
    }
    (places, slots.slots)
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

/// The nodes that a step writes to places of their own.
fn written(step: &Step) -> Vec<NodeId> {
    match step {
        Step::Kernel(group) => group.own().collect(),
        Step::MatMul { node, epilogue } => {
            std::iter::once(*node).chain(epilogue.iter().flat_map(|group| group.own())).collect()
        }
        Step::ConcatPart { node, .. } | Step::Custom(node) => vec![*node],
    }
}

/// For every node the last step that reads it from memory, and whether any does.
fn reads(graph: &Graph, forms: &[Form], materialized: &[bool], steps: &[Step]) -> (Vec<usize>, Vec<bool>) {
    let (mut last, mut read) = (vec![0; graph.len()], vec![false; graph.len()]);
    for (index, step) in steps.iter().enumerate() {
        let own = written(step);
        let mut walk = Walk::new(graph, forms, materialized);
        walk.step(step);
        for source in walk.finish().sources() {
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
    free: FxHashMap<Slot, Vec<usize>>,
}

impl Slots {
    fn take(&mut self, slot: Slot) -> usize {
        if let Some(index) = self.free.get_mut(&slot).and_then(Vec::pop) {
            return index;
        }
        self.slots.push(slot);
        self.slots.len() - 1
    }

    fn give_back(&mut self, index: usize) {
        self.free.entry(self.slots[index].clone()).or_default().push(index);
    }
}
