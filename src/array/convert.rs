//! Between `Array` and Rust's own containers: slices, `Vec` and ndarray.
//!
//! Into an `Array` elements are copied in logical, row-major order, whatever the layout of their source. Out of it
//! a view borrows; only `to_ndarray` copies. The dtype and rank named by the caller must be those of the array.

use ndarray::{ArrayBase, ArrayViewD, ArrayViewMutD, Data, Dimension, IxDyn};

use crate::array::Array;
use crate::dtype::Element;
use crate::error::{Error, Result};

impl<T: Element, S: Data<Elem = T>, D: Dimension> From<&ArrayBase<S, D>> for Array {
    fn from(source: &ArrayBase<S, D>) -> Array {
        match source.as_slice() {
            Some(elements) => Array::from_elements(source.shape(), elements.iter().copied()),
            None => Array::from_elements(source.shape(), source.iter().copied()),
        }
    }
}

impl<T: Element, S: Data<Elem = T>, D: Dimension> From<ArrayBase<S, D>> for Array {
    fn from(source: ArrayBase<S, D>) -> Array {
        Array::from(&source)
    }
}

impl<T: Element> From<&[T]> for Array {
    fn from(source: &[T]) -> Array {
        Array::from_slice(source)
    }
}

impl<T: Element> From<&Vec<T>> for Array {
    fn from(source: &Vec<T>) -> Array {
        Array::from_slice(source)
    }
}

impl<T: Element> From<Vec<T>> for Array {
    fn from(source: Vec<T>) -> Array {
        Array::from_slice(&source)
    }
}

impl<T: Element, const N: usize> From<&[T; N]> for Array {
    fn from(source: &[T; N]) -> Array {
        Array::from_slice(source)
    }
}

impl<T: Element, const N: usize> From<[T; N]> for Array {
    fn from(source: [T; N]) -> Array {
        Array::from_slice(&source)
    }
}

impl Array {
    /// The elements as an ndarray view, without a copy.
    ///
    /// ```
    /// let a = kroton::Array::from(ndarray::array![[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(a.view::<f64>()?[[1, 0]], 3.0);
    /// # Ok::<(), kroton::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Argument` if `T` is not the dtype.
    pub fn view<T: Element>(&self) -> Result<ArrayViewD<'_, T>> {
        let elements = self.as_slice::<T>()?;
        ArrayViewD::from_shape(IxDyn(self.shape()), elements).map_err(|_| too_large(self.shape()))
    }

    /// The elements as an ndarray view to write to; a shared array is copied first.
    ///
    /// # Errors
    /// `Argument` if `T` is not the dtype.
    pub fn view_mut<T: Element>(&mut self) -> Result<ArrayViewMutD<'_, T>> {
        let shape = IxDyn(self.shape());
        let elements = self.as_mut_slice::<T>()?;
        ArrayViewMutD::from_shape(shape.clone(), elements).map_err(|_| too_large(shape.slice()))
    }

    /// A copy of the elements as an ndarray array.
    ///
    /// ```
    /// let a = kroton::Array::from_slice(&[1_i32, 2, 3]);
    /// let b: ndarray::Array1<i32> = a.to_ndarray()?;
    /// assert_eq!(b.len(), 3);
    /// # Ok::<(), kroton::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Argument` if `T` is not the dtype or `D` has another rank.
    pub fn to_ndarray<T: Element, D: Dimension>(&self) -> Result<ndarray::Array<T, D>> {
        let view = self.view::<T>()?.into_dimensionality::<D>().map_err(|_| {
            Error::Argument(format!(
                "the array has rank {}, not {}; name that rank, or `ArrayD` for any",
                self.rank(),
                D::NDIM.unwrap_or_default()
            ))
        })?;
        Ok(view.to_owned())
    }
}

/// ndarray wants the product of all sizes but the zeros to fit an `isize`.
fn too_large(shape: &[usize]) -> Error {
    Error::Argument(format!("ndarray cannot hold the shape {shape:?}"))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, Array3, ArrayD, array, s};

    use super::*;

    #[test]
    fn any_layout_arrives_in_row_major_order() {
        let source = array![[1, 2, 3], [4, 5, 6]];
        let expected = Array::from(vec![1, 4, 2, 5, 3, 6]).reshape(&[3, 2]).unwrap();
        assert_eq!(Array::from(source.t()), expected);
        assert_eq!(Array::from(source.reversed_axes()), expected);
        let source = array![1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(Array::from(source.slice(s![..;-2])), Array::from([5.0, 3.0, 1.0]));
        let row = array![true, false];
        let repeated = row.broadcast((2, 2)).unwrap();
        assert_eq!(Array::from(&repeated).as_slice::<bool>().unwrap(), [true, false, true, false]);
    }

    #[test]
    fn views_borrow_and_write_through() {
        let mut a = Array::from(&array![[1_u8, 2], [3, 4]]);
        assert_eq!(a.view::<u8>().unwrap().as_ptr(), a.as_slice::<u8>().unwrap().as_ptr());
        a.view_mut::<u8>().unwrap()[[0, 1]] = 9;
        assert_eq!(a.to_ndarray::<u8, ndarray::Ix2>().unwrap(), array![[1, 9], [3, 4]]);
        assert!(a.view::<i8>().unwrap_err().to_string().contains("holds u8, not i8"));
    }

    #[test]
    fn ranks_are_checked_and_empty_arrays_pass() {
        let a = Array::from(Array2::<f32>::zeros((0, 3)));
        assert_eq!(a.shape(), [0, 3]);
        let b: ArrayD<f32> = a.to_ndarray().unwrap();
        assert_eq!(b.shape(), [0, 3]);
        let error = a.to_ndarray::<f32, ndarray::Ix1>().unwrap_err().to_string();
        assert!(error.contains("rank 2, not 1"), "{error}");
        let scalar = Array::from(ndarray::arr0(2.5));
        assert_eq!(scalar.to_ndarray::<f64, ndarray::Ix0>().unwrap().into_scalar(), 2.5);
        assert_eq!(Array::from(Array3::<i64>::zeros((2, 0, 2))).len(), 0);
        assert_eq!(Array::from(Array1::from(vec![7_u64])).as_slice::<u64>().unwrap(), [7]);
    }
}
