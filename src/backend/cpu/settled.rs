//! Launches of which only the addresses are to come: what a program of many small calls runs.
//!
//! Whether one is split is seen when it runs. Must not know: how code is made, how axes were merged.

use std::sync::Arc;

use smallvec::SmallVec;

use super::form::{Port, Source};
use super::jit::Code;
use super::map::Cut;
use super::parallel::{Split, may_split, run, split};
use super::reduce::Row;
use super::space::{Bases, Space, advance};
use super::{Body, Prepared};
use crate::backend::{Parallelism, Settled};
use crate::error::{Error, Result};

/// Who may share a launch, and what it costs.
#[derive(Debug)]
pub(super) struct Sharing {
    parallelism: Parallelism,
    elements: usize,
    weight: usize,
}

impl Sharing {
    /// None for a launch that always runs on the caller's thread.
    pub fn new(parallelism: &Parallelism, elements: usize, weight: usize) -> Option<Sharing> {
        let sharing = || Sharing { parallelism: parallelism.clone(), elements, weight };
        may_split(parallelism, elements, weight).then(sharing)
    }

    /// How it is split now, and among whom; none if it is not.
    fn split(&self) -> Option<(Split, &Parallelism)> {
        let split = split(&self.parallelism, self.elements, self.weight);
        (split.tasks > 1).then_some((split, &self.parallelism))
    }
}

/// A map over rows.
#[derive(Debug)]
pub(super) struct SettledMap {
    /// None if there are no elements.
    pub code: Option<Arc<Code>>,
    /// The strides along a row, and what the program's loops go by.
    pub strides: Bases,
    /// The elements of a row.
    pub row: usize,
    /// The rows.
    pub outer: Space,
    /// The kernel's operand that each of the program's is.
    pub operands: SmallVec<[u32; 8]>,
    /// None if it runs on the caller's thread.
    pub sharing: Option<Sharing>,
}

/// The kernel's operands in the order of a map's ports.
pub(super) fn operands(ports: &[Port]) -> SmallVec<[u32; 8]> {
    let operand = |port: &Port| match port.source {
        Source::Kernel(id) => Some(id.0),
        Source::State(_) => None,
    };
    ports.iter().filter_map(operand).collect()
}

impl Settled for SettledMap {
    unsafe fn run(&self, bases: &[i64]) -> Result<()> {
        let Some(code) = &self.code else { return Ok(()) };
        let mut own = Bases::new();
        own.extend(self.operands.iter().map(|&operand| bases[operand as usize]));
        if let Some((split, parallelism)) = self.sharing.as_ref().and_then(Sharing::split) {
            // SAFETY: as below.
            unsafe { self.run_split(code, own, split, parallelism) };
            return Ok(());
        }
        if self.outer.axes() == 0 {
            // SAFETY: the elements are those of the launch, whose promises are the caller's; the code was made for the
            // classes of these strides.
            unsafe { code.call_map(&own, &self.strides, self.row) };
            return Ok(());
        }
        self.outer.visit(&own, 0..self.outer.len(), |bases| {
            // SAFETY: as above.
            unsafe { code.call_map(bases, &self.strides, self.row) };
        });
        Ok(())
    }

    fn runs_alone(&self) -> bool {
        self.sharing.is_none()
    }
}

impl SettledMap {
    /// # Safety
    /// As `run`, with operands that begin here.
    unsafe fn run_split(&self, code: &Code, own: Bases, split: Split, parallelism: &Parallelism) {
        let cut = Cut::new(self.outer.len(), self.row, split);
        run(parallelism, split, cut.tasks(), |tasks| {
            for (rows, columns) in cut.parts(tasks) {
                let mut first = own.clone();
                advance(&mut first, &self.strides, columns.start as i64);
                self.outer.visit(&first, rows, |bases| {
                    // SAFETY: as in `run`.
                    unsafe { code.call_map(bases, &self.strides, columns.len()) };
                });
            }
        });
    }
}

/// A reduction of one row to one result.
#[derive(Debug)]
pub(super) struct SettledReduce {
    pub prepared: Arc<Prepared>,
    pub row: Row,
    /// None if it runs on the caller's thread.
    pub sharing: Option<Sharing>,
}

impl Settled for SettledReduce {
    unsafe fn run(&self, bases: &[i64]) -> Result<()> {
        match &self.prepared.body {
            // SAFETY: by the caller's word.
            Body::Reduce(reduce) => unsafe {
                reduce.run(&self.row, bases, self.sharing.as_ref().and_then(Sharing::split))
            },
            Body::Map(..) => Err(Error::Internal("a map was settled as a reduction".to_string())),
        }
    }

    fn runs_alone(&self) -> bool {
        self.sharing.is_none()
    }
}
