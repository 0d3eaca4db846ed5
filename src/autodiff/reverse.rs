//! Reverse mode: from the result backwards, each node once, adding up what its users contribute to its adjoint.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::autodiff::guards::{self, Guard, Guards};
use crate::autodiff::partial::Partial;
use crate::autodiff::tape::{Entry, Role, Tape};
use crate::autodiff::{derived, reductions, rules, stable, steps_reverse, views, zeros};
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::graph::regions::DEEPEST;
use crate::graph::{Node, describe};
use crate::shape::Dim;

/// What one user of a node, or all of them, say about its adjoint.
#[derive(Clone)]
pub(super) struct Adjoint {
    pub value: Expr,
    /// Where it may differ from zero.
    pub guard: Guard,
    /// Whether it may be NaN where the guard does not hold, since it was multiplied on the way.
    pub multiplied: bool,
}

struct Sweep<'a> {
    tape: &'a Tape,
    active: Vec<bool>,
    /// What is handed out as it is, and so holds everywhere.
    is_target: Vec<bool>,
    guards: Guards,
    /// For each node, the contributions of the users that have been visited.
    pending: Vec<SmallVec<[Adjoint; 2]>>,
    /// The adjoints of the results of each loop, and of the values of each derivation.
    results: FxHashMap<usize, Vec<Option<Adjoint>>>,
}

/// The adjoints of some inputs, given that of `f`.
#[track_caller]
pub(super) fn pull_back(f: &Expr, cotangent: Expr, inputs: &[Expr]) -> Result<Vec<Expr>> {
    let (roots, inputs) = stable::stabilized(Tape::default(), std::slice::from_ref(f), inputs);
    let mut tape = Tape::default();
    let seed = Adjoint { value: cotangent, guard: None, multiplied: false };
    let seeds = roots.iter().map(|root| (tape.add(root), seed.clone())).collect();
    let targets: Vec<usize> = inputs.iter().map(|input| tape.add(input)).collect();
    tape.open();
    let mut is_target = vec![false; tape.entries.len()];
    for &target in &targets {
        is_target[target] = true;
    }
    let found = sweep(&tape, &targets, is_target, seeds)?;
    let mut adjoints = Vec::new();
    for (input, &target) in inputs.iter().zip(&targets) {
        adjoints.push(match &found[target] {
            Some(adjoint) => adjoint.value.clone(),
            None => zeros(input.dtype(), input.dims().clone()),
        });
    }
    Ok(adjoints)
}

/// The adjoints of what moves with some nodes of a tape, given those of others. A target holds everywhere.
#[track_caller]
pub(super) fn sweep(
    tape: &Tape,
    moving: &[usize],
    is_target: Vec<bool>,
    seeds: Vec<(usize, Adjoint)>,
) -> Result<Vec<Option<Adjoint>>> {
    let count = tape.entries.len();
    let (active, pending) = (tape.active(moving), vec![SmallVec::new(); count]);
    let (guards, results) = (Guards::default(), FxHashMap::default());
    let mut sweep = Sweep { tape, active, is_target, guards, pending, results };
    for (number, seed) in seeds {
        sweep.pending[number].push(seed);
    }
    let mut found: Vec<Option<Adjoint>> = vec![None; count];
    for number in (0..count).rev() {
        if let Some(results) = sweep.results.remove(&number) {
            sweep.visit_results(number, results)?;
        } else if let Some(adjoint) = sweep.collect(number) {
            sweep.visit(number, &adjoint)?;
            found[number] = Some(adjoint);
        }
    }
    Ok(found)
}

/// An adjoint that is zero where its guard does not hold.
#[track_caller]
pub(super) fn cleaned(adjoint: Adjoint) -> Adjoint {
    match &adjoint.guard {
        Some(guard) if adjoint.multiplied => {
            Adjoint { value: guard.select(&adjoint.value, 0.0), multiplied: false, ..adjoint }
        }
        Some(_) | None => adjoint,
    }
}

impl Sweep<'_> {
    /// The adjoint of a node whose users have all been visited; `None` if it has none.
    #[track_caller]
    fn collect(&mut self, number: usize) -> Option<Adjoint> {
        let contributions = std::mem::take(&mut self.pending[number]);
        if !self.active[number] {
            return None;
        }
        let mut guard = contributions.first()?.guard.clone();
        for contribution in &contributions {
            guard = guards::either(&guard, &contribution.guard);
        }
        if self.is_target[number] {
            // What is handed to the user holds everywhere.
            guard = None;
        }
        let mut sum: Option<Adjoint> = None;
        for contribution in contributions {
            let stays = guards::is_same(&contribution.guard, &guard);
            let Adjoint { value, multiplied, .. } = if stays { contribution } else { cleaned(contribution) };
            let (value, multiplied) = match sum {
                None => (value, multiplied),
                Some(sum) => (sum.value + value, sum.multiplied || multiplied),
            };
            sum = Some(Adjoint { value, multiplied, guard: guard.clone() });
        }
        sum
    }

    /// Adds a contribution to the adjoint of a node; one that is larger is summed over what was repeated.
    #[track_caller]
    fn contribute(&mut self, number: usize, contribution: Adjoint) {
        let shape = self.tape.entries[number].expr.dims();
        let mut contribution = contribution;
        if views::is_larger(&contribution.value, shape) {
            let Adjoint { value, guard, multiplied } = cleaned(contribution);
            let guard = match guard {
                Some(guard) if views::is_larger(&guard, shape) => {
                    Some(views::sum_to(&views::fill(&guard, value.dims()), shape))
                }
                guard => guard,
            };
            contribution = Adjoint { value: views::sum_to(&value, shape), guard, multiplied };
        }
        self.pending[number].push(contribution);
    }

    /// The contribution of a partial derivative, if there is one.
    #[track_caller]
    fn multiply(&mut self, partial: &Partial, adjoint: &Adjoint) -> Option<Adjoint> {
        let value = partial.apply(&adjoint.value)?;
        let outer = &adjoint.guard;
        let guard = match partial {
            Partial::Where { condition, is } => self.guards.enter(outer, condition, *is),
            Partial::Share { wins, ties } => self.guards.enter(outer, &(wins | ties), true),
            Partial::Pick { mask, .. } => self.guards.enter(outer, mask, true),
            Partial::Zero | Partial::One | Partial::Minus | Partial::Factor(_) | Partial::Over(_) => outer.clone(),
        };
        // A guard without another around it has just made zeros.
        let begins = outer.is_none() && guard.is_some();
        Some(Adjoint { value, guard, multiplied: (adjoint.multiplied && !begins) || partial.multiplies() })
    }

    /// Hands the adjoint of a node on to its operands.
    #[track_caller]
    fn visit(&mut self, number: usize, adjoint: &Adjoint) -> Result<()> {
        let Entry { expr: result, operands: numbers, is_leaf, role } = self.tape.entries[number].clone();
        let index = match (role, result.node()) {
            (Role::Value(index), _) => Some(index),
            (Role::Node, Node::Project(index, _)) if !is_leaf => Some(*index as usize),
            (Role::Node | Role::Values(_), _) => None,
        };
        if let Some(index) = index {
            let results = self.results.entry(numbers[0]).or_default();
            results.resize(results.len().max(index + 1), None);
            results[index] = Some(adjoint.clone());
            return Ok(());
        }
        let mut operands: SmallVec<[Expr; 3]> = SmallVec::new();
        for &number in &numbers {
            operands.push(self.tape.entries[number].expr.clone());
        }
        let mut start = Dim::ZERO;
        for (position, &number) in numbers.iter().enumerate() {
            if self.active[number]
                && let Some(contribution) = self.contribution(&result, &operands, position, &start, adjoint)?
            {
                self.contribute(number, contribution);
            }
            if let Node::Concat(axis, _) = result.node() {
                start = start.add(&operands[position].dims()[*axis as usize]);
            }
        }
        Ok(())
    }

    /// Hands the adjoints of the results of a loop, or of the values of a derivation, on to what these take from outside.
    #[track_caller]
    fn visit_results(&mut self, number: usize, results: Vec<Option<Adjoint>>) -> Result<()> {
        let entry = &self.tape.entries[number];
        let contributions = if let Role::Values(derivation) = &entry.role {
            let active: Vec<bool> = entry.operands.iter().map(|&operand| self.active[operand]).collect();
            derived::pull(self.tape, number, derivation, &active, results)?
        } else {
            let Some(body) = self.tape.body(number) else { return Err(too_deep(&entry.expr)) };
            let active = body.flags(&self.active);
            steps_reverse::pull(&body, &active, results)?
        };
        for (outer, contribution) in contributions {
            self.contribute(outer, contribution);
        }
        Ok(())
    }

    /// What the adjoint of a node contributes to one operand; `start` is where it begins in a concatenation.
    #[track_caller]
    fn contribution(
        &mut self,
        result: &Expr,
        operands: &[Expr],
        position: usize,
        start: &Dim,
        adjoint: &Adjoint,
    ) -> Result<Option<Adjoint>> {
        let x = &operands[position];
        match result.node() {
            Node::Unary(op, _) => Ok(self.multiply(&rules::unary(*op, x, result), adjoint)),
            Node::Binary(op, _) => {
                let partial = rules::binary(*op, position == 0, [&operands[0], &operands[1]], result);
                Ok(self.multiply(&partial, adjoint))
            }
            Node::Ternary(op, _) => {
                let partial = rules::ternary(*op, position, [&operands[0], &operands[1], &operands[2]]);
                Ok(self.multiply(&partial, adjoint))
            }
            Node::Barrier(_) => Ok((position == 0).then(|| adjoint.clone())),
            Node::Cast(..) => Ok(Some(Adjoint { value: adjoint.value.cast_to(x.dtype()), ..adjoint.clone() })),
            Node::Reduce(op, axes, _) => {
                let kept = moved(result, operands, position, start, adjoint)?;
                let Some(spread) = self.multiply(&reductions::reduction(*op, axes, x, result), &kept) else {
                    return Ok(None);
                };
                Ok(Some(Adjoint { value: views::fill(&spread.value, x.dims()), ..spread }))
            }
            Node::Permute(..)
            | Node::Reshape(..)
            | Node::Broadcast(..)
            | Node::Slice(..)
            | Node::Concat(..)
            | Node::MatMul(_) => moved(result, operands, position, start, adjoint).map(Some),
            Node::Loop(_) | Node::Project(..) | Node::Custom(..) => Err(no_rule(result)),
            Node::Input(_) | Node::Parameter(..) | Node::Scalar(_) | Node::Dense(_) | Node::Iota(_) | Node::Size(_) => {
                Ok(None)
            }
        }
    }
}

/// The adjoint of a node that moves elements, and its guard, in the places of an operand.
#[track_caller]
fn moved(result: &Expr, operands: &[Expr], position: usize, start: &Dim, adjoint: &Adjoint) -> Result<Adjoint> {
    // These add up what may be NaN and what is not.
    let adds = matches!(result.node(), Node::Broadcast(..) | Node::MatMul(_));
    let Adjoint { value, guard, multiplied } = if adds { cleaned(adjoint.clone()) } else { adjoint.clone() };
    let Some(value) = views::transpose(result, operands, position, start, &value) else {
        return Err(no_rule(result));
    };
    let guard = match guard {
        Some(guard) if guard.rank() > 0 => {
            views::transpose(result, operands, position, start, &views::fill(&guard, result.dims()))
        }
        guard => guard,
    };
    Ok(Adjoint { value, guard, multiplied: multiplied || matches!(result.node(), Node::MatMul(_)) })
}

/// That a loop is nested too deep.
pub(super) fn too_deep(result: &Expr) -> Error {
    Error::Unsupported(format!(
        "the derivative of a loop (built at {}): loops are nested more than {DEEPEST} deep; merge some of them",
        result.origin()
    ))
}

/// That there is no derivative of a node.
pub(super) fn no_rule(result: &Expr) -> Error {
    Error::Unsupported(format!(
        "the derivative of `{}`, which gives {} (built at {}): Kroton cannot look into it; take it for a constant with \
         `.stop_gradient()`, or leave out what it depends on",
        result.node().name(),
        describe(result.ty()),
        result.origin()
    ))
}
