//! The text of a schedule: one line per step, with what is fused into it, where results live, and who reads them.
//!
//! What a later step reads is why a result is written to memory at all.

use std::fmt::Write;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::graph::text::print;
use crate::graph::{Graph, Node, NodeId, Type};
use crate::schedule::{Group, LoopStep, NestStep, Place, RowBlock, Schedule, Step, squeeze};
use crate::shape::{Dim, Measure, Symbol};

impl Schedule {
    /// The text, with nodes numbered as in the graph's text.
    pub fn text(&self, graph: &Graph) -> String {
        let mut text = String::new();
        let readers = self.readers(graph);
        let place = |node: NodeId| self.place_text(node) + &read_by(readers.get(&node));
        for (index, step) in self.steps.iter().enumerate() {
            let line = match step {
                Step::Kernel(group) => self.kernel_text(graph, group, &place),
                Step::ConcatPart { node, part } => {
                    format!("part {part} of concat {} -> {}", name(*node), place(*node))
                }
                Step::MatMul { node, epilogue } => {
                    let product = format!("matmul {} -> {}", definition(graph, *node), place(*node));
                    let epilogue = epilogue.as_ref().map(|group| self.kernel_text(graph, group, &place));
                    epilogue.map_or(product.clone(), |text| format!("{product}\n  epilogue {text}"))
                }
                Step::Loop(step) => self.loop_text(graph, step, &place),
                Step::Nest(step) => self.nest_text(graph, step, &place),
                Step::Custom(node) => format!("host function {} -> {}", definition(graph, *node), place(*node)),
            };
            let _ = writeln!(text, "step {index}: {line}");
        }
        for block in &self.blocks {
            let _ = writeln!(text, "{}", self.block_text(graph, block));
        }
        for (index, slot) in self.slots.iter().enumerate() {
            let count = dim_text(graph, &slot.count);
            let _ = writeln!(text, "slot {index}: {count} elements of {} bytes", slot.element);
        }
        text
    }

    /// `loop %4 step by step`, what its results are, and the indented program of a step.
    fn loop_text(&self, graph: &Graph, step: &LoopStep, place: &dyn Fn(NodeId) -> String) -> String {
        let mut text = format!("loop {} step by step", definition(graph, step.node));
        for (number, result) in step.results.iter().enumerate() {
            if let Some(node) = result {
                let _ = write!(text, "\n    result {number}: {} -> {}", name(*node), place(*node));
            }
        }
        for (number, outer) in step.captured.iter().enumerate() {
            let _ = write!(text, "\n    captured_{number}: {}", name(*outer));
        }
        for line in print(&step.body).lines().skip(1).chain(step.schedule.text(&step.body).lines()) {
            let _ = write!(text, "\n    | {line}");
        }
        text
    }

    /// `loop %4 in one kernel, map [x.0]`, what its results are, and the nodes of a step.
    fn nest_text(&self, graph: &Graph, step: &NestStep, place: &dyn Fn(NodeId) -> String) -> String {
        let sizes = sizes_text(graph, &squeeze(&graph.ty(step.node).shape));
        let mut text = format!("loop {} in one kernel, map [{sizes}]", definition(graph, step.node));
        for (number, result) in step.results.iter().enumerate() {
            if let Some(node) = result {
                let _ = write!(text, "\n    result {number}: {} -> {}", name(*node), place(*node));
            }
        }
        let is_step = |id: &&NodeId| !matches!(graph.node(**id), Node::Parameter(..));
        for member in step.members.iter().filter(is_step) {
            let _ = write!(text, "\n    | {}", definition(graph, *member));
        }
        text
    }

    fn kernel_text(&self, graph: &Graph, group: &Group, place: &dyn Fn(NodeId) -> String) -> String {
        let sizes = |shape: &[Dim]| sizes_text(graph, shape);
        let mut text = match &group.space.reduced {
            None => format!("map [{}]", sizes(&group.space.outer)),
            Some(reduced) => format!("map [{}] reduce [{}]", sizes(&group.space.outer), sizes(reduced)),
        };
        if group.on_host {
            text += " on the host";
        }
        for root in &group.roots {
            let place = match root.copy_to {
                Some(output) => format!("output {output} (copy)"),
                None => place(root.node),
            };
            let _ = write!(text, "\n    {} -> {place}", definition(graph, root.node));
            let fused = self.fused(graph, root.node);
            if !fused.is_empty() {
                let _ = write!(text, "  (fused: {})", fused.join(", "));
            }
        }
        text
    }

    /// `steps 0 to 2 by rows [x.0], step 2 sums over them, slots 0, 1 for the rows at hand`.
    fn block_text(&self, graph: &Graph, block: &RowBlock) -> String {
        let outer = match self.steps.get(block.steps.start) {
            Some(Step::Kernel(first)) => first.space.outer.clone(),
            Some(Step::MatMul { node, .. }) => squeeze(&graph.ty(*node).shape),
            _ => return String::new(),
        };
        let rows = sizes_text(graph, &outer[..block.axes]);
        let mut text = format!("steps {} to {} by rows [{rows}]", block.steps.start, block.steps.end - 1);
        for step in &block.closing {
            let _ = write!(text, ", step {step} sums over them");
        }
        if !block.slots.is_empty() {
            let slots: Vec<String> = block.slots.iter().map(usize::to_string).collect();
            let several = if slots.len() == 1 { "" } else { "s" };
            let _ = write!(text, ", slot{several} {} for the rows at hand", slots.join(", "));
        }
        text
    }

    /// The names of the ops that are computed inside a root's kernel, at most a dozen.
    fn fused(&self, graph: &Graph, root: NodeId) -> Vec<String> {
        const SHOWN: usize = 12;
        let mut names = Vec::new();
        let mut seen = FxHashSet::default();
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

    /// The steps that read what a step before them wrote.
    fn readers(&self, graph: &Graph) -> FxHashMap<NodeId, Vec<usize>> {
        let written: FxHashSet<NodeId> = self.steps.iter().flat_map(results).collect();
        let mut readers: FxHashMap<NodeId, Vec<usize>> = FxHashMap::default();
        for (index, step) in self.steps.iter().enumerate() {
            let own = results(step);
            let mut seen = FxHashSet::default();
            let mut stack = operands(graph, step);
            while let Some(node) = stack.pop() {
                if !seen.insert(node) {
                    continue;
                }
                if written.contains(&node) && !own.contains(&node) {
                    readers.entry(node).or_default().push(index);
                } else {
                    stack.extend(graph.node(node).operands().iter().map(|&&operand| operand));
                }
            }
        }
        readers
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

/// The nodes that a step writes, or of which it writes copies.
fn results(step: &Step) -> Vec<NodeId> {
    let roots = |group: &Group| group.roots.iter().map(|root| root.node).collect::<Vec<_>>();
    match step {
        Step::Kernel(group) => roots(group),
        Step::MatMul { node, epilogue } => [vec![*node], epilogue.as_ref().map(roots).unwrap_or_default()].concat(),
        Step::ConcatPart { node, .. } | Step::Custom(node) => vec![*node],
        Step::Loop(step) => step.results.iter().flatten().copied().collect(),
        Step::Nest(step) => step.results.iter().flatten().copied().collect(),
    }
}

/// The nodes that a step takes.
fn operands(graph: &Graph, step: &Step) -> Vec<NodeId> {
    match step {
        Step::Kernel(_) | Step::MatMul { .. } | Step::Custom(_) => results(step),
        Step::ConcatPart { node, part } => vec![*graph.node(*node).operands()[*part]],
        Step::Loop(step) => step.reads(graph).collect(),
        Step::Nest(step) => [step.elements(graph), step.sequences(graph)].concat(),
    }
}

/// `, read by steps 1, 2`.
fn read_by(steps: Option<&Vec<usize>>) -> String {
    let Some(steps) = steps else {
        return String::new();
    };
    let list: Vec<String> = steps.iter().map(usize::to_string).collect();
    format!(", read by step{} {}", if steps.len() == 1 { "" } else { "s" }, list.join(", "))
}

/// `%3 = mul %1, %2 : f64[x.0]`.
fn definition(graph: &Graph, node: NodeId) -> String {
    let (ty, operands) = (graph.ty(node), graph.node(node).operands());
    let operands: Vec<String> = operands.iter().map(|&&operand| name(operand)).collect();
    let (op, operands) = (graph.node(node).name(), operands.join(", "));
    format!("{} = {op} {operands} : {}", name(node), type_text(graph, ty))
}

/// `f64[x.0, 3]`.
pub fn type_text(graph: &Graph, ty: &Type) -> String {
    format!("{}[{}]", ty.dtype, sizes_text(graph, &ty.shape))
}

fn sizes_text(graph: &Graph, shape: &[Dim]) -> String {
    shape.iter().map(|dim| dim_text(graph, dim)).collect::<Vec<_>>().join(", ")
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
    dim.formula(&symbol_name).to_string()
}
