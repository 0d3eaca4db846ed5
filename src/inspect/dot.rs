//! A graph as Graphviz `dot`.

use std::fmt::Write;

use super::names::{Names, source_line};
use crate::graph::{Graph, Node, NodeId};

/// The graph in Graphviz' language: shape and color say the kind of a node, dashed edges lead into and out of
/// the bodies of loops.
pub fn graph_dot(graph: &Graph) -> String {
    let names = Names::new(graph);
    let mut text = String::from("digraph kroton {\n  rankdir=TB;\n  node [style=filled, fontname=\"monospace\"];\n");
    for &id in &names.order {
        write_node(&mut text, graph, &names, id);
        write_edges(&mut text, graph, id);
    }
    for (index, output) in graph.outputs.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  out{index} [label=\"output {index}\", shape=oval, fillcolor=white];");
        let _ = writeln!(text, "  n{} -> out{index};", output.0);
    }
    text.push_str("}\n");
    text
}

fn write_node(text: &mut String, graph: &Graph, names: &Names<'_>, id: NodeId) {
    let mut label = format!("{} = {}\n{}", names.value(id), names.node(id), names.ty(id));
    if let Some(source) = source_line(graph.origin(id)) {
        label.push('\n');
        label.push_str(&source);
    }
    let (shape, color) = style(graph.node(id));
    let _ = writeln!(text, "  n{} [label=\"{}\", shape={shape}, fillcolor={color}];", id.0, escape(&label));
}

fn write_edges(text: &mut String, graph: &Graph, id: NodeId) {
    let node = graph.node(id);
    let operands = node.operands();
    let outside = if let Node::Loop(node) = node { node.outside().count() } else { operands.len() };
    for (index, operand) in operands.iter().enumerate() {
        let label = if operands.len() > 1 { index.to_string() } else { String::new() };
        let line = if index < outside { "solid" } else { "dashed" };
        let _ = writeln!(text, "  n{} -> n{} [label=\"{label}\", style={line}];", operand.0, id.0);
    }
}

/// The outline and the fill of a kind of node.
fn style(node: &Node<NodeId>) -> (&'static str, &'static str) {
    match node {
        Node::Input(_) => ("box", "lightblue"),
        Node::Parameter(..) => ("box", "lightcyan"),
        Node::Scalar(_) | Node::Dense(_) => ("note", "lightgray"),
        Node::Iota(_) | Node::Size(_) => ("note", "lavender"),
        Node::Unary(..) | Node::Binary(..) | Node::Ternary(..) | Node::Cast(..) => ("ellipse", "lightyellow"),
        Node::Reduce(..) => ("invtrapezium", "lightsalmon"),
        Node::Permute(..) | Node::Reshape(..) | Node::Broadcast(..) | Node::Slice(..) | Node::Concat(..) => {
            ("parallelogram", "palegreen")
        }
        Node::MatMul(_) => ("hexagon", "gold"),
        Node::Loop(_) | Node::Project(..) => ("box3d", "plum"),
        Node::Custom(..) => ("component", "pink"),
        Node::Barrier(_) => ("cds", "white"),
    }
}

/// A text inside the quotes of a label.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
