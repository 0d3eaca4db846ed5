//! Loops that carry states: a number of steps, or as long as a condition holds.
//!
//! A body is built once, over parameters that stand for the states; whatever else it uses is computed once, outside.

use std::panic::Location;

use crate::dtype::DType;
use crate::error::Result;
use crate::expr::Expr;
use crate::expr::convert::IntoExpr;
use crate::expr::loop_node::{Body, LoopBuilder, carried, exactly, index, parameter};
use crate::graph::describe;

/// The states after so many steps of `body`, which makes the next states from the current ones.
///
/// The number of steps is a number or an integer expression of rank 0. States may have any dtype and shape, which the
/// body keeps; weakly typed results take the dtype of their state. The body may use any other expression, reduce,
/// multiply matrices, and hold loops of its own. No steps give the initial states.
///
/// # Errors
/// `Build`, with the source line, if the body changes the dtype or shape of a state, or the number of steps is no integer;
/// what an expression carries. A number of steps below zero is an error of the call, before anything is written, where it
/// is computed from sizes and integer inputs, and else when the loop begins.
///
/// ```
/// use kroton::{compile, iterate, scalar, vector};
/// let (x, n) = (vector::<f64>("x"), scalar::<i64>("n"));
/// // Newton's square root, element by element.
/// let [root] = iterate(&n, [&x], |[r]| [0.5 * (&r + &x / &r)])?;
/// let f = compile([&x, &n], root)?;
/// let roots: Vec<f64> = f.call((&[4.0, 9.0], 20))?;
/// assert_eq!(roots, [2.0, 3.0]);
/// assert!(f.call::<Vec<f64>>((&[4.0], -1)).is_err());
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn iterate<const N: usize>(
    steps: impl IntoExpr,
    initial: [&Expr; N],
    body: impl FnOnce([Expr; N]) -> [Expr; N],
) -> Result<[Expr; N]> {
    let builder = LoopBuilder::new("iterate", &initial, Location::caller())?.count(steps)?;
    let next = builder.next(body(exactly(builder.states.clone())?))?;
    exactly(builder.finish(Body { next: next.into(), ..Body::default() })?.last)
}

/// As [`iterate`], with the number of the step, from 0 on, as the first argument of the body: an integer that is weakly
/// typed, as [`Expr::len`] is.
///
/// # Errors
/// As [`iterate`].
///
/// ```
/// use kroton::{compile, iterate_indexed, scalar};
/// let x = scalar::<f64>("x");
/// // 1 + x (1 + x/2 (1 + x/3 …)), from the inside.
/// let [e] = iterate_indexed(30, [&kroton::constant(1.0)], |i, [sum]| [1.0 + sum * &x / (30 - i)])?;
/// let e: f64 = compile([&x], e)?.call((1.0,))?;
/// assert!((e - std::f64::consts::E).abs() < 1e-15);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn iterate_indexed<const N: usize>(
    steps: impl IntoExpr,
    initial: [&Expr; N],
    body: impl FnOnce(Expr, [Expr; N]) -> [Expr; N],
) -> Result<[Expr; N]> {
    let origin = Location::caller();
    let builder = LoopBuilder::new("iterate_indexed", &initial, origin)?.count(steps)?;
    let step = index(origin);
    let next = builder.next(body(step.clone(), exactly(builder.states.clone())?))?;
    exactly(builder.finish(Body { index: Some(step), next: next.into(), ..Body::default() })?.last)
}

/// The states after steps of `body` for as long as a condition on them holds.
///
/// A condition of rank 0 ends the whole loop. One with axes ends it element by element: all states have its shape, an
/// element for which it does not hold keeps its states, and the loop ends when it holds for none. If that never happens
/// the call does not return; [`iterate_while_at_most`] bounds the number of steps.
///
/// # Errors
/// As [`iterate`]; `Build` if the condition is not bool, or does not broadcast to every state.
///
/// ```
/// use kroton::{compile, iterate_while, scalar, vector};
/// let (a, b) = (scalar::<i64>("a"), scalar::<i64>("b"));
/// let [gcd, _] = iterate_while(|[_, b]| b.ne(0), [&a, &b], |[a, b]| [b.clone(), a % b])?;
/// assert_eq!(compile([&a, &b], gcd)?.call::<i64>((1071, 462))?, 21);
/// // Each element is halved until it is below one.
/// let x = vector::<f64>("x");
/// let [small] = iterate_while(|[x]| x.ge(1.0), [&x], |[x]| [x / 2.0])?;
/// assert_eq!(compile([&x], small)?.call::<Vec<f64>>((&[0.25, 6.0, 8.0],))?, [0.25, 0.75, 0.5]);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn iterate_while<const N: usize>(
    condition: impl Fn([Expr; N]) -> Expr,
    initial: [&Expr; N],
    body: impl FnOnce([Expr; N]) -> [Expr; N],
) -> Result<[Expr; N]> {
    let builder = LoopBuilder::new("iterate_while", &initial, Location::caller())?;
    while_holds(builder, condition, body)
}

/// As [`iterate_while`], but after so many steps the loop ends, whether the condition holds or not.
///
/// # Errors
/// As [`iterate`] and [`iterate_while`].
///
/// ```
/// use kroton::{compile, constant, iterate_while_at_most, vector};
/// // How many steps the points c of the Mandelbrot iteration take to leave the circle of radius 2, up to 100.
/// let c = vector::<f64>("c");
/// let (zero, none) = (0.0 * &c, (0.0 * &c).cast::<i32>());
/// let [_, steps] = iterate_while_at_most(100, |[z, _]| z.abs().le(2.0), [&zero, &none], |[z, n]| [&z * &z + &c, n + 1])?;
/// assert_eq!(compile([&c], steps)?.call::<Vec<i32>>((&[-1.0, 0.0, 1.0],))?, [100, 100, 3]);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn iterate_while_at_most<const N: usize>(
    steps: impl IntoExpr,
    condition: impl Fn([Expr; N]) -> Expr,
    initial: [&Expr; N],
    body: impl FnOnce([Expr; N]) -> [Expr; N],
) -> Result<[Expr; N]> {
    let builder = LoopBuilder::new("iterate_while_at_most", &initial, Location::caller())?.count(steps)?;
    while_holds(builder, condition, body)
}

/// The condition is one more state: whether there is another step, and for which elements.
fn while_holds<const N: usize>(
    builder: LoopBuilder,
    condition: impl Fn([Expr; N]) -> Expr,
    body: impl FnOnce([Expr; N]) -> [Expr; N],
) -> Result<[Expr; N]> {
    let first = condition(exactly(builder.initial.clone())?);
    let next = builder.next(body(exactly(builder.states.clone())?))?;
    let following = condition(next.clone());
    for condition in [&first, &following] {
        carried(condition)?;
        if condition.dtype() != DType::Bool {
            let found = describe(condition.ty());
            return Err(builder.refused(format!("takes a bool as its condition, not {found}; compare, as in x.gt(0)")));
        }
    }
    let current = parameter(first.ty().clone(), false, builder.origin);
    let guard = Some([first, current, following]);
    exactly(builder.finish(Body { guard, next: next.into(), ..Body::default() })?.last)
}
