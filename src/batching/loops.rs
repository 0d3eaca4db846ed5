//! Loops over a batch: one loop whose states are batches.
//!
//! The axis of the batch stands behind that of the steps in sequences and histories. If the elements stop on their own,
//! the guard has an element for each of them: what a step makes of those that have stopped is thrown away. The guard then
//! broadcasts to everything that the loop carries or emits, so all of that gets one rank, with axes of size 1 behind that
//! of the batch. A loop in its body makes no steps for elements that have stopped, which single ones would not reach. A number of steps that differs between elements becomes such a guard, and how many steps each element
//! made, where somebody asks, a state that counts.

use rustc_hash::FxHashSet;
use smallvec::SmallVec;

use crate::batching::Batching;
use crate::batching::levels::Level;
use crate::batching::order::{Entry, Order};
use crate::dtype::{DType, Scalar};
use crate::expr::Expr;
use crate::graph::{Loop, Node, Region, Type};
use crate::ops::{BinaryOp, ReduceOp, TernaryOp};
use crate::shape::{Dim, Shape};

/// How a loop is made anew.
pub(super) struct Plan {
    /// The rank of the elements of everything that it carries and emits, if these stop on their own.
    rank: Option<usize>,
    /// Whether a new guard comes first, which holds while the element's number of steps is not reached.
    limited: bool,
    /// Whether a new state, after all others, counts the steps of each element.
    counts: bool,
}

/// A state that no state of the old loop stands for.
struct NewState {
    initial: Expr,
    parameter: Expr,
    next: Expr,
}

impl Batching<'_> {
    fn plan(&self, number: usize) -> Plan {
        let inner = &self.order.loops[&number];
        let stops = self.levels.is_batched(number);
        Plan {
            rank: stops.then(|| inner.body.results.iter().map(|&result| self.rank(result)).max().unwrap_or(0)),
            limited: inner.count.is_some_and(|count| self.levels.is_batched(count)),
            counts: stops && self.counted.contains(&number),
        }
    }

    /// What a parameter of a loop's body becomes there. What the loop itself carries is remembered.
    pub(super) fn body_parameter(&mut self, number: usize) -> Expr {
        let entry = &self.order.entries[number];
        let ty = entry.expr.ty().clone();
        if !self.levels.is_batched(number) {
            let own = self.parameter(ty);
            self.parameters.insert(number, own.clone());
            return own;
        }
        let (carried, shape) = (self.carried_parameter(number), self.behind(&ty.shape));
        self.reshape(&carried, shape)
    }

    /// A batched parameter as its loop carries it.
    fn carried_parameter(&mut self, number: usize) -> Expr {
        if let Some(known) = self.parameters.get(&number) {
            return known.clone();
        }
        let ty = self.order.entries[number].expr.ty();
        let owner = self.order.owners.get(&number);
        let state = owner.filter(|owner| owner.position < self.order.loops[&owner.of].initial.len());
        let rank = state.and_then(|owner| self.plan(owner.of).rank);
        let carried = self.parameter(Type { dtype: ty.dtype, shape: self.padded(&self.behind(&ty.shape), rank) });
        self.parameters.insert(number, carried.clone());
        carried
    }

    /// What says in the body of a loop which elements have not stopped.
    fn guard(&mut self, of: usize) -> Expr {
        let (inner, plan) = (&self.order.loops[&of], self.plan(of));
        if !plan.limited {
            return self.carried_parameter(inner.body.parameters[0]);
        }
        if let Some(known) = self.limits.get(&of) {
            return known.clone();
        }
        let old = inner.guarded.then(|| self.order.entries[inner.body.parameters[0]].expr.dims());
        let shape = self.behind(old.map_or(&[], |dims| dims));
        let limit = self.parameter(Type { dtype: DType::Bool, shape: self.padded(&shape, plan.rank) });
        self.limits.insert(of, limit.clone());
        limit
    }

    /// For which elements a node is computed, if it lies in loops whose elements stop on their own.
    pub(super) fn outer_guard(&mut self, number: usize) -> Option<Expr> {
        let mut inside = number;
        while let Some(of) = self.order.enclosing(inside) {
            if self.levels.is_batched(of) {
                let guard = self.guard(of);
                let axes: SmallVec<[u32; 3]> = (1..guard.rank() as u32).collect();
                let any = |axes| self.build(Node::Reduce(ReduceOp::Any, axes, guard.clone()));
                return Some(if axes.is_empty() { guard.clone() } else { any(axes) });
            }
            inside = of;
        }
        self.outer.clone()
    }

    /// The shape of a batch in the rank that a loop carries.
    fn padded(&self, shape: &[Dim], rank: Option<usize>) -> Shape {
        let missing = rank.map_or(0, |rank| (rank + 1).saturating_sub(shape.len()));
        let mut padded = Shape::from(shape);
        padded.insert_many(1, std::iter::repeat_n(Dim::ONE, missing));
        padded
    }

    /// A value as a loop carries it in the place of a parameter or a result.
    fn carried(&self, value: usize, level: Level, rank: Option<usize>) -> Expr {
        if level < Level::Batched {
            return self.made(value).clone();
        }
        let batched = self.batched(value);
        self.reshape(&batched, self.padded(batched.dims(), rank))
    }

    /// A loop over what its references became.
    pub(super) fn remade_loop(&mut self, number: usize) -> Expr {
        let inner = self.order.loops[&number].clone();
        let plan = self.plan(number);
        let step = match inner.index_parameter() {
            Some(index) => Some(self.parameters[index].clone()),
            None => plan.limited.then(|| self.parameter(Type::scalar(DType::I64))),
        };
        let outer = if plan.rank.is_some() { self.outer_guard(number) } else { None };
        let steps = inner.count.filter(|_| plan.limited).map(|count| self.steps(count, outer.as_ref()));
        let mut states = Vec::new();
        if let (Some(steps), Some(step)) = (&steps, &step) {
            let parameter = self.guard(number);
            states.push(self.limit(&inner, steps, step, parameter, plan.rank));
        }
        states.extend((0..inner.initial.len()).map(|state| self.state(&inner, state, plan.rank)));
        if let (true, Some(outer)) = (inner.guarded && !plan.limited, &outer) {
            let own = states[0].initial.clone();
            let outer = self.reshape(outer, self.padded(outer.dims(), plan.rank));
            states[0].initial = self.build(Node::Binary(BinaryOp::And, [own, outer]));
        }
        states.extend(plan.counts.then(|| self.counter(plan.rank)));
        let emitted: Vec<Expr> =
            (inner.emitted().iter()).map(|&row| self.carried(row, self.level_emitted(row, &plan), plan.rank)).collect();
        let rows = inner.row_parameters().iter().map(|row| self.parameters[row].clone());
        let body = Region {
            parameters: states.iter().map(|state| state.parameter.clone()).chain(rows).chain(step).collect(),
            results: states.iter().map(|state| state.next.clone()).chain(emitted).collect(),
        };
        let node = Loop {
            count: inner.count.map(|count| steps.map_or_else(|| self.made(count).clone(), |steps| self.count(steps))),
            guarded: inner.guarded || plan.limited,
            initial: states.into_iter().map(|state| state.initial).collect(),
            sequences: inner.sequences.iter().map(|&sequence| self.sequence(sequence)).collect(),
            body,
        };
        self.build(Node::Loop(Box::new(node)))
    }

    fn level_emitted(&self, row: usize, plan: &Plan) -> Level {
        if plan.rank.is_some() { Level::Batched } else { self.levels.of(row) }
    }

    /// A state of the old loop.
    fn state(&self, inner: &Loop<usize>, state: usize, rank: Option<usize>) -> NewState {
        let parameter = inner.body.parameters[state];
        let level = self.levels.of(parameter);
        NewState {
            initial: self.carried(inner.initial[state], level, rank),
            parameter: self.parameters[&parameter].clone(),
            next: self.carried(inner.next()[state], level, rank),
        }
    }

    /// The steps of a row come first, then the batch.
    fn sequence(&self, sequence: usize) -> Expr {
        let made = self.made(sequence);
        if self.levels.is_batched(sequence) { self.swap_first(made) } else { made.clone() }
    }

    /// The guard of a loop whose elements make different numbers of steps: whether there are any left, and the old guard
    /// holds.
    fn limit(&self, inner: &Loop<usize>, steps: &Expr, step: &Expr, parameter: Expr, rank: Option<usize>) -> NewState {
        let count = self.reshape(steps, self.padded(steps.dims(), rank));
        let number = |value: i64| self.build(Node::Scalar(Scalar::I64(value)));
        let below = |made: Expr| self.build(Node::Binary(BinaryOp::Lt, [made, count.clone()]));
        let following = self.build(Node::Binary(BinaryOp::Add, [step.clone(), number(1)]));
        let (mut initial, mut next) = (below(number(0)), below(following));
        if inner.guarded {
            let holds = |left: Expr, guard: usize| {
                let guard = self.carried(guard, Level::Batched, rank);
                self.build(Node::Binary(BinaryOp::And, [left, guard]))
            };
            (initial, next) = (holds(initial, inner.initial[0]), holds(next, inner.next()[0]));
        }
        NewState { initial, parameter, next }
    }

    /// How many steps each element has made.
    fn counter(&self, rank: Option<usize>) -> NewState {
        let number = |value: i64| self.build(Node::Scalar(Scalar::I64(value)));
        let shape = self.padded(&self.behind(&[]), rank);
        let initial = self.build(Node::Broadcast(shape, number(0)));
        let parameter = self.parameter(initial.ty().clone());
        let next = self.build(Node::Binary(BinaryOp::Add, [parameter.clone(), number(1)]));
        NewState { initial, parameter, next }
    }

    /// How many steps each element makes: none where it has stopped outside.
    fn steps(&self, count: usize, outer: Option<&Expr>) -> Expr {
        let steps = self.made(count).clone();
        let Some(outer) = outer else { return steps };
        let zero = self.build(Node::Scalar(Scalar::I64(0)));
        self.build(Node::Ternary(TernaryOp::Select, [outer.clone(), steps, zero]))
    }

    /// The most steps of all elements; a number below zero stays an error of the call.
    fn count(&self, steps: Expr) -> Expr {
        let zero = self.build(Node::Scalar(Scalar::I64(0)));
        let first = self.build(Node::Broadcast(Shape::from_iter([Dim::ONE]), zero.clone()));
        // Without elements there are no steps.
        let counts = self.build(Node::Concat(0, vec![first, steps]));
        let of_all = |op: ReduceOp| self.build(Node::Reduce(op, smallvec::smallvec![0], counts.clone()));
        let (least, most) = (of_all(ReduceOp::Min), of_all(ReduceOp::Max));
        let is_negative = self.build(Node::Binary(BinaryOp::Lt, [least.clone(), zero]));
        self.build(Node::Ternary(TernaryOp::Select, [is_negative, least, most]))
    }

    /// A result of a loop.
    pub(super) fn projection(&self, number: usize, index: usize, of: usize) -> Expr {
        let (inner, plan) = (&self.order.loops[&of], self.plan(of));
        let (states, results) = (inner.initial.len(), inner.body.results.len());
        let first = usize::from(plan.limited);
        let place = match index {
            index if index < states => first + index,
            index if index == results && plan.counts => first + states,
            index => first + usize::from(plan.counts) + index,
        };
        let result = self.build(Node::Project(place as u32, self.made(of).clone()));
        if !self.levels.is_batched(number) {
            return result;
        }
        let shape = self.behind(self.order.entries[number].expr.dims());
        if index < states || index == results {
            return self.reshape(&result, shape);
        }
        // The axis of the steps comes first in a history, then that of the batch.
        let mut rows = shape;
        rows.swap(0, 1);
        self.swap_first(&self.reshape(&result, rows))
    }
}

/// The loops whose number of steps somebody asks for.
pub(super) fn counted(order: &Order) -> FxHashSet<usize> {
    let asked = |entry: &Entry| match entry.expr.node() {
        _ if entry.is_leaf || entry.expr.derived().is_some() => None,
        Node::Project(index, _) => {
            let of = entry.operands[0];
            (*index as usize == order.loops[&of].body.results.len()).then_some(of)
        }
        _ => None,
    };
    order.entries.iter().filter_map(asked).collect()
}
