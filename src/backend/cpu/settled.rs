//! Launches of which only the addresses are to come: what a program of many small calls runs.
//!
//! Invariant: such a launch runs on the caller's thread, whatever the number of threads. Must not know: how code is made,
//! how axes were merged.

use std::sync::Arc;

use smallvec::SmallVec;

use super::form::{Port, Source};
use super::jit::Code;
use super::reduce::Row;
use super::space::{Bases, Space};
use super::{Body, Prepared};
use crate::backend::Settled;
use crate::error::{Error, Result};

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
        for &operand in &self.operands {
            own.push(bases[operand as usize]);
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
}

/// A reduction of one row to one result.
#[derive(Debug)]
pub(super) struct SettledReduce {
    pub prepared: Arc<Prepared>,
    pub row: Row,
}

impl Settled for SettledReduce {
    unsafe fn run(&self, bases: &[i64]) -> Result<()> {
        match &self.prepared.body {
            // SAFETY: by the caller's word.
            Body::Reduce(reduce) => unsafe { reduce.run(&self.row, bases) },
            Body::Map(..) => Err(Error::Internal("a map was settled as a reduction".to_string())),
        }
    }
}
