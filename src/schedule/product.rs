//! Which kernels may become the epilogue of a matrix product.
//!
//! Where the target can, a product that is no output hands its elements to the one kernel that reads them, and is not
//! written. That kernel takes the product element by element, over rows and columns. The product then runs where that
//! kernel would have: everything else that the kernel reads is there by then.

use rustc_hash::FxHashMap;

use crate::graph::{Graph, Node, NodeId};
use crate::loops::Target;
use crate::schedule::Space;
use crate::schedule::piece::{Piece, Work};
use crate::schedule::walk::Cone;

/// How many operands a kernel has more as an epilogue: the two factors, without the product.
pub const OPERANDS: usize = 1;

/// The products that only kernels of their own space read, with their readers so far.
pub struct Products(FxHashMap<NodeId, Readers>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readers {
    None,
    One(usize),
    Several,
}

impl Products {
    /// The products that may have an epilogue.
    pub fn new(graph: &Graph, pieces: &[Piece], of_host: &[bool], target: &Target) -> Products {
        let mut products = FxHashMap::default();
        if !target.fuses_products {
            return Products(products);
        }
        let is_matrix = |id: NodeId| graph.ty(id).shape.iter().all(|dim| !dim.is_one());
        for piece in pieces {
            if let Work::Steps(node, _) = piece.work
                && matches!(graph.node(node), Node::MatMul(_))
                && is_matrix(node)
            {
                products.insert(node, Readers::None);
            }
        }
        for output in &graph.outputs {
            products.remove(output);
        }
        for Piece { work, cone } in pieces {
            let space = match work {
                Work::Root(root) if !of_host[root.node.index()] => Some(root.space(graph)),
                Work::Root(_) | Work::Steps(..) => None,
            };
            for load in &cone.loads {
                let own = || Some(Space::map(&graph.ty(load.source).shape));
                if products.contains_key(&load.source) && (space != own() || !load.is_elementwise(graph)) {
                    products.remove(&load.source);
                }
            }
        }
        Products(products)
    }

    /// The first of the products that a root reads.
    pub fn read_by(&self, cone: &Cone) -> Option<NodeId> {
        cone.loads.iter().map(|load| load.source).find(|source| self.0.contains_key(source))
    }

    /// Takes note of what a kernel reads.
    pub fn note(&mut self, kernel: usize, cone: &Cone) {
        for load in &cone.loads {
            if let Some(readers) = self.0.get_mut(&load.source) {
                *readers = match *readers {
                    Readers::None => Readers::One(kernel),
                    Readers::One(other) if other == kernel => Readers::One(kernel),
                    Readers::One(_) | Readers::Several => Readers::Several,
                };
            }
        }
    }

    /// The kernel that alone reads a product.
    pub fn epilogue(&self, product: NodeId) -> Option<usize> {
        match self.0.get(&product)? {
            Readers::One(kernel) => Some(*kernel),
            Readers::None | Readers::Several => None,
        }
    }
}
