//! Functions as a user has them: compiled, for every level of the instruction set that is to be measured.

use crate::number::Number;
use kroton::expr::{apply_binary, apply_unary};
use kroton::ops::{BinaryOp, Row, UnaryOp};
use kroton::{Arg, Compiler, DType, Error, InstructionSet, Result, input};

/// The levels, the one without fused multiply-add first. On a processor with AVX-512 the last one has kernels for it.
const SETS: [InstructionSet; 3] = [InstructionSet::Baseline, InstructionSet::Avx2, InstructionSet::Native];

/// An op that is an elementary function.
#[derive(Debug, Clone, Copy)]
pub enum Op {
    Unary(UnaryOp),
    Binary(BinaryOp),
}

impl Op {
    pub fn row(self) -> &'static Row {
        match self {
            Op::Unary(op) => op.row(),
            Op::Binary(op) => op.row(),
        }
    }

    pub fn is_unary(self) -> bool {
        matches!(self, Op::Unary(_))
    }

    /// The definition at one argument; a function of one ignores the second.
    pub fn define<T: Number>(self, a: T, b: T) -> T {
        let value = match self {
            Op::Unary(op) => op.apply(a.to_scalar()),
            Op::Binary(op) => op.apply(a.to_scalar(), b.to_scalar()),
        };
        value.and_then(T::from_scalar).expect("a function of floats gives their type")
    }

    fn compile(self, dtype: DType, set: InstructionSet) -> Result<kroton::Function> {
        // Threads of the measurement call it, each for itself.
        let compiler = Compiler::new().isa(set).parallel_threshold(usize::MAX);
        let a = input("a", dtype, [None]);
        match self {
            Op::Unary(op) => compiler.compile([&a], apply_unary(op, &a)),
            Op::Binary(op) => {
                let b = input("b", dtype, [None]);
                compiler.compile([&a, &b], apply_binary(op, &a, &b))
            }
        }
    }
}

/// A function at one level.
pub struct Level {
    pub set: InstructionSet,
    /// Whether there is fused multiply-add.
    pub is_fused: bool,
    op: Op,
    function: kroton::Function,
}

impl Level {
    /// The function at each level that this processor has.
    ///
    /// # Errors
    /// What compiling gives, but for a level that the processor lacks.
    pub fn all(op: Op, dtype: DType) -> Result<Vec<Level>> {
        let mut levels = Vec::new();
        for set in SETS {
            match op.compile(dtype, set) {
                Ok(function) => levels.push(Level { set, is_fused: is_fused(set), op, function }),
                Err(Error::Unsupported(_)) if set == InstructionSet::Avx2 => {}
                Err(error) => return Err(error),
            }
        }
        Ok(levels)
    }

    /// Writes the function's values; all slices have one length.
    pub fn run<T: Number>(&self, out: &mut [T], a: &[T], b: &[T]) {
        let result = match self.op {
            Op::Unary(_) => self.function.call_into([Arg::from(a)], (out,)),
            Op::Binary(_) => self.function.call_into([Arg::from(a), Arg::from(b)], (out,)),
        };
        result.expect("a call with slices of the type and one length");
    }

    /// The function's values.
    pub fn values<T: Number>(&self, a: &[T], b: &[T]) -> Vec<T> {
        let mut out = vec![T::default(); a.len()];
        self.run(&mut out, a, b);
        out
    }
}

#[cfg(target_arch = "x86_64")]
fn is_fused(set: InstructionSet) -> bool {
    set != InstructionSet::Baseline && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

#[cfg(not(target_arch = "x86_64"))]
fn is_fused(_: InstructionSet) -> bool {
    cfg!(target_arch = "aarch64")
}
