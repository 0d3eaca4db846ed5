//! The function that merges states of blocks, as the other emitter makes it: `merge(states, pairs, distance)`.
//!
//! Must not know: how states came about, how many there are.

use super::Options;
use super::body::{refuse_merges, straight};
use super::bytes::refuse_bytes;
use super::encode::{Arithmetic, Assembler, Condition, RDI, RDX, RSI};
use super::finish::Assembled;
use super::frame::{END, Frame, INDEX, OTHER, STATE};
use super::step::Place;
use super::trace::{Lanes, Reach, Subject, Tracer};
use crate::backend::cpu::form::{Fold, Program};
use crate::backend::cpu::lanes::{Values, walk};
use crate::dtype::Scalar;
use crate::error::Result;
use crate::loops::Merge;

/// The function that merges so many states with those at a distance, each pair two distances behind the last.
///
/// # Errors
/// `Unsupported` for a merge that has no wide form.
pub(in crate::backend::cpu) fn merge_function(body: &Program, folds: &[Fold], options: Options) -> Result<Assembled> {
    let mut asm = Assembler::new(options.text);
    refuse_bytes(body)?;
    refuse_merges(body, folds)?;
    let mut frame = Frame::new(0);
    Frame::enter(&mut asm, false);
    asm.copy(STATE, RDI);
    asm.copy(END, RSI);
    asm.copy(INDEX, RDX);
    let (again, done) = (asm.label(), asm.label());
    asm.bind(again);
    asm.arithmetic_value(Arithmetic::Compare, END, 0);
    asm.jump_if(Condition::Equal, done);
    asm.copy(OTHER, STATE);
    asm.arithmetic(Arithmetic::Add, OTHER, INDEX);
    let subject = Subject { ports: &[], classes: &[], held: &[], held_lanes: 0 };
    let steps = {
        let mut t = Tracer::new(&mut asm, &mut frame, &subject, options.level, 1, Reach::Whole);
        for fold in folds {
            let states = [Place::State as fn(i32) -> Place, Place::Other].map(|place| {
                let components = fold.init.iter().enumerate();
                let load = |(component, init): (usize, &Scalar)| {
                    t.load_state(init.dtype(), place((fold.slot + component) as i32 * 8))
                };
                components.map(load).collect::<Result<Vec<Lanes>>>()
            });
            let [left, right] = states;
            let merged = merge(&mut t, body, &fold.merge, &left?, &right?)?;
            for (component, value) in merged.iter().enumerate() {
                t.store_state(value, Place::State((fold.slot + component) as i32 * 8));
            }
        }
        t.steps
    };
    straight(&mut asm, &frame, &steps, &[])?;
    asm.arithmetic(Arithmetic::Add, OTHER, INDEX);
    asm.copy(STATE, OTHER);
    asm.arithmetic_value(Arithmetic::Sub, END, 1);
    asm.jump(again);
    asm.bind(done);
    Frame::leave(&mut asm);
    asm.finish()
}

/// Merges two states.
pub(super) fn merge(
    t: &mut Tracer<'_>,
    body: &Program,
    merge: &Merge,
    left: &[Lanes],
    right: &[Lanes],
) -> Result<Vec<Lanes>> {
    let mut values = Values::new(body.types.len());
    let ids = merge.left.iter().zip(left).chain(merge.right.iter().zip(right));
    ids.for_each(|(&id, value)| values.set(id, value.clone()));
    walk(&merge.block.statements, &mut values, t)?;
    merge.results.iter().map(|&id| values.get(id).cloned()).collect()
}
