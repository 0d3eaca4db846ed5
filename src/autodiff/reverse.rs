//! Reverse mode: from the result backwards, each node once, adding up what its users contribute to its adjoint.

use smallvec::SmallVec;

use crate::autodiff::guards::{ALWAYS, Guards};
use crate::autodiff::partial::Partial;
use crate::autodiff::tape::{Entry, Tape};
use crate::autodiff::{reductions, rules, views, zeros};
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::graph::{Node, describe};
use crate::shape::Dim;

/// What one user of a node, or all of them, say about its adjoint.
#[derive(Clone)]
struct Adjoint {
    value: Expr,
    /// Where it may differ from zero.
    guard: usize,
    /// Whether it was multiplied on the way, so that it may be NaN where it should be zero.
    multiplied: bool,
}

struct Sweep {
    tape: Tape,
    active: Vec<bool>,
    is_target: Vec<bool>,
    guards: Guards,
    /// For each node, the contributions of the users that have been visited.
    pending: Vec<SmallVec<[Adjoint; 2]>>,
}

/// The adjoints of some inputs, given that of `f`.
#[track_caller]
pub(super) fn pull_back(f: &Expr, cotangent: Expr, inputs: &[Expr]) -> Result<Vec<Expr>> {
    let mut tape = Tape::default();
    let output = tape.add(f);
    let targets: Vec<usize> = inputs.iter().map(|input| tape.add(input)).collect();
    let count = tape.entries.len();
    let mut is_target = vec![false; count];
    for &target in &targets {
        is_target[target] = true;
    }
    let mut sweep = Sweep {
        active: tape.active(&targets),
        is_target,
        guards: Guards::new(),
        pending: vec![SmallVec::new(); count],
        tape,
    };
    let mut found: Vec<Option<Expr>> = vec![None; count];
    sweep.pending[output].push(Adjoint { value: cotangent, guard: ALWAYS, multiplied: false });
    for number in (0..=output).rev() {
        if let Some(adjoint) = sweep.collect(number) {
            if sweep.is_target[number] {
                found[number] = Some(adjoint.value.clone());
            }
            sweep.visit(number, &adjoint)?;
        }
    }
    let mut adjoints = Vec::new();
    for (input, &target) in inputs.iter().zip(&targets) {
        adjoints.push(match &found[target] {
            Some(adjoint) => adjoint.clone(),
            None => zeros(input.dtype(), input.dims().clone()),
        });
    }
    Ok(adjoints)
}

impl Sweep {
    /// The adjoint of a node whose users have all been visited; `None` if it has none.
    #[track_caller]
    fn collect(&mut self, number: usize) -> Option<Adjoint> {
        let contributions = std::mem::take(&mut self.pending[number]);
        if !self.active[number] {
            return None;
        }
        // What is handed to the user holds everywhere.
        let mut guard = if self.is_target[number] { ALWAYS } else { contributions.first()?.guard };
        for contribution in &contributions {
            guard = self.guards.common(guard, contribution.guard);
        }
        let mut sum: Option<Adjoint> = None;
        for contribution in contributions {
            let Adjoint { value, multiplied, .. } = self.out_to(contribution, guard);
            sum = Some(match sum {
                None => Adjoint { value, guard, multiplied },
                Some(sum) => Adjoint { value: sum.value + value, guard, multiplied: sum.multiplied || multiplied },
            });
        }
        sum
    }

    /// An adjoint under a guard further out.
    #[track_caller]
    fn out_to(&self, adjoint: Adjoint, guard: usize) -> Adjoint {
        if adjoint.guard == guard || !adjoint.multiplied {
            return Adjoint { guard, ..adjoint };
        }
        let value = self.guards.leave(adjoint.guard, adjoint.value);
        Adjoint { value, guard, multiplied: true }
    }

    /// Adds a contribution to the adjoint of a node; one that is larger is summed over what was repeated.
    #[track_caller]
    fn contribute(&mut self, number: usize, contribution: Adjoint) {
        let shape = self.tape.entries[number].expr.dims().clone();
        let mut contribution = contribution;
        if views::is_larger(&contribution.value, &shape) {
            contribution = self.where_elements_move(&contribution);
            contribution.value = views::sum_to(&contribution.value, &shape);
        }
        self.pending[number].push(contribution);
    }

    /// An adjoint on the way through a node that moves elements.
    #[track_caller]
    fn where_elements_move(&self, adjoint: &Adjoint) -> Adjoint {
        self.out_to(adjoint.clone(), self.guards.scalar_part(adjoint.guard))
    }

    /// The contribution of a partial derivative, if there is one.
    #[track_caller]
    fn multiply(&mut self, partial: &Partial, adjoint: &Adjoint) -> Option<Adjoint> {
        let value = partial.apply(&adjoint.value)?;
        let guard = match partial {
            Partial::Where { condition, is } => self.guards.enter(adjoint.guard, condition, *is),
            Partial::Share { wins, ties } => self.guards.enter(adjoint.guard, &(wins | ties), true),
            Partial::Pick { mask, .. } => self.guards.enter(adjoint.guard, mask, true),
            Partial::Zero | Partial::One | Partial::Minus | Partial::Factor(_) | Partial::Over(_) => adjoint.guard,
        };
        // A guard without another around it has just made zeros.
        let begins = guard != adjoint.guard && adjoint.guard == ALWAYS;
        Some(Adjoint { value, guard, multiplied: (adjoint.multiplied && !begins) || partial.multiplies() })
    }

    /// Hands the adjoint of a node on to its operands.
    #[track_caller]
    fn visit(&mut self, number: usize, adjoint: &Adjoint) -> Result<()> {
        let Entry { expr: result, operands: numbers } = self.tape.entries[number].clone();
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
        let moved = if moves_elements(result.node()) { self.where_elements_move(adjoint) } else { adjoint.clone() };
        let value = match result.node() {
            Node::Unary(op, _) => return Ok(self.multiply(&rules::unary(*op, x, result), &moved)),
            Node::Binary(op, _) => {
                let partial = rules::binary(*op, position == 0, [&operands[0], &operands[1]], result);
                return Ok(self.multiply(&partial, &moved));
            }
            Node::Ternary(op, _) => {
                let partial = rules::ternary(*op, position, [&operands[0], &operands[1], &operands[2]]);
                return Ok(self.multiply(&partial, &moved));
            }
            Node::Reduce(op, axes, _) => {
                let kept = Adjoint { value: views::keep_axes(&moved.value, axes, 0), ..moved };
                let Some(spread) = self.multiply(&reductions::reduction(*op, axes, x, result), &kept) else {
                    return Ok(None);
                };
                return Ok(Some(Adjoint { value: views::fill(&spread.value, x.dims()), ..spread }));
            }
            Node::MatMul(_) => {
                let value = views::matmul_back(&moved.value, position == 0, [&operands[0], &operands[1]]);
                return Ok(Some(Adjoint { value, multiplied: true, ..moved }));
            }
            Node::Cast(..) => moved.value.cast_to(x.dtype()),
            Node::Permute(order, _) => views::permute_back(&moved.value, order),
            Node::Reshape(..) => views::reshape(&moved.value, x.dims().clone()),
            Node::Broadcast(..) => views::sum_to(&moved.value, x.dims()),
            Node::Slice(ranges, _) => views::slice_back(&moved.value, ranges, x.dims()),
            Node::Concat(axis, _) => views::part_of(&moved.value, *axis as usize, start, x),
            Node::Iterate { .. } | Node::Project(..) | Node::Custom(..) => return Err(no_rule(result)),
            Node::Input(_) | Node::Parameter(..) | Node::Scalar(_) | Node::Dense(_) | Node::Iota(_) | Node::Size(_) => {
                return Ok(None);
            }
        };
        Ok(Some(Adjoint { value, ..moved }))
    }
}

/// Whether elements of the result are elsewhere than those of the operands.
fn moves_elements(node: &Node<Expr>) -> bool {
    match node {
        Node::Reduce(..)
        | Node::Permute(..)
        | Node::Reshape(..)
        | Node::Broadcast(..)
        | Node::Slice(..)
        | Node::Concat(..)
        | Node::MatMul(_) => true,
        Node::Unary(..)
        | Node::Binary(..)
        | Node::Ternary(..)
        | Node::Cast(..)
        | Node::Iterate { .. }
        | Node::Project(..)
        | Node::Custom(..)
        | Node::Input(_)
        | Node::Parameter(..)
        | Node::Scalar(_)
        | Node::Dense(_)
        | Node::Iota(_)
        | Node::Size(_) => false,
    }
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
