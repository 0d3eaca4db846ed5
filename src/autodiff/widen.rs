//! Loops whose steps are made element by element, and what keeps their derivatives so.
//!
//! The adjoint of a number that every element uses is a sum over all of them. Taken in each step it would tie the elements
//! together, so such a loop is given the number in each element; the adjoints add up there, and are summed after the loop.

use crate::autodiff::body::Body;
use crate::autodiff::views;
use crate::expr::Expr;
use crate::expr::region::{fresh_parameter, parameters};
use crate::expr::substitute::Substitution;
use crate::graph::{Loop, Node, Region, Type};
use crate::shape::{Dim, Shape};

/// The shape of all states, if a step is made element by element.
pub(super) fn elements(body: &Body) -> Option<Shape> {
    let shape = body.node.initial.first()?.dims().clone();
    let in_shape = |x: &Expr| *x.dims() == shape;
    let fits = body.node.initial.iter().chain(&body.node.body.results).all(in_shape)
        && body.tape.entries.iter().all(|entry| entry.is_leaf || is_elementwise(&entry.expr, &shape));
    fits.then_some(shape)
}

fn is_elementwise(x: &Expr, shape: &Shape) -> bool {
    match x.node() {
        Node::Parameter(..) | Node::Unary(..) | Node::Binary(..) | Node::Ternary(..) | Node::Cast(..) => true,
        Node::Scalar(_) | Node::Size(_) => true,
        Node::Broadcast(to, _) => to == shape,
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
        | Node::Custom(..) => false,
    }
}

/// The same loop with everything that moves in the shape of the elements; `None` if it has it already.
#[track_caller]
pub(super) fn widened(body: &Body, active: &[bool], shape: &Shape) -> Option<Body> {
    let Node::Loop(node) = body.made.node() else { return None };
    let (states, rows) = (node.initial.len(), node.sequences.len());
    let row = |place: usize| &node.body.parameters[states + place];
    let small_row = |place: &usize| active[states + place] && row(*place).dims() != shape;
    let small = |place: &usize| active[states + rows + place] && body.captured[*place].0.dims() != shape;
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
