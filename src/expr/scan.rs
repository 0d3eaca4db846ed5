//! Loops over the rows of sequences, with a history of what each step emits.

use std::panic::Location;

use crate::error::Result;
use crate::expr::Expr;
use crate::expr::loop_node::{Body, LoopBuilder, carried, exactly, holds, parameter};
use crate::graph::{Type, describe};
use crate::shape::Shape;

/// What [`scan`] runs along: one array, or an array or tuple of arrays of one length.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no sequence to scan",
    label = "expected `&x`, `[&x, &y]` or `(&x, &y)`"
)]
pub trait Sequences {
    /// What a step is given: a row of each.
    type Item;
    /// The arrays.
    fn sequences(&self) -> Vec<Expr>;
    /// The rows in the form in which the arrays came.
    ///
    /// # Errors
    /// `Internal` for another number of rows than of arrays.
    fn item(rows: Vec<Expr>) -> Result<Self::Item>;
}

impl<E: AsRef<Expr>> Sequences for &E {
    type Item = Expr;

    fn sequences(&self) -> Vec<Expr> {
        vec![self.as_ref().clone()]
    }

    fn item(rows: Vec<Expr>) -> Result<Expr> {
        exactly(rows).map(|[row]| row)
    }
}

impl<E: AsRef<Expr>, const K: usize> Sequences for [E; K] {
    type Item = [Expr; K];

    fn sequences(&self) -> Vec<Expr> {
        self.iter().map(|sequence| sequence.as_ref().clone()).collect()
    }

    fn item(rows: Vec<Expr>) -> Result<[Expr; K]> {
        exactly(rows)
    }
}

/// Implements `Sequences` for tuples.
macro_rules! tuples {
    ($(($($member:ident $row:ident),+))*) => { $(
        impl<$($member: AsRef<Expr>),+> Sequences for ($($member,)+) {
            type Item = ($(tuples!(@row $member),)+);

            fn sequences(&self) -> Vec<Expr> {
                #[allow(non_snake_case)]
                let ($($member,)+) = self;
                vec![$($member.as_ref().clone()),+]
            }

            fn item(rows: Vec<Expr>) -> Result<Self::Item> {
                exactly(rows).map(|[$($row),+]| ($($row,)+))
            }
        }
    )* };
    (@row $member:ident) => { Expr };
}
tuples!((A a)(A a, B b)(A a, B b, C c)(A a, B b, C c, D d));

/// The states after a step of `body` for each row of the sequences, and the history of what the steps emitted.
///
/// The sequences are scanned along axis 0, together. The body takes the rows and the states and gives the next states
/// and what it emits; a history has an entry for each step along a new axis 0. Without rows the states are the initial
/// ones and the histories are empty.
///
/// # Errors
/// As [`iterate`](crate::iterate()); `Build` for a sequence of rank 0, or sequences of different lengths. Lengths that
/// only a call knows are checked there, before anything is written.
///
/// ```
/// use kroton::{compile, constant, scan, vector};
/// let x = vector::<f64>("x");
/// let ([sum], [sums]) = scan(&x, [&constant(0.0)], |x, [sum]| ([&sum + &x], [sum + x]))?;
/// let (sum, sums): (f64, Vec<f64>) = compile([&x], (sum, sums))?.call((&[1.0, 2.0, 3.0],))?;
/// assert_eq!((sum, sums), (6.0, vec![1.0, 3.0, 6.0]));
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
#[allow(clippy::type_complexity)] // spelled out, the type says what comes
pub fn scan<S: Sequences, const N: usize, const M: usize>(
    sequences: S,
    initial: [&Expr; N],
    body: impl FnOnce(S::Item, [Expr; N]) -> ([Expr; N], [Expr; M]),
) -> Result<([Expr; N], [Expr; M])> {
    let builder = LoopBuilder::new("scan", &initial, Location::caller())?;
    let (sequences, rows) = rows(&builder, &sequences)?;
    let (next, emitted) = body(S::item(rows.clone())?, exactly(builder.states.clone())?);
    let next = builder.next(next)?.into();
    let results = builder.finish(Body { sequences, rows, next, emitted: emitted.into(), ..Body::default() })?;
    Ok((exactly(results.last)?, exactly(results.histories)?))
}

/// As [`scan`], until the body says stop: it gives a bool of rank 0 as well, and the step for which that is true is the
/// last. Histories keep the length of the sequences, with zeros behind the last step. The third result is the number of
/// steps that were made, an i64.
///
/// # Errors
/// As [`scan`]; `Build` if what says stop is not a bool of rank 0.
///
/// ```
/// use kroton::{compile, constant, scan_until, vector};
/// let x = vector::<f64>("x");
/// let ([sum], [sums], steps) = scan_until(&x, [&constant(0.0)], |x, [sum]| {
///     let sum = sum + x;
///     ([sum.clone()], [sum.clone()], sum.gt(2.5))
/// })?;
/// let f = compile([&x], (sum, sums, steps))?;
/// let (sum, sums, steps): (f64, Vec<f64>, i64) = f.call((&[1.0, 2.0, 3.0, 4.0],))?;
/// assert_eq!((sum, sums, steps), (3.0, vec![1.0, 3.0, 0.0, 0.0], 2));
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
#[allow(clippy::type_complexity)] // spelled out, the type says what comes
pub fn scan_until<S: Sequences, const N: usize, const M: usize>(
    sequences: S,
    initial: [&Expr; N],
    body: impl FnOnce(S::Item, [Expr; N]) -> ([Expr; N], [Expr; M], Expr),
) -> Result<([Expr; N], [Expr; M], Expr)> {
    let origin = Location::caller();
    let builder = LoopBuilder::new("scan_until", &initial, origin)?;
    let (sequences, rows) = rows(&builder, &sequences)?;
    let (next, emitted, stop) = body(S::item(rows.clone())?, exactly(builder.states.clone())?);
    let next = builder.next(next)?.into();
    carried(&stop)?;
    let first = holds(origin);
    if stop.ty() != first.ty() {
        let found = describe(stop.ty());
        return Err(builder.refused(format!("takes a bool of rank 0 for its stop, not {found}; compare or reduce it")));
    }
    let guard = Some([first.clone(), parameter(first.ty().clone(), false, origin), !stop]);
    let emitted = emitted.into();
    let results = builder.finish(Body { guard, sequences, rows, next, emitted, ..Body::default() })?;
    Ok((exactly(results.last)?, exactly(results.histories)?, results.steps))
}

/// The sequences, and parameters for their rows.
fn rows(builder: &LoopBuilder, sequences: &impl Sequences) -> Result<(Vec<Expr>, Vec<Expr>)> {
    let sequences = sequences.sequences();
    if sequences.is_empty() {
        return Err(builder.refused("needs at least one sequence; `iterate` makes a number of steps".to_string()));
    }
    let mut rows = Vec::with_capacity(sequences.len());
    for sequence in &sequences {
        carried(sequence)?;
        let Some((_, row)) = sequence.dims().split_first() else {
            let found = describe(sequence.ty());
            return Err(builder.refused(format!("runs along axis 0 of its sequences, but one is {found}")));
        };
        let ty = Type { dtype: sequence.dtype(), shape: Shape::from(row) };
        rows.push(parameter(ty, false, builder.origin));
    }
    Ok((sequences, rows))
}
