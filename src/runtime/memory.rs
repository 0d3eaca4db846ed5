//! Strided memory of a call, and copies between layouts.
//!
//! [`Memory`] is memory of the host; an [`Operand`] is an argument wherever it is.

use smallvec::SmallVec;

use crate::array::Block;
use crate::dtype::DType;
#[cfg(feature = "gpu")]
use crate::error::Error;
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::runtime::DeviceArray;
use crate::shape::{byte_size, row_major_strides};

/// Sizes or strides of one array.
pub type Sizes<T> = SmallVec<[T; 4]>;

/// Memory that a call reads or writes, seen as an array.
#[derive(Debug, Clone, Copy)]
pub struct Memory<'a> {
    /// The address of the element at index zero of every axis.
    pub pointer: *mut u8,
    /// The dtype of the elements.
    pub dtype: DType,
    /// The sizes.
    pub shape: &'a [usize],
    /// The steps in elements.
    pub strides: &'a [isize],
}

/// An argument of a call.
#[derive(Debug, Clone, Copy)]
pub enum Operand<'a> {
    /// On the host, with any strides.
    Host(Memory<'a>),
    /// On a device.
    #[cfg(feature = "gpu")]
    Device(&'a DeviceArray),
}

impl<'a> Operand<'a> {
    /// The memory of an argument on the host.
    ///
    /// # Errors
    /// `Internal` for one on a device, which `Function` hands to no program of the host.
    #[inline]
    pub fn host(&self) -> Result<&Memory<'a>> {
        match self {
            Operand::Host(memory) => Ok(memory),
            #[cfg(feature = "gpu")]
            Operand::Device(array) => Err(on_device(array)),
        }
    }

    /// The memory of a single value on the host.
    pub(super) fn scalar_mut(&mut self) -> Option<&mut Memory<'a>> {
        match self {
            Operand::Host(memory) if memory.shape.is_empty() => Some(memory),
            Operand::Host(_) => None,
            #[cfg(feature = "gpu")]
            Operand::Device(_) => None,
        }
    }
}

#[cfg(feature = "gpu")]
#[cold]
fn on_device(array: &DeviceArray) -> Error {
    Error::Internal(format!("{array:?} was handed to a program of the host"))
}

impl Memory<'_> {
    /// Whether the elements lie in row-major order without gaps.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1_isize;
        self.shape.contains(&0)
            || self.shape.iter().zip(self.strides).rev().all(|(&size, &stride)| {
                let fits = size == 1 || stride == expected;
                expected = expected.wrapping_mul(size as isize);
                fits
            })
    }

    /// New contiguous memory for as many elements.
    ///
    /// # Errors
    /// `Memory` if there is none.
    pub fn allocate_like(&self) -> Result<Block> {
        Block::new(byte_size(self.shape, self.dtype.size())?)
    }

    /// Copies every element to row-major memory.
    ///
    /// # Safety
    /// `self` is valid for reads, `to` for writes of the same shape and dtype, and they do not overlap.
    pub unsafe fn gather(&self, to: *mut u8) {
        // SAFETY: passed on as promised by the caller.
        unsafe { self.copy(self.pointer, self.strides, to, &row_major_strides(self.shape)) }
    }

    /// Copies every element from row-major memory.
    ///
    /// # Safety
    /// `self` is valid for writes, `from` for reads of the same shape and dtype, and they do not overlap.
    pub unsafe fn scatter(&self, from: *const u8) {
        // SAFETY: passed on as promised by the caller.
        unsafe { self.copy(from.cast_mut(), &row_major_strides(self.shape), self.pointer, self.strides) }
    }

    /// Copies every element from memory of the same shape and dtype.
    ///
    /// # Safety
    /// `self` is valid for writes, `from` for reads, and they do not overlap.
    pub unsafe fn copy_from(&self, from: &Memory<'_>) {
        // SAFETY: passed on as promised by the caller.
        unsafe { self.copy(from.pointer, from.strides, self.pointer, self.strides) }
    }

    /// # Safety
    /// Both sides are valid for the shape and dtype with their strides, and they do not overlap.
    unsafe fn copy(&self, from: *mut u8, steps: &[isize], to: *mut u8, target_steps: &[isize]) {
        // SAFETY: passed on as promised by the caller.
        unsafe {
            match self.dtype.size() {
                1 => copy_elements::<u8>(self.shape, from.cast(), steps, to.cast(), target_steps),
                4 => copy_elements::<u32>(self.shape, from.cast(), steps, to.cast(), target_steps),
                _ => copy_elements::<u64>(self.shape, from.cast(), steps, to.cast(), target_steps),
            }
        }
    }
}

/// # Safety
/// Both pointers are valid for elements of the size of `T` at all indices below `shape`, and do not overlap.
unsafe fn copy_elements<T: Copy>(
    shape: &[usize],
    source: *const T,
    steps: &[isize],
    target: *mut T,
    target_steps: &[isize],
) {
    if shape.contains(&0) {
        return;
    }
    let rank = shape.len();
    let (inner, step, target_step) =
        if rank == 0 { (1, 0, 0) } else { (shape[rank - 1], steps[rank - 1], target_steps[rank - 1]) };
    let mut index: Sizes<usize> = SmallVec::from_elem(0, rank.saturating_sub(1));
    loop {
        let offset = |strides: &[isize]| index.iter().zip(strides).map(|(&i, &s)| i as isize * s).sum::<isize>();
        let (row, target_row) = (offset(steps), offset(target_steps));
        for i in 0..inner as isize {
            // SAFETY: the indices stay below the sizes that the caller vouches for.
            unsafe {
                *target.wrapping_offset(target_row + i * target_step) = *source.wrapping_offset(row + i * step);
            }
        }
        if !advance(&mut index, shape) {
            return;
        }
    }
}

/// The next index in row-major order; false after the last one.
fn advance(index: &mut [usize], shape: &[usize]) -> bool {
    for (place, &size) in index.iter_mut().zip(shape).rev() {
        *place += 1;
        if *place < size {
            return true;
        }
        *place = 0;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_reverse_transpose_and_repeat() {
        let mut source: Vec<f64> = (0..6).map(f64::from).collect();
        let pointer = source.as_mut_ptr().cast::<u8>();
        let transposed = Memory { pointer, dtype: DType::F64, shape: &[3, 2], strides: &[1, 3] };
        assert!(!transposed.is_contiguous());
        let mut copied = [0.0_f64; 6];
        // SAFETY: both are valid for 3 × 2 numbers and apart.
        unsafe { transposed.gather(copied.as_mut_ptr().cast()) };
        assert_eq!(copied, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        let mut back = [0.0_f64; 6];
        let reversed =
            Memory { pointer: back[5..].as_mut_ptr().cast(), dtype: DType::F64, shape: &[6], strides: &[-1] };
        // SAFETY: the six numbers from the last one down are those of `back`.
        unsafe { reversed.scatter(copied.as_ptr().cast()) };
        assert_eq!(back, [5.0, 2.0, 4.0, 1.0, 3.0, 0.0]);
    }

    #[test]
    fn contiguity_ignores_sizes_of_one_and_empty_arrays() {
        let contiguous = |shape: &[usize], strides: &[isize]| {
            Memory { pointer: std::ptr::null_mut(), dtype: DType::F32, shape, strides }.is_contiguous()
        };
        assert!(contiguous(&[2, 1, 3], &[3, 77, 1]));
        assert!(contiguous(&[0, 5], &[9, 9]));
        assert!(contiguous(&[], &[]));
        assert!(!contiguous(&[3], &[-1]));
        assert!(!contiguous(&[3], &[0]));
    }
}
