//! Which emitter makes a function: the wide one where the instruction set and the program allow it, else Cranelift's.
//!
//! Must not know: how either works, who runs the code.

use super::emit::{self, Class, Unit};
use super::form::{Fold, Program};
use super::isa::Isa;
use super::wide::{self, Assembled, Options};
use crate::error::{Error, Result};

/// A function that is made, but not runnable yet.
pub(super) enum Made {
    /// Bytes.
    Wide(Assembled),
    /// Cranelift's IR.
    Narrow(Box<Unit>),
}

/// How a function is made.
#[derive(Clone, Copy)]
pub(super) struct Generator<'a> {
    /// For which instruction set.
    pub isa: &'a Isa,
    /// Whether bytes come with a listing.
    pub text: bool,
}

impl<'a> Generator<'a> {
    /// What makes runnable code.
    pub fn new(isa: &'a Isa) -> Generator<'a> {
        Generator { isa, text: false }
    }

    /// The function that runs a program along a row; `single` if its rows only ever have one element.
    pub fn map(self, program: &Program, classes: &[Class], single: bool) -> Result<Made> {
        let wide = || wide::map_function(program, classes, false, self.options());
        self.choose(wide, || emit::map_function(self.isa, program, classes, single))
    }

    /// As `map`, for results that lie at multiples of a vector's size and bypass the cache; `None` without a wide form.
    pub fn streaming_map(self, program: &Program, classes: &[Class]) -> Result<Option<Assembled>> {
        self.wide(|| wide::map_function(program, classes, true, self.options()))
    }

    /// The function that reduces elements to the states of their blocks.
    pub fn blocks(self, body: &Program, folds: &[Fold], classes: &[Class]) -> Result<Made> {
        let wide = || wide::blocks_function(body, folds, classes, self.options());
        self.choose(wide, || emit::blocks_function(self.isa, body, folds, classes))
    }

    /// The function that reduces neighboring results.
    pub fn columns(self, body: &Program, folds: &[Fold], classes: &[Class]) -> Result<Made> {
        let wide = || wide::columns_function(body, folds, classes, self.options());
        self.choose(wide, || emit::columns_function(self.isa, body, folds, classes))
    }

    /// The function that merges states.
    pub fn merge(self, body: &Program, folds: &[Fold]) -> Result<Made> {
        let wide = || wide::merge_function(body, folds, self.options());
        self.choose(wide, || emit::merge_function(self.isa, body, folds))
    }

    fn options(self) -> Options {
        Options { level: self.isa.level, text: self.text }
    }

    fn choose(self, wide: impl FnOnce() -> Result<Assembled>, narrow: impl FnOnce() -> Result<Unit>) -> Result<Made> {
        match self.wide(wide)? {
            Some(assembled) => Ok(Made::Wide(assembled)),
            None => Ok(Made::Narrow(Box::new(narrow()?))),
        }
    }

    fn wide(self, make: impl FnOnce() -> Result<Assembled>) -> Result<Option<Assembled>> {
        if !self.isa.features.wide {
            return Ok(None);
        }
        match make() {
            Ok(assembled) => Ok(Some(assembled)),
            Err(Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
