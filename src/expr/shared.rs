//! Shared variables: expressions whose value outlives calls.
//!
//! A [`Shared`] is an input that no call passes. `compile` finds those that the outputs and updates use, and hands their
//! memory (`runtime/variable.rs`) to the function. The input keeps that memory alive, so whatever computes with the
//! variable's value can be compiled after the `Shared` itself is gone; what has only its size cannot.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::array::Array;
use crate::error::{Error, Result};
use crate::expr::constant::IntoConstant;
use crate::expr::constructors::shape_of_input;
use crate::expr::convert::IntoExpr;
use crate::expr::unify::symbols_of;
use crate::expr::{Expr, names, promote};
use crate::graph::{Input, Node, Type, describe};
use crate::runtime::FromOutput;
use crate::runtime::stateful::State;
use crate::runtime::variable::Variable;
use crate::shape::InputId;

/// A variable that functions read and update: an expression, plus the memory of its value. Cheap to clone; clones are
/// the same variable.
///
/// It stands wherever an expression does. A function that uses it reads its value at each call, and replaces it if
/// [`Compiler::updates`](crate::Compiler::updates) says so. It is no input: calls do not pass it.
///
/// ```
/// use kroton::{Compiler, shared, vector};
/// let total = shared("total", 0.0);
/// let x = vector::<f64>("x");
/// let add = Compiler::new().updates([(&total, &total + x.sum(..))]).compile([&x], &total * 2)?;
/// assert_eq!(add.call::<f64>((&[1.0, 2.0],))?, 0.0); // outputs and updates see the old value
/// assert_eq!(add.call::<f64>((&[4.0],))?, 6.0);
/// assert_eq!(total.get::<f64>()?, 7.0);
/// # Ok::<(), kroton::Error>(())
/// ```
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    expr: Expr,
    variable: Result<Arc<Variable>>,
}

/// A shared variable with its first value: a scalar, a slice, a `Vec`, an ndarray array or view, a
/// [`kroton::Array`](Array).
///
/// Dtype and rank stay; the sizes may change with every new value, as those of an input do from call to call. See
/// [`shared_with_dims`] for sizes that stay or broadcast.
///
/// ```
/// let w = kroton::shared("w", ndarray::Array1::<f64>::zeros(3));
/// assert_eq!((w.rank(), w.name(), w.to_string().as_str()), (1, "w", "w"));
/// assert_eq!(w.get::<Vec<f64>>()?, [0.0; 3]);
/// w.set([1.0, 2.0])?;
/// assert_eq!(w.get::<Vec<f64>>()?, [1.0, 2.0]);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn shared(name: &str, value: impl IntoConstant) -> Shared {
    Shared::new(name, value.into_constant(), None)
}

/// A shared variable of which some sizes are declared, as in [`input`](crate::input): `Some(n)` is a size that every
/// value has, and a size of `Some(1)` broadcasts; `None` is one that may change.
///
/// A first value of other sizes makes an ill-typed expression, whose error `compile`, `get` and `set` return.
///
/// ```
/// use ndarray::{Array2, array};
/// let bias = kroton::shared_with_dims("bias", array![[0.5, 1.0]], [Some(1), None]);
/// let x = kroton::matrix::<f64>("x");
/// let f = kroton::compile([&x], &x + &bias)?;
/// assert_eq!(f.call::<Array2<f64>>((&Array2::<f64>::zeros((2, 2)),))?, array![[0.5, 1.0], [0.5, 1.0]]);
/// assert!(bias.set(array![[1.0], [2.0]]).is_err());
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn shared_with_dims(name: &str, value: impl IntoConstant, dims: impl AsRef<[Option<usize>]>) -> Shared {
    Shared::new(name, value.into_constant(), Some(dims.as_ref()))
}

impl Shared {
    #[track_caller]
    fn new(name: &str, value: Expr, dims: Option<&[Option<usize>]>) -> Shared {
        let array = array_of(&value);
        let dims = dims.map_or_else(|| vec![None; value.rank()], <[_]>::to_vec);
        let variable = array.and_then(|array| Variable::new(name, array, dims));
        let expr = match &variable {
            Ok(variable) => {
                names::remember(variable.id(), name);
                input_of(variable)
            }
            Err(error) => value.invalid(error.to_string()),
        };
        Shared(Arc::new(Inner { expr, variable }))
    }

    /// The variable that an input of a graph is to be, with its value.
    ///
    /// # Errors
    /// `Argument` if the value does not fit the type of the input.
    #[cfg(feature = "files")]
    #[track_caller]
    pub(super) fn of_input(input: &Input, value: Array) -> Result<Shared> {
        let size = |dim: &crate::shape::Dim| dim.constant().and_then(|size| usize::try_from(size).ok());
        let variable = Variable::of_input(input.id, &input.name, value, input.ty.shape.iter().map(size).collect())?;
        names::remember(input.id, &input.name);
        Ok(Shared(Arc::new(Inner { expr: input_of(&variable), variable: Ok(variable) })))
    }

    /// The name that it was given.
    pub fn name(&self) -> &str {
        self.0.variable.as_ref().map_or("?", |variable| variable.name())
    }

    /// A copy of the value, in whatever container the caller names: `f64` and its like (rank 0), `Vec<T>`, ndarray
    /// arrays, [`kroton::Array`](Array).
    ///
    /// The value is that between two calls: never half of an update, and never the new value of one variable before
    /// the others of the same call have theirs.
    ///
    /// # Errors
    /// `Argument` if dtype or rank are not those of the variable, `Memory` if there is none for the copy.
    pub fn get<R: FromOutput>(&self) -> Result<R> {
        self.variable()?.get()
    }

    /// Replaces the value, by one of the same dtype and rank, of any sizes that are not declared. A single number
    /// converts if it does so exactly.
    ///
    /// A call that is under way does not see it; one that updates the variable starts over.
    ///
    /// # Errors
    /// `Argument`, naming the variable, what it is and what came.
    ///
    /// ```
    /// let w = kroton::shared("w", 1.5);
    /// w.set(2)?;
    /// assert_eq!(w.get::<f64>()?, 2.0);
    /// let error = w.set([1.0, 2.0]).unwrap_err();
    /// assert!(error.to_string().contains("`w` is f64 of rank 0; the value is f64 of rank 1"));
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn set(&self, value: impl IntoConstant) -> Result<()> {
        let variable = self.variable()?;
        let mut value = array_of(&value.into_constant())?;
        if variable.dims().is_empty() && value.rank() == 0 {
            let exact = value.get(0).cast_exact(variable.dtype());
            value = exact.map_or(value, Array::from_scalar);
        }
        variable.set(value)
    }

    fn variable(&self) -> Result<&Arc<Variable>> {
        self.0.variable.as_ref().map_err(Error::clone)
    }
}

/// The value of a constant.
fn array_of(value: &Expr) -> Result<Array> {
    match (value.error(), value.node()) {
        (Some(error), _) => Err(error.clone()),
        (None, Node::Scalar(value)) => Ok(Array::from_scalar(*value)),
        (None, Node::Dense(dense)) => Ok(dense.0.clone()),
        (None, other) => Err(Error::Internal(format!("`{}` is no constant", other.name()))),
    }
}

/// The input that stands for a variable.
#[track_caller]
fn input_of(variable: &Arc<Variable>) -> Expr {
    let ty = Type { dtype: variable.dtype(), shape: shape_of_input(variable.id(), variable.dims()) };
    let (id, name, kept) = (variable.id(), variable.name().to_string(), Arc::clone(variable));
    Expr::build(Node::Input(Arc::new(Input { id, name, ty, kept: Some(kept) })))
}

impl Deref for Shared {
    type Target = Expr;
    fn deref(&self) -> &Expr {
        &self.0.expr
    }
}

impl AsRef<Expr> for Shared {
    fn as_ref(&self) -> &Expr {
        self
    }
}

impl IntoExpr for Shared {
    fn into_expr(self) -> Expr {
        self.0.expr.clone()
    }
}

impl IntoExpr for &Shared {
    fn into_expr(self) -> Expr {
        self.0.expr.clone()
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.expr, f)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.variable {
            Ok(variable) => write!(f, "Shared({variable:?})"),
            Err(error) => write!(f, "Shared({error})"),
        }
    }
}

/// The shared variables of a function, and what they come to in its graph.
pub(super) struct SharedInputs {
    /// The inputs that stand for them, in the order of `state`.
    pub inputs: Vec<Expr>,
    /// The new values.
    pub updates: Vec<Expr>,
    /// Their memory.
    pub state: State,
}

/// Finds the shared variables of a function.
///
/// # Errors
/// `Argument` for a variable among the inputs, one that is updated twice, or an update of another dtype or rank.
pub(super) fn shared_inputs(
    inputs: &[Expr],
    outputs: &[Expr],
    givens: &[(Expr, Expr)],
    updates: &[(Shared, Expr)],
) -> Result<SharedInputs> {
    check_inputs(inputs)?;
    let mut updated: Vec<&Arc<Variable>> = Vec::new();
    let mut values = Vec::new();
    for (shared, value) in updates {
        let variable = shared.variable()?;
        if updated.iter().any(|other| other.id() == variable.id()) {
            return Err(Error::Argument(format!(
                "the shared variable `{}` is updated twice; a call gives it one new value",
                variable.name()
            )));
        }
        values.push(new_value(variable, value)?);
        updated.push(variable);
    }
    let mut variables = used_variables(outputs.iter().chain(&values), givens);
    for variable in &updated {
        if variables.iter().all(|other| other.id() != variable.id()) {
            variables.push(Arc::clone(variable));
        }
    }
    variables.sort_by_key(|variable| variable.id());
    let place = |variable: &Arc<Variable>| variables.iter().position(|other| other.id() == variable.id());
    let places = updated.into_iter().filter_map(place).collect();
    let inputs = variables.iter().map(input_of).collect();
    Ok(SharedInputs { inputs, updates: values, state: State::new(variables, places) })
}

fn check_inputs(inputs: &[Expr]) -> Result<()> {
    for input in inputs {
        if let Node::Input(input) = input.node()
            && input.kept.is_some()
        {
            return Err(Error::Argument(format!(
                "`{}` is a shared variable and cannot be an input: a call reads its value itself; leave it out, or \
                 replace it with `givens` where calls are to pass it",
                input.name
            )));
        }
    }
    Ok(())
}

/// The new value of a variable; a bare number takes its dtype.
fn new_value(variable: &Variable, value: &Expr) -> Result<Expr> {
    if let Some(error) = value.error() {
        return Err(error.clone());
    }
    let (name, dtype, rank) = (variable.name(), variable.dtype(), variable.dims().len());
    let takes = value.is_weak() && dtype.promote_weak(value.dtype().kind()) == dtype;
    let wrong = |reason: &str| {
        let came = describe(value.ty());
        Error::Argument(format!("the update of the shared variable `{name}` is {came}; {reason}"))
    };
    let value =
        if takes { promote::convert(value, dtype, value.origin()).map_err(|m| wrong(&m))? } else { value.clone() };
    if value.dtype() != dtype {
        return Err(wrong(&format!("the variable holds {dtype}: convert the update, as in `.cast::<{dtype}>()`")));
    }
    if value.rank() != rank {
        return Err(wrong(&format!("the variable has rank {rank}: reduce, reshape or broadcast the update to it")));
    }
    let sizes = variable.dims().iter().zip(value.dims()).enumerate();
    for (axis, (declared, size)) in sizes {
        if let (Some(declared), Some(size)) = (declared, size.constant())
            && *declared as i64 != size
        {
            return Err(wrong(&format!("axis {axis} of the variable is declared as {declared}")));
        }
    }
    Ok(value)
}

/// The shared variables that expressions use, but where givens replace them.
pub(super) fn used_variables<'e>(
    outputs: impl Iterator<Item = &'e Expr>,
    givens: &'e [(Expr, Expr)],
) -> Vec<Arc<Variable>> {
    let mut found: Vec<Arc<Variable>> = Vec::new();
    if !Variable::exist() {
        return found;
    }
    let mut known: FxHashSet<InputId> = FxHashSet::default();
    let mut seen: FxHashSet<usize> = FxHashSet::default();
    // Replacements are not replaced themselves.
    let mut pending: Vec<&Expr> = givens.iter().map(|(_, new)| new).collect();
    let mut walk = |pending: &mut Vec<&'e Expr>, seen: &mut FxHashSet<usize>, replaced: &FxHashSet<InputId>| {
        while let Some(expr) = pending.pop() {
            if !seen.insert(expr.key()) {
                continue;
            }
            let node = expr.node();
            let own = match node {
                Node::Input(input) => Some(input.id),
                _ => None,
            };
            for id in own.into_iter().chain(symbols_of(node).into_iter().map(|symbol| symbol.input)) {
                if !replaced.contains(&id) && known.insert(id) {
                    found.extend(Variable::find(id));
                }
            }
            node.for_each_operand(|operand| pending.push(operand));
        }
    };
    walk(&mut pending, &mut seen, &FxHashSet::default());
    seen = givens.iter().map(|(old, _)| old.key()).collect();
    let input_id = |expr: &Expr| match expr.node() {
        Node::Input(input) => Some(input.id),
        _ => None,
    };
    let replaced = givens.iter().filter_map(|(old, _)| input_id(old)).collect();
    pending.extend(outputs);
    walk(&mut pending, &mut seen, &replaced);
    found
}

#[cfg(test)]
mod tests;
