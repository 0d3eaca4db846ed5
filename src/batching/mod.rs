//! From a function of one element to one of a batch: expressions from expressions.
//!
//! The body is built once, over parameters that stand for one element. What depends on these is then made anew, each node
//! one axis further in (`nodes.rs`, `loops.rs`), in an order in which operands come first (`order.rs`); what does not is
//! shared (`levels.rs`). The result is an expression like any other: no stage behind `expr` knows of batches, and a batch
//! of a batch is one more axis.
//!
//! Nothing here knows the optimizer, an engine or derivatives. Invariants: no function recurses over the depth of an
//! expression; the time taken is linear in the size of the body; the axis of the batch comes first in everything batched
//! but sequences and histories of loops.

mod axes;
mod derived;
mod levels;
mod loops;
mod nodes;
mod order;

use std::panic::Location;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::batching::levels::{Level, Levels};
use crate::batching::order::Order;
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::expr::results::IntoResults;
use crate::graph::{Node, Type, describe};
use crate::shape::{Dim, InputId, Shape};

/// A function of one element, applied to each element of a batch.
///
/// The elements lie along axis 0 of the inputs, which all have one size; `body` is given one element of each, without that
/// axis, and is built once. What else it uses is shared by all elements and computed once. The results have the batch as
/// their axis 0; one that does not depend on the element is repeated. The body may hold anything: reductions, matrix
/// products, loops, [`grad`](crate::grad()), or a `vmap` of its own. It yields an array of expressions, or a `Result` of
/// one.
///
/// There is no loop over the batch: each op of the body becomes one op on the whole batch, and fuses as others do. A
/// product of a batch of matrices and a shared one is one larger product. Only two batches of matrices that are not known
/// to be small are multiplied one after the other, and functions of the host called one after the other. Loops whose number of steps or condition differs between elements run until all have stopped; an element
/// that has stopped keeps its states. Random numbers differ between elements if their keys do
/// ([`random::split`](crate::random::split)).
///
/// Results are those of the single elements, except that sums in matrix products of floats may be rounded in another
/// order. An element is not a size: where one says how large something is, that is an error.
///
/// # Errors
/// `Build`, with the source line, for an input of rank 0 or inputs of different batch sizes; what the body returns or an
/// expression carries. Batch sizes that only a call knows are checked there, before anything is written.
///
/// ```
/// use kroton::{compile, grad, matrix, vector, vmap};
/// let (xs, ys, w) = (matrix::<f64>("xs"), vector::<f64>("ys"), vector::<f64>("w"));
/// // The gradient of the squared error, for each example on its own.
/// let [gradients] = vmap([&xs, &ys], |[x, y]| {
///     let error = (x.dot(&w) - y).square();
///     Ok([grad(&error, [&w])?.remove(0)])
/// })?;
/// let f = compile([&xs, &ys, &w], gradients)?;
/// let (xs, ys, w) = (ndarray::array![[1.0, 2.0], [3.0, 4.0]], [1.0, 2.0], [1.0, 0.0]);
/// let gradients: ndarray::Array2<f64> = f.call((&xs, &ys, &w))?;
/// assert_eq!(gradients, ndarray::array![[0.0, 0.0], [6.0, 8.0]]);
/// # Ok::<(), kroton::Error>(())
/// ```
#[track_caller]
pub fn vmap<R: IntoResults<M>, const N: usize, const M: usize>(
    inputs: [&Expr; N],
    body: impl FnOnce([Expr; N]) -> R,
) -> Result<[Expr; M]> {
    let origin = Location::caller();
    let batches = in_one_size(&inputs, origin)?;
    let elements = inputs.map(|input| {
        let ty = Type { dtype: input.dtype(), shape: Shape::from(&input.dims()[1..]) };
        Expr::build_at(Node::Parameter(InputId::new(), ty), false, origin)
    });
    let results = body(elements.clone()).into_results()?;
    for result in &results {
        well_typed(result)?;
    }
    let Some(size) = batches.first().map(|batch| batch.dims()[0].clone()) else {
        return Err(Error::Internal("a batch without inputs".to_string()));
    };
    let mut order = Order::default();
    let numbers = results.map(|result| order.add(&result));
    let given = elements.iter().zip(batches).filter_map(|(element, batch)| Some((order.number(element)?, batch)));
    let given: FxHashMap<usize, Expr> = given.collect();
    let raised = given.keys().map(|&number| (number, Level::Batched));
    let levels = Levels::new(&order, raised);
    let made = Batching::new(&order, levels, size, given, origin).run()?;
    let mut failed = None;
    let batched = numbers.map(|number| {
        let result = made.batched(number);
        failed = failed.take().or_else(|| well_typed(&result).err());
        result
    });
    failed.map_or(Ok(batched), Err)
}

/// The inputs with one size of their first axes.
fn in_one_size(inputs: &[&Expr], origin: &'static Location<'static>) -> Result<Vec<Expr>> {
    let refused = |complaint: String| Error::Build { message: format!("`vmap` {complaint}"), location: origin };
    let mut sizes: Vec<(&Expr, &Dim)> = Vec::new();
    for (number, &input) in inputs.iter().enumerate() {
        well_typed(input)?;
        let Some(size) = input.dims().first() else {
            let found = describe(input.ty());
            return Err(refused(format!(
                "runs along axis 0 of its inputs, but input {number}, `{input}`, is {found}; let the body capture what \
                 all elements share"
            )));
        };
        sizes.push((input, size));
    }
    let known = sizes.iter().find(|(_, size)| size.constant().is_some()).or(sizes.first());
    let Some(&(first, size)) = known else {
        return Err(refused("needs at least one input, whose first axis is the batch".to_string()));
    };
    if let Some((other, _)) = sizes.iter().find(|(_, other)| other.constant().is_some() && *other != size) {
        let (a, b) = (describe(first.ty()), describe(other.ty()));
        return Err(refused(format!("takes inputs of one batch size, but `{first}` is {a} and `{other}` is {b}")));
    }
    let alike = |&(input, own): &(&Expr, &Dim)| {
        let shape: Shape = std::iter::once(size).chain(&input.dims()[1..]).cloned().collect();
        let input = input.clone();
        if own == size { input } else { Expr::build_at(Node::Broadcast(shape, input), false, origin) }
    };
    Ok(sizes.iter().map(alike).collect())
}

fn well_typed(expr: &Expr) -> Result<()> {
    expr.error().map_or(Ok(()), |error| Err(error.clone()))
}

/// A body on its way to a batch.
struct Batching<'a> {
    order: &'a Order,
    levels: Levels<'a>,
    /// The size of the batch.
    size: Dim,
    /// What stands for some nodes: the inputs for the parameters of the body.
    given: FxHashMap<usize, Expr>,
    /// What each node became: the node itself where it is shared.
    made: Vec<Expr>,
    /// What new loops carry in the place of parameters of old ones.
    parameters: FxHashMap<usize, Expr>,
    /// The guards of new loops whose elements make different numbers of steps, by the number of the old loop.
    limits: FxHashMap<usize, Expr>,
    /// For which elements all of this is computed, if it lies in a loop whose elements stop on their own.
    outer: Option<Expr>,
    /// The loops whose number of steps somebody asks for.
    counted: FxHashSet<usize>,
    /// The values of derivations that were made, by the address of the original.
    values: FxHashMap<usize, Vec<Expr>>,
    /// The source line of what is being made.
    origin: &'static Location<'static>,
}

impl<'a> Batching<'a> {
    fn new(
        order: &'a Order,
        levels: Levels<'a>,
        size: Dim,
        given: FxHashMap<usize, Expr>,
        origin: &'static Location<'static>,
    ) -> Batching<'a> {
        let (parameters, limits, values) = Default::default();
        let made = Vec::with_capacity(order.entries.len());
        let (counted, outer) = (loops::counted(order), None);
        Batching { order, levels, size, given, made, parameters, limits, outer, counted, values, origin }
    }

    /// Makes every node that differs between elements anew.
    fn run(mut self) -> Result<Batching<'a>> {
        let call = self.origin;
        for (number, entry) in self.order.entries.iter().enumerate() {
            self.origin = entry.expr.origin();
            let made = match (self.levels.of(number), self.given.get(&number), entry.expr.node()) {
                (Level::Shared, _, _) => entry.expr.clone(),
                (_, Some(given), _) => given.clone(),
                _ if entry.expr.derived().is_some() => self.remade_value(number)?,
                (_, None, Node::Parameter(..)) => self.body_parameter(number),
                (_, None, Node::Loop(_)) => self.remade_loop(number),
                (_, None, _) => self.remade(number)?,
            };
            well_typed(&made)?;
            self.made.push(made);
        }
        self.origin = call;
        Ok(self)
    }

    /// What a node became.
    fn made(&self, number: usize) -> &Expr {
        &self.made[number]
    }
}
