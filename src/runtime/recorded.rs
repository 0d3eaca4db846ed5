//! The layouts of earlier calls, so that a call of the same ones need not be checked and laid out anew.
//!
//! Whether a call is right, and what it comes to but for addresses, depends on nothing but dtypes, shapes and strides of
//! arguments and places, and on the integers that sizes depend on. A recording holds these of a call that passed all
//! checks: one that equals it passes them too. Recordings are append-only and read without a lock. The first few are
//! compared with every call, the others are looked up by a hash. A layout is recorded when it comes again before it is
//! forgotten, so that sizes that come once take no room. Must not know: what a call computes.

use std::hash::{Hash, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustc_hash::FxHasher;
use smallvec::SmallVec;

use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::runtime::arg::{Parameter, address};
use crate::runtime::donor::Donor;
use crate::runtime::implementation::InputSpec;
use crate::runtime::memory::Sizes;
use crate::runtime::site::Site;
use crate::runtime::{Arg, OutPlace, OutputSpec, Replay};
use crate::shape::row_major_strides;

/// Recordings that each call is compared with.
const FIRST: usize = 8;

/// Further ones; a power of two. Calls of layouts beyond these are laid out anew each time.
const MORE: usize = 128;

/// Further ones that are looked at: as many from where the hash of a call points to.
const PROBES: usize = 4;

/// Hashes of calls that are remembered: the last ones of each of so many sets, a power of two.
const SETS: usize = 32;
const REMEMBERED: usize = 8;

/// The recordings of a function.
#[derive(Debug, Default)]
pub(super) struct Recordings {
    first: [OnceLock<Recording>; FIRST],
    /// Made when the first ones are taken.
    more: OnceLock<Box<[OnceLock<Recording>]>>,
    /// Hashes of calls that were laid out anew, in each set the latest first.
    seen: [[AtomicU64; REMEMBERED]; SETS],
}

/// A call that passed all checks.
#[derive(Debug)]
struct Recording {
    inputs: Vec<Input>,
    outputs: Vec<Output>,
    /// Whether the places are as a call makes them where the caller gives none.
    row_major: bool,
    /// Whether it runs on the caller's thread.
    runs_alone: bool,
    replay: Replay,
}

/// An argument of a recorded call.
#[derive(Debug)]
enum Input {
    /// In memory.
    Strided { shape: Sizes<usize>, strides: Sizes<isize> },
    /// Of rank 0; the value, if sizes depend on it.
    Value(Option<Scalar>),
}

/// A place of a recorded call.
#[derive(Debug)]
struct Output {
    dtype: DType,
    shape: Sizes<usize>,
    strides: Sizes<isize>,
    /// Whether only the last launch writes it.
    is_written_last: bool,
}

/// A call that equals a recorded one.
pub(super) struct Recorded<'a> {
    recording: &'a Recording,
    arguments: &'a [Arg<'a>],
    values: Values,
}

/// The arguments of rank 0, in order.
type Values = SmallVec<[Scalar; 4]>;

impl Recordings {
    /// Whether no call has been recorded yet.
    #[inline]
    pub fn are_none(&self) -> bool {
        self.first[0].get().is_none()
    }

    /// The recording of a call that makes memory for its results.
    #[inline]
    pub fn of_new_memory<'a>(&'a self, inputs: &[InputSpec], arguments: &'a [Arg<'a>]) -> Option<Recorded<'a>> {
        self.find(inputs, arguments, |recording| recording.row_major)
    }

    /// The recording of a call that writes to these places.
    #[inline]
    pub fn of_places<'a>(
        &'a self,
        inputs: &[InputSpec],
        arguments: &'a [Arg<'a>],
        places: &[OutPlace<'_>],
    ) -> Option<Recorded<'a>> {
        self.find(inputs, arguments, |recording| recording.has_places(places))
    }

    #[inline]
    fn find<'a>(
        &'a self,
        inputs: &[InputSpec],
        arguments: &'a [Arg<'a>],
        fits: impl Fn(&Recording) -> bool,
    ) -> Option<Recorded<'a>> {
        if arguments.len() != inputs.len() {
            return None;
        }
        let mut values = Values::new();
        let mut is_it = |recording: &Recording| {
            values.clear();
            recording.has_arguments(inputs, arguments, &mut values) && fits(recording)
        };
        let first = self.first.iter().map_while(OnceLock::get).find(|&recording| is_it(recording));
        let recording = match (first, self.more.get()) {
            (Some(recording), _) => recording,
            (None, None) => return None,
            (None, Some(more)) => {
                let places = probed(more, fingerprint(inputs, arguments));
                places.map_while(OnceLock::get).find(|&recording| is_it(recording))?
            }
        };
        Some(Recorded { recording, arguments, values })
    }

    /// Whether a call with this hash was laid out anew not long ago; it is remembered.
    fn came_before(&self, hash: u64) -> bool {
        let set = &self.seen[(hash >> 56) as usize % SETS];
        if set.iter().any(|seen| seen.load(Ordering::Relaxed) == hash) {
            return true;
        }
        // Threads that are here at once forget some hash: it comes again.
        for place in (1..REMEMBERED).rev() {
            set[place].store(set[place - 1].load(Ordering::Relaxed), Ordering::Relaxed);
        }
        set[0].store(hash, Ordering::Relaxed);
        false
    }

    /// Where a call with this hash may be recorded, if there is room.
    fn free(&self, hash: u64) -> Option<&OnceLock<Recording>> {
        let is_free = |place: &&OnceLock<Recording>| place.get().is_none();
        let more = || self.more.get_or_init(|| (0..MORE).map(|_| OnceLock::new()).collect());
        self.first.iter().find(is_free).or_else(|| probed(more(), hash).find(is_free))
    }

    /// Takes note of a call that passed all checks and was laid out anew.
    pub fn note(
        &self,
        inputs: &[InputSpec],
        arguments: &[Arg<'_>],
        places: &[OutPlace<'_>],
        settle: impl FnOnce(&[OutPlace<'_>]) -> Result<Option<Replay>>,
    ) {
        let hash = fingerprint(inputs, arguments);
        // Another thread may have recorded it meanwhile.
        if !self.came_before(hash) || self.of_places(inputs, arguments, places).is_some() {
            return;
        }
        let Some(free) = self.free(hash) else { return };
        let known = inputs.iter().zip(arguments).map(Input::of).collect::<Option<_>>();
        let outputs = places.iter().map(Output::of).collect::<Option<Vec<_>>>();
        // The call itself is done; where memory is too short to settle it, the next one is laid out anew as well.
        if let (Some(inputs), Some(mut outputs), Ok(Some(replay))) = (known, outputs, settle(places)) {
            let row_major = outputs.iter().all(Output::is_row_major);
            let runs_alone = replay.runs_alone();
            for (number, output) in outputs.iter_mut().enumerate() {
                output.is_written_last = replay.is_written_last(number);
            }
            // If another thread was faster, a later call may record this one.
            let _ = free.set(Recording { inputs, outputs, row_major, runs_alone, replay });
        }
    }
}

/// The further recordings that a call with this hash may be among.
#[inline]
fn probed(more: &[OnceLock<Recording>], hash: u64) -> impl Iterator<Item = &OnceLock<Recording>> {
    let start = (hash >> 40) as usize % more.len();
    (start..start + PROBES).map(|place| &more[place % more.len()])
}

/// A hash of layouts, and of the values that sizes depend on, as they came. A collision, or another type of an equal value,
/// costs a recording.
fn fingerprint(inputs: &[InputSpec], arguments: &[Arg<'_>]) -> u64 {
    let mut hasher = FxHasher::default();
    for (input, argument) in inputs.iter().zip(arguments) {
        (argument.shape(), argument.strides()).hash(&mut hasher);
        if input.is_size {
            argument.scalar().map(Scalar::bits).hash(&mut hasher);
        }
    }
    // Mixed, since small differences may change few bits; never what `seen` starts from.
    let hash = hasher.finish();
    (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

impl Input {
    /// What must be the same of an argument; none for one on a device.
    fn of((input, argument): (&InputSpec, &Arg<'_>)) -> Option<Input> {
        if argument.pointer().is_some() {
            let (shape, strides) = (argument.shape(), argument.strides());
            return Some(Input::Strided { shape: shape.into(), strides: strides.into() });
        }
        let value = argument.fit(&parameter(0, input)).ok()??;
        Some(Input::Value(input.is_size.then_some(value)))
    }
}

impl Output {
    /// What must be the same of a place; none for one on a device.
    fn of(place: &OutPlace<'_>) -> Option<Output> {
        let memory = place.host()?;
        let (dtype, shape, strides) = (memory.dtype, memory.shape.into(), memory.strides.into());
        Some(Output { dtype, shape, strides, is_written_last: false })
    }

    fn is_row_major(&self) -> bool {
        self.is_empty() || self.strides == row_major_strides(&self.shape)
    }

    #[inline]
    fn is_of(&self, place: &OutPlace<'_>) -> bool {
        let is_laid_out = || same(&self.strides, place.strides()) || self.is_empty();
        self.dtype == place.dtype() && same(&self.shape, place.shape()) && is_laid_out()
    }

    /// Whether strides mean nothing.
    fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }
}

impl Recording {
    /// Whether arguments are as they were; collects those of rank 0.
    #[inline]
    fn has_arguments(&self, inputs: &[InputSpec], arguments: &[Arg<'_>], values: &mut Values) -> bool {
        self.inputs.iter().zip(inputs).zip(arguments).all(|((known, input), argument)| match known {
            Input::Strided { shape, strides } => {
                argument.pointer().is_some()
                    && argument.dtype() == input.dtype
                    && same(shape, argument.shape())
                    && same(strides, argument.strides())
            }
            Input::Value(size) => {
                let Ok(Some(value)) = argument.fit(&parameter(0, input)) else { return false };
                values.push(value);
                size.is_none_or(|size| size == value)
            }
        })
    }

    #[inline]
    fn has_places(&self, places: &[OutPlace<'_>]) -> bool {
        self.outputs.len() == places.len() && self.outputs.iter().zip(places).all(|(known, place)| known.is_of(place))
    }
}

impl Recorded<'_> {
    /// How many outputs there are.
    #[inline]
    pub fn outputs(&self) -> usize {
        self.recording.outputs.len()
    }

    /// The dtype and the shape of an output.
    #[inline]
    pub fn output(&self, output: usize) -> (DType, &[usize]) {
        let Output { dtype, shape, .. } = &self.recording.outputs[output];
        (*dtype, shape)
    }

    /// The outputs, and the arguments that may become them.
    pub fn specs(&self, donations: &[Option<usize>]) -> SmallVec<[OutputSpec<'_>; 2]> {
        self.first_specs(self.outputs(), donations)
    }

    /// The first of these.
    #[inline]
    pub fn first_specs(&self, count: usize, donations: &[Option<usize>]) -> SmallVec<[OutputSpec<'_>; 2]> {
        let mut specs = SmallVec::new();
        for (index, output) in self.recording.outputs[..count].iter().enumerate() {
            let (dtype, shape, donor) = (output.dtype, &output.shape, donor(donations, index, self.arguments));
            specs.push(OutputSpec { title: "", dtype, shape, site: &Site::Host, donor });
        }
        specs
    }

    /// Whether it runs on the caller's thread.
    #[inline]
    pub fn runs_alone(&self) -> bool {
        self.recording.runs_alone
    }

    /// Whether only the last launch writes an output.
    #[inline]
    pub fn is_written_last(&self, output: usize) -> bool {
        self.recording.outputs[output].is_written_last
    }

    /// Whether places are as they were recorded.
    #[inline]
    pub fn has_places(&self, places: &[OutPlace<'_>]) -> bool {
        self.recording.has_places(places)
    }

    /// Whether places are as the first ones were recorded.
    #[inline]
    pub fn has_first_places(&self, places: &[OutPlace<'_>]) -> bool {
        self.recording.outputs.iter().zip(places).all(|(known, place)| known.is_of(place))
    }

    /// Runs the call.
    ///
    /// # Safety
    /// `has_places` holds.
    ///
    /// # Errors
    /// `Memory` before anything is written.
    #[inline]
    pub unsafe fn run(&self, places: &[OutPlace<'_>]) -> Result<()> {
        // SAFETY: by the caller's word.
        unsafe { self.run_with(places, &[]) }
    }

    /// Runs the call with places for the first outputs, and addresses for the others.
    ///
    /// # Safety
    /// `has_first_places` holds; the addresses are those of as many row-major arrays of the recorded dtypes and shapes,
    /// which overlap nothing but the arguments that donations name.
    ///
    /// # Errors
    /// `Memory` before anything is written; `Internal` if there are not as many.
    #[inline]
    pub unsafe fn run_with(&self, places: &[OutPlace<'_>], others: &[Option<*mut u8>]) -> Result<()> {
        let mut outputs: SmallVec<[*mut u8; 4]> = SmallVec::new();
        for place in places {
            outputs.push(place.on_host()?.pointer);
        }
        for address in others.iter().copied().flatten() {
            outputs.push(address);
        }
        if outputs.len() != self.recording.outputs.len() {
            return Err(Error::Internal("a recorded call with too few places".to_string()));
        }
        let mut values = self.values.iter();
        let mut inputs: SmallVec<[*const u8; 8]> = SmallVec::new();
        inputs.extend(self.arguments.iter().map(|argument| match argument.pointer() {
            Some(pointer) => pointer,
            None => values.next().map_or(std::ptr::null(), address),
        }));
        // SAFETY: arguments and places borrow their memory for the call, places exclusively; their layouts are those of
        // a call that passed all checks (of places by the caller's word), and so are the values that sizes depend on.
        unsafe { self.recording.replay.run(&inputs, &outputs) }
    }
}

/// The argument that may become an output.
#[inline]
pub(super) fn donor<'a>(donations: &[Option<usize>], output: usize, arguments: &[Arg<'a>]) -> Option<&'a Donor> {
    let input = donations.get(output).copied().flatten()?;
    arguments.get(input)?.donor()
}

#[inline]
fn parameter(index: usize, input: &InputSpec) -> Parameter<'_> {
    Parameter { index, name: &input.name, dtype: input.dtype, rank: input.shape.len() }
}

/// Equality of few numbers, which is not worth a call.
#[inline]
fn same<T: PartialEq>(a: &[T], b: &[T]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests;
