//! One argument of a call: a borrowed view of any dtype, shape and strides, or a single value.
//!
//! An `Arg` is `Copy` and owns nothing; making one allocates nothing. What is passed by reference lends its shape
//! and strides; a view passed by value keeps up to [`INLINE_AXES`] of them inline. An array of rank 0 is read when
//! the `Arg` is made, so that every rank-0 argument carries its value. Strides are in elements, of any sign, and the
//! address is that of the element at index zero of every axis.

use std::marker::PhantomData;
use std::ptr;

use ndarray::{ArrayBase, ArrayRef, ArrayView, Data, Dimension};

use crate::array::Array;
use crate::dtype::{DType, Element, Scalar};
use crate::error::{Error, Result};
#[cfg(feature = "gpu")]
use crate::runtime::DeviceArray;
use crate::runtime::donor::Donor;
use crate::runtime::memory::{Memory, Operand};

/// The highest rank of a view that is passed by value.
pub const INLINE_AXES: usize = 6;

/// A borrowed argument of a call.
///
/// Made by `Arg::from` of scalars, slices, arrays, `&Vec`, ndarray arrays and views, `&kroton::Array` and
/// `&kroton::DeviceArray`. Needed where the number of arguments is known at run time only; else a call takes a tuple.
///
/// ```
/// use kroton::{Arg, Expr, compile, scalar};
/// let inputs: Vec<Expr> = (0..3).map(|i| scalar::<f64>(&format!("x{i}"))).collect();
/// let sum = inputs.iter().fold(kroton::constant(0.0), |sum, x| sum + x);
/// let args: Vec<Arg> = (0..3).map(|i| Arg::from(f64::from(i))).collect();
/// assert_eq!(compile(&inputs, sum)?.call::<f64>(&args)?, 3.0);
/// # Ok::<(), kroton::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Arg<'a> {
    dtype: DType,
    content: Content<'a>,
    layout: Layout<'a>,
    /// What owns it, if a result may be made of it.
    donor: Option<&'a Donor>,
}

#[derive(Debug, Clone, Copy)]
enum Content<'a> {
    /// A Rust scalar passed by value, which yields to the dtype of the parameter.
    Weak(Scalar),
    /// A value of rank 0.
    Value(Scalar),
    /// The address of the first element.
    Memory(*const u8, PhantomData<&'a ()>),
    /// An array on a device, of any rank.
    #[cfg(feature = "gpu")]
    Device(&'a DeviceArray),
}

#[derive(Debug, Clone, Copy)]
enum Layout<'a> {
    /// Rank 1.
    Row {
        len: usize,
        stride: isize,
    },
    Borrowed {
        shape: &'a [usize],
        strides: &'a [isize],
    },
    Inline {
        rank: usize,
        shape: [usize; INLINE_AXES],
        strides: [isize; INLINE_AXES],
    },
    TooManyAxes(usize),
}

// SAFETY: an `Arg` only reads memory that it borrows for `'a`, of element types that are `Send` and `Sync`.
unsafe impl Send for Arg<'_> {}
// SAFETY: as above.
unsafe impl Sync for Arg<'_> {}

/// What an argument must be.
#[derive(Debug, Clone, Copy)]
pub struct Parameter<'a> {
    /// The number of the input, from 0.
    pub index: usize,
    /// Its name.
    pub name: &'a str,
    /// Its dtype.
    pub dtype: DType,
    /// Its rank.
    pub rank: usize,
}

impl<'a> Arg<'a> {
    /// The dtype of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The sizes, outermost first.
    #[inline]
    pub fn shape(&self) -> &[usize] {
        match &self.layout {
            Layout::Row { len, .. } => std::slice::from_ref(len),
            Layout::Borrowed { shape, .. } => shape,
            Layout::Inline { rank, shape, .. } => &shape[..*rank],
            Layout::TooManyAxes(_) => &[],
        }
    }

    /// The steps along each axis, in elements.
    #[doc(hidden)]
    #[inline]
    pub fn strides(&self) -> &[isize] {
        match &self.layout {
            Layout::Row { stride, .. } => std::slice::from_ref(stride),
            Layout::Borrowed { strides, .. } => strides,
            Layout::Inline { rank, strides, .. } => &strides[..*rank],
            Layout::TooManyAxes(_) => &[],
        }
    }

    /// The number of axes.
    #[inline]
    pub fn rank(&self) -> usize {
        match self.layout {
            Layout::Row { .. } => 1,
            Layout::Borrowed { shape, .. } => shape.len(),
            Layout::Inline { rank, .. } | Layout::TooManyAxes(rank) => rank,
        }
    }

    /// Where the elements are; of rank 0 on the host, inside this `Arg`. The dtype is that of the parameter, which a
    /// scalar passed by value has yet to be converted to.
    #[inline]
    pub(super) fn operand(&self, dtype: DType) -> Operand<'_> {
        let pointer = match &self.content {
            Content::Weak(value) | Content::Value(value) => address(value),
            Content::Memory(pointer, _) => *pointer,
            #[cfg(feature = "gpu")]
            Content::Device(array) => return Operand::Device(array),
        };
        let (shape, strides) = (self.shape(), self.strides());
        Operand::Host(Memory { pointer: pointer.cast_mut(), dtype, shape, strides })
    }

    /// The address of the first element of an argument in the memory of the host; none of one of rank 0.
    #[inline]
    pub(super) fn pointer(&self) -> Option<*const u8> {
        match self.content {
            Content::Memory(pointer, _) => Some(pointer),
            Content::Weak(_) | Content::Value(_) => None,
            #[cfg(feature = "gpu")]
            Content::Device(_) => None,
        }
    }

    /// The value of an argument of rank 0 on the host.
    #[doc(hidden)]
    pub fn scalar(&self) -> Option<Scalar> {
        match self.content {
            Content::Weak(value) | Content::Value(value) => Some(value),
            Content::Memory(..) => None,
            #[cfg(feature = "gpu")]
            Content::Device(_) => None,
        }
    }

    /// The same argument if it is of rank 0 and on the host: it borrows nothing then.
    pub(super) fn number(&self) -> Option<Arg<'static>> {
        match self.content {
            Content::Weak(value) => Some(Arg::weak_scalar(value)),
            Content::Value(value) => Some(Arg::value(value)),
            Content::Memory(..) => None,
            #[cfg(feature = "gpu")]
            Content::Device(_) => None,
        }
    }

    /// Whether this is a Rust scalar passed by value, which converts to the parameter's dtype if it does so exactly.
    #[doc(hidden)]
    pub fn is_weak_scalar(&self) -> bool {
        matches!(self.content, Content::Weak(_))
    }

    /// Checks dtype and rank. The value in the parameter's dtype if that is of rank 0 and on the host, else none: the
    /// operand then has just this dtype and rank.
    ///
    /// # Errors
    /// `Argument`, naming the parameter, what it is and what came.
    #[doc(hidden)]
    #[inline]
    pub fn fit(&self, parameter: &Parameter<'_>) -> Result<Option<Scalar>> {
        if let Layout::TooManyAxes(rank) = self.layout {
            return Err(mismatch(parameter, &too_many_axes(rank)));
        }
        match self.content {
            Content::Weak(value) if parameter.rank == 0 => weak(value, parameter).map(Some),
            _ if self.dtype != parameter.dtype || self.rank() != parameter.rank => {
                Err(mismatch(parameter, &described(self.dtype, self.rank())))
            }
            Content::Weak(value) | Content::Value(value) => Ok(Some(value)),
            Content::Memory(..) => Ok(None),
            #[cfg(feature = "gpu")]
            Content::Device(_) => Ok(None),
        }
    }

    /// Whether shape and strides are known.
    ///
    /// # Errors
    /// `Argument` for a view of too many axes that was passed by value.
    pub(super) fn check_layout(&self) -> Result<()> {
        match self.layout {
            Layout::TooManyAxes(rank) => Err(Error::Argument(too_many_axes(rank))),
            Layout::Row { .. } | Layout::Borrowed { .. } | Layout::Inline { .. } => Ok(()),
        }
    }

    #[inline]
    fn weak_scalar(value: Scalar) -> Arg<'a> {
        Arg { content: Content::Weak(value), ..Arg::value(value) }
    }

    #[inline]
    fn value(value: Scalar) -> Arg<'a> {
        let layout = Layout::Borrowed { shape: &[], strides: &[] };
        Arg { dtype: value.dtype(), content: Content::Value(value), layout, donor: None }
    }

    /// The same argument, with a layout that is kept inline lent: it is cheaper to move.
    #[inline]
    pub(super) fn lent(&self) -> Arg<'_> {
        let layout = match &self.layout {
            Layout::Inline { rank, shape, strides } => {
                Layout::Borrowed { shape: &shape[..*rank], strides: &strides[..*rank] }
            }
            Layout::Row { len, stride } => Layout::Row { len: *len, stride: *stride },
            Layout::Borrowed { shape, strides } => Layout::Borrowed { shape, strides },
            Layout::TooManyAxes(rank) => Layout::TooManyAxes(*rank),
        };
        Arg { dtype: self.dtype, content: self.content, layout, donor: self.donor }
    }

    #[inline]
    fn slice<T: Element>(source: &'a [T]) -> Arg<'a> {
        Arg::memory::<T>(source.as_ptr(), Layout::Row { len: source.len(), stride: 1 })
    }

    #[inline]
    fn memory<T: Element>(pointer: *const T, layout: Layout<'a>) -> Arg<'a> {
        Arg { dtype: T::DTYPE, content: Content::Memory(pointer.cast(), PhantomData), layout, donor: None }
    }

    /// An array that the call owns, with a copy of its layout that stays when a result is made of it.
    pub(super) fn donated(array: &Array, donor: &'a Donor, shape: &'a [usize], strides: &'a [isize]) -> Arg<'a> {
        if array.rank() == 0 {
            return Arg::value(array.get(0));
        }
        let content = Content::Memory(array.bytes().as_ptr(), PhantomData);
        Arg { dtype: array.dtype(), content, layout: Layout::Borrowed { shape, strides }, donor: Some(donor) }
    }

    /// What owns the array, if a result may be made of it.
    #[inline]
    pub(super) fn donor(&self) -> Option<&'a Donor> {
        self.donor
    }
}

#[inline]
pub(super) fn address(value: &Scalar) -> *const u8 {
    match value {
        Scalar::Bool(value) => ptr::from_ref(value).cast(),
        Scalar::I8(value) => ptr::from_ref(value).cast(),
        Scalar::U8(value) => ptr::from_ref(value).cast(),
        Scalar::I32(value) => ptr::from_ref(value).cast(),
        Scalar::U32(value) => ptr::from_ref(value).cast(),
        Scalar::I64(value) => ptr::from_ref(value).cast(),
        Scalar::U64(value) => ptr::from_ref(value).cast(),
        Scalar::F32(value) => ptr::from_ref(value).cast(),
        Scalar::F64(value) => ptr::from_ref(value).cast(),
    }
}

fn weak(value: Scalar, parameter: &Parameter<'_>) -> Result<Scalar> {
    if value.dtype() == parameter.dtype {
        return Ok(value);
    }
    value.cast_exact(parameter.dtype).ok_or_else(|| {
        let (from, to) = (value.dtype(), parameter.dtype);
        let advice =
            if to == DType::Bool { "pass `true` or `false`".into() } else { format!("convert it with `as {to}`") };
        mismatch(parameter, &format!("the {from} {value}, which {to} does not hold exactly; {advice}"))
    })
}

fn too_many_axes(rank: usize) -> String {
    format!("a view of rank {rank} by value, which holds at most {INLINE_AXES}; pass a reference to it")
}

fn mismatch(parameter: &Parameter<'_>, came: &str) -> Error {
    let Parameter { index, name, dtype, rank } = parameter;
    Error::Argument(format!("argument {index} (`{name}`) is {}; the call passed {came}", described(*dtype, *rank)))
}

/// `f64 of rank 1`, and so on.
pub(super) fn described(dtype: DType, rank: usize) -> String {
    format!("{dtype} of rank {rank}")
}

macro_rules! scalars {
    ($($type:ty),*) => {
        $(
            impl<'a> From<$type> for Arg<'a> {
                fn from(value: $type) -> Arg<'a> { Arg::weak_scalar(value.into()) }
            }
            impl<'a> From<&'a $type> for Arg<'a> {
                fn from(value: &'a $type) -> Arg<'a> { Arg::value((*value).into()) }
            }
        )*
    };
}
scalars!(bool, i8, u8, i32, u32, i64, u64, f32, f64);

impl<'a> From<usize> for Arg<'a> {
    fn from(value: usize) -> Arg<'a> {
        Arg::weak_scalar(Scalar::U64(value as u64))
    }
}

impl<'a> From<isize> for Arg<'a> {
    fn from(value: isize) -> Arg<'a> {
        Arg::weak_scalar(Scalar::I64(value as i64))
    }
}

impl<'a, T: Element> From<&'a [T]> for Arg<'a> {
    #[inline]
    fn from(source: &'a [T]) -> Arg<'a> {
        Arg::slice(source)
    }
}

impl<'a, T: Element, const N: usize> From<&'a [T; N]> for Arg<'a> {
    #[inline]
    fn from(source: &'a [T; N]) -> Arg<'a> {
        Arg::slice(source)
    }
}

impl<'a, T: Element> From<&'a Vec<T>> for Arg<'a> {
    #[inline]
    fn from(source: &'a Vec<T>) -> Arg<'a> {
        Arg::slice(source)
    }
}

impl<'a, T: Element, D: Dimension> From<&'a ArrayRef<T, D>> for Arg<'a> {
    #[inline]
    fn from(source: &'a ArrayRef<T, D>) -> Arg<'a> {
        match source.first() {
            Some(value) if source.ndim() == 0 => Arg::value(value.to_scalar()),
            Some(_) | None => {
                let layout = Layout::Borrowed { shape: source.shape(), strides: source.strides() };
                Arg::memory(source.as_ptr(), layout)
            }
        }
    }
}

impl<'a, T: Element, S: Data<Elem = T>, D: Dimension> From<&'a ArrayBase<S, D>> for Arg<'a> {
    #[inline]
    fn from(source: &'a ArrayBase<S, D>) -> Arg<'a> {
        let source: &'a ArrayRef<T, D> = source;
        Arg::from(source)
    }
}

impl<'a, T: Element, D: Dimension> From<ArrayView<'a, T, D>> for Arg<'a> {
    #[inline]
    fn from(source: ArrayView<'a, T, D>) -> Arg<'a> {
        let rank = source.ndim();
        match source.first() {
            Some(value) if rank == 0 => Arg::value(value.to_scalar()),
            Some(_) | None if rank == 1 => {
                let (len, stride) = (source.len(), source.strides()[0]);
                Arg::memory(source.as_ptr(), Layout::Row { len, stride })
            }
            Some(_) | None if rank <= INLINE_AXES => {
                let (mut shape, mut strides) = ([0; INLINE_AXES], [0; INLINE_AXES]);
                shape[..rank].copy_from_slice(source.shape());
                strides[..rank].copy_from_slice(source.strides());
                Arg::memory(source.as_ptr(), Layout::Inline { rank, shape, strides })
            }
            Some(_) | None => Arg::memory(source.as_ptr(), Layout::TooManyAxes(rank)),
        }
    }
}

impl<'a> From<&'a Array> for Arg<'a> {
    #[inline]
    fn from(source: &'a Array) -> Arg<'a> {
        if source.rank() == 0 {
            return Arg::value(source.get(0));
        }
        Arg {
            dtype: source.dtype(),
            content: Content::Memory(source.address(), PhantomData),
            layout: Layout::Borrowed { shape: source.shape(), strides: source.strides() },
            donor: None,
        }
    }
}

#[cfg(feature = "gpu")]
impl<'a> From<&'a DeviceArray> for Arg<'a> {
    fn from(source: &'a DeviceArray) -> Arg<'a> {
        Arg {
            dtype: source.dtype(),
            content: Content::Device(source),
            layout: Layout::Borrowed { shape: source.shape(), strides: source.strides() },
            donor: None,
        }
    }
}

#[cfg(test)]
mod tests;
