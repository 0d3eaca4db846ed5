//! Running a reduction: the states of all results, and these through the epilogue.
//!
//! Invariant: the order of merges is that of `ops::reduction`, whatever the number of threads and however the work is
//! split. Must not know: how code is made.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::any_order::in_any_order;
use super::blocks::{Blocks, Work};
use super::cache::{Key, Of, shared};
use super::emit::Class;
use super::form::{Fold, Port, Program, ReduceForm, Source};
use super::gather::Gather;
use super::generate::Generator;
use super::isa::Isa;
use super::jit::Code;
use super::map::{Map, asks_ahead, push_ahead, single_strides};
use super::parallel::{Split, op_weight, split};
use super::results::Run;
use super::runs::{Runs, merge};
use super::settled::Sharing;
use super::space::{Bases, Space, base, origin, single_row};
use super::states::Merger;
use super::variant::{Classes, Variants, classify, contiguous};
use crate::backend::Parallelism;
use crate::error::{Error, Result};
use crate::loops::{Axis, Launch};
use crate::ops::Cost;
use crate::ops::reduction::BLOCK;

/// A reduction of one row to one result, but for addresses.
#[derive(Debug)]
pub(super) struct Row {
    count: usize,
    strides: Bases,
    /// None if there are no elements.
    blocks: Option<Arc<Code>>,
    epilogue: Arc<Code>,
}

/// A reduction with its code.
#[derive(Debug)]
pub(super) struct Reduce {
    isa: &'static Isa,
    outer: Vec<Axis>,
    inner: Vec<Axis>,
    /// What computes the lifted states.
    pub body: Arc<Program>,
    folds: Arc<[Fold]>,
    /// The 8-byte slots of a state.
    pub slots: usize,
    /// The state of no elements.
    pub initial: Vec<u64>,
    any_order: bool,
    asks: bool,
    weight: usize,
    block: Variants,
    columns: Variants,
    /// The code that merges states, and how long it took to make.
    merge: OnceLock<(Result<Arc<Code>>, Duration)>,
    /// What is done with the results.
    pub epilogue: Map,
    /// The operands of the body, then of the epilogue.
    ports: Vec<Port>,
    /// The strides of the epilogue's operands for a single result.
    pub single: Bases,
}

impl Reduce {
    /// A reduction of which nothing is compiled yet.
    pub fn new(isa: &'static Isa, form: ReduceForm) -> Reduce {
        let ReduceForm { outer, inner, body, folds, slots, epilogue } = form;
        let initial = folds.iter().flat_map(|fold| fold.init.iter().map(|value| value.bits())).collect();
        let merging: usize = folds.iter().map(|fold| fold.merge.block.statements.len()).sum();
        let weight = body.weight(isa.features.fma) + merging * op_weight(Cost::Cheap, 8);
        let (block, columns) = (Variants::default(), Variants::default());
        let ports = body.ports.iter().chain(&epilogue.ports).copied().collect();
        let mut single = single_strides(&epilogue);
        set_state_strides(&epilogue, slots, &mut single);
        let (merge, epilogue) = (OnceLock::new(), Map::new(isa, epilogue, outer.is_empty()));
        push_none_ahead(&epilogue, &mut single);
        let asks = asks_ahead(&body);
        let any_order = in_any_order(&body, &folds);
        Reduce {
            isa,
            outer,
            inner,
            body: Arc::new(body),
            folds: folds.into(),
            slots,
            initial,
            any_order,
            asks,
            weight,
            block,
            columns,
            merge,
            epilogue,
            ports,
            single,
        }
    }

    /// How many variants have been compiled.
    pub fn compilations(&self) -> usize {
        self.block.compilations()
            + self.columns.compilations()
            + self.epilogue.compilations()
            + usize::from(self.merge.get().is_some())
    }

    /// How long they took to compile.
    pub fn compile_time(&self) -> Duration {
        let merge = self.merge.get().map_or(Duration::ZERO, |(_, time)| *time);
        self.block.compile_time() + self.columns.compile_time() + self.epilogue.compile_time() + merge
    }

    fn merge_code(&self) -> Result<&Code> {
        let make = || {
            let key = Key::new(self.isa, Of::Merge(Arc::clone(&self.folds)), &self.body, &[]);
            shared(key, || Generator::new(self.isa).merge(&self.body, &self.folds))
        };
        let timed = || {
            let start = Instant::now();
            (make(), start.elapsed())
        };
        self.merge.get_or_init(timed).0.as_deref().map_err(Error::clone)
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
            classes.iter().zip(&self.body.ports).any(|(class, port)| *class == Class::Strided && port.is_memory())
        };
        if strided(along) || !strided(inner.strides(0)) {
            return Ok(None);
        }
        let make = |classes: &[_]| {
            let key = Key::new(self.isa, Of::Columns(Arc::clone(&self.folds)), &self.body, classes);
            shared(key, || Generator::new(self.isa).columns(&self.body, &self.folds, classes))
        };
        let code = self.columns.get(&classify(&self.body, along), &self.body, make)?;
        let (elements, rows) = (outer.len().saturating_mul(inner.len()), inner.strides(0));
        let memory = self.body.ports.iter().zip(rows).filter(|(port, _)| port.is_memory());
        let ahead = rows_ahead(elements.saturating_mul(self.body.moved()), memory.map(|(_, stride)| *stride));
        Ok(Some((code, along.iter().chain(rows).copied().chain(ahead).collect())))
    }

    /// Runs it.
    ///
    /// # Safety
    /// The launch keeps what `Launch` promises.
    pub unsafe fn launch(&self, launch: &Launch<'_>, parallelism: &Parallelism) -> Result<()> {
        if let Some((count, bases, strides)) = self.one_row(launch)? {
            let split = (count > BLOCK).then(|| split(parallelism, count, self.weight));
            let shared = split.filter(|split| split.tasks > 1).map(|split| (split, parallelism));
            let (blocks, epilogue) = (self.blocks(count, &strides, None)?, self.single_epilogue()?);
            return self.single_result(&blocks, epilogue, &bases, shared, |port| base(launch, port));
        }
        let outer = Space::new(launch, &self.outer, &self.ports)?;
        let results = outer.len();
        if results == 0 {
            return Ok(());
        }
        let inner = Space::new(launch, &self.inner, &self.body.ports)?;
        let count = inner.len();
        let origin = origin(launch, &self.ports)?;
        let strides = self.inner_strides(&inner, launch.ahead);
        let split = split(parallelism, results.saturating_mul(count.max(1)), self.weight);
        if split.few <= results || count <= BLOCK {
            let columns = self.columns_code(&outer, &inner)?;
            // Few neighbors of many rows are far apart in memory.
            let few = split.few.min(results.div_ceil(NEIGHBORS));
            let tasks = if columns.is_some() { few } else { split.tasks.min(results) };
            let split = Split { tasks, ..split };
            Run::new(self, [&outer, &inner], &origin, &strides, columns)?.split_results(split, parallelism);
        } else {
            Run::new(self, [&outer, &inner], &origin, &strides, None)?.split_blocks(split, parallelism);
        }
        Ok(())
    }

    /// The length, bases and strides of a launch that has one result, whose elements are a row.
    fn one_row(&self, launch: &Launch<'_>) -> Result<Option<(usize, Bases, Bases)>> {
        let one_result = self.outer.iter().all(|Axis(axis)| launch.extents.get(*axis as usize) == Some(&1));
        let row = if one_result { single_row(launch, &self.inner, &self.body.ports)? } else { None };
        Ok(row.map(|(count, bases, strides)| (count, bases, self.with_ahead(strides, launch.ahead))))
    }

    /// The strides of the body's operands, and how far ahead of them kernels ask for memory.
    fn with_ahead(&self, mut strides: Bases, ahead: &[isize]) -> Bases {
        if self.asks {
            push_ahead(&mut strides, &self.body.ports, ahead);
        }
        strides
    }

    /// What computes the lifted states.
    pub fn body(&self) -> &Program {
        &self.body
    }

    /// Whether code of the body takes distances ahead of its operands.
    pub fn asks_ahead(&self) -> bool {
        self.asks
    }

    /// A launch whose addresses are to come, if it has one row; who may share it.
    ///
    /// # Errors
    /// As `launch`.
    pub fn settle(&self, launch: &Launch<'_>, parallelism: &Parallelism) -> Result<Option<(Row, Option<Sharing>)>> {
        let Some((count, _, strides)) = self.one_row(launch)? else { return Ok(None) };
        let sharing = if count <= BLOCK { None } else { Sharing::new(parallelism, count, self.weight) };
        let blocks = self.block_code(count, &classify(&self.body, &strides))?.map(Arc::clone);
        let epilogue = Arc::clone(self.single_epilogue()?);
        Ok(Some((Row { count, strides, blocks, epilogue }, sharing)))
    }

    /// Runs a launch that was settled, with operands that begin here.
    ///
    /// # Safety
    /// The launch keeps what `Launch` promises.
    pub unsafe fn run(&self, row: &Row, operands: &[i64], shared: Option<(Split, &Parallelism)>) -> Result<()> {
        let base = |port: Port| match port.source {
            Source::State(_) => Ok(0),
            Source::Kernel(id) => Ok(operands[id.0 as usize]),
        };
        let mut bases = Bases::new();
        bases.resize(self.body.ports.len(), 0);
        for (address, &port) in bases.iter_mut().zip(&self.body.ports) {
            *address = base(port)?;
        }
        let blocks = self.blocks_by(row.blocks.as_deref(), row.count, &row.strides, None)?;
        self.single_result(&blocks, &row.epilogue, &bases, shared, base)
    }

    /// The strides of the body's operands along the reduction, or along copies of its elements.
    fn inner_strides(&self, inner: &Space, ahead: &[isize]) -> Bases {
        match inner.axes() {
            1 => self.with_ahead(Bases::from_slice(inner.strides(0)), ahead),
            _ if gathers(inner) => {
                let sizes = self.body.ports.iter().map(|port| port.operand.dtype.size() as i64);
                self.with_ahead(sizes.collect(), &[])
            }
            _ => self.with_ahead(single_strides(&self.body), &[]),
        }
    }

    /// How blocks are reduced whose elements lie at these strides.
    pub fn blocks<'a>(&'a self, count: usize, strides: &'a [i64], gather: Option<Gather<'a>>) -> Result<Blocks<'a>> {
        let classes = if gather.is_some() { contiguous(&self.body) } else { classify(&self.body, strides) };
        let code = self.block_code(count, &classes)?.map(Arc::as_ref);
        self.blocks_by(code, count, strides, gather)
    }

    /// The same by this code.
    fn blocks_by<'a>(
        &'a self,
        code: Option<&'a Code>,
        count: usize,
        strides: &'a [i64],
        gather: Option<Gather<'a>>,
    ) -> Result<Blocks<'a>> {
        let (merger, initial, any_order) = (self.merger(count)?, &self.initial, self.any_order);
        Ok(Blocks { code, merger, initial, count, ports: self.body.ports.len(), strides, gather, any_order })
    }

    /// The code that reduces blocks of operands of these classes; none where there are no elements.
    fn block_code(&self, count: usize, classes: &Classes) -> Result<Option<&Arc<Code>>> {
        let make = |classes: &[_]| {
            let key = Key::new(self.isa, Of::Blocks(Arc::clone(&self.folds)), &self.body, classes);
            shared(key, || Generator::new(self.isa).blocks(&self.body, &self.folds, classes))
        };
        if count > 0 { self.block.get(classes, &self.body, make).map(Some) } else { Ok(None) }
    }

    /// The code of the epilogue of a single result.
    fn single_epilogue(&self) -> Result<&Arc<Code>> {
        self.epilogue.code(&classify(self.epilogue.program(), &self.single))
    }

    /// The merge, made with the first block, so that no later size needs a compilation.
    pub fn merger(&self, count: usize) -> Result<Merger<'_>> {
        let code = if count > 0 { Some(self.merge_code()?) } else { None };
        Ok(Merger { code, slots: self.slots })
    }

    /// Runs it for one result whose elements are a row, which needs no spaces.
    fn single_result(
        &self,
        blocks: &Blocks<'_>,
        epilogue: &Code,
        bases: &[i64],
        shared: Option<(Split, &Parallelism)>,
        base: impl Fn(Port) -> Result<i64>,
    ) -> Result<()> {
        let mut state: SmallVec<[u64; 8]> = SmallVec::from_slice(&self.initial);
        match shared {
            // SAFETY: the elements are those of the launch; the code was made for the classes of these strides.
            None => unsafe { blocks.reduce(bases, 0..blocks.len(), &mut Work::default(), &mut state) },
            Some((split, parallelism)) => {
                let runs = Runs::new(blocks.len(), split.tasks);
                // SAFETY: as above.
                let mut states = unsafe { runs.states(blocks, 1, split, parallelism, |_| Bases::from_slice(bases)) };
                state.copy_from_slice(merge(&mut states, blocks.merger));
            }
        }
        let address = state.as_ptr().expose_provenance() as i64;
        let ports = &self.epilogue.program().ports;
        let mut bases = Bases::new();
        bases.resize(ports.len(), 0);
        for (begin, &port) in bases.iter_mut().zip(ports) {
            *begin = match port.source {
                Source::State(slot) => address + slot as i64 * 8,
                Source::Kernel(_) => base(port)?,
            };
        }
        // SAFETY: the kernel's operands are the launch's; there is one state.
        unsafe { epilogue.call_map(&bases, &self.single, 1) };
        Ok(())
    }
}

/// Whether the elements of a reduction over these axes have to be copied.
pub(super) fn gathers(inner: &Space) -> bool {
    inner.axes() > 1 && inner.len() > 0
}

/// Results that are done at once at least, where they lie better than the reduction.
const NEIGHBORS: usize = 16;

/// Bytes that the L2 cache is sure to hold.
const NEAREST: usize = 512 << 10;

/// Bytes that the caches behind it are likely to hold.
const NEAR: usize = 8 << 20;

/// How many rows ahead code for neighboring results asks for memory, if operands have so many bytes and their rows lie so
/// far apart, and whether into the L1 cache. What the L2 cache holds is read as fast without, and so are rows that are a
/// stream; what a cache behind it holds comes soon enough for the L1 cache.
fn rows_ahead(bytes: usize, mut strides: impl Iterator<Item = i64>) -> [i64; 2] {
    let apart = strides.any(|stride| stride.unsigned_abs() > 256);
    match (apart, bytes) {
        (false, _) | (true, ..=NEAREST) => [0, 0],
        (true, ..=NEAR) => [16, 1],
        (true, _) => [32, 0],
    }
}

/// The results of an epilogue are few: it asks for no memory but what it reads next.
pub(super) fn push_none_ahead(epilogue: &Map, strides: &mut Bases) {
    if epilogue.asks_ahead() {
        push_ahead(strides, &epilogue.program().ports, &[]);
    }
}

/// Sets the strides from one state of so many slots to the next.
pub(super) fn set_state_strides(epilogue: &Program, slots: usize, strides: &mut [i64]) {
    for (port, stride) in epilogue.ports.iter().zip(strides) {
        if let Source::State(_) = port.source {
            *stride = slots as i64 * 8;
        }
    }
}
