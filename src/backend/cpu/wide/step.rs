//! Straight-line vector code before registers are assigned.
//!
//! A [`Value`] is one 256-bit vector, defined by one step, or known from the start: a constant, or something that the
//! frame holds. Invariant: a value is defined before it is used. Must not know: registers, bytes.

use super::encode::Memory;
use super::fused::Fused;
use super::instruction::Opcode;

/// A vector; the index into `Steps::homes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Value(pub u32);

/// Somewhere in memory, by what it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// An operand of the program, so many bytes behind the current element, of elements of this size.
    Port {
        /// Which.
        port: usize,
        /// Bytes of an element.
        size: u8,
        /// Bytes.
        offset: i32,
    },
    /// The element of an operand that is the same for all elements, but another in each step of a loop.
    Shared(usize),
    /// A position that is the same for all elements.
    Position(usize),
    /// The frame.
    Frame(i32),
    /// A buffer of the tile, so many vectors for each step.
    Tile {
        /// Vectors of a step: 1, 2, 4 or 8.
        scale: u8,
        /// Bytes from the start of all buffers to the vector's in the first step.
        offset: i32,
    },
    /// The state that is being written or merged.
    State(i32),
    /// The state that is merged with it.
    Other(i32),
}

/// Where the first of some consecutive numbers comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// The base of an operand plus the index times its stride.
    Port(usize),
    /// The position within the reduction.
    Position,
    /// The same, where lanes are results.
    Row,
}

/// What a kernel is given.
#[derive(Debug, Clone)]
pub(super) enum Argument {
    /// The address of elements, which these vectors hold.
    Vectors(Vec<Value>),
    /// The first of some numbers at equal distances, then the distance.
    Progression(Count),
    /// The element that all lanes of a value share, which has a home.
    Element(Value),
}

impl Argument {
    /// The values that it is made of.
    pub fn values(&self) -> &[Value] {
        match self {
            Argument::Vectors(values) => values,
            Argument::Progression(_) => &[],
            Argument::Element(value) => std::slice::from_ref(value),
        }
    }
}

/// A step of straight-line vector code.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// `result = opcode(first, last, third, immediate)`.
    Compute {
        /// The instruction.
        opcode: &'static Opcode,
        /// What it defines.
        result: Value,
        /// Its middle operand, if it has one.
        first: Option<Value>,
        /// Its last operand, which may be in memory.
        last: Value,
        /// The mask of a blend.
        third: Option<Value>,
        /// The immediate byte.
        immediate: Option<u8>,
    },
    /// `result = a · b + c`, rounded once; with other signs if the form says so.
    MulAdd {
        /// The signs.
        form: Fused,
        /// Of f64 rather than f32.
        double: bool,
        /// What it defines.
        result: Value,
        /// The operands.
        operands: [Value; 3],
    },
    /// `result = tried`; or, if `failed` is negative in any lane of 64 bits, `opcode(operands)`. Nothing else reads what was tried.
    Checked {
        /// The instruction that is always right.
        opcode: &'static Opcode,
        /// What it defines.
        result: Value,
        /// What is right unless it failed.
        tried: Value,
        /// Where it failed.
        failed: Value,
        /// The operands of the instruction.
        operands: [Value; 2],
    },
    /// `result = opcode(mask, memory)`.
    Load {
        /// The instruction.
        opcode: &'static Opcode,
        /// What it defines.
        result: Value,
        /// Which lanes are read, where not all are.
        mask: Option<Value>,
        /// From where.
        from: Place,
    },
    /// `memory = opcode(mask, value)`.
    Store {
        /// The instruction.
        opcode: &'static Opcode,
        /// What is written.
        value: Value,
        /// Which lanes are written, where not all are.
        mask: Option<Value>,
        /// Where to.
        to: Place,
    },
    /// Asks for a line of memory, to write to it.
    Ask {
        /// Which.
        to: Place,
    },
    /// A call of a kernel, which ends a segment.
    Call {
        /// The function.
        address: usize,
        /// Its name, for dumps.
        name: String,
        /// What it is given.
        arguments: Vec<Argument>,
        /// The vectors of the result.
        results: Vec<Value>,
    },
    /// All lanes the same 64-bit number.
    Broadcast {
        /// What it defines.
        result: Value,
        /// The number.
        count: Count,
    },
    /// All ones in as many lanes, from this one on, as elements are left; zeros in the others.
    TailMask {
        /// What it defines.
        result: Value,
        /// Bytes of a lane.
        width: u8,
        /// The element of the first lane.
        first: usize,
    },
    /// Copies the bytes of the elements that are left from an operand to the frame.
    CopyIn {
        /// The operand.
        port: usize,
        /// The frame's bytes.
        to: i32,
    },
    /// The way back.
    CopyOut {
        /// The frame's bytes.
        from: i32,
        /// The operand.
        port: usize,
    },
}

/// Where a value can be loaded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// Nowhere: it is in a register as long as it is needed.
    None,
    /// A constant.
    Constant(Memory),
    /// A place that it was stored to.
    Place(Place),
}

/// Straight-line code.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps {
    /// The steps in order.
    pub steps: Vec<Step>,
    /// Where each value can be loaded from.
    pub homes: Vec<Home>,
}

impl Steps {
    /// A new value with this home.
    pub fn value(&mut self, home: Home) -> Value {
        self.homes.push(home);
        Value(self.homes.len() as u32 - 1)
    }

    /// Drops the steps whose values neither others nor `wanted` need.
    pub fn drop_unused(&mut self, wanted: impl IntoIterator<Item = Value>) {
        let mut needed = vec![false; self.homes.len()];
        wanted.into_iter().for_each(|value| needed[value.0 as usize] = true);
        let mut kept: Vec<Step> = Vec::with_capacity(self.steps.len());
        for step in self.steps.drain(..).rev() {
            if step.result().is_none_or(|value| needed[value.0 as usize]) {
                step.reads(|value| needed[value.0 as usize] = true);
                kept.push(step);
            }
        }
        kept.reverse();
        self.steps = kept;
    }
}

/// For each step, those that must come before it: what defines its values, and for a store what reads what it overwrites.
fn before(steps: &Steps) -> Vec<Vec<usize>> {
    let mut definer = vec![None; steps.homes.len()];
    let mut readers: Vec<(Place, usize)> = Vec::new();
    for (index, step) in steps.steps.iter().enumerate() {
        step.result().into_iter().for_each(|value| definer[value.0 as usize] = Some(index));
        step.reads(|value| {
            if let Home::Place(place) = steps.homes[value.0 as usize] {
                readers.push((place, index));
            }
        });
    }
    let of = |index: usize, step: &Step| {
        let mut before = Vec::new();
        step.reads(|value| before.extend(definer[value.0 as usize]));
        if let Step::Store { to, .. } = step {
            let reads = readers.iter().filter(|(place, reader)| place == to && *reader != index);
            before.extend(reads.map(|(_, reader)| *reader));
        }
        before
    };
    steps.steps.iter().enumerate().map(|(index, step)| of(index, step)).collect()
}

impl Steps {
    /// Lets what is stored, and then these values, be computed one after the other, so that few vectors are alive at once.
    /// Steps that others do not need are dropped; none may read an operand that another writes.
    pub fn depth_first(&mut self, wanted: impl IntoIterator<Item = Value>) {
        let copies = |step: &Step| matches!(step, Step::CopyIn { .. } | Step::CopyOut { .. } | Step::Call { .. });
        if self.steps.iter().any(copies) {
            return;
        }
        let wanted: Vec<Value> = wanted.into_iter().collect();
        self.drop_unused(wanted.iter().copied());
        let before = before(self);
        let stores = (0..self.steps.len()).filter(|&index| matches!(self.steps[index], Step::Store { .. }));
        let mut roots: Vec<usize> = stores.collect();
        let defines = |value| (0..self.steps.len()).find(|&index| self.steps[index].result() == Some(value));
        roots.extend(wanted.into_iter().filter_map(defines));
        let (mut done, mut order, mut waiting) = (vec![false; self.steps.len()], Vec::new(), Vec::new());
        for root in roots {
            waiting.push(root);
            while let Some(&index) = waiting.last() {
                let open = || before[index].iter().copied().filter(|&earlier| !done[earlier]);
                if done[index] || open().next().is_none() {
                    waiting.pop();
                    if !std::mem::replace(&mut done[index], true) {
                        order.push(self.steps[index].clone());
                    }
                } else {
                    let open: Vec<usize> = open().collect();
                    waiting.extend(open.into_iter().rev());
                }
            }
        }
        self.steps = order;
    }
}

impl Step {
    /// The value that it defines in a register.
    pub fn result(&self) -> Option<Value> {
        match self {
            Step::Compute { result, .. }
            | Step::MulAdd { result, .. }
            | Step::Checked { result, .. }
            | Step::Load { result, .. }
            | Step::Broadcast { result, .. }
            | Step::TailMask { result, .. } => Some(*result),
            Step::Store { .. } | Step::Ask { .. } | Step::Call { .. } | Step::CopyIn { .. } | Step::CopyOut { .. } => {
                None
            }
        }
    }

    /// Whether its code changes the flags, other than by a test that it makes itself.
    pub fn changes_flags(&self) -> bool {
        match self {
            Step::Compute { .. } | Step::MulAdd { .. } | Step::Checked { .. } => false,
            Step::Load { .. } | Step::Store { .. } | Step::Ask { .. } => false,
            Step::Call { .. } | Step::Broadcast { .. } | Step::TailMask { .. } => true,
            Step::CopyIn { .. } | Step::CopyOut { .. } => true,
        }
    }

    /// Calls a function with each value that it reads.
    pub fn reads(&self, mut each: impl FnMut(Value)) {
        match self {
            Step::Compute { first, last, third, .. } => first.iter().chain([last]).chain(third).for_each(|&v| each(v)),
            Step::MulAdd { operands, .. } => operands.iter().for_each(|&v| each(v)),
            Step::Checked { tried, failed, operands, .. } => {
                [tried, failed].into_iter().chain(operands).for_each(|&v| each(v))
            }
            Step::Load { mask, .. } => mask.iter().for_each(|&v| each(v)),
            Step::Store { value, mask, .. } => mask.iter().chain([value]).for_each(|&v| each(v)),
            Step::Call { arguments, .. } => {
                arguments.iter().flat_map(Argument::values).for_each(|&v| each(v));
            }
            Step::Ask { .. } | Step::Broadcast { .. } | Step::TailMask { .. } => {}
            Step::CopyIn { .. } | Step::CopyOut { .. } => {}
        }
    }
}
