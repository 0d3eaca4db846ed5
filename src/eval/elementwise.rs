//! Elementwise nodes: one scalar function applied at every position, operands broadcast.

use crate::array::Array;
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};

use super::views::{Positions, broadcast_strides};

/// Applies `compute` at each position of a shape that the operands broadcast to.
pub(super) fn map<const N: usize>(
    name: &str,
    operands: &[Array; N],
    dtype: DType,
    shape: &[usize],
    compute: impl Fn([Scalar; N]) -> Option<Scalar>,
) -> Result<Array> {
    let mut walks = Vec::with_capacity(N);
    for operand in operands {
        walks.push(Positions::new(shape, &broadcast_strides(operand.shape(), shape)?, 0));
    }
    let mut result = Array::zeros(dtype, shape)?;
    for position in 0..result.len() {
        // Each walk has as many positions as the result.
        let elements = std::array::from_fn(|i| operands[i].get(walks[i].next().unwrap_or_default()));
        let value = compute(elements).filter(|value| value.dtype() == dtype);
        let value = value.ok_or_else(|| Error::Internal(format!("`{name}` is not defined for its operands")))?;
        result.set(position, value);
    }
    Ok(result)
}
