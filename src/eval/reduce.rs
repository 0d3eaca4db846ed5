//! Reductions, in exactly the merge order that `ops::reduction` defines.

use smallvec::SmallVec;

use crate::array::Array;
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::ops::reduction::{BLOCK, Builder, LANES, State};
use crate::ops::{BinaryOp, ReduceOp, TernaryOp};
use crate::shape::row_major_strides;

use super::views::Positions;

/// Reduces over some axes, which vanish.
pub(super) fn reduce(op: ReduceOp, axes: &[u32], x: &Array) -> Result<Array> {
    let strides = row_major_strides(x.shape());
    let (reduced, kept): (Vec<usize>, Vec<usize>) = (0..x.rank()).partition(|&axis| axes.contains(&(axis as u32)));
    let sizes = |axes: &[usize]| axes.iter().map(|&axis| x.shape()[axis]).collect::<SmallVec<[usize; 4]>>();
    let steps = |axes: &[usize]| axes.iter().map(|&axis| strides[axis]).collect::<SmallVec<[isize; 4]>>();
    let (inner_sizes, inner_steps) = (sizes(&reduced), steps(&reduced));
    let mut result = Array::zeros(op.result(x.dtype()), &sizes(&kept))?;
    for (position, start) in Positions::new(&sizes(&kept), &steps(&kept), 0).enumerate() {
        let elements = Positions::new(&inner_sizes, &inner_steps, start as isize).map(|at| x.get(at));
        let value = reduce_elements(op, x.dtype(), elements)?;
        result.set(position, value);
    }
    Ok(result)
}

/// One reduction: the elements in their order.
pub(super) fn reduce_elements(op: ReduceOp, dtype: DType, elements: impl Iterator<Item = Scalar>) -> Result<Scalar> {
    let mut builder = Immediate { undefined: None };
    let value = in_order(op, dtype, &mut builder, elements);
    match builder.undefined {
        Some(name) => Err(Error::Internal(format!("`{op}` of {dtype} uses `{name}`, which is not defined for it"))),
        None => Ok(value),
    }
}

/// One reduction of elements of a dtype, computed by a builder in the order of the definition.
pub fn in_order<B: Builder>(
    op: ReduceOp,
    dtype: DType,
    builder: &mut B,
    elements: impl Iterator<Item = B::Value>,
) -> B::Value {
    let state = Order { op, dtype, builder }.run(elements);
    op.finish(&state)
}

/// Computes at once what a row writes.
struct Immediate {
    /// The first op that is not defined for its operands.
    undefined: Option<&'static str>,
}

impl Builder for Immediate {
    type Value = Scalar;

    fn constant(&mut self, value: Scalar) -> Scalar {
        value
    }

    fn binary(&mut self, op: BinaryOp, a: Scalar, b: Scalar) -> Scalar {
        op.apply(a, b).unwrap_or_else(|| {
            self.undefined.get_or_insert(op.row().name);
            a
        })
    }

    fn ternary(&mut self, op: TernaryOp, a: Scalar, b: Scalar, c: Scalar) -> Scalar {
        op.apply(a, b, c).unwrap_or_else(|| {
            self.undefined.get_or_insert(op.row().name);
            b
        })
    }

    fn cast(&mut self, dtype: DType, value: Scalar) -> Scalar {
        value.cast(dtype)
    }
}

/// The merge order over blocks and lanes.
struct Order<'b, B: Builder> {
    op: ReduceOp,
    dtype: DType,
    builder: &'b mut B,
}

impl<B: Builder> Order<'_, B> {
    /// The state of no elements.
    fn init(&mut self) -> State<B::Value> {
        self.op.init(self.dtype).into_iter().map(|value| self.builder.constant(value)).collect()
    }

    fn run(&mut self, elements: impl Iterator<Item = B::Value>) -> State<B::Value> {
        let mut elements = elements.enumerate().peekable();
        let mut states: Vec<State<B::Value>> = Vec::new();
        for block in 0_usize.. {
            if elements.peek().is_none() {
                break;
            }
            let state = self.block(elements.by_ref().take(BLOCK));
            states.push(state);
            for _ in 0..block.trailing_ones() {
                self.merge_newest(&mut states);
            }
        }
        while states.len() > 1 {
            self.merge_newest(&mut states);
        }
        states.pop().unwrap_or_else(|| self.init())
    }

    /// Element `i` goes to lane `i mod LANES`; then the lanes are merged as a halving tree.
    fn block(&mut self, elements: impl Iterator<Item = (usize, B::Value)>) -> State<B::Value> {
        let mut lanes = vec![self.init(); LANES];
        for (position, element) in elements {
            let number = self.builder.constant(Scalar::I64(position as i64));
            let lifted = self.op.lift(self.builder, self.dtype, element, number);
            // A block starts at a multiple of BLOCK, which is one of LANES.
            let lane = position % LANES;
            lanes[lane] = self.merge(&lanes[lane], &lifted);
        }
        let mut half = LANES / 2;
        while half > 0 {
            for lane in 0..half {
                lanes[lane] = self.merge(&lanes[lane], &lanes[lane + half]);
            }
            half /= 2;
        }
        lanes.swap_remove(0)
    }

    fn merge_newest(&mut self, states: &mut Vec<State<B::Value>>) {
        if let (Some(newer), Some(older)) = (states.pop(), states.pop()) {
            let merged = self.merge(&older, &newer);
            states.push(merged);
        }
    }

    fn merge(&mut self, left: &State<B::Value>, right: &State<B::Value>) -> State<B::Value> {
        self.op.merge(self.builder, self.dtype, left, right)
    }
}
