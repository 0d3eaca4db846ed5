//! Values whose derivatives are not those of the nodes that compute them.
//!
//! Some values count as functions of some operands. What computes them is a region, the *body*; how derivatives are had is
//! a region as well, the *pullback*, or it is left to the body. Only `autodiff` asks: a value is the node that the body
//! says, so a graph that is made of it knows nothing of all this. Being data and no Rust functions, derivations can be
//! rebuilt over other operands, as everything else in an expression can. Must not know: how derivatives are made.
//!
//! Invariants: regions have parameters that nothing outside uses; there are as many parameters of the body as operands, as
//! many results as values; the pullback has an operand's dtype and shape for each operand of floats.

use std::panic::Location;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::expr::loop_node::{carried, exactly, parameter, strong};
use crate::expr::substitute::Substitution;
use crate::graph::{Node, Region, describe};
use crate::shape::InputId;

/// Which value of a derivation an expression is.
#[derive(Clone)]
pub(crate) struct Derived {
    pub of: Arc<Derivation>,
    pub index: usize,
}

/// How derivatives of some values are had.
pub(crate) struct Derivation {
    /// The user's name of the function.
    pub function: &'static str,
    /// The user's source line.
    pub origin: &'static Location<'static>,
    /// What the values are functions of.
    pub operands: Vec<Expr>,
    /// From operands to values.
    body: Closure,
    /// From operands, values and the cotangents of values to those of operands.
    pullback: Option<Closure>,
    /// The values, without this derivation.
    plain: Vec<Expr>,
}

/// A region, and what it uses beside its parameters.
///
/// What stands for that is put in its place with the arguments, in one go: closures in closures are walked once each.
#[derive(Clone)]
struct Closure {
    region: Region<Expr>,
    /// What the region was built with.
    built_with: Vec<Expr>,
    /// What stands for each of these.
    captured: Vec<Expr>,
}

impl Closure {
    fn new(region: Region<Expr>) -> Closure {
        let mut closure = Closure { region, built_with: Vec::new(), captured: Vec::new() };
        let (own, mut seen) = (closure.scope(), FxHashSet::default());
        let mut pending: Vec<Expr> = closure.region.results.iter().rev().cloned().collect();
        while let Some(expr) = pending.pop() {
            if !seen.insert(expr.key()) {
                continue;
            }
            if expr.depends_on(&own) {
                pending.extend(expr.level_operands().into_iter().rev());
            } else if !is_constant(&expr) {
                closure.built_with.push(expr);
            }
        }
        closure.captured.clone_from(&closure.built_with);
        closure
    }

    /// The identities of the parameters.
    fn scope(&self) -> FxHashSet<InputId> {
        let id = |parameter: &Expr| match parameter.node() {
            Node::Parameter(id, _) => Some(*id),
            _ => None,
        };
        self.region.parameters.iter().filter_map(id).collect()
    }

    /// The results for these arguments.
    fn apply(&self, arguments: &[Expr]) -> Vec<Expr> {
        let mut substitution = Substitution::new(self.scope());
        let replaced = self.region.parameters.iter().zip(arguments).chain(self.built_with.iter().zip(&self.captured));
        replaced.for_each(|(old, new)| substitution.replace(old, new.clone()));
        self.region.results.iter().map(|result| substitution.apply(result)).collect()
    }

    /// The same with other expressions in the place of those captured.
    fn over(&self, captured: &[Expr]) -> Closure {
        Closure { captured: captured.to_vec(), ..self.clone() }
    }
}

fn is_constant(expr: &Expr) -> bool {
    matches!(expr.node(), Node::Scalar(_) | Node::Dense(_) | Node::Iota(_) | Node::Size(_)) && expr.derived().is_none()
}

impl Derivation {
    /// # Errors
    /// What an expression carries.
    pub fn new<const N: usize>(
        function: &'static str,
        origin: &'static Location<'static>,
        operands: [&Expr; N],
        body: impl FnOnce([Expr; N]) -> Result<Vec<Expr>>,
    ) -> Result<Derivation> {
        let operands = operands.iter().map(|&operand| strong(operand, origin)).collect::<Result<Vec<_>>>()?;
        let parameters: [Expr; N] = std::array::from_fn(|at| parameter(operands[at].ty().clone(), false, origin));
        let results = body(parameters.clone())?;
        let results = results.iter().map(|result| strong(result, origin)).collect::<Result<Vec<_>>>()?;
        let body = Closure::new(Region { parameters: parameters.into(), results });
        let plain = body.apply(&operands);
        Ok(Derivation { function, origin, operands, body, pullback: None, plain })
    }

    /// The same with a pullback, from operands, values and the cotangents of values.
    ///
    /// # Errors
    /// What an expression carries; `Build` for a cotangent of another dtype or shape than its operand.
    pub fn with_pullback<const N: usize, const M: usize>(
        self,
        pullback: impl FnOnce([Expr; N], [Expr; M], [Expr; M]) -> Result<[Expr; N]>,
    ) -> Result<Derivation> {
        let operands = self.body.region.parameters.clone();
        let like = |result: &Expr| parameter(result.ty().clone(), false, self.origin);
        let values: Vec<Expr> = self.plain.iter().map(like).collect();
        let cotangents: Vec<Expr> = self.plain.iter().map(like).collect();
        let given = pullback(exactly(operands.clone())?, exactly(values.clone())?, exactly(cotangents.clone())?)?;
        let results = given.into_iter().enumerate().map(|(at, given)| self.cotangent(at, given));
        let results = results.collect::<Result<Vec<_>>>()?;
        let parameters = operands.into_iter().chain(values).chain(cotangents).collect();
        Ok(Derivation { pullback: Some(Closure::new(Region { parameters, results })), ..self })
    }

    /// A cotangent in the type of its operand; of an operand that is no float nothing is asked.
    fn cotangent(&self, at: usize, given: Expr) -> Result<Expr> {
        let operand = &self.body.region.parameters[at];
        if !operand.dtype().is_float() {
            return Ok(operand.clone());
        }
        carried(&given)?;
        let given = if given.is_weak() { repeated(&given.cast_to(operand.dtype()), operand) } else { given };
        let sizes = || given.dims().iter().zip(operand.dims());
        let differ = sizes().any(|(own, size)| {
            own != size && (own.is_one() || size.is_one() || (own.constant().is_some() && size.constant().is_some()))
        });
        if (given.dtype(), given.rank()) != (operand.dtype(), operand.rank()) || differ {
            let (expected, found, place) = (describe(operand.ty()), describe(given.ty()), given.origin());
            return Err(self.refused(format!(
                "takes a cotangent of the dtype and shape of its operand: operand {at} (`{}`) is {expected}, and its \
                 cotangent (built at {place}) {found}; convert it with `cast`, or sum it over axes that the operand \
                 was repeated along",
                self.operands[at]
            )));
        }
        let given = if given.dims() == operand.dims() { given } else { repeated(&given, operand) };
        carried(&given)?;
        Ok(given)
    }

    /// An error that names the function and where it was called.
    pub fn refused(&self, complaint: String) -> Error {
        Error::Build { message: format!("`{}` {complaint}", self.function), location: self.origin }
    }

    /// The values, each of which knows this derivation.
    pub fn values(self: &Arc<Self>) -> Vec<Expr> {
        let derived = |index| Derived { of: self.clone(), index };
        self.plain.iter().enumerate().map(|(index, value)| value.with_derivation(derived(index))).collect()
    }

    /// What the body uses beside the operands.
    pub fn captured(&self) -> &[Expr] {
        &self.body.captured
    }

    /// The values, without this derivation.
    pub fn plain(&self) -> &[Expr] {
        &self.plain
    }

    /// Whether derivatives are given, and not those of the body.
    pub fn is_given(&self) -> bool {
        self.pullback.is_some()
    }

    /// The values of other operands.
    pub fn recomputed(&self, operands: &[Expr]) -> Vec<Expr> {
        self.body.apply(operands)
    }

    /// The cotangents of the operands from those of the values; none if that is left to the body.
    pub fn pulled_back(self: &Arc<Self>, cotangents: &[Expr]) -> Option<Vec<Expr>> {
        let pullback = self.pullback.as_ref()?;
        Some(pullback.apply(&[self.operands.as_slice(), &self.values(), cotangents].concat()))
    }

    /// Everything that this is made of: operands, what the body captured, what the pullback captured.
    pub fn references(&self) -> impl Iterator<Item = &Expr> {
        let pullback = self.pullback.iter().flat_map(|pullback| &pullback.captured);
        self.operands.iter().chain(&self.body.captured).chain(pullback)
    }

    /// The same over other references, in their order.
    pub fn over(&self, references: &[Expr]) -> Derivation {
        let (operands, rest) = references.split_at(self.operands.len());
        let (captured, rest) = rest.split_at(self.body.captured.len());
        let (operands, body) = (operands.to_vec(), self.body.over(captured));
        let plain = body.apply(&operands);
        let pullback = self.pullback.as_ref().map(|pullback| pullback.over(rest));
        Derivation { operands, body, pullback, plain, ..*self }
    }

    /// One of the same kind over operands and regions of other types; `remake` is given a region, what it was built with,
    /// and what stands for that.
    ///
    /// # Errors
    /// What `remake` returns.
    pub fn remade(
        &self,
        operands: Vec<Expr>,
        mut remake: impl FnMut(&Region<Expr>, &[Expr], &[Expr]) -> Result<Region<Expr>>,
    ) -> Result<Derivation> {
        let mut closure = |old: &Closure| Ok(Closure::new(remake(&old.region, &old.built_with, &old.captured)?));
        let (body, pullback) = (closure(&self.body)?, self.pullback.as_ref().map(&mut closure).transpose()?);
        let plain = body.apply(&operands);
        Ok(Derivation { operands, body, pullback, plain, ..*self })
    }

    /// The same over other operands, and other expressions in the place of what the body captured.
    pub fn over_operands(&self, operands: &[Expr]) -> Derivation {
        let rest = self.references().skip(operands.len()).cloned();
        self.over(&operands.iter().cloned().chain(rest).collect::<Vec<_>>())
    }

    /// Calls `visit` with every expression that this holds.
    pub fn for_each_part(&self, mut visit: impl FnMut(&Expr)) {
        self.operands.iter().chain(&self.plain).for_each(&mut visit);
        for Closure { region, built_with, captured } in std::iter::once(&self.body).chain(&self.pullback) {
            built_with.iter().chain(captured).chain(&region.parameters).chain(&region.results).for_each(&mut visit);
        }
    }
}

/// An expression repeated to the shape of another one.
fn repeated(expr: &Expr, like: &Expr) -> Expr {
    Expr::build_at(Node::Broadcast(like.dims().clone(), expr.clone()), false, expr.origin())
}
