//! Reverse mode through a loop: a loop over the steps from the last to the first, whose states are the adjoints of the
//! states and the sums of what the steps contribute to the adjoints of what the body takes from outside. The adjoints of
//! rows are emitted.
//!
//! A step that was not made, or not for an element, hands adjoints on as they are: it is a condition around the step, as
//! a `select` is. Where the conditions under which adjoints are looked at (`guards.rs`) matter from step to step, they are
//! states as well. A loop of at most one step, as a branch is, goes back only if that step was made.

use crate::autodiff::body::Body;
use crate::autodiff::guards::{self, Guard};
use crate::autodiff::residuals::{self, Residuals};
use crate::autodiff::reverse::{self, Adjoint, cleaned};
use crate::autodiff::tape::{Entry, Role};
use crate::autodiff::{views, widen, zeros};
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::expr::region::{self, fresh_parameter};
use crate::expr::substitute::Substitution;
use crate::graph::{Loop, Node, Region, Type};
use crate::shape::{Dim, InputId};

/// What the results of a loop contribute to the adjoints of what it takes from outside, with their numbers there.
#[track_caller]
pub(super) fn pull(body: &Body, active: &[bool], results: Vec<Option<Adjoint>>) -> Result<Vec<(usize, Adjoint)>> {
    if body.node.guarded && body.node.count.is_none() && body.node.sequences.is_empty() {
        return Err(unbounded(body));
    }
    let widened = widen::elements(body).and_then(|shape| widen::widened(body, active, &shape));
    let back = Back::new(widened.as_ref().unwrap_or(body), &body.node.sequences, active, results);
    let mut step = back.step(back.begins_guarded())?;
    if step.needs_conditions {
        step = back.step(true)?;
    }
    back.run(&step)
}

fn unbounded(body: &Body) -> Error {
    Error::Unsupported(format!(
        "the derivative of `iterate_while` (built at {}) in reverse mode: it keeps histories of its states, whose length \
         must be known; use `iterate_while_at_most`, which bounds the number of steps, or forward mode, `jvp`",
        body.made.origin()
    ))
}

/// The way back through one loop.
struct Back<'a> {
    body: &'a Body,
    /// The sequences of the loop as it was written.
    sequences: &'a [Expr],
    /// Of what the loop takes from outside, whether it moves.
    active: &'a [bool],
    /// The adjoints of the results.
    given: Vec<Option<Adjoint>>,
    /// The states that have adjoints.
    states: Vec<usize>,
    /// The numbers in the body of what moves.
    moving: Vec<usize>,
    /// Whether the loop makes one step at most, all of it or none, so that there are no histories.
    is_single: bool,
    /// Whether elements stop by themselves, and others use them still.
    is_tied: bool,
}

/// One step of the way back.
#[derive(Default)]
struct StepBack {
    /// The parameters: adjoints of the states after the step, the conditions under which they are looked at, if any.
    adjoints: Vec<Expr>,
    conditions: Vec<Expr>,
    /// The adjoints of what the step emitted: the number of the result, and the parameter for its row.
    rows: Vec<(usize, Expr)>,
    /// The same before the step.
    next: Vec<Expr>,
    next_conditions: Vec<Expr>,
    /// What is added to the adjoints of what the body takes from outside, by the place in `Body::outer`.
    sums: Vec<(usize, Expr, Guard)>,
    /// The adjoints of the rows of sequences.
    emitted: Vec<(usize, Expr, Guard)>,
    /// Whether there are conditions that it was not given.
    needs_conditions: bool,
}

impl<'a> Back<'a> {
    fn new(body: &'a Body, sequences: &'a [Expr], active: &'a [bool], given: Vec<Option<Adjoint>>) -> Back<'a> {
        let count = body.node.initial.len();
        let moved = body.moved(active);
        let flags: Vec<bool> = moved[..count].iter().chain(&active[count..]).copied().collect();
        let is_given = |result: usize| given.get(result).is_some_and(Option::is_some);
        let mut states: Vec<usize> = (0..count).filter(|&state| moved[state] && is_given(state)).collect();
        loop {
            let emitted = (count..body.results.len()).filter(|&result| is_given(result));
            let roots: Vec<usize> = states.iter().copied().chain(emitted).map(|result| body.results[result]).collect();
            let reached = body.tape.reached(&roots);
            let is_carried = |state: &usize| moved[*state] && (is_given(*state) || reached[body.inner[*state]]);
            let more: Vec<usize> = (0..count).filter(is_carried).collect();
            if more.len() == states.len() {
                break;
            }
            states = more;
        }
        let once = body.node.count.as_ref().is_some_and(|count| count.to_dim().is_ok_and(|count| count == Dim::ONE));
        let is_single = once && (!body.node.guarded || body.node.initial[0].rank() == 0);
        let is_tied = body.node.guarded && body.node.initial[0].rank() > 0 && widen::elements(body).is_none();
        Back { body, sequences, active, given, states, moving: body.marked(&flags), is_single, is_tied }
    }

    /// Whether adjoints come under conditions. Deep inside, where asking costs a walk for each level, they may.
    fn begins_guarded(&self) -> bool {
        let is_guarded = |state: &usize| self.given[*state].as_ref().is_some_and(|given| given.guard.is_some());
        self.body.depth > DEEPEST_ASKED
            || self.states.iter().any(|state| self.given.len() > *state && is_guarded(state))
    }

    /// Whether the step was made, where that is not certain.
    fn made(&self) -> Guard {
        (self.body.node.guarded && !self.is_single).then(|| self.body.node.body.parameters[0].clone())
    }

    /// Whether any of the step was made, if others must not be computed: what is inside may not end, or fail, on the rows of
    /// steps that were not made.
    #[track_caller]
    fn computed_if(&self) -> Guard {
        let may_fail = |entry: &Entry| match entry.role {
            Role::Node => matches!(entry.expr.node(), Node::Loop(_) | Node::Custom(..)),
            Role::Values(_) | Role::Value(_) => true,
        };
        let made = self.made().filter(|_| self.body.tape.entries.iter().any(may_fail))?;
        Some(if made.rank() == 0 { made } else { made.any(..) })
    }

    #[track_caller]
    fn step(&self, with_conditions: bool) -> Result<StepBack> {
        let (body, made) = (self.body, self.made());
        let mut step = StepBack::default();
        let mut seeds = Vec::new();
        for &state in &self.states {
            let ty = body.node.initial[state].ty();
            let adjoint = fresh_parameter(ty.clone());
            let condition =
                with_conditions.then(|| fresh_parameter(Type { dtype: DType::Bool, shape: ty.shape.clone() }));
            seeds.push((body.results[state], seed(&adjoint, &condition, &made)));
            step.adjoints.push(adjoint);
            step.conditions.extend(condition);
        }
        for result in body.node.initial.len()..body.results.len() {
            if self.given.get(result).is_some_and(Option::is_some) {
                let row = fresh_parameter(body.node.body.results[result].ty().clone());
                seeds.push((body.results[result], seed(&row, &None, &made)));
                step.rows.push((result, row));
            }
        }
        let is_target = vec![false; body.tape.entries.len()];
        let found = reverse::sweep(&body.tape, &self.moving, is_target, seeds)?;
        self.add_states(&mut step, &found, &made);
        let ends = self.is_single && body.node.guarded;
        for place in (body.node.initial.len()..body.inner.len()).filter(|&place| self.active[place]) {
            if let Some(adjoint) = &found[body.inner[place]] {
                let guard = adjoint.guard.clone().or_else(|| ends.then(|| constant(true)));
                let value = cleaned(adjoint.clone()).value;
                let row = place - body.node.initial.len();
                let is_row = row < body.node.sequences.len();
                if is_row { step.emitted.push((row, value, guard)) } else { step.sums.push((place, value, guard)) }
            }
        }
        Ok(step)
    }

    /// The adjoints of the states before the step: what the step says, and where it was not made those after it. Elements
    /// for which it was made may have used others.
    #[track_caller]
    fn add_states(&self, step: &mut StepBack, found: &[Option<Adjoint>], made: &Guard) {
        for (place, &state) in self.states.iter().enumerate() {
            let ty = self.body.node.initial[state].ty();
            let nothing =
                || Adjoint { value: zeros(ty.dtype, ty.shape.clone()), guard: made.clone(), multiplied: false };
            let found = found[self.body.inner[state]].clone();
            let condition = found.clone().map_or_else(|| constant(false), condition_of);
            let through = found.unwrap_or_else(nothing);
            let guard = &through.guard;
            step.needs_conditions |= step.conditions.is_empty() && guard.is_some() && !guards::is_same(guard, made);
            let after = &step.adjoints[place];
            step.next.push(match made {
                None => through.value,
                Some(made) if self.is_tied => cleaned(through).value + made.select(0.0, after),
                Some(made) => made.select(through.value, after),
            });
            if let Some(after) = step.conditions.get(place) {
                let condition = views::fill(&condition, &ty.shape);
                step.next_conditions.push(match made {
                    None => condition,
                    Some(made) if self.is_tied => condition | (!made & after),
                    Some(made) => made.select(condition, after),
                });
            }
        }
    }

    /// The loop over the steps, and what it comes to.
    #[track_caller]
    fn run(&self, step: &StepBack) -> Result<Vec<(usize, Adjoint)>> {
        let sums: Vec<Expr> = step.sums.iter().map(|(_, value, _)| fresh_parameter(value.ty().clone())).collect();
        let added = sums.iter().zip(&step.sums).map(|(sum, (_, value, _))| sum + value);
        // Where any step contributes.
        let guards: Vec<Expr> = step.sums.iter().filter_map(whole_guard).collect();
        let anywhere: Vec<Expr> = guards.iter().map(|guard| fresh_parameter(guard.ty().clone())).collect();
        let reached = anywhere.iter().zip(&guards).map(|(before, guard)| before | guard);
        let next = step.next.iter().chain(&step.next_conditions).cloned().chain(added).chain(reached);
        let emitted = step.emitted.iter().map(|(_, value, _)| value.clone());
        let results = next.chain(emitted).chain(step.emitted.iter().filter_map(whole_guard)).collect();
        let states = step.adjoints.iter().chain(&step.conditions).chain(&sums).chain(&anywhere).cloned().collect();
        let initial = self.initial(step);
        let node = if self.is_single {
            self.single(Region { parameters: states, results }, initial)
        } else {
            self.backwards(step, Region { parameters: states, results }, initial)?
        };
        let first = usize::from(node.guarded);
        let made = Expr::build_at(Node::Loop(Box::new(node)), false, self.body.made.origin());
        Ok(self.contributions(step, &made, first))
    }

    /// The adjoints of the last states, and sums of nothing.
    #[track_caller]
    fn initial(&self, step: &StepBack) -> Vec<Expr> {
        let given = |state: &usize| self.given.get(*state).cloned().flatten();
        let mut initial = Vec::new();
        for state in &self.states {
            let ty = self.body.node.initial[*state].ty();
            // Where elements are added to others, they are to be zero where nobody looks at them.
            let value = |given: Adjoint| if self.is_tied { cleaned(given).value } else { given.value };
            initial.push(given(state).map_or_else(|| zeros(ty.dtype, ty.shape.clone()), value));
        }
        for state in self.states.iter().take(step.conditions.len()) {
            let guard = given(state).map_or_else(|| constant(false), condition_of);
            initial.push(views::fill(&guard, self.body.node.initial[*state].dims()));
        }
        initial.extend(step.sums.iter().map(|(_, value, _)| zeros(value.dtype(), value.dims().clone())));
        let nowhere = |guard: Expr| views::fill(&constant(false), guard.dims());
        initial.extend(step.sums.iter().filter_map(whole_guard).map(nowhere));
        initial
    }

    /// A loop of at most one step: the states before it are the first ones. Under a guard they are states here as well, so that
    /// nothing of the step lies outside.
    #[track_caller]
    fn single(&self, body: Region<Expr>, initial: Vec<Expr>) -> Loop<Expr> {
        let node = &self.body.node;
        let (mut parameters, mut initial, mut carried) = (body.parameters, initial, Vec::new());
        let mut own = Substitution::new(region::parameters(node));
        for (parameter, first) in node.state_parameters().iter().zip(&node.initial) {
            let id = identity(parameter).into_iter().collect();
            if node.guarded && body.results.iter().any(|result| result.depends_on(&id)) {
                carried.push(fresh_parameter(first.ty().clone()));
                initial.push(first.clone());
                own.replace(parameter, carried[carried.len() - 1].clone());
            } else {
                own.replace(parameter, first.clone());
            }
        }
        if let Some(index) = node.index_parameter() {
            own.replace(index, Expr::build(Node::Scalar(Scalar::I64(0))));
        }
        let mut results: Vec<Expr> = body.results.iter().map(|result| own.apply(result)).collect();
        results.extend(carried.iter().cloned());
        parameters.extend(carried);
        if node.guarded {
            let guard = &node.initial[0];
            initial.insert(0, guard.clone());
            parameters.insert(0, fresh_parameter(guard.ty().clone()));
            results.insert(0, constant(false));
        }
        let (count, sequences) = (node.count.clone(), Vec::new());
        let mut made = Loop { count, guarded: node.guarded, initial, sequences, body: Region { parameters, results } };
        with_a_state(&mut made);
        made
    }

    /// The loop along the flipped histories.
    #[track_caller]
    fn backwards(&self, step: &StepBack, body: Region<Expr>, initial: Vec<Expr>) -> Result<Loop<Expr>> {
        let node = &self.body.node;
        let Region { mut parameters, results } = body;
        let own = parameters.iter().chain(step.rows.iter().map(|(_, row)| row)).filter_map(identity).collect();
        let made = self.computed_if();
        let used: Vec<Expr> = results.iter().chain(&made).cloned().collect();
        let residuals = Residuals::of(self.body, &used, &own);
        let mut along = self.given_rows(step);
        let mut walk = Vec::new();
        walk.extend(residuals::histories(self.body, &residuals.kept)?.into_iter().zip(residuals.kept));
        walk.extend(
            residuals.rows.iter().map(|&row| (node.sequences[row].clone(), node.row_parameters()[row].clone())),
        );
        let steps = || Ok::<_, Error>(Expr::build(Node::Iota(residuals::length(self.body)?)));
        if let Some(index) = node.index_parameter().filter(|_| residuals.uses_index) {
            walk.push((steps()?, index.clone()));
        }
        if along.is_empty() && walk.is_empty() && !step.emitted.is_empty() {
            walk.push((steps()?, fresh_parameter(Type::scalar(DType::I64))));
        }
        let mut own = Substitution::new(region::parameters(node));
        for (sequence, used) in walk {
            let row = fresh_parameter(used.ty().clone());
            own.replace(&used, row.clone());
            along.push((sequence, row));
        }
        let mut results = results.iter().map(|result| own.apply(result)).collect();
        let (sequences, rows): (Vec<Expr>, Vec<Expr>) = along.into_iter().map(|(x, row)| (x.flip(0), row)).unzip();
        if let Some(made) = made {
            results = step_if(&own.apply(&made), &parameters, &rows, results);
        }
        parameters.extend(rows);
        let count = match (&node.count, node.sequences.first()) {
            _ if !sequences.is_empty() => None,
            (Some(count), _) => Some(count.clone()),
            (None, _) => Some(Expr::build(Node::Size(residuals::length(self.body)?))),
        };
        let mut made = Loop { count, guarded: false, initial, sequences, body: Region { parameters, results } };
        with_a_state(&mut made);
        Ok(made)
    }

    /// The adjoints of histories, with the parameters for their rows.
    #[track_caller]
    fn given_rows(&self, step: &StepBack) -> Vec<(Expr, Expr)> {
        let given = |(result, row): &(usize, Expr)| Some((cleaned(self.given[*result].clone()?).value, row.clone()));
        step.rows.iter().filter_map(given).collect()
    }

    /// What the results of the loop are the adjoints of; its own state may come first.
    #[track_caller]
    fn contributions(&self, step: &StepBack, made: &Expr, first: usize) -> Vec<(usize, Adjoint)> {
        let project =
            |number: usize| Expr::build_at(Node::Project((first + number) as u32, made.clone()), false, made.origin());
        let mut contributions = Vec::new();
        let states = self.states.len();
        for (place, &state) in self.states.iter().enumerate().filter(|(_, state)| self.active[**state]) {
            let guard = step.conditions.get(place).map(|_| project(states + place));
            let multiplied = guard.is_some();
            contributions.push((self.body.outer[state], Adjoint { value: project(place), guard, multiplied }));
        }
        let sums = states + step.conditions.len();
        let mut guards = (sums + step.sums.len()..).map(&project);
        for (number, (place, _, guard)) in step.sums.iter().enumerate() {
            let guard = guard.as_ref().and_then(|_| guards.next());
            contributions
                .push((self.body.outer[*place], Adjoint { value: project(sums + number), guard, multiplied: false }));
        }
        let guarded = step.sums.iter().filter_map(whole_guard).count();
        let emitted = (sums + step.sums.len() + guarded).max(1);
        let mut guards = (emitted + step.emitted.len()..).map(&project);
        for (number, (row, _, guard)) in step.emitted.iter().enumerate() {
            let whole = |history: Expr| widen::narrowed(&history.flip(0), &self.sequences[*row]);
            let guard = guard.as_ref().and_then(|_| guards.next()).map(whole);
            let adjoint = Adjoint { value: whole(project(emitted + number)), guard, multiplied: false };
            contributions.push((self.body.outer[self.body.node.initial.len() + row], adjoint));
        }
        contributions
    }
}

/// How deep loops nest for which it is first tried whether conditions matter from step to step.
const DEEPEST_ASKED: usize = 6;

#[track_caller]
fn constant(holds: bool) -> Expr {
    Expr::build(Node::Scalar(Scalar::Bool(holds)))
}

/// The condition of a contribution in its shape, if it has one.
#[track_caller]
fn whole_guard((_, value, guard): &(usize, Expr, Guard)) -> Option<Expr> {
    guard.as_ref().map(|guard| views::fill(guard, value.dims()))
}

/// Where an adjoint may differ from zero.
#[track_caller]
fn condition_of(adjoint: Adjoint) -> Expr {
    adjoint.guard.unwrap_or_else(|| constant(true))
}

fn identity(parameter: &Expr) -> Option<InputId> {
    match parameter.node() {
        Node::Parameter(id, _) => Some(*id),
        _ => None,
    }
}

/// The adjoint of a result of a step, which is looked at where its condition holds and the step was made.
#[track_caller]
fn seed(adjoint: &Expr, condition: &Guard, made: &Guard) -> Adjoint {
    let guard = match (condition, made) {
        (Some(condition), Some(made)) => Some(made & condition),
        (condition, made) => condition.clone().or_else(|| made.clone()),
    };
    let value = made.as_ref().map_or_else(|| adjoint.clone(), |made| made.select(adjoint, 0.0));
    Adjoint { value, guard, multiplied: condition.is_some() }
}

/// The results of a step where it was made; else the states stay, and it emits nothing. What it reads are states of the
/// condition, so that all of it lies inside.
#[track_caller]
fn step_if(made: &Expr, states: &[Expr], rows: &[Expr], results: Vec<Expr>) -> Vec<Expr> {
    let mut own = Substitution::new(states.iter().chain(rows).filter_map(identity).collect());
    let count = results.len();
    let emitted = results[states.len()..].iter().map(|row| zeros(row.dtype(), row.dims().clone()));
    let initial: Vec<Expr> =
        [made.clone()].into_iter().chain(states.iter().cloned()).chain(emitted).chain(rows.iter().cloned()).collect();
    let parameters: Vec<Expr> = initial.iter().map(|first| fresh_parameter(first.ty().clone())).collect();
    let carried = &parameters[1 + count..];
    for (old, new) in states.iter().zip(&parameters[1..]).chain(rows.iter().zip(carried)) {
        own.replace(old, new.clone());
    }
    let next = results.iter().map(|result| own.apply(result));
    let results = [constant(false)].into_iter().chain(next).chain(carried.iter().cloned()).collect();
    let body = Region { parameters, results };
    let once = Some(Expr::build(Node::Size(Dim::ONE)));
    let node = Loop { count: once, guarded: true, initial, sequences: Vec::new(), body };
    let made = Expr::build(Node::Loop(Box::new(node)));
    (1..=count).map(|number| Expr::build(Node::Project(number as u32, made.clone()))).collect()
}

/// A loop has a state, needed or not.
#[track_caller]
fn with_a_state(node: &mut Loop<Expr>) {
    if node.initial.is_empty() {
        let nothing = constant(false);
        let parameter = fresh_parameter(nothing.ty().clone());
        node.initial.push(nothing);
        node.body.results.insert(0, parameter.clone());
        node.body.parameters.insert(0, parameter);
    }
}
