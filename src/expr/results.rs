//! What the function yields that the user hands to `vmap` or `cond`: expressions, or an error on the way to them.

use crate::error::Result;
use crate::expr::Expr;

/// What a function of expressions yields: an array of expressions, or a `Result` of one, so that the function may use
/// `?`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a function of expressions yields",
    label = "expected `[y]`, `[y, z]` … or `Ok([y, z])`, of `Expr`s"
)]
pub trait IntoResults<const M: usize> {
    /// The expressions.
    ///
    /// # Errors
    /// What the function returned.
    fn into_results(self) -> Result<[Expr; M]>;
}

impl<const M: usize> IntoResults<M> for [Expr; M] {
    fn into_results(self) -> Result<[Expr; M]> {
        Ok(self)
    }
}

impl<const M: usize> IntoResults<M> for Result<[Expr; M]> {
    fn into_results(self) -> Result<[Expr; M]> {
        self
    }
}
