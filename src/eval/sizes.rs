//! Sizes of one evaluation: from arguments to symbols, from dims to numbers, and the check that they fit.
//!
//! Knows arrays only by their shapes and rank-0 values.

use smallvec::SmallVec;

use crate::array::Array;
use crate::error::{Error, Result};
use crate::graph::infer::check_range;
use crate::graph::{Constraint, Graph, Input, Node, describe, infer, text};
use crate::shape::{Dim, Measure, Symbol, Symbols};

/// The values of all symbols for these arguments: the extents of the inputs, and the values of those that are
/// integers of rank 0. A value beyond `i64` cannot be a size and gets no symbol.
///
/// # Errors
/// `Argument` if the number of arguments, a dtype, a rank or a fixed size is not that of the graph's inputs.
pub fn bind(graph: &Graph, arguments: &[Array]) -> Result<Symbols> {
    let mut symbols = Symbols::default();
    if graph.inputs.len() != arguments.len() {
        let (wanted, came) = (graph.inputs.len(), arguments.len());
        return Err(Error::Argument(format!("the graph takes {wanted} arguments, not {came}")));
    }
    for (&id, argument) in graph.inputs.iter().zip(arguments) {
        let Node::Input(input) = graph.node(id) else {
            return Err(Error::Internal(format!("node {} is listed as an input", id.0)));
        };
        bind_input(input, argument, &mut symbols)?;
    }
    Ok(symbols)
}

fn bind_input(input: &Input, argument: &Array, symbols: &mut Symbols) -> Result<()> {
    let mismatch = || {
        let (wanted, dtype, shape) = (describe(&input.ty), argument.dtype(), argument.shape());
        Error::Argument(format!("the input \"{}\" is {wanted}, but {dtype}{shape:?} came", input.name))
    };
    if argument.dtype() != input.ty.dtype || argument.rank() != input.ty.rank() {
        return Err(mismatch());
    }
    for (axis, (dim, &size)) in input.ty.shape.iter().zip(argument.shape()).enumerate() {
        let own = Symbol { input: input.id, measure: Measure::Extent(axis as u32) };
        if dim.constant().is_some_and(|wanted| usize::try_from(wanted) != Ok(size)) {
            return Err(mismatch());
        }
        if dim.constant().is_none() {
            symbols.set(own, size as i64);
        }
    }
    if argument.rank() == 0
        && argument.dtype().is_integer()
        && let Some(value) = argument.get(0).to_i64()
    {
        symbols.set(Symbol { input: input.id, measure: Measure::Value }, value);
    }
    Ok(())
}

/// The sizes of a shape as numbers.
pub(super) fn known_sizes(shape: &[Dim], symbols: &Symbols) -> Result<SmallVec<[usize; 4]>> {
    let size = |dim: &Dim| {
        let size = dim.evaluate(symbols)?;
        usize::try_from(size).map_err(|_| Error::Shape(format!("a size of {size} is below zero")))
    };
    shape.iter().map(size).collect()
}

/// Checks what inference could not know of the sizes of live nodes.
pub(super) fn check_constraints(graph: &Graph, symbols: &Symbols) -> Result<()> {
    let live = graph.live();
    let mut constraints = Vec::new();
    for id in graph.ids().filter(|id| live[id.index()]) {
        infer(graph.node(id), graph, &mut constraints).map_err(Error::Internal)?;
        for constraint in constraints.drain(..) {
            if let Some(complaint) = violation(&constraint, symbols)? {
                return Err(Error::Shape(format!("{complaint}, in `{}`", text::describe_node(graph, id))));
            }
        }
    }
    Ok(())
}

/// What is wrong, if anything is.
fn violation(constraint: &Constraint, symbols: &Symbols) -> Result<Option<String>> {
    Ok(match constraint {
        Constraint::Equal(left, right) => {
            let (left, right) = (left.evaluate(symbols)?, right.evaluate(symbols)?);
            (left != right).then(|| format!("sizes that must be equal are {left} and {right}"))
        }
        Constraint::SameCount(before, after) => {
            let (before, after) = (before.evaluate(symbols)?, after.evaluate(symbols)?);
            (before != after).then(|| format!("{before} elements cannot take a shape of {after}"))
        }
        Constraint::NonNegative(size) => {
            let size = size.evaluate(symbols)?;
            (size < 0).then(|| format!("a size of {size} is below zero"))
        }
        Constraint::Steps(count) => {
            let count = count.evaluate(symbols)?;
            (count < 0).then(|| format!("a loop of {count} steps"))
        }
        // Refused for the graph that the user built; one that a rewrite introduces is what its row says.
        Constraint::NonEmpty(..) => None,
        Constraint::InBounds { range, size } => {
            let (start, length) = (range.start.evaluate(symbols)?, range.length.evaluate(symbols)?);
            // Where an empty range begins is the user's graph's concern; merged slices may begin anywhere.
            if length == 0 { None } else { check_range(start, range.step, length, size.evaluate(symbols)?).err() }
        }
    })
}
