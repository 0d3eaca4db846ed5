//! Calls of host functions: whole arrays in, one out.

use smallvec::SmallVec;

use crate::array::Array;
use crate::error::{Error, Result};
use crate::lower::plan::CustomStep;
use crate::runtime::memory::Memory;
use crate::runtime::windows::sizes;
use crate::shape::Symbols;

/// A window in the memory of the host.
pub(super) struct Located {
    /// The address of the element at index zero of every axis.
    pub pointer: *mut u8,
    /// The steps in elements.
    pub strides: SmallVec<[isize; 4]>,
}

/// Calls the function of a step on what its windows are.
///
/// # Safety
/// The operands are valid for reads of their windows' shapes, the result for writes, and it overlaps none of them.
///
/// # Errors
/// What the function returns; `Shape` if that is not what its inference says, before anything is written.
pub(super) unsafe fn call(step: &CustomStep, symbols: &Symbols, operands: &[Located], result: &Located) -> Result<()> {
    let mut arrays = Vec::with_capacity(operands.len());
    for ((window, shape), Located { pointer, strides }) in step.operands.iter().zip(operands) {
        let shape = sizes(shape, symbols)?;
        let mut array = Array::uninitialized(window.dtype, &shape)?;
        let memory = Memory { pointer: *pointer, dtype: window.dtype, shape: &shape, strides };
        // SAFETY: the window and the new array have this shape and dtype.
        unsafe { memory.gather(array.bytes_mut().as_mut_ptr()) };
        arrays.push(array);
    }
    let returned = (step.function.0.call)(&arrays)?;
    let (window, shape) = &step.result;
    let shape = sizes(shape, symbols)?;
    check(step, &returned, &shape)?;
    let memory = Memory { pointer: result.pointer, dtype: window.dtype, shape: &shape, strides: &result.strides };
    // SAFETY: both have this shape and dtype.
    unsafe { memory.scatter(returned.bytes().as_ptr()) };
    Ok(())
}

fn check(step: &CustomStep, result: &Array, shape: &[usize]) -> Result<()> {
    let expected = step.result.0.dtype;
    if result.shape() == shape && result.dtype() == expected {
        return Ok(());
    }
    let (name, dtype, got) = (&step.function.0.name, result.dtype(), result.shape());
    Err(Error::Shape(format!(
        "the host function `{name}` returned {dtype} {got:?} where its inference says {expected} {shape:?}"
    )))
}
