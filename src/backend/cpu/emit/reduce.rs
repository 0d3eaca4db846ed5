//! The functions of a reduction: `blocks(bases, strides, count, first, states)`, which writes one state for each block
//! of the elements, or one for all if they may be merged in any order, and `merge(states, pairs, distance)`, which merges
//! states with those at a distance.
//!
//! A block keeps the virtual lanes of `ops::reduction` in vectors while whole groups of them are left (short bodies
//! only), else in a stack slot, and merges them as a halving tree at the end. A state in memory is one 8-byte slot for
//! each component. Must not know: how many blocks a reduction has, threads.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, StackSlot, StackSlotData, StackSlotKind, types};
use smallvec::{SmallVec, smallvec};

use super::map::{program_lanes, vector_lanes};
use super::{Class, Cursor, Emitter, Lanes, Unit, VECTOR, emit_function, no_values, scalar_type, unaligned};
use crate::backend::cpu::any_order::in_any_order;
use crate::backend::cpu::form::{Fold, Program};
use crate::backend::cpu::isa::Isa;
use crate::backend::cpu::lanes::walk;
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::reduction::{BLOCK, LANES};

/// Bodies up to this many statements keep the virtual lanes in registers.
pub(super) const SHORT: usize = 48;

/// The states of the virtual lanes of one fold, in groups of so many lanes.
struct Lanewise {
    /// Lanes of a group.
    lanes: usize,
    /// The components of each group.
    groups: Vec<Vec<Lanes>>,
    /// Where the components are spilled: sixteen elements each, a bool as a mask.
    slots: Vec<StackSlot>,
}

/// The function that reduces elements to the states of their blocks.
pub(in crate::backend::cpu) fn blocks_function(
    isa: &Isa,
    body: &Program,
    folds: &[Fold],
    classes: &[Class],
) -> Result<Unit> {
    emit_function(isa, 5, |e, params| {
        let &[bases, strides, count, first, states] = params else { return Ok(()) };
        e.open_places(body, classes, bases, strides);
        e.first = Some(first);
        let code = BlockCode::new(body, folds);
        let zero = e.b.ins().iconst(types::I64, 0);
        if in_any_order(body, folds) {
            return one_block(e, &code, [zero, count], states);
        }
        let last = e.b.ins().iadd_imm_s(count, -1);
        e.count_loop(zero, last, BLOCK, &[states], |e, start, states| {
            let end = e.b.ins().iadd_imm_s(start, BLOCK as i64);
            let end = e.b.ins().smin(end, count);
            one_block(e, &code, [start, end], states[0])?;
            let next = e.b.ins().iadd_imm_s(states[0], state_size(folds));
            Ok(smallvec![next])
        })?;
        Ok(())
    })
}

/// Reduces the elements of a block, from the first index to before the second, to a state in memory.
fn one_block(e: &mut Emitter<'_>, code: &BlockCode<'_>, bounds: [ir::Value; 2], state: ir::Value) -> Result<()> {
    let [mut index, end] = bounds;
    let mut lanewise: Vec<Lanewise> = code.folds.iter().map(|fold| initial(e, code, fold)).collect();
    if code.body.statements.len() <= SHORT {
        index = in_registers(e, code, &mut lanewise, index, end)?;
    }
    remainder(e, code, &mut lanewise, index, end)?;
    for (fold, lanewise) in code.folds.iter().zip(&lanewise) {
        let total = tree(e, code, fold, lanewise)?;
        store_state(e, fold, state, &total);
    }
    Ok(())
}

/// Bytes of a state in memory.
fn state_size(folds: &[Fold]) -> i64 {
    folds.iter().map(|fold| fold.init.len() as i64 * 8).sum()
}

/// The function `(states, pairs, distance)` that merges so many states with those at a distance in bytes, each pair two
/// distances behind the last.
pub(in crate::backend::cpu) fn merge_function(isa: &Isa, body: &Program, folds: &[Fold]) -> Result<Unit> {
    emit_function(isa, 3, |e, params| {
        let &[states, pairs, distance] = params else { return Ok(()) };
        let code = BlockCode::new(body, folds);
        let (zero, last) = (e.b.ins().iconst(types::I64, 0), e.b.ins().iadd_imm_s(pairs, -1));
        e.count_loop(zero, last, 1, &[states], |e, _, left| pair(e, &code, left[0], distance))?;
        Ok(())
    })
}

/// Merges a state with the one at a distance; gives where the next pair is.
fn pair(
    e: &mut Emitter<'_>,
    code: &BlockCode<'_>,
    left: ir::Value,
    distance: ir::Value,
) -> Result<SmallVec<[ir::Value; 16]>> {
    let right = e.b.ins().iadd(left, distance);
    for fold in code.folds {
        let (a, b) = (load_state(e, code, fold, left), load_state(e, code, fold, right));
        let merged = merge(e, code, fold, 1, &a, &b)?;
        store_state(e, fold, left, &merged);
    }
    Ok(smallvec![e.b.ins().iadd(right, distance)])
}

/// What is being compiled.
pub(super) struct BlockCode<'a> {
    body: &'a Program,
    /// What is folded.
    pub(super) folds: &'a [Fold],
    /// Elements of a step of the body.
    pub(super) lanes: usize,
}

impl<'a> BlockCode<'a> {
    /// The code of a body and its folds.
    pub(super) fn new(body: &'a Program, folds: &'a [Fold]) -> BlockCode<'a> {
        let smallest = folds.iter().filter_map(|fold| fold.smallest(&body.types)).chain(body.smallest()).min();
        BlockCode { body, folds, lanes: vector_lanes(smallest).max(program_lanes(body)) }
    }

    /// Lanes of a group of this fold's states: as few as fill a vector.
    fn group(&self, fold: &Fold) -> usize {
        fold.smallest(&self.body.types).map_or(self.lanes, |size| VECTOR / size)
    }
}

fn initial(e: &mut Emitter<'_>, block: &BlockCode<'_>, fold: &Fold) -> Lanewise {
    e.lanes = block.group(fold);
    let state: Vec<Lanes> = fold.init.iter().map(|&value| e.splat_constant(value)).collect();
    let slots = state.iter().map(|component| {
        let size = (LANES * component.width) as u32;
        e.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, size, 4))
    });
    Lanewise { lanes: e.lanes, slots: slots.collect(), groups: vec![state; LANES / e.lanes] }
}

impl Lanewise {
    fn flat(&self) -> Vec<ir::Value> {
        self.groups.iter().flatten().flat_map(|component| component.parts.iter().copied()).collect()
    }

    /// The same states in other values, in the order of `flat`; takes what it needs.
    fn refill(&mut self, values: &mut impl Iterator<Item = ir::Value>) {
        for component in self.groups.iter_mut().flatten() {
            *component = component.with(values.by_ref().take(component.parts.len()).collect::<Vec<_>>());
        }
    }
}

fn flat(lanewise: &[Lanewise]) -> Vec<ir::Value> {
    lanewise.iter().flat_map(Lanewise::flat).collect()
}

fn refill(lanewise: &mut [Lanewise], values: &[ir::Value]) {
    let mut values = values.iter().copied();
    lanewise.iter_mut().for_each(|states| states.refill(&mut values));
}

/// Whole groups of virtual lanes, kept in registers; gives the first index left.
fn in_registers(
    e: &mut Emitter<'_>,
    block: &BlockCode<'_>,
    lanewise: &mut [Lanewise],
    index: ir::Value,
    count: ir::Value,
) -> Result<ir::Value> {
    let last = e.b.ins().iadd_imm_s(count, -(LANES as i64));
    let carried = flat(lanewise);
    let (index, after) = e.count_loop(index, last, LANES, &carried, |e, index, carried| {
        refill(lanewise, carried);
        for offset in (0..LANES).step_by(block.lanes) {
            let lifted = lift(e, block, Cursor { index, offset }, block.lanes)?;
            for ((fold, states), lifted) in block.folds.iter().zip(lanewise.iter_mut()).zip(lifted) {
                for (run, right) in runs(e, states.lanes, &lifted).into_iter().enumerate() {
                    let group = offset / states.lanes + run;
                    let merged = merge(e, block, fold, states.lanes, &states.groups[group], &right)?;
                    states.groups[group] = merged;
                }
            }
        }
        Ok(flat(lanewise).into_iter().collect())
    })?;
    refill(lanewise, &after);
    Ok(index)
}

/// The lifted states, one list for each fold, of some elements.
pub(super) fn lift(
    e: &mut Emitter<'_>,
    block: &BlockCode<'_>,
    cursor: Cursor,
    lanes: usize,
) -> Result<Vec<Vec<Lanes>>> {
    (e.lanes, e.cursor) = (lanes, Some(cursor));
    let mut values = no_values(&block.body.types);
    walk(&block.body.statements, &mut values, e)?;
    let lifted = |fold: &Fold| fold.lifted.iter().map(|&id| values.get(id).cloned()).collect();
    block.folds.iter().map(lifted).collect()
}

/// A state in runs of so many lanes, in order.
fn runs(e: &mut Emitter<'_>, lanes: usize, state: &[Lanes]) -> Vec<Vec<Lanes>> {
    let count = e.lanes / lanes;
    let mut runs = vec![Vec::new(); count];
    for component in state {
        let component =
            if component.dtype == DType::Bool { e.mask_to(component, VECTOR / lanes) } else { component.clone() };
        for (run, chunk) in runs.iter_mut().zip(component.chunks(component.parts.len() / count)) {
            run.push(chunk);
        }
    }
    runs
}

/// Merges states of so many lanes.
pub(super) fn merge(
    e: &mut Emitter<'_>,
    block: &BlockCode<'_>,
    fold: &Fold,
    lanes: usize,
    left: &[Lanes],
    right: &[Lanes],
) -> Result<Vec<Lanes>> {
    let before = std::mem::replace(&mut e.lanes, lanes);
    let mut values = no_values(&block.body.types);
    let ids = fold.merge.left.iter().zip(left).chain(fold.merge.right.iter().zip(right));
    ids.for_each(|(&id, value)| values.set(id, value.clone()));
    walk(&fold.merge.block.statements, &mut values, e)?;
    let mut merged = Vec::new();
    for &id in &fold.merge.results {
        let component = values.get(id)?.clone();
        merged.push(if component.dtype == DType::Bool { e.mask_to(&component, VECTOR / lanes) } else { component });
    }
    e.lanes = before;
    Ok(merged)
}

/// What is left after the groups in registers: the lanes go through memory. Skipped if nothing is left.
fn remainder(
    e: &mut Emitter<'_>,
    block: &BlockCode<'_>,
    lanewise: &mut [Lanewise],
    index: ir::Value,
    count: ir::Value,
) -> Result<()> {
    let (some, joined) = (e.b.create_block(), e.b.create_block());
    let carried = flat(lanewise);
    for &value in &carried {
        let ty = e.b.func.dfg.value_type(value);
        e.b.append_block_param(joined, ty);
    }
    let arguments: Vec<ir::BlockArg> = carried.iter().map(|&value| value.into()).collect();
    let left = e.b.ins().icmp(IntCC::SignedLessThan, index, count);
    e.b.ins().brif(left, some, &[], joined, &arguments);
    e.b.switch_to_block(some);
    spill(e, lanewise);
    let index = in_memory(e, block, lanewise, block.lanes, index, count)?;
    in_memory(e, block, lanewise, 1, index, count)?;
    let reloaded: Vec<ir::BlockArg> = reload(e, lanewise).into_iter().map(|value| value.into()).collect();
    e.b.ins().jump(joined, &reloaded);
    e.b.switch_to_block(joined);
    let params = e.b.block_params(joined).to_vec();
    refill(lanewise, &params);
    Ok(())
}

fn spill(e: &mut Emitter<'_>, lanewise: &[Lanewise]) {
    for states in lanewise {
        for (component, &slot) in states.slots.iter().enumerate() {
            let parts = states.groups.iter().flat_map(|group| group[component].parts.iter().copied());
            for (part, value) in parts.enumerate() {
                e.b.ins().stack_store(types::I64, value, slot, (part * VECTOR) as i32);
            }
        }
    }
}

/// The states in the order of `flat`.
fn reload(e: &mut Emitter<'_>, lanewise: &[Lanewise]) -> Vec<ir::Value> {
    let mut values = Vec::new();
    for states in lanewise {
        for (group, state) in states.groups.iter().enumerate() {
            for (component, &slot) in state.iter().zip(&states.slots) {
                for (part, &value) in component.parts.iter().enumerate() {
                    let ty = e.b.func.dfg.value_type(value);
                    let offset = ((group * component.parts.len() + part) * VECTOR) as i32;
                    values.push(e.b.ins().stack_load(types::I64, ty, slot, offset));
                }
            }
        }
    }
    values
}

/// Groups of so many elements, merged into the spilled lanes; gives the first index left.
fn in_memory(
    e: &mut Emitter<'_>,
    block: &BlockCode<'_>,
    lanewise: &[Lanewise],
    lanes: usize,
    index: ir::Value,
    count: ir::Value,
) -> Result<ir::Value> {
    let last = e.b.ins().iadd_imm_s(count, -(lanes as i64));
    let (index, _) = e.count_loop(index, last, lanes, &[], |e, index, _| {
        let lifted = lift(e, block, Cursor { index, offset: 0 }, lanes)?;
        let lane = e.b.ins().band_imm_u(index, LANES as i64 - 1);
        for ((fold, states), lifted) in block.folds.iter().zip(lanewise).zip(lifted) {
            let group = states.lanes.min(lanes);
            for (run, right) in runs(e, group, &lifted).into_iter().enumerate() {
                let places = places(e, states, lane, run * group);
                let left: Vec<Lanes> = load_lanes(e, states, &places, group);
                let merged = merge(e, block, fold, group, &left, &right)?;
                store_lanes(e, states, &places, &merged);
            }
        }
        Ok(SmallVec::new())
    })?;
    Ok(index)
}

/// The addresses of a lane in the slots of a state.
fn places(e: &mut Emitter<'_>, states: &Lanewise, lane: ir::Value, offset: usize) -> Vec<ir::Value> {
    let mut places = Vec::new();
    for (component, &slot) in states.groups[0].iter().zip(&states.slots) {
        let start = e.b.ins().stack_addr(types::I64, slot, (offset * component.width) as i32);
        let distance = e.b.ins().imul_imm_s(lane, component.width as i64);
        places.push(e.b.ins().iadd(start, distance));
    }
    places
}

fn load_lanes(e: &mut Emitter<'_>, states: &Lanewise, places: &[ir::Value], lanes: usize) -> Vec<Lanes> {
    let mut state = Vec::new();
    for (component, &place) in states.groups[0].iter().zip(places) {
        if lanes > 1 {
            let parts = component.parts.iter().enumerate().map(|(part, &like)| {
                let ty = e.b.func.dfg.value_type(like);
                e.b.ins().load(ty, unaligned(), place, (part * VECTOR) as i32)
            });
            state.push(component.with(parts.collect::<Vec<_>>()));
            continue;
        }
        let (dtype, width) = (component.dtype, component.width);
        let value = e.b.ins().load(component.lane(), unaligned(), place, 0);
        let value = if dtype == DType::Bool { e.truth_of_mask(value, width) } else { value };
        state.push(Lanes::scalar(dtype, value));
    }
    state
}

fn store_lanes(e: &mut Emitter<'_>, states: &Lanewise, places: &[ir::Value], merged: &[Lanes]) {
    for ((like, value), &place) in states.groups[0].iter().zip(merged).zip(places) {
        let scalar_bool = value.dtype == DType::Bool && e.b.func.dfg.value_type(value.parts[0]) == types::I8;
        for (part, &element) in value.parts.iter().enumerate() {
            let element = if scalar_bool { e.mask_of_truth(element, like.width) } else { element };
            e.b.ins().store(unaligned(), element, place, (part * VECTOR) as i32);
        }
    }
}

/// Merges the virtual lanes as a halving tree to one state of scalars.
fn tree(e: &mut Emitter<'_>, block: &BlockCode<'_>, fold: &Fold, states: &Lanewise) -> Result<Vec<Lanes>> {
    let vectors = halve(e, block, fold, states.lanes, states.groups.clone())?;
    e.lanes = states.lanes;
    let mut scalars = vec![Vec::new(); states.lanes];
    for component in &vectors {
        for (lane, scalars) in scalars.iter_mut().enumerate() {
            let element = e.lane(component, lane);
            scalars.push(Lanes::scalar(component.dtype, element));
        }
    }
    halve(e, block, fold, 1, scalars)
}

fn halve(
    e: &mut Emitter<'_>,
    block: &BlockCode<'_>,
    fold: &Fold,
    lanes: usize,
    mut states: Vec<Vec<Lanes>>,
) -> Result<Vec<Lanes>> {
    while states.len() > 1 {
        let right = states.split_off(states.len() / 2);
        for (left, right) in states.iter_mut().zip(&right) {
            *left = merge(e, block, fold, lanes, left, right)?;
        }
    }
    Ok(states.pop().unwrap_or_default())
}

/// A state of scalars from memory.
fn load_state(e: &mut Emitter<'_>, block: &BlockCode<'_>, fold: &Fold, state: ir::Value) -> Vec<Lanes> {
    let mut components = Vec::new();
    for (component, &id) in fold.merge.left.iter().enumerate() {
        let dtype = block.body.ty(id);
        let offset = ((fold.slot + component) * 8) as i32;
        let value = e.b.ins().load(scalar_type(dtype), unaligned(), state, offset);
        components.push(Lanes::scalar(dtype, value));
    }
    components
}

fn store_state(e: &mut Emitter<'_>, fold: &Fold, state: ir::Value, components: &[Lanes]) {
    for (component, value) in components.iter().enumerate() {
        let offset = ((fold.slot + component) * 8) as i32;
        e.b.ins().store(unaligned(), value.parts[0], state, offset);
    }
}
