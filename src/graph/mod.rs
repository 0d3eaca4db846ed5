//! The graph IR: a hash-consed arena of typed nodes.
//!
//! A valid graph is one where every operand of a node has a smaller id than the node (so ids are a topological
//! order), no two nodes are equal, and every type is what `infer` says. Equal nodes get one id, so common
//! subexpressions are shared by construction. Source lines are kept beside the nodes, not in their identity.
//! Nothing here knows the user's handles, the optimiser or any engine.

pub mod infer;
pub mod node;
pub mod region;
pub mod regions;
pub mod text;
pub mod verify;

use std::panic::Location;

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

pub use infer::{Constraint, Context, describe, describe_shape, infer};
pub use node::{Custom, Dense, HostFunction, Input, Node, SliceRange, Type};
pub use region::{Loop, Region};

use crate::error::{Error, Result};

/// The index of a node in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    /// As an index of tables kept beside the graph.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The user's source line that made a node.
pub type Origin = Option<&'static Location<'static>>;

/// An arena of nodes, with the inputs of the function and its outputs.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: IndexSet<Node<NodeId>, FxBuildHasher>,
    types: Vec<Type>,
    origins: Vec<Origin>,
    /// The inputs in the order of the call's arguments.
    pub inputs: Vec<NodeId>,
    /// The outputs in the order of the call's results.
    pub outputs: Vec<NodeId>,
}

impl Context<NodeId> for Graph {
    fn ty<'a>(&'a self, id: &'a NodeId) -> &'a Type {
        &self.types[id.index()]
    }
    fn node<'a>(&'a self, id: &'a NodeId) -> &'a Node<NodeId> {
        self.node(*id)
    }
}

impl Graph {
    /// A graph without nodes.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// The id of a node, which is added if no equal one exists; constraints on sizes are appended.
    ///
    /// # Errors
    /// `Build` if the node is ill-typed, `Unsupported` beyond 2³² nodes.
    pub fn add_checked(
        &mut self,
        node: Node<NodeId>,
        origin: Origin,
        constraints: &mut Vec<Constraint>,
    ) -> Result<NodeId> {
        let (index, is_new) = self.nodes.insert_full(node);
        if !is_new {
            return Ok(NodeId(index as u32));
        }
        match self.type_of_last(index, origin, constraints) {
            Ok(ty) => self.types.push(ty),
            Err(error) => {
                self.nodes.pop();
                return Err(error);
            }
        }
        self.origins.push(origin);
        Ok(NodeId(index as u32))
    }

    /// The type of a node that has none yet, since it was just added.
    fn type_of_last(&self, index: usize, origin: Origin, constraints: &mut Vec<Constraint>) -> Result<Type> {
        if u32::try_from(index).is_err() {
            return Err(Error::Unsupported("a graph of more than 2^32 nodes; compile it in parts".to_string()));
        }
        infer(&self.nodes[index], self, constraints).map_err(|message| match origin {
            Some(location) => Error::Build { message, location },
            None => Error::Internal(message),
        })
    }

    /// The nodes for which `keep` says so, which must have their operands among them, and the inputs, which come first.
    pub fn retained(self, keep: &[bool]) -> Graph {
        let count = keep.iter().filter(|&&keep| keep).count();
        let mut places: Vec<NodeId> = vec![NodeId(u32::MAX); keep.len()];
        let mut result = Graph {
            nodes: IndexSet::with_capacity_and_hasher(count + self.inputs.len(), FxBuildHasher),
            types: Vec::with_capacity(count + self.inputs.len()),
            origins: Vec::with_capacity(count + self.inputs.len()),
            ..Graph::default()
        };
        for &id in &self.inputs {
            places[id.index()] =
                result.push(self.node(id).map(|operand| *operand), self.ty(id).clone(), self.origin(id));
        }
        for (index, ((node, ty), origin)) in self.nodes.iter().zip(self.types).zip(self.origins).enumerate() {
            if keep[index] && places[index].0 == u32::MAX {
                places[index] = result.push(node.map(|operand| places[operand.index()]), ty, origin);
            }
        }
        result.inputs = self.inputs.iter().map(|id| places[id.index()]).collect();
        result.outputs = self.outputs.iter().map(|id| places[id.index()]).collect();
        result
    }

    /// Adds a node that is in no way like those that are there.
    fn push(&mut self, node: Node<NodeId>, ty: Type, origin: Origin) -> NodeId {
        let (index, is_new) = self.nodes.insert_full(node);
        if is_new {
            self.types.push(ty);
            self.origins.push(origin);
        }
        NodeId(index as u32)
    }

    /// As `add_checked`, for a node whose constraints are already known to the caller.
    ///
    /// # Errors
    /// As `add_checked`.
    pub fn add(&mut self, node: Node<NodeId>, origin: Origin) -> Result<NodeId> {
        self.add_checked(node, origin, &mut Vec::new())
    }

    /// The node.
    pub fn node(&self, id: NodeId) -> &Node<NodeId> {
        &self.nodes[id.index()]
    }

    /// The id of a node, if it is in the graph.
    pub fn find(&self, node: &Node<NodeId>) -> Option<NodeId> {
        self.nodes.get_index_of(node).map(|index| NodeId(index as u32))
    }

    /// Its type.
    pub fn ty(&self, id: NodeId) -> &Type {
        &self.types[id.index()]
    }

    /// The source line that made it.
    pub fn origin(&self, id: NodeId) -> Origin {
        self.origins[id.index()]
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Every id in topological order: operands before users.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + ExactSizeIterator + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// For each node, whether an output needs it.
    pub fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.len()];
        for output in &self.outputs {
            live[output.index()] = true;
        }
        for id in self.ids().rev() {
            if live[id.index()] {
                self.node(id).for_each_operand(|operand| live[operand.index()] = true);
            }
        }
        live
    }

    /// For each node, how many live nodes and outputs use it: none if it is dead.
    pub fn use_counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.len()];
        for output in &self.outputs {
            counts[output.index()] += 1;
        }
        for id in self.ids().rev() {
            if counts[id.index()] > 0 {
                self.node(id).for_each_operand(|operand| counts[operand.index()] += 1);
            }
        }
        counts
    }

    /// A name for an input in texts: that of the user, or its position.
    pub fn input_name(&self, id: crate::shape::InputId) -> String {
        let input = self.inputs.iter().find_map(|&node| match self.node(node) {
            Node::Input(input) if input.id == id => Some(input),
            _ => None,
        });
        input.map_or_else(|| format!("input {}", id.0), |input| format!("\"{}\"", input.name))
    }
}
