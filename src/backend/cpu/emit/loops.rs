//! Loops over steps within a map: what is carried goes round as block parameters, operands move on with each step.
//!
//! In a `While`, lanes whose condition no longer holds keep their state while others go on. Must not know: how statements
//! become code, who calls the function.

use cranelift_codegen::ir::{self, BlockArg, InstBuilder, types};
use smallvec::SmallVec;

use super::{Emitter, Lanes, VECTOR, ops, unaligned};
use crate::backend::cpu::form::Program;
use crate::backend::cpu::lanes::{Values, walk};
use crate::backend::cpu::nested::accessed;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::loops::{Axis, Block, Carried, Nest, ValueId};
use crate::ops::{BinaryOp, TernaryOp};

/// What is carried, as IR values one after the other.
type Flat = SmallVec<[ir::Value; 16]>;

/// A program with loops, and the table that these go by.
#[derive(Clone, Copy)]
pub(super) struct Loops<'a> {
    /// The program.
    pub program: &'a Program,
    /// Strides along the row; then, for each axis of the loops, its extent and the strides along it.
    pub table: ir::Value,
}

/// A loop on a condition: the condition, and what holds the lanes that may go on at all.
struct Condition<'a> {
    block: &'a Block,
    holds: ValueId,
    enclosing: Option<&'a Lanes>,
}

impl Loops<'_> {
    /// Runs some nests, for these lanes or all: others keep no loop going.
    pub fn nests(
        &self,
        e: &mut Emitter<'_>,
        nests: &[Nest],
        values: &mut Values<Lanes>,
        active: Option<&Lanes>,
    ) -> Result<()> {
        for nest in nests {
            match nest {
                Nest::Block(block) => walk(&block.statements, values, e)?,
                Nest::Sequential { axis, carried, body } => self.sequential(e, *axis, carried, body, values, active)?,
                Nest::While { carried, condition, holds, body } => {
                    let condition = Condition { block: condition, holds: *holds, enclosing: active };
                    self.repeat(e, carried, condition, body, values)?;
                }
                Nest::Map { .. } | Nest::Reduce { .. } => {
                    return Err(Error::Internal("a nest that is no loop over steps".into()));
                }
            }
        }
        Ok(())
    }

    fn entry(&self, e: &mut Emitter<'_>, index: usize) -> ir::Value {
        e.b.ins().load(types::I64, unaligned().with_readonly(), self.table, (index * 8) as i32)
    }

    fn sequential(
        &self,
        e: &mut Emitter<'_>,
        Axis(axis): Axis,
        carried: &[Carried],
        body: &[Nest],
        values: &mut Values<Lanes>,
        active: Option<&Lanes>,
    ) -> Result<()> {
        let ports = self.program.ports.len();
        let extent = ports + axis as usize * (ports + 1);
        let steps = self.entry(e, extent);
        let stepping = accessed(body);
        let strides: Flat = stepping.iter().map(|port| self.entry(e, extent + 1 + port)).collect();
        let outside = e.places.clone();
        let state = initial(e, carried, values)?;
        let (zero, last) = (e.b.ins().iconst(types::I64, 0), e.b.ins().iadd_imm_s(steps, -1));
        let (_, results) = e.count_loop(zero, last, 1, &flat(&state), |e, step, params| {
            for (&port, &stride) in stepping.iter().zip(&strides) {
                e.move_place(port, stride, step);
            }
            set_all(values, carried.iter().map(|item| item.current), refill(&state, params));
            self.nests(e, body, values, active)?;
            e.places.clone_from(&outside);
            Ok(flat(&next(e, carried, values)?))
        })?;
        set_all(values, carried.iter().map(|item| item.result), refill(&state, &results));
        Ok(())
    }

    fn repeat(
        &self,
        e: &mut Emitter<'_>,
        carried: &[Carried],
        condition: Condition<'_>,
        body: &[Nest],
        values: &mut Values<Lanes>,
    ) -> Result<()> {
        let before = initial(e, carried, values)?;
        let [header, inside, after] = [(); 3].map(|()| e.b.create_block());
        for value in flat(&before) {
            let ty = e.b.func.dfg.value_type(value);
            e.b.append_block_param(header, ty);
        }
        e.b.ins().jump(header, &arguments(&before));
        e.b.switch_to_block(header);
        let params: Flat = SmallVec::from_slice(e.b.block_params(header));
        let state = refill(&before, &params);
        set_all(values, carried.iter().map(|item| item.current), state.clone());
        walk(&condition.block.statements, values, e)?;
        let holds = values.get(condition.holds)?.clone();
        let active = match condition.enclosing {
            Some(enclosing) => ops::binary(e, BinaryOp::And, &holds, enclosing)?,
            None => holds,
        };
        let any = e.any(&active);
        e.b.ins().brif(any, inside, &[], after, &[]);
        e.b.switch_to_block(inside);
        self.nests(e, body, values, Some(&active))?;
        let mut stepped = Vec::new();
        for (now, next) in state.iter().zip(next(e, carried, values)?) {
            let chosen = if e.lanes == 1 { next } else { ops::ternary(e, TernaryOp::Select, &active, &next, now)? };
            stepped.push(settle(e, &chosen));
        }
        e.b.ins().jump(header, &arguments(&stepped));
        e.b.switch_to_block(after);
        set_all(values, carried.iter().map(|item| item.result), state);
        Ok(())
    }
}

fn initial(e: &mut Emitter<'_>, carried: &[Carried], values: &Values<Lanes>) -> Result<Vec<Lanes>> {
    carried.iter().map(|item| Ok(settle(e, values.get(item.initial)?))).collect()
}

fn next(e: &mut Emitter<'_>, carried: &[Carried], values: &Values<Lanes>) -> Result<Vec<Lanes>> {
    carried.iter().map(|item| Ok(settle(e, values.get(item.next)?))).collect()
}

/// The form in which a value goes round a loop: masks have one width there.
fn settle(e: &mut Emitter<'_>, value: &Lanes) -> Lanes {
    if value.dtype == DType::Bool && e.lanes > 1 { e.mask_to(value, VECTOR / e.lanes) } else { value.clone() }
}

fn flat(state: &[Lanes]) -> Flat {
    state.iter().flat_map(|value| value.parts.iter().copied()).collect()
}

fn arguments(state: &[Lanes]) -> SmallVec<[BlockArg; 16]> {
    flat(state).into_iter().map(BlockArg::from).collect()
}

/// Values like those, of these IR values.
fn refill(like: &[Lanes], values: &[ir::Value]) -> Vec<Lanes> {
    let mut rest = values.iter().copied();
    like.iter().map(|like| like.with(rest.by_ref().take(like.parts.len()))).collect()
}

fn set_all(values: &mut Values<Lanes>, ids: impl Iterator<Item = ValueId>, lanes: Vec<Lanes>) {
    ids.zip(lanes).for_each(|(id, value)| values.set(id, value));
}

impl Emitter<'_> {
    /// Whether a bool holds in any lane, as an integer that is not zero then.
    fn any(&mut self, mask: &Lanes) -> ir::Value {
        let mut parts = mask.parts.iter().copied();
        let first = parts.next().unwrap_or(mask.parts[0]);
        let any = parts.fold(first, |any, part| self.b.ins().bor(any, part));
        if self.lanes == 1 { any } else { self.b.ins().vany_true(any) }
    }
}
