//! One launch of a reduction to several results: neighbors in batches, split among tasks.
//!
//! Invariant: as in `reduce.rs`. Must not know: how code is made.

use std::ops::Range;

use smallvec::SmallVec;

use super::blocks::{Blocks, Work};
use super::form::Source;
use super::gather::Gather;
use super::jit::Code;
use super::parallel::{Split, run, share};
use super::reduce::{Reduce, gathers, push_none_ahead, set_state_strides};
use super::runs::{Runs, merge};
use super::space::{Bases, Space, advance};
use super::states::Counter;
use super::variant::classify;
use crate::backend::Parallelism;
use crate::error::Result;
use crate::ops::reduction::BLOCK;

/// Results that go through the epilogue at once.
const BATCH: usize = 256;

/// One launch.
pub(super) struct Run<'a> {
    reduce: &'a Reduce,
    outer: &'a Space,
    origin: &'a [i64],
    blocks: Blocks<'a>,
    /// What does several results at once, and its strides, where the operands lie so.
    columns: Option<(&'a Code, Bases)>,
    epilogue_code: &'a Code,
    /// The strides of the epilogue's operands along the results.
    epilogue_strides: Bases,
}

impl<'a> Run<'a> {
    /// Makes the code that it lacks; `columns` does several results at once, and has its strides.
    pub fn new(
        reduce: &'a Reduce,
        [outer, inner]: [&'a Space; 2],
        origin: &'a [i64],
        strides: &'a [i64],
        columns: Option<(&'a Code, Bases)>,
    ) -> Result<Run<'a>> {
        let count = inner.len();
        let blocks = if columns.is_some() {
            let (merger, initial, ports) = (reduce.merger(count)?, &reduce.initial, reduce.body.ports.len());
            Blocks { code: None, merger, initial, count, ports, strides, gather: None, any_order: false }
        } else {
            let gather = gathers(inner).then(|| Gather::new(&reduce.body, inner));
            reduce.blocks(count, strides, gather)?
        };
        let epilogue_strides = epilogue_strides(reduce, outer);
        let epilogue_code = reduce.epilogue.code(&classify(reduce.epilogue.program(), &epilogue_strides))?;
        Ok(Run { reduce, outer, origin, blocks, columns, epilogue_code, epilogue_strides })
    }

    /// Each task does some of the results.
    pub fn split_results(&self, split: Split, parallelism: &Parallelism) {
        let (results, tasks) = (self.outer.len(), split.tasks);
        run(parallelism, split, tasks, |some| self.some_results(share(results, tasks, some)));
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
                let bases = self.outer.bases_at(self.origin, start);
                // SAFETY: the elements are those of the launch; the code was made for the classes of the strides.
                unsafe { self.blocks.reduce_each(&bases, self.outer.row_strides(), &mut work, &mut batch) };
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
        let (ports, blocks, merger) = (self.reduce.body.ports.len(), &self.blocks, self.blocks.merger);
        let mut bases = Bases::from_slice(&bases[..ports]);
        counters.iter_mut().for_each(Counter::clear);
        for block in 0..blocks.len() {
            let first = block * BLOCK;
            let count = BLOCK.min(blocks.count - first);
            // SAFETY: the elements are those of the launch; the code was made for this body and the classes of these
            // strides; there is a state for each counter.
            unsafe { code.call_columns(&bases, strides, [first, count], counters.len(), states) };
            advance(&mut bases, &strides[ports..], BLOCK as i64);
            for (counter, state) in counters.iter_mut().zip(states.chunks_exact(self.reduce.slots.max(1))) {
                counter.push(state, merger);
            }
        }
        for (counter, state) in counters.iter_mut().zip(states.chunks_exact_mut(self.reduce.slots.max(1))) {
            counter.finish(state, merger);
        }
    }

    /// Each task does an aligned run of blocks of one result; their states are merged as those of blocks are.
    pub fn split_blocks(&self, split: Split, parallelism: &Parallelism) {
        let (results, slots) = (self.outer.len(), self.reduce.slots);
        let runs = Runs::new(self.blocks.len(), split.tasks.div_ceil(results));
        let bases = |result| self.outer.bases_at(self.origin, result);
        // SAFETY: as in `some_results`.
        let mut states = unsafe { runs.states(&self.blocks, results, split, parallelism, bases) };
        for (result, states) in states.chunks_exact_mut(runs.count() * slots).enumerate() {
            self.finish(result, 1, merge(states, self.blocks.merger));
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
    if outer.axes() == 0 {
        return reduce.single.clone();
    }
    let mut strides = Bases::from_slice(&outer.strides(outer.axes() - 1)[reduce.body.ports.len()..]);
    set_state_strides(reduce.epilogue.program(), reduce.slots, &mut strides);
    push_none_ahead(&reduce.epilogue, &mut strides);
    strides
}
