//! The text of a schedule: one line per step, with what is fused into it and where results live.

use std::fmt::Write;

use crate::graph::{Graph, Node, NodeId, describe};
use crate::schedule::{Group, Place, Schedule, Step};
use crate::shape::{Dim, Measure, Symbol};

impl Schedule {
    /// The text, with nodes numbered as in the graph's text.
    pub fn text(&self, graph: &Graph) -> String {
        let mut text = String::new();
        for (index, step) in self.steps.iter().enumerate() {
            let line = match step {
                Step::Kernel(group) => self.kernel_text(graph, group),
                Step::ConcatPart { node, part } => {
                    format!("part {part} of concat {} -> {}", name(*node), self.place_text(*node))
                }
                Step::MatMul(node) => format!("matmul {} -> {}", name(*node), self.place_text(*node)),
                Step::Custom(node) => {
                    format!("host function {} {} -> {}", graph.node(*node).name(), name(*node), self.place_text(*node))
                }
            };
            let _ = writeln!(text, "step {index}: {line}");
        }
        for (index, slot) in self.slots.iter().enumerate() {
            let count = dim_text(graph, &slot.count);
            let _ = writeln!(text, "slot {index}: {count} elements of {} bytes", slot.element);
        }
        text
    }

    fn kernel_text(&self, graph: &Graph, group: &Group) -> String {
        let sizes = |shape: &[Dim]| shape.iter().map(|dim| dim_text(graph, dim)).collect::<Vec<_>>().join(", ");
        let mut text = match &group.space.reduced {
            None => format!("map [{}]", sizes(&group.space.outer)),
            Some(reduced) => format!("map [{}] reduce [{}]", sizes(&group.space.outer), sizes(reduced)),
        };
        for root in &group.roots {
            let place = match root.copy_to {
                Some(output) => format!("output {output} (copy)"),
                None => self.place_text(root.node),
            };
            let ty = describe(graph.ty(root.node));
            let _ = write!(text, "\n    {} = {} : {ty} -> {place}", name(root.node), graph.node(root.node).name());
            let fused = self.fused(graph, root.node);
            if !fused.is_empty() {
                let _ = write!(text, "  (fused: {})", fused.join(", "));
            }
        }
        text
    }

    /// The names of the ops that are computed inside a root's kernel, at most a dozen.
    fn fused(&self, graph: &Graph, root: NodeId) -> Vec<String> {
        const SHOWN: usize = 12;
        let mut names = Vec::new();
        let mut seen = rustc_hash::FxHashSet::default();
        let mut stack: Vec<NodeId> = graph.node(root).operands().iter().map(|&&operand| operand).collect();
        while let Some(node) = stack.pop() {
            let inline = self.forms[node.index()] == super::Form::Inline && self.places[node.index()].is_none();
            if !inline || !seen.insert(node) {
                continue;
            }
            if names.len() == SHOWN {
                names.push("…".to_string());
                break;
            }
            names.push(graph.node(node).name().to_string());
            stack.extend(graph.node(node).operands().iter().map(|&&operand| operand));
        }
        names
    }

    fn place_text(&self, node: NodeId) -> String {
        match self.places[node.index()] {
            Some(Place::Input(argument)) => format!("argument {argument}"),
            Some(Place::Constant) => "constant".to_string(),
            Some(Place::Virtual) => "computed where used".to_string(),
            Some(Place::Output(output)) => format!("output {output}"),
            Some(Place::Slot(slot)) => format!("slot {slot}"),
            Some(Place::Kernel) => "registers".to_string(),
            None => "nowhere".to_string(),
        }
    }
}

fn name(node: NodeId) -> String {
    format!("%{}", node.0)
}

/// A size with its symbols spelled by input name and axis.
pub fn dim_text(graph: &Graph, dim: &Dim) -> String {
    let symbol_name = |symbol: Symbol| {
        let input = graph.inputs.iter().find_map(|&id| match graph.node(id) {
            Node::Input(input) if input.id == symbol.input => Some(input.name.clone()),
            _ => None,
        });
        let input = input.unwrap_or_else(|| "?".to_string());
        match symbol.measure {
            Measure::Extent(axis) => format!("{input}.{axis}"),
            Measure::Value => input,
        }
    };
    dim.display(&symbol_name).to_string()
}
