//! Running a map: rows along the inner axis, the other axes as an odometer, split over threads.
//!
//! Must not know: how code is made; reductions.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::cache::{Key, Of, shared};
use super::emit::Class;
use super::form::{Port, Program};
use super::generate::{Generator, Made};
use super::isa::Isa;
use super::jit::{Code, order_streamed_stores};
use super::parallel::{Split, is_split, run, share, split};
use super::settled::{SettledMap, operands};
use super::space::{Bases, Space, advance, origin, push_steps, single_row};
use super::variant::{Classes, Variants, classify};
use crate::backend::Parallelism;
use crate::error::{Error, Result};
use crate::loops::{Access, Axis, Launch};

/// Elements of a row that tasks are split at, so that no two write to one cache line.
const GRAIN: usize = 64;

/// Bytes of a result from which on it bypasses the cache: it would push out more than it leaves behind.
const STREAMED: usize = 16 << 20;

/// Bytes of a vector, which streaming stores are aligned to.
const ALIGNED: i64 = 32;

/// A program as a map, with its code.
#[derive(Debug)]
pub(super) struct Map {
    isa: &'static Isa,
    program: Arc<Program>,
    /// Whether it only ever has one element.
    single: bool,
    /// The cost of an element but for its loops.
    weight: usize,
    variants: Variants,
    /// Code whose results bypass the cache.
    streaming: Variants,
}

/// Code for rows, and what it is called with.
struct Row<'a> {
    code: &'a Code,
    /// Code whose results bypass the cache, where they are to.
    streaming: Option<&'a Code>,
    /// Along the row, and what the loops go by.
    strides: &'a [i64],
}

impl Row<'_> {
    /// Lets others see what went past the cache, on the thread that stored it.
    fn finish(&self) {
        if self.streaming.is_some() {
            order_streamed_stores();
        }
    }
}

impl Map {
    /// A map of which nothing is compiled yet.
    pub fn new(isa: &'static Isa, program: Program, single: bool) -> Map {
        Map {
            isa,
            weight: program.weight(isa.features.fma),
            program: Arc::new(program),
            single,
            variants: Variants::default(),
            streaming: Variants::default(),
        }
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// How many variants have been compiled.
    pub fn compilations(&self) -> usize {
        self.variants.compilations()
    }

    /// How long they took to compile.
    pub fn compile_time(&self) -> Duration {
        self.variants.compile_time()
    }

    /// The code for operands of such classes.
    pub fn code(&self, classes: &Classes) -> Result<&Arc<Code>> {
        let make = |classes: &[_]| {
            let of = Of::Map { single: self.single };
            shared(Key::new(self.isa, of, &self.program, classes), || {
                Generator::new(self.isa).map(&self.program, classes, self.single)
            })
        };
        self.variants.get(classes, &self.program, make)
    }

    /// The code for results too large for the cache; none where they cannot bypass it.
    fn streaming_code(&self, classes: &Classes, elements: usize) -> Result<Option<&Code>> {
        let written =
            || self.program.ports.iter().zip(classes).filter(|(port, _)| port.operand.access == Access::Write);
        let large = |(port, _): (&Port, &Class)| elements.saturating_mul(port.operand.dtype.size()) >= STREAMED;
        let in_vectors = |(port, class): (&Port, &Class)| *class == Class::Contiguous && port.operand.dtype.size() >= 4;
        if !self.program.loops.is_empty() || !written().any(large) || !written().all(in_vectors) {
            return Ok(None);
        }
        let make = |classes: &[_]| {
            shared(Key::new(self.isa, Of::StreamingMap, &self.program, classes), || {
                let made = Generator::new(self.isa).streaming_map(&self.program, classes)?;
                made.map(Made::Wide).ok_or_else(|| Error::Unsupported("no streaming stores".into()))
            })
        };
        match self.streaming.get(classes, &self.program, make) {
            Ok(code) => Ok(Some(&**code)),
            Err(Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The elements before the first from which on all results lie at multiples of a vector's size, if there is one.
    fn unaligned(&self, bases: &[i64]) -> Option<usize> {
        let mut written = self.program.ports.iter().zip(bases).filter(|(port, _)| port.operand.access == Access::Write);
        let before = |(port, base): (&Port, &i64)| {
            let (size, bytes) = (port.operand.dtype.size(), base.wrapping_neg().rem_euclid(ALIGNED) as usize);
            bytes.is_multiple_of(size).then_some(bytes / size)
        };
        let first = before(written.next()?)?;
        written.all(|port| before(port) == Some(first)).then_some(first)
    }

    /// The cost of an element in a launch.
    fn weight(&self, launch: &Launch<'_>) -> usize {
        if self.program.loops.is_empty() {
            return self.weight;
        }
        let extent = |Axis(axis): &Axis| launch.extents.get(*axis as usize).copied().unwrap_or(1);
        let extents: SmallVec<[usize; 4]> = self.program.steps.iter().map(extent).collect();
        self.weight.saturating_add(self.program.loops_weight(&extents, self.isa.features.fma))
    }

    /// A launch whose addresses are to come, if it runs on the caller's thread and its results are to stay in the cache.
    ///
    /// # Errors
    /// As `launch`.
    pub fn settle(&self, axes: &[Axis], launch: &Launch<'_>, parallelism: &Parallelism) -> Result<Option<SettledMap>> {
        let ports = &self.program.ports;
        let mut space = Space::new(launch, axes, ports)?;
        if is_split(parallelism, space.len(), self.weight(launch)) {
            return Ok(None);
        }
        space.sort_for(ports);
        let strides = self.row_strides(&space, launch)?;
        let classes = classify(&self.program, &strides);
        if self.streaming_code(&classes, space.len())?.is_some() {
            return Ok(None);
        }
        let code = if space.len() > 0 { Some(Arc::clone(self.code(&classes)?)) } else { None };
        Ok(Some(SettledMap { code, strides, row: space.row(), outer: space.without_rows(), operands: operands(ports) }))
    }

    /// The strides of the operands along the innermost axis, and what the loops go by.
    fn row_strides(&self, space: &Space, launch: &Launch<'_>) -> Result<Bases> {
        let mut strides = match space.axes() {
            0 => single_strides(&self.program),
            axes => Bases::from_slice(space.strides(axes - 1)),
        };
        push_steps(&mut strides, launch, &self.program.steps, &self.program.ports)?;
        Ok(strides)
    }

    /// Runs it over some axes of a launch.
    ///
    /// # Safety
    /// The launch keeps what `Launch` promises.
    pub unsafe fn launch(&self, axes: &[Axis], launch: &Launch<'_>, parallelism: &Parallelism) -> Result<()> {
        let ports = &self.program.ports;
        let weight = self.weight(launch);
        if let Some((length, origin, mut strides)) = single_row(launch, axes, ports)?
            && split(parallelism, length, weight).tasks == 1
        {
            if length > 0 {
                push_steps(&mut strides, launch, &self.program.steps, ports)?;
                let row = self.row(&strides, length)?;
                // SAFETY: the row's elements are those of the launch, whose promises are the caller's.
                unsafe { self.run_row(&row, &origin, length) };
                row.finish();
            }
            return Ok(());
        }
        let mut space = Space::new(launch, axes, ports)?;
        if space.len() == 0 {
            return Ok(());
        }
        space.sort_for(ports);
        let origin = origin(launch, ports)?;
        let strides = self.row_strides(&space, launch)?;
        let split = split(parallelism, space.len(), weight);
        // SAFETY: by the caller's word.
        unsafe { self.rows(&space, &origin, &strides, split, parallelism) }
    }

    /// The code for rows at such strides, of a launch of so many elements.
    fn row<'a>(&'a self, strides: &'a [i64], elements: usize) -> Result<Row<'a>> {
        let classes = classify(&self.program, strides);
        Ok(Row { code: self.code(&classes)?, streaming: self.streaming_code(&classes, elements)?, strides })
    }

    /// Runs one row; its results bypass the cache from the first on that lies right for it. `Row::finish` follows the
    /// last one: in each row it would wait for the stores of the row.
    ///
    /// # Safety
    /// The elements of the row may be accessed as the operands' uses say.
    unsafe fn run_row(&self, row: &Row<'_>, bases: &[i64], count: usize) {
        let aligned = row.streaming.and_then(|streaming| Some((streaming, self.unaligned(bases)?)));
        let Some((streaming, before)) = aligned.filter(|(_, before)| *before < count) else {
            // SAFETY: by the caller's word; the code was made for this program and the classes of these strides.
            return unsafe { row.code.call_map(bases, row.strides, count) };
        };
        let mut rest = Bases::from_slice(bases);
        advance(&mut rest, row.strides, before as i64);
        // SAFETY: as above; the results of `rest` are aligned.
        unsafe {
            if before > 0 {
                row.code.call_map(bases, row.strides, before);
            }
            streaming.call_map(&rest, row.strides, count - before);
        }
    }

    /// Runs it over a space, row by row, split about so.
    ///
    /// # Safety
    /// The elements of the space may be accessed as the operands' uses say.
    unsafe fn rows(
        &self,
        space: &Space,
        origin: &[i64],
        strides: &[i64],
        split: Split,
        parallelism: &Parallelism,
    ) -> Result<()> {
        let tasks = split.tasks;
        let code = self.row(strides, space.len())?;
        let row = space.row();
        let outer = space.without_rows();
        let rows = outer.len();
        let pieces = if rows >= tasks { 1 } else { tasks.div_ceil(rows).min(row.div_ceil(GRAIN)).max(1) };
        let shares = if pieces > 1 { rows } else { tasks.min(rows) };
        let task = |task: usize| {
            let columns = piece(row, pieces, task % pieces);
            let mut first = Bases::from_slice(origin);
            advance(&mut first, strides, columns.start as i64);
            outer.visit(&first, share(rows, shares, task / pieces), |bases| {
                // SAFETY: by the caller's word.
                unsafe { self.run_row(&code, bases, columns.len()) }
            });
            code.finish();
        };
        run(parallelism, split, shares * pieces, task);
        Ok(())
    }
}

/// The strides of a single element: as if it were one of a contiguous row, so that no variant is made for it.
pub(super) fn single_strides(program: &Program) -> Bases {
    let stride = |access: Access, size: usize| if access == Access::Index { 0 } else { size as i64 };
    program.ports.iter().map(|port| stride(port.operand.access, port.operand.dtype.size())).collect()
}

/// A piece of a row, cut at multiples of the grain.
fn piece(row: usize, pieces: usize, piece: usize) -> std::ops::Range<usize> {
    if pieces == 1 {
        return 0..row;
    }
    let grains = share(row.div_ceil(GRAIN), pieces, piece);
    (grains.start * GRAIN).min(row)..(grains.end * GRAIN).min(row)
}
