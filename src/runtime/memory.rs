//! Strided memory of a call, and copies between layouts.

use smallvec::SmallVec;

use crate::array::Block;
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::{byte_size, row_major_strides};

/// Sizes or strides of one array.
pub type Sizes<T> = SmallVec<[T; 4]>;

/// Memory that a call reads or writes, seen as an array.
#[derive(Debug, Clone)]
pub struct Memory {
    /// The address of the element at index zero of every axis.
    pub pointer: *mut u8,
    /// The dtype of the elements.
    pub dtype: DType,
    /// The sizes.
    pub shape: Sizes<usize>,
    /// The steps in elements.
    pub strides: Sizes<isize>,
}

impl Memory {
    /// Row-major memory.
    pub fn contiguous(pointer: *mut u8, dtype: DType, shape: &[usize]) -> Memory {
        Memory { pointer, dtype, shape: SmallVec::from_slice(shape), strides: row_major_strides(shape) }
    }

    /// Whether the elements lie in row-major order without gaps.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1_isize;
        self.shape.contains(&0)
            || self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
                let fits = size == 1 || stride == expected;
                expected *= size as isize;
                fits
            })
    }

    /// New contiguous memory of the same dtype and shape.
    ///
    /// # Errors
    /// `Memory` if there is none.
    pub fn allocate_like(&self) -> Result<(Block, Memory)> {
        let mut block = Block::new(byte_size(&self.shape, self.dtype.size())?)?;
        let memory = Memory::contiguous(block.bytes_mut().as_mut_ptr(), self.dtype, &self.shape);
        Ok((block, memory))
    }
}

/// Copies every element from one layout to another of the same dtype and shape.
///
/// # Safety
/// `from` is valid for reads and `to` for writes of their shape and dtype, and they do not overlap.
pub unsafe fn copy(from: &Memory, to: &Memory) {
    // SAFETY: passed on as promised by the caller.
    unsafe {
        match from.dtype.size() {
            1 => copy_elements::<u8>(from, to),
            4 => copy_elements::<u32>(from, to),
            _ => copy_elements::<u64>(from, to),
        }
    }
}

/// # Safety
/// As `copy`, for elements of the size of `T`.
unsafe fn copy_elements<T: Copy>(from: &Memory, to: &Memory) {
    if from.shape.contains(&0) {
        return;
    }
    let (source, target) = (from.pointer.cast::<T>(), to.pointer.cast::<T>());
    let rank = from.shape.len();
    let (inner, step, target_step) =
        if rank == 0 { (1, 0, 0) } else { (from.shape[rank - 1], from.strides[rank - 1], to.strides[rank - 1]) };
    let mut index: Sizes<usize> = SmallVec::from_elem(0, rank.saturating_sub(1));
    loop {
        let offset = |strides: &[isize]| index.iter().zip(strides).map(|(&i, &s)| i as isize * s).sum::<isize>();
        let (row, target_row) = (offset(&from.strides), offset(&to.strides));
        for i in 0..inner as isize {
            // SAFETY: the indices stay below the sizes that the caller vouches for.
            unsafe {
                *target.wrapping_offset(target_row + i * target_step) = *source.wrapping_offset(row + i * step);
            }
        }
        if !advance(&mut index, &from.shape) {
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
        let transposed = Memory {
            pointer,
            dtype: DType::F64,
            shape: SmallVec::from_slice(&[3, 2]),
            strides: SmallVec::from_slice(&[1, 3]),
        };
        assert!(!transposed.is_contiguous());
        let (block, memory) = transposed.allocate_like().unwrap();
        // SAFETY: both are valid for 3 × 2 numbers and apart.
        unsafe { copy(&transposed, &memory) };
        let copied: Vec<f64> = block.bytes().chunks(8).map(|b| f64::from_ne_bytes(b.try_into().unwrap())).collect();
        assert_eq!(copied, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    }

    #[test]
    fn contiguity_ignores_sizes_of_one_and_empty_arrays() {
        let memory = |shape: &[usize], strides: &[isize]| Memory {
            pointer: std::ptr::null_mut(),
            dtype: DType::F32,
            shape: SmallVec::from_slice(shape),
            strides: SmallVec::from_slice(strides),
        };
        assert!(memory(&[2, 1, 3], &[3, 77, 1]).is_contiguous());
        assert!(memory(&[0, 5], &[9, 9]).is_contiguous());
        assert!(memory(&[], &[]).is_contiguous());
        assert!(!memory(&[3], &[-1]).is_contiguous());
        assert!(!memory(&[3], &[0]).is_contiguous());
    }
}
