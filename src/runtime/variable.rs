//! The memory of a shared variable: a value that outlives calls, and a version that tells when it was replaced.
//!
//! A value is replaced as a whole and never written to while anybody else holds it. Whoever needs several variables
//! locks them in the order of their identities, so that no two wait for each other. While a lock is held nothing runs
//! but copies of handles and what waits for nothing (see `stateful.rs`). Must not know: graphs, functions, what an update
//! computes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use smallvec::SmallVec;

use crate::array::Array;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::runtime::arg::described;
use crate::runtime::memory::Memory;
use crate::runtime::outputs::FromOutput;
use crate::runtime::site::Site;
use crate::runtime::value::Value;
use crate::runtime::{FromOutputs, OutputSpec};
use crate::shape::InputId;

/// What a shared variable holds, by identity.
static ALIVE: Mutex<Option<HashMap<InputId, Weak<Variable>>>> = Mutex::new(None);

/// The memory of a shared variable.
pub struct Variable {
    id: InputId,
    name: String,
    dtype: DType,
    dims: Vec<Option<usize>>,
    current: Mutex<Current>,
}

/// What a variable holds now.
#[derive(Debug)]
pub(super) struct Current {
    value: Value,
    version: u64,
}

/// A lock on a variable.
pub(super) type Locked<'a> = MutexGuard<'a, Current>;

/// A value as it was, and its version then.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub value: Value,
    version: u64,
}

impl Variable {
    /// A variable with its first value; `dims` are the sizes that every value has.
    ///
    /// # Errors
    /// `Argument` if the value has other sizes.
    pub fn new(name: &str, value: Array, dims: Vec<Option<usize>>) -> Result<Arc<Variable>> {
        Variable::of_input(InputId::new(), name, value, dims)
    }

    /// As `new`, for an input that exists and is no variable yet.
    ///
    /// # Errors
    /// As `new`.
    pub fn of_input(id: InputId, name: &str, value: Array, dims: Vec<Option<usize>>) -> Result<Arc<Variable>> {
        let current = Mutex::new(Current { value: Value::Host(Array::from_slice::<bool>(&[])), version: 0 });
        let variable = Variable { id, name: name.to_string(), dtype: value.dtype(), dims, current };
        variable.check(&value)?;
        variable.lock().value = Value::Host(value);
        let variable = Arc::new(variable);
        alive(|alive| alive.insert(id, Arc::downgrade(&variable)));
        Ok(variable)
    }

    /// The variable that an input stands for, if it does and somebody holds it.
    pub fn find(id: InputId) -> Option<Arc<Variable>> {
        alive(|alive| alive.get(&id).and_then(Weak::upgrade))
    }

    /// Whether there is any variable.
    pub fn exist() -> bool {
        alive(|alive| !alive.is_empty())
    }

    /// The identity of the input that stands for it.
    pub fn id(&self) -> InputId {
        self.id
    }

    /// The user's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The dtype of every value.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The sizes that every value has; none where they may differ.
    pub fn dims(&self) -> &[Option<usize>] {
        &self.dims
    }

    /// A copy of the value, in whatever container the caller names.
    ///
    /// # Errors
    /// `Argument` if dtype or rank are others, `Memory` if there is none for the copy, `Device` if the value was on a
    /// device that is lost.
    pub fn get<R: FromOutput>(&self) -> Result<R> {
        let mut snapshot = self.lock().snapshot();
        self.bring(&mut snapshot, &Site::Host)?;
        let value = snapshot.value.on_host().ok_or_else(|| self.nowhere())?;
        let title = format!("the shared variable `{}`", self.name);
        let spec =
            OutputSpec { title: &title, dtype: value.dtype(), shape: value.shape(), site: &Site::Host, donor: None };
        R::produce(&[spec], |places| {
            for place in places {
                let (shape, strides) = (value.shape(), value.strides());
                let memory = Memory { pointer: value.address(), dtype: value.dtype(), shape, strides };
                let to = place.on_host()?;
                // SAFETY: the place is the caller's own, of this dtype and shape; `value` keeps its memory.
                unsafe { to.copy_from(&memory) };
            }
            Ok(())
        })
    }

    /// The values of variables, sorted by their identities, as they are together between two calls. Values on the host
    /// are not copied.
    ///
    /// # Errors
    /// `Memory` if there is none for a copy, `Device` if a value was on a device that is lost.
    #[cfg(feature = "files")]
    pub fn values(variables: &[Arc<Variable>]) -> Result<Vec<Array>> {
        let snapshots: Vec<Snapshot> = lock_all(variables).iter().map(|current| current.snapshot()).collect();
        let on_host = |(variable, mut snapshot): (&Arc<Variable>, Snapshot)| {
            variable.bring(&mut snapshot, &Site::Host)?;
            snapshot.value.on_host().cloned().ok_or_else(|| variable.nowhere())
        };
        variables.iter().zip(snapshots).map(on_host).collect()
    }

    /// Replaces the value.
    ///
    /// # Errors
    /// `Argument` if it has another dtype or rank, or other sizes where these are fixed.
    pub fn set(&self, value: Array) -> Result<()> {
        self.check(&value)?;
        let mut current = self.lock();
        current.count();
        let old = current.replace(Value::Host(value));
        drop(current);
        // Memory is given back outside the lock.
        drop(old);
        Ok(())
    }

    /// Copies a value to where a call runs, if it is not there, and keeps the copy for later calls. No lock may be held.
    ///
    /// # Errors
    /// `Memory` if there is none for the copy; `Device`, naming the variable, if the value was on a device that is lost.
    pub(super) fn bring(&self, snapshot: &mut Snapshot, site: &Site) -> Result<()> {
        if snapshot.value.at(site).is_some() {
            return Ok(());
        }
        self.bring_without_keeping(snapshot, site)?;
        let mut current = self.lock();
        if current.is_still(snapshot) {
            let old = std::mem::replace(&mut current.value, snapshot.value.clone());
            drop(current);
            // Memory is given back outside the lock.
            drop(old);
        }
        Ok(())
    }

    /// As `bring`, for whoever holds the lock.
    ///
    /// # Errors
    /// As `bring`.
    pub(super) fn bring_without_keeping(&self, snapshot: &mut Snapshot, site: &Site) -> Result<()> {
        if snapshot.value.at(site).is_none() {
            snapshot.value = snapshot.value.brought(site).map_err(|error| self.lost(error))?;
        }
        Ok(())
    }

    /// What a failure to copy the value means.
    fn lost(&self, error: Error) -> Error {
        match error {
            Error::Device(reason) => Error::Device(format!(
                "the value of the shared variable `{}` cannot be had: {reason}; give it a value by `set`",
                self.name
            )),
            other => other,
        }
    }

    /// The error of a value that was not brought.
    pub(super) fn nowhere(&self) -> Error {
        Error::Internal(format!("the value of `{}` is not where the call runs", self.name))
    }

    /// Where the value is. For tests.
    #[cfg(test)]
    pub fn address(&self) -> usize {
        self.held().address().addr()
    }

    /// The value itself. For tests.
    #[cfg(test)]
    pub fn held(&self) -> Array {
        self.lock().on_host().unwrap().clone()
    }

    fn check(&self, value: &Array) -> Result<()> {
        let own = described(self.dtype, self.dims.len());
        if value.dtype() != self.dtype || value.rank() != self.dims.len() {
            let came = described(value.dtype(), value.rank());
            return Err(Error::Argument(format!("the shared variable `{}` is {own}; the value is {came}", self.name)));
        }
        self.check_sizes(value.shape())
    }

    /// Checks the sizes of a value of the right rank.
    ///
    /// # Errors
    /// `Argument`, naming the axis and both sizes.
    pub(super) fn check_sizes(&self, shape: &[usize]) -> Result<()> {
        let wrong = |(_, (dim, size)): &(usize, (&Option<usize>, &usize))| dim.is_some_and(|dim| dim != **size);
        match self.dims.iter().zip(shape).enumerate().find(wrong) {
            None => Ok(()),
            Some((axis, (dim, size))) => Err(Error::Argument(format!(
                "the value for the shared variable `{}` has {size} along axis {axis}, which is declared as {}",
                self.name,
                dim.unwrap_or_default()
            ))),
        }
    }

    pub(super) fn lock(&self) -> Locked<'_> {
        // A panic under the lock leaves a value as it was before or as it is after.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    /// What the variable holds, if it is on the host.
    #[inline]
    pub fn on_host(&self) -> Option<&Array> {
        self.value.on_host()
    }

    /// The address of the value to write to, if nobody else holds it.
    #[inline]
    pub fn own_address(&mut self) -> Option<*mut u8> {
        self.value.own_address()
    }

    /// Says that there is a new value, in other memory or in that of the old one.
    #[inline]
    pub fn count(&mut self) {
        self.version += 1;
        self.value.keep_host();
    }

    /// Puts a value in the place of the old one, which it gives.
    #[inline]
    pub fn replace(&mut self, value: Value) -> Value {
        std::mem::replace(&mut self.value, value)
    }

    /// The value and its version.
    #[inline]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { value: self.value.clone(), version: self.version }
    }

    /// Whether the value is still the one of a snapshot.
    pub fn is_still(&self, snapshot: &Snapshot) -> bool {
        self.version == snapshot.version
    }
}

/// Locks variables that are sorted by their identities.
#[inline]
pub(super) fn lock_all(variables: &[Arc<Variable>]) -> SmallVec<[Locked<'_>; 4]> {
    let mut locked = SmallVec::new();
    for variable in variables {
        locked.push(variable.lock());
    }
    locked
}

fn alive<R>(look: impl FnOnce(&mut HashMap<InputId, Weak<Variable>>) -> R) -> R {
    look(ALIVE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

impl Drop for Variable {
    fn drop(&mut self) {
        alive(|alive| alive.remove(&self.id));
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}[", self.name, self.dtype)?;
        for (axis, dim) in self.dims.iter().enumerate() {
            let separator = if axis > 0 { ", " } else { "" };
            match dim {
                Some(size) => write!(f, "{separator}{size}")?,
                None => write!(f, "{separator}?")?,
            }
        }
        write!(f, "]")
    }
}
