//! Lines of memory that are asked for before they are needed.
//!
//! A loop that waits for the divider asks for the lines that it will write, so that it does not wait for memory besides. A
//! tile reads all its elements of an operand within a moment, then computes for a microsecond or more: too rarely for the
//! processor to foresee the next. So kernels of one argument ask for what the next tile reads of an operand each, or
//! for what the launch says is read later; the first segment asks for what is left, and an early one for what this tile
//! will write. Must not know: kernels, registers.

use super::instruction::STREAM;
use super::order::can_relieve_divider;
use super::step::{Place, Step, Steps};

/// Bytes of a line.
const LINE: i32 = 64;

/// How many bytes further on a loop asks for what it will write.
const DISTANCE: i32 = 4096;

/// Lets a loop that waits for the divider ask for what it will write.
pub(super) fn ask_to_write(steps: &mut Steps) {
    if can_relieve_divider(&steps.steps, 0, 0) {
        let further = |line: Line| match line.place {
            Place::Port { port, size, offset } => Some(Place::Port { port, size, offset: offset + DISTANCE }),
            Place::Shared(_) | Place::Position(_) | Place::Frame(_) | Place::Tile { .. } => None,
            Place::State(_) | Place::Other(_) => None,
        };
        let asked = writes(steps).into_iter().filter_map(further).map(|to| Step::Ask { to });
        steps.steps.splice(..0, asked);
    }
}

/// A line for each step of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    /// Where, for the first step.
    pub place: Place,
    /// Whether to write to it.
    pub write: bool,
}

impl Line {
    /// The operand that it is of, and the bytes of an element.
    pub fn operand(&self) -> Option<(usize, u8)> {
        let Place::Port { port, size, .. } = self.place else { return None };
        Some((port, size))
    }

    /// The operand that it is of.
    pub fn port(&self) -> Option<usize> {
        self.operand().map(|(port, _)| port)
    }
}

/// The lines that whole steps read, so many elements further on.
pub(super) fn reads(steps: &Steps, elements: i32) -> Vec<Line> {
    lines(steps, |step| {
        let Step::Load { from: Place::Port { port, size, offset }, mask: None, .. } = step else { return None };
        let offset = offset + elements * i32::from(*size);
        Some(Line { place: Place::Port { port: *port, size: *size, offset }, write: false })
    })
}

/// The lines that whole steps write, where the cache takes part.
pub(super) fn writes(steps: &Steps) -> Vec<Line> {
    lines(steps, |step| {
        let Step::Store { opcode, to, mask: None, .. } = step else { return None };
        (**opcode != STREAM).then_some(Line { place: *to, write: true })
    })
}

fn lines(steps: &Steps, line: impl Fn(&Step) -> Option<Line>) -> Vec<Line> {
    let mut lines: Vec<Line> = steps.steps.iter().filter_map(line).filter(|line| starts(line.place)).collect();
    lines.dedup();
    lines
}

/// Whether an operand's vector is the first of a line, as if the operand began with one.
fn starts(place: Place) -> bool {
    matches!(place, Place::Port { offset, .. } if offset % LINE == 0)
}
