//! What a function gives, and the memory it is to write it to.
//!
//! A place on the host is raw memory that it borrows exclusively: its bytes are initialised, and no two of its elements
//! share an address. A place on a device is memory that the call may write to, or an array that is given new memory
//! when the call is done.

use std::fmt;
use std::marker::PhantomData;

use smallvec::SmallVec;

#[cfg(feature = "gpu")]
use crate::backend::gpu::DeviceMemory;
use crate::dtype::{DType, Element};
use crate::error::{Error, Result};
use crate::runtime::arg::described;
use crate::runtime::donor::Donor;
use crate::runtime::memory::Memory;
use crate::runtime::site::Site;

/// What a function gives as one of its outputs.
#[derive(Debug, Clone, Copy)]
pub struct OutputSpec<'a> {
    /// What errors call it; empty for `output` and its number.
    pub title: &'a str,
    /// The dtype.
    pub dtype: DType,
    /// The sizes, outermost first. A check of types looks only at their number.
    pub shape: &'a [usize],
    /// Where it is computed.
    pub site: &'a Site,
    /// An argument of the call that may become this output: the kernel that writes it reads the same element only.
    pub donor: Option<&'a Donor>,
}

impl OutputSpec<'_> {
    /// The output as errors name it.
    pub(super) fn title(&self, index: usize) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| match self.title {
            "" => write!(f, "output {index}"),
            title => f.write_str(title),
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

    /// The error for a caller that asks a function of the host for an array on a device.
    #[cfg(feature = "gpu")]
    pub(super) fn not_on_a_device(&self, index: usize) -> Error {
        Error::Argument(format!(
            "{} is made on the host; the caller asked for a `DeviceArray`; name `kroton::Array`, or compile for \
             Device::Gpu",
            self.title(index)
        ))
    }
}

/// Where the memory of a place is.
#[derive(Debug)]
enum Target<'b> {
    /// The address of the element at index zero of every axis. Safe code can hold a place; the memory must outlive it, and
    /// nobody else may use it meanwhile.
    Host(*mut u8, PhantomData<&'b mut ()>),
    #[cfg(feature = "gpu")]
    Device(DevicePlace<'b>),
}

/// A place on a device, row-major.
#[cfg(feature = "gpu")]
#[derive(Debug)]
pub enum DevicePlace<'b> {
    /// Memory that nobody else holds.
    Own(&'b DeviceMemory),
    /// The memory of an array, which others may share and which is replaced when the call is done.
    Replaced(&'b mut DeviceMemory),
}

/// Memory that an output is written to.
#[derive(Debug)]
pub struct OutPlace<'b> {
    dtype: DType,
    target: Target<'b>,
    shape: SmallVec<[usize; 6]>,
    strides: SmallVec<[isize; 6]>,
}

impl<'b> OutPlace<'b> {
    #[inline]
    pub(super) fn new<T: Element>(pointer: *mut T, shape: &[usize], strides: &[isize]) -> OutPlace<'b> {
        OutPlace::of_dtype(T::DTYPE, pointer.cast(), shape, strides)
    }

    #[inline]
    pub(crate) fn of_dtype(dtype: DType, pointer: *mut u8, shape: &[usize], strides: &[isize]) -> OutPlace<'b> {
        OutPlace::made(dtype, Target::Host(pointer, PhantomData), shape, strides)
    }

    /// A place on a device, which is row-major.
    #[cfg(feature = "gpu")]
    pub(super) fn on_device(dtype: DType, place: DevicePlace<'b>, shape: &[usize], strides: &[isize]) -> OutPlace<'b> {
        OutPlace::made(dtype, Target::Device(place), shape, strides)
    }

    #[inline]
    fn made(dtype: DType, target: Target<'b>, shape: &[usize], strides: &[isize]) -> OutPlace<'b> {
        OutPlace { dtype, target, shape: few(shape), strides: few(strides) }
    }

    /// The same place, for a shorter time.
    #[inline]
    pub(super) fn reborrow(&mut self) -> OutPlace<'_> {
        let target = match &mut self.target {
            Target::Host(pointer, _) => Target::Host(*pointer, PhantomData),
            #[cfg(feature = "gpu")]
            Target::Device(DevicePlace::Own(memory)) => Target::Device(DevicePlace::Own(memory)),
            #[cfg(feature = "gpu")]
            Target::Device(DevicePlace::Replaced(memory)) => Target::Device(DevicePlace::Replaced(memory)),
        };
        OutPlace { dtype: self.dtype, target, shape: few(&self.shape), strides: few(&self.strides) }
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The sizes, outermost first.
    #[inline]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The steps along each axis, in elements.
    #[inline]
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// The memory of a place on the host; none for one on a device.
    #[inline]
    pub fn host(&self) -> Option<Memory<'_>> {
        match &self.target {
            Target::Host(pointer, _) => {
                Some(Memory { pointer: *pointer, dtype: self.dtype, shape: &self.shape, strides: &self.strides })
            }
            #[cfg(feature = "gpu")]
            Target::Device(_) => None,
        }
    }

    /// The memory of a place that is on the host.
    ///
    /// # Errors
    /// `Internal` for one on a device, which `Function` hands to no program of the host.
    #[inline]
    pub fn on_host(&self) -> Result<Memory<'_>> {
        self.host().ok_or_else(|| Error::Internal("a program of the host writes to a device".to_string()))
    }

    /// A place on a device; none for one on the host.
    #[cfg(feature = "gpu")]
    pub fn device(&mut self) -> Option<&mut DevicePlace<'b>> {
        match &mut self.target {
            Target::Host(..) => None,
            Target::Device(place) => Some(place),
        }
    }

    /// Checks that the place can take an output.
    ///
    /// # Errors
    /// `Argument`, naming the output, what it is and what the place is.
    pub fn fit(&self, index: usize, spec: &OutputSpec<'_>) -> Result<()> {
        if self.dtype != spec.dtype || self.shape() != spec.shape {
            return Err(Error::Argument(format!(
                "{} is {} of shape {:?}; the place given for it is {} of shape {:?}",
                spec.title(index),
                spec.dtype,
                spec.shape,
                self.dtype,
                self.shape()
            )));
        }
        match (&self.target, spec.site) {
            #[cfg(feature = "gpu")]
            (Target::Device(_), Site::Host) => Err(spec.not_on_a_device(index)),
            _ => Ok(()),
        }
    }
}

/// A copy of some numbers, element by element, since so few are not worth a call of `memcpy`.
#[inline]
fn few<T: Copy>(numbers: &[T]) -> SmallVec<[T; 6]>
where
    [T; 6]: smallvec::Array<Item = T>,
{
    let mut copy = SmallVec::new();
    for &number in numbers {
        copy.push(number);
    }
    copy
}
