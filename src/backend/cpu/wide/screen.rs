//! Blocks of a fold that chooses an element and keeps its position: most hold none that would be chosen, which is seen in
//! fewer instructions than a choice takes.
//!
//! A block is reduced and becomes the best so far, its positions and all. Then elements are only compared with that, until one
//! beats it, with which the next block begins. Must not know: threads.

use rustc_hash::FxHashMap;

use super::allocate::{Carried, load_carried};
use super::body::{jump_if_fewer, residents, step_and_jump_if_more, straight};
use super::division::calls_kernels;
use super::encode::{Arithmetic, Assembler, Condition, Memory, Operand, RSP, Vector};
use super::frame::{END, Frame, INDEX, OTHER, STATE};
use super::instruction::{AND, ANDN, Immediate, OR, PTEST, STORE};
use super::memory::broadcast_opcode;
use super::reduce::Blocks;
use super::step::{Home, Place, Step, Steps, Value};
use super::trace::{Lanes, Reach, Tracer, VECTOR};
use crate::backend::cpu::any_order::{definition, keeps_positions};
use crate::backend::cpu::form::{Fold, Port, Program};
use crate::backend::cpu::lanes::{Code, Values, walk};
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::loops::{Operation, ValueId};
use crate::ops::TernaryOp;
use crate::ops::reduction::BLOCK;

/// Vectors that are compared before a jump.
const VECTORS: usize = 8;

/// What is compared with the best so far.
#[derive(Clone)]
pub(super) struct Screen<'a> {
    fold: &'a Fold,
    /// The part of the state that is compared.
    value: usize,
    /// Whether the right one of two elements is chosen, a value of the fold's append.
    taken: ValueId,
    /// Bytes of an element.
    width: usize,
}

impl<'a> Screen<'a> {
    /// For a program that folds one thing, without calls. It reads no positions: the frame holds them for fewer elements.
    pub fn of(body: &Program, folds: &'a [Fold]) -> Option<Screen<'a>> {
        let [fold] = folds else { return None };
        if !body.ports.iter().all(Port::is_memory) {
            return None;
        }
        let append = fold.append.as_ref().filter(|_| keeps_positions(body, fold) && !calls_kernels(body))?;
        let (merge, position) = (&append.merge, append.position);
        let choice = definition(&merge.block.statements, merge.results[position])?;
        let Operation::Ternary(TernaryOp::Select, [taken, yes, no]) = choice else { return None };
        let [value] = (0..fold.init.len()).filter(|&part| part != position).collect::<Vec<_>>()[..] else {
            return None;
        };
        let width = fold.init[value].dtype().size();
        let compares = [yes, no] == [merge.right[position], merge.left[position]] && width >= 4;
        compares.then_some(Screen { fold, value, taken, width })
    }
}

impl Blocks<'_> {
    /// All elements, to one state.
    pub fn screened(&self, asm: &mut Assembler, frame: &mut Frame, screen: &Screen<'_>) -> Result<()> {
        let (best, again) = (frame.allocate(VECTOR), asm.label());
        self.start_state(asm, frame, screen.fold)?;
        asm.bind(again);
        asm.address(END, Memory::base(INDEX, BLOCK as i32));
        asm.arithmetic(Arithmetic::Compare, END, OTHER);
        asm.copy_if(Condition::Greater, END, OTHER);
        self.one(asm, frame)?;
        asm.copy(INDEX, END);
        asm.copy(END, OTHER);
        self.compare(asm, frame, screen, best)?;
        asm.arithmetic(Arithmetic::Compare, INDEX, END);
        asm.jump_if(Condition::Less, again);
        Ok(())
    }

    /// The state of no elements.
    fn start_state(&self, asm: &mut Assembler, frame: &mut Frame, fold: &Fold) -> Result<()> {
        let mut t = Tracer::new(asm, frame, &self.subject, self.level, 1, Reach::Whole);
        for (part, &init) in fold.init.iter().enumerate() {
            let init = t.constant(init)?;
            t.store_state(&init, Place::State((fold.slot + part) as i32 * 8));
        }
        let steps = t.steps;
        straight(asm, frame, &steps, &[])?;
        Ok(())
    }

    /// Passes elements that the best so far beats, as many as are compared at once.
    fn compare(&self, asm: &mut Assembler, frame: &mut Frame, screen: &Screen<'_>, best: i32) -> Result<()> {
        let any = Vector(0);
        let state = Operand::Memory(Memory::base(STATE, (screen.fold.slot + screen.value) as i32 * 8));
        asm.vector(broadcast_opcode(screen.width), any, None, state, Immediate::None);
        asm.vector(&STORE, any, None, Operand::Memory(Memory::base(RSP, best)), Immediate::None);
        let lanes = VECTORS * VECTOR / screen.width;
        let (mut steps, carried) = self.beaten(asm, frame, screen, best, lanes)?;
        let before = steps.value(Home::None);
        let carried = Carried { before, after: Some(carried), register: any.0 };
        let constants = residents(asm, frame, &steps, &[carried], &[])?;
        load_carried(asm, frame, &steps, &constants)?;
        let all: Vec<_> = std::iter::once(carried).chain(constants).collect();
        let (again, done) = (asm.label(), asm.label());
        jump_if_fewer(asm, lanes, done);
        asm.bind(again);
        straight(asm, frame, &steps, &all)?;
        asm.vector(&PTEST, any, None, Operand::Register(any), Immediate::None);
        asm.jump_if(Condition::NotEqual, done);
        step_and_jump_if_more(asm, lanes, again);
        asm.bind(done);
        Ok(())
    }

    /// Steps that say of so many elements whether any beats the best.
    fn beaten(
        &self,
        asm: &mut Assembler,
        frame: &mut Frame,
        screen: &Screen<'_>,
        best: i32,
        lanes: usize,
    ) -> Result<(Steps, Value)> {
        let (fold, merge) = (screen.fold, screen.fold.next());
        let mut t = Tracer::new(asm, frame, &self.subject, self.level, lanes, Reach::Whole);
        let mut values = Values::new(self.body.types.len());
        walk(&self.body.statements, &mut values, &mut t)?;
        let best = t.steps.value(Home::Place(Place::Frame(best)));
        let nowhere = t.constant(Scalar::I64(0))?;
        for part in 0..fold.init.len() {
            let chosen = part == screen.value;
            let left = if chosen { t.uniform(fold.init[part].dtype(), screen.width, best) } else { nowhere.clone() };
            let right = values.get(fold.lifted[part])?.clone();
            values.set(merge.left[part], left);
            values.set(merge.right[part], right);
        }
        walk(&merge.block.statements, &mut values, &mut t)?;
        let taken: Lanes = values.get(screen.taken)?.clone();
        debug_assert_eq!(taken.dtype, DType::Bool);
        let any = any_of(&mut t, &taken.parts).ok_or_else(|| Error::Internal("a comparison of nothing".into()))?;
        let mut steps = t.steps;
        steps.drop_unused([any]);
        steps.read_in_place([any]);
        steps.depth_first([any]);
        Ok((steps, any))
    }
}

/// All ones where any of these has ones: `¬a ∧ c` of several `a` is `¬(a ∧ …) ∧ c`.
fn any_of(t: &mut Tracer<'_>, masks: &[Value]) -> Option<Value> {
    let steps = t.steps.steps.iter();
    let without = steps.filter_map(|step| match step {
        Step::Compute { opcode, result, first: Some(first), last, .. } if **opcode == ANDN => {
            Some((*result, (*first, *last)))
        }
        _ => None,
    });
    let without: FxHashMap<Value, (Value, Value)> = without.collect();
    let pairs: Option<Vec<(Value, Value)>> = masks.iter().map(|mask| without.get(mask).copied()).collect();
    match pairs {
        Some(pairs) if pairs.iter().all(|(_, common)| *common == pairs[0].1) => {
            let all = pairs.iter().map(|(not, _)| *not).reduce(|all, not| t.compute(&AND, Some(all), not))?;
            Some(t.compute(&ANDN, Some(all), pairs[0].1))
        }
        _ => masks.iter().copied().reduce(|any, mask| t.compute(&OR, Some(any), mask)),
    }
}
