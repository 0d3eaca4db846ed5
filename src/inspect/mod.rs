//! Pictures of graphs for readers: a listing and Graphviz.
//!
//! Nothing here is read back; the exact form is `graph::text`. This module knows the graph, and no engine; the user's
//! handles only to make a graph of them.

mod dot;
mod names;
mod text;

#[doc(hidden)]
pub use dot::graph_dot;
#[doc(hidden)]
pub use text::graph_text;

use crate::error::Result;
use crate::expr::convert::IntoExprs;
use crate::expr::text_form::graph_of;

/// A listing of expressions and all they are made of: shared parts once, with types, sizes and source lines.
///
/// # Errors
/// `Build` for an ill-typed expression.
///
/// ```
/// let x = kroton::vector::<f64>("x");
/// let y = &x * &x;
/// assert!(kroton::inspect::text(&[&y])?.contains("mul"));
/// # Ok::<(), kroton::Error>(())
/// ```
pub fn text(exprs: impl IntoExprs) -> Result<String> {
    Ok(graph_text(&graph_of(&exprs.into_exprs())?))
}

/// A picture of expressions as Graphviz text, for `dot -Tsvg`.
///
/// # Errors
/// `Build` for an ill-typed expression.
///
/// ```
/// let x = kroton::vector::<f64>("x");
/// assert!(kroton::inspect::dot(&[&x.exp()])?.starts_with("digraph"));
/// # Ok::<(), kroton::Error>(())
/// ```
pub fn dot(exprs: impl IntoExprs) -> Result<String> {
    Ok(graph_dot(&graph_of(&exprs.into_exprs())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Scalar;
    use crate::graph::text::parse;
    use crate::graph::{Graph, Node};

    const TEXT: &str = "kroton 1\n%0 = input \"a \\\"b\\\"\" f64[?, 3]\n%1 = input \"n\" i64[]\n\
        %2 = mul %0, %0 : f64[%0.0, 3]\n%3 = parameter f64[%0.0, 3]\n%4 = add %3, %2 : f64[%0.0, 3]\n\
        %5 = loop %1 [%2] [%3] -> [%4] : f64[%0.0, 3]\n%6 = project 0 %5 : f64[%0.0, 3]\n\
        %7 = iota %0.0 + %1.value : i64[%0.0 + %1.value]\n\
        %8 = constant [10] [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] : u8[10]\nreturn %6, %7, %8\ninputs %0, %1\n";

    #[test]
    fn the_listing_shows_sharing_sizes_and_regions() {
        let expected = "\
%0 = input \"a \\\"b\\\"\" : f64[m=\"a \\\"b\\\"\".0, 3]             // used 2 times
%1 = input \"n\" : i64[]
%2 = mul %0, %0 : f64[m, 3]                              // used 2 times
  %3 = parameter : f64[m, 3]                             // used 2 times
  %4 = add %3, %2 : f64[m, 3]
%5 = loop %1 [%2] [%3] -> [%4] : f64[m, 3]
%6 = project 0 %5 : f64[m, 3]
%7 = iota m + n : i64[m + n]
%8 = constant [10] [0, 1, 2, 3, 4, 5, 6, 7, …] : u8[10]
return %6, %7, %8
";
        assert_eq!(graph_text(&parse(TEXT).unwrap().0), expected);
    }

    #[test]
    fn source_lines_are_shown() {
        let mut graph = Graph::new();
        let location = std::panic::Location::caller();
        let one = graph.add(Node::Scalar(Scalar::F64(1.0)), Some(location)).unwrap();
        graph.outputs = vec![one];
        let wanted = format!("// src/inspect/mod.rs:{}", location.line());
        assert!(graph_text(&graph).contains(&wanted), "{}", graph_text(&graph));
        assert!(graph_dot(&graph).contains(&format!("\\nsrc/inspect/mod.rs:{}", location.line())));
    }

    #[test]
    fn dot_is_balanced_and_escaped() {
        let graph = parse(TEXT).unwrap().0;
        let dot = graph_dot(&graph);
        assert!(dot.starts_with("digraph kroton {\n") && dot.ends_with("}\n"));
        for line in dot.lines() {
            let quotes = line.replace("\\\\", "").replace("\\\"", "").matches('"').count();
            assert_eq!(quotes % 2, 0, "{line}");
        }
        let nodes = dot.lines().filter(|line| line.contains("fillcolor=") && !line.contains("label=\"output")).count();
        assert_eq!(nodes, graph.len());
        let edges: usize = graph.ids().map(|id| graph.node(id).operands().len()).sum();
        assert_eq!(dot.matches(" -> n").count(), edges);
        assert_eq!(dot.matches("style=dashed").count(), 2);
        assert_eq!(dot.matches("-> out").count(), 3);
    }
}
