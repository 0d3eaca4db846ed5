//! Regions and loops: sub-graphs with parameters, and what carries state through them.
//!
//! A loop is one node for all kinds: a fixed number of steps, one step for each row of some sequences, and steps as
//! long as a guard holds. Its results are taken by `Project`: the last states, then a history for each emitted value,
//! then the number of steps that were made.

use crate::dtype::DType;
use crate::graph::infer::{Constraint, Context, describe};
use crate::graph::node::{Node, Type};
use crate::shape::{Dim, Shape};

/// A sub-graph with parameters. Parameters are `Node::Parameter`s that occur nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Region<R> {
    /// The values that the region is given.
    pub parameters: Vec<R>,
    /// The values that it yields.
    pub results: Vec<R>,
}

/// State carried through steps of a region.
///
/// The parameters of the body are the states, a row of each sequence, and maybe the number of the step, an i64. Its
/// results are the next states, and what the step emits: rows of histories as long as the sequences.
///
/// A loop that is *guarded* makes steps while any element of its state 0, of bools, holds. Elements of other states for
/// which it does not hold, and rows that no step reached, keep their values: the state before, and zero.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Loop<R> {
    /// The most steps, an i64 of rank 0; none where the sequences say, or the guard alone.
    pub count: Option<R>,
    /// Whether state 0 says if and where there is another step.
    pub guarded: bool,
    /// The first states.
    pub initial: Vec<R>,
    /// Arrays of one length, of which each step is given one row.
    pub sequences: Vec<R>,
    /// A step.
    pub body: Region<R>,
}

impl<R> Loop<R> {
    /// What it takes from outside: the count, the first states, the sequences.
    pub fn outside(&self) -> impl Iterator<Item = &R> {
        self.count.iter().chain(&self.initial).chain(&self.sequences)
    }

    /// Every reference: those from outside, then the parameters and the results of the body.
    pub fn references(&self) -> impl Iterator<Item = &R> {
        self.outside().chain(&self.body.parameters).chain(&self.body.results)
    }

    /// The parameters that are states.
    pub fn state_parameters(&self) -> &[R] {
        &self.body.parameters[..self.initial.len()]
    }

    /// The parameters that are rows of sequences.
    pub fn row_parameters(&self) -> &[R] {
        &self.body.parameters[self.initial.len()..self.initial.len() + self.sequences.len()]
    }

    /// The parameter that is the number of the step.
    pub fn index_parameter(&self) -> Option<&R> {
        self.body.parameters.get(self.initial.len() + self.sequences.len())
    }

    /// The next states.
    pub fn next(&self) -> &[R] {
        &self.body.results[..self.initial.len()]
    }

    /// What a step emits.
    pub fn emitted(&self) -> &[R] {
        &self.body.results[self.initial.len()..]
    }

    /// Whether it is a branch: one step if a guard of rank 0 holds, else none.
    pub fn is_branch<C: Context<R>>(&self, context: &C) -> bool {
        let is_one = |count: &R| match context.node(count) {
            Node::Scalar(value) => value.to_i64() == Some(1),
            Node::Size(size) => size.is_one(),
            _ => false,
        };
        self.guarded && self.count.as_ref().is_some_and(is_one) && context.ty(&self.initial[0]).rank() == 0
    }

    /// The same over other references; `map` is called once for each, in the order of `references`.
    pub fn map<S>(&self, mut map: impl FnMut(&R) -> S) -> Loop<S> {
        let count = self.count.as_ref().map(&mut map);
        let mut all = |list: &[R]| list.iter().map(&mut map).collect();
        let (initial, sequences) = (all(&self.initial), all(&self.sequences));
        let body = Region { parameters: all(&self.body.parameters), results: all(&self.body.results) };
        Loop { count, guarded: self.guarded, initial, sequences, body }
    }

    /// The type of a result, if there is one of this number.
    pub fn result_type<C: Context<R>>(&self, index: usize, context: &C) -> Option<Type> {
        if let Some(initial) = self.initial.get(index) {
            return Some(context.ty(initial).clone());
        }
        match self.body.results.get(index) {
            Some(emitted) => {
                let (rows, row) = (context.ty(self.sequences.first()?).shape.first()?, context.ty(emitted));
                let shape = std::iter::once(rows).chain(&row.shape).cloned().collect();
                Some(Type { dtype: row.dtype, shape })
            }
            None if index == self.body.results.len() => Some(Type::scalar(DType::I64)),
            None => None,
        }
    }

    /// The type of the node itself: that of its first state.
    ///
    /// # Errors
    /// A sentence that says what is wrong, with types.
    pub fn infer<C: Context<R>>(&self, context: &C, constraints: &mut Vec<Constraint>) -> Result<Type, String> {
        let (states, rows) = (self.initial.len(), self.sequences.len());
        let (parameters, results) = (self.body.parameters.len(), self.body.results.len());
        if states == 0 || results < states || !(states + rows..=states + rows + 1).contains(&parameters) {
            return Err("a loop needs as many results and parameters of its body as states, and at least one".into());
        }
        self.check_steps(context, constraints)?;
        for (index, initial) in self.initial.iter().enumerate() {
            let initial = context.ty(initial);
            for other in [&self.body.parameters[index], &self.body.results[index]] {
                same(context.ty(other), initial, constraints).ok_or_else(|| {
                    let (before, after) = (describe(initial), describe(context.ty(other)));
                    format!("state {index} of a loop changes from {before} to {after}")
                })?;
            }
        }
        for (sequence, row) in self.sequences.iter().zip(self.row_parameters()) {
            self.check_sequence(context.ty(sequence), context.ty(row), context, constraints)?;
        }
        if let Some(index) = self.index_parameter().map(|index| context.ty(index))
            && *index != Type::scalar(DType::I64)
        {
            return Err(format!("the number of a step is an i64 of rank 0, not {}", describe(index)));
        }
        if self.guarded {
            self.check_guard(context, constraints)?;
        }
        Ok(context.ty(&self.initial[0]).clone())
    }

    fn check_steps<C: Context<R>>(&self, context: &C, constraints: &mut Vec<Constraint>) -> Result<(), String> {
        let Some(count) = &self.count else {
            let ends = self.guarded || !self.sequences.is_empty();
            return ends.then_some(()).ok_or_else(|| "a loop needs a number of steps, sequences or a guard".into());
        };
        if *context.ty(count) != Type::scalar(DType::I64) || !self.sequences.is_empty() {
            let found = describe(context.ty(count));
            return Err(format!("the number of steps is an i64 of rank 0, and none beside sequences, not {found}"));
        }
        if self.body.results.len() > self.initial.len() {
            return Err("a loop without sequences has no histories".into());
        }
        let known = match context.node(count) {
            Node::Scalar(value) => value.to_i64().map(Dim::from),
            Node::Size(size) => Some(size.clone()),
            _ => None,
        };
        match known.as_ref().and_then(Dim::constant) {
            Some(steps) if steps < 0 => Err(format!("a loop of {steps} steps; the number of steps is 0 or more")),
            Some(_) => Ok(()),
            None => {
                constraints.extend(known.map(Constraint::Steps));
                Ok(())
            }
        }
    }

    fn check_sequence<C: Context<R>>(
        &self,
        sequence: &Type,
        row: &Type,
        context: &C,
        constraints: &mut Vec<Constraint>,
    ) -> Result<(), String> {
        let first = context.ty(&self.sequences[0]);
        let (Some((length, rest)), Some(other)) = (sequence.shape.split_first(), first.shape.first()) else {
            return Err(format!("a sequence of a loop has rows, but {} has no axis", describe(sequence)));
        };
        let own = Type { dtype: sequence.dtype, shape: Shape::from(rest) };
        let lengths = |length: &Dim| Type { dtype: DType::I64, shape: Shape::from_iter([length.clone()]) };
        if same(&lengths(length), &lengths(other), constraints).is_none() {
            let (first, sequence) = (describe(first), describe(sequence));
            return Err(format!("the sequences of a loop have one length, not those of {first} and {sequence}"));
        }
        same(&own, row, constraints)
            .ok_or_else(|| format!("a row of {} is taken for {}", describe(sequence), describe(row)))
    }

    fn check_guard<C: Context<R>>(&self, context: &C, constraints: &mut Vec<Constraint>) -> Result<(), String> {
        let guard = context.ty(&self.initial[0]);
        if guard.dtype != DType::Bool {
            return Err(format!("the guard of a loop is bool, not {}", describe(guard)));
        }
        for result in &self.body.results {
            let result = context.ty(result);
            let covers = result.rank() >= guard.rank() && {
                let aligned = &result.shape[result.rank() - guard.rank()..];
                aligned.iter().zip(&guard.shape).all(|(size, own)| own.is_one() || equal(own, size, constraints))
            };
            if !covers {
                let (guard, result) = (describe(guard), describe(result));
                return Err(format!("the guard {guard} of a loop does not broadcast to {result}"));
            }
        }
        Ok(())
    }
}

/// Whether two types are the same, or made so by constraints; a size that is statically 1 is no other.
fn same(left: &Type, right: &Type, constraints: &mut Vec<Constraint>) -> Option<()> {
    let fits = left.dtype == right.dtype
        && left.rank() == right.rank()
        && left.shape.iter().zip(&right.shape).all(|(left, right)| equal(left, right, constraints));
    fits.then_some(())
}

fn equal(left: &Dim, right: &Dim, constraints: &mut Vec<Constraint>) -> bool {
    if left == right {
        return true;
    }
    if (left.constant().is_some() && right.constant().is_some()) || left.is_one() || right.is_one() {
        return false;
    }
    constraints.push(Constraint::Equal(left.clone(), right.clone()));
    true
}
