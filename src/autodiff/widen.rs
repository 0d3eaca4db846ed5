//! Loops whose steps are made element by element, and what keeps their derivatives so.
//!
//! The adjoint of a number that every element uses is a sum over all of them. Taken in each step it would tie the elements
//! together, so such a loop is given the number in each element; the adjoints add up there, and are summed after the loop.

use rustc_hash::FxHashMap;

use crate::autodiff::body::Body;
use crate::autodiff::tape::{Entry, Role};
use crate::autodiff::views;
use crate::expr::Expr;
use crate::expr::region::{fresh_parameter, parameters};
use crate::expr::substitute::Substitution;
use crate::graph::{Constraint, Loop, Node, Region, Type};
use crate::shape::{Dim, Shape};

/// The shape of all states, if a step is made element by element.
pub(super) fn elements(body: &Body) -> Option<Shape> {
    let shape = body.node.initial.first()?.dims().clone();
    let nodes = || body.tape.entries.iter().filter(|entry| !entry.is_leaf).map(|entry| &entry.expr);
    let is_node = |entry: &Entry| matches!(entry.role, Role::Node);
    if !body.tape.entries.iter().all(is_node) || !nodes().all(is_elementwise) {
        return None;
    }
    let mut sizes = Sizes::default();
    nodes().chain([&body.made]).for_each(|expr| sizes.learn(&expr.constraints()));
    let mut in_shape = |x: &Expr| sizes.are_equal(x.dims(), &shape);
    let repeats = |x: &&Expr| matches!(x.node(), Node::Broadcast(..));
    let mut whole = body.node.initial.iter().chain(&body.node.body.results).chain(nodes().filter(repeats));
    whole.all(&mut in_shape).then_some(shape)
}

fn is_elementwise(x: &Expr) -> bool {
    match x.node() {
        Node::Parameter(..) | Node::Unary(..) | Node::Binary(..) | Node::Ternary(..) | Node::Cast(..) => true,
        Node::Scalar(_) | Node::Size(_) | Node::Broadcast(..) => true,
        Node::Input(_)
        | Node::Dense(_)
        | Node::Iota(_)
        | Node::Reduce(..)
        | Node::Permute(..)
        | Node::Reshape(..)
        | Node::Slice(..)
        | Node::Concat(..)
        | Node::MatMul(_)
        | Node::Loop(_)
        | Node::Project(..)
        | Node::Custom(..)
        | Node::Barrier(_) => false,
    }
}

/// Which sizes are equal in every call that is made.
#[derive(Default)]
struct Sizes {
    /// For each size, one that it equals; the last of such a chain stands for all.
    equals: FxHashMap<Dim, Dim>,
}

impl Sizes {
    fn learn(&mut self, constraints: &[Constraint]) {
        for constraint in constraints {
            if let Constraint::Equal(a, b) = constraint {
                let (a, b) = (self.last(a), self.last(b));
                if a != b {
                    self.equals.insert(a, b);
                }
            }
        }
    }

    fn last(&self, size: &Dim) -> Dim {
        let mut size = size;
        while let Some(other) = self.equals.get(size) {
            size = other;
        }
        size.clone()
    }

    fn are_equal(&self, a: &Shape, b: &Shape) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.last(a) == self.last(b))
    }
}

/// The same loop with everything that moves in the shape of the elements; `None` if it has it already.
#[track_caller]
pub(super) fn widened(body: &Body, active: &[bool], shape: &Shape) -> Option<Body> {
    let Node::Loop(node) = body.made.node() else { return None };
    let (states, rows) = (node.initial.len(), node.sequences.len());
    let row = |place: usize| &node.body.parameters[states + place];
    let small_row = |place: &usize| active[states + place] && is_smaller(row(*place), shape);
    let small = |place: &usize| active[states + rows + place] && is_smaller(&body.captured[*place].0, shape);
    let wide_rows: Vec<bool> = (0..rows).map(|place| small_row(&place)).collect();
    if !wide_rows.contains(&true) && !(0..body.captured.len()).any(|place| small(&place)) {
        return None;
    }
    let mut fresh: Vec<Expr> = node.body.parameters.iter().map(|old| fresh_parameter(old.ty().clone())).collect();
    let mut sequences = node.sequences.clone();
    for place in (0..rows).filter(|&place| wide_rows[place]) {
        fresh[states + place] = fresh_parameter(Type { dtype: row(place).dtype(), shape: shape.clone() });
        sequences[place] = wide_sequence(&sequences[place], shape);
    }
    let mut own = Substitution::new(parameters(node));
    for (old, new) in node.body.parameters.iter().zip(&fresh) {
        own.replace(old, new.clone());
    }
    let mut captured = body.captured.clone();
    for place in (0..captured.len()).filter(small) {
        let (value, handles) = &mut captured[place];
        let wide = views::fill(value, shape);
        for handle in std::mem::take(handles) {
            own.replace(&handle, wide.clone());
        }
        *value = wide;
    }
    let results = node.body.results.iter().map(|result| own.apply(result)).collect();
    let node = Loop { sequences, body: Region { parameters: fresh, results }, ..(**node).clone() };
    Some(Body::new(node, body.made.clone(), body.outer.clone(), captured, body.depth))
}

/// Whether an operand of the elements is repeated for them.
fn is_smaller(x: &Expr, shape: &Shape) -> bool {
    x.rank() < shape.len() || x.dims().iter().zip(shape).any(|(size, whole)| size.is_one() && !whole.is_one())
}

/// The shape of the rows of a sequence, aligned with elements, behind the axis of steps.
fn aligned(sequence: &Expr, rank: usize) -> Shape {
    let mut shape = sequence.dims().clone();
    shape.insert_many(1, std::iter::repeat_n(Dim::ONE, rank + 1 - sequence.rank()));
    shape
}

#[track_caller]
fn wide_sequence(sequence: &Expr, shape: &Shape) -> Expr {
    let whole: Shape = sequence.dims().first().into_iter().chain(shape).cloned().collect();
    views::fill(&views::reshape(sequence, aligned(sequence, shape.len())), &whole)
}

/// The adjoint of a sequence from that of what it was made into.
#[track_caller]
pub(super) fn narrowed(adjoint: &Expr, sequence: &Expr) -> Expr {
    let summed = views::sum_to(adjoint, &aligned(sequence, adjoint.rank() - 1));
    views::reshape(&summed, sequence.dims().clone())
}
