//! Running a row block: for some rows at a time, step after step, so that rows stay in the cache between steps.
//!
//! A block is *cut* into ranges of one of its leading axes, with one index of each axis further out. Workers take one
//! range after the other (`shares.rs`); memory that only the block uses is as large as a range, and each worker has its
//! own. Nothing is cut that fits into the cache whole, nor where a single row does not fit and there are too few for all threads.
//! Where products sum over the rows, ranges are whole blocks of these sums, which are added up when all ranges are done.
//!
//! Invariant: the same bits as running the steps one after the other, however a block is cut; all memory is had when
//! the cut is made.

use std::borrow::Cow;
use std::sync::OnceLock;

use smallvec::SmallVec;

use crate::array::Block;
use crate::backend::Parallelism;
use crate::backend::matmul::block_columns;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::loops::{Base, Binding};
use crate::lower::plan::{Plan, ProductOverRows, RowBlock, Source, Step, Window};
use crate::runtime::memory::Sizes;
use crate::runtime::row_step::{At, RowProduct, RowStep};
use crate::runtime::shares::Shares;
use crate::runtime::windows::{size, sizes};
use crate::schedule::Slot;
use crate::shape::{Dim, Symbols, element_count};

/// What the kernels of a block may touch while they run for some rows: about a core's share of the caches. Ranges that
/// fit the L2 cache alone begin and end streams through memory so often that they gain nothing.
pub(super) const CACHE: usize = 2 << 20;

/// A range has at least one of so many parts of that; and at most where the next one is asked for while it is still in use,
/// so that both fit the L2 cache with room to spare.
const PARTS: usize = 8;

/// Ranges per thread, so that uneven ones even out.
const PER_THREAD: usize = 4;

/// Ranges of many rows are multiples of this, so that vectors and cache lines are whole.
const GRAIN: usize = 64;

/// Each worker's part of its memory starts at a cache line.
const LINE: usize = 64;

/// A row block of a plan.
#[derive(Debug)]
pub(super) struct Rows {
    pub block: RowBlock,
    /// The sizes of the shared axes.
    extents: SmallVec<[Dim; 4]>,
    /// About how many bytes its steps touch that differ from row to row.
    bytes: Dim,
    /// What sums over the rows: its dtype, the rows and how many sums there are.
    sums: Vec<(DType, [Dim; 2])>,
    /// Whether a step asks for the rows of the next range.
    asks: bool,
}

/// How a block is cut in a call.
pub(super) struct Cut {
    /// The indices of the shared axes up to the one that is cut.
    extents: Sizes<usize>,
    /// How many rows a range has; the last one may have fewer.
    rows: usize,
    workers: usize,
    /// Whether a step asks for the rows of the next range.
    asks: bool,
    /// Where each slot of the block lies in a worker's memory, and how much of that there is.
    places: SmallVec<[usize; 4]>,
    scratch: usize,
    memory: Block,
    /// What each of the products that sum over the rows leaves, by step.
    sums: Vec<Block>,
}

impl Rows {
    /// The row blocks of a plan; `asks` says which kernels ask for the rows of the next range.
    pub fn of<K>(plan: &Plan<K>, asks: impl Fn(&K) -> bool) -> Vec<Rows> {
        let rows = |block: &RowBlock| {
            let steps: Vec<OverRows<'_>> = plan.steps[block.steps.clone()].iter().filter_map(over_rows).collect();
            let extents = steps.first().map(|step| step.extents[..block.axes].into()).unwrap_or_default();
            let sums: Vec<_> = plan.steps[block.steps.clone()].iter().filter_map(sum).collect();
            let ask = |step: &Step<K>| matches!(step, Step::Kernel(step) if asks(&step.kernel));
            let idle = !steps.iter().any(|step| hands_on_rows(step, block.axes));
            let asks = !sums.is_empty() || idle && plan.steps[block.steps.clone()].iter().any(ask);
            Rows { block: block.clone(), extents, bytes: bytes(&steps, block.axes), sums, asks }
        };
        plan.blocks.iter().map(rows).collect()
    }

    /// How to cut the block; none if it is better run whole.
    ///
    /// # Errors
    /// `Memory` if there is none for what the block hands on.
    pub fn cut<K>(&self, plan: &Plan<K>, symbols: &Symbols, cache: usize, who: &Parallelism) -> Result<Option<Cut>> {
        // A sum that cannot be computed is larger than any cache.
        let bytes = self.bytes.evaluate(symbols).map_or(usize::MAX, |bytes| bytes.try_into().unwrap_or(0));
        if bytes <= cache {
            return Ok(None);
        }
        let mut extents = sizes(&self.extents, symbols)?;
        let threads = self.threads(plan, symbols, who)?;
        let parts = if threads == 1 { 1 } else { threads * PER_THREAD };
        let sums = self.sums(symbols)?;
        let most = if self.asks { cache / PARTS } else { cache };
        let share = (bytes / parts).max(cache / PARTS).min(most);
        let mut row = bytes;
        let axis = extents.iter().position(|&extent| {
            row /= extent.max(1);
            row <= share
        });
        extents.truncate(axis.map_or(extents.len(), |axis| axis + 1));
        let last = extents.last().copied().unwrap_or(0);
        let rows = match (share / row.max(1)).clamp(1, last.max(1)) {
            rows if rows < GRAIN => rows,
            rows => rows - rows % GRAIN,
        };
        let grain = sums.iter().map(|&(dtype, [_, sums])| block_columns(dtype, sums)).max().unwrap_or(1);
        if grain > 1 && row.saturating_mul(grain) > cache.max(CACHE) {
            return Ok(None);
        }
        let rows = rows.max(grain) / grain * grain;
        let ranges = ranges(&extents, rows);
        if ranges < 2 || (row > cache && threads > 1 && ranges < threads * PER_THREAD) {
            return Ok(None);
        }
        let mut cut = Cut::new(extents, rows, threads.min(ranges), &self.slots(plan), symbols)?;
        cut.asks = self.asks;
        for (dtype, sizes) in sums {
            cut.sums.push(Block::new(RowProduct::sum_bytes(dtype, sizes).ok_or_else(too_large)?)?);
        }
        Ok(Some(cut))
    }

    fn sums(&self, symbols: &Symbols) -> Result<Vec<(DType, [usize; 2])>> {
        let mut sums = Vec::new();
        for (dtype, [rows, other]) in &self.sums {
            sums.push((*dtype, [size(rows, symbols)?, size(other, symbols)?]));
        }
        Ok(sums)
    }

    fn slots<'p, K>(&self, plan: &'p Plan<K>) -> SmallVec<[&'p Slot; 4]> {
        self.block.slots.iter().map(|&slot| &plan.slots[slot]).collect()
    }

    /// How many threads may take part.
    fn threads<K>(&self, plan: &Plan<K>, symbols: &Symbols, who: &Parallelism) -> Result<usize> {
        let Some(threshold) = who.threshold else { return Ok(who.threads()) };
        for step in plan.steps[self.block.steps.clone()].iter().filter_map(over_rows) {
            let elements = sizes(&step.extents, symbols)?.iter().fold(1, |count: usize, &n| count.saturating_mul(n));
            if elements >= threshold {
                return Ok(who.threads());
            }
        }
        Ok(1)
    }
}

/// A step of a block, over its axes.
struct OverRows<'p> {
    extents: SmallVec<[Dim; 4]>,
    windows: SmallVec<[Cow<'p, Window>; 8]>,
}

fn over_rows<K>(step: &Step<K>) -> Option<OverRows<'_>> {
    match step {
        Step::Kernel(step) => {
            let windows = step.windows.iter().map(Cow::Borrowed).collect();
            Some(OverRows { extents: step.extents.clone(), windows })
        }
        Step::MatMul(step) => {
            let ProductOverRows { extents, matrix, vector, result } = step.over_rows()?;
            let windows = [matrix, vector, result].into_iter().map(Cow::Owned).collect();
            Some(OverRows { extents: extents.into_iter().collect(), windows })
        }
        Step::Custom(_) | Step::Loop(_) => None,
    }
}

/// What a step sums over the rows.
fn sum<K>(step: &Step<K>) -> Option<(DType, [Dim; 2])> {
    let Step::MatMul(step) = step else { return None };
    let product = step.over_rows().filter(|_| step.closes)?;
    Some((product.result.dtype, product.extents))
}

/// Whether a step has to do with whole rows that are no inputs: what is written keeps memory or the cache busy.
fn hands_on_rows(step: &OverRows<'_>, axes: usize) -> bool {
    step.windows.iter().any(|window| {
        let made = matches!(window.source, Source::Output(_) | Source::Slot(_));
        made && window.walks.iter().any(|walk| walk.kernel.0 as usize >= axes)
    })
}

/// The bytes of all windows that move with the rows; a window that several steps have counts once.
fn bytes(steps: &[OverRows<'_>], axes: usize) -> Dim {
    let mut seen: Vec<(&Source, Vec<(u32, i64)>)> = Vec::new();
    let mut sum = Dim::ZERO;
    for (step, window) in steps.iter().flat_map(|step| step.windows.iter().map(move |window| (step, window))) {
        let moves = window.walks.iter().any(|walk| (walk.kernel.0 as usize) < axes);
        let mut walks: Vec<(u32, i64)> = window.walks.iter().map(|walk| (walk.source, walk.step)).collect();
        walks.sort_unstable();
        let known = (&window.source, walks);
        if moves && is_memory(window) && !seen.contains(&known) {
            let sizes: Vec<Dim> =
                window.walks.iter().filter_map(|walk| step.extents.get(walk.kernel.0 as usize)).cloned().collect();
            sum = sum.add(&element_count(&sizes).scale(window.dtype.size() as i64));
            seen.push(known);
        }
    }
    sum
}

fn is_memory(window: &Window) -> bool {
    match window.source {
        Source::Input(_) | Source::PackedInput(_) | Source::Constant(_) | Source::Output(_) | Source::Slot(_) => true,
        Source::Positions | Source::Size(_) | Source::Product => false,
    }
}

/// How many ranges of so many rows of the last axis there are at all indices of the axes before it.
fn ranges(extents: &[usize], rows: usize) -> usize {
    let Some((&last, before)) = extents.split_last() else { return 0 };
    before.iter().fold(last.div_ceil(rows), |count, &extent| count.saturating_mul(extent))
}

impl Cut {
    fn new(extents: Sizes<usize>, rows: usize, workers: usize, slots: &[&Slot], symbols: &Symbols) -> Result<Cut> {
        let all = extents.iter().fold(1, |count: usize, &extent| count.saturating_mul(extent)).max(1);
        let (mut places, mut scratch) = (SmallVec::new(), 0_usize);
        for slot in slots {
            places.push(scratch);
            let bytes = (size(&slot.count, symbols)? / all).checked_mul(rows).and_then(|n| n.checked_mul(slot.element));
            let next = bytes.and_then(|bytes| scratch.checked_add(bytes)?.checked_next_multiple_of(LINE));
            scratch = next.ok_or_else(too_large)?;
        }
        let memory = Block::new(scratch.checked_mul(workers).ok_or_else(too_large)?)?;
        Ok(Cut { extents, rows, workers, asks: false, places, scratch, memory, sums: Vec::new() })
    }

    /// Runs steps over all ranges.
    ///
    /// # Safety
    /// Each of the steps may run over its whole extents; what one of them reads of what another writes it reads at
    /// its own index of the axes that are cut; slots of the block are row-major, these axes first.
    ///
    /// # Errors
    /// The first that a step returns.
    pub unsafe fn run(&mut self, steps: &[RowStep<'_>], parallelism: &Parallelism) -> Result<()> {
        let start = self.memory.bytes_mut().as_mut_ptr().expose_provenance();
        let sums: SmallVec<[usize; 1]> =
            self.sums.iter_mut().map(|sums| sums.bytes_mut().as_mut_ptr().expose_provenance()).collect();
        let (cut, failed) = (&*self, OnceLock::new());
        let shares = Shares::new(ranges(&self.extents, self.rows), self.workers);
        parallelism.run(self.workers, |worker| {
            let take = || shares.take(worker);
            let mut worker = Worker::new(cut, steps, start + worker * cut.scratch, &sums);
            let mut taken = take();
            while let (Some(range), None) = (taken, failed.get()) {
                let early = if cut.asks { take() } else { None };
                // SAFETY: by the caller's word: no two ranges have a row in common, and each worker its own scratch.
                if let Err(error) = unsafe { worker.range(range, early) } {
                    // Another worker's error is as good.
                    let _ = failed.set(error);
                }
                taken = if cut.asks { early } else { take() };
            }
        });
        failed.into_inner().map_or(Ok(()), Err)?;
        for step in steps {
            if let RowStep::Product(product) = step {
                // SAFETY: all ranges are done.
                unsafe { product.close(&sums)? };
            }
        }
        Ok(())
    }

    /// The first index of a range along each axis that is cut, and its length along the last one.
    fn range(&self, number: usize) -> (Sizes<usize>, usize) {
        let (mut first, mut rest) = (self.extents.clone(), number);
        let Some((last, before)) = first.split_last_mut() else { return (first, 0) };
        let along = last.div_ceil(self.rows);
        let start = rest % along * self.rows;
        let length = self.rows.min(*last - start);
        (*last, rest) = (start, rest / along);
        for index in before.iter_mut().rev() {
            let extent = *index;
            (*index, rest) = (rest % extent, rest / extent);
        }
        (first, length)
    }
}

#[cold]
fn too_large() -> Error {
    Error::Memory("what some rows hand from kernel to kernel exceeds the address space".to_string())
}

/// What a thread needs for one range after the other.
struct Worker<'a> {
    cut: &'a Cut,
    steps: Vec<Prepared<'a>>,
    scratch: usize,
    sums: &'a [usize],
}

/// A step, with what a launch of it is made of.
struct Prepared<'a> {
    step: &'a RowStep<'a>,
    bindings: SmallVec<[Binding; 4]>,
    extents: SmallVec<[usize; 4]>,
}

impl<'a> Worker<'a> {
    fn new(cut: &'a Cut, steps: &'a [RowStep<'a>], scratch: usize, sums: &'a [usize]) -> Worker<'a> {
        let prepared = |step: &'a RowStep<'a>| match step {
            RowStep::Kernel(launch) => {
                let binding = |strides: &SmallVec<_>| Binding { base: Base::Position(0), strides: strides.clone() };
                let bindings = launch.operands.iter().map(|operand| binding(&operand.strides)).collect();
                Prepared { step, bindings, extents: launch.extents.clone() }
            }
            RowStep::Product(_) => Prepared { step, bindings: SmallVec::new(), extents: SmallVec::new() },
        };
        Worker { cut, steps: steps.iter().map(prepared).collect(), scratch, sums }
    }

    /// # Safety
    /// As `Cut::run`, for the rows of this range.
    unsafe fn range(&mut self, number: usize, next: Option<usize>) -> Result<()> {
        let Worker { cut, steps, scratch, sums } = self;
        let (first, length) = cut.range(number);
        let next = next.map(|number| cut.range(number).0);
        let at = At { first: &first, length, next: next.as_deref(), scratch: *scratch, places: &cut.places, sums };
        for Prepared { step, bindings, extents } in steps {
            // SAFETY: by the caller's word.
            unsafe {
                match step {
                    RowStep::Kernel(launch) => launch.run(&at, extents, bindings)?,
                    RowStep::Product(product) => product.run(&at)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Pool;

    fn cut(extents: &[usize], rows: usize) -> Cut {
        Cut::new(Sizes::from_slice(extents), rows, 1, &[], &Symbols::default()).unwrap()
    }

    #[test]
    fn ranges_cover_every_row_once() {
        for (extents, rows) in [(&[7][..], 3), (&[7], 7), (&[2, 5], 2), (&[3, 1, 4], 3), (&[1, 1], 1)] {
            let (cut, last) = (cut(extents, rows), extents.len() - 1);
            let mut seen = Vec::new();
            for range in 0..ranges(extents, rows) {
                let (first, length) = cut.range(range);
                seen.extend((0..length).map(|row| {
                    let mut index = first.to_vec();
                    index[last] += row;
                    index
                }));
            }
            let count = extents.iter().product();
            let index = |mut number: usize| {
                let mut index = vec![0; extents.len()];
                for (place, extent) in index.iter_mut().zip(extents).rev() {
                    (*place, number) = (number % extent, number / extent);
                }
                index
            };
            assert_eq!(seen, (0..count).map(index).collect::<Vec<_>>(), "{extents:?} {rows}");
        }
    }

    #[test]
    fn slots_of_a_range_lie_behind_each_other() {
        let slot = |count: i64, element| Slot { count: Dim::from(count), element };
        let (sums, rows) = (slot(10, 8), slot(70, 4));
        let cut = Cut::new(Sizes::from_slice(&[10]), 3, 2, &[&sums, &rows], &Symbols::default()).unwrap();
        // 3 · 8 bytes fill one line, 3 · 7 · 4 two.
        assert_eq!((cut.places.as_slice(), cut.scratch, cut.memory.byte_len()), (&[0, 64][..], 192, 384));
        let huge = slot(i64::MAX, 8);
        let error = Cut::new(Sizes::from_slice(&[2]), 2, 1, &[&huge], &Symbols::default()).err();
        assert!(matches!(error, Some(Error::Memory(_))));
    }

    /// How softmax of the rows of such an array is cut: the extents up to the axis that is cut, and the rows of a range.
    fn softmax(shape: [i64; 3], cache: usize, threads: usize) -> Option<(Vec<usize>, usize, usize)> {
        cut_of(7, true, shape, cache, threads)
    }

    /// The same up to a node, where kernels ask for the rows of the next range or do not.
    fn cut_of(
        node: usize,
        asks: bool,
        shape: [i64; 3],
        cache: usize,
        threads: usize,
    ) -> Option<(Vec<usize>, usize, usize)> {
        let nodes = [
            "%0 = input \"x\" f64[?, ?, ?]",
            "%1 = max axes=[2] %0 : f64[%0.0, %0.1]",
            "%2 = reshape [%0.0, %0.1, 1] %1 : f64[%0.0, %0.1, 1]",
            "%3 = sub %0, %2 : f64[%0.0, %0.1, %0.2]",
            "%4 = exp %3 : f64[%0.0, %0.1, %0.2]",
            "%5 = sum axes=[2] %4 : f64[%0.0, %0.1]",
            "%6 = reshape [%0.0, %0.1, 1] %5 : f64[%0.0, %0.1, 1]",
            "%7 = div %4, %6 : f64[%0.0, %0.1, %0.2]",
        ];
        let source = &format!("kroton 1\n{}\nreturn %{node}\ninputs %0\n", nodes[..=node].join("\n"));
        let graph = crate::graph::text::parse(source).unwrap().0;
        let target = crate::loops::Target::host(false);
        let plan = crate::lower::lower(&graph, &crate::schedule::schedule(&graph, &target).unwrap(), "k").unwrap();
        let mut symbols = Symbols::default();
        let crate::graph::Node::Input(input) = graph.node(graph.inputs[0]) else { panic!("no input") };
        for (axis, size) in (0..).zip(shape) {
            let measure = crate::shape::Measure::Extent(axis);
            symbols.set(crate::shape::Symbol { input: input.id, measure }, size);
        }
        let who = Parallelism { pool: Some(std::sync::Arc::new(Pool::new(threads))), threshold: None };
        let [rows] = Rows::of(&plan, |_| asks).try_into().unwrap();
        let cut: Option<Cut> = rows.cut(&plan, &symbols, cache, &who).unwrap();
        cut.map(|cut| (cut.extents.to_vec(), cut.rows, cut.workers))
    }

    #[test]
    fn blocks_are_cut_where_that_helps() {
        // A row of 100 is read, written as exponentials and as results: 2400 bytes, and 8 more for what is reduced.
        assert_eq!(softmax([10, 20, 100], 1 << 20, 1), None, "it fits the cache");
        assert_eq!(softmax([10, 20, 100], 100_000, 1), Some((vec![10], 2, 1)));
        assert_eq!(softmax([10, 20, 100], 25_000, 1), Some((vec![10, 20], 10, 1)));
        assert_eq!(softmax([10, 20, 100], 1000, 1), Some((vec![10, 20], 1, 1)));
        assert_eq!(softmax([10, 20, 100], 1000, 3), Some((vec![10, 20], 1, 3)));
        // Two rows that do not fit are better shared by all threads.
        assert_eq!(softmax([1, 2, 100], 1000, 3), None);
        assert_eq!(softmax([1, 2, 100], 1000, 1), Some((vec![1, 2], 1, 1)));
        // There is no row at all.
        assert_eq!(softmax([0, 2, 100], 1, 1), None);
        // Many threads have smaller ranges, but not tiny ones.
        assert_eq!(softmax([1000, 1, 100], 1 << 20, 1), Some((vec![1000], 384, 1)));
        assert_eq!(softmax([1000, 1, 100], 1 << 20, 4), Some((vec![1000], 62, 4)));
        // So have those of which kernels ask for the next one, if they write no rows: these have 800 bytes, and 16 more.
        assert_eq!(cut_of(5, false, [4000, 1, 100], 1 << 20, 1), Some((vec![4000], 1280, 1)));
        assert_eq!(cut_of(5, true, [4000, 1, 100], 1 << 20, 1), Some((vec![4000], 128, 1)));
        assert_eq!(softmax([1000, 1, 100], 1 << 20, 64), Some((vec![1000], 54, 19)));
    }
}
