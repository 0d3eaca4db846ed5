//! Pictures of graphs for readers: a listing and Graphviz.
//!
//! Nothing here is read back; the exact form is `graph::text`. This module knows the graph, and neither the
//! user's handles nor any engine.

mod dot;
mod names;
mod text;

pub use dot::graph_dot;
pub use text::graph_text;
