//! What each node becomes when some of its operands are batched: the same node one axis further in.
//!
//! Matrix products have two axes, so a batch of them is one product of a taller matrix where the other factor is shared.
//! Two batches of matrices are multiplied one after the other, in a loop, as functions of the host are called: measured on
//! one core, that is 5 times as fast as sums of products of elements for matrices of 8 × 8, and 13 times for 64 × 64. For
//! vectors and the smallest matrices such sums are at least as fast, take all cores, and are one kernel.

use crate::batching::Batching;
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::graph::{Loop, Node, Region, SliceRange};
use crate::ops::{BinaryOp, ReduceOp};
use crate::shape::{Dim, Shape, element_count};

impl Batching<'_> {
    /// What a node that is batched, or made anew, becomes over what its operands became.
    ///
    /// # Errors
    /// `Internal` for nodes that are never made of anything.
    pub(super) fn remade(&self, number: usize) -> Result<Expr> {
        let entry = &self.order.entries[number];
        let (node, operands) = (entry.expr.node(), entry.operands.as_slice());
        let remade = match node {
            Node::Project(index, _) => return Ok(self.projection(number, *index as usize, operands[0])),
            node if !self.levels.is_batched(number) => self.over(node, operands, |operand| self.made(operand).clone()),
            Node::Unary(..) | Node::Binary(..) | Node::Ternary(..) | Node::Cast(..) => self.elementwise(node, operands),
            Node::Reduce(op, axes, _) => {
                Node::Reduce(*op, axes.iter().map(|axis| axis + 1).collect(), self.made(operands[0]).clone())
            }
            Node::Permute(order, _) => {
                let order = std::iter::once(0).chain(order.iter().map(|axis| axis + 1)).collect();
                Node::Permute(order, self.made(operands[0]).clone())
            }
            Node::Reshape(shape, _) => Node::Reshape(self.behind(shape), self.made(operands[0]).clone()),
            Node::Broadcast(shape, _) => {
                Node::Broadcast(self.behind(shape), self.align(self.made(operands[0]), shape.len()))
            }
            Node::Slice(ranges, _) => slice(ranges, self.made(operands[0])),
            Node::Concat(axis, _) => Node::Concat(axis + 1, operands.iter().map(|&part| self.batched(part)).collect()),
            Node::MatMul(_) => return Ok(self.matmul(operands[0], operands[1])),
            // What it waits for may differ between elements where the value does not.
            Node::Barrier(_) => Node::Barrier([self.batched(operands[0]), self.made(operands[1]).clone()]),
            Node::Custom(custom, _) => {
                return Ok(self.one_by_one(operands, |own| Node::Custom(custom.clone(), own)));
            }
            Node::Input(_)
            | Node::Parameter(..)
            | Node::Scalar(_)
            | Node::Dense(_)
            | Node::Iota(_)
            | Node::Size(_)
            | Node::Loop(_) => return Err(Error::Internal(format!("`{}` in a batch", node.name()))),
        };
        Ok(self.build(remade))
    }

    /// A node over other operands.
    fn over(&self, node: &Node<Expr>, operands: &[usize], become_of: impl Fn(usize) -> Expr) -> Node<Expr> {
        let mut operands = operands.iter();
        node.map(|old| operands.next().map_or_else(|| old.clone(), |&operand| become_of(operand)))
    }

    /// Batched operands in one rank, so that the axis of the batch is the first of all.
    fn elementwise(&self, node: &Node<Expr>, operands: &[usize]) -> Node<Expr> {
        let rank = operands.iter().map(|&operand| self.rank(operand)).max().unwrap_or(0);
        self.over(node, operands, |operand| match self.levels.is_batched(operand) {
            true => self.align(self.made(operand), rank),
            false => self.made(operand).clone(),
        })
    }

    fn matmul(&self, left: usize, right: usize) -> Expr {
        let (a, b) = (self.made(left), self.made(right));
        match (self.levels.is_batched(left), self.levels.is_batched(right)) {
            (true, true) if is_small(a, b) => self.sums_of_products(a, b),
            (true, true) => self.one_by_one(&[left, right], |own| Node::MatMul([own[0].clone(), own[1].clone()])),
            (true, false) => self.taller(a, b),
            // (A · B)ᵀ = Bᵀ · Aᵀ, so that the batch is more rows again.
            (false, _) => {
                let [a, b] = [self.permute(a, [1, 0]), self.permute(b, [0, 2, 1])];
                self.permute(&self.taller(&b, &a), [0, 2, 1])
            }
        }
    }

    /// A batch of matrices times one matrix: their rows below each other.
    fn taller(&self, a: &Expr, b: &Expr) -> Expr {
        let rows = element_count(&a.dims()[..2]);
        let tall = self.reshape(a, Shape::from_iter([rows, a.dims()[2].clone()]));
        let product = self.build(Node::MatMul([tall, b.clone()]));
        self.reshape(&product, a.dims()[..2].iter().chain(&b.dims()[1..]).cloned().collect())
    }

    /// The products of two batches of matrices, each factor beside the other's rows or columns.
    fn sums_of_products(&self, a: &Expr, b: &Expr) -> Expr {
        let (mut left, mut right) = (a.dims().clone(), b.dims().clone());
        left.push(Dim::ONE);
        right.insert(1, Dim::ONE);
        let factors = [self.reshape(a, left), self.reshape(b, right)];
        let dtype = a.dtype();
        let (times, plus) = match dtype {
            DType::Bool => (BinaryOp::And, ReduceOp::Any),
            _ => (BinaryOp::Mul, ReduceOp::Sum),
        };
        let products = self.build(Node::Binary(times, factors));
        let sum = self.build(Node::Reduce(plus, smallvec::smallvec![2], products));
        // Integers wrap, in a wider sum too.
        if sum.dtype() == dtype { sum } else { self.build(Node::Cast(dtype, sum)) }
    }

    /// A node for one element after the other: a loop along the batch.
    fn one_by_one(&self, operands: &[usize], node: impl FnOnce(Vec<Expr>) -> Node<Expr>) -> Expr {
        let (mut sequences, mut rows, mut own) = (Vec::new(), Vec::new(), Vec::new());
        for &operand in operands {
            if self.levels.is_batched(operand) {
                sequences.push(self.made(operand).clone());
                rows.push(self.parameter(self.order.entries[operand].expr.ty().clone()));
                own.extend(rows.last().cloned());
            } else {
                own.push(self.made(operand).clone());
            }
        }
        let element = self.build(node(own));
        // A loop carries a state, if only for form's sake.
        let nothing = self.build(Node::Scalar(Scalar::Bool(false)));
        let state = self.parameter(nothing.ty().clone());
        let parameters = std::iter::once(state.clone()).chain(rows).collect();
        let body = Region { parameters, results: vec![state, element] };
        let elements = Loop { count: None, guarded: false, initial: vec![nothing], sequences, body };
        self.build(Node::Project(1, self.build(Node::Loop(Box::new(elements)))))
    }

    /// The rank of a node as it was.
    pub(super) fn rank(&self, number: usize) -> usize {
        self.order.entries[number].expr.rank()
    }
}

/// Up to this many multiplications, sums of products beat a step of a loop.
const FEW_PRODUCTS: i64 = 64;

/// Whether one of two factors is known to be a vector, or both to be small matrices.
fn is_small(a: &Expr, b: &Expr) -> bool {
    let sizes = [&a.dims()[1], &a.dims()[2], &b.dims()[2]].map(Clone::clone);
    sizes.iter().any(Dim::is_one) || element_count(&sizes).constant().is_some_and(|count| count <= FEW_PRODUCTS)
}

fn slice(ranges: &[SliceRange], x: &Expr) -> Node<Expr> {
    let mut all = x.whole_ranges();
    all.truncate(1);
    all.extend(ranges.iter().cloned());
    Node::Slice(all, x.clone())
}
