//! The matrix product: the sum over k in order from zero, each product and each sum rounded.

use crate::array::Array;
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::ops::BinaryOp;

/// The product of two arrays of rank 2; of bools, whether any pair is true.
pub(super) fn matmul(a: &Array, b: &Array) -> Result<Array> {
    let (&[rows, inner], &[other, columns]) = (a.shape(), b.shape()) else {
        return Err(Error::Internal(format!("`matmul` of {:?} and {:?}", a.shape(), b.shape())));
    };
    if inner != other {
        return Err(Error::Shape(format!("`matmul`: {inner} columns meet {other} rows")));
    }
    let dtype = a.dtype();
    let mut result = Array::zeros(dtype, &[rows, columns])?;
    for position in 0..result.len() {
        let (row, column) = (position / columns, position % columns);
        let mut sum = Scalar::I64(0).cast(dtype);
        for k in 0..inner {
            sum = add_product(dtype, sum, a.get(row * inner + k), b.get(k * columns + column))?;
        }
        result.set(position, sum);
    }
    Ok(result)
}

fn add_product(dtype: DType, sum: Scalar, a: Scalar, b: Scalar) -> Result<Scalar> {
    let (times, plus) =
        if dtype == DType::Bool { (BinaryOp::And, BinaryOp::Or) } else { (BinaryOp::Mul, BinaryOp::Add) };
    (times.apply(a, b))
        .and_then(|product| plus.apply(sum, product))
        .ok_or_else(|| Error::Internal(format!("`matmul` is not defined for {dtype}")))
}
