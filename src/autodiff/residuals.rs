//! What the way back needs of the steps that were made.
//!
//! The way forward is run again and keeps histories: of the states before each step, and of what costs more than a few
//! operations for an element, products of matrices and reductions. The rest of a step is computed again from these on
//! the way back, loops inside the body included, whose own histories so live for one step only.

use rustc_hash::FxHashSet;

use crate::autodiff::body::Body;
use crate::autodiff::widen;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::expr::region::{fresh_parameter, parameters};
use crate::expr::substitute::Substitution;
use crate::graph::{Loop, Node, Region, Type};
use crate::shape::{Dim, InputId};

/// What a step back uses of the step forward.
#[derive(Default)]
pub(super) struct Residuals {
    /// States before the step, and what is kept of the step.
    pub kept: Vec<Expr>,
    /// The sequences whose rows it uses.
    pub rows: Vec<usize>,
    /// Whether it uses the number of the step.
    pub uses_index: bool,
}

impl Residuals {
    /// What these expressions use; `own` are the parameters of the way back.
    pub fn of(body: &Body, exprs: &[Expr], own: &FxHashSet<InputId>) -> Residuals {
        let (node, forward) = (&body.node, parameters(&body.node));
        let (mut found, mut seen) = (Residuals::default(), FxHashSet::default());
        let mut pending: Vec<Expr> = exprs.iter().rev().cloned().collect();
        while let Some(expr) = pending.pop() {
            if !expr.depends_on(&forward) || !seen.insert(expr.key()) {
                continue;
            }
            let is_given = !expr.depends_on(own);
            match expr.node() {
                Node::Parameter(id, _) => found.add_parameter(node, *id, &expr),
                Node::MatMul(_) | Node::Reduce(..) if is_given => found.keep(&expr),
                _ => pending.extend(expr.level_operands().into_iter().rev()),
            }
        }
        found.rows.sort_unstable();
        found
    }

    fn add_parameter(&mut self, node: &Loop<Expr>, id: InputId, expr: &Expr) {
        let is_it = |x: &Expr| matches!(x.node(), Node::Parameter(own, _) if *own == id);
        let place = node.body.parameters.iter().position(is_it).unwrap_or(usize::MAX);
        let states = node.initial.len();
        if place < states {
            self.keep(&node.body.parameters[place]);
        } else if place < states + node.sequences.len() {
            if !self.rows.contains(&(place - states)) {
                self.rows.push(place - states);
            }
        } else {
            self.uses_index |= node.index_parameter().is_some_and(|index| index.ty() == expr.ty());
        }
    }

    fn keep(&mut self, expr: &Expr) {
        if self.kept.iter().all(|kept| kept.key() != expr.key()) {
            self.kept.push(expr.clone());
        }
    }
}

/// The number of steps as a size, the rows of histories.
///
/// # Errors
/// `Unsupported` if it is known in the loop only.
pub(super) fn length(body: &Body) -> Result<Dim> {
    let from_count = || body.node.count.as_ref().and_then(|count| count.to_dim().ok());
    let from_rows = || body.node.sequences.first().and_then(|sequence| sequence.dims().first().cloned());
    from_rows().or_else(from_count).ok_or_else(|| {
        Error::Unsupported(format!(
            "the derivative of a loop (built at {}) in reverse mode: it keeps histories of its states, so its number of \
             steps must be a number, or computed from sizes and integer inputs, and not from the contents of arrays; \
             forward mode, `jvp`, takes any number of steps",
            body.made.origin()
        ))
    })
}

/// The histories of what is kept, with a row for each step.
#[track_caller]
pub(super) fn histories(body: &Body, kept: &[Expr]) -> Result<Vec<Expr>> {
    if kept.is_empty() {
        return Ok(Vec::new());
    }
    let (node, origin) = (&body.node, body.made.origin());
    let fresh: Vec<Expr> = node.body.parameters.iter().map(|old| fresh_parameter(old.ty().clone())).collect();
    let mut own = Substitution::new(parameters(node));
    for (old, new) in node.body.parameters.iter().zip(&fresh) {
        own.replace(old, new.clone());
    }
    let next = node.next().iter().map(|next| own.apply(next)).collect();
    let states = node.initial.len();
    let results = kept.iter().map(|kept| own.apply(kept)).collect();
    let (mut rows, mut sequences) = (fresh[states..].to_vec(), node.sequences.clone());
    if sequences.is_empty() {
        let steps = Expr::build(Node::Iota(length(body)?));
        rows.insert(0, fresh_parameter(Type::scalar(steps.dtype())));
        sequences.push(steps);
    }
    let step =
        Step { parameters: fresh[..states].to_vec(), next, initial: node.initial.clone(), guarded: node.guarded };
    let Step { parameters, next, initial, guarded } = step.with_whole_rows(body);
    let first = initial.len();
    let body = Region { parameters: joined(parameters, rows), results: joined(next, results) };
    let node = Loop { count: None, guarded, initial, sequences, body };
    let made = Expr::build_at(Node::Loop(Box::new(node)), false, origin);
    let history = |number: usize| Node::Project((first + number) as u32, made.clone());
    Ok((0..kept.len()).map(|number| Expr::build_at(history(number), false, origin)).collect())
}

fn joined(mut first: Vec<Expr>, second: Vec<Expr>) -> Vec<Expr> {
    first.extend(second);
    first
}

/// What a loop carries.
struct Step {
    parameters: Vec<Expr>,
    next: Vec<Expr>,
    initial: Vec<Expr>,
    guarded: bool,
}

impl Step {
    /// The same states, with histories that have the values of elements that have stopped as well: others may use them.
    #[track_caller]
    fn with_whole_rows(mut self, body: &Body) -> Step {
        let is_elementwise = widen::elements(body).is_some();
        if !self.guarded || (self.initial[0].rank() == 0 && !is_elementwise) {
            return self;
        }
        let guard = self.parameters[0].clone();
        self.next = self.next.iter().zip(&self.parameters).map(|(next, state)| guard.select(next, state)).collect();
        // Elements that nothing ties together run on until all rows are there, which makes the loop one kernel.
        self.guarded = !is_elementwise;
        if self.guarded {
            self.parameters.insert(0, fresh_parameter(Type::scalar(DType::Bool)));
            self.initial.insert(0, self.initial[0].any(..));
            self.next.insert(0, self.next[0].any(..));
        }
        self
    }
}
