//! Values with a derivative of the user's.

use std::panic::Location;
use std::sync::Arc;

use crate::error::Result;
use crate::expr::Expr;
use crate::expr::derivation::Derivation;
use crate::expr::loop_node::exactly;
use crate::expr::results::IntoResults;
use crate::graph::describe;

/// The values that `value` makes of some operands, with the derivative that `cotangents` says.
///
/// `cotangents` is the transposed derivative, as reverse mode needs it: from the operands, the values and the cotangents
/// of the values (the derivatives of a loss with respect to them, of their dtypes and shapes) it makes the cotangents of
/// the operands, each in the dtype and shape of its operand; a weakly typed scalar, such as `0.0`, is repeated to that
/// shape. What it gives for operands that are no floats is not looked at. Both functions run once, now, and yield an array of
/// expressions, or a `Result` of one; so the derivative may be differentiated in turn, by what its own expressions say.
///
/// Forward mode ([`jvp`](crate::jvp), [`jacobian`](crate::jacobian), [`hessian`](crate::hessian)) transposes
/// `cotangents` back, and so demands that it be linear in the cotangents by its form: sums,
/// factors, views, reductions by sums and `select` are; a clamped cotangent or its sign is not.
///
/// Nothing else knows of a custom gradient: what is compiled, and what [`to_text`](crate::to_text) writes, are the nodes
/// that `value` makes. Derivatives do not look at these, so there are none with respect to an expression between
/// operands and values. Where a `select` does not take an array of values, nothing gets into the gradient; where it takes
/// some elements and `cotangents` makes NaN of the zeros of the others, this does.
///
/// # Errors
/// `Build`, with the source line, if a value is no float, or a cotangent does not have the dtype and shape of its
/// operand; what the functions return or an expression carries. `Unsupported` from a derivative with respect to what `value` uses without its
/// being an operand, and from forward mode where `cotangents` is not linear.
///
/// # Examples
/// Rounding with the gradient of the identity (straight-through), and the identity with a clamped gradient:
/// ```
/// use kroton::{compile, custom_gradient, grad, vector};
/// let x = vector::<f64>("x");
/// let [rounded] = custom_gradient([&x], |[x]| [x.round()], |_, _, [c]| [c])?;
/// let g = grad(&rounded.square().sum(..), [&x])?;
/// assert_eq!(compile([&x], &g[0])?.call::<Vec<f64>>((&[1.2, 2.7],))?, [2.0, 6.0]);
///
/// let [same] = custom_gradient([&x], |[x]| [x], |_, _, [c]| [c.clamp(-1.0, 1.0)])?;
/// let g = grad(&same.square().sum(..), [&x])?;
/// assert_eq!(compile([&x], &g[0])?.call::<Vec<f64>>((&[0.25, 4.0],))?, [0.5, 1.0]);
/// # Ok::<(), kroton::Error>(())
/// ```
/// A root that a loop finds, with the derivative of what it solves (r² = a, so ∂r/∂a = 1/2r) in the place of the loop's:
/// ```
/// use kroton::{compile, custom_gradient, hessian, iterate, scalar};
/// let a = scalar::<f64>("a");
/// let [root] = custom_gradient(
///     [&a],
///     |[a]| iterate(30, [&a], |[r]| [0.5 * (&r + &a / &r)]),
///     |_, [r], [c]| [c / (2.0 * r)],
/// )?;
/// let f = compile([&a], hessian(&root, &a)?)?;
/// assert_eq!(f.call::<f64>((4.0,))?, -0.03125);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn custom_gradient<V: IntoResults<M>, C: IntoResults<N>, const N: usize, const M: usize>(
    operands: [&Expr; N],
    value: impl FnOnce([Expr; N]) -> V,
    cotangents: impl FnOnce([Expr; N], [Expr; M], [Expr; M]) -> C,
) -> Result<[Expr; M]> {
    let value = |operands: [Expr; N]| Ok(value(operands).into_results()?.into());
    let derivation = Derivation::new("custom_gradient", Location::caller(), operands, value)?;
    for (at, value) in derivation.plain().iter().enumerate() {
        if !value.dtype().is_float() {
            let (found, place) = (describe(value.ty()), value.origin());
            return Err(derivation.refused(format!(
                "takes values that are floats, since others have no derivative: value {at} is {found} (built at \
                 {place}); compute it outside, or cast it"
            )));
        }
    }
    let pullback = |operands, values, given| cotangents(operands, values, given).into_results();
    exactly(Arc::new(derivation.with_pullback(pullback)?).values())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::Array;
    use crate::graph::{Custom, HostFunction, Node, Type};
    use crate::{compile, grad, vector};

    #[test]
    fn a_function_of_the_host_gets_a_gradient() {
        let x = vector::<f64>("x");
        let cube = |arrays: &[Array]| {
            let mut result = arrays[0].clone();
            result.as_mut_slice::<f64>()?.iter_mut().for_each(|x| *x = x.powi(3));
            Ok(result)
        };
        let infer = Box::new(|types: &[&Type]| Ok(types[0].clone()));
        let cube = Custom(Arc::new(HostFunction { name: "cube".to_string(), infer, call: Box::new(cube) }));
        let call = |x: &Expr| Expr::build(Node::Custom(cube, vec![x.clone()]));
        let [y] = custom_gradient([&x], |[x]| [call(&x)], |[x], _, [c]| [c * 3.0 * &x * &x]).unwrap();
        let g = grad(&(&y * &y).sum(..), [&x]).unwrap().remove(0);
        let f = compile([&x], [y, g]).unwrap();
        assert_eq!(f.call::<(Vec<f64>, Vec<f64>)>((&[2.0],)).unwrap(), (vec![8.0], vec![192.0]));
    }
}
