//! Launches whose points have long loops: several dispatches, each of so many rounds, that hand on what points keep.
//!
//! Drivers break off invocations that take long, and Mesa's software driver silently ends the loops of an invocation
//! after 65,536 rounds of all its loops together. How many rounds there are follows from the extents, unless a loop goes
//! on while a condition holds: then the host reads whether any point has paused, after twice as many dispatches each
//! time, so that it seldom waits.

use std::ops::Range;

use crate::backend::gpu::dispatch::Dispatch;
use crate::backend::gpu::emit::layout::Role;
use crate::backend::gpu::emit::library::library;
use crate::backend::gpu::emit::ops::expression;
use crate::backend::gpu::emit::parts::Parts;
use crate::backend::gpu::emit::shader_limits;
use crate::backend::gpu::emit::types::Types;
use crate::backend::gpu::launch::{Launch, Window};
use crate::backend::gpu::memory::DeviceMemory;
use crate::backend::gpu::recorder::Recorder;
use crate::error::{Error, Result};
use crate::loops::{Axis, Block, Kernel, Nest, Operation, Statement, Target};

/// How many rounds of loops a dispatch makes for a point, or how far it goes along the inner axis of a product,
/// where the loops call no function that has loops of its own.
pub const LONGEST: u64 = 1 << 14;

/// At most so many rounds does a function of the library make.
const LIBRARY_ROUNDS: u64 = 64;

/// The most rounds of a dispatch, of all its points.
const MOST_WORK: u64 = 1 << 36;

/// A dispatch makes no fewer rounds for a point than this because there are many points.
const FEWEST: u64 = 256;

/// The most dispatches that are submitted at once.
const BATCH: u64 = 64;

/// How many rounds a dispatch may make for a point of a kernel.
///
/// # Errors
/// `Internal` for a target without shaders.
pub fn rounds_at_once(kernel: &Kernel, target: &Target) -> Result<u64> {
    let limits = shader_limits(target)?;
    let library = library(limits.has_i64, target.has_f64);
    let mut called = 0;
    for block in kernel.body.iter().flat_map(blocks) {
        for statement in &block.statements {
            let (Statement::Let(_, operation), types) = (statement, Types { has_i64: limits.has_i64 }) else {
                continue;
            };
            if !matches!(operation, Operation::Load(_) | Operation::Position) {
                called += library.loops_in(&expression(kernel, types, operation)?);
            }
        }
    }
    Ok((LONGEST / (1 + LIBRARY_ROUNDS * called)).max(1))
}

/// The blocks inside the loops of a point.
fn blocks(nest: &Nest) -> Vec<&Block> {
    match nest {
        Nest::Map { body, .. } | Nest::Sequential { body, .. } => body.iter().flat_map(blocks).collect(),
        Nest::While { condition, body, .. } => std::iter::once(condition).chain(body.iter().flat_map(blocks)).collect(),
        Nest::Reduce { .. } => Vec::new(),
        Nest::Block(block) => vec![block],
    }
}

/// How many rounds the loops of a point make, all together, with these extents, or with extents of 1 where there are
/// none; none if that is known only in the end.
pub fn rounds_of_point(kernel: &Kernel, extents: Option<&[usize]>) -> Option<u64> {
    let extent = |axis: &Axis| extents.map_or(1, |extents| extents[axis.0 as usize] as u64);
    kernel.body.iter().try_fold(0, |sum: u64, nest| match nest {
        Nest::Map { body, .. } => Some(sum.saturating_add(rounds(body, &extent)?)),
        Nest::Reduce { .. } | Nest::Sequential { .. } | Nest::While { .. } | Nest::Block(_) => Some(sum),
    })
}

fn rounds(nests: &[Nest], extent: &dyn Fn(&Axis) -> u64) -> Option<u64> {
    nests.iter().try_fold(0, |sum: u64, nest| {
        let own = match nest {
            Nest::Map { axes, body } => around(axes, rounds(body, extent)?, extent),
            Nest::Sequential { axis, body, .. } => around(&[*axis], rounds(body, extent)?, extent),
            Nest::While { .. } => return None,
            Nest::Reduce { .. } | Nest::Block(_) => 0,
        };
        Some(sum.saturating_add(own))
    })
}

/// The rounds of nested loops, with those inside.
fn around(axes: &[Axis], inside: u64, extent: &dyn Fn(&Axis) -> u64) -> u64 {
    axes.iter().rev().fold(inside, |inside, axis| extent(axis).saturating_mul(inside.saturating_add(1)))
}

/// How many loops of a point lie in one another, at most.
fn depth_of_point(kernel: &Kernel) -> u64 {
    let of = |nest: &Nest| match nest {
        Nest::Map { body, .. } => depth(body),
        Nest::Reduce { .. } | Nest::Sequential { .. } | Nest::While { .. } | Nest::Block(_) => 0,
    };
    kernel.body.iter().map(of).max().unwrap_or(0)
}

fn depth(nests: &[Nest]) -> u64 {
    let of = |nest: &Nest| match nest {
        Nest::Map { axes, body } => axes.len() as u64 + depth(body),
        Nest::Sequential { body, .. } | Nest::While { body, .. } => 1 + depth(body),
        Nest::Reduce { .. } | Nest::Block(_) => 0,
    };
    nests.iter().map(of).max().unwrap_or(0)
}

impl Launch<'_> {
    /// A map whose points have so many rounds, or nobody knows how many.
    ///
    /// # Errors
    /// As `GpuKernel::record`.
    pub(super) fn map_parts(&self, recorder: &mut Recorder, rounds: Option<u64>) -> Result<()> {
        let types = Types { has_i64: self.limits.has_i64 };
        let record_bytes = 4 * Parts::new(self.kernel.kernel(), types, 0).words() as u64;
        let (mut windows, most) = (Vec::new(), (self.limits.binding_bytes - 4) / record_bytes);
        self.cut_map(Role::MapPart, &mut windows, most)?;
        windows.into_iter().try_for_each(|points| self.parts_of(recorder, points, record_bytes, rounds))
    }

    fn parts_of(&self, recorder: &mut Recorder, points: Range<u64>, record: u64, rounds: Option<u64>) -> Result<()> {
        let results = points.end - points.start;
        let bytes = usize::try_from(4 + results * record);
        let bytes = bytes.map_err(|_| Error::Memory(format!("{results} records of {record} bytes")))?;
        let states = recorder.gpu().allocate(bytes)?;
        // No part has paused.
        recorder.write(&states, &[0; 4])?;
        let emitted = self.kernel.emitted(self.variant(Role::MapPart))?;
        let at_once = self.kernel.rounds_at_once().min((MOST_WORK / results).max(FEWEST));
        // A point that goes on counts a round of each loop around the one in which it paused once more.
        let counted = at_once.saturating_add(depth_of_point(self.kernel.kernel()));
        let groups = results.div_ceil(u64::from(self.invocations));
        let window = Window { points, blocks: 0..0 };
        let mut part = |recorder: &mut Recorder, number: u64| {
            let dispatch = Dispatch::new(self, &emitted, window.clone(), results).part(number, counted);
            dispatch.writes(&states).run(recorder, groups)
        };
        match rounds {
            Some(rounds) => (1..=rounds.div_ceil(at_once).max(1)).try_for_each(|number| {
                part(recorder, number)?;
                if number % BATCH == 0 { recorder.submit() } else { Ok(()) }
            }),
            None => self.until_done(recorder, &states, &mut part),
        }
    }

    /// Part after part, until no point pauses in one.
    fn until_done(
        &self,
        recorder: &mut Recorder,
        states: &DeviceMemory,
        part: &mut dyn FnMut(&mut Recorder, u64) -> Result<()>,
    ) -> Result<()> {
        let paused = recorder.gpu().allocate(4)?;
        let (mut last, mut next) = (0, 1);
        loop {
            (last + 1..=last + next).try_for_each(|number| part(recorder, number))?;
            last += next;
            recorder.copy(states, 0, &paused, 0, 4)?;
            let reading = recorder.read(&paused)?;
            recorder.submit()?;
            let mut word = [0; 4];
            recorder.fetch(reading, &mut word)?;
            if u32::from_le_bytes(word) != last as u32 {
                return Ok(());
            }
            next = (2 * next).min(BATCH);
        }
    }
}
