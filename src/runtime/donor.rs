//! An array that is passed by value: the call may make a result of it.
//!
//! Invariant: shape and address stay what they are when the array is taken. Must not know: which result it becomes.

use std::sync::{Mutex, PoisonError};

use smallvec::SmallVec;

use crate::array::Array;
use crate::runtime::{Arg, OutputSpec};

/// An argument that the call owns.
#[derive(Debug)]
pub struct Donor {
    array: Mutex<Option<Array>>,
    shape: SmallVec<[usize; 4]>,
    strides: SmallVec<[isize; 4]>,
}

impl Donor {
    pub(super) fn new(array: Array) -> Donor {
        let (shape, strides) = (array.shape().into(), array.strides().into());
        Donor { array: Mutex::new(Some(array)), shape, strides }
    }

    /// The array as an argument.
    pub(super) fn view(&self) -> Arg<'_> {
        match &*self.array.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(array) => Arg::donated(array, self, &self.shape, &self.strides),
            // Arguments are viewed once, before any result is made.
            None => Arg::from(false),
        }
    }

    /// The array, unless it was taken.
    pub(super) fn take_whole(&self) -> Option<Array> {
        self.array.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The array, if it is of an output's dtype and shape and nobody shares it.
    pub(super) fn take(&self, spec: &OutputSpec<'_>) -> Option<Array> {
        let mut array = self.array.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |array: &Array| array.dtype() == spec.dtype && array.shape() == spec.shape && array.is_unique();
        if array.as_ref().is_some_and(fits) { array.take() } else { None }
    }
}
