//! The axis of the batch: where it stands, and how other axes keep theirs.
//!
//! The axis of the batch comes first. Broadcasting aligns the last axes, so an operand of a lower rank than another gets
//! axes of size 1 behind that of the batch.

use smallvec::SmallVec;

use crate::batching::Batching;
use crate::expr::Expr;
use crate::graph::{Node, Type};
use crate::shape::{Dim, InputId, Shape};

impl Batching<'_> {
    /// A node at the source line of the one that it stands for.
    pub(super) fn build(&self, node: Node<Expr>) -> Expr {
        Expr::build_at(node, false, self.origin)
    }

    /// The axes in another order; the same expression if they stay.
    pub(super) fn permute(&self, x: &Expr, order: impl IntoIterator<Item = usize>) -> Expr {
        let order: SmallVec<[u32; 3]> = order.into_iter().map(|axis| axis as u32).collect();
        if order.is_sorted() { x.clone() } else { self.build(Node::Permute(order, x.clone())) }
    }

    /// The same elements in another shape; the same expression if it is the shape already.
    pub(super) fn reshape(&self, x: &Expr, shape: Shape) -> Expr {
        if *x.dims() == shape { x.clone() } else { self.build(Node::Reshape(shape, x.clone())) }
    }

    /// The first two axes exchanged.
    pub(super) fn swap_first(&self, x: &Expr) -> Expr {
        self.permute(x, [1, 0].into_iter().chain(2..x.rank()))
    }

    /// Something batched whose elements get leading axes of size 1 up to this rank.
    pub(super) fn align(&self, x: &Expr, rank: usize) -> Expr {
        let mut shape = x.dims().clone();
        let missing = rank.saturating_sub(shape.len() - 1);
        shape.insert_many(1, std::iter::repeat_n(Dim::ONE, missing));
        self.reshape(x, shape)
    }

    /// The shape of a batch of arrays of a shape.
    pub(super) fn behind(&self, shape: &[Dim]) -> Shape {
        std::iter::once(&self.size).chain(shape).cloned().collect()
    }

    /// The value of a node for each element; one that all share is repeated.
    pub(super) fn batched(&self, number: usize) -> Expr {
        let made = self.made(number);
        if self.levels.is_batched(number) {
            return made.clone();
        }
        self.build(Node::Broadcast(self.behind(made.dims()), made.clone()))
    }

    /// A parameter that occurs nowhere yet.
    pub(super) fn parameter(&self, ty: Type) -> Expr {
        self.build(Node::Parameter(InputId::new(), ty))
    }
}
