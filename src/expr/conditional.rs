//! Branches of which only one is computed.
//!
//! Each branch is the body of a loop that makes one step or none: the first one if the predicate holds, from zeros; the
//! second one if it does not, from what the first one left. The operands are states that stay what they are, so that a
//! branch depends on its loop, and whatever depends on a loop is computed in its steps only.

use std::panic::Location;

use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::expr::convert::IntoExpr;
use crate::expr::loop_node::{Body, LoopBuilder, carried, exactly, parameter, strong};
use crate::expr::promote::{common_dtype, convert};
use crate::expr::results::IntoResults;
use crate::graph::{Node, describe};
use crate::ops::UnaryOp;
use crate::shape::Dim;

/// What one of two functions makes of the operands: `then` where the predicate holds, `otherwise` where it does not. Only
/// the one that is taken is computed.
///
/// The predicate is a bool of rank 0; [`select`](Expr::select) chooses element by element instead, computes both of its
/// operands, and is the better choice where these cost little. Both functions yield as many results, of the same dtypes and
/// shapes; a weakly typed one takes the dtype of the other. They are built once each, and may hold anything: reductions,
/// matrix products, loops, a `cond` of their own. They yield an array of expressions, or a `Result` of one.
///
/// What a branch makes of its *operands* is computed if the branch is taken. What it computes from other expressions alone,
/// which it captures, does not depend on the branch: that is computed once outside, whichever is taken. So whatever the
/// work to be saved begins with must be an operand. Sizes in both branches are checked in every call.
///
/// In a [`vmap`](crate::vmap()) whose elements have predicates of their own, both branches are computed for all of them, and
/// each element keeps what its predicate says.
///
/// # Errors
/// `Build`, with the source line, if the predicate is no bool of rank 0, if there are no operands, or if the branches yield
/// different types; what a branch returns or an expression carries.
///
/// ```
/// use kroton::{compile, cond, matrix, scalar};
/// let (a, tolerance) = (matrix::<f64>("a"), scalar::<f64>("tolerance"));
/// // One more step of Newton's iteration for the inverse, unless the matrix is close to its own inverse already.
/// let error = (a.matmul(&a).sum(..) - a.shape(0)).abs();
/// let [inverse] = cond(error.gt(&tolerance), [&a], |[a]| [2.0 * &a - a.matmul(&a).matmul(&a)], |[a]| [a])?;
/// let f = compile([&a, &tolerance], inverse)?;
/// let a = ndarray::array![[1.0, 0.0], [0.0, 0.5]];
/// assert_eq!(f.call::<ndarray::Array2<f64>>((&a, 1.0))?, a);
/// assert_eq!(f.call::<ndarray::Array2<f64>>((&a, 0.1))?, ndarray::array![[1.0, 0.0], [0.0, 0.875]]);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn cond<T: IntoResults<M>, E: IntoResults<M>, const N: usize, const M: usize>(
    predicate: impl IntoExpr,
    operands: [&Expr; N],
    then: impl FnOnce([Expr; N]) -> T,
    otherwise: impl FnOnce([Expr; N]) -> E,
) -> Result<[Expr; M]> {
    let origin = Location::caller();
    let predicate = predicate.into_expr();
    carried(&predicate)?;
    let branches = [branch(&operands, origin)?, branch(&operands, origin)?];
    if predicate.dtype() != DType::Bool || predicate.rank() != 0 {
        let complaint = format!(
            "takes a bool of rank 0 as its predicate, not {}; `select` chooses element by element",
            describe(predicate.ty())
        );
        return Err(branches[0].refused(complaint));
    }
    let predicate = strong(&predicate, origin)?;
    let [taken, left] = branches;
    let mut yielded = [
        then(exactly(taken.states.clone())?).into_results()?.to_vec(),
        otherwise(exactly(left.states.clone())?).into_results()?.to_vec(),
    ];
    for number in 0..M {
        agree(&taken, number, &mut yielded)?;
    }
    let [then, otherwise] = yielded;
    let zero = |result: &Expr| {
        let zero = Expr::build_at(Node::Scalar(Scalar::Bool(false).cast(result.dtype())), false, origin);
        Expr::build_at(Node::Broadcast(result.dims().clone(), zero), false, origin)
    };
    let zeros = then.iter().map(zero).collect();
    let opposite = Expr::build_at(Node::Unary(UnaryOp::Not, predicate.clone()), false, origin);
    let made = step_if(taken, predicate, zeros, then)?;
    exactly(step_if(left, opposite, made, otherwise)?)
}

/// A loop of at most one step over the operands; the results come before them as states of their own.
fn branch(operands: &[&Expr], origin: &'static Location<'static>) -> Result<LoopBuilder> {
    if operands.is_empty() {
        let message = "`cond` needs at least one operand: what the branches make of operands is what only the branch \
                       that is taken computes; `select` chooses between expressions that are computed in any case";
        return Err(Error::Build { message: message.to_string(), location: origin });
    }
    LoopBuilder::new("cond", operands, origin)?.count(1)
}

/// Brings a result of both branches to one type.
fn agree(builder: &LoopBuilder, number: usize, yielded: &mut [Vec<Expr>; 2]) -> Result<()> {
    let [then, otherwise] = yielded;
    let (a, b) = (&mut then[number], &mut otherwise[number]);
    carried(a)?;
    carried(b)?;
    let common = common_dtype(&[a, b]);
    let others = [b.clone(), a.clone()];
    for (own, other) in [&mut *a, &mut *b].into_iter().zip(others) {
        if own.is_weak() && (other.is_weak() || common == other.dtype()) {
            *own = convert(own, common, builder.origin).map_err(|reason| builder.refused(reason))?;
        }
        *own = strong(own, builder.origin)?;
    }
    let fits = |(a, b): (&Dim, &Dim)| {
        a == b || !(a.is_one() || b.is_one() || (a.constant().is_some() && b.constant().is_some()))
    };
    if a.dtype() == b.dtype() && a.rank() == b.rank() && a.dims().iter().zip(b.dims()).all(fits) {
        return Ok(());
    }
    let advice = match a.dtype() == b.dtype() {
        true => "give both one shape, as with `broadcast_to`",
        false => "convert one of them with `cast`",
    };
    Err(builder.refused(format!(
        "yields {} as result {number} where the predicate holds (built at {}), and {} where it does not (built at {}); \
         {advice}",
        describe(a.ty()),
        a.origin(),
        describe(b.ty()),
        b.origin()
    )))
}

/// The results of a branch if a guard holds, else what they were before.
fn step_if(mut builder: LoopBuilder, guard: Expr, before: Vec<Expr>, results: Vec<Expr>) -> Result<Vec<Expr>> {
    let origin = builder.origin;
    let never = Expr::build_at(Node::Scalar(Scalar::Bool(false)), false, origin);
    let states: Vec<Expr> = before.iter().map(|result| parameter(result.ty().clone(), false, origin)).collect();
    let next = results.into_iter().chain(builder.states.iter().cloned()).collect();
    let count = states.len();
    builder.states.splice(..0, states);
    builder.initial.splice(..0, before);
    let guard = Some([guard, parameter(never.ty().clone(), false, origin), never]);
    let mut last = builder.finish(Body { guard, next, ..Body::default() })?.last;
    last.truncate(count);
    Ok(last)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::array::Array;
    use crate::graph::{Custom, HostFunction};
    use crate::{Compiler, Device, OptLevel, scalar, vector, vmap};

    /// Twice its argument, by a function of the host that counts its calls.
    fn counting(x: &Expr, calls: &Arc<AtomicUsize>) -> Expr {
        let calls = calls.clone();
        let double = move |x: &[Array]| {
            calls.fetch_add(1, Ordering::Relaxed);
            let mut result = x[0].clone();
            (0..result.len()).for_each(|place| result.set(place, Scalar::F64(2.0 * x[0].get(place).to_f64())));
            Ok(result)
        };
        let function = HostFunction {
            name: "double".to_string(),
            infer: Box::new(|types| Ok(types[0].clone())),
            call: Box::new(double),
        };
        Expr::build(Node::Custom(Custom(Arc::new(function)), vec![x.clone()]))
    }

    fn made(calls: &Arc<AtomicUsize>) -> usize {
        calls.swap(0, Ordering::Relaxed)
    }

    #[test]
    fn only_the_branch_that_is_taken_is_computed() {
        let (x, p) = (vector::<f64>("x"), scalar::<bool>("p"));
        let [first, second, outside] = std::array::from_fn(|_| Arc::new(AtomicUsize::new(0)));
        let captured = counting(&x, &outside);
        let [y, sum] = cond(
            &p,
            [&x],
            |[x]| [counting(&x, &first) + &captured, x.sum(..)],
            |[x]| {
                // A loop in a branch, and a branch in a branch.
                let [y] = crate::iterate(3, [&x], |[x]| [counting(&x, &second)])?;
                cond(&p, [&y], |[y]| [counting(&y, &second), y.sum(..)], |[y]| [y.clone(), y.max(..)])
            },
        )
        .unwrap();
        for device in [Device::Interpreter, Device::Loops, Device::Cpu] {
            for level in [OptLevel::None, OptLevel::Full] {
                let f = Compiler::new().device(device).optimize(level).compile([&x, &p], (&y, &sum)).unwrap();
                for _ in 0..3 {
                    let (y, sum): (Vec<f64>, f64) = f.call((&[1.0, 2.0], true)).unwrap();
                    assert_eq!((y, sum), (vec![4.0, 8.0], 3.0), "{device:?}");
                    assert_eq!((made(&first), made(&second), made(&outside)), (1, 0, 1), "{device:?}");
                    let (y, sum): (Vec<f64>, f64) = f.call((&[1.0, 2.0], false)).unwrap();
                    assert_eq!((y, sum), (vec![8.0, 16.0], 16.0), "{device:?}");
                    assert_eq!((made(&first), made(&second), made(&outside)), (0, 3, 1), "{device:?}");
                }
            }
        }
    }

    #[test]
    fn functions_of_the_host_are_called_for_each_element_of_a_batch() {
        let (x, y) = (vector::<f64>("x"), crate::matrix::<f64>("y"));
        let calls = Arc::new(AtomicUsize::new(0));
        let [a, b] = vmap([&x, &y], |[x, y]| [counting(&y, &calls) + x, counting(&y.sum(..), &calls)]).unwrap();
        for device in [Device::Interpreter, Device::Loops, Device::Cpu] {
            let f = Compiler::new().device(device).compile([&x, &y], (&a, &b)).unwrap();
            let values = ndarray::array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
            let (a, b): (ndarray::Array2<f64>, Vec<f64>) = f.call((&[0.5, 1.5, 2.5], &values)).unwrap();
            assert_eq!(a, ndarray::array![[2.5, 4.5], [7.5, 9.5], [12.5, 14.5]], "{device:?}");
            assert_eq!((b, made(&calls)), (vec![6.0, 14.0, 22.0], 6), "{device:?}");
            let none: (ndarray::Array2<f64>, Vec<f64>) =
                f.call((&[0.0; 0], &ndarray::Array2::<f64>::zeros((0, 2)))).unwrap();
            assert_eq!((none.0.dim(), none.1.len(), made(&calls)), ((0, 2), 0, 0), "{device:?}");
        }
    }
}
