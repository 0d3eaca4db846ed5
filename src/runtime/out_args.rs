//! The caller's own memory as the place of outputs, for `call_into`.
//!
//! Everything is borrowed exclusively for the length of the call, any strides are taken, and an element that two
//! indices reach is refused. A `DeviceArray` is given new memory, since others may share its own.

use ndarray::{ArrayBase, ArrayViewMut, DataMut, Dimension};

use crate::array::Array;
use crate::dtype::Element;
use crate::error::{Error, Result};
#[cfg(feature = "gpu")]
use crate::runtime::DeviceArray;
use crate::runtime::OutPlace;

/// One output's place in the caller's memory.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot take an output of a call",
    note = "pass `&mut` of a scalar, `Vec`, slice, array, ndarray array, `kroton::Array` or `kroton::DeviceArray`, or an `ArrayViewMut`"
)]
pub trait IntoOutPlace<'b> {
    /// The memory.
    ///
    /// # Errors
    /// `Argument` if two indices reach one element.
    fn place(self) -> Result<OutPlace<'b>>;
}

/// The places of the outputs of a call, in order: a tuple, or `()`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot take the outputs of a call",
    note = "pass a tuple, with a comma even for one: `f.call_into((&x,), (&mut out,))`"
)]
pub trait OutArgs<'b> {
    /// Runs `f` on the places.
    ///
    /// # Errors
    /// `Argument` for a place that cannot be written to, before `f` is called; whatever `f` meets.
    fn with<R>(self, f: impl FnOnce(&mut [OutPlace<'b>]) -> Result<R>) -> Result<R>;
}

impl<'b, T: Element> IntoOutPlace<'b> for &'b mut T {
    fn place(self) -> Result<OutPlace<'b>> {
        Ok(OutPlace::new(std::ptr::from_mut(self), &[], &[]))
    }
}

impl<'b, T: Element> IntoOutPlace<'b> for &'b mut [T] {
    fn place(self) -> Result<OutPlace<'b>> {
        Ok(OutPlace::new(self.as_mut_ptr(), &[self.len()], &[1]))
    }
}

impl<'b, T: Element, const N: usize> IntoOutPlace<'b> for &'b mut [T; N] {
    fn place(self) -> Result<OutPlace<'b>> {
        self.as_mut_slice().place()
    }
}

impl<'b, T: Element> IntoOutPlace<'b> for &'b mut Vec<T> {
    fn place(self) -> Result<OutPlace<'b>> {
        self.as_mut_slice().place()
    }
}

impl<'b, T: Element, S: DataMut<Elem = T>, D: Dimension> IntoOutPlace<'b> for &'b mut ArrayBase<S, D> {
    fn place(self) -> Result<OutPlace<'b>> {
        // The pointer first: taking it makes a shared array unique, which may change its strides.
        let pointer = self.as_mut_ptr();
        strided(pointer, self.shape(), self.strides())
    }
}

impl<'b, T: Element, D: Dimension> IntoOutPlace<'b> for ArrayViewMut<'b, T, D> {
    fn place(mut self) -> Result<OutPlace<'b>> {
        let pointer = self.as_mut_ptr();
        strided(pointer, self.shape(), self.strides())
    }
}

impl<'b> IntoOutPlace<'b> for &'b mut Array {
    fn place(self) -> Result<OutPlace<'b>> {
        let pointer = self.bytes_mut().as_mut_ptr();
        Ok(OutPlace::of_dtype(self.dtype(), pointer, self.shape(), self.strides()))
    }
}

#[cfg(feature = "gpu")]
impl<'b> IntoOutPlace<'b> for &'b mut DeviceArray {
    fn place(self) -> Result<OutPlace<'b>> {
        Ok(self.replaced())
    }
}

fn strided<'b, T: Element>(pointer: *mut T, shape: &[usize], strides: &[isize]) -> Result<OutPlace<'b>> {
    let aliased = shape.iter().zip(strides).position(|(&size, &stride)| size > 1 && stride == 0);
    match aliased {
        Some(axis) if !shape.contains(&0) => Err(Error::Argument(format!(
            "an output of shape {shape:?} repeats one element along axis {axis} (its stride is 0); \
             pass memory of its own for every element"
        ))),
        Some(_) | None => Ok(OutPlace::new(pointer, shape, strides)),
    }
}

impl<'b> OutArgs<'b> for () {
    fn with<R>(self, f: impl FnOnce(&mut [OutPlace<'b>]) -> Result<R>) -> Result<R> {
        f(&mut [])
    }
}

macro_rules! tuples {
    ($($type:ident $index:tt),*) => {
        impl<'b, $($type: IntoOutPlace<'b>),*> OutArgs<'b> for ($($type,)*) {
            fn with<R>(self, f: impl FnOnce(&mut [OutPlace<'b>]) -> Result<R>) -> Result<R> {
                f(&mut [$(self.$index.place()?),*])
            }
        }
    };
}
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_that_two_indices_reach_is_refused() {
        let mut one = [0.0];
        let error = strided(one.as_mut_ptr(), &[1, 3], &[0, 0]).unwrap_err().to_string();
        assert!(error.contains("shape [1, 3] repeats one element along axis 1"), "{error}");
        assert!(strided(one.as_mut_ptr(), &[1, 1], &[0, 0]).is_ok());
        assert!(strided(one.as_mut_ptr(), &[3, 0], &[0, 0]).is_ok());
    }
}
