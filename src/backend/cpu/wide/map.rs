//! The function that runs a program along one row: `(bases, strides, count)`, as the other emitter makes it.
//!
//! A loop over several vectors of each value, one over single vectors, and masked code for the rest. Must not know: who
//! calls it, other axes.

use super::Options;
use super::allocate::Pressure;
use super::body::{
    count_left, hold, jump_if_fewer, kernel_lanes, least_lanes, pressure, step_and_jump_if_more, straight, whole_steps,
};
use super::bytes::refuse_bytes;
use super::division::calls_kernels;
use super::encode::{Assembler, Memory, RDI, RDX, RSI, RSP};
use super::finish::Assembled;
use super::frame::{BASES, END, Frame, INDEX, STRIDES};
use super::loops::Nested;
use super::rounds::{Keep, Piece, Rounds, place};
use super::step::Steps;
use super::tiles::cut;
use super::trace::{Reach, Subject, Tracer, no_wide_form};
use crate::backend::cpu::emit::Class;
use crate::backend::cpu::form::Program;
use crate::backend::cpu::lanes::{Values, walk};
use crate::backend::cpu::nested::accessed;
use crate::error::{Error, Result};

/// Vectors of each value in a step, the most first.
const UNROLLS: [usize; 3] = [4, 2, 1];

/// Vectors that go through a loop side by side where quotients share reciprocals: one takes four times as long from a step
/// to the next as the divider works for it.
const ALONGSIDE: usize = 6;

/// The function for operands of such classes; `streaming` if its results bypass the cache, which then lie at multiples
/// of 32 bytes, and the caller orders these stores before others.
///
/// # Errors
/// `Unsupported` for a program that has no wide form.
pub(in crate::backend::cpu) fn map_function(
    program: &Program,
    classes: &[Class],
    streaming: bool,
    options: Options,
) -> Result<Assembled> {
    let (mut asm, calls) = (Assembler::new(options.text), calls_kernels(program));
    refuse_bytes(program)?;
    if calls && !program.loops.is_empty() {
        return Err(no_wide_form("a call in a loop over steps"));
    }
    let mut frame = Frame::new(program.ports.len());
    Frame::enter(&mut asm, calls);
    asm.copy(BASES, RDI);
    asm.store(Memory::base(RSP, STRIDES), RSI);
    asm.copy(END, RDX);
    if !program.loops.is_empty() {
        frame.own_table(&mut asm);
    }
    let least = least_lanes(program.types_used());
    let most = match (calls, program.loops.is_empty()) {
        (true, _) => kernel_lanes(program).max(least),
        (false, true) => least * UNROLLS[0],
        (false, false) => least * ALONGSIDE,
    };
    let held = hold(&mut asm, &mut frame, &program.ports, classes, &accessed(&program.loops), most)?;
    frame.load_bases(&mut asm);
    asm.set(INDEX, 0);
    let subject = Subject { ports: &program.ports, classes, held: &held, held_lanes: most };
    let row = Row { program, subject, options, streaming };
    if !program.loops.is_empty() {
        row.loops(&mut asm, &frame, least)?;
    } else if calls {
        row.tiles(&mut asm, &mut frame, most)?;
    } else {
        let lanes = row.best(&mut asm, &mut frame, least)?;
        row.whole(&mut asm, &mut frame, lanes)?;
        if lanes > least {
            row.whole(&mut asm, &mut frame, least)?;
        }
        row.tail(&mut asm, &mut frame, least)?;
    }
    Frame::leave(&mut asm);
    asm.finish()
}

struct Row<'a> {
    program: &'a Program,
    subject: Subject<'a>,
    options: Options,
    streaming: bool,
}

impl Row<'_> {
    fn steps(&self, asm: &mut Assembler, frame: &mut Frame, lanes: usize, reach: Reach) -> Result<Steps> {
        let mut tracer = Tracer::new(asm, frame, &self.subject, self.options.level, lanes, reach);
        tracer.streaming = self.streaming;
        walk(&self.program.statements, &mut Values::new(self.program.types.len()), &mut tracer)?;
        tracer.share_reciprocals();
        tracer.multiply_for_roots();
        let mut steps = tracer.steps;
        if !calls_kernels(self.program) {
            steps.read_in_place([]);
        }
        Ok(steps)
    }

    /// The most lanes at which nothing is spilled.
    fn best(&self, asm: &mut Assembler, frame: &mut Frame, least: usize) -> Result<usize> {
        for unroll in UNROLLS {
            let steps = self.steps(asm, &mut frame.clone(), least * unroll, Reach::Whole)?;
            match pressure(asm, frame, &steps, &[]) {
                Ok(Pressure { spills: 0, .. }) => return Ok(least * unroll),
                // Fewer lanes may fit the frame where these do not.
                Ok(_) | Err(Error::Unsupported(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(least)
    }

    fn whole(&self, asm: &mut Assembler, frame: &mut Frame, lanes: usize) -> Result<()> {
        let mut steps = self.steps(asm, frame, lanes, Reach::Whole)?;
        super::ahead::ask_to_write(&mut steps);
        whole_steps(asm, frame, &steps, &[], lanes)?;
        Ok(())
    }

    /// Groups of elements that go through loops over steps: the largest that are worth it, then smaller, then masked ones.
    fn loops(&self, asm: &mut Assembler, frame: &Frame, least: usize) -> Result<()> {
        let (unroll, keep) = self.largest(asm, frame, least)?;
        self.groups(asm, frame, least * unroll, keep)?;
        if keep == Keep::Frame {
            self.groups(asm, frame, least * unroll / 2, Keep::Registers)?;
        }
        if unroll > 1 {
            self.groups(asm, frame, least, Keep::Registers)?;
        }
        let done = asm.label();
        count_left(asm, done);
        let (nested, pieces) = self.group(asm, frame, least, Reach::Tail, Keep::Registers)?;
        nested.pieces(asm, &pieces)?;
        asm.bind(done);
        Ok(())
    }

    /// How many vectors of each value go through loops at once, and where these keep what goes round them.
    fn largest(&self, asm: &Assembler, frame: &Frame, least: usize) -> Result<(usize, Keep)> {
        let registers = UNROLLS.map(|unroll| (unroll, Keep::Registers));
        for (unroll, keep) in [(ALONGSIDE, Keep::Frame)].into_iter().chain(registers) {
            match self.group(&mut asm.clone(), frame, least * unroll, Reach::Whole, keep) {
                Ok((nested, _)) if keep == Keep::Frame && nested.shares => return Ok((unroll, keep)),
                Ok((nested, pieces)) if keep == Keep::Registers && nested.is_easy(asm, &pieces)? => {
                    return Ok((unroll, keep));
                }
                // Fewer lanes may fit the frame where these do not.
                Ok(_) | Err(Error::Unsupported(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((1, Keep::Registers))
    }

    /// Groups of so many elements as long as there are whole ones.
    fn groups(&self, asm: &mut Assembler, frame: &Frame, lanes: usize, keep: Keep) -> Result<()> {
        let (nested, pieces) = self.group(asm, frame, lanes, Reach::Whole, keep)?;
        let (again, done) = (asm.label(), asm.label());
        jump_if_fewer(asm, lanes, done);
        asm.bind(again);
        nested.pieces(asm, &pieces)?;
        step_and_jump_if_more(asm, lanes, again);
        asm.bind(done);
        Ok(())
    }

    /// The pieces of one group.
    fn group(
        &self,
        asm: &mut Assembler,
        frame: &Frame,
        lanes: usize,
        reach: Reach,
        keep: Keep,
    ) -> Result<(Nested<'_>, Vec<Piece>)> {
        let mut frame = frame.clone();
        let mut tracer = Tracer::new(asm, &mut frame, &self.subject, self.options.level, lanes, reach);
        let (mut values, mut pieces) = (Values::new(self.program.types.len()), Vec::new());
        let wide = self.program.types_used().any(|dtype| dtype.size() == 8);
        let mut rounds = Rounds::new(&mut tracer, if wide { 8 } else { 4 }, reach, keep);
        walk(&self.program.statements, &mut values, rounds.tracer)?;
        rounds.nests(&self.program.loops, &mut values, &mut pieces)?;
        rounds.cut(&mut pieces);
        let shares = rounds.shares;
        let homes = place(tracer.steps, &mut pieces, &mut frame)?;
        Ok((Nested { ports: &self.program.ports, homes, frame, shares }, pieces))
    }

    /// Tile after tile, the last with masked accesses.
    fn tiles(&self, asm: &mut Assembler, frame: &mut Frame, lanes: usize) -> Result<()> {
        let steps = self.steps(asm, frame, lanes, Reach::Whole)?;
        cut(steps, lanes, &[])?.whole(asm, frame)?;
        let done = asm.label();
        count_left(asm, done);
        let steps = self.steps(asm, frame, lanes, Reach::Tail)?;
        cut(steps, lanes, &[])?.once(asm, frame, &[])?;
        asm.bind(done);
        Ok(())
    }

    /// What is left, with masked accesses.
    fn tail(&self, asm: &mut Assembler, frame: &mut Frame, lanes: usize) -> Result<()> {
        let done = asm.label();
        count_left(asm, done);
        let steps = self.steps(asm, frame, lanes, Reach::Tail)?;
        straight(asm, frame, &steps, &[])?;
        asm.bind(done);
        Ok(())
    }
}
