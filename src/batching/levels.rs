//! What becomes of each node: whether it differs from one element of the batch to another.
//!
//! A node that is made of a batched one is batched. Through a loop this holds result by result: a state is batched if its
//! first value is, or what a step makes of it, which may be known only after the state itself. So levels are raised until
//! nothing changes; each node is raised at most twice. Knows no shapes and builds nothing.

use smallvec::SmallVec;

use crate::batching::order::{Order, Owner};
use crate::graph::{Loop, Node};

/// What becomes of a node. A loop is `Batched` if its elements stop on their own: where its guard or its number of steps
/// is batched; its results have levels of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// It stays what it is, one for all elements of the batch.
    Shared,
    /// It is the same for all elements, but made anew, in the body of a loop that is.
    Renewed,
    /// It has an own value for each element of the batch.
    Batched,
}

/// The level of each node.
pub(super) struct Levels<'a> {
    order: &'a Order,
    levels: Vec<Level>,
}

impl<'a> Levels<'a> {
    /// The levels when some nodes have at least these.
    pub fn new(order: &'a Order, raised: impl Iterator<Item = (usize, Level)>) -> Levels<'a> {
        let mut levels = Levels { order, levels: vec![Level::Shared; order.entries.len()] };
        let mut dependents: Vec<SmallVec<[usize; 2]>> = vec![SmallVec::new(); order.entries.len()];
        for number in 0..order.entries.len() {
            levels.sources(number).iter().for_each(|&source| dependents[source].push(number));
        }
        let mut pending = Vec::new();
        for (number, level) in raised {
            levels.levels[number] = level;
            pending.push(number);
        }
        while let Some(raised) = pending.pop() {
            for &number in &dependents[raised] {
                let level = levels.raised_by(number, levels.of(raised));
                if level > levels.of(number) {
                    levels.levels[number] = level;
                    pending.push(number);
                }
            }
        }
        levels
    }

    /// The level of a node.
    pub fn of(&self, number: usize) -> Level {
        self.levels[number]
    }

    /// Whether a node has an own value for each element.
    pub fn is_batched(&self, number: usize) -> bool {
        self.of(number) == Level::Batched
    }

    fn highest<'n>(&self, numbers: impl IntoIterator<Item = &'n usize>) -> Level {
        numbers.into_iter().map(|&number| self.of(number)).max().unwrap_or(Level::Shared)
    }

    /// The nodes on whose levels that of a node depends.
    fn sources(&self, number: usize) -> SmallVec<[usize; 3]> {
        let entry = &self.order.entries[number];
        if entry.is_leaf || entry.expr.derived().is_some() {
            return entry.operands.clone();
        }
        match entry.expr.node() {
            Node::Parameter(..) => self.order.owners.get(&number).map_or_else(SmallVec::new, |&owner| {
                let inner = &self.order.loops[&owner.of];
                std::iter::once(owner.of).chain(values_of(inner, owner)).collect()
            }),
            Node::Project(index, _) => {
                let of = entry.operands[0];
                std::iter::once(of).chain(result_of(&self.order.loops[&of], *index as usize)).collect()
            }
            Node::Input(_)
            | Node::Scalar(_)
            | Node::Dense(_)
            | Node::Iota(_)
            | Node::Size(_)
            | Node::Unary(..)
            | Node::Binary(..)
            | Node::Ternary(..)
            | Node::Cast(..)
            | Node::Reduce(..)
            | Node::Permute(..)
            | Node::Reshape(..)
            | Node::Broadcast(..)
            | Node::Slice(..)
            | Node::Concat(..)
            | Node::MatMul(_)
            | Node::Loop(_)
            | Node::Barrier(_)
            | Node::Custom(..) => entry.operands.clone(),
        }
    }

    /// The level of a node when one of its sources has reached this one. Not all sources are looked at: a node may have
    /// many, each of which is raised by itself.
    fn raised_by(&self, number: usize, source: Level) -> Level {
        match (self.order.loops.get(&number), self.order.owners.get(&number)) {
            (Some(inner), _) if self.stops_by_element(inner) => Level::Batched,
            (Some(_), _) => source.min(Level::Renewed),
            // The number of the step is one for all, and so is a row of a shared sequence.
            (None, Some(&owner)) if !is_state(&self.order.loops[&owner.of], owner) => {
                let renewed = self.of(owner.of).min(Level::Renewed);
                renewed.max(self.highest(&values_of(&self.order.loops[&owner.of], owner)))
            }
            (None, _) => source,
        }
    }

    fn stops_by_element(&self, inner: &Loop<usize>) -> bool {
        let guard = inner.guarded.then(|| inner.body.parameters[0]);
        guard.iter().chain(&inner.count).any(|&number| self.is_batched(number))
    }
}

fn is_state(inner: &Loop<usize>, owner: Owner) -> bool {
    owner.position < inner.initial.len()
}

/// What a parameter of a loop stands for: the values of a state, a sequence, or nothing.
fn values_of(inner: &Loop<usize>, Owner { position, .. }: Owner) -> SmallVec<[usize; 2]> {
    match inner.initial.get(position) {
        Some(&initial) => SmallVec::from_slice(&[initial, inner.next()[position]]),
        None => inner.sequences.get(position - inner.initial.len()).copied().into_iter().collect(),
    }
}

/// The node in the body that a result of a loop comes from, if it is not the number of steps.
fn result_of(inner: &Loop<usize>, index: usize) -> Option<usize> {
    match inner.state_parameters().get(index) {
        Some(&state) => Some(state),
        None => inner.body.results.get(index).copied(),
    }
}
