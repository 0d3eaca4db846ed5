//! Running a map: rows along the inner axis, the other axes as an odometer, split over threads.
//!
//! Must not know: how code is made; reductions.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::cache::{Key, Of, shared};
use super::emit::Class;
use super::form::{Port, Program, Source};
use super::generate::{Generator, Made};
use super::isa::Isa;
use super::jit::{Code, order_streamed_stores};
use super::parallel::{Split, run, share, split};
use super::settled::{SettledMap, Sharing, operands};
use super::space::{Bases, Space, advance, origin, push_steps, reach, single_row};
use super::variant::{Classes, Variants, classify};
use crate::backend::Parallelism;
use crate::error::{Error, Result};
use crate::loops::{Access, Axis, Launch};

/// Elements of a row that tasks are split at, so that no two write to one cache line.
const GRAIN: usize = 64;

/// Bytes of a result from which on it bypasses the cache, where that does not hold all that the launch reads and writes.
const STREAMED: usize = 16 << 20;

/// Bytes that a launch reads and writes from which on the cache does not hold them: the results would push out more than they
/// leave behind. Fewer are faster written, and read later, where they are.
const CACHED: usize = 32 << 20;

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
    /// Whether its code takes distances ahead of its operands.
    asks: bool,
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

/// How much there is of a launch, or of the row block that it is part of.
struct Size<'a> {
    /// The elements of the launch, and of the block, if that has more.
    part: usize,
    of: usize,
    /// The bytes that the launch reads and writes.
    reach: &'a dyn Fn() -> usize,
}

impl Size<'_> {
    fn elements(&self) -> usize {
        self.part.max(self.of)
    }

    fn bytes(&self) -> usize {
        let bytes = (self.reach)() as u128 * self.elements() as u128 / self.part.max(1) as u128;
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
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
            asks: asks_ahead(&program),
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
    fn streaming_code(&self, classes: &Classes, size: &Size<'_>) -> Result<Option<&Code>> {
        let written =
            || self.program.ports.iter().zip(classes).filter(|(port, _)| port.operand.access == Access::Write);
        let large = |(port, _): (&Port, &Class)| size.elements().saturating_mul(port.operand.dtype.size()) >= STREAMED;
        let in_vectors = |(port, class): (&Port, &Class)| *class == Class::Contiguous && port.operand.dtype.size() >= 4;
        let may_stream = self.program.loops.is_empty() && written().any(large) && written().all(in_vectors);
        if !may_stream || size.bytes() < CACHED {
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

    /// A launch whose addresses are to come, if its results are to stay in the cache.
    ///
    /// # Errors
    /// As `launch`.
    pub fn settle(&self, axes: &[Axis], launch: &Launch<'_>, parallelism: &Parallelism) -> Result<Option<SettledMap>> {
        let ports = &self.program.ports;
        let mut space = Space::new(launch, axes, ports)?;
        let sharing = Sharing::new(parallelism, space.len(), self.weight(launch));
        space.sort_for(ports);
        let strides = self.row_strides(&space, launch)?;
        let classes = classify(&self.program, &strides);
        let size = Size { part: space.len(), of: launch.part_of, reach: &|| space.reach(ports) };
        if self.streaming_code(&classes, &size)?.is_some() {
            return Ok(None);
        }
        let code = if space.len() > 0 { Some(Arc::clone(self.code(&classes)?)) } else { None };
        let (row, outer) = (space.row(), space.without_rows());
        Ok(Some(SettledMap { code, strides, row, outer, operands: operands(ports), sharing }))
    }

    /// The strides of the operands along the innermost axis, and what the loops go by.
    fn row_strides(&self, space: &Space, launch: &Launch<'_>) -> Result<Bases> {
        let mut strides = match space.axes() {
            0 => single_strides(&self.program),
            axes => Bases::from_slice(space.strides(axes - 1)),
        };
        self.complete(&mut strides, launch)?;
        Ok(strides)
    }

    /// Adds what the loops go by, and how far ahead of the operands kernels ask for memory.
    fn complete(&self, strides: &mut Bases, launch: &Launch<'_>) -> Result<()> {
        push_steps(strides, launch, &self.program.steps, &self.program.ports)?;
        if self.asks {
            push_ahead(strides, &self.program.ports, launch.ahead);
        }
        Ok(())
    }

    /// Whether its code takes distances ahead of its operands.
    pub fn asks_ahead(&self) -> bool {
        self.asks
    }

    /// Runs it over some axes of a launch.
    ///
    /// # Safety
    /// The launch keeps what `Launch` promises.
    pub unsafe fn launch(&self, axes: &[Axis], launch: &Launch<'_>, parallelism: &Parallelism) -> Result<()> {
        let ports = &self.program.ports;
        let weight = self.weight(launch);
        let single = single_row(launch, axes, ports)?;
        // Once, as it may say that a thread is to be woken now.
        let decided = single.as_ref().map(|&(length, ..)| split(parallelism, length, weight));
        if let Some((length, origin, mut strides)) = single
            && decided.is_some_and(|split| split.tasks == 1)
        {
            if length > 0 {
                self.complete(&mut strides, launch)?;
                let reach = || reach(ports, |port| if strides[port] == 0 { 1 } else { length });
                let row = self.row(&strides, &Size { part: length, of: launch.part_of, reach: &reach })?;
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
        let size = Size { part: space.len(), of: launch.part_of, reach: &|| space.reach(ports) };
        let row = self.row(&strides, &size)?;
        let split = decided.unwrap_or_else(|| split(parallelism, space.len(), weight));
        // SAFETY: by the caller's word.
        unsafe { self.rows(&space, &origin, &row, split, parallelism) }
    }

    /// The code for rows at such strides, where there is so much before anything is read.
    fn row<'a>(&'a self, strides: &'a [i64], size: &Size<'_>) -> Result<Row<'a>> {
        let classes = classify(&self.program, strides);
        Ok(Row { code: self.code(&classes)?, streaming: self.streaming_code(&classes, size)?, strides })
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
        row: &Row<'_>,
        split: Split,
        parallelism: &Parallelism,
    ) -> Result<()> {
        let outer = space.without_rows();
        let cut = Cut::new(outer.len(), space.row(), split);
        run(parallelism, split, cut.tasks(), |tasks| {
            for (rows, columns) in cut.parts(tasks) {
                let mut first = Bases::from_slice(origin);
                advance(&mut first, row.strides, columns.start as i64);
                outer.visit(&first, rows, |bases| {
                    // SAFETY: by the caller's word.
                    unsafe { self.run_row(row, bases, columns.len()) }
                });
            }
            row.finish();
        });
        Ok(())
    }
}

/// How rows of a length are cut into tasks: each has some of them, or a piece of one.
pub(super) struct Cut {
    rows: usize,
    row: usize,
    shares: usize,
    pieces: usize,
    /// How many elements more the first piece has.
    lead: usize,
}

impl Cut {
    /// About as many tasks as the launch is split into.
    pub fn new(rows: usize, row: usize, Split { tasks, lead, .. }: Split) -> Cut {
        let pieces = if rows >= tasks { 1 } else { tasks.div_ceil(rows).min(row.div_ceil(GRAIN)).max(1) };
        let shares = if pieces > 1 { rows } else { tasks.min(rows) };
        Cut { rows, row, shares, pieces, lead: if rows == 1 { lead } else { 0 } }
    }

    /// How many there are.
    pub fn tasks(&self) -> usize {
        self.shares * self.pieces
    }

    /// The rows of some tasks, and the part of each of them.
    pub fn parts(&self, tasks: Range<usize>) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let pieces = self.pieces;
        // Tasks of whole rows are one part, else each row is.
        let (step, end) = if pieces == 1 { (tasks.len().max(1), tasks.end) } else { (1, tasks.end.div_ceil(pieces)) };
        (tasks.start / pieces..end).step_by(step).map(move |share| {
            let first = share * pieces;
            let of_row = tasks.start.max(first) - first..tasks.end.min(first + pieces) - first;
            (self::share(self.rows, self.shares, share..share + step), self.pieces(of_row))
        })
    }

    /// Pieces of a row, cut at multiples of the grain.
    fn pieces(&self, some: Range<usize>) -> Range<usize> {
        if self.pieces == 1 {
            return 0..self.row;
        }
        let grains = self.row.div_ceil(GRAIN);
        let lead = (self.lead / GRAIN).min(grains / 2);
        let rest = share(grains - lead, self.pieces, some.clone());
        let start = if some.start == 0 { 0 } else { rest.start + lead };
        (start * GRAIN).min(self.row)..((rest.end + lead) * GRAIN).min(self.row)
    }
}

/// Whether code of a program is told how far ahead of its operands kernels ask for memory: where it calls some.
pub(super) fn asks_ahead(program: &Program) -> bool {
    program.loops.is_empty() && program.calls_kernels()
}

/// Adds for each operand how far from it in bytes lies what is read later; 0 where that is not known.
pub(super) fn push_ahead(strides: &mut Bases, ports: &[Port], ahead: &[isize]) {
    strides.extend(ports.iter().map(|port| match port.source {
        Source::Kernel(id) => ahead.get(id.0 as usize).map_or(0, |&bytes| bytes as i64),
        Source::State(_) => 0,
    }));
}

/// The strides of a single element: as if it were one of a contiguous row, so that no variant is made for it.
pub(super) fn single_strides(program: &Program) -> Bases {
    let stride = |access: Access, size: usize| if access == Access::Index { 0 } else { size as i64 };
    program.ports.iter().map(|port| stride(port.operand.access, port.operand.dtype.size())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Call;

    #[test]
    fn parts_cover_every_element_once() {
        for (rows, row, tasks, lead) in
            [(1, 30_000, 2, 1500), (1, 30_000, 2, 0), (1, 100, 3, 1 << 40), (1, 1, 2, 9), (3, 500, 8, 70), (9, 7, 4, 7)]
        {
            let cut = Cut::new(rows, row, Split { tasks, few: tasks, call: Call::Wake(1), lead });
            for at_once in [1, 2, 5, cut.tasks()] {
                let mut seen = vec![0; rows * row];
                let starts = (0..cut.tasks()).step_by(at_once);
                let parts = starts.flat_map(|start| cut.parts(start..(start + at_once).min(cut.tasks())));
                for (rows, columns) in parts {
                    for index in rows {
                        seen[index * row..][columns.clone()].iter_mut().for_each(|count| *count += 1);
                    }
                }
                assert!(seen.iter().all(|&count| count == 1), "{rows} {row} {tasks} {lead} {at_once}");
            }
        }
        let cut = Cut::new(1, 30_000, Split { tasks: 2, few: 2, call: Call::Wake(1), lead: 1500 });
        assert_eq!(cut.parts(0..1).next().unwrap().1.end, 15_744);
        // Neighbors are one part.
        let cut = Cut::new(2, 640, Split { tasks: 10, few: 10, call: Call::Wake(1), lead: 0 });
        assert_eq!(cut.parts(3..7).collect::<Vec<_>>(), [(0..1, 384..640), (1..2, 0..256)]);
        let cut = Cut::new(40, 7, Split { tasks: 10, few: 10, call: Call::Wake(1), lead: 0 });
        assert_eq!(cut.parts(3..7).collect::<Vec<_>>(), [(12..28, 0..7)]);
    }
}
