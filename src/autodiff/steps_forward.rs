//! Forward mode through a loop: the same loop with the tangents of states as further states.
//!
//! The tangents of sequences are further sequences, those of what a step emits are emitted beside it. What does not move
//! has no tangent. A guard stops a tangent with its state: the axes of directions are in front, where it broadcasts.

use crate::autodiff::body::Body;
use crate::autodiff::{forward, views, zeros};
use crate::error::Result;
use crate::expr::Expr;
use crate::expr::region::{fresh_parameter, parameters};
use crate::expr::substitute::Substitution;
use crate::graph::{Loop, Node, Region, Type};
use crate::shape::Shape;

/// The tangents of the results of a loop from those of what it takes from outside, in the order of `Body::outer`.
#[track_caller]
pub(super) fn push(body: &Body, outer: &[Option<Expr>], directions: &Shape) -> Result<Vec<Option<Expr>>> {
    let flags: Vec<bool> = outer.iter().map(Option::is_some).collect();
    let moved = body.moved(&flags);
    let (states, rows) = (body.node.initial.len(), body.node.sequences.len());
    let mut tangents: Vec<Option<Expr>> = Vec::new();
    for (place, outer) in outer.iter().enumerate() {
        tangents.push(match outer {
            _ if place < states => moved[place].then(|| parameter_like(&body.node.body.parameters[place], directions)),
            Some(_) if place < states + rows => Some(parameter_like(&body.node.body.parameters[place], directions)),
            outer => outer.clone(),
        });
    }
    let seeds = body.inner.iter().zip(&tangents).filter_map(|(&number, seed)| Some((number, seed.clone()?))).collect();
    let found = forward::sweep(&body.tape, &body.results, seeds, directions)?;
    let new: Vec<Option<Expr>> = moved[..body.results.len()]
        .iter()
        .zip(&body.node.body.results)
        .zip(found)
        .map(|((moved, result), found)| moved.then(|| found.unwrap_or_else(|| zeros_like(result, directions))))
        .collect();
    let made = Expr::build_at(
        Node::Loop(Box::new(widened(body, outer, &tangents, &new, directions))),
        false,
        body.made.origin(),
    );
    Ok(results(body, &made, &moved, directions))
}

fn shape_behind(x: &Expr, directions: &Shape) -> Shape {
    directions.iter().chain(x.dims()).cloned().collect()
}

#[track_caller]
fn parameter_like(x: &Expr, directions: &Shape) -> Expr {
    fresh_parameter(Type { dtype: x.dtype(), shape: shape_behind(x, directions) })
}

#[track_caller]
fn zeros_like(x: &Expr, directions: &Shape) -> Expr {
    zeros(x.dtype(), shape_behind(x, directions))
}

/// The loop with the tangents: `tangents` are those in the body, `new` those of the results of a step.
#[track_caller]
fn widened(
    body: &Body,
    outer: &[Option<Expr>],
    tangents: &[Option<Expr>],
    new: &[Option<Expr>],
    directions: &Shape,
) -> Loop<Expr> {
    let node = &body.node;
    let (states, rows, lead) = (node.initial.len(), node.sequences.len(), directions.len());
    let mut own = Substitution::new(parameters(node));
    let fresh: Vec<Expr> = node.body.parameters.iter().map(|old| fresh_parameter(old.ty().clone())).collect();
    for (old, new) in node.body.parameters.iter().zip(&fresh) {
        own.replace(old, new.clone());
    }
    let first = |state: usize| outer[state].clone().unwrap_or_else(|| zeros_like(&node.initial[state], directions));
    let moving = || (0..states).filter(|&state| tangents[state].is_some());
    let initial = node.initial.iter().cloned().chain(moving().map(first)).collect();
    // The axis of steps comes first.
    let in_steps =
        |tangent: &Expr| views::permute(tangent, [lead].into_iter().chain(0..lead).chain(lead + 1..tangent.rank()));
    let moving_sequences = outer[states..states + rows].iter().flatten().map(in_steps);
    let sequences = node.sequences.iter().cloned().chain(moving_sequences).collect();
    let parameters = fresh[..states].iter().chain(tangents[..states].iter().flatten());
    let parameters =
        parameters.chain(&fresh[states..states + rows]).chain(tangents[states..states + rows].iter().flatten());
    let parameters = parameters.chain(&fresh[states + rows..]).cloned().collect();
    let results = node.next().iter().chain(new[..states].iter().flatten()).chain(new[states..].iter().flatten());
    let results = results.map(|result| own.apply(result)).collect();
    Loop { count: node.count.clone(), guarded: node.guarded, initial, sequences, body: Region { parameters, results } }
}

/// The tangents of the results of the loop that was made.
#[track_caller]
fn results(body: &Body, made: &Expr, moved: &[bool], directions: &Shape) -> Vec<Option<Expr>> {
    let (states, lead) = (body.node.initial.len(), directions.len());
    let mut next = states;
    let mut tangents = Vec::new();
    for (result, moved) in moved.iter().enumerate() {
        tangents.push(moved.then(|| {
            let tangent = Expr::build_at(Node::Project(next as u32, made.clone()), false, made.origin());
            next += 1;
            if result < states {
                tangent
            } else {
                views::permute(&tangent, (1..=lead).chain([0]).chain(lead + 1..tangent.rank()))
            }
        }));
    }
    tangents
}
