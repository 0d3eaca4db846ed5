//! Reverse mode: from the result backwards, each node once, adding up what its users contribute to its adjoint.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::autodiff::guards::{self, Guard, Guards};
use crate::autodiff::partial::Partial;
use crate::autodiff::tape::{Entry, Role, Tape};
use crate::autodiff::{reductions, rules, stable, views, zeros};
use crate::error::{Error, Result};
use crate::expr::Expr;
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

pub(super) struct Sweep {
    pub tape: Tape,
    pub active: Vec<bool>,
    is_target: Vec<bool>,
    /// Whether nothing is passed on from targets, and they keep their guards.
    closed: bool,
    guards: Guards,
    /// For each node, the contributions of the users that have been visited.
    pending: Vec<SmallVec<[Adjoint; 2]>>,
    /// The adjoints of the values of a derivation, by the number of the entry of all.
    pub values: FxHashMap<usize, Vec<Option<Adjoint>>>,
}

/// The adjoints of some inputs, given that of `f`.
#[track_caller]
pub(super) fn pull_back(f: &Expr, cotangent: Expr, inputs: &[Expr]) -> Result<Vec<Expr>> {
    let output = (f.clone(), Adjoint { value: cotangent, guard: None, multiplied: false });
    let found = sweep(vec![output], inputs, false)?;
    let adjoints = inputs.iter().zip(found);
    Ok(adjoints.map(|(input, found)| found.map_or_else(|| zeros_like(input), |adjoint| adjoint.value)).collect())
}

#[track_caller]
pub(super) fn zeros_like(expr: &Expr) -> Expr {
    zeros(expr.dtype(), expr.dims().clone())
}

/// The adjoints of some inputs, given those of some outputs; none for inputs that no output depends on. If it is
/// `closed`, an input that is made of others passes nothing on to them.
#[track_caller]
pub(super) fn sweep(outputs: Vec<(Expr, Adjoint)>, inputs: &[Expr], closed: bool) -> Result<Vec<Option<Adjoint>>> {
    let (roots, adjoints): (Vec<Expr>, Vec<Adjoint>) = outputs.into_iter().unzip();
    let (roots, inputs) = stable::stabilized(Tape::default(), &roots, inputs);
    let mut tape = Tape::default();
    let roots: Vec<usize> = roots.iter().map(|root| tape.add(root)).collect();
    let targets: Vec<usize> = inputs.iter().map(|input| tape.add(input)).collect();
    let count = tape.entries.len();
    let mut is_target = vec![false; count];
    for &target in &targets {
        is_target[target] = true;
    }
    let active = tape.active(&targets);
    let (guards, pending) = (Guards::default(), vec![SmallVec::new(); count]);
    let mut sweep = Sweep { tape, active, is_target, closed, guards, pending, values: FxHashMap::default() };
    for (&root, adjoint) in roots.iter().zip(adjoints) {
        sweep.pending[root].push(adjoint);
    }
    let mut found: Vec<Option<Adjoint>> = vec![None; count];
    for number in (0..=roots.into_iter().max().unwrap_or(0)).rev() {
        sweep.enter(number, &mut found)?;
    }
    Ok(targets.iter().map(|&target| found[target].clone()).collect())
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

impl Sweep {
    /// Deals with an entry whose users have all been visited.
    #[track_caller]
    fn enter(&mut self, number: usize, found: &mut [Option<Adjoint>]) -> Result<()> {
        if let Role::Values(derivation) = self.tape.entries[number].role.clone() {
            return self.pull_back_values(number, &derivation);
        }
        let Some(adjoint) = self.collect(number) else { return Ok(()) };
        if self.is_target[number] {
            found[number] = Some(adjoint.clone());
            if self.closed {
                return Ok(());
            }
        }
        self.visit(number, &adjoint)
    }

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
        if self.is_target[number] && !self.closed {
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
    pub(super) fn contribute(&mut self, number: usize, contribution: Adjoint) {
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
        let Entry { expr: result, operands: numbers, role } = self.tape.entries[number].clone();
        if let Role::Value(index) = role {
            self.note_value(numbers[0], index, adjoint);
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

/// That there is no derivative of a node.
pub(super) fn no_rule(result: &Expr) -> Error {
    let name = match result.node() {
        Node::Project(..) => "loop",
        node => node.name(),
    };
    Error::Unsupported(format!(
        "the derivative of `{}`, which gives {} (built at {}): Kroton cannot look into it; take it for a constant with \
         `.stop_gradient()`, or leave out what it depends on",
        name,
        describe(result.ty()),
        result.origin()
    ))
}
