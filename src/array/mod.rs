//! Host arrays whose dtype is known at run time.
//!
//! An [`Array`] is contiguous, row-major and cheap to clone; its memory comes from a pool and goes back there
//! when the last clone is dropped. It knows dtypes and nothing of graphs, engines or functions.

mod block;
mod convert;
#[cfg(feature = "files")]
pub mod file;

pub use block::{Block, pool_bytes};

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::dtype::{DType, Element, Scalar, with_element};
use crate::error::{Error, Result};
use crate::shape::{byte_size, row_major_strides};

/// A dense array of any dtype and rank.
///
/// ```
/// let a = kroton::Array::from_slice(&[1.0, 2.0, 3.0]);
/// assert_eq!(a.shape(), [3]);
/// assert_eq!(a.as_slice::<f64>()?, [1.0, 2.0, 3.0]);
/// # Ok::<(), kroton::Error>(())
/// ```
#[derive(Clone)]
pub struct Array {
    dtype: DType,
    shape: SmallVec<[usize; 4]>,
    strides: SmallVec<[isize; 4]>,
    block: Arc<Block>,
}

impl Array {
    /// An array of zeros (false for bool).
    ///
    /// # Errors
    /// `Memory` if the size overflows or the memory cannot be had.
    pub fn zeros(dtype: DType, shape: &[usize]) -> Result<Array> {
        let mut array = Array::uninitialized(dtype, shape)?;
        array.bytes_mut().fill(0);
        Ok(array)
    }

    /// An array whose elements are unspecified but valid.
    ///
    /// # Errors
    /// `Memory` if the size overflows or the memory cannot be had.
    pub(crate) fn uninitialized(dtype: DType, shape: &[usize]) -> Result<Array> {
        let mut block = Block::new(byte_size(shape, dtype.size())?)?;
        if dtype == DType::Bool {
            // Recycled bytes need not be 0 or 1.
            block.bytes_mut().fill(0);
        }
        Ok(Array::from_block(dtype, shape, block))
    }

    /// An array of rank 1 with a copy of these elements.
    pub fn from_slice<T: Element>(values: &[T]) -> Array {
        Array::from_elements(&[values.len()], values.iter().copied())
    }

    /// An array of rank 0.
    pub fn from_scalar(value: Scalar) -> Array {
        with_element!(value.dtype(), T => Array::from_elements(&[], T::from_scalar(value)))
    }

    /// An array of this shape from its elements in row-major order; missing ones are zero.
    fn from_elements<T: Element>(shape: &[usize], values: impl IntoIterator<Item = T>) -> Array {
        // A view that repeats elements may have more than any memory holds; no block is that large.
        let mut block = Block::for_existing(byte_size(shape, size_of::<T>()).unwrap_or(usize::MAX));
        // Recycled memory holds what was there before, which need not be zero, nor a bool.
        block.bytes_mut().fill(0);
        for (place, value) in block.elements_mut::<T>().iter_mut().zip(values) {
            *place = value;
        }
        Array::from_block(T::DTYPE, shape, block)
    }

    fn from_block(dtype: DType, shape: &[usize], block: Block) -> Array {
        let strides = row_major_strides(shape);
        Array { dtype, shape: SmallVec::from_slice(shape), strides, block: Arc::new(block) }
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The sizes, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The steps along each axis, in elements: always row-major.
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.block.byte_len() / self.dtype.size()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements in row-major order.
    ///
    /// # Errors
    /// `Argument` if `T` is not the dtype.
    pub fn as_slice<T: Element>(&self) -> Result<&[T]> {
        self.expect::<T>()?;
        Ok(self.block.elements())
    }

    /// The elements in row-major order, to write to; a shared array is copied first.
    ///
    /// # Errors
    /// `Argument` if `T` is not the dtype.
    pub fn as_mut_slice<T: Element>(&mut self) -> Result<&mut [T]> {
        self.expect::<T>()?;
        Ok(self.unique_block().elements_mut())
    }

    fn expect<T: Element>(&self) -> Result<()> {
        if T::DTYPE == self.dtype {
            return Ok(());
        }
        Err(Error::Argument(format!(
            "the array holds {}, not {}; name that type or convert with `cast`",
            self.dtype,
            T::DTYPE
        )))
    }

    /// The element at a row-major position.
    pub(crate) fn get(&self, position: usize) -> Scalar {
        with_element!(self.dtype, T => self.block.elements::<T>()[position].to_scalar())
    }

    /// Sets the element at a row-major position to a value of the array's dtype.
    pub(crate) fn set(&mut self, position: usize, value: Scalar) {
        with_element!(self.dtype, T => {
            if let Some(value) = T::from_scalar(value) {
                self.unique_block().elements_mut::<T>()[position] = value;
            }
        });
    }

    /// Where the elements are. Whoever writes there must know that nobody else looks.
    #[inline]
    pub(crate) fn address(&self) -> *mut u8 {
        self.block.address()
    }

    /// Where the elements are, if no clone of this array exists.
    #[inline]
    pub(crate) fn own_address(&mut self) -> Option<*mut u8> {
        Arc::get_mut(&mut self.block).map(|block| block.address())
    }

    /// The elements as bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.block.bytes()
    }

    /// The elements as bytes, to write to. Only valid bit patterns of the dtype may be written.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.unique_block().bytes_mut()
    }

    /// Whether no clone of this array exists.
    pub(crate) fn is_unique(&self) -> bool {
        Arc::strong_count(&self.block) == 1
    }

    /// The same elements in another shape of the same number of elements.
    ///
    /// # Errors
    /// `Shape` if the numbers of elements differ.
    pub fn reshape(self, shape: &[usize]) -> Result<Array> {
        if byte_size(shape, self.dtype.size())? != self.block.byte_len() {
            return Err(Error::Shape(format!("an array of shape {:?} cannot take the shape {shape:?}", self.shape())));
        }
        Ok(Array { shape: SmallVec::from_slice(shape), strides: row_major_strides(shape), ..self })
    }

    /// The block as this array's alone, copied if others share it.
    fn unique_block(&mut self) -> &mut Block {
        Arc::make_mut(&mut self.block)
    }
}

/// Equal dtype, shape and elements, where a NaN equals nothing, as for floats.
impl PartialEq for Array {
    fn eq(&self, other: &Array) -> bool {
        self.dtype == other.dtype
            && self.shape == other.shape
            && with_element!(self.dtype, T => self.block.elements::<T>() == other.block.elements::<T>())
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 16;
        write!(f, "Array<{}>{:?} [", self.dtype, self.shape())?;
        for position in 0..self.len().min(SHOWN) {
            write!(f, "{}{}", if position > 0 { ", " } else { "" }, self.get(position))?;
        }
        write!(f, "{}]", if self.len() > SHOWN { ", …" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_to_a_clone_leaves_the_original() {
        let a = Array::from_slice(&[1_i32, 2]);
        let mut b = a.clone();
        b.as_mut_slice::<i32>().unwrap()[0] = 9;
        assert_eq!(a.as_slice::<i32>().unwrap(), [1, 2]);
        assert_eq!(b.as_slice::<i32>().unwrap(), [9, 2]);
    }

    #[test]
    fn wrong_dtype_and_shape_are_errors() {
        let a = Array::from_slice(&[1_i32, 2]);
        assert!(a.as_slice::<f64>().unwrap_err().to_string().contains("holds i32, not f64"));
        assert!(a.reshape(&[3]).is_err());
        assert!(Array::zeros(DType::F64, &[usize::MAX, 2]).is_err());
        assert!(Array::zeros(DType::F64, &[1 << 60]).is_err());
    }

    #[test]
    fn recycled_memory_is_cleared_where_it_becomes_bools() {
        const COUNT: usize = 777_777;
        let mut bytes = Array::zeros(DType::U8, &[COUNT]).unwrap();
        bytes.bytes_mut().fill(0xAA);
        drop(bytes);
        let truths = Array::uninitialized(DType::Bool, &[COUNT]).unwrap();
        assert!(truths.bytes().iter().all(|&byte| byte <= 1));
    }

    #[test]
    fn rank_zero_and_empty() {
        let a = Array::from_scalar(Scalar::F32(2.5));
        assert_eq!((a.rank(), a.len(), a.get(0)), (0, 1, Scalar::F32(2.5)));
        assert!(Array::zeros(DType::U8, &[0, usize::MAX]).unwrap().is_empty());
    }
}
