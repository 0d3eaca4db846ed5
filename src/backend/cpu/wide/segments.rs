//! Running the segments of a program over tiles, one after the other, with the calls of kernels between them.
//!
//! Invariant: what a block of a reduction leaves of a tile is there for the next one. Must not know: what is computed, how
//! programs are cut.

use super::ahead::Line;
use super::allocate::{Carried, load_carried};
use super::body::{jump_if_fewer, residents, straight};
use super::encode::{Arithmetic, Ask, Assembler, Condition, General, Label, Memory, Operand, Vector};
use super::encode::{R8, RAX, RCX, RDI, RDX, RSI, RSP};
use super::frame::{COUNT, END, Frame, INDEX, OTHER, PAUSE, REACHED, START, STOP, STRIDES, TILE};
use super::instruction::{Immediate, LOAD, STORE};
use super::step::{Count, Steps};
use super::trace::{VECTOR, no_wide_form};
use crate::error::{Error, Result};

/// A call of a kernel, by the buffers that it works on.
pub(super) struct Call {
    /// Its address.
    pub address: usize,
    /// Its name, for dumps.
    pub name: String,
    /// Where the buffer of its results starts.
    pub result: i32,
    /// Its arguments.
    pub arguments: Vec<Given>,
    /// The operand that it asks for ahead, and the bytes of an element, if kernels of one argument do.
    pub ahead: Option<(usize, u8)>,
}

/// An argument of a kernel, by where it is.
pub(super) enum Given {
    /// The address of a buffer.
    Buffer(i32),
    /// The address of the tile's elements of an operand.
    Port {
        /// Which.
        port: usize,
        /// Bytes of an element.
        size: u8,
    },
    /// Two words: the number of the tile's first element, and the distance to the next.
    Progression(Count),
    /// A word in memory.
    Word(Memory),
}

/// Straight-line code up to a call, or to the end.
pub(super) struct Segment {
    /// What each of its steps asks for ahead.
    pub ahead: Vec<Line>,
    /// The code.
    pub steps: Steps,
    /// The call behind it.
    pub call: Option<Call>,
}

/// A program in segments.
pub(super) struct Tiled {
    /// The segments in order.
    pub segments: Vec<Segment>,
    /// Elements of a step.
    pub lanes: usize,
    /// Steps of a tile.
    pub steps: usize,
}

/// A carried value, and where the frame keeps it while kernels run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    /// What is carried.
    pub carried: Carried,
    /// The frame's bytes.
    pub slot: i32,
}

impl Tiled {
    /// Runs tiles as long as whole steps are left.
    pub fn whole(&self, asm: &mut Assembler, frame: &Frame) -> Result<()> {
        let (again, done) = (asm.label(), asm.label());
        jump_if_fewer(asm, self.lanes, done);
        asm.bind(again);
        self.start_before(asm, END);
        self.segments.iter().try_for_each(|segment| self.segment(asm, frame, segment, &[]))?;
        self.jump_if_steps(asm, again);
        asm.bind(done);
        Ok(())
    }

    /// The same within a block. A tile reaches into the blocks behind it, whose elements find there what kernels computed.
    pub fn block(&self, asm: &mut Assembler, frame: &Frame, kept: &[Kept]) -> Result<()> {
        let (again, there, done) = (asm.label(), asm.label(), asm.label());
        let [earlier @ .., last @ Segment { call: None, .. }] = &self.segments[..] else {
            return Err(no_wide_form("a kernel whose results are not reduced"));
        };
        jump_if_fewer(asm, self.lanes, done);
        asm.bind(again);
        asm.load(RAX, Memory::base(RSP, STOP));
        asm.arithmetic(Arithmetic::Compare, INDEX, RAX);
        asm.jump_if(Condition::Less, there);
        self.start_before(asm, OTHER);
        asm.set(RAX, 0);
        asm.store(Memory::base(RSP, REACHED), RAX);
        earlier.iter().try_for_each(|segment| self.segment(asm, frame, segment, &[]))?;
        asm.bind(there);
        asm.load(RAX, Memory::base(RSP, STOP));
        asm.arithmetic(Arithmetic::Compare, RAX, END);
        asm.copy_if(Condition::Greater, RAX, END);
        asm.store(Memory::base(RSP, PAUSE), RAX);
        asm.load(TILE, Memory::base(RSP, REACHED));
        self.steps_before(asm, frame, last, kept, PAUSE)?;
        asm.store(Memory::base(RSP, REACHED), TILE);
        self.jump_if_steps(asm, again);
        asm.bind(done);
        Ok(())
    }

    /// Lets no tile be left over from earlier blocks.
    pub fn none_left(asm: &mut Assembler) {
        asm.set(RAX, 0);
        asm.store(Memory::base(RSP, STOP), RAX);
    }

    /// Runs one step.
    pub fn once(&self, asm: &mut Assembler, frame: &Frame, kept: &[Kept]) -> Result<()> {
        asm.set(RAX, self.lanes as i32);
        self.start(asm);
        for (index, segment) in self.segments.iter().enumerate() {
            let last = index + 1 == self.segments.len();
            self.segment(asm, frame, segment, if last { kept } else { &[] })?;
        }
        Ok(())
    }

    /// Starts a tile of whole steps before an element.
    fn start_before(&self, asm: &mut Assembler, end: General) {
        asm.copy(RAX, end);
        asm.arithmetic(Arithmetic::Sub, RAX, INDEX);
        asm.arithmetic_value(Arithmetic::And, RAX, -(self.lanes as i32));
        asm.set(RCX, (self.steps * self.lanes) as i32);
        asm.arithmetic(Arithmetic::Compare, RAX, RCX);
        asm.copy_if(Condition::Greater, RAX, RCX);
        self.start(asm);
    }

    /// Starts a tile of as many elements as `RAX` says.
    fn start(&self, asm: &mut Assembler) {
        asm.store(Memory::base(RSP, COUNT), RAX);
        asm.arithmetic(Arithmetic::Add, RAX, INDEX);
        asm.store(Memory::base(RSP, STOP), RAX);
        asm.store(Memory::base(RSP, START), INDEX);
    }

    /// Jumps if a whole step is left.
    fn jump_if_steps(&self, asm: &mut Assembler, to: Label) {
        asm.address(RAX, Memory::base(INDEX, self.lanes as i32));
        asm.arithmetic(Arithmetic::Compare, RAX, END);
        asm.jump_if(Condition::NotGreater, to);
    }

    fn segment(&self, asm: &mut Assembler, frame: &Frame, segment: &Segment, kept: &[Kept]) -> Result<()> {
        if !segment.steps.steps.is_empty() {
            asm.load(INDEX, Memory::base(RSP, START));
            asm.set(TILE, 0);
            self.steps_before(asm, frame, segment, kept, STOP)?;
        }
        match &segment.call {
            Some(call) => call_kernel(asm, frame, call, (self.steps * self.lanes) as i32),
            None => Ok(()),
        }
    }

    /// The steps of a segment up to the element that is noted in the frame.
    fn steps_before(
        &self,
        asm: &mut Assembler,
        frame: &Frame,
        segment: &Segment,
        kept: &[Kept],
        stop: i32,
    ) -> Result<()> {
        let mut carried: Vec<Carried> = kept.iter().map(|kept| kept.carried).collect();
        frame.load_bases(asm);
        load_kept(asm, kept);
        let constants = residents(asm, frame, &segment.steps, &carried, &[])?;
        load_carried(asm, frame, &segment.steps, &constants)?;
        carried.extend(constants);
        let again = asm.label();
        asm.bind(again);
        for line in &segment.ahead {
            let memory = frame.memory(asm, line.place);
            asm.prefetch(memory, if line.write { Ask::Write } else { Ask::Soon });
        }
        straight(asm, frame, &segment.steps, &carried)?;
        asm.arithmetic_value(Arithmetic::Add, INDEX, self.lanes as i32);
        asm.arithmetic_value(Arithmetic::Add, TILE, VECTOR as i32);
        asm.load(RAX, Memory::base(RSP, stop));
        asm.arithmetic(Arithmetic::Compare, INDEX, RAX);
        asm.jump_if(Condition::Less, again);
        store_kept(asm, kept);
        Ok(())
    }
}

/// Loads what is carried from the frame.
pub(super) fn load_kept(asm: &mut Assembler, kept: &[Kept]) {
    for kept in kept {
        let from = Operand::Memory(Memory::base(RSP, kept.slot));
        asm.vector(&LOAD, Vector(kept.carried.register), None, from, Immediate::None);
    }
}

/// Stores what is carried to the frame.
pub(super) fn store_kept(asm: &mut Assembler, kept: &[Kept]) {
    for kept in kept {
        let to = Operand::Memory(Memory::base(RSP, kept.slot));
        asm.vector(&STORE, Vector(kept.carried.register), None, to, Immediate::None);
    }
}

/// A kernel takes its result's address, its arguments, how many elements there are, and of one argument an address ahead.
fn call_kernel(asm: &mut Assembler, frame: &Frame, call: &Call, tile: i32) -> Result<()> {
    asm.zero_upper();
    asm.load(INDEX, Memory::base(RSP, START));
    asm.address(RDI, Frame::buffer(call.result));
    let mut registers = [RSI, RDX, RCX, R8].into_iter();
    let mut next = || registers.next().ok_or_else(|| Error::Internal("a kernel of so many arguments".into()));
    for argument in &call.arguments {
        match argument {
            Given::Buffer(offset) => asm.address(next()?, Frame::buffer(*offset)),
            Given::Port { port, size } => {
                let register = next()?;
                asm.load(register, Frame::table(*port));
                asm.address(register, Memory::At { base: register, index: INDEX, scale: *size, offset: 0 });
            }
            Given::Progression(count) => super::scalar::progression(asm, *count, [next()?, next()?]),
            Given::Word(memory) => asm.load(next()?, *memory),
        }
    }
    asm.load(next()?, Memory::base(RSP, COUNT));
    match (call.ahead, &call.arguments[..]) {
        (Some(operand), _) => address_ahead(asm, frame, operand, tile, next()?),
        (None, [Given::Buffer(_) | Given::Port { .. }]) => asm.copy(next()?, RSI),
        (None, _) => {}
    }
    asm.call(call.address, &call.name);
    Ok(())
}

/// Where the elements of an operand are that the launch says are read later, or else the next tile reads.
fn address_ahead(asm: &mut Assembler, frame: &Frame, (port, size): (usize, u8), tile: i32, to: General) {
    asm.load(RAX, Memory::base(RSP, STRIDES));
    asm.load(to, Memory::base(RAX, ((frame.ports() + port) * 8) as i32));
    asm.set(RAX, tile * i32::from(size));
    asm.arithmetic_value(Arithmetic::Compare, to, 0);
    asm.copy_if(Condition::Equal, to, RAX);
    asm.add(to, Frame::table(port));
    asm.address(to, Memory::At { base: to, index: INDEX, scale: size, offset: 0 });
}
