//! Values whose derivatives are not those of their nodes, in both modes.
//!
//! What the user gave is a pullback. In reverse mode it is what is needed. Forward mode needs its transpose, which reverse
//! mode makes: a pullback is linear in the cotangents u, so the tangent of the values for the tangents t of the operands
//! is d/du Σ pullback(u) · t. That is linear in t in turn, so many directions are pushed through it as through any
//! other expression.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::autodiff::forward::push_forward;
use crate::autodiff::guards::{self, Guard};
use crate::autodiff::reverse::{Adjoint, Sweep, cleaned, pull_back, zeros_like};
use crate::autodiff::tape::{Role, Tape};
use crate::autodiff::{number, views};
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::expr::derivation::Derivation;
use crate::expr::substitute::depends;
use crate::graph::Node;
use crate::ops::ReduceOp;
use crate::shape::{InputId, Shape};

impl Sweep {
    /// Keeps the adjoint of one value until those of all are there.
    pub(super) fn note_value(&mut self, all: usize, index: usize, adjoint: &Adjoint) {
        let values = self.values.entry(all).or_default();
        values.resize(values.len().max(index + 1), None);
        values[index] = Some(adjoint.clone());
    }

    /// Hands the adjoints of the values of a derivation on to its operands.
    #[track_caller]
    pub(super) fn pull_back_values(&mut self, all: usize, derivation: &Arc<Derivation>) -> Result<()> {
        let Some(mut adjoints) = self.values.remove(&all) else { return Ok(()) };
        adjoints.resize(derivation.results().len(), None);
        let numbers = self.tape.entries[all].operands.clone();
        let active: Vec<bool> = numbers.iter().map(|&number| self.active[number]).collect();
        let contributions = by_pullback(derivation, &adjoints, &active)?;
        for (number, contribution) in numbers.into_iter().zip(contributions) {
            if let Some(contribution) = contribution {
                self.contribute(number, contribution);
            }
        }
        Ok(())
    }
}

/// What a pullback contributes to the operands.
#[track_caller]
fn by_pullback(
    derivation: &Arc<Derivation>,
    adjoints: &[Option<Adjoint>],
    active: &[bool],
) -> Result<Vec<Option<Adjoint>>> {
    check_captured(derivation, active)?;
    let guard = common_guard(adjoints);
    let cotangent = |(value, adjoint): (&Expr, &Option<Adjoint>)| match adjoint {
        Some(adjoint) => views::fill(&cleaned(adjoint.clone()).value, value.dims()),
        None => zeros_like(value),
    };
    let cotangents: Vec<Expr> = derivation.results().iter().zip(adjoints).map(cotangent).collect();
    let made = derivation.pulled_back(&cotangents).unwrap_or_default().into_iter().zip(active);
    let contribution = |value: Expr| Adjoint { value, guard: guard.clone(), multiplied: true };
    Ok(made.map(|(value, active)| active.then(|| contribution(value))).collect())
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
    match derivation.captured.iter().zip(active).find(|&(_, &active)| active) {
        None => Ok(()),
        Some((culprit, _)) => Err(Error::Unsupported(format!(
            "the derivative of `{}` (called at {}) with respect to `{culprit}`, which its values use but which is not \
             among its operands: make it an operand, or take it for constant with `.stop_gradient()`",
            derivation.function, derivation.origin
        ))),
    }
}

/// The tangent of one value from those of the operands.
#[track_caller]
pub(super) fn tangent_of_value(
    tape: &Tape,
    all: usize,
    index: usize,
    tangents: &[Option<Expr>],
    directions: &Shape,
) -> Result<Option<Expr>> {
    let Role::Values(derivation) = &tape.entries[all].role else {
        return Err(Error::Internal(format!("entry {all} is not one of values")));
    };
    let tangents: Vec<&Option<Expr>> = tape.entries[all].operands.iter().map(|&number| &tangents[number]).collect();
    check_captured(derivation, &tangents.iter().map(|tangent| tangent.is_some()).collect::<Vec<bool>>())?;
    let unknown = |like: &Expr| Expr::build(Node::Parameter(InputId::new(), like.ty().clone()));
    let cotangent = unknown(&derivation.results()[index]);
    let mut cotangents: Vec<Expr> = derivation.results().iter().map(zeros_like).collect();
    cotangents[index] = cotangent.clone();
    let pulled_back = derivation.pulled_back(&cotangents).unwrap_or_default();
    let mut sum = number(cotangent.dtype(), 0.0);
    let mut seeds = Vec::new();
    for (pulled_back, tangent) in pulled_back.iter().zip(tangents) {
        if let Some(tangent) = tangent {
            let direction = unknown(pulled_back);
            sum += (pulled_back * &direction).sum(..).cast_to(cotangent.dtype());
            seeds.push((direction, tangent.clone()));
        }
    }
    if seeds.is_empty() {
        return Ok(None);
    }
    let along = pull_back(&sum, number(cotangent.dtype(), 1.0), std::slice::from_ref(&cotangent))?.remove(0);
    let Some(tangent) = push_forward(&along, &seeds, directions)? else { return Ok(None) };
    let unknowns: Vec<Expr> = seeds.into_iter().map(|(direction, _)| direction).chain([cotangent]).collect();
    if depends(std::slice::from_ref(&tangent), &unknowns) {
        return Err(Error::Unsupported(format!(
            "the forward derivative of `{}` (called at {}): its cotangents are not linear in those of its values, so \
             only reverse mode (`grad`, `vjp`) can use them; `jvp`, `jacobian` and `hessian` transpose them",
            derivation.function, derivation.origin
        )));
    }
    Ok(Some(tangent))
}
