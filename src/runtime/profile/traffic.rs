//! The bytes that steps must move at least: every element of their operands once.
//!
//! Must not know: what a step computes.

#[cfg(feature = "gpu")]
use smallvec::SmallVec;

use crate::dtype::DType;
use crate::error::Result;
use crate::loops::{Access, Binding, Kernel, Launch, Operand};
use crate::lower::plan::CustomStep;
#[cfg(feature = "gpu")]
use crate::lower::plan::{Source, Window};
use crate::runtime::windows::sizes;
use crate::shape::Symbols;

/// The bytes of so many elements along each of some axes.
fn bytes(extents: impl Iterator<Item = usize>, dtype: DType) -> u64 {
    extents.fold(dtype.size() as u64, |bytes, extent| bytes.saturating_mul(extent as u64))
}

/// What a launch of a kernel moves.
pub(super) fn of_launch(kernel: &Kernel, launch: &Launch<'_>) -> u64 {
    if launch.extents.contains(&0) {
        return 0;
    }
    let moved = |(operand, binding): (&Operand, &Binding)| match operand.access {
        Access::Index => 0,
        Access::Read | Access::Write => {
            let walked = launch.extents.iter().zip(&binding.strides).filter(|(_, stride)| **stride != 0);
            bytes(walked.map(|(&extent, _)| extent), operand.dtype)
        }
    };
    kernel.operands.iter().zip(launch.bindings).map(moved).fold(0, u64::saturating_add)
}

/// What windows over axes of these extents see.
#[cfg(feature = "gpu")]
pub(in crate::runtime) fn of_windows(windows: &[Window], extents: &[usize]) -> u64 {
    if extents.contains(&0) {
        return 0;
    }
    let seen = |window: &Window| match window.source {
        Source::Positions | Source::Size(_) | Source::Product => 0,
        Source::Input(_) | Source::PackedInput(_) | Source::Constant(_) | Source::Output(_) | Source::Slot(_) => {
            let mut axes: SmallVec<[usize; 4]> = window.walks.iter().map(|walk| walk.kernel.0 as usize).collect();
            axes.sort_unstable();
            axes.dedup();
            bytes(axes.into_iter().map(|axis| extents[axis]), window.dtype)
        }
    };
    windows.iter().map(seen).fold(0, u64::saturating_add)
}

/// What a matrix product of rows × inner and inner × columns reads, and writes if it does.
pub(in crate::runtime) fn of_product([rows, inner, columns]: [usize; 3], dtype: DType, is_written: bool) -> u64 {
    let matrix = |rows, columns| bytes([rows, columns].into_iter(), dtype);
    let written = if is_written { matrix(rows, columns) } else { 0 };
    matrix(rows, inner).saturating_add(matrix(inner, columns)).saturating_add(written)
}

/// What a host function is given, and gives.
///
/// # Errors
/// As `sizes`.
pub(in crate::runtime) fn of_custom(step: &CustomStep, symbols: &Symbols) -> Result<u64> {
    let mut total = 0_u64;
    for (window, shape) in step.operands.iter().chain([&step.result]) {
        total = total.saturating_add(bytes(sizes(shape, symbols)?.into_iter(), window.dtype));
    }
    Ok(total)
}
