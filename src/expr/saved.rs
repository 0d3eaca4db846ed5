//! Graphs in files: a text, and a file beside it for arrays that are too long to read.
//!
//! The file of arrays is written first, under a name that no other content has; the text names it, and takes the place of
//! the older text in one step. So whoever loads finds the old graph or the new one, whole. No format of its own: texts are
//! `graph::text`'s, arrays `array::file`'s.

use std::cell::OnceCell;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::array::Array;
use crate::array::file::{self, Reader};
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::expr::convert::{IntoExpr, IntoInputs};
use crate::expr::intern::{extern_graph_with, intern};
use crate::expr::shared::{Shared, shared_inputs};
use crate::graph::text::{self, Document, Extras, Fetch, Stored};
use crate::graph::{Graph, Node, NodeId};
use crate::runtime::variable::Variable;

/// Constants of more elements than this are written to the file of arrays.
const LONGEST_INLINE: usize = 64;

/// How much of an older text is read for the name of its file of arrays.
const LONGEST_HEAD: u64 = 8192;

/// Saves a graph: some inputs, and outputs by name. [`load`] reads it back.
///
/// The file is a text, as of [`to_text`](crate::to_text). Constants of more than 64 elements go to a second file beside it,
/// in the safetensors format, which the text refers to: `model.kroton` comes with `model.kroton.1a2b3c4d.safetensors`. The
/// two belong together and move together. An older graph of the same path is replaced in one step, when all is written; its
/// second file goes.
///
/// [Shared variables](crate::shared()) are saved with the values that they have together between two calls, and are shared
/// variables again once they are loaded. Source lines are not saved, nor derivatives: of parts that have a derivative of
/// their own, what they compute is saved.
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("kroton-save-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("line.kroton");
/// let (x, w) = (kroton::vector::<f64>("x"), kroton::shared("w", [0.5, 2.0]));
/// kroton::save(&path, [&x], [("line", &w * &x), ("length", x.square().sum(..).sqrt())])?;
///
/// let saved = kroton::load(&path)?;
/// let line = kroton::compile(saved.inputs(), saved.output("line")?)?;
/// assert_eq!(line.call::<Vec<f64>>((&[2.0, 3.0],))?, [1.0, 6.0]);
/// assert_eq!(saved.variable("w")?.get::<Vec<f64>>()?, [0.5, 2.0]);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`Expr::error`] of an output; `Argument` for inputs that are not inputs, come twice or are missing, and for two
/// outputs of one name; `Unsupported` for a function of the host, which no file can hold, and for values of more than
/// 64 axes; `File` if a file cannot be
/// written, and then the older one is as it was. Two calls that save to one path at the same time may leave a text without
/// its second file.
#[track_caller]
pub fn save<N: Into<String>, E: IntoExpr>(
    path: impl AsRef<Path>,
    inputs: impl IntoInputs,
    outputs: impl IntoIterator<Item = (N, E)>,
) -> Result<()> {
    let mut names: Vec<String> = Vec::new();
    let mut exprs = Vec::new();
    for (name, output) in outputs {
        names.push(name.into());
        exprs.push(output.into_expr());
    }
    let mut seen = FxHashSet::default();
    if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
        return Err(Error::Argument(format!("two outputs are named \"{twice}\"; give each a name of its own")));
    }
    let (body, arrays) = text_and_arrays(inputs.into_inputs(), &exprs, &names)?;
    write(path.as_ref(), &body, &arrays)
}

/// The text of a graph without its head, and the arrays that it refers to.
fn text_and_arrays(
    mut inputs: Vec<Expr>,
    outputs: &[Expr],
    names: &[String],
) -> Result<(String, Vec<(String, Array)>)> {
    let shared = shared_inputs(&inputs, outputs, &[], &[])?;
    let first = inputs.len();
    inputs.extend(shared.inputs);
    let (graph, _) = intern(&inputs, outputs, &[])?;
    check_functions(&graph)?;
    text::check_ranks(&graph)?;
    let values = Variable::values(shared.state.variables())?;
    let variables: Vec<(NodeId, Array)> = graph.inputs[first..].iter().copied().zip(values).collect();
    let mut arrays = Vec::new();
    let mut store = |number: &str, array: &Array| {
        (array.len() > LONGEST_INLINE).then(|| {
            arrays.push((number.to_string(), array.clone()));
            Stored { name: number.to_string(), checksum: file::checksum(array) }
        })
    };
    let body = text::print_body(&graph, &Extras { output_names: names, variables: &variables }, &mut store);
    Ok((body, arrays))
}

fn check_functions(graph: &Graph) -> Result<()> {
    let live = graph.live();
    for id in graph.ids().filter(|id| live[id.index()]) {
        if let Node::Custom(custom, _) = graph.node(id) {
            return Err(Error::Unsupported(format!(
                "the host function \"{}\" is code of this program and cannot be saved; save the graph before it and after it",
                custom.0.name
            )));
        }
    }
    Ok(())
}

/// Writes the arrays, if there are any, then the text; then an older file of arrays goes.
fn write(path: &Path, body: &str, arrays: &[(String, Array)]) -> Result<()> {
    let name = if arrays.is_empty() { None } else { Some(arrays_name(path, body)?) };
    let older = older_arrays(path);
    if let Some(name) = &name {
        file::replace(&path.with_file_name(name), |to| file::write(to, arrays))?;
    }
    file::replace(path, |to| {
        to.write_all(text::print_head(name.as_deref()).as_bytes())?;
        to.write_all(body.as_bytes())
    })?;
    if let Some(older) = older.filter(|older| Some(older) != name.as_ref()) {
        // One that cannot be removed, or is not there, does no harm.
        let _ = std::fs::remove_file(path.with_file_name(older));
    }
    Ok(())
}

/// The name of the file of arrays that belongs to a text, whose checksums tell what is in it.
fn arrays_name(path: &Path, body: &str) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| {
        Error::File(format!("cannot save to {}: the name of the file is to be plain text", path.display()))
    })?;
    Ok(format!("{name}.{:08x}.safetensors", file::checksum_of_text(body)))
}

/// The file of arrays of the graph that is to be replaced, if it has one and it was named by `arrays_name`.
fn older_arrays(path: &Path) -> Option<String> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(LONGEST_HEAD).read_to_end(&mut head).ok()?;
    let name = text::arrays_of(&String::from_utf8_lossy(&head))?;
    let sum = name.strip_prefix(path.file_name()?.to_str()?)?.strip_prefix('.')?.strip_suffix(".safetensors")?;
    (sum.len() == 8 && sum.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(name)
}

/// A graph that [`load`] read.
#[derive(Debug, Clone)]
pub struct Saved {
    path: PathBuf,
    inputs: Vec<Expr>,
    outputs: Vec<Expr>,
    output_names: Vec<String>,
    variables: Vec<Shared>,
}

/// Reads a graph that [`save`] wrote. Its inputs and its shared variables are new ones.
///
/// Files are checked: one that was damaged, cut short or made up gives an error.
///
/// # Errors
/// `File` if a file cannot be read, or if the file of arrays is not the one that belongs to the text; `Parse`, with the line
/// and the column, for a text that is not a graph, or one of a newer version; `Memory` if there is none for the arrays.
#[track_caller]
pub fn load(path: impl AsRef<Path>) -> Result<Saved> {
    let path = path.as_ref();
    let source = std::fs::read_to_string(path)
        .map_err(|error| Error::File(format!("cannot read {}: {error}", path.display())))?;
    let document = read(path, &source).map_err(|error| match error {
        Error::Parse { line, column, message } => {
            Error::Parse { line, column, message: format!("{message}, in {}", path.display()) }
        }
        other => other,
    })?;
    Saved::new(path, document)
}

/// Reads a text, and the arrays that it refers to.
fn read(path: &Path, source: &str) -> Result<Document> {
    let opened: OnceCell<Reader> = OnceCell::new();
    let fetch: Fetch<'_> = &|name, stored, dtype, shape| {
        if opened.get().is_none() {
            let _ = opened.set(Reader::open(&beside(path, name)?)?);
        }
        let reader = opened.get().ok_or_else(|| Error::Internal("an open file was not kept".to_string()))?;
        reader.read(&stored.name, dtype, shape, stored.checksum)
    };
    let document = text::parse_document(source, fetch)?;
    if let Some(reader) = opened.get() {
        reader.finish()?;
    }
    Ok(document)
}

/// A file in the folder of another; a text cannot name others.
fn beside(path: &Path, name: &str) -> Result<PathBuf> {
    if Path::new(name).file_name().is_none_or(|own| own != name) {
        return Err(Error::File(format!(
            "{} refers to a file of arrays \"{name}\"; it must be in the same folder",
            path.display()
        )));
    }
    Ok(path.with_file_name(name))
}

impl Saved {
    #[track_caller]
    fn new(path: &Path, document: Document) -> Result<Saved> {
        let mut known = FxHashMap::default();
        let mut variables = Vec::new();
        for (id, value) in &document.variables {
            let Node::Input(input) = document.graph.node(*id) else {
                return Err(Error::Internal("a shared variable that is not an input".to_string()));
            };
            let variable = Shared::of_input(input, value.clone())?;
            known.insert(*id, Expr::clone(&variable));
            variables.push(variable);
        }
        let (inputs, outputs) = extern_graph_with(&document.graph, &known);
        let passed = document.graph.inputs.iter().zip(inputs).filter(|(id, _)| !known.contains_key(id));
        let inputs = passed.map(|(_, input)| input).collect();
        Ok(Saved { path: path.to_path_buf(), inputs, outputs, output_names: document.output_names, variables })
    }

    /// The inputs, in the order in which they were saved.
    pub fn inputs(&self) -> &[Expr] {
        &self.inputs
    }

    /// The input of this name.
    ///
    /// # Errors
    /// `Argument` if there is none, or more than one; it lists those that there are.
    pub fn input(&self, name: &str) -> Result<&Expr> {
        let inputs = self.inputs.iter().map(|input| (input_name(input), input));
        self.find("input", name, inputs)
    }

    /// The outputs, in the order in which they were saved.
    pub fn outputs(&self) -> &[Expr] {
        &self.outputs
    }

    /// The names of the outputs, as [`Compiler::output_names`](crate::Compiler::output_names) takes them.
    pub fn output_names(&self) -> &[String] {
        &self.output_names
    }

    /// The output of this name.
    ///
    /// # Errors
    /// `Argument` if there is none; it lists those that there are.
    pub fn output(&self, name: &str) -> Result<&Expr> {
        self.find("output", name, self.output_names.iter().map(String::as_str).zip(&self.outputs))
    }

    /// The shared variables that the outputs use.
    pub fn variables(&self) -> &[Shared] {
        &self.variables
    }

    /// The shared variable of this name.
    ///
    /// # Errors
    /// `Argument` if there is none, or more than one; it lists those that there are.
    pub fn variable(&self, name: &str) -> Result<&Shared> {
        self.find("shared variable", name, self.variables.iter().map(|variable| (variable.name(), variable)))
    }

    fn find<'s, T>(&self, kind: &str, name: &str, all: impl Iterator<Item = (&'s str, T)>) -> Result<T> {
        let (mut found, mut names) = (Vec::new(), Vec::new());
        for (own, value) in all {
            names.push(format!("\"{own}\""));
            if own == name {
                found.push(value);
            }
        }
        let path = self.path.display();
        match (found.len(), found.pop()) {
            (1, Some(value)) => Ok(value),
            (count, Some(_)) => {
                Err(Error::Argument(format!("{path} has {count} {kind}s named \"{name}\"; take them by their places")))
            }
            (_, None) => Err(Error::Argument(format!(
                "{path} has no {kind} \"{name}\"; it has {}",
                if names.is_empty() { "none".to_string() } else { names.join(", ") }
            ))),
        }
    }
}

fn input_name(input: &Expr) -> &str {
    match input.node() {
        Node::Input(input) => &input.name,
        _ => "",
    }
}
