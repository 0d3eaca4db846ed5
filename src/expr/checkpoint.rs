//! Values that gradients compute again.

use std::panic::Location;
use std::sync::Arc;

use crate::error::Result;
use crate::expr::Expr;
use crate::expr::derivation::Derivation;
use crate::expr::loop_node::exactly;
use crate::expr::results::IntoResults;

/// The results that `body` makes of some operands, of which a gradient keeps the operands only: what lies between operands
/// and results is computed again where the gradient needs it, and not before.
///
/// Reverse mode otherwise keeps whatever it needs of the way forward, so a chain of n layers takes the memory of n
/// intermediate values. With the chain cut into blocks, each in a `checkpoint`, it takes that of the operands of the blocks
/// and of the inside of one block, at the price of one more way forward. Results and derivatives are the same, of any order
/// and in both modes. `body` may use other expressions: these are kept as the operands are, and so is whatever it computes
/// of them alone. It yields an array of expressions, or a `Result` of one. Checkpoints may nest, and lie in the bodies of loops.
///
/// What a kernel computes element by element takes no memory in any case: the scheduler computes it again in every kernel
/// that needs it if it is cheap. A checkpoint pays where products of matrices, reductions or long elementwise computations
/// are kept; around anything else it only hinders that nodes share kernels, since it has its operands written to memory.
///
/// Derivatives do not look at what lies between operands and results: there are none with respect to that.
///
/// # Errors
/// What `body` returns or an expression carries.
///
/// # Examples
/// ```
/// use kroton::{checkpoint, compile, grad, matrix};
/// let (x, w) = (matrix::<f64>("x"), matrix::<f64>("w"));
/// let mut y = x.clone();
/// for _ in 0..3 {
///     [y] = checkpoint([&y, &w], |[y, w]| [y.matmul(&w).tanh().matmul(&w).tanh()])?;
/// }
/// let gradient = grad(&y.sum(..), [&w])?.remove(0);
/// let f = compile([&x, &w], gradient)?;
/// let slope: ndarray::Array2<f64> = f.call((&ndarray::arr2(&[[0.0]]), &ndarray::arr2(&[[0.5]])))?;
/// assert_eq!(slope, ndarray::arr2(&[[0.0]]));
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn checkpoint<R: IntoResults<M>, const N: usize, const M: usize>(
    operands: [&Expr; N],
    body: impl FnOnce([Expr; N]) -> R,
) -> Result<[Expr; M]> {
    let body = |operands: [Expr; N]| Ok(body(operands).into_results()?.into());
    let derivation = Derivation::new("checkpoint", Location::caller(), operands, body)?;
    exactly(Arc::new(derivation).values())
}
