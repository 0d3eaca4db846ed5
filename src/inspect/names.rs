//! Short names for what a picture shows: numbers for nodes, letters for open sizes.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::graph::text::{Spelling, quote, spell_node, spell_type};
use crate::graph::{Graph, Input, Node, NodeId, Origin};
use crate::shape::{Dim, Measure, Symbol};

/// The letters of the first open sizes; later ones get a number too.
const LETTERS: [&str; 9] = ["n", "m", "k", "l", "p", "q", "r", "s", "t"];

/// The most elements of a constant that are shown.
const SHOWN_ELEMENTS: usize = 8;

/// What the nodes of one graph are called.
pub(super) struct Names<'a> {
    graph: &'a Graph,
    /// The nodes that are shown: inputs, then what the outputs need, operands first.
    pub(super) order: Vec<NodeId>,
    numbers: FxHashMap<NodeId, usize>,
    /// For each open size its letter and where it comes from.
    sizes: FxHashMap<Symbol, (String, String)>,
}

impl<'a> Names<'a> {
    pub(super) fn new(graph: &'a Graph) -> Names<'a> {
        let live = graph.live();
        let others = graph.ids().filter(|id| live[id.index()] && !matches!(graph.node(*id), Node::Input(_)));
        let order: Vec<NodeId> = graph.inputs.iter().copied().chain(others).collect();
        let numbers = order.iter().enumerate().map(|(number, &id)| (id, number)).collect();
        Names { graph, order, numbers, sizes: name_sizes(graph) }
    }

    /// A node as an operand.
    pub(super) fn value(&self, id: NodeId) -> String {
        self.numbers.get(&id).map_or_else(|| "%?".to_string(), |number| format!("%{number}"))
    }

    fn dim(&self, dim: &Dim) -> String {
        dim.formula(&|symbol| self.sizes.get(&symbol).map_or_else(|| "?".to_string(), |(name, _)| name.clone()))
            .to_string()
    }

    /// A dim of an input, with where its letter comes from: `n=a.0`.
    fn hint(&self, dim: &Dim) -> String {
        match dim.as_symbol().and_then(|symbol| self.sizes.get(&symbol)) {
            Some((name, source)) => format!("{name}={source}"),
            None => self.dim(dim),
        }
    }

    /// The node with its operands, without its type.
    pub(super) fn node(&self, id: NodeId) -> String {
        let (value, dim) = (|id| self.value(id), |dim: &Dim| self.dim(dim));
        spell_node(self.graph.node(id), &Spelling { value: &value, dim: &dim, elements: SHOWN_ELEMENTS })
    }

    /// The type of a node.
    pub(super) fn ty(&self, id: NodeId) -> String {
        let is_input = matches!(self.graph.node(id), Node::Input(_));
        let dim = |dim: &Dim| if is_input { self.hint(dim) } else { self.dim(dim) };
        let value = |id| self.value(id);
        spell_type(self.graph.ty(id), &Spelling { value: &value, dim: &dim, elements: SHOWN_ELEMENTS })
    }
}

/// A source line as editors take it: `src/main.rs:12`.
pub(super) fn source_line(origin: Origin) -> Option<String> {
    origin.map(|location| format!("{}:{}", location.file(), location.line()))
}

/// Letters for open extents; for values of integer inputs their names. No two sizes get one name.
fn name_sizes(graph: &Graph) -> FxHashMap<Symbol, (String, String)> {
    let mut sizes = FxHashMap::default();
    let mut taken = FxHashSet::default();
    for (id, input) in inputs(graph).filter(|(_, input)| input.ty.rank() == 0) {
        let name = Some(readable(&input.name)).filter(|name| taken.insert(name.clone()));
        let name = name.unwrap_or_else(|| format!("{}@{}", readable(&input.name), id.0));
        sizes.insert(Symbol { input: input.id, measure: Measure::Value }, (name.clone(), name));
    }
    let mut letters = (0_usize..).map(letter).filter(|letter| !taken.contains(letter));
    for (_, input) in inputs(graph) {
        for symbol in input.ty.shape.iter().filter_map(Dim::as_symbol) {
            if let (Measure::Extent(axis), Some(letter)) = (symbol.measure, letters.next()) {
                sizes.insert(symbol, (letter, format!("{}.{axis}", readable(&input.name))));
            }
        }
    }
    sizes
}

fn inputs(graph: &Graph) -> impl Iterator<Item = (NodeId, &Input)> {
    graph
        .inputs
        .iter()
        .filter_map(|&id| if let Node::Input(input) = graph.node(id) { Some((id, &**input)) } else { None })
}

fn letter(index: usize) -> String {
    match index / LETTERS.len() {
        0 => LETTERS[index].to_string(),
        round => format!("{}{round}", LETTERS[index % LETTERS.len()]),
    }
}

/// The name of an input, in quotes if it is not one word.
fn readable(name: &str) -> String {
    let is_word = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if is_word { name.to_string() } else { quote(name) }
}
