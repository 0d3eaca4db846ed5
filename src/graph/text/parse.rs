//! From text to nodes.
//!
//! Everything is checked as for a graph built by a program, by inference, which also finds the constraints on sizes again.
//! What stands in a text is never trusted.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::arrays::{Fetch, Given};
use super::cursor::Cursor;
use super::dims::parse_dim;
use super::print::describe_type;
use crate::array::Array;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Constraint, Dense, Graph, Input, Loop, Node, NodeId, Region, SliceRange, Type};
use crate::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};
use crate::shape::{Dim, InputId, Measure, Shape, Symbol};

/// The highest rank that is read.
const MOST_AXES: usize = 64;

/// Checks that what is written of a graph can be read again.
///
/// # Errors
/// `Unsupported` for a value of more axes than are read.
pub fn check_ranks(graph: &Graph) -> Result<()> {
    let live = graph.live();
    let written = graph.ids().filter(|id| live[id.index()]).chain(graph.inputs.iter().copied());
    match written.map(|id| (graph.ty(id).rank(), id)).max() {
        Some((rank, id)) if rank > MOST_AXES => Err(Error::Unsupported(format!(
            "a text of `{}` of {rank} axes; at most {MOST_AXES} are read",
            graph.node(id).name()
        ))),
        Some(_) | None => Ok(()),
    }
}

/// What has been read of a text.
pub(super) struct Parser<'f> {
    pub(super) graph: Graph,
    pub(super) constraints: Vec<Constraint>,
    /// The nodes by the numbers of the text.
    values: FxHashMap<u32, NodeId>,
    /// The file of stored arrays.
    pub(super) arrays: Option<String>,
    fetch: Fetch<'f>,
}

impl<'f> Parser<'f> {
    pub(super) fn new(fetch: Fetch<'f>) -> Parser<'f> {
        let (graph, constraints, values) = (Graph::new(), Vec::new(), FxHashMap::default());
        Parser { graph, constraints, values, arrays: None, fetch }
    }

    /// `%number = node : type`.
    pub(super) fn definition(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        cursor.expect("%")?;
        let number: u32 = cursor.integer("the number of a value")?;
        if self.values.contains_key(&number) {
            return Err(cursor.error(format!("%{number} is defined twice")));
        }
        cursor.expect("=")?;
        let (node, ty) = self.typed_node(cursor)?;
        let id = self.graph.add_checked(node, None, &mut self.constraints).map_err(|error| match error {
            Error::Internal(message) => cursor.error(message),
            other => other,
        })?;
        if *self.graph.ty(id) != ty {
            let (found, said) = (describe_type(&self.graph, self.graph.ty(id)), describe_type(&self.graph, &ty));
            return Err(cursor.error(format!("the type is {found}, not {said}")));
        }
        self.values.insert(number, id);
        Ok(())
    }

    fn typed_node(&self, cursor: &mut Cursor<'_>) -> Result<(Node<NodeId>, Type)> {
        let start = *cursor;
        match cursor.word() {
            "input" => self.input(cursor),
            "parameter" => {
                let ty = self.ty(cursor)?;
                Ok((Node::Parameter(InputId::new(), ty.clone()), ty))
            }
            "constant" => self.constant(cursor),
            "cast" => {
                let x = self.value(cursor)?;
                let ty = self.annotation(cursor)?;
                Ok((Node::Cast(ty.dtype, x), ty))
            }
            name => {
                let node = self.node(name, cursor, start)?;
                Ok((node, self.annotation(cursor)?))
            }
        }
    }

    /// A node whose text holds all there is to know of it; `start` is where its name stands.
    fn node(&self, name: &str, cursor: &mut Cursor<'_>, start: Cursor<'_>) -> Result<Node<NodeId>> {
        Ok(match name {
            "iota" => Node::Iota(self.dim(cursor)?),
            "size" => Node::Size(self.dim(cursor)?),
            "permute" => {
                cursor.expect("order=")?;
                let order = cursor.list(|cursor| cursor.integer("an axis"))?;
                Node::Permute(order.into(), self.value(cursor)?)
            }
            "reshape" => Node::Reshape(self.shape(cursor)?, self.value(cursor)?),
            "broadcast" => Node::Broadcast(self.shape(cursor)?, self.value(cursor)?),
            "slice" => {
                let ranges = cursor.list(|cursor| self.range(cursor))?;
                Node::Slice(ranges.into(), self.value(cursor)?)
            }
            "concat" => {
                cursor.expect("axis=")?;
                Node::Concat(cursor.integer("an axis")?, self.values(cursor)?)
            }
            "matmul" => Node::MatMul(self.operands(cursor)?),
            "barrier" => Node::Barrier(self.operands(cursor)?),
            "loop" => self.loop_node(cursor)?,
            "project" => Node::Project(cursor.integer("the number of a result")?, self.value(cursor)?),
            "custom" => {
                let name = cursor.quoted()?;
                return Err(Error::Unsupported(format!(
                    "the host function \"{name}\" cannot be read from a text; build that part of the graph in Rust"
                )));
            }
            name => return self.table_node(name, cursor).unwrap_or_else(|| Err(start.expected("the name of a node"))),
        })
    }

    /// A node of the op table, if there is one of this name.
    fn table_node(&self, name: &str, cursor: &mut Cursor<'_>) -> Option<Result<Node<NodeId>>> {
        if let Some(op) = UnaryOp::from_name(name) {
            return Some(self.value(cursor).map(|x| Node::Unary(op, x)));
        }
        if let Some(op) = BinaryOp::from_name(name) {
            return Some(self.operands(cursor).map(|operands| Node::Binary(op, operands)));
        }
        if let Some(op) = TernaryOp::from_name(name) {
            return Some(self.operands(cursor).map(|operands| Node::Ternary(op, operands)));
        }
        ReduceOp::from_name(name).map(|op| self.reduce(op, cursor))
    }

    fn reduce(&self, op: ReduceOp, cursor: &mut Cursor<'_>) -> Result<Node<NodeId>> {
        cursor.expect("axes=")?;
        let axes = cursor.list(|cursor| cursor.integer("an axis"))?;
        Ok(Node::Reduce(op, axes.into(), self.value(cursor)?))
    }

    /// `%1 while [%2] [%3] -> [%4]`: the count, the sequences and the guard may be missing.
    fn loop_node(&self, cursor: &mut Cursor<'_>) -> Result<Node<NodeId>> {
        let count = if cursor.sees("%") { Some(self.value(cursor)?) } else { None };
        let list = |cursor: &mut Cursor<'_>| cursor.list(|cursor| self.value(cursor));
        let sequences = if cursor.eat("over") { list(cursor)? } else { Vec::new() };
        let guarded = cursor.eat("while");
        let (initial, parameters) = (list(cursor)?, list(cursor)?);
        cursor.expect("->")?;
        let body = Region { parameters, results: list(cursor)? };
        Ok(Node::Loop(Box::new(Loop { count, guarded, initial, sequences, body })))
    }

    /// `input "name" f64[?, 3]`.
    fn input(&self, cursor: &mut Cursor<'_>) -> Result<(Node<NodeId>, Type)> {
        let (id, name) = (InputId::new(), cursor.quoted()?);
        let dtype = dtype(cursor)?;
        let mut axis = 0;
        let shape = cursor.list(|cursor| {
            axis += 1;
            self.input_size(cursor, id, axis - 1)
        })?;
        check_rank(cursor, &shape)?;
        let ty = Type { dtype, shape: shape.into() };
        Ok((Node::Input(Arc::new(Input { id, name, ty: ty.clone(), kept: None })), ty))
    }

    /// `?` for an open size, `?0` for one equal to that of the input's axis 0, `%1.0` for one of an input above, or a
    /// number.
    fn input_size(&self, cursor: &mut Cursor<'_>, input: InputId, axis: u32) -> Result<Dim> {
        if !cursor.eat("?") {
            return if cursor.sees("%") {
                self.dim(cursor)
            } else {
                cursor.integer::<u32>("`?` or a size").map(|size| Dim::from(i64::from(size)))
            };
        }
        let same =
            if cursor.sees(",") || cursor.sees("]") { axis } else { cursor.integer::<u32>("an earlier axis")? };
        if same > axis {
            return Err(cursor.error(format!("`?{same}` at axis {axis} is not an earlier axis of the input")));
        }
        Ok(Dim::from(Symbol { input, measure: Measure::Extent(same) }))
    }

    /// `constant 2.5 : f64[]`, `constant [2] [1.0, 2.0] : f64[2]` or `constant [2] stored "%1" crc32=1a2b3c4d : f64[2]`.
    fn constant(&self, cursor: &mut Cursor<'_>) -> Result<(Node<NodeId>, Type)> {
        let given = Given::read(cursor)?;
        let ty = self.annotation(cursor)?;
        if let Some(value) = given.scalar(ty.dtype) {
            return Ok((Node::Scalar(value?), ty));
        }
        let array = self.array(given, ty.dtype)?;
        Ok((Node::Dense(Dense(array)), ty))
    }

    pub(super) fn array(&self, given: Given<'_>, dtype: DType) -> Result<Array> {
        given.array(dtype, self.arrays.as_deref(), self.fetch)
    }

    /// `: type`.
    fn annotation(&self, cursor: &mut Cursor<'_>) -> Result<Type> {
        cursor.expect(":")?;
        self.ty(cursor)
    }

    fn ty(&self, cursor: &mut Cursor<'_>) -> Result<Type> {
        Ok(Type { dtype: dtype(cursor)?, shape: self.shape(cursor)? })
    }

    fn shape(&self, cursor: &mut Cursor<'_>) -> Result<Shape> {
        let shape: Shape = cursor.list(|cursor| self.dim(cursor))?.into();
        check_rank(cursor, &shape)?;
        Ok(shape)
    }

    /// `start:step:length`.
    fn range(&self, cursor: &mut Cursor<'_>) -> Result<SliceRange> {
        let start = self.dim(cursor)?;
        cursor.expect(":")?;
        let step = cursor.integer("a step")?;
        cursor.expect(":")?;
        Ok(SliceRange { start, step, length: self.dim(cursor)? })
    }

    fn dim(&self, cursor: &mut Cursor<'_>) -> Result<Dim> {
        parse_dim(cursor, &|cursor, number, measure| self.symbol(cursor, number, measure))
    }

    fn symbol(&self, cursor: &Cursor<'_>, number: u32, measure: &str) -> Result<Symbol> {
        let node = self.values.get(&number).map(|&id| self.graph.node(id));
        let Some(Node::Input(input)) = node else {
            return Err(cursor.error(format!("%{number} in a size is not an input defined above")));
        };
        let measure = match measure.parse() {
            Ok(axis) => Measure::Extent(axis),
            Err(_) if measure == "value" => Measure::Value,
            Err(_) => return Err(cursor.error(format!("expected an axis or `value`, found `{measure}`"))),
        };
        let symbol = Symbol { input: input.id, measure };
        let exists = match measure {
            Measure::Extent(axis) => {
                input.ty.shape.get(axis as usize).is_some_and(|dim| dim.as_symbol() == Some(symbol))
            }
            Measure::Value => input.ty.rank() == 0 && input.ty.dtype.is_integer(),
        };
        if exists { Ok(symbol) } else { Err(cursor.error(format!("the input %{number} has no such open size"))) }
    }

    pub(super) fn value(&self, cursor: &mut Cursor<'_>) -> Result<NodeId> {
        let start = *cursor;
        if !cursor.eat("%") {
            return Err(cursor.expected("a value such as %0"));
        }
        let number: u32 = cursor.integer("the number of a value")?;
        self.values.get(&number).copied().ok_or_else(|| start.error(format!("%{number} is not defined above")))
    }

    /// Values with commas between them, maybe none.
    pub(super) fn values(&self, cursor: &mut Cursor<'_>) -> Result<Vec<NodeId>> {
        let mut values = Vec::new();
        if cursor.is_done() {
            return Ok(values);
        }
        loop {
            values.push(self.value(cursor)?);
            if !cursor.eat(",") {
                return Ok(values);
            }
        }
    }

    /// Exactly so many values.
    fn operands<const N: usize>(&self, cursor: &mut Cursor<'_>) -> Result<[NodeId; N]> {
        let values = self.values(cursor)?;
        let found = values.len();
        values.try_into().map_err(|_| cursor.error(format!("expected {N} operands, found {found}")))
    }
}

/// Sizes are multiplied in expressions as deep as a shape is long, so ranks are bounded.
fn check_rank(cursor: &Cursor<'_>, shape: &[Dim]) -> Result<()> {
    match shape.len() {
        0..=MOST_AXES => Ok(()),
        rank => Err(cursor.error(format!("a shape of {rank} axes; at most {MOST_AXES} are read"))),
    }
}

fn dtype(cursor: &mut Cursor<'_>) -> Result<DType> {
    let start = *cursor;
    DType::from_name(cursor.word()).ok_or_else(|| start.expected("a dtype"))
}
