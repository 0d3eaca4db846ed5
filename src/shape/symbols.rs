//! The sizes that a call gives: symbols, and their values in one call.
//!
//! Knows inputs by their identity only.

use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;

use crate::error::{Error, Result};

/// The identity of an input, unique in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InputId(pub u64);

impl InputId {
    /// A fresh identity.
    pub fn new() -> InputId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        InputId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Default for InputId {
    fn default() -> Self {
        InputId::new()
    }
}

/// What of an input a symbol stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// The extent along an axis.
    Extent(u32),
    /// The value of a rank-0 integer input.
    Value,
}

/// A size that is known when a call's arguments are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol {
    /// The input that gives the size.
    pub input: InputId,
    /// Which of its sizes.
    pub measure: Measure,
}

/// The values of the symbols in one call, sorted by symbol.
#[derive(Debug, Clone, Default)]
pub struct Symbols(SmallVec<[(Symbol, i64); 6]>);

impl Symbols {
    /// Sets the value of a symbol.
    pub fn set(&mut self, symbol: Symbol, value: i64) {
        match self.0.binary_search_by_key(&symbol, |entry| entry.0) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => self.0.insert(place, (symbol, value)),
        }
    }

    /// The value of a symbol.
    ///
    /// # Errors
    /// `Shape` if the symbol is an integer input whose value does not fit `i64`, `Internal` if an extent has no value.
    pub fn get(&self, symbol: &Symbol) -> Result<i64> {
        match self.0.binary_search_by_key(symbol, |entry| entry.0) {
            Ok(place) => Ok(self.0[place].1),
            Err(_) => Err(missing(symbol)),
        }
    }
}

fn missing(symbol: &Symbol) -> Error {
    match symbol.measure {
        Measure::Value => Error::Shape(format!("an integer beyond {} was passed as a size", i64::MAX)),
        Measure::Extent(_) => Error::Internal(format!("the size {symbol:?} has no value")),
    }
}
