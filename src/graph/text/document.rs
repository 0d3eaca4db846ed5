//! The lines of a text: its version, its nodes, and what it says of them.
//!
//! What stands in a text is never trusted: nodes are checked one by one (`parse.rs`), the whole by `verify`.

use rustc_hash::FxHashSet;

use super::VERSION;
use super::arrays::{Fetch, Given};
use super::cursor::Cursor;
use super::literal::quote;
use super::parse::Parser;
use crate::array::Array;
use crate::error::{Error, Result};
use crate::graph::verify::verify;
use crate::graph::{Constraint, Graph, Input, Node, NodeId};
use crate::shape::{Dim, Measure, Symbol};

/// A text with all that it says.
pub struct Document {
    /// The graph.
    pub graph: Graph,
    /// What must hold of the sizes of its calls.
    pub constraints: Vec<Constraint>,
    /// The names of the outputs: one for each, or none.
    pub output_names: Vec<String>,
    /// Inputs that no call passes, and their values.
    pub variables: Vec<(NodeId, Array)>,
}

/// The graph of a text, with what must hold of the sizes of its calls.
///
/// # Errors
/// `Parse` with the line, what was expected and what was found; `Unsupported` for host functions, which a text
/// cannot hold; `Argument` for a text that refers to a file of arrays or holds values of shared variables.
pub fn parse(text: &str) -> Result<(Graph, Vec<Constraint>)> {
    let fetch: Fetch<'_> = &|file, stored, _, _| {
        let (name, file) = (quote(&stored.name), quote(file));
        Err(Error::Argument(format!(
            "the array {name} is not in the text but in the file {file}; read both with `load`"
        )))
    };
    let document = parse_document(text, fetch)?;
    match document.variables.first() {
        None => Ok((document.graph, document.constraints)),
        Some((id, _)) => Err(Error::Argument(format!(
            "the text holds the value of the shared variable {}; read it with `load`",
            document.input(*id).map_or_else(String::new, |input| quote(&input.name))
        ))),
    }
}

/// Reads a text, and has the arrays that are stored beside it fetched.
///
/// # Errors
/// As [`parse`], and as `fetch`.
pub fn parse_document(text: &str, fetch: Fetch<'_>) -> Result<Document> {
    let mut lines = Lines {
        parser: Parser::new(fetch),
        started: false,
        outputs: None,
        output_names: Vec::new(),
        variables: Vec::new(),
        declared: FxHashSet::default(),
        inputs: None,
    };
    let mut last = 1;
    for (line, text) in (1..).zip(text.lines()) {
        let cursor = Cursor::new(line, text);
        if !cursor.is_done() {
            lines.line(cursor)?;
        }
        last = line;
    }
    lines.finish(last)
}

/// The file of stored arrays that the first lines of a text name.
pub fn arrays_of(head: &str) -> Option<String> {
    let mut lines = head.lines().map(|text| Cursor::new(1, text)).filter(|cursor| !cursor.is_done());
    version(&mut lines.next()?).ok()?;
    let mut line = lines.next()?;
    if line.eat("arrays") { line.quoted().ok() } else { None }
}

impl Document {
    /// The input that a node is.
    pub fn input(&self, id: NodeId) -> Option<&Input> {
        match self.graph.node(id) {
            Node::Input(input) => Some(input),
            _ => None,
        }
    }
}

struct Lines<'f> {
    parser: Parser<'f>,
    started: bool,
    outputs: Option<Vec<NodeId>>,
    output_names: Vec<String>,
    variables: Vec<(NodeId, Array)>,
    /// The inputs among them.
    declared: FxHashSet<NodeId>,
    inputs: Option<Vec<NodeId>>,
}

impl Lines<'_> {
    fn line(&mut self, mut cursor: Cursor<'_>) -> Result<()> {
        if !self.started {
            self.started = true;
            version(&mut cursor)?;
        } else if cursor.sees("%") {
            self.parser.definition(&mut cursor)?;
        } else if self.parser.graph.is_empty() && self.parser.arrays.is_none() && cursor.eat("arrays") {
            self.parser.arrays = Some(cursor.quoted()?);
        } else if cursor.eat("shared") {
            self.variable(&mut cursor)?;
        } else if self.outputs.is_none() && cursor.eat("return") {
            let outputs = self.outputs(&mut cursor)?;
            self.outputs = Some(outputs);
        } else if self.inputs.is_none() && cursor.eat("inputs") {
            self.inputs = Some(self.parser.values(&mut cursor)?);
        } else {
            return Err(cursor.expected("`%number = …`, one `return` or one `inputs`"));
        }
        cursor.finish()
    }

    /// `shared %1 = [2] [0.5, 1.0]`.
    fn variable(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        let start = *cursor;
        let id = self.parser.value(cursor)?;
        cursor.expect("=")?;
        let given = Given::read(cursor)?;
        let ty = self.parser.graph.ty(id).clone();
        let Node::Input(input) = self.parser.graph.node(id) else { return Err(start.expected("an input")) };
        let own = |axis| Dim::from(Symbol { input: input.id, measure: Measure::Extent(axis) });
        if !(0..).zip(&ty.shape).all(|(axis, dim)| dim.constant().is_some() || *dim == own(axis)) {
            return Err(start.error("the sizes of a shared variable are numbers or `?`"));
        }
        if !self.declared.insert(id) {
            return Err(start.error("the variable has a value already"));
        }
        let array = self.parser.array(given, ty.dtype)?;
        if array.rank() != ty.rank() {
            return Err(start.error(format!("the value has rank {}, the variable {}", array.rank(), ty.rank())));
        }
        self.variables.push((id, array));
        Ok(())
    }

    /// `%1, %2`, or `%1 as "loss", %2 as "slope"`.
    fn outputs(&mut self, cursor: &mut Cursor<'_>) -> Result<Vec<NodeId>> {
        let mut outputs = Vec::new();
        let mut names = FxHashSet::default();
        while !cursor.is_done() {
            outputs.push(self.parser.value(cursor)?);
            let start = *cursor;
            if cursor.eat("as") {
                let name = cursor.quoted()?;
                if !names.insert(name.clone()) {
                    return Err(start.error(format!("two outputs are named {}", quote(&name))));
                }
                self.output_names.push(name);
            }
            if !self.output_names.is_empty() && self.output_names.len() != outputs.len() {
                return Err(start.error("either all outputs have names or none"));
            }
            if !cursor.eat(",") {
                break;
            }
            if cursor.is_done() {
                return Err(cursor.expected("a value such as %0"));
            }
        }
        Ok(outputs)
    }

    fn finish(self, last: usize) -> Result<Document> {
        let missing = |word: &str| Error::Parse {
            line: last,
            column: 1,
            message: format!("expected a line `{word} …`, found the end"),
        };
        let Parser { mut graph, constraints, .. } = self.parser;
        graph.outputs = self.outputs.ok_or_else(|| missing("return"))?;
        graph.inputs = self.inputs.ok_or_else(|| missing("inputs"))?;
        verify(&graph).map_err(|error| match error {
            Error::Internal(message) => Error::Parse { line: last, column: 1, message },
            other => other,
        })?;
        Ok(Document { graph, constraints, output_names: self.output_names, variables: self.variables })
    }
}

/// `kroton 1`, the first line.
fn version(cursor: &mut Cursor<'_>) -> Result<()> {
    let start = *cursor;
    if cursor.eat(VERSION.0) {
        let number: u64 = cursor.integer("a version").unwrap_or(0);
        if number == u64::from(VERSION.1) {
            return Ok(());
        }
        if number > u64::from(VERSION.1) {
            return Err(start.error(format!(
                "the graph is written in version {number} of the text form; this version of Kroton reads version {}: \
                 use a newer one",
                VERSION.1
            )));
        }
    }
    Err(start.error(format!("expected `{} {}`, the first line of a graph", VERSION.0, VERSION.1)))
}
