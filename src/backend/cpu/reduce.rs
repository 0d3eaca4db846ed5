//! Running a reduction: blocks to states, states merged as a binary counter, results through the epilogue.
//!
//! Invariant: the order of merges is that of `ops::reduction`, whatever the number of threads and however the work is
//! split. Must not know: how code is made.

use std::ops::Range;
use std::sync::OnceLock;

use smallvec::SmallVec;

use super::emit::{Class, blocks_function, columns_function, merge_function};
use super::form::{Fold, Port, Program, ReduceForm, Source};
use super::gather::Gather;
use super::isa::Isa;
use super::jit::Code;
use super::map::{Map, single_strides};
use super::parallel::{run, share, tasks};
use super::space::{Bases, Space, advance, origin};
use super::states::{Counter, Merger};
use super::variant::{Variants, classify, contiguous};
use crate::backend::Parallelism;
use crate::error::{Error, Result};
use crate::loops::{Access, Axis, Launch};
use crate::ops::reduction::BLOCK;

/// Results that go through the epilogue at once.
const BATCH: usize = 256;

/// A reduction with its code.
#[derive(Debug)]
pub(super) struct Reduce {
    isa: &'static Isa,
    outer: Vec<Axis>,
    inner: Vec<Axis>,
    body: Program,
    folds: Vec<Fold>,
    slots: usize,
    initial: Vec<u64>,
    weight: usize,
    block: Variants,
    columns: Variants,
    merge: OnceLock<Result<Code>>,
    epilogue: Map,
}

impl Reduce {
    /// A reduction of which nothing is compiled yet.
    pub fn new(isa: &'static Isa, form: ReduceForm) -> Reduce {
        let ReduceForm { outer, inner, body, folds, slots, epilogue } = form;
        let initial = folds.iter().flat_map(|fold| fold.init.iter().map(|value| value.bits())).collect();
        let merging: usize = folds.iter().map(|fold| fold.merge.block.statements.len()).sum();
        let weight = body.weight() + merging;
        let (block, columns) = (Variants::default(), Variants::default());
        let (merge, epilogue) = (OnceLock::new(), Map::new(isa, epilogue));
        Reduce { isa, outer, inner, body, folds, slots, initial, weight, block, columns, merge, epilogue }
    }

    /// How many variants have been compiled.
    pub fn compilations(&self) -> usize {
        self.block.compilations()
            + self.columns.compilations()
            + self.epilogue.compilations()
            + usize::from(self.merge.get().is_some())
    }

    fn merge_code(&self) -> Result<&Code> {
        let make = || Code::new(self.isa, merge_function(self.isa, &self.body, &self.folds)?);
        self.merge.get_or_init(make).as_ref().map_err(Error::clone)
    }

    fn ports(&self) -> impl Iterator<Item = Port> + Clone {
        self.body.ports.iter().chain(&self.epilogue.program().ports).copied()
    }

    /// What does neighboring results at once, if the operands lie better along these than along the reduction; with
    /// the strides along both.
    fn columns_code(&self, outer: &Space, inner: &Space) -> Result<Option<(&Code, Bases)>> {
        if inner.axes() != 1 || inner.len() == 0 || outer.axes() == 0 || outer.row() < NEIGHBORS {
            return Ok(None);
        }
        let along = &outer.strides(outer.axes() - 1)[..self.body.ports.len()];
        let strided = |strides: &[i64]| {
            let classes = classify(&self.body, strides);
            let memory =
                |(class, port): (&Class, &Port)| *class == Class::Strided && port.operand.access != Access::Index;
            classes.iter().zip(&self.body.ports).any(memory)
        };
        if strided(along) || !strided(inner.strides(0)) {
            return Ok(None);
        }
        let make = |classes: &[_]| Code::new(self.isa, columns_function(self.isa, &self.body, &self.folds, classes)?);
        let code = self.columns.get(&classify(&self.body, along), &self.body, make)?;
        Ok(Some((code, along.iter().chain(inner.strides(0)).copied().collect())))
    }

    /// Runs it.
    ///
    /// # Safety
    /// The launch keeps what `Launch` promises.
    pub unsafe fn launch(&self, launch: &Launch<'_>, parallelism: &Parallelism) -> Result<()> {
        let outer = Space::new(launch, &self.outer, self.ports())?;
        let inner = Space::new(launch, &self.inner, self.body.ports.iter().copied())?;
        let (results, count) = (outer.len(), inner.len());
        if results == 0 {
            return Ok(());
        }
        let origin = origin(launch, self.ports())?;
        let tasks = tasks(parallelism, results.saturating_mul(count.max(1)), self.weight);
        if tasks <= results || count <= BLOCK {
            let run = Run::new(self, &outer, &inner, &origin, self.columns_code(&outer, &inner)?)?;
            let most = if run.columns.is_some() { results.div_ceil(NEIGHBORS) } else { results };
            run.split_results(tasks.min(most), parallelism);
        } else {
            Run::new(self, &outer, &inner, &origin, None)?.split_blocks(tasks, parallelism);
        }
        Ok(())
    }
}

/// Results that are done at once at least, where they lie better than the reduction.
const NEIGHBORS: usize = 16;

/// Blocks that are reduced in one call, and whose states are merged in one; a power of two.
const RUN: usize = 64;

/// What a task needs for one result after the other.
#[derive(Default)]
struct Work {
    /// The states of the blocks of a run.
    states: SmallVec<[u64; RUN]>,
    /// Those of the runs.
    counter: Counter,
    scratch: Vec<u64>,
}

/// One launch.
struct Run<'a> {
    reduce: &'a Reduce,
    outer: &'a Space,
    origin: &'a [i64],
    /// Elements and blocks of one reduction.
    count: usize,
    blocks: usize,
    block_code: Option<&'a Code>,
    /// What does several results at once, and its strides, where the operands lie so.
    columns: Option<(&'a Code, Bases)>,
    merger: Merger<'a>,
    epilogue_code: &'a Code,
    /// The strides of the body's operands along the reduction, and of the epilogue's along the results.
    strides: Bases,
    epilogue_strides: Bases,
    gather: Option<Gather<'a>>,
}

impl<'a> Run<'a> {
    fn new(
        reduce: &'a Reduce,
        outer: &'a Space,
        inner: &'a Space,
        origin: &'a [i64],
        columns: Option<(&'a Code, Bases)>,
    ) -> Result<Run<'a>> {
        let (count, body) = (inner.len(), &reduce.body);
        let gather = (inner.axes() > 1 && count > 0).then(|| Gather::new(body, inner));
        let strides = match (&gather, inner.axes()) {
            (None, 1) => Bases::from_slice(inner.strides(0)),
            (Some(_), _) => body.ports.iter().map(|port| port.operand.dtype.size() as i64).collect(),
            (None, _) => single_strides(body),
        };
        let classes = if gather.is_some() { contiguous(body) } else { classify(body, &strides) };
        let make = |classes: &[_]| Code::new(reduce.isa, blocks_function(reduce.isa, body, &reduce.folds, classes)?);
        let unused = count == 0 || columns.is_some();
        let block_code = if unused { None } else { Some(reduce.block.get(&classes, body, make)?) };
        let blocks = count.div_ceil(BLOCK);
        // Made with the first block, so that no later size needs a compilation.
        let merge = if blocks > 0 { Some(reduce.merge_code()?) } else { None };
        let epilogue_strides = epilogue_strides(reduce, outer);
        let epilogue_code = reduce.epilogue.code(&classify(reduce.epilogue.program(), &epilogue_strides))?;
        let merger = Merger { code: merge, slots: reduce.slots };
        Ok(Run {
            reduce,
            outer,
            origin,
            count,
            blocks,
            block_code,
            columns,
            merger,
            epilogue_code,
            strides,
            epilogue_strides,
            gather,
        })
    }

    /// Each task does some of the results.
    fn split_results(&self, tasks: usize, parallelism: &Parallelism) {
        let results = self.outer.len();
        run(parallelism, tasks, |task| self.some_results(share(results, tasks, task)));
    }

    /// Some results from beginning to end, in batches along the innermost outer axis.
    fn some_results(&self, results: Range<usize>) {
        let (mut work, mut counters) = (Work::default(), Vec::new());
        let mut batch: SmallVec<[u64; 32]> = SmallVec::new();
        let (mut start, row) = (results.start, self.outer.row());
        while start < results.end {
            let length = BATCH.min(row - start % row).min(results.end - start);
            batch.resize(length * self.reduce.slots, 0);
            if let Some((code, strides)) = &self.columns {
                counters.resize_with(length, Counter::default);
                let bases = self.outer.bases_at(self.origin, start);
                self.reduce_columns(code, strides, &bases, &mut counters, &mut batch);
            } else {
                let mut batch = batch.chunks_exact_mut(self.reduce.slots.max(1));
                self.outer.visit(self.origin, start..start + length, |bases| {
                    let state = batch.next().unwrap_or_default();
                    self.reduce_blocks(bases, 0..self.blocks, &mut work, state);
                });
            }
            self.finish(start, length, &batch);
            start += length;
        }
    }

    /// The states of neighboring results.
    fn reduce_columns(
        &self,
        code: &Code,
        strides: &[i64],
        bases: &[i64],
        counters: &mut [Counter],
        states: &mut [u64],
    ) {
        let ports = self.reduce.body.ports.len();
        let mut bases = Bases::from_slice(&bases[..ports]);
        counters.iter_mut().for_each(Counter::clear);
        for block in 0..self.blocks {
            let first = block * BLOCK;
            let count = BLOCK.min(self.count - first);
            // SAFETY: the elements are those of the launch; the code was made for this body and the classes of these
            // strides; there is a state for each counter.
            unsafe { code.call_columns(&bases, strides, [first, count], counters.len(), states) };
            advance(&mut bases, &strides[ports..], BLOCK as i64);
            for (counter, state) in counters.iter_mut().zip(states.chunks_exact(self.reduce.slots.max(1))) {
                counter.push(state, self.merger);
            }
        }
        for (counter, state) in counters.iter_mut().zip(states.chunks_exact_mut(self.reduce.slots.max(1))) {
            counter.finish(state, self.merger);
        }
    }

    /// The state of some blocks of one result.
    fn reduce_blocks(&self, bases: &[i64], blocks: Range<usize>, work: &mut Work, state: &mut [u64]) {
        let Some(code) = self.block_code else { return state.copy_from_slice(&self.reduce.initial) };
        let elements = blocks.start * BLOCK..self.count.min(blocks.end * BLOCK);
        if blocks.len() == 1 {
            return self.block_states(code, bases, elements, &mut work.scratch, state);
        }
        let (run, slots) = (RUN * BLOCK, self.reduce.slots);
        work.states.resize(RUN.min(blocks.len()) * slots, 0);
        work.counter.clear();
        for start in elements.clone().step_by(run) {
            let elements = start..elements.end.min(start + run);
            let states = &mut work.states[..elements.len().div_ceil(BLOCK) * slots];
            self.block_states(code, bases, elements.clone(), &mut work.scratch, states);
            self.merger.merge(states);
            let total = &states[..slots];
            if elements.len() == run { work.counter.push(total, self.merger) } else { work.counter.push_last(total) }
        }
        work.counter.finish(state, self.merger);
    }

    /// The states of the blocks of some elements.
    fn block_states(
        &self,
        code: &Code,
        bases: &[i64],
        elements: Range<usize>,
        scratch: &mut Vec<u64>,
        states: &mut [u64],
    ) {
        let Some(gather) = &self.gather else {
            let mut bases = Bases::from_slice(&bases[..self.strides.len()]);
            advance(&mut bases, &self.strides, elements.start as i64);
            // SAFETY: the elements are those of the launch; the code was made for this body and the classes of these
            // strides; there is a state for each block.
            return unsafe { code.call_blocks(&bases, &self.strides, elements, states) };
        };
        for (start, state) in elements.clone().step_by(BLOCK).zip(states.chunks_exact_mut(self.reduce.slots.max(1))) {
            let elements = start..elements.end.min(start + BLOCK);
            // SAFETY: the elements are those of the launch.
            let copies = unsafe { gather.block(bases, elements.clone(), scratch) };
            // SAFETY: the elements were gathered; the rest as above.
            unsafe { code.call_blocks(&copies, &self.strides, elements, state) };
        }
    }

    /// Each task does an aligned run of blocks of one result; their states are merged by the same counter.
    fn split_blocks(&self, tasks: usize, parallelism: &Parallelism) {
        let (results, slots) = (self.outer.len(), self.reduce.slots);
        let per_result = tasks.div_ceil(results);
        let length = 1 << (self.blocks / per_result).max(1).ilog2();
        let runs = self.blocks.div_ceil(length);
        let mut states = vec![0u64; results * runs * slots];
        let places = Places { address: states.as_mut_ptr().expose_provenance(), slots };
        run(parallelism, results * runs, |task| {
            let bases = self.outer.bases_at(self.origin, task / runs);
            let start = task % runs * length;
            // SAFETY: each task has its own place in `states`, which outlives the tasks.
            let state = unsafe { places.get(task) };
            let blocks = start..(start + length).min(self.blocks);
            self.reduce_blocks(&bases, blocks, &mut Work::default(), state);
        });
        for (result, states) in states.chunks_exact(runs * slots).enumerate() {
            let mut counter = Counter::default();
            for (index, state) in states.chunks_exact(slots).enumerate() {
                let whole = (index + 1) * length <= self.blocks;
                if whole { counter.push(state, self.merger) } else { counter.push_last(state) }
            }
            let mut total = vec![0u64; slots];
            counter.finish(&mut total, self.merger);
            self.finish(result, 1, &total);
        }
    }

    /// The epilogue of consecutive results with these states.
    fn finish(&self, start: usize, length: usize, states: &[u64]) {
        let bases = self.outer.bases_at(self.origin, start);
        let (state, body) = (states.as_ptr().expose_provenance() as i64, self.reduce.body.ports.len());
        let ports = self.reduce.epilogue.program().ports.iter().zip(&bases[body..]);
        let bases: Bases = ports
            .map(|(port, base)| match port.source {
                Source::State(slot) => state + slot as i64 * 8,
                Source::Kernel(_) => *base,
            })
            .collect();
        // SAFETY: the kernel's operands are the launch's; `states` holds so many states.
        unsafe { self.epilogue_code.call_map(&bases, &self.epilogue_strides, length) };
    }
}

/// The strides of the epilogue's operands along the innermost outer axis.
fn epilogue_strides(reduce: &Reduce, outer: &Space) -> Bases {
    let program = reduce.epilogue.program();
    let mut strides = match outer.axes() {
        0 => single_strides(program),
        axes => Bases::from_slice(&outer.strides(axes - 1)[reduce.body.ports.len()..]),
    };
    for (port, stride) in program.ports.iter().zip(&mut strides) {
        if let Source::State(_) = port.source {
            *stride = reduce.slots as i64 * 8;
        }
    }
    strides
}

/// Disjoint states in one allocation, for tasks that each write one.
#[derive(Clone, Copy)]
struct Places {
    address: usize,
    slots: usize,
}

impl Places {
    /// # Safety
    /// The allocation lives, holds the state, and nobody else refers to it.
    unsafe fn get<'a>(self, index: usize) -> &'a mut [u64] {
        let start = std::ptr::with_exposed_provenance_mut::<u64>(self.address);
        // SAFETY: by the caller's word.
        unsafe { std::slice::from_raw_parts_mut(start.add(index * self.slots), self.slots) }
    }
}
