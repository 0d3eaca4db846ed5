//! Where the windows of a plan lie once the sizes of a call are known.
//!
//! Offsets and strides are in elements of the source, or in positions of a sequence. What they are relative to is up to
//! the caller, so this knows no memory.

use crate::error::{Error, Result};
use crate::lower::plan::Window;
use crate::runtime::memory::Sizes;
use crate::shape::{Dim, Symbols};

/// The value of a size.
///
/// # Errors
/// `Internal` for one below zero, which the checks of a call leave none of.
#[inline]
pub(super) fn size(dim: &Dim, symbols: &Symbols) -> Result<usize> {
    let value = dim.evaluate(symbols)?;
    usize::try_from(value).map_err(|_| Error::Internal(format!("a size of {value}")))
}

/// The values of sizes.
///
/// # Errors
/// As `size`.
#[inline]
pub(super) fn sizes(dims: &[Dim], symbols: &Symbols) -> Result<Sizes<usize>> {
    let mut sizes = Sizes::new();
    for dim in dims {
        sizes.push(size(dim, symbols)?);
    }
    Ok(sizes)
}

/// The element of a source at index zero of every axis of a window; adds the steps along each axis of the kernel to
/// `strides`, which are zero. The source has strides of its own, or none: it is row-major then, or a sequence.
///
/// # Errors
/// `Internal` as `size`; `Shape` for sizes beyond `i64`.
#[inline]
pub(super) fn locate(
    window: &Window,
    own: Option<&[isize]>,
    symbols: &Symbols,
    strides: &mut [isize],
) -> Result<isize> {
    if window.walks.is_empty() && window.starts.is_empty() {
        return Ok(0);
    }
    let mut row_major = Sizes::new();
    let source_strides = match own {
        Some(strides) => strides,
        None => {
            fill_row_major(&window.shape, symbols, &mut row_major)?;
            &row_major
        }
    };
    // Strides of empty arrays may be any numbers; nothing is then read or written, so products may wrap.
    let mut offset = 0_isize;
    for (axis, start) in &window.starts {
        let start = start.evaluate(symbols)? as isize;
        offset = offset.wrapping_add(start.wrapping_mul(source_strides[*axis as usize]));
    }
    for walk in &window.walks {
        let stride = &mut strides[walk.kernel.0 as usize];
        *stride = stride.wrapping_add((walk.step as isize).wrapping_mul(source_strides[walk.source as usize]));
    }
    Ok(offset)
}

/// The strides of row-major memory; how often the outermost axis is walked does not matter for them.
#[inline]
fn fill_row_major(shape: &[Dim], symbols: &Symbols, strides: &mut Sizes<isize>) -> Result<()> {
    strides.resize(shape.len(), 1);
    for axis in (1..shape.len()).rev() {
        let rows = size(&shape[axis], symbols)?.max(1) as isize;
        strides[axis - 1] = strides[axis].saturating_mul(rows);
    }
    Ok(())
}
