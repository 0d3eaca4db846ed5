//! From graphs to text.
//!
//! The layout of a node is written once, over a [`Spelling`] of the things it refers to, so that dumps for
//! readers and the exact text form share it.

use rustc_hash::FxHashMap;

use super::VERSION;
use super::arrays::{self, Stored, listed};
use super::literal::{quote, write_literal};
use crate::array::Array;
use crate::graph::{Graph, Input, Loop, Node, NodeId, Type};
use crate::shape::{Dim, InputId, Measure, Symbol};

/// How a text spells what a node refers to.
pub struct Spelling<'a> {
    /// An operand.
    pub value: &'a dyn Fn(NodeId) -> String,
    /// A size.
    pub dim: &'a dyn Fn(&Dim) -> String,
    /// The most elements of a constant that are written out.
    pub elements: usize,
}

/// What a text says besides its graph.
#[derive(Default)]
pub struct Extras<'a> {
    /// The names of the outputs: one for each, or none.
    pub output_names: &'a [String],
    /// Inputs that no call passes, and their values.
    pub variables: &'a [(NodeId, Array)],
}

/// The text form of a graph: its live nodes and all its inputs.
pub fn print(graph: &Graph) -> String {
    print_head(None) + &print_body(graph, &Extras::default(), &mut |_, _| None)
}

/// The first lines of a text whose stored arrays are in a file of this name.
pub fn print_head(arrays: Option<&str>) -> String {
    let mut text = format!("{} {}\n", VERSION.0, VERSION.1);
    if let Some(name) = arrays {
        arrays::write_file(&mut text, name);
    }
    text
}

/// The text form of a graph without its first lines. `store` may take an array, which is called as its node.
pub fn print_body(graph: &Graph, extras: &Extras<'_>, store: &mut dyn FnMut(&str, &Array) -> Option<Stored>) -> String {
    let live = graph.live();
    let listed: Vec<bool> = listed_inputs(graph);
    let others =
        graph.ids().filter(|id| !listed[id.index()] && (live[id.index()] || matches!(graph.node(*id), Node::Input(_))));
    let order: Vec<NodeId> = graph.inputs.iter().copied().chain(others).collect();
    let numbering = Numbering::new(graph, &order);
    let mut text = String::new();
    for &id in &order {
        let number = numbering.value(id);
        let place = match graph.node(id) {
            Node::Dense(array) => store(&number, &array.0),
            _ => None,
        };
        push_line(&mut text, &[&number, " = ", &numbering.line(graph, id, place.as_ref())]);
    }
    for (id, array) in extras.variables {
        let number = numbering.value(*id);
        let place = store(&number, array);
        push_line(&mut text, &["shared ", &number, " = ", &arrays::value(array, place)]);
    }
    push_line(&mut text, &["return ", &outputs(graph, &numbering, extras.output_names)]);
    let inputs: Vec<String> = graph.inputs.iter().map(|&id| numbering.value(id)).collect();
    push_line(&mut text, &["inputs ", &inputs.join(", ")]);
    text
}

fn push_line(text: &mut String, parts: &[&str]) {
    text.extend(parts.iter().copied());
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

/// `%1, %2`, or `%1 as "loss", %2 as "slope"`.
fn outputs(graph: &Graph, numbering: &Numbering, names: &[String]) -> String {
    let mut names = names.iter();
    let output = |&id: &NodeId| match names.next() {
        Some(name) => format!("{} as {}", numbering.value(id), quote(name)),
        None => numbering.value(id),
    };
    graph.outputs.iter().map(output).collect::<Vec<_>>().join(", ")
}

/// The line of one node with the ids of the graph itself, for error messages; works on broken graphs too.
pub fn describe_node(graph: &Graph, id: NodeId) -> String {
    let numbering = Numbering::of_ids(graph);
    format!("{} = {}", numbering.value(id), numbering.line(graph, id, None))
}

/// A type with the ids of the graph itself, for error messages.
pub(super) fn describe_type(graph: &Graph, ty: &Type) -> String {
    let numbering = Numbering::of_ids(graph);
    let dim = |dim: &Dim| numbering.dim(dim);
    spell_type(ty, &Spelling { value: &|id| numbering.value(id), dim: &dim, elements: usize::MAX })
}

fn listed_inputs(graph: &Graph) -> Vec<bool> {
    let mut listed = vec![false; graph.len()];
    for input in &graph.inputs {
        listed[input.index()] = true;
    }
    listed
}

/// The numbers of nodes in a text.
struct Numbering {
    /// By node; `None` where the numbers are the ids.
    numbers: Option<Vec<u32>>,
    inputs: FxHashMap<InputId, u32>,
}

impl Numbering {
    fn new(graph: &Graph, order: &[NodeId]) -> Numbering {
        let mut numbers = vec![u32::MAX; graph.len()];
        let mut inputs = FxHashMap::default();
        for (number, &id) in (0_u32..).zip(order) {
            numbers[id.index()] = number;
            if let Node::Input(input) = graph.node(id) {
                inputs.insert(input.id, number);
            }
        }
        Numbering { numbers: Some(numbers), inputs }
    }

    fn of_ids(graph: &Graph) -> Numbering {
        let mut inputs = FxHashMap::default();
        for id in graph.ids() {
            if let Node::Input(input) = graph.node(id) {
                inputs.insert(input.id, id.0);
            }
        }
        Numbering { numbers: None, inputs }
    }

    fn value(&self, id: NodeId) -> String {
        let number = match &self.numbers {
            Some(numbers) => numbers.get(id.index()).copied().unwrap_or(u32::MAX),
            None => id.0,
        };
        format!("%{number}")
    }

    /// Symbols are renumbered before they are written, since the order of terms follows their identities.
    fn dim(&self, dim: &Dim) -> String {
        let number = |input: InputId| InputId(self.inputs.get(&input).map_or(u64::MAX, |&number| u64::from(number)));
        let renumbered = dim.substitute(&|symbol| Dim::from(Symbol { input: number(symbol.input), ..symbol }));
        let name = |symbol: Symbol| match symbol.measure {
            Measure::Extent(axis) => format!("%{}.{axis}", symbol.input.0),
            Measure::Value => format!("%{}.value", symbol.input.0),
        };
        renumbered.display(&name).to_string()
    }

    /// A size of an input: `?` if it is open, `?0` if it equals that of an earlier axis.
    fn input_size(&self, input: &Input, axis: u32, dim: &Dim) -> String {
        match dim.as_symbol() {
            Some(Symbol { input: id, measure: Measure::Extent(own) }) if id == input.id => {
                if own == axis {
                    "?".to_string()
                } else {
                    format!("?{own}")
                }
            }
            Some(_) | None => self.dim(dim),
        }
    }

    /// A node with its type; `place` is where its array is stored, if it is.
    fn line(&self, graph: &Graph, id: NodeId, place: Option<&Stored>) -> String {
        let node = graph.node(id);
        let spelling = Spelling { value: &|id| self.value(id), dim: &|dim| self.dim(dim), elements: usize::MAX };
        if let Node::Input(input) = node {
            let sizes: Vec<String> =
                (0..).zip(&input.ty.shape).map(|(axis, dim)| self.input_size(input, axis, dim)).collect();
            return format!("{} {}[{}]", spell_node(node, &spelling), input.ty.dtype, sizes.join(", "));
        }
        let separator = if matches!(node, Node::Parameter(..)) { "" } else { ": " };
        let text = match (node, place) {
            (Node::Dense(array), Some(place)) => format!("{} {}", node.name(), arrays::stored(&array.0, place)),
            _ => spell_node(node, &spelling),
        };
        format!("{text} {separator}{}", spell_type(graph.ty(id), &spelling))
    }
}

/// A type, as `f64[%0.0, 3]`.
pub fn spell_type(ty: &Type, spelling: &Spelling<'_>) -> String {
    format!("{}{}", ty.dtype, dims(&ty.shape, spelling))
}

/// A node without its type, as `sum axes=[0] %2`.
pub fn spell_node(node: &Node<NodeId>, spelling: &Spelling<'_>) -> String {
    let value = spelling.value;
    let name = node.name();
    match node {
        Node::Input(input) => format!("{name} {}", quote(&input.name)),
        Node::Parameter(..) => name.to_string(),
        Node::Scalar(scalar) => {
            let mut text = format!("{name} ");
            write_literal(&mut text, *scalar);
            text
        }
        Node::Dense(array) => format!("{name} {}", listed(&array.0, spelling.elements)),
        Node::Iota(size) | Node::Size(size) => format!("{name} {}", (spelling.dim)(size)),
        Node::Unary(_, x) | Node::Cast(_, x) => format!("{name} {}", value(*x)),
        Node::Binary(_, operands) | Node::MatMul(operands) | Node::Barrier(operands) => {
            format!("{name} {}", values(operands, spelling))
        }
        Node::Ternary(_, operands) => format!("{name} {}", values(operands, spelling)),
        Node::Reduce(_, axes, x) => format!("{name} axes={axes:?} {}", value(*x)),
        Node::Permute(order, x) => format!("{name} order={order:?} {}", value(*x)),
        Node::Reshape(shape, x) | Node::Broadcast(shape, x) => {
            format!("{name} {} {}", dims(shape, spelling), value(*x))
        }
        Node::Slice(ranges, x) => {
            let dim = spelling.dim;
            let ranges: Vec<String> = ranges
                .iter()
                .map(|range| format!("{}:{}:{}", dim(&range.start), range.step, dim(&range.length)))
                .collect();
            format!("{name} [{}] {}", ranges.join(", "), value(*x))
        }
        Node::Concat(axis, parts) => format!("{name} axis={axis} {}", values(parts, spelling)),
        Node::Loop(node) => format!("{name} {}", spell_loop(node, spelling)),
        Node::Project(index, x) => format!("{name} {index} {}", value(*x)),
        Node::Custom(custom, operands) => {
            format!("{name} {} {}", quote(&custom.0.name), values(operands, spelling)).trim_end().to_string()
        }
    }
}

/// `%1 while [%2] [%3] -> [%4]`, or `over [%0] [%2] [%3, %4] -> [%5, %6]`.
fn spell_loop(node: &Loop<NodeId>, spelling: &Spelling<'_>) -> String {
    let mut words: Vec<String> = node.count.iter().map(|&count| (spelling.value)(count)).collect();
    let list = |ids: &[NodeId]| format!("[{}]", values(ids, spelling));
    if !node.sequences.is_empty() {
        words.push(format!("over {}", list(&node.sequences)));
    }
    if node.guarded {
        words.push("while".to_string());
    }
    let (parameters, results) = (list(&node.body.parameters), list(&node.body.results));
    words.extend([list(&node.initial), parameters, "->".to_string(), results]);
    words.join(" ")
}

fn values(ids: &[NodeId], spelling: &Spelling<'_>) -> String {
    let names: Vec<String> = ids.iter().map(|&id| (spelling.value)(id)).collect();
    names.join(", ")
}

fn dims(shape: &[Dim], spelling: &Spelling<'_>) -> String {
    let sizes: Vec<String> = shape.iter().map(spelling.dim).collect();
    format!("[{}]", sizes.join(", "))
}
