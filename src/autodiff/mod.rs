//! Derivatives: expressions from expressions.
//!
//! A derivative is an expression like any other, so it can be differentiated again. Reverse mode (`reverse.rs`) and
//! forward mode (`forward.rs`) walk the same list of nodes (`tape.rs`) and share the partial derivatives of every op:
//! `rules.rs` has those of elementwise ops, `reductions.rs` those of reductions, `views.rs` the transposes of views,
//! joins and matrix products. `conventions.rs` says what holds where there is no derivative. `stable.rs` gives formulas that
//! overflow another form before. `guards.rs` keeps a NaN of the branch that a `select` does not take out of gradients.
//!
//! A loop is one node on the tape; its body (`body.rs`) has a tape of its own. The tangents of a loop are those of a loop
//! with more states (`steps_forward.rs`), its adjoints those of a loop that walks back (`steps_reverse.rs`) along histories
//! of the way forward (`residuals.rs`); `widen.rs` keeps both elementwise where the loop is.
//!
//! Nothing here knows the optimizer or an engine. Invariants: no function recurses over the depth of an expression;
//! the time taken and the size of a derivative are linear in the size of what is differentiated; an adjoint has the
//! dtype and the shape of its expression.

mod body;
pub mod conventions;
mod derived;
mod forward;
mod guards;
mod linearity;
mod partial;
mod reductions;
mod residuals;
mod reverse;
mod rules;
mod special;
mod stable;
mod steps_forward;
mod steps_reverse;
mod tape;
mod views;
mod widen;

use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::expr::convert::{IntoExpr, IntoExprs};
use crate::graph::{Node, describe};
use crate::shape::Shape;

/// The gradients of a scalar with respect to some expressions: for each one an expression of its dtype and shape.
///
/// `loss` is a float of rank 0. What it does not depend on has the gradient zero. The inputs of a gradient may be any
/// float expressions that occur in the loss, not only inputs of the function.
///
/// # Conventions
/// Where a function has no derivative, its gradient is that of a neighbor: `abs` has 0 at 0; `maximum`, `minimum`,
/// `fmax`, `fmin` and the reductions `max` and `min` share it equally among equals, except that a literal keeps what
/// is its own (so `relu` has 0 at 0, and `clamp` 0 at its bounds); `hypot` has 0 at the origin; `floor`, `ceil`,
/// `trunc`, `round`, `sign`, `floor_div` and the second operand of `copysign` have 0 everywhere; `x.rem(d)` has 1 in
/// `x`. `sqrt` and `cbrt` have infinity at 0, hence `norm` and `std` NaN where they are 0; `atan2` has NaN at the
/// origin. The branch that a `select` does not take contributes 0, also where its own derivative is infinite or NaN;
/// only a matrix product with another factor that is not finite lets it through.
///
/// The gradient of `prod` over n elements is made of products of the others: it is right for zeros, and takes n²
/// multiplications.
///
/// # Loops
/// The gradient of a loop is a loop that walks back along a history of the states. For that the number of steps must be
/// bounded, by [`iterate`](crate::iterate()), a sequence or [`iterate_while_at_most`](crate::iterate_while_at_most), and be
/// computed from numbers, sizes and integer inputs; forward mode ([`jvp`]) works for every loop. Steps that were not made,
/// and elements for which a condition did not hold, contribute 0, whatever their derivatives would be. How many steps
/// there are has no derivative. The history takes the memory of all states that a step uses in ways that are not linear,
/// times the number of steps; an element beside an element is one kernel forth and one back.
///
/// # Errors
/// `Argument` if the loss is no float of rank 0 or if an input is no float; `Unsupported` if a function of the host or
/// `iterate_while` lies between, or a loop of whose number of steps nothing is known before; the error that an
/// ill-typed expression carries.
///
/// ```
/// use kroton::{compile, grad, vector};
/// let (x, w) = (vector::<f64>("x"), vector::<f64>("w"));
/// let loss = (&x * &w).tanh().sum(..);
/// let g = grad(&loss, [&w])?;
/// let f = compile([&x, &w], &g[0])?;
/// let slope: Vec<f64> = f.call((&[2.0, 3.0], &[0.0, 0.0]))?;
/// assert_eq!(slope, [2.0, 3.0]);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn grad(loss: &Expr, inputs: impl IntoExprs) -> Result<Vec<Expr>> {
    let inputs = inputs.into_exprs();
    check_scalar("grad", loss)?;
    check_inputs("grad", &inputs)?;
    well_typed(reverse::pull_back(loss, number(loss.dtype(), 1.0), &inputs)?)
}

/// The product of a cotangent with the Jacobian (reverse mode): for each input, `Σ cotangent · ∂f/∂input` in the
/// dtype and shape of the input.
///
/// `cotangent` has the dtype and shape of `f`. Loops are differentiated as in [`grad`].
///
/// # Errors
/// As [`grad`], but `f` may have any shape; `Argument` if the cotangent has another dtype or rank.
///
/// ```
/// use kroton::{compile, vector, vjp};
/// let (x, c) = (vector::<f64>("x"), vector::<f64>("c"));
/// let back = vjp(&(&x * &x), &c, [&x])?;
/// let f = compile([&x, &c], &back[0])?;
/// assert_eq!(f.call::<Vec<f64>>((&[1.0, 2.0], &[10.0, 1.0]))?, [20.0, 4.0]);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn vjp(f: &Expr, cotangent: impl IntoExpr, inputs: impl IntoExprs) -> Result<Vec<Expr>> {
    let inputs = inputs.into_exprs();
    check_float("vjp", f)?;
    check_inputs("vjp", &inputs)?;
    let cotangent = fit("the cotangent of `vjp`", cotangent.into_expr(), f)?;
    well_typed(reverse::pull_back(f, cotangent, &inputs)?)
}

/// The product of the Jacobian with a direction (forward mode): how `f` changes when each input moves along its
/// direction; in the dtype and shape of `f`.
///
/// # Errors
/// As [`vjp`], for directions in place of cotangents.
///
/// ```
/// use kroton::{compile, jvp, vector};
/// let (x, v) = (vector::<f64>("x"), vector::<f64>("v"));
/// let f = compile([&x, &v], jvp(&x.square().sum(..), [(&x, &v)])?)?;
/// assert_eq!(f.call::<f64>((&[1.0, 2.0], &[10.0, 1.0]))?, 24.0);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn jvp<X: AsRef<Expr>, V: IntoExpr>(f: &Expr, directions: impl IntoIterator<Item = (X, V)>) -> Result<Expr> {
    check_float("jvp", f)?;
    let mut seeds = Vec::new();
    for (input, direction) in directions {
        let input = input.as_ref().clone();
        check_inputs("jvp", std::slice::from_ref(&input))?;
        let direction = fit("a direction of `jvp`", direction.into_expr(), &input)?;
        seeds.push((input, direction));
    }
    let tangent = forward::push_forward(f, &seeds, &Shape::new())?;
    one_well_typed(tangent.unwrap_or_else(|| zeros(f.dtype(), f.dims().clone())))
}

/// The derivatives of all elements of `y` with respect to all elements of `x`: an array of the shape of `y` followed
/// by the shape of `x`.
///
/// It is computed in forward mode, all directions at once, or in reverse mode if `y` has rank 0.
///
/// # Errors
/// As [`vjp`].
///
/// ```
/// use kroton::{compile, jacobian, vector};
/// use ndarray::{Array2, array};
/// let x = vector::<f64>("x");
/// let f = compile([&x], jacobian(&x.square(), &x)?)?;
/// assert_eq!(f.call::<Array2<f64>>((&[1.0, 2.0],))?, array![[2.0, 0.0], [0.0, 4.0]]);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn jacobian(y: &Expr, x: &Expr) -> Result<Expr> {
    check_float("jacobian", y)?;
    check_inputs("jacobian", std::slice::from_ref(x))?;
    if y.rank() == 0 {
        return Ok(grad(y, [x])?.remove(0));
    }
    let shape: Shape = y.dims().iter().chain(x.dims()).cloned().collect();
    let seed = views::unit_directions(x);
    let Some(tangent) = forward::push_forward(y, &[(x.clone(), seed)], x.dims())? else {
        return one_well_typed(zeros(y.dtype(), shape));
    };
    let (first, last) = (x.rank(), x.rank() + y.rank());
    one_well_typed(views::permute(&tangent, (first..last).chain(0..first)))
}

/// The second derivatives of a scalar: an array of the shape of `x` twice over.
///
/// # Errors
/// As [`grad`].
///
/// ```
/// use kroton::{compile, hessian, vector};
/// use ndarray::{Array2, array};
/// let x = vector::<f64>("x");
/// let f = compile([&x], hessian(&x.powi(3).sum(..), &x)?)?;
/// assert_eq!(f.call::<Array2<f64>>((&[1.0, 2.0],))?, array![[6.0, 0.0], [0.0, 12.0]]);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn hessian(loss: &Expr, x: &Expr) -> Result<Expr> {
    check_scalar("hessian", loss)?;
    check_inputs("hessian", std::slice::from_ref(x))?;
    jacobian(&grad(loss, [x])?.remove(0), x)
}

/// The product of the second derivatives of a scalar with a direction, in the shape of `x`, without making the
/// whole Hessian.
///
/// # Errors
/// As [`grad`] and [`jvp`].
///
/// ```
/// use kroton::{compile, hessian_vector_product, vector};
/// let (x, v) = (vector::<f64>("x"), vector::<f64>("v"));
/// let f = compile([&x, &v], hessian_vector_product(&x.powi(3).sum(..), &x, &v)?)?;
/// assert_eq!(f.call::<Vec<f64>>((&[1.0, 2.0], &[1.0, 10.0]))?, [6.0, 120.0]);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn hessian_vector_product(loss: &Expr, x: &Expr, direction: impl IntoExpr) -> Result<Expr> {
    check_scalar("hessian_vector_product", loss)?;
    check_inputs("hessian_vector_product", std::slice::from_ref(x))?;
    jvp(&grad(loss, [x])?.remove(0), [(x, direction)])
}

/// A constant of rank 0.
#[track_caller]
fn number(dtype: DType, value: f64) -> Expr {
    Expr::build(Node::Scalar(Scalar::F64(value).cast(dtype)))
}

/// Zeros of a shape.
#[track_caller]
fn zeros(dtype: DType, shape: Shape) -> Expr {
    let zero = number(dtype, 0.0);
    if shape.is_empty() { zero } else { Expr::build(Node::Broadcast(shape, zero)) }
}

fn check_float(name: &str, f: &Expr) -> Result<()> {
    if let Some(error) = f.error() {
        return Err(error.clone());
    }
    if f.dtype().is_float() {
        return Ok(());
    }
    Err(Error::Argument(format!(
        "`{name}` of `{f}`, which is {}: only floats have derivatives; cast what it is made of to a float first",
        describe(f.ty())
    )))
}

fn check_scalar(name: &str, loss: &Expr) -> Result<()> {
    check_float(name, loss)?;
    if loss.rank() == 0 {
        return Ok(());
    }
    Err(Error::Argument(format!(
        "`{name}` takes the derivative of a scalar, and `{loss}` is {}; sum it with `.sum(..)`, or use `vjp` with a \
         cotangent or `jacobian`",
        describe(loss.ty())
    )))
}

fn check_inputs(name: &str, inputs: &[Expr]) -> Result<()> {
    for input in inputs {
        if let Some(error) = input.error() {
            return Err(error.clone());
        }
        if !input.dtype().is_float() {
            return Err(Error::Argument(format!(
                "`{name}` with respect to `{input}`, which is {}: derivatives are with respect to floats; make it a \
                 float input, or leave it out",
                describe(input.ty())
            )));
        }
    }
    Ok(())
}

/// A cotangent or a direction, which must have the type of the expression that it belongs to.
#[track_caller]
fn fit(what: &str, value: Expr, like: &Expr) -> Result<Expr> {
    if let Some(error) = value.error() {
        return Err(error.clone());
    }
    let value = if value.is_weak() { value.cast_to(like.dtype()) } else { value };
    if (value.dtype(), value.rank()) != (like.dtype(), like.rank()) {
        return Err(Error::Argument(format!(
            "{what} is {} and belongs to `{like}`, which is {}; dtype and rank must be equal",
            describe(value.ty()),
            describe(like.ty())
        )));
    }
    if value.dims() == like.dims() {
        return Ok(value);
    }
    one_well_typed(Expr::build(Node::Broadcast(like.dims().clone(), value)))
}

fn one_well_typed(expr: Expr) -> Result<Expr> {
    match expr.error() {
        Some(error) => Err(error.clone()),
        None => Ok(expr),
    }
}

fn well_typed(exprs: Vec<Expr>) -> Result<Vec<Expr>> {
    exprs.into_iter().map(one_well_typed).collect()
}
