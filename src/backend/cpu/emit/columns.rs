//! The function that reduces up to a block of several neighboring results at once:
//! `(bases, strides, count, first, columns, states)`, for operands that lie better along the results than along the
//! reduction. `strides` has the strides along the results, then those along the reduction.
//!
//! Lanes of a vector are results here; the virtual lanes of `ops::reduction` are sixteen states in a stack slot, merged
//! in the same order, so the bits are those of `blocks_function`. Must not know: how many blocks there are, threads.

use cranelift_codegen::ir::{self, InstBuilder, StackSlot, StackSlotData, StackSlotKind, types};
use smallvec::SmallVec;

use super::reduce::{BlockCode, SHORT, lift, merge};
use super::{Class, Cursor, Emitter, Lanes, Unit, VECTOR, emit_function, unaligned};
use crate::backend::cpu::form::{Fold, Program};
use crate::backend::cpu::isa::Isa;
use crate::error::Result;
use crate::ops::reduction::LANES;

/// Results that short bodies do at once: what they read of a row is whole cache lines.
const WIDE: usize = 16;

/// The parameters of the function, and what follows from them.
struct Columns<'a> {
    block: BlockCode<'a>,
    /// Bases at the first element, and strides along the reduction.
    bases: Vec<ir::Value>,
    strides: Vec<ir::Value>,
    count: ir::Value,
    first: ir::Value,
    columns: ir::Value,
    states: ir::Value,
    /// Slots of the state of one result.
    slots: usize,
}

/// Where the virtual lanes of a component of a state are kept.
struct Kept {
    like: Lanes,
    slot: StackSlot,
}

/// The function for operands of such classes along the results.
pub(in crate::backend::cpu) fn columns_function(
    isa: &Isa,
    body: &Program,
    folds: &[Fold],
    classes: &[Class],
) -> Result<Unit> {
    emit_function(isa, 6, |e, params| {
        let &[bases, strides, count, first, columns, states] = params else { return Ok(()) };
        e.open_places(body, classes, bases, strides);
        let ports = body.ports.len();
        let stride =
            |port: usize| e.b.ins().load(types::I64, unaligned().with_readonly(), strides, ((ports + port) * 8) as i32);
        let strides = (0..ports).map(stride).collect();
        let slots = folds.iter().map(|fold| fold.init.len()).sum();
        let bases = e.place_bases();
        let all = Columns { block: BlockCode::new(body, folds), bases, strides, count, first, columns, states, slots };
        let column = e.b.ins().iconst(types::I64, 0);
        let column = if all.block.lanes < WIDE && body.statements.len() <= SHORT {
            groups(e, &all, WIDE, column)?
        } else {
            column
        };
        let column = groups(e, &all, all.block.lanes, column)?;
        groups(e, &all, 1, column)?;
        Ok(())
    })
}

/// Reduces groups of so many results as long as there are whole ones; gives the first result left.
fn groups(e: &mut Emitter<'_>, all: &Columns<'_>, lanes: usize, column: ir::Value) -> Result<ir::Value> {
    e.lanes = lanes;
    let kept: Vec<Vec<Kept>> = all.block.folds.iter().map(|fold| keep(e, fold)).collect();
    let last = e.b.ins().iadd_imm_s(all.columns, -(lanes as i64));
    let (column, _) = e.count_loop(column, last, lanes, &[], |e, column, _| {
        e.lanes = lanes;
        kept.iter().flatten().for_each(|kept| fill(e, kept));
        rows(e, all, &kept, lanes, column)?;
        for (fold, kept) in all.block.folds.iter().zip(&kept) {
            halve(e, all, fold, kept, lanes)?;
            e.lanes = lanes;
            write(e, all, fold, kept, column);
        }
        Ok(SmallVec::new())
    })?;
    Ok(column)
}

fn keep(e: &mut Emitter<'_>, fold: &Fold) -> Vec<Kept> {
    let kept = fold.init.iter().map(|&value| {
        let like = e.splat_constant(value);
        let data = StackSlotData::new(StackSlotKind::ExplicitSlot, (LANES * size(e, &like)) as u32, 4);
        Kept { like, slot: e.b.create_sized_stack_slot(data) }
    });
    kept.collect()
}

/// Bytes of a component of one virtual lane.
fn size(e: &Emitter<'_>, like: &Lanes) -> usize {
    if e.lanes == 1 { like.width } else { like.parts.len() * VECTOR }
}

fn fill(e: &mut Emitter<'_>, kept: &Kept) {
    let size = size(e, &kept.like);
    for lane in 0..LANES {
        for (part, &value) in kept.like.parts.iter().enumerate() {
            e.b.ins().stack_store(types::I64, value, kept.slot, (lane * size + part * VECTOR) as i32);
        }
    }
}

/// Merges the elements of all rows into the virtual lanes.
fn rows(e: &mut Emitter<'_>, all: &Columns<'_>, kept: &[Vec<Kept>], lanes: usize, column: ir::Value) -> Result<()> {
    let (zero, last) = (e.b.ins().iconst(types::I64, 0), e.b.ins().iadd_imm_s(all.count, -1));
    e.count_loop(zero, last, 1, &[], |e, row, _| {
        e.move_places(&all.bases, &all.strides, row);
        e.row = Some(e.b.ins().iadd(all.first, row));
        let lifted = lift(e, &all.block, Cursor { index: column, offset: 0 }, lanes)?;
        e.row = None;
        let lane = e.b.ins().band_imm_u(row, LANES as i64 - 1);
        for ((fold, kept), right) in all.block.folds.iter().zip(kept).zip(lifted) {
            let left = load(e, kept, lane);
            let merged = merge(e, &all.block, fold, lanes, &left, &right)?;
            store(e, kept, lane, &merged);
        }
        Ok(SmallVec::new())
    })?;
    Ok(())
}

/// Merges the virtual lanes as a halving tree; the total is in the first.
fn halve(e: &mut Emitter<'_>, all: &Columns<'_>, fold: &Fold, kept: &[Kept], lanes: usize) -> Result<()> {
    let mut half = LANES / 2;
    while half > 0 {
        let (zero, last) = (e.b.ins().iconst(types::I64, 0), e.b.ins().iconst(types::I64, half as i64 - 1));
        e.count_loop(zero, last, 1, &[], |e, lane, _| {
            e.lanes = lanes;
            let other = e.b.ins().iadd_imm_s(lane, half as i64);
            let (left, right) = (load(e, kept, lane), load(e, kept, other));
            let merged = merge(e, &all.block, fold, lanes, &left, &right)?;
            store(e, kept, lane, &merged);
            Ok(SmallVec::new())
        })?;
        half /= 2;
    }
    Ok(())
}

fn address(e: &mut Emitter<'_>, kept: &Kept, lane: ir::Value) -> ir::Value {
    let start = e.b.ins().stack_addr(types::I64, kept.slot, 0);
    let size = size(e, &kept.like) as i64;
    let distance = e.b.ins().imul_imm_s(lane, size);
    e.b.ins().iadd(start, distance)
}

fn load(e: &mut Emitter<'_>, kept: &[Kept], lane: ir::Value) -> Vec<Lanes> {
    let mut state = Vec::new();
    for kept in kept {
        let address = address(e, kept, lane);
        let parts = kept.like.parts.iter().enumerate().map(|(part, &like)| {
            let ty = e.b.func.dfg.value_type(like);
            e.b.ins().load(ty, unaligned(), address, (part * VECTOR) as i32)
        });
        state.push(kept.like.with(parts.collect::<Vec<_>>()));
    }
    state
}

fn store(e: &mut Emitter<'_>, kept: &[Kept], lane: ir::Value, state: &[Lanes]) {
    for (kept, value) in kept.iter().zip(state) {
        let address = address(e, kept, lane);
        for (part, &value) in value.parts.iter().enumerate() {
            e.b.ins().store(unaligned(), value, address, (part * VECTOR) as i32);
        }
    }
}

/// Writes the totals to the states of the results.
fn write(e: &mut Emitter<'_>, all: &Columns<'_>, fold: &Fold, kept: &[Kept], column: ir::Value) {
    let zero = e.b.ins().iconst(types::I64, 0);
    let total = load(e, kept, zero);
    let distance = e.b.ins().imul_imm_s(column, all.slots as i64 * 8);
    let start = e.b.ins().iadd(all.states, distance);
    for (component, value) in total.iter().enumerate() {
        for lane in 0..e.lanes {
            let element = e.lane(value, lane);
            let offset = (lane * all.slots + fold.slot + component) * 8;
            e.b.ins().store(unaligned(), element, start, offset as i32);
        }
    }
}
