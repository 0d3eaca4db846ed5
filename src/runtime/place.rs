//! What a function gives, and the memory it is to write it to.
//!
//! A place is raw memory that it borrows exclusively: its bytes are initialised, and no two of its elements share an
//! address.

use std::fmt;
use std::marker::PhantomData;

use smallvec::SmallVec;

use crate::dtype::{DType, Element};
use crate::error::{Error, Result};
use crate::runtime::arg::described;

/// What a function gives as one of its outputs.
#[derive(Debug, Clone, Copy)]
pub struct OutputSpec<'a> {
    /// The name, empty if it has none.
    pub name: &'a str,
    /// The dtype.
    pub dtype: DType,
    /// The sizes, outermost first. A check of types looks only at their number.
    pub shape: &'a [usize],
}

impl OutputSpec<'_> {
    /// The output as errors name it.
    pub(super) fn title(&self, index: usize) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| match self.name {
            "" => write!(f, "output {index}"),
            name => write!(f, "output {index} (`{name}`)"),
        })
    }

    /// The error for a caller that asks for another dtype or rank.
    pub(super) fn refused(&self, index: usize, dtype: DType, asked: impl fmt::Display) -> Error {
        let rank = self.shape.len();
        let (own, element) = (described(self.dtype, rank), self.dtype);
        let advice = match rank {
            0 => format!("`{element}`"),
            1 => format!("`Vec<{element}>` or `ndarray::Array1<{element}>`"),
            2..=6 => format!("`ndarray::Array{rank}<{element}>`"),
            _ => format!("`ndarray::ArrayD<{element}>`"),
        };
        Error::Argument(format!(
            "{} is {own}; the caller asked for {dtype} of {asked}; name {advice}, or `kroton::Array` for any",
            self.title(index)
        ))
    }
}

/// Memory that an output is written to.
#[derive(Debug)]
pub struct OutPlace<'b> {
    dtype: DType,
    pointer: *mut u8,
    shape: SmallVec<[usize; 6]>,
    strides: SmallVec<[isize; 6]>,
    /// Safe code can hold a place; the memory must outlive it, and nobody else may use it meanwhile.
    borrowed: PhantomData<&'b mut ()>,
}

impl<'b> OutPlace<'b> {
    pub(super) fn new<T: Element>(pointer: *mut T, shape: &[usize], strides: &[isize]) -> OutPlace<'b> {
        OutPlace::of_dtype(T::DTYPE, pointer.cast(), shape, strides)
    }

    pub(super) fn of_dtype(dtype: DType, pointer: *mut u8, shape: &[usize], strides: &[isize]) -> OutPlace<'b> {
        let (shape, strides) = (SmallVec::from_slice(shape), SmallVec::from_slice(strides));
        OutPlace { dtype, pointer, shape, strides, borrowed: PhantomData }
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The address of the element at index zero of every axis.
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.pointer
    }

    /// The sizes, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The steps along each axis, in elements.
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// Checks that the place can take an output.
    ///
    /// # Errors
    /// `Argument`, naming the output, what it is and what the place is.
    pub fn fit(&self, index: usize, spec: &OutputSpec<'_>) -> Result<()> {
        if self.dtype == spec.dtype && self.shape() == spec.shape {
            return Ok(());
        }
        Err(Error::Argument(format!(
            "{} is {} of shape {:?}; the place given for it is {} of shape {:?}",
            spec.title(index),
            spec.dtype,
            spec.shape,
            self.dtype,
            self.shape()
        )))
    }
}
