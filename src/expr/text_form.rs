//! Graphs as texts and back: the text form of `graph::text` over handles.
//!
//! No format of its own.

use std::collections::HashSet;

use crate::error::Result;
use crate::expr::Expr;
use crate::expr::convert::{IntoInputs, IntoOutputs};
use crate::expr::intern::{extern_graph, intern};
use crate::expr::shared::shared_inputs;
use crate::graph::{Graph, Node, text};

/// The graph of some outputs over some inputs as a text that [`from_text`] reads back. Shared variables become further
/// inputs. The text says what is computed, and nothing of derivatives that a part has of its own.
///
/// ```
/// let x = kroton::vector::<f64>("x");
/// let text = kroton::to_text([&x], x.exp() + 1)?;
/// let (inputs, outputs) = kroton::from_text(&text)?;
/// assert_eq!((inputs.len(), outputs[0].to_string().as_str()), (1, "exp(x) + 1.0"));
/// # Ok::<(), kroton::Error>(())
/// ```
///
/// # Errors
/// As [`Expr::error`] of an output; `Argument` for inputs that are not inputs, come twice or are missing; `Unsupported` for
/// values of more than 64 axes.
#[track_caller]
pub fn to_text(inputs: impl IntoInputs, outputs: impl IntoOutputs) -> Result<String> {
    let (mut inputs, outputs) = (inputs.into_inputs(), outputs.into_outputs());
    inputs.extend(shared_inputs(&inputs, &outputs, &[], &[])?.inputs);
    let (graph, _) = intern(&inputs, &outputs, &[])?;
    text::check_ranks(&graph)?;
    Ok(text::print(&graph))
}

/// The inputs and the outputs of a graph that [`to_text`] wrote. The inputs are new ones.
///
/// # Errors
/// `Parse`, with the line and the column, for a text that is not a graph.
#[track_caller]
pub fn from_text(source: &str) -> Result<(Vec<Expr>, Vec<Expr>)> {
    let (graph, _) = text::parse(source)?;
    Ok(extern_graph(&graph))
}

/// The graph of some expressions, over whatever inputs they use.
pub(crate) fn graph_of(outputs: &[Expr]) -> Result<Graph> {
    Ok(intern(&inputs_of(outputs), outputs, &[])?.0)
}

/// The inputs that expressions use, in the order in which they are met.
fn inputs_of(outputs: &[Expr]) -> Vec<Expr> {
    let mut seen = HashSet::new();
    let mut inputs = Vec::new();
    let mut pending: Vec<&Expr> = outputs.iter().rev().collect();
    while let Some(expr) = pending.pop() {
        if !seen.insert(expr.key()) {
            continue;
        }
        if let Node::Input(_) = expr.node() {
            inputs.push(expr.clone());
        }
        let from = pending.len();
        expr.node().for_each_operand(|operand| pending.push(operand));
        pending[from..].reverse();
    }
    inputs
}
