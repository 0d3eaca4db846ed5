//! One launch of a kernel: which loops it makes, which windows of its operands fit the device, and the dispatches.
//!
//! A window is a range of points, and for reductions a range of blocks of elements, small enough that what each
//! operand reaches in it fits a binding. Windows, like sizes and strides, are data of a dispatch: numbers of points and
//! elements stay those of the whole launch, so that the order of a reduction does not depend on them.

use std::ops::Range;

use crate::backend::gpu::dispatch::Dispatch;
use crate::backend::gpu::emit::body::writes_bytes;
use crate::backend::gpu::emit::layout::{Layout, Role, Variant, reductions, state_words, steps};
use crate::backend::gpu::emit::types::Types;
use crate::backend::gpu::emit::{invocations, shader_limits};
use crate::backend::gpu::kernel::{GpuBase, GpuKernel, GpuOperand};
use crate::backend::gpu::loops::{Loop, Span, box_of, count, merged, middle, plain, span};
use crate::backend::gpu::memory::DeviceMemory;
use crate::backend::gpu::parts::rounds_of_point;
use crate::backend::gpu::recorder::Recorder;
use crate::error::{Error, Result};
use crate::loops::{Access, Axis, Kernel, Nest, ShaderLimits};
use crate::ops::reduction::{BLOCK, LANES};

/// More windows than this mean that an access cannot be cut into windows.
const MOST_WINDOWS: usize = 1 << 14;

/// Numbers of points, elements and steps stay below this: those of the last workgroup and the last block, which go beyond
/// the end, are words too.
const MOST_NUMBERS: u64 = (1 << 32) - (1 << 16);

/// The most points, or groups of lanes, of one dispatch: a grid may have nearly a row of workgroups too many, and the
/// numbers of their invocations are words too.
const MOST_AT_ONCE: u64 = 1 << 31;

/// A launch with its loops.
pub struct Launch<'a> {
    /// What is launched.
    pub kernel: &'a GpuKernel,
    /// The limits of the device.
    pub limits: ShaderLimits,
    /// What it runs on.
    pub operands: &'a [GpuOperand<'a>],
    /// The loops over results.
    pub outer: Vec<Loop>,
    /// The loops of the reduction.
    pub reduced: Vec<Loop>,
    /// The loops inside a point.
    pub steps: Vec<Loop>,
    /// Invocations of a workgroup.
    pub invocations: u32,
}

/// A part of a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The points.
    pub points: Range<u64>,
    /// The blocks of elements of each of them.
    pub blocks: Range<u64>,
}

impl GpuKernel {
    /// Records the dispatches of a launch.
    ///
    /// # Errors
    /// `Unsupported` for an access that does not fit the device's limits, `Memory` where there is none for the states
    /// of a reduction, `Device` and `Internal` from the device.
    pub fn record(&self, recorder: &mut Recorder, extents: &[usize], operands: &[GpuOperand<'_>]) -> Result<()> {
        let mut launch = Launch::unmerged(self, extents, operands)?;
        launch.outer = merged(launch.outer);
        launch.reduced = merged(launch.reduced);
        if count(&launch.outer) == 0 {
            return Ok(());
        }
        launch.check()?;
        let rounds = rounds_of_point(self.kernel(), Some(extents));
        let is_long = rounds.is_none_or(|rounds| rounds > self.rounds_at_once());
        match reductions(self.kernel()) {
            Some(_) if is_long => Err(launch.is_too_long()),
            Some(_) => launch.reduce(recorder),
            None if is_long => launch.map_parts(recorder, rounds),
            None => launch.map(recorder),
        }
    }
}

impl<'a> Launch<'a> {
    /// A launch over all axes, each a loop of its own, which is yet to be checked.
    ///
    /// # Errors
    /// `Internal` for a kernel that is not one map.
    pub fn unmerged(kernel: &'a GpuKernel, extents: &[usize], operands: &'a [GpuOperand<'a>]) -> Result<Launch<'a>> {
        let [Nest::Map { axes, body }] = kernel.kernel().body.as_slice() else {
            return Err(Error::Internal(format!("the kernel `{}` is not one map", kernel.kernel().name)));
        };
        let reduced = match body.first() {
            Some(Nest::Reduce { axes, .. }) => axes.as_slice(),
            Some(Nest::Map { .. } | Nest::Sequential { .. } | Nest::While { .. } | Nest::Block(_)) | None => &[],
        };
        let stride = |operand: usize, axis: Axis| operands[operand].strides.get(axis.0 as usize).copied().unwrap_or(0);
        let loops = |axes: &[Axis]| plain(axes, extents, stride, operands.len());
        let limits = shader_limits(kernel.target())?;
        Ok(Launch {
            kernel,
            limits,
            operands,
            outer: loops(axes),
            reduced: loops(reduced),
            steps: loops(&steps(&kernel.kernel().body)),
            invocations: invocations(kernel.kernel(), &limits),
        })
    }
}

impl Launch<'_> {
    fn kernel_ir(&self) -> &Kernel {
        self.kernel.kernel()
    }

    /// Numbers of points, elements and positions fit a word.
    ///
    /// # Errors
    /// `Unsupported` where they do not.
    pub fn check(&self) -> Result<()> {
        let steps = self.steps.iter().map(|step| step.extent).max().unwrap_or(0);
        let largest = count(&self.outer).max(count(&self.reduced)).max(steps);
        let too_far = |operand: usize| {
            let reach = self.reach(operand, &(0..count(&self.outer)), &(0..count(&self.reduced)));
            let limit = i64::from(i32::MAX);
            self.kernel_ir().operands[operand].access == Access::Index && (reach.low < -limit || reach.high > limit)
        };
        if largest > MOST_NUMBERS || (0..self.operands.len()).any(too_far) {
            return Err(Error::Unsupported(format!(
                "the kernel `{}` has {largest} elements, and a GPU numbers at most {}, and positions below \
                 2³¹; split the arrays, or use Device::Cpu",
                self.kernel_ir().name,
                MOST_NUMBERS
            )));
        }
        Ok(())
    }

    /// The elements of an operand that are reached from some points and elements of their reductions.
    pub fn reach(&self, operand: usize, points: &Range<u64>, elements: &Range<u64>) -> Span {
        let steps = box_of(&self.steps, operand);
        let inner = if elements.is_empty() { Span::POINT } else { span(&self.reduced, operand, elements) };
        if points.is_empty() { inner.plus(steps) } else { span(&self.outer, operand, points).plus(inner).plus(steps) }
    }

    /// The elements of some blocks.
    pub fn elements(&self, blocks: &Range<u64>) -> Range<u64> {
        let (total, block) = (count(&self.reduced), BLOCK as u64);
        (blocks.start * block).min(total)..(blocks.end * block).min(total)
    }

    /// The most points, or groups of lanes, of one dispatch.
    fn most(&self, per_workgroup: u64) -> u64 {
        let groups = u64::from(self.limits.groups);
        groups.saturating_mul(groups).saturating_mul(per_workgroup).min(MOST_AT_ONCE)
    }

    /// The variant of the kernel for this launch.
    pub fn variant(&self, role: Role) -> Variant {
        Variant { role, outer: self.outer.len(), reduced: self.reduced.len(), results_first: self.results_first() }
    }

    /// The layout of a part of the kernel.
    fn layout(&self, role: Role) -> Result<Layout> {
        Layout::new(self.kernel_ir(), self.variant(role), &self.limits)
    }

    fn map(&self, recorder: &mut Recorder) -> Result<()> {
        let mut windows = Vec::new();
        self.cut_map(Role::Map, &mut windows, u64::MAX)?;
        for points in windows {
            let role = if self.gathers_bytes(&points) { Role::MapBytes } else { Role::Map };
            let threads = (points.end - points.start).div_ceil(if role == Role::MapBytes { 4 } else { 1 });
            let groups = threads.div_ceil(u64::from(self.invocations));
            let emitted = self.kernel.emitted(self.variant(role))?;
            let window = Window { points: points.clone(), blocks: 0..0 };
            Dispatch::new(self, &emitted, window, points.end - points.start).run(recorder, groups)?;
        }
        Ok(())
    }

    /// Whether points in a row write bytes in a row that begin a word.
    fn gathers_bytes(&self, points: &Range<u64>) -> bool {
        let in_a_row = |operand: usize| match self.outer.as_slice() {
            [only] => only.strides[operand] == 1 && (self.operands[operand].offset + points.start as i64) % 4 == 0,
            _ => false,
        };
        let writes = self.kernel_ir().operands.iter().enumerate();
        let mut bytes = writes.filter(|(_, x)| x.access == Access::Write && x.dtype.size() == 1);
        writes_bytes(self.kernel_ir()) && self.steps.is_empty() && bytes.all(|(operand, _)| in_a_row(operand))
    }

    /// Cuts all points into ranges that a map can be dispatched for, of at most so many points.
    ///
    /// # Errors
    /// As `cut_points`.
    pub fn cut_map(&self, role: Role, windows: &mut Vec<Range<u64>>, most: u64) -> Result<()> {
        let (layout, most) = (self.layout(role)?, self.most(u64::from(self.invocations)).min(most));
        self.cut_points(0..count(&self.outer), windows, &|points| {
            points.end - points.start <= most && Dispatch::fits(self, &layout, points, &(0..0))
        })
    }

    /// Cuts points into ranges that fit.
    ///
    /// # Errors
    /// `Unsupported`, naming the limit, if single points do not fit.
    pub fn cut_points(
        &self,
        points: Range<u64>,
        windows: &mut Vec<Range<u64>>,
        fits: &dyn Fn(&Range<u64>) -> bool,
    ) -> Result<()> {
        let mut left = vec![points];
        while let Some(points) = left.pop() {
            if fits(&points) {
                windows.push(points);
            } else if points.end - points.start <= 1 || windows.len() + left.len() > MOST_WINDOWS {
                return Err(self.does_not_fit());
            } else {
                let middle = middle(&self.outer, &points);
                left.push(middle..points.end);
                left.push(points.start..middle);
            }
        }
        Ok(())
    }

    /// The error of an access that cannot be cut.
    pub fn does_not_fit(&self) -> Error {
        Error::Unsupported(format!(
            "the kernel `{}` reaches further into an array than the {} bytes that the device binds at once, and cannot \
             be cut into windows; make the array contiguous along the axis that is walked, split it, or use \
             Device::Cpu",
            self.kernel_ir().name,
            self.limits.binding_bytes
        ))
    }

    /// The error of a reduction whose results go through loops that no single dispatch can make.
    fn is_too_long(&self) -> Error {
        Error::Unsupported(format!(
            "the kernel `{}` walks more than {} steps of a loop behind a reduction in one piece; write the reduction as a \
             result of its own, or use Device::Cpu",
            self.kernel_ir().name,
            self.kernel.rounds_at_once()
        ))
    }

    /// The blocks of each reduction; one where there are no elements.
    fn block_count(&self) -> u64 {
        count(&self.reduced).div_ceil(BLOCK as u64).max(1)
    }

    fn reduce(&self, recorder: &mut Recorder) -> Result<()> {
        let blocks = self.block_count();
        let per_workgroup = u64::from(self.invocations) / LANES as u64;
        let most = self.most(per_workgroup);
        if blocks == 1 {
            let (mut windows, layout) = (Vec::new(), self.layout(Role::Direct)?);
            self.cut_points(0..count(&self.outer), &mut windows, &|points| {
                points.end - points.start <= most && Dispatch::fits(self, &layout, points, &(0..1))
            })?;
            for points in windows {
                let results = points.end - points.start;
                let emitted = self.kernel.emitted(self.variant(Role::Direct))?;
                let window = Window { points, blocks: 0..1 };
                Dispatch::new(self, &emitted, window, results).run(recorder, results.div_ceil(per_workgroup))?;
            }
            return Ok(());
        }
        let state_bytes = 4 * state_words(self.kernel_ir(), Types { has_i64: self.limits.has_i64 }) as u64;
        let (mut windows, finish, partial) = (Vec::new(), self.layout(Role::Finish)?, self.layout(Role::Partial)?);
        self.cut_points(0..count(&self.outer), &mut windows, &|points| {
            let states = (points.end - points.start).saturating_mul(blocks);
            states.saturating_mul(state_bytes) <= self.limits.binding_bytes
                && Dispatch::fits(self, &finish, points, &(0..0))
                && self.cut_blocks(&partial, points, blocks, most).is_some()
        })?;
        for points in windows {
            let ranges = self.cut_blocks(&partial, &points, blocks, most).ok_or_else(|| self.does_not_fit())?;
            self.reduce_points(recorder, &points, &ranges, state_bytes)?;
        }
        Ok(())
    }

    /// Ranges of blocks that fit for some points; none if single blocks do not.
    fn cut_blocks(&self, layout: &Layout, points: &Range<u64>, blocks: u64, most: u64) -> Option<Vec<Range<u64>>> {
        let results = points.end - points.start;
        let mut windows: Vec<Range<u64>> = Vec::new();
        let mut left: Vec<Range<u64>> = std::iter::once(0..blocks).collect();
        while let Some(range) = left.pop() {
            let slots = results.saturating_mul(range.end - range.start);
            if slots <= most && Dispatch::fits(self, layout, points, &range) {
                windows.push(range);
            } else if range.end - range.start <= 1 || windows.len() + left.len() > MOST_WINDOWS {
                return None;
            } else {
                let middle = range.start + (range.end - range.start) / 2;
                left.push(middle..range.end);
                left.push(range.start..middle);
            }
        }
        Some(windows)
    }

    fn reduce_points(
        &self,
        recorder: &mut Recorder,
        points: &Range<u64>,
        ranges: &[Range<u64>],
        state_bytes: u64,
    ) -> Result<()> {
        let (results, blocks) = (points.end - points.start, self.block_count());
        let scratch = |states: u64| recorder_scratch(recorder, results * states * state_bytes);
        let mut states = scratch(blocks)?;
        let per_workgroup = u64::from(self.invocations) / LANES as u64;
        let partial = self.kernel.emitted(self.variant(Role::Partial))?;
        for range in ranges {
            let slots = results * (range.end - range.start);
            let window = Window { points: points.clone(), blocks: range.clone() };
            let dispatch = Dispatch::new(self, &partial, window, slots).states(blocks, 0).writes(&states);
            dispatch.run(recorder, slots.div_ceil(per_workgroup))?;
        }
        let (mut left, at_once) = (blocks, u64::from(self.invocations));
        let window = Window { points: points.clone(), blocks: 0..0 };
        while left > at_once {
            let next = left.div_ceil(at_once);
            let merged = recorder_scratch(recorder, results * next * state_bytes)?;
            let emitted = self.kernel.emitted(self.variant(Role::Merge))?;
            let dispatch = Dispatch::new(self, &emitted, window.clone(), results * next);
            let dispatch = dispatch.states(left, at_once.ilog2()).reads(&states).writes(&merged);
            dispatch.run(recorder, results * next)?;
            (states, left) = (merged, next);
        }
        let bits = left.next_power_of_two().ilog2();
        let emitted = self.kernel.emitted(self.variant(Role::Finish))?;
        let dispatch = Dispatch::new(self, &emitted, window, results).states(left, bits).reads(&states);
        dispatch.run(recorder, results.div_ceil(at_once >> bits))
    }

    /// Whether neighboring results, rather than neighboring elements, are neighbors in memory.
    fn results_first(&self) -> bool {
        let (Some(outer), Some(reduced)) = (self.outer.last(), self.reduced.last()) else { return false };
        let reads = self.kernel_ir().operands.iter().enumerate().filter(|(_, x)| x.access == Access::Read);
        let is_unit = |stride: i64| stride.abs() == 1;
        let prefers = |(operand, _): (usize, _)| {
            i32::from(is_unit(outer.strides[operand])) - i32::from(is_unit(reduced.strides[operand]))
        };
        reductions(self.kernel_ir()).is_some() && reads.map(prefers).sum::<i32>() > 0
    }
}

fn recorder_scratch(recorder: &Recorder, bytes: u64) -> Result<DeviceMemory> {
    let bytes = usize::try_from(bytes).map_err(|_| Error::Memory(format!("{bytes} bytes of states")))?;
    recorder.gpu().allocate(bytes)
}

/// The memory of an operand, if it has any.
pub fn memory<'a>(operand: &GpuOperand<'a>) -> Option<&'a DeviceMemory> {
    match operand.base {
        GpuBase::Memory(memory) => Some(memory),
        GpuBase::Position => None,
    }
}
