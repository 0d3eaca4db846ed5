//! Matrix products: their kernel in the loop IR, with what is computed from each element of the result, and its launch.
//!
//! The kernel says what a product is: for each batch, row and column a sequence over the inner axis that carries the
//! sum, and then the epilogue. Its shader makes the same sums in tiles.

use crate::backend::gpu::dispatch::Dispatch;
use crate::backend::gpu::emit::layout::{Layout, Role, Variant};
use crate::backend::gpu::emit::product::{Tiles, accumulation_ops};
use crate::backend::gpu::emit::shader_limits;
use crate::backend::gpu::kernel::{GpuKernel, GpuOperand};
use crate::backend::gpu::launch::{Launch, Window};
use crate::backend::gpu::parts::LONGEST;
use crate::backend::gpu::recorder::Recorder;
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::loops::{
    Access, Axis, Block, Carried, Kernel, Nest, Operand, OperandId, Operation, Statement, Target, ValueId,
};

/// The axes of a product's kernel: batch, row, column, inner.
const AXES: u32 = 4;

/// A matrix product that a GPU can run.
#[derive(Debug)]
pub struct GpuProduct {
    kernel: GpuKernel,
    dtype: DType,
}

impl GpuProduct {
    /// A product of matrices of a dtype, written as it is.
    ///
    /// # Errors
    /// `Unsupported` for a dtype that the target does not compute.
    pub fn new(dtype: DType, name: &str, target: &Target) -> Result<GpuProduct> {
        let store = Block {
            statements: vec![
                Statement::Let(ValueId(0), Operation::Load(OperandId(0))),
                Statement::Store(OperandId(1), ValueId(0)),
            ],
        };
        let operand = |access| Operand { dtype, access };
        let epilogue = Kernel {
            name: name.to_string(),
            axes: 2,
            operands: vec![operand(Access::Read), operand(Access::Write)],
            types: vec![dtype],
            body: vec![Nest::Map { axes: vec![Axis(0), Axis(1)], body: vec![Nest::Block(store)] }],
        };
        GpuProduct::with_epilogue(epilogue, OperandId(0), target)
    }

    /// A product whose elements go through a kernel over (row, column): what it would load from `product`.
    ///
    /// # Errors
    /// `Unsupported` for what the target does not compute; `Internal` for a kernel that is no map over two axes.
    pub fn with_epilogue(epilogue: Kernel, product: OperandId, target: &Target) -> Result<GpuProduct> {
        let dtype = epilogue.operand(product).dtype;
        let kernel = product_kernel(epilogue, product)?;
        let kernel = GpuKernel::with_role(kernel, target, Some(variant(Role::Product)))?;
        Ok(GpuProduct { kernel, dtype })
    }

    /// The kernel.
    pub fn kernel(&self) -> &GpuKernel {
        &self.kernel
    }

    /// Records the product of a rows × inner and an inner × columns matrix for each batch.
    ///
    /// `sizes` are batches, rows, inner, columns. The strides of `left` are along (batch, row, inner), those of `right`
    /// along (batch, inner, column), those of `others`, the epilogue's operands in order without the product, along
    /// (batch, row, column).
    ///
    /// # Errors
    /// `Unsupported` where the matrices do not fit the device's limits; whatever the device meets.
    pub fn record(
        &self,
        recorder: &mut Recorder,
        sizes: [usize; 4],
        left: &GpuOperand<'_>,
        right: &GpuOperand<'_>,
        others: &[GpuOperand<'_>],
    ) -> Result<()> {
        let [batches, rows, inner, columns] = sizes;
        let mut operands =
            vec![walked(left, [Some(0), Some(1), None, Some(2)]), walked(right, [Some(0), None, Some(2), Some(1)])];
        operands.extend(others.iter().map(|x| walked(x, [Some(0), Some(1), Some(2), None])));
        let extents = [batches, rows, columns, inner];
        if batches == 0 || rows == 0 || columns == 0 {
            return Ok(());
        }
        let launch = Launch::unmerged(&self.kernel, &extents, &operands)?;
        launch.check()?;
        self.dispatch(recorder, &launch, sizes)
    }

    fn dispatch(&self, recorder: &mut Recorder, launch: &Launch<'_>, sizes: [usize; 4]) -> Result<()> {
        let [batches, rows, inner, columns] = sizes.map(|size| size as u64);
        let tiles = Tiles::new(self.dtype, &shader_limits(self.kernel.target())?);
        let tile = u64::from(tiles.tile);
        let most = u64::from(launch.limits.groups);
        if columns.div_ceil(tile) > most {
            return Err(launch.does_not_fit());
        }
        let (is_long, sum_bytes) = (inner > LONGEST, self.sum_bytes());
        let role = if is_long { Role::ProductEnd } else { Role::Product };
        let layout = Layout::new(self.kernel.kernel(), variant(role), &launch.limits)?;
        let mut windows = Vec::new();
        launch.cut_points(0..batches * rows * columns, &mut windows, &|points| {
            let is_whole = points.start % columns == 0 && points.end % columns == 0;
            let lines = (points.end - points.start) / columns;
            is_whole
                && (lines.div_ceil(rows) <= most && lines.min(rows).div_ceil(tile) <= most)
                && (!is_long || (points.end - points.start) * sum_bytes <= launch.limits.binding_bytes)
                && Dispatch::fits(launch, &layout, points, &(0..0))
        })?;
        for points in windows {
            let (first, lines) = (points.start / columns, (points.end - points.start) / columns);
            let here = lines.div_ceil(rows);
            let grid = [columns.div_ceil(tile), lines.min(rows).div_ceil(tile), here].map(|groups| groups as u32);
            let sums = is_long.then(|| recorder.gpu().allocate(((points.end - points.start) * sum_bytes) as usize));
            let sums = sums.transpose()?;
            let window = Window { points, blocks: first / rows..first / rows + here };
            for part in 0..inner.div_ceil(LONGEST).max(1) {
                let range = part * LONGEST..((part + 1) * LONGEST).min(inner);
                let role = if range.end < inner { Role::ProductPart } else { role };
                let emitted = self.kernel.emitted(variant(role))?;
                let dispatch = Dispatch::new(launch, &emitted, window.clone(), lines).inner(range);
                let dispatch = dispatch.rows(first % rows, lines.min(rows)).reads(&sums).writes(&sums);
                dispatch.run_on(recorder, grid)?;
            }
        }
        Ok(())
    }

    /// The bytes of a sum in scratch memory.
    fn sum_bytes(&self) -> u64 {
        self.dtype.size().max(4) as u64
    }
}

/// An operand as the kernel's axes walk it: which of its own axes each of them is.
fn walked<'a>(operand: &GpuOperand<'a>, axes: [Option<usize>; AXES as usize]) -> GpuOperand<'a> {
    let stride = |axis: Option<usize>| axis.and_then(|axis| operand.strides.get(axis)).copied().unwrap_or(0);
    GpuOperand { base: operand.base, offset: operand.offset, strides: axes.into_iter().map(stride).collect() }
}

fn variant(role: Role) -> Variant {
    Variant { role, outer: 3, reduced: 0, results_first: false }
}

/// The whole product as loop IR: operands are left, right, and those of the epilogue but for the product.
fn product_kernel(epilogue: Kernel, product: OperandId) -> Result<Kernel> {
    let dtype = epilogue.operand(product).dtype;
    let Kernel { name, operands, types, body, .. } = epilogue;
    let [Nest::Map { axes, body: nests }] = body.as_slice() else {
        return Err(Error::Internal(format!("the epilogue `{name}` is not one map")));
    };
    let ([row, column], [Nest::Block(block)]) = (axes.as_slice(), nests.as_slice()) else {
        return Err(Error::Internal(format!("the epilogue `{name}` is not one block over rows and columns")));
    };
    if (*row, *column) != (Axis(0), Axis(1)) {
        return Err(Error::Internal(format!("the epilogue `{name}` walks its axes in another order")));
    }
    let read = Operand { dtype, access: Access::Read };
    let others = operands.iter().enumerate().filter(|(index, _)| *index != product.0 as usize).map(|(_, x)| *x);
    let mut kernel =
        Kernel { name, axes: AXES, operands: [read, read].into_iter().chain(others).collect(), types, body: vec![] };
    let [zero, current, left, right, term, next, sum] = [(); 7].map(|()| kernel.new_value(dtype));
    let (times, plus) = accumulation_ops(dtype);
    let step = Block {
        statements: vec![
            Statement::Let(left, Operation::Load(OperandId(0))),
            Statement::Let(right, Operation::Load(OperandId(1))),
            Statement::Let(term, Operation::Binary(times, [left, right])),
            Statement::Let(next, Operation::Binary(plus, [current, term])),
        ],
    };
    let start = Statement::Let(zero, Operation::Constant(Scalar::I64(0).cast(dtype)));
    let sequence = Nest::Sequential {
        axis: Axis(3),
        carried: vec![Carried { initial: zero, current, next, result: sum }],
        body: vec![Nest::Block(step)],
    };
    let rest = Nest::Block(renumbered(block, product, dtype, sum));
    let nests = vec![Nest::Block(Block { statements: vec![start] }), sequence, rest];
    kernel.body = vec![Nest::Map { axes: (0..3).map(Axis).collect(), body: nests }];
    Ok(kernel)
}

/// The epilogue's block over the operands of the product's kernel.
fn renumbered(block: &Block, product: OperandId, dtype: DType, sum: ValueId) -> Block {
    let moved = |operand: OperandId| OperandId(operand.0 + if operand.0 < product.0 { 2 } else { 1 });
    let statement = |statement: &Statement| match *statement {
        Statement::Let(value, Operation::Load(operand)) if operand == product => {
            Statement::Let(value, Operation::Cast(dtype, sum))
        }
        Statement::Let(value, Operation::Load(operand)) => Statement::Let(value, Operation::Load(moved(operand))),
        Statement::Store(operand, value) => Statement::Store(moved(operand), value),
        other @ Statement::Let(..) => other,
    };
    Block { statements: block.statements.iter().map(statement).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loops::verify::verify;

    #[test]
    fn a_product_is_a_valid_kernel() {
        let target = Target::gpu(crate::loops::ShaderLimits::WEBGPU, false);
        for dtype in DType::ALL.into_iter().filter(|dtype| target.computes(*dtype)) {
            let product = GpuProduct::new(dtype, "product", &target).unwrap();
            verify(product.kernel().kernel()).unwrap();
            assert!(product.kernel().text().contains("left_tile"));
        }
        let error = GpuProduct::new(DType::F64, "product", &target).unwrap_err();
        assert!(error.to_string().contains("SHADER_F64"), "{error}");
    }
}
