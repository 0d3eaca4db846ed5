//! What all kinds of loops have in common when they are built: parameters, the number of steps, and the check that a
//! body keeps the types of its states.

use std::panic::Location;

use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::expr::convert::IntoExpr;
use crate::expr::promote::{common_dtype, convert};
use crate::graph::{Loop, Node, Region, Type, describe};
use crate::shape::InputId;

/// A loop whose body is not yet known.
pub(super) struct LoopBuilder {
    /// The user's name of the function.
    pub function: &'static str,
    /// The user's source line.
    pub origin: &'static Location<'static>,
    /// The states before the first step; the guard, where there is one, is not among them.
    pub initial: Vec<Expr>,
    /// The states in the body.
    pub states: Vec<Expr>,
    /// The most steps.
    pub count: Option<Expr>,
}

/// What a body yields and is given beside states.
#[derive(Default)]
pub(super) struct Body {
    /// The guard before the first step, in the body, and after the step.
    pub guard: Option<[Expr; 3]>,
    pub sequences: Vec<Expr>,
    pub rows: Vec<Expr>,
    pub index: Option<Expr>,
    pub next: Vec<Expr>,
    pub emitted: Vec<Expr>,
}

/// The results of a loop.
pub(super) struct Results {
    pub last: Vec<Expr>,
    pub histories: Vec<Expr>,
    pub steps: Expr,
}

impl LoopBuilder {
    /// # Errors
    /// What an initial state carries; `Build` for a loop without states.
    pub fn new(function: &'static str, initial: &[&Expr], origin: &'static Location<'static>) -> Result<LoopBuilder> {
        let initial = initial.iter().map(|&state| strong(state, origin)).collect::<Result<Vec<_>>>()?;
        let states = initial.iter().map(|state| parameter(state.ty().clone(), false, origin)).collect();
        let builder = LoopBuilder { function, origin, initial, states, count: None };
        if builder.initial.is_empty() {
            Err(builder.refused("needs at least one state".to_string()))
        } else {
            Ok(builder)
        }
    }

    pub fn refused(&self, complaint: String) -> Error {
        Error::Build { message: format!("`{}` {complaint}", self.function), location: self.origin }
    }

    /// Sets the number of steps.
    ///
    /// # Errors
    /// `Build` unless it is an integer of rank 0 that fits i64.
    pub fn count(mut self, count: impl IntoExpr) -> Result<LoopBuilder> {
        let count = count.into_expr();
        carried(&count)?;
        if count.rank() != 0 || !count.dtype().is_integer() {
            let found = describe(count.ty());
            return Err(self.refused(format!("takes an integer of rank 0 as its number of steps, not {found}")));
        }
        if let Node::Scalar(value) = count.node()
            && value.to_i64().is_none_or(|steps| steps < 0)
        {
            return Err(self.refused(format!("takes 0 to 2^63 − 1 steps, not {value}")));
        }
        let count = match count.to_dim() {
            Ok(size) => Expr::build_at(Node::Size(size), false, self.origin),
            Err(_) => strong(&convert(&count, DType::I64, self.origin).map_err(|e| self.refused(e))?, self.origin)?,
        };
        self.count = Some(count);
        Ok(self)
    }

    /// The next states as a body yields them, in the types of the states.
    ///
    /// # Errors
    /// What a result carries; `Build` if it has another dtype or shape than its state.
    pub fn next<const N: usize>(&self, results: [Expr; N]) -> Result<[Expr; N]> {
        let mut next = results;
        for (index, (state, result)) in self.states.iter().zip(&mut next).enumerate() {
            carried(result)?;
            if result.is_weak() && common_dtype(&[state, result]) == state.dtype() {
                *result = convert(result, state.dtype(), self.origin).map_err(|reason| self.refused(reason))?;
            }
            *result = strong(result, self.origin)?;
            self.check_state(index, state.ty(), result)?;
        }
        Ok(next)
    }

    fn check_state(&self, index: usize, state: &Type, result: &Expr) -> Result<()> {
        let next = result.ty();
        let advice =
            if state.dtype != next.dtype {
                format!("convert it with `cast`, or start from a state of {}", next.dtype)
            } else if state.rank() != next.rank() {
                "give it the state's shape, as with `broadcast_to`, or start from a state of that rank".to_string()
            } else if state.shape.iter().zip(&next.shape).any(|(a, b)| {
                a != b && (a.is_one() || b.is_one() || (a.constant().is_some() && b.constant().is_some()))
            }) {
                "start from a state of that shape".to_string()
            } else {
                return Ok(());
            };
        let (before, after, place) = (describe(state), describe(next), result.origin());
        let complaint =
            format!("starts state {index} as {before}, but its body makes {after} of it (built at {place}); {advice}");
        Err(self.refused(complaint))
    }

    /// The loop.
    ///
    /// # Errors
    /// What an expression carries; `Build` for an ill-typed loop.
    pub fn finish(self, body: Body) -> Result<Results> {
        let Body { guard, sequences, rows, index, next, emitted } = body;
        let LoopBuilder { function, origin, initial, states, count } = self;
        let emitted = emitted.iter().map(|row| strong(row, origin)).collect::<Result<Vec<_>>>()?;
        let guarded = guard.is_some();
        let [first, current, following] = match guard {
            Some(guard) => guard.map(|part| vec![part]),
            None => [vec![], vec![], vec![]],
        };
        let (states_made, histories_made) = (next.len(), emitted.len());
        let parameters = current.into_iter().chain(states).chain(rows).chain(index).collect();
        let results = following.into_iter().chain(next).chain(emitted).collect();
        let initial = first.into_iter().chain(initial).collect();
        let node = Loop { count, guarded, initial, sequences, body: Region { parameters, results } };
        let made = Expr::build_at(Node::Loop(Box::new(node)), false, origin);
        if let Some(error) = made.error() {
            return Err(match error {
                Error::Build { message, location } if *location == origin => {
                    Error::Build { message: format!("`{function}`: {message}"), location }
                }
                other => other.clone(),
            });
        }
        let project = |index: usize| Expr::build_at(Node::Project(index as u32, made.clone()), false, origin);
        let first = usize::from(guarded);
        let histories = first + states_made..first + states_made + histories_made;
        let steps = project(histories.end);
        let last = (first..histories.start).map(&project).collect();
        Ok(Results { last, histories: histories.map(project).collect(), steps })
    }
}

/// A parameter of a body.
pub(super) fn parameter(ty: Type, weak: bool, origin: &'static Location<'static>) -> Expr {
    Expr::build_at(Node::Parameter(InputId::new(), ty), weak, origin)
}

/// The number of the step; weakly typed, as sizes are.
pub(super) fn index(origin: &'static Location<'static>) -> Expr {
    parameter(Type::scalar(DType::I64), true, origin)
}

/// A bool of rank 0.
pub(super) fn holds(origin: &'static Location<'static>) -> Expr {
    Expr::build_at(Node::Scalar(Scalar::Bool(true)), false, origin)
}

/// The error that an expression carries.
pub(super) fn carried(expr: &Expr) -> Result<()> {
    expr.error().map_or(Ok(()), |error| Err(error.clone()))
}

/// An expression with the dtype that it has now, whatever it meets.
pub(super) fn strong(expr: &Expr, origin: &'static Location<'static>) -> Result<Expr> {
    carried(expr)?;
    Ok(if expr.is_weak() { Expr::build_at(expr.node().clone(), false, origin) } else { expr.clone() })
}

/// As many expressions as were asked for.
pub(super) fn exactly<const N: usize>(exprs: Vec<Expr>) -> Result<[Expr; N]> {
    exprs.try_into().map_err(|exprs: Vec<Expr>| Error::Internal(format!("{} results instead of {N}", exprs.len())))
}
