//! The results of a call, as whatever containers the caller names.
//!
//! A call asks for `R: FromOutputs`: dtypes and ranks are checked first, then memory is made directly in the final
//! containers, the kernels write to it, and it is handed over. `Vec` and ndarray results are fresh, zeroed memory;
//! `kroton::Array` is pooled, or an argument that was passed by value; a `DeviceArray` is memory of the device on which the function runs. Memory that cannot be
//! had is an error, never an abort.

use std::alloc::{Layout, alloc_zeroed};

use ndarray::{Dimension, IxDyn};

use crate::array::Array;
use crate::dtype::Element;
use crate::error::{Error, Result};
#[cfg(feature = "gpu")]
use crate::runtime::DeviceArray;
use crate::runtime::function::counted;
#[cfg(feature = "gpu")]
use crate::runtime::place::DevicePlace;
#[cfg(feature = "gpu")]
use crate::runtime::site::Site;
use crate::runtime::{OutPlace, OutputSpec};
use crate::shape::byte_size;

mod sealed {
    pub trait Sealed {}
    pub trait SealedOne {}
}

/// A container that takes one output: a scalar, `Vec<T>`, an ndarray array, a `kroton::Array`, a `DeviceArray`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot hold an output of a call",
    note = "outputs are scalars such as `f64`, `Vec<T>`, `ndarray::Array<T, D>`, `kroton::Array` and `kroton::DeviceArray`"
)]
pub trait FromOutput: Sized + sealed::SealedOne {
    /// Whether dtype and rank are those of this type.
    ///
    /// # Errors
    /// `Argument`, naming both.
    #[doc(hidden)]
    fn check(index: usize, spec: &OutputSpec<'_>) -> Result<()>;

    /// Memory for an output that passed `check`.
    ///
    /// # Errors
    /// `Memory` if there is none.
    #[doc(hidden)]
    fn allocate(spec: &OutputSpec<'_>) -> Result<Self>;

    /// The memory to write to.
    #[doc(hidden)]
    fn place(&mut self) -> OutPlace<'_>;
}

/// What a call may give: one container, a tuple or an array of them, `Vec<kroton::Array>`, or `()`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a call",
    note = "name the type of the result, as in `let y: Vec<f64> = f.call(…)?` or `f.call::<f64>(…)`",
    note = "results are scalars such as `f64`, `Vec<T>`, `ndarray::Array<T, D>`, `kroton::Array`, `kroton::DeviceArray`, tuples and arrays of these, `Vec<kroton::Array>` and `()`"
)]
pub trait FromOutputs: Sized + sealed::Sealed {
    /// Whether number, dtypes and ranks of the outputs are those of this type; sizes are not looked at.
    ///
    /// # Errors
    /// `Argument`, naming both.
    #[doc(hidden)]
    fn check(specs: &[OutputSpec<'_>]) -> Result<()>;

    /// Checks, makes the memory, has `run` fill it, and hands it over.
    ///
    /// # Errors
    /// `Argument` and `Memory` before `run` is called; whatever `run` meets.
    #[doc(hidden)]
    fn produce(specs: &[OutputSpec<'_>], run: impl FnOnce(&mut [OutPlace<'_>]) -> Result<()>) -> Result<Self>;
}

impl<T: Element> sealed::SealedOne for T {}

impl<T: Element> FromOutput for T {
    fn check(index: usize, spec: &OutputSpec<'_>) -> Result<()> {
        check::<T>(index, spec, Some(0))
    }

    fn allocate(_: &OutputSpec<'_>) -> Result<T> {
        Ok(T::default())
    }

    fn place(&mut self) -> OutPlace<'_> {
        OutPlace::new(std::ptr::from_mut(self), &[], &[])
    }
}

impl<T: Element> sealed::SealedOne for Vec<T> {}

impl<T: Element> FromOutput for Vec<T> {
    fn check(index: usize, spec: &OutputSpec<'_>) -> Result<()> {
        check::<T>(index, spec, Some(1))
    }

    fn allocate(spec: &OutputSpec<'_>) -> Result<Vec<T>> {
        zeroed(spec.shape)
    }

    fn place(&mut self) -> OutPlace<'_> {
        OutPlace::new(self.as_mut_ptr(), &[self.len()], &[1])
    }
}

impl<T: Element, D: Dimension> sealed::SealedOne for ndarray::Array<T, D> {}

impl<T: Element, D: Dimension> FromOutput for ndarray::Array<T, D> {
    fn check(index: usize, spec: &OutputSpec<'_>) -> Result<()> {
        check::<T>(index, spec, D::NDIM)
    }

    fn allocate(spec: &OutputSpec<'_>) -> Result<ndarray::Array<T, D>> {
        let shape = D::from_dimension(&IxDyn(spec.shape))
            .ok_or_else(|| Error::Internal(format!("an output of shape {:?} passed as another rank", spec.shape)))?;
        ndarray::Array::from_shape_vec(shape, zeroed(spec.shape)?)
            .map_err(|_| Error::Memory(format!("ndarray cannot hold an array of shape {:?}", spec.shape)))
    }

    fn place(&mut self) -> OutPlace<'_> {
        let pointer = self.as_mut_ptr();
        OutPlace::new(pointer, self.shape(), self.strides())
    }
}

impl sealed::SealedOne for Array {}

impl FromOutput for Array {
    fn check(_: usize, _: &OutputSpec<'_>) -> Result<()> {
        Ok(())
    }

    fn allocate(spec: &OutputSpec<'_>) -> Result<Array> {
        match spec.donor.and_then(|donor| donor.take(spec)) {
            Some(array) => Ok(array),
            None => Array::uninitialized(spec.dtype, spec.shape),
        }
    }

    fn place(&mut self) -> OutPlace<'_> {
        let pointer = self.bytes_mut().as_mut_ptr();
        OutPlace::of_dtype(self.dtype(), pointer, self.shape(), self.strides())
    }
}

#[cfg(feature = "gpu")]
impl sealed::SealedOne for DeviceArray {}

#[cfg(feature = "gpu")]
impl FromOutput for DeviceArray {
    fn check(index: usize, spec: &OutputSpec<'_>) -> Result<()> {
        match spec.site {
            Site::Host => Err(spec.not_on_a_device(index)),
            Site::Device(_) => Ok(()),
        }
    }

    fn allocate(spec: &OutputSpec<'_>) -> Result<DeviceArray> {
        match spec.site {
            Site::Host => Err(spec.not_on_a_device(0)),
            Site::Device(gpu) => DeviceArray::uninitialized(gpu, spec.dtype, spec.shape),
        }
    }

    fn place(&mut self) -> OutPlace<'_> {
        let memory = DevicePlace::Own(self.memory());
        OutPlace::on_device(self.dtype(), memory, self.shape(), self.strides())
    }
}

fn check<T: Element>(index: usize, spec: &OutputSpec<'_>, rank: Option<usize>) -> Result<()> {
    match rank {
        _ if T::DTYPE == spec.dtype && rank.is_none_or(|rank| rank == spec.shape.len()) => Ok(()),
        Some(rank) => Err(spec.refused(index, T::DTYPE, format_args!("rank {rank}"))),
        None => Err(spec.refused(index, T::DTYPE, "any rank")),
    }
}

fn check_count(specs: &[OutputSpec<'_>], asked: usize) -> Result<()> {
    if specs.len() == asked {
        return Ok(());
    }
    let advice = match specs.len() {
        0 => "name `()`".to_string(),
        1 => "name one container, such as `f64`, `Vec<f64>` or `kroton::Array`".to_string(),
        count => format!("name a tuple or an array of {count} containers, or `Vec<kroton::Array>`"),
    };
    let has = counted(specs.len(), "output");
    Err(Error::Argument(format!("the function has {has}; the caller asked for {asked}; {advice}")))
}

/// Zeroed memory straight from the system, which need not touch it.
fn zeroed<T: Element>(shape: &[usize]) -> Result<Vec<T>> {
    let bytes = byte_size(shape, size_of::<T>())?;
    let count = bytes / size_of::<T>();
    let layout = Layout::array::<T>(count).map_err(|_| no_memory(bytes))?;
    if bytes == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the layout has a size above zero.
    let pointer = unsafe { alloc_zeroed(layout) }.cast::<T>();
    if pointer.is_null() {
        return Err(no_memory(bytes));
    }
    // SAFETY: from the global allocator, with the layout of a `Vec` of this capacity; all zeros is a value of every
    // element type.
    Ok(unsafe { Vec::from_raw_parts(pointer, count, count) })
}

fn no_memory(bytes: usize) -> Error {
    Error::Memory(format!("no memory for an output of {bytes} bytes; free some, or split the work into smaller arrays"))
}

impl<X: FromOutput> sealed::Sealed for X {}

impl<X: FromOutput> FromOutputs for X {
    fn check(specs: &[OutputSpec<'_>]) -> Result<()> {
        check_count(specs, 1)?;
        specs.iter().try_for_each(|spec| X::check(0, spec))
    }

    fn produce(specs: &[OutputSpec<'_>], run: impl FnOnce(&mut [OutPlace<'_>]) -> Result<()>) -> Result<X> {
        <X as FromOutputs>::check(specs)?;
        let mut value = X::allocate(&specs[0])?;
        run(&mut [value.place()])?;
        Ok(value)
    }
}

impl sealed::Sealed for () {}

impl FromOutputs for () {
    fn check(specs: &[OutputSpec<'_>]) -> Result<()> {
        check_count(specs, 0)
    }

    fn produce(specs: &[OutputSpec<'_>], run: impl FnOnce(&mut [OutPlace<'_>]) -> Result<()>) -> Result<()> {
        Self::check(specs)?;
        run(&mut [])
    }
}

/// For containers of any dtype and rank.
macro_rules! vectors {
    ($type:ty) => {
        impl sealed::Sealed for Vec<$type> {}

        impl FromOutputs for Vec<$type> {
            fn check(specs: &[OutputSpec<'_>]) -> Result<()> {
                specs.iter().enumerate().try_for_each(|(index, spec)| <$type as FromOutput>::check(index, spec))
            }

            fn produce(specs: &[OutputSpec<'_>], run: impl FnOnce(&mut [OutPlace<'_>]) -> Result<()>) -> Result<Self> {
                Self::check(specs)?;
                produce_all(specs, run)
            }
        }
    };
}
vectors!(Array);
#[cfg(feature = "gpu")]
vectors!(DeviceArray);

impl<X: FromOutput, const N: usize> sealed::Sealed for [X; N] {}

impl<X: FromOutput, const N: usize> FromOutputs for [X; N] {
    fn check(specs: &[OutputSpec<'_>]) -> Result<()> {
        check_count(specs, N)?;
        specs.iter().enumerate().try_for_each(|(index, spec)| X::check(index, spec))
    }

    fn produce(specs: &[OutputSpec<'_>], run: impl FnOnce(&mut [OutPlace<'_>]) -> Result<()>) -> Result<[X; N]> {
        Self::check(specs)?;
        let values: Vec<X> = produce_all(specs, run)?;
        values.try_into().map_err(|_| Error::Internal(format!("not {N} outputs")))
    }
}

fn produce_all<X: FromOutput>(
    specs: &[OutputSpec<'_>],
    run: impl FnOnce(&mut [OutPlace<'_>]) -> Result<()>,
) -> Result<Vec<X>> {
    let mut values: Vec<X> = specs.iter().map(X::allocate).collect::<Result<_>>()?;
    let mut places: Vec<OutPlace<'_>> = values.iter_mut().map(X::place).collect();
    run(&mut places)?;
    Ok(values)
}

macro_rules! tuples {
    ($count:literal: $($type:ident $index:tt),*) => {
        impl<$($type: FromOutput),*> sealed::Sealed for ($($type,)*) {}

        impl<$($type: FromOutput),*> FromOutputs for ($($type,)*) {
            fn check(specs: &[OutputSpec<'_>]) -> Result<()> {
                check_count(specs, $count)?;
                $(<$type as FromOutput>::check($index, &specs[$index])?;)*
                Ok(())
            }

            fn produce(specs: &[OutputSpec<'_>], run: impl FnOnce(&mut [OutPlace<'_>]) -> Result<()>) -> Result<Self> {
                Self::check(specs)?;
                let mut values = ($($type::allocate(&specs[$index])?,)*);
                run(&mut [$(values.$index.place()),*])?;
                Ok(values)
            }
        }
    };
}
tuples!(1: A 0);
tuples!(2: A 0, B 1);
tuples!(3: A 0, B 1, C 2);
tuples!(4: A 0, B 1, C 2, D 3);
tuples!(5: A 0, B 1, C 2, D 3, E 4);
tuples!(6: A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(7: A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuples!(9: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuples!(10: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuples!(11: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuples!(12: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
