//! Values whose derivatives are not those of their nodes, in both modes.
//!
//! What the user gave is a pullback. In reverse mode it is what is needed. Forward mode needs its transpose, which reverse
//! mode makes: a pullback is linear in the cotangents u, so the tangent of the values for the tangents t of the operands
//! is d/du Σ pullback(u) · t. That is linear in t in turn, so many directions are pushed through it as through any
//! other expression.

use std::sync::Arc;

use rustc_hash::FxHashSet;
use smallvec::SmallVec;

use crate::autodiff::forward::push_forward;
use crate::autodiff::guards::{self, Guard};
use crate::autodiff::reverse::{Adjoint, cleaned, pull_back};
use crate::autodiff::tape::Tape;
use crate::autodiff::{forward, linearity, number, reverse, stable, views, zeros};
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::expr::derivation::Derivation;
use crate::expr::region::fresh_parameter;
use crate::graph::Node;
use crate::ops::ReduceOp;
use crate::shape::Shape;

/// What the adjoints of the values of an entry contribute to those of operands and of what the values captured, by their
/// entries.
#[track_caller]
pub(super) fn pull(
    tape: &Tape,
    all: usize,
    derivation: &Arc<Derivation>,
    active: &[bool],
    adjoints: Vec<Option<Adjoint>>,
) -> Result<Vec<(usize, Adjoint)>> {
    let found = if derivation.is_given() {
        by_pullback(derivation, active, &adjoints)?
    } else {
        by_recomputing(tape, derivation, active, adjoints)?
    };
    let operands = tape.entries[all].operands.iter().copied();
    Ok(operands.zip(found).filter_map(|(operand, found)| Some((operand, found?))).collect())
}

#[track_caller]
fn by_pullback(
    derivation: &Arc<Derivation>,
    active: &[bool],
    adjoints: &[Option<Adjoint>],
) -> Result<Vec<Option<Adjoint>>> {
    check_captured(derivation, active)?;
    let guard = common_guard(adjoints);
    let cotangent = |(index, value): (usize, &Expr)| match adjoints.get(index).cloned().flatten() {
        Some(adjoint) => views::fill(&cleaned(adjoint).value, value.dims()),
        None => zeros_like(value),
    };
    let cotangents: Vec<Expr> = derivation.plain().iter().enumerate().map(cotangent).collect();
    let pulled_back = derivation.pulled_back(&cotangents).unwrap_or_default().into_iter().zip(active);
    let contribution = |value| Adjoint { value, guard: guard.clone(), multiplied: true };
    Ok(pulled_back.map(|(value, active)| active.then(|| contribution(value))).collect())
}

#[track_caller]
fn by_recomputing(
    tape: &Tape,
    derivation: &Derivation,
    active: &[bool],
    adjoints: Vec<Option<Adjoint>>,
) -> Result<Vec<Option<Adjoint>>> {
    let behind = |x: Expr, adjoint: &Adjoint| Expr::build(Node::Barrier([x, adjoint.value.clone()]));
    // An integer may be a size, which is known before anything is computed, and takes no memory.
    let is_free = |x: &Expr| x.rank() == 0 && x.dtype().is_integer();
    let held = |x: &Expr| if is_free(x) { x.clone() } else { adjoints.iter().flatten().fold(x.clone(), behind) };
    let operands: Vec<Expr> = derivation.operands.iter().map(held).collect();
    let values = derivation.recomputed(&operands);
    let leaves = [operands.as_slice(), derivation.captured()].concat();
    let Inside { tape, leaves, values } = Inside::new(tape, &leaves, &values);
    let marked = leaves.iter().zip(active).filter(|(_, active)| **active);
    let moving: Vec<usize> = marked.map(|(&leaf, _)| leaf).collect();
    let seeds = values.into_iter().zip(adjoints).filter_map(|(value, adjoint)| Some((value, adjoint?))).collect();
    let found = reverse::sweep(&tape, &moving, vec![false; tape.entries.len()], seeds)?;
    Ok(leaves.iter().zip(active).map(|(&leaf, active)| if *active { found[leaf].clone() } else { None }).collect())
}

/// A body on a tape that ends at what it is a function of.
struct Inside {
    tape: Tape,
    leaves: Vec<usize>,
    values: Vec<usize>,
}

impl Inside {
    fn new(around: &Tape, leaves: &[Expr], values: &[Expr]) -> Inside {
        let (values, _) = stable::stabilized(around.ending_at(leaves), values, leaves);
        let mut tape = around.ending_at(leaves);
        let leaves = leaves.iter().map(|leaf| tape.add(leaf)).collect();
        let values = values.iter().map(|value| tape.add(value)).collect();
        tape.open();
        Inside { tape, leaves, values }
    }
}

#[track_caller]
fn zeros_like(value: &Expr) -> Expr {
    zeros(value.dtype(), value.dims().clone())
}

/// Whether any value is looked at at all: which elements of an operand a pullback takes an element to is not known.
#[track_caller]
fn common_guard(adjoints: &[Option<Adjoint>]) -> Guard {
    let whole = |guard: &Expr| {
        let axes: SmallVec<[u32; 3]> = (0..guard.rank() as u32).collect();
        if axes.is_empty() { guard.clone() } else { guard.reduce(ReduceOp::Any, axes) }
    };
    let mut guards = adjoints.iter().flatten().map(|adjoint| adjoint.guard.as_ref().map(whole));
    let first = guards.next()?;
    guards.fold(first, |all, guard| guards::either(&all, &guard))
}

/// Refuses derivatives with respect to what values use beside their operands.
fn check_captured(derivation: &Derivation, active: &[bool]) -> Result<()> {
    let active = &active[derivation.operands.len()..];
    match derivation.captured().iter().zip(active).find(|&(_, &active)| active) {
        None => Ok(()),
        Some((culprit, _)) => Err(Error::Unsupported(format!(
            "the derivative of `{}` (called at {}) with respect to `{culprit}`, which its values use but which is not \
             among its operands: make it an operand, or take it for constant with `.stop_gradient()`",
            derivation.function, derivation.origin
        ))),
    }
}

/// The tangents of the values from those of operands and of what the values captured.
#[track_caller]
pub(super) fn push(
    tape: &Tape,
    all: usize,
    derivation: &Arc<Derivation>,
    operands: &[Option<Expr>],
    directions: &Shape,
) -> Result<Vec<Option<Expr>>> {
    if !derivation.is_given() {
        return through(tape, derivation, operands, directions);
    }
    check_captured(derivation, &operands.iter().map(Option::is_some).collect::<Vec<bool>>())?;
    let tangent = |index: usize| {
        if tape.has_value(all, index) { transposed(derivation, index, operands, directions) } else { Ok(None) }
    };
    (0..derivation.plain().len()).map(tangent).collect()
}

/// The tangents of values that are those of the body.
#[track_caller]
fn through(
    tape: &Tape,
    derivation: &Derivation,
    operands: &[Option<Expr>],
    directions: &Shape,
) -> Result<Vec<Option<Expr>>> {
    let leaves = [derivation.operands.as_slice(), derivation.captured()].concat();
    let Inside { tape, leaves, values } = Inside::new(tape, &leaves, derivation.plain());
    let mut seeds: Vec<(usize, Expr)> = Vec::new();
    for (leaf, tangent) in leaves.into_iter().zip(operands) {
        // An operand may be given twice.
        if let Some(tangent) = tangent.as_ref().filter(|_| seeds.iter().all(|(other, _)| *other != leaf)) {
            seeds.push((leaf, tangent.clone()));
        }
    }
    forward::sweep(&tape, &values, seeds, directions)
}

/// A part of a pullback that is not linear in the cotangents.
fn crooked(derivation: &Arc<Derivation>) -> Option<Expr> {
    let cotangents: Vec<Expr> = derivation.plain().iter().map(|result| fresh_parameter(result.ty().clone())).collect();
    let unknown = cotangents.iter().filter_map(|cotangent| match cotangent.node() {
        Node::Parameter(id, _) => Some(*id),
        _ => None,
    });
    let unknown = FxHashSet::from_iter(unknown);
    derivation.pulled_back(&cotangents)?.iter().find_map(|pulled_back| linearity::breach(pulled_back, &unknown))
}

/// The tangent of one value, by the pullback transposed.
#[track_caller]
fn transposed(
    derivation: &Arc<Derivation>,
    index: usize,
    operands: &[Option<Expr>],
    directions: &Shape,
) -> Result<Option<Expr>> {
    let cotangent = fresh_parameter(derivation.plain()[index].ty().clone());
    let mut cotangents: Vec<Expr> = derivation.plain().iter().map(zeros_like).collect();
    cotangents[index] = cotangent.clone();
    let pulled_back = derivation.pulled_back(&cotangents).unwrap_or_default();
    if let Some(part) = crooked(derivation) {
        return Err(Error::Unsupported(format!(
            "the forward derivative of `{}` (called at {}): its cotangents are not linear in those of its values (see `{part}`, \
             built at {}), so only reverse mode (`grad`, `vjp`) can use them; `jvp`, `jacobian` and `hessian` transpose them",
            derivation.function,
            derivation.origin,
            part.origin()
        )));
    }
    let mut sum = number(cotangent.dtype(), 0.0);
    let mut seeds = Vec::new();
    for (pulled_back, tangent) in pulled_back.iter().zip(operands) {
        if let Some(tangent) = tangent {
            let direction = fresh_parameter(pulled_back.ty().clone());
            sum += (pulled_back * &direction).sum(..).cast_to(cotangent.dtype());
            seeds.push((direction, tangent.clone()));
        }
    }
    let along = pull_back(&sum, number(cotangent.dtype(), 1.0), std::slice::from_ref(&cotangent))?.remove(0);
    push_forward(&along, &seeds, directions)
}
