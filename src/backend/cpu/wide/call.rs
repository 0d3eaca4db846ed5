//! Calls of kernels, which compute many elements at a time.
//!
//! A kernel reads its arguments from memory. A draw whose counters are at equal distances, under one key, is told just
//! that: nothing is written for it to read. Must not know: where arguments lie, loops.

use super::bytes::is_byte;
use super::step::{Argument, Count, Home, Place, Step, Value};
use super::trace::{Lanes, Parts, Tracer, VECTOR, no_wide_form};
use crate::backend::cpu::math::{Function, Symbol};
use crate::error::Result;

impl Tracer<'_> {
    /// Calls the op's kernel.
    pub(super) fn call(&mut self, function: Function, arguments: &[&Lanes]) -> Result<Lanes> {
        let symbol = Symbol { function, dtype: arguments[0].dtype };
        let (address, arguments) = match (symbol.progression_kernel(self.level), self.progression(arguments)) {
            (Some(address), Some(told)) => (Some(address), told),
            (_, _) => (symbol.kernel(self.level), arguments.iter().map(|argument| vectors(argument)).collect()),
        };
        let address = address.ok_or_else(|| no_wide_form(symbol.name()))? as usize;
        let dtype = symbol.result();
        if is_byte(dtype) {
            // The kernel's elements are bytes, unlike these lanes.
            return Err(no_wide_form(symbol.name()));
        }
        let width = self.width(dtype)?;
        if !(self.lanes * width).is_multiple_of(VECTOR) {
            return Err(no_wide_form("a kernel's results that fill no vector"));
        }
        let results: Parts = (0..self.vectors(width)).map(|_| self.steps.value(Home::None)).collect();
        let call = Step::Call { address, name: symbol.name(), arguments, results: results.to_vec() };
        self.steps.steps.push(call);
        Ok(Lanes { dtype, width, parts: results })
    }

    /// Numbers at equal distances, and an element that all share.
    fn progression(&self, arguments: &[&Lanes]) -> Option<Vec<Argument>> {
        let [numbers, element] = arguments else { return None };
        let count = self.count_of(&numbers.parts)?;
        let shared = element.parts[0];
        let is_shared = element.parts.iter().all(|part| *part == shared) && self.has_lasting_home(shared);
        is_shared.then(|| vec![Argument::Progression(count), Argument::Element(shared)])
    }

    fn count_of(&self, parts: &Parts) -> Option<Count> {
        self.progressions.iter().find(|(known, _)| known == parts).map(|(_, count)| *count)
    }

    /// Whether a value is known from the start, so that a call finds it where it was.
    fn has_lasting_home(&self, value: Value) -> bool {
        matches!(self.steps.homes[value.0 as usize], Home::Constant(_) | Home::Place(Place::Frame(_)))
    }
}

fn vectors(argument: &Lanes) -> Argument {
    Argument::Vectors(argument.parts.to_vec())
}
