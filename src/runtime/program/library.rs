//! Steps that are no kernels of an engine: matrix products and functions of the host.

use std::sync::Arc;

use super::Frame;
use crate::backend::matmul::{Matrix, WithVector, matmul};
use crate::backend::{Executable, Parallelism};
use crate::error::{Error, Result};
use crate::loops::{Base, Binding};
use crate::lower::plan::{CustomStep, MatMulStep, Window};
use crate::runtime::custom::{self, Located};
use crate::runtime::windows::size;

impl Frame<'_> {
    /// # Safety
    /// As `Program::run`.
    pub(super) unsafe fn matmul(
        &mut self,
        step: &MatMulStep<Arc<dyn Executable>>,
        parallelism: &Parallelism,
    ) -> Result<()> {
        let [rows, inner, columns] = &step.sizes;
        let sizes = [size(rows, self.symbols)?, size(inner, self.symbols)?, size(columns, self.symbols)?];
        let Some(result) = &step.result else {
            return Err(Error::Internal("a matrix product of the host without a result".to_string()));
        };
        let dtype = result.dtype;
        let mut matrix = |window: &Window| -> Result<Matrix> {
            let Located { pointer, strides } = self.located(window, 2)?;
            Ok(Matrix { pointer, row_stride: strides[0], column_stride: strides[1] })
        };
        let (left, right, result) = (matrix(&step.left)?, matrix(&step.right)?, matrix(result)?);
        let in_blocks = if step.closes { WithVector::new(sizes, left, right, result) } else { None };
        // SAFETY: the windows have these sizes; the result's place is read by nobody in this step.
        unsafe {
            match in_blocks {
                Some(product) => product.run_in_blocks(dtype, parallelism),
                None => matmul(dtype, sizes, left, right, result, parallelism),
            }
        }
        Ok(())
    }

    /// A window as memory with strides in elements. Sequences are written out by the schedule before they get here.
    pub(super) fn located(&mut self, window: &Window, rank: usize) -> Result<Located> {
        let Binding { base, mut strides } = self.bind(window, rank)?;
        let Base::Host(pointer) = base else {
            return Err(Error::Internal("a library step reads a sequence that is not in memory".to_string()));
        };
        let element = window.dtype.size() as isize;
        strides.iter_mut().for_each(|stride| *stride /= element);
        Ok(Located { pointer, strides })
    }

    /// # Safety
    /// As `Program::run`.
    pub(super) unsafe fn custom(&mut self, step: &CustomStep) -> Result<()> {
        let mut operands = Vec::with_capacity(step.operands.len());
        for (window, shape) in &step.operands {
            operands.push(self.located(window, shape.len())?);
        }
        let result = self.located(&step.result.0, step.result.1.len())?;
        // SAFETY: the windows have the shapes of the step, and nobody reads the result's place in it.
        unsafe { custom::call(step, self.symbols, &operands, &result) }
    }
}
