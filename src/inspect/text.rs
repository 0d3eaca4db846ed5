//! A listing of a graph for readers: one line a node, with its type, how often it is used, and its source line.

use super::names::{Names, source_line};
use crate::graph::Graph;
use crate::graph::regions::enclosing;

/// Where comments begin, unless a line is longer.
const COMMENT_COLUMN: usize = 56;

/// Every input and every node that an output needs, operands first. Open sizes get letters, explained at the
/// inputs (`n=a.0`: the extent of `a` along axis 0); the nodes of a loop's body are indented.
///
/// ```
/// # use kroton::graph::{Graph, Node};
/// let mut graph = Graph::new();
/// let one = graph.add(Node::Scalar(kroton::Scalar::F64(1.0)), None)?;
/// graph.outputs = vec![one];
/// assert_eq!(kroton::inspect::graph_text(&graph), "%0 = constant 1.0 : f64[]\nreturn %0\n");
/// # Ok::<(), kroton::Error>(())
/// ```
pub fn graph_text(graph: &Graph) -> String {
    let names = Names::new(graph);
    let uses = graph.use_counts();
    let regions = enclosing(graph).unwrap_or_default();
    let mut text = String::new();
    for &id in &names.order {
        let depth = regions.get(id.index()).map_or(0, |regions| regions.len());
        let line =
            format!("{:indent$}{} = {} : {}", "", names.value(id), names.node(id), names.ty(id), indent = 2 * depth);
        let sharing = Some(uses[id.index()]).filter(|&uses| uses > 1).map(|uses| format!("used {uses} times"));
        let notes: Vec<String> = sharing.into_iter().chain(source_line(graph.origin(id))).collect();
        match notes.is_empty() {
            true => text.push_str(&line),
            false => text.push_str(&format!("{line:COMMENT_COLUMN$} // {}", notes.join(", "))),
        }
        text.push('\n');
    }
    let outputs: Vec<String> = graph.outputs.iter().map(|&output| names.value(output)).collect();
    text.push_str(format!("return {}", outputs.join(", ")).trim_end());
    text.push('\n');
    text
}
