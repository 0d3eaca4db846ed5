//! Calls of functions that read or update shared variables: each is one step, whole or not at all.
//!
//! Values are where the calls that make them run, on the host or on a device, and are copied when a call elsewhere needs
//! them (`value.rs`).
//!
//! A call reads all its variables at one moment, computes, and replaces those that it updates together, if none of all
//! has been replaced since; else it starts over. While it computes it holds no lock, so it may wait for a thread pool,
//! whose threads may meanwhile run other calls of the same variables, even on top of this one's stack.
//!
//! Two kinds of calls hold the locks of their variables all the way, since they wait for nothing: no pool, no other lock,
//! no code of the user's. One is a recorded call whose launches all run on the caller's thread. It may write a result to
//! the memory of the value that it replaces, if nobody else holds that value and the last launch writes it: launches fail
//! before they write, so no failure comes after. The other is a call that has started over `TRIES` times: it runs on the
//! caller's thread alone, so that calls that take long get done however many short ones there are. A function with host
//! functions, which may do anything, is never run under locks; it starts over as often as it must. Waiting for a device is
//! fine: it asks for no lock that anybody holds who waits for a variable.
//!
//! Locks are taken in the order of the variables' identities. `tests/shared.rs` stresses all of this with threads; as machine
//! code is beyond Miri, only functions of `Device::Loops` and `Device::Interpreter` could run there. Must not know: graphs,
//! engines.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::array::Array;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::runtime::function::{Bound, Function, Inner};
use crate::runtime::site::Site;
use crate::runtime::value::Value;
use crate::runtime::variable::{Locked, Snapshot, Variable, lock_all};
use crate::runtime::{Arg, OutPlace, OutputSpec};

/// How often a call is tried without locks.
const TRIES: usize = 4;

/// The shared variables of a function.
#[derive(Debug, Default)]
pub struct State {
    /// Sorted by identity; the last arguments of what computes, in this order.
    variables: Vec<Arc<Variable>>,
    /// The variables that its last outputs replace.
    updates: Vec<usize>,
}

/// Makes memory for the outputs that these describe, and has it filled.
type Fill<'f> = &'f mut dyn FnMut(&mut [OutPlace<'_>]) -> Result<()>;

/// Arguments of a call, those of the caller first.
type Arguments<'a> = SmallVec<[Arg<'a>; 6]>;

/// Values for updates.
type Values = SmallVec<[Value; 2]>;

/// How a try runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Threads {
    /// As the settings of the function say.
    Any,
    /// On the caller's thread.
    One,
}

impl State {
    /// Variables in the order of their identities, and those of them that the last outputs replace.
    pub fn new(variables: Vec<Arc<Variable>>, updates: Vec<usize>) -> State {
        State { variables, updates }
    }

    /// The variables.
    #[cfg(feature = "files")]
    pub fn variables(&self) -> &[Arc<Variable>] {
        &self.variables
    }

    /// How many variables there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.variables.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }

    /// How many of them are replaced.
    pub fn update_count(&self) -> usize {
        self.updates.len()
    }

    /// The names of the variables that are only read, and of those that are replaced.
    pub fn names(&self) -> [Vec<&str>; 2] {
        let name = |index: usize| self.variables[index].name();
        let read = (0..self.variables.len()).filter(|index| !self.updates.contains(index)).map(name).collect();
        [read, self.updates.iter().copied().map(name).collect()]
    }

    fn updated(&self) -> impl Iterator<Item = &Arc<Variable>> {
        self.updates.iter().map(|&index| &self.variables[index])
    }

    /// All values at one moment, with copies where a call runs.
    fn snapshot(&self, site: &Site) -> Result<SmallVec<[Snapshot; 4]>> {
        let mut snapshots: SmallVec<[Snapshot; 4]> =
            lock_all(&self.variables).iter().map(|current| current.snapshot()).collect();
        for (variable, snapshot) in self.variables.iter().zip(&mut snapshots) {
            variable.bring(snapshot, site)?;
        }
        Ok(snapshots)
    }

    /// The arguments of a call at a site, from values that have copies there.
    fn arguments_at<'a>(&self, site: &Site, own: &'a [Arg<'_>], before: &'a [Snapshot]) -> Result<Arguments<'a>> {
        let mut arguments = Arguments::new();
        for argument in own {
            arguments.push(argument.lent());
        }
        for (variable, snapshot) in self.variables.iter().zip(before) {
            arguments.push(snapshot.value.at(site).ok_or_else(|| variable.nowhere())?);
        }
        Ok(arguments)
    }

    /// Replaces the values of the updated variables, if all variables are still what they were.
    fn commit(&self, before: &[Snapshot], values: Values) -> bool {
        let mut locked = lock_all(&self.variables);
        if !locked.iter().zip(before).all(|(current, snapshot)| current.is_still(snapshot)) {
            return false;
        }
        self.count(&mut locked);
        let old = self.replace(&mut locked, values.into_iter().enumerate());
        drop(locked);
        // Memory is given back outside the locks.
        drop(old);
        true
    }

    /// Says that there are new values for all that are updated, in other memory or in that of the old ones.
    #[inline]
    fn count(&self, locked: &mut [Locked<'_>]) {
        for &index in &self.updates {
            locked[index].count();
        }
    }

    /// Puts values, by the numbers of their updates, in the places of old ones, which it gives.
    fn replace(&self, locked: &mut [Locked<'_>], values: impl IntoIterator<Item = (usize, Value)>) -> Values {
        values.into_iter().map(|(number, value)| locked[self.updates[number]].replace(value)).collect()
    }
}

/// Where new values are made: in the memory of old ones, or in arrays of their own.
#[derive(Default)]
struct NewValues {
    addresses: SmallVec<[Option<*mut u8>; 4]>,
    /// The arrays, with the numbers of their updates.
    arrays: SmallVec<[(usize, Array); 2]>,
}

impl Function {
    /// A call of a function with shared variables; `produce` makes what the caller gets.
    pub(super) fn call_with_state<R>(
        &self,
        own: &[Arg<'_>],
        mut produce: impl FnMut(&[OutputSpec<'_>], Fill<'_>) -> Result<R>,
    ) -> Result<R> {
        let state = &self.0.state;
        if let Some(result) = self.call_recorded_under_locks(own, &mut produce) {
            return result;
        }
        let mut tries = 0;
        loop {
            let site = self.0.implementation.site()?;
            let before = state.snapshot(&site)?;
            let commit = |values: Values| state.updates.is_empty() || state.commit(&before, values);
            if let Some(result) = self.attempt(own, site, &before, Threads::Any, &mut produce, commit)? {
                return Ok(result);
            }
            tries += 1;
            if tries >= TRIES && self.0.implementation.runs_alone() {
                return self.call_under_locks(own, &mut produce);
            }
        }
    }

    /// A call with updates that is recorded and whose launches run on this thread; none if it is no such call.
    #[inline]
    fn call_recorded_under_locks<R>(
        &self,
        own: &[Arg<'_>],
        produce: &mut impl FnMut(&[OutputSpec<'_>], Fill<'_>) -> Result<R>,
    ) -> Option<Result<R>> {
        let Inner { state, inputs, recordings, donations, .. } = &*self.0;
        if state.updates.is_empty() || recordings.are_none() || own.len() + state.len() != inputs.len() {
            return None;
        }
        let mut locked = lock_all(&state.variables);
        let mut new = NewValues::default();
        for &index in &state.updates {
            new.addresses.push(locked[index].own_address());
        }
        let result = {
            // Made where it stays: to move so many bytes takes longer than to fill in the few that count.
            let mut arguments = Arguments::new();
            for argument in own {
                arguments.push(argument.lent());
            }
            for current in &locked {
                arguments.push(Arg::from(current.on_host()?));
            }
            let recorded = recordings.of_new_memory(inputs, &arguments)?;
            if !recorded.runs_alone() {
                return None;
            }
            let own_outputs = recorded.outputs() - state.updates.len();
            for (number, &index) in state.updates.iter().enumerate() {
                let (output, argument) = (own_outputs + number, own.len() + index);
                let (dtype, shape) = recorded.output(output);
                // A value of rank 0 has been read when the arguments were made.
                let is_read_first = shape.is_empty() || donations.get(output) == Some(&Some(argument));
                let is_replaced =
                    is_read_first && recorded.is_written_last(output) && arguments[argument].shape() == shape;
                if !(is_replaced && new.addresses[number].is_some())
                    && let Err(error) = new.make(number, dtype, shape)
                {
                    return Some(Err(error));
                }
            }
            let mut fits = true;
            let result = produce(&recorded.first_specs(own_outputs, &[]), &mut |places| {
                fits = recorded.has_first_places(places);
                // SAFETY: just checked. A new value is made in memory that nobody else holds: its own, of the size recorded, or
                // that of the value that it replaces, which is locked, is of the same shape, and of which the launch reads
                // the same element before it writes.
                if fits { unsafe { recorded.run_with(places, &new.addresses) } } else { Ok(()) }
            });
            fits.then_some(result)?
        };
        if result.is_ok() {
            state.count(&mut locked);
            if !new.arrays.is_empty() {
                let values = new.arrays.drain(..).map(|(number, array)| (number, Value::Host(array)));
                let old = state.replace(&mut locked, values);
                drop(locked);
                drop(old);
            }
        }
        Some(result)
    }

    /// One try from values as they were; none if they have been replaced since.
    fn attempt<R>(
        &self,
        own: &[Arg<'_>],
        site: Site,
        before: &[Snapshot],
        threads: Threads,
        produce: &mut impl FnMut(&[OutputSpec<'_>], Fill<'_>) -> Result<R>,
        commit: impl FnMut(Values) -> bool,
    ) -> Result<Option<R>> {
        let Inner { state, inputs, recordings, donations, .. } = &*self.0;
        self.check_count(own.len())?;
        let arguments = state.arguments_at(&site, own, before)?;
        // Whoever may start over needs its arguments again.
        let (donations, donors) =
            if state.updates.is_empty() { (donations.as_slice(), own) } else { (&[][..], &[][..]) };
        let recorded = match threads {
            Threads::Any => recordings.of_new_memory(inputs, &arguments),
            Threads::One => None,
        };
        if let Some(recorded) = recorded {
            return self.fill(&recorded.specs(donations), produce, commit, |places| {
                match recorded.has_places(places) {
                    // SAFETY: just checked.
                    true => unsafe { recorded.run(places) },
                    false => self.call_anew(&arguments, places),
                }
            });
        }
        let mut bound = Bound::at(site);
        self.bind(&arguments, &mut bound)?;
        let shapes = self.output_shapes(&bound.symbols)?;
        for (variable, shape) in state.updated().zip(&shapes[shapes.len() - state.updates.len()..]) {
            variable.check_sizes(shape)?;
        }
        let specs = self.output_specs(&shapes, &bound.site, donors);
        self.fill(&specs, produce, commit, |places| match threads {
            Threads::Any => self.run(&bound, &arguments, places),
            Threads::One => self.run_alone(&bound, places),
        })
    }

    /// A call that holds the locks of its variables while it runs on this thread.
    fn call_under_locks<R>(
        &self,
        own: &[Arg<'_>],
        produce: &mut impl FnMut(&[OutputSpec<'_>], Fill<'_>) -> Result<R>,
    ) -> Result<R> {
        let (state, site) = (&self.0.state, self.0.implementation.site()?);
        let mut locked = lock_all(&state.variables);
        let mut before: SmallVec<[Snapshot; 4]> = locked.iter().map(|current| current.snapshot()).collect();
        for (variable, snapshot) in state.variables.iter().zip(&mut before) {
            variable.bring_without_keeping(snapshot, &site)?;
        }
        let commit = |values: Values| {
            state.count(&mut locked);
            state.replace(&mut locked, values.into_iter().enumerate());
            true
        };
        let result = self.attempt(own, site, &before, Threads::One, produce, commit)?;
        result.ok_or_else(|| Error::Internal("a shared variable was replaced under its lock".to_string()))
    }

    /// Makes memory for all outputs, those of the caller and new values, runs, and commits.
    fn fill<R>(
        &self,
        specs: &[OutputSpec<'_>],
        produce: &mut impl FnMut(&[OutputSpec<'_>], Fill<'_>) -> Result<R>,
        mut commit: impl FnMut(Values) -> bool,
        mut run: impl FnMut(&mut [OutPlace<'_>]) -> Result<()>,
    ) -> Result<Option<R>> {
        let (own, new) = specs.split_at(specs.len() - self.0.state.updates.len());
        let mut is_done = false;
        let result = produce(own, &mut |places| {
            let mut values = Values::new();
            for spec in new {
                values.push(Value::uninitialized(spec)?);
            }
            let mut all: SmallVec<[OutPlace<'_>; 4]> = places.iter_mut().map(OutPlace::reborrow).collect();
            for value in &mut values {
                all.push(value.place()?);
            }
            run(&mut all)?;
            drop(all);
            is_done = commit(values);
            Ok(())
        })?;
        Ok(is_done.then_some(result))
    }
}

impl NewValues {
    /// Makes memory for the next value of an update.
    fn make(&mut self, number: usize, dtype: DType, shape: &[usize]) -> Result<()> {
        let array = Array::uninitialized(dtype, shape)?;
        self.addresses[number] = Some(array.address());
        self.arrays.push((number, array));
        Ok(())
    }
}
