//! Code made on demand for the operand classes that launches turn out to have.
//!
//! Variants are published append-only and read without a lock; each is compiled once, however many threads ask for it.
//! When all places are taken, code for any strides serves the rest. Must not know: what the code does.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::emit::Class;
use super::form::Program;
use super::jit::Code;
use crate::error::{Error, Result};
use crate::loops::Access;

/// The classes of a program's operands on the inner axis.
pub(super) type Classes = SmallVec<[Class; 16]>;

/// Specialised variants; then there is one for any strides, and one for gathered operands.
const SPECIALIZED: usize = 6;

/// The variants of one function.
#[derive(Debug, Default)]
pub(super) struct Variants {
    specialized: [OnceLock<(Classes, Result<Arc<Code>>)>; SPECIALIZED],
    any_strides: OnceLock<Result<Arc<Code>>>,
    gathered: OnceLock<Result<Arc<Code>>>,
    compilations: AtomicUsize,
    /// The time that went into them.
    nanoseconds: AtomicU64,
}

impl Variants {
    /// The code for such operands, made now if there is none yet.
    pub fn get(
        &self,
        classes: &Classes,
        program: &Program,
        make: impl Fn(&[Class]) -> Result<Arc<Code>>,
    ) -> Result<&Arc<Code>> {
        let counted = |classes: &[Class]| {
            let start = Instant::now();
            let code = make(classes);
            self.compilations.fetch_add(1, Ordering::Relaxed);
            self.nanoseconds.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
            code
        };
        for place in &self.specialized {
            let (known, code) = place.get_or_init(|| (classes.clone(), counted(classes)));
            if known == classes {
                return code.as_ref().map_err(Error::clone);
            }
        }
        let positions_in_memory = |(port, class): (&super::form::Port, &Class)| {
            port.operand.access == Access::Index && *class == Class::Contiguous
        };
        let (place, class) = if program.ports.iter().zip(classes).any(positions_in_memory) {
            (&self.gathered, Class::Contiguous)
        } else {
            (&self.any_strides, Class::Strided)
        };
        let code = place.get_or_init(|| counted(&vec![class; classes.len()]));
        code.as_ref().map_err(Error::clone)
    }

    /// How many there are.
    pub fn compilations(&self) -> usize {
        self.compilations.load(Ordering::Relaxed)
    }

    /// How long it took to make them.
    pub fn compile_time(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }
}

/// The class of an operand of this access and element size at this stride.
pub(super) fn class(access: Access, size: usize, stride: i64) -> Class {
    match access {
        Access::Index | Access::Read if stride == 0 => Class::Broadcast,
        Access::Read | Access::Write if stride == size as i64 => Class::Contiguous,
        Access::Index | Access::Read | Access::Write => Class::Strided,
    }
}

/// The classes of a program's operands at these strides.
pub(super) fn classify(program: &Program, strides: &[i64]) -> Classes {
    let mut classes = Classes::new();
    // Pushed, since this is part of every call: collecting takes several times as long for so few.
    for (port, &stride) in program.ports.iter().zip(strides) {
        classes.push(class(port.operand.access, port.operand.dtype.size(), stride));
    }
    classes
}

/// The classes of operands that lie in memory one element after the other.
pub(super) fn contiguous(program: &Program) -> Classes {
    program.ports.iter().map(|_| Class::Contiguous).collect()
}
