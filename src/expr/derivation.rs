//! Values whose derivatives are not those of the nodes that compute them.
//!
//! Some values count as a function of some operands. What computes them is a region, the *body*; how derivatives are
//! had is a region as well, the *pullback*, or it is left to the body. Only `autodiff` asks: a value is the node that
//! the body says, so a graph that is made of it knows nothing of all this. Being data and no Rust functions, derivations
//! can be rebuilt over other operands, as everything else in an expression can. Must not know: how derivatives are made.
//!
//! Invariants: regions have parameters of their own, which nothing outside uses; there are as many parameters of the
//! body as operands, as many results as values; the pullback has an operand's dtype and shape for each operand of floats.

use std::panic::Location;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::expr::loop_node::{carried, exactly, parameter, strong};
use crate::expr::substitute::{captured, instantiate, substitute};
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
    /// What else the body uses.
    pub captured: Vec<Expr>,
    /// From operands to values.
    body: Region<Expr>,
    /// From operands, values and the cotangents of values to those of operands.
    pullback: Option<Region<Expr>>,
}

impl Derivation {
    /// # Errors
    /// What an expression carries.
    pub fn new<const N: usize>(
        function: &'static str,
        origin: &'static Location<'static>,
        operands: [&Expr; N],
        body: impl FnOnce([Expr; N]) -> Vec<Expr>,
    ) -> Result<Derivation> {
        let operands = operands.iter().map(|&operand| strong(operand, origin)).collect::<Result<Vec<_>>>()?;
        let parameters: [Expr; N] = std::array::from_fn(|at| parameter(operands[at].ty().clone(), false, origin));
        let results = body(parameters.clone());
        let results = results.iter().map(|result| strong(result, origin)).collect::<Result<Vec<_>>>()?;
        let body = Region { parameters: parameters.into(), results };
        Ok(Derivation { function, origin, operands, captured: captured(&body), body, pullback: None })
    }

    /// The same with a pullback, from operands, values and the cotangents of values.
    ///
    /// # Errors
    /// What an expression carries; `Build` for a cotangent of another dtype or shape than its operand.
    pub fn with_pullback<const N: usize, const M: usize>(
        self,
        pullback: impl FnOnce([Expr; N], [Expr; M], [Expr; M]) -> [Expr; N],
    ) -> Result<Derivation> {
        let operands = self.body.parameters.clone();
        let like = |result: &Expr| parameter(result.ty().clone(), false, self.origin);
        let values: Vec<Expr> = self.body.results.iter().map(like).collect();
        let cotangents: Vec<Expr> = self.body.results.iter().map(like).collect();
        let given = pullback(exactly(operands.clone())?, exactly(values.clone())?, exactly(cotangents.clone())?);
        let results = given.into_iter().enumerate().map(|(at, given)| self.cotangent(at, given));
        let results = results.collect::<Result<Vec<_>>>()?;
        let parameters = operands.into_iter().chain(values).chain(cotangents).collect();
        Ok(Derivation { pullback: Some(Region { parameters, results }), ..self })
    }

    /// A cotangent in the type of its operand; of an operand that is no float nothing is asked.
    fn cotangent(&self, at: usize, given: Expr) -> Result<Expr> {
        let operand = &self.body.parameters[at];
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
        let values = self.recomputed(&self.operands).into_iter().enumerate();
        values.map(|(index, value)| value.with_derivation(Derived { of: self.clone(), index })).collect()
    }

    /// The types of the values, in expressions of these types.
    pub fn results(&self) -> &[Expr] {
        &self.body.results
    }

    /// The values of other operands, with the derivatives that their nodes say.
    pub fn recomputed(&self, operands: &[Expr]) -> Vec<Expr> {
        instantiate(&self.body, operands)
    }

    /// The cotangents of the operands from those of the values; none if that is left to the body.
    pub fn pulled_back(self: &Arc<Self>, cotangents: &[Expr]) -> Option<Vec<Expr>> {
        let pullback = self.pullback.as_ref()?;
        let arguments: Vec<Expr> = self.operands.iter().cloned().chain(self.values()).collect();
        Some(instantiate(pullback, &[arguments.as_slice(), cotangents].concat()))
    }

    /// Whether derivatives are given, and not those of the body.
    pub fn is_given(&self) -> bool {
        self.pullback.is_some()
    }

    /// The same over other operands, and other expressions in the place of those captured.
    pub fn over(&self, operands: Vec<Expr>, captured: Vec<Expr>) -> Derivation {
        let replaced = self.captured.iter().cloned().zip(captured.iter().cloned());
        let changed = replaced.filter(|(old, new)| old.key() != new.key());
        let results = substitute(&self.body.results, changed);
        let body = Region { parameters: self.body.parameters.clone(), results };
        Derivation { operands, captured, body, pullback: self.pullback.clone(), ..*self }
    }

    /// The same over other references; `map` is called for each but parameters.
    pub fn map(&self, map: &mut impl FnMut(&Expr) -> Expr) -> Derivation {
        let mut all = |list: &[Expr]| list.iter().map(&mut *map).collect::<Vec<_>>();
        let (operands, captured) = (all(&self.operands), all(&self.captured));
        let mut region =
            |region: &Region<Expr>| Region { parameters: region.parameters.clone(), results: all(&region.results) };
        let (body, pullback) = (region(&self.body), self.pullback.as_ref().map(&mut region));
        Derivation { operands, captured, body, pullback, ..*self }
    }

    /// Calls `visit` with everything that this is made of, parameters included.
    pub fn for_each_reference<'a>(&'a self, mut visit: impl FnMut(&'a Expr)) {
        self.operands.iter().chain(&self.captured).for_each(&mut visit);
        for region in std::iter::once(&self.body).chain(&self.pullback) {
            region.parameters.iter().chain(&region.results).for_each(&mut visit);
        }
    }

    /// The youngest input or parameter that any part may depend on.
    pub fn youngest(&self) -> Option<InputId> {
        let mut youngest = None;
        self.for_each_reference(|reference| youngest = youngest.max(reference.youngest()));
        youngest
    }
}

/// An expression repeated to the shape of another one.
fn repeated(expr: &Expr, like: &Expr) -> Expr {
    Expr::build_at(Node::Broadcast(like.dims().clone(), expr.clone()), false, expr.origin())
}
