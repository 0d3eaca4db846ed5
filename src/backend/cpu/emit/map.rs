//! The function that runs a program along one row: `(bases, strides, count)`.
//!
//! A loop over several steps of vectors, one over single steps, and a scalar loop for the rest, all by the same walk.
//! Must not know: who calls it, other axes.

use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::{self, types};
use smallvec::SmallVec;

use super::loops::Loops;
use super::{Class, Cursor, Emitter, Unit, VECTOR, emit_function, no_values};
use crate::backend::cpu::form::Program;
use crate::backend::cpu::isa::Isa;
use crate::backend::cpu::lanes::walk;
use crate::error::Result;

/// Vectors that go through loops over steps side by side, since each step waits for the one before.
const STEPPED: usize = 2;

/// Elements that fill one vector of the smallest dtype, so that a value of any fills whole vectors.
pub(super) fn vector_lanes(smallest: Option<usize>) -> usize {
    VECTOR / smallest.unwrap_or(1)
}

/// Elements of a step of a program: more if kernels are called, which work on many at once.
pub(super) fn program_lanes(program: &Program) -> usize {
    if program.calls_kernels() { VECTOR } else { vector_lanes(program.smallest()) }
}

/// The function for operands of such classes; `single` if its rows only ever have one element.
pub(in crate::backend::cpu) fn map_function(
    isa: &Isa,
    program: &Program,
    classes: &[Class],
    single: bool,
) -> Result<Unit> {
    emit_function(isa, 3, |e, params| {
        let &[bases, strides, count] = params else { return Ok(()) };
        e.open_places(program, classes, bases, strides);
        let program = Loops { program, table: strides };
        let mut index = e.b.ins().iconst(types::I64, 0);
        if !single {
            index = vectors(e, program, index, count)?;
        }
        rows(e, program, 1, 1, index, count)?;
        Ok(())
    })
}

/// Runs the program on whole vectors; gives the first index left.
fn vectors(e: &mut Emitter<'_>, program: Loops<'_>, index: ir::Value, count: ir::Value) -> Result<ir::Value> {
    let lanes = program_lanes(program.program);
    let mut index = index;
    let most = (lanes * STEPPED).min(VECTOR);
    if !program.program.loops.is_empty() && most > lanes {
        index = rows(e, program, most, 1, index, count)?;
    }
    let unroll = unroll(program.program, lanes);
    let index = if unroll > 1 { rows(e, program, lanes, unroll, index, count)? } else { index };
    rows(e, program, lanes, 1, index, count)
}

/// How many steps are made at once: more for short bodies whose values fit one vector each.
fn unroll(program: &Program, lanes: usize) -> usize {
    let one_vector = program.types_used().all(|dtype| dtype.size() * lanes == VECTOR);
    match program.statements.len() {
        _ if !one_vector || program.calls_kernels() || !program.loops.is_empty() => 1,
        0..=16 => 4,
        17..=64 => 2,
        _ => 1,
    }
}

/// Runs the program from `index` on as long as whole groups of steps are left; gives the first index left.
fn rows(
    e: &mut Emitter<'_>,
    program: Loops<'_>,
    lanes: usize,
    unroll: usize,
    index: ir::Value,
    count: ir::Value,
) -> Result<ir::Value> {
    let Loops { program: Program { types, statements, loops, .. }, .. } = program;
    let step = lanes * unroll;
    let last = e.b.ins().iadd_imm_s(count, -(step as i64));
    let (index, _) = e.count_loop(index, last, step, &[], |e, index, _| {
        e.lanes = lanes;
        for copy in 0..unroll {
            e.cursor = Some(Cursor { index, offset: copy * lanes });
            let mut values = no_values(types);
            walk(statements, &mut values, e)?;
            program.nests(e, loops, &mut values, None)?;
        }
        Ok(SmallVec::new())
    })?;
    Ok(index)
}
