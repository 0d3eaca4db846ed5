//! Programs that call kernels, cut into segments of straight-line code between the calls, which run over a tile.
//!
//! A tile is some hundred elements. What one segment computes for a later one, or for a kernel, goes through a buffer of
//! the tile, which stays in the L1 cache; a kernel sees its argument's whole buffer at once. Invariant: the vectors of a
//! kernel's argument lie in the order of their elements. Must not know: what is computed.

use super::ahead;
use super::allocate::Carried;
use super::encode::{Memory, RSP};
use super::frame::TILES;
use super::instruction::{LOAD, STORE};
use super::segments::{Call, Given, Segment, Tiled};
use super::step::{Argument, Home, Place, Step, Steps, Value};
use super::trace::{VECTOR, no_wide_form};
use crate::error::{Error, Result};

/// Most elements of a tile: more gain nothing.
const LARGEST: usize = 512;
/// The same where a kernel draws, which computes what all numbers share in every call. Half of it is a multiple of what the
/// kernels by hand take in a step, of all types.
const LARGEST_DRAWN: usize = 1728;

/// Which values have which buffers.
struct Buffers {
    /// The vectors that lie together in a step, and where in a tile of one step.
    groups: Vec<(Vec<Value>, i32)>,
    /// Bytes of a step in all buffers.
    bytes: usize,
    /// Steps of a tile.
    steps: i32,
}

impl Buffers {
    /// Lets vectors lie together.
    fn add(&mut self, values: &[Value]) {
        if self.groups.iter().all(|(known, _)| known != values) {
            self.groups.push((values.to_vec(), self.bytes as i32));
            self.bytes += values.len() * VECTOR;
        }
    }

    /// Where the buffer of some vectors starts.
    fn start(&self, values: &[Value]) -> Result<i32> {
        let found = self.groups.iter().find(|(known, _)| known == values);
        found.map(|(_, offset)| offset * self.steps).ok_or_else(|| Error::Internal("vectors without a buffer".into()))
    }

    /// Everywhere where a value has to be.
    fn places(&self, value: Value) -> impl Iterator<Item = Place> {
        self.groups.iter().flat_map(move |(values, offset)| {
            let parts = (0..values.len()).filter(move |&part| values[part] == value);
            parts.map(move |part| Place::Tile {
                scale: values.len() as u8,
                offset: offset * self.steps + (part * VECTOR) as i32,
            })
        })
    }
}

/// A program between its calls.
struct Pieces<'a> {
    steps: &'a Steps,
    /// The steps up to each call, with it, and those after the last.
    pieces: Vec<&'a [Step]>,
    /// In which piece each value is defined; the results of a call in the one that it ends.
    defined: Vec<Option<usize>>,
    /// What is computed beside what is stored.
    carried: Vec<Value>,
    /// Where values are found all along the pieces but the last, being loaded as they are.
    unchanged: Vec<Option<Place>>,
}

/// Cuts steps of so many lanes into segments; `carried` is what they compute beside what they store.
///
/// # Errors
/// `Unsupported` if a step of all buffers is larger than a tile may be.
pub(super) fn cut(mut steps: Steps, lanes: usize, carried: &[Carried]) -> Result<Tiled> {
    let carried: Vec<Value> = carried.iter().filter_map(|carried| carried.after).collect();
    steps.drop_unused(carried.iter().copied());
    steps.sink(carried.iter().copied());
    let pieces = Pieces::new(&steps, carried);
    let buffers = pieces.buffers(lanes)?;
    let segments = (0..pieces.pieces.len()).map(|index| pieces.segment(&buffers, index));
    let mut segments: Vec<Segment> = segments.collect::<Result<_>>()?;
    let asked = share(&steps, lanes, &mut segments);
    let mut early = segments.iter_mut().filter(|segment| segment.call.is_some() && !segment.steps.steps.is_empty());
    if let Some(first) = early.next() {
        first.ahead = ahead::reads(&steps, buffers.steps * lanes as i32);
        first.ahead.retain(|line| line.port().is_none_or(|port| !asked.contains(&port)));
        let second = early.next().unwrap_or(first);
        second.ahead.extend(ahead::writes(&steps));
    }
    Ok(Tiled { segments, lanes, steps: buffers.steps as usize })
}

/// Lets kernels ask for what the next tile reads, one operand each; gives these operands.
fn share(steps: &Steps, lanes: usize, segments: &mut [Segment]) -> Vec<usize> {
    let mut ports: Vec<(usize, u8)> = ahead::reads(steps, 0).iter().filter_map(|line| line.operand()).collect();
    ports.dedup();
    let mut shared = Vec::new();
    let kernels = steps.steps.iter().filter_map(|step| match step {
        // As many bytes of an element as of a result.
        Step::Call { arguments, results, .. } => Some((&arguments[..], (results.len() * VECTOR / lanes) as u8)),
        Step::Compute { .. } | Step::MulAdd { .. } | Step::Checked { .. } => None,
        Step::Load { .. } | Step::Store { .. } | Step::Broadcast { .. } => None,
        Step::Ask { .. } | Step::TailMask { .. } | Step::CopyIn { .. } | Step::CopyOut { .. } => None,
    });
    let calls = segments.iter_mut().filter_map(|segment| segment.call.as_mut());
    for (call, (_, width)) in calls.zip(kernels).filter(|(_, (arguments, _))| asks_ahead(arguments)) {
        let next = ports.iter().position(|&(port, size)| size == width && !shared.contains(&port));
        call.ahead = next.map(|index| ports[index]);
        shared.extend(call.ahead.map(|(port, _)| port));
    }
    shared
}

/// Whether a kernel of such arguments takes an address ahead.
fn asks_ahead(arguments: &[Argument]) -> bool {
    matches!(arguments, [Argument::Vectors(_)])
}

impl<'a> Pieces<'a> {
    fn new(steps: &'a Steps, carried: Vec<Value>) -> Pieces<'a> {
        let pieces: Vec<&[Step]> = steps.steps.split_inclusive(|step| matches!(step, Step::Call { .. })).collect();
        let mut defined = vec![None; steps.homes.len()];
        for (index, step) in
            pieces.iter().enumerate().flat_map(|(index, piece)| piece.iter().map(move |step| (index, step)))
        {
            if let Step::Call { results, .. } = step {
                results.iter().for_each(|value| defined[value.0 as usize] = Some(index));
            }
            if let Some(value) = step.result() {
                defined[value.0 as usize] = Some(index);
            }
        }
        let unchanged = unchanged(steps, &pieces);
        Pieces { steps, pieces, defined, carried, unchanged }
    }

    fn is_earlier(&self, value: Value, piece: usize) -> bool {
        self.defined[value.0 as usize].is_some_and(|defined| defined < piece)
    }

    /// Where a value is that needs no buffer up to a piece. The last one may write there before it reads.
    fn in_memory(&self, value: Value, piece: usize) -> Option<Place> {
        self.unchanged[value.0 as usize].filter(|_| piece + 1 < self.pieces.len())
    }

    /// The operand whose elements these are, one vector after the other, if a kernel may read them there.
    fn operand(&self, values: &[Value], piece: usize) -> Option<Given> {
        let Place::Port { port, size, .. } = self.in_memory(*values.first()?, piece)? else { return None };
        let follows = |(part, &value): (usize, &Value)| {
            self.in_memory(value, piece) == Some(Place::Port { port, size, offset: (part * VECTOR) as i32 })
        };
        values.iter().enumerate().all(follows).then_some(Given::Port { port, size })
    }

    /// Buffers for what kernels read and write, and for what one piece computes and a later one reads.
    fn buffers(&self, lanes: usize) -> Result<Buffers> {
        let mut buffers = Buffers { groups: Vec::new(), bytes: 0, steps: 0 };
        for (index, piece) in self.pieces.iter().enumerate() {
            if let Some(Step::Call { arguments, results, .. }) = piece.last() {
                buffers.add(results);
                let arguments = vectors(arguments).filter(|values| self.operand(values, index).is_none());
                arguments.for_each(|values| buffers.add(values));
            }
        }
        for (index, piece) in self.pieces.iter().enumerate() {
            for step in *piece {
                step.reads(|value| {
                    let is_there = || self.in_memory(value, index).is_some() || buffers.places(value).next().is_some();
                    if self.is_earlier(value, index) && !is_there() {
                        buffers.add(&[value]);
                    }
                });
            }
        }
        let draws = self.pieces.iter().any(|piece| piece.last().is_some_and(is_draw));
        let steps = TILES as usize / buffers.bytes.max(1);
        buffers.steps = (if draws { drawn_steps(steps, lanes) } else { steps.min(LARGEST / lanes) }) as i32;
        if buffers.steps == 0 { Err(no_wide_form("a program with so many calls")) } else { Ok(buffers) }
    }

    fn segment(&self, buffers: &Buffers, index: usize) -> Result<Segment> {
        let mut own = Steps { steps: Vec::new(), homes: self.steps.homes.clone() };
        for (value, home) in own.homes.iter_mut().enumerate() {
            let value = Value(value as u32);
            if self.is_earlier(value, index)
                && let Some(place) = self.in_memory(value, index).or_else(|| buffers.places(value).next())
            {
                *home = Home::Place(place);
            }
        }
        let store = |value: Value, to: Place| Step::Store { opcode: &STORE, value, mask: None, to };
        let mut call = None;
        for step in self.pieces[index] {
            if let Step::Call { address, name, arguments, results } = step {
                // What is known from the start is defined by no step, and is often all vectors of an argument.
                let is_known = |value: &Value| self.defined[value.0 as usize].is_none();
                let mut known: Vec<Value> = vectors(arguments).flatten().copied().filter(is_known).collect();
                known.sort_unstable();
                known.dedup();
                for value in known {
                    own.steps.extend(buffers.places(value).map(|to| store(value, to)));
                }
                let arguments = arguments.iter().map(|argument| self.given(buffers, argument, index));
                let arguments = arguments.collect::<Result<_>>()?;
                let result = buffers.start(results)?;
                call = Some(Call { address: *address, name: name.clone(), result, arguments, ahead: None });
                continue;
            }
            own.steps.push(step.clone());
            if let Some(value) = step.result() {
                own.steps.extend(buffers.places(value).map(|to| store(value, to)));
            }
        }
        own.drop_unused(self.carried.iter().copied());
        Ok(Segment { ahead: Vec::new(), steps: own, call })
    }

    fn given(&self, buffers: &Buffers, argument: &Argument, piece: usize) -> Result<Given> {
        Ok(match argument {
            Argument::Vectors(values) => match self.operand(values, piece) {
                Some(operand) => operand,
                None => Given::Buffer(buffers.start(values)?),
            },
            Argument::Progression(count) => Given::Progression(*count),
            Argument::Element(value) => Given::Word(match self.steps.homes[value.0 as usize] {
                Home::Constant(memory) => memory,
                Home::Place(Place::Frame(offset)) => Memory::base(RSP, offset),
                Home::Place(_) | Home::None => return Err(Error::Internal("an element without a home".into())),
            }),
        })
    }
}

/// Where values are that are loaded as they are, if nothing is written before the last piece.
fn unchanged(steps: &Steps, pieces: &[&[Step]]) -> Vec<Option<Place>> {
    let mut places = vec![None; steps.homes.len()];
    let before = &pieces[..pieces.len().saturating_sub(1)];
    if before.iter().copied().flatten().any(|step| matches!(step, Step::Store { .. } | Step::CopyOut { .. })) {
        return places;
    }
    for step in &steps.steps {
        if let Step::Load { opcode, result, mask: None, from: from @ Place::Port { .. } } = step
            && **opcode == LOAD
        {
            places[result.0 as usize] = Some(*from);
        }
    }
    places
}

/// Steps of a tile that is drawn, where so many find room.
fn drawn_steps(room: usize, lanes: usize) -> usize {
    [LARGEST_DRAWN / lanes, LARGEST_DRAWN / 2 / lanes].into_iter().find(|&steps| steps <= room).unwrap_or(room)
}

/// Whether a step calls a kernel that is told numbers at equal distances.
fn is_draw(step: &Step) -> bool {
    let Step::Call { arguments, .. } = step else { return false };
    arguments.iter().any(|argument| matches!(argument, Argument::Progression(_)))
}

/// The vectors of each argument that consists of such.
fn vectors(arguments: &[Argument]) -> impl Iterator<Item = &Vec<Value>> {
    arguments.iter().filter_map(|argument| match argument {
        Argument::Vectors(values) => Some(values),
        Argument::Progression(_) | Argument::Element(_) => None,
    })
}
