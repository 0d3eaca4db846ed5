//! Graphs as text, and pictures of expressions, from the user's handles.

use std::collections::HashSet;

use crate::error::Result;
use crate::expr::Expr;
use crate::expr::convert::{IntoExprs, IntoInputs};
use crate::expr::intern::{extern_graph, intern};
use crate::graph::{Graph, Node, text};

/// The text of the function from inputs to outputs. It starts `kroton 1`, and [`from_text`] reads it back.
///
/// # Errors
/// As [`compile`](crate::compile): an ill-typed expression, or inputs that do not fit.
///
/// ```
/// let x = kroton::vector::<f64>("x");
/// let text = kroton::to_text([&x], [&(&x + 1.0)])?;
/// assert!(text.starts_with("kroton 1"));
/// let (inputs, outputs) = kroton::from_text(&text)?;
/// assert_eq!(kroton::to_text(&inputs[..], &outputs[..])?, text);
/// # Ok::<(), kroton::Error>(())
/// ```
pub fn to_text(inputs: impl IntoInputs, outputs: impl IntoExprs) -> Result<String> {
    let (graph, _) = intern(&inputs.into_inputs(), &outputs.into_exprs(), &[])?;
    Ok(text::print(&graph))
}

/// The inputs and outputs of a function in text form. Names, dtypes, shapes and constants come back as they were.
///
/// # Errors
/// `Parse`, with the line and what was expected there.
pub fn from_text(text: &str) -> Result<(Vec<Expr>, Vec<Expr>)> {
    let (graph, _) = text::parse(text)?;
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
